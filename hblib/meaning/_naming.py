"""Names given once: which directions stand for which factors when nobody may share.

Name every direction after the factor it follows best, and most of them get the same name: that of
whatever makes the largest difference, such as brightness. So here names are dealt out *one to one*.
Each factor gets a direction of its own, in the way that makes the sum of the absolute correlations
largest. Judged on inputs that gave no names, the mean of these correlations over factors is the
*coverage* of a set of directions: how much of what there is to know it spells out, one direction
for each fact.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

from hblib._checks import as_array


class Names(NamedTuple):
    """Directions that stand for factors, see `name_one_to_one`.

    Attributes
    ----------
    direction : ndarray of int, shape (n_factors,)
        The direction that stands for each factor; -1 if there were not enough.
    sign : ndarray of float, shape (n_factors,)
        1 if the factor grows along the direction, -1 if it falls, 0 without a direction.
    """

    direction: NDArray[np.intp]
    sign: NDArray[np.float64]


def name_one_to_one(activities: ArrayLike, factors: ArrayLike) -> Names:
    """Give each factor the direction that follows it, no direction to two factors.

    Parameters
    ----------
    activities : array_like of shape (n_samples, n_directions)
        Component of each input along each direction, or its weight.
    factors : pandas.DataFrame or array_like, shape (n_samples, n_factors)
        What is known about each input.

    Returns
    -------
    Names

    Raises
    ------
    ValueError
        If the tables have different numbers of rows or are not finite.

    Examples
    --------
    Both directions follow the first factor best, but only one of them gets its name:

    >>> F = np.random.default_rng(0).normal(size=(500, 2))
    >>> A = np.stack([-F[:, 0], F[:, 0] + 0.5 * F[:, 1]], axis=1)
    >>> name_one_to_one(A, F)
    Names(direction=array([0, 1]), sign=array([-1.,  1.]))
    """
    r = _correlations(activities, factors)
    direction, sign = np.full(r.shape[1], -1), np.zeros(r.shape[1])
    rows, columns = linear_sum_assignment(np.abs(r), maximize=True)
    direction[columns], sign[columns] = rows, np.sign(r[rows, columns])
    return Names(direction, sign)


def named_correlations(
    names: Names, activities: ArrayLike, factors: ArrayLike
) -> NDArray[np.float64]:
    """Correlation of each factor with the direction that stands for it.

    Parameters
    ----------
    names : Names
        Given on other inputs.
    activities : array_like of shape (n_samples, n_directions)
    factors : pandas.DataFrame or array_like, shape (n_samples, n_factors)

    Returns
    -------
    ndarray of shape (n_factors,)
        Positive where the sign that was given holds as well; 0 without a direction. The mean is the
        coverage.

    Raises
    ------
    ValueError
        If the tables do not fit each other or the names.

    Examples
    --------
    >>> F = np.random.default_rng(0).normal(size=(500, 2))
    >>> names = name_one_to_one(-F[:250], F[:250])
    >>> named_correlations(names, -F[250:], F[250:]).round(6).tolist()
    [1.0, 1.0]
    """
    r = _correlations(activities, factors)
    direction = np.asarray(names.direction)
    if direction.shape != (r.shape[1],) or direction.max(initial=-1) >= r.shape[0]:
        raise ValueError(
            f"names must be for {r.shape[1]} factors and {r.shape[0]} directions, got "
            f"{direction.shape} names up to {direction.max(initial=-1)}"
        )
    return r[direction, np.arange(len(direction))] * names.sign


def _correlations(activities, factors):
    """Pearson's correlation of every direction with every factor; 0 where something is constant."""
    A = as_array("activities", activities, ndim=2)
    F = as_array("factors", factors, ndim=2)
    if len(A) != len(F):
        raise ValueError(
            "activities and factors must be tables with one row per input, got the shapes "
            f"{A.shape} and {F.shape}"
        )
    A, F = A - A.mean(axis=0), F - F.mean(axis=0)
    lengths = np.outer(np.linalg.norm(A, axis=0), np.linalg.norm(F, axis=0))
    return np.divide(A.T @ F, lengths, out=np.zeros_like(lengths, dtype=float), where=lengths > 0)
