"""An answer as a card, in the form of the book's cards: your claim in place of the register's."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from hblib.claims import num

if TYPE_CHECKING:
    from hblib.probe._answers import Answer

CLAIMS = {
    "Are the axes marked?": "The units of this layer stand out among all directions.",
    "Do units mean more than random directions?": "Units mean more than random directions.",
    "Is the layer a sum of few atoms?": "Each sample of this layer is a sum of few atoms.",
    "Are the two layers alike?": "The two layers share more than shuffled samples do.",
}
VERDICTS = {True: "supported", False: "not supported", None: "open"}


def card_html(answer: Answer) -> str:
    """Return the card of an answer: one line, and the whole form behind it."""
    claim = html.escape(CLAIMS.get(answer.question, answer.question))
    verdict = VERDICTS[answer.holds]
    said = num(answer.estimate, ".3g").__html__()
    if answer.interval is not None:
        low, high = (num(x, ".3g").__html__() for x in answer.interval)
        said += f" [{low}, {high}]"
    level, null = (num(x, ".3g").__html__() for x in answer.levels())
    facts = {
        "In plain words": html.escape(answer.sentence),
        "Measured": html.escape(answer.measured),
        "Found": f"{level}; null {null}",
        "Estimate": said,
        "What it does not say": html.escape(answer.limits),
    }
    if answer.p is not None:
        facts["p"] = num(answer.p, ".2g").__html__()
    rows = "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts.items())
    return (
        f'<details class="hb-claim" data-verdict="{verdict}" data-kind="yours"><summary>'
        f'<strong class="hb-claim__verdict">{verdict}</strong> '
        f'<span class="hb-claim__statement">{claim}</span> '
        f'<span class="hb-claim__numbers">{level}, null {null}</span></summary>'
        f'<p class="hb-claim__head"><span class="hb-claim__kind">your claim</span></p>'
        f'<dl class="hb-claim__facts">{rows}</dl></details>'
    )
