"""Where the built site is, how to build it, and how to open one of its pages."""

import subprocess
import sys
from pathlib import Path

from bs4 import BeautifulSoup
from scripts import PATIENCE, ROOT

SITE = ROOT / "_build" / "html"


def build(root):
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "-W", "--keep-going"]
    return subprocess.run([*command, "-q"], capture_output=True, text=True, timeout=PATIENCE)


def parse(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def settle(page, url):
    """Open a page and wait until its fonts are there and its mathematics is set."""
    page.goto(url, wait_until="load")
    page.evaluate("document.fonts.ready.then(() => 0)")
    page.evaluate("window.MathJax?.startup?.promise?.then(() => 0)")
