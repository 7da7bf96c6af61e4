import doctest

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib.rotation import _orthogonal as orthogonal

seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(1, 9)
dets = st.sampled_from([None, 1, -1])


def norm(difference):
    return np.abs(difference).max()


def test_examples():
    assert doctest.testmod(orthogonal).failed == 0


# --- drawing -------------------------------------------------------------------------------------


@given(dimensions, seeds, dets, st.sampled_from([None, 1, 3, (2, 3)]))
@settings(deadline=None, max_examples=60)
def test_haar_is_orthogonal_with_the_determinant_asked_for(k, seed, det, size):
    Q = orthogonal.haar(k, seed, size, det=det)
    lead = () if size is None else (size,) if isinstance(size, int) else size
    assert Q.shape == (*lead, k, k)
    assert orthogonal.is_orthogonal(Q, atol=1e-12).all()
    if det is not None:
        np.testing.assert_allclose(np.linalg.det(Q), det, atol=1e-10)


def test_haar_draws_both_determinants_equally_often():
    positive = np.count_nonzero(np.linalg.det(orthogonal.haar(3, rng=0, size=4000)) > 0)
    assert scipy.stats.binomtest(positive, 4000).pvalue > 1e-3


def p_values(one, other):
    """Two-sample tests of a trace, an entry, and a trace of the square."""
    statistics = (
        lambda Q: np.trace(Q, axis1=-2, axis2=-1),
        lambda Q: Q[:, 0, -1],
        lambda Q: np.trace(Q @ Q, axis1=-2, axis2=-1),
    )
    return [scipy.stats.ks_2samp(f(one), f(other)).pvalue for f in statistics]


@pytest.mark.parametrize("det, theirs", [(None, "ortho_group"), (1, "special_ortho_group")])
def test_haar_has_scipys_distribution(det, theirs):
    n, k = 6000, 4
    reference = getattr(scipy.stats, theirs)(k, seed=1).rvs(n)
    assert min(p_values(orthogonal.haar(k, rng=2, size=n, det=det), reference)) > 1e-3


@pytest.mark.parametrize("det", [None, 1, -1])
def test_haar_is_invariant_under_a_fixed_rotation(det):
    n, k = 6000, 4
    fixed = orthogonal.haar(k, rng=3, det=1)
    Q = orthogonal.haar(k, rng=4, size=(2, n), det=det)
    assert min(p_values(fixed @ Q[0], Q[1])) > 1e-3
    assert min(p_values(Q[0] @ fixed, Q[1])) > 1e-3


def test_the_distribution_test_would_notice_missing_signs():
    """The control: QR without Mezzadri's fix is orthogonal and not Haar distributed."""
    rng = np.random.default_rng(5)
    unfixed = np.linalg.qr(rng.standard_normal((6000, 4, 4)))[0]
    assert min(p_values(unfixed, orthogonal.haar(4, rng=6, size=6000))) < 1e-6


def test_haar_continues_a_generator_and_repeats_a_seed():
    rng = np.random.default_rng(0)
    first, second = orthogonal.haar(3, rng), orthogonal.haar(3, rng)
    assert norm(first - second) > 0.01
    np.testing.assert_array_equal(first, orthogonal.haar(3, rng=0))


@given(st.integers(1, 8), seeds)
@settings(deadline=None)
def test_reflection_turns_its_normal_and_keeps_the_hyperplane(k, seed):
    rng = np.random.default_rng(seed)
    normal, other = rng.normal(size=(2, k))
    R = orthogonal.reflection(normal)
    np.testing.assert_allclose(R @ normal, -normal, atol=1e-12)
    inside = other - normal * (normal @ other) / (normal @ normal)
    np.testing.assert_allclose(R @ inside, inside, atol=1e-10)
    np.testing.assert_allclose(R @ R, np.eye(k), atol=1e-12)


def test_rotation_2d_is_a_homomorphism_and_turns_counter_clockwise():
    a, b = np.random.default_rng(0).uniform(-10, 10, size=(2, 50))
    product = orthogonal.rotation_2d(a) @ orthogonal.rotation_2d(b)
    np.testing.assert_allclose(product, orthogonal.rotation_2d(a + b), atol=1e-12)
    np.testing.assert_allclose(orthogonal.rotation_2d(0.1) @ [1, 0], [np.cos(0.1), np.sin(0.1)])


