"""Running text for word vectors: named corpora, vocabulary, weighted co-occurrence counts.

Two corpora need no network: a sample of Wikipedia, which travels with hblib, and the docstrings of
the installed scientific packages. A third is downloaded when asked for, and any text file will do.
All are returned as `Text`: documents of indices into a vocabulary.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import importlib.util
import inspect
import io
import os
import re
import unicodedata
import urllib.request
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from hblib._cache import cache_folder, write_atomically
from hblib._checks import as_array, choice, generator, number, whole
from hblib.words._embedding_kernels import count_neighbours
from hblib.worlds import _texts
from hblib.worlds._texts import Cooccurrence, Text, numbered, wikipedia_text

_PACKAGES = ("numpy", "scipy", "torch", "sklearn", "matplotlib")
_TEXT8 = "https://mattmahoney.net/dc/text8.zip"
_TEXT8_SHA256 = "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232"
# Changed with every change of how docstrings are found or split, so that no old cache is used.
_READER = "docstrings, NFC words, 1"

CORPORA = {
    "wikipedia": _texts.SOURCES["wikipedia"],
    "docstrings": {
        "title": "Docstrings of scientific Python packages",
        "size": "about 27,000 docstrings, 2.3 million running words with the locked versions",
        "source": "docstrings in the source files of the installed numpy, scipy, torch, sklearn "
        "and matplotlib without their tests, and the help topics of Python; each once",
        "licence": "that of each package: BSD 3-Clause, Matplotlib licence, PSF licence",
    },
    "packages": {
        "title": "All running text that the library's packages carry",
        "size": "28,026 documents, 2.8 million running words with the locked versions",
        "source": "the corpus 'wikipedia', then 'docstrings' in a fixed random order, so that the "
        "first million words are of both",
        "licence": "that of each part",
    },
    "text8": {
        "title": "text8: the first 100 MB of cleaned English Wikipedia",
        "size": "17,005,207 running words, 253,854 different ones, one document; 31 MB to download",
        "source": f"M. Mahoney (2006), {_TEXT8}",
        "licence": "CC BY-SA 3.0",
        "sha256": _TEXT8_SHA256,
    },
}


def load_text(name: str | Path) -> Text:
    """Load a corpus by name.

    Parameters
    ----------
    name : {"wikipedia", "docstrings", "packages", "text8"} or path
        A key of `CORPORA`, or a UTF-8 text file with one document per line. A name with a dot or a
        slash in it is taken for a path.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If the name is unknown, or the file is not text or has no words.
    ConnectionError
        If a download fails.

    Examples
    --------
    >>> text = load_text("wikipedia")
    >>> len(text.tokens), len(text.starts)
    (452944, 106)
    """
    if name == "wikipedia":
        return wikipedia_text()
    if name == "docstrings":
        return _cached("docstrings", _docstrings_key(), lambda: encode(_docstrings()))
    if name == "packages":
        return _packages()
    if name == "text8":
        return _cached("text8", _TEXT8_SHA256, lambda: encode([_text8()]))
    if not isinstance(name, str | os.PathLike) or (
        isinstance(name, str) and not re.search(r"[./\\]", name)
    ):
        raise ValueError(
            f"name must be one of {', '.join(CORPORA)} or the path of a text file, got {name!r}"
        )
    return _read_file(Path(name))


def encode(documents: Iterable[str | Iterable[str]]) -> Text:
    """Turn documents into numbers.

    Parameters
    ----------
    documents : iterable of str, or of list of str
        Texts, which are split into words; or lists (or arrays) of words, which are kept as they
        are. A word of a text is a run of 2 to 15 letters, accents and vowel signs, in lower case
        and composed form (Unicode's NFC). Documents without words are left out.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If there is no word at all, a document is neither a text nor words, or `documents` is one
        single text.

    Examples
    --------
    >>> text = encode(["The cat sat.", "The dog."])
    >>> text.words.tolist(), text.tokens.tolist(), text.starts.tolist()
    (['the', 'cat', 'dog', 'sat'], [0, 1, 3, 0, 2], [0, 3])
    """
    if isinstance(documents, str | bytes | Mapping) or hasattr(documents, "columns"):
        raise ValueError(
            "documents must be a list of texts or of lists of words, got one "
            f"{type(documents).__name__}"
        )
    if not isinstance(documents, Iterable):
        raise ValueError(f"documents must be a list of texts, got {documents!r}")
    try:
        return numbered(_words_of(i, document) for i, document in enumerate(documents))
    except TypeError as error:
        if "unhashable" not in str(error):
            raise
        raise ValueError("documents must be texts or flat lists of words") from None


def _words_of(i: int, document: Any) -> list[str]:
    """Words of the document number i."""
    if isinstance(document, str):
        return _words(document)
    if isinstance(document, bytes) or not isinstance(document, Iterable):
        raise ValueError(
            f"documents must be texts or lists of words, documents[{i}] is {document!r}"
        )
    words = document.tolist() if isinstance(document, np.ndarray) else list(document)
    for word in words:
        if not isinstance(word, str):
            raise ValueError(f"words must be strings, documents[{i}] has the word {word!r}")
    return words


def restrict(text: Text, n_words: int | None = None, min_count: int = 1) -> Text:
    """Keep the most frequent words; the others are dropped and the gaps closed.

    Like word2vec and GloVe, which never see a word outside their vocabulary, this widens windows.

    Parameters
    ----------
    text : Text
    n_words : int, optional
        Largest size of the vocabulary, at least 2; by default no limit.
    min_count : int, optional
        Words that occur less often are dropped.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If fewer than two words are left.

    Examples
    --------
    >>> restrict(encode(["the cat sat on the cat"]), n_words=2).words.tolist()
    ['cat', 'the']
    """
    min_count = whole("min_count", min_count)
    if n_words is not None:
        n_words = whole("n_words", n_words, least=2)
    size = int(np.count_nonzero(text.counts >= min_count))
    size = size if n_words is None else min(size, n_words)
    if size < 2:
        raise ValueError(
            f"the vocabulary must have at least 2 words, got {size} with n_words = {n_words} and "
            f"min_count = {min_count}"
        )
    return _select(text, text.tokens < size, text.words[:size])


def subsample(
    text: Text, rng: int | np.random.Generator | None, threshold: float = 1e-3
) -> Text:
    """Drop frequent words at random, as word2vec does before it forms windows.

    Parameters
    ----------
    text : Text
    rng : int, numpy.random.Generator or None
    threshold : float, optional
        A word of relative frequency f is kept with probability ``min(1, s + s**2)`` for
        ``s = sqrt(threshold / f)``: the formula of word2vec.c and gensim, not of the paper.

    Returns
    -------
    Text
        With the same vocabulary; documents that were emptied are left out.

    Raises
    ------
    ValueError
        If no running word is left.

    Examples
    --------
    >>> text = encode(["the cat and the dog"] * 100)
    >>> len(subsample(text, rng=0, threshold=1.0).tokens), len(text.tokens)
    (500, 500)
    """
    rng = generator(rng)
    keep = keep_probability(text.counts, threshold)
    return _select(text, rng.random(len(text.tokens)) < keep[text.tokens], text.words)


def keep_probability(counts: np.ndarray, threshold: float = 1e-3) -> np.ndarray:
    """Probability that `subsample` keeps a running word.

    Parameters
    ----------
    counts : array_like, shape (n_words,)
        How often each word occurs.
    threshold : float, optional

    Returns
    -------
    numpy.ndarray of float64, shape (n_words,)

    Examples
    --------
    >>> keep_probability([9000, 999, 1], threshold=0.1).round(2).tolist()
    [0.44, 1.0, 1.0]
    """
    threshold = number("threshold", threshold, above=0)
    counts = as_array("counts", counts, ndim=1).astype(float)
    if (counts < 0).any():
        raise ValueError("counts must be a list of numbers, none negative")
    s = np.sqrt(threshold * counts.sum() / np.maximum(counts, 1))
    return np.minimum(1.0, s + s**2)


def shuffled(text: Text, rng: int | np.random.Generator | None) -> Text:
    """Put the documents in random order.

    Neighbouring documents of a file are often alike, and training in file order costs skip-gram
    more than any choice of optimiser gains.

    Parameters
    ----------
    text : Text
    rng : int, numpy.random.Generator or None

    Returns
    -------
    Text

    Examples
    --------
    >>> mixed = shuffled(encode(["one two", "three four five"]), rng=3)
    >>> mixed.words[mixed.tokens].tolist(), mixed.starts.tolist()
    (['three', 'four', 'five', 'one', 'two'], [0, 3])
    """
    order = generator(rng).permutation(len(text.starts))
    ends = np.append(text.starts[1:], len(text.tokens))
    lengths = (ends - text.starts)[order]
    starts = np.cumsum(lengths) - lengths
    shift = np.repeat(text.starts[order] - starts, lengths)
    tokens = text.tokens[np.arange(len(text.tokens)) + shift]
    return Text(tokens, starts, text.words, text.counts)


def scrambled(text: Text, rng: int | np.random.Generator | None) -> Text:
    """Put all running words in random order: a control without meaning.

    Parameters
    ----------
    text : Text
    rng : int, numpy.random.Generator or None

    Returns
    -------
    Text
        With the same documents' lengths and the same counts.

    Examples
    --------
    >>> text = encode(["one two", "three four five"])
    >>> bool((scrambled(text, rng=0).counts == text.counts).all())
    True
    """
    tokens = generator(rng).permutation(text.tokens)
    return Text(tokens, text.starts, text.words, text.counts)


# Weight of a pair of words at distance d.
WINDOW_WEIGHTS: dict[str, Callable[[int, int], float]] = {
    "uniform": lambda d, window: 1.0,
    "harmonic": lambda d, window: 1.0 / d,
    # The share of half-widths, uniform on 1..window, that reach distance d.
    "expected": lambda d, window: (window - d + 1) / window,
}


def cooccurrence(text: Text, window: int = 5, weights: str = "harmonic") -> Cooccurrence:
    """Count, with weights, which words occur near each other.

    Parameters
    ----------
    text : Text
        Restricted to the vocabulary wanted, see `restrict`.
    window : int, optional
        Largest distance counted, in words, to both sides and within a document.
    weights : {"harmonic", "expected", "uniform"}, optional
        A pair at distance d counts 1 / d, as in GloVe; (window - d + 1) / window, its expected
        count under word2vec's random windows; or 1.

    Returns
    -------
    Cooccurrence
        ``matrix`` is symmetric; its diagonal counts each pair of equal words from both sides.

    Raises
    ------
    ValueError
        If the vocabulary has fewer than two words, or a parameter is not one of those allowed.

    Examples
    --------
    >>> text = encode(["one cat, one mat"])  # sorted: one, cat, mat
    >>> cooccurrence(text, window=2).matrix.toarray()
    array([[1. , 2. , 1. ],
           [2. , 0. , 0.5],
           [1. , 0.5, 0. ]])
    """
    window = whole("window", window)
    choice("weights", weights, WINDOW_WEIGHTS)
    if len(text.words) < 2:
        raise ValueError(f"the vocabulary must have at least 2 words, got {len(text.words)}")
    table = np.array([0.0] + [WINDOW_WEIGHTS[weights](d, window) for d in range(1, window + 1)])
    n_words = len(text.words)
    # Occurrences of a word, one word after the other, so that a row is finished in one go.
    places = np.argsort(text.tokens, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(text.tokens, minlength=n_words))])
    ends = np.append(text.starts[1:], len(text.tokens))
    lengths = ends - text.starts
    parts = count_neighbours(
        text.tokens, np.repeat(text.starts, lengths), np.repeat(ends, lengths), places, first, table
    )
    matrix = scipy.sparse.csr_array(parts[::-1], shape=(n_words, n_words))
    return Cooccurrence(matrix, text.words, text.counts)


def _words(string: str) -> list[str]:
    """Lower-case words of 2 to 15 letters, as gensim's reader of Wikipedia has them."""
    string = unicodedata.normalize("NFC", string.lower())
    marks = ""
    if not string.isascii():
        marks = "".join(sorted(c for c in set(string) if unicodedata.category(c).startswith("M")))
    return [word for word in _pattern(marks).findall(string) if 2 <= len(word) <= 15]


@functools.lru_cache(maxsize=1024)
def _pattern(marks: str) -> re.Pattern:
    """A run of letters, each with any of these accents and vowel signs behind it."""
    letter = r"[^\W\d_]"
    return re.compile(f"{letter}(?:{letter}|[{marks}])*" if marks else f"{letter}+")


def _select(text: Text, keep: np.ndarray, words: np.ndarray) -> Text:
    """Keep the running words marked, over a vocabulary that may have lost its tail."""
    document = np.searchsorted(text.starts, np.flatnonzero(keep), side="right")
    tokens = text.tokens[keep]
    if not len(tokens):
        raise ValueError("no running word is left: the corpus is too small for these settings")
    starts = np.flatnonzero(np.diff(document, prepend=0))
    return Text(tokens, starts, words, np.bincount(tokens, minlength=len(words)))


# --- sources -------------------------------------------------------------------------------------


def _docstrings_key() -> str:
    distributions = {"sklearn": "scikit-learn"}
    versions = [f"{p} {importlib.metadata.version(distributions.get(p, p))}" for p in _PACKAGES]
    topics = Path(importlib.util.find_spec("pydoc_data.topics").origin).read_bytes()
    return hashlib.sha256(repr([_READER, *versions]).encode() + topics).hexdigest()


def _docstrings() -> list[str]:
    """Every docstring once, by package, file and place in it, then the help topics."""
    found = {}
    for package in _PACKAGES:
        root = Path(importlib.util.find_spec(package).origin).parent
        for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).parts):
            if "tests" not in path.parts:
                found.update(dict.fromkeys(_docstrings_of(path.read_bytes())))
    topics = importlib.import_module("pydoc_data.topics").topics
    found.update(dict.fromkeys(topics[key] for key in sorted(topics)))
    return list(found)


