"""Lecture slides: one file a chapter that needs nothing beside itself, with reveal.js inside."""

import html
import importlib.metadata
import re
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

from course import source

VENDOR = Path(__file__).with_name("vendor")
LOOK = Path(__file__).with_name("slides.css")
_RENDER = MarkdownIt().use(
    dollarmath_plugin,
    renderer=lambda text, options: (
        f"\\[{html.escape(text)}\\]" if options["display_mode"] else f"\\({html.escape(text)}\\)"
    ),
)
_STILL = re.compile(r'<img src="(data:image/png;base64,[^"]+)" alt="([^"]*)">')
_CAPTION = re.compile(r"<figcaption>(.*?)</figcaption>", re.S)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<div class="reveal"><div class="slides">
{slides}
</div></div>
{scripts}
<script>
const narrow = matchMedia("(max-width: 600px)").matches; // a phone: figures above the text
Reveal.initialize({{hash: true, slideNumber: "c/t", transition: "none", margin: 0.05,
  width: narrow ? 520 : 1200, height: narrow ? 1000 : 700, plugins: {plugins}}});
</script>
</body>
</html>
"""


def figures(notebook):
    """Every picture that a chapter shows: (caption, alternative text, address)."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            meta = output.get("metadata", {}).get("image/png", {})
            if "caption" in meta:
                picture = output["data"]["image/png"].replace("\n", "")
                yield meta["caption"], meta["alt"], f"data:image/png;base64,{picture}"
            page = output.get("data", {}).get("text/html", "")
            if (still := _STILL.search(page)) and (caption := _CAPTION.search(page)):
                text = html.unescape(re.sub(r"<[^>]+>", "", caption[1]))
                yield text, html.unescape(still[2]), still[1]


def figure(chapter, beginning):
    """The one picture of a chapter whose caption begins so: (caption, alternative text, address).

    Raises
    ------
    ValueError
        If there is none, or more than one.
    """
    path = source.ROOT / "notebooks" / f"{chapter}.ipynb"
    known = list(figures(nbformat.read(path, as_version=4)))
    found = [one for one in known if one[0].startswith(beginning)]
    if len(found) != 1:
        raise ValueError(
            f"{len(found)} captions of {chapter} begin with {beginning!r}; there are "
            + "; ".join(repr(caption[:60]) for caption, *_ in known)
        )
    return found[0]


def deck(sheet, notes):
    """The slides of a chapter as one page of HTML, with or without the speaker's notes."""
    title = sheet.title.partition(":")[0]
    parts = [f"<section><h1>{html.escape(title)}</h1><p>The Hidden Basis</p></section>"]
    parts += [_slide(slide, sheet.chapter, notes) for slide in sheet.slides]
    body = "\n".join(parts)
    scripts = [(VENDOR / "reveal.js").read_text("utf-8")]
    if notes:
        scripts.append((VENDOR / "notes.js").read_text("utf-8"))
    if "\\(" in body or "\\[" in body:
        scripts[:0] = ["MathJax = {options: {enableMenu: false}};", _mathjax()]
    css = [(VENDOR / "reveal.css").read_text("utf-8"), LOOK.read_text("utf-8")]
    return PAGE.format(
        title=html.escape(title),
        css="\n".join(css),
        slides=body,
        scripts="\n".join(map(_script, scripts)),
        plugins="[RevealNotes]" if notes else "[]",
    )


def _script(text):
    """A script element; no text of the script may end it."""
    return "<script>" + text.replace("</script", "<\\/script") + "</script>"


def _slide(slide, chapter, notes):
    text, _, spoken = slide.body.partition("\nNote:")
    parts = [f"<h2>{_RENDER.renderInline(slide.title)}</h2>"]
    body = f"<div>{_RENDER.render(text)}</div>"
    if beginning := slide.options.get("figure"):
        caption, alt, address = figure(chapter, beginning)
        body = (
            f'<div class="beside"><figure><img src="{address}" alt="{html.escape(alt)}">'
            f"<figcaption>{_RENDER.renderInline(caption)}</figcaption></figure>{body}</div>"
        )
    parts.append(body)
    if notes and spoken.strip():
        parts.append(f'<aside class="notes">{_RENDER.render(spoken.strip())}</aside>')
    return f"<section>{''.join(parts)}</section>"


def _mathjax():
    files = importlib.metadata.files("sphinx-mathjax-offline") or []
    return next(f for f in files if f.match("static/mathjax/tex-svg.js")).read_text("utf-8")


def write(sheet, folder, notes):
    """Write the slides of a chapter into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{sheet.chapter}.html").write_text(deck(sheet, notes), "utf-8")
