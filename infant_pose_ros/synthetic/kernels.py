"""Warp kernels of the renderer: the same code runs on a CPU and on CUDA."""

from __future__ import annotations

import warp as wp

EMPTY_PIXEL = 0x7FFFFFFFFFFFFFFF


@wp.struct
class Look:
    """What the shading kernel needs to know of a scene; see `Scene` for the meanings."""

    rotation: wp.mat33
    translation: wp.vec3
    focal: wp.vec2
    centre: wp.vec2
    light: wp.vec3
    sun: wp.vec3
    ambient: wp.vec3
    light_right: wp.vec3
    light_down: wp.vec3
    light_origin: wp.vec3
    shadow_px_per_m: float
    top_origin: wp.vec2
    top_px_per_m: float
    sheet: int
    sheet_scale: float
    sheet_angle: float
    floor: int
    mattress: wp.vec2
    relief: int
    folds: float
    wrinkles: float
    skin: wp.vec3
    hair: wp.vec3
    hairline: float
    eyes_open: int
    sleeve: float
    trousers: float
    waist: float
    neckline: float
    feet: int
    mittens: int
    hat: int
    sock: float
    upper: int
    lower: int
    extra: int
    repeat: float
    shift: wp.vec2
    gain: wp.vec3
    gamma: float
    noise: float
    grey: int
    seed: int
    num_body_faces: int


@wp.kernel
def vertex_normals(vertices: wp.array(dtype=wp.vec3), faces: wp.array(dtype=wp.vec3i),
                   normals: wp.array(dtype=wp.vec3)):
    """Add each face's area-weighted normal to its vertices."""
    face = faces[wp.tid()]
    a = vertices[face[0]]
    normal = wp.cross(vertices[face[1]] - a, vertices[face[2]] - a)
    for k in range(3):
        wp.atomic_add(normals, face[k], normal)


@wp.kernel
def inflate(vertices: wp.array(dtype=wp.vec3), normals: wp.array(dtype=wp.vec3),
            offsets: wp.array(dtype=float)):
    """Move vertices along their normals: cloth."""
    i = wp.tid()
    vertices[i] = vertices[i] + wp.normalize(normals[i]) * offsets[i]


@wp.kernel
def to_camera(vertices: wp.array(dtype=wp.vec3), look: Look, screen: wp.array(dtype=wp.vec3)):
    """World to (x px, y px, depth m)."""
    i = wp.tid()
    p = look.rotation * vertices[i] + look.translation
    z = p[2]
    if z < 0.02:
        screen[i] = wp.vec3(0.0, 0.0, -1.0)
    else:
        screen[i] = wp.vec3(look.focal[0] * p[0] / z + look.centre[0],
                            look.focal[1] * p[1] / z + look.centre[1], z)


@wp.kernel
def to_light(vertices: wp.array(dtype=wp.vec3), look: Look, half: float,
             screen: wp.array(dtype=wp.vec3)):
    """World to the shadow map: (x px, y px, distance from the lamp's plane m)."""
    i = wp.tid()
    p = vertices[i] - look.light_origin
    screen[i] = wp.vec3(wp.dot(p, look.light_right) * look.shadow_px_per_m + half,
                        wp.dot(p, look.light_down) * look.shadow_px_per_m + half,
                        10.0 - wp.dot(p, look.light))


@wp.kernel
def rasterise(screen: wp.array(dtype=wp.vec3), faces: wp.array(dtype=wp.vec3i), width: int,
              height: int, pixels: wp.array(dtype=wp.int64)):
    """Write (depth in micrometres, face) of the nearest face into each pixel."""
    t = wp.tid()
    face = faces[t]
    a = screen[face[0]]
    b = screen[face[1]]
    c = screen[face[2]]
    if a[2] <= 0.0 or b[2] <= 0.0 or c[2] <= 0.0:
        return
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    if wp.abs(area) < 1.0e-9:
        return
    x0 = wp.max(0, int(wp.ceil(wp.min(a[0], wp.min(b[0], c[0])))))
    x1 = wp.min(width - 1, int(wp.floor(wp.max(a[0], wp.max(b[0], c[0])))))
    y0 = wp.max(0, int(wp.ceil(wp.min(a[1], wp.min(b[1], c[1])))))
    y1 = wp.min(height - 1, int(wp.floor(wp.max(a[1], wp.max(b[1], c[1])))))
    inverse = 1.0 / area
    for y in range(y0, y1 + 1):
        for x in range(x0, x1 + 1):
            px = float(x)
            py = float(y)
            u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) * inverse
            v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) * inverse
            w = 1.0 - u - v
            if u >= 0.0 and v >= 0.0 and w >= 0.0:
                depth = 1.0 / (u / a[2] + v / b[2] + w / c[2])
                key = (wp.int64(depth * 1.0e6) << wp.int64(32)) | wp.int64(t)
                wp.atomic_min(pixels, y * width + x, key)


