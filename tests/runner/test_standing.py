"""How verdicts stand elsewhere, and tallies that add up only what is alike."""

import json

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from fake_book import ENTRY
from nbformat import v4

from hblib import claims
from runner import ledger, standing, tables
from runner.sweep import Stability


@pytest.fixture
def book(tmp_path):
    """A book of one chapter with one claim, executed once elsewhere with each of two results."""
    (tmp_path / "notebooks").mkdir()
    register = {ENTRY["id"]: ENTRY | {"replication": {"data": "other data"}}}
    record = _record(1, 2, register)
    out = v4.new_output("display_data", data=json.loads(json.dumps(record._repr_mimebundle_())))
    cells = [v4.new_code_cell("check()", outputs=[out], execution_count=1)]
    sealed = {"stamp": "now", "outcomes": ledger.seal([record.to_dict()])}
    path = tmp_path / "notebooks" / "01_a.ipynb"
    nbformat.write(v4.new_notebook(cells=cells, metadata={"hblib": sealed}), path)
    for name, low, stamp in (("same", 1, "now"), ("other", 0, "now"), ("old", 0, "then")):
        row = {"stamp": stamp, **tables.row(_record(low, low + 0.2, register).to_dict())}
        table = tmp_path / "book" / "reproductions" / f"{name}.csv"
        tables.write(table, {"about": name}, pd.DataFrame([row]))
    return tmp_path, register, [path]


def _record(low, high, register):
    return claims.check(
        ENTRY["id"], np.linspace(low, high, 8), control=[0.0], register=register
    )


def _swept(held, of):
    return {ENTRY["id"]: Stability("reproduced", held, of, [])}


def test_three_questions_are_answered_apart(book):
    found = standing.standings(*book, stability=_swept(3, 4))[ENTRY["id"]]
    assert found.reproduced == (1, 2)  # the execution of an older chapter does not count
    assert found.robust == (3, 4) and not found.fragile
    assert (found.replication, found.replicated) == ("other data", ())


def test_what_nobody_tried_is_blank(book):
    root, register, chapters = book
    for path in (root / "book" / "reproductions").glob("*.csv"):
        path.unlink()
    register = {ENTRY["id"]: ENTRY}
    found = standing.standings(root, register, chapters, stability={})[ENTRY["id"]]
    assert found == (None, None, None, ()) and not found.fragile


@pytest.mark.parametrize(("held", "of", "fragile"), [(2, 3, False), (31, 48, True), (0, 1, True)])
def test_a_verdict_that_held_in_fewer_than_two_thirds_is_fragile(book, held, of, fragile):
    found = standing.standings(*book, stability=_swept(held, of))[ENTRY["id"]]
    assert found.fragile is fragile


def test_replications_show_their_own_verdict(book):
    root, register, chapters = book
    other = ENTRY | {"id": "fake.other", "replication": {"data": "it", "claims": [ENTRY["id"]]}}
    found = standing.standings(root, register | {"fake.other": other}, chapters, stability={})
    assert found["fake.other"].replicated == ((ENTRY["id"], "reproduced"),)


def _table(*rows):
    columns = ["id", "kind", "corollary_of", "verdict"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def test_theorems_examples_and_effects_are_never_added_up():
    table = _table(
        ("a", "theorem", None, "reproduced"),
        ("b", "theorem", "a", "reproduced"),
        ("c", "example", None, "refuted"),
        ("d", "effect", None, "reproduced"),
        ("e", "effect", None, "reproduced"),
        ("f", "effect", None, claims.NOT_TESTED),
    )
    assert standing.tally(table, fragile={"a", "e"}) == {
        "theorem": {"reproduced": 1},
        "corollary": {"reproduced": 1},
        "example": {"refuted": 1},
        "effect": {"reproduced": 1, "fragile": 1, claims.NOT_TESTED: 1},
    }


def test_the_register_of_the_book_and_its_copy_have_the_same_shape(tmp_path):
    path = tmp_path / "register.yml"
    path.write_text(yaml.safe_dump(list(claims.load_register().values())), encoding="utf-8")
    assert claims.load_register(path) == claims.load_register()
