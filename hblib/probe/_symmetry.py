"""Which symmetry a layer has, and whether training keeps it: generators are tried, not assumed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike

from hblib._checks import Randomness, as_array, choice, generator, whole
from hblib.grid._hooks import evaluating, model_input
from hblib.models import language
from hblib.probe._activations import _near
from hblib.probe._answers import Answer
from hblib.rotation import classify_defects, haar, permutation, positive_scaling, sign_flip


def _invertible(k: int, rng: np.random.Generator) -> np.ndarray:
    """A matrix that is neither orthogonal nor diagonal, and well conditioned."""
    return haar(k, rng) @ positive_scaling(k, rng) @ haar(k, rng)


# From the smallest group to the largest that can be undone by the next layer.
GENERATORS: dict[str, Callable[[int, np.random.Generator], np.ndarray]] = {
    "permutation": permutation,
    "sign": sign_flip,
    "positive scaling": positive_scaling,
    "orthogonal": haar,
    "invertible": _invertible,
}
LIMITS = (
    "Only the generators named here were tried, on these inputs. A symmetry of the function says "
    "nothing about training, which may keep less of it (see training_symmetry)."
)


def transformed(
    model: torch.nn.Module,
    first: str,
    second: str | Sequence[str],
    G: ArrayLike,
    along: Sequence[str] = (),
) -> torch.nn.Module:
    """Return a copy of a model whose hidden units between two modules are mixed by a matrix.

    What `first` gives is multiplied by G, and what `second` reads by its inverse, in the weights:
    ``W1 -> G W1``, ``b1 -> G b1``, ``W2 -> W2 G^(-1)``. It is the same function where whatever lies
    between the two commutes with G.

    Parameters
    ----------
    model : torch.nn.Module
    first : str
        Name of the module that writes the hidden units: a Linear or a convolution.
    second : str or sequence of str
        Names of all modules that read them. A Linear may read a flattened convolution.
    G : array_like of shape (n_units, n_units)
        Invertible.
    along : sequence of str
        Modules between the two with values per unit, such as batch normalisation. These values
        move along if G is a permutation, and stay for any other G.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If there are no such modules, they do not fit together, or G has no inverse.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> X = torch.ones(5, 3)
    >>> turned = transformed(model, "0", "2", np.eye(4)[[2, 0, 3, 1]])
    >>> torch.allclose(turned(X), model(X), atol=1e-6)
    True
    """
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    model = copy.deepcopy(model)
    writer = _module(model, "first", first)
    readers = [second] if isinstance(second, str) else list(second)
    if not readers:
        raise ValueError("second must name at least one module")
    G = as_array("G", G, ndim=2).astype(np.float64)
    n_units = len(writer.weight)
    if G.shape != (n_units, n_units):
        raise ValueError(f"G must have the shape {(n_units, n_units)}, got {G.shape}")
    if np.linalg.cond(G) > 1e8:
        raise ValueError("G must have an inverse")
    order = None
    if np.isin(G, (0, 1)).all() and (G.sum(axis=0) == 1).all() and (G.sum(axis=1) == 1).all():
        order = torch.tensor(G.argmax(axis=1))
    with torch.no_grad():
        weight = writer.weight
        act = torch.tensor(G).to(weight)
        weight.copy_(torch.tensordot(act, weight, dims=1))
        if writer.bias is not None:
            writer.bias.copy_(act @ writer.bias)
        for name in readers:
            weight = _module(model, "second", name).weight
            per_unit, left = divmod(weight.shape[1], n_units)
            if left:
                raise ValueError(
                    f"second: {name!r} reads {weight.shape[1]} features, which are no multiple of "
                    f"the {n_units} that {first!r} gives"
                )
            undo = torch.tensor(np.linalg.inv(G)).to(weight)
            parts = weight.reshape(len(weight), n_units, per_unit, -1)
            weight.copy_(torch.einsum("oupr,uv->ovpr", parts, undo).reshape(weight.shape))
        if order is not None:
            for name in along:
                module = _module(model, "along", name, weights=False)
                for values in [*module.parameters(), *module.buffers()]:
                    if values.shape[:1] == (n_units,):
                        values.copy_(values[order.to(values.device)].clone())
    return model


def layer_symmetry(
    model: torch.nn.Module,
    first: str,
    second: str | Sequence[str],
    inputs: ArrayLike | torch.Tensor,
    rng: Randomness = 0,
    *,
    along: Sequence[str] = (),
    n_draws: int = 3,
) -> Answer:
    """Ask which changes of the hidden units leave a network's function as it is.

    Permutations, signs, positive scalings, rotations and general invertible matrices are drawn, put
    into the weights on both sides (see `transformed`), and the outputs compared in float64. A
    symmetry leaves a change of the size of rounding, anything else one of the size of the outputs.

    Parameters
    ----------
    model : torch.nn.Module
    first, second, along
        As in `transformed`.
    inputs : array_like or torch.Tensor
        Samples on the first axis; some dozens are enough.
    rng : int, sequence of int, numpy.random.Generator or None
    n_draws : int
        Draws of each kind; the largest change counts.

    Returns
    -------
    Answer
        ``estimate`` is the number of kinds, of five, that leave the function as it is. The table
        has the relative change of the outputs for each.

    Raises
    ------
    ValueError
        As `transformed`, and if the outputs do not vary or are not finite.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> layer_symmetry(model, "0", "2", X).to_frame()["keeps"].to_dict()
    {'permutation': True, 'sign': False, 'positive scaling': True, 'orthogonal': False, \
'invertible': False}
    """
    rng, n_draws = generator(rng), whole("n_draws", n_draws)
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    model = copy.deepcopy(model).double()
    n_units = len(_module(model, "first", first).weight)
    X = model_input(model, inputs, "inputs")
    before = _outputs(model, X)
    size = float(before.square().mean().sqrt())
    if not np.isfinite(size) or size == 0:
        raise ValueError("inputs give outputs that are all zero or not finite")
    rows = {}
    for name, draw in GENERATORS.items():
        change = 0.0
        for _ in range(n_draws):
            after = _outputs(transformed(model, first, second, draw(n_units, rng), along), X)
            change = max(change, float((after - before).square().mean().sqrt()) / size)
        rows[name] = change
    return _symmetries(rows, f"The units between {first!r} and {second!r}")


def residual_symmetry(
    model: language.LanguageModel, tokens: ArrayLike, rng: Randomness = 0
) -> Answer:
    """Ask which changes of coordinates leave a model of the type Llama as it is, place by place.

    Parameters
    ----------
    model : hblib.models.language.LanguageModel
        As `hblib.models.language.load` returns it.
    tokens : array_like of int, shape (n,)
        A short text.
    rng : int, sequence of int, numpy.random.Generator or None

    Returns
    -------
    Answer
        One row per place and kind of change, with the relative change of the logits. The model that
        is equal to yours and turned is ``language.rotate(language.fold(model), Q)``.

    Raises
    ------
    ValueError
        If the model is none of that type, or the tokens are not its.

    Examples
    --------
    >>> model = language.random_model(language.Sizes(1, 16, 2, 1, 8, 32, 50), rng=0)
    >>> table = residual_symmetry(model, [5, 7, 9, 3]).to_frame()
    >>> bool(table["keeps"]["residual stream, rotated, gains folded"])
    True
    >>> bool(table["keeps"]["MLP neurons, rotated"])
    False
    """
    if not isinstance(model, language.LanguageModel):
        raise ValueError(f"model must be a LanguageModel, got {type(model).__name__}")
    rng, sizes = generator(rng), model.sizes
    model = model.to(torch.float64)
    before = language.logits(model, tokens)
    size = float(before.square().mean().sqrt())
    Q, head = haar(sizes.width, rng), haar(sizes.head_width, rng)
    shuffle = permutation(sizes.width, rng)
    neurons = sizes.n_neurons
    changed = {
        "residual stream, permuted, gains folded": language.rotate(language.fold(model), shuffle),
        "residual stream, rotated, gains folded": language.rotate(language.fold(model), Q),
        "residual stream, rotated, gains as they are": language.rotate(
            language.untie(model), Q, unfolded=True
        ),
        "values within heads, rotated": language.turn_values(model, head),
        "values within heads, any invertible map": language.turn_values(
            model, _invertible(sizes.head_width, rng)
        ),
        "queries and keys, rotated pair by pair": language.turn_queries(
            model, language.rotary_matrix(sizes.head_width, rng)
        ),
        "queries and keys, rotated": language.turn_queries(model, head),
        "MLP neurons, permuted": language.turn_neurons(model, permutation(neurons, rng)),
        "MLP neurons, rotated": language.turn_neurons(model, haar(neurons, rng)),
    }
    rows = {}
    for name in list(changed):
        after = language.logits(changed.pop(name), tokens)
        rows[name] = float((after - before).square().mean().sqrt()) / size
    return _symmetries(rows, "The model")


def training_symmetry(
    model: torch.nn.Module,
    first: str,
    second: str | Sequence[str],
    optimiser: Callable[..., torch.optim.Optimizer],
    inputs: ArrayLike | torch.Tensor,
    targets: ArrayLike | torch.Tensor,
    rng: Randomness = 0,
    *,
    kind: str = "orthogonal",
    loss: Callable[..., torch.Tensor] = torch.nn.functional.cross_entropy,
    n_steps: int = 50,
    n_draws: int = 3,
) -> Answer:
    """Ask whether training keeps a symmetry of the network, for any optimiser of torch.

    The network and a copy whose hidden units are transformed (see `transformed`) are trained
    side by side on the same data. If the optimiser commutes with the transformation, the copy stays
    the transformed network at every step. The defect is the largest distance from that, relative to
    the change that training made. A defect that falls with the machine's precision, from float32 to
    float64, is rounding (see `hblib.rotation.classify_defects`).

    Parameters
    ----------
    model : torch.nn.Module
        Trained as it is given, without dropout: in evaluation mode.
    first, second
        As in `transformed`.
    optimiser : callable
        ``optimiser(parameters)`` is a `torch.optim.Optimizer`: ``torch.optim.Adam``, or
        ``lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)``.
    inputs, targets : array_like or torch.Tensor
        All of them in every step.
    rng : int, sequence of int, numpy.random.Generator or None
    kind : {"permutation", "sign", "positive scaling", "orthogonal", "invertible"}
        Which transformation. It should be a symmetry of the function, see `layer_symmetry`; if it
        is none, the answer says so.
    loss : callable
        ``loss(outputs, targets)``.
    n_steps, n_draws : int

    Returns
    -------
    Answer
        ``estimate`` is the largest defect in float64; ``holds`` is None where it cannot be told.

    Raises
    ------
    ValueError
        As `transformed`, and if training does not stay finite or does not move.

    Examples
    --------
    >>> _ = torch.manual_seed(0)
    >>> model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Linear(4, 3))
    >>> X, y = np.random.default_rng(0).normal(size=(30, 5)), np.arange(30) % 3
    >>> for rule in (torch.optim.SGD, torch.optim.Adam):
    ...     print(rule.__name__, training_symmetry(model, "0", "1", rule, X, y).holds)
    SGD True
    Adam False
    """
    rng, n_steps = generator(rng), whole("n_steps", n_steps)
    n_draws, kind = whole("n_draws", n_draws), choice("kind", kind, tuple(GENERATORS))
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    n_units = len(_module(model, "first", first).weight)
    draws = [GENERATORS[kind](n_units, rng) for _ in range(n_draws)]
    defects, change = {}, 0.0
    for dtype in (torch.float64, torch.float32):
        start = copy.deepcopy(model).to(dtype)
        X = model_input(start, inputs, "inputs")
        y = _targets(targets).to(X.device)
        y = y.to(X.dtype) if y.is_floating_point() else y
        if len(y) != len(X):
            raise ValueError(f"targets must be one per sample, got {len(y)} for {len(X)} samples")
        if dtype == torch.float64:
            before = _outputs(start, X)
            size = float(before.square().mean().sqrt())
            other = _outputs(transformed(start, first, second, draws[0]), X)
            change = float((other - before).square().mean().sqrt()) / max(size, 1e-300)
        defects[dtype] = [
            _defect(start, first, second, G, optimiser, X, y, loss, n_steps) for G in draws
        ]
    d64, d32 = defects[torch.float64], defects[torch.float32]
    verdict = classify_defects(d64, d32)
    table = pd.DataFrame(
        {"float64": d64, "float32": d32},
        index=pd.Index([f"draw {i + 1}" for i in range(n_draws)], name="draw"),
    )
    estimate = float(max(d64))
    holds = {"keeps": True, "breaks": False}.get(verdict)
    if change > 1e-6:
        holds = False
        sentence = (
            f"There is nothing to keep: a transformation of the kind {kind!r} changes the function "
            f"itself, its outputs by {change:.2g} of their size."
        )
    else:
        said = {True: "keeps", False: "breaks", None: "may keep or break"}[holds]
        sentence = (
            f"Training {said} the symmetry of the kind {kind!r}: the largest defect in {n_steps} "
            f"steps is {estimate:.1e} in float64 and {max(d32):.1e} in float32."
        )
    return Answer(
        "Does training keep the symmetry?",
        estimate,
        "largest defect, relative to the way trained",
        None,
        None,
        None,
        holds,
        sentence,
        "The answer is about this optimiser with these settings, this start and these steps. "
        "Weight decay and clipping belong to the optimiser.",
        table,
        ("float64", "float32"),
    )


def _defect(start, first, second, G, optimiser, X, y, loss, n_steps) -> float:
    plain, turned = copy.deepcopy(start), transformed(start, first, second, G)
    plain.eval(), turned.eval()
    makers = [optimiser(list(m.parameters())) for m in (plain, turned)]
    if not all(isinstance(maker, torch.optim.Optimizer) for maker in makers):
        raise ValueError("optimiser must give a torch.optim.Optimizer for a list of parameters")
    worst = way = 0.0
    origin = [p.detach().clone() for p in turned.parameters()]
    for _ in range(n_steps):
        for model, maker in ((plain, makers[0]), (turned, makers[1])):
            maker.zero_grad()
            outputs = _forward(model, X)
            try:
                loss(outputs, y).backward()
            except (RuntimeError, IndexError, ValueError, TypeError) as error:
                raise ValueError(
                    f"targets do not fit the loss and the outputs: {' '.join(str(error).split())}"
                ) from error
            maker.step()
        wanted = transformed(plain, first, second, G)
        pairs = list(zip(turned.parameters(), wanted.parameters(), origin))
        gap = sum(float((a - b).detach().square().sum()) for a, b, _ in pairs)
        way = max(way, sum(float((b - o).detach().square().sum()) for _, b, o in pairs))
        worst = max(worst, gap) if np.isfinite(gap) else np.nan
        if not np.isfinite(worst):
            raise ValueError("optimiser: training did not stay finite, take a smaller step")
    if way == 0:
        raise ValueError("optimiser: training did not move the parameters")
    return float(np.sqrt(worst / way))


def _symmetries(rows: dict[str, float], what: str) -> Answer:
    keeps = [change < 1e-9 for change in rows.values()]
    table = pd.DataFrame(
        {"change": list(rows.values()), "keeps": keeps, "limit": 1e-9},
        index=pd.Index(list(rows), name="transformation"),
    )
    kept = [name for name, ok in zip(rows, keeps) if ok]
    broken = [name for name, ok in zip(rows, keeps) if not ok]
    sentence = f"{what}: the function stays as it is under {'; '.join(kept) or 'none of these'}."
    if broken:
        sentence += f" It changes under {'; '.join(broken)}."
    return Answer(
        "Which symmetry is there?",
        float(sum(keeps)),
        "relative change of the outputs",
        None,
        None,
        None,
        bool(kept),
        sentence,
        LIMITS,
        table,
        ("change", "limit"),
    )


def _outputs(model, X) -> torch.Tensor:
    with evaluating(model):
        out = _forward(model, X)
    if not isinstance(out, torch.Tensor):
        raise ValueError(f"model must give one tensor, got {type(out).__name__}")
    return out.detach().double()


def _forward(model, X) -> Any:
    try:
        return model(X)
    except (RuntimeError, IndexError, ValueError, TypeError) as error:
        raise ValueError(
            f"model fails on inputs of shape {tuple(X.shape)}: {' '.join(str(error).split())[:300]}"
        ) from error


def _targets(targets) -> torch.Tensor:
    if torch.is_tensor(targets):
        return targets.detach()
    if np.asarray(targets).dtype.kind in "iu":
        return torch.tensor(np.asarray(targets, np.int64))
    return torch.tensor(as_array("targets", targets))


def _module(model, parameter, name, weights=True) -> Any:
    modules = dict(model.named_modules(remove_duplicate=False))
    if name not in modules:
        raise ValueError(f"{parameter}: no module is called {name!r}; {_near(str(name), modules)}")
    module = modules[name]
    if weights and not isinstance(
        module, torch.nn.Linear | torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Conv3d
    ):
        raise ValueError(
            f"{parameter} must be a Linear or a convolution, {name!r} is a {type(module).__name__}"
        )
    if getattr(module, "groups", 1) != 1:
        raise ValueError(f"{parameter}: {name!r} is a convolution in groups, which are not mixed")
    return module
