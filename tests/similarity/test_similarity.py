"""Subspace match against its definition, the other measures against published numbers and laws."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import similarity as sim
from hblib.similarity._subspace_match import ROUNDING

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
    return (all(naive_distance(X[:, i], Y[:, list(y)]) <= epsilon + ROUNDING for i in x)
            and all(naive_distance(Y[:, j], X[:, list(x)]) <= epsilon + ROUNDING for j in y))


def naive_maximum_match(X, Y, epsilon, rng):
    """Delete one offender at a time, chosen at random, until none is left."""
    x, y = list(range(X.shape[1])), list(range(Y.shape[1]))
    while True:
        offenders = [("x", i) for i in x
                     if naive_distance(X[:, i], Y[:, y]) > epsilon + ROUNDING]
        offenders += [("y", j) for j in y
                      if naive_distance(Y[:, j], X[:, x]) > epsilon + ROUNDING]
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
@given(SEEDS, st.floats(0, 0.95), st.booleans())
def test_curve_agrees_with_maximum_match(seed, epsilon, centred):
    X, Y = related_layers(np.random.default_rng(seed), 9, 7, 30)
    match = sim.maximum_match(X, Y, epsilon, centred=centred)
    cx, cy = sim.critical_epsilons(X, Y, centred=centred)
    assert match.x == tuple(np.flatnonzero(cx <= epsilon + ROUNDING))
    assert match.y == tuple(np.flatnonzero(cy <= epsilon + ROUNDING))
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
    for measure in (sim.linear_cka, sim.cca_r2, sim.procrustes_similarity):
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
    for measure in (sim.cca_r2, sim.cca_mean, sim.linear_cka, sim.procrustes_similarity, sim.pwcca):
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
    from scipy.stats import ortho_group

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
    from sklearn.cross_decomposition import CCA

    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 4)) @ rng.normal(size=(4, 4))
    Y = X[:, :3] @ rng.normal(size=(3, 6)) + rng.normal(size=(300, 6))
    variates, partners = CCA(4, scale=False, max_iter=10_000, tol=1e-14).fit_transform(X, Y)
    rho = [np.corrcoef(variates[:, i], partners[:, i])[0, 1] for i in range(4)]
    alpha = np.abs((variates / variates.std(axis=0)).T @ (X - X.mean(axis=0))).sum(axis=1)
    assert sim.pwcca(X, Y) == pytest.approx(alpha @ rho / alpha.sum(), abs=1e-6)
    np.testing.assert_allclose(sim.canonical_correlations(X, Y), rho, atol=1e-6)


def test_canonical_correlations_are_cosines_of_principal_angles():
    from scipy.linalg import subspace_angles

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
    from scipy.stats import ortho_group

    rng = np.random.default_rng(0)
    X, Y = (A - A.mean(axis=0) for A in rng.normal(size=(2, 30, 4)))
    X, Y = X / np.linalg.norm(X), Y / np.linalg.norm(Y)
    value = sim.procrustes_similarity(X, Y)
    assert all(np.sum((X @ R) * Y) <= value for R in ortho_group.rvs(4, 200, random_state=rng))
    U, _, Vt = np.linalg.svd(X.T @ Y)
    assert np.sum((X @ U @ Vt) * Y) == pytest.approx(value)


# --- Invariances ----------------------------------------------------------------------------------


def transform(name, X, rng):
    from scipy.stats import ortho_group

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


@settings(max_examples=12, deadline=None)
@given(seed=SEEDS)
def test_invariances_that_hold(seed):
    for name, measure in sim.MEASURES.items():
        for transformation in measure.invariances:
            assert change(measure, transformation, seed) < 1e-8, (name, transformation)


def test_invariances_that_do_not_hold():
    for name, measure in sim.MEASURES.items():
        for transformation in set(sim.TRANSFORMATIONS) - measure.invariances:
            changes = [change(measure, transformation, seed) for seed in range(5)]
            assert max(changes) > 1e-3, (name, transformation)


def test_the_registry_names_transformations_and_functions():
    assert {m.invariances for m in sim.MEASURES.values()} <= {
        frozenset(chosen) for r in range(7) for chosen in itertools.combinations(
            sim.TRANSFORMATIONS, r)}
    match = sim.MEASURES["match"]
    assert match.invariances == {"permutation", "isotropic scaling", "neuron scaling"}
    assert sim.MEASURES["cca_r2"].invariances == set(sim.TRANSFORMATIONS)


def test_symmetry_and_identity():
    for name, measure in sim.MEASURES.items():
        differences = []
        for seed in range(5):
            X, Y = alike_layers(np.random.default_rng(seed))
            assert measure.function(X, X) == pytest.approx(1, abs=1e-9), name
            differences.append(abs(measure.function(X, Y[:, :5]) - measure.function(Y[:, :5], X)))
        assert (max(differences) < 1e-9) == measure.symmetric, name


# --- Wide layers, few samples, other number types ------------------------------------------------


def test_wide_layers_by_the_definition():
    """More neurons than samples: the same numbers, from products of samples with samples."""
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(12, 90)), rng.normal(size=(12, 70))
    Y[:, :40] += X[:, :40]
    A, B = X - X.mean(axis=0), Y - Y.mean(axis=0)
    cross, scale = B.T @ A, np.linalg.norm(A) * np.linalg.norm(B)
    norms = np.linalg.norm(A.T @ A) * np.linalg.norm(B.T @ B)
    assert sim.linear_cka(X, Y) == pytest.approx(np.linalg.norm(cross) ** 2 / norms, rel=1e-12)
    assert sim.procrustes_similarity(X, Y) == pytest.approx(
        np.linalg.norm(cross, "nuc") / scale, rel=1e-12)
    # Song et al. 2012: the unbiased estimate with kernels whose diagonal is zero.
    n = len(X)

    def hsic(K, L):
        K, L = (M - np.diag(np.diag(M)) for M in (K, L))
        return (np.trace(K @ L) + K.sum() * L.sum() / ((n - 1) * (n - 2))
                - 2 / (n - 2) * (K @ L).sum())

    K, L = A @ A.T, B @ B.T
    expected = hsic(K, L) / np.sqrt(hsic(K, K) * hsic(L, L))
    assert sim.debiased_cka(X, Y) == pytest.approx(expected, rel=1e-10)
    one_wide = sim.linear_cka(X, Y[:, :3])
    C = B[:, :3]
    assert one_wide == pytest.approx(np.linalg.norm(C.T @ A) ** 2 / (
        np.linalg.norm(A.T @ A) * np.linalg.norm(C.T @ C)), rel=1e-12)


@pytest.mark.parametrize("name", ["linear_cka", "debiased_cka", "procrustes_similarity"])
def test_a_very_wide_layer_fits_into_memory(name):
    X, Y = np.random.default_rng(0).normal(size=(2, 16, 60_000)).astype(np.float32)
    assert getattr(sim, name)(X, X + Y) == pytest.approx(np.sqrt(1 / 2), abs=0.3)  # 27 GiB before


FULL_RANK = "span all .* samples allow.*Kornblith"


@pytest.mark.parametrize("name", ["cca_r2", "cca_mean", "pwcca", "linear_regression", "match",
                                  "match_centred"])
def test_a_warning_where_rank_leaves_nothing_to_compare(name):
    """Kornblith et al. 2019, theorem 1: as many independent neurons as samples give 1 always."""
    X, Y = np.random.default_rng(0).normal(size=(2, 50, 60))
    with pytest.warns(UserWarning, match=FULL_RANK) as caught:
        assert sim.MEASURES[name].function(X, Y) == pytest.approx(1)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sim.MEASURES[name].function(X[:, :48], Y[:, :48])
        sim.linear_cka(X, Y)


def test_a_neuron_that_varies_by_rounding_only_is_constant():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(200, 3))
    for dtype in (np.float32, np.float16):
        layers = []
        for _ in range(2):
            constant = np.full((200, 1), 0.7, dtype)
            towards = np.where(rng.random((200, 1)) < 0.5, dtype(0), dtype(1))
            constant = np.nextafter(constant, towards)  # one unit in the last place up or down
            layers.append(np.hstack([(common @ rng.normal(size=(3, 3))).astype(dtype), constant]))
        assert sim.cca_mean(*layers) == pytest.approx(1, abs=1e-4)
        assert len(sim.canonical_correlations(*layers)) == 3


def test_an_exact_match_in_single_precision():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(60, 4)).astype(np.float32)
    X, Y = (np.hstack([common @ rng.normal(size=(4, 4)).astype(np.float32),
                       rng.normal(size=(60, n)).astype(np.float32)]) for n in (5, 3))
    match = sim.maximum_match(X, Y, 0.0)
    assert match == ((0, 1, 2, 3), (0, 1, 2, 3))
    np.testing.assert_allclose(sim.matching_curve(X, Y, [0.0, 0.01]), 8 / 16)


def test_layers_of_any_type():
    torch = pytest.importorskip("torch")
    X, Y = np.random.default_rng(0).integers(-9, 9, size=(2, 40, 4))
    backwards = np.asfortranarray(X[::-1].astype(float))[::-1]
    backwards.flags.writeable = False
    for name, measure in sim.MEASURES.items():
        expected = measure.function(X.astype(float), Y.astype(float))
        for other in (X, backwards, pd.DataFrame(X), torch.tensor(X),
                      torch.tensor(X, dtype=torch.bfloat16),
                      torch.tensor(X, dtype=torch.float32, requires_grad=True)):
            # Small whole numbers are exact in every type.
            assert measure.function(other, Y) == pytest.approx(expected, rel=1e-12), name


# --- Layer identification and input ---------------------------------------------------------------


@pytest.mark.parametrize("name", sim.MEASURES)
def test_all_pairs_gives_what_the_measure_gives(name):
    rng = np.random.default_rng(4)
    layers = [rng.normal(size=(40, width)) for width in (3, 5)]
    others = [layers[0] @ rng.normal(size=(3, 4)) ** 3, rng.normal(size=(40, 6))]
    wanted = [[sim.MEASURES[name].function(a, b) for b in others] for a in layers]
    np.testing.assert_allclose(sim.all_pairs(name, layers, others), wanted, atol=1e-12)


def test_all_pairs_refuses_what_the_measure_refuses():
    X = np.random.default_rng(0).normal(size=(12, 3))
    with pytest.raises(ValueError, match="measure must be one of 'match', "):
        sim.all_pairs("cosine", [X], [X])
    with pytest.raises(ValueError, match="the same samples in their rows"):
        sim.all_pairs("rsa", [X], [X[:-1]])
    with pytest.raises(ValueError, match="all neurons of a layer give sample 0 the same"):
        sim.all_pairs("rsa", [X], [X * np.arange(12).clip(max=1)[:, None]])


def test_identification_accuracy():
    perfect = np.eye(4)[None]
    assert sim.identification_accuracy(perfect) == [1]
    assert sim.identification_accuracy(1 - perfect) == [0]
    assert sim.identification_accuracy(np.ones((1, 4, 4))) == pytest.approx([1 / 4])
    with pytest.raises(ValueError, match="n_pairs, n_layers, n_layers"):
        sim.identification_accuracy(np.eye(3))
    with pytest.raises(ValueError, match="4 of 4 values that are not finite"):
        sim.identification_accuracy(np.full((1, 2, 2), np.nan))


def test_columns_may_be_given_as_masks():
    X = np.random.default_rng(0).normal(size=(20, 4))
    Y = X @ np.diag([1.0, 2, 3, 4])
    Y[:, :2] = np.random.default_rng(1).normal(size=(20, 2))
    mask = [False, False, True, True]
    assert sim.is_match(X, Y, 0, mask, mask)
    assert sim.is_match(X, Y, 0, [3, 2], np.array(mask))
    assert not sim.is_match(X, Y, 0, [0, 1], [0, 1])
    assert sim.is_match(X, Y, 0, [], [])
    for columns, message in [([1.9, 3], "column numbers, or one truth value"),
                             ([True, False], "each of the 4 columns of X"),
                             ([4], "0 to 3"), ([-1], "0 to 3")]:
        with pytest.raises(ValueError, match=message):
            sim.is_match(X, Y, 0, columns, mask)


@pytest.mark.parametrize("shapes, message", [
    ([(10,), (10, 3)], r"X must have the shape \(n_samples, n_neurons\), got \(10,\)$"),
    ([(10, 3), (10, 3, 4, 4)], r"Y must have the shape.*reshape the maps of a convolution"),
    ([(10, 3), (10, 0)], "Y is empty"),
    ([(10, 3), (7, 3)], "got 10 and 7 rows"),
])
def test_layers_of_the_wrong_shape(shapes, message):
    layers = [np.ones(shape) for shape in shapes]
    for measure in sim.MEASURES.values():
        with pytest.raises(ValueError, match=message):
            measure.function(*layers)


def test_values_that_are_not_finite():
    good = np.random.default_rng(0).normal(size=(10, 3))
    for measure in sim.MEASURES.values():
        with pytest.raises(ValueError, match="X has 30 of 30 values that are not finite"):
            measure.function(np.nan * good, good)
        with pytest.raises(ValueError, match="Y has 30 of 30 values that are not finite"):
            measure.function(good, np.inf * good)


@pytest.mark.parametrize("call, message", [
    (lambda X: sim.maximum_match(X, X, 1.0), r"epsilon must be in \[0, 1\), got 1.0"),
    (lambda X: sim.maximum_match(X, X, np.nan), r"epsilon must be in \[0, 1\), got nan"),
    (lambda X: sim.maximum_match(X, X, "0.3"), r"epsilon must be in \[0, 1\), got '0.3'"),
    (lambda X: sim.matching_curve(X, X, [0.1, -0.1]), "got -0.1"),
    (lambda X: sim.svcca(X, X, variance=0), "variance"),
    (lambda X: sim.rbf_cka(X, X, bandwidth=0), "bandwidth"),
    (lambda X: sim.rbf_cka(np.repeat(X[:2], [9, 1], axis=0), X), "coincide"),
    (lambda X: sim.mutual_knn(X, X, k=10), "n_samples = 10.* from 1 to 9, got 10"),
    (lambda X: sim.debiased_cka(X[:3], X[:3]), "at least 4 samples"),
    (lambda X: sim.rsa(X[:, :1], X), "sample 0"),
    (lambda X: sim.cca_r2(0 * X, X, centred=False), "layer of zeros"),
])
def test_bad_parameters(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.random.default_rng(0).normal(size=(10, 3)))
