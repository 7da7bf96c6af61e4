"""The map between two solutions, and the joint test of starts."""

import numpy as np
import pytest

from hblib import rotation


@pytest.fixture(scope="module")
def pairs():
    """Starts of two sizes, and the solutions that small steps of descent reach from them."""
    rng = np.random.default_rng(0)
    M = rng.standard_normal((6, 12, 3)) @ rng.standard_normal((6, 3, 9))
    problem = rotation.Problem(M)
    found = {}
    for scale in (0.1, 0.05):
        starts = [
            rotation.initial_factors("gaussian", 3, (12, 9), 6, scale=scale, rng=s) for s in (1, 2)
        ]
        runs = [
            rotation.train_factorisation(problem, *start, lr=0.02, n_steps=6000) for start in starts
        ]
        found[scale] = starts, [(run.A, run.B) for run in runs]
    return found


def test_an_orthogonal_map_deviates_by_nothing_and_a_stretch_by_its_logarithm():
    A = np.random.default_rng(0).standard_normal((4, 3, 8))
    U = rotation.haar(3, 0, size=4)
    assert rotation.map_deviation(A, U @ A).max() < 1e-12
    assert rotation.map_deviation(A, 3 * U @ A) == pytest.approx(np.log(3))


def test_the_start_predicts_the_deviation_and_that_falls_by_its_square(pairs):
    deviations = []
    for starts, solutions in pairs.values():
        Q = [rotation.imbalance(*start) for start in starts]
        measured = rotation.map_deviation(solutions[0][0], solutions[1][0])
        assert rotation.predicted_deviation(*solutions, *Q) == pytest.approx(measured, rel=0.1)
        assert rotation.predicted_deviation(*solutions) == pytest.approx(measured, rel=0.1)
        deviations.append(measured)
    assert np.log2(deviations[0] / deviations[1]).mean() == pytest.approx(2, abs=0.6)


@pytest.mark.parametrize(
    ("A1", "A2", "complaint"),
    [
        (np.ones((1, 2, 3)), np.ones((1, 2, 4)), "same shape"),
        (np.ones((1, 2, 3)), np.ones((1, 2, 3)), "linearly independent"),
        (np.ones((2, 3)), np.ones((2, 3)), "A1"),
    ],
)
def test_bad_factors_are_refused(A1, A2, complaint):
    with pytest.raises(ValueError, match=complaint):
        rotation.map_deviation(A1, A2)


def test_the_joint_test_keeps_its_level_and_sees_the_cube():
    rng = np.random.default_rng(0)
    U = rotation.rotation_2d(np.pi / 4)

    def rejected(draw):
        p = []
        for _ in range(40):
            X, Y = draw((2, 600, 2, 2))
            turned = (U @ Y).reshape(600, -1)
            p.append(rotation.same_distribution(X.reshape(600, -1), turned, rng, 30, 99))
        return np.mean(np.array(p) <= 0.05)

    assert rejected(rng.standard_normal) <= 0.15
    assert rejected(lambda size: rng.uniform(-1, 1, size)) > 0.9


def test_equal_and_constant_starts_cannot_be_told_apart():
    assert rotation.same_distribution(np.ones((5, 2)), np.ones((5, 2))) == 1


@pytest.mark.parametrize(("X", "Y"), [(np.ones((3, 2)), np.ones((4, 2))), (np.ones(3), np.ones(3))])
def test_starts_of_different_shapes_are_refused(X, Y):
    with pytest.raises(ValueError, match="same shape"):
        rotation.same_distribution(X, Y)


def test_a_conserved_matrix_of_another_shape_is_refused():
    A, B = rotation.initial_factors("gaussian", 2, (5, 4), 3)
    with pytest.raises(ValueError, match="Q2 must have the shape"):
        rotation.predicted_deviation((A, B), (A, B), Q2=np.ones((3, 3, 3)))
