"""Parameters of a chapter: declared in one cell, checked before a run, echoed by the run.

A chapter declares its parameters in exactly one cell, tagged ``parameters``, as plain assignments
of literals. The next cell echoes them, so that the page shows the values the results belong to::

    figures.echo(seed=seed, k=k)

The echo also carries the values in machine-readable form. A run that was asked for other values
than the ones it echoes is an error, so no sweep can silently repeat the defaults.
"""

import ast
import json

import yaml

from hblib.figures._echo import MIME, _is_plain


def declared(notebook):
    """Names and defaults of a notebook's parameters.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict
        Name to default value, in the order of the cell.

    Raises
    ------
    ValueError
        If there is not exactly one cell tagged ``parameters``, or it holds anything but plain
        assignments of literals (a derived value would not follow an injected one).
    """
    cell = cell_of(notebook)
    defaults = {}
    try:
        statements = ast.parse(cell.source).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError("the parameters cell is not Python that can be read") from None
    for statement in statements:
        line = ast.get_source_segment(cell.source, statement)
        try:
            (target,) = statement.targets
            name, value = target.id, ast.literal_eval(statement.value)
        except (AttributeError, ValueError, TypeError, MemoryError, RecursionError):
            value = name = None
        if name is None or not _is_plain(value):
            raise ValueError(
                f"the parameters cell may only assign literals to names, not {line!r}; "
                "allowed are numbers, strings, True, False, None, and lists and dicts of these"
            )
        if name in defaults:
            raise ValueError(f"the parameters cell assigns {name!r} twice")
        defaults[name] = value
    return defaults


def read(path):
    """Read a notebook, or say in one sentence that it is none.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    nbformat.NotebookNode

    Raises
    ------
    FileNotFoundError, ValueError
    """
    import nbformat  # here, since every chapter imports this module and none needs it

    try:
        notebook = nbformat.read(str(path), as_version=4)
        sound = all("source" in c and isinstance(c.metadata, dict) for c in notebook.cells)
    except OSError:
        raise
    except Exception:  # nbformat lets whatever its conversions stumble over through
        sound = False
    if not sound:
        raise ValueError(f"{path} is not a notebook of format 4")
    return notebook


def cell_of(notebook):
    """The one cell tagged ``parameters``.

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise ValueError(
            f"a chapter needs exactly one cell tagged 'parameters', this one has {len(cells)}"
        )
    return cells[0]


def check(given, defaults):
    """All parameters of a run, checked by name and type.

    Parameters
    ----------
    given : dict
        The values to change.
    defaults : dict
        As from `declared`.

    Returns
    -------
    dict
        `defaults` with the given values; an int given for a float becomes one.

    Raises
    ------
    ValueError
        For a name the chapter does not have, or a value of another type than its default.

    Examples
    --------
    >>> check({"lr": 1}, {"seed": 0, "lr": 0.1})
    {'seed': 0, 'lr': 1.0}
    """
    for name in given:
        if name not in defaults:
            raise ValueError(f"unknown parameter {name!r}; allowed are {', '.join(defaults)}")
    return {
        name: _as_type_of(default, given[name], name) if name in given else default
        for name, default in defaults.items()
    }


def parse(assignments, defaults):
    """Parameters from a command line, such as ``["k=8", "loss=poisson"]``.

    Values are Python or YAML literals; a parameter whose default is a string takes the text as
    it stands.

    Returns
    -------
    dict
        Only the names given; pass it to `check`.

    Raises
    ------
    ValueError
        If an assignment has no ``=``, or names a parameter twice.
    """
    given = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not (equals and name):
            raise ValueError(f"{assignment!r} is not an assignment; write name=value, as in k=8")
        if name in given:
            raise ValueError(f"parameter {name!r} is given twice")
        given[name] = text if isinstance(defaults.get(name), str) else _literal(text)
    return given


def echoed(notebook):
    """The values an executed notebook says it used.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the notebook does not echo its parameters exactly once.
    """
    found = [
        output.data[MIME]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if MIME in output.get("data", {})
    ]
    if len(found) != 1:
        raise ValueError(
            f"a chapter must echo its parameters once (parameters.echo), this one did so "
            f"{len(found)} times"
        )
    return dict(found[0])


def _literal(text):
    # Python first: YAML 1.1 would read 1e-3 as a string.
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    try:
        value = yaml.safe_load(text)
        json.dumps(value, default=str)  # refuses a list that holds itself
        return value
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise ValueError(f"{text!r} is neither a Python nor a YAML literal") from None





def _as_type_of(default, value, name):
    if type(default) is float and type(value) is int:
        return float(value)
    if type(default) is list and type(value) is list and default:
        return [_as_type_of(default[0], item, f"{name}[{i}]") for i, item in enumerate(value)]
    if not _is_plain(value) or (default is not None and type(value) is not type(default)):
        raise ValueError(
            f"parameter {name!r} must be of type {type(default).__name__} "
            f"(default {json.dumps(default)}), not {value!r}"
        )
    return value
