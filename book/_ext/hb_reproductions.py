"""How the chapters came out on other machines, with other releases, kernels and threads."""

from docutils import nodes
from hb_evidence import EvidenceDirective
from hb_html import simple_table, tag

from runner import standing, tables


class Reproductions(EvidenceDirective):
    """A table: what was different, how many verdicts were the same, how far estimates moved."""

    def make(self, known):
        committed = standing.committed(known.chapters, known.register)
        rows = []
        for path in sorted((known.root / "book" / "reproductions").glob("*.csv")):
            self.env.note_dependency(str(path))
            about, table = tables.read(path)
            found = standing.compared(table, committed, known.register)
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
