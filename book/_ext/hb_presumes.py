"""Prose that rests on verdicts: the build fails where the committed run disagrees with it.

On a page of the book

    :::{presumes} space.random-as-good: refuted, space.basis: reproduced
    Units say no more than random directions do.
    :::

shows its content and nothing else. In a chapter a cell of text says the same in its metadata (see
`runner.presumes`).
"""

from docutils import nodes
from hb_evidence import evidence
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from runner import files, presumes

logger = logging.getLogger(__name__)


class Presumes(SphinxDirective):
    """Content that is true as long as these verdicts stand."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self):
        known = evidence(self.env)
        try:
            presumed = presumes.parse(self.arguments[0])
        except ValueError as error:
            return [self.state.document.reporter.error(f"{error}.", line=self.lineno)]
        if known:
            verdicts = known.table.set_index("id")["verdict"].to_dict()
            report(presumed, verdicts, (self.env.docname, self.lineno))
        content = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, content)
        return content.children


def report(presumed, verdicts, location):
    """Log an error for each verdict that is not the presumed one."""
    for said in presumes.disagreements(presumed, verdicts):
        logger.error("%s.", said, location=location)


def check_chapter(app, docname, _):
    """Check the cells of a chapter as its page is read."""
    path = app.env.doc2path(docname)
    known = evidence(app.env) if docname.startswith("notebooks/") else None
    if known is None:
        return
    verdicts = known.table.set_index("id")["verdict"].to_dict()
    for cell in files.read(path).cells:
        try:
            report(presumes.of_cell(cell), verdicts, docname)
        except ValueError as error:
            logger.error("%s.", error, location=docname)


def setup(app):
    app.add_directive("presumes", Presumes)
    app.connect("source-read", check_chapter)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
