"""What a reader expects of a page: notes, numbered equations, citation, notebook, printing."""

import csv
import hashlib
import re
import sys
from pathlib import Path

import nbformat
import pytest
from built_site import ROOT, SITE, parse, settle
from scripts import load

sys.path.insert(0, str(ROOT / "book" / "_ext"))
import hb_reader  # noqa: E402

CHAPTER = "notebooks/02_rotation.html"


# ---------------------------------------------------------------- the line under the title


def test_every_page_says_how_long_it_takes_and_chapters_offer_their_notebook(site, pages, chapters):
    for name, soup in pages.items():
        if name in ("book/index.html", "search.html", "genindex.html"):
            continue
        line = soup.select_one("article h1 + p.hb-byline")
        looked_up = name.startswith("book/api/")
        assert bool(re.search(r"\d+ minutes? to read", line.text)) != looked_up, name
        if name in chapters:
            link = line.find("a", string="Notebook")
            assert link.has_attr("download")
            offered = (site / name).parent / link["href"]
            assert offered.read_bytes() == (ROOT / name).with_suffix(".ipynb").read_bytes()


def test_next_and_previous_pages_lead_through_the_whole_book(site, pages):
    name, seen = "book/index.html", []
    while name:
        seen.append(name)
        link = pages[name].select_one("a.right-next")
        following = None
        if link:
            path = ((site / name).parent / link["href"]).resolve()
            following = path.relative_to(site.resolve()).as_posix()
            back = pages[following].select_one("a.left-prev")
            assert ((site / following).parent / back["href"]).resolve() == (site / name).resolve()
        name = following
    assert set(seen) == set(pages) - {"search.html", "genindex.html"}


def test_solutions_fold_without_a_script(tab, site):
    page = tab(java_script_enabled=False)
    page.goto((site / "notebooks/01_activation_space.html").as_uri())
    box = page.locator("details.solution").first
    text = box.locator("p").first
    assert not text.is_visible()
    box.locator("summary").focus()
    page.keyboard.press("Enter")
    assert text.is_visible()


# ---------------------------------------------------------------- citation, equations, terms


def test_every_page_can_be_cited(pages, chapters):
    keys = set()
    for name, soup in pages.items():
        if name in ("search.html", "genindex.html"):
            continue
        section = soup.select_one("article #cite-this-page")
        entry = section.select_one("pre").text
        kind, key = re.match(r"@(\w+)\{([\w-]+),\n", entry).groups()
        assert kind == ("book" if name == "book/index.html" else "incollection")
        assert entry.count("{") == entry.count("}") and key not in keys
        keys.add(key)
        if name in chapters:
            meta = nbformat.read((ROOT / name).with_suffix(".ipynb"), as_version=4).metadata
            assert f"stamp {meta['hblib']['stamp']}" in section.p.text


def test_displayed_equations_are_numbered_in_order_and_can_be_linked(pages, chapters):
    total = 0
    for name in chapters:
        boxes = pages[name].select("article div.math.notranslate")
        for i, box in enumerate(boxes, start=1):
            number = box.select_one(".eqno a")
            assert number.text == f"({i})" and number["href"] == f"#{box['id']}", name
        total += len(boxes)
    assert total > 10


def test_terms_are_linked_once_a_page_and_have_their_definition(pages, chapters):
    definitions = {
        node["id"]: node.find_next_sibling("dd").get_text(" ", strip=True)
        for node in pages["book/glossary.html"].select("dl.glossary dt")
    }
    for name in chapters:
        soup = pages[name]
        links = soup.select("a.hb-term")
        targets = [link["href"].partition("#")[2] for link in links]
        assert len(targets) == len(set(targets)) >= 5, name
        for link, target in zip(links, targets):
            note = soup.find(id=link["data-note"]).get_text(" ", strip=True)
            assert note[:30] == definitions[target][:30]
            assert not link.find_parent(["a", "code", "h1", "h2", "h3", "figcaption"])
        for cited in soup.select(".bibtex-citation a"):
            assert len(soup.find(id=cited["data-note"]).text) > 30


