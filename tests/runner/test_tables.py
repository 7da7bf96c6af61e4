"""Tables of outcomes: what is written is read again, and what was edited is refused."""

import json
import re

import pandas as pd
import pytest
from fake_book import ENTRY, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

from hblib import claims
from runner import files, tables

REGISTER = {"fake.claim": ENTRY}


def outcome(measured=(0.9, 1.0, 1.1, 1.2, 0.8, 1.0), control=(0.1,)):
    return claims.check("fake.claim", measured, control=control, register=REGISTER).to_dict()


def frame(*rows):
    return pd.DataFrame([{"run": f"r{i}", "k": i, **row} for i, row in enumerate(rows)])


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "results.csv"
    tables.write(path, {"stamp": "any"}, frame(tables.row(outcome()), tables.failure("it broke")))
    return path


def test_what_is_written_is_read_again(path):
    about, table = tables.read(path)
    assert about["stamp"] == "any" and about["rows"] == 2
    assert list(table["k"]) == [0, 1] and table["error"][1] == "it broke"
    record = tables.record(table.iloc[0], REGISTER)
    known = claims.Record.from_dict(outcome(), REGISTER)
    assert record.verdict == known.verdict == "reproduced"
    assert record.found.estimate == pytest.approx(known.found.estimate)
    assert record.found.interval == pytest.approx(known.found.interval)
    assert record.control == known.control and record.mended is None


def test_a_row_measured_under_another_entry_has_no_verdict(path):
    _, table = tables.read(path)
    other = ENTRY | {"criterion": {"kind": "bound", "aggregate": "mean", "above": 0.6}}
    assert tables.record(table.iloc[0], {"fake.claim": other}) is None
    assert tables.record(table.iloc[0], {}) is None


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=9))
def test_the_verdict_survives_the_file(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("tables") / "results.csv"
    tables.write(path, {}, frame(tables.row(outcome(values))))
    _, table = tables.read(path)
    stored = tables.record(table.iloc[0], REGISTER)
    assert stored.verdict == claims.Record.from_dict(outcome(values), REGISTER).verdict


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (r"^r0,0,", "r0,7,"),
        (r"(fake.claim,\w+),1", r"\1,2"),  # an estimate
        (r"range of the values", "95 % interval"),
        (r"fake.claim,\w{4}", "fake.claim,0000"),  # the hash of what was registered
        (r"it broke", ""),
        (r"^r1.*\n", ""),
    ],
)
def test_an_edited_table_is_refused_with_one_sentence(path, old, new):
    text = path.read_text()
    edited = re.sub(old, new, text, count=1, flags=re.MULTILINE)
    assert edited != text
    path.write_text(edited)
    with pytest.raises(ValueError, match="it was edited or cut off; make it anew") as error:
        tables.read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "# []\na\n", "# {}\n", "# {'rows': 1}\n"])
def test_what_is_no_table_is_refused_with_one_sentence(path, text):
    path.write_text(text)
    with pytest.raises(ValueError, match="is not a whole table of outcomes"):
        tables.read(path)


def test_no_committed_file_holds_a_verdict():
    committed = [*(ROOT / "sweeps" / "results").glob("*.csv")]
    committed += (ROOT / "book" / "reproductions").glob("*.csv")
    for path in committed:
        about, table = tables.read(path)
        assert "verdict" not in {*about, *table.columns}, path
        assert not set(claims.VERDICTS) & set(table.astype(str).to_numpy().ravel()), path
    register = claims.load_register()
    for path in files.chapters(ROOT):
        for cell in files.read(path).cells:
            for output in cell.get("outputs", ()):
                data = output.get("data", {})
                if {claims.MIME, claims.mime("summary")} & data.keys():
                    assert "text/html" not in data, path
                    # A note is a sentence, which may well speak of open questions.
                    shown = dict(data.get(claims.MIME, {}))
                    shown = {k: v for k, v in shown.items() if k not in ("id", "note")}
                    text = json.dumps(shown) + data["text/plain"]
                    for id in register:  # one is called match.corrected
                        text = text.replace(id, "")
                    for word in ("verdict", "outcome", *claims.VERDICTS):
                        assert not re.search(rf"\b{word}\b", text), (path, word)
