"""K-SVD: learn a dictionary whose few-atom sums come close to given signals.

K-SVD [1]_ minimises ``|X - Y D|^2`` over dictionaries D with unit rows and codes Y with at most
`sparsity` entries a row, in turns: it codes the signals by orthogonal matching pursuit, then
updates one atom after the other together with the coefficients of its users, by the best rank-one
fit to what the other atoms leave of those signals. One power step instead of a converged fit, the
*approximate* K-SVD of [2]_, is as good and faster.

After each sweep, atoms that fewer than four signals use and atoms that repeat another one
(|cosine| above 0.99) are replaced by the worst-represented signals. Without this the method loses
the advantage it was published with.

References
----------
.. [1] M. Aharon, M. Elad and A. Bruckstein, "K-SVD: an algorithm for designing overcomplete
   dictionaries for sparse representation", IEEE Trans. Signal Processing 54 (2006), 4311-4322.
.. [2] R. Rubinstein, M. Zibulevsky and M. Elad, "Efficient implementation of the K-SVD algorithm
   using batch orthogonal matching pursuit", Technion CS-2008-08, 2008.
"""

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from tqdm import tqdm

from hblib.sparse import _ksvd_kernels as kernels
from hblib.sparse import _sparse as sparse

# An atom used by fewer signals than this, or closer than this to another atom, is replaced.
FEWEST_USERS = 4
LARGEST_COSINE = 0.99
# Uses of an atom, on average, that the running sums of the mini-batch variant remember at least.
MEMORY = 50
# Atoms updated between two matrix products of the mini-batch variant.
BLOCK = 64


