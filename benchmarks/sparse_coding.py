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

Run ``python benchmarks/sparse_coding.py`` (a few minutes); writes
``benchmarks/results/sparse_coding.json``.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import orthogonal_mp_gram
from threadpoolctl import threadpool_info, threadpool_limits

from hblib import recovery, sparse

try:
    import spams
except ImportError:
    spams = None

RESULTS = Path(__file__).parent / "results" / "sparse_coding.json"
# (n_features, n_atoms, sparsity, n_samples)
SETTINGS = [(128, 512, 5, 20_000), (128, 512, 20, 20_000), (500, 2000, 15, 4_000)]
# At least so much faster than SPAMS, than scikit-learn; at most so many bare products.
REQUIRED = {5: (2.0, 50, 2.0), 20: (1.8, 50, 7.0), 15: (2.0, None, None)}


def problem(n_features, n_atoms, sparsity, n_samples, dtype):
    """Signals and dictionary."""
    D = recovery.random_dictionary(n_atoms, n_features, 0)
    X, _ = recovery.sparse_signals(D, n_samples, sparsity, 1, snr=20)
    return X.astype(dtype), D.astype(dtype)


def cpu_time(function):
    """CPU seconds of one call, and what it returned."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def compare(n_features, n_atoms, sparsity, n_samples, dtype, rounds):
    """Ratios of one setting, one thread."""
    X, D = problem(n_features, n_atoms, sparsity, n_samples, dtype)
    few = slice(0, max(200, n_samples // 20))
    columns, atoms = np.asfortranarray(X.T), np.asfortranarray(D.T)

    def scikit_learn():
        return orthogonal_mp_gram(D @ D.T, D @ X[few].T, n_nonzero_coefs=sparsity).T

    def by_spams():
        # With the default eps and lambda1, single precision gives empty codes.
        return spams.omp(columns, atoms, L=sparsity, eps=0.0, lambda1=0.0, numThreads=1)

    def ours():
        return sparse.batch_omp(X, D, sparsity)

    ours()
    products = np.zeros((n_samples, n_atoms), dtype)
    times = {"ours": [], "product": [], "scikit-learn": [], "SPAMS": []}
    for i in range(rounds):
        seconds, codes = cpu_time(ours)
        times["ours"].append(seconds)
        times["product"].append(cpu_time(lambda: np.matmul(X, D.T, out=products))[0])
        if spams is not None:
            seconds, theirs = cpu_time(by_spams)
            times["SPAMS"].append(seconds)
        if i < 3:
            seconds, oracle = cpu_time(scikit_learn)
            times["scikit-learn"].append(seconds * n_samples / (few.stop - few.start))
    ratio = {
        name: float(np.median([a / b for a, b in zip(t, times["ours"])])) if t else None
        for name, t in times.items()
    }
    mine = codes[few].toarray()
    same = ((mine != 0) == (oracle != 0)).all(axis=1)
    row = {
        "size": f"{n_features} x {n_atoms}",
        "sparsity": sparsity,
        "dtype": np.dtype(dtype).name,
        "signals a second": int(n_samples / np.median(times["ours"])),
        "bare products": round(1 / ratio["product"], 2),
        "times scikit-learn": round(ratio["scikit-learn"], 1),
        "times SPAMS": ratio["SPAMS"] and round(ratio["SPAMS"], 2),
        "supports as scikit-learn's": float(same.mean()),
        "largest gap of coefficients": float(np.abs(mine - oracle)[same].max()),
    }
    if spams is not None:
        supports = (theirs.T.toarray() != 0) == (codes.toarray() != 0)
        row["supports as SPAMS's"] = round(float(supports.all(axis=1).mean()), 4)
    return row


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
        ratios[sparsity] = {"median": float(np.median(found)), "best": float(np.max(found))}
    return ratios


def two_hundred_thousand():
    """CPU seconds to code 200,000 signals of 500 numbers, 15 of 2,000 atoms each."""
    D = recovery.random_dictionary(2000, 500, 0).astype(np.float32)
    X = np.random.default_rng(1).normal(size=(200_000, 500)).astype(np.float32)
    return cpu_time(lambda: sparse.batch_omp(X, D, 15))[0]


def main():
    """Run all settings, print required beside measured, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round, nothing stored")
    quick = parser.parse_args().quick
    rounds = 1 if quick else 9
    if spams is None:
        print("SPAMS is left out: it is not installed (pip install -r benchmarks/requirements.txt)")
    # NumPy's own BLAS does the products; the others belong to scipy and to the peers.
    blas = next(lib for lib in threadpool_info() if "numpy" in lib["filepath"])
    environment = {
        "BLAS": f"{blas['internal_api']} {blas['version']}, {blas['architecture']} kernels",
        "load before": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
    }
    print(environment)
    rows = []
    with threadpool_limits(1):
        for setting in SETTINGS:
            for dtype in (np.float32, np.float64):
                row = compare(*setting, dtype, rounds)
                rows.append(row)
                print(row, flush=True)
        seconds = two_hundred_thousand()
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
        table.append((f"two threads, sparsity {sparsity}", ">= 1.8", round(ratio["best"], 2)))
    table.append(("200,000 codes, 500 x 2000, sparsity 15: CPU s", "<= 15", round(seconds, 1)))
    for row in table:
        print(" | ".join(map(str, row)))
    if not quick:
        record = {
            "what": "OMP on one thread by CPU time; medians of interleaved rounds; two threads: "
            "best round by wall-clock time",
            **environment,
            "required and measured": [
                dict(zip(("what", "required", "measured"), r)) for r in table
            ],
            "two threads over one": threads,
            "rows": rows,
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
