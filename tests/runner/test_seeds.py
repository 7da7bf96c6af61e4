"""Default seeds follow from what is registered."""

import pytest
import yaml
from fake_book import ENTRY

from hblib import claims
from hblib.claims._register import registered_seed
from runner import files, parameters, seeds

SECOND = {k: v for k, v in ENTRY.items() if k != "criterion"} | {
    "edition": 2,
    "criterion": {"kind": "contrast", "aggregate": "mean", "direction": "above"},
    "null": {"statement": "another size", "why": "it is the only one"},
    "levels": {"measured": "this", "null": "another", "unit": "number", "paired": True},
    "n": {"units": 6, "of": "draws"},
    "control": ENTRY["control"] | {"of": "level"},
    "worthwhile": 0.5,
    "forecast": 0.5,
}


@pytest.fixture
def chapter(book):
    path = book.chapter("01_a")
    register = book.root / "hblib" / "claims" / "register.yml"

    def with_claims(*entries):
        register.write_text(yaml.safe_dump(list(entries)))
        return path

    return with_claims


def _seed(path):
    return parameters.declared(files.read(path))["seed"]


def test_the_first_edition_keeps_its_seed(chapter):
    path = chapter(ENTRY)
    assert seeds.registered(path.parent.parent, "01_a") is None
    assert not seeds.write(path) and _seed(path) == 0


def test_the_registered_seed_is_written_once(chapter):
    path = chapter(SECOND)
    assert seeds.write(path) and _seed(path) == registered_seed([SECOND])
    assert not seeds.write(path)


def test_a_moved_threshold_asks_for_another_seed(chapter):
    path = chapter(SECOND)
    seeds.write(path)
    before = _seed(path)
    path = chapter(SECOND | {"worthwhile": 0.4})
    assert seeds.registered(path.parent.parent, "01_a") != before
    assert seeds.write(path) and _seed(path) != before


def test_a_chapter_without_a_seed_is_refused(book, chapter):
    chapter(SECOND)
    path = book.chapter("01_a", declared="k = 5  # size [1 to 9]", echo="figures.echo(k=k)")
    with pytest.raises(ValueError, match="01_a has no line such as 'seed = 0'"):
        seeds.write(path)


def test_chapters_of_the_book_start_from_their_registered_seed():
    root = files.find_root(__file__)
    second = [e["chapter"] for e in claims.load_register().values() if e["edition"] == 2]
    for path in files.chapters(root):
        seed = seeds.registered(root, path.stem)
        assert (seed is None) == (path.stem not in second)
        assert seed in (None, _seed(path)), f"{path.stem}: run 'hb register --seeds'"
