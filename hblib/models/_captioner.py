"""A network that writes captions, from pictures through one code to words.

A convolutional encoder turns a picture into a code of `n_latent` numbers: the bottleneck, or
thought vector. The decoder is a gated recurrent network that sees nothing of the picture but that
code, and gives a distribution over the next word at each step. Encoder and decoder are trained
together on pictures with captions, by maximum likelihood.

`train_captioner` gives a `Captioner`. `load_codes` puts codes and a decoder from elsewhere behind
the same names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional

from hblib._checks import Randomness, choice, generator, number, whole
from hblib.models._autoencoder import as_seed, check_codes
from hblib.worlds import CAPTION_VOCABULARY

if TYPE_CHECKING:
    from hblib.worlds import Scenes

BOTTLENECKS = ("relu", "linear")
# Word 0 ends a caption. It also stands before the first word, where it cannot be mistaken.
END = 0
WORDS = ("<end>", *CAPTION_VOCABULARY)
_LABELS = 0.3  # weight of the loss on words relative to that on captions
_INDEX = {word: i for i, word in enumerate(WORDS)}
MAX_WORDS = 24


class _Network(nn.Module):
    def __init__(self, n_latent, bottleneck, n_hidden, n_embedding):
        super().__init__()
        self.bottleneck = bottleneck
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 4, stride=4),
            nn.BatchNorm2d(16),
            nn.ReLU(),  # 64 x 64 to 16 x 16
            nn.Conv2d(16, 32, 4, stride=2, padding=1),
            nn.BatchNorm2d(32),
            nn.ReLU(),  # 8 x 8
            nn.Conv2d(32, 64, 4, stride=2, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),  # 4 x 4
            nn.Flatten(),
        ).to(memory_format=torch.channels_last)
        # Normalised, so that about half of the units are above zero and none dies.
        self.to_code = nn.Linear(64 * 4 * 4, n_latent)
        self.normalise = nn.BatchNorm1d(n_latent)
        self.to_state = nn.Linear(n_latent, n_hidden)
        self.to_context = nn.Linear(n_latent, n_embedding)
        self.embedding = nn.Embedding(len(WORDS), n_embedding)
        self.gru = nn.GRU(n_embedding, n_hidden, batch_first=True)
        self.to_words = nn.Linear(n_hidden, len(WORDS))

    def see(self, images):
        """Return what the convolutions make of pictures."""
        # Colours are the last axis in memory: how they come, and the faster order.
        pixels = (images.to(torch.float32) / 255 - 0.5).permute(0, 3, 1, 2)
        return self.features(pixels)

    def encode(self, features):
        """Return the codes of what the convolutions made."""
        code = self.normalise(self.to_code(features))
        return torch.relu(code) if self.bottleneck == "relu" else code

    def begin(self, codes):
        """Return the decoder's state before the first word: the hidden units, then the context."""
        return torch.cat([torch.tanh(self.to_state(codes)), self.to_context(codes)], dim=1)

    def read(self, state, words):
        """Return the logits after each of `words` (n, length), and the state after the last."""
        hidden, context = state.split([self.gru.hidden_size, self.gru.input_size], dim=1)
        outputs, hidden = self.gru(self.embedding(words) + context[:, None], hidden[None])
        return self.to_words(outputs), torch.cat([hidden[0], context], dim=1)

    def loss(self, codes, targets, lengths):
        """Return the mean negative log-probability of the words of captions."""
        hidden, context = self.begin(codes).split([self.gru.hidden_size, self.gru.input_size], 1)
        read = self.embedding(_shifted(targets)) + context[:, None]
        # Packed: no time is spent on the padding behind short captions.
        read, targets = (
            nn.utils.rnn.pack_padded_sequence(
                padded, torch.as_tensor(lengths), batch_first=True, enforce_sorted=False
            )
            for padded in (read, targets)
        )
        outputs, _ = self.gru(read, hidden[None])
        return functional.cross_entropy(self.to_words(outputs.data), targets.data)


