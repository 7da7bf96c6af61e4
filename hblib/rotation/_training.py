"""Training factorisations of many seeds at once, and what training does to a symmetry.

An update rule is any callable ``rule(problem, theta, **options) -> step`` whose ``step(t)`` changes
``theta`` in place; `descent_rule` makes one from a change of the gradient, `hblib.rotation.RULES`
holds those under study.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import as_array, number, whole
from hblib.rotation._factorisation import Parameters, Problem, batched, tensor

if TYPE_CHECKING:
    import pandas as pd

Step = Callable[[int], None]


def gradient_descent(problem: Problem, theta: Parameters, lr: float = 0.2) -> Step:
    """Make the step of the plain rule theta <- theta - lr * gradient.

    It is stochastic gradient descent when the problem has mini-tasks.

    Parameters
    ----------
    problem : Problem
    theta : Parameters
        Changed in place by every step.
    lr : float
        Learning rate.

    Returns
    -------
    callable
        ``step(t)``.

    Examples
    --------
    >>> problem = Problem([[4.0]])
    >>> theta = problem.parameters([[1.0], [2.0]], [[3.0], [1.0]])
    >>> gradient_descent(problem, theta, lr=0.1)(0)
    >>> theta.A.ravel().tolist()
    [0.7, 1.9]
    """
    lr = number("lr", lr, above=0)
    grad = theta.clone()

    def step(t: int) -> None:
        problem.gradient_(theta, grad, t)
        theta.flat.add_(grad.flat, alpha=-lr)

    return step


def descent_rule(make: Callable[..., Callable[[int], Any]]) -> Callable[..., Step]:
    """Make an update rule that descends along a transformed gradient (a decorator).

    Parameters
    ----------
    make : callable
        ``make(problem, theta, grad, **options)`` returns a ``transform(t)`` that changes ``grad``,
        the gradient of step t, in place; the rule then does theta <- theta - lr * grad.

    Returns
    -------
    callable
        The rule, ``rule(problem, theta, lr, **options)``.

    Examples
    --------
    Descent by the signs of the gradient, in one line:

    >>> @descent_rule
    ... def sign_descent(problem, theta, grad):
    ...     return lambda t: grad.flat.sign_()
    >>> problem = Problem([[4.0]])
    >>> theta = problem.parameters([[1.0], [2.0]], [[3.0], [1.0]])
    >>> sign_descent(problem, theta, lr=0.5)(0)
    >>> theta.A.ravel().tolist()
    [0.5, 1.5]
    """

    @functools.wraps(make)
    def rule(problem: Problem, theta: Parameters, lr: float, **options: Any) -> Step:
        lr = number("lr", lr, above=0)
        grad = theta.clone()
        transform = make(problem, theta, grad, **options)

        def step(t: int) -> None:
            problem.gradient_(theta, grad, t)
            transform(t)
            theta.flat.add_(grad.flat, alpha=-lr)

        return step

    del rule.__wrapped__  # its signature has `grad` where the rule has `lr`
    return rule


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """What training gives.

    Attributes
    ----------
    A, B : ndarray of shape (S, k, m) and (S, k, n)
        The trained factors of every seed.
    steps : ndarray of shape (n_records,)
        Numbers of steps after which the error was recorded, 0 first.
    error : ndarray of shape (n_records, S)
        The error then.
    """

    A: np.ndarray
    B: np.ndarray
    steps: np.ndarray
    error: np.ndarray


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread, as batches of small matrices are fastest and sums are repeatable."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@one_thread()
def train_factorisation(
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    rule: Callable[..., Step] = gradient_descent,
    n_steps: int = 2000,
    record: int | None = None,
    **options: Any,
) -> TrainingRun:
    """Train the factorisations of all seeds at once, on one thread.

    Parameters
    ----------
    problem : Problem
    A0, B0 : array_like of shape (S, k, m) and (S, k, n)
        Where each seed starts.
    rule : callable, optional
        An update rule, for instance ``RULES["adam"]``; plain gradient descent by default.
    n_steps : int
        Number of steps.
    record : int, optional
        Record the error every that many steps; by default only at the start and at the end.
    **options
        Passed to the rule, for instance ``lr=0.1``.

    Returns
    -------
    TrainingRun

    Raises
    ------
    FloatingPointError
        If the parameters do not stay finite.

    Examples
    --------
    >>> from hblib.rotation import initial_factors
    >>> M = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    >>> A0, B0 = initial_factors("gaussian", k=2, shape=M.shape, n_seeds=4, scale=0.5, rng=0)
    >>> run = train_factorisation(Problem(M), A0, B0, n_steps=500)
    >>> bool((run.error[-1] < 1e-4 * run.error[0]).all())
    True
    """
    n_steps = whole("n_steps", n_steps)
    record = n_steps if record is None else whole("record", record)
    theta = problem.parameters(A0, B0, ("A0", "B0"))
    step = rule(problem, theta, **options)
    steps, errors = [0], [problem.value(theta)]
    for t in range(n_steps):
        step(t)
        if (t + 1) % record == 0 or t + 1 == n_steps:
            steps.append(t + 1)
            errors.append(problem.value(theta))
    if not theta.flat.isfinite().all():
        raise FloatingPointError(f"Training did not stay finite in {n_steps} steps: lower lr")
    errors = torch.stack(errors).numpy()
    return TrainingRun(theta.A.numpy(), theta.B.numpy(), np.array(steps), errors)


@one_thread()
def equivariance_defect(
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    U: ArrayLike,
    rule: Callable[..., Step] = gradient_descent,
    n_steps: int = 2000,
    curve: bool = False,
    **options: Any,
) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
    """Measure how far training from the rotated start strays from the rotated training.

    Runs from (A0, B0) and from (U A0, U^-T B0), which is (U A0, U B0) for an orthogonal U, go in
    lockstep as one batch and see the same mini-tasks and the same random draws. At each step the
    defect is |theta'_t - U theta_t|_F / |theta_t|_F.

    Parameters
    ----------
    problem : Problem
    A0, B0 : array_like of shape (S, k, m) and (S, k, n)
        Where each seed starts.
    U : array_like of shape (k, k), (S, k, k) or (T, S, k, k)
        One invertible matrix, one per seed, or T sets of them, all run in the same batch.
    rule, n_steps, **options
        As in `train_factorisation`.
    curve : bool
        Also return the defect at every step.

    Returns
    -------
    defect : ndarray of shape (S,), or (T, S) for U of four axes
        The maximum over the steps, the start included.
    curve : ndarray of shape (n_steps + 1, S) or (n_steps + 1, T, S), only if asked for

    Raises
    ------
    FloatingPointError
        If the parameters do not stay finite.

    Examples
    --------
    Gradient descent commutes with a rotation up to rounding, a rule by signs does not:

    >>> from hblib.rotation import RULES, haar, initial_factors
    >>> problem = Problem(np.outer([1.0, 2.0, 3.0], [1.0, -1.0]))
    >>> A0, B0 = initial_factors("gaussian", k=2, shape=problem.shape)
    >>> U = haar(2, rng=0)
    >>> bool(equivariance_defect(problem, A0, B0, U, n_steps=100).max() < 1e-12)
    True
    >>> bool(equivariance_defect(problem, A0, B0, U, RULES["sign"], n_steps=100).max() > 1e-3)
    True
    """
    n_steps = whole("n_steps", n_steps)
    start = problem.parameters(A0, B0, ("A0", "B0"))
    if not (start.norm() > 0).all():
        raise ValueError("A0 and B0 must not both be zero: nothing moves, and nothing turns")
    UA64, UB64, several = _actions(U, start)
    n_sets = len(UA64)
    UA, UB = UA64.to(problem.dtype), UB64.to(problem.dtype)
    theta = Parameters(
        torch.cat([start.A[None], UA @ start.A]).flatten(0, 1),
        torch.cat([start.B[None], UB @ start.B]).flatten(0, 1),
        problem.dtype,
    )
    step = rule(problem.with_twins(n_sets + 1), theta, **options)

    # Steps are written to a buffer and compared many at a time: it is the only cost of watching.
    chunk = max(1, min(100, n_steps + 1, 2_000_000 // theta.flat.numel()))
    history = torch.empty((chunk, theta.flat.numel()), dtype=problem.dtype)
    pieces, filled = [], 0

    def flush() -> None:
        gap = size = 0.0
        for X, V in zip(
            history[:filled].split([theta.A.numel(), theta.B.numel()], dim=1), (UA, UB)
        ):
            X = X.view(filled, n_sets + 1, *(start.A if V is UA else start.B).shape)
            turned = torch.einsum("tsij,csjw->ctsiw", V, X[:, 0])
            gap = gap + (X[:, 1:] - turned).square().sum((3, 4))
            size = size + X[:, :1].square().sum((3, 4))
        pieces.append((gap / size).sqrt())

    for t in range(n_steps + 1):
        history[filled] = theta.flat
        filled += 1
        if filled == chunk or t == n_steps:
            flush()
            filled = 0
        if t < n_steps:
            step(t)
    gaps = torch.cat(pieces).double().numpy()
    if not np.isfinite(gaps).all():
        first = int(np.argmin(np.isfinite(gaps).all(axis=(1, 2))))
        raise FloatingPointError(f"Training did not stay finite at step {first}: lower lr")
    if not several:
        gaps = gaps[:, 0]
    return (gaps.max(0), gaps) if curve else gaps.max(0)


def invariance_defect(problem: Problem, A: ArrayLike, B: ArrayLike, U: ArrayLike) -> np.ndarray:
    """Measure the relative change of the error under (A, B) -> (U A, U^-T B), per seed.

    For orthogonal U the action is (U A, U B); for other invertible U it is the one that leaves
    A.T @ B alone, so that scalings can be tested as generators too.

    Parameters
    ----------
    problem : Problem
    A, B : array_like of shape (S, k, m) and (S, k, n)
    U : array_like of shape (k, k), (S, k, k) or (T, S, k, k)

    Returns
    -------
    ndarray of shape (S,), or (T, S) for U of four axes
        |E(UA, U^-T B) - E(A, B)| / |E(A, B)|.

    Examples
    --------
    An L1 penalty sees the axes:

    >>> from hblib.rotation import initial_factors
    >>> A0, B0 = initial_factors("gaussian", k=2, shape=(3, 2))
    >>> U = [[0.6, -0.8], [0.8, 0.6]]
    >>> bool(invariance_defect(Problem(np.ones((3, 2))), A0, B0, U).max() < 1e-12)
    True
    >>> bool(invariance_defect(Problem(np.ones((3, 2)), l1=0.1), A0, B0, U).max() > 1e-4)
    True
    """
    theta = problem.parameters(A, B)
    UA64, UB64, several = _actions(U, theta)
    before = problem.value(theta)
    pairs = zip(UA64.to(problem.dtype), UB64.to(problem.dtype))
    after = [
        problem.value(Parameters(ua @ theta.A, ub @ theta.B, problem.dtype)) for ua, ub in pairs
    ]
    defect = ((torch.stack(after) - before) / before).abs().numpy()
    return defect if several else defect[0]


def imbalance(A: ArrayLike, B: ArrayLike) -> np.ndarray:
    """Compute Q = A A^T - B B^T, conserved by gradient flow on any error of A.T @ B.

    d/dt (A A^T) = -(B G^T A^T + A G B^T) = d/dt (B B^T); in general the symmetric part of the
    gl(k) symmetry gives the k (k + 1) / 2 conserved quantities, the antisymmetric part O(k).

    Parameters
    ----------
    A, B : array_like of shape (S, k, m) and (S, k, n), or (k, m) and (k, n) for one seed

    Returns
    -------
    ndarray of shape (S, k, k)

    Examples
    --------
    >>> imbalance([[1.0, 0.0], [0.0, 2.0]], [[1.0], [1.0]])[0]
    array([[ 0., -1.],
           [-1.,  3.]])
    """
    A, B = batched("A", A), batched("B", B)
    if A.shape[:2] != B.shape[:2]:
        raise ValueError(
            f"A {tuple(A.shape)} and B {tuple(B.shape)} must agree in seeds and in k, their first "
            "two axes"
        )
    return (A @ A.mT - B @ B.mT).numpy()


def imbalance_drift(
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    lrs: ArrayLike,
    time: float,
    rule: Callable[..., Step] = gradient_descent,
) -> np.ndarray:
    """Measure the drift |Q_T - Q_0|_F / |Q_0|_F of the imbalance in the same training time.

    Parameters
    ----------
    problem : Problem
    A0, B0 : array_like of shape (S, k, m) and (S, k, n)
    lrs : array_like of shape (n_rates,)
        Learning rates; each is run for ``round(time / lr)`` steps.
    time : float
        Training time, the sum of the learning rates over the steps.
    rule : callable, optional
        An update rule; plain gradient descent by default.

    Returns
    -------
    ndarray of shape (n_rates, S)

    Raises
    ------
    ValueError
        If the imbalance of a start is zero, so that no drift can be measured relative to it.

    Examples
    --------
    Gradient descent loses the conserved quantity in proportion to the learning rate:

    >>> from hblib.rotation import initial_factors
    >>> problem = Problem(np.outer([1.0, 2.0, 3.0], [1.0, -1.0]))
    >>> A0, B0 = initial_factors("gaussian", k=2, shape=problem.shape)
    >>> drift = imbalance_drift(problem, A0, B0, [0.02, 0.01], time=1.0)
    >>> (drift[0] / drift[1]).round(1)
    array([2.])
    """
    time = number("time", time, above=0)
    problem.parameters(A0, B0, ("A0", "B0"))  # refuses what does not fit
    Q0 = imbalance(A0, B0)
    size = np.linalg.norm(Q0, axis=(1, 2))
    if not (size > 0).all():
        raise ValueError("A0 A0^T - B0 B0^T must not be zero: the drift is relative to it")
    drift = []
    for lr in np.atleast_1d(as_array("lrs", lrs)).astype(np.float64):
        lr = number("each of lrs", float(lr), above=0)
        run = train_factorisation(
            problem, A0, B0, rule, n_steps=max(1, round(time / lr)), lr=lr
        )
        drift.append(np.linalg.norm(imbalance(run.A, run.B) - Q0, axis=(1, 2)) / size)
    return np.array(drift)


def admissible_rotations(
    theta0: ArrayLike, rotations: ArrayLike, half_width: float, level: float = 0.95
) -> pd.DataFrame:
    """Estimate, for each starting point in a cube, how likely a rotation keeps it in the cube.

    Parameters
    ----------
    theta0 : array_like of shape (S, k, n_columns)
        Starting points, A0 and B0 side by side.
    rotations : array_like of shape (R, k, k)
        Sample of rotations, shared by all starting points.
    half_width : float
        The cube is [-half_width, half_width] in every coordinate.
    level : float
        Confidence level of the exact (Clopper-Pearson) interval, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row per starting point: ``inside``, ``trials``, ``probability``, ``low``, ``high``.

    Raises
    ------
    ValueError
        If a starting point lies outside the cube, or the shapes do not fit.

    Examples
    --------
    A point on an axis stays in the square under a quarter turn, a corner under an eighth does not:

    >>> from hblib.rotation import rotation_2d
    >>> turns = rotation_2d([np.pi / 2, np.pi / 4])
    >>> admissible_rotations([[[0.9], [0.0]], [[0.9], [0.9]]], turns, 1.0)["inside"].to_list()
    [2, 1]
    """
    import pandas as pd
    from scipy.stats import binomtest

    half_width = number("half_width", half_width, above=0)
    if not number("level", level, above=0) < 1:
        raise ValueError(f"level must be below 1, got {level!r}")
    theta0, R = batched("theta0", theta0), batched("rotations", rotations)
    if R.shape[1:] != (theta0.shape[1],) * 2:
        raise ValueError(
            f"rotations of shape {tuple(R.shape)} must be (R, k, k) with k = {theta0.shape[1]}"
        )
    if theta0.abs().max() > half_width:
        raise ValueError(
            f"theta0 has entries up to {theta0.abs().max():g}, outside half_width = {half_width:g}"
        )
    R = R.to(theta0.dtype)
    rows = []
    for start in theta0:
        inside = int(((R @ start).abs().amax((1, 2)) <= half_width).sum())
        test = binomtest(inside, len(R))
        low, high = test.proportion_ci(level, method="exact")
        rows.append((inside, len(R), inside / len(R), low, high))
    return pd.DataFrame(rows, columns=["inside", "trials", "probability", "low", "high"])


def _actions(U: ArrayLike, theta: Parameters) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """U and U^-T as float64 tensors (T, S, k, k), and whether U came with several sets."""
    U = tensor("U", U, (2, 3, 4), torch.float64)
    seeds, k = theta.A.shape[:2]
    if U.shape[-2:] != (k, k) or U.ndim > 2 and U.shape[-3] != seeds:
        raise ValueError(
            f"U of shape {tuple(U.shape)} must be ({k}, {k}), ({seeds}, {k}, {k}) or "
            f"(T, {seeds}, {k}, {k})"
        )
    if (torch.linalg.matrix_rank(U) < k).any():
        raise ValueError("U must be invertible, but one of its matrices is singular")
    several = U.ndim == 4
    U = U.expand(U.shape[0] if several else 1, seeds, k, k)
    return U, torch.linalg.inv(U).mT, several