def test_terms_are_not_linked_inside_code_links_or_formulas():
    page = hb_reader.fragment(
        "<article><section><h1>A unit</h1><p>A <code>unit</code>, <a href='x'>a unit</a>, "
        "community, sub-unit, two Units and a unit.</p></section></article>"
    )
    hb_reader.link_terms(page, {"unit": ("term-unit", "meaning")}, "glossary.html")
    assert [str(link) for link in page.select("a.hb-term")] == [
        '<a class="hb-term" href="glossary.html#term-unit">Units</a>'
    ]


def test_a_note_shows_on_hover_and_on_focus_and_goes_with_escape(tab, site, chapters):
    page = tab(viewport={"width": 1280, "height": 900})
    settle(page, (site / CHAPTER).as_uri())
    note = page.get_by_role("tooltip")
    term, cited = page.locator("a.hb-term").first, page.locator(".bibtex-citation a").first
    for link in (term, cited):
        wanted = page.locator(f"#{link.get_attribute('data-note')}").text_content().strip()
        link.hover()
        note.wait_for()
        assert note.text_content().strip() == wanted
        assert link.get_attribute("aria-describedby") == note.get_attribute("id")
        note.hover()  # it stays while the pointer is on it
        assert note.is_visible()
        page.keyboard.press("Escape")
        note.wait_for(state="hidden")
    page.keyboard.press("Tab")  # from here on links get the focus by key
    term.focus()
    note.wait_for()
    box = note.bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 1280
    page.keyboard.press("Escape")
    note.wait_for(state="hidden")


# ---------------------------------------------------------------- status


def test_the_status_page_counts_the_mistakes_that_the_tests_noticed(pages):
    with open(ROOT / "tests" / "mutants" / "results.csv", newline="") as file:
        noticed = [row["outcome"] in ("caught", "hung") for row in csv.DictReader(file)]
    (table,) = pages["book/status.html"].select("#do-the-tests-notice-mistakes table")
    *parts, total = [[int(c.text) for c in row.select("td")] for row in table.select("tbody tr")]
    assert total == [len(noticed), sum(noticed)] == [sum(column) for column in zip(*parts)]


def test_the_status_page_says_of_every_page_what_it_is_made_from(site, pages, chapters):
    status = pages["book/status.html"]
    by_caption = {table.caption.text: table for table in status.select("table:has(> caption)")}

    def linked(caption):
        return {
            (site / "book" / row.th.a["href"]).resolve().relative_to(site.resolve()).as_posix(): row
            for row in by_caption[caption].select("tbody tr")
        }

    state = linked("Chapters, in reading order")
    hashes = linked("What each stamp is made of")
    others = linked("The other pages")
    assert set(state) == set(hashes) == set(chapters)
    assert {*hashes, *others} == set(pages) - {"search.html", "genindex.html"}
    for name, row in state.items():
        cells = [cell.get_text(strip=True) for cell in row.select("td")]
        assert re.fullmatch(r"\d+ s", cells[0]) and cells[3] == "current", name
        assert re.fullmatch(r"\d\.\d GiB( \(earlier version\))?", cells[1]), name
        inputs = nbformat.read((ROOT / name).with_suffix(".ipynb"), as_version=4).metadata.hblib
        assert cells[2] == inputs["stamp"][:12]
        # notebook, code, register, library and lock each have a hash, and so has every module
        found = [code.text for code in hashes[name].select("td > code, td > div > code")]
        assert len(found) == 5 and all(re.fullmatch("[0-9a-f]{12}", text) for text in found)
        file = (ROOT / name).with_suffix(".ipynb").read_bytes()
        assert hashlib.sha256(file).hexdigest()[:12] == found[0]
        text = hashes[name].get_text(" ")
        for module, key in inputs["inputs"]["modules"].items():
            assert f"{module} {key[:12]}" in re.sub(r"\s+", " ", text)
    for name, row in others.items():
        source = (ROOT / name).with_suffix(".md").read_bytes()
        assert row.td.code.text == hashlib.sha256(source).hexdigest()[:12]


# ---------------------------------------------------------------- type, dark figures, print


