import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pandas as pd
import psutil
import pytest
from distributed import Client, LocalCluster
from fake_book import RECORD, ROOT, eventually

from hblib import execute, sweep

# A chapter that says when it starts and ends. The file's name is put together, so that it is not
# taken for data that the chapter depends on.
STARTS = """
import os
journal = os.path.join("..", "journal.txt")
def note(word):
    with open(journal, "a") as lines:
        lines.write(f"{word} {k}\\n")
note("start")
""".strip()


def _journal(book):
    path = book.root / "journal.txt"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _plan(book, text, chapter="01_a"):
    (book.root / "sweeps" / f"{chapter}.yml").write_text(text)
    return sweep.read_plan(book.root, chapter)


# The plan


def test_a_plan_is_grid_and_points_times_seeds(book):
    book.chapter("01_a", declared="seed = 0\nk = 5\nlr = 0.1", echo="...")
    plan = _plan(book, "fixed: {lr: 1}\ngrid: {k: [1, 2]}\npoints: [{k: 3}]\nseeds: [7, 8]")
    settings = [(s["k"], s["seed"], s["lr"]) for s in plan.settings]
    assert settings == [(1, 7, 1), (1, 8, 1), (2, 7, 1), (2, 8, 1), (3, 7, 1), (3, 8, 1)]
    assert plan.time_limit == 600
    assert len(_plan(book, "grid: {k: [1, 2], seed: [0, 1], lr: [1]}").settings) == 4
    assert len(_plan(book, "points: [{k: 1}, {k: 2}]").settings) == 2
    assert _plan(book, "{}").settings == [{"seed": 0, "k": 5, "lr": 0.1}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: [", "not valid YAML in line 1"),
        ("- k", "must be a mapping"),
        ("grids: {k: [1]}", "unknown key 'grids'; allowed are fixed, grid, points"),
        ("grid: {k: 3}", "k must be a list with at least one value, not 3"),
        ("grid: {k: []}", "k must be a list with at least one value"),
        ("grid: {depth: [3]}", "unknown parameter 'depth'; allowed are seed, k"),
        ("grid: {k: [1e-3]}", "'k' must be of type int"),
        ("seeds: 3", "seeds must be a list"),
        ("points: {k: 3}", "points must be a list of mappings"),
        ("fixed: [k]", "fixed and grid must be mappings"),
        ("fixed: {k: 3}\ngrid: {k: [1]}", "'k' is set in two places"),
        ("grid: {seed: [3]}\nseeds: [1]", "'seed' is set in two places"),
        ("grid: {k: [1, 2, 1]}", "the setting {'k': 1} comes twice"),
        ("time_limit: 0", "time_limit must be a number of seconds above 0"),
    ],
)
def test_a_faulty_plan_gets_one_sentence(book, text, message):
    book.chapter("01_a")
    with pytest.raises(ValueError, match="^sweeps/01_a.yml") as error:
        _plan(book, text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_parameter_cannot_be_called_as_a_column(book):
    book.chapter("01_a", declared="n = 1  # size", echo="parameters.echo(n=n)")
    with pytest.raises(ValueError, match="'n' has the name of a column"):
        _plan(book, "{}")


def test_a_run_is_known_by_its_inputs(book):
    book.chapter("01_a")
    plan = _plan(book, "grid: {k: [1, 2]}")
    one, two = (plan.folder(setting) for setting in plan.settings)
    assert one != two
    assert _plan(book, "grid: {k: [2, 1]}").folder(plan.settings[0]) == one
    book.chapter("01_a", "x = 1")
    assert _plan(book, "grid: {k: [1, 2]}").folder(plan.settings[0]) != one


def test_a_stale_chapter_is_not_swept(book):
    book.chapter("01_a")
    _plan(book, "grid: {k: [1]}")
    with pytest.raises(ValueError, match="01_a is stale"):
        sweep.sweep(book.root, "01_a")


def test_an_unreachable_scheduler_is_named():
    with pytest.raises(ValueError, match="no Dask scheduler answers at 'nonsense://x'"):
        sweep._client("nonsense://x", 1)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
def test_workers_have_cores_of_their_own():
    with sweep._client(None, 2) as client:
        one, other = client.run(os.sched_getaffinity, 0).values()
    cores = os.sched_getaffinity(0)
    assert one | other == cores and (not one & other or len(cores) == 1)


# A whole sweep


@pytest.fixture(scope="module")
def swept(shared_book):
    """A chapter swept over k = 3, 4, 6, 7; it raises at 7 and its verdict flips at 6."""
    book = shared_book
    book.chapter("01_a", STARTS, "assert k != 7, 'seven # cannot be'", RECORD)
    assert execute.execute([book.root / "notebooks" / "01_a.ipynb"], report=str)[0].error is None
    (book.root / "journal.txt").unlink()
    (book.root / "sweeps" / "01_a.yml").write_text("fixed: {seed: 1}\ngrid: {k: [3, 4, 6, 7]}")
    path = sweep.sweep(book.root, "01_a", workers=2)
    return book, path


def test_each_setting_is_run_once(swept):
    book, _ = swept
    assert sorted(_journal(book)) == ["start 3", "start 4", "start 6", "start 7"]


def test_the_table_has_a_row_for_each_run_and_claim(swept):
    book, path = swept
    assert path == book.root / "sweeps" / "results" / "01_a.csv"
    table = sweep.read_results(path)
    assert list(table["k"]) == [3, 4, 6, 7] and set(table["seed"]) == {1}
    assert list(table["verdict"]) == ["reproduced", "reproduced", "open", "failed"]
    assert list(table["estimate"][:3]) == [1.23] * 3
    assert table["error"][3].endswith("raised AssertionError: seven # cannot be")
    full = pd.read_parquet(book.root / "_build" / "sweeps" / "01_a" / "results.parquet")
    assert full["estimate"][0] == 1.23456 and (full["seconds"] > 0).all()


def test_stability_counts_the_settings_in_which_a_verdict_holds(swept):
    _, path = swept
    found = sweep.stability(path)
    assert list(found) == ["fake.claim"] and found["fake.claim"][:3] == ("reproduced", 2, 4)
    failing = found["fake.claim"].failing
    assert [one.setting for one in failing] == ["k=6", "k=7"]
    assert [one.verdict for one in failing] == ["open", "failed"]
    assert [one.given for one in failing] == [{"seed": 1, "k": 6}, {"seed": 1, "k": 7}]
    for one in failing:
        assert (path.parents[2] / "_build" / "sweeps" / "01_a" / one.run / "01_a.ipynb").is_file()


def test_a_table_without_a_parameter_of_the_chapter_is_refused(swept):
    _, path = swept
    text = path.read_text()
    path.write_text(text.replace(",k,", ",q,"))
    try:
        with pytest.raises(ValueError, match="no column for the parameter 'k' of 01_a"):
            sweep.stability(path)
    finally:
        path.write_text(text)


def test_resuming_redoes_only_what_failed(swept):
    book, path = swept
    before, already = path.read_bytes(), len(_journal(book))
    sweep.sweep(book.root, "01_a", workers=1)
    assert _journal(book)[already:] == ["start 7"]
    assert path.read_bytes() == before


def test_a_table_knows_whether_it_is_current(swept):
    book, path = swept
    assert sweep.stale(path) == []
    plan = book.root / "sweeps" / "01_a.yml"
    text = plan.read_text()
    plan.write_text("grid: {k: [3, 4]}")
    assert sweep.stale(path) == ["sweeps/01_a.yml changed since"]
    plan.write_text(text)
    module = book.root / "hblib" / "parameters.py"
    source = module.read_text()
    module.write_text(source + "# changed\n")
    assert sweep.stale(path) == ["the chapter changed since"]
    module.write_text(source)


def test_some_runs_repeated_stand_for_all_if_nothing_differs(book):
    book.chapter("01_a", "from hblib import similarity", STARTS, RECORD)
    notebook = book.root / "notebooks" / "01_a.ipynb"
    (book.root / "sweeps" / "01_a.yml").write_text("grid: {k: [1, 2, 6, 7]}")
    with pytest.raises(ValueError, match="there is no table of sweeps/01_a.yml as it is"):
        sweep.check(book.root, "01_a", 2)
    assert execute.execute([notebook], report=str)[0].error is None
    path = sweep.sweep(book.root, "01_a", workers=2)
    computed, rows = sweep.origin(path)["stamp"], path.read_text().split("\n")[1:]
    module = book.root / "hblib" / "similarity.py"
    module.write_text(module.read_text() + "# changed\n")
    assert execute.execute([notebook], report=str)[0].error is None
    assert sweep.stale(path)
    with pytest.raises(ValueError, match="n_runs must be from 1 to 4, not 5"):
        sweep.check(book.root, "01_a", 5)

    (book.root / "journal.txt").unlink()
    assert sweep.check(book.root, "01_a", 2, workers=2) == path
    assert len(_journal(book)) == 2 and not sweep.stale(path)
    header = sweep.origin(path)
    assert (header["computed"], header["checked"]) == (computed, 2)
    assert path.read_text().split("\n")[1:] == rows

    # A table that says otherwise than the chapter does is not renewed.
    module.write_text(module.read_text() + "# again\n")
    assert execute.execute([notebook], report=str)[0].error is None
    text = path.read_text()
    for stored, other in ((",1.23,", ",1.6,"), ("reproduced", "refuted"), ("met", "failed")):
        path.write_text(text.replace(stored, other))
        with pytest.raises(execute.ChapterError, match="01_a: fake.claim came out otherwise"):
            sweep.check(book.root, "01_a", 4)
        assert path.read_text() == text.replace(stored, other) and sweep.stale(path)
    path.write_text(text.replace(",1.23,", ",1.4,"))  # of the interval from 1 to 2 this is little
    sweep.check(book.root, "01_a", 4)
    assert not sweep.stale(path)


# Faults


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
        [sys.executable, "-m", "hblib.cli", "sweep", "01_a", *arguments],
        cwd=book.root, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_killing_a_worker_costs_its_run_one_retry(book):
    _ready(book, "grid: {k: [1, 2, 3, 4, 5, 6]}", "import time; time.sleep(1.5)")
    process = _hb(book, "--workers", "2")
    eventually(lambda: len(_results(book)) >= 2)
    # A run just begun is under way on the worker that is killed.
    started = len([line for line in _journal(book) if line.startswith("start")])
    eventually(lambda: len(_journal(book)) > started)
    finished = {result.parent.name: result.stat().st_mtime_ns for result in _results(book)}
    worker = eventually(
        lambda: next((p for p in psutil.Process(process.pid).children() if _kernel_of(p)), None)
    )
    nursery = next(p for p in worker.children() if "hblib.warm" in p.cmdline())
    # Dask's setting, with which a chapter fetches its memory from the system over and over.
    assert "MALLOC_TRIM_THRESHOLD_" not in nursery.environ()
    worker.send_signal(signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    lines = _journal(book)
    assert sorted(line for line in lines if "end" in line) == [f"end {k}" for k in range(1, 7)]
    assert len([line for line in lines if "start" in line]) in (6, 7)
    assert len(_results(book)) == 6
    for result in _results(book):
        assert "error" not in json.loads(result.read_text())
        if result.parent.name in finished:
            assert result.stat().st_mtime_ns == finished[result.parent.name]
    assert "fake.claim: reproduced in 5 of 6 settings\n    k=6: open\n" in output


def test_a_result_cut_off_by_a_crash_is_done_again(book):
    _ready(book, "grid: {k: [1, 2]}")
    table = sweep.sweep(book.root, "01_a")
    before, one = table.read_bytes(), sorted(_results(book))[0]
    k = json.loads(one.read_text())["parameters"]["k"]
    (book.root / "journal.txt").unlink()
    for half in (one.read_bytes()[:40], b""):
        one.write_bytes(half)
        assert sweep.sweep(book.root, "01_a").read_bytes() == before
    assert _journal(book) == [f"start {k}", f"end {k}"] * 2


def test_a_run_that_hangs_is_ended_and_the_others_go_on(book):
    hangs = "import time; time.sleep(600 if k == 2 else 0)"
    _ready(book, "grid: {k: [1, 2, 3]}\ntime_limit: 3", hangs)
    table = sweep.read_results(sweep.sweep(book.root, "01_a"))
    assert list(table["verdict"]) == ["reproduced", "failed", "reproduced"]
    assert table["error"][1] == "01_a did not end within 3 s"


def test_a_full_disk_ends_the_sweep_and_costs_nothing_finished(book, monkeypatch):
    _ready(book, "grid: {k: [1, 2, 3, 4]}")
    write, room = execute.write, 2

    def filling(text, path):
        nonlocal room
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        room -= 1
        write(text, path)

    monkeypatch.setattr(execute, "write", filling)
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
        table = sweep.read_results(sweep.sweep(book.root, "01_a", address))
    assert list(table["verdict"]) == ["reproduced"] * 4
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    # The run that found no room ran twice, and none that had finished.
    assert len(_journal(book)) == 10


def test_no_room_leaves_the_old_file_and_no_half_of_a_new_one(tmp_path, monkeypatch):
    path = tmp_path / "result.json"
    execute.write("old", path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        execute.write("new", path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_second_sweep_into_the_same_folder_is_refused(book):
    _ready(book, "grid: {k: [1, 2]}", SLOW)
    first = _hb(book, "--workers", "1")
    eventually(lambda: _journal(book))
    second = _hb(book, "--workers", "1")
    said, _ = second.communicate(timeout=60)
    assert second.returncode == 2 and said.count("\n") == 1
    assert said.startswith("hb: another sweep of 01_a is at work in")
    assert first.communicate(timeout=60) and first.returncode == 0
    assert sorted(_journal(book)) == ["end 1", "end 2", "start 1", "start 2"]


def test_an_interrupted_sweep_says_how_to_resume_and_leaves_no_process(book):
    _ready(book, "grid: {k: [1, 2, 3, 4]}", SLOW)
    process = _hb(book, "--workers", "1")
    eventually(lambda: _results(book) and _journal(book)[-1].startswith("start"))
    started = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    n_done = len(_results(book))
    ended = f"hb: interrupted: {n_done} of 4 runs are done; to resume: hb sweep 01_a"
    assert said.strip().endswith(ended) and 1 <= n_done < 4
    eventually(lambda: not any(child.is_running() for child in started))
    finished = {line.split()[1] for line in _journal(book) if line.startswith("end")}
    assert len(finished) == n_done
    (book.root / "journal.txt").unlink()
    again = _hb(book, "--workers", "1")
    assert again.communicate(timeout=60) and again.returncode == 0
    assert {line.split()[1] for line in _journal(book)} == set("1234") - finished


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
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert len(_results(book)) == 6
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    lines = _journal(book)
    assert sorted(line for line in lines if "end" in line) == [f"end {k}" for k in range(1, 7)]
    assert len(lines) <= 12 + 2  # at most the two runs under way were begun again


def test_a_scheduler_that_stays_away_is_named(book, cluster, monkeypatch):
    _ready(book, "grid: {k: [1, 2, 3, 4, 5, 6]}", SLOW)
    monkeypatch.setattr(sweep, "PATIENCE", 0)
    eventually(lambda: _answers(cluster.address))
    killer = threading.Thread(target=lambda: (eventually(lambda: _results(book)), cluster.kill()))
    killer.start()
    with pytest.raises(OSError, match=f"scheduler at {cluster.address} was lost: . of 6 runs are"):
        sweep.sweep(book.root, "01_a", cluster.address)
    killer.join()


def _answers(address):
    with Client(address, timeout="60s") as client:
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
        table = sweep.read_results(sweep.sweep(book.root, "01_a", cluster.scheduler_address))
        assert list(table["verdict"]) == ["reproduced"]
        assert not (book.root / "attempt.txt").exists()


def test_workers_with_several_threads_are_refused():
    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
    ) as cluster:
        with pytest.raises(ValueError, match="--nthreads 1"):
            sweep._client(cluster.scheduler_address, 1)
