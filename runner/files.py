"""Where the book is, which chapters it has, and how its files are read and written."""

import hashlib
import json
import os
from pathlib import Path

import nbformat

from hblib import claims

REGISTER = Path("hblib", "claims", "register.yml")


def find_root(start="."):
    """Return the folder of the book that holds `start`.

    Raises
    ------
    ValueError
        If neither `start` nor any folder above it is the book.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        if (folder / "notebooks").is_dir() and (folder / "requirements.lock").is_file():
            return folder
    raise ValueError("run this inside the book's folder (the one with notebooks/ in it)")


def chapters(root):
    """Return the paths of all chapters of the book, in reading order."""
    return sorted((Path(root) / "notebooks").glob("[0-9]*.ipynb"))


def find_chapter(root, name):
    """Return the path of the chapter called `name`, such as ``02_rotation``.

    Raises
    ------
    ValueError
        If the book has no such chapter.
    """
    known = {path.stem: path for path in chapters(root)}
    if name not in known:
        raise ValueError(f"there is no chapter {name!r}; there are {', '.join(known) or 'none'}")
    return known[name]


def register(root):
    """Return the register of the book in a folder (see `hblib.claims.load_register`)."""
    return claims.load_register(Path(root) / REGISTER)


def read(path):
    """Return a notebook.

    Raises
    ------
    OSError, ValueError
        If the file cannot be read, or is no notebook.
    """
    try:
        notebook = nbformat.read(str(path), as_version=4)
        sound = all("source" in c and isinstance(c.metadata, dict) for c in notebook.cells)
    except OSError:
        raise
    except Exception:  # nbformat lets whatever its conversions stumble over through
        sound = False
    if not sound:
        raise ValueError(f"{path} is not a notebook of format 4")
    return notebook


def write(text, path):
    """Write a file in one step: a reader sees the old file or the new, never half of one."""
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError:
        unfinished.unlink(missing_ok=True)  # half a file would only take up what is left
        raise


def digest(value):
    """Return a short hash of bytes, or of a value that JSON can hold."""
    if not isinstance(value, bytes):
        value = json.dumps(value, sort_keys=True).encode()
    return hashlib.sha256(value).hexdigest()[:16]
