"""Accessibility: tables with headers, a focus one can see; axe is in `test_site_visits.py`."""

import pytest
from built_site import settle


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
