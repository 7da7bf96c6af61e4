"""How fast is Batch-OMP? Ratios against scikit-learn, SPAMS (C++) and the bare matrix product.

All code the same signals on the same dictionary, random unit atoms, signals of `sparsity` atoms
with noise at 20 dB. Peers:

- ``product``: only ``X @ dictionary.T``, the least that any pursuit has to do;
- ``scikit-learn``: `orthogonal_mp_gram` with the same precomputed products; the codes must agree;
- ``SPAMS``: `spams.omp`. It is in fact order-recursive (orthogonal) least squares: it chooses the
  atom that leaves the least after refitting, not the one with the largest product. So its codes
  differ from those of OMP for some signals; the share of equal supports is stored. Left out with a
  word if the package is not installed.

On one thread, CPU time is measured, so that a busy machine matters little; rounds are interleaved,
and a ratio is the median over rounds of peer time / our time. Two threads are compared with one by
wall-clock time, which means something on an otherwise idle machine only; the load is stored.
CPU time against the number of signals and of atoms is measured at 128 features, 5 atoms a signal,
single precision.

Run ``python benchmarks/sparse_coding.py`` (a few minutes); writes
``benchmarks/results/sparse_coding.json``.
"""

import time

import numpy as np
import record
from sklearn.linear_model import orthogonal_mp_gram
from threadpoolctl import threadpool_limits

from hblib import sparse

try:
    import spams
except ImportError:
    spams = None

# (n_features, n_atoms, sparsity, n_samples)
SETTINGS = [(128, 512, 5, 20_000), (128, 512, 20, 20_000), (500, 2000, 15, 4_000)]
# At least so much faster than SPAMS, than scikit-learn; at most so many bare products.
REQUIRED = {5: (2.0, 50, 2.0), 20: (1.8, 50, 7.0), 15: (2.0, None, None)}


def problem(n_features, n_atoms, sparsity, n_samples, dtype):
    """Signals and dictionary."""
    D = sparse.random_dictionary(n_atoms, n_features, 0)
    X, _ = sparse.sparse_signals(D, n_samples, sparsity, 1, snr=20)
    return X.astype(dtype), D.astype(dtype)


def contestants(n_features, n_atoms, sparsity, n_samples, dtype, few=None):
    """What codes the same signals, by name; scikit-learn may get the first `few` only."""
    X, D = problem(n_features, n_atoms, sparsity, n_samples, dtype)
    columns, atoms = np.asfortranarray(X.T), np.asfortranarray(D.T)
    products = np.zeros((n_samples, n_atoms), dtype)

    def scikit_learn():
        return orthogonal_mp_gram(D @ D.T, D @ X[:few].T, n_nonzero_coefs=sparsity).T

    def by_spams():
        # With the default eps and lambda1, single precision gives empty codes.
        return spams.omp(columns, atoms, L=sparsity, eps=0.0, lambda1=0.0, numThreads=1)

    found = {
        "hblib": lambda: sparse.batch_omp(X, D, sparsity),
        "scikit-learn": scikit_learn,
        "floor: product X D^T": lambda: np.matmul(X, D.T, out=products),
    }
    return found | ({"SPAMS": by_spams} if spams is not None else {})


