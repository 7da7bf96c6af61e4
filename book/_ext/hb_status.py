"""Directives of the status page and of the robustness page."""

import hashlib
import importlib.metadata
import json
import platform
import posixpath
import re
import shlex
import shutil
from collections import Counter
from pathlib import Path

import nbformat
from docutils import nodes
from hb_evidence import EvidenceDirective, title_of
from hb_html import filled
from sphinx.util.docutils import SphinxDirective

from runner import files

MAIN_PACKAGES = """
    numpy scipy scikit-learn torch pandas matplotlib gensim sympy papermill dask nbval jupyter-book
    sphinx myst-nb
""".split()
ENOUGH = 4  # settings in which a value must have been tried to be compared with another
CLEAR = 0.34  # difference in the share held from which on a parameter is said to decide
# What a page may be made from besides its own text.
MADE_PAGES = (
    r"\{(claims?(?:-\w+)?|card-example|forecasts|presumes|findings|chapter-status|provenance"
    r"|version-table|sweep-stability|bibliography|quiz|benchmarks|reproductions|mutants)\}"
)


def recorded(path):
    """What an executed chapter says of its run: stamp, seconds, hashes of its inputs."""
    return nbformat.read(path, as_version=4).metadata.get("hblib", {})


class ChapterStatus(EvidenceDirective):
    """Run time, peak memory, stamp, state and number of claims of every chapter."""

    def make(self, known):
        measured = known.root / "book" / "memory.json"
        self.env.note_dependency(str(measured))
        peaks = json.loads(measured.read_text("utf-8")) if measured.is_file() else {}
        counts = sorted(Counter(known.table["chapter"]).items())
        written = {path.stem: recorded(path) for path in known.chapters}
        rows = [
            {
                "chapter": chapter,
                "claims": count,
                "written": chapter in written,
                **self.run_of(written.get(chapter), peaks.get(chapter), known.stale.get(chapter)),
            }
            for chapter, count in counts
        ]
        return [filled("chapter_status.html", rows=rows, address=self.address, title_of=title_of)]

    def run_of(self, meta, peak, stale):
        if meta is None:
            return {"seconds": "", "memory": "", "stamp": "", "state": "not yet written"}
        stamp = meta.get("stamp", "")
        return {
            "seconds": f"{meta['seconds']:.0f} s" if "seconds" in meta else "",
            "memory": peak_memory(peak, meta.get("stamp")),
            "stamp": stamp,
            "state": f"out of date: {stale}" if stale else "current",
        }


def peak_memory(measured, stamp):
    """What `tools/memory.py` noted of a chapter, if of this version."""
    if measured is None:
        return "not measured"
    earlier = "" if measured["stamp"] == stamp else " (earlier version)"
    return f"{measured['mib'] / 1024:.1f} GiB{earlier}"


def file_hash(*paths):
    """One hash over files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


class Provenance(EvidenceDirective):
    """The hashes behind every page: what a chapter's stamp is made of, and the other pages."""

    def make(self, known):
        return [
            filled(
                "provenance.html",
                chapters=[self.chapter(path) for path in known.chapters],
                pages=[self.page(known.root, name) for name in self.others()],
                digest=files.digest,
                address=self.address,
                title_of=title_of,
            )
        ]

    def chapter(self, path):
        inputs = recorded(path).get("inputs", {})
        modules, lock, data = (inputs.get(key, {}) for key in ("modules", "lock", "data"))
        return {
            "chapter": path.stem,
            "notebook": file_hash(path),
            "code": inputs.get("code", ""),
            "register": inputs.get("register", ""),
            "modules": modules,
            "lock": lock,
            # Without the condition under which one is asked for ("2026.3.3 ; python_version...").
            "releases": {name: one.partition(";")[0].strip() for name, one in lock.items()},
            "data": data,
        }

    def others(self):
        """The pages that are no chapters, in the order of their names."""
        return sorted(name for name in self.env.found_docs if not name.startswith("notebooks/"))

    def page(self, root, name):
        source = Path(self.env.doc2path(name))
        self.env.note_dependency(str(source))
        text = source.read_text(encoding="utf-8")
        here = posixpath.dirname(self.env.docname)
        return {
            "title": re.search(r"^# (.+)$", text, re.M)[1],
            "address": posixpath.relpath(f"{name}.html", here),
            "source": file_hash(source),
            "made_from": sorted({self.made_from(word) for word in re.findall(MADE_PAGES, text)}),
        }

    def made_from(self, word):
        return {
            "sweep-stability": "the tables of the sweeps",
            "version-table": "the lock",
            "bibliography": "the references",
            "quiz": "the quizzes",
            "benchmarks": "the results of the benchmarks",
            "reproductions": "the executions elsewhere",
            "mutants": "the list of mutants and what became of them",
        }.get(word, "the register and the executed chapters")


