"""Hidden units on a grid: surfaces, penalties, and hooks that add them to any torch network.

The units of a layer are dealt out over the cells of a grid, and a penalty asks their activity to
look like a picture. Two penalties of Tan, Sim and Gales [1]_ are here. *Adjacency* wants neighbours
to be equally active. *Stimulated learning* gives each class c a place mu_c on the grid and wants a
Gaussian bump there whenever a sample of class c is read::

    P_c(i) = exp(-|z_i - mu_c|^2 / 2 sigma^2) / (sum over units)     the surface wanted
    Q(i)   = (h_i + EPS) / (sum over units)                          the surface shown

with z_i the place of unit i. The post prints KL(P || Q); what the published code minimises is the
cross-entropy H(P, Q), which has the same gradient as long as places do not move.

Places are (row, column) in cells. Unit i of a grid (height, width) sits at ``divmod(i, width)``.
Activations are ``(..., n_samples, n_units)``; axes in front are independent networks that read the
same samples, and every penalty is one number for each of them: a mean over samples, in nats.

References
----------
.. [1] S. Tan, K. C. Sim and M. Gales, "Improving the interpretability of deep neural networks with
   stimulated learning", ASRU 2015, 617-623, doi:10.1109/ASRU.2015.7404853.
"""

import math

import numpy as np
import torch
from sklearn.manifold import TSNE

KINDS = ("kl", "reverse", "symmetric", "cross_entropy", "contrastive")
# A ReLU that is off has no logarithm. Against active units, of the order of 0.1 to 1, it is small.
EPS = 1e-4

# --- places --------------------------------------------------------------------------------------


def lattice(shape):
    """Places of the units of a regular grid, row by row.

    Parameters
    ----------
    shape : tuple of two int
        Height and width in cells.

    Returns
    -------
    numpy.ndarray of shape (height * width, 2)
        Row and column.

    Examples
    --------
    >>> lattice((2, 3))[:4].tolist()
    [[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [1.0, 0.0]]
    """
    height, width = check_shape(shape)
    return np.stack(np.divmod(np.arange(height * width), width), axis=1).astype(float)


def uniform_positions(n_points, shape, rng, size=None):
    """Draw places evenly over a grid, the random start of learned coordinates.

    Parameters
    ----------
    n_points : int
    shape : tuple of two int
        Height and width of the grid.
    rng : numpy.random.Generator or int
    size : int, optional
        Number of independent draws, as a leading axis.

    Returns
    -------
    numpy.ndarray of shape (n_points, 2) or (size, n_points, 2)
    """
    corner = np.array(check_shape(shape)) - 1
    lead = () if size is None else (size,)
    return np.random.default_rng(rng).uniform(0, corner, (*lead, n_points, 2))


def ring_centres(n_classes, shape, radius=0.36):
    """Class centres spread evenly over a ring about the centre of the grid.

    Parameters
    ----------
    n_classes : int
    shape : tuple of two int
        Height and width of the grid.
    radius : float
        Of the ring, as a share of the shorter side.

    Returns
    -------
    numpy.ndarray of shape (n_classes, 2)

    Examples
    --------
    >>> ring_centres(4, (11, 11), radius=0.4).round(3).tolist()
    [[9.4, 5.0], [5.0, 9.4], [0.6, 5.0], [5.0, 0.6]]
    """
    height, width = check_shape(shape)
    if not isinstance(n_classes, int | np.integer) or n_classes < 1 or not 0 < radius <= 0.5:
        raise ValueError(
            "n_classes must be at least 1 and radius above 0 and at most 0.5, "
            f"got {n_classes} and {radius}"
        )
    angle = 2 * np.pi * np.arange(n_classes) / n_classes
    middle = (np.array([height, width]) - 1) / 2
    return middle + radius * min(height, width) * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def tsne_centres(X, y, shape, rng, fill=0.9):
    """Class centres from a t-SNE map of the mean input of each class, as the source laid them out.

    Parameters
    ----------
    X : array_like of shape (n_samples, n_features)
    y : array_like of int, shape (n_samples,)
        Classes, from 0, none without samples; at least 4.
    shape : tuple of two int
        Height and width of the grid.
    rng : numpy.random.Generator or int
    fill : float
        How far the outermost centre lies from the middle of the grid, per axis, as a share of the
        way to the border.

    Returns
    -------
    numpy.ndarray of shape (n_classes, 2)
    """
    corner = np.array(check_shape(shape)) - 1
    if not 0 < fill <= 1:
        raise ValueError(f"fill must be above 0 and at most 1, got {fill}")
    X, y = np.asarray(X, dtype=float), check_labels(y, len(X))
    n_classes = len(count_classes(y))
    if n_classes < 4:
        raise ValueError(f"y must have at least 4 classes for t-SNE, got {n_classes}")
    means = np.stack([X[y == c].mean(axis=0) for c in range(n_classes)])
    if len(np.unique(means, axis=0)) < n_classes:
        # scikit-learn's t-SNE ends the process (a segmentation fault) where all points coincide.
        raise ValueError("X must have another mean for every class")
    state = int(np.random.default_rng(rng).integers(2**31))
    tsne = TSNE(perplexity=min(30, (n_classes - 1) / 3), init="pca", random_state=state)
    points = tsne.fit_transform(means).astype(float)
    points -= points.mean(axis=0)
    return corner / 2 * (1 + fill * points / np.abs(points).max(axis=0))


