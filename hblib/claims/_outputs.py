"""What a cell of a chapter leaves in the notebook: typed data, beside a form to look at.

Every output of the library carries one JSON value whose MIME type (`mime`) says what it is: a
claim's record, a table, a figure, a number, a text. A rerun on another machine is compared by these
types (`hblib.compare`): what is the same everywhere letter by letter, what is measured within the
tolerance of its kind, wherever it stands.

Two types mark what was measured: `num` a number, `varying` a text, such as the caption that a
trained network writes. Floating-point numbers in tables count as measured by themselves; whole
numbers, truth values and text are exact unless marked.
"""

from __future__ import annotations

import html
import math
import numbers
import re

import numpy as np

_PREFIX, _SUFFIX = "application/vnd.hblib.", "+json"


def mime(kind: str) -> str:
    """Return the MIME type of a kind of data.

    Examples
    --------
    >>> mime("claim")
    'application/vnd.hblib.claim+json'
    """
    return f"{_PREFIX}{kind}{_SUFFIX}"


def kind_of(mime_type: str) -> str | None:
    """Return the kind of data that a MIME type stands for; None for a type that is not ours.

    Examples
    --------
    >>> kind_of("application/vnd.hblib.claim+json"), kind_of("text/html")
    ('claim', None)
    """
    ours = mime_type.startswith(_PREFIX) and mime_type.endswith(_SUFFIX)
    return mime_type[len(_PREFIX) : -len(_SUFFIX)] if ours else None


class Output:
    """What a notebook stores of one output; printed as its text where there is no notebook."""

    def __init__(self, data: dict, metadata: dict | None = None):
        self.data, self.metadata = data, metadata or {}

    def __repr__(self) -> str:
        return self.data["text/plain"]

    def _repr_mimebundle_(self, include=None, exclude=None):
        return self.data, self.metadata


class Num(Output):
    """A measured number; made by `num`."""

    def __init__(self, value: float, text: str):
        self.value, self.text = value, text
        page = f'<data class="hb-num" value="{text}">{text}</data>'
        super().__init__({"text/plain": text, "text/html": page, mime("number"): self.stored})

    @property
    def stored(self) -> dict:
        """The number as a notebook stores it."""
        return {"number": self.text}

    def __float__(self) -> float:
        return self.value

    def __html__(self) -> str:
        return self.data["text/html"]


def num(x: float, fmt: str = ".2g") -> Num:
    """Mark a number as measured: on another machine it may differ, within a tolerance.

    Parameters
    ----------
    x : float
    fmt : str
        A format specification that yields digits, commas, signs, points, exponents and a per cent
        sign only.

    Returns
    -------
    Num
        ``<data class="hb-num" value="3.2e-15">3.2e-15</data>`` as HTML, ``3.2e-15`` as text.

    Raises
    ------
    ValueError
        If the format yields anything else.

    Examples
    --------
    >>> num(3.21e-15, ".1e")
    3.2e-15
    """
    x = float(x)
    try:
        text = format(x, fmt)
    except ValueError:
        raise ValueError(f"fmt must be a format specification of numbers, got {fmt!r}") from None
    if not re.fullmatch(r"[-+0-9.,eE]+%?", text) and math.isfinite(x):
        raise ValueError(
            f"fmt {fmt!r} gives {text!r}; only digits, commas, signs, points, e and % are allowed"
        )
    return Num(x, text)


class Varying(Output):
    """A text that depends on what was measured; made by `varying`."""

    def __init__(self, text: str):
        self.text = text
        super().__init__(
            {"text/plain": text, "text/html": self.__html__(), mime("text"): self.stored}
        )

    @property
    def stored(self) -> dict:
        """The text as a notebook stores it."""
        return {"text": self.text}

    def __html__(self) -> str:
        return text_to_html(self.text)


def varying(text: str) -> Varying:
    """Mark a text as one that follows from measurements: another machine may have other words.

    Parameters
    ----------
    text : str
        For example a caption that a network writes, or the name of the attribute that wins; may
        hold ``$math$``.

    Examples
    --------
    >>> varying("a man riding a horse")
    a man riding a horse
    """
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"text must be a sentence or a word, got {text!r}")
    return Varying(text)


def stored(value, fmt: str | None = None):
    """Return a value of a table as a notebook stores it.

    Parameters
    ----------
    value : bool, int, float, str, None, Num or Varying
    fmt : str, optional
        Format specification; ``.3g`` for floating-point numbers where none is given.

    Returns
    -------
    str or dict
        Text where the value is exact, ``{"number": ...}`` or ``{"text": ...}`` where measured.

    Examples
    --------
    >>> stored(True), stored(12), stored(0.71828), stored(0.25, ".0%"), stored(float("nan"))
    ('yes', '12', {'number': '0.718'}, {'number': '25%'}, '–')
    """
    if isinstance(value, Num | Varying):
        return value.stored
    if value is None or (is_number(value) and np.isnan(value)):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if is_number(value) and not isinstance(value, numbers.Integral):
        return {"number": format(value, fmt or ".3g")}
    return str(value) if fmt is None else format(value, fmt)


def shown(cell) -> str:
    """Return the text of a stored value."""
    return cell if isinstance(cell, str) else cell.get("number", cell.get("text"))


def is_number(value) -> bool:
    """Whether a value is a real number, and no truth value."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)


def text_to_html(text: str) -> str:
    r"""Escape a sentence for HTML, leaving ``$math$`` to MathJax in Sphinx's own markup.

    Examples
    --------
    >>> text_to_html("a < $b$")
    'a &lt; <span class="math notranslate nohighlight">\\(b\\)</span>'
    """
    parts = re.split(r"\$([^$]+)\$", text)
    for i, part in enumerate(parts):
        parts[i] = html.escape(part)
        if i % 2:
            parts[i] = f'<span class="math notranslate nohighlight">\\({parts[i]}\\)</span>'
    return "".join(parts)
