"""Pages made from the claims: ledger, counts, sweeps, status.

Everything here reads the register, the executed chapters and the committed sweep tables through
`hblib`; nothing is typed twice. Each page notes what it was made from, so that Sphinx makes it
again when any of that changes.
"""

import importlib.metadata
import platform
import posixpath
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

import nbformat
from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole

from hblib import claims, execute, sweep

SOURCES = {
    "000": "Wilson 2016",
    "001": "Pechyonkin 2017",
    "002": "Johnson 2019",
    "003": "Goh 2016",
    "004": "Tan 2015",
    "ext": "this book",
}
MAIN_PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "pandas",
    "matplotlib",
    "gensim",
    "sympy",
    "papermill",
    "dask",
    "nbval",
    "jupyter-book",
    "sphinx",
    "myst-nb",
)

logger = logging.getLogger(__name__)


class tag(nodes.General, nodes.TextElement):
    """An HTML element with attributes that docutils has no node for."""

    def __init__(self, name, *children, **attributes):
        super().__init__("", "", *map(_as_node, children))
        self["name"] = name
        self["html"] = {
            key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()
        }


def _as_node(child):
    return nodes.Text(child) if isinstance(child, str) else child


def _visit_tag(translator, node):
    html = "".join(
        f' {key}="{translator.attval(str(value))}"'
        for key, value in node["html"].items()
        if value is not None
    )
    translator.body.append(f"<{node['name']}{html}>")


def _depart_tag(translator, node):
    translator.body.append(f"</{node['name']}>")


def badge(verdict):
    """The verdict as a coloured label with an icon."""
    return tag("span", verdict, class_="hb-verdict", data_verdict=verdict)


def with_math(text):
    """Nodes for a sentence whose ``$...$`` parts are mathematics."""
    parts = re.split(r"\$([^$]+)\$", text)
    return [nodes.math(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts)]


def title_of(chapter):
    """``02_rotation`` as ``2. Rotation``."""
    number, _, words = chapter.partition("_")
    return f"{int(number)}. {words.replace('_', ' ').capitalize()}"


# ---------------------------------------------------------------- what the pages are made from


