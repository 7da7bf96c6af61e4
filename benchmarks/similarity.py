"""What do similarity measures cost? Against packages from PyPI, and against the definition.

- ``linear CKA`` against ckatorch (`cka_base`, PyTorch), which forms the Gram matrices of all pairs
  of samples, as the published formula does; `hblib` only forms products of neurons with neurons.
- ``canonical correlations`` against cca-zoo (`CCA`), with as many components as neurons.
- ``subspace match``: `maximum_match` against the definition of Wang et al. (2018) with
  `numpy.linalg.lstsq` over all samples: drop every neuron too far from the span of the other side,
  until none is. There is no package of it.

Each pair must give the same numbers: to 1e-8, or the same match. The floor is the one product of
the two layers that no measure can do without, and for subspace match one QR factorisation of both.

Run ``python benchmarks/similarity.py`` (two minutes); writes
``benchmarks/results/similarity.json``.
"""

import numpy as np
import record
import torch
from scipy import linalg
from threadpoolctl import threadpool_limits

from hblib import similarity

try:
    from cca_zoo.linear import CCA
    from ckatorch.core import cka_base
except ImportError:
    CCA = cka_base = None

EPSILON = 0.5


def layers(n_samples, n_units, n_inputs=100):
    """Two layers of ReLU units on the same inputs."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(n_samples, n_inputs))
    return [np.maximum(inputs @ rng.normal(size=(n_inputs, n_units)), 0) for _ in range(2)]


def by_ckatorch(X, Y):
    """Linear CKA by the package."""
    return float(cka_base(torch.as_tensor(X), torch.as_tensor(Y), "linear"))


def by_cca_zoo(X, Y):
    """Canonical correlations by the package, largest first."""
    variates = CCA(n_components=X.shape[1]).fit_transform([X, Y])
    U, V = (Z - Z.mean(axis=0) for Z in variates)
    return np.sum(U * V, axis=0) / np.linalg.norm(U, axis=0) / np.linalg.norm(V, axis=0)


def by_definition(X, Y, epsilon=EPSILON):
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


def cka(n_samples, n_units=128):
    """Linear CKA of layers of `n_units`."""
    X, Y = layers(n_samples, n_units)
    found = {"hblib": lambda: similarity.linear_cka(X, Y), "floor: one product": lambda: X.T @ Y}
    return found | ({"ckatorch": lambda: by_ckatorch(X, Y)} if cka_base else {})


def cca(n_units, n_samples=4000):
    """Canonical correlations over `n_samples`."""
    X, Y = layers(n_samples, n_units, 2 * n_units)
    found = {
        "hblib": lambda: similarity.canonical_correlations(X, Y),
        "floor: one product": lambda: X.T @ Y,
    }
    return found | ({"cca-zoo": lambda: by_cca_zoo(X, Y)} if CCA else {})


def match(n_units, n_samples=4000):
    """Maximum match over `n_samples`, about half of the neurons."""
    X, Y = layers(n_samples, n_units, n_units // 2)
    return {
        "hblib": lambda: tuple(similarity.maximum_match(X, Y, EPSILON)),
        "by definition": lambda: by_definition(X, Y),
        "floor: one QR": lambda: linalg.qr(np.hstack([X, Y]), mode="r", check_finite=False),
    }


SETTINGS = {  # measure: (what is compared, its peer, sizes, the size of the ratio and the memory)
    "linear CKA": (cka, "ckatorch", [250, 500, 1000, 2000, 4000], "samples, 128 neurons a layer"),
    "canonical correlations": (
        cca,
        "cca-zoo",
        [32, 64, 128, 256],
        "neurons a layer, 4,000 samples",
    ),
    "subspace match": (
        match,
        "by definition",
        [64, 128, 256, 512],
        "neurons a layer, 4,000 samples",
    ),
}


def main():
    """Run all three, print required beside measured, store."""
    quick, load = record.options(__doc__).quick, record.load()
    torch.set_num_threads(1)
    required, found, memory, rows = [], [], {}, []
    with threadpool_limits(1):
        for measure, (make, peer, sizes, x) in SETTINGS.items():
            one = record.series(
                x,
                f"CPU time of {measure}, s",
                sizes[:3] if quick else sizes,
                make,
                1 if quick else 5,
            )
            found.append(one)
            if peer not in one["lines"]:
                continue
            functions = make(sizes[2])
            ours, theirs = functions["hblib"](), functions[peer]()
            if measure == "subspace match":
                required.append((f"{measure}: same match", "== 1", int(ours == theirs)))
            else:
                gap = record.rounded(np.abs(np.subtract(ours, theirs)).max())
                required.append((f"{measure}: largest gap to {peer}", "<= 1e-08", gap))
            size = one["lines"]["hblib"][-1][0]
            ratio = one["lines"][peer][-1][1] / one["lines"]["hblib"][-1][1]
            name = f"{measure}, {size:,} {x}: times {peer}"
            required.append((name, ">= 1", record.rounded(ratio)))
            for name in ("hblib", peer):
                memory[f"{measure}, {size:,} {x}: {name}"] = record.peak(make(size)[name])
            rows.append(
                {
                    "measure": measure,
                    "size": size,
                    "floors": record.rounded(
                        one["lines"]["hblib"][-1][1]
                        / next(line for name, line in one["lines"].items() if "floor" in name)[-1][
                            1
                        ]
                    ),
                }
            )
    result = {
        "title": "Similarity of layers",
        "what": "Linear CKA against ckatorch, canonical correlations against cca-zoo, and subspace "
        "match against its definition: the same numbers, and CPU time on one thread.",
        "required and measured": record.compared(*required),
        "series": found,
        "memory": memory,
        "rows": rows,
    }
    print(memory)
    if not quick:
        packages = ["scipy", "torch", "ckatorch", "cca-zoo"]
        record.store("similarity", result, packages, load)


if __name__ == "__main__":
    main()
