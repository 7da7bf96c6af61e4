"""How alike are two layers? Subspace match, and the measures it is compared with.

A layer is a matrix with one row per sample and one column per neuron, ``(n_samples, n_neurons)``:
an array, a tensor or a data frame. The column of a neuron is its *activation vector*: its response
to every sample. `maximum_match` finds the sets of neurons of two layers that span the same space;
CCA, CKA, Procrustes, RSA and the others share the signature ``f(X, Y) -> float`` and are listed in
`MEASURES` with the transformations that leave them alone.

A constant neuron does no harm: it is left out where only variation counts, and never matched where
its activation vector is zero. Subspace match of a layer of zeros is 0.0. Every other measure is
undefined for a layer of constant neurons and raises a ValueError. Tolerances for rounding follow
the type in which the layers were stored.

Examples
--------
>>> import numpy as np
>>> from hblib import similarity
>>> X = np.random.default_rng(0).normal(size=(100, 4))
>>> rotated = X @ [[0.6, 0.8, 0, 0], [-0.8, 0.6, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
>>> similarity.maximum_match(X, rotated, epsilon=0.0)
Match(x=(0, 1, 2, 3), y=(0, 1, 2, 3))
>>> round(similarity.linear_cka(X, rotated), 6)
1.0
"""

from hblib.similarity._calibration import Calibrated, calibrate, one_position
from hblib.similarity._similarity import (
    MEASURES,
    TRANSFORMATIONS,
    Measure,
    all_pairs,
    canonical_correlations,
    cca_mean,
    cca_r2,
    debiased_cka,
    identification_accuracy,
    linear_cka,
    linear_regression,
    mutual_knn,
    neuron_matching,
    procrustes_similarity,
    pwcca,
    rbf_cka,
    rsa,
    svcca,
)
from hblib.similarity._subspace_match import (
    CriticalEpsilons,
    Match,
    critical_epsilons,
    is_match,
    matching_curve,
    matching_similarity,
    maximum_match,
)

__all__ = [
    "Calibrated", "CriticalEpsilons", "MEASURES", "Match", "Measure", "TRANSFORMATIONS",
    "all_pairs", "calibrate", "canonical_correlations", "cca_mean", "cca_r2", "critical_epsilons",
    "debiased_cka", "identification_accuracy", "is_match", "linear_cka", "linear_regression",
    "matching_curve", "matching_similarity", "maximum_match", "mutual_knn", "neuron_matching",
    "one_position", "procrustes_similarity", "pwcca", "rbf_cka", "rsa", "svcca",
]  # fmt: skip
