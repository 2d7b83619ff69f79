"""Networks that know the answer, in place of trained ones."""

import numpy as np
import pytest
from scenes import OneByOne

from infant_pose_ros.data.mini_rgbd import INTRINSICS
from infant_pose_ros.errors import CheckpointError
from infant_pose_ros.structures import Detection, Pose2D, Pose3D


class FakeNetworks:
    """Networks for one set; each is a name such as 'shift5', and counts what it is asked.

    The number of a frame is read from the first pixel of its picture.
    """

    def __init__(self, pictures):
        self.pictures = pictures
        self.calls = []

    def digest(self, task, name):
        if name.startswith('gone'):
            raise CheckpointError(f'{name}: no such {task} weights')
        return f'{task}:{name}'

    def detector(self, name):
        return FakeDetector(self, name)

    def pose(self, name):
        return FakePose(self, float(name.removeprefix('shift')))

    def lifter(self, name):
        return FakeLifter(self, float(name.removeprefix('grow')))

    def adult_network(self, kind, weights, rotations):
        return FakeAdult(self, rotations)

    def frame(self, image):
        return int(image[0, 0, 0])


class FakeDetector:
    """The labelled box, 20 px wider on the right; nothing in frames 3 and 4 for 'blind'."""

    def __init__(self, networks, name):
        self.networks, self.name = networks, name

    def detect(self, image):
        index = self.networks.frame(image)
        self.networks.calls.append(('detect', index))
        if self.name == 'blind' and index in (3, 4):
            return []
        box = self.networks.pictures.stills.box_xyxy[index]
        return [Detection(box + [0, 0, 20, 0], 0.4 if index == 5 else 0.9)]


class FakePose(OneByOne):
    """The truth, `shift_px` further down, the surer the more upright the crop; keeps its crops."""

    input_size = 64

    def __init__(self, networks, shift_px):
        self.networks, self.shift_px, self.crops = networks, shift_px, []

    def estimate(self, image, crops):
        index = self.networks.frame(image)
        self.networks.calls += [('pose', crop) for crop in crops]
        truth = self.networks.pictures.stills.keypoints_px[index]
        return [Pose2D(truth + [0.0, self.shift_px],
                       np.full(16, 0.5 + 0.4 * np.cos(crop.angle_rad)),
                       np.tile(np.eye(2), (16, 1, 1))) for crop in crops]


class FakeLifter(OneByOne):
    """Unprojects to 1 m away and grows the body about its pelvis; turns round at no length."""

    def __init__(self, networks, grow):
        self.networks, self.grow = networks, grow

    def lift(self, poses, camera, size_wh, body_length_m):
        self.networks.calls.append(('lift', len(poses), size_wh, body_length_m))
        fx, fy, cx, cy = INTRINSICS
        assert (camera.fx, camera.cy) == (fx, cy)
        lifted = []
        for pose in poses:
            if np.isnan(pose.keypoints_px).any():
                lifted.append(None)
                continue
            plane = (pose.keypoints_px - [cx, cy]) / [fx, fy]
            points = np.column_stack([plane, np.ones(16)])
            points = points[6] + self.grow * (points - points[6])
            lifted.append(Pose3D(points, np.tile(np.eye(3), (16, 1, 1)), True))
        return lifted


class FakeAdult:
    """The truth but for neck and head top; off by 8 px when it reads upright only."""

    def __init__(self, networks, rotations):
        self.networks, self.off_px = networks, 8.0 if rotations == 1 else 0.0

    def estimate(self, image, box_xyxy):
        self.networks.calls.append(('adult', np.asarray(box_xyxy)))
        truth = self.networks.pictures.stills.keypoints_px[self.networks.frame(image)]
        keypoints = truth + [self.off_px, 0.0]
        keypoints[8:10] = np.nan
        return keypoints, np.where(np.isnan(keypoints[:, 0]), 0.0, 0.8)


@pytest.fixture
def pictures(cot_folder):
    from infant_pose_ros.evaluation.sets import open_videos

    return open_videos(cot_folder)


@pytest.fixture
def networks(pictures):
    return FakeNetworks(pictures)


class StraightLifter:
    """Every keypoint 1 m away on its ray."""

    def lift(self, poses, camera, size_wh, body_length_m):
        plane = [(pose.keypoints_px - [camera.cx, camera.cy]) / [camera.fx, camera.fy]
                 for pose in poses]
        return [Pose3D(np.column_stack([each, np.where(np.isnan(each[:, 0]), np.nan, 1.0)]),
                       np.tile(np.eye(3) * 1e-4, (16, 1, 1)), True) for each in plane]


@pytest.fixture
def straight_lifter():
    return StraightLifter()


@pytest.fixture
def make_recording():
    """Readings of a body that sways by 20 px, with noise of 2 px; truth 1 m away."""
    from infant_pose_ros.data.mini_rgbd import CAMERA
    from infant_pose_ros.evaluation.temporal_readings import Recording

    def make(frames, rate_hz=30.0, number=11, noise_px=2.0):
        rng = np.random.default_rng(number)
        times = np.arange(frames) / rate_hz
        base = np.column_stack([200 + 12.0 * np.arange(16), 160 + 9.0 * (np.arange(16) % 5)])
        phase = np.arange(32).reshape(16, 2)
        truth = base + 20 * np.sin(2 * np.pi * 0.7 * times[:, None, None] + phase)
        plane = (truth - [CAMERA.cx, CAMERA.cy]) / [CAMERA.fx, CAMERA.fy]
        noise = np.broadcast_to(noise_px**2 * np.eye(2), (frames, 16, 2, 2))
        return Recording(
            number, 0.6, times, times, truth + rng.normal(0, noise_px, truth.shape),
            rng.uniform(0.6, 0.9, (frames, 16)), noise + np.eye(2), noise, truth,
            np.concatenate([plane, np.ones((frames, 16, 1))], -1))
    return make
