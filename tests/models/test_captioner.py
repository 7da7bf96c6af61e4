"""The captioner learns, decodes what it says, and refuses what it cannot use."""

import functools
import sys

import numpy as np
import pytest
import torch

from hblib.models import (
    END,
    MAX_WORDS,
    WORDS,
    load_captioner,
    load_codes,
    load_hugging_face,
    train_captioner,
)
from hblib.worlds import Scenes, draw_scenes

SMALL = dict(n_latent=20, n_pretraining=1, n_epochs=3, batch_size=20, n_hidden=24, n_embedding=8)


@functools.cache
def scenes():
    return draw_scenes(120, rng=0)


@functools.cache
def trained():
    return train_captioner(scenes(), rng=1, **SMALL)


@functools.cache
def seen():
    """Codes of thirty pictures."""
    return trained().encode(scenes().images[:30])


def weights(model):
    return torch.cat([p.flatten().double() for p in model.network.state_dict().values()])


@pytest.mark.parametrize("bottleneck", ["relu", "linear"])
def test_codes(bottleneck):
    model = train_captioner(scenes(), bottleneck=bottleneck, **SMALL)
    codes = model.encode(scenes().images)
    assert codes.shape == (120, 20) and codes.dtype == np.float32
    assert (codes > 0).any(axis=0).all()
    assert (codes.min() < 0) == (bottleneck == "linear")


def test_a_code_does_not_depend_on_the_other_pictures():
    alone = np.concatenate([trained().encode(image[None]) for image in scenes().images[:30]])
    np.testing.assert_allclose(alone, seen(), atol=1e-4)


def test_training_makes_the_captions_likelier():
    captions = [some[0] for some in scenes().captions]
    longer = train_captioner(scenes(), rng=1, **(SMALL | {"n_epochs": 12}))
    untrained = train_captioner(scenes(), rng=1, **(SMALL | {"n_epochs": 0, "n_pretraining": 0}))
    means = [model.log_probability(model.encode(scenes().images), captions).mean()
             for model in (untrained, trained(), longer)]
    assert means[0] < means[1] < means[2]


def test_the_seed_decides():
    same, other = (train_captioner(scenes(), rng=rng, **SMALL) for rng in (1, 2))
    assert torch.equal(weights(same), weights(trained()))
    assert not torch.equal(weights(other), weights(trained()))


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_captioner(scenes(), **SMALL)
    assert torch.equal(torch.rand(3), expected)


def test_save_and_load(tmp_path):
    trained().save(tmp_path / "network.pt")
    again = load_captioner(tmp_path / "network.pt")
    assert (again.n_latent, again.bottleneck) == (20, "relu")
    assert (again.encode(scenes().images[:30]) == seen()).all()
    assert again.greedy(seen()) == trained().greedy(seen())


# --- decoding ------------------------------------------------------------------------------------


def test_shapes():
    assert len(trained().greedy(seen())) == 30
    samples = trained().sample(seen()[:4], 7, rng=0)
    assert [len(some) for some in samples] == [7] * 4
    assert all(len(caption.split()) <= MAX_WORDS for some in samples for caption in some)
    assert len(trained().beam(seen()[:4], 3)) == 4


def test_greedy_is_a_beam_of_width_one():
    assert trained().beam(seen(), 1) == trained().greedy(seen())


def test_greedy_is_sampling_at_temperature_zero():
    cold = trained().sample(seen(), 1, rng=0, temperature=1e-8)
    assert [caption for caption, in cold] == trained().greedy(seen())


def test_a_wide_beam_finds_captions_at_least_as_likely():
    greedy, beam = trained().greedy(seen()), trained().beam(seen(), 8)
    gain = trained().log_probability(seen(), beam) - trained().log_probability(seen(), greedy)
    assert gain.mean() > 0


def test_samples_are_repeatable_and_vary():
    one, same, other = (trained().sample(seen()[:3], 20, rng=seed) for seed in (0, 0, 1))
    assert one == same and one != other and len(set(one[0])) > 5