@wp.func
def texel(bank: wp.array(dtype=wp.uint8, ndim=4), k: int, x: int, y: int):
    """Colour 0..1 of one cell of a fabric."""
    return wp.vec3(float(bank[k, y & 255, x & 255, 0]), float(bank[k, y & 255, x & 255, 1]),
                   float(bank[k, y & 255, x & 255, 2])) / 255.0


@wp.func
def fabric_at(bank: wp.array(dtype=wp.uint8, ndim=4), k: int, u: float, v: float):
    """Bilinear, repeating every 1 in u and v."""
    x = (u - wp.floor(u)) * 256.0
    y = (v - wp.floor(v)) * 256.0
    i = int(x)
    j = int(y)
    fx = x - float(i)
    fy = y - float(j)
    return ((texel(bank, k, i, j) * (1.0 - fx) + texel(bank, k, i + 1, j) * fx) * (1.0 - fy)
            + (texel(bank, k, i, j + 1) * (1.0 - fx) + texel(bank, k, i + 1, j + 1) * fx) * fy)


@wp.func
def slope_at(reliefs: wp.array(dtype=float, ndim=3), k: int, u: float, v: float):
    """Slope of a relief along u and v."""
    i = int((u - wp.floor(u)) * 256.0)
    j = int((v - wp.floor(v)) * 256.0)
    return wp.vec2(reliefs[k, j & 255, (i + 2) & 255] - reliefs[k, j & 255, (i - 2) & 255],
                   reliefs[k, (j + 2) & 255, i & 255] - reliefs[k, (j - 2) & 255, i & 255])


@wp.func
def lit_share(look: Look, moments: wp.array(dtype=wp.vec2, ndim=2), size: int, p: wp.vec3):
    """Share of the lamp that reaches `p`: Chebyshev's bound on blurred depth moments."""
    q = p - look.light_origin
    x = wp.dot(q, look.light_right) * look.shadow_px_per_m + float(size) * 0.5
    y = wp.dot(q, look.light_down) * look.shadow_px_per_m + float(size) * 0.5
    depth = -wp.dot(q, look.light) - 0.004
    i = int(wp.floor(x))
    j = int(wp.floor(y))
    if i < 0 or j < 0 or i >= size - 1 or j >= size - 1:
        return 1.0
    fx = x - float(i)
    fy = y - float(j)
    m = ((moments[j, i] * (1.0 - fx) + moments[j, i + 1] * fx) * (1.0 - fy)
         + (moments[j + 1, i] * (1.0 - fx) + moments[j + 1, i + 1] * fx) * fy)
    behind = depth - m[0]
    if behind <= 0.0:
        return 1.0
    variance = wp.max(m[1] - m[0] * m[0], 1.0e-5)
    bound = variance / (variance + behind * behind)
    return wp.clamp((bound - 0.15) / 0.85, 0.0, 1.0)


