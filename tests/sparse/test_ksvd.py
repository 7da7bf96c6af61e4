
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse as sp

from hblib import sparse
from hblib.sparse import KSVD, MiniBatchKSVD, _ksvd, _ksvd_kernels, _sparse

seeds = st.integers(0, 2**32 - 1)
learners = pytest.mark.parametrize("learner", [KSVD, MiniBatchKSVD])


@learners
def test_scikit_learns_checks(learner):
    from sklearn.utils.estimator_checks import check_estimator

    check_estimator(learner(n_iter=2), on_skip=None)


def planted(seed, n_atoms=40, n_features=16, n_samples=800, sparsity=3, snr=None):
    rng = np.random.default_rng(seed)
    truth = sparse.random_dictionary(n_atoms, n_features, rng)
    return sparse.sparse_signals(truth, n_samples, sparsity, rng, snr=snr)[0], truth


# --- one sweep ------------------------------------------------------------------------------------


def coded(seed, positive=False, **options):
    X, _ = planted(seed, **options)
    D = sparse.random_dictionary(40, 16, seed + 1)
    return X, D, _sparse.Coder(D, positive).pursue(X, 3)


def textbook_sweep(X, D, Y, *, exact):
    """K-SVD's update with dense matrices: all users of an atom, whatever the sign."""
    D, Y = D.copy(), Y.copy()
    for a in range(len(D)):
        users = np.flatnonzero(Y[:, a])
        if not len(users):
            continue
        others = X[users] - Y[users] @ D + np.outer(Y[users, a], D[a])
        if exact:
            U, s, Vt = np.linalg.svd(others, full_matrices=False)
            sign = np.sign(Vt[0] @ (others.T @ Y[users, a]))
            D[a], Y[users, a] = sign * Vt[0], sign * s[0] * U[:, 0]
        else:
            step = others.T @ Y[users, a]
            D[a] = step / np.linalg.norm(step)
            Y[users, a] = others @ D[a]
    return D, Y


@given(seeds)
@settings(deadline=None, max_examples=15)
def test_approximate_sweep_is_the_textbooks_power_step(seed):
    X, D, (indices, values, counts) = coded(seed)
    before = _sparse.as_codes(indices, values, counts, 40).toarray()
    expected_D, expected_Y = textbook_sweep(X, D, before, exact=False)
    left = _ksvd_kernels.sweep(X, D, indices, values, counts, np.empty_like(X), 1, False)
    Y = _sparse.as_codes(indices, values, counts, 40).toarray()
    np.testing.assert_allclose(D, expected_D, atol=1e-9)
    np.testing.assert_allclose(Y, expected_Y, atol=1e-9)
    np.testing.assert_allclose(left, np.sum((X - Y @ D) ** 2, axis=1), atol=1e-9)


def test_exact_sweep_fits_each_atom_as_well_as_the_singular_vectors():
    X, D, (indices, values, counts) = coded(3)
    before = _sparse.as_codes(indices, values, counts, 40).toarray()
    # One atom only: later ones would see what is left of differently converged fits.
    only = before * (np.arange(40) == np.argmax(np.abs(before).sum(axis=0)))
    a = int(np.argmax(np.abs(before).sum(axis=0)))
    expected_D, _ = textbook_sweep(X, D, only, exact=True)
    single = sp.csr_array(only)
    indices = np.zeros((len(X), 1), np.int32)
    values, counts = np.zeros((len(X), 1)), np.diff(single.indptr).astype(np.int32)
    indices[counts > 0, 0], values[counts > 0, 0] = single.indices, single.data
    _ksvd_kernels.sweep(X, D, indices, values, counts, np.empty_like(X), 2000, False)
    assert abs(D[a] @ expected_D[a]) > 1 - 1e-4


@given(seeds, st.sampled_from([1, _ksvd_kernels.CONVERGED]), st.booleans())
@settings(deadline=None, max_examples=25)
def test_a_sweep_never_makes_the_fit_worse(seed, steps, positive):
    X, D, (indices, values, counts) = coded(seed, positive)
    before = np.sum((X - _sparse.as_codes(indices, values, counts, 40) @ D) ** 2)
    left = _ksvd_kernels.sweep(X, D, indices, values, counts, np.empty_like(X), steps, positive)
    assert left.sum() <= before * (1 + 1e-9)
    np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1, atol=1e-12)
    assert not positive or values.min() >= 0


