"""The update rules under study, each with the symmetry of the hidden space expected of it.

A rule is equivariant under O(k) if it is built from linear combinations of gradients, their inner
products and Gram matrices, and scalars per word (columns keep their length under rotation). It is
not if it treats single coordinates or single hidden units by themselves, whatever else it does:
being adaptive is harmless, being coordinate-wise in the hidden index is not.

Rules are torch.optim's where those treat a stack of seeds correctly, which all coordinate-wise and
all linear ones do; the others come from `hblib.update_rules` and `hblib.preconditioners`.
`hblib.symmetry` measures what `RULES` expects.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import optim

from hblib.rotation import _preconditioners as pre
from hblib.rotation import _update_rules as first
from hblib.rotation._factorisation import Parameters, Problem, Step, gradient_descent, positive

# From large to small; permutations and sign flips do not contain each other.
GROUPS = ("O(k)", "signed permutations", "permutations", "sign flips", "none")


@dataclass(frozen=True)
class Rule:
    """An update rule with what is expected of it.

    ``symmetry`` is the largest group of `GROUPS` that training commutes with, draw by draw if the
    rule is random; ``index`` is the index in which it treats entries one by one. ``lr`` is small
    enough that 2,000 steps on `hblib.symmetry.reference_problem` train without ending in the
    jitter of a constant step (where rules that normalise the gradient turn chaotic); None if the
    rule has no learning rate. Calling the rule builds its ``step(t)``; options given there override
    the stored ones.
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
        elif "lr" in options:
            raise ValueError(f"lr = {options['lr']} was given, but {self.label} has none.")
        if self.lr is not None:
            positive("lr", options["lr"])
        return self.build(problem, theta, **options)


def rule(name: str) -> Rule:
    """The rule of that name; ValueError naming the choices if there is none.

    Examples
    --------
    >>> rule("adam").symmetry, rule("adam-word").symmetry
    ('signed permutations', 'O(k)')
    """
    if name not in RULES:
        raise ValueError(f"rule = {name!r} is unknown; allowed: {', '.join(RULES)}.")
    return RULES[name]


_O, _B, _P = "O(k)", "signed permutations", "permutations"
_LINEAR = "linear in the gradients, so U comes out in front"
_COORD = "a non-linear function of every single coordinate"
_SCALAR = "scalars made of lengths, which a rotation leaves alone"
_UNIT = "scalars of single hidden units, which a rotation mixes"
_GRAM = "matrix functions of k x k Gram matrices, which turn with the hidden space"
_EIGEN = "Adam in an eigenbasis that turns with the hidden space"


