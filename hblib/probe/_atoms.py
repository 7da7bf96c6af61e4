"""Is a layer a sum of few atoms? Learned dictionaries, their rivals, and a Gaussian twin."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from hblib import sparse
from hblib._checks import Randomness, generator, number, whole
from hblib.meaning import gaussian_twin
from hblib.probe._answers import Answer, layer, some, varying

LIMITS = (
    "Fewer atoms than a rival needs do not make the atoms meaningful, nor the only ones that would "
    "do: see the column stability, and compare with an untrained network."
)


def few_atoms(
    H: ArrayLike,
    sparsity: int = 4,
    rng: Randomness = 0,
    *,
    n_atoms: int | None = None,
    n_seeds: int = 5,
    untrained: ArrayLike | None = None,
    max_samples: int = 2000,
    n_iter: int = 20,
    worthwhile: float = 0.02,
) -> Answer:
    """Ask whether a layer is a sum of few atoms, more than its covariance alone explains.

    At equal sparsity, and on samples that were not learned from, the variance left unexplained is
    compared between learned dictionaries (K-SVD, TopK autoencoder) and rivals: principal and
    independent components, the units themselves, random training samples as atoms. All but the
    autoencoder are coded by orthogonal matching pursuit. Two nulls are K-SVD on a Gaussian twin of
    the layer, and on the same layer of an untrained network if you give it.

    Parameters
    ----------
    H : array_like of shape (n_samples, n_units)
    sparsity : int
        Atoms per sample.
    rng : int, sequence of int, numpy.random.Generator or None
    n_atoms : int, optional
        By default twice as many as units.
    n_seeds : int
        At least 3; halves of the samples, starts and twins are drawn anew for each.
    untrained : array_like of shape (n_samples, n_units), optional
        The same layer before training.
    max_samples : int
        More than these are drawn at random; half are learned from.
    n_iter : int
        Passes of K-SVD; the autoencoder makes five times as many.
    worthwhile : float
        The smallest difference of unexplained variance worth having.

    Returns
    -------
    Answer
        ``estimate`` is the unexplained variance of the hardest comparison (the best rival, the
        Gaussian twin or the untrained network) minus that of K-SVD, ``interval`` a t-interval over
        the seeds. The column ``stability`` is the mean cosine of an atom with its nearest in
        another seed.

    Raises
    ------
    ValueError
        If there are fewer than twice as many samples as atoms, or sparsity exceeds the units.

    Examples
    --------
    >>> D = sparse.random_dictionary(16, 8, rng=0)
    >>> planted, _ = sparse.sparse_signals(D, 600, 2, rng=1)
    >>> few_atoms(planted, sparsity=2, n_seeds=3).holds
    True
    >>> few_atoms(np.random.default_rng(0).normal(size=(600, 8)), sparsity=2, n_seeds=3).holds
    False
    """
    H, rng = layer("H", H).astype(float), generator(rng)
    live = varying(H)
    H = H[:, live]
    sparsity = whole("sparsity", sparsity, 1, H.shape[1])
    n_atoms = whole("n_atoms", 2 * H.shape[1] if n_atoms is None else n_atoms, sparsity)
    n_seeds, n_iter = whole("n_seeds", n_seeds, 3), whole("n_iter", n_iter)
    worthwhile = number("worthwhile", worthwhile, 0, 1)
    rows = some(len(H), whole("max_samples", max_samples, 20), rng)
    other = None
    if untrained is not None:
        other = layer("untrained", untrained).astype(float)
        other = other[some(len(other), len(rows), rng)]
        other = other[:, varying(other)]
        if sparsity > other.shape[1]:
            raise ValueError(f"untrained must have at least {sparsity} units that vary")
    H = H[rows]
    # With an atom for each training sample every dictionary is the training samples.
    if len(H) // 2 <= n_atoms:
        raise ValueError(
            f"H must have at least {2 * n_atoms + 2} samples for {n_atoms} atoms, got {len(H)}"
        )
    lost: dict[str, list[float]] = {}
    learned: dict[str, list[NDArray]] = {}

    def note(name, value, atoms=None):
        lost.setdefault(name, []).append(value)
        if atoms is not None:
            learned.setdefault(name, []).append(atoms)

    for _ in range(n_seeds):
        seed = int(rng.integers(2**31))
        train, test = _halves(H, rng)
        ksvd = _ksvd(train, n_atoms, sparsity, n_iter, seed)
        note("K-SVD", _omp(test, ksvd, sparsity), ksvd)
        topk = sparse.TopKAutoencoder(n_atoms, sparsity, 5 * n_iter, random_state=seed).fit(train)
        codes = topk.transform(test)
        rest = test - topk.inverse_transform(codes)
        note("TopK autoencoder", float((rest**2).sum() / (test**2).sum()), topk.components_)
        for name, atoms in _rivals(train, n_atoms, seed, rng).items():
            note(name, _omp(test, atoms, sparsity), atoms if name.startswith("indep") else None)
        twin_train, twin_test = _halves(gaussian_twin(H, len(H), rng), rng)
        twin = _ksvd(twin_train, n_atoms, sparsity, n_iter, seed)
        note("K-SVD, Gaussian twin", _omp(twin_test, twin, sparsity))
        if other is not None:
            train, test = _halves(other, rng)
            atoms = _ksvd(train, n_atoms, sparsity, n_iter, seed)
            note("K-SVD, untrained network", _omp(test, atoms, sparsity))
    means = {name: float(np.mean(values)) for name, values in lost.items()}
    against = [name for name in means if name not in ("K-SVD", "TopK autoencoder")]
    hardest = min(against, key=means.get)
    gain = np.array(lost[hardest]) - np.array(lost["K-SVD"])
    half = float(stats.t.ppf(0.975, n_seeds - 1) * gain.std(ddof=1) / np.sqrt(n_seeds))
    estimate = float(gain.mean())
    table = pd.DataFrame(
        {
            "unexplained": means,
            "lowest": {name: min(values) for name, values in lost.items()},
            "highest": {name: max(values) for name, values in lost.items()},
            "stability": {name: _stability(atoms) for name, atoms in learned.items()},
        }
    ).loc[list(means)]
    table["hardest comparison"] = means[hardest]
    holds = bool(estimate >= worthwhile and estimate - half > 0)
    said = "Yes" if holds else "No more than others"
    if not holds and estimate - half > 0:
        said = "Yes, but by less than is worthwhile"
    sentence = (
        f"{said}: {sparsity} of {n_atoms} atoms of K-SVD "
        f"leave {means['K-SVD']:.1%} of the variance of new samples unexplained, against "
        f"{means[hardest]:.1%} for the hardest comparison ({hardest})."
    )
    return Answer(
        "Is the layer a sum of few atoms?",
        estimate,
        "variance unexplained on new samples",
        (estimate - half, estimate + half),
        np.array(lost["K-SVD, Gaussian twin"]) - means["K-SVD"],
        None,
        holds,
        sentence,
        LIMITS,
        table,
        ("unexplained", "hardest comparison"),
    )


def _halves(H, rng) -> tuple[NDArray, NDArray]:
    order = rng.permutation(len(H))
    train, test = H[order[: len(H) // 2]], H[order[len(H) // 2 :]]
    mean = train.mean(axis=0)
    return train - mean, test - mean


def _ksvd(train, n_atoms, sparsity, n_iter, seed) -> NDArray:
    return sparse.KSVD(n_atoms, sparsity, n_iter=n_iter, random_state=seed).fit(train).components_


def _omp(test, atoms, sparsity) -> float:
    codes = sparse.batch_omp(test, atoms, min(sparsity, len(atoms)))
    rest = test - codes @ atoms
    return float((rest**2).sum() / (test**2).sum())


def _rivals(train, n_atoms, seed, rng) -> dict[str, NDArray]:
    import warnings

    from sklearn.decomposition import FastICA
    from sklearn.exceptions import ConvergenceWarning

    _, size, axes = np.linalg.svd(train, full_matrices=False)
    found = {"principal components": axes[size > 1e-8 * size[0]]}
    with warnings.catch_warnings():
        # Components that have not settled are a weaker rival; the table shows what they reach.
        warnings.simplefilter("ignore", ConvergenceWarning)
        ica = FastICA(
            len(found["principal components"]), whiten="unit-variance", max_iter=200,
            random_state=seed,
        ).fit(train)  # fmt: skip
    found["independent components"] = _unit(ica.mixing_.T)
    found["units"] = np.eye(train.shape[1])
    long = train[np.linalg.norm(train, axis=1) > 0]
    found["random training samples"] = _unit(long[rng.permutation(len(long))[:n_atoms]])
    return found


def _unit(rows) -> NDArray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _stability(dictionaries) -> float:
    pairs = [
        sparse.mean_max_cosine(a, b)
        for i, a in enumerate(dictionaries)
        for b in dictionaries[i + 1 :]
    ]
    return float(np.mean(pairs))
