import base64
import hashlib
import io
import json
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from scripts import PATIENCE

from hblib import claims, figures
from hblib.figures import _echo, _plotting

ALT = "A line that rises from the lower left to the upper right."


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        figures.use_style()
        yield
    plt.close("all")


@pytest.fixture
def shown(monkeypatch):
    """What is displayed, in order."""
    outputs = []
    monkeypatch.setattr(_plotting, "display", outputs.append)
    monkeypatch.setattr(_echo, "display", outputs.append)
    return outputs


def line(width=6.5):
    fig, ax = plt.subplots(figsize=(width, 3))
    ax.plot([0, 1], [0, 1])
    ax.set(xlabel="step", ylabel="error")
    return fig


def pixels(png):
    return plt.imread(io.BytesIO(png))


# --- show ----------------------------------------------------------------------------------------


def test_show_gives_picture_and_words(shown):
    fig = line()
    figures.show(fig, caption="It rises.", alt=ALT)
    (output,) = shown
    png = base64.b64decode(output.data["image/png"])
    assert pixels(png).shape[1] == 6.5 * _plotting.DPI
    assert output.data["text/plain"] == f"Figure: {ALT}"
    assert output.metadata == {"image/png": {"alt": ALT, "caption": "It rises.", "width": 624}}
    assert not plt.fignum_exists(fig.number)


def test_pictures_are_opaque_white(shown):
    figures.show(line(), caption="It rises.", alt=ALT)
    picture = pixels(base64.b64decode(shown[0].data["image/png"]))
    np.testing.assert_array_equal(picture[0, 0, :3], [1, 1, 1])
    assert picture.shape[2] == 3 or (picture[..., 3] == 1).all()


def test_the_same_figure_gives_the_same_bytes_in_another_process():
    code = (
        "import hashlib; from hblib.figures import _plotting as p; p.use_style();"
        "fig = p.log_curves({'SGD': [1, 2, 4], 'Adam': [3, 2, 1]}, ylabel='defect');"
        "print(hashlib.sha256(p._png(fig)).hexdigest())"
    )
    # NumPy warns about kernels that it is told to leave out and does not have.
    command = [sys.executable, "-W", "error", "-W", "ignore::ImportWarning", "-c", code]
    there = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    here = _plotting._png(
        figures.log_curves({"SGD": [1, 2, 4], "Adam": [3, 2, 1]}, ylabel="defect")
    )
    assert hashlib.sha256(here).hexdigest() == there


def test_png_names_no_date_and_no_version():
    png = _plotting._png(line())
    assert b"tEXt" not in png and b"tIME" not in png and b"atplotlib" not in png


@pytest.mark.parametrize(
    "words, message",
    [
        ({"caption": " "}, "caption must not be empty"),
        ({"alt": ""}, "alt must describe the figure in at least 20 characters, got ''"),
        ({"alt": "a line" + " " * 20}, "alt must describe the figure in at least 20 characters"),
    ],
)
def test_words_are_obligatory(shown, words, message):
    words = {"caption": "It rises.", "alt": ALT} | words
    with pytest.raises(ValueError, match=message):
        figures.show(line(), **words)
    with pytest.raises(ValueError, match=message):
        figures.explorable("rotation-2d", {}, **words)
    assert shown == []


def test_figures_are_readable_on_a_phone(shown):
    with pytest.raises(ValueError, match="at most 7.0 inches wide, got 8"):
        figures.show(line(width=8), caption="It rises.", alt=ALT)
    fig = line()
    fig.axes[0].text(0.5, 0.5, "tiny", fontsize=8)
    with pytest.raises(ValueError, match=r"text of 8 points \('tiny'\) .* 6.1 pixels high"):
        figures.show(fig, caption="It rises.", alt=ALT)
    figures.show(line(width=7), caption="It rises.", alt=ALT)  # the style itself passes
    assert len(shown) == 1


# --- explorable ----------------------------------------------------------------------------------


def stored_data(output):
    page = BeautifulSoup(output.data["text/html"], "html.parser")
    return json.loads(page.find("script", type="application/json").string)


def test_explorable_rounds_and_keeps_types(shown):
    rng = np.random.default_rng(0)
    A = np.array([[1 / 3, -2e-17], [12345.678, 1.0]])
    figures.explorable(
        "rotation-2d",
        {"A": A, "n": 3, "exact": np.int64(7), "x": 2 / 3, "names": ("a", "b"), "on": True,
         "nested": [{"v": rng.normal(size=2)}], "small": np.array([1e-13, 2e-13])},
        caption="Turn the axes.", alt=ALT,
    )  # fmt: skip
    stored = stored_data(shown[0])
    assert stored["A"] == [[0.3333, 0], [12350, 1]]
    assert (stored["n"], stored["exact"], stored["x"], stored["on"]) == (3, 7, 0.6667, True)
    assert stored["names"] == ["a", "b"] and len(stored["nested"][0]["v"]) == 2
    assert stored["small"] == [1e-13, 2e-13]  # noise is relative to its own array


