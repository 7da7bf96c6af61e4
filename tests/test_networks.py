"""Networks batched over seeds against torch's own layers, one network at a time."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from hblib.models._networks import CNN, MLP, train

DIGITS, LABELS = load_digits(return_X_y=True)
DIGITS = DIGITS.reshape(-1, 8, 8)[:300] / 16
LABELS = LABELS[:300]
ARCHITECTURES = [MLP((12, 9)), MLP((12,), activation="linear"), CNN((4, 5, 6)),
                 CNN((4,), pool_after=0, activation="tanh")]


def as_torch_module(networks, s):
    """Network s as an ordinary torch.nn.Sequential with the same weights."""
    architecture = networks.architecture
    act = {"relu": torch.nn.ReLU, "linear": torch.nn.Identity,
           "tanh": torch.nn.Tanh}[architecture.activation]
    layers = [torch.nn.Flatten()] if isinstance(architecture, MLP) else []
    for depth, (W, b) in enumerate(zip(networks.weights, networks.biases, strict=True), start=1):
        if W.ndim == 5:
            layer = torch.nn.Conv2d(W.shape[2], W.shape[1], 3, padding=1, dtype=W.dtype)
        else:
            if isinstance(architecture, CNN):
                layers.append(torch.nn.Flatten())
            layer = torch.nn.Linear(W.shape[2], W.shape[1], dtype=W.dtype)
        layer.load_state_dict({"weight": W[s], "bias": b[s]})
        layers.append(layer)
        if depth < len(networks.weights):
            layers.append(act())
        if isinstance(architecture, CNN) and depth == architecture.pool_after:
            layers.append(torch.nn.MaxPool2d(2))
    return torch.nn.Sequential(*layers)


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_same_as_one_torch_network_at_a_time(architecture, optimiser):
    options = dict(optimiser=optimiser, learning_rate=0.01, batch_size=50, dtype=torch.float64)
    start = train(architecture, DIGITS, LABELS, [3, 4], epochs=0, **options)
    end = train(architecture, DIGITS, LABELS, [3, 4], epochs=2, **options)
    images = torch.as_tensor(DIGITS) if isinstance(architecture, MLP) else torch.as_tensor(
        DIGITS)[:, None]
    for s in range(2):
        module = as_torch_module(start, s)
        rule = (torch.optim.Adam(module.parameters(), lr=0.01) if optimiser == "adam"
                else torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9))
        order = torch.Generator().manual_seed(0)
        for _ in range(2):
            for batch in torch.randperm(300, generator=order).split(50):
                rule.zero_grad()
                torch.nn.functional.cross_entropy(
                    module(images[batch]), torch.as_tensor(LABELS[batch])).backward()
                rule.step()
        np.testing.assert_allclose(end.activations(DIGITS)[-1][s],
                                   module(images).detach().numpy(), atol=1e-9)


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_a_network_does_not_depend_on_its_companions(architecture):
    together = train(architecture, DIGITS, LABELS, [0, 7, 2], epochs=2, dtype=torch.float64)
    alone = train(architecture, DIGITS, LABELS, [7], epochs=2, dtype=torch.float64)
    for a, b in zip(together.activations(DIGITS), alone.activations(DIGITS), strict=True):
        np.testing.assert_allclose(a[1], b[0], atol=1e-9)


def test_shapes_of_activations():
    cnn = train(CNN((4, 5, 6), pool_after=2), DIGITS, LABELS, range(3), epochs=0)
    assert [a.shape for a in cnn.activations(DIGITS)] == [
        (3, 300, 4, 8, 8), (3, 300, 5, 4, 4), (3, 300, 6, 4, 4), (3, 300, 10)]
    mlp = train(MLP((12, 9)), DIGITS, LABELS, range(3), epochs=0)
    assert [a.shape for a in mlp.activations(DIGITS)] == [(3, 300, 12), (3, 300, 9), (3, 300, 10)]


def test_networks_learn_and_differ():
    networks = train(MLP((32,)), DIGITS, LABELS, range(4), epochs=30)
    assert (networks.accuracy(DIGITS, LABELS) > 0.97).all()
    assert (networks.weights[0][0] - networks.weights[0][1]).abs().max() > 0.1
    untrained = train(MLP((32,)), DIGITS, LABELS, range(4), epochs=0)
    assert (untrained.accuracy(DIGITS, LABELS) < 0.5).all()


@pytest.mark.parametrize("initialisation, kurtosis", [("normal", 3.0), ("uniform", 1.8)])
def test_initial_weights(initialisation, kurtosis):
    start = train(MLP((400,)), DIGITS, LABELS, [0], epochs=0, initialisation=initialisation)
    w = start.weights[0].numpy().ravel()
    assert w.var() == pytest.approx(2 / 64, rel=0.05)
    assert np.mean(w**4) / w.var() ** 2 == pytest.approx(kurtosis, rel=0.05)


@pytest.mark.parametrize("change, message", [
    (dict(optimiser="lion"), "optimiser must be one of adam, sgd, got 'lion'"),
    (dict(initialisation="zeros"), "initialisation must be one of normal, uniform"),
    (dict(architecture=MLP(activation="step")), "activation must be one of"),
    (dict(learning_rate=0), "learning_rate"),
    (dict(epochs=-1), "epochs"),
    (dict(seeds=[]), "at least one seed"),
    (dict(y=LABELS[:5]), r"shape \(300,\), got \(5,\)"),
    (dict(X=DIGITS * np.nan), "not finite"),
    (dict(architecture=CNN(), X=DIGITS.reshape(300, 64)), "height, width"),
])
def test_bad_input(change, message):
    options = dict(architecture=MLP((4,)), X=DIGITS, y=LABELS, seeds=[0], epochs=1) | change
    with pytest.raises(ValueError, match=message):
        train(**options)
