"""What the inputs that excite a direction have in common: attributes, agreement, and its chance.

A direction in activation space is judged by its *top inputs*, those with the largest component
along it. They *agree* in an attribute if more of them have it than random inputs would. The
attributes are facts about each image, computed from its pixels and its class; no network and no
human rater is involved.

One number serves all attributes: the probability, under random draws without replacement, that so
many of the top inputs have the attribute (hypergeometric). The score of a set of inputs is
``-log10`` of the smallest such probability over all attributes. Many attributes give many chances,
so the score is never read off a table: `chance_level` draws random sets of inputs and takes a high
quantile of *their* scores. Random sets are what shuffling the attributes among the inputs leaves of
any direction's top inputs, so this is a permutation test.

Shapes: activations are ``(..., n_samples, n_directions)``; the top inputs of each direction are
``(..., n_directions, n_top)`` indices, most exciting first.
"""

import numpy as np
import scipy.stats

STYLE = ("ink", "stroke width", "slant", "width", "height", "balance")


def measurements(images):
    """Style of each image, in numbers.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width)
        Grey values, 0 for no ink.

    Returns
    -------
    dict of str to numpy.ndarray of shape (n_samples,)
        ``ink``: mean grey value. ``stroke width``: twice the ink divided by the length of its
        outline (total variation), in pixels. ``slant``: shear of the ink, the horizontal shift per
        pixel upwards; positive leans to the right, like ``/``. ``width`` and ``height``: standard
        deviation of the ink along each side, in pixels. ``balance``: how far the centre of the ink
        lies above the middle of the image, in pixels.

    Examples
    --------
    A vertical bar, one pixel thick and then two:

    >>> bars = np.zeros((2, 8, 8))
    >>> bars[0, :, 3:4] = bars[1, :, 3:5] = 1
    >>> style = measurements(bars)
    >>> style["ink"], style["slant"], style["stroke width"].round(1)
    (array([0.125, 0.25 ]), array([0., 0.]), array([0.9, 1.6]))
    """
    images = np.asarray(images, dtype=float)
    if images.ndim != 3:
        raise ValueError(
            f"images must have the shape (n_samples, height, width), got {images.shape}"
        )
    total = images.sum(axis=(1, 2))
    if not (np.isfinite(images).all() and images.min() >= 0 and total.min() > 0):
        raise ValueError("images must hold finite grey values >= 0 with some ink in every image")
    n_rows, n_columns = images.shape[1:]
    up = (n_rows - 1) / 2 - np.arange(n_rows)[:, None]
    right = np.arange(n_columns)[None, :] - (n_columns - 1) / 2

    def mean(quantity):
        return (images * quantity).sum(axis=(1, 2)) / total

    x, y = mean(right), mean(up)
    spread_x = np.maximum(mean(right**2) - x**2, 0.0)
    spread_y = np.maximum(mean(up**2) - y**2, 0.0)
    shear = np.zeros_like(total)
    np.divide(mean(right * up) - x * y, spread_y, out=shear, where=spread_y > 1e-12)
    framed = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    outline = sum(np.abs(np.diff(framed, axis=axis)).sum(axis=(1, 2)) for axis in (1, 2))
    values = (
        images.mean(axis=(1, 2)), 2 * total / outline, shear,
        np.sqrt(spread_x), np.sqrt(spread_y), y,
    )  # fmt: skip
    return dict(zip(STYLE, values))


def digit_attributes(images, labels):
    """Class and style of each image as yes-or-no attributes.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width)
    labels : array_like of int, shape (n_samples,)

    Returns
    -------
    names : list of str
        One attribute a class, then two for each of `measurements`: whether the image belongs to
        the lowest third ("low slant"), and whether to the highest ("high slant").
    has : numpy.ndarray of bool, shape (n_samples, n_attributes)

    Examples
    --------
    >>> from hblib.worlds import _data as data
    >>> digits = data.digits()
    >>> names, has = digit_attributes(digits.images, digits.labels)
    >>> names[9:12], has.shape
    (['class 9', 'low ink', 'high ink'], (1797, 22))
    """
    labels = np.asarray(labels)
    if not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        raise ValueError(f"labels must be integers from 0, got {labels.dtype}")
    style = measurements(images)
    if labels.shape != style["ink"].shape:
        raise ValueError(
            f"labels must have one class an image, shape {style['ink'].shape}, got {labels.shape}"
        )
    columns = {f"class {c}": labels == c for c in np.unique(labels)}
    for name, values in style.items():
        low, high = np.quantile(values, [1 / 3, 2 / 3])
        columns |= {f"low {name}": values < low, f"high {name}": values > high}
    return list(columns), np.stack(list(columns.values()), axis=1)


def top_inputs(activations, n_top):
    """Find the inputs that excite each direction most.

    Parameters
    ----------
    activations : array_like of shape (..., n_samples, n_directions)
        Component of each input along each direction.
    n_top : int
        How many inputs.

    Returns
    -------
    top : numpy.ndarray of int, shape (..., n_directions, n_top)
        Most exciting first.
    determined : numpy.ndarray of bool, shape (..., n_directions)
        False where the choice is arbitrary because the last of them excites the direction no more
        than the least exciting input of all does: a unit that is silent for almost every input.

    Examples
    --------
    >>> top_inputs([[0.0, 3.0], [1.0, 0.0], [2.0, 0.0], [5.0, 0.0]], n_top=2)
    (array([[3, 2],
           [0, 3]]), array([ True, False]))
    """
    A = np.asarray(activations)
    if A.ndim < 2 or not 1 <= n_top < A.shape[-2]:
        raise ValueError(
            "activations must have the shape (..., n_samples, n_directions) and n_top lie between "
            f"1 and n_samples - 1, got {A.shape} and {n_top!r}"
        )
    if not np.isfinite(A).all():
        raise ValueError("activations contain values that are not finite (NaN or infinity)")
    A = np.ascontiguousarray(A.swapaxes(-1, -2))
    top = np.argpartition(A, -n_top, axis=-1)[..., -n_top:]
    values = np.take_along_axis(A, top, axis=-1)
    order = np.argsort(-values, axis=-1, kind="stable")
    return np.take_along_axis(top, order, axis=-1), values.min(axis=-1) > A.min(axis=-1)


