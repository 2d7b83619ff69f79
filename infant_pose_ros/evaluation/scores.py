"""Figures of a row, kept so that they can be resampled and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.evaluation.bootstrap import (
    difference,
    draw_blocks,
    Interval,
    interval,
    Ratio,
    REPLICATES,
    SEED,
)
from infant_pose_ros.evaluation.metrics import box_ious, joint_errors
from infant_pose_ros.evaluation.predictions import Predictions
from infant_pose_ros.evaluation.sets import EvaluationSet
from infant_pose_ros.skeleton import Joint, NUM_KEYPOINTS, ROOT

#: Keypoints that adult networks of COCO's 17 have, with pelvis and thorax as middles.
ADULT_JOINTS = tuple(joint for joint in range(NUM_KEYPOINTS)
                     if joint not in (Joint.UPPER_NECK, Joint.HEAD_TOP))
ALL_JOINTS = tuple(range(NUM_KEYPOINTS))
#: The trunk of PCK: left shoulder to right hip, as for LSP; its share that is near enough.
TRUNK, PCK_SHARE = (Joint.L_SHOULDER, Joint.R_HIP), 0.2
#: A detection under this score begins no track in the pipeline's default settings.
SURE_BOX_SCORE = PipelineSettings().detection_score_min
#: Head units of the PCKh curve.
CURVE_K = np.linspace(0.0, 3.0, 61)
MM_PER_M = 1000.0


@dataclass(frozen=True, eq=False)
class Errors:
    """Distances of a row's keypoints from the truth; S seeds, N frames.

    Attributes:
        joints: which keypoints the row is measured on.
        errors: (S, N, 16) px or mm; inf where missing, NaN where the truth is unknown or the
            keypoint is not among `joints`.
        charged: (S, N, 16) the same, but a missing keypoint is put in the middle of the picture
            (2D) or at the pelvis (3D).
        unit: (N,) head unit in px or mm.
    """

    joints: tuple[int, ...]
    errors: np.ndarray
    charged: np.ndarray
    unit: np.ndarray


class Scorer:
    """Measures rows on one set, all with the same draws of blocks.

    Args:
        pictures: the set. replicates, seed: of the bootstrap.
    """

    def __init__(self, pictures: EvaluationSet, replicates: int = REPLICATES, seed: int = SEED):
        self._set = pictures
        self.blocks = pictures.blocks
        self.num_blocks = int(self.blocks.max(initial=-1)) + 1
        self._draws = draw_blocks(self.num_blocks, replicates, seed)
        trunk = pictures.stills.keypoints_px[:, list(TRUNK)]
        self._trunk_px = np.linalg.norm(trunk[:, 0] - trunk[:, 1], axis=-1)

    def interval(self, ratio: Ratio) -> Interval:
        """A figure with its interval."""
        return interval(ratio, self._draws)

    def difference(self, ratio: Ratio, base: Ratio) -> Interval:
        """`ratio` less `base` on the same draws."""
        return difference(ratio, base, self._draws)

    def errors_2d(self, seeds: Sequence[Predictions],
                  joints: tuple[int, ...] = ALL_JOINTS) -> Errors:
        """Errors in the picture, px."""
        self._check(seeds)
        truth = self._set.stills.keypoints_px
        middle = (self._set.size_wh - 1) / 2
        return self._errors([seed.keypoints_px for seed in seeds], truth,
                            np.linalg.norm(truth - middle[:, None], axis=-1), joints,
                            self._set.unit_px, 1.0)

    def errors_3d(self, seeds: Sequence[Predictions],
                  joints: tuple[int, ...] = ALL_JOINTS) -> Errors:
        """Errors in space with the pelvis at the origin, mm."""
        self._check(seeds)
        truth = self._set.stills.keypoints_m
        truth = truth - truth[:, ROOT:ROOT + 1]
        return self._errors([seed.keypoints_m for seed in seeds], truth,
                            np.linalg.norm(truth, axis=-1), joints, self._set.unit_m, MM_PER_M)

    def of(self, errors: Errors, visible_only: bool = False,
           joint: int | None = None) -> dict[str, Ratio]:
        """The figures of a row.

        Args:
            errors: from `errors_2d` or `errors_3d`.
            visible_only: leave out keypoints that are hidden or outside the picture.
            joint: of this keypoint alone.

        Returns:
            'pckh1', 'pckh2' (0..1, a missing keypoint is a miss), 'pck02' (the same in 2D with
            0.2 of the trunk), 'found' (0..1), 'ajpe' (of found keypoints) and 'ajpe_charged'.
        """
        known = ~np.isnan(errors.errors)
        if visible_only:
            known &= self._set.stills.visible[None]
        if joint is not None:
            known &= np.arange(NUM_KEYPOINTS) == joint
        found = known & np.isfinite(errors.errors)

        def near(unit: np.ndarray, k: float) -> Ratio:
            usable = known & np.isfinite(unit)[None, :, None]
            return self._ratio(errors.errors < k * unit[None, :, None], usable)
        return {'pckh1': near(errors.unit, 1.0), 'pckh2': near(errors.unit, 2.0),
                'pck02': near(self._trunk_px, PCK_SHARE), 'found': self._ratio(found, known),
                'ajpe': self._ratio(errors.errors, found),
                'ajpe_charged': self._ratio(errors.charged, known)}

    def curve(self, errors: Errors) -> np.ndarray:
        """(61,) PCKh at `CURVE_K`, mean over seeds."""
        units = errors.errors / errors.unit[None, :, None]
        return np.array([(units < k)[~np.isnan(units)].mean() if (~np.isnan(units)).any()
                         else np.nan for k in CURVE_K])

    def boxes(self, seeds: Sequence[Predictions]) -> dict[str, Ratio]:
        """'iou', 'found' and 'sure' (scored enough to begin a track), all 0..1."""
        self._check(seeds)
        truth = self._set.stills.box_xyxy
        ious = np.stack([box_ious(seed.box_xyxy, truth) for seed in seeds])
        scores = np.stack([np.nan_to_num(seed.box_score) for seed in seeds])
        known = ~np.isnan(ious)
        return {'iou': self._ratio(ious, known),
                'found': self._ratio(np.stack([np.isfinite(seed.box_score) for seed in seeds]),
                                     known),
                'sure': self._ratio(scores >= SURE_BOX_SCORE, known)}

    def worst_frames(self, errors: Errors, count: int) -> list[int]:
        """Frames with the largest mean charged error (first seed), at most one of each block."""
        charged = errors.charged[0]
        known = ~np.isnan(charged)
        sums, counts = np.where(known, charged, 0.0).sum(axis=1), known.sum(axis=1)
        mean = np.divide(sums, counts, out=np.full(len(sums), -np.inf), where=counts > 0)
        chosen, seen = [], set()
        for index in np.argsort(-mean, kind='stable'):
            if len(chosen) < count and np.isfinite(mean[index]) and self.blocks[index] not in seen:
                seen.add(self.blocks[index])
                chosen.append(int(index))
        return chosen

    def _errors(self, seeds: list[np.ndarray], truth: np.ndarray, fallback: np.ndarray,
                joints: tuple[int, ...], unit: np.ndarray, scale: float) -> Errors:
        errors = np.stack([joint_errors(pred, truth) for pred in seeds])
        errors[..., ~np.isin(np.arange(NUM_KEYPOINTS), joints)] = np.nan
        charged = np.where(np.isinf(errors), fallback[None], errors)
        return Errors(joints, errors * scale, charged * scale, unit * scale)

    def _ratio(self, values: np.ndarray, counted: np.ndarray) -> Ratio:
        return Ratio.of(np.asarray(values, float), counted, self.blocks)

    def _check(self, seeds: Sequence[Predictions]) -> None:
        lengths = [len(seed) for seed in seeds]
        if not lengths or set(lengths) != {len(self._set)}:
            raise InvalidInputError(
                f'predictions: expected {len(self._set)} frames for each seed, got {lengths}; '
                'evaluate the row on the same frames')
