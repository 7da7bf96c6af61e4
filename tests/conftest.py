import functools
import http.server
import json
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
from built_site import ROOT, SITE, build, parse
from fake_book import Book
from hypothesis import settings
from scripts import PATIENCE

# Files that take long, which start first, so that at the end no worker waits for another.
LONG = """test_course test_site_visits test_setup test_fuzz_library test_optimisers test_execute
test_sweep_faults test_cli test_embeddings test_doctests test_wheel test_site test_sweep test_warm
test_notebooks test_captioner test_autoencoder test_ksvd test_fuzz_inputs""".split()
# The same examples at every run: no test fails by chance after a change that it does not concern.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

STATIC = Path(__file__).resolve().parents[1] / "book" / "_static"


def pytest_collection_modifyitems(items):
    names = [*LONG, None]
    items.sort(key=lambda item: names.index(item.path.stem if item.path.stem in LONG else None))


@pytest.fixture
def book(tmp_path):
    return Book(tmp_path)


@pytest.fixture(scope="module")
def shared_book(tmp_path_factory):
    return Book(tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium; for one file of tests, since an open Playwright keeps an event loop."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium on this machine: 'apt-get install chromium' brings it")
    fonts = shutil.which("fc-list")
    if fonts and not subprocess.run([fonts], capture_output=True, check=False).stdout.strip():
        pytest.skip("chromium crashes without any font: 'apt-get install fonts-dejavu-core'")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        chromium = playwright.chromium.launch(executable_path=program, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def write_figure(tmp_path_factory):
    """Writes an explorable figure to a page of its own and gives the page's address."""

    def write(name, kind, data):
        scripts = "".join(
            f"<script>{(STATIC / script).read_text(encoding='utf-8')}</script>"
            for script in ("hb-fig.js", f"hb-fig-{name}.js")
        )
        path = tmp_path_factory.mktemp("site") / f"{name}.html"
        path.write_text(
            f'<!doctype html><title>{name}</title><hb-fig kind="{kind}">'
            f'<script type="application/json">{json.dumps(data)}</script>'
            f'<div class="hb-fig-still">still</div></hb-fig>{scripts}',
            encoding="utf-8",
        )
        return path.as_uri()

    return write


@pytest.fixture(scope="module")
def open_page(browser):
    """Opens addresses in the browser; in the end no page may have raised an error."""
    pages, faults = [], []

    def opened(address, **options):
        page = browser.new_page(**options)
        page.set_default_timeout(1000 * PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert not faults


# ---------------------------------------------------------------- the built site


@pytest.fixture(scope="session")
def site():
    if not (SITE / "index.html").is_file():
        result = build(ROOT)
        assert result.returncode == 0, result.stdout + result.stderr
    return SITE


@pytest.fixture(scope="session")
def pages(site):
    """Name -> parsed page, of all pages with text in them."""
    found = sorted([*site.glob("book/**/*.html"), *site.glob("notebooks/*.html")])
    found += [site / "search.html", site / "genindex.html"]
    assert len(found) > 5
    return {path.relative_to(site).as_posix(): parse(path) for path in found}


@pytest.fixture(scope="session")
def chapters(pages):
    names = [name for name in pages if name.startswith("notebooks/")]
    if not names:
        pytest.skip("no chapter is in the table of contents yet")
    return names


@pytest.fixture
def tab(browser):
    """A function that opens a fresh page; keyword arguments are those of a browser context."""
    contexts = []

    def new_page(**options):
        contexts.append(browser.new_context(**options))
        contexts[-1].set_default_timeout(1000 * PATIENCE)
        return contexts[-1].new_page()

    yield new_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def server(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
