"""One look for all figures and tables, and the kinds of picture that several chapters share.

Pictures are drawn on solid white, on light pages and on dark ones: a transparent figure would need
colours that read on both, which none of the colour-blind-safe hues does, and would turn unreadable
wherever a reader's tool puts a third background behind it.

A figure reaches the page by `show`, an explorable one by `explorable`, a table by `table`. Each
demands a caption, and pictures also a text alternative, so that none can be forgotten.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import ArrayLike

from hblib._checks import as_array, number
from hblib.claims import Output, mime, shown, stored, text_to_html
from hblib.claims._outputs import Num, is_number

if TYPE_CHECKING:
    import pandas as pd

# M. Okabe and K. Ito, "Color Universal Design" (2008), https://jfly.uni-koeln.de/color/. Their
# yellow is left out: as a line on white it cannot be seen.
BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, BLACK = "#E69F00", "#56B4E9", "#000000"
PALETTE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, BLACK)
# A second cue beside colour, in the same order.
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (1, 1)))
MARKERS = ("o", "s", "D", "^", "v", "P", "X")

DPI = 144
MAX_WIDTH = 7.0  # inches
# A phone 390 CSS pixels wide leaves this many to a figure; smaller text is not readable there.
PHONE_WIDTH, MIN_TEXT_HEIGHT = 358, 7.5

_STYLE = {
    "figure.figsize": (6.5, 3.8),
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.titlelocation": "left",
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#555555",
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "lines.linewidth": 2.0,
    "image.cmap": "Greys",
    "image.interpolation": "nearest",
    "axes.prop_cycle": plt.cycler(color=PALETTE) + plt.cycler(linestyle=LINES),
}


def use_style() -> None:
    """Set matplotlib's defaults to the book's look; call it in the first cell of a chapter.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> use_style()
    >>> plt.rcParams["font.size"]
    12.0
    """
    plt.rcParams.update(_STYLE)


# --- to the page ---------------------------------------------------------------------------------


def show(fig: Figure, caption: str, alt: str) -> None:
    """Display a figure with its caption and text alternative, then close it.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
        At most 7 inches wide, no text of it too small for a phone.
    caption : str
        What the figure shows and what to see in it; may hold ``$math$``.
    alt : str
        What someone who cannot see the figure needs to know, in at least 20 characters.

    Raises
    ------
    ValueError
        If the caption is empty, the text alternative too short, or the figure not readable at 390
        CSS pixels.

    Notes
    -----
    The PNG holds no date and no version, so that the same figure gives the same bytes. Caption and
    text alternative travel in the output's metadata, from which the website builds the figure.

    Examples
    --------
    >>> fig = log_curves({"Adam": [1e-3, 1e-2, 0.1]}, ylabel="defect")
    >>> show(fig, caption="The defect grows.", alt="A curve rising from 0.001 to 0.1.")
    Figure: A curve rising from 0.001 to 0.1.
    """
    _check_words(caption, alt)
    png = _png(fig)
    width = round(96 * fig.get_figwidth())  # CSS pixels; the picture itself is 1.5 times finer
    display(
        Output(
            {
                "image/png": base64.b64encode(png).decode("ascii"),
                "text/plain": f"Figure: {alt}",
                mime("figure"): {"width": width},
            },
            {"image/png": {"alt": alt, "caption": caption, "width": width}},
        )
    )


def explorable(
    kind: str,
    data: Mapping[str, Any],
    caption: str,
    alt: str,
    fallback: Figure | None = None,
) -> None:
    """Display a figure that the reader can act on, drawn by the site's script from stored data.

    Parameters
    ----------
    kind : str
        Which drawing; a name registered in the site's ``hb-fig`` scripts, such as ``rotation-2d``.
    data : dict
        Everything that the drawing needs: numbers, strings, lists, dicts, arrays and tensors.
        Floats are stored with 4 significant digits, and as 0 below a billionth of their array's
        largest.
    caption : str
        What the figure shows and what to try; may hold ``$math$``.
    alt : str
        Text alternative, at least 20 characters.
    fallback : matplotlib.figure.Figure, optional
        Still picture for readers without scripts and for print; by default they get `alt`.

    Raises
    ------
    ValueError
        If caption or alternative are missing as in `show`, or `data` holds NaN or infinity.

    Examples
    --------
    >>> import numpy as np
    >>> explorable("rotation-2d", {"A": np.eye(2), "B": np.eye(2)}, caption="Turn the axes.",
    ...            alt="Two points in the plane and two axes that can be turned.")
    Explorable figure: Two points in the plane and two axes that can be turned.
    """
    _check_words(caption, alt)
    if fallback is None:
        still = f"<p>{html.escape(alt)}</p>"
    else:
        source = base64.b64encode(_png(fallback)).decode("ascii")
        still = f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}">'
    script = json.dumps(_rounded(data), separators=(",", ":"), allow_nan=False)
    script = script.replace("<", "\\u003c")  # no text of ours may end the script element
    page = (
        f'<figure class="hb-figure"><hb-fig kind="{html.escape(kind)}" role="group" '
        f'aria-label="{html.escape(alt)}"><script type="application/json">{script}</script>'
        f'<div class="hb-fig-still">{still}</div></hb-fig>'
        f"<figcaption>{text_to_html(caption)}</figcaption></figure>"
    )
    fields = {"kind": kind, "fields": sorted(map(str, data))}
    display(
        Output(
            {
                "text/html": page,
                "text/plain": f"Explorable figure: {alt}",
                mime("explorable"): fields,
            }
        )
    )


def table(frame: pd.DataFrame, caption: str, formats: Mapping[str, str] | None = None) -> None:
    """Display a data frame as a table that screen readers can read and notebook tests compare.

    Parameters
    ----------
    frame : pandas.DataFrame
        Its index becomes the row headers; a plain 0, 1, 2, ... is left out and the first column
        taken instead. Floating-point numbers count as measured; mark whole numbers and text that
        were measured with `hblib.claims.num` and `hblib.claims.varying`.
    caption : str
        What the table shows; may hold ``$math$``, as may cells of text.
    formats : dict of str to str, optional
        Format specification per column, for instance ``{"rate": ".1%"}``; floats in other columns
        get ``.3g``. Truth values are written yes and no, missing ones as a dash.

    Raises
    ------
    ValueError
        If the caption is empty, the frame is, its headers have several levels, or `formats` names
        a column that the frame does not have.

    Notes
    -----
    The plain text form has one row per line, without padding.

    Examples
    --------
    >>> import pandas as pd
    >>> frame = pd.DataFrame({"rule": ["SGD", "Adam"], "steps": [10, 10], "defect": [0.0, 0.71828]})
    >>> table(frame, caption="Defect by rule.")
    Defect by rule.
    rule | steps | defect
    SGD | 10 | 0
    Adam | 10 | 0.718
    """
    import pandas as pd

    if not caption.strip():
        raise ValueError("caption must not be empty")
    if frame.empty:
        raise ValueError("frame must have at least one row and one column")
    if frame.index.nlevels > 1 or frame.columns.nlevels > 1:
        raise ValueError("frame must have one level of row and of column headers")
    formats = formats or {}
    if unknown := set(formats) - set(frame.columns):
        raise ValueError(
            f"formats names columns {sorted(unknown)}, the frame has {list(frame.columns)}"
        )
    if not isinstance(frame.index, pd.RangeIndex) or frame.index.name is not None:
        frame = frame.reset_index(names=frame.index.name or "")
    columns = list(frame.columns)
    numeric = [
        all(is_number(value) or isinstance(value, Num) for value in frame[c]) for c in columns
    ]
    cells = [
        [stored(value, formats.get(column)) for column, value in zip(columns, row)]
        for row in frame.itertuples(index=False, name=None)
    ]
    rows = [[(_cell_html(cell), shown(cell)) for cell in row] for row in cells]

    def element(tag, j, content, scope=""):
        align = ' style="text-align: right"' if numeric[j] else ""
        return f"<{tag}{scope}{align}>{content}</{tag}>"

    head = "".join(
        element("th", j, text_to_html(str(c)), ' scope="col"') if str(c) else "<td></td>"
        for j, c in enumerate(columns)
    )
    body = "".join(
        "<tr>"
        + element("th", 0, row[0][0], ' scope="row"')
        + "".join(element("td", j, cell) for j, (cell, _) in enumerate(row[1:], start=1))
        + "</tr>\n"
        for row in rows
    )
    name = html.escape(caption.replace("$", ""))
    page = (
        f'<div class="hb-table" role="region" tabindex="0" aria-label="{name}">'
        f"<table><caption>{text_to_html(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>"
    )
    lines = [caption, " | ".join(map(str, columns))]
    lines += [" | ".join(text for _, text in row) for row in rows]
    data = {"columns": [str(c) for c in columns], "rows": cells}
    display(Output({"text/html": page, "text/plain": "\n".join(lines), mime("table"): data}))


def _cell_html(cell: str | dict[str, str]) -> str:
    if isinstance(cell, dict) and "number" in cell:
        return f'<data class="hb-num" value="{cell["number"]}">{cell["number"]}</data>'
    return text_to_html(shown(cell))


def _check_words(caption: str, alt: str) -> None:
    if not caption.strip():
        raise ValueError("caption must not be empty")
    if len(alt.strip()) < 20:
        raise ValueError(f"alt must describe the figure in at least 20 characters, got {alt!r}")


def _png(fig: Figure) -> bytes:
    """Check that a figure is readable on a phone, close it and return it as PNG."""
    plt.close(fig)
    width = fig.get_figwidth()
    if width > MAX_WIDTH:
        raise ValueError(f"fig must be at most {MAX_WIDTH} inches wide, got {width:g}")
    buffer = io.BytesIO()
    fig.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    for text in fig.findobj(Text):
        if not (text.get_visible() and text.get_text().strip()):
            continue
        height = text.get_fontsize() / 72 * min(96, PHONE_WIDTH / width)
        if height < MIN_TEXT_HEIGHT:
            raise ValueError(
                f"fig has text of {text.get_fontsize():g} points ({text.get_text()!r}) on "
                f"{width:g} inches, {height:.1f} pixels high on a phone: at least "
                f"{MIN_TEXT_HEIGHT} are needed"
            )
    return buffer.getvalue()


def _rounded(data: Any) -> Any:
    """Copy data for JSON, floats to 4 significant digits."""
    if hasattr(data, "detach"):  # a tensor
        floats = data.is_floating_point()
        data = as_array("data", data, finite=False) if floats else data.cpu().numpy()
    if isinstance(data, dict):
        return {str(key): _rounded(value) for key, value in data.items()}
    if isinstance(data, np.ndarray):
        if data.dtype.kind == "f" and data.size:
            # What is rounding noise in its array would differ from machine to machine.
            data = np.where(np.abs(data) < 1e-9 * np.max(np.abs(data)), 0.0, data)
        return _rounded(data.tolist())
    if isinstance(data, list | tuple):
        return [_rounded(value) for value in data]
    if isinstance(data, np.generic):
        data = data.item()
    if isinstance(data, float):
        number = float(f"{data:.4g}")
        return int(number) if number.is_integer() and abs(number) < 1e6 else number
    return data


# --- pictures that chapters share ----------------------------------------------------------------


def digit_gallery(images: ArrayLike, row_titles: Sequence[str]) -> Figure:
    """Rows of small pictures, for instance the digits that a unit responds to most.

    Parameters
    ----------
    images : array_like of shape (n_rows, n_columns, height, width)
        Grey values on any scale, 0 to 255 or 0 to 1; the largest of all is drawn black, 0 white.
    row_titles : list of str
        One title per row, written above it.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> fig = digit_gallery(np.ones((2, 10, 8, 8)), ["Unit 1", "Unit 1 after a rotation"])
    >>> len(fig.axes)
    2
    """
    images = as_array("images", images).astype(np.float64)
    if images.ndim != 4 or len(row_titles) != len(images):
        raise ValueError(
            "images must have the shape (n_rows, n_columns, height, width), with one title per "
            f"row, got {images.shape} and {len(row_titles)} titles"
        )
    n_rows, n_columns, height, width = images.shape
    # One row is one image of all its pictures side by side, with a white gap of one pixel.
    framed = np.pad(images, ((0, 0), (0, 0), (0, 0), (0, 1)))
    strips = framed.transpose(0, 2, 1, 3).reshape(n_rows, height, -1)[:, :, :-1]
    row_height = 6.3 * height / strips.shape[-1] + 0.32
    fig, axes = plt.subplots(n_rows, 1, figsize=(6.5, n_rows * row_height), squeeze=False)
    for ax, strip, title in zip(axes[:, 0], strips, row_titles):
        ax.imshow(strip, cmap="Greys", vmin=0, vmax=images.max())
        ax.set_title(title)
        ax.set_axis_off()
    return fig


def log_curves(
    curves: Mapping[str, ArrayLike | tuple[ArrayLike, ArrayLike]],
    ylabel: str,
    xlabel: str = "step",
    threshold: float | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Positive quantities over steps, on a logarithmic axis; zeros are left out.

    Parameters
    ----------
    curves : dict of str to array_like
        By label: values of shape (n_steps,), drawn over 0, 1, 2, ..., or a pair (x, values).
    ylabel, xlabel : str
        Names of the axes.
    threshold : float, optional
        Draw a thin horizontal line here.
    ax : matplotlib.axes.Axes, optional
        Where to draw, by default in a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> fig = log_curves({"SGD": [0, 1e-16, 1e-15], "Adam": [0, 1e-3, 1e-1]}, ylabel="defect")
    >>> fig.axes[0].get_yscale()
    'log'
    """
    if not curves:
        raise ValueError("curves must hold at least one curve")
    if ax is None:
        _, ax = plt.subplots()
    for i, (name, curve) in enumerate(curves.items()):
        x, y = curve if isinstance(curve, tuple) else (np.arange(len(curve)), curve)
        x, y = (as_array(f"curves[{name!r}]", values, finite=False) for values in (x, y))
        cue = {"color": PALETTE[i % len(PALETTE)], "linestyle": LINES[i % len(LINES)]}
        ax.plot(x, y, label=name, **cue)
    if threshold is not None:
        ax.axhline(number("threshold", threshold), color="#555555", linewidth=1, linestyle="-")
    ax.set_yscale("log", nonpositive="mask")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    columns = 1 if max(map(len, curves)) > 24 else 2
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.4)
    return ax.figure


