"""A rerun is compared by the types of its outputs: what may differ passes, the rest does not."""

import copy

import nbformat
import pytest
from fake_book import ROOT

from hblib import claims
from runner import compare, files

CHAPTERS = files.chapters(ROOT)
REGISTER = claims.load_register()


def _cells(path):
    return [c.outputs for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]


def _of_kind(cells, kind):
    """(cell, data) of every output of one kind, glued ones included."""
    found = []
    for number, cell in enumerate(cells):
        for output in cell:
            for mime_type, data in output.get("data", {}).items():
                if claims.kind_of(mime_type.removeprefix("application/papermill.record/")) == kind:
                    found.append((number, data))
    return found


def _differs(path, tamper, kind):
    """Tamper with the first output of a kind that allows it, as if it had been committed so."""
    committed = _cells(path)
    rerun = copy.deepcopy(committed)
    for number, data in _of_kind(committed, kind):
        if tamper(data):
            assert compare.differences(rerun[number], rerun[number]) == []
            return compare.differences(committed[number], rerun[number])
    return None


# ---------------------------------------------------------------- ways to tamper with a chapter


def _other_claim(record):
    record["id"] += "x"
    return True


def _other_register(record):
    record["registered"] = "0" * 16
    return True


def _other_n(record):
    record["found"]["n"] += 1
    return True


def _registered(record, part):
    entry = REGISTER[record["id"]]
    if part != "found":
        return entry["control"]["criterion"]
    return entry["criterion"] | {"worthwhile": entry.get("worthwhile", 0)}


def _far(record, part):
    low, high = record[part]["interval"]
    thresholds = [abs(x) for x in _registered(record, part).values() if not isinstance(x, str)]
    return 3 * (high - low) + 0.01 + sum(thresholds)


def _moved_estimate(record):
    record["found"]["estimate"] += _far(record, "found")
    return True


def _moved_interval(record):
    record["found"]["interval"][1] += _far(record, "found")
    return True


def _moved_control(record):
    record["control"]["estimate"] -= _far(record, "control")
    return True


def _other_verdict(record):
    """Move the control, so that the record is invalid."""
    criterion, control = _registered(record, "control"), record["control"]
    if criterion["kind"] != "bound":
        return False
    wrong = criterion.get("below", criterion.get("above"))
    control |= {"estimate": wrong, "interval": [wrong, wrong]}
    return True


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (_other_verdict, "verdict: committed 'invalid"),
        (_other_claim, "x is committed, the rerun checked"),
        (_other_register, "it was measured under another entry of the register"),
        (_other_n, "found: n: committed"),
        (_moved_estimate, "found: estimate: committed"),
        (_moved_interval, "found: upper end: committed"),
        (_moved_control, "control: estimate: committed"),
    ],
)
def test_a_tampered_record_is_noticed(path, tamper, said):
    found = _differs(path, tamper, "claim")
    if found is None:
        pytest.skip("no control of the chapter is a bound")
    assert any(said in sentence for sentence in found), found


def _dropped_row(table):
    return table["rows"].pop() is not None


def _added_row(table):
    table["rows"].append(table["rows"][0])
    return True


def _other_column(table):
    table["columns"][-1] += "x"
    return True


def _other_label(table):
    row = next((row for row in table["rows"] if isinstance(row[0], str)), None)
    if row:
        row[0] += "x"
    return row is not None


def _other_number(table):
    cells = [cell for row in table["rows"] for cell in row if "number" in cell]
    cells = [cell for cell in cells if isinstance(cell, dict)]
    if cells:
        value = float(cells[0]["number"].rstrip("%").replace(",", ""))
        cells[0]["number"] = f"{10 * value + 90:g}" + "%" * cells[0]["number"].endswith("%")
    return bool(cells)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    "tamper", [_dropped_row, _added_row, _other_column, _other_label, _other_number]
)
def test_a_tampered_table_is_noticed(path, tamper):
    if not _of_kind(_cells(path), "table"):
        pytest.skip("the chapter has no table")
    assert _differs(path, tamper, "table")


def _moved_number(data):
    value = float(data["number"].rstrip("%").replace(",", ""))
    data["number"] = f"{10 * value + 90:g}" + "%" * data["number"].endswith("%")
    return True


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_tampered_number_in_the_text_is_noticed(path):
    if not _of_kind(_cells(path), "number"):
        pytest.skip("the chapter glues no number")
    assert _differs(path, _moved_number, "number")


def _other_parameter(values):
    values["seed"] = values["seed"] + 1
    return True


def _other_summary(summary):
    summary["claims"].pop()
    return True


def _other_drawing(data):
    data["kind"] += "x"
    return True


