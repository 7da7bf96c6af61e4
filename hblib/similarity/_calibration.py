"""What a similarity is worth: its value for the same layers with the samples shuffled.

Any measure is above zero for layers that have nothing to do with each other, and the more so the
wider they are. A permutation of the samples of one layer leaves both layers as they are and takes
away only what one sample says in both, so it gives each measure its own zero.

References
----------
Gröger, Wen and Brbić, "Revisiting the Platonic representation hypothesis: an Aristotelian view",
2026, arXiv:2602.14486.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hblib._checks import Randomness, as_array, generator, whole


class Calibrated(NamedTuple):
    """A similarity beside what it is for shuffled samples.

    Attributes
    ----------
    value : float
        For the samples as they are.
    null : numpy.ndarray of shape (n_permutations,)
        For shuffled samples.
    p_value : float
        Share of all orders, the given one included, with a similarity of at least `value`.
    excess : float
        ``(value - mean of null) / (1 - mean of null)``: 0 for unrelated layers, 1 for equal ones.
    """

    value: float
    null: np.ndarray
    p_value: float
    excess: float


def calibrate(
    measure: Callable[[ArrayLike, ArrayLike], float],
    X: ArrayLike,
    Y: ArrayLike,
    n_permutations: int = 99,
    rng: Randomness = None,
) -> Calibrated:
    """Compare a similarity of two layers with its values for shuffled samples.

    Parameters
    ----------
    measure : callable
        ``measure(X, Y)`` is a number that is 1 for equal layers, such as `linear_cka`.
    X : array_like of shape (n_samples, n_neurons_x)
    Y : array_like of shape (n_samples, n_neurons_y)
    n_permutations : int
        How often the samples of Y are shuffled; the smallest p-value is 1 over one more.
    rng : int, Generator or None
        Source of the orders.

    Returns
    -------
    Calibrated

    Raises
    ------
    ValueError
        If the layers have different samples, or unrelated layers have the similarity 1 already.

    References
    ----------
    Gröger, Wen and Brbić 2026, arXiv:2602.14486.

    Examples
    --------
    >>> from hblib.similarity import linear_cka
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 20, 100))
    >>> unrelated, equal = (calibrate(linear_cka, X, Z, rng=0) for Z in (Y, X))
    >>> round(unrelated.value, 2), round(unrelated.excess, 2), unrelated.p_value > 0.05
    (0.82, -0.01, True)
    >>> round(equal.excess, 2), equal.p_value
    (1.0, 0.01)
    """
    X, Y = as_array("X", X), as_array("Y", Y)
    n_permutations, rng = whole("n_permutations", n_permutations), generator(rng)
    if X.ndim == 0 or Y.ndim == 0 or len(X) != len(Y):
        raise ValueError(
            f"X and Y must have the same samples in their rows, got shapes {X.shape} and {Y.shape}"
        )
    value = float(measure(X, Y))
    null = np.array([measure(X, Y[rng.permutation(len(Y))]) for _ in range(n_permutations)])
    mean = float(null.mean())
    if mean >= 1:
        raise ValueError(
            "the measure is 1 for shuffled samples too, so it cannot be calibrated: take more "
            "samples than neurons"
        )
    p_value = (1 + np.sum(null >= value)) / (1 + n_permutations)
    return Calibrated(value, null, float(p_value), (value - mean) / (1 - mean))


def one_position(maps: ArrayLike, rng: Randomness = None) -> np.ndarray:
    """Take one random position of every sample from the maps of a convolution.

    Layers then have one row per sample, as the output has, instead of one per position, and rows
    are as independent as samples are. All networks are read at the same positions.

    Parameters
    ----------
    maps : array_like of shape (n_networks, n_samples, n_channels, height, width)
    rng : int, Generator or None
        Source of the positions: the same seed gives the same ones for maps of equal size.

    Returns
    -------
    ndarray of shape (n_networks, n_samples, n_channels)

    Raises
    ------
    ValueError
        If the maps have another number of axes.

    Examples
    --------
    >>> one_position(np.zeros((2, 30, 8, 5, 5)), rng=0).shape
    (2, 30, 8)
    """
    maps, rng = as_array("maps", maps), generator(rng)
    if maps.ndim != 5:
        raise ValueError(
            "maps must have shape (n_networks, n_samples, n_channels, height, width), got "
            f"{maps.shape}"
        )
    n_samples, height, width = maps.shape[1], *maps.shape[3:]
    place = rng.integers(height, size=n_samples), rng.integers(width, size=n_samples)
    return maps[:, np.arange(n_samples), :, *place].swapaxes(0, 1)
