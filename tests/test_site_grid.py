"""The live figures of chapter 7 on pages of their own: numbers, keyboard, playing, less motion."""

import base64
import re

import numpy as np
import pytest

from hblib import grid

LABELS = [0, 0, 0, 1, 1, 1]
N_FRAMES, SIDE = len(LABELS), 3


def cells(brightest):
    """Two layers of 3 x 3; at each frame one cell is lit, `brightest(layer, frame)`."""
    film = bytearray(2 * N_FRAMES * SIDE * SIDE)
    for layer in range(2):
        for frame in range(N_FRAMES):
            film[(layer * N_FRAMES + frame) * SIDE * SIDE + brightest(layer, frame)] = 255
    return base64.b64encode(bytes(film)).decode()


DATA = {
    "shape": [SIDE, SIDE],
    "layers": 2,
    "ms": 10,
    "start": 1,
    "unit": "ms",
    "names": ["sil", "iy"],
    "labels": LABELS,
    "centres": [[0, 0], [2, 1]],
    "films": [
        {"name": "with", "cells": cells(lambda layer, frame: 7 if LABELS[frame] else 0)},
        {"name": "without", "cells": cells(lambda layer, frame: 4 + layer)},
    ],
}


@pytest.fixture(scope="module")
def open_film(write_figure, open_page):
    address = write_figure("grid", "grid-film", DATA)
    return lambda **options: open_page(address, **options)


def lit(page, layer):
    """Numbers of the cells of a layer that are fully lit."""
    return page.evaluate(
        """layer => {
            const cells = document.querySelectorAll(".hb-panel svg")[layer]
                .querySelectorAll("rect[fill-opacity]");
            const bright = (cell) => cell.getAttribute("fill-opacity") == 1;
            return [...cells].flatMap((cell, i) => (bright(cell) ? [i] : []));
        }""",
        layer,
    )


def ring(page, layer):
    circle = page.locator(".hb-panel svg circle").nth(layer)
    return float(circle.get_attribute("cy")) - 0.5, float(circle.get_attribute("cx")) - 0.5


def test_the_slider_goes_through_the_frames_by_key(open_film):
    page = open_film()
    time = page.get_by_label("Time")
    assert lit(page, 0) == [0] and ring(page, 0) == (0, 0)
    time.focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    assert time.get_attribute("aria-valuetext") == "30 ms"
    assert lit(page, 0) == lit(page, 1) == [7]
    assert ring(page, 1) == (2, 1)
    assert page.get_by_text("Being read").inner_text() == "Being read: iy"
    assert page.get_by_role("img").nth(0).get_attribute("aria-label").endswith("place of iy")


def test_steps_go_to_the_middle_of_the_neighbouring_sound(open_film):
    page = open_film()
    page.get_by_role("button", name="Next").press("Enter")
    assert page.get_by_label("Time").input_value() == "4"
    page.get_by_role("button", name="Previous").press("Enter")
    assert page.get_by_label("Time").input_value() == "1"


def test_networks_stand_side_by_side(open_film):
    page = open_film()
    assert [lit(page, panel) for panel in range(4)] == [[0], [0], [4], [5]]
    assert page.get_by_role("img").nth(3).get_attribute("aria-label").startswith("without, layer 2")


def test_it_plays_to_the_end_when_asked_and_never_by_itself(open_film):
    page = open_film()
    page.wait_for_timeout(200)
    assert page.get_by_label("Time").input_value() == "1"  # where it was told to begin
    page.get_by_role("button", name="Play").press("Enter")
    page.get_by_role("button", name="Pause").wait_for()
    page.get_by_role("button", name="Play").wait_for()  # the end is reached
    assert page.get_by_label("Time").input_value() == str(N_FRAMES - 1)


def test_a_key_on_the_slider_stops_it(open_film):
    page = open_film()
    page.get_by_role("button", name="Play").press("Enter")
    page.get_by_label("Time").press("Home")
    assert page.get_by_role("button", name="Play").count() == 1
    assert page.get_by_label("Time").input_value() == "0"


def test_who_asks_for_less_motion_gets_steps_only(open_film):
    page = open_film(reduced_motion="reduce")
    assert page.get_by_role("button", name="Play").count() == 0
    page.get_by_role("button", name="Next").press("Enter")
    assert lit(page, 0) == [7]


# Sorting

CENTRES = [[0, 0], [0, 2], [2, 0], [2, 2]]


@pytest.fixture(scope="module")
def layers():
    rng = np.random.default_rng(0)
    ordinary, penalised = (np.round(1e6 * rng.dirichlet(np.ones(9), 4)).astype(int) for _ in "ab")
    return ordinary, penalised, rng.permutation(9)


@pytest.fixture(scope="module")
def open_sorting(write_figure, open_page, layers):
    ordinary, penalised, cells = layers
    data = {
        "shape": [SIDE, SIDE], "names": ["sil", "iy", "ih", "eh"], "centres": CENTRES, "radius": 1,
        "ordinary": ordinary.tolist(), "penalised": penalised.tolist(), "cells": cells.tolist(),
        "start": 1,
    }  # fmt: skip
    address = write_figure("sorting", "sorting", data)
    return lambda **options: open_page(address, **options)


def in_the_ring(page, panel):
    text = page.locator(".hb-panel .hb-note").nth(panel).inner_text()
    return [float(number) for number in re.findall(r"([\d.]+) %", text)]


def _expected(maps, c):
    maps = maps / maps.sum(axis=1, keepdims=True)
    shares = maps @ grid.regions(grid.lattice((SIDE, SIDE)), CENTRES, 1.0)[c]
    return 100 * shares[c], 100 * np.delete(shares, c).mean()


@pytest.mark.parametrize("sound", range(4))
def test_what_lies_in_the_ring_is_the_librarys(open_sorting, layers, sound):
    ordinary, penalised, cells = layers
    page = open_sorting()
    page.get_by_label("Sound", exact=True).select_option(str(sound))
    assert in_the_ring(page, 0) == pytest.approx(_expected(ordinary, sound), abs=0.051)
    assert in_the_ring(page, 1) == pytest.approx(_expected(penalised, sound), abs=0.051)
    page.get_by_label("Order of the units").press("End")
    best = ordinary[:, np.argsort(cells)]
    assert in_the_ring(page, 0) == pytest.approx(_expected(best, sound), abs=0.051)


def test_units_slide_when_asked_and_stop_in_their_cells(open_sorting, layers):
    page = open_sorting()
    order = page.get_by_label("Order of the units")
    assert order.input_value() == "0"
    page.get_by_role("button", name="Sort the units").press("Enter")
    page.wait_for_function("document.querySelector('input[type=range]').value === '100'")
    places = page.evaluate(
        "[...document.querySelector('.hb-panel svg').querySelectorAll('rect[fill-opacity]')]"
        ".map((unit) => 3 * unit.getAttribute('y') + 1 * unit.getAttribute('x'))"
    )
    assert places == layers[2].tolist()
    assert order.get_attribute("aria-valuetext") == "best"


def test_less_motion_means_two_ends(open_sorting):
    page = open_sorting(reduced_motion="reduce")
    page.get_by_role("button", name="Sort the units").press("Enter")
    assert page.get_by_label("Order of the units").input_value() == "100"
