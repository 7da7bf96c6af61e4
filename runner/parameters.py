"""Parameters of a chapter: declared in one cell, checked before a run, echoed by the run.

A chapter declares its parameters in exactly one cell, tagged ``parameters``, as plain assignments
of literals. The comment on each, beside it or in the lines above, says what it is and ends with its
range in square brackets::

    k = 5  # hidden units of the synthetic problems [2 to 20]

=========================================  =======================================================
range                                      a value must be
=========================================  =======================================================
``[2 to 20]``, ``[6 or more]``,            a number within these bounds; a bound is a number, or
``[0.5 or less]``, ``[above 0]``,          arithmetic with other parameters, as in
``[below 1]``                              ``[more than 2 * width]``; also ``less than``
``[6 or more, even]``                      all that stands between the commas; there are ``even``,
                                           ``odd`` and ``multiple of 8``
``[one of "sgd", "adam"]``                 one of these
``[one of "wikipedia", or a path]``        one of these, or the path of a file or of another folder,
                                           seen from the chapter's folder; also ``[a path]``
``[any of "squared", "masked"]``           a list of some of these, each once
``[any text]``                             any text
=========================================  =======================================================

Of a list of numbers the range is that of each. The comment is the only declaration: `hb run` and
sweeps check every value against it before a kernel starts.

The next cell echoes the parameters, so that the page shows the values the results belong to::

    figures.echo(seed=seed, k=k)

The echo also carries the values in machine-readable form. A run that was asked for other values
than the ones it echoes is an error, so no sweep can silently repeat the defaults.
"""

import ast
import io
import json
import math
import operator
import re
import tokenize
from pathlib import Path
from typing import NamedTuple

import yaml

from hblib.claims import mime

_MIME = mime("parameters")


class Range(NamedTuple):
    """What values a parameter may have.

    `text` is the range as declared, `choices` are the values it lists, `several` says that a list
    of them is meant, and `free` is ``a path`` or ``any text`` where a text need not be listed. Of a
    range of numbers, `conditions` are pairs: the name of a condition, and the syntax tree of what
    a value is compared with.
    """

    text: str
    choices: tuple = ()
    several: bool = False
    free: str | None = None
    conditions: tuple = ()

    @property
    def names(self):
        """The other parameters that the bounds depend on."""
        trees = [tree for _, tree in self.conditions]
        return sorted({n.id for t in trees for n in ast.walk(t) if isinstance(n, ast.Name)})

    def holds(self, value, values, folder="."):
        """Say whether a value lies in the range, given the values of all parameters."""
        if self.conditions:
            items = value if isinstance(value, list) else [value]
            return all(
                _CONDITIONS[condition](item, _computed(tree, values))
                for item in items
                for condition, tree in self.conditions
            )
        if self.several:
            once = isinstance(value, list) and all(value.count(item) == 1 for item in value)
            return once and value != [] and all(item in self.choices for item in value)
        if value in self.choices or self.free == "any text":
            return True
        return self.free == "a path" and isinstance(value, str) and _is_there(folder, value)


# ---------------------------------------------------------------- what a chapter declares


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
    return {name: value for name, value, _ in _assignments(notebook)}


def comments(notebook):
    """What the comments of a notebook say of its parameters.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict
        Name to the text of the comments beside the assignment, on any of its lines, and in the
        lines directly above; empty if there are none.

    Raises
    ------
    ValueError
        As for `declared`.
    """
    source = cell_of(notebook).source
    assignments = _assignments(notebook)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source, newline=None).readline))
    except (tokenize.TokenError, SyntaxError):
        raise ValueError("the parameters cell is not Python that can be read") from None
    found = {
        token.start[0]: token.string.strip("# ")
        for token in tokens
        if token.type == tokenize.COMMENT
    }
    code = {line for _, _, n in assignments for line in range(n.lineno, n.end_lineno + 1)}
    texts = {}
    for name, _, node in assignments:
        first = node.lineno
        while first - 1 in found and first - 1 not in code:
            first -= 1
        lines = (found.get(line, "") for line in range(first, node.end_lineno + 1))
        texts[name] = " ".join(filter(None, lines))
    return texts


