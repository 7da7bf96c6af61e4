"""Execute every chapter in this environment, and compare its verdicts with the committed ones.

    python tools/reproduce.py LABEL --about "what is different" [--chapters CH ...]

What varies is set from outside: HB_KERNELS and HB_THREADS choose the numerical kernels and their
threads, another environment (`make test-oldest`) or machine brings other releases. What came
out is stored in book/reproductions/LABEL.csv, from which the book's page on robustness is made. The
exit status is 1 if a verdict is not the committed one.
"""

import argparse
import importlib.metadata
import os
import platform
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner import processor

os.environ.update(processor.environment())  # before anything below loads its kernels

import numpy as np  # noqa: E402, F401 - its kernels are looked at
import pandas as pd  # noqa: E402
import torch  # noqa: E402
from threadpoolctl import threadpool_info  # noqa: E402
from tqdm import tqdm  # noqa: E402

from runner import execute, files, ledger, stamp, tables  # noqa: E402

PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "numba", "pandas", "scikit-image")


def surroundings(about, threads):
    """What the verdicts may depend on, besides the chapters."""
    kernels = {
        f"{lib['internal_api']} {lib['version']}, {lib.get('architecture', 'no')} kernels"
        for lib in threadpool_info()
        if lib["user_api"] == "blas"
    }
    return {
        "about": about,
        "processor": processor_name(),
        "threads": threads,
        "python": platform.python_version(),
        "releases": {name: importlib.metadata.version(name) for name in PACKAGES},
        "linear algebra": sorted(kernels),
        "torch": f"{torch.backends.cpu.get_cpu_capability()} kernels",
    }


def processor_name():
    """The processor's name, as the system tells it."""
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def reproduce(notebook, folder):
    """Execute one chapter elsewhere; a row for each claim, or one that says why it failed."""
    row = {"chapter": notebook.stem, "stamp": stamp.stamp(notebook)}
    try:
        execute.run(notebook, folder / notebook.name)
    except execute.ChapterError as error:
        return [row | tables.failure(str(error))]
    found = ledger.outcomes(files.read(folder / notebook.name))
    return [row | tables.row(outcome) for outcome in found]


def stored(path, here, others_than):
    """Rows that an earlier run in the same surroundings stored of other chapters."""
    if not path.is_file():
        return []
    about, table = tables.read(path)
    if {name: about.get(name) for name in here} != here:
        return []
    return table[~table["chapter"].isin(others_than)].to_dict("records")


def flipped(rows, root, notebooks):
    """Sentences on verdicts that are not the committed ones."""
    register = files.register(root)
    said = [row["error"] for row in rows if row["error"]]
    found = {row["claim"]: tables.record(row, register) for row in rows if not row["error"]}
    for path in notebooks:
        for record in ledger.read_records(path, register):
            here = found.get(record.id)
            if here is not None and here.verdict != record.verdict:
                said.append(f"{record.id}: {here.verdict} here, {record.verdict} in the book")
    return said


def main(arguments=None):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("label", help="name of the file with the results")
    parser.add_argument("--chapters", nargs="+", default=[], metavar="CH", help="only these again")
    parser.add_argument("--about", required=True, help="what is different here, for the page")
    options = parser.parse_args(arguments)
    root = files.find_root()
    notebooks = [files.find_chapter(root, name) for name in options.chapters]
    notebooks = notebooks or files.chapters(root)
    threads = int(processor.environment()[processor.THREADS[0]])

    folder = root / "_build" / "reproductions" / options.label
    jobs = max(1, (os.cpu_count() or 1) // threads)
    rows = []
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda path: reproduce(path, folder), notebooks)
        for found in tqdm(done, total=len(notebooks), unit="chapter"):
            rows += found

    said = flipped(rows, root, notebooks)
    path = root / "book" / "reproductions" / f"{options.label}.csv"
    here = surroundings(options.about, threads)
    others = stored(path, here, {notebook.stem for notebook in notebooks})
    table = pd.DataFrame(rows + others).sort_values("chapter", kind="stable")
    tables.write(path, here, table)
    print("\n".join(said) or f"all {len(rows)} verdicts are the committed ones")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
