"""How many planted atoms are found, and how soon is an error reached? K-SVD against its peers.

*Atoms found*: the synthetic experiment of Aharon, Elad and Bruckstein (2006), as in
`sparse.atoms_found`: mean number of 50 atoms over 50 draws at 10, 20, 30 dB and without noise, 80
iterations, for K-SVD (approximate, exact, and without the exchange of bad atoms), MOD, SPAMS's
online learner with L0 codes (same number of passes), and scikit-learn's online L1 learner (same
number of passes, 3 draws: each takes seconds).

*Photographs*: mini-batch K-SVD against SPAMS's online L0 learner (`trainDL`, mode 3) on patches of
16 x 8 pixels of scikit-learn's two photographs, 512 atoms, 5 for a patch, the same first dictionary
and batch size. The error is the relative squared rest of 4,000 held-out patches, coded by OMP. For
each error that SPAMS reaches, from one pass on, the time of the shortest of our fits that reaches
it is divided by SPAMS's time; and the best errors are compared.

*Against size*: CPU time of one round over all signals, 128 features, 256 atoms, 5 for a signal,
from the same first dictionary: K-SVD, mini-batch K-SVD, SPAMS's online L0 learner and
scikit-learn's online L1 learner. The floor is the product of all signals with all atoms.

CPU time on one thread. SPAMS is left out with a word if it is not installed.

Run ``python benchmarks/dictionary_learning.py`` (five minutes); writes
``benchmarks/results/dictionary_learning.json``.
"""

import functools
import time
import warnings

import numpy as np
import record
from sklearn.datasets import load_sample_images
from sklearn.decomposition import MiniBatchDictionaryLearning
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from hblib import sparse

try:
    import spams
except ImportError:
    spams = None

NOISE = {"10 dB": 10, "20 dB": 20, "30 dB": 30, "none": None}
REQUIRED = {"10 dB": 42.5, "20 dB": 46.2, "30 dB": 46.5, "none": 46.8}


def learn_by_spams(X, init):
    """SPAMS's online learner with L0 codes, 80 passes in batches of 512."""
    D = spams.trainDL(
        np.asfortranarray(X.T),
        D=np.asfortranarray(init.T),
        lambda1=3,
        mode=3,
        batchsize=512,
        iter=80 * len(X) // 512,
        numThreads=1,
        verbose=False,
    )
    return D.T


def atoms_found(n_trials):
    """Mean atoms found and its standard error, for every learner and noise."""
    learners = {
        "K-SVD, approximate": (sparse.learn_by_ksvd, n_trials),
        "K-SVD, exact": (
            functools.partial(sparse.learn_by_ksvd, approximate=False),
            min(20, n_trials),
        ),
        "K-SVD, no exchange": (
            functools.partial(sparse.learn_by_ksvd, clean=False),
            min(20, n_trials),
        ),
        "MOD": (sparse.learn_by_mod, min(20, n_trials)),
        "SPAMS, online L0": (learn_by_spams, n_trials if spams else 0),
        "scikit-learn, online L1": (sparse.learn_by_scikit_learn, min(3, n_trials)),
    }
    rows = []
    for name, (learn, n) in learners.items():
        if n == 0:
            continue
        row, start = {"learner": name, "draws": n}, time.process_time()
        for noise, snr in NOISE.items():
            found = sparse.atoms_found(learn, snr=snr, n_trials=n, rng=2006)
            row[noise] = round(float(found.mean()), 1)
            row[f"{noise}, standard error"] = round(float(found.std(ddof=1) / np.sqrt(n)), 2)
        row["CPU s a draw"] = round((time.process_time() - start) / (4 * n), 2)
        rows.append(row)
        print(row, flush=True)
    return rows


def patches():
    """Patches without their mean, flat ones left out: 20,000 to learn from, 4,000 held out."""
    found = []
    for image in load_sample_images().images:
        grey = image.mean(axis=2) / 255
        windows = np.lib.stride_tricks.sliding_window_view(grey, (16, 8))[::3, ::3]
        found.append(windows.reshape(-1, 128))
    X = np.concatenate(found)
    X = X - X.mean(axis=1, keepdims=True)
    X = X[np.linalg.norm(X, axis=1) > 0.3]
    X = X[np.random.default_rng(0).permutation(len(X))].astype(np.float32)
    return X[:20_000], X[20_000:24_000]


