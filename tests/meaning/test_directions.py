from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import meaning, rotation

seeds = st.integers(0, 2**32 - 1)


def planted(rng, n_words=400, n_groups=8, noise=0.3):
    """Words in groups; vectors with one axis a group; words of a group belong together."""
    group = np.arange(n_words) % n_groups
    X = np.eye(n_groups)[group] + noise * rng.normal(size=(n_words, n_groups))
    return X, (group[:, None] == group) * 2.0 - 1


# --- association ---------------------------------------------------------------------------------


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_npmi_against_its_definition(seed):
    rng = np.random.default_rng(seed)
    M = rng.poisson(0.7, (7, 7)).astype(float)
    M += M.T
    M[0, 1] = M[1, 0] = 3.0
    found = meaning.npmi(scipy.sparse.csr_array(M))
    p = M / M.sum()
    for i in range(7):
        for j in range(7):
            if p[i, j] == 0:
                assert found[i, j] == -1
            else:
                pmi = np.log(p[i, j] / (p[i].sum() * p[:, j].sum()))
                assert found[i, j] == pytest.approx(pmi / -np.log(p[i, j]), abs=1e-12)
    assert np.all(found <= 1 + 1e-12) and np.all(found >= -1 - 1e-12)


def test_npmi_of_independent_words_is_0():
    p = np.array([0.5, 0.3, 0.2])
    found = meaning.npmi(np.outer(p, p))
    np.testing.assert_allclose(found, 0, atol=1e-12)


def test_npmi_of_a_text_of_one_pair():
    M = scipy.sparse.csr_array(np.diag([2, 0]))
    found = meaning.npmi(SimpleNamespace(matrix=M))  # as the counts of a text carry it
    np.testing.assert_array_equal(found, [[1, -1], [-1, -1]])


# --- top words, coherence, intrusion -------------------------------------------------------------


def test_both_ends_of_all_directions_are_scored_the_upper_ends_first():
    A = np.array([[0.0, 1.0], [2.0, 1.0], [-3.0, 1.0], [1.0, 1.0]])
    S = np.arange(16.0).reshape(4, 4)
    # Top words 1 and 3, 0 and 1 (all equal), 2 and 0, 0 and 1 again.
    np.testing.assert_array_equal(meaning.coherence(A, S, 2), [S[1, 3], S[0, 1], S[2, 0], S[0, 1]])
    small = A.astype(np.int8)
    np.testing.assert_array_equal(meaning.coherence(small, S, 2), meaning.coherence(A, S, 2))


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_scores_do_not_depend_on_the_scale_or_shift_of_a_direction(seed):
    rng = np.random.default_rng(seed)
    A, S = rng.normal(size=(40, 3)), rng.normal(size=(40, 40))
    S += S.T
    B = A * rng.uniform(0.1, 10, 3) + rng.normal(size=3)
    np.testing.assert_array_equal(meaning.coherence(A, S), meaning.coherence(B, S))
    np.testing.assert_array_equal(
        meaning.intrusion(A, S, seed, n_draws=5), meaning.intrusion(B, S, seed, n_draws=5)
    )


def test_coherence_by_hand():
    S = np.zeros((6, 6))
    S[0, 1] = S[1, 0] = 0.6
    S[0, 2] = S[2, 0] = 0.3
    A = np.array([[5.0], [4.0], [3.0], [-1.0], [-2.0], [-3.0]])
    np.testing.assert_allclose(meaning.coherence(A, S, n_top=3), [0.3, 0.0])


