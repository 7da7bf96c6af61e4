import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse as sp
from scipy.optimize import nnls

from hblib import sparse
from hblib.sparse import _sparse

seeds = st.integers(0, 2**32 - 1)


def random_dictionary(n_atoms, n_features, rng):
    D = rng.normal(size=(n_atoms, n_features))
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def problem(seed, n_atoms=30, n_features=12, n_samples=20):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_samples, n_features)), random_dictionary(n_atoms, n_features, rng)


def textbook_omp(x, D, sparsity, tolerance=0.0):
    """Choose the atom with the largest product with the rest, refit all by least squares."""
    chosen, weights, rest = [], np.zeros(0), x
    while len(chosen) < sparsity and np.linalg.norm(rest) > tolerance:
        products = np.abs(D @ rest)
        if products.max() <= 1e-13 * np.linalg.norm(x):
            break
        chosen.append(int(np.argmax(products)))
        weights = np.linalg.lstsq(D[chosen].T, x)[0]
        rest = x - weights @ D[chosen]
    return chosen, weights


def textbook_positive_omp(x, D, sparsity):
    """The same with the largest positive product and a non-negative fit; zeros are given up."""
    chosen, weights, rest = [], np.zeros(0), x
    while len(chosen) < sparsity and (D @ rest).max() > 1e-10 * np.linalg.norm(x):
        chosen.append(int(np.argmax(D @ rest)))
        weights = nnls(D[chosen].T, x)[0]
        chosen = [j for j, w in zip(chosen, weights) if w > 0]
        weights = weights[weights > 0]
        rest = x - weights @ D[chosen]
    return chosen, weights


def rows(codes):
    for start, end in zip(codes.indptr[:-1], codes.indptr[1:]):
        yield codes.indices[start:end].tolist(), codes.data[start:end]


# --- the pursuit ----------------------------------------------------------------------------------


@given(seeds, st.integers(1, 60), st.integers(1, 25), st.data())
@settings(deadline=None, max_examples=60)
def test_codes_are_those_of_the_textbook(seed, n_atoms, n_features, data):
    sparsity = data.draw(st.integers(1, min(n_atoms, n_features)))
    X, D = problem(seed, n_atoms, n_features, n_samples=5)
    codes = sparse.batch_omp(X, D, sparsity)
    for x, (chosen, weights) in zip(X, rows(codes)):
        theirs, their_weights = textbook_omp(x, D, sparsity)
        if np.linalg.cond(D[theirs]) < 1e3:
            # A one-dimensional tie is a matter of rounding, and so is a last atom after a fit
            # that has nothing left.
            k = len(chosen)
            assert n_features == 1 or chosen == theirs[:k]
            assert k == len(theirs) or np.linalg.norm(x - weights @ D[chosen]) < 1e-9
            np.testing.assert_allclose(weights, their_weights[:k], atol=1e-9)


@pytest.mark.parametrize("sparsity", [1, 2, 5, 9, 20])
def test_agrees_with_scikit_learn_to_rounding(sparsity):
    X, D = problem(0, n_atoms=150, n_features=64, n_samples=300)
    from sklearn.linear_model import orthogonal_mp_gram

    theirs = orthogonal_mp_gram(D @ D.T, D @ X.T, n_nonzero_coefs=sparsity).T
    ours = sparse.batch_omp(X, D, sparsity).toarray()
    assert np.array_equal(ours != 0, theirs != 0)
    np.testing.assert_allclose(ours, theirs, atol=1e-12, rtol=0)


