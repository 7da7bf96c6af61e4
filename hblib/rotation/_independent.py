"""How far from a rotation is the map between two solutions, and what their starts say about it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hblib._checks import as_array
from hblib.rotation._training import imbalance


def map_deviation(A1: ArrayLike, A2: ArrayLike) -> np.ndarray:
    """Measure how far the linear map G with A2 = G A1 is from an orthogonal one.

    Parameters
    ----------
    A1, A2 : array_like of shape (n_pairs, k, m)
        First factors of two solutions with one product; rows are hidden units.

    Returns
    -------
    ndarray of shape (n_pairs,)
        Root mean square of the logarithms of the singular values of G, 0 for an orthogonal G.

    Raises
    ------
    ValueError
        If the shapes differ, or the rows of a factor are linearly dependent.

    Examples
    --------
    >>> from hblib.rotation import rotation_2d
    >>> A = np.eye(2)[None]
    >>> float(map_deviation(A, rotation_2d([0.3]) @ A)[0].round(12))
    0.0
    >>> float(map_deviation(A, np.diag([np.e, 1 / np.e]) @ A)[0].round(12))
    1.0
    """
    A1, A2 = _pairs(A1, A2)
    G = A2 @ np.linalg.pinv(A1)
    return np.sqrt(np.mean(np.log(np.linalg.svd(G, compute_uv=False)) ** 2, axis=-1))


def predicted_deviation(
    solution1: tuple[ArrayLike, ArrayLike],
    solution2: tuple[ArrayLike, ArrayLike],
    Q1: ArrayLike | None = None,
    Q2: ArrayLike | None = None,
) -> np.ndarray:
    """Predict `map_deviation` from the conserved Q of both runs, to first order in Q.

    With the product V S W^T, A = N S^1/2 V^T and B = N^-T S^1/2 W^T the conserved matrix gives
    H S H - S = N^T Q N for H = N^T N, so that H - I is (N^T Q N)_ij / (S_i + S_j) to first order.

    Parameters
    ----------
    solution1, solution2 : tuple of two array_like, shapes (n_pairs, k, m) and (n_pairs, k, n)
        The factors (A, B) of both solutions.
    Q1, Q2 : array_like of shape (n_pairs, k, k), optional
        The imbalance of each start; by default that of the solution itself.

    Returns
    -------
    ndarray of shape (n_pairs,)

    Raises
    ------
    ValueError
        If the shapes differ, or the rows of a factor are linearly dependent.

    Examples
    --------
    A small change of scale of the first unit, which Q remembers:

    >>> A = B = np.sqrt(np.diag([2.0, 1.0]))[None]
    >>> g = np.diag([1.01, 1.0])
    >>> other = g @ A, np.linalg.inv(g) @ B
    >>> measured = map_deviation(A, other[0])
    >>> bool(abs(predicted_deviation((A, B), other) / measured - 1).max() < 0.05)
    True
    """
    _pairs(solution1[0], solution2[0])
    difference = _metric(*solution2, "Q2", Q2) - _metric(*solution1, "Q1", Q1)
    return np.linalg.norm(difference, axis=(1, 2)) / (2 * np.sqrt(difference.shape[-1]))


def _metric(A: ArrayLike, B: ArrayLike, name: str, Q: ArrayLike | None) -> np.ndarray:
    """H - I of a solution in the singular basis of its product, to first order in Q."""
    A, B = (as_array(which, X, ndim=3).astype(float) for which, X in (("A", A), ("B", B)))
    conserved = imbalance(A, B)  # refuses factors that do not fit
    Q = conserved if Q is None else as_array(name, Q, ndim=3).astype(float)
    if Q.shape != conserved.shape:
        raise ValueError(f"{name} must have the shape {conserved.shape}, got {Q.shape}")
    k = A.shape[1]
    left, size, right = np.linalg.svd(A.mT @ B, full_matrices=False)
    left, size = left[..., :k], size[..., :k]
    # The singular vectors of both solutions must have the same signs.
    pivot = np.abs(left).argmax(axis=1)[:, None, :]
    left = left * np.sign(np.take_along_axis(left, pivot, axis=1))
    N = A @ left / np.sqrt(size)[:, None, :]
    u, _, v = np.linalg.svd(N)
    turn = u @ v  # the orthogonal part of N
    return turn.mT @ Q @ turn / (size[:, :, None] + size[:, None, :])


def _pairs(A1: ArrayLike, A2: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    A1, A2 = (
        as_array(name, value, ndim=3).astype(float) for name, value in (("A1", A1), ("A2", A2))
    )
    if A1.shape != A2.shape:
        raise ValueError(f"A1 {A1.shape} and A2 {A2.shape} must have the same shape")
    if any((np.linalg.matrix_rank(A) < A.shape[1]).any() for A in (A1, A2)):
        raise ValueError("the hidden units of A1 and of A2 must be linearly independent")
    return A1, A2
