"""The course: sound sources, fair grading, nothing leaked, slides and quizzes that work offline.

The tests look at the course in ``_build/course`` and the site in ``_build/html`` (`make course` and
`make html` build them; the course is built first if there is none).
"""

import ast
import json
import re
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest
from bs4 import BeautifulSoup
from IPython.core.inputtransformer2 import TransformerManager
from nbclient import NotebookClient
from scripts import PATIENCE, ROOT

from hblib import claims
from runner import execute, files

pytest.importorskip("otter", reason="run it in .venv/course, which 'make course' sets up")
from course import grade, notebooks, slides, source  # noqa: E402

COURSE, SITE = ROOT / "_build" / "course", ROOT / "_build" / "html"
SHEETS = [source.read(path) for path in source.sources(ROOT)]
EXERCISES = [(sheet, exercise) for sheet in SHEETS for exercise in sheet.exercises]

by_sheet = pytest.mark.parametrize("sheet", SHEETS, ids=lambda sheet: sheet.chapter)
by_exercise = pytest.mark.parametrize(
    ("sheet", "exercise"), EXERCISES, ids=[exercise.name for _, exercise in EXERCISES]
)


@pytest.fixture(scope="session")
def course():
    if not (COURSE / "student" / "html" / "index.html").is_file():
        subprocess.run([sys.executable, "-m", "course"], cwd=ROOT, check=True, timeout=PATIENCE)
    return COURSE


@pytest.fixture
def tab(browser):
    """A function that opens a fresh page and the list of the requests that it makes."""
    contexts = []

    def new_page(path, **options):
        contexts.append(browser.new_context(**options))
        page, asked, faults = contexts[-1].new_page(), [], []
        page.set_default_timeout(1000 * PATIENCE)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(path.as_uri(), wait_until="load")
        if options.get("java_script_enabled", True):
            page.evaluate("window.MathJax?.startup?.promise?.then(() => 0)")
        return page, [url for url in asked if not url.startswith("data:")], faults

    yield new_page
    for context in contexts:
        context.close()


# ---------------------------------------------------------------- the sources


def test_every_chapter_has_a_source():
    assert [sheet.chapter for sheet in SHEETS] == [path.stem for path in files.chapters(ROOT)]
    assert all(sheet.path.stem == sheet.chapter for sheet in SHEETS)


@by_sheet
def test_a_sheet_is_complete(sheet):
    levels = [exercise.about["level"] for exercise in sheet.exercises]
    assert 4 <= len(levels) <= 6 and levels == sorted(levels) and set(levels) <= {1, 2, 3, 4, 5}
    assert sheet.minutes == sum(exercise.about["minutes"] for exercise in sheet.exercises)
    assert any(exercise.about.get("settles") for exercise in sheet.exercises)
    assert sum(bool(exercise.tests) for exercise in sheet.exercises) >= 3
    assert len(sheet.quizzes) >= 3 and len(sheet.slides) >= 8
    assert 1 <= len(sheet.predictions) <= 2


@by_exercise
def test_an_exercise_is_complete(sheet, exercise):
    about = exercise.about
    assert set(about) <= {"name", "kind", "level", "minutes", "claims", "settles"}
    assert about["name"].isidentifier() and about["kind"] in {"paper", "code", "experiment", "open"}
    assert about["claims"] and set(about["claims"]) <= set(claims.load_register())
    assert exercise.of("text") and exercise.of("hint")
    assert exercise.of("worked") and exercise.of("teaching")
    for block in exercise.of("figure"):
        assert len(block.options["alt"]) >= 20 and block.options["caption"]
    if exercise.tests:
        assert exercise.of("test") and exercise.of("hidden-test")
        assert len(exercise.of("mistake")) >= 3
        names = [test.options["name"] for test in exercise.tests]
        assert len(set(names)) == len(names)
        for mistake in exercise.of("mistake"):
            assert mistake.title and mistake.options["fails"] in names
    for test in exercise.tests:
        message = test.options["message"]
        assert len(message) >= 30 and message.endswith((".", "?")), message


def test_names_are_unique_in_the_course():
    named = [exercise.name for _, exercise in EXERCISES]
    for kind in ("quizzes", "predictions"):
        named += [question.name for sheet in SHEETS for question in getattr(sheet, kind)]
    assert len(set(named)) == len(named)


