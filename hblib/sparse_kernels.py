"""The compiled inner loops of `hblib.sparse`: one signal at a time, without the interpreter's lock.

All signals of a chunk come with their products with every atom, ``X @ D.T``, made by one matrix
product beforehand; after that a signal costs only vector work on rows as long as the dictionary.
The functions expect checked input and write into arrays that the caller has made. Rows over atoms
are padded with zero atoms to whole cache lines (`PADDING`), which no pursuit ever chooses.
"""

import math

import numba
import numpy as np

# Numbers in a cache line of 64 bytes; rows that start on one load up to twice as fast.
PADDING = 16

# Sums may be reordered and multiply-adds fused, so that loops over atoms run in vector registers.
# Values that are not finite have been refused before.
_compiled = numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "nsz", "nnan"})


@_compiled
def _first_largest(bits, mask):
    """First index of the largest |value|, from the bits of the values.

    Without their sign, floating-point numbers are ordered as the integers of the same bits, and a
    largest integer is found in vector registers, which a largest float is not.
    """
    top = bits[0] & mask
    for a in range(bits.size):
        top = max(top, bits[a] & mask)
    size = bits.dtype.type(bits.size)
    where = size
    for a in range(bits.size):
        where = min(where, bits.dtype.type(a) if bits[a] & mask == top else size)
    return where


@_compiled
def _less_four(new, row, basis, i, w0, w1, w2, w3, scale):
    """Write ``scale * (row - w @ basis[i : i + 4])`` to `new`."""
    for a in range(new.size):
        pair = w0 * basis[i, a] + w1 * basis[i + 1, a]
        new[a] = scale * (row[a] - pair - (w2 * basis[i + 2, a] + w3 * basis[i + 3, a]))


@_compiled
def _orthogonalised(row, basis, weights, n_rows, scale, spare):
    """Write ``scale * (row - weights @ basis[:n_rows])`` to ``basis[n_rows]``.

    Four old rows are taken at a time, so that the row in the making is loaded and stored a quarter
    as often. `weights` are zero from n_rows on.
    """
    one = basis.dtype.type(1)
    new = basis[n_rows]
    here, there = spare[0], spare[1]
    for i in range(0, max(n_rows, 1), 4):
        last = i + 4 >= n_rows
        w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        if last:
            _less_four(new, row, basis, i, w0, w1, w2, w3, scale)
        else:
            _less_four(here, row, basis, i, w0, w1, w2, w3, one)
        row, here, there = here, there, here


@_compiled
def _subtract(correlation, row, step):
    for a in range(row.size):
        correlation[a] -= step * row[a]


@_compiled
def _back_substitute(factor, along, count, out):
    """Solve ``factor.T @ out = along`` for the coefficients of the atoms themselves."""
    for j in range(count - 1, -1, -1):
        total = along[j]
        for i in range(j + 1, count):
            total -= factor[i, j] * out[i]
        out[j] = total / factor[j, j]


@_compiled
def _squared_residual(x, dictionary, chosen, coefficients, count):
    total = 0.0
    for f in range(x.size):
        value = x[f]
        for i in range(count):
            value -= coefficients[i] * dictionary[chosen[i], f]
        total += value * value
    return total


