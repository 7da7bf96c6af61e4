"""The surplus of a direction: what it sees, and what can earn it nothing."""

import numpy as np
import pytest
from scipy import stats

from hblib import meaning, worlds

RNG = np.random.default_rng
LABEL = np.arange(300) % 10
HAS = LABEL[:, None] == np.arange(10)


def unknown(n=300):
    """Something known of each input that has nothing to do with the classes."""
    return RNG(9).random((n, 1))


def test_what_is_left_of_attributes_has_nothing_to_do_with_what_is_known():
    known = RNG(0).random((300, 2))
    R = meaning.unexplained(HAS, known)
    ranks = stats.rankdata(known, axis=0)
    for predictor in (np.ones((300, 1)), ranks, (ranks - ranks.mean(axis=0)) ** 2):
        assert np.abs(predictor.T @ R).max() < 1e-8 * np.abs(predictor).sum()


def test_it_is_the_regression_that_the_chapter_writes_out():
    known = RNG(0).random((300, 3))
    ranks = stats.zscore(stats.rankdata(known, axis=0))
    predictors = np.hstack([np.ones((300, 1)), ranks, ranks**2])
    by_hand = HAS - predictors @ np.linalg.lstsq(predictors, HAS.astype(float))[0]
    np.testing.assert_allclose(meaning.unexplained(HAS, known), by_hand, atol=1e-12)


def test_a_pure_unit_gets_its_class_and_all_but_the_base_rate():
    R = meaning.unexplained(HAS, unknown())
    found = meaning.surplus(HAS + 0.1 * RNG(1).random((300, 10)), R, 10)
    assert found.attribute.tolist() == list(range(10))
    assert found.score == pytest.approx(np.full(10, 0.9), abs=0.1)


def test_brightness_earns_no_name():
    brightness = RNG(2).random(300)
    has = np.stack([brightness > 0.66, brightness < 0.33], axis=1)
    along = brightness[:, None] + 0.05 * RNG(3).standard_normal((300, 40))
    known, ignored = (
        meaning.surplus(along, meaning.unexplained(has, known), 10).score.mean()
        for known in (brightness[:, None], unknown())
    )
    assert ignored > 0.6 > 0.25 > known


def test_random_activations_score_what_luck_gives():
    digits = worlds.digits()
    _, has = meaning.digit_attributes(digits.images, digits.labels)
    R = meaning.unexplained(has, digits.X.mean(axis=1, keepdims=True))
    luck = meaning.luck_of(R, 10, RNG(0), n_draws=2000)
    score = meaning.surplus(RNG(1).standard_normal((1797, 2000)), R, 10, luck).score
    assert abs(score.mean()) < 4 * score.std() / np.sqrt(1000)
    assert luck > 0.15  # of twenty attributes, one fits


def test_shuffling_the_attributes_takes_the_surplus_away():
    R = meaning.unexplained(HAS, unknown())
    luck = meaning.luck_of(R, 10, RNG(0), n_draws=2000)
    shuffled = [
        meaning.surplus(HAS + 0.1 * RNG(s).random(HAS.shape), RNG(s).permutation(R), 10, luck).score
        for s in range(30)
    ]
    assert abs(np.mean(shuffled)) < 0.03


def test_the_inputs_are_the_top_inputs_also_where_they_tie():
    R = meaning.unexplained(HAS, unknown())
    H = np.hstack([RNG(3).standard_normal((300, 5)), RNG(4).integers(0, 9, (300, 20))])
    found = meaning.surplus(H, R, 10, luck=0.1)
    shares = R[meaning.top_inputs(H, 10).indices].mean(axis=1)
    np.testing.assert_allclose(found.score, shares.max(axis=1) - 0.1, rtol=1e-12)
    assert found.attribute.tolist() == shares.argmax(axis=1).tolist()


def test_luck_is_the_best_share_of_sets_drawn_without_replacement():
    R = meaning.unexplained(HAS, unknown())
    draws = RNG(5).random((500, 300), dtype=np.float32)
    sets = np.argsort(draws, axis=1)[:, :10]
    assert meaning.luck_of(R, 10, RNG(5)) == pytest.approx(R[sets].mean(axis=1).max(axis=1).mean())


def test_a_silent_unit_has_no_score():
    H = np.zeros((300, 2))
    H[:9, 0] = np.arange(1, 10)
    H[:11, 1] = np.arange(1, 12)
    score = meaning.surplus(H, meaning.unexplained(HAS, unknown()), 10).score
    assert np.isnan(score).tolist() == [True, False]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: meaning.unexplained(HAS, np.ones((5, 1))), "one row per input, got 300 and 5"),
        (lambda: meaning.unexplained(HAS * 2.0, unknown()), "has must hold True and False"),
        (lambda: meaning.surplus(np.ones((5, 2)), HAS, 3), "activations and residuals must be"),
        (lambda: meaning.surplus(np.ones((300, 2)), HAS * 1.0, 0), "n_top must be"),
        (lambda: meaning.luck_of(HAS * 1.0, 301, 0), "n_top must be"),
        (lambda: meaning.luck_of(HAS * 1.0, 3, 0, n_draws=0), "n_draws must be"),
    ],
)
def test_bad_input_is_named(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