@given(seeds)
@settings(deadline=None, max_examples=25)
def test_intrusion_against_a_game_played_word_by_word(seed):
    rng = np.random.default_rng(seed)
    n_words, n_top = 16, 3
    A = rng.normal(size=(n_words, 2))
    S = rng.integers(-2, 3, (n_words, n_words)).astype(float)  # few values: many ties
    S += S.T
    top = np.concatenate([meaning.top_inputs(sign * A, n_top).indices for sign in (1, -1)])
    halves = np.argsort(-np.concatenate([A, -A], 1).T, 1)[:, n_words // 2 :]
    expected = []
    for words, lower in zip(top, halves):
        games = []
        for intruder in lower:  # all of them: the result does not depend on the draw
            shown = [*words, intruder]
            fit = np.array([sum(S[a, b] for b in shown if b != a) for a in shown])
            worst = np.isclose(fit, fit.min())
            games.append(worst[-1] / worst.sum())
        expected.append(np.mean(games))
    found = meaning.intrusion(A, S, rng, n_top=n_top, n_draws=n_words // 2)
    np.testing.assert_allclose(found, expected)


def test_intrusion_is_a_guess_where_nothing_is_associated():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(100, 4))
    np.testing.assert_allclose(meaning.intrusion(A, np.zeros((100, 100)), rng), 1 / 6)
    S = rng.normal(size=(400, 400))
    found = meaning.intrusion(rng.normal(size=(400, 300)), S + S.T, rng)
    assert abs(found.mean() - 1 / 6) < 0.02


def test_planted_units_win_and_rotated_ones_do_not():
    rng = np.random.default_rng(1)
    X, S = planted(rng)
    Q = rotation.haar(8, rng, size=30).reshape(-1, 8)
    for score in (
        lambda A: meaning.coherence(A, S),
        lambda A: meaning.intrusion(A, S, rng),
    ):
        # The upper end of a planted axis is a group; the lower end is nothing in particular.
        assert meaning.superiority(score(X)[:8], score(X @ Q.T)) > 0.75
        U = rotation.haar(8, rng, size=20)
        rotated = np.concatenate([score(X @ u.T) for u in U])
        assert abs(meaning.superiority(rotated, score(X @ Q.T)) - 0.5) < 0.05


def test_shuffled_words_leave_nothing():
    rng = np.random.default_rng(2)
    X, S = planted(rng)
    X = X[rng.permutation(len(X))]
    assert abs(meaning.coherence(X, S).mean() - S[np.triu_indices(400, 1)].mean()) < 0.1


@given(st.lists(st.integers(0, 5), min_size=1), st.lists(st.integers(0, 5), min_size=1))
def test_superiority_is_mann_whitney(a, b):
    import scipy.stats

    found = meaning.superiority(a, b)
    assert found == pytest.approx(scipy.stats.mannwhitneyu(a, b).statistic / (len(a) * len(b)))
    assert meaning.superiority(b, a) == pytest.approx(1 - found)


# --- axes ----------------------------------------------------------------------------------------


@given(seeds, st.integers(2, 6))
@settings(deadline=None, max_examples=25)
def test_whitening_whitens_and_commutes_with_rotations(seed, k):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(40, k)) @ rng.normal(size=(k, k)) + rng.normal(size=k)
    Z, U = meaning.whiten(X), rotation.haar(k, rng)
    np.testing.assert_allclose(np.cov(Z.T, bias=True), np.eye(k), atol=1e-6)
    np.testing.assert_allclose(meaning.whiten(X @ U.T), Z @ U.T, atol=1e-6)


def test_whitening_refuses_a_flat_cloud():
    with pytest.raises(ValueError, match="full rank"):
        meaning.whiten(np.outer(np.arange(10.0), [1, 2]))


@given(seeds)
@settings(deadline=None, max_examples=10)
def test_statistics_take_batches_and_do_not_mind_signed_permutations(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(3, 20, 5))
    P = rotation.signed_permutation(5, rng)
    for statistic in meaning.AXIS_STATISTICS.values():
        values = statistic(X)
        np.testing.assert_allclose(values, [statistic(x) for x in X])
        np.testing.assert_allclose(statistic(X @ P.T), values)


def test_unit_kurtosis_is_the_mean_of_that_of_the_units():
    X = np.random.default_rng(0).laplace(size=(50, 4))
    assert meaning.unit_kurtosis(X) == pytest.approx(rotation.kurtosis(X).mean())


