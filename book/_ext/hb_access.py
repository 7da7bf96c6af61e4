"""Mend, in the written pages, what the theme gets wrong for screen readers and keyboards.

No option of the theme reaches these faults (labels that hide the visible text, list roles without
list items, empty header cells), so the finished HTML is edited once.
"""

from pathlib import Path

from bs4 import BeautifulSoup

ROOT_PAGE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="0; url={target}"></head>
<body><main><h1>{title}</h1><p><a href="{target}">Open the book</a></p></main></body>
</html>
"""


def mend(soup):
    """Edit one parsed page in place."""
    # An aria-label that differs from the visible text hides that text from voice control.
    for node in soup.select("button.search-button-field, .theme-switch-button, summary"):
        del node["aria-label"]
    for node in soup.select(".theme-switch-button"):
        node["title"] = "Colour mode"
        label = soup.new_tag("span", attrs={"class": "visually-hidden"})
        label.string = "Colour mode"
        node.append(label)
    # docutils gives bibliographies list roles that ARIA has deprecated and that lack list items.
    for node in soup.select(".citation-list[role], .citation[role], .citation [role]"):
        del node["role"]
    # sphinx-exercise and sphinx-proof give the same id to every box on a page.
    for node in soup.select("#exercise-content, #solution-content, #proof-content"):
        del node["id"]
    # The empty corner cell of a data frame is no header.
    for node in soup.select("th"):
        if not node.get_text(strip=True) and not node.find(True):
            node.name = "td"
    # Markdown cannot write a table without a head; a head without words is none.
    for node in soup.select("thead"):
        if not node.get_text(strip=True):
            node.decompose()
    for node in soup.select(".sidebar-primary-items__start > .sidebar-primary-item:first-child"):
        node["role"] = "region"
        node["aria-label"] = "Book title"


def finish(app, exception):
    """Mend every page and write the redirect at the site's root."""
    if exception or app.builder.format != "html":
        return
    for docname in app.env.found_docs | {"search", "genindex"}:
        page = Path(app.builder.get_outfilename(docname))
        if page.exists():
            soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
            if soup.select_one("html[data-hb-mended]"):
                continue
            mend(soup)
            soup.html["data-hb-mended"] = ""
            page.write_text(str(soup), encoding="utf-8")
    target = app.builder.get_target_uri(app.config.root_doc)
    root = Path(app.outdir) / "index.html"
    root.write_text(
        ROOT_PAGE.format(title=app.config.html_title or app.config.project, target=target),
        encoding="utf-8",
    )


def setup(app):
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
