"""Scenes as pictures: where each thing goes, and painting many pictures at once.

`_scenes` says what is to be seen; this module puts sprites of it in their places.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hblib._checks import Randomness, generator
from hblib.worlds._sprites import PLACES, THINGS, sprite

if TYPE_CHECKING:
    from hblib.worlds._scenes import Facts

SIZE = 64  # pixels, of both sides of a picture
# In pixels, of a thing that is alone in the picture.
_HEIGHTS = {
    "man": 36,
    "woman": 35,
    "child": 25,
    "cat": 22,
    "dog": 20,
    "horse": 29,
    "bird": 15,
    "airplane": 18,
    "car": 18,
    "bicycle": 19,
    "skateboard": 6,
    "snowboard": 5,
    "surfboard": 7,
    "umbrella": 22,
    "cake": 16,
    "knife": 20,
    "kite": 18,
    "ball": 13,
    "keyboard": 15,
    "pedestal": 10,
}
_MOUNTS = ("horse", "bicycle")  # one sits on these and stands on the other things one can ride
# Where the lower end of a rider is above the ground, as a share of the height of the mount.
_SEATS = {"horse": 0.36, "bicycle": 0.25, "skateboard": 0.75, "snowboard": 0.5, "surfboard": 0.6}
# In pixels, of a thing in somebody's hands.
_HELD = {"umbrella": 22, "cake": 12, "knife": 13, "kite": 15, "ball": 11, "cat": 13, "dog": 12}


class _Grid(NamedTuple):
    rows: int
    columns: int


# By the number of subjects.
_GRIDS = {1: _Grid(1, 1), 2: _Grid(1, 2), 3: _Grid(1, 3), 4: _Grid(2, 2), 5: _Grid(2, 3),
          6: _Grid(2, 3)}  # fmt: skip


def render_scenes(facts: Sequence[Facts], rng: Randomness) -> np.ndarray:
    """Paint pictures of given facts; positions and light vary at random.

    Parameters
    ----------
    facts : sequence of Facts
        One for each picture.
    rng : int, numpy.random.Generator or None
        Source of randomness.

    Returns
    -------
    numpy.ndarray of uint8, shape (n_pictures, 64, 64, 3)
        Red, green and blue.

    Raises
    ------
    ValueError
        If there are no facts.

    Examples
    --------
    >>> from hblib.worlds import Facts
    >>> render_scenes([Facts("cat", "kitchen")], rng=0).shape
    (1, 64, 64, 3)
    """
    if len(facts) == 0:
        raise ValueError("facts must describe at least one picture, got none")
    rng = generator(rng)
    images = np.empty((len(facts), SIZE, SIZE, 3), np.uint8)
    for start in range(0, len(facts), 500):  # more at a time would not fit the processor's cache
        rows = slice(start, start + 500)
        images[rows] = _paint(facts[rows], rng)
    return images


class _Sprite(NamedTuple):
    """What is painted, see `sprite`, and whether it is mirrored."""

    name: str
    height: int
    colour: str | None
    stone: bool = False
    flip: bool = False

    def picture(self) -> np.ndarray:
        picture = sprite(self.name, self.height, self.colour, self.stone)
        return picture[:, ::-1] if self.flip else picture


def _paint(facts: Sequence[Facts], rng: np.random.Generator) -> np.ndarray:
    backdrops = np.array([list(PLACES).index(f.place) for f in facts])
    canvas = np.stack([sprite(place, SIZE)[..., :3] for place in PLACES])[backdrops]
    mirrored = rng.random(len(facts)) < 0.5
    canvas[mirrored] = canvas[mirrored][:, :, ::-1]
    # By step of painting and sprite, since all pictures that need one are painted at once.
    places = {}
    for i, (f, row) in enumerate(zip(facts, rng.random((len(facts), _N_JITTER)))):
        for step, (painted, left, bottom) in enumerate(_plan(f, _Jitter.from_row(row))):
            places.setdefault((step, painted), []).append((i, round(left), round(bottom)))
    for step, painted in sorted(places, key=lambda key: key[0]):
        _paste(canvas, painted.picture(), np.array(places[step, painted]))
    grey = np.array([f.black_and_white for f in facts])
    canvas[grey] = (canvas[grey] @ np.float32([0.3, 0.59, 0.11]))[..., None]
    light = rng.uniform(0.88, 1.06, (len(facts), 1, 1, 1)).astype(np.float32)
    return np.clip(255 * canvas * light, 0, 255).astype(np.uint8)


def _paste(canvas: np.ndarray, picture: np.ndarray, where: np.ndarray) -> None:
    """Blend one sprite into many pictures: `where` has rows (picture, left, bottom)."""
    height, width = picture.shape[:2]
    pictures, left, bottom = where.T
    y = (bottom - height)[:, None] + np.arange(height)
    x = left[:, None] + np.arange(width)
    inside = ((y >= 0) & (y < SIZE))[:, :, None] & ((x >= 0) & (x < SIZE))[:, None, :]
    at = (
        pictures[:, None, None],
        np.clip(y, 0, SIZE - 1)[:, :, None],
        np.clip(x, 0, SIZE - 1)[:, None, :],
    )
    opacity = (picture[..., 3] * inside)[..., None]
    # What falls outside lands on the edge with opacity 0, and must not win over what is painted
    # there: blend only inside.
    blended = canvas[at] * (1 - opacity) + picture[..., :3] * opacity
    pictures, y, x = (np.broadcast_to(a, inside.shape)[inside] for a in at)
    canvas[pictures, y, x] = blended[inside]


class _Jitter(NamedTuple):
    """What varies from picture to picture, numbers in [0, 1)."""

    flip: float
    scale: float
    shift: np.ndarray  # of each subject, (6,)
    bottom: float
    extra_height: float
    extra_left: float
    extra_bottom: float
    extra_side: float
    companion_left: float

    @classmethod
    def from_row(cls, row: np.ndarray) -> _Jitter:
        """Name the numbers drawn for one picture."""
        return cls(row[0], row[1], row[2:8], *row[8:14])


_N_JITTER = 16  # drawn for each picture; the last two are spare


class _Part(NamedTuple):
    """A subject, or what it rides or holds, before scaling: pixels from the left end and up."""

    name: str
    height: float
    colour: str | None
    left: float
    up: float
    width: float


class _Placement(NamedTuple):
    """A sprite in its place, in pixels from the left and the top edge of the picture."""

    sprite: _Sprite
    left: float
    bottom: float


# Where the subjects stand, in pixels from the top.
_GROUND, _GROUND_IN_THE_SKY, _ROW_SPACING = 61, 46, 24
_TALLEST = {1: 56, 2: 42}  # a subject with what it rides or holds, by the number of rows
_SIZES = {"small": 0.65, "large": 1.4, None: 1.0}
_SCALES = (0.94, 1.0, 1.06)  # at random, in steps: few sprites to draw


def _scale(facts: Facts, parts: list[_Part], grid: _Grid, jitter: _Jitter) -> float:
    """Return how much larger than by default the subjects are painted."""
    width = max(part.left + part.width for part in parts)
    tall = max(part.up + part.height for part in parts)
    scale = _SIZES[facts.size]
    scale *= min(1.0, 1.1 * SIZE / grid.columns / width, _TALLEST[grid.rows] / tall)
    crowded = 0.8 if grid.rows == 2 else 0.95 if grid.columns > 1 else 1.0
    return scale * (crowded * _SCALES[int(3 * jitter.scale)])


def _plan(facts: Facts, jitter: _Jitter) -> Iterator[_Placement]:
    """Yield what is painted, from back to front."""
    flip = jitter.flip < 0.5
    grid = _GRIDS[facts.count]
    parts = list(_parts(facts))
    width = max(part.left + part.width for part in parts)
    scale = _scale(facts, parts, grid, jitter)
    ground = _GROUND_IN_THE_SKY if facts.place == "sky" else _GROUND
    for n in range(facts.count):
        row, column = divmod(n, grid.columns)
        in_row = min(grid.columns, facts.count - row * grid.columns)
        column += 0.5 + (grid.columns - in_row) / 2
        centre = SIZE * column / grid.columns + 3 * jitter.shift[n] - 1.5
        if facts.count == 1:
            centre += 4 * jitter.shift[0] - 2
        bottom = ground - (grid.rows - 1 - row) * _ROW_SPACING - 3 * jitter.bottom
        for part in parts:
            left = width - part.left - part.width if flip else part.left
            height = max(4, 2 * round(scale * part.height / 2))  # even: half as many sprites
            yield _Placement(
                _Sprite(part.name, height, part.colour, facts.statue, flip),
                left=centre + scale * (left - width / 2),
                bottom=bottom - scale * part.up,
            )
    if facts.relation == "next to" and facts.count > 1:
        yield _companion(facts, flip, jitter)
    if facts.extra:
        yield _extra(facts, jitter)


def _parts(facts: Facts) -> Iterator[_Part]:
    """Yield one subject with what it rides or holds, from back to front."""
    subject = _subject(facts)
    if facts.relation == "riding":
        mount, rider = _mounted(facts, subject)
        # A mount hides the legs of its rider, a board does not.
        yield from (rider, mount) if facts.other in _MOUNTS else (mount, rider)
        width = max(mount.width, rider.width)
    else:
        yield subject
        width = subject.width
        if facts.relation == "holding":
            yield _held(facts, subject)
        elif facts.relation == "next to" and facts.count == 1:
            height = 0.9 * _HEIGHTS[facts.other]
            yield _other(facts, height, left=width + 2, up=0)
    if facts.statue:
        height = _HEIGHTS["pedestal"]
        yield _Part("pedestal", height, None, width / 2 - height, 0, 2 * height)


def _subject(facts: Facts) -> _Part:
    height = _HEIGHTS[facts.subject]
    width = height * THINGS[facts.subject].width
    # The feet of a statue are a pixel below the top of its pedestal.
    up = _HEIGHTS["pedestal"] - 1 if facts.statue and facts.relation != "holding" else 0
    return _Part(facts.subject, height, facts.colour, 0, up, width)


def _other(facts: Facts, height: float, left: float, up: float) -> _Part:
    width = height * THINGS[facts.other].width
    return _Part(facts.other, height, facts.other_colour or "red", left, up, width)


def _mounted(facts: Facts, rider: _Part) -> tuple[_Part, _Part]:
    """Return mount and rider, the rider in its seat."""
    mount = _other(facts, _HEIGHTS[facts.other], left=0, up=rider.up)
    if facts.other in _MOUNTS:  # the rider sits
        rider = rider._replace(height=0.78 * rider.height, width=0.78 * rider.width)
    middle = max(mount.width, rider.width) / 2
    back = 1 if facts.other == "horse" else 0
    return mount._replace(left=middle - mount.width / 2), rider._replace(
        left=middle - rider.width / 2 - back, up=mount.up + _SEATS[facts.other] * mount.height
    )


def _held(facts: Facts, holder: _Part) -> _Part:
    """Return what the subject holds, in its hand: an umbrella and a kite by their lower end."""
    hand = 0.42 * holder.height
    held = _other(facts, _HELD[facts.other], left=0, up=0)
    if facts.other == "umbrella":
        return held._replace(left=holder.width - held.width / 2, up=hand - 2)
    if facts.other == "kite":
        return held._replace(left=holder.width + 2, up=0.75 * holder.height)
    return held._replace(left=holder.width - held.width / 3, up=hand - held.height / 3)


def _companion(facts: Facts, flip: bool, jitter: _Jitter) -> _Placement:
    """Return the one thing that several subjects are next to: in front, at one side."""
    height = round(0.62 * _HEIGHTS[facts.other])
    width = height * THINGS[facts.other].width
    left = 2 + 4 * jitter.companion_left
    left = left if flip else SIZE - width - left
    thing = _Sprite(facts.other, height, facts.other_colour or "red", flip=flip)
    return _Placement(thing, left, bottom=63)


_FLYING = ("bird", "kite", "airplane")  # extras that are painted in the sky
_FLAT = {"skateboard": 0.45, "keyboard": 0.7}  # extras that are painted less tall than others


def _extra(facts: Facts, jitter: _Jitter) -> _Placement:
    """Return the extra thing, in a corner."""
    height = round(11 + 3 * jitter.extra_height)
    width = height * THINGS[facts.extra].width
    left = jitter.extra_left * 6 - 1
    if facts.extra in _FLYING:
        bottom = 18 + 6 * jitter.extra_bottom
    else:
        bottom = 62 if facts.place != "sky" else 62 - 4 * jitter.extra_bottom
    if jitter.extra_side < 0.5:
        left = SIZE - left - width
    height = round(_FLAT.get(facts.extra, 1.0) * height)
    return _Placement(_Sprite(facts.extra, height, facts.extra_colour), left, bottom)
