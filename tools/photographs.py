"""Ask chapter 5's questions of photographs, or at the source's scale, and store what comes out.

    python tools/photographs.py RUN [--folder FOLDER]

RUN is `lfw_subset` (100 photographs that come with scikit-image), `olivetti` (400 photographs, from
the original file olivettifaces.mat in FOLDER, or in the folder that HB_FACES names), `celeba`
(with `celeba/list_attr_celeba.txt` and `celeba/img_align_celeba` in that folder) or `source` (drawn
faces, 500 numbers, 2,000 atoms, 15 terms). The first two take half a minute each on one core, the
last three to fifteen; CelebA has not been tried whole. The code that measures is the chapter's own,
taken from its notebook; only parameters are other ones. One value per network goes to
book/photographs/RUN.json, and from these files the tables of book/photographs.md are made. No
picture is copied or stored.
"""

import argparse
import ast
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

from runner import processor

os.environ.update(processor.environment())  # before anything below loads its kernels

import joblib  # noqa: E402
import numpy as np  # noqa: E402
import scipy.io  # noqa: E402
import scipy.stats  # noqa: E402
from PIL import Image  # noqa: E402
from scipy.io.matlab import MatReadError  # noqa: E402

from runner import files  # noqa: E402

CHAPTER = "05_thought_vectors"
KINDS = ("K-SVD", "Gaussian twin", "random codes", "units", "PCA", "ICA")
TESTS = {
    "explained": "share of the variance of unseen codes that sums of k atoms explain",
    "rebuild": "share of the visible difference from the average face that they restore",
    "name": "coverage of what is known of the pictures",
    "edit": "purity of the change that a named atom makes",
    "query": "precision of a search by name, above the base rate",
}
FEW = {"n_networks": 20, "size": 32, "codes_per_atom": 10, "n_train": 4000}
RUNS = {
    "lfw_subset": {
        "title": "100 photographs from Labeled Faces in the Wild (25 pixels wide, grey)",
        "parameters": {
            "data_set": "lfw_subset", "n_latent": 16, "n_atoms": 32, "sparsity": 4,
            "n_epochs": 100, **FEW,
        },
    },
    "olivetti": {
        "title": "the 400 Olivetti photographs (64 pixels wide, grey)",
        "parameters": {
            "data_set": "olivetti", "n_latent": 32, "n_atoms": 64, "sparsity": 5,
            "n_epochs": 40, **FEW,
        },
    },
    "celeba": {
        "title": "9,200 photographs from CelebA (178 x 218 pixels, in colour), with 40 attributes",
        "parameters": {
            "data_set": "celeba", "n_networks": 20, "n_latent": 64, "n_atoms": 160, "sparsity": 8,
        },
    },
    "source": {
        "title": "drawn faces with 500 numbers, 2,000 atoms and 15 terms, as in the source",
        "parameters": {
            "n_latent": 500, "n_atoms": 2000, "sparsity": 15, "codes_per_atom": 10,
            "n_train": 20000, "n_networks": 3, "n_rounds": 3,
        },
        "constants": {"N_INPUTS": 512, "N_NAMING": 20000},
    },
}  # fmt: skip


def statements(source):
    """The statements of a cell, each with its text, decorators included."""
    lines = source.splitlines()
    found = []
    for node in ast.parse(source).body:
        decorators = getattr(node, "decorator_list", [])
        first = min(part.lineno for part in (node, *decorators))
        found.append((node, "\n".join(lines[first - 1 : node.end_lineno])))
    return found


def code_that_measures(notebook):
    """The chapter's code from its imports to `studies`, without what only shows something.

    Parameters
    ----------
    notebook : nbformat.NotebookNode or dict

    Returns
    -------
    str
    """
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    imports = (ast.Import, ast.ImportFrom)
    kept = [text for node, text in statements(sources[0]) if isinstance(node, imports)]
    for cell, source in zip(cells, sources):
        found = statements(source)
        named = {node.name for node, _ in found if isinstance(node, ast.FunctionDef)}
        if "parameters" in cell["metadata"].get("tags", ()) or "album" in named:
            kept += [text for _, text in found]
        elif "study" in named:
            for node, text in found:
                kept.append(text)
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "studies":
                    return "\n".join(kept) + "\n"
    raise ValueError(f"{CHAPTER} has no cell that defines study and assigns studies")


