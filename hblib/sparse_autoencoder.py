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
from tqdm.auto import tqdm

from hblib import sparse

# Share of the auxiliary loss, after Gao et al., appendix A.2: dead atoms fit what the others leave.
AUXILIARY = 1 / 32


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
        Of Adam; it falls linearly to zero over the last fifth of the steps.
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
        ``dead``: atoms that were not active in the pass.

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
        if n_atoms != int(n_atoms) or n_atoms < 1:
            raise ValueError(f"n_components must be a whole number from 1, got {n_atoms}")
        if n_samples < n_atoms:
            raise ValueError(
                f"X has n_samples={n_samples} signals, fewer than n_components={n_atoms} atoms"
            )
        sparsity = max(1, n_features // 10) if self.sparsity is None else self.sparsity
        self.sparsity_ = sparse._check_sparsity(sparsity, n_features, n_atoms)
        rng = check_random_state(self.random_state)
        data = torch.from_numpy(X.astype(np.float32))
        mean = data.mean(dim=0)
        spread = float((data - mean).square().sum(dim=1).mean()) or 1.0
        scale = spread**0.5
        data = data / scale

        # Atoms start at random, encoder equal to decoder, as Gao et al. advise against dead atoms.
        D = torch.from_numpy(rng.normal(size=(n_atoms, n_features)).astype(np.float32))
        D = (D / D.norm(dim=1, keepdim=True)).requires_grad_()
        W = D.detach().clone().requires_grad_()
        b = torch.zeros(n_atoms, requires_grad=True)
        c = (mean / scale).clone().requires_grad_()
        batch = min(self.batch_size, n_samples)
        n_steps = self.n_iter * (n_samples // batch)
        optimiser = torch.optim.Adam([D, W, b, c], lr=self.learning_rate, betas=(0.9, 0.999))
        fall = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: min(1.0, max(0.0, (n_steps - step) / (0.2 * n_steps)))
        )
        idle = torch.zeros(n_atoms)
        residual, dead = np.empty(self.n_iter), np.empty(self.n_iter, int)
        for i in tqdm(range(self.n_iter), disable=not self.verbose, desc="TopK autoencoder"):
            order = torch.from_numpy(rng.permutation(n_samples))
            total, active = 0.0, torch.zeros(n_atoms, dtype=torch.bool)
            for start in range(0, n_samples - batch + 1, batch):
                x = data[order[start : start + batch]]
                proposals = torch.relu((x - c) @ W.T + b)
                top, where = proposals.topk(self.sparsity_, dim=1)
                rest = x - c - torch.zeros_like(proposals).scatter(1, where, top) @ D
                loss = rest.square().sum(dim=1).mean()
                total += float(loss.detach())
                used = torch.zeros(n_atoms, dtype=torch.bool)
                used[where[top > 0]] = True
                active |= used
                idle = torch.where(used, 0.0, idle + 1)
                lost = torch.nonzero(idle * batch > n_samples).flatten()
                if len(lost):
                    loss = loss + AUXILIARY * self._auxiliary(rest, x, c, W[lost], b[lost], D[lost])
                optimiser.zero_grad()
                loss.backward()
                with torch.no_grad():
                    # Only the direction of an atom is free, so is the part of its gradient.
                    D.grad -= (D.grad * D).sum(dim=1, keepdim=True) * D
                optimiser.step()
                fall.step()
                with torch.no_grad():
                    D /= D.norm(dim=1, keepdim=True)
            residual[i] = total / (n_samples // batch)
            dead[i] = int((~active).sum())
        self.components_ = D.detach().numpy().astype(X.dtype)
        self.encoder_ = W.detach().numpy().astype(X.dtype)
        self.encoder_bias_ = (b.detach() * scale).numpy().astype(X.dtype)
        self.mean_ = (c.detach() * scale).numpy().astype(X.dtype)
        self.history_ = {"residual": residual, "dead": dead}
        return self

    def _auxiliary(self, rest, x, c, W, b, D):
        """Loss of the dead atoms as a second autoencoder, of what the live ones leave."""
        proposals = torch.relu((x - c) @ W.T + b)
        top, where = proposals.topk(min(len(D), 2 * self.sparsity_), dim=1)
        fit = torch.zeros_like(proposals).scatter(1, where, top) @ D
        return (rest.detach() - fit).square().sum(dim=1).mean()

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