def _other_fields(data):
    data["fields"].append("another")
    return True


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
@pytest.mark.parametrize(
    ("tamper", "kind"),
    [(_other_parameter, "parameters"), (_other_summary, "summary"),
     (_other_drawing, "explorable"), (_other_fields, "explorable")],
)  # fmt: skip
def test_other_tampering_is_noticed(path, tamper, kind):
    if not _of_kind(_cells(path), kind):
        pytest.skip(f"the chapter has no {kind}")
    assert _differs(path, tamper, kind)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_an_output_that_is_gone_doubled_or_another_is_noticed(path):
    cells = [cell for cell in _cells(path) if cell]
    for cell in cells:
        assert compare.differences(cell, cell) == []
        assert compare.differences(cell[:-1], cell)
        assert compare.differences([*cell, cell[0]], cell)
    summary = cells[-1]
    cell, shown = next(
        (cell, i)
        for cell in cells
        for i, output in enumerate(cell)
        if "image/png" in output.get("data", {})
    )
    assert compare.differences([*cell[:shown], summary[0], *cell[shown + 1 :]], cell)


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_output_of_a_chapter_has_a_type(path):
    """Nothing measured can hide in an output that is compared letter by letter."""
    for cell in _cells(path):
        for output in cell:
            if output.output_type == "stream":  # numbers in it are compared as measured ones
                assert output.name == "stdout", output
                continue
            kinds = [
                claims.kind_of(mime_type.removeprefix("application/papermill.record/"))
                for mime_type in output["data"]
            ]
            glued = "scrapbook" in output.metadata
            assert any(kinds) or glued, output["data"].get("text/plain")
            if glued and not any(kinds):  # exact: whole numbers, words, arithmetic on parameters
                text = output["data"]["application/papermill.record/text/plain"]
                name = output.metadata.scrapbook.name
                assert "." not in text or name in ("reach-slow", "reach-long"), f"{name} = {text}"


# ---------------------------------------------------------------- what may differ


def _output(kind, data, **more):
    data = {"text/plain": "in words", claims.mime(kind): data}
    return [nbformat.v4.new_output("display_data", data | more)]


def _same(kind, committed, rerun):
    return compare.differences(_output(kind, committed), _output(kind, rerun)) == []


@pytest.mark.parametrize(
    ("committed", "rerun", "same"),
    [
        ("0.46", "0.48", True),
        ("57", "55", True),
        ("-0.014", "0.02", True),
        ("2e-15", "7e-15", True),
        ("3e-12", "4e-13", True),
        ("30%", "34%", True),
        ("1,000", "1,100", True),
        ("0", "0.04", True),
        ("+0", "+2", True),
        ("-1", "+2", True),
        ("3%", "7%", True),
        ("0", "9", False),
        ("+0.00", "+0.20", False),
        ("0.46", "0.96", False),
        ("57", "12", False),
        ("2e-15", "0.001", False),
        ("2e-15", "0.05", False),
        ("0.71", "2e-15", False),
        ("30%", "64%", False),
        ("30%", "30", False),
        ("1,000", "10,000", False),
        ("0.5", "nan", False),
        ("nan", "nan", True),
        ("inf", "1e9", False),
        ("-3", "3", False),
    ],
)
def test_the_tolerance_of_a_number(committed, rerun, same):
    assert compare.same_number(committed, rerun) is same
    assert compare.same_number(rerun, committed) is same
    assert _same("number", {"number": committed}, {"number": rerun}) is same


def test_measured_words_may_be_others_and_exact_ones_may_not():
    assert _same("text", {"text": "smile"}, {"text": "hat"})
    table = {"columns": ["rule", "best"], "rows": [["SGD", {"text": "smile"}], ["Adam", "hat"]]}
    other = copy.deepcopy(table)
    other["rows"][0][1] = {"text": "beard"}
    assert _same("table", table, other)
    other["rows"][1][1] = "beard"
    assert not _same("table", table, other)
    assert not _same("text", {"text": "smile"}, {"number": "3"})


def test_rows_may_come_in_another_order():
    rows = [["a", {"number": "0.10"}], ["b", {"number": "0.12"}], ["b", {"number": "9.0"}]]
    table = {"columns": ["rule", "defect"], "rows": rows}
    assert _same("table", table, table | {"rows": [rows[1], rows[2], rows[0]]})
    assert not _same("table", table, table | {"rows": [rows[1], rows[1], rows[0]]})


def test_rows_without_an_exact_label_are_compared_smallest_beside_smallest():
    rows = [[{"text": name}, {"number": x}] for name, x in [("a", "0.2"), ("b", "0.9")]]
    table = {"columns": ["best", "share"], "rows": rows}
    assert _same("table", table, table | {"rows": rows[::-1]})
    assert not _same("table", table, table | {"rows": [rows[0], rows[0]]})


