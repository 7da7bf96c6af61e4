"""Digits; matrices of known rank."""

import numpy as np
import pytest
import scipy.optimize

from hblib import _checks, worlds


def test_a_seed_may_have_several_numbers():
    one = _checks.generator([7, 0]).random(3)
    np.testing.assert_array_equal(one, np.random.default_rng([7, 0]).random(3))
    for wrong in ([1, -1], [0.5], "abc", 1.0):
        with pytest.raises(ValueError, match="rng must be"):
            _checks.generator(wrong)


# --- digits --------------------------------------------------------------------------------------


def test_digits():
    scaled, raw = worlds.digits(), worlds.digits(scale=False)
    assert scaled.X.shape == (1797, 64) and scaled.X.dtype == np.float64
    assert scaled.X.min() == 0 and scaled.X.max() == 1
    np.testing.assert_array_equal(raw.X, 16 * scaled.X)
    np.testing.assert_array_equal(scaled.images.reshape(1797, 64), scaled.X)
    assert np.unique(scaled.labels).tolist() == list(range(10))


# --- matrices of known rank ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gaussian", "binary", "counts"])
def test_shapes_and_repeatability(kind):
    made = worlds.draw_matrices(60, 40, rank=5, rng=0, kind=kind, batch=3)
    assert made.matrix.shape == (3, 60, 40)
    assert made.A.shape == (3, 5, 60) and made.B.shape == (3, 5, 40)
    again = worlds.draw_matrices(60, 40, rank=5, rng=np.random.default_rng(0), kind=kind, batch=3)
    np.testing.assert_array_equal(made.matrix, again.matrix)
    assert np.abs(made.A[0] - made.A[1]).max() > 0.1
    assert worlds.draw_matrices(60, 40, rank=5, rng=0, kind=kind).matrix.shape == (60, 40)


@pytest.mark.parametrize("rank", [1, 5, 20])
def test_gaussian_truth_has_its_rank_and_unit_entries(rank):
    made = worlds.draw_matrices(60, 40, rank, rng=0, batch=50)
    assert (np.linalg.matrix_rank(made.matrix) == rank).all()
    assert made.matrix.std() == pytest.approx(1, abs=0.05)


def test_noise_has_the_size_asked_for():
    made = worlds.draw_matrices(60, 40, 5, rng=0, noise=0.3, batch=20)
    assert (made.matrix - made.A.mT @ made.B).std() == pytest.approx(0.3, rel=0.02)


LOSSES = {
    "binary": lambda x, m: np.logaddexp(0, x) - m * x,
    "counts": lambda x, m: np.exp(x) - m * x,
}


@pytest.mark.parametrize("kind", LOSSES)
def test_the_truth_is_the_parameter_of_the_draws(kind):
    """The slope of a regression of the draws on the true log-odds, or log-rates, is 1."""
    made = worlds.draw_matrices(200, 100, 5, rng=0, kind=kind, batch=5)
    X = made.A.mT @ made.B
    slope = scipy.optimize.minimize_scalar(lambda s: LOSSES[kind](s * X, made.matrix).mean()).x
    assert slope == pytest.approx(1, abs=0.03)
    assert (made.matrix == made.matrix.astype(int)).all() and made.matrix.min() == 0
    assert (made.matrix.max() == 1) == (kind == "binary")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rank": 7}, "rank must be a whole number from 1 to 6, got 7"),
        ({"noise": -0.1}, "noise must be at least 0, got -0.1"),
        ({"kind": "poisson"}, "kind must be one of 'gaussian', .*, got 'poisson'"),
    ],
)
def test_options_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        worlds.draw_matrices(**{"n_rows": 8, "n_columns": 6, "rank": 2, "rng": 0} | options)
