"""The ledger of claims, and the counts and verdicts that other pages quote from it."""

import posixpath

from docutils import nodes
from hb_evidence import EvidenceDirective, evidence
from hb_html import filled
from hb_outputs import card
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
# Kind -> what the front page calls it, and what it is.
KINDS = {
    "theorem": ("theorems", "proved, and checked on random instances"),
    "example": ("examples", "printed ones, computed exactly"),
    "effect": ("effects", "what training happens to produce"),
}


class ClaimsCount(SphinxRole):
    """``{claims-count}`all```: how many claims there are, of a kind, or effects so judged.

    Verdicts are counted for effects alone, since a checked identity is no finding.
    """

    def run(self):
        known = evidence(self.env)
        if known is None:
            return [], []
        numbers = {
            "all": len(known.table),
            "tested": known.tested,
            "untested": known.counts[claims.NOT_TESTED],
            "fragile": len(known.fragile),
            "first edition": known.first_edition,
            **{kind: sum(counts.values()) for kind, counts in known.tally.items()},
            **{verdict: known.tally["effect"].get(verdict, 0) for verdict in claims.VERDICTS},
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
        verdict, fragile = verdicts[self.text], self.text in known.fragile
        if fragile and self.env.docname == self.env.config.root_doc:
            message = (
                f"{self.text} is fragile, its verdict did not hold in two thirds of the settings "
                "tried: no headline can rest on it."
            )
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        node = filled(
            "cited_claim.html", claim=self.text, address=where, verdict=verdict, fragile=fragile
        )
        return [node], []


class Verdict(SphinxRole):
    """``{verdict}`open```: a verdict's label."""

    def run(self):
        if self.text not in (*claims.VERDICTS, claims.NOT_TESTED):
            message = f"there is no verdict {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [filled("verdict.html", verdict=self.text)], []


class ClaimsSummary(EvidenceDirective):
    """How many claims there are of each kind, and how they came out."""

    def make(self, known):
        return [filled("claims_summary.html", known=known, kinds=KINDS)]


class CardExample(EvidenceDirective):
    """``{card-example} match.trained``: the card of a claim, on another page than its chapter's."""

    required_arguments = 1

    def make(self, known):
        id = self.arguments[0]
        if id not in known.records:
            message = f"there is no checked claim {id!r}"
            return [self.state.document.reporter.error(message, line=self.lineno)]
        return [nodes.raw("", card(self.env, known, known.records[id]), format="html")]


class Forecasts(EvidenceDirective):
    """How good the probabilities were that stood beside the effects before they were measured."""

    def make(self, known):
        scored = [
            (claim["registered"]["forecast"], claim["verdict"].startswith("reproduced"))
            for claim in known.export["claims"]
            if "forecast" in claim["registered"] and claim["outcomes"]
        ]
        brier = sum((p - met) ** 2 for p, met in scored) / len(scored) if scored else None
        return [filled("forecasts.html", n=len(scored), brier=brier)]


def shown(value):
    """A number of the ledger, with a true minus."""
    return str(claims.num(value, ".3g").text).replace("-", "\u2212")


class ClaimsLedger(EvidenceDirective):
    """The table of all claims."""

    def make(self, known):
        return [
            filled(
                "ledger.html",
                claims=known.export["claims"],
                stale={chapter: swept.stale for chapter, swept in known.sweeps.items()},
                not_tested=claims.NOT_TESTED,
                sources=SOURCES,
                row_id=claims.ledger_anchor,
                card_id=claims.card_anchor,
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
    app.add_directive("card-example", CardExample)
    app.add_directive("forecasts", Forecasts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
