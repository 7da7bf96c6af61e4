"""The page of one run: an executed notebook as HTML that asks no other machine for anything."""

import importlib.metadata
import re
import shutil
from pathlib import Path

from hblib import claims
from runner import files, ledger, parameters, presumes

# Only what nbconvert would fetch from elsewhere is replaced.
_TEMPLATE = """
{%- extends 'index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}
<script>
window.MathJax = {
  tex: {inlineMath: [["$", "$"], ["\\\\(", "\\\\)"]]},
  svg: {fontCache: "local"},
  options: {enableMenu: false},
};
</script>
<script defer src="mathjax.js"></script>
{%- endblock -%}
"""
_HIDDEN = {"hide-input", "hide-cell", "remove-input"}


def write(notebook):
    """Write the page of a run beside its notebook; return its path.

    It begins with the parameters in which the run differs from the chapter. What only the book's
    site knows, such as quizzes and links to other chapters, is left out.

    Formulas are set by a copy of MathJax in the same folder. Where the package that brings it is
    not installed, they stay as they were written.

    Parameters
    ----------
    notebook : str or Path

    Returns
    -------
    Path
    """
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_markdown_cell
    from traitlets.config import Config

    path = Path(notebook)
    path = path.with_name(f"{path.name.removesuffix('.ipynb')}.html")
    executed = files.read(notebook)
    executed.metadata["title"] = path.stem
    executed.metadata.pop("widgets", None)
    glued, verdicts = _glued(executed), None
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            cell.source = _plain(cell.source, glued)
            if presumed := presumes.of_cell(cell):
                verdicts = verdicts or _verdicts(executed, path)
                cell.source += "".join(map(_note, presumes.disagreements(presumed, verdicts)))
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not _is_for_machines(output)]
    executed.cells.insert(0, new_markdown_cell(_about(executed)))
    hide = {"enabled": True, "remove_input_tags": _HIDDEN, "remove_cell_tags": {"remove-cell"}}
    exporter = HTMLExporter(config=Config(TagRemovePreprocessor=hide), template_name="lab")
    exporter.raw_template = _TEMPLATE
    text, _ = exporter.from_notebook_node(executed)
    files.write(text, path)
    _lay_mathjax(path.parent)
    return path


def _lay_mathjax(folder):
    try:
        installed = importlib.metadata.files("sphinx-mathjax-offline") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in installed:
        if file.name == "tex-svg.js" and not (folder / "mathjax.js").exists():
            shutil.copyfile(file.locate(), folder / "mathjax.js")


def _is_for_machines(output):
    """Whether an output is one that a page cannot show, such as a number glued into the prose."""
    types = output.get("data", {}).keys()
    return len(types) > 0 and all(mime.startswith("application/") for mime in types)


def _glued(notebook):
    """Name -> text of what the cells glue into the prose."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            for mime, data in output.get("data", {}).items():
                if name and mime.endswith("text/plain") and isinstance(data, str):
                    found[name] = data.strip("'\"")
    return found


def _verdicts(notebook, path):
    """Claim -> verdict in this run."""
    register = files.register(files.find_root(path.parent))
    found = [claims.Record.from_dict(one, register) for one in ledger.outcomes(notebook)]
    return {record.id: record.verdict for record in found}


def _note(disagreement):
    return f"\n\n> **In this run** {disagreement}."


def _about(run):
    used = run.metadata.get("hblib", {}).get("parameters", {})
    defaults = parameters.declared(run)
    changed = [f"`{k} = {v!r}`" for k, v in used.items() if k in defaults and v != defaults[k]]
    what = f"with {', '.join(changed)}" if changed else "with the book's own parameters"
    return f"*A run of this chapter {what}. It is not the page of the book.*"


def _heading(opened):
    kind, title = opened.groups()
    return f"**{kind.capitalize()}{f' ({title})' if title else ''}.**\n"


def _plain(text, glued):
    """Markdown without what only the book's site knows."""
    for pattern, replacement in [
        (r"^```+\{(?:quiz|predict)\}[^\n]*\n```+$", ""),
        (r"^:::+ *\{(?:prf:)?(\w+)\} *(.*)$", _heading),
        (r"^(?::\w+:.*|:::+|\([\w-]+\)=)$", ""),
        (r"\{glue:text\}`([^`]*)`", lambda m: glued.get(m[1], m[1])),
        (r"\{[a-z:]+\}`([^`]*)`", r"\1"),
        (r"(?<!!)\[([^\]]*)\]\((?!https?:|#)[^)]*\)", r"\1"),
    ]:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    return text
