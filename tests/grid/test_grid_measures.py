"""Measures of a grid against brute force, their nulls and scikit-learn."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from hblib import grid
from hblib.grid import (
    ablation,
    centroids,
    class_information,
    class_maps,
    decode_classes,
    morans_i,
    random_masks,
    regions,
    selectivity,
    source_mask,
    suppressed,
)

seeds = st.integers(0, 2**32 - 1)
SHAPE = (9, 9)
LATTICE = grid.lattice(SHAPE)
CENTRES = grid.ring_centres(4, SHAPE)


# --- maps ----------------------------------------------------------------------------------------


def test_class_maps_are_means_of_what_is_shown():
    H, y = np.random.default_rng(0).random((2, 6, 5)), np.array([1, 0, 1, 2, 2, 2])
    Q = (H + grid.EPS) / (H + grid.EPS).sum(axis=-1, keepdims=True)
    maps = class_maps(H, y)
    np.testing.assert_allclose(maps.sum(axis=-1), 1)
    np.testing.assert_allclose(maps[1, 2], Q[1, 3:].mean(axis=0))
    np.testing.assert_allclose(maps[0, 1], Q[0, [0, 2]].mean(axis=0))


@given(seeds, st.integers(2, 6), st.integers(2, 12))
@settings(deadline=None, max_examples=40)
def test_information_is_scikit_learns(seed, n_classes, n_units):
    rng = np.random.default_rng(seed)
    # Whole counts, so that scikit-learn may take them for a contingency table.
    table = rng.integers(0, 4, (n_classes, n_units))
    table[:, 0] += 1
    prior = table.sum(axis=1) / table.sum()
    expected = mutual_info_score(None, None, contingency=table)
    assert class_information(table, prior) == pytest.approx(expected, abs=1e-12)


def test_information_of_a_batch_and_its_bounds():
    apart, alike = np.eye(4), np.ones((4, 4))
    np.testing.assert_allclose(class_information([apart, alike]), [np.log(4), 0], atol=1e-12)


def test_information_of_surfaces_vanishes_with_the_spread():
    wide = class_information(grid.log_surfaces(LATTICE, CENTRES, 1.5).exp())
    narrow = class_information(grid.log_surfaces(4 + 1e-4 * LATTICE, CENTRES, 1.5).exp())
    assert wide > 0.9
    assert narrow < 1e-6


@given(seeds, st.booleans())
@settings(deadline=None, max_examples=30)
def test_morans_i_by_brute_force(seed, torus):
    h, w = 4, 5
    maps = np.random.default_rng(seed).random((3, h * w))
    expected = []
    for x in maps - maps.mean(axis=1, keepdims=True):
        total, pairs = 0, 0
        for i, j in itertools.product(range(h * w), repeat=2):
            down, right = np.abs(np.subtract(divmod(i, w), divmod(j, w)))
            if torus:
                down, right = min(down, h - down), min(right, w - right)
            if down + right == 1:
                total, pairs = total + x[i] * x[j], pairs + 1
        expected.append(h * w / pairs * total / (x @ x))
    np.testing.assert_allclose(morans_i(maps, (h, w), torus), expected)


@pytest.mark.parametrize("shape", [(2, 3), (1, 6)])
def test_morans_i_has_its_null_mean_over_all_orders(shape):
    values = np.random.default_rng(0).random(6) ** 2
    orders = np.array(list(itertools.permutations(values)))
    assert morans_i(orders, shape).mean() == pytest.approx(-1 / 5)


def test_morans_i_tells_smooth_from_shuffled():
    P = grid.log_surfaces(LATTICE, CENTRES, 2.0).exp().numpy()
    assert morans_i(P, SHAPE).min() > 0.8
    shuffled = np.random.default_rng(0).permuted(P, axis=1)
    assert np.abs(morans_i(shuffled, SHAPE)).max() < 0.3


# --- regions -------------------------------------------------------------------------------------


def test_surfaces_lie_in_their_regions_and_are_decoded():
    P = grid.log_surfaces(LATTICE, CENTRES, 1.0).exp().numpy()
    masks = regions(LATTICE, CENTRES, 2.5)
    assert (P * masks).sum(axis=1).min() > 0.9
    assert decode_classes(P, masks).tolist() == decode_classes(P, P).tolist() == [0, 1, 2, 3]
    # The border cuts a little off the far side of each.
    np.testing.assert_allclose(centroids(P, LATTICE), CENTRES, atol=0.25)
    # Not the larger region wins, but the more active.
    assert decode_classes([[0.9, 0.4, 0.4, 0.4]], [[1, 0, 0, 0], [0, 1, 1, 1]]).tolist() == [0]
    assert (P * np.roll(masks, 1, axis=0)).sum(axis=1).max() < 0.1


def test_regions_follow_units_that_have_moved():
    order = np.random.default_rng(0).permutation(81)
    masks = regions(LATTICE, CENTRES, 2.0)
    moved = regions(np.stack([LATTICE, LATTICE[order]]), CENTRES, 2.0)
    assert np.array_equal(moved, np.stack([masks, masks[:, order]]))


def test_random_masks_are_as_large_and_elsewhere():
    masks = regions(LATTICE, CENTRES, 2.0)
    drawn = random_masks(masks, rng=0)
    assert np.array_equal(drawn.sum(axis=1), masks.sum(axis=1))
    assert (drawn & masks).sum() < 0.5 * masks.sum()
    assert np.array_equal(drawn, random_masks(masks, rng=0))


def test_the_sources_mask_is_mild():
    strength = source_mask(LATTICE, [[4.0, 4.0]], 1.0)
    assert strength.max() == pytest.approx(0.2251, abs=1e-4)
    assert strength.sum() == pytest.approx(np.sqrt(2), abs=1e-3)  # a density would sum to 1


# --- ablation ------------------------------------------------------------------------------------


def network_of_two_detectors():
    """Unit 0 says class 0, units 1 and 2 class 1; a bias decides for class 1."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]))
        model[0].bias.zero_()
        model[2].weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
        model[2].bias.copy_(torch.tensor([0.0, 0.1]))
    return model


