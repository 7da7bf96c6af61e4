"""Where the repository is, and its scripts as modules."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def load(path):
    """The module in a file that is no part of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
