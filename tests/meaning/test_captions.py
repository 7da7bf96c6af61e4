import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse as sp

from hblib import meaning, worlds


@functools.cache
def written():
    """Captions of the grammar."""
    return [c for several in drawn().captions for c in several]


@functools.cache
def drawn():
    """Some pictures with facts and captions."""
    return worlds.draw_scenes(60, rng=0)


# --- what captions say ----------------------------------------------------------------------------


@given(st.integers(0, 299), st.integers(0, 299))
@settings(deadline=None, max_examples=80)
def test_the_jaccard_index_is_a_similarity(i, j):
    one, other = written()[i], written()[j]
    (both,) = meaning.caption_jaccard([one], [other])
    assert both == meaning.caption_jaccard([other], [one])[0]
    assert 0 <= both <= 1
    assert meaning.caption_jaccard([one], [one])[0] == 1


def test_the_jaccard_index_is_the_share_of_all_that_is_said():
    one, other = "a cat in a kitchen", "a cat on a street"
    mine, theirs = meaning.caption_statements([one, other])
    assert len(mine & theirs) == 2 and len(mine | theirs) == 4
    assert meaning.caption_jaccard([one], [other])[0] == 1 / 2


def test_captions_are_compared_in_pairs():
    with pytest.raises(ValueError, match="must come in pairs, got 1 and 2"):
        meaning.caption_jaccard(["a cat"], ["a cat", "a dog"])


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="zebra"):
        meaning.caption_statements(["a zebra in a field"])


def test_statements_have_named_parts_and_come_back_as_they_were():
    made = {*map(worlds.statements, drawn().facts), *map(worlds.parse_caption, written())}
    for text in frozenset().union(*made):
        assert str(worlds.Statement.parse(text)) == text
    parse = worlds.Statement.parse
    assert parse("cat next to dog") == ("relation", "cat", "next to", "dog")
    assert parse("statue of man") == ("statue", "man", "", "")
    assert parse("style: black and white").value == "black and white"
    for text in ("zebra", "colour of zebra: red", "man riding", "count of man", "mood: good", ""):
        with pytest.raises(ValueError, match="is not a statement such as"):
            parse(text)


def test_captions_of_the_grammar_say_nothing_false():
    found = meaning.caption_quality([several[0] for several in drawn().captions], drawn().facts)
    assert found["statements true"] == found["nothing false"] == 1
    assert found["salient said"] > 0.9


def test_captions_of_other_pictures_are_poor():
    others = [several[0] for several in drawn().captions[1:] + drawn().captions[:1]]
    found = meaning.caption_quality(others, drawn().facts)
    assert found["exact"] < 0.1 and found["statements true"] < 0.5


def test_things_and_relations_leave_out_numbers_colours_places_and_statues():
    says = worlds.parse_caption("a statue of a man riding a white horse on the beach")
    assert meaning.things_and_relations(says) == {"man", "horse", "man riding horse"}


# --- atoms and pictures ---------------------------------------------------------------------------


def test_lift_is_one_for_an_atom_that_finds_what_it_says_and_none_without_users():
    facts = [worlds.Facts("cat", "kitchen")] * 10 + [worlds.Facts("dog", "street")] * 30
    codes = np.zeros((40, 4))
    codes[:10, 0] = codes[:10, 1] = 1.0
    codes[:, 2] = np.arange(1, 41)  # the dogs have most of it
    codes[:5, 3] = 1.0
    says = [{"cat"}, {"dog"}, {"cat", "place: street"}, {"cat"}]
    found = meaning.caption_lift(sp.csr_array(codes), says, facts)
    np.testing.assert_allclose(found[:3], [1, -3, -1 / 3])
    assert np.isnan(found[3])


def test_an_atom_that_says_no_thing_has_lift_zero():
    codes = sp.csr_array(np.ones((12, 1)))
    assert meaning.caption_lift(codes, [{"place: sky"}], [drawn().facts[0]] * 12)[0] == 0


