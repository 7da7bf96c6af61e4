"""Criteria: how a sample of measurements settles a registered claim.

A criterion is a small mapping, fixed in the register before anything is measured. There are five
kinds and no others:

=============  ==================================================================================
kind           met when
=============  ==================================================================================
`bound`        the aggregate is ``below`` or ``above`` a threshold; for a mean, median or
               proportion the whole confidence interval must be
`interval`     the confidence interval ``contains`` or ``excludes`` a value; ``side: above`` or
               ``side: below`` says on which side of an excluded value it must lie
`equivalence`  the 90 % interval lies within ``value`` plus or minus ``margin``: two one-sided
               tests at 5 % each (TOST)
`ordering`     the columns of a sample of shape (n, j) go up or down (``direction``): every step
               from one column to the next, paired within rows, has an interval that excludes 0
`exact`        every single value equals ``value``
=============  ==================================================================================

`measure` makes a `Finding` of a sample: estimate, interval, size. Findings are what notebooks and
tables store. `settle` reads off a finding whether the criterion is ``met``, ``not met`` (the
interval lies on the wrong side) or ``undecided`` (the interval straddles the threshold, or the
sample is too small to say); that is derived anew whenever it is needed, and stored nowhere.

Intervals are scipy's: bias-corrected and accelerated bootstrap (BCa) for a mean or a median, the
exact binomial interval of Clopper and Pearson for a proportion. A maximum or a minimum over
instances is itself the statement ("in no instance more than ..."), so it carries the range of the
sample instead. Three cases are handled by rule, because the bootstrap has no answer to them:

- all values equal: the interval is that one value (nothing varies, nothing is estimated);
- BCa undefined (it can be for a median with many ties): the plain percentile bootstrap;
- fewer than `MIN_N` values: the outcome is ``undecided``. With 5 values not even the sign test can
  reach 5 % two-sided (2 / 2**5 > 0.05), with 6 it can. One value alone is an error.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real

import numpy as np

LEVEL = 0.95
ALPHA = 0.05
MIN_N = 6
RESAMPLES = 9_999

_INFERRED = ("mean", "median", "proportion")
_NAMES = {
    "mean": "the mean",
    "median": "the median",
    "proportion": "the proportion",
    "max": "the largest value",
    "min": "the smallest value",
}
# kind -> (obligatory fields, optional fields, aggregates allowed)
_KINDS = {
    "bound": ({"aggregate"}, {"below", "above"}, tuple(_NAMES)),
    "interval": ({"aggregate"}, {"contains", "excludes", "side"}, _INFERRED),
    "equivalence": ({"aggregate", "value", "margin"}, set(), _INFERRED),
    "ordering": ({"aggregate", "direction"}, set(), ("mean", "median")),
    "exact": ({"value"}, set(), ()),
}
_NUMBERS = ("below", "above", "contains", "excludes", "value", "margin")
_CHOICES = {"side": ("above", "below"), "direction": ("increasing", "decreasing")}


@dataclass(frozen=True)
class Finding:
    """What a sample amounts to under a criterion.

    Attributes
    ----------
    estimate : float
        The aggregate; for `ordering` the weakest step, for `exact` the value farthest off.
    interval : list of two floats
    interval_kind : str
        What the interval is, in words.
    n : int
        Number of values (rows for `ordering`).
    """

    estimate: float
    interval: list[float]
    interval_kind: str
    n: int


def validate(criterion: Mapping, where: str) -> None:
    """Refuse a criterion that is not exactly one of the five kinds.

    Parameters
    ----------
    criterion : mapping
        As read from the register.
    where : str
        Begins the error sentence, for example the claim's id.

    Raises
    ------
    ValueError
        If a field is unknown, missing, or has a value that is not allowed.
    """
    kind = criterion.get("kind") if isinstance(criterion, Mapping) else criterion
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"{where}: criterion kind {kind!r} is not one of {', '.join(_KINDS)}")
    required, optional, aggregates = _KINDS[kind]
    check_keys(criterion, {"kind"} | required, optional, f"{where}: criterion '{kind}'")
    for pair in (("below", "above"), ("contains", "excludes")):
        if optional.issuperset(pair) and len(criterion.keys() & set(pair)) != 1:
            raise ValueError(
                f"{where}: criterion '{kind}' needs exactly one of '{pair[0]}' and '{pair[1]}'"
            )
    if aggregates and criterion["aggregate"] not in aggregates:
        raise ValueError(
            f"{where}: aggregate {criterion['aggregate']!r} is not allowed for criterion '{kind}', "
            f"only {', '.join(aggregates)}"
        )
    for field in criterion.keys() & set(_NUMBERS):
        value = criterion[field]
        if not isinstance(value, Real) or isinstance(value, bool) or not np.isfinite(value):
            raise ValueError(
                f"{where}: '{field}' must be a finite number, got {value!r} "
                "(YAML reads 1e-9 as text: write 1.0e-9)"
            )
    for field in criterion.keys() & set(_CHOICES):
        if criterion[field] not in _CHOICES[field]:
            raise ValueError(
                f"{where}: '{field}' must be {' or '.join(_CHOICES[field])}, "
                f"got {criterion[field]!r}"
            )
    if "side" in criterion and "excludes" not in criterion:
        raise ValueError(f"{where}: 'side' goes with 'excludes' only")
    if "margin" in criterion and criterion["margin"] <= 0:
        raise ValueError(f"{where}: 'margin' must be above 0, got {criterion['margin']!r}")


def check_keys(mapping: Mapping, required: set, optional: set, where: str) -> None:
    """Refuse what is not a mapping with exactly these fields, in one sentence."""
    allowed = ", ".join(sorted(required | optional))
    if not hasattr(mapping, "keys"):
        raise ValueError(f"{where}: must be a mapping with fields {allowed}, got {mapping!r}")
    if missing := sorted(required - mapping.keys()):
        raise ValueError(f"{where}: missing field {', '.join(map(repr, missing))}")
    if unknown := sorted(map(str, mapping.keys() - required - optional)):
        names = ", ".join(map(repr, unknown))
        raise ValueError(f"{where}: unknown field {names} (known: {allowed})")


def in_words(criterion: Mapping) -> str:
    """Say a criterion as a sentence without subject or full stop.

    Examples
    --------
    >>> in_words({"kind": "bound", "aggregate": "max", "below": 1e-9})
    'the largest value is below 1e-9'
    >>> in_words({"kind": "equivalence", "aggregate": "mean", "value": 1, "margin": 0.1})
    'the 90 % interval of the mean lies within 1 ± 0.1 (two one-sided tests at 5 %)'
    """
    c = criterion
    name = _NAMES.get(c.get("aggregate"))
    if c["kind"] == "bound":
        side = "below" if "below" in c else "above"
        whole = " over its whole 95 % interval" if c["aggregate"] in _INFERRED else ""
        return f"{name} is {side} {_number(c[side])}{whole}"
    if c["kind"] == "interval":
        if "contains" in c:
            return f"the 95 % interval of {name} contains {_number(c['contains'])}"
        where = f"lies {c['side']}" if "side" in c else "excludes"
        return f"the 95 % interval of {name} {where} {_number(c['excludes'])}"
    if c["kind"] == "equivalence":
        return (
            f"the 90 % interval of {name} lies within {_number(c['value'])} ± "
            f"{_number(c['margin'])} (two one-sided tests at 5 %)"
        )
    if c["kind"] == "ordering":
        return (
            f"the columns are {c['direction']}: {name} of every paired step has a 95 % interval "
            "that excludes 0 on that side"
        )
    return f"every value equals {_number(c['value'])}"


def measure(criterion: Mapping, sample, where: str) -> Finding:
    """Sum up a sample as its criterion asks for.

    Parameters
    ----------
    criterion : mapping
        A valid criterion (see `validate`).
    sample : array_like, shape (n,), or (n, j) for `ordering`
        One value per independent seed or instance; for `ordering` one row per seed, one column
        per condition. For a proportion, 0 or 1 (False or True).
    where : str
        Begins the error sentence.

    Returns
    -------
    Finding

    Raises
    ------
    ValueError
        If the sample is empty, not finite, of the wrong shape, not 0/1 for a proportion, or has
        one value where an interval is needed.

    Examples
    --------
    >>> measure({"kind": "bound", "aggregate": "max", "below": 1e-9}, [1e-15, 3e-15], "x").estimate
    3e-15
    """
    kind, aggregate = criterion["kind"], criterion.get("aggregate")
    x = _as_sample(sample, kind, aggregate, where)
    n = len(x)
    if kind == "exact":
        worst = x[np.argmax(np.abs(x - criterion["value"]))]
        return Finding(float(worst), _range(x), "range of the values", n)
    if aggregate in ("max", "min"):
        estimate = float(x.max() if aggregate == "max" else x.min())
        return Finding(estimate, _range(x), "range of the values", n)
    if kind == "ordering":
        return _measure_ordering(criterion, x, where)

    level = 1 - 2 * ALPHA if kind == "equivalence" else LEVEL
    estimate, interval, label = confidence_interval(x, aggregate, level, where)
    return Finding(estimate, list(interval), label, n)


def settle(criterion: Mapping, finding: Finding) -> str:
    """Read off a finding whether its criterion is met.

    Parameters
    ----------
    criterion : mapping
        The one under which the finding was made.
    finding : Finding

    Returns
    -------
    {"met", "not met", "undecided"}

    Examples
    --------
    >>> bound = {"kind": "bound", "aggregate": "mean", "below": 1}
    >>> settle(bound, Finding(0.9, [0.7, 1.1], "95 % interval", 20))
    'undecided'
    """
    kind, aggregate = criterion["kind"], criterion.get("aggregate")
    low, high = finding.interval
    if kind == "exact":
        return "met" if finding.estimate == criterion["value"] else "not met"
    if aggregate in ("max", "min"):
        return _against_bound(criterion, finding.estimate, finding.estimate)
    if _too_small(finding.n, aggregate):
        return "undecided"
    if kind == "ordering":
        return "met" if low > 0 else "not met" if high <= 0 else "undecided"
    if kind == "bound":
        return _against_bound(criterion, low, high)
    if kind == "equivalence":
        distance_low, distance_high = low - criterion["value"], high - criterion["value"]
        if max(-distance_low, distance_high) < criterion["margin"]:
            return "met"
        outside = distance_low >= criterion["margin"] or distance_high <= -criterion["margin"]
        return "not met" if outside else "undecided"
    if "contains" in criterion:
        return "met" if low <= criterion["contains"] <= high else "not met"
    value = criterion["excludes"]
    above, below = low > value, high < value
    met = {"above": above, "below": below, None: above or below}[criterion.get("side")]
    wrong = {"above": high <= value, "below": low >= value, None: low == high == value}
    return "met" if met else "not met" if wrong[criterion.get("side")] else "undecided"


def confidence_interval(x: np.ndarray, aggregate: str, level: float, where: str = "sample"):
    """Confidence interval of a mean, a median or a proportion.

    Parameters
    ----------
    x : ndarray, shape (n,)
    aggregate : {"mean", "median", "proportion"}
    level : float
        Nominal coverage, for example 0.95.
    where : str
        Begins the error sentence.

    Returns
    -------
    estimate : float
    interval : tuple of two floats
    label : str
        Which interval it is, in words.

    Raises
    ------
    ValueError
        If a mean or a median has one value only.

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals, Journal of the American Statistical
    Association 82, doi 10.1080/01621459.1987.10478410.
    Clopper and Pearson (1934), Biometrika 26, doi 10.1093/biomet/26.4.404.
    """
    from scipy import stats  # takes seconds, and most of what reads records needs no interval

    if aggregate not in ("mean", "median", "proportion"):
        raise ValueError(f"aggregate must be mean, median or proportion, got {aggregate!r}")
    if not (isinstance(level, float) and 0 < level < 1):
        raise ValueError(f"level must lie between 0 and 1, got {level!r}")
    x = _as_sample(x, "bound", aggregate, where)
    percent = f"{100 * level:.0f} %"
    if aggregate == "proportion":
        successes = int(x.sum())
        ci = stats.binomtest(successes, len(x)).proportion_ci(level, method="exact")
        return successes / len(x), (float(ci.low), float(ci.high)), f"{percent} interval (exact)"
    if len(x) < 2:
        raise ValueError(
            f"{where} has 1 value, but an interval of the {aggregate} needs at least 2 "
            f"(and {MIN_N} to decide anything)"
        )
    statistic = {"mean": np.mean, "median": np.median}[aggregate]
    estimate = float(statistic(x))
    if np.ptp(x) == 0:
        return estimate, (float(x[0]), float(x[0])), f"all {len(x)} values equal"
    for method in ("BCa", "percentile"):
        # BCa announces its own breakdown; a page needs no warning about what is handled here.
        with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
            warnings.simplefilter("ignore", stats.DegenerateDataWarning)
            # Bounded batches keep a large sample from asking for n x 9,999 numbers at once.
            ci = stats.bootstrap(
                (x,), statistic, method=method, confidence_level=level, n_resamples=RESAMPLES,
                batch=max(1, 10**7 // len(x)), rng=np.random.default_rng(0),
            ).confidence_interval  # fmt: skip
        if np.isfinite(ci).all():
            break
    return estimate, (float(ci.low), float(ci.high)), f"{percent} interval ({method} bootstrap)"


def _measure_ordering(criterion: Mapping, x: np.ndarray, where: str) -> Finding:
    # All steps must hold, so no correction for several tests is due (intersection-union test). The
    # weakest decides: a step the wrong way if there is one, otherwise the one that could be least.
    sign = 1 if criterion["direction"] == "increasing" else -1
    steps = [
        confidence_interval(sign * step, criterion["aggregate"], LEVEL, where)
        for step in np.diff(x, axis=1).T
    ]
    wrong = any(high <= 0 for _, (_, high), _ in steps)
    weakest = min(range(len(steps)), key=lambda i: steps[i][1][wrong])
    estimate, interval, label = steps[weakest]
    label += f" of the weakest step, column {weakest + 1} to {weakest + 2}"
    return Finding(estimate, list(interval), label, len(x))


def _against_bound(criterion: Mapping, low: float, high: float) -> str:
    if "below" in criterion:
        met, wrong = high < criterion["below"], low >= criterion["below"]
    else:
        met, wrong = low > criterion["above"], high <= criterion["above"]
    return "met" if met else "not met" if wrong else "undecided"


def _too_small(n: int, aggregate: str) -> bool:
    # The exact binomial interval is right at every n.
    return aggregate != "proportion" and n < MIN_N


def _as_sample(sample, kind: str, aggregate: str | None, where: str) -> np.ndarray:
    try:
        x = np.asarray(sample, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is not an array of numbers: {error}") from None
    if x.size == 0:
        raise ValueError(f"{where} is empty: give one value per seed or instance")
    if kind == "ordering" and (x.ndim != 2 or x.shape[1] < 2):
        raise ValueError(
            f"{where} has shape {x.shape}; an ordering needs (n, j): one row per seed, "
            "one column for each of at least 2 conditions"
        )
    if kind != "ordering" and x.ndim != 1:
        raise ValueError(f"{where} has shape {x.shape}; a 1-D array of values is needed")
    if not np.isfinite(x).all():
        bad = np.argwhere(~np.isfinite(x))
        index = tuple(int(i) for i in bad[0])
        raise ValueError(
            f"{where} has {len(bad)} of {x.size} values not finite, "
            f"the first at index {index if x.ndim > 1 else index[0]}: {x[index]}"
        )
    if aggregate == "proportion" and not np.isin(x, (0, 1)).all():
        bad = x[~np.isin(x, (0, 1))][0]
        raise ValueError(f"{where} has the value {bad:g}; a proportion needs 0 or 1 everywhere")
    return x


def _range(x: np.ndarray) -> list[float]:
    return [float(x.min()), float(x.max())]


def _number(x: float) -> str:
    return f"{x:g}".replace("e-0", "e-").replace("e+0", "e+")
