"""Building the course: ``python -m course`` makes all of it in ``_build/course``.

student/     book (html), notebooks, slides: nothing in it tells a solution or a hidden test
instructor/  book with solutions, tests, mistakes and notes; slides with speaker notes
grading/     one autograder a chapter, for `otter run` and Gradescope
"""

import contextlib
import io
import logging
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import otter.assign
import yaml
from nbclient import NotebookClient

from course import grade, notebooks, slides, source
from runner import execute

OUT = Path("_build") / "course"
# Pages about evidence need the whole book; the books of the course hold sheets only.
LEFT_OUT = (
    "hb_editions", "hb_evidence", "hb_export", "hb_findings", "hb_ledger", "hb_presumes",
    "hb_quiz", "hb_reproductions", "hb_status",
)  # fmt: skip


def wheel(folder):
    """Build the library as a wheel, for students without the book."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as copy:
        for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
            shutil.copy(source.ROOT / name, copy)
        for name in ("hblib", "runner"):
            shutil.copytree(source.ROOT / name, Path(copy) / name)
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation",
             "--disable-pip-version-check", "-w", folder.resolve(), "."],
            cwd=copy, check=True,
        )  # fmt: skip
    return next(folder.glob("hblib-*.whl"))


def executed(made):
    """Run a notebook in a kernel of its own; an error ends the build."""
    client = NotebookClient(
        made,
        timeout=600,
        kernel_manager_class=execute.ChapterKernel,
        resources={"metadata": {"path": str(source.ROOT)}},
    )
    client.execute()
    execute.normalise(made)
    return made


def assign(sheet, pictures, library, folder):
    """Let otter make the graded sheet from its master notebook.

    Parameters
    ----------
    sheet : course.source.Sheet
    pictures : dict of str to str
        Exercise -> target figure, as base64.
    library : Path
        The wheel of the library.
    folder : Path
        Where otter puts ``student/`` and ``autograder/``.
    """
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / f"{sheet.chapter}.ipynb"
        shutil.copy(library, place)
        notebooks.write(notebooks.master(sheet, pictures, library.name), path)
        with contextlib.redirect_stdout(io.StringIO()):
            otter.assign.main(str(path), str(folder), no_run_tests=True, no_pdfs=True)


def publish(made, sheet, out):
    """Put what otter made into the course: the student's notebook and the autograder."""
    name = f"{sheet.chapter}.ipynb"
    student = nbformat.read(made / "student" / name, as_version=4)
    tests = {p.stem: p.read_text("utf-8") for p in sorted(made.glob("student/tests/*.py"))}
    notebooks.write(notebooks.finished(student, tests), out / "student" / "notebooks" / name)
    grading = out / "grading" / sheet.chapter
    shutil.copytree(made / "autograder", grading, ignore=shutil.ignore_patterns("*.whl"))
    next(grading.glob("*.zip")).rename(grading / "autograder.zip")


def targets(sheet, worked):
    """Exercise -> its figure as the reference solution draws it, as base64."""
    found = {}
    cells = {cell.source: cell for cell in worked.cells}
    for exercise in sheet.exercises:
        for block in exercise.of("figure"):
            found[exercise.name] = notebooks.png_of(cells[notebooks.drawn(block)])
    return found


def book(folder, title, sheets, about, out):
    """Build one book of sheets with Jupyter Book; warnings are errors.

    Parameters
    ----------
    folder : Path
        Holds ``NN_name.ipynb`` for each sheet.
    title, about : str
        Title and text of its first page.
    sheets : list of course.source.Sheet
    out : Path
        Where the site goes.
    """
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        config = yaml.safe_load((source.ROOT / "_config.yml").read_text("utf-8"))
        config["title"] = title
        config["sphinx"]["local_extensions"] = {
            name: str(source.ROOT / path)
            for name, path in config["sphinx"]["local_extensions"].items()
            if name not in LEFT_OUT
        }
        shutil.copytree(source.ROOT / "book" / "_static", place / "book" / "_static")
        shutil.copy(source.ROOT / "book" / "references.bib", place / "book")
        (place / "_config.yml").write_text(yaml.safe_dump(config), "utf-8")
        names = [sheet.chapter for sheet in sheets]
        toc = {"format": "jb-book", "root": "contents", "chapters": [{"file": n} for n in names]}
        (place / "_toc.yml").write_text(yaml.safe_dump(toc), "utf-8")
        listed = "".join(f"- [{s.title}]({s.chapter}.ipynb), {s.minutes} minutes\n" for s in sheets)
        (place / "contents.md").write_text(f"# {title}\n\n{about}\n\n{listed}", "utf-8")
        for name in names:
            shutil.copy(folder / f"{name}.ipynb", place)
        program = "from jupyter_book.cli.main import main; main()"  # its script is the book's
        done = subprocess.run(
            [sys.executable, "-c", program, "build", ".", "-W", "--keep-going", "-q"],
            cwd=place, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{title} was not built:\n{done.stdout}{done.stderr}")
        shutil.copytree(place / "_build" / "html", out)


def build(out, names=()):
    """Make the course, or the part of it that belongs to some chapters."""
    logging.getLogger("otter").setLevel(logging.WARNING)
    sheets = [source.read(path) for path in source.sources() if not names or path.stem in names]
    if not sheets:
        raise SystemExit(f"no source in exercises/ is called {' or '.join(names)}")
    shutil.rmtree(out, ignore_errors=True)
    library = wheel(out / "student" / "notebooks")
    print(f"Executing {len(sheets)} worked sheets ...", flush=True)
    with ThreadPoolExecutor(2) as pool:
        worked = list(pool.map(lambda sheet: executed(notebooks.instructor(sheet)), sheets))
    for sheet, made in zip(sheets, worked):
        notebooks.write(made, out / "instructor" / "notebooks" / f"{sheet.chapter}.ipynb")
        with tempfile.TemporaryDirectory() as folder:
            assign(sheet, targets(sheet, made), library, Path(folder))
            publish(Path(folder), sheet, out)
        for role in ("student", "instructor"):
            slides.write(sheet, out / role / "slides", notes=role == "instructor")
    print("Building the books ...", flush=True)
    for role, about in ABOUT.items():
        title = f"The Hidden Basis: {role}'s book"
        book(out / role / "notebooks", title, sheets, about, out / role / "html")
    print(f"The course: {out.resolve()}")


ABOUT = {
    "student": (
        "One sheet of exercises for each chapter of *The Hidden Basis*. Download a sheet with "
        "the button at the top of its page, or take it from the folder `notebooks` beside this "
        "book, and open it in Jupyter, in VS Code or on Colab. Where the book is not installed, "
        "put `pip install otter-grader hblib-*.whl` first; the file is in the same folder. The "
        "check under an exercise runs at once, without a network."
    ),
    "instructor": (
        "The sheets with their solutions, all tests, common mistakes and notes for teaching. "
        "**Do not publish this book:** everything in it is what the students' book must not tell."
    ),
}


def check(names):
    """Print what is wrong with some sources; for authors, much faster than a build."""
    for path in source.sources():
        if path.stem in names:
            sheet = source.read(path)
            with tempfile.TemporaryDirectory() as folder:
                folder = Path(folder)
                library = folder / "hblib-0-py3-none-any.whl"
                library.touch()
                assign(sheet, {}, library, folder)
                slides.deck(sheet, notes=True)
                for fault in grade.faults(sheet, folder / "autograder" / "tests"):
                    print(fault)
            print(f"{path.stem}: {len(sheet.exercises)} exercises, {len(sheet.quizzes)} quizzes, "
                  f"{len(sheet.slides)} slides")  # fmt: skip