@dataclass(frozen=True)
class Captioner:
    """A trained captioning network, made by `train_captioner` or `load_captioner`.

    Attributes
    ----------
    network : torch.nn.Module
    n_latent : int
        Length of a code.
    bottleneck : {"relu", "linear"}
        What makes the code: with "relu" no entry is negative.
    """

    network: nn.Module
    n_latent: int
    bottleneck: str

    def encode(self, images: ArrayLike | torch.Tensor) -> np.ndarray:
        """Return the codes of pictures.

        Parameters
        ----------
        images : array_like of uint8, shape (n_samples, 64, 64, 3)

        Returns
        -------
        ndarray of float32, shape (n_samples, n_latent)

        Raises
        ------
        ValueError
            If pictures have another size or other numbers.
        """
        if isinstance(images, torch.Tensor):
            images = images.detach().cpu()
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != (64, 64, 3) or len(images) == 0:
            raise ValueError(
                f"images must have the shape (n, 64, 64, 3) with n at least 1, got {images.shape}"
            )
        if images.dtype != np.uint8:
            raise ValueError(f"images must be uint8, from 0 to 255, not {images.dtype}")
        images = np.require(images, requirements=["C", "W"])
        with torch.no_grad():
            parts = [
                self.network.encode(self.network.see(torch.as_tensor(images[i : i + 500])))
                for i in range(0, len(images), 500)
            ]
        return torch.cat(parts).numpy()

    def begin(self, codes: ArrayLike | torch.Tensor) -> torch.Tensor:
        """Return the decoder's state before the first word, one row per code; see `step`."""
        codes = check_codes(codes, self.n_latent)
        with torch.no_grad():
            return self.network.begin(torch.tensor(codes))

    def step(self, state: torch.Tensor, words: ArrayLike) -> tuple[np.ndarray, torch.Tensor]:
        """Read one more word and predict the next.

        Parameters
        ----------
        state : torch.Tensor of shape (n_samples, n_state)
            From `begin` or `step`; rows may be repeated, left out or reordered.
        words : array_like of int, shape (n_samples,)
            Indices into `WORDS`; `END` before the first word.

        Returns
        -------
        log_probability : ndarray of float64, shape (n_samples, n_words)
        state : torch.Tensor
        """
        with torch.no_grad():
            words = torch.as_tensor(np.asarray(words, dtype=np.int64))[:, None]
            logits, state = self.network.read(state, words)
            return torch.log_softmax(logits[:, -1].double(), dim=1).numpy(), state

    def greedy(self, codes: ArrayLike | torch.Tensor) -> list[str]:
        """Return the caption that takes the likeliest word at each step.

        Parameters
        ----------
        codes : array_like of shape (n_samples, n_latent)

        Returns
        -------
        list of str
        """
        return self._write(codes, lambda logits: logits.argmax(axis=1))

    def sample(
        self,
        codes: ArrayLike | torch.Tensor,
        n_samples: int,
        rng: Randomness = None,
        temperature: float = 1.0,
    ) -> list[list[str]]:
        """Draw captions from the decoder's distribution.

        Parameters
        ----------
        codes : array_like of shape (n_codes, n_latent)
        n_samples : int
            Captions per code.
        rng : int, sequence of int, Generator or None
        temperature : float > 0
            Divides the log-probabilities: below 1 favours likelier captions, above 1 gives more
            variety.

        Returns
        -------
        list of list of str
        """
        n_samples = whole("n_samples", n_samples)
        temperature = number("temperature", temperature, above=0)
        rng = generator(rng)

        def choose(logits):
            # The largest of logits plus Gumbel noise is a draw from their softmax.
            return (logits / temperature + rng.gumbel(size=logits.shape)).argmax(axis=1)

        codes = check_codes(codes, self.n_latent)
        written = self._write(np.repeat(codes, n_samples, axis=0), choose)
        return [written[i : i + n_samples] for i in range(0, len(written), n_samples)]

    def beam(self, codes: ArrayLike | torch.Tensor, width: int) -> list[str]:
        """Return the likeliest caption that a beam search finds.

        Parameters
        ----------
        codes : array_like of shape (n_samples, n_latent)
        width : int
            How many beginnings of captions are kept at each step; 1 is `greedy`.

        Returns
        -------
        list of str
        """
        width = whole("width", width)
        return [self._beam(code[None], width) for code in check_codes(codes, self.n_latent)]

    def _beam(self, code, width):
        state, words, totals, written = self.begin(code), np.array([END]), np.zeros(1), [()]
        best, best_total = (), -np.inf
        for _ in range(MAX_WORDS + 1):
            log_probability, state = self.step(state, words)
            total = totals[:, None] + log_probability
            kept = np.argsort(-total, axis=None, kind="stable")[:width]
            rows, words = np.unravel_index(kept, total.shape)
            totals = total.ravel()[kept]
            for row, word, value in zip(rows, words, totals):
                if word == END and value > best_total:
                    best, best_total = written[row], value
            going = words != END
            rows, words, totals = rows[going], words[going], totals[going]
            # A beginning only loses probability as it goes on.
            if len(words) == 0 or totals[0] <= best_total:
                break
            written = [(*written[row], word) for row, word in zip(rows, words)]
            state = state[rows]
        else:
            best = best or written[0]
        return _sentence(best[:MAX_WORDS])

    def _write(self, codes, choose):
        state = self.begin(codes)
        words, going = np.full(len(state), END), np.arange(len(state))
        written = np.full((len(state), MAX_WORDS), END)
        for position in range(MAX_WORDS):
            with torch.no_grad():
                logits, state = self.network.read(state, torch.as_tensor(words)[:, None])
            words = choose(logits[:, 0].numpy())
            more = words != END  # no time is spent on captions that have ended
            words, going, state = words[more], going[more], state[more]
            written[going, position] = words
            if len(going) == 0:
                break
        return [_sentence(row) for row in written]

    def log_probability(
        self, codes: ArrayLike | torch.Tensor, captions: Sequence[str]
    ) -> np.ndarray:
        """Return the log-probability that the decoder gives to captions, ends included.

        Parameters
        ----------
        codes : array_like of shape (n_samples, n_latent)
        captions : sequence of str
            One per code.

        Returns
        -------
        ndarray of float64, shape (n_samples,)
        """
        codes = check_codes(codes, self.n_latent)
        if isinstance(captions, str) or len(captions) != len(codes):
            raise ValueError(
                f"captions must be one per code, got {len(captions)} for {len(codes)} codes"
            )
        targets = _tokens(captions)
        with torch.no_grad():
            logits, _ = self.network.read(self.begin(codes), _shifted(targets))
            log_probability = torch.log_softmax(logits.double(), dim=2)
        return -functional.nll_loss(log_probability.mT, targets, reduction="none").sum(1).numpy()

    def save(self, path: str | Path) -> None:
        """Write the network to a file that `load_captioner` reads."""
        torch.save({"settings": _settings(self), "weights": self.network.state_dict()}, path)


