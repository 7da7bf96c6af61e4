"""Hooks on any torch network: penalties on its layers, weaker units, evaluation mode."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import as_array
from hblib.grid._grid import by_readout, doubles


class LayerPenalty:
    """Penalties on layers of any torch network.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Modules whose outputs, of shape (..., n_samples, n_units), are penalised. Each must run once
        per forward pass.
    terms : callable or sequence of callables
        ``term(H, y)`` gives the penalty of a layer's output; one for all layers, or one for each.
    weight : float or array_like of shape (n_networks,)
        Factor of the penalty; one per network if the outputs have a leading axis of networks.
    outgoing : sequence of torch.nn.Module, optional
        The linear modules that read the layers, one for each: activations are then scaled by
        `by_readout`.

    Notes
    -----
    A copy or a pickle of the network alone carries no penalty. Copied or pickled together with the
    network, the penalty belongs to the copy. The outputs are read as the layer gave them, even if
    the next module changes them in place.

    Examples
    --------
    Two lines added to your own training loop:

    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(8, 16), torch.nn.Sigmoid(), torch.nn.Linear(16, 3))
    >>> X, y = torch.zeros(5, 8), torch.tensor([0, 1, 2, 0, 1])
    >>> from hblib import grid
    >>> term = grid.GaussianGrid((4, 4), grid.ring_centres(3, (4, 4)), sigma=1.0)
    >>> penalty = LayerPenalty([model[1]], term, weight=0.1)                      # line 1
    >>> loss = torch.nn.functional.cross_entropy(model(X), y) + penalty(y)        # line 2
    >>> loss.backward()
    """

    def __init__(
        self,
        layers: Sequence[torch.nn.Module],
        terms: Callable | Sequence[Callable],
        weight: float | ArrayLike = 0.1,
        outgoing: Sequence[torch.nn.Module] | None = None,
    ):
        self.layers = list(layers)
        self.terms = [terms] * len(self.layers) if callable(terms) else list(terms)
        self.outgoing = [None] * len(self.layers) if outgoing is None else list(outgoing)
        if not self.layers or not len(self.layers) == len(self.terms) == len(self.outgoing):
            raise ValueError(
                "layers must name at least one module, with one term and one outgoing module "
                f"each, got {len(self.layers)}, {len(self.terms)} and {len(self.outgoing)}"
            )
        weight = as_array("weight", weight)
        if (weight < 0).any():
            raise ValueError(f"weight must not be negative, got {weight}")
        self.weight = torch.tensor(weight, dtype=torch.get_default_dtype())
        self._recorders = [_Recorder(layer) for layer in self.layers]
        self._hooks = [
            layer.register_forward_hook(recorder)
            for layer, recorder in zip(self.layers, self._recorders)
        ]

    def __reduce__(self):
        # Rebuilt with hooks of its own: copied together with its network it watches the copy.
        return type(self), (self.layers, self.terms, self.weight, self.outgoing)

    def last_activations(self) -> list[torch.Tensor]:
        """Return what the layers gave in the last forward pass, as the terms read it; then forget.

        Returns
        -------
        list of torch.Tensor

        Raises
        ------
        RuntimeError
            Without a forward pass since the last call, or if a layer ran several times in training.
        """
        if any(recorder.output is None for recorder in self._recorders):
            raise RuntimeError("each call of the penalty needs a forward pass through its layers")
        for i, recorder in enumerate(self._recorders):
            if recorder.n_unread > 1:
                n_runs = recorder.n_unread
                self.forget()
                raise RuntimeError(
                    f"layer {i} ran {n_runs} times in training since the penalty was last read: "
                    "give every place in the network a module of its own, read the penalty after "
                    "each pass, and evaluate in torch.no_grad()"
                )
        outputs = [
            recorder.output if reader is None else by_readout(recorder.output, reader.weight)
            for recorder, reader in zip(self._recorders, self.outgoing)
        ]
        self.forget()
        return outputs

    def forget(self) -> None:
        """Drop the outputs of forward passes that were not read."""
        for recorder in self._recorders:
            recorder.forget()

    def __call__(self, y: ArrayLike | torch.Tensor) -> torch.Tensor:
        """Return the weighted sum of the penalties of the last forward pass, shape (...)."""
        total = sum(term(H, y) for term, H in zip(self.terms, self.last_activations()))
        return self.weight.to(total) * total

    def remove(self) -> None:
        """Take the hooks off the network."""
        for hook in self._hooks:
            hook.remove()
        self.forget()


class _Recorder:
    """A forward hook that keeps the output of one module; its copies keep nothing."""

    def __init__(self, layer: torch.nn.Module | None = None):
        self.layer = layer
        self.forget()

    def __call__(self, module, inputs, output) -> None:
        if module is not self.layer:
            return
        # An operation in place, such as the ReLU behind a layer, must not reach what is kept.
        self.output = output.clone()
        trains = module.training and torch.is_grad_enabled()
        self.n_unread = self.n_unread + 1 if trains else 0

    def __reduce__(self):
        return _Recorder, ()

    def forget(self) -> None:
        self.output, self.n_unread = None, 0


@contextmanager
def suppressed(layers: Sequence[torch.nn.Module], masks: Sequence[ArrayLike]) -> Iterator[None]:
    """Weaken units of a torch network while the context lasts.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Modules whose outputs (..., n_samples, n_units) are weakened.
    masks : sequence of array_like of shape (..., n_units)
        One per layer, from 0 (leave alone) to 1 (silence).

    Raises
    ------
    ValueError
        If a mask does not fit its layer; the hooks come off in any case.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Identity())
    >>> with suppressed([model[0]], [[1, 0.5, 0]]):
    ...     model(torch.ones(1, 3)).tolist()
    [[0.0, 0.5, 1.0]]
    """

    def weaken(mask):
        factor = 1 - torch.tensor(doubles("masks", mask))[..., None, :]

        def hook(module, inputs, output):
            if output.shape[-1] != factor.shape[-1]:
                raise ValueError(
                    f"masks must have one value per unit: {factor.shape[-1]} given for a layer of "
                    f"{output.shape[-1]}"
                )
            return output * factor.to(output)

        return hook

    with ExitStack() as hooks:
        for layer, mask in zip(layers, masks, strict=True):
            hooks.callback(layer.register_forward_hook(weaken(mask)).remove)
        yield


@contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode without gradients, and every module back as it was."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in training.items():
            module.training = mode


def model_input(
    model: torch.nn.Module, X: ArrayLike | torch.Tensor, name: str = "X"
) -> torch.Tensor:
    """Return inputs on the device of a model and in its precision.

    Whole numbers stay whole where the model has an embedding that looks them up; otherwise they
    become numbers of the model's precision, like all others.
    """
    if not isinstance(X, torch.Tensor):
        whole = np.asarray(X).dtype.kind in "iu"
        X = np.asarray(X, np.int64) if whole else as_array(name, X)
        X = torch.tensor(np.ascontiguousarray(X))
    X = X.detach()
    weights = [*model.parameters(), *model.buffers()]
    like = next((w for w in weights if w.is_floating_point()), torch.empty(0))
    if not X.is_floating_point() and any(
        isinstance(module, torch.nn.Embedding | torch.nn.EmbeddingBag) for module in model.modules()
    ):
        return X.to(like.device)
    return X.to(like)
