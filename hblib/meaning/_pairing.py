"""Units of two spaces, paired one to one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from hblib._checks import as_array


def pair_units(X: ArrayLike, Y: ArrayLike) -> NDArray[np.float64]:
    """Find the signed permutation after which the units of one space correlate best with another's.

    Units are paired one to one, signs free, so that the sum of the absolute correlations of the
    pairs is as large as possible.

    Parameters
    ----------
    X, Y : array_like of shape (n_samples, n_dims)
        Activations of two networks, or vectors of two trainings, for the same inputs.

    Returns
    -------
    ndarray of shape (n_dims, n_dims)
        ``U`` with one entry, 1 or -1, in each row and column: unit r of ``X @ U.T`` is the partner
        of unit r of ``Y``, turned to correlate positively.

    Raises
    ------
    ValueError
        If the shapes differ, or a unit does not vary.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 2))
    >>> pair_units(X, np.stack([-X[:, 1], X[:, 0]], axis=1))
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    X, Y = (as_array(name, Z, ndim=2).astype(float) for name, Z in (("X", X), ("Y", Y)))
    if X.shape != Y.shape:
        raise ValueError(f"X and Y must have the same shape, got {X.shape} and {Y.shape}")
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    spread = np.multiply.outer(np.linalg.norm(Y, axis=0), np.linalg.norm(X, axis=0))
    if not spread.all():
        raise ValueError("X and Y must have units that vary, got one that does not")
    correlation = Y.T @ X / spread
    rows, columns = linear_sum_assignment(np.abs(correlation), maximize=True)
    U = np.zeros_like(correlation)
    U[rows, columns] = np.where(correlation[rows, columns] < 0, -1.0, 1.0)
    return U
