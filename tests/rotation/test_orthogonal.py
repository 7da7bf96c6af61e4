"""Rotations: their distribution, fractional powers, what they leave alone; and the examples."""


import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import rotation

seeds = st.integers(0, 2**32 - 1)
dimensions = st.integers(1, 9)
dets = st.sampled_from([None, 1, -1])


def norm(difference):
    return np.abs(difference).max()


def test_what_is_public_is_documented_and_typed():
    assert sorted(rotation.__all__) == list(rotation.__all__)
    for name in rotation.__all__:
        value = getattr(rotation, name)
        if callable(value) and name != "Step":
            assert value.__module__.startswith("hblib.rotation._") and value.__doc__


# --- drawing -------------------------------------------------------------------------------------


@given(dimensions, seeds, dets, st.sampled_from([None, 1, 3, (2, 3)]))
@settings(deadline=None, max_examples=60)
def test_haar_is_orthogonal_with_the_determinant_asked_for(k, seed, det, size):
    Q = rotation.haar(k, seed, size, det=det)
    lead = () if size is None else (size,) if isinstance(size, int) else size
    assert Q.shape == (*lead, k, k)
    assert rotation.is_orthogonal(Q, atol=1e-12).all()
    if det is not None:
        np.testing.assert_allclose(np.linalg.det(Q), det, atol=1e-10)


def test_haar_draws_both_determinants_equally_often():
    positive = np.count_nonzero(np.linalg.det(rotation.haar(3, rng=0, size=4000)) > 0)
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
    assert min(p_values(rotation.haar(k, rng=2, size=n, det=det), reference)) > 1e-3


@pytest.mark.parametrize("det", [None, 1, -1])
def test_haar_is_invariant_under_a_fixed_rotation(det):
    n, k = 6000, 4
    fixed = rotation.haar(k, rng=3, det=1)
    Q = rotation.haar(k, rng=4, size=(2, n), det=det)
    assert min(p_values(fixed @ Q[0], Q[1])) > 1e-3
    assert min(p_values(Q[0] @ fixed, Q[1])) > 1e-3


def test_the_distribution_test_would_notice_missing_signs():
    """The control: QR without Mezzadri's fix is orthogonal and not Haar distributed."""
    rng = np.random.default_rng(5)
    unfixed = np.linalg.qr(rng.standard_normal((6000, 4, 4)))[0]
    assert min(p_values(unfixed, rotation.haar(4, rng=6, size=6000))) < 1e-6


def test_haar_continues_a_generator_and_repeats_a_seed():
    rng = np.random.default_rng(0)
    first, second = rotation.haar(3, rng), rotation.haar(3, rng)
    assert norm(first - second) > 0.01
    np.testing.assert_array_equal(first, rotation.haar(3, rng=0))


@given(st.integers(1, 8), seeds)
@settings(deadline=None)
def test_reflection_turns_its_normal_and_keeps_the_hyperplane(k, seed):
    rng = np.random.default_rng(seed)
    normal, other = rng.normal(size=(2, k))
    R = rotation.reflection(normal)
    np.testing.assert_allclose(R @ normal, -normal, atol=1e-12)
    inside = other - normal * (normal @ other) / (normal @ normal)
    np.testing.assert_allclose(R @ inside, inside, atol=1e-10)
    np.testing.assert_allclose(R @ R, np.eye(k), atol=1e-12)


def test_rotation_2d_is_a_homomorphism_and_turns_counter_clockwise():
    a, b = np.random.default_rng(0).uniform(-10, 10, size=(2, 50))
    product = rotation.rotation_2d(a) @ rotation.rotation_2d(b)
    np.testing.assert_allclose(product, rotation.rotation_2d(a + b), atol=1e-12)
    np.testing.assert_allclose(rotation.rotation_2d(0.1) @ [1, 0], [np.cos(0.1), np.sin(0.1)])


