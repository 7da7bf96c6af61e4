"""First-order update rules: the gradient changed by scalars, signs, clipping, noise or projection.

Most come in versions that differ only in what squares of the gradient are collected ``over``: every
'coordinate' by itself, a hidden 'unit' (a row of A and B), a 'word' (a column), or 'all'. A
rotation of the hidden space leaves the lengths of words, and of everything, alone; coordinates and
units are what it mixes.

Every function here is an update rule in the sense of `hblib.rotation._training`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from hblib._checks import choice, generator, number, whole
from hblib.rotation._factorisation import Parameters, Problem
from hblib.rotation._training import Step, descent_rule, gradient_descent

Transform = Callable[[int], Any]  # changes the gradient of a step in place


def _squares(grad: Parameters, over: str) -> list[torch.Tensor]:
    """Mean squares of the gradient over everything but ``over``, to broadcast on A and on B."""
    choice("over", over, ("coordinate", "unit", "word", "all"))
    A, B = grad.A.square(), grad.B.square()
    if over == "coordinate":
        return [A, B]
    if over == "word":
        return [A.mean(1, True), B.mean(1, True)]
    total = A.sum(2, True) + B.sum(2, True)
    total /= A.shape[2] + B.shape[2]
    return [total if over == "unit" else total.mean(1, True)] * 2


def _zeros(theta: Parameters) -> Parameters:
    zeros = theta.clone()
    zeros.flat.zero_()
    return zeros


def _shared_draw(
    problem: Problem,
    theta: Parameters,
    shape: tuple[int, ...],
    draw: Callable[[tuple[int, ...]], torch.Tensor],
) -> torch.Tensor:
    """Random numbers for every seed, the same for all its rotated twins."""
    return draw((len(theta.A) // problem.twins, *shape)).repeat(problem.twins, 1, 1)


def _torch_generator(rng: int | np.random.Generator | None) -> torch.Generator:
    """A generator of torch; a whole number is its seed."""
    if isinstance(rng, np.random.Generator) or rng is None:
        rng = generator(rng).integers(2**63)
    return torch.Generator().manual_seed(whole("rng", rng, least=0))


def torch_optim(cls: type[torch.optim.Optimizer]) -> Callable[..., Step]:
    """Rule from a torch optimiser that treats coordinates one by one, or linearly."""

    def build(problem: Problem, theta: Parameters, **options: Any) -> Step:
        grad = theta.clone()
        optimiser = cls([theta.flat], **options)
        theta.flat.grad = grad.flat

        def step(t: int) -> None:
            problem.gradient_(theta, grad, t)
            optimiser.step()

        return step

    return build


def changed(**changes: Any) -> Callable[..., Step]:
    """Gradient descent on a problem with something changed: a penalty, a hidden function."""

    def build(problem: Problem, theta: Parameters, lr: float) -> Step:
        return gradient_descent(replace(problem, **changes), theta, lr)

    return build


@descent_rule
def sign_sgd(problem: Problem, theta: Parameters, grad: Parameters) -> Transform:
    """Step against the sign of the gradient."""
    return lambda t: grad.flat.sign_()


@descent_rule
def lion(
    problem: Problem, theta: Parameters, grad: Parameters, betas: tuple[float, float] = (0.9, 0.99)
) -> Transform:
    """Lion: sign of an interpolation between gradient and its running mean."""
    mean = _zeros(theta)

    def transform(t):
        update = mean.flat.lerp(grad.flat, 1 - betas[0]).sign_()
        mean.flat.lerp_(grad.flat, 1 - betas[1])
        grad.flat.copy_(update)

    return transform


@descent_rule
def clip(problem: Problem, theta: Parameters, grad: Parameters, over: str, at: float) -> Transform:
    """Shrink the gradient, over the given index, to root mean square ``at`` where it is above."""

    def transform(t):
        for X, s in zip((grad.A, grad.B), _squares(grad, over)):
            X.mul_(s.rsqrt().mul_(at).clamp_(max=1.0))

    return transform


@descent_rule
def adagrad(
    problem: Problem, theta: Parameters, grad: Parameters, over: str, eps: float = 1e-10
) -> Transform:
    """Adagrad with one accumulator for each value of the index (AdaGrad-Norm: 'all')."""
    sums = [torch.zeros_like(s) for s in _squares(grad, over)]

    def transform(t):
        for X, total, s in zip((grad.A, grad.B), sums, _squares(grad, over)):
            total.add_(s)
            X.div_(total.sqrt().add_(eps))

    return transform


@descent_rule
def adam(
    problem: Problem,
    theta: Parameters,
    grad: Parameters,
    over: str,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Transform:
    """Adam with one second moment for each value of the index."""
    mean = _zeros(theta)
    moments = [torch.zeros_like(s) for s in _squares(grad, over)]

    def transform(t):
        mean.flat.lerp_(grad.flat, 1 - betas[0])
        pairs = zip((grad.A, grad.B), (mean.A, mean.B), moments, _squares(grad, over))
        for X, mu, v, s in pairs:
            v.lerp_(s, 1 - betas[1])
            torch.div(mu, (v / (1 - betas[1] ** (t + 1))).sqrt_().add_(eps), out=X)
        grad.flat.div_(1 - betas[0] ** (t + 1))

    return transform


def glove(problem: Problem, theta: Parameters, lr: float) -> Step:
    """GloVe's own rule, theta -= lr g / sqrt(1 + sum of past (lr g)^2), of glove.c.

    The same as g / sqrt(1/lr^2 + sum g^2): ``lr`` sets where on the way from gradient descent
    (small accumulators) to Adagrad of unit learning rate the rule stands.
    """
    grad = theta.clone()
    total = torch.ones_like(theta.flat)

    def step(t: int) -> None:
        problem.gradient_(theta, grad, t)
        update = grad.flat.mul_(lr)
        theta.flat.addcdiv_(update, total.sqrt(), value=-1)
        total.addcmul_(update, update)

    return step


def adafactor(
    problem: Problem, theta: Parameters, lr: float, decay: float = -0.8, clip_at: float = 1.0
) -> Step:
    """Adafactor, for A and B apart: second moments from their row and column means.

    torch.optim.Adafactor one seed at a time would do the same; it scales and clips by norms of the
    whole tensor it is given, and so cannot take a stack of seeds.
    """
    grad = theta.clone()
    tiny = torch.finfo(theta.flat.dtype).eps
    rows = [torch.zeros_like(X[:, :, :1]) for X in (theta.A, theta.B)]
    columns = [torch.zeros_like(X[:, :1, :]) for X in (theta.A, theta.B)]

    def rms(X: torch.Tensor) -> torch.Tensor:
        return X.square().mean((1, 2), True).sqrt()

    def step(t: int) -> None:
        problem.gradient_(theta, grad, t)
        weight, rho = (t + 1) ** decay, min(lr, (t + 1) ** -0.5)
        for X, g, r, c in zip((theta.A, theta.B), (grad.A, grad.B), rows, columns):
            square = g.square()
            r.lerp_(square.mean(2, True), weight)
            c.lerp_(square.mean(1, True), weight)
            moment = r * c / r.mean(1, True).clamp_(min=tiny)
            update = g * moment.clamp_(min=tiny * tiny).rsqrt_()
            update *= rms(X).clamp_(min=1e-3) * rho / (rms(update) / clip_at).clamp_(min=1.0)
            X.sub_(update)

    return step


@descent_rule
def lars(
    problem: Problem, theta: Parameters, grad: Parameters, momentum: float = 0.9
) -> Transform:
    """LARS: steps as long as the parameters are, per factor, times momentum."""
    velocity = _zeros(theta)

    def transform(t):
        for X, g in ((theta.A, grad.A), (theta.B, grad.B)):
            g.mul_(torch.linalg.matrix_norm(X, keepdim=True))
            g.div_(torch.linalg.matrix_norm(g, keepdim=True).clamp_(min=1e-12))
        grad.flat.copy_(velocity.flat.mul_(momentum).add_(grad.flat, alpha=1 - momentum))

    return transform


@descent_rule
def sharpness_aware(
    problem: Problem,
    theta: Parameters,
    grad: Parameters,
    rho: float = 0.05,
    adaptive: bool = False,
) -> Transform:
    """SAM: the gradient at theta + rho g / |g|; ASAM (``adaptive``) measures g in units of |theta|.

    References: Foret et al. 2021; Kwon et al. 2021.
    """
    before = theta.clone()

    def transform(t):
        before.flat.copy_(theta.flat)
        if adaptive:
            weight = theta.flat.abs()
            grad.flat.mul_(weight)
        step = rho / grad.norm().clamp_(min=1e-12)
        if adaptive:
            grad.flat.mul_(weight)
        for X, g in ((theta.A, grad.A), (theta.B, grad.B)):
            X.addcmul_(g, step)
        problem.gradient_(theta, grad, t)
        theta.flat.copy_(before.flat)

    return transform


@descent_rule
def noisy(
    problem: Problem,
    theta: Parameters,
    grad: Parameters,
    sigma: float = 0.03,
    rng: int | np.random.Generator | None = 0,
) -> Transform:
    """Gradient at a point moved by Gaussian noise, one draw per coordinate."""
    noise = _torch_generator(rng)
    before = theta.clone()

    def draw(shape):
        return torch.randn(shape, generator=noise, dtype=torch.float64).to(problem.dtype)

    def transform(t):
        before.flat.copy_(theta.flat)
        for X in (theta.A, theta.B):
            X.add_(_shared_draw(problem, theta, X.shape[1:], draw), alpha=sigma)
        problem.gradient_(theta, grad, t)
        theta.flat.copy_(before.flat)

    return transform


def dropout(
    problem: Problem,
    theta: Parameters,
    lr: float,
    over: str,
    p: float = 0.2,
    rng: int | np.random.Generator | None = 0,
) -> Step:
    """Dropout on the hidden layer: entries f(A) are 0 or 1 / (1 - p) times their value.

    With ``over`` 'coordinate' each unit of each sample is dropped by itself; with 'word' the
    sample is dropped as a whole.
    """
    choice("over", over, ("coordinate", "word"))
    if not number("p", p, least=0) < 1:
        raise ValueError(f"p must be below 1, got {p!r}")
    coins = _torch_generator(rng)
    k, m = theta.A.shape[1:]
    shape = (k if over == "coordinate" else 1, m)
    grad, masked = theta.clone(), theta.clone()

    def draw(size):
        return torch.rand(size, generator=coins)

    def step(t: int) -> None:
        mask = (_shared_draw(problem, theta, shape, draw) >= p).to(problem.dtype) / (1 - p)
        masked.flat.copy_(theta.flat)
        masked.A.mul_(mask)
        problem.gradient_(masked, grad, t)
        grad.A.mul_(mask)
        theta.flat.add_(grad.flat, alpha=-lr)

    return step


def projected(
    problem: Problem,
    theta: Parameters,
    lr: float,
    project: Callable[[torch.Tensor], torch.Tensor],
) -> Step:
    """Projected gradient descent: ``project`` puts A, and B, back into the allowed set."""
    plain = gradient_descent(problem, theta, lr)

    def step(t: int) -> None:
        plain(t)
        for X in (theta.A, theta.B):
            X.copy_(project(X))

    return step


def unit_ball(X: torch.Tensor) -> torch.Tensor:
    """Shorten every column to length at most one."""
    return X / X.square().sum(1, True).sqrt_().clamp_(min=1.0)
