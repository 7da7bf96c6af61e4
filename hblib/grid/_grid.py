"""Places, Gaussian surfaces and penalties for hidden units on a grid.

Each unit of a layer sits in one cell of a grid, and a penalty asks the activity to look like a
picture. Two penalties of Tan, Sim and Gales [1]_ are here. *Adjacency* wants neighbouring units to
be equally active. *Stimulated learning* gives each class c a centre mu_c on the grid and wants a
Gaussian bump there whenever a sample of class c is read::

    P_c(i) = exp(-|z_i - mu_c|^2 / 2 sigma^2) / (sum over units)     the target surface
    Q(i)   = (h_i + EPS) / (sum over units)                          the activity shown

with z_i the place of unit i. The source prints KL(P || Q); what the published code minimises is the
cross-entropy H(P, Q), which has the same gradient as long as places do not move.

Places are (row, column) in cells. Unit i of a grid (height, width) sits at ``divmod(i, width)``.
Activations are ``(..., n_samples, n_units)``; leading axes are independent networks that read the
same samples. Each network has one penalty: a mean over samples, in nats.

References
----------
.. [1] S. Tan, K. C. Sim and M. Gales, "Improving the interpretability of deep neural networks with
   stimulated learning", ASRU 2015, 617-623, doi:10.1109/ASRU.2015.7404853.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike

from hblib._checks import Randomness, as_array, choice, generator, number, whole

DIVERGENCES = ("kl", "reverse", "symmetric", "cross_entropy", "contrastive")
# The logarithm needs a floor where a ReLU is off. Active units are of the order of 0.1 to 1.
EPS = 1e-4

# --- places --------------------------------------------------------------------------------------


def lattice(shape: tuple[int, int]) -> np.ndarray:
    """Return the places of the units of a regular grid, row by row.

    Parameters
    ----------
    shape : tuple of two int
        Height and width in cells.

    Returns
    -------
    ndarray of shape (height * width, 2)
        Row and column of each unit.

    Raises
    ------
    ValueError
        If the shape is not two whole numbers above 0.

    Examples
    --------
    >>> lattice((2, 3))[:4].tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [1.0, 0.0]]
    """
    height, width = check_shape(shape)
    return np.stack(np.divmod(np.arange(height * width), width), axis=1).astype(float)


def uniform_positions(
    n_points: int, shape: tuple[int, int], rng: Randomness = None, size: int | None = None
) -> np.ndarray:
    """Draw places uniformly over a grid, the random start of learned coordinates.

    Parameters
    ----------
    n_points : int
    shape : tuple of two int
        Height and width of the grid.
    rng : int, sequence of int, Generator or None
    size : int, optional
        Number of independent draws, as a leading axis.

    Returns
    -------
    ndarray of shape (n_points, 2) or (size, n_points, 2)

    Examples
    --------
    >>> uniform_positions(64, (8, 8), rng=0, size=3).shape
    (3, 64, 2)
    """
    corner = np.array(check_shape(shape)) - 1
    lead = () if size is None else (whole("size", size),)
    return generator(rng).uniform(0, corner, (*lead, whole("n_points", n_points), 2))


def ring_centres(n_classes: int, shape: tuple[int, int], radius: float = 0.36) -> np.ndarray:
    """Place class centres at equal distances on a ring around the middle of the grid.

    Parameters
    ----------
    n_classes : int
    shape : tuple of two int
        Height and width of the grid.
    radius : float
        Of the ring, as a share of the shorter side; at most 0.5.

    Returns
    -------
    ndarray of shape (n_classes, 2)

    Examples
    --------
    >>> ring_centres(4, (11, 11), radius=0.4).round(3).tolist()
    [[9.4, 5.0], [5.0, 9.4], [0.6, 5.0], [5.0, 0.6]]
    """
    height, width = check_shape(shape)
    n_classes = whole("n_classes", n_classes)
    radius = number("radius", radius, above=0, most=0.5)
    angle = 2 * np.pi * np.arange(n_classes) / n_classes
    middle = (np.array([height, width]) - 1) / 2
    return middle + radius * min(height, width) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def tsne_centres(
    X: ArrayLike, y: ArrayLike, shape: tuple[int, int], rng: Randomness = None, fill: float = 0.9
) -> np.ndarray:
    """Place class centres by a t-SNE map of the mean input of each class, as the source does.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    y : array_like of int, shape (n_samples,)
        Classes from 0, at least 4 of them, each with at least one sample.
    shape : tuple of two int
        Height and width of the grid.
    rng : int, sequence of int, Generator or None
    fill : float
        Distance of the outermost centre from the middle of the grid, per axis, as a share of the
        distance to the border.

    Returns
    -------
    ndarray of shape (n_classes, 2)

    Raises
    ------
    ValueError
        If there are fewer than 4 classes, or two classes have the same mean.

    Examples
    --------
    >>> X, y = np.random.default_rng(0).normal(size=(40, 8)), np.arange(40) % 5
    >>> centres = tsne_centres(X, y, (9, 9), rng=0)
    >>> bool(np.allclose(np.abs(centres - 4).max(axis=0), 0.9 * 4))
    True
    """
    from sklearn.manifold import TSNE

    corner = np.array(check_shape(shape)) - 1
    fill = number("fill", fill, above=0, most=1)
    X = doubles("X", X, 2)
    y = check_labels(y, len(X))
    n_classes = len(count_classes(y))
    if n_classes < 4:
        raise ValueError(f"y must have at least 4 classes for t-SNE, got {n_classes}")
    means = np.stack([X[y == c].mean(axis=0) for c in range(n_classes)])
    if len(np.unique(means, axis=0)) < n_classes:
        # scikit-learn's t-SNE ends the process (a segmentation fault) where all points coincide.
        raise ValueError("X must have a different mean for every class")
    state = int(generator(rng).integers(2**31))
    tsne = TSNE(perplexity=min(30, (n_classes - 1) / 3), init="pca", random_state=state)
    points = tsne.fit_transform(means).astype(float)
    points -= points.mean(axis=0)
    return corner / 2 * (1 + fill * points / np.abs(points).max(axis=0))


def log_surfaces(
    positions: ArrayLike | torch.Tensor, centres: ArrayLike | torch.Tensor, sigma: float
) -> torch.Tensor:
    """Return the logarithm of each class's Gaussian surface, normalised over the units.

    Parameters
    ----------
    positions : tensor or array_like of shape (..., n_units, 2)
        Places of the units.
    centres : tensor or array_like of shape (..., n_classes, 2)
        Places of the classes.
    sigma : float > 0
        Width of the bumps, in cells.

    Returns
    -------
    torch.Tensor of shape (..., n_classes, n_units)
        Differentiable with respect to both kinds of places.

    Raises
    ------
    ValueError
        If sigma is not above 0, or places are not pairs of numbers.

    Examples
    --------
    >>> log_surfaces([[0, 0], [0, 1], [0, 2]], [[0, 0]], sigma=1.0).exp().numpy().round(3)
    array([[0.574, 0.348, 0.078]])
    """
    sigma = number("sigma", sigma, above=0)
    z, mu = as_tensor("positions", positions), as_tensor("centres", centres)
    for name, points in (("positions", z), ("centres", mu)):
        if points.ndim < 2 or points.shape[-1] != 2:
            raise ValueError(f"{name} must have the shape (..., n, 2), got {tuple(points.shape)}")
    squares = (z[..., None, :, :] - mu[..., :, None, :]).square().sum(-1)
    return (-squares / (2 * sigma**2)).log_softmax(-1)


# --- penalties -----------------------------------------------------------------------------------


def surface_penalty(
    H: ArrayLike | torch.Tensor,
    y: ArrayLike | torch.Tensor,
    log_P: ArrayLike | torch.Tensor,
    kind: str = "kl",
) -> torch.Tensor:
    """Measure how far activity is from the target surface of each sample's class.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations, not negative. Half precision is computed in float32.
    y : tensor or array_like of int, shape (n_samples,)
        Classes, from 0.
    log_P : tensor or array_like of shape (..., n_classes, n_units)
        See `log_surfaces`.
    kind : {"kl", "reverse", "symmetric", "cross_entropy", "contrastive"}
        KL(P || Q), KL(Q || P), their sum, or H(P, Q) = KL(P || Q) + H(P). "contrastive" is minus
        the logarithm of the softmax of -KL(P_c || Q) at the right class. It is not the source's:
        it exerts no force on places while the layer ignores the classes and all P_c are equally
        flat.

    Returns
    -------
    torch.Tensor of shape (...)
        Mean over samples, nats.

    Raises
    ------
    ValueError
        If the kind is unknown, shapes do not fit, or activations are negative.

    Examples
    --------
    Two units whose activity is right for the first sample only:

    >>> P = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    >>> H = torch.tensor([[4.0, 1.0], [4.0, 1.0]])
    >>> round(float(surface_penalty(H, [0, 1], P.log())), 3)   # (0 + 0.6 log 4) / 2
    0.416
    """
    choice("kind", kind, DIVERGENCES)
    H = as_tensor("H", H)
    log_P = as_tensor("log_P", log_P).to(H)
    if H.ndim < 2 or log_P.ndim < 2 or H.shape[-1] != log_P.shape[-1]:
        raise ValueError(
            f"the grid (log_P) has {log_P.shape[-1]} units, but the activations H have the shape "
            f"{tuple(H.shape)}; it must be (..., n_samples, {log_P.shape[-1]})"
        )
    y = torch.as_tensor(check_labels(y, H.shape[-2], log_P.shape[-2]), device=H.device)
    _check_not_negative(H)

    def of_own_class(values):
        return values.gather(-1, y.expand(values.shape[:-1])[..., None])[..., 0]

    # All sums over units that need a class are products of matrices; Q is never formed.
    H = H + EPS
    log_H, total = H.log(), H.sum(-1)
    P = log_P.exp()
    minus_entropy = (P * log_P).sum(-1)[..., None, :]
    cross = total.log()[..., None] - log_H @ P.mT
    if kind == "cross_entropy":
        return of_own_class(cross).mean(-1)
    if kind == "contrastive":
        scores = -(minus_entropy + cross)
        return (scores.logsumexp(-1) - of_own_class(scores)).mean(-1)
    penalty = 0
    if kind != "reverse":
        penalty = of_own_class(minus_entropy + cross)
    if kind != "kl":
        matched = of_own_class(H @ log_P.mT)
        penalty = penalty + ((H * log_H).sum(-1) - matched) / total - total.log()
    return penalty.mean(-1)


def adjacency_penalty(
    H: ArrayLike | torch.Tensor, shape: tuple[int, int], root: bool = True, torus: bool = False
) -> torch.Tensor:
    """Measure how much the activity of neighbouring units differs.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations. Half precision is computed in float32.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units.
    root : bool
        Take the root of the sum of squared differences, as the source's code does; without it, the
        sum that its text prints.
    torus : bool
        Whether opposite borders are neighbours too; needs sides of at least 3.

    Returns
    -------
    torch.Tensor of shape (...)
        Mean over samples.

    Raises
    ------
    ValueError
        If the grid does not fit the layer.

    Examples
    --------
    >>> H = torch.tensor([[0.0, 0.0, 3.0, 0.0]])      # the 3 has two neighbours
    >>> float(adjacency_penalty(H, (2, 2), root=False)), float(adjacency_penalty(H, (2, 2)))
    (18.0, 4.242640495300293)
    """
    height, width = check_shape(shape)
    H = as_tensor("H", H)
    if H.ndim < 2 or H.shape[-1] != height * width:
        raise ValueError(
            f"shape must fit the layer: a grid of {height} x {width} has {height * width} units, "
            f"but the activations H have the shape {tuple(H.shape)}"
        )
    check_torus(shape, torus)
    maps = H.unflatten(-1, (height, width))
    if torus:
        differences = (maps - maps.roll(1, -2)), (maps - maps.roll(1, -1))
    else:
        differences = maps.diff(dim=-2), maps.diff(dim=-1)
    total = sum(d.square().sum((-2, -1)) for d in differences)
    # The root has no gradient at 0, where a dead layer is.
    return (torch.sqrt(total + 1e-12) if root else total).mean(-1)


def by_readout(H: ArrayLike | torch.Tensor, W: ArrayLike | torch.Tensor) -> torch.Tensor:
    """Scale each unit's activation by the length of its outgoing weights.

    The next layer sees a unit through these weights, so the scaled activation is how strongly the
    unit is heard.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
    W : tensor or array_like of shape (..., n_outputs, n_units)
        Weights of the layer that reads H.

    Returns
    -------
    torch.Tensor of shape (..., n_samples, n_units)

    Examples
    --------
    >>> by_readout([[1.0, 1.0]], [[3.0, 0.0], [4.0, 1.0]]).tolist()
    [[5.0, 1.0]]
    """
    H = as_tensor("H", H)
    W = as_tensor("W", W).to(H)
    if W.ndim < 2 or H.shape[-1] != W.shape[-1]:
        raise ValueError(f"W must read {H.shape[-1]} units, got the shape {tuple(W.shape)}")
    return H * W.norm(dim=-2, keepdim=True)


class GaussianGrid(torch.nn.Module):
    """A grid with one Gaussian surface for each class: a term of the loss, ``term(H, y)``.

    Parameters
    ----------
    shape : tuple of two int
        Height and width in cells.
    centres : array_like of shape (..., n_classes, 2)
        Places of the classes.
    sigma : float > 0
        Width of the bumps, in cells.
    kind : str
        See `surface_penalty`.
    learn : {None, "units", "centres"}
        Which places are parameters.
    positions : array_like of shape (..., height * width, 2), optional
        Places of the units, by default the cells of the grid row by row. With a leading axis here
        or in `centres`, each network has its own.

    Examples
    --------
    >>> term = GaussianGrid((4, 4), ring_centres(3, (4, 4)), sigma=1.0)
    >>> tuple(term(torch.rand(5, 8, 16), [0, 1, 2, 0, 1, 2, 0, 1]).shape)   # five networks
    (5,)
    """

    def __init__(
        self,
        shape: tuple[int, int],
        centres: ArrayLike | torch.Tensor,
        sigma: float,
        kind: str = "kl",
        learn: str | None = None,
        positions: ArrayLike | torch.Tensor | None = None,
    ):
        super().__init__()
        if learn not in (None, "units", "centres"):
            raise ValueError(f"learn must be None, 'units' or 'centres', got {learn!r}")
        choice("kind", kind, DIVERGENCES)
        self.shape, self.sigma, self.kind, self.learn = check_shape(shape), sigma, kind, learn
        cells = lattice(shape)
        positions = cells if positions is None else as_array("positions", positions)
        if positions.shape[-2:] != cells.shape:
            raise ValueError(
                f"positions must have the shape (..., {len(cells)}, 2), got {positions.shape}"
            )
        places = {"units": ("positions", positions), "centres": ("centres", centres)}
        for what, (name, points) in places.items():
            points = torch.tensor(as_array(name, points), dtype=torch.get_default_dtype())
            if what == learn:
                setattr(self, name, torch.nn.Parameter(points))
            else:
                self.register_buffer(name, points)
        self.log_surfaces()  # complains about centres and sigma now, not in the first step

    def log_surfaces(self) -> torch.Tensor:
        """Return the logarithms of the surfaces, (..., n_classes, n_units): see `log_surfaces`."""
        return log_surfaces(self.positions, self.centres, self.sigma)

    def place(self, cells: ArrayLike) -> None:
        """Move unit i to the cell ``cells[..., i]`` of the grid (see `assign_units`)."""
        if self.learn == "units":
            raise ValueError("units with learned coordinates have no cells to be placed in")
        cells, free = np.asarray(cells), np.arange(math.prod(self.shape))
        if cells.shape[-1:] != free.shape or not (np.sort(cells, axis=-1) == free).all():
            raise ValueError(f"cells must name each of the {len(free)} cells of the grid once")
        self.positions = torch.as_tensor(lattice(self.shape)[cells]).to(self.positions)

    def forward(self, H: torch.Tensor, y: ArrayLike | torch.Tensor) -> torch.Tensor:
        """Return the penalty of activations H (..., n_samples, n_units) with classes y."""
        return surface_penalty(H, y, self.log_surfaces(), self.kind)


# --- checks of this room -------------------------------------------------------------------------


def check_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of a grid as integers, or refuse them."""
    if np.shape(shape) != (2,) or any(side != int(side) or side < 1 for side in shape):
        raise ValueError(f"shape must be two whole numbers (height, width) above 0, got {shape}")
    return int(shape[0]), int(shape[1])


