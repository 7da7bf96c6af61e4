"""The factorisation M ~ A.T @ B: errors, gradients, training of many seeds at once, symmetry.

The columns of ``A`` (k, m) and ``B`` (k, n) lie in the k-dimensional hidden feature space. An
invertible k x k matrix U acts on the parameters by (A, B) -> (U A, U^-T B), which leaves the
product ``A.T @ B`` alone; for an orthogonal U this is the rotation (U A, U B). Everything here
has a leading axis of seeds, (S, k, m) and (S, k, n), and no Python loop over them.

Public functions take NumPy arrays or tensors and return NumPy arrays. Update rules (see
`hblib.optimisers`) work on `Parameters` and `Problem` directly: a rule is any callable
``rule(problem, theta, **options) -> step`` whose ``step(t)`` changes ``theta`` in place.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy.stats import binomtest

ArrayLike = np.ndarray | torch.Tensor
Step = Callable[[int], None]


@dataclass(frozen=True)
class Error:
    """A loss of one entry: its value e(p, y), its slope de/dp (in place) and the data it allows."""

    value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    slope_: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    allows: Callable[[torch.Tensor], torch.Tensor]
    data: str


ERRORS = {
    "squared": Error(
        lambda p, y: (p - y).square() / 2, lambda p, y: p.sub_(y), lambda y: y.isfinite(), "finite"
    ),
    "logistic": Error(
        lambda p, y: F.softplus(p) - y * p,
        lambda p, y: p.sigmoid_().sub_(y),
        lambda y: (y == 0) | (y == 1),
        "0 or 1",
    ),
    # Log link; the constant log(y!) is left out.
    "poisson": Error(
        lambda p, y: p.exp() - y * p, lambda p, y: p.exp_().sub_(y), lambda y: y >= 0, "counts >= 0"
    ),
}

# What may happen to the hidden vectors (the columns of A) before they meet B. Norms have no gain.
_EPS = 1e-5
HIDDEN = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    # Non-linear, and yet blind to the axes: only the length of the hidden vector is squashed.
    "radial tanh": lambda h: h * _sinc_tanh(h.square().sum(1, keepdim=True).add(_EPS).sqrt()),
    "batch norm": lambda h: F.normalize(h - h.mean(2, keepdim=True), dim=2) * h.shape[2] ** 0.5,
    "layer norm": lambda h: (
        (h - h.mean(1, keepdim=True)) * (h.var(1, keepdim=True, correction=0) + _EPS).rsqrt()
    ),
    "rms norm": lambda h: h * (h.square().mean(1, keepdim=True) + _EPS).rsqrt(),
}


def _rms_norm(h: torch.Tensor) -> torch.Tensor:
    return h * (h.square().mean(1, keepdim=True) + _EPS).rsqrt()


def _sinc_tanh(r: torch.Tensor) -> torch.Tensor:
    return torch.tanh(r) / r


class Parameters:
    """The pair (A, B) of every seed as two contiguous views of one flat tensor.

    Rules that treat all coordinates alike act on ``flat`` in one pass; rules that know words
    (columns) or hidden units (rows) act on ``A`` (S, k, m) and ``B`` (S, k, n).
    """

    def __init__(self, A: ArrayLike, B: ArrayLike, dtype: torch.dtype | None = None):
        A, B = _batched("A0", A, dtype), _batched("B0", B, dtype)
        if A.shape[:2] != B.shape[:2]:
            raise ValueError(
                f"A0 {tuple(A.shape)} and B0 {tuple(B.shape)} must agree in seeds and in k, "
                "their first two axes."
            )
        self.flat = torch.cat([A.reshape(-1), B.reshape(-1)])
        self.A = self.flat[: A.numel()].view(A.shape)
        self.B = self.flat[A.numel() :].view(B.shape)

    def clone(self) -> "Parameters":
        """Copy of the values in new memory."""
        return Parameters(self.A, self.B)

    def norm(self) -> torch.Tensor:
        """Frobenius norm of (A, B) per seed, (S, 1, 1)."""
        return (self.A.square().sum((1, 2), True) + self.B.square().sum((1, 2), True)).sqrt()


@dataclass(frozen=True, eq=False)
class MiniTasks:
    """An explicit sequence of mini-tasks: step t sees ``indices[t % n_tasks]``, in every run.

    ``kind`` is 'rows' (samples: rows of M) or 'entries' (flat positions in M).
    """

    kind: str
    indices: torch.Tensor


def mini_tasks(
    kind: str, shape: tuple[int, int], size: int, n_tasks: int, seed: int | np.random.Generator = 0
) -> MiniTasks:
    """Draw the mini-tasks of stochastic gradient descent once, to be shared by several runs.

    Parameters
    ----------
    kind : {'rows', 'entries'}
        Rows are drawn without replacement within a task, entries with replacement.
    shape : (m, n)
        Shape of M.
    size : int
        Rows or entries per task.
    n_tasks : int
        Length of the sequence; training longer than that starts it again.
    seed : int or numpy.random.Generator

    Returns
    -------
    MiniTasks
    """
    rng = np.random.default_rng(seed)
    m, n = shape
    if kind not in ("rows", "entries"):
        raise ValueError(f"kind = {kind!r} of mini-tasks is unknown; allowed: 'rows', 'entries'.")
    limit = m if kind == "rows" else m * n
    if not 1 <= size <= limit:
        raise ValueError(f"size = {size} must lie between 1 and {limit}, the {kind} of M.")
    if n_tasks < 1:
        raise ValueError(f"n_tasks = {n_tasks} must be at least 1.")
    if kind == "rows":
        indices = rng.random((n_tasks, m)).argsort(axis=1)[:, :size]
    else:
        indices = rng.integers(m * n, size=(n_tasks, size))
    return MiniTasks(kind, torch.as_tensor(np.ascontiguousarray(indices)))


@dataclass(frozen=True, eq=False)
class Problem:
    """What is minimised: sum_ij w_ij e(P_ij, M_ij) / sqrt(m n) + l2/2 |(A,B)|^2 + l1 |(A,B)|_1.

    P = A.T @ B, or f(A).T @ B with a function ``hidden`` on the hidden layer. The division by
    sqrt(m n), and not by m n, is what makes one learning rate do for every size: the largest
    singular value of a matrix of entries of order one, hence the curvature of the squared error
    at its minimum, grows like sqrt(m n). Gradient descent on the squared error is stable up to
    about ``lr = 1 / rms(M)``.

    Parameters
    ----------
    M : array (m, n) or (S, m, n)
        The data: one matrix for all seeds, or one a seed.
    error : {'squared', 'logistic', 'poisson'}
        Logistic wants M of 0 and 1; Poisson counts, with a log link (the mean is exp(P)).
    weights : array (m, n), optional
        Non-negative weights; a mask is a weight of 0 and 1.
    l2, l1 : float
        Penalties.
    hidden : {'relu', 'tanh', 'radial tanh', 'batch norm', 'layer norm', 'rms norm'}, optional
    tasks : MiniTasks, optional
        Gradients are of the mini-task of the step (scaled up to be unbiased); errors of all of M.
    dtype : torch.dtype
        float64 by default: theorems are tested in double precision.

    Attributes
    ----------
    scale : float
        1 / sqrt(m n).
    """

    M: ArrayLike
    error: str = "squared"
    weights: ArrayLike | None = None
    l2: float = 0.0
    l1: float = 0.0
    hidden: str | None = None
    tasks: MiniTasks | None = None
    dtype: torch.dtype = torch.float64
    # Number of rotated copies ("twins") of the seeds in the batch, which share all random draws.
    twins: int = field(default=1, repr=False)

    def __post_init__(self) -> None:
        _known("error", self.error, ERRORS)
        if self.hidden is not None:
            _known("hidden", self.hidden, HIDDEN)
        at_least_one("twins", self.twins)
        for name in ("l2", "l1"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} = {getattr(self, name)} must be finite and >= 0.")
        M = torch.as_tensor(self.M).to(self.dtype)
        if M.ndim not in (2, 3) or not M.numel():
            raise ValueError(f"M of shape {tuple(M.shape)} must be (m, n) or (S, m, n).")
        if not M.isfinite().all():
            raise ValueError(
                f"M has {int((~M.isfinite()).sum())} entries that are NaN or infinite."
            )
        bad = ~ERRORS[self.error].allows(M)
        if bad.any():
            raise ValueError(
                f"M has {int(bad.sum())} entries such as {M[bad][0]:g}; error = {self.error!r} "
                f"allows {ERRORS[self.error].data}."
            )
        object.__setattr__(self, "M", M.contiguous())
        if self.weights is not None:
            w = torch.as_tensor(self.weights).to(self.dtype)
            if w.shape != M.shape[-2:]:
                raise ValueError(
                    f"weights of shape {tuple(w.shape)} must have M's shape {tuple(M.shape[-2:])}."
                )
            if not ((w >= 0) & w.isfinite()).all():
                raise ValueError("weights must be finite and >= 0 everywhere.")
            object.__setattr__(self, "weights", w)
        object.__setattr__(self, "_Mt", self.M.mT.contiguous())
        object.__setattr__(self, "scale", (M.shape[-2] * M.shape[-1]) ** -0.5)

    @property
    def shape(self) -> tuple[int, int]:
        """(m, n)."""
        return tuple(self.M.shape[-2:])

    def with_twins(self, twins: int) -> "Problem":
        """The same problem for a batch in which all seeds are repeated ``twins`` times."""
        M = self.M.repeat(twins, 1, 1) if self.M.ndim == 3 else self.M
        return replace(self, M=M, twins=twins * self.twins)

    def parameters(self, A: ArrayLike, B: ArrayLike) -> Parameters:
        """Check that (A, B) fits and copy it to this problem's precision."""
        theta = Parameters(A, B, self.dtype)
        seeds, _, m = theta.A.shape
        if (m, theta.B.shape[2]) != self.shape:
            raise ValueError(
                f"A0 (S, k, {m}) and B0 (S, k, {theta.B.shape[2]}) do not fit M of shape "
                f"{self.shape}: A0 needs one column a row of M, B0 one column a column of M."
            )
        if self.M.ndim == 3 and self.M.shape[0] != seeds:
            raise ValueError(f"A0 holds {seeds} seeds but M holds {self.M.shape[0]}.")
        return theta

    def value(self, theta: Parameters) -> torch.Tensor:
        """Error of all of M with its penalties, (S,)."""
        H = theta.A if self.hidden is None else HIDDEN[self.hidden](theta.A)
        e = ERRORS[self.error].value(H.mT @ theta.B, self.M)
        if self.weights is not None:
            e = e * self.weights
        e = e.sum((1, 2)) * self.scale
        for X in (theta.A, theta.B):
            if self.l2:
                e = e + self.l2 / 2 * X.square().sum((1, 2))
            if self.l1:
                e = e + self.l1 * X.abs().sum((1, 2))
        return e

    def gradient_(self, theta: Parameters, grad: Parameters, t: int = 0) -> None:
        """Write the gradient at ``theta``, for the mini-task of step t, into ``grad``."""
        if self.hidden is None:
            self._data_gradient_(theta.A, theta.B, grad.A, grad.B, t)
        else:
            A = theta.A.detach().requires_grad_()
            H = HIDDEN[self.hidden](A)
            self._data_gradient_(H.detach(), theta.B, grad.A, grad.B, t)
            grad.A.copy_(torch.autograd.grad(H, A, grad.A)[0])
        if self.l2:
            grad.flat.add_(theta.flat, alpha=self.l2)
        if self.l1:
            grad.flat.add_(theta.flat.sign(), alpha=self.l1)

    def _data_gradient_(self, A, B, gA, gB, t) -> None:
        """(B G^T, A G) with G = dE/dP, by the cheapest way to the same numbers."""
        c, slope_ = self.scale, ERRORS[self.error].slope_
        if self.tasks is not None:
            at = self.tasks.indices[t % len(self.tasks.indices)]
            (self._rows_ if self.tasks.kind == "rows" else self._entries_)(A, B, gA, gB, at)
        elif self.error == "squared" and self.weights is None:
            # B (A^T B - M)^T = (B B^T) A - B M^T: two k x k Gram matrices per seed in place of the
            # m x n residual, and (for one M) all seeds in one large product with M.
            QA, QB = torch.bmm(A, A.mT), torch.bmm(B, B.mT)
            if self.M.ndim == 2:
                torch.mm(B.reshape(-1, B.shape[2]), self._Mt, out=gA.view(-1, A.shape[2]))
                torch.mm(A.reshape(-1, A.shape[2]), self.M, out=gB.view(-1, B.shape[2]))
            else:
                torch.bmm(B, self._Mt, out=gA)
                torch.bmm(A, self.M, out=gB)
            gA.baddbmm_(QB, A, beta=-c, alpha=c)
            gB.baddbmm_(QA, B, beta=-c, alpha=c)
        else:
            G = slope_(torch.bmm(A.mT, B), self.M).mul_(c)
            if self.weights is not None:
                G.mul_(self.weights)
            torch.bmm(B, G.mT, out=gA)
            torch.bmm(A, G, out=gB)

    def _rows_(self, A, B, gA, gB, rows) -> None:
        a = A.index_select(2, rows)
        G = ERRORS[self.error].slope_(torch.bmm(a.mT, B), self.M.index_select(-2, rows))
        G.mul_(self.scale * self.shape[0] / len(rows))
        if self.weights is not None:
            G.mul_(self.weights[rows])
        gA.zero_().index_add_(2, rows, torch.bmm(B, G.mT))
        torch.bmm(a, G, out=gB)

    def _entries_(self, A, B, gA, gB, entries) -> None:
        m, n = self.shape
        i, j = entries // n, entries % n
        a, b = A.index_select(2, i), B.index_select(2, j)
        g = ERRORS[self.error].slope_((a * b).sum(1), self.M.flatten(-2)[..., entries])
        g.mul_(self.scale * m * n / len(entries))
        if self.weights is not None:
            g.mul_(self.weights.flatten()[entries])
        gA.zero_().index_add_(2, i, b * g[:, None])
        gB.zero_().index_add_(2, j, a * g[:, None])