def test_explorable_stores_tensors(shown):
    torch = pytest.importorskip("torch")
    tensors = {"A": torch.ones(2, dtype=torch.bfloat16, requires_grad=True) / 3,
               "n": torch.tensor([7, 123456789]), "on": torch.tensor(True)}  # fmt: skip
    figures.explorable("k", tensors, caption="x", alt=ALT)
    assert stored_data(shown[0]) == {"A": [0.334, 0.334], "n": [7, 123456789], "on": True}


def test_explorable_is_a_captioned_figure_with_a_fallback(shown):
    figures.explorable("k", {"A": [1.0]}, caption="At $x$ < 1.", alt=ALT)
    figures.explorable("k", {"A": [1.0]}, caption="It rises.", alt=ALT, fallback=line())
    pages = [BeautifulSoup(output.data["text/html"], "html.parser") for output in shown]
    for page in pages:
        element = page.select_one("figure > hb-fig[kind=k]")
        assert element["aria-label"] == ALT
    assert pages[0].select_one(".hb-fig-still").get_text() == ALT
    assert pages[0].select_one("figcaption .math").get_text() == r"\(x\)"
    picture = pages[1].select_one("hb-fig > .hb-fig-still > img")
    assert picture["alt"] == ALT and picture["src"].startswith("data:image/png;base64,")
    assert shown[0].data["text/plain"] == f"Explorable figure: {ALT}"


def test_no_text_can_end_the_script(shown):
    figures.explorable(
        'k"><b>',
        {"label": "</script><!--<script>"},
        caption="<b>x",
        alt='"<i> and so on & on and on',
    )
    page = BeautifulSoup(shown[0].data["text/html"], "html.parser")
    assert stored_data(shown[0])["label"] == "</script><!--<script>"
    assert len(page.find_all("script")) == 1 and not page.find_all(["b", "i"])
    assert page.find("hb-fig")["kind"] == 'k"><b>'


def test_explorable_refuses_what_json_cannot_hold(shown):
    with pytest.raises(ValueError, match="Out of range float values"):
        figures.explorable("k", {"A": np.array([1.0, np.nan])}, caption="x", alt=ALT)


# --- table ---------------------------------------------------------------------------------------


def frame():
    return pd.DataFrame(
        {
            "update rule": ["SGD", "Adam & <co>"],
            "steps": [2000, 2000],
            "defect": [claims.num(3.21e-15, ".1e"), claims.num(0.7182, ".1e")],
            "rate": [0.123456, np.nan],
            "kept": [True, np.False_],
        }
    )


def test_table_is_accessible_html(shown):
    figures.table(frame(), caption="Defects $d$ & rates.", formats={"rate": ".1%"})
    page = BeautifulSoup(shown[0].data["text/html"], "html.parser")
    assert page.find("caption").get_text() == r"Defects \(d\) & rates."
    heads = page.select("thead th")
    assert [h.get_text() for h in heads] == ["update rule", "steps", "defect", "rate", "kept"]
    assert all(h["scope"] == "col" for h in heads)
    rows = page.select("tbody tr")
    assert [r.th.get_text() for r in rows] == ["SGD", "Adam & <co>"]
    assert all(r.th["scope"] == "row" for r in rows)
    assert [d.get_text() for d in rows[0].find_all("td")] == ["2000", "3.2e-15", "12.3%", "yes"]
    assert [d.get_text() for d in rows[1].find_all("td")][-2:] == ["–", "no"]
    assert [bool(d.get("style")) for d in rows[0].find_all("td")] == [True, True, True, False]
    assert [d["value"] for d in page.select("data.hb-num")] == ["3.2e-15", "12.3%", "7.2e-01"]
    box = page.select_one(".hb-table")
    assert box["tabindex"] == "0" and box["aria-label"] == "Defects d & rates."


def test_a_table_is_stored_with_what_is_measured_marked(shown):
    measured = frame().assign(best=[claims.varying("smile"), "hat"])
    figures.table(measured, caption="Defects.", formats={"rate": ".1%"})
    assert "SGD | 2000 | 3.2e-15 | 12.3% | yes | smile" in shown[0].data["text/plain"]
    stored = shown[0].data[claims.mime("table")]
    assert stored["columns"] == ["update rule", "steps", "defect", "rate", "kept", "best"]
    assert stored["rows"] == [
        ["SGD", "2000", {"number": "3.2e-15"}, {"number": "12.3%"}, "yes", {"text": "smile"}],
        ["Adam & <co>", "2000", {"number": "7.2e-01"}, "–", "no", "hat"],
    ]