class _SparseCoder(TransformerMixin, BaseEstimator):
    """What the learners of this module share: checks, coding with `components_`, reconstruction."""

    def transform(self, X):
        """Codes of X on the learned atoms by orthogonal matching pursuit.

        Parameters
        ----------
        X : array, (n_samples, n_features)

        Returns
        -------
        scipy.sparse.csr_array, (n_samples, n_components)
            See `hblib.sparse.batch_omp` for the order of the entries of a row.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        return sparse.batch_omp(
            X,
            self.components_,
            self.sparsity_,
            tolerance=self.tolerance,
            positive=self.positive,
            n_jobs=self.n_jobs,
        )

    def inverse_transform(self, codes):
        """Signals of the given codes: ``codes @ components_``."""
        check_is_fitted(self)
        return codes @ self.components_

    def _start(self, X):
        """Check X and the parameters, draw the first dictionary from the signals."""
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
        n_samples, n_features = X.shape
        n_atoms = n_features if self.n_components is None else self.n_components
        if n_atoms != int(n_atoms) or n_atoms < 1:
            raise ValueError(f"n_components must be a whole number from 1, got {n_atoms}")
        if n_samples < n_atoms:
            raise ValueError(
                f"X has n_samples={n_samples} signals, fewer than n_components={n_atoms} atoms"
            )
        if self.n_iter != int(self.n_iter) or self.n_iter < 1:
            raise ValueError(f"n_iter must be a whole number from 1, got {self.n_iter}")
        sparsity = max(1, n_features // 10) if self.sparsity is None else self.sparsity
        sparsity, tolerance = sparse._check_stop(
            X, np.empty((n_atoms, n_features)), sparsity, self.tolerance
        )
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
            _, D = sparse._check_pair(X, self.init)
            if len(D) != n_atoms:
                raise ValueError(f"init must have n_components={n_atoms} rows, got {len(D)}")
            D = D.copy()
        self.sparsity_ = sparsity
        return X, D, tolerance, rng

    def _finish(self, D, balance):
        """Store the atoms, turned so that the more frequent sign of their coefficients is +."""
        turn = (balance < 0) & (not self.positive)
        self.components_ = np.where(turn[:, None], -D, D)

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class KSVD(_SparseCoder):
    """Dictionary learning by K-SVD.

    Parameters
    ----------
    n_components : int, optional
        Number of atoms; by default as many as features.
    sparsity : int, optional
        Largest number of atoms for one signal; by default a tenth of the features.
    n_iter : int
        Rounds of coding and updating.
    tolerance : float, optional
        A signal that is represented up to a rest of this length gets no more atoms.
    approximate : bool
        One power step per atom; otherwise rank-one fits are carried to convergence.
    positive : bool
        Non-negative coefficients only.
    clean : bool
        Replace unused and repeated atoms after each round.
    init : array (n_components, n_features), optional
        First dictionary, rows of length 1; by default signals drawn at random. The atoms that
        `MiniBatchKSVD` finds are a good start for large sets.
    n_jobs : int
        Threads of the coding step.
    random_state : int, numpy.random.RandomState or None
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    components_ : array, (n_components, n_features)
        Atoms, unit rows, signs chosen so that most coefficients are positive.
    history_ : dict of arrays, (n_iter,)
        ``residual``: ``|X - Y D|^2 / |X|^2`` after each round; ``replaced``: atoms exchanged.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> model = KSVD(12, sparsity=2, n_iter=5, random_state=0).fit(X)
    >>> model.components_.shape, model.transform(X).shape
    ((12, 8), (200, 12))
    """

    def __init__(
        self,
        n_components=None,
        sparsity=None,
        n_iter=30,
        *,
        tolerance=None,
        approximate=True,
        positive=False,
        clean=True,
        init=None,
        n_jobs=1,
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.sparsity = sparsity
        self.n_iter = n_iter
        self.tolerance = tolerance
        self.approximate = approximate
        self.positive = positive
        self.clean = clean
        self.init = init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn the atoms from signals X, (n_samples, n_features)."""
        X, D, tolerance, _ = self._start(X)
        n_jobs = sparse._check_jobs(self.n_jobs)
        energy = max(float(np.sum(X * X, dtype=np.float64)), np.finfo(float).tiny)
        residual, replaced = np.empty(self.n_iter), np.zeros(self.n_iter, int)
        rest = np.empty_like(X)
        with sparse._one_blas_thread():
            for i in tqdm(range(self.n_iter), disable=not self.verbose, desc="K-SVD"):
                coder = sparse.Coder(D, self.positive)
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
    """K-SVD's problem solved online, a few hundred signals at a time.

    Signals are coded as in `KSVD`. Atoms are not updated from the signals but from two running
    sums, ``Y.T @ Y`` and ``Y.T @ X``, by block coordinate descent after Mairal et al. [1]_, whose
    codes minimise an L1 penalty instead. The sums remember a tenth of the signals seen, yet at
    least so many that every atom has been used `MEMORY` times on average.

    Parameters
    ----------
    n_components, sparsity, tolerance, positive, clean, init, n_jobs, random_state, verbose
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
        update; ``replaced``: atoms exchanged after the pass.

    References
    ----------
    .. [1] J. Mairal, F. Bach, J. Ponce and G. Sapiro, "Online learning for matrix factorization and
       sparse coding", JMLR 11 (2010), 19-60: algorithms 1 and 2.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(200, 8))
    >>> model = MiniBatchKSVD(12, sparsity=2, n_iter=5, batch_size=50, random_state=0).fit(X)
    >>> model.components_.shape
    (12, 8)
    """

    def __init__(
        self,
        n_components=None,
        sparsity=None,
        n_iter=10,
        *,
        batch_size=512,
        tolerance=None,
        positive=False,
        clean=True,
        init=None,
        n_jobs=1,
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.sparsity = sparsity
        self.n_iter = n_iter
        self.batch_size = batch_size
        self.tolerance = tolerance
        self.positive = positive
        self.clean = clean
        self.init = init
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn the atoms from signals X, (n_samples, n_features)."""
        X, D, tolerance, rng = self._start(X)
        n_jobs = sparse._check_jobs(self.n_jobs)
        if self.batch_size != int(self.batch_size) or self.batch_size < 1:
            raise ValueError(f"batch_size must be a whole number from 1, got {self.batch_size}")
        n_samples, n_atoms = len(X), len(D)
        size = min(self.batch_size, n_samples)
        codes_codes = np.zeros((n_atoms, n_atoms), D.dtype)
        codes_signals = np.zeros_like(D)
        shortest = MEMORY * n_atoms / (size * self.sparsity_)
        residual, replaced = np.zeros(self.n_iter), np.zeros(self.n_iter, int)
        energy = max(float(np.sum(X * X, dtype=np.float64)), np.finfo(float).tiny)
        seen = 0
        bar = tqdm(range(self.n_iter), disable=not self.verbose, desc="Mini-batch K-SVD")
        with sparse._one_blas_thread():
            for i in bar:
                order = rng.permutation(n_samples)
                uses, balance = np.zeros(n_atoms, int), np.zeros(n_atoms)
                for start in range(0, n_samples, size):
                    mine = order[start : start + size]
                    batch = X[mine]
                    goal = None if tolerance is None else tolerance[mine]
                    coder = sparse.Coder(D, self.positive)
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


def _descend(D, codes_codes, codes_signals):
    """One round over all atoms; blocks leave most of the work to matrix products."""
    for start in range(0, len(D), BLOCK):
        part = slice(start, start + BLOCK)
        rest = codes_signals[part] - codes_codes[part] @ D
        kernels.coordinate_steps(D[part], codes_codes[part, part], rest)


def _uses(indices, values, counts, n_atoms):
    """Uses of every atom, and by how many its positive coefficients outnumber the negative."""
    used = np.arange(indices.shape[1]) < counts[:, None]
    atoms, signs = indices[used], np.sign(values[used])
    return np.bincount(atoms, minlength=n_atoms), np.bincount(atoms, signs, n_atoms)


def _clean(X, D, uses, left):
    """Replace rare and repeated atoms by the signals that are represented worst."""
    return kernels.clean(X, D, D @ D.T, uses, left, FEWEST_USERS, LARGEST_COSINE)
