"""Which symmetry a network has, and whether training keeps it: networks whose symmetry is known."""

import matplotlib
import numpy as np
import pytest
import torch
from torch import nn

from hblib import probe, rotation
from hblib.models import language

matplotlib.use("Agg")
ORDER = ("permutation", "sign", "positive scaling", "orthogonal", "invertible")


def network(between):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 6), between, nn.Linear(6, 3))


def data(n=40, width=5):
    return np.random.default_rng(0).normal(size=(n, width)), np.arange(n) % 3


class RootMeanSquare(nn.Module):
    """RMSNorm without gain."""

    def forward(self, X):
        return X / X.square().mean(-1, keepdim=True).sqrt()


@pytest.mark.parametrize(
    "between, kept",
    [
        (nn.Identity(), ORDER),
        (nn.ReLU(), ("permutation", "positive scaling")),
        (nn.Tanh(), ("permutation", "sign")),
        (nn.GELU(), ("permutation",)),
        (RootMeanSquare(), ("permutation", "sign", "orthogonal")),
        (nn.LayerNorm(6, elementwise_affine=False), ("permutation",)),
    ],
)
def test_each_nonlinearity_leaves_its_own_group(between, kept):
    answer = probe.layer_symmetry(network(between), "0", "2", data()[0])
    table = answer.to_frame()
    assert tuple(table.index[table["keeps"]]) == kept
    assert answer.estimate == len(kept)
    assert (table["change"][~table["keeps"]] > 1e-3).all()


def test_units_of_a_convolution_move_with_all_their_positions():
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(3 * 16, 5),
    )  # fmt: skip
    model[1].running_mean[:] = torch.arange(4.0)
    X = np.random.default_rng(0).normal(size=(10, 1, 8, 8))
    kept = {
        along: probe.layer_symmetry(model, "0", "3", X, along=along).to_frame()["keeps"]
        for along in ((), ("1",))
    }
    assert not kept[()]["permutation"] and kept[("1",)]["permutation"]
    last = probe.layer_symmetry(model, "3", "6", X).to_frame()["keeps"]
    assert last["permutation"] and last["positive scaling"] and not last["orthogonal"]


def test_the_model_is_left_as_it_is():
    model, (X, y) = network(nn.Tanh()).train(), data()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    probe.layer_symmetry(model, "0", "2", X)
    probe.training_symmetry(model, "0", "2", torch.optim.Adam, X, y, kind="sign", n_steps=3)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_llama_has_the_symmetries_of_its_places():
    model = language.random_model(language.Sizes(2, 16, 2, 1, 8, 32, 50), rng=0)
    gains = {name: W for name, W in model.weights.items() if "gain" in name}
    torch.manual_seed(0)
    model = model.with_weights({name: 0.5 + torch.rand_like(W) for name, W in gains.items()})
    keeps = probe.residual_symmetry(model, [5, 7, 9, 3]).to_frame()["keeps"]
    assert keeps.to_dict() == {
        "residual stream, permuted, gains folded": True,
        "residual stream, rotated, gains folded": True,
        "residual stream, rotated, gains as they are": False,
        "values within heads, rotated": True,
        "values within heads, any invertible map": True,
        "queries and keys, rotated pair by pair": True,
        "queries and keys, rotated": False,
        "MLP neurons, permuted": True,
        "MLP neurons, rotated": False,
    }


@pytest.mark.parametrize(
    "rule, kind, keeps",
    [
        (lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), "orthogonal", True),
        (torch.optim.Adam, "orthogonal", False),
        (torch.optim.Adam, "permutation", True),
        (torch.optim.Adam, "sign", True),
        (lambda p: torch.optim.SGD(p, lr=0.1), "positive scaling", False),
        (lambda p: rotation.Muon(p, lr=0.02), "orthogonal", True),
    ],
)
def test_training_keeps_what_is_known_to_be_kept(rule, kind, keeps):
    torch.manual_seed(0)
    model, (X, y) = nn.Sequential(nn.Linear(5, 6, False), nn.Linear(6, 3, False)), data()
    answer = probe.training_symmetry(model, "0", "1", rule, X, y, kind=kind, n_steps=30)
    assert answer.holds is keeps, answer.sentence
    assert answer.plot() is not None


def test_what_is_no_symmetry_of_the_function_cannot_be_kept():
    model, (X, y) = network(nn.ReLU()), data()
    answer = probe.training_symmetry(model, "0", "2", torch.optim.SGD, X, y, n_steps=3)
    assert answer.holds is False and "nothing to keep" in answer.sentence


def test_one_sentence_for_what_cannot_be_asked():
    model, (X, y) = network(nn.ReLU()), data()
    grouped = nn.Sequential(nn.Conv2d(2, 4, 1, groups=2), nn.Conv2d(4, 2, 1))
    for call, said in (
        (lambda: probe.layer_symmetry(model, "0", "3", X), "second: no module is called '3'"),
        (lambda: probe.layer_symmetry(model, "1", "2", X), "first must be a Linear or a conv"),
        (lambda: probe.layer_symmetry(model, "2", "0", X), "no multiple of the 3"),
        (lambda: probe.layer_symmetry(model, "0", [], X), "second must name at least one"),
        (lambda: probe.layer_symmetry(grouped, "0", "1", X), "convolution in groups"),
        (lambda: probe.layer_symmetry("x", "0", "1", X), "model must be a torch.nn.Module"),
        (lambda: probe.transformed(model, "0", "2", np.ones((6, 6))), "G must have an inverse"),
        (lambda: probe.residual_symmetry(model, [1]), "model must be a LanguageModel"),
        (
            lambda: probe.training_symmetry(model, "0", "2", torch.optim.SGD, X, y[:5]),
            "targets must be one per sample, got 5 for 40",
        ),
        (
            lambda: probe.training_symmetry(
                model, "0", "2", lambda p: torch.optim.SGD(p, lr=0.0), X, y, kind="permutation"
            ),
            "did not move",
        ),
        (
            lambda: probe.training_symmetry(model, "0", "2", lambda p: 3, X, y),
            "optimiser must give a torch.optim.Optimizer",
        ),
    ):
        with pytest.raises(ValueError, match=said):
            call()