def test_single_precision_agrees_to_its_own_rounding():
    X, D = problem(1, n_atoms=100, n_features=40, n_samples=500)
    single = sparse.batch_omp(X.astype(np.float32), D.astype(np.float32), 6)
    double = sparse.batch_omp(X, D, 6)
    assert single.dtype == np.float32
    same = (single.indices == double.indices).reshape(500, 6).all(axis=1)
    assert same.mean() > 0.99
    gap = np.abs(single.data - double.data).reshape(500, 6)[same]
    assert gap.max() < 1e-4


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_choosing_in_single_precision_first_changes_nothing(n_jobs):
    """With 400 atoms or more; twins 1e-7 apart can only be told from each other in double."""
    X, D = problem(20, n_atoms=300, n_features=32, n_samples=1500)
    rng = np.random.default_rng(21)
    twins = D + 1e-7 * rng.normal(size=D.shape)
    D = np.vstack([D, twins / np.linalg.norm(twins, axis=1, keepdims=True)])
    codes = sparse.batch_omp(X, D, 5, n_jobs=n_jobs)
    coder = _sparse.Coder(D)
    assert coder.single is not None
    coder.single = None
    double = coder.code(X, 5)
    assert np.array_equal(codes.indices, double.indices)
    np.testing.assert_allclose(codes.data, double.data, atol=1e-12)
    for x, (chosen, _) in zip(X[:100], rows(codes)):
        assert chosen == textbook_omp(x, D, 5)[0]


@pytest.mark.parametrize("scale", [1e-100, 1e-20, 1e20, 1e100])
def test_signals_beyond_the_range_of_single_precision(scale):
    X, D = problem(22, n_atoms=450, n_features=32)
    codes = sparse.batch_omp(X, D, 5)
    X[3:6] *= scale
    scaled = sparse.batch_omp(X, D, 5)
    assert np.array_equal(codes.indices, scaled.indices)
    np.testing.assert_allclose(scaled.toarray()[3:6] / scale, codes.toarray()[3:6], rtol=1e-9)


@given(seeds, st.booleans(), st.floats(1e-9, 2.0))
@settings(deadline=None, max_examples=60)
def test_error_target_is_met_with_as_few_atoms_as_the_pursuit_needs(seed, positive, relative):
    X, D = problem(seed, n_samples=4)
    if positive:
        X, D = np.abs(X), np.abs(D)
    # No round share: whether a length equals itself is for rounding to decide.
    tolerance = 0.99371 * relative * np.linalg.norm(X, axis=1)
    codes = sparse.batch_omp(X, D, tolerance=tolerance, positive=positive)
    rest = np.linalg.norm(X - codes @ D, axis=1)
    if not positive:
        assert (rest <= tolerance * (1 + 1e-9) + 1e-12).all()
        for x, (chosen, _), goal in zip(X, rows(codes), tolerance):
            assert chosen == textbook_omp(x, D, 12, goal)[0]
    counts = np.diff(codes.indptr)
    for i in np.flatnonzero(counts > 1):
        fewer = sparse.batch_omp(X[[i]], D, int(counts[i]) - 1, positive=positive)
        assert positive or np.linalg.norm(X[i] - fewer @ D) > tolerance[i] * (1 - 1e-9)


def test_sparsity_and_tolerance_together_stop_at_whichever_comes_first():
    X, D = problem(2)
    tolerance = 0.5 * np.linalg.norm(X, axis=1)
    counts = np.diff(sparse.batch_omp(X, D, tolerance=tolerance).indptr)
    both = np.diff(sparse.batch_omp(X, D, 3, tolerance=tolerance).indptr)
    assert np.array_equal(both, np.minimum(counts, 3))
    assert counts.max() > 3 > counts.min()


@given(seeds, st.integers(1, 12))
@settings(deadline=None, max_examples=60)
def test_non_negative_codes_are_those_of_the_textbook(seed, sparsity):
    X, D = problem(seed, n_samples=5)
    codes = sparse.batch_omp(X, D, sparsity, positive=True)
    assert codes.nnz == 0 or codes.data.min() > 0
    for x, (chosen, weights) in zip(X, rows(codes)):
        theirs, their_weights = textbook_positive_omp(x, D, sparsity)
        assert chosen == theirs
        np.testing.assert_allclose(weights, their_weights, atol=1e-10)


@given(seeds, st.booleans())
@settings(deadline=None, max_examples=30)
def test_residual_is_orthogonal_to_the_chosen_atoms_and_falls_with_each(seed, positive):
    X, D = problem(seed, n_samples=3)
    before = np.linalg.norm(X, axis=1)
    for sparsity in range(1, 8):
        codes = sparse.batch_omp(X, D, sparsity, positive=positive)
        rest = X - codes @ D
        for r, (chosen, _) in zip(rest, rows(codes)):
            np.testing.assert_allclose(D[chosen] @ r, 0, atol=1e-10)
        assert (np.linalg.norm(rest, axis=1) <= before + 1e-12).all()
        before = np.linalg.norm(rest, axis=1)


