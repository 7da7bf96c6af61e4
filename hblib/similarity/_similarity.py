"""How alike are two layers? Subspace match, and the measures it is compared with.

A layer is a matrix with one row a sample and one column a neuron, ``(n_samples, n_neurons)``.
The column of a neuron is its *activation vector*: what the neuron says about every sample.

Subspace match, after Wang et al. [1]_, asks which sets of neurons of two layers span the same
space. A pair of sets ``(X', Y')`` is an *epsilon-approximate match* if ::

    dist(x, span Y') <= epsilon |x|  for all x in X',  and
    dist(y, span X') <= epsilon |y|  for all y in Y'.

Unions of matches are matches, so there is one *maximum match*. Its share of all neurons is the
*maximum matching similarity*. A match is *simple* if it is not a union of strictly smaller
matches; a *v-minimal* match is a match that contains the neuron v and no smaller match that does.

The other measures (CCA family, CKA, Procrustes, RSA, neighbourhoods, one-to-one neurons) share one
signature, ``f(X, Y, *, ...) -> float``, and stand in the registry `MEASURES` together with the
transformations that leave them alone.

Values to rely on. A constant neuron is harmless: it is left out where only variation counts, and
is never matched where its activation vector is zero. Subspace match of a layer of zeros is 0.0.
Every other measure is undefined when a whole layer is constant, and says so in a ValueError.
Wrong shapes, unequal numbers of samples and values that are not finite are ValueErrors too.

References
----------
.. [1] L. Wang, L. Hu, J. Gu, Y. Wu, Z. Hu, K. He and J. Hopcroft, "Towards understanding learning
   representations", NeurIPS 2018, arXiv:1810.11750.
.. [2] S. Kornblith, M. Norouzi, H. Lee and G. Hinton, "Similarity of neural network
   representations revisited", ICML 2019, arXiv:1905.00414.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import linalg
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr
from sklearn.neighbors import NearestNeighbors

# A relative distance below this is rounding: epsilon = 0 then means "exact" in float64.
ROUNDING = 1e-9
# Directions of unit-length activation vectors weaker than this (relatively) carry no span.
RANK_TOLERANCE = 1e-10


# --- Subspace match ---------------------------------------------------------------------------


class Match(NamedTuple):
    """Column numbers of the neurons of X and of Y that match each other, in rising order."""

    x: tuple[int, ...]
    y: tuple[int, ...]


def is_match(X, Y, epsilon, x, y, *, centred=False):
    """Tell whether neurons `x` of X and `y` of Y are an epsilon-approximate match.

    Parameters
    ----------
    X : array, (n_samples, n_neurons_x)
    Y : array, (n_samples, n_neurons_y)
    epsilon : float in [0, 1)
        Largest relative distance of an activation vector from the other side's span.
    x, y : sequences of int
        Columns of X and of Y. Two empty sets are a match; zero vectors belong to no match.
    centred : bool
        Take the mean activation of every neuron away first.

    Returns
    -------
    bool
    """
    A, B = _activation_vectors(X, Y, centred)
    _check_epsilon(epsilon)
    x, y = np.unique(np.asarray(x, dtype=int)), np.unique(np.asarray(y, dtype=int))
    alive = _alive(A)[x].all() and _alive(B)[y].all()
    return bool(alive and _match_of(*_eliminate(A, B, epsilon, x, y)) == _match_of(x, y))


def maximum_match(X, Y, epsilon, *, centred=False):
    """Find the largest pair of neuron sets that span the same space up to `epsilon`.

    Neurons too far from the span of the other side are deleted, in turn on both sides, until
    nothing changes. The order of deletions does not matter. One QR factorisation of ``[X Y]``
    first replaces the samples by at most ``n_neurons_x + n_neurons_y`` rows, so that the number
    of samples leaves the loop.

    Parameters
    ----------
    X : array, (n_samples, n_neurons_x)
    Y : array, (n_samples, n_neurons_y)
    epsilon : float in [0, 1)
        Largest relative distance of an activation vector from the other side's span.
    centred : bool
        Take the mean activation of every neuron away first. Without it a common mean alone can
        look like a match; with it the result no longer depends on where zero is.

    Returns
    -------
    Match
        Empty on both sides if nothing matches.

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
    A, B = _activation_vectors(X, Y, centred)
    _check_epsilon(epsilon)
    return _match_of(
        *_eliminate(A, B, epsilon, np.flatnonzero(_alive(A)), np.flatnonzero(_alive(B)))
    )


