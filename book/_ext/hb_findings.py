"""The one-page summary: each chapter's question, short answer, strongest figure and verdicts.

The page says, in YAML, which figure of a chapter is the strongest (the first words of its text
alternative), what the chapter found in a sentence or two without numbers, and which verdicts these
sentences presume. A chapter that it does
not name yet shows its first picture. Pictures, captions and verdicts come from the executed
notebooks.
"""

import base64
import hashlib
from pathlib import Path

import nbformat
import yaml
from docutils import nodes
from hb_evidence import EvidenceDirective
from hb_html import filled
from hb_outputs import classes
from hb_presumes import report
from sphinx.util import logging

from hblib import claims

logger = logging.getLogger(__name__)


def pictures(notebook):
    """All pictures of a notebook as (bytes, alt, caption), in order."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            meta = output.get("metadata", {}).get("image/png")
            if meta and "alt" in meta:
                png = base64.b64decode(output["data"]["image/png"])
                yield png, meta["alt"], meta.get("caption", "")


def heading(notebook):
    """The chapter's title: its first heading."""
    first = notebook.cells[0].source.lstrip()
    return first.partition("\n")[0].lstrip("# ").strip()


class Findings(EvidenceDirective):
    """Every written chapter on one page, made from its notebook and its verdicts."""

    has_content = True

    def make(self, known):
        chosen = yaml.safe_load("\n".join(self.content)) or {}
        written = {path.stem: path for path in known.chapters}
        for chapter in chosen:
            if chapter not in written:
                self.complain(f"there is no chapter {chapter!r} to show a figure of")
        out = []
        for chapter, path in written.items():
            out.append(self.chapter(known, chapter, path, chosen.get(chapter, {})))
        return out

    def complain(self, message):
        logger.error("%s.", message, location=(self.env.docname, self.lineno))

    def chapter(self, known, chapter, path, chosen):
        notebook = nbformat.read(path, as_version=4)
        section = nodes.section(ids=[f"found-{chapter}"], names=[chapter])
        section += nodes.title("", heading(notebook))
        presumed = chosen.get("presumes", {})
        verdicts = known.table.set_index("id")["verdict"].to_dict()
        report(presumed, verdicts, (self.env.docname, self.lineno))
        if chosen.get("answer"):
            section += self.parse_text_to_nodes(chosen["answer"])
        found = list(pictures(notebook))
        begins = chosen.get("figure", "")
        matching = [picture for picture in found if picture[1].startswith(begins)]
        if matching:
            section += self.figure(*matching[0])
        elif begins:
            self.complain(f"no figure of {chapter} has a text alternative beginning {begins!r}")
        section += filled(
            "found.html",
            chapter=chapter,
            number=int(chapter.partition("_")[0]),
            fragile=known.fragile,
            claims=known.table[known.table["chapter"] == chapter].itertuples(index=False),
            not_tested=claims.NOT_TESTED,
            address=self.address,
        )
        return section

    def figure(self, png, alt, caption):
        """The picture as a figure; under the name that MyST-NB gives it, so it is stored once."""
        name = f"{hashlib.sha256(png).hexdigest()}.png"
        folder = Path(self.env.app.outdir).parent / "jupyter_execute"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png)
        uri = "/" + (folder / name).relative_to(Path(self.env.srcdir)).as_posix()
        words = nodes.caption("", "", *self.parse_text_to_nodes(caption)[0].children)
        return nodes.figure("", nodes.image(uri=uri, alt=alt), words, classes=classes(png))


def setup(app):
    app.add_directive("findings", Findings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
