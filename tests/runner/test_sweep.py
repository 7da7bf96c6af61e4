import os

import pytest
from fake_book import RECORD, STARTS

from hblib import claims
from runner import execute, sweep, tables


def _plan(book, text, chapter="01_a"):
    (book.root / "sweeps" / f"{chapter}.yml").write_text(text)
    return sweep.read_plan(book.root, chapter)


# The plan


def test_a_plan_is_grid_and_points_times_seeds(book):
    book.chapter("01_a", declared="seed = 0\nk = 5\nlr = 0.1", echo="...")
    plan = _plan(book, "fixed: {lr: 1}\ngrid: {k: [1, 2]}\npoints: [{k: 3}]\nseeds: [7, 8]")
    settings = [(s["k"], s["seed"], s["lr"]) for s in plan.settings]
    assert settings == [(1, 7, 1), (1, 8, 1), (2, 7, 1), (2, 8, 1), (3, 7, 1), (3, 8, 1)]
    assert plan.time_limit == 600
    assert len(_plan(book, "grid: {k: [1, 2], seed: [0, 1], lr: [1]}").settings) == 4
    assert len(_plan(book, "points: [{k: 1}, {k: 2}]").settings) == 2
    assert _plan(book, "{}").settings == [{"seed": 0, "k": 5, "lr": 0.1}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("grid: [", "not valid YAML in line 1"),
        ("- k", "must be a mapping"),
        ("grids: {k: [1]}", "unknown key 'grids'; allowed are fixed, grid, points"),
        ("grid: {k: 3}", "k must be a list with at least one value, not 3"),
        ("grid: {k: []}", "k must be a list with at least one value"),
        ("grid: {depth: [3]}", "unknown parameter 'depth'; allowed are seed, k"),
        ("grid: {k: [1e-3]}", "'k' must be of type int"),
        ("seeds: 3", "seeds must be a list"),
        ("points: {k: 3}", "points must be a list of mappings"),
        ("fixed: [k]", "fixed and grid must be mappings"),
        ("fixed: {k: 3}\ngrid: {k: [1]}", "'k' is set in two places"),
        ("grid: {seed: [3]}\nseeds: [1]", "'seed' is set in two places"),
        ("grid: {k: [1, 2, 1]}", "the setting {'k': 1} comes twice"),
        ("time_limit: 0", "time_limit must be a number of seconds above 0"),
    ],
)
def test_a_faulty_plan_gets_one_sentence(book, text, message):
    book.chapter("01_a")
    with pytest.raises(ValueError, match="^sweeps/01_a.yml") as error:
        _plan(book, text)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_a_parameter_cannot_be_called_as_a_column(book):
    book.chapter("01_a", declared="found_n = 1  # size", echo="figures.echo(found_n=found_n)")
    with pytest.raises(ValueError, match="'found_n' has the name of a column"):
        _plan(book, "{}")


def test_a_run_is_known_by_its_inputs(book):
    book.chapter("01_a")
    plan = _plan(book, "grid: {k: [1, 2]}")
    one, two = (plan.folder(setting) for setting in plan.settings)
    assert one != two
    assert _plan(book, "grid: {k: [2, 1]}").folder(plan.settings[0]) == one
    book.chapter("01_a", "x = 1")
    assert _plan(book, "grid: {k: [1, 2]}").folder(plan.settings[0]) != one


def test_a_stale_chapter_is_not_swept(book):
    book.chapter("01_a")
    _plan(book, "grid: {k: [1]}")
    with pytest.raises(ValueError, match="01_a is stale"):
        sweep.sweep(book.root, "01_a")


def test_an_unreachable_scheduler_is_named():
    with pytest.raises(ValueError, match="no Dask scheduler answers at 'nonsense://x'"):
        sweep._client("nonsense://x", 1)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system has no affinities")
def test_workers_have_cores_of_their_own():
    with sweep._client(None, 2) as client:
        one, other = client.run(os.sched_getaffinity, 0).values()
    cores = os.sched_getaffinity(0)
    assert one | other == cores and (not one & other or len(cores) == 1)


# A whole sweep


@pytest.fixture(scope="module")
def swept(shared_book):
    """A chapter swept over k = 3, 4, 6, 7; it raises at 7 and its verdict flips at 6."""
    book = shared_book
    book.chapter("01_a", STARTS, "assert k != 7, 'seven # cannot be'", RECORD)
    assert execute.execute([book.root / "notebooks" / "01_a.ipynb"], report=str)[0].error is None
    (book.root / "journal.txt").unlink()
    (book.root / "sweeps" / "01_a.yml").write_text("fixed: {seed: 1}\ngrid: {k: [3, 4, 6, 7]}")
    path = sweep.sweep(book.root, "01_a", workers=2)
    return book, path


