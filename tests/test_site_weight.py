"""What a page asks of its reader's browser, on which depends how soon it shows."""

import re
import shutil

from built_site import ROOT


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
