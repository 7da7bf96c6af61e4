import os
import pty
import re
import signal
import subprocess
import sys
import termios
import time

import click.testing
import nbformat
import pytest
from fake_book import RECORD, ROOT
from nbformat import v4
from scripts import PATIENCE

from hblib import claims
from runner import cli, execute, files, ledger, page, stamp, sweep, tables

DECLARED = "seed = 0  # of all draws [0 or more]\nk = 5  # units [1 to 9]"


@pytest.fixture
def inside(book, monkeypatch):
    """The book, in whose folder `hb` is called, with one chapter that checks a claim."""
    book.chapter("01_a", RECORD, declared=DECLARED)
    monkeypatch.chdir(book.root)
    return book


def _environment(**more):
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def _hb(book, *words, **more):
    return subprocess.run(
        [sys.executable, "-m", "runner.cli", *words],
        cwd=book.root,
        env=_environment(**more),
        capture_output=True,
        text=True,
    )


def _executed(book):
    """Make the chapter as if it had been executed with its defaults."""
    (path,) = files.chapters(book.root)
    output = book.root / "_build" / "committed.ipynb"
    execute.run(path, output)
    notebook = files.read(output)
    del notebook.metadata["hblib"]["parameters"]
    files.write(nbformat.writes(notebook), path)
    return path


# Wrong words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run 01_a depth=3", "unknown parameter 'depth'; allowed are seed, k"),
        ("run 01_a k=1000", "parameter 'k' is 1000; allowed is 1 to 9"),
        ("run 01_a seed=010", "parameter 'seed' must be of type int (default 0), not '010'"),
        ("run 01_a --time-limit -5", "time_limit must be a number of seconds above 0, not -5"),
        ("run 01_a --time-limit nan", "time_limit must be a number of seconds above 0, not nan"),
        ("run 01_a --output notebooks/01_a.ipynb", "a run must not go into notebooks/, where"),
        ("run 01_b", "there is no chapter '01_b'; there are 01_a"),
        ("run", "missing argument 'CH' (see hb run --help)"),
        ("rum", "no such command 'rum'"),
        ("stale --chek", "no such option"),
        ("execute --jobs 0 01_a", "invalid value for '--jobs': 0 is not in the range"),
        ("sweep 01_a --workers 0", "invalid value for '--workers': 0 is not in the range"),
        ("execute --jobs many", "invalid value for '--jobs'"),
        ("sweep 01_a", "there is no sweep of 01_a: sweeps/01_a.yml does not exist"),
        ("sweep 01_a --grid my.yml", "there is no sweep of 01_a: my.yml does not exist"),
        ("publish 01_a", "there is no sweep of 01_a: sweeps/01_a.yml does not exist"),
        ("parameters 01_b", "there is no chapter '01_b'"),
    ],
)
def test_hb_answers_a_mistake_with_one_sentence(inside, capsys, monkeypatch, words, message):
    monkeypatch.setattr(execute.ChapterKernel, "start_kernel", None)
    assert cli.main(words.split()) == 2
    printed, said = capsys.readouterr()
    assert printed == "" and said.startswith(f"hb: {message}") and said.count("\n") == 1


def test_hb_alone_lists_its_commands(capsys):
    assert cli.main([]) == 2
    printed, said = capsys.readouterr()
    assert printed == "" and all(f"\n  {name} " in said for name in cli.hb.commands)


