"""Where should units sit? Layout by assignment, and why learned coordinates collapse.

*Assignment.* Hidden layers do not care about the order of their units. For given activations the
order that shows the wanted surfaces best is a permutation of the grid, and finding it is a linear
assignment problem: put unit i in cell k at the cost ::

    - sum_c pi_c P_c(k) E[log Q(i) | c]                       (forward KL, or cross-entropy)
    - sum_c pi_c log P_c(k) E[Q(i) | c]                       (more for the symmetric KL)

All else in the penalty stays the same when units change places. Coordinates that may only be
permuted cannot collapse.

*Collapse.* Coordinates that move freely fall together under KL(P || Q), for its gradient with
respect to the place of unit i is ::

    sum_c pi_c P_c(i) (log P_c(i) / Q_c(i) - KL_c) (mu_c - z_i) / sigma^2 .

Against a layer that shows the same for every class (Q_c = 1 / N) the penalty is log N - H(P_c): it
falls as the surfaces wanted grow flat, that is, as all units come to be equally far from every
centre. `flow` follows that gradient; `linear_response` says what is left of the layout when the
layer knows a little of the classes. Classes are taken to be equally frequent in both.
"""

import numpy as np
import torch
from scipy.integrate import solve_ivp
from scipy.optimize import linear_sum_assignment

from hblib.grid import _grid as grid

# --- layout by assignment ------------------------------------------------------------------------


def assign(H, y, shape, centres, sigma, kind="kl"):
    """Permutation of the grid that makes the penalty of given activations as small as can be.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations, none negative.
    y : tensor or array_like of int, shape (n_samples,)
        Classes, from 0, none without samples.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units.
    centres : tensor or array_like of shape (..., n_classes, 2)
    sigma : float > 0
    kind : {"kl", "symmetric"}
        The penalty; "kl" serves for the cross-entropy too.

    Returns
    -------
    numpy.ndarray of int, shape (..., n_units)
        Cell of each unit: ``lattice(shape)[cells]`` are its places, and
        ``H[..., np.argsort(cells)]`` is one network's activity in the order of the grid.

    Examples
    --------
    >>> H = [[0.1, 0.9, 0.1, 0.5], [0.9, 0.1, 0.5, 0.1]]
    >>> assign(H, [0, 1], (1, 4), [[0, 0], [0, 3]], sigma=1.0)
    array([3, 0, 2, 1])
    """
    if kind not in ("kl", "symmetric"):
        raise ValueError(f"kind must be 'kl' or 'symmetric', got {kind!r}")
    H, mu = _array("H", H), _array("centres", centres)
    n_units = len(grid.lattice(shape))
    if H.ndim < 2 or H.shape[-1] != n_units:
        raise ValueError(
            f"shape must fit the layer: a grid of {shape} has {n_units} units, but the "
            f"activations have the shape {H.shape}"
        )
    y = grid.check_labels(y, H.shape[-2], mu.shape[-2])
    grid.count_classes(y)
    if (H < 0).any():
        raise ValueError(f"activations must not be negative, got {H.min():.3g}")
    log_P = grid.log_surfaces(grid.lattice(shape), mu, sigma).numpy()
    one_hot = (y == np.arange(mu.shape[-2])[:, None]) / len(y)
    H = H + grid.EPS
    gain = (one_hot @ np.log(H)).swapaxes(-1, -2) @ np.exp(log_P)  # (..., units, cells)
    if kind == "symmetric":
        Q = H / H.sum(axis=-1, keepdims=True)
        gain = gain + (one_hot @ Q).swapaxes(-1, -2) @ log_P
    tables = gain.reshape(-1, n_units, n_units)
    cells = [linear_sum_assignment(table, maximize=True)[1] for table in tables]
    return np.array(cells).reshape(gain.shape[:-1])


# --- what pulls learned coordinates --------------------------------------------------------------


def uniform(P):
    """What a layer that knows nothing shows: the same activity everywhere. Shape as of P."""
    return torch.full_like(P, 1 / P.shape[-1])


def best_response(P, knowledge=0.0):
    """What a layer shows that follows its penalty as well as its knowledge of classes lets it.

    Parameters
    ----------
    P : torch.Tensor of shape (n_classes, n_units)
        Surfaces wanted.
    knowledge : float from 0 to 1
        Share of samples whose class it knows. For the others it shows the mean of the surfaces,
        which is the least bad answer to KL(P || Q).

    Returns
    -------
    torch.Tensor of shape (n_classes, n_units)
    """
    return knowledge * P + (1 - knowledge) * P.mean(0)


def coordinate_gradient(positions, centres, sigma, Q, kind="kl", learn="units"):
    """Gradient of the penalty with respect to places, for the activity that each class causes.

    Parameters
    ----------
    positions : array_like of shape (n_units, 2)
    centres : array_like of shape (n_classes, 2)
    sigma : float > 0
    Q : array_like of shape (n_classes, n_units)
        Activity at each class, up to a factor.
    kind : str
        See `grid.surface_penalty`.
    learn : {"units", "centres"}
        Which places move.

    Returns
    -------
    numpy.ndarray of shape (n_units, 2) or (n_classes, 2)
    """
    places = {"units": _array("positions", positions), "centres": _array("centres", centres)}
    if learn not in places:
        raise ValueError(f"learn must be 'units' or 'centres', got {learn!r}")
    leaf = torch.tensor(places[learn], requires_grad=True)
    log_P = grid.log_surfaces(*(places | {learn: leaf}).values(), sigma)
    Q = torch.as_tensor(_array("Q", Q))
    # With a mean activity far above EPS the smoothing of Q is below rounding.
    H = Q / Q.mean(-1, keepdim=True) * 1e8
    grid.surface_penalty(H, np.arange(len(H)), log_P, kind).backward()
    return leaf.grad.numpy()


