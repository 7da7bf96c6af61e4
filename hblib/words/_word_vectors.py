"""Word vectors: what they are, how they are initialised, their neighbours, how they are kept.

Every word has two vectors: row i of ``W`` as a word, row j of ``C`` as the context of others. The
losses of word2vec and GloVe depend on the inner products ``W @ C.T`` alone, so turning all vectors,
``(W @ U.T, C @ U.T)`` with an orthogonal U, changes nothing; whatever is special about a unit (a
column) must come from the initial vectors or from the update rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from hblib._checks import as_array, choice, generator, number, whole
from hblib.words._published import PUBLISHED, read_published
from hblib.words._vector_files import read_vectors, write_vectors

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

_WHICH = ("W", "C", "W+C")


@dataclass(frozen=True, eq=False)
class Embedding:
    """Word vectors, trained or not.

    Attributes
    ----------
    words : numpy.ndarray of str, shape (V,)
        From the most frequent to the rarest.
    W, C : numpy.ndarray of float32 or float64, shape (V, d)
        Vectors of words and of contexts; units are columns. Other numbers and tensors are
        converted.
    b, c : numpy.ndarray, shape (V,), or None
        Biases of words and contexts, GloVe's only.
    loss : numpy.ndarray, shape (n_epochs,), or None
        Mean loss during each epoch, or at each record of a dense training.

    Raises
    ------
    ValueError
        If the shapes do not fit together or a vector is not finite.

    Examples
    --------
    >>> vectors = Embedding(["cat", "dog", "sea"], [[1, 0], [1, 1], [0, 3]], np.zeros((3, 2)))
    >>> vectors.neighbours("dog", 1)[0][0]
    'cat'
    """

    words: np.ndarray
    W: np.ndarray
    C: np.ndarray
    b: np.ndarray | None = None
    c: np.ndarray | None = None
    loss: np.ndarray | None = None

    def __post_init__(self) -> None:
        words = np.asarray(self.words)
        if words.dtype.kind == "O" and all(isinstance(word, str) for word in words.flat):
            words = words.astype(str)
        if words.dtype.kind != "U" or words.ndim != 1:
            raise ValueError(
                f"words must be a list of strings, got an array of {words.dtype} of the shape "
                f"{words.shape}"
            )
        object.__setattr__(self, "words", words)
        for name, ndim in (("W", 2), ("C", 2), ("b", 1), ("c", 1)):
            value = getattr(self, name)
            if value is None and ndim == 1:
                continue
            value = as_array(name, value, ndim=ndim)
            if value.shape != (len(words), *np.shape(self.W)[1:])[:ndim]:
                raise ValueError(
                    f"{name} has the shape {value.shape}, beside {len(words)} words and W of the "
                    f"shape {tuple(np.shape(self.W))}"
                )
            object.__setattr__(self, name, value)

    def vectors(self, which: str = "W") -> np.ndarray:
        """Return one matrix of vectors.

        Parameters
        ----------
        which : {"W", "C", "W+C"}, optional
            Words, contexts, or their sum, which GloVe saves.

        Returns
        -------
        numpy.ndarray, shape (V, d)
        """
        choice("which", which, _WHICH)
        return self.W + self.C if which == "W+C" else getattr(self, which)

    def index(self, word: str) -> int:
        """Row of a word; KeyError naming the word if the vocabulary does not have it."""
        found = np.flatnonzero(self.words == word)
        if not len(found):
            raise KeyError(f"word {word!r} is not among the {len(self.words):,} of the vocabulary")
        return int(found[0])

    def select(self, words: np.ndarray) -> Embedding:
        """Return the vectors of other words in their order, for instance of the words of a text.

        Parameters
        ----------
        words : array_like of str
            All of them words of the vocabulary, else KeyError.

        Returns
        -------
        Embedding
            Without the losses.
        """
        row = {word: i for i, word in reversed(list(enumerate(self.words.tolist())))}
        missing = [word for word in np.asarray(words).tolist() if word not in row]
        if missing:
            raise KeyError(
                f"{len(missing):,} of {len(words):,} words are not in the vocabulary, first of all "
                f"{missing[0]!r}"
            )
        rows = np.array([row[word] for word in np.asarray(words).tolist()], int)
        b, c = (None if x is None else x[rows] for x in (self.b, self.c))
        return Embedding(self.words[rows], self.W[rows], self.C[rows], b, c)

    def rotated(self, U: np.ndarray) -> Embedding:
        """Return the same with every vector v turned into ``U @ v``.

        Parameters
        ----------
        U : array_like, shape (d, d)
            Any matrix; an orthogonal one keeps all inner products.

        Returns
        -------
        Embedding
        """
        U = as_array("U", U)
        if U.shape != (self.W.shape[1],) * 2:
            raise ValueError(
                f"U of shape {U.shape} must be square with the dimension of the vectors, "
                f"{self.W.shape[1]}"
            )
        turned = [(X.astype(np.float64) @ U.T).astype(X.dtype) for X in (self.W, self.C)]
        return replace(self, W=turned[0], C=turned[1])

    def neighbours(self, word: str, n: int = 10, which: str = "W") -> list[tuple[str, float]]:
        """Return the words with the largest cosine with a word, nearest first, itself left out.

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
        n = whole("n", n)
        row = self.index(word)
        V = unit_rows(self.vectors(which))
        cosine = V @ V[row]
        cosine[row] = -np.inf
        best = np.argsort(-cosine, kind="stable")[: min(n, len(V) - 1)]
        return [(str(self.words[i]), float(cosine[i])) for i in best]

    def keyed_vectors(self, which: str = "W") -> KeyedVectors:
        """Return the vectors as `gensim.models.KeyedVectors`; gensim must be installed."""
        try:
            from gensim.models import KeyedVectors
        except ImportError:
            raise ImportError("keyed_vectors needs gensim: pip install gensim") from None

        keyed = KeyedVectors(self.W.shape[1], dtype=self.W.dtype)
        keyed.add_vectors(self.words.tolist(), self.vectors(which))
        return keyed

    def save(
        self, path: str | PathLike, which: str = "W", binary: bool = False, header: bool = True
    ) -> None:
        """Write one set of vectors in a format of word2vec or GloVe.

        Parameters
        ----------
        path : path
        which : {"W", "C", "W+C"}, optional
        binary : bool, optional
            The binary format of word2vec, in float32, instead of text with all digits.
        header : bool, optional
            Begin with a line that has the number of words and the dimension, as word2vec does;
            GloVe's files have none.

        Raises
        ------
        ValueError
            If a word or a number could not be read back. Nothing is written then.
        """
        write_vectors(path, self.words, self.vectors(which), binary, header)


