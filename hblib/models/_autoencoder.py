"""A variational autoencoder for small pictures, fast enough to train in front of the reader.

The encoder cuts a picture into patches and turns each into a few channels by one and the same
linear map and a ReLU; if asked for, further layers join patches two by two in the same way. A last
linear map reads mean and log variance of the code off the whole. The decoder runs the same steps
backwards. These are convolutions whose stride is their width, so every layer is one matrix product.

Training minimises the negative evidence lower bound (Kingma and Welling 2014, equation 10)

    E |x - decode(code)|^2 / (2 noise^2) + beta KL(code | standard normal),

beta being 1 in the bound itself (Higgins et al. 2017 vary it).
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from hblib.rotation._preconditioners import newton_schulz

BOTTLENECKS = ("signed", "relu")
LIKELIHOODS = ("gaussian", "bernoulli")
OPTIMISERS = ("muon", "adam")


@dataclass(frozen=True)
class Settings:
    """All that a network and its training depend on beside the pictures.

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
        How pixels are thought to scatter about the decoded picture.
    noise : float
        Standard deviation of a pixel, for the Gaussian likelihood; pixels lie in [0, 1].
    beta : float
        Weight of the divergence of the codes from a standard normal distribution.
    n_epochs : int
        Passes over the pictures; 0 leaves the network untrained.
    batch_size : int
        Pictures a step.
    optimiser : {"muon", "adam"}
        Muon gives each step of a weight matrix equal singular values; Adam scales every weight by
        itself. On generated faces Muon leaves 0.6 of Adam's squared error after equal time. With
        hundreds of numbers in a code its own matrix products cost more than the network's, unless
        batches are as large: take Adam there.
    learning_rate : float
        Largest one of a one-cycle schedule. 0.03 suits Muon, 0.003 Adam.
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
        for name in ("n_latent", "patch", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or value < 1:
                raise ValueError(f"{name} must be a positive integer, got {value!r}")
        if not isinstance(self.n_epochs, int | np.integer) or self.n_epochs < 0:
            raise ValueError(f"n_epochs must be an integer of at least 0, got {self.n_epochs!r}")
        if not self.channels or min(self.channels) < 1:
            raise ValueError(f"channels must be positive integers, got {self.channels!r}")
        for name in ("noise", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be a positive number, got {getattr(self, name)!r}")
        if not 0 <= self.beta < math.inf:
            raise ValueError(f"beta must be a number of at least 0, got {self.beta!r}")
        for name, allowed in (
            ("bottleneck", BOTTLENECKS),
            ("likelihood", LIKELIHOODS),
            ("optimiser", OPTIMISERS),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}, got {getattr(self, name)!r}"
                )


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
            x = torch.relu(layer(_join(x, fold)))
            yield x
        yield self.to_code(x.flatten(1))

    def decoder(self, code):
        """Yield the activations of every layer; last the picture before its sigmoid."""
        x = torch.relu(self.from_code(code))
        x = x.unflatten(1, (self.grid, self.grid, -1))
        yield x
        for layer, fold in zip(self.up[:-1], reversed(self.folds[1:])):
            x = torch.relu(_split(layer(x), fold))
            yield x
        yield _split(self.up[-1](x), self.folds[0]) + torch.logit(self.mean, eps=0.02)

    def bend(self, code):
        """What the decoder reads of a code."""
        return torch.relu(code) if self.settings.bottleneck == "relu" else code

    def loss(self, x, generator):
        """Squared error and divergence, each a sum over a picture, and their weighted sum."""
        *_, parameters = self.encoder(x)
        mean, log_variance = parameters.chunk(2, dim=1)
        scatter = torch.randn(mean.shape, generator=generator)
        code = self.bend(mean + torch.exp(log_variance / 2) * scatter)
        *_, logits = self.decoder(code)
        error = (torch.sigmoid(logits) - x).square().sum() / len(x)
        if self.settings.likelihood == "gaussian":
            surprise = error / (2 * self.settings.noise**2)
        else:
            surprise = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
            surprise = surprise / len(x)
        divergence = _divergence(mean, log_variance).sum() / len(x)
        return error, divergence, surprise + self.settings.beta * divergence


def _join(x, fold):
    """Lay squares of fold x fold pixels on top of each other as channels."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height // fold, fold, width // fold, fold, channels)
    return x.transpose(2, 3).flatten(3)


def _split(x, fold):
    """Undo `_join`."""
    n, height, width, channels = x.shape
    x = x.reshape(n, height, width, fold, fold, channels // fold**2)
    return x.transpose(2, 3).reshape(n, height * fold, width * fold, -1)


def _divergence(mean, log_variance):
    """KL divergence of each number of a code from the standard normal distribution, nats."""
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1)


# --- the trained autoencoder ---------------------------------------------------------------------


@dataclass(frozen=True)
class Autoencoder:
    """A network from `train`, `untrained` or `load`; NumPy in, NumPy out.

    Attributes
    ----------
    settings : Settings
    shape : tuple of int
        Height, width and colours of a picture.
    network : torch.nn.Module
    history : pandas.DataFrame
        One row an epoch: ``mse`` (mean squared error of a pixel), ``divergence`` (nats a picture)
        and ``loss``, averages over the epoch with noise in the codes.
    """

    settings: Settings
    shape: tuple[int, int, int]
    network: _Network
    history: pd.DataFrame

    def encode(self, images):
        """Codes of pictures: the mean of the encoder's distribution, what the decoder reads.

        Parameters
        ----------
        images : array, (n, height, width, 3)
            In [0, 1], or uint8 from 0 to 255.

        Returns
        -------
        numpy.ndarray of float32, shape (n, n_latent)
        """
        images = _checked(images, self.shape)
        return self._in_batches(lambda x: self.network.bend(self._parameters(x)[0]), images)

    def divergence(self, images):
        """How much each number of a code says about the picture.

        Parameters
        ----------
        images : array, (n, height, width, 3)

        Returns
        -------
        numpy.ndarray of float32, shape (n_latent,)
            Mean divergence from the standard normal distribution, nats; 0 where the number says
            nothing.
        """
        images = _checked(images, self.shape)
        return self._in_batches(lambda x: _divergence(*self._parameters(x)), images).mean(axis=0)

    def decode(self, codes):
        """Pictures of codes.

        Parameters
        ----------
        codes : array, (n, n_latent)

        Returns
        -------
        numpy.ndarray of float32, shape (n, height, width, 3)
            In [0, 1].
        """
        codes = np.asarray(codes, dtype=np.float32)
        if codes.ndim != 2 or codes.shape[1] != self.settings.n_latent or len(codes) == 0:
            raise ValueError(
                f"codes must have the shape (n, {self.settings.n_latent}) with n of at least 1, "
                f"got {codes.shape}"
            )
        if not np.isfinite(codes).all():
            raise ValueError("codes contain values that are not finite (NaN or infinity)")
        return self._in_batches(lambda z: torch.sigmoid(list(self.network.decoder(z))[-1]), codes)

    def layers(self, images):
        """Activations of every layer when pictures are encoded and decoded again.

        Parameters
        ----------
        images : array, (n, height, width, 3)

        Returns
        -------
        dict of numpy.ndarray
            From ``"encoder 1"`` over ``"code"`` to the last layer of the decoder before the
            picture; maps are (n, height, width, channels).
        """
        images = _checked(images, self.shape)
        names = [f"encoder {i + 1}" for i in range(len(self.network.down))] + ["code"]
        names += [f"decoder {i + 1}" for i in range(len(self.network.up))]

        def every(x):
            *maps, parameters = self.network.encoder(x)
            code = self.network.bend(parameters.chunk(2, dim=1)[0])
            *unfolding, _ = self.network.decoder(code)
            return [*maps, code, *unfolding]

        return dict(zip(names, self._in_batches(every, images)))

    def untrained(self):
        """The same network before its first step.

        Returns
        -------
        Autoencoder
        """
        network = _Network(self.settings, self.shape)
        network.mean.copy_(self.network.mean)
        return Autoencoder(self.settings, self.shape, network, self.history[:0])

    def decoder_directions(self):
        """Directions in code space that the units of the decoder's first layer respond to.

        Returns
        -------
        numpy.ndarray of float32, shape (n_units, n_latent)
            Weights, one row a unit, in the order of ``layers(images)["decoder 1"]`` flattened.
        """
        return self.network.from_code.weight.detach().numpy().copy()

    def save(self, path):
        """Write settings, weights and history to a file.

        Parameters
        ----------
        path : str or path
        """
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
        whole = None
        with torch.no_grad():
            for start in range(0, len(data), 250):
                parts = function(_as_tensor(data[start : start + 250]))
                several = isinstance(parts, list)
                parts = parts if several else [parts]
                if whole is None:
                    whole = [np.empty((len(data), *part.shape[1:]), np.float32) for part in parts]
                for array, part in zip(whole, parts):
                    array[start : start + len(part)] = part
        return whole if several else whole[0]


def load(path):
    """Read what `Autoencoder.save` wrote.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    Autoencoder
    """
    try:
        content = torch.load(path, weights_only=True)
        settings = content["settings"]
        settings = Settings(**{**settings, "channels": tuple(settings["channels"])})
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


def train(images, callback: Callable | None = None, **settings):
    """Train an autoencoder.

    Parameters
    ----------
    images : array, (n, height, width, 3)
        Pictures, in [0, 1] or uint8 from 0 to 255.
    callback : callable, optional
        Called after every epoch with its row of the history, a dict.
    **settings
        See `Settings`.

    Returns
    -------
    Autoencoder

    Examples
    --------
    >>> from hblib.worlds import _faces as faces
    >>> images = faces.draw(200, rng=0, size=32).images
    >>> vae = train(images, n_latent=10, channels=(16, 16), n_epochs=2, seed=1)
    >>> codes = vae.encode(images)
    >>> codes.shape, vae.decode(codes).shape
    ((200, 10), (200, 32, 32, 3))
    """
    settings = Settings(**settings)
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


class _Muon(torch.optim.Optimizer):
    """Muon (Jordan 2024) in the precision of the weights; torch's own computes in bfloat16."""

    def __init__(self, matrices, lr, momentum=0.9):
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for W in group["params"]:
                state = self.state[W]
                mean = state.setdefault("mean", torch.zeros_like(W))
                mean.lerp_(W.grad, 1 - group["momentum"])
                step = W.grad.lerp(mean, group["momentum"])
                # The iteration runs on matrices as large as its rows are many.
                tall = W.shape[0] > W.shape[1]
                step = newton_schulz((step.T if tall else step)[None])[0]
                stretch = max(1.0, W.shape[0] / W.shape[1]) ** 0.5
                W.add_(step.T if tall else step, alpha=-group["lr"] * stretch)


def _optimisers(network, settings, n_steps):
    """Muon sees weight matrices only; the biases are Adam's in both cases."""
    matrices = [p for p in network.parameters() if p.ndim == 2]
    vectors = [p for p in network.parameters() if p.ndim == 1]
    rate = settings.learning_rate
    if settings.optimiser == "muon":
        rules = [_Muon(matrices, rate), torch.optim.Adam(vectors, rate / 3, fused=True)]
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
    tensor = torch.as_tensor(data)
    return tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor


def _checked(images, shape=None):
    """Images as float32 or uint8, with the shape asked for."""
    images = np.asarray(images)
    if images.dtype != np.uint8:
        images = images.astype(np.float32, copy=False)
        if not np.isfinite(images).all():
            raise ValueError("images contain values that are not finite (NaN or infinity)")
        if images.size and (images.min() < 0 or images.max() > 1):
            raise ValueError(
                "images must lie in [0, 1] or be uint8, got values from "
                f"{images.min():g} to {images.max():g}"
            )
    wanted = ("height", "width", "colours") if shape is None else shape
    if images.ndim != 4 or (shape is not None and images.shape[1:] != tuple(shape)):
        raise ValueError(
            f"images must have the shape (n, {', '.join(map(str, wanted))}), got {images.shape}"
        )
    if len(images) == 0:
        raise ValueError("images must be at least one picture, got none")
    return images
