"""Activations of any torch model, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import as_array, whole
from hblib.grid._hooks import evaluating, model_input


def activations(
    model: torch.nn.Module,
    inputs: ArrayLike | torch.Tensor | Mapping[str, ArrayLike | torch.Tensor],
    layers: str | Sequence[str] | None = None,
    batch_size: int | None = None,
) -> dict[str, np.ndarray]:
    """Return what the layers of a torch model give for some inputs, one matrix per layer.

    The model is run in evaluation mode and without gradients. Afterwards it is as it was: the same
    mode, device and precision, and no hooks, even after an error.

    Parameters
    ----------
    model : torch.nn.Module
    inputs : array_like, torch.Tensor or mapping
        The first axis counts samples. A mapping, as tokenizers return it, is handed over as keyword
        arguments. Inputs go to the model's device and precision; whole numbers stay whole if the
        model has an embedding.
    layers : str or sequence of str, optional
        Names as in ``model.named_modules()``, "" for the model itself. By default all modules that
        have no modules inside.
    batch_size : int, optional
        Samples per forward pass; all at once by default.

    Returns
    -------
    dict of str to ndarray of shape (n_samples, n_features)
        In the order of the names, float32 or float64. All axes after the first are flattened, the
        last one fastest: of a convolution (n_samples, channels, height, width) feature
        ``(c * height + i) * width + j`` is channel c at (i, j). For positions as samples and
        channels as features, ``reshape(n_samples, channels, -1).transpose(0, 2, 1).reshape(-1,
        channels)``. If a layer gives several things, the first tensor is taken. A module that runs
        several times has an entry for each run: "relu", "relu:2", and so on.

    Raises
    ------
    ValueError
        If a name is unknown, a named layer does not run, or an output has no row per sample.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
    >>> H = activations(model, np.zeros((5, 8)))
    >>> {name: array.shape for name, array in H.items()}
    {'0': (5, 16), '1': (5, 16), '2': (5, 3)}
    >>> list(activations(model, np.zeros((5, 8)), layers="1", batch_size=2))
    ['1']
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    if layers is None:
        leaves = model.named_modules()
        names = [name for name, module in leaves if not any(True for _ in module.children())]
    else:
        names = [layers] if isinstance(layers, str) else list(layers)
        if unknown := [name for name in names if name not in modules]:
            raise ValueError(
                f"layers must be names of modules, {', '.join(map(repr, unknown))} not among "
                f"{', '.join(map(repr, modules))}"
            )
    if isinstance(inputs, Mapping):
        samples = {name: model_input(model, values, name) for name, values in inputs.items()}
    else:
        samples = {"inputs": model_input(model, inputs, "inputs")}
    lengths = {len(values) if values.ndim else 0 for values in samples.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError("inputs must have samples as their first axis, at least one, equally many")
    (n_samples,) = lengths
    size = n_samples if batch_size is None else whole("batch_size", batch_size)

    found: dict[str, dict[int, list[np.ndarray]]] = {name: {} for name in names}
    runs = dict.fromkeys(names, 0)
    n_batch = 0

    def recorder(name):
        def hook(module, args, output):
            tensor = _first_tensor(output)
            if tensor is None and layers is None:
                return
            if tensor is None or tensor.ndim == 0 or len(tensor) != n_batch:
                what = "no tensor" if tensor is None else f"the shape {tuple(tensor.shape)}"
                raise ValueError(
                    f"layer {name!r} gives {what} for {n_batch} samples, not one row per sample; "
                    "name the layers to read"
                )
            runs[name] += 1
            # A copy at once: the next module may work in place.
            rows = np.array(as_array(name or "the output", tensor, finite=False))
            found[name].setdefault(runs[name], []).append(rows.reshape(n_batch, -1))

        return hook

    with ExitStack() as stack:
        for name in names:
            stack.callback(modules[name].register_forward_hook(recorder(name)).remove)
        stack.enter_context(evaluating(model))
        for start in range(0, n_samples, size):
            batch = {name: values[start : start + size] for name, values in samples.items()}
            n_batch = len(next(iter(batch.values())))
            runs.update(dict.fromkeys(names, 0))
            if isinstance(inputs, Mapping):
                model(**batch)
            else:
                model(batch["inputs"])
    if layers is not None and (silent := [name for name in names if not found[name]]):
        raise ValueError(f"layers {', '.join(map(repr, silent))} did not run in a forward pass")
    return {
        name if run == 1 else f"{name}:{run}": np.concatenate(parts)
        for name in names
        for run, parts in sorted(found[name].items())
    }


def _first_tensor(output):
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, Mapping):
        output = list(output.values())
    if isinstance(output, list | tuple):
        return next((part for part in map(_first_tensor, output) if part is not None), None)
    return None