def agreement(top, has):
    """Score sets of inputs by the attribute in which they agree most surprisingly.

    Parameters
    ----------
    top : array_like of int, shape (..., n_top)
        Sets of inputs, from `top_inputs`.
    has : array_like of bool, shape (n_samples, n_attributes)

    Returns
    -------
    score : numpy.ndarray of shape (...)
        ``-log10`` of the smallest probability, over attributes, that a random set of inputs has at
        least so many with the attribute.
    best : numpy.ndarray of int, shape (...)
        That attribute.

    Examples
    --------
    Of 10 inputs 5 have the attribute, and so have all 3 of the set; chance is 1 in 12:

    >>> score, best = agreement([0, 1, 2], np.arange(10)[:, None] < 5)
    >>> round(float(10**score), 6)
    12.0
    """
    top, has = np.asarray(top), _yes_or_no(has)
    if top.ndim < 1 or top.shape[-1] < 1 or not np.issubdtype(top.dtype, np.integer):
        raise ValueError(
            f"top must be integers of the shape (..., n_top), got {top.dtype} of {top.shape}"
        )
    if top.size and not 0 <= top.min() <= top.max() < len(has):
        raise ValueError(
            f"top must be inputs from 0 to {len(has) - 1}, as many as has has rows, "
            f"got {top.min()} to {top.max()}"
        )
    n_top = top.shape[-1]
    counts = has.astype(np.int8)[top].sum(axis=-2, dtype=np.int16)
    # Tails summed by hand, from the rarest count down: scipy's logsf takes a thousand times longer.
    exactly = scipy.stats.hypergeom.logpmf(
        np.arange(n_top + 1)[:, None], len(has), has.sum(axis=0), n_top
    )
    at_least = np.logaddexp.accumulate(exactly[::-1], axis=0)[::-1]
    surprise = -at_least / np.log(10)
    scores = surprise[counts, np.arange(has.shape[1])]
    return scores.max(axis=-1), scores.argmax(axis=-1)


def _yes_or_no(has):
    has = np.asarray(has)
    if has.ndim != 2 or 0 in has.shape or not np.isin(has, (0, 1)).all():
        raise ValueError(
            "has must hold True and False (or 1 and 0) in the shape (n_samples, n_attributes), "
            f"got {has.dtype} of {has.shape}"
        )
    return has.astype(bool)


def chance_level(has, n_top, alpha, rng, n_draws=20_000):
    """Score that random sets of inputs exceed with a probability of at most alpha.

    Parameters
    ----------
    has : array_like of bool, shape (n_samples, n_attributes)
    n_top : int
        Inputs in a set.
    alpha : float
        Between 0 and 1.
    rng : numpy.random.Generator
    n_draws : int, optional
        Random sets to draw.

    Returns
    -------
    float

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> has = rng.random((200, 5)) < 0.3
    >>> level = chance_level(has, 10, 0.05, rng)
    >>> score, _ = agreement(top_inputs(rng.random((200, 4000)), 10)[0], has)
    >>> bool(0.01 < np.mean(score > level) < 0.06)
    True
    """
    if not 0 < alpha < 1 or n_draws * alpha < 10:
        raise ValueError(
            "alpha must lie between 0 and 1 with at least 10 of n_draws beyond it, "
            f"got {alpha} and {n_draws}"
        )
    has, rng = _yes_or_no(has), np.random.default_rng(rng)
    if not isinstance(n_draws, int | np.integer):
        raise ValueError(f"n_draws must be an integer, got {n_draws!r}")
    scores = []
    for size in np.diff(np.linspace(0, n_draws, 11, dtype=int)):
        top, _ = top_inputs(rng.random((size, len(has)), dtype=np.float32).T, n_top)
        scores.append(agreement(top, has)[0])
    return float(np.quantile(np.concatenate(scores), 1 - alpha, method="higher"))


def share_in_agreement(activations, has, n_top, level):
    """Share of directions whose top inputs agree in some attribute beyond chance.

    Parameters
    ----------
    activations : array_like of shape (..., n_samples, n_directions)
    has : array_like of bool, shape (n_samples, n_attributes)
    n_top : int
        Top inputs looked at for each direction.
    level : float
        From `chance_level`, for the same attributes and `n_top`.

    Returns
    -------
    numpy.ndarray of shape (...)
        A direction whose top inputs are not determined (see `top_inputs`) does not count as
        agreeing.

    Examples
    --------
    A unit that fires for one class only, and a unit that never fires:

    >>> label = np.arange(100) % 10
    >>> H = np.stack([label == 3, label == 11], axis=1) * 1.0
    >>> float(share_in_agreement(H, label[:, None] == np.arange(10), n_top=8, level=4.0))
    0.5
    """
    if np.isnan(level):
        raise ValueError("level must be a number, got NaN")
    top, determined = top_inputs(activations, n_top)
    score, _ = agreement(top, has)
    return np.mean(determined & (score > level), axis=-1)
