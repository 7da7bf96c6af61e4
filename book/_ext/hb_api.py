"""The reference of the library: one page per room, made from the docstrings when the site is built.

The directive ``room`` writes a page: the room's own docstring, the chapters that use it, an index
of its names, then every function, class and constant with signature, docstring and the chapters
whose code uses it. Constants have no docstring; the page gives each its line, in the content of the
directive (``NAME: what it is``).

Sphinx's autodoc and napoleon do the reading. The library's docstrings use two marks only, `name`
and ``code``; everything else in them is plain text, which `prepare` tells docutils. Signatures
are printed as they stand in the source.
"""

import ast
import functools
import importlib
import inspect
import itertools
import re
from pathlib import Path

import nbformat
from docutils import nodes
from docutils.statemachine import StringList
from hb_evidence import title_of
from hb_html import tag
from IPython.core.inputtransformer2 import TransformerManager
from sphinx.domains.python import PyObject
from sphinx.util.docutils import SphinxDirective
from sphinx.util.inspect import stringify_signature

import hblib
from runner import files

# Room -> what it holds, in the words and the order of the library's own docstring.
ROOMS = dict(re.findall(r"^(\w+) +(\S.*)", hblib.__doc__.split("=\n")[1], re.M))
# Packages within a room, such as ``models.language``: described on the page of their room.
WITHIN = {
    ".".join(path.parts[-3:-1]) for path in Path(hblib.__file__).parent.glob("*/*/__init__.py")
}

# ---------------------------------------------------------------- what a room holds


def kind(thing):
    """``function``, ``class`` or ``constant``; an alias of a type is a constant."""
    if inspect.isclass(thing):
        return "class"
    return "function" if inspect.isroutine(thing) or hasattr(thing, "__wrapped__") else "constant"


def home(room, name):
    """The first room that has this very thing: where it is described."""
    thing = getattr(importlib.import_module(f"hblib.{room}"), name)
    if kind(thing) == "constant":
        return room
    own = thing.__module__.split(".")[1]
    return own if name in importlib.import_module(f"hblib.{own}").__all__ else room


