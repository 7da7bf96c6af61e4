"""Does training turn with its start, and does it mark axes."""

import numpy as np
import pytest
import torch

from hblib import rotation
from hblib.models import language

SIZES = language.Sizes(1, 16, 2, 1, 8, 24, 11)
TEXT = np.random.default_rng(0).integers(0, 11, 300)
SHORT = {"n_steps": 8, "n_positions": 10, "batch_size": 2}


def starts(seeds=(0, 1), dtype=torch.float64):
    return language.random_model(SIZES, seeds=list(seeds), dtype=dtype)


@pytest.mark.parametrize("rule", language.RULES)
def test_rules_without_an_index_of_coordinates_turn_with_their_start(rule):
    found = language.training_defect(starts(), TEXT, rule, rotation.haar(16, rng=1), **SHORT)
    assert found.shape == (2,)
    breaks = rule in ("adam", "muon_adam")
    assert (found > 1e-3).all() if breaks else (found < 1e-10).all()


@pytest.mark.parametrize("rule", ["sgd", "muon", "shampoo"])
def test_learnt_gains_break_them_all(rule):
    Q = rotation.haar(16, rng=1)
    found = language.training_defect(starts(), TEXT, rule, Q, learn_gains=True, **SHORT)
    assert (found > 1e-4).all()


def test_adam_keeps_what_only_relabels_the_axes():
    Q = rotation.signed_permutation(16, rng=1)
    options = {"learn_gains": False, **SHORT}
    assert language.training_defect(starts(), TEXT, "adam", Q, **options).max() < 1e-9


def test_the_defect_is_that_of_two_runs():
    start, Q = starts([3]).one(0), rotation.haar(16, rng=2)
    found = language.training_defect(start, TEXT, "adam", Q, **SHORT)
    worst = 0
    for n in range(1, SHORT["n_steps"] + 1):
        options = {**SHORT, "n_steps": n}
        a, b = (
            language.train_language(m, TEXT, "adam", **options).model
            for m in (start, language.rotate(start, Q))
        )
        wanted = language.rotate(a, Q).weights
        gap = sum(float((b.weights[k] - W).square().sum()) for k, W in wanted.items())
        worst = max(worst, (gap / sum(float(W.square().sum()) for W in wanted.values())) ** 0.5)
    assert found == pytest.approx([worst])
    assert not start.weights["0.q"].requires_grad


def test_kurtosis_of_turned_vectors_is_known_exactly():
    rng = np.random.default_rng(0)
    x = np.zeros(16)
    x[0] = 5
    for vector in (x, rng.normal(size=16), np.ones(16)):
        turned = rotation.haar(16, rng, size=40_000) @ vector
        assert language.axis_kurtosis(turned) == pytest.approx(3 * 16 / 18, abs=0.02)


def test_kurtosis_goes_from_one_to_the_number_of_axes():
    H = np.stack([3 * np.eye(6), np.sign(np.random.default_rng(0).normal(size=(6, 6)))])
    assert language.axis_kurtosis(H) == pytest.approx([6, 1])
    assert language.axis_kurtosis(torch.ones(2, 3)) == 1


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda: language.axis_kurtosis(np.ones(3)), "H must hold vectors as rows"),
        (lambda: language.axis_kurtosis(np.zeros((2, 3))), "H has a vector that is zero"),
        (lambda: language.axis_kurtosis(np.ones((0, 3))), "H is empty"),
        (lambda: language.training_defect(starts(), TEXT, "sgd", np.eye(3)), r"shape \(16, 16\)"),
        (lambda: language.training_defect(starts(), TEXT, "lion", np.eye(16)), "rule must be"),
        (
            lambda: language.training_defect(starts(), TEXT, "sgd", np.eye(16), watch=print),
            "watch is what",
        ),
    ],
)
def test_bad_input_is_refused(call, match):
    with pytest.raises(ValueError, match=match):
        call()
