"""Checking a claim: a chapter measures, and what it measured is summed up as the register asks.

A chapter calls

    claims.check("rotation.gd-equivariant", measured, control=measured_on_the_control)

and, for an effect of the second edition, also passes what the strongest null gave:
``claims.check(id, measured, null=..., control=...)``. `Record` says which verdict follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hblib.claims import _criteria as criteria
from hblib.claims import _effects as effects
from hblib.claims._cards import summary_html
from hblib.claims._outputs import mime
from hblib.claims._records import Record
from hblib.claims._register import find, judged_by_contrast, load_register

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

_checked: dict[str, Record] = {}  # this kernel's records; checking again replaces


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