def test_cleaning_replaces_rare_and_repeated_atoms_by_the_worst_signals_each_once():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 10))
    D = sparse.random_dictionary(8, 10, rng)
    D[5] = -D[2]
    uses = np.array([9, 3, 9, 9, 0, 9, 9, 9])
    left = rng.random(60)
    before, worst = D.copy(), np.argsort(left)[::-1]
    replaced = _ksvd_kernels.clean(X, D, D @ D.T, uses, left.copy(), 4, 0.99)
    # Of the pair 2 and 5 the first is exchanged; then 5 repeats nothing any more.
    assert np.flatnonzero(replaced).tolist() == [1, 2, 4]
    for atom, signal in zip([1, 2, 4], worst):
        np.testing.assert_allclose(D[atom], X[signal] / np.linalg.norm(X[signal]))
    np.testing.assert_array_equal(D[~replaced], before[~replaced])


def test_running_sums_are_the_products_of_the_codes():
    X, _, codes = coded(4)
    sums = np.zeros((40, 40)), np.zeros((40, 16))
    _ksvd_kernels.accumulate(X, *codes, *sums)
    Y = _sparse.as_codes(*codes, 40).toarray()
    np.testing.assert_allclose(sums[0], Y.T @ Y, atol=1e-10)
    np.testing.assert_allclose(sums[1], Y.T @ X, atol=1e-10)


@pytest.mark.parametrize("block", [1, 7, 64])
def test_block_descent_is_coordinate_descent_for_any_block(block, monkeypatch):
    X, D, codes = coded(5)
    Y = _sparse.as_codes(*codes, 40).toarray()
    A, B = Y.T @ Y, Y.T @ X
    expected = D.copy()
    for j in range(40):
        move = B[j] - A[j] @ expected + A[j, j] * expected[j]
        if A[j, j] > 0:
            expected[j] = move / np.linalg.norm(move)
    monkeypatch.setattr(_ksvd, "BLOCK", block)
    _ksvd._descend(D, A, B)
    np.testing.assert_allclose(D, expected, atol=1e-10)


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("snr, at_least", [(10, 41), (20, 44.5), (None, 45)])
def test_finds_the_planted_atoms_of_the_experiment_of_2006(snr, at_least):
    """Means over 50 trials are 43 to 48; a learner that drops half the users finds 30 at 10 dB."""
    found = sparse.atoms_found(sparse.learn_by_ksvd, snr=snr, n_trials=8, rng=0)
    assert found.mean() >= at_least


def test_exact_and_approximate_updates_find_equally_many_atoms():
    found = [
        sparse.atoms_found(
            lambda X, init, a=approximate: sparse.learn_by_ksvd(X, init, approximate=a),
            n_trials=8,
        )
        for approximate in (True, False)
    ]
    assert abs(found[0].mean() - found[1].mean()) < 3
    assert min(f.mean() for f in found) > 44


def test_cleaning_is_what_lifts_the_method_above_mod():
    kept = sparse.atoms_found(
        lambda X, init: sparse.learn_by_ksvd(X, init, clean=False), snr=30, n_trials=12
    )
    cleaned = sparse.atoms_found(sparse.learn_by_ksvd, snr=30, n_trials=12)
    mod = sparse.atoms_found(sparse.learn_by_mod, snr=30, n_trials=12)
    assert cleaned.mean() > max(kept.mean(), mod.mean())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("positive", [False, True])
@learners
def test_learns_unit_atoms_that_fit_better_than_signals_do(learner, positive, dtype):
    X, _ = planted(0, n_samples=2000)
    X = (np.abs(X) if positive else X).astype(dtype)
    model = learner(40, 3, 15, positive=positive, random_state=0).fit(X)
    D = model.components_
    assert D.dtype == dtype and D.shape == (40, 16)
    np.testing.assert_allclose(np.linalg.norm(D, axis=1), 1, atol=1e-5)
    codes = model.transform(X)
    assert codes.dtype == dtype and np.diff(codes.indptr).max() <= 3
    assert not positive or codes.data.min() > 0
    assert model.history_["residual"][-1] < model.history_["residual"][0]
    rest = np.sum((X - model.inverse_transform(codes)) ** 2)
    signals = X[:40] / np.linalg.norm(X[:40], axis=1, keepdims=True)
    start = np.sum((X - sparse.batch_omp(X, signals, 3, positive=positive) @ signals) ** 2)
    assert rest < 0.8 * start