def test_ablation_of_a_network_known_by_construction():
    model = network_of_two_detectors()
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]), np.array([0, 1, 0])
    masks = [[1, 0, 0], [0, 1, 1], [0, 1, 0], [0.95, 0, 0]]
    losses = ablation(model, [model[1]], X, y, np.array(masks))
    # Without unit 0 both samples of class 0 are lost; at 5 % of it, the weaker one.
    assert losses.tolist() == [[1, 0], [0, 0], [0, 0], [0.5, 0]]
    own, others = selectivity(losses[:2])
    assert own.tolist() == [1, 0]
    assert others.tolist() == [0, 0]


def test_suppression_ends_with_its_context_even_after_an_error():
    model, X = network_of_two_detectors(), torch.tensor([[1.0, 0.0]])
    before = model(X)
    with suppressed([model[1]], [[1, 1, 1]]):
        assert model(X).tolist() == [[0.0, pytest.approx(0.1)]]
    assert torch.equal(model(X), before)
    with (
        pytest.raises(ValueError, match="2 given for a layer of 3"),
        suppressed([model[1]], [[1, 0]]),
    ):
        model(X)
    assert torch.equal(model(X), before)


def test_many_networks_with_layouts_of_their_own():
    from hblib import models

    rng = np.random.default_rng(0)
    y = np.arange(60) % 4
    X = 3 * np.eye(4)[y] + rng.normal(size=(60, 4))
    networks = models.Networks(models.MLP((81,), "sigmoid"), 4, 4, [0, 1, 2], "glorot")
    penalty = grid.LayerPenalty(networks.hidden, grid.GaussianGrid(SHAPE, CENTRES, 1.5), 1.0)
    models.train_networks(networks, X, y, penalty=penalty, epochs=30, learning_rate=0.01)
    cells = grid.assign_units(networks.activations(X)[0], y, SHAPE, CENTRES, 1.5)
    masks = regions(LATTICE[cells], CENTRES, 2.5)  # (networks, classes, units)
    losses = ablation(networks, networks.hidden, X, y, masks.swapaxes(0, 1))
    assert losses.shape == (4, 3, 4)
    for s in range(3):
        mine = [ablation(networks, networks.hidden, X, y, m)[0, s] for m in masks[s][:, None]]
        np.testing.assert_allclose(losses[:, s], mine)
    own, others = selectivity(losses)
    assert own.shape == (3, 4)
    assert own.mean() > others.mean()


