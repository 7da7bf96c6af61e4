"""A chapter is stale when something changed that can change a result, and only then."""

import re
import shutil
import threading

import nbformat
import pytest
import yaml
from fake_book import ENTRY, ROOT
from nbformat import v4

from runner import files, stamp

CHAPTERS = {
    "01_deep": "from hblib import top\nx = top.f(2)",
    "02_dotted": "import hblib.low._kernel as k\nx = k.g(1)",
    "03_late": "from hblib.late import use\nx = use()",
    "04_without": "from hblib import other\nx = other.h()",
}
LIBRARY = {
    "__init__.py": '"""A library."""\n',
    "top.py": "from hblib.middle import m\n\n\ndef f(x):\n    return m(x) + 1\n",
    "middle.py": "from . import low\n\n\ndef m(x):\n    return 2 * low.g(x)\n",
    "low/__init__.py": '"""A room."""\n\nfrom hblib.low._kernel import g\n',
    "low/_kernel.py": (
        '"""Private."""\n\nimport torch\n\n\ndef g(x: float) -> float:\n    """Square."""\n'
        "    # by hand\n    return x * x\n"
    ),
    "late.py": "def use():\n    from .low import g\n\n    return g(3)\n",
    "other.py": "import numpy as np\n\n\ndef h():\n    return np.pi\n",
    "claims/__init__.py": '"""Claims."""\n\nfrom hblib.claims import _cards, _records\n',
    "claims/_cards.py": 'COLOUR = "blue"\n',
    "claims/_records.py": 'UNMET = "refuted"\n',
}


class Small:
    """A book with a library of a few lines."""

    def __init__(self, root):
        self.root = root
        for name, text in LIBRARY.items():
            path = root / "hblib" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        (root / files.REGISTER).write_text(yaml.safe_dump([ENTRY | {"chapter": "04_without"}]))
        (root / "notebooks").mkdir()
        shutil.copy(ROOT / "requirements.lock", root)
        for name, code in CHAPTERS.items():
            self.chapter(name, code)

    def chapter(self, name, code, **meta):
        path = self.root / "notebooks" / f"{name}.ipynb"
        cells = [v4.new_markdown_cell("# A question?"), v4.new_code_cell(code, execution_count=1)]
        notebook = v4.new_notebook(cells=cells, metadata={"hblib": meta})
        nbformat.write(notebook, path)
        inputs = stamp.inputs(path)
        notebook.metadata["hblib"] |= {"stamp": files.digest(inputs), "inputs": inputs}
        nbformat.write(notebook, path)
        return path

    def edit(self, name, old, new):
        path = self.root / "hblib" / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def stale(self):
        found = {path.stem: stamp.stale(path) for path in files.chapters(self.root)}
        return {chapter: reasons for chapter, reasons in found.items() if reasons}


@pytest.fixture
def small(tmp_path):
    book = Small(tmp_path)
    assert book.stale() == {}
    return book


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("low/_kernel.py", "# by hand", "# by hand, and slowly"),
        ("low/_kernel.py", "# by hand\n", "\n\n"),
        ("low/_kernel.py", '"""Square."""', '"""Return the square of a number."""'),
        ("low/_kernel.py", '"""Private."""', '"""Compiled."""'),
        ("low/_kernel.py", "x: float) -> float", "x: int) -> int"),
        ("low/_kernel.py", "return x * x", "return (x * x)"),
        ("low/__init__.py", '"""A room."""', '"""A room of its own."""'),
        ("claims/_cards.py", "blue", "green"),
        ("claims/_records.py", "refuted", "not reproduced"),
    ],
)
def test_words_looks_and_layout_leave_everything_current(small, name, old, new):
    small.edit(name, old, new)
    assert small.stale() == {}


def test_a_moved_page_and_the_runner_leave_everything_current(small):
    (small.root / "book").mkdir()
    (small.root / "book" / "page.md").write_text("# A page")
    (small.root / "runner").mkdir()
    (small.root / "runner" / "sweep.py").write_text("x = 1")
    assert small.stale() == {}


def test_an_operator_three_imports_away_makes_exactly_its_chapters_stale(small):
    small.edit("low/_kernel.py", "x * x", "x + x")
    reasons = ["hblib.low._kernel changed"]
    assert small.stale() == dict.fromkeys(["01_deep", "02_dotted", "03_late"], reasons)


THROUGH_THE_ROOM = ["01_deep", "03_late"]  # 02_dotted imports the private module itself


