"""HTML that docutils has no nodes for: elements with attributes, verdict labels, boxed tables."""

import re

from docutils import nodes


class tag(nodes.General, nodes.TextElement):
    """An HTML element with attributes that docutils has no node for."""

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


def badge(verdict):
    """The verdict as a coloured label with an icon."""
    return tag("span", verdict, class_="hb-verdict", data_verdict=verdict)


def with_math(text):
    """Nodes for a sentence whose ``$...$`` parts are mathematics."""
    parts = re.split(r"\$([^$]+)\$", text)
    return [nodes.math(part, part) if i % 2 else nodes.Text(part) for i, part in enumerate(parts)]


def in_box(table, label):
    """A table in a box that scrolls by itself and can be reached by key."""
    return tag("div", table, class_="hb-table", role="region", tabindex="0", aria_label=label)


def simple_table(caption, head, rows, class_="table"):
    """A table with a caption and header cells."""
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", tag("tr", *[tag("th", name, scope="col") for name in head])),
        tag(
            "tbody",
            *[
                tag("tr", tag("th", first, scope="row"), *[tag("td", cell) for cell in rest])
                for first, *rest in rows
            ],
        ),
        class_=class_,
    )
    return in_box(table, caption)


def setup(app):
    app.add_node(tag, html=(_visit_tag, _depart_tag))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
