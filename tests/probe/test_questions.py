"""The questions, with the truth planted: how often each answer is right, and at what strength."""

import matplotlib
import numpy as np
import pandas as pd
import pytest

from hblib import probe, rotation

matplotlib.use("Agg")
normal = np.random.default_rng


def labelled(strength, rng, n=400, k=8):
    """Units that follow one class each, as strongly as said, and the classes."""
    rng = normal(rng)
    label = rng.integers(k, size=n)
    return strength * np.eye(k)[label] + rng.normal(size=(n, k)), label


# ---------------------------------------------------------------- are the axes marked?


def test_round_clouds_are_called_marked_no_more_often_than_the_level_says():
    found = [
        probe.marked_axes(normal(i).normal(size=(60, 4)), rng=i, n_rotations=159).holds
        for i in range(60)
    ]
    assert np.mean(found) <= 0.15  # 5 % expected; 10 of 60 or more have a chance of 1 in 1000


def test_the_power_of_the_test_grows_with_the_strength_of_the_mark():
    power = []
    for share in (0.0, 0.5, 1.0):
        found = []
        for i in range(12):
            rng = normal([i, 1])
            round_, marked = rng.normal(size=(200, 6)), rng.laplace(size=(200, 6)) / np.sqrt(2)
            H = np.where(rng.random(200)[:, None] < share, marked, round_)
            found.append(probe.marked_axes(H, rng=i, n_rotations=159).holds)
        power.append(np.mean(found))
    assert power[0] <= 0.25 and power[0] <= power[1] <= power[2] and power[2] >= 0.9


def test_what_is_planted_is_what_is_named_and_a_rotation_takes_it_away():
    rng = normal(0)
    Z = rng.normal(size=(300, 5))
    planted = {
        "offset: peak of the mean vector": Z + [9, 0, 0, 0, 0],
        "variance: spread over units": Z * [3, 1, 1, 1, 1],
        "peaks: kurtosis of a sample": Z * (5 * np.eye(5)[rng.integers(5, size=300)] + 0.3),
    }
    for name, H in planted.items():
        table = probe.marked_axes(H, rng=1).to_frame()
        assert table["p_holm"][name] <= 0.05, name
        assert abs(table["rotated copy"][name]) < abs(table["distance"][name])
        assert not probe.marked_axes(H @ rotation.haar(5, rng=2), rng=3).p < 0.02


def test_idle_units_and_wide_layers():
    H = np.maximum(normal(0).normal(size=(100, 8)), 0)
    H[:, 3] = 0
    answer = probe.marked_axes(H.astype(np.float16), max_units=5, max_samples=60, n_rotations=19)
    assert "1 of 8 units never vary" in answer.sentence


# ---------------------------------------------------------------- do units mean more?


def test_aligned_units_mean_more_and_rotated_ones_do_not():
    aligned, rotated, unrelated = [], [], []
    for i in range(6):
        H, label = labelled(4.0, i)
        U = rotation.haar(8, rng=[i, 2])
        aligned.append(probe.unit_meaning(H, label, rng=i, n_draws=39).holds)
        rotated.append(probe.unit_meaning(H @ U, label, rng=i, n_draws=39).holds)
        shuffled = normal(i).permutation(label)
        unrelated.append(probe.unit_meaning(H, shuffled, rng=i, n_draws=39).holds)
    assert np.mean(aligned) == 1 and np.mean(rotated) <= 1 / 3 and np.mean(unrelated) <= 1 / 3


def test_the_difference_grows_with_the_strength_of_the_alignment():
    found = []
    for strength in (0.0, 1.0, 4.0):
        H, label = labelled(strength, 0)
        found.append(probe.unit_meaning(H, label, n_draws=19).estimate)
    assert abs(found[0]) < 0.1 < found[2] and found[0] < found[1] < found[2]


def test_brightness_earns_nothing():
    rng = normal(0)
    bright = rng.random(400)
    H = bright[:, None] * np.array([1.0, 0.2, 0.2, 0.2]) + 0.05 * rng.normal(size=(400, 4))
    has = bright > 0.7
    free, matched = (
        probe.unit_meaning(H, has.astype(int), matched=known, n_draws=19).to_frame()["mean score"]
        for known in (None, bright)
    )
    assert matched["units"] < 0.3 and matched["units"] <= free["units"] + 0.02


def test_labels_of_every_kind():
    H, label = labelled(4.0, 0, n=200)
    values = [
        probe.unit_meaning(H, labels, n_draws=19).estimate
        for labels in (
            label, label.astype(float), list(label.astype(str)), label[:, None] == np.arange(8),
            np.array([f"class {i}" for i in label], dtype=object),
        )
    ]  # fmt: skip
    np.testing.assert_allclose(values, values[0])
    frame = pd.DataFrame({"smile": normal(0).random(200), "beard": label == 1})
    assert set(probe.attributes_of(frame, 200)[0]) == {"low smile", "high smile", "beard"}


# ---------------------------------------------------------------- are two layers alike?


def test_equal_networks_are_alike_and_unrelated_ones_are_not():
    X = normal(0).exponential(size=(80, 6))
    answer = probe.alike(X, X @ rotation.haar(6, rng=1), n_permutations=199)
    assert answer.holds and answer.estimate == pytest.approx(1)
    table = answer.to_frame()
    assert table["excess"]["one-to-one neurons"] < 0.9 < table["excess"]["CKA, linear"]
    assert "orthogonal" in table["blind to"]["CKA, linear"]
    assert "orthogonal" not in table["blind to"]["one-to-one neurons"]
    wrong = [
        probe.alike(
            *normal(i).normal(size=(2, 40, 60)),
            rng=i, n_permutations=39, measures=["linear_cka"],
        ).holds
        for i in range(40)
    ]  # fmt: skip
    assert np.mean(wrong) <= 0.2