def check_torus(shape: tuple[int, int], torus: bool) -> None:
    """Refuse a torus on which one pair of cells would be neighbours twice."""
    if torus and min(shape) < 3:
        raise ValueError(f"shape must have sides of at least 3 for a torus, got {shape}")


def check_labels(
    y: ArrayLike | torch.Tensor, n_samples: int, n_classes: float = math.inf
) -> np.ndarray:
    """Return labels as int64, one per sample, from 0 and below n_classes, or refuse them."""
    y = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if y.shape != (n_samples,) or n_samples < 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"y must have one whole number per sample, shape ({n_samples},), at least one; "
            f"got {y.dtype} of shape {y.shape}"
        )
    if y.min() < 0 or y.max() >= n_classes:
        raise ValueError(f"y must be classes from 0 to {n_classes - 1}, got {y.min()} to {y.max()}")
    return y.astype(np.int64)


def count_classes(y: np.ndarray) -> np.ndarray:
    """Count the samples of each class; refuse a class between 0 and the largest without samples."""
    counts = np.bincount(y)
    if not counts.all():
        raise ValueError(f"y must have samples of every class, class {counts.argmin()} has none")
    return counts


def _check_not_negative(H):
    if (H < 0).any():
        raise ValueError(
            "activations must not be negative (a sigmoid or a ReLU gives such), "
            f"got {float(H.min()):.3g}"
        )


def doubles(name: str, values: ArrayLike, ndim: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Return anything array-like as finite float64, the precision of the measures of this room."""
    return as_array(name, values, ndim).astype(np.float64, copy=False)


def as_tensor(name: str, values: ArrayLike | torch.Tensor) -> torch.Tensor:
    """Return tensors with their gradients, in float32 or wider, and arrays as float64 tensors."""
    if not isinstance(values, torch.Tensor):
        return torch.tensor(doubles(name, values))
    if values.dtype in (torch.float16, torch.bfloat16):
        return values.float()
    return values if values.is_floating_point() else values.to(torch.get_default_dtype())