@wp.func
def body_albedo(look: Look, bank: wp.array(dtype=wp.uint8, ndim=4),
                reliefs: wp.array(dtype=float, ndim=3), rest: wp.vec3, arm: float, leg: float,
                head: float, hand: float, foot: float, height: float, front: float, eye: float):
    """Colour of the body: skin, hair, eyes or cloth; the fourth number is 1 on cloth."""
    covered = -1
    torso = arm < 0.02 and leg < 0.14
    if look.sleeve >= 0.0 and head < look.neckline and hand < 0.4:
        if (torso and height >= look.waist) or (arm >= 0.02 and arm <= look.sleeve):
            covered = look.upper
    if arm < 0.02 and height < look.waist and leg <= look.trousers:
        if foot < 0.5 or look.feet == 1:
            covered = look.lower
    if look.sock < 1.5 and (leg > look.sock or foot > 0.5):
        covered = look.extra
    if look.mittens == 1 and hand > 0.3:
        covered = look.extra
    if look.hat == 1 and head > 0.9 and height > 0.89 + 0.05 * front:
        covered = look.extra
    u = rest[0] * look.repeat + look.shift[0]
    v = rest[2] * look.repeat + look.shift[1] + 0.35 * rest[1] * look.repeat
    if covered >= 0:
        c = fabric_at(bank, covered, u, v)
        return wp.vec4(c[0], c[1], c[2], 1.0)
    blotch = reliefs[look.relief, int(v * 40.0) & 255, int(u * 40.0) & 255] - 0.5
    colour = look.skin * (1.0 + 0.10 * blotch)
    red = 0.05 * wp.max(wp.max(hand, foot), 0.3 * head)
    colour = wp.vec3(colour[0] + red, colour[1] - 0.3 * red, colour[2] - 0.3 * red)
    if head > 0.9 and height > look.hairline + 0.035 * front + 0.04 * blotch:
        colour = look.hair * (1.0 + 0.6 * blotch)
    if eye > 0.5:
        if look.eyes_open == 1:
            colour = wp.vec3(0.12, 0.09, 0.08)
        else:
            colour = look.skin * 0.75
    return wp.vec4(colour[0], colour[1], colour[2], 0.0)


