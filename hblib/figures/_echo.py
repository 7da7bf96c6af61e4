"""The parameters that the results of a page belong to."""

import html
import math

from IPython.display import display

from hblib.claims import mime

MIME = mime("parameters")


def echo(**values):
    """Display the parameters a chapter really uses.

    Parameters
    ----------
    **values : bool, int, float, str, None, or list or dict of these
        Every name of the parameters cell with its present value, in the same order.

    Raises
    ------
    ValueError
        If no value is given, or one has no JSON form.
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
    display({"text/plain": text, "text/html": table, MIME: values}, raw=True)


def _is_plain(value):
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)
