"""Networks that know the answer, in place of trained ones."""

import numpy as np
import pytest

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


class FakePose:
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


class FakeLifter:
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
