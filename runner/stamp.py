"""Stamps: whether a chapter's outputs still are what its code gives.

A committed chapter carries a hash of everything that its outputs depend on: its code cells, the
modules of `hblib` that they import (directly or through one another), what its entries in the
register fix, the locked releases of the packages that all these import, the data that come with
those modules, and the files that the notebook's metadata declare (``hblib: {data: [...]}``).

Code is hashed as a syntax tree without comments, docstrings and annotations of functions, the
register without its prose, and what only shows or judges a result is left out. A clearer sentence,
another colour of a card, another rule for verdicts or a moved page therefore makes nothing stale.
"""

import ast
import functools
import re
import sys
import threading
from pathlib import Path

import yaml
from IPython.core.inputtransformer2 import TransformerManager

from hblib.claims import registered_hash
from hblib.claims._register import judged_by_contrast
from runner import files

PACKAGE = "hblib"
MOST_NAMED = 5  # reasons of one sort that are named; the others are counted
# Modules that show what was found, or judge it when it is read, and cannot change it.
READS_ONLY = {"hblib.claims._cards", "hblib.claims._records", "hblib.claims._register"}
# Judges effects of the second edition and nothing else.
EFFECTS = "hblib.claims._effects"
# The same among packages; they would bring all of Sphinx with them.
_CARRIERS = {"ipython", "myst-nb", "nbformat"}
# Where the name of a package on the index is not the name it is imported by.
_INDEX_NAMES = {"sklearn": "scikit-learn", "skimage": "scikit-image", "yaml": "pyyaml"}
_DATA = {".csv", ".json", ".npz", ".npy", ".xz", ".gz", ".yml", ".bin"}  # beside modules
_PARSING = threading.Lock()


def inputs(notebook):
    """Return hashes of everything the outputs of a chapter depend on.

    Parameters
    ----------
    notebook : str or Path
        A chapter, in ``notebooks/`` of the book.

    Returns
    -------
    dict
        ``code`` and ``register`` (one hash each), ``modules`` (dotted name to hash), ``lock``
        (package to locked release, of the packages imported by code and modules and of all that
        these require) and ``data`` (file, from the book's folder on, to hash).

    Raises
    ------
    ValueError
        If a cell or a module cannot be parsed, or declared data are not there.
    """
    notebook = Path(notebook).resolve()
    root = notebook.parent.parent
    cells = _cells(notebook)
    modules = _reached(cells, root)
    trees = [*cells, *(tree for _, tree in modules.values())]
    imported = set().union(*(_imported(tree, PACKAGE) for tree in trees))
    registered = _registered(root, notebook.stem)
    unused = READS_ONLY if registered["contrasts"] else {*READS_ONLY, EFFECTS}
    return {
        "code": files.digest([form(tree) for tree in cells]),
        "register": files.digest(registered["claims"]),
        "lock": _locked(_packages(imported), root / "requirements.lock"),
        "modules": {
            name: module_hash(path, path.stat().st_mtime_ns)
            for name, (path, _) in modules.items()
            if name not in unused
        },
        "data": {
            path.relative_to(root).as_posix(): files.digest(path.read_bytes())
            for path in _data(notebook, root, [path for path, _ in modules.values()])
        },
    }


def stamp(notebook):
    """Return one hash over all `inputs` of a chapter."""
    return files.digest(inputs(notebook))


def stale(notebook):
    """Say why the outputs of a committed chapter may no longer be what its code gives.

    Parameters
    ----------
    notebook : str or Path

    Returns
    -------
    list of str
        One reason each, empty if the chapter is current.
    """
    executed = files.read(notebook)
    recorded = executed.metadata.get("hblib", {}).get("inputs")
    if recorded is None:
        return ["never executed by hb"]
    reasons = []
    if any(c.cell_type == "code" and c.execution_count is None for c in executed.cells):
        reasons.append("a code cell has no outputs")
    now = inputs(notebook)
    for key, reason in {
        "code": "its code changed",
        "register": "what is registered for it changed",
    }.items():
        if recorded.get(key) != now[key]:
            reasons.append(reason)
    forms = {"modules": "{} changed", "data": "{} changed", "lock": "{} in the lock changed"}
    for key, form in forms.items():
        before = recorded.get(key, {})
        changed = sorted({name for name, _ in set(before.items()) ^ set(now[key].items())})
        reasons += [form.format(name) for name in changed[:MOST_NAMED]]
        if len(changed) > MOST_NAMED:
            reasons.append(f"{len(changed) - MOST_NAMED} more {key} changed")
    return reasons


def imports(notebook):
    """Return the names of all modules that a chapter imports, itself or through the library.

    Parameters
    ----------
    notebook : str or Path

    Returns
    -------
    list of str
        In alphabetical order.
    """
    notebook = Path(notebook).resolve()
    cells = _cells(notebook)
    modules = _reached(cells, notebook.parent.parent)
    trees = [*cells, *(tree for _, tree in modules.values())]
    imported = set().union(*(_imported(tree, PACKAGE) for tree in trees))
    others = {name for name in imported if name.split(".")[0] != PACKAGE}
    return sorted(others | modules.keys())


