"""Files and arguments from outside: wrong ones are refused in a sentence, none is executed."""

import ast
import contextlib
import functools
import io
import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from fake_book import ENTRY, RECORD, ROOT, Book
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hblib import claims
from hblib.claims import _register
from runner import cli, execute, ledger, page, parameters, sweep, tables

# A book is made once; each example replaces the one file it is about.
fuzzed = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

CHAPTER = "01_one"
MARK = "code was run"

# What YAML could make a program do, were it not loaded safely, and what could exhaust it.
HOSTILE_YAML = {
    "a call": f'!!python/object/apply:builtins.print ["{MARK}"]',
    "an object": "!!python/object/new:pathlib.Path [x]",
    "a module": "!!python/module:os",
    "a name": "!!python/name:os.system",
    "unknown tag": "!mine 1",
    "not closed": "[1, 2",
    "an unknown alias": "*nobody",
    "a tab": "a:\n\t- b",
    "no such date": "2001-99-99",
    "deep": "[" * 1200,
    "a key that cannot be one": "? [1]\n: 2",
    "itself": "&a [*a]",
    "control characters": "a: \x00",
    "merge of a number": "<<: 3",
}
BOMB = "a0: &a0 [x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    """A book with one chapter, executed as far as the fields go."""
    book = Book(tmp_path_factory.mktemp("book"))
    book.chapter(CHAPTER, RECORD)
    (book.root / "sweeps" / "results").mkdir()
    return book


def answer(*arguments, folder):
    """Status and standard error of `hb`, called in a folder."""
    errors, printed = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(printed),
    ):
        try:
            status = cli.main(list(arguments))
        except SystemExit as leaving:  # as --version does
            status = leaving.code
    assert MARK not in printed.getvalue()
    return status, errors.getvalue()


def is_a_sentence(text, longest=2000):
    assert text.strip() and "Traceback" not in text
    assert len(text) <= longest, text[:300]


def refused(function, *arguments, longest=2000):
    """The function raises ValueError or OSError with a sentence."""
    with pytest.raises((ValueError, OSError)) as caught:
        function(*arguments)
    is_a_sentence(str(caught.value), longest)
    return str(caught.value)


# --- the command line -----------------------------------------------------------------------------


@pytest.fixture
def no_kernel(monkeypatch):
    """What `hb` was about to start."""
    started = []
    monkeypatch.setattr(execute, "run", lambda *given, **more: started.append(given))
    monkeypatch.setattr(execute, "execute", lambda *given, **more: started.append(given) or [])
    monkeypatch.setattr(sweep, "_run", lambda *given: started.append(given))
    monkeypatch.setattr(cli, "_print_verdicts", lambda *given: None)
    monkeypatch.setattr(page, "write", lambda path: path)
    return started


@fuzzed
@given(words=st.lists(st.text(st.characters(exclude_characters="\0"), max_size=12), max_size=4))
def test_hb_answers_any_words_in_a_sentence(one, no_kernel, words):
    no_kernel.clear()
    status, errors = answer(*words, folder=one.root)
    if "-h" in "".join(words):
        return
    assert status in (0, 1, 2)
    if status:
        is_a_sentence(errors)


@fuzzed
@given(text=st.text(max_size=20))
@example("k={[]: 1}")
@example("k=&a [*a]")
@example("k=" + "[" * 5000)
@example("k=" + "-" * 9000 + "1")
@example("k=2001-99-99")
@example("k=1e999")
@example("k=" + "9" * 5000)
@example("k=" + HOSTILE_YAML["a call"])
@example("k=__import__('os')")
@example("k=\ud800")
def test_an_assignment_is_refused_or_a_whole_number(one, no_kernel, text):
    no_kernel.clear()
    status, errors = answer("run", CHAPTER, text, folder=one.root)
    if no_kernel:
        # Whatever reaches the chapter has passed the checks of types and of ranges.
        ((_, _, wanted, _),) = no_kernel
        checked = parameters.check(wanted, {"seed": 0, "k": 5})
        assert all(type(value) is int for value in checked.values())
    else:
        assert status == 2
        is_a_sentence(errors, longest=2000 + 3 * len(text))


@fuzzed
@given(value=plain, default=plain.filter(parameters._is_plain))
def test_a_parameter_keeps_the_type_of_its_default_or_is_refused(value, default):
    try:
        found = parameters.check({"x": value}, {"x": default})["x"]
    except ValueError as error:
        assert "'x" in str(error)
    else:
        assert default is None or type(found) is type(default)
        assert parameters._is_plain(found)


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "../../etc"],
        ["run", CHAPTER, "--time-limit", "soon"],
        ["run", CHAPTER, "k=3", "k=4"],
        ["run", CHAPTER, "K=3"],
        ["run", CHAPTER, "k=3.5"],
        ["run", CHAPTER, "k=True"],
        ["sweep", "no such chapter"],
        ["sweep", CHAPTER, "--workers", "many"],
        ["stale", "99_none"],
        ["execute", CHAPTER, "--jobs", "x"],
        ["no-such-command"],
        [],
    ],
    ids=" ".join,
)
def test_a_wrong_call_of_hb_has_status_2(one, monkeypatch, words):
    monkeypatch.setattr(execute.AsyncKernelManager, "start_kernel", None)  # nothing may start
    status, errors = answer(*words, folder=one.root)
    assert status == 2
    is_a_sentence(errors)


def test_outside_the_book_hb_says_so(tmp_path):
    status, errors = answer("stale", folder=tmp_path)
    assert status == 2 and "inside the book's folder" in errors


# --- YAML -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [*HOSTILE_YAML.values(), "", "3", "[]", "a: b", "- 3", "- id: 3", BOMB],
    ids=[*HOSTILE_YAML, "empty", "number", "no claim", "mapping", "no entry", "short", "bomb"],
)
def test_a_wrong_register_is_refused(tmp_path, capsys, text):
    path = tmp_path / "claims.yml"
    path.write_bytes(text.encode())
    message = refused(claims.load_register, path)
    assert "claims.yml" in message and MARK not in capsys.readouterr().out


@functools.cache
def _entry():
    """The first claim of the book; the register takes seconds to read."""
    text = (ROOT / "hblib" / "claims" / "register.yml").read_text(encoding="utf-8")
    return yaml.safe_load(text[: text.index("\n- id:", 1 + text.index("- id:"))])[0]


@fuzzed
@given(value=plain, data=st.data())
def test_a_claim_with_a_wrong_field_is_refused_by_name(tmp_path, value, data):
    path = tmp_path / "claims.yml"
    field = data.draw(st.sampled_from(sorted(_entry())))
    entry = _entry() | {field: value}
    if isinstance(_entry()[field], dict) and data.draw(st.booleans()):
        inner = data.draw(st.sampled_from(sorted(_entry()[field])))
        entry = _entry() | {field: _entry()[field] | {inner: value}}
    path.write_text(yaml.safe_dump([entry]), encoding="utf-8")
    _register._read_register.cache_clear()
    try:
        register = claims.load_register(path)
    except ValueError as error:
        assert "entry 1" in str(error)
        is_a_sentence(str(error))
    else:
        (found,) = register.values()
        assert found == entry
    finally:
        _register._read_register.cache_clear()


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE_YAML.values(),
        BOMB,
        "",
        "3",
        "grid: {k: 3}",
        "fixed: 1",
        "points: [1]",
        "seeds: 3",
        "time_limit: x",
        "time_limit: .nan",
        "grid: {k: [2001-01-01]}",
        "fixed: {k: !!binary aGk=}",
        "fixed: {k: !!set {a, b}}",
        "grid: {1: [2]}",
        "nobody: 3",
    ],
)
def test_a_wrong_sweep_is_refused(one, capsys, text):
    path = one.root / "sweeps" / f"{CHAPTER}.yml"
    path.write_bytes(text.encode())
    message = refused(sweep.read_plan, one.root, CHAPTER)
    assert f"sweeps/{CHAPTER}.yml" in message and MARK not in capsys.readouterr().out


@fuzzed
@given(plan=st.dictionaries(
    st.sampled_from(["fixed", "grid", "points", "seeds", "time_limit", "other"]),
    plain | st.dictionaries(st.sampled_from(["k", "seed", "x"]), plain)
    | st.lists(st.dictionaries(st.sampled_from(["k", "seed"]), plain), max_size=3)
    | st.lists(st.integers(0, 9), max_size=3)))  # fmt: skip
def test_a_sweep_is_refused_or_all_its_settings_are_complete(one, plan):
    path = one.root / "sweeps" / f"{CHAPTER}.yml"
    path.write_text(yaml.safe_dump(plan), encoding="utf-8")
    try:
        found = sweep.read_plan(one.root, CHAPTER)
    except ValueError as error:
        is_a_sentence(str(error))
    else:
        assert found.settings
        assert all(set(setting) == {"seed", "k"} for setting in found.settings)
        assert all(type(v) is int for setting in found.settings for v in setting.values())


@pytest.mark.parametrize(
    "hostile", [*HOSTILE_YAML.values(), "3", ""], ids=[*HOSTILE_YAML, "number", "empty"]
)
def test_wrong_front_matter_of_a_sheet_is_refused(tmp_path, capsys, hostile):
    from course import source

    text = (ROOT / "exercises" / "02_rotation.md").read_text(encoding="utf-8")
    path = tmp_path / "02_rotation.md"
    path.write_bytes(
        re.sub(
            r"^---\n.*?\n---\n", lambda _: f"---\n{hostile}\n---\n", text, count=1, flags=re.S
        ).encode()
    )
    refused(source.read, path)
    assert MARK not in capsys.readouterr().out


# --- notebooks ------------------------------------------------------------------------------------


def _notebook(**changes):
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("k = 5", metadata={"tags": ["parameters"]})]
    )
    return json.dumps({**nb, **changes})


WRONG_NOTEBOOKS = {
    "empty": "",
    "not JSON": "{",
    "a list": "[]",
    "a number": "3",
    "no format": "{}",
    "format 3": _notebook(nbformat=3),
    "format 99": _notebook(nbformat=99),
    "format of text": _notebook(nbformat="four"),
    "no cells": '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}',
    "cells of a number": _notebook(cells=3),
    "a cell of a number": _notebook(cells=[3]),
    "a cell without a kind": _notebook(cells=[{}]),
    "a cell without metadata": _notebook(cells=[{"cell_type": "code", "source": "k = 5"}]),
    "deep": "[" * 100_000,
    "bytes": "\ud800",
}


@pytest.mark.parametrize("text", WRONG_NOTEBOOKS.values(), ids=WRONG_NOTEBOOKS)
@pytest.mark.parametrize("command", ["run", "stale", "ledger"])
def test_a_broken_chapter_is_refused_by_hb(tmp_path_factory, text, command):
    book = Book(tmp_path_factory.mktemp("broken"))
    path = book.root / "notebooks" / f"{CHAPTER}.ipynb"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    arguments = [command] if command == "ledger" else [command, CHAPTER]
    status, errors = answer(*arguments, folder=book.root)
    assert status == 2
    is_a_sentence(errors)


@fuzzed
@given(source_=st.text(max_size=40))
@example("k = __import__('os')")
@example("k = (")
@example("k = 1; k = 2")
@example("k = '''")
@example("k = {[]: 1}")
@example("k = 1e999")
@example("k = b'bytes'")
@example("k, j = 1, 2")
@example("k: int = 3")
@example("k = " + "-" * 9000 + "1")
@example("\0")
def test_a_parameters_cell_gives_plain_values_or_is_refused(source_):
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source_, metadata={"tags": ["parameters"]})]
    )
    try:
        found = parameters.declared(nb)
    except ValueError as error:
        is_a_sentence(str(error), 2000 + 2 * len(source_))
    else:
        assert parameters._is_plain(found)


# --- results --------------------------------------------------------------------------------------


def _table(path):
    """A sound table of two runs."""
    measured = ([1.0, 0.9, 1.1, 1.0, 0.8, 1.2], [0.0])
    register = {ENTRY["id"]: ENTRY}
    record = claims.check(ENTRY["id"], measured[0], control=measured[1], register=register)
    rows = [{"run": f"r{k}", "k": k, **tables.row(record.to_dict())} for k in (3, 4)]
    tables.write(path, {"stamp": "any", "settings": "any"}, pd.DataFrame(rows))
    return path.read_bytes()


HEADER = '# {"stamp": "x", "settings": "y", "rows": 1, "content": "z"}\n'
WRONG_TABLES = {
    "empty": "",
    "no header": "run,claim\n1,2\n",
    "a header only": "# {}\n",
    "a header that is a list": "# []\nrun\n1\n",
    "no columns": HEADER + "\n",
    "other columns": HEADER + "a,b\n1,2\n",
    "a longer row": HEADER + "run,claim\na,b,c,d,e\n",
    "not text": "\ud800",
}


@pytest.mark.parametrize("text", WRONG_TABLES.values(), ids=WRONG_TABLES)
@pytest.mark.parametrize("function", [sweep.stale, tables.read, sweep.judged])
def test_a_broken_table_of_results_is_refused(one, function, text):
    (one.root / "sweeps" / f"{CHAPTER}.yml").write_text("grid: {k: [3, 4]}")
    path = one.root / "sweeps" / "results" / f"{CHAPTER}.csv"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    assert path.name in refused(function, path)


def test_a_table_that_was_cut_off_or_edited_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    whole = _table(path)
    assert len(tables.read(path)[1]) == 2
    header, columns, first, last = whole.splitlines(keepends=True)
    cut = [whole[: int(share * len(whole)) - 1] for share in (0.01, 0.3, 0.5, 0.999)]
    for text in (*cut, header + columns + first, header + columns + last + first, whole + last):
        path.write_bytes(text)
        assert path.name in refused(tables.read, path)


@fuzzed
@given(outcome=plain | st.dictionaries(st.sampled_from(["id", "registered", "found"]), plain))
def test_an_outcome_that_is_none_is_refused(tmp_path, outcome):
    output = nbformat.v4.new_output("display_data", {claims.MIME: outcome})
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    path = tmp_path / f"{CHAPTER}.ipynb"
    path.write_text(nbformat.writes(nb), encoding="utf-8")
    message = refused(ledger.read_records, path, {ENTRY["id"]: ENTRY})
    assert "record" in message


@fuzzed
@given(value=plain, data=st.data())
def test_an_outcome_with_a_wrong_field_is_refused(value, data):
    register = {ENTRY["id"]: ENTRY}
    stored = claims.check(ENTRY["id"], [1.0] * 6, control=[0.0], register=register).to_dict()
    field = data.draw(st.sampled_from(["id", "registered", "found", "control"]))
    if field == "registered" and value == stored[field]:
        return
    message = refused(claims.Record.from_dict, {**stored, field: value}, register)
    assert stored["id"] in message or "register" in message


# --- stored arrays and networks -------------------------------------------------------------------


class Explosive:
    """Runs code where it is unpickled."""

    def __reduce__(self):
        return print, (MARK,)


@pytest.mark.parametrize("load", ["load_autoencoder", "load_captioner"])
@pytest.mark.parametrize("kind", ["pickle", "torch", "text", "empty"])
def test_a_stored_network_cannot_run_code(tmp_path, capsys, load, kind):
    import pickle

    import torch

    from hblib import models

    path = tmp_path / "network.pt"
    if kind == "torch":
        torch.save({"settings": Explosive()}, path)
    else:
        path.write_bytes(
            {"pickle": pickle.dumps(Explosive()), "text": b"hello", "empty": b""}[kind]
        )
    message = refused(getattr(models, load), path)
    assert MARK not in capsys.readouterr().out
    assert path.name in message


def test_stored_codes_cannot_run_code(tmp_path, capsys):
    from hblib import models

    path = tmp_path / "codes.npy"
    np.save(path, np.array([Explosive()], dtype=object), allow_pickle=True)
    refused(models.load_codes, path, list)
    assert MARK not in capsys.readouterr().out


# --- nothing here runs what it reads --------------------------------------------------------------

# Place and call, and why it may stand there.
EXCEPTIONS = {
    ("hblib/words/_corpora.py", "zipfile.ZipFile"): "reads one member, writes nothing",
    ("hblib/probe/_minilm.py", "zipfile.ZipFile"): "reads two members, writes nothing",
    ("tools/photographs.py", "exec"): "runs the cells of this repository's own chapter",
    ("runner/parameters.py", "yaml.load"): "with a loader that is a SafeLoader",
    ("course/grade.py", "exec"): "runs the cells of this repository's own exercises, in a check",
}
FORBIDDEN = {
    "eval", "exec", "__import__", "yaml.load", "yaml.load_all", "yaml.unsafe_load",
    "yaml.full_load", "pickle.load", "pickle.loads", "joblib.load", "dill.load", "marshal.load",
    "marshal.loads", "shelve.open", "pd.read_pickle", "pandas.read_pickle", "os.system",
    "os.popen", "tarfile.open", "zipfile.ZipFile", "shutil.unpack_archive",
    "torch.hub.load", "np.fromfile", "tempfile.mktemp",
}  # fmt: skip


def _program_files():
    folders = ("hblib", "runner", "book/_ext", "course", "tools", "benchmarks")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(files) > 50
    return [*files, ROOT / "conftest.py"]


def _faults_of(tree, place):
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name, given_ = ast.unparse(node.func), {k.arg: k.value for k in node.keywords}
        constant = {key: getattr(value, "value", ...) for key, value in given_.items()}
        if name in FORBIDDEN and (place, name) not in EXCEPTIONS:
            yield f"{name} in line {node.lineno}"
        if name.endswith(("extractall", ".extract")) and "filter" not in constant:
            yield f"{name} in line {node.lineno} unpacks without a filter"
        if name == "torch.load" and constant.get("weights_only") is not True:
            yield f"torch.load in line {node.lineno} may unpickle anything"
        if constant.get("allow_pickle", False) is not False:
            yield f"{name} in line {node.lineno} allows pickles"
        if constant.get("shell", False) is not False:
            yield f"{name} in line {node.lineno} goes through a shell"
        if constant.get("trust_remote_code", False) is not False:
            yield f"{name} in line {node.lineno} runs code from a model's repository"
        if name.startswith("pooch.") and not ("known_hash" in given_ or "registry" in given_):
            yield f"{name} in line {node.lineno} does not check what it fetches"


def test_no_program_runs_code_from_data():
    found = []
    for path in _program_files():
        place = path.relative_to(ROOT).as_posix()
        found += [
            f"{place}: {fault}"
            for fault in _faults_of(ast.parse(path.read_text(encoding="utf-8")), place)
        ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "yaml.load(text)",
        "eval(text)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "archive.extractall(folder)",
        "subprocess.run(text, shell=True)",
        "pooch.retrieve(url)",
        "pickle.load(file)",
    ],
)
def test_the_search_finds_what_it_looks_for(line):
    assert list(_faults_of(ast.parse(line), "hblib/any.py"))


def test_every_exception_is_still_needed():
    for place, name in EXCEPTIONS:
        calls = ast.walk(ast.parse((ROOT / place).read_text(encoding="utf-8")))
        assert any(isinstance(n, ast.Call) and ast.unparse(n.func) == name for n in calls)


def test_only_one_module_fetches_anything_and_checks_it():
    """Direct downloads: the corpus by its SHA-256; pictures and models by the libraries named."""
    direct = {
        path.relative_to(ROOT).as_posix()
        for path in _program_files()
        if re.search(r"urlopen|urlretrieve|requests\.|httpx|pooch\.", path.read_text("utf-8"))
        and path.is_relative_to(ROOT / "hblib")
    }
    assert direct == {"hblib/words/_corpora.py"}
