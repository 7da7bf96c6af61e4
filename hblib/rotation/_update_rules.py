"""First-order update rules: the gradient changed by scalars, signs, clipping, noise or projection.

Most come in versions that differ only in what squares of the gradient are collected ``over``: every
'coordinate' by itself, a hidden 'unit' (a row of A and B), a 'word' (a column), or 'all'. Lengths
of words, and of everything, are left alone by a rotation of the hidden space; coordinates and units
are what it mixes.

Every function here is an update rule in the sense of `hblib.factorisation`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from hblib.rotation._factorisation import Parameters, Problem, Step, descent, gradient_descent


def _squares(grad: Parameters, over: str) -> list[torch.Tensor]:
    """Mean squares of the gradient over everything but ``over``, to broadcast on A and on B."""
    if over not in ("coordinate", "unit", "word", "all"):
        raise ValueError(
            f"over = {over!r} is unknown; allowed: 'coordinate', 'unit', 'word', 'all'."
        )
    A, B = grad.A.square(), grad.B.square()
    if over == "coordinate":
        return [A, B]
    if over == "word":
        return [A.mean(1, True), B.mean(1, True)]
    total = A.sum(2, True) + B.sum(2, True)
    total /= A.shape[2] + B.shape[2]
    return [total if over == "unit" else total.mean(1, True)] * 2


def _zeros(theta: Parameters) -> Parameters:
    out = theta.clone()
    out.flat.zero_()
    return out


def _shared_draw(problem: Problem, theta: Parameters, shape: tuple, draw: Callable) -> torch.Tensor:
    """Random numbers of one seed each, the same for all its rotated twins."""
    return draw((len(theta.A) // problem.twins, *shape)).repeat(problem.twins, 1, 1)


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


@descent
def sign_sgd(problem, theta, grad):
    """Step against the sign of the gradient."""
    return lambda t: grad.flat.sign_()


@descent
def lion(problem, theta, grad, betas=(0.9, 0.99)):
    """Lion: sign of an interpolation between gradient and its running mean."""
    mean = _zeros(theta)

    def transform(t):
        update = mean.flat.lerp(grad.flat, 1 - betas[0]).sign_()
        mean.flat.lerp_(grad.flat, 1 - betas[1])
        grad.flat.copy_(update)

    return transform


@descent
def clip(problem, theta, grad, over, at):
    """Shrink the gradient, over the given index, to root mean square ``at`` where it is above."""

    def transform(t):
        for X, s in zip((grad.A, grad.B), _squares(grad, over)):
            X.mul_(s.rsqrt().mul_(at).clamp_(max=1.0))

    return transform


@descent
def adagrad(problem, theta, grad, over, eps=1e-10):
    """Adagrad with one accumulator for each value of the index (AdaGrad-Norm: 'all')."""
    sums = [torch.zeros_like(s) for s in _squares(grad, over)]

    def transform(t):
        for X, total, s in zip((grad.A, grad.B), sums, _squares(grad, over)):
            total.add_(s)
            X.div_(total.sqrt().add_(eps))

    return transform


@descent
def adam(problem, theta, grad, over, betas=(0.9, 0.999), eps=1e-8):
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


def adafactor(problem: Problem, theta: Parameters, lr: float, decay: float = -0.8, d: float = 1.0):
    """Adafactor, for A and B apart: second moments from their row and column means.

    torch.optim.Adafactor one seed at a time would do the same; it scales and clips by norms of the
    whole tensor it is given, and so cannot take a stack of seeds.
    """
    grad = theta.clone()
    tiny = torch.finfo(theta.flat.dtype).eps
    rows = [torch.zeros_like(X[:, :, :1]) for X in (theta.A, theta.B)]
    columns = [torch.zeros_like(X[:, :1, :]) for X in (theta.A, theta.B)]

    def rms(X):
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
            update *= rms(X).clamp_(min=1e-3) * rho / (rms(update) / d).clamp_(min=1.0)
            X.sub_(update)

    return step


@descent
def lars(problem, theta, grad, momentum=0.9):
    """LARS: steps as long as the parameters are, per factor, times momentum."""
    velocity = _zeros(theta)

    def transform(t):
        for X, g in ((theta.A, grad.A), (theta.B, grad.B)):
            g.mul_(torch.linalg.matrix_norm(X, keepdim=True))
            g.div_(torch.linalg.matrix_norm(g, keepdim=True).clamp_(min=1e-12))
        grad.flat.copy_(velocity.flat.mul_(momentum).add_(grad.flat, alpha=1 - momentum))

    return transform


@descent
def sharpness_aware(problem, theta, grad, rho=0.05, adaptive=False):
    """SAM: the gradient at theta + rho g / |g|; ASAM (``adaptive``) measures g in units of |theta|.

    References: Foret et al. 2021; Kwon et al. 2021.
    """
    here = theta.clone()

    def transform(t):
        here.flat.copy_(theta.flat)
        if adaptive:
            weight = theta.flat.abs()
            grad.flat.mul_(weight)
        step = rho / grad.norm().clamp_(min=1e-12)
        if adaptive:
            grad.flat.mul_(weight)
        for X, g in ((theta.A, grad.A), (theta.B, grad.B)):
            X.addcmul_(g, step)
        problem.gradient_(theta, grad, t)
        theta.flat.copy_(here.flat)

    return transform


@descent
def noisy(problem, theta, grad, sigma=0.03, seed=0):
    """Gradient at a point moved by Gaussian noise, one draw a coordinate."""
    generator = torch.Generator().manual_seed(seed)
    here = theta.clone()

    def draw(shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(problem.dtype)

    def transform(t):
        here.flat.copy_(theta.flat)
        for X in (theta.A, theta.B):
            X.add_(_shared_draw(problem, theta, X.shape[1:], draw), alpha=sigma)
        problem.gradient_(theta, grad, t)
        theta.flat.copy_(here.flat)

    return transform


def dropout(problem: Problem, theta: Parameters, lr: float, over: str, p: float = 0.2, seed=0):
    """Dropout on the hidden layer: entries f(A) are 0 or 1 / (1 - p) times their value.

    With ``over`` 'coordinate' each unit of each sample is dropped by itself; with 'word' the
    sample is dropped as a whole.
    """
    if over not in ("coordinate", "word"):
        raise ValueError(f"over = {over!r} is unknown; allowed: 'coordinate', 'word'.")
    if not 0 <= p < 1:
        raise ValueError(f"p = {p} must be at least 0 and below 1.")
    generator = torch.Generator().manual_seed(seed)
    k, m = theta.A.shape[1:]
    shape = (k if over == "coordinate" else 1, m)
    grad, masked = theta.clone(), theta.clone()

    def draw(size):
        return torch.rand(size, generator=generator)

    def step(t: int) -> None:
        mask = (_shared_draw(problem, theta, shape, draw) >= p).to(problem.dtype) / (1 - p)
        masked.flat.copy_(theta.flat)
        masked.A.mul_(mask)
        problem.gradient_(masked, grad, t)
        grad.A.mul_(mask)
        theta.flat.add_(grad.flat, alpha=-lr)

    return step


def projected(problem: Problem, theta: Parameters, lr: float, project: Callable) -> Step:
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
