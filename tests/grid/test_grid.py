"""Penalties on a grid against scipy, brute force and finite differences; hooks on any network."""

import copy
import io
import pickle

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from hblib import grid
from hblib.grid import (
    GaussianGrid,
    LayerPenalty,
    adjacency_penalty,
    log_surfaces,
    surface_penalty,
)

SHAPE = (4, 5)
CENTRES = grid.ring_centres(3, SHAPE)
Y = np.array([0, 1, 2, 2, 0, 1, 2])
seeds = st.integers(0, 2**32 - 1)


def activations(seed=0, lead=(), n_units=20, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*lead, len(Y), n_units, generator=generator, dtype=dtype)


def shown(H):
    """Q as the module's text defines it."""
    H = np.asarray(H) + grid.EPS
    return H / H.sum(axis=-1, keepdims=True)


# --- places --------------------------------------------------------------------------------------


def test_units_sit_row_by_row():
    z = grid.lattice((3, 4))
    assert all(tuple(z[i]) == divmod(i, 4) for i in range(12))


def test_a_random_start_fills_the_grid():
    z = grid.uniform_positions(4000, (3, 11), rng=0)
    assert z.min() >= 0
    assert (z.max(axis=0) <= [2, 10]).all()
    np.testing.assert_allclose(z.mean(axis=0), [1, 5], atol=0.15)
    assert grid.uniform_positions(7, (3, 3), rng=0, size=5).shape == (5, 7, 2)


def test_even_centres_fill_the_grid_and_keep_neighbours():
    rng, y = np.random.default_rng(0), np.arange(160) % 16
    line = np.linspace(0, 30, 16)[:, None] * np.ones(10)
    centres = grid.even_centres(line[y] + rng.normal(size=(160, 10)), y, (12, 8), rng=1)
    rows, columns = np.unique(centres[:, 0]), np.unique(centres[:, 1])
    assert rows.tolist() == [1, 4, 7, 10] and columns.tolist() == [0.5, 2.5, 4.5, 6.5]
    assert len(np.unique(centres, axis=0)) == 16
    steps = np.linalg.norm((centres[1:] - centres[:-1]) / [3, 2], axis=1)
    apart = np.linalg.norm((centres[8:] - centres[:8]) / [3, 2], axis=1)
    assert steps.mean() < apart.mean()


def test_tsne_centres_reach_as_far_as_asked_and_keep_neighbours():
    rng = np.random.default_rng(0)
    # Eight classes in four pairs: the partner is far closer than any other class.
    means = np.repeat(20 * rng.normal(size=(4, 10)), 2, axis=0) + rng.normal(size=(8, 10))
    y = np.arange(160) % 8
    centres = grid.tsne_centres(means[y] + rng.normal(size=(160, 10)), y, (16, 32), rng=1, fill=0.9)
    np.testing.assert_allclose(np.abs(centres - [7.5, 15.5]).max(axis=0), [6.75, 13.95])
    np.testing.assert_allclose(centres.mean(axis=0), [7.5, 15.5])
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1) + 1e9 * np.eye(8)
    assert apart.argmin(axis=1).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]


def test_surfaces_are_normalised_gaussians():
    P = log_surfaces(grid.lattice((9, 9)), [[4, 4], [2, 6]], sigma=1.3).exp().numpy()
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert P.argmax(axis=1).tolist() == [4 * 9 + 4, 2 * 9 + 6]
    # Two cells apart along a row: the ratio of two values of a Gaussian.
    np.testing.assert_allclose(P[0, 4 * 9 + 6] / P[0, 4 * 9 + 4], np.exp(-4 / (2 * 1.3**2)))


# --- penalties -----------------------------------------------------------------------------------


