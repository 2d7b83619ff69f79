import json
import math

import numpy as np
import pytest

from infant_pose_ros.codecs.uncertainty import (
    PictureSpread,
    PictureUncertainty,
    USUAL_LOG_HEAT,
)
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.data.mini_rgbd import CAMERA
from infant_pose_ros.evaluation.calibrating import (
    calibrate_picture,
    calibrate_space,
    manifest_uncertainties,
    Readings,
)
from infant_pose_ros.evaluation.calibration_report import (
    KALMAN,
    measure,
    RAW,
    RTS,
    SPACES,
    write_report,
)
from infant_pose_ros.geometry.cameras import project
from infant_pose_ros.skeleton import ROOT
from infant_pose_ros.structures import Pose3D

FRAMES = 120
SIDE_PX, INPUT = 384.0, 192     # 2 px of the frame are one of the model


class KnownLifter:
    """Answers true poses with errors of 3 mm beside the ray and 2 cm along it."""

    def __init__(self, truth_m):
        self.truth_m = truth_m

    def lift(self, poses_2d, camera, size_wh, body_length_m):
        # the body stands still, so that the frame is of no account
        rng = np.random.default_rng(3)
        errors = rng.normal(size=(len(poses_2d), 16, 3)) * (0.003, 0.003, 0.02)
        points = self.truth_m[:len(poses_2d)] + errors
        if camera is None:
            points = points - points[:, ROOT:ROOT + 1]
        spread = np.tile(np.diag([0.003, 0.003, 0.02]) ** 2, (16, 1, 1))
        return [Pose3D(each, spread, camera is not None) for each in points]


def readings(frames=FRAMES, error_px=4.0, noise_px=1.0):
    """A body at rest: a bias for each moment of three frames, and noise in each frame."""
    rng = np.random.default_rng(0)
    body = rng.uniform(-0.2, 0.2, (16, 3)) + (0.0, 0.0, 1.1)
    truth_m = np.tile(body, (frames, 1, 1))
    truth_px = project(CAMERA, truth_m)
    bias = np.repeat(rng.normal(size=(-(-frames // 3), 16, 2)), 3, axis=0)[:frames]
    stamps_s = 1.0 + (np.arange(frames) + 10 * (np.arange(frames) // 3)) / 30.0
    keypoints_px = truth_px + error_px * bias + noise_px * rng.normal(size=truth_px.shape)
    heat_px2 = np.tile(4.0 * math.exp(USUAL_LOG_HEAT) * np.eye(2), (frames, 16, 1, 1))
    return Readings('01', stamps_s, 0.6, keypoints_px, np.ones((frames, 16)), heat_px2,
                    np.full(frames, SIDE_PX), INPUT, truth_px, truth_m)


def test_error_and_noise_are_told_apart():
    found = calibrate_picture([readings()], 0.25)
    heat = np.tile(math.exp(USUAL_LOG_HEAT) * np.eye(2), (16, 1, 1))
    error, noise = found.covariances(heat)
    # model px are half as many
    assert np.sqrt(error[:, 0, 0].mean()) == pytest.approx(math.hypot(4.0, 1.0) / 2, rel=0.15)
    assert np.sqrt(noise[:, 0, 0].mean()) == pytest.approx(1.0 / 2, rel=0.2)


def test_poses_come_in_frame_px():
    spread = PictureSpread(1.0, 1.0, (math.log(9.0),) * 16)
    pose = readings(3).poses(PictureUncertainty(spread, spread))[0]
    assert np.allclose(pose.covariance_px2, 4 * 9.0 * np.eye(2))
    heat = readings(3).poses(None)[0]
    assert np.allclose(heat.covariance_px2, 4 * math.exp(USUAL_LOG_HEAT) * np.eye(2))


def test_only_frames_in_a_row_tell_the_noise():
    assert readings(7).in_a_row().tolist() == [False, True, False, False, True, False, False]
    assert readings(1).in_a_row().tolist() == [False]


def test_keypoints_that_score_low_are_not_seen():
    each = readings(3)
    each.score[1, 4] = 0.2
    each.keypoints_px[2, 5] = np.nan
    seen = each.seen(0.25)
    assert not seen[1, 4] and not seen[2, 5] and seen.sum() == 46


def test_lifted_poses_are_calibrated_in_both_spaces():
    each = readings()
    lifter = KnownLifter(each.truth_m)
    space = calibrate_space([each], calibrate_picture([each], 0.25), lifter, 0.25)
    rays = np.zeros((16, 2))
    spread = np.tile((4.0 / 588.0) ** 2 * np.eye(2), (16, 1, 1))
    error, noise = space.covariances(rays, spread, spread / 16, np.full(16, 1.1), 0.6, True)
    assert np.sqrt(error[:, 2, 2].mean()) == pytest.approx(0.02, rel=0.2)
    assert np.sqrt(error[:, 0, 0].mean()) < 0.006
    relative, _ = space.covariances(rays, spread, spread / 16, np.full(16, 1.1), 0.6, False)
    others = np.arange(16) != ROOT
    # the pelvis' error is in every relative pose
    assert np.sqrt(relative[others, 2, 2].mean()) == pytest.approx(0.02 * math.sqrt(2), rel=0.25)


def test_measured_in_all_spaces_and_written(tmp_path):
    each = readings(60)
    measured = measure([each], calibrate_picture([each], 0.25), KnownLifter(each.truth_m),
                       PipelineSettings())
    assert {space: list(methods) for space, methods in measured.items()} == dict.fromkeys(
        SPACES, [RAW, KALMAN, RTS])
    raw = measured['3D absolute'][RAW]
    assert raw.coverage(0.5) == pytest.approx(0.5, abs=0.06)
    assert raw.coverage(0.9) == pytest.approx(0.9, abs=0.04)
    assert len(measured['3D relative'][RAW]) == 60 * 15
    table = write_report(measured, tmp_path / 'report', 'one infant')
    assert '| 2D, Kalman |' in table
    text = (tmp_path / 'report/calibration.md').read_text()
    assert table in text and '90 %, on one infant.' in text
    assert (tmp_path / 'report/reliability.png').exists()


def test_manifests_without_calibration_say_so(tiny_checkpoints):
    assert manifest_uncertainties(tiny_checkpoints['pose'], tiny_checkpoints['lifter']) == (
        None, None)


def test_bundled_networks_are_calibrated():
    from infant_pose_ros.models.checkpoints import bundled_checkpoint

    picture, space = manifest_uncertainties(*map(bundled_checkpoint, ('pose', 'lifter')))
    assert picture is not None and space is not None
    assert json.loads(json.dumps(space.to_dict()))['error']['depth'] > 0
