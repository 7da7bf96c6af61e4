"""Sums over all rows of a layer, taken piece by piece, so that a file is never in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import as_array, whole


def streamed_gram(
    X: ArrayLike, Y: ArrayLike | None = None, *, batch_size: int = 4096
) -> NDArray[np.float64]:
    """Return the centred Gram matrix of features over all rows, read once, piece by piece.

    ``(X - mean).T @ (Y - mean)``, with Y = X by default. Memory holds one piece and the result; an
    array that `load` or `activations` left on disk stays there. It costs ``n * d_x * d_y``
    multiplications: for a million rows of width 4,096, 16 GB are read and 2 * 10**13 operations
    done.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    Y : array_like of shape (n_samples, n_other), optional
    batch_size : int
        Rows in a piece.

    Returns
    -------
    ndarray of shape (n_features, n_other)

    Raises
    ------
    ValueError
        If X and Y have other numbers of rows, or a piece holds what is not finite.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(1000, 3)) + 7
    >>> np.allclose(streamed_gram(X, batch_size=64), 1000 * np.cov(X.T, bias=True))
    True
    """
    X = _rows("X", X)
    Y = X if Y is None else _rows("Y", Y)
    batch_size = whole("batch_size", batch_size)
    if len(X) != len(Y):
        raise ValueError(f"X and Y must have the same rows, got {len(X)} and {len(Y)}")
    # Around the first rows: sums of products of large means would lose their digits.
    near_x, near_y = (
        as_array(name, A[:batch_size], ndim=2).astype(float).mean(axis=0)
        for name, A in (("X", X), ("Y", Y))
    )
    gram = np.zeros((X.shape[1], Y.shape[1]))
    sum_x, sum_y = np.zeros(X.shape[1]), np.zeros(Y.shape[1])
    for start in range(0, len(X), batch_size):
        x = as_array("X", X[start : start + batch_size], ndim=2) - near_x
        y = x if Y is X else as_array("Y", Y[start : start + batch_size], ndim=2) - near_y
        gram += x.T @ y
        sum_x += x.sum(axis=0)
        sum_y += y.sum(axis=0)
    return gram - np.outer(sum_x, sum_y) / len(X)


def streamed_cka(X: ArrayLike, Y: ArrayLike, *, batch_size: int = 4096) -> float:
    """Return the linear CKA of two layers over all rows, without a matrix of samples.

    Equal to CKA with linear kernels (see `hblib.similarity`), from three Gram matrices of features.
    With few samples for their width it is biased upwards: `alike` has the debiased one.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    Y : array_like of shape (n_samples, n_other)
    batch_size : int

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If X and Y have other numbers of rows, or one is constant.

    References
    ----------
    S. Kornblith, M. Norouzi, H. Lee and G. Hinton (2019), "Similarity of Neural Network
    Representations Revisited".

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(1000, 3))
    >>> round(streamed_cka(X, 5 * X[:, ::-1] + 1, batch_size=64), 6)
    1.0
    """
    cross = np.linalg.norm(streamed_gram(X, Y, batch_size=batch_size)) ** 2
    own = [np.linalg.norm(streamed_gram(A, batch_size=batch_size)) for A in (X, Y)]
    for name, size in zip("XY", own, strict=True):
        if size == 0:
            raise ValueError(f"{name} is constant: all its samples are the same")
    return float(cross / (own[0] * own[1]))


def _rows(name: str, A: ArrayLike) -> NDArray:
    """Leave an array of numbers as it is, so that a file on disk is not copied."""
    if not isinstance(A, np.ndarray) or A.dtype not in (np.float32, np.float64):
        return as_array(name, A, ndim=2)
    if A.ndim != 2 or not len(A):
        raise ValueError(f"{name} must have the shape (n_samples, n_features), got {A.shape}")
    return A