@_compiled
def batch_omp(
    X, dictionary, gram, correlations, bits, mask, basis, tolerance, floor, indices, values, counts
):
    """Orthogonal matching pursuit of a chunk of signals, coefficients of either sign.

    The chosen atoms are orthonormalised to q_1, q_2, ... without ever being touched: of each q only
    its products with all atoms are kept, a row of `basis`. Such a row is a row of the Gram matrix
    less multiples of the rows before, and the correlations lose a multiple of it.
    """
    n_signals, sparsity = indices.shape
    zero = basis.dtype.type(0)
    one = basis.dtype.type(1)
    spare = basis[basis.shape[0] - 2 :]
    # Row j of the Cholesky factor of the chosen atoms' Gram matrix; d_j = sum_i factor[j, i] q_i.
    factor = np.zeros((sparsity, sparsity + 4), basis.dtype)
    along = np.empty(sparsity, basis.dtype)
    for s in range(n_signals):
        correlation = correlations[s]
        energy = 0.0
        for f in range(X.shape[1]):
            energy += X[s, f] * X[s, f]
        left, goal = energy, tolerance[s] * tolerance[s]
        count = 0
        while count < sparsity and left > goal:
            atom = _first_largest(bits[s], mask)
            row = factor[count]
            length = 1.0
            for i in range(count):
                row[i] = basis[i, atom]
                length -= row[i] * row[i]
            # What is left of the signal, or of the atom, is rounding.
            if correlation[atom] * correlation[atom] <= floor * energy or length <= floor:
                break
            row[count] = math.sqrt(length)
            step = correlation[atom] / row[count]
            along[count] = step
            indices[s, count] = atom
            if count + 1 < sparsity:
                scale = one / row[count]
                row[count] = zero
                _orthogonalised(gram[atom], basis, row, count, scale, spare)
                row[count] = one / scale
                _subtract(correlation, basis[count], step)
                for i in range(count + 1):
                    correlation[indices[s, i]] = zero
            count += 1
            left -= step * step
            if goal > 0 and left <= goal + 100 * floor * energy:
                # Subtracting has lost the digits that decide: look at the residual itself.
                _back_substitute(factor, along, count, values[s])
                left = _squared_residual(X[s], dictionary, indices[s], values[s], count)
        _back_substitute(factor, along, count, values[s])
        counts[s] = count


@_compiled
def positive_omp(X, dictionary, gram, products, tolerance, floor, indices, values, counts):
    """Non-negative orthogonal matching pursuit of a chunk of signals.

    After each choice the coefficients are refitted by the active-set method of Lawson and Hanson:
    walk from the old, feasible coefficients towards the least-squares fit, drop the atom that
    reaches zero first, and fit again until none is negative.
    """
    n_signals, sparsity = indices.shape
    correlation = np.empty(products.shape[1], products.dtype)
    factor = np.empty((sparsity, sparsity), products.dtype)
    fit = np.empty(sparsity, products.dtype)
    for s in range(n_signals):
        chosen, weights, product = indices[s], values[s], products[s]
        energy = 0.0
        for f in range(X.shape[1]):
            energy += X[s, f] * X[s, f]
        left, goal = energy, tolerance[s] * tolerance[s]
        correlation[:] = product
        count = 0
        while count < sparsity and left > goal:
            atom = 0
            for a in range(correlation.size):
                if correlation[a] > correlation[atom]:
                    atom = a
            best = correlation[atom]
            if best <= 0 or best * best <= floor * energy:
                break
            chosen[count], weights[count] = atom, 0
            fitted, stuck = count + 1, False
            while True:
                if not _least_squares(gram, product, chosen, fitted, factor, fit, floor):
                    stuck = True
                    break
                first, share = -1, 1.0
                for i in range(fitted):
                    if fit[i] <= 0:
                        reach = weights[i] / (weights[i] - fit[i]) if weights[i] > fit[i] else 0.0
                        if reach < share or first < 0:
                            first, share = i, reach
                if first < 0:
                    break
                for i in range(fitted):
                    weights[i] += share * (fit[i] - weights[i])
                fitted -= 1
                for i in range(first, fitted):
                    chosen[i], weights[i] = chosen[i + 1], weights[i + 1]
            if stuck:
                break
            before, count = left, fitted
            weights[:count] = fit[:count]
            left = _squared_residual(X[s], dictionary, chosen, weights, count)
            if left >= before * (1 - 1e-12):
                break
            correlation[:] = product
            for i in range(count):
                row, weight = gram[chosen[i]], weights[i]
                for a in range(correlation.size):
                    correlation[a] -= weight * row[a]
            for i in range(count):
                correlation[chosen[i]] = 0
        counts[s] = count
        for i in range(count, sparsity):
            values[s, i] = 0


@_compiled
def _least_squares(gram, product, chosen, count, factor, fit, floor):
    """Coefficients of the chosen atoms by Cholesky; False if the atoms are linearly dependent."""
    for i in range(count):
        for j in range(i + 1):
            total = gram[chosen[i], chosen[j]]
            for c in range(j):
                total -= factor[i, c] * factor[j, c]
            if i > j:
                factor[i, j] = total / factor[j, j]
            elif total <= floor:
                return False
            else:
                factor[i, i] = math.sqrt(total)
        total = product[chosen[i]]
        for c in range(i):
            total -= factor[i, c] * fit[c]
        fit[i] = total / factor[i, i]
    _back_substitute(factor, fit, count, fit)
    return True
