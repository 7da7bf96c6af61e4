"""Where rows go that come batch by batch: into memory, or into files of NumPy's format."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


class InMemory:
    """Keeps the rows of each layer; while they are joined, one layer is held twice."""

    def __init__(self) -> None:
        self._parts: dict[str, list[NDArray]] = {}

    @property
    def names(self) -> set[str]:
        return set(self._parts)

    def add(self, name: str, rows: NDArray) -> None:
        parts = self._parts.setdefault(name, [])
        if parts:
            check_width(name, parts[0].shape[1], rows)
        parts.append(rows)

    def finish(self) -> dict[str, NDArray]:
        found = {}
        for name in list(self._parts):
            found[name] = np.concatenate(self._parts.pop(name))
        return found

    def close(self) -> None:
        self._parts.clear()


class OnDisk:
    """Appends the rows of each layer to a file; files of a reading that fails are taken away."""

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)
        if self._folder.exists() and not self._folder.is_dir():
            raise ValueError(f"folder must be a folder, {str(folder)!r} is a file")
        self._made = not self._folder.exists()
        self._files: dict[str, tuple[Path, Any, list[int], np.dtype]] = {}
        self._finished = False

    @property
    def names(self) -> set[str]:
        return set(self._files)

    def add(self, name: str, rows: NDArray) -> None:
        if name not in self._files:
            self._folder.mkdir(parents=True, exist_ok=True)
            plain = re.sub(r"[^\w.-]", "_", name) or "model"
            path = self._folder / f"{plain}.npy"
            if any(path == taken for taken, *_ in self._files.values()):
                raise ValueError(f"layer {name!r} would share the file {path.name} with another")
            file = path.with_suffix(".npy.part").open("wb")
            file.write(_header((0, rows.shape[1]), rows.dtype))
            self._files[name] = path, file, [0, rows.shape[1]], rows.dtype
        _, file, shape, dtype = self._files[name]
        check_width(name, shape[1], rows)
        file.write(np.ascontiguousarray(rows, dtype).data)
        shape[0] += len(rows)

    def finish(self) -> dict[str, NDArray]:
        found = {}
        for name, (path, file, shape, dtype) in self._files.items():
            file.seek(0)
            file.write(_header(tuple(shape), dtype))
            file.close()
            path.with_suffix(".npy.part").replace(path)
            found[name] = np.load(path, mmap_mode="r", allow_pickle=False)
        self._finished = True
        return found

    def close(self) -> None:
        if self._finished:
            return
        for path, file, *_ in self._files.values():
            file.close()
            path.with_suffix(".npy.part").unlink(missing_ok=True)
        if self._made and self._folder.is_dir() and not any(self._folder.iterdir()):
            self._folder.rmdir()


def check_width(name: str, width: int, rows: NDArray) -> None:
    """Refuse rows that are wider or narrower than those before them."""
    if rows.shape[1] != width:
        raise ValueError(
            f"layer {name!r} gives {rows.shape[1]} features after {width}: inputs of several "
            'lengths need positions="mean" or "each"'
        )


def _header(shape: tuple[int, ...], dtype: np.dtype) -> bytes:
    """NumPy's header; it leaves room for more rows, so that it can be written anew in place."""
    out = io.BytesIO()
    described = np.lib.format.dtype_to_descr(dtype)
    np.lib.format.write_array_header_1_0(
        out, {"descr": described, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()
