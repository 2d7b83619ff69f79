"""The warp kernels that turn what each pixel sees into a colour, and light into a picture."""

from __future__ import annotations

import warp as wp

from infant_pose_ros.synthetic.appearance import body_albedo
from infant_pose_ros.synthetic.kernels import (
    Dress,
    EMPTY_KEY,
    fabric_at,
    lit_share,
    Look,
    slope_at,
    Tailor,
)

#: Length of the table of random numbers that `sense` draws from, a power of two.
NOISE_SIZE = 65536


@wp.struct
class Surface:
    """What lies behind the meshes: bed, floor and walls."""

    z: float
    p: wp.vec3
    normal: wp.vec3
    colour: wp.vec3
    open_sky: float


@wp.func
def on_mattress(look: Look, x: float, y: float):
    """Place (across, along) on the bed, m from its middle."""
    dx = x - look.sheet_centre[0]
    dy = y - look.sheet_centre[1]
    ca = wp.cos(look.sheet_angle)
    sa = wp.sin(look.sheet_angle)
    return wp.vec2(ca * dx - sa * dy, sa * dx + ca * dy)


@wp.func
def mattress_at(look: Look, bank: wp.array(dtype=wp.uint8, ndim=4),
                reliefs: wp.array(dtype=float, ndim=3), z: float, q: wp.vec3, bed: wp.vec2):
    """The bed's top, sheet or changing pad, at `q`; `bed` is that place on the bed."""
    s = Surface()
    s.z = z
    s.p = q
    s.open_sky = 1.0
    rub = slope_at(reliefs, look.relief, bed[0] * 1.7, bed[1] * 1.7)
    crease = slope_at(reliefs, 0, bed[0] * 0.9 + 0.4, bed[1] * 0.9)
    fabric = look.sheet
    u = bed[0] * look.sheet_scale
    v = bed[1] * look.sheet_scale
    cp = wp.cos(look.pad_angle)
    sp = wp.sin(look.pad_angle)
    px = cp * (q[0] - look.pad_box[0]) + sp * (q[1] - look.pad_box[1])
    py = cp * (q[1] - look.pad_box[1]) - sp * (q[0] - look.pad_box[0])
    shade_edge = 1.0
    if look.pad >= 0:
        inset = wp.min(look.pad_box[2] - wp.abs(px), look.pad_box[3] - wp.abs(py))
        if inset > 0.0:
            fabric = look.pad
            u = px * 2.6
            v = py * 2.6
            if inset < 0.035:
                shade_edge = 1.0 - 4.0 * (0.035 - inset)
        elif inset > -0.02:
            shade_edge = 0.80 - 10.0 * inset * 0.1
    s.colour = fabric_at(bank, fabric, u, v) * shade_edge
    fold = look.folds * 3.0
    hard = look.creases * 14.0
    s.normal = wp.normalize(wp.vec3(
        -rub[0] * fold - hard * crease[0] * wp.abs(crease[0]) * 6.0,
        -rub[1] * fold - hard * crease[1] * wp.abs(crease[1]) * 6.0, 1.0))
    return s


@wp.func
def wall_at(look: Look, bank: wp.array(dtype=wp.uint8, ndim=4), origin: wp.vec3,
            direction: wp.vec3, k: int, nearest: float):
    """One of two pairs of walls (`k` 0, 1) along a ray; z < 0 where none is before `nearest`."""
    s = Surface()
    s.z = -1.0
    n = wp.vec2(wp.cos(look.sheet_angle), -wp.sin(look.sheet_angle))
    if k == 1:
        n = wp.vec2(wp.sin(look.sheet_angle), wp.cos(look.sheet_angle))
    along = direction[0] * n[0] + direction[1] * n[1]
    start = origin[0] * n[0] + origin[1] * n[1]
    side = wp.sign(along)
    if wp.abs(along) > 1.0e-4:
        t = (side * look.wall_m - start) / along
        if t > 0.0 and t < nearest:
            s.z = t
            s.p = origin + direction * t
            s.normal = wp.vec3(-side * n[0], -side * n[1], 0.0)
            across = s.p[0] * n[1] - s.p[1] * n[0]
            s.colour = fabric_at(bank, look.wall, across * look.floor_scale,
                                 s.p[2] * look.floor_scale)
            s.open_sky = 0.8
    return s


