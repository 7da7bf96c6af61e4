"""Running chapters: one with other parameters, or all stale ones in place."""

import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from hblib import claims
from runner import files, ledger, parameters, processor
from runner.stamp import inputs

# Outputs that show a verdict in Jupyter. A file holds none: it is derived whenever it is shown.
RENDERED_BY_THE_SITE = {claims.MIME, claims.mime("summary")}
KEPT = ("tags", "mystnb", "hblib")  # of a cell's metadata


class ChapterError(RuntimeError):
    """A chapter that could not be run to its end; the message is one sentence for the reader."""


class KernelDied(ChapterError):
    """The kernel was killed, by the system or by hand: the same run may well succeed again."""


class Outcome(NamedTuple):
    """How the execution of one chapter went; `error` is None if it went well."""

    chapter: str
    seconds: float
    error: str | None


class ChapterKernel(AsyncKernelManager):
    """A fresh kernel of the running Python, whatever kernels the user has installed.

    With `command`, it is started by that and the path of its connection file (`runner.warm`).
    """

    command = None

    def __init__(self, **kwargs):
        self._folder = tempfile.TemporaryDirectory(prefix="hb-")
        connection_file = os.path.join(self._folder.name, "kernel.json")
        # Not TCP, whose ports are looked up while free and taken later: of kernels started side by
        # side, about one in a thousand found its port taken. The path of a socket must be short.
        short = len(os.fsencode(connection_file)) < 100
        transport = "ipc" if os.name == "posix" and short else "tcp"
        super().__init__(**kwargs, connection_file=connection_file, transport=transport)

    def cleanup_connection_file(self):
        """Remove the folder with it."""
        super().cleanup_connection_file()
        self._folder.cleanup()

    def format_kernel_cmd(self, extra_arguments=None):
        """The command that starts the kernel."""
        if self.command is None:
            return super().format_kernel_cmd(extra_arguments)
        return [*self.command, os.path.realpath(self.connection_file)]

    def _kernel_spec_manager_default(self):
        return KernelSpecManager(kernel_dirs=[], parent=self)

    async def start_kernel(self, **kwargs):
        """Start it silent: what cells print comes as messages all the same."""
        environment = {**os.environ, **processor.environment()}
        await super().start_kernel(env=environment, stderr=subprocess.DEVNULL, **kwargs)


# One run with other parameters


def run(notebook, output, given=None, time_limit=None, command=None, progress=False):
    """Run a chapter with other parameters, through papermill, in a kernel of its own.

    Parameters
    ----------
    notebook : str or Path
        The chapter; it is left as it is.
    output : str or Path
        Where the executed notebook goes, complete or up to the cell that failed. Its metadata say
        what it is: ``hblib`` holds ``stamp``, ``inputs`` and ``parameters`` of the run, and, once
        the run is complete, ``outcomes``.
    given : dict, optional
        Parameters to change. Names, types and ranges are checked before anything starts.
    time_limit : float, optional
        Seconds for the whole run.
    command : list of str, optional
        What starts the kernel, such as the command of an `runner.warm.Nursery`.
    progress : bool
        Show on stderr, if that is a terminal, how many cells are done.

    Returns
    -------
    dict
        All parameters, as echoed by the run.

    Raises
    ------
    ValueError
        For a parameter the chapter does not have, a value of the wrong type or outside its range,
        or an output among the book's chapters.
    ChapterError
        If a cell raised, the kernel died (`KernelDied`) or the time ran out, or if the chapter
        echoes other values than asked.
    """
    notebook, output = Path(notebook).resolve(), Path(output).resolve()
    if time_limit is not None and not 0 < time_limit < float("inf"):
        raise ValueError(f"time_limit must be a number of seconds above 0, not {time_limit:g}")
    if output.parent == notebook.parent:
        raise ValueError(f"a run must not go into {notebook.parent.name}/, where the chapters are")
    chapter, given = files.read(notebook), dict(given or {})
    defaults, ranges = parameters.declared(chapter), parameters.ranges(chapter)
    values = parameters.check(given, defaults, ranges, notebook.parent)
    before = inputs(notebook)
    # Not the chapter's own, which would be taken for the run's.
    about = {"stamp": files.digest(before), "inputs": before, "parameters": values}
    chapter.metadata["hblib"] = nbformat.from_dict(about)
    output.parent.mkdir(parents=True, exist_ok=True)
    files.write(nbformat.writes(chapter) + "\n", output)

    import papermill

    deadline = time.monotonic() + time_limit if time_limit else None
    bar = {"desc": notebook.stem, "file": sys.stderr, "disable": None}  # None: if no terminal
    try:
        executed = papermill.execute_notebook(
            _literal(output),
            _literal(output),
            parameters={name: values[name] for name in given},
            kernel_name="python3",
            language="python",
            cwd=str(notebook.parent),
            progress_bar=bar if progress else False,
            kernel_manager_class=type("Kernel", (ChapterKernel,), {"command": command}),
            # A cell gets what the cells before it have left of the time.
            timeout_func=lambda cell: deadline and max(1, int(deadline - time.monotonic())),
        )
        echoed = parameters.echoed(executed)
        outcomes = ledger.outcomes(executed)
    except papermill.PapermillExecutionError as error:
        raise ChapterError(
            f"{notebook.stem}: cell [{error.exec_count}] raised {_last_line(error)}"
        ) from error
    except DeadKernelError as error:
        raise KernelDied(f"{notebook.stem}: the kernel died") from error
    except TimeoutError as error:
        raise ChapterError(f"{notebook.stem} did not end within {time_limit:g} s") from error
    except RuntimeError as error:
        # nbclient's word for a kernel that ended, or said nothing, before the first cell.
        raise KernelDied(f"{notebook.stem}: the kernel did not start ({error})") from error
    except ValueError as error:
        raise ChapterError(f"{notebook.stem}: {error}") from error
    if echoed != values:
        wrong = ", ".join(
            f"{name} = {echoed.get(name)!r} instead of {values.get(name)!r}"
            for name in sorted(echoed.keys() | values.keys())
            if echoed.get(name) != values.get(name)
        )
        raise ChapterError(f"{notebook.stem} did not use the parameters asked for: {wrong}")
    executed.metadata["hblib"] = nbformat.from_dict({**about, "outcomes": ledger.seal(outcomes)})
    files.write(nbformat.writes(executed) + "\n", output)
    return echoed