@learners
def test_finds_a_planted_dictionary(learner):
    X, truth = planted(1, n_samples=4000, snr=30)
    model = learner(40, 3, 40, random_state=0).fit(X)
    assert sparse.atoms_recovered(model.components_, truth) >= 36


@learners
def test_history_counts_what_was_replaced(learner):
    """Half of the first atoms are the same: cleaning exchanges them, and the fit gains."""
    X, truth = planted(2, n_samples=3000)
    init = truth.copy()
    init[20:] = init[0]
    kept = learner(40, 3, 10, init=init, clean=False, random_state=0).fit(X)
    cleaned = learner(40, 3, 10, init=init, random_state=0).fit(X)
    assert kept.history_["replaced"].sum() == 0
    assert cleaned.history_["replaced"].sum() >= 10
    assert cleaned.history_["residual"][-1] < 0.7 * kept.history_["residual"][-1]


def test_history_is_the_residual_of_the_fit():
    X, _ = planted(3)
    model = KSVD(40, 3, 1, random_state=0).fit(X)
    # Coding afresh on the updated atoms is not the same, but nearly.
    codes = model.transform(X)
    rest = np.sum((X - model.inverse_transform(codes)) ** 2) / np.sum(X**2)
    assert rest == pytest.approx(model.history_["residual"][0], rel=0.2)


def test_exact_updates_leave_less_after_one_sweep():
    X, _ = planted(3)
    left = [
        KSVD(40, 3, 1, approximate=approximate, random_state=0).fit(X).history_["residual"][0]
        for approximate in (True, False)
    ]
    assert left[1] < 0.999 * left[0]


@learners
def test_an_atom_points_the_way_it_is_used(learner):
    """True coefficients are positive, but half of the first atoms point the other way."""
    X, truth = planted(4, n_samples=3000)
    codes = np.abs(sparse.sparse_signals(truth, 3000, 3, rng=4)[1])
    init = truth * np.where(np.arange(40) % 2, 1, -1)[:, None]
    model = learner(40, 3, 3, init=init, clean=False, random_state=0)
    codes = model.fit(codes @ truth).transform(codes @ truth)
    assert (codes.sign().sum(axis=0) > 0).all()
    assert np.median(sparse.sign_consistency(codes)) > 0.9


@learners
def test_a_seed_repeats_itself_and_threads_change_nothing(learner):
    X, _ = planted(5, n_samples=2500)
    one = learner(40, 3, 4, random_state=7).fit(X).components_
    two = learner(40, 3, 4, random_state=7, n_jobs=2).fit(X).components_
    other = learner(40, 3, 4, random_state=8).fit(X).components_
    np.testing.assert_allclose(one, two, atol=1e-8)
    assert np.abs(one - other).max() > 0.1


def test_the_true_dictionary_is_a_fixed_point():
    X, truth = planted(6, sparsity=2, n_samples=1500)
    model = KSVD(40, 2, 5, init=truth, random_state=0).fit(X)
    assert sparse.atoms_recovered(model.components_, truth, tolerance=1e-3) >= 38


@learners
def test_error_target_spends_atoms_where_they_are_needed(learner):
    X, _ = planted(7)
    X[:100] = 0
    X[0, 0] = 1e-6
    model = learner(40, 6, 5, tolerance=1.0, random_state=0).fit(X)
    counts = np.diff(model.transform(X).indptr)
    assert counts[:100].max() == 0
    assert 1 <= counts[100:].mean() < 6


