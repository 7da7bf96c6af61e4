"""Training of word vectors of which starting point, update rule and precision are arguments.

Skip-gram with negative sampling (word2vec, `sgns`) and GloVe (`glove`) visit pairs of words one at
a time, as the original programs do; `hblib.dense_embeddings` has the same losses in full, for every
rule of `hblib.optimisers`. `ppmi_svd` is the baseline without training. Vectors and starting points
are those of `hblib.word_vectors`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import scipy.sparse.linalg

from hblib.rotation._factorisation import at_least_one, positive
from hblib.words import _corpora as corpora
from hblib.words._embedding_kernels import (
    MEMORY,
    RULES,
    alias_table,
    draw_pairs,
    glove_kernel,
    settings,
    sgns_kernel,
)
from hblib.words._word_vectors import (
    STARTS,
    Embedding,
    check_sizes,
    from_keyed_vectors,
    load,
    start,
    suffix_rank,
    unit_rows,
)

__all__ = [
    "STARTS",
    "Embedding",
    "from_keyed_vectors",
    "glove",
    "load",
    "ppmi_svd",
    "sgns",
    "start",
    "suffix_rank",
    "unit_rows",
]

_BLOCK = 10_000  # running words between changes of the learning rate, as in word2vec
_EVERY = 8  # the loss of every so many-th pair is recorded
_RENEW = 1_000  # pairs between roots of the matrix of full-matrix Adagrad


# --- training ------------------------------------------------------------------------------------


def sgns(
    text, begin, rng, rule="sgd", lr=0.025, epochs=5, window=5, n_negative=5, subsample=1e-3,
    decay=True, n_threads=1, **options,
):  # fmt: skip
    """Train skip-gram with negative sampling by visiting the text, as word2vec does.

    Parameters
    ----------
    text : hblib.data.Text
        Restricted to the vocabulary, see `hblib.corpora.restrict`; better in shuffled order.
    begin : Embedding
        Starting point, whose precision is that of the training. Biases are not used.
    rng : numpy.random.Generator or int
        Source of all draws. They do not depend on the other arguments of the training but
        ``epochs`` and ``n_threads``: two runs of one seed see the same pairs.
    rule : str, optional
        One of `hblib.embedding_kernels.RULES`.
    lr : float, optional
        Learning rate, word2vec's for ``"sgd"``. Adagrad takes about 0.05, Adam 0.001.
    epochs : int, optional
    window : int, optional
        Largest distance; the half-width is uniform on 1..window, drawn for each centre.
    n_negative : int, optional
        Noise words a pair, drawn in proportion to count ** 0.75.
    subsample : float or None, optional
        Threshold of `hblib.corpora.subsample`; None for no subsampling.
    decay : bool, optional
        Lower the learning rate in a straight line to 1e-4 of its value.
    n_threads : int, optional
        More than 1 races on shared vectors (Hogwild): faster, and no longer repeatable.
    **options
        ``betas`` and ``eps`` of the rule.

    Returns
    -------
    Embedding
        ``loss`` is the mean loss a pair during each epoch, from every eighth pair.

    References
    ----------
    Mikolov, Sutskever, Chen, Corrado and Dean (2013), equation 4; the program word2vec.c.
    """
    _check_training(rule, lr, epochs, begin, len(text.words))
    for name, value in (("window", window), ("n_negative", n_negative), ("n_threads", n_threads)):
        at_least_one(name, value)
    rng = np.random.default_rng(rng)
    W, C = begin.W.copy(), begin.C.copy()
    kernel = sgns_kernel(rule, W.shape[1])
    memory = _Memory(rule, W, C)
    noise = alias_table(text.counts**0.75)
    states = rng.integers(1, 2**63, (n_threads, 1)).astype(np.uint64)
    losses = np.zeros((epochs, n_threads, 2))

    def visit(epoch, thread, part):
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
                    *memory[0], *memory[1], h, _EVERY,
                )  # fmt: skip
                losses[epoch, thread, 1] += -(-len(pairs[part_of_block]) // _EVERY)

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
    counts, begin, rng, rule="glove", lr=0.05, epochs=25, x_max=100.0, alpha=0.75, bias_lr=None,
    n_threads=1, **options,
):  # fmt: skip
    """Train GloVe by visiting the non-zero co-occurrence counts in random order.

    Parameters
    ----------
    counts : hblib.data.Cooccurrence
        See `hblib.corpora.cooccurrence`.
    begin : Embedding
        Starting point, whose precision is that of the training.
    rng : numpy.random.Generator or int
        Draws the order of the entries, the same in each epoch, as in the original program.
    rule : str, optional
        One of `hblib.embedding_kernels.RULES`. ``"glove"`` is the rule of glove.c: a step is
        ``g / sqrt(1 / lr**2 + sum of past g**2)``, that is Adagrad of learning rate 1 whose
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

    References
    ----------
    Pennington, Socher and Manning (2014), equation 8; the program glove.c.
    """
    _check_training(rule, lr, epochs, begin, len(counts.words))
    for name, value in (("x_max", x_max), ("alpha", alpha), ("bias_lr", bias_lr)):
        if value is not None:
            positive(name, value)
    at_least_one("n_threads", n_threads)
    entries = counts.matrix.tocoo()
    if not entries.nnz:
        raise ValueError("counts must have at least one non-zero entry")
    order = np.random.default_rng(rng).permutation(entries.nnz)
    W, C = begin.W.copy(), begin.C.copy()
    b, c = (
        np.zeros((len(W), 1), W.dtype) if x is None else x.astype(W.dtype).reshape(-1, 1).copy()
        for x in (begin.b, begin.c)
    )
    x = entries.data[order]
    columns = (
        entries.row[order].astype(np.int32),
        entries.col[order].astype(np.int32),
        np.log(x).astype(W.dtype),
        np.minimum(1.0, (x / x_max) ** alpha).astype(W.dtype),
    )
    kernel = glove_kernel(rule, W.shape[1])
    memory = _Memory(rule, W, C)
    small = _Memory("adagrad" if rule == "adagrad-full" else rule, b, c)
    h = settings(lr, W.dtype, **options)
    hb = settings(bias_lr or lr, W.dtype, **options)
    cuts = [len(order) * i // n_threads for i in range(n_threads + 1)]
    losses = np.zeros((epochs, n_threads))

    def visit(epoch, thread):
        """Let one thread go through its part of the entries."""
        for part in memory.steps(cuts[thread], cuts[thread + 1]):
            losses[epoch, thread] += kernel(
                W, C, b, c, *(column[part] for column in columns),
                *memory[0], *memory[1], *small[0], *small[1], h, hb,
            )  # fmt: skip

    for epoch in range(epochs):
        if n_threads == 1:
            visit(epoch, 0)
        else:
            with ThreadPoolExecutor(n_threads) as pool:
                list(pool.map(visit, [epoch] * n_threads, range(n_threads)))
        _check_finite(W, C)
    return Embedding(counts.words, W, C, b[:, 0], c[:, 0], losses.sum(1) / len(order))


class _Memory(tuple):
    """What a rule remembers: (M, S, powers) of W, then of C."""

    def __new__(cls, rule, W, C):
        """Empty memories in the precision of the vectors."""
        dim = W.shape[1]
        shapes = {"none": (1, 1), "coordinate": W.shape, "word": (len(W), 1), "matrix": (dim, dim)}
        M, S = (shapes[kind] for kind in MEMORY[rule])
        one = [
            (
                np.zeros(M, W.dtype),
                np.full(S, rule == "glove", W.dtype),
                np.ones((len(W), 2), W.dtype),
            )
            for _ in (W, C)
        ]
        self = super().__new__(cls, [one[0], one[0]] if rule == "adagrad-full" else one)
        self.full = rule == "adagrad-full"
        return self

    def steps(self, low, high):
        """Slices of a range; before each, the root of the matrix that W and C share is renewed."""
        size = _RENEW if self.full else max(1, high - low)
        for begin in range(low, high, size):
            if self.full:
                root, total, _ = self[0]
                values, vectors = np.linalg.eigh(total)
                # Counted from the identity: the first steps are those of gradient descent.
                root[...] = (vectors / np.sqrt(1 + np.maximum(values, 0))) @ vectors.T
            yield slice(begin, min(begin + size, high))


def _split(text, n_parts):
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


def ppmi_svd(counts, dim, shift=0.0):
    """Positive pointwise mutual information and its truncated singular value decomposition.

    Parameters
    ----------
    counts : hblib.data.Cooccurrence
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
    """
    check_sizes(len(counts.words), dim)
    if dim >= len(counts.words):
        raise ValueError(f"dim must be below the {len(counts.words)} words, got {dim}")
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


def _check_training(rule, lr, epochs, begin, n_words):
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
    positive("lr", lr)
    at_least_one("epochs", epochs)
    check_sizes(n_words, begin.W.shape[1])
    if len(begin.words) != n_words:
        raise ValueError(f"begin has {len(begin.words)} words, but the data {n_words}")


def _check_finite(W, C):
    if not (np.isfinite(W).all() and np.isfinite(C).all()):
        raise FloatingPointError("Training did not stay finite: lower lr.")
