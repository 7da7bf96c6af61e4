"""Layout by assignment against all permutations; the mathematics of the collapse."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import grid
from hblib.grid import (
    assign_units,
    best_response,
    coordinate_gradient,
    gradient_flow,
    inward,
    spread,
)

SHAPE = (8, 8)
LATTICE = grid.lattice(SHAPE)
RING = grid.ring_centres(5, SHAPE)
seeds = st.integers(0, 2**32 - 1)


def penalty(Q, positions, centres, sigma, kind="kl"):
    log_P = grid.log_surfaces(positions, centres, sigma)
    return float(grid.surface_penalty(1e8 * np.asarray(Q), np.arange(len(Q)), log_P, kind))


# --- assignment ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["kl", "symmetric"])
@pytest.mark.parametrize("seed", range(4))
def test_assignment_is_the_best_of_all_permutations(kind, seed):
    rng = np.random.default_rng(seed)
    shape, y = (2, 3), np.array([0, 1, 1, 2, 0, 1])
    centres, H = grid.uniform_positions(3, shape, rng), rng.random((6, 6)) ** 3
    z = grid.lattice(shape)

    def value(cells):
        log_P = grid.log_surfaces(z[list(cells)], centres, 1.1)
        return float(grid.surface_penalty(H, y, log_P, kind))

    best = min(map(value, itertools.permutations(range(6))))
    assert value(assign_units(H, y, shape, centres, 1.1, kind)) == pytest.approx(best, abs=1e-12)


@given(seeds, st.sampled_from(["kl", "cross_entropy", "symmetric"]), st.floats(0.7, 4))
@settings(deadline=None, max_examples=40)
def test_assignment_never_increases_the_penalty(seed, kind, sigma):
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(5), rng.integers(5, size=15)])
    H = rng.random((2, 20, 64)) ** rng.integers(1, 6)
    H[H < 0.1] = 0  # silent units, as of a ReLU
    before = grid.surface_penalty(H, y, grid.log_surfaces(LATTICE, RING, sigma), kind)
    rule = "symmetric" if kind == "symmetric" else "kl"
    cells = assign_units(torch.as_tensor(H), y, SHAPE, RING, sigma, rule)
    assert (np.sort(cells, axis=-1) == np.arange(64)).all()
    after = grid.surface_penalty(H, y, grid.log_surfaces(LATTICE[cells], RING, sigma), kind)
    assert (after <= before + 1e-9).all()


def test_assignment_undoes_a_shuffle():
    y = np.arange(5)
    wanted = grid.log_surfaces(LATTICE, RING, 1.5).exp().numpy()
    shuffle = np.random.default_rng(0).permutation(64)
    cells = assign_units(1e4 * wanted[:, shuffle], y, SHAPE, RING, 1.5)
    np.testing.assert_allclose(wanted[:, shuffle][:, np.argsort(cells)], wanted, atol=1e-9)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"shape": (8, 9)}, "has 72 units"),
        ({"y": [0, 1, 2, 4, 4, 3, 0]}, "shape"),
        ({"y": [0, 1, 2, 4, 4, 0]}, "class 3 has none"),
        ({"y": [0, 1, 2, 3, 4, 5]}, "classes from 0 to 4"),
        ({"sigma": 0}, "sigma must be above 0, got 0"),
        ({"kind": "reverse"}, "kind must be one of"),
        ({"H": -np.ones((6, 64))}, "must not be negative"),
    ],
)
def test_errors_of_assignment_name_what_is_wrong(change, said):
    options = dict(H=np.ones((6, 64)), y=[0, 1, 2, 3, 4, 0], shape=SHAPE, centres=RING, sigma=1.0)
    with pytest.raises(ValueError, match=said):
        assign_units(**(options | change))


# --- the gradient --------------------------------------------------------------------------------


@given(seeds, st.floats(0.8, 4))
@settings(deadline=None, max_examples=25)
def test_gradient_has_the_form_given(seed, sigma):
    rng = np.random.default_rng(seed)
    z, Q = grid.uniform_positions(30, SHAPE, rng), rng.random((5, 30)) + 0.01
    Q /= Q.sum(axis=1, keepdims=True)
    P = grid.log_surfaces(z, RING, sigma).exp().numpy()
    log_P = grid.log_surfaces(z, RING, sigma).numpy()
    ratio = log_P - np.log(Q)
    kl = (P * ratio).sum(axis=1, keepdims=True)
    way = (RING[:, None] - z) / sigma**2
    forward = (P * (ratio - kl))[..., None] * way / 5
    reverse = (P - Q)[..., None] * way / 5
    found = coordinate_gradient(z, RING, sigma, 7 * Q)
    np.testing.assert_allclose(found, forward.sum(axis=0), atol=1e-7)
    found = coordinate_gradient(z, RING, sigma, Q, kind="reverse")
    np.testing.assert_allclose(found, reverse.sum(axis=0), atol=1e-7)
    # The centres feel the same forces, the other way round.
    found = coordinate_gradient(z, RING, sigma, Q, learn="centres")
    np.testing.assert_allclose(found, -forward.sum(axis=1), atol=1e-7)


def test_entropy_makes_the_difference_between_kl_and_cross_entropy():
    """A layer blind to classes: KL pulls inwards, cross-entropy does not pull at all."""
    z = grid.uniform_positions(64, SHAPE, rng=0)
    Q = np.ones((5, 64))
    centre = RING.mean(axis=0)
    assert inward(z, coordinate_gradient(z, RING, 3.0, Q), centre) > 0.7
    force = np.abs(coordinate_gradient(z, RING, 3.0, Q)).max()
    assert np.abs(coordinate_gradient(z, RING, 3.0, Q, "cross_entropy")).max() < 1e-9 * force


def test_entropy_of_a_surface_falls_towards_the_border():
    """So the cross-entropy, which has it in, drives learned centres out of the grid."""
    for row in (3.5, 7.0, 9.0):
        log_P = grid.log_surfaces(LATTICE, [[row, 3.5]], 1.5)
        entropy = -float((log_P.exp() * log_P).sum())
        inner = grid.log_surfaces(LATTICE, [[row - 0.5, 3.5]], 1.5)
        if row > 4:
            assert entropy < -float((inner.exp() * inner).sum())
    blind = np.ones((1, 64))
    pushed = coordinate_gradient(LATTICE, [[7.0, 3.5]], 1.5, blind, "kl", learn="centres")
    assert pushed[0, 0] > 0.01  # down the gradient of KL is towards the middle


def test_contrast_does_not_pull_where_surfaces_are_equally_flat():
    square = grid.ring_centres(4, SHAPE)
    Q = np.ones((4, 64))
    pull = coordinate_gradient(LATTICE, square, 2.0, Q)
    assert inward(LATTICE, pull, [3.5, 3.5]) > 0.3
    contrast = coordinate_gradient(LATTICE, square, 2.0, Q, kind="contrastive")
    assert np.abs(contrast).max() < 1e-9 * np.abs(pull).max()


# --- collapse ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["kl", "reverse", "symmetric"])
def test_units_collapse_against_a_layer_blind_to_classes(kind):
    start = grid.uniform_positions(64, SHAPE, rng=1)
    path = gradient_flow(start, RING, 2.0, [0, 100], kind)
    assert spread(path[0]) > 2
    assert spread(path[1]) < 1e-3
    blind = np.full((5, 64), 1 / 64)
    assert penalty(blind, path[0], RING, 2.0, kind) > 0.5
    assert penalty(blind, path[1], RING, 2.0, kind) < 1e-6
    assert np.linalg.norm(path[1].mean(axis=0) - RING.mean(axis=0)) < 0.5


def test_cross_entropy_leaves_units_where_they_are():
    start = grid.uniform_positions(64, SHAPE, rng=1)
    np.testing.assert_allclose(gradient_flow(start, RING, 2.0, [0, 100], "cross_entropy")[1], start)


def test_near_collapse_time_is_counted_in_decays():
    start = RING.mean(axis=0) + 0.01 * np.random.default_rng(0).normal(size=(64, 2))
    path = gradient_flow(start, RING, 2.0, [0, 1, 2])
    np.testing.assert_allclose(spread(path[1:]) / spread(path[:-1]), np.exp(-1), rtol=0.02)


@pytest.mark.parametrize("knowledge", [0.0, 0.9])
def test_centres_collapse_and_keep_their_centroid(knowledge):
    # In the middle of a wide grid, so that no surface is cut off by the border.
    z = grid.lattice((20, 20))
    start = 6 + grid.uniform_positions(8, (8, 8), rng=2)
    path = gradient_flow(
        z, start, 2.5, [0, 5, 400], learn="centres", response=lambda P: best_response(P, knowledge)
    )
    assert spread(path[2]) < 1e-2 * spread(path[0])
    assert (np.diff(spread(path)) < 0).all()
    np.testing.assert_allclose(path.mean(axis=1), np.tile(start.mean(axis=0), (3, 1)), atol=0.05)


def test_a_layer_that_knows_the_classes_does_not_pull_at_centres():
    pull = coordinate_gradient(
        LATTICE, RING, 2.0, grid.log_surfaces(LATTICE, RING, 2.0).exp(), learn="centres"
    )
    assert np.abs(pull).max() < 1e-8


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_moment_updates_contract_by_the_share_of_even_activity(share):
    z = grid.lattice((30, 30))
    middle = np.array([14.5, 14.5])
    mu = middle + [[4.0, 0.5], [-2.0, 3.0]]
    even = np.full(900, 1 / 900)
    for _ in range(3):
        P = grid.log_surfaces(z, mu, 1.5).exp().numpy()
        moved = grid.centroids((1 - share) * P + share * even, z)
        np.testing.assert_allclose(moved - middle, (1 - share) * (mu - middle), atol=1e-3)
        mu = moved


def test_linear_response_predicts_the_layout_at_rest():
    rng = np.random.default_rng(3)
    Q = np.exp(0.02 * rng.normal(size=(5, 64)))
    start = RING.mean(axis=0) + 0.01 * rng.normal(size=(64, 2))
    end = gradient_flow(start, RING, 2.0, [0, 60], response=lambda P: torch.as_tensor(Q))[-1]
    measured = (end - end.mean(axis=0)).ravel()
    predicted = grid.linear_response(RING, 2.0, Q).ravel()
    slope = measured @ predicted / (predicted @ predicted)
    assert slope == pytest.approx(1, abs=0.02)
    assert np.corrcoef(measured, predicted)[0, 1] > 0.999
    # Half the modulation, half the layout.
    half = grid.linear_response(RING, 2.0, np.sqrt(Q)).ravel()
    np.testing.assert_allclose(half, predicted / 2, atol=1e-12)


def test_measures_of_width():
    points = np.array([[0.0, 0.0], [0.0, 6.0], [8.0, 0.0], [8.0, 6.0]])
    assert spread(points) == pytest.approx(5)
    assert inward(points, points - [4, 3], [4, 3]) == pytest.approx(1)
    assert inward(points, [4, 3] - points, [4, 3]) == pytest.approx(-1)
    assert spread(np.stack([points, 2 * points])).tolist() == pytest.approx([5, 10])


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: gradient_flow(LATTICE, RING, 1.0, [1, 2]), "times must rise from 0"),
        (lambda: gradient_flow(LATTICE, RING, 1.0, [0, 2], learn="both"), "learn must be one of"),
        (lambda: gradient_flow(LATTICE, RING, -1.0, [0, 2]), "sigma must be above 0"),
        (lambda: grid.linear_response([[0, 0], [1, 1], [2, 2]], 1, np.ones((3, 4))), "line"),
        (lambda: inward(RING, 0 * RING, [0, 0]), "gradient must not be zero"),
    ],
)
def test_errors_name_what_is_wrong(call, said):
    with pytest.raises(ValueError, match=said):
        call()