def test_log_probability_is_the_sum_over_steps():
    caption = "a cat on a desk"
    state, word, total = trained().begin(seen()[:1]), END, 0.0
    for following in [*map(WORDS.index, caption.split()), END]:
        log_probability, state = trained().step(state, [word])
        np.testing.assert_allclose(np.exp(log_probability).sum(), 1)
        total, word = total + log_probability[0, following], following
    together = trained().log_probability(seen()[:2], [caption, "a dog"])
    assert together[0] == pytest.approx(total, abs=1e-4)


def test_any_kind_of_array():
    images = scenes().images[:30].copy()
    images.flags.writeable = False
    for same in (images, torch.as_tensor(scenes().images[:30]), images[::-1][::-1]):
        np.testing.assert_array_equal(trained().encode(same), seen())
    codes = torch.tensor(seen(), requires_grad=True)
    assert trained().greedy(codes) == trained().greedy(seen().astype(float))
    assert load_codes(codes, trained().greedy).greedy(codes) == trained().greedy(seen())


def test_the_decoder_sees_nothing_but_the_code():
    assert trained().greedy(np.repeat(seen()[:1], 3, axis=0)) == trained().greedy(seen()[:1]) * 3


@pytest.mark.parametrize("call, words", [
    (lambda: train_captioner(scenes(), n_latent=0), "n_latent must"),
    (lambda: train_captioner(scenes(), bottleneck="tanh"), "bottleneck must"),
    (lambda: train_captioner(scenes(), n_epochs=-1), "n_epochs must"),
    (lambda: train_captioner(scenes(), learning_rate=0), "learning_rate must"),
    (lambda: train_captioner(Scenes(scenes().images[:0], [], [])), "scenes must"),
    (lambda: train_captioner(Scenes(scenes().images[:2], scenes().facts[:2],
                                           [["a unicorn"], ["a cat"]])), "unicorn"),
    (lambda: trained().encode(scenes().images[0]), "images must"),
    (lambda: trained().encode(scenes().images[:0]), "images must"),
    (lambda: trained().encode(scenes().images / 255), "images must be uint8"),
    (lambda: trained().greedy(seen()[:, :5]), r"codes must have the shape \(n, 20\)"),
    (lambda: trained().greedy(seen()[0]), "codes must"),
    (lambda: trained().sample(seen(), 0, rng=0), "n_samples must"),
    (lambda: trained().sample(seen(), 1, rng=0, temperature=0), "temperature must"),
    (lambda: trained().beam(seen(), 0), "width must"),
    (lambda: trained().log_probability(seen()[:1], ["a unicorn"]), "unicorn"),
    (lambda: trained().log_probability(seen()[:2], ["a cat"]), "captions must"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- codes from elsewhere ------------------------------------------------------------------------


def test_codes_from_a_file_and_a_decoder(tmp_path):
    np.save(tmp_path / "codes.npy", seen())
    model = load_codes(
        tmp_path / "codes.npy", trained().greedy,
        lambda codes, n, rng: trained().sample(codes, n, rng))
    assert model.n_latent == 20 and (model.codes == seen()).all()
    assert model.greedy(model.codes) == trained().greedy(seen())
    assert model.sample(seen(), 3, rng=2) == trained().sample(seen(), 3, rng=2)


@pytest.mark.parametrize("call, words", [
    (lambda: load_codes(seen()[0], trained().greedy), "codes must"),
    (lambda: load_codes(seen() * np.nan, trained().greedy), "not finite"),
    (lambda: load_codes(np.diag([np.inf] + [0.0] * 19), trained().greedy),
     "not finite"),
    (lambda: load_codes(seen(), trained().greedy).greedy(seen()[:, 1:]), "codes must"),
    (lambda: load_codes(seen(), trained().greedy).sample(seen(), 2, 0),
     "cannot sample"),
])
def test_bad_codes(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_without_transformers_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="pip install transformers"):
        load_hugging_face(scenes().images[:2])
