"""Captions from codes of any model: an array of codes, and a way to write from them.

`load_codes` puts both behind the names of `Captioner`, so that the analysis of a chapter runs on
codes from elsewhere. `load_hugging_face` does so for a published image-to-text model; it needs the
package transformers, which this project does not depend on, and the model's files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import Randomness, as_array, generator, whole
from hblib.models._autoencoder import check_codes


@dataclass(frozen=True)
class LoadedCaptioner:
    """Codes with a decoder from elsewhere; made by `load_codes` or `load_hugging_face`.

    Attributes
    ----------
    codes : ndarray of float32, shape (n_samples, n_latent)
    write : callable
        From codes (n_samples, n_latent) to a list of captions, the likeliest ones.
    write_samples : callable or None
        From codes, a number of samples and a `numpy.random.Generator` to a list of lists of
        captions.
    """

    codes: np.ndarray
    write: Callable
    write_samples: Callable | None = None

    @property
    def n_latent(self) -> int:
        """Length of a code."""
        return self.codes.shape[1]

    def greedy(self, codes: ArrayLike | torch.Tensor) -> list[str]:
        """Return the likeliest caption of each code, as the decoder finds it."""
        return list(self.write(check_codes(codes, self.n_latent)))

    def sample(
        self, codes: ArrayLike | torch.Tensor, n_samples: int, rng: Randomness = None
    ) -> list[list[str]]:
        """Draw `n_samples` captions per code."""
        if self.write_samples is None:
            raise ValueError("write_samples was not given: this decoder cannot sample")
        codes, n_samples = check_codes(codes, self.n_latent), whole("n_samples", n_samples)
        drawn = self.write_samples(codes, n_samples, generator(rng))
        return [list(captions) for captions in drawn]


def load_codes(
    codes: ArrayLike | torch.Tensor | str | Path,
    write: Callable[[np.ndarray], list[str]],
    write_samples: Callable | None = None,
) -> LoadedCaptioner:
    """Make a captioner of codes of any model.

    Parameters
    ----------
    codes : array_like of shape (n_samples, n_latent), or str or Path
        The codes, or an ``.npy`` file that holds them.
    write, write_samples : callable
        See `LoadedCaptioner`.

    Returns
    -------
    LoadedCaptioner

    Raises
    ------
    ValueError
        If codes are no finite matrix.

    Examples
    --------
    >>> codes = np.eye(2)
    >>> model = load_codes(codes, lambda z: ["a cat" if row[0] > row[1] else "a dog" for row in z])
    >>> model.greedy(codes)
    ['a cat', 'a dog']
    """
    if isinstance(codes, str | Path):
        codes = np.load(codes, allow_pickle=False)
    codes = as_array("codes", codes, 2).astype(np.float32, copy=False)
    return LoadedCaptioner(codes, write, write_samples)


def load_hugging_face(
    images: ArrayLike,
    name: str = "nlpconnect/vit-gpt2-image-captioning",
    batch_size: int = 16,
    max_words: int = 20,
) -> LoadedCaptioner:
    """Return codes of pictures, and the decoder, of an image-to-text model from huggingface.co.

    The model must be a ``VisionEncoderDecoderModel``. Its encoder gives a vector for each patch of
    the picture. The code is their mean, and the decoder is shown nothing else: a narrower
    bottleneck than it was trained with, so compare `greedy` with the model's own captions before
    reading anything into the codes.

    Parameters
    ----------
    images : array_like of uint8, shape (n_samples, height, width, 3)
    name : str
        On huggingface.co, or a folder.
    batch_size : int
        Pictures encoded at a time.
    max_words : int
        Longest caption, in tokens of the model.

    Returns
    -------
    LoadedCaptioner

    Raises
    ------
    ImportError
        If transformers is not installed.
    OSError
        If the model is neither stored here nor can be fetched.

    Examples
    --------
    >>> model = load_hugging_face(images)                               # doctest: +SKIP
    >>> model.greedy(model.codes)                                       # doctest: +SKIP
    """
    try:
        import transformers
        from transformers.modeling_outputs import BaseModelOutput
    except ImportError:
        raise ImportError(
            "load_hugging_face needs the package transformers: pip install transformers"
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
    def encode(batch):
        pixels = process(list(batch), return_tensors="pt").pixel_values
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
