"""The factorisation: gradients, training, symmetry, conservation, admissible rotations."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import rotation
from hblib.rotation import (
    Parameters,
    Problem,
    admissible_rotations,
    draw_mini_tasks,
    equivariance_defect,
    factorisation_error,
    factorisation_gradient,
    gradient_descent,
    imbalance,
    imbalance_drift,
    initial_factors,
    invariance_defect,
    train_factorisation,
)
from hblib.rotation._factorisation import ERRORS, HIDDEN

S, M_ROWS, N_COLUMNS, K = 3, 7, 5, 3


def data(kind, rng, shape=(M_ROWS, N_COLUMNS)):
    X = rng.standard_normal(shape)
    return {"squared": X, "logistic": (X > 0).astype(float), "poisson": np.floor(np.exp(X))}[kind]


def start(rng, shape=(M_ROWS, N_COLUMNS), k=K, seeds=S, scale=0.5):
    return initial_factors("gaussian", k, shape, seeds, scale, rng)


def by_autograd(problem, A, B, tasks=None):
    """Gradient of the error, written out entry by entry from its definition."""
    A = torch.tensor(A, requires_grad=True)
    B = torch.tensor(B, requires_grad=True)
    if tasks is None:
        total = problem.value(pair(A, B)).sum()
    else:
        H = A if problem.hidden is None else HIDDEN[problem.hidden](A)
        e = ERRORS[problem.error].value(H.mT @ B, problem.M)
        if problem.weights is not None:
            e = e * problem.weights
        m, n = problem.shape
        count = torch.zeros(m * n)
        if tasks.kind == "rows":
            count.view(m, n)[tasks.indices[0]] = m / tasks.indices.shape[1]
        else:
            for i in tasks.indices[0]:
                count[i] += m * n / tasks.indices.shape[1]
        total = (e * count.view(m, n)).sum() / (m * n) ** 0.5
    total.backward()
    return A.grad.numpy(), B.grad.numpy()


def pair(A, B):
    """Parameters that autograd can see through."""
    theta = Parameters.__new__(Parameters)
    theta.A, theta.B = A, B
    return theta


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("penalty", [{}, {"l2": 0.1, "l1": 0.2}])
def test_gradient_is_the_derivative_of_the_error(kind, weighted, own, penalty):
    rng = np.random.default_rng(0)
    shape = (S, M_ROWS, N_COLUMNS) if own else (M_ROWS, N_COLUMNS)
    weights = rng.random((M_ROWS, N_COLUMNS)) if weighted else None
    problem = Problem(data(kind, rng, shape), error=kind, weights=weights, **penalty)
    A, B = start(rng)
    for mine, theirs in zip(factorisation_gradient(problem, A, B), by_autograd(problem, A, B)):
        np.testing.assert_allclose(mine, theirs, atol=1e-13)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_gradient_through_the_hidden_layer(hidden):
    rng = np.random.default_rng(1)
    problem = Problem(data("squared", rng), hidden=hidden)
    A, B = start(rng)
    for mine, theirs in zip(factorisation_gradient(problem, A, B), by_autograd(problem, A, B)):
        np.testing.assert_allclose(mine, theirs, atol=1e-13)


@pytest.mark.parametrize("kind", ERRORS)
@pytest.mark.parametrize("task", ["rows", "entries"])
@pytest.mark.parametrize("own", [False, True])
def test_gradient_of_a_mini_task(kind, task, own):
    rng = np.random.default_rng(2)
    shape = (S, M_ROWS, N_COLUMNS) if own else (M_ROWS, N_COLUMNS)
    tasks = draw_mini_tasks(task, (M_ROWS, N_COLUMNS), 4, 3, rng)
    weights = rng.random((M_ROWS, N_COLUMNS))
    problem = Problem(data(kind, rng, shape), error=kind, weights=weights, tasks=tasks)
    A, B = start(rng)
    mine = factorisation_gradient(problem, A, B)
    for x, y in zip(mine, by_autograd(problem, A, B, tasks)):
        np.testing.assert_allclose(x, y, atol=1e-13)
    # Of three tasks, step 3 sees the first again.
    again = factorisation_gradient(problem, A, B, step=3)
    np.testing.assert_array_equal(again[0], mine[0])
    assert np.abs(factorisation_gradient(problem, A, B, step=1)[0] - mine[0]).max() > 1e-3


def test_mini_tasks_are_unbiased_and_repeatable():
    rng = np.random.default_rng(3)
    A, B = start(rng)
    M = data("squared", rng)
    full = factorisation_gradient(Problem(M), A, B)[0]
    tasks = draw_mini_tasks("rows", M.shape, 1, 4000, rng=0)
    assert (tasks.indices == draw_mini_tasks("rows", M.shape, 1, 4000, rng=0).indices).all()
    counts = np.bincount(tasks.indices.ravel(), minlength=len(M))
    parts = [factorisation_gradient(Problem(M, tasks=tasks), A, B, t)[0] for t in range(0, 300)]
    share = np.bincount(tasks.indices[:300].ravel(), minlength=len(M)) * len(M) / 300
    np.testing.assert_allclose(np.mean(parts, axis=0), full * share, atol=1e-12)
    assert counts.min() > 0.8 * 4000 / len(M)


def test_batched_training_is_training_one_by_one():
    rng = np.random.default_rng(4)
    M = data("squared", rng, (S, M_ROWS, N_COLUMNS))
    A, B = start(rng)
    together = train_factorisation(Problem(M), A, B, n_steps=100)
    for s in range(S):
        alone = train_factorisation(Problem(M[s]), A[s], B[s], n_steps=100)
        np.testing.assert_allclose(alone.A[0], together.A[s], atol=1e-12)
        np.testing.assert_allclose(alone.error[:, 0], together.error[:, s], rtol=1e-9, atol=1e-14)


def test_training_is_the_textbook_recursion_and_leaves_its_input_alone():
    rng = np.random.default_rng(5)
    M = data("squared", rng)
    A, B = start(rng, seeds=1)
    a, b = A[0].copy(), B[0].copy()
    for _ in range(50):
        R = a.T @ b - M
        a, b = a - 0.1 * b @ R.T / M.size**0.5, b - 0.1 * a @ R / M.size**0.5
    before = A.copy()
    run = train_factorisation(Problem(M), A, B, n_steps=50, record=20, lr=0.1)
    np.testing.assert_allclose(run.A[0], a, atol=1e-13)
    np.testing.assert_array_equal(A, before)
    assert run.steps.tolist() == [0, 20, 40, 50]
    np.testing.assert_allclose(run.error[0], factorisation_error(Problem(M), A, B))
    assert (np.diff(run.error, axis=0) < 0).all()


def test_one_learning_rate_serves_all_sizes():
    rng = np.random.default_rng(6)
    for m, n in ((8, 6), (60, 40), (300, 20)):
        M = rng.standard_normal((m, 2)) @ rng.standard_normal((2, n)) / 2**0.5
        A, B = initial_factors("gaussian", 2, (m, n), 4, 0.5, rng)
        run = train_factorisation(Problem(M), A, B, n_steps=1500)
        assert (run.error[-1] < 1e-3 * run.error[0]).all()


instances = st.tuples(
    st.integers(0, 10**6), st.sampled_from(sorted(ERRORS)), st.integers(2, 5), st.booleans()
)


@settings(max_examples=30, deadline=None)
@given(instances)
def test_gradient_descent_is_equivariant(instance):
    seed, kind, k, reflect = instance
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(3, 9, size=2))
    M = data(kind, rng, shape)
    weights = rng.integers(0, 2, shape).astype(float) if rng.random() < 0.5 else None
    tasks = draw_mini_tasks("entries", shape, 5, 20, rng) if rng.random() < 0.5 else None
    problem = Problem(M, error=kind, weights=weights, l2=0.05, tasks=tasks)
    A, B = start(rng, shape, k, scale=0.3)
    U = rotation.haar(k, rng, size=S, det=-1 if reflect else 1)
    lr = 0.002 if kind == "poisson" else 0.1  # the exponential of its rate soon overflows
    assert equivariance_defect(problem, A, B, U, n_steps=100, lr=lr).max() < 1e-11
    assert invariance_defect(problem, A, B, U).max() < 1e-12


def test_an_l1_penalty_breaks_it():
    rng = np.random.default_rng(7)
    problem = Problem(data("squared", rng), l1=0.05)
    A, B = start(rng)
    U = rotation.haar(K, rng, size=S)
    assert equivariance_defect(problem, A, B, U, n_steps=200).min() > 1e-2
    assert invariance_defect(problem, A, B, U).min() > 1e-4
    P = rotation.signed_permutation(K, rng, size=S)
    assert equivariance_defect(problem, A, B, P, n_steps=200).max() < 1e-12


def test_defect_by_two_separate_runs():
    """The lockstep batch gives what two separate trainings give, step for step."""
    rng = np.random.default_rng(8)
    problem = Problem(data("squared", rng), l1=0.05)
    A, B = start(rng)
    U = rotation.haar(K, rng, size=(2, S))
    defect, curve = equivariance_defect(problem, A, B, U, n_steps=150, curve=True)
    assert defect.shape == (2, S)
    assert curve.shape == (151, 2, S)
    np.testing.assert_array_equal(defect, curve.max(0))
    np.testing.assert_array_equal(equivariance_defect(problem, A, B, U, n_steps=150), defect)
    assert (defect > curve[-1]).any()
    plain = train_factorisation(problem, A, B, n_steps=150)
    for t in range(2):
        turned = train_factorisation(problem, U[t] @ A, U[t] @ B, n_steps=150)
        gap = np.sum((turned.A - U[t] @ plain.A) ** 2, axis=(1, 2))
        gap += np.sum((turned.B - U[t] @ plain.B) ** 2, axis=(1, 2))
        size = np.sum(plain.A**2, axis=(1, 2)) + np.sum(plain.B**2, axis=(1, 2))
        np.testing.assert_allclose(curve[-1, t], np.sqrt(gap / size), rtol=1e-8)


@pytest.mark.parametrize("bug", ["one side only", "transposed", "not orthogonal"])
def test_defect_sees_planted_bugs(bug):
    """A wrong action, wired into the rule as a bug would be, shows at order one."""
    rng = np.random.default_rng(9)
    problem = Problem(data("squared", rng))
    A, B = start(rng)
    U = rotation.haar(K, rng, size=S)

    turn = torch.as_tensor(U)
    wrong = {
        "one side only": (turn, torch.eye(K, dtype=turn.dtype)),
        "transposed": (turn.mT, turn.mT),
        "not orthogonal": (1.5 * turn, 1.5 * turn),
    }[bug]

    def buggy(problem, theta, lr=0.1):
        for X, action in zip((theta.A, theta.B), wrong):
            X[S:] = action @ X[:S]
        return gradient_descent(problem, theta, lr)

    assert equivariance_defect(problem, A, B, U, n_steps=20).max() < 1e-12
    assert equivariance_defect(problem, A, B, U, rule=buggy, n_steps=20).min() > 1e-2


def test_noise_must_be_shared_to_be_seen_as_such():
    """Different mini-tasks for the two runs, a classic slip, are seen."""
    rng = np.random.default_rng(10)
    M = data("squared", rng)
    A, B = start(rng)
    U = rotation.haar(K, rng, size=S)
    shared = Problem(M, tasks=draw_mini_tasks("rows", M.shape, 2, 50, 0))
    assert equivariance_defect(shared, A, B, U, n_steps=50).max() < 1e-12

    def unshared(problem, theta):
        other = replace(problem, tasks=draw_mini_tasks("rows", M.shape, 2, 50, 1))
        a, b = gradient_descent(problem, theta), gradient_descent(other, theta)

        def step(t):
            keep_A, keep_B = theta.A[:S].clone(), theta.B[:S].clone()
            b(t)
            turned_A, turned_B = theta.A[S:].clone(), theta.B[S:].clone()
            theta.A[:S], theta.B[:S] = keep_A, keep_B
            a(t)
            theta.A[S:], theta.B[S:] = turned_A, turned_B

        return step

    assert equivariance_defect(shared, A, B, U, rule=unshared, n_steps=50).min() > 1e-2


def test_scaling_leaves_the_product_but_not_descent():
    rng = np.random.default_rng(11)
    problem = Problem(data("squared", rng))
    A, B = start(rng)
    D = rotation.positive_scaling(K, rng, size=S)
    assert invariance_defect(problem, A, B, D).max() < 1e-12
    assert invariance_defect(Problem(problem.M, l2=0.1), A, B, D).min() > 1e-4
    assert equivariance_defect(problem, A, B, D, n_steps=50, lr=0.05).min() > 1e-3


def test_relu_keeps_permutations_and_positive_scalings_only():
    rng = np.random.default_rng(12)
    problem = Problem(data("squared", rng), hidden="relu")
    A, B = start(rng, seeds=20)
    kept = (rotation.permutation, rotation.positive_scaling)
    lost = (rotation.haar, lambda k, rng, size: np.tile(-np.eye(k), (size, 1, 1)))
    for draw in kept:
        assert invariance_defect(problem, A, B, draw(K, rng, size=20)).max() < 1e-12
    for draw in lost:
        assert np.median(invariance_defect(problem, A, B, draw(K, rng, size=20))) > 1e-3


def test_flow_conserves_the_imbalance_and_descent_drifts_in_proportion_to_lr():
    rng = np.random.default_rng(13)
    problem = Problem(data("squared", rng))
    A, B = start(rng)
    lrs = np.array([0.04, 0.02, 0.01, 0.005])
    drift = imbalance_drift(problem, A, B, lrs, time=1.0)
    order = np.polyfit(np.log(lrs), np.log(drift), 1)[0]
    np.testing.assert_allclose(order, 1, atol=0.1)
    signs = imbalance_drift(problem, A, B, lrs[:2], 1.0, rule=rotation.RULES["sign"])
    assert (signs[0] < 1.1 * signs[1]).all()  # however small its steps, this rule does not
    Q = imbalance(A, B)
    np.testing.assert_allclose(Q, np.swapaxes(Q, 1, 2), atol=1e-14)
    np.testing.assert_allclose(Q[0], A[0] @ A[0].T - B[0] @ B[0].T)


@pytest.mark.parametrize("kind", ["gaussian", "uniform", "orthogonal"])
def test_initialisations(kind):
    A, B = initial_factors(kind, 4, (30, 20), 50, 0.5, rng=1)
    assert A.shape == (50, 4, 30)
    assert B.shape == (50, 4, 20)
    np.testing.assert_array_equal(A, initial_factors(kind, 4, (30, 20), 50, 0.5, rng=1)[0])
    std = {"gaussian": 0.5, "uniform": 0.5 / 3**0.5, "orthogonal": 0.5 / 30**0.5}[kind]
    assert abs(A.std() / std - 1) < 0.05
    if kind == "uniform":
        assert np.abs(A).max() <= 0.5
    if kind == "orthogonal":
        np.testing.assert_allclose(
            A @ A.swapaxes(1, 2), np.tile(np.eye(4) / 4, (50, 1, 1)), atol=1e-12
        )
        tall, _ = initial_factors(kind, 6, (3, 3), 2, 1.0)
        np.testing.assert_allclose(tall[0].T @ tall[0], np.eye(3), atol=1e-12)


def test_admissible_rotations_match_the_exact_probability_in_the_plane():
    """One point (r, 0) of the plane: it stays in the square while cos and sin stay below a / r."""
    rng = np.random.default_rng(14)
    R = rotation.haar(2, rng, size=4000)
    points = np.array([0.5, 1.0, 0.999])[:, None, None] * np.array([[1.0], [0.0]])
    points[2] = 0.999  # the corner, at distance 0.999 sqrt 2
    frame = admissible_rotations(points, R, 1.0)
    assert frame.probability[:2].tolist() == [1.0, 1.0]
    r = 0.999 * 2**0.5
    angle = np.arccos(1 / r)
    exact = 1 - 4 * 2 * angle / (2 * np.pi)
    assert frame.low[2] <= exact <= frame.high[2]
    assert frame.trials.tolist() == [4000] * 3
    one = admissible_rotations(points[2], np.eye(2)[None], 1.0)
    assert one.probability.item() == 1.0


# --- input ---------------------------------------------------------------------------------------


def forms(X):
    """The same numbers as people have them."""
    frozen = X.copy()
    frozen.flags.writeable = False
    yield frozen
    yield np.asfortranarray(X)
    yield X[::-1][::-1]
    yield torch.tensor(X, requires_grad=True)
    yield pd.DataFrame(X)
    yield X.tolist()


def test_arrays_tensors_and_frames_give_the_same():
    rng = np.random.default_rng(15)
    M, U = data("squared", rng), rotation.haar(K, rng)
    A, B = (X[0] for X in start(rng, seeds=1))
    weights = rng.random(M.shape)
    problem = Problem(M, weights=weights)
    wanted = (
        train_factorisation(problem, A, B, n_steps=20).A,
        invariance_defect(Problem(M, l1=0.1), A, B, U),
        imbalance(A, B),
        admissible_rotations(A, U[None], 9.0)["probability"],
    )
    for m, w, a, b, u in zip(*map(forms, (M, weights, A, B, U))):
        found = (
            train_factorisation(Problem(m, weights=w), a, b, n_steps=20).A,
            invariance_defect(Problem(m, l1=0.1), a, b, u),
            imbalance(a, b),
            admissible_rotations(a, u[None] if hasattr(u, "ndim") else [u], 9.0)["probability"]
            if not isinstance(u, pd.DataFrame)
            else wanted[-1],
        )
        for x, y in zip(found, wanted):
            np.testing.assert_allclose(x, y, rtol=1e-12)


def test_reversed_rows_and_half_precision():
    rng = np.random.default_rng(16)
    M = data("squared", rng)
    np.testing.assert_array_equal(Problem(M[::-1]).M, M[::-1])
    for dtype in (torch.bfloat16, torch.float16):
        low = torch.as_tensor(M).to(dtype)
        np.testing.assert_array_equal(Problem(low).M, low.double())
    np.testing.assert_array_equal(Problem(M > 0, error="logistic").M, M > 0)


def test_whole_numbers_may_be_mixed_with_fractions():
    corner = np.array([[[1, 0], [0, 1]]])
    turns = rotation.haar(2, 0, size=20)
    frame = admissible_rotations(corner, turns, 1.0)
    assert frame.equals(admissible_rotations(corner.astype(float), turns, 1.0))
    assert admissible_rotations(0.5 * corner, corner, 1.0)["inside"].item() == 1


A0, B0 = np.ones((1, 2, 3)), np.ones((1, 2, 4))
GOOD = np.ones((3, 4))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Problem(GOOD, error="absolute"), "error must be one of .* got 'absolute'"),
        (lambda: Problem(GOOD, hidden="gelu"), "hidden must be one of .* got 'gelu'"),
        (lambda: Problem(GOOD * np.nan), "M has 12 of 12 values that are not finite"),
        (lambda: Problem(GOOD * 1j), "M must be an array of real numbers, not of complex128"),
        (lambda: Problem(np.ma.masked_equal(np.eye(3), 0)), "M has masked values"),
        (lambda: Problem(-GOOD, error="poisson"), "counts >= 0"),
        (lambda: Problem(GOOD * 0.5, error="logistic"), "0 or 1"),
        (lambda: Problem(GOOD, weights=np.ones((4, 3))), "weights of shape"),
        (lambda: Problem(GOOD, weights=-GOOD), "weights must be"),
        (lambda: Problem(GOOD, l2=-1.0), "l2 must be at least 0, got -1.0"),
        (lambda: initial_factors("xavier", 2, (3, 4)), "kind must be one of .* got 'xavier'"),
        (lambda: initial_factors("uniform", 2, (3, 4), scale=0.0), "scale must be above 0"),
        (lambda: draw_mini_tasks("columns", (3, 4), 2, 5), "kind must be .* got 'columns'"),
        (lambda: draw_mini_tasks("rows", (3, 4), 4, 5), "size must be .* from 1 to 3, got 4"),
        (lambda: train_factorisation(Problem(GOOD), B0, A0), "do not fit"),
        (lambda: train_factorisation(Problem(GOOD), A0, B0[:, :1]), "agree in seeds and in k"),
        (lambda: train_factorisation(Problem(GOOD), A0[:, :0], B0[:, :0]), "A0 is empty"),
        (lambda: train_factorisation(Problem(np.stack([GOOD] * 2)), A0, B0), "but M holds 2"),
        (lambda: train_factorisation(Problem(GOOD), A0, B0, lr=-1.0), "lr must be above 0"),
        (lambda: train_factorisation(Problem(GOOD), A0, B0, n_steps=2.0), "n_steps must be"),
        (lambda: equivariance_defect(Problem(GOOD), A0, B0, np.eye(3)), "U of shape"),
        (lambda: equivariance_defect(Problem(GOOD), A0, B0, np.ones((2, 2))), "U must be invert"),
        (lambda: invariance_defect(Problem(GOOD), A0, B0, np.zeros((2, 2))), "U must be invert"),
        (lambda: equivariance_defect(Problem(GOOD), 0 * A0, 0 * B0, np.eye(2)), "not both be zero"),
        (lambda: imbalance_drift(Problem(GOOD), A0, B0, [0.1], time=-1.0), "time must be above 0"),
        (lambda: imbalance_drift(Problem(np.eye(3)), A0, A0, [0.1], 1.0), "must not be zero"),
        (lambda: admissible_rotations(A0, np.ones((5, 3, 3)), 2.0), "rotations of shape"),
        (lambda: admissible_rotations(A0, np.ones((5, 2, 2)), 0.5), "outside half_width"),
    ],
)
def test_bad_input_is_named(make, words):
    with pytest.raises(ValueError, match=words) as info:
        make()
    assert "\n" not in str(info.value)


def test_divergence_is_an_error():
    A, B = initial_factors("gaussian", 2, (3, 4), 1, 1.0)
    with pytest.raises(FloatingPointError, match="lower lr"):
        train_factorisation(Problem(100 * GOOD), A, B, lr=10.0)
    with pytest.raises(FloatingPointError, match="lower lr"):
        equivariance_defect(Problem(100 * GOOD), A, B, np.eye(2), lr=10.0)
