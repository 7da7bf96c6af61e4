"""The autoencoder learns, gives back what it says, and refuses what it cannot use."""

import doctest
import math

import numpy as np
import pytest
import torch

from hblib.models import _autoencoder as autoencoder
from hblib.worlds import _faces as faces

IMAGES = faces.draw(400, rng=0, size=32).images
SMALL = {"n_latent": 12, "channels": (24,), "n_epochs": 4, "batch_size": 32}
VAE = autoencoder.train(IMAGES, **SMALL)


def mse(vae, images=IMAGES):
    return float(((vae.decode(vae.encode(images)) - images) ** 2).mean())


def test_examples():
    assert doctest.testmod(autoencoder).failed == 0


# --- training ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": (24, 24)},
        {"bottleneck": "relu", "n_epochs": 10},
        {"likelihood": "bernoulli", "beta": 0.05},
        {"optimiser": "adam", "learning_rate": 0.005},
    ],
    ids=str,
)
def test_training_beats_the_mean_picture_on_faces_never_seen(changes):
    vae = autoencoder.train(IMAGES, **{**SMALL, **changes})
    assert (np.diff(vae.history["loss"]) < 0).all() and len(vae.history) == vae.settings.n_epochs
    unseen = faces.draw(100, rng=1, size=32).images
    blank = ((IMAGES.mean(axis=0) - unseen) ** 2).mean()
    assert mse(vae, unseen) < 0.75 * blank
    assert mse(vae.untrained(), unseen) == pytest.approx(blank, rel=0.1)


def test_seed_decides_everything():
    again, other = (autoencoder.train(IMAGES, **SMALL, seed=seed) for seed in (0, 1))
    np.testing.assert_array_equal(again.encode(IMAGES), VAE.encode(IMAGES))
    assert not np.allclose(other.encode(IMAGES), VAE.encode(IMAGES))
    torch.manual_seed(5)
    np.testing.assert_array_equal(autoencoder.train(IMAGES, **SMALL).encode(IMAGES),
                                  VAE.encode(IMAGES))  # fmt: skip


def test_untrained_is_the_start_of_training():
    start = autoencoder.train(IMAGES, **{**SMALL, "n_epochs": 0})
    np.testing.assert_array_equal(VAE.untrained().encode(IMAGES), start.encode(IMAGES))
    assert len(start.history) == len(VAE.untrained().history) == 0


def test_whole_numbers_train_like_real_ones():
    whole = np.rint(255 * IMAGES).astype(np.uint8)
    real = autoencoder.train(np.float32(whole) / 255, **SMALL).encode(IMAGES)
    vae = autoencoder.train(whole, **SMALL)
    np.testing.assert_allclose(vae.encode(IMAGES), real, atol=1e-2)
    np.testing.assert_allclose(vae.encode(whole), vae.encode(np.float32(whole) / 255), atol=1e-5)


def test_callback_gets_every_row_of_the_history():
    rows = []
    vae = autoencoder.train(IMAGES[:64], rows.append, **{**SMALL, "n_epochs": 2})
    assert rows == vae.history.to_dict("records")


def test_large_beta_empties_the_codes():
    quiet = autoencoder.train(IMAGES, **SMALL, beta=1000.0)
    assert quiet.divergence(IMAGES).sum() < 0.05 * VAE.divergence(IMAGES).sum()


# --- what the network computes -------------------------------------------------------------------


def test_patches_are_a_strided_convolution_and_back():
    x = torch.rand(3, 16, 16, 2)
    weight = torch.rand(5, 4 * 4 * 2)
    ours = autoencoder._join(x, 4) @ weight.T
    kernel = weight.reshape(5, 4, 4, 2).permute(0, 3, 1, 2)
    theirs = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel, stride=4)
    torch.testing.assert_close(ours.permute(0, 3, 1, 2), theirs)
    torch.testing.assert_close(autoencoder._split(autoencoder._join(x, 4), 4), x)


def test_divergence_is_torchs():
    mean, log_variance = torch.randn(7, 3), torch.randn(7, 3)
    normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(autoencoder._divergence(mean, log_variance), expected)


def test_gaussian_loss_is_the_bound_up_to_its_constant():
    x = torch.as_tensor(IMAGES[:8])
    network = VAE.network
    _, divergence, loss = network.loss(x, torch.Generator().manual_seed(3))
    mean, log_variance = list(network.encoder(x))[-1].chunk(2, dim=1)
    scatter = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))
    decoded = torch.sigmoid(list(network.decoder(mean + torch.exp(log_variance / 2) * scatter))[-1])
    log_p = torch.distributions.Normal(decoded, VAE.settings.noise).log_prob(x).sum() / len(x)
    constant = x[0].numel() * math.log(VAE.settings.noise * math.sqrt(2 * math.pi))
    torch.testing.assert_close(loss - divergence, -log_p - constant)


# --- encoding and decoding -----------------------------------------------------------------------