@pytest.mark.parametrize("approximate", [True, False])
@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize("dtype, power", [(np.float32, -50), (np.float32, 50), (float, 400)])
def test_atoms_are_the_same_to_the_last_bit_in_units_of_a_power_of_two(
    dtype, power, positive, approximate
):
    X, _ = planted(11)
    X, scale = X.astype(dtype), np.ldexp(dtype(1), power)
    options = {"positive": positive, "approximate": approximate, "random_state": 0}
    for tolerance in (None, 1.0):
        unit = None if tolerance is None else tolerance * float(scale)
        one = KSVD(40, 3, 4, tolerance=tolerance, **options).fit(X)
        other = KSVD(40, 3, 4, tolerance=unit, **options).fit(scale * X)
        np.testing.assert_array_equal(one.components_, other.components_)
        np.testing.assert_array_equal(one.history_["residual"], other.history_["residual"])


@pytest.mark.parametrize("dtype, scale", [(np.float32, 1e-16), (np.float32, 1e9), (float, 1e-200)])
@learners
def test_atoms_do_not_depend_on_the_unit_of_the_signals(learner, dtype, scale):
    X, _ = planted(12)
    X = X.astype(dtype)
    one = learner(40, 3, 4, random_state=0).fit(X)
    other = learner(40, 3, 4, random_state=0).fit(dtype(scale) * X)
    assert one.history_["residual"][-1] < 0.9 * one.history_["residual"][0]
    np.testing.assert_allclose(
        one.history_["residual"], other.history_["residual"], rtol=1e5 * np.finfo(dtype).eps
    )
    cosines = np.abs(one.components_ @ other.components_.T).max(axis=1)
    assert np.median(cosines) > 1 - 1e-5
    codes = other.transform(dtype(scale) * X)
    assert np.isfinite(codes.data).all() and np.diff(codes.indptr).max() == 3


def test_a_converged_fit_is_converged_for_signals_of_any_size():
    """Power steps end where coefficients change by less than a millionth, not by an amount."""
    X, D, codes = coded(13)
    atoms = []
    for scale in (1e-8, 1, 1e8):
        indices, values, counts = (array.copy() for array in codes)
        new, values = D.copy(), scale * values
        left = np.empty_like(X)
        _ksvd_kernels.sweep(scale * X, new, indices, values, counts, left, 2000, False)
        atoms.append(new)
    np.testing.assert_allclose(atoms[0], atoms[1], atol=1e-9)
    np.testing.assert_allclose(atoms[2], atoms[1], atol=1e-9)


@learners
def test_tensors_and_frames_are_learned_from_like_arrays(learner):
    import pandas as pd
    import torch

    X, _ = planted(14)
    expected = learner(40, 3, 2, random_state=0).fit(X)
    frame = pd.DataFrame(X, columns=[f"unit {i}" for i in range(16)])
    for signals in (torch.from_numpy(X).requires_grad_(), frame):
        model = learner(40, 3, 2, random_state=0).fit(signals)
        np.testing.assert_array_equal(model.components_, expected.components_)
        codes = model.transform(signals)
        np.testing.assert_array_equal(codes.toarray(), expected.transform(X).toarray())
    assert model.feature_names_in_.tolist() == frame.columns.tolist()
    dense = torch.from_numpy(codes.toarray()).requires_grad_()
    np.testing.assert_allclose(model.inverse_transform(dense), codes @ expected.components_)
    half = torch.from_numpy(X).bfloat16()
    assert learner(40, 3, 2, random_state=0).fit(half).components_.dtype == np.float32
    with pytest.raises(ValueError, match="X has masked values"):
        learner(40, 3).fit(np.ma.masked_less(X, 0))


