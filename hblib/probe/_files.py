"""Activations that someone saved: NumPy's files, safetensors, Parquet."""

from __future__ import annotations

import difflib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hblib._checks import as_array
from hblib.probe._rows import as_rows

if TYPE_CHECKING:
    import pandas as pd

ENDINGS = (".npy", ".npz", ".safetensors", ".parquet")
_TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "|i1", "U8": "|u1", "BF16": "<u2",
}  # fmt: skip


def load(
    path: str | Path,
    layers: str | list[str] | None = None,
    *,
    positions: str = "flat",
    channels_last: bool | None = None,
) -> dict[str, NDArray[np.floating]]:
    """Read activations from a file.

    Parameters
    ----------
    path : str or Path
        ``.npy`` (one layer, called like the file), ``.npz`` and ``.safetensors`` (one per array of
        at least two axes), or ``.parquet`` (one layer, its columns of numbers as features; needs
        pyarrow). An ``.npy`` file of 32 or 64 bits stays on disk and is read where it is used.
    layers : str or list of str, optional
        Which of the layers; all of them by default.
    positions, channels_last
        What becomes of arrays of more than two axes, see `activations`.

    Returns
    -------
    dict of str to ndarray of shape (n_rows, n_features)
        float32 or float64; 16-bit numbers become float32.

    Raises
    ------
    ValueError
        If there is no such file, it is not of the format that its name says, it has no such layer,
        or holds numbers that are not finite.

    Examples
    --------
    >>> np.savez("layers.npz", first=np.ones((5, 3)), second=np.ones((5, 2)), labels=np.arange(5))
    >>> {name: H.shape for name, H in load("layers.npz").items()}
    {'first': (5, 3), 'second': (5, 2)}
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ValueError(f"path must end in {', '.join(ENDINGS)}, got {path.name!r}")
    if not path.is_file():
        raise ValueError(f"path: there is no file {str(path)!r}")
    read = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors, ".parquet": _parquet}[ending]
    try:
        found = read(path)
    except (OSError, EOFError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(f"path: {path.name} is no {ending} file ({error})") from None
    except ValueError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"path: {path.name} cannot be read as {ending}: {said}") from None
    wanted = [layers] if isinstance(layers, str) else layers
    for name in wanted or []:
        if name not in found:
            near = difflib.get_close_matches(str(name), found, n=3) or list(found)[:8]
            raise ValueError(
                f"layers: {path.name} has no {name!r}; near it are {', '.join(map(repr, near))}"
            )
    tables = {
        name: as_rows(_finite(f"{name!r} in {path.name}", found[name]), positions, channels_last)
        for name in (wanted or [name for name, array in found.items() if array.ndim > 1])
    }
    if not tables:
        raise ValueError(f"path: {path.name} holds no array of numbers with rows and columns")
    return tables


def load_labels(path: str | Path) -> NDArray | pd.DataFrame:
    r"""Read labels from a file, for `unit_meaning`.

    Parameters
    ----------
    path : str or Path
        ``.npy``; ``.txt`` with one label per line; or ``.csv`` with a head, whose only column holds
        classes, or whose several columns hold attributes.

    Returns
    -------
    ndarray or pandas.DataFrame

    Raises
    ------
    ValueError
        If there is no such file, or it cannot be read.

    Examples
    --------
    >>> _ = Path("labels.txt").write_text("cat\ndog\n")
    >>> load_labels("labels.txt").tolist()
    ['cat', 'dog']
    """
    import pandas as pd

    path = Path(path)
    if path.suffix.lower() not in (".npy", ".txt", ".csv"):
        raise ValueError(f"path must end in .npy, .txt or .csv, got {path.name!r}")
    if not path.is_file():
        raise ValueError(f"path: there is no file {str(path)!r}")
    try:
        if path.suffix.lower() == ".npy":
            return np.load(path, allow_pickle=False)
        if path.suffix.lower() == ".txt":
            return np.array(path.read_text(encoding="utf-8").splitlines())
        table = pd.read_csv(path)
    except (OSError, EOFError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"path: {path.name} cannot be read as labels: {said}") from None
    return table.iloc[:, 0].to_numpy() if table.shape[1] == 1 else table


def _finite(name: str, array: NDArray) -> NDArray[np.floating]:
    """Checked in pieces, so that a file on disk is not copied."""
    if array.ndim == 0 or array.size == 0:
        raise ValueError(f"{name} is empty or one number, it has the shape {array.shape}")
    if array.dtype in (np.float32, np.float64):
        step = max(1, 2**22 // max(1, array[0].size))
        for start in range(0, len(array), step):
            bad = ~np.isfinite(array[start : start + step])
            if bad.any():
                row = start + int(np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[0])
                raise ValueError(f"{name} has values that are not finite, in row {row} first")
        return array
    return as_array(name, array)


def _npy(path: Path) -> dict[str, NDArray]:
    return {path.stem: np.load(path, mmap_mode="r", allow_pickle=False)}


def _npz(path: Path) -> dict[str, NDArray]:
    with np.load(path, allow_pickle=False) as file:
        if not hasattr(file, "files"):
            raise ValueError("it holds one array only, and should end in .npy")
        return {name: file[name] for name in file.files if file[name].dtype.kind in "fiub"}


def _parquet(path: Path) -> dict[str, NDArray]:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except ImportError:
        raise ValueError("Parquet needs pyarrow: pip install pyarrow") from None
    except Exception as error:  # pyarrow has a family of its own
        raise ValueError(str(error)) from None
    return {path.stem: table.select_dtypes("number").to_numpy()}


def _safetensors(path: Path) -> dict[str, NDArray]:
    """Read the format by itself: the length of a JSON header, the header, and the numbers."""
    data = np.memmap(path, np.uint8, mode="r")
    size = int(data[:8].view("<u8")[0]) if len(data) >= 8 else 0
    if not 2 <= size <= min(len(data) - 8, 10**8):
        raise ValueError("its header has no sensible length")
    header = json.loads(bytes(data[8 : 8 + size]))
    found = {}
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] not in _TYPES:
            continue
        first, last = (8 + size + int(offset) for offset in entry["data_offsets"])
        kind = np.dtype(_TYPES[entry["dtype"]])
        if not 8 + size <= first <= last <= len(data) or (last - first) % kind.itemsize:
            raise ValueError(f"the numbers of {name!r} lie outside the file")
        numbers = np.frombuffer(bytes(data[first:last]), kind)
        if entry["dtype"] == "BF16":  # the upper half of a 32-bit number
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        found[name] = numbers.reshape(entry["shape"])
    return found
