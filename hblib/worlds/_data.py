"""What there is, by name; and the smaller worlds: digits, articles, matrices of known rank.

`SOURCES` says of every world where it comes from, under which licence and how large it is.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.special

from hblib._checks import Randomness, choice, generator, number, whole
from hblib.worlds import _texts

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
    "faces": {
        "title": "Generated faces",
        "size": "as many as asked for, in colour, with 46 known factors",
        "source": "drawn by hblib with a seed",
        "licence": "MIT",
    },
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
    "lfw_subset": {
        "title": "A sample of Labeled Faces in the Wild",
        "size": "100 faces of 25 x 25 pixels in grey",
        "source": "G. B. Huang et al. (2007), University of Massachusetts Amherst, technical "
        "report 07-49; the sample bundled with scikit-image",
        "licence": "research use; the photographs belong to their makers",
    },
    "olivetti": {
        "title": "Olivetti faces",
        "size": "400 faces of 40 people, 64 x 64 pixels in grey",
        "source": "AT&T Laboratories Cambridge (1992 to 1994); downloaded by scikit-learn, 4 MB, "
        "with a checksum",
        "licence": "research use, credit to AT&T Laboratories Cambridge",
    },
    "lfw": {
        "title": "Labeled Faces in the Wild",
        "size": "13,233 faces of 5,749 people, 125 x 125 pixels in colour",
        "source": "G. B. Huang et al. (2007); downloaded by scikit-learn, 233 MB, with a checksum",
        "licence": "research use; the photographs belong to their makers",
    },
    "celeba": {
        "title": "CelebA",
        "size": "202,599 faces of 10,177 people, 178 x 218 pixels in colour",
        "source": "Z. Liu et al. (2015), Deep learning face attributes in the wild; downloaded by "
        "torchvision, 1.4 GB, with a checksum",
        "licence": "non-commercial research",
    },
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


# --- images --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """Handwritten digits.

    Attributes
    ----------
    X : numpy.ndarray of float64, shape (1797, 64)
        Rows are samples, columns are pixels.
    images : numpy.ndarray of float64, shape (1797, 8, 8)
        The same as pictures.
    labels : numpy.ndarray of int, shape (1797,)
        From 0 to 9.
    """

    X: np.ndarray
    images: np.ndarray
    labels: np.ndarray


def digits(scale: bool = True) -> Digits:
    """Scikit-learn's 1,797 handwritten digits of 8 x 8 pixels.

    Parameters
    ----------
    scale : bool, optional
        Divide the pixels, integers from 0 to 16, by 16 so that they lie in [0, 1].

    Examples
    --------
    >>> digits().X.shape, float(digits().X.max())
    ((1797, 64), 1.0)
    """
    from sklearn.datasets import load_digits  # here, since scikit-learn takes long to import

    X, labels = load_digits(return_X_y=True)
    if scale:
        X = X / 16.0
    return Digits(X, X.reshape(-1, 8, 8), labels)


# --- matrices of known rank ----------------------------------------------------------------------


@dataclass(frozen=True)
class Matrices:
    """Matrices drawn around a product of known factors.

    Attributes
    ----------
    matrix : numpy.ndarray, shape (..., m, n)
        What is observed, drawn around ``A.mT @ B``.
    A : numpy.ndarray, shape (..., k, m)
    B : numpy.ndarray, shape (..., k, n)
    """

    matrix: np.ndarray
    A: np.ndarray
    B: np.ndarray


_LINKS = ("gaussian", "binary", "counts")


def draw_matrices(
    n_rows: int,
    n_columns: int,
    rank: int,
    rng: Randomness,
    noise: float = 0.0,
    kind: str = "gaussian",
    batch: int | None = None,
) -> Matrices:
    """Draw matrices whose best factorisation is known.

    The truth is ``X = A.T @ B`` with Gaussian factors scaled so that the entries of X have
    standard deviation 1. The matrix observed is ``X + noise * Z`` with Z standard Gaussian for
    squared error (``gaussian``); 0 or 1 with log-odds ``X + noise * Z`` for logistic error
    (``binary``); Poisson counts of mean ``exp(X + noise * Z)`` for Poisson error (``counts``).

    Parameters
    ----------
    n_rows, n_columns : int
        Shape (m, n) of the matrix.
    rank : int
        Inner dimension k of the truth, at most ``min(m, n)``.
    rng : int, numpy.random.Generator or None
        Source of randomness.
    noise : float, optional
        Standard deviation of the Gaussian noise on X, before any link. Binary matrices and counts
        are random even without it.
    kind : {"gaussian", "binary", "counts"}, optional
        The link.
    batch : int, optional
        Draw this many independent matrices, stacked on a leading axis; by default one without it.

    Returns
    -------
    Matrices

    Raises
    ------
    ValueError
        If a size, the noise or the kind is not one of those allowed.

    Examples
    --------
    >>> data = draw_matrices(60, 40, rank=5, rng=0, batch=64)
    >>> data.matrix.shape, data.A.shape, bool(np.allclose(data.A.mT @ data.B, data.matrix))
    ((64, 60, 40), (64, 5, 60), True)
    """
    n_rows, n_columns = whole("n_rows", n_rows), whole("n_columns", n_columns)
    rank = whole("rank", rank, most=min(n_rows, n_columns))
    lead = () if batch is None else (whole("batch", batch),)
    noise, kind = number("noise", noise, least=0), choice("kind", kind, _LINKS)
    rng = generator(rng)
    # A product of two entries has variance scale^4, a sum of `rank` such products has 1.
    scale = rank**-0.25
    A = scale * rng.standard_normal((*lead, rank, n_rows))
    B = scale * rng.standard_normal((*lead, rank, n_columns))
    matrix = A.mT @ B + noise * rng.standard_normal((*lead, n_rows, n_columns))
    if kind == "binary":
        matrix = rng.binomial(1, scipy.special.expit(matrix)).astype(float)
    elif kind == "counts":
        matrix = rng.poisson(np.exp(matrix)).astype(float)
    return Matrices(matrix, A, B)


# --- files and checks ----------------------------------------------------------------------------


def _installed_file(name: str) -> Path:
    entry = describe(name)
    if "file" not in entry:
        raise ValueError(f"name must be a world that is read from a file, got {name!r}")
    # find_spec looks the package up without importing it.
    return Path(importlib.util.find_spec(entry["package"]).origin).parent / entry["file"]
