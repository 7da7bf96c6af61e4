import doctest
import importlib.resources
import os

import numpy as np
import pytest
import scipy.optimize

from hblib.worlds import _data as data


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "_cache_folder", lambda: tmp_path)
    return tmp_path


def test_examples():
    assert doctest.testmod(data).failed == 0


# --- sources -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data.SOURCES)
def test_every_data_set_says_where_it_comes_from(name):
    assert callable(getattr(data, name))
    entry = data.describe(name)
    assert all(entry[key] for key in ("title", "size", "source", "licence"))
    entry["title"] = "changed"
    assert data.describe(name)["title"] != "changed"


@pytest.mark.parametrize("name", [n for n, entry in data.SOURCES.items() if "file" in entry])
def test_installed_files_are_the_registered_ones(name):
    assert data.checksum(name) == data.SOURCES[name]["sha256"]
    entry = data.SOURCES[name]
    assert data._installed_file(name).samefile(
        importlib.resources.files(entry["package"]) / entry["file"]
    )


def test_unknown_names():
    with pytest.raises(ValueError, match="name must be one of digits, wikipedia, synthetic, got"):
        data.describe("mnist")
    with pytest.raises(ValueError, match="read from a file, got 'synthetic'"):
        data.checksum("synthetic")


# --- digits --------------------------------------------------------------------------------------


def test_digits():
    scaled, raw = data.digits(), data.digits(scale=False)
    assert scaled.X.shape == (1797, 64) and scaled.X.dtype == np.float64
    assert scaled.X.min() == 0 and scaled.X.max() == 1
    np.testing.assert_array_equal(raw.X, 16 * scaled.X)
    np.testing.assert_array_equal(scaled.images.reshape(1797, 64), scaled.X)
    assert np.unique(scaled.labels).tolist() == list(range(10))


# --- Wikipedia -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text():
    return data.wikipedia_text()


def test_the_text_is_what_wikicorpus_reads(text):
    """Figures of gensim's own class over the same file, computed by its pool of processes."""
    from gensim.corpora import WikiCorpus

    starts = np.append(text.starts, len(text.tokens))
    articles = [text.words[text.tokens[a:b]].tolist() for a, b in zip(starts, starts[1:])]
    theirs = list(
        WikiCorpus(str(data._installed_file("wikipedia")), processes=1, dictionary={}).get_texts()
    )
    assert articles == theirs
    assert (len(articles), len(text.tokens)) == (106, 452_944)


def test_words_are_ordered_by_frequency_then_alphabet(text):
    np.testing.assert_array_equal(np.bincount(text.tokens), text.counts)
    keys = [(-count, word) for count, word in zip(text.counts.tolist(), text.words.tolist())]
    assert keys == sorted(keys) and len(set(text.words)) == len(text.words) == 34_212


def small_text(sentences):
    words, tokens = np.unique(sum(sentences, []), return_inverse=True)
    counts = np.bincount(tokens)
    order = np.argsort(-counts, kind="stable")
    starts = np.cumsum([0] + [len(s) for s in sentences[:-1]])
    return data.Text(
        np.argsort(order)[tokens].astype(np.int32), starts, words[order], counts[order]
    )


@pytest.mark.parametrize("weights", ["uniform", "harmonic"])
@pytest.mark.parametrize("window", [1, 3, 20])
def test_cooccurrence_against_counting_by_hand(monkeypatch, window, weights):
    rng = np.random.default_rng(0)
    sentences = [rng.choice(list("aaaaabbbbccde"), size=n).tolist() for n in (12, 1, 30, 7)]
    text = small_text(sentences)
    monkeypatch.setattr(data, "wikipedia_text", lambda: text)
    found = data.wikipedia(n_words=3, window=window, weights=weights)
    index = {word: i for i, word in enumerate(found.words.tolist())}
    expected = np.zeros((3, 3))
    for sentence in sentences:
        for i, one in enumerate(sentence):
            for j, other in enumerate(sentence):
                if 0 < abs(i - j) <= window and one in index and other in index:
                    weight = 1 if weights == "uniform" else 1 / abs(i - j)
                    expected[index[one], index[other]] += weight
    np.testing.assert_allclose(found.matrix.toarray(), expected, rtol=1e-12)


def test_cooccurrence_of_the_real_text(text):
    found = data.wikipedia(n_words=300, window=5)
    M = found.matrix
    assert M.shape == (300, 300) and M.dtype == np.float64 and (M != M.T).nnz == 0
    np.testing.assert_array_equal(found.counts, text.counts[:300])
    # No word has more neighbours than ten for each time it occurs.
    assert (M.sum(axis=1) <= 10 * found.counts).all()
    # A smaller vocabulary gives the corner of the matrix of a larger one.
    corner = data.wikipedia(n_words=40, window=5).matrix
    np.testing.assert_array_equal(corner.toarray(), M[:40, :40].toarray())
    # "united" stands next to "states" more often than next to any other word of this vocabulary.
    words = found.words.tolist()
    row = data.wikipedia(n_words=300, window=1).matrix[[words.index("united")]].toarray()
    assert words[row.argmax()] == "states"


