"""Warp functions that colour a person: skin, hair, face, clothes."""

from __future__ import annotations

import warp as wp

from infant_pose_ros.synthetic.kernels import Dress, fabric_at, Tailor


@wp.func
def mixed(a: wp.vec3, b: wp.vec3, share: float):
    """`a` with a share of `b`."""
    return a * (1.0 - share) + b * share


@wp.func
def ellipse(x: float, y: float, half_x: float, half_y: float):
    """1 inside, 0 outside, soft over the outer fifth."""
    r = wp.sqrt(x * x / (half_x * half_x) + y * y / (half_y * half_y))
    return wp.clamp((1.0 - r) * 5.0 + 0.5, 0.0, 1.0)


@wp.func
def face_colour(dress: Dress, skin: wp.vec3, t: Tailor):
    """Brows, eyes, nose, lips and cheeks on skin; `t[8..10]` are face coordinates."""
    x = t[8]
    z = t[10]
    ex = wp.abs(x) - 0.5
    colour = mixed(skin, wp.cw_mul(skin, wp.vec3(1.08, 0.72, 0.70)),
                   dress.redness * wp.exp(-((ex - 0.2) * (ex - 0.2) + (z + 0.45) * (z + 0.45))
                                          * 6.0))
    colour = colour * (1.0 - 0.16 * wp.exp(-(ex * ex * 5.0 + z * z * 14.0)))
    brow = ellipse(ex - 0.02, z - 0.40 + 0.25 * ex * ex, 0.30, 0.06)
    colour = mixed(colour, wp.cw_mul(dress.hair, wp.vec3(0.8, 0.8, 0.8)), brow * dress.brows)
    if dress.eyes_open == 1:
        lid = ellipse(ex, z, 0.25, 0.10)
        lash = ellipse(ex, z - 0.015, 0.29, 0.135)
        colour = mixed(colour, skin * 0.45, lash * 0.8)
        colour = mixed(colour, wp.vec3(0.80, 0.78, 0.76), lid)
        iris = ellipse(ex, z, 0.15, 0.15) * lid
        colour = mixed(colour, dress.iris, iris)
        colour = mixed(colour, wp.vec3(0.02, 0.02, 0.02), ellipse(ex, z, 0.075, 0.075) * lid)
        colour = mixed(colour, wp.vec3(1.0, 1.0, 1.0),
                       ellipse(ex - 0.03, z - 0.05, 0.028, 0.028))
    else:
        curve = z + 0.10 - 0.35 * ex * ex
        colour = mixed(colour, skin * 0.42, ellipse(ex, curve, 0.27, 0.035) * 0.85)
    nostril = ellipse(wp.abs(x) - 0.11, z + 0.50, 0.05, 0.035)
    colour = mixed(colour, skin * 0.35, nostril * 0.8)
    colour = colour * (1.0 - 0.12 * wp.exp(-(x * x * 12.0 + (z + 0.54) * (z + 0.54) * 90.0)))
    lips = mixed(skin, wp.cw_mul(skin, wp.vec3(0.95, 0.58, 0.58)), 0.85)
    colour = mixed(colour, lips, ellipse(x, z + 0.70, 0.30, 0.105))
    if dress.mouth_open == 1:
        colour = mixed(colour, wp.vec3(0.22, 0.06, 0.06), ellipse(x, z + 0.71, 0.19, 0.06))
    else:
        colour = mixed(colour, skin * 0.38, ellipse(x, z + 0.70, 0.26, 0.014))
    return colour


@wp.func
def skin_colour(dress: Dress, bank: wp.array(dtype=wp.uint8, ndim=4), t: Tailor, blotch: float):
    """Skin, face and hair where nothing covers them; `blotch` -0.5..0.5 varies over it."""
    colour = dress.skin * (1.0 + 0.07 * blotch)
    mottled = dress.mottle * wp.clamp(2.5 * blotch, 0.0, 1.0)
    colour = mixed(colour, wp.cw_mul(colour, wp.vec3(0.95, 0.72, 0.74)), mottled)
    ends = wp.max(t[3], t[4])
    colour = mixed(colour, colour * dress.hands, ends)
    red = dress.redness * wp.max(ends, 0.5 * t[2])
    colour = mixed(colour, wp.cw_mul(colour, wp.vec3(1.05, 0.82, 0.80)), red)
    if t[2] < 0.5:
        return colour
    x = t[8]
    z = t[10]
    if t[9] < 0.45 and t[7] < 0.5 and z > -1.2:
        colour = face_colour(dress, colour, t)
    if t[7] >= 0.5:
        if dress.eyes_open == 1:
            ex = wp.abs(x) - 0.5
            colour = mixed(wp.vec3(0.88, 0.87, 0.86), dress.iris, ellipse(ex, z, 0.125, 0.125))
            colour = mixed(colour, wp.vec3(0.02, 0.02, 0.02), ellipse(ex, z, 0.06, 0.06))
        else:
            colour = colour * 0.85
    line = dress.hairline - 1.0 * t[9] + 0.35 * blotch
    if dress.hair_kind > 0 and z > line:
        share = wp.clamp((z - line) * 5.0, 0.0, 1.0)
        if dress.hair_kind == 1:
            share = share * (0.45 + 0.6 * blotch)
        strands = 1.0 + 0.35 * wp.sin(46.0 * x + 7.0 * blotch + 14.0 * t[9]) * blotch
        colour = mixed(colour, dress.hair * (strands + 0.4 * blotch), wp.clamp(share, 0.0, 1.0))
    if dress.pacifier >= 0 and t[9] < 0.0:
        out = ellipse(x, z + 0.70, 0.50, 0.34)
        shield = fabric_at(bank, dress.pacifier, 0.3, 0.4)
        colour = mixed(colour, shield, out)
        colour = mixed(colour, shield * 0.55, ellipse(x, z + 0.70, 0.22, 0.20))
        colour = mixed(colour, shield, ellipse(x, z + 0.70, 0.15, 0.13))
    return colour