def _docstrings_of(source: bytes) -> Iterator[str]:
    """Docstrings of one file, read without importing it; nothing if it is for another Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escape sequences
            nodes = [ast.parse(source)]
    except (SyntaxError, ValueError):
        return
    while nodes:
        node = nodes.pop()
        body = getattr(node, "body", [])
        nodes.extend(reversed([child for child in body if isinstance(child, ast.stmt)]))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if body and _string(body[0]):
                yield inspect.cleandoc(_string(body[0]))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            # Functions written in C get theirs by a call: add_newdoc(..., doc), add_docstr(f, doc).
            name = getattr(node.value.func, "id", None)
            if name in ("add_newdoc", "add_docstr") and node.value.args:
                last = [n for n in ast.walk(node.value.args[-1]) if isinstance(n, ast.Constant)]
                yield from (inspect.cleandoc(n.value) for n in last if isinstance(n.value, str))


def _string(node: ast.AST) -> str | None:
    value = getattr(node, "value", None)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _packages() -> Text:
    """Wikipedia's articles, then the docstrings in an order that is random and always the same."""
    parts = wikipedia_text(), shuffled(load_text("docstrings"), 0)
    words = np.concatenate([part.words for part in parts])
    vocabulary, number = np.unique(words, return_inverse=True)
    cut = len(parts[0].words)
    tokens = np.concatenate([number[:cut][parts[0].tokens], number[cut:][parts[1].tokens]])
    counts = np.bincount(tokens)
    order = np.argsort(-counts, kind="stable")  # equally frequent words stay in alphabetical order
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    starts = np.concatenate([parts[0].starts, parts[1].starts + len(parts[0].tokens)])
    return Text(place[tokens].astype(np.int32), starts, vocabulary[order], counts[order])