@given(st.integers(2, 8), seeds, st.floats(-3.1, 3.1), st.data())
@settings(deadline=None)
def test_plane_rotation_turns_as_many_planes_as_asked(k, seed, theta, data):
    n_planes = data.draw(st.integers(1, k // 2))
    R = orthogonal.plane_rotation(theta, k, seed, n_planes=n_planes)
    assert orthogonal.is_orthogonal(R, atol=1e-12)
    found = np.sort(np.abs(np.angle(np.linalg.eigvals(R))))
    expected = np.zeros(k)
    expected[k - 2 * n_planes :] = abs(theta)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_plane_rotation_takes_an_angle_each_and_random_planes():
    R = orthogonal.plane_rotation(np.array([0.1, 0.2]), 5, rng=0, size=(300, 2))
    np.testing.assert_allclose(
        np.trace(R, axis1=-2, axis2=-1), np.tile(3 + 2 * np.cos([0.1, 0.2]), (300, 1))
    )
    # Seen over many draws no direction is special: the mean is a multiple of the identity.
    mean = orthogonal.plane_rotation(np.pi / 2, 3, rng=1, size=20_000).mean(axis=0)
    np.testing.assert_allclose(mean, np.eye(3) / 3, atol=0.02)


@pytest.mark.parametrize("draw", ["permutation", "sign_flip", "signed_permutation"])
def test_generators_of_axis_groups_map_axes_to_axes(draw):
    P = getattr(orthogonal, draw)(4, rng=0, size=200)
    assert P.shape == (200, 4, 4)
    assert set(np.unique(np.abs(P))) == {0.0, 1.0}
    assert orthogonal.is_orthogonal(P, atol=0).all()
    signs, moves = (P < 0).any(), norm(np.abs(P) - np.eye(4)) > 0
    assert (signs, moves) == {
        "permutation": (False, True),
        "sign_flip": (True, False),
        "signed_permutation": (True, True),
    }[draw]


def test_permutations_are_uniform():
    P = orthogonal.permutation(3, rng=0, size=6000)
    counts = np.unique(P.reshape(-1, 9), axis=0, return_counts=True)[1]
    assert len(counts) == 6 and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_signs_and_order_are_not_drawn_from_one_seed_twice():
    one = np.array([orthogonal.signed_permutation(6, rng=seed) for seed in range(5)])
    two = np.array(
        [orthogonal.sign_flip(6, seed) @ orthogonal.permutation(6, seed) for seed in range(5)]
    )
    assert (one != two).any(axis=(1, 2)).all()


def test_positive_scaling_is_diagonal_and_positive():
    D = orthogonal.positive_scaling(3, rng=0, size=100)
    assert (np.diagonal(D, axis1=-2, axis2=-1) > 0).all()
    assert norm(D * (1 - np.eye(3))) == 0
    assert not orthogonal.is_orthogonal(D).any()


# --- fractional powers ---------------------------------------------------------------------------


@given(dimensions, seeds, st.floats(-2, 2), st.floats(-2, 2))
@settings(deadline=None)
def test_fractional_powers_add_up_and_stay_orthogonal(k, seed, s, t):
    Q = orthogonal.haar(k, seed, det=1)
    power = orthogonal.fractional_power
    assert orthogonal.is_orthogonal(power(Q, s), atol=1e-12)
    assert norm(power(Q, s) @ power(Q, t) - power(Q, s + t)) < 1e-11
    assert norm(power(Q, 1) - Q) < 1e-12
    assert norm(power(Q, 0) - np.eye(k)) < 1e-12
    assert norm(power(Q, -1) - Q.T) < 1e-12


@pytest.mark.parametrize(
    "eigenvalue_angles",
    [
        [np.pi, 0, 0],
        [np.pi, np.pi, 0],
        [0.3, 0.3, 0.3],
        [np.pi, 0.7, 0.7],
        [0, 0, 0],
        [np.pi - 1e-9, np.pi, 0.1],
        [1e-9, 0, 1e-8],
    ],
)
@pytest.mark.parametrize("odd", [0, 1])
def test_fractional_power_at_coinciding_eigenvalues(eigenvalue_angles, odd):
    blocks = [orthogonal.rotation_2d(a) for a in eigenvalue_angles] + [np.eye(odd)] * odd
    Z = orthogonal.haar(6 + odd, rng=0)
    Q = Z @ scipy.linalg.block_diag(*blocks) @ Z.T
    third = orthogonal.fractional_power(Q, 1 / 3)
    assert orthogonal.is_orthogonal(third, atol=1e-12)
    assert norm(third @ third @ third - Q) < 1e-12
    # The path is the shortest one: it turns no plane further than a third of its angle.
    turned = np.sort(np.abs(np.angle(np.linalg.eigvals(third))))[odd::2]
    np.testing.assert_allclose(turned, np.sort(eigenvalue_angles) / 3, atol=1e-7)


def test_fractional_power_is_the_exponential_of_a_multiple_of_the_logarithm():
    Q = orthogonal.haar(5, rng=0, det=1)
    expected = scipy.linalg.expm(0.37 * scipy.linalg.logm(Q).real)
    np.testing.assert_allclose(orthogonal.fractional_power(Q, 0.37), expected, atol=1e-10)


def test_fractional_power_broadcasts_its_batch():
    Q = orthogonal.haar(4, rng=0, size=3, det=1)
    t = np.linspace(0, 1, 5)
    path = orthogonal.fractional_power(Q[:, None], t)
    assert path.shape == (3, 5, 4, 4)
    np.testing.assert_allclose(path[2, 3], orthogonal.fractional_power(Q[2], t[3]), atol=1e-14)
    original = Q.copy()
    orthogonal.fractional_power(Q, 0.5)
    np.testing.assert_array_equal(Q, original)


def test_reflections_have_no_real_power():
    with pytest.raises(ValueError, match=r"determinant \+1, got -1"):
        orthogonal.fractional_power(orthogonal.haar(3, rng=0, size=4, det=-1), 0.5)
    with pytest.raises(ValueError, match="Q must be orthogonal"):
        orthogonal.fractional_power(2 * np.eye(3), 0.5)


# --- comparing -----------------------------------------------------------------------------------


@given(st.integers(1, 6), seeds, dets)
@settings(deadline=None)
def test_procrustes_recovers_a_planted_rotation(k, seed, det):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(k + 10, k))
    U = orthogonal.haar(k, rng, det=det)
    assert norm(orthogonal.procrustes(X, X @ U.T) - U) < 1e-9
    A = X.T  # the same for the factors of a factorisation, hidden index first
    assert norm(orthogonal.procrustes(A.T, (U @ A).T) - U) < 1e-9


def test_procrustes_agrees_with_scipy_and_takes_a_batch():
    X, Y = np.random.default_rng(0).normal(size=(2, 5, 12, 3))
    U = orthogonal.procrustes(X, Y)
    for x, y, u in zip(X, Y, U):
        np.testing.assert_allclose(u.T, scipy.linalg.orthogonal_procrustes(x, y)[0], atol=1e-12)


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_no_other_orthogonal_matrix_fits_better(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(2, 12, 3))
    best = np.linalg.norm(X @ orthogonal.procrustes(X, Y).T - Y)
    others = orthogonal.haar(3, rng, size=200)
    assert best <= np.linalg.norm(X @ others.swapaxes(-1, -2) - Y, axis=(-2, -1)).min()


def test_principal_angles_see_the_space_and_not_its_basis():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 30, 3))
    mixed = X @ rng.normal(size=(4, 3, 3))
    assert orthogonal.principal_angles(X, mixed).max() < 1e-10
    # One dimension of three exchanged for a perpendicular one: a right angle and two zeros.
    basis = orthogonal.haar(30, rng)
    angles = orthogonal.principal_angles(basis[:, :3], basis[:, 1:4])
    np.testing.assert_allclose(angles, [np.pi / 2, 0, 0], atol=1e-7)


