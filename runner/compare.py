"""Is a rerun of a chapter the committed one? Typed outputs, each compared by its type.

`hblib.claims` says of every output what it is. What must be the same on every machine is compared
letter by letter: verdicts, criteria, sample sizes, outcomes of controls, names of rows and columns,
exact results, and that nothing is missing or added. What is measured is compared within a tolerance
that its kind has: an estimate by its own interval and threshold, other numbers by `same_number`,
those in a printed line too.
Captions, text alternatives, notes of cards and texts marked as varying are not compared, nor are
pictures; that they are there is.

The tolerances are as wide as processors of different kinds need them, and no wider: see the page on
robustness for what differed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from hblib import claims

# A number below this is rounding error, and stays so on every machine.
ROUNDING = 1e-9
# What a measured number may move: a part of its size, or of what a share or a correlation spans, or
# so many units of its last printed digit (a difference of percentage points near zero).
RELATIVE, ABSOLUTE, UNITS = 0.5, 0.1, 5
# What an estimate and the ends of its interval may move: the mean width of the two intervals and,
# since intervals can be narrow by luck, a part of the threshold that its criterion names.
OF_THRESHOLD = 0.25

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w.]*\w)")

_GLUED = "application/papermill.record/"  # myst_nb.glue keeps every MIME type behind this


def differences(committed: Sequence[Mapping], rerun: Sequence[Mapping]) -> list[str]:
    """Say in what the outputs of a rerun cell are not those of the committed one.

    Parameters
    ----------
    committed, rerun : sequence of outputs
        As the notebook format has them.

    Returns
    -------
    list of str
        One sentence per difference; empty if they agree.
    """
    old, new = _joined(committed), _joined(rerun)
    if len(old) != len(new):
        return [f"{len(old)} outputs are committed, the rerun has {len(new)}"]
    found = []
    for number, (a, b) in enumerate(zip(old, new), start=1):
        (what, a), (what_now, b) = _typed(a), _typed(b)
        if what != what_now:
            found.append(f"output {number}: committed {what}, rerun {what_now}")
        else:
            found += [f"output {number}: {s}" for s in _BY_KIND.get(what[0], _exact)(a, b)]
    return found


def same_number(committed: str, rerun: str) -> bool:
    """Whether two printed numbers agree as measurements on different machines do.

    Parameters
    ----------
    committed, rerun : str
        Digits with an optional sign, commas, exponent and per cent sign; ``nan`` and ``inf`` equal
        themselves only.
    """
    if committed == rerun:
        return True
    if committed.endswith("%") != rerun.endswith("%"):
        return False
    a, b = _value(committed), _value(rerun)
    if not (math.isfinite(a) and math.isfinite(b)):
        return False
    low, high = sorted((abs(a), abs(b)))
    if 0 < low < ROUNDING:
        return high < 1e3 * ROUNDING
    return abs(a - b) <= max(RELATIVE * high, ABSOLUTE, UNITS * _unit(committed))


def _value(text):
    number = float(text.rstrip("%").replace(",", ""))
    return number / 100 if text.endswith("%") else number


def _unit(text):
    """One unit of the last printed digit."""
    exponent = Decimal(text.rstrip("%").replace(",", "")).as_tuple().exponent
    return 10.0**exponent / (100 if text.endswith("%") else 1)


def _joined(cell_outputs):
    """Outputs with neighbouring pieces of one stream put together."""
    joined = []
    for output in cell_outputs:
        if (
            joined
            and output["output_type"] == joined[-1]["output_type"] == "stream"
            and output["name"] == joined[-1]["name"]
        ):
            joined[-1] = {**joined[-1], "text": joined[-1]["text"] + output["text"]}
        else:
            joined.append(output)
    return joined


def _typed(output):
    """What an output is, as a tuple that must agree, and the data to compare by it."""
    if output["output_type"] == "stream":
        return ("stream", output["name"]), output["text"]
    if output["output_type"] == "error":
        return ("error", output["ename"]), output["evalue"]
    glued = output.get("metadata", {}).get("scrapbook", {}).get("name", "")
    for mime_type, content in output["data"].items():
        kind = claims.kind_of(mime_type.removeprefix(_GLUED))
        if kind is not None:
            return (kind, glued), content
    texts = {
        mime_type: "" if mime_type.startswith("image/") else content
        for mime_type, content in output["data"].items()
    }
    return ("output", glued, *sorted(texts)), texts


def _exact(a, b):
    return [] if a == b else [f"committed {_short(a)}, rerun {_short(b)}"]


def _short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "..."


def _cell(a, b):
    """Compare two values of a table, or two marked ones that stand alone."""
    if isinstance(a, dict) and isinstance(b, dict):
        if "number" in a and "number" in b:
            same = same_number(a["number"], b["number"])
            return [] if same else [f"committed {a['number']}, rerun {b['number']}"]
        if a.keys() == b.keys():
            return []
    # A dash stands for a number that is not there: that it is missing may hang on a rounding too.
    return _exact(a, b)


def _table(a, b):
    if a["columns"] != b["columns"]:
        return [f"columns {a['columns']} committed, {b['columns']} in the rerun"]
    old, new = _rows(a), _rows(b)
    found = []
    for label in old.keys() | new.keys():
        before, now = old.get(label, []), new.get(label, [])
        name = " | ".join(label) or "without exact values"
        if len(before) != len(now):
            found.append(f"{len(before)} rows {name!r} are committed, {len(now)} in the rerun")
            continue
        for column, *pairs in zip(a["columns"], *_paired(before, now)):
            moved = [sentence for x, y in pairs for sentence in _cell(x, y)]
            found += [f"row {name!r}, column {column!r}: {sentence}" for sentence in moved]
    return sorted(found)


def _rows(table):
    """Rows by what is exact in them: their order may hang on what is measured."""
    rows = {}
    for row in table["rows"]:
        label = tuple("…" if isinstance(cell, dict) else cell for cell in row)
        rows.setdefault(label, []).append(row)
    return rows


def _paired(before, now):
    """Rows of one label beside each other, as columns of pairs."""
    if len(before) > 1:  # nothing exact tells which is which: smallest beside smallest
        before, now = (zip(*map(_in_order, zip(*rows))) for rows in (before, now))
    return [list(zip(row, row_now)) for row, row_now in zip(before, now)]


def _in_order(cells):
    def key(cell):
        number = cell.get("number") if isinstance(cell, dict) else None
        return (number is None, _value(number) if number else claims.shown(cell))

    return sorted(cells, key=key)


def _claim(a, b):
    register = claims.load_register()
    if a.get("id") != b.get("id"):
        return [f"claim {a.get('id')} is committed, the rerun checked {b.get('id')}"]
    try:
        old, new = (claims.Record.from_dict(data, register) for data in (a, b))
    except ValueError as error:
        return [str(error)]
    found = [] if (old.note is None) == (new.note is None) else ["a note is on one card only"]
    outcomes, outcomes_now = old.outcomes, new.outcomes
    if outcomes.keys() != outcomes_now.keys():
        found.append("one of the two has no finding of the mended statement")
    for part in outcomes.keys() & outcomes_now.keys():
        if outcomes[part] != outcomes_now[part]:
            said = f"committed {outcomes[part]!r}, rerun {outcomes_now[part]!r}"
            found.append(f"{part}: the criterion was {said}")
        was, now = getattr(old, part), getattr(new, part)
        found += [f"{part}: {s}" for s in _finding(was, now, _criterion(old.entry, part))]
    for name in (old.levels or {}).keys() & (new.levels or {}).keys():
        found += [f"{name}: {s}" for s in _finding(old.levels[name], new.levels[name], {})]
    if old.verdict != new.verdict:
        found.append(f"verdict: committed {old.verdict!r}, rerun {new.verdict!r}")
    return sorted(found)


def _criterion(entry, part):
    registered = {"found": entry, "control": entry["control"]}.get(part) or entry["as_mended"]
    worthwhile = {"margin": entry["worthwhile"]} if part == "found" and "null" in entry else {}
    return registered["criterion"] | worthwhile


def _finding(a, b, criterion):
    found = [] if a.n == b.n else [f"n: committed {a.n}, rerun {b.n}"]
    (low, high), (low_now, high_now) = a.interval, b.interval
    pairs = [("estimate", a.estimate, b.estimate)]
    pairs += [("lower end", low, low_now), ("upper end", high, high_now)]
    fields = ("below", "above", "contains", "excludes", "margin")
    threshold = max((abs(criterion.get(field, 0.0)) for field in fields), default=0.0)
    width = ((high - low) + (high_now - low_now)) / 2
    allowed = width + OF_THRESHOLD * threshold + ROUNDING
    for name, x, y in pairs:
        # Rounding errors have intervals of their own size, which mean nothing.
        rounding = max(abs(x), abs(y)) < 1e3 * ROUNDING
        if not (rounding or abs(x - y) <= allowed):
            found.append(f"{name}: committed {x:.4g}, rerun {y:.4g}, {allowed:.2g} is allowed")
    return found


def _printed(a, b):
    """Compare what a cell printed: words letter by letter, numbers as measured ones."""
    words, words_now = _NUMBER.split(a), _NUMBER.split(b)
    if [" ".join(w.split()) for w in words] != [" ".join(w.split()) for w in words_now]:
        return _exact(a, b)
    pairs = zip(_NUMBER.findall(a), _NUMBER.findall(b))
    return [f"printed {x}, rerun {y}" for x, y in pairs if not same_number(x, y)]


_BY_KIND = {
    "stream": _printed,
    "claim": _claim,
    "table": _table,
    "number": _cell,
    "text": _cell,
}