def minimal_match(X, Y, epsilon, neuron, *, side="x", centred=False, rng=None):
    """Find a v-minimal match: one that contains `neuron` and no smaller match that does.

    Every other neuron is struck out once; if the maximum match of the rest still contains
    `neuron`, the rest becomes that match. Several v-minimal matches may exist, and the order of
    the trials decides which one is found.

    Parameters
    ----------
    X, Y, epsilon, centred
        As in `maximum_match`.
    neuron : int
        Column of the neuron v.
    side : {"x", "y"}
        The layer to which `neuron` belongs.
    rng : numpy.random.Generator, optional
        Order of the trials; from the first to the last neuron if not given.

    Returns
    -------
    Match or None
        None if no match contains the neuron.
    """
    A, B = _activation_vectors(X, Y, centred)
    _check_epsilon(epsilon)
    if side not in ("x", "y"):
        raise ValueError(f"side must be 'x' or 'y', got {side!r}")
    width = A.shape[1] if side == "x" else B.shape[1]
    if not isinstance(neuron, int | np.integer) or not 0 <= neuron < width:
        raise ValueError(
            f"neuron must be a column of {side.upper()}, 0 to {width - 1}, got {neuron}"
        )
    start = _eliminate(A, B, epsilon, np.flatnonzero(_alive(A)), np.flatnonzero(_alive(B)))
    return _minimal(A, B, epsilon, start, neuron, side, rng)


def simple_matches(X, Y, epsilon, *, centred=False, rng=None):
    """Break the maximum match up into simple matches, one for each of its neurons.

    A match is simple exactly if it is v-minimal for one of its neurons: a match that is v-minimal
    is no union of smaller ones, for one of them would contain v; and a match that is v-minimal
    for none of its neurons is the union of smaller ones, one for each neuron.

    Parameters
    ----------
    X, Y, epsilon, centred, rng
        As in `minimal_match`.

    Returns
    -------
    list of Match
        Without repetition, smallest first. Their union is the maximum match.
    """
    A, B = _activation_vectors(X, Y, centred)
    _check_epsilon(epsilon)
    x, y = _eliminate(A, B, epsilon, np.flatnonzero(_alive(A)), np.flatnonzero(_alive(B)))
    found = {
        _minimal(A, B, epsilon, (x, y), v, side, rng)
        for side, neurons in (("x", x), ("y", y))
        for v in neurons
    }
    return sorted(found, key=lambda match: (len(match.x) + len(match.y), match))


