import doctest

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib.meaning import _traits as traits


def test_doctests():
    assert doctest.testmod(traits).failed == 0


# directions and factors


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), tied=st.booleans())
def test_rank_correlations_are_scipys(seed, tied):
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    if tied:
        A, B = np.round(A), B > 0
    ours = traits.rank_correlations(A, B)
    for i in range(3):
        for j in range(2):
            assert ours[i, j] == pytest.approx(scipy.stats.spearmanr(A[:, i], B[:, j])[0])


def test_what_does_not_vary_goes_with_nothing():
    A = np.column_stack([np.ones(20), np.arange(20)])
    assert traits.rank_correlations(A, A).tolist() == [[0, 0], [0, 1]]


@pytest.mark.parametrize(
    ("A", "B", "words"),
    [
        (np.ones((4, 2)), np.ones((5, 2)), "one row an input"),
        (np.ones(4), np.ones((4, 2)), "one row an input"),
        (np.full((4, 2), np.nan), np.ones((4, 2)), "components contain"),
        (np.ones((4, 2)), np.full((4, 2), np.inf), "factors contain"),
    ],
)
def test_bad_tables_are_refused(A, B, words):
    with pytest.raises(ValueError, match=words):
        traits.rank_correlations(A, B)


def test_shuffled_factors_leave_chance_only():
    rng = np.random.default_rng(0)
    F = rng.normal(size=(2000, 10))
    assert traits.best_match(F, F).min() == pytest.approx(1)
    chance = traits.shuffled_match(F, F, rng)
    independent = traits.best_match(rng.normal(size=(2000, 10)), F)
    assert chance.mean() == pytest.approx(independent.mean(), abs=0.02)


def test_a_twin_has_mean_and_covariance_and_nothing_else():
    rng = np.random.default_rng(0)
    codes = (rng.exponential(size=(20_000, 3)) @ rng.normal(size=(3, 4)) + 5).astype(np.float32)
    twin = traits.gaussian_twin(codes, 20_000, rng)
    assert twin.dtype == np.float32
    assert np.allclose(twin.mean(axis=0), codes.mean(axis=0), atol=0.1)
    scale = np.abs(np.cov(codes.T)).max()
    assert np.abs(np.cov(twin.T) - np.cov(codes.T)).max() < 0.05 * scale
    # The codes have rank 3 around their mean, and so has the twin; its skewness is gone.
    assert np.linalg.matrix_rank(twin - twin.mean(axis=0), tol=1e-2) == 3
    assert np.abs(scipy.stats.skew(codes, axis=0)).max() > 0.5
    assert np.abs(scipy.stats.skew(twin, axis=0)).max() < 0.1


def test_random_directions_are_unit_vectors_in_the_span_of_the_codes():
    codes = np.zeros((100, 5))
    codes[:, 1] = np.random.default_rng(0).normal(size=100)
    D = traits.random_directions(codes, 7, rng=0)
    assert np.allclose(np.abs(D), np.eye(5)[1], atol=1e-6)


# traits


def test_traits_of_a_table():
    factors = pd.DataFrame({"x": np.arange(9.0), "yes": np.arange(9) % 2 == 0})
    names, has = traits.trait_table(factors)
    assert names == ["low x", "high x", "yes"]
    assert has.sum(axis=0).tolist() == [3, 3, 5]
    assert has[:3, 0].all() and has[6:, 1].all()


def test_a_planted_trait_is_named_and_found_on_other_data():
    rng = np.random.default_rng(0)
    has = rng.random((600, 12)) < 0.3
    weights = rng.random((600, 12)) + 2 * has[:, ::-1]
    trait, score = traits.name_by_top(weights[:300], has[:300], n_top=20)
    assert trait.tolist() == list(range(11, -1, -1)) and score.min() > 5
    precision = traits.precision_at(weights[300:], has[300:], trait, n_top=20)
    assert np.allclose(precision, 1 - has[300:].mean(axis=0)[trait])
    stranger = traits.precision_at(weights[300:], has[300:], (trait + 1) % 12, n_top=20)
    assert abs(stranger.mean()) < 0.1


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
    reader = traits.FactorReader(images[:500], factors[:500])
    read = reader.read(images[500:])
    for j, name in enumerate(reader.names[:3]):
        assert np.corrcoef(read[:, j], factors[name][500:].astype(float))[0, 1] > 0.9
    assert reader.reliability[:3].min() > 0.9
    assert reader.legible().tolist() == [True, True, True, False]  # nothing to read in the last


def test_the_reader_admits_what_it_cannot_read(drawn):
    images, factors = drawn
    shuffled = factors.sample(frac=1, random_state=0).reset_index(drop=True)
    assert not traits.FactorReader(images, shuffled).legible().any()


def test_reliability_is_measured_on_pictures_the_reader_has_not_seen():
    """Noise has more pixels than there are pictures: it can be learned by heart."""
    rng = np.random.default_rng(0)
    factors = pd.DataFrame({"chance": rng.normal(size=300)})
    reader = traits.FactorReader(rng.random((300, 40, 40, 3)), factors)
    assert abs(reader.reliability[0]) < 0.5  # 4 standard errors


def test_bytes_and_fractions_read_alike(drawn):
    images, factors = drawn
    reader = traits.FactorReader(images, factors)
    images = np.clip(images, 0, 1)
    as_bytes = np.round(255 * images).astype(np.uint8)
    assert np.allclose(reader.read(images), reader.read(as_bytes), atol=0.02)


def test_the_reader_refuses_unequal_lengths(drawn):
    images, factors = drawn
    with pytest.raises(ValueError, match="same length"):
        traits.FactorReader(images[:20], factors[:30])


def test_measurements_see_what_they_are_called_after():
    grey = np.full((5, 20, 20, 3), 0.5)
    grey[0, :, 10:] = 1  # light from the right
    grey[1, :10] = 1  # from above
    grey[2, ..., 2] = 0  # warm
    grey[3, :4] = 0  # dark hair
    table = traits.measurements(grey)
    assert table["light_side"].argmax() == 0 and table["light_height"].argmax() == 1
    assert table["warmth"].argmax() == 2 and table["hair"].argmin() == 3
    with pytest.raises(ValueError, match="at least 16 pixels"):
        traits.measurements(grey[:, :8])
