"""What a direction has to do with what is known about the inputs, and whether a picture shows it.

Three questions, for inputs whose making is known (a table of *factors*, one row an input):

- Does a direction go with a factor? `rank_correlations` of the components along it, and the
  largest of them, `best_match`. Many factors give many chances, so `shuffled_match` says what the
  largest correlation is when the factors are dealt out to the inputs at random.
- Does it find inputs with a *trait*? `trait_table` turns factors into traits, yes or no;
  `name_by_top` names a direction by the trait in which its top inputs agree most surprisingly, and
  `precision_at` says how many top inputs of *other* data have that trait.
- Does a changed picture show a changed factor? `FactorReader` reads factors back from pixels. It
  learns from drawn pictures only, so what it says about decoded ones is independent of whatever
  decoded them.

Photographs have no factors; `measurements` of their pixels can stand in.
"""

import numpy as np
import pandas as pd
import scipy.stats
from sklearn.linear_model import Ridge

from hblib.meaning import _attributes as attributes

# --- directions and factors ----------------------------------------------------------------------


def rank_correlations(components, factors):
    """Spearman's correlation of every direction with every factor.

    Parameters
    ----------
    components : array_like, (n_samples, n_directions)
        Component of each input along each direction.
    factors : pandas.DataFrame or array_like, (n_samples, n_factors)

    Returns
    -------
    numpy.ndarray, (n_directions, n_factors)
        0 for a direction or a factor that does not vary.

    Examples
    --------
    >>> rank_correlations([[1.0], [2.0], [9.0]], [[0, 5], [1, 4], [2, 3]])
    array([[ 1., -1.]])
    """
    components, factors = _pair(components, factors)
    A, B = _standardised_ranks(components), _standardised_ranks(factors)
    return A.T @ B / len(A)


def best_match(components, factors):
    """Largest |rank correlation| of each direction with a factor, (n_directions,)."""
    return np.abs(rank_correlations(components, factors)).max(axis=1)


def shuffled_match(components, factors, rng):
    """`best_match` with the factors dealt out to the inputs at random: what chance alone gives.

    Parameters
    ----------
    components : array_like, (n_samples, n_directions)
    factors : array_like, (n_samples, n_factors)
        Shuffled as whole rows, so that their own correlations stay.
    rng : numpy.random.Generator or int

    Returns
    -------
    numpy.ndarray, (n_directions,)

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> F = rng.random((500, 3))
    >>> bool(best_match(F, F).min() > 0.99), bool(shuffled_match(F, F, rng).max() < 0.2)
    (True, True)
    """
    factors = np.asarray(factors)
    return best_match(components, factors[np.random.default_rng(rng).permutation(len(factors))])


def random_directions(codes, n_directions, rng):
    """Unit vectors drawn with the covariance of codes: directions like theirs, without structure.

    Parameters
    ----------
    codes : array_like, (n_samples, n_features)
    n_directions : int
    rng : numpy.random.Generator or int

    Returns
    -------
    numpy.ndarray, (n_directions, n_features)
    """
    vectors = gaussian_twin(codes, n_directions, rng, centred=True)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("codes must vary: constant codes have no direction")
    return vectors / lengths


