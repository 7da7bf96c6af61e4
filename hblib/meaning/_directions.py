"""Whether units of word vectors mean more than other directions, and whether axes stand out.

Two questions, and two nulls. *Meaning*: the top words of a direction are judged by how they occur
together in the text (`coherence`, `intrusion`), never by the vectors themselves, so that scores can
be compared between vectors; a unit is held against random directions of the same vectors
(`superiority`). *Alignment*: whether anything about a cloud of vectors depends on the axes is held
against rotated copies of the same cloud (`haar_test`). Axes can stand out and yet mean nothing.

Word vectors are rows, ``X`` of shape ``(n_words, n_dims)``. Directions D are judged by the
activations ``X @ D.T`` of shape ``(n_words, n_directions)``, units by ``X`` itself. Training knows
no sign, so what a low activation means is as good a question as what a high one does: both ends
are scored, the upper ends of all directions first.
"""

import numpy as np
import pandas as pd

from hblib.rotation import _orthogonal as orthogonal

# --- how words occur together --------------------------------------------------------------------


def npmi(counts):
    """Normalised pointwise mutual information of all pairs of words.

    Parameters
    ----------
    counts : hblib.data.Cooccurrence
        Weighted counts of pairs, see `hblib.corpora.cooccurrence`.

    Returns
    -------
    numpy.ndarray of shape (n_words, n_words)
        ``log(p_ij / (p_i p_j)) / -log p_ij``: 1 for words that occur only together, 0 for
        independent words, -1 for words that never meet.

    References
    ----------
    .. [1] G. Bouma, "Normalized (pointwise) mutual information in collocation extraction",
       Proceedings of GSCL (2009), 31-40.

    Examples
    --------
    Two words that meet only each other, and two more that do the same:

    >>> from hblib.words import _corpora as corpora
    >>> text = corpora.encode(["salt pepper", "salt pepper", "left right", "left right"])
    >>> npmi(corpora.cooccurrence(text))[0].round(2)
    array([-1., -1.,  1., -1.])
    >>> text.words
    array(['left', 'pepper', 'right', 'salt'], dtype='<U6')
    """
    pairs = counts.matrix.toarray()
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


def top_words(activations, n_top):
    """Words with the largest activation, at both ends of each direction.

    Parameters
    ----------
    activations : array_like of shape (n_words, n_directions)
    n_top : int
        From 2 to half the number of words.

    Returns
    -------
    numpy.ndarray of int, shape (2 * n_directions, n_top)
        The largest first; of words with equal activations the more frequent ones, whose rows come
        first.

    Examples
    --------
    >>> top_words([[0.1], [0.9], [0.4], [-0.5]], n_top=2)
    array([[1, 2],
           [3, 0]])
    """
    return _ranked(activations, n_top)[:, :n_top]


def _ranked(activations, n_top):
    """All words at both ends of each direction, shape (2 * n_directions, n_words)."""
    A = np.asarray(activations, dtype=float)
    if A.ndim != 2:
        raise ValueError(f"activations must have the shape (n_words, n_directions), got {A.shape}")
    if not np.isfinite(A).all():
        raise ValueError("activations contain values that are not finite (NaN or infinity)")
    if not isinstance(n_top, int | np.integer) or not 2 <= n_top <= len(A) // 2:
        raise ValueError(
            f"n_top must be an integer from 2 to n_words // 2 = {len(A) // 2}, got {n_top!r}"
        )
    return np.argsort(-np.concatenate([A, -A], axis=1).T, axis=1, kind="stable")


def _association(association, n_words):
    S = np.asarray(association, dtype=float)
    if S.shape != (n_words, n_words):
        raise ValueError(
            f"association must have the shape (n_words, n_words) = {(n_words,) * 2}, got {S.shape}"
        )
    if not np.isfinite(S).all():
        raise ValueError("association contains values that are not finite (NaN or infinity)")
    return S