def summary(thing):
    """The first line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def members(cls):
    """Names of public methods and properties that the library itself defines."""
    found = []
    for name in dir(cls):
        thing = inspect.getattr_static(cls, name)
        own = next(c for c in cls.__mro__ if name in vars(c)).__module__.startswith("hblib")
        described = isinstance(
            thing, (property, functools.cached_property, classmethod, staticmethod)
        ) or inspect.isfunction(thing)
        if own and described and not name.startswith("_") and summary(getattr(cls, name)):
            found.append(name)
    return found


def value(thing):
    """The value of a constant, or the keys of a table, where that is short."""
    if isinstance(thing, dict):
        said, code = "Keys: ", ", ".join(map(repr, thing))
    elif isinstance(thing, (str, int, float, tuple)):
        said, code = "", repr(thing)
    else:
        return ""
    return f"{said}``{code}``" if len(code) <= 140 else ""


# ---------------------------------------------------------------- which chapters use it


@functools.lru_cache(maxsize=64)
def _used(path, _changed):
    """Rooms and names of the library in the code cells of a chapter: ``room`` and ``room.name``."""
    to_python = TransformerManager().transform_cell
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    trees = [ast.parse(to_python(cell.source)) for cell in cells]
    nodes_of = [node for tree in trees for node in ast.walk(tree)]
    known, used = {}, set()  # what a chapter calls a part of the library -> its name from there on
    for node in nodes_of:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hblib":
            of = node.module.split(".")[1:]
            known |= {name.asname or name.name: [*of, name.name] for name in node.names}
        elif isinstance(node, ast.Import):
            for name in node.names:
                library, *of = name.name.split(".")
                if library == "hblib":
                    known[name.asname or library] = of if name.asname else []
                    used.add(".".join(of))
    used |= {".".join(of) for of in known.values()}
    for node in nodes_of:
        if isinstance(node, ast.Attribute):
            first, *rest = ast.unparse(node).split(".")
            parts = [*known[first], *rest] if first in known else []
            used.add(".".join(parts[: 3 if ".".join(parts[:2]) in WITHIN else 2]))
    return used - {""}


def users(root, name):
    """Paths of the chapters whose code cells use a room, or one name of it (``room.name``)."""
    return [
        path
        for path in files.chapters(root)
        if any(f"{used}.".startswith(f"{name}.") for used in _used(path, path.stat().st_mtime_ns))
    ]


# ---------------------------------------------------------------- the page


class Room(SphinxDirective):
    """The reference of one room."""

    required_arguments = 1
    has_content = True

    def run(self):
        self.room = self.arguments[0]
        if self.room not in {*ROOMS, *WITHIN}:
            raise self.error(f"The library has no room {self.room!r}.")
        self.module = importlib.import_module(f"hblib.{self.room}")
        self.names = sorted(self.module.__all__, key=str.lower)
        of = {name: kind(getattr(self.module, name)) for name in self.names}
        constants = [name for name in self.names if of[name] == "constant"]
        self.lines = dict(re.findall(r"^(\w+): (.+)$", self.entries(), re.M))
        if wrong := set(self.lines) ^ set(constants):
            raise self.error(
                f"hblib.{self.room}: lines are needed for the constants and for nothing else; "
                f"wrong: {', '.join(sorted(wrong))}."
            )
        made = self.parsed([f".. automodule:: hblib.{self.room}"])
        made += [self.used(), self.index()]
        groups = {"Functions": "function", "Classes": "class", "Constants": "constant"}
        for title, wanted in groups.items():
            group = [name for name in self.names if of[name] == wanted]
            if group:
                section = nodes.section(ids=[f"{self.room}-{wanted}"])
                section += nodes.title(title, title)
                section += self.parsed([line for name in group for line in self.entry(name)])
                made.append(section)
        return made

    def entries(self):
        """The lines of the content, continued ones joined."""
        return re.sub(r"\n(?!\w+: )", " ", "\n".join(self.content))

    def parsed(self, lines):
        node = nodes.Element()
        node.document = self.state.document
        self.state.nested_parse(StringList([*lines, ""], self.room), 0, node)
        return node.children

    def used_in(self, name):
        """The chapters that use a room or one name of it; nothing if none does."""
        root = Path(self.env.srcdir)
        for path in files.chapters(root):
            self.env.note_dependency(str(path))
        links = []
        for path in users(root, name):
            page, title = f"notebooks/{path.stem}", title_of(path.stem).replace(" ", "\N{NBSP}")
            links.append(f":doc:`{title} </{page}>`" if page in self.env.found_docs else title)
        return f"Used in {'; '.join(links)}." if links else ""

    def used(self):
        text = self.used_in(self.room) or "No chapter uses this room by itself."
        return tag("div", *self.parsed([text]), class_="hb-api-used")

    def index(self):
        """Every name with one line."""
        rows = []
        for name in self.names:
            target = f"hblib.{self.room}.{name}"
            link = nodes.reference("", "", nodes.literal("", name), refid=target, internal=True)
            text = marked(self.lines.get(name) or summary(getattr(self.module, name)))
            rows += [tag("dt", link), tag("dd", *self.parse_inline(text)[0])]
        return tag("dl", *rows, class_="hb-api-index")

    def entry(self, name):
        """Directives that describe one name and say which chapters use it."""
        thing = getattr(self.module, name)
        what, own = kind(thing), home(self.room, name)
        used = self.used_in(f"{self.room}.{name}")
        chapters = ["   .. rst-class:: hb-api-chapters", "", f"      {used}", ""] if used else []
        if what == "constant":
            start = f".. py:data:: {name}"
            text = f"{marked(self.lines[name])} {value(thing)}".rstrip()
        elif own != self.room:
            role = "class" if what == "class" else "func"
            start = f".. py:{what}:: {name}"
            text = f"{marked(summary(thing))} The same as :py:{role}:`hblib.{own}.{name}`."
        else:
            options = [f"   :members: {', '.join(found)}"] if (found := _members(thing)) else []
            return [f".. auto{what}:: hblib.{self.room}.{name}", *options, "", *chapters]
        return [start, f"   :module: hblib.{self.room}", "", f"   {text}", "", *chapters]


class Rooms(SphinxDirective):
    """All rooms with a line on each."""

    def run(self):
        rows = []
        for room, text in ROOMS.items():
            link = f":doc:`{room} </book/api/{room}>`"
            rows += [tag("dt", *self.parse_inline(link)[0])]
            rows += [tag("dd", *self.parse_inline(marked(text[0].upper() + text[1:]))[0])]
        return [tag("dl", *rows, class_="hb-api-index")]


def _members(thing):
    return members(thing) if inspect.isclass(thing) else []


# ---------------------------------------------------------------- docstrings and signatures

_SPAN = re.compile(r"(``.+?``|:[\w:]+:`[^`]+`|`[^`]+`_{0,2})", re.S)


def marked(text):
    """Text in which `name` is a link where the name is public, and only backticks mark anything."""
    parts = _SPAN.split(text)
    for i, part in enumerate(parts):
        if i % 2 == 0:
            parts[i] = re.sub(r"([|*\\]|(?<=\w)_(?!\w))", r"\\\1", part)
        elif re.fullmatch(r"`[^`<]+`", part):
            parts[i] = f":py:obj:{part}"
    return "".join(parts)


def numbered(text):
    """References as paragraphs: their numbers belong to one docstring, not to the whole page."""

    def paragraph(match):
        return f"{match[1]}[{match[2]}] {' '.join(match[3].split())}\n"

    text = re.sub(r"^( *)\.\. \[(\d+)\] (.+(?:\n +(?!\.\. ).+)*)$", paragraph, text, flags=re.M)
    return re.sub(r" \[(\d+)\]_", r" [\1]", text)


def prepare(app, what, name, obj, options, lines):
    """Mark up the running text of a docstring; examples and displayed blocks stay as they are."""
    made, block = [], None  # the indentation of what a displayed block belongs to
    for paragraph in re.split(r"\n[ ]*\n", numbered("\n".join(lines))):
        indent = len(paragraph) - len(paragraph.lstrip())
        if block is not None and indent <= block:
            block = None
        if block is None and not paragraph.lstrip().startswith("=="):
            text, example = re.fullmatch(r"(.*?)(^ *>>>.*)?", paragraph, re.M | re.S).groups()
            paragraph = marked(text) + (example or "")
        if block is None and paragraph.endswith("::"):
            last = paragraph.rpartition("\n")[2]
            block = len(last) - len(last.lstrip())
        made.append(paragraph)
    lines[:] = "\n\n".join(made).split("\n")
    if what == "property":
        lines.insert(0, "")  # or napoleon takes what stands before a colon for the type


def signature(app, what, name, obj, options, args, returns):
    """The signature as it stands in the source, where types are short names."""
    try:
        found = inspect.signature(obj)
    except (TypeError, ValueError):
        return None
    parameters = list(found.parameters.values())
    if what == "method" and parameters and parameters[0].name == "self":
        parameters = parameters[1:]
    found = found.replace(parameters=parameters)
    if what == "class":
        found = found.replace(return_annotation=inspect.Signature.empty)
    args, _, returns = stringify_signature(found, unqualified_typehints=True).partition(" -> ")
    return args, returns or None


# ---------------------------------------------------------------- valid HTML from what Sphinx makes


def unwrap_lists(app, doctree, docname):
    """Take lists out of the paragraphs into which Sphinx puts what is returned."""
    blocks = (nodes.bullet_list, nodes.paragraph)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if not any(isinstance(child, blocks) for child in paragraph):
            continue
        parts = []
        for block, run in itertools.groupby(paragraph.children, lambda c: isinstance(c, blocks)):
            run = list(run)
            parts += run if block else [nodes.paragraph("", "", *run)]
        paragraph.replace_self(parts)


def list_parameters(app, pagename, templatename, context, doctree):
    """Parameters on lines of their own are a list, not definitions that lack their terms."""
    if '<dl class="py ' not in context.get("body", ""):
        return

    def listed(match):
        items = match[2].replace("<dd>", "<li>").replace("</dd>", "</li>")
        return f"{match[1]}<ul>{items}</ul>"

    pattern = r'(<span class="sig-paren">\(</span>\s*)<dl>(.*?)</dl>'
    context["body"] = re.sub(pattern, listed, context["body"], flags=re.S)


def configure(app, config):
    config.autodoc_preserve_defaults = True
    config.autodoc_member_order = "bysource"
    config.napoleon_google_docstring = False
    config.napoleon_use_ivar = True  # attributes as a list, beside parameters
    config.napoleon_use_rtype = False  # type and meaning of what is returned in one line
    config.python_maximum_signature_line_length = 72
    config.toc_object_entries_show_parents = "hide"
    config.add_module_names = False
    next(f for f in PyObject.doc_field_types if f.name == "variable").label = "Attributes"


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", configure, priority=900)
    app.connect("autodoc-process-docstring", prepare, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    app.connect("doctree-resolved", unwrap_lists)
    app.connect("html-page-context", list_parameters)
    app.add_directive("room", Room)
    app.add_directive("rooms", Rooms)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