def load_vectors(
    path: str | PathLike,
    dtype: str = "float64",
    binary: bool | None = None,
    n_words: int | None = None,
) -> Embedding:
    r"""Read published vectors, or a file in the text or binary format of word2vec or in GloVe's.

    Parameters
    ----------
    path : path
        A key of `PUBLISHED`, or a file, its name ending in ``.gz`` if it is compressed.
    dtype : {"float64", "float32"}, optional
    binary : bool, optional
        By default True if the name ends in ``.bin`` or ``.bin.gz``.
    n_words : int, optional
        Read only the first, most frequent words.

    Returns
    -------
    Embedding
        With `W`, and zeros for `C`, which the files do not have.

    Raises
    ------
    ImportError
        If the package with the published vectors, or the one that reads it, is not installed.
    ValueError
        If the file is not of this form: lines of several lengths, other numbers of words than its
        first line says, numbers that are not finite.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "glove.txt")
    ...     _ = path.write_text("the 0.5 1.0\nof 1.5 3.0\n. . . 0.25 2.0\n")
    ...     load_vectors(path).words.tolist()
    ['the', 'of', '. . .']
    """
    _check_dtype(dtype)
    if n_words is not None:
        n_words = whole("n_words", n_words, least=2)
    if isinstance(path, str) and path in PUBLISHED:
        words, W = read_published(path, n_words)
        return Embedding(words, W.astype(dtype, copy=False), np.zeros(W.shape, dtype))
    if binary is None:
        binary = str(path).removesuffix(".gz").endswith(".bin")
    try:
        words, W = read_vectors(path, dtype, binary, n_words)
        check_sizes(len(words), W.shape[1])
    except (ValueError, EOFError) as error:
        kind = f"word vectors in {'binary' if binary else 'text'} format"
        raise ValueError(f"{path} is not a file of {kind}: {error}") from None
    return Embedding(words, W, np.zeros_like(W))