def detectors_in(dtype):
    return network_of_two_detectors().to(dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_ablation_keeps_the_precision_of_the_model(dtype):
    X, y = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]), np.array([0, 1, 0])
    masks = np.array([[1, 0, 0], [0.92, 0, 0]])
    model = detectors_in(dtype)
    for inputs in (X, torch.as_tensor(X), torch.tensor(X, dtype=dtype, requires_grad=True)):
        assert ablation(model, [model[1]], inputs, y, masks).tolist() == [[1, 0], [0.5, 0]]
    assert model[0].weight.dtype == dtype


def test_ablation_reads_token_ids():
    model = torch.nn.Sequential(torch.nn.Embedding(2, 2), torch.nn.Flatten(), torch.nn.Identity())
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(2) + 0.1)
    losses = ablation(model, [model[2]], [[0], [1]], [0, 1], [[1, 0], [0, 1]])
    assert losses.tolist() == [[1, 0], [0, 1]]


def test_ablation_evaluates_and_leaves_the_mode_alone():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Dropout())
    model[1].eval()  # frozen by its owner
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first, second = (
        ablation(model, [model[0]], np.eye(2), [0, 1], np.zeros((1, 2))) for _ in range(2)
    )
    assert (first == 0).all() and (second == 0).all()  # no dropout
    assert [module.training for module in model] == [True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_measures_take_tensors_frames_and_whole_numbers():
    pandas = pytest.importorskip("pandas")
    H, y = np.random.default_rng(0).integers(0, 9, (6, 4)), [0, 1, 0, 1, 2, 2]
    expected = class_maps(H.astype(float), y)
    as_tensor = torch.tensor(H, dtype=torch.bfloat16, requires_grad=True)
    for same in (H, as_tensor, pandas.DataFrame(H), np.asfortranarray(H)):
        np.testing.assert_allclose(class_maps(same, y), expected)
        assert np.array_equal(decode_classes(same, np.eye(4)), H.argmax(axis=1))
    assert class_maps(H, torch.tensor(y, dtype=torch.uint8)).shape == (3, 4)


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: class_maps(np.ones((3, 4)), [0, 2, 2]), "class 1 has none"),
        (lambda: class_maps(-np.ones((3, 4)), [0, 1, 1]), "not negative"),
        (lambda: regions(LATTICE, CENTRES, 0), "radius must be above 0, got 0"),
        (lambda: regions(LATTICE, CENTRES + 0.4, 0.1), "leaves a class without units"),
        (lambda: morans_i(np.ones(81), SHAPE), "must not be constant"),
        (lambda: morans_i(np.ones(80), SHAPE), "does not fit maps of the shape"),
        (lambda: class_information(np.ones((2, 3)), [0.5, 0.6]), "shares that sum to 1"),
        (lambda: source_mask(LATTICE, CENTRES, 0.1), "at least 0.475"),
        (lambda: centroids(np.zeros((1, 81)), LATTICE), "must have some activity"),
        (lambda: decode_classes(np.ones((2, 81)), np.eye(81)[:2] * [[1], [0]]), "at least one un"),
        (lambda: selectivity(np.ones((2, 3))), "one mask per class, got 2 for 3"),
    ],
)
def test_errors_name_what_is_wrong(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_masks_that_do_not_fit_are_refused():
    model = network_of_two_detectors()
    X, y = np.eye(2), np.array([0, 1])
    with pytest.raises(ValueError, match="between 0 and 1"):
        ablation(model, [model[1]], X, y, 2 * np.ones((1, 3)))
    with pytest.raises(ValueError, match="one array per layer"):
        ablation(model, [model[1]], X, y, [np.ones((1, 3)), np.ones((1, 3))])
