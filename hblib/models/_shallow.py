"""Many networks of one hidden layer, trained side by side with their gradients written out.

The networks are those of `hblib.models.train_networks`, up to rounding, in half the time: all of
them read the same batch, so the first layers of all networks together are one matrix product, and
so is their gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from numpy.typing import ArrayLike
from torch.nn import functional

from hblib._checks import as_array, choice, number, whole
from hblib.grid._grid import check_labels
from hblib.models._networks import MLP, OPTIMISERS, Networks

# In place, as nothing else needs what enters a unit.
_FORWARD = {
    "relu": torch.relu_,
    "linear": lambda Z: Z,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
}
# The gradient of what enters a unit, from that of what it puts out.
_BACKWARD = {
    "relu": lambda D, H: torch.ops.aten.threshold_backward(D, H, 0),
    "linear": lambda D, H: D,
    "tanh": torch.ops.aten.tanh_backward,
    "sigmoid": torch.ops.aten.sigmoid_backward,
}
_MOST_CLASSES = 10_000
_BLOCK = 2**21  # weights


@torch.no_grad()
def train_shallow(
    architecture: MLP,
    X: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    seeds: Sequence[int],
    *,
    optimiser: str = "adam",
    learning_rate: float = 3e-3,
    epochs: int = 10,
    batch_size: int = 64,
) -> Networks:
    """Train many networks of one hidden layer at once on the cross-entropy of the classes.

    The same starts, batches and steps as in `train_networks`; sums are added in another order.

    Parameters
    ----------
    architecture : MLP
        With one hidden layer.
    X : array_like of shape (n_samples, n_features)
    y : array_like of int, shape (n_samples,)
        Classes, from 0.
    seeds : sequence of int
        One network each; the seed sets the initial weights.
    optimiser : {"adam", "sgd"}
        "sgd" with momentum 0.9.
    learning_rate : float > 0
    epochs : int >= 0
        Passes over the samples; 0 gives the untrained networks.
    batch_size : int > 0

    Returns
    -------
    Networks
        In single precision.

    Raises
    ------
    ValueError
        If options, shapes or classes do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(120) % 3
    >>> X = 3 * np.eye(3)[y] + rng.normal(size=(120, 3))
    >>> networks = train_shallow(MLP((8,)), X, y, seeds=[0, 1], learning_rate=0.02)
    >>> bool((networks.accuracy(X, y) > 0.8).all())
    True
    """
    if not isinstance(architecture, MLP) or len(architecture.widths) != 1:
        raise ValueError(f"architecture must be an MLP of one hidden layer, got {architecture!r}")
    choice("optimiser", optimiser, OPTIMISERS)
    number("learning_rate", learning_rate, above=0)
    whole("epochs", epochs, 0)
    whole("batch_size", batch_size)
    X = as_array("X", X, ndim=2)
    y = check_labels(y, len(X), _MOST_CLASSES)
    n_classes, activation = int(y.max()) + 1, architecture.activation
    networks = Networks(architecture, X.shape[1], n_classes, seeds)
    hidden, readout = networks.hidden[0], networks.readout
    X, truth = networks.as_inputs(X), functional.one_hot(torch.as_tensor(y), n_classes).float().T
    # A block of networks at a time, small enough to stay near the processor.
    size = max(1, _BLOCK // hidden.weight[0].numel())
    for some in torch.arange(len(hidden.weight)).split(size):
        block = slice(int(some[0]), int(some[-1]) + 1)
        W, b = hidden.weight[block].flatten(0, 1), hidden.bias[block].view(-1, 1)
        V, c = readout.weight[block], readout.bias[block, :, None]
        step = _descent([W, b, V, c], optimiser, learning_rate)
        order = torch.Generator().manual_seed(0)
        for _ in range(epochs):
            for batch in torch.randperm(len(X), generator=order).split(batch_size):
                x, ones = X[batch], torch.ones(len(V), len(batch), 1)
                # Rows are units and columns are samples, so that every product is a plain one.
                H = _FORWARD[activation](torch.addmm(b, W, x.T))
                H_each = H.view(len(V), -1, len(batch))
                error = torch.baddbmm(c, V, H_each).softmax(dim=1)
                error.sub_(truth[:, batch]).div_(len(batch))
                D = _BACKWARD[activation](torch.bmm(V.mT, error).view_as(H), H)
                step([(D, x), (D, ones[0]), (error, H_each.mT), (error, ones)])
    return networks


def _descent(parameters, optimiser, rate):
    """Return a step of the rule, for gradients that come as two factors."""
    means = [torch.zeros_like(p) for p in parameters]
    squares = [torch.zeros_like(p) for p in parameters]
    n_steps = 0

    def sgd(factors):
        for p, m, (left, right) in zip(parameters, means, factors):
            add = m.addmm_ if m.ndim == 2 else m.baddbmm_
            add(left, right, beta=0.9)
            p.add_(m, alpha=-rate)

    def adam(factors):
        nonlocal n_steps
        n_steps += 1
        scale = math.sqrt(1 - 0.999**n_steps)
        for p, m, s, (left, right) in zip(parameters, means, squares, factors):
            gradient = left @ right
            m.lerp_(gradient, 0.1)
            s.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
            p.addcdiv_(m, s.sqrt().add_(1e-8 * scale), value=-rate * scale / (1 - 0.9**n_steps))

    return {"sgd": sgd, "adam": adam}[optimiser]
