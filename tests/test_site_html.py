"""The pages are valid HTML as far as it is checked without a service: structure, nesting, names."""

import re
from collections import Counter

import pytest
from bs4 import BeautifulSoup
from built_site import ROOT

BLOCKS = set(
    "address article aside blockquote details div dl fieldset figcaption figure footer form h1 h2 "
    "h3 h4 h5 h6 header hr main nav ol p pre section table ul".split()
)
# What may hold words and what stands among words, but no blocks.
PHRASES = set(
    "p span em strong b i u s small sub sup code kbd samp var cite q abbr dfn data time mark label "
    "button output h1 h2 h3 h4 h5 h6 pre".split()
)
INTERACTIVE = {"a", "button", "input", "select", "textarea", "summary"}
OBSOLETE = set("acronym big center dir font frame marquee nobr strike tt".split())
# Parent -> its only children.
CHILDREN = {
    "ul": {"li"},
    "ol": {"li"},
    "dl": {"dt", "dd", "div"},
    "table": {"caption", "colgroup", "thead", "tbody", "tfoot", "tr"},
    "thead": {"tr"},
    "tbody": {"tr"},
    "tr": {"th", "td"},
    "select": {"option", "optgroup"},
}
ANYWHERE = {"script", "template"}
VOID = set("area base br col embed hr img input link meta source track wbr".split())
REFERENCES = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-owns")


def nodes(soup):
    """All elements but what is drawn or set: SVG and MathML have rules of their own."""
    waiting = [soup]
    while waiting:
        children = waiting.pop().find_all(True, recursive=False)
        yield from children
        waiting += [c for c in children if c.name not in ("svg", "math", "mjx-container")]


def faults(soup):
    """Everything in a page that the HTML standard forbids, of the rules known here."""
    found = []
    if not soup.html.get("lang"):
        found.append("no language")
    if soup.select_one("head meta[charset]") is None:
        found.append("no character set")
    for name, wanted in (("head > title", 1), ("h1", 1), ("main", 1)):
        if (count := len(soup.select(name))) != wanted:
            found.append(f"{count} times {name}")
    ids = [node["id"] for node in soup.select("[id]")]
    found += [f"id {i!r} twice" for i, count in Counter(ids).items() if count > 1]
    found += [f"id {i!r} has a space or is empty" for i in ids if not i or re.search(r"\s", i)]
    known = set(ids)
    for node in nodes(soup):
        if node.name in OBSOLETE:
            found.append(f"obsolete <{node.name}>")
        if node.name == "img" and node.get("alt") is None:
            found.append(f"picture without alt: {str(node)[:80]}")
        if node.name in BLOCKS and (outer := node.find_parent(PHRASES)):
            between = [n.name for n in node.parents][: list(node.parents).index(outer)]
            if not {"a", "button", "svg"} & set(between) or outer.name == "p":
                found.append(f"<{node.name}> in <{outer.name}>: {str(outer)[:80]}")
        if node.name in INTERACTIVE and (outer := node.find_parent(["a", "button", "summary"])):
            found.append(f"<{node.name}> in <{outer.name}>: {str(outer)[:80]}")
        if (allowed := CHILDREN.get(node.name)) is not None:
            wrong = [c.name for c in node.find_all(True, recursive=False)]
            wrong = set(wrong) - allowed - ANYWHERE
            found += [f"<{name}> as a child of <{node.name}>" for name in wrong]
        if node.name == "details" and getattr(node.find(True), "name", None) != "summary":
            found.append("<details> does not begin with its summary")
        if node.name == "figcaption" and node.parent.name != "figure":
            found.append("a figcaption outside a figure")
        for attribute in REFERENCES:
            for target in str(node.get(attribute, "")).split():
                if target not in known:
                    found.append(f"{attribute} names {target!r}, which is not on the page")
    levels = [int(h.name[1]) for h in soup.select("article :is(h1, h2, h3, h4, h5, h6)")]
    found += [f"h{a} is followed by h{b}" for a, b in zip(levels, levels[1:]) if b > a + 1]
    return found


def tags_left_open(text):
    """Elements opened and not closed, or closed and not opened, by a plain count."""
    text = re.sub(r"<!--.*?-->|<(script|style)\b.*?</\1>", "", text, flags=re.S)
    opened = re.findall(r"<([a-z][\w-]*)\b[^<>]*?(/?)>", text, flags=re.I)
    closed = re.findall(r"</([a-z][\w-]*)\s*>", text, flags=re.I)
    counts = {}
    for name, alone in opened:
        if name.lower() not in VOID and not alone:
            counts[name] = counts.get(name, 0) + 1
    for name in closed:
        counts[name] = counts.get(name, 0) - 1
    return {name: count for name, count in counts.items() if count}


def test_pages_are_valid(pages):
    wrong = [f"{name}: {fault}" for name, soup in pages.items() for fault in faults(soup)]
    assert not wrong, "\n".join(sorted(set(wrong))[:60])


def test_every_element_is_closed(site, pages):
    for name in pages:
        text = (site / name).read_text(encoding="utf-8")
        assert text.startswith("<!DOCTYPE html>"), name
        assert not tags_left_open(text), name


PAGE = (
    '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>t</title></head>'
    "<body><main><article><h1>t</h1>{}</article></main></body></html>"
)


@pytest.mark.parametrize(
    "text, fault",
    [
        ("<p>fine</p>", None),
        ("<p><div>x</div></p>", "<div> in <p>"),
        ("<a href='#x'><button>x</button></a>", "<button> in <a>"),
        ("<ul><p>x</p></ul>", "<p> as a child of <ul>"),
        ("<img src='x'>", "without alt"),
        ("<h3>x</h3>", "h1 is followed by h3"),
        ("<i id='a'></i><i id='a'></i>", "twice"),
        ("<p aria-describedby='gone'>x</p>", "not on the page"),
        ("<center>x</center>", "obsolete"),
        ("<h1>again</h1>", "2 times h1"),
        ("<details><p>x</p></details>", "summary"),
    ],
)
def test_faults_would_be_found(text, fault):
    found = faults(BeautifulSoup(PAGE.format(text), "html.parser"))
    assert (fault is None and not found) or any(fault in one for one in found)


def test_an_open_element_would_be_found():
    assert tags_left_open(PAGE.format("<p><em>x</p>")) == {"em": 1}
    assert not tags_left_open(PAGE.format("<p>x<br></p>"))


def test_the_checks_cover_every_page_of_the_book(pages):
    sources = [*ROOT.glob("book/*.md"), *ROOT.glob("book/teach/*.md")]
    sources += [*ROOT.glob("book/api/*.md"), *ROOT.glob("notebooks/[0-9]*.ipynb")]
    wanted = {path.relative_to(ROOT).with_suffix(".html").as_posix() for path in sources}
    assert wanted | {"search.html", "genindex.html"} == set(pages)
