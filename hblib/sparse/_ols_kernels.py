"""The compiled inner loop of orthogonal least squares, the order-recursive matching pursuit.

Like the loop of orthogonal matching pursuit in `hblib.sparse._sparse_kernels`, it starts from the
products of a chunk of signals with every atom and then needs the Gram matrix only; rows over atoms
are padded in the same way. It keeps one row more: the squared length of that part of every atom
which is orthogonal to the chosen ones. An atom with the correlation c and this squared length l
would take c^2 / l off the squared residual, its *gain*.

Correlations, lengths and gains are brought up to date in the loop that finishes a new row of the
basis, while its numbers are in registers. This makes up for the division.
"""

import math

import numpy as np

from hblib._compiled import njit
from hblib.sparse._sparse_kernels import LEAD, OPTIONS, _back_substitute, _squared_residual

# Divisions by the length zero of padding are made and then not used.
_OPTIONS = OPTIONS | {"error_model": "numpy"}
_compiled = njit(**_OPTIONS)
_inlined = njit(forceinline=True, **_OPTIONS)  # for what others call, see `_sparse_kernels`

# Rows of zeros before the first row of a basis; they make up the first four, also of no row at all.
FRONT = 4


@_inlined
def _first_largest(bits):
    """First index of the largest number, from the bits of numbers that are not negative.

    They are ordered as the integers of the same bits, which are compared in vector registers.
    """
    top = bits[0]
    for a in range(bits.size):
        top = max(top, bits[a])
    size = bits.dtype.type(bits.size)
    where = size
    for a in range(bits.size):
        where = min(where, bits.dtype.type(a) if bits[a] == top else size)
    return where


@_inlined
def _start(products, lengths, left, gains, smallest):
    """Begin with all of every atom; no atom is chosen."""
    zero = gains.dtype.type(0)
    for a in range(gains.size):
        length = lengths[a]
        left[a] = length
        gain = products[a] * products[a] / length
        gains[a] = gain if length > smallest else zero


@_inlined
def _less_four(new, row, basis, i, w0, w1, w2, w3):
    """Write ``row - w @ basis[i : i + 4]`` to `new`, which is none of the others."""
    for a in range(new.size):
        pair = w0 * basis[i, a] + w1 * basis[i + 1, a]
        new[a] = row[a] - pair - (w2 * basis[i + 2, a] + w3 * basis[i + 3, a])


@_inlined
def _last_four(
    new, row, basis, i, w0, w1, w2, w3, scale, step, correlation, left, gains, smallest, noise
):
    """Write ``scale * (row - w @ basis[i : i + 4])`` to `new` and take it off what is left.

    Gains of atoms whose squared length or squared correlation is rounding are zero.
    """
    zero = gains.dtype.type(0)
    for a in range(new.size):
        pair = w0 * basis[i, a] + w1 * basis[i + 1, a]
        value = scale * (row[a] - pair - (w2 * basis[i + 2, a] + w3 * basis[i + 3, a]))
        new[a] = value
        product = correlation[a] - step * value
        correlation[a] = product
        length = left[a] - value * value
        left[a] = length
        square = product * product
        gain = square / length
        gain = gain if length > smallest else zero
        gains[a] = gain if square > noise else zero


@_compiled
def batch_ols(
    X,
    dictionary,
    gram,
    lengths,
    correlations,
    basis,
    spare,
    left,
    gains,
    bits,
    tolerance,
    rounding,
    indices,
    values,
    counts,
):
    """Orthogonal least squares of a chunk of signals, coefficients of either sign.

    `lengths` is the diagonal of `gram`, `bits` the integers of the bits of `gains`; `left`, `gains`
    and the two rows of `spare` are written to. For `basis` see `batch_omp` in `_sparse_kernels`.
    """
    n_signals, sparsity = indices.shape
    real = basis.dtype.type
    smallest = real(rounding)
    factor = np.zeros((sparsity, FRONT + sparsity), basis.dtype)
    triangle = factor[:, FRONT - LEAD :]  # as `_back_substitute` expects it
    along = np.empty(sparsity, basis.dtype)
    for s in range(n_signals):
        correlation, chosen = correlations[s], indices[s]
        energy = 0.0
        if tolerance[s] > 0:
            for f in range(X.shape[1]):
                energy += X[s, f] * X[s, f]
        rest, goal = energy, tolerance[s] * tolerance[s]
        noise = real(0)
        count = 0
        _start(correlation, lengths, left, gains, smallest)
        while count < sparsity and (goal == 0 or rest > goal):
            atom = _first_largest(bits)
            if gains[atom] <= 0:
                break
            if count == 0:
                noise = real(rounding * rounding * gains[atom])
            row = factor[count]
            for i in range(count):
                row[FRONT + i] = basis[FRONT + i, atom]
            root = real(math.sqrt(left[atom]))
            step = correlation[atom] / root
            along[count] = step
            chosen[count] = atom
            if count + 1 < sparsity:
                end = FRONT + count
                old, target, other = gram[atom], spare[0], spare[1]
                for i in range(end - 4 * max(1, -(-count // 4)), end - 4, 4):
                    _less_four(target, old, basis, i, row[i], row[i + 1], row[i + 2], row[i + 3])
                    old, target, other = target, other, target
                i = end - 4
                _last_four(
                    basis[end],
                    old,
                    basis,
                    i,
                    row[i],
                    row[i + 1],
                    row[i + 2],
                    row[i + 3],
                    real(1) / root,
                    step,
                    correlation,
                    left,
                    gains,
                    smallest,
                    noise,
                )
            row[FRONT + count] = root
            count += 1
            if goal > 0:
                rest -= step * step
                if rest <= goal + rounding * energy:
                    # Subtracting has lost the digits that decide: look at the residual itself.
                    _back_substitute(triangle, along, count, values[s])
                    rest = _squared_residual(X[s], dictionary, chosen, values[s], count)
        counts[s] = count
        _back_substitute(triangle, along, count, values[s])
