"""The front page and the one-page summary: on one screen, live, and complete."""

import base64
import hashlib

import nbformat
import pytest
from bs4 import NavigableString
from built_site import ROOT, SITE, settle

from hblib import claims
from runner import files, ledger


@pytest.fixture(scope="module")
def table():
    register = claims.load_register(ROOT / "hblib" / "claims" / "register.yml")
    return ledger.collect(register, files.chapters(ROOT)).set_index("id")


def test_question_answer_counts_and_doors_fit_on_one_screen(tab, site):
    page = tab(viewport={"width": 1280, "height": 900})
    settle(page, (site / "book/index.html").as_uri())
    for selector in (".hb-question", ".hb-answer", ".hb-counts", ".hb-doors .sd-card"):
        box = page.locator(selector).last.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900, selector
    doors = page.locator(".hb-doors .sd-card-title").all_inner_texts()
    assert doors == ["Read", "Rerun", "Teach"]


def test_verdicts_on_the_front_page_are_those_of_the_ledger(pages, table):
    answer = pages["book/index.html"].select_one(".hb-answer")
    cited = answer.select("a.hb-cited-claim")
    assert len(cited) >= 4
    for link in cited:
        assert link.text == table.verdict[link["title"]]
        assert link["href"] == f"ledger.html#{claims.ledger_anchor(link['title'])}"


def test_no_number_on_the_front_page_is_typed():
    source = (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    body = source.split("---", 2)[2]
    prose = [line for line in body.splitlines() if not line.lstrip().startswith(("{", ":", "#"))]
    words = " ".join(prose)
    for key in ("wilson2016", "pechyonkin2017", "szegedy2013", "bau2017", "johnson2019"):
        words = words.replace(key, "")
    words = words.replace("goh2016", "").replace("tan2015blog", "").replace("{cite:t}", "")
    assert not any(c.isdigit() for c in words), words


def test_summary_has_every_chapter_with_its_figure_and_verdicts(site, pages, table):
    summary = pages["book/findings.html"]
    written = files.chapters(ROOT)
    sections = summary.select("section[id^=found-]")
    assert [section["id"] for section in sections] == [f"found-{path.stem}" for path in written]
    for section, path in zip(sections, written):
        notebook = nbformat.read(path, as_version=4)
        title = notebook.cells[0].source.partition("\n")[0].lstrip("# ")
        own = [str(c) for c in section.h2.descendants if isinstance(c, NavigableString)]
        assert "".join(own).startswith(title.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}"))
        assert section.find("a", href=f"../notebooks/{path.stem}.html")
        figure = section.select_one("figure.hb-figure")
        stored = {
            meta["alt"]: base64.b64decode(output["data"]["image/png"])
            for cell in notebook.cells
            for output in cell.get("outputs", ())
            if "alt" in (meta := output.get("metadata", {}).get("image/png", {}))
        }
        png = (SITE / "book" / figure.img["src"]).resolve().read_bytes()
        assert png == stored[figure.img["alt"]]
        assert hashlib.sha256(png).hexdigest() in figure.img["src"]
        assert figure.figcaption.get_text(strip=True)
        mine = table[table.chapter == path.stem]
        found = {item.code.text: item["data-verdict"] for item in section.select("ul.hb-found li")}
        assert found == mine.verdict.to_dict()
