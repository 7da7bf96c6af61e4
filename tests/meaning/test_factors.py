
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import meaning

# directions and factors


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), tied=st.booleans())
def test_rank_correlations_are_scipys(seed, tied):
    import scipy.stats

    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    if tied:
        A, B = np.round(A), B > 0
    ours = meaning.rank_correlations(A, B)
    for i in range(3):
        for j in range(2):
            assert ours[i, j] == pytest.approx(scipy.stats.spearmanr(A[:, i], B[:, j])[0])


def test_what_does_not_vary_goes_with_nothing():
    A = np.column_stack([np.ones(20), np.arange(20)])
    assert meaning.rank_correlations(A, A).tolist() == [[0, 0], [0, 1]]


def test_tables_must_tell_about_the_same_inputs():
    with pytest.raises(ValueError, match="one row per input"):
        meaning.rank_correlations(np.ones((4, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match="has must have one row per input, 4, got 5"):
        meaning.name_directions(np.ones((4, 2)), np.ones((5, 2), bool), 2)


def test_correlations_take_frames_tensors_and_whole_numbers():
    import torch

    rng = np.random.default_rng(1)
    A, F = rng.integers(0, 256, (50, 3)), rng.random((50, 2)) < 0.5
    expected = meaning.rank_correlations(A.astype(float), F.astype(float))
    frame = pd.DataFrame({"yes": F[:, 0], "other": F[:, 1].astype(int)})
    for B in (A.astype(np.uint8), torch.tensor(A.astype(np.float32), requires_grad=True)):
        np.testing.assert_array_equal(meaning.rank_correlations(B, frame), expected)


def test_shuffled_factors_leave_chance_only():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(2000, 10))
    assert meaning.best_rank_correlation(F, F).min() == pytest.approx(1)
    chance = meaning.shuffled_rank_correlation(F, F, rng)
    independent = meaning.best_rank_correlation(rng.normal(size=(2000, 10)), F)
    assert chance.mean() == pytest.approx(independent.mean(), abs=0.02)


def test_a_twin_has_mean_and_covariance_and_nothing_else():
    import scipy.stats

    rng = np.random.default_rng(0)
    codes = (rng.exponential(size=(20_000, 3)) @ rng.normal(size=(3, 4)) + 5).astype(np.float32)
    twin = meaning.gaussian_twin(codes, 20_000, rng)
    assert twin.dtype == np.float32
    assert np.allclose(twin.mean(axis=0), codes.mean(axis=0), atol=0.1)
    scale = np.abs(np.cov(codes.T)).max()
    assert np.abs(np.cov(twin.T) - np.cov(codes.T)).max() < 0.05 * scale
    # The codes have rank 3 around their mean, and so has the twin; its skewness is gone.
    assert np.linalg.matrix_rank(twin - twin.mean(axis=0), tol=1e-2) == 3
    assert np.abs(scipy.stats.skew(codes, axis=0)).max() > 0.5
    assert np.abs(scipy.stats.skew(twin, axis=0)).max() < 0.1


def test_seeds_of_several_numbers_are_numpys():
    import torch

    codes = np.random.default_rng(0).normal(size=(30, 3))
    ours = meaning.gaussian_twin(codes, 5, [7, 2])
    same = meaning.gaussian_twin(codes, 5, np.random.default_rng([7, 2]))
    np.testing.assert_array_equal(ours, same)
    half = meaning.gaussian_twin(torch.tensor(codes).to(torch.float16).requires_grad_(), 5, [7, 2])
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, ours, atol=0.01)


def test_random_directions_are_unit_vectors_in_the_span_of_the_codes():
    codes = np.zeros((100, 5))
    codes[:, 1] = np.random.default_rng(0).normal(size=100)
    D = meaning.random_directions(codes, 7, rng=0)
    assert np.allclose(np.abs(D), np.eye(5)[1], atol=1e-6)


# names of directions


def test_a_planted_attribute_is_named_and_found_on_other_data():
    rng = np.random.default_rng(0)
    has = rng.random((600, 12)) < 0.3
    weights = rng.random((600, 12)) + 2 * has[:, ::-1]
    attribute, score = meaning.name_directions(weights[:300], has[:300], n_top=20)
    assert attribute.tolist() == list(range(11, -1, -1)) and score.min() > 5
    precision = meaning.precision_at(weights[300:], has[300:], attribute, n_top=20)
    assert np.allclose(precision, 1 - has[300:].mean(axis=0)[attribute])
    stranger = meaning.precision_at(weights[300:], has[300:], (attribute + 1) % 12, n_top=20)
    assert abs(stranger.mean()) < 0.1


