"""Sweeps: one chapter over a grid of parameters, to see whether its verdicts hold.

``sweeps/<chapter>.yml`` says which settings; `sweep` runs each of them once, on a Dask cluster, and
writes one tidy table of outcomes; `stability` counts in how many settings each verdict held. A
worker imports what the chapter imports once, and its runs start from there (`runner.warm`).

A run is known by a hash of the chapter's stamp and of all its parameters, so a finished run is
never done twice and a changed chapter starts afresh. It has a kernel of its own: a killed worker or
kernel costs that run another attempt and nothing else, and a run that raises is recorded as failed
while the others go on. A scheduler that was restarted gets what is left; where nothing can go on
(Ctrl-C, a full disk, a scheduler that stays away), the message says what is done and how to resume.
"""

import functools
import itertools
import json
import logging
import math
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import filelock
import pandas as pd
import yaml

from runner import execute, files, ledger, parameters, processor, stamp, tables, warm

RETRIES = 2
TIME_LIMIT = 600.0
PATIENCE = 60.0  # seconds in which a lost scheduler may come back
FAILED = "failed"
COLUMNS = ["run", *tables.COLUMNS]


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
        return folder if setting is None else folder / files.digest([self.stamp, setting])


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


def read_plan(root, chapter, grid=None):
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
    grid : str or Path, optional
        Another file than ``sweeps/<chapter>.yml``.

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
    notebook = files.find_chapter(root, chapter)
    path = root / "sweeps" / f"{chapter}.yml" if grid is None else Path(grid)
    shown = f"sweeps/{path.name}" if grid is None else grid
    if not path.is_file():
        raise ValueError(f"there is no sweep of {chapter}: {shown} does not exist")
    try:
        plan = parameters.load_yaml(path.read_text(encoding="utf-8"))
        return Plan(notebook, stamp.stamp(notebook), *_checked(plan, notebook))
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" in line {place.line + 1}" if place else ""
        raise ValueError(f"{shown} is not valid YAML{where}") from None
    except RecursionError:
        raise ValueError(f"{shown} is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None


def sweep(root, chapter, scheduler=None, workers=1, grid=None):
    """Do all runs of a sweep that are not done yet, and write the table of results.

    Parameters
    ----------
    root : str or Path
        The book's folder; workers elsewhere must see it at the same path.
    chapter : str
    grid : str or Path, optional
        Another plan than ``sweeps/<chapter>.yml``.
    scheduler : str, optional
        Address of a running Dask scheduler; otherwise a cluster is started on this machine.
    workers : int
        Processes of that cluster, each doing one run at a time.

    Returns
    -------
    Path
        ``_build/sweeps/<chapter>/results.csv``: a row for each run and claim. The executed
        notebooks are beside it. `publish` makes it the book's table.

    Raises
    ------
    ValueError
        If the plan is faulty, the chapter is stale, the scheduler cannot be used, or another sweep
        of the chapter is at work in this folder.
    KeyboardInterrupt, OSError
        Passed on when the sweep is interrupted, the disk is full or the scheduler is gone for good,
        with a message on how to resume; finished runs are kept.
    """
    plan = read_plan(root, chapter, grid)
    _do(plan, scheduler, workers)
    path = plan.folder() / "results.csv"
    about = {"chapter": chapter, "stamp": plan.stamp, "settings": files.digest(plan.settings)}
    tables.write(path, about, _frame(plan))
    return path


def _do(plan, scheduler, workers):
    """Do the runs of a plan that are not done."""
    chapter = plan.notebook.stem
    if stamp.stale(plan.notebook):
        raise ValueError(f"{chapter} is stale: bring it up to date first (hb execute {chapter})")
    if not ledger.outcomes(files.read(plan.notebook)):
        raise ValueError(f"{chapter} checks no claim, so a sweep of it would have nothing to show")
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


def publish(root, chapter):
    """Make the table of the last sweep the book's: ``sweeps/results/<chapter>.csv``.

    Raises
    ------
    ValueError
        If no sweep of the book's plan was finished with the chapter as it is now.
    """
    plan = read_plan(root, chapter)
    source, path = plan.folder() / "results.csv", _published(plan)
    if not source.is_file():
        raise ValueError(f"no sweep of {chapter} was finished: run it first, hb sweep {chapter}")
    about, _ = tables.read(source)
    if about["stamp"] != plan.stamp or about["settings"] != files.digest(plan.settings):
        raise ValueError(
            f"the last sweep of {chapter} was of another plan, or of the chapter as it was: run it "
            f"again, hb sweep {chapter}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(source.read_text(encoding="utf-8"), path)
    return path


def stale(path):
    """Say why a committed table of results may no longer be what its sweep gives.

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
    about, _ = tables.read(path)
    plan = read_plan(files.find_root(path), path.stem)
    reasons = []
    if about["stamp"] != plan.stamp:
        reasons.append("the chapter changed since")
    if about["settings"] != files.digest(plan.settings):
        reasons.append(f"sweeps/{path.stem}.yml changed since")
    return reasons


def judged(path, register=None):
    """Return the table of a sweep with the verdict of every row.

    Parameters
    ----------
    path : str or Path
        ``sweeps/results/<chapter>.csv``
    register : dict, optional
        By default the book's.

    Returns
    -------
    DataFrame
        A row for each run and claim: all parameters, the columns of `runner.tables`, and
        ``verdict``: ``failed`` for a run that failed, ``not comparable`` where the register has
        changed since.
    """
    register = files.register(files.find_root(path)) if register is None else register
    _, table = tables.read(path)
    table["verdict"] = [_verdict_of(row, register) for row in table.to_dict("records")]
    return table


def _verdict_of(row, register):
    if isinstance(row["error"], str):
        return FAILED
    record = tables.record(row, register)
    return "not comparable" if record is None else record.verdict


def stability(path, notebook=None):
    """How the verdicts of a chapter fared in its sweep.

    A verdict holds in a setting if it is the same as in the committed chapter, at its defaults. It
    does not hold where the run failed.

    Parameters
    ----------
    path : str or Path
        ``sweeps/results/<chapter>.csv``
    notebook : str or Path, optional
        The chapter; must be given where `path` is another table than the book's.

    Returns
    -------
    dict of str to Stability
        By claim, in the order of the chapter.

    Raises
    ------
    ValueError
        If the chapter has a parameter that the results do not have.
    """
    records, runs, defaults, varied = _judged_runs(path, notebook)
    labels = [_label(rows.iloc[0], varied) for rows in runs]
    given = [_given(rows.iloc[0], defaults) for rows in runs]
    result = {}
    for record in records:
        found = [_verdict(rows, record.id) for rows in runs]
        failing = [
            Failing(label, other, changed, rows["run"].iloc[0])
            for label, other, changed, rows in zip(labels, found, given, runs)
            if other != record.verdict
        ]
        held = len(found) - len(failing)
        result[record.id] = Stability(record.verdict, held, len(found), failing)
    return result


def shares(path, notebook=None):
    """Say which parameter flips a verdict: how often it held at each value of each parameter.

    Parameters
    ----------
    path, notebook
        See `stability`.

    Returns
    -------
    dict of str to DataFrame
        By claim, in the order of the chapter; one row for each value of each parameter that varied,
        with columns ``parameter, value, held, of``. The parameter whose values differ most in the
        share held comes first.
    """
    records, runs, _, varied = _judged_runs(path, notebook)
    settings = pd.DataFrame([rows.iloc[0][varied] for rows in runs]).reset_index(drop=True)
    result = {}
    for record in records:
        held = pd.Series([_verdict(rows, record.id) == record.verdict for rows in runs], dtype=int)
        found = []
        for name in varied:
            counts = held.groupby(settings[name], sort=False, dropna=False).agg(["sum", "count"])
            share = counts["sum"] / counts["count"]
            rows = [(name, value, *map(int, count)) for value, *count in counts.itertuples()]
            found.append((float(share.max() - share.min()), rows))
        found.sort(key=lambda one: -one[0])  # stable: where they tie, in the chapter's order
        table = [row for _, rows in found for row in rows]
        result[record.id] = pd.DataFrame(
            table, columns=["parameter", "value", "held", "of"], dtype=object
        )
    return result


def _judged_runs(path, notebook=None):
    """The chapter's records, the rows of each run, the defaults, and the parameters that varied."""
    path = Path(path)
    notebook = Path(notebook or files.find_chapter(files.find_root(path), path.stem))
    register = files.register(notebook.parent.parent)
    table = judged(path, register)
    defaults = _defaults(notebook)
    if missing := defaults.keys() - set(table):
        raise ValueError(
            f"{path} has no column for the parameter {min(missing)!r} of {notebook.stem}: the "
            f"chapter has changed since, sweep it again with 'hb sweep {notebook.stem}'"
        )
    varied = [name for name in defaults if table[name].nunique(dropna=False) > 1]
    runs = [rows for _, rows in table.groupby("run", sort=False)]
    return ledger.read_records(notebook, register), runs, defaults, varied


# The plan


def _defaults(notebook):
    return parameters.declared(files.read(notebook))


def _checked(plan, notebook):
    chapter = files.read(notebook)
    defaults, ranges = parameters.declared(chapter), parameters.ranges(chapter)
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
            setting = parameters.check(fixed | point | seed, defaults, ranges, notebook.parent)
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
            result["outcomes"] = ledger.outcomes(files.read(output))
            if stamp.stamp(plan.notebook) != plan.stamp:
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
def _nursery(notebook, _stamp):
    """A process that has imported what the chapter imports; it ends with this worker."""
    environment = os.environ | processor.environment()
    # Dask has its workers hand memory back to the system at once, and so fetch it again at once:
    # that doubles the time of a chapter of large arrays. A run ends soon enough.
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)
    # matplotlib reads it when imported; in a kernel started cold, ipykernel has set it by then.
    environment["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    return warm.Nursery(stamp.imports(notebook), environment)


def _save(plan, setting, result):
    text = json.dumps({"parameters": setting, **result}, indent=1)
    files.write(text, plan.folder(setting) / "result.json")


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


def _published(plan):
    return plan.notebook.parent.parent / "sweeps" / "results" / f"{plan.notebook.stem}.csv"


def _frame(plan):
    return pd.DataFrame([row for setting in plan.settings for row in _rows(plan, setting)])


def _rows(plan, setting):
    result = _result(plan.folder(setting)) or {"error": "its result was lost"}
    row = {"run": plan.folder(setting).name}
    row |= {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in setting.items()}
    if "error" in result:
        return [row | tables.failure(result["error"])]
    return [row | tables.row(outcome) for outcome in result["outcomes"]]


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
