import doctest
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib.worlds import _scene_painting as scene_painting
from hblib.worlds import _scenes as scenes
from hblib.worlds import _sprites as sprites
from hblib.worlds._scenes import KINDS, Facts, statements

DRAWN = scenes.draw(1500, rng=0)


@pytest.mark.parametrize("module", [scenes, scene_painting, sprites])
def test_examples(module):
    assert doctest.testmod(module).failed == 0


# --- captions ------------------------------------------------------------------------------------


def test_every_caption_is_true_of_its_picture():
    for facts, captions in zip(DRAWN.facts, DRAWN.captions):
        for caption in captions:
            assert scenes.facts_of(caption) <= statements(facts), caption


@st.composite
def pictures(draw):
    table, _ = scenes.situations()
    facts = draw(st.sampled_from(table))
    colours = st.sampled_from(list(sprites.COLOURS))
    extras = [kind for kind in scenes.EXTRAS if kind not in (facts.subject, facts.other)]
    extra = draw(st.none() | st.sampled_from(extras))
    return replace(
        facts,
        count=1 if facts.statue else draw(st.integers(1, 6)),
        colour=draw(colours),
        other_colour=draw(colours) if facts.other else None,
        extra=extra,
        extra_colour=draw(colours) if extra else None,
        black_and_white=draw(st.booleans()),
    )


@given(pictures(), st.integers(0, 2**32))
@settings(deadline=None, max_examples=300)
def test_captions_of_any_picture_are_true_and_name_the_subject(facts, seed):
    said = scenes.facts_of(scenes.caption(facts, seed))
    assert said <= statements(facts)
    assert facts.subject in said and (facts.other is None or facts.other in said)
    assert (f"statue of {facts.subject}" in said) == facts.statue
    assert any(s.startswith(f"count of {facts.subject}") for s in said)


@pytest.mark.parametrize(
    "caption, wrong",
    [
        ("two cats on a desk", "count of cat: two"),
        ("a dog on a desk", "dog"),
        ("a cat in the snow", "place: snow"),
        ("a white cat", "colour of cat: white"),
        ("a cat riding a keyboard", "cat riding keyboard"),
        ("a statue of a cat", "statue of cat"),
        ("a black and white photo of a cat", "style: black and white"),
        ("a group of cats", "count of cat: group"),
        ("a large cat", "size of cat: large"),
        ("a cat near a bird", "bird"),
    ],
)
def test_what_is_false_is_found(caption, wrong):
    facts = Facts("cat", "office", "next to", "keyboard", colour="black", other_colour="blue")
    assert wrong in scenes.facts_of(caption) - statements(facts)


def test_beside_each_other_has_no_direction():
    assert scenes.facts_of("a dog next to a man") == scenes.facts_of("a man beside a dog")
    assert scenes.facts_of("a man riding a dog") != scenes.facts_of("a dog riding a man")


def test_captions_use_the_whole_vocabulary_and_nothing_else():
    used = {word for captions in DRAWN.captions for caption in captions for word in caption.split()}
    assert used == set(scenes.VOCABULARY)
    assert 60 <= len(scenes.VOCABULARY) <= 120


def test_odd_extras_are_often_left_out():
    mentioned = {True: [], False: []}
    for facts, captions in zip(DRAWN.facts, DRAWN.captions):
        if facts.extra:
            mentioned[facts.extra_is_odd] += [facts.extra in scenes.facts_of(c) for c in captions]
    for odd, rate in ((True, scenes.MENTIONED["odd"]), (False, scenes.MENTIONED["usual"])):
        n = len(mentioned[odd])
        assert abs(np.mean(mentioned[odd]) - rate) < 4 * np.sqrt(rate * (1 - rate) / n)


def test_references_of_one_picture_differ():
    assert np.mean([len(set(captions)) for captions in DRAWN.captions]) > 3


# --- what occurs together ------------------------------------------------------------------------


def test_things_occur_together_as_declared():
    expected = scenes.co_occurrence()
    shown = np.array([[kind in statements(f) for kind in KINDS] for f in DRAWN.facts], float)
    observed = shown.T @ shown / len(DRAWN)
    error = np.sqrt(expected * (1 - expected) / len(DRAWN))
    assert (observed[expected == 0] == 0).all()
    assert (np.abs(observed - expected) <= 5 * error + 1e-12).all()
    assert (expected == 0).sum() > 30 and np.allclose(expected, expected.T)


def test_what_is_not_in_the_table_never_occurs():
    allowed = {(f.subject, f.relation, f.other, f.place, f.statue) for f in scenes.situations()[0]}
    assert {(f.subject, f.relation, f.other, f.place, f.statue) for f in DRAWN.facts} <= allowed
    statues = [f for f in DRAWN.facts if f.statue]
    assert statues and not any(f.other == "snowboard" for f in statues)
    assert {f.other for f in statues} == {None, "horse"}