@wp.func
def nappy_colour(bank: wp.array(dtype=wp.uint8, ndim=4), dress: Dress, t: Tailor):
    """White fleece with a printed band at the front, tapes at the sides and frilled edges."""
    colour = wp.vec3(0.92, 0.92, 0.90)
    band = (t[5] - dress.waist + 0.022) * 60.0
    x = wp.abs(t[8])
    if t[6] > 0.1 and band > -1.0 and band < 0.4:
        colour = mixed(colour, fabric_at(bank, dress.extra, t[8] * 0.15, t[10] * 0.3), 0.75)
        if x > 0.9 and x < 1.35 and band < 0.0:
            colour = wp.vec3(0.80, 0.86, 0.92)
    if dress.waist - t[5] < 0.006 or t[1] > 0.12:
        colour = colour * (0.86 + 0.08 * wp.sin(60.0 * x + 90.0 * t[5]))
    return colour


@wp.struct
class Cover:
    """What covers a place: a fabric (-1 skin, -2 nappy), how near its edge, and its knit.

    `knit`: 2 knitted, else 1.
    """

    fabric: int
    edge: float
    knit: float


@wp.func
def clothes_at(dress: Dress, t: Tailor, torso: bool):
    """Top, bottom, socks and mittens; see `Outfit.covers`, which tells the same of vertices."""
    cover = Cover()
    cover.fabric = -1
    cover.edge = 1.0
    cover.knit = 1.0
    if dress.sleeve >= 0.0 and t[2] < dress.neckline and t[3] < 0.4:
        if (torso and t[5] >= dress.waist) or (t[0] >= 0.02 and t[0] <= dress.sleeve):
            cover.fabric = dress.upper
            cover.edge = wp.min(wp.abs(dress.sleeve - t[0]) * 3.0,
                                wp.abs(dress.neckline - t[2]) * 0.4)
            if dress.upper != dress.lower and torso:
                cover.edge = wp.min(cover.edge, (t[5] - dress.waist) * 4.0)
    if t[0] < 0.02 and t[5] < dress.waist and t[1] <= dress.trousers:
        if t[4] < 0.5 or dress.feet == 1:
            cover.fabric = dress.lower
            cover.edge = (dress.trousers - t[1]) * 2.0
    sock = dress.sock_right
    mitten = dress.mitten_right
    if t[11] > 0.0:
        sock = dress.sock_left
        mitten = dress.mitten_left
    if (sock < 1.5 and (t[1] > sock or t[4] > 0.5)) or (mitten == 1 and t[3] > 0.3):
        cover.fabric = dress.extra
        cover.edge = 1.0
    return cover


@wp.func
def cover_at(dress: Dress, t: Tailor, torso: bool):
    """The outermost of clothes, hat and bib."""
    cover = clothes_at(dress, t, torso)
    if dress.hat > 0 and t[2] > 0.7:
        brim = t[10] - dress.hat_line + dress.hat_slope * t[9]
        if brim > 0.0:
            cover.fabric = dress.hat_fabric
            cover.edge = wp.abs(brim - dress.hat_rim) * 0.4
            if dress.hat == 3:
                cover.knit = 2.0
    bx = t[8]
    bz = t[10] + 2.3
    if dress.bib >= 0 and t[6] > 0.05 and t[0] < 0.1 and t[2] < 0.9:
        if bx * bx / 3.2 + bz * bz / 2.6 < 1.0:
            cover.fabric = dress.bib
            cover.edge = (1.0 - bx * bx / 3.2 - bz * bz / 2.6) * 0.15
    return cover


@wp.func
def fastened(dress: Dress, t: Tailor, colour: wp.vec3):
    """`colour` of the top's front with its seam, zip or buttons."""
    off = t[8]
    if dress.fastening == 3:
        off = t[8] - 0.55 * (t[10] + 4.2)
    if wp.abs(off) < 0.07:
        colour = colour * 0.75
    if dress.fastening == 1:
        step = t[10] * 1.1
        if ellipse(off, (step - wp.floor(step) - 0.5) / 1.1, 0.11, 0.11) > 0.5:
            colour = wp.vec3(0.85, 0.85, 0.82)
    return colour


@wp.func
def body_albedo(dress: Dress, bank: wp.array(dtype=wp.uint8, ndim=4), blotch: float,
                rest: wp.vec3, t: Tailor):
    """Colour of a person; the fourth number is 2 on knitted cloth, 1 on cloth, 0.7 on a nappy.

    It is 0 on skin. `t`: arm, leg, head, hand, foot, height, front, eye, face left, back, up,
    side.
    """
    torso = t[0] < 0.02 and t[1] < 0.14
    cover = cover_at(dress, t, torso)
    if cover.fabric == -2:
        c = nappy_colour(bank, dress, t)
        return wp.vec4(c[0], c[1], c[2], 0.7)
    if cover.fabric < 0:
        c = skin_colour(dress, bank, t, blotch)
        return wp.vec4(c[0], c[1], c[2], 0.0)
    u = rest[0] * dress.repeat + dress.shift[0]
    v = rest[2] * dress.repeat + dress.shift[1] + 0.35 * rest[1] * dress.repeat
    c = fabric_at(bank, cover.fabric, u, v)
    if cover.edge < 0.03:
        c = c * (0.72 + 9.0 * wp.max(cover.edge, 0.0))
    if dress.fastening > 0 and cover.fabric == dress.upper and t[6] > 0.1 and torso:
        c = fastened(dress, t, c)
    return wp.vec4(c[0], c[1], c[2], cover.knit)
