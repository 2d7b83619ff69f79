"""What stays the same while a clip runs: clothes, skin, bedding, props, light, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic.body import clothing_map

#: Darkest and lightest skin, sRGB 0..1, between which tones are mixed.
_SKIN_DARK, _SKIN_LIGHT = np.array([0.23, 0.14, 0.10]), np.array([0.96, 0.80, 0.70])
_HAIR = np.array([
    [0.06, 0.05, 0.05], [0.20, 0.13, 0.08], [0.45, 0.30, 0.16], [0.75, 0.62, 0.40]])


@dataclass(frozen=True, eq=False)
class Outfit:
    """Clothes, in the terms of `ClothingMap`: how far each covers; fabrics index the bank.

    Attributes:
        sleeve: covered share of the arm, -1 for no upper garment. trousers: share of the leg.
        waist: height 0..1 at which the upper garment meets the lower.
        neckline: `head` share up to which the upper garment reaches.
        feet, mittens, hat: covered or not.
        sock: share of the leg beyond which socks begin, 2 for none.
        nappy: thickness of the nappy, m. thickness: of the cloth, m.
        upper, lower, extra: fabrics of the top, of the bottom, and of socks, mittens and hat.
        repeat: fabric repeats over one body length.
    """

    sleeve: float
    trousers: float
    waist: float
    neckline: float
    feet: bool
    mittens: bool
    hat: bool
    sock: float
    nappy: float
    thickness: float
    upper: int
    lower: int
    extra: int
    repeat: float

    @classmethod
    def sample(cls, rng: np.random.Generator, fabrics: int) -> Outfit:
        """Draw a nappy alone, a bodysuit, a sleepsuit, top and trousers, or nothing at all."""
        kind = rng.choice(['nappy', 'bodysuit', 'sleepsuit', 'two_piece', 'bare'],
                          p=[0.24, 0.27, 0.25, 0.21, 0.03])
        upper, lower, extra = (int(i) for i in rng.integers(0, fabrics, 3))
        sleeve, trousers, feet, waist = -1.0, 0.13, False, rng.uniform(0.50, 0.57)
        if kind == 'bodysuit':
            sleeve, lower = float(rng.choice([0.05, rng.uniform(0.2, 0.4), 0.97])), upper
        elif kind == 'sleepsuit':
            sleeve, trousers, feet, lower = rng.uniform(0.85, 1.0), 1.2, rng.random() < 0.7, upper
        elif kind == 'two_piece':
            sleeve, trousers = rng.uniform(0.1, 1.0), rng.uniform(0.25, 1.0)
            feet = trousers > 0.9 and rng.random() < 0.3
        elif kind == 'bare':
            trousers = -1.0
        return cls(
            float(sleeve), float(trousers), float(waist), float(rng.uniform(0.05, 0.5)),
            bool(feet), bool(rng.random() < 0.1), bool(rng.random() < 0.1),
            float(rng.uniform(0.75, 0.95)) if rng.random() < 0.3 else 2.0,
            float(rng.uniform(0.003, 0.016)) if kind != 'bare' else 0.0,
            float(rng.uniform(0.001, 0.006)), upper, lower, extra, float(rng.uniform(1.5, 6.0)))

    def offsets_m(self) -> np.ndarray:
        """(V,) how far cloth stands off the skin, m."""
        where = clothing_map()
        torso = (where.arm < 0.02) & (where.leg < 0.14)
        top = (self.sleeve >= 0) & (where.head < self.neckline) & (where.hand < 0.4) & (
            (torso & (where.height >= self.waist))
            | ((where.arm >= 0.02) & (where.arm <= self.sleeve)))
        bottom = (where.arm < 0.02) & (where.height < self.waist) & (
            where.leg <= self.trousers) & ((where.foot < 0.5) | self.feet)
        sock = (where.leg > self.sock) | ((where.foot > 0.5) & (self.sock < 1.5))
        offset = self.thickness * (top | bottom | sock)
        around = np.exp(-((where.height - 0.47) / 0.05) ** 2) * (where.arm < 0.02) * (
            where.leg < 0.3)
        return (offset + self.nappy * around * (self.trousers > 0)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Prop:
    """A thing in the cot: `vertices_m` (V, 3), `faces` (T, 3), fabric index or -1 for skin."""

    vertices_m: np.ndarray
    faces: np.ndarray
    fabric: int
    repeat: float


@dataclass(frozen=True, eq=False)
class Blanket:
    """A cloth over the part of the infant beyond `edge_m` along direction `towards` (2,)."""

    towards: np.ndarray
    edge_m: float
    fabric: int


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything but the body. World axes: z up, mattress at z = 0; angles in rad.

    Attributes:
        camera: intrinsics. world_to_camera: (3, 4), optical axes.
        light: (3,) unit vector towards the lamp. sun, ambient: (3,) RGB strength.
        shadow_blur: px of the shadow map. sheet, floor: fabrics; sheet_scale: repeats a metre.
        mattress_m: half sizes of the sheet (x, y). folds: strength of the sheet's relief.
        skin, hair: (3,) RGB 0..1. hairline: height from which hair grows, 2: bald.
        grey: an infrared-like picture. noise: sensor noise, 0..1. gain: (3,) RGB. gamma: tone.
        blur_px: lens blur. motion_px: (2,) motion blur. jpeg: quality.
    """

    camera: Camera
    world_to_camera: np.ndarray
    outfit: Outfit
    light: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    shadow_blur: int
    sheet: int
    sheet_scale: float
    sheet_angle: float
    floor: int
    mattress_m: np.ndarray
    relief: int
    folds: float
    wrinkles: float
    skin: np.ndarray
    hair: np.ndarray
    hairline: float
    eyes_open: bool
    grey: bool
    noise: float
    gain: np.ndarray
    gamma: float
    blur_px: float
    jpeg: int
    props: tuple[Prop, ...] = ()
    blanket: Blanket | None = None
    seed: int = 0
    body_fabric_shift: np.ndarray = field(default_factory=lambda: np.zeros(2))


