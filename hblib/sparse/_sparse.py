"""Sparse codes: a signal as a sum of a few atoms of a dictionary, and how good such sums are.

A *dictionary* is a matrix of unit rows, ``(n_atoms, n_features)``; a row is an *atom*. The *codes*
of signals X, ``(n_samples, n_features)``, are a sparse matrix Y, ``(n_samples, n_atoms)``, with few
entries a row, such that ``X ~ Y @ dictionary``. Codes are SciPy CSR matrices, and the entries of a
row stand in the order in which the pursuit chose their atoms: `codes.indices` and `codes.data`
between ``codes.indptr[i]`` and ``codes.indptr[i + 1]``. (SciPy's `sort_indices` would lose that
order; `largest` gives the other useful one, by size.)

Orthogonal matching pursuit (OMP) chooses in turn the atom that has the largest product with what is
left of the signal, and refits all coefficients by least squares [1]_. `batch_omp` is the form of
Rubinstein, Zibulevsky and Elad [2]_: all products of signals and atoms at once, then only work with
the dictionary's Gram matrix.

References
----------
.. [1] Y. C. Pati, R. Rezaiifar and P. S. Krishnaprasad, "Orthogonal matching pursuit", Asilomar
   conference on signals, systems and computers, 1993.
.. [2] R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient implementation of the K-SVD algorithm
   using batch orthogonal matching pursuit", Technion CS-2008-08, 2008.
"""

import functools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse as sp
from scipy.optimize import linear_sum_assignment
from threadpoolctl import ThreadpoolController

from hblib.sparse import _sparse_kernels as kernels

# Signals coded together: enough for a fast matrix product, few enough to stay in the cache.
CHUNK = 1024
# What is left of a signal counts as rounding below this many times the machine's precision.
ROUNDING = 32

# Atoms from which the choice in single precision pays for double-precision signals.
MIXED_FROM = 400
NOT_JUDGED = np.empty(0, bool)

# --- coding ---------------------------------------------------------------------------------------


def batch_omp(X, dictionary, sparsity=None, *, tolerance=None, positive=False, n_jobs=1):
    """Code signals by orthogonal matching pursuit.

    Parameters
    ----------
    X : array, (n_samples, n_features)
        Signals. float32 is coded in float32, all else in float64.
    dictionary : array, (n_atoms, n_features)
        Atoms, rows of length 1.
    sparsity : int, optional
        Largest number of atoms for one signal; by default as many as `tolerance` needs.
    tolerance : float or array (n_samples,), optional
        Stop as soon as the length of what is left of a signal is at most this.
    positive : bool
        Non-negative coefficients only: atoms are chosen by their largest positive product, the fit
        is a non-negative least-squares fit, and atoms it sets to zero are given up.
    n_jobs : int
        Threads; each codes its own chunks with one BLAS thread. -1 is one for every core.

    Returns
    -------
    scipy.sparse.csr_array, (n_samples, n_atoms)
        A row holds its atoms in the order in which they were chosen. It has fewer than `sparsity`
        entries if the signal was exhausted before.

    References
    ----------
    Rubinstein, Zibulevsky and Elad 2008, algorithm 1 (signed).

    Examples
    --------
    >>> D = np.eye(4)
    >>> codes = batch_omp([[0.0, 3.0, 0.0, -4.0]], D, 2)
    >>> codes.indices.tolist(), codes.data.tolist()
    ([3, 1], [-4.0, 3.0])
    """
    X, dictionary = _check_pair(X, dictionary)
    sparsity, tolerance = _check_stop(X, dictionary, sparsity, tolerance)
    n_jobs = _check_jobs(n_jobs)
    with _one_blas_thread():
        return Coder(dictionary, positive).code(X, sparsity, tolerance, n_jobs)


