"""What a rotation of the hidden space does to a factorisation, and what training makes of it.

Random rotations and how to find them again; matrix factorisations of many seeds trained at once;
sixty update rules, and which symmetry of the hidden space each of them keeps.

>>> from hblib import rotation
>>> problem = rotation.reference_problem()  # 24 samples, 16 features, rank 4
>>> A0, B0 = rotation.initial_factors("gaussian", k=4, shape=problem.shape, n_seeds=3)
>>> U = rotation.haar(4, rng=0, size=3)
>>> for name in ("gd", "adam"):
...     defect = rotation.equivariance_defect(
...         problem, A0, B0, U, rule=rotation.RULES[name], n_steps=200
...     )
...     print(name, "commutes with U" if defect.max() < 1e-9 else "does not")
gd commutes with U
adam does not
"""

from hblib.rotation._factorisation import (
    MiniTasks,
    Parameters,
    Problem,
    draw_mini_tasks,
    factorisation_error,
    factorisation_gradient,
    initial_factors,
)
from hblib.rotation._independent import map_deviation, predicted_deviation
from hblib.rotation._optimisers import GROUPS, RULES, UpdateRule, update_rule
from hblib.rotation._orthogonal import (
    fractional_power,
    haar,
    is_orthogonal,
    kurtosis,
    permutation,
    plane_rotation,
    positive_scaling,
    principal_angles,
    procrustes_rotation,
    reflection,
    rotation_2d,
    sign_flip,
    signed_permutation,
    varimax,
)
from hblib.rotation._preconditioners import Muon, newton_schulz
from hblib.rotation._starts import same_distribution
from hblib.rotation._symmetry import (
    classify_defects,
    reference_problem,
    surviving_group,
    symmetry_defects,
    symmetry_table,
)
from hblib.rotation._training import (
    Step,
    TrainingRun,
    admissible_rotations,
    descent_rule,
    equivariance_defect,
    gradient_descent,
    imbalance,
    imbalance_drift,
    invariance_defect,
    train_factorisation,
)

__all__ = [
    "GROUPS", "MiniTasks", "Muon", "Parameters", "Problem", "RULES", "Step", "TrainingRun",
    "UpdateRule", "admissible_rotations", "classify_defects", "descent_rule", "draw_mini_tasks",
    "equivariance_defect", "factorisation_error", "factorisation_gradient", "fractional_power",
    "gradient_descent", "haar", "imbalance", "imbalance_drift", "initial_factors",
    "invariance_defect", "is_orthogonal", "kurtosis", "map_deviation", "newton_schulz",
    "permutation", "plane_rotation", "positive_scaling", "predicted_deviation",
    "principal_angles", "procrustes_rotation", "reference_problem", "reflection", "rotation_2d",
    "same_distribution", "sign_flip", "signed_permutation",
    "surviving_group", "symmetry_defects", "symmetry_table", "train_factorisation", "update_rule",
    "varimax",
]  # fmt: skip
