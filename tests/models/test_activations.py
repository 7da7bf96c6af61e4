"""Activations of any torch model: the numbers, and that the model is left as it was."""

import numpy as np
import pytest
import torch

from hblib.models import activations


def convolutional():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1),
        torch.nn.BatchNorm2d(3),
        torch.nn.ReLU(inplace=True),
        torch.nn.Flatten(),
        torch.nn.Dropout(),
        torch.nn.Linear(3 * 16, 5),
    )


def images(n=7):
    return np.random.default_rng(0).normal(size=(n, 1, 4, 4))


def test_every_leaf_gives_a_row_per_sample_and_the_last_is_the_model():
    model, X = convolutional(), images()
    H = activations(model, X)
    assert {name: a.shape for name, a in H.items()} == {
        **dict.fromkeys("01234", (7, 48)),
        "5": (7, 5),
    }
    model.eval()
    np.testing.assert_allclose(H["5"], model(torch.tensor(X).float()).detach(), atol=1e-6)
    assert all(a.dtype == np.float32 for a in H.values())


def test_maps_are_flattened_channels_first():
    model, X = convolutional(), images()
    maps = model[0](torch.tensor(X).float()).detach().numpy()
    flat = activations(model, X, layers="0")["0"]
    assert flat[4, (2 * 4 + 1) * 4 + 3] == pytest.approx(maps[4, 2, 1, 3], abs=1e-6)
    positions = flat.reshape(7, 3, -1).transpose(0, 2, 1).reshape(-1, 3)
    np.testing.assert_allclose(positions[16 * 4 + 7], maps[4, :, 1, 3], atol=1e-6)


def test_work_in_place_does_not_reach_what_was_read():
    H = activations(convolutional(), images())
    assert H["1"].min() < 0 == H["2"].min()
    np.testing.assert_array_equal(np.maximum(H["1"], 0), H["2"])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_batches_do_not_matter(batch_size):
    model, X = convolutional(), images()
    whole, parts = activations(model, X), activations(model, X, batch_size=batch_size)
    for name in whole:
        np.testing.assert_allclose(parts[name], whole[name], atol=1e-6)


def state(model):
    return {
        "modes": [module.training for module in model.modules()],
        "hooks": [len(module._forward_hooks) for module in model.modules()],
        "numbers": [(p.dtype, p.device, p.requires_grad) for p in model.parameters()],
        "values": [value.tolist() for value in model.state_dict().values()],
        "gradients": [p.grad for p in model.parameters()],
    }


def test_the_model_is_left_as_it_was():
    model = convolutional().train()
    model[1].eval()  # frozen by its owner
    before = state(model)
    activations(model, images())
    assert state(model) == before


def test_the_model_is_left_as_it_was_after_an_error():
    model = convolutional().train()
    before = state(model)
    with pytest.raises(RuntimeError):  # the read-out meets 192 inputs, after hooks have run
        activations(model, np.zeros((2, 1, 8, 8)))
    assert state(model) == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_precision_is_the_models(dtype):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh()).to(dtype)
    H = activations(model, np.ones((2, 4)), "1")["1"]
    assert H.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    expected = model(torch.ones(2, 4, dtype=dtype)).detach().double().numpy()
    np.testing.assert_allclose(H, expected)


def test_any_kind_of_array():
    pandas = pytest.importorskip("pandas")
    model, X = torch.nn.Sequential(torch.nn.Linear(4, 3)), np.arange(20.0).reshape(5, 4)
    expected = activations(model, X)["0"]
    frozen = X.copy()
    frozen.flags.writeable = False
    for same in (
        X.astype(np.uint8),
        pandas.DataFrame(X),
        torch.tensor(X, requires_grad=True),
        torch.tensor(X, dtype=torch.int32),
        frozen,
        np.asfortranarray(X),
        X[::-1][::-1],
    ):
        np.testing.assert_array_equal(activations(model, same)["0"], expected)


def test_token_ids_and_keyword_arguments():
    class Reader(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 4)
            self.rnn = torch.nn.GRU(4, 6, batch_first=True)

        def forward(self, ids, mask):
            return {"logits": self.rnn(self.embedding(ids) * mask[..., None])[0]}

    model, ids = Reader(), np.array([[1, 2, 3], [4, 5, 0]])
    mask = (ids > 0).astype(int)
    H = activations(model, {"ids": ids, "mask": mask}, ["embedding", "rnn", ""])
    assert [a.shape for a in H.values()] == [(2, 12), (2, 18), (2, 18)]
    weight = model.embedding.weight.detach().numpy()
    np.testing.assert_array_equal(H["embedding"], weight[ids].reshape(2, 12))
    np.testing.assert_array_equal(H[""], H["rnn"])  # of several things the first tensor


def test_a_module_that_runs_twice_has_two_entries():
    relu, double = torch.nn.ReLU(), torch.nn.Linear(3, 3)
    torch.nn.init.constant_(double.weight, -1.0)
    model = torch.nn.Sequential(double, relu, double, relu)
    H = activations(model, -np.ones((4, 3)), batch_size=3)
    assert list(H) == ["0", "0:2", "1", "1:2"]
    np.testing.assert_array_equal(H["1"], np.maximum(H["0"], 0))
    np.testing.assert_array_equal(H["1:2"], np.maximum(H["0:2"], 0))
    assert activations(model, np.ones((4, 3)), ["3"])["3"].shape == (4, 3)  # its other name


def test_what_cannot_be_read_is_refused():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Flatten(0))
    sequence = torch.nn.Sequential(torch.nn.Linear(4, 3))
    for call, said in (
        (lambda: activations(sequence, np.ones((2, 4)), "first"), "'first' not among '', '0'"),
        (lambda: activations(sequence, np.ones((0, 4))), "empty"),
        (lambda: activations(sequence, torch.ones(0, 4)), "at least one"),
        (lambda: activations(sequence, np.full((2, 4), np.nan)), "not finite"),
        (lambda: activations(sequence, np.ones((2, 4)), batch_size=0), "batch_size must be"),
        (lambda: activations(model, np.ones((2, 4))), r"gives the shape \(6,\) for 2 samples"),
    ):
        with pytest.raises(ValueError, match=said):
            call()

    class Idle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)

        def forward(self, X):
            return self.used(X)

    assert list(activations(Idle(), np.ones((2, 4)))) == ["used"]
    with pytest.raises(ValueError, match="layers 'idle' did not run"):
        activations(Idle(), np.ones((2, 4)), ["used", "idle"])
