"""Letters of many typefaces: pictures larger than the digits, with attributes that are known.

Every picture shows one letter in one of 21 faces, a little larger or smaller, moved and turned. The
faces come with matplotlib, so every machine draws the same pictures, whatever fonts it has.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hblib._checks import Randomness, generator, whole

if TYPE_CHECKING:
    import pandas as pd

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Face(NamedTuple):
    """A typeface: its file among matplotlib's fonts, and what is known of it."""

    file: str
    serif: bool = False
    bold: bool = False
    slanted: bool = False
    monospace: bool = False


FACES = (
    Face("DejaVuSans"),
    Face("DejaVuSans-Bold", bold=True),
    Face("DejaVuSans-Oblique", slanted=True),
    Face("DejaVuSans-BoldOblique", bold=True, slanted=True),
    Face("DejaVuSansMono", monospace=True),
    Face("DejaVuSansMono-Bold", bold=True, monospace=True),
    Face("DejaVuSansMono-Oblique", slanted=True, monospace=True),
    Face("DejaVuSansMono-BoldOblique", bold=True, slanted=True, monospace=True),
    Face("DejaVuSerif", serif=True),
    Face("DejaVuSerif-Bold", serif=True, bold=True),
    Face("DejaVuSerif-Italic", serif=True, slanted=True),
    Face("DejaVuSerif-BoldItalic", serif=True, bold=True, slanted=True),
    Face("STIXGeneral", serif=True),
    Face("STIXGeneralBol", serif=True, bold=True),
    Face("STIXGeneralItalic", serif=True, slanted=True),
    Face("STIXGeneralBolIta", serif=True, bold=True, slanted=True),
    Face("cmr10", serif=True),
    Face("cmb10", serif=True, bold=True),
    Face("cmti10", serif=True, slanted=True),
    Face("cmss10"),
    Face("cmtt10", serif=True, monospace=True),
)
HEIGHTS = (0.45, 0.65)  # of a capital, as a share of the picture
SHIFT = 0.08  # largest, as a share of the picture
TURN = 8.0  # largest, degrees
GREYS = (0.7, 1.0)  # of the strokes
_CAPITAL = 0.72  # height of a capital, as a share of a font's size; roughly, over these faces


@dataclass(frozen=True)
class Letters:
    """Pictures of letters, with all that is known of each.

    Attributes
    ----------
    X : numpy.ndarray of float64, shape (n_letters, size * size)
        Rows are samples, columns are pixels, from 0 (paper) to 1.
    images : numpy.ndarray of float64, shape (n_letters, size, size)
        The same as pictures.
    labels : numpy.ndarray of int, shape (n_letters,)
        Which of `names` each picture shows.
    names : str
        The letters.
    faces : numpy.ndarray of int, shape (n_letters,)
        Which of the typefaces.
    attributes : pandas.DataFrame of float64, shape (n_letters, 9)
        ``serif``, ``bold``, ``slanted`` and ``monospace`` (0 or 1), ``height`` (of a capital, in
        pixels), ``right`` and ``down`` (shift, in pixels), ``turn`` (counter-clockwise, in
        degrees) and ``grey`` of the strokes.
    """

    X: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    names: str
    faces: np.ndarray
    attributes: pd.DataFrame

    def __len__(self) -> int:
        return len(self.labels)


def draw_letters(n: int, rng: Randomness, names: str = LETTERS, size: int = 28) -> Letters:
    """Draw letters of 21 typefaces at random.

    Parameters
    ----------
    n : int
        How many; letter and typeface of each are drawn independently and uniformly.
    rng : int, numpy.random.Generator or None
        Source of randomness.
    names : str, optional
        The letters to draw from, at least two different ones of A to Z and a to z.
    size : int, optional
        Height and width of a picture in pixels, at least 12.

    Returns
    -------
    Letters

    Raises
    ------
    ValueError
        If a size is too small or the letters are not letters.

    Examples
    --------
    >>> letters = draw_letters(500, rng=0)
    >>> letters.images.shape, letters.names[letters.labels[0]]
    ((500, 28, 28), 'W')
    >>> round(float(letters.attributes["serif"].mean()), 2)
    0.6
    """
    import pandas as pd  # here, since it takes long to import

    n, size = whole("n", n), whole("size", size, least=12)
    if not (
        isinstance(names, str)
        and len(set(names)) == len(names) >= 2
        and names.isascii()
        and names.isalpha()
    ):
        raise ValueError(
            f"names must be at least two different letters of A to Z and a to z, got {names!r}"
        )
    rng = generator(rng)
    labels, faces = rng.integers(len(names), size=n), rng.integers(len(FACES), size=n)
    height = size * rng.uniform(*HEIGHTS, size=n)
    right, down = size * rng.uniform(-SHIFT, SHIFT, size=(2, n))
    turn, grey = rng.uniform(-TURN, TURN, size=n), rng.uniform(*GREYS, size=n)
    images = np.stack([
        _picture(names[label], face, size, *place)
        for label, face, *place in zip(labels, faces, height, right, down, turn)
    ])
    images = images * (grey[:, None, None] / 255)
    attributes = pd.DataFrame(
        {
            **{name: [getattr(FACES[face], name) for face in faces] for name in Face._fields[1:]},
            "height": height, "right": right, "down": down, "turn": turn, "grey": grey,
        },
        dtype=float,
    )  # fmt: skip
    return Letters(images.reshape(n, -1), images, labels, names, faces, attributes)


def _picture(letter, face, size, height, right, down, turn):
    """One letter in 256 levels, its middle in the middle of the picture and then shifted."""
    from PIL import Image, ImageDraw

    # In steps of an eighth of a pixel, so that few sizes of each face are ever opened.
    font = _font(FACES[face].file, round(8 * height / _CAPITAL) / 8)
    left, top, edge, bottom = font.getbbox(letter, anchor="ls")
    middle = (size - left - edge) / 2, (size - top - bottom) / 2
    picture = Image.new("L", (size, size))
    ImageDraw.Draw(picture).text(middle, letter, fill=255, font=font, anchor="ls")
    turned = picture.rotate(turn, Image.Resampling.BICUBIC, translate=(right, down))
    return np.asarray(turned)


@functools.lru_cache(maxsize=4096)
def _font(file, size):
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{file}.ttf")
    # Pillow's own layout: the other needs a library that not every machine has.
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)
