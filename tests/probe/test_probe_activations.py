"""Reading layers: the rows, the files, and nothing left behind when something fails."""

import numpy as np
import pytest
import torch

from hblib import models, probe


def convolutional():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3, padding=1),
        torch.nn.ReLU(inplace=True),
        torch.nn.Flatten(),
        torch.nn.Linear(3 * 16, 5),
    )


def images(n=7):
    return np.random.default_rng(0).normal(size=(n, 1, 4, 4))


class Texts(torch.nn.Module):
    """Embeds tokens; takes what a tokenizer gives."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(30, 4)
        self.block = torch.nn.Linear(4, 6)

    def forward(self, input_ids, attention_mask):
        return {"hidden": self.block(self.embedding(input_ids))}


def tokenizer(texts, padding, truncation, return_tensors):
    """One token per letter."""
    assert padding and truncation and return_tensors == "pt"
    length = max(map(len, texts))
    ids = [[ord(letter) - 96 for letter in text] + [0] * (length - len(text)) for text in texts]
    mask = [[1] * len(text) + [0] * (length - len(text)) for text in texts]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_it_agrees_with_the_reading_in_one_piece(batch_size):
    model, X = convolutional(), images()
    mine, theirs = probe.activations(model, X, batch_size=batch_size), models.activations(model, X)
    assert list(mine) == list(theirs)
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], atol=1e-6)


def test_positions_are_rows_or_are_averaged():
    model, X = convolutional(), images()
    maps = model[0](torch.tensor(X).float()).detach().numpy()
    each = probe.activations(model, X, "0", positions="each", batch_size=2)["0"]
    np.testing.assert_allclose(each[16 * 4 + 4 * 1 + 3], maps[4, :, 1, 3], atol=1e-6)
    mean = probe.activations(model, X, "0", positions="mean")["0"]
    np.testing.assert_allclose(mean, maps.mean(axis=(2, 3)), atol=1e-6)
    last = probe.activations(model, X, "0", positions="each", channels_last=True)["0"]
    assert last.shape == (7 * 3 * 4, 4)
    assert probe.activations(model, X, "3", positions="each")["3"].shape == (7, 5)


def test_before_and_after_a_nonlinearity():
    model, X = convolutional(), images()
    before = probe.activations(model, X, "1", side="before")["1"]
    after = probe.activations(model, X, "1")["1"]
    np.testing.assert_array_equal(np.maximum(before, 0), after)
    assert before.min() < 0


def test_names_and_patterns():
    block = torch.nn.ModuleDict({"mlp": torch.nn.Linear(4, 4), "act": torch.nn.ReLU()})

    class Blocks(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.blocks = torch.nn.ModuleList([block])

        def forward(self, X):
            return self.blocks[0]["act"](self.blocks[0]["mlp"](X))

    model = Blocks()
    assert list(probe.activations(model, np.ones((2, 4)), "blocks.*.m?p")) == ["blocks.0.mlp"]
    assert list(probe.activations(model, np.ones((2, 4)), ["*.act", "blocks.0.mlp"])) == [
        "blocks.0.mlp", "blocks.0.act",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"is called .blocks.0.mlpp.; near.*blocks.0.mlp"):
        probe.activations(model, np.ones((2, 4)), "blocks.0.mlpp")
    with pytest.raises(ValueError, match=r"no module is called 'mlp'; near it are .*blocks.0.mlp"):
        probe.activations(model, np.ones((2, 4)), "mlp")
    with pytest.raises(ValueError, match="'layer9'; there are 'blocks'"):
        probe.activations(model, np.ones((2, 4)), "layer9")
    with pytest.raises(ValueError, match="no module is called"):
        probe.activations(model, np.ones((2, 4)), "encoder.*")


def test_texts_of_several_lengths_without_their_padding():
    model, texts = Texts(), ["abc", "d", "ef", "abcd"]
    each = probe.activations(
        model, texts, "block", tokenizer=tokenizer, positions="each", batch_size=3
    )["block"]
    ids = [ord(letter) - 96 for text in texts for letter in text]
    expected = model.block(model.embedding(torch.tensor(ids))).detach().numpy()
    np.testing.assert_allclose(each, expected, atol=1e-6)
    mean = probe.activations(
        model, texts, "block", tokenizer=tokenizer, positions="mean", batch_size=3
    )["block"]
    np.testing.assert_allclose(mean[0], expected[:3].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(mean[1], expected[3], atol=1e-6)
    with pytest.raises(ValueError, match='several lengths need positions="mean"'):
        probe.activations(model, texts, "block", tokenizer=tokenizer, batch_size=3)
    with pytest.raises(ValueError, match="inputs are texts, which need a tokenizer"):
        probe.activations(model, texts, "block")


def test_batches_of_a_loader():
    model, X = convolutional(), torch.tensor(images()).float()
    data = torch.utils.data.TensorDataset(X, torch.arange(7))
    loader = torch.utils.data.DataLoader(data, batch_size=3)
    expected = probe.activations(model, X)
    for batches in (loader, iter(loader)):
        found = probe.activations(model, batches)
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], atol=1e-6)
    with pytest.raises(ValueError, match="inputs hold no sample"):
        probe.activations(model, iter([]))


def test_files_hold_what_memory_would(tmp_path):
    model, X = convolutional(), images(200)
    kept = probe.activations(model, X, folder=tmp_path / "new", batch_size=16)
    for name, H in probe.activations(model, X).items():
        assert isinstance(kept[name], np.memmap)
        np.testing.assert_allclose(kept[name], H, atol=1e-6)
        np.testing.assert_array_equal(np.load(tmp_path / "new" / f"{name}.npy"), kept[name])
    assert len(list((tmp_path / "new").iterdir())) == 4
    again = probe.load(tmp_path / "new" / "0.npy")["0"]
    assert isinstance(again, np.memmap)


def test_memory_is_that_of_a_batch(tmp_path):
    import tracemalloc

    model = torch.nn.Sequential(torch.nn.Linear(8, 512))
    batches = (torch.ones(100, 8) for _ in range(100))  # 20 MB of activations, 0.2 at a time
    tracemalloc.start()
    H = probe.activations(model, batches, folder=tmp_path)["0"]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert H.shape == (10_000, 512) and peak < 5e6


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_model_keeps_its_precision(dtype):
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh()).to(dtype)
    H = probe.activations(model, np.ones((2, 4)), "1")["1"]
    assert H.dtype == (np.float64 if dtype == torch.float64 else np.float32)
    assert model[0].weight.dtype == dtype


def test_a_module_that_runs_twice_has_two_entries():
    relu = torch.nn.ReLU()
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), relu, torch.nn.Linear(3, 3), relu)
    assert list(probe.activations(model, np.ones((5, 3)), batch_size=2)) == ["0", "1", "1:2", "2"]


def test_one_sample():
    assert probe.activations(convolutional(), images(1))["3"].shape == (1, 5)


@pytest.mark.parametrize("side", ["before", "after"])
def test_what_fails_leaves_nothing_behind(side, tmp_path):
    model = convolutional().train()
    folder = tmp_path / "new"
    with pytest.raises(ValueError, match=r"model fails on inputs 0 to 1, of shape \(2, 1, 8, 8\)"):
        probe.activations(model, np.zeros((2, 1, 8, 8)), side=side, folder=folder)
    assert model.training and not hooks(model) and not folder.exists()
    with torch.no_grad():
        model[0].weight[:] = np.nan
    with pytest.raises(ValueError, match="layer .0. gives values .* not finite, for sample 0"):
        probe.activations(model, images(), "0", folder=folder)
    assert model.training and not hooks(model) and not folder.exists()
    folder.write_text("mine")
    with pytest.raises(ValueError, match="folder must be a folder"):
        probe.activations(model, images(), folder=folder)
    assert folder.read_text() == "mine"


def test_a_reading_that_fails_keeps_what_was_there(tmp_path):
    model, X = convolutional(), images()
    probe.activations(model, X, "0", folder=tmp_path)
    before = (tmp_path / "0.npy").read_bytes()

    def broken():
        yield torch.tensor(X).float()
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="the disk is gone"):
        probe.activations(model, broken(), "0", folder=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["0.npy"]
    assert (tmp_path / "0.npy").read_bytes() == before


def test_what_cannot_be_read_is_refused():
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Flatten(0))
    X = np.ones((2, 4))
    for call, said in (
        (lambda: probe.activations(model, X), r"has the shape \(6,\) for 2 samples"),
        (lambda: probe.activations(lambda x: x, X), "model must be a torch.nn.Module, got func"),
        (lambda: probe.activations(model, X, "0", side="both"), "side must be one of"),
        (lambda: probe.activations(model, X, []), "layers must name at least one"),
        (lambda: probe.activations(model, X, [3]), "layers must be names or patterns, got 3"),
        (lambda: probe.activations(model, {}), "inputs must not be an empty mapping"),
        (lambda: probe.activations(model, np.full((2, 4), np.nan)), "not finite"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


def test_a_named_layer_that_does_not_run():
    class Idle(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.idle = torch.nn.Linear(4, 3), torch.nn.Linear(4, 3)

        def forward(self, X):
            return self.used(X)

    assert list(probe.activations(Idle(), np.ones((2, 4)))) == ["used"]
    with pytest.raises(ValueError, match="layers 'idle' did not run"):
        probe.activations(Idle(), np.ones((2, 4)), ["used", "idle"])
