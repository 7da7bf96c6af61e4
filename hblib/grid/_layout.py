"""Where should units sit? Layout by assignment, and why learned coordinates collapse.

*Assignment.* Hidden layers do not care about the order of their units. For given activations the
order that shows the target surfaces best is a permutation of the grid, and finding it is a linear
assignment problem: put unit i in cell k at the cost ::

    - sum_c pi_c P_c(k) E[log Q(i) | c]                       (forward KL, or cross-entropy)
    - sum_c pi_c log P_c(k) E[Q(i) | c]                       (added for the symmetric KL)

All else in the penalty stays the same when units change places. Coordinates that may only be
permuted cannot collapse.

*Collapse.* Coordinates that move freely fall together under KL(P || Q), because its gradient with
respect to the place of unit i is ::

    sum_c pi_c P_c(i) (log P_c(i) / Q_c(i) - KL_c) (mu_c - z_i) / sigma^2 .

For a layer that shows the same for every class (Q_c = 1 / N) the penalty is log N - H(P_c): it
falls as the target surfaces grow flat, that is, as all units come to be equally far from every
centre. `gradient_flow` follows that gradient; `linear_response` gives what is left of the layout
when the layer knows a little about the classes. Both take classes to be equally frequent.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp
from scipy.optimize import linear_sum_assignment

from hblib._checks import choice, number
from hblib.grid import _grid as grid
from hblib.grid._grid import doubles

# --- layout by assignment ------------------------------------------------------------------------


def assign_units(
    H: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    shape: tuple[int, int],
    centres: ArrayLike | torch.Tensor,
    sigma: float,
    kind: str = "kl",
) -> np.ndarray:
    """Find the permutation of the grid that minimises the penalty of given activations.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations, not negative.
    y : tensor or array_like of int, shape (n_samples,)
        Classes from 0, each with at least one sample.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units.
    centres : tensor or array_like of shape (..., n_classes, 2)
    sigma : float > 0
    kind : {"kl", "symmetric"}
        The penalty; "kl" serves for the cross-entropy too.

    Returns
    -------
    ndarray of int, shape (..., n_units)
        Cell of each unit: ``lattice(shape)[cells]`` are its places, and
        ``H[..., np.argsort(cells)]`` is one network's activity in the order of the grid.

    Raises
    ------
    ValueError
        If the grid does not fit the layer, or a class has no sample.

    Examples
    --------
    >>> H = [[0.1, 0.9, 0.1, 0.5], [0.9, 0.1, 0.5, 0.1]]
    >>> assign_units(H, [0, 1], (1, 4), [[0, 0], [0, 3]], sigma=1.0)
    array([3, 0, 2, 1])
    """
    choice("kind", kind, ("kl", "symmetric"))
    H, mu = doubles("H", H), doubles("centres", centres)
    n_units = len(grid.lattice(shape))
    if H.ndim < 2 or H.shape[-1] != n_units:
        raise ValueError(
            f"shape must fit the layer: a grid of {shape} has {n_units} units, but the "
            f"activations H have the shape {H.shape}"
        )
    if (H < 0).any():
        raise ValueError(f"activations H must not be negative, got {H.min():.3g}")
    log_P = grid.log_surfaces(grid.lattice(shape), mu, sigma).numpy()
    y = grid.check_labels(y, H.shape[-2], mu.shape[-2])
    grid.count_classes(y)
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


def uniform_response(P: torch.Tensor) -> torch.Tensor:
    """Return what a layer that knows nothing shows: the same activity everywhere.

    Parameters
    ----------
    P : tensor or array_like of shape (n_classes, n_units)
        The target surfaces.

    Returns
    -------
    torch.Tensor of shape (n_classes, n_units)

    Examples
    --------
    >>> uniform_response(torch.tensor([[0.75, 0.25], [0.25, 0.75]])).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    P = grid.as_tensor("P", P)
    return torch.full_like(P, 1 / P.shape[-1])


