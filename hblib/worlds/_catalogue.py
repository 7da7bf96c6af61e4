"""What there is, by name: where each world comes from, under which licence and how large it is."""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from hblib._checks import choice
from hblib.worlds import _texts
from hblib.worlds._faces import FACE_SOURCES

SOURCES = {
    "digits": {
        "title": "Handwritten digits",
        "size": "1,797 images of 8 x 8 pixels in 17 grey levels, ten classes",
        "source": "E. Alpaydin and C. Kaynak (1998), Optical Recognition of Handwritten Digits, "
        "UCI Machine Learning Repository, doi:10.24432/C50P49; the test part, as bundled with "
        "scikit-learn",
        "licence": "CC BY 4.0",
        "package": "sklearn",
        "file": "datasets/data/digits.csv.gz",
        "sha256": "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
    },
    "letters": {
        "title": "Printed letters",
        "size": "as many as asked for, 28 x 28 pixels in grey, 21 typefaces with known attributes",
        "source": "drawn by hblib with a seed, in the DejaVu, STIX and Computer Modern fonts that "
        "matplotlib carries",
        "licence": "MIT; the fonts have free licences of their own",
    },
    **_texts.SOURCES,
    "matrices": {
        "title": "Matrices of known low rank",
        "size": "as many and as large as asked for",
        "source": "drawn by hblib with a seed",
        "licence": "MIT",
    },
    "faces": FACE_SOURCES["generated"],
    "scenes": {
        "title": "Painted scenes",
        "size": "as many as asked for, 64 x 64 pixels in colour, with known facts and captions",
        "source": "drawn by hblib with a seed",
        "licence": "MIT",
    },
    "speech": {
        "title": "Speech-like sound",
        "size": "as many speakers and words as asked for, every 10 ms labelled with one of 16 "
        "phones",
        "source": "synthesised by hblib with a seed, after Klatt (1980)",
        "licence": "MIT",
    },
    **{name: entry for name, entry in FACE_SOURCES.items() if name != "generated"},
}


def describe(name: str) -> dict[str, str]:
    """Title, size, source and licence of a world.

    Parameters
    ----------
    name : str
        A key of `SOURCES`.

    Returns
    -------
    dict
        With the keys ``title``, ``size``, ``source``, ``licence``; for files of a dependency also
        ``package``, ``file`` and ``sha256``.

    Examples
    --------
    >>> describe("digits")["licence"]
    'CC BY 4.0'
    """
    return dict(SOURCES[choice("name", name, SOURCES)])


def catalogue() -> dict[str, str]:
    """One line on every world, by its name.

    Examples
    --------
    >>> catalogue()["olivetti"]
    'Olivetti faces: 400 faces of 40 people, 64 x 64 pixels in grey'
    """
    return {name: f"{entry['title']}: {entry['size']}" for name, entry in SOURCES.items()}


def checksum(name: str) -> str:
    """SHA-256 of the file that a world is read from, as installed here.

    Parameters
    ----------
    name : str
        A world whose entry in `SOURCES` names a file, such as ``"digits"``.

    Returns
    -------
    str
        Hexadecimal digest; it equals ``describe(name)["sha256"]`` when the installed package
        bundles the file that the book was made from.

    Examples
    --------
    >>> checksum("digits") == describe("digits")["sha256"]
    True
    """
    return hashlib.sha256(_installed_file(name).read_bytes()).hexdigest()


def _installed_file(name: str) -> Path:
    entry = describe(name)
    if "file" not in entry:
        raise ValueError(f"name must be a world that is read from a file, got {name!r}")
    # find_spec looks the package up without importing it.
    return Path(importlib.util.find_spec(entry["package"]).origin).parent / entry["file"]
