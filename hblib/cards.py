"""How a claim looks: the card in a chapter, and numbers that may differ in their last digits.

A card is semantic HTML that reads well without any style sheet (classes ``hb-claim__*`` are for the
book's). The verdict is always written out, never shown by colour alone.

Notebook tests compare outputs letter by letter. Verdicts, criteria and sample sizes must be the
same on every machine; estimates may differ in their last digits, so each is wrapped by `num` in a
form that those tests leave out. What holds them in bounds is the criterion of the claim.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping
from dataclasses import asdict

from hblib import criteria


class Num:
    """A number whose last digits may differ between processors; made by `num`."""

    def __init__(self, value: float, text: str):
        self.value, self.text = value, text

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        return f"≈{self.text}"

    def __html__(self) -> str:
        return f'<data class="hb-num" value="{self.text}">{self.text}</data>'

    _repr_html_ = __html__


def num(x: float, fmt: str = ".2g") -> Num:
    """Mark a number as one that may differ in its last digits from machine to machine.

    The notebook tests compare everything else letter by letter and leave such numbers out: they
    are held in bounds by the criterion of a claim instead.

    Parameters
    ----------
    x : float
    fmt : str
        A format specification that yields digits, signs, points and exponents only.

    Returns
    -------
    Num
        ``<data class="hb-num" value="3.2e-15">3.2e-15</data>`` as HTML, ``≈3.2e-15`` as text.

    Raises
    ------
    ValueError
        If the format yields anything else.

    Examples
    --------
    >>> num(3.21e-15, ".1e")
    ≈3.2e-15
    """
    text = format(float(x), fmt)
    if not re.fullmatch(r"[-+0-9.eE]+", text) and math.isfinite(x):
        raise ValueError(f"fmt {fmt!r} gives {text!r}; only digits, signs, point and e are allowed")
    return Num(float(x), text)


def text_to_html(text: str) -> str:
    r"""Escape a sentence for HTML, leaving ``$math$`` to MathJax in Sphinx's own markup.

    Examples
    --------
    >>> text_to_html("a < $b$")
    'a &lt; <span class="math notranslate nohighlight">\\(b\\)</span>'
    """
    parts = re.split(r"\$([^$]+)\$", text)
    for i, part in enumerate(parts):
        parts[i] = html.escape(part)
        if i % 2:
            parts[i] = f'<span class="math notranslate nohighlight">\\({parts[i]}\\)</span>'
    return "".join(parts)


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
