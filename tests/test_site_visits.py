"""Every page opened in the browser, once from the disk and once from a server.

From the disk a page is read on a phone, then on a wide screen, in light and in dark, and in print;
from the server with an empty cache, as at a first visit. Opening a page takes longer than looking
at it, so each is opened once and the tests share what was seen.
"""

from pathlib import Path

import pytest
from built_site import SITE, settle
from scripts import PATIENCE

PHONE, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
SEARCH = "search.html?q=equivariance"
FIRST_LOAD = 2_000_000  # bytes, as they lie on the disk
SCRIPTS = 150 * 1024

# Before axe looks, a letter takes the place of what MathJax draws: that has its own text for screen
# readers, and thousands of nodes.
UNDRAWN = """() => {
    document.querySelectorAll("mjx-container").forEach(node => node.replaceWith("x"));
    document.querySelector(".hb-glyphs")?.remove();
}"""
# All listings but the first of a page.
LEFT_OUT = [[".cell ~ .cell div.highlight"]]
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
# Colours that are still on their way to others.
SETTLED = """() => document.getAnimations().filter(a => a instanceof CSSTransition)
    .forEach(a => a.finish())"""
SHOWN = """() => [...document.querySelectorAll("hb-fig")].map(
    f => ["still", "live"].map(c => getComputedStyle(f.querySelector(`.hb-fig-${c}`)).display))"""


def watched(page):
    """What a page asks for and what goes wrong, in two lists that grow."""
    asked, faults = [], []

    def failed(request):
        if request.failure != "net::ERR_ABORTED":  # the icon, when the next page is opened first
            faults.append(f"{request.failure}: {request.url}")

    def answered(response):
        if response.status >= 400:
            faults.append(f"{response.status}: {response.url}")

    def said(message):
        if message.type == "error":
            faults.append(f"{page.url}: {message.text}")

    page.set_default_timeout(1000 * PATIENCE)
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", failed)
    page.on("response", answered)
    page.on("console", said)
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    return asked, faults


@pytest.fixture(scope="module")
def axe():
    package = pytest.importorskip("axe_playwright_python", reason="no axe-playwright-python")
    return (Path(package.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def serious(page, context, options):
    """Serious and critical violations on a page that is open."""
    # Style sheets are not fetched once more, which a page from the disk is not allowed.
    options = {"resultTypes": ["violations"], "preload": False, **options}
    return [
        f"{fault['id']}: {node['html'][:140]}"
        for fault in page.evaluate(RUN, [context, options])
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"][:3]
    ]


def pale(page):
    """Serious faults of contrast."""
    assert page.evaluate(SAMPLE) > 5
    return serious(page, {"include": [["[data-sampled]"]]}, {"runOnly": ["color-contrast"]})


@pytest.fixture(scope="module")
def from_disk(browser, pages, axe):
    """Page -> what is seen of it; what all of them asked for; what went wrong."""
    # Pages of rooms are made from docstrings by one template: axe is given the longest of them.
    rooms = [name for name in pages if name.startswith("book/api/") and "index" not in name]
    alike = sorted(rooms, key=lambda name: (SITE / name).stat().st_size)[:-1]
    page = browser.new_page(viewport=PHONE)
    asked, faults = watched(page)
    seen = {}
    for name in pages:
        page.set_viewport_size(PHONE)
        page.emulate_media(media="screen", color_scheme="light")
        settle(page, (SITE / name).as_uri())
        looks = seen[name] = {
            "width": page.evaluate("document.scrollingElement.scrollWidth"),
            "unset": page.locator("main .math:not(:has(mjx-container))").count(),
            "errors": page.locator("mjx-merror, [data-mjx-error]").count(),
        }
        page.set_viewport_size(WIDE)
        if name not in alike:
            page.evaluate(UNDRAWN)
            page.evaluate(axe)
            # All but contrast is the same in light and in dark.
            without = {"rules": {"color-contrast": {"enabled": False}}}
            looks["light"] = serious(page, {"exclude": LEFT_OUT}, without) + pale(page)
            page.emulate_media(color_scheme="dark")
            page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
            page.evaluate(SETTLED)
            looks["dark"] = pale(page)
        page.emulate_media(media="print")
        looks["printed"] = page.evaluate(SHOWN)
    page.goto(f"{SITE.as_uri()}/{SEARCH}")
    page.locator("#search-results li").first.wait_for()
    page.close()
    return seen, asked, faults


@pytest.fixture(scope="module")
def from_server(browser, server, pages):
    """Page -> bytes by kind of file; what all of them asked for; what went wrong."""
    weights, everything, wrong = {}, [], []
    for name in [*pages, SEARCH]:
        with browser.new_context(viewport=WIDE) as context:
            page = context.new_page()
            asked, faults = watched(page)
            page.goto(server + name, wait_until="load")
            loaded = {url.partition("?")[0] for url in asked}
            if name == SEARCH:
                page.locator("#search-results li").first.wait_for()
            else:
                weights[name] = {}
                for url in loaded:
                    if url.startswith(server):
                        path = SITE / url[len(server) :]
                        weights[name].setdefault(path.suffix, 0)
                        weights[name][path.suffix] += path.stat().st_size
        everything += asked
        wrong += faults
    return weights, everything, wrong


@pytest.mark.parametrize("how", ["from_disk", "from_server"])
def test_no_request_leaves_the_site_and_none_fails(how, server, request):
    base = SITE.as_uri() + "/" if how == "from_disk" else server
    _, asked, faults = request.getfixturevalue(how)
    assert asked
    foreign = [url for url in asked if not url.startswith((base, "data:", "blob:"))]
    assert not foreign and not faults, "\n".join(foreign + faults)


def test_mathematics_is_set(from_disk, pages):
    assert sum(bool(soup.select_one("main .math")) for soup in pages.values()) > 5
    for name, looks in from_disk[0].items():
        assert (looks["unset"], looks["errors"]) == (0, 0), name


def test_no_page_scrolls_sideways_on_a_phone(from_disk):
    widths = {name: looks["width"] for name, looks in from_disk[0].items()}
    assert not {name: width for name, width in widths.items() if width > PHONE["width"]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(from_disk, scheme):
    found = {name: looks[scheme] for name, looks in from_disk[0].items() if scheme in looks}
    assert len(found) > 20
    assert not {name: faults for name, faults in found.items() if faults}


def test_the_check_of_contrast_can_fail(tab, site, axe):
    page = tab()
    settle(page, (site / "book/status.html").as_uri())
    page.add_style_tag(content="article p { color: #ccc !important }")
    page.evaluate(axe)
    assert pale(page)


def test_in_print_the_still_picture_stands_for_a_figure_that_moves(from_disk):
    printed = {name: looks["printed"] for name, looks in from_disk[0].items() if looks["printed"]}
    assert len(printed) >= 5
    for name, figures in printed.items():
        assert all(shown == ["block", "none"] for shown in figures), name


def test_first_load_of_every_page_is_at_most_two_megabytes(from_server):
    sizes = {name: sum(weights.values()) for name, weights in from_server[0].items()}
    assert max(sizes.values()) > 100_000  # something was counted
    assert not {name: size for name, size in sizes.items() if size > FIRST_LOAD}


def test_scripts_of_every_page_are_at_most_150_kilobytes(from_server):
    sizes = {name: weights.get(".js", 0) for name, weights in from_server[0].items()}
    assert max(sizes.values()) > 50_000
    # The search page loads the index of all words besides.
    del sizes["search.html"]
    assert not {name: size for name, size in sizes.items() if size > SCRIPTS}
