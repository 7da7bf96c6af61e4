"""What a grid of hidden units shows: regions, smoothness, information, and what ablation hurts.

Measures read *maps*: activity over the units, none negative, ``(..., n_units)``, shown as Q in
`grid`. Axes in front are classes, samples or networks. Regions are masks over the same units. No
measure can be read alone: regions appear under any relabelling of the units that looks for them
(`grid_layout.assign`), so each belongs beside its value for shuffled or unpenalised units.
"""

from contextlib import contextmanager

import numpy as np
import torch

from hblib.grid import _grid as grid

# --- maps ----------------------------------------------------------------------------------------


def class_maps(H, y):
    """Mean normalised activity of each class.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations, none negative.
    y : array_like of int, shape (n_samples,)
        Classes, from 0, none without samples.

    Returns
    -------
    numpy.ndarray of shape (..., n_classes, n_units)
        Every map sums to 1.
    """
    H = _activity(H)
    y = grid.check_labels(y, H.shape[-2])
    counts = grid.count_classes(y)
    one_hot = (y == np.arange(len(counts))[:, None]) / counts[:, None]
    return one_hot @ (H / H.sum(axis=-1, keepdims=True))


def centroids(maps, positions):
    """Mean place of the activity of each map.

    Parameters
    ----------
    maps : array_like of shape (..., n_maps, n_units)
        Activity, up to a factor: of classes, or of single samples.
    positions : array_like of shape (..., n_units, 2)

    Returns
    -------
    numpy.ndarray of shape (..., n_maps, 2)

    Examples
    --------
    >>> centroids([[1, 1, 2]], [[0, 0], [0, 4], [2, 2]])
    array([[1., 2.]])
    """
    maps = _array("maps", maps)
    return maps / maps.sum(axis=-1, keepdims=True) @ _array("positions", positions)


def class_information(maps, prior=None):
    """Mutual information I(class; unit) if a unit is drawn in proportion to its activity.

    Parameters
    ----------
    maps : array_like of shape (..., n_classes, n_units)
        Activity of each class, up to a factor: `class_maps`, or the surfaces wanted.
    prior : array_like of shape (n_classes,), optional
        Share of each class, equal by default.

    Returns
    -------
    numpy.ndarray of shape (...)
        Nats, from 0 (all maps alike) to log n_classes (no overlap, equal shares).

    Examples
    --------
    >>> round(float(class_information([[1, 1, 0, 0], [0, 0, 1, 1]])), 4)     # log 2
    0.6931
    """
    Q = _array("maps", maps)
    Q = Q / Q.sum(axis=-1, keepdims=True)
    n_classes = Q.shape[-2]
    prior = np.full(n_classes, 1 / n_classes) if prior is None else _array("prior", prior)
    if prior.shape != (n_classes,) or (prior < 0).any() or not np.isclose(prior.sum(), 1):
        raise ValueError(f"prior must be {n_classes} shares that sum to 1, got {prior}")
    joint = prior[:, None] * Q
    expected = prior[:, None] * joint.sum(axis=-2, keepdims=True)
    seen = joint > 0
    ratio = np.divide(joint, expected, out=np.ones_like(joint), where=seen)
    return (joint * np.log(ratio)).sum(axis=(-2, -1))


def morans_i(maps, shape, torus=False):
    """Moran's I: how alike neighbours of the grid are.

    Parameters
    ----------
    maps : array_like of shape (..., n_units)
        Activity in the order of the grid, of one sample or class each.
    shape : tuple of two int
        Height and width, height * width = n_units.
    torus : bool
        Whether opposite borders are neighbours too; sides of at least 3 then.

    Returns
    -------
    numpy.ndarray of shape (...)
        Near 1 for a smooth map; -1 / (n_units - 1) in the mean over all orders of the units.

    References
    ----------
    .. [1] P. A. P. Moran, "Notes on continuous stochastic phenomena", Biometrika 37 (1950), 17-23.

    Examples
    --------
    >>> morans_i([[1, 0, 1, 0], [1, 1, 0, 0]], (1, 4)).round(3)
    array([-1.   ,  0.333])
    """
    height, width = grid.check_shape(shape)
    maps = _array("maps", maps)
    if maps.shape[-1:] != (height * width,) or height * width < 2:
        raise ValueError(f"shape {shape} does not fit maps of the shape {maps.shape}")
    if torus and min(height, width) < 3:
        raise ValueError(f"shape must have sides of at least 3 for a torus, got {shape}")
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


def regions(positions, centres, radius):
    """Units close to each class centre.

    Parameters
    ----------
    positions : array_like of shape (..., n_units, 2)
    centres : array_like of shape (..., n_classes, 2)
    radius : float > 0
        Cells.

    Returns
    -------
    numpy.ndarray of bool, shape (..., n_classes, n_units)
        Regions may overlap. One without units is a ValueError.
    """
    if not radius > 0:
        raise ValueError(f"radius must be positive, got {radius}")
    z, mu = _array("positions", positions), _array("centres", centres)
    masks = np.linalg.norm(z[..., None, :, :] - mu[..., :, None, :], axis=-1) <= radius
    if not masks.any(axis=-1).all():
        raise ValueError(f"radius {radius} leaves a class without units: take a larger one")
    return masks


def random_masks(masks, rng):
    """Random units, as many as each mask has: the null of a region, of the shape of `masks`."""
    return np.random.default_rng(rng).permuted(np.asarray(masks), axis=-1)


