import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hblib import worlds


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
    assert worlds.ssim(x, y)[0] == pytest.approx(np.mean(values))


def test_ssim_is_symmetric_and_falls_with_noise():
    rng = np.random.default_rng(0)
    x = rng.random((3, 16, 16, 3)).astype(np.float32)
    y = [x + s * rng.normal(size=x.shape) for s in (0, 0.1, 0.3)]
    assert np.allclose(worlds.ssim(x, y[1]), worlds.ssim(y[1], x))
    falling = [worlds.ssim(x, one).mean() for one in y]
    assert falling[0] == pytest.approx(1) and falling[0] > falling[1] > falling[2]


def test_ssim_of_bytes_is_that_of_scikit_image():
    """Bytes run to 255: these 4 faces and their reverse once gave 0.0946 in place of 0.1333."""
    from skimage.metrics import structural_similarity

    u = worlds.draw_faces(4, 0, size=32, dtype=np.uint8).images
    theirs = [
        structural_similarity(a, b, channel_axis=-1, data_range=255) for a, b in zip(u, u[::-1])
    ]
    found = worlds.ssim(u, u[::-1])
    np.testing.assert_allclose(found, theirs)
    assert found[0] == pytest.approx(0.1333, abs=1e-4)
    np.testing.assert_allclose(worlds.ssim(u / 255, u[::-1] / 255), found)
    whole = u.astype(int)
    np.testing.assert_allclose(worlds.ssim(whole, whole[::-1], data_range=255), found)
    with pytest.raises(ValueError, match="images must hold numbers in .*, not int64"):
        worlds.ssim(whole, whole)
    with pytest.raises(ValueError, match="same kind of numbers.* got uint8 and float64"):
        worlds.ssim(u, u / 255)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_pictures_may_be_tensors_of_any_precision(dtype):
    import torch

    x = torch.rand(2, 16, 16, 3, generator=torch.Generator().manual_seed(0))
    y = x.to(getattr(torch, dtype), copy=True).requires_grad_()
    rounded = y.detach().float().numpy()
    np.testing.assert_array_equal(worlds.ssim(x, y), worlds.ssim(x.numpy(), rounded))
    found, expected = worlds.spatial_frequency(y), worlds.spatial_frequency(rounded)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(worlds.montage(y, 2), worlds.montage(rounded, 2))
    assert worlds.png_url(y[0]) == worlds.png_url(rounded[0])


def test_ssim_of_half_precision():
    half = np.random.default_rng(0).random((2, 16, 16, 3)).astype(np.float16)
    single = half.astype(np.float32)
    found, expected = worlds.ssim(half, half[::-1]), worlds.ssim(single, single[::-1])
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shape", [(2, 16, 16), (2, 16, 5, 3)])
def test_ssim_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match="at least 7 pixels"):
        worlds.ssim(np.ones(shape), np.ones(shape))


@pytest.mark.parametrize("size", [15, 16])
def test_frequency_is_the_mean_over_the_whole_spectrum(size):
    change = np.random.default_rng(0).normal(size=(2, size, size, 3))
    power = (np.abs(np.fft.fft2(change, axes=(1, 2))) ** 2).sum(axis=3)
    power[:, 0, 0] = 0
    f = np.fft.fftfreq(size) * size
    radius = np.hypot(f[:, None], f[None, :])
    expected = (power * radius).sum(axis=(1, 2)) / power.sum(axis=(1, 2))
    assert np.allclose(worlds.spatial_frequency(change), expected)


def test_frequency_knows_strokes_from_detail_and_ignores_their_strength():
    wave = np.cos(2 * np.pi * np.arange(24) / 24)[:, None, None] * np.ones((24, 24, 3))
    fine = np.cos(2 * np.pi * 6 * np.arange(24) / 24)[:, None, None] * np.ones((24, 24, 3))
    assert np.allclose(worlds.spatial_frequency([wave, 9 * wave + 1, fine]), [1, 1, 6])
    assert np.isnan(worlds.spatial_frequency(np.ones((8, 8, 3))))


def test_a_montage_holds_every_picture_in_its_place():
    images = np.random.default_rng(0).random((5, 4, 6, 3))
    whole = worlds.montage(images, 2, gap=2)
    assert whole.shape == (3 * 6 - 2, 2 * 8 - 2, 3)
    for i, image in enumerate(images):
        top, left = 6 * (i // 2), 8 * (i % 2)
        assert (whole[top : top + 4, left : left + 6] == image).all()
    assert (whole[12:, 8:] == 1).all()


def test_a_png_address_holds_the_picture():
    picture = np.random.default_rng(0).choice([-0.5, 0.25, 0.5, 1.5], size=(8, 9, 1))
    picture = np.repeat(picture, 3, axis=2)
    head, data = worlds.png_url(picture).split(",")
    assert head == "data:image/png;base64"
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")) / 255
    assert np.abs(back - np.clip(picture, 0, 1)).max() < 0.01


def test_a_gallery_has_a_title_a_row():
    rows = [np.zeros((3, 8, 8, 3))] * 2
    with pytest.raises(ValueError, match="one title per row"):
        worlds.gallery(rows, ["one"])
    fig = worlds.gallery(rows, ["one", ""])
    assert len(fig.axes) == 2
    assert not any(ax.axison for ax in fig.axes)


def decoded(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def test_bytes_are_shown_as_they_are():
    u = worlds.draw_faces(3, 0, size=16, dtype=np.uint8).images
    whole = worlds.montage(u, 3)
    assert whole.dtype == np.uint8 and (whole[:, 16] == 255).all()
    np.testing.assert_array_equal(whole[:, 17:33], u[1])
    few = u // 64 * 64  # few enough colours for the palette
    np.testing.assert_array_equal(decoded(worlds.png_url(few[0], 256)), few[0])
    np.testing.assert_array_equal(decoded(worlds.png_url(few[0] / 255, 256)), few[0])
    deep = few.astype(np.uint16) * 257
    np.testing.assert_array_equal(decoded(worlds.png_url(deep[0], 256)), few[0])
    (shown,) = worlds.gallery([u], [""]).axes[0].images
    np.testing.assert_allclose(shown.get_array(), worlds.montage(u / 255, 3))
