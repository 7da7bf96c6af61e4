"""Can a known dictionary, or a known sparse code, be found again? Experiments with planted truth.

There are two questions. Given the dictionary, how often does orthogonal matching pursuit find
exactly the atoms that a signal was made of (`support_recovery`)? And given only signals, how many
atoms does a learner find (`atoms_found`)? The second is the synthetic experiment of Aharon, Elad
and Bruckstein [1]_, section V-A: 1,500 signals of 3 atoms each from a dictionary of 50 atoms in 20
dimensions.

References
----------
.. [1] M. Aharon, M. Elad and A. Bruckstein, "K-SVD: an algorithm for designing overcomplete
   dictionaries for sparse representation", IEEE Trans. Signal Processing 54 (2006), 4311-4322.
.. [2] K. Engan, S. O. Aase and J. H. Husoy, "Method of optimal directions for frame design",
   ICASSP 1999.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse as sp

from hblib._checks import as_array, generator, number, whole
from hblib.sparse import _ksvd as ksvd
from hblib.sparse import _sparse as sparse


def random_dictionary(
    n_atoms: int, n_features: int, rng: int | np.random.Generator | None
) -> np.ndarray:
    """Draw unit vectors uniformly from the sphere.

    Parameters
    ----------
    n_atoms, n_features : int
    rng : int, numpy.random.Generator or None

    Returns
    -------
    ndarray, (n_atoms, n_features)

    Examples
    --------
    >>> from hblib import sparse
    >>> dictionary = sparse.random_dictionary(5, 3, rng=0)
    >>> (dictionary**2).sum(axis=1).round(12).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """
    shape = whole("n_atoms", n_atoms), whole("n_features", n_features)
    D = generator(rng).normal(size=shape)
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def sparse_signals(
    dictionary: ArrayLike,
    n_samples: int,
    sparsity: int,
    rng: int | np.random.Generator | None,
    *,
    snr: float | None = None,
) -> tuple[np.ndarray, sp.csr_array]:
    """Draw signals made of exactly `sparsity` different atoms, with standard normal coefficients.

    Parameters
    ----------
    dictionary : array_like, (n_atoms, n_features)
    n_samples : int
    sparsity : int
        Atoms per signal.
    rng : int, numpy.random.Generator or None
    snr : float, optional
        Ratio of the energies of signals and of added white noise, in dB; no noise by default.

    Returns
    -------
    X : ndarray, (n_samples, n_features)
    codes : scipy.sparse.csr_array, (n_samples, n_atoms)
        The true codes.

    Examples
    --------
    >>> import numpy as np
    >>> from hblib import sparse
    >>> dictionary = sparse.random_dictionary(30, 20, rng=0)
    >>> X, codes = sparse.sparse_signals(dictionary, 100, 3, rng=1)
    >>> X.shape, np.unique((codes.toarray() != 0).sum(axis=1)).tolist()
    ((100, 20), [3])
    """
    dictionary = as_array("dictionary", dictionary, ndim=2)
    n_samples, n_atoms = whole("n_samples", n_samples), len(dictionary)
    sparsity = whole("sparsity", sparsity, 1, n_atoms)
    rng = generator(rng)
    indices = np.argpartition(rng.random((n_samples, n_atoms)), sparsity - 1, axis=1)[:, :sparsity]
    values = rng.normal(size=(n_samples, sparsity))
    indptr = np.arange(n_samples + 1) * sparsity
    codes = sp.csr_array((values.ravel(), indices.ravel(), indptr), shape=(n_samples, n_atoms))
    X = codes @ dictionary
    if snr is not None:
        snr = number("snr", snr, -100, 300)
        noise = rng.normal(size=X.shape)
        X += noise * np.sqrt(10 ** (-snr / 10) * np.sum(X**2) / np.sum(noise**2))
    return X, codes


# --- the storage argument: supports ---------------------------------------------------------------


def support_recovery(
    n_features: int,
    n_atoms: int,
    sparsities: Sequence[int],
    n_samples: int,
    rng: int | np.random.Generator | None,
    *,
    snr: float | None = None,
    n_jobs: int | None = 1,
) -> np.ndarray:
    """Return the share of signals whose atoms orthogonal matching pursuit finds exactly.

    Parameters
    ----------
    n_features, n_atoms : int
        Size of one random dictionary.
    sparsities : sequence of int
        Numbers of atoms per signal. The pursuit is given the number.
    n_samples : int
        Signals for each sparsity.
    rng : int, numpy.random.Generator or None
    snr : float, optional
        In dB, as in `sparse_signals`.
    n_jobs : int, optional
        Threads, as in `batch_omp`.

    Returns
    -------
    ndarray, (n_sparsities,)
        Shares from 0 to 1. A sparsity above `n_features` gets 0: it cannot be coded.

    Examples
    --------
    >>> from hblib import sparse
    >>> sparse.support_recovery(64, 128, [1, 4, 40], 100, rng=0).tolist()
    [1.0, 1.0, 0.0]
    """
    rng = generator(rng)
    D = random_dictionary(n_atoms, n_features, rng).astype(np.float32)
    sparsities = [whole("sparsities", sparsity) for sparsity in sparsities]
    shares = np.zeros(len(sparsities))
    for i, sparsity in enumerate(sparsities):
        if sparsity > min(n_features, n_atoms):
            continue
        X, truth = sparse_signals(D, n_samples, sparsity, rng, snr=snr)
        found = sparse.batch_omp(X.astype(np.float32), D, sparsity, n_jobs=n_jobs)
        hits = found.astype(bool).multiply(truth.astype(bool)).sum(axis=1)
        shares[i] = np.mean(hits == sparsity)
    return shares


# --- the experiment of 2006: atoms ----------------------------------------------------------------


def atoms_found(
    learn: Callable[[np.ndarray, np.ndarray], np.ndarray],
    *,
    snr: float | None = None,
    n_trials: int = 50,
    rng: int | np.random.Generator | None = 0,
    n_jobs: int | None = 1,
) -> np.ndarray:
    """Count the atoms of 50 that a learner finds, in each of several draws of the 2006 experiment.

    Parameters
    ----------
    learn : callable
        ``learn(X, init)`` returns a dictionary, (50, 20), from signals X, (1500, 20), and a first
        dictionary of 50 signals, as unit rows. `learn_by_ksvd`, `learn_by_mod` and
        `learn_by_scikit_learn` can be used as they are.
    snr : float, optional
        In dB; no noise by default.
    n_trials : int
        Independent draws of dictionary, signals and noise.
    rng : int, numpy.random.Generator or None
    n_jobs : int, optional
        Threads, as in `batch_omp`, each for its own trials.

    Returns
    -------
    ndarray of int, (n_trials,)
        True atoms with ``1 - |cosine| < 0.01`` to a learned one.

    Examples
    --------
    >>> from hblib import sparse
    >>> found = sparse.atoms_found(sparse.learn_by_ksvd, n_trials=2, rng=0)
    >>> found.shape, bool((found > 40).all())
    ((2,), True)
    """
    n_trials = whole("n_trials", n_trials)

    def trial(rng: np.random.Generator) -> int:
        truth = random_dictionary(50, 20, rng)
        X, _ = sparse_signals(truth, 1500, 3, rng, snr=snr)
        init = X[rng.choice(len(X), 50, replace=False)]
        init /= np.linalg.norm(init, axis=1, keepdims=True)
        return sparse.atoms_recovered(learn(X, init), truth)

    with ThreadPoolExecutor(sparse.check_jobs(n_jobs)) as pool:
        return np.array(list(pool.map(trial, generator(rng).spawn(n_trials))))


def learn_by_ksvd(
    X: ArrayLike, init: ArrayLike, *, sparsity: int = 3, n_iter: int = 80, **options: Any
) -> np.ndarray:
    """Learn a dictionary by `KSVD`.

    Parameters
    ----------
    X : array_like, (n_samples, n_features)
    init : array_like, (n_atoms, n_features)
        First dictionary, rows of length 1.
    sparsity, n_iter : int
    **options
        Other parameters of `KSVD`.

    Returns
    -------
    ndarray, (n_atoms, n_features)

    Examples
    --------
    >>> from hblib import sparse
    >>> truth = sparse.random_dictionary(20, 10, rng=0)
    >>> X, _ = sparse.sparse_signals(truth, 500, 2, rng=1)
    >>> first = sparse.random_dictionary(20, 10, rng=2)
    >>> sparse.atoms_recovered(sparse.learn_by_ksvd(X, first, sparsity=2), truth) >= 18
    True
    """
    init = as_array("init", init, ndim=2)
    model = ksvd.KSVD(len(init), sparsity, n_iter, init=init, random_state=0, **options)
    return model.fit(X).components_


def learn_by_mod(
    X: ArrayLike, init: ArrayLike, *, sparsity: int = 3, n_iter: int = 80
) -> np.ndarray:
    """Learn a dictionary by the method of optimal directions: code, then refit all atoms at once.

    This is the method of [2]_. Atoms that no signal uses stay as they are.

    Parameters
    ----------
    X : array_like, (n_samples, n_features)
    init : array_like, (n_atoms, n_features)
        First dictionary, rows of length 1.
    sparsity, n_iter : int

    Returns
    -------
    ndarray, (n_atoms, n_features)

    Examples
    --------
    >>> from hblib import sparse
    >>> truth = sparse.random_dictionary(20, 10, rng=0)
    >>> X, _ = sparse.sparse_signals(truth, 500, 2, rng=1)
    >>> first = sparse.random_dictionary(20, 10, rng=2)
    >>> sparse.learn_by_mod(X, first, sparsity=2, n_iter=5).shape
    (20, 10)
    """
    X, D = sparse.check_pair(X, init, "init")
    sparsity = sparse.check_sparsity(sparsity, X.shape[1], len(D))
    X, D = X / sparse.power_of_two(X), D.copy()
    with sparse.one_blas_thread():
        for _ in range(whole("n_iter", n_iter)):
            Y = sparse.Coder(D).code(X, sparsity)
            used = np.flatnonzero(sparse.usage(Y))
            Y = Y[:, used]
            fit = np.linalg.lstsq((Y.T @ Y).toarray(), Y.T @ X)[0]
            D[used] = fit / np.linalg.norm(fit, axis=1, keepdims=True)
    return D


def learn_by_scikit_learn(
    X: ArrayLike, init: ArrayLike, *, alpha: float = 0.15, n_iter: int = 80
) -> np.ndarray:
    """Learn a dictionary by scikit-learn's online learner, whose codes minimise an L1 penalty.

    With 80 passes it takes a hundred times as long as K-SVD, some seconds per draw.

    Parameters
    ----------
    X : array_like, (n_samples, n_features)
    init : array_like, (n_atoms, n_features)
        First dictionary, rows of length 1.
    alpha : float
        Weight of the penalty, relative to signals of length about 1: unlike K-SVD, this learner
        depends on the unit of X.
    n_iter : int
        Passes over the signals.

    Returns
    -------
    ndarray, (n_atoms, n_features)

    Examples
    --------
    >>> from hblib import sparse
    >>> truth = sparse.random_dictionary(20, 10, rng=0)
    >>> X, _ = sparse.sparse_signals(truth, 200, 2, rng=1)
    >>> first = sparse.random_dictionary(20, 10, rng=2)
    >>> sparse.learn_by_scikit_learn(X, first, n_iter=1).shape
    (20, 10)
    """
    from sklearn.decomposition import MiniBatchDictionaryLearning
    from sklearn.exceptions import ConvergenceWarning

    X, init = sparse.check_pair(X, init, "init")
    learner = MiniBatchDictionaryLearning(
        len(init),
        alpha=number("alpha", alpha, 0),
        max_iter=whole("n_iter", n_iter),
        fit_algorithm="cd",
        dict_init=init,
        batch_size=256,
        random_state=0,
        max_no_improvement=None,
        tol=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return learner.fit(X).components_
