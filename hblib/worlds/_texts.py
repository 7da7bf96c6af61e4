"""Real text: 106 articles of the English Wikipedia, and the analogy questions of word2vec.

Both lie in the folder `_text` beside this file, with their licences and where they come from, and
are compared with their registered SHA-256 whenever they are read.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse

from hblib._checks import choice, whole

SOURCES = {
    "wikipedia": {
        "title": "A sample of the English Wikipedia",
        "size": "106 articles, 452,944 running words, 34,212 different ones",
        "source": "Wikipedia contributors, articles from a dump of May 2016 that is bundled with "
        "gensim's tests, read by the rules of gensim's WikiCorpus",
        "licence": "CC BY-SA 4.0 (published in 2016 under CC BY-SA 3.0)",
        "package": "hblib",
        "file": "worlds/_text/wikipedia.txt.xz",
        "sha256": "268ffdb06d22de4f97a53706f5d46f0bc31ea8b8cb70c8732b2f5be7cbc9419d",
    },
    "analogies": {
        "title": "The analogy questions of word2vec",
        "size": "19,544 questions in 14 sections",
        "source": "T. Mikolov et al. (2013), questions-words.txt of the program word2vec, "
        "https://code.google.com/archive/p/word2vec",
        "licence": "Apache 2.0",
        "package": "hblib",
        "file": "worlds/_text/questions-words.txt.xz",
        "sha256": "8acb5d6c7d3b4536833a054f623794e5222f4a3a37cb45b10808c60ad4b36c69",
    },
}


@dataclass(frozen=True)
class Text:
    """A corpus as numbers.

    Attributes
    ----------
    tokens : numpy.ndarray of int32, shape (n_tokens,)
        Index into `words` of every running word, document after document.
    starts : numpy.ndarray of int64, shape (n_documents,)
        Where each document begins in `tokens`.
    words : numpy.ndarray of str, shape (n_words,)
        From the most frequent to the rarest; equally frequent words in alphabetical order.
    counts : numpy.ndarray of int64, shape (n_words,)
        How often each word occurs.
    """

    tokens: np.ndarray
    starts: np.ndarray
    words: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Cooccurrence:
    """How often words occur near each other.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array of float64, shape (n_words, n_words)
        Symmetric, (weighted) counts of pairs.
    words : numpy.ndarray of str, shape (n_words,)
    counts : numpy.ndarray of int64, shape (n_words,)
        How often each word occurs in the text.
    """

    matrix: scipy.sparse.csr_array
    words: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Analogies:
    """Questions of the form "a is to b as c is to what?".

    Attributes
    ----------
    questions : numpy.ndarray of str, shape (n_questions, 4)
        The words a, b, c and the answer.
    sections : numpy.ndarray of str, shape (n_questions,)
        The relation each question is about, for instance ``"family"``.
    """

    questions: np.ndarray
    sections: np.ndarray


def wikipedia_text() -> Text:
    """Return the running words of 106 Wikipedia articles.

    Markup was removed and words were split by the rules of gensim's ``WikiCorpus``: lower case, 2
    to 15 letters, articles of fewer than 50 words left out.

    Returns
    -------
    Text

    Raises
    ------
    ValueError
        If the installed file is not the one this version of hblib was made with.

    Examples
    --------
    >>> text = wikipedia_text()
    >>> text.words[:3].tolist(), len(text.tokens)
    (['the', 'of', 'and'], 452944)
    """
    return numbered(line.split("\t")[1].split(" ") for line in _lines("wikipedia"))


def wikipedia_titles() -> list[str]:
    """Return the titles of the articles, in the order of `wikipedia_text`.

    Examples
    --------
    >>> wikipedia_titles()[:2]
    ['Anarchism', 'Autism']
    """
    return [line.split("\t")[0] for line in _lines("wikipedia")]


def analogies(lower: bool = True) -> Analogies:
    """Return the analogy questions of word2vec.

    Parameters
    ----------
    lower : bool, optional
        In lower case, as the words of most corpora here are.

    Returns
    -------
    Analogies

    Raises
    ------
    ValueError
        If the installed file is not the one this version of hblib was made with.

    Examples
    --------
    >>> asked = analogies()
    >>> asked.questions[0].tolist(), str(asked.sections[0]), len(asked.questions)
    (['athens', 'greece', 'baghdad', 'iraq'], 'capital-common-countries', 19544)
    """
    questions, sections = [], []
    for line in _lines("analogies"):
        if line.startswith(":"):
            section = line.removeprefix(":").strip()
        else:
            questions.append((line.lower() if lower else line).split())
            sections.append(section)
    return Analogies(np.array(questions), np.array(sections))


def wikipedia(n_words: int = 300, window: int = 5, weights: str = "uniform") -> Cooccurrence:
    """Count which words of 106 Wikipedia articles occur near each other.

    Two words co-occur when they are at most `window` positions apart in the running text of one
    article; words outside the vocabulary keep their positions but are not counted.

    Parameters
    ----------
    n_words : int, optional
        Size V of the vocabulary: the most frequent words.
    window : int, optional
        Largest distance counted, in words, to both sides; at most 1,000.
    weights : {"uniform", "harmonic"}, optional
        A pair at distance d counts 1 or, as in GloVe, 1 / d.

    Returns
    -------
    Cooccurrence
        ``matrix`` has the shape (V, V); its diagonal counts each pair of equal words from both
        sides. ``matrix.toarray()`` makes it dense.

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed.

    Examples
    --------
    >>> data = wikipedia(n_words=100, window=2)
    >>> data.matrix.shape, data.words[:2].tolist()
    ((100, 100), ['the', 'of'])
    """
    window = whole("window", window, most=1_000)
    choice("weights", weights, ("uniform", "harmonic"))
    text = wikipedia_text()
    n_words = whole("n_words", n_words, most=len(text.words))
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


def numbered(documents: Iterable[list[str]]) -> Text:
    """Turn lists of words into numbers; documents without words are left out."""
    index: dict[str, int] = {}
    chunks = []
    for words in documents:
        if words:
            found = (index.setdefault(word, len(index)) for word in words)
            chunks.append(np.fromiter(found, np.int32, len(words)))
    if not chunks:
        raise ValueError("documents must hold at least one word, got an empty corpus")
    tokens = np.concatenate(chunks)
    words = np.array(list(index))
    counts = np.bincount(tokens)
    order = np.lexsort((words, -counts))
    new = np.empty(len(order), np.int32)
    new[order] = np.arange(len(order))
    starts = np.cumsum([0] + [len(chunk) for chunk in chunks[:-1]])
    return Text(new[tokens], starts, words[order], counts[order])


def _lines(name: str) -> list[str]:
    """Lines of one of the files beside this one, compared with its registered SHA-256."""
    entry = SOURCES[name]
    path = Path(__file__).resolve().parents[1] / entry["file"]
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != entry["sha256"]:
        raise ValueError(
            f"{path} has the SHA-256 {found}, not the registered {entry['sha256']}: install hblib "
            "again"
        )
    return lzma.decompress(content).decode().rstrip("\n").split("\n")