def error(problem: Problem, A: ArrayLike, B: ArrayLike) -> np.ndarray:
    """Error of each seed at (A, B), (S,)."""
    return problem.value(problem.parameters(A, B)).numpy()


def gradient(
    problem: Problem, A: ArrayLike, B: ArrayLike, step: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient of the error at (A, B), in closed form.

    With G = dE/dP the gradient is (B G^T, A G). It is equivariant: since G depends on A.T @ B
    alone, the gradient at (U A, U B) is (U B G^T, U A G).

    Parameters
    ----------
    problem : Problem
    A, B : arrays (S, k, m) and (S, k, n), or (k, m) and (k, n) for one seed
    step : int
        Which mini-task, if the problem has them.

    Returns
    -------
    gA, gB : arrays (S, k, m) and (S, k, n)
    """
    theta = problem.parameters(A, B)
    grad = theta.clone()
    problem.gradient_(theta, grad, step)
    return grad.A.numpy(), grad.B.numpy()


def gradient_descent(problem: Problem, theta: Parameters, lr: float = 0.2) -> Step:
    """The plain rule theta <- theta - lr * gradient (SGD when the problem has mini-tasks)."""
    positive("lr", lr)
    grad = theta.clone()

    def step(t: int) -> None:
        problem.gradient_(theta, grad, t)
        theta.flat.add_(grad.flat, alpha=-lr)

    return step


def descent(make: Callable[..., Step]) -> Callable[..., Step]:
    """Rule that steps against a transformed gradient.

    ``make(problem, theta, grad, **options)`` returns a ``transform(t)`` that changes ``grad``,
    the gradient of step t, in place; the rule then does theta <- theta - lr * grad.
    """

    def rule(problem: Problem, theta: Parameters, lr: float, **options: Any) -> Step:
        grad = theta.clone()
        transform = make(problem, theta, grad, **options)

        def step(t: int) -> None:
            problem.gradient_(theta, grad, t)
            transform(t)
            theta.flat.add_(grad.flat, alpha=-lr)

        return step

    return rule


@dataclass(frozen=True, eq=False)
class Run:
    """Result of training: A (S, k, m), B (S, k, n), and the error (len(steps), S) at ``steps``."""

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
def train(
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    rule: Callable[..., Step] = gradient_descent,
    n_steps: int = 2000,
    record: int | None = None,
    **options: Any,
) -> Run:
    """Train all seeds at once, on one thread.

    Parameters
    ----------
    problem : Problem
    A0, B0 : arrays (S, k, m) and (S, k, n)
        Where each seed starts.
    rule : callable, optional
        An update rule, for instance ``optimisers.RULES["adam"]``; plain gradient descent if left.
    n_steps : int
    record : int, optional
        Record the error every that many steps; by default only at the start and at the end.
    **options
        Passed to the rule, for instance ``lr=0.1``.

    Returns
    -------
    Run

    Raises
    ------
    FloatingPointError
        If the parameters do not stay finite.

    Examples
    --------
    >>> M = np.outer([1.0, 2.0, 3.0], [1.0, -1.0])
    >>> A0, B0 = initialise("gaussian", k=2, shape=M.shape, n_seeds=4, scale=0.5, seed=0)
    >>> run = train(Problem(M), A0, B0, n_steps=500)
    >>> bool((run.error[-1] < 1e-4 * run.error[0]).all())
    True
    """
    at_least_one("n_steps", n_steps)
    record = n_steps if record is None else record
    at_least_one("record", record)
    theta = problem.parameters(A0, B0)
    step = rule(problem, theta, **options)
    steps, errors = [0], [problem.value(theta)]
    for t in range(n_steps):
        step(t)
        if (t + 1) % record == 0 or t + 1 == n_steps:
            steps.append(t + 1)
            errors.append(problem.value(theta))
    if not theta.flat.isfinite().all():
        raise FloatingPointError(f"Training did not stay finite in {n_steps} steps: lower lr.")
    return Run(theta.A.numpy(), theta.B.numpy(), np.array(steps), torch.stack(errors).numpy())


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
    """How far training from the rotated start strays from the rotated training.

    Runs from (A0, B0) and from (U A0, U^-T B0), which is (U A0, U B0) for an orthogonal U, go in
    lockstep as one batch and see the same mini-tasks and the same random draws. At each step the
    defect is |theta'_t - U theta_t|_F / |theta_t|_F.

    Parameters
    ----------
    problem : Problem
    A0, B0 : arrays (S, k, m) and (S, k, n)
    U : array (k, k), (S, k, k) or (T, S, k, k)
        One matrix, one a seed, or T sets of them, all run in the same batch.
    rule, n_steps, **options
        As in `train`.
    curve : bool
        Also return the defect at every step.

    Returns
    -------
    defect : array (S,), or (T, S) for U of four axes
        The maximum over the steps, the start included.
    curve : array (n_steps + 1, S) or (n_steps + 1, T, S), only if asked for

    Raises
    ------
    FloatingPointError
        If the parameters do not stay finite.
    """
    at_least_one("n_steps", n_steps)
    start = problem.parameters(A0, B0)
    U64 = _actions(U, start)
    n_sets = len(U64)
    UA = U64.to(problem.dtype)
    UB = torch.linalg.inv(U64).mT.to(problem.dtype)
    theta = Parameters(
        torch.cat([start.A[None], UA @ start.A]).flatten(0, 1),
        torch.cat([start.B[None], UB @ start.B]).flatten(0, 1),
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
        raise FloatingPointError(f"Training did not stay finite at step {first}: lower lr.")
    if torch.as_tensor(U).ndim < 4:
        gaps = gaps[:, 0]
    return (gaps.max(0), gaps) if curve else gaps.max(0)


def invariance_defect(problem: Problem, A: ArrayLike, B: ArrayLike, U: ArrayLike) -> np.ndarray:
    """Relative change of the error under (A, B) -> (U A, U^-T B), per seed.

    For orthogonal U the action is (U A, U B); for other invertible U it is the one that leaves
    A.T @ B alone, so that scalings can be tested as generators too.

    Parameters
    ----------
    problem : Problem
    A, B : arrays (S, k, m) and (S, k, n)
    U : array (k, k), (S, k, k) or (T, S, k, k)

    Returns
    -------
    array (S,), or (T, S) for U of four axes
        |E(UA, U^-T B) - E(A, B)| / |E(A, B)|.
    """
    theta = problem.parameters(A, B)
    U64 = _actions(U, theta)
    before = problem.value(theta)
    UA, UB = U64.to(problem.dtype), torch.linalg.inv(U64).mT.to(problem.dtype)
    after = [problem.value(Parameters(u @ theta.A, v @ theta.B)) for u, v in zip(UA, UB)]
    defect = ((torch.stack(after) - before) / before).abs().numpy()
    return defect if torch.as_tensor(U).ndim == 4 else defect[0]


def imbalance(A: ArrayLike, B: ArrayLike) -> np.ndarray:
    """Q = A A^T - B B^T, (S, k, k): conserved by gradient flow on any error of A.T @ B.

    d/dt (A A^T) = -(B G^T A^T + A G B^T) = d/dt (B B^T); in general the symmetric part of the
    gl(k) symmetry gives the k (k + 1) / 2 conserved quantities, the antisymmetric part O(k).
    """
    A, B = _batched("A", A), _batched("B", B)
    if A.shape[:2] != B.shape[:2]:
        raise ValueError(f"A of {A.shape[1]} hidden units and B of {B.shape[1]} must have as many.")
    return (A @ A.mT - B @ B.mT).numpy()


def imbalance_drift(
    problem: Problem, A0: ArrayLike, B0: ArrayLike, lrs: ArrayLike, time: float
) -> np.ndarray:
    """Drift |Q_T - Q_0|_F / |Q_0|_F of gradient descent after the same training time.

    Parameters
    ----------
    problem : Problem
    A0, B0 : arrays (S, k, m) and (S, k, n)
    lrs : sequence of float
        Learning rates; each is run for round(time / lr) steps.
    time : float
        Training time, the sum of the learning rates over the steps.

    Returns
    -------
    array (len(lrs), S)
    """
    positive("time", time)
    Q0 = imbalance(A0, B0)
    drift = []
    for lr in np.asarray(lrs, dtype=float):
        positive("lr", lr)
        run = train(problem, A0, B0, n_steps=max(1, round(time / lr)), lr=float(lr))
        gap = imbalance(run.A, run.B) - Q0
        drift.append(np.linalg.norm(gap, axis=(1, 2)) / np.linalg.norm(Q0, axis=(1, 2)))
    return np.array(drift)


def initialise(
    kind: str,
    k: int,
    shape: tuple[int, int],
    n_seeds: int = 1,
    scale: float = 0.5,
    seed: int | np.random.Generator = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw starting points (A0, B0) for several seeds.

    Parameters
    ----------
    kind : {'gaussian', 'uniform', 'orthogonal'}
        Independent normal entries of standard deviation ``scale``; independent entries uniform on
        [-scale, scale] (word2vec: scale = 0.5 / k); or ``scale`` times a Haar-distributed matrix
        with orthonormal rows (columns if k exceeds their number). The law of the first and of the
        last is unchanged by rotation, that of the cube is not.
    k : int
        Inner dimension, number of hidden units.
    shape : (m, n)
        Shape of M.
    n_seeds : int
    scale : float
    seed : int or numpy.random.Generator

    Returns
    -------
    A0, B0 : arrays (n_seeds, k, m) and (n_seeds, k, n)
    """
    at_least_one("k", k)
    at_least_one("n_seeds", n_seeds)
    positive("scale", scale)
    rng = np.random.default_rng(seed)
    _known("kind", kind, ("gaussian", "uniform", "orthogonal"))
    out = []
    for columns in shape:
        size = (n_seeds, k, columns)
        if kind == "uniform":
            X = rng.uniform(-scale, scale, size)
        else:
            X = scale * rng.standard_normal(size)
        if kind == "orthogonal":
            # The polar factor of a Gaussian matrix is Haar distributed.
            left, _, right = np.linalg.svd(X, full_matrices=False)
            X = scale * left @ right
        out.append(X)
    return out[0], out[1]


def admissible_rotations(
    theta0: ArrayLike, rotations: ArrayLike, half_width: float, level: float = 0.95
) -> pd.DataFrame:
    """For each starting point in a cube, the probability that a rotation keeps it in the cube.

    Parameters
    ----------
    theta0 : array (S, k, N)
        Starting points, A0 and B0 side by side.
    rotations : array (R, k, k)
        Sample of rotations, shared by all starting points.
    half_width : float
        The cube is [-half_width, half_width] in every coordinate.
    level : float
        Confidence level of the exact (Clopper-Pearson) interval.

    Returns
    -------
    pandas.DataFrame
        One row a starting point: ``inside``, ``trials``, ``probability``, ``low``, ``high``.
    """
    positive("half_width", half_width)
    if not 0 < level < 1:
        raise ValueError(f"level = {level} must lie between 0 and 1.")
    theta0, R = _batched("theta0", theta0), _batched("rotations", rotations)
    if R.shape[1:] != (theta0.shape[1],) * 2:
        raise ValueError(
            f"rotations of shape {tuple(R.shape)} must be (R, k, k) with k = {theta0.shape[1]}."
        )
    if theta0.abs().max() > half_width:
        raise ValueError(
            f"theta0 has entries up to {theta0.abs().max():g}, outside half_width = {half_width}."
        )
    rows = []
    for start in theta0:
        inside = int(((R @ start).abs().amax((1, 2)) <= half_width).sum())
        test = binomtest(inside, len(R))
        low, high = test.proportion_ci(level, method="exact")
        rows.append((inside, len(R), inside / len(R), low, high))
    return pd.DataFrame(rows, columns=["inside", "trials", "probability", "low", "high"])


def positive(name: str, value: float) -> None:
    """Raise ValueError unless the number is finite and > 0."""
    if not 0 < value < np.inf:
        raise ValueError(f"{name} = {value} must be finite and > 0.")


def at_least_one(name: str, value: int) -> None:
    """Raise ValueError unless the number is a whole one, at least 1."""
    if not value >= 1 or value % 1:
        raise ValueError(f"{name} = {value} must be a whole number, at least 1.")


def _known(name: str, value: Any, allowed: Any) -> None:
    if value not in allowed:
        choices = ", ".join(map(repr, allowed))
        raise ValueError(f"{name} = {value!r} is unknown; allowed: {choices}.")


def _batched(name: str, X: ArrayLike, dtype: torch.dtype | None = None) -> torch.Tensor:
    """As a finite tensor (S, k, columns), a missing axis of seeds added."""
    X = torch.as_tensor(X)
    X = X.to(dtype or X.dtype)
    X = X[None] if X.ndim == 2 else X
    if X.ndim != 3 or not X.numel():
        raise ValueError(
            f"{name} of shape {tuple(X.shape)} must be (S, k, columns) or (k, columns), "
            "with at least one hidden unit and one column."
        )
    if not X.isfinite().all():
        raise ValueError(f"{name} has entries that are NaN or infinite.")
    return X


def _actions(U: ArrayLike, theta: Parameters) -> torch.Tensor:
    """U as a float64 tensor (T, S, k, k)."""
    U = torch.as_tensor(U).double()
    seeds, k = theta.A.shape[:2]
    if U.ndim not in (2, 3, 4) or U.shape[-2:] != (k, k) or U.ndim > 2 and U.shape[-3] != seeds:
        raise ValueError(
            f"U of shape {tuple(U.shape)} must be ({k}, {k}), ({seeds}, {k}, {k}) or "
            f"(T, {seeds}, {k}, {k})."
        )
    return U.expand(U.shape[0] if U.ndim == 4 else 1, seeds, k, k)
