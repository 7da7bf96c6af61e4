"""The site's templates: what goes into them stays text, and words stay apart."""

import re
import sys

import pytest
from bs4 import BeautifulSoup
from jinja2 import UndefinedError
from scripts import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

import hb_html  # noqa: E402

ROWS = [("a < b & <i>c</i>", "it's $x<y$"), ("two", "three")]


def _table(**data):
    return hb_html.fill("table.html", **{"caption": "All", "head": ["p", "q"], "rows": ROWS} | data)


def test_data_cannot_become_markup():
    soup = BeautifulSoup(_table(caption='"><b>'), "html.parser")
    assert soup.find(["i", "b"]) is None
    assert soup.select_one("tbody th").get_text() == "a < b & <i>c</i>"
    assert soup.div["aria-label"] == '"><b>'


def test_sentences_get_true_quotation_marks_and_mathematics():
    cell = BeautifulSoup(_table(), "html.parser").td
    assert cell.get_text() == r"it’s \(x<y\)"
    assert cell.span["class"] == ["math", "notranslate", "nohighlight"]


def test_words_of_two_cells_stay_apart_where_tags_are_dropped():
    """As Sphinx does when it collects the words of a page for the search."""
    words = re.sub(r"<[^<]+?>", "", _table(rows=[("one", "two")])).split()
    assert words == ["All", "p", "q", "one", "two"]


def test_what_a_template_lacks_is_an_error():
    with pytest.raises(UndefinedError):
        hb_html.fill("table.html", caption="All", head=[])
