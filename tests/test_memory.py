"""The measurement of peak memory, and what the committed one says of the chapters."""

import json
import sys

import pytest
from scripts import ROOT, load

from runner import files, stamp


@pytest.fixture(scope="module")
def memory():
    return load(ROOT / "tools" / "memory.py")


def test_memory_of_a_process_and_of_its_children_is_counted(memory, tmp_path):
    hold = "import time; block = bytearray(b'x') * (150 << 20); time.sleep(2)"
    both = f"import subprocess, sys; {hold.split(';')[1]}; " + (
        f"subprocess.run([sys.executable, '-c', {hold!r}])"
    )
    alone = memory.peak([sys.executable, "-c", hold], tmp_path)
    assert alone > 150
    assert memory.peak([sys.executable, "-c", both], tmp_path) > alone + 140


def test_a_run_that_fails_is_not_noted(memory, book):
    book.chapter("01_a", "raise ValueError")
    with pytest.raises(SystemExit, match="failed"):
        memory.main(book.root, [])
    assert not (book.root / "book" / "memory.json").exists()
    with pytest.raises(SystemExit, match="no chapter 09_z"):
        memory.main(book.root, ["09_z"])


def test_the_peak_is_noted_with_the_stamp(memory, book):
    hold = "block = bytearray(b'x') * (300 << 20)\nimport time\ntime.sleep(2)"
    path = book.chapter("01_a", hold)
    before = path.read_bytes()
    memory.main(book.root, ["01_a"])
    noted = json.loads((book.root / "book" / "memory.json").read_text())["01_a"]
    assert noted["stamp"] == stamp.stamp(path)
    assert 300 < noted["mib"] < 1000
    assert path.read_bytes() == before


def test_every_chapter_has_been_measured_and_needs_at_most_four_gigabytes():
    noted = json.loads((ROOT / "book" / "memory.json").read_text())
    assert set(noted) == {path.stem for path in files.chapters(ROOT)}
    assert all(100 < entry["mib"] < 4096 for entry in noted.values())