def _text8() -> list[str]:
    path = cache_folder() / f"text8-{_TEXT8_SHA256[:16]}.zip"
    if not path.exists():
        try:
            with urllib.request.urlopen(_TEXT8, timeout=60) as answer:
                content = answer.read()
        except OSError as error:
            raise ConnectionError(
                f"text8 could not be downloaded from {_TEXT8} ({error}); with a network try again, "
                f"or save the file as {path}. The corpora 'wikipedia' and 'docstrings' need none."
            ) from None
        if (got := hashlib.sha256(content).hexdigest()) != _TEXT8_SHA256:
            raise ConnectionError(
                f"{_TEXT8} has the SHA-256 {got}, not the registered {_TEXT8_SHA256}"
            )
        write_atomically(path, lambda file: file.write(content))
    elif (got := hashlib.sha256(path.read_bytes()).hexdigest()) != _TEXT8_SHA256:
        raise ValueError(f"{path} has the SHA-256 {got}, not the registered {_TEXT8_SHA256}")
    with zipfile.ZipFile(path) as archive:
        return archive.read("text8").decode("ascii").split()


def _read_file(path: Path) -> Text:
    if not path.is_file():
        raise ValueError(f"name must be a corpus or the path of a text file; there is no {path}")
    content = path.read_bytes()
    try:
        string = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        string = "\0"
    if "\0" in string:
        raise ValueError(f"{path} is not a UTF-8 text file")
    try:
        return encode(io.StringIO(string))
    except ValueError:
        raise ValueError(f"{path} is an empty corpus: it has no word of 2 to 15 letters") from None


def _cached(name: str, key: str, build: Callable[[], Text]) -> Text:
    """Return the text from the cache folder; where none can be written, it is built every time."""
    path = cache_folder() / f"{name}-{key[:16]}.npz"
    if path.exists():
        with np.load(path) as stored:
            return Text(**stored)
    text = build()
    with contextlib.suppress(OSError):
        write_atomically(path, lambda file: np.savez_compressed(file, **vars(text)))
    return text
