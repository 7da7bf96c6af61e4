"""Many networks at once against torch's own layers, one network at a time; penalties on a grid."""

import copy
import functools
import io

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from hblib import grid, models
from hblib.models import CNN, MLP, Networks, train_networks

ARCHITECTURES = [
    MLP((12, 9)),
    MLP((12,), activation="linear"),
    CNN((4, 5, 6)),
    CNN((4,), pool_after=0, activation="tanh"),
]


@functools.cache
def digits():
    """300 images of 8 x 8, and their labels."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X.reshape(-1, 8, 8)[:300] / 16, y[:300]


def as_torch_module(networks, s):
    """Network s as an ordinary torch.nn.Sequential with the same weights."""
    architecture = networks.architecture
    act = {
        "relu": torch.nn.ReLU,
        "linear": torch.nn.Identity,
        "tanh": torch.nn.Tanh,
        "sigmoid": torch.nn.Sigmoid,
    }[architecture.activation]
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
    X, y = digits()
    options = dict(optimiser=optimiser, learning_rate=0.01, batch_size=50, dtype=torch.float64)
    start = train_networks(architecture, X, y, [3, 4], epochs=0, **options)
    end = train_networks(architecture, X, y, [3, 4], epochs=2, **options)
    images = torch.as_tensor(X) if isinstance(architecture, MLP) else torch.as_tensor(X)[:, None]
    for s in range(2):
        module = as_torch_module(start, s)
        rule = (
            torch.optim.Adam(module.parameters(), lr=0.01)
            if optimiser == "adam"
            else torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
        )
        order = torch.Generator().manual_seed(0)
        for _ in range(2):
            for batch in torch.randperm(300, generator=order).split(50):
                rule.zero_grad()
                cross_entropy(module(images[batch]), torch.as_tensor(y[batch])).backward()
                rule.step()
        np.testing.assert_allclose(
            end.activations(X)[-1][s], module(images).detach().numpy(), atol=1e-9
        )


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=str)
def test_a_network_does_not_depend_on_its_companions(architecture):
    X, y = digits()
    together = train_networks(architecture, X, y, [0, 7, 2], epochs=2, dtype=torch.float64)
    alone = train_networks(architecture, X, y, [7], epochs=2, dtype=torch.float64)
    for a, b in zip(together.activations(X), alone.activations(X), strict=True):
        np.testing.assert_allclose(a[1], b[0], atol=1e-9)


def test_shapes_of_activations():
    X, y = digits()
    cnn = train_networks(CNN((4, 5, 6), pool_after=2), X, y, range(3), epochs=0)
    shapes = [(3, 300, 4, 8, 8), (3, 300, 5, 4, 4), (3, 300, 6, 4, 4), (3, 300, 10)]
    assert [H.shape for H in cnn.activations(X)] == shapes
    assert [H.shape for H in cnn.activations(X, readout=False)] == shapes[:-1]
    mlp = train_networks(MLP((12, 9)), X, y, range(3), epochs=0)
    assert [H.shape for H in mlp.activations(X)] == [(3, 300, 12), (3, 300, 9), (3, 300, 10)]
    np.testing.assert_array_equal(mlp.activations(X)[-1], mlp(torch.as_tensor(X).float()).detach())


def test_hooks_read_and_change_every_hidden_layer():
    X, y = digits()
    cnn = train_networks(CNN((4, 5)), X, y, range(3), epochs=1)
    seen = []
    hook = cnn.hidden[1].register_forward_hook(lambda module, inputs, H: seen.append(H))
    logits = cnn.activations(X)[-1]
    np.testing.assert_array_equal(seen[0], cnn.activations(X)[1])
    hook.remove()
    with grid.suppressed([cnn.hidden[1]], [np.ones(4)]):  # all columns of its 4 x 4 maps
        silent = cnn.activations(X)[-1]
    assert np.ptp(silent, axis=1).max() == 0 < np.ptp(logits, axis=1).min()


def test_networks_can_be_copied_and_saved():
    X, y = digits()
    networks, file = train_networks(MLP((12,), "tanh"), X, y, range(2), epochs=1), io.BytesIO()
    torch.save(networks, file)
    file.seek(0)
    for again in (copy.deepcopy(networks), torch.load(file, weights_only=False)):
        np.testing.assert_array_equal(again.activations(X)[-1], networks.activations(X)[-1])


def test_networks_learn_and_differ():
    X, y = digits()
    networks = train_networks(MLP((32,)), X, y, range(4), epochs=30)
    assert (networks.accuracy(X, y) > 0.97).all()
    assert (networks.weights[0][0] - networks.weights[0][1]).abs().max() > 0.1
    untrained = train_networks(MLP((32,)), X, y, range(4), epochs=0)
    assert (untrained.accuracy(X, y) < 0.5).all()


def test_given_networks_are_trained_on_in_place():
    X, y = digits()
    networks = Networks(MLP((32,)), (8, 8), 10, range(2))
    np.testing.assert_array_equal(
        networks.activations(X)[0],
        train_networks(MLP((32,)), X, y, range(2), epochs=0).activations(X)[0],
    )
    before = networks.accuracy(X, y)
    assert train_networks(networks, X, y, epochs=5) is networks
    assert (networks.accuracy(X, y) > before).all()


@pytest.mark.parametrize(
    "initialisation, activation, variance, kurtosis",
    [
        ("normal", "relu", 2 / 64, 3.0),
        ("uniform", "tanh", 1 / 64, 1.8),
        ("glorot", "relu", 2 * 2 / (64 + 400), 3.0),
        ("glorot", "sigmoid", 16 * 2 / (64 + 400), 3.0),
    ],
)
def test_initial_weights(initialisation, activation, variance, kurtosis):
    start = Networks(MLP((400,), activation), 64, 10, [0], initialisation)
    w = start.weights[0].numpy().ravel()
    assert w.var() == pytest.approx(variance, rel=0.05)
    assert np.mean(w**4) / w.var() ** 2 == pytest.approx(kurtosis, rel=0.05)
    assert (start.biases[0] == 0).all()


def test_any_kind_of_array_trains_the_same_network():
    pandas = pytest.importorskip("pandas")
    X, y = digits()
    X = np.rint(16 * X.reshape(300, 64))
    expected = train_networks(MLP((12,)), X, y, [0], epochs=1).activations(X)[-1]
    frozen = X.copy()
    frozen.flags.writeable = False
    for same, labels in (
        (pandas.DataFrame(X), pandas.Series(y)),
        (torch.tensor(X, requires_grad=True), torch.tensor(y)),
        (torch.tensor(X, dtype=torch.bfloat16), torch.tensor(y, dtype=torch.uint8)),
        (frozen, y.astype(np.uint8)),
        (X.astype(int)[::-1][::-1], y.astype(np.int16)),
    ):
        networks = train_networks(MLP((12,)), same, labels, [0], epochs=1)
        np.testing.assert_array_equal(networks.activations(same)[-1], expected)
        assert networks.accuracy(same, labels).shape == (1,)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(optimiser="lion"), "optimiser must be one of 'adam', 'sgd', got 'lion'"),
        (dict(initialisation="zeros"), "initialisation must be one of 'normal', 'uniform'"),
        (dict(learning_rate=0), "learning_rate must be above 0"),
        (dict(epochs=2.0), "epochs must be a whole number of at least 0, got 2.0"),
        (dict(seeds=[]), "at least one seed"),
        (dict(seeds=None), "an architecture needs seeds"),
        (dict(y=np.zeros(5, int)), r"shape \(300,\), at least one; got int64 of shape \(5,\)"),
        (dict(X=np.full((300, 64), np.nan)), "not finite"),
        (dict(architecture=CNN(), X=np.zeros((300, 64))), "height, width"),
    ],
)
def test_bad_input(change, message):
    options = dict(
        architecture=MLP((4,)), X=np.zeros((300, 64)), y=np.arange(300) % 2, seeds=[0], epochs=1
    )
    with pytest.raises(ValueError, match=message):
        train_networks(**(options | change))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: MLP(activation="step"), "activation must be one of"),
        (lambda: MLP((4, 0)), "widths must be a whole number of at least 1, got 0"),
        (lambda: CNN((4,), pool_after=2), "pool_after must be a whole number from 0 to 1, got 2"),
    ],
)
def test_bad_architectures(make, message):
    with pytest.raises(ValueError, match=message):
        make()


# --- with penalties on a grid --------------------------------------------------------------------

SHAPE = (4, 5)


@functools.cache
def samples():
    """Inputs and labels of three classes."""
    y = np.arange(90) % 3
    return np.random.default_rng(0).normal(size=(90, 6)) + np.eye(6)[y] * 2, y


def networks_on_grids(seeds, widths=(20,), activation="sigmoid"):
    return Networks(MLP(widths, activation), 6, 3, seeds, initialisation="glorot")


def bumps(sigma, *args, **options):
    return grid.GaussianGrid(SHAPE, grid.ring_centres(3, SHAPE), sigma, *args, **options)


def test_same_as_one_torch_network_at_a_time_with_its_own_penalty():
    z = grid.uniform_positions(20, SHAPE, rng=3, size=2)
    weights = [0.0, 0.5]
    networks = networks_on_grids([4, 5], (20, 20))
    starts = [as_torch_module(networks, s) for s in range(2)]
    term = bumps(1.5, positions=z, learn="units")
    penalty = grid.LayerPenalty(networks.hidden, term, weights)
    options = dict(epochs=3, batch_size=30, learning_rate=2e-3, coordinate_rate=0.05)
    train_networks(networks, *samples(), penalty=penalty, **options)

    X, y = torch.as_tensor(samples()[0], dtype=torch.float32), torch.as_tensor(samples()[1])
    for s, model in enumerate(starts):
        own = bumps(1.5, positions=z[s], learn="units")
        own_penalty = grid.LayerPenalty([model[2], model[4]], own, weights[s])
        rule = torch.optim.Adam(
            [{"params": model.parameters(), "lr": 2e-3}, {"params": own.parameters(), "lr": 0.05}]
        )
        order = torch.Generator().manual_seed(0)
        for _ in range(3):
            for batch in torch.randperm(90, generator=order).split(30):
                rule.zero_grad()
                (cross_entropy(model(X[batch]), y[batch]) + own_penalty(y[batch])).backward()
                rule.step()
        with torch.no_grad():
            np.testing.assert_allclose(networks(X)[s].detach(), model(X), atol=1e-4)
        # A unit that no class wants has a gradient of rounding; Adam makes steps of it.
        gap = np.abs(term.positions[s].detach().numpy() - own.positions.detach().numpy())
        assert np.median(gap) < 1e-3
    moved = np.linalg.norm(term.positions.detach().numpy() - z, axis=-1).mean(axis=-1)
    assert moved[0] == pytest.approx(0, abs=1e-6)  # no penalty, no pull
    assert moved[1] > 0.1


def test_a_network_is_the_same_whichever_others_train_beside_it():
    def trained(seeds):
        networks = networks_on_grids(seeds, activation="relu")
        penalty = grid.LayerPenalty(networks.hidden, bumps(1.5))
        train_networks(networks, *samples(), penalty=penalty, epochs=2)
        return networks.activations(samples()[0])[0]

    np.testing.assert_allclose(trained([7, 8])[1], trained([8])[0], atol=1e-5)


def test_training_learns_and_the_penalty_shapes_the_layer():
    X, y = samples()
    networks, term, seen = networks_on_grids([0, 0]), bumps(1.0), []
    penalty = grid.LayerPenalty(networks.hidden, term, [0.0, 1.0])
    train_networks(
        networks, X, y, penalty=penalty, epochs=40, learning_rate=0.01, watch=seen.append
    )
    assert seen == list(range(41))
    assert networks.accuracy(X, y).min() > 0.8
    free, shaped = term(torch.as_tensor(networks.activations(X)[0]), y)
    assert shaped < 0.6 * free


def test_what_does_not_fit_is_said_before_any_training():
    X, y = samples()
    networks = networks_on_grids([0], (21,))
    before = networks.weights[0].clone()
    penalty = grid.LayerPenalty(networks.hidden, bumps(1.0))
    with pytest.raises(ValueError, match="the grid .* has 20 units"):
        train_networks(networks, X, y, penalty=penalty)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
        train_networks(networks, X, y, batch_size=0)
    with pytest.raises(ValueError, match="classes from 0 to 2"):
        train_networks(networks, X, y + 1)
    with pytest.raises(ValueError, match=r"shape \(n_samples, 6\)"):
        train_networks(networks, X[:, :5], y)
    assert torch.equal(networks.weights[0], before)


def test_laying_out_lowers_every_penalty_and_needs_a_grid_per_layer():
    X, y = samples()
    networks = networks_on_grids([0, 1], (20, 20))
    terms = [bumps(1.5, kind) for kind in ("kl", "symmetric")]
    hidden = [torch.as_tensor(H) for H in networks.activations(X, readout=False)]
    before = [term(H, y) for term, H in zip(terms, hidden)]
    penalty = grid.LayerPenalty(networks.hidden, terms)
    models.lay_out_units(networks, penalty, X, y)
    assert terms[0].positions.shape == (2, 20, 2)
    for term, H, old in zip(terms, hidden, before):
        assert (term(H, y) < old - 0.01).all()
        cells = grid.assign_units(H, y, SHAPE, term.centres, 1.5, term.kind)
        np.testing.assert_allclose(term.positions, grid.lattice(SHAPE)[cells])
    with pytest.raises(ValueError, match="grid.GaussianGrid of its own"):
        models.lay_out_units(networks, grid.LayerPenalty(networks.hidden, terms[0]), X, y)


def test_reassignment_happens_in_the_epochs_named():
    networks, term, places = networks_on_grids([0]), bumps(1.5), []
    train_networks(
        networks,
        *samples(),
        penalty=grid.LayerPenalty(networks.hidden, term),
        epochs=4,
        reassign=[0, 2],
        watch=lambda _: places.append(term.positions.numpy().copy()),
    )
    assert places[0].shape == (20, 2)
    assert np.array_equal(places[1], places[2])
    assert np.array_equal(places[3], places[4])
    assert not np.array_equal(places[1][0], places[0])
    for place in places[1:]:
        assert sorted(map(tuple, place[0])) == sorted(map(tuple, grid.lattice(SHAPE)))
