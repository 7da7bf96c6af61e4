"""The compiled loops of `KSVD` and `MiniBatchKSVD`: updates of atoms, exchange of bad ones."""

import math

import numpy as np

from hblib._compiled import njit
from hblib.sparse._sparse_kernels import OPTIONS

_compiled = njit(**OPTIONS)
_inlined = njit(forceinline=True, **OPTIONS)  # for what others call, see `_sparse_kernels`

# Power steps after which a rank-one fit counts as converged.
CONVERGED = 30


@_inlined
def residuals(X, D, indices, values, counts, rest):
    """Write ``X - Y D`` to `rest`."""
    for s in range(X.shape[0]):
        row = rest[s]
        row[:] = X[s]
        for c in range(counts[s]):
            atom, weight = D[indices[s, c]], values[s, c]
            for f in range(row.size):
                row[f] -= weight * atom[f]


@_inlined
def squared_lengths(rest):
    """Squared length of every row."""
    lengths = np.empty(rest.shape[0])
    for s in range(rest.shape[0]):
        total = rest.dtype.type(0)
        for f in range(rest.shape[1]):
            total += rest[s, f] * rest[s, f]
        lengths[s] = total
    return lengths


@_compiled
def left_over(X, D, indices, values, counts, rest):
    """Write ``X - Y D`` to `rest`; return the squared lengths of its rows, (n_samples,)."""
    residuals(X, D, indices, values, counts, rest)
    return squared_lengths(rest)


@_inlined
def users_of_atoms(n_atoms, indices, counts):
    """Positions in `indices` (flat) of every atom's entries, and where each atom's begin."""
    begin = np.zeros(n_atoms + 1, np.int64)
    for s in range(counts.size):
        for c in range(counts[s]):
            begin[indices[s, c] + 1] += 1
    for a in range(n_atoms):
        begin[a + 1] += begin[a]
    place = begin[:-1].copy()
    users = np.empty(begin[-1], np.int64)
    for s in range(counts.size):
        for c in range(counts[s]):
            users[place[indices[s, c]]] = s * indices.shape[1] + c
            place[indices[s, c]] += 1
    return begin, users


@_compiled
def sweep(X, D, indices, values, counts, rest, steps, positive):
    """Update every atom and the coefficients of its users in place, in the order of the atoms.

    The users of an atom d are the signals with a coefficient w on it. If all atoms leave the
    residual e of a user, the other atoms leave ``e + w d``. One power step sets d to the direction
    of ``sum w (e + w d)`` and then each coefficient to ``(e + w d) . d``.

    Returns
    -------
    array, (n_samples,)
        Squared length of the residual of each signal on the new atoms.
    """
    n_atoms, n_features = D.shape
    residuals(X, D, indices, values, counts, rest)
    begin, users = users_of_atoms(n_atoms, indices, counts)
    width = indices.shape[1]
    flat = values.reshape(-1)
    zero = D.dtype.type(0)
    new = np.empty(n_features, D.dtype)
    fresh = np.empty(counts.size, D.dtype)
    for a in range(n_atoms):
        entries = users[begin[a] : begin[a + 1]]
        if entries.size == 0:
            continue
        old = D[a]
        now = fresh[: entries.size]
        for u in range(entries.size):
            now[u] = flat[entries[u]]
        for _ in range(steps):
            new[:] = zero
            share = zero
            for u in range(entries.size):
                row, weight = rest[entries[u] // width], now[u]
                share += weight * flat[entries[u]]
                for f in range(n_features):
                    new[f] += weight * row[f]
            length = zero
            for f in range(n_features):
                new[f] += share * old[f]
                length += new[f] * new[f]
            if length <= 0:
                break
            scale = D.dtype.type(1) / D.dtype.type(math.sqrt(length))
            along = zero
            for f in range(n_features):
                new[f] *= scale
                along += new[f] * old[f]
            change = zero
            for u in range(entries.size):
                row = rest[entries[u] // width]
                weight = flat[entries[u]] * along
                for f in range(n_features):
                    weight += row[f] * new[f]
                if positive and weight < 0:
                    weight = zero
                change += (weight - now[u]) ** 2
                now[u] = weight
            if change <= 1e-12 * share:
                break
        if length <= 0:
            continue
        for u in range(entries.size):
            row, before, weight = rest[entries[u] // width], flat[entries[u]], now[u]
            for f in range(n_features):
                row[f] += before * old[f] - weight * new[f]
            flat[entries[u]] = weight
        old[:] = new
    return squared_lengths(rest)


@_compiled
def clean(X, D, gram, uses, left, fewest_users, largest_cosine):
    """Replace rare and repeated atoms by the worst-represented signals, each taken once.

    Returns
    -------
    array, (n_atoms,), bool
        The atoms that were replaced.
    """
    n_atoms, n_features = D.shape
    replaced = np.zeros(n_atoms, np.bool_)
    for a in range(n_atoms):
        nearest = 0.0
        for b in range(n_atoms):
            if b != a:
                nearest = max(nearest, abs(gram[a, b]))
        if uses[a] >= fewest_users and nearest <= largest_cosine:
            continue
        worst = np.argmax(left)
        if left[worst] <= 0:
            break
        left[worst] = 0
        length = 0.0
        for f in range(n_features):
            length += X[worst, f] * X[worst, f]
        D[a] = X[worst] / math.sqrt(length)
        for b in range(n_atoms):
            total = 0.0
            for f in range(n_features):
                total += D[a, f] * D[b, f]
            gram[a, b] = total
            gram[b, a] = total
        replaced[a] = True
    return replaced


@_compiled
def accumulate(X, indices, values, counts, codes_codes, codes_signals):
    """Add the codes' products with each other, ``Y.T @ Y``, and with the signals, ``Y.T @ X``."""
    for s in range(X.shape[0]):
        signal = X[s]
        for c in range(counts[s]):
            atom, weight = indices[s, c], values[s, c]
            row = codes_signals[atom]
            for f in range(signal.size):
                row[f] += weight * signal[f]
            for e in range(counts[s]):
                codes_codes[atom, indices[s, e]] += weight * values[s, e]


@_compiled
def coordinate_steps(D, codes_codes, rest):
    """One round of block coordinate descent on a few atoms, in place.

    Atom j moves to the direction of ``rest[j] + codes_codes[j, j] D[j]``, where `rest` is
    ``codes_signals - codes_codes @ D`` for these atoms and all of D; `rest` is kept up to date for
    the atoms that follow.
    """
    n_atoms, n_features = D.shape
    move = np.empty(n_features, D.dtype)
    for j in range(n_atoms):
        weight = codes_codes[j, j]
        length = 0.0
        for f in range(n_features):
            move[f] = rest[j, f] + weight * D[j, f]
            length += move[f] * move[f]
        if weight <= 0 or length <= 0:
            continue
        scale = D.dtype.type(1 / math.sqrt(length))
        for f in range(n_features):
            move[f] = scale * move[f] - D[j, f]
            D[j, f] += move[f]
        for i in range(j + 1, n_atoms):
            weight = codes_codes[i, j]
            if weight != 0:
                for f in range(n_features):
                    rest[i, f] -= weight * move[f]