def test_each_setting_is_run_once(swept):
    book, _ = swept
    assert sorted(book.journal()) == ["start 3", "start 4", "start 6", "start 7"]


def test_the_table_has_a_row_for_each_run_and_claim_and_no_verdict(swept):
    book, path = swept
    assert path == book.root / "_build" / "sweeps" / "01_a" / "results.csv"
    table = sweep.judged(path)
    assert list(table["k"]) == [3, 4, 6, 7] and set(table["seed"]) == {1}
    assert list(table["verdict"]) == ["reproduced", "reproduced", "open", "failed"]
    assert list(table["found_estimate"][:3]) == [1.23456] * 3
    assert list(table["control_n"][:3]) == [8] * 3
    assert table["error"][3].endswith("raised AssertionError: seven # cannot be")
    text = path.read_text()
    assert not any(word in text for word in claims.VERDICTS)


def test_stability_counts_the_settings_in_which_a_verdict_holds(swept):
    book, path = swept
    found = sweep.stability(path, book.root / "notebooks" / "01_a.ipynb")
    assert list(found) == ["fake.claim"] and found["fake.claim"][:3] == ("reproduced", 2, 4)
    failing = found["fake.claim"].failing
    assert [one.setting for one in failing] == ["k=6", "k=7"]
    assert [one.verdict for one in failing] == ["open", "failed"]
    assert [one.given for one in failing] == [{"seed": 1, "k": 6}, {"seed": 1, "k": 7}]
    for one in failing:
        assert (book.root / "_build" / "sweeps" / "01_a" / one.run / "01_a.ipynb").is_file()


def test_shares_say_at_which_values_a_verdict_holds(swept):
    book, path = swept
    found = sweep.shares(path, book.root / "notebooks" / "01_a.ipynb")["fake.claim"]
    rows = list(found.itertuples(index=False, name=None))
    assert rows == [("k", 3, 1, 1), ("k", 4, 1, 1), ("k", 6, 0, 1), ("k", 7, 0, 1)]


def test_a_table_without_a_parameter_of_the_chapter_is_refused(swept, tmp_path):
    book, path = swept
    about, table = tables.read(path)
    tables.write(tmp_path / "01_a.csv", about, table.rename(columns={"k": "q"}))
    with pytest.raises(ValueError, match="no column for the parameter 'k' of 01_a"):
        sweep.stability(tmp_path / "01_a.csv", book.root / "notebooks" / "01_a.ipynb")


def test_resuming_redoes_only_what_failed(swept):
    book, path = swept
    before, already = path.read_bytes(), len(book.journal())
    sweep.sweep(book.root, "01_a", workers=1)
    assert book.journal()[already:] == ["start 7"]
    assert path.read_bytes() == before


def test_a_sweep_replaces_the_published_table_only_when_told(swept):
    book, path = swept
    published = book.root / "sweeps" / "results" / "01_a.csv"
    assert not published.exists()
    assert sweep.publish(book.root, "01_a") == published
    assert published.read_bytes() == path.read_bytes()
    assert sweep.stale(published) == []
    mine = book.root / "mine.yml"
    mine.write_text("grid: {k: [3]}\nfixed: {seed: 1}")
    sweep.sweep(book.root, "01_a", workers=1, grid=mine)
    assert len(tables.read(path)[1]) == 1 and len(tables.read(published)[1]) == 4
    with pytest.raises(ValueError, match="the last sweep of 01_a was of another plan"):
        sweep.publish(book.root, "01_a")


def test_a_table_knows_whether_it_is_current(swept):
    book, _ = swept
    sweep.sweep(book.root, "01_a", workers=1)
    published = sweep.publish(book.root, "01_a")
    plan = book.root / "sweeps" / "01_a.yml"
    text = plan.read_text()
    plan.write_text("grid: {k: [3, 4]}")
    assert sweep.stale(published) == ["sweeps/01_a.yml changed since"]
    plan.write_text(text)
    book.chapter("01_a", STARTS, "assert k != 7, 'seven # cannot be'", "y = 1", RECORD)
    assert sweep.stale(published) == ["the chapter changed since"]


def test_nothing_is_published_before_a_sweep(book):
    book.chapter("01_a")
    (book.root / "sweeps" / "01_a.yml").write_text("grid: {k: [1]}")
    with pytest.raises(ValueError, match="no sweep of 01_a was finished: run it first"):
        sweep.publish(book.root, "01_a")
