"""Effects of the second edition: contrasts with a null, saturation, seeds, replications."""

from collections import Counter
from copy import deepcopy
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from scipy import stats

from hblib import claims
from hblib.claims import _effects as effects
from hblib.claims._register import registered_hash, registered_seed

ENTRY = {
    "id": "toy.effect",
    "chapter": "02_toy",
    "source": "ext",
    "kind": "effect",
    "edition": 2,
    "statement": "Units agree more often than random directions do.",
    "statistic": "share of directions whose top inputs agree, one value per network",
    "null": {
        "statement": "random directions of equal covariance",
        "why": "they share all that the units have but their axes",
    },
    "worthwhile": 0.05,
    "levels": {
        "measured": "units", "null": "random directions", "unit": "pass rate", "paired": True,
    },
    "n": {"units": 6, "of": "networks"},
    "criterion": {"kind": "contrast", "aggregate": "mean", "direction": "above"},
    "control": {
        "statement": "the same with shuffled labels",
        "criterion": {"kind": "bound", "aggregate": "mean", "below": 0.15},
        "of": "level",
    },
    "verdict_if_met": "reproduced",
    "forecast": 0.7,
}  # fmt: skip
CONTROL = [0.1, 0.12, 0.08, 0.1, 0.11, 0.09]
NULL = np.array([0.28, 0.30, 0.26, 0.29, 0.27, 0.28])


def entry(**changes):
    return deepcopy(ENTRY) | changes


def toward(direction, **changes):
    return entry(criterion=ENTRY["criterion"] | {"direction": direction}, **changes)


def check(measured, null=NULL, control=CONTROL, registered=ENTRY):
    register = {registered["id"]: registered}
    return claims.check(registered["id"], measured, null=null, control=control, register=register)


def shifted(by, wobble=0.005):
    """Pairs of the null, `by` above it on average and never quite the same."""
    return NULL + by + wobble * np.array([-1, 1, -1, 1, -1, 1])


@pytest.mark.parametrize(
    ("direction", "by", "verdict"),
    [
        ("above", 0.10, "reproduced"),
        ("above", 0.05, "open"),  # about as large as the smallest effect worth having
        ("above", 0.02, "refuted"),  # there, and surely above 0, but not worth having
        ("above", -0.10, "refuted"),
        ("below", -0.10, "reproduced"),
        ("below", 0.10, "refuted"),
        ("none", 0.02, "reproduced"),
        ("none", 0.05, "open"),
        ("none", 0.10, "refuted"),
    ],
)
def test_an_effect_is_judged_by_what_it_has_beyond_the_null(direction, by, verdict):
    assert check(shifted(by), registered=toward(direction)).verdict == verdict


def test_a_bar_that_most_nulls_pass_decides_nothing():
    null = NULL + 0.6
    assert check(null + 0.1, null).verdict == "invalid: saturated"
    low = toward("below")
    assert check(NULL - 0.2, NULL - 0.15, registered=low).verdict == "invalid: saturated"
    # Of a share that is no pass rate only room for the effect is asked.
    share = entry(levels=ENTRY["levels"] | {"unit": "share"})
    assert check(shifted(0.7), null, registered=share).verdict == "reproduced"
    assert check(shifted(0.7), NULL + 0.69, registered=share).verdict == "invalid: saturated"
    level = toward("none", levels=ENTRY["levels"] | {"unit": "share"})
    assert check(shifted(0.7), NULL + 0.7, registered=level).verdict == "invalid: saturated"
    with_bar = entry(levels=ENTRY["levels"] | {"bar": {"above": 0.2}})
    assert check(shifted(0.1), registered=with_bar).verdict == "invalid: saturated"
    assert check(shifted(0.1)).verdict == "reproduced"


def test_a_control_that_cannot_fail_is_none():
    assert check(shifted(0.1), control=[0.0] * 6).verdict == "invalid: constant control"
    nearly = [0.1] * 5 + [0.1 + 1e-14]
    assert check(shifted(0.1), control=nearly).verdict == "invalid: constant control"
    with pytest.raises(ValueError, match="control has 3 values; at least 6"):
        check(shifted(0.1), control=[0.1, 0.2, 0.3])
    assert check(shifted(0.1), control=np.add(CONTROL, 0.5)).verdict == "invalid"


