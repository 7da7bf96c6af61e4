"""All claims of the book as data: ``claims.json``, for readers who are programs.

`export` puts register, outcomes, verdicts and standings together; the ledger is made from it, and
the site publishes it beside its schema (``book/claims.schema.json``). Each claim has an address of
its own, ``claims/<id>.html``, which stays when a chapter is split or renamed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import hblib
from hblib import claims
from hblib.claims import Record
from hblib.claims import _effects as effects
from runner.standing import Standing

REGISTERED = ("statistic", "criterion", "null", "worthwhile", "levels", "n", "control", "as_mended",
              "verdict_if_met", "caveat", "forecast")  # fmt: skip


def export(
    register: Mapping[str, dict],
    records: Mapping[str, Record],
    standings: Mapping[str, Standing],
) -> dict:
    """Return all claims as plain data.

    Parameters
    ----------
    register : dict
    records : dict of str to Record
        Of the claims that were checked.
    standings : dict of str to Standing

    Returns
    -------
    dict
        As ``book/claims.schema.json`` says.
    """
    return {
        "$schema": "claims.schema.json",
        "title": "The Hidden Basis: claims",
        "version": hblib.__version__,
        "claims": [_claim(e, records.get(id), standings[id]) for id, e in register.items()],
    }


def _claim(entry: dict, record: Record | None, standing: Standing) -> dict:
    id = entry["id"]
    claim = {field: entry[field] for field in ("id", "chapter", "source", "kind", "edition")}
    claim |= {
        "corollary_of": entry.get("corollary_of"),
        "statement": entry["statement"],
        "registered": {field: entry[field] for field in REGISTERED if field in entry},
        "registered_hash": claims.registered_hash(entry),
        "criterion_in_words": entry["criterion"] and effects.in_words(entry),
        "verdict": record.verdict if record else claims.NOT_TESTED,
        "fragile": standing.fragile,
        "outcomes": {},
        "standing": {
            "reproduced": standing.reproduced and standing.reproduced._asdict(),
            "robust": standing.robust and standing.robust._asdict(),
            "replication": standing.replication,
            "replicated": dict(standing.replicated),
        },
        "address": f"claims/{id}.html",
        "card": f"notebooks/{entry['chapter']}.html#{claims.card_anchor(id)}" if record else None,
        "ledger": f"book/ledger.html#{claims.ledger_anchor(id)}",
    }
    if record:
        parts = {"found": record.found, "control": record.control, "mended": record.mended}
        parts |= record.levels or {}
        claim["outcomes"] = {
            name: asdict(part) | {"outcome": record.outcomes.get(name)}
            for name, part in parts.items()
            if part is not None
        }
    return claim
