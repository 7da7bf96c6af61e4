"""Which symmetry of the hidden space an update rule keeps, measured.

A rule trained from a start and from its image under a group either ends in the image or does not.
In floating point "does" means up to rounding, and rounding grows under ill-conditioned or chaotic
rules; `classify_defects` tells that from a broken symmetry by running everything in float64 and in
float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import as_array, generator, number, whole
from hblib.rotation import _orthogonal as orthogonal
from hblib.rotation._factorisation import Parameters, Problem, initial_factors
from hblib.rotation._optimisers import GROUPS, RULES, UpdateRule, update_rule
from hblib.rotation._training import Step, equivariance_defect

if TYPE_CHECKING:
    import pandas as pd

# The same for all rules, seeds and groups. Machine epsilon of float32 is 5e8 times float64's.
ROUNDING = 1e-9  # a float64 defect below this over 2,000 steps is rounding
SCALING = 1e3  # a float32 defect this many times the float64 one comes from rounding
SAME = 10.0  # a ratio of at most this (or its inverse) does not depend on the precision
ABOVE_FLOOR = 100.0  # a defect this many times the floor is not rounding made large by the dynamics


def classify_defects(defect64: ArrayLike, defect32: ArrayLike, floor64: ArrayLike = 0.0) -> str:
    """Tell a rule that keeps a symmetry from one that breaks it by how the defect scales.

    A kept symmetry leaves only rounding, which an ill-conditioned rule may enlarge, but which
    falls with the machine epsilon from float32 to float64. A broken one leaves the same defect in
    both. If the dynamics are chaotic a kept symmetry looks the same in both too; the floor, the
    defect of a rotation by an angle of the size of rounding, shows that.

    Parameters
    ----------
    defect64, defect32 : array_like of shape (S,)
        Defects of several seeds in the two precisions.
    floor64 : array_like of shape (S,), or float
        Floor in float64; the largest counts.

    Returns
    -------
    {'keeps', 'breaks', 'undecided'}
        'breaks' if in some seed the float64 defect is above `ROUNDING`, the same in both
        precisions up to a factor `SAME`, and `ABOVE_FLOOR` times the floor. Otherwise 'keeps' if in
        more than half of the seeds it is below `ROUNDING` or at most 1 / `SCALING` of the float32
        one: single seeds may be chaotic, and then say nothing. Else 'undecided'.

    Raises
    ------
    ValueError
        If the two differ in length, or hold values that are not finite.

    Examples
    --------
    >>> [classify_defects([a], [b]) for a, b in [(2e-15, 1e-6), (3e-5, 4e-1), (0.4, 0.4)]]
    ['keeps', 'keeps', 'breaks']
    >>> classify_defects([0.4], [0.4], floor64=0.1)
    'undecided'
    """
    d64, d32 = _defects("defect64", defect64), _defects("defect32", defect32)
    floor64 = _defects("floor64", floor64)
    if d64.shape != d32.shape:
        raise ValueError(
            f"defect64 {d64.shape} and defect32 {d32.shape} must have the same length"
        )
    ratio = d32 / np.maximum(d64, np.finfo(float).tiny)
    small = d64 < ROUNDING
    same = (ratio <= SAME) & (ratio >= 1 / SAME)
    if (~small & same & (d64 > ABOVE_FLOOR * np.max(floor64))).any():
        return "breaks"
    return "keeps" if (small | (ratio >= SCALING)).mean() > 0.5 else "undecided"


def _defects(name: str, value: ArrayLike) -> np.ndarray:
    return np.atleast_1d(as_array(name, value)).astype(np.float64)


def reference_problem(
    k: int = 4,
    shape: tuple[int, int] = (24, 16),
    noise: float = 0.1,
    rng: int | np.random.Generator | None = 0,
) -> Problem:
    """Plant a matrix of rank k, entries of variance one, with noise: the rules' common yardstick.

    Parameters
    ----------
    k : int
        Rank.
    shape : (m, n)
        Shape of the matrix.
    noise : float
        Standard deviation of the noise on every entry.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.

    Returns
    -------
    Problem

    Examples
    --------
    >>> reference_problem(noise=0).M.shape
    torch.Size([24, 16])
    """
    k, noise = whole("k", k), number("noise", noise, least=0)
    m, n = (whole("shape", length) for length in shape)
    rng = generator(rng)
    left, right = rng.standard_normal((m, k)), rng.standard_normal((k, n))
    return Problem(left @ right / k**0.5 + noise * rng.standard_normal((m, n)))


def symmetry_defects(
    rule: UpdateRule | Callable[..., Step],
    problem: Problem,
    A0: ArrayLike,
    B0: ArrayLike,
    n_steps: int = 2000,
    rng: int | np.random.Generator | None = 0,
) -> pd.DataFrame:
    """Measure equivariance defects of one rule under one random member of each group, per seed.

    Parameters
    ----------
    rule : UpdateRule or any update rule
    problem : Problem
        Its precision is overridden: everything runs in float64 and in float32.
    A0, B0 : array_like of shape (S, k, m) and (S, k, n)
        Where each seed starts.
    n_steps : int
        Number of training steps.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness of the group members.

    Returns
    -------
    pandas.DataFrame
        One row per action and seed: ``action`` ('O(k)', 'signed permutations', 'permutations',
        'sign flips', 'floor'), ``seed``, ``float64``, ``float32``, and ``trained``, the error at
        the end over that at the start (of the unrotated run in float64).

    Examples
    --------
    >>> problem = reference_problem()
    >>> A0, B0 = initial_factors("gaussian", 4, problem.shape)
    >>> defects = symmetry_defects(RULES["adam"], problem, A0, B0, n_steps=200)
    >>> defects["action"][defects["float64"] < 1e-9].to_list()
    ['signed permutations', 'permutations', 'sign flips', 'floor']
    """
    import pandas as pd

    theta0 = problem.parameters(A0, B0, ("A0", "B0"))
    actions = _actions(theta0.A.shape[1], len(theta0.A), generator(rng))
    ends: dict[str, torch.Tensor] = {}
    columns = {}
    for name, dtype in (("float64", torch.float64), ("float32", torch.float32)):

        def watched(problem: Problem, theta: Parameters, **options: Any) -> Step:
            ends.update(problem=problem, theta=theta, start=problem.value(theta))
            return rule(problem, theta, **options)

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
    rules: Iterable[str | UpdateRule] | None = None,
    problem: Problem | None = None,
    k: int = 4,
    n_seeds: int = 3,
    n_steps: int = 2000,
    rng: int | np.random.Generator | None = 0,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Measure which symmetry each rule keeps, beside the one expected.

    Parameters
    ----------
    rules : iterable of str or UpdateRule, optional
        By default all of `RULES`.
    problem : Problem, optional
        By default a `reference_problem`.
    k : int
        Inner dimension, at least 2.
    n_seeds : int
        Number of starting points, Gaussian of standard deviation 1/2.
    n_steps : int
        Number of training steps.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.
    n_jobs : int, optional
        Processes to share the rules between, as in scikit-learn: -1 uses all cores. The result does
        not depend on it.

    Returns
    -------
    pandas.DataFrame
        One row per rule: ``rule``, ``label``, ``family``, ``index``; the largest defect over the
        seeds under a Haar rotation in both precisions (``defect``, ``defect_float32``), its
        ``smallest`` over the seeds, the ``floor``, and the float64 defects under the finite groups;
        ``measured`` and ``expected`` group, whether they ``agree`` ('yes', 'no', 'undecided');
        ``trained``, the worst final error relative to the start; ``reason``.

    Examples
    --------
    >>> symmetry_table(["adam", "adam-word"], n_steps=200)["measured"].to_list()
    ['signed permutations', 'O(k)']
    """
    import pandas as pd
    from joblib import Parallel, delayed

    if not (n_jobs is None or n_jobs == -1):
        whole("n_jobs", n_jobs)
    rng = generator(rng)
    problem = reference_problem(k, rng=rng) if problem is None else problem
    A0, B0 = initial_factors("gaussian", k, problem.shape, n_seeds, rng=rng)
    actions_seed = int(rng.integers(2**31))
    chosen = [
        update_rule(rule) if isinstance(rule, str) else rule
        for rule in (RULES.values() if rules is None else rules)
    ]
    rows = Parallel(n_jobs)(
        delayed(_table_row)(rule, problem, A0, B0, n_steps, actions_seed) for rule in chosen
    )
    return pd.DataFrame(rows)


