"""Update rules that multiply the gradient by matrices, and second-order methods.

A k x k matrix made of Gram matrices of the gradient or of the parameters turns with the hidden
space, and so do its inverse and its roots: such rules are equivariant, however far from plain
gradient descent. Taking only the diagonal, going through the hidden units one after the other, or
measuring the gradient in the L1 norm is what breaks the symmetry.

The functions here are update rules in the sense of `hblib.rotation._training`; `Muon` is an
optimiser of torch as well, for the weight matrices of any network. Matrix functions come from
batched eigen- and singular value decompositions; the damping is always a parameter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.optimize
import torch

from hblib._checks import choice, number, whole
from hblib.rotation._factorisation import Parameters, Problem
from hblib.rotation._training import Step, descent_rule

Transform = Callable[[int], Any]  # changes the gradient of a step in place


def _power(S: torch.Tensor, exponent: float) -> torch.Tensor:
    """Power of symmetric positive definite matrices (..., d, d)."""
    values, vectors = torch.linalg.eigh(S)
    return (vectors * values.pow(exponent).unsqueeze(-2)) @ vectors.mT


def _eye(X: torch.Tensor, size: int, factor: float) -> torch.Tensor:
    return (factor * torch.eye(size, dtype=X.dtype)).expand(len(X), size, size).clone()


@descent_rule
def full_matrix_adagrad(
    problem: Problem, theta: Parameters, grad: Parameters, damping: float = 1e-2
) -> Transform:
    """Adagrad with the whole k x k matrix of the hidden index: (damping I + sum G G^T)^(-1/2) G."""
    L = _eye(theta.A, theta.A.shape[1], damping)

    def transform(t):
        L.baddbmm_(grad.A, grad.A.mT).baddbmm_(grad.B, grad.B.mT)
        root = _power(L, -0.5)
        for X in (grad.A, grad.B):
            X.copy_(root @ X)

    return transform


@descent_rule
def shampoo(
    problem: Problem,
    theta: Parameters,
    grad: Parameters,
    word_side: bool = False,
    damping: float = 1e-2,
    every: int = 10,
) -> Transform:
    """Shampoo: L^(-1/2) G on the hidden side alone, or L^(-1/4) G R^(-1/4) on both.

    L = damping I + sum G G^T (k x k), R = damping I + sum G^T G (words x words), for A and B
    apart; the roots are computed again every ``every`` steps, as in practice.
    """
    k, exponent = theta.A.shape[1], -0.25 if word_side else -0.5
    left = [_eye(X, k, damping) for X in (grad.A, grad.B)]
    right = [_eye(X, X.shape[2], damping) for X in (grad.A, grad.B)] if word_side else []
    roots = {}

    def transform(t):
        for X, L in zip((grad.A, grad.B), left):
            L.baddbmm_(X, X.mT)
        for X, R in zip((grad.A, grad.B), right):
            R.baddbmm_(X.mT, X)
        if t % every == 0:
            roots["left"] = [_power(L, exponent) for L in left]
            roots["right"] = [_power(R, exponent) for R in right]
        for i, X in enumerate((grad.A, grad.B)):
            Y = roots["left"][i] @ X
            X.copy_(Y @ roots["right"][i] if right else Y)

    return transform


@descent_rule
def soap(
    problem: Problem,
    theta: Parameters,
    grad: Parameters,
    sides: str = "hidden",
    betas: tuple[float, float] = (0.9, 0.99),
    eps: float = 1e-8,
    every: int = 10,
    tie: float = 0.0,
) -> Transform:
    """SOAP: Adam in the eigenbasis of Shampoo's matrices, on the given ``sides``.

    ``sides`` is 'hidden', 'word' or 'both'. Adam treats coordinates one by one, but the
    coordinates are those of an eigenbasis, which turns with the hidden space; only its signs and
    order are arbitrary, and those Adam does not see. With the word side alone the hidden index
    keeps its own axes.

    On the word side the eigenbasis is not determined as long as fewer gradients than words have
    been seen: rounding picks a basis of the null space. ``tie`` > 0 settles it by adding
    ``tie`` times a diagonal rising from 0 to 1, which no rotation of the hidden space touches.
    """
    choice("sides", sides, ("hidden", "word", "both"))
    b1, b2 = betas
    k = theta.A.shape[1]
    mean = grad.clone()
    mean.flat.zero_()
    state = []
    for X, mu in ((grad.A, mean.A), (grad.B, mean.B)):
        left = torch.zeros_like(_eye(X, k, 0.0)) if sides != "word" else None
        right = torch.zeros_like(_eye(X, X.shape[2], 0.0)) if sides != "hidden" else None
        ties = torch.linspace(0, 1, X.shape[2], dtype=X.dtype).diag()
        square = torch.zeros_like(X)
        state.append({"X": X, "mean": mu, "square": square, "L": left, "R": right, "ties": ties})

    def turn(s, X, back=False):
        if s["L"] is not None:
            X = (s["QL"] if back else s["QL"].mT) @ X
        if s["R"] is not None:
            X = X @ (s["QR"].mT if back else s["QR"])
        return X

    def transform(t):
        for s in state:
            X = s["X"]
            if s["L"] is not None:
                s["L"].baddbmm_(X, X.mT, beta=b2, alpha=1 - b2)
            if s["R"] is not None:
                s["R"].baddbmm_(X.mT, X, beta=b2, alpha=1 - b2)
            if t % every == 0:
                for side in "LR":
                    if s[side] is not None:
                        S = s[side] + tie * s["ties"] if side == "R" else s[side]
                        s["Q" + side] = torch.linalg.eigh(S)[1]
            s["mean"].lerp_(X, 1 - b1)
            s["square"].mul_(b2).add_(turn(s, X).square_(), alpha=1 - b2)
            step = turn(s, s["mean"]) / (1 - b1 ** (t + 1))
            step /= (s["square"] / (1 - b2 ** (t + 1))).sqrt_() + eps
            X.copy_(turn(s, step, back=True))

    return transform


def newton_schulz(
    G: torch.Tensor, steps: int = 5, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """Approximate the polar factor of a matrix by Muon's polynomial iteration.

    Quintic iteration X <- (a + b X X^T + c (X X^T)^2) X with the coefficients of torch.optim.Muon,
    which casts to bfloat16 whatever it is given; ``dtype`` is the precision here. Since every step
    is a polynomial of the first Gram matrix, it runs on matrices of k x k, k the number of rows.

    Parameters
    ----------
    G : torch.Tensor of shape (S, k, n_columns) or (k, n_columns)
    steps : int
        Number of iterations.
    dtype : torch.dtype, optional
        Precision of the iteration; by default that of G.

    Returns
    -------
    torch.Tensor of the shape and type of G
        The same singular vectors, all singular values between about 0.7 and 1.2.

    Examples
    --------
    >>> G = torch.tensor([[3.0, 0.0, 0.0], [0.0, 4.0, 0.0]])
    >>> bool(((torch.linalg.svdvals(newton_schulz(G)) - 1).abs() < 0.3).all())
    True
    """
    steps = whole("steps", steps, least=0)
    if G.ndim == 2:
        return newton_schulz(G[None], steps, dtype)[0]
    X = G.to(dtype or G.dtype)
    X = X / torch.linalg.matrix_norm(X, keepdim=True).clamp(min=1e-7)
    gram = X @ X.mT
    eye = torch.eye(gram.shape[1], dtype=X.dtype, device=X.device).expand_as(gram)
    total = eye
    for _ in range(steps):
        poly = torch.baddbmm(gram, gram, gram, beta=-4.7750, alpha=2.0315).add_(eye, alpha=3.4445)
        total = poly @ total
        gram = poly @ gram @ poly
    return (total @ X).to(G.dtype)


def polar(G: torch.Tensor) -> torch.Tensor:
    """Exact polar factor of G, all its singular values set to one."""
    left, _, right = torch.linalg.svd(G, full_matrices=False)
    return left @ right


class Muon(torch.optim.Optimizer):
    """Muon, momentum orthogonalised, in the precision of the weights; torch's computes in bfloat16.

    Parameters
    ----------
    matrices : iterable of torch.Tensor
        Weights of shape (k, n_columns), or stacks of them (S, k, n_columns).
    lr : float
        Learning rate.
    momentum : float
        Of Nesterov's kind, from 0 to 1.
    orthogonalise : callable
        `newton_schulz`, or the exact polar factor.

    References
    ----------
    K. Jordan, "Muon: An optimizer for hidden layers in neural networks" (2024),
    kellerjordan.github.io/posts/muon.

    Examples
    --------
    A step has all singular values near ``lr``, whatever those of the gradient:

    >>> W = torch.nn.Parameter(torch.zeros(2, 3))
    >>> (W * torch.tensor([[1.0, 0.0, 0.0], [0.0, 100.0, 0.0]])).sum().backward()
    >>> Muon([W], lr=0.1).step()
    >>> bool((torch.linalg.svdvals(W.detach()) < 0.13).all())
    True
    """

    def __init__(
        self,
        matrices: Iterable[torch.Tensor],
        lr: float,
        momentum: float = 0.95,
        orthogonalise: Callable[[torch.Tensor], torch.Tensor] = newton_schulz,
    ):
        number("lr", lr, above=0)
        number("momentum", momentum, least=0, most=1)
        super().__init__(matrices, {"lr": lr, "momentum": momentum})
        for group in self.param_groups:
            for W in group["params"]:
                if W.ndim not in (2, 3):
                    raise ValueError(
                        f"matrices must have 2 axes, or 3 in a stack, got {tuple(W.shape)}"
                    )
        self.orthogonalise = orthogonalise

    @torch.no_grad()
    def step(self, closure: Callable[[], torch.Tensor] | None = None) -> torch.Tensor | None:
        """Make one step; ``closure`` evaluates the loss, as in `torch.optim`."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for W in group["params"]:
                if W.grad is None:
                    continue
                state = self.state[W]
                mean = state.setdefault("mean", torch.zeros_like(W))
                mean.lerp_(W.grad, 1 - group["momentum"])
                step = W.grad.lerp(mean, group["momentum"])
                # The iteration runs on matrices as large as its rows are many.
                tall = W.shape[-2] > W.shape[-1]
                step = self.orthogonalise(step.mT if tall else step)
                stretch = max(1.0, W.shape[-2] / W.shape[-1]) ** 0.5
                W.add_(step.mT if tall else step, alpha=-group["lr"] * stretch)
        return loss


