"""How heavy a page is at the first visit, on which depends how soon it shows."""

import re
import shutil

import pytest
from built_site import ROOT, SITE
from scripts import PATIENCE

FIRST_LOAD = 2_000_000  # bytes, as they lie on the disk
SCRIPTS = 150 * 1024


@pytest.fixture(scope="module")
def visits(browser, server, pages):
    """Page -> bytes by kind of file, each with an empty cache."""

    def visit(name):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        context.set_default_timeout(1000 * PATIENCE)
        page = context.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url.partition("?")[0]))
        page.goto(server + name, wait_until="load")
        context.close()
        weights = {}
        for url in set(asked):
            if url.startswith(server):
                path = SITE / url[len(server) :]
                weights[path.suffix] = weights.get(path.suffix, 0) + path.stat().st_size
        return weights

    return {name: visit(name) for name in pages}


def test_first_load_of_every_page_is_at_most_two_megabytes(visits):
    sizes = {name: sum(weights.values()) for name, weights in visits.items()}
    assert max(sizes.values()) > 100_000  # something was counted
    assert not {name: size for name, size in sizes.items() if size > FIRST_LOAD}


def test_scripts_of_every_page_are_at_most_150_kilobytes(visits):
    sizes = {name: weights.get(".js", 0) for name, weights in visits.items()}
    assert max(sizes.values()) > 50_000
    # The search page loads the index of all words besides.
    del sizes["search.html"]
    assert not {name: size for name, size in sizes.items() if size > SCRIPTS}


def test_every_page_loads_only_what_it_needs(pages):
    for name, soup in pages.items():
        scripts = [
            node["src"].partition("?")[0].split("/")[-1] for node in soup.select("script[src]")
        ]
        assert "fontawesome.js" not in scripts, name
        if shutil.which("chromium") or shutil.which("chromium-browser"):  # to set formulas with
            assert not any("mathjax" in script for script in scripts), name
        assert ("searchindex.js" in scripts) == (name == "search.html")
        kinds = {node["kind"] for node in soup.select("hb-fig")}
        for script in scripts:
            if script.startswith("hb-fig-"):
                text = (ROOT / "book/_static" / script).read_text(encoding="utf-8")
                assert kinds & set(re.findall(r'register\("([\w-]+)"', text)), f"{name}: {script}"
        assert ("hb-fig.js" in scripts) == bool(kinds)
        pictures = soup.select("article img:not([src^='data:'])")
        assert all(picture.get("loading") == "lazy" for picture in pictures[1:]), name


def test_mathematics_needs_no_script(tab, site, pages):
    page = tab(java_script_enabled=False)
    page.goto((site / "notebooks/02_rotation.html").as_uri())
    formula = page.locator("article mjx-container svg use").first
    box = formula.bounding_box()
    assert box["width"] > 2 and box["height"] > 2
    for name, soup in pages.items():
        glyphs = {node["id"] for node in soup.select(".hb-glyphs path")}
        used = {node["href"][1:] for node in soup.select("mjx-container use")}
        assert used <= glyphs, name
        for box in soup.select("main .math"):
            assert box.select_one("mjx-assistive-mml math"), f"{name}: {box.get('data-tex')}"
