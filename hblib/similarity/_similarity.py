"""Measures of how alike two layers are: the CCA family, CKA, Procrustes, RSA, neighbours, neurons.

All share one signature, ``f(X, Y, *, ...) -> float``, and stand together with subspace match in the
registry `MEASURES`, with the transformations that leave them alone.

References
----------
.. [1] S. Kornblith, M. Norouzi, H. Lee and G. Hinton, "Similarity of neural network
   representations revisited", ICML 2019, arXiv:1905.00414.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg

from hblib._checks import as_array, choice, number, whole
from hblib.similarity._layers import (
    check_pair,
    narrowed,
    orthonormal_basis,
    unit_columns,
    varying_pair,
    warn_of_full_rank,
)
from hblib.similarity._subspace_match import matching_similarity


def cca_r2(X: ArrayLike, Y: ArrayLike, *, centred: bool = True) -> float:
    """Mean squared canonical correlation, ``R^2_CCA``.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_neurons_x)
    Y : array_like of shape (n_samples, n_neurons_y)
    centred : bool
        False compares the spans of the raw activation vectors, as subspace match does.

    Returns
    -------
    float in [0, 1]
        Divided by the smaller of the two ranks, so that it is symmetric.

    Warns
    -----
    UserWarning
        If a layer has as many independent neurons as samples allow: the value is then 1.

    References
    ----------
    Table 1 of Kornblith et al. 2019, arXiv:1905.00414.

    Examples
    --------
    >>> X, Y = [[1, 1], [1, -1], [-1, 1], [-1, -1]], [[2], [-2], [-2], [2]]
    >>> round(cca_r2(X, Y), 6), round(cca_r2(X, [row[:1] for row in X]), 6)
    (0.0, 1.0)
    """
    return float(np.mean(canonical_correlations(X, Y, centred=centred) ** 2))


def cca_mean(X: ArrayLike, Y: ArrayLike, *, centred: bool = True) -> float:
    """Mean canonical correlation, ``rho_CCA``.

    Parameters, value range and warning as in `cca_r2`.

    Examples
    --------
    >>> X, Y = [[1, 1], [1, -1], [-1, 1], [-1, -1]], [[1], [1], [-1], [-1]]
    >>> round(cca_mean(X, Y), 6)
    1.0
    """
    return float(np.mean(canonical_correlations(X, Y, centred=centred)))


def canonical_correlations(X: ArrayLike, Y: ArrayLike, *, centred: bool = True) -> np.ndarray:
    """Cosines of the principal angles between the spans of two layers, largest first.

    Parameters
    ----------
    X, Y, centred
        As in `cca_r2`.

    Returns
    -------
    ndarray of shape (min(rank X, rank Y),)

    Warns
    -----
    UserWarning
        As in `cca_r2`.

    Examples
    --------
    >>> X, Y = [[1, 1], [1, -1], [-1, 1], [-1, -1]], [[1, 1], [1, -1], [-1, -1], [-1, 1]]
    >>> print(canonical_correlations(X, Y).round(6))
    [1. 0.]
    """
    X, Y, resolution = (varying_pair if centred else check_pair)(X, Y)
    QX, QY = orthonormal_basis(X, resolution), orthonormal_basis(Y, resolution)
    if min(QX.shape[1], QY.shape[1]) == 0:
        raise ValueError("canonical correlations are undefined for a layer of zeros")
    warn_of_full_rank({"X": QX.shape[1], "Y": QY.shape[1]}, X.shape[0], centred)
    return np.clip(linalg.svdvals(QX.T @ QY, check_finite=False), 0.0, 1.0)


def svcca(X: ArrayLike, Y: ArrayLike, *, variance: float = 0.99) -> float:
    """Mean canonical correlation of the leading principal components (Raghu et al. 2017).

    Parameters
    ----------
    X, Y
        As in `cca_r2`.
    variance : float in (0, 1]
        Share of each layer's variance that the components kept must reach.

    Returns
    -------
    float in [0, 1]

    Warns
    -----
    UserWarning
        If the components kept of a layer are as many as samples allow.

    References
    ----------
    M. Raghu, J. Gilmer, J. Yosinski and J. Sohl-Dickstein, "SVCCA", NeurIPS 2017,
    arXiv:1706.05806.

    Examples
    --------
    >>> X, Y = [[9, 1], [9, -1], [-9, 1], [-9, -1]], [[1], [1], [-1], [-1]]
    >>> round(svcca(X, Y, variance=0.9), 6)  # only the first component of X is kept
    1.0
    """
    variance = number("variance", variance, most=1, above=0)
    X, Y, _ = varying_pair(X, Y)

    def leading(A):
        U, s, _ = linalg.svd(narrowed(A), full_matrices=False, check_finite=False)
        share = np.cumsum(s**2) / np.sum(s**2)
        return U[:, : np.searchsorted(share, variance - 1e-12) + 1]

    U, V = leading(X), leading(Y)
    warn_of_full_rank({"X": U.shape[1], "Y": V.shape[1]}, X.shape[0], True)
    rho = linalg.svdvals(U.T @ V, check_finite=False)
    return float(np.mean(np.clip(rho, 0.0, 1.0)))


def pwcca(X: ArrayLike, Y: ArrayLike) -> float:
    """Projection-weighted CCA: correlations weighted by how much of X each direction carries.

    The weights are those of equation (9) of Kornblith et al. 2019: with canonical variates h_i of
    X, ``alpha_i = sum_j |<h_i, x_j>|``. (The code published with the measure leaves out the
    whitening of the directions, so that it changes when neurons are permuted.)

    Parameters
    ----------
    X, Y
        As in `cca_r2`. Not symmetric: X sets the weights.

    Returns
    -------
    float in [0, 1]

    Warns
    -----
    UserWarning
        As in `cca_r2`.

    Examples
    --------
    >>> X, Y = [[3, 1], [3, -1], [-3, 1], [-3, -1]], [[1], [1], [-1], [-1]]
    >>> round(pwcca(X, Y), 6)
    1.0
    """
    X, Y, resolution = varying_pair(X, Y)
    QX, QY = orthonormal_basis(X, resolution), orthonormal_basis(Y, resolution)
    warn_of_full_rank({"X": QX.shape[1], "Y": QY.shape[1]}, X.shape[0], True)
    U, rho, _ = linalg.svd(QX.T @ QY, full_matrices=False, check_finite=False)
    alpha = np.abs((QX @ U).T @ X).sum(axis=1)
    return float(alpha @ np.clip(rho, 0.0, 1.0) / alpha.sum())


def linear_regression(X: ArrayLike, Y: ArrayLike) -> float:
    """Share of the variance of X that a linear map of Y explains, ``R^2_LR``. Not symmetric.

    Parameters
    ----------
    X, Y
        As in `cca_r2`.

    Returns
    -------
    float in [0, 1]

    Warns
    -----
    UserWarning
        If Y has as many independent neurons as samples allow: the value is then 1.

    Examples
    --------
    >>> X, Y = [[3, 1], [3, -1], [-3, 1], [-3, -1]], [[1], [1], [-1], [-1]]
    >>> round(linear_regression(X, Y), 6), round(linear_regression(Y, X), 6)
    (0.9, 1.0)
    """
    X, Y, resolution = varying_pair(X, Y)
    Q = orthonormal_basis(Y, resolution)
    warn_of_full_rank({"Y": Q.shape[1]}, Y.shape[0], True)
    return float(np.sum((Q.T @ X) ** 2) / np.sum(X**2))


def linear_cka(X: ArrayLike, Y: ArrayLike) -> float:
    """Centred kernel alignment with linear kernels, ``|Y'X|^2 / (|X'X| |Y'Y|)`` (Frobenius).

    Parameters
    ----------
    X, Y
        As in `cca_r2`. Of wide layers the products of samples with samples are used, so no large
        matrix of neurons by neurons is needed.

    Returns
    -------
    float in [0, 1]

    Examples
    --------
    >>> X, Y = [[1, 1], [1, -1], [-1, 1], [-1, -1]], [[2], [2], [-2], [-2]]
    >>> round(linear_cka(X, X), 6), round(linear_cka(X, Y), 6)
    (1.0, 0.707107)
    """
    X, Y, _ = varying_pair(X, Y)
    return float(_product_norm(Y, X) ** 2 / (_product_norm(X, X) * _product_norm(Y, Y)))


def _product_norm(A: np.ndarray, B: np.ndarray) -> float:
    """Frobenius norm of ``A'B``, by way of ``A A'`` and ``B B'`` where that is cheaper."""
    (n, p), q = A.shape, B.shape[1]
    if p * q <= n * (p + q):
        return np.linalg.norm(A.T @ B)
    return np.sqrt(np.sum((A @ A.T) * (B @ B.T)))


