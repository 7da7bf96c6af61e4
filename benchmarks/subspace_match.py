"""How much does one QR compression save in a maximum match? Ratio against the definition.

The peer follows the definition of Wang et al. (2018) with `numpy.linalg.lstsq` on all samples: drop
every neuron too far from the span of the other side, until none is. Both run on one thread, rounds
are interleaved, and the matches found are compared.

Run ``python benchmarks/subspace_match.py`` (half a minute); writes
``benchmarks/results/subspace_match.json``.
"""

import json
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from hblib import similarity

RESULTS = Path(__file__).parent / "results" / "subspace_match.json"


def by_definition(X, Y, epsilon):
    """Maximum match with a least-squares fit over all samples in every pass."""
    x, y = np.arange(X.shape[1]), np.arange(Y.shape[1])

    def near(Z, others):
        if not others.shape[1]:
            return np.zeros(Z.shape[1], dtype=bool)
        fit = others @ np.linalg.lstsq(others, Z, rcond=None)[0]
        return np.linalg.norm(Z - fit, axis=0) <= epsilon * np.linalg.norm(Z, axis=0)

    while True:
        keep_x, keep_y = near(X[:, x], Y[:, y]), near(Y[:, y], X[:, x])
        if keep_x.all() and keep_y.all():
            return tuple(x.tolist()), tuple(y.tolist())
        x, y = x[keep_x], y[keep_y]


def main(n_units=512, n_samples=10_000, epsilon=0.5, n_rounds=3):
    """Print and store the median ratio."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n_samples, 200))
    X, Y = (np.maximum(inputs @ rng.normal(size=(200, n_units)), 0) for _ in range(2))
    ratios = []
    with threadpool_limits(1):
        for _ in range(n_rounds):
            start = time.perf_counter()
            ours = tuple(similarity.maximum_match(X, Y, epsilon))
            middle = time.perf_counter()
            theirs = by_definition(X, Y, epsilon)
            end = time.perf_counter()
            if ours != theirs:
                raise AssertionError("the two ways found different matches")
            ratios.append((end - middle) / (middle - start))
            print(f"hblib {middle - start:.2f} s, by definition {end - middle:.2f} s")
    result = {
        "n_units": n_units,
        "n_samples": n_samples,
        "epsilon": epsilon,
        "threads": 1,
        "ratio": round(float(np.median(ratios)), 1),
    }
    print(f"by definition / hblib: {result['ratio']}")
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
