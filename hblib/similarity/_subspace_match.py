"""Subspace match (Wang et al. 2018): the sets of neurons of two layers that span the same space.

A pair of sets ``(X', Y')`` of neurons of two layers is an *epsilon-approximate match* if ::

    dist(x, span Y') <= epsilon |x|  for all x in X',  and
    dist(y, span X') <= epsilon |y|  for all y in Y'.

Unions of matches are matches, so there is one *maximum match*. Its share of all neurons is the
*maximum matching similarity*.

References
----------
L. Wang, L. Hu, J. Gu, Y. Wu, Z. Hu, K. He and J. Hopcroft, "Towards understanding learning
representations", NeurIPS 2018, arXiv:1810.11750.
"""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from hblib._checks import as_array
from hblib.similarity._layers import (
    RANK_TOLERANCE,
    above_rounding,
    centre,
    check_pair,
    orthonormal_basis,
    unit_columns,
    warn_of_full_rank,
)

# What float64 rounding can do to a relative distance. With epsilon = 0 a match is exact up to this.
ROUNDING = 1e-9


class Match(NamedTuple):
    """Column numbers of the neurons of X and of Y that match each other, in rising order."""

    x: tuple[int, ...]
    y: tuple[int, ...]


class CriticalEpsilons(NamedTuple):
    """For every neuron of X and of Y the smallest epsilon at which it is matched."""

    x: np.ndarray
    y: np.ndarray


class _Vectors(NamedTuple):
    """Unit activation vectors of both layers, zero if dead, and how precisely they were stored."""

    x: np.ndarray
    y: np.ndarray
    resolution: float


class _Columns(NamedTuple):
    """A set of neurons of each layer, as arrays of column numbers."""

    x: np.ndarray
    y: np.ndarray

    def match(self) -> Match:
        return Match(tuple(self.x.tolist()), tuple(self.y.tolist()))


def is_match(
    X: ArrayLike,
    Y: ArrayLike,
    epsilon: float,
    x: ArrayLike,
    y: ArrayLike,
    *,
    centred: bool = False,
) -> bool:
    """Tell whether neurons `x` of X and `y` of Y are an epsilon-approximate match.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_neurons_x)
    Y : array_like of shape (n_samples, n_neurons_y)
    epsilon : float in [0, 1)
        Largest relative distance of an activation vector from the other side's span.
    x, y : array_like of int or bool
        Neurons of X and of Y: column numbers, or one truth value per column. Two empty sets are a
        match; a neuron whose activation vector is zero belongs to no match.
    centred : bool
        Subtract the mean activation of every neuron first.

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If the layers do not fit together, or `x` or `y` are not columns of theirs.

    Examples
    --------
    >>> X, Y = [[1, 0], [0, 1], [0, 0]], [[1, 1], [1, -1], [0, 0]]
    >>> is_match(X, Y, 0.0, [0, 1], [True, True]), is_match(X, Y, 0.0, [0], [0])
    (True, False)
    """
    vectors = _activation_vectors(X, Y, centred)
    epsilon = _check_epsilon(epsilon)
    chosen = _Columns(_check_columns("x", x, vectors.x), _check_columns("y", y, vectors.y))
    alive = _alive(vectors.x)[chosen.x].all() and _alive(vectors.y)[chosen.y].all()
    return bool(alive and _eliminate(vectors, epsilon, chosen).match() == chosen.match())


def maximum_match(X: ArrayLike, Y: ArrayLike, epsilon: float, *, centred: bool = False) -> Match:
    """Find the largest pair of neuron sets that span the same space up to `epsilon`.

    Neurons too far from the span of the other side are deleted, in turn on both sides, until
    nothing changes. The order of deletions does not matter. One QR factorisation of ``[X Y]``
    first replaces the samples by at most ``n_neurons_x + n_neurons_y`` rows, so that the number
    of samples does not slow down the loop.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_neurons_x)
    Y : array_like of shape (n_samples, n_neurons_y)
    epsilon : float in [0, 1)
        Largest relative distance of an activation vector from the other side's span. Below the
        rounding of the layers' number type it means "exactly in the span".
    centred : bool
        Subtract the mean activation of every neuron first. Without it a common mean alone can
        look like a match; with it the result no longer depends on where zero is.

    Returns
    -------
    Match
        Empty on both sides if nothing matches.

    Warns
    -----
    UserWarning
        If both layers have as many independent neurons as samples: all neurons then match.

    References
    ----------
    Algorithm 1 of Wang et al. 2018, arXiv:1810.11750.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1., 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    >>> Y = np.array([[1., 1, 0], [1, -1, 0], [0, 0, 0], [0, 0, 1]])
    >>> maximum_match(X, Y, 0.0)
    Match(x=(0, 1), y=(0, 1))
    """
    vectors = _activation_vectors(X, Y, centred)
    return _eliminate(vectors, _check_epsilon(epsilon), _all_alive(vectors)).match()