def best_response(P: torch.Tensor, knowledge: float = 0.0) -> torch.Tensor:
    """Return the activity that minimises KL(P || Q) for a layer that knows some of the classes.

    Parameters
    ----------
    P : tensor or array_like of shape (n_classes, n_units)
        The target surfaces.
    knowledge : float from 0 to 1
        Share of samples whose class the layer knows. For the others it shows the mean of the
        surfaces, the best answer without knowing the class.

    Returns
    -------
    torch.Tensor of shape (n_classes, n_units)

    Examples
    --------
    >>> best_response(torch.tensor([[0.75, 0.25], [0.25, 0.75]]), knowledge=0.5).tolist()
    [[0.625, 0.375], [0.375, 0.625]]
    """
    knowledge, P = number("knowledge", knowledge, 0, 1), grid.as_tensor("P", P)
    return knowledge * P + (1 - knowledge) * P.mean(0)


def coordinate_gradient(
    positions: ArrayLike,
    centres: ArrayLike,
    sigma: float,
    Q: ArrayLike,
    kind: str = "kl",
    learn: str = "units",
) -> np.ndarray:
    """Return the gradient of the penalty with respect to places, for given activity.

    Parameters
    ----------
    positions : array_like of shape (n_units, 2)
    centres : array_like of shape (n_classes, 2)
    sigma : float > 0
    Q : array_like of shape (n_classes, n_units)
        Activity for each class, up to a factor; not negative.
    kind : str
        See `surface_penalty`.
    learn : {"units", "centres"}
        Which places move.

    Returns
    -------
    ndarray of shape (n_units, 2) or (n_classes, 2)

    Raises
    ------
    ValueError
        If a class has no activity.

    Examples
    --------
    The layer shows the same everywhere; a step down the gradient moves the last unit to the centre:

    >>> z, Q = [[0, 0], [0, 1], [0, 2]], [[1, 1, 1]]
    >>> coordinate_gradient(z, [[0, 0]], 2.0, Q)[2].round(3).tolist()
    [0.0, 0.041]
    """
    places = {"units": doubles("positions", positions), "centres": doubles("centres", centres)}
    choice("learn", learn, places)
    leaf = torch.tensor(places[learn], requires_grad=True)
    log_P = grid.log_surfaces(*(places | {learn: leaf}).values(), sigma)
    Q = torch.tensor(doubles("Q", Q, 2))
    if not (Q.sum(-1) > 0).all():
        raise ValueError("Q must have some activity for every class")
    if Q.shape != log_P.shape:
        raise ValueError(
            f"Q must have a row for each of centres and a column for each of positions, "
            f"{tuple(log_P.shape)}, got {tuple(Q.shape)}"
        )
    # With a mean activity far above EPS the smoothing of Q is below rounding.
    H = Q / Q.mean(-1, keepdim=True) * 1e8
    grid.surface_penalty(H, np.arange(len(H)), log_P, kind).backward()
    return leaf.grad.numpy()


def gradient_flow(
    positions: ArrayLike,
    centres: ArrayLike,
    sigma: float,
    times: ArrayLike,
    kind: str = "kl",
    learn: str = "units",
    response: Callable[[torch.Tensor], torch.Tensor] = uniform_response,
) -> np.ndarray:
    """Let coordinates follow the gradient of the penalty while the layer responds to them.

    Parameters
    ----------
    positions : array_like of shape (n_units, 2)
    centres : array_like of shape (n_classes, 2)
    sigma : float > 0
    times : array_like of shape (n_times,)
        Rising, from 0. Near collapse, distances fall to 1 / e in a time of 1: the unit of time is
        N sigma^4 / v for units, with v the mean variance of the centres over the two axes, and
        n_classes sigma^2 for centres.
    kind : str
        See `surface_penalty`.
    learn : {"units", "centres"}
        Which places move.
    response : callable
        Activity (n_classes, n_units) as a function of the target surfaces, `uniform_response` or
        `best_response`. No gradient runs through it.

    Returns
    -------
    ndarray of shape (n_times, n_units or n_classes, 2)

    Raises
    ------
    ValueError
        If times do not rise from 0.

    Examples
    --------
    >>> from hblib import grid
    >>> start = grid.uniform_positions(36, (6, 6), rng=0)
    >>> path = gradient_flow(start, grid.ring_centres(4, (6, 6)), 1.5, times=[0, 10, 100])
    >>> spread(path).round(1)
    array([2.1, 0.2, 0. ])
    """
    times = doubles("times", times, 1)
    if len(times) < 2 or times[0] != 0 or not (np.diff(times) > 0).all():
        raise ValueError(f"times must rise from 0, at least two of them, got {times}")
    places = {
        "units": doubles("positions", positions, 2),
        "centres": doubles("centres", centres, 2),
    }
    choice("learn", learn, places)
    sigma = number("sigma", sigma, above=0)
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