def test_lift_takes_the_largest_weights_not_the_largest_sizes():
    facts = [worlds.Facts("cat", "kitchen")] * 10 + [worlds.Facts("dog", "street")] * 10
    codes = sp.csr_array(np.r_[np.full(10, 1.0), np.full(10, -9.0)][:, None])
    assert meaning.caption_lift(codes, [{"cat"}], facts)[0] == 1


def test_lift_counts_weights_of_any_type():
    import torch

    facts = [worlds.Facts("cat", "kitchen")] * 10 + [worlds.Facts("dog", "street")] * 10
    weights = np.r_[np.full(10, 200), np.full(10, 3)].astype(np.uint8)[:, None]
    for codes in (weights, sp.csr_array(weights), torch.tensor(weights * 1.0, requires_grad=True)):
        assert meaning.caption_lift(codes, [{"cat"}], facts)[0] == 1
    with pytest.raises(ValueError, match=r"codes must have one row per picture .*\(20, 2\)"):
        meaning.caption_lift(weights, [{"cat"}, {"dog"}], facts)


def test_minimal_pairs_differ_in_one_place_only():
    kept, images, without = meaning.minimal_pairs(drawn().facts, rng=3)
    assert len(kept) == len(images) == len(without) > 5
    differ = (images != without).any(axis=3)
    assert differ.any(axis=(1, 2)).all()
    for one in differ:
        rows, columns = np.nonzero(one)
        assert np.ptp(rows) < 32 and np.ptp(columns) < 40


def test_minimal_pairs_need_an_extra_thing():
    with pytest.raises(ValueError, match="at least one picture with an extra thing"):
        meaning.minimal_pairs([worlds.Facts("cat", "kitchen")], rng=0)


# --- lines and modifiers --------------------------------------------------------------------------


def test_single_things_are_single_and_pairs_are_as_the_situations_say():
    alone = meaning.single_things(3, rng=1)
    for thing, facts in alone.items():
        assert all(worlds.statements(f) & set(worlds.SCENE_THINGS) == {thing} for f in facts)
    unrelated, related = meaning.pairs_of_things()
    table, _ = worlds.situations()
    for one, other in unrelated:
        assert {one, other} <= alone.keys()
        assert not any({one, other} <= {f.subject, f.other} for f in table)
    for one, other in related:
        (facts,) = meaning.two_things(one, other, 1, rng=0)
        assert worlds.statements(facts) & set(worlds.SCENE_THINGS) == {one, other}


def test_together_refuses_what_no_situation_has():
    with pytest.raises(ValueError, match="no situation brings cake together with airplane"):
        meaning.two_things("cake", "airplane", 1, rng=0)


@given(st.integers(1, 30), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_a_line_is_straight_and_has_both_ends(n_steps, seed):
    start, end = np.random.default_rng(seed).normal(size=(2, 5))
    line = meaning.interpolate(start, end, n_steps)
    np.testing.assert_allclose(line[[0, -1]], [start, end], atol=1e-6)
    steps = np.tile((end - start) / n_steps, (n_steps, 1))
    np.testing.assert_allclose(np.diff(line, axis=0), steps, atol=1e-5)


@pytest.mark.parametrize(
    ("side", "abrupt"),
    [
        ("one one other", True),
        ("one neither other", False),
        ("one both other", False),
        ("one other one other", False),
        ("one one one", False),
        ("other other", False),
        ("other one", False),
    ],
)
def test_an_abrupt_switch_has_nothing_in_between(side, abrupt):
    assert meaning.switches_abruptly(side.split()) is abrupt


def test_goes_with_finds_the_atom_that_was_planted():
    rng = np.random.default_rng(0)
    true = rng.random(400) < 0.2
    codes = rng.random((400, 12)) * (rng.random((400, 12)) < 0.3)
    codes[:, 7] = true * rng.uniform(1, 2, 400)
    codes[:, 3] = ~true
    order = meaning.correlated_atoms(sp.csr_array(codes), true, 12)
    assert order[0] == 7 and order[-1] == 3
    tens = (100 * codes).astype(np.int8)  # whose squares do not fit into eight bits
    expected = meaning.correlated_atoms(tens.astype(float), true, 12)
    np.testing.assert_array_equal(meaning.correlated_atoms(sp.csr_array(tens), true, 12), expected)
