"""How many short runs a minute? papermill in a loop against `hb sweep`, and memory over 1,000 runs.

A small book in a temporary folder has one chapter, which imports what chapter 2 imports and works
for a moment. A run started cold spends seconds on those imports; a sweep does them once for each
worker and forks every run from there (`hblib.warm`). Compared, in runs a minute of wall time:

- plain papermill: `papermill.execute_notebook` in a loop, a cold kernel for each run;
- `hb sweep` with one worker and with two.

The floor is a process forked from one that has done the imports, which does the chapter's work and
ends: no kernel, no notebook.

The 1,000 runs are done by two workers, while the resident memory of the sweep and of all it starts
is added up twice a second; pages that forked processes share count once for each of them. Between
run 100 and run 1,000 it must not grow by 100 MiB.

Run ``python benchmarks/sweeps.py`` on two idle cores (ten minutes or so); writes
``benchmarks/results/sweeps.json``.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import numpy as np
import papermill
import psutil
import record
import yaml
from nbformat import v4

from runner import execute, stamp

ROOT = Path(__file__).resolve().parent.parent
IMPORTS = next(  # the cell of chapter 2 that imports
    cell.source
    for cell in nbformat.read(ROOT / "notebooks" / "02_rotation.ipynb", as_version=4).cells
    if cell.cell_type == "code" and cell.source.startswith(("import", "from"))
)
WORK = """
moment = float(np.linalg.norm(np.random.default_rng(seed).normal(size=(200, 200)), 2))
finding = {
    "id": "a.claim", "verdict": "reproduced", "estimate": moment, "interval": [20.0, 40.0],
    "n": 1, "control": {"outcome": "met"},
}
display({"text/plain": "reproduced", "application/vnd.hblib.claim+json": finding}, raw=True)
""".strip()


def small_book(root):
    """A book of one chapter, brought up to date, as `hb` would find it."""
    for folder in ("notebooks", "book", "sweeps"):
        (root / folder).mkdir()
    shutil.copytree(ROOT / "hblib", root / "hblib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", root)
    (root / "hblib" / "claims" / "register.yml").write_text("[]", encoding="utf-8")
    cells = [
        v4.new_markdown_cell("# How soon does it start?"),
        v4.new_code_cell(IMPORTS),
        v4.new_code_cell("seed = 0  # any", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("figures.echo(seed=seed)"),
        v4.new_code_cell(WORK),
    ]
    chapter = root / "notebooks" / "01_short.ipynb"
    nbformat.write(v4.new_notebook(cells=cells), chapter)
    execute.execute([chapter], report=lambda line: None)
    if reasons := stamp.stale(chapter):
        raise RuntimeError(f"the small book's chapter did not run: {'; '.join(reasons)}")
    return chapter


def by_papermill(chapter, n_runs):
    """Runs a minute of plain papermill."""
    start = time.perf_counter()
    for seed in range(n_runs):
        with contextlib.redirect_stderr(io.StringIO()):
            papermill.execute_notebook(
                str(chapter),
                str(chapter.parent.parent / f"loop-{seed}.ipynb"),
                {"seed": seed},
                kernel_name="python3",
                cwd=str(chapter.parent),
                progress_bar=False,
            )
    return 60 * n_runs / (time.perf_counter() - start)


def by_forks(n_runs):
    """Runs a minute of bare forks of a process that has done the chapter's imports."""
    script = f"""
import os, sys, time
{IMPORTS}
display = lambda *args, **options: None
start = time.perf_counter()
for seed in range({n_runs}):
    child = os.fork()
    if child == 0:
        exec({WORK!r})
        os._exit(0)
    os.waitpid(child, 0)
print(time.perf_counter() - start)
"""
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return 60 * n_runs / float(found.stdout)