def test_word_kurtosis_of_directions_spread_evenly():
    X = np.random.default_rng(0).normal(size=(20_000, 10))
    assert meaning.word_kurtosis(X) == pytest.approx(-6 / 12, abs=0.02)


def test_extremes_of_the_statistics():
    corner, axis = np.ones((5, 9)), np.tile(np.eye(9)[2], (5, 1))
    assert meaning.mean_peak(corner) == pytest.approx(1)
    assert meaning.mean_peak(axis) == pytest.approx(3)
    assert meaning.word_l1(corner) == pytest.approx(1)
    assert meaning.word_l1(axis) == pytest.approx(1 / 3)
    assert meaning.word_kurtosis(axis) == pytest.approx(6)


def test_the_haar_test_is_exact_under_its_null():
    rng = np.random.default_rng(3)
    # A cloud that is anything but round, turned at random: its law knows no axes.
    shape = rng.laplace(size=(60, 4)) ** 3
    p = np.array(
        [
            meaning.haar_test(shape @ rotation.haar(4, rng).T, rng, n_rotations=39)["p"]
            for _ in range(400)
        ]
    )
    for column in p.T:
        for level in (0.05, 0.1, 0.2, 0.5):
            share = np.mean(column <= level + 1e-12)
            assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / len(p))


@pytest.mark.parametrize("plant", ["cube", "stretched axis", "sparse", "corner"])
def test_the_haar_test_finds_what_is_planted(plant):
    rng = np.random.default_rng(4)
    X = rng.normal(size=(300, 8))
    X, names = {
        "cube": (rng.uniform(-1, 1, (300, 8)), {"kurtosis of a word", "kurtosis of a unit"}),
        "stretched axis": (X * [5, 1, 1, 1, 1, 1, 1, 1], {"L1 / L2 of a word"}),
        "sparse": (rng.laplace(size=(300, 8)) ** 3, {"kurtosis of a unit", "L1 / L2 of a word"}),
        "corner": (X + 1, {"peak of the mean vector"}),
    }[plant]
    found = meaning.haar_test(X, rng)
    assert names <= set(found.index[found["p_holm"] <= 0.05])
    rotated = meaning.haar_test(X @ rotation.haar(8, rng).T, rng)
    assert (rotated["p_holm"] > 0.05).all()


def test_the_haar_test_takes_large_clouds():
    X = np.random.default_rng(0).normal(size=(200_000, 2))
    assert meaning.haar_test(X, 0, n_rotations=19)["p"].between(0.05, 1).all()


def test_the_haar_test_is_repeatable_and_its_smallest_p_is_that_of_the_rank():
    X = np.random.default_rng(0).uniform(-1, 1, (200, 6))
    one, two = (meaning.haar_test(X, 7, n_rotations=99) for _ in range(2))
    assert one.equals(two)
    assert one["p"].min() == 2 / 100


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_against_its_definition(p):
    p = np.array(p)
    found = meaning.holm(p)
    for level in (0.01, 0.05, 0.3):
        rejected = np.zeros(len(p), bool)
        for step, i in enumerate(np.argsort(p, kind="stable")):
            if p[i] * (len(p) - step) > level:
                break
            rejected[i] = True
        np.testing.assert_array_equal(found <= level, rejected)


# --- two trainings -------------------------------------------------------------------------------


def test_alignment_finds_a_rotation_on_words_it_was_not_fitted_to():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(200, 6))
    Y = (X + 0.1 * rng.normal(size=X.shape)) @ rotation.haar(6, rng).T + 3.0
    fitted = rng.permutation(200) < 100
    before, after = meaning.alignment_cosines(X, Y, fitted)
    assert abs(before) < 0.4 and after > 0.95
    assert abs(meaning.alignment_cosines(X, rng.permutation(Y), fitted)[1]) < 0.2
    # Of 20 dimensions and 60 words, a rotation can be fitted to chance.
    X, Y = rng.normal(size=(2, 60, 20))
    assert abs(meaning.alignment_cosines(X, Y, np.arange(60) < 30)[1]) < 0.2


