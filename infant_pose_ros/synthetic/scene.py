"""What stays the same while a clip runs: people's looks, bed, props, light, lens and sensor."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from infant_pose_ros.structures import Camera
from infant_pose_ros.synthetic.bedding import Blanket, loose_cloth, sample_bed, sample_blanket
from infant_pose_ros.synthetic.camera import sample_adult_camera, sample_camera
from infant_pose_ros.synthetic.light import sample_light
from infant_pose_ros.synthetic.outfits import Complexion, Outfit, Person
from infant_pose_ros.synthetic.props import Prop, sample_props, sample_room


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything but the body. World axes: z up, mattress at z = 0; angles in rad.

    Attributes:
        camera: intrinsics. world_to_camera: (3, 4), optical axes.
        outfit, complexion: looks of the person that the picture is of.
        light: (3,) unit vector towards the lamp. sun, ambient: (3,) RGB strength.
        fill_light, fill: a second lamp, without shadows. shadow_blur: px of the shadow map.
        beam: (3,) a, b, c: the lamp reaches |a x + b y - c| < 1.2; elsewhere it is
            `beam_dark` as strong.
        sheet, floor, wall, pad: fabrics, pad -1 for none. sheet_scale, floor_scale: repeats a
            metre. sheet_centre: (2,) of the bed. mattress_m: half sizes of the bed (x, y).
        drop_m: floor below the mattress. wall_m: distance of the walls.
        pad_box: x, y, half length, half width of a changing pad, turned by pad_angle.
        relief: which of the bank's reliefs sheet and clothes have. folds, creases: strength of
            the sheet's, soft and sharp. wrinkles: strength of the clothes'.
        grey: an infrared-like picture. noise: sensor noise, 0..1. gain: (3,) RGB. gamma: tone.
        vignette: fall of brightness towards the corners, about `vignette_centre` (2,).
        blur_px: lens blur. motion_px: (2,) motion blur. sharpen: strength. coarse: resolution
            of the sensor over the picture's. jpeg: quality of the file, 0..100.
        props: things. blanket: over the person, None for none. others: people beside it.
        seed: of the sensor's noise, below 2^31.
    """

    camera: Camera
    world_to_camera: np.ndarray
    outfit: Outfit
    complexion: Complexion
    light: np.ndarray
    sun: np.ndarray
    ambient: np.ndarray
    fill_light: np.ndarray
    fill: np.ndarray
    beam: np.ndarray
    beam_dark: float
    shadow_blur: int
    sheet: int
    sheet_scale: float
    sheet_angle: float
    sheet_centre: np.ndarray
    floor: int
    floor_scale: float
    drop_m: float
    wall: int
    wall_m: float
    pad: int
    pad_box: np.ndarray
    pad_angle: float
    mattress_m: np.ndarray
    relief: int
    folds: float
    creases: float
    wrinkles: float
    grey: bool
    noise: float
    gain: np.ndarray
    gamma: float
    vignette: float
    vignette_centre: np.ndarray
    blur_px: float
    motion_px: np.ndarray
    sharpen: float
    coarse: float
    jpeg: int
    props: tuple[Prop, ...] = ()
    blanket: Blanket | None = None
    others: tuple[Person, ...] = ()
    seed: int = 0


def sample_scene(rng: np.random.Generator, keypoints_m: np.ndarray, size_wh: tuple[int, int],
                 fabrics: int, reliefs: int, intrinsics: Camera | None = None) -> Scene:
    """Draw a scene around an infant whose keypoints over the clip are (F, 16, 3), world.

    A clip (F > 1) has no shaken camera and no coarse sensor.

    Args:
        size_wh: picture, px. fabrics, reliefs: how many the renderer's banks hold.
        intrinsics: of the camera, where they are fixed; drawn otherwise.
    """
    camera, matrix = sample_camera(rng, keypoints_m, size_wh, intrinsics)
    bed = sample_bed(rng, keypoints_m, fabrics, reliefs)
    props = sample_props(rng, keypoints_m, fabrics, bed['drop_m'])
    if rng.random() < 0.25:
        props += tuple(loose_cloth(rng, keypoints_m, fabrics) for _ in range(rng.integers(1, 3)))
    scene = Scene(
        camera=camera, world_to_camera=matrix, outfit=Outfit.sample(rng, fabrics),
        complexion=Complexion.sample(rng, fabrics), **bed,
        **sample_light(rng, -matrix[2, :3]), wrinkles=rng.uniform(0.2, 1.2), props=props,
        blanket=sample_blanket(rng, keypoints_m, fabrics), seed=int(rng.integers(2 ** 31)))
    if len(keypoints_m) == 1:
        return scene
    return replace(scene, motion_px=np.zeros(2), coarse=1.0)


def sample_adult_scene(rng: np.random.Generator, keypoints_m: np.ndarray,
                       size_wh: tuple[int, int], fabrics: int, reliefs: int) -> Scene:
    """Draw a scene around an adult whose keypoints are (1, 16, 3), world; same arguments."""
    camera, matrix = sample_adult_camera(rng, keypoints_m, size_wh)
    bed = sample_bed(rng, keypoints_m, fabrics, reliefs)
    bed.update(mattress_m=rng.uniform(1.0, 6.0, 2), drop_m=0.01, pad=-1,
               sheet_scale=rng.uniform(0.3, 2.5))
    return Scene(
        camera=camera, world_to_camera=matrix, outfit=Outfit.sample_adult(rng, fabrics),
        complexion=Complexion.sample(rng, fabrics, adult=True), **bed,
        **sample_light(rng, -matrix[2, :3]), wrinkles=rng.uniform(0.2, 1.4),
        props=sample_room(rng, keypoints_m, fabrics), seed=int(rng.integers(2 ** 31)))
