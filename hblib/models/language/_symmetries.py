"""Other weights for the same function: the groups under which a Llama-type model stays what it is.

Weights are (n_outputs, n_inputs) and activations rows: a map gives ``x W^T``. Each function takes
the transformation as a matrix, whether or not it belongs to the group, so that what keeps the
model and what breaks it can be tried in the same way.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from numpy.typing import ArrayLike

from hblib._checks import Randomness, as_array, generator, whole
from hblib.models.language._model import GAINS, LanguageModel

READERS = ("q", "k", "v", "gate", "up")  # maps that read the residual stream
WRITERS = ("o", "down")  # maps that write into it


def untie(model: LanguageModel) -> LanguageModel:
    """Give the head weights of its own, equal to the embedding.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> model.tied, untie(model).tied
    (True, False)
    """
    return model.with_weights({"head": model.weights["embedding"]}) if model.tied else model


def fold(model: LanguageModel) -> LanguageModel:
    """Move the gains of the norms into the maps that read them, and set them to one.

    Parameters
    ----------
    model : LanguageModel

    Returns
    -------
    LanguageModel
        The same function, untied.

    Notes
    -----
    With the gain g, ``(x * g) W^T = x (W diag(g))^T``.

    Examples
    --------
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> bool((fold(model).weights["0.gain_mlp"] == 1).all())
    True
    """
    model = untie(model)
    W = dict(model.weights)
    for n in range(model.sizes.n_layers):
        for gain, readers in zip(GAINS, (("q", "k", "v"), ("gate", "up"))):
            for name in readers:
                W[f"{n}.{name}"] = W[f"{n}.{name}"] * W[f"{n}.{gain}"].unsqueeze(-2)
            W[f"{n}.{gain}"] = torch.ones_like(W[f"{n}.{gain}"])
    W["head"] = W["head"] * W["gain"].unsqueeze(-2)
    W["gain"] = torch.ones_like(W["gain"])
    return model.with_weights(W)


def rotate(model: LanguageModel, Q: ArrayLike, unfolded: bool = False) -> LanguageModel:
    """Turn the residual stream: h becomes ``h Q``, whatever reads or writes it is turned along.

    Parameters
    ----------
    model : LanguageModel
    Q : array_like of shape (width, width)
        An orthogonal matrix; `hblib.rotation.haar`, `random_hadamard`, a signed permutation.
    unfolded : bool
        Turn a model whose gains are not folded. It is another function then: a control.

    Returns
    -------
    LanguageModel
        The same function in exact arithmetic, if the gains are folded.

    Raises
    ------
    ValueError
        If Q is not square of the width, not orthogonal, or the gains are not folded.

    Notes
    -----
    RMSNorm without gain commutes with Q because ``|h Q| = |h|``. LayerNorm does not: it subtracts
    the mean of the coordinates, and which direction the mean is taken along depends on the axes.

    References
    ----------
    S. Ashkboos and others, SliceGPT, ICLR 2024, arXiv:2401.15024, call it computational invariance.

    Examples
    --------
    >>> from hblib import rotation
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> model = language.fold(model.to(torch.float64))
    >>> turned = rotate(model, rotation.haar(32, rng=1))
    >>> difference = language.logits(turned, [5, 7, 5]) - language.logits(model, [5, 7, 5])
    >>> bool(difference.abs().max() < 1e-12)
    True
    """
    Q = _matrix(model, "Q", Q, model.sizes.width)
    if (Q.mT @ Q - torch.eye(len(Q), dtype=Q.dtype)).abs().max() > 1e-4:
        raise ValueError("Q must be orthogonal: Q^T Q differs from the identity by more than 1e-4")
    if not unfolded and not is_folded(model):
        raise ValueError("model has gains that are not folded: use fold(model), or unfolded=True")
    W = {name: model.weights[name] @ Q for name in ("embedding", "head") if name in model.weights}
    for n in range(model.sizes.n_layers):
        W |= {f"{n}.{name}": model.weights[f"{n}.{name}"] @ Q for name in READERS}
        W |= {f"{n}.{name}": Q.mT @ model.weights[f"{n}.{name}"] for name in WRITERS}
    return model.with_weights(W)


def is_folded(model: LanguageModel) -> bool:
    """Whether every norm treats all coordinates alike: its gain is one number."""
    gains = [W for name, W in model.weights.items() if "gain" in name]
    return all(bool((g == g[..., :1]).all()) for g in gains)


def turn_values(model: LanguageModel, R: ArrayLike) -> LanguageModel:
    """Turn the values within every head: v becomes ``v R``, and o undoes it.

    Parameters
    ----------
    model : LanguageModel
    R : array_like of shape (head_width, head_width) or (n_layers, n_kv_heads, ...)
        Any invertible matrix, one for all heads or one for each head of keys and values. Query
        heads that share one head of values are undone by the same matrix.

    Returns
    -------
    LanguageModel
        The same function in exact arithmetic.

    Examples
    --------
    >>> from hblib import rotation
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> turned = turn_values(model, rotation.haar(8, rng=1, size=(2, 2)))
    >>> out = [language.logits(m, [5, 7]) for m in (turned, model)]
    >>> torch.allclose(*out, atol=1e-5)
    True
    """
    R = _heads(model, R)
    undo = torch.linalg.inv(R).repeat_interleave(_shared(model), dim=1)
    W = {}
    for n in range(model.sizes.n_layers):
        W[f"{n}.v"] = _left(R[n].mT, model.weights[f"{n}.v"])
        W[f"{n}.o"] = _left(undo[n], model.weights[f"{n}.o"].mT).mT
    return model.with_weights(W)


def turn_queries(model: LanguageModel, R: ArrayLike) -> LanguageModel:
    """Turn queries and keys within every head: q becomes ``q R``, k becomes ``k R^(-T)``.

    Parameters
    ----------
    model : LanguageModel
    R : array_like of shape (head_width, head_width) or (n_layers, n_kv_heads, ...)
        Invertible, one for all heads or one for each head of keys and values.

    Returns
    -------
    LanguageModel
        The same function where R commutes with the rotary positions (`rotary_matrix`), for they act
        between the map and the product; another one for a general R.

    Examples
    --------
    >>> from hblib import rotation
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> def change(R):
    ...     turned = turn_queries(model, R)
    ...     out = [language.logits(m, [5, 7, 9]) for m in (turned, model)]
    ...     return float((out[0] - out[1]).abs().max())
    >>> change(rotary_matrix(8, rng=1)) < 1e-5 < change(rotation.haar(8, rng=1))
    True
    """
    R = _heads(model, R)
    shared = R.repeat_interleave(_shared(model), dim=1)
    W = {}
    for n in range(model.sizes.n_layers):
        W[f"{n}.q"] = _left(shared[n].mT, model.weights[f"{n}.q"])
        W[f"{n}.k"] = _left(torch.linalg.inv(R[n]), model.weights[f"{n}.k"])
    return model.with_weights(W)


def rotary_matrix(
    head_width: int, rng: Randomness, size: int | tuple[int, ...] = (), stretch: float = 0.0
) -> np.ndarray:
    """Draw matrices that commute with rotary positions: a rotation for each pair of coordinates.

    Parameters
    ----------
    head_width : int
        Even; coordinate i is paired with i + head_width / 2.
    rng : int, numpy.random.Generator or None
    size : int or tuple of int
        Batch shape, such as (n_layers, n_kv_heads).
    stretch : float
        Standard deviation of the logarithm of a factor for each pair; 0 for rotations only.

    Returns
    -------
    ndarray of shape (*size, head_width, head_width)

    Examples
    --------
    >>> from hblib import rotation
    >>> bool(rotation.is_orthogonal(rotary_matrix(8, rng=0)))
    True
    """
    half, odd = divmod(whole("head_width", head_width), 2)
    if odd:
        raise ValueError(f"head_width must be even, got {head_width}")
    shape = (size,) if isinstance(size, int) else tuple(size)
    rng = generator(rng)
    angle = rng.uniform(0, 2 * np.pi, (*shape, half))
    factor = np.exp(stretch * rng.normal(size=(*shape, half)))
    c, s = factor * np.cos(angle), factor * np.sin(angle)
    R, pair = np.zeros((*shape, head_width, head_width)), np.arange(half)
    R[..., pair, pair], R[..., pair, pair + half] = c, s
    R[..., pair + half, pair], R[..., pair + half, pair + half] = -s, c
    return R


def turn_neurons(model: LanguageModel, R: ArrayLike, through: bool = True) -> LanguageModel:
    """Turn the MLP neurons of every block: gate and up are turned, and down undoes it.

    Parameters
    ----------
    model : LanguageModel
    R : array_like of shape (n_neurons, n_neurons)
        Invertible. In ``silu(gate) * up`` it may permute; with ``through=False``, which leaves gate
        as it is, it may scale each neuron by any number but 0.
    through : bool
        Whether gate is turned too.

    Returns
    -------
    LanguageModel
        The same function for the matrices named above, another one for all others.

    Examples
    --------
    >>> from hblib import rotation
    >>> from hblib.models import language
    >>> model = language.random_model(language.Sizes(2, 32, 4, 2, 8, 64, 100), rng=0)
    >>> def change(R):
    ...     turned = turn_neurons(model, R)
    ...     out = [language.logits(m, [5, 7, 9]) for m in (turned, model)]
    ...     return float((out[0] - out[1]).abs().max())
    >>> change(rotation.permutation(64, rng=1)) < 1e-5 < change(rotation.haar(64, rng=1))
    True
    """
    R = _matrix(model, "R", R, model.sizes.n_neurons)
    undo = torch.linalg.inv(R)
    W = {}
    for n in range(model.sizes.n_layers):
        if through:
            W[f"{n}.gate"] = R.mT @ model.weights[f"{n}.gate"]
        W[f"{n}.up"] = R.mT @ model.weights[f"{n}.up"]
        W[f"{n}.down"] = model.weights[f"{n}.down"] @ undo.mT
    return model.with_weights(W)


# --- Hadamard matrices ---------------------------------------------------------------------------


def hadamard(k: int) -> np.ndarray:
    """Return a Hadamard matrix divided by sqrt(k): orthogonal, all entries of the same size.

    Parameters
    ----------
    k : int
        A power of two times 1, or times an order that Paley's constructions give: q + 1 for a prime
        q = 3 mod 4, or 2 (q + 1) for a prime q = 1 mod 4. 576 = 16 * 36 is one, with q = 17.

    Returns
    -------
    ndarray of shape (k, k)

    Raises
    ------
    ValueError
        If k is none of these.

    References
    ----------
    R. E. A. C. Paley, "On orthogonal matrices", Journal of Mathematics and Physics 12 (1933),
    311-320.

    Examples
    --------
    >>> H = hadamard(36)
    >>> bool(np.allclose(H @ H.T, np.eye(36))), np.unique(np.abs(H).round(12)).tolist()
    (True, [0.166666666667])
    """
    left, doubled = whole("k", k), 1
    while True:
        core = np.ones((1, 1)) if left == 1 else _paley(left)
        if core is not None:
            return np.kron(scipy.linalg.hadamard(doubled), core) / np.sqrt(k)
        if left % 2:
            raise ValueError(
                f"k must be a power of two times an order of Paley's (such as 12, 20, 28 or 36), "
                f"got {k}"
            )
        left, doubled = left // 2, 2 * doubled


def random_hadamard(k: int, rng: Randomness) -> np.ndarray:
    """Return `hadamard` with random signs of its rows, the rotation of QuaRot.

    Examples
    --------
    >>> from hblib import rotation
    >>> bool(rotation.is_orthogonal(random_hadamard(576, rng=0)))
    True
    """
    return generator(rng).choice([-1.0, 1.0], size=(k, 1)) * hadamard(k)


def _paley(order):
    """A matrix of +-1 with orthogonal rows by Paley's first or second construction, or None."""
    first = order - 1
    if first % 4 == 3 and _is_prime(first):
        S = np.zeros((order, order))
        S[0, 1:], S[1:, 0] = 1, -1
        S[1:, 1:] = _residues(first)
        return S + np.eye(order)
    second = order // 2 - 1
    if order % 2 == 0 and second % 4 == 1 and _is_prime(second):
        C = np.zeros((second + 1, second + 1))
        C[0, 1:] = C[1:, 0] = 1
        C[1:, 1:] = _residues(second)
        eye = np.eye(second + 1)
        return np.kron(C, [[1, 1], [1, -1]]) + np.kron(eye, [[1, -1], [-1, -1]])
    return None


