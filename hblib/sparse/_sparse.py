"""Sparse codes: a signal as a sum of a few atoms of a dictionary, and how good such sums are.

A *dictionary* is a matrix with rows of length 1, ``(n_atoms, n_features)``; each row is an *atom*.
The *codes* of signals X, ``(n_samples, n_features)``, are a sparse matrix Y, ``(n_samples,
n_atoms)``, with a few entries per row, such that ``X ~ Y @ dictionary``. Codes are SciPy CSR
arrays. The entries of a row are stored in the order in which the pursuit chose their atoms:
`codes.indices` and `codes.data` from ``codes.indptr[i]`` to ``codes.indptr[i + 1]``. (SciPy's
`sort_indices` would lose that order; `largest` sorts by size instead.)

Orthogonal matching pursuit (OMP) repeatedly chooses the atom that has the largest product with the
residual, and refits all coefficients by least squares [1]_. `batch_omp` is the form of Rubinstein,
Zibulevsky and Elad [2]_: it computes all products of signals and atoms at once and then works with
the dictionary's Gram matrix only.

Orthogonal least squares (OLS) differs in the choice: it takes the atom after whose refit the least
is left of the signal [3]_. The two agree on the first atom, and later wherever the parts of the
atoms that are orthogonal to the chosen ones have equal lengths: OMP compares products with the
residual, OLS products with these parts at unit length [4]_. In Gram form the lengths of these parts
follow from numbers at hand, so that OLS costs about the same, and it leaves less where atoms are
correlated. `spams.omp` is OLS, `orthogonal_mp` of scikit-learn OMP.

References
----------
.. [1] Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, "Orthogonal matching pursuit", Asilomar
   conference on signals, systems and computers, 1993.
.. [2] R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient implementation of the K-SVD algorithm
   using batch orthogonal matching pursuit", Technion CS-2008-08, 2008.
.. [3] S. Chen, S. A. Billings and W. Luo, "Orthogonal least squares methods and their application
   to non-linear system identification", International Journal of Control 50 (1989), 1873-1896.
.. [4] T. Blumensath and M. E. Davies, "On the difference between orthogonal matching pursuit and
   orthogonal least squares", 2007.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy import sparse as sp
from scipy.optimize import linear_sum_assignment
from threadpoolctl import ThreadpoolController

from hblib._checks import as_array, number, whole
from hblib.sparse import _ols_kernels as ols_kernels
from hblib.sparse import _sparse_kernels as kernels

# Signals coded together: enough for a fast matrix product, few enough to stay in the cache.
CHUNK = 1024
# A residual below this many times the machine precision counts as rounding.
ROUNDING = 32
# Atoms from which the choice in single precision pays for double-precision signals.
MIXED_FROM = 400
NOT_JUDGED = np.empty(0, bool)
PURSUITS = ("omp", "ols")

# --- coding ---------------------------------------------------------------------------------------


def batch_omp(
    X: ArrayLike,
    dictionary: ArrayLike,
    sparsity: int | None = None,
    *,
    tolerance: float | ArrayLike | None = None,
    pursuit: str = "omp",
    positive: bool = False,
    n_jobs: int | None = 1,
) -> sp.csr_array:
    """Code signals by orthogonal matching pursuit or by orthogonal least squares.

    Parameters
    ----------
    X : array_like, (n_samples, n_features)
        Signals. float32 is coded in float32, everything else in float64.
    dictionary : array_like, (n_atoms, n_features)
        Atoms, rows of length 1.
    sparsity : int, optional
        Largest number of atoms per signal; by default as many as `tolerance` needs.
    tolerance : float or array_like (n_samples,), optional
        Stop as soon as the length of the residual is at most this, in the units of X.
    pursuit : {"omp", "ols"}
        How the next atom is chosen. ``"omp"``, orthogonal matching pursuit, takes the atom with the
        largest product with the residual; ``"ols"``, orthogonal least squares, the atom after whose
        refit the least is left. Of equally good atoms the first is taken.
    positive : bool
        Allow non-negative coefficients only: atoms are chosen by their largest positive product,
        coefficients are fitted by non-negative least squares, and atoms whose coefficient becomes
        zero are dropped. For ``pursuit="omp"`` only.
    n_jobs : int, optional
        Threads, as in scikit-learn: None is 1, -1 one per core. Each thread codes its own chunks
        of signals with one BLAS thread.

    Returns
    -------
    scipy.sparse.csr_array, (n_samples, n_atoms)
        Each row holds its atoms in the order in which they were chosen. It has fewer than
        `sparsity` entries if nothing but rounding was left of the signal before.

    Raises
    ------
    ValueError
        If an atom does not have length 1, if neither `sparsity` nor `tolerance` is given, if
        `sparsity` exceeds the number of features or atoms, or if `positive` is asked of
        orthogonal least squares.

    References
    ----------
    Rubinstein, Zibulevsky and Elad 2008, algorithm 1 (signed). Chen, Billings and Luo 1989, as an
    update of the same quantities.

    Examples
    --------
    >>> from hblib import sparse
    >>> dictionary = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    >>> codes = sparse.batch_omp([[0.0, 3.0, 0.0, -4.0]], dictionary, 2)
    >>> codes.indices.tolist(), codes.data.tolist()
    ([3, 1], [-4.0, 3.0])

    After the first atom the third has the larger product with what is left, 0.8 against 0.6, and
    the second fits it without error:

    >>> signal, dictionary = [[4.0, 1, 0]], [[1, 0, 0], [0.8, 0.6, 0], [0, 0.8, 0.6]]
    >>> for pursuit in ("omp", "ols"):
    ...     codes = sparse.batch_omp(signal, dictionary, 2, pursuit=pursuit)
    ...     rest = signal - codes @ dictionary
    ...     print(pursuit, codes.indices.tolist(), round(float((rest**2).sum()), 6))
    omp [0, 2] 0.36
    ols [0, 1] 0.0
    """
    X, dictionary = check_pair(X, dictionary)
    sparsity, tolerance = check_stop(sparsity, tolerance, X.shape, len(dictionary), X.dtype)
    check_pursuit(pursuit, positive)
    n_jobs = check_jobs(n_jobs)
    with one_blas_thread():
        return Coder(dictionary, positive, pursuit).code(X, sparsity, tolerance, n_jobs)


class Coder:
    """A dictionary made ready for coding: atoms padded to cache lines, and their Gram matrix.

    Input is not checked here: `batch_omp` and the estimators do that once.

    In double precision, atoms of a large dictionary are chosen in single precision first, which
    moves half the memory. Signals for which that choice was close are pursued again in double
    precision, and all coefficients are computed in double precision.

    Every signal is divided by a power of two near its largest value while it is coded. That costs
    no digit, and its squares neither overflow nor vanish.
    """

    def __init__(self, dictionary: np.ndarray, positive: bool = False, pursuit: str = "omp"):
        self.n_atoms, n_features = dictionary.shape
        padded = -(-self.n_atoms // kernels.PADDING) * kernels.PADDING
        self.atoms = _aligned((padded, n_features), dictionary.dtype)
        self.atoms[: self.n_atoms] = dictionary
        self.gram = _aligned((padded, padded), dictionary.dtype)
        np.matmul(self.atoms, self.atoms.T, out=self.gram)
        self.positive = positive
        self.buffers = _LeastSquares if pursuit == "ols" else _Pursuit
        signed_omp = pursuit == "omp" and not positive
        mixed = dictionary.dtype == np.float64 and signed_omp and self.n_atoms >= MIXED_FROM
        self.single = Coder(dictionary.astype(np.float32)) if mixed else None

    def code(
        self, X: np.ndarray, sparsity: int, tolerance: np.ndarray | None = None, n_jobs: int = 1
    ) -> sp.csr_array:
        """Return the codes of X as `batch_omp` does."""
        return as_codes(*self.pursue(X, sparsity, tolerance, n_jobs), self.n_atoms)

    def pursue(
        self, X: np.ndarray, sparsity: int, tolerance: np.ndarray | None = None, n_jobs: int = 1
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return atoms and coefficients, ``(n_samples, sparsity)``, and the number in each row."""
        n_samples = len(X)
        indices = np.zeros((n_samples, sparsity), np.int32)
        values = np.zeros((n_samples, sparsity), X.dtype)
        counts = np.zeros(n_samples, np.int32)
        mixed = self.single is not None and tolerance is None
        tolerance = np.zeros(n_samples, X.dtype) if tolerance is None else tolerance
        chunk = max(1, min(CHUNK, -(-n_samples // n_jobs)))

        def work(starts: Iterator[int]) -> None:
            rough = _Pursuit(self.single, sparsity, chunk) if mixed else None
            pursuit = self.buffers(self, sparsity, chunk)
            for start in starts:
                part = slice(start, min(start + chunk, n_samples))
                scale = power_of_two(X[part], axis=1)
                signals = X[part] / scale[:, None]
                with np.errstate(over="ignore"):  # infinitely more than is left of the signal
                    goal = tolerance[part] / scale
                codes = indices[part], values[part], counts[part]
                if mixed:
                    sure = rough.choose(signals, codes)
                    kernels.refit(
                        signals, self.atoms, self.gram, *codes[:2], sure, pursuit.rounding
                    )
                    again = np.flatnonzero(~sure)
                    if again.size:
                        redone = [array[again] for array in codes]
                        pursuit(signals[again], goal[again], redone)
                        for array, new in zip(codes, redone):
                            array[again] = new
                else:
                    pursuit(signals, goal, codes)
                values[part] *= scale[:, None]

        shared = iter(range(0, n_samples, chunk))
        if n_jobs == 1:
            work(shared)
        else:
            with ThreadPoolExecutor(n_jobs) as pool:
                for done in [pool.submit(work, shared) for _ in range(n_jobs)]:
                    done.result()
        return indices, values, counts


class _Pursuit:
    """The buffers with which one thread codes chunks of signals with one `Coder`."""

    def __init__(self, coder: Coder, sparsity: int, chunk: int):
        self.coder, dtype, n_atoms = coder, coder.atoms.dtype, len(coder.atoms)
        self.products = _aligned((chunk, n_atoms), dtype)
        self.basis = _aligned((kernels.LEAD + sparsity, n_atoms), dtype)
        self.spare = _aligned((2, n_atoms), dtype)
        self.rounding = ROUNDING * np.finfo(dtype).eps
        self.integer = np.dtype(f"i{dtype.itemsize}").type

    def __call__(
        self,
        X: np.ndarray,
        tolerance: np.ndarray,
        codes: tuple[np.ndarray, np.ndarray, np.ndarray],
        sure: np.ndarray = NOT_JUDGED,
    ) -> None:
        """Write codes of X to the three arrays `codes`."""
        atoms, gram = self.coder.atoms, self.coder.gram
        products = self.products[: len(X)]
        np.matmul(X, atoms.T, out=products)
        if self.coder.positive:
            kernels.positive_omp(
                X,
                atoms,
                gram,
                products,
                self.spare[0],
                self.spare[0].view(self.integer),
                self.integer(-1),
                tolerance,
                self.rounding,
                *codes,
            )
            return
        kernels.batch_omp(
            X,
            atoms,
            gram,
            products,
            products.view(self.integer),
            self.integer(np.iinfo(self.integer).max),
            self.basis,
            self.spare,
            tolerance,
            self.rounding,
            *codes,
            sure,
        )

    def choose(
        self, X: np.ndarray, codes: tuple[np.ndarray, np.ndarray, np.ndarray]
    ) -> np.ndarray:
        """Write atoms and counts only; return for which signals, (n_signals,), they are sure."""
        indices, _, counts = codes
        sure = np.empty(len(X), bool)
        no_goal = np.zeros(len(X), np.float32)
        unused = np.empty(indices.shape, np.float32)
        self(X.astype(np.float32), no_goal, (indices, unused, counts), sure)
        return sure


class _LeastSquares:
    """The same for orthogonal least squares."""

    def __init__(self, coder: Coder, sparsity: int, chunk: int):
        self.coder, dtype, n_atoms = coder, coder.atoms.dtype, len(coder.atoms)
        self.products = _aligned((chunk, n_atoms), dtype)
        self.basis = _aligned((ols_kernels.FRONT + sparsity, n_atoms), dtype)
        self.spare = _aligned((2, n_atoms), dtype)
        self.lengths = _aligned((n_atoms,), dtype)
        self.lengths[:] = coder.gram.diagonal()
        self.left, self.gains = _aligned((n_atoms,), dtype), _aligned((n_atoms,), dtype)
        self.bits = self.gains.view(f"i{dtype.itemsize}")
        self.rounding = ROUNDING * np.finfo(dtype).eps

    def __call__(
        self,
        X: np.ndarray,
        tolerance: np.ndarray,
        codes: tuple[np.ndarray, np.ndarray, np.ndarray],
    ) -> None:
        """Write codes of X to the three arrays `codes`."""
        atoms, gram = self.coder.atoms, self.coder.gram
        products = self.products[: len(X)]
        np.matmul(X, atoms.T, out=products)
        ols_kernels.batch_ols(
            X,
            atoms,
            gram,
            self.lengths,
            products,
            self.basis,
            self.spare,
            self.left,
            self.gains,
            self.bits,
            tolerance,
            self.rounding,
            *codes,
        )


def as_codes(
    indices: np.ndarray, values: np.ndarray, counts: np.ndarray, n_atoms: int
) -> sp.csr_array:
    """Turn what `Coder.pursue` returns into a CSR array; the order within a row is kept."""
    n_samples, sparsity = indices.shape
    indptr = np.zeros(n_samples + 1, np.int64 if values.size >= 2**31 else np.int32)
    np.cumsum(counts, out=indptr[1:])
    if indptr[-1] < values.size:
        used = np.arange(sparsity) < counts[:, None]
        indices, values = indices[used], values[used]
    return sp.csr_array((values.ravel(), indices.ravel(), indptr), shape=(n_samples, n_atoms))


def largest(codes: ArrayLike | sp.sparray, n_atoms: int) -> sp.csr_array:
    """Keep the `n_atoms` largest coefficients of every signal, in order of decreasing size.

    The coefficients are not refitted.

    Parameters
    ----------
    codes : sparse array or array_like, (n_samples, n_atoms)
    n_atoms : int
        Number of entries to keep in each row.

    Returns
    -------
    scipy.sparse.csr_array, (n_samples, n_atoms)

    Examples
    --------
    >>> from hblib import sparse
    >>> kept = sparse.largest([[1.0, 0.0, -3.0, 2.0]], 2)
    >>> kept.indices.tolist(), kept.data.tolist()
    ([2, 3], [-3.0, 2.0])
    """
    codes = check_codes(codes)
    n_atoms = whole("n_atoms", n_atoms, 0)
    row = np.repeat(np.arange(codes.shape[0]), np.diff(codes.indptr))
    order = np.lexsort((-np.abs(codes.data), row))
    keep = order[np.arange(codes.nnz) - codes.indptr[row] < n_atoms]
    counts = np.minimum(np.diff(codes.indptr), n_atoms)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(codes.indptr.dtype)
    return sp.csr_array((codes.data[keep], codes.indices[keep], indptr), shape=codes.shape)


# --- how good are a dictionary and its codes? -----------------------------------------------------


def mutual_coherence(dictionary: ArrayLike) -> float:
    """Return the largest |cosine| between two different atoms.

    Parameters
    ----------
    dictionary : array_like, (n_atoms, n_features)
        Atoms of any length.

    Returns
    -------
    float
        From 0, for orthogonal atoms, to 1. `welch_bound` is the smallest possible value.

    Examples
    --------
    >>> from hblib import sparse
    >>> round(sparse.mutual_coherence([[1, 0], [0, 1], [3, 4]]), 4)
    0.8
    """
    atoms = _unit_rows(dictionary)
    cosines = np.abs(atoms @ atoms.T)
    np.fill_diagonal(cosines, 0.0)
    return float(cosines.max())


def welch_bound(n_atoms: int, n_features: int) -> float:
    """Return the smallest mutual coherence that unit vectors can have (Welch 1974).

    Parameters
    ----------
    n_atoms : int
        Number of vectors, at least 2.
    n_features : int
        Dimension of the space.

    Returns
    -------
    float
        ``sqrt((n_atoms - n_features) / (n_features (n_atoms - 1)))``, or 0 if they can be
        orthogonal.

    Examples
    --------
    >>> from hblib import sparse
    >>> round(sparse.welch_bound(2000, 500), 4)
    0.0387
    """
    n_atoms, n_features = whole("n_atoms", n_atoms, 2), whole("n_features", n_features)
    return float(np.sqrt(max(n_atoms - n_features, 0) / (n_features * (n_atoms - 1))))


def best_cosines(
    learned: ArrayLike, truth: ArrayLike, *, one_to_one: bool = False
) -> np.ndarray:
    """Return the |cosine| of every true atom with its nearest learned atom.

    Parameters
    ----------
    learned : array_like, (n_learned, n_features)
    truth : array_like, (n_true, n_features)
    one_to_one : bool
        Pair every learned atom with at most one true atom, by the assignment with the largest sum;
        true atoms without a partner get 0.

    Returns
    -------
    ndarray, (n_true,)

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.best_cosines([[-2, 0]], [[1, 0], [3, 4]]).round(4).tolist()
    [1.0, 0.6]
    >>> sparse.best_cosines([[-2, 0]], [[1, 0], [3, 4]], one_to_one=True).tolist()
    [1.0, 0.0]
    """
    learned, truth = as_array("learned", learned, ndim=2), as_array("truth", truth, ndim=2)
    check_same_width(learned=learned, truth=truth)
    cosines = np.abs(_unit_rows(truth) @ _unit_rows(learned).T)
    if not one_to_one:
        return cosines.max(axis=1)
    best = np.zeros(len(cosines))
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    best[rows] = cosines[rows, columns]
    return best


def atoms_recovered(learned: ArrayLike, truth: ArrayLike, tolerance: float = 0.01) -> int:
    """Count the true atoms with ``1 - |cosine| < tolerance`` to some learned atom.

    This is the criterion of Aharon, Elad and Bruckstein (2006), section V-A. Two true atoms may be
    found by the same learned one.

    Parameters
    ----------
    learned : array_like, (n_learned, n_features)
    truth : array_like, (n_true, n_features)
    tolerance : float
        From 0 to 1.

    Returns
    -------
    int

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.atoms_recovered([[-2, 0], [0, 1]], [[1, 0], [3, 4]])
    1
    """
    tolerance = number("tolerance", tolerance, 0, 1)
    return int(np.sum(1 - best_cosines(learned, truth) < tolerance))


def mean_max_cosine(learned: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean over true atoms of the |cosine| with the nearest learned atom.

    Parameters
    ----------
    learned : array_like, (n_learned, n_features)
    truth : array_like, (n_true, n_features)

    Returns
    -------
    float

    Examples
    --------
    >>> from hblib import sparse
    >>> round(sparse.mean_max_cosine([[-2, 0]], [[1, 0], [3, 4]]), 4)
    0.8
    """
    return float(best_cosines(learned, truth).mean())


def usage(codes: ArrayLike | sp.sparray) -> np.ndarray:
    """Count the signals that use each atom.

    Parameters
    ----------
    codes : sparse array or array_like, (n_samples, n_atoms)

    Returns
    -------
    ndarray of int, (n_atoms,)

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.usage([[1.0, 0.0, -2.0], [3.0, 0.0, 0.0]]).tolist()
    [2, 0, 1]
    """
    codes = check_codes(codes)
    return np.bincount(codes.indices[codes.data != 0], minlength=codes.shape[1])


def unexplained(X: ArrayLike, codes: ArrayLike | sp.sparray, dictionary: ArrayLike) -> float:
    """Return the fraction of variance unexplained, ``|X - Y D|^2 / |X - mean(X)|^2``.

    Parameters
    ----------
    X : array_like, (n_samples, n_features)
    codes : sparse array or array_like, (n_samples, n_atoms)
    dictionary : array_like, (n_atoms, n_features)

    Returns
    -------
    float
        0 if the sums equal the signals, 1 if they are as good as the mean of the signals.

    Raises
    ------
    ValueError
        If all rows of X are the same.

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.unexplained([[1.0, 0.0], [-1.0, 2.0]], [[1.0], [-1.0]], [[1.0, 0.0]])
    1.0
    """
    X = as_array("X", X, ndim=2).astype(np.float64)
    codes, dictionary = check_codes(codes), as_array("dictionary", dictionary, ndim=2)
    check_same_width(X=X, dictionary=dictionary)
    if codes.shape != (len(X), len(dictionary)):
        raise ValueError(
            f"codes must have one row per signal and one column per atom, {len(X)} x "
            f"{len(dictionary)}, got the shape {codes.shape}"
        )
    scale = power_of_two(X)  # so that squares neither overflow nor vanish
    X /= scale
    total = np.sum((X - X.mean(axis=0)) ** 2)
    if not total > 0:
        raise ValueError("X must have rows that differ: there is no variance to explain")
    return float(np.sum((X - (codes @ dictionary) / scale) ** 2) / total)


def sign_consistency(codes: ArrayLike | sp.sparray) -> np.ndarray:
    """Return how far each atom is used with one sign only, ``|sum of signs| / number of uses``.

    Parameters
    ----------
    codes : sparse array or array_like, (n_samples, n_atoms)

    Returns
    -------
    ndarray, (n_atoms,)
        1 if all coefficients have the same sign, near 0 if both signs are equally frequent, NaN if
        the atom is never used.

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.sign_consistency([[1.0, 0.0, -2.0], [-3.0, 0.0, -1.0]]).tolist()
    [0.0, nan, 1.0]
    """
    codes = check_codes(codes)
    uses = usage(codes)
    total = np.abs(_sum_of_signs(codes))
    return np.divide(total, uses, out=np.full(len(uses), np.nan), where=uses > 0)


def canonical_signs(codes: ArrayLike | sp.sparray) -> np.ndarray:
    """Return the sign for each atom that makes most of its coefficients positive.

    The signs of the atoms of a learned dictionary are arbitrary: multiply the rows of the
    dictionary and the columns of the codes by these.

    Parameters
    ----------
    codes : sparse array or array_like, (n_samples, n_atoms)

    Returns
    -------
    ndarray of int, (n_atoms,)
        1 or -1; 1 for a tie.

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.canonical_signs([[1.0, 0.0, -2.0], [-3.0, 0.0, -1.0]]).tolist()
    [1, 1, -1]
    """
    return np.where(_sum_of_signs(check_codes(codes)) < 0, -1, 1)


def _sum_of_signs(codes: sp.csr_array) -> np.ndarray:
    # Not `codes.sign().sum(axis=0)`: in single precision that stops counting at 2**24.
    return np.bincount(codes.indices, np.sign(codes.data), codes.shape[1])


# --- checks and helpers ---------------------------------------------------------------------------


@functools.cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> Any:
    """Keep BLAS from starting threads of its own beside those of the pool (a context manager)."""
    return _blas().limit(limits=1, user_api="blas")


def _aligned(shape: tuple[int, ...], dtype: DTypeLike) -> np.ndarray:
    """Return an array of zeros that starts on a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def power_of_two(X: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the power of two next above the largest |value|, by which division is exact."""
    info = np.finfo(X.dtype)
    exponent = np.frexp(np.abs(X).max(axis=axis))[1]
    return np.ldexp(X.dtype.type(1), np.clip(exponent, info.minexp, info.maxexp - 1))


def _unit_rows(A: ArrayLike) -> np.ndarray:
    A = as_array("dictionary", A, ndim=2)
    A = np.ascontiguousarray(A / power_of_two(A, axis=1)[:, None])
    return A / np.maximum(np.linalg.norm(A, axis=-1, keepdims=True), np.finfo(A.dtype).tiny)


def check_codes(codes: ArrayLike | sp.sparray) -> sp.csr_array:
    """Return codes, sparse or dense, as a CSR array; the order within a row is kept."""
    if not sp.issparse(codes):
        return sp.csr_array(as_array("codes", codes, ndim=2))
    codes = sp.csr_array(codes)
    data = as_array("codes", codes.data) if codes.nnz else codes.data.astype(float)
    return sp.csr_array((data, codes.indices, codes.indptr), shape=codes.shape)


def check_same_width(**arrays: np.ndarray) -> None:
    """Refuse two matrices with different numbers of features."""
    (one, A), (other, B) = arrays.items()
    if A.shape[1] != B.shape[1]:
        raise ValueError(
            f"{one} and {other} must have the same number of features, got "
            f"{A.shape[1]} and {B.shape[1]}"
        )


def check_pair(
    X: ArrayLike, dictionary: ArrayLike, name: str = "dictionary"
) -> tuple[np.ndarray, np.ndarray]:
    """Return signals and a dictionary of unit rows as contiguous arrays of one type."""
    X = np.ascontiguousarray(as_array("X", X, ndim=2))
    dictionary = np.ascontiguousarray(as_array(name, dictionary, ndim=2), X.dtype)
    check_same_width(**{"X": X, name: dictionary})
    lengths = np.linalg.norm(dictionary, axis=1)
    worst = int(np.argmax(np.abs(lengths - 1)))
    if not abs(lengths[worst] - 1) <= 1e-4:
        raise ValueError(
            f"{name} must have rows of length 1, but row {worst} has length {lengths[worst]:.4g}"
        )
    return X, dictionary


def check_sparsity(sparsity: int, n_features: int, n_atoms: int) -> int:
    """Return a number of atoms that is possible, or refuse it."""
    try:
        return whole("sparsity", sparsity, 1, min(n_features, n_atoms))
    except ValueError as error:
        raise ValueError(f"{error} ({n_features} features, {n_atoms} atoms)") from None


def check_stop(
    sparsity: int | None,
    tolerance: float | ArrayLike | None,
    shape: tuple[int, int],
    n_atoms: int,
    dtype: DTypeLike,
) -> tuple[int, np.ndarray | None]:
    """Return sparsity, and tolerance as an array (n_samples,), for signals of this shape."""
    n_samples, n_features = shape
    if sparsity is None and tolerance is None:
        raise ValueError("give sparsity, tolerance or both: without them nothing stops the pursuit")
    if sparsity is None:
        sparsity = min(n_atoms, n_features)
    sparsity = check_sparsity(sparsity, n_features, n_atoms)
    if tolerance is not None:
        tolerance = as_array("tolerance", tolerance, finite=False)
        if tolerance.shape not in ((), (n_samples,)) or not np.all(tolerance >= 0):
            raise ValueError("tolerance must be one number or one per signal, none below 0")
        with np.errstate(over="ignore"):
            tolerance = np.array(np.broadcast_to(tolerance, n_samples), dtype)
    return sparsity, tolerance


def check_pursuit(pursuit: str, positive: bool) -> None:
    """Refuse a pursuit that there is not, or not for non-negative coefficients."""
    if not isinstance(pursuit, str) or pursuit not in PURSUITS:
        raise ValueError(f"pursuit must be 'omp' or 'ols', got {pursuit!r}")
    if positive and pursuit != "omp":
        raise ValueError(f"positive=True needs pursuit='omp', got pursuit={pursuit!r}")


def check_jobs(n_jobs: int | None) -> int:
    """Return a number of threads, counted as scikit-learn counts `n_jobs`."""
    if n_jobs is None:
        return 1
    if not isinstance(n_jobs, int | np.integer) or isinstance(n_jobs, bool) or n_jobs == 0:
        raise ValueError(f"n_jobs must be None or a whole number other than 0, got {n_jobs!r}")
    if n_jobs > 0:
        return int(n_jobs)
    import joblib  # slow to import; counts the cores of a container

    return max(1, joblib.cpu_count() + 1 + n_jobs)