def train_captioner(
    scenes: Scenes,
    n_latent: int = 256,
    bottleneck: str = "relu",
    rng: Randomness = 0,
    n_epochs: int = 4,
    *,
    n_pretraining: int = 1,
    n_hidden: int = 128,
    n_embedding: int = 64,
    batch_size: int = 36,
    learning_rate: float = 1.4e-2,
) -> Captioner:
    """Train encoder and decoder on pictures with captions.

    First the convolutions alone learn to tell which words occur in a picture's captions; the
    source's encoder, too, had been trained to classify pictures before. Then all parts are trained
    together on the captions. Predicting the words stays a side task of the convolutions to the end;
    the code itself is trained on captions alone.

    Parameters
    ----------
    scenes : hblib.worlds.Scenes
        In each epoch one of the captions of each picture is used, drawn at random, and half of the
        pictures are mirrored.
    n_latent : int
        Units of the bottleneck.
    bottleneck : {"relu", "linear"}
        Its activation.
    rng : int, sequence of int, Generator or None
        Decides the initial weights, and the order of pictures and captions. An int is the seed
        itself; of anything else one is drawn.
    n_epochs : int
        Passes over the pictures with captions.
    n_pretraining : int
        Passes before them with words only. With 0 of both the network is untrained.
    n_hidden, n_embedding : int
        Hidden units of the recurrent decoder, and length of a word's vector.
    batch_size : int
        At least 2.
    learning_rate : float
        Peak of Adam's learning rate, reached after a tenth of the training and lowered to 0 at its
        end.

    Returns
    -------
    Captioner

    Raises
    ------
    ValueError
        If an option is not allowed, or a caption has a word outside the vocabulary.

    Examples
    --------
    >>> from hblib import worlds
    >>> scenes = worlds.draw_scenes(8, rng=0)
    >>> captioner = train_captioner(scenes, n_latent=4, n_epochs=1, batch_size=4)
    >>> codes = captioner.encode(scenes.images)
    >>> codes.shape, len(captioner.greedy(codes))
    ((8, 4), 8)
    """
    choice("bottleneck", bottleneck, BOTTLENECKS)
    n_latent = whole("n_latent", n_latent)
    n_epochs = whole("n_epochs", n_epochs, 0)
    n_pretraining = whole("n_pretraining", n_pretraining, 0)
    n_hidden, n_embedding = whole("n_hidden", n_hidden), whole("n_embedding", n_embedding)
    batch_size = whole("batch_size", batch_size, 2)
    learning_rate = number("learning_rate", learning_rate, above=0)
    if len(scenes) < 2 or not all(scenes.captions):
        raise ValueError(
            f"scenes must hold at least 2 pictures, each with a caption, got {len(scenes)} pictures"
        )
    seed = as_seed(rng)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _Network(n_latent, bottleneck, n_hidden, n_embedding)
        # Reads the features, not the code.
        to_labels = nn.Linear(network.to_code.in_features, len(WORDS))
    if n_pretraining + n_epochs:
        _fit(network, to_labels, scenes, seed, n_pretraining, n_epochs, batch_size, learning_rate)
    network.eval().requires_grad_(False)
    return Captioner(network, n_latent, bottleneck)


