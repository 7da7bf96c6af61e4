"""How much faster is training all seeds as one batch? Ratios against peers, side by side.

Everything here does the same mathematics: gradient descent on the squared error of A.T @ B, from
the same starts with the same learning rate, and the ends are compared. Peers:

- ``autograd loop``: one seed after the other, gradient by torch autograd, update in place;
- ``NumPy loop``: one seed after the other, gradient by hand, in place, in two forms: with the
  residual A.T @ B - M ("residual") and with the k x k Gram matrices that `hblib` uses ("Gram");
- ``batched NumPy``: all seeds at once with numpy.matmul, in the same two forms.

Rounds are interleaved, so that a busy machine slows all alike; a ratio is the median over rounds of
peer time / our time: CPU time on one thread, wall time on several. `hblib` trains on one thread;
"threads" is what the peers are given. The floor is the two products with the data matrix that every
step needs, all seeds at once. Loops over many seeds are timed on some of them and multiplied.

Run ``python benchmarks/batched_factorisation.py`` (three minutes); writes
``benchmarks/results/batched_factorisation.json``.
"""

import os
import time
from functools import partial

import numpy as np
import record
import torch
from threadpoolctl import threadpool_limits

from hblib.rotation import Problem, initial_factors, train_factorisation

LR = 0.2
FLOOR = "floor: two products"


def ours(M, A, B, steps):
    """All seeds as one batch, by hblib."""
    problem = Problem(M, dtype=torch.as_tensor(A).dtype)
    run = train_factorisation(problem, A, B, n_steps=steps, lr=LR)
    return run.A


def autograd_loop(M, A, B, steps):
    """One seed at a time, gradient by autograd."""
    M = torch.as_tensor(M)
    c = (M.shape[-2] * M.shape[-1]) ** -0.5 / 2
    ends = []
    for s in range(len(A)):
        a = torch.tensor(A[s], requires_grad=True)
        b = torch.tensor(B[s], requires_grad=True)
        y = M if M.ndim == 2 else M[s]
        for _ in range(steps):
            error = (a.T @ b - y).square().sum() * c
            ga, gb = torch.autograd.grad(error, (a, b))
            with torch.no_grad():
                a.sub_(ga, alpha=LR)
                b.sub_(gb, alpha=LR)
        ends.append(a.detach().numpy())
    return np.stack(ends)


def numpy_loop_residual(M, A, B, steps):
    """One seed at a time, gradient from the residual."""
    c = LR * (M.shape[-2] * M.shape[-1]) ** -0.5
    ends = []
    for s in range(len(A)):
        a, b = A[s].copy(), B[s].copy()
        y = M if M.ndim == 2 else M[s]
        r, ga, gb = np.empty_like(y), np.empty_like(a), np.empty_like(b)
        for _ in range(steps):
            np.matmul(a.T, b, out=r)
            r -= y
            r *= c
            np.matmul(b, r.T, out=ga)
            np.matmul(a, r, out=gb)
            a -= ga
            b -= gb
        ends.append(a)
    return np.stack(ends)


def numpy_loop_gram(M, A, B, steps):
    """One seed at a time, gradient from Gram matrices."""
    c = LR * (M.shape[-2] * M.shape[-1]) ** -0.5
    ends = []
    for s in range(len(A)):
        a, b = A[s].copy(), B[s].copy()
        y = c * (M if M.ndim == 2 else M[s])
        yt, eye = np.ascontiguousarray(y.T), np.eye(len(a), dtype=a.dtype)
        for _ in range(steps):
            ta, tb = eye - c * (a @ a.T), eye - c * (b @ b.T)
            a, b = tb @ a + b @ yt, ta @ b + a @ y
        ends.append(a)
    return np.stack(ends)


def batched_numpy_residual(M, A, B, steps):
    """All seeds at once, gradient from the residual."""
    c = LR * (M.shape[-2] * M.shape[-1]) ** -0.5
    a, b = A.copy(), B.copy()
    r = np.empty((len(a), *M.shape[-2:]), dtype=a.dtype)
    ga, gb = np.empty_like(a), np.empty_like(b)
    for _ in range(steps):
        np.matmul(a.swapaxes(1, 2), b, out=r)
        r -= M
        r *= c
        np.matmul(b, r.swapaxes(1, 2), out=ga)
        np.matmul(a, r, out=gb)
        a -= ga
        b -= gb
    return a