def resident(process):
    """MiB that a process and its children hold now."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            total += one.memory_info().rss
    return total / 2**20


def by_sweep(chapter, n_runs, workers):
    """Seconds of `hb sweep`, and (runs done, MiB held) twice a second."""
    root = chapter.parent.parent
    shutil.rmtree(root / "_build" / "sweeps", ignore_errors=True)
    plan = {"seeds": list(range(n_runs))}
    (root / "sweeps" / f"{chapter.stem}.yml").write_text(yaml.safe_dump(plan), encoding="utf-8")
    command = [
        *(sys.executable, "-c"),
        f"from runner import sweep; sweep.sweep('.', {chapter.stem!r}, workers={workers})",
    ]
    samples, start = [], time.perf_counter()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(["."] + sys.path[1:])}
    running = subprocess.Popen(command, cwd=root, env=environment, stderr=subprocess.DEVNULL)
    process, done = psutil.Process(running.pid), root / "_build" / "sweeps" / chapter.stem
    while running.poll() is None:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            samples.append((len(list(done.glob("*/result.json"))), resident(process)))
        time.sleep(0.5)
    seconds = time.perf_counter() - start
    finished = len(list(done.glob("*/result.json")))
    if running.returncode or finished != n_runs:
        raise RuntimeError(f"the sweep ended with {running.returncode} after {finished} runs")
    return seconds, samples


def memory_by_runs(samples, n_runs):
    """Median MiB in each twentieth of the runs (fewer parts of few runs), as (runs done, MiB)."""
    done, held = np.array(samples, float).T
    edges = np.linspace(0, n_runs, min(20, n_runs // 2) + 1)
    return [
        [round((low + high) / 2), round(float(np.median(held[inside])), 1)]
        for low, high in zip(edges, edges[1:])
        if (inside := (done >= low) & (done < high) & (done > 0)).any()
    ]


def main():
    """Run all, print required beside measured, store."""
    quick, load = record.options(__doc__).quick, record.load()
    sizes = [2, 4] if quick else [5, 15, 45]
    n_loop, n_long = (2, 20) if quick else (10, 1000)
    with tempfile.TemporaryDirectory() as folder:
        chapter = small_book(Path(folder).resolve())
        loop = by_papermill(chapter, n_loop)
        forks = by_forks(20 if quick else 200)
        print(f"papermill in a loop: {loop:.1f} runs a minute; bare forks: {forks:.0f}", flush=True)
        lines = {
            "papermill in a loop": [[n, record.rounded(60 * n / loop)] for n in sizes],
            "floor: forks of the imports": [[n, record.rounded(60 * n / forks)] for n in sizes],
        }
        for workers in (1, 2):
            name = f"hb sweep, {workers} worker{'s' if workers > 1 else ''}"
            lines[name] = []
            for n in sizes:
                seconds, _ = by_sweep(chapter, n, workers)
                lines[name].append([n, record.rounded(seconds)])
                print(f"{name}: {n} runs in {seconds:.1f} s", flush=True)
        seconds, samples = by_sweep(chapter, n_long, workers=2)
    lines["hb sweep, 2 workers"].append([n_long, record.rounded(seconds)])
    held = memory_by_runs(samples, n_long)
    late = np.array([(done, mib) for done, mib in held if done >= n_long / 10])
    per_run = float(np.polyfit(*late.T, 1)[0])
    early, last = late[0, 1], late[-1, 1]
    speeds = {name: 60 * line[-1][0] / line[-1][1] for name, line in lines.items()}
    # Between the last two sizes: what a further run costs once the workers have started.
    (n1, s1), (n2, s2) = lines["hb sweep, 1 worker"][-2:]
    started = 60 * (n2 - n1) / (s2 - s1)
    table = [
        (
            f"{sizes[-1]} runs, one worker: times papermill's runs a minute",
            ">= 5",
            record.rounded(speeds["hb sweep, 1 worker"] / loop),
        ),
        (
            f"memory at the end of {n_long:,} runs over that after {n_long // 10}, MiB",
            "< 100",
            round(float(last - early), 1),
        ),
    ]
    result = {
        "title": "Sweeps of short runs",
        "what": "Runs of a chapter that imports what chapter 2 imports and works for a moment, by "
        "wall time: papermill in a loop, timed over its first runs and multiplied, against hb "
        "sweep, start of the workers included. Memory is that of all processes together, pages "
        "that they share counted once for each.",
        "required and measured": record.compared(*table),
        "series": [
            record.curves("runs", "wall time, s", lines),
            record.curves(
                "runs done",
                "memory of all processes, MiB",
                {
                    "hb sweep, 2 workers": held,
                    "floor: as after the first tenth": [[done, float(early)] for done, _ in held],
                },
            ),
        ],
        "memory": {
            f"hb sweep, 2 workers, {n_long:,} runs, most": round(max(s[1] for s in samples))
        },
        "rows": [
            *({"how": name, "runs a minute": round(speed, 1)} for name, speed in speeds.items()),
            {"how": "hb sweep, 1 worker, once started", "runs a minute": round(started, 1)},
            {
                "how": f"hb sweep, 2 workers, {n_long:,} runs",
                "MiB more in 1,000 runs": round(1000 * per_run, 1),
            },
        ],
    }
    print(*result["rows"], sep="\n")
    if not quick:
        packages = ["papermill", "ipykernel", "distributed", "torch"]
        record.store("sweeps", result, packages, load)


if __name__ == "__main__":
    main()
