"""Many autoencoders side by side: what they learn, what their noise sees, what they refuse."""

import numpy as np
import pytest
import torch

from hblib import models


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return rng.normal(size=(600, 4)) @ rng.normal(size=(4, 12))


def train(X, kind="variational", seeds=(0, 1), **options):
    options = {"n_latent": 4, "width": 16, "batch_size": 50, "noise": 0.3, **options}
    return models.train_autoencoders(X, seeds, kind, **options)


@pytest.mark.parametrize("kind", ["plain", "variational", "turned"])
def test_codes_of_four_numbers_keep_what_has_four_dimensions(X, kind):
    nets = train(X, kind, n_epochs=30)
    codes = nets.encode(X)
    assert codes.shape == (2, 600, 4) and nets.n_networks == 2 and nets.n_latent == 4
    left = ((nets.decode(codes) - X) ** 2).sum(axis=(1, 2)) / (X**2).sum()
    assert left.max() < 0.05


@pytest.mark.parametrize("kind", ["plain", "turned"])
def test_a_network_does_not_depend_on_those_beside_it(X, kind):
    alone, beside = train(X, kind, [5], n_epochs=2), train(X, kind, [4, 5], n_epochs=2)
    np.testing.assert_allclose(alone.encode(X)[0], beside.encode(X)[1], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(beside.only(1).encode(X)[0], beside.encode(X)[1], rtol=1e-5)


def test_inputs_may_be_for_each_network(X):
    nets = train(np.stack([X, -X]), "plain", [3, 3], n_epochs=1)
    assert not np.allclose(*nets.encode(X))
    same = train(np.stack([X, X]), "plain", [3, 3], n_epochs=1)
    np.testing.assert_array_equal(*same.encode(X))


def test_without_epochs_nothing_is_trained(X):
    nets = train(X, n_epochs=0)
    assert all((b == 0).all() for b in nets.biases.values())


def test_only_turned_networks_are_turned(X):
    Q = train(X, "turned", n_epochs=0).rotations
    np.testing.assert_allclose(Q @ Q.mT, np.broadcast_to(np.eye(4), Q.shape), atol=1e-12)
    assert np.abs(Q - np.eye(4)).max() > 0.1
    assert (train(X, n_epochs=0).rotations == np.eye(4)).all()


def test_turned_codes_are_those_that_the_decoder_reads(X):
    turned = train(X, "turned", [0], n_epochs=0)
    as_noise = turned.encode(X)[0] @ turned.rotations[0].T
    mean = turned._mean_and_spread(torch.as_tensor(X[None], dtype=torch.float32))[0]
    np.testing.assert_allclose(as_noise, mean[0], atol=1e-5)


def test_strong_noise_lines_units_up_with_the_widest_directions():
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(1000, 6)) * [4, 3, 2, 1.5, 0.1, 0.1]
    X = scores @ np.linalg.qr(rng.normal(size=(6, 6)))[0]

    def aligned(kind):
        """Largest correlation of each unit with one of the directions, mean."""
        nets = train(X, kind, [0, 1, 2, 3], noise=1.0, n_epochs=40, learning_rate=0.01)
        return np.mean([np.abs(np.corrcoef(z.T, scores.T)[:4, 4:]).max(1) for z in nets.encode(X)])

    assert aligned("variational") > aligned("turned") + 0.05


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"kind": "other"}, "kind must be one of"),
        ({"batch_size": 601}, "X must be at least batch_size = 601"),
        ({"noise": 0}, "noise must be above 0"),
        ({"seeds": []}, "one seed or more"),
        ({"n_latent": 0}, "n_latent must be a whole number"),
    ],
)
def test_bad_options_are_refused(X, options, part):
    with pytest.raises(ValueError, match=part):
        train(X, **options)


def test_bad_inputs_are_refused(X):
    nets = train(X, n_epochs=0)
    with pytest.raises(ValueError, match="X must have the shape"):
        nets.encode(X[:, :5])
    with pytest.raises(ValueError, match="codes must be for 2 networks, got 3"):
        nets.decode(np.zeros((3, 5, 4)))
    with pytest.raises(ValueError, match="network must be a whole number from 0 to 1"):
        nets.only(2)