@wp.func
def bedding(look: Look, bank: wp.array(dtype=wp.uint8, ndim=4),
            reliefs: wp.array(dtype=float, ndim=3), origin: wp.vec3, direction: wp.vec3):
    """The bed's surface, its side, the floor below, or a wall, along a ray."""
    s = Surface()
    s.z = 20.0
    s.open_sky = 1.0
    s.normal = wp.vec3(0.0, 0.0, 1.0)
    s.colour = wp.vec3(0.5, 0.5, 0.5)
    if direction[2] < -1.0e-3:
        s.z = -origin[2] / direction[2]
    q = origin + direction * s.z
    bed = on_mattress(look, q[0], q[1])
    if direction[2] < -1.0e-3 and wp.abs(bed[0]) < look.mattress[0] and wp.abs(
            bed[1]) < look.mattress[1]:
        return mattress_at(look, bank, reliefs, s.z, q, bed)
    if direction[2] < -1.0e-3:
        s.z = -(origin[2] + look.drop_m) / direction[2]
        s.p = origin + direction * s.z
        low = on_mattress(look, s.p[0], s.p[1])
        gap = wp.max(wp.abs(low[0]) - look.mattress[0], wp.abs(low[1]) - look.mattress[1])
        if gap < 0.0:
            s.colour = fabric_at(bank, look.sheet, low[0] * 2.0, low[1] * 2.0) * 0.62
            s.open_sky = 0.6
        else:
            s.colour = fabric_at(bank, look.floor, low[0] * look.floor_scale,
                                 low[1] * look.floor_scale) * 0.8
            s.open_sky = 0.35 + 0.65 * wp.clamp(gap / (0.05 + look.drop_m), 0.0, 1.0)
    else:
        s.z = 40.0
        s.p = origin + direction * s.z
    for k in range(2):
        wall = wall_at(look, bank, origin, direction, k, s.z)
        if wall.z > 0.0:
            s.z = wall.z
            s.p = wall.p
            s.normal = wall.normal
            s.colour = wall.colour
            s.open_sky = wall.open_sky
    return s


@wp.func
def decoded(value: float):
    """Linear light of an sRGB value, within 0.005: a polynomial instead of a power."""
    v = wp.max(value, 0.0)
    return v * v * (0.77 + 0.23 * v)


@wp.func
def crease_of(t: Tailor, blotch: float):
    """-1..1: folds of cloth that gather at elbows, knees, hips, waist and shoulders."""
    elbow = wp.exp(-(t[0] - 0.5) * (t[0] - 0.5) * 60.0)
    if t[0] < 0.02:
        elbow = 0.0
    knee = wp.exp(-(t[1] - 0.5) * (t[1] - 0.5) * 60.0)
    hip = wp.exp(-(t[1] - 0.1) * (t[1] - 0.1) * 120.0) * 0.8
    waist = 0.35
    along = 75.0 * t[0] + 85.0 * t[1] + 110.0 * t[5] + 9.0 * blotch
    return wp.min(elbow + knee + hip + waist, 1.0) * wp.sin(along + 1.5 * t[8])


@wp.struct
class Material:
    """What a mesh is made of at a place.

    `cloth`: 2 knitted, 1 woven, 0.7 a nappy, 0 skin. `fold`: -1..1, how a fold bends it.
    `who`: owner of the pixel.
    """

    colour: wp.vec3
    cloth: float
    fold: float
    gloss: float
    who: int


@wp.func
def person_material(look: Look, dress: Dress, bank: wp.array(dtype=wp.uint8, ndim=4),
                    reliefs: wp.array(dtype=float, ndim=3), r: wp.vec3, row: Tailor):
    """Skin or clothes at the place `r` of the body at rest."""
    m = Material()
    m.who = dress.owner
    blotch = reliefs[look.relief, int(r[2] * 700.0 + r[1] * 300.0) & 255,
                     int(r[0] * 700.0 + r[1] * 400.0) & 255] - 0.5
    al = body_albedo(dress, bank, blotch, r, row)
    m.colour = wp.vec3(al[0], al[1], al[2])
    m.cloth = al[3]
    if m.cloth > 1.5:
        m.fold = 0.8 * wp.sin(r[0] * 500.0) + 0.3 * wp.sin(r[2] * 700.0)
    elif m.cloth > 0.5:
        m.fold = crease_of(row, blotch)
    else:
        m.gloss = 0.10
        if look.grey == 1:
            # Near infrared: skin of every tone is bright.
            m.colour = m.colour * 0.5 + wp.vec3(0.38, 0.38, 0.38)
    return m


@wp.func
def prop_material(look: Look, people: wp.array(dtype=Dress),
                  bank: wp.array(dtype=wp.uint8, ndim=4), fabric: int, repeat: float, r: wp.vec3):
    """A thing's fabric at its place `r`; below 0 the skin of the second person, or the first."""
    m = Material()
    m.who = 2
    m.cloth = 1.0
    if fabric < 0:
        m.colour = people[0].skin
        if look.num_people > 1:
            m.colour = people[1].skin
        m.cloth = 0.0
        m.gloss = 0.10
    else:
        m.colour = fabric_at(bank, fabric, r[0] * repeat, r[1] * repeat + r[2] * repeat)
    return m


