"""Sweeps whose workers, kernels, schedulers and disks fail: nothing finished is lost."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from distributed import Client, Future, LocalCluster
from distributed.comm import CommClosedError
from fake_book import RECORD, ROOT, STARTS, eventually
from scripts import PATIENCE

from runner import execute, files, sweep


def _kernel_of(worker):
    return [p for p in worker.children(recursive=True) if "stand-in" in p.cmdline()]


SLOW = "import time; time.sleep(1)"


def _ready(book, plan, *cells):
    """A chapter with a journal, executed, and the plan of its sweep."""
    path = book.chapter("01_a", STARTS, *cells, RECORD, "note('end')")
    assert execute.execute([path], report=str)[0].error is None
    (book.root / "journal.txt").unlink()
    (book.root / "sweeps" / "01_a.yml").write_text(plan)


def _results(book):
    return list((book.root / "_build" / "sweeps" / "01_a").glob("*/result.json"))


def _hb(book, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "runner.cli", "sweep", "01_a", *arguments],
        cwd=book.root, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_killing_a_worker_costs_its_run_one_retry(book):
    _ready(book, "grid: {k: [1, 2, 3, 4, 5, 6]}", "import time; time.sleep(1.5)")
    process = _hb(book, "--workers", "2")
    eventually(lambda: len(_results(book)) >= 2)
    # A run just begun is under way on the worker that is killed.
    started = len([line for line in book.journal() if line.startswith("start")])
    eventually(lambda: len(book.journal()) > started)
    finished = {result.parent.name: result.stat().st_mtime_ns for result in _results(book)}
    worker = eventually(
        lambda: next((p for p in psutil.Process(process.pid).children() if _kernel_of(p)), None)
    )
    nursery = next(p for p in worker.children() if "runner.warm" in p.cmdline())
    # Dask's setting, with which a chapter fetches its memory from the system over and over.
    assert "MALLOC_TRIM_THRESHOLD_" not in nursery.environ()
    worker.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, output
    lines = book.journal()
    assert sorted(line for line in lines if "end" in line) == [f"end {k}" for k in range(1, 7)]
    assert len([line for line in lines if "start" in line]) in (6, 7)
    assert len(_results(book)) == 6
    for result in _results(book):
        assert "error" not in json.loads(result.read_text())
        if result.parent.name in finished:
            assert result.stat().st_mtime_ns == finished[result.parent.name]
    assert "fake.claim: reproduced in 5 of 6 settings\n    k=6: open\n" in output


def test_a_result_cut_off_by_a_crash_is_done_again(book):
    _ready(book, "grid: {k: [1, 2, 3]}")
    table = sweep.sweep(book.root, "01_a")
    before, k_of = table.read_bytes(), {}
    for path in _results(book):
        k_of[json.loads(path.read_text())["parameters"]["k"]] = path
    (book.root / "journal.txt").unlink()
    k_of[1].write_bytes(k_of[1].read_bytes()[:40])
    k_of[3].write_bytes(b"")
    assert sweep.sweep(book.root, "01_a").read_bytes() == before
    assert sorted(book.journal()) == ["end 1", "end 3", "start 1", "start 3"]


def test_a_run_that_hangs_is_ended_and_the_others_go_on(book):
    hangs = "import time; time.sleep(600 if k == 2 else 0)"
    _ready(book, "grid: {k: [1, 2, 3]}\ntime_limit: 3", hangs)
    table = sweep.judged(sweep.sweep(book.root, "01_a"))
    assert list(table["verdict"]) == ["reproduced", "failed", "reproduced"]
    assert table["error"][1] == "01_a did not end within 3 s"


def test_a_full_disk_ends_the_sweep_and_costs_nothing_finished(book, monkeypatch):
    _ready(book, "grid: {k: [1, 2, 3, 4]}")
    write, room = files.write, 2

    def filling(text, path):
        nonlocal room
        if path.name != "result.json":
            return write(text, path)
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        room -= 1
        write(text, path)

    monkeypatch.setattr(files, "write", filling)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(OSError, match="No space left on device.*2 of 4 runs are done") as error:
            sweep.sweep(book.root, "01_a", address)
        assert str(error.value).endswith(f"to resume: hb sweep 01_a --scheduler {address}")
        kept = {path: path.stat().st_mtime_ns for path in _results(book)}
        assert len(kept) == 2
        room = 99
        table = sweep.judged(sweep.sweep(book.root, "01_a", address))
    assert list(table["verdict"]) == ["reproduced"] * 4
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    # The run that found no room ran twice, and none that had finished.
    assert len(book.journal()) == 10


def test_no_room_leaves_the_old_file_and_no_half_of_a_new_one(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    files.write("old", path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        files.write("new", path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_second_sweep_into_the_same_folder_is_refused(book):
    _ready(book, "grid: {k: [1, 2]}", SLOW)
    first = _hb(book, "--workers", "1")
    eventually(lambda: book.journal())
    second = _hb(book, "--workers", "1")
    said, _ = second.communicate(timeout=PATIENCE)
    assert second.returncode == 2 and said.count("\n") == 1
    assert said.startswith("hb: another sweep of 01_a is at work in")
    assert first.communicate(timeout=PATIENCE) and first.returncode == 0
    assert sorted(book.journal()) == ["end 1", "end 2", "start 1", "start 2"]


def test_an_interrupted_sweep_says_how_to_resume_and_leaves_no_process(book):
    _ready(book, "grid: {k: [1, 2, 3, 4]}", SLOW)
    process = _hb(book, "--workers", "1")
    eventually(lambda: _results(book) and book.journal()[-1].startswith("start"))
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    n_done = len(_results(book))
    ended = f"hb: interrupted: {n_done} of 4 runs are done; to resume: hb sweep 01_a"
    assert said.strip().endswith(ended) and 1 <= n_done < 4
    eventually(lambda: not any(child.is_running() for child in started))
    finished = {line.split()[1] for line in book.journal() if line.startswith("end")}
    assert len(finished) == n_done
    (book.root / "journal.txt").unlink()
    again = _hb(book, "--workers", "1")
    assert again.communicate(timeout=PATIENCE) and again.returncode == 0
    assert {line.split()[1] for line in book.journal()} == set("1234") - finished


class _Cluster:
    """A scheduler and two workers, each a process of its own, over TCP on the loopback address."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address, self.folder = f"tcp://127.0.0.1:{self.port}", folder
        self.processes = []

    def start(self):
        host = ["--host", "127.0.0.1", "--no-dashboard"]
        self._start("scheduler", *host, "--port", str(self.port))
        for name in ("one", "other"):
            self._start("worker", self.address, *host, "--nthreads", "1", "--name", name)

    def _start(self, role, *arguments):
        command = [sys.executable, "-m", f"distributed.cli.dask_{role}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.processes.append(
            subprocess.Popen(
                command, cwd=self.folder, env=environment, stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, start_new_session=True,
            )
        )  # fmt: skip

    def kill(self):
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.processes.clear()


