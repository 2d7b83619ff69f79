import numpy as np
import pytest
import torch
from torch import nn

from infant_pose_ros.codecs.lifting import LiftingCodec
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.geometry.cameras import project, undistort_to_rays
from infant_pose_ros.lifting import LiftRequest, PoseLifter
from infant_pose_ros.models.checkpoints import Manifest
from infant_pose_ros.structures import Camera, Pose2D

SIZE_WH = (160, 120)
CAMERA = Camera(200.0, 200.0, 79.5, 59.5, *SIZE_WH)


class ConstantLifter(nn.Module):
    def __init__(self, output_mm):
        super().__init__()
        self.output_mm = torch.as_tensor(output_mm, dtype=torch.float32)

    def forward(self, x):
        return self.output_mm.expand(len(x), 48)


class SwayingLifter(ConstantLifter):
    """Its answer depends on what it sees."""

    def forward(self, x):
        return super().forward(x) + 5.0 * x.mean(dim=1, keepdim=True)


def body_mm():
    """(16, 3) mm, flat, pelvis (index 6) at the origin, thorax (7) 200 mm above it."""
    rng = np.random.default_rng(3)
    body = rng.uniform(-150, 150, (16, 3))
    body[6], body[7] = 0.0, (0.0, -200.0, 0.0)
    return body


def pose_at(keypoints_px):
    return Pose2D(keypoints_px, np.ones(16), np.tile(np.eye(2), (16, 1, 1)))


def test_lifting_puts_the_body_onto_its_rays():
    body_m = body_mm() / 1000 + (0.05, 0.02, 1.2)
    # Seen straight ahead: the view's axes are the camera's but for a small turn, so take the
    # lifter's answer in the view of these very rays.
    keypoints_px = project(CAMERA, body_m)
    codec = LiftingCodec()
    _, view = codec.encode_input(undistort_to_rays(CAMERA, keypoints_px))
    target = codec.encode_target(body_m, 0.6, view)
    lifter = PoseLifter(ConstantLifter(target), Manifest('x', 'lifter', 'martinez'))
    absolute, = lifter.lift([pose_at(keypoints_px)], CAMERA, SIZE_WH, 0.6)
    assert absolute.is_absolute
    assert np.abs(absolute.keypoints_m - body_m).max() < 1e-4
    larger, = lifter.lift([pose_at(keypoints_px)], CAMERA, SIZE_WH, 1.2)
    assert larger.keypoints_m[6] == pytest.approx(2 * body_m[6], abs=1e-3)
    relative, = lifter.lift([pose_at(keypoints_px)], None, SIZE_WH, 0.6)
    assert not relative.is_absolute
    assert relative.keypoints_m[6].tolist() == [0.0, 0.0, 0.0]


def test_poses_of_several_pictures_are_lifted_together_as_alone():
    body_m = body_mm() / 1000 + (0.05, 0.02, 1.2)
    keypoints_px = project(CAMERA, body_m)
    codec = LiftingCodec()
    _, view = codec.encode_input(undistort_to_rays(CAMERA, keypoints_px))
    lifter = PoseLifter(SwayingLifter(codec.encode_target(body_m, 0.6, view)),
                        Manifest('x', 'lifter', 'martinez'))
    unusable = pose_at(np.full((16, 2), np.nan))
    requests = [
        LiftRequest([pose_at(keypoints_px), unusable], CAMERA, SIZE_WH, 0.6),
        LiftRequest([], CAMERA, SIZE_WH, []),
        LiftRequest([unusable], None, SIZE_WH, 0.6),
        LiftRequest([pose_at(keypoints_px * [2.0, 1.5]), pose_at(keypoints_px)], None, (320, 240),
                    [0.5, 0.7])]
    together = lifter.lift_batch(requests)
    assert [[pose is not None for pose in poses] for poses in together] == [
        [True, False], [], [False], [True, True]]
    for request, poses in zip(requests, together):
        for pose, alone in zip(poses, lifter.lift(*request)):
            if pose is not None:
                assert pose.is_absolute == alone.is_absolute
                assert np.allclose(pose.keypoints_m, alone.keypoints_m, atol=1e-5)
                assert np.allclose(pose.covariance_m2, alone.covariance_m2, atol=1e-6)
    assert lifter.lift_batch([]) == []