@given(seeds, st.sampled_from([(), (2,), (2, 3)]), st.floats(0.6, 5))
@settings(deadline=None, max_examples=30)
def test_divergences_are_scipys(seed, lead, sigma):
    H = activations(seed % 1000, lead)
    log_P = log_surfaces(grid.lattice(SHAPE), CENTRES, sigma)
    P, Q = log_P.exp().numpy()[Y], shown(H)
    P = np.broadcast_to(P, Q.shape)
    forward = scipy.stats.entropy(P, Q, axis=-1).mean(-1)
    reverse = scipy.stats.entropy(Q, P, axis=-1).mean(-1)
    entropy = scipy.stats.entropy(P, axis=-1).mean(-1)
    expected = {
        "kl": forward,
        "reverse": reverse,
        "symmetric": forward + reverse,
        "cross_entropy": forward + entropy,
    }
    for kind, value in expected.items():
        np.testing.assert_allclose(surface_penalty(H, Y, log_P, kind), value, atol=1e-10)


def test_contrastive_penalty_is_the_cross_entropy_of_the_nearest_surface():
    H = activations()
    log_P = log_surfaces(grid.lattice(SHAPE), CENTRES, 1.0)
    kl = scipy.stats.entropy(log_P.exp().numpy(), shown(H)[:, None], axis=-1)  # (samples, classes)
    expected = functional.cross_entropy(torch.as_tensor(-kl), torch.as_tensor(Y))
    np.testing.assert_allclose(surface_penalty(H, Y, log_P, "contrastive"), expected)


@pytest.mark.parametrize("kind", grid.DIVERGENCES)
def test_gradients_of_surfaces_by_finite_differences(kind):
    H = activations(n_units=12).requires_grad_()
    z = torch.tensor(grid.uniform_positions(12, (3, 4), 0), requires_grad=True)
    mu = torch.tensor(grid.ring_centres(3, (3, 4)), requires_grad=True)

    def penalty(H, z, mu):
        return surface_penalty(H, Y, log_surfaces(z, mu, 1.2), kind)

    assert torch.autograd.gradcheck(penalty, (H, z, mu), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("torus", [True, False])
def test_adjacency_by_brute_force_and_finite_differences(root, torus):
    H = activations(lead=(2,)).requires_grad_()
    h, w = SHAPE
    maps = H.detach().numpy().reshape(2, len(Y), h, w)
    total = 0
    for i in range(h):
        for j in range(w):
            for k, m in ((i + 1, j), (i, j + 1)):
                if torus or (k < h and m < w):
                    total = total + (maps[..., i, j] - maps[..., k % h, m % w]) ** 2
    expected = (np.sqrt(total) if root else total).mean(axis=1)
    found = adjacency_penalty(H, SHAPE, root=root, torus=torus)
    np.testing.assert_allclose(found.detach(), expected)
    assert torch.autograd.gradcheck(lambda H: adjacency_penalty(H, SHAPE, root, torus), (H,))


@given(seeds, st.integers(0, 3), st.integers(0, 4))
@settings(deadline=None, max_examples=30)
def test_a_torus_has_no_border(seed, down, right):
    maps = activations(seed % 1000).unflatten(-1, SHAPE)
    shifted = maps.roll((down, right), (-2, -1)).flatten(-2)
    here = adjacency_penalty(maps.flatten(-2), SHAPE, torus=True)
    torch.testing.assert_close(adjacency_penalty(shifted, SHAPE, torus=True), here)


def test_the_shift_test_would_notice_a_border():
    maps = activations().unflatten(-1, SHAPE)
    shifted = maps.roll((1, 2), (-2, -1)).flatten(-2)
    gap = adjacency_penalty(shifted, SHAPE) - adjacency_penalty(maps.flatten(-2), SHAPE)
    assert abs(float(gap)) > 1e-3


def test_a_dead_layer_has_finite_gradients():
    H = torch.zeros(len(Y), 20, requires_grad=True)
    term = GaussianGrid(SHAPE, CENTRES, 1.0, kind="symmetric")
    (adjacency_penalty(H, SHAPE) + term(H, Y)).backward()
    assert torch.isfinite(H.grad).all()


def test_readout_weights_scale_units_by_how_they_are_heard():
    H, W = activations(), torch.zeros(3, 20, dtype=torch.float64)
    W[:, 4] = torch.tensor([2.0, 1.0, 2.0])
    weighted = grid.by_readout(H, W)
    torch.testing.assert_close(weighted[:, 4], 3 * H[:, 4])
    assert (weighted[:, np.arange(20) != 4] == 0).all()


# --- terms, networks and hooks -------------------------------------------------------------------


def test_networks_of_a_batch_do_not_mix():
    H = activations(lead=(3,), dtype=torch.float32)
    z = grid.uniform_positions(20, SHAPE, rng=1, size=3)
    together = GaussianGrid(SHAPE, CENTRES, 1.5, kind="symmetric", positions=z)(H, Y)
    alone = [
        GaussianGrid(SHAPE, CENTRES, 1.5, kind="symmetric", positions=z[s])(H[s], Y)
        for s in range(3)
    ]
    torch.testing.assert_close(together, torch.stack(alone))


@pytest.mark.parametrize("learn", [None, "units", "centres"])
def test_only_the_places_asked_for_are_learned(learn):
    term = GaussianGrid(SHAPE, CENTRES, 1.5, learn=learn)
    names = [name for name, _ in term.named_parameters()]
    assert names == {None: [], "units": ["positions"], "centres": ["centres"]}[learn]


@pytest.mark.parametrize("kind", grid.DIVERGENCES)
def test_a_term_is_its_penalty_of_its_surfaces(kind):
    H, z = activations(dtype=torch.float32), grid.uniform_positions(20, SHAPE, rng=1)
    term = GaussianGrid(SHAPE, CENTRES, 0.8, kind, positions=z)
    expected = surface_penalty(H, Y, log_surfaces(z, CENTRES, 0.8), kind)
    torch.testing.assert_close(term(H, Y), expected)


def user_network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(6, 20),
        torch.nn.Sigmoid(),
        torch.nn.Linear(20, 20),
        torch.nn.ReLU(),
        torch.nn.Linear(20, 3),
    )


