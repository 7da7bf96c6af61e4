"""Claims: registered once, settled by what is measured, shown with the evidence."""

from hblib.claims._cards import card_anchor, ledger_anchor
from hblib.claims._outputs import mime, num, text_to_html, varying
from hblib.claims._register import (
    MIME,
    NOT_TESTED,
    REGISTER,
    VERDICTS,
    Record,
    Summary,
    check,
    load_register,
    summary,
)

__all__ = [
    "MIME", "NOT_TESTED", "REGISTER", "Record", "Summary", "VERDICTS", "card_anchor", "check",
    "ledger_anchor", "load_register", "mime", "num", "summary", "text_to_html", "varying",
]  # fmt: skip
