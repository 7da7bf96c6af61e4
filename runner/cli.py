"""The command `hb`: run chapters, sweep them, and say whether what is stored is current.

Every command imports what it needs when it is called, so that `hb stale` answers at once.
"""

import hashlib
import os
import sys
from pathlib import Path

try:
    import click
except ImportError:
    raise SystemExit("hb: needs more than the library: pip install 'hblib[run]'") from None

_CORES = os.cpu_count() or 1
_LONGEST = 120  # bytes in the name of a run's files, without the ending


def main(arguments=None):
    """Run `hb` and return its exit status.

    Returns
    -------
    int
        0 if all went well, 1 if something failed, 2 if `hb` was wrongly called. An interrupted
        command ends the process with 130.
    """
    try:
        return hb.main(arguments, "hb", standalone_mode=False) or 0
    except click.UsageError as error:
        help = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
        message = error.format_message().rstrip(".")
        _complain(f"{message[:1].lower()}{message[1:]}{help}")
        return 2
    except click.ClickException as error:
        _complain(error.format_message())
        return error.exit_code
    except (ValueError, OSError) as error:
        _complain(error)
        return 2
    except click.Abort as abort:  # in place of a KeyboardInterrupt
        said = abort.__cause__.args if abort.__cause__ else ()
        _complain(": ".join(["interrupted", *map(str, said)]))
        sys.stderr.flush()
        # Threads that still wait for their kernels would hold up a normal exit.
        os._exit(130)


# ---------------------------------------------------------------- what commands have in common


def _chapter_names(context, parameter, incomplete):
    """For the shell: the chapters whose names begin as typed."""
    from runner import files

    try:
        names = [path.stem for path in files.chapters(files.find_root())]
    except ValueError:
        return []
    return [name for name in names if name.startswith(incomplete)]


_chapter = click.argument("chapter", metavar="CH", shell_complete=_chapter_names)
_chapters = click.argument("names", nargs=-1, metavar="[CH]...", shell_complete=_chapter_names)


def _paths(root, names):
    from runner import files

    return [files.find_chapter(root, name) for name in names] or files.chapters(root)


def _complain(message):
    print(f"hb: {message}", file=sys.stderr)


def _relative(path):
    path = Path(path).resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print_table(head, rows):
    """Print rows of texts in columns."""
    rows = [head, *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())


# ---------------------------------------------------------------- the commands


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  hb stale
  hb run 02_rotation k=8 seed=3
  hb sweep 02_rotation --grid my.yml

\b
CH is the name of a chapter, such as 02_rotation. To have the shell complete
commands and chapters when you press Tab, add one line to its start-up file:
  ~/.bashrc                   eval "$(_HB_COMPLETE=bash_source hb)"
  ~/.zshrc                    eval "$(_HB_COMPLETE=zsh_source hb)"
  ~/.config/fish/config.fish  _HB_COMPLETE=fish_source hb | source

\b
Exit status: 0 all went well, 1 something failed, 2 wrongly called,
130 interrupted.
""",
)
@click.pass_context
def hb(context):
    """Run the chapters of The Hidden Basis, and see whether their verdicts hold."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        context.exit(2)


@hb.command(
    epilog="""\b
Examples:
  hb stale
  hb stale --check 02_rotation && echo current
"""
)
@_chapters
@click.option("--check", is_flag=True, help="Exit with 1 if a chapter is out of date.")
def stale(names, check):
    """List the chapters whose outputs are out of date, and say why."""
    from runner import files, stamp

    found = {path.stem: stamp.stale(path) for path in _paths(files.find_root(), names)}
    found = {chapter: reasons for chapter, reasons in found.items() if reasons}
    for chapter, reasons in found.items():
        print(f"{chapter}: {'; '.join(reasons)}")
    if not found:
        print(f"current: {', '.join(names)}" if names else "every chapter is current")
    return int(check and len(found) > 0)


@hb.command(
    epilog="""\b
Examples:
  hb execute
  hb execute 02_rotation 03_subspace_match
  hb execute --all --jobs 4
"""
)
@_chapters
@click.option("--all", "every", is_flag=True, help="Also chapters that are not out of date.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=_CORES,
    show_default=True,
    help="Chapters at a time.",
)
def execute(names, every, jobs):
    """Execute the chapters that are out of date, in place."""
    from runner import files, stamp

    paths = _paths(files.find_root(), names)
    if not every:
        paths = [path for path in paths if stamp.stale(path)]
    if not paths:
        print("every chapter is current")
        return 0
    from runner import execute

    print(f"executing {', '.join(path.stem for path in paths)}", flush=True)
    outcomes = execute.execute(paths, jobs, report=lambda line: print(line, flush=True))
    return int(any(outcome.error for outcome in outcomes))