@by_sheet
def test_questions_are_placed_in_the_chapter(sheet):
    chapter = nbformat.read(ROOT / "notebooks" / f"{sheet.chapter}.ipynb", as_version=4)
    cells = [cell.source for cell in chapter.cells]
    text = "\n".join(cells)
    for quiz in sheet.quizzes:
        assert len(quiz.answers) >= 2 and any(answer.right for answer in quiz.answers)
        assert all(answer.feedback for answer in quiz.answers), quiz.name
        assert text.count(f"```{{quiz}} {quiz.name}\n```") == 1, quiz.name
    for prediction in sheet.predictions:
        assert text.count(f"```{{predict}} {prediction.name}\n```") == 1, prediction.name
        at = next(i for i, cell in enumerate(cells) if f"{{predict}} {prediction.name}" in cell)
        after = nbformat.v4.new_notebook(cells=chapter.cells[at:])
        covered = next(slides.figures(after))[0]
        assert covered.startswith(prediction.figure), f"the next figure is {covered!r}"


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda text: text.replace("---\n", "", 1), "front matter"),
        (lambda text: text.replace(":::{hint}", ":::{hunt}", 1), "no fence 'hunt'"),
        (lambda text: text.replace(":tags: [setup]", ":tags: [set-up]", 1), "one tag of"),
        (lambda text: text + "\n:::{hint}\nlost", "not closed"),
        (lambda text: text + "\nsee {cite}`x`\n", "means nothing in a notebook"),
        (lambda text: re.sub(r":::\{about\}.*?\n:::\n", "", text, count=1, flags=re.S), "no about"),
    ],
)
def test_a_faulty_source_is_refused_in_words(spoil, complaint):
    text = SHEETS[0].path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=complaint):
        source.parse(spoil(text))


# ---------------------------------------------------------------- grading


@by_sheet
def test_grading_is_fair(course, sheet):
    """The reference gets all points, the empty sheet none, each mistake fails its test."""
    faults = grade.faults(sheet, course / "grading" / sheet.chapter / "tests")
    assert not list(faults)


