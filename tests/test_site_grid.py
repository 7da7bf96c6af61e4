"""The film of chapter 7 on a page of its own: steps, keyboard, playing, less motion."""

import base64

import pytest

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
    for _ in range(3):
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


def test_another_network_shows_its_own_activity(open_film):
    page = open_film()
    page.get_by_label("Network").select_option("1")
    assert lit(page, 0) == [4] and lit(page, 1) == [5]


def test_it_plays_to_the_end_when_asked_and_never_by_itself(open_film):
    page = open_film()
    page.wait_for_timeout(200)
    assert page.get_by_label("Time").input_value() == "0"
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
