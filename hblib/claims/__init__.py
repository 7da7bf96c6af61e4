"""Claims: registered once, settled by what is measured, shown with the evidence.

The register (`load_register`) fixes what is measured, the criterion and the control. `check` sums
up the measurements as a `Record`, whose verdict follows. `num` and `varying` mark what was measured
wherever else it is shown.

>>> entry = load_register()["rotation.gd-equivariant"]
>>> entry["chapter"], entry["kind"]
('02_rotation', 'theorem')
"""

from hblib.claims._cards import card_anchor, card_html, ledger_anchor, summary_html
from hblib.claims._check import Summary, check, summary
from hblib.claims._criteria import Finding, confidence_interval
from hblib.claims._criteria import validate as validate_criterion
from hblib.claims._outputs import Output, kind_of, mime, num, shown, stored, text_to_html, varying
from hblib.claims._records import MIME, NOT_TESTED, VERDICTS, Record
from hblib.claims._register import REGISTER, load_register, registered_hash

__all__ = [
    "card_anchor", "card_html", "check", "confidence_interval", "Finding", "kind_of",
    "ledger_anchor", "load_register", "MIME", "mime", "NOT_TESTED", "num", "Output", "Record",
    "REGISTER", "registered_hash", "shown", "stored", "Summary", "summary", "summary_html",
    "text_to_html", "validate_criterion", "varying", "VERDICTS",
]  # fmt: skip