@given(seeds, st.sampled_from([1, 2, 3]))
@settings(deadline=None, max_examples=20)
def test_threads_chunks_and_order_of_signals_change_nothing(seed, n_jobs):
    X, D = problem(seed, n_samples=2100)
    codes = sparse.batch_omp(X, D, 4, n_jobs=n_jobs)
    order = np.random.default_rng(seed).permutation(len(X))
    shuffled = sparse.batch_omp(X[order], D, 4)
    assert np.array_equal(shuffled.indices.reshape(-1, 4), codes.indices.reshape(-1, 4)[order])
    np.testing.assert_allclose(
        shuffled.data.reshape(-1, 4), codes.data.reshape(-1, 4)[order], atol=1e-12
    )


# --- adversarial input ----------------------------------------------------------------------------


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zero_signal_has_an_empty_code(positive, dtype):
    X, D = problem(3)
    X[4] = 0
    codes = sparse.batch_omp(X.astype(dtype), D.astype(dtype), 5, positive=positive)
    assert np.diff(codes.indptr)[4] == 0
    assert np.diff(codes.indptr)[5] > 0
    np.testing.assert_array_equal((codes @ D)[4], 0)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_signal_equal_to_an_atom_needs_that_atom_only(positive, dtype):
    _, D = problem(4)
    codes = sparse.batch_omp((3 * D).astype(dtype), D.astype(dtype), 5, positive=positive)
    assert np.array_equal(codes.indptr, np.arange(len(D) + 1))
    assert np.array_equal(codes.indices, np.arange(len(D)))
    np.testing.assert_allclose(codes.data, 3, rtol=1e-6)


def test_a_negated_atom_has_no_non_negative_code_with_orthogonal_atoms():
    D = np.eye(5)
    assert sparse.batch_omp(-D, D, 3, positive=True).nnz == 0
    assert sparse.batch_omp(-D, D, 3).nnz == 5


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_and_opposite_atoms_are_never_used_together(positive, dtype):
    X, D = problem(5, n_atoms=8)
    D = np.vstack([D, D, -D])
    codes = sparse.batch_omp(X.astype(dtype), D.astype(dtype), 6, positive=positive)
    for chosen, weights in rows(codes):
        assert len({j % 8 for j in chosen}) == len(chosen)
        assert np.abs(weights).max() < 1e3
    if not positive:
        # Which of equal atoms is taken is for rounding to decide.
        alone = sparse.batch_omp(X.astype(dtype), D[:8].astype(dtype), 6)
        assert np.array_equal(codes.indices % 8, alone.indices)
        np.testing.assert_allclose(np.abs(codes.data), np.abs(alone.data), rtol=1e-3)


@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-4), (np.float64, 1e-10)])
def test_as_many_atoms_as_features_leave_nothing(dtype, atol):
    X, D = problem(6, n_atoms=40)
    codes = sparse.batch_omp(X.astype(dtype), D.astype(dtype), 12)
    np.testing.assert_allclose(codes @ D, X, atol=atol)