# --- bad input -----------------------------------------------------------------------------------

A, S = np.arange(20.0).reshape(10, 2), np.eye(10)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: meaning.coherence(A, np.eye(9), 3), r"association must .*\(9, 9\)"),
        (lambda: meaning.coherence(A, S, 1), "n_top must be a whole number from 2 to 5, got 1"),
        (lambda: meaning.coherence(A, S, 6), "n_top .* got 6"),
        (lambda: meaning.intrusion(A, S, 0, 3, 0), "n_draws .* from 1 to 5, got 0"),
        (lambda: meaning.intrusion(A, S, 0, 3, 6), "n_draws .* got 6"),
        (lambda: meaning.superiority([np.nan], [1]), "must not contain NaN"),
        (lambda: meaning.npmi([[0, -1], [-1, 0]]), "counts must be numbers of at least 0"),
        (lambda: meaning.npmi(np.zeros((3, 3))), "not all 0"),
        (lambda: meaning.word_l1(A[0]), r"\(..., n_words, n_dims\) .* got \(2,\)"),
        (lambda: meaning.haar_test(np.stack([A, A]), 0), r"got \(2, 10, 2\)"),
        (lambda: meaning.haar_test(A, 0, 10), "n_rotations .* at least 19, got 10"),
        (lambda: meaning.holm([0.5, 1.5]), "from 0 to 1"),
        (lambda: meaning.alignment_cosines(A, A[:5], np.arange(10) < 5), "same shape"),
        (lambda: meaning.alignment_cosines(A, A, np.arange(9) < 5), "fitted"),
        (lambda: meaning.alignment_cosines(A, A, np.ones(10, bool)), "some True and some False"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_statistics_are_refused_where_they_are_not_defined():
    """NaN would count as smaller than no copy and so pass for marked axes."""
    X = np.random.default_rng(0).normal(size=(30, 3))
    silent, empty = X * [1, 0, 1], X * (np.arange(30) > 0)[:, None]
    with pytest.raises(ValueError, match="units of variance 0"):
        meaning.unit_kurtosis(silent)
    for statistic in (meaning.word_l1, meaning.word_kurtosis):
        with pytest.raises(ValueError, match="words of length 0"):
            statistic(empty)
    with pytest.raises(ValueError, match="mean vector of length 0"):
        meaning.mean_peak(np.concatenate([X, -X])[[0, 30]])
    with pytest.raises(ValueError, match="units of variance 0"):
        meaning.haar_test(silent, 0, 19)


def test_vectors_may_be_tensors_of_any_width():
    import torch

    X = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)).to(torch.bfloat16)
    plain = X.float().numpy().astype(float)
    for found, expected in (
        (meaning.whiten(X.requires_grad_()), meaning.whiten(plain)),
        (meaning.word_kurtosis(X), meaning.word_kurtosis(plain)),
        (meaning.haar_test(X, 1, 19)["value"], meaning.haar_test(plain, 1, 19)["value"]),
        (meaning.coherence(X, torch.eye(40)), meaning.coherence(plain, np.eye(40))),
        (meaning.superiority(X[:, 0], [0]), meaning.superiority(plain[:, 0], [0])),
    ):
        np.testing.assert_array_equal(found, expected)


def test_the_scores_find_words_that_occur_together():
    """Two texts of four words each: within a window of three all words of a text meet."""
    M = np.kron(np.eye(2), 1 - np.eye(4))
    S = meaning.npmi(M)
    A = np.repeat([1.0, 0.0], 4)[:, None]
    assert meaning.coherence(A, S, n_top=4).min() > 0
    np.testing.assert_allclose(meaning.intrusion(A, S, 0, n_top=4, n_draws=4), 1)
