"""Sparse codes: hidden vectors as sums of a few atoms of a dictionary.

Given a dictionary, orthogonal matching pursuit (`batch_omp`) finds the atoms; K-SVD (`KSVD`,
`MiniBatchKSVD`) and the TopK autoencoder (`TopKAutoencoder`) learn the dictionary too. Experiments
with planted atoms (`support_recovery`, `atoms_found`) tell how far either can be trusted.

Examples
--------
>>> from hblib import sparse
>>> dictionary = sparse.random_dictionary(30, 20, rng=0)
>>> X, codes = sparse.sparse_signals(dictionary, 500, 2, rng=1)
>>> learned = sparse.KSVD(30, sparsity=2, random_state=0).fit(X).components_
>>> sparse.atoms_recovered(learned, dictionary) > 25
True
"""

from hblib.sparse._ksvd import KSVD, MiniBatchKSVD
from hblib.sparse._recovery import (
    atoms_found,
    learn_by_ksvd,
    learn_by_mod,
    learn_by_scikit_learn,
    random_dictionary,
    sparse_signals,
    support_recovery,
)
from hblib.sparse._sparse import (
    atoms_recovered,
    batch_omp,
    best_cosines,
    canonical_signs,
    largest,
    mean_max_cosine,
    mutual_coherence,
    sign_consistency,
    unexplained,
    usage,
    welch_bound,
)
from hblib.sparse._sparse_autoencoder import TopKAutoencoder

__all__ = [
    "KSVD",
    "MiniBatchKSVD",
    "TopKAutoencoder",
    "atoms_found",
    "atoms_recovered",
    "batch_omp",
    "best_cosines",
    "canonical_signs",
    "largest",
    "learn_by_ksvd",
    "learn_by_mod",
    "learn_by_scikit_learn",
    "mean_max_cosine",
    "mutual_coherence",
    "random_dictionary",
    "sign_consistency",
    "sparse_signals",
    "support_recovery",
    "unexplained",
    "usage",
    "welch_bound",
]