def critical_epsilons(X, Y, *, centred=False):
    """Find for every neuron the smallest epsilon at which the maximum match contains it.

    Maximum matches are nested: a smaller epsilon gives a part of the match of a larger one. So
    the whole curve is found by deleting neurons one at a time, the most distant first. The
    largest distance at a deletion, or a smaller one met before, is the critical epsilon of the
    neuron deleted. A deletion updates the other side's least squares by the leave-one-out
    formula, which only ever adds to a squared distance: no cancellation.

    Parameters
    ----------
    X, Y, centred
        As in `maximum_match`.

    Returns
    -------
    critical_x : array, (n_neurons_x,)
    critical_y : array, (n_neurons_y,)
        Infinite for neurons whose activation vector is zero: they never match.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[1., 0], [0, 1], [0, 0]])
    >>> Y = np.array([[2., 0], [0, 3], [0, 4]])
    >>> cx, cy = critical_epsilons(X, Y)
    >>> print(cx.round(3), cy.round(3))
    [0.  0.8] [0.  0.8]
    """
    A, B = _activation_vectors(X, Y, centred)
    critical = [np.full(A.shape[1], np.inf), np.full(B.shape[1], np.inf)]
    columns = [np.flatnonzero(_alive(A)), np.flatnonzero(_alive(B))]
    A, B = A[:, columns[0]], B[:, columns[1]]
    # fits[0] fits X's neurons by Y's, fits[1] the other way round.
    fits = [_LeaveOneOut(B, A), _LeaveOneOut(A, B)]
    present = [np.ones(A.shape[1], bool), np.ones(B.shape[1], bool)]
    level = np.inf
    for _ in range(A.shape[1] + B.shape[1]):
        worst = [np.where(p, f.squared, -1.0) for p, f in zip(present, fits)]
        side = int(np.max(worst[0], initial=-1.0) < np.max(worst[1], initial=-1.0))
        neuron = int(np.argmax(worst[side]))
        level = min(level, np.sqrt(worst[side][neuron]))
        critical[side][columns[side][neuron]] = level
        present[side][neuron] = False
        fits[1 - side].delete(neuron)
    return tuple(critical)


def matching_curve(X, Y, epsilons, *, centred=False):
    """Maximum matching similarity at every one of `epsilons`, from one pass over the neurons.

    Parameters
    ----------
    X, Y, centred
        As in `maximum_match`.
    epsilons : array, (n_epsilons,)
        Each in [0, 1).

    Returns
    -------
    array, (n_epsilons,)
        ``(|X*| + |Y*|) / (|X| + |Y|)``: zero vectors count below the line, never above it.
    """
    for epsilon in np.atleast_1d(epsilons):
        _check_epsilon(epsilon)
    critical = np.sort(np.concatenate(critical_epsilons(X, Y, centred=centred)))
    return np.searchsorted(critical, np.asarray(epsilons) + ROUNDING, side="right") / critical.size


def matching_similarity(X, Y, *, epsilon=0.3, centred=False):
    """Maximum matching similarity: the share of all neurons that lie in the maximum match."""
    match = maximum_match(X, Y, epsilon, centred=centred)
    return (len(match.x) + len(match.y)) / (np.shape(X)[1] + np.shape(Y)[1])


class _LeaveOneOut:
    """Squared distances of the columns of `targets` from a span that loses one column at a time.

    With unit columns B and targets A, ``B T`` is the projection of A and C a generalised inverse
    of ``B'B``. Without column j the squared distances grow by ``T[j]^2 / C[j, j]``. If j takes
    part in a linear relation of the columns (a row of the null space N that is not zero), the
    span stays, and T and C only have to be rewritten without j.
    """

    def __init__(self, B, targets):
        # The whole null space is wanted, which a wide B only gives with full matrices.
        wide = B.shape[1] > B.shape[0]
        U, s, Vt = linalg.svd(B, full_matrices=wide, check_finite=False)
        rank = int(np.sum(s > RANK_TOLERANCE * s[0])) if s.size else 0
        U, V, self.null = U[:, :rank], Vt[:rank].T / s[:rank], Vt[rank:].T.copy()
        loadings = U.T @ targets
        self.coefficients = V @ loadings
        self.inverse = V @ V.T
        self.squared = np.sum((targets - U @ loadings) ** 2, axis=0)

    def delete(self, j):
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


def _activation_vectors(X, Y, centred):
    """Unit activation vectors of both layers in the common coordinates of one QR (zero if dead)."""
    X, Y = _check_pair(X, Y)
    if centred:
        X, Y = _centre(X), _centre(Y)
    both = np.hstack([X, Y])
    if both.shape[0] > both.shape[1]:
        both = linalg.qr(both, mode="r", check_finite=False)[0][: both.shape[1]]
    both = _unit_columns(both)
    return both[:, : X.shape[1]], both[:, X.shape[1] :]


