"""Render two kinds of notebook output that MyST-NB does not know.

A picture whose output metadata carry ``alt`` and ``caption`` becomes a figure with alternative text
and a caption (MyST, so that it may hold mathematics); one without is an error. What a chapter found
of a claim becomes a card, with the verdict that follows from the register as it is now; other data
that `hblib` leaves for its own tools have HTML beside them and render as nothing.

MyST-NB finds `OutputRenderer` by the entry point in ``hb_site.dist-info`` beside this file: the
folder is on the import path of the build and of nothing else.
"""

import base64
import html
import io
import posixpath

from docutils import nodes
from hb_evidence import evidence
from myst_nb.core.render import MimeData, MimeRenderPlugin
from PIL import Image
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

from hblib import claims

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
    known = evidence(env)
    if known is None:
        return ""  # what is wrong has been reported
    if data.mime_type == claims.MIME:
        return card(env, known, claims.Record.from_dict(data.content, known.register))
    return claims.summary_html(known.records[id] for id in data.content["claims"])


def card(env, known, record):
    """The card of a claim with how its verdict stands; a corollary is a line on another."""
    here = posixpath.dirname(env.docname)
    ledger, robustness = (
        posixpath.relpath(f"book/{page}.html", here) for page in ("ledger", "robustness")
    )
    if record.entry.get("corollary_of"):
        return ""
    standing = known.standings[record.id]
    corollaries = [
        known.records[id]
        for id, entry in known.register.items()
        if entry.get("corollary_of") == record.id and id in known.records
    ]
    held = standing.robust and f"held in {standing.robust.same} of {standing.robust.of} settings"
    return claims.card_html(
        record,
        ledger=ledger,
        standing=standing_rows(record, standing, robustness),
        held=held or "",
        fragile=standing.fragile,
        corollaries=corollaries,
    )


def standing_rows(record, standing, robustness):
    """Label and HTML of the three questions that one run cannot answer."""
    reproduced = robust = replicated = "not tried yet"
    if standing.reproduced:
        same, of = standing.reproduced
        reproduced = f"the same verdict in {same} of {of} executions elsewhere"
    if standing.robust:
        same, of = standing.robust
        address = f"{robustness}#sweep-{record.entry['chapter']}"
        robust = f'the verdict held in <a href="{address}">{same} of {of} settings</a>'
    if standing.replication:
        on = html.escape(standing.replication)
        found = ", ".join(f"{id}: {verdict}" for id, verdict in standing.replicated)
        replicated = f"on {on}: {found or 'not tried yet'}"
    return [("Reproduced elsewhere", reproduced), ("Robust", robust), ("Replicated", replicated)]


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
