"""Small drawings of things and places, from ellipses, polygons and strokes.

A drawing is a list of shapes in a box of height 1, x to the right and y down, painted in their
order. `sprite` turns it into an antialiased picture of any height and main colour. The scenes are
put together from these pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from hblib._checks import choice, whole

COLOURS = {
    "red": (0.84, 0.13, 0.14),
    "blue": (0.12, 0.33, 0.80),
    "green": (0.10, 0.55, 0.22),
    "yellow": (0.97, 0.80, 0.12),
    "white": (0.96, 0.96, 0.94),
    "black": (0.13, 0.13, 0.15),
    "brown": (0.50, 0.29, 0.13),
}
STONE = (0.72, 0.74, 0.72)
_SKIN, _HAIR, _NAVY, _STEEL = (
    (0.93, 0.74, 0.60),
    (0.25, 0.16, 0.10),
    (0.16, 0.19, 0.30),
    (0.75,) * 3,
)
_WHITE, _DARK, _ORANGE = (0.97,) * 3, (0.12,) * 3, (0.95, 0.55, 0.10)
_SUPERSAMPLING = 4

_Point = tuple[float, float]
_Paint = str | Sequence[float]  # "main", the colour asked for; "dark", a darker shade of it; or RGB


class _Ellipse(NamedTuple):
    """An ellipse with its axes along those of the picture."""

    x: float
    y: float
    rx: float
    ry: float
    paint: _Paint = "main"

    def mask(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether each pixel, with its centre at (x, y), is inside."""
        return ((x - self.x) / self.rx) ** 2 + ((y - self.y) / self.ry) ** 2 <= 1


