"""What a grid of hidden units shows: regions, smoothness, information, and what ablation hurts.

Measures read *maps*: activity over the units, not negative, ``(..., n_units)``, shown as Q in
`hblib.grid`. Leading axes are classes, samples or networks. Regions are masks over the same units.
No measure can be read alone: regions appear under any relabelling of the units that looks for them
(`assign_units`), so each belongs beside its value for shuffled or unpenalised units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import Randomness, generator, number
from hblib.grid import _grid as grid
from hblib.grid._grid import doubles
from hblib.grid._hooks import evaluating, model_input, suppressed

# --- maps ----------------------------------------------------------------------------------------


def class_maps(H: ArrayLike | torch.Tensor, y: ArrayLike | torch.Tensor) -> np.ndarray:
    """Return the mean normalised activity of each class.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations, not negative.
    y : tensor or array_like of int, shape (n_samples,)
        Classes from 0, each with at least one sample.

    Returns
    -------
    ndarray of shape (..., n_classes, n_units)
        Every map sums to 1.

    Examples
    --------
    >>> class_maps([[3, 1], [1, 3], [3, 1]], [0, 1, 0]).round(2).tolist()
    [[0.75, 0.25], [0.25, 0.75]]
    """
    H = _activity(H)
    y = grid.check_labels(y, H.shape[-2])
    counts = grid.count_classes(y)
    one_hot = (y == np.arange(len(counts))[:, None]) / counts[:, None]
    return one_hot @ (H / H.sum(axis=-1, keepdims=True))


def centroids(maps: ArrayLike, positions: ArrayLike) -> np.ndarray:
    """Return the mean place of the activity of each map.

    Parameters
    ----------
    maps : array_like of shape (..., n_maps, n_units)
        Activity, up to a factor: of classes, or of single samples.
    positions : array_like of shape (..., n_units, 2)

    Returns
    -------
    ndarray of shape (..., n_maps, 2)

    Examples
    --------
    >>> centroids([[1, 1, 2]], [[0, 0], [0, 4], [2, 2]])
    array([[1., 2.]])
    """
    maps = _active(maps)
    positions = doubles("positions", positions)
    if maps.ndim < 2 or positions.shape[-2:] != (maps.shape[-1], 2):
        raise ValueError(
            "maps (..., n_maps, n_units) and positions (..., n_units, 2) must have the same units, "
            f"got {maps.shape} and {positions.shape}"
        )
    return maps / maps.sum(axis=-1, keepdims=True) @ positions


def class_information(maps: ArrayLike, prior: ArrayLike | None = None) -> np.ndarray:
    """Return the mutual information of the class and a unit drawn in proportion to its activity.

    Parameters
    ----------
    maps : array_like of shape (..., n_classes, n_units)
        Activity of each class, up to a factor: `class_maps`, or the target surfaces.
    prior : array_like of shape (n_classes,), optional
        Share of each class, equal by default.

    Returns
    -------
    ndarray of shape (...)
        Nats, from 0 (all maps alike) to log n_classes (no overlap, equal shares).

    Examples
    --------
    >>> round(float(class_information([[1, 1, 0, 0], [0, 0, 1, 1]])), 4)     # log 2
    0.6931
    """
    Q = _active(maps)
    if Q.ndim < 2:
        raise ValueError(f"maps must have the shape (..., n_classes, n_units), got {Q.shape}")
    Q = Q / Q.sum(axis=-1, keepdims=True)
    n_classes = Q.shape[-2]
    prior = np.full(n_classes, 1 / n_classes) if prior is None else doubles("prior", prior)
    if prior.shape != (n_classes,) or (prior < 0).any() or not np.isclose(prior.sum(), 1):
        raise ValueError(f"prior must be {n_classes} shares that sum to 1, got {prior}")
    joint = prior[:, None] * Q
    expected = prior[:, None] * joint.sum(axis=-2, keepdims=True)
    seen = joint > 0
    ratio = np.divide(joint, expected, out=np.ones_like(joint), where=seen)
    return (joint * np.log(ratio)).sum(axis=(-2, -1))


def morans_i(maps: ArrayLike, shape: tuple[int, int], torus: bool = False) -> np.ndarray:
    """Return Moran's I, the correlation of neighbours on the grid.

    Parameters
    ----------
    maps : array_like of shape (..., n_units)
        Activity in the order of the grid, of one sample or class each.
    shape : tuple of two int
        Height and width, height * width = n_units.
    torus : bool
        Whether opposite borders are neighbours too; needs sides of at least 3.

    Returns
    -------
    ndarray of shape (...)
        Near 1 for a smooth map; -1 / (n_units - 1) on average over all orders of the units.

    Raises
    ------
    ValueError
        If a map is constant.

    References
    ----------
    .. [1] P. A. P. Moran, "Notes on continuous stochastic phenomena", Biometrika 37 (1950), 17-23.

    Examples
    --------
    >>> morans_i([[1, 0, 1, 0], [1, 1, 0, 0]], (1, 4)).round(3)
    array([-1.   ,  0.333])
    """
    height, width = grid.check_shape(shape)
    maps = doubles("maps", maps)
    if maps.shape[-1:] != (height * width,) or height * width < 2:
        raise ValueError(f"shape {shape} does not fit maps of the shape {maps.shape}")
    grid.check_torus(shape, torus)
    x = (maps - maps.mean(axis=-1, keepdims=True)).reshape(*maps.shape[:-1], height, width)
    if torus:
        products = [x * np.roll(x, 1, axis=-2), x * np.roll(x, 1, axis=-1)]
    else:
        products = [x[..., 1:, :] * x[..., :-1, :], x[..., 1:] * x[..., :-1]]
    n_pairs = sum(p.shape[-2] * p.shape[-1] for p in products)
    variance = (x**2).mean(axis=(-2, -1))
    if not (variance > 0).all():
        raise ValueError("maps must not be constant: Moran's I is undefined for them")
    return sum(p.sum(axis=(-2, -1)) for p in products) / n_pairs / variance


# --- regions -------------------------------------------------------------------------------------


def regions(positions: ArrayLike, centres: ArrayLike, radius: float) -> np.ndarray:
    """Return masks of the units close to each class centre.

    Parameters
    ----------
    positions : array_like of shape (..., n_units, 2)
    centres : array_like of shape (..., n_classes, 2)
    radius : float > 0
        Cells.

    Returns
    -------
    ndarray of bool, shape (..., n_classes, n_units)
        Regions may overlap.

    Raises
    ------
    ValueError
        If a region has no units.

    Examples
    --------
    >>> regions([[0, 0], [0, 1], [0, 2]], [[0, 0], [0, 2]], radius=1.0).astype(int).tolist()
    [[1, 1, 0], [0, 1, 1]]
    """
    radius = number("radius", radius, above=0)
    masks = np.linalg.norm(_offsets(positions, centres), axis=-1) <= radius
    if not masks.any(axis=-1).all():
        raise ValueError(f"radius {radius} leaves a class without units: take a larger one")
    return masks


def random_masks(masks: ArrayLike, rng: Randomness = None) -> np.ndarray:
    """Draw random units, as many as each mask has: the null of a region.

    Parameters
    ----------
    masks : array_like of shape (..., n_units)
        Truth values or weights.
    rng : int, sequence of int, Generator or None

    Returns
    -------
    ndarray of the shape and type of `masks`

    Examples
    --------
    >>> int(random_masks(regions([[0, 0], [0, 1], [0, 9]], [[0, 0]], 1.0), rng=0).sum())
    2
    """
    doubles("masks", masks)
    return generator(rng).permuted(np.asarray(masks), axis=-1)


def source_mask(positions: ArrayLike, centres: ArrayLike, sigma: float) -> np.ndarray:
    """Return the strength of suppression as the source coded it.

    It multiplies by 1 - N(i) with a normal density whose constant is sqrt(2 pi^2 det) where the
    density of the plane has 2 pi sqrt(det): at sigma = 1 at most 22.5 % of the activity goes.

    Parameters
    ----------
    positions : array_like of shape (..., n_units, 2)
    centres : array_like of shape (..., n_classes, 2)
    sigma : float > 0
        Cells; large enough that no strength is above 1.

    Returns
    -------
    ndarray of shape (..., n_classes, n_units)
        0 leaves a unit alone, 1 would silence it.

    Raises
    ------
    ValueError
        If sigma is below 0.475.

    Examples
    --------
    >>> source_mask([[0, 0], [0, 1]], [[0, 0]], sigma=1.0).round(3).tolist()
    [[0.225, 0.137]]
    """
    sigma = number("sigma", sigma, above=0)
    peak = 1 / (np.sqrt(2) * np.pi * sigma**2)
    if not peak <= 1:
        raise ValueError(f"sigma must be at least 0.475 cells, got {sigma}")
    squares = (_offsets(positions, centres) ** 2).sum(axis=-1)
    return peak * np.exp(-squares / (2 * sigma**2))


def decode_classes(H: ArrayLike | torch.Tensor, masks: ArrayLike) -> np.ndarray:
    """Name the class whose region is most active in each sample.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
    masks : array_like of shape (..., n_classes, n_units)
        See `regions`; or weights, such as the target surfaces, which leave no class without units.

    Returns
    -------
    ndarray of int, shape (..., n_samples)

    Raises
    ------
    ValueError
        If a mask is empty or has negative weights.

    Examples
    --------
    >>> decode_classes([[0.9, 0.1, 0.3], [0.2, 0.8, 0.6]], [[1, 0, 0], [0, 1, 1]])
    array([0, 1])
    """
    masks = doubles("masks", masks)
    totals = masks.sum(axis=-1, keepdims=True)
    if (masks < 0).any() or not (totals > 0).all():
        raise ValueError("masks must not be negative, and each must have at least one unit")
    H = doubles("H", H)
    if min(H.ndim, masks.ndim) < 2 or H.shape[-1] != masks.shape[-1]:
        raise ValueError(f"H and masks must have the same units, got {H.shape} and {masks.shape}")
    means = masks / totals
    return (H @ means.swapaxes(-1, -2)).argmax(axis=-1)


# --- ablation ------------------------------------------------------------------------------------


def ablation(
    model: torch.nn.Module,
    layers: Sequence[torch.nn.Module],
    X: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    masks: ArrayLike | list[ArrayLike],
) -> np.ndarray:
    """Return how much accuracy each class loses when each mask in turn weakens the layers.

    Parameters
    ----------
    model : torch.nn.Module
        Gives logits (..., n_samples, n_classes) of X. It keeps its device and precision, is
        evaluated in evaluation mode, and is left in the mode it was in.
    layers : sequence of torch.nn.Module
        Modules whose outputs are weakened, all at once.
    X : tensor or array_like of shape (n_samples, ...)
        Whole numbers are token ids if the model has an embedding.
    y : tensor or array_like of int, shape (n_samples,)
        Classes from 0, each with at least one sample.
    masks : array_like of shape (n_masks, ..., n_units), or a list of such, one per layer
        From 0 to 1: `regions` (classes first), `random_masks`, `source_mask`.

    Returns
    -------
    ndarray of shape (n_masks, ..., n_classes)
        Accuracy of a class before minus after. With one mask per class the diagonal is what a
        region does for its own class (`selectivity`).

    Raises
    ------
    ValueError
        If masks do not fit the layers or leave [0, 1].

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Identity())     # two units that are the logits
    >>> X, y = [[1.5, 0.5], [0.5, 1.5]], [0, 1]
    >>> ablation(model, [model[0]], X, y, masks=[[1, 0], [0, 1]]).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    layers = list(layers)
    per_layer = isinstance(masks, list) and np.ndim(masks[0]) > 1
    masks = masks if per_layer else [masks] * len(layers)
    masks = [doubles("masks", mask) for mask in masks]
    if any(mask.ndim < 2 for mask in masks):
        raise ValueError("masks must have the shape (n_masks, ..., n_units)")
    if len(masks) != len(layers) or len({len(m) for m in masks}) != 1:
        raise ValueError(
            f"masks must be one array per layer, equally many masks each; got {len(masks)}"
            f" arrays for {len(layers)} layers"
        )
    if any((m < 0).any() or (m > 1).any() for m in masks):
        raise ValueError("masks must lie between 0 and 1")
    X = model_input(model, X)
    y = grid.check_labels(y, len(X))
    counts = grid.count_classes(y)
    share = (y[:, None] == np.arange(len(counts))) / counts

    def accuracy():
        return (model(X).argmax(-1).cpu().numpy() == y) @ share

    losses = []
    with evaluating(model):
        before = accuracy()
        for m in range(len(masks[0])):
            with suppressed(layers, [mask[m] for mask in masks]):
                losses.append(before - accuracy())
    return np.array(losses)


