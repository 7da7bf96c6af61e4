"""Top inputs, attributes measured on drawn shapes, enrichment and its chance level."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import meaning, worlds

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
    table = meaning.measure_digits(np.stack(images))
    return {name: table[name].to_numpy() for name in table}


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
    assert style(np.ones((6, 6)))["stroke width"] == pytest.approx([3.0])


def test_a_single_dot_has_no_slant():
    dot = np.zeros((8, 8))
    dot[3, 3] = 1
    assert style(dot)["slant"] == [0]


@pytest.mark.parametrize(
    "images",
    [np.ones((8, 8)), np.zeros((2, 8, 8)), -np.ones((1, 8, 8))],
)
def test_bad_images_are_refused(images):
    with pytest.raises(ValueError, match="images must h"):
        meaning.measure_digits(images)


def test_every_digit_has_one_class_and_each_style_splits_in_thirds():
    import torch

    digits = worlds.digits()
    names, has = meaning.digit_attributes(digits.images, digits.labels)
    assert np.all(has[:, :10].sum(axis=1) == 1)
    assert has[:, 10:].mean(axis=0) == pytest.approx(1 / 3, abs=0.03)
    for low, high in zip(range(10, len(names), 2), range(11, len(names), 2)):
        assert names[low].replace("low", "high") == names[high]
        assert not np.any(has[:, low] & has[:, high])
    with pytest.raises(ValueError, match="labels must have one class"):
        meaning.digit_attributes(digits.images, digits.labels[:-1])
    again = meaning.digit_attributes(
        (digits.images * 16).astype(np.uint8), torch.tensor(digits.labels).to(torch.uint8)
    )
    # Sixteen is a power of two, so nothing but the grey value changes.
    assert again[0] == names and np.array_equal(again[1], has)


def test_attributes_of_a_table():
    factors = pd.DataFrame({"x": np.arange(9.0), "yes": np.arange(9) % 2 == 0})
    names, has = meaning.attribute_table(factors)
    assert names == ["low x", "high x", "yes"]
    assert has.sum(axis=0).tolist() == [3, 3, 5]
    assert has[:3, 0].all() and has[6:, 1].all()
    with pytest.raises(ValueError, match="column 'x' of factors has 1 of 9"):
        meaning.attribute_table(factors.replace({"x": {4.0: np.nan}}))
    with pytest.raises(ValueError, match="must be a pandas.DataFrame"):
        meaning.attribute_table(np.ones((3, 2)))


def test_top_inputs_are_those_of_a_full_sort_in_any_batch():
    A = RNG(0).standard_normal((2, 3, 50, 4))
    top, determined = meaning.top_inputs(A, n_top=7)
    np.testing.assert_array_equal(top, np.argsort(-A, axis=-2)[..., :7, :].swapaxes(-1, -2))
    assert top.shape == (2, 3, 4, 7) and determined.all()


@given(st.integers(0, 10**6), st.integers(1, 30), st.sampled_from([2, 5, 1000]))
@settings(deadline=None, max_examples=60)
def test_of_equal_inputs_the_first_rows_are_taken(seed, n_top, n_values):
    """As by a stable sort, however many are equal; a silent unit is a special case."""
    A = RNG(seed).integers(-n_values, n_values, (30, 6)).clip(0).astype(np.float32)
    top, determined = meaning.top_inputs(A, n_top)
    expected = np.argsort(-A, axis=0, kind="stable")[:n_top].T
    np.testing.assert_array_equal(top, expected)
    last = np.take_along_axis(A.T, expected, axis=1)[:, -1]
    np.testing.assert_array_equal(determined, last > A.min(axis=0))


def test_the_order_is_that_of_the_numbers_whatever_their_type():
    column = np.array([[5], [200], [3], [0], [0], [0]])
    for kind in (np.uint8, np.int16, np.float16, ">f4", np.longdouble):
        top, determined = meaning.top_inputs(column.astype(kind), 4)
        assert top.tolist() == [[1, 0, 2, 3]] and not determined
    assert meaning.top_inputs(column > 3, 2).indices.tolist() == [[0, 1]]
    assert meaning.top_inputs(np.int8([[-128], [0], [127]]), 3).indices.tolist() == [[2, 1, 0]]


def test_activations_may_be_tensors_frames_and_views():
    import torch

    A = RNG(3).standard_normal((40, 6)).astype(np.float32)
    expected = meaning.top_inputs(A, 5).indices
    frozen = A.copy()
    frozen.setflags(write=False)
    for B in (torch.tensor(A, requires_grad=True), pd.DataFrame(A), frozen, A[::-1][::-1]):
        np.testing.assert_array_equal(meaning.top_inputs(B, 5).indices, expected)
    coarse = torch.tensor(A).to(torch.bfloat16).requires_grad_()
    np.testing.assert_array_equal(
        meaning.top_inputs(coarse, 5).indices,
        meaning.top_inputs(coarse.detach().float().numpy(), 5).indices,
    )


def test_no_direction_has_no_top_inputs():
    top, determined = meaning.top_inputs(np.empty((20, 0)), 4)
    assert top.shape == (0, 4) and determined.shape == (0,)
    assert meaning.enrichment(top, np.arange(20)[:, None] < 5).score.shape == (0,)


def test_a_unit_silent_on_almost_every_input_is_not_determined():
    A = np.zeros((20, 3))
    A[:9, 0], A[:10, 1] = 1, 1
    assert meaning.top_inputs(A, 10)[1].tolist() == [False, True, False]


def test_a_silent_unit_is_never_in_agreement():
    has = np.arange(40)[:, None] < [10, 30]
    A = np.stack([has[:, 0], np.zeros(40), np.arange(40) == 0], axis=1).astype(float)
    # Ties would give the last two units the first inputs, which the first attribute has.
    assert meaning.share_enriched(A[:, :1], has, 10, level=1) == 1
    assert meaning.share_enriched(A, has, 10, level=-1) == pytest.approx(1 / 3)


@pytest.mark.parametrize("n_top", [0, 51, 2.0, True])
def test_a_bad_number_of_top_inputs_is_refused(n_top):
    with pytest.raises(ValueError, match="n_top must be a whole number from 1 to 50"):
        meaning.top_inputs(np.ones((50, 2)), n_top)


def test_sets_of_inputs_must_be_numbers_of_rows():
    has = np.arange(10)[:, None] < 5
    for top, words in (
        (np.arange(10) < 3, "not fractions or True and False"),
        ([0.5, 1], "not fractions"),
        ([0, 10], "from 0 to 9, got 0 to 10"),
        ([-1, 1], "got -1 to 1"),
        (3, "shape"),
    ):
        with pytest.raises(ValueError, match=words):
            meaning.enrichment(top, has)
    with pytest.raises(ValueError, match="has must hold True and False"):
        meaning.enrichment([0, 1], np.arange(10)[:, None])


def test_enrichment_is_the_hypergeometric_tail_by_its_definition():
    has = RNG(1).random((30, 3)) < [0.2, 0.5, 0.8]
    top = RNG(2).permutation(30)[:6]

    def tail(owners, count):
        ways = sum(
            math.comb(owners, i) * math.comb(30 - owners, 6 - i)
            for i in range(count, min(owners, 6) + 1)
        )
        return ways / math.comb(30, 6)

    tails = [tail(int(has[:, a].sum()), int(has[top, a].sum())) for a in range(3)]
    score, best = meaning.enrichment(top, has)
    assert score == pytest.approx(-math.log10(min(tails)))
    assert best == int(np.argmin(tails))


def test_large_sets_are_counted_in_full():
    """32,768 inputs are one more than a 16-bit count can hold."""
    has = np.arange(60_000)[:, None] < 40_000
    score, _ = meaning.enrichment(np.arange(32_768), has)

    def log_ways(n):  # to choose 32,768 of n
        return math.lgamma(n + 1) - math.lgamma(32_769) - math.lgamma(n - 32_768 + 1)

    assert score == pytest.approx((log_ways(60_000) - log_ways(40_000)) / math.log(10))
    assert score > 9740


def test_an_attribute_that_all_or_none_have_surprises_nobody():
    has = np.stack([np.ones(20, bool), np.zeros(20, bool)], axis=1)
    score, _ = meaning.enrichment([[0, 1, 2]], has)
    assert score == pytest.approx(0)


def test_enrichment_ignores_the_order_of_inputs_and_finds_the_planted_attribute():
    digits = worlds.digits()
    names, has = meaning.digit_attributes(digits.images, digits.labels)
    sevens = np.flatnonzero(digits.labels == 7)[:10]
    score, best = meaning.enrichment(np.stack([sevens, sevens[::-1]]), has)
    assert score[0] == score[1] > 9 and names[best[0]] == "class 7"


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01])
def test_random_sets_exceed_the_chance_level_no_more_often_than_alpha(alpha):
    digits = worlds.digits()
    _, has = meaning.digit_attributes(digits.images, digits.labels)
    level = meaning.chance_level(has, 10, alpha, RNG(0))
    noise = RNG(1).standard_normal((1797, 4000))
    share = meaning.share_enriched(noise, has, 10, level)
    error = math.sqrt(alpha * (1 - alpha) / 4000)
    # Scores are discrete, so the level may be conservative, but not by an order of magnitude.
    assert alpha / 4 < share < alpha + 4 * error


def test_shuffling_the_attributes_destroys_agreement():
    digits = worlds.digits()
    _, has = meaning.digit_attributes(digits.images, digits.labels)
    level = meaning.chance_level(has, 10, 0.01, RNG(0))
    H = np.eye(10)[digits.labels] + 0.1 * RNG(1).random((1797, 10))
    assert meaning.share_enriched(H, has, 10, level) == 1
    shuffled = has[RNG(2).permutation(1797)]
    assert meaning.share_enriched(H, shuffled, 10, level) <= 0.1


@pytest.mark.parametrize("alpha, n_draws", [(0, 1000), (1, 1000), (0.001, 1000)])
def test_a_level_that_the_draws_cannot_give_is_refused(alpha, n_draws):
    with pytest.raises(ValueError, match="alpha must lie between"):
        meaning.chance_level(np.ones((20, 2), bool), 3, alpha, RNG(0), n_draws)
