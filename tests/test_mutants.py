"""The list of mutants is in order: whether the tests catch them is asked by tools/mutants.py."""

import ast
import re

import pytest
from scripts import ROOT, load

tool = load(ROOT / "tools" / "mutants.py")
MUTANTS = tool.read_list()
MODULES = {f"hblib/{path.name}" for path in (ROOT / "hblib").glob("*.py")} - {"hblib/__init__.py"}


def _without_docstrings(source):
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            node.body[0] = ast.Pass()
    return ast.dump(tree)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_is_another_program_that_its_tests_can_run(mutant):
    changed = tool.mutated(mutant)  # its text occurs exactly once
    compile(changed, mutant.module, "exec")
    source = (ROOT / mutant.module).read_text(encoding="utf-8")
    assert _without_docstrings(changed) != _without_docstrings(source)
    assert mutant.what.endswith(".") and mutant.tests
    for test in mutant.tests:
        file, *name = test.split("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        assert all(f"def {one}(" in text for one in name)


def test_there_are_enough_of_them_and_every_module_has_some():
    assert len(MUTANTS) >= 60
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert {mutant.module for mutant in MUTANTS} == MODULES
    assert all(re.fullmatch(r"[a-z0-9-]+", mutant.name) for mutant in MUTANTS)


def test_every_mutant_was_tried_and_enough_were_noticed():
    rows = tool.read_results()
    assert list(rows) == [mutant.name for mutant in MUTANTS]
    assert {row["outcome"] for row in rows.values()} <= {"caught", "hung", "survived"}
    survivors = {name for name, row in rows.items() if row["outcome"] == "survived"}
    assert survivors == {mutant.name for mutant in MUTANTS if mutant.survives}
    assert len(survivors) <= (1 - tool.ENOUGH) * len(rows)


def test_a_text_that_is_gone_or_occurs_twice_is_an_error(tmp_path):
    (tmp_path / "hblib").mkdir()
    (tmp_path / "hblib" / "one.py").write_text("a = 1\nb = 1\n", encoding="utf-8")
    for find, times in (("a = 2", 0), (" = 1", 2)):
        mutant = tool.Mutant("name", "What.", "hblib/one.py", find, "", ())
        with pytest.raises(ValueError, match=f"occurs {times} times in hblib/one.py"):
            tool.mutated(mutant, tmp_path)
