"""How a claim looks: a card, a line of plain text, the table of a chapter's verdicts.

A card is one line, the verdict, the statement and the number beside its null or control, and the
whole form behind it: a ``details`` element, which needs no script. Its HTML reads well without any
style sheet (classes ``hb-claim__*`` are for the book's), and the verdict is always written out,
never shown by colour alone. The site makes its cards when it is built; to change this file makes no
chapter stale.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from hblib.claims import _criteria as criteria
from hblib.claims import _effects as effects
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


def _found_html(found: Finding, outcome: str | None = None) -> str:
    said = f": criterion {outcome}" if outcome else ""
    low, high = (num(x, ".3g").__html__() for x in found.interval)
    return (
        f"{num(found.estimate, '.3g').__html__()}, {html.escape(found.interval_kind)} "
        f"[{low}, {high}], n = {found.n}{said}"
    )


def _in_units(entry: Mapping) -> tuple[Callable[..., str], str, str]:
    """How the numbers of an effect are shown, and the units of a level and of a difference."""
    share = entry["levels"]["unit"] in effects.SHARES

    def said(x: float, sign: str = "") -> str:
        return num(100 * x if share else x, f"{sign}.3g").__html__()

    return (said, " %", " points") if share else (said, "", "")


def _numbers_html(record: Record) -> str:
    """The number that settles a claim beside its null, or else beside its control."""
    (low, high), entry = record.found.interval, record.entry
    if record.levels is not None:
        said, percent, points = _in_units(entry)
        named = ", ".join(
            f"{html.escape(entry['levels'][name])} {said(level.estimate)}{percent}"
            for name, level in record.levels.items()
        )
        return f"{named}: {said(record.found.estimate, '+')} [{said(low)}, {said(high)}]{points}"
    ends = f"[{num(low, '.3g').__html__()}, {num(high, '.3g').__html__()}]"
    return (
        f"{num(record.found.estimate, '.3g').__html__()} {ends}, "
        f"control {num(record.control.estimate, '.3g').__html__()}"
    )


def _aloud_html(record: Record) -> str:
    """What an effect came to, as it would be said aloud."""
    entry, (low, high) = record.entry, record.found.interval
    said, percent, points = _in_units(entry)
    measured, null = (html.escape(entry["levels"][name]) for name in ("measured", "null"))
    least = effects._words(entry["worthwhile"], entry["levels"]["unit"])
    none = entry["criterion"]["direction"] == "none"
    counts = {
        "above": f"A difference counts if it is above {least}",
        "below": f"A difference counts if it is below \u2212{least}",
        "none": f"Differences of less than {least} either way count as none",
    }[entry["criterion"]["direction"]]
    outcome = {
        "met": "the whole interval is within that" if none else "the whole interval is beyond that",
        "not met": "the whole interval is beyond that" if none else "no part of the interval is",
        "undecided": "the interval lies on both sides of that, so this experiment cannot tell",
    }[record.outcomes["found"]]
    return (
        f"Over {entry['n']['units']} {html.escape(entry['n']['of'])}, "
        f"<em>{measured}</em> came to {said(record.levels['measured'].estimate)}{percent} and "
        f"<em>{null}</em> to {said(record.levels['null'].estimate)}{percent}: a difference of "
        f"{said(record.found.estimate, '+')}{points}, and with {90 if none else 95} % confidence "
        f"one between {said(low, '+')} and {said(high, '+')}. {counts}; {outcome}."
    )


def _strip_html(record: Record) -> str:
    """The interval of a contrast drawn over zero and the smallest effect worth having."""
    entry, (low, high) = record.entry, record.found.interval
    least, direction = entry["worthwhile"], entry["criterion"]["direction"]
    scale = 100 if entry["levels"]["unit"] in effects.SHARES else 1
    bounds = {"above": [least], "below": [-least], "none": [-least, least]}[direction]
    ends = [low, high, 0, *bounds]
    start, width = min(ends), (max(ends) - min(ends)) or 1

    def at(x):
        return f"{20 + 260 * (x - start) / width:.1f}"

    def tick(x, label, dash=""):
        return (
            f'<line x1="{at(x)}" x2="{at(x)}" y1="4" y2="26" stroke="currentColor"{dash}/>'
            f'<text x="{at(x)}" y="42" text-anchor="middle" font-size="13" fill="currentColor">'
            f"{label}</text>"
        )

    # Zero stands without its label where that would run into another one.
    close = min(abs(float(at(x)) - float(at(0))) for x in bounds) < 36
    ticks = tick(0, "" if close else "0") + "".join(
        tick(x, f"{scale * x:.3g}".replace("-", "\u2212"), ' stroke-dasharray="3 3"')
        for x in bounds
    )
    return (
        '<svg class="hb-interval" viewBox="0 0 300 46" width="300" height="46" role="img" '
        'aria-label="The interval of the difference, over zero and, dashed, the smallest '
        'difference that counts"><line x1="6" x2="294" y1="15" y2="15" stroke="currentColor" '
        f'opacity="0.35"/>{ticks}<line class="hb-interval__range" x1="{at(low)}" x2="{at(high)}" '
        'y1="15" y2="15" stroke="#0072b2" stroke-width="5"/><circle class="hb-interval__range" '
        f'cx="{at(record.found.estimate)}" cy="15" r="5.5" fill="#0072b2"/></svg>'
    )


def _card_rows(record: Record) -> list[tuple[str, str]]:
    """Label and HTML of each row of a card, in reading order."""
    entry, outcomes = record.entry, record.outcomes
    rows = [("Measured", text_to_html(entry["statistic"]))]
    if record.levels is not None:
        rows.insert(0, ("In plain words", _aloud_html(record) + _strip_html(record)))
    if "n" in entry:
        units = f"{entry['n']['units']} {entry['n']['of']}"
        rows.append(("Independent units, fixed beforehand", html.escape(units)))
    if "null" in entry:
        null = entry["null"]["statement"].rstrip(". "), entry["null"]["why"]
        rows.append(("Strongest null", ": ".join(map(text_to_html, null))))
    rows.append(("Criterion, fixed beforehand", html.escape(effects.in_words(entry))))
    for name, level in (record.levels or {}).items():
        label = html.escape(entry["levels"][name])
        rows.append((label[0].upper() + label[1:], _found_html(level)))
    rows += [
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
    if "forecast" in entry:
        said = f"{entry['forecast']:.0%}, written down before it was measured".replace("%", " %")
        rows.append(("Our forecast that it holds", said))
    return rows


def card_html(
    record: Record,
    ledger: str | None = None,
    standing: Sequence[tuple[str, str]] = (),
    held: str = "",
    fragile: bool = False,
    corollaries: Iterable[Record] = (),
) -> str:
    """Return the card of a checked claim as HTML.

    Parameters
    ----------
    record : Record
    ledger : str, optional
        Address of the page with the ledger, to link to the claim's row there.
    standing : sequence of pairs of str, optional
        Label and HTML of how the verdict fares elsewhere.
    held : str, optional
        In how many of other settings it held, for the card's line.
    fragile : bool, optional
        Whether the verdict held in too few of the settings tried, which then stands on its badge.
    corollaries : iterable of Record, optional
        Of a theorem: what follows from it, a line each.
    """
    entry, verdict = record.entry, record.verdict
    rows = "".join(
        f"<dt>{label}</dt><dd>{value}</dd>" for label, value in [*_card_rows(record), *standing]
    )
    link = "" if ledger is None else (
        f'<p class="hb-claim__link"><a href="{html.escape(ledger)}#{ledger_anchor(record.id)}">'
        f"{record.id} in the ledger</a></p>"
    )  # fmt: skip
    kind = f"{entry['kind']}, first edition" if entry.get("edition") == 1 else entry["kind"]
    lines = "".join(_corollary_html(corollary, ledger) for corollary in corollaries)
    line = " · ".join(filter(None, [_numbers_html(record), html.escape(held)]))
    card = (
        f'<details class="hb-claim" id="{card_anchor(record.id)}" data-verdict="{verdict}" '
        f'data-kind="{entry["kind"]}"><summary>'
        f"{_badge_html(verdict, fragile)} "
        f'<span class="hb-claim__statement">{text_to_html(entry["statement"])}</span> '
        f'<span class="hb-claim__numbers">{line}</span></summary>'
        f'<p class="hb-claim__head"><code class="hb-claim__id">{record.id}</code> '
        f'<span class="hb-claim__kind">{kind}</span></p>'
        f'<dl class="hb-claim__facts">{rows}</dl>{link}</details>'
    )
    if not lines:
        return card
    return f'<div class="hb-theorem">{card}<ul class="hb-corollaries">{lines}</ul></div>'


def _badge_html(verdict: str, fragile: bool) -> str:
    words = f"{verdict}, fragile" if fragile else verdict
    return f'<strong class="hb-claim__verdict">{words}</strong>'


def _corollary_html(record: Record, ledger: str | None) -> str:
    name = f"<code>{record.id}</code>"
    if ledger is not None:
        name = f'<a href="{html.escape(ledger)}#{ledger_anchor(record.id)}">{name}</a>'
    return (
        f'<li class="hb-corollary" id="{card_anchor(record.id)}" '
        f'data-verdict="{record.verdict}">{_badge_html(record.verdict, False)} {name} '
        f"{text_to_html(record.entry['statement'])} "
        f'<span class="hb-claim__numbers">{_numbers_html(record)}</span></li>'
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
        f"<td>{text_to_html(r.entry['statement'])}</td><td>{r.entry['kind']}</td>"
        f"<td>{r.verdict}</td></tr>"
        for r in records
    )
    return (
        '<table class="hb-summary"><caption>Verdicts of this chapter</caption><thead><tr>'
        '<th scope="col">Claim</th><th scope="col">Statement</th><th scope="col">Kind</th>'
        '<th scope="col">Verdict</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )
