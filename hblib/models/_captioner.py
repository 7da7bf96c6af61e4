"""A network that writes captions, from pictures through one code to words.

A convolutional encoder turns a picture into a code of `n_latent` numbers: the bottleneck, or
thought vector. The decoder is a gated recurrent network that sees nothing of the picture but that
code, and gives a distribution over the next word at each step. Encoder and decoder are trained
together on pictures with captions, by maximum likelihood.

`train` gives a `Captioner`. `hblib.loaded_captioner` puts codes and a decoder from elsewhere behind
the same names.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from hblib.worlds._scenes import VOCABULARY

BOTTLENECKS = ("relu", "linear")
# Word 0 ends a caption. It also stands before the first word, where it cannot be mistaken.
END = 0
WORDS = ("<end>", *VOCABULARY)
_LABELS = 0.3  # weight of the loss on words beside that on captions
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
        # Pixels as the last axis in memory is how they come, and the faster order.
        pixels = (images.to(torch.float32) / 255 - 0.5).permute(0, 3, 1, 2)
        return self.features(pixels)

    def encode(self, features):
        code = self.normalise(self.to_code(features))
        return torch.relu(code) if self.bottleneck == "relu" else code

    def begin(self, codes):
        """State of the decoder before the first word: the hidden units, then the context."""
        return torch.cat([torch.tanh(self.to_state(codes)), self.to_context(codes)], dim=1)

    def read(self, state, words):
        """Logits after each of `words` (n, length), and the state after the last."""
        hidden, context = state.split([self.gru.hidden_size, self.gru.input_size], dim=1)
        outputs, hidden = self.gru(self.embedding(words) + context[:, None], hidden[None])
        return self.to_words(outputs), torch.cat([hidden[0], context], dim=1)

    def loss(self, codes, targets, lengths):
        """Mean of the negative log-probabilities of the words of captions."""
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
    """A trained captioning network.

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

    def encode(self, images):
        """Codes of pictures.

        Parameters
        ----------
        images : array of uint8, (n, 64, 64, 3)

        Returns
        -------
        numpy.ndarray of float32, shape (n, n_latent)
        """
        images = np.asarray(images)
        if images.ndim != 4 or images.shape[1:] != (64, 64, 3) or len(images) == 0:
            raise ValueError(
                f"images must have the shape (n, 64, 64, 3) with n at least 1, got {images.shape}"
            )
        with torch.no_grad():
            parts = [
                self.network.encode(self.network.see(torch.as_tensor(images[i : i + 500])))
                for i in range(0, len(images), 500)
            ]
        return torch.cat(parts).numpy()

    def begin(self, codes):
        """State of the decoder before the first word, one row a code; see `step`."""
        codes = checked_codes(codes, self.n_latent)
        with torch.no_grad():
            return self.network.begin(torch.as_tensor(codes))

    def step(self, state, words):
        """Read one word more and predict the next.

        Parameters
        ----------
        state : torch.Tensor, (n, n_state)
            From `begin` or `step`; rows may be repeated, left out or put in another order.
        words : array of int, (n,)
            Indices into `WORDS`; `END` before the first word.

        Returns
        -------
        log_probability : numpy.ndarray of float64, shape (n, n_words)
        state : torch.Tensor
        """
        with torch.no_grad():
            words = torch.as_tensor(np.asarray(words, dtype=np.int64))[:, None]
            logits, state = self.network.read(state, words)
            return torch.log_softmax(logits[:, -1].double(), dim=1).numpy(), state

    def greedy(self, codes):
        """The caption that takes the likeliest word at each step.

        Parameters
        ----------
        codes : array, (n, n_latent)

        Returns
        -------
        list of str
        """
        return self._write(codes, lambda logits: logits.argmax(axis=1))

    def sample(self, codes, n_samples, rng, temperature=1.0):
        """Captions at random, from the distribution of the decoder.

        Parameters
        ----------
        codes : array, (n, n_latent)
        n_samples : int
            Captions for each code.
        rng : numpy.random.Generator or int
        temperature : float > 0
            Divides the log-probabilities: below 1 for likelier captions only, above for more
            variety.

        Returns
        -------
        list of list of str
        """
        if not isinstance(n_samples, int | np.integer) or n_samples < 1:
            raise ValueError(f"n_samples must be a positive integer, got {n_samples!r}")
        if not temperature > 0:
            raise ValueError(f"temperature must be positive, got {temperature!r}")
        rng = np.random.default_rng(rng)

        def choose(logits):
            # The largest of logits plus Gumbel noise is a draw from their softmax.
            return (logits / temperature + rng.gumbel(size=logits.shape)).argmax(axis=1)

        written = self._write(
            np.repeat(checked_codes(codes, self.n_latent), n_samples, axis=0), choose
        )
        return [written[i : i + n_samples] for i in range(0, len(written), n_samples)]

    def beam(self, codes, width):
        """The likeliest caption that a beam search finds.

        Parameters
        ----------
        codes : array, (n, n_latent)
        width : int
            How many beginnings of captions are kept at each step; 1 is `greedy`.

        Returns
        -------
        list of str
        """
        if not isinstance(width, int | np.integer) or width < 1:
            raise ValueError(f"width must be a positive integer, got {width!r}")
        return [self._beam(code[None], int(width)) for code in checked_codes(codes, self.n_latent)]

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

    def log_probability(self, codes, captions):
        """Log-probability that the decoder gives to captions, their ends included.

        Parameters
        ----------
        codes : array, (n, n_latent)
        captions : list of str
            One a code.

        Returns
        -------
        numpy.ndarray of float64, shape (n,)
        """
        codes = checked_codes(codes, self.n_latent)
        if len(captions) != len(codes):
            raise ValueError(
                f"captions must be one a code, got {len(captions)} captions and {len(codes)} codes"
            )
        targets = _tokens(captions)
        with torch.no_grad():
            logits, _ = self.network.read(self.begin(codes), _shifted(targets))
            log_probability = torch.log_softmax(logits.double(), dim=2)
        return -functional.nll_loss(log_probability.mT, targets, reduction="none").sum(1).numpy()

    def save(self, path):
        """Write the network to a file that `load` reads."""
        torch.save({"settings": _settings(self), "weights": self.network.state_dict()}, path)


