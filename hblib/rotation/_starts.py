"""Are two sets of starts drawn from one distribution? A joint test of all their entries."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hblib._checks import as_array, generator, whole

SMALL = 1e-9  # a spread below this is rounding


def same_distribution(
    X: ArrayLike,
    Y: ArrayLike,
    rng: int | np.random.Generator | None = 0,
    n_directions: int = 60,
    n_permutations: int = 199,
) -> float:
    """Test jointly whether the rows of X and of Y have one distribution.

    Every row, a whole start, is projected on the coordinate axes and on random directions. Of each
    projection u the means of cos(t u) and sin(t u) are compared, t = 1 and 2 in units of its
    standard deviation: two distributions differ if and only if such a mean, a value of their
    characteristic functions, differs for some direction. The statistic is the largest difference
    in units of its standard error; rows are exchanged at random for the p-value.

    Parameters
    ----------
    X, Y : array_like of shape (n_starts, n_entries)
        Independent starts, flattened; equally many of both.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.
    n_directions : int
        Random directions, besides the axes.
    n_permutations : int
        Exchanges; the p-value is at least 1 / (n_permutations + 1).

    Returns
    -------
    float
        The p-value.

    Raises
    ------
    ValueError
        If X and Y differ in shape, or hold fewer than two starts.

    References
    ----------
    Székely and Rizzo (2013), Energy statistics, Journal of Statistical Planning and Inference 143,
    on tests that compare characteristic functions.

    Examples
    --------
    >>> draws = np.random.default_rng(0)
    >>> X, Y = draws.uniform(-1, 1, (2, 500, 3))
    >>> turned = Y @ np.linalg.qr(draws.standard_normal((3, 3)))[0]
    >>> same_distribution(X, Y) > 0.05, same_distribution(X, turned) > 0.05
    (True, False)
    """
    X, Y = (as_array(name, value).astype(float) for name, value in (("X", X), ("Y", Y)))
    if X.ndim != 2 or X.shape != Y.shape or len(X) < 2:
        raise ValueError(
            "X and Y must have the same shape (n_starts, n_entries) with at least 2 starts, got "
            f"{X.shape} and {Y.shape}"
        )
    n_directions = whole("n_directions", n_directions)
    n_permutations = whole("n_permutations", n_permutations)
    rng = generator(rng)
    both = np.concatenate([X, Y])
    directions = np.hstack([np.eye(X.shape[1]), rng.standard_normal((X.shape[1], n_directions))])
    projected = both @ directions
    spread = projected.std(axis=0)
    varies = spread > SMALL * np.abs(projected).max(initial=1)
    projected = projected[:, varies] / spread[varies]
    cos, sin = np.cos(projected), np.sin(projected)
    # The same at t = 2, by the formulas for twice an angle: cosines are dear.
    features = np.hstack([cos, 2 * cos**2 - 1, sin, 2 * sin * cos])
    features -= features.mean(axis=0)
    spread = np.sqrt(np.einsum("ij,ij->j", features, features) / len(features))
    varies = spread > SMALL
    if not varies.any():
        return 1.0
    sides = np.repeat([1.0, -1.0], len(X))
    exchanged = rng.permuted(np.tile(sides, (n_permutations, 1)), axis=1)
    differences = (np.vstack([sides, exchanged]) @ features)[:, varies] / spread[varies]
    largest = np.abs(differences).max(axis=1)
    return float((1 + (largest[1:] >= largest[0]).sum()) / (n_permutations + 1))
