"""How the chapters came out on other machines, with other releases, kernels and threads."""

import pandas as pd
from docutils import nodes
from hb_evidence import EvidenceDirective
from hb_html import filled
from hb_status import recorded

from runner import ledger, tables


def compared(rows, committed, register):
    """Rows of the chapters as they are now, beside the committed records of the same claims.

    Parameters
    ----------
    rows : DataFrame
        Of one reproduction.
    committed : dict of str to (str, Record)
        Claim -> stamp of its chapter and record.
    register : dict

    Returns
    -------
    DataFrame
        ``claim``, ``verdict``, ``committed`` (verdict), and ``shift``: how far the estimate moved,
        in widths of the committed interval; NaN where the interval has no width.
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


class Reproductions(EvidenceDirective):
    """A table: what was different, how many verdicts were the same, how far estimates moved."""

    def make(self, known):
        committed = {}
        for path in known.chapters:
            stamp = recorded(path).get("stamp")
            found = ledger.read_records(path, known.register)
            committed |= {record.id: (stamp, record) for record in found}
        rows = []
        for path in sorted((known.root / "book" / "reproductions").glob("*.csv")):
            self.env.note_dependency(str(path))
            about, table = tables.read(path)
            found = compared(table, committed, known.register)
            rows.append(self.row(about, found, len(committed)))
        if not rows:
            return [nodes.paragraph("", "No reproduction has been committed yet.")]
        return [filled("reproductions.html", rows=rows)]

    def row(self, about, found, n_claims):
        other = found["verdict"] != found["committed"]
        shifts = found["shift"].dropna()
        return {
            "about": about,
            "found": len(found),
            "same": (~other).sum(),
            "others": found[other].to_dict("records"),
            "changed": n_claims - len(found),
            "median": shifts.median(),
            "most": shifts.max(),
            "farthest": found.loc[shifts.idxmax(), "claim"] if len(shifts) else "",
        }


def setup(app):
    app.add_directive("reproductions", Reproductions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