def gaussian_twin(codes, n_samples, rng, centred=False):
    """Gaussian vectors with the mean and covariance of codes, and no other structure of theirs.

    Parameters
    ----------
    codes : array_like, (n, n_features)
    n_samples : int
    rng : numpy.random.Generator or int
    centred : bool
        Leave the mean at zero.

    Returns
    -------
    numpy.ndarray, (n_samples, n_features)
        Of the data type of `codes`.

    Examples
    --------
    >>> codes = np.random.default_rng(0).exponential(size=(4000, 2)) * [1, 3]
    >>> twin = gaussian_twin(codes, 4000, rng=1)
    >>> np.abs(np.cov(twin.T) - np.cov(codes.T)).max() < 0.6
    np.True_
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or len(codes) < 2 or not np.isfinite(codes).all():
        raise ValueError(
            "codes must be finite and of the shape (n, n_features) with n at least 2, got the "
            f"shape {codes.shape}"
        )
    mean = codes.mean(axis=0)
    # By the symmetric square root: constant features make the covariance singular, which Cholesky
    # refuses, and the signs of eigenvectors differ from machine to machine.
    variances, axes = np.linalg.eigh(np.atleast_2d(np.cov(codes, rowvar=False)))
    scale = np.sqrt(np.maximum(variances, 0))
    draws = np.random.default_rng(rng).standard_normal((n_samples, len(scale)))
    twin = ((draws @ axes) * scale) @ axes.T
    kind = codes.dtype if codes.dtype.kind == "f" else float
    return (twin if centred else twin + mean).astype(kind)


# --- traits --------------------------------------------------------------------------------------


def trait_table(factors):
    """Factors as traits that an input has or has not.

    Parameters
    ----------
    factors : pandas.DataFrame, (n_samples, n_factors)
        A bool column gives one trait, presence; any other gives two, its lowest and its highest
        third.

    Returns
    -------
    names : list of str
        For example ``"beard"``, ``"low smile"``, ``"high smile"``.
    has : numpy.ndarray of bool, (n_samples, n_traits)

    Examples
    --------
    >>> names, has = trait_table(pd.DataFrame({"beard": [True, False, True], "smile": [1, 2, 3]}))
    >>> names, has.sum(axis=0)
    (['beard', 'low smile', 'high smile'], array([2, 1, 1]))
    """
    columns = {}
    for name, values in factors.items():
        if values.dtype == bool:
            columns[name] = values.to_numpy()
        else:
            low, high = np.quantile(values, [1 / 3, 2 / 3])
            columns |= {f"low {name}": (values < low).to_numpy()}
            columns |= {f"high {name}": (values > high).to_numpy()}
    return list(columns), np.stack(list(columns.values()), axis=1)


def name_by_top(components, has, n_top):
    """Name each direction by the trait in which its top inputs agree most surprisingly.

    Parameters
    ----------
    components : array_like, (n_samples, n_directions)
    has : array_like of bool, (n_samples, n_traits)
    n_top : int
        Inputs with the largest components that are looked at.

    Returns
    -------
    trait : numpy.ndarray of int, (n_directions,)
    score : numpy.ndarray, (n_directions,)
        See `hblib.attributes.agreement`.
    """
    score, trait = attributes.agreement(_top(components, n_top), has)
    return trait, score


def precision_at(components, has, trait, n_top):
    """Share of the top inputs of each direction that have its trait, minus the trait's base rate.

    Parameters
    ----------
    components : array_like, (n_samples, n_directions)
        On other inputs than those that gave the direction its name.
    has : array_like of bool, (n_samples, n_traits)
    trait : array_like of int, (n_directions,)
    n_top : int

    Returns
    -------
    numpy.ndarray, (n_directions,)
        Between minus the base rate (none of them) and one minus the base rate (all).

    Examples
    --------
    >>> has = np.arange(10)[:, None] > 4
    >>> precision_at(np.arange(10.0)[:, None], has, [0], n_top=5)
    array([0.5])
    """
    top = _top(components, n_top)
    has, trait = attributes._yes_or_no(has), np.asarray(trait)
    if len(has) != len(components):
        raise ValueError(f"has must have a row an input, {len(components)}, got {len(has)}")
    whole = np.issubdtype(trait.dtype, np.integer) and trait.shape == top.shape[:1]
    if not (whole and ((trait >= 0) & (trait < has.shape[1])).all()):
        raise ValueError(
            f"trait must be one whole number from 0 to {has.shape[1] - 1} a direction, got {trait}"
        )
    hits = has[top, trait[:, None]]
    return hits.mean(axis=1) - has.mean(axis=0)[trait]


# --- reading factors back from pictures ----------------------------------------------------------


class FactorReader:
    """Linear regression from the pixels of a picture to the factors it was drawn from.

    Parameters
    ----------
    images : array, (n, height, width, 3)
        Drawn pictures to learn from, values in [0, 1] or uint8 from 0 to 255.
    factors : pandas.DataFrame, (n, n_factors)
    ridge : float
        Penalty on the squared weights.

    Attributes
    ----------
    names : list of str
    reliability : numpy.ndarray, (n_factors,)
        Correlation of reading and truth on a fifth of the pictures that was kept apart.
    spread : numpy.ndarray, (n_factors,)
        Standard deviation of the readings of those pictures.

    Notes
    -----
    Pixels are averaged in blocks of two by two. Finer detail does not survive an autoencoder, and
    a reader that relies on it would misread every decoded picture.
    """

    def __init__(self, images, factors, ridge=1.0):
        if len(images) != len(factors) or len(images) < 10:
            raise ValueError(
                "images and factors must have the same length of at least 10, got "
                f"{len(images)} and {len(factors)}"
            )
        self.names = list(factors)
        F = factors.to_numpy(dtype=np.float32)
        learn = len(F) - len(F) // 5
        self._ridge = Ridge(alpha=ridge).fit(_blocks(images[:learn]), F[:learn])
        read = self.read(images[learn:])
        self.spread = read.std(axis=0)
        A, B = read - read.mean(axis=0), F[learn:] - F[learn:].mean(axis=0)
        scale = np.sqrt((A**2).sum(axis=0) * (B**2).sum(axis=0))
        self.reliability = np.divide((A * B).sum(axis=0), scale, out=np.zeros(len(scale)),
                                     where=scale > 0)  # fmt: skip

    def read(self, images):
        """Readings of pictures (n, height, width, 3), as an array (n, n_factors)."""
        return self._ridge.predict(_blocks(images)).reshape(len(images), -1)

    def legible(self, at_least=0.7):
        """Whether each factor is read with such a correlation, bool array (n_factors,)."""
        return self.reliability >= at_least


def measurements(images):
    """Numbers that any portrait has, known factors or not.

    Parameters
    ----------
    images : array, (n, height, width, 3)
        Red, green and blue in [0, 1], a face in the middle.

    Returns
    -------
    pandas.DataFrame
        One row a picture: ``brightness``; ``warmth`` (red minus blue); brightness of ``border``,
        ``hair``, ``eyes`` and ``mouth`` (bands across the middle) less that of the whole;
        ``light_side`` (right half minus left); ``light_height`` (upper half minus lower).

    Examples
    --------
    >>> black_and_white = np.stack([np.zeros((16, 16, 3)), np.ones((16, 16, 3))])
    >>> measurements(black_and_white)["brightness"].tolist()
    [0.0, 1.0]
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[3] != 3 or min(images.shape[1:3]) < 16:
        raise ValueError(
            "images must have the shape (n, height, width, 3) with sides of at least 16 pixels, "
            f"got {images.shape}"
        )
    grey = images.mean(axis=3)
    height, width = grey.shape[1:]
    whole = grey.mean(axis=(1, 2))

    def part(top, bottom, left=0.25, right=0.75):
        rows = slice(round(top * height), round(bottom * height))
        return grey[:, rows, round(left * width) : round(right * width)].mean(axis=(1, 2))

    return pd.DataFrame({
        "brightness": whole,
        "warmth": (images[..., 0] - images[..., 2]).mean(axis=(1, 2)),
        "border": (part(0, 1, 0, 0.125) + part(0, 1, 0.875, 1)) / 2 - whole,
        "hair": part(0, 0.2) - whole,
        "eyes": part(0.35, 0.5) - whole,
        "mouth": part(0.65, 0.8) - whole,
        "light_side": part(0, 1, 0.5, 1) - part(0, 1, 0, 0.5),
        "light_height": part(0, 0.5, 0, 1) - part(0.5, 1, 0, 1),
    })  # fmt: skip


