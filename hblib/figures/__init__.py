"""One look for the figures, tables and run parameters of a chapter, and their way to the page.

`show`, `explorable` and `table` demand a caption and, for pictures, a text alternative; colours,
line styles and markers come in an order in which no two need colour vision to be told apart.
`log_curves`, `dot_plot` and `digit_gallery` are shared by several chapters and return matplotlib
figures.

Examples
--------
>>> from hblib import figures
>>> figures.use_style()
>>> fig = figures.log_curves({"SGD": [1.0, 0.1, 0.01], "Adam": [1.0, 0.5, 0.2]}, ylabel="loss")
>>> figures.show(fig, caption="SGD falls faster.", alt="Two falling curves, SGD below Adam.")
Figure: Two falling curves, SGD below Adam.
"""

from hblib.figures._echo import echo
from hblib.figures._plotting import (
    BLACK,
    BLUE,
    GREEN,
    LINES,
    MARKERS,
    ORANGE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILLION,
    digit_gallery,
    dot_plot,
    explorable,
    log_curves,
    show,
    table,
    use_style,
)

__all__ = [
    "BLACK", "BLUE", "GREEN", "LINES", "MARKERS", "ORANGE", "PALETTE", "PURPLE", "SKY",
    "VERMILLION", "digit_gallery", "dot_plot", "echo", "explorable", "log_curves", "show", "table",
    "use_style",
]  # fmt: skip