def _alive(A):
    return A.any(axis=0)


def _eliminate(A, B, epsilon, x, y):
    """Delete neurons of the sets x, y until what is left is a match: the maximum one in them."""
    sizes = None
    while sizes != (len(x), len(y)):
        sizes = len(x), len(y)
        x = x[_distances(A[:, x], B[:, y]) <= epsilon + ROUNDING]
        y = y[_distances(B[:, y], A[:, x]) <= epsilon + ROUNDING]
    return x, y


def _minimal(A, B, epsilon, match, neuron, side, rng):
    def contains(match):
        return neuron in match[side == "y"]

    if not contains(match):
        return None
    trials = [("x", i) for i in match[0]] + [("y", j) for j in match[1]]
    for k in range(len(trials)) if rng is None else rng.permutation(len(trials)):
        where, i = trials[k]
        if (where, i) == (side, neuron) or i not in match[where == "y"]:
            continue
        x, y = match
        smaller = (x[x != i], y) if where == "x" else (x, y[y != i])
        smaller = _eliminate(A, B, epsilon, *smaller)
        if contains(smaller):
            match = smaller
    return _match_of(*match)


def _match_of(x, y):
    return Match(tuple(int(i) for i in x), tuple(int(j) for j in y))


def _distances(A, B):
    """Distances of the columns of A from the span of the columns of B."""
    Q = _orthonormal_basis(B)
    return np.linalg.norm(A - Q @ (Q.T @ A), axis=0)


def _orthonormal_basis(A):
    """Orthonormal columns that span the columns of A, by QR with pivoting."""
    norms = np.linalg.norm(A, axis=0)
    A = A[:, norms > 0] / norms[norms > 0]
    if A.shape[1] == 0:
        return np.zeros((A.shape[0], 0))
    Q, R, _ = linalg.qr(A, mode="economic", pivoting=True, check_finite=False)
    diagonal = np.abs(np.diag(R))
    return Q[:, : np.sum(diagonal > RANK_TOLERANCE * diagonal[0])]


# --- The other measures -------------------------------------------------------------------------


def cca_r2(X, Y, *, centred=True):
    """Mean squared canonical correlation, ``R^2_CCA``.

    Parameters
    ----------
    X : array, (n_samples, n_neurons_x)
    Y : array, (n_samples, n_neurons_y)
    centred : bool
        False compares the spans of the raw activation vectors, as subspace match does.

    Returns
    -------
    float in [0, 1]
        Divided by the smaller of the two ranks, so that it is symmetric.
    """
    return float(np.mean(canonical_correlations(X, Y, centred=centred) ** 2))


def cca_mean(X, Y, *, centred=True):
    """Mean canonical correlation; parameters as in `cca_r2`."""
    return float(np.mean(canonical_correlations(X, Y, centred=centred)))


def canonical_correlations(X, Y, *, centred=True):
    """Cosines of the principal angles between the spans of two layers, largest first.

    Returns
    -------
    array, (min(rank X, rank Y),)
    """
    X, Y = _varying_pair(X, Y) if centred else _check_pair(X, Y)
    QX, QY = _orthonormal_basis(X), _orthonormal_basis(Y)
    if min(QX.shape[1], QY.shape[1]) == 0:
        raise ValueError("canonical correlations are undefined for a layer of zeros")
    return np.clip(linalg.svdvals(QX.T @ QY, check_finite=False), 0.0, 1.0)


