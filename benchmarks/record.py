"""What all benchmarks share: how time and memory are taken, and what is stored of a result.

Time is CPU time of the process, all threads together, so that a busy machine disturbs little;
everything that is compared runs on one thread, in interleaved rounds. A stored result says on what
machine, with which versions and on what day it was made.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import re
import resource
import sys
import time
from pathlib import Path

import numpy as np
import psutil
from threadpoolctl import threadpool_info

RESULTS = Path(__file__).parent / "results"


def options(description):
    """The command line of a benchmark: ``quick`` says that nothing is to be stored."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing stored")
    return parser.parse_args()


# --- taking the measure --------------------------------------------------------------------------


def cpu_time(function):
    """CPU seconds of one call, and what it returned."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def interleaved(functions, rounds):
    """CPU seconds of every function, an array by name; each round calls all of them in turn."""
    seconds = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            seconds[name].append(cpu_time(function)[0])
    return {name: np.array(values) for name, values in seconds.items()}


def series(x, y, sizes, make, rounds):
    """Median cost against size.

    Parameters
    ----------
    x, y : str
        What the size and the cost are, with their units.
    sizes : iterable of number
    make : callable
        From a size to what is compared there: name -> function. One of the names begins with
        ``floor: ``. A peer that is too slow for a size is left out of it.
    rounds : int

    Returns
    -------
    dict
        ``x``, ``y``, ``lines`` (name -> pairs of size and cost) and ``slopes``.
    """
    lines = {}
    for size in sizes:
        functions = make(size)
        interleaved(functions, 1)  # compiles, fills caches
        for name, seconds in interleaved(functions, rounds).items():
            lines.setdefault(name, []).append([size, rounded(np.median(seconds))])
        print(x, size, {name: line[-1][1] for name, line in lines.items()}, flush=True)
    return curves(x, y, lines)


def curves(x, y, lines):
    """A series of measured lines, with their slopes."""
    slopes = {name: round(slope(*zip(*line)), 2) for name, line in lines.items() if len(line) > 1}
    return {"x": x, "y": y, "lines": lines, "slopes": slopes}


def slope(x, y):
    """Exponent of a power law: the slope of the least-squares line through log x and log y.

    Examples
    --------
    >>> round(slope([1, 2, 4], [3, 12, 48]), 6)
    2.0
    """
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


def peak(function):
    """MiB that a call needs at most beyond what the process holds already.

    The call is made in a forked child. Its high-water mark, which some kernels hand down from the
    parent, and memory that the parent has freed but kept would both hide a part of what the call
    takes; so the child first fills up to the mark (`_fill`).
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            filler, before = _fill()
            function()
            del filler
            os.write(writer, json.dumps(_high_water() - before).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        answer = said.read()
    if os.waitpid(child, 0)[1] != 0:
        raise RuntimeError("the call whose memory is measured did not end well")
    return round(json.loads(answer), 1)


def _fill(block=2**20, rising=4):
    """Blocks that hold all memory below the high-water mark, and the mark, in MiB.

    Once `rising` blocks in a row have each raised the mark, nothing that is free lies below it.
    """
    blocks, marks = [], [_high_water()]
    while len(marks) <= rising or marks[-1] - marks[-1 - rising] < 0.9 * rising * block / 2**20:
        blocks.append(np.ones(block, np.uint8))
        marks.append(_high_water())
    return blocks, marks[-1]


def _high_water():
    """MiB that this process held at most."""
    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes, or KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def bandwidth(n_bytes):
    """Bytes a second of copying an array of `n_bytes`, read and written; the best of ten."""
    source = np.zeros(n_bytes, np.uint8)
    source[:] = 1
    target = source.copy()
    seconds = min(cpu_time(lambda: np.copyto(target, source))[0] for _ in range(10))
    return 2 * n_bytes / seconds


# --- what is stored ------------------------------------------------------------------------------


def rounded(value):
    """Three significant digits."""
    return float(f"{value:.3g}")


def compared(*rows):
    """The table of what was required and what came out, printed and as records."""
    for row in rows:
        print(" | ".join(map(str, row)))
    return [dict(zip(("what", "required", "measured"), row)) for row in rows]


def machine():
    """The processor, its cores and memory, whose kernels NumPy calls, and how busy it was."""
    blas = next(lib for lib in threadpool_info() if "numpy" in lib["filepath"])
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False) or os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "BLAS": f"{blas['internal_api']} {blas['version']}, {blas['architecture']} kernels",
    }


def _processor():
    try:
        return re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def load():
    """How many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 1)


def store(name, result, packages, load_before):
    """Write a result beside its machine, versions and day to ``results/<name>.json``.

    Parameters
    ----------
    name : str
        The script's, without its ending.
    result : dict
        ``title``, ``what`` (a sentence or two), ``required and measured`` (see `compared`),
        ``series`` (a list of what `series` or `curves` gives), ``memory`` (name -> MiB) and
        ``rows`` (whatever else was found, a list of dicts).
    packages : list of str
        Distributions that were compared; one that is not installed is left out.
    load_before : float
        From `load`, before the work began.
    """
    versions = {"Python": platform.python_version()}
    for package in ["numpy", *packages]:
        try:
            versions[package] = importlib.metadata.version(package).partition("+")[0]
        except importlib.metadata.PackageNotFoundError:
            print(f"{package} is left out: it is not installed (make bench installs it)")
    whole = {
        "title": result["title"],
        "what": result["what"],
        "date": datetime.date.today().isoformat(),
        "machine": machine() | {"load before": load_before},
        "versions": versions,
        **{key: result[key] for key in ("required and measured", "series", "memory", "rows")},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
