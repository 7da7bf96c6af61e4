"""Word vectors: what they are, where they start, their neighbours, how they are kept.

Every word has two vectors: row i of ``W`` as a word, row j of ``C`` as the context of others. The
losses of word2vec and GloVe depend on the inner products ``W @ C.T`` alone, so turning all vectors,
``(W @ U.T, C @ U.T)`` with an orthogonal U, changes nothing; whatever is special about a unit (a
column) must come from the starting point or from the update rule of `hblib.embeddings`.
"""

from dataclasses import dataclass, replace

import numpy as np

from hblib.rotation._factorisation import at_least_one, positive


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
        check_sizes(len(words), len(rows[0]) if rows else 0)
    except (UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is not a file of word vectors in text format: {error}") from None
    W = np.array(rows)
    return Embedding(np.array(words), W, np.zeros_like(W))


def from_keyed_vectors(keyed):
    """Vectors of `gensim.models.KeyedVectors` as an `Embedding`, with zeros for `C`."""
    W = np.array(keyed.vectors)
    return Embedding(np.array(keyed.index_to_key), W, np.zeros_like(W))


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
    check_sizes(len(words), dim)
    positive("scale", scale)
    _check_dtype(dtype)
    rng = np.random.default_rng(rng)
    W, C = (np.ascontiguousarray(scale * X, dtype) for X in STARTS[kind](rng, len(words), dim))
    b, c = np.zeros((2, len(words)), dtype)
    if kind == "glove":
        b, c = rng.uniform(-0.5 / dim, 0.5 / dim, (2, len(words))).astype(dtype)
    return Embedding(words, W, C, b, c)


# --- a quality that no rotation changes ----------------------------------------------------------


def suffix_rank(embedding, suffix, which="W", n_words=5000):
    """How near a word is its form with a suffix: mean reciprocal rank by cosine.

    Parameters
    ----------
    embedding : Embedding
    suffix : str
        For instance ``"s"`` (network, networks) or ``"ing"``.
    which : {"W", "C", "W+C"}, optional
    n_words : int, optional
        Pairs and candidates are taken from so many of the most frequent words; the word itself is
        no candidate.

    Returns
    -------
    rank : float
        Mean of 1 / rank of the suffixed form, 1 at best; NaN without pairs.
    n_pairs : int
        On how many pairs of words of four letters or more it rests.
    """
    at_least_one("n_words", n_words)
    words = embedding.words[:n_words].tolist()
    index = {word: i for i, word in enumerate(words)}
    pairs = [(i, index[w + suffix]) for w, i in index.items() if len(w) > 3 and w + suffix in index]
    if not pairs:
        return float("nan"), 0
    word, form = np.array(pairs).T
    V = unit_rows(embedding.vectors(which)[: len(words)])
    cosine = V[word] @ V.T
    cosine[np.arange(len(word)), word] = -np.inf
    better = cosine > cosine[np.arange(len(word)), form][:, None]
    return float(np.mean(1 / (1 + better.sum(1)))), len(word)


def check_sizes(n_words, dim):
    """Raise ValueError unless there are at least two words and one dimension."""
    if not n_words >= 2 or n_words % 1:
        raise ValueError(f"the vocabulary must have at least 2 words, got {n_words}")
    at_least_one("dim", dim)


def _check_dtype(dtype):
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
