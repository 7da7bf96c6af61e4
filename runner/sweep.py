"""Sweeps: one chapter over a grid of parameters, to see whether its verdicts hold.

``sweeps/<chapter>.yml`` says which settings; `sweep` runs each of them once, on a Dask cluster, and
writes one tidy table; `stability` counts in how many settings each verdict held. A worker imports
what the chapter imports once, and its runs start from there (`hblib.warm`). After an edit of the
library that should change no result, `check` repeats some runs instead of all.

A run is known by a hash of the chapter's stamp and of all its parameters, so a finished run is
never done twice and a changed chapter starts afresh. It has a kernel of its own: a killed worker or
kernel costs that run another attempt and nothing else, and a run that raises is recorded as failed
while the others go on. A scheduler that was restarted gets what is left; where nothing can go on
(Ctrl-C, a full disk, a scheduler that stays away), the message says what is done and how to resume.
"""

import functools
import io
import itertools
import json
import logging
import math
import os
import random
import sys
import time
from pathlib import Path
from typing import NamedTuple

import filelock
import pandas as pd
import yaml

from runner import execute, ledger, parameters, processor, warm

RETRIES = 2
TIME_LIMIT = 600.0
PATIENCE = 60.0  # seconds in which a lost scheduler may come back
FAILED = "failed"
ESTIMATES = ["estimate", "low", "high"]
# How far an estimate of a repeated run may move, in widths of its interval. Between the oldest and
# the locked releases most moved by less than a hundredth and one by a half (page on robustness).
TOLERANCE = 0.25
COLUMNS = ["run", "claim", "verdict", "control", *ESTIMATES, "n", "error", "seconds"]


class Plan(NamedTuple):
    """What a sweep of one chapter consists of."""

    notebook: Path
    stamp: str
    settings: list[dict]
    time_limit: float

    def folder(self, setting=None):
        """Where the sweep keeps its files, or the run of one setting."""
        root, chapter = self.notebook.parent.parent, self.notebook.stem
        folder = root / "_build" / "sweeps" / chapter
        return folder if setting is None else folder / execute.digest([self.stamp, setting])


class Failing(NamedTuple):
    """A setting in which a verdict did not hold.

    Named by the parameters that varied (`setting`), with what came out instead (`verdict`), the
    parameters in which it differs from the chapter's defaults (`given`), and the name of its folder
    (`run`).
    """

    setting: str
    verdict: str
    given: dict
    run: str


class Stability(NamedTuple):
    """How one verdict fared over the settings of a sweep, and where it did not hold."""

    verdict: str
    held: int
    n_settings: int
    failing: list[Failing]