@wp.func
def shares_of(a: wp.vec3, b: wp.vec3, c: wp.vec3, px: float, py: float, z: float):
    """Shares of a triangle's corners (px, px, depth) in the point behind a pixel, at depth z."""
    inverse = 1.0 / ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
    u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) * inverse
    v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) * inverse
    u = u * z / a[2]
    v = v * z / b[2]
    return wp.vec3(u, v, 1.0 - u - v)


@wp.func
def blend(values: wp.array(dtype=wp.vec3), face: wp.vec3i, share: wp.vec3):
    """Mean of a triangle's three values, weighted by the shares of its corners."""
    return (values[face[0]] * share[0] + values[face[1]] * share[1]
            + values[face[2]] * share[2])


@wp.func
def material_at(look: Look, people: wp.array(dtype=Dress), bank: wp.array(dtype=wp.uint8, ndim=4),
                reliefs: wp.array(dtype=float, ndim=3), tailor: wp.array(dtype=Tailor),
                face_fabric: wp.array(dtype=int), face_repeat: wp.array(dtype=float), t: int,
                face: wp.vec3i, share: wp.vec3, r: wp.vec3):
    """What face `t`, of people first and then of things, is made of at its place `r`."""
    body_faces = look.num_body_faces * look.num_people
    if t < body_faces:
        row = (tailor[face[0]] * share[0] + tailor[face[1]] * share[1]
               + tailor[face[2]] * share[2])
        return person_material(look, people[t / look.num_body_faces], bank, reliefs, r, row)
    return prop_material(look, people, bank, face_fabric[t - body_faces],
                         face_repeat[t - body_faces], r)


@wp.func
def wrinkled(look: Look, reliefs: wp.array(dtype=float, ndim=3), normal: wp.vec3, r: wp.vec3,
             fold: float):
    """Normal of cloth, bent by its relief at the place `r` and by a fold."""
    s = slope_at(reliefs, look.relief, r[0] * 2.3 + 0.1, r[2] * 2.3 + r[1] * 2.3)
    return wp.normalize(
        normal + look.light_right * ((s[0] * 3.0 + 0.30 * fold) * look.wrinkles)
        + look.light_down * ((s[1] * 3.0 + 0.18 * fold) * look.wrinkles))


@wp.func
def light_at(look: Look, moments: wp.array(dtype=wp.vec2, ndim=2), shadow_size: int,
             p: wp.vec3, normal: wp.vec3, open_sky: float):
    """Light (RGB) that a surface receives, and the share of the lamp's in it."""
    facing = wp.max(wp.dot(normal, look.light), 0.0)
    lit = facing * lit_share(look, moments, shadow_size, p)
    beam = wp.abs(p[0] * look.beam[0] + p[1] * look.beam[1] - look.beam[2])
    lit = lit * wp.clamp(look.beam_dark + (1.2 - beam) * 8.0, look.beam_dark, 1.0)
    hemisphere = 0.6 + 0.4 * normal[2]
    light = look.sun * (1.25 * lit) + look.ambient * (hemisphere * open_sky)
    light = light + look.fill * (wp.max(wp.dot(normal, look.fill_light), 0.0) * open_sky)
    return wp.vec4(light[0], light[1], light[2], lit)


@wp.func
def shine_of(look: Look, gloss: float, normal: wp.vec3, direction: wp.vec3):
    """The lamp's reflection towards the camera."""
    shine = 0.0
    if gloss > 0.0:
        half = wp.normalize(look.light - wp.normalize(direction))
        shine = gloss * wp.pow(wp.max(wp.dot(normal, half), 0.0), 24.0)
    return shine


@wp.func
def exposed(look: Look, ray: wp.vec3, width: int, colour: wp.vec3, light: wp.vec4, shine: float):
    """Linear RGB that reaches the sensor from a surface of an sRGB colour."""
    vx = ray[0] * look.focal[0] / float(width) * 2.0 - look.vignette_centre[0]
    vy = ray[1] * look.focal[1] / float(width) * 2.0 - look.vignette_centre[1]
    expose = 1.0 / (1.0 + look.vignette * (vx * vx + vy * vy))
    # albedo is sRGB: light multiplies in linear space
    linear = wp.vec3(
        (decoded(colour[0]) * light[0] + shine) * look.gain[0] * expose,
        (decoded(colour[1]) * light[1] + shine) * look.gain[1] * expose,
        (decoded(colour[2]) * light[2] + shine) * look.gain[2] * expose)
    if look.grey == 1:
        g = 0.4 * linear[0] + 0.4 * linear[1] + 0.2 * linear[2]
        linear = wp.vec3(g, g, g)
    return linear


