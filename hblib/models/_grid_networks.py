"""Small networks for the grid: many at once, with penalties on their hidden layers.

All networks of a run share one set of tensors with a leading axis, so that twenty of them train in
little more time than one. Seed s decides the first weights of network s and nothing else, and the
order of the samples is the same for all: repeat the seeds and give `grid.LayerPenalty` one weight a
network, and the same starts train with and without the penalty, side by side.
"""

import math

import numpy as np
import torch
from torch.nn import functional

from hblib.grid import _grid as grid
from hblib.grid import _layout as grid_layout

ACTIVATIONS = {"sigmoid": torch.sigmoid, "relu": torch.relu, "linear": lambda z: z}

# Sizes of the source: TIMIT, six layers of 32 x 32 sigmoid units, surfaces one cell wide. The rate
# is ours: the source has SGD after pretraining, and Adam at 2e-3 learns nothing at this width.
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


class Dense(torch.nn.Module):
    """One layer of many networks: ``activation(X W^T + b)``.

    Parameters
    ----------
    weight : torch.Tensor of shape (n_networks, n_outputs, n_inputs)
        Initial weights; biases start at zero.
    activation : {"sigmoid", "relu", "linear"}
    """

    def __init__(self, weight, activation):
        super().__init__()
        self.weight = torch.nn.Parameter(weight)
        self.bias = torch.nn.Parameter(torch.zeros(len(weight), 1, weight.shape[1]))
        if activation not in ACTIVATIONS:
            raise ValueError(
                f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}"
            )
        self.activation = ACTIVATIONS[activation]

    def forward(self, X):
        """Activations (n_networks, n_samples, n_outputs) of X (..., n_samples, n_inputs)."""
        X = X.expand(len(self.weight), *X.shape[-2:])
        return self.activation(torch.baddbmm(self.bias, X, self.weight.mT))


class MLPs(torch.nn.Module):
    """Fully connected networks of one shape, one for each seed.

    Parameters
    ----------
    seeds : sequence of int
        One network each.
    n_features, n_classes : int
    widths : tuple of int
        Units of the hidden layers.
    activation : {"sigmoid", "relu"}
        Of the hidden layers.

    Attributes
    ----------
    hidden : torch.nn.ModuleList of Dense
        Their outputs are the activations; give them to `grid.LayerPenalty` and
        `grid_measures.ablation`.
    readout : Dense

    Examples
    --------
    >>> networks = MLPs(seeds=range(3), n_features=8, n_classes=2, widths=(16, 9))
    >>> [H.shape for H in networks.activations(np.zeros((5, 8)))]
    [(3, 5, 16), (3, 5, 9)]
    """

    def __init__(self, seeds, n_features, n_classes, widths=(256, 256), activation="sigmoid"):
        super().__init__()
        seeds = [int(seed) for seed in seeds]
        if activation not in ("sigmoid", "relu"):
            raise ValueError(f"activation must be 'sigmoid' or 'relu', got {activation!r}")
        if not seeds or not widths or min(n_features, n_classes, *widths) < 1:
            raise ValueError(
                "seeds and widths must not be empty, and n_features, n_classes and widths at "
                f"least 1, got {seeds}, {widths}, {n_features} and {n_classes}"
            )
        sizes = [n_features, *widths, n_classes]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        layers = []
        for n_in, n_out in zip(sizes[:-1], sizes[1:]):
            act = activation if len(layers) < len(widths) else "linear"
            # A sigmoid has slope 1/4: with a scale four times Glorot's, deep stacks learn.
            gain = {"sigmoid": 4.0, "relu": math.sqrt(2), "linear": 1.0}[act]
            scale = gain * math.sqrt(2 / (n_in + n_out))
            draws = [torch.randn(n_out, n_in, generator=g) for g in generators]
            layers.append(Dense(scale * torch.stack(draws), act))
        self.hidden, self.readout = torch.nn.ModuleList(layers[:-1]), layers[-1]

    def forward(self, X):
        """Logits, (n_networks, n_samples, n_classes)."""
        for layer in self.hidden:
            X = layer(X)
        return self.readout(X)

    @torch.no_grad()
    def activations(self, X):
        """Activations of the hidden layers, arrays of shape (n_networks, n_samples, n_units)."""
        out, H = [], _inputs(X)
        for layer in self.hidden:
            H = layer(H)
            out.append(H.numpy())
        return out

    @torch.no_grad()
    def accuracy(self, X, y):
        """Share of samples classified rightly, (n_networks,)."""
        return (self(_inputs(X)).argmax(-1).numpy() == np.asarray(y)).mean(axis=1)