@pytest.mark.parametrize("heard", [False, True])
def test_hooks_add_exactly_the_functions_to_a_network_of_ones_own(heard):
    X, y = torch.randn(len(Y), 6, generator=torch.Generator().manual_seed(1)), torch.as_tensor(Y)
    model, twin = user_network(), user_network()
    log_P = log_surfaces(grid.lattice(SHAPE), CENTRES, 1.5)

    outgoing = [model[2], model[4]] if heard else None
    terms = [GaussianGrid(SHAPE, CENTRES, 1.5), lambda H, y: adjacency_penalty(H, SHAPE)]
    penalty = LayerPenalty([model[1], model[3]], terms, weight=0.3, outgoing=outgoing)
    loss = functional.cross_entropy(model(X), y) + penalty(y)
    loss.backward()

    first = torch.sigmoid(twin[0](X))
    second = torch.relu(twin[2](first))
    expected = functional.cross_entropy(twin[4](second), y)
    if heard:
        first = grid.by_readout(first, twin[2].weight)
        second = grid.by_readout(second, twin[4].weight)
    expected = expected + 0.3 * (
        surface_penalty(first, y, log_P) + adjacency_penalty(second, SHAPE)
    )
    expected.backward()
    torch.testing.assert_close(loss, expected)
    for mine, theirs in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(mine.grad, theirs.grad)


def test_hooks_come_off_and_want_a_fresh_pass():
    model, X = user_network(), torch.zeros(len(Y), 6)
    penalty = LayerPenalty([model[1]], GaussianGrid(SHAPE, CENTRES, 1.5))
    with pytest.raises(RuntimeError, match="needs a forward pass"):
        penalty(Y)
    model(X)
    penalty(Y)
    with pytest.raises(RuntimeError, match="needs a forward pass"):
        penalty(Y)
    penalty.remove()
    model(X)
    with pytest.raises(RuntimeError, match="needs a forward pass"):
        penalty(Y)


