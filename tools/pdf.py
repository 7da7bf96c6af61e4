"""The whole book as one PDF, printed by Chromium from the built site (`make pdf`).

The pages of ``_build/html`` are put into one file, in the order of the table of contents, with
their links turned into links within it; the print rules of the book's style sheet do the rest.
"""

import html
import posixpath
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
NAME = "the-hidden-basis.pdf"
DROP = "script, .headerlink, .hb-byline, .hb-cite, .hb-notes, .hb-doors, .copybtn"
FOLDED = ".cell details:not(.hb-claim)"  # the code of figures and tables
HEAD = """<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{title}</title>
{styles}</head><body>
<header class="hb-cover"><p class="hb-cover__title">{title}</p><p>{question}</p></header>
<nav class="hb-contents bd-article"><h1>Contents</h1><ol>{contents}</ol></nav>
"""


def parse(path):
    """Read one page."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def order(site):
    """The pages of the book in reading order, relative to the site."""
    first = parse(site / "index.html").select_one("meta[http-equiv=refresh]")["content"]
    first = first.partition("url=")[2]
    links = parse(site / first).select("nav.bd-docs-nav a")
    found = [posixpath.normpath(posixpath.join(posixpath.dirname(first), a["href"])) for a in links]
    names = [first if name.endswith("#") else name for name in found]
    return list(dict.fromkeys(names))


def slug(name):
    """Name a page within the whole book: its path as one word."""
    return re.sub(r"\W+", "-", name.removesuffix(".html"))


def chapter(soup, name, names):
    """One page's text, with ids and links that hold in the whole book."""
    article = soup.select_one("article")
    for node in article.select(f"{DROP}, {FOLDED}"):
        node.decompose()
    here = slug(name)
    glyphs = soup.select_one("svg.hb-glyphs")
    if glyphs is not None:
        article.insert(0, glyphs)
    for box in article.select("details.dropdown, details.hb-claim"):  # solutions, cards
        box["open"] = ""
    for node in article.select("[id]"):
        node["id"] = f"{here}--{node['id']}"
    for node in article.select("use"):
        node["href"] = f"#{here}--{node['href'][1:]}"
    for image in article.select("img[src]"):
        if not image["src"].startswith("data:"):
            image["src"] = "../html/" + posixpath.normpath(
                posixpath.join(posixpath.dirname(name), image["src"])
            )
        del image["loading"]
    for link in article.select("a[href]"):
        target, anchor = urldefrag(link["href"])
        if re.match(r"\w+:", target):
            continue
        target = posixpath.join(posixpath.dirname(name), unquote(target)) if target else name
        target = posixpath.normpath(target)
        if target in names:
            link["href"] = f"#{slug(target)}--{anchor}" if anchor else f"#{slug(target)}"
        else:
            link.unwrap()
    article["id"] = here
    article["class"] = ["bd-article", "hb-book-page"]
    return str(article)


def in_one(site):
    """The whole book as one HTML document, to lie beside the site's folder."""
    names = order(site)
    pages = {name: parse(site / name) for name in names}
    first = pages[names[0]]
    styles = [
        f'<link rel="stylesheet" href="../html/_static/{link["href"].partition("_static/")[2]}">'
        for link in first.select("link[rel=stylesheet]")
    ]
    mathematics = next((str(s) for p in pages.values() for s in p.select("head > style")), "")
    entries = [
        f'<li><a href="#{slug(name)}">{html.escape(title_of(page))}</a></li>'
        for name, page in pages.items()
    ]
    head = HEAD.format(
        title=html.escape(title_of(first)),
        question=html.escape(first.select_one(".hb-question").get_text(strip=True)),
        styles="\n".join([*styles, mathematics]),
        contents="".join(entries),
    )
    return head + "\n".join(chapter(page, name, names) for name, page in pages.items())


def title_of(page):
    """Return the heading of a page."""
    heading = page.select_one("article h1")
    return "".join(text for text in heading.strings if text != "#").strip()


def print_book(site, target):
    """Print the site into a PDF; returns its path."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if browser is None:
        raise SystemExit("make pdf needs Chromium: on Debian 'apt-get install chromium'.")
    if not (site / "index.html").is_file():
        raise SystemExit("There is no built site: run 'make html' first.")
    folder = site.parent / "pdf"
    folder.mkdir(exist_ok=True)
    source = folder / "book.html"
    source.write_text(in_one(site), encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--no-pdf-header-footer", "--generate-pdf-document-outline"]
    command += [f"--print-to-pdf={target}", source.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode or not target.is_file():
        raise SystemExit(f"Chromium did not print the book:\n{done.stderr[-2000:]}")
    return target


if __name__ == "__main__":
    place = SITE.parent / NAME
    place.unlink(missing_ok=True)
    size = print_book(SITE, place).stat().st_size
    print(f"The book: {place} ({size / 1e6:.1f} MB)", file=sys.stdout)