@learners
def test_names_of_features_are_those_that_scikit_learn_gives(learner):
    X, _ = planted(15)
    model = learner(5, 2, 1, random_state=0).fit(X)
    prefix = learner.__name__.lower()
    assert model.get_feature_names_out().tolist() == [f"{prefix}{i}" for i in range(5)]
    # Codes are sparse: scikit-learn says so when asked for a frame.
    with pytest.raises(ValueError, match="sparse"):
        model.set_output(transform="pandas").transform(X)
    assert model.set_output(transform="default").transform(X).shape == (800, 5)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"n_components": 900}, "n_samples=800 signals, fewer than n_components=900 atoms"),
        ({"n_components": 12.0}, "n_components must be a whole number of at least 1, got 12.0"),
        ({"sparsity": 17}, "sparsity must be a whole number from 1 to 16"),
        ({"sparsity": 2.0}, "sparsity must be a whole number from 1 to 16, got 2.0"),
        ({"sparsity": 5, "n_components": 4}, "from 1 to 4, got 5 .16 features, 4 atoms"),
        ({"n_iter": 2.0}, "n_iter must be a whole number of at least 1, got 2.0"),
        ({"tolerance": -1}, "tolerance must be"),
        ({"init": np.zeros((40, 16))}, "init must have rows of length 1, but row 0 has length 0"),
        ({"init": np.eye(16)}, "init must have n_components=40 rows, got 16"),
        ({"n_jobs": 0}, "n_jobs must be"),
    ],
)
@learners
def test_bad_parameters_get_a_sentence(learner, change, sentence):
    X, _ = planted(8)
    with pytest.raises(ValueError, match=sentence):
        learner(**{"n_components": 40, "sparsity": 3} | change).fit(X)


@learners
def test_signals_of_zeros_and_codes_of_another_width_are_refused(learner):
    X, _ = planted(9)
    model = learner(40, 3, 1, n_jobs=None).fit(X)
    with pytest.raises(ValueError, match="one column per atom, 40"):
        model.inverse_transform(np.ones((3, 16)))
    with pytest.raises(ValueError, match="0 signals that are not zero"):
        learner(40, 3).fit(0 * X)


# --- planted problems -----------------------------------------------------------------------------


@given(seeds, st.integers(1, 20), st.sampled_from([None, 10.0, 30.0]))
@settings(deadline=None, max_examples=30)
def test_signals_have_the_sparsity_and_the_noise_asked_for(seed, sparsity, snr):
    D = sparse.random_dictionary(20, 8, seed)
    X, codes = sparse.sparse_signals(D, 50, sparsity, seed, snr=snr)
    assert (np.count_nonzero(codes.toarray(), axis=1) == sparsity).all()
    noise = np.sum((X - codes @ D) ** 2)
    if snr is None:
        assert noise < 1e-20
    else:
        ratio = np.sum((codes @ D) ** 2) / noise
        assert 10 * np.log10(ratio) == pytest.approx(snr)


def test_atoms_of_signals_are_equally_likely():
    _, codes = sparse.sparse_signals(np.eye(10), 20_000, 3, rng=0)
    np.testing.assert_allclose(sparse.usage(codes) / 20_000, 0.3, atol=0.015)


def test_supports_are_found_below_and_lost_above_the_transition():
    shares = sparse.support_recovery(64, 256, [1, 3, 18, 40, 65], 100, rng=0)
    assert shares[0] == 1
    assert shares[1] > 0.95
    assert 0.05 < shares[2] < 0.95
    assert shares[3] == shares[4] == 0


def test_support_recovery_counts_exact_hits():
    """Against codes made with the same generator and compared as sets."""
    rng = np.random.default_rng(5)
    D = sparse.random_dictionary(60, 20, rng).astype(np.float32)
    X, truth = sparse.sparse_signals(D, 200, 4, rng)
    found = sparse.batch_omp(X, D, 4)
    hits = [
        set(a.nonzero()[0]) == set(b.nonzero()[0]) for a, b in zip(found.toarray(), truth.toarray())
    ]
    assert sparse.support_recovery(20, 60, [4], 200, rng=5)[0] == np.mean(hits)


def test_mod_refits_all_atoms_by_least_squares():
    X, _ = planted(10)
    init = X[:40] / np.linalg.norm(X[:40], axis=1, keepdims=True)
    Y = sparse.batch_omp(X, init, 3).toarray()
    expected = np.linalg.pinv(Y) @ X
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(sparse.learn_by_mod(X, init, n_iter=1), expected, atol=1e-8)


def test_trials_are_independent_and_repeatable():
    one = sparse.atoms_found(sparse.learn_by_ksvd, n_trials=3, rng=0)
    two = sparse.atoms_found(sparse.learn_by_ksvd, n_trials=3, rng=0, n_jobs=2)
    assert np.array_equal(one, two)
    few = sparse.atoms_found(
        lambda X, init: sparse.learn_by_ksvd(X, init, n_iter=10), n_trials=6
    )
    assert len(set(few.tolist())) > 1
