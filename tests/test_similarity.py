"""Subspace match against its definition, the other measures against published numbers and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import subspace_angles
from scipy.stats import ortho_group
from sklearn.cross_decomposition import CCA

from hblib.similarity import _similarity as sim

SEEDS = st.integers(0, 2**32 - 1)


# --- References: the definitions, word by word ----------------------------------------------------


def naive_distance(z, others):
    """Relative distance of z from the span of the columns of `others`, on the raw samples."""
    if not z.any():
        return np.inf
    if others.shape[1] == 0:
        return 1.0
    solution = np.linalg.lstsq(others, z, rcond=1e-10)[0]
    return np.linalg.norm(z - others @ solution) / np.linalg.norm(z)


def naive_is_match(X, Y, epsilon, x, y):
    return (all(naive_distance(X[:, i], Y[:, list(y)]) <= epsilon + sim.ROUNDING for i in x)
            and all(naive_distance(Y[:, j], X[:, list(x)]) <= epsilon + sim.ROUNDING for j in y))


def naive_maximum_match(X, Y, epsilon, rng):
    """Delete one offender at a time, chosen at random, until none is left."""
    x, y = list(range(X.shape[1])), list(range(Y.shape[1]))
    while True:
        offenders = [("x", i) for i in x
                     if naive_distance(X[:, i], Y[:, y]) > epsilon + sim.ROUNDING]
        offenders += [("y", j) for j in y
                      if naive_distance(Y[:, j], X[:, x]) > epsilon + sim.ROUNDING]
        if not offenders:
            return sim.Match(tuple(x), tuple(y))
        side, neuron = offenders[rng.integers(len(offenders))]
        (x if side == "x" else y).remove(neuron)


def all_matches(X, Y, epsilon):
    def subsets(n):
        return itertools.chain.from_iterable(itertools.combinations(range(n), r)
                                             for r in range(n + 1))

    return [sim.Match(x, y) for x in subsets(X.shape[1]) for y in subsets(Y.shape[1])
            if (x or y) and naive_is_match(X, Y, epsilon, x, y)]


def union(matches):
    return sim.Match(*(tuple(sorted(set().union(*(m[side] for m in matches)))) for side in (0, 1)))


def strictly_inside(a, b):
    return a != b and set(a.x) <= set(b.x) and set(a.y) <= set(b.y)


def related_layers(rng, p=4, q=4, n=12):
    """Two layers in which some neurons are combinations of others, some dead, some alone."""
    common = rng.normal(size=(n, 3))
    X, Y = rng.normal(size=(n, p)), rng.normal(size=(n, q))
    for A in (X, Y):
        for i in range(A.shape[1]):
            kind = rng.integers(5)
            if kind <= 1:
                A[:, i] = common[:, rng.permutation(3)[:2]] @ rng.normal(size=2)
            elif kind == 2:
                A[:, i] = common @ rng.normal(size=3) + 0.3 * rng.normal(size=n)
            elif kind == 3 and rng.random() < 0.3:
                A[:, i] = 0
    return X, Y


# --- Subspace match -------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.2, 0.4, 0.7]))
def test_maximum_match_is_the_union_of_all_matches(seed, epsilon):
    X, Y = related_layers(np.random.default_rng(seed), 3, 4)
    matches = all_matches(X, Y, epsilon)
    assert sim.maximum_match(X, Y, epsilon) == union(matches)
    if matches:
        assert union(matches) in matches


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.floats(0, 0.95))
def test_maximum_match_does_not_depend_on_the_order_of_deletion(seed, epsilon):
    rng = np.random.default_rng(seed)
    X, Y = related_layers(rng, 6, 5, 20)
    assert sim.maximum_match(X, Y, epsilon) == naive_maximum_match(X, Y, epsilon, rng)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.3]))
def test_matches_are_closed_under_union(seed, epsilon):
    X, Y = related_layers(np.random.default_rng(seed), 3, 3)
    matches = all_matches(X, Y, epsilon)
    for a, b in itertools.combinations(matches, 2):
        both = union([a, b])
        assert sim.is_match(X, Y, epsilon, both.x, both.y)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.sampled_from([0.0, 0.3, 0.6]), st.booleans())
def test_simple_matches_against_brute_force(seed, epsilon, shuffled):
    rng = np.random.default_rng(seed)
    X, Y = related_layers(rng, 3, 4)
    matches = all_matches(X, Y, epsilon)
    # Simple by the definition: not the union of the strictly smaller matches.
    simple = [m for m in matches
              if union([a for a in matches if strictly_inside(a, m)]) != m]
    found = sim.simple_matches(X, Y, epsilon, rng=rng if shuffled else None)
    assert set(found) <= set(simple)
    assert union(found) == sim.maximum_match(X, Y, epsilon)
    for side, width in (("x", 3), ("y", 4)):
        for v in range(width):
            one = sim.minimal_match(X, Y, epsilon, v, side=side)
            holding = [m for m in matches if v in getattr(m, side)]
            if one is None:
                assert not holding
            else:
                assert one in holding and not any(strictly_inside(m, one) for m in holding)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.floats(0, 0.95), st.booleans())
def test_curve_agrees_with_maximum_match(seed, epsilon, centred):
    X, Y = related_layers(np.random.default_rng(seed), 9, 7, 30)
    match = sim.maximum_match(X, Y, epsilon, centred=centred)
    cx, cy = sim.critical_epsilons(X, Y, centred=centred)
    assert match.x == tuple(np.flatnonzero(cx <= epsilon + sim.ROUNDING))
    assert match.y == tuple(np.flatnonzero(cy <= epsilon + sim.ROUNDING))
    curve = sim.matching_curve(X, Y, [epsilon], centred=centred)
    assert curve[0] == sim.matching_similarity(X, Y, epsilon=epsilon, centred=centred)


def test_curve_of_wide_layers_with_linear_relations():
    """More neurons than dimensions on one side: the null space of the fit is at work."""
    rng = np.random.default_rng(5)
    common = rng.normal(size=(200, 8))
    X = np.hstack([common @ rng.normal(size=(8, 30)), rng.normal(size=(200, 10))])
    Y = np.hstack([common @ rng.normal(size=(8, 20)) + 0.1 * rng.normal(size=(200, 20)),
                   common @ rng.normal(size=(8, 12))])
    epsilons = np.linspace(0, 0.99, 34)
    expected = [sim.matching_similarity(X, Y, epsilon=e) for e in epsilons]
    np.testing.assert_array_equal(sim.matching_curve(X, Y, epsilons), expected)
    assert len(set(expected)) > 5


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_planted_match_is_found(seed):
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(60, 4))
    X = np.hstack([common @ rng.normal(size=(4, 4)), rng.normal(size=(60, 5))])
    Y = np.hstack([common @ rng.normal(size=(4, 6)), rng.normal(size=(60, 3))])
    x, y = rng.permutation(9), rng.permutation(9)
    match = sim.maximum_match(X[:, x], Y[:, y], 0.0)
    assert {int(x[i]) for i in match.x} == {0, 1, 2, 3}
    assert {int(y[j]) for j in match.y} == {0, 1, 2, 3, 4, 5}


def test_number_of_samples_leaves_the_loop():
    rng = np.random.default_rng(0)
    X, Y = related_layers(rng, 8, 8, 40)
    blow_up, _ = np.linalg.qr(rng.normal(size=(3000, 40)))
    for epsilon in (0.0, 0.3, 0.6):
        assert sim.maximum_match(X, Y, epsilon) == sim.maximum_match(blow_up @ X, blow_up @ Y,
                                                                     epsilon)


def test_rank_law():
    """Spans that share r of n dimensions match nowhere until r = n, while R^2_CCA is r / n."""
    rng = np.random.default_rng(1)
    n = 8
    frame, _ = np.linalg.qr(rng.normal(size=(100, 2 * n)))
    for r in range(n + 1):
        X = frame[:, :n] @ rng.normal(size=(n, n))
        Y = np.hstack([frame[:, :r], frame[:, n:2 * n - r]]) @ rng.normal(size=(n, n))
        assert sim.matching_similarity(X, Y, epsilon=0.0) == (r == n)
        assert sim.cca_r2(X, Y, centred=False) == pytest.approx(r / n, abs=1e-9)


def test_square_example():
    """Two 2-2-2 ReLU networks: equal outputs, no match below sqrt(2/3), all alike when centred."""
    inputs = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]])
    readout = np.array([[1, -1], [1, -1]])
    X = np.maximum(inputs @ -np.eye(2), 0)
    Y = np.maximum(inputs @ np.array([[0, 1], [1, 0]]), 0)
    np.testing.assert_array_equal(X @ readout.T, Y @ readout.T)
    edge = np.sqrt(2 / 3)
    cx, cy = sim.critical_epsilons(X, Y)
    np.testing.assert_allclose(np.concatenate([cx, cy]), edge, rtol=1e-12)
    assert sim.matching_similarity(X, Y, epsilon=edge - 1e-6) == 0
    assert sim.matching_similarity(X, Y, epsilon=edge + 1e-6) == 1
    assert sim.cca_r2(X, Y, centred=False) == pytest.approx(5 / 9)
    for measure in (sim.linear_cka, sim.cca_r2, sim.procrustes):
        assert measure(X, Y) == pytest.approx(1)
    assert sim.matching_similarity(X, Y, epsilon=0, centred=True) == 1


def test_match_never_exceeds_the_share_of_live_neurons():
    X = np.random.default_rng(0).normal(size=(30, 6))
    dead = X.copy()
    dead[:, :2] = 0
    assert sim.matching_similarity(X, X, epsilon=0.0) == 1
    assert sim.matching_similarity(dead, dead, epsilon=0.9) == pytest.approx(4 / 6)
    np.testing.assert_array_equal(sim.critical_epsilons(dead, dead)[0][:2], np.inf)


def test_zero_and_constant_layers():
    X = np.random.default_rng(0).normal(size=(30, 3))
    zero, constant = np.zeros((30, 2)), np.full((30, 2), 0.1)
    assert sim.matching_similarity(X, zero) == 0
    assert sim.matching_similarity(zero, zero) == 0
    assert sim.maximum_match(constant, constant, 0.0) == ((0, 1), (0, 1))
    assert sim.maximum_match(constant, constant, 0.0, centred=True) == ((), ())
    one_constant = np.hstack([X, constant])
    for name, measure in sim.MEASURES.items():
        assert np.isfinite(measure.function(X, one_constant)), name
        if not name.startswith("match"):
            for pair in ((X, constant), (zero, X)):
                with pytest.raises(ValueError, match="constant"):
                    measure.function(*pair)


def test_constant_neurons_do_not_count_as_dimensions():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    padded = np.hstack([Y, np.full((50, 1), 7.0)])
    for measure in (sim.cca_r2, sim.cca_mean, sim.linear_cka, sim.procrustes, sim.pwcca):
        assert measure(X, padded) == pytest.approx(measure(X, Y), rel=1e-12)


# --- The other measures ---------------------------------------------------------------------------


def test_published_numbers():
    """Demo.ipynb of google-research/representation_similarity (Kornblith et al. 2019)."""
    state = np.random.RandomState(1337)
    X = state.randn(100, 10)
    Y = state.randn(100, 10) + X
    assert round(sim.linear_cka(X, Y), 5) == 0.55761
    assert round(sim.debiased_cka(X, Y), 5) == 0.51346
    assert round(sim.rbf_cka(X, Y, bandwidth=0.5), 5) == 0.65483
    assert round(sim.cca_r2(X, Y, centred=False), 5) == 0.54312


def test_closed_forms_of_the_crelu_family():
    """[relu(Mx), relu(-Mx)] for random rotations M: the limits for many inputs and wide layers."""
    rng = np.random.default_rng(0)
    k = 48
    inputs = rng.normal(size=(6000, k))
    X, Y = (np.maximum(np.hstack([inputs @ M.T, -inputs @ M.T]), 0)
            for M in ortho_group.rvs(k, size=2, random_state=rng))
    rho = sim.canonical_correlations(X, Y, centred=False)
    assert np.sum(rho > 1 - 1e-9) == k
    assert sim.linear_cka(X, Y) == pytest.approx(1 / (1 + (1 - 2 / np.pi) ** 2), abs=0.015)
    edge = np.median(sim.critical_epsilons(X, Y)[0])
    assert edge == pytest.approx(np.sqrt((1 - 2 / np.pi) / 2), abs=0.02)


def test_measures_of_layers_that_share_known_directions():
    """Orthonormal directions of variance 9, 4 and 1; the layers share the first two."""
    rng = np.random.default_rng(1)
    A = rng.normal(size=(50, 4))
    Q = np.linalg.qr(A - A.mean(axis=0))[0]
    X, Y = Q[:, [0, 1, 2]] * [3, 2, 1], Q[:, [0, 1, 3]] * [3, 2, 1]
    # Two directions hold 13 / 14 = 0.93 of the variance.
    assert sim.svcca(X, Y, variance=0.92) == pytest.approx(1)
    assert sim.svcca(X, Y, variance=0.94) == pytest.approx(2 / 3)
    assert sim.linear_regression(X, Q[:, :1]) == pytest.approx(9 / 14)
    assert sim.linear_regression(Q[:, :1], X) == pytest.approx(1)


def test_pwcca_against_scikit_learn():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    Y = X[:, :3] @ rng.normal(size=(3, 6)) + rng.normal(size=(300, 6))
    variates, partners = CCA(4, scale=False, max_iter=10_000, tol=1e-14).fit_transform(X, Y)
    rho = [np.corrcoef(variates[:, i], partners[:, i])[0, 1] for i in range(4)]
    alpha = np.abs((variates / variates.std(axis=0)).T @ (X - X.mean(axis=0))).sum(axis=1)
    assert sim.pwcca(X, Y) == pytest.approx(alpha @ rho / alpha.sum(), abs=1e-6)
    np.testing.assert_allclose(sim.canonical_correlations(X, Y), rho, atol=1e-6)


def test_canonical_correlations_are_cosines_of_principal_angles():
    rng = np.random.default_rng(4)
    X, Y = rng.normal(size=(40, 5)), rng.normal(size=(40, 7))
    np.testing.assert_allclose(sim.canonical_correlations(X, Y, centred=False),
                               np.sort(np.cos(subspace_angles(X, Y)))[::-1], atol=1e-12)


def test_debiased_cka_is_centred_on_zero():
    rng = np.random.default_rng(0)
    values = [sim.debiased_cka(rng.normal(size=(20, 15)), rng.normal(size=(20, 15)))
              for _ in range(200)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(200)
    assert sim.linear_cka(rng.normal(size=(20, 15)), rng.normal(size=(20, 15))) > 0.2


def test_mutual_knn_and_neuron_matching_by_definition():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(25, 3)), rng.normal(size=(25, 3))

    def nearest(A):
        unit = A / np.linalg.norm(A, axis=1, keepdims=True)
        cosine = unit @ unit.T - 9 * np.eye(len(A))
        return [set(row) for row in np.argsort(-cosine, axis=1)[:, :4]]

    share = np.mean([len(a & b) / 4 for a, b in zip(nearest(X), nearest(Y), strict=True)])
    assert sim.mutual_knn(X, Y, k=4) == pytest.approx(share)
    correlation = np.corrcoef(X.T, Y.T)[:3, 3:]
    best = max(np.mean([correlation[i, p[i]] for i in range(3)])
               for p in itertools.permutations(range(3)))
    assert sim.neuron_matching(X, Y) == pytest.approx(best)
    assert sim.neuron_matching(X, X[:, ::-1]) == pytest.approx(1)
    assert sim.neuron_matching(X, -X[:, ::-1]) < 0.9


def test_procrustes_by_definition():
    """No rotation found by chance beats it, and the best one reaches it."""
    rng = np.random.default_rng(0)
    X, Y = (A - A.mean(axis=0) for A in rng.normal(size=(2, 30, 4)))
    X, Y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    value = sim.procrustes(X, Y)
    assert all(np.sum((X @ R) * Y) <= value for R in ortho_group.rvs(4, 200, random_state=rng))
    U, _, Vt = np.linalg.svd(X.T @ Y)
    assert np.sum((X @ U @ Vt) * Y) == pytest.approx(value)


# --- Invariances ----------------------------------------------------------------------------------


def transform(name, X, rng):
    width = X.shape[1]
    if name == "permutation":
        return X[:, rng.permutation(width)]
    if name == "isotropic scaling":
        return 3.7 * X
    if name == "neuron scaling":
        return X * np.geomspace(0.05, 5, width)
    if name == "orthogonal":
        return X @ ortho_group.rvs(width, random_state=rng)
    if name == "invertible linear":
        skew = ortho_group.rvs(width, random_state=rng) * np.geomspace(0.1, 10, width)
        return X @ skew @ ortho_group.rvs(width, random_state=rng)
    return X + rng.normal(size=width) * 3 * X.std()


def alike_layers(rng):
    """Two layers of 6 neurons over 80 samples, half shared at several noise levels, means not 0."""
    common = rng.normal(size=(80, 6)) * np.geomspace(1, 0.2, 6)
    noise = np.array([0.1, 0.2, 0.4, 0.6, 0.9, 1.2]) * common.std()
    X = common + noise * rng.normal(size=(80, 6)) + 0.5
    Y = common @ (np.eye(6) + 0.1 * rng.normal(size=(6, 6))) + 0.3
    return X, Y


def change(measure, transformation, seed):
    rng = np.random.default_rng(seed)
    X, Y = alike_layers(rng)
    return abs(measure.function(transform(transformation, X, rng), Y) - measure.function(X, Y))


@pytest.mark.parametrize("name, transformation", [
    (name, transformation) for name, measure in sim.MEASURES.items()
    for transformation in sim.TRANSFORMATIONS if transformation in measure.invariances])
@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_invariances_that_hold(name, transformation, seed):
    assert change(sim.MEASURES[name], transformation, seed) < 1e-8


@pytest.mark.parametrize("name, transformation", [
    (name, transformation) for name, measure in sim.MEASURES.items()
    for transformation in sim.TRANSFORMATIONS if transformation not in measure.invariances])
def test_invariances_that_do_not_hold(name, transformation):
    assert max(change(sim.MEASURES[name], transformation, seed) for seed in range(5)) > 1e-3


@pytest.mark.parametrize("name", sim.MEASURES)
def test_symmetry_and_identity(name):
    measure = sim.MEASURES[name]
    differences = []
    for seed in range(5):
        X, Y = alike_layers(np.random.default_rng(seed))
        assert measure.function(X, X) == pytest.approx(1, abs=1e-9)
        differences.append(abs(measure.function(X, Y[:, :5]) - measure.function(Y[:, :5], X)))
    assert (max(differences) < 1e-9) == measure.symmetric


# --- Layer identification and input ---------------------------------------------------------------


def test_identification_accuracy():
    perfect = np.eye(4)[None]
    assert sim.identification_accuracy(perfect) == [1]
    assert sim.identification_accuracy(1 - perfect) == [0]
    assert sim.identification_accuracy(np.ones((1, 4, 4))) == pytest.approx([1 / 4])
    with pytest.raises(ValueError, match="n_pairs, n_layers, n_layers"):
        sim.identification_accuracy(np.eye(3))
    with pytest.raises(ValueError, match="NaN"):
        sim.identification_accuracy(np.full((1, 2, 2), np.nan))


GOOD = np.random.default_rng(0).normal(size=(10, 3))


@pytest.mark.parametrize("name", sim.MEASURES)
@pytest.mark.parametrize("X, Y, message", [
    (GOOD[:, 0], GOOD, "X must be 2-D"),
    (GOOD, GOOD[None], "Y must be 2-D"),
    (GOOD, GOOD[:, :0], "Y must be 2-D"),
    (GOOD[:0], GOOD[:0], "not empty"),
    (GOOD, GOOD[:7], "got 10 and 7 rows"),
    (np.where(GOOD > 1, np.nan, GOOD), GOOD, "X contains values that are not finite"),
    (GOOD, np.where(GOOD > 1, np.inf, GOOD), "Y contains values that are not finite"),
])
def test_bad_layers(name, X, Y, message):
    with pytest.raises(ValueError, match=message):
        sim.MEASURES[name].function(X, Y)


@pytest.mark.parametrize("call, message", [
    (lambda: sim.maximum_match(GOOD, GOOD, 1.0), r"epsilon must be in \[0, 1\), got 1.0"),
    (lambda: sim.maximum_match(GOOD, GOOD, np.nan), "epsilon"),
    (lambda: sim.matching_curve(GOOD, GOOD, [0.1, -0.1]), "got -0.1"),
    (lambda: sim.minimal_match(GOOD, GOOD, 0.1, 3), "0 to 2, got 3"),
    (lambda: sim.minimal_match(GOOD, GOOD, 0.1, 0, side="z"), "side must be 'x' or 'y'"),
    (lambda: sim.svcca(GOOD, GOOD, variance=0), "variance"),
    (lambda: sim.rbf_cka(GOOD, GOOD, bandwidth=0), "bandwidth"),
    (lambda: sim.rbf_cka(np.repeat(GOOD[:2], [9, 1], axis=0), GOOD), "coincide"),
    (lambda: sim.mutual_knn(GOOD, GOOD, k=10), "n_samples - 1 = 9, got 10"),
    (lambda: sim.debiased_cka(GOOD[:3], GOOD[:3]), "at least 4 samples"),
    (lambda: sim.rsa(GOOD[:, :1], GOOD), "sample 0"),
    (lambda: sim.cca_r2(0 * GOOD, GOOD, centred=False), "layer of zeros"),
])
def test_bad_parameters(call, message):
    with pytest.raises(ValueError, match=message):
        call()
