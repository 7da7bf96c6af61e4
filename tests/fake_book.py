"""A small book to test on, made in a temporary folder."""

import shutil
import time

import nbformat
import yaml
from nbformat import v4
from scripts import PATIENCE, ROOT

from hblib.claims import registered_hash

# A register with one claim, and what a chapter holds of it: reproduced where k < 6, otherwise open.
ENTRY = {
    "id": "fake.claim",
    "chapter": "01_a",
    "source": "ext",
    "kind": "effect",
    "edition": 1,
    "statement": "It is large.",
    "statistic": "its size",
    "criterion": {"kind": "bound", "aggregate": "mean", "above": 0.5},
    "control": {
        "statement": "nothing",
        "criterion": {"kind": "bound", "aggregate": "max", "below": 0.5},
    },
    "verdict_if_met": "reproduced",
}
# Without the time it takes to import the library.
ECHO = """
from IPython.display import display
class figures:
    def echo(**values):
        display({"text/plain": "", "application/vnd.hblib.parameters+json": values}, raw=True)
""".strip()
RECORD = f"""
from IPython.display import display
def finding(estimate, low, high):
    return {{"estimate": estimate, "interval": [low, high], "interval_kind": "range", "n": 8}}
record = {{
    "id": "fake.claim", "registered": "{registered_hash(ENTRY)}", "mended": None, "note": None,
    "found": finding(1.23456, 1.0 if k < 6 else 0.25, 2.0), "control": finding(0.0, 0.0, 0.0),
}}
display({{"text/plain": "a line", "application/vnd.hblib.claim+json": record}}, raw=True)
""".strip()

# A cell that says when it starts and ends. The file's name is put together, so that it is not
# taken for data that the chapter depends on.
STARTS = """
import os
journal = os.path.join("..", "journal.txt")
def note(word):
    with open(journal, "a") as lines:
        lines.write(f"{word} {k}\\n")
note("start")
""".strip()


class Book:
    """A small book in a folder of its own: the real library, and chapters made as needed."""

    def __init__(self, root):
        self.root = root
        for folder in ("notebooks", "book", "sweeps"):
            (root / folder).mkdir()
        compiled = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "hblib", root / "hblib", ignore=compiled)
        shutil.copy(ROOT / "requirements.lock", root)
        (root / "hblib" / "claims" / "register.yml").write_text(yaml.safe_dump([ENTRY]))

    def chapter(self, name, *cells, declared="seed = 0  # any\nk = 5  # 1 to 9", echo=None):
        """Write a chapter with the two cells every chapter has, then `cells`."""
        parameters = v4.new_code_cell(declared, metadata={"tags": ["parameters"]})
        head = [
            v4.new_markdown_cell("# A question?"),
            v4.new_code_cell(ECHO),
            parameters,
            v4.new_code_cell(echo or "figures.echo(seed=seed, k=k)"),
        ]
        notebook = v4.new_notebook(cells=head + [v4.new_code_cell(cell) for cell in cells])
        path = self.root / "notebooks" / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path

    def journal(self):
        """The lines that chapters with `STARTS` have written."""
        path = self.root / "journal.txt"
        return path.read_text().split("\n")[:-1] if path.exists() else []


def eventually(condition, seconds=PATIENCE):
    """Wait until a condition holds; return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found
