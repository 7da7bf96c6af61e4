"""The update rules under study, each with the symmetry of the hidden space expected of it.

A rule is equivariant under O(k) if it is built from linear combinations of gradients, their inner
products and Gram matrices, and scalars per word (columns keep their length under rotation). It is
not if it treats single coordinates or single hidden units by themselves, whatever else it does:
adaptive step sizes do not break the symmetry, a step size for each hidden coordinate does.

Rules are torch.optim's where those treat a stack of seeds correctly, which all coordinate-wise and
all linear ones do; the others come from `_update_rules` and `_preconditioners`. `symmetry_table`
measures what `RULES` expects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import optim

from hblib._checks import choice, number
from hblib.rotation import _preconditioners as preconditioners
from hblib.rotation import _update_rules as update_rules
from hblib.rotation._factorisation import Parameters, Problem
from hblib.rotation._training import Step, gradient_descent
from hblib.rotation._update_rules import changed, torch_optim

# From large to small; permutations and sign flips do not contain each other.
GROUPS = ("O(k)", "signed permutations", "permutations", "sign flips", "none")


@dataclass(frozen=True)
class UpdateRule:
    """An update rule with what is expected of it.

    Calling it builds its ``step(t)`` for a problem and its parameters; options given there override
    the stored ones.

    Attributes
    ----------
    name, label, family : str
        Key in `RULES`, name in tables, kind of rule.
    build : callable
        ``build(problem, theta, **options)`` makes the step.
    lr : float or None
        Learning rate, small enough that 2,000 steps on `reference_problem` train without ending in
        the jitter of a constant step (where rules that normalise the gradient turn chaotic); None
        if the rule has no learning rate.
    symmetry : str
        The largest of `GROUPS` that training commutes with, draw by draw if the rule is random.
    index : str
        The index whose entries the rule treats one by one.
    reason : str
        Why this is expected.
    options : mapping
        Passed to `build`.

    Examples
    --------
    >>> problem = Problem([[4.0]])
    >>> theta = problem.parameters([[1.0], [2.0]], [[3.0], [1.0]])
    >>> RULES["sign"](problem, theta, lr=0.5)(0)
    >>> theta.A.ravel().tolist()
    [0.5, 1.5]
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
            number("lr", options["lr"], above=0)
        elif "lr" in options:
            raise ValueError(f"lr = {options['lr']} was given, but {self.label} has none")
        return self.build(problem, theta, **options)


def update_rule(name: str) -> UpdateRule:
    """Look up an update rule, with an error that lists the names if there is none.

    Parameters
    ----------
    name : str
        A key of `RULES`.

    Returns
    -------
    UpdateRule

    Raises
    ------
    ValueError
        If there is no rule of that name.

    Examples
    --------
    >>> update_rule("adam").symmetry, update_rule("adam-word").symmetry
    ('signed permutations', 'O(k)')
    """
    return RULES[choice("name of a rule", name, RULES)]


# --- what is expected, and why --------------------------------------------------------------------


class _Expected(NamedTuple):
    """The group a rule keeps, the index it treats entry by entry, and why."""

    symmetry: str
    index: str
    reason: str


_LINEAR = _Expected("O(k)", "none", "linear in the gradients, so U comes out in front")
_LENGTHS = _Expected("O(k)", "none", "scalars made of lengths, which a rotation leaves alone")
_WORDS = _LENGTHS._replace(index="word")
_GRAM = _Expected(
    "O(k)", "none", "matrix functions of k x k Gram matrices, which turn with the hidden space"
)
_EIGEN = _GRAM._replace(reason="Adam in an eigenbasis that turns with the hidden space")
_COORDINATES = _Expected(
    "signed permutations", "coordinate", "a non-linear function of every single coordinate"
)
_UNITS = _Expected(
    "signed permutations", "unit", "scalars of single hidden units, which a rotation mixes"
)


def _rule(
    name: str,
    label: str,
    build: Callable[..., Step],
    lr: float | None,
    expected: _Expected,
    **options: Any,
) -> UpdateRule:
    return UpdateRule(name, label, "", build, lr, *expected, options)


# --- the rules by family --------------------------------------------------------------------------
# fmt: off

