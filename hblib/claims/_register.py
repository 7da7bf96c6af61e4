"""The register: every claim, with what will be measured and how it will be judged.

A **claim** is one statement with an id such as ``rotation.gd-equivariant``. The register, a YAML
file that travels with the library, fixes beforehand what will be measured, the criterion that
settles it and a control that must meet a criterion of its own, or the check proves nothing.

There are three kinds of claims, which are never added up. A *theorem* is proved in the text and
checked to rounding on random instances; one that follows from another at once is its *corollary*
and shares its card. An *example* is a printed one, checked exactly. An *effect* is empirical.
Effects of the second edition register more than those of the first: see `hblib.claims._effects`.
"""

from __future__ import annotations

import difflib
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from hblib.claims import _criteria as criteria
from hblib.claims import _effects as effects

REGISTER = Path(__file__).with_name("register.yml")
IF_MET = ("reproduced", "reproduced with a caveat")

KINDS = ("theorem", "example", "effect")
EDITIONS = (1, 2)

_REQUIRED = {"id", "chapter", "source", "kind", "edition", "statement", "statistic", "criterion",
             "control"}  # fmt: skip
_OPTIONAL = {"verdict_if_met", "caveat", "as_mended", "corollary_of", "replication"}
_OF_EFFECTS = {"null", "worthwhile", "levels", "n", "forecast"}
_SOURCES = ("000", "001", "002", "003", "004", "ext")


