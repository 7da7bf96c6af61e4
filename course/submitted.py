"""Grading a folder of sheets that students handed in, each by `otter run`."""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat

from course import notebooks

SECONDS = 1800  # a sheet takes half a minute; one that never ends must not keep the others waiting
_SET_UP = re.compile(r'^sheet = "(\w+)\.ipynb"$', re.M)  # a line of notebooks.SETUP


def prepared(path, chapter):
    """Read a sheet and set what an editor may have changed in it and grading relies on.

    The kernel becomes the one that every Python environment has, whatever name the student's had.
    A sheet that lost its assignment's name gets it back; which it was, its set-up cell tells.

    Raises
    ------
    ValueError
        If this is no notebook, or not a sheet of the chapter; one sentence says which.
    """
    try:
        sheet = nbformat.read(path, as_version=4)
        said = sheet.metadata.get("otter", {}).get("assignment_name")
        cells = "\n".join(cell.source for cell in sheet.cells)
    except Exception as error:  # nbformat raises a dozen kinds of errors on what is no notebook
        raise ValueError(f"cannot be read as a notebook ({type(error).__name__})") from error
    found = said or next(iter(_SET_UP.findall(cells)), None)
    if found is None:
        raise ValueError("is no sheet of the course: no chapter is named in it")
    if found != chapter:
        raise ValueError(f"is the sheet of {found}, not of {chapter}")
    sheet.metadata["kernelspec"] = notebooks.KERNEL
    sheet.metadata["otter"] = {"assignment_name": chapter}
    return sheet


def grade(path, chapter, autograder, out):
    """Grade one sheet into ``out/results.json``: its points, and how many there are.

    Raises
    ------
    ValueError
        If it gets no result; one sentence says why.
    """
    shutil.rmtree(out, ignore_errors=True)  # no result of an earlier run may stand for this one
    sheet = prepared(path, chapter)
    out.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / f"{chapter}.ipynb"
        nbformat.write(sheet, copy)
        try:
            done = subprocess.run(
                [sys.executable, "-m", "otter", "run", "--no-logo", "-a", autograder, "-o", out,
                 copy],
                capture_output=True, text=True, timeout=SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ValueError(f"was still running after {SECONDS // 60} minutes") from None
    if done.returncode:
        *_, last = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(f"could not be graded ({last})")
    tests = json.loads((out / "results.json").read_text("utf-8"))["tests"]
    return tuple(sum(test.get(key, 0) for test in tests) for key in ("score", "max_score"))


def grade_folder(chapter, folder, course):
    """Grade all that lies in a folder; print a line for each and return how many got no result.

    Parameters
    ----------
    chapter : str
    folder : Path
        Holds what was handed in. The results go to ``graded/NAME/results.json`` in it.
    course : Path
        The course, as built.
    """
    autograder = course / "grading" / chapter / "autograder.zip"
    if not autograder.is_file():
        raise SystemExit(f"there is no autograder {autograder}; 'make course' builds it")
    handed_in = sorted(p for p in folder.glob("*") if p.is_file() and not p.name.startswith("."))
    if not handed_in:
        raise SystemExit(f"there is nothing to grade in {folder}")

    graded = folder.resolve() / "graded"

    def points(path):
        try:
            return grade(path, chapter, autograder.resolve(), graded / path.stem)
        except ValueError as error:
            return error

    without = []
    with ThreadPoolExecutor(2) as pool:
        for path, result in zip(handed_in, pool.map(points, handed_in)):
            if isinstance(result, ValueError):
                without.append(f"{path.name} {result}.")
            else:
                print(f"{path.stem}: {result[0]:g} of {result[1]:g} points", flush=True)
    if without:
        print(f"Without a result: {len(without)} of {len(handed_in)}.", *without, sep="\n  ")
    return len(without)
