"""How the chapters came out on other machines, with other releases, kernels and threads."""

from docutils import nodes
from hb_evidence import EvidenceDirective
from hb_html import filled

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
