"""The autoencoder learns, gives back what it says, and refuses what it cannot use."""

import functools
import math

import numpy as np
import pytest
import torch

from hblib.models import _autoencoder as autoencoder
from hblib.models import load_autoencoder, train_autoencoder
from hblib.worlds import draw_faces

SMALL = {"n_latent": 12, "channels": (24,), "n_epochs": 4, "batch_size": 32}


@functools.cache
def faces():
    return draw_faces(400, rng=0, size=32).images


@functools.cache
def trained():
    return train_autoencoder(faces(), **SMALL)


def mse(vae, images):
    return float(((vae.decode(vae.encode(images)) - images) ** 2).mean())


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
    vae = train_autoencoder(faces(), **{**SMALL, **changes})
    assert (np.diff(vae.history["loss"]) < 0).all() and len(vae.history) == vae.settings.n_epochs
    unseen = draw_faces(100, rng=1, size=32).images
    blank = ((faces().mean(axis=0) - unseen) ** 2).mean()
    assert mse(vae, unseen) < 0.75 * blank
    assert mse(vae.untrained(), unseen) == pytest.approx(blank, rel=0.1)


def test_seed_decides_everything():
    again, other = (train_autoencoder(faces(), **SMALL, rng=rng) for rng in (0, 1))
    np.testing.assert_array_equal(again.encode(faces()), trained().encode(faces()))
    assert not np.allclose(other.encode(faces()), trained().encode(faces()))
    torch.manual_seed(5)
    np.testing.assert_array_equal(train_autoencoder(faces(), **SMALL).encode(faces()),
                                  trained().encode(faces()))  # fmt: skip


def test_untrained_is_the_start_of_training():
    start = train_autoencoder(faces(), **{**SMALL, "n_epochs": 0})
    np.testing.assert_array_equal(trained().untrained().encode(faces()), start.encode(faces()))
    assert len(start.history) == len(trained().untrained().history) == 0


def test_whole_numbers_train_like_real_ones():
    whole = np.rint(255 * faces()).astype(np.uint8)
    real = train_autoencoder(np.float32(whole) / 255, **SMALL).encode(faces())
    vae = train_autoencoder(whole, **SMALL)
    np.testing.assert_allclose(vae.encode(faces()), real, atol=1e-2)
    np.testing.assert_allclose(vae.encode(whole), vae.encode(np.float32(whole) / 255), atol=1e-5)


def test_callback_gets_every_row_of_the_history():
    rows = []
    vae = train_autoencoder(faces()[:64], rows.append, **{**SMALL, "n_epochs": 2})
    assert rows == vae.history.to_dict("records")


def test_large_beta_empties_the_codes():
    quiet = train_autoencoder(faces(), **SMALL, beta=1000.0)
    assert quiet.divergence(faces()).sum() < 0.05 * trained().divergence(faces()).sum()


# --- what the network computes -------------------------------------------------------------------


def test_patches_are_a_strided_convolution_and_back():
    x = torch.rand(3, 16, 16, 2)
    weight = torch.rand(5, 4 * 4 * 2)
    ours = autoencoder._space_to_depth(x, 4) @ weight.T
    kernel = weight.reshape(5, 4, 4, 2).permute(0, 3, 1, 2)
    theirs = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel, stride=4)
    torch.testing.assert_close(ours.permute(0, 3, 1, 2), theirs)
    torch.testing.assert_close(autoencoder._depth_to_space(autoencoder._space_to_depth(x, 4), 4), x)


def test_divergence_is_torchs():
    mean, log_variance = torch.randn(7, 3), torch.randn(7, 3)
    normal = torch.distributions.Normal(mean, torch.exp(log_variance / 2))
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(autoencoder._divergence(mean, log_variance), expected)


def test_gaussian_loss_is_the_bound_up_to_its_constant():
    x = torch.as_tensor(faces()[:8])
    network = trained().network
    _, divergence, loss = network.loss(x, torch.Generator().manual_seed(3))
    mean, log_variance = list(network.encoder(x))[-1].chunk(2, dim=1)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))
    decoded = torch.sigmoid(list(network.decoder(mean + torch.exp(log_variance / 2) * noise))[-1])
    log_p = torch.distributions.Normal(decoded, trained().settings.noise).log_prob(x).sum() / len(x)
    constant = x[0].numel() * math.log(trained().settings.noise * math.sqrt(2 * math.pi))
    torch.testing.assert_close(loss - divergence, -log_p - constant)


# --- encoding and decoding -----------------------------------------------------------------------


def test_shapes_and_ranges():
    codes = trained().encode(faces())
    pictures = trained().decode(codes)
    assert codes.shape == (400, 12) and codes.dtype == np.float32
    assert pictures.shape == faces().shape and 0 <= pictures.min() and pictures.max() <= 1
    nats = trained().divergence(faces())
    assert nats.shape == (12,) and (nats >= 0).all()


def test_codes_do_not_depend_on_the_batch():
    many = np.concatenate([faces(), faces()])  # more than one batch of the encoder
    np.testing.assert_allclose(trained().encode(many)[400:], trained().encode(faces()), atol=1e-4)


