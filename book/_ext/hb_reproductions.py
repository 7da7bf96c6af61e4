"""How the chapters came out on other machines, with other releases, kernels and threads."""

import pandas as pd
from docutils import nodes
from hb_evidence import EvidenceDirective
from hb_html import simple_table, tag
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
            rows.append(self.row(known, about, found, len(committed)))
        if not rows:
            return [nodes.paragraph("", "No reproduction has been committed yet.")]
        head = ("What is different", "Surroundings", "Same verdict", "Estimates move by")
        return [simple_table("The chapters executed elsewhere", head, rows)]

    def row(self, known, about, found, n_claims):
        same = (found["verdict"] == found["committed"]).sum()
        count = tag("span", f"{same} of {len(found)}")
        others = [
            tag("li", tag("code", row.claim), f": {row.verdict} instead of {row.committed}")
            for row in found[found["verdict"] != found["committed"]].itertuples()
        ]
        if len(found) < n_claims:
            others.append(tag("li", f"{n_claims - len(found)} from chapters that changed since"))
        listed = [tag("ul", *others)] if others else []
        releases = ", ".join(f"{name} {number}" for name, number in about["releases"].items())
        where = tag(
            "details",
            tag("summary", f"{about['processor']}, Python {about['python']}, "
                f"{about['threads']} thread{'s' if about['threads'] > 1 else ''}"),
            tag("div", releases),
            tag("div", "; ".join([*about["linear algebra"], f"torch: {about['torch']}"])),
        )  # fmt: skip
        shifts = found["shift"].dropna()
        moved = "not comparable"
        if len(shifts):
            farthest = found.loc[shifts.idxmax(), "claim"]
            moved = tag(
                "div",
                f"median {shifts.median():.2g}, at most {shifts.max():.2g} (",
                tag("code", farthest),
                ")",
            )
        return [about["about"], where, tag("div", count, *listed), moved]


def setup(app):
    app.add_directive("reproductions", Reproductions)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
