"""Training of word vectors in which initial vectors, update rule and precision can be chosen.

Skip-gram with negative sampling (word2vec, `sgns`) and GloVe (`glove`) visit pairs of words one at
a time, as the original programs do; `DenseSkipGram` and `DenseGloVe` are the same losses in full,
for every rule of `hblib.rotation`. `ppmi_svd` is the baseline without training.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse.linalg

from hblib._checks import choice, generator, number, whole
from hblib.words import _corpora as corpora
from hblib.words._embedding_kernels import (
    MEMORY,
    RULES,
    Entries,
    Memory,
    alias_table,
    draw_pairs,
    glove_kernel,
    settings,
    sgns_kernel,
)
from hblib.words._word_vectors import Embedding, check_sizes
from hblib.worlds._texts import Cooccurrence, Text

_BLOCK = 10_000  # running words between changes of the learning rate, as in word2vec
_EVERY = 8  # the loss of every eighth pair is recorded
_RENEW = 1_000  # pairs between roots of the matrix of full-matrix Adagrad


# --- training ------------------------------------------------------------------------------------


def sgns(
    text: Text,
    initial: Embedding,
    rng: int | np.random.Generator | None,
    rule: str = "sgd",
    lr: float = 0.025,
    epochs: int = 5,
    window: int = 5,
    n_negative: int = 5,
    subsample: float | None = 1e-3,
    decay: bool = True,
    n_threads: int = 1,
    **options: Any,
) -> Embedding:
    """Train skip-gram with negative sampling by visiting the text, as word2vec does.

    Parameters
    ----------
    text : Text
        Restricted to the vocabulary, see `restrict`; better in shuffled order.
    initial : Embedding
        Vectors of the same words in the same order, see `initial_vectors`; training runs in their
        precision. Biases are not used.
    rng : int, numpy.random.Generator or None
        Source of all draws. They depend on no other argument of the training but ``epochs`` and
        ``n_threads``: two runs with one seed see the same pairs.
    rule : str, optional
        One of `RULES`.
    lr : float, optional
        Learning rate, word2vec's for ``"sgd"``. Adagrad takes about 0.05, Adam 0.001.
    epochs : int, optional
    window : int, optional
        Largest distance; the half-width is uniform on 1..window, drawn for each centre.
    n_negative : int, optional
        Noise words per pair, drawn in proportion to count ** 0.75.
    subsample : float or None, optional
        Threshold of the function `subsample`; None for no subsampling.
    decay : bool, optional
        Lower the learning rate in a straight line to 1e-4 of its value.
    n_threads : int, optional
        More than 1 races on shared vectors (Hogwild): faster, and no longer repeatable.
    **options
        ``betas`` and ``eps`` of the rule.

    Returns
    -------
    Embedding
        ``loss`` is the mean loss per pair during each epoch, from every eighth pair.

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed, or the initial vectors have other words.
    FloatingPointError
        If the vectors do not stay finite.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado and Dean (2013), equation 4; the program word2vec.c.

    Examples
    --------
    >>> text = corpora.encode(["one two three four one two", "three four one two three"] * 9)
    >>> from hblib.words import initial_vectors
    >>> run = sgns(text, initial_vectors("word2vec", text.words, dim=2, rng=0), rng=1, lr=0.3)
    >>> bool(run.loss[-1] < run.loss[0])
    True
    """
    lr, epochs = _check_training(rule, lr, epochs, initial, text.words)
    window, n_negative = whole("window", window), whole("n_negative", n_negative)
    n_threads = whole("n_threads", n_threads)
    rng = generator(rng)
    W, C = (np.array(X, initial.W.dtype, order="C") for X in (initial.W, initial.C))
    kernel = sgns_kernel(rule, W.shape[1])
    memory = _Memories(rule, W, C)
    noise = alias_table(text.counts**0.75)
    states = rng.integers(1, 2**63, (n_threads, 1)).astype(np.uint64)
    losses = np.zeros((epochs, n_threads, 2))

    def visit(epoch: int, thread: int, part: Text) -> None:
        """Let one thread go through its part of the text, block by block."""
        ends = np.append(part.starts[1:], len(part.tokens))
        lengths = ends - part.starts
        first, last = np.repeat(part.starts, lengths), np.repeat(ends, lengths)
        pairs = np.empty((2 * window * _BLOCK, 2), np.int32)
        negatives = np.empty((len(pairs), n_negative), np.int32)
        centre, n_tokens = 0, len(part.tokens)
        while centre < n_tokens:
            progress = (epoch + centre / n_tokens) / epochs
            rate = lr * max(1e-4, 1 - progress) if decay else lr
            n, centre = draw_pairs(
                part.tokens, first, last, centre, min(centre + _BLOCK, n_tokens), window,
                *noise, pairs, negatives, states[thread],
            )  # fmt: skip
            h = settings(rate, W.dtype, **options)
            for part_of_block in memory.steps(0, n):
                losses[epoch, thread, 0] += kernel(
                    W, C, pairs[part_of_block], negatives[part_of_block],
                    memory.W, memory.C, h, _EVERY,
                )  # fmt: skip
                losses[epoch, thread, 1] += -(-len(pairs[part_of_block]) // _EVERY)

    if subsample is not None:
        subsample = number("subsample", subsample, above=0)
    for epoch in range(epochs):
        seen = text if subsample is None else corpora.subsample(text, rng, subsample)
        parts = _split(seen, n_threads)
        if len(parts) == 1:
            visit(epoch, 0, parts[0])
        else:
            with ThreadPoolExecutor(len(parts)) as pool:
                list(pool.map(visit, [epoch] * len(parts), range(len(parts)), parts))
        _check_finite(W, C)
    totals = losses.sum(1)
    return Embedding(text.words, W, C, loss=totals[:, 0] / np.maximum(totals[:, 1], 1))


def glove(
    counts: Cooccurrence,
    initial: Embedding,
    rng: int | np.random.Generator | None,
    rule: str = "glove",
    lr: float = 0.05,
    epochs: int = 25,
    x_max: float = 100.0,
    alpha: float = 0.75,
    bias_lr: float | None = None,
    n_threads: int = 1,
    **options: Any,
) -> Embedding:
    """Train GloVe by visiting the non-zero co-occurrence counts in random order.

    Parameters
    ----------
    counts : Cooccurrence
        See `cooccurrence`.
    initial : Embedding
        Vectors of the same words in the same order, see `initial_vectors`; training runs in their
        precision.
    rng : int, numpy.random.Generator or None
        Draws the order of the entries, the same in each epoch, as in the original program.
    rule : str, optional
        One of `RULES`. ``"glove"`` is the rule of glove.c: a step is
        ``g / sqrt(1 / lr**2 + sum of past g**2)``, that is Adagrad with learning rate 1 whose
        accumulators start at ``1 / lr**2``.
    lr, epochs : float, int, optional
    x_max, alpha : float, optional
        An entry x has the weight ``min(1, (x / x_max) ** alpha)``.
    bias_lr : float, optional
        Learning rate of the biases; by default ``lr``. Since July 2019 glove.c uses 1.
    n_threads : int, optional
        More than 1 races on shared vectors (Hogwild): faster, and no longer repeatable.
    **options
        ``betas`` and ``eps`` of the rule.

    Returns
    -------
    Embedding
        ``loss`` is the mean over the entries of ``weight / 2 * residual ** 2`` during each epoch,
        the "cost" that the original program prints.

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed, or the initial vectors have other words.
    FloatingPointError
        If the vectors do not stay finite.

    References
    ----------
    Pennington, Socher and Manning (2014), equation 8; the program glove.c.

    Examples
    --------
    >>> text = corpora.encode(["one two three four one two", "three four one two three"] * 9)
    >>> from hblib.words import initial_vectors
    >>> initial = initial_vectors("glove", text.words, dim=2, rng=0)
    >>> run = glove(corpora.cooccurrence(text), initial, rng=1, epochs=5)
    >>> bool(run.loss[-1] < run.loss[0])
    True
    """
    lr, epochs = _check_training(rule, lr, epochs, initial, counts.words)
    x_max, alpha = number("x_max", x_max, above=0), number("alpha", alpha, above=0)
    bias_lr = lr if bias_lr is None else number("bias_lr", bias_lr, above=0)
    n_threads = whole("n_threads", n_threads)
    nonzero = counts.matrix.tocoo()
    if not nonzero.nnz:
        raise ValueError("counts must have at least one non-zero entry")
    order = generator(rng).permutation(nonzero.nnz)
    W, C = (np.array(X, initial.W.dtype, order="C") for X in (initial.W, initial.C))
    b, c = (
        np.zeros((len(W), 1), W.dtype) if x is None else x.astype(W.dtype).reshape(-1, 1).copy()
        for x in (initial.b, initial.c)
    )
    x = nonzero.data[order]
    entries = Entries(
        nonzero.row[order].astype(np.int32),
        nonzero.col[order].astype(np.int32),
        np.log(x).astype(W.dtype),
        np.minimum(1.0, (x / x_max) ** alpha).astype(W.dtype),
    )
    kernel = glove_kernel(rule, W.shape[1])
    memory = _Memories(rule, W, C)
    small = _Memories("adagrad" if rule == "adagrad-full" else rule, b, c)
    h = settings(lr, W.dtype, **options)
    h_bias = settings(bias_lr, W.dtype, **options)
    cuts = [len(order) * i // n_threads for i in range(n_threads + 1)]
    losses = np.zeros((epochs, n_threads))

    def visit(epoch: int, thread: int) -> None:
        """Let one thread go through its part of the entries."""
        for part in memory.steps(cuts[thread], cuts[thread + 1]):
            losses[epoch, thread] += kernel(
                W, C, b, c, Entries(*(column[part] for column in entries)),
                memory.W, memory.C, small.W, small.C, h, h_bias,
            )  # fmt: skip

    for epoch in range(epochs):
        if n_threads == 1:
            visit(epoch, 0)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(visit, [epoch] * n_threads, range(n_threads)))
        _check_finite(W, C)
    return Embedding(counts.words, W, C, b[:, 0], c[:, 0], losses.sum(1) / len(order))


class _Memories:
    """What a rule remembers of W and of C, which share it if the rule is ``"adagrad-full"``."""

    def __init__(self, rule: str, W: np.ndarray, C: np.ndarray):
        dim = W.shape[1]
        shapes = {"none": (1, 1), "coordinate": W.shape, "word": (len(W), 1), "matrix": (dim, dim)}
        M, S = (shapes[kind] for kind in MEMORY[rule])
        self.full = rule == "adagrad-full"
        self.W, self.C = (
            Memory(
                np.zeros(M, W.dtype),
                np.full(S, rule == "glove", W.dtype),
                np.ones((len(W), 2), W.dtype),
            )
            for _ in (W, C)
        )
        if self.full:
            self.C = self.W

    def steps(self, low: int, high: int) -> Iterator[slice]:
        """Slices of a range; before each, the root of the matrix that W and C share is renewed."""
        size = _RENEW if self.full else max(1, high - low)
        for begin in range(low, high, size):
            if self.full:
                root, total = self.W.M, self.W.S
                values, vectors = np.linalg.eigh(total)
                # Counted from the identity: the first steps are those of gradient descent.
                root[...] = (vectors / np.sqrt(1 + np.maximum(values, 0))) @ vectors.T
            yield slice(begin, min(begin + size, high))


def _split(text: Text, n_parts: int) -> list[Text]:
    """Contiguous parts of about as many running words, cut between documents where possible."""
    n_parts = min(n_parts, len(text.starts))
    targets = len(text.tokens) * np.arange(1, n_parts) // n_parts
    cuts = np.unique(np.searchsorted(text.starts, targets).clip(1, len(text.starts) - 1))
    firsts = np.concatenate([[0], cuts]).astype(int)
    parts = []
    for low, high in zip(firsts, np.append(firsts[1:], len(text.starts))):
        begin = text.starts[low]
        end = text.starts[high] if high < len(text.starts) else len(text.tokens)
        parts.append(
            replace(text, tokens=text.tokens[begin:end], starts=text.starts[low:high] - begin)
        )
    return parts


# --- baselines -----------------------------------------------------------------------------------


def ppmi_svd(counts: Cooccurrence, dim: int, shift: float = 0.0) -> Embedding:
    """Factorise positive pointwise mutual information by a truncated SVD.

    Parameters
    ----------
    counts : Cooccurrence
    dim : int
        Number of singular triples, below the size of the vocabulary.
    shift : float, optional
        Subtracted before negative entries are set to 0; ``log(k)`` mirrors k noise words.

    Returns
    -------
    Embedding
        ``W = U sqrt(S)`` and ``C = V sqrt(S)``, the largest singular value first.

    References
    ----------
    Levy and Goldberg (2014), section 5.

    Examples
    --------
    >>> text = corpora.encode(["salt pepper", "salt pepper", "left right", "left right"])
    >>> ppmi_svd(corpora.cooccurrence(text), dim=2).W.shape
    (4, 2)
    """
    check_sizes(len(counts.words), dim)
    if dim >= len(counts.words):
        raise ValueError(f"dim must be below the {len(counts.words)} words, got {dim}")
    shift = number("shift", shift)
    X = counts.matrix.tocoo()
    rows, columns = counts.matrix.sum(1), counts.matrix.sum(0)
    with np.errstate(divide="ignore"):
        pmi = np.log(X.data * X.data.sum() / (rows[X.row] * columns[X.col])) - shift
    M = scipy.sparse.csr_array((np.maximum(pmi, 0), (X.row, X.col)), shape=X.shape)
    first = np.ones(len(counts.words)) / len(counts.words) ** 0.5  # a fixed start: repeatable
    U, s, Vt = scipy.sparse.linalg.svds(M, dim, v0=first)
    order = np.argsort(-s)
    root = np.sqrt(s[order])
    return Embedding(counts.words, U[:, order] * root, Vt[order].T * root)


# --- checks --------------------------------------------------------------------------------------


def check_words(name: str, embedding: Embedding, words: np.ndarray) -> None:
    """Raise ValueError unless an embedding has these words in this order."""
    ours = embedding.words
    if len(ours) != len(words):
        raise ValueError(f"{name} has {len(ours)} words, but the data {len(words)}")
    if not np.array_equal(ours, words):
        i = int(np.flatnonzero(ours != words)[0])
        raise ValueError(
            f"{name} has other words than the data, or another order: word {i} is "
            f"{str(ours[i])!r}, that of the data {str(words[i])!r}; {name}.select(words) puts them "
            "in order"
        )


def _check_training(
    rule: str, lr: float, epochs: int, initial: Embedding, words: np.ndarray
) -> tuple[float, int]:
    choice("rule", rule, RULES)
    lr, epochs = number("lr", lr, above=0), whole("epochs", epochs)
    check_sizes(len(words), initial.W.shape[1])
    check_words("initial", initial, words)
    return lr, epochs


def _check_finite(W: np.ndarray, C: np.ndarray) -> None:
    if not (np.isfinite(W).all() and np.isfinite(C).all()):
        raise FloatingPointError("training did not stay finite: lower lr")
