"""Maps without classes: penalties against numpy and finite differences, the smoothest order."""

import numpy as np
import pytest
import torch

from hblib import grid

SHAPE = (5, 6)


def hidden_map(n_samples=300, shape=SHAPE, noise=0.05, seed=0):
    """Units that are active about a place that differs from sample to sample."""
    rng = np.random.default_rng(seed)
    z = grid.lattice(shape)
    places = rng.uniform(0, np.array(shape) - 1, (n_samples, 2))
    squares = ((places[:, None] - z) ** 2).sum(axis=-1)
    return np.exp(-squares / 4) + noise * rng.normal(size=(n_samples, len(z)))


def test_smoothness_is_a_correlation_of_correlations():
    H, z = hidden_map(), grid.lattice(SHAPE).astype(float)
    one, other = np.triu_indices(len(z), 1)
    d = 1 / (1 + np.linalg.norm(z[one] - z[other], axis=1))
    expected = (1 - np.corrcoef(np.corrcoef(H.T)[one, other], d)[0, 1]) / 2
    np.testing.assert_allclose(grid.smoothness_penalty(H, SHAPE), expected, atol=1e-6)


def test_an_arbitrary_order_is_worth_nothing():
    H, rng = hidden_map(), np.random.default_rng(1)
    mixed = [float(grid.smoothness_penalty(H[:, rng.permutation(30)], SHAPE)) for _ in range(50)]
    assert float(grid.smoothness_penalty(H, SHAPE)) < 0.1
    assert np.mean(mixed) == pytest.approx(0.5, abs=0.02)


def test_smoothness_ignores_the_scale_of_each_unit_and_dead_units_have_a_gradient():
    H = torch.tensor(hidden_map())
    scales = torch.linspace(1, 9, 30)
    torch.testing.assert_close(
        grid.smoothness_penalty(H * scales + 2, SHAPE), grid.smoothness_penalty(H, SHAPE)
    )
    dead = torch.zeros(4, 30, requires_grad=True)
    grid.smoothness_penalty(dead, SHAPE).backward()
    assert torch.isfinite(dead.grad).all()


def test_a_batch_of_one_sample_says_nothing():
    H = torch.rand(2, 1, 30, requires_grad=True)
    penalty = grid.smoothness_penalty(H, SHAPE)
    assert penalty.tolist() == [0.5, 0.5]
    penalty.sum().backward()
    assert (H.grad == 0).all()


def test_a_term_of_a_layer_penalty_makes_networks_smoother():
    from hblib import models

    X, y = np.random.default_rng(0).normal(size=(65, 4)).astype(np.float32), np.arange(65) % 3
    nets = models.Networks(models.MLP((30,)), 4, 3, [0, 1])
    penalty = grid.LayerPenalty(
        nets.hidden, lambda H, y: grid.smoothness_penalty(H, SHAPE), weight=10.0
    )
    before = grid.smoothness_penalty(nets.activations(X, readout=False)[0], SHAPE)
    models.train_networks(nets, X, y, penalty=penalty, epochs=20, learning_rate=0.01)
    after = grid.smoothness_penalty(nets.activations(X, readout=False)[0], SHAPE)
    assert (after < before - 0.05).all()


@pytest.mark.parametrize("penalty", [grid.smoothness_penalty, grid.blur_penalty])
def test_the_gradient_is_that_of_finite_differences(penalty):
    H = torch.tensor(hidden_map(6, (3, 4)), requires_grad=True)
    inputs = H if penalty is grid.smoothness_penalty else H.T.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda X: penalty(X, (3, 4)), inputs)


@pytest.mark.parametrize("penalty", [grid.smoothness_penalty, grid.blur_penalty])
def test_each_network_has_its_own(penalty):
    many = torch.rand(3, 30, 30, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        penalty(many, SHAPE), torch.stack([penalty(one, SHAPE) for one in many])
    )


def test_blurring_keeps_what_is_smooth():
    W = hidden_map().T  # each sample is taken for an input
    order = np.random.default_rng(2).permutation(30)
    flat = np.full((30, 4), 3.0)
    assert float(grid.blur_penalty(flat, SHAPE, 2)) == pytest.approx(0, abs=1e-6)
    assert 2 * grid.blur_penalty(W, SHAPE, 2) < grid.blur_penalty(W[order], SHAPE, 2)


def test_the_order_that_was_hidden_is_found_up_to_reflections():
    H = hidden_map()
    order = np.random.default_rng(3).permutation(30)
    cells = grid.arrange_units(H[:, order], SHAPE, rng=0)
    assert sorted(cells) == list(range(30))
    found = grid.smoothness_penalty(H[:, order][:, np.argsort(cells)], SHAPE)
    true, mixed = (grid.smoothness_penalty(X, SHAPE) for X in (H, H[:, order]))
    assert found < true + 0.1 * (mixed - true)
    np.testing.assert_array_equal(cells, grid.arrange_units(H[:, order], SHAPE, rng=0))


def test_more_starts_are_never_worse():
    H = np.random.default_rng(4).normal(size=(40, 30))
    worth = []
    for n_starts in (1, 6):
        cells = grid.arrange_units(H, SHAPE, rng=0, n_starts=n_starts)
        worth.append(float(grid.smoothness_penalty(H[:, np.argsort(cells)], SHAPE)))
    assert worth[1] <= worth[0] + 1e-12 < 0.5


def test_no_exchange_of_two_units_makes_the_order_smoother():
    H = np.random.default_rng(5).normal(size=(40, 30))
    cells = grid.arrange_units(H, SHAPE, rng=0, n_starts=1)
    units = np.argsort(cells)
    best = float(grid.smoothness_penalty(H[:, units], SHAPE))
    for i, j in zip(*np.triu_indices(30, 1)):
        other = units.copy()
        other[[i, j]] = other[[j, i]]
        assert float(grid.smoothness_penalty(H[:, other], SHAPE)) > best - 1e-9


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: grid.smoothness_penalty(np.ones((4, 5)), (2, 3)), "has 6 units"),
        (lambda: grid.smoothness_penalty(np.ones((3, 2)), (1, 2)), "different distances"),
        (lambda: grid.blur_penalty(np.ones((5, 4)), (2, 3)), "has 6 units"),
        (lambda: grid.blur_penalty(np.ones(6), (2, 3)), "n_units, n_inputs"),
        (lambda: grid.blur_penalty(np.ones((6, 4)), (2, 3), 4), "must leave a cell"),
        (lambda: grid.arrange_units(np.ones((1, 6)), (2, 3), 0), "at least 2 samples"),
        (lambda: grid.arrange_units(np.ones((4, 5)), (2, 3), 0), "has 6 units"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
