"""The axis of chapter 1 that turns: what the page computes is what the library computes."""

import json
import re

import numpy as np
import pytest
from built_site import SITE

from hblib import meaning

PAGE = SITE / "notebooks" / "01_activation_space.html"


@pytest.fixture
def figure(tab):
    if not PAGE.is_file():
        pytest.skip("the site is not built")
    page = tab()
    page.goto(PAGE.as_uri())
    return page.locator("hb-fig[kind='turning-axis']")


def _shown(figure):
    """The pictures shown, in order, and the number in the line below them."""
    tiles = figure.locator("canvas")
    shown = [int(tiles.nth(i).get_attribute("data-input")) for i in range(tiles.count())]
    said = figure.locator(".hb-turning-said").inner_text()
    name, count, value = re.fullmatch(r"(.+): (\d+) of 10, surplus (\S+)", said).groups()
    return shown, name, int(count), float(value.replace("\u2212", "-"))


@pytest.mark.parametrize(("start", "end", "degrees"), [(None, None, 0), (2, 7, 37), (9, 4, 180)])
def test_top_inputs_name_and_surplus_are_the_librarys(figure, start, end, degrees):
    data = json.loads(figure.locator("script").inner_text())
    pair = list(data["start"])
    for place, chosen in enumerate((start, end)):
        if chosen is not None:
            figure.locator("select").nth(place).select_option(str(chosen))
            pair[place] = chosen
    figure.get_by_label("Turn the axis").fill(str(degrees))
    shown, name, count, value = _shown(figure)

    turn = np.deg2rad(degrees)
    a = np.array(data["directions"])[:, pair] @ np.array([[np.cos(turn)], [np.sin(turn)]])
    R = np.array(data["residuals"])
    found = meaning.surplus(a, R, data["n_top"], data["luck"])
    has = np.array([[x == "1" for x in row] for row in data["has"]])
    assert shown == meaning.top_inputs(a, data["n_top"]).indices[0].tolist()
    assert name == data["names"][found.attribute[0]]
    assert count == has[shown, found.attribute[0]].sum()
    assert value == pytest.approx(found.score[0], abs=0.0051)


def test_the_axis_turns_by_keyboard_and_the_pictures_change(figure):
    slider = figure.get_by_label("Turn the axis")
    before = _shown(figure)[0]
    slider.focus()
    for _ in range(60):
        slider.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "60 degrees"
    assert _shown(figure)[0] != before
    assert "surplus" in figure.locator(".hb-turning-strip").get_attribute("aria-label")


def test_pictures_are_large_enough_on_a_phone(tab):
    if not PAGE.is_file():
        pytest.skip("the site is not built")
    page = tab(viewport={"width": 390, "height": 844})
    page.goto(PAGE.as_uri())
    box = page.locator("hb-fig[kind='turning-axis'] canvas").first.bounding_box()
    assert box["width"] >= 48 and box["height"] >= 48
