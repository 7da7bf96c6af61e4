"""The judge that is no frequency meter: what it takes away, and what it must not."""

import numpy as np
import pytest

from hblib import meaning, words


@pytest.fixture(scope="module")
def counts():
    return words.cooccurrence(words.restrict(words.load_text("wikipedia"), 600))


def test_shared_company_against_its_definition():
    rng = np.random.default_rng(0)
    M = rng.poisson(0.8, (9, 9)).astype(float)
    M += M.T
    p = M / M.sum()
    rows = np.zeros_like(p)
    for i in range(9):
        for j in range(9):
            if p[i, j]:
                rows[i, j] = max(np.log(p[i, j] / (p[i].sum() * p[:, j].sum())), 0)
    length = np.linalg.norm(rows, axis=1)
    expected = rows @ rows.T / np.outer(length, length)
    np.testing.assert_allclose(meaning.shared_company(M), expected, atol=1e-12)


def test_a_word_without_company_has_nothing_in_common():
    S = meaning.shared_company(np.diag([0.0, 2.0, 3.0]))
    assert not S[0].any() and S[1, 1] == pytest.approx(1)


def test_random_sets_score_nothing_whatever_their_frequencies(counts):
    raw = meaning.npmi(counts)
    judge = meaning.frequency_corrected(meaning.shared_company(counts), counts.counts)
    assert not np.diagonal(judge).any()
    rng = np.random.default_rng(1)
    ten = rng.permuted(np.tile(np.arange(100), (400, 1)), axis=1)[:, :10]
    common, rare = ten, 500 + ten

    def scores(S, sets):
        i, j = np.triu_indices(10, 1)
        return S[sets[:, i], sets[:, j]].mean()

    assert scores(raw, common) > scores(raw, rare) + 0.3  # what is to be taken away
    assert abs(scores(judge, common)) < 0.05 and abs(scores(judge, rare)) < 0.05


def test_words_of_one_kind_score_high(counts):
    judge = meaning.frequency_corrected(meaning.shared_company(counts), counts.counts)
    kinds = ["one two three four five six", "north south east west", "war army battle forces"]
    for kind in kinds:
        rows = [list(counts.words).index(word) for word in kind.split() if word in counts.words]
        i, j = np.triu_indices(len(rows), 1)
        assert judge[np.array(rows)[i], np.array(rows)[j]].mean() > 1


def test_the_more_of_a_topic_is_planted_the_more_of_it_is_on_top():
    noise = np.random.default_rng(2).normal(size=(500, 40))
    members = np.arange(500) % 25 == 0
    hits = []
    for strength in (0, 0.1, 0.5, 1):
        mixed = meaning.plant_topic(noise, members, strength)
        hits.append(members[meaning.top_inputs(mixed, 10).indices].mean())
    assert hits[0] < 0.1 and hits == sorted(hits) and hits[-1] == 1
    alone = meaning.plant_topic(noise, members, 0)
    np.testing.assert_allclose(alone.std(axis=0), 1)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: meaning.frequency_corrected(np.eye(8), np.ones(9)), r"association .*\(9, 9\)"),
        (lambda: meaning.frequency_corrected(np.eye(8), np.ones(8), 3), "n_bands .* from 1 to 2"),
        (lambda: meaning.plant_topic(np.eye(4), np.zeros(4, bool), 0.5), "members must be one"),
        (lambda: meaning.plant_topic(np.eye(4), np.arange(4) < 2, 1.5), "strength .* at most 1"),
        (lambda: meaning.plant_topic(np.ones((4, 2)), np.arange(4) < 2, 0.5), "does not vary"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
