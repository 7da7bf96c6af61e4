"""How much words belong together, with what their frequencies alone would give taken away.

Frequent words meet most other words, rare ones meet few. A judge that looks at meetings therefore
gives high marks to any list of frequent words. Here two words are compared by the company they
keep, and every comparison is measured against pairs of words of the same two frequencies.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import as_array, number, whole
from hblib.meaning._directions import npmi


def shared_company(counts: Any) -> NDArray[np.float64]:
    """Cosine of the rows of positive pointwise mutual information: the company that words share.

    Parameters
    ----------
    counts : array_like, sparse array or object with such a ``matrix``, shape (n_words, n_words)
        How often each pair of words occurs together, see `hblib.words.cooccurrence`.

    Returns
    -------
    ndarray of shape (n_words, n_words)
        From 0, nothing in common, to 1; 0 for a word that meets none more often than chance.

    Raises
    ------
    ValueError
        As for `npmi`.

    References
    ----------
    .. [1] J. A. Bullinaria and J. P. Levy, "Extracting semantic representations from word
       co-occurrence statistics", Behavior Research Methods 39 (2007), 510-526.

    Examples
    --------
    The words 0 and 1 meet the word 2 only, and never each other:

    >>> shared_company([[0, 0, 3, 0], [0, 0, 2, 0], [3, 2, 0, 0], [0, 0, 0, 1]])[0].round(2)
    array([1., 1., 0., 0.])
    """
    association = npmi(counts)
    matrix = getattr(counts, "matrix", counts)
    pairs = np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=float)
    with np.errstate(divide="ignore"):
        # npmi is pmi over -log p of the pair.
        pmi = association * -np.log(pairs / pairs.sum(), where=pairs > 0, out=np.zeros_like(pairs))
    rows = np.maximum(pmi, 0)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.where(length > 0, length, 1)
    return rows @ rows.T


def frequency_corrected(
    association: ArrayLike, counts: ArrayLike, n_bands: int = 20
) -> NDArray[np.float64]:
    """Express the association of two words against pairs of words of the same two frequencies.

    The words are sorted by frequency into bands of equal size. From every entry the mean over all
    pairs of the same two bands is subtracted, and the rest divided by their standard deviation.
    Sets of words drawn at random then score 0 on average, whatever their frequencies.

    Parameters
    ----------
    association : array_like of shape (n_words, n_words)
        How much two words belong together, symmetric; the diagonal is not used.
    counts : array_like of shape (n_words,)
        How often each word occurs.
    n_bands : int
        At most a quarter of the words.

    Returns
    -------
    ndarray of shape (n_words, n_words)
        In standard deviations; 0 on the diagonal, and within bands whose pairs are all alike.

    Raises
    ------
    ValueError
        If the shapes do not fit together.

    Examples
    --------
    An association that is nothing but frequency:

    >>> f = np.arange(1.0, 41.0)
    >>> S = frequency_corrected(np.multiply.outer(f, f) > 400, f, n_bands=10)
    >>> bool(abs(S[:4, :4].mean()) < 1e-12)
    True
    """
    S = as_array("association", association, ndim=2).astype(float)
    counts = as_array("counts", counts, ndim=1)
    n_words = len(counts)
    if S.shape != (n_words, n_words):
        raise ValueError(
            f"association must have the shape (n_words, n_words) = {(n_words,) * 2}, got {S.shape}"
        )
    n_bands = whole("n_bands", n_bands, 1, max(1, n_words // 4))
    band = np.empty(n_words, dtype=int)
    band[np.argsort(-counts, kind="stable")] = np.arange(n_words) * n_bands // n_words
    member = np.eye(n_bands)[band]
    size = member.sum(axis=0)
    n_pairs = np.multiply.outer(size, size) - np.diag(size)
    np.fill_diagonal(S, 0)
    mean = (member.T @ S @ member) / n_pairs
    S -= mean[np.ix_(band, band)]
    np.fill_diagonal(S, 0)
    spread = np.sqrt((member.T @ S**2 @ member) / n_pairs)[np.ix_(band, band)]
    return np.divide(S, spread, out=np.zeros_like(S), where=spread > 1e-12)


def plant_topic(
    activations: ArrayLike, members: ArrayLike, strength: float
) -> NDArray[np.float64]:
    """Mix a topic into directions: a positive control of known strength.

    Parameters
    ----------
    activations : array_like of shape (n_words, n_directions)
        Component of each word along each direction, which become the noise.
    members : array_like of bool, shape (n_words,)
        The words of the topic.
    strength : float
        Share of the variance that the topic gets, from 0 to 1.

    Returns
    -------
    ndarray of shape (n_words, n_directions)
        Of mean 0 and variance 1 but for the chance correlation of topic and noise.

    Raises
    ------
    ValueError
        If the topic has no word or all words, or a direction does not vary.

    Examples
    --------
    >>> noise = np.random.default_rng(0).normal(size=(100, 2))
    >>> mixed = plant_topic(noise, np.arange(100) < 10, 0.9)
    >>> bool((mixed[:10] > mixed[10:].max(axis=0)).all())
    True
    """
    A = as_array("activations", activations, ndim=2).astype(float)
    members = np.asarray(members)
    if members.shape != (len(A),) or members.dtype != bool or members.all() or not members.any():
        raise ValueError("members must be one truth value per word, some True and some False")
    strength = number("strength", strength, least=0, most=1)
    if not np.ptp(A, axis=0).all():
        raise ValueError("activations has a direction that does not vary")
    topic = members.astype(float)[:, None]
    topic, noise = ((X - X.mean(axis=0)) / X.std(axis=0) for X in (topic, A))
    return np.sqrt(strength) * topic + np.sqrt(1 - strength) * noise
