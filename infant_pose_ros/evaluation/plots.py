"""Plots of a table, and its worst frames as pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from infant_pose_ros.data.stills import read_image
from infant_pose_ros.evaluation.scores import CURVE_K, Scorer
from infant_pose_ros.evaluation.sets import EvaluationSet
from infant_pose_ros.evaluation.table import Measured
from infant_pose_ros.geometry.crops import Crop, transform_points
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.media.draw import draw_box, draw_label, draw_pose
from infant_pose_ros.media.plotting import pyplot
from infant_pose_ros.media.writer import fitted_picture
from infant_pose_ros.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS, TrackState

WORST_FRAMES = 12
#: Columns of the sheet of worst frames, and the size of a picture on it, px.
SHEET_COLUMNS, SHEET_WH = 4, (480, 360)
#: Side of what is shown of a photograph, over the longer side of the labelled box.
PHOTO_SCALE = 1.8
_TRUTH_RGB, _BOX_RGB = (255, 255, 255), (250, 220, 60)
_DPI = 110


def plot_by_joint(measured: list[Measured], scorer: Scorer, unit: str, path: Path) -> None:
    """Bars of the mean error of each keypoint that was found, with 95 % intervals."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(12, 4.5))
    width = 0.8 / len(measured)
    for number, each in enumerate(measured):
        joints = list(each.by_joint)
        spans = [scorer.interval(each.by_joint[joint]['ajpe']) for joint in joints]
        values = np.array([span.value for span in spans])
        reach = np.array([[span.value - span.low, span.high - span.value] for span in spans]).T
        axis.bar(np.array(joints) + (number + 0.5) * width - 0.4, values, width,
                 yerr=np.clip(np.nan_to_num(reach), 0.0, None), label=each.row.name,
                 error_kw={'lw': 0.8})
    axis.set_xticks(range(NUM_KEYPOINTS), [name.replace('_', ' ') for name in KEYPOINT_NAMES],
                    rotation=45, ha='right')
    axis.set_ylabel(f'mean error, {unit}')
    _finish(plt, figure, axis, path)


def plot_curves(measured: list[Measured], scorer: Scorer, path: Path) -> None:
    """Share of keypoints nearer than k head units, over k."""
    plt = pyplot()
    figure, axis = plt.subplots(figsize=(8, 5))
    for number, each in enumerate(measured):
        style = ('-', '--', ':')[number // 10 % 3]
        axis.plot(CURVE_K, 100 * scorer.curve(each.errors), style, label=each.row.name)
    axis.set_xlim(0, CURVE_K[-1])
    axis.set_ylim(0, 100)
    axis.set_xlabel('k, head units')
    axis.set_ylabel('PCKh k, %')
    _finish(plt, figure, axis, path)


def _finish(plt, figure, axis, path: Path) -> None:
    axis.grid(alpha=0.3)
    axis.set_axisbelow(True)
    axis.legend(fontsize=8, loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=2,
                frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=_DPI, metadata={'Software': None})     # the same bytes each time
    plt.close(figure)


def write_worst_frames(pictures: EvaluationSet, measured: Measured, scorer: Scorer,
                       folder: Path) -> list[int]:
    """Draw the worst frames of a 2D row: one picture each and `sheet.jpg` of all.

    Returns:
        Their numbers in the set, the worst first.

    Raises:
        OSError: the folder can't be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob('*.jpg'):
        old.unlink()
    frames = scorer.worst_frames(measured.errors, WORST_FRAMES)
    drawn = []
    for place, index in enumerate(frames, 1):
        charged = measured.errors.charged[0, index]
        drawn.append(draw_frame(pictures, measured, index, float(np.nanmean(charged))))
        stem = pictures.stills.paths[index].stem
        name = f'{place:02d}_' + (stem if pictures.is_photos else (
            f'video{pictures.sequence[index]:02d}_frame{pictures.frame[index]:05d}'))
        _write(folder / f'{name}.jpg', drawn[-1])
    if drawn:
        _write(folder / 'sheet.jpg', _sheet(drawn))
    return frames


def _write(path: Path, image_rgb: np.ndarray) -> None:
    if not cv2.imwrite(str(path), image_rgb[..., ::-1]):
        raise OSError(f'{path} could not be written')


def draw_frame(pictures: EvaluationSet, measured: Measured, index: int,
               error_px: float) -> np.ndarray:
    """A picture with estimate (thick), truth (thin, white lines to it) and boxes.

    Of a photograph only what is around the person.
    """
    image = read_image(pictures.stills.paths[index]).copy()
    truth, seed = pictures.stills.keypoints_px[index], measured.seeds[0]
    points = [truth, seed.keypoints_px[index], pictures.stills.box_xyxy[index].reshape(2, 2),
              seed.box_xyxy[index].reshape(2, 2)]
    if pictures.is_photos:
        crop = Crop.from_box(pictures.stills.box_xyxy[index], PHOTO_SCALE, SHEET_WH[0])
        image = cut_crop(image, crop)
        points = [transform_points(crop.frame_to_model, each) for each in points]
    truth, estimate, true_box, box = points
    draw_box(image, true_box.ravel(), _TRUTH_RGB)
    draw_box(image, box.ravel(), _BOX_RGB)
    sure = np.full(NUM_KEYPOINTS, TrackState.MEASURED, np.uint8)
    draw_pose(image, estimate, np.ones(NUM_KEYPOINTS), sure)
    for joint in np.flatnonzero(np.isfinite(estimate).all(1) & np.isfinite(truth).all(1)):
        ends = np.rint(np.clip([estimate[joint], truth[joint]], -1e4, 1e4)).astype(int).tolist()
        cv2.line(image, ends[0], ends[1], _TRUTH_RGB, 1, cv2.LINE_AA)
    draw_pose(image, truth, np.ones(NUM_KEYPOINTS), sure, thin=True)
    where = pictures.stills.paths[index].stem if pictures.is_photos else (
        f'video {pictures.sequence[index]:02d} frame {pictures.frame[index]}')
    return draw_label(image, f'{where}: {error_px:.1f} px', (0, image.shape[0] - 1))


def _sheet(drawn: list[np.ndarray]) -> np.ndarray:
    tiles = [fitted_picture(image, SHEET_WH) for image in drawn]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % SHEET_COLUMNS)
    rows = [np.hstack(tiles[first:first + SHEET_COLUMNS])
            for first in range(0, len(tiles), SHEET_COLUMNS)]
    return np.vstack(rows)
