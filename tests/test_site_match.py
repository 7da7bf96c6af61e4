"""The explorable figures of chapter 3 on pages of their own, held against the library."""

import re

import numpy as np
import pytest

from hblib import similarity

X, Y = [[1, 1, 0, 0], [1, 0, 1, 0]], [[0, 1, 0, 1], [0, 0, 1, 1]]
AXES = np.array([[0, 1, -1, 0], [1, 0, 0, -1], [1, 1, 1, 1]])
AXES = AXES / np.linalg.norm(AXES, axis=1, keepdims=True)
READOUT = [[1, -1], [1, -1]]


@pytest.fixture(scope="module")
def open_planes(write_figure, open_page):
    data = {"X": X, "Y": Y, "basis": AXES.tolist(), "epsilon": 0.1}
    address = write_figure("match", "planes", data)
    return lambda **options: open_page(address, **options)


@pytest.fixture(scope="module")
def open_networks(write_figure, open_page):
    start = {"W1": [[1, 0], [0, 1]], "W2": READOUT, "V2": READOUT, "inputs": [[1, 1], [-1, -1]]}
    presets = [
        {"name": "as printed", "V1": [[1, 0], [0, -1]], **start},
        {"name": "mended", "V1": [[-1, 0], [0, -1]], **start},
    ]
    address = write_figure("match", "johnson-222", {"presets": presets})
    return lambda **options: open_page(address, **options)


def shown(page, name):
    text = page.locator("hb-fig .hb-panel").last.inner_text()
    return float(re.search(rf"{name}: ([\d.]+)", text).group(1))


def set_slider(page, label, value):
    page.get_by_label(label).evaluate(
        "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", value
    )


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("degrees", "epsilon"), [(0, 0.1), (45, 0.1), (40, 0.1), (0, 0.85)])
def test_the_match_of_the_planes_is_that_of_the_library(open_planes, centred, degrees, epsilon):
    page = open_planes()
    if centred:
        page.get_by_role("button", name="Centre").click()
    set_slider(page, "Turn both layers", degrees)
    set_slider(page, "Tolerance", epsilon)
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    layers = [np.array(side).T @ [[c, -s], [s, c]] for side in (X, Y)]
    expected = similarity.matching_similarity(*layers, epsilon=epsilon, centred=centred)
    assert shown(page, "Maximum match") == expected
    assert shown(page, "Linear CKA") == pytest.approx(similarity.linear_cka(*layers), abs=0.005)


def test_centre_and_rotate_are_pressed_and_released(open_planes):
    page = open_planes()
    rotate = page.get_by_role("button", name="Rotate")
    assert shown(page, "Maximum match") == 0
    rotate.focus()
    page.keyboard.press("Enter")
    assert rotate.get_attribute("aria-pressed") == "true" and shown(page, "Maximum match") == 0.5
    centre = page.get_by_role("button", name="Centre")
    centre.click()
    assert centre.get_attribute("aria-pressed") == "true" and shown(page, "Maximum match") == 1
    centre.click()
    rotate.click()
    assert rotate.get_attribute("aria-pressed") == "false" and shown(page, "Maximum match") == 0


def test_the_view_turns_by_key_and_pointer_and_the_numbers_stay(open_planes):
    page = open_planes()
    space = page.get_by_role("application")
    views = [space.inner_html()]
    space.focus()
    page.keyboard.press("ArrowRight")
    views.append(space.inner_html())
    box = space.bounding_box()
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 140, box["y"] + 110)
    page.mouse.up()
    views.append(space.inner_html())
    assert len(set(views)) == 3
    assert shown(page, "Maximum match") == 0


def test_the_planes_stay_inside_their_picture(open_planes):
    page = open_planes(viewport={"width": 390, "height": 800})
    page.get_by_role("button", name="Rotate").click()
    ends = page.evaluate(
        """() => {
            const svg = document.querySelector("hb-fig svg");
            const frame = svg.getBoundingClientRect();
            return [...svg.querySelectorAll("polygon, circle, rect, text")].map(node => {
                const box = node.getBoundingClientRect();
                const room = Math.min(box.left - frame.left, box.top - frame.top,
                                      frame.right - box.right, frame.bottom - box.bottom);
                return [node.textContent || node.tagName, room];
            });
        }"""
    )
    assert [name for name, room in ends if room < -1] == []


def test_the_networks_of_the_example_are_computed_as_by_the_library(open_networks):
    page = open_networks()
    assert "Outputs: different." in page.locator("hb-fig").inner_text()
    assert "similarity 0.75" in page.locator("hb-fig").inner_text()
    page.get_by_label("Start from").select_option("mended")
    text = page.locator("hb-fig").inner_text()
    assert "Outputs: equal, and all zero." in text
    assert "No neurons match at any tolerance below 1." in text
    page.get_by_label("network 2, first layer, row 1, column 2").fill("-0.5")
    H, K = (
        np.maximum(np.array([[1, 1], [-1, -1]]) @ np.transpose(W), 0)
        for W in ([[1, 0], [0, 1]], [[-1, -0.5], [0, -1]])
    )
    assert similarity.matching_similarity(H, K, epsilon=0) == 0
    assert "similarity 0." in page.locator("hb-fig").inner_text()


def test_every_neuron_of_the_example_has_an_arrow(open_networks):
    page = open_networks()
    picture = page.get_by_role("img", name="Hidden activation vectors")
    assert picture.locator("g path").count() == 4
    assert sorted(picture.locator("tspan").all_text_contents()) == ["h₁", "h₂", "k₁", "k₂"]
    across = picture.locator("text", has_text="h₁").text_content()
    assert "k₁" in across and "k₂" not in across
