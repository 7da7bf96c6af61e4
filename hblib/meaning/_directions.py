"""Whether units of word vectors mean more than other directions, and whether axes stand out.

Two questions, and two null models. *Meaning*: the top words of a direction are judged by how they
occur together in the text (`coherence`, `intrusion`), never by the vectors themselves, so that
scores can be compared between vectors; units are compared with random directions of the same
vectors (`superiority`). *Alignment*: whether anything about a cloud of vectors depends on the axes
is judged by comparison with rotated copies of the same cloud (`haar_test`). Axes can stand out and
yet mean nothing.

Word vectors are rows, ``X`` of shape ``(n_words, n_dims)``. Directions D are judged by the
activations ``X @ D.T`` of shape ``(n_words, n_directions)``, units by ``X`` itself. Training knows
no sign, so low activations may mean as much as high ones: both ends are scored, the upper ends of
all directions first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import Randomness, as_array, generator, whole
from hblib.meaning._attributes import top_inputs

if TYPE_CHECKING:
    import pandas as pd

# --- how words occur together --------------------------------------------------------------------


def npmi(counts: Any) -> NDArray[np.float64]:
    """Normalised pointwise mutual information of all pairs of words.

    Parameters
    ----------
    counts : array_like, sparse array or object with such a ``matrix``, shape (n_words, n_words)
        How often each pair of words occurs together, see `hblib.words.cooccurrence`; counts may be
        weighted.

    Returns
    -------
    ndarray of shape (n_words, n_words)
        ``log(p_ij / (p_i p_j)) / -log p_ij``: 1 for words that occur only together, 0 for
        independent words, -1 for words that never meet.

    Raises
    ------
    ValueError
        If a count is negative or all are 0.

    References
    ----------
    .. [1] G. Bouma, "Normalized (pointwise) mutual information in collocation extraction",
       Proceedings of GSCL (2009), 31-40.

    Examples
    --------
    Two words that meet only each other, and two more that do the same:

    >>> npmi([[0, 2, 0, 0], [2, 0, 0, 0], [0, 0, 0, 2], [0, 0, 2, 0]])[0] + 0.0
    array([-1.,  1., -1., -1.])
    """
    matrix = getattr(counts, "matrix", counts)
    pairs = as_array("counts", matrix.toarray() if hasattr(matrix, "toarray") else matrix, ndim=2)
    if pairs.shape[0] != pairs.shape[1] or pairs.min() < 0 or not pairs.any():
        raise ValueError(
            "counts must be numbers of at least 0, not all 0, of the shape (n_words, n_words), got "
            f"the shape {pairs.shape}"
        )
    p = pairs / pairs.sum()
    met = p > 0
    surprise = -np.log(p[met])
    expected = -np.log(np.multiply.outer(p.sum(axis=1), p.sum(axis=0))[met])
    out = np.full(p.shape, -1.0)
    # A pair with p = 1 is the whole text: it occurs only together.
    out[met] = np.divide(
        expected - surprise, surprise, out=np.ones_like(surprise), where=surprise > 0
    )
    return out


def coherence(
    activations: ArrayLike, association: ArrayLike, n_top: int = 10
) -> NDArray[np.float64]:
    """Mean association of the top words at both ends of each direction.

    Parameters
    ----------
    activations : array_like of shape (n_words, n_directions)
        Component of each word along each direction.
    association : array_like of shape (n_words, n_words)
        How much two words belong together, judged from elsewhere: `npmi` of the text.
    n_top : int
        Words looked at, from 2 to half the number of words.

    Returns
    -------
    ndarray of shape (2 * n_directions,)
        The upper ends of all directions, then the lower ends.

    Raises
    ------
    ValueError
        If `association` is not square, or `n_top` more than half the number of words.

    References
    ----------
    .. [1] J. H. Lau, D. Newman and T. Baldwin, "Machine reading tea leaves", EACL (2014), 530-539.

    Examples
    --------
    Words in two groups, a direction that separates them and one that does not:

    >>> group = np.arange(40) % 2
    >>> A = np.stack([group, np.arange(40) % 4 // 2], axis=1) + np.arange(40)[:, None] / 1e3
    >>> coherence(A, group[:, None] == group, n_top=10).round(2)
    array([1.  , 0.44, 1.  , 0.44])
    """
    ends, n_top = _both_ends(activations, n_top)
    top = top_inputs(ends, n_top).indices
    S = _association(association, len(ends))
    i, j = np.triu_indices(n_top, 1)
    return S[top[:, i], top[:, j]].mean(axis=1)


def intrusion(
    activations: ArrayLike,
    association: ArrayLike,
    rng: Randomness,
    n_top: int = 5,
    n_draws: int = 20,
) -> NDArray[np.float64]:
    """How often the odd word out is found among the top words at both ends of each direction.

    Word intrusion, a game for human raters [1]_, played by a machine: to the top words of a
    direction add an intruder, a word from the lower half of that direction; name the word that is
    associated least with the others. It is easy if the top words belong together, and a guess if
    they do not.

    Parameters
    ----------
    activations : array_like of shape (n_words, n_directions)
        Component of each word along each direction.
    association : array_like of shape (n_words, n_words)
        As for `coherence`.
    rng : int, sequence of int, numpy.random.Generator or None
        Draws the intruders.
    n_top : int
        Top words shown, from 2 to half the number of words.
    n_draws : int
        Intruders tried, one after the other, at each end.

    Returns
    -------
    ndarray of shape (2 * n_directions,)
        Share of games won; ``1 / (n_top + 1)`` by guessing. Among words that fit equally badly one
        is guessed, so that a tie of m counts 1 / m. The upper ends of all directions come first.

    Raises
    ------
    ValueError
        If `association` is not square, or `n_top` or `n_draws` more than half the words.

    References
    ----------
    .. [1] J. Chang, J. Boyd-Graber, S. Gerrish, C. Wang and D. M. Blei, "Reading tea leaves: how
       humans interpret topic models", NIPS (2009).

    Examples
    --------
    >>> group = np.arange(40) % 2
    >>> intrusion(group[:, None] + 0.0, group[:, None] == group, rng=0)
    array([1., 1.])
    """
    ends, n_top = _both_ends(activations, n_top)
    n_words = len(ends)
    S = _association(association, n_words)
    ranked = top_inputs(ends, n_words).indices
    top, lower = ranked[:, :n_top], ranked[:, n_words // 2 :]
    n_draws = whole("n_draws", n_draws, 1, lower.shape[1])
    intruder = generator(rng).permuted(lower, axis=1)[:, :n_draws]
    within = S[top[:, :, None], top[:, None, :]]
    among_top = within.sum(axis=2) - np.diagonal(within, axis1=1, axis2=2)
    to_intruder = S[top[:, :, None], intruder[:, None, :]]  # (ends, top, draws)
    fit_top = among_top[:, :, None] + to_intruder
    fit_intruder = to_intruder.sum(axis=1)
    lowest = np.minimum(fit_top.min(axis=1), fit_intruder)
    # Sums in another order differ in the last digit: words within 1e-9 tie.
    tied = (fit_top <= lowest[:, None] + 1e-9).sum(axis=1)
    won = np.where(fit_intruder <= lowest + 1e-9, 1 / (tied + 1), 0)
    return won.mean(axis=1)


def superiority(scores: ArrayLike, others: ArrayLike) -> float:
    """Share of pairs in which the first score is the higher one; ties count half.

    0.5 says that neither group is better. It is the probability of superiority, the area under the
    ROC curve, and the statistic of Mann and Whitney divided by the number of pairs.

    Parameters
    ----------
    scores : array_like of shape (n,)
        Of the one group.
    others : array_like of shape (m,)
        Of the other group.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a score is NaN.

    Examples
    --------
    >>> superiority([3, 1], [1, 2])
    0.625
    """
    a = as_array("scores", scores, ndim=1, finite=False).astype(float, copy=False)
    b = as_array("others", others, ndim=1, finite=False).astype(float, copy=False)
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("scores and others must not contain NaN")
    b = np.sort(b)
    below, upto = np.searchsorted(b, a, "left"), np.searchsorted(b, a, "right")
    return float((below + upto).mean() / (2 * len(b)))


def _both_ends(activations: ArrayLike, n_top: int) -> tuple[NDArray[np.float64], int]:
    """Activations along all directions and then along their negatives; `n_top` is checked."""
    A = as_array("activations", activations, ndim=2).astype(float, copy=False)
    n_top = whole("n_top", n_top, 2, len(A) // 2)
    return np.concatenate([A, -A], axis=1), n_top


def _association(association: ArrayLike, n_words: int) -> NDArray[np.float64]:
    S = as_array("association", association).astype(float, copy=False)
    if S.shape != (n_words, n_words):
        raise ValueError(
            f"association must have the shape (n_words, n_words) = {(n_words,) * 2}, got {S.shape}"
        )
    return S


# --- do the axes stand out? ----------------------------------------------------------------------


def whiten(X: ArrayLike) -> NDArray[np.float64]:
    """Centre a cloud of vectors and make it equally wide in all directions, turning nothing (ZCA).

    Parameters
    ----------
    X : array_like of shape (..., n_words, n_dims)
        More words than dimensions.

    Returns
    -------
    ndarray of shape (..., n_words, n_dims)
        ``X_c S^(-1/2)`` with the covariance S of the centred ``X_c``. Of all whitenings this one
        commutes with rotations: ``whiten(X @ U.T) = whiten(X) @ U.T``.

    Raises
    ------
    ValueError
        If the centred vectors do not have full rank.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(50, 3)) * [1, 10, 100]
    >>> np.cov(whiten(X).T, bias=True).round(9) + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    X = _vectors(X)
    Z = X - X.mean(axis=-2, keepdims=True)
    values, Q = np.linalg.eigh(Z.swapaxes(-1, -2) @ Z / X.shape[-2])
    if np.any(values[..., 0] <= 1e-12 * values[..., -1]):
        raise ValueError("X must have full rank n_dims after centring to be whitened")
    return Z @ (Q / np.sqrt(values)[..., None, :]) @ Q.swapaxes(-1, -2)


def word_l1(X: ArrayLike) -> NDArray[np.float64]:
    """L1 over L2 length of a word's vector, over the root of n_dims; mean over words.

    1 where all coordinates of a word are equally large, lower where few of them do the work.

    Parameters
    ----------
    X : array_like of shape (..., n_words, n_dims)
        Word vectors.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> float(word_l1([[1, 1, 1, 1], [2, 0, 0, 0]]))
    0.75
    """
    X = _vectors(X)
    l2 = _not_zero("words of length", np.sqrt(np.sum(X**2, axis=-1)))
    return np.mean(np.sum(np.abs(X), axis=-1) / l2, axis=-1) / np.sqrt(X.shape[-1])


def word_kurtosis(X: ArrayLike) -> NDArray[np.float64]:
    """Excess kurtosis of the coordinates of a word about 0; mean over words.

    Just below 0 if vectors have no preferred axes (-6 / (n_dims + 2) for directions spread evenly
    over the sphere), -1.2 in a cube, large where few coordinates do the work.

    Parameters
    ----------
    X : array_like of shape (..., n_words, n_dims)
        Word vectors.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> bool(abs(word_kurtosis(np.random.default_rng(0).uniform(-1, 1, (2000, 50))) + 1.2) < 0.05)
    True
    """
    X2 = _vectors(X) ** 2
    n_dims = X2.shape[-1]
    square = _not_zero("words of length", np.sum(X2, axis=-1)) ** 2
    return np.mean(n_dims * np.sum(X2**2, axis=-1) / square, axis=-1) - 3


def unit_kurtosis(X: ArrayLike) -> NDArray[np.float64]:
    """Excess kurtosis of a unit over the words; mean over units.

    0 for Gaussian units, large where few words make a unit active.

    Parameters
    ----------
    X : array_like of shape (..., n_words, n_dims)
        Word vectors.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> float(unit_kurtosis([[1, 2], [-1, -2], [1, -2], [-1, 2]]))
    -2.0
    """
    X = _vectors(X)
    Z2 = (X - X.mean(axis=-2, keepdims=True)) ** 2
    square = _not_zero("units of variance", np.mean(Z2, axis=-2)) ** 2
    return np.mean(np.mean(Z2**2, axis=-2) / square, axis=-1) - 3


def mean_peak(X: ArrayLike) -> NDArray[np.float64]:
    """Largest entry of the mean vector over the root mean square of its entries, signs aside.

    1 if the mean vector points to a corner of the cube, the root of n_dims if it lies on an axis.

    Parameters
    ----------
    X : array_like of shape (..., n_words, n_dims)
        Word vectors.

    Returns
    -------
    ndarray of shape (...)

    Examples
    --------
    >>> float(mean_peak([[3, 0, 0, 1], [1, 0, 0, -1]]))
    2.0
    """
    m2 = _vectors(X).mean(axis=-2) ** 2
    return np.sqrt(m2.max(axis=-1) / _not_zero("a mean vector of length", m2.mean(axis=-1)))


AXIS_STATISTICS: dict[str, Callable[[ArrayLike], NDArray[np.float64]]] = {
    "L1 / L2 of a word": word_l1,
    "kurtosis of a word": word_kurtosis,
    "kurtosis of a unit": unit_kurtosis,
    "peak of the mean vector": mean_peak,
}


def haar_test(
    X: ArrayLike,
    rng: Randomness,
    n_rotations: int = 399,
    statistics: Mapping[str, Callable[[ArrayLike], ArrayLike]] = AXIS_STATISTICS,
) -> pd.DataFrame:
    """Ask whether vectors are aligned with their axes: an exact test against rotated copies.

    If X has the same distribution as every rotation of it (neither start nor training knows the
    axes), then X and its copies ``X @ U.T`` under Haar-random U are exchangeable. The rank of a
    statistic of X among those of the copies is then uniform, whatever the statistic, and the
    p-value below is exact at any number of rotations.

    Parameters
    ----------
    X : array_like of shape (n_words, n_dims)
        Word vectors.
    rng : int, sequence of int, numpy.random.Generator or None
        Draws the rotations.
    n_rotations : int
        Rotated copies, at least 19. The smallest p is 2 / (n_rotations + 1), before Holm's
        correction.
    statistics : dict of str to function
        Functions from arrays (..., n_words, n_dims) to (...), by default the four of
        `AXIS_STATISTICS`.

    Returns
    -------
    pandas.DataFrame
        One row per statistic: ``value``; ``haar``, mean over the copies; ``sd``, their standard
        deviation; ``p``, two-sided; ``p_holm``, corrected for the number of statistics.

    Raises
    ------
    ValueError
        If a statistic is not defined: a word of length 0, a unit that does not vary.

    References
    ----------
    .. [1] B. Phipson and G. K. Smyth, "Permutation p-values should never be zero", Statistical
       Applications in Genetics and Molecular Biology 9 (2010), doi:10.2202/1544-6115.1585.

    Examples
    --------
    >>> cube = np.random.default_rng(0).uniform(-1, 1, (300, 8))
    >>> haar_test(cube, rng=1)["p_holm"].round(3).to_dict()["kurtosis of a word"]
    0.02
    """
    import pandas as pd

    from hblib.rotation import haar  # which loads torch

    X = _vectors(X)
    if X.ndim != 2:
        raise ValueError(f"X must have the shape (n_words, n_dims), got {X.shape}")
    n_rotations = whole("n_rotations", n_rotations, 19)
    U = haar(X.shape[1], generator(rng), size=n_rotations)
    # Few copies at a time stay in the processor's cache.
    n_batches = min(n_rotations, max(1, n_rotations * X.size // 250_000))
    batches = np.array_split(U, n_batches)
    copies = []
    for B in batches:
        turned = X @ B.swapaxes(1, 2)
        copies.append([s(turned) for s in statistics.values()])
    copies = np.concatenate(copies, axis=1)
    value = np.array([s(X) for s in statistics.values()])
    # X counts as one of its own copies: without it p could be 0.
    lower = (1 + np.sum(copies <= value[:, None], axis=1)) / (n_rotations + 1)
    upper = (1 + np.sum(copies >= value[:, None], axis=1)) / (n_rotations + 1)
    p = np.minimum(1.0, 2 * np.minimum(lower, upper))
    return pd.DataFrame(
        {"value": value, "haar": copies.mean(1), "sd": copies.std(1), "p": p, "p_holm": holm(p)},
        index=pd.Index(list(statistics), name="statistic"),
    )


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Correct p-values for their number, by Holm's step-down rule.

    Parameters
    ----------
    p : array_like of shape (n,)
        From 0 to 1.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If `p` are not numbers from 0 to 1.

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
       of Statistics 6 (1979), 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = as_array("p", p, ndim=1).astype(float, copy=False)
    if not (np.all(p >= 0) and np.all(p <= 1)):
        raise ValueError(f"p must be numbers from 0 to 1 of shape (n,), got {p!r}")
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty_like(p)
    out[order] = np.minimum(steps, 1.0)
    return out


# --- two trainings -------------------------------------------------------------------------------


class AlignmentCosines(NamedTuple):
    """Mean cosines of words between two trainings, see `alignment_cosines`.

    Attributes
    ----------
    before, after : float
        As trained, and after the best rotation of the first space.
    """

    before: float
    after: float


def alignment_cosines(X: ArrayLike, Y: ArrayLike, fitted: ArrayLike) -> AlignmentCosines:
    """Mean cosine of a word's two vectors, before and after the best rotation of one space.

    Parameters
    ----------
    X, Y : array_like of shape (n_words, n_dims)
        Vectors of the same words from two trainings. Both are centred over all words.
    fitted : array_like of bool, shape (n_words,)
        Words by which the rotation is found (orthogonal Procrustes). The cosine is that of the
        others, so that a rotation that merely fits has nothing to gain.

    Returns
    -------
    AlignmentCosines
        ``before`` and ``after``.

    Raises
    ------
    ValueError
        If the spaces differ in shape, or `fitted` are all words or none.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 5))
    >>> turned = X @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    >>> before, after = alignment_cosines(X, turned, np.arange(100) < 50)
    >>> round(after, 6)
    1.0
    """
    from hblib.rotation import procrustes_rotation  # which loads torch

    X, Y, fitted = _vectors(X), _vectors(Y, "Y"), np.asarray(fitted)
    if X.ndim != 2 or X.shape != Y.shape:
        raise ValueError(
            f"X and Y must have the same shape (n_words, n_dims), got {X.shape} and {Y.shape}"
        )
    if fitted.shape != (len(X),) or fitted.dtype != bool or fitted.all() or not fitted.any():
        raise ValueError("fitted must be one truth value per word, some True and some False")
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    U = procrustes_rotation(X[fitted], Y[fitted])

    def mean_cosine(A, B):
        lengths = np.linalg.norm(A, axis=1) * np.linalg.norm(B, axis=1)
        lengths = _not_zero("centred words of length", lengths, "X or Y")
        return float(np.mean(np.sum(A * B, axis=1) / lengths))

    return AlignmentCosines(
        mean_cosine(X[~fitted], Y[~fitted]), mean_cosine(X[~fitted] @ U.T, Y[~fitted])
    )


# --- input checks --------------------------------------------------------------------------------


def _vectors(X: ArrayLike, name: str = "X") -> NDArray[np.float64]:
    X = as_array(name, X).astype(float, copy=False)
    if X.ndim < 2 or X.shape[-2] < 2:
        raise ValueError(
            f"{name} must have the shape (..., n_words, n_dims) with n_words >= 2, got {X.shape}"
        )
    return X


def _not_zero(
    what: str, values: NDArray[np.float64], name: str = "X"
) -> NDArray[np.float64]:
    if not np.all(values):
        raise ValueError(f"{name} has {what} 0, for which the statistic is not defined")
    return values
