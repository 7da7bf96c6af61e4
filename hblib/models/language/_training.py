"""Training small language models side by side, by rules that see axes and by rules that do not.

Every rule acts on each weight matrix of each model by itself. What decides whether a rule keeps the
rotations of the residual stream is the index in which it treats entries one by one: gradient
descent, momentum, Muon and Shampoo have none on that side, Adam has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import Randomness, choice, generator, number, whole
from hblib.models.language._model import LanguageModel, as_tokens, logits
from hblib.rotation import Muon

RULES = ("sgd", "momentum", "adam", "muon", "muon_rows", "muon_adam", "shampoo")
_RATES = {
    "sgd": 0.3, "momentum": 0.05, "adam": 3e-3, "muon": 0.02, "muon_rows": 0.02, "muon_adam": 0.02,
    "shampoo": 0.02,
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class LanguageTraining:
    """What `train_language` gives.

    Attributes
    ----------
    model : LanguageModel
        The trained models side by side.
    losses : ndarray of float64, shape (n_steps, n_models)
        Mean loss of each step's batch before the step, in nats.
    """

    model: LanguageModel
    losses: np.ndarray


def train_language(
    model: LanguageModel,
    tokens: ArrayLike | torch.Tensor,
    rule: str = "adam",
    n_steps: int = 200,
    learning_rate: float | None = None,
    batch_size: int = 8,
    n_positions: int = 64,
    learn_gains: bool = False,
    adam_rate: float = 3e-3,
    rng: Randomness = 0,
    watch: Callable[[int, LanguageModel], object] | None = None,
) -> LanguageTraining:
    """Train models side by side to say the next token; none of them changes the given ones.

    All models see the same batches, which `rng` decides. A rotated start is a start like any other:
    give ``rotate(model, Q)``.

    Parameters
    ----------
    model : LanguageModel
        The starts, single or side by side, such as ``random_model(sizes, seeds=range(8))``.
    tokens : array_like of int, shape (n,)
        One long text.
    rule : str
        "sgd"; "momentum" (0.9); "adam"; "muon" on every matrix, embedding and head included;
        "muon_rows", which scales each row of the embedding's gradient to length one instead;
        "muon_adam", Adam for embedding and head (the usual recipe); "shampoo", both sides of every
        matrix, the model side alone for embedding and head.
    n_steps : int
    learning_rate : float, optional
        By default 0.3, 0.05, 0.003 and, for the other rules, 0.02.
    batch_size : int
        Windows of each step.
    n_positions : int
        Length of a window.
    learn_gains : bool
        Whether the gains of the norms are trained: by the rule itself if it is "sgd", "momentum"
        or "adam", by Adam otherwise.
    adam_rate : float
        Adam's rate where it is not the rule.
    rng : int, numpy.random.Generator or None
        Order of the windows.
    watch : callable, optional
        Called as ``watch(step, model)`` before each step; what it returns is ignored.

    Returns
    -------
    LanguageTraining

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed or the text is shorter than a window.

    Examples
    --------
    >>> from hblib.models import language
    >>> sizes = language.Sizes(1, 16, 2, 2, 8, 32, n_tokens=5)
    >>> start = language.random_model(sizes, seeds=range(3))
    >>> run = train_language(start, [0, 1, 2, 3, 4] * 40, n_steps=40, n_positions=10)
    >>> run.losses.shape, bool((run.losses[-1] < run.losses[0] - 0.5).all())
    ((40, 3), True)
    """
    choice("rule", rule, RULES)
    tokens = as_tokens(tokens, model.sizes)
    whole("n_positions", n_positions, 2)
    if tokens.ndim != 1 or len(tokens) <= n_positions:
        raise ValueError(
            f"tokens must be one text of more than n_positions = {n_positions} tokens, "
            f"got the shape {tuple(tokens.shape)}"
        )
    rate = _RATES[rule] if learning_rate is None else learning_rate
    number("learning_rate", rate, above=0)
    number("adam_rate", adam_rate, above=0)
    n_steps, batch_size = whole("n_steps", n_steps), whole("batch_size", batch_size)
    rng = generator(rng)
    weights = {name: W.detach().clone() for name, W in model.weights.items()}
    learnt = {name: W for name, W in weights.items() if learn_gains or "gain" not in name}
    for W in learnt.values():
        W.requires_grad_()
    model = model.with_weights(weights)
    optimisers = _optimisers(learnt, rule, rate, adam_rate)
    losses = []
    for step in range(n_steps):
        starts = torch.from_numpy(rng.integers(0, len(tokens) - n_positions, batch_size))
        batch = tokens[starts[:, None] + torch.arange(n_positions + 1)]
        if watch is not None:
            watch(step, model)
        said = logits(model, batch[:, :-1]).log_softmax(-1)
        wanted = batch[:, 1:, None].expand(*said.shape[:-1], 1)
        loss = -said.gather(-1, wanted).mean((-3, -2, -1))
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.sum().backward()  # the models share nothing, so each gets its own gradient
        for optimiser in optimisers:
            optimiser.step()
        losses.append(loss.detach().double().reshape(-1).numpy().copy())
    weights = {name: W.detach() for name, W in weights.items()}
    return LanguageTraining(model.with_weights(weights), np.stack(losses))


def _optimisers(learnt, rule, rate, adam_rate):
    """One or two optimisers that between them have all weights."""

    def adam(some, rate):
        return torch.optim.Adam(some, lr=rate, betas=(0.9, 0.95), eps=1e-12)

    if rule == "sgd":
        return [torch.optim.SGD(learnt.values(), lr=rate)]
    if rule == "momentum":
        return [torch.optim.SGD(learnt.values(), lr=rate, momentum=0.9)]
    if rule == "adam":
        return [adam(learnt.values(), rate)]
    ends = [W for name, W in learnt.items() if name in ("embedding", "head")]
    gains = [W for name, W in learnt.items() if "gain" in name]
    inner = [W for name, W in learnt.items() if name[0].isdigit() and "gain" not in name]
    if rule == "shampoo":
        found = [_Shampoo(inner, rate), _Shampoo(ends, rate, one_sided=True)]
    elif rule == "muon":
        found = [Muon([*inner, *ends], lr=rate)]
    elif rule == "muon_rows":
        found = [Muon(inner, lr=rate), _Rows(ends, rate)]
    else:
        found = [Muon(inner, lr=rate), adam(ends, adam_rate)]
    return [*found, adam(gains, adam_rate)] if gains else found


class _Rows(torch.optim.Optimizer):
    """Momentum, each row of a matrix scaled to length one; entries of a row are not told apart."""

    def __init__(self, matrices, lr, momentum=0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for W in group["params"]:
                mean = self.state[W].setdefault("mean", torch.zeros_like(W))
                mean.lerp_(W.grad, 1 - group["momentum"])
                length = mean.norm(dim=-1, keepdim=True)
                W.sub_(group["lr"] * mean / (length + 1e-12))


class _Shampoo(torch.optim.Optimizer):
    """Shampoo with moving averages: ``L^(-1/4) G R^(-1/4)``, or ``G R^(-1/2)`` on one side."""

    def __init__(self, matrices, lr, one_sided=False, beta=0.95, damping=1e-3, every=5):
        named = {"one_sided": one_sided, "beta": beta, "damping": damping, "every": every}
        super().__init__(matrices, {"lr": lr, **named})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for W in group["params"]:
                G, state = W.grad, self.state[W]
                sides = {"R": G.mT @ G} if group["one_sided"] else {"L": G @ G.mT, "R": G.mT @ G}
                count = state["count"] = state.get("count", -1) + 1
                for side, S in sides.items():
                    state[side] = S.lerp(state[side], group["beta"]) if count else S
                    if count % group["every"] == 0:
                        root = _power(state[side], -0.5 / len(sides), group["damping"])
                        state[f"root {side}"] = root
                step = state["root L"] @ G if "L" in sides else G
                W.sub_(group["lr"] * (step @ state["root R"]))


def _power(S, exponent, damping):
    """Power of symmetric matrices, damped by a share of the largest eigenvalue."""
    values, vectors = torch.linalg.eigh(S)
    values = values.clamp(min=0) + damping * values.amax(-1, keepdim=True) + 1e-30
    return (vectors * values.pow(exponent).unsqueeze(-2)) @ vectors.mT
