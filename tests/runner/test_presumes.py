"""Prose that rests on verdicts: declared, checked, and noted where a run comes out otherwise."""

import json

import nbformat
import numpy as np
import pytest
from fake_book import ENTRY
from nbformat import v4

from hblib import claims
from runner import files, ledger, page, presumes

REFUTED = {ENTRY["id"]: "refuted"}


def test_a_declaration_is_read():
    found = presumes.parse("space.basis: reproduced, toy.b: reproduced with a caveat")
    assert found == {"space.basis": "reproduced", "toy.b": "reproduced with a caveat"}


@pytest.mark.parametrize("text", ["space.basis", "space.basis: true", "", "a: open, : open b"])
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="presumes takes claims and verdicts such as"):
        presumes.parse(text)


def test_every_disagreement_is_said():
    presumed = {"a.a": "open", "a.b": "refuted", "a.c": "reproduced"}
    said = presumes.disagreements(presumed, {"a.a": "open", "a.b": "reproduced"})
    assert said == [
        "a.b came out 'reproduced', the text presumes 'refuted'",
        "a.c came out 'not yet tested', the text presumes 'reproduced'",
    ]


def test_a_cell_says_what_it_presumes():
    cell = v4.new_markdown_cell("It failed.", metadata={"hblib": {"presumes": REFUTED}})
    assert presumes.of_cell(cell) == REFUTED
    assert presumes.of_cell(v4.new_markdown_cell("Nothing rests on it.")) == {}
    for wrong in ({"a.a": "maybe"}, ["a.a"], "a.a: open"):
        cell.metadata["hblib"]["presumes"] = wrong
        with pytest.raises(ValueError, match="'presumes' in a cell's metadata must be claims"):
            presumes.of_cell(cell)


def test_every_chapter_agrees_with_what_its_text_presumes():
    root = files.find_root(__file__)
    register = files.register(root)
    for path in files.chapters(root):
        verdicts = {r.id: r.verdict for r in ledger.read_records(path, register)}
        for cell in nbformat.read(path, as_version=4).cells:
            assert not presumes.disagreements(presumes.of_cell(cell), verdicts), path.stem


def test_a_run_that_comes_out_otherwise_notes_it_beside_the_text(book):
    register = {ENTRY["id"]: ENTRY}
    for low, noted in ((1, True), (-1, False)):
        sample = np.linspace(low, low + 0.2, 8)
        record = claims.check(ENTRY["id"], sample, control=[0.0], register=register)
        data = json.loads(json.dumps(record._repr_mimebundle_()))
        metadata = {"hblib": {"presumes": REFUTED}}
        cells = [
            v4.new_markdown_cell("It failed.", metadata=metadata),
            v4.new_code_cell("k = 5  # size [1 to 9]", metadata={"tags": ["parameters"]}),
            v4.new_code_cell("check()", outputs=[v4.new_output("display_data", data=data)]),
        ]
        run = book.root / "notebooks" / "run.ipynb"
        nbformat.write(v4.new_notebook(cells=cells), run)
        text = page.write(run).read_text(encoding="utf-8")
        assert "It failed." in text
        assert ("In this run" in text and "the text presumes" in text) is noted