def fake_parser(monkeypatch, result):
    calls = []

    def parse(dump):
        calls.append(dump)
        return result

    monkeypatch.setattr(data, "_parse_wikipedia", parse)
    return calls


def test_the_text_is_parsed_once(cache, monkeypatch, text):
    calls = fake_parser(monkeypatch, text)
    first, second = data.wikipedia_text(), data.wikipedia_text()
    assert len(calls) == 1
    for one, other in zip(vars(first).values(), vars(second).values()):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert [path.suffix for path in cache.iterdir()] == [".npz"]


def test_the_cache_is_keyed_by_the_file_it_was_made_from(cache, tmp_path, monkeypatch, text):
    calls = fake_parser(monkeypatch, text)
    data.wikipedia_text()
    other = tmp_path / "other.bz2"
    other.write_bytes(data._installed_file("wikipedia").read_bytes() + b"\0")
    monkeypatch.setattr(data, "_installed_file", lambda name: other)
    data.wikipedia_text()
    assert calls[1:] == [other]


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path, monkeypatch, text):
    obstacle = tmp_path / "a file, not a folder"
    obstacle.touch()
    monkeypatch.setattr(data, "_cache_folder", lambda: obstacle)
    calls = fake_parser(monkeypatch, text)
    assert data.wikipedia_text() is text and data.wikipedia_text() is text
    assert len(calls) == 2


def test_a_write_that_fails_leaves_nothing_behind(cache, monkeypatch, text):
    fake_parser(monkeypatch, text)

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    assert data.wikipedia_text() is text
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_words": 0}, "n_words must be an integer from 1 to 34,212, got 0"),
        ({"n_words": 40_000}, "n_words must be an integer from 1 to 34,212, got 40000"),
        ({"n_words": 10.0}, "n_words must be an integer from 1 to 34,212, got 10.0"),
        ({"window": 0}, "window must be an integer from 1 to 1,000, got 0"),
        ({"weights": "inverse"}, "weights must be 'uniform' or 'harmonic', got 'inverse'"),
    ],
)
def test_bad_cooccurrence_options(options, message):
    with pytest.raises(ValueError, match=message):
        data.wikipedia(**options)


# --- synthetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "binary", "counts"])
def test_synthetic_shapes_and_repeatability(kind):
    made = data.synthetic(60, 40, rank=5, rng=0, kind=kind, batch=3)
    assert made.matrix.shape == (3, 60, 40)
    assert made.A.shape == (3, 5, 60) and made.B.shape == (3, 5, 40)
    again = data.synthetic(60, 40, rank=5, rng=np.random.default_rng(0), kind=kind, batch=3)
    np.testing.assert_array_equal(made.matrix, again.matrix)
    assert np.abs(made.A[0] - made.A[1]).max() > 0.1
    assert data.synthetic(60, 40, rank=5, rng=0, kind=kind).matrix.shape == (60, 40)


@pytest.mark.parametrize("rank", [1, 5, 20])
def test_gaussian_truth_has_its_rank_and_unit_entries(rank):
    made = data.synthetic(60, 40, rank, rng=0, batch=50)
    assert (np.linalg.matrix_rank(made.matrix) == rank).all()
    assert made.matrix.std() == pytest.approx(1, abs=0.05)


def test_noise_has_the_size_asked_for():
    made = data.synthetic(60, 40, 5, rng=0, noise=0.3, batch=20)
    assert (made.matrix - made.A.mT @ made.B).std() == pytest.approx(0.3, rel=0.02)


LOSSES = {
    "binary": lambda x, m: np.logaddexp(0, x) - m * x,
    "counts": lambda x, m: np.exp(x) - m * x,
}


@pytest.mark.parametrize("kind", LOSSES)
def test_the_truth_is_the_parameter_of_the_draws(kind):
    """The slope of a regression of the draws on the true log-odds, or log-rates, is 1."""
    made = data.synthetic(200, 100, 5, rng=0, kind=kind, batch=5)
    X = made.A.mT @ made.B
    slope = scipy.optimize.minimize_scalar(lambda s: LOSSES[kind](s * X, made.matrix).mean()).x
    assert slope == pytest.approx(1, abs=0.03)
    assert (made.matrix == made.matrix.astype(int)).all() and made.matrix.min() == 0
    assert (made.matrix.max() == 1) == (kind == "binary")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_rows": 0}, "n_rows must be a positive integer, got 0"),
        ({"rank": 7}, "rank must be an integer from 1 to 6, got 7"),
        ({"noise": -0.1}, "noise must be a number >= 0, got -0.1"),
        ({"noise": np.nan}, "noise must be a number >= 0, got nan"),
        ({"kind": "poisson"}, "kind must be one of gaussian, binary, counts, got 'poisson'"),
        ({"batch": 0}, "batch must be a positive integer, got 0"),
    ],
)
def test_bad_synthetic_options(options, message):
    with pytest.raises(ValueError, match=message):
        data.synthetic(**{"n_rows": 8, "n_columns": 6, "rank": 2, "rng": 0} | options)
