"""Checking a claim: a chapter measures, and the verdict follows from register and findings.

A chapter calls

    claims.check("rotation.gd-equivariant", measured, control=measured_on_the_control)

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

The last three concern effects of the second edition (`hblib.claims._effects`). To their check
belongs what the strongest null gave: ``claims.check(id, measured, null=..., control=...)``.

A notebook stores of a `Record` what was found and a hash of what was registered, and no verdict:
that is derived, by `Record.verdict` alone, whenever a record is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hblib.claims import _criteria as criteria
from hblib.claims import _effects as effects
from hblib.claims._cards import card_html, card_text, summary_html
from hblib.claims._criteria import Finding
from hblib.claims._outputs import mime
from hblib.claims._register import find, judged_by_contrast, load_register, registered_hash

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MIME = mime("claim")
VERDICTS = (
    "reproduced", "reproduced with a caveat", "corrected", "refuted", "open", "invalid",
    "invalid: saturated", "invalid: constant control", "invalid: blind control",
)  # fmt: skip
NOT_TESTED = "not yet tested"

_PARTS = ("found", "control", "mended")
_checked: dict[str, Record] = {}  # this kernel's records; checking again replaces


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


def check(
    id: str,
    measured: ArrayLike,
    *,
    null: ArrayLike | None = None,
    control: ArrayLike | None = None,
    mended: ArrayLike | None = None,
    note: str | None = None,
    register: Mapping[str, dict] | None = None,
) -> Record:
    """Settle a registered claim by what was measured.

    Parameters
    ----------
    id : str
        A claim of the register, for example ``"rotation.gd-equivariant"``.
    measured : array_like, shape (n,)
        The registered statistic, one value per independent seed or instance; shape (n, j) for a
        criterion of kind `ordering`. For an effect of the second edition shape (n_units,) or
        (n_units, n_within), before anything is subtracted.
    null : array_like
        The same for the registered null; obligatory for an effect of the second edition. Row i
        belongs to the unit of row i of `measured` where the register says that they are paired.
    control : array_like
        The same for the registered control. Obligatory.
    mended : array_like
        The same for the statement as mended; obligatory where the register has ``as_mended``.
    note : str, optional
        A sentence for the card on how it was measured.
    register : dict, optional
        By default the book's (`load_register`).

    Returns
    -------
    Record
        Shows itself as a card when it is the last expression of a cell, or by ``display(record)``.

    Raises
    ------
    ValueError
        If the id is unknown or has no criterion yet, the control is missing, or a sample is empty,
        not finite or of the wrong shape.
    """
    entry = find(id, load_register() if register is None else register)
    if entry["criterion"] is None:
        raise ValueError(f"{id} has no criterion yet: register one before measuring")
    if control is None:
        raise ValueError(
            f"{id} was checked without its control ({entry['control']['statement']}): "
            "pass control=..., the same statistic measured on it"
        )
    if (mended is None) != ("as_mended" not in entry):
        has = "has" if mended is None else "has no"
        needed = "pass mended=..." if mended is None else "leave mended out"
        raise ValueError(f"{id} {has} 'as_mended' in the register: {needed}")
    contrast = judged_by_contrast(entry)
    if contrast != (null is not None):
        raise ValueError(
            f"{id} is judged by its contrast with {entry['null']['statement']}: pass null=..., the "
            "same statistic measured on it" if contrast else
            f"{id} has no null in the register: leave null out"
        )  # fmt: skip
    if note is not None and not (isinstance(note, str) and note.strip()):
        raise ValueError(f"{id}: note must be a sentence or left out, got {note!r}")

    def measure(registered, sample, part):
        return criteria.measure(registered["criterion"], sample, f"{id}: {part}")

    if contrast:
        found, levels = effects.measure(entry, measured, null)
        controlled = effects.measure_control(entry, control)
    else:
        found, levels = measure(entry, measured, "measured"), None
        controlled = measure(entry["control"], control, "control")
    record = Record(
        entry=dict(entry),
        found=found,
        control=controlled,
        mended=None if mended is None else measure(entry["as_mended"], mended, "mended"),
        note=note,
        levels=levels,
    )
    _checked[id] = record
    return record


@dataclass(frozen=True)
class Summary:
    """The claims of one chapter that were checked in this kernel; made by `summary`."""

    chapter: str
    records: tuple[Record, ...]

    def __repr__(self) -> str:
        return f"{len(self.records)} claims checked: {', '.join(r.id for r in self.records)}"

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        stored = {"chapter": self.chapter, "claims": [record.id for record in self.records]}
        page = summary_html(self.records)
        return {"text/html": page, "text/plain": repr(self), mime("summary"): stored}


def summary(chapter: str, register: Mapping[str, dict] | None = None) -> Summary:
    """Return the table of a chapter's verdicts; the last cell of a chapter shows it.

    Parameters
    ----------
    chapter : str
        For example ``"02_rotation"``.
    register : dict, optional
        By default the book's (`load_register`).

    Raises
    ------
    ValueError
        If the chapter has no claims, or one of them was not checked in this kernel.
    """
    register = load_register() if register is None else register
    ids = [id for id, entry in register.items() if entry["chapter"] == chapter]
    if not ids:
        chapters = sorted({entry["chapter"] for entry in register.values()})
        raise ValueError(f"no claims for chapter {chapter!r}; there are {', '.join(chapters)}")
    if never := [id for id in ids if id not in _checked]:
        raise ValueError(f"registered for {chapter} but never checked: {', '.join(never)}")
    return Summary(chapter, tuple(_checked[id] for id in ids))