def batched_numpy_gram(M, A, B, steps):
    """All seeds at once, gradient from Gram matrices."""
    c = LR * (M.shape[-2] * M.shape[-1]) ** -0.5
    a, b, y = A.copy(), B.copy(), c * M
    yt = np.ascontiguousarray(y.swapaxes(-1, -2))
    seeds, k, m = a.shape
    n = b.shape[2]
    eye = np.eye(k, dtype=a.dtype)
    for _ in range(steps):
        ta = eye - c * (a @ a.swapaxes(1, 2))
        tb = eye - c * (b @ b.swapaxes(1, 2))
        if M.ndim == 2:  # one large product for all seeds
            by, ay = (
                (b.reshape(-1, n) @ yt).reshape(a.shape),
                (a.reshape(-1, m) @ y).reshape(b.shape),
            )
        else:
            by, ay = b @ yt, a @ y
        a, b = tb @ a + by, ta @ b + ay
    return a


def two_products(M, A, B, steps):
    """Only the products of the factors with the data, for all seeds at once."""
    if M.ndim == 2:
        A, B = A.reshape(-1, A.shape[-1]), B.reshape(-1, B.shape[-1])
    ends = [np.empty(np.matmul(A, M).shape, A.dtype), np.empty(A.shape, A.dtype)]
    transposed = np.ascontiguousarray(M.swapaxes(-1, -2))
    for _ in range(steps):
        np.matmul(A, M, out=ends[0])
        np.matmul(B, transposed, out=ends[1])


PEERS = {
    "autograd loop": autograd_loop,
    "NumPy loop, residual": numpy_loop_residual,
    "NumPy loop, Gram": numpy_loop_gram,
    "batched NumPy, residual": batched_numpy_residual,
    "batched NumPy, Gram": batched_numpy_gram,
}


def compare(seeds, m, n, k, dtype, threads, steps, rounds, own_M=False, max_loop_seeds=64):
    """Ratios peer / ours for one setting; long loops, linear in the seeds, are cut short."""
    rng = np.random.default_rng(0)
    shape = (seeds, m, n) if own_M else (m, n)
    M = rng.standard_normal((*shape[:-1], k)) @ rng.standard_normal((*shape[:-2], k, n)) / k**0.5
    M = M.astype(dtype)
    A, B = (X.astype(dtype) for X in initial_factors("gaussian", k, (m, n), seeds, 0.3, rng))
    some = min(seeds, max_loop_seeds)
    times = {name: [] for name in ("ours", *PEERS, FLOOR)}
    clock = time.process_time if threads == 1 else time.perf_counter
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        ours(M, A, B, 2)
        two_products(M, A, B, 2)
        for _ in range(rounds):
            start = clock()
            end = ours(M, A, B, steps)
            times["ours"].append(clock() - start)
            for name, peer in PEERS.items():
                count = some if "loop" in name else seeds
                start = clock()
                theirs = peer(M[:count] if own_M else M, A[:count], B[:count], steps)
                times[name].append((clock() - start) * seeds / count)
                gap = np.abs(theirs - end[:count]).max() / np.abs(end).max()
                if gap > (1e-9 if dtype == "float64" else 1e-3):
                    raise RuntimeError(f"{name} ends elsewhere: relative gap {gap:.1e}")
            start = clock()
            two_products(M, A, B, steps)
            times[FLOOR].append(clock() - start)
    mine = np.array(times.pop("ours"))
    return {
        "seeds": seeds,
        "size": f"{m} x {n}, k = {k}",
        "data": "one M a seed" if own_M else "one M",
        "dtype": dtype,
        "threads": threads,
        "steps": steps,
        "milliseconds a step": record.rounded(1e3 * np.median(mine) / steps),
        **{name: record.rounded(np.median(np.array(t) / mine)) for name, t in times.items()},
    }


