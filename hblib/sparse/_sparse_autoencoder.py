"""TopK sparse autoencoder: sparse codes from one matrix product instead of a pursuit.

The modern descendant of dictionary learning on hidden vectors [1]_. A linear encoder proposes a
coefficient for every atom at once, only the `sparsity` largest positive ones are kept, and a linear
decoder with unit rows adds the atoms up. Encoder and decoder are learned together by gradient
descent. The constraint is K-SVD's; what differs is that codes are predicted, not searched for.

References
----------
.. [1] L. Gao, T. Dupre la Tour, H. Tillman, G. Goh, R. Troll, A. Radford, I. Sutskever, J. Leike
   and J. Wu, "Scaling and evaluating sparse autoencoders", ICLR 2025, arXiv:2406.04093.
"""

import numpy as np
import torch
from scipy import sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch.nn import functional
from tqdm import tqdm

from hblib.sparse import _sparse as sparse

# Share of the auxiliary loss, after Gao et al., appendix A.2: dead atoms fit what the others leave.
AUXILIARY = 1 / 32


def _encode(centred, W, b, sparsity):
    """Atoms with the largest activations, (n_samples, sparsity), and these activations.

    The choice is made without gradients, then only the chosen activations are computed again: they
    alone receive any.
    """
    with torch.no_grad():
        where = (centred @ W.T + b).topk(sparsity, dim=1, sorted=False).indices
    rows = functional.embedding(where, W)
    return where, torch.relu(torch.einsum("sf,skf->sk", centred, rows) + b[where])


def _decode(where, weights, D):
    """Sums of the chosen atoms, (n_samples, n_features)."""
    return functional.embedding_bag(where, D, per_sample_weights=weights, mode="sum")


