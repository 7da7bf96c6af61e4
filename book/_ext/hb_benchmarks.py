"""The page of benchmarks: required, measured, and cost against size, from the stored results.

Every ``benchmarks/results/*.json`` has one shape, which ``benchmarks/record.py`` describes. Nothing
on the page is typed but the words around it.
"""

import datetime
import json
import operator
import re
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
from docutils import nodes
from hb_html import filled
from matplotlib.ticker import NullLocator
from sphinx.util.docutils import SphinxDirective

from hblib import figures

COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
COMPARISONS["=="] = operator.eq
FLOOR = "floor: "
RATIO = re.compile(r"(.+): times ([^']+)")  # of speeds: ours over a peer's


def results(root):
    """All stored results by the name of their script."""
    folder = Path(root) / "benchmarks" / "results"
    return {
        p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json"))
    }


def outcome(required, measured):
    """``met``, ``not met``, or ``not measured`` where a peer was missing."""
    if measured is None:
        return "not measured"
    sign, _, bound = required.partition(" ")
    return "met" if COMPARISONS[sign](measured, float(bound)) else "not met"


def number(value):
    """A number as a reader wants it: three digits, no exponent where it can be spared."""
    if value is None:
        return "–"
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.2g}"
    whole = value == round(value) and abs(value) < 1e4
    short = value if whole else float(f"{value:.3g}")
    return f"{short:,.0f}" if short == round(short) else f"{short:,g}"


def requirement(required):
    """``>= 2.0`` as a reader wants it."""
    sign, _, bound = required.partition(" ")
    signs = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than", "==": "exactly"}
    return f"{signs[sign]} {number(float(bound))}"


def in_words(row):
    """What a ratio of speeds says, as a sentence; anything else as it is called."""
    ratio = RATIO.fullmatch(row["what"])
    if ratio is None or row["measured"] is None:
        return row["what"]
    case, peer = ratio.groups()
    peer = {"by definition": "the definition as written"}.get(peer, peer)
    if row["measured"] >= 1:
        return f"{case}: {peer} takes {number(row['measured'])} times as long as ours"
    return f"{case}: ours takes {number(1 / row['measured'])} times as long as {peer}"


def required_rows(result):
    """Rows of the table of what was required: what, required, measured, met or not in words."""
    return [
        [
            in_words(row),
            requirement(row["required"]),
            number(row["measured"]),
            outcome(row["required"], row["measured"]),
        ]
        for row in result["required and measured"]
    ]


def slope_rows(series):
    """Rows of the table of slopes: line, its slope, that of the floor, how many floors it costs.

    The last column is the cost over that of the floor, at the largest size that both have.
    """
    floor = next(name for name in series["lines"] if name.startswith(FLOOR))
    least = dict(map(tuple, series["lines"][floor]))
    slopes, rows = series["slopes"], []

    def shown(slope):
        return "–" if slope is None else f"{slope:.2f}"

    for name, line in series["lines"].items():
        if name == floor:
            continue
        size, cost = max((point for point in line if point[0] in least), default=(None, None))
        times = "" if size is None else f"{number(cost / least[size])} at {number(size)}"
        rows.append([name, *(shown(slopes.get(line)) for line in (name, floor)), times])
    return rows


def draw(series):
    """Log-log figure of a series; the floor in black."""
    with matplotlib.rc_context():
        figures.use_style()
        figure, axes = plt.subplots(figsize=(6.5, 3.9))
        for i, (name, line) in enumerate(series["lines"].items()):
            x, y = zip(*line)
            color = figures.PALETTE[i % 6]
            look = {"color": color, "marker": figures.MARKERS[i % 6], "linestyle": "-"}
            if name.startswith(FLOOR):
                look = {"color": figures.BLACK, "marker": "", "linestyle": (0, (1, 1))}
            axes.plot(x, y, label=name, markersize=5, **look)
        axes.set(xscale="log", yscale="log", xlabel=series["x"], ylabel=series["y"])
        sizes = sorted({x for line in series["lines"].values() for x, _ in line})
        if len(sizes) < 8:
            axes.set_xticks(sizes, map(number, sizes))
            axes.xaxis.set_minor_locator(NullLocator())
        columns = 1 if max(map(len, series["lines"])) > 24 else 2
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.4)
    return figure


def described(series):
    """Text alternative of the figure of a series."""
    ends = "; ".join(
        f"{name} from {number(line[0][1])} to {number(line[-1][1])}"
        for name, line in series["lines"].items()
    )
    sizes = sorted({x for line in series["lines"].values() for x, _ in line})
    return (
        f"Curves of {series['y']} against {series['x']}, from {number(sizes[0])} to "
        f"{number(sizes[-1])}, both axes logarithmic: {ends}."
    )


def day(date):
    """``2026-11-21`` as 21 November 2026."""
    date = datetime.date.fromisoformat(date)
    return f"{date.day} {date:%B %Y}"


class Benchmarks(SphinxDirective):
    """Every stored result, or those named, each as a section."""

    optional_arguments = 20

    def run(self):
        known = results(self.env.srcdir)
        for name in known:
            path = Path(self.env.srcdir) / "benchmarks" / "results" / f"{name}.json"
            self.env.note_dependency(str(path))
        return [self.section(name, known[name]) for name in self.arguments or known]

    def section(self, name, result):
        section = nodes.section(ids=[f"bench-{name.replace('_', '-')}"], names=[name])
        section += nodes.title("", result["title"])
        section += nodes.paragraph("", result["what"])
        head = ("What", "Required", "Measured", "Outcome")
        caption = f"{result['title']}: required and measured"
        section += filled("table.html", caption=caption, head=head, rows=required_rows(result))
        for i, series in enumerate(result["series"]):
            section += self.figure(f"bench-{name}-{i}", series)
            head = ("Line", "Slope", "Slope of the floor", "Times the floor")
            caption = f"{series['y']} against {series['x']}: slopes"
            section += filled("table.html", caption=caption, head=head, rows=slope_rows(series))
        if result["memory"]:
            rows = [[what, number(mib)] for what, mib in result["memory"].items()]
            caption = f"{result['title']}: peak memory beyond the start"
            head = ("What", "MiB")
            section += filled("table.html", caption=caption, head=head, rows=rows)
        section += filled(
            "measured.html", name=name, result=result, day=day(result["date"]), sentence=sentence
        )
        return section

    def figure(self, name, series):
        folder = Path(self.env.app.outdir).parent / "jupyter_execute"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.svg"
        figure = draw(series)
        with matplotlib.rc_context({"svg.hashsalt": name}):
            figure.savefig(path, facecolor="white", metadata={"Date": None, "Creator": None})
        plt.close(figure)
        uri = "/" + path.relative_to(Path(self.env.srcdir)).as_posix()
        words = (
            f"{series['y']} against {series['x']}. Dotted: the floor, below which no method can "
            "go. A line parallel to it costs the same multiple of it at every size."
        )
        return nodes.figure(
            "",
            nodes.image(uri=uri, alt=described(series)),
            nodes.caption("", words),
            classes=["hb-figure", "hb-drawing"],
        )


def sentence(row):
    """A row of anything as ``name: value; name: value``."""

    def shown(value):
        if isinstance(value, dict):
            return "(" + sentence(value) + ")"
        if isinstance(value, list):
            return ", ".join(map(shown, value))
        return number(value) if value is None or isinstance(value, float) else str(value)

    return "; ".join(f"{name}: {shown(value)}" for name, value in row.items())


def setup(app):
    app.add_directive("benchmarks", Benchmarks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
