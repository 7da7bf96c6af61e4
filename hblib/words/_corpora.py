"""Running text for word vectors: named corpora, vocabulary, weighted co-occurrence counts.

Two corpora come with our dependencies and need no network: a sample of Wikipedia, and the
docstrings of the installed scientific packages. A third is downloaded when asked for, and any text
file will do. All are returned as `hblib.data.Text`, documents of indices into a vocabulary.
"""

import ast
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import inspect
import io
import os
import re
import tempfile
import urllib.request
import warnings
import zipfile
from pathlib import Path

import numpy as np
import scipy.sparse

from hblib.rotation._factorisation import at_least_one, positive
from hblib.words._embedding_kernels import count_neighbours
from hblib.worlds import _data as data

_PACKAGES = ("numpy", "scipy", "torch", "sklearn", "matplotlib")
_TEXT8 = "https://mattmahoney.net/dc/text8.zip"
_TEXT8_SHA256 = "a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232"

SOURCES = {
    "wikipedia": data.describe("wikipedia"),
    "docstrings": {
        "title": "Docstrings of scientific Python packages",
        "size": "about 27,000 docstrings, 2.3 million running words with the locked versions",
        "source": "docstrings in the source files of the installed numpy, scipy, torch, sklearn "
        "and matplotlib without their tests, and the help topics of Python; each once",
        "licence": "that of each package: BSD 3-Clause, Matplotlib licence, PSF licence",
    },
    "text8": {
        "title": "text8: the first 100 MB of cleaned English Wikipedia",
        "size": "17,005,207 running words, 253,854 different ones, one document; 31 MB to download",
        "source": f"M. Mahoney (2006), {_TEXT8}",
        "licence": "CC BY-SA 3.0",
        "sha256": _TEXT8_SHA256,
    },
}

# Lower-case runs of letters; like gensim's reader of Wikipedia, words have 2 to 15 of them.
_WORD = re.compile(r"[^\W\d_]+")


def load(name):
    """A corpus by name.

    Parameters
    ----------
    name : {"wikipedia", "docstrings", "text8"} or path
        A key of `SOURCES`, or a UTF-8 text file with one document a line. A name with a dot or a
        slash in it is taken for a path.

    Returns
    -------
    hblib.data.Text

    Raises
    ------
    ValueError
        If the name is unknown, or the file is not text or has no words.
    ConnectionError
        If a download fails.

    Examples
    --------
    >>> text = load("wikipedia")
    >>> len(text.tokens), len(text.starts)
    (452944, 106)
    """
    if name == "wikipedia":
        return data.wikipedia_text()
    if name == "docstrings":
        return _cached("docstrings", _docstrings_key(), lambda: encode(_docstrings()))
    if name == "text8":
        return _cached("text8", _TEXT8_SHA256, lambda: encode([_text8()]))
    if isinstance(name, str) and not re.search(r"[./\\]", name):
        raise ValueError(
            f"name must be one of {', '.join(SOURCES)} or the path of a text file, got {name!r}"
        )
    return _read_file(Path(name))


def encode(documents):
    """Turn documents into numbers.

    Parameters
    ----------
    documents : iterable of str, or of list of str
        Texts, split here into lower-case words of 2 to 15 letters, or lists of words. Documents
        without words are left out.

    Returns
    -------
    hblib.data.Text

    Raises
    ------
    ValueError
        If there is no word at all.

    Examples
    --------
    >>> text = encode(["The cat sat.", "The dog."])
    >>> text.words.tolist(), text.tokens.tolist(), text.starts.tolist()
    (['the', 'cat', 'dog', 'sat'], [0, 1, 3, 0, 2], [0, 3])
    """
    index, chunks = {}, []
    for document in documents:
        words = _words(document) if isinstance(document, str) else document
        if words:
            found = (index.setdefault(word, len(index)) for word in words)
            chunks.append(np.fromiter(found, np.int32))
    if not chunks:
        raise ValueError("documents must hold at least one word, got an empty corpus")
    tokens = np.concatenate(chunks)
    words = np.array(list(index))
    counts = np.bincount(tokens)
    order = np.lexsort((words, -counts))
    new = np.empty(len(order), np.int32)
    new[order] = np.arange(len(order))
    starts = np.cumsum([0] + [len(chunk) for chunk in chunks[:-1]])
    return data.Text(new[tokens], starts, words[order], counts[order])


def restrict(text, n_words=None, min_count=1):
    """Keep the most frequent words; the others are dropped and the gaps closed.

    Like word2vec and GloVe, which never see a word outside their vocabulary, this widens windows.

    Parameters
    ----------
    text : hblib.data.Text
    n_words : int, optional
        Largest size of the vocabulary; by default no limit.
    min_count : int, optional
        Words that occur less often are dropped.

    Returns
    -------
    hblib.data.Text

    Raises
    ------
    ValueError
        If fewer than two words are left.
    """
    at_least_one("min_count", min_count)
    if n_words is not None and (not isinstance(n_words, int | np.integer) or n_words < 2):
        raise ValueError(f"n_words must be an integer of at least 2, got {n_words!r}")
    size = int(np.count_nonzero(text.counts >= min_count))
    size = size if n_words is None else min(size, int(n_words))
    if size < 2:
        raise ValueError(
            f"the vocabulary must have at least 2 words, got {size} with n_words = {n_words} and "
            f"min_count = {min_count}"
        )
    return _select(text, text.tokens < size, text.words[:size])


