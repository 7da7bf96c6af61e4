"""Networks of one hidden layer with gradients written out, against those that torch finds."""

import numpy as np
import pytest
import torch

from hblib import worlds
from hblib.models import CNN, MLP, _shallow, train_networks, train_shallow


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("activation", ["relu", "linear", "tanh", "sigmoid"])
def test_the_same_networks_as_with_automatic_gradients(activation, optimiser):
    digits = worlds.digits()
    options = {"optimiser": optimiser, "learning_rate": 0.01, "epochs": 3, "batch_size": 48}
    trained = [
        train(MLP((12,), activation), digits.X[:250], digits.labels[:250], [3, 4, 5], **options)
        for train in (train_networks, train_shallow)
    ]
    start = train_shallow(
        MLP((12,), activation), digits.X[:250], digits.labels[:250], [3], epochs=0
    )
    assert (start.weights[0][0] - trained[0].weights[0][0]).abs().max() > 0.01
    for known, ours in zip(*(nets.weights + nets.biases for nets in trained), strict=True):
        assert not ours.requires_grad
        # Adam divides by the size of a gradient, and so blows up what rounding does to a small one.
        torch.testing.assert_close(
            ours, known, rtol=1e-3, atol=1e-3 if optimiser == "adam" else 1e-5
        )


def test_a_network_is_the_same_whatever_is_trained_beside_it(monkeypatch):
    monkeypatch.setattr(_shallow, "_BLOCK", 2 * 9 * 64)  # two networks at a time
    digits = worlds.digits()
    data = digits.X[:200], digits.labels[:200]
    alone, third = (train_shallow(MLP((9,)), *data, seeds) for seeds in ([7], [1, 2, 7]))
    for one, many in zip(alone.weights, third.weights, strict=True):
        torch.testing.assert_close(one[0], many[2], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("architecture", [MLP((5, 5)), CNN((4,))])
def test_one_hidden_layer_only(architecture):
    with pytest.raises(ValueError, match="architecture must be an MLP of one hidden layer"):
        train_shallow(architecture, np.zeros((4, 64)), np.arange(4), [0])
