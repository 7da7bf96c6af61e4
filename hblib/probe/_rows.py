"""Outputs of a layer as a matrix with one row per sample, or one per position of a sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hblib._checks import choice

POSITIONS = ("flat", "mean", "each")


def as_rows(
    values: NDArray,
    positions: str,
    channels_last: bool | None = None,
    mask: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """Return outputs (n_samples, ...) as rows of features; see `hblib.probe.activations`."""
    choice("positions", positions, POSITIONS)
    if positions == "flat" or values.ndim <= 2:
        return values.reshape(len(values), -1)
    if channels_last is None:
        channels_last = values.ndim == 3
    if not channels_last:
        values = np.moveaxis(values, 1, -1)
    values = values.reshape(len(values), -1, values.shape[-1])
    if mask is None or mask.shape != values.shape[:2]:
        mask = None
    if positions == "each":
        return values.reshape(-1, values.shape[-1]) if mask is None else values[mask]
    if mask is None:
        return values.mean(axis=1)
    weight = mask / np.maximum(mask.sum(axis=1, keepdims=True), 1)
    return np.einsum("np,npc->nc", weight.astype(values.dtype), values)