def subsample(text, rng, threshold=1e-3):
    """Drop frequent words at random, as word2vec does before it forms windows.

    Parameters
    ----------
    text : hblib.data.Text
    rng : numpy.random.Generator or int
    threshold : float, optional
        A word of relative frequency f is kept with probability ``min(1, s + s**2)`` for
        ``s = sqrt(threshold / f)``: the formula of word2vec.c and gensim, not of the paper.

    Returns
    -------
    hblib.data.Text
        With the same vocabulary; documents that were emptied are left out.
    """
    rng = np.random.default_rng(rng)
    keep = keep_probability(text.counts, threshold)
    return _select(text, rng.random(len(text.tokens)) < keep[text.tokens], text.words)


def keep_probability(counts, threshold=1e-3):
    """Probability (V,) that `subsample` keeps a running word."""
    positive("threshold", threshold)
    counts = np.asarray(counts, dtype=float)
    if counts.ndim != 1 or not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError("counts must be a list of numbers, none negative")
    s = np.sqrt(threshold * counts.sum() / np.maximum(counts, 1))
    return np.minimum(1.0, s + s**2)


def shuffled(text, rng):
    """The same documents in random order.

    File order costs skip-gram more than any choice of optimiser gains, since neighbouring
    documents are alike.

    Parameters
    ----------
    text : hblib.data.Text
    rng : numpy.random.Generator or int

    Returns
    -------
    hblib.data.Text
    """
    order = np.random.default_rng(rng).permutation(len(text.starts))
    ends = np.append(text.starts[1:], len(text.tokens))
    lengths = (ends - text.starts)[order]
    starts = np.cumsum(lengths) - lengths
    shift = np.repeat(text.starts[order] - starts, lengths)
    tokens = text.tokens[np.arange(len(text.tokens)) + shift]
    return data.Text(tokens, starts, text.words, text.counts)


def scrambled(text, rng):
    """The same words in random order over the whole text: a negative control without meaning."""
    tokens = np.random.default_rng(rng).permutation(text.tokens)
    return data.Text(tokens, text.starts, text.words, text.counts)


# Weight of a pair of words at distance d.
WINDOW_WEIGHTS = {
    "uniform": lambda d, window: 1.0,
    "harmonic": lambda d, window: 1.0 / d,
    # A half-width uniform on 1..window reaches distance d in so many cases.
    "expected": lambda d, window: (window - d + 1) / window,
}


def cooccurrence(text, window=5, weights="harmonic"):
    """Weighted counts of words near each other.

    Parameters
    ----------
    text : hblib.data.Text
        Restricted to the vocabulary wanted, see `restrict`.
    window : int, optional
        Largest distance counted, in words, to both sides and within a document.
    weights : {"harmonic", "expected", "uniform"}, optional
        A pair at distance d counts 1 / d, as in GloVe; (window - d + 1) / window, its expected
        count under word2vec's random windows; or 1.

    Returns
    -------
    hblib.data.Cooccurrence
        ``matrix`` is symmetric; its diagonal counts each pair of equal words from both sides.

    Examples
    --------
    >>> text = encode(["one cat, one mat"])  # sorted: one, cat, mat
    >>> cooccurrence(text, window=2).matrix.toarray()
    array([[1. , 2. , 1. ],
           [2. , 0. , 0.5],
           [1. , 0.5, 0. ]])
    """
    at_least_one("window", window)
    if weights not in WINDOW_WEIGHTS:
        raise ValueError(f"weights must be one of {', '.join(WINDOW_WEIGHTS)}, got {weights!r}")
    _at_least_two(text.words)
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
    return data.Cooccurrence(matrix, text.words, text.counts)


def _at_least_two(words):
    if len(words) < 2:
        raise ValueError(f"the vocabulary must have at least 2 words, got {len(words)}")


def _words(string):
    return [word for word in _WORD.findall(string.lower()) if 2 <= len(word) <= 15]


def _select(text, keep, words):
    """The running words marked, over a vocabulary that may have lost its tail."""
    document = np.searchsorted(text.starts, np.flatnonzero(keep), side="right")
    tokens = text.tokens[keep]
    if not len(tokens):
        raise ValueError("no running word is left: the corpus is too small for these settings")
    starts = np.flatnonzero(np.diff(document, prepend=0))
    return data.Text(tokens, starts, words, np.bincount(tokens, minlength=len(words)))


# --- sources -------------------------------------------------------------------------------------


def _docstrings_key():
    versions = [f"{p} {importlib.metadata.version(_distribution(p))}" for p in _PACKAGES]
    topics = Path(importlib.util.find_spec("pydoc_data.topics").origin).read_bytes()
    return hashlib.sha256(
        repr(versions).encode() + topics + Path(__file__).read_bytes()
    ).hexdigest()


def _distribution(package):
    return {"sklearn": "scikit-learn"}.get(package, package)


def _docstrings():
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


def _docstrings_of(source):
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


def _string(node):
    value = getattr(node, "value", None)
    return value.value if isinstance(value, ast.Constant) and isinstance(value.value, str) else None


def _text8():
    path = data._cache_folder() / f"text8-{_TEXT8_SHA256[:16]}.zip"
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
        _write_atomically(path, lambda file: file.write(content))
    elif (got := hashlib.sha256(path.read_bytes()).hexdigest()) != _TEXT8_SHA256:
        raise ValueError(f"{path} has the SHA-256 {got}, not the registered {_TEXT8_SHA256}")
    with zipfile.ZipFile(path) as archive:
        return archive.read("text8").decode("ascii").split()


def _read_file(path):
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


def _cached(name, key, build):
    """The text from the cache folder; where that cannot be written, it is built every time."""
    path = data._cache_folder() / f"{name}-{key[:16]}.npz"
    if path.exists():
        with np.load(path) as stored:
            return data.Text(**stored)
    text = build()
    with contextlib.suppress(OSError):
        _write_atomically(path, lambda file: np.savez_compressed(file, **vars(text)))
    return text


def _write_atomically(path, write):
    """Write under another name, then rename: no process ever reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
