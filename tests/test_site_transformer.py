"""The explorable transformer of chapter 8 on a page of its own, held against the library."""

import re

import numpy as np
import pytest
import torch

from hblib import rotation
from hblib.models import language

TEXT = "the history of the unit"
Q = rotation.haar(64, rng=5, det=1)
LABEL = "What is done to the model"


@pytest.fixture(scope="module")
def model():
    return language.letter_model(torch.float64)


@pytest.fixture(scope="module")
def address(write_figure, model):
    data = language.page_data(model, Q, TEXT)
    data["angles"] = data["angles"].tolist()
    return write_figure("transformer", "turned-transformer", data)


@pytest.fixture
def page(address, open_page):
    return open_page(address)


def turn_to(page, share):
    page.get_by_label("How far").fill(str(share))


def continued(model, text):
    """Text as the page goes on with it: from squared probabilities, with its own draws."""
    tokens = model.tokenizer.encode(text)
    for i in range(1, 25):
        squares = (2 * language.logits(model, tokens)[-1]).softmax(-1).numpy()
        tokens.append(int(np.searchsorted(squares.cumsum(), 0.618034 * i % 1, side="right")))
    return model.tokenizer.decode(tokens)[len(text) :]


def said(model, text=TEXT):
    """Probabilities of the next letter, in percent, and the streams at the last one."""
    tokens = model.tokenizer.encode(text)
    found = language.logits(model, tokens)[-1].softmax(-1)
    places = [f"residual.{n}" for n in range(3)]
    return 100 * found.numpy(), [language.read(model, tokens, p)[p][-1] for p in places]


def probabilities(page):
    titles = page.locator("hb-fig title").all_text_contents()
    return np.array([float(re.search(r": ([\d.]+) %", title)[1]) for title in titles])


def coordinates(page):
    cells = page.locator("rect[data-value]")
    values = cells.evaluate_all("nodes => nodes.map(n => Number(n.dataset.value))")
    return np.array(values).reshape(3, 2, 64)


@pytest.mark.parametrize("share", [0, 37, 100])
def test_turning_a_folded_model_changes_coordinates_only(page, model, share):
    turn_to(page, share)
    own, streams = said(model)
    assert probabilities(page) == pytest.approx(own, abs=6e-4)
    assert page.get_by_text("No probability has changed by more than a billionth").count() == 1
    shown = coordinates(page)
    for (trained, now), stream in zip(shown, streams):
        assert trained == pytest.approx(stream, rel=1e-4, abs=1e-4)
        assert now == pytest.approx(
            stream @ rotation.fractional_power(Q, share / 100), rel=1e-4, abs=1e-4
        )
    assert np.allclose(*shown.transpose(1, 0, 2)) == (share == 0)


def test_without_folding_it_is_another_model(page, model):
    page.get_by_label(LABEL).select_option("unfolded")
    turn_to(page, 60)
    turned, _ = said(language.rotate(model, rotation.fractional_power(Q, 0.6), unfolded=True))
    assert probabilities(page) == pytest.approx(turned, abs=6e-4)
    largest = np.abs(turned - said(model)[0]).max()
    assert largest > 1
    [shown] = re.findall(r"change of a probability: ([\d.]+) points", page.inner_text("hb-fig"))
    assert float(shown) == pytest.approx(largest, abs=0.051)


def test_stretching_is_no_rotation(page, model):
    page.get_by_label(LABEL).select_option("stretch")
    turn_to(page, 100)
    s = torch.from_numpy(4.0 ** np.linspace(-1, 1, 64))
    W = dict(language.fold(model).weights)
    for name, value in W.items():
        if name == "head" or name.endswith((".q", ".k", ".v", ".gate", ".up")):
            W[name] = value / s
        elif name == "embedding":
            W[name] = value * s
        elif name.endswith((".o", ".down")):
            W[name] = value * s[:, None]
    stretched, _ = said(model.with_weights(W))
    assert probabilities(page) == pytest.approx(stretched, abs=6e-4)
    turn_to(page, 0)
    assert probabilities(page) == pytest.approx(said(model)[0], abs=6e-4)


def test_another_text_is_read_and_goes_on(page, model):
    field = page.get_by_label("Type a text")
    for typed, read in (("In 1912,  the UNITED st", "in the united st"), ("", " ")):
        field.fill(typed)
        assert probabilities(page) == pytest.approx(said(model, read)[0], abs=6e-4)
    field.fill("was born in the united st")
    wanted = continued(model, "was born in the united st")
    assert page.locator("samp").all_text_contents() == [wanted, wanted]
    long = "a long text of many words " * 6
    field.fill(long)
    assert probabilities(page) == pytest.approx(said(model, long[-64:])[0], abs=6e-4)


def test_it_is_turned_by_keyboard(page):
    slider = page.get_by_label("How far")
    slider.focus()
    page.keyboard.press("End")
    assert slider.get_attribute("aria-valuetext") == "100\u00a0%"
    page.get_by_label(LABEL).focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_label(LABEL).input_value() == "unfolded"
    assert page.get_by_text("The largest change of a probability").count() == 1


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(address, open_page, width):
    page = open_page(address, viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