def test_shapes_and_ranges():
    codes = VAE.encode(IMAGES)
    pictures = VAE.decode(codes)
    assert codes.shape == (400, 12) and codes.dtype == np.float32
    assert pictures.shape == IMAGES.shape and 0 <= pictures.min() and pictures.max() <= 1
    assert VAE.divergence(IMAGES).shape == (12,) and (VAE.divergence(IMAGES) >= 0).all()


def test_codes_do_not_depend_on_the_batch():
    many = np.concatenate([IMAGES, IMAGES])  # more than one batch of the encoder
    np.testing.assert_allclose(VAE.encode(many)[400:], VAE.encode(IMAGES), atol=1e-4)


def test_relu_codes_are_not_negative_and_signed_ones_are_both():
    relu = autoencoder.train(IMAGES, **SMALL, bottleneck="relu").encode(IMAGES)
    assert relu.min() == 0 and relu.max() > 0.5
    signed = VAE.encode(IMAGES)
    assert ((signed > 0.1).any(axis=0) & (signed < -0.1).any(axis=0)).all()


def test_layers_hold_every_activation():
    deep = autoencoder.train(IMAGES, **{**SMALL, "channels": (24, 20)})
    layers = deep.layers(IMAGES[:50])
    assert {name: a.shape for name, a in layers.items()} == {
        "encoder 1": (50, 4, 4, 24),
        "encoder 2": (50, 2, 2, 20),
        "code": (50, 12),
        "decoder 1": (50, 2, 2, 20),
        "decoder 2": (50, 4, 4, 24),
    }
    np.testing.assert_allclose(layers["code"], deep.encode(IMAGES[:50]), atol=1e-5)
    assert all(a.min() >= 0 for name, a in layers.items() if name != "code")


def test_decoder_directions_drive_its_first_layer():
    codes = VAE.encode(IMAGES[:20])
    bias = VAE.network.from_code.bias.detach().numpy()
    expected = np.maximum(codes @ VAE.decoder_directions().T + bias, 0)
    first = VAE.layers(IMAGES[:20])["decoder 1"].reshape(20, -1)
    np.testing.assert_allclose(first, expected, atol=1e-4)


def test_saved_networks_come_back(tmp_path):
    VAE.save(tmp_path / "faces.pt")
    back = autoencoder.load(tmp_path / "faces.pt")
    assert back.settings == VAE.settings and back.shape == VAE.shape
    np.testing.assert_array_equal(back.encode(IMAGES), VAE.encode(IMAGES))
    np.testing.assert_array_equal(back.untrained().encode(IMAGES), VAE.untrained().encode(IMAGES))
    assert back.history.equals(VAE.history)


def test_full_scale_differs_in_parameters_alone():
    images = faces.draw(8, rng=0, size=64, dtype=np.uint8).images
    vae = autoencoder.train(images, n_latent=500, channels=(32,), batch_size=8, n_epochs=1)
    assert vae.encode(images).shape == (8, 500)


# --- bad input -----------------------------------------------------------------------------------

HOLED = IMAGES[:40].copy()
HOLED[3, 2, 1, 0] = np.nan


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: autoencoder.train(IMAGES, n_latent=0), "n_latent must be a positive integer"),
        (lambda: autoencoder.train(IMAGES, n_epochs=-1), "n_epochs must be an integer"),
        (lambda: autoencoder.train(IMAGES, channels=()), "channels must be positive integers"),
        (lambda: autoencoder.train(IMAGES, noise=0), "noise must be a positive number"),
        (lambda: autoencoder.train(IMAGES, beta=-1.0), "beta must be a number of at least 0"),
        (lambda: autoencoder.train(IMAGES, bottleneck="tanh"), "bottleneck must be one of"),
        (lambda: autoencoder.train(IMAGES, likelihood="laplace"), "likelihood must be one of"),
        (lambda: autoencoder.train(IMAGES, optimiser="lion"), "optimiser must be one of"),
        (lambda: autoencoder.train(IMAGES, patch=12), "multiple of 12 pixels.*got 32 x 32"),
        (lambda: autoencoder.train(IMAGES[:9]), "at least batch_size = 64, got 9"),
        (lambda: autoencoder.train(HOLED), "images contain values that are not finite"),
        (lambda: autoencoder.train(255 * IMAGES), r"images must lie in \[0, 1\]"),
        (lambda: autoencoder.train(IMAGES[..., 0]), "images must have the shape"),
        (lambda: autoencoder.train(IMAGES[:0]), "images must be at least one picture"),
        (lambda: VAE.encode(IMAGES[:, :16]), r"shape \(n, 32, 32, 3\)"),
        (lambda: VAE.encode(HOLED), "images contain values that are not finite"),
        (lambda: VAE.decode(np.zeros((2, 13))), r"codes must have the shape \(n, 12\)"),
        (lambda: VAE.decode(np.full((2, 12), np.inf)), "codes contain values that are not finite"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