def muon(
    problem: Problem,
    theta: Parameters,
    lr: float,
    orthogonalise: Callable[[torch.Tensor], torch.Tensor] = newton_schulz,
    momentum: float = 0.95,
    dtype: torch.dtype | None = None,
) -> Step:
    """`Muon` for A and B apart.

    ``orthogonalise`` is `newton_schulz`, in the precision ``dtype``, or `polar`.
    """
    if dtype is not None:
        orthogonalise = functools.partial(orthogonalise, dtype=dtype)
    grad = theta.clone()
    optimiser = Muon([theta.A, theta.B], lr, momentum, orthogonalise)
    theta.A.grad, theta.B.grad = grad.A, grad.B

    def step(t: int) -> None:
        problem.gradient_(theta, grad, t)
        optimiser.step()

    return step


@descent_rule
def gauss_newton(
    problem: Problem,
    theta: Parameters,
    grad: Parameters,
    diagonal: bool = False,
    damping: float = 1e-1,
) -> Transform:
    """Damped Gauss-Newton (K-FAC) blocks: (c B B^T + damping I)^-1 dE/dA and likewise for B.

    For the squared error the block of A is c B B^T, the same for every word, with c = 1 / sqrt(mn).
    ``diagonal`` keeps only its diagonal, as diagonal Fisher or Hessian methods do.
    """
    _needs_plain_squared(problem, "gauss_newton")
    k, c = theta.A.shape[1], problem.scale
    damp = _eye(theta.A, k, damping)

    def transform(t):
        for X, other in ((grad.A, theta.B), (grad.B, theta.A)):
            block = torch.baddbmm(damp, other, other.mT, alpha=c)
            if diagonal:
                X.div_(block.diagonal(dim1=1, dim2=2).unsqueeze(2))
            else:
                X.copy_(torch.linalg.solve(block, X))

    return transform


