"""Tables of outcomes: one row for each claim of each run, one reader, one writer.

A sweep and a reproduction store the same: what was found of every claim, and never a verdict. The
file is CSV below one line of JSON, which says what the table was made from, how many rows it has
and their hash. A table that was cut off or edited is refused, in one sentence.
"""

import io
import json
from pathlib import Path

import pandas as pd

from hblib.claims import Finding, Record, registered_hash
from runner import files

_PARTS = ("found", "control", "mended")
_LEVELS = ("measured", "null")
_FIELDS = ("estimate", "low", "high", "interval", "n")
OUTCOME = [f"{part}_{field}" for part in (*_PARTS, *_LEVELS) for field in _FIELDS]
COLUMNS = ["claim", "registered", *OUTCOME, "error"]


def row(outcome):
    """Return what a notebook stores of one claim as one flat row.

    Parameters
    ----------
    outcome : dict
        See `hblib.claims.Record.to_dict`.

    Returns
    -------
    dict
        With the keys `COLUMNS`; None for what there is not.
    """
    flat = dict.fromkeys(COLUMNS) | {"claim": outcome["id"], "registered": outcome["registered"]}
    for part in (*_PARTS, *_LEVELS):
        found = outcome[part] if part in _PARTS else outcome.get("levels", {}).get(part)
        if found is not None:
            low, high = found["interval"]
            values = (found["estimate"], low, high, found["interval_kind"], found["n"])
            flat |= {f"{part}_{field}": value for field, value in zip(_FIELDS, values)}
    return flat


def failure(error):
    """Return the row of a run that failed."""
    return dict.fromkeys(COLUMNS) | {"error": error}


def record(flat, register):
    """Return the `hblib.claims.Record` of a row, or None if what is registered is another now.

    Parameters
    ----------
    flat : mapping
        A row of a table.
    register : dict
    """
    entry = register.get(flat["claim"])
    if entry is None or flat["registered"] != registered_hash(entry):
        return None
    findings = {}
    for part in (*_PARTS, *_LEVELS):
        estimate, low, high, kind, n = (flat[f"{part}_{field}"] for field in _FIELDS)
        findings[part] = None if pd.isna(n) else Finding(estimate, [low, high], kind, int(n))
    levels = {part: findings.pop(part) for part in _LEVELS}
    return Record(entry=entry, levels=levels if levels["null"] else None, **findings)


def write(path, about, frame):
    """Write a table in one step.

    Parameters
    ----------
    path : str or Path
    about : dict
        What the table was made from; anything that JSON can hold.
    frame : DataFrame
        Rows as `row` makes them, with further columns before them.
    """
    frame = frame.astype({f"{part}_n": "Int64" for part in (*_PARTS, *_LEVELS)})
    text = frame.to_csv(index=False, lineterminator="\n", float_format="%.9g")
    header = {**about, "rows": len(frame), "content": files.digest(text.encode())}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    files.write(f"# {json.dumps(header)}\n{text}", path)


def read(path):
    """Return what a table was made from, and the table.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict
        With ``rows`` and ``content`` besides what was written.
    DataFrame

    Raises
    ------
    ValueError
        If the file is no table of outcomes, was cut off, or was edited.
    """
    path = Path(path)
    try:
        first, _, text = path.read_text(encoding="utf-8").partition("\n")
        about = json.loads(first.removeprefix("# "))
        if not isinstance(about, dict) or not {"rows", "content"} <= about.keys():
            raise ValueError("header")
        if about["content"] != files.digest(text.encode()):
            raise ValueError("content")
        types = {"claim": str, "registered": str, "error": str, "run": str}
        frame = pd.read_csv(io.StringIO(text), dtype=types, keep_default_na=True)
        optional = {f"{part}_{field}" for part in _LEVELS for field in _FIELDS}
        whole = len(frame) == about["rows"] and {*COLUMNS} - optional <= {*frame.columns}
        for column in sorted(optional - {*frame.columns}):  # nothing in it is judged by a contrast
            frame[column] = None
    except ValueError as error:
        if str(error) == "content":
            raise ValueError(
                f"{path} does not hold what was computed: it was edited or cut off; make it anew"
            ) from None
        whole = False
    if not whole:
        raise ValueError(f"{path} is not a whole table of outcomes; make it anew")
    return about, frame