def read_plan(root, chapter):
    """Read ``sweeps/<chapter>.yml`` and check all of it.

    The file is a mapping with any of these keys:

    ``fixed``
        parameter to value, the same in every run;
    ``grid``
        parameter to list of values, of which every combination is run;
    ``points``
        a list of further settings, each a mapping of parameter to value;
    ``seeds``
        values of the parameter ``seed``, with each of which every setting is run;
    ``time_limit``
        seconds a run may take (600).

    Parameters
    ----------
    root : str or Path
        The book's folder.
    chapter : str

    Returns
    -------
    Plan
        Every setting has all the chapter's parameters.

    Raises
    ------
    ValueError
        One sentence on the first thing that is wrong.
    """
    root = Path(root)
    notebook = execute.find_chapter(root, chapter)
    path = root / "sweeps" / f"{chapter}.yml"
    if not path.is_file():
        raise ValueError(f"there is no sweep of {chapter}: sweeps/{path.name} does not exist")
    try:
        plan = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Plan(notebook, execute.stamp(notebook), *_checked(plan, _defaults(notebook)))
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" in line {place.line + 1}" if place else ""
        raise ValueError(f"sweeps/{path.name} is not valid YAML{where}") from None
    except RecursionError:
        raise ValueError(f"sweeps/{path.name} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"sweeps/{path.name}: {error}") from None


def sweep(root, chapter, scheduler=None, workers=1):
    """Do all runs of a sweep that are not done yet, and write the table of results.

    Parameters
    ----------
    root : str or Path
        The book's folder; workers elsewhere must see it at the same path.
    chapter : str
    scheduler : str, optional
        Address of a running Dask scheduler; otherwise a cluster is started on this machine.
    workers : int
        Processes of that cluster, each doing one run at a time.

    Returns
    -------
    Path
        ``sweeps/results/<chapter>.csv``: a row for each run and claim. The same with run times, and
        the executed notebooks, are under ``_build/sweeps/<chapter>/``.

    Raises
    ------
    ValueError
        If the plan is faulty, the chapter is stale, the scheduler cannot be used, or another sweep
        of the chapter is at work in this folder.
    KeyboardInterrupt, OSError
        Passed on when the sweep is interrupted, the disk is full or the scheduler is gone for good,
        with a message on how to resume; finished runs are kept.
    """
    plan = read_plan(root, chapter)
    _do(plan, scheduler, workers)
    return _write_table(plan)


def _do(plan, scheduler, workers):
    """Do the runs of a plan that are not done."""
    chapter = plan.notebook.stem
    if execute.stale(plan.notebook):
        raise ValueError(f"{chapter} is stale: bring it up to date first (hb execute {chapter})")
    with _alone(plan):
        try:
            _run(plan, scheduler, workers)
        except (KeyboardInterrupt, OSError) as error:
            done = sum(_is_done(plan.folder(setting)) for setting in plan.settings)
            resume = f"hb sweep {chapter}" + (f" --scheduler {scheduler}" if scheduler else "")
            state = f"{done} of {len(plan.settings)} runs are done; to resume: {resume}"
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(state) from None
            raise OSError(f"{error.strerror or error}: {state}") from error


def check(root, chapter, n_runs, scheduler=None, workers=1):
    """Repeat some runs of a stored sweep with the chapter as it is now, and compare.

    For an edit of the library that should change no result: a clearer message, a new function. If
    every repeated run has the stored verdicts and controls, and estimates within `TOLERANCE` of
    their interval's width, the table gets the present stamp. Its header keeps the stamp that it was
    computed with and the number of runs repeated.

    Parameters
    ----------
    root, chapter, scheduler, workers
        As for `sweep`.
    n_runs : int
        How many runs. They are drawn at random from the chapter's stamp, so nobody chooses them.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    ValueError
        If there is no table of this plan, or `n_runs` is not between 1 and its number of runs.
    execute.ChapterError
        If a run comes out otherwise; the table is left as it was.
    """
    plan = read_plan(root, chapter)
    path = _table_of(plan)
    if not path.is_file() or origin(path)["settings"] != execute.digest(plan.settings):
        raise ValueError(f"there is no table of sweeps/{chapter}.yml as it is: hb sweep {chapter}")
    if not 1 <= n_runs <= len(plan.settings):
        raise ValueError(f"n_runs must be from 1 to {len(plan.settings)}, not {n_runs}")
    (header, rows), stored = _parts(path), read_results(path)
    runs = list(dict.fromkeys(stored["run"]))  # in the order of the plan
    drawn = random.Random(plan.stamp).sample(range(len(runs)), n_runs)
    some = plan._replace(settings=[plan.settings[i] for i in sorted(drawn)])
    _do(some, scheduler, workers)
    repeated = pd.read_csv(io.StringIO(_as_csv(_frame(some))), dtype={"run": str, "error": str})
    known = stored[stored["run"].isin([runs[i] for i in drawn])]
    columns = [name for name in known if name != "run"]
    differing = _differing(known[columns], repeated[columns])
    if differing:
        raise execute.ChapterError(
            f"{chapter}: {differing[0]} came out otherwise than in {path.name}; sweep it again: "
            f"hb sweep {chapter}"
        )
    computed = header.get("computed", header["stamp"])
    if computed != plan.stamp:
        header |= {"stamp": plan.stamp, "computed": computed, "checked": n_runs}
        execute.write(f"# {json.dumps(header)}\n{rows}", path)
    return path


def stale(path):
    """Why a committed table of results may no longer be what its sweep gives.

    Parameters
    ----------
    path : str or Path
        ``sweeps/results/<chapter>.csv``

    Returns
    -------
    list of str
        Empty if the table is current.
    """
    path = Path(path)
    header = origin(path)
    plan = read_plan(_root_of(path), path.stem)
    reasons = []
    if header["stamp"] != plan.stamp:
        reasons.append("the chapter changed since")
    if header["settings"] != execute.digest(plan.settings):
        reasons.append(f"sweeps/{path.stem}.yml changed since")
    return reasons


def origin(path):
    """What a table of results was made from.

    Parameters
    ----------
    path : str or Path
        ``sweeps/results/<chapter>.csv``

    Returns
    -------
    dict
        ``stamp`` of the chapter, hash of the ``settings`` and number of ``rows``; after a `check`
        also the stamp with which the table was ``computed`` and the number of runs ``checked``.
    """
    return _parts(path)[0]


def read_results(path):
    """The table of a sweep.

    Parameters
    ----------
    path : str or Path
        ``sweeps/results/<chapter>.csv``

    Returns
    -------
    DataFrame
        A row for each run and claim: ``run``, all parameters, ``claim``, ``verdict``, ``control``
        (outcome), ``estimate``, ``low`` and ``high`` (its interval, to three digits), ``n``. A run
        that failed has one row with the verdict ``failed``, no claim, and its ``error``.
    """
    header, rows = _parts(path)
    try:
        table = pd.read_csv(io.StringIO(rows), dtype={"run": str, "error": str})
    except ValueError:
        raise _no_results(path) from None
    # Cut off, a table still reads: as fewer runs, silently.
    whole = rows.endswith("\n") and len(table) == header["rows"]
    if not whole or not {*COLUMNS} - {"seconds"} <= {*table}:
        raise _no_results(path)
    return table


def stability(path):
    """How the verdicts of a chapter fared in its sweep.

    A verdict holds in a setting if it is the same as in the committed chapter, at its defaults. It
    does not hold where the run failed.

    Parameters
    ----------
    path : str or Path
        ``sweeps/results/<chapter>.csv``

    Returns
    -------
    dict of str to Stability
        By claim, in the order of the chapter.

    Raises
    ------
    ValueError
        If the chapter has a parameter that the results do not have.
    """
    path = Path(path)
    notebook = execute.find_chapter(_root_of(path), path.stem)
    table = read_results(path)
    defaults = _defaults(notebook)
    if missing := defaults.keys() - set(table):
        raise ValueError(
            f"{path} has no column for the parameter {min(missing)!r} of {path.stem}: the chapter "
            f"has changed since, sweep it again with 'hb sweep {path.stem}'"
        )
    varied = [name for name in defaults if table[name].nunique(dropna=False) > 1]
    runs = [rows for _, rows in table.groupby("run", sort=False)]
    labels = [_label(rows.iloc[0], varied) for rows in runs]
    given = [_given(rows.iloc[0], defaults) for rows in runs]
    result = {}
    for record in ledger.read_records(notebook):
        found = [_verdict(rows, record["id"]) for rows in runs]
        failing = [
            Failing(label, other, changed, rows["run"].iloc[0])
            for label, other, changed, rows in zip(labels, found, given, runs)
            if other != record["verdict"]
        ]
        held = len(found) - len(failing)
        result[record["id"]] = Stability(record["verdict"], held, len(found), failing)
    return result


# The plan


def _defaults(notebook):
    return parameters.declared(parameters.read(notebook))


def _checked(plan, defaults):
    for name in set(defaults) & set(COLUMNS):
        raise ValueError(f"parameter {name!r} has the name of a column of the results; rename it")
    if not isinstance(plan, dict):
        raise ValueError("it must be a mapping with fixed, grid, points, seeds, time_limit")
    plan = {"fixed": {}, "grid": {}, "points": [], "seeds": [], "time_limit": TIME_LIMIT} | plan
    fixed, grid, points = plan.pop("fixed"), plan.pop("grid"), plan.pop("points")
    seeds, time_limit = plan.pop("seeds"), plan.pop("time_limit")
    if plan:
        raise ValueError(
            f"unknown key {next(iter(plan))!r}; allowed are fixed, grid, points, seeds, time_limit"
        )
    if not isinstance(fixed, dict) or not isinstance(grid, dict):
        raise ValueError("fixed and grid must be mappings from parameter names")
    for name, values in {**grid, "seeds": seeds or [0]}.items():
        if not isinstance(values, list) or not values:
            raise ValueError(f"{name} must be a list with at least one value, not {values!r}")
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
        raise ValueError("points must be a list of mappings from parameter names")
    if not isinstance(time_limit, int | float) or not 0 < time_limit < math.inf:
        raise ValueError(f"time_limit must be a number of seconds above 0, not {time_limit!r}")
    twice = fixed.keys() & grid.keys()
    if seeds:
        twice |= {"seed"} & (fixed.keys() | grid.keys())
    if twice:
        raise ValueError(f"parameter {min(twice)!r} is set in two places")

    grid = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    settings = []
    for point in points if points and grid == [{}] else grid + points:
        for seed in [{"seed": seed} for seed in seeds] or [{}]:
            setting = parameters.check(fixed | point | seed, defaults)
            if setting in settings:
                changed = {name: setting[name] for name in fixed | point | seed}
                raise ValueError(f"the setting {changed} comes twice")
            settings.append(setting)
    return settings, float(time_limit)


# The runs


def _is_done(folder):
    return "error" not in (_result(folder) or {"error": "no result"})


def _result(folder):
    """What a run has left; None if that is nothing, or a file cut off as the machine went down."""
    try:
        return json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _alone(plan):
    """A lock on the folder of a sweep; it falls with the process that holds it."""
    plan.folder().mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(plan.folder() / "lock")
    try:
        return lock.acquire(blocking=False)
    except filelock.Timeout:
        raise ValueError(
            f"another sweep of {plan.notebook.stem} is at work in {plan.folder()}: wait for its end"
        ) from None


def _run(plan, scheduler, workers):
    """Do the runs that are not done; go on with what is left when the scheduler was restarted."""
    from concurrent.futures import CancelledError

    from distributed.comm import CommClosedError
    from tqdm import tqdm

    # A lost scheduler is told of in our words, not in tracebacks of Dask's.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    left = [setting for setting in plan.settings if not _is_done(plan.folder(setting))]
    total, done, n_failed = len(plan.settings), len(plan.settings) - len(left), 0
    connect = _client
    with tqdm(total=total, initial=done, unit="run", file=sys.stderr, disable=not left) as bar:
        while left:
            lost = []
            with connect(scheduler, workers) as client:
                for setting, future in _answered(client, plan, left):
                    try:
                        error = _error(plan, setting, future)
                    except (CancelledError, CommClosedError):  # with the scheduler
                        lost.append(setting)
                        continue
                    if error:
                        n_failed += 1
                        bar.set_postfix(failed=n_failed)
                    bar.update()
            left, connect = lost, _client_again


def _answered(client, plan, settings):
    """Have a cluster do some runs; give each setting and its future as it ends or is lost."""
    from distributed import as_completed

    chapter = plan._replace(settings=[])  # a run needs one setting, not those of all the others
    futures = {}
    for setting in settings:
        plan.folder(setting).mkdir(parents=True, exist_ok=True)
        future = client.submit(_run_one, chapter, setting, retries=RETRIES, pure=False)
        futures[future] = setting
    for future in as_completed(futures):
        # Forgotten once it is done: Dask would otherwise do it again if its worker dies.
        yield futures.pop(future), future


def _error(plan, setting, future):
    """Why a run failed, or None; raise the OSError of a run that cannot be stored."""
    if error := future.exception():
        # Not the chapter's doing: its kernel or worker died on every attempt.
        error = f"{type(error).__name__}: {error}"
        _save(plan, setting, {"error": error})
        return error
    if isinstance(future.result(), OSError):
        raise future.result()
    return future.result()


def _run_one(plan, setting):
    """Do one run, in a worker; return its error, or None.

    A chapter that raises has failed, and that is stored. That a run cannot be stored is returned as
    an OSError: it is no fault of the run, and there is no use in trying the next.
    """
    if _is_done(plan.folder(setting)):
        return None
    start = time.perf_counter()
    output = plan.folder(setting) / plan.notebook.name
    result = {}
    try:
        try:
            command = _nursery(plan.notebook, plan.stamp).command
            execute.run(plan.notebook, output, setting, plan.time_limit, command)
            result["records"] = ledger.read_records(output)
            if execute.stamp(plan.notebook) != plan.stamp:
                result["error"] = "the chapter changed during the sweep"
        except execute.KernelDied:
            raise
        except execute.ChapterError as error:
            result["error"] = str(error)
        result["seconds"] = round(time.perf_counter() - start, 2)
        _save(plan, setting, result)
    except OSError as error:
        return OSError(error.errno, f"a run cannot be stored ({error.strerror or error})")
    return result.get("error")


@functools.lru_cache(maxsize=1)
def _nursery(notebook, stamp):
    """A process that has imported what the chapter imports; it ends with this worker."""
    environment = os.environ | processor.environment()
    # Dask has its workers hand memory back to the system at once, and so fetch it again at once:
    # that doubles the time of a chapter of large arrays. A run ends soon enough.
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)
    # matplotlib reads it when imported; in a kernel started cold, ipykernel has set it by then.
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    return warm.Nursery(execute.imports(notebook), environment)