# --- axes ----------------------------------------------------------------------------------------


def test_kurtosis_of_known_distributions():
    rng = np.random.default_rng(0)
    n = 400_000
    X = np.stack([rng.normal(size=n), rng.laplace(size=n), rng.uniform(size=n)], axis=1)
    np.testing.assert_allclose(orthogonal.kurtosis(X), [0, 3, -1.2], atol=0.12)


def test_kurtosis_is_blind_to_rotation_for_gaussian_data_only():
    rng = np.random.default_rng(1)
    U = orthogonal.haar(10, rng)
    gaussian, sparse = rng.normal(size=(20_000, 10)), rng.laplace(size=(20_000, 10))
    change = [
        orthogonal.kurtosis(X).mean() - orthogonal.kurtosis(X @ U.T).mean()
        for X in (gaussian, sparse)
    ]
    assert abs(change[0]) < 0.05 < 1 < change[1]


def varimax_criterion(L):
    return np.var(L**2, axis=-2).sum(axis=-1)


@given(seeds, st.integers(2, 5))
@settings(deadline=None, max_examples=20)
def test_varimax_finds_planted_axes(seed, k):
    rng = np.random.default_rng(seed)
    # Each sample is active on one unit: the simple structure that varimax looks for.
    planted = np.eye(k)[np.arange(40 * k) % k] * rng.uniform(0.5, 2, size=(40 * k, 1))
    Q = orthogonal.haar(k, rng)
    back = orthogonal.varimax(planted @ Q.T) @ Q
    assert norm(np.sort(np.abs(back), axis=-1)[:, :-1]) < 1e-4
    assert orthogonal.is_orthogonal(back)


