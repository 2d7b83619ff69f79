"""Reading the poses of one picture: crops for each infant, the best reading, its 3D pose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.scale import BodyScales
from infant_pose_ros.filtering.tracks import seen_keypoints, Track
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.geometry.proportions import infant_log_odds
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.lifting import LiftRequest
from infant_pose_ros.placing import Placed, put_in_place
from infant_pose_ros.structures import Camera, Detection, Pose2D, Pose3D

#: An infant may lie any way up.
TURNS_RAD = tuple(quarter * math.pi / 2 for quarter in range(4))
#: A crop smaller than this, px, or larger than so many pictures has run away.
MIN_CROP_PX, MAX_CROP_PICTURES = 8.0, 4.0
#: Standard deviation of a lost keypoint's last place, share of the infant's longer side.
LOST_STD_SHARE = 0.25


@dataclass(eq=False)
class Candidate:
    """An infant to read in this frame: a track, or a new detection.

    Attributes:
        crops: where to read it; the best reading wins.
        track: None for a new one.
        follow: the one of `crops` that follows the track.
        is_confirmed: the detector sees it too.
        pose_2d, crop: the best reading and where it was made.
        pose_3d: None where it could not be lifted.
        placed: how `pose_3d` got its size and place; None without one.
    """

    crops: list[Crop]
    track: Track | None = None
    follow: Crop | None = None
    is_confirmed: bool = False
    pose_2d: Pose2D | None = None
    crop: Crop | None = None
    pose_3d: Pose3D | None = None
    placed: Placed | None = None

    @property
    def track_id(self) -> int | None:
        """None for a new one."""
        return self.track and self.track.id

    @property
    def score(self) -> float:
        """Mean keypoint score of the best reading."""
        return mean_score(self.pose_2d)

    @property
    def log_odds(self) -> float:
        """How much more likely an infant's than an adult's the proportions are."""
        return infant_log_odds(self.pose_2d.keypoints_px,
                               None if self.pose_3d is None else self.pose_3d.keypoints_m)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the best reading was made where a detection, not the track, is."""
        return self.crop is not self.follow


def mean_score(pose: Pose2D) -> float:
    """Mean of the keypoints' scores, 0..1."""
    return float(np.nan_to_num(pose.score).mean())


