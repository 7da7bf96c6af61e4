"""Every data set of the book by name: real ones that come with our dependencies, and made ones.

Nothing here needs a network. `SOURCES` says for each data set where it comes from, under which
licence and how large it is; the functions of the same names return it.
"""

import bz2
import contextlib
import hashlib
import importlib.util
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import platformdirs
import scipy.sparse
import scipy.special
import sklearn.datasets

SOURCES = {
    "digits": {
        "title": "Handwritten digits",
        "size": "1,797 images of 8 x 8 pixels in 17 grey levels, ten classes",
        "source": "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, "
        "UCI Machine Learning Repository, doi:10.24432/C50P49; the test part, as bundled with "
        "scikit-learn",
        "licence": "CC BY 4.0",
        "package": "sklearn",
        "file": "datasets/data/digits.csv.gz",
        "sha256": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
    },
    "wikipedia": {
        "title": "A sample of the English Wikipedia",
        "size": "106 articles, 452,944 running words, 34,212 different ones",
        "source": "Wikipedia contributors, articles from a dump of May 2016, as bundled "
        "with gensim's tests and read by gensim's WikiCorpus rules",
        "licence": "CC BY-SA 3.0",
        "package": "gensim",
        "file": "test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened"
        ".bz2",
        "sha256": "a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
    },
    "synthetic": {
        "title": "Matrices of known low rank",
        "size": "as asked for",
        "source": "drawn by hblib with a seed",
        "licence": "MIT",
    },
}


def describe(name):
    """Title, size, source and licence of a data set.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.

    Returns
    -------
    dict
        With the keys ``title``, ``size``, ``source``, ``licence``; for files of a dependency also
        ``package``, ``file`` and ``sha256``.

    Examples
    --------
    >>> describe("digits")["licence"]
    'CC BY 4.0'
    """
    if name not in SOURCES:
        raise ValueError(f"name must be one of {', '.join(SOURCES)}, got {name!r}")
    return dict(SOURCES[name])


def checksum(name):
    """SHA-256 of the file that a data set is read from, as installed here.

    Parameters
    ----------
    name : str
        A data set that is read from a file: ``"digits"`` or ``"wikipedia"``.

    Returns
    -------
    str
        Hexadecimal digest; it equals ``describe(name)["sha256"]`` when the installed package
        bundles the file that the book was made from.
    """
    return hashlib.sha256(_installed_file(name).read_bytes()).hexdigest()


# --- images --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """Handwritten digits: `X` (1797, 64), `images` (1797, 8, 8), `labels` (1797,)."""

    X: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def digits(scale=True):
    """Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels.

    Parameters
    ----------
    scale : bool, optional
        Divide the pixels, integers from 0 to 16, by 16 so that they lie in [0, 1].

    Returns
    -------
    Digits
        ``X`` float64 (1797, 64), samples as rows; ``images`` the same as (1797, 8, 8); ``labels``
        int (1797,).

    Examples
    --------
    >>> digits().X.shape, float(digits().X.max())
    ((1797, 64), 1.0)
    """
    X, labels = sklearn.datasets.load_digits(return_X_y=True)
    if scale:
        X = X / 16.0
    return Digits(X, X.reshape(-1, 8, 8), labels)


