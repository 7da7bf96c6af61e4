"""The reference of the library: complete, linked, and nothing private in it."""

import importlib
import inspect
import re
import sys

import nbformat
import pytest
from scripts import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import hb_api  # noqa: E402

from runner import files  # noqa: E402


def room(name):
    return importlib.import_module(f"hblib.{name}")


# ---------------------------------------------------------------- the rooms and their docstrings


def test_the_library_lists_its_rooms_and_each_has_a_page():
    there = {path.parent.name for path in (ROOT / "hblib").glob("*/__init__.py")}
    assert set(hb_api.ROOMS) == there
    for name in there:
        assert f".. room:: {name}\n" in (ROOT / f"book/api/{name}.md").read_text("utf-8")
    in_toc = re.findall(r"book/api/(\w+)", (ROOT / "_toc.yml").read_text("utf-8"))
    assert in_toc == ["index", *hb_api.ROOMS]


@pytest.mark.parametrize("name", sorted(hb_api.ROOMS))
def test_every_public_name_is_described(name):
    module = room(name)
    assert module.__doc__ and module.__all__
    for public in module.__all__:
        thing = getattr(module, public)
        if hb_api.kind(thing) == "constant":
            continue
        assert hb_api.summary(thing).endswith((".", "?")), public
        # What is named in `...` there, and is public, has to exist: such names are links.
        for target in re.findall(r"(?<!`)`(hblib\.\w+\.\w+)`(?!`)", inspect.getdoc(thing)):
            _, of, named = target.split(".")
            assert of not in hb_api.ROOMS or named in room(of).__all__, (public, target)


@pytest.mark.parametrize("name", sorted(hb_api.WITHIN))
def test_a_package_within_a_room_is_on_the_page_of_the_room(name):
    page = (ROOT / f"book/api/{name.partition('.')[0]}.md").read_text("utf-8")
    assert f".. room:: {name}\n" in page
    for public in room(name).__all__:
        assert hb_api.home(name, public) == name


def test_a_chapter_uses_a_name_of_a_package_within_a_room(tmp_path):
    cell = nbformat.v4.new_code_cell("from hblib.models import language\nlanguage.load()")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "one.ipynb")
    assert hb_api._used(tmp_path / "one.ipynb", 0) == {
        "models.language",
        "models.language.load",
    }


# ---------------------------------------------------------------- making a page


def test_names_become_links_and_other_signs_stay_plain():
    marked = hb_api.marked
    assert marked("see `batch_omp`, ``|x|`` and |y|") == (
        r"see :py:obj:`batch_omp`, ``|x|`` and \|y\|"
    )
    assert marked("`components_` or atoms_, *args") == r":py:obj:`components_` or atoms\_, \*args"
    assert marked(":math:`x_`, `a <b>`_") == ":math:`x_`, `a <b>`_"


def test_examples_and_references_of_a_docstring():
    lines = ["A |b| [1]_.", "", "  .. [1] One, two", "     three.", "", "Examples", "--------"]
    lines += [">>> x_ | y", "1", "", "Shown::", "", "    a_ | b", "", "c_"]
    hb_api.prepare(None, "function", "f", None, None, lines)
    assert lines[0] == r"A \|b\| [1]."
    assert lines[2] == "  [1] One, two three."
    assert ">>> x_ | y" in lines and "    a_ | b" in lines and lines[-1] == r"c\_"


def test_signatures_are_those_of_the_source():
    def f(self, x: "ArrayLike", *, n: int | None = None) -> "Anything[here]":  # noqa: F821
        """A method."""

    made = hb_api.signature(None, "method", "f", f, None, None, None)
    assert made == ("(x: ArrayLike, *, n: int | None = None)", "Anything[here]")


def test_members_are_the_librarys_own():
    from hblib import similarity, sparse

    assert {"fit", "transform"} <= set(hb_api.members(sparse.KSVD))
    assert "set_params" not in hb_api.members(sparse.KSVD)  # scikit-learn's
    assert not hb_api.members(similarity.Match)  # the fields of a named tuple


