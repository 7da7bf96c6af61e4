"""Comparing pictures, and laying many small ones out as one.

Pictures have the shape ``(..., height, width, 3)``: red, green and blue. Floating-point numbers run
from 0 to 1, uint8 from 0 to 255, uint16 from 0 to 65,535.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from hblib._checks import as_array, number, whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WHITE = {"uint8": 255, "uint16": 65_535, "bool": 1}


def _dtype_name(pictures: ArrayLike) -> str:
    dtype = getattr(pictures, "dtype", None)  # of arrays and of tensors, which need not be on a CPU
    return str(np.asarray(pictures).dtype if dtype is None else dtype).removeprefix("torch.")


def _white(name: str, pictures: ArrayLike) -> int:
    """Return the value of white, by the kind of numbers."""
    dtype = _dtype_name(pictures)
    if "float" in dtype or dtype == "object":
        return 1
    if dtype not in _WHITE:
        raise ValueError(f"{name} must hold numbers in [0, 1], uint8 or uint16, not {dtype}")
    return _WHITE[dtype]


def _in_unit_range(name: str, pictures: ArrayLike) -> np.ndarray:
    """Return pictures as floating-point numbers, clipped to [0, 1]."""
    white = _white(name, pictures)
    pictures = as_array(name, pictures)
    return np.clip(pictures if white == 1 else pictures / white, 0, 1)


def ssim(
    images: ArrayLike, others: ArrayLike, window: int = 7, data_range: float | None = None
) -> np.ndarray:
    """Structural similarity of pictures, pair by pair.

    Parameters
    ----------
    images, others : array_like, shape (n, height, width, 3)
        Of one kind of numbers, or with `data_range` of any.
    window : int
        Side of the square windows in which means, variances and covariances are taken, in pixels;
        odd.
    data_range : float, optional
        White minus black; by default 1 for floating-point numbers, 255 for uint8.

    Returns
    -------
    numpy.ndarray, shape (n,)
        Mean over windows and colours of
        (2ab + C1)(2 cov + C2) / ((a² + b² + C1)(var + var' + C2)) for means a and b,
        C1 = (0.01 data_range)² and C2 = (0.03 data_range)²; 1 for equal pictures only.

    Raises
    ------
    ValueError
        If the shapes or the kinds of numbers differ, or a side is shorter than the window.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli (2004), Image quality assessment: from
    error visibility to structural similarity, IEEE Transactions on Image Processing 13,
    doi 10.1109/TIP.2003.819861, equation (13). Computed by scikit-image.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((2, 16, 16, 3))
    >>> ssim(x, x).round(6).tolist(), bool(ssim(x, 1 - x).max() < 0)
    ([1.0, 1.0], True)
    """
    from skimage.metrics import structural_similarity

    window = whole("window", window, least=3)
    if window % 2 == 0:
        raise ValueError(f"window must be odd, got {window}")
    if data_range is None:
        data_range = _white("images", images)
        if _white("others", others) != data_range:
            raise ValueError(
                "images and others must hold the same kind of numbers, or data_range be given, "
                f"got {_dtype_name(images)} and {_dtype_name(others)}"
            )
    data_range = number("data_range", data_range, above=0)
    X, Y = as_array("images", images), as_array("others", others)
    if X.ndim != 4 or X.shape != Y.shape or min(X.shape[1:3]) < window:
        raise ValueError(
            f"images and others must have one shape (n, height, width, 3) with sides of at least "
            f"{window} pixels, got {X.shape} and {Y.shape}"
        )
    options = {"win_size": window, "data_range": data_range, "channel_axis": -1}
    return np.array([structural_similarity(x, y, **options) for x, y in zip(X, Y)])


def spatial_frequency(changes: ArrayLike) -> np.ndarray:
    """Mean spatial frequency of changes of a picture: low for broad strokes, high for detail.

    Parameters
    ----------
    changes : array_like, shape (..., height, width, 3)
        Differences of two pictures.

    Returns
    -------
    numpy.ndarray, shape (...)
        Centroid of the power spectrum, summed over colours, in cycles per picture. The frequency
        zero, a change of the whole picture alike, is left out. NaN where nothing changes.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * 5 * np.arange(48) / 48)[None, :, None] * np.ones((48, 1, 3))
    >>> round(float(spatial_frequency(wave)), 6)
    5.0
    """
    changes = as_array("changes", changes)
    if changes.ndim < 3:
        raise ValueError(
            f"changes must have the shape (..., height, width, 3), got {changes.shape}"
        )
    height, width = changes.shape[-3:-1]
    # SciPy's transform takes a quarter of the time of NumPy's here.
    spectrum = scipy.fft.rfft2(changes, axes=(-3, -2))
    power = spectrum.real**2 + spectrum.imag**2
    # A real picture's spectrum is stored by half; the half left out counts as well.
    power[..., 1 : (width + 1) // 2, :] *= 2
    power = power.sum(axis=-1)
    power[..., 0, 0] = 0
    rows, columns = np.fft.fftfreq(height) * height, np.fft.rfftfreq(width) * width
    frequency = np.hypot(rows[:, None], columns[None, :])
    total = power.sum(axis=(-2, -1))
    return np.divide(np.einsum("...ij,ij->...", power, frequency), total,
                     out=np.full(np.shape(total), np.nan), where=total > 0)  # fmt: skip


def montage(images: ArrayLike, n_columns: int, gap: int = 1) -> np.ndarray:
    """Lay pictures out in rows as one picture on white.

    Parameters
    ----------
    images : array_like, shape (n, height, width, 3)
        Row by row.
    n_columns : int
        Pictures in each row.
    gap : int
        White pixels between pictures.

    Returns
    -------
    numpy.ndarray, shape (n_rows * (height + gap) - gap, n_columns * (width + gap) - gap, 3)
        Of the same kind of numbers as `images`, except that half precision becomes float32.

    Examples
    --------
    >>> montage(np.zeros((5, 8, 8, 3)), n_columns=3).shape
    (17, 26, 3)
    """
    import skimage.util

    n_columns, gap = whole("n_columns", n_columns), whole("gap", gap, least=0)
    white, dtype = _white("images", images), _dtype_name(images)
    images = as_array("images", images, ndim=4)
    if dtype in _WHITE:
        images = images.astype(dtype)
    n_rows = -(-len(images) // n_columns)
    framed = skimage.util.montage(
        images, fill=[white] * images.shape[-1], grid_shape=(n_rows, n_columns), padding_width=gap,
        channel_axis=-1,
    )  # fmt: skip
    return framed[gap : framed.shape[0] - gap, gap : framed.shape[1] - gap]


def gallery(rows: Sequence[ArrayLike], row_titles: Sequence[str], gap: int = 1) -> Figure:
    """Rows of small pictures as a figure.

    Parameters
    ----------
    rows : list of array_like, each of shape (n_columns, height, width, 3)
        The pictures.
    row_titles : list of str
        One title per row, written above it; an empty one takes no room.
    gap : int
        White pixels between pictures.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> fig = gallery([np.zeros((8, 48, 48, 3))] * 2, ["drawn", "decoded"])
    >>> len(fig.axes)
    2
    """
    import matplotlib.pyplot as plt

    if len(rows) != len(row_titles):
        raise ValueError(
            f"row_titles must have one title per row, got {len(row_titles)} for {len(rows)} rows"
        )
    strips = [montage(_in_unit_range("rows", row), len(row), gap) for row in rows]
    heights = [6.3 * strip.shape[0] / strip.shape[1] for strip in strips]
    spaces = [h + (0.34 if title else 0.05) for h, title in zip(heights, row_titles)]
    fig, axes = plt.subplots(
        len(rows), 1, figsize=(6.5, sum(spaces)), squeeze=False, height_ratios=spaces
    )
    for ax, strip, title in zip(axes[:, 0], strips, row_titles):
        ax.imshow(strip)
        ax.set_title(title, fontsize=11)
        ax.axis("off")
    return fig


def png_url(picture: ArrayLike, n_colours: int = 128) -> str:
    """Encode a picture as a PNG of few colours, as a ``data:`` address for a page.

    Parameters
    ----------
    picture : array_like, shape (height, width, 3)
        Clipped to the range of its kind of numbers.
    n_colours : int
        Size of the palette, at most 256; fewer colours make a smaller file.

    Returns
    -------
    str

    Examples
    --------
    >>> png_url(np.zeros((4, 4, 3)))[:22]
    'data:image/png;base64,'
    """
    import base64
    import io

    from PIL import Image

    n_colours = whole("n_colours", n_colours, least=2, most=256)
    values = np.round(255 * _in_unit_range("picture", picture)).astype(np.uint8)
    if values.ndim != 3:
        raise ValueError(f"picture must have the shape (height, width, 3), got {values.shape}")
    buffer = io.BytesIO()
    Image.fromarray(values).quantize(n_colours, dither=Image.Dither.NONE).save(
        buffer, format="PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


sheet = montage  # old name, until every other room uses the one above
