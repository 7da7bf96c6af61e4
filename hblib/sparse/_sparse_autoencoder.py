"""TopK sparse autoencoder: sparse codes from one matrix product instead of a pursuit.

The modern descendant of dictionary learning on hidden vectors [1]_. A linear encoder proposes a
coefficient for every atom at once, only the `sparsity` largest positive ones are kept, and a linear
decoder with unit rows adds up the atoms. Encoder and decoder are learned together by gradient
descent. The constraint is K-SVD's; the difference is that codes are predicted instead of searched
for.

References
----------
.. [1] L. Gao, T. Dupre la Tour, H. Tillman, G. Goh, R. Troll, A. Radford, I. Sutskever, J. Leike
   and J. Wu, "Scaling and evaluating sparse autoencoders", ICLR 2025, arXiv:2406.04093.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from tqdm import tqdm

from hblib._checks import number, whole
from hblib.sparse import _sparse as sparse
from hblib.sparse._base import SparseTransformer

if TYPE_CHECKING:
    import torch

# Weight of the auxiliary loss by which dead atoms learn what the others leave: Gao et al., A.2.
AUXILIARY = 1 / 32


def _encode(
    centred: torch.Tensor, W: torch.Tensor, b: torch.Tensor, sparsity: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the most active atoms, (n_samples, sparsity), and their activations.

    The choice is made without gradients, then only the chosen activations are computed again: they
    alone receive gradients.
    """
    import torch

    with torch.no_grad():
        where = (centred @ W.T + b).topk(sparsity, dim=1, sorted=False).indices
    rows = torch.nn.functional.embedding(where, W)
    return where, torch.relu(torch.einsum("sf,skf->sk", centred, rows) + b[where])


def _decode(where: torch.Tensor, weights: torch.Tensor, D: torch.Tensor) -> torch.Tensor:
    """Return the sums of the chosen atoms, (n_samples, n_features)."""
    import torch

    return torch.nn.functional.embedding_bag(where, D, per_sample_weights=weights, mode="sum")


