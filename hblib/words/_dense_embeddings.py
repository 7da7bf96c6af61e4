"""The losses of word2vec and GloVe in full: every pair of words at every step, no sampling.

With a vocabulary of a few thousand words the expected loss of skip-gram and the whole loss of GloVe
fit into a dense matrix. Training becomes deterministic, several seeds run together, and every rule
of `hblib.rotation` can be used: the problems here are problems in the sense of its factorisation,
with words as columns of A and contexts as columns of B, so that its training and its equivariance
defect apply as well. Both losses are scaled so that a word of average weight has weight 1, whatever
the corpus.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from hblib._checks import number, whole
from hblib.rotation import Parameters, Step, descent_rule, train_factorisation
from hblib.words._embeddings import check_words
from hblib.words._word_vectors import Embedding
from hblib.worlds._texts import Cooccurrence

_ROWS = 250  # words taken at a time, so that their part of the matrix stays in the cache


@dataclass(frozen=True, eq=False)
class _Problem:
    """What the two losses share: words, contexts, and going through the matrix in blocks of rows.

    Parameters
    ----------
    counts : Cooccurrence
    dtype : torch.dtype
        float32 by default; float64 to test theorems.
    n_threads : int
        Threads for one step. The result depends on it only by rounding.
    """

    counts: Cooccurrence
    dtype: torch.dtype = torch.float32
    n_threads: int = 1
    # Number of rotated copies of the seeds in a batch; both losses take one seed at a time.
    twins: int = 1

    tasks = None

    def __post_init__(self) -> None:
        whole("n_threads", self.n_threads)
        whole("twins", self.twins)
        if len(self.counts.words) < 2:
            raise ValueError(
                f"the vocabulary must have at least 2 words, got {len(self.counts.words)}"
            )
        if not self.counts.matrix.nnz:
            raise ValueError("counts must have at least one non-zero entry")
        for name, X in self._matrices().items():
            object.__setattr__(self, name, torch.as_tensor(X).to(self.dtype).contiguous())

    @property
    def shape(self) -> tuple[int, int]:
        """(V, V)."""
        return self.counts.matrix.shape

    def with_twins(self, twins: int) -> _Problem:
        """The same problem for a batch in which all seeds are repeated ``twins`` times."""
        return replace(self, twins=twins * self.twins)

    def parameters(
        self, A: np.ndarray, B: np.ndarray, names: tuple[str, str] = ("A0", "B0")
    ) -> Parameters:
        """Check that (A, B) fits and copy it to this problem's precision."""
        theta = Parameters(A, B, self.dtype, names)
        if (theta.A.shape[2], theta.B.shape[2]) != self.shape:
            raise ValueError(
                f"{names[0]} and {names[1]} need one column per word, {self.shape[0]}, got "
                f"{theta.A.shape[2]} and {theta.B.shape[2]}"
            )
        return theta

    def value(self, theta: Parameters) -> torch.Tensor:
        """What is minimised, (S,)."""
        out = torch.zeros(len(theta.A), dtype=torch.float64)
        for s, (A, B) in enumerate(zip(*self._factors(theta))):
            out[s] = sum(self._block_value(A[:, r].mT @ B, r) for r in self._blocks())
        return out * self.scale

    def gradient_(self, theta: Parameters, grad: Parameters, t: int = 0) -> None:
        """Write the gradient at ``theta`` into ``grad``."""
        A, B = self._factors(theta)
        blocks = list(self._blocks())
        shares = [blocks[i :: self.n_threads] for i in range(self.n_threads)]

        def visit(share: list[slice]) -> torch.Tensor:
            gB = torch.zeros_like(B)
            for rows in share:
                for s in range(len(A)):
                    a = A[s][:, rows]
                    G = self._block_slope(a.mT @ B[s], rows)
                    grad.A[s, :, rows] = B[s] @ G.mT
                    gB[s].addmm_(a, G)
            return gB

        if self.n_threads == 1:
            grad.B.copy_(visit(blocks))
        else:
            with ThreadPoolExecutor(self.n_threads) as pool:
                grad.B.copy_(sum(pool.map(visit, shares)))
        grad.flat.mul_(self.scale)

    def _blocks(self) -> list[slice]:
        return [slice(i, min(i + _ROWS, self.shape[0])) for i in range(0, self.shape[0], _ROWS)]

    def _factors(self, theta: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
        return theta.A, theta.B


@dataclass(frozen=True, eq=False)
class DenseSkipGram(_Problem):
    """Expected loss of skip-gram with negative sampling over all pairs of words.

    With X the (expected) counts, row sums n and noise probabilities q ~ count^0.75 it is the sum of
    ``-X_ij log s(p_ij) - N_ij log s(-p_ij)`` for p = w_i . c_j, where ``N_ij = k q_j (n_i - X_ij)``
    since noise words equal to the target are skipped. `dense_loss` is per pair of the text.

    Parameters
    ----------
    counts : Cooccurrence
        With the weights ``"expected"`` for the windows of word2vec.
    n_negative : int
        Noise words k per pair.
    dtype, n_threads
        Precision, and threads for one step.

    References
    ----------
    Levy and Goldberg (2014), equations 2 to 4.

    Examples
    --------
    >>> from hblib import words
    >>> text = words.encode(["one two three four", "three four one two"])
    >>> DenseSkipGram(words.cooccurrence(text, window=2, weights="expected")).shape
    (4, 4)
    """

    n_negative: int = 5

    def _matrices(self) -> dict[str, np.ndarray]:
        whole("n_negative", self.n_negative)
        X = self.counts.matrix.toarray()
        noise = self.counts.counts**0.75
        total = X + self.n_negative * noise / noise.sum() * (X.sum(1, keepdims=True) - X)
        object.__setattr__(self, "scale", len(X) / X.sum())
        object.__setattr__(self, "loss_scale", 1 / len(X))
        return {"_X": X, "_total": total}

    def _block_value(self, P: torch.Tensor, rows: slice) -> torch.Tensor:
        return (F.softplus(P) * self._total[rows] - P * self._X[rows]).double().sum()

    def _block_slope(self, P: torch.Tensor, rows: slice) -> torch.Tensor:
        return P.sigmoid_().mul_(self._total[rows]).sub_(self._X[rows])

    def pack(self, embedding: Embedding) -> tuple[np.ndarray, np.ndarray]:
        """Columns (A, B) of the parameters, each (d, V)."""
        return embedding.W.T, embedding.C.T

    def unpack(self, A: np.ndarray, B: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of an `Embedding` from one seed's A and B."""
        return {"W": A.T.copy(), "C": B.T.copy()}

    def action(self, U: np.ndarray) -> np.ndarray:
        """The matrix by which turning all word vectors by U acts on the columns of A and B."""
        return np.asarray(U)


@dataclass(frozen=True, eq=False)
class DenseGloVe(_Problem):
    """GloVe's loss: the sum of ``f(x_ij) / 2 (w_i . c_j + b_i + c_j - log x_ij)^2`` over x_ij > 0.

    The biases are two more hidden units, (w, b, 1) against (c, 1, b'); the ones are put back
    before every use, so that no rule can move them. A rotation of the vectors leaves those two
    alone: see `action`. `dense_loss` is per non-zero entry, as the original program prints it.

    Parameters
    ----------
    counts : Cooccurrence
    x_max, alpha : float
        An entry x has the weight ``f = min(1, (x / x_max) ** alpha)``.
    dtype, n_threads
        Precision, and threads for one step.

    References
    ----------
    Pennington, Socher and Manning (2014), equation 8.

    Examples
    --------
    >>> from hblib import words
    >>> text = words.encode(["one two three four", "three four one two"])
    >>> DenseGloVe(words.cooccurrence(text, window=2), x_max=10.0).shape
    (4, 4)
    """

    x_max: float = 100.0
    alpha: float = 0.75

    def _matrices(self) -> dict[str, np.ndarray]:
        number("x_max", self.x_max, above=0)
        number("alpha", self.alpha, above=0)
        X = self.counts.matrix.toarray()
        weight = np.minimum(1.0, (X / self.x_max) ** self.alpha)
        object.__setattr__(self, "scale", len(X) / weight.sum())
        object.__setattr__(self, "loss_scale", 1 / self.scale / self.counts.matrix.nnz)
        return {"_weight": weight, "_log": np.log(np.where(X > 0, X, 1.0))}

    def _factors(self, theta: Parameters) -> tuple[torch.Tensor, torch.Tensor]:
        theta.A[:, -1] = 1.0
        theta.B[:, -2] = 1.0
        return theta.A, theta.B

    def gradient_(self, theta: Parameters, grad: Parameters, t: int = 0) -> None:
        """Write the gradient at ``theta`` into ``grad``."""
        super().gradient_(theta, grad, t)
        grad.A[:, -1] = 0.0
        grad.B[:, -2] = 0.0

    def _block_value(self, P: torch.Tensor, rows: slice) -> torch.Tensor:
        return (P.sub_(self._log[rows]).square_().mul_(self._weight[rows])).double().sum() / 2

    def _block_slope(self, P: torch.Tensor, rows: slice) -> torch.Tensor:
        return P.sub_(self._log[rows]).mul_(self._weight[rows])

    def pack(self, embedding: Embedding) -> tuple[np.ndarray, np.ndarray]:
        """Columns (A, B) of the parameters, each (d + 2, V)."""
        W, C = embedding.W, embedding.C
        one, zero = np.ones((1, len(W))), np.zeros((1, len(W)))
        b = zero if embedding.b is None else embedding.b[None]
        c = zero if embedding.c is None else embedding.c[None]
        return np.concatenate([W.T, b, one]), np.concatenate([C.T, one, c])

    def unpack(self, A: np.ndarray, B: np.ndarray) -> dict[str, np.ndarray]:
        """The fields of an `Embedding` from one seed's A and B."""
        return {"W": A[:-2].T.copy(), "C": B[:-2].T.copy(), "b": A[-2].copy(), "c": B[-1].copy()}

    def action(self, U: np.ndarray) -> np.ndarray:
        """The matrix by which turning all word vectors by U acts on the columns of A and B."""
        U = np.asarray(U)
        out = np.zeros((*U.shape[:-2], U.shape[-2] + 2, U.shape[-1] + 2))
        out[..., :-2, :-2] = U
        out[..., [-2, -1], [-2, -1]] = 1.0
        return out


def train_dense(
    problem: DenseSkipGram | DenseGloVe,
    initial: list[Embedding],
    rule: Callable[..., Step],
    n_steps: int,
    record: int | None = None,
    **options: Any,
) -> list[Embedding]:
    """Train word vectors from several initial ones with the whole loss.

    Parameters
    ----------
    problem : DenseSkipGram or DenseGloVe
    initial : list of Embedding
        From `initial_vectors`, one per seed, with the words of the problem in its order.
    rule : callable
        For instance ``rotation.RULES["adagrad-word"]``, or `word_and_matrix_adagrad`.
    n_steps : int
    record : int, optional
        Record the loss every that many steps; by default only at the beginning and at the end.
    **options
        Passed to the rule, for instance ``lr=0.1``.

    Returns
    -------
    list of Embedding
        ``loss`` holds the recorded losses, that of the initial vectors first.

    Raises
    ------
    ValueError
        If initial vectors have other words than the problem.

    Examples
    --------
    >>> from hblib import rotation
    >>> from hblib import words
    >>> from hblib.words import initial_vectors
    >>> text = words.encode(["one two three four one two", "three four one two three"])
    >>> problem = DenseSkipGram(words.cooccurrence(text, window=2, weights="expected"))
    >>> initial = initial_vectors("word2vec", text.words, dim=2, rng=0)
    >>> rule = rotation.RULES["adagrad-word"]
    >>> run = train_dense(problem, [initial], rule, n_steps=50, lr=0.1)[0]
    >>> bool(run.loss[-1] < 0.9 * run.loss[0])
    True
    """
    if isinstance(initial, Embedding):
        raise ValueError("initial must be a list of embeddings, one per seed")
    for embedding in initial:
        check_words("initial", embedding, problem.counts.words)
    packed = [problem.pack(embedding) for embedding in initial]
    A, B = (np.stack(side) for side in zip(*packed))
    run = train_factorisation(problem, A, B, rule, n_steps, record, **options)
    loss = run.error * problem.loss_scale
    return [
        Embedding(problem.counts.words, **problem.unpack(run.A[s], run.B[s]), loss=loss[:, s])
        for s in range(len(initial))
    ]


def dense_loss(problem: DenseSkipGram | DenseGloVe, embedding: Embedding) -> float:
    """Return the whole loss of word vectors.

    Parameters
    ----------
    problem : DenseSkipGram or DenseGloVe
    embedding : Embedding
        With the words of the problem in its order.

    Returns
    -------
    float
        Per pair of the text (`DenseSkipGram`), or per entry (`DenseGloVe`).

    Raises
    ------
    ValueError
        If the embedding has other words than the problem.

    Examples
    --------
    >>> from hblib import words
    >>> text = words.encode(["one two three four", "three four one two"])
    >>> problem = DenseSkipGram(words.cooccurrence(text), n_negative=1)
    >>> zeros = Embedding(text.words, np.zeros((4, 2)), np.zeros((4, 2)))
    >>> round(dense_loss(problem, zeros), 2)  # below 2 log 2: noise equal to the target is skipped
    1.21
    """
    check_words("embedding", embedding, problem.counts.words)
    value = problem.value(problem.parameters(*problem.pack(embedding)))
    return float(value[0]) * problem.loss_scale


@descent_rule
def word_and_matrix_adagrad(
    problem: _Problem,
    theta: Parameters,
    grad: Parameters,
    eps: float = 1e-10,
    damping: float = 1e-2,
) -> Step:
    """Adagrad per word, then a full k x k matrix on the hidden index.

    Word frequencies spread over orders of magnitude, and so do the curvatures along words; the
    scalars take away the first spread, the matrix that between directions of the hidden space.
    Lengths and Gram matrices turn with the hidden space: the rule is equivariant under O(k).
    """
    sums = [torch.zeros_like(X[:, :1]) for X in (grad.A, grad.B)]
    size, n_columns = theta.A.shape[1], theta.A.shape[2] + theta.B.shape[2]
    total = (damping * torch.eye(size, dtype=theta.A.dtype)).repeat(len(theta.A), 1, 1)

    def transform(t: int) -> None:
        for X, s in zip((grad.A, grad.B), sums):
            s.add_(X.square().mean(1, True))
            X.div_(s.sqrt().add_(eps))
            total.baddbmm_(X, X.mT, alpha=1 / n_columns)
        values, vectors = torch.linalg.eigh(total)
        root = (vectors * values.rsqrt().unsqueeze(-2)) @ vectors.mT
        for X in (grad.A, grad.B):
            X.copy_(root @ X)

    return transform
