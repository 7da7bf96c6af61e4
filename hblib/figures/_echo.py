"""The parameters that the results of a page belong to."""

from __future__ import annotations

import html
import math
from typing import Any

from IPython.display import display

from hblib.claims import Output, mime


def echo(**values: Any) -> None:
    """Display the parameters that a run of a chapter uses, as a table and as data.

    The runner compares them with what it was asked for.

    Parameters
    ----------
    **values : bool, int, float, str, None, or list or dict of these
        Every name of the parameters cell with its present value, in the same order.

    Raises
    ------
    ValueError
        If no value is given, or one has no JSON form.

    Examples
    --------
    >>> echo(seed=0, rates=[0.1, 0.2])
    seed = 0
    rates = [0.1, 0.2]
    """
    if not values:
        raise ValueError("echo() needs the chapter's parameters, for example echo(seed=seed)")
    for name, value in values.items():
        if not _is_plain(value):
            raise ValueError(
                f"parameter {name!r} is {value!r}; allowed are numbers, strings, True, False, "
                "None, and lists and dicts of these"
            )
    rows = "".join(
        f'<tr><th scope="row"><code>{html.escape(name)}</code></th>'
        f"<td><code>{html.escape(repr(value))}</code></td></tr>"
        for name, value in values.items()
    )
    table = f"<table><caption>Parameters of this run</caption><tbody>{rows}</tbody></table>"
    text = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    display(Output({"text/plain": text, "text/html": table, mime("parameters"): values}))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)
