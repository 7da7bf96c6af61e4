"""Stored benchmarks have one shape, and the page says what they hold."""

import ast
import datetime
import json
import sys

import numpy as np
import pytest
from scripts import ROOT

sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "benchmarks")]

import hb_benchmarks as page  # noqa: E402
import record  # noqa: E402

KEYS = [
    *("title", "what", "date", "machine", "versions"),
    *("required and measured", "series", "memory", "rows"),
]
STORED = page.results(ROOT)
SCRIPTS = [
    p.stem for p in (ROOT / "benchmarks").glob("*.py") if p.stem not in ("record", "__main__")
]


def test_every_script_has_a_result_and_is_run():
    assert sorted(STORED) == sorted(SCRIPTS)
    runner = ast.parse((ROOT / "benchmarks" / "__main__.py").read_text(encoding="utf-8"))
    order = next(
        ast.literal_eval(node.value)
        for node in runner.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "ORDER"
    )
    assert sorted(order) == sorted(SCRIPTS)


@pytest.mark.parametrize("name", sorted(STORED))
def test_a_result_is_complete(name):
    result = STORED[name]
    assert list(result) == KEYS
    assert result["title"] and result["what"].endswith(".")
    assert datetime.date.fromisoformat(result["date"]) <= datetime.date.today()
    assert list(result["machine"]) == [
        *("processor", "cores", "memory", "system", "BLAS", "load before"),
    ]
    assert {"Python", "numpy"} < set(result["versions"])
    assert result["required and measured"] and result["rows"]
    assert all(mib >= 0 for mib in result["memory"].values()) and result["memory"]
    for row in result["required and measured"]:
        assert page.outcome(row["required"], row["measured"]) in ("met", "not met", "not measured")


@pytest.mark.parametrize("name", sorted(STORED))
def test_series_reach_over_sizes_and_have_a_floor(name):
    assert STORED[name]["series"]
    for series in STORED[name]["series"]:
        lines = series["lines"]
        assert len({x for line in lines.values() for x, _ in line}) >= 3
        assert sum(line.startswith(page.FLOOR) for line in lines) == 1
        assert len(lines) >= 2
        for line, points in lines.items():
            x, y = np.array(points, float).T
            assert np.all(np.diff(x) > 0) and np.all(y > 0), line
            assert series["slopes"][line] == round(record.slope(x, y), 2), line


@pytest.mark.parametrize("name", sorted(STORED))
def test_the_page_renders_a_result(name):
    result = STORED[name]
    rows = page.required_rows(result)
    for row, stored in zip(rows, result["required and measured"], strict=True):
        assert row[0].startswith(stored["what"].partition(": times ")[0])
    for series in result["series"]:
        assert len(page.slope_rows(series)) == len(series["lines"]) - 1
        assert "logarithmic" in page.described(series)


def test_a_figure_has_every_line():
    series = record.curves("n", "s", {"hblib": [[1, 2], [10, 20]], "floor: x": [[1, 1], [10, 9]]})
    figure = page.draw(series)
    axes = figure.axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [line.get_label() for line in axes.lines] == ["hblib", "floor: x"]
    page.plt.close(figure)


def test_required_rows_say_what_was_missed_in_words():
    rows = [("a", ">= 2.0", 2.53), ("b", "<= 1.5", 1.6), ("c", "< 1", 1), ("d", ">= 5", None)]
    result = {"required and measured": record.compared(*rows)}
    assert page.required_rows(result) == [
        ["a", "at least 2", "2.53", "met"],
        ["b", "at most 1.5", "1.6", "not met"],
        ["c", "less than 1", "1", "not met"],
        ["d", "at least 5", "–", "not measured"],
    ]