def test_a_room_that_gains_a_function_makes_nothing_stale(small):
    (small.root / "hblib" / "low" / "_more.py").write_text("def more():\n    return 1\n")
    small.edit("low/__init__.py", "import g", "import g\nfrom hblib.low._more import more")
    assert small.stale() == {}
    small.edit("low/_more.py", "return 1", "return 2")
    assert small.stale() == {}


def test_a_function_that_a_room_has_from_elsewhere_counts(small):
    (small.root / "hblib" / "low" / "_other.py").write_text("def g(x):\n    return x\n")
    small.edit("low/__init__.py", "hblib.low._kernel", "hblib.low._other")
    for chapter in THROUGH_THE_ROOM:
        assert "hblib.low._other changed" in small.stale()[chapter]
    assert set(small.stale()) == set(THROUGH_THE_ROOM)


def test_a_room_that_does_something_counts(small):
    small.edit("low/__init__.py", "import g", "import g\nprint('at work')")
    assert small.stale() == dict.fromkeys(THROUGH_THE_ROOM + ["02_dotted"], ["hblib.low changed"])


@pytest.mark.parametrize(
    "code", ["f = getattr(low, 'g')", "print(vars(low))", "from hblib.low import *"]
)
def test_a_room_that_is_used_as_a_whole_counts_as_a_whole(small, code):
    path = small.chapter("05_whole", f"from hblib import low\n{code}")
    assert {"hblib.low", "hblib.low._kernel"} <= stamp.inputs(path)["modules"].keys()


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("from hblib import low\nlow.g(1)", {"hblib.low._kernel"}),
        ("from hblib import low as l\nl.g(1)", {"hblib.low._kernel"}),
        ("from hblib.low import g as h", {"hblib.low._kernel"}),
        (
            "from hblib import low, top\ndef f(x):\n    return low.g(x)",
            {"hblib.low._kernel", "hblib.top", "hblib.middle"},
        ),
        ("from hblib import low\nlow._kernel.g(1)", {"hblib.low._kernel"}),
        ("from hblib import low", set()),
    ],
)
def test_a_name_needs_the_module_that_defines_it(small, code, needed):
    modules = stamp.inputs(small.chapter("05_named", code))["modules"].keys()
    assert modules == needed


def test_a_room_may_import_late(small):
    (small.root / "hblib" / "low" / "_slow.py").write_text("def slow():\n    return 1\n")
    small.edit(
        "low/__init__.py",
        "from hblib.low._kernel import g",
        "from typing import TYPE_CHECKING\n\nfrom hblib.low._kernel import g\n\n"
        "if TYPE_CHECKING:\n    from hblib.low._slow import slow\n\n\n"
        "def __getattr__(name):\n    from hblib.low import _slow\n\n"
        "    return getattr(_slow, name)\n",
    )
    assert small.stale() == {}
    path = small.chapter("05_slow", "from hblib import low\nlow.slow()")
    assert stamp.inputs(path)["modules"].keys() == {"hblib.low._slow"}


def test_of_many_reasons_a_few_are_named_and_the_others_counted(small):
    for i in range(9):
        (small.root / "hblib" / "low" / f"_m{i}.py").write_text("y = 1\n")
    imports = "".join(f"from hblib.low import _m{i}\n" for i in range(9))
    small.edit("top.py", "from hblib.middle", imports + "from hblib.middle")
    reasons = small.stale()["01_deep"]
    assert len(reasons) == 6 and reasons[-1] == "5 more modules changed"


def test_a_new_module_on_the_way_is_seen(small):
    (small.root / "hblib" / "low" / "_more.py").write_text("y = 1\n")
    assert small.stale() == {}
    small.edit("low/_kernel.py", "import torch", "import torch\nfrom hblib.low import _more")
    reasons = ["hblib.low._kernel changed", "hblib.low._more changed"]
    assert small.stale() == dict.fromkeys(["01_deep", "02_dotted", "03_late"], reasons)


def test_the_library_of_the_book_is_reached_with_its_private_files():
    for path in files.chapters(ROOT):
        modules = stamp.inputs(path)["modules"]
        private = {name for name in modules if name.split(".")[-1].startswith("_")}
        assert "hblib.claims._criteria" in private and "hblib.claims._cards" not in modules


def test_what_is_registered_counts_and_its_prose_does_not(small):
    path = small.root / files.REGISTER
    path.write_text(path.read_text().replace("It is large.", "It is quite large."))
    assert small.stale() == {}
    path.write_text(path.read_text().replace("above: 0.5", "above: 0.6"))
    assert small.stale() == {"04_without": ["what is registered for it changed"]}


