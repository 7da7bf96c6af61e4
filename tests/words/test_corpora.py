import itertools
import subprocess
import sys
import unicodedata
import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import words, worlds
from hblib.words import _corpora

word = st.text("abc", min_size=1, max_size=2)
documents = st.lists(st.lists(word, max_size=9), max_size=6).filter(
    lambda docs: len({word for doc in docs for word in doc}) > 1
)


def lists(text):
    """A text as lists of words."""
    ends = np.append(text.starts[1:], len(text.tokens))
    return [text.words[text.tokens[a:b]].tolist() for a, b in zip(text.starts, ends)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(_corpora, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


# --- encoding, choosing, shuffling ---------------------------------------------------------------


@given(documents)
@settings(deadline=None)
def test_encoding_keeps_the_words_and_sorts_the_vocabulary(docs):
    text = words.encode(docs)
    assert lists(text) == [doc for doc in docs if doc]
    assert text.counts.tolist() == np.bincount(text.tokens).tolist()
    order = sorted(zip(-text.counts, text.words.tolist()))
    assert [word for _, word in order] == text.words.tolist()


def test_words_of_a_string():
    text = words.encode(["Naïve x_1 fish2fowl, a " + "z" * 16])
    assert lists(text) == [["naïve", "fish", "fowl"]]


@pytest.mark.parametrize(
    "string, expected",
    [
        ("cafe\u0301 au lait", ["café", "au", "lait"]),  # e and a combining accent: one letter
        ("हिन्दी में लिखा", ["हिन्दी", "में", "लिखा"]),  # vowel signs are marks
        ("שָׁלוֹם", ["שָׁלוֹם"]),
        ("நன்றி!", ["நன்றி"]),
        ("İstanbul", ["i\u0307stanbul"]),
        ("a\u0301 o\u0302", []),  # still words of one letter
        ("\u0301 \u0301go", ["go"]),  # marks without a letter
    ],
)
def test_letters_keep_their_accents_and_vowel_signs(string, expected):
    text = words.encode([string, "two words"])
    assert [word for word in lists(text)[0] if word not in ("two", "words")] == [
        unicodedata.normalize("NFC", word) for word in expected
    ]


def test_documents_are_texts_or_lists_of_words():
    docs = [["one", "two words"], ["one"]]
    expected = lists(words.encode(docs))
    as_arrays = [np.array(doc) for doc in docs]
    for same in (as_arrays, iter(docs), tuple(map(tuple, docs)), pd.Series(docs)):
        assert lists(words.encode(same)) == expected
    for one in ("one two", b"one two", {"one": "two"}, pd.DataFrame({"one": ["two"]})):
        with pytest.raises(ValueError, match="must be a list of texts .*, got one"):
            words.encode(one)
    with pytest.raises(ValueError, match=r"documents\[1\] is nan"):
        words.encode(["one", float("nan")])
    with pytest.raises(ValueError, match=r"documents\[0\] is b'one'"):
        words.encode([b"one"])
    with pytest.raises(ValueError, match=r"documents\[1\] has the word nan"):
        words.encode([["one"], ["two", float("nan")]])
    with pytest.raises(ValueError, match=r"has the word \['one'\]"):
        words.encode([[["one"]]])


@given(documents, st.integers(2, 6), st.integers(1, 3))
@settings(deadline=None)
def test_restriction_drops_words_and_closes_gaps(docs, n_words, min_count):
    text = words.encode(docs)
    kept = {w for w, n in zip(text.words[:n_words], text.counts) if n >= min_count}
    if len(kept) < 2:
        with pytest.raises(ValueError, match="at least 2 words, got"):
            words.restrict(text, n_words, min_count)
        return
    small = words.restrict(text, n_words, min_count)
    expected = [[w for w in doc if w in kept] for doc in docs]
    assert lists(small) == [doc for doc in expected if doc]
    assert small.counts.tolist() == np.bincount(small.tokens).tolist()


@given(documents, st.integers(0, 100))
@settings(deadline=None)
def test_shuffling_moves_whole_documents(docs, seed):
    text = words.encode(docs)
    assert sorted(lists(words.shuffled(text, seed))) == sorted(lists(text))
    mixed = words.scrambled(text, seed)
    assert sorted(mixed.tokens) == sorted(text.tokens)
    assert mixed.starts.tolist() == text.starts.tolist()


def test_subsampling_keeps_as_many_as_the_formula_says():
    rng = np.random.default_rng(0)
    tokens = rng.choice(4, 40_000, p=[0.7, 0.2, 0.09, 0.01]).astype(np.int32)
    text = words.Text(tokens, np.arange(0, 40_000, 10), np.array(list("abcd")), np.bincount(tokens))
    keep = words.keep_probability(text.counts, 0.02)
    f = text.counts / len(tokens)
    np.testing.assert_allclose(keep, np.minimum(1, (np.sqrt(f / 0.02) + 1) * 0.02 / f))
    seen = words.subsample(text, 1, 0.02)
    error = np.abs(seen.counts / text.counts - keep)
    assert (error <= 4 * np.sqrt(keep * (1 - keep) / text.counts)).all()
    assert len(seen.tokens) == seen.counts.sum()
    assert seen.words.tolist() == text.words.tolist()


# --- co-occurrence -------------------------------------------------------------------------------


@given(documents, st.integers(1, 5), st.sampled_from(list(words.WINDOW_WEIGHTS)))
@settings(deadline=None)
def test_cooccurrence_is_a_sum_over_pairs(docs, window, weights):
    text = words.encode(docs)
    counts = words.cooccurrence(text, window, weights)
    index = {word: i for i, word in enumerate(text.words)}
    expected = np.zeros((len(index),) * 2)
    for doc in docs:
        for (i, one), (j, other) in itertools.permutations(enumerate(doc), 2):
            d = abs(i - j)
            weight = {"uniform": 1, "harmonic": 1 / d, "expected": (window - d + 1) / window}
            expected[index[one], index[other]] += weight[weights] * (d <= window)
    np.testing.assert_allclose(counts.matrix.toarray(), expected, atol=1e-12)
    assert (counts.matrix.data > 0).all() and counts.matrix.has_canonical_format


def test_cooccurrence_agrees_with_the_book_s_counts_of_wikipedia():
    """Where every word is in the vocabulary the two do the same."""
    text = worlds.wikipedia_text()
    theirs = worlds.wikipedia(n_words=len(text.words), window=3, weights="harmonic")
    ours = words.cooccurrence(text, window=3)
    assert abs(ours.matrix - theirs.matrix).max() < 1e-9


# --- sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", words.CORPORA)
def test_every_corpus_says_where_it_comes_from(name):
    assert all(words.CORPORA[name][key] for key in ("title", "size", "source", "licence"))


def test_docstrings_of_a_file():
    source = b'''"""Of the module."""
def f():
    """
    Of f.

        Indented.
    """
    def inner(): "Of inner."
    x = "not one"
class A:
    "Of A."
    async def g(self): "Of g."
if True:
    def h(): "Of h."
add_newdoc("m", "f", """In C.""")
add_docstr(f, r"""In {C} too.""".format(**common))
"""Not one either."""
'''
    found = list(_corpora._docstrings_of(source))
    expected = "Of the module.|Of f.\n\n    Indented.|Of inner.|Of A.|Of g.|Of h.|In C.|In {C} too."
    assert sorted(found) == sorted(expected.split("|"))
    assert list(_corpora._docstrings_of(b"type for another Python [")) == []


def test_the_corpus_of_docstrings_is_made_once(cache, monkeypatch):
    monkeypatch.setattr(_corpora, "_PACKAGES", ("sklearn",))
    text = words.load_text("docstrings")
    assert {"estimator", "fit", "array"} <= set(text.words)
    assert len({tuple(doc) for doc in lists(text)}) > 0.97 * len(text.starts)
    assert [path.suffix for path in cache.iterdir()] == [".npz"]
    monkeypatch.setattr(_corpora, "_docstrings", lambda: pytest.fail("read again"))
    again = words.load_text("docstrings")
    np.testing.assert_array_equal(again.tokens, text.tokens)
    np.testing.assert_array_equal(again.words, text.words)


def test_wikipedia_is_the_book_s():
    assert len(words.load_text("wikipedia").tokens) == 452_944


def test_analogies_are_the_file_in_gensim_s_tests():
    datapath = pytest.importorskip("gensim.test.utils").datapath
    with open(datapath("questions-words.txt"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    expected = [line.split() for line in lines if not line.startswith(":")]
    assert words.analogies(lower=False).questions.tolist() == expected
    asked = words.analogies()
    assert asked.questions.tolist() == [[w.lower() for w in line] for line in expected]
    sections = [line[2:] for line in lines if line.startswith(":")]
    assert list(dict.fromkeys(asked.sections.tolist())) == sections


def test_a_file_that_was_changed_is_refused(tmp_path, monkeypatch):
    entry = worlds._texts.SOURCES["wikipedia"]
    monkeypatch.setitem(worlds._texts.SOURCES, "wikipedia", entry | {"sha256": "0" * 64})
    with pytest.raises(ValueError, match="has the SHA-256 268f.*install hblib again"):
        words.load_text("wikipedia")


def test_nothing_needs_gensim():
    program = """
import sys
sys.modules["gensim"] = None  # as if it were not installed
from hblib import words
text = words.load_text("wikipedia")
vectors = words.initial_vectors("glove", text.words[:9], 4, 0)
assert words.analogies().questions.shape == (19544, 4)
try:
    vectors.keyed_vectors()
except ImportError as error:
    assert str(error) == "keyed_vectors needs gensim: pip install gensim"
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_text_file(tmp_path):
    path = tmp_path / "two.txt"
    path.write_text("One two.\n\nTwo three\n", encoding="utf-8")
    for name in (path, str(path)):
        assert lists(words.load_text(name)) == [["one", "two"], ["two", "three"]]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "is an empty corpus"),
        (b"1 2 3\n", "is an empty corpus"),
        (b"\x89PNG\r\n\x1a\n\x00", "is not a UTF-8 text file"),
        (b"words\x00words", "is not a UTF-8 text file"),
        ("größe".encode("latin-1"), "is not a UTF-8 text file"),
    ],
)
def test_files_that_are_no_corpus(tmp_path, content, message):
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        words.load_text(path)


def test_all_that_the_packages_carry_is_both_corpora(cache, monkeypatch):
    monkeypatch.setattr(_corpora, "_PACKAGES", ("sklearn",))
    both = words.load_text("packages")
    parts = words.load_text("wikipedia"), words.load_text("docstrings")
    documents = lists(parts[0]) + lists(words.shuffled(parts[1], 0))
    assert lists(both) == documents
    again = words.encode(documents)
    for name in ("tokens", "starts", "words", "counts"):
        np.testing.assert_array_equal(getattr(both, name), getattr(again, name))


def test_names_that_are_no_corpus(tmp_path):
    with pytest.raises(ValueError, match="one of wikipedia, .*packages, text8 or the path"):
        words.load_text("brown")
    with pytest.raises(ValueError, match="there is no"):
        words.load_text(tmp_path / "missing.txt")


def test_text8_without_a_network(cache, monkeypatch):
    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(ConnectionError, match="no route to host.*wikipedia.*need none"):
        words.load_text("text8")
    assert not cache.exists()


def test_text8_with_other_content(cache, monkeypatch, tmp_path):
    other = tmp_path / "other"
    other.write_bytes(b"another file")
    monkeypatch.setattr(urllib.request, "urlopen", lambda *args, **kwargs: other.open("rb"))
    with pytest.raises(ConnectionError, match="has the SHA-256"):
        words.load_text("text8")
    assert not cache.exists()


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda text: words.encode([]), "empty corpus"),
        (lambda text: words.encode(["", "1 2"]), "empty corpus"),
        (lambda text: words.restrict(text, n_words=1), "n_words must be .* at least 2, got 1"),
        (lambda text: words.restrict(text, min_count=9), "at least 2 words, got 0"),
        (lambda text: words.subsample(text, 0, threshold=0), "threshold must be above 0, got 0"),
        (lambda text: words.cooccurrence(words.encode(["one one"])), "at least 2 words, got 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call(words.encode(["one two three one"]))
