"""The update rules: agreement with torch.optim, the symmetry each keeps, its classification."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import rotation
from hblib.rotation import (
    GROUPS,
    RULES,
    Problem,
    UpdateRule,
    draw_mini_tasks,
    equivariance_defect,
    initial_factors,
    update_rule,
)
from hblib.rotation import _preconditioners as preconditioners
from hblib.rotation import _update_rules as update_rules
from hblib.rotation._symmetry import _actions

train = rotation.train_factorisation

SHAPE, K, S = (8, 6), 3, 2
# Rounding alone decides the result of two-sided SOAP: it has a test of its own.
KEEPERS = [n for n, r in RULES.items() if r.symmetry == "O(k)" and n != "soap"]
BREAKERS = [n for n, r in RULES.items() if r.symmetry != "O(k)"]


def problem_and_start(seed=0, k=K, shape=SHAPE, seeds=S):
    rng = np.random.default_rng(seed)
    problem = rotation.reference_problem(k, shape, rng=rng)
    return problem, *initial_factors("gaussian", k, shape, seeds, 0.5, rng), rng


def by_torch(cls, problem, A, B, steps, **options):
    """One seed at a time, A and B as two parameters, gradient by autograd."""
    ends = []
    for a, b in zip(A, B):
        params = [torch.tensor(a, requires_grad=True), torch.tensor(b, requires_grad=True)]
        optimiser = cls(params, **options)
        for _ in range(steps):
            optimiser.zero_grad()
            error = (params[0].T @ params[1] - problem.M).square().sum() / 2 * problem.scale
            error.backward()
            optimiser.step()
        ends.append(params[0].detach().numpy())
    return np.stack(ends)


optim = torch.optim


@pytest.mark.parametrize(
    ("name", "cls", "options"),
    [
        ("momentum", optim.SGD, {"lr": 0.05, "momentum": 0.9}),
        ("nesterov", optim.SGD, {"lr": 0.05, "momentum": 0.9, "nesterov": True}),
        ("adagrad", optim.Adagrad, {"lr": 0.02}),
        ("rmsprop", optim.RMSprop, {"lr": 0.0005, "eps": 1e-3}),
        ("adam", optim.Adam, {"lr": 0.001}),
        ("amsgrad", optim.Adam, {"lr": 0.001, "amsgrad": True}),
        ("adafactor", optim.Adafactor, {"lr": 0.001}),
    ],
)
def test_a_stack_of_seeds_is_torch_one_by_one(name, cls, options):
    problem, A, B, _ = problem_and_start()
    mine = train(problem, A, B, update_rule(name), n_steps=60)
    theirs = by_torch(cls, problem, A, B, 60, **options)
    np.testing.assert_allclose(mine.A, theirs, atol=1e-9)


@pytest.mark.parametrize("name", ["adagrad", "adam"])
def test_our_rules_over_coordinates_are_torchs(name):
    problem, A, B, _ = problem_and_start()
    build = getattr(update_rules, name)
    lr = RULES[name].lr
    mine = train(problem, A, B, build, n_steps=60, lr=lr, over="coordinate")
    theirs = train(problem, A, B, update_rule(name), n_steps=60)
    np.testing.assert_allclose(mine.A, theirs.A, atol=1e-9)


def test_clipping_over_all_is_torchs_global_norm():
    problem, A, B, _ = problem_and_start(seeds=1)
    at, count = 0.01, A.size + B.size
    a, b = torch.tensor(A[0], requires_grad=True), torch.tensor(B[0], requires_grad=True)
    for _ in range(30):
        a.grad = b.grad = None
        ((a.T @ b - problem.M).square().sum() / 2 * problem.scale).backward()
        torch.nn.utils.clip_grad_norm_([a, b], at * count**0.5)
        with torch.no_grad():
            a.sub_(a.grad, alpha=0.2)
            b.sub_(b.grad, alpha=0.2)
    mine = train(problem, A, B, update_rule("clip-norm"), n_steps=30)
    # torch divides by the norm plus 1e-6
    np.testing.assert_allclose(mine.A[0], a.detach().numpy(), atol=1e-4)


def test_muon_is_torchs_up_to_its_bfloat16():
    problem, A, B, _ = problem_and_start()
    theirs = by_torch(optim.Muon, problem, A, B, 40, lr=0.01, weight_decay=0.0)
    moved = np.abs(theirs - A).max()
    gap = {}
    for dtype in (torch.bfloat16, torch.float32):
        mine = train(problem, A, B, update_rule("muon"), n_steps=40, lr=0.01, dtype=dtype)
        gap[dtype] = np.abs(mine.A - theirs).max() / moved
    assert gap[torch.bfloat16] < 0.05
    assert gap[torch.float32] < 0.05
    exact = train(problem, A, B, update_rule("muon-polar"), n_steps=40, lr=0.01)
    assert np.abs(exact.A - theirs).max() / moved > 2 * max(gap.values())


def test_newton_schulz_and_polar_set_singular_values_near_one():
    G = torch.randn(4, 3, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(rotation.newton_schulz(G))
    assert ((values > 0.6) & (values < 1.4)).all()
    for X in (G, G.mT):
        values = torch.linalg.svdvals(preconditioners.polar(X.contiguous()))
        torch.testing.assert_close(values, torch.ones_like(values))


def test_muon_is_one_optimiser_for_factorisations_and_networks():
    """The update rule is `Muon` on the matrices of each seed; tall ones are transposed."""
    problem, A, B, _ = problem_and_start()
    both = train(problem, A, B, update_rule("muon"), n_steps=20, lr=0.01)
    alone = by_torch(rotation.Muon, problem, A, B, 20, lr=0.01)
    np.testing.assert_allclose(both.A, alone, atol=1e-12)
    tall, wide = (torch.nn.Parameter(torch.zeros(shape)) for shape in ((9, 4), (4, 9)))
    G = torch.randn(9, 4, generator=torch.Generator().manual_seed(0))
    for W, gradient in ((tall, G), (wide, G.T)):
        W.grad = gradient
        rotation.Muon([W], lr=0.1).step()
    torch.testing.assert_close(tall.detach(), wide.detach().T * (9 / 4) ** 0.5)


def test_muon_can_be_saved_and_takes_up_where_it_was():
    torch.manual_seed(0)
    W = torch.nn.Parameter(torch.zeros(3, 5))
    W.grad = torch.randn(3, 5)
    optimiser = rotation.Muon([W], lr=0.1)
    optimiser.step()
    other = torch.nn.Parameter(W.detach().clone())
    again = rotation.Muon([other], lr=0.5)
    again.load_state_dict(copy.deepcopy(optimiser.state_dict()))
    W.grad = other.grad = torch.randn(3, 5)
    optimiser.step(), again.step()
    torch.testing.assert_close(W.detach(), other.detach())


def test_gloves_rule_is_adagrad_with_an_offset():
    """lr g / sqrt(1 + sum past (lr g)^2) against g / sqrt(1 / lr^2 + sum past g^2), in NumPy."""
    problem, A, B, _ = problem_and_start(seeds=1)
    a, b, lr = A[0].copy(), B[0].copy(), 0.5
    past = [np.zeros_like(a), np.zeros_like(b)]
    M = problem.M.numpy()
    for _ in range(40):
        R = (a.T @ b - M) * problem.scale
        g = [b @ R.T, a @ R]
        a, b = (x - d / np.sqrt(1 / lr**2 + p) for x, d, p in zip((a, b), g, past))
        past = [p + d**2 for p, d in zip(past, g)]
    mine = train(problem, A, B, update_rule("glove"), n_steps=40, lr=lr)
    np.testing.assert_allclose(mine.A[0], a, atol=1e-12)


def by_hand(transform, n_steps=20, lr=0.05):
    """Descent in NumPy: ``transform(g, a, b, gradient)`` makes the step of a list of gradients."""
    problem, A, B, _ = problem_and_start(seeds=1)
    M = problem.M.numpy()

    def gradient(a, b):
        R = (a.T @ b - M) * problem.scale
        return [b @ R.T, a @ R]

    a, b = A[0].copy(), B[0].copy()
    for _ in range(n_steps):
        steps = transform(gradient(a, b), a, b, gradient)
        a, b = a - lr * steps[0], b - lr * steps[1]
    return problem, A, B, a


def power(S, exponent):
    values, vectors = np.linalg.eigh(S)
    return vectors * values**exponent @ vectors.T


def test_lion_by_hand():
    means = [0.0, 0.0]

    def step(g, *_):
        signs = [np.sign(0.9 * m + 0.1 * x) for m, x in zip(means, g)]
        means[:] = [0.99 * m + 0.01 * x for m, x in zip(means, g)]
        return signs

    problem, A, B, a = by_hand(step, lr=0.01)
    mine = train(problem, A, B, update_rule("lion"), n_steps=20, lr=0.01)
    np.testing.assert_allclose(mine.A[0], a, atol=1e-12)


@pytest.mark.parametrize("adaptive", [False, True])
def test_sharpness_aware_by_hand(adaptive):
    """The gradient is taken a step of length rho uphill."""

    def step(g, a, b, gradient):
        weights = [np.abs(x) if adaptive else 1.0 for x in (a, b)]
        length = np.sqrt(sum(np.sum((w * x) ** 2) for w, x in zip(weights, g)))
        up = [0.3 / length * w**2 * x for w, x in zip(weights, g)]
        return gradient(a + up[0], b + up[1])

    problem, A, B, a = by_hand(step)
    options = {"lr": 0.05, "rho": 0.3, "adaptive": adaptive}
    mine = train(problem, A, B, update_rules.sharpness_aware, n_steps=20, **options)
    np.testing.assert_allclose(mine.A[0], a, atol=1e-12)


def test_full_matrix_adagrad_by_hand():
    total = 0.01 * np.eye(K)

    def step(g, *_):
        total[...] += g[0] @ g[0].T + g[1] @ g[1].T
        return [power(total, -0.5) @ x for x in g]

    problem, A, B, a = by_hand(step)
    mine = train(problem, A, B, update_rule("adagrad-full"), n_steps=20, lr=0.05)
    np.testing.assert_allclose(mine.A[0], a, atol=1e-10)


@pytest.mark.parametrize("word_side", [False, True])
def test_shampoo_by_hand(word_side):
    lefts = [0.01 * np.eye(K) for _ in SHAPE]
    rights = [0.01 * np.eye(m) for m in SHAPE]

    def step(g, *_):
        for L, R, x in zip(lefts, rights, g):
            L += x @ x.T
            R += x.T @ x
        if word_side:
            return [power(L, -0.25) @ x @ power(R, -0.25) for L, R, x in zip(lefts, rights, g)]
        return [power(L, -0.5) @ x for L, x in zip(lefts, g)]

    problem, A, B, a = by_hand(step)
    options = {"lr": 0.05, "word_side": word_side, "every": 1}
    mine = train(problem, A, B, preconditioners.shampoo, n_steps=20, **options)
    np.testing.assert_allclose(mine.A[0], a, atol=1e-9)


def test_dropout_keeps_the_mean_product():
    """One number for each factor, M = 0: either dropped or scaled up by 1 / (1 - p)."""
    problem = Problem(np.zeros((1, 1)))
    a, b, lr, p = 2.0, 3.0, 0.1, 0.25
    A, B = np.full((40, 1, 1), a), np.full((40, 1, 1), b)
    mine = train(problem, A, B, update_rule("dropout-word"), n_steps=1, lr=lr, p=p)
    kept = b - lr * (a / (1 - p)) ** 2 * b
    dropped = np.isclose(mine.B[:, 0, 0], b)
    np.testing.assert_allclose(mine.B[~dropped, 0, 0], kept)
    assert 2 <= dropped.sum() <= 20


def test_the_ball_holds_what_lies_inside():
    X = torch.tensor([[[0.3, 3.0], [0.4, 4.0]]])
    expected = torch.tensor([[[0.3, 0.6], [0.4, 0.8]]])
    torch.testing.assert_close(update_rules.unit_ball(X), expected)


def test_least_squares_reaches_the_ridge_optimum():
    """Both ALS and coordinate descent end where the penalised gradient vanishes, at one value."""
    problem, A, B, _ = problem_and_start()
    penalised = replace(problem, l2=0.01)
    ends = []
    for name in ("als", "coordinate-descent"):
        run = train(problem, A, B, update_rule(name), n_steps=3000)
        theta = penalised.parameters(run.A, run.B)
        grad = theta.clone()
        penalised.gradient_(theta, grad)
        assert grad.norm().max() < 1e-5
        ends.append(penalised.value(theta).numpy())
    np.testing.assert_allclose(ends[0], ends[1], rtol=1e-6)
    gradient_descent = train(penalised, A, B, n_steps=3000)
    np.testing.assert_allclose(gradient_descent.error[-1], ends[0], rtol=1e-6)


def test_gauss_newton_solves_the_blocks():
    problem, A, B, _ = problem_and_start(seeds=1)
    after = train(problem, A, B, update_rule("gauss-newton"), n_steps=1, lr=1.0, damping=1e-12)
    # An undamped full step for A alone is the least-squares fit to M given B.
    fit = np.linalg.lstsq(B[0].T, problem.M.numpy().T, rcond=None)[0]
    np.testing.assert_allclose(after.A[0], fit, atol=1e-8)


@pytest.mark.parametrize("name", ["lbfgs", "lbfgs-torch"])
def test_lbfgs_converges_and_takes_seeds_apart(name):
    problem, A, B, _ = problem_and_start()
    many = train(problem, A, B, update_rule(name), n_steps=60)
    one = train(problem, A[1], B[1], update_rule(name), n_steps=60)
    np.testing.assert_allclose(many.error[-1, 1], one.error[-1, 0], rtol=1e-6)
    descent = train(problem, A, B, n_steps=3000)
    np.testing.assert_allclose(many.error[-1], descent.error[-1], rtol=1e-3)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_trains(name):
    problem, A, B, _ = problem_and_start(seed=3, shape=(24, 16), k=4)
    n_steps = 1500 if RULES[name].family == "matrix" else 2000
    run = train(problem, A, B, update_rule(name), n_steps=n_steps)
    assert (run.error[-1] < 0.95 * run.error[0]).all()


# L-BFGS and two-sided SOAP amplify rounding; noise is drawn for the whole stack.
ALONE = [
    n
    for n, r in RULES.items()
    if n not in ("lbfgs", "lbfgs-torch", "soap") and r.family != "noise"
]


@pytest.mark.parametrize("name", ALONE)
def test_a_stack_of_seeds_is_each_seed_alone(name):
    """No rule lets the seeds of a batch see each other."""
    problem, A, B, _ = problem_and_start()
    together = train(problem, A, B, update_rule(name), n_steps=15)
    first = train(problem, A[:1], B[:1], update_rule(name), n_steps=15)
    np.testing.assert_allclose(together.A[0], first.A[0], atol=1e-9)


@pytest.mark.parametrize("name", ["dropout-word", "weight-noise"])
def test_noise_repeats_a_seed_and_continues_a_generator(name):
    problem, A, B, _ = problem_and_start()
    rng = np.random.default_rng(0)
    one, two, other = (
        train(problem, A, B, update_rule(name), n_steps=5, rng=seed).A for seed in (7, 7, 8)
    )
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0
    drawn = [train(problem, A, B, update_rule(name), n_steps=5, rng=rng).A for _ in range(2)]
    assert np.abs(drawn[0] - drawn[1]).max() > 0


@pytest.mark.parametrize("name", KEEPERS)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(2, 4))
def test_keepers_keep(name, seed, k):
    problem, A, B, rng = problem_and_start(seed, k)
    U = rotation.haar(k, rng, size=S)
    assert equivariance_defect(problem, A, B, U, update_rule(name), n_steps=25).max() < 1e-9


@pytest.mark.parametrize("name", BREAKERS)
@settings(max_examples=2, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_breakers_break_and_keep_what_they_should(name, seed):
    problem, A, B, rng = problem_and_start(seed)
    U = rotation.haar(K, rng, size=S)
    assert equivariance_defect(problem, A, B, U, update_rule(name), n_steps=25).min() > 1e-8
    draw = {
        "signed permutations": rotation.signed_permutation,
        "permutations": rotation.permutation,
        "sign flips": rotation.sign_flip,
    }.get(RULES[name].symmetry)
    if draw is not None:
        P = draw(K, rng, size=S)
        assert equivariance_defect(problem, A, B, P, update_rule(name), n_steps=25).max() < 1e-9


@pytest.mark.parametrize("kind", ["rows", "entries"])
@pytest.mark.parametrize(("name", "keeps"), [("adam-word", True), ("muon", True), ("adam", False)])
def test_rules_with_shared_mini_tasks(kind, name, keeps):
    problem, A, B, rng = problem_and_start()
    problem = replace(problem, tasks=draw_mini_tasks(kind, SHAPE, 4, 30, rng))
    defect = equivariance_defect(
        problem, A, B, rotation.haar(K, rng, size=S), update_rule(name), n_steps=60
    )
    assert defect.max() < 1e-10 if keeps else defect.min() > 1e-3


def test_soap_on_both_sides_is_settled_by_breaking_ties_only():
    problem, A, B, rng = problem_and_start(shape=(16, 12))
    U = rotation.haar(K, rng, size=S)
    loose = equivariance_defect(problem, A, B, U, update_rule("soap"), n_steps=100)
    tied = equivariance_defect(problem, A, B, U, update_rule("soap-tie"), n_steps=100)
    assert tied.max() < 1e-9
    assert loose.min() > 1e4 * tied.max()


# --- classification ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("d64", "d32", "floor", "verdict"),
    [
        ([2e-15, 1e-15, 3e-15], [1e-6, 1e-6, 2e-6], 1e-15, "keeps"),
        ([2e-11, 3e-5, 1e-12], [1e-3, 0.5, 1e-4], 1e-5, "keeps"),  # ill-conditioned
        ([0.5, 0.7, 0.9], [0.5, 0.7, 0.9], 1e-15, "breaks"),
        ([1e-3, 2e-3, 1e-3], [1e-3, 2e-3, 1e-3], 1e-15, "breaks"),  # small, but of no precision
        ([0.5, 1e-15, 1e-15], [0.5, 1e-6, 1e-6], 1e-15, "breaks"),  # one clear seed is enough
        ([0.5, 0.7, 0.9], [0.5, 0.7, 0.9], 0.3, "undecided"),  # the floor is as high: chaos
        ([1e-4, 1e-15, 1e-15], [1e-4, 1e-6, 1e-6], 1e-4, "keeps"),  # one chaotic seed of three
        ([1e-4, 1e-4, 1e-15], [1e-4, 1e-4, 1e-6], 1e-4, "undecided"),
        ([1e-5], [1e-3], 1e-15, "undecided"),  # ratio 100: neither
        ([0.0, 0.0], [0.0, 0.0], 0.0, "keeps"),
    ],
)
def test_classify(d64, d32, floor, verdict):
    assert rotation.classify_defects(d64, d32, floor) == verdict


def test_classify_rejects_what_it_cannot_judge():
    with pytest.raises(ValueError, match="same length"):
        rotation.classify_defects([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        rotation.classify_defects([np.nan], [1.0])


def frame(**defects):
    """What symmetry_defects returns, for one seed, from (float64, float32) pairs."""
    rows = [(a.replace("_", " "), 0, *d) for a, d in defects.items()]
    return pd.DataFrame(rows, columns=["action", "seed", "float64", "float32"])


def test_surviving_group_goes_down_the_ladder():
    yes, no, floor = (1e-15, 1e-6), (0.5, 0.5), (1e-15, 1e-7)
    ladder = ["O(k)", "signed permutations", "permutations", "sign flips"]
    for i, group in enumerate([*ladder, "none"]):
        verdicts = {name: yes if j >= i else no for j, name in enumerate(ladder)}
        assert rotation.surviving_group(frame(**verdicts, floor=floor)) == group
    lost = {**dict.fromkeys(ladder, no), "floor": (0.5, 0.5)}
    assert rotation.surviving_group(frame(**lost)) == "undecided"


def test_the_second_run_is_in_single_precision():
    problem, A, B, _ = problem_and_start()
    frame = rotation.symmetry_defects(update_rule("gd"), problem, A, B, n_steps=50)
    turned = frame[frame["action"] == "O(k)"]
    assert (turned["float64"] < 1e-12).all() and (turned["float32"] > 1e-9).all()


@given(st.integers(2, 4), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_every_action_moves_something(k, seed):
    """With the identity among the permutations, say, every rule would keep them."""
    actions = _actions(k, 3, np.random.default_rng(seed))
    eye = np.eye(k)
    for X in actions["permutations"]:
        assert (X.sum(0) == 1).all() and (X.sum(1) == 1).all() and (X != eye).any()
    for X in actions["sign flips"]:
        assert (np.abs(X) == eye).all() and abs(np.trace(X)) < k
    for X in actions["signed permutations"]:
        assert (np.abs(X) != eye).any() and X.min() == -1 and X.max() == 1
    assert 0 < np.abs(actions["floor"] - eye).max() <= 1e-15


def test_symmetry_table_names_the_group_of_every_kind():
    names = ["gd", "adam", "adam-word", "relu", "coordinate-descent", "weight-noise", "l1"]
    table = rotation.symmetry_table(names, n_steps=300).set_index("rule")
    assert (table["agree"] == "yes").all()
    assert set(table["measured"]) == set(GROUPS)
    assert table.loc["gd", "defect"] < 1e-12
    assert table.loc["adam", "smallest"] > 1e-2
    again = rotation.symmetry_table(["adam"], n_steps=300, n_jobs=1)
    assert again["defect"].item() == pytest.approx(table.loc["adam", "defect"], rel=1e-6)


def test_symmetry_table_would_show_a_wrong_expectation():
    wrong = [replace(RULES["adam"], symmetry="O(k)"), replace(RULES["gd"], symmetry="permutations")]
    assert rotation.symmetry_table(wrong, n_steps=200)["agree"].tolist() == ["no", "no"]


def test_a_transposed_update_is_not_mistaken_for_a_symmetric_one():
    """A rule with a fixed matrix in the hidden space breaks everything."""
    fixed = torch.as_tensor(np.diag([1.0, 2.0, 3.0]) + np.eye(3, k=1))

    def skewed(problem, theta, lr=0.05):
        grad = theta.clone()

        def step(t):
            problem.gradient_(theta, grad, t)
            for X, g in ((theta.A, grad.A), (theta.B, grad.B)):
                X.sub_(lr * fixed.to(g.dtype) @ g)

        return step

    problem, A, B, _ = problem_and_start()
    frame = rotation.symmetry_defects(skewed, problem, A, B, n_steps=100)
    assert rotation.surviving_group(frame) == "none"


def test_the_register_is_complete_and_consistent():
    assert len(RULES) >= 30
    for name, r in RULES.items():
        assert isinstance(r, UpdateRule)
        assert r.name == name
        assert r.symmetry in GROUPS
        assert r.reason
        assert r.index in ("none", "word", "unit", "coordinate", "unit and word")
    assert len({r.label for r in RULES.values()}) == len(RULES)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda p, A, B: update_rule("adamant"), "rule must be one of 'gd', .* got 'adamant'"),
        (lambda p, A, B: train(p, A, B, update_rule("adam"), lr=0.0), "lr must be above 0"),
        (lambda p, A, B: train(p, A, B, update_rules.sign_sgd, lr=-1.0), "lr must be above 0"),
        (lambda p, A, B: train(p, A, B, update_rule("als"), lr=0.1), "has none"),
        (lambda p, A, B: train(p, A, B, update_rule("clip-word"), over="row"), "over must be one"),
        (lambda p, A, B: train(p, A, B, update_rule("dropout-word"), over="unit"), "over must be"),
        (lambda p, A, B: train(p, A, B, update_rule("dropout-word"), p=1.0), "p must be below 1"),
        (lambda p, A, B: train(p, A, B, update_rule("soap"), sides="left"), "sides must be one of"),
        (lambda p, A, B: train(replace(p, hidden="relu"), A, B, update_rule("als")), "plain squa"),
        (
            lambda p, A, B: train(
                replace(p, tasks=draw_mini_tasks("rows", SHAPE, 2, 2)), A, B, update_rule("lbfgs")
            ),
            "whole error",
        ),
        (lambda p, A, B: rotation.symmetry_table(["gd"], k=1), "k must be at least 2, got 1"),
        (lambda p, A, B: rotation.symmetry_table(["gd"], n_jobs=0), "n_jobs must be a whole"),
        (lambda p, A, B: rotation.Muon([torch.zeros(3)], lr=0.1), "matrices must have 2 axes"),
    ],
)
def test_bad_input_is_named(make, words):
    problem, A, B, _ = problem_and_start()
    with pytest.raises(ValueError, match=words) as info:
        make(problem, A, B)
    assert "\n" not in str(info.value)
