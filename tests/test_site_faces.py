"""The decoder of chapter 5 in the page: what it paints is what the library computes."""

import base64
import json

import numpy as np
import pytest
from built_site import SITE

PAGE = SITE / "notebooks" / "05_thought_vectors.html"
READ = "c => [...c.getContext('2d').getImageData(0, 0, c.width, c.height).data]"


@pytest.fixture
def page(tab):
    if not PAGE.is_file():
        pytest.skip("the site is not built")
    page = tab()
    page.goto(PAGE.as_uri())
    return page


def _table(t):
    whole = np.frombuffer(base64.b64decode(t["data"]), np.int8).reshape(-1, t["columns"])
    return whole * np.array(t["scale"])[:, None]


def _picture(d, z):
    """The decoder of the page in NumPy, (size, size, 3) from 0 to 255, and its outputs."""
    hidden = np.maximum(d["hidden_bias"] + z @ _table(d["hidden_weight"]), 0)
    out = (d["bias"] + hidden @ _table(d["weight"]) + z @ _table(d["skip"])) * d["scale"]
    size = d["size"]
    Y = (d["mean_light"] + out @ _table(d["light"])).reshape(size, size)
    C = (d["mean_colour"] + out @ _table(d["colour"])).reshape(2, size // 2, size // 2)
    blue, red = C.repeat(2, axis=1).repeat(2, axis=2) + Y
    green = (Y - 0.299 * red - 0.114 * blue) / 0.587
    return 255 * np.clip(np.stack([red, green, blue], axis=-1), 0, 1), out


def _painted(canvas, size):
    return np.array(canvas.evaluate(READ)).reshape(size, size, 4)[..., :3]


@pytest.mark.parametrize("terms", [0, 3, 8])
def test_sums_are_painted_as_the_decoder_says(page, terms):
    figure = page.locator("hb-fig[kind='face-build']")
    data = json.loads(figure.locator("script").inner_text())
    d, face = data["decoder"], data["faces"][0]
    figure.get_by_label("Terms in the sum").fill(str(terms))
    wanted, full = _picture(d, np.array(face["code"]))
    assert np.abs(_painted(figure.locator("canvas").nth(0), d["size"]) - wanted).max() <= 1
    empty = _picture(d, np.zeros(d["n"]))[1]
    for column in range(3):
        z = np.sum(face["parts"][column][:terms], axis=0) if terms else np.zeros(d["n"])
        wanted, out = _picture(d, z)
        canvas = figure.locator("canvas").nth(column + 1)
        assert np.abs(_painted(canvas, d["size"]) - wanted).max() <= 1
        share = 100 * (1 - np.sum((full - out) ** 2) / np.sum((full - empty) ** 2))
        assert float(canvas.get_attribute("data-share")) == pytest.approx(share, abs=0.6)


def test_the_answer_is_given_only_after_a_guess(page):
    figure = page.locator("hb-fig[kind='face-build'] .hb-fig-live")
    assert "K-SVD" not in figure.inner_text()
    figure.get_by_role("button", name="A is learned").click()
    assert "No. A: random codes; B: K-SVD; C: units." in figure.inner_text()


def test_atoms_are_mixed_by_keyboard(page):
    figure = page.locator("hb-fig[kind='atom-mixer']")
    data = json.loads(figure.locator("script").inner_text())
    source = page.locator("hb-fig[kind='face-build'] script").inner_text()
    d = json.loads(source)["decoder"]
    slider = figure.locator("input[type='range']").first
    slider.focus()
    for _ in range(10):
        slider.press("ArrowRight")
    wanted, _ = _picture(d, np.array(data["atoms"][0]["step"]))
    assert np.abs(_painted(figure.locator("canvas"), d["size"]) - wanted).max() <= 1
    assert f"+ 1.0 \u00d7 {data['atoms'][0]['name']}" in figure.inner_text()
    figure.get_by_role("button", name="All to zero").click()
    assert "no atom" in figure.inner_text()
