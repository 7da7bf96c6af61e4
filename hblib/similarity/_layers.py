"""Layers as every measure takes them: checked, centred, and with an orthonormal basis."""

from __future__ import annotations

import sys
import warnings
from typing import Any

import numpy as np
from scipy import linalg

from hblib._checks import as_array

# Directions of unit-length activation vectors weaker than this (relatively) carry no span.
RANK_TOLERANCE = 1e-10
# A neuron that varies less than this, relative to its length, is constant.
CONSTANT_TOLERANCE = 1e-12


def above_rounding(tolerance: float, resolution: float) -> float:
    """Return a tolerance of float64, widened where the layers were stored less precisely."""
    return max(tolerance, 8 * resolution)


def check_pair(X: Any, Y: Any) -> tuple[np.ndarray, np.ndarray, float]:
    """Return both layers in float64, and the machine epsilon of the coarser of their types."""
    resolution = max(_resolution(X), _resolution(Y))
    X, Y = _check_layer("X", X), _check_layer("Y", Y)
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            "X and Y must have the same samples in their rows, got "
            f"{X.shape[0]} and {Y.shape[0]} rows"
        )
    return X, Y, resolution


def _check_layer(name: str, layer: Any) -> np.ndarray:
    A = as_array(name, layer)
    if A.ndim != 2:
        advice = ""
        if A.ndim > 2:
            advice = (
                ": reshape the maps of a convolution to (n_samples, -1), or to one row for each "
                "sample and position and one column for each channel"
            )
        shape = f"{name} must have the shape (n_samples, n_neurons), got {A.shape}"
        raise ValueError(shape + advice)
    return A.astype(np.float64, copy=False)


def _resolution(layer: Any) -> float:
    """Machine epsilon of the type in which a layer was stored; 0 for whole numbers."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(layer, torch.Tensor):
        return torch.finfo(layer.dtype).eps if layer.dtype.is_floating_point else 0.0
    dtype = getattr(layer, "dtype", np.dtype(np.float64))
    if hasattr(layer, "to_numpy"):  # the columns of a frame may have several types
        dtype = np.result_type(*np.atleast_1d(layer.dtypes))
    return float(np.finfo(dtype).eps) if np.issubdtype(dtype, np.floating) else 0.0


def varying_pair(X: Any, Y: Any, *, centred: bool = True) -> tuple[np.ndarray, np.ndarray, float]:
    """Return `check_pair` of two layers that both vary, with the mean of each neuron taken away."""
    X, Y, resolution = check_pair(X, Y)
    varying = centre(X, resolution), centre(Y, resolution)
    for name, A in zip("XY", varying, strict=True):
        if not A.any():
            raise ValueError(
                f"all neurons of {name} are constant: the measure needs a layer that varies"
            )
    return (*varying, resolution) if centred else (X, Y, resolution)


def centre(A: np.ndarray, resolution: float) -> np.ndarray:
    """Take the mean of every neuron away; what is left of a constant one is exactly zero."""
    centred = A - A.mean(axis=0)
    bound = above_rounding(CONSTANT_TOLERANCE, resolution)
    constant = np.linalg.norm(centred, axis=0) <= bound * np.linalg.norm(A, axis=0)
    centred[:, constant] = 0.0
    return centred


def unit_columns(A: np.ndarray) -> np.ndarray:
    """Scale all columns to length 1; columns of zeros stay."""
    norms = np.linalg.norm(A, axis=0)
    return np.divide(A, norms, out=np.zeros_like(A), where=norms > 0)


def orthonormal_basis(A: np.ndarray, resolution: float) -> np.ndarray:
    """Orthonormal columns that span the columns of A, by QR with pivoting."""
    norms = np.linalg.norm(A, axis=0)
    A = A[:, norms > 0] / norms[norms > 0]
    if A.shape[1] == 0:
        return np.zeros((A.shape[0], 0))
    Q, R, _ = linalg.qr(A, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(R))
    return Q[:, : np.sum(diagonal > above_rounding(RANK_TOLERANCE, resolution) * diagonal[0])]


def narrowed(A: np.ndarray) -> np.ndarray:
    """Replace a layer wider than its samples by one of n_samples neurons with the same ``A A'``.

    Whatever a rotation of the neurons leaves alone keeps its value, and no matrix of neurons by
    neurons is needed any more.
    """
    return A if A.shape[1] <= A.shape[0] else np.linalg.qr(A.T, mode="r").T


def warn_of_full_rank(ranks: dict[str, int], n_samples: int, centred: bool) -> None:
    """Warn if layers span all that their samples allow: spans then say nothing about them."""
    full = [name for name, rank in ranks.items() if rank >= n_samples - centred]
    if not full:
        return
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(__package__):
        frame, level = frame.f_back, level + 1
    warnings.warn(
        f"the neurons of {' and of '.join(full)} span all {n_samples - centred} dimensions that "
        f"{n_samples} samples allow: any layer that does so gets the same value (Kornblith et al. "
        "2019, theorem 1). Take more samples than neurons, or a measure that weighs directions by "
        "their variance, such as linear_cka",
        stacklevel=level,
    )