def test_named_index_is_the_row_header(shown):
    figures.table(frame().set_index("update rule"), caption="Defects.")
    unnamed = pd.DataFrame({"k": [5, 6]}, index=["first", "second"])
    figures.table(unnamed, caption="Sizes.")
    pages = [BeautifulSoup(output.data["text/html"], "html.parser") for output in shown]
    assert pages[0].thead.th.get_text() == "update rule" and pages[0].tbody.th.get_text() == "SGD"
    assert pages[1].tbody.th.get_text() == "first"
    assert pages[1].thead.find("td").get_text() == ""  # an empty corner is no header


@pytest.mark.parametrize(
    "change, caption, formats, message",
    [
        (lambda frame: frame, "", None, "caption must not be empty"),
        (lambda frame: frame[:0], "x", None, "at least one row"),
        (
            lambda frame: frame, "x", {"ratio": ".1f"},
            r"formats names columns \['ratio'\], the frame has",
        ),
        (lambda frame: frame.groupby(["update rule", "steps"]).first(), "x", None, "one level"),
    ],
)  # fmt: skip
def test_bad_tables(change, caption, formats, message):
    with pytest.raises(ValueError, match=message):
        figures.table(change(frame()), caption, formats)


# --- pictures ------------------------------------------------------------------------------------


