import base64
import doctest
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hblib.worlds import _pictures as pictures


def test_doctests():
    assert doctest.testmod(pictures).failed == 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.floats(0, 0.5))
def test_ssim_is_the_definition(seed, noise):
    rng = np.random.default_rng(seed)
    x = rng.random((1, 12, 13, 3))
    y = np.clip(x + noise * rng.normal(size=x.shape), 0, 1)
    values = []
    for top in range(12 - 6):
        for left in range(13 - 6):
            for colour in range(3):
                a, b = (im[0, top : top + 7, left : left + 7, colour].ravel() for im in (x, y))
                (va, c), (_, vb) = np.cov(a, b)
                m, n = a.mean(), b.mean()
                values.append(
                    (2 * m * n + 1e-4) * (2 * c + 9e-4) / ((m**2 + n**2 + 1e-4) * (va + vb + 9e-4))
                )
    assert pictures.ssim(x, y)[0] == pytest.approx(np.mean(values))


def test_ssim_is_symmetric_and_falls_with_noise():
    rng = np.random.default_rng(0)
    x = rng.random((3, 16, 16, 3)).astype(np.float32)
    y = [x + s * rng.normal(size=x.shape) for s in (0, 0.1, 0.3)]
    assert np.allclose(pictures.ssim(x, y[1]), pictures.ssim(y[1], x))
    falling = [pictures.ssim(x, one).mean() for one in y]
    assert falling[0] == pytest.approx(1) and falling[0] > falling[1] > falling[2]


@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 16, 5, 3)])
def test_ssim_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="at least 7 pixels"):
        pictures.ssim(np.ones(shape), np.ones(shape))


@pytest.mark.parametrize("size", [15, 16])
def test_frequency_is_the_mean_over_the_whole_spectrum(size):
    change = np.random.default_rng(0).normal(size=(2, size, size, 3))
    power = (np.abs(np.fft.fft2(change, axes=(1, 2))) ** 2).sum(axis=3)
    power[:, 0, 0] = 0
    f = np.fft.fftfreq(size) * size
    radius = np.hypot(f[:, None], f[None, :])
    expected = (power * radius).sum(axis=(1, 2)) / power.sum(axis=(1, 2))
    assert np.allclose(pictures.spatial_frequency(change), expected)


def test_frequency_knows_strokes_from_detail_and_ignores_their_strength():
    wave = np.cos(2 * np.pi * np.arange(24) / 24)[:, None, None] * np.ones((24, 24, 3))
    fine = np.cos(2 * np.pi * 6 * np.arange(24) / 24)[:, None, None] * np.ones((24, 24, 3))
    assert np.allclose(pictures.spatial_frequency([wave, 9 * wave + 1, fine]), [1, 1, 6])
    assert np.isnan(pictures.spatial_frequency(np.ones((8, 8, 3))))


def test_a_sheet_holds_every_picture_in_its_place():
    images = np.random.default_rng(0).random((5, 4, 6, 3))
    whole = pictures.sheet(images, 2, gap=2)
    assert whole.shape == (3 * 6 - 2, 2 * 8 - 2, 3)
    for i, image in enumerate(images):
        top, left = 6 * (i // 2), 8 * (i % 2)
        assert (whole[top : top + 4, left : left + 6] == image).all()
    assert (whole[12:, 8:] == 1).all()


def test_a_png_address_holds_the_picture():
    picture = np.random.default_rng(0).choice([-0.5, 0.25, 0.5, 1.5], size=(8, 9, 1))
    picture = np.repeat(picture, 3, axis=2)
    head, data = pictures.png_url(picture).split(",")
    assert head == "data:image/png;base64"
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")) / 255
    assert np.abs(back - np.clip(picture, 0, 1)).max() < 0.01


def test_a_gallery_has_a_title_a_row():
    rows = [np.zeros((3, 8, 8, 3))] * 2
    with pytest.raises(ValueError, match="one title a row"):
        pictures.gallery(rows, ["one"])
    fig = pictures.gallery(rows, ["one", ""])
    assert len(fig.axes) == 2
    assert not any(ax.axison for ax in fig.axes)
