import itertools
from contextlib import nullcontext

import pytest
from fake_book import ROOT
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nbformat import v4

from hblib import figures
from runner import files, parameters

CHAPTERS = files.chapters(ROOT)


def _chapter(source, *more):
    cells = [v4.new_code_cell(text, metadata={"tags": ["parameters"]}) for text in (source, *more)]
    return v4.new_notebook(cells=cells)


def _check(given, source, folder="."):
    chapter = _chapter(source)
    return parameters.check(given, parameters.declared(chapter), parameters.ranges(chapter), folder)


# Names, types, literals


def test_values_are_checked_by_name_and_type():
    defaults = {"k": 5, "lr": 0.1, "loss": "squared", "sizes": [1, 2], "clip": None, "bias": True}
    given = {"lr": 1, "sizes": [3], "clip": 0.5}
    checked = parameters.check(given, defaults)
    assert checked == defaults | {"lr": 1.0, "sizes": [3], "clip": 0.5}
    assert type(checked["lr"]) is float
    with pytest.raises(ValueError, match="unknown parameter 'K'; allowed are k, lr, loss, sizes"):
        parameters.check({"K": 5}, defaults)
    for name, wrong in [
        ("k", 1.5), ("k", True), ("k", "5"), ("lr", "1e-3"), ("lr", float("nan")), ("bias", 1),
        ("loss", 3), ("sizes", 3), ("sizes", [1.5]), ("clip", {1}), ("k", None),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"parameter '{name}.* must be of type"):
            parameters.check({name: wrong}, defaults)


def test_a_whole_number_beyond_all_floats_is_refused():
    with pytest.raises(ValueError, match="parameter 'lr' is too large"):
        parameters.check({"lr": 10**400}, {"lr": 0.1})


def test_values_are_parsed_from_a_command_line():
    defaults = {"k": 5, "lr": 0.1, "loss": "squared", "sizes": [1, 2], "bias": True, "kinds": []}
    words = ["k=8", "lr=1e-3", "loss=12", "sizes=[3, 4]", "bias=false", "kinds=[a, b]"]
    given = {"k": 8, "lr": 1e-3, "loss": "12", "sizes": [3, 4], "bias": False, "kinds": ["a", "b"]}
    assert parameters.parse(words, defaults) == given
    for wrong, message in [("k", "not an assignment"), ("k={", "neither a Python nor a YAML")]:
        with pytest.raises(ValueError, match=message):
            parameters.parse([wrong], defaults)
    with pytest.raises(ValueError, match="given twice"):
        parameters.parse(["k=1", "k=2"], defaults)


@pytest.mark.parametrize("text", ["010", "-07", "1:30", "2001-01-01", "yes", "0b", "1 2"])
def test_a_text_that_is_no_number_in_python_becomes_none(text):
    # YAML 1.1 would make 8 of 010 and 90 of 1:30.
    given = parameters.parse([f"seed={text}"], {"seed": 0})
    with pytest.raises(ValueError, match="'seed' must be of type int"):
        parameters.check(given, {"seed": 0})
    with pytest.raises(ValueError, match="'seed' must be of type int"):
        parameters.check(parameters.load_yaml(f"seed: {text}"), {"seed": 0})


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.001", ".001", "+1e-3", "1_000", "3", "-2."])
def test_a_number_is_one_in_a_file_as_on_a_command_line(text):
    value = parameters.parse([f"x={text}"], {"x": 0.5})["x"]
    assert value == float(text)
    assert parameters.load_yaml(f"x: [{text}]") == {"x": [value]}


# The cell


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("k = 5\nn = 2 * k", "not 'n = 2 \\* k'"),
        ("import os", "not 'import os'"),
        ("a = b = 1", "not 'a = b = 1'"),
        ("size = (60, 40)", "not 'size"),
        ("k = 5\nk = 6", "assigns 'k' twice"),
    ],
)
def test_a_parameters_cell_holds_literals_only(source, message):
    with pytest.raises(ValueError, match=message):
        parameters.declared(_chapter(source))


def test_there_is_one_parameters_cell():
    assert parameters.declared(_chapter("k = 5")) == {"k": 5}
    for chapter, number in [(v4.new_notebook(), 0), (_chapter("k = 5", "k = 5"), 2)]:
        with pytest.raises(ValueError, match=f"exactly one cell.*has {number}"):
            parameters.declared(chapter)


