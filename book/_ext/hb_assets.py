"""Serve every asset from the site itself, and let no faulty build pass at the second try.

MathJax comes as one file from the wheel ``sphinx-mathjax-offline``; the extension of that name
would copy 24 MB more. Thebe is dropped: it needs a remote kernel, and its start-up script declares
the same constant twice, which is a script error on every page.
"""

import importlib.metadata
import shutil
from pathlib import Path

from sphinx.errors import ExtensionError

MATHJAX = "mathjax-tex-svg.js"


def gather(app, config):
    """Copy MathJax beside the build; add that folder, and the scripts of explorable figures."""
    figures = sorted((Path(app.srcdir) / "book" / "_static").glob("hb-fig-*.js"))
    deferred = {"defer": "defer"}  # in order, after hb-fig.js
    config.html_js_files = [*config.html_js_files, *((path.name, deferred) for path in figures)]
    files = importlib.metadata.files("sphinx-mathjax-offline") or []
    source = next((f.locate() for f in files if f.match("static/mathjax/tex-svg.js")), None)
    if source is None:
        raise ExtensionError("sphinx-mathjax-offline holds no static/mathjax/tex-svg.js.")
    vendor = Path(app.outdir).parent / "vendor"
    vendor.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, vendor / MATHJAX)
    config.html_static_path = [*config.html_static_path, str(vendor)]


def _is_thebe(script):
    body = (getattr(script, "attributes", None) or {}).get("body") or ""
    return "THEBE_JS_URL" in body or "thebe" in str(getattr(script, "filename", "") or "")


def drop_thebe(app, pagename, templatename, context, doctree):
    """Remove Thebe's scripts and styles from the page."""
    for key in ("script_files", "css_files"):
        context[key] = [entry for entry in context.get(key, []) if not _is_thebe(entry)]


def forget_if_faulty(app, exception):
    """After a build with warnings, drop what Sphinx remembers: the next build must warn again."""
    if exception or app._warncount:
        (Path(app.doctreedir) / "environment.pickle").unlink(missing_ok=True)


def setup(app):
    app.connect("config-inited", gather)
    app.connect("html-page-context", drop_thebe, priority=900)  # after everybody has added theirs
    app.connect("build-finished", forget_if_faulty)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