def checked_codes(codes, n_latent):
    """Codes as float32, refused unless of the shape (n, n_latent) with n at least 1."""
    codes = np.asarray(codes, dtype=np.float32)
    if codes.ndim != 2 or codes.shape[1] != n_latent or len(codes) == 0:
        raise ValueError(
            f"codes must have the shape (n, {n_latent}) with n at least 1, got {codes.shape}"
        )
    return codes


def train(
    scenes,
    n_latent=256,
    bottleneck="relu",
    seed=0,
    n_epochs=4,
    *,
    n_pretraining=1,
    n_hidden=128,
    n_embedding=64,
    batch_size=36,
    learning_rate=1.4e-2,
):
    """Train encoder and decoder on the captions of pictures.

    The convolutions first learn alone, to tell which words occur in the captions of a picture; the
    source's encoder, too, had been trained to classify pictures before. Then all parts are trained
    together on the captions. The words stay as a side task of the convolutions to the end; nothing
    but captions is asked of the code itself.

    Parameters
    ----------
    scenes : hblib.scenes.Scenes
        In each epoch one of the captions of each picture is used, drawn at random, and half of the
        pictures are mirrored.
    n_latent : int
        Units of the bottleneck.
    bottleneck : {"relu", "linear"}
        Its activation.
    seed : int
        Of the initial weights, and of the order of pictures and captions.
    n_epochs : int
        Passes over the pictures with captions.
    n_pretraining : int
        Passes before them with words only. With 0 of both the network is untrained.
    n_hidden, n_embedding : int
        Hidden units of the recurrent decoder, and length of the vector of a word.
    batch_size : int
    learning_rate : float
        Largest step of Adam, reached after a tenth of the training and lowered to 0 at its end.

    Returns
    -------
    Captioner
    """
    if bottleneck not in BOTTLENECKS:
        raise ValueError(f"bottleneck must be one of {', '.join(BOTTLENECKS)}, got {bottleneck!r}")
    for name, value, least in (
        ("n_latent", n_latent, 1),
        ("n_epochs", n_epochs, 0),
        ("n_pretraining", n_pretraining, 0),
        ("n_hidden", n_hidden, 1),
        ("n_embedding", n_embedding, 1),
        ("batch_size", batch_size, 2),
    ):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} must be an integer, at least {least}, got {value!r}")
    if not learning_rate > 0:
        raise ValueError(f"learning_rate must be positive, got {learning_rate!r}")
    if len(scenes) < 2 or not all(scenes.captions):
        raise ValueError(
            f"scenes must hold at least 2 pictures, each with a caption, got {len(scenes)} pictures"
        )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _Network(n_latent, bottleneck, n_hidden, n_embedding)
        to_labels = nn.Linear(
            network.to_code.in_features, len(WORDS)
        )  # reads the features, not the code
    if n_pretraining + n_epochs:
        _fit(network, to_labels, scenes, seed, n_pretraining, n_epochs, batch_size, learning_rate)
    network.eval().requires_grad_(False)
    return Captioner(network, int(n_latent), bottleneck)


def _fit(network, to_labels, scenes, seed, n_pretraining, n_epochs, batch_size, learning_rate):
    images = torch.as_tensor(scenes.images)
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
            loss = (
                _LABELS
                * functional.binary_cross_entropy_with_logits(
                    to_labels(features), labels[batch], reduction="sum"
                )
                / len(batch)
            )
            if epoch >= n_pretraining:
                codes = network.encode(features)
                loss = loss + network.loss(codes, tokens[chosen[batch]], lengths[chosen[batch]])
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimiser.step()
            schedule.step()
    network.eval()


def load(path):
    """Read a network that `Captioner.save` has written."""
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
    """Captions as indices, each with its end, padded: int64 tensor (n, longest + 1)."""
    split = [caption.split() for caption in captions]
    if unknown := sorted({word for words in split for word in words} - set(VOCABULARY)):
        raise ValueError(f"captions hold words outside the vocabulary: {', '.join(unknown)}")
    tokens = np.full((len(split), max(map(len, split)) + 1), _PADDING)
    for row, words in zip(tokens, split):
        row[: len(words)] = [_INDEX[word] for word in words]
        row[len(words)] = END
    return torch.as_tensor(tokens)


def _shifted(targets):
    """What the decoder reads before it predicts each target; padding may be any word."""
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