def dot_plot(
    labels: Sequence[str],
    estimates: ArrayLike,
    intervals: ArrayLike | None = None,
    xlabel: str = "",
    groups: Sequence[str] | None = None,
    log: bool = False,
    reference: float | None = None,
) -> Figure:
    """Estimates as dots with intervals, one row per label, the first one on top.

    Parameters
    ----------
    labels : list of str
        Names of the rows.
    estimates : array_like of shape (n_rows,)
        Where the dots are.
    intervals : array_like of shape (n_rows, 2), optional
        Lower and upper ends of the bars.
    xlabel : str
        What is estimated.
    groups : list of str, optional
        The group of each row, told apart by colour and by shape.
    log : bool
        Draw on a logarithmic axis; all numbers must then be positive.
    reference : float, optional
        Draw a thin vertical line here.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> fig = dot_plot(["SGD", "Adam"], [0.1, 0.8], [(0.05, 0.15), (0.7, 0.9)], xlabel="rate")
    >>> [tick.get_text() for tick in fig.axes[0].get_yticklabels()]
    ['SGD', 'Adam']
    """
    n = len(labels)
    estimates = as_array("estimates", estimates)
    if intervals is None:
        ends = np.stack([estimates] * 2, axis=-1)
    else:
        ends = as_array("intervals", intervals, finite=False)  # an end may be open
    groups = [""] * n if groups is None else list(groups)
    if estimates.shape != (n,) or ends.shape != (n, 2) or len(groups) != n:
        raise ValueError(
            f"labels, estimates, intervals and groups must have one entry per row, got {n}, "
            f"{estimates.shape}, {ends.shape} and {len(groups)}"
        )
    if log and not (estimates.min() > 0 and ends.min() > 0):
        raise ValueError("estimates and intervals must be positive on a logarithmic axis")
    fig, ax = plt.subplots(figsize=(6.5, 0.29 * n + 1.3))
    row = np.arange(n)
    for i, group in enumerate(dict.fromkeys(groups)):
        chosen = np.array([g == group for g in groups])
        color = PALETTE[i % len(PALETTE)]
        ax.hlines(row[chosen], *ends[chosen].T, color=color, linewidth=3, alpha=0.55)
        marker = MARKERS[i % len(MARKERS)]
        ax.plot(estimates[chosen], row[chosen], marker, color=color, linestyle="none", label=group)
    if reference is not None:
        ax.axvline(number("reference", reference), color="#555555", linewidth=1)
    ax.set_xscale("log" if log else "linear")
    ax.set_yticks(row, labels)
    ax.tick_params(axis="y", length=0)
    ax.set(xlabel=xlabel, ylim=(n - 0.4, -0.6))
    if any(groups):
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.4)
    return fig
