"""The explorable figure of chapter 4 on a page of its own: lists, slider, keyboard."""

import pytest

DATA = {
    "words": [f"word{i}" for i in range(10)],
    # Unit 1 likes early words and unit 2 late ones, on scales of their own.
    "units": [[999 - 100 * i for i in range(10)], [100 * i + 99 for i in range(10)]],
    "scale": [0.5, 2.0],
    "random": [[(7 * i) % 10 for i in range(10)], [(3 * i) % 10 for i in range(10)]],
}


@pytest.fixture(scope="module")
def figure(write_figure, open_page):
    return open_page(write_figure("words", "words", DATA))


def shown(page, label):
    return page.get_by_label(label).get_by_role("listitem").all_inner_texts()


def test_the_slider_goes_from_one_unit_to_the_other_by_key(figure):
    chosen = "Top words of the direction chosen"
    assert shown(figure, chosen) == [f"word{i}" for i in range(8)]
    slider = figure.get_by_label("Angle between the units")
    slider.focus()
    for _ in range(18):
        figure.keyboard.press("ArrowRight")
    assert slider.get_attribute("aria-valuetext") == "90 degrees"
    assert shown(figure, chosen) == [f"word{i}" for i in range(9, 1, -1)]
    assert figure.get_by_text("Unit 2", exact=True).count() >= 1
    figure.keyboard.press("End")
    assert shown(figure, chosen)[0] == "word9"  # unit 1 with its sign changed
    figure.keyboard.press("Home")


def test_units_are_mixed_on_their_true_scales(figure):
    figure.get_by_label("Angle between the units").focus()
    for _ in range(6):
        figure.keyboard.press("ArrowRight")
    # At 30 degrees unit 2, four times as large, already decides.
    assert shown(figure, "Top words of the direction chosen")[0] == "word9"
    figure.keyboard.press("Home")


def test_units_and_random_directions_can_be_chosen(figure):
    figure.get_by_label("First unit").select_option("1")
    assert shown(figure, "Top words of the direction chosen")[0] == "word9"
    assert figure.get_by_text("Choose two different units").count() == 1
    figure.get_by_label("Second unit").select_option("0")
    assert figure.get_by_text("Choose two different units").count() == 0
    before = shown(figure, "Top words of a random direction")
    figure.get_by_label("Random direction", exact=True).select_option("1")
    after = shown(figure, "Top words of a random direction")
    assert before != after and after[0] == "word3"