def test_a_copy_of_the_network_leaves_its_penalty_alone():
    model, X, Z = user_network(), torch.rand(len(Y), 6), torch.rand(len(Y), 6)
    penalty = LayerPenalty([model[1]], GaussianGrid(SHAPE, CENTRES, 1.5))
    model(X)
    expected = penalty(Y)
    average = copy.deepcopy(model)  # as for a moving average of the weights
    model(X)
    average(Z)
    torch.testing.assert_close(penalty(Y), expected)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_penalty_copied_with_its_network_belongs_to_the_copy(copied):
    model, X, Z = user_network(), torch.rand(len(Y), 6), torch.rand(len(Y), 6)
    penalty = LayerPenalty([model[1]], GaussianGrid(SHAPE, CENTRES, 1.5), 0.3)
    twin, own = copied((model, penalty))
    with torch.no_grad():
        twin[0].weight += 1
    model(X)
    twin(Z)
    term = GaussianGrid(SHAPE, CENTRES, 1.5)
    torch.testing.assert_close(own(Y), 0.3 * term(twin[1](twin[0](Z)), Y))
    torch.testing.assert_close(penalty(Y), 0.3 * term(model[1](model[0](X)), Y))


def test_a_network_with_a_penalty_can_be_saved():
    model, file = user_network(), io.BytesIO()
    LayerPenalty([model[1]], GaussianGrid(SHAPE, CENTRES, 1.5))
    model(torch.rand(len(Y), 6))
    torch.save(model, file)
    file.seek(0)
    X = torch.rand(len(Y), 6)
    torch.testing.assert_close(torch.load(file, weights_only=False)(X), model(X))


def test_the_next_module_may_work_in_place():
    X, y = torch.randn(len(Y), 6), torch.as_tensor(Y)
    grads = []
    for inplace in (False, True):
        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(6, 20), torch.nn.ReLU(inplace), torch.nn.Linear(20, 3)
        )
        penalty = LayerPenalty([model[0]], lambda H, y: adjacency_penalty(H, SHAPE), 0.3)
        loss = functional.cross_entropy(model(X), y) + penalty(y)
        loss.backward()
        grads.append((loss.detach(), model[0].weight.grad))
        torch.testing.assert_close(
            loss.detach(),
            functional.cross_entropy(model(X), y).detach()
            + 0.3 * adjacency_penalty(model[0](X).detach(), SHAPE),
        )
    torch.testing.assert_close(*grads)


def test_a_module_in_two_places_is_refused_and_evaluation_between_steps_is_not():
    relu = torch.nn.ReLU()
    model = torch.nn.Sequential(torch.nn.Linear(6, 20), relu, torch.nn.Linear(20, 20), relu)
    X = torch.rand(len(Y), 6)
    penalty = LayerPenalty([relu], GaussianGrid(SHAPE, CENTRES, 1.5))
    model(X)
    with pytest.raises(RuntimeError, match="layer 0 ran 2 times"):
        penalty(Y)
    model = user_network()
    penalty = LayerPenalty([model[1]], GaussianGrid(SHAPE, CENTRES, 1.5))
    with torch.no_grad():
        model(torch.rand(3, 6))
        model(torch.rand(3, 6))
    model(X)
    assert torch.isfinite(penalty(Y))


# --- half precision, labels, other input ---------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(dtype):
    H = torch.zeros(len(Y), 20, dtype=dtype, requires_grad=True)
    (adjacency_penalty(H, SHAPE) + GaussianGrid(SHAPE, CENTRES, 1.0)(H, Y)).backward()
    assert H.grad.dtype == dtype and torch.isfinite(H.grad).all()
    H = activations(dtype=dtype)
    for penalty in (lambda H: adjacency_penalty(H, SHAPE), lambda H: grid.by_readout(H, H[:3])):
        torch.testing.assert_close(penalty(H), penalty(H.float()))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, torch.uint8, torch.int16, torch.int32])
