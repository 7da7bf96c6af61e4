"""Scenes as pictures: where each thing goes, and painting many pictures at once.

`hblib.scenes` says what is to be seen; this module puts sprites of it in their places.
"""

import numpy as np

from hblib.worlds._sprites import PLACES, THINGS, sprite

SIZE = 64  # pixels to a side
# Heights in pixels when alone in the picture.
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
# Where the lower end of a rider is above the ground, as a share of the height of the mount.
_SEATS = {"horse": 0.36, "bicycle": 0.25, "skateboard": 0.75, "snowboard": 0.5, "surfboard": 0.6}
_HELD = {"umbrella": 22, "cake": 12, "knife": 13, "kite": 15, "ball": 11, "cat": 13, "dog": 12}
_GRID = {1: (1, 1), 2: (1, 2), 3: (1, 3), 4: (2, 2), 5: (2, 3), 6: (2, 3)}


def render(facts, rng):
    """Paint pictures; positions and light vary at random.

    Parameters
    ----------
    facts : sequence of hblib.scenes.Facts
        One a picture.
    rng : numpy.random.Generator or int

    Returns
    -------
    numpy.ndarray of uint8, shape (n_pictures, 64, 64, 3)

    Examples
    --------
    >>> from hblib.worlds._scenes import Facts
    >>> render([Facts("cat", "kitchen")], rng=0).shape
    (1, 64, 64, 3)
    """
    if len(facts) == 0:
        raise ValueError("facts must describe at least one picture, got none")
    rng = np.random.default_rng(rng)
    images = np.empty((len(facts), SIZE, SIZE, 3), np.uint8)
    for start in range(0, len(facts), 500):  # more at a time would not fit the processor's cache
        some = slice(start, start + 500)
        images[some] = _paint(facts[some], rng)
    return images


def _paint(facts, rng):
    backdrops = np.array([list(PLACES).index(f.place) for f in facts])
    canvas = np.stack([sprite(place, SIZE)[..., :3] for place in PLACES])[backdrops]
    mirrored = rng.random(len(facts)) < 0.5
    canvas[mirrored] = canvas[mirrored][:, :, ::-1]
    # One bag for each step of painting and each sprite: all pictures that need it are painted at
    # once.
    bags = {}
    for i, (f, jitter) in enumerate(zip(facts, rng.random((len(facts), 16)))):
        for step, (name, height, colour, stone, flip, left, bottom) in enumerate(_plan(f, jitter)):
            bags.setdefault((step, name, height, colour, stone, flip), []).append(
                (i, round(left), round(bottom))
            )
    for step_and_sprite in sorted(bags, key=lambda bag: bag[0]):
        _, name, height, colour, stone, flip = step_and_sprite
        picture = sprite(name, height, colour, stone)
        _paste(canvas, picture[:, ::-1] if flip else picture, np.array(bags[step_and_sprite]))
    grey = np.array([f.black_and_white for f in facts])
    canvas[grey] = (canvas[grey] @ np.float32([0.3, 0.59, 0.11]))[..., None]
    light = rng.uniform(0.88, 1.06, (len(facts), 1, 1, 1)).astype(np.float32)
    return np.clip(255 * canvas * light, 0, 255).astype(np.uint8)


def _paste(canvas, picture, where):
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


