"""The inputs that excite a direction most, and the attributes in which they agree beyond chance.

A direction in activation space is judged by its *top inputs*, the inputs with the largest component
along it. They *agree* in an attribute if more of them have it than random inputs would. Attributes
are facts about each input: for pictures they are computed from pixels and class, so that neither a
network nor a human rater is involved.

One number serves all attributes: the probability that a random set of inputs of the same size,
drawn without replacement, has the attribute at least as often (the hypergeometric tail of an
*enrichment* test). The score of a set is ``-log10`` of the smallest such probability over all
attributes. Many attributes give many chances to look meaningful, so the score is never compared
with a table: `chance_level` draws random sets of inputs and takes a high quantile of their scores.
Shuffling the attributes among the inputs turns the top inputs of any direction into just such a
random set, so this is a permutation test.

Activations have the shape ``(..., n_samples, n_directions)``, the top inputs of all directions the
shape ``(..., n_directions, n_top)``, and a table of attributes ``has`` the shape
``(n_samples, n_attributes)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import Randomness, as_array, generator, number, whole

if TYPE_CHECKING:
    import pandas as pd

# --- top inputs ----------------------------------------------------------------------------------


class TopInputs(NamedTuple):
    """The inputs that excite each direction most, see `top_inputs`.

    Attributes
    ----------
    indices : ndarray of int, shape (..., n_directions, n_top)
        Most exciting first.
    determined : ndarray of bool, shape (..., n_directions)
        Whether the direction itself decides which inputs these are.
    """

    indices: NDArray[np.intp]
    determined: NDArray[np.bool_]


def top_inputs(activations: ArrayLike, n_top: int) -> TopInputs:
    """Find the inputs that excite each direction most.

    Inputs are whatever the rows of `activations` stand for: pictures, words, tokens. For the other
    end of the directions change the sign of the activations, which must not be unsigned integers.

    Parameters
    ----------
    activations : array_like of shape (..., n_samples, n_directions)
        Component of each input along each direction.
    n_top : int
        How many inputs, from 1 to n_samples.

    Returns
    -------
    TopInputs
        ``indices``, shape (..., n_directions, n_top), the most exciting input first. Inputs with
        equal components are taken in the order of their rows; a vocabulary that is sorted by
        frequency thus gives the more frequent word. ``determined``, shape (..., n_directions), is
        False where the last of the top inputs excites the direction no more than the least exciting
        input of all does, so that its place is an accident of the order: a ReLU unit that is silent
        for almost every input.

    Raises
    ------
    ValueError
        If `activations` are not finite or `n_top` is no whole number from 1 to n_samples.

    Examples
    --------
    The second unit fires for one input only:

    >>> top = top_inputs([[0.0, 3.0], [1.0, 0.0], [2.0, 0.0], [5.0, 0.0]], n_top=2)
    >>> top.indices
    array([[3, 2],
           [0, 1]])
    >>> top.determined
    array([ True, False])
    """
    A = _activations(activations)
    n_top = whole("n_top", n_top, 1, A.shape[-2])
    A = np.ascontiguousarray(A.swapaxes(-1, -2))
    # The result is that of a full stable sort, which takes ten times as long on dense activations.
    top = np.sort(np.argpartition(A, -n_top, axis=-1)[..., -n_top:], axis=-1)
    values = np.take_along_axis(A, top, axis=-1)
    order = np.argsort(-values, axis=-1, kind="stable")
    top, last = np.take_along_axis(top, order, axis=-1), values.min(axis=-1)
    tied = np.sum(A >= last[..., None], axis=-1) > n_top  # the partition chose among equals
    top[tied] = np.argsort(-A[tied], axis=-1, kind="stable")[..., :n_top]
    return TopInputs(top, last > A.min(axis=-1))


# --- agreement beyond chance ---------------------------------------------------------------------


class Enrichment(NamedTuple):
    """How surprisingly sets of inputs agree, see `enrichment`.

    Attributes
    ----------
    score : ndarray of shape (...)
        ``-log10`` of the probability of the most surprising agreement.
    attribute : ndarray of int, shape (...)
        The attribute in which the inputs agree.
    """

    score: NDArray[np.floating]
    attribute: NDArray[np.intp]


def enrichment(top: ArrayLike, has: ArrayLike) -> Enrichment:
    """Score sets of inputs by the attribute in which they agree most surprisingly.

    Parameters
    ----------
    top : array_like of int, shape (..., n_top)
        Sets of inputs, such as ``top_inputs(activations, n_top).indices``.
    has : array_like of bool, shape (n_samples, n_attributes)
        Which input has which attribute.

    Returns
    -------
    Enrichment
        ``score``, shape (...): ``-log10`` of the smallest probability, over attributes, that a
        random set of inputs has the attribute at least as often. ``attribute``, shape (...): that
        attribute, the first one of several.

    Raises
    ------
    ValueError
        If `top` holds anything but row numbers of `has`, or `has` anything but truth values.

    Examples
    --------
    Of 10 inputs 5 have the attribute, and so have all 3 of the set; chance is 1 in 12:

    >>> score, attribute = enrichment([0, 1, 2], np.arange(10)[:, None] < 5)
    >>> round(float(10**score), 6)
    12.0
    """
    import scipy.stats

    has = _truth_table("has", has)
    top = _whole_array("top", top, len(has))
    if top.ndim < 1 or top.shape[-1] < 1:
        raise ValueError(f"top must be inputs in the shape (..., n_top), got {top.shape}")
    n_top = top.shape[-1]
    counts = has.astype(np.int8)[top].sum(axis=-2, dtype=np.int64)
    # Tails summed by hand, from the rarest count down: scipy's logsf takes a thousand times longer.
    exactly = scipy.stats.hypergeom.logpmf(
        np.arange(n_top + 1)[:, None], len(has), has.sum(axis=0), n_top
    )
    at_least = np.logaddexp.accumulate(exactly[::-1], axis=0)[::-1]
    surprise = -at_least / np.log(10)
    scores = surprise[counts, np.arange(has.shape[1])]
    return Enrichment(scores.max(axis=-1), scores.argmax(axis=-1))


def chance_level(
    has: ArrayLike,
    n_top: int,
    alpha: float,
    rng: Randomness,
    n_draws: int = 20_000,
) -> float:
    """Score that random sets of inputs exceed with a probability of at most alpha.

    Parameters
    ----------
    has : array_like of bool, shape (n_samples, n_attributes)
        Which input has which attribute.
    n_top : int
        Inputs in a set.
    alpha : float
        Between 0 and 1.
    rng : int, sequence of int, numpy.random.Generator or None
        Draws the sets.
    n_draws : int
        Number of random sets.

    Returns
    -------
    float
        The level for `share_enriched`.

    Raises
    ------
    ValueError
        If `n_draws` are too few to tell a quantile of 1 - `alpha`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> has = rng.random((200, 5)) < 0.3
    >>> level = chance_level(has, 10, 0.05, rng)
    >>> share = share_enriched(rng.random((200, 4000)), has, 10, level)
    >>> bool(0.01 < share < 0.06)
    True
    """
    alpha, n_draws = number("alpha", alpha), whole("n_draws", n_draws)
    if not 0 < alpha < 1 or n_draws * alpha < 10:
        raise ValueError(
            "alpha must lie between 0 and 1 with at least 10 of n_draws beyond it, "
            f"got {alpha} and {n_draws}"
        )
    has, rng = _truth_table("has", has), generator(rng)
    scores = []
    for size in np.diff(np.linspace(0, n_draws, 11, dtype=int)):
        top = top_inputs(rng.random((size, len(has)), dtype=np.float32).T, n_top).indices
        scores.append(enrichment(top, has).score)
    return float(np.quantile(np.concatenate(scores), 1 - alpha, method="higher"))


def share_enriched(
    activations: ArrayLike, has: ArrayLike, n_top: int, level: float
) -> NDArray[np.floating]:
    """Share of directions whose top inputs agree in some attribute beyond chance.

    Parameters
    ----------
    activations : array_like of shape (..., n_samples, n_directions)
        Component of each input along each direction.
    has : array_like of bool, shape (n_samples, n_attributes)
        Which input has which attribute.
    n_top : int
        Top inputs looked at for each direction.
    level : float
        From `chance_level`, for the same attributes and `n_top`.

    Returns
    -------
    ndarray of shape (...)
        A direction whose top inputs are not determined (see `top_inputs`) does not count as
        agreeing.

    Examples
    --------
    A unit that fires for one class only, and a unit that never fires:

    >>> label = np.arange(100) % 10
    >>> H = np.stack([label == 3, label == 11], axis=1) * 1.0
    >>> float(share_enriched(H, label[:, None] == np.arange(10), n_top=8, level=4.0))
    0.5
    """
    level = number("level", level)
    top, determined = top_inputs(activations, n_top)
    score, _ = enrichment(top, has)
    return np.mean(determined & (score > level), axis=-1)


# --- tables of attributes ------------------------------------------------------------------------


def attribute_table(factors: pd.DataFrame) -> tuple[list[str], NDArray[np.bool_]]:
    """Turn factors into attributes that an input has or has not.

    Parameters
    ----------
    factors : pandas.DataFrame, shape (n_samples, n_factors)
        What is known about each input. A bool column gives one attribute, presence; any other
        column gives two, its lowest and its highest third.

    Returns
    -------
    names : list of str
        For example ``"beard"``, ``"low smile"``, ``"high smile"``.
    has : ndarray of bool, shape (n_samples, n_attributes)
        Which input has which attribute.

    Raises
    ------
    ValueError
        If `factors` is no table with named columns of finite numbers.

    Examples
    --------
    >>> import pandas as pd
    >>> factors = pd.DataFrame({"beard": [True, False, True], "smile": [1, 2, 3]})
    >>> names, has = attribute_table(factors)
    >>> names, has.sum(axis=0)
    (['beard', 'low smile', 'high smile'], array([2, 1, 1]))
    """
    if not (hasattr(factors, "items") and hasattr(factors, "columns")):
        raise ValueError(
            f"factors must be a pandas.DataFrame, whose columns have names, got {type(factors)}"
        )
    columns = {}
    for name, column in factors.items():
        values = np.asarray(column)
        if values.dtype == bool:
            columns[name] = values
        else:
            values = as_array(f"column {name!r} of factors", values, ndim=1)
            low, high = np.quantile(values, [1 / 3, 2 / 3])
            columns |= {f"low {name}": values < low, f"high {name}": values > high}
    if not columns:
        raise ValueError("factors must have at least one column")
    return list(columns), np.stack(list(columns.values()), axis=1)


def digit_attributes(
    images: ArrayLike, labels: ArrayLike
) -> tuple[list[str], NDArray[np.bool_]]:
    """Class and style of pictures of digits as attributes.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width)
        Grey values, 0 for no ink.
    labels : array_like of int, shape (n_samples,)
        Class of each image, from 0.

    Returns
    -------
    names : list of str
        One attribute for each class, then two for each of `measure_digits`: whether the image
        belongs to the lowest third ("low slant"), and whether to the highest ("high slant").
    has : ndarray of bool, shape (n_samples, n_attributes)
        Which image has which attribute.

    Raises
    ------
    ValueError
        If there is not one class per image, or an image has no ink.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> names, has = digit_attributes(rng.random((30, 8, 8)), np.arange(30) % 10)
    >>> names[9:12], has.shape
    (['class 9', 'low ink', 'high ink'], (30, 22))
    """
    import pandas as pd

    labels, style = _whole_array("labels", labels), measure_digits(images)
    if labels.shape != (len(style),):
        raise ValueError(
            f"labels must have one class per image, shape ({len(style)},), got {labels.shape}"
        )
    classes = {f"class {c}": labels == c for c in np.unique(labels)}
    return attribute_table(pd.DataFrame(classes | dict(style)))


def measure_digits(images: ArrayLike) -> pd.DataFrame:
    """Measure the style of pictures of digits.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width)
        Grey values, 0 for no ink.

    Returns
    -------
    pandas.DataFrame
        One row per image. ``ink``: mean grey value. ``stroke width``: twice the ink divided by the
        length of its outline (total variation), in pixels. ``slant``: shear of the ink, the
        horizontal shift per pixel upwards; positive leans to the right, like ``/``. ``width`` and
        ``height``: standard deviation of the ink along each side, in pixels. ``balance``: how far
        the centre of the ink lies above the middle of the image, in pixels.

    Raises
    ------
    ValueError
        If a grey value is negative or an image has no ink.

    Examples
    --------
    A vertical bar, one pixel thick and then two:

    >>> bars = np.zeros((2, 8, 8))
    >>> bars[0, :, 3:4] = bars[1, :, 3:5] = 1
    >>> measure_digits(bars)[["ink", "slant", "stroke width"]].round(1)
       ink  slant  stroke width
    0  0.1    0.0           0.9
    1  0.2    0.0           1.6
    """
    import pandas as pd

    images = as_array("images", images).astype(float)
    if images.ndim != 3:
        raise ValueError(
            f"images must have the shape (n_samples, height, width), got {images.shape}"
        )
    total = images.sum(axis=(1, 2))
    if not (images.min() >= 0 and total.min() > 0):
        raise ValueError("images must hold grey values >= 0 with some ink in every image")
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
    return pd.DataFrame({
        "ink": images.mean(axis=(1, 2)),
        "stroke width": 2 * total / outline,
        "slant": shear,
        "width": np.sqrt(spread_x),
        "height": np.sqrt(spread_y),
        "balance": y,
    })  # fmt: skip


# --- helpers of the room -------------------------------------------------------------------------


def _activations(value: Any) -> NDArray[np.floating]:
    """Activations of shape (..., n_samples, n_directions); no direction at all is allowed."""
    shape = tuple(np.shape(value)) if hasattr(value, "shape") else ()
    none = len(shape) >= 2 and shape[-1] == 0 and 0 not in shape[:-1]
    A = np.empty(shape) if none else as_array("activations", value)
    if A.ndim < 2:
        raise ValueError(
            f"activations must have the shape (..., n_samples, n_directions), got {A.shape}"
        )
    return A


def _truth_table(name: str, value: Any) -> NDArray[np.bool_]:
    """A table of truth values, given as True and False or as 1 and 0."""
    usual = isinstance(value, np.ndarray) and value.dtype == bool and value.size
    table = value if usual else as_array(name, value)
    if table.ndim != 2 or not np.isin(table, (0, 1)).all():
        raise ValueError(
            f"{name} must hold True and False (or 1 and 0) in the shape "
            f"(n_samples, n_attributes), got the shape {table.shape}"
        )
    return table.astype(bool, copy=False)


def _whole_array(name: str, value: Any, end: int | None = None) -> NDArray[np.int64]:
    """An array of whole numbers from 0, all smaller than `end`; it may be empty."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        array = value  # the usual case, without a copy
    else:
        array = as_array(name, value)
        kind = value.dtype if hasattr(value, "dtype") else np.asarray(value).dtype
        if str(kind).endswith("bool") or not np.array_equal(array, np.floor(array)):
            raise ValueError(f"{name} must be whole numbers, not fractions or True and False")
    if array.size and (array.min() < 0 or (end is not None and array.max() >= end)):
        allowed = "from 0" if end is None else f"from 0 to {end - 1}"
        raise ValueError(
            f"{name} must be whole numbers {allowed}, got {array.min():g} to {array.max():g}"
        )
    return array.astype(np.int64, copy=False)
