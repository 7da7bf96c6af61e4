"""Claims: registered once, checked in a chapter, collected in the ledger.

A **claim** is one statement with an id such as ``rotation.gd-equivariant``. The register,
``hblib/claims/register.yml``, fixes beforehand what will be measured, the criterion that settles it
(`hblib.criteria`) and a control that must meet a criterion of its own, or the check proves nothing.
A chapter then calls

    claims.check("rotation.gd-equivariant", measured, control=measured_on_the_control)

and the verdict follows; nobody types it:

==============================  =================================================================
verdict                         when
==============================  =================================================================
``reproduced``                  criterion met (the register may ask instead for
                                ``reproduced with a caveat``, and then states the caveat)
``corrected``                   criterion not met, but the statement as we mend it met its own
``refuted``                     criterion not met
``open``                        undecided: the interval straddles the threshold
``invalid``                     the control did not come out as registered, whatever the rest
==============================  =================================================================

`check` returns a `Record`. As the last expression of a cell it is shown as a card and stored in the
notebook as data; `read_records` and `ledger` find it there again.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import yaml

from hblib.claims import _criteria as criteria
from hblib.claims._cards import card_anchor, card_html, card_text
from hblib.claims._outputs import mime, text_to_html

REGISTER = Path(__file__).with_name("register.yml")
MIME = mime("claim")
VERDICTS = ("reproduced", "reproduced with a caveat", "corrected", "refuted", "open", "invalid")
NOT_TESTED = "not yet tested"

_KINDS = ("theorem", "effect")
_SOURCES = ("000", "001", "002", "003", "004", "ext")
_checked: dict[str, Record] = {}  # this kernel's records; checking again replaces


# ---------------------------------------------------------------- the register


def load_register(path: str | Path | None = None) -> dict[str, dict]:
    """Read the register of claims and validate every entry.

    Parameters
    ----------
    path : path, optional
        A YAML list of entries; by default ``hblib/claims/register.yml`` of this repository.

    Returns
    -------
    dict
        Claim id -> entry, in the order of the file. ``criterion`` is None for a claim whose
        criterion is not yet fixed; such a claim cannot be checked.

    Raises
    ------
    FileNotFoundError, ValueError
        One sentence that names the entry and the field.

    Examples
    --------
    >>> load_register()["rotation.gd-equivariant"]["kind"]
    'theorem'
    """
    path = REGISTER if path is None else Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"the register of claims is not at {path}: hblib runs from a clone of the book, "
            "installed with 'pip install -e .'"
        )
    return dict(_read_register(path, path.stat().st_mtime_ns))


@functools.lru_cache(maxsize=4)
def _read_register(path: Path, _mtime: int) -> dict[str, dict]:
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not valid YAML: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path.name} must be a list of claims, each beginning '- id:'")
    register: dict[str, dict] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{path.name}, entry {number}"
        entry = _validated(entry, where)
        if entry["id"] in register:
            raise ValueError(f"{where}: the id '{entry['id']}' is registered twice")
        register[entry["id"]] = entry
    return register


def _validated(entry: dict, where: str) -> dict:
    if isinstance(entry, dict) and "id" in entry:
        where += f" ({entry['id']})"
    required = {"id", "chapter", "source", "kind", "statement", "statistic", "criterion", "control"}
    criteria.check_keys(entry, required, {"verdict_if_met", "caveat", "as_mended"}, where)
    if not re.fullmatch(r"[a-z]+\.[a-z0-9-]+", str(entry["id"])):
        raise ValueError(f"{where}: an id looks like 'rotation.gd-equivariant'")
    if not re.fullmatch(r"\d\d_[a-z_]+", str(entry["chapter"])):
        raise ValueError(f"{where}: 'chapter' looks like '02_rotation', got {entry['chapter']!r}")
    for field, allowed in (("source", _SOURCES), ("kind", _KINDS)):
        if entry[field] not in allowed:
            raise ValueError(
                f"{where}: '{field}' must be one of {', '.join(allowed)} (as text), "
                f"got {entry[field]!r}"
            )
    settled = entry["criterion"] is not None
    control = entry["control"]
    for name, part, keys in (
        ("control", control, {"statement"} | ({"criterion"} if settled else set())),
        ("as_mended", entry.get("as_mended"), {"statement", "statistic", "criterion"}),
    ):
        if part is None and name != "control":
            continue
        criteria.check_keys(part, keys, set(), f"{where}: '{name}'")
        if "criterion" in part:
            criteria.validate(part["criterion"], f"{where}: '{name}'")
    texts = [(k, entry[k]) for k in ("statement", "statistic", "caveat") if k in entry]
    texts += [("control", control["statement"])]
    for name, text in texts:
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{where}: '{name}' must be a sentence, got {text!r}")
    if not settled:
        if extra := entry.keys() & {"verdict_if_met", "caveat", "as_mended"}:
            raise ValueError(f"{where}: {', '.join(sorted(extra))} without a criterion")
        return entry
    criteria.validate(entry["criterion"], where)
    if entry.get("verdict_if_met") not in VERDICTS[:2]:
        raise ValueError(
            f"{where}: 'verdict_if_met' must be 'reproduced' or 'reproduced with a caveat', "
            f"got {entry.get('verdict_if_met')!r}"
        )
    if (entry["verdict_if_met"] == VERDICTS[1]) != ("caveat" in entry):
        raise ValueError(f"{where}: 'caveat' goes with 'reproduced with a caveat' and only with it")
    return entry


def _find(id: str, register: Mapping[str, dict]) -> dict:
    if id not in register:
        near = difflib.get_close_matches(id, register, n=1, cutoff=0.4)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"no claim '{id}' is registered in hblib/claims/register.yml{hint}")
    return register[id]


# ---------------------------------------------------------------- one record


@dataclass(frozen=True)
class Record:
    """One checked claim: what was registered, what was found, and the verdict.

    `control` and `mended` hold ``statement, criterion, outcome, estimate, interval, interval_kind,
    n`` of their own; `mended` is None unless the register has an ``as_mended``.
    """

    id: str
    chapter: str
    source: str
    kind: str
    statement: str
    statistic: str
    criterion: dict
    outcome: str
    estimate: float
    interval: list[float]
    interval_kind: str
    n: int
    control: dict
    mended: dict | None
    verdict: str
    caveat: str | None
    note: str | None

    def to_dict(self) -> dict:
        """Return the record as plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping) -> Record:
        """Make a record from `to_dict`'s data.

        Raises
        ------
        ValueError
            If a field is missing or unknown.
        """
        criteria.check_keys(data, {f.name for f in fields(cls)}, set(), "claim record")
        return cls(**data)

    def __repr__(self) -> str:
        return card_text(self)

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/html": card_html(self), "text/plain": repr(self), MIME: self.to_dict()}


