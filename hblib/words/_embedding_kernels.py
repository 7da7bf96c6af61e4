"""Inner loops of word2vec and GloVe, compiled by numba, with the update rule inlined.

A kernel visits pairs of words one after the other, as the original programs do, and after each
changes the rows concerned. The update rule is a number known when the kernel is compiled:
`sgns_kernel` and `glove_kernel` compile one kernel for every rule and dimension and keep it on
disk, so that a rule is a name in Python and yet costs nothing in the loop.

Draws are separate from updates: `draw_pairs` is given the state of a generator and no parameters,
so that two runs with one seed see the same pairs, whatever their rule, initial vectors and
precision. Sums are taken in any order, for speed: they are repeatable on one processor, and on
another one equal up to rounding.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hblib._checks import number
from hblib._compiled import njit

# --- draws ---------------------------------------------------------------------------------------


@njit(nogil=True)
def count_neighbours(tokens, begin, end, places, first, table):
    """Rows of the co-occurrence matrix, as (indptr, indices, values) of a CSR array."""
    n_words, window = len(first) - 1, len(table) - 1
    row = np.zeros(n_words)
    seen = np.empty(n_words, np.int32)
    capacity = 4 * n_words + 16
    indices, values = np.empty(capacity, np.int32), np.empty(capacity)
    indptr = np.zeros(n_words + 1, np.int64)
    n = 0
    for word in range(n_words):
        n_seen = 0
        for place in places[first[word] : first[word + 1]]:
            low, high = max(begin[place], place - window), min(end[place], place + window + 1)
            for other in range(low, high):
                if other != place:
                    context = tokens[other]
                    if row[context] == 0.0:
                        seen[n_seen] = context
                        n_seen += 1
                    row[context] += table[abs(other - place)]
        if n + n_seen > capacity:
            capacity = 2 * (n + n_seen)
            wider, longer = np.empty(capacity, np.int32), np.empty(capacity)
            wider[:n], longer[:n] = indices[:n], values[:n]
            indices, values = wider, longer
        for context in np.sort(seen[:n_seen]):
            indices[n], values[n] = context, row[context]
            row[context] = 0.0
            n += 1
        indptr[word + 1] = n
    return indptr, indices[:n].copy(), values[:n].copy()


@njit
def alias_table(p):
    """Walker's alias table of a distribution (V,): thresholds in 32 bits, and aliases."""
    n = len(p)
    scaled = p * (n / p.sum())
    threshold, alias = np.full(n, 2**32 - 1, np.int64), np.arange(n).astype(np.int32)
    small, large = np.empty(n, np.int32), np.empty(n, np.int32)
    n_small = n_large = 0
    for i in range(n):
        if scaled[i] < 1.0:
            small[n_small] = i
            n_small += 1
        else:
            large[n_large] = i
            n_large += 1
    while n_small and n_large:
        n_small -= 1
        s, big = small[n_small], large[n_large - 1]
        threshold[s], alias[s] = np.int64(scaled[s] * 2.0**32), big
        scaled[big] -= 1.0 - scaled[s]
        if scaled[big] < 1.0:
            n_large -= 1
            small[n_small] = big
            n_small += 1
    return threshold, alias