def test_lifting_scales_the_camera_to_the_picture():
    body_m = body_mm() / 1000 + (0.0, 0.0, 1.2)
    lifter = PoseLifter(ConstantLifter(body_mm().reshape(-1)),
                        Manifest('x', 'lifter', 'martinez'))
    small = project(CAMERA, body_m)
    large = (small + 0.5) * 2 - 0.5
    at_small, = lifter.lift([pose_at(small)], CAMERA, SIZE_WH, 0.6)
    twice = Pose2D(large, np.ones(16), np.tile(4.0 * np.eye(2), (16, 1, 1)))
    at_large, = lifter.lift([twice], CAMERA, (320, 240), 0.6)
    assert np.allclose(at_small.keypoints_m, at_large.keypoints_m, atol=1e-6)
    assert np.allclose(at_small.noise_m2, at_large.noise_m2, atol=1e-9)
    with pytest.raises(InvalidInputError, match='160x120 but the image is 320x120'):
        lifter.lift([pose_at(small)], CAMERA, (320, 120), 0.6)


def flat_lifter(**metrics):
    """A lifter for bodies that are `flat_px`: 1 m away, 200 px lens, so 5 mm a pixel."""
    return PoseLifter(ConstantLifter((body_mm() * (1, 1, 0)).reshape(-1)),
                      Manifest('x', 'lifter', 'martinez', metrics=metrics))


def flat_px():
    return project(CAMERA, body_mm() * (1, 1, 0) / 1000 + (0.0, 0.1, 1.0))


def test_noise_is_what_the_picture_shows_times_the_depth_and_jitter_along_the_ray():
    pose_2d = Pose2D(flat_px(), np.ones(16), np.tile(np.diag([4.0, 1.0]), (16, 1, 1)))
    metrics = {'joint_std_mm': [10.0] * 6 + [0.0] + [10.0] * 9, 'joint_jitter_mm': 3.0}
    with_jitter, = flat_lifter(**metrics).lift([pose_2d], CAMERA, SIZE_WH, 0.6)
    without, = flat_lifter(**{**metrics, 'joint_jitter_mm': 0.0}).lift(
        [pose_2d], CAMERA, SIZE_WH, 0.6)
    ray = np.append(with_jitter.keypoints_m[0, :2] / with_jitter.keypoints_m[0, 2], 1.0)
    ray /= np.linalg.norm(ray)
    assert np.allclose(with_jitter.noise_m2[0] - without.noise_m2[0],
                       0.003 ** 2 * np.outer(ray, ray), rtol=1e-6, atol=1e-12)
    # The difference of two keypoints' noise is free of the root's: 2 px and 1 px are the same
    # for both, but only their own.
    own = without.noise_m2[0] - without.noise_m2[1]
    assert np.allclose(own, 0.0, atol=2e-6)
    # It is told relative to the pelvis: its own and the pelvis's add up.
    assert without.noise_m2[0, 0, 0] == pytest.approx(2 * 0.010 ** 2, rel=0.01)
    assert without.noise_m2[0, 1, 1] == pytest.approx(2 * 0.005 ** 2, rel=0.01)
    # What is told holds the lifter's whole error too, on top.
    beyond = np.linalg.eigvalsh(with_jitter.covariance_m2 - with_jitter.noise_m2)
    assert (beyond[0] > 0.010 ** 2).all() and (beyond[0] < 0.1 ** 2).all()
    assert (beyond[6] > 0.001 ** 2).all()     # the floor, 1 mm