def _literal(path):
    # papermill fills in braces in the names of files.
    return str(path).replace("{", "{{").replace("}", "}}")


# All chapters in place


def execute(notebooks, n_jobs=2, report=print):
    """Execute chapters in place, side by side, each from a fresh kernel.

    A chapter that fails leaves its file as it was; its traceback goes to
    ``_build/reports/<chapter>.log``. The other chapters go on.

    Parameters
    ----------
    notebooks : list of Path
    n_jobs : int
        Kernels at a time, one thread each.
    report : callable
        Called with one line of text as each chapter ends.

    Returns
    -------
    list of Outcome
    """
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be at least 1, not {n_jobs}")
    pool = ThreadPoolExecutor(n_jobs)
    try:
        outcomes = []
        for done in as_completed([pool.submit(_execute_in_place, Path(n)) for n in notebooks]):
            outcome = done.result()
            report(outcome.error or f"{outcome.chapter}  {outcome.seconds:.1f} s")
            outcomes.append(outcome)
        return outcomes
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def normalise(notebook):
    """Strip a notebook, in place, of what differs from one execution to the next, and of verdicts.

    Of a claim the data and the line of plain text are kept; the site makes the card.
    """
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if RENDERED_BY_THE_SITE & output.get("data", {}).keys():
                output["data"].pop("text/html", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    kept = {key: notebook.metadata[key] for key in ("mystnb", "hblib") if key in notebook.metadata}
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {
                "file_extension": ".py",
                "name": "python",
                "pygments_lexer": "ipython3",
            },
            **kept,
        }
    )
    for number, cell in enumerate(notebook.cells):
        cell.setdefault("id", f"cell-{number}")
        cell.metadata = nbformat.from_dict(
            {key: cell.metadata[key] for key in KEPT if key in cell.metadata}
        )


def _execute_in_place(path):
    path = path.resolve()
    log = path.parent.parent / "_build" / "reports" / f"{path.stem}.log"
    start = time.perf_counter()
    try:
        notebook = _executed(path)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other chapters go on
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(_plain("".join(traceback.format_exception(error))), encoding="utf-8")
        what = _plain(str(error)).strip().splitlines()[-1]
        message = f"{path.stem}: {what} (traceback in _build/reports/{log.name})"
        return Outcome(path.stem, time.perf_counter() - start, message)
    seconds = time.perf_counter() - start
    notebook.metadata["hblib"]["seconds"] = round(seconds, 1)
    files.write(nbformat.writes(notebook) + "\n", path)
    return Outcome(path.stem, seconds, None)


def _executed(path):
    before = inputs(path)
    notebook = files.read(path)
    declared = parameters.declared(notebook)
    cell_number = 0

    def count(cell, cell_index):
        nonlocal cell_number
        cell_number = sum(c.cell_type == "code" for c in notebook.cells[: cell_index + 1])

    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        kernel_manager_class=ChapterKernel,
        resources={"metadata": {"path": str(path.parent)}},
        coalesce_streams=True,
        on_cell_start=count,
    )
    try:
        asyncio.run(client.async_execute())
    except CellExecutionError as error:
        raise ChapterError(f"code cell {cell_number} raised {_last_line(error)}") from error
    except RuntimeError as error:
        raise ChapterError(f"code cell {cell_number}: {error}") from error
    _refuse_stderr(notebook)
    if parameters.echoed(notebook) != declared:
        raise ChapterError(f"it does not echo its parameters {', '.join(declared)} unchanged")
    if inputs(path) != before:
        raise ChapterError("its code, library or data changed while it ran; nothing was saved")
    declared_data = notebook.metadata.get("hblib", {}).get("data")
    notebook.metadata["hblib"] = {
        "stamp": files.digest(before),
        "inputs": before,
        "outcomes": ledger.seal(ledger.outcomes(notebook)),
        **({"data": declared_data} if declared_data else {}),
    }
    normalise(notebook)
    return notebook


def _refuse_stderr(notebook):
    """A warning in a page is a fault of the chapter, not something for the reader."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, start=1):
        for output in cell.outputs:
            if output.get("name") == "stderr":
                first = output.text.strip().partition("\n")[0]
                raise ChapterError(f"code cell {number} wrote to stderr: {first}")


def _last_line(error):
    return f"{error.ename}: {error.evalue}".strip().splitlines()[-1]


def _plain(text):
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
