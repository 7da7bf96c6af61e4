"""What do hidden units on a grid cost? A layout by assignment, and a penalised training step.

- *Layout*: `grid.assign_units` for 1,024 units (32 x 32), 10 classes, 1,257 samples: the sums over
  classes, the table of costs and the exact solution. Three kinds of activity: noise, a layer of an
  untrained network, and one whose units prefer places (where many cells suit a unit almost alike).
- *Penalty*: CPU time of a training step with the penalty over that of the same step without, at
  the source's scale (six layers of 1,024 units, batches of 128) and at the chapter's (20 networks
  of two layers of 256, batches of 64). The least that any penalty has to do is to read the
  activations, so the time of ``H.sum()`` in place of the penalty is stored beside.
- *Against size*: CPU time of a layout of noise against the number of units; the floor is the exact
  solution of the same table of costs by scipy, without making the table.

One thread, CPU time, rounds interleaved; a ratio is the median over rounds.

Run ``python benchmarks/grid.py`` (two minutes or so); writes ``benchmarks/results/grid.json``.
"""

import numpy as np
import record
import torch
from scipy.optimize import linear_sum_assignment
from threadpoolctl import threadpool_limits
from torch.nn import functional

from hblib import grid, models

N_SAMPLES, N_CLASSES, N_FEATURES = 1257, 10, 64
LAYOUT_SECONDS = 2.0
# The penalty reads every activation once more, forwards and backwards.
STEP_RATIO = {"source": 1.5, "chapter": 2.0}
SCALES = {  # seeds, widths, shape of the grid, batch
    "source": (1, models.SOURCE_SCALE["widths"], (32, 32), 128),
    "chapter": (20, (256, 256), (16, 16), 64),
}


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
    layer = models.Networks(
        models.MLP((1024,), "sigmoid"), N_FEATURES, N_CLASSES, [0], "glorot"
    ).activations(X)[0][0]
    P = grid.log_surfaces(grid.lattice(shape), centres, sigma).exp().numpy()
    tuned = P[y][:, rng.permutation(1024)] / P.max() + 0.01 * rng.random((N_SAMPLES, 1024))
    kinds = {"noise": rng.random((N_SAMPLES, 1024)), "untrained layer": layer, "tuned units": tuned}
    found = {}
    for name, H in kinds.items():
        times = [
            record.cpu_time(lambda H=H: grid.assign_units(H, y, shape, centres, sigma))[0]
            for _ in range(rounds)
        ]
        found[name] = {"median": round(float(np.median(times)), 3), "most": round(max(times), 3)}
    return found


def of_noise(n_units):
    """A layout of noise, and the bare solution of its table of costs."""
    shape, sigma = (int(n_units**0.5),) * 2, 2.5
    centres, y = grid.ring_centres(N_CLASSES, shape), samples()[1]
    H = np.random.default_rng(1).random((N_SAMPLES, n_units))
    one_hot = (y == np.arange(N_CLASSES)[:, None]) / len(y)
    surfaces = grid.log_surfaces(grid.lattice(shape), centres, sigma).exp().numpy()
    table = (one_hot @ np.log(H + grid.EPS)).T @ surfaces
    return {
        "hblib": lambda: grid.assign_units(H, y, shape, centres, sigma),
        "floor: assignment by scipy": lambda: linear_sum_assignment(table, maximize=True),
    }


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
        networks = models.Networks(
            models.MLP(widths, "sigmoid"), N_FEATURES, N_CLASSES, range(n_seeds), "glorot"
        )
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
            times[name].append(
                record.cpu_time(lambda run=run: [step(*run) for _ in range(3)])[0] / 3
            )
    plain = np.array(times["none"][1:])
    found = {name: round(float(np.median(np.array(t[1:]) / plain)), 3) for name, t in times.items()}
    return {"milliseconds without": round(1e3 * float(np.median(plain)), 1), **found}


def main():
    """Run all settings, print required beside measured, store."""
    quick, load = record.options(__doc__).quick, record.load()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        seconds = layouts(1 if quick else 9)
        found = record.series(
            "units of a square grid",
            "CPU time of a layout, s",
            (16, 64, 144) if quick else (64, 144, 256, 576, 1024),
            of_noise,
            1 if quick else 5,
        )
        memory = {
            f"layout of 1,024 units: {name}": record.peak(function)
            for name, function in of_noise(1024).items()
        }
        ratios = {scale: steps(scale, 2 if quick else 25) for scale in SCALES}
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
    kinds = [
        {"layout": name, "CPU s": s["median"], "most": s["most"]} for name, s in seconds.items()
    ]
    result = {
        "title": "Hidden units on a grid",
        "what": "A layout of the units by assignment, the most of all rounds, and a training step "
        "with the penalty over one without it, the median of interleaved rounds; one thread.",
        "required and measured": record.compared(*table),
        "series": [found],
        "memory": memory,
        "rows": kinds + [{"scale": scale, **ratio} for scale, ratio in ratios.items()],
    }
    print(*result["rows"], memory, sep="\n")
    if not quick:
        record.store("grid", result, ["scipy", "torch"], load)


if __name__ == "__main__":
    main()
