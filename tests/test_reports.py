"""The reports on networks of others: the page's table is theirs, and they need no connection."""

import csv
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "book" / "_static" / "reports"
NAMES = ("smollm2", "minilm", "glove")


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_the_page_is_the_report(name):
    shown = (FOLDER / "outcomes.txt").read_text(encoding="utf-8")
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row in rows:
        assert f"| {row['sentence']} |" in shown
    assert f"../_static/reports/{name}.html" in shown


@pytest.mark.parametrize("name", NAMES)
def test_a_report_needs_no_connection_and_names_no_machine(name):
    page = (FOLDER / f"{name}.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|<link[^>]*href)\s*=\s*["']?(https?:)?//""", page)
    assert not re.search(r"/(tmp|home|root|work|Users)/", page)