_GRADIENT = [
    _rule("gd", "gradient descent", gradient_descent, 0.2, _LINEAR),
    _rule("momentum", "heavy-ball momentum", torch_optim(optim.SGD), 0.05, _LINEAR, momentum=0.9),
    _rule("nesterov", "Nesterov momentum", torch_optim(optim.SGD), 0.05, _LINEAR,
          momentum=0.9, nesterov=True),
    _rule("asgd", "averaged SGD", torch_optim(optim.ASGD), 0.1, _LINEAR),
    _rule("lars", "LARS", update_rules.lars, 0.003, _LENGTHS),
    _rule("sam", "SAM", update_rules.sharpness_aware, 0.005, _LENGTHS),
    _rule("asam", "ASAM", update_rules.sharpness_aware, 0.005, _COORDINATES,
          adaptive=True, rho=0.2),
    _rule("sign", "sign-SGD", update_rules.sign_sgd, 0.0005, _COORDINATES),
    _rule("lion", "Lion", update_rules.lion, 0.0005, _COORDINATES),
    _rule("rprop", "Rprop", torch_optim(optim.Rprop), 0.001, _COORDINATES),
]

_CLIPPING = [
    _rule("clip-norm", "clipping by global norm", update_rules.clip, 0.2, _LENGTHS,
          over="all", at=0.01),
    _rule("clip-word", "clipping per word", update_rules.clip, 0.2, _WORDS, over="word", at=0.01),
    _rule("clip-unit", "clipping per hidden unit", update_rules.clip, 0.2, _UNITS,
          over="unit", at=0.01),
    _rule("clip-value", "clipping by value", update_rules.clip, 0.2, _COORDINATES,
          over="coordinate", at=0.01),
]

_ADAPTIVE = [
    _rule("adagrad", "Adagrad", torch_optim(optim.Adagrad), 0.02, _COORDINATES),
    _rule("adagrad-unit", "Adagrad per hidden unit", update_rules.adagrad, 0.02, _UNITS,
          over="unit"),
    _rule("adagrad-word", "Adagrad per word", update_rules.adagrad, 0.02, _WORDS, over="word"),
    _rule("adagrad-norm", "AdaGrad-Norm", update_rules.adagrad, 0.02, _LENGTHS, over="all"),
    _rule("glove", "GloVe's Adagrad, lr 0.05", update_rules.glove, 0.05, _COORDINATES),
    _rule("glove-fast", "GloVe's Adagrad, lr 1", update_rules.glove, 1.0, _COORDINATES),
    _rule("rmsprop", "RMSprop", torch_optim(optim.RMSprop), 0.0005, _COORDINATES, eps=1e-3),
    _rule("adadelta", "Adadelta", torch_optim(optim.Adadelta), 0.2, _COORDINATES),
    _rule("adam", "Adam", torch_optim(optim.Adam), 0.001, _COORDINATES),
    _rule("adamw", "AdamW", torch_optim(optim.AdamW), 0.001, _COORDINATES),
    _rule("amsgrad", "AMSGrad", torch_optim(optim.Adam), 0.001, _COORDINATES, amsgrad=True),
    _rule("nadam", "NAdam", torch_optim(optim.NAdam), 0.0005, _COORDINATES, eps=1e-3),
    _rule("radam", "RAdam", torch_optim(optim.RAdam), 0.001, _COORDINATES),
    _rule("adamax", "Adamax", torch_optim(optim.Adamax), 0.001, _COORDINATES),
    _rule("adam-unit", "Adam per hidden unit", update_rules.adam, 0.001, _UNITS, over="unit"),
    _rule("adam-word", "Adam per word", update_rules.adam, 0.001, _WORDS, over="word"),
    _rule("adafactor", "Adafactor", update_rules.adafactor, 0.001,
          _UNITS._replace(index="unit and word")),
]

_MATRIX = [
    _rule("adagrad-full", "Adagrad, full matrix on the hidden index",
          preconditioners.full_matrix_adagrad, 0.1, _GRAM),
    _rule("shampoo-hidden", "Shampoo, hidden side", preconditioners.shampoo, 0.05, _GRAM),
    _rule("shampoo", "Shampoo, both sides", preconditioners.shampoo, 0.05, _GRAM, word_side=True),
    _rule("soap-hidden", "SOAP, hidden side", preconditioners.soap, 0.0005, _EIGEN),
    _rule("soap", "SOAP, both sides", preconditioners.soap, 0.001,
          _EIGEN._replace(reason="as on the hidden side, but rounding picks the basis of the "
                                 "words' null space"),
          sides="both"),
    _rule("soap-tie", "SOAP, both sides, ties settled", preconditioners.soap, 0.001, _EIGEN,
          sides="both", tie=0.01),
    _rule("soap-word", "SOAP, word side, ties settled", preconditioners.soap, 0.001,
          _COORDINATES._replace(reason="Adam on the hidden units' own axes"),
          sides="word", tie=0.01),
    _rule("muon", "Muon, Newton-Schulz", preconditioners.muon, 0.0012,
          _GRAM._replace(reason="an odd matrix polynomial of the gradient (the published code "
                                "rounds it to bfloat16)")),
    _rule("muon-polar", "Muon, exact polar factor", preconditioners.muon, 0.0008,
          _GRAM._replace(reason="the polar factor of UG is U times that of G"),
          orthogonalise=preconditioners.polar),
]

