"""The list of mutants is in order, and the tool that tries them (tools/mutants.py) does as it says.

Whether the tests catch them is what the tool is asked, not a test.
"""

import ast
import re

import pytest
from scripts import ROOT, load


@pytest.fixture(scope="module")
def tool():
    return load(ROOT / "tools" / "mutants.py")


def _faults(tool, mutant):
    """What is wrong with an entry of the list, or nothing."""
    from runner import stamp

    try:
        changed = tool.mutated(mutant)  # its code occurs exactly once
        tree = ast.parse(changed)
    except (OSError, SyntaxError, ValueError) as error:
        yield f"{mutant.name}: {error}"
        return
    source = (ROOT / tool.file_of(mutant.module)).read_text(encoding="utf-8")
    if stamp.form(tree) == stamp.form(ast.parse(source)):
        yield f"{mutant.name}: the program stays the same"
    if not (re.fullmatch(r"[a-z0-9-]+", mutant.name) and mutant.what.endswith(".")):
        yield f"{mutant.name}: the name or the sentence is not well-formed"
    if not mutant.tests:
        yield f"{mutant.name}: there is no test"
    for test in mutant.tests:
        file, *names = test.split("::")
        path = ROOT / file
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if not text or any(f"def {name}(" not in text for name in names):
            yield f"{mutant.name}: there is no test {test}"


def test_every_mutant_is_another_program_that_its_tests_can_run(tool):
    mutants = tool.read_list()
    assert len(mutants) >= 60
    assert len({mutant.name for mutant in mutants}) == len(mutants)
    faults = [fault for mutant in mutants for fault in _faults(tool, mutant)]
    assert not faults, "\n".join(faults)
    rooms = {path.parent.name for path in (ROOT / "hblib").glob("*/__init__.py")}
    assert rooms <= {mutant.module.split(".")[1] for mutant in mutants}


def test_every_current_result_is_explained(tool):
    mutants = {mutant.name: mutant for mutant in tool.read_list()}
    rows = tool.read_results()
    assert list(rows) == [name for name in mutants if name in rows]
    assert {row["outcome"] for row in rows.values()} <= {"caught", "hung", "survived", "broken"}
    stamps = {name: tool.stamp_of(mutant) for name, mutant in mutants.items()}
    current = tool.current(mutants.values(), stamps)
    survivors = {name for name in current if rows[name]["outcome"] == "survived"}
    assert survivors == {name for name in current if mutants[name].survives}


def _small(tmp_path, source):
    (tmp_path / "hblib" / "room").mkdir(parents=True, exist_ok=True)
    (tmp_path / "tests").mkdir(exist_ok=True)
    (tmp_path / "tests" / "test_one.py").write_text("def test_a():\n    pass\n", encoding="utf-8")
    (tmp_path / "hblib" / "room" / "_one.py").write_text(source, encoding="utf-8")


def _mutant(tool, find, replace=""):
    return tool.Mutant("name", "What.", "hblib.room._one", find, replace, ("tests/test_one.py",))


def test_code_is_found_whatever_its_layout(tool, tmp_path):
    _small(tmp_path, "a = f(\n    1,\n    'x  y',\n)\nb = f(1, 'x y')\nc = 1\n")
    changed = tool.mutated(_mutant(tool, "f(1, 'x  y',)", "0"), tmp_path)
    assert changed == "a = 0\nb = f(1, 'x y')\nc = 1\n"
    for find, times in (("f(2", 0), (" = f(", 2), ("=f(1,", 2)):
        with pytest.raises(ValueError, match=f"occurs {times} times in hblib.room._one"):
            tool.mutated(_mutant(tool, find), tmp_path)


def test_a_result_is_current_until_code_changes(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "RESULTS", tmp_path / "results.csv")
    mutant = _mutant(tool, "a = 1", "a = 2")

    def stamps():
        return {"name": tool.stamp_of(mutant, tmp_path)}

    _small(tmp_path, "a = 1\n")
    assert tool.current([mutant], stamps()) == set()
    tool.write_results({"name": tool.Outcome("failed", "test_a")}, [mutant], stamps())
    assert tool.current([mutant], stamps()) == {"name"}
    assert tool.report([mutant])
    _small(tmp_path, '"""Says what it is."""\n\na = 1  # one\n')
    assert tool.current([mutant], stamps()) == {"name"}
    _small(tmp_path, "a = 1\nb = 2\n")
    assert tool.current([mutant], stamps()) == set()
    mutant = mutant._replace(replace="a = 3")
    _small(tmp_path, "a = 1\n")
    assert tool.current([mutant], stamps()) == set()


def test_a_repository_without_git_is_copied(tool, tmp_path):
    _small(tmp_path / "book", "a = 1\n")
    for left in (".venv/lib/x.py", "_build/html/index.html", "hblib/__pycache__/x.pyc"):
        (tmp_path / "book" / left).parent.mkdir(parents=True)
        (tmp_path / "book" / left).write_text("x")
    (tmp_path / "book" / "_build" / "cache").mkdir()
    (tmp_path / "book" / "_build" / "cache" / "text").write_text("x")
    copy = tool.copy_repository(tmp_path / "copy", tmp_path / "book")
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert found == {"hblib/room/_one.py", "tests/test_one.py", "_build/cache/text"}
