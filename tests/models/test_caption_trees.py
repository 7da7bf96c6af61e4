"""Trees of captions against the decoder, samples and counts; what the drawing says."""

import functools
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from hblib.models import (
    MAX_WORDS,
    WORDS,
    draw_tree,
    expand_tree,
    show_trees,
    train_captioner,
    tree_branches,
    tree_from_captions,
    tree_sentences,
)
from hblib.worlds import draw_scenes


@functools.cache
def trained():
    """A captioner and the codes of five pictures."""
    scenes = draw_scenes(80, rng=0)
    sizes = {"n_latent": 12, "n_hidden": 16, "n_embedding": 8}
    captioner = train_captioner(scenes, n_epochs=4, n_pretraining=1, batch_size=16, **sizes)
    return captioner, captioner.encode(scenes.images[:5])


def expanded(i, **options):
    captioner, codes = trained()
    return expand_tree(captioner, codes[i], **options)


def test_without_a_floor_the_captions_have_probability_one():
    tree = expanded(0, floor=0, max_words=2)
    assert len(tree_branches(tree)) == 1 + (n := len(WORDS) - 1) + n**2
    assert sum(tree_sentences(tree).values()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("floor", [0.3, 0.01, 0.002])
def test_a_floor_only_leaves_out(floor):
    tree = expanded(1, floor=floor)
    assert sum(tree_sentences(tree).values()) <= 1 + 1e-9
    kept = tree_branches(tree)
    assert min(kept.values()) >= floor and kept[()] == 1
    finer = tree_branches(expanded(1, floor=floor / 2))
    assert kept == pytest.approx({words: finer[words] for words in kept})
    assert {words for words, p in finer.items() if p >= floor} == set(kept)


def test_children_never_have_more_than_their_parent():
    def visit(node):
        shares = [child.probability for child in node.children]
        assert node.ends + sum(shares) <= node.probability + 1e-9
        assert shares == sorted(shares, reverse=True)
        for child in node.children:
            visit(child)

    visit(expanded(2, floor=0.003))


def test_probabilities_are_those_of_the_decoder():
    said = tree_sentences(expanded(3, floor=0.002))
    short = [caption for caption in said if len(caption.split()) < MAX_WORDS]
    assert short
    captioner, codes = trained()
    expected = captioner.log_probability(np.repeat(codes[3:4], len(short), axis=0), short)
    np.testing.assert_allclose(np.log([said[caption] for caption in short]), expected, atol=1e-4)


def test_samples_have_the_shares_that_the_tree_says():
    n = 1500
    captioner, codes = trained()
    sampled = tree_branches(tree_from_captions(captioner.sample(codes[:1], n, rng=1)[0]))
    exact = tree_branches(expanded(0, floor=0.02))
    for words, p in exact.items():
        assert abs(sampled.get(words, 0) - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-9


def test_counts_are_merged():
    tree = tree_from_captions(["a cat", "a cat in a kitchen", "two cats", "a cat"])
    assert tree_branches(tree)["a", "cat"] == 0.75
    assert tree_sentences(tree) == {"a cat": 0.5, "a cat in a kitchen": 0.25, "two cats": 0.25}


def texts(svg):
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("text")]


def test_the_drawing_folds_what_has_no_choice():
    tree = tree_from_captions(["a cat on a desk"] * 3 + ["a dog"])
    shown = texts(draw_tree(tree, "t"))
    assert "cat on a desk" in shown and "dog" in shown and "a" in shown
    assert "75 %" in shown


def test_the_drawing_keeps_its_width():
    long = ["a " + "very " * 30 + word for word in ("cat", "dog")]
    svg = draw_tree(tree_from_captions(long), "t", width=400)
    assert any("…" in text for text in texts(svg))
    circles = ElementTree.fromstring(svg).iter("circle")
    assert max(float(c.get("cx")) for c in circles) < 400
    titles = ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("title")]
    assert any(long[0] in title for title in titles)


@pytest.fixture
def displayed(monkeypatch):
    """What is displayed instead of shown."""
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    return shown


def test_nothing_in_a_caption_becomes_markup(displayed):
    evil = '<script>alert("1")</script> & "x"'
    tree = tree_from_captions([evil, "a cat"])
    assert "<script" not in draw_tree(tree, evil)
    show_trees({evil: tree}, evil)
    assert "<script" not in displayed[0].data["text/html"]
    ElementTree.fromstring(draw_tree(tree, evil))


def test_the_page_has_a_text_alternative(displayed):
    tree = tree_from_captions(["a <b> cat"] * 3 + ["a dog"])
    show_trees({"One": tree}, "What to see.")
    page = displayed[0].data["text/html"]
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, dict(attributes)))

    Reader().feed(page)
    assert ("svg" in [tag for tag, _ in found]) and ("b" not in [tag for tag, _ in found])
    assert any(tag == "svg" and a["role"] == "img" and a["aria-label"] for tag, a in found)
    assert [tag for tag, _ in found].count("li") == 2
    assert "75 %  a <b> cat" in repr(displayed[0])


@pytest.mark.parametrize("call, words", [
    (lambda: expanded(0, floor=1.0), "floor must"),
    (lambda: expanded(0, floor=-0.1), "floor must"),
    (lambda: expanded(0, max_words=0), "max_words must"),
    (lambda: expand_tree(trained()[0], np.zeros(3)), "codes must"),
    (lambda: expand_tree(trained()[0], np.full(12, np.nan)), "not finite"),
    (lambda: draw_tree(tree_from_captions(["a cat"]), "t", width=np.nan), "width must"),
    (lambda: tree_from_captions([]), "captions must"),
    (lambda: tree_from_captions("a cat"), "captions must"),
    (lambda: show_trees({}, "Caption."), "trees must"),
    (lambda: show_trees({"a": None}, " "), "caption must"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
