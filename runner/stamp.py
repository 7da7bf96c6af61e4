"""Stamps: whether a chapter's outputs still are what its code gives.

A committed chapter carries a hash of everything that its outputs depend on: its code cells, the
modules of `hblib` that define the names they use (directly or through one another), what its
entries in the register fix, the locked releases of the packages that all these import, the data
that come with the rooms of those modules, and the files that the notebook's metadata declare
(``hblib: {data: [...]}``). A room that gains a function makes nothing stale.

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
            base = _base(node, package)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _reached(cells, root):
    """Dotted name -> (path, tree) of all modules of the library that the cells reach."""
    found = {}
    waiting = _needed(ast.Module([line for cell in cells for line in cell.body]), PACKAGE, root)
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        path = _file(root, parts)
        if name in found or path is None:
            continue
        tree = _module(path, path.stat().st_mtime_ns)
        found[name] = path, tree
        inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
        # Importing a module runs the packages above it, which matters where they do something.
        above = {".".join(parts[:depth]) for depth in range(1, len(parts))}
        waiting |= {package for package in above if _exports(package, root) is None}
        waiting |= _needed(tree, inside, root)
    return dict(sorted(found.items()))


def _needed(tree, package, root):
    """Names of the library's modules that a syntax tree needs.

    A room that only passes names on is no module that matters: whoever says ``room.name`` needs the
    module that defines the name, and nothing else of the room. Where a room is used in any other
    way, all of it is needed.
    """
    needed, rooms = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = _base(node, package)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                if alias.name == "*":
                    needed.add(base)
                elif _exports(name, root) is None:
                    needed |= _defining(name, root)
                else:
                    rooms[alias.asname or alias.name] = name
        elif isinstance(node, ast.Import):
            needed |= {alias.name for alias in node.names}
    before_a_dot = set()
    for node in ast.walk(tree):  # from the outside in, so a name comes after its dot
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            before_a_dot.add(node.value)
            if node.value.id in rooms:
                needed |= _defining(f"{rooms[node.value.id]}.{node.attr}", root)
        elif isinstance(node, ast.Name) and node.id in rooms and node not in before_a_dot:
            needed.add(rooms[node.id])
    return {name for name in needed if name.split(".")[0] == PACKAGE}


def _defining(name, root):
    """The modules that a dotted name stands for: itself, or where a room has it from."""
    if _file(root, name.split(".")) is not None:
        return {name}
    room, _, last = name.rpartition(".")
    exports = _exports(room, root)
    if exports is None:
        return {room} if room else set()
    # What a room does not pass on is a variable of the same name as the room.
    return _defining(exports[last], root) if last in exports else set()


def _exports(name, root):
    """Name -> where it comes from, of a package that only passes names on; else None.

    Such a package holds imports, also those that only a type checker sees, names with underscores
    (``__all__``, ``__version__``) and, to import late, ``__getattr__``.
    """
    path = root.joinpath(*name.split("."), "__init__.py")
    if name.split(".")[0] != PACKAGE or not path.is_file():
        return None
    found = {}
    for node in _module(path, path.stat().st_mtime_ns).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            inner = node.body
        else:
            inner = [node]
        for line in inner:
            if isinstance(line, ast.ImportFrom):
                for alias in line.names:
                    found[alias.asname or alias.name] = f"{_base(line, name)}.{alias.name}"
            elif not _passes_on(line):
                return None
    return found


def _passes_on(node):
    """Whether a line of a package gives nothing but words, names and late imports."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign):
        return all(isinstance(t, ast.Name) and t.id.startswith("_") for t in node.targets)
    return isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")


def _base(node, package):
    """The dotted name that a ``from ... import`` imports from; relative ones are of `package`."""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join(filter(None, [*(parts if node.level else []), node.module]))


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
    packages = {path.parent for path in modules}
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