# --- text ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A corpus as numbers.

    Attributes
    ----------
    tokens : numpy.ndarray of int32, shape (n_tokens,)
        Index into `words` of every running word, article after article.
    starts : numpy.ndarray of int64, shape (n_articles,)
        Where each article begins in `tokens`.
    words : numpy.ndarray of str, shape (n_different,)
        From the most frequent to the rarest, equally frequent ones in alphabetical order.
    counts : numpy.ndarray of int64, shape (n_different,)
        How often each word occurs.
    """

    tokens: np.ndarray
    starts: np.ndarray
    words: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Cooccurrence:
    """Co-occurrence `matrix` (V, V, sparse, symmetric) of the V most frequent `words`.

    `counts` (V,) says how often each word occurs in the text.
    """

    matrix: scipy.sparse.csr_array
    words: np.ndarray
    counts: np.ndarray


def wikipedia_text():
    """The running words of 106 Wikipedia articles.

    Markup is removed and words are split by the rules of gensim's ``WikiCorpus``: lower case, 2 to
    15 letters, articles of fewer than 50 words left out. Stripping the markup takes seconds, so the
    result is kept in a cache folder under a key made of all that it depends on.

    Returns
    -------
    Text

    Examples
    --------
    >>> text = wikipedia_text()
    >>> text.words[:3].tolist(), len(text.tokens)
    (['the', 'of', 'and'], 452944)
    """
    dump = _installed_file("wikipedia")
    parser = Path(importlib.util.find_spec("gensim").origin).parent / "corpora" / "wikicorpus.py"
    key = hashlib.sha256(
        dump.read_bytes() + parser.read_bytes() + Path(__file__).read_bytes()
    ).hexdigest()
    cached = _cache_folder() / f"wikipedia-{key[:16]}.npz"
    if not cached.exists():
        text = _parse_wikipedia(dump)
        # The cache only saves time: where it cannot be written, the next call parses again.
        with contextlib.suppress(OSError):
            _save_atomically(cached, text)
        return text
    with np.load(cached) as stored:
        return Text(**stored)


def wikipedia(n_words=300, window=5, weights="uniform"):
    """Word-by-word co-occurrence counts in 106 Wikipedia articles.

    Two words co-occur when at most `window` positions apart in the running text of one article;
    words outside the vocabulary keep their positions but are not counted.

    Parameters
    ----------
    n_words : int, optional
        Size V of the vocabulary: the most frequent words.
    window : int, optional
        Largest distance counted, in words, to both sides.
    weights : {"uniform", "harmonic"}, optional
        A pair at distance d counts 1 or, as in GloVe, 1 / d.

    Returns
    -------
    Cooccurrence
        ``matrix`` is a symmetric float64 `scipy.sparse.csr_array` of shape (V, V), whose diagonal
        counts each pair of equal words from both sides; use ``matrix.toarray()`` for a dense one.

    Examples
    --------
    >>> data = wikipedia(n_words=100, window=2)
    >>> data.matrix.shape, data.words[:2].tolist()
    ((100, 100), ['the', 'of'])
    """
    _check_count("window", window, upper=1_000)
    if weights not in ("uniform", "harmonic"):
        raise ValueError(f"weights must be 'uniform' or 'harmonic', got {weights!r}")
    text = wikipedia_text()
    _check_count("n_words", n_words, upper=len(text.words))
    position = np.arange(len(text.tokens))
    article = np.searchsorted(text.starts, position, side="right")
    known = text.tokens < n_words
    half = scipy.sparse.csr_array((n_words, n_words))
    for d in range(1, window + 1):
        left, right = position[:-d], position[d:]
        pair = known[left] & known[right] & (article[left] == article[right])
        index = (text.tokens[left[pair]], text.tokens[right[pair]])
        weight = np.full(len(index[0]), 1.0 if weights == "uniform" else 1.0 / d)
        half = half + scipy.sparse.coo_array((weight, index), shape=half.shape).tocsr()
    return Cooccurrence((half + half.T).tocsr(), text.words[:n_words], text.counts[:n_words])


def _parse_wikipedia(dump):
    # Imported here: gensim takes most of a second, which a chapter with a warm cache need not pay.
    from gensim.corpora.wikicorpus import (
        ARTICLE_MIN_WORDS,
        IGNORED_NAMESPACES,
        TOKEN_MAX_LEN,
        TOKEN_MIN_LEN,
        extract_pages,
        filter_wiki,
        tokenize,
    )

    # The class WikiCorpus would start a pool of processes for this; its parts do not.
    ignored = tuple(f"{namespace}:" for namespace in IGNORED_NAMESPACES)
    articles = []
    with bz2.open(dump) as file:
        for title, raw, _ in extract_pages(file, filter_namespaces=("0",)):
            article = tokenize(filter_wiki(raw), TOKEN_MIN_LEN, TOKEN_MAX_LEN, True)
            if len(article) >= ARTICLE_MIN_WORDS and not title.startswith(ignored):
                articles.append(article)
    frequency = Counter(word for article in articles for word in article)
    words = sorted(frequency, key=lambda word: (-frequency[word], word))
    index = {word: i for i, word in enumerate(words)}
    return Text(
        tokens=np.array([index[word] for article in articles for word in article], np.int32),
        starts=np.cumsum([0] + [len(article) for article in articles[:-1]]),
        words=np.array(words),
        counts=np.array([frequency[word] for word in words]),
    )


# --- made matrices -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Synthetic:
    """A `matrix` (..., m, n) drawn around ``A.T @ B``: `A` (..., k, m), `B` (..., k, n)."""

    matrix: np.ndarray
    A: np.ndarray
    B: np.ndarray


_LINKS = ("gaussian", "binary", "counts")


def synthetic(n_rows, n_columns, rank, rng, noise=0.0, kind="gaussian", batch=None):
    """Draw matrices of which the best factorisation is known.

    The truth is ``X = A.T @ B`` with Gaussian factors scaled so that the entries of X have the
    standard deviation 1. The matrix observed is ``X + noise * Z`` with Z standard Gaussian for
    squared error (``gaussian``); 0 or 1 with log-odds ``X + noise * Z`` for logistic error
    (``binary``); Poisson counts of mean ``exp(X + noise * Z)`` for Poisson error (``counts``).

    Parameters
    ----------
    n_rows, n_columns : int
        Shape (m, n) of the matrix.
    rank : int
        Inner dimension k of the truth, at most ``min(m, n)``.
    rng : numpy.random.Generator or int
        Source of randomness.
    noise : float, optional
        Standard deviation of the Gaussian noise on X, before any link. Binary matrices and counts
        are random also at 0.
    kind : {"gaussian", "binary", "counts"}, optional
        The link.
    batch : int, optional
        Draw so many independent matrices, stacked on a leading axis; by default one without it.

    Returns
    -------
    Synthetic

    Examples
    --------
    >>> data = synthetic(60, 40, rank=5, rng=0, batch=64)
    >>> data.matrix.shape, data.A.shape, bool(np.allclose(data.A.mT @ data.B, data.matrix))
    ((64, 60, 40), (64, 5, 60), True)
    """
    _check_count("n_rows", n_rows)
    _check_count("n_columns", n_columns)
    _check_count("rank", rank, upper=min(n_rows, n_columns))
    if batch is not None:
        _check_count("batch", batch)
    if not (np.isfinite(noise) and noise >= 0):
        raise ValueError(f"noise must be a number >= 0, got {noise!r}")
    if kind not in _LINKS:
        raise ValueError(f"kind must be one of {', '.join(_LINKS)}, got {kind!r}")
    rng = np.random.default_rng(rng)
    lead = () if batch is None else (batch,)
    # A product of two entries has variance scale^4, a sum of `rank` such products has 1.
    scale = rank**-0.25
    A = scale * rng.standard_normal((*lead, rank, n_rows))
    B = scale * rng.standard_normal((*lead, rank, n_columns))
    matrix = A.mT @ B + noise * rng.standard_normal((*lead, n_rows, n_columns))
    if kind == "binary":
        matrix = rng.binomial(1, scipy.special.expit(matrix)).astype(float)
    elif kind == "counts":
        matrix = rng.poisson(np.exp(matrix)).astype(float)
    return Synthetic(matrix, A, B)


# --- files and checks ----------------------------------------------------------------------------


def _installed_file(name):
    entry = describe(name)
    if "file" not in entry:
        raise ValueError(f"name must be a data set read from a file, got {name!r}")
    # find_spec looks the package up without importing it.
    return Path(importlib.util.find_spec(entry["package"]).origin).parent / entry["file"]


def _cache_folder():
    """Inside the project when hblib is used from it, else the user's own cache."""
    project = Path(__file__).resolve().parent.parent
    if (project / "pyproject.toml").exists():
        return project / "_build" / "cache"
    return Path(platformdirs.user_cache_dir("hblib"))


def _save_atomically(path, text):
    """Write under another name, then rename: no process ever reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **vars(text))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _check_count(name, value, upper=None):
    if not isinstance(value, int | np.integer) or value < 1 or (upper and value > upper):
        allowed = "a positive integer" if upper is None else f"an integer from 1 to {upper:,}"
        raise ValueError(f"{name} must be {allowed}, got {value!r}")
