"""Effects: what is measured, held against the strongest null that could explain it.

An **effect** of the second edition registers, besides what every claim does,

- ``null``: the strongest baseline, in words, and why it is the strongest;
- ``worthwhile``: the smallest effect worth having;
- ``levels``: what the two numbers are called, their unit, and whether they come in pairs;
- ``n``: how many independent units, and of what, so that nobody stops when it pleases;
- a criterion of the kind ``contrast``, about *measured minus null*;
- of which of the two, level or contrast, its control is the same measurement.

The chapter passes both samples, and the contrast is judged as a region of practical equivalence
asks for [1]_: *met* where the whole interval lies beyond the smallest effect worth having, *not
met* where the whole interval falls short of it, *undecided* in between. For ``direction: none`` the
statement is that there is no such effect: two one-sided tests at 5 %.

Three faults make an outcome invalid, however large the contrast is. A **saturated** null leaves no
room: it is a pass rate above four in five, or a share with less room than the smallest effect worth
having, or it meets the registered ``bar`` by itself. A **constant control** came out the same every
time, so it could not have failed. A **blind control** has a criterion that the claim's own numbers
meet as well.

References
----------
.. [1] Kruschke (2018), Rejecting or accepting parameter values in Bayesian estimation, Advances in
   Methods and Practices in Psychological Science 1, doi 10.1177/2515245918771304; the same three
   outcomes, with confidence intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hblib.claims import _criteria as criteria
from hblib.claims._criteria import Finding

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

SMALL = 20  # units below which a bootstrap interval is too narrow
SATURATED = 0.8  # share of the null that may pass a bar, at most
MOST_WORTHWHILE = 0.25  # of a share: a larger "smallest effect" would let everything be equivalent
SAME = 1e-9  # relative width below which all values count as equal
UNITS = ("pass rate", "share", "number")
SHARES = UNITS[:2]
SCALES = ("level", "contrast")
DIRECTIONS = ("above", "below", "none")
AGGREGATES = ("mean", "median")


def validate(entry: Mapping, where: str) -> None:
    """Refuse an effect of the second edition that does not register all it needs.

    Parameters
    ----------
    entry : mapping
        Of the register.
    where : str
        Begins the error sentence.

    Raises
    ------
    ValueError
        If a field is missing, unknown or has a value that is not allowed.
    """
    criterion, worthwhile = entry["criterion"], entry["worthwhile"]
    where_criterion = f"{where}: criterion 'contrast'"
    criteria.check_keys(criterion, {"kind", "aggregate", "direction"}, set(), where_criterion)
    if criterion["kind"] != "contrast":
        raise ValueError(
            f"{where}: an effect is judged by its contrast with the null, so its criterion is of "
            f"kind 'contrast', got {criterion['kind']!r}"
        )
    for field, allowed in (("aggregate", AGGREGATES), ("direction", DIRECTIONS)):
        if criterion[field] not in allowed:
            raise ValueError(
                f"{where_criterion}: '{field}' must be one of {', '.join(allowed)}, "
                f"got {criterion[field]!r}"
            )
    if not _is_number(worthwhile) or worthwhile <= 0:
        raise ValueError(
            f"{where}: 'worthwhile', the smallest effect worth having, must be a number above 0, "
            f"got {worthwhile!r}"
        )
    criteria.check_keys(entry["null"], {"statement", "why"}, set(), f"{where}: 'null'")
    criteria.check_keys(
        entry["levels"], {"measured", "null", "unit", "paired"}, {"bar"}, f"{where}: 'levels'"
    )
    criteria.check_keys(entry["n"], {"units", "of"}, set(), f"{where}: 'n'")
    units = entry["n"]["units"]
    if not isinstance(units, int) or isinstance(units, bool) or units < criteria.MIN_N:
        raise ValueError(
            f"{where}: 'units' of 'n' must be a whole number of at least {criteria.MIN_N}, got "
            f"{units!r}"
        )
    if not isinstance(entry["levels"]["paired"], bool):
        raise ValueError(
            f"{where}: 'paired' of 'levels' must be true or false, got "
            f"{entry['levels']['paired']!r}"
        )
    control = entry["control"]
    if control["of"] not in SCALES:
        raise ValueError(
            f"{where}: 'of' of 'control' must be one of {', '.join(SCALES)}, got {control['of']!r}"
        )
    if control["criterion"]["kind"] in ("exact", "ordering"):
        raise ValueError(
            f"{where}: the control of an effect must be able to come out otherwise, so its "
            f"criterion cannot be of kind {control['criterion']['kind']!r}"
        )
    if entry["levels"]["unit"] in SHARES and worthwhile > MOST_WORTHWHILE:
        raise ValueError(
            f"{where}: 'worthwhile' of a share must be at most {MOST_WORTHWHILE}, got "
            f"{worthwhile!r}"
        )
    for part, field in (
        ("n", "of"), ("null", "statement"), ("null", "why"), ("levels", "measured"),
        ("levels", "null"),
    ):  # fmt: skip
        if not isinstance(entry[part][field], str) or not entry[part][field].strip():
            raise ValueError(f"{where}: '{field}' of '{part}' must be words")
    if entry["levels"]["unit"] not in UNITS:
        raise ValueError(
            f"{where}: 'unit' of 'levels' must be one of {', '.join(UNITS)}, "
            f"got {entry['levels']['unit']!r}"
        )
    if "bar" in entry["levels"]:
        bar = {"kind": "bound", "aggregate": criterion["aggregate"], **entry["levels"]["bar"]}
        criteria.validate(bar, f"{where}: 'bar'")


def in_words(entry: Mapping) -> str:
    """Say the criterion of a claim of any kind, as a sentence without subject or full stop."""
    criterion = entry["criterion"]
    if criterion["kind"] != "contrast":
        return criteria.in_words(criterion)
    least = _words(entry["worthwhile"], entry["levels"]["unit"])
    difference = f"{entry['levels']['measured']} minus {entry['levels']['null']}"
    if criterion["direction"] == "none":
        return (
            f"the 90 % interval of the {criterion['aggregate']} of {difference} lies within "
            f"± {least} (two one-sided tests at 5 %)"
        )
    bound = f"above {least}" if criterion["direction"] == "above" else f"below \u2212{least}"
    return (
        f"the whole 95 % interval of the {criterion['aggregate']} of {difference} lies {bound}, "
        "the smallest effect worth having"
    )


def measure(
    entry: Mapping, measured: ArrayLike, null: ArrayLike
) -> tuple[Finding, dict[str, Finding]]:
    """Sum up an effect: the contrast, and what it is the contrast of.

    In pairs, row i of both samples belongs to the same network, corpus or draw. Otherwise they are
    compared as independent ones (Welch). What was measured several times in one unit, such as the
    layers of one network, comes as a row, and only the row's mean counts.

    Parameters
    ----------
    entry : mapping
        A valid effect of the second edition.
    measured, null : array_like, shape (n_units,) or (n_units, n_within)

    Returns
    -------
    contrast : Finding
    levels : dict of str to Finding
        ``measured`` and ``null``.

    Raises
    ------
    ValueError
        If a sample is empty, not finite, of the wrong shape, or has one unit only.
    """
    id, criterion = entry["id"], entry["criterion"]
    x, y = _units(measured, f"{id}: measured"), _units(null, f"{id}: null")
    aggregate = criterion["aggregate"]
    level = 1 - 2 * criteria.ALPHA if criterion["direction"] == "none" else criteria.LEVEL
    levels = {"measured": interval(x, aggregate, criteria.LEVEL),
              "null": interval(y, aggregate, criteria.LEVEL)}  # fmt: skip
    if entry["levels"]["paired"]:
        if len(x) != len(y):
            raise ValueError(
                f"{id} is registered as a comparison in pairs, got {len(x)} measured values and "
                f"{len(y)} of the null"
            )
        contrast = interval(x - y, aggregate, level)
        kind = f"{contrast.interval_kind} of {len(x)} paired differences"
        return Finding(contrast.estimate, contrast.interval, kind, contrast.n), levels
    if aggregate != "mean":
        raise ValueError(
            f"{id}: a contrast of medians needs pairs, and it is registered without"
        )
    return _welch(x, y, level), levels


def measure_control(entry: Mapping, sample: ArrayLike) -> Finding:
    """Sum up the control of an effect, with an interval that its size allows.

    Raises
    ------
    ValueError
        If the sample is not as the control's criterion wants it, or has too few values.
    """
    criterion, where = entry["control"]["criterion"], f"{entry['id']}: control"
    found = criteria.measure(criterion, sample, where)
    if found.n < criteria.MIN_N:
        raise ValueError(
            f"{where} has {found.n} values; at least {criteria.MIN_N} show that it can fail"
        )
    if criterion["aggregate"] not in AGGREGATES:
        return found
    level = 1 - 2 * criteria.ALPHA if criterion["kind"] == "equivalence" else criteria.LEVEL
    return interval(np.asarray(sample, dtype=float), criterion["aggregate"], level)


def interval(x: np.ndarray, aggregate: str, level: float) -> Finding:
    """Return the interval that a sample of independent units allows.

    Below 20 units: Student's t for a mean, the exact interval between order statistics for a
    median. From 20 on: the bootstrap of `hblib.claims`.

    Parameters
    ----------
    x : ndarray, shape (n,)
    aggregate : {"mean", "median"}
    level : float
        Nominal coverage.

    Returns
    -------
    Finding
    """
    from scipy import stats  # takes seconds, and most of what reads records needs no interval

    n, estimate = len(x), float({"mean": np.mean, "median": np.median}[aggregate](x))
    if np.ptp(x) <= SAME * np.abs(x).max():
        return Finding(estimate, [estimate, estimate], f"all {n} values equal", n)
    if n >= SMALL:
        estimate, ends, label = criteria.confidence_interval(x, aggregate, level)
        return Finding(estimate, list(ends), label, n)
    percent = f"{100 * level:.0f} % interval"
    if aggregate == "mean":
        ends = stats.ttest_1samp(x, 0).confidence_interval(level)
        label = f"{percent} (Student's t)"
    else:
        ends = stats.quantile_test(x, p=0.5).confidence_interval(level)
        label = f"{percent} (exact, order statistics)"
    low, high = (float(end) for end in ends)
    if not np.isfinite([low, high]).all():  # too few values for any order statistic to do
        low, high, label = float(x.min()), float(x.max()), f"range, too few values for a {percent}"
    return Finding(estimate, [low, high], label, n)


def settle(entry: Mapping, found: Finding) -> str:
    """Read off what was found whether the criterion of a claim of any kind is met.

    Parameters
    ----------
    entry : mapping
        The claim as registered.
    found : Finding
        Of an effect of the second edition the contrast.

    Returns
    -------
    {"met", "not met", "undecided"}
    """
    if entry["criterion"]["kind"] != "contrast":
        return criteria.settle(entry["criterion"], found)
    (low, high), least = found.interval, entry["worthwhile"]
    direction = entry["criterion"]["direction"]
    if found.n < criteria.MIN_N or _constant(found):
        return "undecided"
    if direction == "none":
        if max(-low, high) < least:
            return "met"
        return "not met" if low >= least or high <= -least else "undecided"
    if direction == "below":
        low, high = -high, -low
    return "met" if low > least else "not met" if high <= least else "undecided"


def check_interval(contrast: Finding, where: str) -> None:
    """Refuse an interval that no small sample can have."""
    if contrast.n < SMALL and "bootstrap" in contrast.interval_kind:
        raise ValueError(
            f"{where}: {contrast.n} units are too few for a bootstrap interval, which then is too "
            f"narrow; below {SMALL} it is Student's t or exact"
        )


def fault(
    entry: Mapping, contrast: Finding, levels: Mapping[str, Finding], control: Finding
) -> str | None:
    """Say what makes an outcome worthless whatever the contrast is; None if nothing does.

    Parameters
    ----------
    entry : mapping
        The effect as registered.
    contrast, control : Finding
    levels : dict of str to Finding
        ``measured`` and ``null``.

    Returns
    -------
    {"saturated", "constant control", "blind control"} or None
    """
    if _saturated(entry, levels["null"]):
        return "saturated"
    if _constant(control):
        return "constant control"
    own = levels["measured"] if entry["control"]["of"] == "level" else contrast
    if criteria.settle(entry["control"]["criterion"], own) == "met":
        return "blind control"
    return None


def _saturated(entry: Mapping, null: Finding) -> bool:
    direction, levels = entry["criterion"]["direction"], entry["levels"]
    if levels["unit"] in SHARES:
        room = {"above": 1 - null.estimate, "below": null.estimate}
        least = min(room.values()) if direction == "none" else room[direction]
        needed = 1 - SATURATED if levels["unit"] == "pass rate" else entry["worthwhile"]
        if least < needed:
            return True
    if "bar" not in levels:
        return False
    bar = {"kind": "bound", "aggregate": entry["criterion"]["aggregate"], **levels["bar"]}
    return criteria.settle(bar, null) == "met"


def _constant(finding: Finding) -> bool:
    low, high = finding.interval
    return finding.n > 1 and high - low <= SAME * max(abs(low), abs(high), SAME)


def _units(sample: ArrayLike, where: str) -> np.ndarray:
    try:
        x = np.asarray(sample, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where} is not an array of numbers: {error}") from None
    if x.ndim not in (1, 2) or x.size == 0:
        raise ValueError(
            f"{where} has shape {x.shape}; give one value per independent unit, or one row per "
            "unit of what was measured several times in it"
        )
    if not np.isfinite(x).all():
        raise ValueError(f"{where} has {np.sum(~np.isfinite(x))} of {x.size} values not finite")
    x = x.mean(axis=1) if x.ndim == 2 else x
    if len(x) < 2:
        raise ValueError(f"{where} has 1 unit, but an interval needs at least 2")
    return x


def _welch(x: np.ndarray, y: np.ndarray, level: float) -> Finding:
    from scipy import stats  # takes seconds, and most of what reads records needs no interval

    estimate = float(x.mean() - y.mean())
    if np.ptp(x) == np.ptp(y) == 0:
        return Finding(estimate, [estimate, estimate], "all values equal", min(len(x), len(y)))
    ends = stats.ttest_ind(x, y, equal_var=False).confidence_interval(level)
    label = f"{100 * level:.0f} % interval (Welch, {len(x)} and {len(y)} independent units)"
    return Finding(estimate, [float(ends.low), float(ends.high)], label, min(len(x), len(y)))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


def _words(value: float, unit: str) -> str:
    return f"{100 * value:.3g} points" if unit in SHARES else f"{value:.3g}"
