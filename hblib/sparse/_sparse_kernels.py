"""The compiled inner loops of `hblib.sparse`: one signal at a time, without the interpreter's lock.

The products of all signals of a chunk with every atom, ``X @ D.T``, come from one matrix product
beforehand; after that a signal costs only vector operations on rows as long as the dictionary. The
functions expect checked input and write into arrays that the caller has made. Rows over atoms are
padded to whole cache lines (`PADDING`) with zero atoms, which no pursuit ever chooses.
"""

import math

import numpy as np

from hblib._compiled import njit

# Numbers in a cache line of 64 bytes; rows that start on one load up to twice as fast.
PADDING = 16
# Correlations looked through at a time for the largest.
BLOCK = 128
# Lead over the runner-up, in lengths of the signal, that single precision cannot mistake.
CLEARLY = 1e-5
# Rows of zeros before the first row of a basis.
LEAD = 3

# Sums may be reordered and multiply-adds fused, so that loops over atoms run in vector registers.
# Values that are not finite have been refused before.
OPTIONS = {"nogil": True, "fastmath": {"reassoc", "contract", "nsz", "nnan"}}
_compiled = njit(**OPTIONS)
# Functions that compiled functions call are inlined. Otherwise the process that compiles calls its
# own copy of them and later processes the copy stored with the caller, whose sums may be ordered
# differently: results would depend on whether the cache was warm.
_inlined = njit(forceinline=True, **OPTIONS)


@_inlined
def _top(bits, mask):
    top = bits[0] & mask
    for a in range(bits.size):
        top = max(top, bits[a] & mask)
    return top


@_inlined
def _first_largest(bits, mask):
    """First index of the largest |value|, from the bits of the values.

    Without their sign, floating-point numbers are ordered as the integers of the same bits, and a
    largest integer is found in vector registers, which a largest float is not. Only the block that
    holds it is then searched for its place.
    """
    top, start = bits[0] & mask, 0
    for b in range(0, bits.size, BLOCK):
        highest = _top(bits[b : b + BLOCK], mask)
        if highest > top:
            top, start = highest, b
    block = bits[start : start + BLOCK]
    size = block.dtype.type(block.size)
    where = size
    for a in range(block.size):
        where = min(where, block.dtype.type(a) if block[a] & mask == top else size)
    return start + where


@_inlined
def _less_four(new, row, basis, i, w0, w1, w2, w3, scale):
    """Write ``scale * (row - w @ basis[i : i + 4])`` to `new`, which is none of the others."""
    for a in range(new.size):
        pair = w0 * basis[i, a] + w1 * basis[i + 1, a]
        new[a] = scale * (row[a] - pair - (w2 * basis[i + 2, a] + w3 * basis[i + 3, a]))


