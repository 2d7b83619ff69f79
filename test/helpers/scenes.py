"""Scripted networks whose answers are known, for tests of the pipeline."""

import threading

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.inference import PoseModels
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.skeleton import Joint
from infant_pose_ros.structures import Detection, Pose2D, Pose3D

SIZE_WH = (320, 240)
DT_S = 1 / 30


def body_px(centre=(160.0, 120.0), up=(0.0, -1.0), scale=1.0):
    """(16, 2) px: a body lying in the picture with its head towards `up`."""
    up, right = np.array(up), np.array([-up[1], up[0]])
    along = np.array([-60, -40, -20, -20, -40, -60, -20, 20, 30, 50, -20, 0, 20, 20, 0, -20])
    across = np.array([-15, -15, -12, 12, 15, 15, 0, 0, 0, 0, -35, -30, -18, 18, 30, 35])
    return np.array(centre) + scale * (along[:, None] * up + across[:, None] * right)


def box_of(points, margin=10):
    return np.concatenate([points.min(axis=0) - margin, points.max(axis=0) + margin])


class OneByOne:
    """Batches for networks that are scripted for one picture."""

    def estimate_batch(self, requests):
        return [self.estimate(*request) for request in requests]

    def lift_batch(self, requests):
        return [self.lift(*request) for request in requests]


class Scene(OneByOne):
    """Infants at known places; stands in for the detector, the pose network and the lifter."""

    input_size = 64

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.score = 0.9
        self.detects = True
        self.looks, self.look_threads = 0, []
        self.gate = None
        self.crops = []
        self.lifted = []

    def detect(self, image_rgb):
        self.looks += 1
        self.look_threads.append(threading.current_thread().name)
        if self.gate is not None:
            assert self.gate.wait(10)
        return [Detection(box_of(body), 0.9) for body in self.bodies] if self.detects else []

    def estimate(self, image_rgb, crops):
        self.crops = list(crops)
        return [self.read(crop) for crop in crops]

    def read(self, crop):
        """The nearest body; it is read well in an upright crop and badly in others."""
        bodies = self.bodies or [body_px()]
        body = min(bodies, key=lambda b: np.linalg.norm(b.mean(axis=0) - crop.centre_px))
        trunk = body[Joint.THORAX] - body[Joint.PELVIS]
        up = np.array([np.sin(crop.angle_rad), -np.cos(crop.angle_rad)])
        upright = trunk @ up / np.linalg.norm(trunk)
        score = self.score if upright > 0.7 else self.score / 4
        return Pose2D(body, np.full(16, score), np.tile(np.eye(2), (16, 1, 1)))

    def lift(self, poses_2d, camera, size_wh, body_length_m):
        self.lifted = list(poses_2d)
        points = [np.column_stack([pose.keypoints_px / 1000, np.ones(16)]) for pose in poses_2d]
        covariance = np.tile(np.eye(3) * 1e-4, (16, 1, 1))
        return [Pose3D(value, covariance, camera is not None) for value in points]


def pipeline_of(scene, **settings):
    models = PoseModels(scene, scene, scene, 'cpu', 'fp32', 1)
    return PosePipeline(PipelineSettings(**{'detect_async': False, **settings}), models)


def picture():
    image = np.zeros((SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    image[::8] = 200
    return image


def run(pipeline, count, start=0, image=None):
    image = picture() if image is None else image
    return [pipeline.process(image, (start + index) * DT_S) for index in range(count)]
