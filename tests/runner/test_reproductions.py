"""Executions of the chapters elsewhere: compared with care, and none of them flips a verdict."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from fake_book import ENTRY, RECORD, ROOT
from scripts import PATIENCE

from hblib import claims
from runner import execute, files, tables
from runner.standing import committed, compared

STORED = sorted((ROOT / "book" / "reproductions").glob("*.csv"))


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_no_verdict_flips(path):
    about, rows = tables.read(path)
    assert about["about"] and about["releases"]["numpy"] and about["threads"] >= 1
    register = claims.load_register()
    found = compared(rows, committed(files.chapters(ROOT), register), register)
    flipped = found[found["verdict"] != found["committed"]]
    assert flipped.empty, flipped.to_string()


def _record(id, low, high):
    entry = ENTRY | {"id": id}
    return claims.check(id, np.linspace(low, high, 8), control=[0.0], register={id: entry})


def test_rows_of_a_chapter_that_changed_since_are_left_out():
    register = {id: ENTRY | {"id": id} for id in "abc"}
    records = {id: ("now", _record(id, 1, 2)) for id in "abc"}
    here = [("now", "a", 1, 2), ("then", "b", 0, 0.2), ("now", "c", 0, 0.2)]
    rows = [
        {"stamp": stamp, **tables.row(_record(*sample).to_dict())} for stamp, *sample in here
    ]
    rows = pd.DataFrame(rows)
    found = compared(rows, records, register)
    assert list(found["claim"]) == ["a", "c"]
    assert list(found["verdict"]) == ["reproduced", "refuted"]
    assert found["shift"][0] == 0 and found["shift"][1] > 1


@pytest.mark.parametrize(
    ("cell", "status", "said"),
    [
        ("", 0, "all 1 verdicts are the committed ones"),
        (
            "record['found']['interval'] = [0.1, 0.2]", 1,
            "fake.claim: refuted here, reproduced in the book",
        ),  # fmt: skip
        ("assert False, 'not here'", 1, "01_a: cell [5] raised AssertionError: not here"),
    ],
)
def test_a_verdict_that_differs_elsewhere_is_told(book, cell, status, said):
    made = "import os\nelsewhere = 'HB_ELSEWHERE' in os.environ"
    display = RECORD.replace("display(", f"if elsewhere:\n    {cell or 'pass'}\ndisplay(")
    path = book.chapter("01_a", made, display)
    assert execute.execute([path], report=str)[0].error is None
    run = subprocess.run(
        [sys.executable, ROOT / "tools" / "reproduce.py", "here", "--about", "a trial"],
        cwd=book.root, capture_output=True, text=True, timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HB_ELSEWHERE": "1"},
    )  # fmt: skip
    assert run.returncode == status, run.stderr
    assert run.stdout.strip() == said
    about, rows = tables.read(book.root / "book" / "reproductions" / "here.csv")
    assert about["about"] == "a trial" and about["linear algebra"] and len(rows) == 1


def test_chapters_that_are_not_run_again_keep_their_rows(book):
    entries = [ENTRY, ENTRY | {"id": "other.claim", "chapter": "02_b"}]
    (book.root / files.REGISTER).write_text(yaml.safe_dump(entries))
    for entry in entries:
        record = RECORD.replace("fake.claim", entry["id"])
        record = record.replace(claims.registered_hash(ENTRY), claims.registered_hash(entry))
        path = book.chapter(entry["chapter"], record)
        assert execute.execute([path], report=str)[0].error is None

    def rows_after(*arguments):
        command = [sys.executable, ROOT / "tools" / "reproduce.py", "here", *arguments]
        subprocess.run(
            command, cwd=book.root, check=True, capture_output=True, timeout=PATIENCE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return tables.read(book.root / "book" / "reproductions" / "here.csv")[1]

    both = rows_after("--about", "a trial")
    assert list(both["claim"]) == ["fake.claim", "other.claim"]
    assert rows_after("--about", "a trial", "--chapters", "01_a").equals(both)
    # Other surroundings, another table.
    one = rows_after("--about", "another", "--chapters", "02_b")
    assert list(one["claim"]) == ["other.claim"]
