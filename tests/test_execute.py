import gc
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import pytest
from fake_book import ROOT
from nbformat import v4

from hblib import claims, figures
from runner import cli, execute, parameters

# Parameters


def test_values_are_checked_by_name_and_type():
    defaults = {"k": 5, "lr": 0.1, "loss": "squared", "sizes": [1, 2], "clip": None, "bias": True}
    given = {"lr": 1, "sizes": [3], "clip": 0.5}
    checked = parameters.check(given, defaults)
    assert checked == defaults | {"lr": 1.0, "sizes": [3], "clip": 0.5}
    assert type(checked["lr"]) is float
    with pytest.raises(ValueError, match="unknown parameter 'K'; allowed are k, lr, loss, sizes"):
        parameters.check({"K": 5}, defaults)
    for name, wrong in [
        ("k", 1.5), ("k", True), ("k", "5"), ("lr", "1e-3"), ("lr", float("nan")), ("bias", 1),
        ("loss", 3), ("sizes", 3), ("sizes", [1.5]), ("clip", {1}), ("k", None),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"parameter '{name}.* must be of type"):
            parameters.check({name: wrong}, defaults)


def test_values_are_parsed_from_a_command_line():
    defaults = {"k": 5, "lr": 0.1, "loss": "squared", "sizes": [1, 2], "bias": True}
    words = ["k=8", "lr=1e-3", "loss=12", "sizes=[3, 4]", "bias=false"]
    given = {"k": 8, "lr": 1e-3, "loss": "12", "sizes": [3, 4], "bias": False}
    assert parameters.parse(words, defaults) == given
    for wrong, message in [("k", "not an assignment"), ("k={", "neither a Python nor a YAML")]:
        with pytest.raises(ValueError, match=message):
            parameters.parse([wrong], defaults)
    with pytest.raises(ValueError, match="given twice"):
        parameters.parse(["k=1", "k=2"], defaults)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("k = 5\nn = 2 * k", "not 'n = 2 \\* k'"),
        ("import os", "not 'import os'"),
        ("a = b = 1", "not 'a = b = 1'"),
        ("size = (60, 40)", "not 'size"),
        ("k = 5\nk = 6", "assigns 'k' twice"),
    ],
)
def test_a_parameters_cell_holds_literals_only(source, message):
    cell = v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    with pytest.raises(ValueError, match=message):
        parameters.declared(v4.new_notebook(cells=[cell]))


def test_there_is_one_parameters_cell():
    one, two = (v4.new_code_cell("k = 5", metadata={"tags": ["parameters"]}) for _ in "ab")
    assert parameters.declared(v4.new_notebook(cells=[one])) == {"k": 5}
    for cells, number in [([], 0), ([one, two], 2)]:
        with pytest.raises(ValueError, match=f"exactly one cell.*has {number}"):
            parameters.declared(v4.new_notebook(cells=cells))


def test_only_plain_values_are_echoed():
    with pytest.raises(ValueError, match="parameter 'k' is"):
        figures.echo(k=object())
    with pytest.raises(ValueError, match="needs the chapter's parameters"):
        figures.echo()


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


def test_code_can_be_parsed_in_several_threads():
    text = (ROOT / "hblib" / "sparse.py").read_text()

    def parse(_):
        for _ in range(20):
            Litter()
        return len(execute._parsed(text).body)

    usual = gc.get_threshold()
    gc.set_threshold(50)
    try:
        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(parse, range(40)))) == 1
    finally:
        gc.set_threshold(*usual)


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
    assert notebook.metadata.hblib.stamp == execute.stamp(path)
    assert execute.stale(path) == []
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


# Staleness


@pytest.fixture
def stamped(book):
    """Chapters that reach hblib.factorisation in different ways, all with a current stamp."""
    (book.root / "hblib" / "between.py").write_text(
        "def late():\n    from hblib.rotation._factorisation import anything\n    return anything\n"
    )
    (book.root / "notebooks" / "table.csv").write_text("1,2\n")
    book.chapter("01_direct", "from hblib import factorisation")
    book.chapter("02_dotted", "import hblib.rotation._factorisation as f")
    book.chapter("03_through", "from hblib.between import late")
    book.chapter("04_without", "from hblib import orthogonal")
    book.chapter("05_data", "open('table.csv').read()")
    for path in execute.chapters(book.root):
        notebook = nbformat.read(path, as_version=4)
        for number, cell in enumerate(notebook.cells[1:], start=1):
            cell.execution_count = number
        inputs = execute.inputs(path)
        notebook.metadata["hblib"] = {"stamp": execute.digest(inputs), "inputs": inputs}
        nbformat.write(notebook, path)
    return book


def _stale(book):
    found = {path.stem: execute.stale(path) for path in execute.chapters(book.root)}
    return {chapter: reasons for chapter, reasons in found.items() if reasons}


def _append(path, line):
    path.write_text(path.read_text(encoding="utf-8") + line, encoding="utf-8")


def test_an_edit_of_a_module_makes_exactly_its_chapters_stale(stamped):
    assert _stale(stamped) == {}
    _append(stamped.root / "hblib" / "factorisation.py", "# one more line\n")
    reasons = ["hblib/factorisation.py changed"]
    assert _stale(stamped) == dict.fromkeys(["01_direct", "02_dotted", "03_through"], reasons)


def test_an_edit_of_the_runner_makes_no_chapter_stale(stamped):
    for module in ("execute", "sweep", "cli"):
        _append(stamped.root / "hblib" / f"{module}.py", "# one more line\n")
    assert _stale(stamped) == {}


