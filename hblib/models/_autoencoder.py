"""A variational autoencoder for small pictures, fast enough to train in front of the reader.

The encoder cuts a picture into patches and turns each into a few channels by the same linear map
and a ReLU; further layers, if any, join 2 x 2 patches in the same way. A last linear map reads mean
and log variance of the code off all patches. The decoder runs the same steps backwards. These are
convolutions whose stride is their width, so every layer is one matrix product.

Training minimises the negative evidence lower bound (Kingma and Welling 2014, equation 10)

    E |x - decode(code)|^2 / (2 noise^2) + beta KL(code | standard normal),

where beta is 1 in the bound itself (Higgins et al. 2017 vary it).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn
from torch.nn import functional

from hblib._checks import Randomness, as_array, choice, generator, number, whole
from hblib.rotation import Muon

if TYPE_CHECKING:
    import pandas as pd

BOTTLENECKS = ("signed", "relu")
LIKELIHOODS = ("gaussian", "bernoulli")
OPTIMISERS = ("muon", "adam")


@dataclass(frozen=True)
class AutoencoderSettings:
    """All that a network and its training depend on besides the pictures.

    Attributes
    ----------
    n_latent : int
        Numbers in a code.
    patch : int
        Side of the patches that the first layer reads, pixels.
    channels : tuple of int
        Of the first layer and of each one after it, which halves the grid of patches. The side of
        the pictures must be a multiple of ``patch * 2 ** (len(channels) - 1)``.
    bottleneck : {"signed", "relu"}
        Whether the decoder reads codes of both signs, or codes cut off at zero.
    likelihood : {"gaussian", "bernoulli"}
        Distribution of pixels about the decoded picture.
    noise : float
        Standard deviation of a pixel, for the Gaussian likelihood; pixels lie in [0, 1].
    beta : float
        Weight of the divergence of the codes from a standard normal distribution.
    n_epochs : int
        Passes over the pictures; 0 leaves the network untrained.
    batch_size : int
        Pictures per step.
    optimiser : {"muon", "adam"}
        Muon gives each step of a weight matrix equal singular values; Adam scales every weight by
        itself. On generated faces Muon reaches 0.6 of Adam's squared error in equal time. With
        hundreds of numbers in a code its own matrix products cost more than the network's, unless
        batches are as large: take Adam there.
    learning_rate : float
        Peak of a one-cycle schedule. 0.03 suits Muon, 0.003 Adam.
    seed : int
        Decides the initial weights, the order of the pictures and the noise in the codes.
    """

    n_latent: int = 96
    patch: int = 8
    channels: tuple[int, ...] = (96,)
    bottleneck: str = "signed"
    likelihood: str = "gaussian"
    noise: float = 0.07
    beta: float = 1.0
    n_epochs: int = 5
    batch_size: int = 64
    optimiser: str = "muon"
    learning_rate: float = 0.03
    seed: int = 0

    def __post_init__(self):
        def keep(name, value):  # Python's own numbers, which a saved file may hold
            object.__setattr__(self, name, value)

        for name, least in (("n_latent", 1), ("patch", 1), ("batch_size", 1), ("n_epochs", 0)):
            keep(name, whole(name, getattr(self, name), least))
        if not isinstance(self.channels, tuple | list) or not self.channels:
            raise ValueError(f"channels must be a tuple of whole numbers, got {self.channels!r}")
        keep("channels", tuple(whole("channels", channels) for channels in self.channels))
        for name in ("noise", "learning_rate"):
            keep(name, number(name, getattr(self, name), above=0))
        keep("beta", number("beta", self.beta, 0))
        for name, allowed in (
            ("bottleneck", BOTTLENECKS),
            ("likelihood", LIKELIHOODS),
            ("optimiser", OPTIMISERS),
        ):
            choice(name, getattr(self, name), allowed)


# --- the network ---------------------------------------------------------------------------------


class _Network(nn.Module):
    """The layers; pictures and maps have the shape (n, height, width, channels)."""

    def __init__(self, settings, shape):
        super().__init__()
        self.settings = settings
        side, _, colours = shape
        patch, channels = settings.patch, settings.channels
        self.folds = [patch] + [2] * (len(channels) - 1)
        self.grid = side // math.prod(self.folds)
        inputs = [colours * patch**2, *(4 * c for c in channels[:-1])]
        flat = self.grid**2 * channels[-1]
        n = settings.n_latent
        self.down = nn.ModuleList(nn.Linear(a, b) for a, b in zip(inputs, channels))
        self.to_code = nn.Linear(flat, 2 * n)
        self.from_code = nn.Linear(n, flat)
        self.up = nn.ModuleList(
            nn.Linear(b, a) for a, b in zip(reversed(inputs), reversed(channels))
        )
        # The networks start from the mean picture: they have only the differences to learn.
        self.register_buffer("mean", torch.full(shape, 0.5))
        generator = torch.Generator().manual_seed(settings.seed)
        for layer in (*self.down, self.to_code, self.from_code, *self.up):
            nn.init.orthogonal_(layer.weight, math.sqrt(2), generator=generator)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.to_code.weight *= 0.5
            self.up[-1].weight *= 0.1

    def encoder(self, x):
        """Yield the activations of every layer; last mean and log variance side by side."""
        x = x - self.mean
        for layer, fold in zip(self.down, self.folds):
            x = torch.relu(layer(_space_to_depth(x, fold)))
            yield x
        yield self.to_code(x.flatten(1))

    def decoder(self, code):
        """Yield the activations of every layer; last the picture before its sigmoid."""
        x = torch.relu(self.from_code(code))
        x = x.unflatten(1, (self.grid, self.grid, -1))
        yield x
        for layer, fold in zip(self.up[:-1], reversed(self.folds[1:])):
            x = torch.relu(_depth_to_space(layer(x), fold))
            yield x
        yield _depth_to_space(self.up[-1](x), self.folds[0]) + torch.logit(self.mean, eps=0.02)

    def activation(self, code):
        """Turn a code into what the decoder reads."""
        return torch.relu(code) if self.settings.bottleneck == "relu" else code

    def loss(self, x, generator):
        """Squared error and divergence, each a sum over a picture, and their weighted sum."""
        *_, parameters = self.encoder(x)
        mean, log_variance = parameters.chunk(2, dim=1)
        noise = torch.randn(mean.shape, generator=generator)
        code = self.activation(mean + torch.exp(log_variance / 2) * noise)
        *_, logits = self.decoder(code)
        error = (torch.sigmoid(logits) - x).square().sum() / len(x)
        if self.settings.likelihood == "gaussian":
            nll = error / (2 * self.settings.noise**2)  # negative log-likelihood
        else:
            nll = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        divergence = _divergence(mean, log_variance).sum() / len(x)
        return error, divergence, nll + self.settings.beta * divergence


# torch's pixel_unshuffle does the same for channels first, and orders the new channels by colour
# and not by pixel: other initial weights, so other networks.


def _space_to_depth(x, fold):
    """Stack the pixels of each fold x fold square as channels."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height // fold, fold, width // fold, fold, channels)
    return x.transpose(2, 3).flatten(3)