def check(id: str, measured, *, control=None, mended=None, note=None, register=None) -> Record:
    """Settle a registered claim by what was measured.

    Parameters
    ----------
    id : str
        A claim of the register, for example ``"rotation.gd-equivariant"``.
    measured : array_like, shape (n,)
        The registered statistic, one value per independent seed or instance; shape (n, j) for a
        criterion of kind `ordering`.
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
    entry = _find(id, load_register() if register is None else register)
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
    if note is not None and not (isinstance(note, str) and note.strip()):
        raise ValueError(f"{id}: note must be a sentence or left out, got {note!r}")

    found = criteria.judge(entry["criterion"], measured, f"{id}: measured")
    found_control = _part(entry["control"], control, f"{id}: control")
    found_mended = None if mended is None else _part(entry["as_mended"], mended, f"{id}: mended")
    verdict = _verdict(entry, found.outcome, found_control, found_mended)
    copied = ("id", "chapter", "source", "kind", "statement", "statistic", "criterion")
    record = Record(
        **{field: entry[field] for field in copied},
        **asdict(found),
        control=found_control,
        mended=found_mended,
        verdict=verdict,
        caveat=entry.get("caveat"),
        note=note,
    )
    _checked[id] = record
    return record


def _part(registered: Mapping, sample, where: str) -> dict:
    finding = criteria.judge(registered["criterion"], sample, where)
    kept = {field: registered[field] for field in ("statement", "criterion")}
    return kept | asdict(finding)


def _verdict(entry: Mapping, outcome: str, control: Mapping, mended: Mapping | None) -> str:
    if control["outcome"] != "met":
        return "invalid"
    if outcome == "met":
        return entry["verdict_if_met"]
    if outcome == "undecided":
        return "open"
    return "corrected" if mended and mended["outcome"] == "met" else "refuted"


# ---------------------------------------------------------------- one chapter


@dataclass(frozen=True)
class Summary:
    """The verdicts of one chapter, as a table; made by `summary`."""

    chapter: str
    records: tuple[Record, ...]

    def __repr__(self) -> str:
        width = max(len(r.id) for r in self.records)
        return "\n".join(f"{r.id:<{width}}  {r.verdict}" for r in self.records)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr data-verdict="{r.verdict}"><th scope="row">'
            f'<a href="#{card_anchor(r.id)}">{r.id}</a></th>'
            f"<td>{text_to_html(r.statement)}</td><td>{r.verdict}</td></tr>"
            for r in self.records
        )
        return (
            f'<table class="hb-summary"><caption>Verdicts of this chapter</caption><thead><tr>'
            '<th scope="col">Claim</th><th scope="col">Statement</th><th scope="col">Verdict</th>'
            f"</tr></thead><tbody>{rows}</tbody></table>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        verdicts = {r.id: r.verdict for r in self.records}
        stored = {"chapter": self.chapter, "verdicts": verdicts}
        page = self._repr_html_()
        return {"text/html": page, "text/plain": repr(self), mime("summary"): stored}


def summary(chapter: str, register=None) -> Summary:
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