def alternating_least_squares(
    problem: Problem, theta: Parameters, ridge: float = 1e-2, sequential: bool = False
) -> Step:
    """Alternating least squares: A <- (c B B^T + ridge I)^-1 c B M^T, then B likewise.

    ``sequential`` replaces each solve by one sweep of coordinate descent over the hidden units
    (Gauss-Seidel, the scheme of HALS): every unit is fitted to what the units before it have left.
    """
    _needs_plain_squared(problem, "alternating_least_squares")
    k, c = theta.A.shape[1], problem.scale
    damp = _eye(theta.A, k, ridge)

    def step(t: int) -> None:
        for X, other, M in ((theta.A, theta.B, problem.M.mT), (theta.B, theta.A, problem.M)):
            Q = torch.baddbmm(damp, other, other.mT, alpha=c)
            target = c * (other @ M)
            if sequential:
                target -= Q.triu(1) @ X
                X.copy_(torch.linalg.solve_triangular(Q.tril(), target, upper=False))
            else:
                X.copy_(torch.linalg.solve(Q, target))

    return step


def lbfgs_scipy(
    problem: Problem, theta: Parameters, iterations: int = 60, history: int = 10
) -> Step:
    """L-BFGS of SciPy, one seed after the other; it stays where it is after ``iterations`` steps.

    Built from inner products of gradients and steps, so equivariant as a method. SciPy computes in
    float64; in a float32 problem the error and its gradient are in float32.
    """
    paths = []
    for one, start in _singles(problem, theta):
        paths.append([start.flat.clone()])
        grad = start.clone()

        def fun(x, one=one, start=start, grad=grad):
            start.flat.copy_(torch.as_tensor(x))
            one.gradient_(start, grad)
            return one.value(start).item(), grad.flat.double().numpy()

        def keep(x, path=paths[-1], like=start.flat):
            path.append(torch.as_tensor(x).to(like.dtype, copy=True))

        scipy.optimize.minimize(
            fun, start.flat.double().numpy(), jac=True, method="L-BFGS-B", callback=keep,
            options={"maxiter": iterations, "maxcor": history, "ftol": 0.0, "gtol": 0.0},
        )  # fmt: skip

    def step(t: int) -> None:
        if t < iterations:
            _put(theta, [path[min(t + 1, len(path) - 1)] for path in paths])

    return step


