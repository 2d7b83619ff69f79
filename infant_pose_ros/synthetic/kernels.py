"""Warp kernels of the renderer (geometry, shadows, textures): the same on a CPU and on CUDA."""

from __future__ import annotations

import warp as wp

#: What `rasterise` leaves where no face is: for NumPy, and for kernels.
EMPTY_PIXEL = 0x7FFFFFFFFFFFFFFF
EMPTY_KEY = wp.constant(wp.int64(EMPTY_PIXEL))

#: How many numbers the tailor keeps for a vertex; see `tailor.tailor_columns`.
Tailor = wp.types.vector(length=12, dtype=float)


@wp.struct
class Look:
    """What the kernels need to know of a scene; see `Scene` for the meanings."""

    rotation: wp.mat33
    translation: wp.vec3
    focal: wp.vec2
    centre: wp.vec2
    light: wp.vec3
    sun: wp.vec3
    ambient: wp.vec3
    fill: wp.vec3
    fill_light: wp.vec3
    beam: wp.vec3
    beam_dark: float
    light_right: wp.vec3
    light_down: wp.vec3
    light_origin: wp.vec3
    shadow_px_per_m: float
    top_origin: wp.vec2
    top_px_per_m: float
    sheet: int
    sheet_scale: float
    sheet_angle: float
    sheet_centre: wp.vec2
    floor: int
    floor_scale: float
    drop_m: float
    wall: int
    wall_m: float
    pad: int
    pad_box: wp.vec4
    pad_angle: float
    mattress: wp.vec2
    relief: int
    folds: float
    creases: float
    wrinkles: float
    gain: wp.vec3
    gamma: float
    vignette: float
    vignette_centre: wp.vec2
    grey: int
    num_body_faces: int
    num_people: int


@wp.struct
class Dress:
    """Looks of one person; see `Outfit` and `Complexion` for the meanings."""

    owner: int
    sleeve: float
    trousers: float
    waist: float
    neckline: float
    feet: int
    mitten_left: int
    mitten_right: int
    sock_left: float
    sock_right: float
    fastening: int
    bib: int
    hat: int
    hat_line: float
    hat_slope: float
    hat_rim: float
    upper: int
    lower: int
    extra: int
    hat_fabric: int
    repeat: float
    shift: wp.vec2
    skin: wp.vec3
    hair: wp.vec3
    iris: wp.vec3
    redness: float
    mottle: float
    hands: float
    hair_kind: int
    hairline: float
    eyes_open: int
    mouth_open: int
    brows: float
    pacifier: int


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
    # Shadows fade out where the map ends.
    rim = wp.min(wp.min(x, float(size) - x), wp.min(y, float(size) - y)) / (0.12 * float(size))
    share = wp.clamp((bound - 0.15) / 0.85, 0.0, 1.0)
    return 1.0 - (1.0 - share) * wp.clamp(rim, 0.0, 1.0)
