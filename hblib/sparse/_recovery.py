"""Can a known dictionary, or a known sparse code, be found again? Experiments with planted truth.

Two questions. Given the dictionary, how often does orthogonal matching pursuit find exactly the
atoms a signal was made of (`support_recovery`)? And given only signals, how many atoms does a
learner find (`atoms_found`)? The second is the synthetic experiment of Aharon, Elad and Bruckstein
[1]_, section V-A: 1,500 signals of 3 atoms each from a dictionary of 50 atoms in 20 dimensions.

References
----------
.. [1] M. Aharon, M. Elad and A. Bruckstein, "K-SVD: an algorithm for designing overcomplete
   dictionaries for sparse representation", IEEE Trans. Signal Processing 54 (2006), 4311-4322.
.. [2] K. Engan, S. O. Aase and J. H. Husoy, "Method of optimal directions for frame design",
   ICASSP 1999.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import sparse as sp
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning

from hblib.sparse import _ksvd as ksvd
from hblib.sparse import _sparse as sparse


def random_dictionary(n_atoms, n_features, rng):
    """Draw unit vectors uniformly from the sphere, (n_atoms, n_features)."""
    D = np.random.default_rng(rng).normal(size=(n_atoms, n_features))
    return D / np.linalg.norm(D, axis=1, keepdims=True)


def sparse_signals(dictionary, n_samples, sparsity, rng, *, snr=None):
    """Make signals of exactly `sparsity` different atoms with standard normal coefficients.

    Parameters
    ----------
    dictionary : array, (n_atoms, n_features)
    n_samples, sparsity : int
    rng : numpy.random.Generator or int
    snr : float, optional
        Ratio of the energies of signals and of added white noise, in dB; no noise by default.

    Returns
    -------
    X : array, (n_samples, n_features)
    codes : scipy.sparse.csr_array, (n_samples, n_atoms)
        The true codes.
    """
    rng = np.random.default_rng(rng)
    n_atoms = len(dictionary)
    sparsity = sparse._check_sparsity(sparsity, n_atoms, n_atoms)
    indices = np.argpartition(rng.random((n_samples, n_atoms)), sparsity - 1, axis=1)[:, :sparsity]
    values = rng.normal(size=(n_samples, sparsity))
    indptr = np.arange(n_samples + 1) * sparsity
    codes = sp.csr_array((values.ravel(), indices.ravel(), indptr), shape=(n_samples, n_atoms))
    X = codes @ dictionary
    if snr is not None:
        if not -100 <= snr <= 300:
            raise ValueError(f"snr must be decibels from -100 to 300 or None, got {snr!r}")
        noise = rng.normal(size=X.shape)
        X += noise * np.sqrt(10 ** (-snr / 10) * np.sum(X**2) / np.sum(noise**2))
    return X, codes


# --- the storage argument: supports ---------------------------------------------------------------


def support_recovery(n_features, n_atoms, sparsities, n_samples, rng, *, snr=None, n_jobs=1):
    """Share of signals whose atoms orthogonal matching pursuit finds exactly.

    Parameters
    ----------
    n_features, n_atoms : int
        Size of one random dictionary.
    sparsities : sequence of int
        Numbers of atoms in a signal; the pursuit is told the number.
    n_samples : int
        Signals for each sparsity.
    rng : numpy.random.Generator or int
    snr : float, optional
        In dB, as in `sparse_signals`.
    n_jobs : int
        Threads.

    Returns
    -------
    array, (n_sparsities,)
        Shares, each in [0, 1]. A sparsity above `n_features` is 0: it cannot be coded.

    Examples
    --------
    >>> support_recovery(64, 128, [1, 4, 40], 100, rng=0).tolist()
    [1.0, 1.0, 0.0]
    """
    rng = np.random.default_rng(rng)
    D = random_dictionary(n_atoms, n_features, rng).astype(np.float32)
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


def atoms_found(learn, *, snr=None, n_trials=50, rng=0, n_jobs=1):
    """Atoms of 50 that a learner finds in each of `n_trials` draws of the experiment of 2006.

    Parameters
    ----------
    learn : callable
        ``learn(X, init)`` returns a dictionary, (50, 20), from signals X, (1500, 20), and a first
        dictionary of 50 signals, as unit rows. `learn_by_ksvd`, `learn_by_mod` and
        `learn_by_scikit_learn` are ready to use.
    snr : float, optional
        In dB; no noise by default.
    n_trials : int
        Independent draws of dictionary, signals and noise.
    rng : numpy.random.Generator or int
    n_jobs : int
        Threads, each for its own trials.

    Returns
    -------
    array, (n_trials,), int
        True atoms with ``1 - |cosine| < 0.01`` to a learned one.
    """
    if not isinstance(n_trials, (int, np.integer)) or n_trials < 1:
        raise ValueError(f"n_trials must be a whole number from 1, got {n_trials!r}")

    def trial(rng):
        truth = random_dictionary(50, 20, rng)
        X, _ = sparse_signals(truth, 1500, 3, rng, snr=snr)
        init = X[rng.choice(len(X), 50, replace=False)]
        init /= np.linalg.norm(init, axis=1, keepdims=True)
        return sparse.atoms_recovered(learn(X, init), truth)

    with ThreadPoolExecutor(sparse._check_jobs(n_jobs)) as pool:
        return np.array(list(pool.map(trial, np.random.default_rng(rng).spawn(n_trials))))


def learn_by_ksvd(X, init, *, sparsity=3, n_iter=80, **options):
    """Dictionary by `hblib.ksvd.KSVD`; `options` are its parameters."""
    model = ksvd.KSVD(len(init), sparsity, n_iter, init=init, random_state=0, **options)
    return model.fit(X).components_


def learn_by_mod(X, init, *, sparsity=3, n_iter=80):
    """Dictionary by the method of optimal directions: code, then refit all atoms at once [2]_.

    Atoms that no signal uses stay as they are.
    """
    if n_iter < 1:
        raise ValueError(f"n_iter must be at least 1, got {n_iter}")
    D = init.copy()
    with sparse._one_blas_thread():
        for _ in range(n_iter):
            Y = sparse.Coder(D).code(X, sparsity)
            used = np.flatnonzero(sparse.usage(Y))
            Y = Y[:, used]
            fit = np.linalg.lstsq((Y.T @ Y).toarray(), Y.T @ X)[0]
            D[used] = fit / np.linalg.norm(fit, axis=1, keepdims=True)
    return D


def learn_by_scikit_learn(X, init, *, alpha=0.15, n_iter=80):
    """Dictionary by scikit-learn's online learner, whose codes minimise an L1 penalty.

    With 80 passes one draw takes a hundred times as long as by K-SVD, some seconds.
    """
    learner = MiniBatchDictionaryLearning(
        len(init),
        alpha=alpha,
        max_iter=n_iter,
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
