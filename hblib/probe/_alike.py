"""Are two layers alike? Every measure with its own zero, and what it is blind to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from hblib._checks import Randomness, choice, generator, number, whole
from hblib.meaning import holm
from hblib.probe._answers import Answer, layer, percent, some, varying
from hblib.similarity import MEASURES, all_pairs, calibrate

CHOSEN = (
    "debiased_cka", "linear_cka", "procrustes", "rsa", "mutual_knn", "cca_mean", "neuron_matching",
)  # fmt: skip
LIMITS = (
    "Alike in one measure is alike up to what that measure is blind to. Layers that are alike more "
    "than shuffled samples need not be so for a reason that training made: compare with untrained "
    "networks as well. Rows must be independent samples, not neighbouring positions."
)


def alike(
    X: ArrayLike,
    Y: ArrayLike,
    rng: Randomness = 0,
    *,
    measures: Sequence[str] = CHOSEN,
    n_permutations: int = 199,
    max_samples: int = 500,
    alpha: float = 0.05,
) -> Answer:
    """Ask whether two layers are alike, by several measures, each beside its permutation null.

    Any measure is above zero for layers that have nothing to do with each other, the more so the
    wider they are. Shuffling the samples of one layer gives every measure its own zero, and an
    exact p-value (see `hblib.similarity.calibrate`); Holm's correction is over the measures.

    Parameters
    ----------
    X, Y : array_like of shape (n_samples, n_units_x) and (n_samples, n_units_y)
        The same samples in the rows of both. Units that never vary are left out.
    rng : int, sequence of int, numpy.random.Generator or None
    measures : sequence of str
        Names in `hblib.similarity.MEASURES`; the estimate is that of the first.
    n_permutations : int
        The smallest p-value before correction is 1 over one more.
    max_samples : int
        More samples than these are drawn at random. Most measures cost ``max_samples**2`` per
        permutation: seconds for 500.
    alpha : float

    Returns
    -------
    Answer
        ``estimate`` is the excess of the first measure: 0 for unrelated layers, 1 for equal ones;
        ``interval`` comes from 20 random halves of the samples. The table has a row per measure;
        a measure that these samples cannot support says why under ``note``.

    Raises
    ------
    ValueError
        If the layers have different samples, fewer than 20, or no measure is defined.

    Examples
    --------
    A layer and a rotation of it span the same space by other units:

    >>> from hblib import rotation
    >>> X = np.random.default_rng(0).exponential(size=(100, 6))
    >>> answer = alike(X, X @ rotation.haar(6, rng=1), n_permutations=99,
    ...                measures=["linear_cka", "neuron_matching"])
    >>> answer.to_frame()["excess"].round(1).to_dict()
    {'CKA, linear': 1.0, 'one-to-one neurons': 0.4}
    """
    X, Y, rng = layer("X", X), layer("Y", Y), generator(rng)
    measures = [measures] if isinstance(measures, str) else list(measures)
    if not measures:
        raise ValueError("measures must name at least one measure")
    for name in measures:
        choice("measures", name, tuple(MEASURES))
    n_permutations = whole("n_permutations", n_permutations, 19)
    alpha = number("alpha", alpha, 0, 1)
    if len(X) != len(Y):
        raise ValueError(
            f"X and Y must have the same samples in their rows, got {len(X)} and {len(Y)} rows"
        )
    rows = some(len(X), whole("max_samples", max_samples, 20), rng)
    X, Y = X[rows], Y[rows]
    X, Y = X[:, varying(X)], Y[:, varying(Y)]
    found = {}
    for name in measures:
        measure = MEASURES[name]
        blind = ", ".join(sorted(measure.invariances))
        try:
            one = calibrate(measure.function, X, Y, n_permutations, rng)
            row = (one.value, float(one.null.mean()), one.excess, one.p_value, blind, "")
            found[name] = row, one
        except ValueError as error:
            found[name] = (np.nan, np.nan, np.nan, np.nan, blind, str(error)), None
    defined = [name for name in measures if found[name][1] is not None]
    if not defined:
        raise ValueError(f"measures: none is defined for X and Y: {found[measures[0]][0][-1]}")
    table = pd.DataFrame(
        [row for row, _ in found.values()],
        columns=["value", "shuffled", "excess", "p", "blind to", "note"],
        index=pd.Index([MEASURES[name].label for name in measures], name="measure"),
    )
    table.insert(4, "p_holm", np.nan)
    usable = table["p"].notna()
    table.loc[usable, "p_holm"] = holm(table.loc[usable, "p"].to_numpy())
    first = defined[0]
    one, function = found[first][1], MEASURES[first].function
    zero = float(one.null.mean())
    halves = []
    for _ in range(20):
        half = rng.permutation(len(X))[: len(X) // 2]
        try:
            inner = calibrate(function, X[half], Y[half], 5, rng)
            halves.append(inner.excess)
        except ValueError:
            continue
    spread = (
        1.96 * float(np.sqrt(np.mean((np.array(halves) - one.excess) ** 2))) if halves else None
    )
    corrected = float(table["p_holm"].loc[MEASURES[first].label])
    holds = bool(corrected <= alpha)
    n_yes = int((table["p_holm"] <= alpha).sum())
    label = MEASURES[first].label
    sentence = (
        f"By {label} the layers are {'' if holds else 'not '}more alike than shuffled samples "
        f"(excess {one.excess:.2f}, {percent(corrected)}); so say {n_yes} of {len(defined)} "
        "measures after correction."
    )
    if len(defined) < len(measures):
        missing = len(measures) - len(defined)
        sentence += f" Not defined for so few samples: {missing} of {len(measures)}."
    return Answer(
        "Are the two layers alike?",
        one.excess,
        "similarity",
        None if spread is None else (one.excess - spread, one.excess + spread),
        (one.null - zero) / (1 - zero),
        corrected,
        holds,
        sentence,
        LIMITS,
        table,
        ("value", "shuffled"),
    )


def alike_pairs(
    layers: Mapping[str, ArrayLike],
    others: Mapping[str, ArrayLike],
    rng: Randomness = 0,
    *,
    measure: str = "debiased_cka",
    n_permutations: int = 99,
    max_samples: int = 500,
) -> pd.DataFrame:
    """Compare every layer of one network with every layer of another.

    Parameters
    ----------
    layers, others : mapping of str to array_like of shape (n_samples, n_units)
        As `activations` returns them, for the same samples.
    rng : int, sequence of int, numpy.random.Generator or None
    measure : str
        A name in `hblib.similarity.MEASURES`.
    n_permutations : int
    max_samples : int
        More samples than these are drawn at random.

    Returns
    -------
    pandas.DataFrame
        One row per pair: ``layer``, ``other``, ``value``, ``shuffled`` (the mean for shuffled
        samples), ``excess``, ``p`` and ``p_max``, the p-value that is corrected for the number of
        pairs by the largest excess of all pairs under one shuffle. Its ``pivot`` to layers and
        others is the matrix.

    Raises
    ------
    ValueError
        If layers have different samples or are constant, or the measure is not defined for a pair.

    Examples
    --------
    >>> X, Y = np.random.default_rng(0).normal(size=(2, 60, 4))
    >>> pairs = alike_pairs({"a": X, "b": Y}, {"a": X}, n_permutations=99)
    >>> pairs[["layer", "other", "p_max"]].values.tolist()[0]
    ['a', 'a', 0.01]
    """
    choice("measure", measure, tuple(MEASURES))
    rng, n_permutations = generator(rng), whole("n_permutations", n_permutations, 19)
    sides = []
    for what, tables in (("layers", layers), ("others", others)):
        if not isinstance(tables, Mapping) or not tables:
            raise ValueError(f"{what} must map names to layers, at least one, got {type(tables)}")
        sides.append({name: layer(f"{what}: {name}", H) for name, H in tables.items()})
    lengths = {len(H) for side in sides for H in side.values()}
    if len(lengths) > 1:
        raise ValueError(
            f"layers and others must have the same samples, got {sorted(lengths)} rows"
        )
    rows = some(lengths.pop(), whole("max_samples", max_samples, 20), rng)
    A, B = ([H[rows][:, varying(H[rows])] for H in side.values()] for side in sides)
    value = all_pairs(measure, A, B)
    null = np.empty((n_permutations, *value.shape))
    for i in range(n_permutations):
        order = rng.permutation(len(rows))
        null[i] = all_pairs(measure, A, [H[order] for H in B])
    zero = null.mean(axis=0)
    if (zero >= 1).any():
        raise ValueError(f"measure {measure!r} is 1 for shuffled samples too: take more samples")
    excess, of_null = (value - zero) / (1 - zero), (null - zero) / (1 - zero)
    largest = of_null.max(axis=(1, 2))
    p = (1 + (null >= value).sum(axis=0)) / (1 + n_permutations)
    p_max = (1 + (largest[:, None, None] >= excess).sum(axis=0)) / (1 + n_permutations)
    names = [(a, b) for a in sides[0] for b in sides[1]]
    return pd.DataFrame(
        {
            "layer": [a for a, _ in names],
            "other": [b for _, b in names],
            "value": value.ravel(),
            "shuffled": zero.ravel(),
            "excess": excess.ravel(),
            "p": p.ravel(),
            "p_max": p_max.ravel(),
        }
    )
