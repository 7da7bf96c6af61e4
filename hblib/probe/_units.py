"""Whether units mean more than random directions, judged by labels that the reader gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from hblib._checks import Randomness, as_array, generator, number, whole
from hblib.meaning import attribute_table, luck_of, random_directions, surplus, unexplained
from hblib.probe._answers import Answer, layer, percent, some, varying
from hblib.rotation import haar

LIMITS = (
    "The answer is about these labels, and about the inputs that excite a direction most. It does "
    "not say that the network uses the units, nor that units without a name mean nothing."
)


def attributes_of(labels: Any, n_samples: int) -> tuple[list[str], NDArray[np.bool_]]:
    """Return labels as a table of attributes: which input has which.

    Parameters
    ----------
    labels : array_like of shape (n_samples,), or of bool, shape (n_samples, n_attributes)
        Classes, whole numbers or texts; or a table of truth values; or a pandas.DataFrame, whose
        columns of numbers give two attributes each, their lowest and highest third.
    n_samples : int

    Returns
    -------
    names : list of str
    has : ndarray of bool, shape (n_samples, n_attributes)
        Attributes that all inputs have, or fewer than two, are left out.

    Raises
    ------
    ValueError
        If there is not one label per sample, or all are the same.

    Examples
    --------
    >>> names, has = attributes_of(["cat", "dog", "cat", "dog"], 4)
    >>> names, has[0]
    (['cat', 'dog'], array([ True, False]))
    """
    n_samples = whole("n_samples", n_samples)
    if isinstance(labels, pd.DataFrame):
        names, has = attribute_table(labels)
    else:
        if hasattr(labels, "detach"):
            labels = as_array("labels", labels)
        values = np.asarray(labels)
        if values.ndim == 1 and len(values) == n_samples:
            if values.dtype.kind == "f":
                as_array("labels", values)
                if not np.array_equal(values, np.floor(values)):
                    raise ValueError(
                        "labels must be classes or truth values; give quantities as the columns of "
                        "a pandas.DataFrame"
                    )
                values = values.astype(int)
            kinds = np.unique(values.astype(str) if values.dtype.kind == "O" else values)
            if len(kinds) > max(50, n_samples // 2):
                raise ValueError(f"labels are of {len(kinds)} kinds for {n_samples} samples")
            names, has = [str(k) for k in kinds], np.asarray(values)[:, None] == kinds
            if values.dtype.kind == "O":
                has = values.astype(str)[:, None] == kinds
        elif values.ndim == 2:
            table = as_array("labels", values, ndim=2)
            if not np.isin(table, (0, 1)).all():
                raise ValueError("labels as a table must hold True and False (or 1 and 0)")
            names, has = [str(i) for i in range(table.shape[1])], table.astype(bool)
        else:
            raise ValueError(
                f"labels must be one per sample, got the shape {values.shape} for {n_samples} "
                "samples"
            )
    if len(has) != n_samples:
        raise ValueError(
            f"labels must be one per sample, got {len(has)} of them for {n_samples} samples"
        )
    counts = has.sum(axis=0)
    kept = np.flatnonzero((counts >= 2) & (counts < n_samples))
    if not len(kept):
        raise ValueError("labels tell no inputs apart: all are the same, or each occurs once")
    return [names[i] for i in kept], has[:, kept]


def unit_meaning(
    H: ArrayLike,
    labels: Any,
    rng: Randomness = 0,
    *,
    matched: ArrayLike | None = None,
    n_top: int | None = None,
    n_draws: int = 99,
    max_units: int = 256,
    worthwhile: float = 0.02,
    alpha: float = 0.05,
) -> Answer:
    """Ask whether the inputs that excite a unit most share a label more often than for directions.

    Each direction is scored by the label that its top inputs share most, beyond the share that the
    length of their activation vectors, `matched` and luck explain (see `hblib.meaning.surplus`).
    Units are compared with two nulls: as many random directions with the covariance of the layer,
    and the same units after a random rotation. Both are drawn anew `n_draws` times; the harder of
    the two counts. Shuffled labels are a control.

    Parameters
    ----------
    H : array_like of shape (n_samples, n_units)
    labels : array_like or pandas.DataFrame
        One row per sample, see `attributes_of`.
    rng : int, sequence of int, numpy.random.Generator or None
    matched : array_like of shape (n_samples,) or (n_samples, n_known), optional
        Quantities that are to earn nothing: the brightness of a picture, the frequency of a word.
    n_top : int, optional
        Inputs looked at per direction; by default a twentieth of them, from 5 to 20.
    n_draws : int
        At least 19.
    max_units : int
        More units than these are drawn at random.
    worthwhile : float
        The smallest difference of mean scores worth having.
    alpha : float

    Returns
    -------
    Answer
        ``estimate`` is the mean score of the units minus that of the harder null, from -1 to 1;
        ``interval`` is over the units of this network; ``null`` are the differences for single
        draws of that null.

    Raises
    ------
    ValueError
        If labels are of another length or tell no inputs apart, or H has fewer than 20 samples.

    Examples
    --------
    Units that fire for one class each, and the same layer rotated:

    >>> from hblib import rotation
    >>> label = np.arange(200) % 8
    >>> H = np.eye(8)[label] + 0.3 * np.random.default_rng(0).normal(size=(200, 8))
    >>> unit_meaning(H, label, n_draws=19).holds
    True
    >>> unit_meaning(H @ rotation.haar(8, rng=2), label, n_draws=19).holds
    False
    """
    H, rng = layer("H", H).astype(float), generator(rng)
    names, has = attributes_of(labels, len(H))
    n_draws = whole("n_draws", n_draws, 19)
    worthwhile, alpha = number("worthwhile", worthwhile, 0, 1), number("alpha", alpha, 0, 1)
    if n_top is None:
        n_top = min(20, max(5, len(H) // 20))
    n_top = whole("n_top", n_top, 2, len(H) // 2)
    live = np.flatnonzero(varying(H))
    X = H[:, live]
    chosen = some(len(live), whole("max_units", max_units, 1), rng)
    known = np.linalg.norm(X, axis=1, keepdims=True)
    if matched is not None:
        matched = as_array("matched", matched, ndim=(1, 2)).reshape(len(matched), -1)
        if len(matched) != len(H):
            raise ValueError(
                f"matched must have one row per sample, got {len(matched)} for {len(H)} samples"
            )
        known = np.hstack([known, matched])
    R = unexplained(has, known)
    luck = luck_of(R, n_top, rng)
    two_sided = bool(X.min() < 0)

    def scores(A, residuals=R):
        found = surplus(A, residuals, n_top, luck).score
        if two_sided:
            found = np.fmax(found, surplus(-A, residuals, n_top, luck).score)
        return found

    centred = X - X.mean(axis=0)
    unit = scores(X[:, chosen])
    counted = np.isfinite(unit)
    if not counted.any():
        raise ValueError(
            f"H has no unit that is excited by {n_top} samples: take fewer with n_top, or more data"
        )
    unit = unit[counted]
    covariance, rotated = [], []
    for _ in range(n_draws):
        D = random_directions(X, len(unit), rng)
        covariance.append(np.nanmean(scores(centred @ D.T)))
        U = haar(X.shape[1], rng)[: len(unit)]
        rotated.append(np.nanmean(scores(centred @ U.T)))
    shuffled = np.nanmean(scores(X[:, chosen][:, counted], R[rng.permutation(len(R))]))
    nulls = {
        "random directions, equal covariance": np.array(covariance),
        "rotated units": np.array(rotated),
    }
    value = float(unit.mean())
    hardest = max(nulls, key=lambda name: nulls[name].mean())
    p = {name: (1 + np.sum(null >= value)) / (1 + n_draws) for name, null in nulls.items()}
    baseline = float(nulls[hardest].mean())
    estimate = value - baseline
    spread = 1.96 * unit.std(ddof=1) / np.sqrt(len(unit)) if len(unit) > 1 else np.inf
    table = pd.DataFrame(
        {
            "mean score": [value, *(null.mean() for null in nulls.values()), shuffled],
            "low": [value - spread, *(np.quantile(null, 0.025) for null in nulls.values()), np.nan],
            "high": [value + spread, *(np.quantile(n, 0.975) for n in nulls.values()), np.nan],
            "p": [np.nan, *p.values(), np.nan],
        },
        index=["units", *nulls, "units, shuffled labels (control)"],
    )
    table["hardest null"] = baseline
    worst = float(max(p.values()))
    holds = bool(worst <= alpha and estimate >= worthwhile)
    points = 100 * estimate
    if holds:
        said = "Units mean more than random directions"
    elif worst <= alpha:
        said = "Units mean more than random directions, but by less than is worthwhile"
    else:
        said = "Units mean no more than random directions"
    sentence = (
        f"{said}: the label that their top {n_top} inputs share most is {abs(points):.1f} points "
        f"{'more' if points >= 0 else 'less'} frequent than for {hardest} ({percent(worst)})."
    )
    if left := H.shape[1] - len(live) + int((~counted).sum()):
        sentence += f" {left} units fire for too few inputs and were left out."
    interval = (estimate - spread, estimate + spread) if len(unit) > 1 else None
    return Answer(
        "Do units mean more than random directions?",
        estimate,
        "share of the best label among top inputs, beyond luck",
        interval,
        nulls[hardest] - baseline,
        worst,
        holds,
        sentence,
        LIMITS,
        table,
        ("mean score", "hardest null"),
    )