def _table_row(
    rule: UpdateRule, problem: Problem, A0: np.ndarray, B0: np.ndarray, n_steps: int, rng: int
) -> dict[str, Any]:
    frame = symmetry_defects(rule, problem, A0, B0, n_steps, rng)
    of = {action: part for action, part in frame.groupby("action", sort=False)}
    measured = surviving_group(frame)
    return {
        "rule": rule.name,
        "label": rule.label,
        "family": rule.family,
        "index": rule.index,
        "defect": of["O(k)"]["float64"].max(),
        "smallest": of["O(k)"]["float64"].min(),
        "defect_float32": of["O(k)"]["float32"].max(),
        "floor": of["floor"]["float64"].max(),
        **{g.replace(" ", "_"): of[g]["float64"].max() for g in GROUPS[1:-1]},
        "measured": measured,
        "expected": rule.symmetry,
        "agree": {rule.symmetry: "yes", "undecided": "undecided"}.get(measured, "no"),
        "trained": frame["trained"].max(),
        "reason": rule.reason,
    }


def surviving_group(frame: pd.DataFrame) -> str:
    """Name the largest group that is kept, or 'undecided'.

    Parameters
    ----------
    frame : pandas.DataFrame
        What `symmetry_defects` returns.

    Returns
    -------
    str
        One of `GROUPS`, or 'undecided'.

    Examples
    --------
    >>> problem = reference_problem()
    >>> A0, B0 = initial_factors("gaussian", 4, problem.shape)
    >>> surviving_group(symmetry_defects(RULES["relu"], problem, A0, B0, n_steps=200))
    'permutations'
    """
    of = {action: part for action, part in frame.groupby("action", sort=False)}
    floor = of["floor"]["float64"]
    for group in GROUPS[:-1]:
        verdict = classify_defects(of[group]["float64"], of[group]["float32"], floor)
        if verdict != "breaks":
            return group if verdict == "keeps" else "undecided"
    return "none"