class TopKAutoencoder(SparseTransformer):
    """Sparse autoencoder that keeps the `sparsity` largest activations of each signal.

    It learns in single precision, from signals whose mean has been subtracted in double precision
    and whose mean squared length is 1. So atoms do not depend on the unit of the signals.

    Parameters
    ----------
    n_components : int, optional
        Number of atoms; by default as many as features.
    sparsity : int, optional
        Number of activations kept per signal; by default a tenth of the features.
    n_iter : int
        Passes over the signals.
    batch_size : int
        Signals in one gradient step.
    learning_rate : float
        Step length of Adam; it falls linearly to zero over the last fifth of the steps.
    random_state : int, numpy.random.RandomState or None
        Draws the first atoms and the batches.
    verbose : bool
        Show a progress bar.

    Attributes
    ----------
    components_ : array, (n_components, n_features)
        Atoms: unit rows of the decoder.
    mean_ : array, (n_features,)
        Bias of the decoder, subtracted from a signal before it is coded.
    encoder_ : array, (n_components, n_features)
        Weights of the encoder.
    encoder_bias_ : array, (n_components,)
        Bias of the encoder, in the units of X.
    history_ : dict of arrays, (n_iter,)
        ``residual``: mean over the batches of a pass of ``|X - Z|^2 / |X - mean(X)|^2``;
        ``dead``: atoms that were not active during the pass.

    Examples
    --------
    >>> import numpy as np
    >>> from hblib import sparse
    >>> X = np.random.default_rng(0).normal(size=(300, 8))
    >>> model = sparse.TopKAutoencoder(12, sparsity=2, n_iter=2, random_state=0).fit(X)
    >>> model.transform(X).shape, model.inverse_transform(model.transform(X)).shape
    ((300, 12), (300, 8))
    """

    def __init__(
        self,
        n_components: int | None = None,
        sparsity: int | None = None,
        n_iter: int = 30,
        *,
        batch_size: int = 512,
        learning_rate: float = 2e-3,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.n_components = n_components
        self.sparsity = sparsity
        self.n_iter = n_iter
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: ArrayLike, y: object = None) -> TopKAutoencoder:
        """Learn encoder and decoder.

        Parameters
        ----------
        X : array_like, (n_samples, n_features)
            Signals, at least as many as atoms.
        y
            Ignored.

        Returns
        -------
        TopKAutoencoder
            This estimator.
        """
        import torch
        from torch.nn import functional

        X = self._signals(X)
        n_samples, n_features = X.shape
        n_atoms = self._n_atoms(X)
        batch = min(whole("batch_size", self.batch_size), n_samples)
        learning_rate = number("learning_rate", self.learning_rate, above=0)
        rng = check_random_state(self.random_state)
        data, mean, scale = _standardised(X)
        data = torch.from_numpy(data)

        # The encoder starts equal to the decoder, which Gao et al. found to prevent dead atoms.
        D = functional.normalize(torch.from_numpy(rng.normal(size=(n_atoms, n_features))).float())
        W, b, c = D.clone(), torch.zeros(n_atoms), torch.zeros(n_features)
        for parameter in (D, W, b, c):
            parameter.requires_grad_()
        n_batches = n_samples // batch
        n_steps = self.n_iter * n_batches
        optimiser = torch.optim.Adam([D, W, b, c], lr=learning_rate)
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

        def stored(tensor, scale=1.0, origin=0.0):
            return (origin + tensor.detach().double().numpy() * scale).astype(X.dtype)

        self.components_, self.encoder_ = stored(D), stored(W)
        self.encoder_bias_, self.mean_ = stored(b, scale), stored(c, scale, mean)
        self.history_ = {"residual": residual, "dead": dead}
        return self

    def transform(self, X: ArrayLike) -> sp.csr_array:
        """Return the codes of X.

        Parameters
        ----------
        X : array_like, (n_samples, n_features)

        Returns
        -------
        scipy.sparse.csr_array, (n_samples, n_components)
            Positive coefficients; within a row, entries are in order of decreasing size.
        """
        check_is_fitted(self)
        X = self._signals(X, reset=False)
        proposals = np.maximum((X - self.mean_) @ self.encoder_.T + self.encoder_bias_, 0)
        where = np.argpartition(-proposals, self.sparsity_ - 1, axis=1)[:, : self.sparsity_]
        values = np.take_along_axis(proposals, where, axis=1)
        indptr = np.arange(len(X) + 1) * self.sparsity_
        codes = sp.csr_array((values.ravel(), where.ravel(), indptr), shape=proposals.shape)
        codes.eliminate_zeros()
        return sparse.largest(codes, self.sparsity_)

    def inverse_transform(self, codes: ArrayLike | sp.sparray) -> np.ndarray:
        """Return the signals of the given codes, ``codes @ components_ + mean_``.

        Parameters
        ----------
        codes : sparse array or array_like, (n_samples, n_components)

        Returns
        -------
        ndarray, (n_samples, n_features)
        """
        return super().inverse_transform(codes) + self.mean_


def _standardised(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return ``(X - mean) / scale`` in single precision, mean and scale in double.

    The root mean squared length of the rows becomes 1. Constant signals become zeros.
    """
    unit = sparse.power_of_two(X)
    X = X / unit
    mean = X.mean(axis=0, dtype=np.float64)
    # A small spread about a large mean has its digits only as long as both are in double precision.
    data = np.subtract(X, mean, out=np.empty(X.shape, np.float32), casting="same_kind")
    scale = float(np.sqrt(np.square(data).sum(axis=1).mean()))
    if scale <= X.size * np.finfo(float).eps:  # the rounding of the mean
        data, scale = np.zeros_like(data), 1.0
    return data / np.float32(scale), mean * float(unit), scale * float(unit)
