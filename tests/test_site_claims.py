"""What the site says of claims: headlines, fragile verdicts, presumptions."""

import sys
from types import SimpleNamespace

import pandas as pd
import pytest
from scripts import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import hb_ledger  # noqa: E402
import hb_presumes  # noqa: E402
import hb_status  # noqa: E402

TABLE = pd.DataFrame({"id": ["a.firm", "a.fragile"], "verdict": ["refuted", "reproduced"]})


@pytest.fixture
def role(monkeypatch):
    """The role ``{claim}`` on a page; what it gives, and what it complains of."""
    known = SimpleNamespace(table=TABLE, fragile={"a.fragile"})
    monkeypatch.setattr(hb_ledger, "evidence", lambda env: known)

    def cited(claim, page):
        config = SimpleNamespace(root_doc="book/index")
        env = SimpleNamespace(docname=page, config=config)
        said = []
        reporter = SimpleNamespace(error=lambda message, line: said.append(message))
        document = SimpleNamespace(settings=SimpleNamespace(env=env))
        made = hb_ledger.Claim()
        made.text, made.lineno = claim, 1
        made.inliner = SimpleNamespace(document=document, reporter=reporter)
        return "".join(node.astext() for node in made.run()[0]), said

    return cited


def test_a_fragile_claim_cannot_stand_in_the_headline(role):
    shown, said = role("a.fragile", "book/index")
    assert not shown and "a.fragile is fragile" in said[0]
    shown, said = role("a.fragile", "book/findings")
    assert "reproduced, fragile" in shown and not said
    shown, said = role("a.firm", "book/index")
    assert "refuted" in shown and not said


def test_prose_that_presumes_another_verdict_fails_the_build(caplog):
    verdicts = dict(TABLE.itertuples(index=False))
    with caplog.at_level("ERROR", logger="sphinx"):
        hb_presumes.report({"a.firm": "refuted"}, verdicts, "page")
        assert not caplog.records
        hb_presumes.report({"a.firm": "reproduced"}, verdicts, "page")
    assert "a.firm came out 'refuted', the text presumes 'reproduced'" in caplog.text


def test_the_robustness_page_says_which_parameter_flips_a_verdict():
    rows = [("width", 48, 6, 6), ("width", 128, 0, 6), ("rate", 0.1, 3, 6), ("rate", 1.0, 3, 6)]
    table = pd.DataFrame(rows, columns=["parameter", "value", "held", "of"], dtype=object)
    found = hb_status.flips(table)
    assert found["sentence"] == (
        "It depends on width most: held in 6 of 6 settings at 48, in 0 of 6 at 128."
    )
    assert found["parameters"]["rate"] == [(0.1, 3, 6), (1.0, 3, 6)]
    even = hb_status.flips(table[table["parameter"] == "rate"])
    assert even["sentence"] == "No single parameter decides it."
    rare = pd.concat([table, pd.DataFrame([("seed", 9, 2, 2), ("seed", 1, 0, 6)],
                                          columns=table.columns, dtype=object)])  # fmt: skip
    assert "width" in hb_status.flips(rare)["sentence"]  # two settings of one seed are too few
    alone = hb_status.flips(table[:0])
    assert alone == {"parameters": {}, "sentence": "Only one setting was tried."}