class VersionTable(SphinxDirective):
    """Python and the locked packages that matter."""

    def run(self):
        lock = Path(self.env.srcdir) / "requirements.lock"
        self.env.note_dependency(str(lock))
        locked = dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;]+)", lock.read_text("utf-8"), re.M))
        rows = [["Python", platform.python_version(), "3.11 or later"]]
        for name in MAIN_PACKAGES:
            installed = importlib.metadata.version(name).partition("+")[0]
            rows.append([name, installed, locked[name]])
        head = ("Package", "Installed", "Locked")
        caption = "Versions this site was built with"
        return [filled("table.html", caption=caption, head=head, rows=rows)]


def in_words(values, most=8):
    """The values of a parameter; of many, only how many and how far."""
    if len(values) <= most:
        return ", ".join(map(str, values))
    return f"{len(values)} values from {min(values)} to {max(values)}"


class SweepStability(EvidenceDirective):
    """For each swept chapter: in how many settings each verdict held, and where it did not."""

    def make(self, known):
        if not known.sweeps:
            return [nodes.paragraph("", "No sweep has been committed yet.")]
        anchors = known.table.set_index("id")["anchor"]
        waiting = [title_of(path.stem) for path in known.chapters if path.stem not in known.sweeps]
        said = f"Not swept in this edition yet: {'; '.join(waiting)}." if waiting else ""
        return [nodes.paragraph("", said)] * bool(said) + [
            self.chapter(anchors, known.fragile, chapter, swept)
            for chapter, swept in known.sweeps.items()
        ]

    def chapter(self, anchors, fragile, chapter, swept):
        section = nodes.section(ids=[f"sweep-{chapter}"], names=[chapter])
        section += nodes.title("", title_of(chapter))
        section += filled(
            "sweep.html",
            chapter=chapter,
            title=title_of(chapter),
            swept=swept,
            grid="; ".join(f"{name} in {in_words(v)}" for name, v in swept.grid.items()),
            anchors=anchors,
            fragile=fragile,
            flips={id: flips(table) for id, table in swept.shares.items() if id in fragile},
            address=self.address,
            executed=lambda one: self.executed(chapter, one.run),
            command=lambda one: f"hb run {chapter} {given(one)}",
        )
        return section

    def executed(self, chapter, run):
        """Address of a copy of a run's executed notebook; None where this checkout has none."""
        notebook = Path("_build", "sweeps", chapter, run, f"{chapter}.ipynb")
        source = Path(self.env.srcdir) / notebook
        if not source.is_file():
            return None
        copied = Path(self.env.app.outdir) / "sweeps" / f"{chapter}-{run}.ipynb"
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, copied)
        return f"../sweeps/{copied.name}"


def flips(table):
    """How often a verdict held at each value of each parameter, and which parameter flips it."""
    if table.empty:
        return {"parameters": {}, "sentence": "Only one setting was tried."}
    parameters = {
        name: list(rows[["value", "held", "of"]].itertuples(index=False, name=None))
        for name, rows in table.groupby("parameter", sort=False)
    }

    def share(one):
        return one[1] / one[2]

    ends = {}
    for name, values in parameters.items():
        tried = [one for one in values if one[2] >= ENOUGH]
        if len(tried) > 1:
            ends[name] = max(tried, key=share), min(tried, key=share)
    spread = {name: share(best) - share(worst) for name, (best, worst) in ends.items()}
    name = max(spread, key=spread.get, default=None)
    if name is None or spread[name] < CLEAR:
        sentence = "No single parameter decides it."
    else:
        best, worst = ends[name]
        sentence = (
            f"It depends on {name} most: held in {best[1]} of {best[2]} settings at {best[0]}, in "
            f"{worst[1]} of {worst[2]} at {worst[0]}."
        )
    return {"parameters": parameters, "sentence": sentence}


def given(one):
    """The parameters of a setting as words of a command."""
    return " ".join(
        # In double quotes, lists of words need no escape in a shell's single ones.
        shlex.quote(f"{name}={json.dumps(value) if isinstance(value, list) else value}")
        for name, value in one.given.items()
    )


def setup(app):
    app.add_directive("chapter-status", ChapterStatus)
    app.add_directive("provenance", Provenance)
    app.add_directive("version-table", VersionTable)
    app.add_directive("sweep-stability", SweepStability)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
