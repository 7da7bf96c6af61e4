"""Many small autoencoders side by side: plain, variational, and variational with turned noise.

Inputs are rows of a table, such as principal components of pictures. Encoder and decoder each have
one layer of ReLU units and a linear path beside it,

    code = A x + B relu(C x + c) + b,     output = A' z + B' relu(C' z + c') + b',

and all networks live in one set of tensors with a leading axis of networks. Training minimises

    |x - output|^2 / (2 noise^2) + KL(code | standard normal),

the second term for variational networks only (Kingma and Welling 2014). Their encoder gives a mean
and a spread for each number of the code, and the decoder reads mean + spread times noise. In that
noise lies the only thing in the loss that knows the axes of the code. So it can be *turned*: a
random rotation between the noise and the decoder leaves the network free to do what it likes, but
takes the axes of the noise away from those that the decoder reads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import as_array, choice, number, whole
from hblib.rotation import haar

KINDS = ("plain", "variational", "turned")
_LAYERS = ("skip_in", "hidden_in", "code", "skip_out", "hidden_out", "output")


@dataclass(frozen=True)
class Autoencoders:
    """Trained autoencoders, made by `train_autoencoders`.

    Attributes
    ----------
    kind : {"plain", "variational", "turned"}
    weights, biases : dict of str to torch.Tensor
        Of every layer, with a leading axis of networks; a weight is ``(n_networks, n_inputs,
        n_outputs)``. Layers: ``skip_in`` and ``hidden_in`` read the input, ``code`` the hidden
        units; ``skip_out``, ``hidden_out`` and ``output`` the same for the decoder.
    rotations : ndarray of shape (n_networks, n_latent, n_latent)
        From the axes of the noise to those that the decoder reads; identities unless turned.
    scale : float
        Inputs are divided by it, outputs multiplied.
    """

    kind: str
    weights: dict[str, torch.Tensor]
    biases: dict[str, torch.Tensor]
    rotations: np.ndarray
    scale: float

    @property
    def n_networks(self) -> int:
        """How many there are."""
        return len(self.rotations)

    @property
    def n_latent(self) -> int:
        """Numbers in a code."""
        return self.rotations.shape[1]

    @torch.no_grad()
    def encode(self, X: ArrayLike) -> np.ndarray:
        """Return the codes of inputs, as the decoder reads them.

        Parameters
        ----------
        X : array_like of shape (n_samples, n_features) or (n_networks, n_samples, n_features)
            The same inputs for all networks, or inputs for each.

        Returns
        -------
        ndarray of float32, shape (n_networks, n_samples, n_latent)
            Of variational networks the mean.
        """
        x = self._checked("X", X, self.weights["skip_in"].shape[1])
        return _in_parts(lambda part: self._mean_and_spread(part)[0] @ self._turn(), x)

    @torch.no_grad()
    def decode(self, codes: ArrayLike) -> np.ndarray:
        """Return what the decoders make of codes.

        Parameters
        ----------
        codes : array_like of shape (n_networks, n_samples, n_latent)
            Or (n_samples, n_latent), the same for all networks.

        Returns
        -------
        ndarray of float32, shape (n_networks, n_samples, n_features)
        """
        return _in_parts(self._decoded, self._checked("codes", codes, self.n_latent))

    def only(self, network: int) -> Autoencoders:
        """Return one network of them.

        Parameters
        ----------
        network : int
            Counted from 0.

        Returns
        -------
        Autoencoders
        """
        one = slice(network := whole("network", network, 0, self.n_networks - 1), network + 1)
        parts = [{name: t[one] for name, t in d.items()} for d in (self.weights, self.biases)]
        return Autoencoders(self.kind, *parts, self.rotations[one], self.scale)

    def _checked(self, name, A, width):
        A = as_array(name, A)
        if A.ndim not in (2, 3) or A.shape[-1] != width or len(A) == 0:
            raise ValueError(f"{name} must have the shape (..., n_samples, {width}), got {A.shape}")
        if A.ndim == 3 and len(A) != self.n_networks:
            raise ValueError(f"{name} must be for {self.n_networks} networks, got {len(A)}")
        return torch.as_tensor(A.astype(np.float32, copy=False)).expand(self.n_networks, -1, -1)

    def _turn(self):
        return torch.as_tensor(self.rotations, dtype=torch.float32)

    def _mean_and_spread(self, x):
        W, b, x = self.weights, self.biases, x / self.scale
        hidden = torch.relu(torch.baddbmm(b["hidden_in"], x, W["hidden_in"]))
        out = torch.baddbmm(b["code"], hidden, W["code"])
        n = W["skip_in"].shape[2]
        return torch.baddbmm(out[..., :n], x, W["skip_in"]), out[..., n:]

    def _decoded(self, z):
        W, b = self.weights, self.biases
        hidden = torch.relu(torch.baddbmm(b["hidden_out"], z, W["hidden_out"]))
        out = torch.baddbmm(b["output"], hidden, W["output"])
        return torch.baddbmm(out, z, W["skip_out"]) * self.scale


def train_autoencoders(
    X: ArrayLike,
    seeds: Sequence[int],
    kind: str = "variational",
    *,
    n_latent: int = 64,
    width: int = 192,
    n_epochs: int = 15,
    batch_size: int = 200,
    learning_rate: float = 0.01,
    noise: float = 0.5,
) -> Autoencoders:
    """Train many autoencoders at once, with Adam.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features) or (n_networks, n_samples, n_features)
        Centred inputs, the same for all networks or some for each.
    seeds : sequence of int
        One per network; decides its first weights, its order of inputs and its noise.
    kind : {"plain", "variational", "turned"}
        Squared error alone; with noise in the code and a penalty on its divergence from a standard
        normal; the same with a random rotation between the noise and the decoder.
    n_latent : int
        Numbers in a code.
    width : int
        ReLU units of encoder and decoder each.
    n_epochs : int
        Passes over the inputs; 0 leaves the networks untrained.
    batch_size : int
    learning_rate : float
        Peak of a one-cycle schedule.
    noise : float
        Standard deviation of an entry of the input about the output, in units of `X`.

    Returns
    -------
    Autoencoders

    Raises
    ------
    ValueError
        If inputs or options are not allowed.

    References
    ----------
    D. P. Kingma and M. Welling (2014), Auto-encoding variational Bayes, arXiv 1312.6114, equation
    (10).

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(400, 3)) @ np.eye(3, 8)
    >>> nets = train_autoencoders(X, [0, 1], n_latent=3, width=8, batch_size=20, noise=0.1)
    >>> codes = nets.encode(X)
    >>> codes.shape, bool(np.mean((nets.decode(codes) - X) ** 2) < 0.1 * np.mean(X**2))
    ((2, 400, 3), True)
    """
    choice("kind", kind, KINDS)
    for name, value in (("n_latent", n_latent), ("width", width), ("batch_size", batch_size)):
        whole(name, value)
    whole("n_epochs", n_epochs, 0)
    noise = number("noise", noise, above=0)
    learning_rate = number("learning_rate", learning_rate, above=0)
    seeds = [whole("seeds", seed, 0) for seed in seeds]
    X = as_array("X", X).astype(np.float32, copy=False)
    if not seeds or X.ndim not in (2, 3) or (X.ndim == 3 and len(X) != len(seeds)):
        raise ValueError(
            "X must have the shape (n_samples, n_features) or (n_seeds, n_samples, n_features) "
            f"with one seed or more, got {X.shape} and {len(seeds)} seeds"
        )
    n_samples, n_features = X.shape[-2:]
    if n_samples < batch_size:
        raise ValueError(f"X must be at least batch_size = {batch_size} samples, got {n_samples}")
    nets = _untrained(seeds, kind, n_features, n_latent, width, float(X.std()))
    generators = [torch.Generator().manual_seed(seed + 1) for seed in seeds]
    x, network = torch.as_tensor(X), torch.arange(len(seeds))[:, None]
    parameters = [*nets.weights.values(), *nets.biases.values()]
    steps = n_samples // batch_size
    if steps * n_epochs:
        rule = torch.optim.Adam([p.requires_grad_() for p in parameters], fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            rule, learning_rate, steps * n_epochs, pct_start=0.1, cycle_momentum=False
        )
    turn = nets._turn()
    for _ in range(n_epochs):
        order = torch.stack([torch.randperm(n_samples, generator=g) for g in generators])
        for batch in order[:, : steps * batch_size].split(batch_size, dim=1):
            inputs = x[batch] if x.ndim == 2 else x[network, batch]
            mean, spread = nets._mean_and_spread(inputs)
            code, cost = mean, 0.0
            if kind != "plain":
                drawn = [torch.randn(mean.shape[1:], generator=g) for g in generators]
                code = mean + torch.exp(spread / 2) * torch.stack(drawn)
                cost = 0.5 * (mean.square() + spread.exp() - spread - 1).sum() / batch_size
            error = (nets._decoded(code @ turn) - inputs).square().sum() / batch_size
            loss = error / (2 * noise**2) + cost  # a sum over networks, which share no weights
            rule.zero_grad(set_to_none=True)
            loss.backward()
            rule.step()
            schedule.step()
    for parameter in parameters:
        parameter.requires_grad_(False)
        parameter.grad = None
    return nets


def _untrained(seeds, kind, n_features, n_latent, width, scale):
    """Networks before their first step; each seed's weights do not depend on the other seeds."""
    spread = 1 if kind == "plain" else 2
    sizes = {
        "skip_in": (n_features, n_latent, 1.0),
        "hidden_in": (n_features, width, math.sqrt(2)),
        "code": (width, spread * n_latent, 0.5),
        "skip_out": (n_latent, n_features, 1.0),
        "hidden_out": (n_latent, width, math.sqrt(2)),
        "output": (width, n_features, 0.3),
    }
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    weights = {
        name: torch.stack([torch.randn(a, b, generator=g) for g in generators]) * gain / a**0.5
        for name, (a, b, gain) in sizes.items()
    }
    biases = {
        name: torch.zeros(len(seeds), 1, sizes[name][1])
        for name in _LAYERS
        if not name.startswith("skip")
    }
    rotations = [
        haar(n_latent, np.random.default_rng(seed)) if kind == "turned" else np.eye(n_latent)
        for seed in seeds
    ]
    return Autoencoders(kind, weights, biases, np.stack(rotations), scale or 1.0)


def _in_parts(function, x):
    """Apply a function to a thousand samples at a time."""
    return np.concatenate([function(part).numpy() for part in x.split(1000, dim=1)], axis=1)