class Evidence:
    """The register, the chapters there are, and what their records add up to."""

    def __init__(self, root):
        self.root = Path(root)
        self.register = claims.load_register(self.root / "book" / "claims.yml")
        self.chapters = execute.chapters(self.root)
        self.table = claims.ledger(self.register, self.chapters)
        self.counts = claims.count_verdicts(self.table)
        self.stale = {path.stem: "; ".join(execute.stale(path)) for path in self.chapters}
        results = sorted((self.root / "sweeps" / "results").glob("*.csv"))
        self.sweeps = {path.stem: path for path in results}
        self.stability = {
            id: found for path in results for id, found in sweep.stability(path).items()
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
    sources = [__file__, root / "book" / "claims.yml", root / "requirements.lock"]
    sources += sorted((root / "hblib").glob("*.py"))
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

    def chapter_link(self, chapter, text, anchor=""):
        """A link to a chapter or one of its cards; plain text if the book does not have it."""
        target = f"notebooks/{chapter}"
        if target not in self.env.found_docs:
            return nodes.Text(text)
        here = posixpath.dirname(self.env.docname)
        return tag("a", text, href=posixpath.relpath(f"{target}.html", here) + anchor)


# ---------------------------------------------------------------- counts


class ClaimsCount(SphinxRole):
    """``{claims-count}`all```: how many claims are registered, tested, untested, or so judged."""

    def run(self):
        known = evidence(self.env)
        if known is None:
            return [], []
        numbers = {
            "all": len(known.table),
            "tested": known.tested,
            "untested": known.counts[claims.NOT_TESTED],
            **known.counts,
        }
        if self.text not in numbers:
            message = f"claims-count knows {', '.join(numbers)}, not {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [nodes.Text(str(numbers[self.text]))], []


class Verdict(SphinxRole):
    """``{verdict}`open```: a verdict's label."""

    def run(self):
        if self.text not in (*claims.VERDICTS, claims.NOT_TESTED):
            message = f"there is no verdict {self.text!r}."
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [badge(self.text)], []


class ClaimsSummary(EvidenceDirective):
    """How many claims were tested, and the count of each verdict."""

    def make(self, known):
        total = len(known.table)
        items = [
            tag("li", tag("span", str(count), class_="hb-count"), badge(verdict))
            for verdict, count in known.counts.items()
            if count or verdict in ("reproduced", "refuted", "corrected", "open")
        ]
        sentence = (
            f"{known.tested} of {total} claims tested; "
            f"{known.counts[claims.NOT_TESTED]} still wait for their chapter."
        )
        return [
            nodes.paragraph("", "", nodes.strong("", sentence)),
            tag("ul", *items, class_="hb-counts"),
        ]


# ---------------------------------------------------------------- ledger


def _number(value):
    return tag(
        "data",
        str(claims.num(value, ".3g").text).replace("-", "\u2212"),
        class_="hb-num",
        value=value,
    )


class ClaimsLedger(EvidenceDirective):
    """The table of all claims."""

    columns = ("Claim", "Source", "Kind", "Estimate", "n", "Control", "Verdict", "Sweep")

    def make(self, known):
        head = [tag("th", name, scope="col", role="columnheader") for name in self.columns]
        rows = [
            self.row(entry, known.stability.get(entry.id))
            for entry in known.table.itertuples(index=False)
        ]
        table = tag(
            "table",
            tag(
                "caption",
                "All registered claims. Estimates are followed by their interval or range.",
            ),
            tag("thead", tag("tr", *head, role="row"), role="rowgroup"),
            tag("tbody", *rows, role="rowgroup"),
            class_="hb-ledger",
            role="table",
        )
        return [in_box(table, "The claims ledger")]

    def row(self, entry, stability):
        tested = entry.verdict != claims.NOT_TESTED
        name = tag("code", entry.id)
        if tested:
            name = self.chapter_link(entry.chapter, name, f"#{entry.anchor}")
        estimate = []
        if tested:
            low, high = entry.interval
            estimate = [
                _number(entry.estimate),
                " ",
                tag(
                    "span",
                    "[",
                    _number(low),
                    ", ",
                    _number(high),
                    "]",
                    class_="hb-quiet",
                    title=entry.interval_kind,
                ),
            ]
        held = (
            [
                tag(
                    "a",
                    f"{stability.held} of {stability.n_settings}",
                    href=f"robustness.html#sweep-{entry.chapter}",
                )
            ]
            if stability
            else []
        )
        cells = [
            ("Source", [SOURCES[entry.source]], None),
            ("Kind", [entry.kind], None),
            ("Estimate", estimate, entry.estimate if tested else ""),
            ("n", [f"{entry.n:,}"] if tested else [], entry.n if tested else ""),
            ("Control", [entry.control] if tested else [], None),
            ("Verdict", [badge(entry.verdict)], None),
            ("Sweep", held, stability.held / stability.n_settings if stability else ""),
        ]
        return tag(
            "tr",
            tag(
                "th",
                tag("span", name, class_="hb-id"),
                *with_math(entry.statement),
                scope="row",
                role="rowheader",
                data_sort=entry.id,
            ),
            *[
                tag("td", *content, role="cell", data_label=label, data_sort=sort)
                for label, content, sort in cells
            ],
            id=claims.ledger_anchor(entry.id),
            role="row",
            data_chapter=entry.chapter,
            data_verdict=entry.verdict,
        )


# ---------------------------------------------------------------- status


class ChapterStatus(EvidenceDirective):
    """Run time, stamp, state and number of claims of every chapter, written or not."""

    def make(self, known):
        written = {path.stem: path for path in known.chapters}
        rows = []
        for chapter, count in sorted(Counter(known.table["chapter"]).items()):
            seconds, stamp, state = "", "", "not yet written"
            if chapter in written:
                meta = nbformat.read(written[chapter], as_version=4).metadata.get("hblib", {})
                seconds = f"{meta['seconds']:.0f} s" if "seconds" in meta else ""
                stamp = tag("code", meta.get("stamp", "")[:12])
                state = (
                    f"out of date: {known.stale[chapter]}" if known.stale[chapter] else "current"
                )
            name = self.chapter_link(chapter, title_of(chapter))
            rows.append([name, seconds, stamp, state, str(count)])
        head = ("Chapter", "Run time", "Stamp", "State", "Claims")
        return [simple_table("Chapters, in reading order", head, rows)]


def in_box(table, label):
    """A table in a box that scrolls by itself and can be reached by key."""
    return tag("div", table, class_="hb-table", role="region", tabindex="0", aria_label=label)


def simple_table(caption, head, rows, class_="table"):
    """A table with a caption and header cells."""
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *[tag("th", name, scope="col") for name in head])),
        tag(
            "tbody",
            *[
                tag("tr", tag("th", first, scope="row"), *[tag("td", cell) for cell in rest])
                for first, *rest in rows
            ],
        ),
        class_=class_,
    )
    return in_box(table, caption)


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


