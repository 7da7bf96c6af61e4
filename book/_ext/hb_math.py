r"""Set mathematics once, when the site is built, so that no page has to load MathJax.

MathJax weighs two megabytes and keeps a reader waiting.  Where there is a Chromium, it is started
once with all formulas of the book on one sheet.  What MathJax makes of them (SVG for the eye,
MathML for screen readers) goes into the pages, which then need no script for their mathematics.
Glyphs are stored once a page, formulas already set are kept in ``_build/cache``.

Without a Chromium the pages keep MathJax and set their formulas themselves: the same look, only
later.
"""

import hashlib
import html
import json
import re
import shutil
import subprocess

from bs4 import BeautifulSoup
from sphinx.util import logging

logger = logging.getLogger(__name__)

FORMULAS = ".math.notranslate"
SHEET = """<!DOCTYPE html><meta charset="utf-8">
<script>window.MathJax = {config};</script><script src="{script}"></script><body>{formulas}</body>
"""
# What MathJax writes for its own later use; only these parts of it are named in its style sheet.
_STYLED = {"merror", "mtable"}


def browser():
    """Path of a Chromium, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def source(node):
    """The TeX of a formula with its delimiters, as Sphinx left it for MathJax."""
    if "data-tex" in node.attrs:
        return node["data-tex"]
    own = [child for child in node.children if getattr(child, "name", None) != "span"]
    return "".join(child.get_text() for child in own).strip()


def set_all(formulas, script, config, folder):
    """Have MathJax set formulas.

    Parameters
    ----------
    formulas : list of str
        TeX with delimiters.
    script : pathlib.Path
        MathJax.
    config : dict
        Its configuration.
    folder : pathlib.Path
        Where to put the sheet.

    Returns
    -------
    dict
        ``formulas``: TeX -> SVG; ``glyphs``: id -> path; ``style``: MathJax's style sheet.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sheet = folder / "formulas.html"
    config = {**config, "svg": {"fontCache": "global"}}
    body = "".join(
        f'<div class="math" id="f{i}">{html.escape(tex)}</div>' for i, tex in enumerate(formulas)
    )
    sheet.write_text(
        SHEET.format(config=json.dumps(config), script=script.as_uri(), formulas=body),
        encoding="utf-8",
    )
    command = [browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += ["--virtual-time-budget=600000", "--dump-dom", sheet.as_uri()]
    said = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout
    soup = BeautifulSoup(said, "html.parser")
    found = {}
    for i, tex in enumerate(formulas):
        box = soup.find(id=f"f{i}").find("mjx-container")
        if box is None:
            raise ValueError(f"MathJax did not set {tex!r}")
        found[tex] = str(_lean(box))
    glyphs = {path["id"]: path["d"] for path in soup.select("#MJX-SVG-global-cache path[id]")}
    sheet.unlink()
    return {"formulas": found, "glyphs": glyphs, "style": soup.find(id="MJX-SVG-styles").string}


def _lean(box):
    """Drop the attributes that neither a reader nor the style sheet needs."""
    for node in box.find_all(True):
        if node.get("data-mml-node") not in _STYLED:
            del node["data-mml-node"]
        for name in ("data-c", "data-mjx-texclass", "xmlns"):
            del node[name]
    return box


class Setter:
    """Formulas of the book, set when first needed and remembered for the next build."""

    def __init__(self, script, config, store):
        key = json.dumps([hashlib.sha256(script.read_bytes()).hexdigest(), config])
        self.script, self.config = script, config
        self.path = store / f"math-{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
        self.known = {"formulas": {}, "glyphs": {}, "style": ""}
        if self.path.is_file():
            self.known = json.loads(self.path.read_text(encoding="utf-8"))

    def prepare(self, formulas):
        """Set those formulas that are not known yet."""
        new = sorted(set(formulas) - self.known["formulas"].keys())
        if new:
            made = set_all(new, self.script, self.config, self.path.parent)
            for part in ("formulas", "glyphs"):
                self.known[part].update(made[part])
            self.known["style"] = made["style"]
            self.path.write_text(json.dumps(self.known), encoding="utf-8")

    def into(self, soup):
        """Put the formulas of one page into it, and take MathJax out."""
        names = {}

        def short(match):
            return f'href="#{names.setdefault(match[1], f"g{len(names)}")}"'

        for node in soup.select(FORMULAS):
            node["data-tex"] = source(node)  # for the next build, should this page not change
            svg = re.sub(r'xlink:href="#([^"]+)"', short, self.known["formulas"][source(node)])
            number = node.select_one(".eqno")
            node.clear()
            if number is not None:
                node.append(number)
            node.append(BeautifulSoup(svg, "html.parser"))
        for script in soup.find_all("script"):
            if "mathjax" in script.get("src", "") or "window.MathJax" in (script.string or ""):
                script.decompose()
        if names:
            paths = "".join(
                f'<path id="{short}" d="{self.known["glyphs"][name]}"></path>'
                for name, short in names.items()
            )
            cache = f'<svg class="hb-glyphs" aria-hidden="true"><defs>{paths}</defs></svg>'
            soup.body.insert(0, BeautifulSoup(cache, "html.parser"))
            style = soup.new_tag("style")
            style.string = self.known["style"]
            soup.head.append(style)