def test_noise_follows_each_keypoint_and_not_the_lifters_error():
    covariances = np.tile(np.eye(2), (16, 1, 1))
    covariances[10] *= 100.0
    pose_2d = Pose2D(flat_px(), np.ones(16), covariances)
    for camera in (CAMERA, None):
        rough, fine = (flat_lifter(joint_std_mm=std_mm, joint_jitter_mm=2.0).lift(
            [pose_2d], camera, SIZE_WH, 0.6)[0] for std_mm in (40.0, 4.0))
        wide = np.trace(rough.noise_m2, axis1=1, axis2=2)
        assert wide[10] > 5 * wide[[0, 11, 15]].max()
        assert np.allclose(rough.noise_m2, fine.noise_m2, rtol=0.5, atol=1e-4)
        assert (np.trace(rough.covariance_m2 - fine.covariance_m2, axis1=1, axis2=2)
                > 2.5 * (0.04 ** 2 - 0.004 ** 2)).all()


def test_relative_noise_by_hand():
    pose_2d = pose_at(flat_px())
    pose, = flat_lifter(joint_std_mm=10.0, joint_jitter_mm=0.0).lift([pose_2d], None, SIZE_WH, 1.2)
    # Twice the body spans the same pixels: 10 mm a pixel, with 1 px each at keypoint and pelvis.
    assert np.allclose(pose.noise_m2[0], np.diag([2e-4, 2e-4, 0.0]), rtol=1e-3, atol=1e-12)
    assert np.allclose(pose.covariance_m2[0] - pose.noise_m2[0], np.eye(3) * 0.02 ** 2)
    assert not pose.noise_m2[6].any()


def test_a_keypoint_that_the_lifter_gets_wrong_places_no_root():
    truth = body_mm() * (1, 1, 0) / 1000 + (0.0, 0.1, 1.0)
    truth[10] += (0.2, 0.2, 0.0)
    std_mm = np.full(16, 2.0)
    std_mm[10] = 200.0
    off = [np.linalg.norm(flat_lifter(joint_std_mm=value).lift(
        [pose_at(project(CAMERA, truth))], CAMERA, SIZE_WH, 0.6)[0].keypoints_m[6] - truth[6])
        for value in (2.0, std_mm.tolist())]
    assert off[1] < off[0] / 3


def test_a_missing_keypoint_takes_nothing_with_it():
    broken = flat_px()
    whole, = flat_lifter().lift([pose_at(broken)], CAMERA, SIZE_WH, 0.6)
    broken[15] = np.nan
    no_peak = np.tile(np.eye(2), (16, 1, 1))
    no_peak[15] = np.nan
    for covariances in (np.tile(np.eye(2), (16, 1, 1)), no_peak):
        for camera in (CAMERA, None):
            pose, = flat_lifter().lift([Pose2D(broken, np.ones(16), covariances)], camera,
                                       SIZE_WH, 0.6)
            assert np.isnan(pose.keypoints_m[15]).all()
            assert np.isnan(pose.covariance_m2[15]).all() and np.isnan(pose.noise_m2[15]).all()
            assert np.isfinite(pose.keypoints_m[:15]).all()
            assert np.isfinite(pose.covariance_m2[:15]).all()
            if camera:
                assert np.allclose(pose.keypoints_m[:15], whole.keypoints_m[:15], atol=0.01)


def test_a_pixel_without_a_ray_takes_nothing_with_it():
    lens = Camera(200.0, 200.0, 79.5, 59.5, *SIZE_WH, 'plumb_bob', [-0.4, 0, 0, 0, 0])
    keypoints_px = flat_px()
    keypoints_px[10] = (2000.0, 1500.0)         # beyond what this lens can have seen
    first, second = flat_lifter().lift(
        [pose_at(keypoints_px), pose_at(flat_px())], lens, SIZE_WH, 0.6)
    assert np.isnan(first.keypoints_m[10]).all()
    assert np.isfinite(np.delete(first.keypoints_m, 10, axis=0)).all()
    assert np.isfinite(second.keypoints_m).all()


def test_three_keypoints_are_too_few_and_no_pose_is_no_answer():
    few = np.full((16, 2), np.nan)
    few[:3] = flat_px()[:3]
    assert flat_lifter().lift([pose_at(few)], None, SIZE_WH, 0.6) == [None]
    assert flat_lifter().lift([], None, SIZE_WH, 0.6) == []
