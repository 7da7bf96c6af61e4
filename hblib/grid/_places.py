"""Places for classes that use the whole grid: neighbours sound alike, and nobody is crowded."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment

from hblib._checks import Randomness
from hblib.grid import _grid as grid


def even_centres(
    X: ArrayLike, y: ArrayLike, shape: tuple[int, int], rng: Randomness = None
) -> np.ndarray:
    """Place class centres evenly over the grid, classes with similar mean inputs side by side.

    Places by t-SNE crowd: they leave a good part of the grid empty. Here each class moves to one
    of the cells of a coarse lattice, so that the sum of squared ways is smallest.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    y : array_like of int, shape (n_samples,)
        Classes from 0, at least 4 of them, each with at least one sample.
    shape : tuple of two int
        Height and width of the grid.
    rng : int, sequence of int, Generator or None
        See `tsne_centres`.

    Returns
    -------
    ndarray of shape (n_classes, 2)

    Raises
    ------
    ValueError
        As `tsne_centres` does.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(40, 8)), np.arange(40) % 4
    >>> np.sort(even_centres(X, y, (8, 8), rng=0).ravel()).tolist()
    [1.5, 1.5, 1.5, 1.5, 5.5, 5.5, 5.5, 5.5]
    """
    crowded = grid.tsne_centres(X, y, shape, rng)
    side = int(np.ceil(np.sqrt(len(crowded))))
    places = (grid.lattice((side, side)) + 0.5) * np.array(shape) / side - 0.5
    ways = ((crowded[:, None] - places) ** 2).sum(axis=-1)
    return places[linear_sum_assignment(ways)[1]]