def best_loop(row):
    """Time of the faster of the two loops in NumPy over ours."""
    return min(row["NumPy loop, residual"], row["NumPy loop, Gram"])


def lines_over(rows, size):
    """Milliseconds a step against a size, from rows that differ in it."""
    lines = {"hblib": [[row[size], row["milliseconds a step"]] for row in rows]}
    for name in (*PEERS, FLOOR):
        lines[name] = [
            [row[size], record.rounded(row[name] * row["milliseconds a step"])] for row in rows
        ]
    return lines


def memory_of(seeds, m, n, k, steps=20):
    """MiB to train_factorisation all seeds at once, and one after the other."""
    rng = np.random.default_rng(0)
    M = rng.standard_normal((m, n))
    A, B = initial_factors("gaussian", k, (m, n), seeds, 0.3, rng)
    ways = {
        "hblib": ours,
        "NumPy loop, Gram": numpy_loop_gram,
        "batched NumPy, Gram": batched_numpy_gram,
    }
    return {
        f"{seeds:,} seeds of {m} x {n}, k = {k}: {name}": record.peak(partial(way, M, A, B, steps))
        for name, way in ways.items()
    }


def main():
    """Run all settings, print the table, store it."""
    quick, load = record.options(__doc__).quick, record.load()
    rows = []

    def add(**setting):
        row = compare(**setting)
        rows.append(row)
        print(" | ".join(f"{v:.1f}" if isinstance(v, float) else str(v) for v in row.values()))
        return row

    base = {"m": 60, "n": 40, "k": 5}
    steps, rounds = (5, 1) if quick else (300, 5)
    small = {"dtype": "float64", "threads": 1, "rounds": rounds}
    counts = (1, 4, 16) if quick else (1, 2, 4, 16, 64, 256, 1024)
    over_seeds = [
        add(seeds=seeds, **base, steps=steps, max_loop_seeds=8, **small) for seeds in counts
    ]
    over_entries = []
    sizes = ((12, 8, 3), (24, 16, 4), (60, 40, 5), (120, 80, 10), (200, 150, 20), (400, 300, 20))
    for m, n, k in sizes[:3] if quick else sizes:
        few = max(5, steps // (1 + m // 100))
        row = add(seeds=64, m=m, n=n, k=k, steps=few, max_loop_seeds=4, **small)
        over_entries.append(row | {"entries": m * n})
    steps, rounds = (5, 1) if quick else (300, 3)
    for dtype in ("float64", "float32"):
        for threads in sorted({1, os.cpu_count()}):
            kind = {"dtype": dtype, "threads": threads, "steps": steps, "rounds": rounds}
            add(seeds=64, **base, **kind, max_loop_seeds=8)
    kind = {"dtype": "float64", "threads": 1, "rounds": rounds, "max_loop_seeds": 4}
    add(seeds=64, **base, own_M=True, steps=steps, **kind)
    if not quick:
        for m, n, k in ((200, 150, 20), (400, 300, 20)):
            add(seeds=64, m=m, n=n, k=k, own_M=True, steps=60, **kind)
        add(seeds=16, m=1797, n=64, k=8, steps=60, **kind)

    table = []
    for row in rows[: len(over_seeds) + len(over_entries)]:
        name = f"{row['seeds']:,} seeds of {row['size']}: times the better NumPy loop"
        if all(name != known[0] for known in table):
            table.append((name, "> 1", best_loop(row)))
    cost = "CPU time of a step, ms"
    result = {
        "title": "All seeds as one batch",
        "what": "Gradient descent of a linear factorisation from many starts: all at once by "
        "hblib, one after the other, and batched by hand, each to the same end. "
        "Rows give the time of a peer over ours.",
        "required and measured": record.compared(*table),
        "series": [
            record.curves("seeds, 60 x 40, k = 5", cost, lines_over(over_seeds, "seeds")),
            record.curves(
                "entries of the matrix, 64 seeds", cost, lines_over(over_entries, "entries")
            ),
        ],
        "memory": memory_of(64 if quick else 1024, **base),
        "rows": rows,
    }
    print(result["memory"])
    if not quick:
        record.store("batched_factorisation", result, ["torch"], load)


if __name__ == "__main__":
    main()