def _depth_to_space(x, fold):
    """Undo `_space_to_depth`."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height, width, fold, fold, channels // fold**2)
    return x.transpose(2, 3).reshape(n, height * fold, width * fold, -1)


def _divergence(mean, log_variance):
    """Return the KL divergence of each entry of a code from the standard normal, in nats."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


# --- the trained autoencoder ---------------------------------------------------------------------


@dataclass(frozen=True)
class Autoencoder:
    """A trained autoencoder, made by `train_autoencoder` or `load_autoencoder`.

    Attributes
    ----------
    settings : AutoencoderSettings
    shape : tuple of int
        Height, width and colours of a picture.
    network : torch.nn.Module
    history : pandas.DataFrame
        One row per epoch: ``mse`` (mean squared error per pixel), ``divergence`` (nats per
        picture) and ``loss``, averages over the epoch with noise in the codes.
    """

    settings: AutoencoderSettings
    shape: tuple[int, int, int]
    network: _Network
    history: pd.DataFrame

    def encode(self, images: ArrayLike | torch.Tensor) -> np.ndarray:
        """Return the codes of pictures: the mean of the encoder's distribution.

        Parameters
        ----------
        images : array_like of shape (n_samples, height, width, n_colours)
            In [0, 1], or uint8 from 0 to 255.

        Returns
        -------
        ndarray of float32, shape (n_samples, n_latent)
            What the decoder reads.
        """
        images = _checked(images, self.shape)
        return self._in_batches(lambda x: self.network.activation(self._parameters(x)[0]), images)

    def divergence(self, images: ArrayLike | torch.Tensor) -> np.ndarray:
        """Return how much each entry of a code says about the picture.

        Parameters
        ----------
        images : array_like of shape (n_samples, height, width, n_colours)

        Returns
        -------
        ndarray of float32, shape (n_latent,)
            Mean divergence from the standard normal distribution, nats; 0 where the entry says
            nothing.
        """
        images = _checked(images, self.shape)
        return self._in_batches(lambda x: _divergence(*self._parameters(x)), images).mean(axis=0)

    def decode(self, codes: ArrayLike | torch.Tensor) -> np.ndarray:
        """Return the pictures that the decoder makes of codes.

        Parameters
        ----------
        codes : array_like of shape (n_samples, n_latent)

        Returns
        -------
        ndarray of float32, shape (n_samples, height, width, n_colours)
            In [0, 1].

        Raises
        ------
        ValueError
            If codes have another length or are not finite.
        """
        codes = check_codes(codes, self.settings.n_latent)
        return self._in_batches(lambda z: torch.sigmoid(list(self.network.decoder(z))[-1]), codes)

    def layers(self, images: ArrayLike | torch.Tensor) -> dict[str, np.ndarray]:
        """Return the activations of every layer when pictures are encoded and decoded again.

        Parameters
        ----------
        images : array_like of shape (n_samples, height, width, n_colours)

        Returns
        -------
        dict of str to ndarray
            From ``"encoder 1"`` through ``"code"`` to the last layer of the decoder before the
            picture; maps are (n_samples, height, width, channels).
        """
        images = _checked(images, self.shape)
        names = [f"encoder {i + 1}" for i in range(len(self.network.down))] + ["code"]
        names += [f"decoder {i + 1}" for i in range(len(self.network.up))]

        def every(x):
            *maps, parameters = self.network.encoder(x)
            code = self.network.activation(parameters.chunk(2, dim=1)[0])
            *unfolding, _ = self.network.decoder(code)
            return [*maps, code, *unfolding]

        return dict(zip(names, self._in_batches(every, images)))

    def untrained(self) -> Autoencoder:
        """Return the same network before its first step."""
        network = _Network(self.settings, self.shape)
        network.mean.copy_(self.network.mean)
        return Autoencoder(self.settings, self.shape, network, self.history[:0])

    def decoder_directions(self) -> np.ndarray:
        """Return the directions in code space to which the decoder's first layer responds.

        Returns
        -------
        ndarray of float32, shape (n_units, n_latent)
            Weights; rows are units, in the order of ``layers(images)["decoder 1"]`` flattened.
        """
        return self.network.from_code.weight.detach().numpy().copy()

    def save(self, path: str | Path) -> None:
        """Write settings, weights and history to a file that `load_autoencoder` reads."""
        content = {
            "settings": asdict(self.settings),
            "shape": list(self.shape),
            "weights": self.network.state_dict(),
            "history": self.history.to_dict("list"),
        }
        torch.save(content, path)

    def _parameters(self, x):
        *_, parameters = self.network.encoder(x)
        return parameters.chunk(2, dim=1)

    def _in_batches(self, function, data):
        out = None
        with torch.no_grad():
            for start in range(0, len(data), 250):
                parts = function(_as_tensor(data[start : start + 250]))
                several = isinstance(parts, list)
                parts = parts if several else [parts]
                if out is None:
                    out = [np.empty((len(data), *part.shape[1:]), np.float32) for part in parts]
                for array, part in zip(out, parts):
                    array[start : start + len(part)] = part
        return out if several else out[0]


