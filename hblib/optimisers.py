"""The update rules under study, and which symmetry of the hidden space each of them keeps.

A rule is equivariant under O(k) if it is built from linear combinations of gradients, their inner
products and Gram matrices, and scalars per word (columns keep their length under rotation). It is
not if it treats single coordinates or single hidden units by themselves, whatever else it does:
being adaptive is harmless, being coordinate-wise in the hidden index is not. That is why most
rules here come in versions that differ only in the *index* over which squares are collected:
'coordinate', 'unit' (a row of A and B), 'word' (a column) or 'all'.

`RULES` holds every rule with the symmetry expected of it; `symmetry_table` measures it. Rules are
torch.optim's where those treat a stack of seeds correctly (all coordinate-wise ones do).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch

from hblib import orthogonal
from hblib import preconditioners as pre
from hblib.factorisation import (
    ArrayLike,
    Parameters,
    Problem,
    Step,
    at_least_one,
    descent,
    equivariance_defect,
    gradient_descent,
    initialise,
    positive,
)

# From large to small; the last two do not contain each other.
GROUPS = ("O(k)", "signed permutations", "permutations", "sign flips", "none")

# Fixed before any measurement. Machine epsilon of float32 is 5e8 times that of float64.
ROUNDING = 1e-9  # a float64 defect below this over 2,000 steps is rounding
SCALING = 1e3  # a float32 defect so many times the float64 one comes from rounding
SAME = 10.0  # a ratio of at most this (or its inverse) does not depend on the precision
ABOVE_FLOOR = 100.0  # a defect so many times the floor is not rounding made large by the dynamics


@dataclass(frozen=True)
class Rule:
    """An update rule with what is expected of it.

    ``symmetry`` is the largest group of `GROUPS` that training commutes with, draw by draw if the
    rule is random; ``index`` the index in which it treats entries one by one; ``lr`` the learning
    rate at which it trains the reference problem without oscillation (None: it has none). Calling
    the rule builds its ``step(t)``; options given there override the stored ones.
    """

    name: str
    label: str
    family: str
    build: Callable[..., Step]
    lr: float | None
    symmetry: str
    index: str
    reason: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, problem: Problem, theta: Parameters, **options: Any) -> Step:
        """Build the step for these parameters."""
        options = {**self.options, **options}
        if self.lr is not None:
            options.setdefault("lr", self.lr)
        if "lr" in options:
            positive("lr", options["lr"])
        return self.build(problem, theta, **options)


def rule(name: str) -> Rule:
    """The rule of that name; ValueError naming the choices if there is none."""
    if name not in RULES:
        raise ValueError(f"rule = {name!r} is unknown; allowed: {', '.join(RULES)}.")
    return RULES[name]


# --- building blocks -----------------------------------------------------------------------------


def _squares(grad: Parameters, over: str) -> list[torch.Tensor]:
    """Mean squares of the gradient over everything but ``over``, to broadcast on A and on B."""
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


# --- first-order rules ---------------------------------------------------------------------------


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


# --- the register --------------------------------------------------------------------------------

_LINEAR = "linear in the gradients, so U comes out in front"
_COORD = "a non-linear function of every single coordinate"
_SCALAR = "one scalar from lengths that a rotation leaves alone"
_UNIT = "one scalar per hidden unit, and units are what a rotation mixes"
_GRAM = "matrix function of a k x k Gram matrix, which turns with the hidden space"
_B = "signed permutations"


def _register() -> dict[str, Rule]:
    o, rows = torch.optim, {}

    def add(name, label, family, build, lr, symmetry, index, reason, **options):
        rows[name] = Rule(name, label, family, build, lr, symmetry, index, reason, options)

    f = "gradient"
    add("gd", "gradient descent", f, gradient_descent, 0.2, "O(k)", "none", _LINEAR)
    sgd = torch_optim(o.SGD)
    add("momentum", "heavy-ball momentum", f, sgd, 0.05, "O(k)", "none", _LINEAR, momentum=0.9)
    add(
        "nesterov",
        "Nesterov momentum",
        f,
        sgd,
        0.05,
        "O(k)",
        "none",
        _LINEAR,
        momentum=0.9,
        nesterov=True,
    )
    add("asgd", "averaged SGD", f, torch_optim(o.ASGD), 0.1, "O(k)", "none", _LINEAR)
    add("sam", "SAM", f, sharpness_aware, 0.01, "O(k)", "all", _SCALAR)
    add("asam", "ASAM", f, sharpness_aware, 0.01, _B, "coordinate", _COORD, adaptive=True, rho=0.2)
    add("lars", "LARS", f, lars, 0.003, "O(k)", "all", _SCALAR)
    add("sign", "sign-SGD", f, sign_sgd, 0.0005, _B, "coordinate", _COORD)
    add("lion", "Lion", f, lion, 0.0005, _B, "coordinate", _COORD)
    add("rprop", "Rprop", f, torch_optim(o.Rprop), 0.001, _B, "coordinate", _COORD)

    f = "clipping"
    add(
        "clip-norm",
        "clipping by global norm",
        f,
        clip,
        0.2,
        "O(k)",
        "all",
        _SCALAR,
        over="all",
        at=0.01,
    )
    add(
        "clip-word",
        "clipping per word",
        f,
        clip,
        0.2,
        "O(k)",
        "word",
        _SCALAR,
        over="word",
        at=0.01,
    )
    add(
        "clip-unit",
        "clipping per hidden unit",
        f,
        clip,
        0.2,
        _B,
        "unit",
        _UNIT,
        over="unit",
        at=0.01,
    )
    add(
        "clip-value",
        "clipping by value",
        f,
        clip,
        0.2,
        _B,
        "coordinate",
        _COORD,
        over="coordinate",
        at=0.01,
    )

    f = "adaptive"
    add("adagrad", "Adagrad", f, torch_optim(o.Adagrad), 0.02, _B, "coordinate", _COORD)
    add("adagrad-unit", "Adagrad per hidden unit", f, adagrad, 0.02, _B, "unit", _UNIT, over="unit")
    add("adagrad-word", "Adagrad per word", f, adagrad, 0.02, "O(k)", "word", _SCALAR, over="word")
    add("adagrad-norm", "AdaGrad-Norm", f, adagrad, 0.02, "O(k)", "all", _SCALAR, over="all")
    add("glove", "GloVe's Adagrad, lr 0.05", f, glove, 0.05, _B, "coordinate", _COORD)
    add("glove-fast", "GloVe's Adagrad, lr 1", f, glove, 1.0, _B, "coordinate", _COORD)
    add("rmsprop", "RMSprop", f, torch_optim(o.RMSprop), 0.0005, _B, "coordinate", _COORD, eps=1e-3)
    add("adadelta", "Adadelta", f, torch_optim(o.Adadelta), 0.2, _B, "coordinate", _COORD)
    add("adam", "Adam", f, torch_optim(o.Adam), 0.001, _B, "coordinate", _COORD)
    add("adamw", "AdamW", f, torch_optim(o.AdamW), 0.001, _B, "coordinate", _COORD)
    add("amsgrad", "AMSGrad", f, torch_optim(o.Adam), 0.001, _B, "coordinate", _COORD, amsgrad=True)
    add("nadam", "NAdam", f, torch_optim(o.NAdam), 0.0005, _B, "coordinate", _COORD, eps=1e-3)
    add("radam", "RAdam", f, torch_optim(o.RAdam), 0.001, _B, "coordinate", _COORD)
    add("adamax", "Adamax", f, torch_optim(o.Adamax), 0.001, _B, "coordinate", _COORD)
    add("adam-unit", "Adam per hidden unit", f, adam, 0.001, _B, "unit", _UNIT, over="unit")
    add("adam-word", "Adam per word", f, adam, 0.001, "O(k)", "word", _SCALAR, over="word")
    add("adafactor", "Adafactor", f, adafactor, 0.002, _B, "unit and word", _UNIT)

    f = "matrix"
    add(
        "adagrad-full",
        "Adagrad, full matrix on the hidden index",
        f,
        pre.full_matrix_adagrad,
        0.1,
        "O(k)",
        "none",
        _GRAM,
    )
    add("shampoo-hidden", "Shampoo, hidden side", f, pre.shampoo, 0.05, "O(k)", "none", _GRAM)
    add(
        "shampoo",
        "Shampoo, both sides",
        f,
        pre.shampoo,
        0.05,
        "O(k)",
        "none",
        _GRAM,
        word_side=True,
    )
    add(
        "soap-hidden",
        "SOAP, hidden side",
        f,
        pre.soap,
        0.0005,
        "O(k)",
        "none",
        "Adam in an eigenbasis that turns with the hidden space",
        sides="hidden",
    )
    add(
        "soap",
        "SOAP, both sides",
        f,
        pre.soap,
        0.001,
        "O(k)",
        "none",
        "the same; rounding picks the word side's null space",
        sides="both",
    )
    add(
        "soap-tie",
        "SOAP, both sides, ties settled",
        f,
        pre.soap,
        0.001,
        "O(k)",
        "none",
        "Adam in an eigenbasis that turns with the hidden space",
        sides="both",
        tie=0.01,
    )
    add(
        "soap-word",
        "SOAP, word side, ties settled",
        f,
        pre.soap,
        0.0005,
        _B,
        "coordinate",
        "Adam on the hidden units' own axes",
        sides="word",
        tie=0.01,
    )
    add(
        "muon",
        "Muon, Newton-Schulz",
        f,
        pre.muon,
        0.0012,
        "O(k)",
        "none",
        "an odd matrix polynomial of the gradient",
    )
    add(
        "muon-polar",
        "Muon, exact polar factor",
        f,
        pre.muon,
        0.0012,
        "O(k)",
        "none",
        "the polar factor of UG is U times that of G",
        orthogonalise=pre.polar,
    )

    f = "second order"
    add(
        "gauss-newton",
        "Gauss-Newton (K-FAC) blocks",
        f,
        pre.gauss_newton,
        0.05,
        "O(k)",
        "none",
        _GRAM,
    )
    add(
        "gauss-newton-diagonal",
        "Gauss-Newton, diagonal",
        f,
        pre.gauss_newton,
        0.05,
        _B,
        "unit",
        _UNIT,
        diagonal=True,
    )
    add(
        "lbfgs",
        "L-BFGS (SciPy)",
        f,
        pre.lbfgs_scipy,
        None,
        "O(k)",
        "none",
        "built from inner products of gradients and steps",
    )
    add(
        "lbfgs-torch",
        "L-BFGS (torch)",
        f,
        pre.lbfgs_torch,
        1.0,
        _B,
        "coordinate",
        "the method keeps O(k), but its first step is scaled by an L1 norm",
    )
    add(
        "als",
        "alternating least squares",
        f,
        pre.alternating_least_squares,
        None,
        "O(k)",
        "none",
        _GRAM,
    )
    add(
        "coordinate-descent",
        "coordinate descent",
        f,
        pre.alternating_least_squares,
        None,
        "sign flips",
        "unit",
        "goes through the hidden units in order",
        sequential=True,
    )

    f = "penalty"
    add(
        "l2",
        "L2 penalty",
        f,
        changed(l2=0.01),
        0.2,
        "O(k)",
        "none",
        "lengths are left alone by a rotation",
    )
    add("l1", "L1 penalty", f, changed(l1=0.01), 0.1, _B, "coordinate", _COORD)
    add(
        "non-negative",
        "non-negative factors",
        f,
        projected,
        0.2,
        "permutations",
        "coordinate",
        "the positive orthant has only permutations to itself",
        project=torch.relu,
    )
    add(
        "box",
        "box constraint",
        f,
        projected,
        0.2,
        _B,
        "coordinate",
        "a cube has only signed permutations to itself",
        project=lambda X: X.clamp(-0.5, 0.5),
    )
    add(
        "ball",
        "words in the unit ball",
        f,
        projected,
        0.2,
        "O(k)",
        "word",
        _SCALAR,
        project=unit_ball,
    )

    f = "noise"
    add(
        "weight-noise",
        "noise on every coordinate",
        f,
        noisy,
        0.2,
        "none",
        "coordinate",
        "the draws belong to the axes (Gaussian noise keeps O(k) in law only)",
    )
    add(
        "dropout-unit",
        "dropout on hidden units",
        f,
        dropout,
        0.1,
        "sign flips",
        "coordinate",
        "the draws belong to units (signed permutations in law only)",
        over="coordinate",
    )
    add(
        "dropout-word",
        "dropout on samples",
        f,
        dropout,
        0.1,
        "O(k)",
        "word",
        "one draw for a whole hidden vector",
        over="word",
    )

    f = "hidden layer"
    for name, lr, symmetry, index, reason in (
        ("relu", 0.1, "permutations", "coordinate", _COORD),
        ("tanh", 0.1, _B, "coordinate", _COORD),
        ("radial tanh", 0.1, "O(k)", "word", "non-linear in the length of the hidden vector alone"),
        ("batch norm", 0.1, _B, "unit", _UNIT),
        (
            "layer norm",
            0.02,
            "permutations",
            "word",
            "subtracts the mean over units, a fixed direction",
        ),
        ("rms norm", 0.01, "O(k)", "word", _SCALAR),
    ):
        label = {"relu": "ReLU"}.get(name, name) + " on the hidden layer"
        add(name.replace(" ", "-"), label, f, changed(hidden=name), lr, symmetry, index, reason)
    return rows


RULES: dict[str, Rule] = _register()


# --- which symmetry is kept ----------------------------------------------------------------------


def classify(defect64: ArrayLike, defect32: ArrayLike, floor64: ArrayLike = 0.0) -> str:
    """Tell a rule that keeps a symmetry from one that breaks it by how the defect scales.

    A kept symmetry leaves only rounding, which an ill-conditioned rule may enlarge, but which
    falls with the machine epsilon from float32 to float64. A broken one leaves the same defect in
    both. If the dynamics are chaotic a kept symmetry looks the same in both too; the floor, the
    defect of a rotation by an angle of the size of rounding, shows that.

    Parameters
    ----------
    defect64, defect32 : array (S,)
        Defects of several seeds in the two precisions.
    floor64 : array (S,) or float
        Floor in float64; the largest counts.

    Returns
    -------
    {'keeps', 'breaks', 'undecided'}
        'keeps' if in every seed the float64 defect is below `ROUNDING` or at most 1 / `SCALING` of
        the float32 one; 'breaks' if in some seed it is above `ROUNDING`, the same in both
        precisions up to a factor `SAME`, and `ABOVE_FLOOR` times the floor; else 'undecided'.

    Examples
    --------
    >>> classify([2e-15], [1e-6]), classify([3e-5], [4e-1]), classify([0.4], [0.4])
    ('keeps', 'keeps', 'breaks')
    >>> classify([0.4], [0.4], floor64=0.1)
    'undecided'
    """
    d64, d32 = np.atleast_1d(defect64).astype(float), np.atleast_1d(defect32).astype(float)
    if d64.shape != d32.shape or not d64.size:
        raise ValueError(
            f"defect64 {d64.shape} and defect32 {d32.shape} must be of one length, at least 1."
        )
    if not (np.isfinite(d64).all() and np.isfinite(d32).all() and np.isfinite(floor64).all()):
        raise ValueError("defects and floor must be finite.")
    ratio = d32 / np.maximum(d64, np.finfo(float).tiny)
    small = d64 < ROUNDING
    same = (ratio <= SAME) & (ratio >= 1 / SAME)
    if (~small & same & (d64 > ABOVE_FLOOR * np.max(floor64))).any():
        return "breaks"
    return "keeps" if (small | (ratio >= SCALING)).all() else "undecided"


def reference_problem(
    k: int = 4, shape: tuple[int, int] = (24, 16), noise: float = 0.1, seed: int = 0
) -> Problem:
    """Planted matrix of rank k, entries of variance one, with noise: the learning rates' yardstick.

    Parameters
    ----------
    k : int
        Rank.
    shape : (m, n)
    noise : float
        Standard deviation of the noise on every entry.
    seed : int or numpy.random.Generator
    """
    at_least_one("k", k)
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((shape[0], k)), rng.standard_normal((k, shape[1]))
    return Problem(left @ right / k**0.5 + noise * rng.standard_normal(shape))


def symmetry_defects(
    rule: Rule,
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    n_steps: int = 2000,
    seed: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Equivariance defects of one rule under one random member of each group, per seed.

    Parameters
    ----------
    rule : Rule
    problem : Problem
        Its precision is overridden: everything runs in float64 and in float32.
    A0, B0 : arrays (S, k, m) and (S, k, n)
    n_steps : int
    seed : int or numpy.random.Generator
        Of the group members.

    Returns
    -------
    pandas.DataFrame
        One row an action and seed: ``action`` ('O(k)', 'signed permutations', 'permutations',
        'sign flips', 'floor'), ``seed``, ``float64``, ``float32``, and ``trained``, the error at
        the end over that at the start (of the unrotated run in float64).
    """
    theta0 = problem.parameters(A0, B0)
    actions = _actions(theta0.A.shape[1], len(theta0.A), np.random.default_rng(seed))
    ends: dict[str, torch.Tensor] = {}
    columns = {}
    for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):

        def watched(problem, theta, **options):
            ends.update(problem=problem, theta=theta, start=problem.value(theta))
            return rule(problem, theta, **options)

        columns[name] = equivariance_defect(
            replace(problem, dtype=dtype),
            A0,
            B0,
            np.stack(list(actions.values())),
            watched,
            n_steps,
        ).ravel()
        if name == "float64":
            trained = ends["problem"].value(ends["theta"]) / ends["start"]
    seeds = len(theta0.A)
    return pd.DataFrame(
        {
            "action": np.repeat(list(actions), seeds),
            "seed": np.tile(np.arange(seeds), len(actions)),
            **columns,
            "trained": np.tile(trained[:seeds].numpy(), len(actions)),
        }
    )


