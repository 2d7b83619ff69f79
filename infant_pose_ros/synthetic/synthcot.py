"""SynthCot-12: twelve fixed sequences of infants in cots, after MINI-RGBD's example.

1000 frames each at 30 Hz, 640x480, through MINI-RGBD's camera; other rates on demand. Every
sequence has a seed of its own, and with it a body, a movement, a bank of fabrics and a scene that
no other sequence and no set of stills shares. `synthcot_writer` writes them to disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
import itertools

import numpy as np

from infant_pose_ros.data.checksums import SYNTHCOT_NAME
from infant_pose_ros.data.mini_rgbd import CAMERA, FRAMES_PER_VIDEO, SIZE_WH
from infant_pose_ros.data.sequence_info import SequenceInfo
from infant_pose_ros.skeleton import HEAD_SEGMENT, Joint
from infant_pose_ros.synthetic.body import BodyShape, PosedBodies
from infant_pose_ros.synthetic.camera import look_at
from infant_pose_ros.synthetic.light import lamp
from infant_pose_ros.synthetic.motion import sample_infant
from infant_pose_ros.synthetic.props import SKIN
from infant_pose_ros.synthetic.scene import sample_scene, Scene

VERSION = 1
RATE_HZ = 30.0
NUM_FRAMES = FRAMES_PER_VIDEO
#: Head unit of PCKh over the length of the head segment: about MINI-RGBD's 20 to 30 mm.
UNIT_SHARE = 0.25
#: How far a drawn body's age may be from the table's.
AGE_TOLERANCE_MONTHS = 0.3
#: Roll about the trunk, degrees.
ROLL_DEG = {'supine': 0.0, 'prone': 180.0, 'side': 75.0}
#: Light -> elevation of the lamp in degrees (of no account where it sits at the camera), strength
#: of the lamp and of the light around, exposure, noise of the sensor, softness of shadows, fall of
#: brightness towards the corners.
LIGHTS = {
    'day': (68.0, 0.50, 0.62, 1.0, 0.006, 25, 0.1),
    'warm': (42.0, 0.72, 0.42, 1.0, 0.010, 9, 0.2),
    'dim': (55.0, 0.55, 0.50, 0.42, 0.028, 15, 0.3),
    'infrared': (90.0, 0.80, 0.20, 1.0, 0.020, 5, 1.2),
}
#: Far beyond the seeds that people take for stills (whose banks have seeds x 100,003 + shard).
_FIRST_SEED = 1 << 40


@dataclass(frozen=True)
class Plan:
    """One sequence.

    Attributes:
        number: 1 to 12. grade: 'easy', 'medium' or 'difficult', as MINI-RGBD grades its own.
        age_months: of the infant. lying: a key of `ROLL_DEG`.
        heading_deg: where the crown points in the picture: 0 up, 90 to the right.
        light: a key of `LIGHTS`. height_m: of the camera above the mattress.
        tilt_deg: of the camera from straight down. clothing: a kind of `Outfit`.
        things: of 'toys' (or furniture), 'blanket' and 'arm' (an adult's), what there must be;
            blanket and arm aren't there otherwise.
        draw: which of the drawn scenes with these it is, chosen by eye.
    """

    number: int
    grade: str
    age_months: float
    lying: str
    heading_deg: float
    light: str
    height_m: float
    tilt_deg: float
    clothing: str
    things: tuple[str, ...]
    draw: int

    @property
    def seed(self) -> int:
        """Seed of the sequence's body, movement, fabrics and scene."""
        return _FIRST_SEED + self.number

    @property
    def text(self) -> str:
        """All of it in one line."""
        return (f'{self.grade}: {self.age_months:g} months, {self.lying}, crown at '
                f'{self.heading_deg:g} degrees, {self.light} light, camera {self.height_m:g} m '
                f'above, tilted by {self.tilt_deg:g} degrees; '
                f'{" and ".join((self.clothing.replace("_", " "), *self.things))}')


PLANS: dict[int, Plan] = {plan.number: plan for plan in (
    Plan(1, 'easy', 3.0, 'supine', 4, 'day', 1.05, 3, 'nappy', (), 6),
    Plan(2, 'easy', 5.0, 'supine', -14, 'day', 1.15, 6, 'bodysuit', (), 4),
    Plan(3, 'medium', 2.0, 'supine', 172, 'warm', 1.00, 9, 'sleepsuit', (), 1),
    Plan(4, 'medium', 7.5, 'supine', 88, 'day', 1.25, 5, 'two_piece', ('toys',), 4),
    Plan(5, 'difficult', 1.0, 'supine', -38, 'dim', 1.00, 14, 'sleepsuit', ('blanket',), 1),
    Plan(6, 'medium', 6.0, 'prone', 21, 'day', 1.20, 8, 'bodysuit', (), 1),
    Plan(7, 'medium', 4.0, 'side', -62, 'warm', 1.10, 11, 'two_piece', ('toys',), 5),
    Plan(8, 'difficult', 9.0, 'supine', 27, 'infrared', 1.30, 12, 'bodysuit', ('arm',), 4),
    Plan(9, 'medium', 3.5, 'supine', -17, 'day', 1.08, 7, 'nappy', ('toys',), 3),
    Plan(10, 'difficult', 8.0, 'side', 118, 'warm', 1.25, 16, 'sleepsuit', ('toys',), 2),
    Plan(11, 'medium', 4.5, 'supine', 7, 'day', 1.12, 6, 'bodysuit', (), 0),
    Plan(12, 'difficult', 6.5, 'supine', -26, 'dim', 1.18, 13, 'two_piece', ('toys',), 3),
)}


def sequence_shape(plan: Plan) -> BodyShape:
    """The body of a sequence: the first drawn one of about the planned age."""
    rng = np.random.default_rng([plan.seed, 0])
    shape = BodyShape.sample(rng)
    while abs(shape.age_months - plan.age_months) > AGE_TOLERANCE_MONTHS:
        shape = BodyShape.sample(rng)
    return shape


def frames_at(rate_hz: float) -> int:
    """Frames of a whole sequence, seen so often a second: as many as its movement lasts."""
    return int(np.floor((NUM_FRAMES - 1) * rate_hz / RATE_HZ + 1e-9)) + 1


def sequence_bodies(plan: Plan, frames: int = NUM_FRAMES, rate_hz: float = RATE_HZ
                    ) -> PosedBodies:
    """The infant of a sequence, moving, in world axes (z up, mattress at 0).

    Args:
        frames: at `RATE_HZ`, fewer than `NUM_FRAMES` give another movement.
        rate_hz: another one than `RATE_HZ` shows the movement of the whole sequence, seen more
            often or less, from its begin; `frames` is then at most `frames_at(rate_hz)`.
    """
    every_s, shown_s = np.arange(frames) / RATE_HZ, None
    if rate_hz != RATE_HZ:
        every_s = np.arange(NUM_FRAMES) / RATE_HZ
        shown_s = np.minimum(np.arange(frames) / rate_hz, every_s[-1])
    return sample_infant(np.random.default_rng([plan.seed, 1]), every_s,
                         float(np.deg2rad(ROLL_DEG[plan.lying])), sequence_shape(plan), shown_s)


def camera_above(rng: np.random.Generator, plan: Plan, keypoints_m: np.ndarray) -> np.ndarray:
    """World-to-camera matrix (3, 4) of a camera that sees keypoints (F, 16, 3) as planned.

    The camera looks at the middle of all places that the infant reaches, give or take 3 cm.
    """
    points = keypoints_m.reshape(-1, 3)
    target = (points.min(0) + points.max(0)) / 2 + np.append(rng.uniform(-0.03, 0.03, 2), 0.0)
    tilt, azimuth = np.deg2rad(plan.tilt_deg), rng.uniform(-np.pi, np.pi)
    away = np.array([np.tan(tilt) * np.cos(azimuth), np.tan(tilt) * np.sin(azimuth), 1.0])
    position = target + (plan.height_m - target[2]) * away
    upright = look_at(position, target, 0.0)
    crown = upright[:2, :3] @ (
        keypoints_m[:, Joint.HEAD_TOP] - keypoints_m[:, Joint.PELVIS]).mean(0)
    heading = np.deg2rad(plan.heading_deg)
    roll = np.arctan2(crown[1], crown[0]) - np.arctan2(-np.cos(heading), np.sin(heading))
    return look_at(position, target, roll)


def _light(kind: str, azimuth_rad: float, towards_camera: np.ndarray) -> dict:
    """The fields of `Scene` that make a light, and a lens and a sensor that suit a clip."""
    grey, tint = kind == 'infrared', np.ones(3)
    if kind == 'warm':
        tint = np.array([1.10, 1.0, 0.84])
    elevation_deg, sun, ambient, gain, noise, blur, vignette = LIGHTS[kind]
    return {
        'light': towards_camera if grey else lamp(np.deg2rad(elevation_deg), azimuth_rad),
        'sun': sun * tint, 'ambient': ambient / tint, 'grey': grey, 'gain': np.full(3, gain),
        'noise': noise, 'shadow_blur': blur, 'vignette': vignette, 'vignette_centre': np.zeros(2),
        'fill': np.zeros(3), 'beam_dark': 1.0, 'gamma': 1.0, 'blur_px': 0.6,
        'motion_px': np.zeros(2), 'sharpen': 0.0, 'coarse': 1.0}


def _fits(plan: Plan, scene: Scene) -> bool:
    """Whether a drawn scene has the planned clothes and things."""
    has_arm = any(prop.fabric == SKIN for prop in scene.props)
    return (scene.outfit.kind == plan.clothing
            and (scene.blanket is not None) == ('blanket' in plan.things)
            and has_arm == ('arm' in plan.things)
            and ('toys' not in plan.things or len(scene.props) >= 2))


def sequence_scene(plan: Plan, keypoints_m: np.ndarray, fabrics: int, reliefs: int) -> Scene:
    """The scene of a sequence whose infant's keypoints are (F, 16, 3), world.

    Args:
        fabrics, reliefs: how many the renderer's banks hold.
    """
    fitting = -1
    for trial in itertools.count():
        rng = np.random.default_rng([plan.seed, 2, trial])
        scene = sample_scene(rng, keypoints_m, SIZE_WH, fabrics, reliefs, intrinsics=CAMERA)
        fitting += _fits(plan, scene)
        if fitting == plan.draw:
            break
    matrix = camera_above(rng, plan, keypoints_m)
    light = _light(plan.light, rng.uniform(0, 2 * np.pi), -matrix[2, :3])
    return replace(scene, camera=CAMERA, world_to_camera=matrix, **light)


def frame_scene(scene: Scene, index: int) -> Scene:
    """The scene of one frame: the same with noise of its own."""
    return replace(scene, seed=(scene.seed + index) % 2 ** 31)


def head_units(scene: Scene, keypoints_m: np.ndarray) -> tuple[float, float]:
    """Head unit of PCKh of a sequence, px and m, from its keypoints (F, 16, 3), world.

    A quarter of the mean distance from upper neck to head top; in px its mean projected size, at
    the keypoints' mean depth.
    """
    low, high = HEAD_SEGMENT
    unit_m = UNIT_SHARE * float(np.linalg.norm(
        keypoints_m[:, high] - keypoints_m[:, low], axis=-1).mean())
    depth_m = keypoints_m @ scene.world_to_camera[2, :3] + scene.world_to_camera[2, 3]
    return unit_m * scene.camera.fx / float(depth_m.mean()), unit_m


def sequence_info(plan: Plan, scene: Scene, bodies: PosedBodies, rate_hz: float = RATE_HZ
                  ) -> SequenceInfo:
    """What `sequence.json` says."""
    unit_px, unit_m = head_units(scene, bodies.keypoints_m)
    return SequenceInfo(
        SYNTHCOT_NAME, VERSION, plan.seed, rate_hz, len(bodies.keypoints_m),
        round(bodies.body_length_m, 6), round(bodies.age_months, 3), round(unit_px, 4),
        round(unit_m, 6), plan.text)