def test_no_direction_has_no_name():
    """Where no atom is used often enough, chapter 5 asks for the names of none."""
    has = np.arange(20)[:, None] < [5, 9]
    attribute, score = meaning.name_directions(np.empty((20, 0)), has, 4)
    assert attribute.shape == score.shape == (0,)
    assert meaning.precision_at(np.empty((20, 0)), has, attribute, 4).shape == (0,)


@pytest.mark.parametrize("attribute", [[0], [0, 2], [0, -1], [0, 0.5], [True, False]])
def test_a_bad_attribute_is_refused(attribute):
    with pytest.raises(ValueError, match="attribute must be"):
        meaning.precision_at(np.eye(9)[:, :2], np.ones((9, 2), bool), attribute, 3)


# reading back


@pytest.fixture(scope="module")
def drawn():
    """Squares of a known place, grey value and presence of a stripe on noise."""
    rng = np.random.default_rng(0)
    n = 600
    factors = pd.DataFrame(
        {"grey": rng.random(n), "place": rng.random(n), "stripe": rng.random(n) < 0.3, "none": 1.0}
    )
    images = 0.05 * rng.random((n, 16, 16, 3))
    ramp = np.linspace(0, 1, 16)[:, None, None]
    images[:, 4:12] += factors["grey"].to_numpy()[:, None, None, None] * 0.5
    images += 0.3 * (1 - np.abs(ramp - factors["place"].to_numpy()[:, None, None, None]))
    images[:, :, 6:8] += 0.2 * factors["stripe"].to_numpy()[:, None, None, None]
    return images, factors


def test_the_reader_reads_new_pictures(drawn):
    images, factors = drawn
    reader = meaning.FactorReader(images[:500], factors[:500])
    read = reader.read(images[500:])
    for j, name in enumerate(reader.names[:3]):
        assert np.corrcoef(read[:, j], factors[name][500:].astype(float))[0, 1] > 0.9
    assert reader.reliability[:3].min() > 0.9
    assert reader.legible().tolist() == [True, True, True, False]  # nothing to read in the last


def test_the_reader_admits_what_it_cannot_read(drawn):
    images, factors = drawn
    shuffled = factors.sample(frac=1, random_state=0).reset_index(drop=True)
    assert not meaning.FactorReader(images, shuffled).legible().any()


def test_reliability_is_measured_on_pictures_the_reader_has_not_seen():
    """Noise has more pixels than there are pictures: it can be learned by heart."""
    rng = np.random.default_rng(0)
    factors = pd.DataFrame({"chance": rng.normal(size=300)})
    reader = meaning.FactorReader(rng.random((300, 40, 40, 3)), factors)
    assert abs(reader.reliability[0]) < 0.5  # 4 standard errors


def test_bytes_and_fractions_read_alike(drawn):
    images, factors = drawn
    reader = meaning.FactorReader(images, factors)
    images = np.clip(images, 0, 1)
    as_bytes = np.round(255 * images).astype(np.uint8)
    assert np.allclose(reader.read(images), reader.read(as_bytes), atol=0.02)


def test_the_reader_refuses_unequal_lengths(drawn):
    images, factors = drawn
    with pytest.raises(ValueError, match="same length"):
        meaning.FactorReader(images[:20], factors[:30])


def test_portraits_in_bytes_are_measured_as_fractions():
    """Differences of bytes must not wrap around: a blue picture is cold."""
    import torch

    images = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
    images[0] = [0, 0, 255]
    found = meaning.measure_portraits(images)
    expected = meaning.measure_portraits(images / 255)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found["warmth"][0] == pytest.approx(-1)
    as_tensor = meaning.measure_portraits(torch.tensor(images))
    np.testing.assert_array_equal(found, as_tensor)


def test_measurements_see_what_they_are_called_after():
    grey = np.full((5, 20, 20, 3), 0.5)
    grey[0, :, 10:] = 1  # light from the right
    grey[1, :10] = 1  # from above
    grey[2, ..., 2] = 0  # warm
    grey[3, :4] = 0  # dark hair
    table = meaning.measure_portraits(grey)
    assert table["light_side"].argmax() == 0 and table["light_height"].argmax() == 1
    assert table["warmth"].argmax() == 2 and table["hair"].argmin() == 3
    with pytest.raises(ValueError, match="at least 16 pixels"):
        meaning.measure_portraits(grey[:, :8])
