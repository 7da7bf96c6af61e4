"""The explorable figure of chapter 6 on a page of its own: pictures, atoms to tick, the tree."""

import pytest

PIXEL = (  # a picture of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJg"
    "gg=="
)


def tree(said, other):
    """A tree of two captions, the first more probable."""
    return ["a", 1.0, 0.0, [[said, 0.7, 0.7, []], [other, 0.3, 0.3, []]]]


DATA = {
    "pictures": [
        {
            "png": PIXEL,
            "caption": f"a {thing}",
            "atoms": [
                {"says": f"a {thing}", "weight": 3.25},
                {"says": "a field", "weight": -0.5},
            ],
            # By the atoms in the sum: none, the first, the second, both.
            "trees": [
                tree("nothing", "bird"),
                tree(f"{thing} alone", "bird"),
                tree("field", "bird"),
                tree(thing, "bird"),
            ],
        }
        for thing in ("cat", "dog")
    ]
}


@pytest.fixture(scope="module")
def figure(write_figure, open_page):
    return open_page(write_figure("captions", "caption-atoms", DATA))


def widest(page):
    return page.get_by_text("Widest branches").inner_text()


def test_atoms_are_ticked_off_by_key_and_the_tree_follows(figure):
    figure.get_by_label("Picture", exact=True).select_option("0")
    assert "“a cat”. All atoms" in widest(figure)
    boxes = figure.get_by_label("Atoms of the sum").get_by_role("checkbox")
    assert boxes.count() == 2
    boxes.nth(1).focus()
    figure.keyboard.press("Space")
    assert "“a cat alone”" in widest(figure) and "All atoms" not in widest(figure)
    boxes.nth(0).focus()
    figure.keyboard.press("Space")
    assert "“a nothing”. No atom" in widest(figure)
    assert figure.get_by_role("img", name="the widest branches say: a nothing").count() == 1
    boxes.nth(1).focus()
    figure.keyboard.press("Space")
    assert "“a field”" in widest(figure)


def test_a_chosen_picture_comes_with_all_its_atoms(figure):
    figure.get_by_label("Picture", exact=True).select_option("1")
    assert "“a dog”. All atoms" in widest(figure)
    assert figure.get_by_alt_text("Picture 2, captioned: a dog").count() == 1
    atoms = figure.get_by_label("Atoms of the sum").inner_text()
    assert "3.3 × “a dog”" in atoms and "−0.5 × “a field”" in atoms


def test_the_tree_has_a_branch_and_a_share_for_each_caption(figure):
    drawing = figure.get_by_label("Tree of sentences", exact=True)
    words = drawing.locator("text").all_text_contents()
    assert {"dog", "bird", "70\u00a0%", "30\u00a0%"} <= {w.strip() for w in words}