@given(st.integers(2, 8), seeds, st.floats(-3.1, 3.1), st.data())
@settings(deadline=None)
def test_plane_rotation_turns_as_many_planes_as_asked(k, seed, theta, data):
    n_planes = data.draw(st.integers(1, k // 2))
    R = rotation.plane_rotation(theta, k, seed, n_planes=n_planes)
    assert rotation.is_orthogonal(R, atol=1e-12)
    found = np.sort(np.abs(np.angle(np.linalg.eigvals(R))))
    expected = np.zeros(k)
    expected[k - 2 * n_planes :] = abs(theta)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_plane_rotation_takes_an_angle_each_and_random_planes():
    R = rotation.plane_rotation(np.array([0.1, 0.2]), 5, rng=0, size=(300, 2))
    np.testing.assert_allclose(
        np.trace(R, axis1=-2, axis2=-1), np.tile(3 + 2 * np.cos([0.1, 0.2]), (300, 1))
    )
    # Seen over many draws no direction is special: the mean is a multiple of the identity.
    mean = rotation.plane_rotation(np.pi / 2, 3, rng=1, size=20_000).mean(axis=0)
    np.testing.assert_allclose(mean, np.eye(3) / 3, atol=0.02)


@pytest.mark.parametrize("draw", ["permutation", "sign_flip", "signed_permutation"])
def test_generators_of_axis_groups_map_axes_to_axes(draw):
    P = getattr(rotation, draw)(4, rng=0, size=200)
    assert P.shape == (200, 4, 4)
    assert set(np.unique(np.abs(P))) == {0.0, 1.0}
    assert rotation.is_orthogonal(P, atol=0).all()
    signs, moves = (P < 0).any(), norm(np.abs(P) - np.eye(4)) > 0
    assert (signs, moves) == {
        "permutation": (False, True),
        "sign_flip": (True, False),
        "signed_permutation": (True, True),
    }[draw]


def test_permutations_are_uniform():
    P = rotation.permutation(3, rng=0, size=6000)
    counts = np.unique(P.reshape(-1, 9), axis=0, return_counts=True)[1]
    assert len(counts) == 6 and scipy.stats.chisquare(counts).pvalue > 1e-3


def test_signs_and_order_are_not_drawn_from_one_seed_twice():
    one = np.array([rotation.signed_permutation(6, rng=seed) for seed in range(5)])
    two = np.array(
        [rotation.sign_flip(6, seed) @ rotation.permutation(6, seed) for seed in range(5)]
    )
    assert (one != two).any(axis=(1, 2)).all()


def test_positive_scaling_is_diagonal_and_positive():
    D = rotation.positive_scaling(3, rng=0, size=100)
    assert (np.diagonal(D, axis1=-2, axis2=-1) > 0).all()
    assert norm(D * (1 - np.eye(3))) == 0
    assert not rotation.is_orthogonal(D).any()


# --- fractional powers ---------------------------------------------------------------------------


@given(dimensions, seeds, st.floats(-2, 2), st.floats(-2, 2))
@settings(deadline=None)
def test_fractional_powers_add_up_and_stay_orthogonal(k, seed, s, t):
    Q = rotation.haar(k, seed, det=1)
    power = rotation.fractional_power
    assert rotation.is_orthogonal(power(Q, s), atol=1e-12)
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
    blocks = [rotation.rotation_2d(a) for a in eigenvalue_angles] + [np.eye(odd)] * odd
    Z = rotation.haar(6 + odd, rng=0)
    Q = Z @ scipy.linalg.block_diag(*blocks) @ Z.T
    third = rotation.fractional_power(Q, 1 / 3)
    assert rotation.is_orthogonal(third, atol=1e-12)
    assert norm(third @ third @ third - Q) < 1e-12
    # The path is the shortest one: it turns no plane further than a third of its angle.
    turned = np.sort(np.abs(np.angle(np.linalg.eigvals(third))))[odd::2]
    np.testing.assert_allclose(turned, np.sort(eigenvalue_angles) / 3, atol=1e-7)


def test_fractional_power_is_the_exponential_of_a_multiple_of_the_logarithm():
    Q = rotation.haar(5, rng=0, det=1)
    expected = scipy.linalg.expm(0.37 * scipy.linalg.logm(Q).real)
    np.testing.assert_allclose(rotation.fractional_power(Q, 0.37), expected, atol=1e-10)


def test_fractional_power_broadcasts_its_batch():
    Q = rotation.haar(4, rng=0, size=3, det=1)
    t = np.linspace(0, 1, 5)
    path = rotation.fractional_power(Q[:, None], t)
    assert path.shape == (3, 5, 4, 4)
    np.testing.assert_allclose(path[2, 3], rotation.fractional_power(Q[2], t[3]), atol=1e-14)
    original = Q.copy()
    rotation.fractional_power(Q, 0.5)
    np.testing.assert_array_equal(Q, original)


def test_reflections_have_no_real_power():
    with pytest.raises(ValueError, match=r"determinant \+1, got -1"):
        rotation.fractional_power(rotation.haar(3, rng=0, size=4, det=-1), 0.5)
    with pytest.raises(ValueError, match="Q must be orthogonal"):
        rotation.fractional_power(2 * np.eye(3), 0.5)


# --- comparing -----------------------------------------------------------------------------------


@given(st.integers(1, 6), seeds, dets)
@settings(deadline=None)
def test_procrustes_recovers_a_planted_rotation(k, seed, det):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(k + 10, k))
    U = rotation.haar(k, rng, det=det)
    assert norm(rotation.procrustes_rotation(X, X @ U.T) - U) < 1e-9
    A = X.T  # the same for the factors of a factorisation, hidden index first
    assert norm(rotation.procrustes_rotation(A.T, (U @ A).T) - U) < 1e-9


def test_procrustes_agrees_with_scipy_and_takes_a_batch():
    X, Y = np.random.default_rng(0).normal(size=(2, 5, 12, 3))
    U = rotation.procrustes_rotation(X, Y)
    for x, y, u in zip(X, Y, U):
        np.testing.assert_allclose(u.T, scipy.linalg.orthogonal_procrustes(x, y)[0], atol=1e-12)


@given(seeds)
@settings(deadline=None, max_examples=30)
def test_no_other_orthogonal_matrix_fits_better(seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(2, 12, 3))
    best = np.linalg.norm(X @ rotation.procrustes_rotation(X, Y).T - Y)
    others = rotation.haar(3, rng, size=200)
    assert best <= np.linalg.norm(X @ others.swapaxes(-1, -2) - Y, axis=(-2, -1)).min()


def test_principal_angles_see_the_space_and_not_its_basis():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4, 30, 3))
    mixed = X @ rng.normal(size=(4, 3, 3))
    assert rotation.principal_angles(X, mixed).max() < 1e-10
    # One dimension of three exchanged for a perpendicular one: a right angle and two zeros.
    basis = rotation.haar(30, rng)
    angles = rotation.principal_angles(basis[:, :3], basis[:, 1:4])
    np.testing.assert_allclose(angles, [np.pi / 2, 0, 0], atol=1e-7)


