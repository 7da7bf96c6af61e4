"""Running chapters: one with other parameters, all stale ones in place, and knowing which are.

A committed chapter carries a stamp of everything its outputs depend on: its code cells, the
`hblib` modules they import (directly or through one another), its entries in the claim register,
the locked releases of the packages that all these import, and the data files it names. A chapter
whose stamp no longer fits is stale.
"""

import ast
import asyncio
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import nbformat
import yaml
from IPython.core.inputtransformer2 import TransformerManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from runner import parameters, processor


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

    With `command`, it is started by that and the path of its connection file (`hblib.warm`).
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


def find_root(start="."):
    """The folder of the book that holds `start`.

    Raises
    ------
    ValueError
        If neither `start` nor any folder above it is the book.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "notebooks").is_dir() and (folder / "requirements.lock").is_file():
            return folder
    raise ValueError("run this inside the book's folder (the one with notebooks/ in it)")


def chapters(root):
    """Paths of all chapters of the book, in reading order."""
    return sorted((Path(root) / "notebooks").glob("[0-9]*.ipynb"))


def find_chapter(root, name):
    """Path of the chapter called `name`, such as ``02_rotation``.

    Raises
    ------
    ValueError
        If the book has no such chapter.
    """
    known = {path.stem: path for path in chapters(root)}
    if name not in known:
        raise ValueError(f"there is no chapter {name!r}; there are {', '.join(known) or 'none'}")
    return known[name]


# Staleness


def inputs(notebook):
    """Hashes of everything the outputs of a chapter depend on.

    Parameters
    ----------
    notebook : str or Path
        A chapter, in ``notebooks/`` of the book.

    Returns
    -------
    dict
        ``code`` and ``register`` (one hash each), ``modules`` (`hblib` module to hash), ``lock``
        (package to locked release, of the packages imported by code and modules and of all that
        these require) and ``data`` (file named in the code, from the book's folder on, to hash).
    """
    notebook = Path(notebook).resolve()
    root = notebook.parent.parent
    sources, tree = _code(notebook)
    register = yaml.safe_load((root / "hblib" / "claims" / "register.yml").read_text(encoding="utf-8")) or []
    entries = [entry for entry in register if entry["chapter"] == notebook.stem]
    modules = {name: root / "hblib" / f"{name}.py" for name in _modules(tree, root / "hblib")}
    imported = set().union(*map(_imported, [tree, *map(_module, modules.values())]))
    return {
        "code": digest(sources),
        "register": digest(entries),
        "lock": _locked(_packages(imported), root / "requirements.lock"),
        "modules": {name: _hash(path.read_bytes()) for name, path in modules.items()},
        "data": {
            path.relative_to(root).as_posix(): _hash(path.read_bytes())
            for path in _data_files(tree, notebook.parent, root)
        },
    }


def stamp(notebook):
    """One hash over all `inputs` of a chapter."""
    return digest(inputs(notebook))


def stale(notebook):
    """Why the outputs of a committed chapter may no longer be what its code gives.

    Parameters
    ----------
    notebook : str or Path

    Returns
    -------
    list of str
        One reason a line, empty if the chapter is current.
    """
    executed = _read(notebook)
    cells = [cell for cell in executed.cells if cell.cell_type == "code"]
    recorded = executed.metadata.get("hblib", {}).get("inputs")
    if recorded is None:
        return ["never executed by hb"]
    reasons = []
    if any(cell.execution_count is None for cell in cells):
        reasons.append("a code cell has no outputs")
    now = inputs(notebook)
    for key, reason in {
        "code": "its code changed",
        "register": "its claims in hblib/claims/register.yml changed",
    }.items():
        if recorded.get(key) != now[key]:
            reasons.append(reason)
    forms = {"modules": "hblib/{}.py", "lock": "{} in requirements.lock", "data": "{}"}
    for key, form in forms.items():
        before = recorded.get(key, {})
        changed = {name for name, _ in set(before.items()) ^ set(now[key].items())}
        reasons += [f"{form.format(name)} changed" for name in sorted(changed)]
    return reasons


def imports(notebook):
    """Names of all modules that a chapter imports, itself or through modules of `hblib`.

    Parameters
    ----------
    notebook : str or Path

    Returns
    -------
    list of str
        In alphabetical order.
    """
    package = Path(notebook).resolve().parent.parent / "hblib"
    _, tree = _code(Path(notebook))
    modules = _modules(tree, package)
    trees = [tree, *(_module(package / f"{name}.py") for name in modules)]
    own = {f"hblib.{name}" for name in modules if name != "__init__"}
    others = {name for name in set().union(*map(_imported, trees)) if not name.startswith("hblib")}
    return sorted(own | others)


def _read(notebook):
    return parameters.read(notebook)


def _hash(content):
    return hashlib.sha256(content).hexdigest()[:16]


def digest(value):
    """A short hash of a value that JSON can hold."""
    return _hash(json.dumps(value, sort_keys=True).encode())


def _code(notebook):
    """The sources of the code cells, and the syntax tree of them all."""
    sources = [cell.source.strip() for cell in _read(notebook).cells if cell.cell_type == "code"]
    to_python = TransformerManager().transform_cell
    try:
        return sources, _parsed("\n".join(to_python(source) for source in sources))
    except SyntaxError as error:
        raise ValueError(f"{notebook.stem}: {error.msg}: {error.text!r}") from None


def _imported(tree):
    """Names of the modules that a syntax tree imports, at whatever depth of the code."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = ("hblib." if node.level else "") + (node.module or "")
            names.add(module.rstrip("."))
            if module.split(".")[0] == "hblib":
                names |= {f"{module.rstrip('.')}.{alias.name}" for alias in node.names}
    return names


def _imports(tree):
    """Names of the `hblib` modules among them."""
    return {name.split(".")[1] for name in _imported(tree) if name.startswith("hblib.")}


def _modules(tree, package):
    found, waiting = {"__init__"}, _imports(tree)
    while waiting:
        name = waiting.pop()
        path = package / f"{name}.py"
        if name not in found and path.is_file():
            found.add(name)
            waiting |= _imports(_module(path))
    return sorted(found)


def _module(path):
    return _parsed(path.read_text(encoding="utf-8"))


_PARSING = threading.Lock()


def _parsed(text):
    with _PARSING:  # CPython 3.11 raises a SystemError now and then if two threads parse at once
        return ast.parse(text)


# Where the name of a package on the index is not the name it is imported by.
_INDEX_NAMES = {"sklearn": "scikit-learn", "skimage": "scikit-image", "yaml": "pyyaml"}

# What only shows or stores a result cannot change it, and would bring all of Sphinx with it.
_CARRIERS = {"ipython", "myst-nb", "nbformat"}


def _packages(modules):
    """Names, as on the package index, of the packages that modules belong to."""
    tops = {name.split(".")[0] for name in modules} - sys.stdlib_module_names
    return {_INDEX_NAMES.get(top, top).lower().replace("_", "-") for top in tops} - _CARRIERS


def _locked(packages, lock):
    """The releases that a lock file names for `packages` and for all that these require.

    The lock says after each release which packages required it ("# via ..."), so the requirements
    of a package are read off without asking the environment.
    """
    releases, required = {}, {}
    for line in lock.read_text(encoding="utf-8").splitlines():
        release, _, via = line.partition("#")
        if "==" not in release:
            continue
        name, _, version = release.strip().partition("==")
        # A package may be locked to several releases, each with a marker.
        releases[name] = " or ".join(filter(None, [releases.get(name), version]))
        for parent in re.findall(r"[a-z0-9._-]+", via.removeprefix(" via ")):
            required.setdefault(parent, set()).add(name)
    found, waiting = set(), packages & releases.keys()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= required.get(name, set()) - found
    return {name: releases[name] for name in sorted(found)}


def _data_files(tree, folder, root):
    named = {
        (folder / node.value).resolve()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and 0 < len(node.value) < 256
        and node.value.isprintable()
    }
    return sorted(path for path in named if path.is_relative_to(root) and path.is_file())


# One run with other parameters


def run(notebook, output, given=None, time_limit=None, command=None):
    """Run a chapter with other parameters, through papermill, in a kernel of its own.

    Parameters
    ----------
    notebook : str or Path
        The chapter; it is left as it is.
    output : str or Path
        Where the executed notebook goes, complete or up to the cell that failed.
    given : dict, optional
        Parameters to change. Names and types are checked before anything starts.
    time_limit : float, optional
        Seconds for the whole run.
    command : list of str, optional
        What starts the kernel, such as the command of an `hblib.warm.Nursery`.

    Returns
    -------
    dict
        All parameters, as echoed by the run.

    Raises
    ------
    ValueError
        For a parameter the chapter does not have, or a value of the wrong type.
    ChapterError
        If a cell raised, the kernel died (`KernelDied`) or the time ran out, or if the chapter
        echoes other values than asked.
    """
    import papermill

    notebook, output = Path(notebook).resolve(), Path(output).resolve()
    given = dict(given or {})
    values = parameters.check(given, parameters.declared(_read(notebook)))
    output.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + time_limit if time_limit else None
    try:
        executed = papermill.execute_notebook(
            _literal(notebook),
            _literal(output),
            parameters={name: values[name] for name in given},
            kernel_name="python3",
            language="python",
            cwd=str(notebook.parent),
            progress_bar=False,
            kernel_manager_class=type("Kernel", (ChapterKernel,), {"command": command}),
            # A cell gets what the cells before it have left of the time.
            timeout_func=lambda cell: deadline and max(1, int(deadline - time.monotonic())),
        )
        echoed = parameters.echoed(executed)
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
    """Strip a notebook, in place, of all that differs from one execution to the next."""
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
            {key: cell.metadata[key] for key in ("tags", "mystnb") if key in cell.metadata}
        )


def write(text, path):
    """Write a file in one step: a reader sees the old file or the new, never half of one."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)  # half a file would only take up what is left
        raise


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
    write(nbformat.writes(notebook) + "\n", path)
    return Outcome(path.stem, seconds, None)


def _executed(path):
    before = inputs(path)
    notebook = _read(path)
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
    notebook.metadata["hblib"] = {"stamp": digest(before), "inputs": before}
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