@wp.kernel
def shade(pixels: wp.array(dtype=wp.int64), width: int, height: int,
          vertices: wp.array(dtype=wp.vec3), normals: wp.array(dtype=wp.vec3),
          rest: wp.array(dtype=wp.vec3), tailor: wp.array(dtype=float, ndim=2),
          faces: wp.array(dtype=wp.vec3i), face_fabric: wp.array(dtype=int),
          face_repeat: wp.array(dtype=float), screen: wp.array(dtype=wp.vec3), look: Look,
          bank: wp.array(dtype=wp.uint8, ndim=4), reliefs: wp.array(dtype=float, ndim=3),
          moments: wp.array(dtype=wp.vec2, ndim=2), shadow_size: int,
          crowding: wp.array(dtype=float, ndim=2), top_size: int,
          image: wp.array(dtype=wp.uint8, ndim=3), depth: wp.array(dtype=float, ndim=2),
          owner: wp.array(dtype=wp.uint8, ndim=2)):
    """Colour, depth (m) and owner (0 bedding, 1 infant, 2 prop) of each pixel."""
    i = wp.tid()
    x = i % width
    y = i / width
    key = pixels[i]
    ray = wp.vec3((float(x) - look.centre[0]) / look.focal[0],
                  (float(y) - look.centre[1]) / look.focal[1], 1.0)
    to_world = wp.transpose(look.rotation)
    origin = to_world * (look.translation * -1.0)
    direction = to_world * ray
    colour = wp.vec3(0.0, 0.0, 0.0)
    normal = wp.vec3(0.0, 0.0, 1.0)
    p = wp.vec3(0.0, 0.0, 0.0)
    z = 20.0
    who = 0
    open_sky = 1.0
    plane = 20.0
    if direction[2] < -1.0e-3:
        plane = -origin[2] / direction[2]
    if key != wp.int64(0x7FFFFFFFFFFFFFFF):
        z = float(key >> wp.int64(32)) * 1.0e-6
    if z < plane:
        t = int(key & wp.int64(0xFFFFFFFF))
        face = faces[t]
        a = screen[face[0]]
        b = screen[face[1]]
        c = screen[face[2]]
        inverse = 1.0 / ((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))
        px = float(x)
        py = float(y)
        u = ((b[0] - px) * (c[1] - py) - (b[1] - py) * (c[0] - px)) * inverse
        v = ((c[0] - px) * (a[1] - py) - (c[1] - py) * (a[0] - px)) * inverse
        u = u * z / a[2]
        v = v * z / b[2]
        w = 1.0 - u - v
        p = origin + direction * z
        normal = wp.normalize(normals[face[0]] * u + normals[face[1]] * v + normals[face[2]] * w)
        if wp.dot(normal, direction) > 0.0:
            normal = normal * -1.0
        r = rest[face[0]] * u + rest[face[1]] * v + rest[face[2]] * w
        cloth = 1.0
        if t < look.num_body_faces:
            who = 1
            al = body_albedo(
                look, bank, reliefs, r,
                tailor[face[0], 0] * u + tailor[face[1], 0] * v + tailor[face[2], 0] * w,
                tailor[face[0], 1] * u + tailor[face[1], 1] * v + tailor[face[2], 1] * w,
                tailor[face[0], 2] * u + tailor[face[1], 2] * v + tailor[face[2], 2] * w,
                tailor[face[0], 3] * u + tailor[face[1], 3] * v + tailor[face[2], 3] * w,
                tailor[face[0], 4] * u + tailor[face[1], 4] * v + tailor[face[2], 4] * w,
                tailor[face[0], 5] * u + tailor[face[1], 5] * v + tailor[face[2], 5] * w,
                tailor[face[0], 6] * u + tailor[face[1], 6] * v + tailor[face[2], 6] * w,
                tailor[face[0], 7] * u + tailor[face[1], 7] * v + tailor[face[2], 7] * w)
            colour = wp.vec3(al[0], al[1], al[2])
            cloth = al[3]
        else:
            who = 2
            fabric = face_fabric[t - look.num_body_faces]
            if fabric < 0:
                colour = wp.vec3(0.72, 0.52, 0.43)
                cloth = 0.0
            else:
                rep = face_repeat[t - look.num_body_faces]
                colour = fabric_at(bank, fabric, r[0] * rep, r[1] * rep + r[2] * rep)
        if cloth > 0.5:
            s = slope_at(reliefs, look.relief, r[0] * 2.3 + 0.1, r[2] * 2.3 + r[1] * 2.3)
            normal = wp.normalize(
                normal + look.light_right * (s[0] * look.wrinkles * 3.0)
                + look.light_down * (s[1] * look.wrinkles * 3.0))
        open_sky = 0.75 + 0.25 * wp.clamp(p[2] / 0.08, 0.0, 1.0)
    else:
        z = plane
        p = origin + direction * z
        ca = wp.cos(look.sheet_angle)
        sa = wp.sin(look.sheet_angle)
        u2 = ca * p[0] - sa * p[1]
        v2 = sa * p[0] + ca * p[1]
        if wp.abs(u2) < look.mattress[0] and wp.abs(v2) < look.mattress[1]:
            colour = fabric_at(bank, look.sheet, u2 * look.sheet_scale, v2 * look.sheet_scale)
            s2 = slope_at(reliefs, look.relief, u2 * 1.7, v2 * 1.7)
            normal = wp.normalize(wp.vec3(-s2[0] * look.folds * 3.0, -s2[1] * look.folds * 3.0,
                                          1.0))
        else:
            colour = fabric_at(bank, look.floor, u2 * 1.3, v2 * 1.3) * 0.7
        tx = int((p[0] - look.top_origin[0]) * look.top_px_per_m)
        ty = int((p[1] - look.top_origin[1]) * look.top_px_per_m)
        if tx >= 0 and ty >= 0 and tx < top_size and ty < top_size:
            open_sky = 1.0 - 0.55 * crowding[ty, tx]
    facing = wp.max(wp.dot(normal, look.light), 0.0)
    lit = facing * lit_share(look, moments, shadow_size, p)
    hemisphere = 0.6 + 0.4 * normal[2]
    light = look.sun * (1.25 * lit) + look.ambient * (hemisphere * open_sky)
    # albedo is sRGB: light multiplies in linear space
    linear = wp.vec3(wp.pow(wp.max(colour[0], 0.0), 2.2) * light[0] * look.gain[0],
                     wp.pow(wp.max(colour[1], 0.0), 2.2) * light[1] * look.gain[1],
                     wp.pow(wp.max(colour[2], 0.0), 2.2) * light[2] * look.gain[2])
    if look.grey == 1:
        g = 0.35 * linear[0] + 0.45 * linear[1] + 0.2 * linear[2]
        linear = wp.vec3(g, g, g)
    state = wp.rand_init(look.seed, i)
    shared_noise = wp.randn(state) * look.noise
    power = look.gamma / 2.2
    for k in range(3):
        value = wp.pow(wp.max(linear[k], 0.0), power) + shared_noise
        if look.grey == 0:
            value = value + 0.6 * look.noise * wp.randn(state)
        image[y, x, k] = wp.uint8(wp.clamp(value, 0.0, 1.0) * 255.0)
    depth[y, x] = z
    owner[y, x] = wp.uint8(who)
