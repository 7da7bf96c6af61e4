"""How nameable a direction is: a graded score that brightness, length and luck cannot earn.

A direction is named by the attribute that its top inputs share. Three things make it look nameable
when it is not: how bright an input is, how long its activation vector is, and luck, since many
attributes give many chances. The *surplus* is what remains of the share when all three are taken
away. It is graded: no bar decides what counts as a name, so it cannot saturate there.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import Randomness, as_array, generator, number, whole
from hblib.meaning._attributes import _activations, _truth_table, top_inputs
from hblib.meaning._factors import _standardised_ranks


class Surplus(NamedTuple):
    """Names of directions and how much they say, see `surplus`.

    Attributes
    ----------
    score : ndarray of shape (n_directions,)
        From minus one to one; NaN for a direction that fires for too few inputs.
    attribute : ndarray of int, shape (n_directions,)
        The column of the table of attributes that names the direction.
    """

    score: NDArray[np.float64]
    attribute: NDArray[np.intp]


def unexplained(has: ArrayLike, known: ArrayLike) -> NDArray[np.float64]:
    """Return what is left of attributes when known quantities have explained what they can.

    Parameters
    ----------
    has : array_like of bool, shape (n_samples, n_attributes)
        Which input has which attribute.
    known : array_like of shape (n_samples, n_known)
        Quantities that are to earn nothing, such as the brightness of a picture.

    Returns
    -------
    ndarray of shape (n_samples, n_attributes)
        Residuals of the least-squares regression of each attribute on the ranks of the known
        quantities and the squares of these ranks.

    Raises
    ------
    ValueError
        If the tables have different numbers of rows.

    Examples
    --------
    An attribute that is nothing but brightness, and one that has nothing to do with it:

    >>> brightness = np.arange(100.0)
    >>> has = np.stack([brightness > 49, brightness % 2 == 0], axis=1)
    >>> unexplained(has, brightness[:, None]).std(axis=0).round(1)
    array([0.2, 0.5])
    """
    has, known = _truth_table("has", has), as_array("known", known, ndim=2)
    if len(has) != len(known):
        raise ValueError(
            f"has and known must have one row per input, got {len(has)} and {len(known)} rows"
        )
    ranks = _standardised_ranks(known)
    basis = np.linalg.qr(np.hstack([np.ones((len(has), 1)), ranks, ranks**2]))[0]
    return has - basis @ (basis.T @ has)


def surplus(
    activations: ArrayLike, residuals: ArrayLike, n_top: int, luck: float = 0.0
) -> Surplus:
    """Score directions by the attribute that their top inputs share most, beyond what is known.

    Parameters
    ----------
    activations : array_like of shape (n_samples, n_directions)
        Component of each input along each direction.
    residuals : array_like of shape (n_samples, n_attributes)
        From `unexplained`.
    n_top : int
        Inputs with the largest components that are looked at.
    luck : float
        From `luck_of`; subtracted from every score.

    Returns
    -------
    Surplus
        ``score`` and ``attribute``; the score is NaN where the top inputs are not determined (see
        `top_inputs`).

    Raises
    ------
    ValueError
        If the tables have different numbers of rows.

    Examples
    --------
    A unit that fires for one class of ten, and random activations:

    >>> rng = np.random.default_rng(0)
    >>> label = np.arange(200) % 10
    >>> R = unexplained(label[:, None] == np.arange(10), rng.random((200, 1)))
    >>> H = np.stack([label == 3, rng.random(200)], axis=1)
    >>> found = surplus(H, R, n_top=10, luck=luck_of(R, 10, rng))
    >>> bool(found.score[0] > 0.5 > 0.2 > found.score[1]), int(found.attribute[0])
    (True, 3)
    """
    A, R = _activations(activations), as_array("residuals", residuals, ndim=2)
    luck = number("luck", luck)
    if A.ndim != 2 or len(A) != len(R):
        raise ValueError(
            "activations and residuals must be tables with one row per input, got the shapes "
            f"{A.shape} and {R.shape}"
        )
    n_top = whole("n_top", n_top, 1, len(A))
    shares, last = _mean_of_largest(A.T, R, n_top)
    determined = last > A.min(axis=0)
    return Surplus(
        np.where(determined, shares.max(axis=1) - luck, np.nan), shares.argmax(axis=1)
    )


def luck_of(
    residuals: ArrayLike, n_top: int, rng: Randomness, n_draws: int = 500
) -> float:
    """Return the mean score of inputs drawn at random: what the best of many attributes gives.

    Shuffling the attributes among the inputs turns the top inputs of any direction into such a
    random draw.

    Parameters
    ----------
    residuals : array_like of shape (n_samples, n_attributes)
        From `unexplained`.
    n_top : int
        Inputs in a draw.
    rng : int, sequence of int, numpy.random.Generator or None
        Draws the inputs.
    n_draws : int
        Number of draws.

    Returns
    -------
    float

    Examples
    --------
    Of two attributes that split the inputs in halves, the better one gains by chance:

    >>> has = np.arange(100)[:, None] < 50
    >>> R = unexplained(np.hstack([has, ~has]), np.arange(100)[:, None] % 2)
    >>> round(luck_of(R, 10, rng=0), 1)
    0.1
    """
    R, n_draws = as_array("residuals", residuals, ndim=2), whole("n_draws", n_draws)
    n_top = whole("n_top", n_top, 1, len(R))
    draws = generator(rng).random((n_draws, len(R)), dtype=np.float32)
    return float(_mean_of_largest(-draws, R, n_top)[0].max(axis=1).mean())


def _mean_of_largest(
    values: NDArray[np.floating], R: NDArray[np.float64], n_top: int
) -> tuple[NDArray[np.float64], NDArray[np.floating]]:
    """Mean rows of R where each row of values has its n_top largest, and the last of these.

    The inputs are those of `top_inputs`, found by their values, which takes half the time.
    """
    values = np.ascontiguousarray(values)
    last = np.partition(values, -n_top, axis=1)[:, -n_top]
    chosen = values >= last[:, None]
    tied = np.flatnonzero(chosen.sum(axis=1) > n_top)
    if len(tied):
        chosen[tied] = False
        chosen[tied[:, None], top_inputs(values[tied].T, n_top).indices] = True
    return chosen.astype(R.dtype) @ R / n_top, last
