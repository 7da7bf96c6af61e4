"""Rotations of the hidden space: drawing them, interpolating them, finding them again.

A hidden vector ``h`` of ``k`` units is rotated to ``U @ h``. Rows are samples, so a matrix ``H`` of
shape ``(n_samples, k)`` becomes ``H @ U.T``; the factors of a factorisation keep the hidden index
first, so ``A`` of shape ``(k, m)`` becomes ``U @ A``. Every function below uses ``U`` in this one
sense, accepts leading batch axes, takes arrays, tensors and data frames, computes in double
precision and returns NumPy arrays.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import scipy.linalg
import scipy.stats
from numpy.typing import ArrayLike

from hblib._checks import as_array, generator, number, whole

# --- drawing members of a group ------------------------------------------------------------------


def haar(
    k: int,
    rng: int | np.random.Generator | None,
    size: int | tuple[int, ...] | None = None,
    det: int | None = None,
) -> np.ndarray:
    """Draw orthogonal matrices from the Haar (rotation-invariant) distribution.

    Parameters
    ----------
    k : int
        Number of hidden units.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.
    size : int or tuple of int, optional
        Batch shape; by default one matrix without batch axis.
    det : {None, 1, -1}, optional
        None draws from the whole group O(k), 1 rotations only, -1 only those with a reflection.

    Returns
    -------
    ndarray of shape (*size, k, k)

    Raises
    ------
    ValueError
        If a parameter is not one of those allowed.

    Notes
    -----
    scipy's ``ortho_group`` is the QR factorisation of a Gaussian matrix with the signs of R's
    diagonal fixed, without which the result would not be Haar distributed [1]_.

    References
    ----------
    .. [1] F. Mezzadri, "How to generate random matrices from the classical compact groups",
       Notices of the AMS 54 (2007), 592-604.

    Examples
    --------
    >>> U = haar(5, rng=0, size=64, det=1)
    >>> U.shape, bool(is_orthogonal(U).all())
    ((64, 5, 5), True)
    """
    k = whole("k", k)
    if isinstance(det, bool) or det not in (None, 1, -1):
        raise ValueError(f"det must be None, 1 or -1, got {det!r}")
    shape = _batch_shape(size)
    rng = generator(rng)
    count = int(np.prod(shape))
    Q = scipy.stats.ortho_group.rvs(k, size=count, random_state=rng).reshape(*shape, k, k)
    if det is not None:
        # Flipping one row is a bijection between the two halves of O(k) that keeps Haar measure.
        Q[..., 0, :] *= (det * np.sign(np.linalg.det(Q)))[..., None]
    return Q


def reflection(normal: ArrayLike) -> np.ndarray:
    """Reflect in the hyperplane through the origin with the given normal vector.

    Parameters
    ----------
    normal : array_like of shape (..., k)
        Normal vectors, of any length but 0.

    Returns
    -------
    ndarray of shape (..., k, k)
        ``I - 2 n n^T / |n|^2``, of determinant -1.

    Raises
    ------
    ValueError
        If a normal vector is zero or not finite.

    Examples
    --------
    >>> reflection([1.0, 0.0])
    array([[-1.,  0.],
           [ 0.,  1.]])
    """
    normal = _double("normal", normal)
    if normal.ndim == 0:
        raise ValueError("normal must have the shape (..., k), got a single number")
    normal = _rescaled(normal, axis=-1)
    length = np.linalg.norm(normal, axis=-1, keepdims=True)
    if not np.all(length > 0):
        raise ValueError("normal must not be the zero vector: it has no hyperplane")
    n = normal / length
    return np.eye(n.shape[-1]) - 2.0 * n[..., :, None] * n[..., None, :]


def rotation_2d(theta: ArrayLike) -> np.ndarray:
    """Rotate the plane counter-clockwise.

    Parameters
    ----------
    theta : array_like of shape (...)
        Angles in radians.

    Returns
    -------
    ndarray of shape (..., 2, 2)

    Raises
    ------
    ValueError
        If an angle is not finite.

    Examples
    --------
    >>> rotation_2d(np.pi / 2).round(12)
    array([[ 0., -1.],
           [ 1.,  0.]])
    """
    theta = _double("theta", theta)
    c, s = np.cos(theta), np.sin(theta)
    return np.stack([np.stack([c, -s], axis=-1), np.stack([s, c], axis=-1)], axis=-2)


def plane_rotation(
    theta: ArrayLike,
    k: int,
    rng: int | np.random.Generator | None,
    size: int | tuple[int, ...] | None = None,
    n_planes: int = 1,
) -> np.ndarray:
    """Rotate by a given angle in Haar-random planes, leaving the rest of the space in place.

    Parameters
    ----------
    theta : array_like
        Angle in radians; a number, or an array that broadcasts to `size`.
    k : int
        Number of hidden units, at least 2.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.
    size : int or tuple of int, optional
        Batch shape; by default that of `theta`.
    n_planes : int, optional
        Number of mutually orthogonal planes to turn, from 1 to ``k // 2``.

    Returns
    -------
    ndarray of shape (*size, k, k)

    Raises
    ------
    ValueError
        If an angle is not finite, or `k` or `n_planes` is out of range.

    Examples
    --------
    A rotation of k = 4 units by a tenth of a radian in one plane has the trace 2 cos 0.1 + 2:

    >>> U = plane_rotation(0.1, k=4, rng=0, size=3)
    >>> np.trace(U, axis1=-2, axis2=-1).round(6)
    array([3.990008, 3.990008, 3.990008])
    """
    k = whole("k", k, least=2)
    n_planes = whole("n_planes", n_planes, most=k // 2)
    theta = _double("theta", theta)
    shape = theta.shape if size is None else _batch_shape(size)
    angles = np.zeros((*shape, k // 2))
    angles[..., :n_planes] = np.broadcast_to(theta, shape)[..., None]
    return _turn(haar(k, rng, shape), angles)


def permutation(
    k: int, rng: int | np.random.Generator | None, size: int | tuple[int, ...] | None = None
) -> np.ndarray:
    """Draw uniformly distributed permutation matrices of k units.

    Parameters
    ----------
    k : int
        Number of hidden units.
    rng : int, numpy.random.Generator or None
        Seed or source of randomness.
    size : int or tuple of int, optional
        Batch shape; by default one matrix without batch axis.

    Returns
    -------
    ndarray of shape (*size, k, k)

    Examples
    --------
    >>> permutation(3, rng=0).sum(axis=0)
    array([1., 1., 1.])
    """
    k = whole("k", k)
    order = np.broadcast_to(np.arange(k), (*_batch_shape(size), k))
    return np.eye(k)[generator(rng).permuted(order, axis=-1)]


def sign_flip(
    k: int, rng: int | np.random.Generator | None, size: int | tuple[int, ...] | None = None
) -> np.ndarray:
    """Draw diagonal matrices with independent fair signs.

    Parameters
    ----------
    k, rng, size
        As for `permutation`.

    Returns
    -------
    ndarray of shape (*size, k, k)

    Examples
    --------
    >>> np.abs(sign_flip(2, rng=0))
    array([[1., 0.],
           [0., 1.]])
    """
    k = whole("k", k)
    signs = generator(rng).choice([-1.0, 1.0], size=(*_batch_shape(size), k))
    return signs[..., None] * np.eye(k)


def signed_permutation(
    k: int, rng: int | np.random.Generator | None, size: int | tuple[int, ...] | None = None
) -> np.ndarray:
    """Draw permutations of the units with fair signs.

    These are all the orthogonal matrices that map coordinate axes to coordinate axes.

    Parameters
    ----------
    k, rng, size
        As for `permutation`.

    Returns
    -------
    ndarray of shape (*size, k, k)

    Examples
    --------
    >>> np.abs(signed_permutation(3, rng=0)).sum(axis=1)
    array([1., 1., 1.])
    """
    rng = generator(rng)
    return sign_flip(k, rng, size) @ permutation(k, rng, size)


def positive_scaling(
    k: int, rng: int | np.random.Generator | None, size: int | tuple[int, ...] | None = None
) -> np.ndarray:
    """Draw diagonal matrices with log-normal entries.

    They are invertible but not orthogonal: a scaled unit needs the inverse scale in the next layer.

    Parameters
    ----------
    k, rng, size
        As for `permutation`.

    Returns
    -------
    ndarray of shape (*size, k, k)

    Examples
    --------
    >>> D = positive_scaling(3, rng=0)
    >>> bool((np.diag(D) > 0).all()), bool(is_orthogonal(D))
    (True, False)
    """
    k = whole("k", k)
    scales = generator(rng).lognormal(size=(*_batch_shape(size), k))
    return scales[..., None] * np.eye(k)


# --- between the identity and a rotation ---------------------------------------------------------


def fractional_power(Q: ArrayLike, t: ArrayLike) -> np.ndarray:
    """Walk from the identity to the rotation Q along the shortest path, to the fraction t of it.

    A rotation turns mutually orthogonal planes by angles in (-pi, pi]; ``Q^t`` turns the same
    planes by ``t`` times these angles. It stays orthogonal for every ``t``, and
    ``Q^s @ Q^t = Q^(s + t)``.

    Parameters
    ----------
    Q : array_like of shape (..., k, k)
        Rotations (determinant +1), orthogonal within the precision they are stored in.
    t : array_like
        Exponents; they broadcast against the batch axes of `Q`.

    Returns
    -------
    ndarray of shape (..., k, k)
        In double precision, whatever the precision of `Q`.

    Raises
    ------
    ValueError
        If Q is not orthogonal, or has determinant -1: such a matrix is not connected to the
        identity by orthogonal ones and has no real square root.

    Notes
    -----
    The real Schur form of an orthogonal matrix is block diagonal with its planes as blocks. Working
    on the angles keeps the result real and orthogonal to rounding also where eigenvalues coincide,
    where a power computed from eigenvectors does not. If Q turns planes by exactly pi, the path is
    not unique and one of the shortest is taken.

    Examples
    --------
    >>> Q = haar(5, rng=0, det=1)
    >>> half = fractional_power(Q, 0.5)
    >>> bool(np.allclose(half @ half, Q))
    True
    >>> fractional_power(Q, np.linspace(0, 1, 11)).shape
    (11, 5, 5)
    """
    t = _double("t", t)
    if not np.all(is_orthogonal(Q)):
        raise ValueError(
            f"Q must be orthogonal (Q @ Q.T equal to the identity within {_tolerance(Q):g})"
        )
    Q = _double("Q", Q)
    if np.any(np.linalg.det(Q) < 0):
        raise ValueError("Q must have determinant +1, got -1: a reflection has no real power")
    Z, angles = _planes(Q)
    return _turn(Z, t[..., None] * angles)


def _planes(Q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split rotations into planes: a basis Z (..., k, k) and angles (..., k // 2).

    Columns 2j and 2j + 1 of Z span the j-th plane; for odd k the last column is a fixed axis.
    """
    T, Z = scipy.linalg.schur(Q, output="real")
    k = Q.shape[-1]
    angles = np.zeros((*Q.shape[:-2], k // 2))
    for batch in np.ndindex(Q.shape[:-2]):
        block = T[batch]
        first = np.flatnonzero(np.diag(block, -1))  # where a 2 x 2 block begins
        alone = np.setdiff1d(np.arange(k), np.concatenate([first, first + 1]))
        # Real eigenvalues are +-1. The -1s come in pairs (det = +1), each a half turn of a plane.
        alone = alone[np.argsort(block[alone, alone], kind="stable")]
        n_half_turns = np.count_nonzero(block[alone, alone] < 0) // 2
        angles[batch][: len(first)] = np.arctan2(block[first + 1, first], block[first, first])
        angles[batch][len(first) : len(first) + n_half_turns] = np.pi
        Z[batch] = Z[batch][:, np.concatenate([np.stack([first, first + 1], 1).ravel(), alone])]
    return Z, angles


def _turn(Z: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Rotate by angles (..., k // 2) in the planes spanned by the column pairs of Z (..., k, k)."""
    k = Z.shape[-1]
    R = np.zeros((*angles.shape[:-1], k, k))
    even, odd = np.arange(0, k - 1, 2), np.arange(1, k, 2)
    R[..., even, even] = R[..., odd, odd] = np.cos(angles)
    R[..., odd, even] = np.sin(angles)
    R[..., even, odd] = -R[..., odd, even]
    if k % 2:
        R[..., -1, -1] = 1.0
    return Z @ R @ Z.swapaxes(-1, -2)


# --- comparing two hidden spaces -----------------------------------------------------------------


def procrustes_rotation(X: ArrayLike, Y: ArrayLike) -> np.ndarray:
    """Find the orthogonal U that maps the samples of X best to those of Y, ``y_i ~ U x_i``.

    Solves ``min_U || X U^T - Y ||_F`` over the orthogonal group, reflections included.

    Parameters
    ----------
    X, Y : array_like of shape (..., n_samples, k)
        Corresponding samples as rows. For factors of shape (k, m) pass their transposes.

    Returns
    -------
    ndarray of shape (..., k, k)
        U, such that ``X @ U.T`` (for factors: ``U @ A``) is closest to Y.

    Raises
    ------
    ValueError
        If the shapes differ, or a value is not finite.

    Notes
    -----
    U is the orthogonal polar factor of ``Y^T X`` [1]_, the transpose of what
    `scipy.linalg.orthogonal_procrustes` returns; that function takes no batch. The distance that
    remains after the alignment follows from `hblib.similarity.procrustes_similarity`.

    References
    ----------
    .. [1] P. H. Schoenemann, "A generalized solution of the orthogonal Procrustes problem",
       Psychometrika 31 (1966), 1-10, doi:10.1007/BF02289451.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, U = rng.normal(size=(20, 3)), haar(3, rng)
    >>> bool(np.allclose(procrustes_rotation(X, X @ U.T), U))
    True
    """
    X, Y = _double("X", X), _double("Y", Y)
    if X.ndim < 2 or X.shape[-2:] != Y.shape[-2:]:
        raise ValueError(
            f"X and Y must both have the shape (..., n_samples, k), got {X.shape} and {Y.shape}"
        )
    X, Y = _rescaled(X, axis=(-2, -1)), _rescaled(Y, axis=(-2, -1))
    left, _, right = np.linalg.svd(Y.swapaxes(-1, -2) @ X)
    return left @ right


def principal_angles(X: ArrayLike, Y: ArrayLike) -> np.ndarray:
    """Measure the angles between the spaces spanned by the units of X and by the units of Y.

    A unit is the vector of its values on all samples; the angles do not depend on the basis that
    either layer has in its space, so they are 0 for two rotated copies.

    Parameters
    ----------
    X : array_like of shape (..., n_samples, k)
        Samples as rows. For factors of shape (k, m) pass their transposes.
    Y : array_like of shape (..., n_samples, l)
        The same samples in another layer.

    Returns
    -------
    ndarray of shape (..., n_angles)
        Angles in radians, in descending order. There are as many as the smaller space has
        dimensions: ``min(k, l)``, or fewer if units are zero or linearly dependent within the
        precision of the input.

    Raises
    ------
    ValueError
        If the numbers of samples differ, all units are zero, or the members of a batch have
        different numbers of angles.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> bool(principal_angles(X, X @ haar(3, rng=1).T).max() < 1e-12)
    True

    A dead unit adds no dimension:

    >>> principal_angles(X * [1, 1, 0], X[:, :2]).shape
    (2,)
    """
    eps = max(_eps(X), _eps(Y))
    X, Y = _double("X", X), _double("Y", Y)
    if X.ndim < 2 or Y.ndim < 2 or X.shape[-2] != Y.shape[-2]:
        raise ValueError(
            f"X and Y must have the same n_samples as rows, got shapes {X.shape} and {Y.shape}"
        )
    batch = np.broadcast_shapes(X.shape[:-2], Y.shape[:-2])
    X = np.broadcast_to(X, (*batch, *X.shape[-2:]))
    Y = np.broadcast_to(Y, (*batch, *Y.shape[-2:]))
    angles = [
        scipy.linalg.subspace_angles(_spanning("X", X[i], eps), _spanning("Y", Y[i], eps))
        for i in np.ndindex(batch)
    ]
    numbers = {len(a) for a in angles}
    if len(numbers) > 1:
        raise ValueError(
            f"X and Y have from {min(numbers)} to {max(numbers)} principal angles in this batch: "
            "some of their units are zero or linearly dependent, pass one pair at a time"
        )
    return np.reshape(angles, (*batch, *numbers))


def _spanning(name: str, X: np.ndarray, eps: float) -> np.ndarray:
    """Columns that span the space of the units: X itself, or a basis if units are dependent."""
    left, values, _ = np.linalg.svd(X, full_matrices=False)
    rank = np.count_nonzero(values > eps * max(X.shape) * values[0])
    if rank == 0:
        raise ValueError(f"{name} has no unit that differs from zero: it spans no space")
    return X if rank == X.shape[1] else left[:, :rank]


def is_orthogonal(Q: ArrayLike, atol: float | None = None) -> np.ndarray:
    """Tell whether ``Q @ Q.T`` is the identity within `atol` in every entry.

    Parameters
    ----------
    Q : array_like of shape (..., k, k)
        Matrices.
    atol : float, optional
        Largest deviation allowed. By default 1e-8, or for matrices stored in less than double
        precision what that precision allows: 1e-4 in single and 0.02 in half precision.

    Returns
    -------
    ndarray of bool, of shape (...)

    Raises
    ------
    ValueError
        If the matrices are not square or have values that are not finite.

    Examples
    --------
    >>> bool(is_orthogonal(rotation_2d(0.3))), bool(is_orthogonal([[1.0, 1.0], [0.0, 1.0]]))
    (True, False)
    """
    atol = _tolerance(Q) if atol is None else number("atol", atol, least=0)
    Q = _double("Q", Q)
    if Q.ndim < 2 or Q.shape[-1] != Q.shape[-2]:
        raise ValueError(f"Q must have the shape (..., k, k), got {Q.shape}")
    deviation = np.abs(Q @ Q.swapaxes(-1, -2) - np.eye(Q.shape[-1]))
    return np.max(deviation, axis=(-2, -1)) <= atol


# --- do the axes stand out? ----------------------------------------------------------------------


def kurtosis(X: ArrayLike) -> np.ndarray:
    """Measure the excess kurtosis of each unit: how far its values are from Gaussian.

    Most directions through high-dimensional data look Gaussian, with values near 0. Units with
    higher values than randomly rotated ones (``X @ haar(k, rng).T``) show that training has singled
    out the axes.

    Parameters
    ----------
    X : array_like of shape (..., n_samples, k)
        Samples as rows.

    Returns
    -------
    ndarray of shape (..., k)

    Raises
    ------
    ValueError
        If there are fewer than two samples, or a unit is constant or not finite.

    Examples
    --------
    >>> X = np.random.default_rng(0).laplace(size=(4000, 8))
    >>> bool(kurtosis(X).mean() > kurtosis(X @ haar(8, rng=1).T).mean() + 1)
    True
    """
    X = _samples(X)
    if np.any(np.ptp(X, axis=-2) == 0):
        raise ValueError("X has a unit that is constant over the samples: it has no kurtosis")
    return scipy.stats.kurtosis(_rescaled(X, axis=-2), axis=-2)


def varimax(X: ArrayLike, tol: float = 1e-12, max_iter: int = 1000) -> np.ndarray:
    """Find the rotation that makes the units as sparse as a rotation can.

    Maximises ``sum_j var_i(L_ij^2)`` of ``L = X U^T`` over orthogonal U [1]_.

    Parameters
    ----------
    X : array_like of shape (..., n_samples, k)
        Samples as rows.
    tol : float, optional
        Stop when the ascent gains less than this fraction.
    max_iter : int, optional
        Largest number of steps; a `RuntimeWarning` says if they were not enough.

    Returns
    -------
    ndarray of shape (..., k, k)
        U; the sparse coordinates are ``X @ U.T``. Order and signs of the units are arbitrary.

    Raises
    ------
    ValueError
        If there are fewer than two samples, or a value is not finite.

    References
    ----------
    .. [1] H. F. Kaiser, "The varimax criterion for analytic rotation in factor analysis",
       Psychometrika 23 (1958), 187-200, doi:10.1007/BF02289233.

    Examples
    --------
    Units that were sparse before a rotation are found again:

    >>> rng = np.random.default_rng(0)
    >>> X = rng.laplace(size=(4000, 3)) ** 3
    >>> Q = haar(3, rng)
    >>> np.abs(varimax(X @ Q.T) @ Q).max(axis=0).round(2)
    array([1., 1., 1.])
    """
    X = _rescaled(_samples(X), axis=(-2, -1))
    max_iter = whole("max_iter", max_iter)
    tol = number("tol", tol, least=0)
    U = np.broadcast_to(np.eye(X.shape[-1]), (*X.shape[:-2], X.shape[-1], X.shape[-1]))
    gain = 0.0
    for _ in range(max_iter):
        L = X @ U.swapaxes(-1, -2)
        # Gradient of the criterion in U; the next U is the rotation nearest to it.
        G = (L**3 - L * np.mean(L**2, axis=-2, keepdims=True)).swapaxes(-1, -2) @ X
        left, singular, right = np.linalg.svd(G)
        U, last, gain = left @ right, gain, singular.sum(axis=-1)
        if np.all(gain - last <= tol * gain):
            return U
    warnings.warn(f"varimax: not converged in {max_iter} steps", RuntimeWarning, stacklevel=2)
    return U


# --- input ---------------------------------------------------------------------------------------


def _double(name: str, value: ArrayLike) -> np.ndarray:
    """Any array-like as an array of finite float64."""
    return np.asarray(as_array(name, value), dtype=np.float64)


def _samples(X: ArrayLike) -> np.ndarray:
    """Activations (..., n_samples, k) of at least two samples."""
    X = _double("X", X)
    if X.ndim < 2 or X.shape[-2] < 2:
        raise ValueError(
            f"X must have the shape (..., n_samples, k) with n_samples >= 2, got {X.shape}"
        )
    return X


def _eps(value: ArrayLike) -> float:
    """Machine epsilon of the precision in which the input is stored."""
    dtype = getattr(value, "dtype", None)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(dtype, torch.dtype):
        return torch.finfo(dtype).eps if dtype.is_floating_point else np.finfo(np.float64).eps
    if isinstance(dtype, np.dtype) and dtype.kind == "f":
        return float(np.finfo(dtype).eps)
    return float(np.finfo(np.float64).eps)


def _tolerance(Q: ArrayLike) -> float:
    """How far from orthogonal a matrix may be for the precision in which it is stored."""
    eps = _eps(Q)
    return 1e-8 if eps < 1e-12 else 1e-4 if eps < 1e-6 else 0.02


def _rescaled(X: np.ndarray, axis: int | tuple[int, ...]) -> np.ndarray:
    """X over a power of two near its largest value, so that no product overflows or underflows.

    The division is exact: what does not depend on the scale of X stays the same to the last bit.
    """
    exponent = np.frexp(np.max(np.abs(X), axis=axis, keepdims=True))[1]
    return np.ldexp(X, -exponent)


def _batch_shape(size: int | tuple[int, ...] | None) -> tuple[int, ...]:
    return () if size is None else tuple(whole("size", n) for n in np.atleast_1d(size))