@hb.command(
    epilog="""\b
Examples:
  hb parameters 02_rotation
  hb run 02_rotation k=8 seed=3
  hb run 02_rotation losses='[squared, poisson]' --time-limit 600

\b
The run goes to _build/runs, as a notebook and as a page, and the chapter in
notebooks/ stays as it is. The table compares the verdicts of the run with
those of the book.
"""
)
@_chapter
@click.argument("assignments", nargs=-1, metavar="[NAME=VALUE]...")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Where the notebook goes, instead of _build/runs.",
)
@click.option("--time-limit", type=float, metavar="SECONDS", help="For the whole run.")
def run(chapter, assignments, output, time_limit):
    """Run one chapter with other parameters."""
    from runner import files, parameters

    root = files.find_root()
    notebook = files.find_chapter(root, chapter)
    source = files.read(notebook)
    defaults = parameters.declared(source)
    given = parameters.parse(assignments, defaults)
    # Said before the import of all that a run needs.
    parameters.check(given, defaults, parameters.ranges(source), notebook.parent)

    from runner import execute, page

    output = output or root / "_build" / "runs" / f"{run_name(chapter, given)}.ipynb"
    try:
        execute.run(notebook, output, given, time_limit, progress=True)
    except execute.ChapterError as error:
        raise click.ClickException(f"{error}; its notebook so far: {_relative(output)}") from error
    _print_verdicts(root, notebook, output)
    print(_relative(output))
    print(_relative(page.write(output)))
    return 0


def run_name(chapter, given):
    """Return the name of a run's files: the chapter and what was given, or a hash of that.

    Parameters
    ----------
    chapter : str
    given : dict

    Returns
    -------
    str
        At most 120 bytes long, without a slash.

    Examples
    --------
    >>> run_name("02_rotation", {"k": 8, "seed": 3})
    '02_rotation,k=8,seed=3'
    """
    name = ",".join([chapter, *(f"{key}={value}" for key, value in given.items())])
    encoded = name.encode("utf-8", "replace")
    name = encoded.decode().replace("/", "_")
    if len(encoded) > _LONGEST:
        begin = name.encode()[: _LONGEST - 9].decode("utf-8", "ignore")
        name = f"{begin}-{hashlib.sha256(encoded).hexdigest()[:8]}"
    return name


def _print_verdicts(root, notebook, output):
    """Print every claim of a run, beside what the book's chapter found of it."""
    from runner import files, ledger, stamp

    register = files.register(root)
    here = ledger.read_records(output, register)
    if not here:
        print("this chapter checks no claim")
        return
    try:
        book = {record.id: record for record in ledger.read_records(notebook, register)}
    except ValueError as error:
        _complain(f"the book's own verdicts cannot be shown: {error}")
        book = {}
    rows = []
    for record in here:
        shown = record.verdict, _short(record.found.estimate)
        other = ("", "")
        if record.id in book:
            other = book[record.id].verdict, _short(book[record.id].found.estimate)
        unlike = [w for w, a, b in zip(("verdict", "estimate"), shown, other) if b and a != b]
        rows.append([record.id, shown[0], other[0], shown[1], other[1], ", ".join(unlike)])
    head = ["claim", "verdict here", "in the book", "estimate here", "in the book", "differs"]
    _print_table(head, rows)
    if book and (reasons := stamp.stale(notebook)):
        _complain(f"the book's {notebook.stem} is out of date ({'; '.join(reasons)})")


def _short(estimate):
    return "" if estimate is None else f"{estimate:.3g}"


@hb.command(
    epilog="""\b
Examples:
  hb probe
  hb probe activations.npz --labels labels.csv
  hb probe layer.npy --other theirs.npy --folder reports

\b
PATH is a file of activations with one row per sample: .npy, .npz, .parquet
or .safetensors. Without it, a small network is trained and asked.
"""
)
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--labels", type=click.Path(path_type=Path), help="One per row: .npy, .csv, .txt.")
@click.option("--other", type=click.Path(path_type=Path), help="Another network, the same samples.")
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="Of the file; repeatable.")
@click.option("--sparsity", type=click.IntRange(1), default=4, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("."),
    help="Where the report goes, instead of here.",
)
def probe(path, labels, other, layers, sparsity, seed, folder):
    """Ask the book's questions of your own network."""
    import csv

    from runner import execute
    from runner.probe import probe as ask

    try:
        notebook, page, table = ask(path, folder, labels, other, layers, sparsity, seed)
    except execute.ChapterError as error:
        raise click.ClickException(str(error)) from error
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            print(f"{row['layer']}, {row['question']}: {row['answer']}. {row['sentence']}")
    for written in (notebook, page, table):
        print(_relative(written))
    return 0


