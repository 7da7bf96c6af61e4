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
from hb_html import badge, simple_table, tag
from sphinx.util.docutils import SphinxDirective

from runner import files

MAIN_PACKAGES = """
    numpy scipy scikit-learn torch pandas matplotlib gensim sympy papermill dask nbval jupyter-book
    sphinx myst-nb
""".split()
# What a page may be made from besides its own text.
MADE_PAGES = (
    r"\{(claims?(?:-\w+)?|findings|chapter-status|provenance|version-table|sweep-stability"
    r"|bibliography|quiz|benchmarks|reproductions|mutants)\}"
)


def recorded(path):
    """What an executed chapter says of its run: stamp, seconds, hashes of its inputs."""
    return nbformat.read(path, as_version=4).metadata.get("hblib", {})


class ChapterStatus(EvidenceDirective):
    """Run time, peak memory, stamp, state and number of claims of every chapter."""

    def make(self, known):
        written = {path.stem: path for path in known.chapters}
        measured = known.root / "book" / "memory.json"
        self.env.note_dependency(str(measured))
        peaks = json.loads(measured.read_text("utf-8")) if measured.is_file() else {}
        rows = []
        for chapter, count in sorted(Counter(known.table["chapter"]).items()):
            seconds, memory, stamp, state = "", "", "", "not yet written"
            if chapter in written:
                meta = recorded(written[chapter])
                seconds = f"{meta['seconds']:.0f} s" if "seconds" in meta else ""
                memory = peak_memory(peaks.get(chapter), meta.get("stamp"))
                stamp = short(meta.get("stamp", ""))
                state = (
                    f"out of date: {known.stale[chapter]}" if known.stale[chapter] else "current"
                )
            name = self.chapter_link(chapter, title_of(chapter))
            figures = [tag("span", text, class_="hb-num") for text in (seconds, memory)]
            rows.append([name, *figures, stamp, state, str(count)])
        head = ("Chapter", "Run time", "Peak memory", "Stamp", "State", "Claims")
        return [simple_table("Chapters, in reading order", head, rows)]


def peak_memory(measured, stamp):
    """What `tools/memory.py` noted of a chapter, if of this version."""
    if measured is None:
        return "not measured"
    earlier = "" if measured["stamp"] == stamp else " (earlier version)"
    return f"{measured['mib'] / 1024:.1f} GiB{earlier}"


def short(value):
    """The beginning of a hash."""
    return tag("code", value[:12])