def luminance(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def test_colours_differ_from_white_and_never_stand_alone():
    for color in figures.PALETTE:
        assert 1.05 / (luminance(color) + 0.05) > 2  # no yellow on white
    assert len(set(figures.PALETTE)) == len(set(figures.LINES)) == len(set(figures.MARKERS))
    fig = figures.log_curves({name: [1, 2] for name in "abcdefg"}, ylabel="y")
    lines = fig.axes[0].get_lines()
    assert len({drawn.get_color() for drawn in lines}) == 7
    assert len({str(drawn._unscaled_dash_pattern) for drawn in lines}) == 7


def test_digit_gallery_puts_every_picture_in_its_place():
    images = np.random.default_rng(0).uniform(size=(2, 10, 8, 8))
    fig = figures.digit_gallery(images, ["before", "after"])
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["before", "after"]
    strip = fig.axes[1].images[0].get_array()
    np.testing.assert_array_equal(strip[:, 27:35], images[1, 3])
    assert (strip[:, 8] == 0).all()  # the gap
    assert {ax.images[0].norm.vmax for ax in fig.axes} == {images.max()}
    with pytest.raises(ValueError, match=r"got \(2, 10, 8, 8\) and 1 titles"):
        figures.digit_gallery(images, ["before"])


def test_galleries_take_pictures_of_any_type():
    torch = pytest.importorskip("torch")
    images = np.random.default_rng(0).integers(0, 256, size=(2, 3, 8, 8))
    images[0, 0, 0, 0] = 255

    def drawn(images):
        image = figures.digit_gallery(images, ["a", "b"]).axes[0].images[0]
        return image.norm(image.get_array())

    expected = drawn(images / 255)
    assert expected.max() == 1 and len(np.unique(expected)) > 100
    np.testing.assert_allclose(drawn(images.astype(np.uint8)), expected, rtol=1e-12)
    tensor = torch.tensor(images / 255, dtype=torch.float32, requires_grad=True)
    np.testing.assert_allclose(drawn(tensor), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="images has 1 of 384 values that are not finite"):
        drawn(np.where(np.arange(384).reshape(images.shape) == 5, np.nan, images))


def test_log_curves_draw_what_they_get():
    fig = figures.log_curves(
        {"a": [0, 1e-16, 1e-15], "b": (np.array([10, 20]), np.array([1.0, 2.0]))},
        ylabel="defect", threshold=1e-9,
    )  # fmt: skip
    first, second, limit = fig.axes[0].get_lines()
    np.testing.assert_array_equal(first.get_xdata(), [0, 1, 2])
    np.testing.assert_array_equal(second.get_xdata(), [10, 20])
    assert limit.get_ydata()[0] == 1e-9
    # A defect of exactly 0 neither stretches the axis nor draws a line down to its foot.
    assert fig.axes[0].get_ylim()[0] > 1e-18
    with np.errstate(divide="ignore"):
        assert not np.isfinite(fig.axes[0].yaxis.get_transform().transform([0.0])).any()
    _, ax = plt.subplots()
    assert figures.log_curves({"a": [1, 2]}, ylabel="y", ax=ax) is ax.figure
    with pytest.raises(ValueError, match="at least one curve"):
        figures.log_curves({}, ylabel="y")


def test_curves_and_dots_take_tensors():
    torch = pytest.importorskip("torch")
    values = torch.tensor([1.0, 2.0], dtype=torch.bfloat16, requires_grad=True)
    fig = figures.log_curves({"a": values, "b": (torch.arange(2), values)}, ylabel="y")
    for drawn in fig.axes[0].get_lines():
        np.testing.assert_array_equal(drawn.get_ydata(), [1, 2])
    dots = figures.dot_plot(["a", "b"], values).axes[0].get_lines()[0]
    np.testing.assert_array_equal(dots.get_xdata(), [1, 2])


def test_dot_plot_rows_run_from_top_to_bottom():
    fig = figures.dot_plot(
        ["SGD", "Adam", "Lion"], [1e-15, 0.5, 0.7], [(1e-16, 1e-14), (0.4, 0.6), (0.6, 0.8)],
        xlabel="defect", groups=["keeps", "breaks", "breaks"], log=True, reference=1e-9,
    )  # fmt: skip
    ax = fig.axes[0]
    low, high = ax.get_ylim()
    assert low > high and ax.get_xscale() == "log"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["keeps", "breaks"]
    drawn = {tuple(row) for c in ax.collections for s in c.get_segments() for row in s.tolist()}
    assert {(0.4, 1.0), (0.6, 1.0), (1e-16, 0.0)} <= drawn


@pytest.mark.parametrize(
    "args, message",
    [
        ((["a"], [1.0, 2.0]), "one entry per row, got 1"),
        ((["a"], [1.0], [(1, 2), (3, 4)]), "one entry per row, got 1"),
        ((["a"], [1.0], [(0, 2)], "x", None, True), "must be positive on a logarithmic axis"),
    ],
)
def test_bad_dot_plots(args, message):
    with pytest.raises(ValueError, match=message):
        figures.dot_plot(*args)


# --- echo ----------------------------------------------------------------------------------------


def test_echo_shows_and_stores_the_parameters(shown):
    values = {"seed": 0, "rates": [0.1, 0.2], "name": "<b>", "nested": {"on": True, "none": None}}
    figures.echo(**values)
    assert shown[0].data[claims.mime("parameters")] == values
    assert shown[0].data["text/plain"].splitlines()[:2] == ["seed = 0", "rates = [0.1, 0.2]"]
    page = BeautifulSoup(shown[0].data["text/html"], "html.parser")
    assert [row.th.get_text() for row in page.select("tr")] == list(values)
    assert not page.find("b")


@pytest.mark.parametrize(
    "value", [(1, 2), float("nan"), [1, float("inf")], {1: 2}, 1j, np.int64(3)]
)
def test_echo_refuses_what_has_no_form_in_json(shown, value):
    with pytest.raises(ValueError, match="parameter 'k' is"):
        figures.echo(k=value)
    assert shown == []


# --- in a notebook -------------------------------------------------------------------------------


def test_outputs_of_a_real_notebook():
    """What the kernel stores is what the website and the notebook tests rely on."""
    import nbformat
    from nbclient import NotebookClient

    cell = nbformat.v4.new_code_cell(
        "import numpy as np, pandas as pd\n"
        "from hblib import figures\n"
        "figures.use_style()\n"
        "fig = figures.log_curves({'a': [1, 2]}, ylabel='y')\n"
        f"figures.show(fig, caption='It rises.', alt='{ALT}')\n"
        f"figures.explorable('rotation-2d', {{'A': np.eye(2)}}, caption='Turn.', alt='{ALT}')\n"
        "figures.table(pd.DataFrame({'a': [1], 'b': [0.5]}), caption='Numbers.')\n"
        "figures.echo(seed=0)"
    )
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    NotebookClient(notebook, timeout=PATIENCE).execute()
    picture, figure, table, echo = notebook.cells[0].outputs
    assert {o.output_type for o in notebook.cells[0].outputs} == {"display_data"}
    assert picture.metadata["image/png"] == {"alt": ALT, "caption": "It rises.", "width": 624}
    assert set(picture.data) == {"image/png", "text/plain", claims.mime("figure")}
    assert set(figure.data) == {"text/html", "text/plain", claims.mime("explorable")}
    assert set(table.data) == {"text/html", "text/plain", claims.mime("table")}
    assert set(echo.data) == {"text/html", "text/plain", claims.mime("parameters")}
    assert echo.data["text/plain"] == "seed = 0"
    nbformat.validate(notebook)