def check_codes(codes: ArrayLike | torch.Tensor, n_latent: int) -> np.ndarray:
    """Return codes as float32 of shape (n_samples, n_latent), or refuse them."""
    codes = as_array("codes", codes)
    if codes.ndim != 2 or codes.shape[1] != n_latent:
        raise ValueError(f"codes must have the shape (n, {n_latent}), got {codes.shape}")
    return codes.astype(np.float32, copy=False)


def load_autoencoder(path: str | Path) -> Autoencoder:
    """Read an autoencoder that `Autoencoder.save` wrote.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Autoencoder

    Raises
    ------
    ValueError
        If the file holds anything else.

    Examples
    --------
    >>> import os, tempfile
    >>> images = np.random.default_rng(0).random((8, 16, 16, 3))
    >>> vae = train_autoencoder(images, n_latent=2, channels=(4,), n_epochs=0, batch_size=8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     vae.save(os.path.join(folder, "vae.pt"))
    ...     again = load_autoencoder(os.path.join(folder, "vae.pt"))
    >>> bool((again.encode(images) == vae.encode(images)).all())
    True
    """
    import pandas as pd

    try:
        content = torch.load(path, weights_only=True)
        settings = content["settings"]
        settings = AutoencoderSettings(**{**settings, "channels": tuple(settings["channels"])})
        shape = tuple(content["shape"])
        network = _Network(settings, shape)
        network.load_state_dict(content["weights"])
        history = pd.DataFrame(content["history"])
    except OSError:
        raise
    except Exception:  # torch and pickle raise all sorts, with advice to load it unsafely
        raise ValueError(f"path must be a file that Autoencoder.save wrote, got {path}") from None
    return Autoencoder(settings, shape, network, history)


