"""What all estimators of this room share: checks of signals and sizes, reconstruction, names."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse as sp
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from hblib._checks import as_array, whole
from hblib.sparse import _sparse as sparse


class SparseTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A scikit-learn transformer with the atoms `components_` and sparse codes."""

    def _signals(self, X: ArrayLike, reset: bool = True) -> np.ndarray:
        """Return X as a matrix of float32 or float64, contiguous rows."""
        # Tensors and masked arrays are what scikit-learn's own check does not know.
        if hasattr(X, "detach") or np.ma.isMaskedArray(X):
            X = as_array("X", X, finite=False)
        return validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=reset)

    def _n_atoms(self, X: np.ndarray) -> int:
        """Check the parameters that all learners have and set `sparsity_`."""
        n_samples, n_features = X.shape
        if self.n_components is None:
            n_atoms = n_features
        else:
            n_atoms = whole("n_components", self.n_components)
        whole("n_iter", self.n_iter)
        if n_samples < n_atoms:
            raise ValueError(
                f"X has n_samples={n_samples} signals, fewer than n_components={n_atoms} atoms"
            )
        sparsity = max(1, n_features // 10) if self.sparsity is None else self.sparsity
        self.sparsity_ = sparse.check_sparsity(sparsity, n_features, n_atoms)
        return n_atoms

    def inverse_transform(self, codes: ArrayLike | sp.sparray) -> np.ndarray:
        """Return the signals of the given codes, ``codes @ components_``.

        Parameters
        ----------
        codes : sparse array or array_like, (n_samples, n_components)

        Returns
        -------
        ndarray, (n_samples, n_features)
        """
        check_is_fitted(self)
        codes = sparse.check_codes(codes)
        if codes.shape[1] != len(self.components_):
            raise ValueError(
                f"codes must have one column per atom, {len(self.components_)}, got the shape "
                f"{codes.shape}"
            )
        return codes @ self.components_

    @property
    def _n_features_out(self) -> int:
        return len(self.components_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
