"""Claims for readers who are programs: ``claims.json``, its schema, an address for each claim."""

import json
import shutil
from pathlib import Path

from hb_evidence import gathered
from hb_html import fill


def write(app, exception):
    """Write the files beside the finished pages."""
    known = gathered(str(app.srcdir)) if app.builder.format == "html" and not exception else None
    if known is None:
        return
    site = Path(app.outdir)
    text = json.dumps(known.export, ensure_ascii=False, indent=1)
    (site / "claims.json").write_text(text + "\n", encoding="utf-8")
    shutil.copy(known.root / "book" / "claims.schema.json", site)
    for claim in known.export["claims"]:
        page = site / claim["address"]
        page.parent.mkdir(exist_ok=True)
        target = f"../{claim['card'] or claim['ledger']}"
        text = fill("redirect.html", title=f"The claim {claim['id']}", target=target)
        page.write_text(text, encoding="utf-8")


def setup(app):
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
