"""Captions from codes of any model: an array of codes and a way to write from them.

`load_codes` puts both behind the names of `hblib.captioner.Captioner`, so that the analysis of a
chapter runs on codes from elsewhere. `hugging_face` does so for a published image-to-text model; it
needs the package transformers, which this project does not depend on, and the model's files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from hblib.models._captioner import checked_codes


@dataclass(frozen=True)
class Loaded:
    """Codes with a decoder from elsewhere.

    Attributes
    ----------
    codes : numpy.ndarray of float32, shape (n, n_latent)
    write : callable
        From codes (n, n_latent) to a list of n captions, the likeliest ones.
    write_samples : callable or None
        From codes, a number of samples and a `numpy.random.Generator` to a list of lists of
        captions.
    """

    codes: np.ndarray
    write: Callable
    write_samples: Callable | None = None

    @property
    def n_latent(self):
        """Length of a code."""
        return self.codes.shape[1]

    def greedy(self, codes):
        """The likeliest caption of each code, as the decoder finds it: list of str."""
        return list(self.write(checked_codes(codes, self.n_latent)))

    def sample(self, codes, n_samples, rng):
        """Captions at random, `n_samples` a code: list of list of str."""
        if self.write_samples is None:
            raise ValueError("write_samples was not given: this decoder cannot sample")
        rng = np.random.default_rng(rng)
        return [
            list(some)
            for some in self.write_samples(checked_codes(codes, self.n_latent), n_samples, rng)
        ]


def load_codes(codes, write, write_samples=None):
    """Codes of any model as a captioner.

    Parameters
    ----------
    codes : array, (n, n_latent), or str or pathlib.Path
        The codes, or an ``.npy`` file that holds them.
    write, write_samples : callable
        See `Loaded`.

    Returns
    -------
    Loaded

    Examples
    --------
    >>> codes = np.eye(2)
    >>> model = load_codes(codes, lambda z: ["a cat" if row[0] > row[1] else "a dog" for row in z])
    >>> model.greedy(codes)
    ['a cat', 'a dog']
    """
    if isinstance(codes, str | Path):
        codes = np.load(codes, allow_pickle=False)
    codes = np.asarray(codes, dtype=np.float32)
    if codes.ndim != 2 or 0 in codes.shape:
        raise ValueError(f"codes must be a matrix with a row for each picture, got {codes.shape}")
    if not np.isfinite(codes).all():
        raise ValueError("codes contains values that are not finite (NaN or infinity)")
    return Loaded(codes, write, write_samples)


def hugging_face(images, name="nlpconnect/vit-gpt2-image-captioning", batch_size=16, max_words=20):
    """Codes of pictures, and the decoder, of an image-to-text model from huggingface.co.

    The model must be a ``VisionEncoderDecoderModel``. Its encoder gives a vector for each patch of
    the picture. The code is their mean, and the decoder is shown nothing else: a narrower
    bottleneck than it was trained with, so compare `greedy` with the model's own captions before
    reading anything into the codes.

    Parameters
    ----------
    images : array of uint8, (n, height, width, 3)
    name : str
        On huggingface.co, or a folder.
    batch_size : int
        Pictures that are encoded at a time.
    max_words : int
        Longest caption, in tokens of the model.

    Returns
    -------
    Loaded

    Raises
    ------
    ImportError
        If transformers is not installed.
    OSError
        If the model is neither stored here nor to be reached.
    """
    try:
        import transformers
        from transformers.modeling_outputs import BaseModelOutput
    except ImportError:
        raise ImportError(
            "hugging_face needs the package transformers: pip install transformers"
        ) from None
    try:
        process = transformers.AutoImageProcessor.from_pretrained(name)
        tokenizer = transformers.AutoTokenizer.from_pretrained(name)
        model = transformers.VisionEncoderDecoderModel.from_pretrained(name).eval()
    except OSError as error:
        raise OSError(
            f"the model {name!r} is not stored on this machine and could not be fetched from "
            "huggingface.co"
        ) from error

    @torch.no_grad()
    def encode(some):
        pixels = process(list(some), return_tensors="pt").pixel_values
        return model.encoder(pixels).last_hidden_state.mean(dim=1).numpy()

    @torch.no_grad()
    def generate(codes, **options):
        seen = BaseModelOutput(last_hidden_state=torch.as_tensor(codes)[:, None])
        tokens = model.generate(encoder_outputs=seen, max_new_tokens=max_words, **options)
        written = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [caption.strip() for caption in written]

    def write(codes):
        return generate(codes, do_sample=False, num_beams=1)

    def write_samples(codes, n_samples, rng):
        with torch.random.fork_rng():  # transformers draws from torch's global generator
            torch.manual_seed(int(rng.integers(2**31)))
            flat = generate(codes, do_sample=True, num_return_sequences=n_samples)
        return [flat[i : i + n_samples] for i in range(0, len(flat), n_samples)]

    parts = [encode(images[i : i + batch_size]) for i in range(0, len(images), batch_size)]
    return load_codes(np.concatenate(parts), write, write_samples)
