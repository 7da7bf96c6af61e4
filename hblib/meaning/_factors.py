"""Known factors: which of them a direction follows, and whether a picture shows them.

Three questions, for inputs whose making is known (a table of *factors*, one row per input):

- Does a direction follow a factor? `rank_correlations` of the components along it, and the largest
  of them, `best_rank_correlation`. Many factors give many chances, so `shuffled_rank_correlation`
  says what the largest correlation is when the factors are dealt out to the inputs at random.
- Can it be named? `name_directions` names a direction by the attribute in which its top inputs
  agree most surprisingly, and `precision_at` says how many top inputs of *other* data have that
  attribute.
- Does a changed picture show a changed factor? `FactorReader` reads factors back from pixels. It
  learns from drawn pictures only, so what it says about decoded ones is independent of whatever
  decoded them.

Photographs have no known factors; `measure_portraits` of their pixels can stand in. The null model
for all three is `random_directions`, with the covariance of the codes and no other structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hblib._checks import Randomness, as_array, generator, number, whole
from hblib.meaning._attributes import (
    _activations,
    _truth_table,
    _whole_array,
    enrichment,
    top_inputs,
)

if TYPE_CHECKING:
    import pandas as pd

# --- directions and factors ----------------------------------------------------------------------


def rank_correlations(activations: ArrayLike, factors: ArrayLike) -> NDArray[np.float64]:
    """Spearman's correlation of every direction with every factor.

    Parameters
    ----------
    activations : array_like of shape (n_samples, n_directions)
        Component of each input along each direction.
    factors : pandas.DataFrame or array_like, shape (n_samples, n_factors)
        What is known about each input.

    Returns
    -------
    ndarray of shape (n_directions, n_factors)
        0 for a direction or a factor that does not vary.

    Raises
    ------
    ValueError
        If the tables have different numbers of rows or are not finite.

    Examples
    --------
    >>> rank_correlations([[1.0], [2.0], [9.0]], [[0, 5], [1, 4], [2, 3]])
    array([[ 1., -1.]])
    """
    A = as_array("activations", activations, ndim=2)
    F = as_array("factors", factors, ndim=2)
    if len(A) != len(F):
        raise ValueError(
            "activations and factors must be tables with one row per input, got the shapes "
            f"{A.shape} and {F.shape}"
        )
    A, F = _standardised_ranks(A), _standardised_ranks(F)
    return A.T @ F / len(A)


def best_rank_correlation(activations: ArrayLike, factors: ArrayLike) -> NDArray[np.float64]:
    """Largest absolute rank correlation of each direction with a factor.

    Parameters
    ----------
    activations : array_like of shape (n_samples, n_directions)
        Component of each input along each direction.
    factors : pandas.DataFrame or array_like, shape (n_samples, n_factors)
        What is known about each input.

    Returns
    -------
    ndarray of shape (n_directions,)

    Examples
    --------
    >>> best_rank_correlation([[1.0], [2.0], [9.0]], [[0, 5], [1, 3], [0, 2]])
    array([1.])
    """
    return np.abs(rank_correlations(activations, factors)).max(axis=1)


def shuffled_rank_correlation(
    activations: ArrayLike, factors: ArrayLike, rng: Randomness
) -> NDArray[np.float64]:
    """`best_rank_correlation` with the factors dealt out at random: what chance alone gives.

    Parameters
    ----------
    activations : array_like of shape (n_samples, n_directions)
        Component of each input along each direction.
    factors : pandas.DataFrame or array_like, shape (n_samples, n_factors)
        Shuffled as whole rows, so that their own correlations stay.
    rng : int, sequence of int, numpy.random.Generator or None
        Shuffles the rows.

    Returns
    -------
    ndarray of shape (n_directions,)

    Examples
    --------
    >>> F = np.random.default_rng(0).random((500, 3))
    >>> bool(best_rank_correlation(F, F).min() > 0.99)
    True
    >>> bool(shuffled_rank_correlation(F, F, rng=1).max() < 0.2)
    True
    """
    factors = as_array("factors", factors, ndim=2)
    return best_rank_correlation(activations, factors[generator(rng).permutation(len(factors))])


def random_directions(
    codes: ArrayLike, n_directions: int, rng: Randomness
) -> NDArray[np.floating]:
    """Unit vectors drawn with the covariance of codes: directions like theirs, without structure.

    Parameters
    ----------
    codes : array_like of shape (n_samples, n_features)
        Activation vectors whose covariance the directions take over.
    n_directions : int
        How many.
    rng : int, sequence of int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_directions, n_features)

    Raises
    ------
    ValueError
        If `codes` do not vary.

    Examples
    --------
    >>> codes = np.random.default_rng(0).normal(size=(100, 3)) * [5, 1, 0]
    >>> np.linalg.norm(random_directions(codes, 2, rng=0), axis=1).round(6)
    array([1., 1.])
    """
    n_directions = whole("n_directions", n_directions)
    vectors = gaussian_twin(codes, n_directions, rng, centred=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("codes must vary: constant codes have no direction")
    return vectors / lengths


def gaussian_twin(
    codes: ArrayLike,
    n_samples: int,
    rng: Randomness,
    centred: bool = False,
) -> NDArray[np.floating]:
    """Gaussian vectors with the mean and covariance of codes, and no other structure of theirs.

    Parameters
    ----------
    codes : array_like of shape (n, n_features)
        At least two.
    n_samples : int
        How many vectors to draw.
    rng : int, sequence of int, numpy.random.Generator or None
        Source of randomness.
    centred : bool
        Leave the mean at zero.

    Returns
    -------
    ndarray of shape (n_samples, n_features)
        In the precision of `codes`.

    Raises
    ------
    ValueError
        If `codes` are fewer than two.

    Examples
    --------
    >>> codes = np.random.default_rng(0).exponential(size=(4000, 2)) * [1, 3]
    >>> twin = gaussian_twin(codes, 4000, rng=1)
    >>> np.abs(np.cov(twin.T) - np.cov(codes.T)).max() < 0.6
    np.True_
    """
    codes = as_array("codes", codes, ndim=2)
    if len(codes) < 2:
        raise ValueError(
            f"codes must be at least two rows, or they have no covariance, got {codes.shape}"
        )
    n_samples = whole("n_samples", n_samples)
    mean = codes.mean(axis=0)
    # By the symmetric square root: constant features make the covariance singular, which Cholesky
    # refuses, and the signs of eigenvectors differ from machine to machine.
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False)))
    scale = np.sqrt(np.maximum(variances, 0))
    draws = generator(rng).standard_normal((n_samples, len(scale)))
    twin = ((draws @ axes) * scale) @ axes.T
    return (twin if centred else twin + mean).astype(codes.dtype)


# --- names of directions -------------------------------------------------------------------------


class Naming(NamedTuple):
    """Attributes after which directions are named, see `name_directions`.

    Attributes
    ----------
    attribute : ndarray of int, shape (..., n_directions)
        A column of the table of attributes.
    score : ndarray of shape (..., n_directions)
        How surprising the agreement is, see `enrichment`.
    """

    attribute: NDArray[np.intp]
    score: NDArray[np.floating]


def name_directions(activations: ArrayLike, has: ArrayLike, n_top: int) -> Naming:
    """Name each direction by the attribute in which its top inputs agree most surprisingly.

    Parameters
    ----------
    activations : array_like of shape (..., n_samples, n_directions)
        Component of each input along each direction.
    has : array_like of bool, shape (n_samples, n_attributes)
        Which input has which attribute.
    n_top : int
        Inputs with the largest components that are looked at.

    Returns
    -------
    Naming
        ``attribute`` and ``score``, both of shape (..., n_directions).

    Raises
    ------
    ValueError
        If `has` does not have one row per input.

    Examples
    --------
    >>> has = np.arange(10)[:, None] // 5 == [0, 1]
    >>> name_directions(np.arange(10.0)[:, None] * [1, -1], has, n_top=4).attribute
    array([1, 0])
    """
    top = _top_of(activations, has, n_top)
    score, attribute = enrichment(top, has)
    return Naming(attribute, score)


def precision_at(
    activations: ArrayLike, has: ArrayLike, attribute: ArrayLike, n_top: int
) -> NDArray[np.float64]:
    """Share of the top inputs of each direction that have its attribute, minus the base rate.

    Parameters
    ----------
    activations : array_like of shape (..., n_samples, n_directions)
        On other inputs than those that gave the direction its name.
    has : array_like of bool, shape (n_samples, n_attributes)
        Which input has which attribute.
    attribute : array_like of int, shape (..., n_directions)
        The attribute of each direction, from `name_directions`.
    n_top : int
        Inputs with the largest components that are looked at.

    Returns
    -------
    ndarray of shape (..., n_directions)
        Between minus the base rate (none of them) and one minus the base rate (all).

    Raises
    ------
    ValueError
        If `has` does not have one row per input, or `attribute` one column per direction.

    Examples
    --------
    >>> has = np.arange(10)[:, None] > 4
    >>> precision_at(np.arange(10.0)[:, None], has, [0], n_top=5)
    array([0.5])
    """
    top = _top_of(activations, has, n_top)
    has = _truth_table("has", has)
    attribute = _whole_array("attribute", attribute, has.shape[1])
    if attribute.shape != top.shape[:-1]:
        raise ValueError(
            f"attribute must be one whole number per direction, shape {top.shape[:-1]}, got "
            f"{attribute.shape}"
        )
    hits = has[top, attribute[..., None]]
    return hits.mean(axis=-1) - has.mean(axis=0)[attribute]


# --- reading factors back from pictures ----------------------------------------------------------


class FactorReader:
    """Linear regression from the pixels of a picture to the factors it was drawn from.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width, 3)
        Drawn pictures to learn from, values in [0, 1] or uint8 from 0 to 255.
    factors : pandas.DataFrame, shape (n_samples, n_factors)
        What they were drawn from.
    ridge : float
        Penalty on the squared weights.

    Attributes
    ----------
    names : list of str
        Of the factors.
    reliability : ndarray of shape (n_factors,)
        Correlation of reading and truth on a fifth of the pictures that was kept apart.
    spread : ndarray of shape (n_factors,)
        Standard deviation of the readings of those pictures.

    Notes
    -----
    Pixels are averaged in blocks of two by two. Finer detail does not survive an autoencoder, and
    a reader that relies on it would misread every decoded picture.

    Examples
    --------
    >>> import pandas as pd
    >>> grey = np.random.default_rng(0).random(50)
    >>> images = np.tile(grey[:, None, None, None], (1, 4, 4, 3))
    >>> reader = FactorReader(images, pd.DataFrame({"grey": grey}))
    >>> reader.legible()
    array([ True])
    """

    names: list[str]
    reliability: NDArray[np.floating]
    spread: NDArray[np.floating]

    def __init__(self, images: ArrayLike, factors: pd.DataFrame, ridge: float = 1.0) -> None:
        from sklearn.linear_model import Ridge

        images, ridge = _colour_pictures(images), number("ridge", ridge, 0)
        if len(images) != len(factors) or len(images) < 10:
            raise ValueError(
                "images and factors must have the same length of at least 10, got "
                f"{len(images)} and {len(factors)}"
            )
        self.names = list(factors)
        F = as_array("factors", factors, ndim=2).astype(np.float32)
        learn = len(F) - len(F) // 5
        self._ridge = Ridge(alpha=ridge).fit(_blocks(images[:learn]), F[:learn])
        read = self.read(images[learn:])
        self.spread = read.std(axis=0)
        A, B = read - read.mean(axis=0), F[learn:] - F[learn:].mean(axis=0)
        scale = np.sqrt((A**2).sum(axis=0) * (B**2).sum(axis=0))
        self.reliability = np.divide((A * B).sum(axis=0), scale, out=np.zeros(len(scale)),
                                     where=scale > 0)  # fmt: skip

    def read(self, images: ArrayLike) -> NDArray[np.floating]:
        """Read the factors of pictures.

        Parameters
        ----------
        images : array_like of shape (n_samples, height, width, 3)
            Of the size of those it has learned from.

        Returns
        -------
        ndarray of shape (n_samples, n_factors)
        """
        images = _colour_pictures(images)
        return self._ridge.predict(_blocks(images)).reshape(len(images), -1)

    def legible(self, at_least: float = 0.7) -> NDArray[np.bool_]:
        """Say which factors can be read reliably.

        Parameters
        ----------
        at_least : float
            Correlation of reading and truth that counts as reliable.

        Returns
        -------
        ndarray of bool, shape (n_factors,)
        """
        return self.reliability >= at_least


def measure_portraits(images: ArrayLike) -> pd.DataFrame:
    """Numbers that any portrait has, known factors or not.

    Parameters
    ----------
    images : array_like of shape (n_samples, height, width, 3)
        Red, green and blue in [0, 1], or uint8 from 0 to 255; a face in the middle.

    Returns
    -------
    pandas.DataFrame
        One row per picture: ``brightness``; ``warmth`` (red minus blue); brightness of ``border``,
        ``hair``, ``eyes`` and ``mouth`` (bands across the middle) less that of the whole;
        ``light_side`` (right half minus left); ``light_height`` (upper half minus lower).

    Raises
    ------
    ValueError
        If a side is shorter than 16 pixels.

    Examples
    --------
    >>> black_and_white = np.stack([np.zeros((16, 16, 3)), np.ones((16, 16, 3))])
    >>> measure_portraits(black_and_white)["brightness"].tolist()
    [0.0, 1.0]
    """
    import pandas as pd

    images = _colour_pictures(images)
    if images.dtype == np.uint8:
        images = images / np.float32(255)
    if min(images.shape[1:3]) < 16:
        raise ValueError(f"images must have sides of at least 16 pixels, got {images.shape}")
    grey = images.mean(axis=3)
    height, width = grey.shape[1:]
    whole_face = grey.mean(axis=(1, 2))

    def part(top, bottom, left=0.25, right=0.75):
        rows = slice(round(top * height), round(bottom * height))
        return grey[:, rows, round(left * width) : round(right * width)].mean(axis=(1, 2))

    return pd.DataFrame({
        "brightness": whole_face,
        "warmth": (images[..., 0] - images[..., 2]).mean(axis=(1, 2)),
        "border": (part(0, 1, 0, 0.125) + part(0, 1, 0.875, 1)) / 2 - whole_face,
        "hair": part(0, 0.2) - whole_face,
        "eyes": part(0.35, 0.5) - whole_face,
        "mouth": part(0.65, 0.8) - whole_face,
        "light_side": part(0, 1, 0.5, 1) - part(0, 1, 0, 0.5),
        "light_height": part(0, 0.5, 0, 1) - part(0.5, 1, 0, 1),
    })  # fmt: skip


# --- helpers -------------------------------------------------------------------------------------


def _top_of(activations: ArrayLike, has: ArrayLike, n_top: int) -> NDArray[np.intp]:
    """Top inputs of each direction, where `has` must tell about the same inputs."""
    A = _activations(activations)
    if A.shape[-2] != len(has):
        raise ValueError(f"has must have one row per input, {A.shape[-2]}, got {len(has)}")
    return top_inputs(A, n_top).indices


def _colour_pictures(images: Any) -> NDArray:
    """Pictures in colour; uint8 stays uint8, which takes an eighth of the memory."""
    usual = isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.size
    if not usual:
        is_bytes = str(getattr(images, "dtype", "")).removeprefix("torch.") == "uint8"
        images = as_array("images", images)
        images = images.astype(np.uint8) if is_bytes else images
    if images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"images must have the shape (n_samples, height, width, 3), got {images.shape}"
        )
    return images


def _blocks(images: NDArray) -> NDArray[np.floating]:
    """Means over blocks of two by two pixels, in [0, 1], one row per picture."""
    height, width = (side - side % 2 for side in images.shape[1:3])
    images = images[:, :height, :width]
    rows = images[:, ::2].astype(np.float32) + images[:, 1::2]
    means = (rows[:, :, ::2] + rows[:, :, 1::2]).reshape(len(images), -1) / 4
    return means / 255 if images.dtype == np.uint8 else means


def _standardised_ranks(A: NDArray) -> NDArray[np.float64]:
    import scipy.stats

    ranks = scipy.stats.rankdata(A, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return np.divide(ranks, spread, out=np.zeros_like(ranks), where=spread > 0)