class _Polygon(NamedTuple):
    """A filled polygon."""

    points: Sequence[_Point]
    paint: _Paint = "main"

    def mask(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether each pixel, with its centre at (x, y), is inside."""
        from skimage.draw import polygon2mask

        return polygon2mask(x.shape, np.asarray(self.points)[:, ::-1] * x.shape[0])


class _Stroke(NamedTuple):
    """A broken line of a pen with a round tip."""

    points: Sequence[_Point]
    width: float
    paint: _Paint = "main"

    def mask(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return whether each pixel, with its centre at (x, y), is under the pen."""
        near = np.zeros(x.shape, bool)
        for (ax, ay), (bx, by) in zip(self.points[:-1], self.points[1:]):
            dx, dy = bx - ax, by - ay
            t = np.clip(((x - ax) * dx + (y - ay) * dy) / max(dx * dx + dy * dy, 1e-9), 0, 1)
            near |= (x - ax - t * dx) ** 2 + (y - ay - t * dy) ** 2 <= (self.width / 2) ** 2
        return near


_Shape = _Ellipse | _Polygon | _Stroke


class Drawing(NamedTuple):
    """Shapes in a box of height 1, in the order of painting."""

    width: float
    shapes: Sequence[_Shape]


def _polygon(*points: _Point, colour: _Paint = "main") -> _Polygon:
    return _Polygon(points, colour)


def _stroke(*points: _Point, width: float, colour: _Paint = "main") -> _Stroke:
    return _Stroke(points, width, colour)


def _box(
    left: float, top: float, right: float, bottom: float, colour: _Paint = "main"
) -> _Polygon:
    return _polygon((left, top), (right, top), (right, bottom), (left, bottom), colour=colour)


def _ring(x: float, y: float, radius: float, width: float, colour: _Paint) -> _Stroke:
    turn = np.linspace(0, 2 * np.pi, 17)
    points = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
    return _stroke(*points, width=width, colour=colour)


THINGS = {
    "man": Drawing(
        0.5,
        [
            _stroke((0.19, 0.60), (0.17, 0.97), width=0.10, colour=_NAVY),
            _stroke((0.31, 0.60), (0.33, 0.97), width=0.10, colour=_NAVY),
            _stroke((0.12, 0.31), (0.05, 0.56), width=0.08),
            _stroke((0.38, 0.31), (0.45, 0.56), width=0.08),
            _Ellipse(0.04, 0.59, 0.04, 0.04, _SKIN),
            _Ellipse(0.46, 0.59, 0.04, 0.04, _SKIN),
            _polygon((0.10, 0.26), (0.40, 0.26), (0.37, 0.64), (0.13, 0.64)),
            _Ellipse(0.25, 0.13, 0.10, 0.12, _SKIN),
            _Ellipse(0.25, 0.055, 0.105, 0.06, _HAIR),
        ],
    ),
    "woman": Drawing(
        0.5,
        [
            _stroke((0.20, 0.70), (0.20, 0.97), width=0.07, colour=_SKIN),
            _stroke((0.30, 0.70), (0.30, 0.97), width=0.07, colour=_SKIN),
            _Ellipse(0.25, 0.17, 0.16, 0.18, _HAIR),
            _stroke((0.19, 0.32), (0.06, 0.54), width=0.06, colour=_SKIN),
            _stroke((0.31, 0.32), (0.44, 0.54), width=0.06, colour=_SKIN),
            _polygon(
                (0.16, 0.27), (0.34, 0.27), (0.30, 0.42), (0.47, 0.78), (0.03, 0.78), (0.20, 0.42)
            ),
            _Ellipse(0.25, 0.15, 0.09, 0.11, _SKIN),
        ],
    ),
    "child": Drawing(
        0.62,
        [
            _stroke((0.24, 0.72), (0.22, 0.96), width=0.13, colour=_NAVY),
            _stroke((0.38, 0.72), (0.40, 0.96), width=0.13, colour=_NAVY),
            _stroke((0.18, 0.48), (0.05, 0.62), width=0.10),
            _stroke((0.44, 0.48), (0.57, 0.62), width=0.10),
            _box(0.16, 0.42, 0.46, 0.76),
            _Ellipse(0.31, 0.23, 0.19, 0.20, _SKIN),
            _Ellipse(0.31, 0.09, 0.18, 0.09, "dark"),
            _stroke((0.31, 0.14), (0.56, 0.15), width=0.06, colour="dark"),
        ],
    ),
    "cat": Drawing(
        0.85,
        [
            _stroke((0.62, 0.90), (0.80, 0.80), (0.78, 0.55), width=0.08),
            _Ellipse(0.42, 0.72, 0.25, 0.27),
            _polygon((0.20, 0.04), (0.40, 0.18), (0.22, 0.34)),
            _polygon((0.64, 0.04), (0.44, 0.18), (0.62, 0.34)),
            _Ellipse(0.42, 0.34, 0.23, 0.19),
            _Ellipse(0.33, 0.32, 0.045, 0.055, (0.75, 0.9, 0.2)),
            _Ellipse(0.51, 0.32, 0.045, 0.055, (0.75, 0.9, 0.2)),
            _Ellipse(0.42, 0.42, 0.04, 0.03, (0.95, 0.5, 0.5)),
            _stroke((0.34, 0.80), (0.34, 0.97), width=0.05, colour="dark"),
            _stroke((0.50, 0.80), (0.50, 0.97), width=0.05, colour="dark"),
        ],
    ),
    "dog": Drawing(
        1.25,
        [
            _stroke((0.16, 0.45), (0.05, 0.22), width=0.08),
            *[_stroke((x, 0.60), (x, 0.95), width=0.10) for x in (0.24, 0.38, 0.72, 0.86)],
            _Ellipse(0.54, 0.52, 0.42, 0.18),
            _polygon((0.74, 0.50), (0.80, 0.20), (1.02, 0.26), (0.98, 0.56)),
            _Ellipse(0.98, 0.28, 0.15, 0.16),
            _Ellipse(1.14, 0.33, 0.11, 0.08),
            _Ellipse(0.86, 0.34, 0.07, 0.17, "dark"),
            _Ellipse(1.22, 0.31, 0.035, 0.04, _DARK),
            _Ellipse(1.03, 0.24, 0.03, 0.03, _DARK),
        ],
    ),
    "horse": Drawing(
        1.25,
        [
            _stroke((0.18, 0.42), (0.06, 0.52), (0.06, 0.74), width=0.08, colour="dark"),
            *[_stroke((x, 0.55), (x, 0.96), width=0.07) for x in (0.24, 0.36, 0.72, 0.83)],
            _Ellipse(0.53, 0.48, 0.36, 0.15),
            _polygon((0.66, 0.46), (0.92, 0.08), (1.04, 0.16), (0.90, 0.55)),
            _polygon((0.92, 0.06), (1.05, 0.08), (1.22, 0.27), (1.15, 0.35), (0.95, 0.26)),
            _polygon((0.94, 0.08), (0.95, 0.00), (1.00, 0.08)),
            _stroke((0.92, 0.06), (0.70, 0.38), width=0.08, colour="dark"),
        ],
    ),
    "bird": Drawing(
        1.3,
        [
            _polygon((0.25, 0.60), (0.0, 0.50), (0.0, 0.80), (0.30, 0.75), colour="dark"),
            _stroke((0.55, 0.8), (0.55, 1.0), width=0.05, colour=_ORANGE),
            _stroke((0.70, 0.8), (0.70, 1.0), width=0.05, colour=_ORANGE),
            _Ellipse(0.58, 0.63, 0.36, 0.25),
            _Ellipse(0.92, 0.38, 0.19, 0.20),
            _polygon((1.06, 0.30), (1.30, 0.42), (1.06, 0.48), colour=_ORANGE),
            _polygon((0.30, 0.50), (0.75, 0.56), (0.25, 0.98), colour="dark"),
            _Ellipse(0.97, 0.34, 0.04, 0.04, _DARK),
        ],
    ),
    "airplane": Drawing(
        2.2,
        [
            _polygon((0.10, 0.05), (0.35, 0.05), (0.60, 0.50), (0.25, 0.55)),
            _polygon((1.25, 0.45), (0.80, 0.02), (0.98, 0.02), (1.55, 0.42), colour="dark"),
            _Ellipse(1.15, 0.53, 1.02, 0.19),
            *[_Ellipse(x, 0.47, 0.05, 0.05, (0.25, 0.35, 0.5)) for x in (0.8, 1.05, 1.3, 1.55)],
            _polygon((1.85, 0.38), (2.05, 0.46), (1.80, 0.50), colour=(0.25, 0.35, 0.5)),
            _polygon((1.30, 0.60), (0.55, 0.99), (0.80, 0.99), (1.60, 0.64), colour="dark"),
        ],
    ),
    "car": Drawing(
        2.0,
        [
            _polygon((0.35, 0.42), (0.60, 0.06), (1.30, 0.06), (1.60, 0.42)),
            _polygon(
                (0.48, 0.42), (0.66, 0.15), (0.92, 0.15), (0.92, 0.42), colour=(0.75, 0.87, 0.95)
            ),
            _polygon(
                (1.0, 0.42), (1.0, 0.15), (1.25, 0.15), (1.46, 0.42), colour=(0.75, 0.87, 0.95)
            ),
            _polygon(
                (0.04, 0.46), (0.35, 0.38), (1.62, 0.38), (1.96, 0.50), (1.97, 0.78), (0.03, 0.78)
            ),
            *[_Ellipse(x, 0.78, 0.21, 0.21, _DARK) for x in (0.45, 1.53)],
            *[_Ellipse(x, 0.78, 0.09, 0.09, _STEEL) for x in (0.45, 1.53)],
            _Ellipse(1.91, 0.55, 0.05, 0.06, (1.0, 0.95, 0.6)),
        ],
    ),
    "bicycle": Drawing(
        1.7,
        [
            _ring(0.35, 0.65, 0.29, 0.06, _DARK),
            _ring(1.35, 0.65, 0.29, 0.06, _DARK),
            _stroke(
                (0.35, 0.65), (0.62, 0.28), (1.18, 0.28), (0.80, 0.65), (0.35, 0.65), width=0.08
            ),
            _stroke((0.80, 0.65), (0.58, 0.18), width=0.08),
            _stroke((1.35, 0.65), (1.15, 0.10), (1.32, 0.06), width=0.08),
            _stroke((0.46, 0.16), (0.70, 0.16), width=0.09, colour=_DARK),
        ],
    ),
    "skateboard": Drawing(
        4.0,
        [
            _stroke((0.30, 0.15), (0.65, 0.38), (3.35, 0.38), (3.70, 0.15), width=0.30),
            *[_Ellipse(x, 0.75, 0.27, 0.25, _DARK) for x in (1.0, 3.0)],
            *[_Ellipse(x, 0.75, 0.11, 0.10, _WHITE) for x in (1.0, 3.0)],
        ],
    ),
    "snowboard": Drawing(
        6.0,
        [
            _stroke((0.45, 0.30), (1.1, 0.62), (4.9, 0.62), (5.55, 0.30), width=0.60),
            _stroke((1.3, 0.60), (1.9, 0.60), width=0.25, colour=_WHITE),
            _stroke((4.1, 0.60), (4.7, 0.60), width=0.25, colour=_WHITE),
        ],
    ),
    "surfboard": Drawing(
        4.5,
        [
            _polygon(
                (0.05, 0.45), (0.8, 0.12), (3.2, 0.02), (4.45, 0.30), (3.2, 0.85), (0.8, 0.82)
            ),
            _stroke((0.4, 0.46), (4.0, 0.36), width=0.14, colour=_WHITE),
            _Ellipse(0.7, 0.95, 0.7, 0.14, _WHITE),
            _Ellipse(2.6, 0.98, 1.2, 0.14, _WHITE),
        ],
    ),
    "umbrella": Drawing(
        1.1,
        [
            _stroke((0.55, 0.10), (0.55, 0.90), (0.66, 0.95), width=0.06, colour=_HAIR),
            _polygon(
                *[
                    (0.55 + 0.53 * np.cos(t), 0.47 - 0.42 * np.sin(t))
                    for t in np.linspace(0, np.pi, 15)
                ]
            ),
            _polygon((0.55, 0.05), (0.37, 0.47), (0.73, 0.47), colour="dark"),
        ],
    ),
    "cake": Drawing(
        1.3,
        [
            _stroke((0.05, 0.95), (1.25, 0.95), width=0.08, colour=_STEEL),
            _box(0.12, 0.58, 1.18, 0.92),
            _box(0.30, 0.32, 1.0, 0.60),
            _box(0.12, 0.56, 1.18, 0.66, _WHITE),
            _box(0.30, 0.29, 1.0, 0.39, _WHITE),
            _stroke((0.65, 0.10), (0.65, 0.30), width=0.08, colour=(0.3, 0.6, 0.9)),
            _Ellipse(0.65, 0.07, 0.06, 0.08, (1.0, 0.75, 0.1)),
        ],
    ),
    "knife": Drawing(
        0.36,
        [
            _polygon(
                (0.10, 0.64),
                (0.10, 0.16),
                (0.20, 0.0),
                (0.30, 0.20),
                (0.30, 0.64),
                colour=(0.86, 0.89, 0.93),
            ),
            _stroke((0.28, 0.20), (0.28, 0.62), width=0.05, colour=(0.55, 0.58, 0.62)),
            _box(0.08, 0.62, 0.32, 0.99),
        ],
    ),
    "kite": Drawing(
        0.8,
        [
            _stroke(
                (0.40, 0.62), (0.50, 0.75), (0.34, 0.86), (0.46, 0.99), width=0.05, colour=_DARK
            ),
            _polygon((0.40, 0.0), (0.76, 0.26), (0.40, 0.66), (0.04, 0.26)),
            _polygon((0.40, 0.0), (0.76, 0.26), (0.40, 0.26), colour=_WHITE),
            _polygon((0.40, 0.26), (0.04, 0.26), (0.40, 0.66), colour="dark"),
        ],
    ),
    "ball": Drawing(
        1.0,
        [
            _Ellipse(0.5, 0.5, 0.48, 0.48),
            _Ellipse(0.5, 0.5, 0.16, 0.48, _WHITE),
            _Ellipse(0.5, 0.08, 0.14, 0.08, "dark"),
            _Ellipse(0.5, 0.92, 0.14, 0.08, "dark"),
        ],
    ),
    "keyboard": Drawing(
        2.4,
        [
            _polygon((0.25, 0.10), (2.15, 0.10), (2.38, 0.95), (0.02, 0.95)),
            *[
                _stroke(
                    (0.36 - 0.06 * row + 0.27 * key, 0.27 + 0.23 * row),
                    (0.46 - 0.06 * row + 0.27 * key, 0.27 + 0.23 * row),
                    width=0.13,
                    colour=_STEEL,
                )
                for row in range(3)
                for key in range(7)
            ],
        ],
    ),
    "pedestal": Drawing(
        2.0,
        [_box(0.1, 0.0, 1.9, 0.3), _box(0.25, 0.3, 1.75, 0.8, "dark"), _box(0.0, 0.8, 2.0, 1.0)],
    ),
}

_SKY, _GRASS, _SAND = (0.62, 0.80, 0.95), (0.47, 0.72, 0.33), (0.93, 0.84, 0.62)
PLACES = {
    "kitchen": [
        _box(0, 0, 1, 1, (0.96, 0.91, 0.80)),
        _box(0.0, 0.0, 0.30, 0.24, (0.72, 0.50, 0.30)),
        _box(0.70, 0.0, 1, 0.24, (0.72, 0.50, 0.30)),
        _stroke((0.15, 0.02), (0.15, 0.22), width=0.015, colour=_HAIR),
        _stroke((0.85, 0.02), (0.85, 0.22), width=0.015, colour=_HAIR),
        _box(0.38, 0.05, 0.62, 0.28, (0.70, 0.87, 0.97)),
        _stroke((0.5, 0.05), (0.5, 0.28), width=0.02, colour=_WHITE),
        _box(0, 0.50, 1, 0.56, (0.55, 0.57, 0.60)),
        _box(0, 0.56, 1, 0.84, (0.80, 0.60, 0.40)),
        *[_stroke((x, 0.58), (x, 0.83), width=0.015, colour=_HAIR) for x in (0.25, 0.5, 0.75)],
        _box(0, 0.84, 1, 1, (0.88, 0.84, 0.80)),
    ],
    "street": [
        _box(0, 0, 1, 1, (0.78, 0.85, 0.90)),
        _box(0.0, 0.18, 0.26, 0.62, (0.70, 0.42, 0.36)),
        _box(0.28, 0.06, 0.58, 0.62, (0.62, 0.60, 0.66)),
        _box(0.62, 0.24, 1, 0.62, (0.80, 0.68, 0.52)),
        *[
            _box(x, y, x + 0.06, y + 0.07, (0.93, 0.93, 0.75))
            for x in (0.05, 0.15, 0.33, 0.46, 0.68, 0.78, 0.88)
            for y in (0.28, 0.42)
        ],
        _box(0, 0.62, 1, 0.68, (0.76, 0.75, 0.73)),
        _box(0, 0.68, 1, 1, (0.42, 0.42, 0.44)),
        *[_box(x, 0.83, x + 0.14, 0.86, _WHITE) for x in (0.05, 0.35, 0.65)],
    ],
    "beach": [
        _box(0, 0, 1, 0.40, _SKY),
        _Ellipse(0.84, 0.14, 0.09, 0.09, (1.0, 0.88, 0.35)),
        _box(0, 0.38, 1, 0.68, (0.16, 0.52, 0.72)),
        _stroke((0.0, 0.47), (0.3, 0.46), width=0.015, colour=(0.6, 0.82, 0.92)),
        _stroke((0.5, 0.55), (0.9, 0.54), width=0.015, colour=(0.6, 0.82, 0.92)),
        _box(0, 0.66, 1, 1, _SAND),
        _stroke((0, 0.67), (1, 0.65), width=0.03, colour=_WHITE),
    ],
    "snow": [
        _box(0, 0, 1, 1, (0.66, 0.78, 0.92)),
        _polygon((-0.1, 0.62), (0.25, 0.12), (0.55, 0.62), colour=(0.52, 0.58, 0.70)),
        _polygon((0.155, 0.255), (0.25, 0.12), (0.33, 0.255), (0.25, 0.22), colour=_WHITE),
        _polygon((0.40, 0.62), (0.78, 0.22), (1.1, 0.62), colour=(0.60, 0.66, 0.77)),
        _polygon((0.69, 0.315), (0.78, 0.22), (0.85, 0.31), (0.78, 0.28), colour=_WHITE),
        _polygon((0, 0.60), (0.5, 0.54), (1, 0.60), (1, 1), (0, 1), colour=(0.96, 0.97, 1.0)),
        _polygon((0.06, 0.60), (0.11, 0.40), (0.16, 0.60), colour=(0.10, 0.35, 0.25)),
        _polygon((0.88, 0.60), (0.93, 0.42), (0.98, 0.60), colour=(0.10, 0.35, 0.25)),
    ],
    "field": [
        _box(0, 0, 1, 1, _SKY),
        _Ellipse(0.2, 0.66, 0.5, 0.22, (0.38, 0.62, 0.30)),
        _Ellipse(0.85, 0.68, 0.5, 0.20, (0.42, 0.66, 0.32)),
        _box(0, 0.58, 1, 1, _GRASS),
        _box(0.89, 0.42, 0.92, 0.60, (0.45, 0.30, 0.16)),
        _Ellipse(0.905, 0.34, 0.09, 0.13, (0.13, 0.45, 0.18)),
        *[
            _Ellipse(x, y, 0.012, 0.012, _WHITE)
            for x, y in ((0.08, 0.7), (0.3, 0.88), (0.55, 0.72), (0.75, 0.92), (0.93, 0.78))
        ],
    ],
    "office": [
        _box(0, 0, 1, 1, (0.72, 0.80, 0.80)),
        _box(0.06, 0.08, 0.34, 0.30, _WHITE),
        _stroke(
            (0.10, 0.24),
            (0.18, 0.16),
            (0.24, 0.20),
            (0.30, 0.12),
            width=0.02,
            colour=(0.8, 0.2, 0.2),
        ),
        _box(0.60, 0.26, 0.98, 0.29, _HAIR),
        *[
            _box(0.63 + 0.06 * i, 0.10 + 0.02 * (i % 3), 0.68 + 0.06 * i, 0.26, colour)
            for i, colour in enumerate(
                ((0.7, 0.3, 0.3), (0.3, 0.4, 0.6), (0.8, 0.7, 0.4), (0.3, 0.5, 0.4))
            )
        ],
        _box(0, 0.62, 1, 0.70, (0.66, 0.46, 0.27)),
        _box(0, 0.70, 1, 1, (0.52, 0.35, 0.20)),
    ],
    "sky": [
        _box(0, 0, 1, 1, (0.44, 0.68, 0.93)),
        *[
            _Ellipse(x, y, 0.13, 0.06, (0.93, 0.96, 0.99))
            for x, y in ((0.16, 0.16), (0.27, 0.13), (0.78, 0.84), (0.90, 0.81), (0.20, 0.92))
        ],
    ],
}


@cache
def sprite(
    name: str, height: int, colour: str | None = None, stone: bool = False
) -> np.ndarray:
    """Picture of a thing, or of a place on a square.

    Parameters
    ----------
    name : str
        A key of `THINGS` or `PLACES`.
    height : int
        In pixels; the width follows from the drawing.
    colour : str, optional
        A key of `COLOURS`: the main colour. Places have none.
    stone : bool
        Draw it as a statue: in shades of grey stone.

    Returns
    -------
    numpy.ndarray of float32, shape (height, width, 4)
        Red, green, blue and opacity, all in [0, 1]. It is read-only, since it is kept and shared.

    Examples
    --------
    >>> sprite("umbrella", 20, "red").shape
    (20, 22, 4)
    """
    choice("name", name, [*THINGS, *PLACES])
    if colour is not None:
        choice("colour", colour, COLOURS)
    height = whole("height", height)
    drawing = THINGS[name] if name in THINGS else Drawing(1.0, PLACES[name])
    size = _SUPERSAMPLING * height, _SUPERSAMPLING * max(1, round(height * drawing.width))
    y, x = ((np.indices(size) + 0.5) / size[0]).astype(np.float32)
    picture = np.zeros((*size, 4), np.float32)
    for shape in drawing.shapes:
        picture[shape.mask(x, y)] = (*_rgb(shape.paint, colour, stone), 1.0)
    # Each pixel is the mean of a block; colours count only where something is painted.
    blocks = picture.reshape(height, _SUPERSAMPLING, -1, _SUPERSAMPLING, 4).mean(axis=(1, 3))
    blocks[..., :3] /= np.maximum(blocks[..., 3:], 1e-6)
    blocks.setflags(write=False)
    return blocks


def _rgb(paint: _Paint, colour: str | None, stone: bool) -> Sequence[float]:
    if isinstance(paint, str):
        shade = 1.0 if paint == "main" else 0.68
        rgb = shade * np.asarray(STONE if stone else COLOURS[colour])
        # A darker black could not be told from black.
        return rgb + 0.18 if paint == "dark" and colour == "black" and not stone else rgb
    if stone:
        return np.asarray(STONE) * (0.6 + 0.5 * np.mean(paint))
    return paint
