"""Attributes measured on drawn shapes; agreement against the plain definition and its chance."""

import doctest
import math

import numpy as np
import pytest

from hblib.meaning import _attributes as attributes
from hblib.worlds import _data as data

RNG = np.random.default_rng


def bar(thickness=1, length=8, shear=0.0, size=16):
    """One picture of a bar of the given shear (shift to the right per pixel upwards)."""
    image = np.zeros((size, size))
    top = (size - length) // 2
    for row in range(top, top + length):
        left = round(size / 2 - thickness / 2 + shear * (size / 2 - row))
        image[row, left : left + thickness] = 1
    return image


def style(*images):
    return attributes.measurements(np.stack(images))


def test_examples_in_the_docstrings():
    assert doctest.testmod(attributes).failed == 0


def test_thicker_stroke_has_more_width_and_ink_in_proportion():
    found = style(*(bar(thickness, length=16) for thickness in (1, 2, 3)))
    assert np.all(np.diff(found["stroke width"]) > 0.6)
    assert found["ink"] * 16 == pytest.approx([1, 2, 3])


def test_slant_is_the_shear_and_changes_sign_in_the_mirror():
    upright, right = bar(length=14), bar(length=14, shear=0.5)
    found = style(upright, right, right[:, ::-1])
    assert found["slant"] == pytest.approx([0, 0.5, -0.5], abs=0.03)


def test_size_follows_the_shape_and_not_its_grey_value_or_place():
    small, large = bar(2, 4), bar(4, 12)
    found = style(small, large, large / 3, np.roll(large, (2, -3), axis=(0, 1)))
    for side in ("width", "height"):
        assert found[side][1] > found[side][0] * 1.5
        assert found[side][1:] == pytest.approx([found[side][1]] * 3)
    assert found["balance"][3] - found["balance"][1] == pytest.approx(-2)


def test_ink_has_an_outline_at_the_border_too():
    """A square that fills the picture: 2 x 36 of area over 4 x 6 of outline."""
    assert attributes.measurements(np.ones((1, 6, 6)))["stroke width"] == pytest.approx([3.0])


def test_a_single_dot_has_no_slant():
    dot = np.zeros((1, 8, 8))
    dot[0, 3, 3] = 1
    assert attributes.measurements(dot)["slant"] == [0]


@pytest.mark.parametrize(
    "images",
    [np.ones((8, 8)), np.zeros((2, 8, 8)), -np.ones((1, 8, 8)), np.full((1, 8, 8), np.nan)],
)
def test_bad_images_are_refused(images):
    with pytest.raises(ValueError, match="images must h"):
        attributes.measurements(images)


def test_every_digit_has_one_class_and_each_style_splits_in_thirds():
    digits = data.digits()
    names, has = attributes.digit_attributes(digits.images, digits.labels)
    assert np.all(has[:, :10].sum(axis=1) == 1)
    assert has[:, 10:].mean(axis=0) == pytest.approx(1 / 3, abs=0.03)
    for low, high in zip(range(10, len(names), 2), range(11, len(names), 2)):
        assert names[low].replace("low", "high") == names[high]
        assert not np.any(has[:, low] & has[:, high])
    with pytest.raises(ValueError, match="labels must have one class"):
        attributes.digit_attributes(digits.images, digits.labels[:-1])


def test_top_inputs_are_those_of_a_full_sort_in_any_batch():
    A = RNG(0).standard_normal((2, 3, 50, 4))
    top, determined = attributes.top_inputs(A, 7)
    np.testing.assert_array_equal(top, np.argsort(-A, axis=-2)[..., :7, :].swapaxes(-1, -2))
    assert top.shape == (2, 3, 4, 7) and determined.all()


def test_a_unit_silent_on_almost_every_input_is_not_determined():
    A = np.zeros((20, 3))
    A[:9, 0], A[:10, 1] = 1, 1
    assert attributes.top_inputs(A, 10)[1].tolist() == [False, True, False]


def test_a_silent_unit_is_never_in_agreement():
    has = np.arange(40)[:, None] < [10, 30]
    A = np.stack([has[:, 0], np.zeros(40), np.arange(40) == 0], axis=1).astype(float)
    # Ties would give the last two units the first inputs, which the first attribute has.
    assert attributes.share_in_agreement(A[:, :1], has, 10, level=1) == 1
    assert attributes.share_in_agreement(A, has, 10, level=-1) == pytest.approx(1 / 3)


@pytest.mark.parametrize("n_top", [0, 50, 51])
def test_a_bad_number_of_top_inputs_is_refused(n_top):
    with pytest.raises(ValueError, match="n_top"):
        attributes.top_inputs(np.ones((50, 2)), n_top)
    with pytest.raises(ValueError, match="not finite"):
        attributes.top_inputs(np.full((50, 2), np.nan), 3)


def test_agreement_is_the_hypergeometric_tail_by_its_definition():
    has = RNG(1).random((30, 3)) < [0.2, 0.5, 0.8]
    top = RNG(2).permutation(30)[:6]

    def tail(owners, count):
        ways = sum(
            math.comb(owners, i) * math.comb(30 - owners, 6 - i)
            for i in range(count, min(owners, 6) + 1)
        )
        return ways / math.comb(30, 6)

    tails = [tail(int(has[:, a].sum()), int(has[top, a].sum())) for a in range(3)]
    score, best = attributes.agreement(top, has)
    assert score == pytest.approx(-math.log10(min(tails)))
    assert best == int(np.argmin(tails))


def test_an_attribute_that_all_or_none_have_surprises_nobody():
    has = np.stack([np.ones(20, bool), np.zeros(20, bool)], axis=1)
    score, _ = attributes.agreement([[0, 1, 2]], has)
    assert score == pytest.approx(0)


def test_agreement_ignores_the_order_of_inputs_and_finds_the_planted_attribute():
    digits = data.digits()
    names, has = attributes.digit_attributes(digits.images, digits.labels)
    sevens = np.flatnonzero(digits.labels == 7)[:10]
    score, best = attributes.agreement(np.stack([sevens, sevens[::-1]]), has)
    assert score[0] == score[1] > 9 and names[best[0]] == "class 7"


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
def test_random_sets_exceed_the_chance_level_no_more_often_than_alpha(alpha):
    digits = data.digits()
    _, has = attributes.digit_attributes(digits.images, digits.labels)
    level = attributes.chance_level(has, 10, alpha, RNG(0))
    noise = RNG(1).standard_normal((1797, 4000))
    share = attributes.share_in_agreement(noise, has, 10, level)
    error = math.sqrt(alpha * (1 - alpha) / 4000)
    # Scores are discrete, so the level may be conservative, but not by an order of magnitude.
    assert alpha / 4 < share < alpha + 4 * error


def test_shuffling_the_attributes_destroys_agreement():
    digits = data.digits()
    _, has = attributes.digit_attributes(digits.images, digits.labels)
    level = attributes.chance_level(has, 10, 0.01, RNG(0))
    H = np.eye(10)[digits.labels] + 0.1 * RNG(1).random((1797, 10))
    assert attributes.share_in_agreement(H, has, 10, level) == 1
    shuffled = has[RNG(2).permutation(1797)]
    assert attributes.share_in_agreement(H, shuffled, 10, level) <= 0.1


@pytest.mark.parametrize("alpha, n_draws", [(0, 1000), (1, 1000), (0.001, 1000)])
def test_a_level_that_the_draws_cannot_give_is_refused(alpha, n_draws):
    with pytest.raises(ValueError, match="alpha must lie between"):
        attributes.chance_level(np.ones((20, 2), bool), 3, alpha, RNG(0), n_draws)
