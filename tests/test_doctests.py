"""The examples in the library's docstrings, run as they stand."""

import doctest
import importlib

import pytest
from scripts import ROOT

LIBRARY = ROOT / "hblib"
ROOMS = sorted(
    ".".join(path.parent.relative_to(LIBRARY).parts)
    for path in LIBRARY.rglob("__init__.py")
    if path.parent != LIBRARY
)


def modules(room):
    """Names of the modules of a room; of the library's own where it is ``""``."""
    folder, package = LIBRARY.joinpath(*room.split(".")), ".".join(filter(None, ["hblib", room]))
    names = [path.stem for path in sorted(folder.glob("*.py"))]
    return [package if name == "__init__" else f"{package}.{name}" for name in names]


@pytest.mark.parametrize("room", ["", *ROOMS])
def test_examples_of_a_room_come_out_as_printed(room, tmp_path, monkeypatch):
    import matplotlib

    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)  # an example may write a file
    ran, said = 0, []
    for name in modules(room):
        runner = doctest.DocTestRunner(verbose=False)
        for test in doctest.DocTestFinder().find(importlib.import_module(name)):
            ran += len(test.examples)
            runner.run(test, out=said.append)
    assert not said, "".join(said)
    assert ran


def test_a_wrong_example_would_be_noticed():
    test = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1
