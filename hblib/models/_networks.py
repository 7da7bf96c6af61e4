"""Many small classifiers side by side: one architecture trained from many starting points.

All networks of a run live in one set of tensors with a leading axis of networks, so that twenty of
them train in little more time than one. Seed s decides the initial weights of network s and nothing
else, and the order of the samples is the same for all. Network s is therefore the same network
whichever others are trained beside it, up to rounding.

Hidden layers are modules, so that hooks can read and change them: repeat the seeds and give
`hblib.grid.LayerPenalty` one weight per network, and the same starts train with and without a
penalty. (Under ``torch.func.vmap`` hooks would see no values, and a step takes a tenth longer.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch.nn import functional

from hblib._checks import as_array, choice, number, whole
from hblib.grid import GaussianGrid, LayerPenalty, assign_units
from hblib.grid._grid import check_labels

ACTIVATIONS = {
    "relu": torch.relu,
    "linear": lambda z: z,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
OPTIMISERS = ("adam", "sgd")
INITIALISATIONS = ("normal", "uniform", "glorot")
# A sigmoid has slope 1/4: with a scale four times Glorot's, deep stacks learn.
_GAINS = {"relu": math.sqrt(2), "linear": 1.0, "tanh": 5 / 3, "sigmoid": 4.0}
_MOST_CLASSES = 10_000

# Sizes in Tan, Sim and Gales (2015): TIMIT, six layers of 32 x 32 sigmoid units, surfaces one cell
# wide. The rate is ours: they use SGD after pretraining, and Adam at 2e-3 learns nothing this wide.
SOURCE_SCALE = {
    "widths": (1024,) * 6,
    "activation": "sigmoid",
    "shape": (32, 32),
    "sigma": 1.0,
    "kind": "cross_entropy",
    "weight": 0.1,
    "batch_size": 128,
    "learning_rate": 3e-4,
}

# --- architectures -------------------------------------------------------------------------------


@dataclass(frozen=True)
class MLP:
    """Fully connected layers on flat inputs, then a linear read-out.

    Parameters
    ----------
    widths : tuple of int
        Units of each hidden layer.
    activation : {"relu", "linear", "tanh", "sigmoid"}
        Of the hidden layers.

    Examples
    --------
    >>> MLP((32, 16)).n_layers
    3
    """

    widths: tuple[int, ...] = (64, 64)
    activation: str = "relu"

    def __post_init__(self):
        _check_sizes("widths", self.widths)
        choice("activation", self.activation, ACTIVATIONS)

    @property
    def n_layers(self) -> int:
        """Number of layers, the read-out included."""
        return len(self.widths) + 1

    def layers(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[tuple, dict]]:
        """Return the shape of the weights and the options of every layer, read-out last."""
        sizes = [math.prod(input_shape), *self.widths, n_classes]
        return [((b, a), {}) for a, b in zip(sizes[:-1], sizes[1:])]

    def read(self, X: torch.Tensor) -> torch.Tensor:
        """Return inputs as the first layer reads them."""
        return X.flatten(1)


@dataclass(frozen=True)
class CNN:
    """Convolutions of 3 x 3 with padding, then a linear read-out of the flattened last map.

    Parameters
    ----------
    channels : tuple of int
        Channels of each convolution.
    pool_after : int
        Convolution whose maps are halved in height and width by maximum pooling; 0 for none.
    activation : {"relu", "linear", "tanh", "sigmoid"}
        Of the convolutions.

    Examples
    --------
    >>> CNN((8, 8, 8)).n_layers
    4
    """

    channels: tuple[int, ...] = (16, 16, 16, 16)
    pool_after: int = 1
    activation: str = "relu"

    def __post_init__(self):
        _check_sizes("channels", self.channels)
        if not self.channels:
            raise ValueError("channels must name at least one convolution, got none")
        whole("pool_after", self.pool_after, 0, len(self.channels))
        choice("activation", self.activation, ACTIVATIONS)

    @property
    def n_layers(self) -> int:
        """Number of layers, the read-out included."""
        return len(self.channels) + 1

    def layers(self, input_shape: tuple[int, ...], n_classes: int) -> list[tuple[tuple, dict]]:
        """Return the shape of the weights and the options of every layer, read-out last."""
        if len(input_shape) != 2:
            raise ValueError(
                "X must be images of shape (n_samples, height, width) for a CNN, "
                f"got {len(input_shape) + 1} axes"
            )
        sizes = [1, *self.channels]
        convolutions = [
            ((b, a, 3, 3), {"pool": depth == self.pool_after})
            for depth, (a, b) in enumerate(zip(sizes[:-1], sizes[1:]), start=1)
        ]
        height, width = (side // 2 if self.pool_after else side for side in input_shape)
        return [*convolutions, ((n_classes, self.channels[-1] * height * width), {})]

    def read(self, X: torch.Tensor) -> torch.Tensor:
        """Return inputs as the first layer reads them."""
        return X


def _check_sizes(name, sizes):
    if not isinstance(sizes, tuple | list):
        raise ValueError(f"{name} must be a tuple of whole numbers, got {sizes!r}")
    for size in sizes:
        whole(name, size)


# --- networks ------------------------------------------------------------------------------------


class _Layer(torch.nn.Module):
    """One layer of many networks: weights (n_networks, ...), biases (n_networks, n_outputs)."""

    def __init__(self, weight: torch.Tensor, activation: str):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)
        self.bias = torch.nn.Parameter(torch.zeros(weight.shape[:2], dtype=weight.dtype))
        self.activation = activation

    def extra_repr(self) -> str:
        return f"{tuple(self.weight.shape)}, {self.activation}"


class _Dense(_Layer):
    """Fully connected; reads (n_samples, n_inputs), shared, or (n_networks, n_samples, ...)."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        X = X.expand(len(self.weight), -1, -1) if X.ndim == 2 else X.flatten(2)
        return ACTIVATIONS[self.activation](torch.baddbmm(self.bias[:, None], X, self.weight.mT))