_SECOND_ORDER = [
    _rule("gauss-newton", "Gauss-Newton (K-FAC) blocks", preconditioners.gauss_newton, 0.05, _GRAM),
    _rule("gauss-newton-diagonal", "Gauss-Newton, diagonal", preconditioners.gauss_newton, 0.05,
          _UNITS, diagonal=True),
    _rule("lbfgs", "L-BFGS (SciPy)", preconditioners.lbfgs_scipy, None,
          _GRAM._replace(reason="built from inner products of gradients and steps")),
    _rule("lbfgs-torch", "L-BFGS (torch)", preconditioners.lbfgs_torch, 1.0,
          _COORDINATES._replace(reason="the method keeps O(k), but this code scales its first step "
                                       "by an L1 norm")),
    _rule("als", "alternating least squares", preconditioners.alternating_least_squares, None,
          _GRAM),
    _rule("coordinate-descent", "coordinate descent", preconditioners.alternating_least_squares,
          None, _Expected("sign flips", "unit", "goes through the hidden units in their order"),
          sequential=True),
]

_CONSTRAINED = [
    _rule("l2", "L2 penalty", changed(l2=0.01), 0.2, _LENGTHS),
    _rule("l1", "L1 penalty", changed(l1=0.01), 0.1, _COORDINATES),
    _rule("non-negative", "non-negative factors", update_rules.projected, 0.2,
          _Expected("permutations", "coordinate",
                    "of all rotations only permutations map the positive orthant to itself"),
          project=torch.relu),
    _rule("box", "box constraint", update_rules.projected, 0.2,
          _COORDINATES._replace(reason="of all rotations only signed permutations map a cube to "
                                       "itself"),
          project=lambda X: X.clamp(-0.5, 0.5)),
    _rule("ball", "words in the unit ball", update_rules.projected, 0.2, _WORDS,
          project=update_rules.unit_ball),
]

_NOISE = [
    _rule("weight-noise", "noise on every coordinate", update_rules.noisy, 0.2,
          _Expected("none", "coordinate",
                    "the draws belong to the axes (in law, Gaussian noise keeps O(k))")),
    _rule("dropout-unit", "dropout on hidden units", update_rules.dropout, 0.1,
          _Expected("sign flips", "coordinate",
                    "the draws belong to units (in law, signed permutations are kept)"),
          over="coordinate"),
    _rule("dropout-word", "dropout on samples", update_rules.dropout, 0.1,
          _WORDS._replace(reason="one draw for a whole hidden vector"), over="word"),
]

_HIDDEN_LAYER = [
    _rule("relu", "ReLU", changed(hidden="relu"), 0.1,
          _COORDINATES._replace(symmetry="permutations")),
    _rule("tanh", "tanh", changed(hidden="tanh"), 0.1, _COORDINATES),
    _rule("radial-tanh", "tanh of the length", changed(hidden="radial tanh"), 0.1,
          _WORDS._replace(reason="non-linear in the length of the hidden vector alone")),
    _rule("batch-norm", "batch norm", changed(hidden="batch norm"), 0.1, _UNITS),
    _rule("layer-norm", "layer norm", changed(hidden="layer norm"), 0.01,
          _Expected("permutations", "word",
                    "subtracts the mean over units, a fixed direction of the hidden space")),
    _rule("rms-norm", "RMS norm", changed(hidden="rms norm"), 0.01, _WORDS),
]
# fmt: on


def _by_family(**families: list[UpdateRule]) -> Iterator[UpdateRule]:
    for family, rules in families.items():
        for rule in rules:
            yield replace(rule, family=family.replace("_", " "))


RULES: dict[str, UpdateRule] = {
    rule.name: rule
    for rule in _by_family(
        gradient=_GRADIENT,
        clipping=_CLIPPING,
        adaptive=_ADAPTIVE,
        matrix=_MATRIX,
        second_order=_SECOND_ORDER,
        penalty_or_constraint=_CONSTRAINED,
        noise=_NOISE,
        hidden_layer=_HIDDEN_LAYER,
    )
}
