"""A source as notebooks: the instructor's, and the master from which otter makes the students'."""

import builtins
import html
import pprint
import symtable
import textwrap
from pathlib import Path

import nbformat
import yaml
from nbformat import v4

from course import source

GIVEN = (Path(__file__).with_name("given.py")).read_text(encoding="utf-8").partition(
    "# --- given ---\n"
)[2]  # fmt: skip
SETUP = """# @title Set-up: run this cell first {{ display-mode: "form" }}
from pathlib import Path

try:
    import otter

    import hblib
except ImportError:  # not in the book's environment, for instance on Colab
    %pip install -q otter-grader {wheel}
    import otter

    import hblib

VISIBLE_TESTS = {{}}
folder = Path("tests", "{chapter}")
folder.mkdir(parents=True, exist_ok=True)
for name, text in VISIBLE_TESTS.items():
    (folder / (name + ".py")).write_text(text, encoding="utf-8")
sheet = "{chapter}.ipynb"
grader = otter.Notebook(sheet if Path(sheet).is_file() else None, tests_dir=str(folder))
"""
FOLDED = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}}
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def markdown(text):
    """A cell of Markdown."""
    return v4.new_markdown_cell(text.strip())


def code(text, **metadata):
    """A cell of code."""
    return v4.new_code_cell(text.strip("\n"), metadata=metadata)


def notebook(cells):
    """A notebook of some cells, with ids that depend on nothing but their order."""
    made = v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    return made


def heading(number, exercise):
    """Title, level, time, points and claims of an exercise, as Markdown."""
    about = exercise.about
    points = f", {exercise.points} points" if exercise.points else ""
    claims = ", ".join(f"`{name}`" for name in about["claims"])
    lines = [
        f"## {number}. {exercise.title}",
        f"*Level {about['level']} of 5, {about['kind']}, about {about['minutes']} minutes{points}. "
        f"Claims: {claims}.*",
    ]
    if about.get("settles"):
        lines.append(
            "*In this exercise you settle what the chapter left open: write your criterion and "
            "your control down before you run anything.*"
        )
    return "\n\n".join(lines)


def drawn(block):
    """The source of a figure cell, which shows its figure."""
    body = block.body.rstrip()
    options = {key: block.options.get(key, "") for key in ("caption", "alt")}
    return (
        f"{body}\nfigures.show(\n    fig,\n    caption={options['caption']!r},\n"
        f"    alt={options['alt']!r},\n)"
    )


# ---------------------------------------------------------------- instructors


def instructor(sheet):
    """The worked sheet, to be executed: solutions, tests, mistakes, notes for teaching."""
    cells = [markdown(f"# {sheet.title}: instructor's version\n\n*{sheet.minutes} minutes.*")]
    cells.append(code(GIVEN, **FOLDED))
    cells += [_plain(block) for block in sheet.intro]
    for number, exercise in enumerate(sheet.exercises, start=1):
        cells.append(markdown(heading(number, exercise)))
        if isinstance(exercise.about.get("settles"), str):
            cells.append(markdown(f"*Settles:* {exercise.about['settles']}"))
        for block in exercise.blocks:
            if block.kind in source.FOR_INSTRUCTORS | {"test"}:
                continue
            if block.kind == "hint":
                cells.append(markdown(f"*Hint.* {block.body}"))
            elif block.kind == "figure":
                cells.append(code(drawn(block)))
            else:
                cells.append(_plain(block))
        for block in exercise.of("worked"):
            cells.append(markdown(f"### Solution of {number}\n\n{block.body}"))
        if exercise.tests:
            cells.append(markdown(_tests_shown(number, exercise)))
            cells.append(markdown(_mistakes_shown(number, exercise)))
        for block in exercise.of("teaching"):
            cells.append(markdown(f"### Teaching {number}\n\n{block.body}"))
    cells += [markdown(text) for text in _questions_shown(sheet)]
    return notebook(cells)


def _plain(block):
    return code(block.body) if block.is_code else markdown(block.body)


def _fenced(text):
    return f"```python\n{text.strip()}\n```"


def _points(number):
    return f"{number} point{'' if int(number) == 1 else 's'}"


def _tests_shown(number, exercise):
    parts = [f"### Tests of {number}"]
    for test in exercise.tests:
        kind = "visible" if test.kind == "test" else "hidden"
        parts.append(
            f"**{test.options['name']}** ({kind}, {_points(test.options['points'])}). "
            f"If it fails: {test.options['message']}\n\n{_fenced(test.body)}"
        )
    return "\n\n".join(parts)


def _mistakes_shown(number, exercise):
    parts = [f"### Common mistakes in {number}"]
    for mistake in exercise.of("mistake"):
        spoken = source.WHOLE_CELL.sub("", mistake.body).strip()
        parts.append(f"**{mistake.title}.** Fails `{mistake.options['fails']}`. {spoken}")
        if "replace" in mistake.options:
            old, new = mistake.options["replace"], mistake.options.get("by", "")
            wrong = f"{old}  # right\n{new}  # wrong"
        else:
            wrong = f"# wrong\n{source.WHOLE_CELL.search(mistake.body)[1]}"
        parts.append(_fenced(wrong))
    return "\n\n".join(parts)


def _ended(text):
    return text if text[-1] in ".?!" else f"{text}."