def log_surfaces(positions, centres, sigma):
    """Logarithm of the Gaussian surface of each class, normalised over the units.

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
        Differentiable in both places.

    Examples
    --------
    >>> log_surfaces([[0, 0], [0, 1], [0, 2]], [[0, 0]], sigma=1.0).exp().numpy().round(3)
    array([[0.574, 0.348, 0.078]])
    """
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    z, mu = _tensor(positions), _tensor(centres)
    for name, points in (("positions", z), ("centres", mu)):
        if points.ndim < 2 or points.shape[-1] != 2:
            raise ValueError(f"{name} must have the shape (..., n, 2), got {tuple(points.shape)}")
    squares = (z[..., None, :, :] - mu[..., :, None, :]).square().sum(-1)
    return (-squares / (2 * sigma**2)).log_softmax(-1)


# --- penalties -----------------------------------------------------------------------------------


def surface_penalty(H, y, log_P, kind="kl"):
    """How far activity is from the surface wanted for the class of each sample.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations, none negative.
    y : tensor or array_like of int, shape (n_samples,)
        Classes, from 0.
    log_P : tensor or array_like of shape (..., n_classes, n_units)
        See `log_surfaces`.
    kind : {"kl", "reverse", "symmetric", "cross_entropy", "contrastive"}
        KL(P || Q), KL(Q || P), the sum of the two, H(P, Q) = KL(P || Q) + H(P), or the logarithm
        of the share of exp(-KL(P_c || Q)) that falls to the right class, negative. The last is not
        the source's: while the layer is blind to classes and all P_c are equally flat, it does not
        pull at places.

    Returns
    -------
    torch.Tensor of shape (...)
        Mean over samples, nats.

    Examples
    --------
    A layer of two units that shows what it should for its first sample only:

    >>> P = torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    >>> H = torch.tensor([[4.0, 1.0], [4.0, 1.0]])
    >>> round(float(surface_penalty(H, [0, 1], P.log())), 3)   # (0 + 0.6 log 4) / 2
    0.416
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
    H = _tensor(H)
    log_P = _tensor(log_P).to(H)
    if H.ndim < 2 or H.shape[-1] != log_P.shape[-1]:
        raise ValueError(
            f"the grid has {log_P.shape[-1]} units, but the layer's activations have the shape "
            f"{tuple(H.shape)}; it must be (..., n_samples, {log_P.shape[-1]})"
        )
    y = check_labels(y, H.shape[-2], log_P.shape[-2])
    _check_not_negative(H)
    y = torch.as_tensor(y, device=H.device)

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
        wanted = of_own_class(H @ log_P.mT)
        penalty = penalty + ((H * log_H).sum(-1) - wanted) / total - total.log()
    return penalty.mean(-1)


def adjacency_penalty(H, shape, root=True, torus=False):
    """How differently neighbouring units of a grid are active.

    Parameters
    ----------
    H : tensor or array_like of shape (..., n_samples, n_units)
        Activations.
    shape : tuple of two int
        Height and width of the grid, height * width = n_units.
    root : bool
        Root of the sum of squared differences, as the source's code has it; without, the sum that
        its text prints.
    torus : bool
        Whether opposite borders are neighbours too; sides of at least 3 then.

    Returns
    -------
    torch.Tensor of shape (...)
        Mean over samples.

    Examples
    --------
    >>> H = torch.tensor([[0.0, 0.0, 3.0, 0.0]])      # 3 has two neighbours
    >>> float(adjacency_penalty(H, (2, 2), root=False)), float(adjacency_penalty(H, (2, 2)))
    (18.0, 4.242640495300293)
    """
    height, width = check_shape(shape)
    H = _tensor(H)
    if H.ndim < 2 or H.shape[-1] != height * width:
        raise ValueError(
            f"shape must fit the layer: a grid of {height} x {width} has {height * width} units, "
            f"but the activations have the shape {tuple(H.shape)}"
        )
    if torus and min(height, width) < 3:
        raise ValueError(f"shape must have sides of at least 3 for a torus, got {shape}")
    maps = H.unflatten(-1, (height, width))
    if torus:
        differences = (maps - maps.roll(1, -2)), (maps - maps.roll(1, -1))
    else:
        differences = maps.diff(dim=-2), maps.diff(dim=-1)
    total = sum(d.square().sum((-2, -1)) for d in differences)
    # The root has no gradient at 0, where a dead layer is.
    return (torch.sqrt(total + 1e-12) if root else total).mean(-1)


def by_readout(H, W):
    """Activations times the length of each unit's outgoing weights, which tell how it is heard.

    Parameters
    ----------
    H : tensor of shape (..., n_samples, n_units)
    W : tensor of shape (..., n_outputs, n_units)
        Weights of the layer that reads H.

    Returns
    -------
    torch.Tensor of shape (..., n_samples, n_units)
    """
    if H.shape[-1] != W.shape[-1]:
        raise ValueError(f"W must read {H.shape[-1]} units, got the shape {tuple(W.shape)}")
    return H * W.norm(dim=-2, keepdim=True)


# --- terms of a loss -----------------------------------------------------------------------------


class GaussianGrid(torch.nn.Module):
    """Grid with a Gaussian surface for each class: a term of the loss, ``term(H, y)``.

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

    def __init__(self, shape, centres, sigma, kind="kl", learn=None, positions=None):
        super().__init__()
        if learn not in (None, "units", "centres"):
            raise ValueError(f"learn must be None, 'units' or 'centres', got {learn!r}")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {kind!r}")
        self.shape, self.sigma, self.kind, self.learn = check_shape(shape), sigma, kind, learn
        cells = lattice(shape)
        positions = cells if positions is None else np.asarray(positions)
        if positions.shape[-2:] != cells.shape:
            raise ValueError(
                f"positions must have the shape (..., {len(cells)}, 2), got {positions.shape}"
            )
        places = {"units": ("positions", positions), "centres": ("centres", centres)}
        for what, (name, points) in places.items():
            points = torch.tensor(np.asarray(points), dtype=torch.get_default_dtype())
            if what == learn:
                setattr(self, name, torch.nn.Parameter(points))
            else:
                self.register_buffer(name, points)
        self.log_surfaces()  # complains about centres and sigma now, not in the first step

    def log_surfaces(self):
        """See the function `log_surfaces`; shape (..., n_classes, n_units)."""
        return log_surfaces(self.positions, self.centres, self.sigma)

    def place(self, cells):
        """Move unit i to the cell ``cells[..., i]`` of the grid (see `grid_layout.assign`)."""
        if self.learn == "units":
            raise ValueError("units with learned coordinates have no cells to be placed in")
        places = lattice(self.shape)[np.asarray(cells)]
        self.positions = torch.as_tensor(places).to(self.positions)

    def forward(self, H, y):
        """Penalty of activations H (..., n_samples, n_units) for the classes y (n_samples,)."""
        return surface_penalty(H, y, self.log_surfaces(), self.kind)