class PoseReader:
    """The pose network and the lifter, applied to the candidates of one picture.

    Args:
        models: the networks.
        settings: how to crop and what to believe.
        size_wh: of the picture, px.
    """

    def __init__(self, models: PoseModels, settings: PipelineSettings, size_wh: tuple[int, int]):
        self._models = models
        self._settings = settings
        self._size_wh = size_wh

    def turned_crops(self, detection: Detection) -> list[Crop]:
        """Crops around a detection, one for each way that the infant may lie."""
        turns = TURNS_RAD if self._settings.crop_turns else TURNS_RAD[:1]
        return [Crop.from_box(detection.box_xyxy, self._settings.crop_scale,
                              self._models.pose.input_size, angle_rad) for angle_rad in turns]

    def following_crop(self, keypoints_px: np.ndarray) -> Crop | None:
        """Crop around keypoints (16, 2); None where they give none, or one that ran away."""
        box = box_around(keypoints_px)
        if box is None or not (box[2:] > box[:2]).any():
            return None
        crop = Crop.from_keypoints(keypoints_px, self._settings.crop_scale,
                                   self._models.pose.input_size, turn=self._settings.crop_turns)
        is_near = (crop.centre_px > -crop.side_px / 2).all() and (
            crop.centre_px < np.array(self._size_wh) + crop.side_px / 2).all()
        fits = MIN_CROP_PX <= crop.side_px <= MAX_CROP_PICTURES * max(self._size_wh)
        return crop if is_near and fits else None

    def read(self, image_rgb: np.ndarray, candidates: list[Candidate]) -> None:
        """Read all crops of all candidates in one batch; each keeps its best reading."""
        take_readings(candidates, self._models.pose.estimate(image_rgb, crops_of(candidates)))

    def read_again(self, image_rgb: np.ndarray, candidate: Candidate) -> None:
        """Read once more in the crop that the pose itself gives; keep the better reading."""
        crop = self.following_crop(candidate.pose_2d.keypoints_px)
        if crop is None:
            return
        pose = self._models.pose.estimate(image_rgb, [crop])[0]
        if mean_score(pose) > candidate.score:
            candidate.pose_2d, candidate.crop = pose, crop

    def lift(self, candidates: list[Candidate], camera: Camera | None, scales: BodyScales,
             depth_m: np.ndarray | None = None) -> None:
        """Lift every candidate and put it in its place."""
        request = self.lift_request(candidates, camera, scales)
        self.place(candidates, request, self._models.lifter.lift(*request), scales, depth_m)

    def lift_request(self, candidates: list[Candidate], camera: Camera | None,
                     scales: BodyScales) -> LiftRequest:
        """What the lifter is asked for.

        A tracked infant's keypoints that were not seen are lifted from where, and as surely as,
        they are predicted: a wild guess at one would bend the whole body.
        """
        poses = [candidate.pose_2d if candidate.track is None else
                 _with_predictions(candidate.pose_2d, self._seen(candidate), candidate.track)
                 for candidate in candidates]
        return LiftRequest(poses, camera, self._size_wh, [
            scales.of(candidate.track_id).length_m for candidate in candidates])

    def place(self, candidates: list[Candidate], request: LiftRequest,
              lifted: Sequence[Pose3D | None], scales: BodyScales,
              depth_m: np.ndarray | None = None) -> None:
        """Put what was lifted in its place; what was not seen is missing in `pose_3d`."""
        for candidate, pose_2d, pose in zip(candidates, request.poses_2d, lifted):
            if pose is None:
                continue
            candidate.placed = put_in_place(
                _only(pose, self._seen(candidate)), pose_2d, scales, candidate.track_id, depth_m,
                self._settings.mattress_distance_m)
            candidate.pose_3d = candidate.placed.pose

    def _seen(self, candidate: Candidate) -> np.ndarray:
        return seen_keypoints(candidate.pose_2d, self._settings.keypoint_score_min)


def crops_of(candidates: Sequence[Candidate]) -> list[Crop]:
    """All crops of all candidates."""
    return [crop for candidate in candidates for crop in candidate.crops]


def take_readings(candidates: Sequence[Candidate], poses: Sequence[Pose2D]) -> None:
    """Each candidate keeps the best of its readings; `poses` of `crops_of(candidates)`."""
    poses = iter(poses)
    for candidate in candidates:
        readings = [(next(poses), crop) for crop in candidate.crops]
        candidate.pose_2d, candidate.crop = max(
            readings, key=lambda reading: mean_score(reading[0]))


def _with_predictions(pose: Pose2D, seen: np.ndarray, track: Track) -> Pose2D:
    """`pose` with the keypoints that are not `seen` (16,) where the track has them."""
    fill = ~seen & np.isfinite(track.keypoints_px).all(axis=1)
    lost_px2 = (LOST_STD_SHARE * (track.box_xyxy[2:] - track.box_xyxy[:2]).max()) ** 2 * np.eye(2)
    predicted_px2 = np.where(
        np.isfinite(track.covariance_px2), track.covariance_px2, lost_px2)
    return Pose2D(np.where(fill[:, None], track.keypoints_px, pose.keypoints_px), pose.score,
                  *(np.where(fill[:, None, None], predicted_px2, measured_px2)
                    for measured_px2 in (pose.covariance_px2, pose.noise_px2)))


def _only(pose: Pose3D, seen: np.ndarray) -> Pose3D:
    """`pose` without the keypoints that are not `seen` (16,)."""
    deep = seen[:, None, None]
    return Pose3D(np.where(seen[:, None], pose.keypoints_m, np.nan),
                  np.where(deep, pose.covariance_m2, np.nan), pose.is_absolute,
                  np.where(deep, pose.noise_m2, np.nan))