def test_a_control_that_the_claim_itself_would_pass_is_blind():
    blind = ENTRY["control"] | {"criterion": {"kind": "bound", "aggregate": "mean", "below": 0.9}}
    registered = entry(control=blind)
    assert check(shifted(0.1), registered=registered).verdict == "invalid: blind control"
    of_contrast = ENTRY["control"] | {"of": "contrast"}  # below 0.15, as the contrast of 0.1 is
    registered = entry(control=of_contrast)
    assert check(shifted(0.1), registered=registered).verdict == "invalid: blind control"


def test_a_contrast_that_never_varies_decides_nothing():
    assert check(NULL + 0.1).verdict == "open"


def test_small_controls_have_intervals_for_small_samples():
    found = check(shifted(0.1)).control
    expected = stats.ttest_1samp(CONTROL, 0).confidence_interval(0.95)
    assert found.interval == pytest.approx(list(expected))


def test_both_numbers_are_kept_beside_their_contrast():
    record = check(shifted(0.1))
    assert record.levels["null"].estimate == pytest.approx(NULL.mean())
    contrast = record.levels["measured"].estimate - record.levels["null"].estimate
    assert record.found.estimate == pytest.approx(contrast)


def test_the_line_of_a_card_names_both_numbers():
    root = ElementTree.fromstring(claims.card_html(check(shifted(0.1))))
    line = "".join(root.find("summary").itertext())
    assert "units 38 %, random directions 28 %: +10 [" in line and "] points" in line
    rows = dict(zip((dt.text for dt in root.iter("dt")), root.iter("dd")))
    assert "random directions of equal covariance: they share" in rows["Strongest null"].text
    assert "above 5 points" in rows["Criterion, fixed beforehand"].text
    assert rows["Our forecast that it holds"].text.startswith("70 %")
    assert {"Units", "Random directions"} <= rows.keys()


def card_rows(record):
    root = ElementTree.fromstring(claims.card_html(record))
    return dict(zip((dt.text for dt in root.iter("dt")), root.iter("dd")))


@pytest.mark.parametrize(
    ("direction", "by", "said"),
    [
        ("above", 0.10, "counts if it is above 5 points; the whole interval is beyond that"),
        ("above", 0.02, "counts if it is above 5 points; no part of the interval is"),
        ("above", 0.05, "on both sides of that, so this experiment cannot tell"),
        ("below", -0.10, "below \u22125 points; the whole interval is beyond that"),
        ("none", 0.0, "less than 5 points either way count as none; the whole interval is within"),
        ("none", 0.10, "either way count as none; the whole interval is beyond that"),
    ],
)
def test_a_card_reads_itself_aloud(direction, by, said):
    row = card_rows(check(shifted(by), registered=toward(direction)))["In plain words"]
    words = "".join(row.itertext())
    assert words.startswith("Over 6 networks, units came to ")
    assert f"{90 if direction == 'none' else 95} % confidence" in words and said in words


@pytest.mark.parametrize(("direction", "by"), [("above", 0.1), ("below", -0.1), ("none", 0.0)])
def test_the_interval_is_drawn_to_scale(direction, by):
    record = check(shifted(by), registered=toward(direction))
    drawing = next(dd for dd in card_rows(record)["In plain words"].iter("svg"))
    ticks = {text.text: float(text.get("x")) for text in drawing.iter("text") if text.text}
    (bar,) = (x for x in drawing.iter("line") if x.get("class") == "hb-interval__range")
    known = {float(k.replace("\u2212", "-")): x for k, x in ticks.items()}
    (one, at), (other, there) = sorted(known.items())[:2]
    scale = (there - at) / (other - one)
    for end, x in zip(record.found.interval, (bar.get("x1"), bar.get("x2"))):
        assert float(x) == pytest.approx(at + scale * (100 * end - one), abs=0.3)


def test_a_small_sample_has_students_interval():
    found = check(shifted(0.1)).found
    expected = stats.ttest_rel(shifted(0.1), NULL).confidence_interval(0.95)
    assert found.interval == pytest.approx(list(expected))
    assert "Student" in found.interval_kind and "6 paired" in found.interval_kind