class _Convolution(_Layer):
    """Convolution; reads images, shared, or maps (n_networks, n_samples, channels, ...)."""

    def __init__(self, weight: torch.Tensor, activation: str, pool: bool = False):
        super().__init__(weight, activation)
        self.pool = pool

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        # Networks are groups of channels, so that one convolution serves all of them; the first
        # one reads the input that they share.
        maps, groups = X[:, None], 1
        if X.ndim == 5:
            maps, groups = X.transpose(0, 1).flatten(1, 2), len(self.weight)
        maps = functional.conv2d(
            maps, self.weight.flatten(0, 1), self.bias.flatten(), padding=1, groups=groups
        )
        maps = ACTIVATIONS[self.activation](maps)
        if self.pool:
            maps = functional.max_pool2d(maps, 2)
        return maps.unflatten(1, (len(self.weight), -1)).transpose(0, 1)


class Networks(torch.nn.Module):
    """Networks of one architecture, one for each seed.

    Parameters
    ----------
    architecture : MLP or CNN
    input_shape : int or tuple of int
        Shape of one sample.
    n_classes : int
    seeds : sequence of int
        One network each; the seed sets the initial weights.
    initialisation : {"normal", "uniform", "glorot"}
        Distribution of the initial weights. "normal" and "uniform" have the variance 2 / n_inputs
        (ReLU) or 1 / n_inputs. "glorot" is normal with the variance 2 / (n_inputs + n_outputs)
        times the squared gain of the activation. The uniform one has preferred axes, the normal
        ones have none. Biases start at zero.
    dtype : torch.dtype

    Attributes
    ----------
    hidden : torch.nn.ModuleList
        The hidden layers. Their outputs are the activations (n_networks, n_samples, ...): give them
        to `hblib.grid.LayerPenalty` and `hblib.grid.ablation`.
    readout : torch.nn.Module
        The layer whose outputs are the logits.

    Examples
    --------
    >>> networks = Networks(MLP((16, 9)), input_shape=8, n_classes=2, seeds=range(3))
    >>> [H.shape for H in networks.activations(np.zeros((5, 8)))]
    [(3, 5, 16), (3, 5, 9), (3, 5, 2)]
    """

    def __init__(
        self,
        architecture: MLP | CNN,
        input_shape: int | tuple[int, ...],
        n_classes: int,
        seeds: Sequence[int],
        initialisation: str = "normal",
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        choice("initialisation", initialisation, INITIALISATIONS)
        shape = input_shape if isinstance(input_shape, tuple | list) else (input_shape,)
        self.architecture = architecture
        self.input_shape = tuple(whole("input_shape", side) for side in shape)
        seeds = [int(seed) for seed in seeds]
        if not seeds:
            raise ValueError("seeds must name at least one seed, got none")
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        layers = []
        for shape, options in architecture.layers(self.input_shape, whole("n_classes", n_classes)):
            last = len(layers) + 1 == architecture.n_layers
            weight = _initial(
                shape, generators, initialisation, architecture.activation, last, dtype
            )
            kind = _Dense if len(shape) == 2 else _Convolution
            layers.append(kind(weight, "linear" if last else architecture.activation, **options))
        self.hidden, self.readout = torch.nn.ModuleList(layers[:-1]), layers[-1]

    @property
    def weights(self) -> list[torch.Tensor]:
        """Weights of every layer, read-out last: (n_networks, n_outputs, ...), no gradients."""
        return [layer.weight.detach() for layer in (*self.hidden, self.readout)]

    @property
    def biases(self) -> list[torch.Tensor]:
        """Biases of every layer, read-out last: (n_networks, n_outputs), no gradients."""
        return [layer.bias.detach() for layer in (*self.hidden, self.readout)]

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return the logits, (n_networks, n_samples, n_classes)."""
        H = self.architecture.read(X)
        for layer in self.hidden:
            H = layer(H)
        return self.readout(H)

    @torch.no_grad()
    def activations(self, X: ArrayLike | torch.Tensor, readout: bool = True) -> list[np.ndarray]:
        """Return the activations of every layer, logits last.

        Parameters
        ----------
        X : array_like of shape (n_samples, ...)
        readout : bool
            Whether the logits are the last entry; without, hidden layers only.

        Returns
        -------
        list of ndarray
            ``(n_networks, n_samples, n_units)``; for a convolution ``(n_networks, n_samples,
            channels, height, width)``, what the next layer reads.
        """
        H, found = self.architecture.read(self.as_inputs(X)), []
        for layer in (*self.hidden, self.readout) if readout else self.hidden:
            H = layer(H)
            found.append(H.cpu().numpy())
        return found

    def accuracy(self, X: ArrayLike | torch.Tensor, y: ArrayLike | torch.Tensor) -> np.ndarray:
        """Return the share of samples that each network classifies correctly, (n_networks,)."""
        logits = self.activations(X)[-1]
        return (logits.argmax(axis=2) == check_labels(y, logits.shape[1])).mean(axis=1)

    def as_inputs(self, X: ArrayLike | torch.Tensor) -> torch.Tensor:
        """Return samples as a tensor in the precision of the weights, or refuse them."""
        X = as_array("X", X)
        if X.ndim < 2 or X.shape[1:] != self.input_shape:
            wanted = ", ".join(map(str, ("n_samples", *self.input_shape)))
            raise ValueError(f"X must have the shape ({wanted}), got {X.shape}")
        like = self.readout.weight
        return torch.tensor(X, dtype=like.dtype, device=like.device)


def _initial(shape, generators, initialisation, activation, last, dtype):
    n_outputs, n_inputs = shape[0] * math.prod(shape[2:]), math.prod(shape[1:])
    if initialisation == "glorot":
        gain = _GAINS["linear" if last else activation]
        scale = gain * math.sqrt(2 / (n_inputs + n_outputs))
    else:
        scale = math.sqrt((2 if activation == "relu" else 1) / n_inputs)
    if initialisation == "uniform":
        draws = [
            math.sqrt(3) * (2 * torch.rand(shape, generator=g, dtype=dtype) - 1) for g in generators
        ]
    else:
        draws = [torch.randn(shape, generator=g, dtype=dtype) for g in generators]
    return scale * torch.stack(draws)


# --- training ------------------------------------------------------------------------------------


def train_networks(
    architecture: MLP | CNN | Networks,
    X: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    seeds: Sequence[int] | None = None,
    *,
    optimiser: str = "adam",
    learning_rate: float = 3e-3,
    epochs: int = 10,
    batch_size: int = 64,
    initialisation: str = "normal",
    dtype: torch.dtype = torch.float32,
    penalty: LayerPenalty | None = None,
    coordinate_rate: float = 0.05,
    reassign: Iterable[int] = (),
    watch: Callable[[int], object] | None = None,
) -> Networks:
    """Train many networks at once on the cross-entropy of the classes, plus a penalty if given.

    Parameters
    ----------
    architecture : MLP, CNN or Networks
        An architecture, of which one new network is made for each of the seeds; or networks, which
        are trained on in place.
    X : array_like of shape (n_samples, n_features) or (n_samples, height, width)
        Inputs; images for a CNN.
    y : array_like of int, shape (n_samples,)
        Classes, from 0.
    seeds : sequence of int
        Of new networks, one each; the seed sets the initial weights.
    optimiser : {"adam", "sgd"}
        "sgd" with momentum 0.9.
    learning_rate : float > 0
        Of the weights.
    epochs : int >= 0
        Passes over the samples; 0 gives the untrained networks.
    batch_size : int > 0
    initialisation, dtype
        Of new networks: see `Networks`.
    penalty : hblib.grid.LayerPenalty, optional
        On the hidden layers of given networks. Learned coordinates of its terms are trained too.
    coordinate_rate : float > 0
        Learning rate of learned coordinates, in cells: about the length of Adam's first step.
    reassign : iterable of int
        Epochs, from 0, before which `lay_out_units` lays out the units of every grid anew.
    watch : callable, optional
        ``watch(epoch)`` is called before the first epoch with 0, and after each with 1, 2, ...

    Returns
    -------
    Networks

    Raises
    ------
    ValueError
        If options, shapes or classes do not fit.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 3
    >>> X = 3 * np.eye(3)[y] + rng.normal(size=(120, 3))
    >>> networks = train_networks(MLP((8,)), X, y, seeds=[0, 1], learning_rate=0.02)
    >>> bool((networks.accuracy(X, y) > 0.8).all())
    True
    """
    choice("optimiser", optimiser, OPTIMISERS)
    number("learning_rate", learning_rate, above=0)
    number("coordinate_rate", coordinate_rate, above=0)
    whole("epochs", epochs, 0)
    whole("batch_size", batch_size)
    if isinstance(architecture, Networks):
        networks = architecture
        if seeds is not None:
            raise ValueError("seeds are for new networks; those given have their weights already")
    else:
        if seeds is None or penalty is not None:
            raise ValueError(
                "an architecture needs seeds and takes no penalty: make the Networks first, put "
                "the penalty on their hidden layers, and train them"
            )
        X = as_array("X", X)
        y = check_labels(y, len(X), _MOST_CLASSES)
        networks = Networks(
            architecture, X.shape[1:], int(y.max()) + 1, seeds, initialisation, dtype
        )
    n_networks, n_classes, _ = networks.readout.weight.shape
    X = networks.as_inputs(X)
    y = torch.as_tensor(check_labels(y, len(X), n_classes), device=X.device)
    # The penalty meets its layers once before any work: what does not fit is said now.
    if penalty is not None:
        penalty.forget()
        with torch.no_grad():
            networks(X[:1])
            penalty(y[:1])
    terms = [] if penalty is None else list(dict.fromkeys(penalty.terms))
    coordinates = [p for t in terms if isinstance(t, torch.nn.Module) for p in t.parameters()]
    groups = [{"params": networks.parameters(), "lr": learning_rate}]
    if coordinates:
        groups.append({"params": coordinates, "lr": coordinate_rate})
    if optimiser == "sgd":
        rule = torch.optim.SGD(groups, momentum=0.9)
    else:
        # Fused steps are faster where layers are wide; they round differently, and the numbers of
        # the chapters without a penalty rest on the plain ones.
        rule = torch.optim.Adam(groups, fused=penalty is not None)
    order = torch.Generator().manual_seed(0)
    reassign = frozenset(reassign)
    if watch is not None:
        watch(0)
    for epoch in range(epochs):
        if epoch in reassign:
            lay_out_units(networks, penalty, X, y)
        for batch in torch.randperm(len(X), generator=order).split(batch_size):
            logits = networks(X[batch])
            # A sum over networks: they share a number, not a gradient.
            loss = functional.cross_entropy(
                logits.flatten(0, 1), y[batch].repeat(n_networks), reduction="sum"
            ) / len(batch)
            if penalty is not None:
                loss = loss + penalty(y[batch]).sum()
            rule.zero_grad()
            loss.backward()
            rule.step()
        if watch is not None:
            watch(epoch + 1)
    rule.zero_grad()
    return networks


def lay_out_units(
    networks: Networks,
    penalty: LayerPenalty | None,
    X: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
) -> None:
    """Move the units of every penalised layer to the cells that suit their activity best.

    Parameters
    ----------
    networks : Networks
    penalty : hblib.grid.LayerPenalty
        Its terms must be `hblib.grid.GaussianGrid`, a separate one for each layer.
    X : array_like of shape (n_samples, ...)
    y : array_like of int, shape (n_samples,)
        Classes from 0, each with at least one sample.

    Raises
    ------
    ValueError
        If a layer has another kind of penalty, or shares its grid.

    Examples
    --------
    >>> from hblib import grid
    >>> networks = Networks(MLP((16,), "sigmoid"), 3, n_classes=3, seeds=[0])
    >>> term = grid.GaussianGrid((4, 4), grid.ring_centres(3, (4, 4)), sigma=1.0)
    >>> penalty = grid.LayerPenalty(networks.hidden, term)
    >>> X, y = np.eye(3), np.arange(3)
    >>> before = term(torch.tensor(networks.activations(X)[0]), y)
    >>> lay_out_units(networks, penalty, X, y)
    >>> bool(term(torch.tensor(networks.activations(X)[0]), y) < before)
    True
    """
    if penalty is None or not all(isinstance(t, GaussianGrid) for t in penalty.terms):
        raise ValueError("only layers with a grid.GaussianGrid for a term can be laid out")
    if len(set(penalty.terms)) < len(penalty.terms):
        raise ValueError("each layer needs a grid.GaussianGrid of its own to be laid out")
    penalty.forget()
    with torch.no_grad():
        networks(networks.as_inputs(X))
        outputs = penalty.last_activations()
    for H, term in zip(outputs, penalty.terms):
        kind = "symmetric" if term.kind == "symmetric" else "kl"
        term.place(assign_units(H, y, term.shape, term.centres, term.sigma, kind))