def _register() -> dict[str, Rule]:
    rows = []

    def family(name):
        def add(key, label, build, lr, symmetry, index, reason, **options):
            rows.append(Rule(key, label, name, build, lr, symmetry, index, reason, options))

        return add

    def torch_optim(name):
        return first.torch_optim(getattr(optim, name))

    # fmt: off
    add = family("gradient")
    add("gd", "gradient descent", gradient_descent, 0.2, _O, "none", _LINEAR)
    add("momentum", "heavy-ball momentum", torch_optim("SGD"), 0.05, _O, "none", _LINEAR,
        momentum=0.9)
    add("nesterov", "Nesterov momentum", torch_optim("SGD"), 0.05, _O, "none", _LINEAR,
        momentum=0.9, nesterov=True)
    add("asgd", "averaged SGD", torch_optim("ASGD"), 0.1, _O, "none", _LINEAR)
    add("lars", "LARS", first.lars, 0.003, _O, "none", _SCALAR)
    add("sam", "SAM", first.sharpness_aware, 0.005, _O, "none", _SCALAR)
    add("asam", "ASAM", first.sharpness_aware, 0.005, _B, "coordinate", _COORD,
        adaptive=True, rho=0.2)
    add("sign", "sign-SGD", first.sign_sgd, 0.0005, _B, "coordinate", _COORD)
    add("lion", "Lion", first.lion, 0.0005, _B, "coordinate", _COORD)
    add("rprop", "Rprop", torch_optim("Rprop"), 0.001, _B, "coordinate", _COORD)

    add = family("clipping")
    add("clip-norm", "clipping by global norm", first.clip, 0.2, _O, "none", _SCALAR,
        over="all", at=0.01)
    add("clip-word", "clipping per word", first.clip, 0.2, _O, "word", _SCALAR,
        over="word", at=0.01)
    add("clip-unit", "clipping per hidden unit", first.clip, 0.2, _B, "unit", _UNIT,
        over="unit", at=0.01)
    add("clip-value", "clipping by value", first.clip, 0.2, _B, "coordinate", _COORD,
        over="coordinate", at=0.01)

    add = family("adaptive")
    add("adagrad", "Adagrad", torch_optim("Adagrad"), 0.02, _B, "coordinate", _COORD)
    add("adagrad-unit", "Adagrad per hidden unit", first.adagrad, 0.02, _B, "unit", _UNIT,
        over="unit")
    add("adagrad-word", "Adagrad per word", first.adagrad, 0.02, _O, "word", _SCALAR, over="word")
    add("adagrad-norm", "AdaGrad-Norm", first.adagrad, 0.02, _O, "none", _SCALAR, over="all")
    add("glove", "GloVe's Adagrad, lr 0.05", first.glove, 0.05, _B, "coordinate", _COORD)
    add("glove-fast", "GloVe's Adagrad, lr 1", first.glove, 1.0, _B, "coordinate", _COORD)
    add("rmsprop", "RMSprop", torch_optim("RMSprop"), 0.0005, _B, "coordinate", _COORD, eps=1e-3)
    add("adadelta", "Adadelta", torch_optim("Adadelta"), 0.2, _B, "coordinate", _COORD)
    add("adam", "Adam", torch_optim("Adam"), 0.001, _B, "coordinate", _COORD)
    add("adamw", "AdamW", torch_optim("AdamW"), 0.001, _B, "coordinate", _COORD)
    add("amsgrad", "AMSGrad", torch_optim("Adam"), 0.001, _B, "coordinate", _COORD, amsgrad=True)
    add("nadam", "NAdam", torch_optim("NAdam"), 0.0005, _B, "coordinate", _COORD, eps=1e-3)
    add("radam", "RAdam", torch_optim("RAdam"), 0.001, _B, "coordinate", _COORD)
    add("adamax", "Adamax", torch_optim("Adamax"), 0.001, _B, "coordinate", _COORD)
    add("adam-unit", "Adam per hidden unit", first.adam, 0.001, _B, "unit", _UNIT, over="unit")
    add("adam-word", "Adam per word", first.adam, 0.001, _O, "word", _SCALAR, over="word")
    add("adafactor", "Adafactor", first.adafactor, 0.001, _B, "unit and word", _UNIT)

    add = family("matrix")
    add("adagrad-full", "Adagrad, full matrix on the hidden index", pre.full_matrix_adagrad, 0.1,
        _O, "none", _GRAM)
    add("shampoo-hidden", "Shampoo, hidden side", pre.shampoo, 0.05, _O, "none", _GRAM)
    add("shampoo", "Shampoo, both sides", pre.shampoo, 0.05, _O, "none", _GRAM, word_side=True)
    add("soap-hidden", "SOAP, hidden side", pre.soap, 0.0005, _O, "none", _EIGEN)
    add("soap", "SOAP, both sides", pre.soap, 0.001, _O, "none",
        "as on the hidden side, but rounding picks the basis of the words' null space",
        sides="both")
    add("soap-tie", "SOAP, both sides, ties settled", pre.soap, 0.001, _O, "none", _EIGEN,
        sides="both", tie=0.01)
    add("soap-word", "SOAP, word side, ties settled", pre.soap, 0.001, _B, "coordinate",
        "Adam on the hidden units' own axes", sides="word", tie=0.01)
    add("muon", "Muon, Newton-Schulz", pre.muon, 0.0012, _O, "none",
        "an odd matrix polynomial of the gradient (the published code rounds it to bfloat16)")
    add("muon-polar", "Muon, exact polar factor", pre.muon, 0.0008, _O, "none",
        "the polar factor of UG is U times that of G", orthogonalise=pre.polar)

    add = family("second order")
    add("gauss-newton", "Gauss-Newton (K-FAC) blocks", pre.gauss_newton, 0.05, _O, "none", _GRAM)
    add("gauss-newton-diagonal", "Gauss-Newton, diagonal", pre.gauss_newton, 0.05, _B, "unit",
        _UNIT, diagonal=True)
    add("lbfgs", "L-BFGS (SciPy)", pre.lbfgs_scipy, None, _O, "none",
        "built from inner products of gradients and steps")
    add("lbfgs-torch", "L-BFGS (torch)", pre.lbfgs_torch, 1.0, _B, "coordinate",
        "the method keeps O(k), but this code scales its first step by an L1 norm")
    add("als", "alternating least squares", pre.alternating_least_squares, None, _O, "none", _GRAM)
    add("coordinate-descent", "coordinate descent", pre.alternating_least_squares, None,
        "sign flips", "unit", "goes through the hidden units in their order", sequential=True)

    add = family("penalty or constraint")
    add("l2", "L2 penalty", first.changed(l2=0.01), 0.2, _O, "none", _SCALAR)
    add("l1", "L1 penalty", first.changed(l1=0.01), 0.1, _B, "coordinate", _COORD)
    add("non-negative", "non-negative factors", first.projected, 0.2, _P, "coordinate",
        "of all rotations only permutations map the positive orthant to itself",
        project=torch.relu)
    add("box", "box constraint", first.projected, 0.2, _B, "coordinate",
        "of all rotations only signed permutations map a cube to itself",
        project=lambda X: X.clamp(-0.5, 0.5))
    add("ball", "words in the unit ball", first.projected, 0.2, _O, "word", _SCALAR,
        project=first.unit_ball)

    add = family("noise")
    add("weight-noise", "noise on every coordinate", first.noisy, 0.2, "none", "coordinate",
        "the draws belong to the axes (in law, Gaussian noise keeps O(k))")
    add("dropout-unit", "dropout on hidden units", first.dropout, 0.1, "sign flips", "coordinate",
        "the draws belong to units (in law, signed permutations are kept)", over="coordinate")
    add("dropout-word", "dropout on samples", first.dropout, 0.1, _O, "word",
        "one draw for a whole hidden vector", over="word")

    add = family("hidden layer")
    add("relu", "ReLU", first.changed(hidden="relu"), 0.1, _P, "coordinate", _COORD)
    add("tanh", "tanh", first.changed(hidden="tanh"), 0.1, _B, "coordinate", _COORD)
    add("radial-tanh", "tanh of the length", first.changed(hidden="radial tanh"), 0.1, _O, "word",
        "non-linear in the length of the hidden vector alone")
    add("batch-norm", "batch norm", first.changed(hidden="batch norm"), 0.1, _B, "unit", _UNIT)
    add("layer-norm", "layer norm", first.changed(hidden="layer norm"), 0.01, _P, "word",
        "subtracts the mean over units, a fixed direction of the hidden space")
    add("rms-norm", "RMS norm", first.changed(hidden="rms norm"), 0.01, _O, "word", _SCALAR)
    # fmt: on
    return {row.name: row for row in rows}


RULES: dict[str, Rule] = _register()