def ranges(notebook):
    """Return the ranges that a notebook declares for its parameters.

    Parameters
    ----------
    notebook : nbformat.NotebookNode

    Returns
    -------
    dict of str to Range
        Without the parameters whose comment has no square brackets.

    Raises
    ------
    ValueError
        As for `declared`; and, naming the parameter, for a range that cannot be understood.
    """
    defaults = declared(notebook)
    found = {}
    for name, comment in comments(notebook).items():
        if "[" not in comment and "]" not in comment:
            continue
        _, text = split(comment)
        if text is None:
            raise ValueError(
                f"the comment on parameter {name!r} must have its range in square brackets at its "
                f"end, as in [2 to 20], not {comment!r}"
            )
        try:
            found[name] = _range(text)
            _refuse_misfit(found[name], defaults[name], defaults)
        except ValueError as error:
            raise ValueError(f"the range [{text}] of parameter {name!r} {error}") from None
    return found


def split(comment):
    """Return what a comment says, and the range at its end (None if there is none).

    Examples
    --------
    >>> split("hidden units [2 to 20]")
    ('hidden units', '2 to 20')
    """
    ended = re.fullmatch(r"([^\[\]]*)\[([^\[\]]*)\]", comment)
    return (ended[1].strip(), ended[2].strip()) if ended else (comment, None)


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
        output.data[_MIME]
        for cell in notebook.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if _MIME in output.get("data", {})
    ]
    if len(found) != 1:
        raise ValueError(
            f"a chapter must echo its parameters once (figures.echo), this one did so "
            f"{len(found)} times"
        )
    return dict(found[0])


# ---------------------------------------------------------------- what a run is given


def check(given, defaults, ranges=None, folder="."):
    """All parameters of a run, checked by name, type and range.

    Parameters
    ----------
    given : dict
        The values to change.
    defaults : dict
        As from `declared`.
    ranges : dict, optional
        As from `ranges`; the parameters without one are checked by name and type alone.
    folder : str or Path
        The chapter's folder, from which paths are seen.

    Returns
    -------
    dict
        `defaults` with the given values; an int given for a float becomes one.

    Raises
    ------
    ValueError
        For a name the chapter does not have, a value of another type than its default, or one
        outside its range.

    Examples
    --------
    >>> check({"lr": 1}, {"seed": 0, "lr": 0.1})
    {'seed': 0, 'lr': 1.0}
    """
    for name in given:
        if name not in defaults:
            raise ValueError(f"unknown parameter {name!r}; allowed are {', '.join(defaults)}")
    values = {
        name: _as_type_of(default, given[name], name) if name in given else default
        for name, default in defaults.items()
    }
    for name, allowed in (ranges or {}).items():
        if values[name] is not None and not allowed.holds(values[name], values, folder):
            default = "" if name in given else ", its default"
            depends = ", ".join(f"{other} = {values[other]}" for other in allowed.names)
            raise ValueError(
                f"parameter {name!r} is {values[name]!r}{default}; allowed is {allowed.text}"
                + (f", with {depends}" if depends else "")
            )
    return values


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


class _Loader(yaml.SafeLoader):
    """Reads numbers as Python does: 1e-3 is one, while 010 and 1:30 are texts."""

    yaml_implicit_resolvers = {}


_WHOLE, _DIGITS = r"[-+]?(?:0|[1-9][0-9_]*)", "-+0123456789"
for _tag, _form, _first in [
    ("merge", "<<", "<"),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", _WHOLE, _DIGITS),
    ("float", rf"(?:{_WHOLE}(?:\.[0-9]*)?|[-+]?\.[0-9]+)(?:[eE][-+]?[0-9]+)?", _DIGITS + "."),
]:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_form})$"), list(_first)
    )


