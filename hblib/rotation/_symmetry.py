"""Which symmetry of the hidden space an update rule keeps, measured.

A rule trained from a start and from its image under a group either ends in the image or does not.
In floating point "does" means up to rounding, and rounding grows under ill-conditioned or chaotic
rules; `classify` tells that from a broken symmetry by running everything in float64 and float32.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from hblib.rotation import _orthogonal as orthogonal
from hblib.rotation._factorisation import (
    ArrayLike,
    Problem,
    Step,
    at_least_one,
    equivariance_defect,
    initialise,
)
from hblib.rotation._optimisers import GROUPS, RULES, Rule, rule

# The same for all rules, seeds and groups. Machine epsilon of float32 is 5e8 times float64's.
ROUNDING = 1e-9  # a float64 defect below this over 2,000 steps is rounding
SCALING = 1e3  # a float32 defect so many times the float64 one comes from rounding
SAME = 10.0  # a ratio of at most this (or its inverse) does not depend on the precision
ABOVE_FLOOR = 100.0  # a defect so many times the floor is not rounding made large by the dynamics


def classify(defect64: ArrayLike, defect32: ArrayLike, floor64: ArrayLike = 0.0) -> str:
    """Tell a rule that keeps a symmetry from one that breaks it by how the defect scales.

    A kept symmetry leaves only rounding, which an ill-conditioned rule may enlarge, but which
    falls with the machine epsilon from float32 to float64. A broken one leaves the same defect in
    both. If the dynamics are chaotic a kept symmetry looks the same in both too; the floor, the
    defect of a rotation by an angle of the size of rounding, shows that.

    Parameters
    ----------
    defect64, defect32 : array (S,)
        Defects of several seeds in the two precisions.
    floor64 : array (S,) or float
        Floor in float64; the largest counts.

    Returns
    -------
    {'keeps', 'breaks', 'undecided'}
        'breaks' if in some seed the float64 defect is above `ROUNDING`, the same in both
        precisions up to a factor `SAME`, and `ABOVE_FLOOR` times the floor. Otherwise 'keeps' if in
        more than half of the seeds it is below `ROUNDING` or at most 1 / `SCALING` of the float32
        one: single seeds may be chaotic, and then say nothing. Else 'undecided'.

    Examples
    --------
    >>> classify([2e-15], [1e-6]), classify([3e-5], [4e-1]), classify([0.4], [0.4])
    ('keeps', 'keeps', 'breaks')
    >>> classify([0.4], [0.4], floor64=0.1)
    'undecided'
    """
    d64, d32 = np.atleast_1d(defect64).astype(float), np.atleast_1d(defect32).astype(float)
    if d64.shape != d32.shape or not d64.size:
        raise ValueError(
            f"defect64 {d64.shape} and defect32 {d32.shape} must be of one length, at least 1."
        )
    if not (np.isfinite(d64).all() and np.isfinite(d32).all() and np.isfinite(floor64).all()):
        raise ValueError("defects and floor must be finite.")
    ratio = d32 / np.maximum(d64, np.finfo(float).tiny)
    small = d64 < ROUNDING
    same = (ratio <= SAME) & (ratio >= 1 / SAME)
    if (~small & same & (d64 > ABOVE_FLOOR * np.max(floor64))).any():
        return "breaks"
    return "keeps" if (small | (ratio >= SCALING)).mean() > 0.5 else "undecided"


def reference_problem(
    k: int = 4, shape: tuple[int, int] = (24, 16), noise: float = 0.1, seed: int = 0
) -> Problem:
    """Planted matrix of rank k, entries of variance one, with noise: the learning rates' yardstick.

    Parameters
    ----------
    k : int
        Rank.
    shape : (m, n)
    noise : float
        Standard deviation of the noise on every entry.
    seed : int or numpy.random.Generator
    """
    at_least_one("k", k)
    rng = np.random.default_rng(seed)
    left, right = rng.standard_normal((shape[0], k)), rng.standard_normal((k, shape[1]))
    return Problem(left @ right / k**0.5 + noise * rng.standard_normal(shape))


def symmetry_defects(
    update: Rule | Callable[..., Step],
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    n_steps: int = 2000,
    seed: int | np.random.Generator = 0,
) -> pd.DataFrame:
    """Equivariance defects of one rule under one random member of each group, per seed.

    Parameters
    ----------
    update : Rule or any update rule
    problem : Problem
        Its precision is overridden: everything runs in float64 and in float32.
    A0, B0 : arrays (S, k, m) and (S, k, n)
    n_steps : int
    seed : int or numpy.random.Generator
        Of the group members.

    Returns
    -------
    pandas.DataFrame
        One row an action and seed: ``action`` ('O(k)', 'signed permutations', 'permutations',
        'sign flips', 'floor'), ``seed``, ``float64``, ``float32``, and ``trained``, the error at
        the end over that at the start (of the unrotated run in float64).
    """
    theta0 = problem.parameters(A0, B0)
    actions = _actions(theta0.A.shape[1], len(theta0.A), np.random.default_rng(seed))
    ends: dict[str, torch.Tensor] = {}
    columns = {}
    for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):

        def watched(problem, theta, **options):
            ends.update(problem=problem, theta=theta, start=problem.value(theta))
            return update(problem, theta, **options)

        columns[name] = equivariance_defect(
            replace(problem, dtype=dtype),
            A0,
            B0,
            np.stack(list(actions.values())),
            watched,
            n_steps,
        ).ravel()
        if name == "float64":
            trained = ends["problem"].value(ends["theta"]) / ends["start"]
    seeds = len(theta0.A)
    return pd.DataFrame(
        {
            "action": np.repeat(list(actions), seeds),
            "seed": np.tile(np.arange(seeds), len(actions)),
            **columns,
            "trained": np.tile(trained[:seeds].numpy(), len(actions)),
        }
    )


def symmetry_table(
    rules: Iterable[str | Rule] | None = None,
    problem: Problem | None = None,
    k: int = 4,
    n_seeds: int = 3,
    n_steps: int = 2000,
    seed: int = 0,
    n_jobs: int = 1,
) -> pd.DataFrame:
    """Which symmetry each rule keeps, measured, beside the one expected.

    Parameters
    ----------
    rules : iterable of str or Rule, optional
        All of `RULES` if left.
    problem : Problem, optional
        `reference_problem` if left.
    k : int
        Inner dimension.
    n_seeds : int
        Starting points, Gaussian of standard deviation 1/2.
    n_steps : int
    seed : int
    n_jobs : int
        Processes to share the rules between; the result does not depend on it.

    Returns
    -------
    pandas.DataFrame
        One row a rule: ``rule``, ``label``, ``family``, ``index``; the largest defect over the
        seeds under a Haar rotation in both precisions (``defect``, ``defect_float32``), its
        ``smallest`` over the seeds, the ``floor``, and the float64 defects under the finite groups;
        ``measured`` and ``expected`` group, whether they ``agree`` ('yes', 'no', 'undecided');
        ``trained``, the worst final error relative to the start; ``reason``.
    """
    at_least_one("n_jobs", n_jobs)
    rng = np.random.default_rng(seed)
    problem = reference_problem(k, seed=rng) if problem is None else problem
    A0, B0 = initialise("gaussian", k, problem.shape, n_seeds, seed=rng)
    actions_seed = int(rng.integers(2**31))
    chosen = [
        rule(r) if isinstance(r, str) else r for r in (RULES.values() if rules is None else rules)
    ]
    rows = Parallel(n_jobs)(
        delayed(_table_row)(r, problem, A0, B0, n_steps, actions_seed) for r in chosen
    )
    return pd.DataFrame(rows)


def _table_row(r: Rule, problem: Problem, A0, B0, n_steps: int, seed: int) -> dict:
    frame = symmetry_defects(r, problem, A0, B0, n_steps, seed)
    of = {action: part for action, part in frame.groupby("action", sort=False)}
    measured = surviving_group(frame)
    return {
        "rule": r.name,
        "label": r.label,
        "family": r.family,
        "index": r.index,
        "defect": of["O(k)"]["float64"].max(),
        "smallest": of["O(k)"]["float64"].min(),
        "defect_float32": of["O(k)"]["float32"].max(),
        "floor": of["floor"]["float64"].max(),
        **{g.replace(" ", "_"): of[g]["float64"].max() for g in GROUPS[1:-1]},
        "measured": measured,
        "expected": r.symmetry,
        "agree": {r.symmetry: "yes", "undecided": "undecided"}.get(measured, "no"),
        "trained": frame["trained"].max(),
        "reason": r.reason,
    }


def surviving_group(frame: pd.DataFrame) -> str:
    """The largest group that `symmetry_defects` shows to be kept, or 'undecided'."""
    of = {action: part for action, part in frame.groupby("action", sort=False)}
    floor = of["floor"]["float64"]
    for group in GROUPS[:-1]:
        verdict = classify(of[group]["float64"], of[group]["float32"], floor)
        if verdict != "breaks":
            return group if verdict == "keeps" else "undecided"
    return "none"


def _actions(k: int, seeds: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One non-trivial member of each group per seed, (seeds, k, k), and a rounding-sized turn."""
    if k < 2:
        raise ValueError(f"k = {k} must be at least 2: with one hidden unit nothing can turn.")
    eye = np.eye(k)

    def pick(draw, trivial):
        out = []
        while len(out) < seeds:
            X = draw(k, rng)
            if not trivial(X):
                out.append(X)
        return np.stack(out)

    generator = rng.standard_normal((seeds, k, k))
    generator -= generator.transpose(0, 2, 1)
    generator /= np.linalg.norm(generator, axis=(1, 2), keepdims=True)
    return {
        "O(k)": orthogonal.haar(k, rng, size=seeds),
        # Neither a mere permutation nor mere signs.
        "signed permutations": pick(
            orthogonal.signed_permutation,
            lambda X: (np.abs(X) == eye).all() or (X >= 0).all() or (X <= 0).all(),
        ),
        "permutations": pick(orthogonal.permutation, lambda X: (X == eye).all()),
        "sign flips": pick(orthogonal.sign_flip, lambda X: abs(np.trace(X)) == k),
        "floor": eye + 1e-15 * generator,
    }
