"""Accessibility of every page: axe, light and dark; tables with headers; a focus one can see."""

from pathlib import Path

import pytest
from built_site import SITE, settle

# Left out: what MathJax draws, which has its own text for screen readers, and all listings but the
# first of a page; both have thousands of nodes.
LEFT_OUT = [["mjx-container"], [".cell ~ .cell div.highlight"]]
# One element of each look: contrast depends on nothing else, and long pages have thousands.
SAMPLE = """() => {
    const seen = new Set();
    for (const node of document.body.querySelectorAll("*")) {
        if (![...node.childNodes].some(c => c.nodeType === 3 && c.textContent.trim())) continue;
        const s = getComputedStyle(node);
        const look = [node.tagName, node.className, node.parentElement.className, s.color,
            s.fontSize, s.fontWeight, s.backgroundColor].join("|");
        if (seen.has(look)) continue;
        seen.add(look);
        node.setAttribute("data-sampled", "");
    }
    return seen.size;
}"""
RUN = "([context, options]) => axe.run(context, options).then(result => result.violations)"


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="no axe-playwright-python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def serious(page, name, context, options):
    """Serious and critical violations on a page that is open."""
    options = {"resultTypes": ["violations"], **options}
    return [
        f"{name}: {fault['id']}: {node['html'][:140]}"
        for fault in page.evaluate(RUN, [context, options])
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_page(tab, pages, axe, scheme):
    page = tab(color_scheme=scheme)
    found = []
    for name in pages:
        settle(page, (SITE / name).as_uri())
        page.evaluate(axe)
        if scheme == "light":  # all but contrast is the same in both
            without = {"rules": {"color-contrast": {"enabled": False}}}
            found += serious(page, name, {"exclude": LEFT_OUT}, without)
        assert page.evaluate(SAMPLE) > 5
        sampled = {"include": [["[data-sampled]"]], "exclude": LEFT_OUT[:1]}
        found += serious(page, name, sampled, {"runOnly": ["color-contrast"]})
    assert not found, "\n".join(found)


def test_the_check_of_contrast_can_fail(tab, site, axe):
    page = tab()
    settle(page, (site / "book/status.html").as_uri())
    page.add_style_tag(content="article p { color: #ccc !important }")
    page.evaluate(axe)
    page.evaluate(SAMPLE)
    context = {"include": [["[data-sampled]"]]}
    assert serious(page, "status", context, {"runOnly": ["color-contrast"]})


def test_every_table_has_headers_with_a_scope(pages):
    tables = 0
    for name, soup in pages.items():
        for table in soup.select("main table"):
            if table.get("role") == "presentation":
                continue
            headers = table.select("th")
            assert headers, f"{name}: a table without headers: {table.get_text(' ')[:80]}"
            for header in headers:
                assert header.get("scope") in ("col", "row"), f"{name}: {header}"
                assert header.get_text(strip=True), f"{name}: an empty header"
            tables += 1
    assert tables > 10


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_can_be_seen(tab, site, scheme):
    page = tab(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    for name in ("book/index.html", "notebooks/02_rotation.html"):
        settle(page, (site / name).as_uri())
        seen = set()
        for _ in range(30):
            page.keyboard.press("Tab")
            style = page.evaluate(
                """() => {
                    const node = document.activeElement, style = getComputedStyle(node);
                    return [node.outerHTML.slice(0, 80), style.outlineStyle, style.outlineWidth];
                }"""
            )
            seen.add(style[0])
            assert style[1] == "solid" and float(style[2].removesuffix("px")) >= 2, style
        assert len(seen) > 15
