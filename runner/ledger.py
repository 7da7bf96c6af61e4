"""The ledger: what the executed chapters found of every registered claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from hblib.claims import MIME, NOT_TESTED, VERDICTS, Record, card_anchor
from hblib.claims import _criteria as criteria
from hblib.claims._register import _verdict
from runner import parameters


def read_records(notebook: str | Path) -> list[dict]:
    """Return the claim records in the outputs of an executed notebook, in order.

    Parameters
    ----------
    notebook : path

    Returns
    -------
    list of dict
        See `Record.to_dict`.
    """
    nb = parameters.read(notebook)
    outputs = (out for cell in nb.cells for out in cell.get("outputs", ()))
    found = [out["data"][MIME] for out in outputs if MIME in out.get("data", {})]
    for record in found:
        if not isinstance(record, dict):
            raise ValueError(f"{notebook}: a claim record must be a mapping, not {record!r}")
    return [dict(record) for record in found]


def collect(register: Mapping[str, dict], notebooks: Iterable[str | Path]) -> pd.DataFrame:
    """Bring the register and the records of the executed chapters together.

    Parameters
    ----------
    register : dict
        See `load_register`.
    notebooks : iterable of paths
        The chapters there are; a chapter is known by its file name without the ending.

    Returns
    -------
    DataFrame
        One row per registered claim, in the order of the register, with columns ``id, chapter,
        source, kind, statement, criterion`` (in words), ``estimate, interval`` (low, high),
        ``interval_kind, n, control`` (outcome), ``verdict, notebook`` (chapter or None) and
        ``anchor`` (of the card). A claim of a chapter not among `notebooks` is
        ``not yet tested`` and has None for all that would have been found.

    Raises
    ------
    ValueError
        If a claim of an existing chapter is missing, checked twice, invalid, unknown, in the wrong
        chapter, or was judged by another criterion than the registered one. All are listed.
    """
    notebooks = [Path(path) for path in notebooks]
    chapters = {path.stem for path in notebooks}
    found = [(path.stem, Record.from_dict(r)) for path in notebooks for r in read_records(path)]
    problems = _problems(register, chapters, found)
    if problems:
        raise ValueError("\n".join(problems))
    records = {record.id: record for _, record in found}
    rows = []
    for id, entry in register.items():
        row = {field: entry[field] for field in ("id", "chapter", "source", "kind", "statement")}
        criterion, record = entry["criterion"], records.get(id)
        row["criterion"] = None if criterion is None else criteria.in_words(criterion)
        for field in ("estimate", "interval", "interval_kind", "n"):
            row[field] = None if record is None else getattr(record, field)
        row["control"] = None if record is None else record.control["outcome"]
        row["verdict"] = NOT_TESTED if record is None else record.verdict
        row["notebook"] = None if record is None else entry["chapter"]
        row["anchor"] = card_anchor(id)
        rows.append(row)
    return pd.DataFrame(rows, dtype=object)  # keeps None apart from numbers


def _problems(register: Mapping, chapters: set, found: list[tuple[str, Record]]) -> list[str]:
    problems = []
    for id, times in Counter(record.id for _, record in found).items():
        if id not in register:
            problems.append(f"{id}: checked in a notebook but not registered")
        elif times > 1:
            problems.append(f"{id}: checked {times} times, must be once")
    for chapter, record in found:
        entry = register.get(record.id)
        if entry is None:
            continue
        if entry["chapter"] != chapter:
            problems.append(
                f"{record.id}: checked in {chapter} but registered for {entry['chapter']}"
            )
        if entry["criterion"] is None or not _agrees(record, entry):
            problems.append(
                f"{record.id}: its record does not follow from the criteria now registered; "
                f"execute {chapter} again"
            )
        elif record.verdict == "invalid":
            problems.append(
                f"{record.id}: invalid, its control ({record.control['statement']}) "
                f"came out '{record.control['outcome']}'"
            )
    checked = {record.id for _, record in found}
    for id, entry in register.items():
        if entry["chapter"] in chapters and id not in checked:
            problems.append(f"{id}: registered for {entry['chapter']} but never checked there")
    return problems


def _agrees(record: Record, entry: Mapping) -> bool:
    mended = entry.get("as_mended")
    return (
        record.criterion == entry["criterion"]
        and record.control["criterion"] == entry["control"]["criterion"]
        and (record.mended or {}).get("criterion") == (mended or {}).get("criterion")
        and record.verdict == _verdict(entry, record.outcome, record.control, record.mended)
    )


def count_verdicts(table: pd.DataFrame) -> dict[str, int]:
    """Count the verdicts of a ledger; every verdict there is appears, with 0 if need be.

    Examples
    --------
    >>> count_verdicts(ledger(load_register(), []))["reproduced"]
    0
    """
    counts = table["verdict"].value_counts()
    return {verdict: int(counts.get(verdict, 0)) for verdict in (*VERDICTS, NOT_TESTED)}
