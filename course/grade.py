"""Grading in one process: run a sheet's cells as a notebook would, then otter's tests on the names.

`otter run` does the same in a kernel, at ten seconds a submission; the tests of the course have
dozens of submissions to grade.
"""

import contextlib
import io
import os
from pathlib import Path
from typing import NamedTuple

import matplotlib
import matplotlib.pyplot as plt
import torch
from otter.assign.solutions import replace_solutions
from otter.test_files.exception_test import ExceptionTestFile

from course import notebooks

matplotlib.use("agg")  # nobody looks at the figures here


class Result(NamedTuple):
    """How one test went."""

    passed: bool
    points: int
    message: str


def run(cells, names, stop=True):
    """Run code cells in the given names; without `stop`, an error ends its cell only."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for cell in cells:
            try:
                exec(compile(cell, "<cell>", "exec"), names)
            except Exception:
                if stop:
                    raise
            finally:
                plt.close("all")


def tested(exercise, folder, names):
    """Run all tests of an exercise: test name -> Result."""
    tests = ExceptionTestFile.from_file(os.fspath(Path(folder) / f"{exercise.name}.py"))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        tests.run(names)
    return {
        result.test_case.body.test_func.__name__: Result(
            result.passed, result.test_case.points, result.test_case.failure_message
        )
        for result in tests.test_case_results
    }


def stubs(exercise):
    """The solution cells as students find them."""
    return [
        "\n".join(replace_solutions(block.body.split("\n"), "python"))
        for block in exercise.of("solution")
    ]


def beginning(sheet):
    """Names after the set-up of a sheet."""
    torch.set_num_threads(1)  # as in the kernels: the same sums, and no waiting for each other
    names = {"__name__": "__main__"}
    run([notebooks.GIVEN, *(block.body for block in sheet.intro if block.is_code)], names)
    return names


def submissions(sheet, folder):
    """Grade the reference, the empty sheet and each mistake.

    Yields
    ------
    exercise : course.source.Exercise
        Each that is graded.
    reference, empty : dict of str to Result
    mistakes : list of (course.source.Block, dict of str to Result)
    """
    start = beginning(sheet)
    unsolved = dict(start)
    for exercise in sheet.exercises:
        run(stubs(exercise), unsolved)
        before = dict(start)
        run([b.body for b in exercise.blocks if b.is_code and b.kind in RUN], start)
        if not exercise.tests:
            continue
        mistakes = []
        for mistake in exercise.of("mistake"):
            names = dict(before)
            run(exercise.with_mistake(mistake), names, stop=False)
            mistakes.append((mistake, tested(exercise, folder, names)))
        yield (
            exercise,
            tested(exercise, folder, start),
            tested(exercise, folder, unsolved),
            mistakes,
        )


RUN = {"setup", "solution", "check", "figure"}


def faults(sheet, folder):
    """What is wrong with the tests of a sheet, as sentences."""
    for exercise, reference, empty, mistakes in submissions(sheet, folder):
        for name, result in reference.items():
            if not result.passed:
                yield f"{exercise.name}: the reference solution fails {name}"
        for name, result in empty.items():
            if result.passed:
                yield f"{exercise.name}: the empty sheet passes {name}"
        for mistake, results in mistakes:
            wanted = mistake.options["fails"]
            failed = [name for name, result in results.items() if not result.passed]
            if wanted not in failed:
                yield f"{exercise.name}: {mistake.title!r} fails {failed}, not {wanted}"