def test_dependent_atoms_do_not_blow_the_coefficients_up():
    """Signals and atoms of a plane in space: two atoms are enough, a third would be noise."""
    rng = np.random.default_rng(7)
    D = np.hstack([random_dictionary(20, 2, rng), np.zeros((20, 3))])
    X = np.hstack([rng.normal(size=(50, 2)), np.zeros((50, 3))])
    codes = sparse.batch_omp(X, D, 5)
    assert np.diff(codes.indptr).max() == 2
    np.testing.assert_allclose(codes @ D, X, atol=1e-12)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    "dtype, scale", [(np.float32, 1e-37), (np.float32, 1e36), (np.float64, 1e-300), (float, 1e300)]
)
def test_codes_scale_with_the_signals(dtype, scale, positive):
    X, D = problem(8)
    X, D = X.astype(dtype), D.astype(dtype)
    tolerance = np.linalg.norm(X, axis=1) / 3
    for stop in ({"sparsity": 5}, {"tolerance": tolerance}):
        codes = sparse.batch_omp(X, D, **stop, positive=positive)
        if "tolerance" in stop:
            stop = {"tolerance": dtype(scale) * tolerance.astype(dtype)}
        scaled = sparse.batch_omp(dtype(scale) * X, D, **stop, positive=positive)
        assert codes.nnz > len(X)
        assert np.array_equal(codes.indptr, scaled.indptr)
        assert np.array_equal(codes.indices, scaled.indices)
        np.testing.assert_allclose(
            scaled.data / dtype(scale), codes.data, rtol=1e4 * np.finfo(dtype).eps
        )


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_signal_may_have_a_scale_of_its_own(dtype, positive):
    """Powers of two cost no digit, so that codes are the same to the last bit."""
    X, D = problem(13)
    X, D = X.astype(dtype), D.astype(dtype)
    powers = np.ldexp(dtype(1), np.arange(-100, 100, 10))[:, None]
    codes = sparse.batch_omp(X, D, 5, positive=positive)
    scaled = sparse.batch_omp(powers * X, D, 5, positive=positive)
    np.testing.assert_array_equal(scaled.toarray(), powers * codes.toarray())
    assert np.array_equal(codes.indices, scaled.indices)


def test_a_tolerance_far_beyond_a_signal_leaves_its_code_empty():
    X, D = problem(14)
    X, D = X.astype(np.float32), D.astype(np.float32)
    X[0] *= np.float32(1e-35)
    assert np.diff(sparse.batch_omp(X, D, 5, tolerance=1e10).indptr).max() == 0
    counts = np.diff(sparse.batch_omp(X, D, 5, tolerance=1e-30).indptr)
    assert counts[0] == 0 and counts[1:].min() == 5


def test_signals_without_contiguous_rows_are_coded_alike():
    X, D = problem(9)
    expected = sparse.batch_omp(X, D, 3).toarray()
    columns = sparse.batch_omp(np.asfortranarray(X), np.asfortranarray(D), 3).toarray()
    every_second = sparse.batch_omp(X[::2], D, 3).toarray()
    # Other kernels of linear algebra may add in another order for another layout.
    np.testing.assert_allclose(columns, expected, rtol=1e-12)
    np.testing.assert_allclose(every_second, expected[::2], rtol=1e-12)


def test_tensors_frames_whole_numbers_and_read_only_arrays_are_coded_alike():
    import pandas as pd
    import torch

    X, D = problem(15)
    X, D = X.astype(np.float32), D.astype(np.float32)
    expected = sparse.batch_omp(X, D, 3)
    x, d = torch.from_numpy(X).requires_grad_(), torch.from_numpy(D).requires_grad_()
    frozen = X.copy()
    frozen.flags.writeable = False
    for signals in (x, frozen, pd.DataFrame(X)):
        found = sparse.batch_omp(signals, d, 3)
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found.toarray(), expected.toarray())
    half = x.bfloat16()
    np.testing.assert_array_equal(
        sparse.batch_omp(half, d, 3).toarray(),
        sparse.batch_omp(half.detach().float().numpy(), D, 3).toarray(),
    )
    whole = np.round(10 * X).astype(np.int16)
    np.testing.assert_array_equal(
        sparse.batch_omp(whole, D, 3).toarray(),
        sparse.batch_omp(whole.astype(float), D, 3).toarray(),
    )


def test_masked_signals_are_refused():
    X, D = problem(16)
    with pytest.raises(ValueError, match="X has masked values"):
        sparse.batch_omp(np.ma.masked_less(X, 0), D, 3)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"sparsity": 13}, "sparsity must be a whole number from 1 to 12, got 13"),
        ({"sparsity": 2.0}, "sparsity must be a whole number"),
        ({"sparsity": None}, "give sparsity, tolerance or both"),
        ({"tolerance": -1.0}, "tolerance must be"),
        ({"tolerance": np.nan}, "tolerance must be"),
        ({"tolerance": np.ones(3)}, "tolerance must be"),
        ({"X": np.zeros((2, 11))}, "same number of features, got 11 and 12"),
        ({"dictionary": np.eye(12)[:4] * [[1], [0], [1], [1]]}, "row 1 has length 0"),
        ({"dictionary": 2 * np.eye(12)}, "row 0 has length 2"),
        ({"n_jobs": 0}, "n_jobs must be None or a whole number other than 0, got 0"),
    ],
)
def test_bad_input_gets_a_sentence(change, sentence):
    X, D = problem(10)
    arguments = {"X": X, "dictionary": D, "sparsity": 3} | change
    with pytest.raises(ValueError, match=sentence):
        sparse.batch_omp(**arguments)