# --- training ------------------------------------------------------------------------------------


def train_autoencoder(
    images: ArrayLike | torch.Tensor,
    callback: Callable[[dict], object] | None = None,
    *,
    rng: Randomness = 0,
    **settings,
) -> Autoencoder:
    """Train an autoencoder.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width, n_colours)
        Pictures, in [0, 1] or uint8 from 0 to 255.
    callback : callable, optional
        Called after every epoch with its row of the history, a dict.
    rng : int, sequence of int, Generator or None
        Decides the initial weights, the order of the pictures and the noise in the codes. An int is
        the seed itself; of anything else one is drawn.
    **settings
        See `AutoencoderSettings`, all but ``seed``.

    Returns
    -------
    Autoencoder

    Raises
    ------
    ValueError
        If pictures or settings are not allowed, or do not fit each other.

    Examples
    --------
    >>> from hblib import worlds
    >>> images = worlds.draw_faces(200, rng=0, size=32).images
    >>> vae = train_autoencoder(images, n_latent=10, channels=(16, 16), n_epochs=2, rng=1)
    >>> codes = vae.encode(images)
    >>> codes.shape, vae.decode(codes).shape
    ((200, 10), (200, 32, 32, 3))
    """
    import pandas as pd

    settings = AutoencoderSettings(**settings, seed=as_seed(rng))
    images = _checked(images)
    shape = images.shape[1:]
    side = settings.patch * 2 ** (len(settings.channels) - 1)
    if shape[0] != shape[1] or shape[0] % side:
        raise ValueError(
            f"images must be squares with a side that is a multiple of {side} pixels (patch and "
            f"channels ask for it), got {shape[0]} x {shape[1]}"
        )
    if len(images) < settings.batch_size:
        raise ValueError(
            f"images must be at least batch_size = {settings.batch_size}, got {len(images)}"
        )
    network = _Network(settings, shape)
    mean = images.mean(axis=0, dtype=np.float64) / (255 if images.dtype == np.uint8 else 1)
    network.mean.copy_(torch.as_tensor(mean))
    steps = len(images) // settings.batch_size
    optimisers, schedules = _optimisers(network, settings, steps * settings.n_epochs)
    generator = torch.Generator().manual_seed(settings.seed)
    history = []
    for epoch in range(settings.n_epochs):
        totals = np.zeros(3)
        order = torch.randperm(len(images), generator=generator).numpy()
        for batch in np.split(order[: steps * settings.batch_size], steps):
            parts = network.loss(_as_tensor(images[batch]), generator)
            network.zero_grad(set_to_none=True)
            parts[-1].backward()
            for rule in (*optimisers, *schedules):
                rule.step()
            totals += [part.item() for part in parts]
        mse, divergence, loss = totals / steps
        row = {"epoch": epoch + 1, "mse": mse / math.prod(shape)}
        row |= {"divergence": divergence, "loss": loss}
        history.append(row)
        if callback is not None:
            callback(row)
    history = pd.DataFrame(history, columns=["epoch", "mse", "divergence", "loss"])
    return Autoencoder(settings, tuple(shape), network, history)