def with_values(code, values):
    """Code in which the first assignment of every name has another value."""
    tree, left = ast.parse(code), dict(values)
    for node in tree.body:
        name = ast.unparse(node.targets[0]) if isinstance(node, ast.Assign) else None
        if name in left:
            node.value = ast.Constant(left.pop(name))
    if left:
        raise ValueError(f"{CHAPTER} assigns no {', '.join(left)}")
    return ast.unparse(tree)


def keep_olivetti(file, home):
    """Bring the original file to where the chapter looks, in a folder that does not last.

    Parameters
    ----------
    file : path
        ``olivettifaces.mat``, with ``faces`` of shape (4096, 400).
    home : path
    """
    if not Path(file).is_file():
        raise SystemExit(f"there is no file {file}: name the folder of olivettifaces.mat")
    try:
        faces = scipy.io.loadmat(file)["faces"]
    except (MatReadError, ValueError, KeyError, TypeError, NotImplementedError, OSError):
        raise SystemExit(f"{file} is not the file of the Olivetti faces") from None
    if faces.ndim != 2 or faces.shape != (4096, 400):
        shape = " x ".join(map(str, faces.shape))
        raise SystemExit(
            f"{file} must hold 400 pictures of 64 x 64 pixels, a table of 4096 x 400, got {shape}"
        )
    joblib.dump(faces.T.copy(), Path(home) / "olivetti_py3.pkz")


def check_celeba(folder):
    """Refuse a folder that is not laid out like CelebA, or has a picture that is another's.

    Parameters
    ----------
    folder : path
        With ``celeba/list_attr_celeba.txt`` and pictures in ``celeba/img_align_celeba``.
    """
    listed = Path(folder) / "celeba" / "list_attr_celeba.txt"
    if not listed.is_file():
        raise SystemExit(f"there is no file {listed}: name the folder that holds the folder celeba")
    lines = listed.read_text(encoding="utf-8", errors="replace").splitlines()
    width = len(lines[1].split()) if len(lines) > 1 else 0
    rows = [line.split() for line in lines[2:]]
    if not rows or any(len(row) != width + 1 or {*row[1:]} - {"1", "-1"} for row in rows):
        raise SystemExit(f"{listed} must have a name and {width} times 1 or -1 on each line")
    for name, *_ in rows:
        path = listed.parent / "img_align_celeba" / name
        if not path.is_file():
            raise SystemExit(f"there is no file {path}, which {listed.name} names")
        try:
            with Image.open(path) as picture:
                size = picture.size
        except OSError:
            raise SystemExit(f"{path} is not a picture") from None
        if size != (178, 218):
            raise SystemExit(f"{path} must be 178 x 218 pixels, got {size[0]} x {size[1]}")


