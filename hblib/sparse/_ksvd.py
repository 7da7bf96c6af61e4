"""K-SVD: learn a dictionary of which a few atoms add up to each of the given signals.

K-SVD [1]_ minimises ``|X - Y D|^2`` over dictionaries D with unit rows and codes Y with at most
`sparsity` entries per row. It alternates: it codes the signals by orthogonal matching pursuit (or
by orthogonal least squares), then updates one atom after the other together with the coefficients
of the signals that use it, by the best rank-one fit to what the other atoms leave of those signals.
One power step instead of a converged fit, the *approximate* K-SVD of [2]_, is as good and faster.

After each round, atoms that fewer than four signals use and atoms that repeat another one (|cosine|
above 0.99) are replaced by the worst-represented signals. Without this the method loses the
advantage it was published with.

The signals are divided by a power of two near their largest value first, so that atoms do not
depend on the unit in which signals are measured.

References
----------
.. [1] M. Aharon, M. Elad and A. Bruckstein, "K-SVD: an algorithm for designing overcomplete
   dictionaries for sparse representation", IEEE Trans. Signal Processing 54 (2006), 4311-4322.
.. [2] R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient implementation of the K-SVD algorithm
   using batch orthogonal matching pursuit", Technion CS-2008-08, 2008.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from hblib._checks import whole
from hblib.sparse import _ksvd_kernels as kernels
from hblib.sparse import _sparse as sparse
from hblib.sparse._base import SparseTransformer

# An atom used by fewer signals than this, or closer than this to another atom, is replaced.
FEWEST_USERS = 4
LARGEST_COSINE = 0.99
# The running sums of the mini-batch variant remember at least so many uses of an atom, on average.
MEMORY = 50
# Atoms updated between two matrix products of the mini-batch variant.
BLOCK = 64


class _SparseCoder(SparseTransformer):
    """What both learners share: the start, the end, and coding with `components_`."""

    def transform(self, X: ArrayLike) -> sp.csr_array:
        """Return the codes of X on the learned atoms, by the pursuit that learned them.

        Parameters
        ----------
        X : array_like, (n_samples, n_features)

        Returns
        -------
        scipy.sparse.csr_array, (n_samples, n_components)
            Within a row, entries have the order described at `hblib.sparse.batch_omp`.
        """
        check_is_fitted(self)
        return sparse.batch_omp(
            self._signals(X, reset=False),
            self.components_,
            self.sparsity_,
            tolerance=self.tolerance,
            pursuit=self.pursuit,
            positive=self.positive,
            n_jobs=self.n_jobs,
        )

    def _start(
        self, X: ArrayLike
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.random.RandomState]:
        """Check X and the parameters, draw the first dictionary from the signals."""
        X = self._signals(X)
        n_atoms = self._n_atoms(X)
        sparse.check_pursuit(self.pursuit, self.positive)
        _, tolerance = sparse.check_stop(
            self.sparsity_, self.tolerance, X.shape, n_atoms, X.dtype
        )
        scale = sparse.power_of_two(X)
        X = X / scale
        if tolerance is not None:
            with np.errstate(over="ignore"):  # more than any signal is long
                tolerance /= scale
        rng = check_random_state(self.random_state)
        if self.init is None:
            lengths = np.linalg.norm(X, axis=1)
            usable = np.flatnonzero(lengths > 0)
            if len(usable) < n_atoms:
                raise ValueError(
                    f"X has {len(usable)} signals that are not zero, fewer than n_components="
                    f"{n_atoms} atoms"
                )
            chosen = rng.choice(usable, n_atoms, replace=False)
            D = X[chosen] / lengths[chosen, None]
        else:
            _, D = sparse.check_pair(X, self.init, "init")
            if len(D) != n_atoms:
                raise ValueError(f"init must have n_components={n_atoms} rows, got {len(D)}")
            D = D.copy()
        return X, D, tolerance, rng

    def _finish(self, D: np.ndarray, balance: np.ndarray) -> None:
        """Store the atoms, with the sign that makes most of their coefficients positive."""
        turn = (balance < 0) & (not self.positive)
        self.components_ = np.where(turn[:, None], -D, D)


class KSVD(_SparseCoder):
    """Dictionary learning by K-SVD.

    Parameters
    ----------
    n_components : int, optional
        Number of atoms; by default as many as features.
    sparsity : int, optional
        Largest number of atoms per signal; by default a tenth of the features.
    n_iter : int
        Rounds of coding and updating.
    tolerance : float, optional
        A signal whose residual is at most this long gets no more atoms. In the units of X.
    pursuit : {"omp", "ols"}
        How the atoms of a signal are chosen, as in `hblib.sparse.batch_omp`.
    approximate : bool
        Take one power step per atom; otherwise carry the rank-one fits to convergence.
    positive : bool
        Allow non-negative coefficients only.
    clean : bool
        Replace rarely used and repeated atoms after each round.
    init : array_like (n_components, n_features), optional
        First dictionary, rows of length 1; by default signals drawn at random. The atoms that
        `MiniBatchKSVD` finds are a good start for large sets.
    n_jobs : int, optional
        Threads of the coding step; None is 1, -1 one per core.
    random_state : int, numpy.random.RandomState or None
        Draws the first dictionary.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    components_ : array, (n_components, n_features)
        Atoms, unit rows, signs chosen so that most coefficients are positive.
    history_ : dict of arrays, (n_iter,)
        ``residual``: ``|X - Y D|^2 / |X|^2`` after each round; ``replaced``: number of atoms
        replaced.

    Examples
    --------
    >>> import numpy as np
    >>> from hblib import sparse
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> model = sparse.KSVD(12, sparsity=2, n_iter=5, random_state=0).fit(X)
    >>> model.components_.shape, model.transform(X).shape
    ((12, 8), (200, 12))
    """

    def __init__(
        self,
        n_components: int | None = None,
        sparsity: int | None = None,
        n_iter: int = 30,
        *,
        tolerance: float | None = None,
        pursuit: str = "omp",
        approximate: bool = True,
        positive: bool = False,
        clean: bool = True,
        init: ArrayLike | None = None,
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.n_components = n_components
        self.sparsity = sparsity
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.pursuit = pursuit
        self.approximate = approximate
        self.positive = positive
        self.clean = clean
        self.init = init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> KSVD:
        """Learn the atoms.

        Parameters
        ----------
        X : array_like, (n_samples, n_features)
            Signals, at least as many as atoms.
        y
            Ignored.

        Returns
        -------
        KSVD
            This estimator.
        """
        X, D, tolerance, _ = self._start(X)
        n_jobs = sparse.check_jobs(self.n_jobs)
        energy = max(float(np.sum(X * X, dtype=np.float64)), np.finfo(float).tiny)
        residual, replaced = np.empty(self.n_iter), np.zeros(self.n_iter, int)
        rest = np.empty_like(X)
        with sparse.one_blas_thread():
            for i in tqdm(range(self.n_iter), disable=not self.verbose, desc="K-SVD"):
                coder = sparse.Coder(D, self.positive, self.pursuit)
                indices, values, counts = coder.pursue(X, self.sparsity_, tolerance, n_jobs)
                steps = 1 if self.approximate else kernels.CONVERGED
                left = kernels.sweep(X, D, indices, values, counts, rest, steps, self.positive)
                residual[i] = left.sum() / energy
                uses, balance = _uses(indices, values, counts, len(D))
                if self.clean and i < self.n_iter - 1:
                    replaced[i] = _clean(X, D, uses, left).sum()
        self._finish(D, balance)
        self.history_ = {"residual": residual, "replaced": replaced}
        return self


class MiniBatchKSVD(_SparseCoder):
    """Dictionary learning online: K-SVD's problem, a few hundred signals at a time.

    Signals are coded as in `KSVD`. Atoms are updated not from the signals but from two running
    sums, ``Y.T @ Y`` and ``Y.T @ X``, by block coordinate descent after Mairal et al. [1]_, whose
    codes minimise an L1 penalty instead. The sums remember a tenth of the signals seen, but at
    least so many that every atom has been used 50 times on average.

    Parameters
    ----------
    n_components, sparsity, tolerance, pursuit, positive, clean, init, n_jobs, random_state, verbose
        As in `KSVD`.
    n_iter : int
        Passes over the signals.
    batch_size : int
        Signals coded between two updates of the atoms.

    Attributes
    ----------
    components_ : array, (n_components, n_features)
        Atoms, unit rows, signs chosen so that most coefficients are positive.
    history_ : dict of arrays, (n_iter,)
        ``residual``: ``|X - Y D|^2 / |X|^2``, summed over the batches of a pass, each before its
        update; ``replaced``: number of atoms replaced after the pass.

    References
    ----------
    .. [1] J. Mairal, F. Bach, J. Ponce and G. Sapiro, "Online learning for matrix factorization and
       sparse coding", JMLR 11 (2010), 19-60: algorithms 1 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from hblib import sparse
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> model = sparse.MiniBatchKSVD(12, sparsity=2, n_iter=5, batch_size=50, random_state=0)
    >>> model.fit(X).components_.shape
    (12, 8)
    """

    def __init__(
        self,
        n_components: int | None = None,
        sparsity: int | None = None,
        n_iter: int = 10,
        *,
        batch_size: int = 512,
        tolerance: float | None = None,
        pursuit: str = "omp",
        positive: bool = False,
        clean: bool = True,
        init: ArrayLike | None = None,
        n_jobs: int | None = 1,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.n_components = n_components
        self.sparsity = sparsity
        self.n_iter = n_iter
        self.batch_size = batch_size
        self.tolerance = tolerance
        self.pursuit = pursuit
        self.positive = positive
        self.clean = clean
        self.init = init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> MiniBatchKSVD:
        """Learn the atoms.

        Parameters
        ----------
        X : array_like, (n_samples, n_features)
            Signals, at least as many as atoms.
        y
            Ignored.

        Returns
        -------
        MiniBatchKSVD
            This estimator.
        """
        X, D, tolerance, rng = self._start(X)
        n_jobs = sparse.check_jobs(self.n_jobs)
        n_samples, n_atoms = len(X), len(D)
        size = min(whole("batch_size", self.batch_size), n_samples)
        codes_codes = np.zeros((n_atoms, n_atoms), D.dtype)
        codes_signals = np.zeros_like(D)
        shortest = MEMORY * n_atoms / (size * self.sparsity_)
        residual, replaced = np.zeros(self.n_iter), np.zeros(self.n_iter, int)
        energy = max(float(np.sum(X * X, dtype=np.float64)), np.finfo(float).tiny)
        seen = 0
        bar = tqdm(range(self.n_iter), disable=not self.verbose, desc="Mini-batch K-SVD")
        with sparse.one_blas_thread():
            for i in bar:
                order = rng.permutation(n_samples)
                uses, balance = np.zeros(n_atoms, int), np.zeros(n_atoms)
                for start in range(0, n_samples, size):
                    drawn = order[start : start + size]
                    batch = X[drawn]
                    goal = None if tolerance is None else tolerance[drawn]
                    coder = sparse.Coder(D, self.positive, self.pursuit)
                    codes = coder.pursue(batch, self.sparsity_, goal, n_jobs)
                    left = kernels.left_over(batch, D, *codes, np.empty_like(batch))
                    residual[i] += left.sum() / energy
                    now, signs = _uses(*codes, n_atoms)
                    uses += now
                    balance += signs
                    seen += 1
                    memory = max(seen / 10, min(seen, shortest))
                    keep = D.dtype.type(max(0.0, 1 - 1 / memory))
                    codes_codes *= keep
                    codes_signals *= keep
                    kernels.accumulate(batch, *codes, codes_codes, codes_signals)
                    _descend(D, codes_codes, codes_signals)
                if self.clean and i < self.n_iter - 1:
                    new = _clean(batch, D, uses, left)
                    codes_codes[new] = codes_codes[:, new] = 0
                    codes_signals[new] = 0
                    replaced[i] = new.sum()
        self._finish(D, balance)
        self.history_ = {"residual": residual, "replaced": replaced}
        return self


def _descend(D: np.ndarray, codes_codes: np.ndarray, codes_signals: np.ndarray) -> None:
    """Update all atoms once; blocks leave most of the work to matrix products."""
    for start in range(0, len(D), BLOCK):
        part = slice(start, start + BLOCK)
        rest = codes_signals[part] - codes_codes[part] @ D
        kernels.coordinate_steps(D[part], codes_codes[part, part], rest)


def _uses(
    indices: np.ndarray, values: np.ndarray, counts: np.ndarray, n_atoms: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return uses of every atom, and how many more coefficients are positive than negative."""
    used = np.arange(indices.shape[1]) < counts[:, None]
    atoms, signs = indices[used], np.sign(values[used])
    return np.bincount(atoms, minlength=n_atoms), np.bincount(atoms, signs, n_atoms)


def _clean(X: np.ndarray, D: np.ndarray, uses: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Replace rare and repeated atoms by the signals that are represented worst."""
    return kernels.clean(X, D, D @ D.T, uses, left, FEWEST_USERS, LARGEST_COSINE)