def test_every_other_input_counts(stamped):
    (stamped.root / "notebooks" / "table.csv").write_text("1,3\n")
    assert _stale(stamped) == {"05_data": ["notebooks/table.csv changed"]}
    (stamped.root / "hblib" / "claims" / "register.yml").write_text("- {id: a.b, chapter: 04_without}\n")
    assert _stale(stamped)["04_without"] == ["its claims in hblib/claims/register.yml changed"]


def _relock(book, name):
    """Move one package to another release."""
    lock = book.root / "requirements.lock"
    text = lock.read_text(encoding="utf-8")
    changed = re.sub(rf"^{name}==\S+", f"{name}==0.0.1", text, flags=re.MULTILINE)
    assert changed != text
    lock.write_text(changed, encoding="utf-8")


def test_a_release_counts_for_the_chapters_that_import_it_however_indirectly(stamped):
    _relock(stamped, "torch")
    reasons = ["torch in requirements.lock changed"]
    assert _stale(stamped) == dict.fromkeys(["01_direct", "02_dotted", "03_through"], reasons)
    _relock(stamped, "mpmath")  # torch needs sympy, which needs mpmath
    assert "mpmath in requirements.lock changed" in _stale(stamped)["01_direct"]
    assert "04_without" not in _stale(stamped)
    _relock(stamped, "numpy")
    assert _stale(stamped)["04_without"] == ["numpy in requirements.lock changed"]


def test_a_release_that_no_result_depends_on_counts_for_none(stamped):
    _relock(stamped, "sphinx")
    _relock(stamped, "ipython")
    _append(stamped.root / "requirements.lock", "newcomer==1.0  # via hblib (pyproject.toml)\n")
    assert _stale(stamped) == {}


def test_a_package_locked_to_several_releases_counts_with_each(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "a==1 ; python_version < '3.12'  # via hblib\n"
        "a==2 ; python_version >= '3.12'  # via hblib\n"
        "b-c==3.0                         # via a, d\n"
    )
    both = "1 ; python_version < '3.12' or 2 ; python_version >= '3.12'"
    assert execute._locked({"a", "unknown"}, lock) == {"a": both, "b-c": "3.0"}
    assert execute._locked({"d"}, lock) == {}


def test_an_edit_of_the_code_counts_and_one_of_the_text_does_not(stamped):
    path = stamped.root / "notebooks" / "01_direct.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# Another question?"
    notebook.cells[1].source += "\n"
    nbformat.write(notebook, path)
    assert execute.stale(path) == []
    notebook.cells[1].source += "\nx = 1"
    nbformat.write(notebook, path)
    assert execute.stale(path) == ["its code changed"]


def test_stripped_outputs_make_a_chapter_stale(stamped):
    path = stamped.root / "notebooks" / "01_direct.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].execution_count = None
    nbformat.write(notebook, path)
    assert execute.stale(path) == ["a code cell has no outputs"]


# The command line


def _hb(book, *words):
    return subprocess.run(
        [sys.executable, "-m", "hblib.cli", *words],
        cwd=book.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_hb_executes_what_is_stale_and_nothing_else(book):
    book.chapter("01_a", "print(k)")
    assert _hb(book, "stale").stdout == "01_a: never executed by hb\n"
    done = _hb(book, "execute")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert _hb(book, "stale").stdout == ""
    assert _hb(book, "execute").stdout == "every chapter is current\n"


def test_hb_answers_a_mistake_with_one_sentence(book, monkeypatch, capsys):
    book.chapter("01_a")
    monkeypatch.chdir(book.root)
    for words, message in [
        ("run 01_a depth=3", "hb: unknown parameter 'depth'; allowed are seed, k\n"),
        ("run 01_b", "hb: there is no chapter '01_b'; there are 01_a\n"),
        ("execute --jobs 0 01_a", "hb: n_jobs must be at least 1, not 0\n"),
        ("sweep 01_a", "hb: there is no sweep of 01_a: sweeps/01_a.yml does not exist\n"),
    ]:
        assert cli.main(words.split()) == 2
        assert capsys.readouterr().err == message


def test_hb_must_be_run_inside_the_book(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stale"]) == 2
    assert "inside the book's folder" in capsys.readouterr().err


def test_hb_reports_a_failing_chapter(book):
    book.chapter("01_a", "1 / 0")
    done = _hb(book, "run", "01_a", "k=3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "hb: 01_a: cell [5] raised ZeroDivisionError: division by zero\n"


def test_hb_fails_when_one_chapter_of_two_does(book, monkeypatch):
    for name in ("01_a", "02_b"):
        book.chapter(name)
    monkeypatch.chdir(book.root)
    outcomes = [execute.Outcome("01_a", 1.0, None), execute.Outcome("02_b", 1.0, "02_b: no")]
    monkeypatch.setattr(execute, "execute", lambda *arguments, **options: outcomes)
    assert cli.main(["execute", "--all"]) == 1
    del outcomes[1]
    assert cli.main(["execute", "--all"]) == 0


def test_hb_prints_the_ledger(book, monkeypatch, capsys):
    shutil.copy(ROOT / "hblib" / "claims" / "register.yml", book.root / "book")
    monkeypatch.chdir(book.root)
    assert cli.main(["ledger"]) == 0
    printed = capsys.readouterr().out.splitlines()
    register = claims.load_register()
    assert len(printed) == 1 + len(register) + 1
    assert printed[-1] == f"{len(register)} not yet tested"
    # A chapter without its records is no chapter to be shown.
    book.chapter("02_rotation")
    assert cli.main(["ledger"]) == 2
    assert "rotation." in capsys.readouterr().err