class Coder:
    """A dictionary made ready for coding: atoms padded to cache lines, and their Gram matrix.

    Input is not checked here: `batch_omp` and the estimators of `hblib.ksvd` do that once.

    In double precision, atoms of a large dictionary are chosen in single precision first, which
    moves half the memory. Signals whose choice was a close race are pursued again in double
    precision, and all coefficients are computed in it.
    """

    def __init__(self, dictionary, positive=False):
        dictionary = _check_matrix(dictionary, "dictionary")
        self.n_atoms, n_features = dictionary.shape
        padded = -(-self.n_atoms // kernels.PADDING) * kernels.PADDING
        self.atoms = _aligned((padded, n_features), dictionary.dtype)
        self.atoms[: self.n_atoms] = dictionary
        self.gram = _aligned((padded, padded), dictionary.dtype)
        np.matmul(self.atoms, self.atoms.T, out=self.gram)
        self.positive = positive
        mixed = dictionary.dtype == np.float64 and not positive and self.n_atoms >= MIXED_FROM
        self.single = Coder(dictionary.astype(np.float32)) if mixed else None

    def code(self, X, sparsity, tolerance=None, n_jobs=1):
        """Codes of X as in `batch_omp`."""
        return as_codes(*self.pursue(X, sparsity, tolerance, n_jobs), self.n_atoms)

    def pursue(self, X, sparsity, tolerance=None, n_jobs=1):
        """Codes of X as arrays ``(n_samples, sparsity)`` of atoms and coefficients, and counts."""
        n_samples = len(X)
        indices = np.zeros((n_samples, sparsity), np.int32)
        values = np.zeros((n_samples, sparsity), X.dtype)
        counts = np.zeros(n_samples, np.int32)
        # Squares of these lengths are safe in single precision.
        mixed = self.single is not None and tolerance is None and np.abs(X).max() < 1e15
        tolerance = np.zeros(n_samples, X.dtype) if tolerance is None else tolerance
        chunk = max(1, min(CHUNK, -(-n_samples // n_jobs)))

        def work(starts):
            rough = _Pursuit(self.single, sparsity, chunk) if mixed else None
            pursuit = _Pursuit(self, sparsity, chunk)
            for start in starts:
                part = slice(start, min(start + chunk, n_samples))
                signals, goal = X[part], tolerance[part]
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

        starts = range(0, n_samples, chunk)
        if n_jobs == 1:
            work(starts)
        else:
            shared = iter(starts)
            with ThreadPoolExecutor(n_jobs) as pool:
                for done in [pool.submit(work, shared) for _ in range(n_jobs)]:
                    done.result()
        return indices, values, counts


class _Pursuit:
    """One thread's room for coding a chunk with one `Coder`."""

    def __init__(self, coder, sparsity, chunk):
        self.coder, dtype, n_atoms = coder, coder.atoms.dtype, len(coder.atoms)
        self.products = _aligned((chunk, n_atoms), dtype)
        self.basis = _aligned((kernels.LEAD + sparsity, n_atoms), dtype)
        self.spare = _aligned((2, n_atoms), dtype)
        self.rounding = ROUNDING * np.finfo(dtype).eps
        self.integer = np.dtype(f"i{dtype.itemsize}").type

    def __call__(self, X, tolerance, codes, sure=NOT_JUDGED):
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

    def choose(self, X, codes):
        """Write atoms and counts only; tell for which signals, (n_signals,), they are certain."""
        indices, _, counts = codes
        sure = np.empty(len(X), bool)
        no_goal = np.zeros(len(X), np.float32)
        unused = np.empty(indices.shape, np.float32)
        self(X.astype(np.float32), no_goal, (indices, unused, counts), sure)
        return sure


def as_codes(indices, values, counts, n_atoms):
    """CSR matrix of codes given as by `Coder.pursue`; the order within a row is kept."""
    n_samples, sparsity = indices.shape
    indptr = np.zeros(n_samples + 1, np.int64 if values.size >= 2**31 else np.int32)
    np.cumsum(counts, out=indptr[1:])
    if indptr[-1] < values.size:
        used = np.arange(sparsity) < counts[:, None]
        indices, values = indices[used], values[used]
    return sp.csr_array((values.ravel(), indices.ravel(), indptr), shape=(n_samples, n_atoms))


def largest(codes, n_atoms):
    """Keep the `n_atoms` largest coefficients of every signal, in order of falling size.

    Parameters
    ----------
    codes : sparse array, (n_samples, n_atoms)
    n_atoms : int
        Number of entries to keep in a row. The coefficients are not refitted.

    Returns
    -------
    scipy.sparse.csr_array, (n_samples, n_atoms)

    Examples
    --------
    >>> codes = sp.csr_array([[1.0, 0.0, -3.0, 2.0]])
    >>> largest(codes, 2).indices.tolist(), largest(codes, 2).data.tolist()
    ([2, 3], [-3.0, 2.0])
    """
    codes = sp.csr_array(codes)
    if not isinstance(n_atoms, int | np.integer) or n_atoms < 0:
        raise ValueError(f"n_atoms must be a whole number from 0, got {n_atoms!r}")
    row = np.repeat(np.arange(codes.shape[0]), np.diff(codes.indptr))
    order = np.lexsort((-np.abs(codes.data), row))
    keep = order[np.arange(codes.nnz) - codes.indptr[row] < n_atoms]
    counts = np.minimum(np.diff(codes.indptr), n_atoms)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(codes.indptr.dtype)
    return sp.csr_array((codes.data[keep], codes.indices[keep], indptr), shape=codes.shape)


# --- how good are a dictionary and its codes? -----------------------------------------------------


def coherence(dictionary):
    """Largest |cosine| between two different atoms of `dictionary` (n_atoms, n_features)."""
    cosines = np.abs(_unit_rows(dictionary) @ _unit_rows(dictionary).T)
    np.fill_diagonal(cosines, 0.0)
    return float(cosines.max())


def welch_bound(n_atoms, n_features):
    """Smallest coherence that `n_atoms` unit vectors of `n_features` numbers can have.

    Examples
    --------
    >>> round(welch_bound(2000, 500), 4)
    0.0387
    """
    if n_atoms < 2 or n_features < 1 or n_atoms % 1 or n_features % 1:
        raise ValueError(
            "n_atoms and n_features must be whole numbers, at least 2 and 1, got "
            f"{n_atoms} and {n_features}"
        )
    return float(np.sqrt(max(n_atoms - n_features, 0) / (n_features * (n_atoms - 1))))


def best_cosines(learned, truth, *, one_to_one=False):
    """|Cosine| of every true atom with its nearest learned atom.

    Parameters
    ----------
    learned : array, (n_learned, n_features)
    truth : array, (n_true, n_features)
    one_to_one : bool
        Give every learned atom to at most one true atom, by the assignment with the largest sum;
        true atoms without partner get 0.

    Returns
    -------
    array, (n_true,)
    """
    cosines = np.abs(_unit_rows(truth) @ _unit_rows(learned).T)
    if not one_to_one:
        return cosines.max(axis=1)
    best = np.zeros(len(cosines))
    rows, columns = linear_sum_assignment(cosines, maximize=True)
    best[rows] = cosines[rows, columns]
    return best


def atoms_recovered(learned, truth, tolerance=0.01):
    """Number of true atoms with ``1 - |cosine| < tolerance`` to some learned atom.

    This is the criterion of Aharon, Elad and Bruckstein (2006), section V-A. Two true atoms may
    count the same learned one.
    """
    return int(np.sum(1 - best_cosines(learned, truth) < tolerance))


def mean_max_cosine(learned, truth):
    """Mean over true atoms of the |cosine| with the nearest learned atom."""
    return float(best_cosines(learned, truth).mean())


def usage(codes):
    """Number of signals that use each atom, (n_atoms,)."""
    codes = sp.csr_array(codes)
    return np.bincount(codes.indices[codes.data != 0], minlength=codes.shape[1])


def dead_atoms(codes):
    """Number of atoms that no signal uses."""
    return int(np.sum(usage(codes) == 0))


def l0(codes):
    """Mean number of atoms a signal uses."""
    return sp.csr_array(codes).count_nonzero() / codes.shape[0]


def unexplained(X, codes, dictionary):
    """Fraction of variance unexplained: ``|X - Y D|^2 / |X - mean(X)|^2``, summed over all."""
    X = np.asarray(X, dtype=float)
    total = np.sum((X - X.mean(axis=0)) ** 2)
    if not total > 0:
        raise ValueError("X must have rows that differ: there is no variance to explain")
    return float(np.sum((X - codes @ dictionary) ** 2) / total)


def sign_consistency(codes):
    """How far each atom is used with one sign only: ``|sum of signs| / number of uses``.

    Returns
    -------
    array, (n_atoms,)
        1 if all coefficients have one sign, near 0 if both are as frequent, NaN if never used.
    """
    signs = sp.csr_array(codes).sign()
    uses = usage(codes)
    total = np.abs(signs.sum(axis=0))
    return np.divide(total, uses, out=np.full(len(uses), np.nan), where=uses > 0)


def canonical_signs(codes):
    """Sign for each atom, (n_atoms,), that makes most of its coefficients positive (1 if a tie).

    The signs of a learned dictionary's atoms are arbitrary: multiply the rows of the dictionary and
    the columns of the codes by these.
    """
    return np.where(sp.csr_array(codes).sign().sum(axis=0) < 0, -1, 1)


# --- checks and helpers ---------------------------------------------------------------------------


@functools.cache
def _blas():
    return ThreadpoolController()


def _one_blas_thread():
    """Keep BLAS from starting threads of its own beside those of the pool."""
    return _blas().limit(limits=1, user_api="blas")


def _aligned(shape, dtype):
    """Array of zeros that starts on a cache line."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size].view(dtype).reshape(shape)


def _unit_rows(A):
    A = _check_matrix(A, "the dictionary (learned or truth)")
    return A / np.maximum(np.linalg.norm(A, axis=-1, keepdims=True), np.finfo(A.dtype).tiny)


def _check_matrix(A, name):
    A = np.asarray(A)
    if A.dtype != np.float32:
        A = A.astype(np.float64, copy=False)
    if A.ndim != 2 or 0 in A.shape:
        raise ValueError(
            f"{name} must be a matrix with at least one row and one column, got shape {A.shape}"
        )
    if not np.isfinite(A).all():
        raise ValueError(
            f"{name} must be finite, but {np.sum(~np.isfinite(A))} of its values "
            "are NaN or infinite"
        )
    return np.ascontiguousarray(A)


def _check_pair(X, dictionary):
    X = _check_matrix(X, "X")
    dictionary = _check_matrix(dictionary, "dictionary").astype(X.dtype, copy=False)
    if X.shape[1] != dictionary.shape[1]:
        raise ValueError(
            f"X and dictionary must have the same number of features, got "
            f"{X.shape[1]} and {dictionary.shape[1]}"
        )
    lengths = np.linalg.norm(dictionary, axis=1)
    worst = int(np.argmax(np.abs(lengths - 1)))
    if abs(lengths[worst] - 1) > 1e-4:
        raise ValueError(
            f"dictionary must have rows of length 1, but row {worst} has length "
            f"{lengths[worst]:.4g}"
        )
    return X, dictionary


def _check_sparsity(sparsity, n_features, n_atoms):
    largest_allowed = min(n_features, n_atoms)
    if (
        isinstance(sparsity, bool)
        or sparsity != int(sparsity)
        or not (1 <= sparsity <= largest_allowed)
    ):
        raise ValueError(
            f"sparsity must be a whole number from 1 to {largest_allowed}, the "
            f"smaller of {n_features} features and {n_atoms} atoms, got {sparsity}"
        )
    return int(sparsity)


def _check_stop(X, dictionary, sparsity, tolerance):
    n_atoms, n_features = dictionary.shape
    if sparsity is None and tolerance is None:
        raise ValueError("give sparsity, tolerance or both: without them nothing stops the pursuit")
    if sparsity is None:
        sparsity = min(n_atoms, n_features)
    sparsity = _check_sparsity(sparsity, n_features, n_atoms)
    if tolerance is not None:
        tolerance = np.asarray(tolerance, dtype=X.dtype)
        if tolerance.shape not in ((), (len(X),)) or not np.all(tolerance >= 0):
            raise ValueError("tolerance must be one number or one for every signal, none below 0")
        tolerance = np.array(np.broadcast_to(tolerance, len(X)))
    return sparsity, tolerance


def _check_jobs(n_jobs):
    if n_jobs == -1:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if not isinstance(n_jobs, (int, np.integer)) or n_jobs < 1:
        raise ValueError(f"n_jobs must be -1 or a whole number from 1, got {n_jobs!r}")
    return int(n_jobs)