def coherence(activations, association, n_top=10):
    """Mean association of the top words at both ends of each direction.

    Parameters
    ----------
    activations : array_like of shape (n_words, n_directions)
    association : array_like of shape (n_words, n_words)
        How much two words belong together, judged from elsewhere: `npmi` of the text.
    n_top : int, optional
        Words looked at, at least 2.

    Returns
    -------
    numpy.ndarray of shape (2 * n_directions,)

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
    top = top_words(activations, n_top)
    S = _association(association, len(activations))
    i, j = np.triu_indices(n_top, 1)
    return S[top[:, i], top[:, j]].mean(axis=1)


def intrusion(activations, association, rng, n_top=5, n_draws=20):
    """How often the odd word out is found among the top words at both ends of each direction.

    Chang's game, played by a machine: to the top words of a direction add an intruder, a word from
    the lower half of that direction; name the word that is associated least with the others. It is
    easy if the top words belong together, and a guess if they do not.

    Parameters
    ----------
    activations : array_like of shape (n_words, n_directions)
    association : array_like of shape (n_words, n_words)
        As for `coherence`.
    rng : numpy.random.Generator or int
        Draws the intruders.
    n_top : int, optional
        Top words shown, at least 2.
    n_draws : int, optional
        Intruders tried, one after the other, at each end.

    Returns
    -------
    numpy.ndarray of shape (2 * n_directions,)
        Share of games won; ``1 / (n_top + 1)`` by guessing. Among words that fit equally badly one
        is guessed, so that a tie of m counts 1 / m.

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
    ranked = _ranked(activations, n_top)
    S = _association(association, ranked.shape[1])
    top, lower = ranked[:, :n_top], ranked[:, ranked.shape[1] // 2 :]
    if not isinstance(n_draws, int | np.integer) or not 1 <= n_draws <= lower.shape[1]:
        raise ValueError(
            f"n_draws must be an integer from 1 to half of n_words = {lower.shape[1]}, "
            f"got {n_draws!r}"
        )
    intruder = np.random.default_rng(rng).permuted(lower, axis=1)[:, :n_draws]
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


def superiority(scores, others):
    """Share of pairs in which the first score is the higher one; ties count half.

    0.5 says that neither group is better. It is the area under the ROC curve, and the statistic of
    Mann and Whitney divided by the number of pairs.

    Parameters
    ----------
    scores : array_like of shape (n,)
    others : array_like of shape (m,)

    Returns
    -------
    float

    Examples
    --------
    >>> superiority([3, 1], [1, 2])
    0.625
    """
    a, b = np.asarray(scores, float), np.asarray(others, float)
    if a.ndim != 1 or b.ndim != 1 or not (a.size and b.size):
        raise ValueError(
            f"scores and others must have the shapes (n,) and (m,), got {a.shape} and {b.shape}"
        )
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("scores and others must not contain NaN")
    b = np.sort(b)
    below, upto = np.searchsorted(b, a, "left"), np.searchsorted(b, a, "right")
    return float((below + upto).mean() / (2 * len(b)))


# --- do the axes stand out? ----------------------------------------------------------------------


def whiten(X):
    """Centre a cloud of vectors and make it equally wide in all directions, turning nothing.

    Parameters
    ----------
    X : array_like of shape (..., n_words, n_dims)
        More words than dimensions.

    Returns
    -------
    numpy.ndarray of shape (..., n_words, n_dims)
        ``X_c S^(-1/2)`` with the covariance S of the centred ``X_c``. Of all whitenings this one
        commutes with rotations: ``whiten(X @ U.T) = whiten(X) @ U.T``.

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


def word_l1(X):
    """L1 over L2 length of a word's vector, over the root of n_dims; mean over words.

    1 where all coordinates of a word are equally large, lower where few of them do the work.
    """
    X = _vectors(X)
    l2 = np.sqrt(np.sum(X**2, axis=-1))
    return np.mean(np.sum(np.abs(X), axis=-1) / l2, axis=-1) / np.sqrt(X.shape[-1])


def word_kurtosis(X):
    """Excess kurtosis of the coordinates of a word about 0; mean over words.

    Just below 0 if vectors have no preferred axes (-6 / (n_dims + 2) for directions spread evenly
    over the sphere), -1.2 in a cube, large where few coordinates do the work.

    Examples
    --------
    >>> bool(abs(word_kurtosis(np.random.default_rng(0).uniform(-1, 1, (2000, 50))) + 1.2) < 0.05)
    True
    """
    X2 = _vectors(X) ** 2
    n_dims = X2.shape[-1]
    return np.mean(n_dims * np.sum(X2**2, axis=-1) / np.sum(X2, axis=-1) ** 2, axis=-1) - 3


def unit_kurtosis(X):
    """Excess kurtosis of a unit over the words; mean over units (see `orthogonal.kurtosis`)."""
    X = _vectors(X)
    Z2 = (X - X.mean(axis=-2, keepdims=True)) ** 2
    return np.mean(np.mean(Z2**2, axis=-2) / np.mean(Z2, axis=-2) ** 2, axis=-1) - 3


def mean_peak(X):
    """Largest entry of the mean vector over the root mean square of its entries, signs aside.

    1 if the mean vector points to a corner of the cube, the root of n_dims if it lies on an axis.
    """
    m2 = _vectors(X).mean(axis=-2) ** 2
    return np.sqrt(m2.max(axis=-1) / m2.mean(axis=-1))


STATISTICS = {
    "L1 / L2 of a word": word_l1,
    "kurtosis of a word": word_kurtosis,
    "kurtosis of a unit": unit_kurtosis,
    "peak of the mean vector": mean_peak,
}


def haar_test(X, rng, n_rotations=399, statistics=STATISTICS):
    """Ask whether vectors are aligned with their axes: an exact test against rotated copies.

    If the law of X is the same as that of every rotation of it (start and training both know no
    axes), then X and its copies ``X @ U.T`` under Haar-random U are exchangeable. The rank of a
    statistic of X among those of the copies is then uniform, whatever the statistic, and the
    p-value below is exact at any number of rotations.

    Parameters
    ----------
    X : array_like of shape (n_words, n_dims)
        Word vectors.
    rng : numpy.random.Generator or int
    n_rotations : int, optional
        Rotated copies. The smallest p is 2 / (n_rotations + 1), before Holm's correction.
    statistics : dict of str to function, optional
        Functions from arrays (..., n_words, n_dims) to (...), by default the four of `STATISTICS`.

    Returns
    -------
    pandas.DataFrame
        One row a statistic: ``value``; ``haar``, mean over the copies; ``sd``, their standard
        deviation; ``p``, two-sided; ``p_holm``, corrected for the number of statistics.

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
    X = _vectors(X)
    if X.ndim != 2:
        raise ValueError(f"X must have the shape (n_words, n_dims), got {X.shape}")
    if not isinstance(n_rotations, int | np.integer) or n_rotations < 19:
        raise ValueError(f"n_rotations must be an integer of at least 19, got {n_rotations!r}")
    U = orthogonal.haar(X.shape[1], rng, size=int(n_rotations))
    # Few copies at a time stay in the processor's cache.
    batches = np.array_split(U, max(1, n_rotations * X.size // 250_000))
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
        index=pd.Index(statistics, name="statistic"),
    )


def holm(p):
    """Correct p-values for their number, by Holm's step-down rule.

    Parameters
    ----------
    p : array_like of shape (n,)

    Returns
    -------
    numpy.ndarray of shape (n,)

    References
    ----------
    .. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal
       of Statistics 6 (1979), 65-70.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    p = np.asarray(p, float)
    if p.ndim != 1 or not (np.all(p >= 0) and np.all(p <= 1)):
        raise ValueError(f"p must be numbers from 0 to 1 of shape (n,), got {p!r}")
    order = np.argsort(p)
    steps = np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order])
    out = np.empty_like(p)
    out[order] = np.minimum(steps, 1.0)
    return out


# --- two trainings -------------------------------------------------------------------------------


def agreement(X, Y, fitted):
    """Mean cosine of a word's two vectors, before and after the best rotation of one space.

    Parameters
    ----------
    X, Y : array_like of shape (n_words, n_dims)
        Vectors of the same words from two trainings. Both are centred over all words.
    fitted : array_like of bool, shape (n_words,)
        Words by which the rotation is found (`orthogonal.procrustes`). The cosine is that of the
        others, so that a rotation that merely fits has nothing to gain.

    Returns
    -------
    before, after : float

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 5))
    >>> before, after = agreement(X, X @ orthogonal.haar(5, rng).T, np.arange(100) < 50)
    >>> round(after, 6)
    1.0
    """
    X, Y, fitted = _vectors(X), _vectors(Y), np.asarray(fitted)
    if X.ndim != 2 or X.shape != Y.shape:
        raise ValueError(
            f"X and Y must have the same shape (n_words, n_dims), got {X.shape} and {Y.shape}"
        )
    if fitted.shape != (len(X),) or fitted.dtype != bool or fitted.all() or not fitted.any():
        raise ValueError("fitted must be one truth value a word, some True and some False")
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    U = orthogonal.procrustes(X[fitted], Y[fitted])

    def mean_cosine(A, B):
        lengths = np.linalg.norm(A, axis=1) * np.linalg.norm(B, axis=1)
        return float(np.mean(np.sum(A * B, axis=1) / lengths))

    return mean_cosine(X[~fitted], Y[~fitted]), mean_cosine(X[~fitted] @ U.T, Y[~fitted])


# --- input checks --------------------------------------------------------------------------------


def _vectors(X):
    X = np.asarray(X, dtype=float)
    if X.ndim < 2 or X.shape[-2] < 2:
        raise ValueError(
            f"X must have the shape (..., n_words, n_dims) with n_words >= 2, got {X.shape}"
        )
    if X.shape[-1] < 1 or not np.isfinite(X).all():
        raise ValueError("X must have a dimension and no values that are NaN or infinite")
    return X
