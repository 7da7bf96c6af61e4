import doctest
import sys

import numpy as np
import pytest
import torch

from hblib.models import _captioner as captioner
from hblib.models import _loaded_captioner as loaded_captioner
from hblib.worlds import _scenes as scenes

SCENES = scenes.draw(120, rng=0)
SMALL = dict(n_latent=20, n_pretraining=1, n_epochs=3, batch_size=20, n_hidden=24, n_embedding=8)
TRAINED = captioner.train(SCENES, seed=1, **SMALL)
CODES = TRAINED.encode(SCENES.images[:30])


def test_examples():
    assert doctest.testmod(loaded_captioner).failed == 0


def weights(model):
    return torch.cat([p.flatten().double() for p in model.network.state_dict().values()])


@pytest.mark.parametrize("bottleneck", captioner.BOTTLENECKS)
def test_codes(bottleneck):
    model = captioner.train(SCENES, bottleneck=bottleneck, **SMALL)
    codes = model.encode(SCENES.images)
    assert codes.shape == (120, 20) and codes.dtype == np.float32
    assert (codes > 0).any(axis=0).all()
    assert (codes.min() < 0) == (bottleneck == "linear")


def test_a_code_does_not_depend_on_the_other_pictures():
    alone = np.concatenate([TRAINED.encode(image[None]) for image in SCENES.images[:30]])
    np.testing.assert_allclose(alone, CODES, atol=1e-4)


def test_training_makes_the_captions_likelier():
    captions = [some[0] for some in SCENES.captions]
    longer = captioner.train(SCENES, seed=1, **(SMALL | {"n_epochs": 12}))
    untrained = captioner.train(SCENES, seed=1, **(SMALL | {"n_epochs": 0, "n_pretraining": 0}))
    means = [model.log_probability(model.encode(SCENES.images), captions).mean()
             for model in (untrained, TRAINED, longer)]
    assert means[0] < means[1] < means[2]


def test_the_seed_decides():
    same, other = (captioner.train(SCENES, seed=seed, **SMALL) for seed in (1, 2))
    assert torch.equal(weights(same), weights(TRAINED))
    assert not torch.equal(weights(other), weights(TRAINED))


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    captioner.train(SCENES, **SMALL)
    assert torch.equal(torch.rand(3), expected)


def test_save_and_load(tmp_path):
    TRAINED.save(tmp_path / "network.pt")
    again = captioner.load(tmp_path / "network.pt")
    assert (again.n_latent, again.bottleneck) == (20, "relu")
    assert (again.encode(SCENES.images[:30]) == CODES).all()
    assert again.greedy(CODES) == TRAINED.greedy(CODES)


# --- decoding ------------------------------------------------------------------------------------


def test_shapes():
    assert len(TRAINED.greedy(CODES)) == 30
    samples = TRAINED.sample(CODES[:4], 7, rng=0)
    assert [len(some) for some in samples] == [7] * 4
    assert all(len(caption.split()) <= captioner.MAX_WORDS for some in samples for caption in some)
    assert len(TRAINED.beam(CODES[:4], 3)) == 4


def test_greedy_is_a_beam_of_width_one():
    assert TRAINED.beam(CODES, 1) == TRAINED.greedy(CODES)


def test_greedy_is_sampling_at_temperature_zero():
    cold = TRAINED.sample(CODES, 1, rng=0, temperature=1e-8)
    assert [caption for caption, in cold] == TRAINED.greedy(CODES)


def test_a_wide_beam_finds_captions_at_least_as_likely():
    greedy, beam = TRAINED.greedy(CODES), TRAINED.beam(CODES, 8)
    gain = TRAINED.log_probability(CODES, beam) - TRAINED.log_probability(CODES, greedy)
    assert gain.mean() > 0


def test_samples_are_repeatable_and_vary():
    one, same, other = (TRAINED.sample(CODES[:3], 20, rng=seed) for seed in (0, 0, 1))
    assert one == same and one != other and len(set(one[0])) > 5