def test_pictures_captions_notes_and_rendered_forms_are_not_compared():
    a = _output("figure", {"width": 624}, **{"image/png": "aaaa"})
    b = _output("figure", {"width": 624}, **{"image/png": "bbbb", "text/plain": "other words"})
    assert compare.differences(a, b) == []
    assert compare.differences(a, _output("figure", {"width": 500}, **{"image/png": "aaaa"}))


def test_an_untyped_output_is_compared_letter_by_letter():
    def plain(text):
        return [nbformat.v4.new_output("execute_result", {"text/plain": text})]

    def printed(*texts, name="stdout"):
        return [nbformat.v4.new_output("stream", text=text, name=name) for text in texts]

    assert compare.differences(plain("0.46"), plain("0.46")) == []
    assert compare.differences(plain("0.46"), plain("0.460001"))
    assert compare.differences(printed("a\n", "b\n"), printed("a\nb\n")) == []
    assert compare.differences(printed("a"), printed("b"))
    assert compare.differences(printed("a"), printed("a", name="stderr"))
    picture = [nbformat.v4.new_output("display_data", {"image/png": "aaaa"})]
    other = [nbformat.v4.new_output("display_data", {"image/png": "bbbb"})]
    assert compare.differences(picture, other) == []
    assert compare.differences(picture, plain("a"))


def test_a_name_that_is_glued_is_compared():
    def glued(name):
        data = {"application/papermill.record/text/plain": "5"}
        metadata = {"scrapbook": {"name": name}}
        return [nbformat.v4.new_output("display_data", data, metadata=metadata)]

    assert compare.differences(glued("a"), glued("a")) == []
    assert compare.differences(glued("a"), glued("b"))


def _record(estimate, interval, **changed):
    """A record of a claim whose criterion is that the largest value is below 1e-9."""
    finding = {"estimate": estimate, "interval": interval, "interval_kind": "range", "n": 8}
    control = {"estimate": 0.7, "interval": [0.6, 0.8], "interval_kind": "range", "n": 8}
    record = {
        "id": BOUND, "registered": claims.registered_hash(REGISTER[BOUND]), "found": finding,
        "control": control, "mended": None, "note": None,
    }  # fmt: skip
    return record | changed


BOUND = "rotation.gd-equivariant"


def test_the_tolerance_of_an_estimate_is_the_width_of_its_interval():
    committed = _record(0.50, [0.45, 0.55])
    assert _same("claim", committed, _record(0.58, [0.52, 0.64]))
    assert _same("claim", committed, _record(0.50, [0.45, 0.70]))  # narrow by luck
    assert not _same("claim", committed, _record(0.62, [0.52, 0.64]))
    assert not _same("claim", committed, _record(0.50, [0.45, 0.78]))


def test_rounding_may_be_of_any_size_and_must_stay_rounding():
    rounding = _record(2e-15, [1e-15, 3e-15])
    assert _same("claim", rounding, _record(4e-14, [2e-14, 5e-14]))
    assert not _same("claim", rounding, _record(2e-4, [1e-4, 3e-4]))


def test_a_note_may_be_in_other_words_but_not_be_missing():
    committed = _record(0.5, [0.4, 0.6], note="It reaches 0.46.")
    assert _same("claim", committed, _record(0.5, [0.4, 0.6], note="It reaches 0.48."))
    assert not _same("claim", committed, _record(0.5, [0.4, 0.6]))


def test_a_mended_statement_is_compared_too():
    id = next(id for id, entry in REGISTER.items() if "as_mended" in entry)
    mended = _record(0.5, [0.4, 0.6])["found"]
    registered = claims.registered_hash(REGISTER[id])
    committed = _record(0.5, [0.4, 0.6], id=id, registered=registered, mended=mended)
    assert _same("claim", committed, copy.deepcopy(committed))
    assert not _same("claim", committed, committed | {"mended": None})
    assert not _same("claim", committed, committed | {"mended": mended | {"n": 9}})


@pytest.mark.parametrize(
    ("now", "same"),
    [
        ("63 % stay, 0.0333 [1. 0.]\n", True),
        ("61 % stay, 0.0341 [1. 0.]\n", True),
        ("6 % stay, 0.0333 [1. 0.]\n", False),
        ("63 % go, 0.0333 [1. 0.]\n", False),
        ("63 % stay, 0.0333 [1. 0.] 7\n", False),
    ],
)
def test_numbers_in_a_printed_line_are_measured_and_words_are_not(now, same):
    outputs = [
        [nbformat.v4.new_output("stream", text=text, name="stdout")]
        for text in ("63 % stay, 0.0333 [1. 0.]\n", now)
    ]
    assert (compare.differences(*outputs) == []) == same