def linear_response(centres: ArrayLike, sigma: float, Q: ArrayLike) -> np.ndarray:
    """Predict where units rest near the collapsed layout if the layer knows some of the classes.

    To first order in how the class modulates log Q, the penalty is smallest if unit i lies off the
    centroid of the units by ``sigma^2 S^-1 Cov_c(mu_c, log Q_c(i))``, less the mean over units,
    with S the covariance of the centres: the layout is only as wide as what the layer shows.

    Parameters
    ----------
    centres : array_like of shape (n_classes, 2)
        Not on one line.
    sigma : float > 0
    Q : array_like of shape (n_classes, n_units)
        Activity for each class, up to a factor; above 0.

    Returns
    -------
    ndarray of shape (n_units, 2)
        Offset of each unit, cells.

    Raises
    ------
    ValueError
        If the centres lie on one line, or activity is not above 0.

    Examples
    --------
    A layer that shows the same for every class keeps all units in one place:

    >>> bool((linear_response([[0, 0], [0, 1], [1, 0]], 1.0, np.ones((3, 4))) == 0).all())
    True
    """
    mu, Q = doubles("centres", centres, 2), doubles("Q", Q, 2)
    sigma = number("sigma", sigma, above=0)
    if len(mu) != len(Q) or not (Q > 0).all():
        raise ValueError(f"Q must be above 0 and have a row for each of the {len(mu)} centres")
    mu = mu - mu.mean(axis=0)
    q = np.log(Q / Q.sum(axis=1, keepdims=True))
    S = mu.T @ mu
    if np.linalg.cond(S) > 1e12:
        raise ValueError("centres must not lie on one line")
    offsets = sigma**2 * np.linalg.solve(S, mu.T @ q).T
    return offsets - offsets.mean(axis=0)


# --- how wide a layout is ------------------------------------------------------------------------


def spread(points: ArrayLike) -> np.ndarray:
    """Return the root mean square distance of points from their centroid.

    Parameters
    ----------
    points : array_like of shape (..., n_points, 2)

    Returns
    -------
    ndarray of shape (...)
        Cells.

    Examples
    --------
    >>> float(spread([[0, 0], [0, 6], [8, 0], [8, 6]]))
    5.0
    """
    points = doubles("points", points)
    if points.ndim < 2:
        raise ValueError(f"points must have the shape (..., n_points, 2), got {points.shape}")
    offsets = points - points.mean(axis=-2, keepdims=True)
    return np.sqrt((offsets**2).sum(axis=-1).mean(axis=-1))


def inward(positions: ArrayLike, gradient: ArrayLike, centre: ArrayLike) -> np.ndarray:
    """Return the cosine between a step down the gradient and the way to a place.

    Parameters
    ----------
    positions, gradient : array_like of shape (..., n_points, 2)
        All points together make one vector.
    centre : array_like of shape (2,)

    Returns
    -------
    ndarray of shape (...)
        1 if every point is drawn straight to the centre in proportion to its distance, about 0 for
        a random direction, -1 if all are driven away.

    Raises
    ------
    ValueError
        If the gradient is zero, or all points lie in the centre.

    Examples
    --------
    >>> float(inward([[0, 0], [0, 2]], [[0, -1], [0, 1]], [0, 1]))
    1.0
    """
    positions, g = doubles("positions", positions), doubles("gradient", gradient)
    centre = doubles("centre", centre, 1)
    if positions.ndim < 2 or positions.shape != g.shape or centre.shape != g.shape[-1:]:
        raise ValueError(
            f"positions and gradient must be (..., n_points, 2) and centre (2,), got "
            f"{positions.shape}, {g.shape} and {centre.shape}"
        )
    way = centre - positions
    norms = np.sqrt((way**2).sum(axis=(-2, -1)) * (g**2).sum(axis=(-2, -1)))
    if not np.all(norms > 0):
        raise ValueError("gradient must not be zero, nor all positions in centre")
    return -(way * g).sum(axis=(-2, -1)) / norms