def _plan(facts, jitter):
    """Yield (name, height, colour, stone, flip, left, bottom) in the order of painting."""
    flip = jitter[0] < 0.5
    rows, columns = _GRID[facts.count]
    unit = list(_unit(facts))
    width = max(left + w for *_, left, _, w in unit)
    tall = max(bottom + h for _, h, *_, bottom, _ in unit)
    scale = {"small": 0.65, "large": 1.4, None: 1.0}[facts.size]
    scale *= min(1.0, 1.1 * SIZE / columns / width, (42 if rows == 2 else 56) / tall)
    scale *= (0.8 if rows == 2 else 0.95 if columns > 1 else 1.0) * (0.94, 1.0, 1.06)[
        int(3 * jitter[1])
    ]
    floor = 46 if facts.place == "sky" else 61
    for n in range(facts.count):
        row, column = divmod(n, columns)
        in_row = min(columns, facts.count - row * columns)
        centre = SIZE * (column + 0.5 + (columns - in_row) / 2) / columns + 3 * jitter[2 + n] - 1.5
        if rows == 1 and columns == 1:
            centre += 4 * jitter[2] - 2
        bottom = floor - (rows - 1 - row) * 24 - 3 * jitter[8]
        for name, height, colour, left, up, w in unit:
            left = width - left - w if flip else left
            # Even heights: half as many sprites to draw.
            yield (
                name,
                max(4, 2 * round(scale * height / 2)),
                colour,
                facts.statue,
                flip,
                centre + scale * (left - width / 2),
                bottom - scale * up,
            )
        if facts.relation == "next to" and facts.count > 1 and n == facts.count - 1:
            yield _beside(facts, flip, jitter)
    if facts.extra:
        height = round(11 + 3 * jitter[9])
        wide = height * THINGS[facts.extra][0]
        left = jitter[10] * 6 - 1
        bottom = 62 if facts.place != "sky" else 62 - 4 * jitter[11]
        if facts.extra in ("bird", "kite", "airplane"):
            bottom = 18 + 6 * jitter[11]
        if jitter[12] < 0.5:
            left = SIZE - left - wide
        small = {"skateboard": 0.45, "keyboard": 0.7}.get(facts.extra, 1.0)
        yield facts.extra, round(small * height), facts.extra_colour, False, False, left, bottom


def _unit(facts):
    """Yield (name, height, colour, left, up, width) of a subject with what it rides or holds."""
    height, colour = _HEIGHTS[facts.subject], facts.colour
    width = height * THINGS[facts.subject][0]
    other = facts.other
    other_colour = facts.other_colour or ("red" if other else None)
    up = _HEIGHTS["pedestal"] - 1 if facts.statue else 0
    if facts.relation == "riding":
        mount = _HEIGHTS[other]
        wide = mount * THINGS[other][0]
        if other in ("horse", "bicycle"):
            height, width = 0.78 * height, 0.78 * width
        middle = max(wide, width) / 2
        rider = (
            facts.subject,
            height,
            colour,
            middle - width / 2 - (1 if other == "horse" else 0),
            up + _SEATS[other] * mount,
            width,
        )
        # A mount hides the legs of its rider, a board does not.
        order = [rider, (other, mount, other_colour, middle - wide / 2, up, wide)]
        yield from order if other in ("horse", "bicycle") else reversed(order)
        width = 2 * middle
    elif facts.relation == "holding":
        held = _HELD[other]
        wide = held * THINGS[other][0]
        yield facts.subject, height, colour, 0, 0, width
        hand = 0.42 * height
        lift = {"umbrella": hand - 2, "kite": 0.75 * height}.get(other, hand - held / 3)
        left = {"umbrella": width - wide / 2, "kite": width + 2}.get(other, width - wide / 3)
        yield other, held, other_colour, left, lift, wide
    else:
        yield facts.subject, height, colour, 0, up, width
        if facts.relation == "next to" and facts.count == 1:
            beside = 0.9 * _HEIGHTS[other]
            yield other, beside, other_colour, width + 2, 0, beside * THINGS[other][0]
    if facts.statue:
        base = _HEIGHTS["pedestal"]
        yield "pedestal", base, None, width / 2 - base, 0, 2 * base


def _beside(facts, flip, jitter):
    """The one thing that several subjects are next to: in front, at one side."""
    height = round(0.62 * _HEIGHTS[facts.other])
    wide = height * THINGS[facts.other][0]
    left = 2 + 4 * jitter[13]
    return (
        facts.other,
        height,
        facts.other_colour or "red",
        False,
        flip,
        left if flip else SIZE - wide - left,
        63,
    )