def test_the_power_to_see_a_common_part():
    power = []
    for share in (0.0, 0.3, 1.0):
        found = []
        for i in range(8):
            Z, A, B = normal(i).normal(size=(3, 60, 5))
            answer = probe.alike(
                share * Z + A, share * Z + B, rng=i, n_permutations=39, measures=["debiased_cka"]
            )
            found.append(answer.holds)
        power.append(np.mean(found))
    assert power[0] <= 0.3 and power[0] <= power[1] <= power[2] == 1


def test_all_pairs_of_layers():
    A, B = normal(0).normal(size=(2, 60, 5))
    pairs = probe.alike_pairs({"first": A, "second": B}, {"first": A[:, :3], "second": B})
    matrix = pairs.pivot(index="layer", columns="other", values="p_max")
    assert (np.diag(matrix) <= 0.05).all() and matrix.loc["first", "second"] > 0.05
    assert (pairs["p_max"] >= pairs["p"] - 1e-12).mean() >= 0.5


# ---------------------------------------------------------------- the answer


def test_an_answer_is_a_table_a_picture_and_a_sentence():
    H, label = labelled(4.0, 0, n=100)
    for answer in (
        probe.marked_axes(H, n_rotations=19),
        probe.unit_meaning(H, label, n_draws=19),
        probe.alike(H, H[:, :3], n_permutations=19, measures=["linear_cka", "rsa"]),
    ):
        frame = answer.to_frame()
        frame.iloc[0, 0] = -5
        assert answer.to_frame().iloc[0, 0] != -5
        ax = answer.plot()
        assert [text.get_text() for text in ax.get_yticklabels()] == list(map(str, frame.index))
        assert answer.sentence in str(answer) and answer.limits in str(answer)
        assert 0 <= answer.p <= 1
        matplotlib.pyplot.close("all")


# ---------------------------------------------------------------- hostile input


def test_one_sentence_for_what_cannot_be_asked():
    H, label = labelled(1.0, 0, n=100)
    one_unit = np.zeros_like(H)
    one_unit[:, 0] = H[:, 0]
    nan = H.copy()
    nan[3, 3] = np.nan
    for call, said in (
        (lambda: probe.marked_axes(H[:1]), "H must have at least 20 samples"),
        (lambda: probe.marked_axes(nan), "H has 1 of 800 values that are not finite"),
        (lambda: probe.marked_axes(np.ones((50, 3))), "H is constant"),
        (lambda: probe.marked_axes(one_unit), "at least two units that vary, got 1"),
        (lambda: probe.unit_meaning(H, label[:50]), "labels must be one per sample"),
        (lambda: probe.unit_meaning(H, np.zeros(100, int)), "labels tell no inputs apart"),
        (lambda: probe.unit_meaning(H, np.arange(100)), "labels are of 100 kinds"),
        (lambda: probe.unit_meaning(H, H[:, 0]), "labels must be classes"),
        (lambda: probe.unit_meaning(H, H), "labels as a table must hold True and False"),
        (lambda: probe.unit_meaning(H, label, matched=np.ones(9)), "matched must have one row"),
        (lambda: probe.unit_meaning(H, label, worthwhile=2.0), "worthwhile must be"),
        (lambda: probe.alike(H, H[:50]), "same samples in their rows, got 100 and 50 rows"),
        (lambda: probe.alike(H, H, measures=["cka"]), "measures must be one of"),
        (lambda: probe.alike(H, H, measures=[]), "measures must name at least one"),
        (lambda: probe.alike_pairs([H], {"a": H}), "layers must map names to layers"),
        (lambda: probe.alike_pairs({"a": H}, {"a": H[:50]}), "must have the same samples"),
    ):
        with pytest.raises(ValueError, match=said):
            call()


# ---------------------------------------------------------------- how an answer is shown


def test_a_card_has_the_form_of_the_book_and_your_claim_in_it():
    H, label = labelled(4, 0)
    answers = [
        (probe.marked_axes(H, rng=0), "The units of this layer stand out among all directions."),
        (probe.unit_meaning(H, label, rng=0, n_draws=39), "Units mean more than random directions"),
        (probe.alike(H, H[:, ::-1]), "The two layers share more than shuffled samples do."),
    ]
    for answer, claim in answers:
        card = answer._repr_html_()
        assert card.startswith('<details class="hb-claim" data-verdict="supported"')
        assert claim in card and "your claim" in card
        level, null = answer.levels()
        assert level > null
        for part in ("verdict", "statement", "numbers", "kind", "facts"):
            assert f"hb-claim__{part}" in card
    shuffled = np.random.default_rng(1).permutation(label)
    card = probe.unit_meaning(H, shuffled, rng=0, n_draws=39)._repr_html_()
    assert 'data-verdict="not supported"' in card


def test_the_levels_are_those_of_the_headline():
    H, _ = labelled(4, 0)
    axes, atoms = probe.marked_axes(H, rng=0), probe.few_atoms(H, 2, n_seeds=3, n_iter=2)
    assert axes.levels()[0] == axes.estimate
    table = atoms.to_frame()
    assert atoms.levels() == tuple(table.loc["K-SVD", ["unexplained", "hardest comparison"]])
