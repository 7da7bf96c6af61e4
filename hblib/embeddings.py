"""Word vectors of which starting point, update rule and precision are arguments.

Skip-gram with negative sampling (word2vec, `sgns`) and GloVe (`glove`) give every word two vectors:
row i of ``W`` as a word, row j of ``C`` as the context of others. Both losses depend on the inner
products ``W @ C.T`` alone, so turning all vectors, ``(W @ U.T, C @ U.T)`` with an orthogonal U,
changes nothing, and whatever is special about a unit (a column) must come from the starting point
or from the update rule.

Here pairs are visited one at a time as in the original programs; `hblib.dense_embeddings` has the
same losses in full, for every rule of `hblib.optimisers`.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse.linalg

from hblib import corpora
from hblib.embedding_kernels import (
    MEMORY,
    RULES,
    alias_table,
    draw_pairs,
    glove_kernel,
    settings,
    sgns_kernel,
)
from hblib.factorisation import at_least_one, positive

_BLOCK = 10_000  # running words between changes of the learning rate, as in word2vec
_EVERY = 8  # the loss of every so many-th pair is recorded
_DAMPING = 1e-2  # of the k x k matrix of full-matrix Adagrad


@dataclass(frozen=True, eq=False)
class Embedding:
    """Word vectors, trained or not.

    Attributes
    ----------
    words : numpy.ndarray of str, shape (V,)
        From the most frequent to the rarest.
    W, C : numpy.ndarray, shape (V, d)
        Vectors of words and of contexts; units are columns.
    b, c : numpy.ndarray, shape (V,), or None
        Biases of words and contexts, GloVe's only.
    loss : numpy.ndarray, shape (n_epochs,)
        Mean loss during each epoch, or at each record of a dense training.
    """

    words: np.ndarray
    W: np.ndarray
    C: np.ndarray
    b: np.ndarray | None = None
    c: np.ndarray | None = None
    loss: np.ndarray | None = None

    def vectors(self, which="W"):
        """One matrix (V, d) of vectors: ``"W"``, ``"C"``, or their sum ``"W+C"`` as GloVe saves."""
        if which not in ("W", "C", "W+C"):
            raise ValueError(f"which must be 'W', 'C' or 'W+C', got {which!r}")
        return {"W": lambda: self.W, "C": lambda: self.C, "W+C": lambda: self.W + self.C}[which]()

    def index(self, word):
        """Row of a word; KeyError naming the word if the vocabulary does not have it."""
        found = np.flatnonzero(self.words == word)
        if not len(found):
            raise KeyError(f"word {word!r} is not among the {len(self.words):,} of the vocabulary")
        return int(found[0])

    def rotated(self, U):
        """The same with every vector v turned into ``U @ v``.

        Parameters
        ----------
        U : array_like, shape (d, d)
            Any matrix; an orthogonal one keeps all inner products.
        """
        U = np.asarray(U)
        if U.shape != (self.W.shape[1],) * 2:
            raise ValueError(
                f"U of shape {U.shape} must be square with the dimension of the vectors, "
                f"{self.W.shape[1]}"
            )
        turned = [(X.astype(np.float64) @ U.T).astype(X.dtype) for X in (self.W, self.C)]
        return replace(self, W=turned[0], C=turned[1])

    def neighbours(self, word, n=10, which="W"):
        """Words of the largest cosine with a word, nearest first, itself left out.

        Parameters
        ----------
        word : str
        n : int, optional
        which : {"W", "C", "W+C"}, optional

        Returns
        -------
        list of (str, float)
            Words and cosines.
        """
        at_least_one("n", n)
        row = self.index(word)
        V = unit_rows(self.vectors(which))
        cosine = V @ V[row]
        cosine[row] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: min(n, len(V) - 1)]
        return [(str(self.words[i]), float(cosine[i])) for i in best]

    def keyed_vectors(self, which="W"):
        """The vectors as `gensim.models.KeyedVectors`."""
        from gensim.models import KeyedVectors  # takes most of a second

        keyed = KeyedVectors(self.W.shape[1], dtype=self.W.dtype)
        keyed.add_vectors(self.words.tolist(), self.vectors(which))
        return keyed

    def save(self, path, which="W"):
        """Write one set of vectors in the text format of word2vec, with all their digits."""
        V = self.vectors(which)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"{V.shape[0]} {V.shape[1]}\n")
            for word, v in zip(self.words, V):
                file.write(f"{word} {' '.join(map(str, v.tolist()))}\n")


def load(path, dtype="float64"):
    """Read vectors in the text format of word2vec, or of GloVe (which has no first line).

    Parameters
    ----------
    path : path
    dtype : {"float64", "float32"}, optional

    Returns
    -------
    Embedding
        With `W` and zeros for `C`, which the format does not have.
    """
    words, rows = [], []
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file):
                word, *numbers = line.rstrip().split(" ")
                if number == 0 and len(numbers) == 1:
                    continue
                words.append(word)
                rows.append(np.array(numbers, dtype))
                if not len(rows[-1]) or len(rows[-1]) != len(rows[0]):
                    raise ValueError(f"line {number + 1} has {len(rows[-1])} numbers")
        _check_sizes(len(words), len(rows[0]) if rows else 0)
    except (UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is not a file of word vectors in text format: {error}") from None
    W = np.array(rows)
    return Embedding(np.array(words), W, np.zeros_like(W))


def unit_rows(X):
    """Rows divided by their length; rows of zeros stay."""
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(length > 0, length, 1)


# --- starting points -----------------------------------------------------------------------------


def _uniform(rng, n_words, dim):
    return rng.uniform(-0.5 / dim, 0.5 / dim, (n_words, dim))


def _word2vec(rng, n_words, dim):
    return _uniform(rng, n_words, dim), np.zeros((n_words, dim))


def _word2vec_c(rng, n_words, dim):
    # x <- 25214903917 x + 11 modulo 2^64, of which the program uses the lowest 16 bits: they are a
    # generator modulo 2^16 by themselves, which repeats after 65,536 numbers.
    cycle, x = np.empty(2**16), 1
    for i in range(2**16):
        x = (x * 25214903917 + 11) % 2**16
        cycle[i] = x
    W = (cycle[np.arange(n_words * dim) % 2**16] / 2**16 - 0.5) / dim
    return W.reshape(n_words, dim), np.zeros((n_words, dim))


def _glove(rng, n_words, dim):
    return _uniform(rng, n_words, dim), _uniform(rng, n_words, dim)


def _gaussian(rng, n_words, dim):
    # As large as the uniform start: a uniform number on a width of 1/d has this deviation.
    return tuple(rng.standard_normal((2, n_words, dim)) / (dim * 12**0.5))


def _orthogonal(rng, n_words, dim):
    # The columns of (W, C) together are orthonormal and Haar distributed, as long as the Gaussian.
    left, _, right = np.linalg.svd(rng.standard_normal((2 * n_words, dim)), full_matrices=False)
    Q = (2 * n_words / 12) ** 0.5 / dim * (left @ right)
    return Q[:n_words], Q[n_words:]


STARTS = {
    "word2vec": _word2vec,
    "word2vec.c": _word2vec_c,
    "glove": _glove,
    "gaussian": _gaussian,
    "orthogonal": _orthogonal,
}


def start(kind, words, dim, rng, scale=1.0, dtype="float64"):
    """Draw a starting point.

    Parameters
    ----------
    kind : {"word2vec", "word2vec.c", "glove", "gaussian", "orthogonal"}
        W uniform on [-0.5 / d, 0.5 / d) and C zero, as word2vec intends; the same by the generator
        of word2vec.c, which repeats itself (and knows no seed: ``rng`` is not used); W, C and the
        biases uniform, as GloVe; W and C Gaussian of the same deviation, 1 / (sqrt(12) d), the law
        of which no rotation changes; W over C with orthonormal columns, Haar distributed, of the
        same size. Biases other than GloVe's are zero.
    words : array_like of str, shape (V,)
        The vocabulary.
    dim : int
        Dimension d of the vectors, the number of hidden units.
    rng : numpy.random.Generator or int
    scale : float, optional
        Factor on W and C.
    dtype : {"float64", "float32"}, optional
        Precision of the vectors and so of the training.

    Returns
    -------
    Embedding

    Examples
    --------
    >>> point = start("word2vec.c", [f"word{i}" for i in range(2000)], dim=128, rng=0)
    >>> len(np.unique(point.W, axis=0))  # of 2,000 words
    512
    """
    words = np.asarray(words)
    if kind not in STARTS:
        raise ValueError(f"kind must be one of {', '.join(STARTS)}, got {kind!r}")
    _check_sizes(len(words), dim)
    positive("scale", scale)
    _check_dtype(dtype)
    rng = np.random.default_rng(rng)
    W, C = (np.ascontiguousarray(scale * X, dtype) for X in STARTS[kind](rng, len(words), dim))
    b, c = np.zeros((2, len(words)), dtype)
    if kind == "glove":
        b, c = rng.uniform(-0.5 / dim, 0.5 / dim, (2, len(words))).astype(dtype)
    return Embedding(words, W, C, b, c)


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
    memory = _Memory(rule, W, C, lr)
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
            memory.refresh()
            h = settings(rate, W.dtype, **options)
            loss = kernel(W, C, pairs[:n], negatives[:n], *memory[0], *memory[1], h, _EVERY)
            losses[epoch, thread] += loss, -(-n // _EVERY)

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
    memory = _Memory(rule, W, C, lr)
    small = _Memory("adagrad" if rule == "adagrad-full" else rule, b, c, bias_lr or lr)
    h = settings(lr, W.dtype, **options)
    hb = settings(bias_lr or lr, W.dtype, **options)
    cuts = [len(order) * i // n_threads for i in range(n_threads + 1)]
    losses = np.zeros((epochs, n_threads))

    def visit(epoch, thread):
        """Let one thread go through its part of the entries."""
        for low in range(cuts[thread], cuts[thread + 1], 100 * _BLOCK):
            part = slice(low, min(low + 100 * _BLOCK, cuts[thread + 1]))
            memory.refresh()
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
    """What a rule remembers: (M, S, visits) of W, then of C."""

    def __new__(cls, rule, W, C, lr):
        dim = W.shape[1]
        widths = {"none": (1, 1), "coordinate": W.shape, "word": (len(W), 1), "matrix": (dim, dim)}
        begin = 1 if rule == "glove" else 0
        memory = [
            (np.zeros(widths[m], W.dtype), np.full(widths[s], begin, W.dtype),
             np.zeros(len(W), np.int64))
            for m, s in [MEMORY[rule]] * 2
        ]  # fmt: skip
        if rule == "adagrad-full":
            memory[0][1][...] = _DAMPING * np.eye(dim)
            memory[1] = memory[0]
        self = super().__new__(cls, memory)
        self.full = rule == "adagrad-full"
        return self

    def refresh(self):
        """Renew the root of the matrix, which W and C share."""
        if self.full:
            root, total, _ = self[0]
            values, vectors = np.linalg.eigh(total.astype(np.float64))
            root[...] = (vectors / np.sqrt(values)) @ vectors.T


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
    """Positive pointwise mutual information, factorised by a truncated singular value decomposition.

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
    _check_sizes(len(counts.words), dim)
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


def _check_sizes(n_words, dim):
    if n_words < 2:
        raise ValueError(f"the vocabulary must have at least 2 words, got {n_words}")
    at_least_one("dim", dim)


def _check_dtype(dtype):
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")


def _check_training(rule, lr, epochs, begin, n_words):
    if rule not in RULES:
        raise ValueError(f"rule must be one of {', '.join(RULES)}, got {rule!r}")
    positive("lr", lr)
    at_least_one("epochs", epochs)
    _check_sizes(n_words, begin.W.shape[1])
    if len(begin.words) != n_words:
        raise ValueError(f"begin has {len(begin.words)} words, but the data {n_words}")


def _check_finite(W, C):
    if not (np.isfinite(W).all() and np.isfinite(C).all()):
        raise FloatingPointError("Training did not stay finite: lower lr.")