def selectivity(losses: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Split what an ablation costs into the region's own class and the others.

    Parameters
    ----------
    losses : array_like of shape (n_classes, ..., n_classes)
        From `ablation` with one mask per class.

    Returns
    -------
    own, others : ndarray of shape (..., n_classes)
        Loss of the class whose region was weakened, and mean loss of the other classes.

    Raises
    ------
    ValueError
        Unless there is one mask per class.

    Examples
    --------
    >>> own, others = selectivity([[0.5, 0.25], [0.0, 0.3]])
    >>> own.tolist(), others.tolist()
    ([0.5, 0.3], [0.25, 0.0])
    """
    losses = doubles("losses", losses)
    if losses.ndim < 2:
        raise ValueError(f"losses must be (n_classes, ..., n_classes), got {losses.shape}")
    losses = np.moveaxis(losses, 0, -2)
    n = losses.shape[-1]
    if losses.shape[-2] != n or n < 2:
        raise ValueError(f"losses must have one mask per class, got {losses.shape[-2]} for {n}")
    own = np.diagonal(losses, axis1=-2, axis2=-1)
    return own, (losses.sum(axis=-1) - own) / (n - 1)


def _activity(H):
    H = doubles("H", H)
    if H.ndim < 2 or (H < 0).any():
        raise ValueError("activations H must be (..., n_samples, n_units) and not negative")
    return H + grid.EPS


def _active(maps):
    """Maps as float64, refused where one of them has no activity to divide by."""
    maps = doubles("maps", maps)
    if (maps < 0).any() or not (maps.sum(axis=-1) > 0).all():
        raise ValueError("maps must not be negative, and each must have some activity")
    return maps


def _offsets(positions, centres):
    """Vectors from every class centre to every unit, (..., n_classes, n_units, 2)."""
    z, mu = doubles("positions", positions), doubles("centres", centres)
    for name, points in (("positions", z), ("centres", mu)):
        if points.ndim < 2 or points.shape[-1] != 2:
            raise ValueError(f"{name} must have the shape (..., n, 2), got {points.shape}")
    return z[..., None, :, :] - mu[..., :, None, :]