@pytest.mark.parametrize("width", [1280, 1700])
def test_a_line_of_text_has_65_to_75_letters(tab, site, chapters, width):
    page = tab(viewport={"width": width, "height": 900})
    settle(page, (site / CHAPTER).as_uri())
    lines = page.evaluate(
        """() => [...document.querySelectorAll("article > section p")]
            .filter(p => p.innerText.length > 400)
            .map(p => p.innerText.length /
                (p.clientHeight / parseFloat(getComputedStyle(p).lineHeight)))"""
    )
    assert len(lines) > 3
    lines.sort()
    assert 65 <= lines[len(lines) // 2] <= 75  # the last line of each is short: a lower estimate


def test_drawings_turn_dark_and_photographs_do_not(tab, site, pages, chapters):
    page = tab(color_scheme="dark")
    drawn = photographed = 0
    for name in chapters:
        for figure in pages[name].select("figure.hb-figure:has(img):not(:has(hb-fig))"):
            drawn += "hb-drawing" in figure["class"]
            photographed += "hb-drawing" not in figure["class"]
    assert drawn > photographed > 0
    settle(page, (site / CHAPTER).as_uri())
    image = page.locator("figure.hb-drawing img").first
    assert "invert(1)" in image.evaluate("i => getComputedStyle(i).filter")
    page.emulate_media(media="print")
    assert image.evaluate("i => getComputedStyle(i).filter") == "none"


@pytest.fixture(scope="module")
def pdf():
    return load(ROOT / "tools" / "pdf.py")


def test_the_book_in_one_file_is_whole_and_its_links_resolve(site, pages, pdf, tmp_path):
    path = tmp_path / "book.html"
    path.write_text(pdf.in_one(site), encoding="utf-8")
    whole = parse(path)
    names = [pdf.slug(name) for name in pages if name not in ("search.html", "genindex.html")]
    assert {node["id"] for node in whole.select("article.hb-book-page")} == set(names)
    ids = [node["id"] for node in whole.select("[id]")]
    assert len(ids) == len(set(ids))
    for link in whole.select("a[href^='#']"):
        assert link["href"][1:] in ids, link["href"]
    for use in whole.select("use"):
        assert use["href"][1:] in ids
    for node in whole.select("img[src], link[rel=stylesheet]"):
        source = (node.get("src") or node["href"]).partition("?")[0]
        assert source.startswith("data:") or (SITE.parent / "pdf" / source).resolve().is_file()
    assert not whole.select("script")
    # Folded code is left out, solutions are open, and figures that move have their picture.
    assert not whole.select(".cell details:has(pre)") and whole.select(".cell pre")
    assert whole.select("details.dropdown") and not whole.select("details.dropdown:not([open])")
    moving = whole.select("hb-fig")
    assert len(moving) >= 7
    for figure in moving:
        assert figure.select_one(".hb-fig-still :is(img, svg, table)"), figure.get("kind")


def test_the_ledger_prints_as_a_table(tab, site):
    page = tab(viewport={"width": 700, "height": 900})  # A4, a little enlarged by its margins
    page.emulate_media(media="print")
    page.goto((site / "book/ledger.html").as_uri())
    row = page.locator("table.hb-ledger tbody tr").first
    tops = {round(cell.bounding_box()["y"]) for cell in row.locator("th, td").all()}
    assert len(tops) == 1
    box = page.locator("table.hb-ledger").bounding_box()
    assert box["x"] + box["width"] <= 700


def test_a_page_prints_as_pdf(browser, site, pdf, tmp_path):
    small = tmp_path / "_build" / "html"
    (small / "book").mkdir(parents=True)
    for name in ("index.html", "_static"):
        (small / name).symlink_to(site / name)
    front = parse(site / "book/index.html")
    for link in front.select("nav.bd-docs-nav a"):
        if not link["href"].endswith(("#", "how_to_read.html")):
            link.decompose()
    (small / "book/index.html").write_text(str(front), encoding="utf-8")
    (small / "book/how_to_read.html").symlink_to(site / "book/how_to_read.html")
    target = pdf.print_book(small, tmp_path / "book.pdf")
    data = target.read_bytes()
    assert data.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", data)) >= 5
    assert Path(tmp_path / "_build/pdf/book.html").is_file()
