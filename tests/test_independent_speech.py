"""Chapter 7 says of other people's speech what the stored outcomes say."""

import json

import nbformat
import pytest
from fake_book import ROOT

ROWS = {
    "regions name the sound": "grid.regions",
    "silencing is selective": "grid.ablation",
    "film follows changes": "grid.sequence",
    "concentration": "grid.concentration",
    "accuracy": "grid.accuracy-kept",
}


@pytest.mark.parametrize("row", ROWS)
def test_the_table_is_what_was_stored(row):
    stored = (ROOT / "book" / "reproductions" / "independent_speech.json").read_text("utf-8")
    levels = json.loads(stored)["claims"][ROWS[row]]
    said = [f"{100 * levels[name]['estimate']:.1f}" for name in ("null", "measured")]
    chapter = nbformat.read(ROOT / "notebooks" / "07_grid_layers.ipynb", as_version=4)
    lines = "\n".join(cell.source for cell in chapter.cells).splitlines()
    cells = [line.split("|") for line in lines if line.startswith(f"| {row}")]
    assert [cell.strip() for cell in cells[0][2:4]] == said
