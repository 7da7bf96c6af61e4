import copy
import json
import re
import shutil
import subprocess
import sys

import hygiene
import nbformat
import pytest
from fake_book import ROOT
from nbclient import NotebookClient
from nbformat import v4

from runner import execute, files, stamp

CHAPTERS = files.chapters(ROOT)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_committed_chapter_is_clean(path):
    assert hygiene.breaches(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_committed_chapter_is_current(path):
    assert stamp.stale(path) == [], f"bring it up to date: hb execute {path.stem}"


# The rules can fail


def _cell(number, source, *outputs, **metadata):
    return v4.new_code_cell(
        source, execution_count=number, outputs=list(outputs), metadata=metadata
    )


PARAMETERS = "# dimension,\n# [1 to 9]\nk = 5\nlr = 0.1  # step size [above 0]"


@pytest.fixture
def clean():
    echoed = v4.new_output("display_data", {"text/plain": "k = 5", "image/png": "/tmp/"})
    notebook = v4.new_notebook(
        cells=[
            v4.new_markdown_cell("# Is it clean?"),
            _cell(1, PARAMETERS, tags=["parameters"]),
            _cell(2, "figures.echo(k=k, lr=lr)", echoed),
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
        (lambda nb: nb.cells[1].update(source="k = 5  # a [odd]\nlr = 0.1"), "'lr' has no comment"),
        (lambda nb: nb.cells[1].update(source="k = 5  # [odd]\nlr = 0.1  # b"), "'k' has no comm"),
        (lambda nb: nb.cells[1].update(source="k = 5  # a [odd]\nlr = 0.1  # b"), "'lr' has no r"),
        (lambda nb: nb.cells[1].update(source="k = 5  # a [even]\nlr = 0.1  # b"), "'k' is 5, its"),
        (lambda nb: nb.cells[1].update(source="k = 5  # a [ood]\nlr = 0.1  # b"), "[ood] of para"),
        (lambda nb: nb.cells[2].update(source="figures.echo(k=k)"), "echoes ['k'], but"),
        (lambda nb: nb.cells[2].update(source="figures.echo(k=3, lr=lr)"), "echo of 'k' is not"),
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

CHECK = """
from hblib import claims
claims.check("rotation.gd-equivariant", [2e-15] * 8, control=[3e-2] * 8)
""".strip()


ALTERATIONS = {
    "digits": [("2e-15", "7e-15"), ("0.03", "0.031")],
    "rendering": [("hb-claim__head", "hb-head"), ("largest value", "greatest value")],
    "verdict": [("0.03", "0.003")],  # a control below 0.01 is none
    "sample": [('"n": 8', '"n": 9')],
    "register": [('"registered": "', '"registered": "0')],
    "number": [('"number": "2e-15"', '"number": "0.5"')],
}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """Rerun a notebook with altered outputs under nbval; return which alterations failed."""
    folder = tmp_path_factory.mktemp("compared")
    sources = (CHECK, "claims.num(2e-15)") * len(ALTERATIONS)
    notebook = v4.new_notebook(cells=[v4.new_code_cell(cell) for cell in sources])
    NotebookClient(notebook, kernel_manager_class=execute.ChapterKernel).execute()
    for i, (name, replacements) in enumerate(ALTERATIONS.items()):
        pair = notebook.cells[2 * i : 2 * i + 2]
        before = copy.deepcopy(pair)
        for cell in pair:
            text = json.dumps(cell.outputs, ensure_ascii=False)
            for old, new in replacements:
                text = text.replace(old, new)
            cell.outputs = nbformat.from_dict(json.loads(text))
        assert pair != before, f"{name} alters nothing"
    nbformat.write(notebook, folder / "altered.ipynb")
    shutil.copy(ROOT / "conftest.py", folder)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env", "-q", "."],
        cwd=folder, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout
    cells = re.findall(r"^FAILED altered\.ipynb::Cell (\d+)", done.stdout, re.M)
    return {list(ALTERATIONS)[int(cell) // 2] for cell in cells}, done.stdout


def test_nbval_compares_by_type(compared):
    failed, output = compared
    assert failed == {"verdict", "sample", "register", "number"}, output
