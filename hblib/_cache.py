"""Where results are kept between runs: a folder, and files that are either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import platformdirs


def cache_folder() -> Path:
    """Return ``_build/cache`` of the project when hblib is used from it, else the user's cache.

    Examples
    --------
    >>> cache_folder().name in ("cache", "hblib")
    True
    """
    project = Path(__file__).resolve().parents[1]
    if (project / "pyproject.toml").exists():
        return project / "_build" / "cache"
    return Path(platformdirs.user_cache_dir("hblib"))


def write_atomically(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """Write under another name, then rename: no process ever reads half a file.

    Parameters
    ----------
    path : Path
        Its folder is made if need be.
    write : callable
        Is given the open file.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "new" / "file"
    ...     write_atomically(path, lambda file: file.write(b"whole"))
    ...     print(path.read_bytes(), [p.name for p in path.parent.iterdir()])
    b'whole' ['file']
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
