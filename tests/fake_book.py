"""A small book to test on, made in a temporary folder."""

import shutil
import time
from pathlib import Path

import nbformat
from nbformat import v4

ROOT = Path(__file__).resolve().parent.parent

# A record as a chapter holds it, without the time it takes to import the library.
RECORD = """
from IPython.display import display
record = {
    "id": "fake.claim", "verdict": "reproduced" if k < 6 else "open", "estimate": 1.23456,
    "interval": [1.0, 2.0], "n": 8, "control": {"outcome": "met"},
}
display({"text/plain": record["verdict"], "application/vnd.hblib.claim+json": record}, raw=True)
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
        (root / "book" / "claims.yml").write_text("[]")

    def chapter(self, name, *cells, declared="seed = 0  # any\nk = 5  # 1 to 9", echo=None):
        """Write a chapter with the two cells every chapter has, then `cells`."""
        parameters = v4.new_code_cell(declared, metadata={"tags": ["parameters"]})
        head = [
            v4.new_markdown_cell("# A question?"),
            v4.new_code_cell("from hblib import parameters"),
            parameters,
            v4.new_code_cell(echo or "parameters.echo(seed=seed, k=k)"),
        ]
        notebook = v4.new_notebook(cells=head + [v4.new_code_cell(cell) for cell in cells])
        path = self.root / "notebooks" / f"{name}.ipynb"
        nbformat.write(notebook, path)
        return path


def eventually(condition, seconds=60):
    """Wait until a condition holds; return what it gave."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)
    return found