def test_no_record_may_hold_a_bootstrap_of_six_networks():
    record = check(shifted(0.1))
    stored = record.to_dict()
    assert claims.Record.from_dict(stored, {ENTRY["id"]: ENTRY}).verdict == "reproduced"
    stored["found"]["interval_kind"] = "95 % interval (BCa bootstrap)"
    with pytest.raises(ValueError, match="6 units are too few for a bootstrap"):
        claims.Record.from_dict(stored, {ENTRY["id"]: ENTRY})


def test_intervals_of_six_cover_as_often_as_they_say():
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(4_000, 6))
    mean = [effects.interval(x, "mean", 0.95).interval for x in draws[:1_500]]
    median = [effects.interval(x, "median", 0.95).interval for x in draws[:1_500]]
    for intervals, most in ((mean, 0.965), (median, 0.985)):
        low, high = np.transpose(intervals)
        assert 0.935 < np.mean((low < 0) & (high > 0)) < most


def test_layers_of_one_network_count_once():
    rng = np.random.default_rng(1)
    network = rng.normal(size=(6, 1))
    layers = network + 0.01 * rng.normal(size=(6, 40))
    assert check(layers, np.zeros(6)).found.n == 6
    nested = effects.interval(layers.mean(axis=1), "mean", 0.95)
    assert check(layers, np.zeros((6, 3))).found.interval == pytest.approx(nested.interval)


def test_samples_that_are_no_pairs_are_compared_as_independent():
    apart = entry(levels=ENTRY["levels"] | {"paired": False})
    rng = np.random.default_rng(2)
    x, y = rng.normal(0.5, 0.02, 8), rng.normal(0.3, 0.05, 12)
    found = check(x, y, registered=apart).found
    expected = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    assert found.interval == pytest.approx(list(expected)) and "Welch" in found.interval_kind
    same = check(x, y[:8], registered=apart).found  # whatever their lengths
    assert "Welch" in same.interval_kind
    with pytest.raises(ValueError, match="a comparison in pairs, got 8 .* and 12 of the null"):
        check(x, y)
    medians = apart | {"criterion": ENTRY["criterion"] | {"aggregate": "median"}}
    with pytest.raises(ValueError, match="a contrast of medians needs pairs"):
        check(x, y, registered=medians)


@pytest.mark.parametrize(
    ("measured", "null", "message"),
    [
        (shifted(0.1), None, "judged by its contrast with random directions.*pass null="),
        ([0.3], [0.2], "measured has 1 unit"),
        (shifted(0.1), [0.1, np.nan] * 3, "null has 3 of 6 values not finite"),
        (np.zeros((2, 2, 2)), NULL, r"measured has shape \(2, 2, 2\)"),
        ("many", NULL, "measured is not an array of numbers"),
    ],
)
def test_check_refuses(measured, null, message):
    with pytest.raises(ValueError, match=message):
        check(measured, null)


def test_a_claim_without_a_null_takes_none():
    theorem = {k: v for k, v in ENTRY.items() if k not in ("null", "worthwhile", "levels", "n")}
    theorem |= {"kind": "theorem", "criterion": {"kind": "exact", "value": 0}}
    with pytest.raises(ValueError, match="has no null in the register"):
        check([0, 0], [0, 0], registered=theorem)


# ---------------------------------------------------------------- the register


def written(tmp_path, *entries):
    path = tmp_path / "register.yml"
    path.write_text(yaml.safe_dump(list(entries)), encoding="utf-8")
    return claims.load_register(path)


