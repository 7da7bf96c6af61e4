import doctest
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from hblib.models import _caption_trees as caption_trees
from hblib.models import _captioner as captioner
from hblib.worlds import _scenes as scenes

SCENES = scenes.draw(80, rng=0)
TRAINED = captioner.train(SCENES, n_latent=12, n_pretraining=1, n_epochs=4, batch_size=16,
                          n_hidden=16, n_embedding=8)
CODES = TRAINED.encode(SCENES.images[:5])


def test_examples():
    assert doctest.testmod(caption_trees).failed == 0


def test_without_a_floor_the_captions_have_probability_one():
    tree = caption_trees.expand(TRAINED, CODES[0], floor=0, max_words=2)
    assert len(caption_trees.branches(tree)) == 1 + (n := len(captioner.WORDS) - 1) + n**2
    assert sum(caption_trees.sentences(tree).values()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("floor", [0.3, 0.01, 0.002])
def test_a_floor_only_leaves_out(floor):
    tree = caption_trees.expand(TRAINED, CODES[1], floor=floor)
    assert sum(caption_trees.sentences(tree).values()) <= 1 + 1e-9
    kept = caption_trees.branches(tree)
    assert min(kept.values()) >= floor and kept[()] == 1
    finer = caption_trees.branches(caption_trees.expand(TRAINED, CODES[1], floor=floor / 2))
    assert kept == pytest.approx({words: finer[words] for words in kept})
    assert {words for words, p in finer.items() if p >= floor} == set(kept)


def test_children_never_have_more_than_their_parent():
    def visit(node):
        assert node.ends + sum(child.probability for child in node.children) <= (
            node.probability + 1e-9)
        assert [c.probability for c in node.children] == sorted(
            (c.probability for c in node.children), reverse=True)
        for child in node.children:
            visit(child)

    visit(caption_trees.expand(TRAINED, CODES[2], floor=0.003))


def test_probabilities_are_those_of_the_decoder():
    said = caption_trees.sentences(caption_trees.expand(TRAINED, CODES[3], floor=0.002))
    short = [caption for caption in said if len(caption.split()) < captioner.MAX_WORDS]
    assert short
    expected = TRAINED.log_probability(np.repeat(CODES[3:4], len(short), axis=0), short)
    np.testing.assert_allclose(np.log([said[caption] for caption in short]), expected, atol=1e-4)


def test_samples_have_the_shares_that_the_tree_says():
    n = 1500
    sampled = caption_trees.branches(caption_trees.from_captions(
        TRAINED.sample(CODES[:1], n, rng=1)[0]))
    exact = caption_trees.branches(caption_trees.expand(TRAINED, CODES[0], floor=0.02))
    for words, p in exact.items():
        assert abs(sampled.get(words, 0) - p) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-9


def test_counts_are_merged():
    tree = caption_trees.from_captions(["a cat", "a cat in a kitchen", "two cats", "a cat"])
    assert caption_trees.branches(tree)["a", "cat"] == 0.75
    assert caption_trees.sentences(tree) == {"a cat": 0.5, "a cat in a kitchen": 0.25,
                                             "two cats": 0.25}


def texts(svg):
    return ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("text")]


def test_the_drawing_folds_what_has_no_choice():
    tree = caption_trees.from_captions(["a cat on a desk"] * 3 + ["a dog"])
    shown = texts(caption_trees.svg(tree, "t"))
    assert "cat on a desk" in shown and "dog" in shown and "a" in shown
    assert "75 %" in shown


def test_the_drawing_keeps_its_width():
    long = ["a " + "very " * 30 + word for word in ("cat", "dog")]
    svg = caption_trees.svg(caption_trees.from_captions(long), "t", width=400)
    assert any("…" in text for text in texts(svg))
    circles = ElementTree.fromstring(svg).iter("circle")
    assert max(float(c.get("cx")) for c in circles) < 400
    titles = ["".join(e.itertext()) for e in ElementTree.fromstring(svg).iter("title")]
    assert any(long[0] in title for title in titles)


def test_nothing_in_a_caption_becomes_markup(capsys):
    evil = '<script>alert("1")</script> & "x"'
    tree = caption_trees.from_captions([evil, "a cat"])
    assert "<script" not in caption_trees.svg(tree, evil)
    page = caption_trees.show({evil: tree}, "A caption.") or ""
    assert "<script" not in page
    ElementTree.fromstring(caption_trees.svg(tree, evil))


def test_the_page_has_a_text_alternative(monkeypatch):
    pages = []
    monkeypatch.setattr(caption_trees, "display", pages.append)
    tree = caption_trees.from_captions(["a <b> cat"] * 3 + ["a dog"])
    caption_trees.show({"One": tree}, "What to see.")
    page = pages[0]._repr_html_()
    found = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attributes):
            found.append((tag, dict(attributes)))

    Reader().feed(page)
    assert ("svg" in [tag for tag, _ in found]) and ("b" not in [tag for tag, _ in found])
    assert any(tag == "svg" and a["role"] == "img" and a["aria-label"] for tag, a in found)
    assert [tag for tag, _ in found].count("li") == 2
    assert "75 %  a <b> cat" in repr(pages[0])


@pytest.mark.parametrize("call, words", [
    (lambda: caption_trees.expand(TRAINED, CODES[0], floor=1.0), "floor must"),
    (lambda: caption_trees.expand(TRAINED, CODES[0], floor=-0.1), "floor must"),
    (lambda: caption_trees.expand(TRAINED, CODES[0], max_words=0), "max_words must"),
    (lambda: caption_trees.expand(TRAINED, CODES[0, :3]), "codes must"),
    (lambda: caption_trees.from_captions([]), "captions must"),
    (lambda: caption_trees.from_captions("a cat"), "captions must"),
    (lambda: caption_trees.show({}, "Caption."), "trees must"),
    (lambda: caption_trees.show({"a": None}, " "), "caption must"),
])
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
