"""Records: what was found for a claim, and the verdict that follows from it and the register.

==============================  =================================================================
verdict                         when
==============================  =================================================================
``reproduced``                  criterion met (the register may ask instead for
                                ``reproduced with a caveat``, and then states the caveat)
``corrected``                   criterion not met, but the statement as we mend it met its own
``refuted``                     criterion not met
``open``                        undecided: the interval straddles the threshold
``invalid``                     the control did not come out as registered, whatever the rest
``invalid: saturated``          the null passes by itself and leaves no room for an effect
``invalid: constant control``   the control came out the same every time, so it could not fail
``invalid: blind control``      the claim's own numbers meet the control's criterion as well
==============================  =================================================================

The last three concern effects of the second edition (`hblib.claims._effects`).

A notebook stores of a `Record` what was found and a hash of what was registered, and no verdict:
that is derived, by `Record.verdict` alone, whenever a record is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hblib.claims import _criteria as criteria
from hblib.claims import _effects as effects
from hblib.claims._cards import card_html, card_text
from hblib.claims._criteria import Finding
from hblib.claims._outputs import mime
from hblib.claims._register import judged_by_contrast, registered_hash

MIME = mime("claim")
VERDICTS = (
    "reproduced", "reproduced with a caveat", "corrected", "refuted", "open", "invalid",
    "invalid: saturated", "invalid: constant control", "invalid: blind control",
)  # fmt: skip
NOT_TESTED = "not yet tested"

_PARTS = ("found", "control", "mended")


@dataclass(frozen=True)
class Record:
    """One checked claim: its entry in the register and what was found.

    Attributes
    ----------
    entry : dict
        Of the register.
    found, control : Finding
    mended : Finding or None
        None unless the register has an ``as_mended``.
    note : str or None
        A sentence on how it was measured.
    levels : dict of str to Finding, or None
        ``measured`` and ``null``, of which `found` is the contrast; None unless the claim is judged
        by one.
    """

    entry: dict
    found: Finding
    control: Finding
    mended: Finding | None = None
    note: str | None = None
    levels: dict[str, Finding] | None = None

    @property
    def id(self) -> str:
        """The claim's id."""
        return self.entry["id"]

    @property
    def outcomes(self) -> dict[str, str]:
        """``met``, ``not met`` or ``undecided``, of ``found``, ``control`` and ``mended``."""
        control, mended = self.entry["control"], self.entry.get("as_mended")
        outcomes = {
            "found": effects.settle(self.entry, self.found),
            "control": criteria.settle(control["criterion"], self.control),
        }
        if self.mended is not None:
            outcomes["mended"] = criteria.settle(mended["criterion"], self.mended)
        return outcomes

    @property
    def fault(self) -> str | None:
        """What makes the outcome worthless besides a control that failed, or None."""
        if self.levels is None:
            return None
        return effects.fault(self.entry, self.found, self.levels, self.control)

    @property
    def verdict(self) -> str:
        """One of `VERDICTS`, from the register and what was found."""
        outcomes = self.outcomes
        if self.fault:
            return f"invalid: {self.fault}"
        if outcomes["control"] != "met":
            return "invalid"
        if outcomes["found"] == "met":
            return self.entry["verdict_if_met"]
        if outcomes["found"] == "undecided":
            return "open"
        return "corrected" if outcomes.get("mended") == "met" else "refuted"

    def to_dict(self) -> dict:
        """Return what a notebook stores: plain data, without the entry and without a verdict."""
        stored = {
            "id": self.id,
            "registered": registered_hash(self.entry),
            **{part: getattr(self, part) and asdict(getattr(self, part)) for part in _PARTS},
            "note": self.note,
        }
        if self.levels is not None:
            stored["levels"] = {name: asdict(level) for name, level in self.levels.items()}
            stored["forecast"] = self.entry["forecast"]
        return stored

    @classmethod
    def from_dict(cls, data: Mapping, register: Mapping[str, dict]) -> Record:
        """Make a record from `to_dict`'s data and the register.

        Raises
        ------
        ValueError
            If a field is missing or unknown, the claim is not registered, or it was measured when
            something else was registered.
        """
        fields = {"id", "registered", "note", *_PARTS}
        criteria.check_keys(data, fields, {"levels", "forecast"}, "claim record")
        if not isinstance(data["id"], str) or data["id"] not in register:
            raise ValueError(f"{data['id']}: checked in a notebook but not registered")
        entry = register[data["id"]]
        if data["registered"] != registered_hash(entry):
            raise ValueError(
                f"{data['id']}: it was measured under another entry of the register; execute "
                f"{entry['chapter']} again"
            )
        findings = {
            part: _finding(data[part], f"{data['id']}: {part}")
            for part in _PARTS
            if data[part] is not None or part != "mended"
        }
        levels = None
        if judged_by_contrast(entry):
            names = ("measured", "null")
            criteria.check_keys(data.get("levels"), set(names), set(), f"{data['id']}: levels")
            stored = data["levels"]
            levels = {name: _finding(stored[name], f"{data['id']}: {name}") for name in names}
            effects.check_interval(findings["found"], data["id"])
            if data.get("forecast") != entry["forecast"]:
                raise ValueError(
                    f"{data['id']}: its forecast was {data.get('forecast')} when it was measured "
                    f"and is {entry['forecast']} in the register; it is not changed afterwards"
                )
        return cls(entry=entry, note=data["note"], levels=levels, **findings)

    def __repr__(self) -> str:
        return card_text(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        # The card is for Jupyter. What executes a chapter for the book keeps the data and the line
        # of plain text; the site makes its own card of them.
        return {"text/html": card_html(self), "text/plain": repr(self), MIME: self.to_dict()}


def _finding(stored: Mapping, where: str) -> Finding:
    fields = {"estimate", "interval", "interval_kind", "n"}
    criteria.check_keys(stored, fields, set(), where)
    return Finding(**stored)
