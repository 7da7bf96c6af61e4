"""How a face is painted: masks with soft edges, one over the other, lit by one lamp.

All pictures of a batch are painted at once. A head is a rounded body with a circle for every
horizontal cross-section; turning it moves every point of its surface along its circle. Each pixel
is therefore traced back to the surface: to its longitude, counted from the nose, and its height.
Eyes, mouth and hairline are drawn there, so that they turn with the head. How bright a pixel is
follows from the angle between light and surface.

The picture spans -1 .. 1 from left to right and from top to bottom. Factors have the shape
(n, 1, 1), masks and other planes (n, height, width), colours (n, 3) or, where every pixel has its
own, (n, 3, height, width).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

CHUNK_PIXELS = 160_000  # planes fit the cache, and are long enough for threads to run in parallel


def paint_faces(
    factors: dict[str, np.ndarray], size: int
) -> Iterator[tuple[slice, np.ndarray]]:
    """Paint faces, a batch at a time.

    Parameters
    ----------
    factors : dict of numpy.ndarray of float32, shape (n,)
        A column for every name of `hblib.worlds.FACE_FACTORS`.
    size : int
        Height and width, pixels.

    Yields
    ------
    rows : slice
        Which faces.
    images : numpy.ndarray of float32, shape (n_rows, size, size, 3)
        Red, green and blue in [0, 1].
    """
    n = len(factors["pose"])
    step = max(1, CHUNK_PIXELS // size**2)
    axis = ((np.arange(size) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = axis[None, None, :], axis[None, :, None]
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        f = SimpleNamespace(**{name: c[rows, None, None] for name, c in factors.items()})
        pixel = 2 / size
        head, light = _trace(f, x, y, pixel), _light(f)
        head.hair = _hair(f, head, light)
        scene = SimpleNamespace(f=f, palette=_palette(f), light=light, head=head, x=x, y=y)
        picture = _background(scene)
        for layer in _LAYERS:
            band = slice(math.floor((layer.top + 1) / pixel), math.ceil((layer.bottom + 1) / pixel))
            faces = np.flatnonzero(layer.present(f)) if layer.present else range(len(picture))
            if len(faces) == len(picture):
                layer.paint(picture[:, :, band], _part(scene, None, band))
            elif len(faces):
                painted = picture[faces, :, band]
                layer.paint(painted, _part(scene, faces, band))
                picture[faces, :, band] = painted
        yield rows, np.clip(picture, 0, 1).transpose(0, 2, 3, 1)


def _part(scene, faces, band):
    """The scene of some faces only, or all with None, and of a band of pixel rows."""

    def of_faces(values):
        if faces is None:
            return values
        chosen = {k: v[faces] if isinstance(v, np.ndarray) else v for k, v in vars(values).items()}
        return SimpleNamespace(**chosen)

    head = SimpleNamespace(**vars(of_faces(scene.head)))
    for name, plane in vars(head).items():
        if isinstance(plane, np.ndarray) and plane.shape[1] > 1:
            setattr(head, name, plane[:, band])
    return SimpleNamespace(
        f=of_faces(scene.f), palette=of_faces(scene.palette), light=of_faces(scene.light),
        head=head, x=scene.x, y=scene.y[:, band],
    )  # fmt: skip


# --- tools ---------------------------------------------------------------------------------------


def _inside(distance, width):
    """1 where the signed distance is below -width/2, 0 where above width/2, a ramp between."""
    return np.clip(0.5 - distance / width, 0, 1)


def _bump(*squares):
    """1 in the middle of an ellipse, falling off to 0 at its edge and beyond."""
    return np.maximum(1 - sum(s * s for s in squares), 0)


def _over(picture, mask, colour):
    """Lay a colour over the picture where the mask says."""
    columns = np.flatnonzero(mask.max(axis=(0, 1)))
    if len(columns) == 0:
        return
    # Most masks are narrow: the rest of the picture is left alone.
    part = slice(columns[0], columns[-1] + 1)
    under = picture[..., part]
    colour = colour[:, :, None, None] if colour.ndim == 2 else colour[..., part]
    change = colour - under
    change *= mask[:, None, :, part]
    under += change


def _between(stops, t):
    """Colours from a scale of colours, t in 0 .. 1."""
    stops = np.asarray(stops, dtype=np.float32)
    t = t[:, 0, 0] * (len(stops) - 1)
    return np.stack([np.interp(t, np.arange(len(stops)), c) for c in stops.T], 1).astype(np.float32)


def _mix(a, b, t):
    return a + t.reshape(-1, 1) * (np.asarray(b, dtype=np.float32) - a)


def _lit(colour, shade):
    return colour[:, :, None, None] * shade[:, None]


def _plain(*colour):
    return np.float32([colour])


# --- colours and light ---------------------------------------------------------------------------


def _palette(f):
    skin = _between(
        [(1.0, 0.86, 0.76), (0.93, 0.73, 0.58), (0.72, 0.48, 0.33), (0.38, 0.235, 0.165)], f.skin
    )
    hair = _between(
        [(0.07, 0.055, 0.05), (0.27, 0.15, 0.08), (0.52, 0.32, 0.16), (0.93, 0.76, 0.42)],
        f.hair_lightness,
    )
    hair = _mix(hair, (0.70, 0.24, 0.07), 0.75 * f.hair_redness**2)
    hair = _mix(hair, (0.74, 0.74, 0.76), 0.9 * f.grey_hair)
    eyes = _between([(0.16, 0.09, 0.05), (0.30, 0.30, 0.16), (0.35, 0.62, 0.85)], f.eye_lightness)
    lips = _mix(skin * np.float32([0.86, 0.62, 0.60]), (0.78, 0.07, 0.14), 0.85 * f.lipstick)
    clothes = _between(
        [(0.10, 0.55, 0.45), (0.30, 0.42, 0.66), (0.75, 0.25, 0.25)], (f.clothes_warmth + 1) / 2
    )
    clothes = clothes * (0.35 + 0.65 * f.clothes_lightness[:, :, 0])
    clothes = _mix(clothes, (0.95, 0.95, 0.95), 0.6 * f.clothes_lightness**2)
    return SimpleNamespace(skin=skin, hair=hair, eyes=eyes, lips=lips, clothes=clothes)


def _light(f):
    """Direction to the lamp, and how much it adds to the light of the room."""
    lx, ly, lz = 0.95 * f.light, -0.25 - 0.55 * f.light_height, 0.75
    length = np.sqrt(lx**2 + ly**2 + lz**2)
    strength = 0.40 + 0.45 * f.light_contrast
    return SimpleNamespace(x=lx / length, y=ly / length, z=lz / length, strength=strength)


def _shade(light, nx, ny, nz):
    facing = nx * light.x + ny * light.y + nz * light.z
    return 1.04 - light.strength * (0.90 - np.maximum(facing, 0))


def _background(scene):
    f, x, y = scene.f, scene.x, scene.y
    tint = _between(
        [(0.45, 0.66, 0.95), (0.86, 0.86, 0.84), (1.0, 0.70, 0.42)], (f.background_warmth + 1) / 2
    )
    level = 0.22 + 0.73 * f.background_lightness
    return _lit(tint, level * (1 + 0.28 * f.background_slope * x - 0.10 * y * y - 0.08 * y))


# --- the head ------------------------------------------------------------------------------------


def _trace(f, x, y, pixel):
    """Where every pixel lies on the head.

    Returned are: `X`, `Y`, place on the screen in half-widths `a` and half-heights `b` of the head
    from its centre; `sine`, `cosine` of the longitude on the head; `u`, sideways place on the face
    as seen from its front; `v`, height on the face from -1 at the top to 1 at the chin; the normal
    `nx`, `ny`, `nz`; `outside`, distance from the outline, negative within; `turn`, sine of `yaw`.
    """
    a, b = 0.56 + 0.11 * f.face_width, 0.73 + 0.08 * f.face_length
    c, s = np.cos(0.12 * f.roll), np.sin(0.12 * f.roll)
    X, Y = (c * x + s * (y - 0.60)) / a, (c * (y - 0.60) - s * x + 0.58) / b
    # Half-width at every height: a circle above, towards the chin more pointed or more square.
    profile = np.sqrt(np.maximum(1 - Y * Y, 1e-3))
    width = profile * (1 - (0.33 - 0.36 * f.jaw) * np.clip(Y, 0, 1) ** 2)
    sin_screen = np.clip(X / width, -1, 1)
    cos_screen = np.sqrt(1 - sin_screen**2)
    yaw = 0.56 * f.pose
    cy, sy = np.cos(yaw), np.sin(yaw)
    sine, cosine = sin_screen * cy - cos_screen * sy, cos_screen * cy + sin_screen * sy
    nz = cos_screen * profile
    sideways, radial = (np.abs(X) - width) * a, (np.sqrt(X * X + Y * Y) - 1) * b
    outside = np.where(np.abs(Y) < 0.75, sideways, np.maximum(sideways * 0.6, radial))
    return SimpleNamespace(
        X=X, Y=Y, a=a, b=b, sine=sine, cosine=cosine, u=sine * width, v=Y + 0.13 * f.nod * nz,
        nx=sin_screen * profile, ny=Y, nz=nz, outside=outside, yaw=yaw, turn=sy, pixel=pixel,
    )  # fmt: skip


def _skin(picture, scene):
    f, head, light, u, v = scene.f, scene.head, scene.light, scene.head.u, scene.head.v
    # Bumps bend the normal: the nose, which sticks out and so moves ahead of a turning face, and
    # the hollows in which the eyes lie.
    tip = 0.30 + 0.16 * (f.nose_length - 0.5)
    un = u - 0.20 * head.turn * np.clip((v + 0.15) * 2, 0, 1)
    wide = 0.13 + 0.13 * f.nose_width
    along = np.clip((v + 0.18) / (tip + 0.18), 0, 1.2)
    end = np.clip((tip + 0.10 - v) / 0.12, 0, 1)
    t = un / (wide * (0.6 + 0.5 * along))
    flank = _bump(t) * end
    hollow = _bump((np.abs(u) - 0.40) / 0.34, (v + 0.08) / 0.22)
    nx = 0.9 * head.nx + 2.0 * t * flank * along
    ny = 0.75 * head.ny + 0.9 * flank * np.clip((v - tip + 0.04) / 0.08, 0, 1)
    ny = ny - 5.0 * hollow * (v + 0.08)
    length = np.sqrt(nx * nx + ny * ny + head.nz * head.nz)
    shade = _shade(light, nx / length, ny / length, head.nz / length) - 0.10 * hollow
    # Shadows of the nose: below its tip, and beside it, away from the light.
    shade = shade - 0.22 * _bump(un / (1.15 * wide), (v - tip - 0.07) / 0.06)
    cast = _bump((un + 0.27 * light.x) / 0.16, (v - 0.22) / 0.26)
    shade = np.maximum(shade - 0.30 * light.strength * np.abs(light.x) * cast, 0.16)
    colour = _lit(scene.palette.skin, shade)
    rosy = _bump((np.abs(u) - 0.52) / 0.30, (v - 0.28) / 0.22) * (0.05 + 0.40 * f.blush)
    colour[:, 1] *= 1 - 0.55 * rosy
    colour[:, 2] *= 1 - 0.45 * rosy
    colour += (0.16 * light.strength * _bump(un / 0.10, (v - tip + 0.06) / 0.10))[:, None]
    mask = _inside(head.outside, head.pixel)
    _over(picture, mask, colour)
    nostrils = ((np.abs(un) - 0.55 * wide) / 0.06) ** 2 + ((v - tip - 0.05) / 0.045) ** 2
    nostrils = mask * np.clip(1.2 - 0.6 * nostrils, 0, 1)
    _over(picture, 0.55 * nostrils, scene.palette.skin * 0.35)


def _ears(picture, scene, near=False):
    f, head, light = scene.f, scene.head, scene.light
    size = 0.75 + 0.6 * f.ears
    for side in (-1, 1):
        x = 1.03 * np.sin(side * 1.58 + head.yaw)
        q = ((head.X - x) / (0.17 * size)) ** 2 + ((head.Y - 0.05) / (0.24 * size)) ** 2
        mask = _inside((np.sqrt(q) - 1) * 0.11, head.pixel)
        if near:
            mask = mask * np.clip(-side * head.turn * 4, 0, 1)
        dim = 0.2 * light.strength * np.clip(-light.x * np.sign(head.X), 0, 1)
        _over(picture, mask, _lit(scene.palette.skin, 0.92 - 0.25 * np.clip(1 - q, 0, 1) - dim))


def _near_ear(picture, scene):
    """The ear that a turned head shows, which lies before the cheek."""
    _ears(picture, scene, near=True)


def _body(picture, scene):
    x, y, light, pixel = scene.x, scene.y, scene.light, scene.head.pixel
    shade = 0.80 - 0.25 * light.strength + 0.5 * light.strength * light.x * x
    shade = shade + 0.3 * np.clip((y - 0.7) * 1.5, -0.6, 0.4)
    neck = np.abs(x) - 0.29 - 1.5 * np.clip(y - 0.72, 0, 1) ** 2
    _over(picture, _inside(neck, pixel), _lit(scene.palette.skin, shade))
    shoulders = np.maximum(0.82 + 0.45 * x * x - 0.16 * np.abs(x), 1.06 - 0.9 * np.abs(x)) - y
    _over(picture, _inside(shoulders, pixel), _lit(scene.palette.clothes, shade + 0.22))


# --- features ------------------------------------------------------------------------------------


def _eyes(picture, scene):
    f, head, palette, u, v = scene.f, scene.head, scene.palette, scene.head.u, scene.head.v
    front = np.clip(head.cosine * 5, 0, 1)
    size = 0.80 + 0.45 * f.eye_size
    eu, ev = 0.36 + 0.08 * f.eye_spacing, -0.07
    ru, rv = 0.215 * size, 0.145 * size * (0.38 + 0.57 * f.eye_openness)
    dv = v - ev
    q = np.sqrt(((np.abs(u) - eu) / ru) ** 2 + (dv / rv) ** 2)
    white = _inside((q - 1) * rv * head.b, head.pixel) * front
    _over(picture, white, _plain(0.97, 0.97, 0.96))
    r = np.sqrt((u - np.sign(u) * eu - 0.085 * f.gaze) ** 2 + (dv * head.b / head.a) ** 2)
    _over(picture, white * _inside((r - 0.125 * size) * head.a, head.pixel), palette.eyes)
    _over(picture, white * _inside((r - 0.055 * size) * head.a, head.pixel), _plain(0, 0, 0))
    # Lashes along the upper lid, a finer line below.
    lash = _inside((np.abs(q - 1.05) - 0.13) * rv * head.b, head.pixel) * front
    _over(picture, lash * np.where(dv < 0, 0.85, 0.25), palette.skin * 0.22)
    t = (np.abs(u) - eu - 0.01) / 0.27
    arch = ev - 0.20 - 0.10 * f.eyebrow_height + 0.07 * t * t - 0.085 * f.eyebrow_angle * t
    thick = (0.022 + 0.050 * f.eyebrow_thickness) * (1 - 0.35 * t)
    far = np.maximum(np.abs(v - arch) - thick, (np.abs(t) - 1) * 0.2)
    _over(picture, 0.9 * _inside(far * head.b, head.pixel) * front, palette.hair * 0.75)


def _mouth(picture, scene):
    f, head, palette, u, v = scene.f, scene.head, scene.palette, scene.head.u, scene.head.v
    front = np.clip(head.cosine * 5, 0, 1)
    half = 0.27 + 0.11 * f.mouth_width + 0.05 * np.maximum(f.smile, 0)
    t2 = (u / half) ** 2
    bow = np.maximum(1 - t2, 0)
    line = 0.52 + 0.17 * f.smile * (0.55 - np.minimum(t2, 1.2)) + 0.03 * f.mouth_open
    gap = 0.14 * f.mouth_open**1.5 * bow
    lip = (0.030 + 0.050 * f.lips) * bow
    ends = (np.abs(u) - half) * head.a

    def within(reach):
        distance = (np.abs(v - line) - reach) * head.b
        return _inside(np.maximum(distance, ends), head.pixel) * front

    _over(picture, within(gap + lip), palette.lips)
    _over(picture, 0.9 * within(gap + 0.008), palette.lips * 0.25)
    teeth = within(gap - 0.02) * _inside((v - line - 0.1 * gap) * head.b, head.pixel)
    _over(picture, teeth * np.clip(f.mouth_open * 3 - 0.8, 0, 1), _plain(0.96, 0.96, 0.96))
    # A smile deepens the creases from nose to cheeks.
    crease = (np.abs(np.abs(u) - 0.30 - 0.35 * (v - 0.22)) - 0.01) * head.a
    crease = _inside(np.maximum(crease, (np.abs(v - 0.34) - 0.10) * head.b), head.pixel) * front
    _over(picture, 0.30 * crease * np.maximum(f.smile, 0), palette.skin * 0.55)


def _whiskers(scene):
    head = scene.head
    shade = _shade(scene.light, head.nx, head.ny * 0.6, head.nz) - 0.05
    bristles = 0.92 + 0.10 * np.cos(head.u * 26) * np.sin(head.v * 17)
    return _lit(scene.palette.hair, shade * bristles)


def _beard(picture, scene):
    head, u, v = scene.head, scene.head.u, scene.head.v
    chin = np.maximum(head.outside - 0.06, (0.52 - 0.62 * u * u - v) * head.b)
    mouth = 1 - np.sqrt((u / 0.40) ** 2 + ((v - 0.50) / 0.20) ** 2)
    mask = _inside(np.maximum(chin, mouth * 0.2), 1.5 * head.pixel)
    mask = mask * np.clip((head.cosine + 0.15) * 4, 0, 1)
    _over(picture, 0.94 * mask, _whiskers(scene))


def _moustache(picture, scene):
    head, t = scene.head, scene.head.u / 0.42
    line = 0.375 + 0.13 * t * t - 0.04 * scene.f.smile * t * t
    far = np.maximum(np.abs(head.v - line) - 0.055 * (1.15 - t * t), (np.abs(t) - 1) * 0.3)
    mask = _inside(far * head.b, head.pixel) * np.clip(head.cosine * 4 + 1, 0, 1)
    _over(picture, 0.95 * mask, _whiskers(scene))


# --- hair and spectacles -------------------------------------------------------------------------


def _hair(f, head, light):
    """Light on the hair: strands from the crown, and a band of gloss."""
    nz = np.sqrt(np.maximum(1.25 - head.X**2 - 0.81 * head.Y**2, 0.02))
    shade = _shade(light, head.X * 0.85, head.Y * 0.75, nz) + 0.05
    angle = np.abs(np.arctan2(head.X, 1.3 + head.Y))
    shade = shade * (0.95 + 0.06 * np.cos(angle * 19 + 2.2 * f.hair_waves * np.sin(head.Y * 8)))
    gloss = _bump((head.Y + 0.72 - 0.2 * head.X**2) / 0.16)
    gloss = gloss * np.clip(0.6 + head.X * light.x * 1.5, 0, 1.4)
    return shade + 0.30 * light.strength * gloss


def _crown(f, head, wobble=1):
    """Distance outside the hair on top of the head, in half-widths of the head."""
    thick = 0.06 + 0.20 * f.hair_volume
    r2 = (head.X / (1 + thick)) ** 2 + ((head.Y + 0.10) / (1 + 0.8 * thick)) ** 2
    return np.sqrt(r2) - wobble


def _back_hair(picture, scene):
    f, head = scene.f, scene.head
    around = np.abs(np.arctan2(head.X, -head.Y - 0.05))
    wobble = 1 + 0.06 * f.hair_waves * np.sin(around * 12)
    # Below the ears long hair falls straight down, as far as its length says.
    fall = np.abs(head.X) - (1.06 + 0.20 * f.hair_volume) * wobble
    fall = fall - 0.10 * (head.Y + 0.1) * f.hair_length
    below = np.maximum(fall, head.Y + 0.25 - 1.75 * f.hair_length)
    distance = np.where(head.Y < -0.1, _crown(f, head, wobble), below)
    shade = head.hair - 0.10 * np.clip(head.Y + 0.3, 0, 1)
    _over(picture, _inside(distance * 0.55, head.pixel), _lit(scene.palette.hair, shade))


def _front_hair(picture, scene):
    """What grows above the hairline, which drops from the forehead to the back of the head."""
    f, head = scene.f, scene.head
    start = -0.42 - 0.34 * f.forehead + 0.30 * f.parting * head.sine
    fringe = -0.30 + 0.03 * np.cos(head.sine * 17)
    start = start + f.fringe * (fringe - start)
    start = start + f.bald * (-1.5 - start)
    reach = 0.62 + f.bald + 0.9 * f.hair_length * (1 - f.bald)
    line = start + reach * (1 - head.cosine) ** 2
    line = line + 0.03 * f.hair_waves * np.cos(head.sine * 11) * (1 - f.bald)
    end = -0.25 + 1.75 * np.maximum(f.hair_length, 0.2)
    distance = np.maximum(np.maximum(head.v - line, _crown(f, head)), head.Y - end)
    # A bald head keeps the hair at its sides.
    distance = np.maximum(distance, f.bald * np.maximum(-0.42 - head.Y, head.outside - 0.03))
    mask = _inside(distance * 0.55, head.pixel)
    _over(picture, mask, _lit(scene.palette.hair, head.hair))


def _frame(head, dv):
    """Bridge and arms, which spectacles and sunglasses share."""
    bridge = np.maximum(np.abs(dv + 0.05) * head.b - 0.016, (np.abs(head.u) - 0.13) * head.a)
    arm = np.maximum((0.70 - np.abs(head.u)) * head.a, head.outside - 0.02)
    arm = np.maximum(np.abs(dv + 0.06) * head.b - 0.018, arm)
    arm = _inside(arm, head.pixel) * np.clip(head.cosine * 6 + 0.3, 0, 1)
    return np.maximum(_inside(bridge, head.pixel), arm)


def _glare(picture, head, du, dv, lens):
    glare = _inside(np.abs(du + 0.10 - dv * 0.8) * 0.4 - 0.012, head.pixel)
    _over(picture, 0.30 * glare * _inside((lens + 0.25) * 0.2, head.pixel), _plain(1, 1, 1))


def _glasses(picture, scene):
    head = scene.head
    front = np.clip((head.cosine + 0.1) * 5, 0, 1)
    du, dv = np.abs(head.u) - 0.41, head.v + 0.06
    lens = np.sqrt((du / 0.31) ** 2 + (dv / 0.215) ** 2) - 1
    _over(picture, 0.16 * _inside(lens * 0.14, head.pixel) * front, _plain(0.85, 0.93, 1.0))
    rim = _inside((np.abs(lens) * 0.22 - 0.020) * 0.62, head.pixel)
    frame = np.maximum(rim, _frame(head, dv)) * front
    _over(picture, 0.92 * frame, _plain(0.13, 0.09, 0.08))
    _glare(picture, head, du, dv, lens)


def _sunglasses(picture, scene):
    head = scene.head
    front = np.clip((head.cosine + 0.1) * 5, 0, 1)
    du, dv = np.abs(head.u) - 0.41, head.v + 0.06
    lens = np.abs(du / 0.35) ** 3 + np.abs((dv - 0.01) / 0.25) ** 3 - 1
    mask = np.maximum(_inside(lens * 0.07, head.pixel), _frame(head, dv)) * front
    tint = np.clip(0.10 - 0.35 * dv, 0.02, 1)
    _over(picture, 0.97 * mask, _lit(_plain(0.75, 0.80, 1.0), tint))
    _glare(picture, head, du, dv, lens)


class _Layer(NamedTuple):
    """One step of painting."""

    paint: Callable  # paints into (n, 3, rows, width), the rows between top and bottom
    top: float
    bottom: float
    present: Callable | None = None  # which faces have it; None for all


_LAYERS = (  # from back to front
    _Layer(_back_hair, -1, 1, lambda f: f.bald == 0),
    _Layer(_body, 0.2, 1),
    _Layer(_ears, -0.40, 0.48),
    _Layer(_skin, -1, 1),
    _Layer(_eyes, -0.68, 0.36),
    _Layer(_mouth, 0.05, 1),
    _Layer(_beard, -0.32, 1, lambda f: f.beard),
    _Layer(_moustache, 0.05, 0.8, lambda f: f.moustache),
    _Layer(_near_ear, -0.40, 0.48, lambda f: f.pose),
    _Layer(_front_hair, -1, 1),
    _Layer(_glasses, -0.50, 0.40, lambda f: f.glasses),
    _Layer(_sunglasses, -0.50, 0.45, lambda f: f.sunglasses),
)
