import numpy as np
import pytest

from hblib import similarity
from hblib.similarity import calibrate, linear_cka, one_position


def test_the_p_value_of_unrelated_layers_is_uniform():
    rng = np.random.default_rng(0)
    found = [
        calibrate(linear_cka, *rng.normal(size=(2, 30, 4)), n_permutations=19, rng=rng).p_value
        for _ in range(200)
    ]
    shares = np.bincount(np.round(20 * np.array(found)).astype(int), minlength=21)[1:] / 200
    assert np.abs(np.cumsum(shares) - np.arange(1, 21) / 20).max() < 0.12


def test_excess_takes_the_width_away():
    rng = np.random.default_rng(1)
    found = [calibrate(linear_cka, *rng.normal(size=(2, 30, k)), rng=rng) for k in (2, 50, 500)]
    values = [f.value for f in found]
    assert values[0] < 0.3 < values[1] < values[2] > 0.9
    assert np.abs([f.excess for f in found]).max() < 0.15


@pytest.mark.parametrize("name", ["linear_cka", "cca_r2", "procrustes", "rsa", "mutual_knn"])
def test_equal_layers_have_excess_one(name):
    X = np.random.default_rng(2).normal(size=(40, 5))
    found = calibrate(similarity.MEASURES[name].function, X, X, n_permutations=9, rng=0)
    assert found.value == pytest.approx(1) and found.excess == pytest.approx(1)
    assert found.p_value == 0.1 and found.null.shape == (9,)


def test_what_cannot_be_calibrated_is_refused():
    X, Y = np.random.default_rng(3).normal(size=(2, 5, 8))
    with pytest.warns(UserWarning, match="span all"), pytest.raises(ValueError, match="take more"):
        calibrate(lambda A, B: similarity.matching_similarity(A, B), X, Y, rng=0)
    with pytest.raises(ValueError, match="same samples"):
        calibrate(linear_cka, X, Y[:4])
    with pytest.raises(ValueError, match="n_permutations"):
        calibrate(linear_cka, X, Y, n_permutations=0)


def test_positions_are_those_of_the_maps_and_the_same_for_all_networks():
    height, width = 4, 3
    places = np.arange(height * width).reshape(height, width)
    maps = np.arange(2)[:, None, None, None, None] * 100 + np.broadcast_to(
        places, (2, 50, 6, height, width)
    )
    found = one_position(maps, rng=0)
    assert found.shape == (2, 50, 6)
    assert (found == found[:, :, :1]).all() and (found[1] == found[0] + 100).all()
    assert set(found[0, :, 0]) == set(range(height * width))
    assert (one_position(maps[:, :, :2], rng=0) == found[:, :, :2]).all()
    with pytest.raises(ValueError, match="maps must have shape"):
        one_position(maps[0])