def test_log_probability_is_the_sum_over_steps():
    caption = "a cat on a desk"
    state, word, total = TRAINED.begin(CODES[:1]), captioner.END, 0.0
    for following in [*map(captioner.WORDS.index, caption.split()), captioner.END]:
        log_probability, state = TRAINED.step(state, [word])
        np.testing.assert_allclose(np.exp(log_probability).sum(), 1)
        total, word = total + log_probability[0, following], following
    together = TRAINED.log_probability(CODES[:2], [caption, "a dog"])
    assert together[0] == pytest.approx(total, abs=1e-4)


def test_the_decoder_sees_nothing_but_the_code():
    assert TRAINED.greedy(np.repeat(CODES[:1], 3, axis=0)) == TRAINED.greedy(CODES[:1]) * 3


@pytest.mark.parametrize("call, words", [
    (lambda: captioner.train(SCENES, n_latent=0), "n_latent must"),
    (lambda: captioner.train(SCENES, bottleneck="tanh"), "bottleneck must"),
    (lambda: captioner.train(SCENES, n_epochs=-1), "n_epochs must"),
    (lambda: captioner.train(SCENES, learning_rate=0), "learning_rate must"),
    (lambda: captioner.train(scenes.Scenes(SCENES.images[:0], [], [])), "scenes must"),
    (lambda: captioner.train(scenes.Scenes(SCENES.images[:2], SCENES.facts[:2],
                                           [["a unicorn"], ["a cat"]])), "unicorn"),
    (lambda: TRAINED.encode(SCENES.images[0]), "images must"),
    (lambda: TRAINED.encode(SCENES.images[:0]), "images must"),
    (lambda: TRAINED.greedy(CODES[:, :5]), r"codes must have the shape \(n, 20\)"),
    (lambda: TRAINED.greedy(CODES[0]), "codes must"),
    (lambda: TRAINED.sample(CODES, 0, rng=0), "n_samples must"),
    (lambda: TRAINED.sample(CODES, 1, rng=0, temperature=0), "temperature must"),
    (lambda: TRAINED.beam(CODES, 0), "width must"),
    (lambda: TRAINED.log_probability(CODES[:1], ["a unicorn"]), "unicorn"),
    (lambda: TRAINED.log_probability(CODES[:2], ["a cat"]), "captions must"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


# --- codes from elsewhere ------------------------------------------------------------------------


def test_codes_from_a_file_and_a_decoder(tmp_path):
    np.save(tmp_path / "codes.npy", CODES)
    model = loaded_captioner.load_codes(
        tmp_path / "codes.npy", TRAINED.greedy,
        lambda codes, n, rng: TRAINED.sample(codes, n, rng))
    assert model.n_latent == 20 and (model.codes == CODES).all()
    assert model.greedy(model.codes) == TRAINED.greedy(CODES)
    assert model.sample(CODES, 3, rng=2) == TRAINED.sample(CODES, 3, rng=2)


@pytest.mark.parametrize("call, words", [
    (lambda: loaded_captioner.load_codes(CODES[0], TRAINED.greedy), "codes must"),
    (lambda: loaded_captioner.load_codes(CODES * np.nan, TRAINED.greedy), "not finite"),
    (lambda: loaded_captioner.load_codes(np.diag([np.inf] + [0.0] * 19), TRAINED.greedy),
     "not finite"),
    (lambda: loaded_captioner.load_codes(CODES, TRAINED.greedy).greedy(CODES[:, 1:]), "codes must"),
    (lambda: loaded_captioner.load_codes(CODES, TRAINED.greedy).sample(CODES, 2, 0),
     "cannot sample"),
])
def test_bad_codes(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_without_transformers_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match="pip install transformers"):
        loaded_captioner.hugging_face(SCENES.images[:2])
