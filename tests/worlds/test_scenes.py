"""Painted scenes: captions are true of them, facts can be seen, things occur as declared."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import worlds
from hblib.worlds import SCENE_THINGS, Facts, _scenes, _sprites, statements


@pytest.fixture(scope="module")
def drawn():
    return worlds.draw_scenes(1500, rng=0)


# --- captions ------------------------------------------------------------------------------------


def test_every_caption_is_true_of_its_picture(drawn):
    for facts, captions in zip(drawn.facts, drawn.captions):
        for caption in captions:
            assert worlds.parse_caption(caption) <= statements(facts), caption


@st.composite
def pictures(draw):
    table, _ = worlds.situations()
    facts = draw(st.sampled_from(table))
    colours = st.sampled_from(list(_sprites.COLOURS))
    extras = [kind for kind in _scenes.EXTRAS if kind not in (facts.subject, facts.other)]
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
    said = worlds.parse_caption(worlds.draw_caption(facts, seed))
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
    assert wrong in worlds.parse_caption(caption) - statements(facts)


def test_beside_each_other_has_no_direction():
    assert worlds.parse_caption("a dog next to a man") == worlds.parse_caption("a man beside a dog")
    assert worlds.parse_caption("a man riding a dog") != worlds.parse_caption("a dog riding a man")


def test_captions_use_the_whole_vocabulary_and_nothing_else(drawn):
    used = {word for captions in drawn.captions for caption in captions for word in caption.split()}
    assert used == set(worlds.CAPTION_VOCABULARY)
    assert 60 <= len(worlds.CAPTION_VOCABULARY) <= 120


def test_odd_extras_are_often_left_out(drawn):
    mentioned = {True: [], False: []}
    for facts, captions in zip(drawn.facts, drawn.captions):
        if facts.extra:
            said = [worlds.parse_caption(caption) for caption in captions]
            mentioned[facts.extra_is_odd] += [facts.extra in one for one in said]
    for odd, rate in ((True, _scenes.MENTIONED["odd"]), (False, _scenes.MENTIONED["usual"])):
        n = len(mentioned[odd])
        assert abs(np.mean(mentioned[odd]) - rate) < 4 * np.sqrt(rate * (1 - rate) / n)


def test_references_of_one_picture_differ(drawn):
    assert np.mean([len(set(captions)) for captions in drawn.captions]) > 3


# --- what occurs together ------------------------------------------------------------------------


def test_things_occur_together_as_declared(drawn):
    expected = worlds.scene_cooccurrence()
    shown = np.array([[kind in statements(f) for kind in SCENE_THINGS] for f in drawn.facts], float)
    observed = shown.T @ shown / len(drawn)
    error = np.sqrt(expected * (1 - expected) / len(drawn))
    assert (observed[expected == 0] == 0).all()
    assert (np.abs(observed - expected) <= 5 * error + 1e-12).all()
    assert (expected == 0).sum() > 30 and np.allclose(expected, expected.T)


def test_what_is_not_in_the_table_never_occurs(drawn):
    allowed = {(f.subject, f.relation, f.other, f.place, f.statue) for f in worlds.situations()[0]}
    assert {(f.subject, f.relation, f.other, f.place, f.statue) for f in drawn.facts} <= allowed
    statues = [f for f in drawn.facts if f.statue]
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
def test_what_is_held_out_is_not_drawn(drawn, held_out):
    facts = worlds.draw_scenes(400, rng=1, held_out=held_out, n_captions=1).facts
    assert len(facts) == 400
    assert not any(combination <= statements(f) for combination in held_out for f in facts)
    assert any(combination <= statements(f) for combination in held_out for f in drawn.facts)


# --- pictures ------------------------------------------------------------------------------------


def test_the_seed_decides():
    one, same, other = (worlds.draw_scenes(20, rng=seed) for seed in (3, 3, 4))
    assert (one.images == same.images).all() and one.captions == same.captions
    assert one.facts == same.facts and (one.images != other.images).any()


def test_black_and_white_pictures_have_no_colour(drawn):
    grey = (drawn.images.max(axis=3) == drawn.images.min(axis=3)).all(axis=(1, 2))
    assert (grey == drawn.shows("style: black and white")).all()


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
    images = worlds.render_scenes([Facts("keyboard", "office", colour="black")] * 60, rng=0)
    on_the_left = images[:, 12, 8].min(axis=1) > images[:, 12, 55].min(axis=1)
    assert 15 <= on_the_left.sum() <= 45


def test_statues_are_of_stone_and_edges_of_the_colour_beside_them():
    stone = _sprites.sprite("cat", 22, "red", stone=True)
    painted = stone[..., 3] > 0
    assert np.ptp(stone[painted][:, :3], axis=1).max() < 0.1
    ball = _sprites.sprite("ball", 13, "red")
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
    one, other = (worlds.render_scenes([f], rng=0)[0].astype(int) for f in both)
    assert (np.abs(one - other).max(axis=2) > 25).sum() >= 12


@given(st.lists(pictures(), min_size=1, max_size=4), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_any_picture_can_be_painted(facts, seed):
    images = worlds.render_scenes(facts, seed)
    assert images.shape == (len(facts), 64, 64, 3) and images.dtype == np.uint8
    assert images.std(axis=(1, 2, 3)).min() > 5


def test_every_thing_has_a_drawing():
    for kind in SCENE_THINGS:
        picture = _sprites.sprite(kind, 24, "red")
        assert picture.shape[0] == 24 and 0.05 < (picture[..., 3] > 0.5).mean() < 1
        assert np.ptp(_sprites.sprite(kind, 24, "red", stone=True)[..., :3], axis=2).max() < 0.1


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: worlds.draw_scenes(2, rng=0, held_out=["cat"]), "held_out must"),
        (lambda: worlds.draw_scenes(2, rng=0, held_out=[{"unicorn"}]), "held_out must"),
        (lambda: worlds.draw_scenes(2, rng=0, held_out=[set()]), "held_out must"),
        (lambda: worlds.draw_scenes(2, 0, held_out=[{t} for t in SCENE_THINGS]), "no situation"),
        (lambda: worlds.parse_caption("a unicorn riding a horse"), "unicorn"),
        (lambda: worlds.render_scenes([], rng=0), "facts must"),
    ],
)
def test_input_that_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
