"""Kernels forked from a nursery are as fresh as any, and end with whoever wanted them."""

import os
import signal
import subprocess
import sys

import nbformat
import psutil
import pytest
from fake_book import ROOT, eventually
from scripts import PATIENCE

from runner import execute, warm

STATE = """
import os, sys, colorsys
seen = getattr(colorsys, "seen", 0)
colorsys.seen = seen + 1
print([seen, k, os.getcwd(), sys.path, __name__, "HB_NURSERY" in os.environ])
""".strip()


@pytest.fixture(scope="module")
def nursery():
    environment = {**os.environ, "HB_NURSERY": "1"}
    nursery = warm.Nursery(["colorsys", "no_such_module"], environment)
    yield nursery
    nursery.close()


def _output(path):
    cells = nbformat.read(path, as_version=4).cells
    return [
        output["text"] for cell in cells for output in cell.get("outputs", []) if "text" in output
    ]


def test_nothing_passes_from_one_kernel_to_the_next(book, tmp_path, nursery):
    path = book.chapter("01_a", STATE)
    for k in (1, 2):
        execute.run(path, tmp_path / "cold.ipynb", {"k": k})
        execute.run(path, tmp_path / "warm.ipynb", {"k": k}, command=nursery.command)
        assert _output(tmp_path / "warm.ipynb") == _output(tmp_path / "cold.ipynb")
        assert _output(tmp_path / "warm.ipynb")[0].startswith(f"[0, {k}, ")


def test_a_kernel_has_the_imports_already(book, tmp_path, nursery):
    path = book.chapter("01_a", "import sys; print('colorsys' in sys.modules)")
    execute.run(path, tmp_path / "warm.ipynb", command=nursery.command)
    execute.run(path, tmp_path / "cold.ipynb")
    assert _output(tmp_path / "warm.ipynb") == ["True\n"]
    assert _output(tmp_path / "cold.ipynb") == ["False\n"]


def test_a_kernel_that_dies_or_hangs_is_noticed(book, tmp_path, nursery):
    dies = book.chapter("01_a", "import os; os._exit(3)")
    with pytest.raises(execute.KernelDied):
        execute.run(dies, tmp_path / "out.ipynb", command=nursery.command)
    hangs = book.chapter("02_a", "while True: pass")
    with pytest.raises(execute.ChapterError, match="did not end within 2 s"):
        execute.run(hangs, tmp_path / "out.ipynb", time_limit=2, command=nursery.command)
    eventually(lambda: not psutil.Process(nursery._process.pid).children())


def test_what_a_kernel_has_started_ends_with_it(book, tmp_path, nursery):
    # As the workers of joblib do, which would stay for minutes.
    start = """
import os, subprocess
with open(os.path.join("..", "child.txt"), "w") as file:
    file.write(str(subprocess.Popen(["sleep", "600"]).pid))
os._exit(3)
"""
    path = book.chapter("01_a", start.strip())
    with pytest.raises(execute.KernelDied):
        execute.run(path, tmp_path / "out.ipynb", command=nursery.command)
    child = int((book.root / "child.txt").read_text())
    eventually(lambda: not _runs(child))


OWNER = """
import sys
from pathlib import Path
from runner import execute, warm
nursery = warm.Nursery([])
print(nursery._process.pid, flush=True)
execute.run(sys.argv[1], Path(sys.argv[1]).parents[1] / "out.ipynb", command=nursery.command)
"""


def _owner(book):
    path = book.chapter("01_a", "import time; time.sleep(600)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, path], env=environment, stdout=subprocess.PIPE, text=True
    )
    nursery = psutil.Process(int(owner.stdout.readline()))
    kernel = eventually(nursery.children)[0]
    return owner, nursery, kernel


def test_nursery_and_kernel_end_with_their_owner(book):
    owner, nursery, kernel = _owner(book)
    owner.kill()
    eventually(lambda: not _runs(nursery.pid) and not _runs(kernel.pid))
    owner.communicate()


def test_a_kernel_ends_with_its_stand_in(book):
    owner, nursery, kernel = _owner(book)
    stand_in = next(p for p in psutil.Process(owner.pid).children() if "stand-in" in p.cmdline())
    stand_in.send_signal(signal.SIGKILL)
    eventually(lambda: not _runs(kernel.pid))
    owner.communicate(timeout=PATIENCE)
    assert owner.returncode == 1  # the run ends with an error instead of waiting for ever


def _runs(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