@pytest.mark.parametrize(
    ("what", "measured", "said"),
    [
        ("4 seeds: times the loop", 0.25, "4 seeds: ours takes 4 times as long as the loop"),
        ("4 seeds: times the loop", 2.5, "4 seeds: the loop takes 2.5 times as long as ours"),
        ("match: times by definition", 2, "match: the definition as written takes 2 times as long"),
        ("45 runs: times papermill's runs a minute", 4.4, "45 runs: times papermill's runs"),
        ("atoms found", 44.1, "atoms found"),
    ],
)
def test_a_ratio_is_a_sentence(what, measured, said):
    assert page.in_words({"what": what, "measured": measured}).startswith(said)


def test_slope_rows_compare_with_the_floor():
    lines = {
        "ours": [[10, 2.0], [100, 20.0]],
        "slow": [[10, 5.0]],
        "floor: x": [[10, 1.0], [100, 8.0]],
    }
    series = record.curves("n", "s", lines)
    assert page.slope_rows(series) == [
        ["ours", "1.00", "0.90", "2.5 at 100"],
        ["slow", "–", "0.90", "5 at 10"],
    ]


def test_numbers_are_short():
    shown = [page.number(x) for x in (0, 1.33e-15, 0.0123456, 63.94, 390627, 7 * 10**7)]
    assert shown == ["0", "1.3e-15", "0.0123", "63.9", "391,000", "7e+07"]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_slope_is_the_exponent_of_a_power_law(exponent):
    x = np.array([3.0, 10, 50, 700])
    assert record.slope(x, 0.2 * x**exponent) == pytest.approx(exponent, abs=1e-12)


def test_peak_is_what_a_call_adds():
    before = np.ones(2**22)  # 32 MiB held already
    assert record.peak(lambda: None) < 8
    assert record.peak(lambda: np.ones(2**23)) == pytest.approx(64, abs=8)
    twice = record.peak(lambda: [np.ones(2**22).sum() for _ in range(3)] and before.sum())
    assert twice == pytest.approx(32, abs=8)  # the most at a time, not the sum


def test_peak_sees_what_is_taken_from_memory_that_was_freed_and_kept():
    pieces = [np.ones(2**16, np.uint8) for _ in range(2**11)]  # 128 MiB of the heap ...
    last = pieces.pop()  # ... which this piece keeps the process from handing back
    pieces.clear()
    assert record.peak(lambda: np.ones(2**23)) == pytest.approx(64, abs=8)
    assert last.all()


def test_peak_reports_a_call_that_fails(capfd):
    with pytest.raises(RuntimeError, match="did not end well"):
        record.peak(lambda: 1 / 0)


def test_rounds_take_turns():
    called = []
    functions = {"a": lambda: called.append("a"), "b": lambda: called.append("b")}
    found = record.interleaved(functions, 3)
    assert called == ["a", "b"] * 3
    assert {name: len(seconds) for name, seconds in found.items()} == {"a": 3, "b": 3}


def test_a_series_keeps_medians_by_size(monkeypatch):
    seconds = iter([9, 9, 2, 1, 4, 2, 3, 3] * 2)  # the first round of each size only warms up
    monkeypatch.setattr(record, "cpu_time", lambda function: (next(seconds), None))
    found = record.series("n", "s", [1, 10], lambda n: {"ours": None, "floor: x": None}, 3)
    assert found["lines"] == {"ours": [[1, 3.0], [10, 3.0]], "floor: x": [[1, 2.0], [10, 2.0]]}
    assert found["slopes"] == {"ours": 0.0, "floor: x": 0.0}


def test_what_is_stored_names_machine_versions_and_day(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "RESULTS", tmp_path)
    result = {"title": "T", "what": "W.", "required and measured": [], "series": []}
    record.store("x", result | {"memory": {}, "rows": []}, ["scipy", "no-such-package"], 0.5)
    stored = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))
    assert list(stored) == KEYS
    assert set(stored["versions"]) == {"Python", "numpy", "scipy"}
    assert stored["machine"]["processor"] and stored["machine"]["load before"] == 0.5
    assert stored["date"] == datetime.date.today().isoformat()