@wp.func
def crowded(look: Look, crowding: wp.array(dtype=float, ndim=2), size: int, p: wp.vec3):
    """Share of the sky that a place of the bed sees past the bodies that stand on it."""
    share = 1.0
    if p[2] > -0.01 and p[2] < 0.03:
        tx = int((p[0] - look.top_origin[0]) * look.top_px_per_m)
        ty = int((p[1] - look.top_origin[1]) * look.top_px_per_m)
        if tx >= 0 and ty >= 0 and tx < size and ty < size:
            share = 1.0 - 0.6 * crowding[ty, tx]
    return share


@wp.kernel
def shade(pixels: wp.array(dtype=wp.int64), width: int, height: int,
          normals: wp.array(dtype=wp.vec3), rest: wp.array(dtype=wp.vec3),
          tailor: wp.array(dtype=Tailor), faces: wp.array(dtype=wp.vec3i),
          face_fabric: wp.array(dtype=int), face_repeat: wp.array(dtype=float),
          screen: wp.array(dtype=wp.vec3), look: Look, people: wp.array(dtype=Dress),
          bank: wp.array(dtype=wp.uint8, ndim=4), reliefs: wp.array(dtype=float, ndim=3),
          moments: wp.array(dtype=wp.vec2, ndim=2), shadow_size: int,
          crowding: wp.array(dtype=float, ndim=2), top_size: int,
          image: wp.array(dtype=wp.uint8, ndim=3), depth: wp.array(dtype=float, ndim=2),
          owner: wp.array(dtype=wp.uint8, ndim=2)):
    """Colour, depth (m) and owner (0 bedding, 1 the person, 2 other) of each pixel."""
    i = wp.tid()
    x = i % width
    y = i / width
    key = pixels[i]
    ray = wp.vec3((float(x) - look.centre[0]) / look.focal[0],
                  (float(y) - look.centre[1]) / look.focal[1], 1.0)
    to_world = wp.transpose(look.rotation)
    origin = to_world * (look.translation * -1.0)
    direction = to_world * ray
    back = bedding(look, bank, reliefs, origin, direction)
    m = Material()
    m.colour = back.colour
    z = 50.0
    if key != EMPTY_KEY:
        z = float(key >> wp.int64(32)) * 1.0e-6
    normal = back.normal
    p = back.p
    open_sky = back.open_sky
    if z < back.z:
        t = int(key & wp.int64(0xFFFFFFFF))
        face = faces[t]
        share = shares_of(screen[face[0]], screen[face[1]], screen[face[2]], float(x), float(y), z)
        p = origin + direction * z
        normal = wp.normalize(blend(normals, face, share))
        if wp.dot(normal, direction) > 0.0:
            normal = normal * -1.0
        r = blend(rest, face, share)
        m = material_at(look, people, bank, reliefs, tailor, face_fabric, face_repeat, t, face,
                        share, r)
        if m.cloth > 0.5:
            normal = wrinkled(look, reliefs, normal, r, m.fold)
            m.colour = m.colour * (1.0 + 0.10 * wp.min(m.fold, 0.0) * look.wrinkles)
        open_sky = 0.7 + 0.3 * wp.clamp(p[2] / 0.08, 0.0, 1.0)
    else:
        z = back.z
    if m.who == 0:
        open_sky = open_sky * crowded(look, crowding, top_size, p)
    light = light_at(look, moments, shadow_size, p, normal, open_sky)
    shine = shine_of(look, m.gloss * light[3], normal, direction)
    linear = exposed(look, ray, width, m.colour, light, shine)
    power = look.gamma / 2.2
    for k in range(3):
        value = wp.pow(wp.max(linear[k], 0.0), power)
        image[y, x, k] = wp.uint8(wp.clamp(value, 0.0, 1.0) * 255.0)
    depth[y, x] = z
    owner[y, x] = wp.uint8(m.who)


@wp.kernel
def sense(image: wp.array(dtype=wp.uint8, ndim=3), width: int, read: float, shot: float,
          grey: int, seed: int, normal: wp.array(dtype=wp.vec4)):
    """Noise of a sensor: a part that grows with the square root of light, and a steady one.

    `normal`: `NOISE_SIZE` draws of four normal numbers; every row starts at a place of its own.
    """
    i = wp.tid()
    x = i % width
    y = i / width
    state = wp.rand_init(seed, y)
    draw = normal[(x + wp.randi(state, 0, NOISE_SIZE)) & (NOISE_SIZE - 1)]
    for k in range(3):
        value = float(image[y, x, k]) / 255.0
        strength = wp.sqrt(read * read + shot * shot * value)
        noise = draw[3]
        if grey == 0:
            noise = 0.75 * draw[3] + 0.65 * draw[k]
        image[y, x, k] = wp.uint8(wp.clamp(value + strength * noise, 0.0, 1.0) * 255.0 + 0.5)