def measured(code):
    """Run the code; one value per network of every test and kind, and how many faces there were."""
    scope = {"__name__": "photographs"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ICA that stops early, as in the chapter
        exec(compile(code, CHAPTER, "exec"), scope)
    values = {
        test: {kind: [float(s[test, kind]) for s in scope["studies"]] for kind in KINDS}
        for test in TESTS
    }
    about = {
        "pictures": [len(scope["images"]), len(scope["unseen_images"])],
        "ssim": similarity_of(scope),
        "factors": int(scope["known"].shape[1]),
        "legible": len(scope["legible"]),
    }
    return values, about


def similarity_of(scope):
    """Structural similarity of unseen pictures and what the first network makes of them."""
    some = slice(0, 100)
    made = scope["pictures"](scope["decode"](0, scope["unseen"][0][some]))
    true = scope["unseen_images"][some] / np.float32(255)
    return float(scope["worlds"].ssim(true, made).mean())


def digest(code, run):
    """Hash of the code that measures and of the values that it is given."""
    text = code + json.dumps([run["parameters"], run.get("constants", {})])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def line(values, test):
    """Means of all kinds in points, and K-SVD's lead over the best rival with its t interval.

    With fewer than six networks, the lowest and the highest value instead.
    """
    table = {kind: np.array(values[test][kind]) for kind in KINDS}
    best = np.max([table[kind] for kind in KINDS[1:]], axis=0)
    lead = 100 * (table["K-SVD"] - best)
    means = [f"{100 * table[kind].mean():.0f}" for kind in KINDS]
    if len(lead) < 6:
        low, high = lead.min(), lead.max()
    else:
        half = scipy.stats.t.ppf(0.975, len(lead) - 1) * lead.std(ddof=1) / len(lead) ** 0.5
        low, high = lead.mean() - half, lead.mean() + half
    return [*means, f"{lead.mean():+.1f}", f"{low:+.1f} to {high:+.1f}"]


def tables(folder):
    """The tables of the page, from the stored files.

    Parameters
    ----------
    folder : path

    Returns
    -------
    str
        Markdown.
    """
    parts = []
    for run in RUNS:
        if not (folder / f"{run}.json").is_file():
            continue
        stored = json.loads((folder / f"{run}.json").read_text(encoding="utf-8"))
        p, about = stored["parameters"], stored["about"]
        n, m, k = (p[name] for name in ("n_latent", "n_atoms", "sparsity"))
        title = RUNS[run]["title"]
        learned, unseen = about["pictures"]
        spread = "lowest to highest" if p["n_networks"] < 6 else "95 % interval"
        parts += [
            f"## {title[0].upper()}{title[1:]}",
            f"Codes of $n = {n}$ numbers, $m = {m:,}$ atoms, $k = {k}$ terms; "
            f"{p['n_networks']} networks; {learned:,} pictures to learn from and {unseen:,} unseen "
            "ones, mirror images counted. The first network's versions of unseen pictures have an "
            f"SSIM of {about['ssim']:.2f}. Of {about['factors']} factors, {about['legible']} can "
            "be read back from the pictures.",
            "| test | " + " | ".join(KINDS) + f" | lead | {spread} |",
            "| --- |" + " --- |" * (len(KINDS) + 2),
        ]
        rows = [f"| {test} | " + " | ".join(line(stored["values"], test)) + " |" for test in TESTS]
        parts[-1] += "\n" + "\n".join(rows)
        parts[-2:] = ["\n".join(parts[-2:])]
        parts.append(
            f"Stored on {stored['date']}: {stored['seconds']:,} seconds with one thread, "
            f"code and parameters `{stored['code']}`, Python {stored['python']}, "
            + ", ".join(f"{name} {number}" for name, number in stored["releases"].items())
            + "."
        )
    return "\n\n".join(parts)


MARKS = "<!-- tables: made by tools/photographs.py -->", "<!-- end of tables -->"


def page_with(text, made):
    """The page with its tables made anew."""
    first, last = map(re.escape, MARKS)
    made = f"{MARKS[0]}\n\n{made}\n\n{MARKS[1]}"
    return re.sub(f"{first}.*{last}", lambda _: made, text, flags=re.DOTALL)


def main(arguments=None):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", choices=RUNS)
    parser.add_argument("--folder", help="where the pictures are; by default $HB_FACES")
    options = parser.parse_args(arguments)
    root = files.find_root()
    notebook = json.loads(files.find_chapter(root, CHAPTER).read_text(encoding="utf-8"))
    code, run = code_that_measures(notebook), RUNS[options.run]
    other = with_values(code, {**run["parameters"], **run.get("constants", {})})
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        if options.run in ("olivetti", "celeba"):
            folder = options.folder or os.environ.get("HB_FACES")
            if folder is None:
                parser.error(f"{options.run} needs --folder, or HB_FACES, where the pictures are")
            if options.run == "celeba":
                check_celeba(folder)
            else:
                keep_olivetti(Path(folder) / "olivettifaces.mat", home)
            os.environ["SCIKIT_LEARN_DATA"] = folder if options.run == "celeba" else home
        values, about = measured(other)
    stored = {
        "run": options.run,
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - began),
        "python": platform.python_version(),
        "code": digest(code, run),
        "releases": {
            name: importlib.metadata.version(name)
            for name in ("numpy", "scipy", "scikit-learn", "torch", "scikit-image")
        },
        "parameters": run["parameters"],
        "about": about,
        "values": {
            test: {kind: [round(v, 5) for v in found] for kind, found in kinds.items()}
            for test, kinds in values.items()
        },
    }
    folder, page = root / "book" / "photographs", root / "book" / "photographs.md"
    folder.mkdir(exist_ok=True)
    files.write(json.dumps(stored, indent=1) + "\n", folder / f"{options.run}.json")
    if page.is_file():
        files.write(page_with(page.read_text(encoding="utf-8"), tables(folder)), page)
    print(tables(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
