"""Where the repository is, its scripts as modules, and how long a test waits at most."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Seconds after which a test gives up waiting: against hanging for ever, and for nothing else. A
# machine with ten times as much to do as it has processors must not reach it.
PATIENCE = 900


def load(path):
    """The module in a file that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
