"""The factorisation M ~ A.T @ B: its parameters, errors and gradients, many seeds at once.

The columns of ``A`` (k, m) and ``B`` (k, n) lie in the k-dimensional hidden feature space. An
invertible k x k matrix U acts on the parameters by (A, B) -> (U A, U^-T B), which leaves the
product ``A.T @ B`` alone; for an orthogonal U this is the rotation (U A, U B). Everything here
has a leading axis of seeds, (S, k, m) and (S, k, n), and no Python loop over them.

Public functions take arrays, tensors and data frames and return NumPy arrays; update rules work on
`Parameters` and `Problem` directly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike

from hblib._checks import as_array, choice, generator, number, whole


@dataclass(frozen=True)
class EntryError:
    """The error of one entry: its value e(p, y), its slope de/dp (in place), the data it allows."""

    value: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    slope_: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    allows: Callable[[torch.Tensor], torch.Tensor]
    data: str


ERRORS = {
    "squared": EntryError(
        lambda p, y: (p - y).square() / 2, lambda p, y: p.sub_(y), lambda y: y.isfinite(), "finite"
    ),
    "logistic": EntryError(
        lambda p, y: F.softplus(p) - y * p,
        lambda p, y: p.sigmoid_().sub_(y),
        lambda y: (y == 0) | (y == 1),
        "0 or 1",
    ),
    # Log link; the constant log(y!) is left out.
    "poisson": EntryError(
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


def _sinc_tanh(r: torch.Tensor) -> torch.Tensor:
    return torch.tanh(r) / r


class Parameters:
    """The pair (A, B) of every seed as two contiguous views of one flat tensor.

    Rules that treat all coordinates alike act on ``flat`` in one pass; rules that know words
    (columns) or hidden units (rows) act on ``A`` (S, k, m) and ``B`` (S, k, n).

    Parameters
    ----------
    A, B : array_like of shape (S, k, m) and (S, k, n), or (k, m) and (k, n) for one seed
        Values, which are copied.
    dtype : torch.dtype, optional
        Precision; by default that of the values.
    names : tuple of two str
        What error sentences call them.

    Raises
    ------
    ValueError
        If the two disagree in seeds or in k, or a value is not finite.

    Examples
    --------
    >>> theta = Parameters(np.ones((2, 3)), np.zeros((2, 4)))
    >>> theta.flat.shape, theta.B.shape
    (torch.Size([14]), torch.Size([1, 2, 4]))
    """

    def __init__(
        self,
        A: ArrayLike,
        B: ArrayLike,
        dtype: torch.dtype | None = None,
        names: tuple[str, str] = ("A", "B"),
    ):
        A, B = batched(names[0], A, dtype), batched(names[1], B, dtype)
        if A.shape[:2] != B.shape[:2]:
            raise ValueError(
                f"{names[0]} {tuple(A.shape)} and {names[1]} {tuple(B.shape)} must agree in seeds "
                "and in k, their first two axes"
            )
        self.flat = torch.cat([A.reshape(-1), B.reshape(-1)])
        self.A = self.flat[: A.numel()].view(A.shape)
        self.B = self.flat[A.numel() :].view(B.shape)

    def clone(self) -> Parameters:
        """Copy the values to new memory."""
        return Parameters(self.A, self.B, self.flat.dtype)

    def norm(self) -> torch.Tensor:
        """Return the Frobenius norm of (A, B) of each seed, (S, 1, 1)."""
        return (self.A.square().sum((1, 2), True) + self.B.square().sum((1, 2), True)).sqrt()


@dataclass(frozen=True, eq=False)
class MiniTasks:
    """An explicit sequence of mini-tasks: step t sees ``indices[t % n_tasks]``, in every run.

    ``kind`` is 'rows' (samples: rows of M) or 'entries' (flat positions in M).
    """

    kind: str
    indices: torch.Tensor


def draw_mini_tasks(
    kind: str,
    shape: tuple[int, int],
    size: int,
    n_tasks: int,
    rng: int | np.random.Generator | None = 0,
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
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.

    Returns
    -------
    MiniTasks

    Raises
    ------
    ValueError
        If `kind` is unknown, or M has fewer rows or entries than `size`.

    Examples
    --------
    >>> draw_mini_tasks("rows", (6, 4), size=2, n_tasks=3).indices.shape
    torch.Size([3, 2])
    """
    rng = generator(rng)
    choice("kind", kind, ("rows", "entries"))
    m, n = (whole("shape", length) for length in shape)
    size = whole("size", size, most=m if kind == "rows" else m * n)
    n_tasks = whole("n_tasks", n_tasks)
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
    M : array_like of shape (m, n) or (S, m, n)
        The data: one matrix for all seeds, or one per seed.
    error : {'squared', 'logistic', 'poisson'}
        Logistic wants M of 0 and 1; Poisson counts, with a log link (the mean is exp(P)).
    weights : array_like of shape (m, n), optional
        Non-negative weights; a mask has weights 0 and 1.
    l2, l1 : float
        Strengths of the two penalties, at least 0.
    hidden : {'relu', 'tanh', 'radial tanh', 'batch norm', 'layer norm', 'rms norm'}, optional
        Function applied to the hidden layer.
    tasks : MiniTasks, optional
        Gradients are of the mini-task of the step (scaled up to be unbiased); errors of all of M.
    dtype : torch.dtype
        float64 by default: theorems are tested in double precision.

    Attributes
    ----------
    scale : float
        1 / sqrt(m n).

    Raises
    ------
    ValueError
        If M holds values that the error does not allow, or a parameter is not one of those allowed.

    Examples
    --------
    >>> problem = Problem([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]], l2=0.1)
    >>> problem.shape, round(problem.scale, 3)
    ((3, 2), 0.408)
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
        choice("error", self.error, ERRORS)
        if self.hidden is not None:
            choice("hidden", self.hidden, HIDDEN)
        whole("twins", self.twins)
        number("l2", self.l2, least=0)
        number("l1", self.l1, least=0)
        M = tensor("M", self.M, (2, 3), self.dtype)
        bad = ~ERRORS[self.error].allows(M)
        if bad.any():
            raise ValueError(
                f"M has {int(bad.sum())} entries such as {M[bad][0]:g}; error = {self.error!r} "
                f"allows {ERRORS[self.error].data}"
            )
        object.__setattr__(self, "M", M)
        if self.weights is not None:
            weights = tensor("weights", self.weights, 2, self.dtype)
            if weights.shape != M.shape[-2:]:
                raise ValueError(
                    f"weights of shape {tuple(weights.shape)} must have M's shape "
                    f"{tuple(M.shape[-2:])}"
                )
            if not (weights >= 0).all():
                raise ValueError("weights must be >= 0 everywhere")
            object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "_Mt", self.M.mT.contiguous())
        object.__setattr__(self, "scale", (M.shape[-2] * M.shape[-1]) ** -0.5)

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (m, n) of the data matrix."""
        return tuple(self.M.shape[-2:])

    def with_twins(self, twins: int) -> Problem:
        """Return the same problem for a batch in which all seeds are repeated ``twins`` times."""
        M = self.M.repeat(twins, 1, 1) if self.M.ndim == 3 else self.M
        return replace(self, M=M, twins=twins * self.twins)

    def parameters(
        self, A: ArrayLike, B: ArrayLike, names: tuple[str, str] = ("A", "B")
    ) -> Parameters:
        """Check that (A, B) fits and copy it to this problem's precision."""
        theta = Parameters(A, B, self.dtype, names)
        a, b = names
        seeds, _, m = theta.A.shape
        if (m, theta.B.shape[2]) != self.shape:
            raise ValueError(
                f"{a} (S, k, {m}) and {b} (S, k, {theta.B.shape[2]}) do not fit M of shape "
                f"{self.shape}: {a} needs one column per row of M, {b} one per column of M"
            )
        if self.M.ndim == 3 and self.M.shape[0] != seeds:
            raise ValueError(f"{a} holds {seeds} seeds but M holds {self.M.shape[0]}")
        return theta

    def value(self, theta: Parameters) -> torch.Tensor:
        """Return the error of all of M with its penalties, (S,)."""
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

    def _data_gradient_(
        self, A: torch.Tensor, B: torch.Tensor, gA: torch.Tensor, gB: torch.Tensor, t: int
    ) -> None:
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


