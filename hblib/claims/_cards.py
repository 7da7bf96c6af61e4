"""How a claim looks: a card, a line of plain text, the table of a chapter's verdicts.

A card is semantic HTML that reads well without any style sheet (classes ``hb-claim__*`` are for the
book's). The verdict is always written out, never shown by colour alone. The site makes its cards
when it is built; to change this file makes no chapter stale.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hblib.claims import _criteria as criteria
from hblib.claims._criteria import Finding
from hblib.claims._outputs import num, text_to_html

if TYPE_CHECKING:
    from hblib.claims._records import Record


def card_anchor(id: str) -> str:
    """Return the id of a claim's card in its chapter: ``claim-rotation-gd-equivariant``."""
    return "claim-" + id.replace(".", "-")


def ledger_anchor(id: str) -> str:
    """Return the id of a claim's row in the ledger: ``ledger-rotation-gd-equivariant``."""
    return "ledger-" + id.replace(".", "-")


def _registered_html(part: Mapping) -> str:
    criterion = html.escape(criteria.in_words(part["criterion"]))
    return f"{text_to_html(part['statement'])}; must hold: {criterion}"


def _found_html(found: Finding, outcome: str) -> str:
    low, high = (num(x, ".3g").__html__() for x in found.interval)
    return (
        f"{num(found.estimate, '.3g').__html__()}, {html.escape(found.interval_kind)} "
        f"[{low}, {high}], n = {found.n}: criterion {outcome}"
    )


def _card_rows(record: Record) -> list[tuple[str, str]]:
    """Label and HTML of each row of a card, in reading order."""
    entry, outcomes = record.entry, record.outcomes
    rows = [
        ("Measured", text_to_html(entry["statistic"])),
        ("Criterion, fixed beforehand", html.escape(criteria.in_words(entry["criterion"]))),
        ("Found", _found_html(record.found, outcomes["found"])),
        ("Control", _registered_html(entry["control"])),
        ("Control found", _found_html(record.control, outcomes["control"])),
    ]
    if record.mended:
        rows += [
            ("As mended", _registered_html(entry["as_mended"])),
            ("As mended, found", _found_html(record.mended, outcomes["mended"])),
        ]
    if entry.get("caveat"):
        rows.append(("Caveat", text_to_html(entry["caveat"])))
    if record.note:
        rows.append(("Note", text_to_html(record.note)))
    return rows


def card_html(record: Record, ledger: str | None = None) -> str:
    """Return the card of a checked claim as HTML.

    Parameters
    ----------
    record : Record
    ledger : str, optional
        Address of the page with the ledger, to link to the claim's row there.
    """
    entry, verdict = record.entry, record.verdict
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in _card_rows(record))
    link = "" if ledger is None else (
        f'<p class="hb-claim__link"><a href="{html.escape(ledger)}#{ledger_anchor(record.id)}">'
        f"{record.id} in the ledger</a></p>"
    )  # fmt: skip
    return (
        f'<div class="hb-claim" id="{card_anchor(record.id)}" data-verdict="{verdict}" '
        f'role="group" aria-label="Claim {record.id}: {verdict}">'
        f'<p class="hb-claim__head"><strong class="hb-claim__verdict">{verdict}</strong> '
        f'<code class="hb-claim__id">{record.id}</code> '
        f'<span class="hb-claim__kind">{entry["kind"]}</span></p>'
        f'<p class="hb-claim__statement">{text_to_html(entry["statement"])}</p>'
        f'<dl class="hb-claim__facts">{rows}</dl>{link}</div>'
    )


def card_text(record: Record) -> str:
    """Return what was found of a claim as one line of plain text, without a verdict."""
    parts = [("", record.found), ("control ", record.control), ("as mended ", record.mended)]
    said = []
    for name, found in parts:
        if found is not None:
            low, high = (num(x, ".3g") for x in found.interval)
            said.append(f"{name}{num(found.estimate, '.3g')} [{low}, {high}], n = {found.n}")
    return f"{record.id}: {'; '.join(said)}"


def summary_html(records: Iterable[Record]) -> str:
    """Return the table of verdicts that ends a chapter, as HTML."""
    rows = "".join(
        f'<tr data-verdict="{r.verdict}"><th scope="row">'
        f'<a href="#{card_anchor(r.id)}">{r.id}</a></th>'
        f"<td>{text_to_html(r.entry['statement'])}</td><td>{r.verdict}</td></tr>"
        for r in records
    )
    return (
        '<table class="hb-summary"><caption>Verdicts of this chapter</caption><thead><tr>'
        '<th scope="col">Claim</th><th scope="col">Statement</th><th scope="col">Verdict</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )
