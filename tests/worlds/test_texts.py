"""Text that comes with hblib is what gensim reads, and its neighbours are counted right."""


import numpy as np
import pytest

from hblib import worlds
from hblib.worlds import _texts


@pytest.fixture(scope="module")
def text():
    return worlds.wikipedia_text()


def test_the_text_is_what_wikicorpus_reads(text):
    """Figures of gensim's own class over the dump that is bundled with its tests."""
    WikiCorpus = pytest.importorskip("gensim.corpora").WikiCorpus
    dump = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
    path = pytest.importorskip("gensim.test.utils").datapath(dump)
    starts = np.append(text.starts, len(text.tokens))
    articles = [text.words[text.tokens[a:b]].tolist() for a, b in zip(starts, starts[1:])]
    assert articles == list(WikiCorpus(path, processes=1, dictionary={}).get_texts())
    assert (len(articles), len(text.tokens)) == (106, 452_944)


def test_words_are_ordered_by_frequency_then_alphabet(text):
    np.testing.assert_array_equal(np.bincount(text.tokens), text.counts)
    keys = [(-count, word) for count, word in zip(text.counts.tolist(), text.words.tolist())]
    assert keys == sorted(keys) and len(set(text.words)) == len(text.words) == 34_212


def test_every_article_has_its_title(text):
    titles = worlds.wikipedia_titles()
    assert len(titles) == len(text.starts) == len(set(titles))


@pytest.mark.parametrize("weights", ["uniform", "harmonic"])
@pytest.mark.parametrize("window", [1, 3, 20])
def test_cooccurrence_against_counting_by_hand(monkeypatch, window, weights):
    rng = np.random.default_rng(0)
    sentences = [rng.choice(list("aaaaabbbbccde"), size=n).tolist() for n in (12, 1, 30, 7)]
    monkeypatch.setattr(_texts, "wikipedia_text", lambda: _texts.numbered(sentences))
    found = worlds.wikipedia(n_words=3, window=window, weights=weights)
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
    found = worlds.wikipedia(n_words=300, window=5)
    M = found.matrix
    assert M.shape == (300, 300) and M.dtype == np.float64 and (M != M.T).nnz == 0
    np.testing.assert_array_equal(found.counts, text.counts[:300])
    # No word has more neighbours than ten for each time it occurs.
    assert (M.sum(axis=1) <= 10 * found.counts).all()
    # A smaller vocabulary gives the corner of the matrix of a larger one.
    corner = worlds.wikipedia(n_words=40, window=5).matrix
    np.testing.assert_array_equal(corner.toarray(), M[:40, :40].toarray())
    # "united" stands next to "states" more often than next to any other word of this vocabulary.
    words = found.words.tolist()
    row = worlds.wikipedia(n_words=300, window=1).matrix[[words.index("united")]].toarray()
    assert words[row.argmax()] == "states"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"n_words": 40_000}, "n_words must be a whole number from 1 to 34212, got 40000"),
        ({"window": 0}, "window must be a whole number from 1 to 1000, got 0"),
        ({"weights": "inverse"}, "weights must be one of 'uniform', 'harmonic', got 'inverse'"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        worlds.wikipedia(**options)