def from_keyed_vectors(keyed: KeyedVectors) -> Embedding:
    """Return vectors of `gensim.models.KeyedVectors` as an `Embedding`, with zeros for `C`.

    Parameters
    ----------
    keyed : gensim.models.KeyedVectors
        Or anything with ``vectors`` (V, d) and ``index_to_key``; gensim is not imported.
    """
    W = np.array(keyed.vectors)
    return Embedding(np.array(keyed.index_to_key), W, np.zeros_like(W))


def unit_rows(X: np.ndarray) -> np.ndarray:
    """Divide rows by their length; rows of zeros stay.

    Parameters
    ----------
    X : array_like, shape (n, d)

    Returns
    -------
    numpy.ndarray, shape (n, d)

    Examples
    --------
    >>> unit_rows([[3, 4], [0, 0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    X = as_array("X", X, ndim=2)
    length = np.linalg.norm(X, axis=1, keepdims=True)
    return X / np.where(length > 0, length, 1)


# --- initial vectors ------------------------------------------------------------------------------


_Pair = tuple[np.ndarray, np.ndarray]


def _uniform(rng: np.random.Generator, n_words: int, dim: int) -> np.ndarray:
    return rng.uniform(-0.5 / dim, 0.5 / dim, (n_words, dim))


def _word2vec(rng: np.random.Generator, n_words: int, dim: int) -> _Pair:
    return _uniform(rng, n_words, dim), np.zeros((n_words, dim))


def _word2vec_c(rng: np.random.Generator, n_words: int, dim: int) -> _Pair:
    # x <- 25214903917 x + 11 modulo 2^64, of which the program uses the lowest 16 bits: they are a
    # generator modulo 2^16 by themselves, which repeats after 65,536 numbers.
    cycle, x = np.empty(2**16), 1
    for i in range(2**16):
        x = (x * 25214903917 + 11) % 2**16
        cycle[i] = x
    W = (cycle[np.arange(n_words * dim) % 2**16] / 2**16 - 0.5) / dim
    return W.reshape(n_words, dim), np.zeros((n_words, dim))


def _glove(rng: np.random.Generator, n_words: int, dim: int) -> _Pair:
    return _uniform(rng, n_words, dim), _uniform(rng, n_words, dim)


def _gaussian(rng: np.random.Generator, n_words: int, dim: int) -> _Pair:
    # As large as the uniform vectors: a uniform number on a width of 1/d has this deviation.
    return tuple(rng.standard_normal((2, n_words, dim)) / (dim * 12**0.5))


def _orthogonal(rng: np.random.Generator, n_words: int, dim: int) -> _Pair:
    # The columns of (W, C) together are orthonormal and Haar distributed, as long as the Gaussian.
    left, _, right = np.linalg.svd(rng.standard_normal((2 * n_words, dim)), full_matrices=False)
    Q = (2 * n_words / 12) ** 0.5 / dim * (left @ right)
    return Q[:n_words], Q[n_words:]


INITIALISATIONS: dict[str, Callable[[np.random.Generator, int, int], _Pair]] = {
    "word2vec": _word2vec,
    "word2vec.c": _word2vec_c,
    "glove": _glove,
    "gaussian": _gaussian,
    "orthogonal": _orthogonal,
}


def initial_vectors(
    kind: str,
    words: np.ndarray,
    dim: int,
    rng: int | np.random.Generator | None,
    scale: float = 1.0,
    dtype: str = "float64",
) -> Embedding:
    """Draw the vectors that a training starts from.

    Parameters
    ----------
    kind : {"word2vec", "word2vec.c", "glove", "gaussian", "orthogonal"}
        - ``"word2vec"``: W uniform on [-0.5 / d, 0.5 / d) and C zero, as word2vec intends;
        - ``"word2vec.c"``: the same by the generator of word2vec.c, which repeats itself (it has
          no seed: ``rng`` is not used);
        - ``"glove"``: W, C and the biases uniform, as in GloVe;
        - ``"gaussian"``: W and C Gaussian with the same standard deviation, 1 / (sqrt(12) d), a
          distribution that no rotation changes;
        - ``"orthogonal"``: W over C with orthonormal columns, Haar distributed, of the same size.

        Biases other than GloVe's are zero.
    words : array_like of str, shape (V,)
        The vocabulary.
    dim : int
        Dimension d of the vectors, the number of hidden units.
    rng : int, numpy.random.Generator or None
    scale : float, optional
        Factor on W and C.
    dtype : {"float64", "float32"}, optional
        Precision of the vectors and so of the training.

    Returns
    -------
    Embedding

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed.

    Examples
    --------
    >>> words = [f"word{i}" for i in range(2000)]
    >>> vectors = initial_vectors("word2vec.c", words, dim=128, rng=0)
    >>> len(np.unique(vectors.W, axis=0))  # of 2,000 words
    512
    """
    words = np.asarray(words)
    choice("kind", kind, INITIALISATIONS)
    check_sizes(len(words), dim)
    scale = number("scale", scale, above=0)
    _check_dtype(dtype)
    rng = generator(rng)
    draw = INITIALISATIONS[kind]
    W, C = (np.ascontiguousarray(scale * X, dtype) for X in draw(rng, len(words), dim))
    b, c = np.zeros((2, len(words)), dtype)
    if kind == "glove":
        b, c = rng.uniform(-0.5 / dim, 0.5 / dim, (2, len(words))).astype(dtype)
    return Embedding(words, W, C, b, c)


# --- a quality that no rotation changes ----------------------------------------------------------


def suffix_rank(
    embedding: Embedding, suffix: str, which: str = "W", n_words: int = 5000
) -> tuple[float, int]:
    """Mean reciprocal rank, by cosine, of a word's form with a suffix among its neighbours.

    Parameters
    ----------
    embedding : Embedding
    suffix : str
        For instance ``"s"`` (network, networks) or ``"ing"``.
    which : {"W", "C", "W+C"}, optional
    n_words : int, optional
        Pairs and candidates are taken from this many of the most frequent words; the word itself
        is no candidate.

    Returns
    -------
    rank : float
        Mean of 1 / rank of the form with the suffix, 1 at best; NaN without pairs.
    n_pairs : int
        The number of pairs, of words of at least four letters.

    Examples
    --------
    >>> vectors = Embedding(["tree", "trees", "car"], [[1, 0], [1, 0.1], [0, 1]], np.zeros((3, 2)))
    >>> suffix_rank(vectors, "s")
    (1.0, 1)
    """
    n_words = whole("n_words", n_words)
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


def check_sizes(n_words: int, dim: int) -> None:
    """Raise ValueError unless there are at least two words and one dimension."""
    if n_words < 2:
        raise ValueError(f"the vocabulary must have at least 2 words, got {n_words}")
    whole("dim", dim)


def _check_dtype(dtype: Any) -> None:
    if dtype not in ("float32", "float64", np.float32, np.float64):
        raise ValueError(f"dtype must be 'float64' or 'float32', got {dtype!r}")