@hb.command(
    epilog="""\b
Examples:
  hb sweep 02_rotation
  hb sweep 02_rotation --grid my.yml --workers 4
  hb sweep 02_rotation --scheduler tcp://host:8786

\b
A grid of your own is a file such as sweeps/02_rotation.yml:
  fixed: {n_seeds: 6}
  grid: {k: [2, 8], initialisation: [gaussian, uniform]}
  seeds: [1, 2]

\b
Finished runs are kept, so the same command goes on where a sweep was stopped.
The book's own table changes only with hb publish.
"""
)
@_chapter
@click.option(
    "--grid",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Settings to run, instead of sweeps/CH.yml.",
)
@click.option("--scheduler", metavar="ADDRESS", help="A Dask scheduler, such as tcp://host:8786.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=_CORES,
    show_default=True,
    help="Processes on this machine, where no scheduler is given.",
)
def sweep(chapter, grid, scheduler, workers):
    """Run a chapter over a grid of parameters.

    For every claim it then says in how many settings the verdict is that of the book.
    """
    from runner import files, sweep, tables

    root = files.find_root()
    path = sweep.sweep(root, chapter, scheduler, workers, grid)
    for claim, found in sweep.stability(path, files.find_chapter(root, chapter)).items():
        print(f"{claim}: {found.verdict} in {found.held} of {found.n_settings} settings")
        for failing in found.failing:
            print(f"    {failing.setting}: {failing.verdict}")
    print(_relative(path))
    errors = tables.read(path)[1]["error"].dropna()
    if len(errors):
        again = " ".join(["hb sweep", chapter, *([f"--grid {grid}"] if grid else [])])
        _complain(
            f"{len(errors)} runs failed, the first because {errors.iloc[0]}; to try them again: "
            f"{again}"
        )
    return int(len(errors) > 0)


@hb.command(
    epilog="""\b
Example:
  hb sweep 02_rotation && hb publish 02_rotation
"""
)
@_chapter
def publish(chapter):
    """Make the last sweep the book's own table, in sweeps/results."""
    from runner import files, sweep

    print(_relative(sweep.publish(files.find_root(), chapter)))
    return 0


@hb.command(
    epilog="""\b
Example:
  hb parameters 02_rotation
"""
)
@_chapter
def parameters(chapter):
    """List the parameters of a chapter: default, range and meaning."""
    from runner import files, parameters

    notebook = files.read(files.find_chapter(files.find_root(), chapter))
    ranges, comments = parameters.ranges(notebook), parameters.comments(notebook)
    rows = []
    for name, default in parameters.declared(notebook).items():
        allowed = "True or False" if isinstance(default, bool) else "any"
        allowed = ranges[name].text if name in ranges else allowed
        rows.append([name, str(default), allowed, parameters.split(comments[name])[0]])
    _print_table(["name", "default", "range", "meaning"], rows)
    return 0


@hb.command(
    epilog="""\b
Examples:
  hb register
  hb register --seeds
"""
)
@click.option("--seeds", is_flag=True, help="Write the registered seeds into the chapters.")
def register(seeds):
    """List what is registered, and the seeds that follow from it.

    Chapters of the first edition keep the seed they have.
    """
    from runner import files, parameters
    from runner import seeds as registered

    root, rows = files.find_root(), []
    entries = files.register(root).values()
    for path in files.chapters(root):
        changed = seeds and registered.write(path)
        mine = [entry["kind"] for entry in entries if entry["chapter"] == path.stem]
        counts = [str(mine.count(kind)) for kind in ("theorem", "example", "effect")]
        has = parameters.declared(files.read(path)).get("seed")
        needs = registered.registered(root, path.stem)
        said = "written" if changed else "" if needs in (None, has) else "hb register --seeds"
        rows.append([path.stem, *counts, str(has), "any" if needs is None else str(needs), said])
    _print_table(["chapter", "theorems", "examples", "effects", "seed", "registered", ""], rows)
    return 0


@hb.command(
    epilog="""\b
Example:
  hb ledger
"""
)
def ledger():
    """Print the verdict of every claim in the book."""
    from runner import files, ledger
    from runner.standing import tally

    root = files.find_root()
    table = ledger.collect(files.register(root), files.chapters(root))
    shown = table[["id", "kind", "verdict", "estimate", "n", "control"]].copy()
    shown["estimate"] = [_short(estimate) for estimate in shown["estimate"]]
    print(shown.fillna("").to_string(index=False))
    for kind, counts in tally(table).items():
        print(f"{kind}: {', '.join(f'{n} {verdict}' for verdict, n in counts.items()) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
