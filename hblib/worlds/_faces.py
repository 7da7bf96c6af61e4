"""Faces whose making is known, and photographs of real ones through the same call.

A generated face is painted from a table of factors (`FACE_FACTORS`): how far the head is turned,
how dark the hair is, whether it wears glasses. `draw_faces` draws the factors at random and the
pictures from them, `render_faces` paints given factors. The painting is in `_face_renderer`.

`load_faces` gives pictures by the name of their data set (`FACE_SOURCES`), generated or real. Real
pictures come without factors. Nothing is downloaded unless asked for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import scipy.special

from hblib._checks import Randomness, as_array, choice, generator, whole
from hblib.worlds._face_renderer import paint_faces

if TYPE_CHECKING:
    import pandas as pd

MIN_SIZE = 16  # pixels; below this, features fall between the pixels


@dataclass(frozen=True)
class Factor:
    """One thing that varies from face to face.

    Attributes
    ----------
    kind : {"continuous", "binary"}
    low, high : float
        Its range; 0 and 1 for a binary factor.
    description : str
        What the low and the high end look like; left and right are the viewer's.
    group : str
        The part of the picture that it belongs to.
    sideways : bool
        Whether the factor changes its sign when the picture is mirrored.
    probability : float or None
        That a binary factor is present; continuous ones are uniform over their range.
    """

    kind: str
    low: float
    high: float
    description: str
    group: str
    sideways: bool = False
    probability: float | None = None

    @property
    def neutral(self) -> float:
        """Middle of the range, or absence."""
        return 0.0 if self.kind == "binary" else (self.low + self.high) / 2


def _unit(group: str, description: str) -> Factor:
    return Factor("continuous", 0.0, 1.0, description, group)


def _signed(group: str, description: str, sideways: bool = False) -> Factor:
    return Factor("continuous", -1.0, 1.0, description, group, sideways)


def _yes(group: str, probability: float, description: str) -> Factor:
    return Factor("binary", 0.0, 1.0, description, group, probability=probability)


FACE_FACTORS = {
    "pose": _signed("head", "head turned to the left .. to the right", sideways=True),
    "nod": _signed("head", "looking down .. up"),
    "roll": _signed("head", "head leaning to the left .. to the right", sideways=True),
    "face_width": _unit("head", "narrow .. broad face"),
    "face_length": _unit("head", "short .. long face"),
    "jaw": _unit("head", "pointed .. square jaw"),
    "ears": _unit("head", "small .. large ears"),
    "skin": _unit("skin", "light .. dark skin"),
    "blush": _unit("skin", "pale .. rosy cheeks"),
    "forehead": _unit("hair", "low .. high hairline"),
    "bald": _yes("hair", 0.10, "no hair on top"),
    "fringe": _yes("hair", 0.25, "hair over the forehead"),
    "hair_length": _unit("hair", "short .. long hair"),
    "hair_volume": _unit("hair", "flat .. full hair"),
    "hair_waves": _unit("hair", "smooth .. wavy hair"),
    "parting": _signed("hair", "hair falls from the left .. from the right", sideways=True),
    "hair_lightness": _unit("hair", "black .. brown .. blond"),
    "hair_redness": _unit("hair", "no red .. red hair"),
    "grey_hair": _yes("hair", 0.15, "hair, brows and beard are grey"),
    "eyebrow_thickness": _unit("eyes", "thin .. bushy eyebrows"),
    "eyebrow_height": _unit("eyes", "low .. raised eyebrows"),
    "eyebrow_angle": _signed("eyes", "worried .. stern eyebrows"),
    "eye_size": _unit("eyes", "small .. large eyes"),
    "eye_spacing": _unit("eyes", "close .. wide eyes"),
    "eye_openness": _unit("eyes", "nearly shut .. wide open eyes"),
    "eye_lightness": _unit("eyes", "dark brown .. light blue eyes"),
    "gaze": _signed("eyes", "eyes look to the left .. to the right", sideways=True),
    "glasses": _yes("eyes", 0.25, "spectacles"),
    "sunglasses": _yes("eyes", 0.12, "sunglasses; excludes glasses"),
    "nose_length": _unit("nose", "short .. long nose"),
    "nose_width": _unit("nose", "narrow .. broad nose"),
    "smile": _signed("mouth", "corners of the mouth down .. up"),
    "mouth_open": _unit("mouth", "closed .. open mouth"),
    "mouth_width": _unit("mouth", "narrow .. broad mouth"),
    "lips": _unit("mouth", "thin .. full lips"),
    "lipstick": _yes("mouth", 0.30, "red lips"),
    "beard": _yes("mouth", 0.22, "beard over cheeks and chin"),
    "moustache": _yes("mouth", 0.22, "moustache"),
    "light": _signed("light", "light from the left .. from the right", sideways=True),
    "light_height": _signed("light", "light from below .. from above"),
    "light_contrast": _unit("light", "soft .. hard light"),
    "background_lightness": _unit("background", "dark .. light background"),
    "background_warmth": _signed("background", "blue .. orange background"),
    "background_slope": _signed("background", "lighter on the left .. right", sideways=True),
    "clothes_lightness": _unit("background", "dark .. light clothes"),
    "clothes_warmth": _signed("background", "green .. red clothes"),
}

# Loadings of the factors on causes that nobody sees directly: how masculine a face is made up, how
# old it is, how far south its family comes from. The rest of each factor's variance is its own. The
# last two entries are not facts about people but about photographs.
FACE_CORRELATIONS = {
    "masculine": {
        "beard": 0.85, "moustache": 0.80, "lipstick": -0.85, "hair_length": -0.80, "jaw": 0.65,
        "face_width": 0.40, "eyebrow_thickness": 0.70, "bald": 0.65, "lips": -0.45,
        "eye_size": -0.35, "nose_width": 0.30, "blush": -0.40, "hair_volume": -0.45,
        "fringe": -0.35, "eyebrow_height": -0.30, "smile": -0.25,
    },
    "age": {
        "grey_hair": 0.90, "bald": 0.45, "glasses": 0.55, "forehead": 0.45, "eye_openness": -0.40,
        "fringe": -0.30, "ears": 0.40, "hair_volume": -0.30, "nose_length": 0.30, "blush": -0.25,
    },
    "southern": {
        "skin": 0.90, "hair_lightness": -0.85, "eye_lightness": -0.85, "hair_redness": -0.45,
        "hair_waves": 0.40, "lips": 0.35, "nose_width": 0.40,
    },
    "good humour": {"smile": 0.80, "mouth_open": 0.70, "eye_openness": -0.30, "mouth_width": 0.40},
    "attention": {"pose": 0.75, "gaze": 0.75},
    "sunshine": {
        "sunglasses": 0.60, "light_contrast": 0.60, "light_height": 0.50,
        "background_lightness": 0.50,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Faces:
    """Pictures and what they were made from.

    Attributes
    ----------
    images : numpy.ndarray, shape (n, size, size, 3)
        Red, green and blue, float32 in [0, 1] unless asked for as uint8.
    factors : pandas.DataFrame or None
        Rows are faces, columns are the factors of `FACE_FACTORS`; binary ones are bool. Of
        photographs what is known about them, or None.
    """

    images: np.ndarray
    factors: pd.DataFrame | None


# --- generated faces -----------------------------------------------------------------------------


def draw_faces(
    n: int,
    rng: Randomness,
    correlated: bool = True,
    size: int = 48,
    dtype: type = np.float32,
) -> Faces:
    """Draw faces at random.

    Parameters
    ----------
    n : int
        How many.
    rng : int, numpy.random.Generator or None
        Source of randomness.
    correlated : bool, optional
        Let factors go together as in life (see `draw_face_factors`).
    size : int, optional
        Height and width of the pictures, in pixels, at least 16.
    dtype : {numpy.float32, numpy.uint8}, optional
        Of the pictures, see `render_faces`.

    Returns
    -------
    Faces

    Examples
    --------
    >>> faces = draw_faces(5, rng=0)
    >>> faces.images.shape, bool(faces.factors["beard"][0])
    ((5, 48, 48, 3), False)
    """
    size = whole("size", size, least=MIN_SIZE)
    factors = draw_face_factors(n, rng, correlated)
    return Faces(render_faces(factors, size, dtype), factors)


def draw_face_factors(n: int, rng: Randomness, correlated: bool = True) -> pd.DataFrame:
    """Draw the factors of faces, without the pictures.

    Every factor has the same distribution in both settings: continuous ones are uniform, binary
    ones have the probability of their entry in `FACE_FACTORS` (for glasses, minus the share of
    faces that wear sunglasses instead). What `correlated` changes is how they go together: through
    a Gaussian copula with the loadings of `FACE_CORRELATIONS`, or not at all.

    Parameters
    ----------
    n : int
        How many faces.
    rng : int, numpy.random.Generator or None
        Source of randomness.
    correlated : bool, optional
        Whether factors go together, beards with moustaches and grey hair with age.

    Returns
    -------
    pandas.DataFrame
        Shape (n, 46).

    Examples
    --------
    >>> factors = draw_face_factors(1000, rng=0)
    >>> bool(factors["beard"].corr(factors["lipstick"]) < -0.2)
    True
    """
    import pandas as pd

    n, rng = whole("n", n), generator(rng)
    names = list(FACE_FACTORS)
    z = rng.standard_normal((n, len(names)))
    causes = rng.standard_normal((n, len(FACE_CORRELATIONS)))
    if correlated:
        loadings = pd.DataFrame(FACE_CORRELATIONS).reindex(names).fillna(0.0).to_numpy()
        own = 1 - (loadings**2).sum(axis=1)
        z = causes @ loadings.T + np.sqrt(own) * z
    uniform = scipy.special.ndtr(z)
    table = {}
    for column, (name, factor) in zip(uniform.T, FACE_FACTORS.items()):
        if factor.kind == "binary":
            table[name] = column > 1 - factor.probability
        else:
            table[name] = factor.low + (factor.high - factor.low) * column
    table["glasses"] &= ~table["sunglasses"]
    return pd.DataFrame(table)


def render_faces(
    factors: pd.DataFrame | Mapping, size: int = 48, dtype: type = np.float32
) -> np.ndarray:
    """Paint the pictures of given factors.

    Parameters
    ----------
    factors : pandas.DataFrame or dict of array_like, shape (n,)
        Columns named as in `FACE_FACTORS`; those left out take the middle of their range, binary
        ones False.
    size : int, optional
        Height and width of the pictures, in pixels, at least 16.
    dtype : {numpy.float32, numpy.uint8}, optional
        Real numbers in [0, 1], or whole ones from 0 to 255 in a quarter of the memory.

    Returns
    -------
    numpy.ndarray, shape (n, size, size, 3)
        Red, green and blue.

    Raises
    ------
    ValueError
        If a factor is unknown or out of its range, or the columns differ in length.

    Examples
    --------
    >>> frown, smile = render_faces({"smile": [-1, 1]})
    >>> smile.shape, bool(np.abs(frown - smile).max() > 0.2)
    ((48, 48, 3), True)
    """
    size = whole("size", size, least=MIN_SIZE)
    if dtype not in (np.float32, np.uint8):
        raise ValueError(f"dtype must be numpy.float32 or numpy.uint8, got {dtype!r}")
    table = _full_table(factors)
    images = np.empty((len(table["pose"]), size, size, 3), dtype=dtype)
    for rows, painted in paint_faces(table, size):
        images[rows] = painted if dtype == np.float32 else np.rint(255 * painted)
    return images


def mirror_factors(factors: pd.DataFrame) -> pd.DataFrame:
    """Return the factors of the mirrored pictures: those that point sideways change their sign.

    Parameters
    ----------
    factors : pandas.DataFrame
        Columns named as in `FACE_FACTORS`.

    Returns
    -------
    pandas.DataFrame
        ``render_faces(mirror_factors(factors))`` equals ``render_faces(factors)[:, :, ::-1]`` up to
        rounding.

    Examples
    --------
    >>> factors = draw_face_factors(3, rng=0)
    >>> bool((mirror_factors(factors)["pose"] == -factors["pose"]).all())
    True
    """
    _check_names(factors)
    sideways = [name for name in factors if FACE_FACTORS[name].sideways]
    return factors.assign(**{name: -factors[name] for name in sideways})


def _check_names(factors: pd.DataFrame | Mapping) -> None:
    if not hasattr(factors, "keys"):
        raise ValueError(
            f"factors must be a table or a dict with names of FACE_FACTORS, got {type(factors)}"
        )
    unknown = sorted(map(str, set(factors.keys()) - set(FACE_FACTORS)))
    if unknown:
        raise ValueError(f"factors must have names of FACE_FACTORS, got {', '.join(unknown)}")


def _full_table(factors: pd.DataFrame | Mapping) -> dict[str, np.ndarray]:
    """Return a column of float32 for every factor, given ones checked against their range."""
    _check_names(factors)
    given = {
        name: np.atleast_1d(as_array(name, factors[name], finite=False)).astype(np.float32)
        for name in factors
    }
    lengths = {column.shape for column in given.values()}
    if len(lengths) != 1 or len(next(iter(lengths))) != 1:
        raise ValueError(f"factors must be columns of one length, got the shapes {sorted(lengths)}")
    (n,) = lengths.pop()
    table = {}
    for name, factor in FACE_FACTORS.items():
        column = given.get(name)
        if column is None:
            column = np.full(n, factor.neutral, dtype=np.float32)
        elif not ((column >= factor.low) & (column <= factor.high)).all():
            raise ValueError(
                f"{name} must lie between {factor.low:g} and {factor.high:g}, got values from "
                f"{column.min():g} to {column.max():g}"
            )
        table[name] = column
    return table


# --- real faces ----------------------------------------------------------------------------------

# Names of `load_faces`, and what stands under them.
FACE_SOURCES = {
    "generated": {
        "title": "Generated faces",
        "size": "as many as asked for, in colour, with 46 known factors",
        "source": "drawn by hblib with a seed",
        "licence": "MIT",
    },
    "lfw_subset": {
        "title": "A sample of Labeled Faces in the Wild",
        "size": "100 faces of 25 x 25 pixels in grey",
        "source": "G. B. Huang et al. (2007), University of Massachusetts Amherst, technical "
        "report 07-49; the sample bundled with scikit-image",
        "licence": "research use; the photographs belong to their makers",
    },
    "olivetti": {
        "title": "Olivetti faces",
        "size": "400 faces of 40 people, 64 x 64 pixels in grey",
        "source": "AT&T Laboratories Cambridge (1992 to 1994); downloaded by scikit-learn, 4 MB, "
        "with a checksum",
        "licence": "research use, credit to AT&T Laboratories Cambridge",
    },
    "lfw": {
        "title": "Labeled Faces in the Wild",
        "size": "13,233 faces of 5,749 people, 125 x 125 pixels in colour",
        "source": "G. B. Huang et al. (2007); downloaded by scikit-learn, 233 MB, with a checksum",
        "licence": "research use; the photographs belong to their makers",
    },
    "celeba": {
        "title": "CelebA",
        "size": "202,599 faces of 10,177 people, 178 x 218 pixels in colour",
        "source": "Z. Liu et al. (2015), Deep learning face attributes in the wild; downloaded by "
        "torchvision, 1.4 GB, with a checksum",
        "licence": "non-commercial research",
    },
}


def load_faces(
    name: str,
    n: int | None = None,
    rng: Randomness = 0,
    size: int = 48,
    correlated: bool = True,
    download: bool = False,
    folder: str | os.PathLike | None = None,
) -> Faces:
    """Pictures of faces by the name of their data set.

    Parameters
    ----------
    name : str
        A key of `FACE_SOURCES`.
    n : int, optional
        How many, taken at random without repetition; by default all there are. Generated faces
        need it.
    rng : int, numpy.random.Generator or None, optional
        Source of randomness.
    size : int, optional
        Height and width that the pictures are brought to, in pixels, at least 16.
    correlated : bool, optional
        For generated faces, see `draw_faces`.
    download : bool, optional
        Fetch a data set that is not on this computer yet.
    folder : str or path, optional
        Where the data set is, or is to be kept; by default where scikit-learn keeps its own. For
        Olivetti also a folder with the original file ``olivettifaces.mat``; for CelebA one with
        ``celeba/list_attr_celeba.txt`` and the pictures in ``celeba/img_align_celeba``.

    Returns
    -------
    Faces
        Grey pictures have three equal colours. The factors of CelebA are its 40 attributes, bool;
        nothing is known about other photographs.

    Raises
    ------
    OSError
        If the data set is not on this computer, or cannot be downloaded.
    ImportError
        If CelebA is to be downloaded without torchvision.
    ValueError
        If the name is unknown, or `n` exceeds the number of faces there are.

    Examples
    --------
    >>> load_faces("lfw_subset", n=12, size=32).images.shape
    (12, 32, 32, 3)
    """
    choice("name", name, FACE_SOURCES)
    size = whole("size", size, least=MIN_SIZE)
    if name == "generated":
        return draw_faces(n, rng, correlated, size)
    if n is not None:
        n = whole("n", n)
    found = _READERS[name](n, generator(rng), size, download, folder)
    return found if isinstance(found, Faces) else Faces(found, None)


# Each of them gives pictures, float32 of shape (n, size, size, 3), or Faces.


def _read_lfw_subset(n, rng, size, download, folder):
    from skimage.data import lfw_subset

    # The first half are faces, the second half pictures of other things.
    return _resize(_choose(lfw_subset()[:100], n, rng), size)


def _read_olivetti(n, rng, size, download, folder):
    import scipy.io
    import sklearn.datasets

    original = None if folder is None else Path(folder) / "olivettifaces.mat"
    if original is not None and original.exists():
        flat = scipy.io.loadmat(original)["faces"].T
        images = flat.reshape(-1, 64, 64).transpose(0, 2, 1) / np.float32(255)
    else:
        with _clear_failure("olivetti", download):
            images = sklearn.datasets.fetch_olivetti_faces(
                data_home=folder, download_if_missing=download
            ).images
    return _resize(_choose(images, n, rng), size)


def _read_lfw(n, rng, size, download, folder):
    import sklearn.datasets

    # A square around the face, in the frame of 250 x 250 pixels.
    square = (slice(70, 195), slice(62, 187))
    with _clear_failure("lfw", download):
        images = sklearn.datasets.fetch_lfw_people(
            data_home=folder, download_if_missing=download, color=True, slice_=square,
            resize=min(1.0, size / 125),
        ).images  # fmt: skip
    return _resize(_choose(images, n, rng), size)


def _read_celeba(n, rng, size, download, folder):
    import pandas as pd
    from PIL import Image

    if folder is None:
        from sklearn.datasets import get_data_home

        folder = get_data_home()
    if download:
        _fetch_celeba(folder)
    home = Path(folder) / "celeba"
    with _clear_failure("celeba", download):
        # A line with the number of pictures, one with the attributes, then 1 or -1 for each.
        table = pd.read_csv(home / "list_attr_celeba.txt", sep=r"\s+", skiprows=1)
        table = table.iloc[_choose(np.arange(len(table)), n, rng)]
        images = np.empty((len(table), size, size, 3), dtype=np.float32)
        for image, name in zip(images, table.index):
            picture = Image.open(home / "img_align_celeba" / name)
            # The square of 148 pixels that the literature crops, scaled by the image library.
            square = picture.crop((15, 40, 163, 188)).resize((size, size), resample=1)
            image[:] = np.asarray(square, dtype=np.float32) / 255
    return Faces(images, (table == 1).reset_index(drop=True))


def _fetch_celeba(folder):
    try:
        from torchvision.datasets import CelebA
    except ImportError:
        raise ImportError(
            "to download celeba the package torchvision is needed, which is not installed: "
            "pip install torchvision"
        ) from None
    with _clear_failure("celeba", True):
        CelebA(folder, split="all", download=True)


_READERS = {
    "lfw_subset": _read_lfw_subset,
    "olivetti": _read_olivetti,
    "lfw": _read_lfw,
    "celeba": _read_celeba,
}


@contextlib.contextmanager
def _clear_failure(name: str, download: bool) -> Iterator[None]:
    """Say in one sentence what to do about a data set that cannot be had."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        if download:
            message = f"{name} could not be downloaded, is this computer offline? ({error})"
        else:
            message = f"{name} is not on this computer: pass download=True to fetch it"
        raise OSError(message) from error


def _choose(images: np.ndarray, n: int | None, rng: np.random.Generator) -> np.ndarray:
    if n is None:
        return images
    if n > len(images):
        raise ValueError(f"n must be at most the {len(images):,} there are, got {n:,}")
    return images[rng.choice(len(images), n, replace=False)]


def _resize(images: np.ndarray, size: int) -> np.ndarray:
    """Bring pictures to squares of `size` pixels in three colours."""
    from skimage.transform import resize

    if images.shape[1:3] != (size, size):
        shape = (len(images), size, size, *images.shape[3:])
        images = resize(images, shape, order=1, anti_aliasing=images.shape[1] > size)
    if images.ndim == 3:
        images = np.repeat(images[..., None], 3, axis=-1)
    return np.clip(images, 0, 1).astype(np.float32)