def test_labels_of_any_whole_type(dtype):
    H, log_P = activations(), log_surfaces(grid.lattice(SHAPE), CENTRES, 1.0)
    y = torch.as_tensor(Y, dtype=dtype) if isinstance(dtype, torch.dtype) else Y.astype(dtype)
    torch.testing.assert_close(surface_penalty(H, y, log_P), surface_penalty(H, Y, log_P))


def test_arrays_frames_and_tensors_give_the_same():
    pandas = pytest.importorskip("pandas")
    H = np.rint(10 * activations().numpy())
    log_P = log_surfaces(grid.lattice(SHAPE), CENTRES, 1.0)
    expected = surface_penalty(torch.as_tensor(H), Y, log_P)
    frozen = H.copy()
    frozen.flags.writeable = False
    strided = np.repeat(H, 2, axis=1)[:, ::2]
    for same in (H.astype(int), pandas.DataFrame(H), frozen, strided, H[::-1][::-1]):
        torch.testing.assert_close(surface_penalty(same, Y, log_P), expected)
    heights = torch.tensor(CENTRES, requires_grad=True)
    assert torch.equal(
        GaussianGrid(SHAPE, heights, 1.0).centres, GaussianGrid(SHAPE, CENTRES, 1.0).centres
    )


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: GaussianGrid((4, 4), CENTRES, 1.0)(activations(), Y), "has 16 units"),
        (lambda: adjacency_penalty(activations(), (4, 4)), "4 x 4 has 16 units"),
        (lambda: GaussianGrid(SHAPE, CENTRES, -1.0), "sigma must be above 0, got -1.0"),
        (lambda: GaussianGrid(SHAPE, CENTRES.T, 1.0), r"centres must have the shape \(..., n, 2"),
        (lambda: GaussianGrid(SHAPE, CENTRES, 1.0, positions=CENTRES), r"\(..., 20, 2\)"),
        (lambda: GaussianGrid((4, 5.5), CENTRES, 1.0), "two whole numbers"),
        (lambda: GaussianGrid(SHAPE, CENTRES * np.nan, 1.0), "centres has 6 of 6 values"),
        (lambda: GaussianGrid(SHAPE, CENTRES, 1.0)(activations(), Y + 1), "classes from 0 to 2"),
        (lambda: GaussianGrid(SHAPE, CENTRES, 1.0)(activations(), Y[:3]), "one whole number per s"),
        (lambda: GaussianGrid(SHAPE, CENTRES, 1.0)(activations() - 1, Y), "must not be negative"),
        (lambda: adjacency_penalty(activations(), (2, 10), torus=True), "at least 3 for a torus"),
        (lambda: LayerPenalty([torch.nn.ReLU()], [], 0.1), "one term and one outgoing"),
        (lambda: LayerPenalty([torch.nn.ReLU()], abs, -0.1), "weight must not be negative"),
        (lambda: grid.tsne_centres(np.eye(6), [0, 1, 2, 4, 4, 0], (9, 9), 0), "class 3 has none"),
        (lambda: grid.tsne_centres(np.eye(3), [0, 1, 2], (9, 9), 0), "at least 4 classes"),
        (lambda: grid.by_readout(activations(), torch.ones(3, 19)), "must read 20 units"),
        (lambda: GaussianGrid(SHAPE, CENTRES, 1.0, learn="units").place(range(20)), "no cells"),
        (lambda: GaussianGrid(SHAPE, CENTRES, 1.0).place([0] * 20), "each of the 20 cells"),
    ],
)
def test_errors_name_what_is_wrong(call, said):
    with pytest.raises(ValueError, match=said):
        call()
