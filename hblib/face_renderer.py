"""How a face is painted: masks with soft edges, one over the other, lit by one lamp.

All pictures of a batch are painted at once. A head is a rounded body with a circle for every
horizontal cross-section; turning it moves every point of its surface along its circle. Each pixel
is therefore traced back to the surface: to the sine and cosine of its longitude, counted from the
nose, and its height. Eyes, mouth and hairline are drawn there, so that they turn with the head.
The shade of a pixel follows from the angle between light and surface.

The picture spans -1 .. 1 from left to right and from top to bottom.
"""

from types import SimpleNamespace

import numpy as np

CHUNK_PIXELS = 40_000  # small enough for the planes of one batch to stay in the processor's cache


def paint(factors, size):
    """Paint faces.

    Parameters
    ----------
    factors : dict of numpy.ndarray of float32, shape (n,)
        A column for every name of `hblib.faces.FACTORS`.
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
    for start in range(0, n, step):
        rows = slice(start, min(start + step, n))
        f = SimpleNamespace(**{name: c[rows, None, None] for name, c in factors.items()})
        yield rows, _paint_chunk(f, size).transpose(0, 2, 3, 1)


def _paint_chunk(f, size):
    axis = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = axis[None, None, :], axis[None, :, None]
    picture = _background(f, x, y)
    palette = _palette(f)
    head = _trace(f, x, y, 2 / size)
    light = _light(f)
    _back_hair(picture, f, head, palette, light)
    _body(picture, f, x, y, 2 / size, palette, light)
    _ears(picture, f, head, palette, light)
    _skin(picture, f, head, palette, light)
    _eyes(picture, f, head, palette)
    _mouth(picture, f, head, palette)
    _beard(picture, f, head, palette, light)
    _near_ear(picture, f, head, palette, light)
    _front_hair(picture, f, head, palette, light)
    _spectacles(picture, f, head, palette)
    return np.clip(picture, 0, 1)


# --- tools ---------------------------------------------------------------------------------------


def _inside(distance, width):
    """1 where the signed distance is below -width/2, 0 where above width/2, a ramp between."""
    return np.clip(0.5 - distance / width, 0, 1)


def _over(picture, mask, colour):
    """Lay a colour (n, 3), or one a pixel (n, 3, h, w), over the picture where the mask says."""
    if colour.ndim == 2:
        colour = colour[:, :, None, None]
    picture += mask[:, None] * (colour - picture)


def _between(stops, t):
    """Colours (n, 3) from a scale of colours, t (n, 1, 1) in 0 .. 1."""
    stops = np.asarray(stops, dtype=np.float32)
    t = t[:, 0, 0] * (len(stops) - 1)
    return np.stack([np.interp(t, np.arange(len(stops)), c) for c in stops.T], 1).astype(np.float32)


def _mix(a, b, t):
    return a + t.reshape(-1, 1) * (np.asarray(b, dtype=np.float32) - a)


def _lit(colour, shade):
    return colour[:, :, None, None] * shade[:, None]


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
    """Direction to the lamp, (n, 1, 1) each, and how much it adds to the light of the room."""
    lx, ly, lz = 0.95 * f.light, -0.25 - 0.55 * f.light_height, np.full_like(f.light, 0.75)
    length = np.sqrt(lx**2 + ly**2 + lz**2)
    strength = 0.40 + 0.45 * f.light_contrast
    return SimpleNamespace(x=lx / length, y=ly / length, z=lz / length, strength=strength)


def _shade(light, nx, ny, nz):
    facing = nx * light.x + ny * light.y + nz * light.z
    return 1.02 - light.strength * (0.92 - np.maximum(facing, -0.1))


def _background(f, x, y):
    tint = _between(
        [(0.45, 0.66, 0.95), (0.86, 0.86, 0.84), (1.0, 0.70, 0.42)], (f.background_warmth + 1) / 2
    )
    level = 0.22 + 0.73 * f.background_lightness
    level = level * (1 + 0.28 * f.background_slope * x - 0.10 * y * y - 0.08 * y)
    return _lit(tint, level)


# --- the head ------------------------------------------------------------------------------------


def _trace(f, x, y, pixel):
    """Where every pixel lies on the head.

    X, Y: screen coordinates in units of the head's half-width and half-height, origin at its
    centre. sine, cosine: of the longitude from the nose. u: sideways position of the surface as
    seen from the front. v: height on the face, -1 top, 1 chin. nx, ny, nz: normal.
    """
    a = 0.49 + 0.13 * f.face_width
    b = 0.64 + 0.09 * f.face_length
    angle = 0.16 * f.roll
    c, s = np.cos(angle), np.sin(angle)
    yc = y - 0.55
    X = (c * x + s * yc) / a
    Y = (c * yc - s * x + 0.57) / b
    # Half-width of the head at every height: a circle above, towards the chin more pointed or
    # more square.
    low = np.clip(Y, 0, 1)
    jaw = f.jaw - 0.5
    width = np.sqrt(np.maximum(1 - Y * Y, 1e-3)) * (1 - (0.16 - 0.30 * jaw) * low * low)
    sin_screen = np.clip(X / width, -1, 1)
    cos_screen = np.sqrt(1 - sin_screen**2)
    yaw = 0.62 * f.pose
    cy, sy = np.cos(yaw), np.sin(yaw)
    sine = sin_screen * cy - cos_screen * sy
    cosine = cos_screen * cy + sin_screen * sy
    profile = np.sqrt(np.maximum(1 - Y * Y, 0))
    nz = cos_screen * profile
    v = Y + 0.13 * f.nod * np.maximum(nz, 0)
    # How far outside the outline, in picture units: sideways distance, made slanting.
    sideways = (np.abs(X) - width) * a
    radial = (np.sqrt(X * X + Y * Y) - 1) * b
    outside = np.where(np.abs(Y) < 0.75, sideways, np.maximum(sideways * 0.6, radial))
    return SimpleNamespace(
        X=X, Y=Y, a=a, b=b, pixel=pixel, sine=sine, cosine=cosine, u=sine * width, v=v,
        nx=sin_screen * profile, ny=Y, nz=nz, outside=outside, turn=sy, yaw=yaw,
    )  # fmt: skip


def _skin(picture, f, head, palette, light):
    u, v = head.u, head.v
    nx, ny, nz = head.nx * 0.9, head.ny * 0.75, head.nz
    # Bumps bend the normal: the nose, and the hollows that the eyes lie in.
    length = 0.36 + 0.12 * (f.nose_length - 0.5)
    tip = -0.02 + length
    un = u - 0.20 * head.turn * np.clip((v + 0.15) * 2, 0, 1)
    wide = 0.17 + 0.09 * f.nose_width
    along = np.clip((v + 0.18) / (tip + 0.18), 0, 1.2)
    end = np.clip((tip + 0.10 - v) / 0.12, 0, 1)
    t = un / (wide * (0.6 + 0.5 * along))
    ridge = np.maximum(1 - t * t, 0) * along * end
    nx = nx + 2.0 * t * ridge
    ny = ny + 0.9 * np.maximum(1 - t * t, 0) * np.clip((v - tip + 0.04) / 0.08, 0, 1) * end
    hollow = np.maximum(1 - ((np.abs(u) - 0.40) / 0.34) ** 2 - ((v + 0.08) / 0.22) ** 2, 0)
    ny = ny + 1.1 * hollow * (v + 0.08) / 0.22 * -1
    norm = 1 / np.sqrt(nx * nx + ny * ny + nz * nz)
    shade = _shade(light, nx * norm, ny * norm, nz * norm)
    shade = shade - 0.10 * hollow
    # The shadow beside the nose, away from the light.
    cast = np.maximum(1 - ((un + 0.17 * light.x * 1.6) / 0.16) ** 2 - ((v - 0.22) / 0.26) ** 2, 0)
    shade = shade - 0.55 * light.strength * np.abs(light.x) * cast
    colour = _lit(palette.skin, shade)
    rosy = np.maximum(1 - ((np.abs(u) - 0.52) / 0.30) ** 2 - ((v - 0.28) / 0.22) ** 2, 0)
    rosy = rosy * (0.05 + 0.40 * f.blush)
    colour[:, 1] *= 1 - 0.55 * rosy
    colour[:, 2] *= 1 - 0.45 * rosy
    shine = np.maximum(1 - (un / 0.10) ** 2 - ((v - tip + 0.06) / 0.10) ** 2, 0)
    colour += (0.16 * light.strength * shine)[:, None]
    mask = _inside(head.outside, head.pixel)
    _over(picture, mask, colour)
    nostrils = ((np.abs(un) - 0.55 * wide) / 0.06) ** 2 + ((v - tip - 0.05) / 0.045) ** 2
    _over(picture, 0.55 * mask * np.clip(1.2 - 0.6 * nostrils, 0, 1), palette.skin * 0.35)


def _ear_masks(f, head):
    size = 0.75 + 0.6 * f.ears
    masks = []
    for side in (-1, 1):
        angle = side * 1.58 + head.yaw
        x0 = 1.03 * np.sin(angle)
        q = ((head.X - x0) / (0.17 * size)) ** 2 + ((head.Y - 0.05) / (0.24 * size)) ** 2
        near = np.clip(-side * head.turn * 4, 0, 1)
        masks.append((_inside((np.sqrt(q) - 1) * 0.11, head.pixel), q, near))
    return masks


def _ears(picture, f, head, palette, light):
    for mask, q, _ in _ear_masks(f, head):
        _over(
            picture,
            mask,
            _lit(
                palette.skin,
                0.92
                - 0.25 * np.clip(1 - q, 0, 1)
                - 0.2 * light.strength * np.clip(-light.x * np.sign(head.X), 0, 1),
            ),
        )


def _near_ear(picture, f, head, palette, light):
    for mask, q, near in _ear_masks(f, head):
        _over(
            picture,
            mask * near,
            _lit(
                palette.skin,
                0.92
                - 0.25 * np.clip(1 - q, 0, 1)
                - 0.2 * light.strength * np.clip(-light.x * np.sign(head.X), 0, 1),
            ),
        )


def _body(picture, f, x, y, pixel, palette, light):
    shade = 0.80 - 0.25 * light.strength + 0.35 * light.strength * x * light.x * 1.5
    shade = shade + 0.3 * np.clip((y - 0.7) * 1.5, -0.6, 0.4)
    neck = _inside(np.abs(x) - 0.25 - 0.25 * np.clip(y - 0.72, 0, 1) ** 2 * 6, pixel)
    _over(picture, neck * _inside(0.2 - y, pixel), _lit(palette.skin, shade * np.ones_like(y)))
    top = 0.74 + 0.55 * x * x - 0.16 * np.abs(x)
    cut = 0.98 - 0.9 * np.abs(x)
    mask = _inside(np.maximum(top, cut) - y, pixel)
    _over(
        picture,
        np.broadcast_to(mask, shade.shape),
        _lit(palette.clothes, shade + 0.22 + 0.0 * mask),
    )


# --- features ------------------------------------------------------------------------------------


def _eyes(picture, f, head, palette):
    u, v = head.u, head.v
    side = np.sign(u)
    front = np.clip(head.cosine * 5, 0, 1)
    size = 0.85 + 0.35 * f.eye_size
    eu, ev = 0.36 + 0.08 * f.eye_spacing, -0.07
    ru, rv = 0.215 * size, 0.145 * size * (0.30 + 0.85 * f.eye_openness)
    du, dv = np.abs(u) - eu, v - ev
    q = np.sqrt((du / ru) ** 2 + (dv / rv) ** 2)
    white = _inside((q - 1) * rv * head.b, head.pixel) * front
    ones = np.ones_like(palette.skin)
    _over(picture, white, ones * np.float32([0.97, 0.97, 0.96]))
    iris = np.sqrt((u - side * eu - 0.085 * f.gaze) ** 2 + (dv * head.b / head.a) ** 2)
    _over(picture, white * _inside((iris - 0.125 * size) * head.a, head.pixel), palette.eyes)
    _over(picture, white * _inside((iris - 0.055 * size) * head.a, head.pixel), ones * 0.03)
    # Lashes along the upper lid, a finer line below.
    lash = _inside((np.abs(q - 1.05) - 0.13) * rv * head.b, head.pixel) * front
    _over(picture, lash * np.where(dv < 0, 0.85, 0.25), palette.skin * 0.22)
    # Eyebrows: an arch, higher where the angle lifts its inner or outer end.
    bu = (np.abs(u) - eu - 0.01) / 0.27
    arch = ev - 0.20 - 0.10 * f.eyebrow_height + 0.07 * bu * bu - 0.085 * f.eyebrow_angle * bu
    thick = (0.022 + 0.050 * f.eyebrow_thickness) * (1 - 0.35 * bu)
    far = np.maximum(np.abs(v - arch) - thick, (np.abs(bu) - 1) * 0.2)
    brow = _inside(far * head.b, head.pixel) * front
    _over(picture, 0.9 * brow, palette.hair * 0.75)


def _mouth(picture, f, head, palette):
    u, v = head.u, head.v
    front = np.clip(head.cosine * 5, 0, 1)
    half = 0.27 + 0.11 * f.mouth_width + 0.05 * np.maximum(f.smile, 0)
    m = u / half
    bow = np.clip(1 - m * m, -1, 1)
    line = 0.50 + 0.14 * f.smile * (0.55 - np.minimum(m * m, 1.2)) + 0.03 * f.mouth_open
    gap = 0.125 * f.mouth_open * np.maximum(bow, 0)
    lip = (0.030 + 0.050 * f.lips) * np.maximum(bow, 0)
    offset = np.abs(v - line)
    ends = (np.abs(m) - 1) * half * head.a
    lips = _inside(np.maximum((offset - gap - lip) * head.b, ends), head.pixel) * front
    _over(picture, lips, palette.lips)
    inner = _inside(np.maximum((offset - gap - 0.008) * head.b, ends), head.pixel) * front
    _over(picture, 0.9 * inner, palette.lips * 0.25)
    teeth = _inside(np.maximum((offset - gap + 0.02) * head.b, ends), head.pixel) * front
    teeth = teeth * _inside((v - line - 0.1 * gap) * head.b, head.pixel)
    _over(picture, teeth * np.clip(f.mouth_open * 3 - 0.3, 0, 1), 0.96 * np.ones_like(palette.skin))
    # A crease from nose to cheek that a smile deepens.
    crease = np.abs(np.abs(u) - 0.30 - 0.35 * (v - 0.22)) - 0.01
    crease = _inside(np.maximum(crease * head.a, (np.abs(v - 0.34) - 0.10) * head.b), head.pixel)
    _over(picture, 0.30 * crease * front * np.maximum(f.smile, 0), palette.skin * 0.55)


def _beard(picture, f, head, palette, light):
    u, v = head.u, head.v
    front = np.clip(head.cosine * 4 + 1, 0, 1)
    shade = _shade(light, head.nx, head.ny * 0.6, head.nz) - 0.05
    shade = shade * (0.92 + 0.10 * np.sin(u * 26) * np.sin(v * 17))
    colour = _lit(palette.hair, shade)
    edge = 0.52 - 0.62 * u * u
    round_mouth = 1 - np.sqrt((u / 0.40) ** 2 + ((v - 0.50) / 0.20) ** 2)
    chin = np.maximum(head.outside - 0.06, (edge - v) * head.b)
    beard = _inside(np.maximum(chin, round_mouth * 0.2), 1.5 * head.pixel) * front
    beard = beard * np.clip((head.cosine + 0.15) * 4, 0, 1)
    _over(picture, 0.94 * beard * f.beard, colour)
    m = u / 0.42
    line = 0.375 + 0.13 * m * m - 0.04 * f.smile * m * m
    far = np.maximum(np.abs(v - line) - 0.055 * (1.15 - m * m), (np.abs(m) - 1) * 0.3)
    moustache = _inside(far * head.b, head.pixel) * front
    _over(picture, 0.95 * moustache * f.moustache, colour)


def _hair_shade(f, head, light):
    """Light on the hair: strands that radiate from the crown, and a band of gloss."""
    r2 = head.X**2 + (head.Y * 0.9) ** 2
    nz = np.sqrt(np.maximum(1.25 - r2, 0.02))
    shade = _shade(light, head.X * 0.85, head.Y * 0.75, nz) + 0.05
    angle = np.arctan2(head.X, 1.3 + head.Y + 0 * head.X)
    waves = np.sin(angle * 19 + 2.2 * f.hair_waves * np.sin(head.Y * 8))
    shade = shade * (0.93 + 0.11 * waves)
    gloss = np.maximum(1 - ((head.Y + 0.72 - 0.2 * head.X**2) / 0.16) ** 2, 0)
    gloss = gloss * np.clip(0.6 + head.X * light.x * 1.5, 0, 1.4)
    return shade + 0.30 * light.strength * gloss


def _back_hair(picture, f, head, palette, light):
    thick = 0.06 + 0.20 * f.hair_volume
    wobble = (
        1
        + 0.05 * f.hair_waves * np.sin(head.Y * 11) * np.sign(head.X) * 0
        + 0.045 * f.hair_waves * np.sin(np.abs(np.arctan2(head.X, -head.Y - 0.05)) * 13)
    )
    top = np.sqrt((head.X / (1 + thick)) ** 2 + ((head.Y + 0.10) / (1 + 0.8 * thick)) ** 2) - wobble
    # Below the ears long hair falls straight down, as far as its length says.
    fall = np.abs(head.X) - (1 + thick) * wobble - 0.10 * (head.Y + 0.1) * f.hair_length
    end = head.Y - (-0.25 + 1.75 * f.hair_length)
    below = np.maximum(fall, end)
    distance = np.where(head.Y < -0.1, top, below)
    mask = _inside(distance * 0.55, head.pixel) * (1 - f.bald)
    shade = _hair_shade(f, head, light) - 0.10 * np.clip(head.Y + 0.3, 0, 1)
    _over(picture, mask, _lit(palette.hair, shade))


def _front_hair(picture, f, head, palette, light):
    thick = 0.06 + 0.20 * f.hair_volume
    top = np.sqrt((head.X / (1 + thick)) ** 2 + ((head.Y + 0.10) / (1 + 0.8 * thick)) ** 2) - 1
    rise = (1 - head.cosine) ** 2
    start = -0.48 - 0.26 * f.forehead
    start = start + 0.20 * f.parting * head.sine * (1 - f.fringe)
    start = start + f.fringe * (-0.30 - start + 0.03 * np.sin(head.sine * 17))
    start = start + f.bald * (-1.5 - start)
    reach = 0.62 + 0.9 * f.hair_length * (1 - f.bald) + 1.0 * f.bald
    line = start + reach * rise
    line = line + 0.03 * f.hair_waves * np.sin(head.sine * 11) * (1 - f.bald)
    end = -0.25 + 1.75 * np.maximum(f.hair_length, 0.2)
    distance = np.maximum(np.maximum(head.v - line, top), (head.Y - end))
    distance = np.maximum(distance, f.bald * np.maximum(-0.42 - head.Y, head.outside - 0.03))
    mask = _inside(distance * 0.55, head.pixel)
    _over(picture, mask, _lit(palette.hair, _hair_shade(f, head, light)))


def _spectacles(picture, f, head, palette):
    u, v = head.u, head.v
    front = np.clip((head.cosine + 0.1) * 5, 0, 1)
    ones = np.ones_like(palette.skin)
    du, dv = np.abs(u) - 0.41, v + 0.06
    lens = np.sqrt((du / 0.31) ** 2 + (dv / 0.215) ** 2) - 1
    rim = _inside((np.abs(lens) * 0.22 - 0.020) * 0.62, head.pixel)
    bridge = _inside(
        np.maximum(np.abs(dv + 0.05) * head.b - 0.016, (np.abs(u) - 0.13) * head.a), head.pixel
    )
    arm = _inside(
        np.maximum(np.abs(dv + 0.06) * head.b - 0.018, (0.70 - np.abs(u)) * head.a), head.pixel
    ) * np.clip(head.cosine * 6 + 0.3, 0, 1)
    frame = np.maximum(np.maximum(rim, bridge), arm) * front
    glass = _inside(lens * 0.14, head.pixel) * front
    _over(picture, 0.16 * glass * f.glasses, ones * np.float32([0.85, 0.93, 1.0]))
    _over(picture, 0.92 * frame * f.glasses, ones * np.float32([0.13, 0.09, 0.08]))
    dark = np.abs(du / 0.35) ** 3 + np.abs((dv - 0.01) / 0.25) ** 3 - 1
    dark = np.maximum(_inside(dark * 0.07, head.pixel), np.maximum(bridge, arm)) * front
    tint = np.clip(0.10 - 0.35 * dv, 0.02, 1)
    colour = tint[:, None] * np.float32([0.75, 0.80, 1.0])[None, :, None, None]
    _over(picture, 0.97 * dark * f.sunglasses, colour)
    glare = _inside(np.abs(du + 0.10 - dv * 0.8) * 0.4 - 0.012, head.pixel)
    glare = glare * _inside((lens + 0.25) * 0.2, head.pixel) * front
    _over(picture, 0.30 * glare * (f.sunglasses + f.glasses), ones)
