"""Serve the book and bring it up to date at every change of its sources (`make live`).

sphinx-autobuild's parts do the work (watching, serving, reloading the browser); its command is not
used because it wants a conf.py in the root and watches everything there, the environment included.
"""

import subprocess
import sys
from pathlib import Path

import uvicorn
from sphinx_autobuild.filter import IgnoreFilter
from sphinx_autobuild.middleware import JavascriptInjectorMiddleware
from sphinx_autobuild.server import RebuildServer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute
from starlette.staticfiles import StaticFiles

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "_build" / "html"
SOURCES = ["book", "notebooks", "hblib", "sweeps", "_config.yml", "_toc.yml"]
IGNORED = [r"/\.ipynb_checkpoints/", r"/__pycache__/", r"/\.[^/]*$", r"~$", r"\.(swp|tmp)$"]


def update(changed_paths=()):
    """Re-execute the stale chapters, then rebuild the pages that changed.

    Errors stay on the terminal and do not stop the server: the next change is another try.
    """
    for path in changed_paths:
        print(f"changed: {path.relative_to(ROOT)}", flush=True)
    bin_dir = Path(sys.executable).parent
    subprocess.run([bin_dir / "hb", "execute"], cwd=ROOT)
    subprocess.run([bin_dir / "jupyter-book", "build", ".", "-q"], cwd=ROOT,
                   stdout=subprocess.DEVNULL)
    print("The book is up to date.", flush=True)


def main(port):
    """Build once, then serve on 127.0.0.1:`port` until interrupted."""
    host = f"127.0.0.1:{port}"
    SITE.mkdir(parents=True, exist_ok=True)
    update()
    sources = [ROOT / name for name in SOURCES if (ROOT / name).exists()]
    watcher = RebuildServer(sources, IgnoreFilter([], IGNORED), change_callback=update)
    app = Starlette(
        routes=[
            WebSocketRoute("/websocket-reload", watcher, name="reload"),
            Mount("/", app=StaticFiles(directory=SITE, html=True), name="static"),
        ],
        middleware=[Middleware(JavascriptInjectorMiddleware, ws_url=host)],
        lifespan=watcher.lifespan,
    )
    print(f"Serving http://{host}/  (Ctrl-C ends)", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except KeyboardInterrupt:
        print()
