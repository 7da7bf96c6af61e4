"""The smaller worlds: digits, and matrices of known rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.special

from hblib._checks import Randomness, choice, generator, number, whole

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