def svcca(X, Y, *, variance=0.99):
    """Mean canonical correlation of the leading principal components (Raghu et al. 2017).

    Parameters
    ----------
    X, Y
        As in `cca_r2`.
    variance : float in (0, 1]
        Share of each layer's variance that the components kept must reach.
    """
    if not 0 < variance <= 1:
        raise ValueError(f"variance must be in (0, 1], got {variance}")
    X, Y = _varying_pair(X, Y)

    def leading(A):
        U, s, _ = linalg.svd(A, full_matrices=False, check_finite=False)
        share = np.cumsum(s**2) / np.sum(s**2)
        return U[:, : np.searchsorted(share, variance - 1e-12) + 1]

    rho = linalg.svdvals(leading(X).T @ leading(Y), check_finite=False)
    return float(np.mean(np.clip(rho, 0.0, 1.0)))


def pwcca(X, Y):
    """Projection-weighted CCA: correlations weighted by how much of X each direction carries.

    The weights are those of equation (9) of Kornblith et al. [2]_: with canonical variates h_i
    of X, ``alpha_i = sum_j |<h_i, x_j>|``. (The code published with the measure leaves out the
    whitening of the directions, so that it changes when neurons are permuted.)
    Not symmetric: X sets the weights.
    """
    X, Y = _varying_pair(X, Y)
    QX, QY = _orthonormal_basis(X), _orthonormal_basis(Y)
    U, rho, _ = linalg.svd(QX.T @ QY, full_matrices=False, check_finite=False)
    alpha = np.abs((QX @ U).T @ X).sum(axis=1)
    return float(alpha @ np.clip(rho, 0.0, 1.0) / alpha.sum())


def linear_regression(X, Y):
    """Share of the variance of X that a linear map of Y explains. Not symmetric."""
    X, Y = _varying_pair(X, Y)
    return float(np.sum((_orthonormal_basis(Y).T @ X) ** 2) / np.sum(X**2))


def linear_cka(X, Y):
    """Centred kernel alignment with linear kernels, ``|Y'X|^2 / (|X'X| |Y'Y|)`` (Frobenius)."""
    X, Y = _varying_pair(X, Y)
    norms = np.linalg.norm(X.T @ X) * np.linalg.norm(Y.T @ Y)
    return float(np.linalg.norm(Y.T @ X) ** 2 / norms)


def debiased_cka(X, Y):
    """Linear CKA with the unbiased estimate of each term; may be slightly negative.

    Wants at least four samples. Uses no ``n_samples x n_samples`` matrix.
    """
    X, Y = _varying_pair(X, Y)
    n = X.shape[0]
    if n < 4:
        raise ValueError(f"debiased_cka needs at least 4 samples, got {n}")

    def hsic(A, B):
        a, b = np.sum(A**2, axis=1), np.sum(B**2, axis=1)
        return (
            np.linalg.norm(A.T @ B) ** 2
            - n / (n - 2) * (a @ b)
            + a.sum() * b.sum() / ((n - 1) * (n - 2))
        )

    scale = hsic(X, X) * hsic(Y, Y)
    if scale <= 0:
        raise ValueError(
            "debiased_cka is undefined: a layer has no similarity with itself beyond "
            "chance at this number of samples"
        )
    return float(hsic(X, Y) / np.sqrt(scale))