def _residues(q):
    squares = {i * i % q for i in range(1, q)}
    of = np.array([0] + [1 if i in squares else -1 for i in range(1, q)])
    i = np.arange(q)
    return of[(i[:, None] - i) % q]


def _is_prime(n):
    return n > 1 and all(n % i for i in range(2, int(n**0.5) + 1))


# --- helpers -------------------------------------------------------------------------------------


def _matrix(model, name, Q, size):
    Q = as_array(name, Q, 2)
    if Q.shape != (size, size):
        raise ValueError(f"{name} must have the shape ({size}, {size}), got {Q.shape}")
    return torch.tensor(Q, dtype=model.dtype)


def _heads(model, R):
    sizes = model.sizes
    R = as_array("R", R, (2, 4))
    wanted = (sizes.n_layers, sizes.n_kv_heads, sizes.head_width, sizes.head_width)
    if R.shape not in (wanted, wanted[2:]):
        raise ValueError(f"R must have the shape {wanted[2:]} or {wanted}, got {R.shape}")
    return torch.tensor(R, dtype=model.dtype).expand(wanted)


def _shared(model):
    return model.sizes.n_heads // model.sizes.n_kv_heads


def _left(R, W):
    """One matrix (heads, width, width) on the rows of each head of W (..., heads * width, n)."""
    return (R @ W.unflatten(-2, (len(R), -1))).flatten(-3, -2)
