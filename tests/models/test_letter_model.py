"""The model of letters, and what a page gets of it."""

import base64

import numpy as np
import pytest
import torch
from scripts import ROOT, load

from hblib import rotation
from hblib.models import language
from hblib.models.language import _letters

Q = rotation.haar(64, rng=2, det=1)


@pytest.fixture(scope="module")
def model():
    return language.letter_model(torch.float64)


@pytest.fixture(scope="module")
def training():
    return load(ROOT / "tools" / "letter_model.py")


def test_it_has_learnt_to_spell(model, training):
    tokens = training.letters()
    loss = training.held_out_loss(language.letter_model(), tokens)
    untrained = language.random_twin(model.to(torch.float32), rng=0)
    counts = np.bincount(tokens.numpy()) / len(tokens)
    assert loss < 1.6 < -counts @ np.log(counts) < training.held_out_loss(untrained, tokens)
    assert language.generate(model, "albert ein", 5) == "stein"


def test_it_comes_with_gains_and_is_no_function_of_its_precision(model):
    assert not language.is_folded(model) and model.tied
    single = language.letter_model()
    assert (single.dtype, model.dtype) == (torch.float32, torch.float64)
    out = [language.logits(m, model.tokenizer.encode("a book")).double() for m in (single, model)]
    assert torch.allclose(*out, atol=1e-4)


def test_its_weights_are_whole_numbers_and_stay_so(model):
    for made in (model, model.to(torch.float32)):
        for name, (step, W) in _letters.whole_numbers(made).items():
            assert W.dtype == np.int8 and np.abs(W).max() == 127
            assert np.allclose(W * step, model.weights[name], rtol=1e-12)


def test_another_file_is_refused(monkeypatch):
    monkeypatch.setattr(_letters, "SHA256", "0" * 64)
    with pytest.raises(ValueError, match="not the registered 0000.*: install hblib again"):
        language.letter_model()


def test_training_writes_what_is_read(training, monkeypatch, tmp_path, model):
    """The tool at a thousandth of its length: file, hash and loss belong together."""
    monkeypatch.setattr(_letters, "FILE", tmp_path / "folder" / "weights.npz")
    monkeypatch.setattr(_letters, "SHA256", "")
    monkeypatch.setattr(training, "SCHEDULE", ((3, 1e-2, 4), (1, 1e-3, 4)))
    monkeypatch.setattr("sys.argv", ["letter_model.py"])
    tokens = training.letters()[-110_000:]
    monkeypatch.setattr(training, "letters", lambda: tokens)
    training.main()
    assert language.letter_model().digest() != model.to(torch.float32).digest()


def test_text_is_lowered_and_spaces_never_double(model):
    read = model.tokenizer.encode("It's  5 o'clock, Zoë!\n")
    assert model.tokenizer.decode(read) == "it s o clock zo "
    assert model.tokenizer.encode("") == []
    with pytest.raises(ValueError, match="text must be a string, got int"):
        model.tokenizer.encode(5)


# ---------------------------------------------------------------- for a page


def turned(data, t):
    """Q^t from what the page gets."""
    V = np.frombuffer(base64.b64decode(data["axes"]), "<f4").reshape(64, 64).astype(float)
    R = np.zeros_like(V)
    for p, angle in enumerate(t * data["angles"]):
        c, s = np.cos(angle), np.sin(angle)
        R[2 * p : 2 * p + 2, 2 * p : 2 * p + 2] = [[c, -s], [s, c]]
    return V @ R @ V.T


@pytest.mark.parametrize("Q", [Q, np.eye(64), np.roll(np.eye(64), 2, axis=0)])
def test_the_page_turns_along_the_path_of_the_library(model, Q):
    data = language.page_data(model, Q, "a text")
    for t in (0, 0.3, 1):
        assert np.allclose(turned(data, t), rotation.fractional_power(Q, t), atol=1e-6)


def test_the_page_gets_the_weights_as_they_are(model):
    data = language.page_data(model, Q, "a text")
    assert set(data["weights"]) == set(model.weights)
    for name, (step, text) in data["weights"].items():
        W = np.frombuffer(base64.b64decode(text), np.int8) * step
        assert np.allclose(W, model.weights[name].numpy().ravel(), rtol=1e-12)
    assert data["sizes"]["width"] == 64 and data["letters"] == language.LETTERS
    assert sum(len(text) for _, text in data["weights"].values()) < 200_000


@pytest.mark.parametrize(
    ("Q", "complaint"),
    [
        (np.eye(63), r"Q must have the shape \(64, 64\)"),
        (np.diag([-1.0] + [1.0] * 63), "Q must be a rotation"),
        (2 * np.eye(64), "Q must be a rotation"),
    ],
)
def test_what_is_no_rotation_is_refused(model, Q, complaint):
    with pytest.raises(ValueError, match=complaint):
        language.page_data(model, Q, "a text")


def test_other_models_are_refused(model):
    other = language.random_model(model.sizes, rng=0)
    with pytest.raises(ValueError, match="model must be a single one that reads letters"):
        language.page_data(other, np.eye(64), "a text")