def test_relu_codes_are_not_negative_and_signed_ones_are_both():
    relu = train_autoencoder(faces(), **SMALL, bottleneck="relu").encode(faces())
    assert relu.min() == 0 and relu.max() > 0.5
    signed = trained().encode(faces())
    assert ((signed > 0.1).any(axis=0) & (signed < -0.1).any(axis=0)).all()


def test_layers_hold_every_activation():
    deep = train_autoencoder(faces(), **{**SMALL, "channels": (24, 20)})
    layers = deep.layers(faces()[:50])
    assert {name: a.shape for name, a in layers.items()} == {
        "encoder 1": (50, 4, 4, 24),
        "encoder 2": (50, 2, 2, 20),
        "code": (50, 12),
        "decoder 1": (50, 2, 2, 20),
        "decoder 2": (50, 4, 4, 24),
    }
    np.testing.assert_allclose(layers["code"], deep.encode(faces()[:50]), atol=1e-5)
    assert all(a.min() >= 0 for name, a in layers.items() if name != "code")


def test_decoder_directions_drive_its_first_layer():
    codes = trained().encode(faces()[:20])
    bias = trained().network.from_code.bias.detach().numpy()
    expected = np.maximum(codes @ trained().decoder_directions().T + bias, 0)
    first = trained().layers(faces()[:20])["decoder 1"].reshape(20, -1)
    np.testing.assert_allclose(first, expected, atol=1e-4)


def test_saved_networks_come_back(tmp_path):
    trained().save(tmp_path / "faces.pt")
    back = load_autoencoder(tmp_path / "faces.pt")
    assert back.settings == trained().settings and back.shape == trained().shape
    np.testing.assert_array_equal(back.encode(faces()), trained().encode(faces()))
    start = trained().untrained().encode(faces())
    np.testing.assert_array_equal(back.untrained().encode(faces()), start)
    assert back.history.equals(trained().history)


def test_full_scale_differs_in_parameters_alone():
    images = draw_faces(8, rng=0, size=64, dtype=np.uint8).images
    vae = train_autoencoder(images, n_latent=500, channels=(32,), batch_size=8, n_epochs=1)
    assert vae.encode(images).shape == (8, 500)


def test_any_kind_of_array():
    vae, images = trained(), np.rint(255 * faces()[:30]).astype(np.uint8)
    frozen = images.copy()
    frozen.flags.writeable = False
    expected = vae.encode(images)
    real = torch.tensor(images, dtype=torch.float64) / 255
    for same in (torch.tensor(images), frozen, images[::-1][::-1], real.requires_grad_()):
        np.testing.assert_allclose(vae.encode(same), expected, atol=1e-5)
    codes = torch.tensor(expected, requires_grad=True)
    np.testing.assert_array_equal(vae.decode(codes), vae.decode(expected))
    assert vae.decode(torch.zeros(2, 12, dtype=torch.bfloat16)).shape == (2, 32, 32, 3)


def test_numbers_of_numpy_are_saved_as_pythons(tmp_path):
    options = {**SMALL, "n_latent": np.int64(12), "beta": np.float32(1), "n_epochs": np.int32(0)}
    train_autoencoder(faces(), **options).save(tmp_path / "faces.pt")
    assert load_autoencoder(tmp_path / "faces.pt").settings.n_latent == 12


def test_a_generator_decides_as_a_seed_does():
    options = {**SMALL, "n_epochs": 0}
    first, second = (
        train_autoencoder(faces(), **options, rng=np.random.default_rng(3)) for _ in range(2)
    )
    assert first.settings == second.settings


# --- bad input -----------------------------------------------------------------------------------

def holed():
    images = faces()[:40].copy()
    images[3, 2, 1, 0] = np.nan
    return images


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: train_autoencoder(faces(), n_latent=0), "n_latent must be a whole number"),
        (lambda: train_autoencoder(faces(), n_epochs=-1), "n_epochs must be a whole number"),
        (lambda: train_autoencoder(faces(), channels=()), "channels must be a tuple of"),
        (lambda: train_autoencoder(faces(), noise=0), "noise must be above 0"),
        (lambda: train_autoencoder(faces(), beta=-1.0), "beta must be at least 0"),
        (lambda: train_autoencoder(faces(), bottleneck="tanh"), "bottleneck must be one of"),
        (lambda: train_autoencoder(faces(), likelihood="laplace"), "likelihood must be one of"),
        (lambda: train_autoencoder(faces(), optimiser="lion"), "optimiser must be one of"),
        (lambda: train_autoencoder(faces(), patch=12), "multiple of 12 pixels.*got 32 x 32"),
        (lambda: train_autoencoder(faces()[:9]), "at least batch_size = 64, got 9"),
        (lambda: train_autoencoder(holed()), "images has 1 of .* not finite"),
        (lambda: train_autoencoder(255 * faces()), r"images must lie in \[0, 1\]"),
        (lambda: train_autoencoder(faces()[..., 0]), "images must have the shape"),
        (lambda: train_autoencoder(faces()[:0]), "images is empty"),
        (lambda: trained().encode(faces()[:, :16]), r"shape \(n, 32, 32, 3\)"),
        (lambda: trained().encode(holed()), "images has 1 of .* not finite"),
        (lambda: trained().decode(np.zeros((2, 13))), r"codes must have the shape \(n, 12\)"),
        (lambda: trained().decode(np.full((2, 12), np.inf)), "codes has 24 of 24 .* not finite"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
