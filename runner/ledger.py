"""The ledger: what the executed chapters found of every registered claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from hblib import claims
from hblib.claims import Record
from hblib.claims import _effects as effects
from runner import files

COLUMNS = ["id", "chapter", "source", "kind", "edition", "corollary_of", "statement", "criterion",
           "estimate", "interval", "interval_kind", "n", "control", "verdict", "notebook",
           "anchor"]  # fmt: skip


def outcomes(notebook) -> list[dict]:
    """Return what the outputs of a notebook hold of claims, as stored, in order."""
    shown = (out for cell in notebook.cells for out in cell.get("outputs", ()))
    found = [out["data"][claims.MIME] for out in shown if claims.MIME in out.get("data", {})]
    for outcome in found:
        if not isinstance(outcome, dict):
            raise ValueError(f"a claim record must be a mapping, not {outcome!r}")
    return [dict(outcome) for outcome in found]


def seal(found: list) -> str:
    """Return a hash of outcomes, kept beside them when a chapter is executed."""
    return files.digest(found)


def read_records(notebook: str | Path, register: Mapping[str, dict]) -> list[Record]:
    """Return the claims that an executed notebook has checked, in order.

    Parameters
    ----------
    notebook : path
    register : dict
        See `hblib.claims.load_register`.

    Raises
    ------
    ValueError
        If a record cannot be read with this register, or is not the one that was executed.
    """
    executed = files.read(notebook)
    found = outcomes(executed)
    meta = executed.metadata.get("hblib", {})
    if "stamp" in meta and meta.get("outcomes") != seal(found):
        raise ValueError(
            f"{Path(notebook).stem}: its records are not those of its execution; execute it again"
        )
    return [Record.from_dict(outcome, register) for outcome in found]


def collect(register: Mapping[str, dict], notebooks: Iterable[str | Path]) -> pd.DataFrame:
    """Bring the register and the records of the executed chapters together.

    Parameters
    ----------
    register : dict
        See `hblib.claims.load_register`.
    notebooks : iterable of paths
        The chapters there are; a chapter is known by its file name without the ending.

    Returns
    -------
    DataFrame
        One row per registered claim, in the order of the register, with columns ``id, chapter,
        source, kind, edition, corollary_of, statement, criterion`` (in words), ``estimate,
        interval`` (low, high), ``interval_kind, n, control`` (outcome), ``verdict, notebook``
        (chapter or None) and ``anchor`` (of the card). A claim of a chapter not among `notebooks`
        is ``not yet tested`` and has None for all that would have been found.

    Raises
    ------
    ValueError
        If a claim of an existing chapter is missing, checked twice, invalid, unknown, in the wrong
        chapter, or was measured under another entry. All are listed.
    """
    notebooks = [Path(path) for path in notebooks]
    problems, found = [], []
    for path in notebooks:
        try:
            found += [(path.stem, record) for record in read_records(path, register)]
        except ValueError as error:
            problems.append(str(error))
    unread = len(problems) > 0
    problems += _problems(register, {path.stem for path in notebooks}, found, unread)
    if problems:
        raise ValueError("\n".join(problems))
    records = {record.id: record for _, record in found}
    rows = [_row(entry, records.get(id)) for id, entry in register.items()]
    return pd.DataFrame(rows, columns=COLUMNS, dtype=object)  # keeps None apart from numbers


def _row(entry, record):
    criterion = entry["criterion"]
    fields = ("id", "chapter", "source", "kind", "edition", "corollary_of", "statement")
    row = {field: entry.get(field) for field in fields}
    if criterion is not None:
        row["criterion"] = effects.in_words(entry)
    row["anchor"] = claims.card_anchor(entry["id"])
    if record is None:
        return dict.fromkeys(COLUMNS) | row | {"verdict": claims.NOT_TESTED}
    found = record.found
    return row | {
        "estimate": found.estimate,
        "interval": found.interval,
        "interval_kind": found.interval_kind,
        "n": found.n,
        "control": record.outcomes["control"],
        "verdict": record.verdict,
        "notebook": entry["chapter"],
    }


def _problems(register, chapters, found, unread) -> list[str]:
    problems = []
    for id, times in Counter(record.id for _, record in found).items():
        if times > 1:
            problems.append(f"{id}: checked {times} times, must be once")
    for chapter, record in found:
        entry = record.entry
        if entry["chapter"] != chapter:
            problems.append(
                f"{record.id}: checked in {chapter} but registered for {entry['chapter']}"
            )
        elif fault := _fault(record):
            problems.append(f"{record.id}: {record.verdict}, {fault}")
        elif "n" in entry and record.found.n != entry["n"]["units"]:
            problems.append(
                f"{record.id}: measured on {record.found.n} {entry['n']['of']}, registered for "
                f"{entry['n']['units']}"
            )
    checked = {record.id for _, record in found}
    for id, entry in register.items():
        if entry["chapter"] in chapters and id not in checked and not unread:
            problems.append(f"{id}: registered for {entry['chapter']} but never checked there")
    return problems


def _fault(record) -> str | None:
    """What makes a record worthless, in words."""
    control, outcome = record.entry["control"]["statement"], record.outcomes["control"]
    if record.fault == "saturated":
        null, level = record.entry["null"]["statement"], record.levels["null"].estimate
        return f"the null ({null}) is at {level:.3g} and leaves no room for an effect"
    if record.fault == "blind control":
        return f"the claim's own numbers meet the criterion of its control ({control}) as well"
    if record.fault:
        return f"its control ({control}) came out as {record.control.estimate:.3g} every time"
    return None if outcome == "met" else f"its control ({control}) came out '{outcome}'"


def count_verdicts(table: pd.DataFrame) -> dict[str, int]:
    """Count the verdicts of a ledger; every verdict there is appears, with 0 if need be.

    Examples
    --------
    >>> count_verdicts(collect(claims.load_register(), []))["reproduced"]
    0
    """
    counts = table["verdict"].value_counts()
    return {v: int(counts.get(v, 0)) for v in (*claims.VERDICTS, claims.NOT_TESTED)}
