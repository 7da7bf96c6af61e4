"""How a verdict stands: reproduced elsewhere, robust to other settings, replicated on other data.

Three questions that a single run cannot answer, kept apart as large replication projects keep them:

- *reproduced*: the same chapter with other kernels, threads or releases (`book/reproductions`);
- *robust*: other settings of the chapter (its sweep, `sweeps/results`). A verdict that held in
  fewer than two thirds of them is *fragile*, and no tally adds it to the others;
- *replicated*: other data, or somebody else's model. The register names what would replicate a
  claim and, once there are any, the claims that do.

What nobody has tried is None, and is shown as a blank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from hblib import claims
from hblib.claims import Record
from runner import files, ledger, tables
from runner.sweep import Stability

ROBUST = 2 / 3  # share of the settings in which a verdict must hold


class Count(NamedTuple):
    """How often a verdict came out the same."""

    same: int
    of: int


class Standing(NamedTuple):
    """How the verdict of one claim stands.

    Attributes
    ----------
    reproduced : Count or None
        Over the executions elsewhere.
    robust : Count or None
        Over the settings of the chapter's sweep.
    replication : str or None
        The data or model that would replicate it, in words.
    replicated : tuple of (str, str)
        Claims that do, each with its verdict.
    """

    reproduced: Count | None
    robust: Count | None
    replication: str | None
    replicated: tuple[tuple[str, str], ...]

    @property
    def fragile(self) -> bool:
        """Whether the verdict held in too few of the settings tried."""
        return self.robust is not None and self.robust.same < ROBUST * self.robust.of


def compared(
    rows: pd.DataFrame, committed: Mapping[str, tuple[str, Record]], register: Mapping[str, dict]
) -> pd.DataFrame:
    """Put what came out elsewhere beside the committed records of the same claims.

    Parameters
    ----------
    rows : DataFrame
        Of one execution elsewhere (see `runner.tables`), with the column ``stamp``.
    committed : dict of str to (str, Record)
        Claim -> stamp of its chapter, and its record.
    register : dict

    Returns
    -------
    DataFrame
        ``claim``, ``verdict``, ``committed`` (verdict), and ``shift``: how far the estimate moved,
        in widths of the committed interval; NaN where the interval has no width. Only chapters
        that are as they were then.
    """
    found = []
    for row in rows.to_dict("records"):
        stamp, record = committed.get(row["claim"], (None, None))
        here = tables.record(row, register)
        if row["stamp"] != stamp or here is None:
            continue
        low, high = record.found.interval
        width = high - low
        moved = abs(here.found.estimate - record.found.estimate)
        shift = moved / width if width > 0 else float("nan")
        found.append((record.id, here.verdict, record.verdict, shift))
    return pd.DataFrame(found, columns=["claim", "verdict", "committed", "shift"])


def committed(
    notebooks: Iterable[Path], register: Mapping[str, dict]
) -> dict[str, tuple[str, Record]]:
    """Return claim -> (stamp of its chapter, record) of the executed chapters."""
    found = {}
    for path in notebooks:
        stamp = files.read(path).metadata.get("hblib", {}).get("stamp")
        found |= {one.id: (stamp, one) for one in ledger.read_records(path, register)}
    return found


def standings(
    root: Path,
    register: Mapping[str, dict],
    notebooks: Iterable[Path],
    stability: Mapping[str, Stability],
) -> dict[str, Standing]:
    """Return how the verdict of every registered claim stands.

    Parameters
    ----------
    root : Path
        The book's folder.
    register : dict
    notebooks : iterable of Path
        The executed chapters.
    stability : dict of str to Stability
        Of the claims that a sweep has tried (see `runner.sweep.stability`).

    Returns
    -------
    dict of str to Standing
        By claim, in the order of the register.
    """
    here = committed(notebooks, register)
    same, of = Counter(), Counter()
    for path in sorted((root / "book" / "reproductions").glob("*.csv")):
        _, rows = tables.read(path)
        for row in compared(rows, here, register).itertuples():
            of[row.claim] += 1
            same[row.claim] += row.verdict == row.committed
    found = {}
    for id, entry in register.items():
        swept, replication = stability.get(id), entry.get("replication", {})
        verdicts = {other: here[other][1].verdict for other in replication.get("claims", [])
                    if other in here}  # fmt: skip
        found[id] = Standing(
            reproduced=Count(same[id], of[id]) if of[id] else None,
            robust=Count(swept.held, swept.n_settings) if swept else None,
            replication=replication.get("data"),
            replicated=tuple(verdicts.items()),
        )
    return found


def tally(table: pd.DataFrame, fragile: Collection[str] = ()) -> dict[str, dict[str, int]]:
    """Count verdicts kind by kind, since a checked identity is no finding.

    Parameters
    ----------
    table : DataFrame
        See `runner.ledger.collect`.
    fragile : collection of str
        Claims whose verdict did not hold in enough settings; of the effects these are counted
        apart.

    Returns
    -------
    dict of str to dict
        Kind -> verdict -> number, verdicts without a claim left out; ``fragile`` is one of the
        verdicts of effects. Corollaries are no theorems of their own: they are counted by
        themselves, as the kind ``corollary``.
    """
    kinds = {kind: Counter() for kind in ("theorem", "corollary", "example", "effect")}
    for row in table.itertuples():
        kind = "corollary" if row.corollary_of else row.kind
        apart = kind == "effect" and row.id in fragile
        kinds[kind]["fragile" if apart else row.verdict] += 1
    order = (*claims.VERDICTS, "fragile", claims.NOT_TESTED)
    return {kind: {v: count[v] for v in order if count[v]} for kind, count in kinds.items()}
