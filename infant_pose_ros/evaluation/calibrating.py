"""Calibrates a pose network and a lifter: reads labelled sequences, fits, measures.

The pipeline follows the infant through each sequence once, and what the networks see is kept;
fits and measurements run on that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from infant_pose_ros.codecs.uncertainty import (
    DEFAULT_NOISE_SHARE,
    PictureSpread,
    PictureUncertainty,
    SpaceSpread,
    SpaceUncertainty,
)
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.mini_rgbd import CAMERA
from infant_pose_ros.evaluation.calibration import squared_distances
from infant_pose_ros.evaluation.fitting import (
    coverage_factor,
    fit_picture,
    fit_space,
    NOISE_CLIP,
    Samples,
    scaled_picture,
    scaled_space,
)
from infant_pose_ros.evaluation.labelled import LabelledSequence
from infant_pose_ros.geometry.cameras import (
    assumed_camera,
    ray_covariances,
    undistort_to_rays,
)
from infant_pose_ros.inference import PoseEstimator, PoseModels
from infant_pose_ros.lifting import PoseLifter
from infant_pose_ros.models.checkpoints import load_checkpoint, read_manifest
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Camera, Pose2D, Pose3D

#: Before the first picture after a gap the same one is shown so often, so that the crop settles.
SETTLING_FRAMES = 6
#: A sequence counts as so many keypoints at most: other infants say more than more frames.
MOST_KEYPOINTS = 4000
#: Where the keypoints are further off than this share of the crop on average, the pose is another
#: infant's, or lies head to feet: a fault of its own, and no spread.
WRONG_SHARE = 0.1
#: Poses lifted at a time.
LIFT_CHUNK = 250
#: Variance of a second difference of values of variance 1.
_SECOND_DIFFERENCE_VARIANCE = 6.0


@dataclass(frozen=True, eq=False)
class Readings:
    """What the pose network read in the F frames of a sequence, and the truth.

    Attributes:
        name: of the sequence. stamps_s: (F,). body_length_m: crown to heel.
        keypoints_px: (F, 16, 2), score: (F, 16), heat_px2: (F, 16, 2, 2) covariances of the
            heatmaps; NaN (score 0) where nobody was followed.
        crop_side_px: (F,) of the crop that was read. input_size: of the network, model px.
        truth_px: (F, 16, 2). truth_m: (F, 16, 3) camera frame.
        camera: that took the pictures.
    """

    name: str
    stamps_s: np.ndarray
    body_length_m: float
    keypoints_px: np.ndarray
    score: np.ndarray
    heat_px2: np.ndarray
    crop_side_px: np.ndarray
    input_size: int
    truth_px: np.ndarray
    truth_m: np.ndarray
    camera: Camera = CAMERA

    def __len__(self) -> int:
        return len(self.stamps_s)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Of the pictures, px."""
        return self.camera.width, self.camera.height

    @property
    def model_per_px(self) -> np.ndarray:
        """(F, 1) model px for each frame px."""
        return (self.input_size / self.crop_side_px)[:, None]

    def seen(self, score_min: float) -> np.ndarray:
        """(F, 16) bool: read, and surely enough."""
        return (self.score >= score_min) & np.isfinite(self.keypoints_px).all(axis=-1)

    def usable(self, score_min: float) -> np.ndarray:
        """(F, 16) bool: seen, in frames that were read as a whole; others tell no spread."""
        away = np.linalg.norm(self.keypoints_px - self.truth_px, axis=-1)
        known = np.isfinite(away)
        mean = np.where(known, away, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        with np.errstate(invalid='ignore'):
            right = known.any(axis=1) & (mean < WRONG_SHARE * self.crop_side_px)
        return self.seen(score_min) & right[:, None]

    def in_a_row(self) -> np.ndarray:
        """(F,) bool: the frames before and after were taken one step away."""
        steps = np.diff(self.stamps_s)
        usual = np.abs(steps - steps.min(initial=np.inf)) < 1e-3
        inner = usual[1:] & usual[:-1]
        return np.concatenate([[False], inner, [False]])[:len(self)]

    def poses(self, uncertainty: PictureUncertainty | None) -> list[Pose2D]:
        """The poses of all frames, with calibrated covariances or the heatmaps' own."""
        error, noise = self.heat_px2, DEFAULT_NOISE_SHARE * self.heat_px2
        if uncertainty:
            scale = self.model_per_px[..., None, None] ** 2
            error, noise = (each / scale for each in uncertainty.covariances(error * scale))
        return [Pose2D(self.keypoints_px[index], self.score[index], error[index], noise[index])
                for index in range(len(self))]


def uncalibrated(models: PoseModels, pose_path: str | Path) -> PoseModels:
    """`models`, whose pose network at `pose_path` tells its heatmaps' covariances."""
    module, manifest = load_checkpoint(pose_path, 'pose')
    return replace(models, pose=PoseEstimator(
        module, replace(manifest, uncertainty={}), models.device, models.precision))


def lifter_with(path: str | Path, uncertainty: SpaceUncertainty | None) -> PoseLifter:
    """The lifter at `path` with another calibration."""
    module, manifest = load_checkpoint(path, 'lifter')
    return PoseLifter(module, replace(
        manifest, uncertainty=uncertainty.to_dict() if uncertainty else {}))


def manifest_uncertainties(pose_path: str | Path, lifter_path: str | Path
                           ) -> tuple[PictureUncertainty | None, SpaceUncertainty | None]:
    """What the manifests of two checkpoints say; None where one says nothing."""
    said = (read_manifest(path, task).uncertainty
            for path, task in ((pose_path, 'pose'), (lifter_path, 'lifter')))
    return tuple(each.from_dict(content) if content else None
                 for each, content in zip((PictureUncertainty, SpaceUncertainty), said))


def read_sequence(sequence: LabelledSequence, models: PoseModels, settings: PipelineSettings,
                  progress: Callable[[int], object] = lambda count: None) -> Readings:
    """Let the pipeline follow the infant of a sequence.

    Args:
        models: from `uncalibrated`. settings: of the pipeline; timing is of no account.

    Raises:
        DatasetError: a file is missing or malformed.
    """
    settings = settings.replace(detect_async=False, smoothing=True, max_infants=1,
                                body_length_m=sequence.body_length_m)
    count, camera = len(sequence), sequence.camera
    read = {name: np.full((count, *shape), np.nan) for name, shape in (
        ('keypoints_px', (NUM_KEYPOINTS, 2)), ('score', (NUM_KEYPOINTS,)),
        ('heat_px2', (NUM_KEYPOINTS, 2, 2)), ('crop_side_px', ()),
        ('truth_px', (NUM_KEYPOINTS, 2)), ('truth_m', (NUM_KEYPOINTS, 3)))}
    read['score'][:] = 0.0
    with PosePipeline(settings, models) as pipeline:
        for index, frame in enumerate(sequence.frames()):
            stamp_s = float(sequence.stamps_s[index])
            read['truth_px'][index], read['truth_m'][index] = frame.keypoints_px, frame.keypoints_m
            for step in range(SETTLING_FRAMES * frame.is_first, 0, -1):
                pipeline.process(frame.image_rgb, stamp_s - step / sequence.rate_hz, camera)
            infant = pipeline.process(frame.image_rgb, stamp_s, camera).main_infant
            if infant is not None and infant.raw_2d is not None:
                pose = infant.raw_2d
                read['keypoints_px'][index], read['score'][index] = pose.keypoints_px, pose.score
                read['heat_px2'][index] = pose.covariance_px2
                corners = infant.crop_corners_px
                read['crop_side_px'][index] = np.linalg.norm(corners[1] - corners[0])
            progress(1)
    return Readings(sequence.name, sequence.stamps_s, sequence.body_length_m,
                    input_size=models.pose.input_size, camera=camera, **read)


def calibrate_picture(readings: Sequence[Readings], score_min: float) -> PictureUncertainty:
    """Fit what a pose network's heatmaps say of its errors.

    Raises:
        InvalidInputError: too little was read.
    """
    parts = []
    for each in readings:
        scale = each.model_per_px[..., None]
        errors = (each.keypoints_px - each.truth_px) * scale
        parts.append((each.heat_px2 * scale[..., None] ** 2, errors, _second_difference(errors),
                      each.usable(score_min), each.in_a_row()))
    error = _picture_spread(parts, False)
    return PictureUncertainty(error, _picture_spread(parts, True))


def _picture_spread(parts: list[tuple], is_noise: bool) -> PictureSpread:
    """Fit `PictureSpread` to the errors, or to their second differences."""
    chosen = []
    for number, (heat, errors, differences, seen, in_a_row) in enumerate(parts):
        mask = _three_seen(seen) & in_a_row[:, None] if is_noise else seen
        values = differences if is_noise else errors
        mask = mask & np.isfinite(values).all(-1) & np.isfinite(heat).all((-1, -2))
        chosen.append((heat[mask], values[mask], np.nonzero(mask)[1],
                       np.full(mask.sum(), number)))
    heat, values, keypoint, sequence = (np.concatenate(column) for column in zip(*chosen))
    samples = Samples(values, keypoint, _weights(sequence))
    if is_noise:
        return fit_picture(samples, heat, NOISE_CLIP)
    spread = fit_picture(samples, heat)
    for_all = spread.covariances(np.repeat(heat[:, None], NUM_KEYPOINTS, axis=1))
    distances = squared_distances(values, for_all[np.arange(len(heat)), keypoint])
    return scaled_picture(spread, coverage_factor(distances, samples.weights, 2))


def calibrate_space(readings: Sequence[Readings], picture: PictureUncertainty,
                    lifter: PoseLifter, score_min: float) -> SpaceUncertainty:
    """Fit what the poses of an uncalibrated lifter say of their errors.

    Args:
        picture: of the network that the readings come from.

    Raises:
        InvalidInputError: too little was read.
    """
    spreads = {}
    for is_absolute, prefix in ((True, ''), (False, 'relative_')):
        parts = [_lifted_part(each, picture, lifter, is_absolute, score_min)
                 for each in readings]
        for is_noise, name in ((False, 'error'), (True, 'noise')):
            spreads[prefix + name] = _space_spread(parts, is_noise)
    return SpaceUncertainty(**spreads)


def _lifted_part(readings: Readings, picture: PictureUncertainty, lifter: PoseLifter,
                 is_absolute: bool, score_min: float) -> dict[str, np.ndarray]:
    """Errors of a sequence's lifted poses and what they are told by, shares of the length."""
    lens = readings.camera if is_absolute else assumed_camera(readings.size_wh)
    poses_2d = readings.poses(picture)
    lifted = lift_all(lifter, poses_2d, readings, is_absolute)
    points_m = np.stack([each.keypoints_m if each else np.full((NUM_KEYPOINTS, 3), np.nan)
                         for each in lifted])
    truth_m = readings.truth_m
    rays = np.stack([undistort_to_rays(lens, pose.keypoints_px) for pose in poses_2d])
    depth_m = points_m[..., 2]
    if not is_absolute:
        truth_m = truth_m - truth_m[:, ROOT:ROOT + 1]
        depth_m = np.broadcast_to(np.stack([
            relative_depth(points, ray) for points, ray in zip(points_m, rays)])[:, None],
            points_m.shape[:2])
    errors = (points_m - truth_m) / readings.body_length_m
    share = (depth_m / readings.body_length_m)[..., None, None] ** 2
    error_lateral, noise_lateral = (share * ray_covariances(
        lens, readings.keypoints_px, np.stack([getattr(pose, name) for pose in poses_2d]))
        for name in ('covariance_px2', 'noise_px2'))
    seen = (readings.usable(score_min) & np.isfinite(errors).all(-1)
            & np.isfinite(error_lateral).all((-1, -2)))
    if not is_absolute:
        seen[:, ROOT] = False
    return {'errors': errors, 'differences': _second_difference(errors), 'rays': rays,
            'error_lateral': error_lateral, 'noise_lateral': noise_lateral,
            'seen': seen, 'in_a_row': readings.in_a_row()}


def relative_depth(keypoints_m: np.ndarray, rays: np.ndarray) -> float:
    """How far away, m, a pose relative to the pelvis (16, 3) seems by its size on (16, 2) rays."""
    known = np.isfinite(rays).all(axis=1) & np.isfinite(keypoints_m).all(axis=1)
    if known.sum() < 2:
        return np.nan
    spread_m, spread = (np.sqrt(points[known].var(axis=0).sum())
                        for points in (keypoints_m[:, :2], rays))
    return spread_m / max(spread, 1e-9)


def _space_spread(parts: list[dict[str, np.ndarray]], is_noise: bool) -> SpaceSpread:
    """Fit `SpaceSpread` to the errors, or to their second differences."""
    chosen = []
    for number, part in enumerate(parts):
        lateral = part['noise_lateral' if is_noise else 'error_lateral']
        values = part['differences' if is_noise else 'errors']
        with np.errstate(invalid='ignore', divide='ignore'):
            logs = 0.5 * np.log(np.linalg.det(lateral))
        known = np.isfinite(logs)
        mean = np.where(known, logs, 0.0).sum(1) / np.maximum(known.sum(1), 1)
        mask = part['seen'] & np.isfinite(values).all(-1)
        if is_noise:
            mask &= _three_seen(part['seen']) & part['in_a_row'][:, None]
        chosen.append((values[mask], part['rays'][mask], lateral[mask],
                       np.broadcast_to(mean[:, None], mask.shape)[mask], np.nonzero(mask)[1],
                       np.full(mask.sum(), number)))
    values, rays, lateral, mean, keypoint, sequence = (
        np.concatenate(column) for column in zip(*chosen))
    samples = Samples(values, keypoint, _weights(sequence))
    if is_noise:
        return fit_space(samples, rays, lateral, mean, NOISE_CLIP, only_picture=True)
    spread = fit_space(samples, rays, lateral, mean)
    flat, deep = _distances(spread, parts)
    spread = scaled_space(spread, coverage_factor(flat, samples.weights, 2),
                          coverage_factor(deep, samples.weights, 1))
    flat, deep = _distances(spread, parts)
    together = coverage_factor(flat + deep, samples.weights, 3)
    return scaled_space(spread, together, together)


def _distances(spread: SpaceSpread, parts: list[dict[str, np.ndarray]]
               ) -> tuple[np.ndarray, np.ndarray]:
    """(n,) squared Mahalanobis distances beside the rays and along them, of what was seen."""
    flat, deep = [], []
    for part in parts:
        errors, seen = part['errors'], part['seen']
        beside = errors[..., :2] - errors[..., 2:] * part['rays']
        flat.append(squared_distances(beside, spread.beside(part['error_lateral']))[seen])
        deep.append((errors[..., 2] ** 2 / spread.along(part['error_lateral']))[seen])
    return np.concatenate(flat), np.concatenate(deep)


def lift_all(lifter: PoseLifter, poses_2d: Sequence[Pose2D], readings: Readings,
             is_absolute: bool) -> list[Pose3D | None]:
    """Every pose of a sequence in space, or relative to the pelvis; None: can't be lifted."""
    return [pose for first in range(0, len(poses_2d), LIFT_CHUNK) for pose in lifter.lift(
        poses_2d[first:first + LIFT_CHUNK], readings.camera if is_absolute else None,
        readings.size_wh, readings.body_length_m)]


def _second_difference(errors: np.ndarray) -> np.ndarray:
    """(F, ...) noise in the middle of each three frames, of its own variance; 0 at the ends."""
    noise = np.zeros_like(errors)
    noise[1:-1] = (errors[2:] - 2.0 * errors[1:-1] + errors[:-2]) / np.sqrt(
        _SECOND_DIFFERENCE_VARIANCE)
    return noise


def _three_seen(seen: np.ndarray) -> np.ndarray:
    """(F, 16) bool: seen in this frame and in those before and after."""
    three = np.zeros_like(seen)
    three[1:-1] = seen[2:] & seen[1:-1] & seen[:-2]
    return three


def _weights(sequence: np.ndarray) -> np.ndarray:
    """(n,) so that no sequence counts as more than `MOST_KEYPOINTS`."""
    count = np.bincount(sequence)
    return np.minimum(1.0, MOST_KEYPOINTS / np.maximum(count, 1))[sequence]
