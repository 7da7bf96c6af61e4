"""Executions of the chapters elsewhere: compared with care, and none of them flips a verdict."""

import os
import subprocess
import sys

import pandas as pd
import pytest
from fake_book import RECORD, ROOT
from scripts import PATIENCE

from hblib import claims
from runner import execute, ledger

sys.path.insert(0, str(ROOT / "book" / "_ext"))
from hb_reproductions import compared, read  # noqa: E402
from hb_status import recorded  # noqa: E402

STORED = sorted((ROOT / "book" / "reproductions").glob("*.csv"))


def _committed():
    return {
        record["id"]: (recorded(path).get("stamp"), record)
        for path in execute.chapters(ROOT)
        for record in ledger.read_records(path)
    }


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_no_verdict_flips(path):
    about, rows = read(path)
    assert about["about"] and about["releases"]["numpy"] and about["threads"] >= 1
    assert set(rows["verdict"]) <= set(claims.VERDICTS)
    found = compared(rows, _committed())
    flipped = found[found["verdict"] != found["committed"]]
    assert flipped.empty, flipped.to_string()


def test_rows_of_a_chapter_that_changed_since_are_left_out():
    record = {"verdict": "open", "estimate": 2.0, "interval": [1.0, 3.0]}
    committed = {"a": ("now", record), "b": ("now", record), "c": ("now", record)}
    rows = pd.DataFrame(
        [("now", "a", "open", 2.5), ("then", "b", "refuted", 9.0), ("now", "c", "refuted", "")],
        columns=["stamp", "claim", "verdict", "estimate"],
    )
    rows.loc[2, "estimate"] = 1.0
    found = compared(rows, committed)
    assert list(found["claim"]) == ["a", "c"]
    assert list(found["verdict"]) == ["open", "refuted"]
    assert list(found["shift"]) == [0.25, 0.5]


@pytest.mark.parametrize(
    ("cell", "status", "said"),
    [
        ("", 0, "all 1 verdicts are the committed ones"),
        ("record['verdict'] = 'refuted'", 1, "fake.claim: refuted here, reproduced in the book"),
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
    about, rows = read(book.root / "book" / "reproductions" / "here.csv")
    assert about["about"] == "a trial" and about["linear algebra"] and len(rows) == 1


def test_chapters_that_are_not_run_again_keep_their_rows(book):
    for name in ("01_a", "02_b"):
        path = book.chapter(name, RECORD.replace("fake.claim", f"{name}.claim"))
        assert execute.execute([path], report=str)[0].error is None

    def rows_after(*arguments):
        command = [sys.executable, ROOT / "tools" / "reproduce.py", "here", *arguments]
        subprocess.run(
            command, cwd=book.root, check=True, capture_output=True, timeout=PATIENCE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return read(book.root / "book" / "reproductions" / "here.csv")[1]

    both = rows_after("--about", "a trial")
    assert list(both["claim"]) == ["01_a.claim", "02_b.claim"]
    assert rows_after("--about", "a trial", "--chapters", "01_a").equals(both)
    # Other surroundings, another table.
    one = rows_after("--about", "another", "--chapters", "02_b")
    assert list(one["claim"]) == ["02_b.claim"]