def photographs(longest):
    """Curves of (CPU seconds, held-out error) of both learners."""
    X, held_out = patches()
    init = X[np.random.default_rng(1).choice(len(X), 512, replace=False)]
    init /= np.linalg.norm(init, axis=1, keepdims=True)

    def error(D):
        D = D / np.linalg.norm(D, axis=1, keepdims=True)
        rest = held_out - sparse.batch_omp(held_out, D, 5) @ D
        return float(np.sum(rest**2) / np.sum(held_out**2))

    def by_spams(passes):
        return spams.trainDL(
            np.asfortranarray(X.T),
            D=np.asfortranarray(init.T),
            lambda1=5,
            mode=3,
            batchsize=512,
            iter=passes * len(X) // 512,
            numThreads=1,
            verbose=False,
        ).T

    def ours(passes):
        return sparse.MiniBatchKSVD(512, 5, passes, init=init, random_state=0).fit(X).components_

    ours(1)
    curves = {"hblib": [], "SPAMS": []}
    passes = 1
    while passes <= longest:
        for name, learn in (("hblib", ours), ("SPAMS", by_spams if spams else None)):
            if learn is None:
                continue
            start = time.process_time()
            D = learn(passes)
            seconds = time.process_time() - start
            curves[name].append(
                {"passes": passes, "CPU s": round(seconds, 2), "error": round(error(D), 4)}
            )
            print(name, curves[name][-1], flush=True)
        passes *= 2
    return curves


def one_round(n_signals, n_atoms=256):
    """One round over the signals by every learner, from the same start."""
    D = sparse.random_dictionary(n_atoms, 128, 0)
    X = sparse.sparse_signals(D, n_signals, 5, 1, snr=20)[0].astype(np.float32)
    init = X[:n_atoms] / np.linalg.norm(X[:n_atoms], axis=1, keepdims=True)
    columns, atoms = np.asfortranarray(X.T), np.asfortranarray(init.T)

    def by_spams():
        n_batches = n_signals // 512
        return spams.trainDL(columns, D=atoms, lambda1=5, mode=3, batchsize=512, iter=n_batches,
                             numThreads=1, verbose=False)  # fmt: skip

    def by_scikit_learn():
        learner = MiniBatchDictionaryLearning(
            n_atoms, alpha=0.15, max_iter=1, fit_algorithm="cd", dict_init=init, batch_size=512,
            random_state=0, max_no_improvement=None, tol=0,
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return learner.fit(X)

    def ours(learner):
        return learner(n_atoms, 5, 1, init=init, random_state=0).fit(X)

    found = {
        "hblib, K-SVD": lambda: ours(sparse.KSVD),
        "hblib, mini-batch K-SVD": lambda: ours(sparse.MiniBatchKSVD),
        "scikit-learn, online L1": by_scikit_learn,
        "floor: product X D^T": lambda: X @ init.T,
    }
    return found | ({"SPAMS, online L0": by_spams} if spams is not None else {})


def main():
    """Run all, print required beside measured, store."""
    quick, load = record.options(__doc__).quick, record.load()
    if spams is None:
        print("SPAMS is left out: it is not installed (pip install -r benchmarks/requirements.txt)")
    with threadpool_limits(1):
        sizes = (512, 1024, 2048) if quick else (1024, 4096, 16_384, 65_536)
        by_size = record.series(
            "signals, 256 atoms", "CPU time of one round, s", sizes, one_round, 1 if quick else 3
        )
        memory = {
            f"one round over 16,384 signals: {name}": record.peak(function)
            for name, function in one_round(16_384).items()
        }
        curves = photographs(4 if quick else 64)
        found = atoms_found(2 if quick else 50)
    table = [
        (f"atoms of 50 found, {noise}", f">= {bar}", found[0][noise])
        for noise, bar in REQUIRED.items()
    ]
    if spams is not None:
        ratios = [
            next((p["CPU s"] for p in curves["hblib"] if p["error"] <= theirs["error"]), np.inf)
            / theirs["CPU s"]
            for theirs in curves["SPAMS"]
        ]
        lowest = {name: min(p["error"] for p in curve) for name, curve in curves.items()}
        table += [
            ("photographs: largest time over SPAMS's", "<= 1.2", round(max(ratios), 2)),
            (
                "photographs: lowest error over SPAMS's",
                "< 1",
                round(lowest["hblib"] / lowest["SPAMS"], 3),
            ),
        ]
    points = [{"photographs": name} | point for name, curve in curves.items() for point in curve]
    result = {
        "title": "Dictionary learning",
        "what": "Planted atoms found in 50 draws, and CPU time on one thread to reach an error on "
        "patches of photographs, against SPAMS and scikit-learn.",
        "required and measured": record.compared(*table),
        "series": [by_size],
        "memory": memory,
        "rows": found + points,
    }
    print(memory)
    if not quick:
        record.store("dictionary_learning", result, ["scikit-learn", "spams-bin"], load)


if __name__ == "__main__":
    main()
