"""The ledger of claims, and the counts and verdicts that other pages quote from it."""

import posixpath

from docutils import nodes
from hb_evidence import EvidenceDirective, evidence
from hb_html import badge, in_box, tag, with_math
from sphinx.util.docutils import SphinxRole

from hblib import claims

SOURCES = {
    "000": "Wilson 2016",
    "001": "Pechyonkin 2017",
    "002": "Johnson 2019",
    "003": "Goh 2016",
    "004": "Tan 2015",
    "ext": "this book",
}


class ClaimsCount(SphinxRole):
    """``{claims-count}`all```: how many claims are registered, tested, untested, or so judged."""

    def run(self):
        known = evidence(self.env)
        if known is None:
            return [], []
        numbers = {
            "all": len(known.table),
            "tested": known.tested,
            "untested": known.counts[claims.NOT_TESTED],
            **known.counts,
        }
        if self.text not in numbers:
            message = f"claims-count knows {', '.join(numbers)}, not {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [nodes.Text(str(numbers[self.text]))], []


class Claim(SphinxRole):
    """``{claim}`rotation.reflections```: a claim's verdict, as a link to its row in the ledger."""

    def run(self):
        known = evidence(self.env)
        if known is None:
            return [], []
        verdicts = known.table.set_index("id")["verdict"]
        if self.text not in verdicts:
            message = f"there is no claim {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        page = posixpath.relpath("book/ledger.html", posixpath.dirname(self.env.docname))
        label = badge(verdicts[self.text])
        where = f"{page}#{claims.ledger_anchor(self.text)}"
        return [tag("a", label, href=where, class_="hb-cited-claim", title=self.text)], []


class Verdict(SphinxRole):
    """``{verdict}`open```: a verdict's label."""

    def run(self):
        if self.text not in (*claims.VERDICTS, claims.NOT_TESTED):
            message = f"there is no verdict {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [badge(self.text)], []


class ClaimsSummary(EvidenceDirective):
    """How many claims were tested, and the count of each verdict."""

    def make(self, known):
        total = len(known.table)
        items = [
            tag("li", tag("span", str(count), class_="hb-count"), badge(verdict))
            for verdict, count in known.counts.items()
            if count or verdict in ("reproduced", "refuted", "corrected", "open")
        ]
        waiting = known.counts[claims.NOT_TESTED]
        rest = f"; {waiting} still wait for their chapter" if waiting else ""
        sentence = f"{known.tested} of {total} claims tested{rest}."
        return [
            nodes.paragraph("", "", nodes.strong("", sentence)),
            tag("ul", *items, class_="hb-counts"),
        ]


def _number(value):
    return tag(
        "data",
        str(claims.num(value, ".3g").text).replace("-", "\u2212"),
        class_="hb-num",
        value=value,
    )


class ClaimsLedger(EvidenceDirective):
    """The table of all claims."""

    columns = ("Claim", "Source", "Kind", "Estimate", "n", "Control", "Verdict", "Sweep")
    caption = "All registered claims. Estimates are followed by their interval or range."

    def make(self, known):
        head = [tag("th", name, scope="col", role="columnheader") for name in self.columns]
        rows = [self.row(entry, known) for entry in known.table.itertuples(index=False)]
        # The roles keep it a table for screen readers where a phone shows the rows as cards.
        table = tag(
            "table",
            tag("caption", self.caption),
            tag("thead", tag("tr", *head, role="row"), role="rowgroup"),
            tag("tbody", *rows, role="rowgroup"),
            class_="hb-ledger",
            role="table",
        )
        return [in_box(table, "The claims ledger")]

    def row(self, entry, known):
        name = tag("code", entry.id)
        estimate, n, control, held = ([], ""), ([], ""), "", ([], "")
        if entry.verdict != claims.NOT_TESTED:
            name = self.chapter_link(entry.chapter, name, f"#{entry.anchor}")
            estimate = self.estimate(entry), entry.estimate
            n = [f"{entry.n:,}"], entry.n
            control = entry.control
        if entry.id in known.stability:
            held = self.held(known.stability[entry.id], entry.chapter, known.sweeps[entry.chapter])
        cells = [
            ("Source", [SOURCES[entry.source]], None),
            ("Kind", [entry.kind], None),
            ("Estimate", *estimate),
            ("n", *n),
            ("Control", [control], None),
            ("Verdict", [badge(entry.verdict)], None),
            ("Sweep", *held),
        ]
        statement = [tag("span", name, class_="hb-id"), *with_math(entry.statement)]
        return tag(
            "tr",
            tag("th", *statement, scope="row", role="rowheader", data_sort=entry.id),
            *[
                tag("td", *content, role="cell", data_label=label, data_sort=key)
                for label, content, key in cells
            ],
            id=claims.ledger_anchor(entry.id),
            role="row",
            data_chapter=entry.chapter,
            data_verdict=entry.verdict,
        )

    def estimate(self, entry):
        low, high = map(_number, entry.interval)
        interval = ["[", low, ", ", high, "]"]
        quiet = tag("span", *interval, class_="hb-quiet", title=entry.interval_kind)
        return [_number(entry.estimate), " ", quiet]

    def held(self, stability, chapter, swept):
        text = f"{stability.held} of {stability.n_settings}"
        link = tag("a", text, href=f"robustness.html#sweep-{chapter}")
        note = " (out of date)" if swept.stale else ""
        return [link, note], stability.held / stability.n_settings


def setup(app):
    app.add_role("claims-count", ClaimsCount())
    app.add_role("claim", Claim())
    app.add_role("verdict", Verdict())
    app.add_directive("claims-summary", ClaimsSummary)
    app.add_directive("claims-ledger", ClaimsLedger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