def as_seed(rng: Randomness) -> int:
    """Return a seed for torch: a whole number as it is, or one drawn from anything else."""
    if isinstance(rng, int | np.integer) and not isinstance(rng, bool | np.bool_):
        return whole("rng", rng, 0)
    return int(generator(rng).integers(2**31))


def _optimisers(network, settings, n_steps):
    """Return optimisers and their schedules; Muon takes weight matrices, Adam the biases."""
    matrices = [p for p in network.parameters() if p.ndim == 2]
    vectors = [p for p in network.parameters() if p.ndim == 1]
    rate = settings.learning_rate
    if settings.optimiser == "muon":
        rules = [
            Muon(matrices, rate, momentum=0.9),
            torch.optim.Adam(vectors, rate / 3, fused=True),
        ]
    else:
        rules = [torch.optim.Adam(matrices + vectors, rate, fused=True)]
    if n_steps == 0:
        return rules, []
    cycles = [
        torch.optim.lr_scheduler.OneCycleLR(
            rule, rule.param_groups[0]["lr"], n_steps, pct_start=0.1, cycle_momentum=False
        )
        for rule in rules
    ]
    return rules, cycles


def _as_tensor(data):
    tensor = torch.as_tensor(np.require(data, requirements=["C", "W"]))
    return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor


def _checked(images, shape=None):
    """Images as float32 or uint8, with the shape asked for."""
    if isinstance(images, torch.Tensor):
        images = images.detach().cpu()
    if str(getattr(images, "dtype", "")) in ("uint8", "torch.uint8"):
        images = np.asarray(images)
    else:
        images = as_array("images", images).astype(np.float32, copy=False)
        if images.min() < 0 or images.max() > 1:
            raise ValueError(
                "images must lie in [0, 1] or be uint8, got values from "
                f"{images.min():g} to {images.max():g}"
            )
    sizes = ("height", "width", "colours") if shape is None else shape
    if images.ndim != 4 or (shape is not None and images.shape[1:] != tuple(shape)):
        raise ValueError(
            f"images must have the shape (n, {', '.join(map(str, sizes))}), got {images.shape}"
        )
    if images.size == 0:
        raise ValueError(f"images must be at least one picture, got the shape {images.shape}")
    return images
