"""Maps without classes: smooth activity, smooth weights, and the order of units that is smoothest.

Two recent penalties make a layer topographic without saying where anything belongs. One asks units
that sit close together to be active together (`smoothness_penalty`), the other asks the incoming
weights of neighbours to look alike (`blur_penalty`). Each has a null that costs no training: the
units of an ordinary network in their smoothest order, which `arrange_units` looks for.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment, quadratic_assignment
from torch.nn import functional

from hblib._checks import Randomness, as_array, generator, number, whole
from hblib.grid import _grid as grid


def smoothness_penalty(
    H: ArrayLike | torch.Tensor, shape: tuple[int, int], eps: float = 1e-8
) -> torch.Tensor:
    """Measure how little units that sit close together are active together.

    With r the correlations of all pairs of units over the samples and d = 1 / (1 + distance) how
    close the two units are, the penalty is ``(1 - corr(r, d)) / 2`` over the pairs.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations. A single sample has no correlations, and gets 0.5 without a gradient.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units, at least three units not all at
        the same distance.
    eps : float, optional
        Added to variances: a unit that never changes correlates with nothing.

    Returns
    -------
    torch.Tensor of shape (...)
        From 0 (correlation falls with distance as d does) to 1; 0.5 in an arbitrary order.

    Raises
    ------
    ValueError
        If the grid does not fit the layer.

    References
    ----------
    N. Rathi, J. Mehrer, B. AlKhamissi et al. (2025), TopoLM: brain-like spatio-functional
    organization in a topographic language model, ICLR, arXiv 2410.11516, averages such a term over
    neighbourhoods of a layer. Here the whole grid is one neighbourhood.

    Examples
    --------
    Four units on a line; the first two are active together, and so are the last two:

    >>> H = torch.tensor([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], [1.0, 1.0, 0.0, 0.0]])
    >>> round(float(smoothness_penalty(H, (1, 4))), 2)
    0.16
    >>> round(float(smoothness_penalty(H[:, [0, 2, 1, 3]], (1, 4))), 2)
    0.74
    """
    eps = number("eps", eps, above=0)
    H = _fitting(H, shape)
    one, other = np.triu_indices(H.shape[-1], 1)
    d = torch.as_tensor(_closeness(shape)[one, other]).to(H)
    d = d - d.mean()
    if not d.abs().max() > 0:
        raise ValueError(f"shape must have pairs of units at different distances, got {shape}")
    C = H - H.mean(-2, keepdim=True)
    C = C / (C.square().sum(-2, keepdim=True) + eps).sqrt()
    r = (C.mT @ C)[..., one, other]
    r = r - r.mean(-1, keepdim=True)
    norms = (r.square().sum(-1) + eps).sqrt() * d.norm()
    return (1 - (r * d).sum(-1) / norms) / 2


def blur_penalty(
    W: ArrayLike | torch.Tensor, shape: tuple[int, int], factor: float = 3.0, eps: float = 1e-8
) -> torch.Tensor:
    """Measure how much a sheet of incoming weights loses when it is blurred.

    Seen from one input, the weights to all units are a picture on the grid. The picture is made
    smaller by the factor and brought back to its size, which leaves only what is smooth. The
    penalty is 1 minus the cosine between the picture and what is left, mean over inputs.

    Parameters
    ----------
    W : tensor or array_like of shape (..., n_units, n_inputs)
        Weights of the layer.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units.
    factor : float > 1
        How much smaller each side becomes.
    eps : float, optional
        Added to the squares of norms.

    Returns
    -------
    torch.Tensor of shape (...)
        0 for weights that are the same all over the grid.

    Raises
    ------
    ValueError
        If the grid does not fit the layer, or the blurred picture would have no cell.

    References
    ----------
    M. Deb, M. Deb, N. A. R. Murty (2025), TopoNets: high-performing vision and language models
    with brain-like topography, ICLR, arXiv 2501.16396.

    Examples
    --------
    Weights that rise from left to right, and the same weights in another order:

    >>> W = torch.arange(1.0, 7.0)[:, None]
    >>> mixed = W[[0, 5, 1, 4, 2, 3]]
    >>> [round(float(blur_penalty(V, (1, 6), factor=2)), 3) for V in (W, mixed)]
    [0.002, 0.101]
    """
    factor, eps = number("factor", factor, above=1), number("eps", eps, above=0)
    W = grid.as_tensor("W", W)
    if W.ndim < 2:
        raise ValueError(f"W must have the shape (..., n_units, n_inputs), got {tuple(W.shape)}")
    W = _fitting(W.mT, shape, "W", "weights").mT
    height, width = grid.check_shape(shape)
    # A side of one cell has nothing to blur.
    small = [side if side == 1 else math.floor(side / factor) for side in (height, width)]
    if min(small) < 1:
        raise ValueError(f"factor must leave a cell of each side of {shape}, got {factor:g}")
    sheets = W.mT.reshape(-1, 1, height, width)
    blurred = functional.interpolate(sheets, size=small, mode="bilinear", align_corners=False)
    blurred = functional.interpolate(
        blurred, size=(height, width), mode="bilinear", align_corners=False
    )
    sheets, blurred = sheets.flatten(1), blurred.flatten(1)
    norms = ((sheets.square().sum(1) + eps) * (blurred.square().sum(1) + eps)).sqrt()
    cosines = (sheets * blurred).sum(1) / norms
    return 1 - cosines.reshape(*W.shape[:-2], W.shape[-1]).mean(-1)


def arrange_units(
    H: ArrayLike | torch.Tensor, shape: tuple[int, int], rng: Randomness, n_starts: int = 4
) -> np.ndarray:
    """Find an order of one layer's units in which close units are active together.

    Minimising `smoothness_penalty` over orders is a quadratic assignment problem. Starts are the
    two leading principal axes of the units' correlations, dealt out over the grid, and random
    orders; each is improved by fast approximate assignment (Vogelstein et al. 2015), then by the
    best exchange of two units for as long as one helps, and the best is kept. That is a good
    order, not certainly the best.

    Parameters
    ----------
    H : tensor or array_like of shape (n_samples, n_units)
        Activations of one network. For `blur_penalty` give the weights, ``W.T``.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units.
    rng : int, sequence of int, numpy.random.Generator or None
        Source of the random starts.
    n_starts : int, optional
        How many starts, the one from principal axes among them.

    Returns
    -------
    ndarray of int, shape (n_units,)
        Cell of each unit; ``H[:, np.argsort(cells)]`` is in the order of the grid.

    Raises
    ------
    ValueError
        If the grid does not fit the layer, or there are fewer than two samples.

    References
    ----------
    J. T. Vogelstein et al. (2015), Fast approximate quadratic programming for graph matching,
    PLOS ONE 10, e0121002.

    Examples
    --------
    >>> H = np.array([[1.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 1.0], [1.0, 0.0, 1.0, 0.0]])
    >>> cells = arrange_units(H, (1, 4), rng=0)
    >>> round(float(smoothness_penalty(H[:, np.argsort(cells)], (1, 4))), 2)
    0.16
    """
    H, n_starts, rng = as_array("H", H, 2), whole("n_starts", n_starts), generator(rng)
    H = _fitting(H, shape).numpy()
    if len(H) < 2:
        raise ValueError(f"H must have at least 2 samples, got {len(H)}")
    C = H - H.mean(axis=0)
    C = C / np.sqrt((C**2).sum(axis=0) + 1e-8)
    R, D = C.T @ C, _closeness(shape)
    np.fill_diagonal(R, 0)
    starts = [_by_axes(R, shape), *(rng.permutation(len(R)) for _ in range(n_starts - 1))]
    found = [
        quadratic_assignment(
            R, D, method="faq", options={"maximize": True, "P0": np.eye(len(R))[cells]}
        ).col_ind
        for cells in starts
    ]
    found = [_exchange(R, D, cells) for cells in found]
    return max(found, key=lambda cells: (R * D[np.ix_(cells, cells)]).sum())


def _exchange(R, D, cells):
    """Let two units change places, the pair that gains most, until no pair gains."""
    cells = np.array(cells)
    while True:
        near = D[np.ix_(cells, cells)]
        M = R @ near
        own = np.diag(M)
        gain = M + M.T - own[:, None] - own + 2 * R * near
        i, j = np.unravel_index(gain.argmax(), gain.shape)
        if gain[i, j] < 1e-9:
            return cells
        cells[[i, j]] = cells[[j, i]]


def _by_axes(R, shape):
    """Deal units out by the two leading axes of their correlations, scaled to the grid."""
    _, vectors = np.linalg.eigh(R)
    cells = grid.lattice(shape).astype(float)
    points = np.argsort(np.argsort(vectors[:, -2:][:, ::-1], axis=0), axis=0) / max(len(R) - 1, 1)
    points = points * (np.array(shape) - 1)
    squares = ((points[:, None] - cells) ** 2).sum(axis=-1)
    return linear_sum_assignment(squares)[1]


def _closeness(shape):
    """1 / (1 + distance) of all pairs of cells, and 0 of a cell with itself."""
    z = grid.lattice(shape).astype(float)
    D = 1 / (1 + np.linalg.norm(z[:, None] - z, axis=-1))
    np.fill_diagonal(D, 0)
    return D


def _fitting(H, shape, name="H", what="activations"):
    height, width = grid.check_shape(shape)
    H = grid.as_tensor(name, H)
    if H.ndim < 2 or H.shape[-1] != height * width:
        raise ValueError(
            f"shape must fit the layer: a grid of {height} x {width} has {height * width} units, "
            f"but the {what} {name} have the shape {tuple(H.shape)}"
        )
    return H