def source_mask(positions, centres, sigma):
    """Strength of suppression as the source coded it.

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
    numpy.ndarray of shape (..., n_classes, n_units)
        0 leaves a unit alone, 1 would silence it.
    """
    peak = 1 / (np.sqrt(2) * np.pi * sigma**2) if sigma > 0 else np.inf
    if not peak <= 1:
        raise ValueError(f"sigma must be at least 0.475 cells, got {sigma}")
    z, mu = _array("positions", positions), _array("centres", centres)
    squares = ((z[..., None, :, :] - mu[..., :, None, :]) ** 2).sum(axis=-1)
    return peak * np.exp(-squares / (2 * sigma**2))


def region_mass(maps, masks):
    """Share of each class's activity that lies in its region.

    Parameters
    ----------
    maps : array_like of shape (..., n_classes, n_units)
        See `class_maps`.
    masks : array_like of bool, shape (..., n_classes, n_units)
        See `regions`.

    Returns
    -------
    numpy.ndarray of shape (..., n_classes)
        ``masks.mean(axis=-1)`` for activity spread evenly.
    """
    maps = _array("maps", maps)
    return (maps * masks).sum(axis=-1) / maps.sum(axis=-1)


def decode(H, masks):
    """Name the class whose region is most active.

    Parameters
    ----------
    H : array_like of shape (..., n_samples, n_units)
    masks : array_like of shape (..., n_classes, n_units)
        See `regions`; or weights, such as the surfaces wanted, which no layout leaves empty.

    Returns
    -------
    numpy.ndarray of int, shape (..., n_samples)

    Examples
    --------
    >>> decode([[0.9, 0.1, 0.3], [0.2, 0.8, 0.6]], [[1, 0, 0], [0, 1, 1]])
    array([0, 1])
    """
    masks = _array("masks", masks)
    means = masks / masks.sum(axis=-1, keepdims=True)
    return (_array("H", H) @ means.swapaxes(-1, -2)).argmax(axis=-1)


# --- ablation ------------------------------------------------------------------------------------


@contextmanager
def suppressed(layers, masks):
    """Weaken units of a torch network while the context lasts.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Modules whose outputs (..., n_samples, n_units) are weakened.
    masks : sequence of array_like of shape (..., n_units)
        One a layer, from 0 (leave alone) to 1 (silence).
    """

    def weaken(mask):
        factor = 1 - torch.as_tensor(_array("masks", mask))[..., None, :]

        def hook(module, inputs, output):
            if output.shape[-1] != factor.shape[-1]:
                raise ValueError(
                    f"masks must have one value a unit: {factor.shape[-1]} given for a layer of "
                    f"{output.shape[-1]}"
                )
            return output * factor.to(output)

        return hook

    hooks = [layer.register_forward_hook(weaken(m)) for layer, m in zip(layers, masks, strict=True)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def ablation(model, layers, X, y, masks):
    """Loss of accuracy of every class when each mask in turn weakens the layers.

    Parameters
    ----------
    model : torch.nn.Module
        Logits (..., n_samples, n_classes) of X.
    layers : sequence of torch.nn.Module
        Modules whose outputs are weakened, all at once.
    X : array_like of shape (n_samples, ...)
    y : array_like of int, shape (n_samples,)
        Classes, from 0, none without samples.
    masks : array_like of shape (n_masks, ..., n_units), or a list of such, one a layer
        From 0 to 1: `regions` (classes first), `random_masks`, `source_mask`.

    Returns
    -------
    numpy.ndarray of shape (n_masks, ..., n_classes)
        Accuracy of a class before minus after. With one mask a class the diagonal says what a
        region does for its own class (`selectivity`).
    """
    layers = list(layers)
    masks = masks if isinstance(masks, list) else [masks] * len(layers)
    masks = [_array("masks", mask) for mask in masks]
    if len(masks) != len(layers) or len({len(m) for m in masks}) != 1:
        raise ValueError(
            f"masks must be one array a layer, equally many masks each; got {len(masks)}"
            f" arrays for {len(layers)} layers"
        )
    if any((m < 0).any() or (m > 1).any() for m in masks):
        raise ValueError("masks must lie between 0 and 1")
    X = torch.as_tensor(np.asarray(X), dtype=torch.get_default_dtype())
    y = grid.check_labels(y, len(X))
    counts = grid.count_classes(y)
    share = (y[:, None] == np.arange(len(counts))) / counts

    def accuracy():
        return (model(X).argmax(-1).cpu().numpy() == y) @ share

    losses = []
    with torch.no_grad():
        before = accuracy()
        for m in range(len(masks[0])):
            with suppressed(layers, [mask[m] for mask in masks]):
                losses.append(before - accuracy())
    return np.array(losses)


def selectivity(losses):
    """What regions do for their own class, and for the others.

    Parameters
    ----------
    losses : array_like of shape (n_classes, ..., n_classes)
        From `ablation` with one mask a class.

    Returns
    -------
    own, others : numpy.ndarray of shape (..., n_classes)
        Loss of the class whose region was weakened, and mean loss of the other classes.
    """
    losses = np.moveaxis(_array("losses", losses), 0, -2)
    n = losses.shape[-1]
    if losses.shape[-2] != n or n < 2:
        raise ValueError(f"losses must have one mask a class, got {losses.shape[-2]} for {n}")
    own = np.diagonal(losses, axis1=-2, axis2=-1)
    return own, (losses.sum(axis=-1) - own) / (n - 1)


def _activity(H):
    H = _array("H", H)
    if H.ndim < 2 or (H < 0).any():
        raise ValueError("activations must be (..., n_samples, n_units) and not negative")
    return H + grid.EPS


def _array(name, values):
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
    array = np.asarray(values, dtype=float)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must hold finite numbers, got NaN or infinity")
    return array