def test_comments_are_found_wherever_the_formatter_leaves_them():
    chapter = _chapter(
        "seed = (\n    7007  # of all draws [0 or more]\n)\n"
        "# Start of word2vec:\n"
        '# [one of "a", "b"]\n'
        'start = "a"\n'
        "k = 5  # units [2 to 20]\n"
        "\n# Losses\n\n"
        'losses = [\n    "x",  # the first\n    "y",\n]  # to test [any of "x", "y"]\n'
        "bare = '# no comment'\n"
    )
    assert parameters.comments(chapter) == {
        "seed": "of all draws [0 or more]",
        "start": 'Start of word2vec: [one of "a", "b"]',
        "k": "units [2 to 20]",
        "losses": 'the first to test [any of "x", "y"]',
        "bare": "",
    }
    texts = {name: found.text for name, found in parameters.ranges(chapter).items()}
    assert texts == {
        "seed": "0 or more",
        "start": 'one of "a", "b"',
        "k": "2 to 20",
        "losses": 'any of "x", "y"',
    }


def test_only_plain_values_are_echoed():
    with pytest.raises(ValueError, match="parameter 'k' is"):
        figures.echo(k=object())
    with pytest.raises(ValueError, match="needs the chapter's parameters"):
        figures.echo()


def test_parameters_and_their_echo_agree_on_what_is_plain(capsys):
    for value in (1, 1.5, float("inf"), "a", None, True, [1, [2]], {"a": [1]}, {1: 2}, {1}, b"a"):
        with nullcontext() if parameters._is_plain(value) else pytest.raises(ValueError):
            figures.echo(k=value)


# Ranges


@pytest.mark.parametrize(
    ("declaration", "inside", "outside"),
    [
        ("k = 5  # [2 to 20]", [2, 20], [1, 21, -5]),
        ("k = 5  # [4 or more]", [4, 10**30], [3]),
        ("k = 5  # [5 or less]", [5, -1], [6]),
        ("x = 0.5  # [above 0]", [1e-300, 1], [0, 0.0, -1.0]),
        ("x = 0.5  # [more than -1, below 1]", [0, 0.99], [-1, 1]),
        ("x = 0.5  # [less than 1e-3 * 1000]", [0.99], [1]),
        ("k = 16  # [16 or more, multiple of 8]", [24], [8, 20]),
        ("k = 6  # [6 or more, even]", [8], [7, 4]),
        ("k = 7  # [odd]", [-1, 9], [8]),
        ('s = "sgd"  # [one of "sgd", "adam"]', ["adam"], ["Adam", "", "sgd "]),
        ("k = 1  # [one of 1, 2, 4]", [4], [3]),
        ("s = 'a'  # [any text]", ["", "b"], []),
        ('s = ["x"]  # [any of "x", "y"]', [["y", "x"]], [[], ["z"], ["x", "x"]]),
        ("s = [1, 2]  # [1 to 3]", [[3], []], [[0, 1], [4]]),
        ("c = None  # [0 to 1]", [0.5], [2]),
    ],
)
def test_a_value_outside_its_range_is_refused_by_name(declaration, inside, outside):
    name = declaration[0]
    for value in inside:
        assert _check({name: value}, declaration)[name] == value
    for value in outside:
        with pytest.raises(ValueError, match=f"^parameter '{name}' is .*; allowed is ") as error:
            _check({name: value}, declaration)
        assert str(error.value).endswith(declaration.partition("# [")[2][:-1])


def test_bounds_follow_other_parameters():
    source = "width = 64  # [8 or more]\nrows = 300  # [more than 2 * width]\n"
    assert _check({"width": 8, "rows": 17}, source) == {"width": 8, "rows": 17}
    with pytest.raises(ValueError) as error:
        _check({"rows": 100}, source)
    assert str(error.value) == (
        "parameter 'rows' is 100; allowed is more than 2 * width, with width = 64"
    )
    with pytest.raises(ValueError, match="'rows' is 300, its default; .* with width = 200"):
        _check({"width": 200}, source)
    with pytest.raises(ValueError, match="'k' is 1, its default; allowed"):
        _check({"n": 0}, "n = 1\nk = 1  # [1 // n or more]")


