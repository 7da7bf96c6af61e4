"""The explorable figures of chapter 4 on pages of their own, held against the library."""

import base64
import re

import numpy as np
import pytest

from hblib import meaning, rotation, words

N, D, K, STEPS = 60, 6, 6, 20


# Top words and neighbours


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(0)
    return rng.integers(-99, 100, (N, D)), rotation.haar(D, rng)[:2]


@pytest.fixture(scope="module")
def lists(write_figure, open_page, vectors):
    X, random = vectors
    data = {
        "words": [f"word{i}" for i in range(N)],
        "vectors": base64.b64encode(X.astype(np.int8).tobytes()).decode(),
        "directions": [*np.eye(D).tolist(), *random.tolist()],
        "names": [*(f"axis {i + 1}" for i in range(D)), "random 1", "random 2"],
        "asked": [3, 17],
        "start": [0, 1],
    }
    return open_page(write_figure("neighbours", "neighbours", data))


def shown(page, label):
    return page.get_by_label(label, exact=True).get_by_role("listitem").all_inner_texts()


def choose(page, first, second, degrees):
    page.get_by_label("First direction").select_option(str(first))
    page.get_by_label("Second direction").select_option(str(second))
    page.get_by_label("Angle between the two").evaluate(
        "(input, v) => { input.value = v; input.dispatchEvent(new Event('input')); }", degrees
    )


@pytest.mark.parametrize("chosen", [(0, 1, 0), (2, 5, 65), (4, 7, 110), (6, 7, 45)])
def test_top_words_and_neighbours_are_the_librarys(lists, vectors, chosen):
    X, random = vectors
    choose(lists, *chosen)
    directions = np.vstack([np.eye(D), random])
    turn = np.radians(chosen[2])
    along = X @ (np.cos(turn) * directions[chosen[0]] + np.sin(turn) * directions[chosen[1]])
    expected = meaning.top_inputs(along[:, None], 8).indices[0]
    assert shown(lists, "Top words of the direction chosen") == [f"word{i}" for i in expected]
    names = np.array([f"word{i}" for i in range(N)])
    near = words.Embedding(names, X.astype(float), 0.0 * X).neighbours("word3", 8)
    assert shown(lists, "Nearest words") == [word for word, _ in near]


def test_the_direction_turns_by_key_and_the_neighbours_stay(lists):
    choose(lists, 0, 1, 0)
    top, near = (shown(lists, x) for x in ("Top words of the direction chosen", "Nearest words"))
    slider = lists.get_by_label("Angle between the two")
    slider.focus()
    for _ in range(18):
        lists.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "90 degrees"
    assert shown(lists, "Top words of the direction chosen") != top
    assert shown(lists, "Nearest words") == near
    lists.get_by_label("Word", exact=True).select_option("1")
    assert shown(lists, "Nearest words") != near
    lists.get_by_label("Word", exact=True).select_option("0")
    lists.get_by_label("Second direction").select_option("0")
    assert lists.get_by_text("Choose two different directions").count() == 1


# Two trainings


@pytest.fixture(scope="module")
def spaces():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(300, K)) * np.linspace(1, 2, K)
    U = rotation.haar(K, rng, det=1)
    return X, (X + 0.3 * rng.normal(size=X.shape)) @ U.T, U


@pytest.fixture(scope="module")
def trainings(write_figure, open_page, spaces):
    X, Y, U = spaces
    C = np.cov(X.T, Y.T, bias=True)
    data = {
        "cross": C[:K, K:].tolist(),
        "own": C[K:, K:].tolist(),
        "spread": X.std(axis=0).tolist(),
        "root": np.round(1e6 * rotation.fractional_power(U, 1 / STEPS)).astype(int).tolist(),
        "steps": STEPS,
        "pairs": [1, 0, 2, 3, 4, 5],
        "signs": [1, -1, 1, 1, 1, 1],
        "cosines": {"before": 0.01, "units": 0.44, "rotation": 0.9},
    }
    return open_page(write_figure("trainings", "trainings", data))


def diagonal(page, panel):
    text = page.locator("hb-fig .hb-panel .hb-note").nth(panel).inner_text()
    return float(re.match(r"Mean size on the diagonal: ([\d.]+)", text)[1]), text


def _correlation(X, Y):
    C = np.corrcoef(X.T, Y.T)[:K, K:]
    return np.abs(np.diag(C)).mean()


@pytest.mark.parametrize("step", [0, 7, STEPS])
def test_correlations_are_those_of_the_turned_vectors(trainings, spaces, step):
    X, Y, U = spaces
    trainings.get_by_label("Turn the second training").evaluate(
        "(input, v) => { input.value = v; input.dispatchEvent(new Event('input')); }", step
    )
    value, text = diagonal(trainings, 1)
    turned = Y @ rotation.fractional_power(U, step / STEPS)
    assert value == pytest.approx(_correlation(X, turned), abs=0.0051)
    assert ("of a word" in text) == (step in (0, STEPS))
    label = trainings.locator("hb-fig svg").nth(1).get_attribute("aria-label")
    assert text in label


def test_units_are_paired_by_a_button(trainings, spaces):
    X, Y, _ = spaces
    before, _ = diagonal(trainings, 0)
    assert before == pytest.approx(_correlation(X, Y), abs=0.0051)
    button = trainings.get_by_role("button", name="best pairing of units")
    button.focus()
    trainings.keyboard.press("Enter")
    value, text = diagonal(trainings, 0)
    assert value == pytest.approx(_correlation(X, Y[:, [1, 0, 2, 3, 4, 5]]), abs=0.0051)
    assert text.endswith("0.44") and button.get_attribute("aria-pressed") == "true"
    trainings.get_by_role("button", name="as trained").click()
    assert diagonal(trainings, 0)[0] == before


def test_the_way_back_by_key(trainings):
    slider = trainings.get_by_label("Turn the second training")
    slider.focus()
    trainings.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "100 %"
    trainings.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "0 %"
