"""Comparing pictures, and laying many small ones out as one.

Pictures are arrays ``(..., height, width, 3)``: red, green and blue in [0, 1].
"""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np
import scipy.fft
from PIL import Image
from scipy.ndimage import uniform_filter

# Constants of Wang et al. (2004) for pictures in [0, 1].
_C1, _C2 = 0.01**2, 0.03**2


def ssim(images, others, window=7):
    """Structural similarity of pictures, pair by pair.

    Parameters
    ----------
    images, others : array_like, (n, height, width, 3)
    window : int
        Side of the square windows in which means, variances and covariances are taken, pixels.

    Returns
    -------
    numpy.ndarray, (n,)
        Mean over windows and colours of (2ab + C1)(2 cov + C2) / ((a² + b² + C1)(var + var' + C2));
        1 for equal pictures only.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli (2004), Image quality assessment: from
    error visibility to structural similarity, IEEE Transactions on Image Processing 13,
    doi 10.1109/TIP.2003.819861, equation (13).

    Examples
    --------
    >>> x = np.random.default_rng(0).random((2, 16, 16, 3))
    >>> ssim(x, x).round(6).tolist(), bool(ssim(x, 1 - x).max() < 0)
    ([1.0, 1.0], True)
    """
    X, Y = np.asarray(images), np.asarray(others)
    if X.dtype.kind != "f" or Y.dtype.kind != "f":
        X, Y = X.astype(float), Y.astype(float)  # products of small integers overflow
    if not isinstance(window, int | np.integer) or window < 2:
        raise ValueError(f"window must be an integer of at least 2, got {window!r}")
    if not (np.isfinite(X).all() and np.isfinite(Y).all()):
        raise ValueError("images and others must hold finite numbers, got NaN or infinity")
    if X.ndim != 4 or X.shape != Y.shape or min(X.shape[1:3]) < window:
        raise ValueError(
            f"images and others must have one shape (n, height, width, 3) with sides of at least "
            f"{window} pixels, got {X.shape} and {Y.shape}"
        )

    def mean(A):
        # Windows that reach over the edge are left out.
        inside = slice(window // 2, -(window // 2))
        return uniform_filter(A, (0, window, window, 0))[:, inside, inside]

    a, b = mean(X), mean(Y)
    unbiased = window**2 / (window**2 - 1)
    spread = (mean(X * X) + mean(Y * Y) - a * a - b * b) * unbiased
    together = (mean(X * Y) - a * b) * unbiased
    similarity = (2 * a * b + _C1) * (2 * together + _C2)
    similarity /= (a * a + b * b + _C1) * (spread + _C2)
    return similarity.mean(axis=(1, 2, 3))


def spatial_frequency(changes):
    """Mean spatial frequency of changes of a picture: low for broad strokes, high for detail.

    Parameters
    ----------
    changes : array_like, (..., height, width, 3)
        Differences of two pictures.

    Returns
    -------
    numpy.ndarray, (...)
        Centroid of the power spectrum, summed over colours, in cycles per picture. The frequency
        zero, a change of the whole picture alike, is left out. NaN where nothing changes.

    Examples
    --------
    >>> wave = np.cos(2 * np.pi * 5 * np.arange(48) / 48)[None, :, None] * np.ones((48, 1, 3))
    >>> round(float(spatial_frequency(wave)), 6)
    5.0
    """
    changes = np.asarray(changes)
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


def sheet(images, n_columns, gap=1):
    """Lay pictures out in rows as one picture on white.

    Parameters
    ----------
    images : array_like, (n, height, width, 3)
    n_columns : int
    gap : int
        White pixels between pictures.

    Returns
    -------
    numpy.ndarray, (rows * (height + gap) - gap, n_columns * (width + gap) - gap, 3)

    Examples
    --------
    >>> sheet(np.zeros((5, 8, 8, 3)), n_columns=3).shape
    (17, 26, 3)
    """
    images = np.asarray(images)
    if images.ndim != 4 or not images.size:
        raise ValueError(f"images must have the shape (n, height, width, 3), got {images.shape}")
    if not isinstance(n_columns, int | np.integer) or n_columns < 1:
        raise ValueError(f"n_columns must be an integer of at least 1, got {n_columns!r}")
    n, height, width, _ = images.shape
    n_rows = -(-n // n_columns)
    canvas = np.ones((n_rows * (height + gap), n_columns * (width + gap), 3), images.dtype)
    for i, image in enumerate(images):
        top, left = divmod(i, n_columns)
        top, left = top * (height + gap), left * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas[: canvas.shape[0] - gap, : canvas.shape[1] - gap]


def gallery(rows, row_titles, gap=1):
    """Rows of small pictures as a figure.

    Parameters
    ----------
    rows : list of array_like, each (n_columns, height, width, 3)
    row_titles : list of str
        One title a row, written above it; an empty one takes no room.
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
    if len(rows) != len(row_titles):
        raise ValueError(
            f"row_titles must have one title a row, got {len(row_titles)} for {len(rows)} rows"
        )
    strips = [sheet(row, len(row), gap) for row in rows]
    heights = [6.3 * strip.shape[0] / strip.shape[1] for strip in strips]
    spaces = [h + (0.34 if title else 0.05) for h, title in zip(heights, row_titles)]
    fig, axes = plt.subplots(
        len(rows), 1, figsize=(6.5, sum(spaces)), squeeze=False, height_ratios=spaces
    )
    for ax, strip, title in zip(axes[:, 0], strips, row_titles):
        ax.imshow(np.clip(strip, 0, 1))
        ax.set_title(title, fontsize=11)
        ax.axis("off")
    return fig


def png_url(picture, n_colours=128):
    """Encode a picture as a PNG of few colours, as a ``data:`` address for a page.

    Parameters
    ----------
    picture : array_like, (height, width, 3)
        Clipped to [0, 1].
    n_colours : int
        Size of the palette, at most 256; fewer colours make a smaller file.

    Returns
    -------
    str
    """
    if not np.isfinite(picture).all():
        raise ValueError("picture contains values that are not finite (NaN or infinity)")
    values = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).quantize(n_colours, dither=Image.Dither.NONE).save(
        buffer, format="PNG", optimize=True
    )
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
