"""The ledger of claims, and the counts and verdicts that other pages quote from it."""

import posixpath

from docutils import nodes
from hb_evidence import EvidenceDirective, evidence
from hb_html import filled
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
        where = f"{page}#{claims.ledger_anchor(self.text)}"
        verdict = verdicts[self.text]
        return [filled("cited_claim.html", claim=self.text, address=where, verdict=verdict)], []


class Verdict(SphinxRole):
    """``{verdict}`open```: a verdict's label."""

    def run(self):
        if self.text not in (*claims.VERDICTS, claims.NOT_TESTED):
            message = f"there is no verdict {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [filled("verdict.html", verdict=self.text)], []


class ClaimsSummary(EvidenceDirective):
    """How many claims were tested, and the count of each verdict."""

    def make(self, known):
        waiting = known.counts[claims.NOT_TESTED]
        return [filled("claims_summary.html", known=known, waiting=waiting)]


def shown(value):
    """A number of the ledger, with a true minus."""
    return str(claims.num(value, ".3g").text).replace("-", "\u2212")


class ClaimsLedger(EvidenceDirective):
    """The table of all claims."""

    def make(self, known):
        return [
            filled(
                "ledger.html",
                known=known,
                not_tested=claims.NOT_TESTED,
                sources=SOURCES,
                row_id=claims.ledger_anchor,
                address=self.address,
                shown=shown,
            )
        ]


def setup(app):
    app.add_role("claims-count", ClaimsCount())
    app.add_role("claim", Claim())
    app.add_role("verdict", Verdict())
    app.add_directive("claims-summary", ClaimsSummary)
    app.add_directive("claims-ledger", ClaimsLedger)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
