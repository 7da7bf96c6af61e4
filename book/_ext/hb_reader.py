"""What a reader expects of a page: time to read, notes on hover, numbered equations, citation.

Everything is made from the written pages, so that it holds for every chapter, the coming ones too.
"""

import posixpath
import re
from copy import copy
from pathlib import PurePosixPath

import hb_launch
from bs4 import BeautifulSoup, NavigableString
from hb_html import fill
from markupsafe import Markup

WORDS_A_MINUTE = 200
# Where a term is not looked for: links, code, formulas, headings, cards, captions.
NOT_IN = ["a", "code", "pre", "h1", "h2", "h3", "h4", "figcaption", "table", "script", "dt"]


def fragment(text):
    return BeautifulSoup(text, "html.parser")


# ---------------------------------------------------------------- the line under the title


def minutes(soup):
    """How long a page takes: as the chapter itself says, else from its words."""
    for row in soup.select("article table tr"):
        cells = [cell.get_text(" ", strip=True) for cell in row.select("th, td")]
        if len(cells) == 2 and cells[0] == "time":
            return cells[1]
    words = "article :is(p, li, dd):not(table *, details *)"  # what one looks up is not read
    text = " ".join(p.get_text(" ") for p in soup.select(words))
    count = max(1, round(len(text.split()) / WORDS_A_MINUTE))
    return f"{count} minute{'s' if count > 1 else ''} to read"


def add_byline(soup, docname, book):
    """Time to read, the notebook behind the page, where to launch it, how to cite it."""
    reference = "api" in PurePosixPath(docname).parts  # nobody reads it from end to end
    notebook, launch = "", {}
    source = soup.select_one("a.btn-download-source-button")
    if source is not None and source["href"].endswith(".ipynb"):
        notebook, chapter = source["href"], PurePosixPath(docname).name
        launch = hb_launch.links(book["repository"], book["hub"], chapter)
    line = fill(
        "byline.html",
        minutes="" if reference else minutes(soup),
        notebook=notebook,
        launch=launch,
    )
    soup.select_one("article h1").insert_after(fragment(line))


def mark_parameters(soup):
    """Name the table of a run's parameters, for the style sheet sets it in columns."""
    for caption in soup.select("table > caption"):
        if caption.get_text(strip=True) == "Parameters of this run":
            caption.parent["class"] = ["hb-params"]


# ---------------------------------------------------------------- cite this


def add_citation(soup, docname, book):
    """A paragraph and a BibTeX entry at the end of the page."""
    title = "".join(s for s in soup.select_one("article h1").strings if s != "#").strip()
    name = "-".join(PurePosixPath(docname).parts[-2 if "/api/" in docname else -1 :])
    key = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    edition = f"version {book['version']}"
    if stamp := book["stamps"].get(PurePosixPath(docname).name):
        edition += f", stamp {stamp}"
    address = f"{book['url'].rstrip('/')}/{docname}.html" if book["url"] else ""
    whole = title == book["title"]  # the front page stands for the book
    entry = [
        f"@{'book' if whole else 'incollection'}{{hidden-basis-{key},",
        f"  author    = {{{{{book['author']}}}}},",
        f"  title     = {{{title}}},",
        *([] if whole else [f"  booktitle = {{{book['title']}}},"]),
        f"  year      = {{{book['year']}}},",
        f"  note      = {{{edition[0].upper() + edition[1:]}}},",
        *([f"  url       = {{{address}}},"] if address else []),
        "}",
    ]
    section = fill(
        "citation.html",
        book=book,
        title=title,
        whole=whole,
        edition=edition,
        address=address,
        entry=entry,
    )
    soup.select_one("article > section").append(fragment(section))


# ---------------------------------------------------------------- equations


def number_equations(soup):
    """Number the displayed formulas of a page; each number is a link to its formula."""
    taken = soup.select("article div.math .eqno")
    if taken:  # the page numbers its own
        return
    for i, node in enumerate(soup.select("article > section div.math.notranslate"), start=1):
        if "id" not in node.attrs:
            node["id"] = f"equation-{i}"
        number = f'<span class="eqno"><a href="#{node["id"]}" title="Link to this equation">({i})'
        node.insert(0, fragment(f"{number}</a></span>"))


# ---------------------------------------------------------------- notes on hover


def glossary(soup):
    """Terms of the glossary page: lower-case name -> (id, definition as HTML)."""
    terms, names = {}, []
    for node in soup.select("dl.glossary > *"):
        if node.name == "dt":
            names.append((node["id"], node.get_text().rstrip("#").strip()))
        else:
            meaning = copy(node)
            for inner in meaning.select("[id]"):
                del inner["id"]
            for link in meaning.select("a"):
                link.unwrap()
            for name in names:
                terms[name[1].lower()] = (name[0], meaning.decode_contents().strip())
            names = []
    return terms


def link_terms(soup, terms, page):
    """Link the first mention of each glossary term in a page's running text."""
    words = "|".join(re.escape(term) for term in sorted(terms, key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w-])({words})s?(?![\w-])", re.I)
    seen = set()
    for text in soup.select_one("article").find_all(string=True):
        if type(text) is not NavigableString or text.find_parent("p") is None:
            continue
        if text.find_parent(NOT_IN) or text.find_parent(class_=["math", "hb-claim", "hb-byline"]):
            continue
        parts, end = [], 0
        for match in pattern.finditer(text):
            anchor, meaning = terms[match[1].lower()]
            if meaning in seen:
                continue
            seen.add(meaning)
            link = soup.new_tag("a", href=f"{page}#{anchor}", attrs={"class": "hb-term"})
            link.string = match[0]
            parts += [NavigableString(text[end : match.start()]), link]
            end = match.end()
        if parts:
            text.replace_with(*parts, NavigableString(text[end:]))


def add_notes(soup, terms):
    """Give every link to a term or to a reference its text, shown by the page's script."""
    notes = {}
    meanings = dict(terms.values())
    for link in soup.select("article a[href]"):
        where, _, anchor = link["href"].partition("#")
        if "title" in link.attrs and link.find_parent(class_="bibtex-citation"):
            text = link["title"]
            del link["title"]
        elif anchor in meanings and (where.endswith("glossary.html") or not where):
            text = Markup(meanings[anchor])
        else:
            continue
        link["data-note"] = notes.setdefault(text, f"hb-note-{len(notes)}")
    if notes:
        soup.main.append(fragment(fill("notes.html", notes=notes)))


def equip(soup, docname, book, terms):
    """Do all of this to one parsed page."""
    if soup.select_one("article > section > h1") is None:
        return
    glossary_page = posixpath.relpath("book/glossary.html", posixpath.dirname(docname) or ".")
    if terms and docname not in ("book/glossary", "book/index"):
        link_terms(soup, terms, glossary_page)
    add_notes(soup, terms)
    mark_parameters(soup)
    number_equations(soup)
    if docname != "book/index":
        add_byline(soup, docname, book)
    add_citation(soup, docname, book)
