"""A small book to test on, made in a temporary folder."""

import shutil
import time

import nbformat
from nbformat import v4
from scripts import PATIENCE, ROOT

# A record as a chapter holds it, without the time it takes to import the library.
RECORD = """
from IPython.display import display
record = {
    "id": "fake.claim", "verdict": "reproduced" if k < 6 else "open", "estimate": 1.23456,
    "interval": [1.0, 2.0], "n": 8, "control": {"outcome": "met"},
}
display({"text/plain": record["verdict"], "application/vnd.hblib.claim+json": record}, raw=True)
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
        (root / "hblib" / "claims" / "register.yml").write_text("[]")

    def chapter(self, name, *cells, declared="seed = 0  # any\nk = 5  # 1 to 9", echo=None):
        """Write a chapter with the two cells every chapter has, then `cells`."""
        parameters = v4.new_code_cell(declared, metadata={"tags": ["parameters"]})
        head = [
            v4.new_markdown_cell("# A question?"),
            v4.new_code_cell("from hblib import figures"),
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
