"""HTML that docutils has no nodes for: filled-in templates, and elements that hold parsed text."""

import re
from pathlib import Path

from docutils import nodes
from docutils.utils import smartquotes
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).resolve().parents[1] / "_templates"


def prose(text):
    """A sentence as HTML: typographic quotation marks, and ``$...$`` as mathematics."""
    kinds = ("plain", "literal")
    parts = enumerate(re.split(r"\$([^$]+)\$", str(text)))
    educated = smartquotes.educate_tokens([(kinds[i % 2], part) for i, part in parts], "qDe", "en")
    formula = Markup(r'<span class="math notranslate nohighlight">\({}\)</span>')
    return Markup("").join(
        formula.format(part) if i % 2 else part for i, part in enumerate(educated)
    )


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters["prose"] = prose


def fill(template, **data):
    """A template of ``book/_templates`` with data in it."""
    return Markup(_ENVIRONMENT.get_template(template).render(data).strip())


def filled(template, **data):
    """The same as a node."""
    return nodes.raw("", fill(template, **data), format="html")


class tag(nodes.General, nodes.TextElement):
    """An HTML element with attributes, around nodes such as parsed Markdown."""

    def __init__(self, name, *children, **attributes):
        super().__init__("", "", *map(_as_node, children))
        self["name"] = name
        self["html"] = {
            key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()
        }


def _as_node(child):
    return nodes.Text(child) if isinstance(child, str) else child


def _visit_tag(translator, node):
    html = "".join(
        f' {key}="{translator.attval(str(value))}"'
        for key, value in node["html"].items()
        if value is not None
    )
    translator.body.append(f"<{node['name']}{html}>")


def _depart_tag(translator, node):
    translator.body.append(f"</{node['name']}>")


def setup(app):
    app.add_node(tag, html=(_visit_tag, _depart_tag))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
