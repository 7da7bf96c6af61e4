"""A still picture for the figure of turning axes, drawn from the figure's own data.

Other explorable figures come with a picture from their chapter. This one shows the same points
under the axes as trained and under turned ones, each with what the two units then say.
"""

import json
from math import cos, hypot, radians, sin

from bs4 import BeautifulSoup

INK = "fill:var(--pst-color-text-base)"
BLUE, RED, GREY = "var(--hb-u1)", "var(--hb-u2)", "var(--hb-line)"
ANGLES = (0, 40)  # degrees
REACH = 88  # of the largest entry, on a disc of radius 100


def turned(points, angle):
    """Coordinates of points with respect to axes turned by an angle."""
    c, s = cos(radians(angle)), sin(radians(angle))
    return [(c * x + s * y, c * y - s * x) for x, y in points]


def text(x, y, words, style=INK):
    return f'<text x="{x:.1f}" y="{y:.1f}" style="font:10px var(--hb-sans);{style}">{words}</text>'


def space(data, angle):
    """The points of both factors on a disc, and the two axes."""
    longest = max(abs(v) for point in data["A"] + data["B"] for v in point)
    parts = [f'<circle r="100" style="fill:none;stroke:{GREY};stroke-width:.7"/>']
    for unit, (ink, turn) in enumerate(((BLUE, angle), (RED, angle + 90)), start=1):
        x, y = cos(radians(turn)), -sin(radians(turn))
        dash = ";stroke-dasharray:7 4" if unit == 2 else ""
        parts.append(
            f'<path d="M{-97 * x:.1f} {-97 * y:.1f}L{97 * x:.1f} {97 * y:.1f}" '
            f'style="stroke:{ink};stroke-width:2{dash}"/>'
        )
        parts.append(text(104 * x - 10, 108 * y + 3, f"unit {unit}", f"fill:{ink}"))
    for key, filled in (("B", False), ("A", True)):
        look = INK if filled else f"fill:none;stroke:{GREY};stroke-width:1.6"
        for (x, y), name in zip(data[key], data[f"labels_{key}"]):
            x, y = REACH * x / longest, -REACH * y / longest
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" style="{look}"/>')
            parts.append(text(x + 6, y + 3, name))
    return "".join(parts)


def bars(data, angle):
    """What both units say of each item, below the disc."""
    points = turned(data["A"], angle)
    loudest = max(hypot(*point) for point in points)
    step, parts = 200 / len(points), []
    for unit, ink in enumerate((BLUE, RED)):
        zero = 160 + 66 * unit
        parts.append(f'<path d="M-100 {zero}H100" style="stroke:{GREY}"/>')
        for i, point in enumerate(points):
            height = 28 * point[unit] / loudest
            parts.append(
                f'<rect x="{-100 + (i + 0.2) * step:.1f}" y="{zero - max(height, 0):.1f}" '
                f'width="{0.6 * step:.1f}" height="{abs(height):.1f}" style="fill:{ink}"/>'
            )
    names = (text(-103 + (i + 0.5) * step, 270, n) for i, n in enumerate(data["labels_A"]))
    return "".join([*parts, *names])


def draw(soup):
    """Put the picture before the words that stand in for a figure of turning axes."""
    for figure in soup.select('hb-fig[kind="rotation-2d"]'):
        still, script = figure.select_one(".hb-fig-still"), figure.select_one("script")
        data = json.loads(script.string)
        if still.select_one("img, svg") or "labels_A" not in data or "labels_B" not in data:
            continue
        drawn = "".join(
            f'<g transform="translate({k * 270} 0)">{text(-100, -118, f"Axes turned by {angle}°")}'
            f"{space(data, angle)}{bars(data, angle)}</g>"
            for k, angle in enumerate(ANGLES)
        )
        label = "Points under two axes, and bars of both units, at two angles of the axes"
        svg = (
            f'<svg viewBox="-125 -135 520 420" role="img" aria-label="{label}" '
            f'style="width:100%;max-width:34rem;height:auto;display:block">{drawn}</svg>'
        )
        still.insert(0, BeautifulSoup(svg, "html.parser"))