def test_a_failed_test_says_what_to_look_at(course):
    sheet = SHEETS[0]
    exercise = next(exercise for exercise in sheet.exercises if exercise.tests)
    names = grade.beginning(sheet)
    grade.run(grade.stubs(exercise), names)
    results = grade.tested(exercise, course / "grading" / sheet.chapter / "tests", names)
    for test in exercise.tests:
        result = results[test.options["name"]]
        assert not result.passed and result.points == int(test.options["points"])
        wanted = re.sub(r"\W+", " ", test.options["message"])
        assert re.sub(r"\W+", " ", result.message) == wanted


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory):
    """A folder of what may be handed in, and what grading it says: (sheet, folder, process)."""
    sheet = min(SHEETS, key=lambda sheet: len(sheet.exercises))
    folder = tmp_path_factory.mktemp("handed in")
    empty = student(course, sheet)
    nbformat.write(empty, folder / "empty.ipynb")
    worked = course / "grading" / sheet.chapter / f"{sheet.chapter}.ipynb"
    worked = nbformat.read(worked, as_version=4)
    worked.metadata["kernelspec"] = {"name": "a-student-s-own", "display_name": "Mine"}
    worked.metadata.pop("otter")
    nbformat.write(worked, folder / "worked.ipynb")
    other = next(other for other in SHEETS if other is not sheet)
    nbformat.write(student(course, other), folder / "other.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), folder / "blank.ipynb")
    (folder / "broken.ipynb").write_text("{")
    (folder / "printed.pdf").write_text("%PDF")
    for name in ("empty", "broken"):  # of an earlier run
        (folder / "graded" / name).mkdir(parents=True)
        (folder / "graded" / name / "results.json").write_text("{}")
    process = subprocess.run(
        [sys.executable, "-m", "course", "grade", sheet.chapter, folder], cwd=ROOT,
        capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    return sheet, folder, process


def test_otter_itself_gives_full_marks_and_none(graded):
    """The worked sheet was saved with another kernel and has lost its assignment's name."""
    sheet, folder, process = graded
    points = sum(exercise.points for exercise in sheet.exercises)
    said = process.stdout.splitlines()
    assert f"worked: {points} of {points} points" in said, process.stdout + process.stderr
    assert f"empty: 0 of {points} points" in said
    results = json.loads((folder / "graded" / "empty" / "results.json").read_text())
    assert {exercise.name for exercise in sheet.exercises if exercise.tests} <= {
        test["name"].split()[0] for test in results["tests"]
    }


def test_sheets_without_a_result_are_listed(graded):
    sheet, folder, process = graded
    assert process.returncode == 1
    *_, heading, blank, broken, other, printed = process.stdout.splitlines()
    assert heading == "Without a result: 4 of 6."
    assert blank.strip().startswith("blank.ipynb is no sheet of the course")
    assert broken.strip().startswith("broken.ipynb cannot be read as a notebook")
    assert other.strip().startswith("other.ipynb is the sheet of ")
    assert other.endswith(f", not of {sheet.chapter}.")
    assert printed.strip().startswith("printed.pdf cannot be read as a notebook")
    written = {path.parent.name for path in folder.glob("graded/*/results.json")}
    assert written == {"empty", "worked"}


# ---------------------------------------------------------------- the student's notebooks


def student(course, sheet):
    path = course / "student" / "notebooks" / f"{sheet.chapter}.ipynb"
    return nbformat.read(path, as_version=4)


@by_sheet
def test_an_unsolved_sheet_runs_to_its_end(course, sheet, tmp_path):
    path = course / "student" / "notebooks" / f"{sheet.chapter}.ipynb"
    shutil.copy(path, tmp_path)  # alone, as someone would upload it
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(
        notebook, timeout=PATIENCE, kernel_manager_class=execute.ChapterKernel, resources=resources
    ).execute()
    said = "\n".join(
        output.get("text", "") + str(output.get("data", {}).get("text/plain", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
    )
    assert "yours not yet, expected" in said
    assert "All test cases passed" not in said
    graded = {exercise.name for exercise in sheet.exercises if exercise.tests}
    assert set(re.findall(r"^(\w+) results:", said, re.M)) == graded
    assert {path.stem for path in tmp_path.glob("tests/*/*.py")} == graded


@by_sheet
def test_stubs_still_match_the_solutions(course, sheet):
    stubs = [stub for exercise in sheet.exercises for stub in grade.stubs(exercise)]
    found = [
        cell.source
        for cell in student(course, sheet).cells
        if "otter_answer_cell" in cell.metadata.get("tags", [])
    ]
    assert found == stubs
    solutions = [b.body for exercise in sheet.exercises for b in exercise.of("solution")]
    for stub, solution in zip(stubs, solutions):
        assert stub != solution and "..." in stub
        assert _shape(stub) <= _shape(solution)


def _shape(code):
    """Names that a cell defines; functions with their arguments."""
    found = set()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef):
            found.add((node.name, ast.unparse(node.args), ast.get_docstring(node)))
        elif isinstance(node, ast.Assign):
            found |= {ast.unparse(target) for target in node.targets}
    return found


def test_checks_work_on_colab_with_the_notebook_alone(course, tmp_path, monkeypatch):
    """Colab is not told where its notebook is, and it takes tests from files only."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("otter.check.utils.get_ipython", lambda: "google.colab._shell.Shell")
    cell = next(c for c in student(course, SHEETS[0]).cells if "VISIBLE_TESTS" in c.source)
    names = {"get_ipython": lambda: None}
    exec(TransformerManager().transform_cell(cell.source), names)
    assert names["grader"].interpreter is not None
    exercise = next(exercise for exercise in SHEETS[0].exercises if exercise.tests)
    result = names["grader"].check(exercise.name, global_env={})
    assert f"{exercise.name} results:" in str(result)


def test_the_autograder_is_complete(course):
    for sheet in SHEETS:
        with zipfile.ZipFile(course / "grading" / sheet.chapter / "autograder.zip") as archive:
            inside = set(archive.namelist())
        graded = {f"tests/{e.name}.py" for e in sheet.exercises if e.tests}
        assert graded <= inside and {"run_autograder", "environment.yml"} <= inside
        assert any(re.fullmatch(r"files/hblib-.*\.whl", name) for name in inside)


# ---------------------------------------------------------------- nothing leaks


def words(text):
    """Text without what rendering changes: letters and digits, one blank between."""
    return " ".join(re.findall(r"\w+", text))


IDIOM = re.compile(r"rng np random default_rng \w+")  # a line that says nothing about a solution


def secrets(sheet):
    """Lines for instructors only: of solutions, hidden tests, mistakes, notes; 4 words or more."""
    lines, shown = [], set()
    visible = {line for e in sheet.exercises for b in e.of("test") for line in b.body.splitlines()}
    for exercise in sheet.exercises:
        shown |= set(map(words, "\n".join(grade.stubs(exercise)).splitlines()))
        for block in exercise.of("solution"):
            lines += block.body.splitlines()
        for block in exercise.of("hidden-test"):  # begins as visible tests do: with their samples
            lines += set(block.body.splitlines()) - visible
        for block in exercise.of("worked", "teaching", "mistake"):
            lines += re.sub(r"\$[^$]*\$", "\n", block.body).splitlines()
        lines += [mistake.title for mistake in exercise.of("mistake")]
    for slide in sheet.slides:
        lines += re.sub(r"\$[^$]*\$", "\n", slide.body.partition("\nNote:")[2]).splitlines()
    lines = {words(line.replace("# SOLUTION", "")) for line in lines} - shown
    return {
        line
        for line in lines
        if len(line.split()) >= 4 and len(line) >= 20 and not IDIOM.fullmatch(line)
    }


def published(folder):
    """Words of every file that a reader gets, by path."""
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".html":
            yield path, words(BeautifulSoup(path.read_text("utf-8"), "html.parser").get_text())
        elif path.suffix == ".ipynb":
            cells = json.loads(path.read_text("utf-8"))["cells"]
            yield path, words("\n".join("".join(cell["source"]) for cell in cells))
        elif path.suffix in {".md", ".txt", ".py"}:
            yield path, words(path.read_text("utf-8"))


def leaks(folder, known):
    begins = {}  # the first four words of a secret -> the secrets
    for secret in known:
        begins.setdefault(tuple(secret.split()[:4]), []).append(secret)
    found = []
    for path, text in published(folder):
        listed = text.split()
        for start in set(zip(listed, listed[1:], listed[2:], listed[3:])) & begins.keys():
            found += [
                f"{path.relative_to(folder)}: {secret}"
                for secret in begins[start]
                if f" {secret} " in f" {text} "
            ]
    return found


def test_no_solution_or_hidden_test_is_in_the_student_tree(course):
    assert len(list(published(course / "student"))) > 2 * len(SHEETS)
    assert all(len(secrets(sheet)) > 50 for sheet in SHEETS)
    assert not leaks(course / "student", set().union(*map(secrets, SHEETS)))


def test_no_solution_or_hidden_test_is_in_the_site():
    if not SITE.is_dir():
        pytest.skip("the site is not built: 'make html' builds it")
    # A chapter's own code and turns of phrase are no secret: a solution may call what it calls.
    printed = {
        words(line)
        for path in files.chapters(ROOT)
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for line in cell.source.splitlines()
    }
    known = set().union(*map(secrets, SHEETS)) - printed
    assert not leaks(SITE, {secret for secret in known if len(secret) > 30})


def test_the_search_for_leaks_finds_them(course, tmp_path):
    worked = course / "instructor" / "html" / f"{SHEETS[0].chapter}.html"
    shutil.copy(worked, tmp_path)
    known = secrets(SHEETS[0])
    assert len(leaks(tmp_path, known)) > 0.7 * len(known)
    assert leaks(course / "grading" / SHEETS[0].chapter, known)


# ---------------------------------------------------------------- slides


@by_sheet
def test_slides_need_nothing_but_their_file(course, sheet, tab):
    path = course / "student" / "slides" / f"{sheet.chapter}.html"
    page, asked, faults = tab(path)
    assert asked == [path.as_uri()] and not faults
    assert page.locator("section").count() == len(sheet.slides) + 1
    figures = [slide.options["figure"] for slide in sheet.slides if "figure" in slide.options]
    pictures = page.locator("section img")
    assert pictures.count() == len(figures) >= 2
    for i in range(pictures.count()):
        assert pictures.nth(i).get_attribute("alt")
    assert page.locator("aside.notes").count() == 0
    page.keyboard.press("ArrowRight")
    page.wait_for_function("Reveal.getIndices().h === 1")
    overfull = page.evaluate(
        "[...document.querySelectorAll('section')].flatMap((s, i) => "
        "{ Reveal.slide(i); return s.scrollHeight > 700 ? [i] : []; })"
    )
    assert not overfull, f"slides {overfull} do not fit their page"


def test_the_instructor_has_notes(course, tab):
    sheet = SHEETS[0]
    page, _, faults = tab(course / "instructor" / "slides" / f"{sheet.chapter}.html")
    noted = sum("\nNote:" in slide.body for slide in sheet.slides)
    assert page.locator("aside.notes").count() == noted > 0 and not faults


@by_sheet
def test_the_instructor_sees_mistakes_as_code(sheet):
    shown = [cell.source for cell in notebooks.instructor(sheet).cells]
    assert not any("{code-cell}" in text for text in shown)
    whole = [m for e in sheet.exercises for m in e.of("mistake") if "replace" not in m.options]
    assert sum(text.count("```python\n# wrong\n") for text in shown) == len(whole)


@pytest.mark.parametrize("role", ["student", "instructor"])
def test_a_book_opens_at_its_list_of_sheets(course, tab, role):
    page, _, _ = tab(course / role / "html" / "index.html", java_script_enabled=False)
    page.wait_for_url("**/contents.html")
    for sheet in SHEETS:
        assert page.locator(f'a[href="{sheet.chapter}.html"]').count()


# ---------------------------------------------------------------- quizzes and predictions


@pytest.fixture(scope="module")
def page_of():
    path = SITE / "notebooks" / f"{SHEETS[0].chapter}.html"
    if not path.is_file():
        pytest.skip("the site is not built: 'make html' builds it")
    return path


def test_a_quiz_answers_by_key_and_remembers(page_of, tab):
    quiz = next(q for q in SHEETS[0].quizzes if sum(answer.right for answer in q.answers) == 1)
    page, _, faults = tab(page_of)
    box = page.locator(f"#quiz-{quiz.name}")
    status = box.get_by_role("status")
    check = box.get_by_role("button", name="Check")
    check.press("Enter")
    assert status.inner_text() == "Choose an answer first."
    for number, answer in enumerate(quiz.answers):
        box.locator("input").nth(number).press("Space")
        check.press("Enter")
        said = status.inner_text()
        assert said.startswith("Right." if answer.right else "No.")
        assert words(answer.feedback.partition("$")[0]) in words(said)
    page.reload()
    assert box.locator("input").last.is_checked() and status.inner_text()
    box.get_by_role("button", name="Start again").press("Enter")
    page.reload()
    assert box.locator("input:checked").count() == 0 and not status.inner_text()
    assert not faults


def test_several_right_answers_are_wanted_together(page_of, tab):
    found = [
        (sheet, quiz)
        for sheet in SHEETS
        for quiz in sheet.quizzes
        if sum(answer.right for answer in quiz.answers) > 1
    ]
    if not found:
        pytest.skip("no quiz has several right answers")
    sheet, quiz = found[0]
    page, _, _ = tab(SITE / "notebooks" / f"{sheet.chapter}.html")
    box = page.locator(f"#quiz-{quiz.name}")
    right = [number for number, answer in enumerate(quiz.answers) if answer.right]
    box.locator("input").nth(right[0]).check()
    box.get_by_role("button", name="Check").click()
    assert "these are not all" in box.get_by_role("status").inner_text()
    for number in right[1:]:
        box.locator("input").nth(number).check()
    box.get_by_role("button", name="Check").click()
    assert "these are not all" not in box.get_by_role("status").inner_text()


def test_a_figure_waits_for_the_prediction(page_of, tab):
    prediction = SHEETS[0].predictions[0]
    page, _, faults = tab(page_of)
    box = page.locator(f"#predict-{prediction.name}")
    figure = page.locator("figure.hb-figure", has_text=prediction.figure.partition("$")[0])
    assert not figure.is_visible()
    box.locator("input").first.check()
    box.get_by_role("button", name="Show the figure").press("Enter")
    assert figure.is_visible()
    assert "You predicted" in box.get_by_role("status").inner_text()
    page.reload()
    assert figure.is_visible() and box.locator("input").first.is_checked()
    assert not faults


def test_without_scripts_everything_can_be_read(page_of, tab):
    page, _, _ = tab(page_of, java_script_enabled=False)
    prediction, quiz = SHEETS[0].predictions[0], SHEETS[0].quizzes[0]
    figure = page.locator("figure.hb-figure", has_text=prediction.figure.partition("$")[0])
    assert figure.is_visible()
    box = page.locator(f"#quiz-{quiz.name}")
    assert box.locator("label").count() == len(quiz.answers)
    assert box.locator("input:visible").count() == 0
    assert box.locator("summary:visible").count() == len(quiz.answers)
