"""Activations of any torch model: which layers, on which side, at which positions, kept where."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm import tqdm

from hblib._checks import as_array, choice, whole
from hblib.grid._hooks import evaluating, model_input
from hblib.models._activations import _first_tensor
from hblib.probe._rows import POSITIONS, as_rows
from hblib.probe._store import InMemory, OnDisk


def activations(
    model: torch.nn.Module,
    inputs: ArrayLike | torch.Tensor | Mapping[str, Any] | Iterable[Any],
    layers: str | Sequence[str] | None = None,
    *,
    side: str = "after",
    positions: str = "flat",
    channels_last: bool | None = None,
    tokenizer: Callable[..., Mapping[str, Any]] | None = None,
    batch_size: int = 256,
    folder: str | Path | None = None,
    progress: bool = True,
) -> dict[str, np.ndarray]:
    """Read layers of a torch model, batch by batch, into memory or into files.

    The model runs in evaluation mode and without gradients. Afterwards it is as it was: the same
    mode, device and precision, and no hooks, even after an error.

    Parameters
    ----------
    model : torch.nn.Module
    inputs : array_like, torch.Tensor, mapping, list of str or iterable of batches
        The first axis counts samples. A mapping, as tokenizers return it, is handed over as keyword
        arguments. Texts need `tokenizer`. Anything else that can be iterated, such as a DataLoader,
        gives batches; of a batch that is a tuple the first part is taken, the others are labels.
    layers : str or sequence of str, optional
        Names as in ``model.named_modules()``, or patterns such as ``"blocks.*.mlp"`` (``*`` stands
        for anything, ``?`` for one character). By default all modules that have none inside.
    side : {"after", "before"}
        Read what a module gives or what it is given. For a non-linearity this is the activation and
        what the non-linearity is applied to.
    positions : {"flat", "mean", "each"}
        What becomes of the positions of a convolution's map or of the tokens of a text: each is
        features of its own, their mean is taken, or each is a row of its own (all positions of the
        first sample first). Positions of which ``attention_mask`` is 0 are left out of "mean" and
        "each".
    channels_last : bool, optional
        Whether features stand on the last axis or on the one after the samples. By default on the
        last where a layer gives three axes, as transformers do, and else on the second, as
        convolutions of pictures do.
    tokenizer : callable, optional
        Of Hugging Face's kind, called with a list of texts, ``padding=True``, ``truncation=True``
        and ``return_tensors="pt"``.
    batch_size : int
        Samples in a forward pass, where `inputs` are not batches already.
    folder : str or Path, optional
        Write each layer to ``<layer>.npy`` in there and return arrays that read from these files.
        Memory then holds one batch of all the layers read, whatever the number of samples.
    progress : bool
        Show a bar when run in a terminal.

    Returns
    -------
    dict of str to ndarray of shape (n_rows, n_features)
        In the order of the model, float32 or float64. A module that runs several times in a forward
        pass has an entry for each run: "relu", "relu:2", and so on.

    Raises
    ------
    ValueError
        If a name or pattern fits no module (the nearest names are told), a named layer does not
        run, the model fails on a batch, or a layer gives what is no row per sample or not finite.

    See Also
    --------
    hblib.models.activations : the same in one piece, without choices.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU())
    >>> pictures = np.random.default_rng(0).normal(size=(10, 1, 8, 8))
    >>> {name: H.shape for name, H in activations(model, pictures).items()}
    {'0': (10, 144), '1': (10, 144)}
    >>> activations(model, pictures, "1", positions="each")["1"].shape
    (360, 4)
    >>> activations(model, pictures, "1", side="before")["1"].min() < 0
    np.True_
    """
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    choice("side", side, ("after", "before"))
    choice("positions", positions, POSITIONS)
    batch_size = whole("batch_size", batch_size)
    modules = dict(model.named_modules(remove_duplicate=False))
    names = _chosen(model, modules, layers)
    batches, n_batches = _batches(model, inputs, tokenizer, batch_size)

    store = InMemory() if folder is None else OnDisk(folder)
    runs: dict[str, int] = {}
    n_batch, mask, done = 0, None, 0

    def recorder(name):
        def hook(module, args, *kwargs_output):
            if side == "before":
                tensor = _first_tensor(list(args) + list(kwargs_output[0].values()))
            else:
                tensor = _first_tensor(kwargs_output[-1])
            if tensor is None and layers is None:
                return
            if tensor is None or tensor.ndim == 0 or len(tensor) != n_batch:
                what = "no tensor" if tensor is None else f"the shape {tuple(tensor.shape)}"
                raise ValueError(
                    f"layer {name!r} has {what} for {n_batch} samples, not one row per sample; "
                    "say in layers which ones to read"
                )
            runs[name] = runs.get(name, 0) + 1
            values = np.array(as_array(f"layer {name!r}", tensor, finite=False))
            rows = as_rows(values, positions, channels_last, mask)
            if not np.isfinite(rows).all():
                bad = ~np.isfinite(values.reshape(n_batch, -1)).all(axis=1)
                first = done + int(np.flatnonzero(bad)[0])
                raise ValueError(
                    f"layer {name!r} gives values that are not finite, for sample {first} first"
                )
            key = name if runs[name] == 1 else f"{name}:{runs[name]}"
            store.add(key, rows)

        return hook

    with ExitStack() as stack:
        stack.callback(store.close)
        for name in names:
            module = modules[name]
            if side == "before":
                handle = module.register_forward_pre_hook(recorder(name), with_kwargs=True)
            else:
                handle = module.register_forward_hook(recorder(name))
            stack.callback(handle.remove)
        stack.enter_context(evaluating(model))
        disable = None if progress else True  # None: only where someone watches
        for batch in tqdm(batches, total=n_batches, disable=disable, leave=False):
            n_batch = len(next(iter(batch.values())))
            mask = batch.get("attention_mask")
            mask = None if mask is None else mask.detach().cpu().numpy().astype(bool)
            runs.clear()
            try:
                model(batch[""]) if list(batch) == [""] else model(**batch)
            except Exception as error:
                if isinstance(error, ValueError) and str(error).startswith("layer '"):
                    raise
                shape = ", ".join(str(tuple(value.shape)) for value in batch.values())
                raise ValueError(
                    f"model fails on inputs {done} to {done + n_batch - 1}, of shape {shape}: "
                    f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                ) from error
            done += n_batch
        if not done:
            raise ValueError("inputs hold no sample")
        silent = [name for name in names if name not in store.names]
        if layers is not None and silent:
            raise ValueError(f"layers {', '.join(map(repr, silent))} did not run in a forward pass")
        found = store.finish()
    order = {name: i for i, name in enumerate(names)}
    return dict(sorted(found.items(), key=lambda item: _place(item[0], order)))


def _place(key: str, order: Mapping[str, int]) -> tuple[int, int]:
    if key in order:
        return order[key], 1
    name, _, run = key.rpartition(":")
    return order[name], int(run)


def _chosen(model, modules, layers) -> list[str]:
    if layers is None:
        leaves = model.named_modules()
        return [name for name, module in leaves if not any(True for _ in module.children())]
    chosen: dict[str, None] = {}
    for wanted in [layers] if isinstance(layers, str) else list(layers):
        if not isinstance(wanted, str):
            raise ValueError(f"layers must be names or patterns, got {wanted!r}")
        if wanted in modules:
            chosen[wanted] = None
            continue
        fits = [name for name in modules if fnmatch.fnmatchcase(name, wanted)]
        if not fits or not re.search(r"[*?\[]", wanted):
            raise ValueError(f"layers: no module is called {wanted!r}; {_near(wanted, modules)}")
        chosen |= dict.fromkeys(fits)
    if not chosen:
        raise ValueError("layers must name at least one module")
    position = {name: i for i, name in enumerate(modules)}
    return sorted(chosen, key=position.__getitem__)


def _near(wanted, modules) -> str:
    names = [name for name in modules if name]
    near = difflib.get_close_matches(wanted, names, n=5, cutoff=0.5)
    near += [name for name in names if name.endswith("." + wanted.rpartition(".")[2])]
    near = list(dict.fromkeys(near))[:5]
    if near:
        return f"near it are {', '.join(map(repr, near))}"
    some = ", ".join(map(repr, names[:8]))
    return f"there are {some}{' and others' if len(names) > 8 else ''}"


def _batches(
    model, inputs, tokenizer, batch_size
) -> tuple[Iterator[dict[str, torch.Tensor]], int | None]:
    """Batches as keyword arguments, "" being the only positional one; and how many, if known."""
    if isinstance(inputs, str):
        inputs = [inputs]
    texts = isinstance(inputs, list | tuple) and inputs and all(isinstance(t, str) for t in inputs)
    if texts:
        if tokenizer is None:
            raise ValueError("inputs are texts, which need a tokenizer")
        starts = range(0, len(inputs), batch_size)
        made = (
            tokenizer(
                list(inputs[start : start + batch_size]),
                padding=True, truncation=True, return_tensors="pt",
            )
            for start in starts
        )  # fmt: skip
        return (_on_model(model, dict(batch)) for batch in made), len(starts)
    is_data = isinstance(inputs, torch.Tensor | np.ndarray | Mapping | list | tuple)
    if is_data or hasattr(inputs, "__array__") or not isinstance(inputs, Iterable):
        samples = _on_model(model, dict(inputs) if isinstance(inputs, Mapping) else inputs)
        lengths = {len(values) if values.ndim else 0 for values in samples.values()}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                "inputs must have samples as their first axis, at least one, equally many"
            )
        starts = range(0, lengths.pop(), batch_size)
        return (
            {name: values[start : start + batch_size] for name, values in samples.items()}
            for start in starts
        ), len(starts)

    def each():
        for batch in inputs:
            if isinstance(batch, list | tuple):
                batch = batch[0]
            yield _on_model(model, dict(batch) if isinstance(batch, Mapping) else batch)

    return each(), len(inputs) if hasattr(inputs, "__len__") else None


def _on_model(model, batch) -> dict[str, torch.Tensor]:
    if isinstance(batch, dict):
        if not batch:
            raise ValueError("inputs must not be an empty mapping")
        return {name: model_input(model, values, name) for name, values in batch.items()}
    return {"": model_input(model, batch, "inputs")}