class TopKAutoencoder(TransformerMixin, BaseEstimator):
    """Sparse autoencoder that keeps the `sparsity` largest activations of a signal.

    Parameters
    ----------
    n_components : int, optional
        Number of atoms; by default as many as features.
    sparsity : int, optional
        Number of activations kept; by default a tenth of the features.
    n_iter : int
        Passes over the signals.
    batch_size : int
        Signals in one gradient step.
    learning_rate : float
        Step length of Adam; it falls linearly to zero over the last fifth of the steps.
    random_state : int, numpy.random.RandomState or None
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    components_ : array, (n_components, n_features)
        Atoms: unit rows of the decoder.
    mean_ : array, (n_features,)
        Bias of the decoder, taken from a signal before it is coded.
    encoder_ : array, (n_components, n_features)
    encoder_bias_ : array, (n_components,)
    history_ : dict of arrays, (n_iter,)
        ``residual``: mean over the batches of a pass of ``|X - Z|^2 / |X - mean(X)|^2``;
        ``dead``: atoms that were not active during the pass.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(300, 8))
    >>> model = TopKAutoencoder(12, sparsity=2, n_iter=2, random_state=0).fit(X)
    >>> model.transform(X).shape, model.inverse_transform(model.transform(X)).shape
    ((300, 12), (300, 8))
    """

    def __init__(
        self,
        n_components=None,
        sparsity=None,
        n_iter=30,
        *,
        batch_size=512,
        learning_rate=2e-3,
        random_state=None,
        verbose=False,
    ):
        self.n_components = n_components
        self.sparsity = sparsity
        self.n_iter = n_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X, y=None):
        """Learn encoder and decoder from signals X, (n_samples, n_features)."""
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C")
        n_samples, n_features = X.shape
        n_atoms = n_features if self.n_components is None else self.n_components
        for name, value in (
            ("n_components", n_atoms),
            ("n_iter", self.n_iter),
            ("batch_size", self.batch_size),
        ):
            if value != int(value) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1, got {value}")
        if n_samples < n_atoms:
            raise ValueError(
                f"X has n_samples={n_samples} signals, fewer than n_components={n_atoms} atoms"
            )
        sparsity = max(1, n_features // 10) if self.sparsity is None else self.sparsity
        self.sparsity_ = sparse._check_sparsity(sparsity, n_features, n_atoms)
        rng = check_random_state(self.random_state)
        data = torch.from_numpy(X.astype(np.float32))
        mean = data.mean(dim=0)
        scale = float((data - mean).square().sum(dim=1).mean().sqrt()) or 1.0
        data = data / scale

        # The encoder starts equal to the decoder, which Gao et al. found to prevent dead atoms.
        D = functional.normalize(torch.from_numpy(rng.normal(size=(n_atoms, n_features))).float())
        W, b, c = D.clone(), torch.zeros(n_atoms), mean / scale
        for parameter in (D, W, b, c):
            parameter.requires_grad_()
        batch = min(self.batch_size, n_samples)
        n_batches = n_samples // batch
        n_steps = self.n_iter * n_batches
        optimiser = torch.optim.Adam([D, W, b, c], lr=self.learning_rate)
        fall = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, (n_steps - step) / (n_steps / 5))
        )
        # Batches since an atom was active.
        idle = torch.zeros(n_atoms, dtype=torch.long)
        residual, dead = np.zeros(self.n_iter), np.zeros(self.n_iter, int)
        for i in tqdm(range(self.n_iter), disable=not self.verbose, desc="TopK autoencoder"):
            order = torch.from_numpy(rng.permutation(n_samples))
            for start in range(0, n_batches * batch, batch):
                centred = data[order[start : start + batch]] - c
                where, weights = _encode(centred, W, b, self.sparsity_)
                rest = centred - _decode(where, weights, D)
                loss = rest.square().sum(dim=1).mean()
                residual[i] += loss.item() / n_batches
                idle += 1
                idle[where[weights > 0]] = 0
                lost = torch.nonzero(idle > n_batches).flatten()
                if len(lost):
                    # Dead atoms learn to code what the others leave.
                    n_kept = min(len(lost), 2 * self.sparsity_)
                    where, weights = _encode(centred, W[lost], b[lost], n_kept)
                    missed = rest.detach() - _decode(where, weights, D[lost])
                    loss = loss + AUXILIARY * missed.square().sum(dim=1).mean()
                optimiser.zero_grad()
                loss.backward()
                with torch.no_grad():
                    # Atoms keep their length: the gradient along them would be undone at once.
                    D.grad -= (D.grad * D).sum(dim=1, keepdim=True) * D
                    optimiser.step()
                    D.copy_(functional.normalize(D))
                fall.step()
            dead[i] = int((idle >= n_batches).sum())

        def stored(tensor):
            return tensor.detach().numpy().astype(X.dtype)

        self.components_, self.encoder_ = stored(D), stored(W)
        self.encoder_bias_, self.mean_ = stored(b * scale), stored(c * scale)
        self.history_ = {"residual": residual, "dead": dead}
        return self

    def transform(self, X):
        """Codes of X, (n_samples, n_components), CSR; entries of a row in falling size."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=[np.float64, np.float32], order="C", reset=False)
        proposals = np.maximum((X - self.mean_) @ self.encoder_.T + self.encoder_bias_, 0)
        where = np.argpartition(-proposals, self.sparsity_ - 1, axis=1)[:, : self.sparsity_]
        values = np.take_along_axis(proposals, where, axis=1)
        indptr = np.arange(len(X) + 1) * self.sparsity_
        codes = sp.csr_array((values.ravel(), where.ravel(), indptr), shape=proposals.shape)
        codes.eliminate_zeros()
        return sparse.largest(codes, self.sparsity_)

    def inverse_transform(self, codes):
        """Signals of the given codes: ``codes @ components_ + mean_``."""
        check_is_fitted(self)
        return codes @ self.components_ + self.mean_

    @property
    def _n_features_out(self):
        return self.components_.shape[0]
