"""Rules for a committed chapter: each yields a sentence for everything in it that breaks it."""

import ast
import json
import re

from runner import parameters

SHOWN_BY = {"display", "echo", "explorable", "print", "show", "summary", "table"}
PATH = re.compile(
    r"((?<![\w.~])/(?:home|root|tmp|work|Users)/|\bC:\\+(?:Users|Windows|Temp)\b)[^\s'\"<]*"
)
TIME = re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\b\d\d:\d\d:\d\d\b")
WARNING = re.compile(r"\b\w*Warning\b:")
METADATA = {"kernelspec", "language_info", "hblib", "mystnb"}
CELL_METADATA = {"tags", "mystnb", "hblib"}


def breaches(notebook):
    """All breaches of all rules, as sentences."""
    return [sentence for rule in RULES for sentence in rule(notebook)]


def executed_in_order(notebook):
    counts = [cell.execution_count for cell in _code(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"code cells are not executed in order from 1: {counts}"


def outputs_are_there(notebook):
    for number, cell in enumerate(_code(notebook), start=1):
        if not cell.outputs and _shows_something(cell.source):
            yield f"code cell {number} shows something but has no output"


def parameters_are_literals_with_comments(notebook):
    """Every parameter has a comment on its meaning, and every one but a boolean a range."""
    try:
        defaults = parameters.declared(notebook)
        comments = parameters.comments(notebook)
        ranges = parameters.ranges(notebook)
    except ValueError as error:
        yield str(error)
        return
    for name, default in defaults.items():
        if not parameters.split(comments[name])[0]:
            yield f"parameter {name!r} has no comment on its meaning"
        if name not in ranges and not isinstance(default, bool):
            yield f"parameter {name!r} has no range at the end of its comment, as in [2 to 20]"
    try:
        parameters.check({}, defaults, ranges)
    except ValueError as error:
        yield str(error)


def parameters_are_echoed(notebook):
    try:
        names = list(parameters.declared(notebook))
    except ValueError:
        return
    calls = [call for cell in _code(notebook) for call in _calls(cell.source, "echo")]
    if len(calls) != 1:
        yield f"the chapter echoes its parameters {len(calls)} times, not once"
        return
    echoed = [keyword.arg for keyword in calls[0].keywords]
    if echoed != names:
        yield f"the chapter echoes {echoed}, but its parameters are {names}"
    for keyword in calls[0].keywords:
        if ast.unparse(keyword.value) != keyword.arg:
            yield f"the echo of {keyword.arg!r} is not the parameter itself"


def no_machine_path(notebook):
    for where, text in _texts(notebook):
        for found in PATH.finditer(text):
            yield f"{where} holds a path of one machine: {found[0]}"


def no_warning(notebook):
    for number, cell in enumerate(_code(notebook), start=1):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                yield f"code cell {number} wrote to stderr"
    for where, text in _texts(notebook):
        if "output" in where and WARNING.search(text):
            yield f"{where} holds a warning"


def no_time_stamp(notebook):
    for where, text in _texts(notebook):
        for found in TIME.finditer(text):
            yield f"{where} holds a time: {found[0]}"


def no_error(notebook):
    for number, cell in enumerate(_code(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"code cell {number} raised {output.ename}"


def metadata_is_clean(notebook):
    if (notebook.nbformat, notebook.nbformat_minor) != (4, 5):
        yield f"the format is {notebook.nbformat}.{notebook.nbformat_minor}, not 4.5"
    for key in set(notebook.metadata) - METADATA:
        yield f"the notebook has metadata {key!r}"
    if "version" in notebook.metadata.get("language_info", {}):
        yield "language_info names one version of Python"
    for number, cell in enumerate(notebook.cells, start=1):
        for key in set(cell.metadata) - CELL_METADATA:
            yield f"cell {number} has metadata {key!r}"


RULES = [
    executed_in_order,
    outputs_are_there,
    parameters_are_literals_with_comments,
    parameters_are_echoed,
    no_machine_path,
    no_warning,
    no_time_stamp,
    no_error,
    metadata_is_clean,
]


def _code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _texts(notebook):
    """Every source and every textual output, with words for where it is."""
    for number, cell in enumerate(_code(notebook), start=1):
        yield f"code cell {number}", cell.source
        for output in cell.outputs:
            where = f"output of code cell {number}"
            if output.output_type == "stream":
                yield where, output.text
            for mime, data in output.get("data", {}).items():
                if mime not in ("image/png", "image/jpeg"):
                    yield where, data if isinstance(data, str) else json.dumps(data)


def _shows_something(source):
    """Whether a cell surely has an output: a name or a showing call at its top level."""
    body = ast.parse(source).body
    if not body:
        return True
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
            if _called(statement.value) in SHOWN_BY:
                return True
    last = body[-1]
    if not isinstance(last, ast.Expr) or source.rstrip().endswith(";"):
        return False
    if isinstance(last.value, ast.Call):
        return _called(last.value) == "check"
    return not isinstance(last.value, ast.Constant)


def _called(call):
    return getattr(call.func, "attr", getattr(call.func, "id", None))


def _calls(source, name):
    tree = ast.parse(source)
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) == name]