# ---------------------------------------------------------------- sweeps


class SweepStability(EvidenceDirective):
    """For each swept chapter: in how many settings each verdict held, and where it did not."""

    def make(self, known):
        if not known.sweeps:
            return [nodes.paragraph("", "No sweep has been committed yet.")]
        return [self.chapter(known, chapter, path) for chapter, path in known.sweeps.items()]

    def chapter(self, known, chapter, path):
        results = sweep.read_results(path)
        grid = {
            name: list(results[name].unique())
            for name in results.columns
            if name not in sweep.COLUMNS and results[name].nunique(dropna=False) > 1
        }
        section = nodes.section(ids=[f"sweep-{chapter}"], names=[chapter])
        section += nodes.title("", title_of(chapter))
        if reasons := sweep.stale(path):
            section += tag(
                "p",
                f"Out of date: {'; '.join(reasons)}. Run ",
                tag("code", f"make sweep CH={chapter}"),
                ".",
                class_="hb-stale",
            )
        varied = "; ".join(
            f"{name} in {', '.join(map(str, values))}" for name, values in grid.items()
        )
        section += nodes.paragraph(
            "",
            f"{results['run'].nunique()} runs of the whole chapter, over {varied}. "
            "In the strips a full bar is a setting in which the verdict held, an open one a "
            "setting in which it did not; settings are in the order of the grid.",
        )
        rows = [
            self.claim(known.table.set_index("id").loc[id], id, found, results)
            for id, found in known.stability.items()
            if id in set(results["claim"]) or found.held < found.n_settings
        ]
        section += simple_table(
            f"{title_of(chapter)}: verdicts over the sweep",
            ("Claim", "Verdict", "Held in", "Settings", "Did not hold at"),
            rows,
            class_="hb-sweep",
        )
        return section

    def claim(self, entry, id, found, results):
        verdicts = results[results["claim"] == id].set_index("run")["verdict"]
        held = [verdicts.get(run) == found.verdict for run in results["run"].unique()]
        count = f"{found.held} of {found.n_settings}"
        strip = tag(
            "div",
            *[tag("i", class_=None if ok else "off") for ok in held],
            class_="hb-strip",
            role="img",
            aria_label=f"held in {count} settings",
        )
        failing = [tag("li", text) for text in found.failing]
        where = (
            "nowhere"
            if not failing
            else tag(
                "details",
                tag("summary", f"{len(failing)} settings" if len(failing) > 1 else "1 setting"),
                tag("ul", *failing),
            )
        )
        name = self.chapter_link(entry.chapter, tag("code", id), f"#{entry.anchor}")
        return [name, badge(found.verdict), count, strip, where]


def setup(app):
    app.add_node(tag, html=(_visit_tag, _depart_tag))
    app.add_role("claims-count", ClaimsCount())
    app.add_role("verdict", Verdict())
    app.add_directive("claims-summary", ClaimsSummary)
    app.add_directive("claims-ledger", ClaimsLedger)
    app.add_directive("chapter-status", ChapterStatus)
    app.add_directive("version-table", VersionTable)
    app.add_directive("sweep-stability", SweepStability)
    app.connect("builder-inited", begin)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