def test_varimax_reaches_a_maximum_that_a_batch_shares():
    rng = np.random.default_rng(0)
    X = rng.laplace(size=(3, 500, 4)) * [1, 1.5, 2, 3]  # units of unequal strength
    U = orthogonal.varimax(X)
    L = X @ U.swapaxes(-1, -2)
    assert (varimax_criterion(L) >= varimax_criterion(X)).all()
    for step in orthogonal.plane_rotation(1e-2, 4, rng, size=100):
        assert (varimax_criterion(L @ step.T) <= varimax_criterion(L)).all()
    np.testing.assert_allclose(U[1], orthogonal.varimax(X[1]), atol=1e-3)


def test_varimax_says_when_it_stops_too_early():
    X = np.random.default_rng(0).laplace(size=(500, 4))
    with pytest.warns(RuntimeWarning, match="not converged in 2 steps"):
        orthogonal.varimax(X, max_iter=2)


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda o: o.haar(0, rng=0), "k must be an integer of at least 1, got 0"),
        (lambda o: o.haar(2.5, rng=0), "k must be an integer of at least 1, got 2.5"),
        (lambda o: o.haar(3, rng=0, det=2), "det must be None, 1 or -1, got 2"),
        (lambda o: o.haar(3, rng=0, size=0), "size must be None or positive integers, got 0"),
        (lambda o: o.haar(3, rng=0, size=(2, -1)), "size must be None or positive integers"),
        (lambda o: o.plane_rotation(1, k=1, rng=0), "k must be an integer of at least 2, got 1"),
        (lambda o: o.plane_rotation(1, 5, 0, n_planes=3), "n_planes must be from 1 to k // 2 = 2"),
        (lambda o: o.reflection([0.0, 0.0]), "normal must not be the zero vector"),
        (lambda o: o.reflection([np.nan, 0.0]), "normal must not be the zero vector"),
        (lambda o: o.procrustes(np.ones((5, 3)), np.ones((5, 2))), r"got \(5, 3\) and \(5, 2\)"),
        (lambda o: o.principal_angles(np.ones((5, 3)), np.ones((4, 3))), "the same n_samples"),
        (lambda o: o.is_orthogonal(np.ones((3, 2))), r"\(\.\.\., k, k\), got \(3, 2\)"),
        (lambda o: o.kurtosis(np.ones(3)), r"n_samples >= 2, got \(3,\)"),
        (lambda o: o.varimax(np.ones((1, 3))), r"n_samples >= 2, got \(1, 3\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(orthogonal)