class LayerPenalty:
    """Penalties on layers of any torch network, by hooks.

    Parameters
    ----------
    layers : sequence of torch.nn.Module
        Modules whose outputs are penalised, of shape (..., n_samples, n_units).
    terms : callable or sequence of callables
        ``term(H, y)`` gives the penalty of a layer's output; one for all layers, or one for each.
    weight : float or array_like of shape (n_networks,)
        Factor of the penalty; one a network if the outputs have a leading axis of networks.
    outgoing : sequence of torch.nn.Module, optional
        The linear modules that read the layers, one for each: activations are then weighted by
        `by_readout`.

    Examples
    --------
    Two lines on a network of one's own:

    >>> model = torch.nn.Sequential(
    ...     torch.nn.Linear(8, 16), torch.nn.Sigmoid(), torch.nn.Linear(16, 3))
    >>> X, y = torch.zeros(5, 8), torch.tensor([0, 1, 2, 0, 1])
    >>> term = GaussianGrid((4, 4), ring_centres(3, (4, 4)), sigma=1.0)
    >>> penalty = LayerPenalty([model[1]], term, weight=0.1)                      # line 1
    >>> loss = torch.nn.functional.cross_entropy(model(X), y) + penalty(y)        # line 2
    >>> loss.backward()
    """

    def __init__(self, layers, terms, weight=0.1, outgoing=None):
        self.layers = list(layers)
        self.terms = [terms] * len(self.layers) if callable(terms) else list(terms)
        self.outgoing = [None] * len(self.layers) if outgoing is None else list(outgoing)
        self.weight = torch.as_tensor(np.asarray(weight), dtype=torch.get_default_dtype())
        if not self.layers or not len(self.layers) == len(self.terms) == len(self.outgoing):
            raise ValueError(
                "layers must name at least one module, with one term and one outgoing module "
                f"each, got {len(self.layers)}, {len(self.terms)} and {len(self.outgoing)}"
            )
        if not (torch.isfinite(self.weight) & (self.weight >= 0)).all():
            raise ValueError(f"weight must be finite and not negative, got {weight}")
        self._outputs = {}
        self._hooks = [
            layer.register_forward_hook(self._keep(i)) for i, layer in enumerate(self.layers)
        ]

    def _keep(self, i):
        def hook(module, inputs, output):
            self._outputs[i] = output

        return hook

    def last_activations(self):
        """Outputs of the layers in the last forward pass, as the terms read them; then forgotten.

        Returns
        -------
        list of torch.Tensor
        """
        if len(self._outputs) < len(self.layers):
            raise RuntimeError("each call of the penalty needs a forward pass through its layers")
        outputs = [
            self._outputs[i] if reader is None else by_readout(self._outputs[i], reader.weight)
            for i, reader in enumerate(self.outgoing)
        ]
        self._outputs.clear()
        return outputs

    def __call__(self, y):
        """Weighted sum of the penalties of the last forward pass, shape (...)."""
        total = sum(term(H, y) for term, H in zip(self.terms, self.last_activations()))
        return self.weight.to(total) * total

    def remove(self):
        """Take the hooks off the network."""
        for hook in self._hooks:
            hook.remove()


# --- checks --------------------------------------------------------------------------------------


def check_shape(shape):
    """Height and width of a grid as integers, or a ValueError."""
    if np.shape(shape) != (2,) or any(side != int(side) or side < 1 for side in shape):
        raise ValueError(f"shape must be two whole numbers (height, width) above 0, got {shape}")
    return int(shape[0]), int(shape[1])


def check_labels(y, n_samples, n_classes=math.inf):
    """Labels as an array of integers, one a sample, from 0 and below n_classes."""
    y = y.detach().cpu().numpy() if isinstance(y, torch.Tensor) else np.asarray(y)
    if y.shape != (n_samples,) or n_samples < 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"y must have one whole number a sample, shape ({n_samples},), at least one; "
            f"got {y.dtype} of shape {y.shape}"
        )
    if y.min() < 0 or y.max() >= n_classes:
        raise ValueError(f"y must be classes from 0 to {n_classes - 1}, got {y.min()} to {y.max()}")
    return y


def count_classes(y):
    """Samples of each class, from 0 to the largest; a class without samples is a ValueError."""
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


def _tensor(values):
    """Tensors as they are, anything else as a tensor of floats."""
    return (
        values if isinstance(values, torch.Tensor) else torch.as_tensor(np.asarray(values, float))
    )
