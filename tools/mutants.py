"""Put known mistakes into the library, one at a time, and see whether its tests notice.

The mistakes, called mutants, are listed in tests/mutants/*.yml: what a person could get wrong, the
code of the module that is replaced, and the tests that should fail. The code is found whatever its
line breaks and spaces are. Each mistake is made in a temporary copy of the repository, never here.
What became of it is noted in tests/mutants/results.csv, with a stamp of what it depends on: the
mutant, its module and its tests. Only mutants whose stamp is no longer that one are tried again.
"""

import argparse
import csv
import multiprocessing
import os
import queue
import re
import resource
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import yaml
from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "tests" / "mutants"
RESULTS = LIST / "results.csv"
COLUMNS = ("mutant", "module", "outcome", "test", "stamp")
ENOUGH = 0.95  # share of all mutants that must be caught
# Tests run in forks of a process that has imported what takes longest, but nothing of the library.
FORKED = multiprocessing.get_context("forkserver")
IMPORTED = """hypothesis matplotlib.pyplot nbclient nbformat numba pandas pytest scipy.fft
scipy.integrate scipy.ndimage scipy.optimize scipy.signal scipy.sparse.linalg scipy.stats
sklearn.decomposition sklearn.linear_model sklearn.manifold sklearn.utils.estimator_checks torch
torch.optim""".split()
# What a working copy holds beside the repository, and no test reads.
LEFT_OUT = (
    ".git .venv venv _build node_modules __pycache__ .pytest_cache .ruff_cache .hypothesis "
    ".ipynb_checkpoints *.egg-info dask-worker-space .DS_Store"
).split()
# Names and numbers, texts in quotation marks, signs: what is left of code without its layout.
TOKEN = re.compile(r"""\w+|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|\S""")
MEMORY = 4 * 2**30  # bytes that a run of tests may ask for
REQUIRED, OPTIONAL = {"name", "what", "module", "find", "replace", "tests"}, {"survives"}


class Mutant(NamedTuple):
    """One mistake; ``survives`` says why no test can notice it, where none can.

    ``module`` is a dotted name, ``tests`` are files or single tests as pytest names them.
    """

    name: str
    what: str
    module: str
    find: str
    replace: str
    tests: tuple[str, ...]
    survives: str | None = None


class Outcome(NamedTuple):
    """What a run of tests said: passed, failed, hung or broken; and the first test to fail."""

    said: str
    test: str = ""


def read_list(folder=LIST):
    """All mutants, in the order of their files."""
    mutants = []
    for path in sorted(Path(folder).glob("*.yml")):
        for entry in yaml.safe_load(path.read_text(encoding="utf-8")):
            if not REQUIRED <= entry.keys() <= REQUIRED | OPTIONAL:
                raise ValueError(
                    f"{path.name}: a mutant has the keys {', '.join(sorted(REQUIRED))} and perhaps "
                    f"'survives', got {', '.join(entry)}"
                )
            tests = tuple(_test_id(name) for name in entry.pop("tests"))
            mutants.append(Mutant(**entry, tests=tests))
    return mutants


def _test_id(name):
    """Return pytest's name of a file of tests, or of one test in a file that takes long."""
    file, *test = name.split("::")
    return "::".join([f"tests/{file}.py", *test])


def file_of(module):
    """The file of a module, from the repository's folder on."""
    return Path(*module.split(".")).with_suffix(".py")


def places(source, find):
    """Where code occurs in a source: beginnings and ends, whatever the line breaks and spaces."""
    if exact := [match.span() for match in re.finditer(re.escape(find), source)]:
        return exact
    wanted = TOKEN.findall(find)
    tokens = list(TOKEN.finditer(source))
    words = [token.group() for token in tokens]
    return [
        (tokens[i].start(), tokens[i + len(wanted) - 1].end())
        for i in range(len(words) - len(wanted) + 1)
        if words[i] == wanted[0] and words[i : i + len(wanted)] == wanted
    ]


def mutated(mutant, root=ROOT):
    """The source of the mutant's module with the mistake in it."""
    source = (Path(root) / file_of(mutant.module)).read_text(encoding="utf-8")
    found = places(source, mutant.find)
    if len(found) != 1:
        raise ValueError(f"{mutant.name}: its code occurs {len(found)} times in {mutant.module}")
    ((begin, end),) = found
    return source[:begin] + mutant.replace + source[end:]