def test_hb_must_be_run_inside_the_book(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stale"]) == 2
    assert "inside the book's folder" in capsys.readouterr().err


def test_a_value_out_of_range_is_refused_before_anything_heavy_is_imported(inside):
    heavy = "papermill", "torch", "matplotlib", "nbconvert", "distributed", "nbclient"
    code = (
        "import sys; from runner import cli; status = cli.main(['run', '01_a', 'k=1000']); "
        f"print(status, [name for name in {heavy} if name in sys.modules])"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True)
    assert done.stdout == "2 []\n", done.stderr
    assert not (inside.root / "_build").exists()


# Help and completion


@pytest.mark.parametrize("command", [None, *cli.hb.commands])
def test_help_keeps_its_examples_as_they_are_written(command):
    words = [command, "--help"] if command else ["--help"]
    shown = click.testing.CliRunner().invoke(cli.hb, words, prog_name="hb").output
    assert re.search(r"\n  Examples?:\n    hb ", shown)
    assert all(len(line) <= 80 for line in shown.split("\n"))
    assert "..." not in shown.replace("]...", "").replace("[ARGS]...", "")


def test_the_shell_completes_commands_and_chapters(inside):
    inside.chapter("02_b")

    def completed(words, number):
        more = {"COMP_WORDS": words, "COMP_CWORD": str(number), "_HB_COMPLETE": "bash_complete"}
        return re.findall(r"^plain,(.*)$", _hb(inside, **more).stdout, re.M)

    assert completed("hb st", 1) == ["stale"]
    assert completed("hb run 0", 2) == ["01_a", "02_b"]
    assert completed("hb stale 01_a 02", 3) == ["02_b"]


# stale, execute, parameters, ledger


def test_hb_executes_what_is_stale_and_nothing_else(book):
    book.chapter("01_a", "print(k)")
    assert _hb(book, "stale").stdout == "01_a: never executed by hb\n"
    checked = _hb(book, "stale", "--check")
    assert (checked.returncode, checked.stdout) == (1, "01_a: never executed by hb\n")
    done = _hb(book, "execute")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    checked = _hb(book, "stale", "--check")
    assert (checked.returncode, checked.stdout) == (0, "every chapter is current\n")
    assert _hb(book, "stale", "01_a").stdout == "current: 01_a\n"
    assert _hb(book, "execute").stdout == "every chapter is current\n"


def test_hb_fails_when_one_chapter_of_two_does(inside, monkeypatch):
    outcomes = [execute.Outcome("01_a", 1.0, None), execute.Outcome("02_b", 1.0, "02_b: no")]
    monkeypatch.setattr(execute, "execute", lambda *arguments, **options: outcomes)
    assert cli.main(["execute", "--all"]) == 1
    del outcomes[1]
    assert cli.main(["execute", "--all"]) == 0


def test_hb_lists_parameters(book, monkeypatch, capsys):
    declared = f"{DECLARED}\nbias = True  # whether units have one\nrate = 0.1  # of learning"
    book.chapter("01_a", declared=declared)
    monkeypatch.chdir(book.root)
    assert cli.main(["parameters", "01_a"]) == 0
    assert capsys.readouterr().out == (
        "name  default  range          meaning\n"
        "seed  0        0 or more      of all draws\n"
        "k     5        1 to 9         units\n"
        "bias  True     True or False  whether units have one\n"
        "rate  0.1      any            of learning\n"
    )


def test_hb_prints_the_ledger(book, monkeypatch, capsys):
    register = (ROOT / "hblib" / "claims" / "register.yml").read_text(encoding="utf-8")
    (book.root / "hblib" / "claims" / "register.yml").write_text(register, encoding="utf-8")
    monkeypatch.chdir(book.root)
    assert cli.main(["ledger"]) == 0
    printed = capsys.readouterr().out.splitlines()
    n_claims = len(claims.load_register())
    kinds = printed[1 + n_claims :]
    assert [line.partition(":")[0] for line in kinds] == [
        "theorem", "corollary", "example", "effect",
    ]  # fmt: skip
    counted = [re.fullmatch(r"\w+: (\d+) not yet tested", line)[1] for line in kinds]
    assert sum(map(int, counted)) == n_claims
    # A chapter without its records is no chapter to be shown.
    book.chapter("02_rotation")
    assert cli.main(["ledger"]) == 2
    assert "rotation." in capsys.readouterr().err


# run


def test_a_run_is_compared_with_the_book_and_says_what_it_is(inside, capsys):
    committed = _executed(inside)
    before = committed.read_bytes()
    capsys.readouterr()
    assert cli.main(["run", "01_a", "k=8"]) == 0
    printed, said = capsys.readouterr()
    assert printed.splitlines() == [
        "claim       verdict here  in the book  estimate here  in the book  differs",
        "fake.claim  open          reproduced   1.23           1.23         verdict",
        "_build/runs/01_a,k=8.ipynb",
        "_build/runs/01_a,k=8.html",
    ]
    assert said == "" and committed.read_bytes() == before
    run = files.read("_build/runs/01_a,k=8.ipynb")
    assert run.metadata.hblib == {
        "stamp": stamp.stamp(committed),
        "inputs": stamp.inputs(committed),
        "parameters": {"seed": 0, "k": 8},
        "outcomes": ledger.seal(ledger.outcomes(run)),
    }


def test_a_run_without_the_books_own_verdicts_says_so(inside, capsys):
    assert cli.main(["run", "01_a", "k=3"]) == 0
    printed, said = capsys.readouterr()
    assert re.search(r"^fake.claim +reproduced +1.23$", printed, re.M)
    assert said == ""
    path = _executed(inside)
    edited = files.read(path)
    edited.cells[-1].outputs = []
    nbformat.write(edited, path)
    assert cli.main(["run", "01_a", "k=3"]) == 0
    assert "hb: the book's own verdicts cannot be shown: 01_a: " in capsys.readouterr().err


def test_hb_reports_a_failing_chapter_and_leaves_its_notebook(book):
    path = book.chapter("01_a", "1 / 0")
    done = _hb(book, "run", "01_a", "k=3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "hb: 01_a: cell [5] raised ZeroDivisionError: division by zero; "
        "its notebook so far: _build/runs/01_a,k=3.ipynb\n"
    )
    left = files.read(book.root / "_build" / "runs" / "01_a,k=3.ipynb")
    assert "outcomes" not in left.metadata.hblib
    assert left.metadata.hblib.stamp == stamp.stamp(path)


def test_a_run_shows_its_progress_on_a_terminal(inside):
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    command = [sys.executable, "-m", "runner.cli", "run", "01_a"]
    with subprocess.Popen(
        command, cwd=inside.root, env=_environment(), stdout=subprocess.DEVNULL, stderr=theirs
    ) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:  # Linux's word for a terminal that nobody writes to any more
                break
    os.close(ours)
    assert process.returncode == 0
    assert re.search(rb"01_a: +\d+%.*\d/5 ", said) and b"5/5" in said


def test_names_of_runs_are_short_and_their_own():
    assert cli.run_name("01_a", {}) == "01_a"
    assert cli.run_name("01_a", {"k": 8, "path": "a/b"}) == "01_a,k=8,path=a_b"
    many = {f"parameter_{i}": i for i in range(30)}
    one, other = cli.run_name("01_a", many), cli.run_name("01_a", many | {"parameter_29": "ö"})
    assert one != other
    for name in (one, other, cli.run_name("01_a", {"s": "ö" * 300})):
        assert name.startswith("01_a,") and len(name.encode()) <= 120


def test_a_page_of_a_run_needs_nothing_from_elsewhere(tmp_path, recwarn):
    glued = v4.new_output(
        "display_data",
        {"application/papermill.record/text/plain": "'24 points'"},
        metadata={"scrapbook": {"name": "gap", "mime_prefix": "application/papermill.record/"}},
    )
    shown = v4.new_output("display_data", {"text/html": "<b>a card</b>"})
    cells = [
        v4.new_markdown_cell("# Why?\n\nIt is {glue:text}`gap`, says {cite}`goh2016`: $x^2$."),
        v4.new_markdown_cell(
            "See [chapter 2](02_rotation.ipynb).\n\n:::{prf:theorem} It turns\n:label: t\n"
            "All does.\n:::\n\n```{quiz} why\n```\n"
        ),
        v4.new_code_cell("k = 5  # [1 to 9]", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("secret = 1", metadata={"tags": ["hide-input"]}, outputs=[shown]),
        v4.new_code_cell("plain_to_see = 2", outputs=[glued]),
        v4.new_code_cell("gone", metadata={"tags": ["remove-cell"]}),
    ]
    path = tmp_path / "01_a,k=8.ipynb"
    about = {"hblib": {"parameters": {"k": 8}}}
    nbformat.write(v4.new_notebook(cells=cells, metadata=about), path)
    assert page.write(path) == tmp_path / "01_a,k=8.html" and not recwarn.list
    text = (tmp_path / "01_a,k=8.html").read_text(encoding="utf-8")
    for wanted in ("<title>01_a,k=8</title>", "24 points, says goh2016: $x^2$", "<b>a card</b>"):
        assert wanted in text
    assert "A run of this chapter with <code>k = 8</code>" in text
    assert "<strong>Theorem (It turns).</strong>" in text and "See chapter 2." in text
    assert "plain_to_see" in text
    assert not any(word in text for word in ("secret", "gone", ":::", ":label:", "{quiz}"))
    assert not re.search(r"cdn|unpkg|jsdelivr|requirejs", text, re.I)
    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"([^\"]*)", text) in (
        ["mathjax.js"],
        [],
    )
    assert not re.search(r"(?:import|url\()\s*['\"]?(?:https?:)?//", text)


# sweep, publish


def _sweep_result(book, path):
    row = tables.row(ledger.outcomes(files.read(path))[0])
    import pandas as pd

    setting = {"run": "r", "seed": 0, "k": 5}
    target = book.root / "_build" / "sweeps" / "01_a" / "results.csv"
    plan = sweep.read_plan(book.root, "01_a")
    about = {"chapter": "01_a", "stamp": plan.stamp, "settings": files.digest(plan.settings)}
    tables.write(target, about, pd.DataFrame([setting | row]))
    return target


def test_a_sweep_is_counted_and_published_only_when_asked(inside, monkeypatch, capsys):
    path = _executed(inside)
    (inside.root / "sweeps" / "01_a.yml").write_text("grid: {k: [5]}")
    asked = []
    monkeypatch.setattr(
        sweep, "sweep", lambda *given: asked.append(given) or _sweep_result(inside, path)
    )
    capsys.readouterr()
    assert cli.main("sweep 01_a --grid sweeps/01_a.yml --workers 3".split()) == 0
    assert asked == [(inside.root, "01_a", None, 3, files.Path("sweeps/01_a.yml"))]
    assert capsys.readouterr().out == (
        "fake.claim: reproduced in 1 of 1 settings\n_build/sweeps/01_a/results.csv\n"
    )
    published = inside.root / "sweeps" / "results" / "01_a.csv"
    assert not published.exists()
    assert cli.main(["publish", "01_a"]) == 0
    assert capsys.readouterr().out == "sweeps/results/01_a.csv\n"
    assert published.read_bytes() == (inside.root / "_build/sweeps/01_a/results.csv").read_bytes()


def test_a_sweep_is_refused_where_a_value_is_out_of_range_or_nothing_is_claimed(inside, capsys):
    path = _executed(inside)
    (inside.root / "my.yml").write_text("grid: {k: [5, 10]}")
    assert cli.main(["sweep", "01_a", "--grid", "my.yml"]) == 2
    said = capsys.readouterr().err
    assert said == "hb: my.yml: parameter 'k' is 10; allowed is 1 to 9\n"
    bare = files.read(path)
    bare.cells[-1].outputs = []
    bare.metadata["hblib"]["outcomes"] = ledger.seal([])
    nbformat.write(bare, path)
    (inside.root / "my.yml").write_text("grid: {k: [5, 9]}")
    assert cli.main(["sweep", "01_a", "--grid", "my.yml"]) == 2
    assert "01_a checks no claim, so a sweep of it" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_130(inside):
    inside.chapter("01_a", "open('started', 'w').close()\nimport time; time.sleep(60)")
    command = [sys.executable, "-m", "runner.cli", "run", "01_a"]
    process = subprocess.Popen(
        command, cwd=inside.root, env=_environment(), stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in background
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE
    while not (inside.root / "notebooks" / "started").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and said.strip() == "hb: interrupted"
