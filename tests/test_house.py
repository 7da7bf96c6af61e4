"""The house: rooms import only from those before them, without circles; their files are private."""

import ast
import importlib
import re

import pytest
from scripts import ROOT

import hblib

ROOMS = re.findall(r"^([a-z]+) +\S", hblib.__doc__.split("==\n", 1)[1], flags=re.MULTILINE)
FILES = sorted(path for path in (ROOT / "hblib").rglob("*.py") if path.parent != ROOT / "hblib")


def _room(path):
    return path.relative_to(ROOT / "hblib").parts[0]


def _imported(path):
    """Absolute names of what a file imports from the library, at whatever depth of the code."""
    package = ".".join(path.relative_to(ROOT).parts[:-1])
    names = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # What is imported for type checkers only is never executed.
    tree.body = [n for n in tree.body if "TYPE_CHECKING" not in ast.unparse(getattr(n, "test", n))
                 or isinstance(n, ast.ImportFrom)]  # fmt: skip
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                kept = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*kept, *filter(None, [node.module])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {name for name in names if name.split(".")[0] in ("hblib", "runner", "course")}


def test_the_list_of_rooms_is_that_of_the_folders():
    assert set(ROOMS) == {_room(path) for path in FILES} and len(ROOMS) == len(set(ROOMS))


def test_a_room_imports_only_from_those_before_it():
    found = []
    for path in FILES:
        allowed = {*ROOMS[: ROOMS.index(_room(path)) + 1]}
        for name in _imported(path):
            parts = name.split(".")
            room = parts[1] if len(parts) > 1 and parts[1] in ROOMS else None
            if parts[0] != "hblib" or (room and room not in allowed):
                found.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not found, "\n".join(found)


def test_there_are_no_circles_within_a_room():
    graph = {}
    for path in FILES:
        if path.name == "__init__.py":
            continue
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[module] = {name for name in _imported(path) if name != module}
    graph = {module: {n for n in names if n in graph} for module, names in graph.items()}
    while graph:
        ends = {module for module, names in graph.items() if not names}
        assert ends, f"a circle among {', '.join(sorted(graph))}"
        graph = {m: names - ends for m, names in graph.items() if m not in ends}


def test_files_of_a_room_are_private():
    open_ = [path for path in FILES if not path.name.startswith("_")]
    assert not open_


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_exports(room):
    module = importlib.import_module(f"hblib.{room}")
    assert module.__doc__ and module.__all__
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing
    for name in module.__all__:
        one = getattr(module, name)
        if callable(one) and getattr(one, "__module__", "").startswith("hblib"):
            assert one.__doc__, f"{room}.{name} has no docstring"


def test_the_runner_is_no_part_of_what_chapters_import():
    for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"):
        assert "from runner" not in path.read_text(encoding="utf-8"), path.name


def test_what_looks_at_the_built_site_is_named_so():
    """By their names `make test` knows the tests that must wait until the site is built."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        needed = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
        if needed & {"site", "pages"}:
            assert path.name.startswith(("test_site", "test_course")), path.name
