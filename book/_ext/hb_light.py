"""Take out of the pages what they do not need: icon fonts, search index, scripts for other pages.

The theme loads one and a half megabytes of icons for a dozen of them; these are drawn here, in one
hand, and stand in the page.  Search and tabs are loaded where there is something to search or to
choose from, solutions fold without a script, and the script of an explorable figure is loaded where
that figure is.
"""

import re

from bs4 import BeautifulSoup
from sphinx.errors import ExtensionError

# Strokes on a field of 16 x 16.
ICONS = {
    "angle-left": "M10 3 5 8l5 5",
    "angle-right": "m6 3 5 5-5 5",
    "arrow-up": "M8 13V3M3.5 7.5 8 3l4.5 4.5",
    "bars": "M2 4h12M2 8h12M2 12h12",
    "circle-half-stroke": "M8 2a6 6 0 1 0 0 12A6 6 0 1 0 8 2v12M10 3.2v9.6M12 4.5v7",
    "download": "M8 2v8M4.5 6.8 8 10.3l3.5-3.5M2.5 13.5h11",
    "expand": "M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10",
    "file": "M4 1.8h5L12.5 5v9.2H4zM9 2v3.2h3.3",
    "file-pdf": "M4 1.8h5L12.5 5v9.2H4zM9 2v3.2h3.3M6 8.5h4.5M6 11h4.5",
    "list": "M2 4h.5M5.5 4H14M2 8h.5M5.5 8H14M2 12h.5M5.5 12H14",
    "magnifying-glass": "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 1 0 0-9M10.3 10.3l3.7 3.7",
    "moon": "M13 9.7A5.6 5.6 0 0 1 6.3 3a5.6 5.6 0 1 0 6.7 6.7z",
    "sun": "M8 5a3 3 0 1 0 0 6 3 3 0 1 0 0-6M8 1v1.4M8 13.6V15M1 8h1.4M13.6 8H15"
    "M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
}
# Script -> what a page must have for it to be kept.
NEEDED_BY = {
    "fontawesome.js": None,
    "doctools.js": "#search-results",
    "sphinx_highlight.js": "#search-results",
    "searchtools.js": "#search-results",
    "language_data.js": "#search-results",
    "searchindex.js": "#search-results",
    "design-tabs.js": ".sd-tab-set",
    "togglebutton.js": ".toggle",
    "hb-ledger.js": "table.hb-ledger",
    "hb-fig.js": "hb-fig",
    "hb-reader.js": "[data-note]",
    "hb-quiz.js": ".hb-quiz",
}
UNUSED = ["scripts/fontawesome.js", "scripts/fontawesome.js.LICENSE.txt", "sphinx-thebe.js"]


def draw_icons(soup):
    """Replace the theme's icon elements by drawings."""
    for node in soup.select("[class*='fa-']"):
        names = [name for name in node["class"] if name.startswith("fa-")]
        name = next((n[3:] for n in names if n[3:] not in ("solid", "regular", "lg")), "")
        if name not in ICONS:
            raise ExtensionError(f"hb_light has no drawing for the theme's icon {name!r}.")
        kept = [c for c in node["class"] if not c.startswith("fa")]
        svg = (
            f'<svg class="hb-icon" viewBox="0 0 16 16" aria-hidden="true">'
            f'<path d="{ICONS[name]}"></path></svg>'
        )
        node.name = "span"
        node["class"] = [*kept, "hb-icon-box"]
        node.clear()
        node.append(BeautifulSoup(svg, "html.parser"))


def figure_scripts(folder):
    """Script name -> kinds of explorable figure it draws."""
    return {
        path.name: set(re.findall(r'register\("([\w-]+)"', path.read_text(encoding="utf-8")))
        for path in folder.glob("hb-fig-*.js")
    }


def strip_scripts(folder):
    """Leave comments and indentation of our own scripts at home; no text runs over two lines."""
    for path in folder.glob("hb-*.js"):
        code = re.sub(r"^\s*/\*.*?\*/", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
        lines = (line.strip() for line in code.splitlines())
        kept = [line for line in lines if line and not line.startswith("//")]
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")


def drop_scripts(soup, figures):
    """Remove the scripts that this page does not need."""
    kinds = {node.get("kind") for node in soup.select("hb-fig")}
    for script in soup.select("script[src]"):
        name = script["src"].partition("?")[0].rpartition("/")[2]
        if name in figures:
            keep = bool(figures[name] & kinds)
        elif name in NEEDED_BY:
            keep = NEEDED_BY[name] is not None and soup.select_one(NEEDED_BY[name])
        else:
            keep = True
        if not keep:
            script.decompose()
    if not soup.select_one("[class*='sd-']"):
        for link in soup.select("link[href*='sphinx-design']"):
            link.decompose()
    for script in soup.find_all("script", string=re.compile("thebe|kernelName")):
        script.decompose()
    if not soup.select_one(NEEDED_BY["togglebutton.js"]):
        for script in soup.find_all("script", string=re.compile("toggle(button|Hint|OpenOn)")):
            script.decompose()


def fold_solutions(soup):
    """Make boxes that fold elements of HTML: no script, and they open by key."""
    for box in soup.select("div.admonition.dropdown"):
        title = box.select_one(".admonition-title")
        for link in title.select("a"):  # nothing else to press inside what opens the box
            link.unwrap()
        box.name, title.name = "details", "summary"


def defer_scripts(soup):
    """Let no script in the head hold up the page; they still run in their order."""
    if soup.select_one("#search-results"):  # whose inline scripts call them at once
        return
    for script in soup.select("head script[src]"):
        if "documentation_options" not in script["src"]:  # an inline script amends these
            script["defer"] = "defer"


def wait_with_pictures(soup):
    """Load pictures when they come near, all but the first, which may be on the first screen."""
    for image in soup.select("main article img")[1:]:
        image["loading"] = "lazy"
    for image in soup.select("main article img"):
        image["decoding"] = "async"


def lighten(soup, figures):
    """Do all of this to one parsed page."""
    draw_icons(soup)
    fold_solutions(soup)
    drop_scripts(soup, figures)
    defer_scripts(soup)
    wait_with_pictures(soup)