# --- helpers -------------------------------------------------------------------------------------


def _top(components, n_top):
    """The inputs with the largest component along each direction, (n_directions, n_top)."""
    components = np.asarray(components)
    if components.ndim != 2 or not 1 <= n_top <= len(components):
        raise ValueError(
            "components must be a table with one row an input and n_top lie between 1 and their "
            f"number, got the shape {components.shape} and {n_top!r}"
        )
    if not np.isfinite(components).all():
        raise ValueError("components contain values that are not finite (NaN or infinity)")
    # Along an atom most components are zero. A stable sort passes over such runs; partitioning, as
    # in `attributes.top_inputs`, takes ten times as long where so many are equal.
    return np.argsort(-components.T, axis=1, kind="stable")[:, :n_top]


def _blocks(images):
    """Means over blocks of two by two pixels, in [0, 1], one row a picture."""
    height, width = (side - side % 2 for side in images.shape[1:3])
    images = images[:, :height, :width]
    rows = images[:, ::2].astype(np.float32) + images[:, 1::2]
    means = (rows[:, :, ::2] + rows[:, :, 1::2]).reshape(len(images), -1) / 4
    return means / 255 if images.dtype == np.uint8 else means


def _standardised_ranks(A):
    ranks = scipy.stats.rankdata(A, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = ranks.std(axis=0)
    return np.divide(ranks, spread, out=np.zeros_like(ranks), where=spread > 0)


def _pair(components, factors):
    components, factors = np.asarray(components), np.asarray(factors, dtype=float)
    if components.ndim != 2 or factors.ndim != 2 or len(components) != len(factors):
        raise ValueError(
            "components and factors must be tables with one row an input, got the shapes "
            f"{components.shape} and {factors.shape}"
        )
    for name, table in (("components", components), ("factors", factors)):
        if not np.isfinite(table).all():
            raise ValueError(f"{name} contain values that are not finite (NaN or infinity)")
    return components, factors