def _actions(k: int, seeds: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One non-trivial member of each group per seed, (seeds, k, k), and a rounding-sized turn."""
    if k < 2:
        raise ValueError(f"k must be at least 2, got {k}: with one hidden unit nothing can turn")
    eye = np.eye(k)

    def pick(
        draw: Callable[..., np.ndarray], trivial: Callable[[np.ndarray], bool]
    ) -> np.ndarray:
        members = []
        while len(members) < seeds:
            X = draw(k, rng)
            if not trivial(X):
                members.append(X)
        return np.stack(members)

    tangent = rng.standard_normal((seeds, k, k))
    tangent -= tangent.transpose(0, 2, 1)
    tangent /= np.linalg.norm(tangent, axis=(1, 2), keepdims=True)
    return {
        "O(k)": orthogonal.haar(k, rng, size=seeds),
        # Neither a mere permutation nor mere signs.
        "signed permutations": pick(
            orthogonal.signed_permutation,
            lambda X: (np.abs(X) == eye).all() or (X >= 0).all() or (X <= 0).all(),
        ),
        "permutations": pick(orthogonal.permutation, lambda X: (X == eye).all()),
        "sign flips": pick(orthogonal.sign_flip, lambda X: abs(np.trace(X)) == k),
        "floor": eye + 1e-15 * tangent,
    }