def test_a_path_is_one_of_a_file_or_folder(tmp_path):
    source = 'corpus = "wikipedia"  # text [one of "wikipedia", "docstrings", or a path]'
    (tmp_path / "my.txt").write_text("words")
    (tmp_path / "recordings").mkdir()
    for value in ("docstrings", "my.txt", str(tmp_path / "my.txt"), "recordings"):
        assert _check({"corpus": value}, source, tmp_path) == {"corpus": value}
    for value in ("wikipediia", "other.txt", "", ".", "a\0b", "x" * 5000):
        with pytest.raises(ValueError, match="'corpus' is .* or a path$"):
            _check({"corpus": value}, source, tmp_path)


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("k = 5  # units [2 two 20]", "range \\[2 two 20\\] of parameter 'k' cannot be understood"),
        ("k = 5  # units []", "of parameter 'k' cannot be understood"),
        ("k = 5  # units [2 to 20", "comment on parameter 'k' must have its range in square"),
        ("k = 5  # units [2 to 20], or so", "comment on parameter 'k' must have its range"),
        ("k = 5  # [2 to 9] [even]", "comment on parameter 'k' must have its range"),
        ("k = 5  # [2 to n_rows]", "of parameter 'k' names 'n_rows', which is no parameter"),
        ("k = 5  # [2 to s]\ns = 'a'", "of parameter 'k' names 's', whose default is no number"),
        ("k = 5  # [2 to 3 ** 4]", "of parameter 'k' cannot be understood"),
        ("k = 5  # [abs(3) or more]", "of parameter 'k' cannot be understood"),
        ("k = 5  # [6 or more, eve]", "of parameter 'k' cannot be understood"),
        ("s = 'a'  # [2 to 20]", "of parameter 's' is one of numbers, but the default is 'a'"),
        ("b = True  # [0 to 1]", "of parameter 'b' is one of numbers, but the default is True"),
        ("s = 'a'  # [any of 'a']", "of parameter 's' must say 'one of'"),
        ("s = ['a']  # [one of 'a']", "of parameter 's' must say 'any of'"),
        ("s = 'a'  # [one of a, b]", "of parameter 's' cannot be understood"),
        ("k = 5  # [a path]", "of parameter 'k' is one of texts"),
    ],
)
def test_a_misspelt_range_is_refused_in_one_sentence(declaration, message):
    with pytest.raises(ValueError, match=message) as error:
        parameters.ranges(_chapter(declaration))
    assert "\n" not in str(error.value)


@settings(max_examples=200)
@given(
    words=st.lists(
        st.sampled_from(
            ["[", "]", "1", "k", "x", "to", "or more", "above", "even", ",", "one of", "any of",
             "or a path", "*", "-", "/", "0", "(", ")", "'a'", "multiple of", "\f", "#", "9" * 5000]
        )
        | st.text(max_size=3),
        max_size=8,
    ),
    value=st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
)  # fmt: skip
@example(words=["[" + "-" * 9000 + "1 or more]"], value=1)
@example(words=["[" + "(" * 300 + "1 or more]"], value=1)
@example(words=["[1 / 0 to 9 // 0]"], value=1)
@example(words=["[multiple of 0]"], value=1)
@example(words=["[one of [1], 2]"], value=1)
def test_any_comment_gives_a_range_or_a_sentence(words, value):
    chapter = _chapter(f"k = {value!r}  # {' '.join(words)}\nx = 1.5")
    try:
        ranges = parameters.ranges(chapter)
        parameters.check({}, parameters.declared(chapter), ranges)
    except ValueError as error:
        assert "parameter" in str(error)


def test_a_default_outside_its_range_is_noticed():
    with pytest.raises(ValueError, match="parameter 'k' is 5, its default; allowed is 6 or more"):
        _check({}, "k = 5  # [6 or more]")


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_all_settings_of_a_sweep_are_within_the_ranges(path):
    chapter = files.read(path)
    plan = parameters.load_yaml((ROOT / "sweeps" / f"{path.stem}.yml").read_text("utf-8"))
    defaults, ranges = parameters.declared(chapter), parameters.ranges(chapter)
    grid = [dict(zip(plan["grid"], row)) for row in itertools.product(*plan["grid"].values())]
    for setting in grid + plan["points"]:
        parameters.check(plan["fixed"] | setting, defaults, ranges, path.parent)