def rbf_cka(X, Y, *, bandwidth=0.5):
    """Centred kernel alignment with Gaussian kernels.

    Parameters
    ----------
    X, Y
        As in `cca_r2`; memory grows with n_samples squared.
    bandwidth : float > 0
        Width of the kernel as a share of the median distance between samples.
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth}")
    X, Y = _varying_pair(X, Y)

    def kernel(A):
        squared = squareform(pdist(A, "sqeuclidean"))
        # The median is taken over the whole matrix, diagonal included, as in the published code.
        median = np.median(squared)
        if median == 0:
            raise ValueError("rbf_cka is undefined: more than half of the samples coincide")
        K = np.exp(-squared / (2 * bandwidth**2 * median))
        return K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()

    K, L = kernel(X), kernel(Y)
    return float(np.sum(K * L) / (np.linalg.norm(K) * np.linalg.norm(L)))


def procrustes(X, Y):
    """Largest inner product of the two centred, unit-norm layers over all rotations of one.

    The nuclear norm of ``X'Y``; 1 means equal up to rotation, scale and shift, and
    ``sqrt(2 - 2 procrustes)`` is the Procrustes distance.
    """
    X, Y = _varying_pair(X, Y)
    nuclear = linalg.svdvals(X.T @ Y, check_finite=False).sum()
    return float(nuclear / (np.linalg.norm(X) * np.linalg.norm(Y)))


def rsa(X, Y):
    """Spearman correlation of the samples' dissimilarities (1 - Pearson) in X and in Y.

    Kriegeskorte et al. 2008. Each sample is a row, correlated with other rows: at least two
    neurons are needed, and a sample to which all neurons answer alike has no correlation.
    """
    X, Y = _varying_pair(X, Y, centre=False)
    for name, A in (("X", X), ("Y", Y)):
        flat = np.flatnonzero(np.ptp(A, axis=1) == 0)
        if flat.size:
            raise ValueError(
                f"rsa is undefined: all neurons of {name} give sample {flat[0]} the same activation"
            )
    result = spearmanr(pdist(X, "correlation"), pdist(Y, "correlation")).statistic
    if np.isnan(result):
        raise ValueError("rsa is undefined: all samples are equally dissimilar")
    return float(result)


def mutual_knn(X, Y, *, k=10):
    """Mean share of a sample's `k` nearest neighbours (cosine) that X and Y have in common.

    Huh et al. 2024. Chance is about ``k / (n_samples - 1)``.
    """
    X, Y = _varying_pair(X, Y, centre=False)
    if not 1 <= k < X.shape[0]:
        raise ValueError(f"k must be between 1 and n_samples - 1 = {X.shape[0] - 1}, got {k}")

    def neighbours(A):
        search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(A)
        return search.kneighbors_graph(mode="connectivity")

    return float(neighbours(X).multiply(neighbours(Y)).sum() / (k * X.shape[0]))


def neuron_matching(X, Y):
    """Mean Pearson correlation under the best one-to-one pairing of neurons (Li et al. 2015).

    Neurons of the wider layer that stay alone do not count; a constant neuron correlates 0.
    """
    X, Y = _varying_pair(X, Y)
    correlation = _unit_columns(X).T @ _unit_columns(Y)
    rows, columns = linear_sum_assignment(correlation, maximize=True)
    return float(correlation[rows, columns].mean())


def identification_accuracy(similarities):
    """How often the most similar layer of the other network is the layer at the same depth.

    Kornblith et al. [2]_, section 6.1.

    Parameters
    ----------
    similarities : array, (n_pairs, n_layers, n_layers)
        Entry ``[p, i, j]``: layer i of the first against layer j of the second network of a pair.

    Returns
    -------
    array, (n_pairs,)
        Share of the 2 n_layers layers of the pair whose partner is found; chance is 1 / n_layers.
    """
    S = np.asarray(similarities, dtype=float)
    if S.ndim != 3 or S.shape[1] != S.shape[2]:
        raise ValueError(
            f"similarities must have shape (n_pairs, n_layers, n_layers), got {S.shape}"
        )
    if np.isnan(S).any():
        raise ValueError("similarities contains NaN")
    depth = np.arange(S.shape[1])
    # Of equal values a random one would be chosen: a tie counts as its share.
    rows = (S[:, depth, depth] == S.max(axis=2)) / np.sum(S == S.max(axis=2, keepdims=True), axis=2)
    columns = (S[:, depth, depth] == S.max(axis=1)) / np.sum(
        S == S.max(axis=1, keepdims=True), axis=1
    )
    return (rows.mean(axis=1) + columns.mean(axis=1)) / 2


# --- Registry -----------------------------------------------------------------------------------

# What can be done to the neurons of one layer without touching what the layer knows.
TRANSFORMATIONS = (
    "permutation",
    "isotropic scaling",
    "neuron scaling",
    "orthogonal",
    "invertible linear",
    "translation",
)


class Measure(NamedTuple):
    """A similarity measure, and the transformations of X that leave its value alone."""

    label: str
    function: Callable[..., float]
    invariances: frozenset[str]
    symmetric: bool


def _measure(label, function, invariances, symmetric=True):
    chosen = frozenset(name for name, letter in zip(TRANSFORMATIONS, invariances) if letter == "Y")
    return Measure(label, function, chosen, symmetric)


def _centred_match(X, Y, *, epsilon=0.3):
    """Maximum matching similarity of the centred layers."""
    return matching_similarity(X, Y, epsilon=epsilon, centred=True)


# Letters in the order of TRANSFORMATIONS.
MEASURES = {
    "match": _measure("subspace match", matching_similarity, "YYYnnn"),
    "match_centred": _measure("subspace match, centred", _centred_match, "YYYnnY"),
    "neuron_matching": _measure("one-to-one neurons", neuron_matching, "YYYnnY"),
    "linear_regression": _measure("linear regression", linear_regression, "YYnYnY", False),
    "cca_r2": _measure("CCA, R²", cca_r2, "YYYYYY"),
    "cca_mean": _measure("CCA, mean", cca_mean, "YYYYYY"),
    "svcca": _measure("SVCCA", svcca, "YYnYnY"),
    "pwcca": _measure("PWCCA", pwcca, "YYnnnY", False),
    "linear_cka": _measure("CKA, linear", linear_cka, "YYnYnY"),
    "debiased_cka": _measure("CKA, debiased", debiased_cka, "YYnYnY"),
    "rbf_cka": _measure("CKA, RBF", rbf_cka, "YYnYnY"),
    "procrustes": _measure("Procrustes", procrustes, "YYnYnY"),
    "rsa": _measure("RSA", rsa, "YYnnnn"),
    "mutual_knn": _measure("mutual k-NN", mutual_knn, "YYnYnn"),
}


# --- Input --------------------------------------------------------------------------------------


def _check_pair(X, Y):
    X, Y = _check_layer("X", X), _check_layer("Y", Y)
    if X.shape[0] != Y.shape[0]:
        raise ValueError(
            "X and Y must have the same samples in their rows, got "
            f"{X.shape[0]} and {Y.shape[0]} rows"
        )
    return X, Y


def _check_layer(name, A):
    A = np.asarray(A, dtype=float)
    if A.ndim != 2 or 0 in A.shape:
        raise ValueError(
            f"{name} must be 2-D with shape (n_samples, n_neurons) and not empty, "
            f"got shape {A.shape}"
        )
    if not np.isfinite(A).all():
        raise ValueError(f"{name} contains values that are not finite (NaN or infinity)")
    return A


def _varying_pair(X, Y, *, centre=True):
    X, Y = _check_pair(X, Y)
    centred = []
    for name, A in (("X", X), ("Y", Y)):
        centred.append(_centre(A))
        if not centred[-1].any():
            raise ValueError(
                f"all neurons of {name} are constant: the measure needs a layer that varies"
            )
    return tuple(centred) if centre else (X, Y)


def _centre(A):
    """Take the mean of every neuron away; what is left of a constant one is exactly zero."""
    centred = A - A.mean(axis=0)
    rounding = np.linalg.norm(centred, axis=0) <= 1e-12 * np.linalg.norm(A, axis=0)
    centred[:, rounding] = 0.0
    return centred


def _unit_columns(A):
    norms = np.linalg.norm(A, axis=0)
    return np.divide(A, norms, out=np.zeros_like(A), where=norms > 0)


def _check_epsilon(epsilon):
    if not 0 <= epsilon < 1:
        raise ValueError(f"epsilon must be in [0, 1), got {epsilon}")