def file_hash(*paths):
    """One hash over files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def folded(title, values):
    """Names and values behind a title that opens."""
    rows = [tag("div", f"{name} ", tag("code", v[:12])) for name, v in sorted(values.items())]
    return tag("details", tag("summary", title), *rows)


class Provenance(EvidenceDirective):
    """The hashes behind every page: what a chapter's stamp is made of, and the other pages."""

    def make(self, known):
        head = ("Chapter", "Notebook", "Code", "Register", "Library", "Lock", "Data")
        rows = [self.chapter(path) for path in known.chapters]
        other = [self.page(known.root, name) for name in self.others()]
        return [
            simple_table("What each stamp is made of", head, rows),
            simple_table("The other pages", ("Page", "Source", "Made from besides"), other),
        ]

    def chapter(self, path):
        inputs = recorded(path).get("inputs", {})
        modules, lock, data = (inputs.get(key, {}) for key in ("modules", "lock", "data"))
        # Without the condition under which a release is asked for ("2026.3.3 ; python_version...").
        releases = {name: release.partition(";")[0].strip() for name, release in lock.items()}
        return [
            self.chapter_link(path.stem, title_of(path.stem)),
            short(file_hash(path)),
            short(inputs.get("code", "")),
            short(inputs.get("register", "")),
            tag("div", short(files.digest(modules)), folded(f"{len(modules)} modules", modules)),
            tag("div", short(files.digest(lock)), folded(f"{len(lock)} releases", releases)),
            folded(f"{len(data)} files", data) if data else "none",
        ]

    def others(self):
        """The pages that are no chapters, in the order of their names."""
        return sorted(name for name in self.env.found_docs if not name.startswith("notebooks/"))

    def page(self, root, name):
        source = Path(self.env.doc2path(name))
        self.env.note_dependency(str(source))
        text = source.read_text(encoding="utf-8")
        title = re.search(r"^# (.+)$", text, re.M)[1]
        here = posixpath.dirname(self.env.docname)
        link = tag("a", title, href=posixpath.relpath(f"{name}.html", here))
        used = sorted({self.made_from(word) for word in re.findall(MADE_PAGES, text)})
        return [link, short(file_hash(source)), ", ".join(used) or "nothing"]

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
        return [
            simple_table(
                "Versions this site was built with", ("Package", "Installed", "Locked"), rows
            )
        ]


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
        table = known.table.set_index("id")
        return [self.chapter(table, chapter, swept) for chapter, swept in known.sweeps.items()]

    def chapter(self, table, chapter, swept):
        section = nodes.section(ids=[f"sweep-{chapter}"], names=[chapter])
        section += nodes.title("", title_of(chapter))
        if swept.stale:
            command = tag("code", f"make sweep CH={chapter}")
            section += tag(
                "p", f"Out of date: {swept.stale}. Run ", command, ".", class_="hb-stale"
            )
        if not swept.stability:
            return section
        grid = "; ".join(f"{name} in {in_words(v)}" for name, v in swept.grid.items())
        section += nodes.paragraph(
            "",
            f"{swept.results['run'].nunique()} runs of the whole chapter; what varied: {grid}. "
            "In the strips a full bar is a setting in which the verdict held, an open one a "
            "setting in which it did not; settings are in the order of the grid.",
        )
        rows = [
            self.claim(table.loc[id], id, found, swept.results)
            for id, found in swept.stability.items()
        ]
        head = ("Claim", "Verdict", "Held in", "Settings")
        caption = f"{title_of(chapter)}: verdicts over the sweep"
        section += simple_table(caption, head, rows, class_="hb-sweep")
        return section

    def claim(self, entry, id, found, results):
        verdicts = results[results["claim"] == id].set_index("run")["verdict"]
        held = [verdicts.get(run) == found.verdict for run in results["run"].unique()]
        count = f"{found.held} of {found.n_settings}"
        bars = [tag("i", class_=None if ok else "off") for ok in held]
        label = f"held in {count} settings"
        settings = [tag("div", *bars, class_="hb-strip", role="img", aria_label=label)]
        if found.failing:
            plural = "s" if len(found.failing) > 1 else ""
            summary = tag("summary", f"does not hold in {len(found.failing)} setting{plural}")
            failing = [self.failing(entry.chapter, one) for one in found.failing]
            settings.append(tag("details", summary, tag("ul", *failing)))
        name = self.chapter_link(entry.chapter, tag("code", id), f"#{entry.anchor}")
        return [name, badge(found.verdict), count, tag("div", *settings)]

    def failing(self, chapter, one):
        """A setting, what came out there, and its executed notebook, or the command for it."""
        given = " ".join(
            # In double quotes, lists of words need no escape in a shell's single ones.
            shlex.quote(f"{name}={json.dumps(value) if isinstance(value, list) else value}")
            for name, value in one.given.items()
        )
        executed = Path("_build", "sweeps", chapter, one.run, f"{chapter}.ipynb")
        source = Path(self.env.srcdir) / executed
        if source.is_file():
            copied = Path(self.env.app.outdir) / "sweeps" / f"{chapter}-{one.run}.ipynb"
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, copied)
            where = tag("a", "executed notebook", href=f"../sweeps/{copied.name}", download="")
        else:
            command = f"hb run {chapter} {given}"
            where = nodes.literal(command, command)  # no quotation mark is to be made a nicer one
        return tag("li", nodes.literal(one.setting, one.setting), f": {one.verdict} ", where)


def setup(app):
    app.add_directive("chapter-status", ChapterStatus)
    app.add_directive("provenance", Provenance)
    app.add_directive("version-table", VersionTable)
    app.add_directive("sweep-stability", SweepStability)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
