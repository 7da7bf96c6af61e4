import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse as sp

from hblib.meaning import _captions as captions
from hblib.worlds import _scenes as scenes

drawn = scenes.draw(60, rng=0)
written = st.sampled_from([c for several in drawn.captions for c in several])


def test_examples():
    assert doctest.testmod(captions).failed == 0


# --- what captions say ----------------------------------------------------------------------------


@given(written, written)
@settings(deadline=None, max_examples=80)
def test_agreement_is_a_similarity(one, other):
    (both,) = captions.agreement([one], [other])
    assert both == captions.agreement([other], [one])[0]
    assert 0 <= both <= 1
    assert captions.agreement([one], [one])[0] == 1


def test_agreement_is_the_share_of_all_that_is_said():
    one, other = "a cat in a kitchen", "a cat on a street"
    mine, theirs = captions.said([one, other])
    assert len(mine & theirs) == 2 and len(mine | theirs) == 4
    assert captions.agreement([one], [other])[0] == 1 / 2


def test_agreement_wants_pairs():
    with pytest.raises(ValueError, match="must come in pairs, got 1 and 2"):
        captions.agreement(["a cat"], ["a cat", "a dog"])


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="zebra"):
        captions.said(["a zebra in a field"])


def test_captions_of_the_grammar_say_nothing_false():
    found = captions.quality([several[0] for several in drawn.captions], drawn.facts)
    assert found["statements true"] == found["nothing false"] == 1
    assert found["salient said"] > 0.9


def test_captions_of_other_pictures_are_poor():
    others = [several[0] for several in drawn.captions[1:] + drawn.captions[:1]]
    found = captions.quality(others, drawn.facts)
    assert found["exact"] < 0.1 and found["statements true"] < 0.5


def test_content_leaves_out_numbers_colours_places_and_statues():
    says = scenes.facts_of("a statue of a man riding a white horse on the beach")
    assert captions.content(says) == {"man", "horse", "man riding horse"}


# --- atoms and pictures ---------------------------------------------------------------------------


def test_lift_is_one_for_an_atom_that_finds_what_it_says_and_none_without_users():
    facts = [scenes.Facts("cat", "kitchen")] * 10 + [scenes.Facts("dog", "street")] * 30
    codes = np.zeros((40, 4))
    codes[:10, 0] = codes[:10, 1] = 1.0
    codes[:, 2] = np.arange(1, 41)  # the dogs have most of it
    codes[:5, 3] = 1.0
    says = [{"cat"}, {"dog"}, {"cat", "place: street"}, {"cat"}]
    found = captions.lift(sp.csr_array(codes), says, facts)
    np.testing.assert_allclose(found[:3], [1, -3, -1 / 3])
    assert np.isnan(found[3])


def test_an_atom_that_says_no_thing_has_lift_zero():
    codes = sp.csr_array(np.ones((12, 1)))
    assert captions.lift(codes, [{"place: sky"}], [drawn.facts[0]] * 12)[0] == 0


def test_lift_takes_the_largest_weights_not_the_largest_sizes():
    facts = [scenes.Facts("cat", "kitchen")] * 10 + [scenes.Facts("dog", "street")] * 10
    codes = sp.csr_array(np.r_[np.full(10, 1.0), np.full(10, -9.0)][:, None])
    assert captions.lift(codes, [{"cat"}], facts)[0] == 1


def test_twins_differ_in_one_place_only():
    kept, images, without = captions.twins(drawn.facts, rng=3)
    assert len(kept) == len(images) == len(without) > 5
    differ = (images != without).any(axis=3)
    assert differ.any(axis=(1, 2)).all()
    for one in differ:
        rows, columns = np.nonzero(one)
        assert np.ptp(rows) < 32 and np.ptp(columns) < 40


def test_twins_need_an_extra_thing():
    with pytest.raises(ValueError, match="at least one picture with an extra thing"):
        captions.twins([scenes.Facts("cat", "kitchen")], rng=0)


# --- lines and modifiers --------------------------------------------------------------------------


def test_single_things_are_single_and_pairs_are_as_the_situations_say():
    alone = captions.single_things(3, rng=1)
    for kind, facts in alone.items():
        assert all(scenes.statements(f) & set(scenes.KINDS) == {kind} for f in facts)
    unrelated, related = captions.pairs_of_kinds()
    table, _ = scenes.situations()
    for one, other in unrelated:
        assert {one, other} <= alone.keys()
        assert not any({one, other} <= {f.subject, f.other} for f in table)
    for one, other in related:
        (facts,) = captions.together(one, other, 1, rng=0)
        assert scenes.statements(facts) & set(scenes.KINDS) == {one, other}


def test_together_refuses_what_no_situation_has():
    with pytest.raises(ValueError, match="no situation brings cake together with airplane"):
        captions.together("cake", "airplane", 1, rng=0)


@given(st.integers(1, 30), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_a_line_is_straight_and_has_both_ends(n_steps, seed):
    start, end = np.random.default_rng(seed).normal(size=(2, 5))
    line = captions.line(start, end, n_steps)
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
    assert captions.switches_abruptly(side.split()) is abrupt


def test_goes_with_finds_the_atom_that_was_planted():
    rng = np.random.default_rng(0)
    true = rng.random(400) < 0.2
    codes = rng.random((400, 12)) * (rng.random((400, 12)) < 0.3)
    codes[:, 7] = true * rng.uniform(1, 2, 400)
    codes[:, 3] = ~true
    order = captions.goes_with(sp.csr_array(codes), true, 12)
    assert order[0] == 7 and order[-1] == 3
