"""The explorable figure that opens chapter 2 on a page of its own, held against the library."""

import re

import numpy as np
import pytest

from hblib import rotation

RNG = np.random.default_rng(0)
M = np.round(RNG.random((6, 9)), 2)
A0, B0 = rotation.initial_factors("gaussian", 2, M.shape, 1, scale=0.3, rng=RNG)
U = rotation.haar(2, RNG, det=1)
RATES = {"gd": 0.3, "adam": 0.01}
TOY = {"a": 0.5, "b": -0.9, "target": 1, "lr": 0.05, "steps": 200, "g": 2}


@pytest.fixture(scope="module")
def open_descent(write_figure, open_page):
    start = {"A0": A0[0].tolist(), "B0": B0[0].tolist(), "U": U.tolist(), "M": M.tolist()}
    data = {**start, "shown": [0, 1], "lr": RATES, "toy": TOY}
    address = write_figure("descent", "descent", data)
    return lambda **options: open_page(address, **options)


def shown(page, words):
    text = page.locator("hb-fig").inner_text()
    return [float(number) for number in re.findall(rf"{words} ([\d.]+)", text)]


@pytest.mark.parametrize("rule", ["gd", "adam"])
def test_descent_and_its_defect_are_those_of_the_library(open_descent, rule):
    page = open_descent()
    page.get_by_label("Training rule").select_option(rule)
    page.get_by_role("button", name="100 steps").click()
    problem = rotation.Problem(M)
    options = {"rule": rotation.RULES[rule], "n_steps": 100, "lr": RATES[rule]}
    starts = (A0, B0), (U @ A0, U @ B0)
    ends = [rotation.train_factorisation(problem, *start, **options) for start in starts]
    errors = [run.error[-1, 0] for run in ends]
    assert shown(page, "Step 100, error") == pytest.approx(errors, abs=1e-4)
    _, curve = rotation.equivariance_defect(problem, A0, B0, U, curve=True, **options)
    [off] = shown(page, "copy 1 by")
    assert off == pytest.approx(100 * curve[-1, 0], abs=0.06)
    assert (off == 0) == (rule == "gd")
    one, two = (run.A[0].T @ run.B[0] for run in ends)
    apart = 100 * np.linalg.norm(one - two) / np.linalg.norm(one)
    assert shown(page, "products differ by") == pytest.approx([apart], abs=0.06)


def test_the_contour_map_descends_as_the_library_does(open_descent):
    page = open_descent()
    start = [[[TOY["g"] * TOY["a"]]]], [[[TOY["b"] / TOY["g"]]]]
    run = rotation.train_factorisation(
        rotation.Problem([[TOY["target"]]]), *start, lr=TOY["lr"], n_steps=TOY["steps"]
    )
    x, y = re.search(
        r"ends at \(([\d.−]+), ([\d.−]+)\)", page.locator("hb-fig").inner_text()
    ).groups()
    assert [float(x), float(y)] == pytest.approx([run.A.item(), run.B.item()], abs=0.005)


def test_it_runs_pauses_and_starts_again_by_keyboard(open_descent):
    page = open_descent()
    run = page.get_by_role("button", name="Run")
    run.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("!/Step 0,/.test(document.querySelector('hb-fig').innerText)")
    page.get_by_role("button", name="Pause").press("Enter")
    paused = shown(page, "Step")
    assert paused[0] == paused[1] > 0
    page.get_by_role("button", name="Start again").press("Enter")
    assert shown(page, "Step") == [0, 0]


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_sticks_out(open_descent, width):
    page = open_descent(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
