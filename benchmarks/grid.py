"""What do hidden units on a grid cost? A layout by assignment, and a penalised training step.

- *Layout*: `grid_layout.assign` for 1,024 units (32 x 32), 10 classes, 1,257 samples: the sums over
  classes, the table of costs and the exact solution. Three kinds of activity: noise, a layer of an
  untrained network, and one whose units prefer places (where many cells suit a unit almost alike).
- *Penalty*: CPU time of a training step with the penalty over that of the same step without, at
  the source's scale (six layers of 1,024 units, batches of 128) and at the chapter's (20 networks
  of two layers of 256, batches of 64). The least that any penalty has to do is to read the
  activations, so the time of ``H.sum()`` in place of the penalty is stored beside.

One thread, CPU time, rounds interleaved; a ratio is the median over rounds.

Run ``python benchmarks/grid.py`` (two minutes or so); writes ``benchmarks/results/grid.json``.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.nn import functional

from hblib import grid, grid_layout, grid_networks

RESULTS = Path(__file__).parent / "results" / "grid.json"
N_SAMPLES, N_CLASSES, N_FEATURES = 1257, 10, 64
LAYOUT_SECONDS = 2.0
# The penalty reads every activation once more, forwards and backwards.
STEP_RATIO = {"source": 1.5, "chapter": 2.0}
SCALES = {  # seeds, widths, shape of the grid, batch
    "source": (1, grid_networks.SOURCE_SCALE["widths"], (32, 32), 128),
    "chapter": (20, (256, 256), (16, 16), 64),
}


def cpu_time(function):
    """CPU seconds of one call."""
    start = time.process_time()
    function()
    return time.process_time() - start


def samples():
    """Inputs of ten classes and their labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=N_SAMPLES)
    means = rng.normal(size=(N_CLASSES, N_FEATURES))
    return means[y] + rng.normal(size=(N_SAMPLES, N_FEATURES)), y


def layouts(rounds):
    """CPU seconds of an assignment of 1,024 units, by kind of activity."""
    shape, sigma = (32, 32), 2.5
    centres = grid.ring_centres(N_CLASSES, shape)
    X, y = samples()
    rng = np.random.default_rng(1)
    layer = grid_networks.MLPs([0], N_FEATURES, N_CLASSES, (1024,)).activations(X)[0][0]
    P = grid.log_surfaces(grid.lattice(shape), centres, sigma).exp().numpy()
    tuned = P[y][:, rng.permutation(1024)] / P.max() + 0.01 * rng.random((N_SAMPLES, 1024))
    kinds = {"noise": rng.random((N_SAMPLES, 1024)), "untrained layer": layer, "tuned units": tuned}
    found = {}
    for name, H in kinds.items():
        times = [
            cpu_time(lambda H=H: grid_layout.assign(H, y, shape, centres, sigma))
            for _ in range(rounds)
        ]
        found[name] = {"median": round(float(np.median(times)), 3), "most": round(max(times), 3)}
    return found


def steps(scale, rounds):
    """Median ratios of the CPU time of a training step to that of one without penalty."""
    n_seeds, widths, shape, batch = SCALES[scale]
    X, y = samples()
    X, y = torch.as_tensor(X[:batch], dtype=torch.float32), torch.as_tensor(y[:batch])
    term = grid.GaussianGrid(shape, grid.ring_centres(N_CLASSES, shape), 1.5)
    symmetric = grid.GaussianGrid(shape, term.centres, 1.5, kind="symmetric")
    terms = {
        "none": None,
        "sum of H": lambda H, y: H.sum((-2, -1)),
        "KL": term,
        "symmetric KL": symmetric,
        "adjacency": lambda H, y: grid.adjacency_penalty(H, shape),
    }
    runs = {}
    for name, what in terms.items():
        networks = grid_networks.MLPs(range(n_seeds), N_FEATURES, N_CLASSES, widths)
        penalty = what and grid.LayerPenalty(networks.hidden, what)
        rule = torch.optim.Adam(networks.parameters(), fused=True)
        runs[name] = (networks, penalty, rule)

    def step(networks, penalty, rule):
        logits = networks(X)
        loss = functional.cross_entropy(logits.flatten(0, 1), y.repeat(n_seeds))
        if penalty is not None:
            loss = loss + penalty(y).sum()
        rule.zero_grad()
        loss.backward()
        rule.step()

    times = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            times[name].append(cpu_time(lambda run=run: [step(*run) for _ in range(3)]) / 3)
    plain = np.array(times["none"][1:])
    found = {name: round(float(np.median(np.array(t[1:]) / plain)), 3) for name, t in times.items()}
    return {"milliseconds without": round(1e3 * float(np.median(plain)), 1), **found}


def main():
    """Run all settings, print required beside measured, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing stored")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    with threadpool_limits(1):
        seconds = layouts(1 if quick else 9)
        ratios = {scale: steps(scale, 3 if quick else 25) for scale in SCALES}
    table = [
        (f"layout of 1,024 units, {name}: CPU s", f"<= {LAYOUT_SECONDS}", s["most"])
        for name, s in seconds.items()
    ]
    for scale, ratio in ratios.items():
        for name in ("KL", "symmetric KL", "adjacency"):
            table.append(
                (
                    f"{scale}'s scale: step with {name} / without",
                    f"<= {STEP_RATIO[scale]}",
                    ratio[name],
                )
            )
    for row in table:
        print(" | ".join(map(str, row)))
    print(ratios)
    if not quick:
        record = {
            "what": "one thread, CPU time; layouts: most of all rounds; steps: median ratio of "
            "interleaved rounds",
            "torch": torch.__version__,
            "load before": load,
            "required and measured": [
                dict(zip(("what", "required", "measured"), r)) for r in table
            ],
            "layouts": seconds,
            "steps": ratios,
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