# --- axes ----------------------------------------------------------------------------------------


def test_kurtosis_of_known_distributions():
    rng = np.random.default_rng(0)
    n = 400_000
    X = np.stack([rng.normal(size=n), rng.laplace(size=n), rng.uniform(size=n)], axis=1)
    np.testing.assert_allclose(rotation.kurtosis(X), [0, 3, -1.2], atol=0.12)


def test_kurtosis_is_blind_to_rotation_for_gaussian_data_only():
    rng = np.random.default_rng(1)
    U = rotation.haar(10, rng)
    gaussian, sparse = rng.normal(size=(20_000, 10)), rng.laplace(size=(20_000, 10))
    change = [
        rotation.kurtosis(X).mean() - rotation.kurtosis(X @ U.T).mean()
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
    Q = rotation.haar(k, rng)
    back = rotation.varimax(planted @ Q.T) @ Q
    assert norm(np.sort(np.abs(back), axis=-1)[:, :-1]) < 1e-4
    assert rotation.is_orthogonal(back)


def test_varimax_reaches_a_maximum_that_a_batch_shares():
    rng = np.random.default_rng(0)
    X = rng.laplace(size=(3, 500, 4)) * [1, 1.5, 2, 3]  # units of unequal strength
    U = rotation.varimax(X)
    L = X @ U.swapaxes(-1, -2)
    assert (varimax_criterion(L) >= varimax_criterion(X)).all()
    for step in rotation.plane_rotation(1e-2, 4, rng, size=100):
        assert (varimax_criterion(L @ step.T) <= varimax_criterion(L)).all()
    np.testing.assert_allclose(U[1], rotation.varimax(X[1]), atol=1e-3)


def test_varimax_says_when_it_stops_too_early():
    X = np.random.default_rng(0).laplace(size=(500, 4))
    with pytest.warns(RuntimeWarning, match="not converged in 2 steps"):
        rotation.varimax(X, max_iter=2)


# --- input ---------------------------------------------------------------------------------------


def forms(X):
    """The same numbers as people have them."""
    frozen = X.copy()
    frozen.flags.writeable = False
    yield frozen
    yield np.asfortranarray(X)
    yield np.repeat(X, 2, axis=0)[::2]
    yield X[::-1][::-1]
    yield X.astype(">f8")
    yield torch.tensor(X, requires_grad=True)
    yield pd.DataFrame(X)
    yield np.ma.MaskedArray(X)
    yield X.tolist()


def test_arrays_tensors_and_frames_give_the_same():
    rng = np.random.default_rng(0)
    X, Y = rng.laplace(size=(2, 30, 4))
    Q = rotation.haar(4, rng, det=1)
    for one, other, turn in zip(forms(X), forms(Y), forms(Q)):
        np.testing.assert_allclose(
            rotation.procrustes_rotation(one, other), rotation.procrustes_rotation(X, Y), atol=1e-12
        )
        np.testing.assert_allclose(
            rotation.principal_angles(one, other), rotation.principal_angles(X, Y), atol=1e-12
        )
        np.testing.assert_allclose(rotation.kurtosis(one), rotation.kurtosis(X), rtol=1e-12)
        np.testing.assert_allclose(
            rotation.varimax(one, tol=1e-9), rotation.varimax(X, tol=1e-9), atol=1e-9
        )
        np.testing.assert_allclose(
            rotation.fractional_power(turn, 0.3), rotation.fractional_power(Q, 0.3), atol=1e-12
        )


@pytest.mark.parametrize(
    "stored, atol", [("float32", 1e-6), ("float16", 5e-3), ("bfloat16", 4e-2)]
)
def test_rotations_of_lower_precision_are_rotations(stored, atol):
    Q = rotation.haar(6, rng=0, det=1)
    low = torch.as_tensor(Q).to(getattr(torch, stored))
    assert rotation.is_orthogonal(low)
    third = rotation.fractional_power(low, 1 / 3)
    assert rotation.is_orthogonal(third)  # in double precision
    assert norm(third @ third @ third - Q) < atol
    if stored != "bfloat16":
        np.testing.assert_array_equal(rotation.fractional_power(low.numpy(), 1 / 3), third)
    bent = Q + 0.05 * np.eye(6)
    assert not rotation.is_orthogonal(torch.as_tensor(bent).to(low.dtype))


@pytest.mark.parametrize("scale", [1e-120, 1e-16, 1e9, 1e120])
def test_the_scale_of_the_data_does_not_matter(scale):
    rng = np.random.default_rng(0)
    X, Y = rng.laplace(size=(2, 60, 4))
    for function in (rotation.procrustes_rotation, rotation.principal_angles):
        np.testing.assert_allclose(function(scale * X, scale * Y), function(X, Y), atol=1e-12)
    np.testing.assert_allclose(rotation.kurtosis(scale * X), rotation.kurtosis(X), rtol=1e-9)
    np.testing.assert_allclose(rotation.varimax(scale * X), rotation.varimax(X), atol=1e-6)
    np.testing.assert_allclose(rotation.reflection(scale * X), rotation.reflection(X), atol=1e-12)


def test_a_dead_unit_adds_no_principal_angle():
    rng = np.random.default_rng(0)
    basis = rotation.haar(30, rng)
    X, Y = basis[:, :3], basis[:, 2:5]  # one direction shared, two perpendicular
    dead = X * [0, 1, 1]
    expected = [np.pi / 2, 0]
    rounding = 1e-7  # of an angle near 0 whose cosine is right to the last digit
    np.testing.assert_allclose(rotation.principal_angles(dead, Y), expected, atol=rounding)
    batch = rotation.principal_angles(np.stack([dead, dead]), np.stack([Y, Y]))
    np.testing.assert_allclose(batch, [expected, expected], atol=rounding)
    with pytest.raises(ValueError, match="from 2 to 3 principal angles .* zero or linearly depend"):
        rotation.principal_angles(np.stack([dead, X]), np.stack([Y, Y]))
    with pytest.raises(ValueError, match="X has no unit that differs from zero"):
        rotation.principal_angles(0 * X, Y)


def test_rounding_of_single_precision_spans_no_dimension():
    """A unit that is the sum of two others but for an ulp: two dimensions, not three."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 3)).astype(np.float32)
    X[:, 2] = np.nextafter(X[:, 0] + X[:, 1], np.float32(9))
    Y = rng.normal(size=(50, 3))
    for low in (X, torch.as_tensor(X)):
        angles = rotation.principal_angles(low, Y)
        np.testing.assert_allclose(angles, rotation.principal_angles(X[:, :2], Y), atol=1e-6)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda r: r.haar(0, rng=0), "k must be a whole number of at least 1, got 0"),
        (lambda r: r.haar(2.5, rng=0), "k must be a whole number of at least 1, got 2.5"),
        (lambda r: r.haar(3, rng=0, det=2), "det must be None, 1 or -1, got 2"),
        (lambda r: r.haar(3, rng=0, size=(2, -1)), "size must be a whole number of at least 1"),
        (lambda r: r.haar(3, rng=0.5), "rng must be a seed, a numpy.random.Generator or None"),
        (lambda r: r.plane_rotation(1, 5, 0, n_planes=3), "n_planes must be .* from 1 to 2, got 3"),
        (lambda r: r.reflection([0.0, 0.0]), "normal must not be the zero vector"),
        (lambda r: r.procrustes_rotation(np.ones((5, 3)), np.ones((5, 2))), "the shape .* got"),
        (lambda r: r.principal_angles(np.ones((5, 3)), np.ones((4, 3))), "the same n_samples"),
        (lambda r: r.is_orthogonal(np.ones((3, 2))), r"\(\.\.\., k, k\), got \(3, 2\)"),
        (lambda r: r.is_orthogonal(np.full((2, 2), np.nan)), "Q has 4 of 4 values .* not finite"),
        (lambda r: r.is_orthogonal(1j * np.eye(2)), "Q must be an array of real numbers"),
        (lambda r: r.kurtosis(np.ones(3)), r"n_samples >= 2, got \(3,\)"),
        (lambda r: r.kurtosis(np.ones((3, 2))), "X has a unit that is constant"),
        (lambda r: r.varimax(np.eye(3), max_iter=2.0), "max_iter must be a whole number"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(rotation)