def debiased_cka(X: ArrayLike, Y: ArrayLike) -> float:
    """Linear CKA with the unbiased estimate of each term; may be slightly negative.

    Parameters
    ----------
    X, Y
        As in `linear_cka`, at least four samples.

    Returns
    -------
    float
        At most 1; 0 on average for unrelated layers.

    Raises
    ------
    ValueError
        If there are fewer than four samples, or one layer's similarity with itself does not exceed
        chance.

    Examples
    --------
    >>> import numpy as np
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 20, 100))
    >>> round(linear_cka(X, Y), 2), round(debiased_cka(X, Y), 2)
    (0.82, -0.01)
    """
    X, Y, _ = varying_pair(X, Y)
    n = X.shape[0]
    if n < 4:
        raise ValueError(f"debiased_cka needs at least 4 samples, got {n}")

    def hsic(A, B):
        a, b = np.sum(A**2, axis=1), np.sum(B**2, axis=1)
        return (
            _product_norm(A, B) ** 2
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


def rbf_cka(X: ArrayLike, Y: ArrayLike, *, bandwidth: float = 0.5) -> float:
    """Centred kernel alignment with Gaussian kernels.

    Parameters
    ----------
    X, Y
        As in `cca_r2`; memory grows with the square of n_samples.
    bandwidth : float > 0
        Width of the kernel as a share of the median distance between samples.

    Returns
    -------
    float in [0, 1]

    Raises
    ------
    ValueError
        If more than half of the samples of a layer coincide.

    Examples
    --------
    >>> X, Y = [[0], [1], [2], [3]], [[0, 0], [0, -1], [0, -2], [0, -3]]
    >>> round(rbf_cka(X, Y), 6)
    1.0
    """
    bandwidth = number("bandwidth", bandwidth, above=0)
    X, Y, _ = varying_pair(X, Y)
    return _inner_product(_gaussian_kernel(X, bandwidth), _gaussian_kernel(Y, bandwidth))


def _gaussian_kernel(A: np.ndarray, bandwidth: float = 0.5) -> np.ndarray:
    """Centred Gaussian kernel of the samples of a layer, scaled to Frobenius norm 1."""
    from scipy.spatial.distance import pdist, squareform

    squared = squareform(pdist(A, "sqeuclidean"))
    # The median is taken over the whole matrix, diagonal included, as in the published code.
    median = np.median(squared)
    if median == 0:
        raise ValueError("rbf_cka is undefined: more than half of the samples coincide")
    K = np.exp(-squared / (2 * bandwidth**2 * median))
    K = K - K.mean(axis=0) - K.mean(axis=1, keepdims=True) + K.mean()
    return K / np.linalg.norm(K)


def _inner_product(K: np.ndarray, L: np.ndarray) -> float:
    return float(np.vdot(K, L))


def procrustes_similarity(X: ArrayLike, Y: ArrayLike) -> float:
    """Largest inner product of the two centred, unit-norm layers over all rotations of one.

    The nuclear norm of ``X'Y``; 1 means equal up to rotation, scale and shift, and
    ``sqrt(2 - 2 procrustes_similarity)`` is the Procrustes distance. The rotation itself is
    `hblib.rotation.procrustes_rotation`.

    Parameters
    ----------
    X, Y
        As in `cca_r2`. Layers with more neurons than samples are first rotated to n_samples
        neurons.

    Returns
    -------
    float in [0, 1]

    Examples
    --------
    >>> X, Y = [[1, 1], [1, -1], [-1, 1], [-1, -1]], [[2, 0], [0, 2], [0, -2], [-2, 0]]
    >>> round(procrustes_similarity(X, Y), 6)  # Y is X, turned by 45 degrees and scaled
    1.0
    """
    X, Y, _ = varying_pair(X, Y)
    X, Y = narrowed(X), narrowed(Y)
    nuclear = linalg.svdvals(X.T @ Y, check_finite=False).sum()
    return float(nuclear / (np.linalg.norm(X) * np.linalg.norm(Y)))


def rsa(X: ArrayLike, Y: ArrayLike) -> float:
    """Representational similarity analysis: whether both layers find the same samples dissimilar.

    Spearman correlation of the dissimilarities (1 - Pearson) of all pairs of samples in X and in Y
    (Kriegeskorte, Mur and Bandettini 2008).

    Parameters
    ----------
    X, Y
        As in `cca_r2`, at least two neurons each.

    Returns
    -------
    float in [-1, 1]

    Raises
    ------
    ValueError
        If all neurons of a layer give one sample the same activation, or all samples are equally
        dissimilar.

    Examples
    --------
    >>> X = [[1, 0, 0], [1, 1, 0], [0, 1, 2], [0, 3, 1]]
    >>> round(rsa(X, [[5 * x + 7 for x in row] for row in X]), 6)
    1.0
    """
    X, Y, _ = varying_pair(X, Y, centred=False)
    return _inner_product(_dissimilarity_ranks(X, "X"), _dissimilarity_ranks(Y, "Y"))


def _dissimilarity_ranks(A: np.ndarray, name: str = "a layer") -> np.ndarray:
    """Ranks of the dissimilarities of all pairs of samples, mean 0 and length 1."""
    from scipy.spatial.distance import pdist
    from scipy.stats import rankdata

    flat = np.flatnonzero(np.ptp(A, axis=1) == 0)
    if flat.size:
        raise ValueError(
            f"rsa is undefined: all neurons of {name} give sample {flat[0]} the same activation"
        )
    ranks = rankdata(pdist(A, "correlation"))
    ranks -= ranks.mean()
    length = np.linalg.norm(ranks)
    if not length > 0:
        raise ValueError("rsa is undefined: all samples are equally dissimilar")
    return ranks / length


def mutual_knn(X: ArrayLike, Y: ArrayLike, *, k: int = 10) -> float:
    """Mean share of a sample's `k` nearest neighbours (cosine) that X and Y have in common.

    Parameters
    ----------
    X, Y
        As in `cca_r2`.
    k : int
        Less than n_samples. Chance is about ``k / (n_samples - 1)``.

    Returns
    -------
    float in [0, 1]

    References
    ----------
    M. Huh, B. Cheung, T. Wang and P. Isola, "The platonic representation hypothesis", ICML 2024,
    arXiv:2405.07987.

    Examples
    --------
    >>> X = [[1, 0], [9, 1], [0, 1], [1, 9]]
    >>> mutual_knn(X, [row[::-1] for row in X], k=1)
    1.0
    """
    X, Y, _ = varying_pair(X, Y, centred=False)
    most = X.shape[0] - 1
    k = whole(f"k (below n_samples = {most + 1})", k, 1, most)
    return _common_share(_neighbours(X, k), _neighbours(Y, k))


def _neighbours(A: np.ndarray, k: int = 10) -> Any:
    """Sparse matrix of ones where a sample (column) is among the nearest of another (row)."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=k, metric="cosine").fit(A)
    return search.kneighbors_graph(mode="connectivity")


def _common_share(one: Any, other: Any) -> float:
    return float(one.multiply(other).sum() / one.nnz)


def neuron_matching(X: ArrayLike, Y: ArrayLike) -> float:
    """Mean Pearson correlation under the best one-to-one pairing of neurons (Li et al. 2015).

    Neurons of the wider layer that stay alone do not count; a constant neuron correlates 0.

    Parameters
    ----------
    X, Y
        As in `cca_r2`; memory grows with the product of the two widths.

    Returns
    -------
    float in [-1, 1]

    References
    ----------
    Y. Li, J. Yosinski, J. Clune, H. Lipson and J. Hopcroft, "Convergent learning", 2015,
    arXiv:1511.07543.

    Examples
    --------
    >>> X = [[1, 0, 2], [0, 1, 1], [3, 1, 0], [0, 0, 1]]
    >>> round(neuron_matching(X, [row[::-1] for row in X]), 6)
    1.0
    """
    from scipy.optimize import linear_sum_assignment

    X, Y, _ = varying_pair(X, Y)
    correlation = unit_columns(X).T @ unit_columns(Y)
    rows, columns = linear_sum_assignment(correlation, maximize=True)
    return float(correlation[rows, columns].mean())


def identification_accuracy(similarities: ArrayLike) -> np.ndarray:
    """How often the most similar layer of the other network is the layer at the same depth.

    Parameters
    ----------
    similarities : array_like of shape (n_pairs, n_layers, n_layers)
        Entry ``[p, i, j]``: layer i of the first against layer j of the second network of a pair.

    Returns
    -------
    ndarray of shape (n_pairs,)
        Share of the ``2 * n_layers`` layers of the pair whose partner is found; chance is
        ``1 / n_layers``. A tie counts as the chance of choosing right within it.

    References
    ----------
    Section 6.1 of Kornblith et al. 2019, arXiv:1905.00414.

    Examples
    --------
    >>> identification_accuracy([[[0.9, 0.3], [0.8, 0.7]]])  # layer 2 takes layer 1 for its like
    array([0.75])
    """
    S = as_array("similarities", similarities).astype(np.float64)
    if S.ndim != 3 or S.shape[1] != S.shape[2]:
        raise ValueError(
            f"similarities must have shape (n_pairs, n_layers, n_layers), got {S.shape}"
        )
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
_EVERY = frozenset(TRANSFORMATIONS)
_ALWAYS = frozenset({"permutation", "isotropic scaling"})
_OF_EACH_NEURON = _ALWAYS | {"neuron scaling"}
_RIGID = _ALWAYS | {"orthogonal", "translation"}


class Measure(NamedTuple):
    """A similarity measure, and the transformations of X that leave its value alone."""

    label: str
    function: Callable[..., float]
    invariances: frozenset[str]
    symmetric: bool = True


def _centred_match(X: ArrayLike, Y: ArrayLike, *, epsilon: float = 0.3) -> float:
    """Maximum matching similarity of the centred layers."""
    return matching_similarity(X, Y, epsilon=epsilon, centred=True)


MEASURES = {
    "match": Measure("subspace match", matching_similarity, _OF_EACH_NEURON),
    "match_centred": Measure(
        "subspace match, centred", _centred_match, _OF_EACH_NEURON | {"translation"}
    ),
    "neuron_matching": Measure(
        "one-to-one neurons", neuron_matching, _OF_EACH_NEURON | {"translation"}
    ),
    "linear_regression": Measure("linear regression", linear_regression, _RIGID, symmetric=False),
    "cca_r2": Measure("CCA, R²", cca_r2, _EVERY),
    "cca_mean": Measure("CCA, mean", cca_mean, _EVERY),
    "svcca": Measure("SVCCA", svcca, _RIGID),
    "pwcca": Measure("PWCCA", pwcca, _ALWAYS | {"translation"}, symmetric=False),
    "linear_cka": Measure("CKA, linear", linear_cka, _RIGID),
    "debiased_cka": Measure("CKA, debiased", debiased_cka, _RIGID),
    "rbf_cka": Measure("CKA, RBF", rbf_cka, _RIGID),
    "procrustes": Measure("Procrustes", procrustes_similarity, _RIGID),
    "rsa": Measure("RSA", rsa, _ALWAYS),
    "mutual_knn": Measure("mutual k-NN", mutual_knn, _ALWAYS | {"orthogonal"}),
}

# What a measure needs of one layer alone, and how two of these give its value.
_HALVES: dict[str, tuple[Callable[[np.ndarray], Any], Callable[[Any, Any], float], bool]] = {
    "rbf_cka": (_gaussian_kernel, _inner_product, True),
    "rsa": (_dissimilarity_ranks, _inner_product, False),
    "mutual_knn": (_neighbours, _common_share, False),
}


def all_pairs(measure: str, layers: Sequence[ArrayLike], others: Sequence[ArrayLike]) -> np.ndarray:
    """Compare every layer of one network with every layer of another.

    The values are those of ``MEASURES[measure].function``. Where a measure starts from each layer
    by itself, as from the distances between samples, that is done once per layer and not once per
    pair, which is four times as fast for four layers.

    Parameters
    ----------
    measure : str
        A name in `MEASURES`.
    layers, others : sequence of array_like of shape (n_samples, n_neurons)
        Layers of the two networks; widths may differ.

    Returns
    -------
    ndarray of shape (n_layers, n_others)

    Raises
    ------
    ValueError
        If there is no such measure, or it is undefined for a pair.

    Examples
    --------
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 50, 3))
    >>> np.diag(all_pairs("rsa", [X, Y], [X, Y])).round(6)
    array([1., 1.])
    """
    choice("measure", measure, tuple(MEASURES))
    function = MEASURES[measure].function
    if measure not in _HALVES:
        return np.array([[function(a, b) for b in others] for a in layers])
    half, together, centred = _HALVES[measure]
    for a in layers:
        for b in others:
            check_pair(a, b)
    first, second = (
        [half(varying_pair(layer, layer, centred=centred)[0]) for layer in side]
        for side in (layers, others)
    )
    return np.array([[together(a, b) for b in second] for a in first])