@_inlined
def _orthogonalise(row, basis, weights, n_rows, scale, spare):
    """Write ``scale * (row - weights @ basis)`` to the row of `basis` after its first `n_rows`.

    Four old rows are taken at a time, so that the row in the making is loaded and stored a quarter
    as often. `basis` and `weights` start with `LEAD` zeros, with which the first four are made up.
    """
    one = basis.dtype.type(1)
    end = LEAD + n_rows
    new = basis[end]
    if n_rows == 0:
        new[:] = row
        return
    target, other = spare[0], spare[1]
    for i in range(end - 4 * (-(-n_rows // 4)), end, 4):
        w0, w1, w2, w3 = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        if i + 4 == end:
            _less_four(new, row, basis, i, w0, w1, w2, w3, scale)
        else:
            _less_four(target, row, basis, i, w0, w1, w2, w3, one)
        row, target, other = target, other, target


@_inlined
def _subtract(correlation, row, step):
    for a in range(row.size):
        correlation[a] -= step * row[a]


@_inlined
def _back_substitute(factor, along, count, out):
    """Solve ``factor.T @ out = along`` for the coefficients of the atoms themselves."""
    for j in range(count - 1, -1, -1):
        total = along[j]
        for i in range(j + 1, count):
            total -= factor[i, LEAD + j] * out[i]
        out[j] = total / factor[j, LEAD + j]


@_inlined
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
    X,
    dictionary,
    gram,
    correlations,
    bits,
    mask,
    basis,
    spare,
    tolerance,
    rounding,
    indices,
    values,
    counts,
    sure,
):
    """Orthogonal matching pursuit of a chunk of signals, coefficients of either sign.

    The chosen atoms are orthonormalised to q_1, q_2, ... without ever being touched: of each q only
    its products with all atoms are kept, a row of `basis`. Such a row is a row of the Gram matrix
    less multiples of the rows before, and the correlations lose a multiple of it.

    With `sure`, (n_signals,), the choices are judged too: a signal is sure if `sparsity` atoms were
    found, none nearly dependent on those before it, and each ahead of the runner-up by `CLEARLY`
    times the signal's length, which is far more than the rounding of single precision.
    """
    n_signals, sparsity = indices.shape
    judged = sure.size > 0
    one = basis.dtype.type(1)
    # Row j of the Cholesky factor of the chosen atoms' Gram matrix; d_j = sum_i factor[j, i] q_i.
    factor = np.zeros((sparsity, LEAD + sparsity), basis.dtype)
    along = np.empty(sparsity, basis.dtype)
    for s in range(n_signals):
        correlation, chosen = correlations[s], indices[s]
        energy = 0.0
        if tolerance[s] > 0 or judged:
            for f in range(X.shape[1]):
                energy += X[s, f] * X[s, f]
        left, goal = energy, tolerance[s] * tolerance[s]
        first = 0.0
        certain = energy > 0
        count = 0
        while count < sparsity and (goal == 0 or left > goal):
            atom = _first_largest(bits[s], mask)
            row = factor[count]
            length, new = one, True
            for i in range(count):
                row[LEAD + i] = basis[LEAD + i, atom]
                length -= row[LEAD + i] * row[LEAD + i]
                new &= chosen[i] != atom
            best = abs(correlation[atom])
            if count == 0:
                first = best
            # What is left of the signal, or of the atom, is rounding.
            if best <= rounding * first or length <= rounding or not new:
                break
            root = basis.dtype.type(math.sqrt(length))
            step = correlation[atom] / root
            if judged:
                value = correlation[atom]
                correlation[atom] = 0
                ahead = abs(value) - abs(correlation[_first_largest(bits[s], mask)])
                correlation[atom] = value
                certain &= ahead * ahead > CLEARLY * CLEARLY * energy and length > 0.01
            along[count] = step
            chosen[count] = atom
            if count + 1 < sparsity:
                _orthogonalise(gram[atom], basis, row, count, one / root, spare)
                _subtract(correlation, basis[LEAD + count], step)
            row[LEAD + count] = root
            count += 1
            if goal > 0:
                left -= step * step
                if left <= goal + rounding * energy:
                    # Subtracting has lost the digits that decide: look at the residual itself.
                    _back_substitute(factor, along, count, values[s])
                    left = _squared_residual(X[s], dictionary, chosen, values[s], count)
        counts[s] = count
        if judged:
            sure[s] = certain and count == sparsity
        else:
            _back_substitute(factor, along, count, values[s])


@_compiled
def refit(X, dictionary, gram, indices, values, sure, rounding):
    """Least-squares coefficients of the chosen atoms, for the signals that are sure."""
    n_signals, sparsity = indices.shape
    factor = np.empty((sparsity, LEAD + sparsity), gram.dtype)
    products = np.empty(sparsity, gram.dtype)
    for s in range(n_signals):
        if sure[s]:
            for i in range(sparsity):
                atom, total = dictionary[indices[s, i]], gram.dtype.type(0)
                for f in range(X.shape[1]):
                    total += atom[f] * X[s, f]
                products[i] = total
            _least_squares(gram, products, indices[s], sparsity, factor, values[s], rounding)


@_compiled
def positive_omp(
    X,
    dictionary,
    gram,
    products,
    correlation,
    bits,
    everything,
    tolerance,
    rounding,
    indices,
    values,
    counts,
):
    """Non-negative orthogonal matching pursuit of a chunk of signals.

    After each choice the coefficients are refitted by the active-set method of Lawson and Hanson:
    walk from the old, feasible coefficients towards the least-squares fit, drop the atom that
    reaches zero first, and fit again until none is negative.
    """
    n_signals, sparsity = indices.shape
    factor = np.empty((sparsity, LEAD + sparsity), products.dtype)
    fit = np.empty(sparsity, products.dtype)
    targets = np.empty(sparsity, products.dtype)
    for s in range(n_signals):
        chosen, weights, product = indices[s], values[s], products[s]
        energy = 0.0
        for f in range(X.shape[1]):
            energy += X[s, f] * X[s, f]
        left, goal = energy, tolerance[s] * tolerance[s]
        correlation[:] = product
        first = 0.0
        count = 0
        while count < sparsity and left > goal:
            # Below zero, with their sign, numbers have the smaller integers.
            atom = _first_largest(bits, everything)
            best = correlation[atom]
            first = max(first, best)
            if best <= rounding * first:
                break
            chosen[count], weights[count] = atom, 0
            fitted, stuck = count + 1, False
            while True:
                for i in range(fitted):
                    targets[i] = product[chosen[i]]
                if not _least_squares(gram, targets, chosen, fitted, factor, fit, rounding):
                    stuck = True
                    break
                blocked, share = -1, 1.0
                for i in range(fitted):
                    if fit[i] <= 0:
                        reach = weights[i] / (weights[i] - fit[i]) if weights[i] > fit[i] else 0.0
                        if reach < share or blocked < 0:
                            blocked, share = i, reach
                if blocked < 0:
                    break
                for i in range(fitted):
                    weights[i] += share * (fit[i] - weights[i])
                fitted -= 1
                for i in range(blocked, fitted):
                    chosen[i], weights[i] = chosen[i + 1], weights[i + 1]
            if stuck:
                break
            before, count = left, fitted
            weights[:count] = fit[:count]
            left = _squared_residual(X[s], dictionary, chosen, weights, count)
            if left >= before * (1 - rounding):
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


@_inlined
def _least_squares(gram, targets, chosen, count, factor, fit, rounding):
    """Coefficients of the chosen atoms by Cholesky; False if the atoms are linearly dependent.

    `targets` are the products of the signal with the chosen atoms, in their order.
    """
    for i in range(count):
        for j in range(i + 1):
            total = gram[chosen[i], chosen[j]]
            for c in range(j):
                total -= factor[i, LEAD + c] * factor[j, LEAD + c]
            if i > j:
                factor[i, LEAD + j] = total / factor[j, LEAD + j]
            elif total <= rounding:
                return False
            else:
                factor[i, LEAD + i] = math.sqrt(total)
        total = targets[i]
        for c in range(i):
            total -= factor[i, LEAD + c] * fit[c]
        fit[i] = total / factor[i, LEAD + i]
    _back_substitute(factor, fit, count, fit)
    return True
