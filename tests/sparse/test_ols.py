"""Orthogonal least squares: the pursuit that looks at the residual after the refit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_sample_images

from hblib import sparse

seeds = st.integers(0, 2**32 - 1)


def problem(seed, n_atoms=30, n_features=12, n_samples=20):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_samples, n_features)), sparse.random_dictionary(
        n_atoms, n_features, rng
    )


def ols(X, D, sparsity=None, **options):
    return sparse.batch_omp(X, D, sparsity, pursuit="ols", **options)


def rows(codes):
    for start, end in zip(codes.indptr[:-1], codes.indptr[1:]):
        yield codes.indices[start:end].tolist(), codes.data[start:end]


def after_refit(x, atoms):
    """Squared residual of the least-squares fit, by an orthonormal basis of the atoms."""
    basis = np.linalg.qr(atoms.T)[0]
    return np.sum((x - basis @ (basis.T @ x)) ** 2)


def by_trying(x, D, sparsity, tolerance=0.0):
    """Try every atom, refit, and keep the one that leaves least; also by how much it leads."""
    chosen, leads, left = [], [], x @ x
    while len(chosen) < sparsity and left > tolerance**2:
        free = [a for a in range(len(D)) if a not in chosen]
        tried = np.array([after_refit(x, D[[*chosen, a]]) for a in free])
        order = np.argsort(tried, kind="stable")
        chosen.append(free[order[0]])
        left = tried[order[0]]
        leads.append(tried[order[1]] - left if len(free) > 1 else np.inf)
    return chosen, np.array(leads)


def patches(n_samples, n_atoms, dtype=float):
    """Overlapping patches of two photographs, mean removed; some of them as atoms."""
    windows = [
        np.lib.stride_tricks.sliding_window_view(image.mean(axis=2) / 255, (12, 12))[::8, ::8]
        for image in load_sample_images().images
    ]
    X = np.concatenate([w.reshape(-1, 144) for w in windows])
    X = X[np.random.default_rng(0).permutation(len(X))]
    X -= X.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(X, axis=1)
    atoms = np.flatnonzero(lengths > 0.3)[:n_atoms]
    D = X[atoms] / lengths[atoms, None]
    return X[-n_samples:].astype(dtype), D.astype(dtype)


# --- the choice -----------------------------------------------------------------------------------


@given(seeds, st.integers(2, 40), st.integers(2, 15), st.data())
@settings(deadline=None, max_examples=40)
def test_every_atom_is_the_best_of_all_that_could_be_tried(seed, n_atoms, n_features, data):
    sparsity = data.draw(st.integers(1, min(n_atoms, n_features)))
    X, D = problem(seed, n_atoms, n_features, n_samples=4)
    for x, (chosen, weights) in zip(X, rows(ols(X, D, sparsity))):
        best, leads = by_trying(x, D, sparsity)
        clear = int(np.argmax([*(leads <= 1e-9), True]))  # up to the first tie
        assert chosen[:clear] == best[:clear]
        assert len(chosen) == sparsity or np.linalg.norm(x - weights @ D[chosen]) < 1e-9
        if np.linalg.cond(D[chosen]) < 1e3:
            np.testing.assert_allclose(weights, np.linalg.lstsq(D[chosen].T, x)[0], atol=1e-9)


def test_every_atom_is_the_best_for_patches_and_codes_beat_those_of_omp():
    X, D = patches(40, 120)
    codes = ols(X, D, 6)
    for x, (chosen, _) in zip(X, rows(codes)):
        best, leads = by_trying(x, D, 6)
        clear = int(np.argmax([*(leads <= 1e-9), True]))
        assert chosen[:clear] == best[:clear]
    X, D = patches(2000, 300)
    left = {p: np.sum((X - sparse.batch_omp(X, D, 10, pursuit=p) @ D) ** 2) for p in ("omp", "ols")}
    assert left["ols"] < 0.98 * left["omp"]


def test_leaves_what_spams_leaves():
    spams = pytest.importorskip("spams")
    X, D = patches(2000, 300)
    for sparsity in (1, 5, 20):
        theirs = spams.omp(
            np.asfortranarray(X.T),
            np.asfortranarray(D.T),
            L=sparsity,
            eps=0.0,
            lambda1=0.0,
            numThreads=1,
        ).T
        ours = ols(X, D, sparsity)
        left, their_left = (np.sum((X - codes @ D) ** 2, axis=1) for codes in (ours, theirs))
        np.testing.assert_allclose(left, their_left, rtol=1e-6, atol=1e-12)


@given(seeds)
@settings(deadline=None, max_examples=20)
def test_orthogonal_atoms_and_first_atoms_are_those_of_omp(seed):
    X, D = problem(seed)
    assert np.array_equal(ols(X, D, 1).indices, sparse.batch_omp(X, D, 1).indices)
    rotation = np.linalg.qr(D[:12])[0]
    ours, theirs = ols(X, rotation, 5), sparse.batch_omp(X, rotation, 5)
    assert np.array_equal(ours.indices, theirs.indices)
    np.testing.assert_allclose(ours.data, theirs.data, atol=1e-12)


def test_rows_of_atoms_longer_than_one_within_what_is_allowed_are_fitted_exactly():
    X, D = problem(1)
    D *= 1 + 9e-5 * np.where(np.arange(len(D)) % 2, 1, -1)[:, None]
    for x, (chosen, weights) in zip(X, rows(ols(X, D, 5))):
        np.testing.assert_allclose(weights, np.linalg.lstsq(D[chosen].T, x)[0], atol=1e-12)


def test_single_precision_leaves_as_little():
    X, D = patches(3000, 500)
    double = ols(X, D, 10)
    single = ols(X.astype(np.float32), D.astype(np.float32), 10)
    assert single.dtype == np.float32
    left, single_left = (np.sum((X - c @ D) ** 2, axis=1) for c in (double, single.astype(float)))
    assert abs(single_left.sum() / left.sum() - 1) < 1e-4
    same = (single.indices == double.indices).reshape(-1, 10).all(axis=1)
    assert same.mean() > 0.97


# --- where it stops -------------------------------------------------------------------------------


@given(seeds, st.floats(1e-9, 2.0))
@settings(deadline=None, max_examples=40)
def test_error_target_is_met_with_as_few_atoms_as_the_pursuit_needs(seed, relative):
    X, D = problem(seed, n_samples=3)
    tolerance = 0.99371 * relative * np.linalg.norm(X, axis=1)
    codes = ols(X, D, tolerance=tolerance)
    assert (np.linalg.norm(X - codes @ D, axis=1) <= tolerance * (1 + 1e-9) + 1e-12).all()
    for x, (chosen, _), goal in zip(X, rows(codes), tolerance):
        best, leads = by_trying(x, D, 12, goal)
        if (leads > 1e-9).all():
            assert chosen == best


def test_sparsity_and_tolerance_together_stop_at_whichever_comes_first():
    X, D = problem(2)
    tolerance = 0.5 * np.linalg.norm(X, axis=1)
    counts = np.diff(ols(X, D, tolerance=tolerance).indptr)
    both = np.diff(ols(X, D, 3, tolerance=tolerance).indptr)
    assert np.array_equal(both, np.minimum(counts, 3))
    assert counts.max() > 3 > counts.min()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_but_rounding_gets_no_atom(dtype):
    X, D = problem(3)
    X[4] = 0
    X[5] = 3 * D[7]
    codes = ols(X.astype(dtype), D.astype(dtype), 5)
    assert np.diff(codes.indptr)[[4, 5, 6]].tolist() == [0, 1, 5]
    assert codes.indices[codes.indptr[5]] == 7
    everything = ols((3 * D).astype(dtype), D.astype(dtype), 5)
    assert np.array_equal(everything.indices, np.arange(len(D)))


@pytest.mark.parametrize("dtype, atol", [(np.float32, 1e-4), (np.float64, 1e-10)])
def test_as_many_atoms_as_features_leave_nothing(dtype, atol):
    X, D = problem(6, n_atoms=40)
    codes = ols(X.astype(dtype), D.astype(dtype), 12)
    np.testing.assert_allclose(codes @ D, X, atol=atol)


# --- ties and dependent atoms ---------------------------------------------------------------------


def test_of_equally_good_atoms_the_first_is_taken():
    D = np.vstack([np.eye(4), np.eye(4)])
    X = np.array([[1.0, -1.0, 1.0, 1.0], [0.0, 0.0, -2.0, 2.0]])
    codes = ols(X, D, 3)
    assert [chosen for chosen, _ in rows(codes)] == [[0, 1, 2], [2, 3]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_repeated_and_opposite_atoms_are_never_used_together(dtype):
    X, D = problem(5, n_atoms=8)
    D = np.vstack([D, D, -D])
    codes = ols(X.astype(dtype), D.astype(dtype), 6)
    alone = ols(X.astype(dtype), D[:8].astype(dtype), 6)
    assert np.array_equal(codes.indices % 8, alone.indices)
    np.testing.assert_allclose(np.abs(codes.data), np.abs(alone.data), rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9])
def test_nearly_dependent_atoms_do_not_spoil_the_fit(dtype, gap):
    """Twins at a small distance: whatever is chosen, more atoms never leave more."""
    X, D = problem(7, n_atoms=20, n_features=16, n_samples=200)
    twins = D + gap * np.random.default_rng(8).normal(size=D.shape)
    D = np.vstack([D, twins / np.linalg.norm(twins, axis=1, keepdims=True)]).astype(dtype)
    X = X.astype(dtype)
    before = np.linalg.norm(X, axis=1)
    slack = 1e-3 if dtype == np.float32 else 1e-7
    for sparsity in (1, 3, 6, 10):
        codes = ols(X, D, sparsity)
        assert np.isfinite(codes.data).all()
        left = np.linalg.norm(X.astype(float) - codes.astype(float) @ D.astype(float), axis=1)
        assert (left <= before + slack).all()
        before = left


def test_dependent_atoms_do_not_blow_the_coefficients_up():
    """Signals and atoms of a plane in space: two atoms are enough, a third would be noise."""
    rng = np.random.default_rng(7)
    D = np.hstack([sparse.random_dictionary(20, 2, rng), np.zeros((20, 3))])
    X = np.hstack([rng.normal(size=(50, 2)), np.zeros((50, 3))])
    codes = ols(X, D, 5)
    assert np.diff(codes.indptr).max() == 2
    np.testing.assert_allclose(codes @ D, X, atol=1e-12)


# --- scale, threads, bad input --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_signal_may_have_a_scale_of_its_own(dtype):
    X, D = problem(13)
    X, D = X.astype(dtype), D.astype(dtype)
    powers = np.ldexp(dtype(1), np.arange(-100, 100, 10))[:, None]
    codes, scaled = ols(X, D, 5), ols(powers * X, D, 5)
    np.testing.assert_array_equal(scaled.toarray(), powers * codes.toarray())
    assert np.array_equal(codes.indices, scaled.indices)


@pytest.mark.parametrize("n_jobs", [1, 2, 3])
def test_threads_chunks_and_order_of_signals_change_nothing(n_jobs):
    X, D = problem(9, n_samples=2100)
    codes = ols(X, D, 4, n_jobs=n_jobs)
    order = np.random.default_rng(10).permutation(len(X))
    shuffled = ols(X[order], D, 4)
    assert np.array_equal(shuffled.indices.reshape(-1, 4), codes.indices.reshape(-1, 4)[order])
    np.testing.assert_allclose(
        shuffled.data.reshape(-1, 4), codes.data.reshape(-1, 4)[order], atol=1e-12
    )


@pytest.mark.parametrize(
    "options, sentence",
    [
        ({"pursuit": "mp"}, "pursuit must be 'omp' or 'ols', got 'mp'"),
        ({"pursuit": None}, "pursuit must be 'omp' or 'ols', got None"),
        ({"pursuit": ["ols"]}, "pursuit must be 'omp' or 'ols'"),
        ({"pursuit": "ols", "positive": True}, "positive=True needs pursuit='omp'"),
    ],
)
def test_other_pursuits_are_refused(options, sentence):
    X, D = problem(10)
    with pytest.raises(ValueError, match=sentence):
        sparse.batch_omp(X, D, 3, **options)
    for learner in (sparse.KSVD, sparse.MiniBatchKSVD):
        with pytest.raises(ValueError, match=sentence):
            learner(12, 3, **options).fit(X)


# --- learning -------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", [sparse.KSVD, sparse.MiniBatchKSVD])
def test_learners_code_with_the_pursuit_asked_for(learner):
    X, init = patches(3000, 100)
    fit = learner(100, 6, 4, init=init, pursuit="ols", random_state=0).fit(X)
    atoms = fit.components_
    left = sparse.unexplained(X, fit.transform(X), atoms)
    assert left < sparse.unexplained(X, sparse.batch_omp(X, atoms, 6), atoms)
    assert left < 1.02 * fit.history_["residual"][-1]
    codes = fit.transform(X[:50])
    direct = ols(X[:50], atoms, 6)
    np.testing.assert_array_equal(codes.toarray(), direct.toarray())
    assert fit.get_params()["pursuit"] == "ols"