def symmetry_table(
    rules: Iterable[str | Rule] | None = None,
    problem: Problem | None = None,
    k: int = 4,
    n_seeds: int = 3,
    n_steps: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Which symmetry each rule keeps, measured, beside the one expected.

    Parameters
    ----------
    rules : iterable of str or Rule, optional
        All of `RULES` if left.
    problem : Problem, optional
        `reference_problem` if left.
    k : int
        Inner dimension.
    n_seeds : int
        Starting points, Gaussian of standard deviation 1/2.
    n_steps : int
    seed : int

    Returns
    -------
    pandas.DataFrame
        One row a rule: ``rule``, ``label``, ``family``, ``index``; the largest defect over the
        seeds under a Haar rotation in both precisions (``defect``, ``defect_float32``), its
        ``smallest`` over the seeds, the ``floor``, and the float64 defects under the finite groups;
        ``measured`` and ``expected`` group, whether they ``agree``; ``trained``, the worst final
        error relative to the start; ``reason``.
    """
    rng = np.random.default_rng(seed)
    problem = reference_problem(k, seed=rng) if problem is None else problem
    A0, B0 = initialise("gaussian", k, problem.shape, n_seeds, seed=rng)
    actions_seed = int(rng.integers(2**31))
    rows = []
    for r in RULES.values() if rules is None else rules:
        r = rule(r) if isinstance(r, str) else r
        frame = symmetry_defects(r, problem, A0, B0, n_steps, actions_seed)
        of = {action: part for action, part in frame.groupby("action", sort=False)}
        measured = surviving_group(frame)
        rows.append(
            {
                "rule": r.name,
                "label": r.label,
                "family": r.family,
                "index": r.index,
                "defect": of["O(k)"]["float64"].max(),
                "smallest": of["O(k)"]["float64"].min(),
                "defect_float32": of["O(k)"]["float32"].max(),
                "floor": of["floor"]["float64"].max(),
                **{g.replace(" ", "_"): of[g]["float64"].max() for g in GROUPS[1:-1]},
                "measured": measured,
                "expected": r.symmetry,
                "agree": measured == r.symmetry,
                "trained": frame["trained"].max(),
                "reason": r.reason,
            }
        )
    return pd.DataFrame(rows)


def surviving_group(frame: pd.DataFrame) -> str:
    """The largest group that `symmetry_defects` shows to be kept, or 'undecided'."""
    of = {action: part for action, part in frame.groupby("action", sort=False)}
    floor = of["floor"]["float64"]
    for group in GROUPS[:-1]:
        verdict = classify(of[group]["float64"], of[group]["float32"], floor)
        if verdict != "breaks":
            return group if verdict == "keeps" else "undecided"
    return "none"


def _actions(k: int, seeds: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One non-trivial member of each group per seed, (seeds, k, k), and a rounding-sized turn."""
    if k < 2:
        raise ValueError(f"k = {k} must be at least 2: with one hidden unit nothing can turn.")
    eye = np.eye(k)

    def pick(draw, trivial):
        out = []
        while len(out) < seeds:
            X = draw(k, rng)
            if not trivial(X):
                out.append(X)
        return np.stack(out)

    generator = rng.standard_normal((seeds, k, k))
    generator -= generator.transpose(0, 2, 1)
    generator /= np.linalg.norm(generator, axis=(1, 2), keepdims=True)
    return {
        "O(k)": orthogonal.haar(k, rng, size=seeds),
        # Neither a mere permutation nor mere signs.
        "signed permutations": pick(
            orthogonal.signed_permutation,
            lambda X: (np.abs(X) == eye).all() or (X >= 0).all() or (X <= 0).all(),
        ),
        "permutations": pick(orthogonal.permutation, lambda X: (X == eye).all()),
        "sign flips": pick(orthogonal.sign_flip, lambda X: abs(np.trace(X)) == k),
        "floor": eye + 1e-15 * generator,
    }