@pytest.fixture
def cluster(tmp_path):
    cluster = _Cluster(tmp_path)
    cluster.start()
    yield cluster
    cluster.kill()


def test_a_restarted_scheduler_gets_what_is_left(book, cluster):
    _ready(book, "grid: {k: [1, 2, 3, 4, 5, 6]}", SLOW)
    process = _hb(book, "--scheduler", cluster.address)
    eventually(lambda: len(_results(book)) >= 2)
    cluster.kill()
    kept = {path: path.stat().st_mtime_ns for path in _results(book)}
    cluster.start()
    said, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0 and "Traceback" not in said, said
    assert len(_results(book)) == 6
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    lines = book.journal()
    assert sorted(line for line in lines if "end" in line) == [f"end {k}" for k in range(1, 7)]
    assert len(lines) <= 12 + 2  # at most the two runs under way were begun again


def test_a_scheduler_that_stays_away_is_named(book, cluster, monkeypatch):
    _ready(book, "grid: {k: [1, 2, 3, 4, 5, 6]}", SLOW)
    eventually(lambda: _answers(cluster.address))
    monkeypatch.setattr(sweep, "PATIENCE", 0)

    def lost(_):  # a run has ended, and its result is on the way
        cluster.kill()
        raise CommClosedError("Stream is closed")

    monkeypatch.setattr(Future, "result", lost)
    with pytest.raises(OSError, match=f"scheduler at {cluster.address} was lost: . of 6 runs are"):
        sweep.sweep(book.root, "01_a", cluster.address)
    assert _results(book)


def _answers(address):
    with Client(address, timeout=PATIENCE) as client:
        return client.nthreads()


DIES_ONCE = """
import os, signal
attempt = os.path.join("..", "attempt.txt")
if os.path.exists(attempt):
    os.remove(attempt)
    os.kill(os.getpid(), signal.SIGKILL)
""".strip()


def test_a_running_scheduler_is_used_and_a_dead_kernel_retried(book):
    path = book.chapter("01_a", DIES_ONCE, RECORD)
    assert execute.execute([path], report=str)[0].error is None
    (book.root / "sweeps" / "01_a.yml").write_text("grid: {k: [3]}")
    (book.root / "attempt.txt").touch()
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        table = sweep.judged(sweep.sweep(book.root, "01_a", cluster.scheduler_address))
        assert list(table["verdict"]) == ["reproduced"]
        assert not (book.root / "attempt.txt").exists()


def test_workers_with_several_threads_are_refused():
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        with pytest.raises(ValueError, match="--nthreads 1"):
            sweep._client(cluster.scheduler_address, 1)
