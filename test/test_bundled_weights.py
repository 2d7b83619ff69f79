"""The weights and the clip that come with the package, together: accuracy, not speed."""

import numpy as np
import pytest

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.evaluation.metrics import head_units, joint_errors, pckh
from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.sources import bundled_clip, open_source
from infant_pose_ros.models.checkpoints import bundled_checkpoint, load_checkpoint, TASKS
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.structures import Camera

FRAMES = 150


@pytest.mark.parametrize('task', TASKS)
def test_every_network_comes_with_weights_that_say_what_they_are(task):
    module, manifest = load_checkpoint(bundled_checkpoint(task), task)
    assert not module.training
    assert manifest.licence and manifest.training_data and manifest.metrics
    assert bundled_checkpoint(task).stat().st_size < 40e6


@pytest.fixture(scope='module')
def followed():
    """The first frames of the clip through the pipeline: keypoints_px, keypoints_m, truth."""
    with open_source(bundled_clip()) as source:
        camera = Camera.from_camera_info_yaml(source.camera_info_path)
        truth = ClipTruth.load(source.truth_path)
        settings = PipelineSettings(
            device='cpu', detect_async=False, body_length_m=truth.body_length_m)
        found_px, found_m = [], []
        with PosePipeline.from_settings(settings) as pipeline:
            for frame, _ in zip(source, range(FRAMES)):
                result = pipeline.process(frame.image_rgb, frame.stamp_s, camera)
                infant = result.infants[0] if result.infants else None
                found_px.append(infant.smooth_2d.keypoints_px if infant
                                else np.full((16, 2), np.nan))
                found_m.append(infant.smooth_3d.keypoints_m if infant
                               else np.full((16, 3), np.nan))
    return np.array(found_px), np.array(found_m), truth


@pytest.mark.slow
def test_the_skeleton_is_on_the_infant(followed):
    found_px, _, truth = followed
    true_px = truth.keypoints_px[:FRAMES]
    errors = joint_errors(found_px, true_px)
    unit = np.full(FRAMES, np.median(head_units(truth.keypoints_px)))
    assert pckh(errors, unit, 2.0) >= 0.8
    assert pckh(errors, unit, 1.0) >= 0.8
    assert np.median(errors[np.isfinite(errors)]) < 15.0    # px of 640


@pytest.mark.slow
def test_the_skeleton_is_where_and_as_large_as_the_infant(followed):
    _, found_m, truth = followed
    true_m = truth.keypoints_m[:FRAMES]
    known = np.isfinite(found_m).all(axis=(1, 2))
    assert known.mean() > 0.5
    distance = np.linalg.norm(found_m - true_m, axis=-1)[known]
    assert np.median(distance) < 0.1 * true_m[..., 2].mean()
    relative = (found_m - found_m[:, 6:7]) - (true_m - true_m[:, 6:7])
    assert np.median(np.linalg.norm(relative, axis=-1)[known]) < 0.08 * truth.body_length_m
