"""What the ledger, status and robustness pages are made from, gathered once a build.

The register, the executed chapters and the committed sweep tables are read through `hblib`. Each
page notes what it was made from, so that Sphinx makes it again when any of that changes.
"""

import posixpath
from functools import lru_cache
from pathlib import Path

import nbformat
from hb_html import TEMPLATES
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from hblib import claims
from runner import files, ledger, parameters, stamp, sweep

logger = logging.getLogger(__name__)


def title_of(chapter):
    """``02_rotation`` as ``2. Rotation``."""
    number, _, words = chapter.partition("_")
    return f"{int(number)}. {words.replace('_', ' ').capitalize()}"


class Sweep:
    """A committed table of a sweep, whether it still fits its chapter, and what it says.

    A table that lacks a parameter of the chapter cannot be read against it, so it says nothing.
    """

    def __init__(self, path):
        self.results = sweep.judged(path)
        self.stale = "; ".join(sweep.stale(path))
        chapter = path.parents[2] / "notebooks" / f"{path.stem}.ipynb"
        declared = parameters.declared(nbformat.read(chapter, as_version=4))
        self.stability = sweep.stability(path) if {*declared} <= {*self.results} else {}

    @property
    def grid(self):
        """Parameter -> values, of those that vary."""
        names = [name for name in self.results if name not in (*sweep.COLUMNS, "verdict")]
        values = {name: list(self.results[name].unique()) for name in names}
        return {name: found for name, found in values.items() if len(found) > 1}

    @property
    def runs(self):
        """The runs, in the order of the grid."""
        return self.results["run"].unique()

    def held(self, id):
        """Whether a claim's verdict held, run by run."""
        verdicts = self.results[self.results["claim"] == id].set_index("run")["verdict"]
        return [verdicts.get(run) == self.stability[id].verdict for run in self.runs]


class Evidence:
    """The register, the chapters there are, and what their records add up to."""

    def __init__(self, root):
        self.root = Path(root)
        self.register = files.register(self.root)
        self.chapters = files.chapters(self.root)
        self.table = ledger.collect(self.register, self.chapters)
        self.counts = ledger.count_verdicts(self.table)
        self.stale = {path.stem: "; ".join(stamp.stale(path)) for path in self.chapters}
        results = sorted((self.root / "sweeps" / "results").glob("*.csv"))
        self.sweeps = {path.stem: Sweep(path) for path in results}
        self.stability = {
            id: found for swept in self.sweeps.values() for id, found in swept.stability.items()
        }

    @property
    def tested(self):
        return len(self.table) - self.counts[claims.NOT_TESTED]


@lru_cache(maxsize=1)
def _evidence(root):
    try:
        return Evidence(root)
    except (ValueError, FileNotFoundError) as error:
        for problem in str(error).splitlines():
            logger.error("The ledger cannot be made. %s", problem)
        return None


def begin(app):
    """Gather the evidence at the start of every build, whichever pages it will read."""
    _evidence.cache_clear()
    known = _evidence(str(app.srcdir))
    for chapter, reasons in known.stale.items() if known else ():
        if reasons:
            logger.warning("%s is out of date (%s): run 'make book'.", chapter, reasons)


def evidence(env):
    """The evidence (None if faulty, which `begin` has reported); the page in hand is tied to it."""
    root = Path(env.srcdir)
    sources = [root / files.REGISTER, root / "requirements.lock"]
    sources += [*Path(__file__).parent.glob("hb_*.py"), *TEMPLATES.glob("*.html")]
    sources += (root / "hblib" / "claims").glob("*.py")
    known = _evidence(str(root))
    for chapter in sorted(set(known.table["chapter"])) if known else ():
        # A missing file counts as changed, so that a new chapter or sweep is noticed.
        sources += [
            root / "notebooks" / f"{chapter}.ipynb",
            root / "sweeps" / f"{chapter}.yml",
            root / "sweeps" / "results" / f"{chapter}.csv",
        ]
    for source in sources:
        env.note_dependency(str(source))
    return known


class EvidenceDirective(SphinxDirective):
    """A directive whose content is made from the evidence."""

    def run(self):
        known = evidence(self.env)
        return self.make(known) if known else []

    def address(self, chapter, anchor=""):
        """Where a chapter or one of its cards is; None if the book does not have it."""
        target = f"notebooks/{chapter}"
        if target not in self.env.found_docs:
            return None
        return posixpath.relpath(f"{target}.html", posixpath.dirname(self.env.docname)) + anchor


def setup(app):
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