def lbfgs_torch(
    problem: Problem, theta: Parameters, lr: float = 1.0, iterations: int = 40, history: int = 10
) -> Step:
    """torch.optim.LBFGS with strong Wolfe search, one seed after the other, ``iterations`` long.

    The method is equivariant, this implementation is not: it scales its first step by the L1 norm
    of the gradient, which depends on the axes.
    """
    runs = []
    for one, x in _singles(problem, theta):
        grad = x.clone()
        optimiser = torch.optim.LBFGS(
            [x.flat], lr=lr, max_iter=1, max_eval=25, history_size=history, tolerance_grad=0.0,
            tolerance_change=0.0, line_search_fn="strong_wolfe",
        )  # fmt: skip

        def closure(one=one, x=x, grad=grad):
            with torch.no_grad():
                one.gradient_(x, grad)
                x.flat.grad = grad.flat
                return one.value(x)

        runs.append((optimiser, closure, x))

    def step(t: int) -> None:
        if t < iterations:
            for optimiser, closure, _ in runs:
                optimiser.step(closure)
            _put(theta, [x.flat for _, _, x in runs])

    return step


def _singles(problem: Problem, theta: Parameters) -> list[tuple[Problem, Parameters]]:
    """The batch taken apart, for methods whose step couples all the coordinates they are given."""
    if problem.tasks is not None:
        raise ValueError("L-BFGS needs the whole error at every step: tasks must be None")
    Ms = problem.M if problem.M.ndim == 3 else [problem.M] * len(theta.A)
    return [
        (replace(problem, M=M, twins=1), Parameters(A, B)) for M, A, B in zip(Ms, theta.A, theta.B)
    ]


def _put(theta: Parameters, flats: list[torch.Tensor]) -> None:
    """Write the flat parameters of single seeds into the batch."""
    X = torch.stack(flats)
    cut = int(np.prod(theta.A.shape[1:]))
    theta.A.copy_(X[:, :cut].view(theta.A.shape))
    theta.B.copy_(X[:, cut:].view(theta.B.shape))


def _needs_plain_squared(problem: Problem, name: str) -> None:
    if problem.error != "squared" or any(
        x is not None for x in (problem.weights, problem.hidden, problem.tasks)
    ):
        raise ValueError(
            f"{name} is written for the plain squared error: error must be 'squared', and weights, "
            "hidden and tasks None"
        )
