"""The book's questions asked of a file of activations: notebook, page and table of outcomes."""

from pathlib import Path

import nbformat

from runner import files, page
from runner.execute import ChapterError, ChapterKernel, _last_line

NOTEBOOK = Path(__file__).with_name("your_network.ipynb")


def probe(path, folder, labels=None, other=None, layers=(), sparsity=4, seed=0, time_limit=None):
    """Run the notebook of questions on a file of activations.

    Parameters
    ----------
    path : str or Path or None
        A file that `hblib.probe.load` reads; None for a network that is trained for the occasion.
    folder : str or Path
        Where ``<name>.ipynb``, ``<name>.html`` and ``<name>.csv`` go, the table of outcomes.
    labels : str or Path, optional
        A file that `hblib.probe.load_labels` reads.
    other : str or Path, optional
        Activations of another network for the same samples.
    layers : sequence of str
        Which layers of the file; all of them if there is none.
    sparsity, seed : int
    time_limit : float, optional
        Seconds for each cell.

    Returns
    -------
    list of Path
        The notebook, the page and the table.

    Raises
    ------
    ValueError
        If a file cannot be read; nothing is written then.
    ChapterError
        If a question failed; the notebook up to there is kept.
    """
    from hblib import probe as questions

    folder = Path(folder).resolve()
    # Said before a kernel starts.
    n_samples = None
    if path is not None:
        tables = questions.load(path, list(layers) or None)
        n_samples = len(next(iter(tables.values())))
    if labels is not None:
        given = questions.load_labels(labels)
        if n_samples is not None:
            questions.attributes_of(given, n_samples)
    if other is not None:
        lengths = {len(table) for table in questions.load(other).values()}
        if n_samples is None:
            raise ValueError("other needs a path to compare with")
        if lengths != {n_samples}:
            raise ValueError(
                f"other must hold the same samples: it has {sorted(lengths)}, path {n_samples} rows"
            )
    name = "your_network" if path is None else Path(path).stem
    notebook, table = folder / f"{name}.ipynb", folder / f"{name}.csv"
    values = {
        "path": str(Path(path).resolve()) if path is not None else "",
        "labels": str(Path(labels).resolve()) if labels is not None else "",
        "other": str(Path(other).resolve()) if other is not None else "",
        "layers": ",".join(layers),
        "sparsity": int(sparsity),
        "seed": int(seed),
        "table": str(table),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _run(notebook, values, time_limit)
    return [notebook, page.write(notebook), table]


def _run(output, values, time_limit):
    import papermill

    source = files.read(NOTEBOOK)
    source.metadata["hblib"] = nbformat.from_dict({"parameters": values})
    files.write(nbformat.writes(source) + "\n", output)
    try:
        papermill.execute_notebook(
            str(output),
            str(output),
            parameters=values,
            kernel_name="python3",
            language="python",
            cwd=str(output.parent),
            progress_bar=False,
            kernel_manager_class=ChapterKernel,
            timeout_func=lambda cell: time_limit and max(1, int(time_limit)),
        )
    except papermill.PapermillExecutionError as error:
        raise ChapterError(f"cell [{error.exec_count}] raised {_last_line(error)}") from error
    except TimeoutError as error:
        raise ChapterError(f"a question did not end within {time_limit:g} s") from error
