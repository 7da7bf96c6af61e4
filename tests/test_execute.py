import json
import os
import re
import sys
import tempfile
import time

import nbformat
import pytest
from nbformat import v4

from runner import execute, stamp

# One run


def test_a_run_uses_the_values_asked_for(book):
    path = book.chapter("01_a", "print(k, seed)")
    before = path.read_bytes()
    output = book.root / "_build" / "runs" / "a {b}.ipynb"
    assert execute.run(path, output, {"k": 8}) == {"seed": 0, "k": 8}
    executed = nbformat.read(output, as_version=4)
    assert executed.cells[-1].outputs[0].text == "8 0\n"
    assert path.read_bytes() == before


def test_a_wrong_parameter_stops_a_run_before_it_starts(book):
    path = book.chapter("01_a")
    with pytest.raises(ValueError, match="unknown parameter 'depth'; allowed are seed, k"):
        execute.run(path, book.root / "out.ipynb", {"depth": 3})
    assert not (book.root / "out.ipynb").exists()


def test_a_chapter_that_overrides_a_parameter_is_caught(book):
    path = book.chapter("01_a", echo="k = 5\nfigures.echo(seed=seed, k=k)")
    with pytest.raises(execute.ChapterError, match="k = 5 instead of 8"):
        execute.run(path, book.root / "out.ipynb", {"k": 8})


def test_a_run_that_raises_keeps_its_notebook(book):
    path = book.chapter("01_a", "1 / 0")
    with pytest.raises(execute.ChapterError, match=r"01_a: cell \[4\] raised ZeroDivisionError"):
        execute.run(path, book.root / "out.ipynb")
    assert "ZeroDivisionError" in (book.root / "out.ipynb").read_text()


def test_a_run_has_a_time_limit(book):
    path = book.chapter("01_a", "import time; time.sleep(60)")
    with pytest.raises(execute.ChapterError, match="did not end within 2 s"):
        execute.run(path, book.root / "out.ipynb", time_limit=2)


def test_a_kernel_that_dies_is_told_from_a_cell_that_raises(book):
    path = book.chapter("01_a", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(execute.KernelDied):
        execute.run(path, book.root / "out.ipynb")
    # Not the chapter's doing either: a port that was taken meanwhile, a machine out of memory.
    with pytest.raises(execute.KernelDied, match="01_a: the kernel did not start"):
        execute.run(path, book.root / "out.ipynb", command=[sys.executable, "-c", "1 / 0"])


class Litter:
    """What gives way to another thread when it is collected, as a temporary folder does."""

    def __init__(self):
        self.itself = self

    def __del__(self):
        time.sleep(1e-3)


@pytest.mark.parametrize(("length", "transport"), [(5, "ipc"), (90, "tcp")])
def test_a_kernel_starts_in_a_temporary_folder_of_any_depth(
    book, tmp_path, monkeypatch, length, transport
):
    with tempfile.TemporaryDirectory(prefix="d" * length) as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        assert execute.ChapterKernel().transport == transport
        execute.run(book.chapter("01_a"), tmp_path / "out.ipynb")
        assert not os.listdir(folder)


def test_the_kernel_is_this_python_whatever_is_installed(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/nowhere/python"], "display_name": "", "language": "p"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    assert execute.ChapterKernel(kernel_name="python3").kernel_spec.argv[0] == sys.executable


# In place


@pytest.fixture(scope="module")
def executed(shared_book):
    """A good chapter and four bad ones, executed together; what was said, and the files before."""
    paths = [
        shared_book.chapter(
            "01_good",
            "import os\nprint(k)\nprint(os.environ['OMP_NUM_THREADS'], os.getcwd()[-9:])",
            "k * 2",
        ),
        shared_book.chapter("02_raises", "x = 1", "raise ValueError('first line\\nlast line')"),
        shared_book.chapter("03_warns", "import warnings\nwarnings.warn('mind the gap')"),
        shared_book.chapter("04_dies", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"),
        shared_book.chapter("05_no_echo", echo="figures.echo(seed=3, k=k)"),
    ]
    before = {path.stem: path.read_bytes() for path in paths}
    lines = []
    outcomes = execute.execute(paths, n_jobs=2, report=lines.append)
    return shared_book, before, lines, {outcome.chapter: outcome for outcome in outcomes}


def test_a_good_chapter_gets_outputs_and_a_stamp(executed):
    book, _, lines, outcomes = executed
    path = book.root / "notebooks" / "01_good.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert outcomes["01_good"].error is None
    assert [cell.get("execution_count") for cell in notebook.cells] == [None, 1, 2, 3, 4, 5]
    assert notebook.cells[4].outputs[0].text == "5\n1 notebooks\n"
    assert notebook.metadata.hblib.stamp == stamp.stamp(path)
    assert stamp.stale(path) == []
    assert any(line.startswith("01_good  ") and line.endswith(" s") for line in lines)


@pytest.mark.parametrize(
    ("chapter", "message"),
    [
        ("02_raises", "02_raises: code cell 5 raised last line"),
        ("03_warns", "03_warns: code cell 4 wrote to stderr: .*mind the gap"),
        ("04_dies", "04_dies: code cell 4: Kernel died"),
        ("05_no_echo", "05_no_echo: it does not echo its parameters seed, k unchanged"),
    ],
)
def test_a_bad_chapter_stays_as_it_was(executed, chapter, message):
    book, before, lines, outcomes = executed
    assert [line for line in lines if line.startswith(chapter)] == [outcomes[chapter].error]
    assert re.match(message, outcomes[chapter].error)
    assert "\n" not in outcomes[chapter].error
    assert (book.root / "notebooks" / f"{chapter}.ipynb").read_bytes() == before[chapter]
    assert "Traceback" in (book.root / "_build" / "reports" / f"{chapter}.log").read_text()


def test_executing_twice_gives_the_same_file(executed):
    book, *_ = executed
    path = book.root / "notebooks" / "01_good.ipynb"

    def without_seconds():
        notebook = nbformat.read(path, as_version=4)
        assert notebook.metadata.hblib.pop("seconds") > 0
        return nbformat.writes(notebook)

    first = without_seconds()
    assert execute.execute([path], report=str)[0].error is None
    assert without_seconds() == first


def test_normalising_strips_what_varies():
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell("1", metadata={"execution": {"a": "1"}, "tags": ["b"]})],
        metadata={"papermill": {}, "widgets": {}, "language_info": {"name": "x", "version": "3"}},
    )
    notebook.nbformat_minor = 4
    del notebook.cells[0]["id"]
    execute.normalise(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert "version" not in notebook.metadata.language_info
    assert notebook.cells[0].metadata == {"tags": ["b"]}
    assert notebook.cells[0].id == "cell-0"
    nbformat.validate(notebook)