def _questions_shown(sheet):
    if sheet.quizzes:
        yield "## Quizzes, with their answers"
    for quiz in sheet.quizzes:
        answers = [
            f"- {'**right:**' if a.right else 'wrong:'} {_ended(a.text)} *{a.feedback}*"
            for a in quiz.answers
        ]
        yield f"**{quiz.name}.** {quiz.text}\n\n" + "\n".join(answers)
    for prediction in sheet.predictions:
        answers = "\n".join(f"- {answer.text}" for answer in prediction.answers)
        yield f"**Predict: {prediction.name}.** {prediction.text}\n\n{answers}\n\n" + (
            f"{prediction.afterword}"
        )


# ---------------------------------------------------------------- students


def master(sheet, targets, wheel):
    """Otter's master notebook: raw cells mark its questions, solutions and tests.

    Parameters
    ----------
    sheet : course.source.Sheet
    targets : dict of str to str
        Exercise -> target figure, as base64 of a PNG.
    wheel : str
        File name of the library's wheel, which students install where there is no book.
    """
    config = {
        "name": sheet.chapter,
        "init_cell": False,
        "check_all_cell": False,
        "export_cell": False,
        "tests": {"files": True, "ok_format": False},
        "generate": {"show_stdout": True},
        "requirements": [f"./files/{wheel}"],
        "autograder_files": [wheel],
    }
    cells = [
        _raw("ASSIGNMENT CONFIG", config),
        markdown(
            f"# {sheet.title}\n\n*About {sheet.minutes} minutes. Complete the cells that hold "
            "`...`; run the check under each exercise as often as you like. More tests, which "
            "you do not see, are run when the sheet is graded.*"
        ),
        code(SETUP.format(wheel=wheel, chapter=sheet.chapter), **FOLDED),
        code(GIVEN, **FOLDED),
        *map(_plain, sheet.intro),
    ]
    for number, exercise in enumerate(sheet.exercises, start=1):
        cells += _master_cells(number, exercise, targets.get(exercise.name))
    cells.append(
        markdown("Done? Run all cells once more from the top, save, and hand this notebook in.")
    )
    return notebook(cells)


def _raw(mark, config=None):
    text = f"# {mark}"
    if config:
        text += "\n" + yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    return v4.new_raw_cell(text.rstrip())


def _master_cells(number, exercise, target):
    if exercise.of("solution"):
        yield _raw("BEGIN QUESTION", {"name": exercise.name})
    yield markdown(heading(number, exercise))
    hints = exercise.of("hint")
    drawing = exercise.of("figure")
    for block in exercise.blocks:
        if block.kind in source.FOR_INSTRUCTORS | {"test", "hint"}:
            if block.kind == "hint" and block is hints[-1]:
                yield markdown("\n\n".join(_folded_hints(hints, target, drawing)))
        elif block.kind == "figure":
            yield code("with attempt():\n" + textwrap.indent(drawn(block), "    "))
        elif block.kind == "solution":
            yield _raw("BEGIN SOLUTION")
            yield code(block.body)
            yield _raw("END SOLUTION")
        else:
            yield _plain(block)
    if not exercise.of("solution"):
        yield markdown("*Your answer:*")
        return
    if exercise.tests:
        yield _raw("BEGIN TESTS")
        for test in exercise.tests:
            settings = {
                "hidden": test.kind == "hidden-test",
                "points": int(test.options["points"]),
                "failure_message": _quotable(test.options["message"]),
            }
            yield code(
                '""" # BEGIN TEST CONFIG\n'
                + yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, width=10_000)
                + '""" # END TEST CONFIG\n'
                + test_function(test)
            )
        yield _raw("END TESTS")
    yield _raw("END QUESTION")


def _quotable(message):
    """A message that otter may put between double quotes."""
    return " ".join(message.split()).replace("\\", "\\\\").replace('"', "'")


def _folded_hints(hints, target, drawing):
    for hint in hints:
        text = hint.body
        if hint is hints[-1] and target:
            alt = html.escape(drawing[0].options["alt"])
            text += f'\n\nThe figure to aim at:\n\n<img src="data:image/png;base64,{target}" '
            text += f'alt="{alt}" width="624">'
        yield f"<details><summary>Hint</summary>\n\n{text}\n\n</details>"


def test_function(test):
    """The body of a test as a function of the student's names that it uses."""
    body = textwrap.indent(test.body.strip(), "    ")
    name = test.options["name"]
    table = symtable.symtable(f"def {name}():\n{body}\n", "test", "exec")
    used = sorted(set(_globals(table.get_children()[0])) - set(dir(builtins)) - {name})
    return f"def {name}({', '.join(used)}):\n{body}\n"


def _globals(table):
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)


def finished(student, tests):
    """Otter's student notebook with the visible tests written into its set-up cell."""
    listed = pprint.pformat(tests, width=96, sort_dicts=False)
    for cell in student.cells:
        cell.metadata.pop("deletable", None)  # otter locks cells; Jupyter's own default will do
        cell.metadata.pop("editable", None)
        cell.source = cell.source.replace("VISIBLE_TESTS = {}", f"VISIBLE_TESTS = {listed}")
    made = notebook(student.cells)
    # By its name `otter run` and Gradescope know which sheet was handed in.
    made.metadata["otter"] = {"assignment_name": student.metadata["otter"]["assignment_name"]}
    return made


def png_of(cell):
    """The picture that an executed cell shows, as base64, or None."""
    for output in cell.get("outputs", []):
        if picture := output.get("data", {}).get("image/png"):
            return picture.replace("\n", "")
    return None


def write(made, path):
    """Write a notebook to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.validate(made)
    nbformat.write(made, path)