def load_register(path: str | Path | None = None) -> dict[str, dict]:
    """Read the register of claims and validate every entry.

    Parameters
    ----------
    path : path, optional
        A YAML list of entries; by default the book's, ``hblib/claims/register.yml``.

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
        raise FileNotFoundError(f"there is no register of claims at {path}")
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
    for entry in register.values():
        _check_references(entry, register, path.name)
    return register


def _check_references(entry: dict, register: Mapping[str, dict], where: str) -> None:
    where += f" ({entry['id']})"
    head = register.get(entry.get("corollary_of"))
    if "corollary_of" in entry:
        if head is None or head["kind"] != "theorem" or "corollary_of" in head:
            raise ValueError(
                f"{where}: 'corollary_of' must name a theorem that is no corollary itself, got "
                f"{entry['corollary_of']!r}"
            )
        if entry["kind"] != "theorem" or entry["chapter"] != head["chapter"]:
            raise ValueError(f"{where}: a corollary is a theorem of the chapter of its theorem")
    for other in entry.get("replication", {}).get("claims", []):
        if other not in register or other == entry["id"]:
            raise ValueError(f"{where}: 'replication' must name other claims, got {other!r}")


def _validated(entry: dict, where: str) -> dict:
    if isinstance(entry, dict) and "id" in entry:
        where += f" ({entry['id']})"
    second = isinstance(entry, dict) and (entry.get("kind"), entry.get("edition")) == ("effect", 2)
    required = _REQUIRED | (_OF_EFFECTS if second else set())
    criteria.check_keys(entry, required, _OPTIONAL, where)
    if not re.fullmatch(r"[a-z]+\.[a-z0-9-]+", str(entry["id"])):
        raise ValueError(f"{where}: an id looks like 'rotation.gd-equivariant'")
    if not re.fullmatch(r"\d\d_[a-z_]+", str(entry["chapter"])):
        raise ValueError(f"{where}: 'chapter' looks like '02_rotation', got {entry['chapter']!r}")
    for field, allowed in (("source", _SOURCES), ("kind", KINDS), ("edition", EDITIONS)):
        if entry[field] not in allowed:
            as_text = " (as text)" if field == "source" else ""
            raise ValueError(
                f"{where}: '{field}' must be one of {', '.join(map(str, allowed))}{as_text}, "
                f"got {entry[field]!r}"
            )
    if "replication" in entry:
        _check_replication(entry["replication"], where)
    if second and "as_mended" in entry:
        raise ValueError(f"{where}: a mended effect is a claim of its own, so register it as one")
    settled = entry["criterion"] is not None
    control = entry["control"]
    fields = (["criterion"] if settled else []) + (["of"] if second else [])
    for name, part, keys in (
        ("control", control, {"statement", *fields}),
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
    if second and not settled:
        raise ValueError(f"{where}: an effect is registered with its criterion")
    if not settled:
        if extra := entry.keys() & {"verdict_if_met", "caveat", "as_mended"}:
            raise ValueError(f"{where}: {', '.join(sorted(extra))} without a criterion")
        return entry
    if second:
        effects.validate(entry, where)
        forecast = entry["forecast"]
        if not isinstance(forecast, float) or not 0 < forecast < 1:
            raise ValueError(
                f"{where}: 'forecast', the probability given to its criterion being met, must lie "
                f"between 0 and 1, got {forecast!r}"
            )
    else:
        criteria.validate(entry["criterion"], where)
    if entry.get("verdict_if_met") not in IF_MET:
        raise ValueError(
            f"{where}: 'verdict_if_met' must be 'reproduced' or 'reproduced with a caveat', "
            f"got {entry.get('verdict_if_met')!r}"
        )
    if (entry["verdict_if_met"] == IF_MET[1]) != ("caveat" in entry):
        raise ValueError(f"{where}: 'caveat' goes with 'reproduced with a caveat' and only with it")
    return entry


def _check_replication(replication: dict, where: str) -> None:
    criteria.check_keys(replication, {"data"}, {"claims"}, f"{where}: 'replication'")
    if not isinstance(replication["data"], str) or not replication["data"].strip():
        raise ValueError(f"{where}: 'data' of 'replication' must say which data or whose model")
    if not isinstance(replication.get("claims", []), list):
        raise ValueError(f"{where}: 'claims' of 'replication' must be a list of ids")


def judged_by_contrast(entry: Mapping) -> bool:
    """Whether a claim is judged by its contrast with a null: an effect of the second edition."""
    return entry["kind"] == "effect" and entry.get("edition") == 2


def find(id: str, register: Mapping[str, dict]) -> dict:
    """Return one entry; a typing error is answered with the nearest id."""
    if id not in register:
        near = difflib.get_close_matches(id, register, n=1, cutoff=0.4)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"no claim '{id}' is registered in hblib/claims/register.yml{hint}")
    return register[id]


def registered_hash(entry: Mapping) -> str:
    """Return a hash of all that an entry fixes: what is measured, criteria, control; no prose.

    Parameters
    ----------
    entry : mapping
        One claim of the register.

    Returns
    -------
    str
        16 hexadecimal digits.

    Examples
    --------
    >>> entry = load_register()["rotation.gd-equivariant"]
    >>> registered_hash(entry) == registered_hash(entry | {"statement": "In other words."})
    True
    """
    fixed = {
        field: entry.get(field)
        for field in ("id", "statistic", "criterion", "control", "as_mended", "verdict_if_met")
    }
    if fixed["as_mended"]:
        fixed["as_mended"] = {k: v for k, v in fixed["as_mended"].items() if k != "statement"}
    if judged_by_contrast(entry):
        fixed |= {"worthwhile": entry["worthwhile"], "null": entry["null"]["statement"]}
        fixed["levels"] = {k: entry["levels"].get(k) for k in ("unit", "paired", "bar")}
        fixed["n"] = entry["n"]
    text = json.dumps(fixed, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def registered_seed(entries: Iterable[Mapping]) -> int:
    """Return the seed that follows from what is registered for a chapter.

    Whoever moves a threshold afterwards draws new data, and cannot choose which.

    Parameters
    ----------
    entries : iterable of mappings
        The chapter's claims; their order does not matter.

    Returns
    -------
    int
        From 0 to 2**31 - 1.
    """
    text = "".join(sorted(registered_hash(entry) for entry in entries))
    return int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2**31
