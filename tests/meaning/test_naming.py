"""Names dealt out one to one, and how well they hold on other inputs."""

import numpy as np
import pytest
from scipy.stats import pearsonr

from hblib import meaning


@pytest.fixture
def F():
    return np.random.default_rng(0).normal(size=(400, 3))


def test_each_factor_gets_a_direction_of_its_own(F):
    A = np.stack([-F[:, 2], F[:, 0] + 0.1 * F[:, 1], F[:, 0] + F[:, 1]], axis=1)
    names = meaning.name_one_to_one(A, F)
    assert names.direction.tolist() == [1, 2, 0] and names.sign.tolist() == [1, 1, -1]


def test_one_factor_counts_once(F):
    """Fifty copies of one factor, of which naming after the best would make fifty names."""
    copies = F[:, [0]] + 0.01 * np.random.default_rng(1).normal(size=(400, 50))
    names = meaning.name_one_to_one(copies[:200], F[:200])
    held = meaning.named_correlations(names, copies[200:], F[200:])
    assert held[0] > 0.99 and np.abs(held[1:]).max() < 0.3


def test_correlations_are_pearsons_and_carry_the_sign(F):
    A = F @ np.random.default_rng(2).normal(size=(3, 5))
    names = meaning.name_one_to_one(A[:200], F[:200])
    held = meaning.named_correlations(names, A[200:], F[200:])
    for j, (d, s) in enumerate(zip(*names)):
        assert held[j] == pytest.approx(s * pearsonr(A[200:, d], F[200:, j])[0])
    turned = meaning.named_correlations(names, -A[200:], F[200:])
    np.testing.assert_allclose(turned, -held)


def test_too_few_directions_leave_factors_without_a_name(F):
    names = meaning.name_one_to_one(F[:, [1]], F)
    assert names.direction.tolist() == [-1, 0, -1] and names.sign.tolist() == [0, 1, 0]
    assert meaning.named_correlations(names, F[:, [1]], F).round(9).tolist() == [0, 1, 0]


def test_constant_directions_follow_nothing(F):
    names = meaning.name_one_to_one(np.ones((400, 3)), F)
    assert (meaning.named_correlations(names, np.ones((400, 3)), F) == 0).all()


def test_what_does_not_fit_is_refused(F):
    with pytest.raises(ValueError, match="one row per input"):
        meaning.name_one_to_one(F[:5], F)
    names = meaning.name_one_to_one(F, F)
    with pytest.raises(ValueError, match="names must be for 2 factors and 3 directions"):
        meaning.named_correlations(names, F, F[:, :2])
