"""Small classifiers, many at once: the same network trained from many starting points.

All networks of a run live in one set of tensors with a leading seed axis, so that twenty of them
train in little more time than one. Seed s decides the initial weights of its network and nothing
else; the order of the samples is the same for all. Network s is therefore the same network
whichever others are trained beside it, up to rounding.

`train` gives back `Networks`, which hands out the activations of every layer, logits last.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

ACTIVATIONS = {"relu": torch.relu, "linear": lambda z: z, "tanh": torch.tanh}
OPTIMISERS = {
    "adam": lambda parameters, rate: torch.optim.Adam(parameters, lr=rate),
    "sgd": lambda parameters, rate: torch.optim.SGD(parameters, lr=rate, momentum=0.9),
}
INITIALISATIONS = ("normal", "uniform")


@dataclass(frozen=True)
class MLP:
    """Fully connected layers on flat inputs, then a linear read-out.

    Parameters
    ----------
    widths : tuple of int
        Units of each hidden layer.
    activation : {"relu", "linear", "tanh"}
        Of the hidden layers.
    """

    widths: tuple[int, ...] = (64, 64)
    activation: str = "relu"

    def shapes(self, input_shape, n_classes):
        """Shapes of the weights of one network, read-out last."""
        sizes = [math.prod(input_shape), *self.widths, n_classes]
        return [(b, a) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]

    def layers(self, weights, biases, X):
        """Yield the activations of every layer, seeds first."""
        act = ACTIVATIONS[self.activation]
        hidden = X.flatten(1).expand(weights[0].shape[0], -1, -1)
        for depth, (W, b) in enumerate(zip(weights, biases, strict=True)):
            hidden = torch.baddbmm(b[:, None], hidden, W.mT)
            if depth < len(self.widths):
                hidden = act(hidden)
            yield hidden


@dataclass(frozen=True)
class CNN:
    """Convolutions of 3 x 3 with padding, then a linear read-out of the flattened last map.

    Parameters
    ----------
    channels : tuple of int
        Channels of each convolution.
    pool_after : int
        Convolution whose maps are halved in height and width by maximum pooling; 0 for none.
    activation : {"relu", "linear", "tanh"}
        Of the convolutions.
    """

    channels: tuple[int, ...] = (16, 16, 16, 16)
    pool_after: int = 1
    activation: str = "relu"

    def shapes(self, input_shape, n_classes):
        """Shapes of the weights of one network, read-out last."""
        if len(input_shape) != 2:
            raise ValueError(
                "X must be images of shape (n_samples, height, width) for a CNN, "
                f"got {len(input_shape) + 1} axes"
            )
        sizes = [1, *self.channels]
        convolutions = [(b, a, 3, 3) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        height, width = (
            side // 2 if 0 < self.pool_after <= len(self.channels) else side for side in input_shape
        )
        return [*convolutions, (n_classes, self.channels[-1] * height * width)]

    def layers(self, weights, biases, X):
        """Yield the activations of every layer, seeds first."""
        # Seeds are groups of channels, so that one convolution serves all networks; the first
        # reads the one input that they share.
        act = ACTIVATIONS[self.activation]
        seeds, n = weights[0].shape[0], X.shape[0]
        maps, groups = X[:, None], 1
        for depth, (W, b) in enumerate(zip(weights[:-1], biases[:-1], strict=True), start=1):
            maps = act(
                functional.conv2d(maps, W.flatten(0, 1), b.flatten(), padding=1, groups=groups)
            )
            groups = seeds
            if depth == self.pool_after:
                maps = functional.max_pool2d(maps, 2)
            yield maps.unflatten(1, (seeds, -1)).transpose(0, 1)
        flat = maps.reshape(n, seeds, -1).transpose(0, 1)
        yield torch.baddbmm(biases[-1][:, None], flat, weights[-1].mT)


@dataclass(frozen=True)
class Networks:
    """Networks of one architecture, one for each seed, after `train`.

    Attributes
    ----------
    architecture : MLP or CNN
    weights : list of tensors, (n_seeds, n_outputs, ...)
        One a layer, read-out last.
    biases : list of tensors, (n_seeds, n_outputs)
    """

    architecture: MLP | CNN
    weights: list[torch.Tensor]
    biases: list[torch.Tensor]

    def activations(self, X):
        """Activations of every layer, logits last.

        Parameters
        ----------
        X : array, (n_samples, ...)
            As given to `train`.

        Returns
        -------
        list of arrays
            ``(n_seeds, n_samples, n_units)``; for a convolution ``(n_seeds, n_samples, channels,
            height, width)``, what the next layer reads.
        """
        with torch.no_grad():
            X = torch.as_tensor(np.asarray(X), dtype=self.weights[0].dtype)
            return [
                layer.numpy() for layer in self.architecture.layers(self.weights, self.biases, X)
            ]

    def accuracy(self, X, y):
        """Share of samples classified rightly, ``(n_seeds,)``."""
        return (self.activations(X)[-1].argmax(axis=2) == np.asarray(y)).mean(axis=1)


def train(
    architecture,
    X,
    y,
    seeds,
    *,
    optimiser="adam",
    learning_rate=3e-3,
    epochs=10,
    batch_size=64,
    initialisation="normal",
    dtype=torch.float32,
):
    """Train one network for each seed, all at once, on the cross-entropy of the classes.

    Parameters
    ----------
    architecture : MLP or CNN
    X : array, (n_samples, n_features) or (n_samples, height, width)
        Inputs; images for a CNN.
    y : array of int, (n_samples,)
        Classes, from 0.
    seeds : sequence of int
        One network each; the seed sets the initial weights.
    optimiser : {"adam", "sgd"}
        "sgd" with momentum 0.9.
    learning_rate : float > 0
    epochs : int >= 0
        Passes over the samples; 0 gives the untrained networks.
    batch_size : int > 0
    initialisation : {"normal", "uniform"}
        Distribution of the initial weights, of variance 2 / n_inputs (ReLU) or 1 / n_inputs.
        Only the normal one has no preferred axes. Biases start at zero.
    dtype : torch.dtype

    Returns
    -------
    Networks
    """
    for name, value, allowed in (
        ("optimiser", optimiser, OPTIMISERS),
        ("initialisation", initialisation, INITIALISATIONS),
        ("activation", architecture.activation, ACTIVATIONS),
    ):
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    if not learning_rate > 0 or epochs < 0 or batch_size < 1:
        raise ValueError(
            "learning_rate must be positive, epochs at least 0 and batch_size at "
            f"least 1, got {learning_rate}, {epochs} and {batch_size}"
        )
    seeds, labels = list(seeds), np.asarray(y)
    if not seeds:
        raise ValueError("seeds must name at least one seed, got none")
    X = torch.as_tensor(np.asarray(X, dtype=float), dtype=dtype)
    if X.ndim < 2 or not X.numel():
        raise ValueError(
            f"X must have samples as rows and at least one feature, got the shape {tuple(X.shape)}"
        )
    if labels.shape != X.shape[:1]:
        raise ValueError(
            f"y must have one class a sample, shape ({X.shape[0]},), got {labels.shape}"
        )
    if not np.issubdtype(labels.dtype, np.integer) or not 0 <= labels.min() <= labels.max() < 1e4:
        raise ValueError(
            f"y must be whole numbers, classes from 0, got {labels.dtype} from "
            f"{labels.min()} to {labels.max()}"
        )
    if not torch.isfinite(X).all():
        raise ValueError("X contains values that are not finite (NaN or infinity)")

    labels = torch.as_tensor(labels, dtype=torch.long)
    shapes = architecture.shapes(tuple(X.shape[1:]), int(labels.max()) + 1)
    weights, biases = _initial(shapes, seeds, initialisation, architecture.activation, dtype)
    rule = OPTIMISERS[optimiser](weights + biases, learning_rate)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for batch in torch.randperm(X.shape[0], generator=order).split(batch_size):
            *_, logits = architecture.layers(weights, biases, X[batch])
            # A sum over seeds: the networks share a number, not a gradient.
            loss = functional.cross_entropy(
                logits.flatten(0, 1), labels[batch].repeat(len(seeds)), reduction="sum"
            ) / len(batch)
            rule.zero_grad()
            loss.backward()
            rule.step()
    return Networks(architecture, [W.detach() for W in weights], [b.detach() for b in biases])


def _initial(shapes, seeds, initialisation, activation, dtype):
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    weights, biases = [], []
    for shape in shapes:
        scale = math.sqrt((2 if activation == "relu" else 1) / math.prod(shape[1:]))
        if initialisation == "normal":
            draws = [torch.randn(shape, generator=g, dtype=dtype) for g in generators]
        else:
            draws = [
                math.sqrt(3) * (2 * torch.rand(shape, generator=g, dtype=dtype) - 1)
                for g in generators
            ]
        weights.append((scale * torch.stack(draws)).requires_grad_())
        biases.append(torch.zeros(len(seeds), shape[0], dtype=dtype, requires_grad=True))
    return weights, biases