def critical_epsilons(X: ArrayLike, Y: ArrayLike, *, centred: bool = False) -> CriticalEpsilons:
    """Find for every neuron the smallest epsilon at which the maximum match contains it.

    Maximum matches are nested: the match at a smaller epsilon is part of the match at a larger
    one. So the whole curve is found by deleting neurons one at a time, the most distant first. The
    largest distance at a deletion, or a smaller one met before, is the critical epsilon of the
    neuron deleted. A deletion updates the other side's least squares by the leave-one-out
    formula, which only ever adds to a squared distance: no cancellation.

    Parameters
    ----------
    X, Y, centred
        As in `maximum_match`.

    Returns
    -------
    CriticalEpsilons
        Arrays `x` of shape (n_neurons_x,) and `y` of shape (n_neurons_y,). Infinite for neurons
        whose activation vector is zero: they never match.

    Warns
    -----
    UserWarning
        As in `maximum_match`.

    Notes
    -----
    Time grows with the cube and memory with the square of the number of neurons, however few the
    samples: seconds for layers of 500 neurons, minutes for 2,000. For wider layers and a few
    values of epsilon call `maximum_match` at each of them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1., 0], [0, 1], [0, 0]])
    >>> Y = np.array([[2., 0], [0, 3], [0, 4]])
    >>> cx, cy = critical_epsilons(X, Y)
    >>> print(cx.round(3), cy.round(3))
    [0.  0.8] [0.  0.8]
    """
    return _critical(_activation_vectors(X, Y, centred))


def _critical(vectors: _Vectors) -> CriticalEpsilons:
    columns = _all_alive(vectors)
    critical = CriticalEpsilons(*(np.full(A.shape[1], np.inf) for A in (vectors.x, vectors.y)))
    A, B = vectors.x[:, columns.x], vectors.y[:, columns.y]
    # fits[0] fits X's neurons by Y's, fits[1] the other way round.
    fits = [_LeaveOneOut(B, A, vectors.resolution), _LeaveOneOut(A, B, vectors.resolution)]
    present = [np.ones(A.shape[1], bool), np.ones(B.shape[1], bool)]
    level = np.inf
    for _ in range(A.shape[1] + B.shape[1]):
        farthest = [np.where(p, f.squared, -1.0) for p, f in zip(present, fits, strict=True)]
        side = int(np.max(farthest[0], initial=-1.0) < np.max(farthest[1], initial=-1.0))
        neuron = int(np.argmax(farthest[side]))
        level = min(level, np.sqrt(farthest[side][neuron]))
        critical[side][columns[side][neuron]] = level
        present[side][neuron] = False
        fits[1 - side].delete(neuron)
    return critical


def matching_curve(
    X: ArrayLike, Y: ArrayLike, epsilons: ArrayLike, *, centred: bool = False
) -> np.ndarray:
    """Maximum matching similarity at every one of `epsilons`, from one pass over the neurons.

    Parameters
    ----------
    X, Y, centred
        As in `maximum_match`; for the cost see `critical_epsilons`.
    epsilons : array_like of shape (n_epsilons,)
        Each in [0, 1).

    Returns
    -------
    ndarray of shape (n_epsilons,)
        ``(|X*| + |Y*|) / (|X| + |Y|)``: dead neurons count in the denominator only.

    Examples
    --------
    >>> X, Y = [[1., 0], [0, 1], [0, 0]], [[2., 0], [0, 3], [0, 4]]
    >>> matching_curve(X, Y, [0.1, 0.9])
    array([0.5, 1. ])
    """
    epsilons = as_array("epsilons", epsilons, ndim=(0, 1)).astype(np.float64)
    for epsilon in np.atleast_1d(epsilons):
        _check_epsilon(float(epsilon), "each of epsilons")
    vectors = _activation_vectors(X, Y, centred)
    critical = np.sort(np.concatenate(_critical(vectors)))
    bounds = _distance_bound(epsilons, vectors.resolution)
    return np.searchsorted(critical, bounds, side="right") / critical.size


def matching_similarity(
    X: ArrayLike, Y: ArrayLike, *, epsilon: float = 0.3, centred: bool = False
) -> float:
    """Maximum matching similarity: the share of all neurons that lie in the maximum match.

    Parameters
    ----------
    X, Y, epsilon, centred
        As in `maximum_match`.

    Returns
    -------
    float in [0, 1]

    Examples
    --------
    >>> matching_similarity([[1., 0], [0, 1], [0, 0]], [[2., 0], [0, 3], [0, 4]])
    0.5
    """
    match = maximum_match(X, Y, epsilon, centred=centred)
    return (len(match.x) + len(match.y)) / (np.shape(X)[1] + np.shape(Y)[1])