def _save(plan, setting, result):
    text = json.dumps({"parameters": setting, **result}, indent=1)
    execute.write(text, plan.folder(setting) / "result.json")


def _client(scheduler, workers):
    import dask
    from distributed import Client

    if scheduler is None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        # A worker would keep a profile of every second of the last hour: 0.3 MB a run.
        with dask.config.set({"distributed.worker.profile.enabled": False}):
            client = Client(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )
        client.register_plugin(_share_of_cores(workers))
        return client
    try:
        client = Client(scheduler, timeout="10s")
        n_threads = client.nthreads().values()
    except (OSError, ValueError):
        raise ValueError(f"no Dask scheduler answers at {scheduler!r}") from None
    if max(n_threads, default=1) > 1:
        client.close()
        raise ValueError("a run needs a worker to itself: start them with --nthreads 1")
    return client


def _client_again(scheduler, workers):
    """A client of a scheduler that was lost, as soon as it answers again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return _client(scheduler, workers)
        except ValueError:
            if time.monotonic() > deadline:
                raise ConnectionError(f"the scheduler at {scheduler} was lost") from None


def _share_of_cores(workers):
    """A plugin that gives each worker, and what it starts, cores of its own where that can be."""
    from distributed import WorkerPlugin

    class ShareOfCores(WorkerPlugin):
        name = "share-of-cores"

        def setup(self, worker):
            # Runs whose threads meet on the same cores wait for each other: 1.3 times the time.
            if hasattr(os, "sched_setaffinity"):  # macOS has none
                cores = sorted(os.sched_getaffinity(0))
                mine = cores[worker.name % len(cores) :: workers]
                os.sched_setaffinity(0, mine)

    return ShareOfCores()


# The table


def _table_of(plan):
    return plan.notebook.parent.parent / "sweeps" / "results" / f"{plan.notebook.stem}.csv"


def _write_table(plan):
    table = _frame(plan)
    table.to_parquet(plan.folder() / "results.parquet", index=False)
    header = {"stamp": plan.stamp, "settings": execute.digest(plan.settings), "rows": len(table)}
    path = _table_of(plan)
    path.parent.mkdir(parents=True, exist_ok=True)
    execute.write(f"# {json.dumps(header)}\n{_as_csv(table)}", path)
    return path


def _frame(plan):
    table = pd.DataFrame([row for setting in plan.settings for row in _rows(plan, setting)])
    table["n"] = table["n"].astype("Int64")
    return table


def _as_csv(table):
    """Only what a second sweep would give again: no times, no digits that depend on processors."""
    table = table.drop(columns="seconds")
    for column in ESTIMATES:
        table[column] = [None if pd.isna(x) else float(f"{x:.3g}") for x in table[column]]
    return table.to_csv(index=False, lineterminator="\n")


def _differing(known, repeated):
    """Claims whose rows differ between two tables, in their order."""
    if len(known) != len(repeated):
        return ["the list of claims"]
    known, repeated = known.reset_index(drop=True), repeated.reset_index(drop=True)
    same = (known == repeated) | (known.isna() & repeated.isna())
    moved = (known[ESTIMATES] - repeated[ESTIMATES]).abs()
    # Three digits are stored, and none of a rounding error mean anything.
    allowed = known[ESTIMATES].abs().mul(5e-3).add(1e-9)
    allowed = allowed.add(TOLERANCE * (known["high"] - known["low"]), axis=0)
    same[ESTIMATES] |= moved <= allowed
    return [str(claim) for claim in known.loc[~same.all(axis=1), "claim"].fillna("a failed run")]


def _rows(plan, setting):
    result = _result(plan.folder(setting)) or {"error": "its result was lost"}
    row = {"run": plan.folder(setting).name}
    row |= {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in setting.items()}
    row |= dict.fromkeys(COLUMNS[1:]) | {"seconds": result.get("seconds")}
    if "error" in result:
        return [row | {"verdict": FAILED, "error": result["error"]}]
    return [
        row
        | {"claim": record["id"], "verdict": record["verdict"]}
        | {"control": record["control"]["outcome"], "estimate": record["estimate"]}
        | {"low": record["interval"][0], "high": record["interval"][1], "n": record["n"]}
        for record in result["records"]
    ]


def _parts(path):
    """The header of a table of results, and the table as text."""
    try:
        first, _, rows = Path(path).read_text(encoding="utf-8").partition("\n")
        header = json.loads(first.removeprefix("# "))
    except ValueError:
        raise _no_results(path) from None
    if not isinstance(header, dict) or not {"stamp", "settings", "rows"} <= header.keys():
        raise _no_results(path)
    return header, rows


def _no_results(path):
    stem = Path(path).stem
    return ValueError(f"{path} is not a whole table of results; write it with 'hb sweep {stem}'")


def _root_of(path):
    return path.resolve().parent.parent.parent


def _given(row, defaults):
    """The parameters of a run that differ from the chapter's defaults, of the same types."""
    values = {}
    for name, default in defaults.items():
        value = row[name]
        if isinstance(default, list | dict):
            value = json.loads(value)
        elif pd.isna(value):
            value = None
        elif default is not None:
            value = type(default)(value)
        if value != default:
            values[name] = value
    return values


def _label(row, varied):
    return ", ".join(f"{name}={row[name]}" for name in varied) or "the only setting"


def _verdict(rows, claim):
    if FAILED in set(rows["verdict"]):
        return FAILED
    found = rows.loc[rows["claim"] == claim, "verdict"]
    return found.iloc[0] if len(found) else "not checked"