def look_at(position_m: np.ndarray, target_m: np.ndarray, roll_rad: float) -> np.ndarray:
    """World-to-camera matrix (3, 4) of a camera that looks at `target_m`, rolled."""
    forward = target_m - position_m
    forward = forward / np.linalg.norm(forward)
    helper = np.array([0.0, 1.0, 0.0]) if abs(forward[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    cos, sin = np.cos(roll_rad), np.sin(roll_rad)
    rotation = np.stack([cos * right + sin * down, cos * down - sin * right, forward])
    return np.hstack([rotation, -(rotation @ position_m)[:, None]])


def sample_camera(rng: np.random.Generator, keypoints_m: np.ndarray, size_wh: tuple[int, int],
                  intrinsics: Camera | None = None) -> tuple[Camera, np.ndarray]:
    """A camera above the infant that sees it, often off the centre, at any roll.

    Args:
        keypoints_m: (F, 16, 3) of the whole clip, world. size_wh: picture, px.
        intrinsics: of the camera, where they are fixed; drawn otherwise.
    """
    width, height = size_wh
    focal = width * rng.uniform(0.75, 1.35)
    centre = np.array([width, height]) * (0.5 + rng.normal(0, 0.01, 2))
    camera = Camera(focal, focal * rng.uniform(0.99, 1.01), *centre, width, height)
    if intrinsics is not None:
        camera, focal, width, height = intrinsics, intrinsics.fx, intrinsics.width, intrinsics.height
    points = keypoints_m.reshape(-1, 3)
    middle = (points.min(0) + points.max(0)) / 2
    extent = float(np.linalg.norm(np.ptp(keypoints_m[0], axis=0)[:2]))
    share = rng.uniform(0.4, 1.0)
    distance = np.clip(focal * extent / (share * height), 0.35, 2.5)
    tilt, azimuth = abs(rng.normal(0, np.deg2rad(18))), rng.uniform(-np.pi, np.pi)
    tilt = min(tilt, np.deg2rad(50))
    towards = np.array([np.sin(tilt) * np.cos(azimuth), np.sin(tilt) * np.sin(azimuth),
                        np.cos(tilt)])
    free = max(0.02, 0.5 * distance * height / focal - extent / 2)
    target = middle + np.append(rng.uniform(-1, 1, 2) * 0.8 * free, 0.0)
    return camera, look_at(target + distance * towards, target, rng.uniform(-np.pi, np.pi))


def _capsule(start: np.ndarray, end: np.ndarray, radii: tuple[float, float]
             ) -> tuple[np.ndarray, np.ndarray]:
    """A rounded limb between two points: vertices and faces."""
    axis = end - start
    length = np.linalg.norm(axis)
    axis = axis / length
    side = np.cross(axis, [0.3, 0.5, 0.8])
    side /= np.linalg.norm(side)
    other = np.cross(axis, side)
    rings, segments = 14, 16
    share = np.concatenate([[-radii[0] / length], np.linspace(0, 1, rings - 2),
                            [1 + radii[1] / length]])
    radius = np.interp(share, [0, 1], radii)
    radius[[0, -1]] = 0.05 * radius[[0, -1]]
    turn = np.arange(segments) * 2 * np.pi / segments
    circle = np.cos(turn)[:, None] * side + np.sin(turn)[:, None] * other
    vertices = (start + share[:, None, None] * length * axis
                + radius[:, None, None] * circle[None]).reshape(-1, 3)
    i, j = np.mgrid[:rings - 1, :segments]
    a, b = i * segments + j, i * segments + (j + 1) % segments
    faces = np.concatenate([np.stack([a, b, a + segments], -1).reshape(-1, 3),
                            np.stack([b, b + segments, a + segments], -1).reshape(-1, 3)])
    return vertices, faces


def _ball(rng: np.random.Generator, centre: np.ndarray, radii: np.ndarray
          ) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid or, with a high exponent, a soft box."""
    rings, segments, power = 13, 20, rng.choice([1.0, 1.0, 0.4])
    up, around = np.meshgrid(np.linspace(-np.pi / 2, np.pi / 2, rings),
                             np.arange(segments) * 2 * np.pi / segments, indexing='ij')
    shaped = [np.sign(v) * np.abs(v) ** power for v in (
        np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up))]
    turn = rng.uniform(0, 2 * np.pi)
    x, y = shaped[0] * radii[0], shaped[1] * radii[1]
    vertices = np.stack([np.cos(turn) * x - np.sin(turn) * y, np.sin(turn) * x + np.cos(turn) * y,
                         shaped[2] * radii[2]], -1).reshape(-1, 3) + centre
    i, j = np.mgrid[:rings - 1, :segments]
    a, b = i * segments + j, i * segments + (j + 1) % segments
    faces = np.concatenate([np.stack([a, b, a + segments], -1).reshape(-1, 3),
                            np.stack([b, b + segments, a + segments], -1).reshape(-1, 3)])
    return vertices, faces


def sample_props(rng: np.random.Generator, keypoints_m: np.ndarray, fabrics: int
                 ) -> tuple[Prop, ...]:
    """Toys and cushions around the infant, at times an adult's arm that reaches in, or a tube."""
    middle = keypoints_m.reshape(-1, 3).mean(0)
    reach = float(np.abs(keypoints_m.reshape(-1, 3)[:, :2] - middle[:2]).max())
    props = []
    for _ in range(rng.choice([0, 1, 2, 3, 5], p=[0.3, 0.25, 0.2, 0.15, 0.1])):
        radii = rng.uniform(0.02, 0.10, 3) * [1, 1, 0.6]
        angle, away = rng.uniform(0, 2 * np.pi), reach * rng.uniform(0.5, 1.8)
        centre = np.array([middle[0] + away * np.cos(angle), middle[1] + away * np.sin(angle),
                           radii[2] * 0.8])
        props.append(Prop(*_ball(rng, centre, radii), int(rng.integers(fabrics)),
                          rng.uniform(2, 12)))
    if rng.random() < 0.15:
        angle = rng.uniform(0, 2 * np.pi)
        outside = middle + [1.6 * reach * np.cos(angle), 1.6 * reach * np.sin(angle), 0.3]
        hand = middle + np.append(rng.normal(0, 0.45 * reach, 2), rng.uniform(0.08, 0.16))
        wrist = hand + 0.28 * (outside - hand)
        skin = int(rng.integers(fabrics)) if rng.random() < 0.35 else -1
        props.append(Prop(*_capsule(outside, wrist, (0.048, 0.030)), skin, 4.0))
        props.append(Prop(*_capsule(wrist, hand, (0.034, 0.024)), -1, 4.0))
    if rng.random() < 0.12:
        start = middle + np.append(rng.normal(0, 0.3 * reach, 2), 0.12)
        end = middle + np.append(rng.normal(0, 1.5 * reach, 2), 0.02)
        props.append(Prop(*_capsule(start, end, (0.003, 0.003)), int(rng.integers(fabrics)), 1.0))
    return tuple(props)


def _sample_light(rng: np.random.Generator) -> dict:
    elevation, azimuth = np.deg2rad(rng.uniform(25, 88)), rng.uniform(0, 2 * np.pi)
    light = np.array([np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth),
                      np.sin(elevation)])
    warmth = rng.normal(0, 0.10)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    strength = rng.uniform(0.25, 0.95)
    return {'light': light, 'sun': strength * tint,
            'ambient': (1.0 - 0.7 * strength) * np.array([1 - warmth, 1.0, 1 + warmth])}


def sample_scene(rng: np.random.Generator, keypoints_m: np.ndarray, size_wh: tuple[int, int],
                 fabrics: int, reliefs: int, intrinsics: Camera | None = None) -> Scene:
    """Draw a scene around an infant whose keypoints over the clip are (F, 16, 3), world."""
    camera, world_to_camera = sample_camera(rng, keypoints_m, size_wh, intrinsics)
    tone = rng.beta(1.3, 1.0)
    skin = _SKIN_DARK + tone * (_SKIN_LIGHT - _SKIN_DARK) + rng.normal(0, 0.02, 3)
    grey = rng.random() < 0.10
    dark = rng.random() < 0.15
    exposure = rng.uniform(0.35, 0.7) if dark else rng.uniform(0.75, 1.35)
    blanket = None
    if rng.random() < 0.13:
        angle = rng.uniform(0, 2 * np.pi)
        hips_to_feet = (keypoints_m[0, [0, 5]].mean(0) - keypoints_m[0, 7])[:2]
        towards = hips_to_feet if rng.random() < 0.7 else np.array([np.cos(angle), np.sin(angle)])
        towards = towards / max(np.linalg.norm(towards), 1e-6)
        along = keypoints_m[0, :, :2] @ towards
        blanket = Blanket(towards, float(np.quantile(along, rng.uniform(0.4, 0.95))),
                          int(rng.integers(fabrics)))
    return Scene(
        camera=camera, world_to_camera=world_to_camera, outfit=Outfit.sample(rng, fabrics),
        **_sample_light(rng), shadow_blur=int(rng.choice([3, 7, 15, 25])),
        sheet=int(rng.integers(fabrics)), sheet_scale=rng.uniform(0.8, 5.0),
        sheet_angle=rng.uniform(0, 2 * np.pi), floor=int(rng.integers(fabrics)),
        mattress_m=rng.uniform([0.3, 0.4], [1.2, 1.5]), relief=int(rng.integers(reliefs)),
        folds=float(rng.choice([0.0, rng.uniform(0, 0.6), rng.uniform(0.3, 1.5)])),
        wrinkles=rng.uniform(0.1, 1.0), skin=np.clip(skin, 0.05, 1.0),
        hair=_HAIR[rng.integers(len(_HAIR))] * rng.uniform(0.7, 1.2),
        hairline=2.0 if rng.random() < 0.35 else rng.uniform(0.86, 0.93),
        eyes_open=bool(rng.random() < 0.6), grey=bool(grey),
        noise=float(rng.choice([0.005, 0.015, 0.04], p=[0.5, 0.35, 0.15]) * (2 if dark else 1)),
        gain=exposure * (1 + rng.normal(0, 0.05, 3)), gamma=rng.uniform(0.85, 1.2),
        blur_px=float(rng.choice([0.0, 0.6, 1.0, 1.8], p=[0.3, 0.35, 0.25, 0.1])),
        jpeg=int(rng.integers(70, 98)), props=sample_props(rng, keypoints_m, fabrics),
        blanket=blanket, seed=int(rng.integers(2 ** 31)),
        body_fabric_shift=rng.uniform(0, 1, 2))


def drape(blanket: Blanket, vertices_m: np.ndarray) -> Prop:
    """Lay a blanket over the body: a grid at the body's height, smoothed, a little above it."""
    along = vertices_m[:, :2] @ blanket.towards
    low, high = blanket.edge_m, max(float(along.max()), blanket.edge_m) + 0.15
    side = np.array([-blanket.towards[1], blanket.towards[0]])
    across = vertices_m[:, :2] @ side
    left, right = float(across.min()) - 0.12, float(across.max()) + 0.12
    cells = 72
    row = np.clip(((along - low) / (high - low) * (cells - 1)), -8, cells - 1).astype(int)
    column = np.clip((across - left) / (right - left) * (cells - 1), 0, cells - 1).astype(int)
    heights = np.zeros((cells, cells), np.float32)
    inside = row >= 0
    np.maximum.at(heights, (row[inside], column[inside]), vertices_m[inside, 2])
    heights = cv2.GaussianBlur(cv2.dilate(heights, np.ones((7, 7), np.uint8)), (0, 0), 2.2)
    grid_along, grid_across = np.meshgrid(np.linspace(low, high, cells),
                                          np.linspace(left, right, cells), indexing='ij')
    flat = (grid_along[..., None] * blanket.towards + grid_across[..., None] * side)
    vertices = np.concatenate([flat, heights[..., None] + 0.012], -1).reshape(-1, 3)
    i, j = np.mgrid[:cells - 1, :cells - 1]
    a = i * cells + j
    faces = np.concatenate([np.stack([a, a + 1, a + cells], -1).reshape(-1, 3),
                            np.stack([a + 1, a + cells + 1, a + cells], -1).reshape(-1, 3)])
    return Prop(vertices, faces, blanket.fabric, 3.0)