# ---------------------------------------------------------------- code


def _cells(notebook):
    """Syntax trees of the code cells."""
    to_python = TransformerManager().transform_cell
    sources = [c.source.strip() for c in files.read(notebook).cells if c.cell_type == "code"]
    return [
        _parsed(to_python(source), f"{notebook.stem}, code cell {number}")
        for number, source in enumerate(sources, start=1)
    ]


def _parsed(text, where):
    try:
        with _PARSING:  # CPython 3.11 raises a SystemError now and then in two threads at once
            return ast.parse(text)
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}," if getattr(error, "lineno", None) else ""
        reason = getattr(error, "msg", error)
        raise ValueError(f"{where}{line} cannot be parsed: {reason}") from None


@functools.lru_cache(maxsize=512)
def _module(path, _changed):
    return _parsed(path.read_text(encoding="utf-8"), f"{path.parent.name}/{path.name}")


@functools.lru_cache(maxsize=512)
def module_hash(path, changed):
    """Return the hash of a module's code, given when the file was last changed."""
    return files.digest(form(_module(path, changed)))


class _Bare(ast.NodeTransformer):
    """Takes out of a tree what cannot change a result."""

    def _without_docstring(self, node):
        self.generic_visit(node)
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            if isinstance(first.value.value, str):
                node.body = node.body[1:] or [ast.Pass()]
        return node

    visit_Module = visit_ClassDef = _without_docstring

    def _function(self, node):
        node.returns = None
        for argument in ast.walk(node.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        return self._without_docstring(node)

    visit_FunctionDef = visit_AsyncFunctionDef = _function


def form(tree):
    """Return a syntax tree as text, without what cannot change a result."""
    # A copy, since the tree is kept: unparsing and parsing again is the cheapest deep copy.
    copy = _parsed(ast.unparse(tree), "a module")
    return ast.dump(_Bare().visit(copy), annotate_fields=False)


def _imported(tree, package):
    """Absolute names that a syntax tree imports, at whatever depth of the code.

    For ``from a import b`` both ``a`` and ``a.b``, since ``b`` may be a module. Relative imports
    are of `package`.
    """
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join(filter(None, [*(parts if node.level else []), node.module]))
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _reached(cells, root):
    """Dotted name -> (path, tree) of all modules of the library that the cells reach."""
    found = {}
    waiting = set().union(*(_imported(tree, "__main__") for tree in cells))
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        # Importing a module runs the packages above it.
        for depth in range(1, len(parts) + 1):
            one = ".".join(parts[:depth])
            path = _file(root, parts[:depth])
            if one in found or path is None:
                continue
            tree = _module(path, path.stat().st_mtime_ns)
            found[one] = path, tree
            inside = one if path.name == "__init__.py" else one.rpartition(".")[0]
            waiting |= _imported(tree, inside) - found.keys()
    return dict(sorted(found.items()))


def _file(root, parts):
    """The file of a module or package; None if the name is of something inside one."""
    base = root.joinpath(*parts)
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


# ---------------------------------------------------------------- register, releases, data


def _registered(root, chapter):
    """Hashes of what the register fixes for a chapter, and whether one is judged by contrast."""
    path = root / files.REGISTER
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    entries = [entry for entry in entries if entry["chapter"] == chapter]
    return {
        "claims": {entry["id"]: registered_hash(entry) for entry in entries},
        "contrasts": any(judged_by_contrast(entry) for entry in entries),
    }


def _packages(modules):
    """Names, as on the package index, of the packages that modules belong to."""
    tops = {name.split(".")[0] for name in modules} - sys.stdlib_module_names - {PACKAGE}
    return {_INDEX_NAMES.get(top, top).lower().replace("_", "-") for top in tops} - _CARRIERS


def _locked(packages, lock):
    """The releases that a lock file names for `packages` and for all that these require.

    The lock says after each release which packages required it ("# via ..."), so the requirements
    of a package are known without asking the environment.
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


def _data(notebook, root, modules):
    """Files that come with the modules and are no Python, and those that the notebook declares."""
    packages = {path.parent for path in modules if path.name == "__init__.py"}
    found = set()
    for path in (root / PACKAGE).rglob("*"):
        if path.suffix in _DATA and path.is_file():
            owner = next(p for p in path.parents if (p / "__init__.py").is_file())
            if owner in packages and path != root / files.REGISTER:
                found.add(path)
    for name in files.read(notebook).metadata.get("hblib", {}).get("data", []):
        path = (root / name).resolve()
        if not (path.is_relative_to(root) and path.is_file()):
            raise ValueError(f"{notebook.stem} declares the data {name!r}, which are not there")
        found.add(path)
    return sorted(found)