def test_chapters_are_found_by_what_their_cells_use(tmp_path):
    (tmp_path / "notebooks").mkdir()
    cells = [
        nbformat.v4.new_markdown_cell("from hblib import grid"),
        nbformat.v4.new_code_cell("%matplotlib inline\nfrom hblib import sparse, words"),
        nbformat.v4.new_code_cell("from hblib.models import train\nimport hblib.claims as c"),
        nbformat.v4.new_code_cell("import hblib.worlds\nhblib.worlds.faces(c.check)"),
        nbformat.v4.new_code_cell("sparse.KSVD().fit(grid.lattice, f(words).ppmi)"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks" / "03_x.ipynb")
    used = {name for name in hb_api.ROOMS if hb_api.users(tmp_path, name)}
    assert used == {"sparse", "words", "models", "claims", "worlds"}
    there = ("models.train", "claims.check", "worlds.faces", "sparse.KSVD")
    assert all(hb_api.users(tmp_path, name) for name in there)
    missing = ("sparse.KS", "sparse.fit", "words.ppmi", "grid.lattice", "models.check")
    assert not any(hb_api.users(tmp_path, name) for name in missing)


# ---------------------------------------------------------------- links from the chapters


def linked(path):
    """Entries of the reference that a chapter's text links, as ``hblib.room.name``."""
    cells = nbformat.read(path, as_version=4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"\]\(#(hblib[^)]*)\)", text)


@pytest.mark.parametrize("path", files.chapters(ROOT), ids=lambda path: path.stem)
def test_a_chapter_links_public_functions_that_it_uses(path):
    links = linked(path)
    assert len(links) == len(set(links)) >= 4, "each function is linked once"
    for link in links:
        _, of, name = link.split(".")
        assert name in room(of).__all__, link
        assert path in hb_api.users(ROOT, f"{of}.{name}"), link


# ---------------------------------------------------------------- the built pages


@pytest.mark.parametrize("name", sorted(hb_api.ROOMS))
def test_the_page_of_a_room_has_all_its_names_and_no_private_one(pages, name):
    page = pages[f"book/api/{name}.html"]
    signatures = [node.get("id", "") for node in page.select("dt.sig")]
    start = f"hblib.{name}."
    assert {id for id in signatures if id.count(".") == 2} == {
        start + public for public in room(name).__all__
    }
    assert not [id for id in signatures if re.search(r"\._|^_", id)]
    index = page.select_one("dl.hb-api-index")
    assert [a["href"][1:] for a in index.select("dt a")] == [
        start + public for public in sorted(room(name).__all__, key=str.lower)
    ]
    for stray in (":py:obj:", "``", r"\_", "Alias for field"):
        assert stray not in page.select_one("article").get_text(), stray


@pytest.mark.parametrize("name", sorted(hb_api.ROOMS))
def test_the_page_of_a_room_links_the_chapters_that_use_it(pages, name):
    first = pages[f"book/api/{name}.html"].select_one(".hb-api-used")
    linked = [a["href"] for a in first.select("a")]
    there = [p.stem for p in hb_api.users(ROOT, name) if f"notebooks/{p.stem}.html" in pages]
    assert [link for link in linked if "notebooks" in link] == [
        f"../../notebooks/{chapter}.html" for chapter in there
    ]


@pytest.mark.parametrize("name", sorted(hb_api.ROOMS))
def test_an_entry_links_the_chapters_that_use_it(pages, name):
    for signature in pages[f"book/api/{name}.html"].select("dl.py > dt.sig"):
        entry = signature["id"].removeprefix("hblib.")
        if entry.count(".") > 1:  # a method
            continue
        chapters = signature.find_next_sibling("dd").select(":scope > .hb-api-chapters a")
        used = [p.stem for p in hb_api.users(ROOT, entry) if f"notebooks/{p.stem}.html" in pages]
        assert [a["href"] for a in chapters] == [f"../../notebooks/{stem}.html" for stem in used]


def test_links_from_the_chapters_lead_to_their_entries(pages, chapters):
    for chapter in chapters:
        wanted = linked(ROOT / chapter.replace(".html", ".ipynb"))
        assert wanted, chapter
        made = [a["href"] for a in pages[chapter].select("article a[href*='book/api/']")]
        assert made == [f"../book/api/{link.split('.')[1]}.html#{link}" for link in wanted]
        for href in made:
            assert pages[href.partition("#")[0][3:]].find(id=href.partition("#")[2]), href


def test_the_first_page_shows_both_examples(pages):
    text = pages["book/api/index.html"].get_text()
    for path in (ROOT / "examples").glob("*.py"):
        assert path.read_text("utf-8").splitlines()[0] in text