class _LeaveOneOut:
    """Squared distances of the columns of `targets` from a span that loses one column at a time.

    With unit columns B and targets A, ``B T`` is the projection of A and C a generalised inverse
    of ``B'B``. Without column j the squared distances grow by ``T[j]^2 / C[j, j]``. If j takes
    part in a linear relation of the columns (a row of the null space N that is not zero), the
    span stays, and T and C only have to be rewritten without j.
    """

    def __init__(self, B: np.ndarray, targets: np.ndarray, resolution: float):
        # The whole null space is wanted, which a wide B only gives with full matrices.
        wide = B.shape[1] > B.shape[0]
        U, s, Vt = linalg.svd(B, full_matrices=wide, check_finite=False)
        bound = above_rounding(RANK_TOLERANCE, resolution)
        rank = int(np.sum(s > bound * s[0])) if s.size else 0
        U, V, self.null = U[:, :rank], Vt[:rank].T / s[:rank], Vt[rank:].T.copy()
        loadings = U.T @ targets
        self.coefficients = V @ loadings
        self.inverse = V @ V.T
        self.squared = np.sum((targets - U @ loadings) ** 2, axis=0)

    def delete(self, j: int) -> None:
        T, C = self.coefficients, self.inverse
        relation = self.null[j]
        weight = relation @ relation
        if weight > 1e-16:
            w = self.null @ relation / weight
            self.null -= np.outer(w, relation)
            T -= np.outer(w, T[j])
            C -= np.outer(w, C[j])
            C -= np.outer(C[:, j], w)
        elif C[j, j] > 0:
            self.squared = np.minimum(self.squared + T[j] ** 2 / C[j, j], 1.0)
            T -= np.outer(C[:, j] / C[j, j], T[j])
            C -= np.outer(C[:, j] / C[j, j], C[j])
        T[j], C[j], C[:, j] = 0.0, 0.0, 0.0


def _activation_vectors(X: Any, Y: Any, centred: bool) -> _Vectors:
    """Unit activation vectors of both layers in the common coordinates of one QR factorisation."""
    X, Y, resolution = check_pair(X, Y)
    if centred:
        X, Y = centre(X, resolution), centre(Y, resolution)
    n_samples = X.shape[0]
    if min(X.shape[1], Y.shape[1]) >= n_samples - centred:
        # One layer alone that spans everything still leaves something to match in the other.
        rank = min(orthonormal_basis(A, resolution).shape[1] for A in (X, Y))
        warn_of_full_rank({"X": rank, "Y": rank}, n_samples, centred)
    both = np.hstack([X, Y])
    if both.shape[0] > both.shape[1]:
        both = linalg.qr(both, mode="r", check_finite=False)[0][: both.shape[1]]
    both = unit_columns(both)
    return _Vectors(both[:, : X.shape[1]], both[:, X.shape[1] :], resolution)


def _alive(A: np.ndarray) -> np.ndarray:
    return A.any(axis=0)


def _all_alive(vectors: _Vectors) -> _Columns:
    return _Columns(*(np.flatnonzero(_alive(A)) for A in (vectors.x, vectors.y)))


def _eliminate(vectors: _Vectors, epsilon: float, columns: _Columns) -> _Columns:
    """Delete neurons until what is left is a match: the maximum one within `columns`."""
    A, B, resolution = vectors
    bound = _distance_bound(epsilon, resolution)
    x, y = columns
    sizes = None
    while sizes != (len(x), len(y)):
        sizes = len(x), len(y)
        x = x[_distances(A[:, x], B[:, y], resolution) <= bound]
        y = y[_distances(B[:, y], A[:, x], resolution) <= bound]
    return _Columns(x, y)


def _distance_bound(epsilon: Any, resolution: float) -> Any:
    """Largest distance that counts as within `epsilon`, given what rounding does to distances.

    The rounding of stored activations reaches the distances multiplied by the condition of the
    span, for which 64 allows; half precision could otherwise not be told from a loose match.
    """
    return np.maximum(epsilon + ROUNDING, min(64 * resolution, 0.05))


def _distances(A: np.ndarray, B: np.ndarray, resolution: float) -> np.ndarray:
    """Distances of the columns of A from the span of the columns of B."""
    Q = orthonormal_basis(B, resolution)
    return np.linalg.norm(A - Q @ (Q.T @ A), axis=0)


def _check_epsilon(epsilon: float, name: str = "epsilon") -> float:
    if not (isinstance(epsilon, numbers.Real) and 0 <= epsilon < 1):
        raise ValueError(f"{name} must be in [0, 1), got {epsilon!r}")
    return float(epsilon)


def _check_columns(name: str, columns: Any, layer: np.ndarray) -> np.ndarray:
    """Column numbers in rising order, from column numbers or from a mask."""
    n_columns = layer.shape[1]
    chosen = np.asarray(columns)
    if chosen.size == 0:
        return np.zeros(0, dtype=int)
    if chosen.dtype == bool and chosen.shape == (n_columns,):
        return np.flatnonzero(chosen)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be column numbers, or one truth value for each of the {n_columns} "
            f"columns of {name.upper()}, got {columns!r}"
        )
    if chosen.min() < 0 or chosen.max() >= n_columns:
        raise ValueError(
            f"{name} must be columns of {name.upper()}, 0 to {n_columns - 1}, got {columns!r}"
        )
    return np.unique(chosen)