def stamp_of(mutant, root=ROOT):
    """One hash of what an outcome depends on: the mutant, its module and its files of tests.

    Comments, docstrings and layout of the module and of the tests do not count.
    """
    from runner import files, stamp  # never where tests run, see _pytest

    paths = {Path(root) / file_of(mutant.module)}
    paths |= {Path(root) / test.split("::")[0] for test in mutant.tests}
    code = {
        path.relative_to(root).as_posix(): stamp.module_hash(path, path.stat().st_mtime_ns)
        for path in paths
    }
    return files.digest([mutant.find, mutant.replace, mutant.tests, code])


# --- running tests -------------------------------------------------------------------------------


def copy_repository(target, root=ROOT):
    """A copy of the repository, and of what the library has cached."""
    shutil.copytree(root, target, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
    cache = Path("_build", "cache")  # texts that take seconds to parse
    if (root / cache).is_dir():
        shutil.copytree(root / cache, target / cache)
    return target


def run_tests(repository, tests, limit, numba_cache):
    """Run tests in a copy of the repository until one fails."""
    with tempfile.TemporaryDirectory(prefix="hb-mutant-") as scratch:
        log = Path(scratch, "log")
        process = FORKED.Process(
            target=_pytest, args=(repository, tests, log, scratch, numba_cache)
        )
        process.start()
        try:
            process.join(limit)
            if process.is_alive():
                return Outcome("hung")
        finally:
            if process.is_alive():
                os.killpg(process.pid, signal.SIGKILL)
                process.join()
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    if process.exitcode not in (0, 1):
        return Outcome("broken", " ".join(lines[-1:]))
    failed = [line.split()[1] for line in lines if line.startswith(("FAILED ", "ERROR "))]
    return Outcome("failed" if process.exitcode else "passed", failed[0] if failed else "")


def _pytest(repository, tests, log, scratch, numba_cache):
    # What the forked process does. It is the only place where the library is imported.
    os.setsid()
    # A mistake may ask for all there is: it gets an error, and its tests fail.
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    output = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(repository)
    os.environ |= {
        "PYTHONPATH": str(repository),
        # Compiled files are told apart by size and second: two mutants can agree in both.
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(numba_cache),
        # No example that failed on one mutant is tried first on the next.
        "HYPOTHESIS_STORAGE_DIRECTORY": scratch,
    }
    sys.path.insert(0, str(repository))
    sys.dont_write_bytecode = True
    # What was imported before is that of this repository, in which there is no mistake.
    if imported := sorted({"hblib", "runner"} & sys.modules.keys()):
        print(f"{', '.join(imported)} must not be imported before the tests are run")
        sys.exit(3)

    import numba
    import pytest

    numba.config.reload_config()
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    sys.exit(int(pytest.main([*options, *tests])))


def run_mutant(mutant, repository, limit):
    """Make the mistake in a copy of the repository, run its tests, and take it back."""
    path = repository / file_of(mutant.module)
    before, wrong = path.read_text(encoding="utf-8"), mutated(mutant, repository)
    path.write_text(wrong, encoding="utf-8")
    try:
        # Compiled code of the right module must not stand in for that of the wrong one.
        with tempfile.TemporaryDirectory(prefix="hb-numba-") as own:
            compiled = own if "njit" in wrong else repository.parent / "numba"
            return run_tests(repository, mutant.tests, limit, compiled)
    finally:
        path.write_text(before, encoding="utf-8")


def run(mutants, workers):
    """Yield the outcomes of mutants, each with its mutant, as they come.

    Before a test is asked about a mutant it must have passed without any.
    """
    seconds = {}
    with tempfile.TemporaryDirectory(prefix="hb-mutants-") as folder:
        copies = queue.SimpleQueue()
        for number in range(workers):
            copies.put(copy_repository(Path(folder, str(number), "book")))

        def one(mutant):
            repository = copies.get()
            try:
                if new := [name for name in mutant.tests if name not in seconds]:
                    start = time.monotonic()
                    found = run_tests(repository, new, 1800, repository.parent / "numba")
                    if found.said != "passed":
                        return Outcome("broken", f"without a mutant: {found.test or new}")
                    seconds.update(dict.fromkeys(new, time.monotonic() - start))
                # Compiling anew takes a minute; on a busy machine everything takes longer.
                limit = 180 + 5 * max(seconds[name] for name in mutant.tests)
                return run_mutant(mutant, repository, limit)
            finally:
                copies.put(repository)

        with ThreadPoolExecutor(workers) as pool:
            waiting = {pool.submit(one, mutant): mutant for mutant in mutants}
            try:
                for done in tqdm(as_completed(waiting), total=len(mutants), unit="mutant"):
                    yield waiting[done], done.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def one_of_every_module_first(mutants):
    """Another order, so that a run that is stopped early has seen all of the library."""
    seen = Counter()
    turns = {}
    for mutant in mutants:
        turns[mutant.name] = seen[mutant.module]
        seen[mutant.module] += 1
    return sorted(mutants, key=lambda mutant: turns[mutant.name])


# --- what came out -------------------------------------------------------------------------------


def read_results():
    """The rows of the table by the mutant's name."""
    if not RESULTS.is_file():
        return {}
    with open(RESULTS, encoding="utf-8", newline="") as file:
        return {row["mutant"]: row for row in csv.DictReader(file)}


def write_results(outcomes, mutants, stamps):
    """Note the outcomes; mutants that were not run keep what is known of them."""
    rows = read_results()
    for mutant in mutants:
        if found := outcomes.get(mutant.name):
            named = {"passed": "survived", "failed": "caught"}.get(found.said, found.said)
            values = (mutant.name, mutant.module, named, found.test, stamps[mutant.name])
            rows[mutant.name] = dict(zip(COLUMNS, values))
    with open(RESULTS, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        table.writeheader()
        table.writerows(rows[mutant.name] for mutant in mutants if mutant.name in rows)


def current(mutants, stamps):
    """Names of the mutants whose outcome in the table is that of today's code."""
    rows = read_results()
    return {
        mutant.name
        for mutant in mutants
        if mutant.name in rows
        and rows[mutant.name]["outcome"] != "broken"
        and rows[mutant.name]["stamp"] == stamps[mutant.name]
    }


def report(mutants):
    """Print who survived and the share caught; true when nothing is left to be done."""
    rows = read_results()
    good = True
    for mutant in mutants:
        said, test = rows[mutant.name]["outcome"], rows[mutant.name]["test"]
        if said == "broken":
            verdict = f"cannot be judged: {test}"
        elif said == "survived":
            verdict = f"survives: {mutant.survives or 'unexplained'}"
        elif mutant.survives:
            verdict = f"caught by {test}, though the list explains why it cannot be"
        else:
            continue
        good &= said == "survived" and mutant.survives is not None
        print(f"\n{mutant.name} ({mutant.module})")
        print(textwrap.indent(textwrap.fill(f"{mutant.what} {verdict}", 96), "    "))
    counts = Counter(rows[mutant.name]["outcome"] for mutant in mutants)
    n_caught = counts["caught"] + counts["hung"]
    print(
        f"\n{n_caught} of {len(mutants)} mutants caught ({n_caught / len(mutants):.1%}), "
        f"{counts['hung']} of them because the tests did not end"
    )
    return good and n_caught >= ENOUGH * len(mutants)


def main():
    """Run the mutants asked for; 0 if enough are caught and every survivor is explained."""
    from runner import processor

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", metavar="NAME", help="this mutant")
    parser.add_argument(
        "--module", action="append", metavar="NAME", help="a module or room, as in hblib.sparse"
    )
    parser.add_argument("--all", action="store_true", help="also those whose result is current")
    parser.add_argument("--check", action="store_true", help="only count the current results")
    parser.add_argument("--workers", type=int, default=2, help="copies of the repository (2)")
    options = parser.parse_args()
    mutants = read_list()
    if unknown := sorted(set(options.only or ()) - {mutant.name for mutant in mutants}):
        parser.error(f"there is no mutant {', '.join(unknown)}")
    modules = [name.removesuffix(".py").replace("/", ".") for name in options.module or ()]
    chosen = [
        mutant
        for mutant in mutants
        if (not options.only or mutant.name in options.only)
        and (not modules or any(f"{mutant.module}.".startswith(f"{one}.") for one in modules))
    ]
    if not chosen:
        parser.error(f"no mutant is of {', '.join(modules)}")
    for mutant in chosen:
        mutated(mutant)  # complains about code that is no longer there
    stamps = {mutant.name: stamp_of(mutant) for mutant in mutants}
    known = current(chosen, stamps)
    print(f"{len(known)} of {len(chosen)} results are current")
    if options.check:
        return 0 if len(known) == len(chosen) else 1
    os.environ |= processor.environment()
    FORKED.set_forkserver_preload(IMPORTED)
    todo = [mutant for mutant in chosen if options.all or mutant.name not in known]
    outcomes = {}
    for mutant, found in run(one_of_every_module_first(todo), max(1, options.workers)):
        outcomes[mutant.name] = found
        write_results(outcomes, mutants, stamps)
    return 0 if report(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