@njit(nogil=True)
def _next(state):
    """64 random bits by xorshift64*, of which the upper 32 are used."""
    x = state[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    state[0] = x
    return x * np.uint64(2685821657736338717)


@njit(nogil=True)
def _below(state, n):
    return np.int64(((_next(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(nogil=True)
def draw_pairs(tokens, begin, end, low, high, window, threshold, alias, pairs, noise, state):
    """Fill in pairs (input, target) and noise words for the centres from `low` on.

    As in word2vec the word beside the centre is the input and the centre its target. Stops at the
    centre `high`, or when there is no room for another window in `pairs` (n, 2) and `noise` (n, k).

    Returns
    -------
    n_pairs, next_centre : int
    """
    n = 0
    for centre in range(low, high):
        if n + 2 * window > len(pairs):
            return n, centre
        half = 1 + _below(state, window)
        for other in range(max(begin[centre], centre - half), min(end[centre], centre + half + 1)):
            if other == centre:
                continue
            pairs[n, 0], pairs[n, 1] = tokens[other], tokens[centre]
            for j in range(noise.shape[1]):
                word = _below(state, len(alias))
                if np.int64(_next(state) >> np.uint64(32)) >= threshold[word]:
                    word = np.int64(alias[word])
                noise[n, j] = word
            n += 1
    return n, high


# --- update rules --------------------------------------------------------------------------------

# What a rule remembers of a row: a running mean or velocity ``M``, squares ``S`` (of every
# coordinate, or one number per word), and for Adam the powers of its two betas. It changes only
# when the word is seen. The full matrix keeps its k x k root in ``M``, the sum of g g^T in ``S``.
MEMORY = {
    "sgd": ("none", "none"),
    "momentum": ("coordinate", "none"),
    "adagrad": ("none", "coordinate"),
    "adagrad-word": ("none", "word"),
    "adagrad-full": ("matrix", "matrix"),
    "glove": ("none", "coordinate"),
    "adam": ("coordinate", "coordinate"),
    "adam-word": ("coordinate", "word"),
}
RULES = tuple(MEMORY)
SGD, MOMENTUM, ADAGRAD, ADAGRAD_WORD, ADAGRAD_FULL, GLOVE, ADAM, ADAM_WORD = range(len(RULES))

_FAST = {"reassoc", "contract", "nsz"}


class Settings(NamedTuple):
    """Numbers of an update rule, in the precision of the vectors: a literal would widen it.

    Attributes
    ----------
    lr : float
        Learning rate.
    beta1, beta2 : float
        How much of the running mean of the gradient (the velocity), and of its square, is kept.
    new1, new2 : float
        ``1 - beta1`` and ``1 - beta2``.
    eps : float
        Added to roots that are divided by.
    zero, one : float
        These two in that precision, for skip-gram. They are data and not constants of its kernel:
        the compiler orders sums differently when it knows them, and published numbers would change
        in their last digit.
    """

    lr: np.floating
    beta1: np.floating
    new1: np.floating
    beta2: np.floating
    new2: np.floating
    eps: np.floating
    zero: np.floating
    one: np.floating


class Memory(NamedTuple):
    """What a rule remembers of one matrix of vectors; see `MEMORY` for the shapes."""

    M: np.ndarray
    S: np.ndarray
    powers: np.ndarray


class Entries(NamedTuple):
    """Non-zero entries of a co-occurrence matrix, each array of shape (n_entries,)."""

    rows: np.ndarray
    columns: np.ndarray
    log_x: np.ndarray
    weight: np.ndarray


def settings(
    lr: float,
    dtype: np.dtype | type,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
) -> Settings:
    """Return the numbers of a rule in the precision of the vectors.

    Parameters
    ----------
    lr : float
        Learning rate.
    dtype : numpy.dtype
        float32 or float64.
    betas : tuple of float, optional
        Of momentum (the first) and Adam (both).
    eps : float, optional
        Added to the roots that Adagrad and Adam divide by.

    Examples
    --------
    >>> settings(0.5, np.float32, eps=0.25).eps.dtype
    dtype('float32')
    """
    b1, b2 = (number("betas", beta, least=0, most=1) for beta in betas)
    eps = number("eps", eps, least=0)
    numbers = (lr, b1, 1 - b1, b2, 1 - b2, eps, 0, 1)
    return Settings(*map(np.dtype(dtype).type, numbers))


@njit(cache=False, nogil=True, fastmath=_FAST, inline="always")
def _update(RULE, D, X, i, g, memory, h, zero, one):
    """Row update x_i <- x_i - step(g) of one rule; D is the length of the row."""
    lr, b1, a1, b2, a2, eps = h.lr, h.beta1, h.new1, h.beta2, h.new2, h.eps
    M, S, powers = memory.M, memory.S, memory.powers
    if RULE == SGD:
        for k in range(D):
            X[i, k] -= lr * g[k]
    elif RULE == MOMENTUM:
        for k in range(D):
            M[i, k] = b1 * M[i, k] + g[k]
            X[i, k] -= lr * M[i, k]
    elif RULE == ADAGRAD:
        for k in range(D):
            S[i, k] += g[k] * g[k]
            X[i, k] -= lr * g[k] / (math.sqrt(S[i, k]) + eps)
    elif RULE == GLOVE:
        # The accumulators start at 1 and grow after use, as in glove.c.
        for k in range(D):
            a = lr * g[k]
            X[i, k] -= a / math.sqrt(S[i, k])
            S[i, k] += a * a
    elif RULE == ADAGRAD_WORD:
        square = zero
        for k in range(D):
            square += g[k] * g[k]
        S[i, 0] += square / D
        rate = lr / (math.sqrt(S[i, 0]) + eps)
        for k in range(D):
            X[i, k] -= rate * g[k]
    elif RULE == ADAGRAD_FULL:
        for k in range(D):
            step = zero
            for m in range(D):
                S[k, m] += g[k] * g[m]
                step += M[k, m] * g[m]
            X[i, k] -= lr * step
    elif RULE == ADAM:
        powers[i, 0] *= b1
        powers[i, 1] *= b2
        c1, c2 = one / (one - powers[i, 0]), one / (one - powers[i, 1])
        for k in range(D):
            M[i, k] = b1 * M[i, k] + a1 * g[k]
            S[i, k] = b2 * S[i, k] + a2 * g[k] * g[k]
            X[i, k] -= lr * c1 * M[i, k] / (math.sqrt(c2 * S[i, k]) + eps)
    elif RULE == ADAM_WORD:
        powers[i, 0] *= b1
        powers[i, 1] *= b2
        c1, c2 = one / (one - powers[i, 0]), one / (one - powers[i, 1])
        square = zero
        for k in range(D):
            square += g[k] * g[k]
        S[i, 0] = b2 * S[i, 0] + a2 * square / D
        rate = lr * c1 / (math.sqrt(c2 * S[i, 0]) + eps)
        for k in range(D):
            M[i, k] = b1 * M[i, k] + a1 * g[k]
            X[i, k] -= rate * M[i, k]


# --- kernels -------------------------------------------------------------------------------------


@functools.cache
def sgns_kernel(rule: str, dim: int) -> Callable[..., float]:
    """Compile one pass of skip-gram with negative sampling for a rule and a dimension.

    Parameters
    ----------
    rule : str
        One of `RULES`.
    dim : int
        Length of the vectors.

    Returns
    -------
    callable
        It takes ``W, C, pairs (n, 2), noise (n, k)``, the `Memory` of W and of C, `Settings` and
        ``every``, changes W and C, and returns the sum of the losses of every ``every``-th pair,
        each before its update. The loss of a pair is ``-log s(w.c) - sum over noise words of
        log s(-w.c')`` with the logistic function s; noise words equal to the target are skipped.
        The target rows change one after the other, the input row after them, as in word2vec.c.
    """
    RULE, D = RULES.index(rule), dim

    @njit(nogil=True, fastmath=_FAST, error_model="numpy")
    def sgns(W, C, pairs, noise, memory_W, memory_C, h, every):
        zero, one = h.zero, h.one
        g, total = np.empty(D, W.dtype), np.empty(D, W.dtype)
        loss = 0.0
        for p in range(len(pairs)):
            i, target = pairs[p, 0], pairs[p, 1]
            total[:] = zero
            for t in range(noise.shape[1] + 1):
                j = target if t == 0 else noise[p, t - 1]
                if t > 0 and j == target:
                    continue
                f = zero
                for k in range(D):
                    f += W[i, k] * C[j, k]
                if p % every == 0:
                    sign = -f if t == 0 else f
                    loss += max(sign, zero) + math.log1p(math.exp(-abs(sign)))
                e = one / (one + math.exp(-f))
                if t == 0:
                    e -= one
                for k in range(D):
                    total[k] += e * C[j, k]
                    g[k] = e * W[i, k]
                _update(RULE, D, C, j, g, memory_C, h, zero, one)
            _update(RULE, D, W, i, total, memory_W, h, zero, one)
        return loss

    return sgns


@functools.cache
def glove_kernel(rule: str, dim: int) -> Callable[..., float]:
    """Compile one pass of GloVe over entries in the order given, for a rule and a dimension.

    Parameters
    ----------
    rule : str
        One of `RULES`.
    dim : int
        Length of the vectors.

    Returns
    -------
    callable
        It takes ``W, C, b, c`` (the biases as columns, (V, 1)), `Entries`, the `Memory` of each of
        the four, and `Settings` for vectors and for biases, changes the four, and returns the sum
        of ``weight / 2 * residual ** 2`` before the updates. All four rows of an entry change at
        once.
    """
    RULE, D = RULES.index(rule), dim
    # Biases are rows of length one; beside the full matrix of the vectors they take plain Adagrad.
    BIAS = ADAGRAD if RULE == ADAGRAD_FULL else RULE

    @njit(nogil=True, fastmath=_FAST, error_model="numpy")
    def glove(W, C, b, c, entries, memory_W, memory_C, memory_b, memory_c, h, h_bias):
        zero, one = W.dtype.type(0), W.dtype.type(1)
        rows, columns, log_x, weight = entries
        gw, gc, gb = np.empty(D, W.dtype), np.empty(D, W.dtype), np.empty(1, W.dtype)
        loss = 0.0
        for p in range(len(rows)):
            i, j = rows[p], columns[p]
            f = zero
            for k in range(D):
                f += W[i, k] * C[j, k]
            residual = f + b[i, 0] + c[j, 0] - log_x[p]
            e = weight[p] * residual
            loss += e * residual
            for k in range(D):
                gw[k] = e * C[j, k]
                gc[k] = e * W[i, k]
            gb[0] = e
            _update(RULE, D, W, i, gw, memory_W, h, zero, one)
            _update(RULE, D, C, j, gc, memory_C, h, zero, one)
            _update(BIAS, 1, b, i, gb, memory_b, h_bias, zero, one)
            _update(BIAS, 1, c, j, gb, memory_c, h_bias, zero, one)
        return 0.5 * loss

    return glove