def factorisation_error(problem: Problem, A: ArrayLike, B: ArrayLike) -> np.ndarray:
    """Compute the error of each seed at (A, B), penalties included.

    Parameters
    ----------
    problem : Problem
    A, B : array_like of shape (S, k, m) and (S, k, n), or (k, m) and (k, n) for one seed

    Returns
    -------
    ndarray of shape (S,)

    Examples
    --------
    A squared error of 2 / 2 in each of four entries, divided by sqrt(2 * 2):

    >>> problem = Problem(np.full((2, 2), 2**0.5))
    >>> factorisation_error(problem, np.zeros((1, 2)), np.zeros((1, 2))).round(6)
    array([2.])
    """
    return problem.value(problem.parameters(A, B)).numpy()


def factorisation_gradient(
    problem: Problem, A: ArrayLike, B: ArrayLike, step: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the gradient of the error at (A, B), in closed form.

    With G = dE/dP the gradient is (B G^T, A G). It is equivariant: since G depends on A.T @ B
    alone, the gradient at (U A, U B) is (U B G^T, U A G).

    Parameters
    ----------
    problem : Problem
    A, B : array_like of shape (S, k, m) and (S, k, n), or (k, m) and (k, n) for one seed
    step : int
        Which mini-task, if the problem has them.

    Returns
    -------
    gA, gB : ndarray of shape (S, k, m) and (S, k, n)

    Examples
    --------
    >>> gA, gB = factorisation_gradient(Problem([[4.0]]), [[1.0], [2.0]], [[3.0], [1.0]])
    >>> gA[0].ravel(), gB[0].ravel()  # (a . b - 4) b and (a . b - 4) a, with a . b = 5
    (array([3., 1.]), array([1., 2.]))
    """
    step = whole("step", step, least=0)
    theta = problem.parameters(A, B)
    grad = theta.clone()
    problem.gradient_(theta, grad, step)
    return grad.A.numpy(), grad.B.numpy()


def initial_factors(
    kind: str,
    k: int,
    shape: tuple[int, int],
    n_seeds: int = 1,
    scale: float = 0.5,
    rng: int | np.random.Generator | None = 0,
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
        Number of starting points.
    scale : float
        Size of the entries, as said under `kind`.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.

    Returns
    -------
    A0, B0 : ndarray of shape (n_seeds, k, m) and (n_seeds, k, n)

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed.

    Examples
    --------
    >>> A0, B0 = initial_factors("uniform", k=3, shape=(5, 4), n_seeds=2)
    >>> A0.shape, B0.shape, bool(abs(A0).max() <= 0.5)
    ((2, 3, 5), (2, 3, 4), True)
    """
    k, n_seeds = whole("k", k), whole("n_seeds", n_seeds)
    scale = number("scale", scale, above=0)
    rng = generator(rng)
    choice("kind", kind, ("gaussian", "uniform", "orthogonal"))
    m, n = (whole("shape", length) for length in shape)
    factors = []
    for columns in (m, n):
        size = (n_seeds, k, columns)
        if kind == "uniform":
            X = rng.uniform(-scale, scale, size)
        else:
            X = scale * rng.standard_normal(size)
        if kind == "orthogonal":
            # The polar factor of a Gaussian matrix is Haar distributed.
            left, _, right = np.linalg.svd(X, full_matrices=False)
            X = scale * left @ right
        factors.append(X)
    return factors[0], factors[1]


def tensor(
    name: str, value: ArrayLike, ndim: int | tuple[int, ...], dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Any array-like as a finite, contiguous tensor without gradient."""
    array = np.ascontiguousarray(as_array(name, value, ndim=ndim))
    if not array.flags.writeable:  # torch has no read-only memory
        array = array.copy()
    tensor = torch.from_numpy(array)
    return tensor if dtype is None else tensor.to(dtype)


def batched(name: str, X: ArrayLike, dtype: torch.dtype | None = None) -> torch.Tensor:
    """As a finite tensor (S, k, columns), a missing axis of seeds added."""
    X = tensor(name, X, (2, 3), dtype)
    return X[None] if X.ndim == 2 else X