def _fit(network, to_labels, scenes, seed, n_pretraining, n_epochs, batch_size, learning_rate):
    images = torch.as_tensor(np.require(scenes.images, requirements=["C", "W"]))
    tokens = _tokens([caption for captions in scenes.captions for caption in captions])
    lengths = (tokens != _PADDING).sum(dim=1).numpy()
    n_captions = np.array([len(captions) for captions in scenes.captions])
    first = np.cumsum(n_captions) - n_captions
    labels = torch.zeros(len(n_captions), len(WORDS))  # share of the captions that have the word
    picture = torch.as_tensor(np.repeat(np.arange(len(n_captions)), n_captions))
    present = torch.zeros(len(tokens), len(WORDS)).scatter_(1, tokens.clamp(min=END), 1.0)
    labels.index_add_(0, picture, present).div_(torch.as_tensor(n_captions)[:, None])

    rng = np.random.default_rng(seed)
    parameters = [*network.parameters(), *to_labels.parameters()]
    # The training is short: the sizes of gradients are averaged over tens of steps, not thousands.
    optimiser = torch.optim.Adam(parameters, lr=learning_rate, betas=(0.9, 0.98), fused=True)
    n_batches = max(1, len(images) // batch_size)  # equal parts: none has a single picture
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        learning_rate,
        (n_pretraining + n_epochs) * n_batches,
        pct_start=0.1,
        cycle_momentum=False,
    )
    network.train()
    for epoch in range(n_pretraining + n_epochs):
        chosen = first + rng.integers(n_captions)
        for batch in np.array_split(rng.permutation(len(images)), n_batches):
            pictures = images[batch]
            if rng.random() < 0.5:
                pictures = pictures.flip(2)
            features = network.see(pictures)
            missed = functional.binary_cross_entropy_with_logits(
                to_labels(features), labels[batch], reduction="sum"
            )
            loss = _LABELS * missed / len(batch)
            if epoch >= n_pretraining:
                codes = network.encode(features)
                loss = loss + network.loss(codes, tokens[chosen[batch]], lengths[chosen[batch]])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
    network.eval()


def load_captioner(path: str | Path) -> Captioner:
    """Read a captioner that `Captioner.save` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Captioner

    Raises
    ------
    ValueError
        If the file holds anything else.

    Examples
    --------
    >>> import os, tempfile
    >>> from hblib import worlds
    >>> captioner = train_captioner(worlds.draw_scenes(2, rng=0), 4, n_epochs=0, n_pretraining=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     captioner.save(os.path.join(folder, "captioner.pt"))
    ...     load_captioner(os.path.join(folder, "captioner.pt")).n_latent
    4
    """
    try:
        stored = torch.load(Path(path), weights_only=True)
        network = _Network(**stored["settings"])
        network.load_state_dict(stored["weights"])
    except OSError:
        raise
    except Exception:  # torch and pickle raise all sorts, with advice to load it unsafely
        raise ValueError(f"path must be a file that Captioner.save wrote, got {path}") from None
    network.eval().requires_grad_(False)
    return Captioner(network, stored["settings"]["n_latent"], stored["settings"]["bottleneck"])


_PADDING = -100  # the index that torch's losses ignore


def _tokens(captions):
    """Return captions as indices, ends included, padded: int64 tensor (n, longest + 1)."""
    split = [caption.split() for caption in captions]
    if unknown := sorted({word for words in split for word in words} - set(CAPTION_VOCABULARY)):
        raise ValueError(f"captions hold words outside the vocabulary: {', '.join(unknown)}")
    tokens = np.full((len(split), max(map(len, split)) + 1), _PADDING)
    for row, words in zip(tokens, split):
        row[: len(words)] = [_INDEX[word] for word in words]
        row[len(words)] = END
    return torch.as_tensor(tokens)


def _shifted(targets):
    """Return what the decoder reads before each target; padding may be any word."""
    return functional.pad(targets[:, :-1], (1, 0), value=END).clamp(min=0)


def _sentence(words):
    return " ".join(WORDS[word] for word in words if word != END)


def _settings(captioner):
    gru = captioner.network.gru
    return {
        "n_latent": captioner.n_latent,
        "bottleneck": captioner.bottleneck,
        "n_hidden": gru.hidden_size,
        "n_embedding": gru.input_size,
    }
