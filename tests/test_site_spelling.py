"""Spelling of everything that readers see, by codespell."""

import nbformat
import pytest
from built_site import ROOT

# Names and words that codespell takes for slips.
KNOWN = "als,vermillion"


@pytest.fixture(scope="module")
def codespell():
    return pytest.importorskip("codespell_lib", reason="no codespell").main


def prose():
    """Text by name: the pages, the register, and the words and captions of the chapters."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("book/**/*.md"), *ROOT.glob("exercises/*.md")]
    for path in [*texts, ROOT / "hblib" / "claims" / "register.yml"]:
        name = "-".join(path.relative_to(ROOT).parts)
        yield name, path.read_text(encoding="utf-8")
    for path in ROOT.glob("notebooks/*.ipynb"):
        parts = []
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                parts.append(cell.source)
            for output in cell.get("outputs", ()):
                meta = output.get("metadata", {}).get("image/png", {})
                parts += [meta.get("alt", ""), meta.get("caption", "")]
        yield path.stem + ".txt", "\n".join(parts)


def test_words_are_spelt_right(codespell, tmp_path, capsys):
    for name, text in prose():
        (tmp_path / name).write_text(text, encoding="utf-8")
    names = {path.name for path in tmp_path.iterdir()}
    assert {"README.md", "book-findings.md", "book-teach-assessment.md"} <= names
    assert {"exercises-02_rotation.md", "02_rotation.txt"} <= names
    wrong = codespell("-L", KNOWN, str(tmp_path))
    assert wrong == 0, capsys.readouterr().out


def test_a_slip_would_be_found(codespell, tmp_path, capsys):
    (tmp_path / "page.md").write_text("The begining of a chapter.", encoding="utf-8")
    assert codespell("-L", KNOWN, str(tmp_path)) != 0
