"""How much faster is training all seeds as one batch? Ratios against peers, side by side.

Everything here does the same mathematics: gradient descent on the squared error of A.T @ B, from
the same starts with the same learning rate, and the ends are compared. Peers:

- ``autograd loop``: one seed after the other, gradient by torch autograd, update in place;
- ``NumPy loop``: one seed after the other, gradient by hand, in place, in two forms: with the
  residual A.T @ B - M ("residual") and with the k x k Gram matrices that `hblib` uses ("Gram");
- ``batched NumPy``: all seeds at once with numpy.matmul, in the same two forms.

Rounds are interleaved, so that a busy machine slows all alike; a ratio is the median over rounds of
peer time / our time. `hblib` trains on one thread; "threads" is what the peers are given. Only
ratios are stored: they carry over to other machines, seconds do not.

Run ``python benchmarks/batched_factorisation.py`` (a few minutes, on an otherwise idle machine);
writes ``benchmarks/results/batched_factorisation.json``.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from threadpoolctl import threadpool_limits

from hblib.factorisation import Problem, initialise, train

LR = 0.2
RESULTS = Path(__file__).parent / "results" / "batched_factorisation.json"


def ours(M, A, B, steps):
    """All seeds as one batch, by hblib."""
    run = train(Problem(M, dtype=torch.as_tensor(A).dtype), A, B, n_steps=steps, lr=LR)
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
    A, B = (X.astype(dtype) for X in initialise("gaussian", k, (m, n), seeds, 0.3, rng))
    some = min(seeds, max_loop_seeds)
    times = {name: [] for name in ("ours", *PEERS)}
    torch.set_num_threads(threads)
    with threadpool_limits(threads):
        ours(M, A, B, 2)
        for _ in range(rounds):
            start = time.perf_counter()
            end = ours(M, A, B, steps)
            times["ours"].append(time.perf_counter() - start)
            for name, peer in PEERS.items():
                count = some if "loop" in name else seeds
                start = time.perf_counter()
                theirs = peer(M[:count] if own_M else M, A[:count], B[:count], steps)
                times[name].append((time.perf_counter() - start) * seeds / count)
                gap = np.abs(theirs - end[:count]).max() / np.abs(end).max()
                if gap > (1e-9 if dtype == "float64" else 1e-3):
                    raise RuntimeError(f"{name} ends elsewhere: relative gap {gap:.1e}")
    mine = np.array(times.pop("ours"))
    return {
        "seeds": seeds,
        "size": f"{m} x {n}, k = {k}",
        "data": "one M a seed" if own_M else "one M",
        "dtype": dtype,
        "threads": threads,
        "steps": steps,
        **{name: float(np.median(np.array(t) / mine)) for name, t in times.items()},
    }


def main():
    """Run all settings, print the table, store the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps and rounds, nothing stored")
    quick = parser.parse_args().quick
    steps, rounds = (20, 1) if quick else (2000, 3)
    cores = os.cpu_count()
    rows = []

    def add(**setting):
        row = compare(**setting)
        rows.append(row)
        print(" | ".join(f"{v:.1f}" if isinstance(v, float) else str(v) for v in row.values()))

    print(" | ".join(("seeds", "size", "data", "dtype", "threads", "steps", *PEERS)))
    base = {"m": 60, "n": 40, "k": 5}
    for dtype in ("float64", "float32"):
        for threads in sorted({1, cores}):
            full = dtype == "float64" and threads == 1
            few = {} if full else {"max_loop_seeds": 8}
            add(seeds=64, **base, dtype=dtype, threads=threads, steps=steps, rounds=rounds, **few)
    add(
        seeds=64,
        **base,
        own_M=True,
        max_loop_seeds=8,
        steps=steps,
        rounds=rounds,
        dtype="float64",
        threads=1,
    )
    steps, rounds = (5, 1) if quick else (300, 5)
    small = {"dtype": "float64", "threads": 1, "rounds": rounds}
    for seeds in (1, 2, 4, 16, 256, 1024):
        add(seeds=seeds, **base, steps=steps, max_loop_seeds=16, **small)
    for m, n, k in ((12, 8, 3), (24, 16, 4), (120, 80, 10), (200, 150, 20), (400, 300, 20)):
        few = max(5, steps // (1 + m // 100))
        add(seeds=64, m=m, n=n, k=k, steps=few, max_loop_seeds=8, **small)
        if m >= 200:
            add(seeds=64, m=m, n=n, k=k, steps=few, max_loop_seeds=8, own_M=True, **small)
    add(seeds=16, m=1797, n=64, k=8, steps=steps // 5, max_loop_seeds=4, **small)

    frame = pd.DataFrame(rows)
    best = frame[["NumPy loop, residual", "NumPy loop, Gram"]].min(axis=1)
    slower = frame[best < 1]
    print(
        "Batching does not pay against the better NumPy loop at: "
        + (
            "; ".join(f"{r.seeds} seeds of {r.size}, {r.data}" for r in slower.itertuples())
            or "none"
        )
    )
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        record = {
            "what": "time of peer / time of hblib.factorisation.train, median over rounds",
            "rows": json.loads(frame.round(2).to_json(orient="records")),
        }
        RESULTS.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