def train(
    networks,
    X,
    y,
    penalty=None,
    *,
    epochs=30,
    learning_rate=2e-3,
    coordinate_rate=0.05,
    batch_size=64,
    reassign=(),
    watch=None,
):
    """Train networks in place, by Adam on the cross-entropy of the classes plus a penalty.

    Parameters
    ----------
    networks : MLPs
    X : array_like of shape (n_samples, n_features)
    y : array_like of int, shape (n_samples,)
        Classes, from 0.
    penalty : hblib.grid.LayerPenalty, optional
        On `networks.hidden`. Learned coordinates of its terms are trained too.
    epochs : int >= 0
        Passes over the samples.
    learning_rate : float > 0
        Of the weights.
    coordinate_rate : float > 0
        Of learned coordinates, in cells: about the length of Adam's first step.
    batch_size : int > 0
    reassign : iterable of int
        Epochs, from 0, before which the units of every grid are laid out anew by
        `grid_layout.assign`.
    watch : callable, optional
        ``watch(epoch)`` is called before the first epoch with 0, and after each with 1, 2, ...

    Returns
    -------
    MLPs
        The same networks.
    """
    if not (learning_rate > 0 and coordinate_rate > 0) or epochs < 0 or batch_size < 1:
        raise ValueError(
            "learning_rate and coordinate_rate must be positive, epochs at least 0 and batch_size "
            f"at least 1, got {learning_rate}, {coordinate_rate}, {epochs} and {batch_size}"
        )
    X = _inputs(X)
    n_networks, n_classes, _ = networks.readout.weight.shape
    y = torch.as_tensor(grid.check_labels(y, len(X), n_classes), dtype=torch.long)
    # The penalty meets its layers once before any work: what does not fit is said now.
    if penalty is not None:
        with torch.no_grad():
            networks(X[:1])
            penalty(y[:1])
    terms = [] if penalty is None else list(dict.fromkeys(penalty.terms))
    coordinates = [p for t in terms if isinstance(t, torch.nn.Module) for p in t.parameters()]
    groups = [{"params": networks.parameters(), "lr": learning_rate}]
    if coordinates:
        groups.append({"params": coordinates, "lr": coordinate_rate})
    rule = torch.optim.Adam(groups, fused=True)
    order = torch.Generator().manual_seed(0)
    reassign = frozenset(reassign)
    if watch is not None:
        watch(0)
    for epoch in range(epochs):
        if epoch in reassign:
            lay_out(networks, penalty, X, y)
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
    return networks


def lay_out(networks, penalty, X, y):
    """Move the units of every penalised layer to the cells that suit their activity best.

    Parameters
    ----------
    networks : MLPs
    penalty : hblib.grid.LayerPenalty
        Its terms must be `grid.GaussianGrid`, a separate one for each layer.
    X : array_like of shape (n_samples, n_features)
    y : array_like of int, shape (n_samples,)
        No class without samples.
    """
    if penalty is None or not all(isinstance(t, grid.GaussianGrid) for t in penalty.terms):
        raise ValueError("only layers with a grid.GaussianGrid for a term can be laid out")
    if len(set(penalty.terms)) < len(penalty.terms):
        raise ValueError("terms must be one grid.GaussianGrid a layer: each gets its own layout")
    with torch.no_grad():
        networks(_inputs(X))
        outputs = penalty.last_activations()
    for H, term in zip(outputs, penalty.terms):
        kind = "symmetric" if term.kind == "symmetric" else "kl"
        term.place(grid_layout.assign(H, y, term.shape, term.centres, term.sigma, kind))


def _inputs(X):
    X = torch.as_tensor(np.asarray(X), dtype=torch.get_default_dtype())
    if X.ndim != 2 or not torch.isfinite(X).all():
        raise ValueError(
            f"X must be finite, of shape (n_samples, n_features), got {tuple(X.shape)}"
        )
    return X