def load_yaml(text):
    """Return what a YAML text holds, with numbers as in Python: 1e-3 is a number, 010 is none.

    Raises
    ------
    yaml.YAMLError, ValueError, RecursionError
        If the text is no YAML.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader


def _is_plain(value):
    """Whether a value has a form in JSON; as in hblib.figures, whose import takes a second."""
    if isinstance(value, list):
        return all(map(_is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(_is_plain, value.values()))
    if type(value) is float:
        return math.isfinite(value)
    return value is None or type(value) in (bool, int, str)


def _literal(text):
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    try:
        value = load_yaml(text)
        json.dumps(value, default=str)  # refuses a list that holds itself
        return value
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise ValueError(f"{text!r} is neither a Python nor a YAML literal") from None


def _as_type_of(default, value, name):
    if type(default) is float and type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise ValueError(f"parameter {name!r} is too large a number") from None
    if type(default) is list and type(value) is list and default:
        return [_as_type_of(default[0], item, f"{name}[{i}]") for i, item in enumerate(value)]
    if not _is_plain(value) or (default is not None and type(value) is not type(default)):
        raise ValueError(
            f"parameter {name!r} must be of type {type(default).__name__} "
            f"(default {json.dumps(default)}), not {value!r}"
        )
    return value


def _is_there(folder, value):
    try:
        path = Path(folder, value)
        return path.is_file() or (path.is_dir() and path.resolve() != Path(folder).resolve())
    except (OSError, ValueError):  # a name that no file can have
        return False


# ---------------------------------------------------------------- the cell


def _assignments(notebook):
    """Name, value and syntax tree of all assignments of the parameters cell."""
    cell = cell_of(notebook)
    found = {}
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
        if name in found:
            raise ValueError(f"the parameters cell assigns {name!r} twice")
        found[name] = name, value, statement
    return list(found.values())


# ---------------------------------------------------------------- the language of ranges

_CONDITIONS = {
    "at least": operator.ge,
    "at most": operator.le,
    "above": operator.gt,
    "below": operator.lt,
    "even": lambda value, _: value % 2 == 0,
    "odd": lambda value, _: value % 2 == 1,
    "multiple of": lambda value, unit: unit != 0 and value % unit == 0,
}
_NUMBERS = [  # a form, and the conditions on what its groups hold
    (r"(.+) to (.+)", ("at least", "at most")),
    (r"(.+) or more", ("at least",)),
    (r"(.+) or less", ("at most",)),
    (r"(?:above|more than) (.+)", ("above",)),
    (r"(?:below|less than) (.+)", ("below",)),
    (r"multiple of (.+)", ("multiple of",)),
    (r"even()", ("even",)),
    (r"odd()", ("odd",)),
]
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}
_HELP = (
    "cannot be understood; write, for instance, [2 to 20], [above 0], [6 or more, even], "
    '[one of "a", "b"] or [any of "a", "b"]'
)


def _range(text):
    if text in ("a path", "any text"):
        return Range(text, free=text)
    listed = re.fullmatch(r"(one|any) of (.*?)(?:,? or (a path))?", text)
    if listed:
        kind, choices, free = listed.groups()
        return Range(text, _choices(choices), kind == "any", free)
    conditions = []
    for part in text.split(","):
        for form, names in _NUMBERS:
            if matched := re.fullmatch(form, part.strip()):
                trees = [_expression(group) for group in matched.groups()]
                conditions += zip(names, trees)
                break
        else:
            raise ValueError(_HELP)
    return Range(text, conditions=tuple(conditions))


def _choices(text):
    try:
        choices = tuple(ast.literal_eval(f"[{text}]"))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        choices = ()
    if not choices or not all(isinstance(c, str | int | float) for c in choices):
        raise ValueError(_HELP)
    return choices


def _expression(text):
    """The syntax tree of a bound; an empty one is 0."""
    try:
        tree = ast.parse(text.strip() or "0", mode="eval").body
        whole = list(ast.walk(tree))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError(_HELP) from None
    for node in whole:
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        allowed = (ast.BinOp, ast.UnaryOp, ast.USub, ast.Name, ast.Load, *_ARITHMETIC)
        if not (number or isinstance(node, allowed)):
            raise ValueError(_HELP)
    return tree


def _computed(tree, values):
    if isinstance(tree, ast.Constant):
        return tree.value
    if isinstance(tree, ast.Name):
        return values[tree.id]
    if isinstance(tree, ast.UnaryOp):
        return -_computed(tree.operand, values)
    left, right = _computed(tree.left, values), _computed(tree.right, values)
    try:
        return _ARITHMETIC[type(tree.op)](left, right)
    except (ZeroDivisionError, OverflowError):
        return math.nan  # which no value is within


def _refuse_misfit(found, default, defaults):
    """Refuse a range of another kind than its parameter, or one with unknown names in it."""
    numbers = [int, float]
    if found.conditions:
        items = default if isinstance(default, list) else [default]
        if not all(item is None or type(item) in numbers for item in items):
            raise ValueError(f"is one of numbers, but the default is {default!r}")
        for name in found.names:
            if name not in defaults:
                raise ValueError(f"names {name!r}, which is no parameter of the chapter")
            if type(defaults[name]) not in numbers:
                raise ValueError(f"names {name!r}, whose default is no number")
    elif found.several != isinstance(default, list):
        word = "one of" if found.several else "any of"
        raise ValueError(f"must say '{word}', since the default is {default!r}")
    elif found.free and not isinstance(default, str):
        raise ValueError(f"is one of texts, but the default is {default!r}")