def compare(n_features, n_atoms, sparsity, n_samples, dtype, rounds):
    """Ratios of one setting, one thread."""
    few = max(200, n_samples // 20)
    functions = contestants(n_features, n_atoms, sparsity, n_samples, dtype, few)
    codes, oracle = functions["hblib"](), functions["scikit-learn"]()
    slow = {"scikit-learn": functions.pop("scikit-learn"), "hblib": functions["hblib"]}
    record.interleaved(functions, 1)  # fills caches
    times = record.interleaved(functions, rounds)
    slow = record.interleaved(slow, min(3, rounds))
    times["scikit-learn"] = slow["scikit-learn"] * n_samples / few

    def ratio(name):
        theirs = times[name]
        ours = slow["hblib"] if name == "scikit-learn" else times["hblib"]
        return float(np.median(theirs / ours))

    mine = codes[:few].toarray()
    same = ((mine != 0) == (oracle != 0)).all(axis=1)
    row = {
        "size": f"{n_features} x {n_atoms}",
        "sparsity": sparsity,
        "dtype": np.dtype(dtype).name,
        "signals a second": int(n_samples / np.median(times["hblib"])),
        "bare products": round(1 / ratio("floor: product X D^T"), 2),
        "times scikit-learn": round(ratio("scikit-learn"), 1),
        "times SPAMS": None if spams is None else round(ratio("SPAMS"), 2),
        "supports as scikit-learn's": float(same.mean()),
        "largest gap of coefficients": float(np.abs(mine - oracle)[same].max()),
    }
    if spams is not None:
        supports = (functions["SPAMS"]().T.toarray() != 0) == (codes.toarray() != 0)
        row["supports as SPAMS's"] = round(float(supports.all(axis=1).mean()), 4)
    return row


def against_size(quick):
    """CPU time against the number of signals and against that of atoms."""
    cost, rounds = "CPU time to code all signals, s", 1 if quick else 5
    return [
        record.series(
            "signals, 512 atoms",
            cost,
            (500, 1000, 2000) if quick else (500, 2000, 8000, 32_000),
            lambda n: contestants(128, 512, 5, n, np.float32),
            rounds,
        ),
        record.series(
            "atoms, 4,000 signals",
            cost,
            (128, 256, 512) if quick else (128, 256, 512, 1024, 2048),
            lambda n: contestants(128, n, 5, 4000, np.float32),
            rounds,
        ),
    ]


def two_threads(rounds):
    """Median ratio of wall-clock times, one thread over two."""
    ratios = {}
    for n_features, n_atoms, sparsity, n_samples in SETTINGS[:2]:
        X, D = problem(n_features, n_atoms, sparsity, 4 * n_samples, np.float32)
        found = []
        for _ in range(rounds):
            seconds = []
            for n_jobs in (1, 2):
                start = time.perf_counter()
                sparse.batch_omp(X, D, sparsity, n_jobs=n_jobs)
                seconds.append(time.perf_counter() - start)
            found.append(seconds[0] / seconds[1])
        ratios[sparsity] = float(np.median(found))
    return ratios


def two_hundred_thousand():
    """CPU seconds to code 200,000 signals of 500 numbers, 15 of 2,000 atoms each."""
    D = sparse.random_dictionary(2000, 500, 0).astype(np.float32)
    X = np.random.default_rng(1).normal(size=(200_000, 500)).astype(np.float32)
    return record.cpu_time(lambda: sparse.batch_omp(X, D, 15))[0]


def main():
    """Run all settings, print required beside measured, store."""
    quick, load = record.options(__doc__).quick, record.load()
    rounds = 1 if quick else 9
    rows = []
    with threadpool_limits(1):
        for setting in SETTINGS:
            for dtype in (np.float32, np.float64):
                row = compare(*setting, dtype, rounds)
                rows.append(row)
                print(row, flush=True)
        found = against_size(quick)
        functions = contestants(128, 512, 5, 20_000, np.float32)
        memory = {
            f"20,000 codes, 128 x 512, sparsity 5: {name}": record.peak(function)
            for name, function in functions.items()
        }
        seconds = None if quick else two_hundred_thousand()
        threads = two_threads(1 if quick else 7)

    table = []
    for row in rows:
        name = f"{row['size']}, sparsity {row['sparsity']}, {row['dtype']}"
        by_spams, by_sklearn, products = REQUIRED[row["sparsity"]]
        table.append((f"{name}: times SPAMS", f">= {by_spams}", row["times SPAMS"]))
        if by_sklearn:
            table.append(
                (f"{name}: times scikit-learn", f">= {by_sklearn}", row["times scikit-learn"])
            )
            table.append((f"{name}: bare products", f"<= {products}", row["bare products"]))
    for sparsity, ratio in threads.items():
        table.append((f"two threads, sparsity {sparsity}", ">= 1.8", round(ratio, 2)))
    if seconds is not None:
        name = "200,000 codes, 500 x 2000, sparsity 15: CPU s"
        table.append((name, "<= 15", round(seconds, 1)))
    result = {
        "title": "Sparse coding",
        "what": "Orthogonal matching pursuit of random signals on random dictionaries, on one "
        "thread, against scikit-learn and SPAMS (C++). Two threads are compared with one by wall "
        "time, the median of the rounds.",
        "required and measured": record.compared(*table),
        "series": found,
        "memory": memory,
        "rows": rows,
    }
    print(memory)
    if not quick:
        record.store("sparse_coding", result, ["scikit-learn", "spams-bin"], load)


if __name__ == "__main__":
    main()
