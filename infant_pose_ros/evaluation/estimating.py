"""Runs the networks of a row over every picture of a set, each on its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
import hashlib
import itertools
import math
from pathlib import Path

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.crops import whole_crop
from infant_pose_ros.data.stills import read_image
from infant_pose_ros.errors import CheckpointError, DatasetError
from infant_pose_ros.evaluation.adult_networks import AdultNetwork, build_adult_network
from infant_pose_ros.evaluation.predictions import key_of, Predictions, PredictionStore
from infant_pose_ros.evaluation.rows import BUNDLED, Row, TRUTH
from infant_pose_ros.evaluation.sets import EvaluationSet
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.geometry.crops import Crop, transform_points
from infant_pose_ros.inference import Detector, PoseEstimator, resolve_device
from infant_pose_ros.lifting import PoseLifter
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.checkpoints import bundled_checkpoint, file_sha256, load_checkpoint
from infant_pose_ros.reading import Candidate, PoseReader
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Camera, Detection, Pose2D

#: An upright patch of the picture for an adult network: its side over the infant's.
PATCH_SCALE = 2.0
MAX_PATCH_PX = 1024
#: Poses lifted at a time.
LIFT_CHUNK = 250


class Networks:
    """Loads networks by the names that rows give them; tests put others in its place.

    Args:
        device: as the setting of that name. All run in fp32.
    """

    def __init__(self, device: str = 'auto'):
        self._device = resolve_device(device)
        self._digests: dict[tuple[str, str], str] = {}

    def path(self, task: str, name: str) -> Path:
        """File of a checkpoint."""
        return bundled_checkpoint(task) if name == BUNDLED else Path(name)

    def digest(self, task: str, name: str) -> str:
        """sha256 of a checkpoint; of an adult network's file and those it names, or its folder.

        Raises:
            CheckpointError: there is no such file.
        """
        if (task, name) not in self._digests:
            path = self.path(task, name)
            try:
                sums = [file_sha256(each) for each in _weights_files(path)]
            except OSError as error:
                raise CheckpointError(
                    f'{path}: no such {task} weights ({error.strerror}); correct the path, or '
                    'leave the row out (--skip-missing)') from error
            self._digests[task, name] = sums[0] if len(sums) == 1 else hashlib.sha256(
                ''.join(sums).encode()).hexdigest()
        return self._digests[task, name]

    def detector(self, name: str) -> Detector:
        """A detector."""
        return Detector(*load_checkpoint(self.path('detector', name), 'detector'), self._device)

    def pose(self, name: str) -> PoseEstimator:
        """A pose network."""
        return PoseEstimator(*load_checkpoint(self.path('pose', name), 'pose'), self._device)

    def lifter(self, name: str) -> PoseLifter:
        """A lifter."""
        return PoseLifter(*load_checkpoint(self.path('lifter', name), 'lifter'), self._device)

    def adult_network(self, kind: str, weights: str, rotations: int) -> AdultNetwork:
        """An adult network."""
        return build_adult_network(kind, Path(weights), rotations)


def _weights_files(path: Path) -> list[Path]:
    """A file, with the binary files beside it that a json names; or all files of a folder."""
    if path.is_dir():
        return sorted(each for each in path.rglob('*') if each.is_file())
    if path.suffix != '.json':
        return [path]
    text = path.read_text(encoding='utf-8', errors='replace')
    return [path, *sorted(each for each in path.parent.glob('*.bin') if each.name in text)]


@dataclass(frozen=True)
class _PoseOnly:
    """What a `PoseReader` needs of the networks to read, but not to lift."""

    pose: PoseEstimator


class RowRunner:
    """Makes the predictions of rows; what several rows share is made once.

    Args:
        pictures: the set. store: where predictions are kept. networks: loads them.
        settings: how pictures are cropped: `crop_scale`.
    """

    def __init__(self, pictures: EvaluationSet, store: PredictionStore, networks: Networks,
                 settings: PipelineSettings | None = None):
        self._set = pictures
        self._store = store
        self._networks = networks
        self._settings = settings or PipelineSettings()

    def boxes(self, detector: str) -> Predictions:
        """The best box of a detector in every frame, whatever it scores."""
        def start():
            network = self._networks.detector(detector)

            def predict(index: int, into: Predictions) -> None:
                found = network.detect(read_image(self._set.stills.paths[index]))
                if found:
                    into.box_xyxy[index] = found[0].box_xyxy
                    into.box_score[index] = found[0].score
            return predict
        digest = self._networks.digest('detector', detector)
        return self._store.fetch(f'boxes {Path(detector).stem}', key_of(
            set=self._set.digest, detector=digest), start)

    def keypoints(self, row: Row) -> list[Predictions]:
        """2D keypoints of a row, one for each seed."""
        boxes = self.boxes(row.detector) if row.crop == 'detector' else None
        if row.adult_network:
            return [self._estimated(row, row.weights, boxes)]
        return [self._estimated(row, checkpoint, boxes) for checkpoint in row.pose]

    def lifted(self, row: Row, source: Row | None) -> list[Predictions]:
        """3D keypoints of a row, one for each seed.

        Args:
            source: the 2D row that it is lifted from; None: the truth.
        """
        if source is None:
            truth = Predictions.empty(len(self._set))
            truth.keypoints_px[:] = self._set.stills.keypoints_px
            truth.score[:] = 1.0
            poses = [truth]
        else:
            poses = self.keypoints(source)
        count = max(len(poses), len(row.lifter))    # one of either serves all of the other
        return [self._lift(row, checkpoint, pose) for _, checkpoint, pose in zip(
            range(count), itertools.cycle(row.lifter), itertools.cycle(poses))]

    def _estimated(self, row: Row, weights: str, boxes: Predictions | None) -> Predictions:
        task = 'adult network' if row.adult_network else 'pose'
        key = key_of(
            set=self._set.digest, network=row.adult_network or 'pose',
            weights=self._networks.digest(task, weights), crop=row.crop, rotations=row.rotations,
            detector=boxes and self._networks.digest('detector', row.detector),
            crop_scale=self._settings.crop_scale)

        def start():
            read = self._adult_reader(row) if row.adult_network else self._pose_reader(
                row, self._networks.pose(weights))

            def predict(index: int, into: Predictions) -> None:
                box = self._box(row, index, boxes)
                if boxes is not None:
                    into.box_xyxy[index] = boxes.box_xyxy[index]
                    into.box_score[index] = boxes.box_score[index]
                if box is not None:
                    image = read_image(self._set.stills.paths[index])
                    into.keypoints_px[index], into.score[index] = read(image, box, index)
            return predict
        return self._store.fetch(row.name, key, start)

    def _box(self, row: Row, index: int, boxes: Predictions | None) -> np.ndarray | None:
        """Where to look (4,); None where the detector found nothing."""
        width, height = self._set.size_wh[index]
        if row.crop == 'whole':
            return np.array([0.0, 0.0, width, height])
        box = self._set.stills.box_xyxy[index] if boxes is None else boxes.box_xyxy[index]
        is_box = np.isfinite(box).all() and (box[2:] > box[:2]).all()
        return box if is_box else None

    def _pose_reader(self, row: Row, network: PoseEstimator) -> Callable:
        """Reads a picture as the pipeline does a still; or one fixed crop of it."""
        settings = self._settings.replace(crop_turns=row.rotations == 4)

        def read(image: np.ndarray, box: np.ndarray, index: int):
            size_wh = (image.shape[1], image.shape[0])
            if row.crop in ('whole', 'upright'):
                crop = whole_crop(size_wh, network.input_size) if row.crop == 'whole' else \
                    Crop.from_keypoints(self._set.stills.keypoints_px[index],
                                        settings.crop_scale, network.input_size)
                pose = network.estimate(image, [crop])[0]
            else:
                reader = PoseReader(_PoseOnly(network), settings, size_wh)
                candidate = Candidate(reader.turned_crops(Detection(box, 1.0)))
                reader.read(image, [candidate])
                reader.read_again(image, candidate)
                pose = candidate.pose_2d
            return pose.keypoints_px, pose.score
        return read

    def _adult_reader(self, row: Row) -> Callable:
        network = self._networks.adult_network(row.adult_network, row.weights, row.rotations)

        def read(image: np.ndarray, box: np.ndarray, index: int):
            if row.crop != 'upright':
                return network.estimate(image, box)
            truth = self._set.stills.keypoints_px[index]
            crop = Crop.from_keypoints(truth, PATCH_SCALE, MAX_PATCH_PX)
            crop = replace(crop, input_size=min(math.ceil(crop.side_px), MAX_PATCH_PX))
            inside = box_around(transform_points(crop.frame_to_model, truth))
            keypoints, score = network.estimate(cut_crop(image, crop), inside)
            return transform_points(crop.model_to_frame, keypoints), score
        return read

    def _lift(self, row: Row, checkpoint: str, pose: Predictions) -> Predictions:
        length_m = self._set.body_length_m(row.body_length)
        key = key_of(
            set=self._set.digest, lifter=self._networks.digest('lifter', checkpoint),
            body_length_m=hashlib.sha256(length_m.tobytes()).hexdigest(),
            keypoints_px=hashlib.sha256(pose.keypoints_px.tobytes()).hexdigest())

        def start():
            lifted = self._lifted_all(self._networks.lifter(checkpoint), pose, length_m)

            def predict(index: int, into: Predictions) -> None:
                for name in ('keypoints_px', 'score', 'box_xyxy', 'box_score'):
                    getattr(into, name)[index] = getattr(pose, name)[index]
                into.keypoints_m[index] = lifted[index]
            return predict
        return self._store.fetch(row.name, key, start)

    def _lifted_all(self, lifter: PoseLifter, pose: Predictions,
                    length_m: np.ndarray) -> np.ndarray:
        """(N, 16, 3) m relative to the pelvis; NaN where a pose can't be lifted."""
        found = np.full((len(pose), NUM_KEYPOINTS, 3), np.nan)
        sure_px2 = np.tile(np.eye(2), (NUM_KEYPOINTS, 1, 1))
        conditions = np.column_stack([self._set.stills.intrinsics, self._set.size_wh, length_m])
        for condition in np.unique(conditions, axis=0):
            rows = np.flatnonzero((conditions == condition).all(axis=1))
            *intrinsics, width, height, body_length_m = condition.tolist()
            size_wh = (int(width), int(height))
            camera = Camera(*intrinsics, *size_wh)
            for chunk in np.split(rows, range(LIFT_CHUNK, len(rows), LIFT_CHUNK)):
                poses = [Pose2D(pose.keypoints_px[index], pose.score[index], sure_px2)
                         for index in chunk]
                for index, each in zip(chunk, lifter.lift(poses, camera, size_wh, body_length_m)):
                    if each is not None:
                        found[index] = each.keypoints_m - each.keypoints_m[ROOT]
        return found


def run_row(runner: RowRunner, row: Row, rows: dict[str, Row]) -> list[Predictions]:
    """The predictions of a row, one for each seed.

    Args:
        rows: all rows by name.

    Raises:
        InfantPoseError: weights are missing or damaged, or the set lacks what the row needs.
    """
    if row.kind == 'boxes':
        return [runner.boxes(row.detector)]
    if row.kind == '2d':
        return runner.keypoints(row)
    source = None if row.keypoints == TRUTH else rows.get(row.keypoints)
    if source is None and row.keypoints != TRUTH:
        raise DatasetError(f'row {row.name!r}: its 2D row {row.keypoints!r} was left out')
    return runner.lifted(row, source)
