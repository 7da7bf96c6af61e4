"""The last step of a build: edit every written page once.

What no option of Sphinx or of the theme reaches is done here on the finished HTML: mending the
theme's accessibility (`hb_access`), a still picture (`hb_still`), what a reader expects
(`hb_reader`), setting the mathematics (`hb_math`), and leaving out what a page does not need
(`hb_light`).
"""

import importlib.metadata
import re
import subprocess
from pathlib import Path

import hb_access
import hb_launch
import hb_light
import hb_math
import hb_reader
import hb_still
import nbformat
from bs4 import BeautifulSoup
from hb_html import fill
from sphinx.util import logging

logger = logging.getLogger(__name__)

DONE = "data-hb-edited"


def about(app):
    """What a citation says of the book."""
    root = Path(app.srcdir)
    stamps = {
        path.stem: nbformat.read(path, as_version=4).metadata.get("hblib", {}).get("stamp", "")
        for path in root.glob("notebooks/[0-9]*.ipynb")
    }
    return {
        "title": app.config.html_title or app.config.project,
        "author": app.config.author,
        "year": re.sub(r"\D+", "", app.config.copyright)[-4:],
        "version": importlib.metadata.version("hblib"),
        "stamps": stamps,
        "repository": app.config.hb_repository,
        "hub": app.config.hb_hub,
        "url": app.config.html_baseurl,
    }


def finish(app, exception):
    """Edit the pages that were written anew, and write the redirect at the site's root."""
    if exception or app.builder.format != "html":
        return
    out = Path(app.outdir)
    pages = {}
    for docname in sorted(app.env.found_docs | {"search", "genindex", "prf-prf"}):
        page = Path(app.builder.get_outfilename(docname))
        if page.exists():
            pages[docname] = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    terms = hb_reader.glossary(pages["book/glossary"]) if "book/glossary" in pages else {}
    pages = {name: soup for name, soup in pages.items() if DONE not in soup.html.attrs}
    book = about(app)
    hb_light.strip_scripts(out / "_static")
    figures = hb_light.figure_scripts(out / "_static")
    for docname, soup in pages.items():
        hb_still.draw(soup)
        hb_access.mend(soup)
        hb_reader.equip(soup, docname, book, terms)
        hb_light.lighten(soup, figures)
    set_mathematics(app, pages.values())
    for docname, soup in pages.items():
        soup.html[DONE] = ""
        Path(app.builder.get_outfilename(docname)).write_text(str(soup).lstrip(), encoding="utf-8")
    for name in hb_light.UNUSED:
        (out / "_static" / name).unlink(missing_ok=True)
    for chart in out.glob("_static/**/*.map"):  # for debuggers of the theme only
        chart.unlink()
    hb_launch.publish(book["repository"], Path(app.srcdir).glob("notebooks/[0-9]*.ipynb"), out)
    target = app.builder.get_target_uri(app.config.root_doc)
    title = app.config.html_title or app.config.project
    root_page = fill("redirect.html", title=title, target=target)
    (out / "index.html").write_text(root_page + "\n", encoding="utf-8")


def set_mathematics(app, pages):
    """Set all formulas where there is a Chromium; then no page needs MathJax."""
    if app._warncount:  # a faulty build is not worth the wait
        return
    script = Path(app.outdir) / "_static" / app.config.mathjax_path
    if not script.is_file():
        script = Path(app.outdir).parent / "vendor" / app.config.mathjax_path
    if hb_math.browser() is None or not script.is_file():
        return
    setter = hb_math.Setter(
        script, app.config.mathjax3_config, Path(app.outdir).parent / "cache" / "math"
    )
    try:
        setter.prepare(hb_math.source(n) for s in pages for n in s.select(hb_math.FORMULAS))
    except (subprocess.SubprocessError, OSError) as error:
        logger.info("The pages keep MathJax: Chromium did not set their formulas (%s).", error)
        return
    for soup in pages:
        setter.into(soup)
    (Path(app.outdir) / "_static" / app.config.mathjax_path).unlink(missing_ok=True)


def setup(app):
    app.add_config_value("hb_repository", "", "html")
    app.add_config_value("hb_hub", "", "html")
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