def test_more_atoms_than_the_dictionary_has_are_refused():
    X, D = problem(11, n_atoms=4)
    with pytest.raises(ValueError, match=r"from 1 to 4, got 5 \(12 features, 4 atoms\)"):
        sparse.batch_omp(X, D, 5)


def test_jobs_are_counted_as_scikit_learn_counts_them():
    import joblib

    assert _sparse.check_jobs(None) == 1 == _sparse.check_jobs(-1000)
    assert _sparse.check_jobs(3) == 3
    assert _sparse.check_jobs(-1) == joblib.cpu_count()
    X, D = problem(17)
    expected = sparse.batch_omp(X, D, 3).toarray()
    np.testing.assert_array_equal(sparse.batch_omp(X, D, 3, n_jobs=None).toarray(), expected)


# Runs in a process of its own, with an empty cache for compiled functions and with a full one.
CODE = """
import numpy as np
from hblib import sparse
X = np.random.default_rng(0).normal(size=(2500, 24)).astype(np.float32)
D = sparse.random_dictionary(60, 24, rng=1).astype(np.float32)
print(sparse.batch_omp(X, D, 5).data.tobytes().hex())
"""


def test_results_do_not_depend_on_whether_compiled_functions_were_cached(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    compiled, cached = (
        subprocess.run(
            [sys.executable, "-c", CODE], env=environment, check=True, capture_output=True
        ).stdout
        for _ in range(2)
    )
    assert any(tmp_path.rglob("*.nbc"))
    assert compiled == cached


# --- measures -------------------------------------------------------------------------------------


@given(seeds, st.integers(0, 7))
@settings(deadline=None, max_examples=30)
def test_largest_keeps_the_largest_in_falling_order(seed, keep):
    X, D = problem(seed, n_samples=6)
    codes = sparse.batch_omp(X, D, 5, tolerance=1.5)
    kept = sparse.largest(codes, keep)
    for (chosen, weights), dense in zip(rows(kept), codes.toarray()):
        assert len(chosen) == min(keep, np.count_nonzero(dense))
        assert (np.diff(np.abs(weights)) <= 0).all()
        np.testing.assert_array_equal(dense[chosen], weights)
        rest = np.delete(np.abs(dense), chosen)
        assert len(chosen) == 0 or rest.max() <= np.abs(weights).min()


def test_coherence_of_known_frames():
    assert sparse.mutual_coherence(np.eye(5)) == 0
    angles = 2 * np.pi * np.arange(3) / 3
    mercedes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert sparse.mutual_coherence(mercedes) == pytest.approx(0.5) == sparse.welch_bound(3, 2)
    rng = np.random.default_rng(0)
    assert sparse.mutual_coherence(random_dictionary(40, 10, rng)) > sparse.welch_bound(40, 10)
    assert sparse.welch_bound(8, 10) == 0


def test_recovery_ignores_order_and_sign_and_counts_by_angle():
    rng = np.random.default_rng(1)
    truth = random_dictionary(20, 15, rng)
    learned = (truth * rng.choice([-1, 1], size=(20, 1)))[rng.permutation(20)]
    assert sparse.atoms_recovered(learned, truth) == 20
    assert sparse.mean_max_cosine(learned, truth) == pytest.approx(1)
    assert sparse.atoms_recovered(learned[:7], truth) == 7
    assert sparse.atoms_recovered(random_dictionary(20, 15, rng), truth) == 0
    tilt = np.arccos(0.99)
    side = np.linalg.svd(truth[:1])[2][-1]
    for angle, found in ((0.99 * tilt, 1), (1.01 * tilt, 0)):
        near = np.cos(angle) * truth[:1] + np.sin(angle) * side
        assert sparse.atoms_recovered(near, truth[:1]) == found


def test_one_to_one_cosines_use_no_learned_atom_twice():
    truth = np.array([[1.0, 0], [1.0, 0], [0, 1.0]])
    learned = np.array([[1.0, 0], [0, 1.0]])
    assert sparse.best_cosines(learned, truth).tolist() == [1, 1, 1]
    one_to_one = sparse.best_cosines(learned, truth, one_to_one=True)
    assert sorted(one_to_one.tolist()) == [0, 1, 1]
    assert one_to_one[2] == 1


def test_counts_and_signs_of_a_small_code():
    codes = sp.csr_array([[1.0, 0, -2.0, 0], [3.0, 0, -1.0, 0], [-1.0, 0, 0.0, 0]])
    assert sparse.usage(codes).tolist() == [3, 0, 2, 0]
    np.testing.assert_allclose(sparse.sign_consistency(codes), [1 / 3, np.nan, 1, np.nan])
    assert sparse.canonical_signs(codes).tolist() == [1, 1, -1, 1]
    stored_zero = sp.csr_array((np.array([1.0, 0.0]), np.array([0, 1]), np.array([0, 2])))
    assert stored_zero.nnz == 2 and sparse.usage(stored_zero).tolist() == [1, 0]


def test_unexplained_variance_is_one_for_the_mean_and_zero_for_the_signal():
    X, _ = problem(12)
    codes = sp.csr_array(X)
    assert sparse.unexplained(X, codes, np.eye(12)) == 0
    mean = sp.csr_array(np.tile(X.mean(axis=0), (len(X), 1)))
    assert sparse.unexplained(X, mean, np.eye(12)) == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_measures_do_not_depend_on_the_unit(scale):
    X, D = problem(18)
    X, D, scale = X.astype(np.float32), D.astype(np.float32), np.float32(scale)
    codes = sparse.batch_omp(X, D, 3)
    left = sparse.unexplained(X, codes, D)
    assert 0 < left < 1
    assert sparse.unexplained(scale * X, scale * codes, D) == pytest.approx(left, rel=1e-5)
    X = X.astype(float)
    assert sparse.unexplained(1e200 * X, 1e200 * codes.astype(float), D) == pytest.approx(left)
    assert sparse.mutual_coherence(scale * D) == pytest.approx(sparse.mutual_coherence(D))
    assert sparse.atoms_recovered(scale * D, D) == len(D)


def test_measures_take_codes_of_any_kind():
    import torch

    X, D = problem(19)
    codes = sparse.batch_omp(X, D, 3)
    kinds = [codes.toarray(), codes.tocoo(), torch.from_numpy(codes.toarray()).requires_grad_()]
    for kind in kinds:
        for measure in (sparse.usage, sparse.sign_consistency, sparse.canonical_signs):
            np.testing.assert_array_equal(measure(kind), measure(codes))
        assert sparse.largest(kind, 2).nnz == 2 * len(X)
        assert sparse.unexplained(X, kind, D) == pytest.approx(sparse.unexplained(X, codes, D))
    assert sparse.usage(codes.astype(bool)).tolist() == sparse.usage(codes).tolist()
    assert sparse.usage(sp.csr_array((4, 3))).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "call, sentence",
    [
        (lambda X, Y, D: sparse.unexplained(X[:3], Y, D), "3 x 30, got the shape"),
        (lambda X, Y, D: sparse.unexplained(X[:, :3], Y, D), "features, got 3 and 12"),
        (lambda X, Y, D: sparse.unexplained(1 + 0 * X, Y, D), "no variance to explain"),
        (lambda X, Y, D: sparse.best_cosines(D[:, :3], D), "learned and truth .* 3 and 12"),
        (lambda X, Y, D: sparse.atoms_recovered(D, D, np.nan), "tolerance must be"),
        (lambda X, Y, D: sparse.welch_bound(3.5, 2), "n_atoms must be a whole number"),
        (lambda X, Y, D: sparse.usage(Y * np.inf), "codes has .* not finite"),
    ],
)
def test_measures_refuse_what_does_not_fit(call, sentence):
    X, D = problem(24)
    with pytest.raises(ValueError, match=sentence):
        call(X, sparse.batch_omp(X, D, 3), D)