THEOREM = {
    "id": "toy.theorem", "chapter": "02_toy", "source": "ext", "kind": "theorem", "edition": 1,
    "statement": "It is 0.", "statistic": "it", "criterion": {"kind": "exact", "value": 0},
    "control": {"statement": "1", "criterion": {"kind": "exact", "value": 1}},
    "verdict_if_met": "reproduced",
}  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry(worthwhile=0.5)], "'worthwhile' of a share must be at most 0.25, got 0.5"),
        ([entry(n={"units": 4, "of": "networks"})], "'units' of 'n' must be .* at least 6, got 4"),
        ([entry(levels=ENTRY["levels"] | {"paired": "yes"})], "'paired' of 'levels' must be true"),
        ([entry(control=ENTRY["control"] | {"of": "it"})], "'of' of 'control' must be one of"),
        (
            [entry(control=ENTRY["control"] | {"criterion": {"kind": "exact", "value": 0}})],
            "must be able to come out otherwise, so its criterion cannot be of kind 'exact'",
        ),
        ([entry(criterion=None)], "missing field 'criterion'|unknown field|with its criterion"),
        ([entry(worthwhile=0)], "'worthwhile'.* must be a number above 0, got 0"),
        ([entry(forecast=1.5)], "'forecast'.* between 0 and 1, got 1.5"),
        ([entry(null={"statement": "none"})], "'null': missing field 'why'"),
        ([entry(levels=ENTRY["levels"] | {"unit": "%"})], "'unit' of 'levels'.* got '%'"),
        ([entry(levels=ENTRY["levels"] | {"bar": {"over": 1}})], "unknown field 'over'"),
        ([toward("up")], "'direction' must be one of above, below, none, got 'up'"),
        ([entry(criterion={"kind": "exact", "value": 1})], "criterion 'contrast': missing field"),
        ([{k: v for k, v in ENTRY.items() if k != "null"}], "missing field 'null'"),
        ([entry(edition=1)], "unknown field 'forecast', 'levels', 'n', 'null', 'worthwhile'"),
        ([THEOREM | {"edition": 3}], "'edition' must be one of 1, 2, got 3"),
        ([THEOREM | {"corollary_of": "toy.other"}], "'corollary_of' must name a theorem"),
        (
            [THEOREM, entry(corollary_of="toy.theorem")],
            "a corollary is a theorem of the chapter of its theorem",
        ),
        ([THEOREM | {"replication": {"data": ""}}], "'data' of 'replication' must say"),
        (
            [THEOREM | {"replication": {"data": "GloVe", "claims": ["toy.theorem"]}}],
            "'replication' must name other claims",
        ),
    ],
)
def test_register_refuses(tmp_path, entries, message):
    with pytest.raises(ValueError, match=message):
        written(tmp_path, *entries)


def test_a_moved_threshold_draws_new_data_and_voids_the_old(tmp_path):
    stored = check(shifted(0.1)).to_dict()
    moved = entry(worthwhile=0.01)
    with pytest.raises(ValueError, match="measured under another entry of the register"):
        claims.Record.from_dict(stored, written(tmp_path, moved))
    seeds = {registered_seed([one]) for one in (ENTRY, moved, toward("below"))}
    assert len(seeds) == 3
    weaker = entry(null={**ENTRY["null"], "statement": "nothing"})
    assert registered_seed([weaker]) not in seeds


def test_a_forecast_is_not_changed_after_measuring(tmp_path):
    stored = check(shifted(0.1)).to_dict()
    with pytest.raises(ValueError, match="its forecast was 0.7 when it was measured and is 0.9"):
        claims.Record.from_dict(stored, written(tmp_path, entry(forecast=0.9)))


def test_no_claim_is_added_under_the_rules_of_the_first_edition():
    first = (Path(__file__).parent / "first_edition.txt").read_text(encoding="utf-8").split()
    kept = [id for id, entry in claims.load_register().items() if entry["edition"] == 1]
    assert set(kept) <= set(first), "a new claim has edition: 2"


def test_the_readme_counts_what_is_registered():
    entries = claims.load_register().values()
    kinds = Counter(entry["kind"] for entry in entries)
    corollaries = sum("corollary_of" in entry for entry in entries)
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    said = (
        f"The register holds {len(entries)} claims: {kinds['theorem']} theorems, {corollaries} of "
        f"them corollaries of another, {kinds['example']} printed examples and {kinds['effect']} "
        "effects."
    )
    assert said in " ".join(readme.split())


def test_prose_and_forecasts_change_neither_hash_nor_seed():
    reworded = entry(statement="In other words.", forecast=0.2, null={**ENTRY["null"], "why": "?"})
    reworded["levels"] = ENTRY["levels"] | {"measured": "neurons"}
    assert registered_hash(reworded) == registered_hash(ENTRY)
    assert registered_seed([THEOREM, reworded]) == registered_seed([ENTRY, THEOREM])
