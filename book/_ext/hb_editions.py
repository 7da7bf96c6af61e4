"""Say at the top of a chapter that its claims are judged by the rules of the first edition."""

import posixpath

from docutils import nodes
from hb_evidence import evidence
from sphinx.transforms import SphinxTransform


class EditionNote(SphinxTransform):
    """A line below the title of a chapter with claims of the first edition."""

    default_priority = 880

    def apply(self):
        docname = self.env.docname
        title = next(self.document.findall(nodes.title), None)
        known = evidence(self.env) if docname.startswith("notebooks/") and title else None
        if known is None:
            return
        mine = known.table[known.table["chapter"] == posixpath.basename(docname)]
        if not (mine["edition"] == 1).any():
            return
        link = nodes.reference(
            "", "the rules of the first edition", internal=True,
            refuri=posixpath.relpath("book/how_to_read.html", "notebooks") + "#two-editions",
        )  # fmt: skip
        text = (nodes.Text("The claims of this chapter are judged by "), link, nodes.Text("."))
        title.parent.insert(title.parent.index(title) + 1,
                            nodes.paragraph("", "", *text, classes=["hb-edition"]))  # fmt: skip


def setup(app):
    app.add_transform(EditionNote)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
