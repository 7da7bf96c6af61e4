"""Render two kinds of notebook output that MyST-NB does not know.

A picture whose output metadata carry ``alt`` and ``caption`` becomes a figure with alternative text
and a caption (MyST, so that it may hold mathematics); one without is an error. What a chapter found
of a claim becomes a card, with the verdict that follows from the register as it is now; other data
that `hblib` leaves for its own tools have HTML beside them and render as nothing.

MyST-NB finds `OutputRenderer` by the entry point in ``hb_site.dist-info`` beside this file: the
folder is on the import path of the build and of nothing else.
"""

import base64
import io
import posixpath

from docutils import nodes
from myst_nb.core.render import MimeData, MimeRenderPlugin
from PIL import Image
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from hblib import claims
from runner import files, ledger

SUMMARY = claims.mime("summary")
PICTURES = ("image/png", "image/jpeg", "image/svg+xml", "image/gif")

logger = logging.getLogger(__name__)


def classes(png):
    """Classes of a picture: a drawing is mostly white and can be turned dark, a photograph not."""
    small = Image.open(io.BytesIO(png)).convert("L").resize((64, 64), Image.Resampling.NEAREST)
    white = sum(small.histogram()[250:]) / 64**2
    return ["hb-figure", "hb-drawing"] if white > 0.5 else ["hb-figure"]


def verdicts(env, data):
    """The card of a claim, or the table of a chapter's claims, as HTML."""
    register = files.register(env.srcdir)
    if data.mime_type == claims.MIME:
        page = posixpath.relpath("book/ledger.html", posixpath.dirname(env.docname))
        return claims.card_html(claims.Record.from_dict(data.content, register), ledger=page)
    env.note_dependency(str(claims.REGISTER))
    known = {r.id: r for r in ledger.read_records(env.doc2path(env.docname), register)}
    return claims.summary_html(known[id] for id in data.content["claims"])


class OutputRenderer(MimeRenderPlugin):
    """MyST-NB's hook for MIME types."""

    @staticmethod
    def handle_mime(renderer, data: MimeData, inline: bool):
        """Return the nodes for one MIME type of one output, or None to leave it to MyST-NB."""
        if data.mime_type in (claims.MIME, SUMMARY):
            env = renderer.renderer.sphinx_env
            try:
                return [nodes.raw("", verdicts(env, data), format="html")]
            except ValueError as error:  # the ledger says the same of the whole chapter
                logger.error("%s", error, location=env.docname)
                return []
        if claims.kind_of(data.mime_type):
            return []
        if inline or data.mime_type not in PICTURES:
            return None
        meta = data.output_metadata.get(data.mime_type, {})
        image = renderer.render_image(data)[0]
        if not meta.get("alt"):
            return [image]  # reported by RequireAlternativeText
        image["alt"] = meta["alt"]
        caption = nodes.caption()
        with renderer.renderer.current_node_context(caption):
            renderer.renderer.nested_render_text(meta.get("caption", ""), data.line, inline=True)
        kind = classes(base64.b64decode(data.content)) if data.mime_type == "image/png" else []
        return [nodes.figure("", image, caption, classes=kind or ["hb-figure"])]


class RequireAlternativeText(SphinxTransform):
    """Report every picture, of a notebook or of a page, that has no alternative text."""

    default_priority = 900

    def apply(self):
        for image in self.document.findall(nodes.image):
            if not image.get("alt", "").strip():
                logger.error(
                    "A figure has no alternative text: show it with hblib.figures.show(fig, "
                    "caption=..., alt=...), or give the image directive an alt option.",
                    location=image if image.line else self.env.docname,
                )


def setup(app):
    app.add_transform(RequireAlternativeText)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