@pytest.mark.parametrize(
    "held_out",
    [
        [{"woman riding horse"}],
        [{"cat", "place: street"}, {"dog", "ball"}],
        [{"count of man: three"}],
        [{"style: black and white", "cat"}],
    ],
)
def test_what_is_held_out_is_not_drawn(held_out):
    facts = scenes.draw(400, rng=1, held_out=held_out, n_captions=1).facts
    assert len(facts) == 400
    assert not any(combination <= statements(f) for combination in held_out for f in facts)
    assert any(combination <= statements(f) for combination in held_out for f in DRAWN.facts)


# --- pictures ------------------------------------------------------------------------------------


def test_the_seed_decides():
    one, same, other = (scenes.draw(20, rng=seed) for seed in (3, 3, 4))
    assert (one.images == same.images).all() and one.captions == same.captions
    assert one.facts == same.facts and (one.images != other.images).any()


def test_black_and_white_pictures_have_no_colour():
    grey = (DRAWN.images.max(axis=3) == DRAWN.images.min(axis=3)).all(axis=(1, 2))
    assert (grey == DRAWN.show("style: black and white")).all()


def test_nothing_is_said_of_colours_that_are_not_to_be_seen():
    facts = Facts("man", "field", "riding", "horse", colour="blue", other_colour="brown",
                  extra="ball", extra_colour="red")  # fmt: skip
    coloured = {f"colour of {c}" for c in ("man: blue", "horse: brown", "ball: red")}
    assert coloured <= statements(facts)
    grey = statements(replace(facts, black_and_white=True))
    assert grey == statements(facts) - coloured | {"style: black and white"}
    assert statements(replace(facts, statue=True)) & coloured == {"colour of ball: red"}


def test_backdrops_are_mirrored_one_by_one():
    """The white board of the office hangs on the left, or in a mirrored picture on the right."""
    images = scenes.render([Facts("keyboard", "office", colour="black")] * 60, rng=0)
    on_the_left = images[:, 12, 8].min(axis=1) > images[:, 12, 55].min(axis=1)
    assert 15 <= on_the_left.sum() <= 45


def test_statues_are_of_stone_and_edges_of_the_colour_beside_them():
    stone = sprites.sprite("cat", 22, "red", stone=True)
    painted = stone[..., 3] > 0
    assert np.ptp(stone[painted][:, :3], axis=1).max() < 0.1
    ball = sprites.sprite("ball", 13, "red")
    edge = (ball[..., 3] > 0) & (ball[..., 3] < 1)
    # Red, darker red and white: none has its largest part below 0.5.
    assert edge.any() and ball[edge][:, :3].max(axis=1).min() > 0.5


@pytest.mark.parametrize(
    "change",
    [
        dict(extra="ball", extra_colour="red"),
        dict(count=2),
        dict(colour="red"),
        dict(place="street"),
        dict(subject="dog"),
        dict(statue=True),
        dict(black_and_white=True),
        dict(size="large"),
        dict(relation="next to", other="cake", other_colour="red"),
    ],
)
def test_every_fact_is_to_be_seen(change):
    facts = Facts("cat", "kitchen", colour="black")
    both = [facts, replace(facts, **change)]
    one, other = (scenes.render([f], rng=0)[0].astype(int) for f in both)
    assert (np.abs(one - other).max(axis=2) > 25).sum() >= 12


@given(st.lists(pictures(), min_size=1, max_size=4), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_any_picture_can_be_painted(facts, seed):
    images = scenes.render(facts, seed)
    assert images.shape == (len(facts), 64, 64, 3) and images.dtype == np.uint8
    assert images.std(axis=(1, 2, 3)).min() > 5


def test_every_thing_has_a_drawing():
    for kind in KINDS:
        picture = sprites.sprite(kind, 24, "red")
        assert picture.shape[0] == 24 and 0.05 < (picture[..., 3] > 0.5).mean() < 1
        assert np.ptp(sprites.sprite(kind, 24, "red", stone=True)[..., :3], axis=2).max() < 0.1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: scenes.draw(0, rng=0), "n must"),
        (lambda: scenes.draw(2, rng=0, n_captions=0), "n_captions must"),
        (lambda: scenes.draw(2, rng=0, held_out=["cat"]), "held_out must"),
        (lambda: scenes.draw(2, rng=0, held_out=[{"unicorn"}]), "held_out must"),
        (lambda: scenes.draw(2, rng=0, held_out=[set()]), "held_out must"),
        (lambda: scenes.draw(2, rng=0, held_out=[{k} for k in KINDS]), "no situation"),
        (lambda: scenes.facts_of("a unicorn riding a horse"), "unicorn"),
        (lambda: scenes.render([], rng=0), "facts must"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()
