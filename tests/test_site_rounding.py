"""The first screen of the chapter on language models on a page of its own: columns and slider."""

import pytest

DATA = {
    "prompt": "The cat",
    "bits": [3, 4, 8],
    "start": 1,
    "full": {"name": "full precision", "text": " sat.", "loss": 2.0},
    "columns": [
        {"name": "own basis", "texts": ["x3", "x4", " sat."], "losses": [12.0, 10.0, 2.1]},
        {"name": "rotated", "texts": ["y3", " sits.", " sat."], "losses": [7.0, 2.5, 2.0]},
    ],
}


@pytest.fixture(scope="module")
def figure(write_figure, open_page):
    return open_page(write_figure("rounding", "rounded-text", DATA))


def shown(page, name):
    return page.get_by_role("group", name=name).inner_text()


def test_the_columns_show_text_and_loss_at_the_start(figure):
    assert "The cat sat." in shown(figure, "full precision")
    assert "The catx4" in shown(figure, "own basis")
    assert "The cat sits." in shown(figure, "rotated")
    assert "loss 10.00 nats per token" in shown(figure, "own basis")


def test_the_slider_changes_the_bits_by_key_and_leaves_full_precision(figure):
    slider = figure.get_by_label("Bits per activation")
    slider.focus()
    figure.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "8 bits"
    assert "loss 2.10" in shown(figure, "own basis") and "The cat sat." in shown(figure, "rotated")
    figure.keyboard.press("Home")
    assert slider.get_attribute("aria-valuetext") == "3 bits"
    assert "y3" in shown(figure, "rotated") and "The cat sat." in shown(figure, "full precision")


def test_text_may_hold_anything(write_figure, open_page):
    odd = {**DATA, "prompt": '<b>bold</b> & "quoted"'}
    page = open_page(write_figure("rounding", "rounded-text", odd))
    assert "<b>bold</b>" in shown(page, "own basis") and page.locator("b").count() == 0
