"""The command `hb`: which chapters are stale, run them, sweep them, print the ledger."""

import argparse
import os
import sys
from pathlib import Path

from runner import execute, ledger

# Only what a command needs is imported, so that `hb stale` answers at once.


def main(arguments=None):
    """Run `hb` and return its exit status: 0 well, 1 something failed, 2 wrongly called."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except (ValueError, OSError) as error:
        print(f"hb: {error}", file=sys.stderr)
        return 2
    except execute.ChapterError as error:
        print(f"hb: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print(": ".join(["hb: interrupted", *interrupt.args]), file=sys.stderr, flush=True)
        # Threads that still wait for their kernels would hold up a normal exit.
        os._exit(130)


def _stale(options):
    root = execute.find_root()
    for path in _chapters(root, options.chapters):
        reasons = execute.stale(path)
        if reasons:
            print(f"{path.stem}: {'; '.join(reasons)}")
    return 0


def _execute(options):
    root = execute.find_root()
    paths = _chapters(root, options.chapters)
    if not options.all:
        paths = [path for path in paths if execute.stale(path)]
    if not paths:
        print("every chapter is current")
        return 0
    print(f"executing {', '.join(path.stem for path in paths)}", flush=True)
    outcomes = execute.execute(paths, options.jobs, report=_print_line)
    return int(any(outcome.error for outcome in outcomes))


def _run(options):
    from runner import parameters

    root = execute.find_root()
    notebook = execute.find_chapter(root, options.chapter)
    defaults = parameters.declared(parameters.read(notebook))
    given = parameters.parse(options.assignments, defaults)
    name = ",".join([notebook.stem, *(f"{key}={value}" for key, value in given.items())])
    output = options.output or root / "_build" / "runs" / f"{name.replace('/', '_')}.ipynb"
    execute.run(notebook, output, given, options.time_limit)
    print(_relative(output))
    return 0


def _sweep(options):
    from runner import sweep

    root = execute.find_root()
    cluster = options.scheduler, options.workers
    if options.check is None:
        path = sweep.sweep(root, options.chapter, *cluster)
    else:
        path = sweep.check(root, options.chapter, options.check, *cluster)
    for claim, found in sweep.stability(path).items():
        print(f"{claim}: {found.verdict} in {found.held} of {found.n_settings} settings")
        for failing in found.failing:
            print(f"    {failing.setting}: {failing.verdict}")
    print(_relative(path))
    errors = sweep.read_results(path)["error"].dropna()
    if len(errors):
        print(
            f"hb: {len(errors)} runs failed, the first because {errors.iloc[0]}; to try them "
            f"again: hb sweep {options.chapter}",
            file=sys.stderr,
        )
    return int(len(errors) > 0)


def _ledger(options):
    from hblib import claims

    root = execute.find_root()
    register = claims.load_register(root / "hblib" / "claims" / "register.yml")
    table = ledger.collect(register, execute.chapters(root))
    shown = table[["id", "verdict", "estimate", "n", "control"]].copy()
    shown["estimate"] = ["" if x is None else f"{x:.3g}" for x in shown["estimate"]]
    print(shown.fillna("").to_string(index=False))
    print(", ".join(f"{n} {verdict}" for verdict, n in ledger.count_verdicts(table).items() if n))
    return 0


def _chapters(root, names):
    return [execute.find_chapter(root, name) for name in names] or execute.chapters(root)


def _print_line(line):
    print(line, flush=True)


def _relative(path):
    path = Path(path).resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _parser():
    parser = argparse.ArgumentParser(prog="hb", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name, function, text):
        sub = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        sub.set_defaults(command=function)
        return sub

    cores = os.cpu_count() or 1
    sub = command("stale", _stale, "list the chapters whose outputs are out of date, and why")
    sub.add_argument("chapters", nargs="*", metavar="CH", help="chapter, as in 02_rotation")

    sub = command("execute", _execute, "re-execute the stale chapters in place, side by side")
    sub.add_argument("chapters", nargs="*", metavar="CH", help="only these chapters")
    sub.add_argument("--all", action="store_true", help="also chapters that are not stale")
    sub.add_argument("--jobs", type=int, default=cores, help=f"kernels at a time ({cores})")

    sub = command("run", _run, "run one chapter with other parameters")
    sub.add_argument("chapter", metavar="CH")
    sub.add_argument("assignments", nargs="*", metavar="NAME=VALUE", help="as in k=8 seed=3")
    sub.add_argument("--output", type=Path, help="executed notebook (under _build/runs)")
    sub.add_argument("--time-limit", type=float, metavar="SECONDS", help="for the whole run")

    sub = command("sweep", _sweep, "run a chapter over the grid of sweeps/CH.yml, and resume it")
    sub.add_argument("chapter", metavar="CH")
    sub.add_argument(
        "--scheduler", metavar="ADDRESS", help="a Dask scheduler, as in tcp://host:8786"
    )
    sub.add_argument("--workers", type=int, default=cores, help=f"without a scheduler ({cores})")
    sub.add_argument(
        "--check", type=int, metavar="N", help="repeat N of the runs only, and compare them"
    )

    command("ledger", _ledger, "print the verdict of every claim")
    return parser


if __name__ == "__main__":
    sys.exit(main())