def test_the_code_counts_and_its_comments_and_the_text_do_not(small):
    path = small.root / "notebooks" / "01_deep.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source = "# Another question?"
    notebook.cells[1].source = "# Why?\n" + notebook.cells[1].source.replace("f(2)", "f( 2 )")
    nbformat.write(notebook, path)
    assert small.stale() == {}
    notebook.cells[1].source = notebook.cells[1].source.replace("f( 2 )", "f(3)")
    nbformat.write(notebook, path)
    assert small.stale() == {"01_deep": ["its code changed"]}


def test_stripped_outputs_make_a_chapter_stale(small):
    path = small.root / "notebooks" / "01_deep.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].execution_count = None
    nbformat.write(notebook, path)
    assert small.stale() == {"01_deep": ["a code cell has no outputs"]}


def test_data_are_declared_and_not_guessed(small):
    (small.root / "table.csv").write_text("1,2\n")
    small.chapter("05_guess", "open('../table.csv').read()")
    small.chapter("06_data", "open('../table.csv').read()", data=["table.csv"])
    (small.root / "table.csv").write_text("1,3\n")
    assert small.stale() == {"06_data": ["table.csv changed"]}
    (small.root / "table.csv").unlink()
    with pytest.raises(ValueError, match="06_data declares the data 'table.csv', which are not"):
        small.stale()


def test_data_that_come_with_a_room_count_for_its_chapters(small):
    (small.root / "hblib" / "low" / "numbers.npz").write_bytes(b"1")
    reasons = ["hblib/low/numbers.npz changed"]
    assert small.stale() == dict.fromkeys(["01_deep", "02_dotted", "03_late"], reasons)


@pytest.mark.parametrize(
    ("name", "said"),
    [("low/_kernel.py", "low/_kernel.py, line 6, cannot be parsed: "),
     ("top.py", "hblib/top.py, line 4, cannot be parsed: ")],
)  # fmt: skip
def test_a_file_that_cannot_be_parsed_is_one_sentence(small, name, said):
    small.edit(name, "def ", "dfe ")
    with pytest.raises(ValueError, match=f"^{re.escape(said)}") as error:
        stamp.stale(small.root / "notebooks" / "01_deep.ipynb")
    assert "\n" not in str(error.value)


def test_a_cell_that_cannot_be_parsed_is_one_sentence(small):
    with pytest.raises(ValueError, match="^05_bad, code cell 1, line 1, cannot be parsed: "):
        small.chapter("05_bad", "x = = 1")


# ---------------------------------------------------------------- releases


def _relock(book, name):
    """Move one package to another release."""
    lock = book.root / "requirements.lock"
    text = lock.read_text(encoding="utf-8")
    changed = re.sub(rf"^{name}==\S+", f"{name}==0.0.1", text, flags=re.MULTILINE)
    assert changed != text
    lock.write_text(changed, encoding="utf-8")


def test_a_release_counts_for_the_chapters_that_import_it_however_indirectly(small):
    _relock(small, "torch")
    reasons = ["torch in the lock changed"]
    assert small.stale() == dict.fromkeys(["01_deep", "02_dotted", "03_late"], reasons)
    _relock(small, "mpmath")  # torch needs sympy, which needs mpmath
    assert "mpmath in the lock changed" in small.stale()["01_deep"]
    assert "04_without" not in small.stale()
    _relock(small, "numpy")
    assert small.stale()["04_without"] == ["numpy in the lock changed"]


def test_a_release_that_no_result_depends_on_counts_for_none(small):
    _relock(small, "sphinx")
    _relock(small, "ipython")
    lock = small.root / "requirements.lock"
    lock.write_text(lock.read_text() + "newcomer==1.0  # via hblib (pyproject.toml)\n")
    assert small.stale() == {}


def test_a_package_locked_to_several_releases_counts_with_each(tmp_path):
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "a==1 ; python_version < '3.12'  # via hblib\n"
        "a==2 ; python_version >= '3.12'  # via hblib\n"
        "b-c==3.0                         # via a, d\n"
    )
    both = "1 ; python_version < '3.12' or 2 ; python_version >= '3.12'"
    assert stamp._locked({"a", "unknown"}, lock) == {"a": both, "b-c": "3.0"}
    assert stamp._locked({"d"}, lock) == {}


def test_code_can_be_parsed_in_several_threads(small):
    """CPython 3.11 raises a SystemError now and then if two threads parse at once."""
    faults = []

    def look():
        try:
            for path in files.chapters(small.root):
                stamp._module.cache_clear()
                stamp.inputs(path)
        except Exception as error:  # noqa: BLE001 - whatever it is
            faults.append(error)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
