"""How a claim looks: the card in a chapter.

A card is semantic HTML that reads well without any style sheet (classes ``hb-claim__*`` are for the
book's). The verdict is always written out, never shown by colour alone.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import asdict

from hblib.claims import _criteria as criteria
from hblib.claims._outputs import num, text_to_html


def card_anchor(id: str) -> str:
    """Return the id of a claim's card in its chapter: ``claim-rotation-gd-equivariant``."""
    return "claim-" + id.replace(".", "-")


def ledger_anchor(id: str) -> str:
    """Return the id of a claim's row in the ledger: ``ledger-rotation-gd-equivariant``."""
    return "ledger-" + id.replace(".", "-")


def _registered_html(part: Mapping) -> str:
    criterion = html.escape(criteria.in_words(part["criterion"]))
    return f"{text_to_html(part['statement'])}; must hold: {criterion}"


def _found_html(found: Mapping) -> str:
    low, high = (num(x, ".3g").__html__() for x in found["interval"])
    return (
        f"{num(found['estimate'], '.3g').__html__()}, {html.escape(found['interval_kind'])} "
        f"[{low}, {high}], n = {found['n']}: criterion {found['outcome']}"
    )


def _found_text(found: Mapping) -> str:
    # The label of the interval may depend on the last digits (BCa or percentile): HTML only.
    low, high = (num(x, ".3g") for x in found["interval"])
    estimate = num(found["estimate"], ".3g")
    return f"{estimate} [{low}, {high}], n = {found['n']}: criterion {found['outcome']}"


def _card_rows(record) -> list[tuple[str, str]]:
    """Label and HTML of each row of a card, in reading order."""
    r, control = record, record.control
    rows = [
        ("Measured", text_to_html(r.statistic)),
        ("Criterion, fixed beforehand", html.escape(criteria.in_words(r.criterion))),
        ("Found", _found_html(asdict(r))),
        ("Control", _registered_html(control)),
        ("Control found", _found_html(control)),
    ]
    if r.mended:
        rows += [
            ("As mended", _registered_html(r.mended)),
            ("As mended, found", _found_html(r.mended)),
        ]
    if r.caveat:
        rows.append(("Caveat", text_to_html(r.caveat)))
    if r.note:
        rows.append(("Note", text_to_html(r.note)))
    return rows


def card_html(record) -> str:
    """Return the card of a checked claim as HTML, with a link to its row in the ledger."""
    r = record
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in _card_rows(r))
    return (
        f'<div class="hb-claim" id="{card_anchor(r.id)}" data-verdict="{r.verdict}" role="group" '
        f'aria-label="Claim {r.id}: {r.verdict}">'
        f'<p class="hb-claim__head"><strong class="hb-claim__verdict">{r.verdict}</strong> '
        f'<code class="hb-claim__id">{r.id}</code> '
        f'<span class="hb-claim__kind">{r.kind}</span></p>'
        f'<p class="hb-claim__statement">{text_to_html(r.statement)}</p>'
        f'<dl class="hb-claim__facts">{rows}</dl>'
        f'<p class="hb-claim__link"><a href="../book/ledger.html#{ledger_anchor(r.id)}">'
        f"{r.id} in the ledger</a></p></div>"
    )


def card_text(record) -> str:
    """Return the card of a checked claim as plain text."""
    r = record
    lines = [
        f"{r.id}: {r.verdict}",
        f"  {r.statement}",
        f"  criterion: {criteria.in_words(r.criterion)}",
        f"  found: {_found_text(asdict(r))}",
        f"  control: {r.control['statement']}; {criteria.in_words(r.control['criterion'])}",
        f"  control found: {_found_text(r.control)}",
    ]
    if r.mended:
        lines.append(f"  as mended: {r.mended['statement']}")
        lines.append(f"  as mended, found: {_found_text(r.mended)}")
    if r.caveat:
        lines.append(f"  caveat: {r.caveat}")
    if r.note:
        lines.append(f"  note: {r.note}")
    return "\n".join(lines)
