"""What there is, by name."""

import importlib.resources

import numpy as np
import pytest

from hblib import worlds
from hblib.worlds import _catalogue, _load


@pytest.mark.parametrize("name", worlds.SOURCES)
def test_every_world_says_where_it_comes_from(name):
    entry = worlds.describe(name)
    assert all(entry[key] for key in ("title", "size", "source", "licence"))
    assert worlds.catalogue()[name].startswith(entry["title"])
    entry["title"] = "changed"
    assert worlds.describe(name)["title"] != "changed"


def test_every_world_comes_by_its_name():
    assert set(_load._LOADERS) == set(worlds.SOURCES)
    assert set(worlds.FACE_SOURCES) - {"generated"} < set(worlds.SOURCES)
    np.testing.assert_array_equal(worlds.load("digits", scale=False).X, 16 * worlds.digits().X)
    drawn = worlds.load("faces", n=3, rng=1, size=24).images
    np.testing.assert_array_equal(drawn, worlds.draw_faces(3, rng=1, size=24).images)
    assert len(worlds.load("lfw_subset", n=5).images) == 5
    assert worlds.load("scenes", n=2, rng=0).captions == worlds.draw_scenes(2, rng=0).captions


@pytest.mark.parametrize("name", [n for n, entry in worlds.SOURCES.items() if "file" in entry])
def test_installed_files_are_the_registered_ones(name):
    entry = worlds.SOURCES[name]
    assert worlds.checksum(name) == entry["sha256"]
    assert _catalogue._installed_file(name).samefile(
        importlib.resources.files(entry["package"]) / entry["file"]
    )


def test_unknown_names():
    for function in (worlds.describe, worlds.load):
        with pytest.raises(ValueError, match="name must be one of 'digits', .*, got 'mnist'"):
            function("mnist")
    with pytest.raises(ValueError, match="read from a file, got 'matrices'"):
        worlds.checksum("matrices")
