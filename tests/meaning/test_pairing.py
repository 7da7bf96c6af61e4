"""Units of two spaces, paired one to one."""

import itertools

import numpy as np
import pytest

from hblib import meaning, rotation


def test_a_signed_permutation_is_found_again():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(200, 6)) * [1, 2, 3, 4, 5, 6] + 7
    P = rotation.signed_permutation(6, rng)
    found = meaning.pair_units(X, X @ P.T + 0.1 * rng.normal(size=X.shape))
    np.testing.assert_array_equal(found, P)


def test_no_other_pairing_has_a_larger_sum_of_correlations():
    rng = np.random.default_rng(7)
    X, Y = rng.normal(size=(2, 30, 4))
    U = meaning.pair_units(X, Y)
    assert set(U.ravel()) <= {-1, 0, 1} and np.array_equal(U @ U.T, np.eye(4))
    between = np.corrcoef(Y.T, X.T)[:4, 4:]
    paired = np.sum(between * U)
    assert paired > 0
    for order in itertools.permutations(range(4)):
        assert paired >= np.abs(between[range(4), order]).sum() - 1e-12


def test_bad_input_is_refused():
    X = np.random.default_rng(0).normal(size=(9, 3))
    with pytest.raises(ValueError, match=r"same shape, got \(9, 3\) and \(9, 2\)"):
        meaning.pair_units(X, X[:, :2])
    with pytest.raises(ValueError, match="units that vary"):
        meaning.pair_units(X, X * [1, 0, 1])
