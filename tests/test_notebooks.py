import copy
import json
import shutil
import subprocess
import sys

import hygiene
import nbformat
import pytest
from fake_book import ROOT
from nbclient import NotebookClient
from nbformat import v4

from hblib import execute

CHAPTERS = execute.chapters(ROOT)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_committed_chapter_is_clean(path):
    assert hygiene.breaches(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_committed_chapter_is_current(path):
    assert execute.stale(path) == [], f"bring it up to date: hb execute {path.stem}"


# The rules can fail


def _cell(number, source, *outputs, **metadata):
    return v4.new_code_cell(
        source, execution_count=number, outputs=list(outputs), metadata=metadata
    )


@pytest.fixture
def clean():
    echoed = v4.new_output("display_data", {"text/plain": "k = 5", "image/png": "/tmp/"})
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Is it clean?"),
            _cell(1, "# dimension,\n# 1 to 9\nk = 5\nlr = 0.1  # step size", tags=["parameters"]),
            _cell(2, "parameters.echo(k=k, lr=lr)", echoed),
            _cell(3, "x = 3\nprint(x)", v4.new_output("stream", text="3\n")),
            _cell(4, "x + 1", v4.new_output("execute_result", {"text/plain": "4"})),
            _cell(5, "'the end';"),
        ]
    )
    execute.normalise(notebook)
    assert hygiene.breaches(notebook) == []
    return notebook


def _stream(text, name="stdout"):
    return [v4.new_output("stream", text=text, name=name)]


def _html(text):
    return [v4.new_output("display_data", {"text/html": text})]


@pytest.mark.parametrize(
    ("spoil", "breach"),
    [
        (lambda nb: nb.cells[4].update(execution_count=9), "not executed in order"),
        (lambda nb: nb.cells[4].update(execution_count=None), "not executed in order"),
        (lambda nb: nb.cells.append(v4.new_code_cell("")), "not executed in order"),
        (lambda nb: nb.cells[2].update(outputs=[]), "code cell 2 shows something but has no"),
        (lambda nb: nb.cells[3].update(outputs=[]), "code cell 3 shows something but has no"),
        (lambda nb: nb.cells[4].update(outputs=[]), "code cell 4 shows something but has no"),
        (lambda nb: nb.cells[1].update(metadata={}), "exactly one cell tagged"),
        (lambda nb: nb.cells[3].metadata.update(tags=["parameters"]), "exactly one cell tagged"),
        (lambda nb: nb.cells[1].update(source="k = 5  # a\nlr = k / 50  # b"), "not 'lr = k / 50'"),
        (lambda nb: nb.cells[1].update(source="k = 5  # a\nlr = 0.1"), "'lr' has no comment"),
        (lambda nb: nb.cells[1].update(source="k = 5\nlr = 0.1  # b"), "'k' has no comment"),
        (lambda nb: nb.cells[2].update(source="parameters.echo(k=k)"), "echoes ['k'], but"),
        (lambda nb: nb.cells[2].update(source="parameters.echo(k=3, lr=lr)"), "echo of 'k' is not"),
        (lambda nb: nb.cells[2].update(source="k"), "echoes its parameters 0 times"),
        (lambda nb: nb.cells[3].update(outputs=_stream("at /home/me/x.py")), "/home/me/x.py"),
        (lambda nb: nb.cells[3].update(outputs=_html("<a href='/tmp/x'>")), "/tmp/x"),
        (lambda nb: nb.cells[3].update(outputs=_stream(r"C:\Users\me")), "path of one machine"),
        (lambda nb: nb.cells[3].update(source="open('/work/data')"), "/work/data"),
        (lambda nb: nb.cells[3].update(outputs=_stream("x", "stderr")), "wrote to stderr"),
        (lambda nb: nb.cells[3].update(outputs=_stream("UserWarning: x")), "holds a warning"),
        (lambda nb: nb.cells[3].update(outputs=_stream("on 2026-01-02T03:04")), "holds a time"),
        (lambda nb: nb.cells[3].update(outputs=_html("at 03:04:05")), "holds a time"),
        (lambda nb: nb.cells[3].update(outputs=[v4.new_output("error", ename="E")]), "raised E"),
        (lambda nb: nb.metadata.update(papermill={}), "metadata 'papermill'"),
        (lambda nb: nb.metadata.update(widgets={}), "metadata 'widgets'"),
        (lambda nb: nb.metadata.language_info.update(version="3.11.7"), "one version of Python"),
        (lambda nb: nb.cells[3].metadata.update(execution={}), "cell 4 has metadata 'execution'"),
        (lambda nb: nb.update(nbformat_minor=4), "format is 4.4"),
    ],
)
def test_each_rule_bites(clean, spoil, breach):
    spoilt = copy.deepcopy(clean)
    spoil(spoilt)
    found = hygiene.breaches(spoilt)
    assert any(breach in sentence for sentence in found), found


def test_web_addresses_and_subfolders_are_no_machine_paths(clean):
    clean.cells[3].outputs = _stream("https://example.org/home/x ../tmp/y ratio 3/work/4")
    assert hygiene.breaches(clean) == []


# What nbval compares

REGISTER = """
from hblib import claims
bound = {"kind": "bound", "aggregate": "max", "below": 1e-9}
entry = {
    "id": "fake.claim", "chapter": "01_fake", "source": "ext", "kind": "theorem",
    "statement": "It is small.", "statistic": "Its size.", "criterion": bound,
    "control": {"statement": "the other", "criterion": bound},
    "verdict_if_met": "reproduced",
}
""".strip()
CHECK = """
claims.check("fake.claim", [2e-15] * 8, control=[3e-12] * 8, register={"fake.claim": entry})
""".strip()


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Rerun altered copies of a chapter under nbval; return which of them failed."""
    folder = tmp_path_factory.mktemp("compared")
    notebook = v4.new_notebook(
        cells=[v4.new_code_cell(cell) for cell in (REGISTER, CHECK, "claims.num(2e-15)")]
    )
    NotebookClient(notebook, kernel_manager_class=execute.ChapterKernel).execute()
    alterations = {
        "digits": [("2e-15", "7e-15"), ("3e-12", "4e-13")],
        "rendering": [("hb-claim__head", "hb-head"), ("largest value", "greatest value")],
        "verdict": [("reproduced", "refuted")],
        "sample": [('"n": 8', '"n": 9')],
        "criterion": [('"below": 1e-09', '"below": 1e-08')],
        "number": [('"number": "2e-15"', '"number": "0.5"')],
    }
    for name, replacements in alterations.items():
        altered = copy.deepcopy(notebook)
        for cell in altered.cells:
            text = json.dumps(cell.outputs, ensure_ascii=False)
            for old, new in replacements:
                text = text.replace(old, new)
            cell.outputs = nbformat.from_dict(json.loads(text))
        assert altered != notebook, f"{name} alters nothing"
        nbformat.write(altered, folder / f"{name}.ipynb")
    shutil.copy(ROOT / "conftest.py", folder)
    done = subprocess.run(
        [
            sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "-n", "2",
            "--dist=loadfile", ".",
        ],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    return {name for name in alterations if f"FAILED {name}.ipynb" in done.stdout}, done.stdout


def test_nbval_compares_by_type(compared):
    failed, output = compared
    assert failed == {"verdict", "sample", "criterion", "number"}, output