def flow(positions, centres, sigma, times, kind="kl", learn="units", response=uniform):
    """Let coordinates follow the gradient of the penalty while the layer responds to them.

    Parameters
    ----------
    positions : array_like of shape (n_units, 2)
    centres : array_like of shape (n_classes, 2)
    sigma : float > 0
    times : array_like of shape (n_times,)
        Rising, from 0. Near collapse distances fall to 1 / e in a time of 1: it is counted in
        units of N sigma^4 / v for units, with v the mean variance of the centres over the two
        axes, and of n_classes sigma^2 for centres.
    kind : str
        See `grid.surface_penalty`.
    learn : {"units", "centres"}
        Which places move.
    response : callable
        Activity (n_classes, n_units) as a function of the surfaces wanted, `uniform` or
        `best_response`. It is given to the flow as a fact: no gradient runs through it.

    Returns
    -------
    numpy.ndarray of shape (n_times, n_units or n_classes, 2)

    Examples
    --------
    >>> start = grid.uniform_positions(36, (6, 6), rng=0)
    >>> path = flow(start, grid.ring_centres(4, (6, 6)), 1.5, times=[0, 10, 100])
    >>> spread(path).round(1)
    array([2.1, 0.2, 0. ])
    """
    times = np.asarray(times, dtype=float)
    if times.ndim != 1 or len(times) < 2 or times[0] != 0 or not (np.diff(times) > 0).all():
        raise ValueError(f"times must rise from 0, at least two of them, got {times}")
    places = {"units": _array("positions", positions), "centres": _array("centres", centres)}
    if learn not in places:
        raise ValueError(f"learn must be 'units' or 'centres', got {learn!r}")
    start, mu = places[learn], places["centres"]
    unit = len(mu) * sigma**2
    if learn == "units":
        unit = len(start) * sigma**4 / mu.var(axis=0).mean()

    def velocity(_, flat):
        moved = places | {learn: flat.reshape(start.shape)}
        P = grid.log_surfaces(*moved.values(), sigma).exp()
        gradient = coordinate_gradient(*moved.values(), sigma, response(P), kind, learn)
        return -unit * gradient.ravel()

    # Errors count in cells, however far from the corner of the grid.
    path = solve_ivp(velocity, times[[0, -1]], start.ravel(), t_eval=times, rtol=1e-9, atol=1e-6)
    return path.y.T.reshape(len(times), *start.shape)


def linear_response(centres, sigma, Q):
    """Where units rest near the collapsed layout, if the layer knows a little of the classes.

    To first order in the modulation of log Q by the class, the penalty is least if unit i lies off
    the centroid of the units by ``sigma^2 S^-1 Cov_c(mu_c, log Q_c(i))``, less the mean over units,
    with S the covariance of the centres: the layout is as wide as what the layer shows now.

    Parameters
    ----------
    centres : array_like of shape (n_classes, 2)
        Not on one line.
    sigma : float > 0
    Q : array_like of shape (n_classes, n_units)
        Activity at each class, up to a factor, positive.

    Returns
    -------
    numpy.ndarray of shape (n_units, 2)
        Offset of each unit, cells.
    """
    mu, Q = _array("centres", centres), _array("Q", Q)
    mu = mu - mu.mean(axis=0)
    q = np.log(Q / Q.sum(axis=1, keepdims=True))
    S = mu.T @ mu
    if np.linalg.cond(S) > 1e12:
        raise ValueError("centres must not lie on one line")
    offsets = sigma**2 * np.linalg.solve(S, mu.T @ q).T
    return offsets - offsets.mean(axis=0)


# --- how wide a layout is ------------------------------------------------------------------------


def spread(points):
    """Root mean square distance of points from their centroid.

    Parameters
    ----------
    points : array_like of shape (..., n_points, 2)

    Returns
    -------
    numpy.ndarray of shape (...)
        Cells.
    """
    points = _array("points", points)
    offsets = points - points.mean(axis=-2, keepdims=True)
    return np.sqrt((offsets**2).sum(axis=-1).mean(axis=-1))


def distance_from(points, centre):
    """Mean distance of points (..., n_points, 2) from a place (..., 2), in cells, shape (...)."""
    return np.linalg.norm(
        _array("points", points) - _array("centre", centre)[..., None, :], axis=-1
    ).mean(axis=-1)


def inward(positions, gradient, centre):
    """How far a step down the gradient leads to a place: cosine over all points together.

    Parameters
    ----------
    positions, gradient : array_like of shape (..., n_points, 2)
    centre : array_like of shape (2,)

    Returns
    -------
    numpy.ndarray of shape (...)
        1 if every point is drawn straight to `centre`, each in proportion to its distance; about
        0 for a random direction, -1 if all are driven away.
    """
    way, g = _array("centre", centre) - _array("positions", positions), _array("gradient", gradient)
    norms = np.sqrt((way**2).sum(axis=(-2, -1)) * (g**2).sum(axis=(-2, -1)))
    if not np.all(norms > 0):
        raise ValueError("gradient must not be zero, nor all positions in centre")
    return -(way * g).sum(axis=(-2, -1)) / norms


def _array(name, values):
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers, got NaN or infinity")
    return array
