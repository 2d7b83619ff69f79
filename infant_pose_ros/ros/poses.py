"""Keypoints of the main infant as PoseArray and JointState."""

from __future__ import annotations

import math

from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from infant_pose_ros.geometry.angles import bone_quaternions, joint_angles
from infant_pose_ros.skeleton import JOINT_ANGLES
from infant_pose_ros.structures import FrameResult


def encode_poses(result: FrameResult, header: Header) -> PoseArray:
    """The 16 smoothed keypoints of the main infant; none in a frame that doesn't show it.

    The z axis of each pose points along the bone to the keypoint's parent. A lost keypoint
    keeps its place in the array, with NaN as position and the identity as orientation.
    """
    if result.main_infant is None:
        return PoseArray(header=header)
    keypoints_m = result.main_infant.smooth_3d.keypoints_m
    quaternions = bone_quaternions(keypoints_m)
    return PoseArray(header=header, poses=[
        Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))
        for (x, y, z), (qx, qy, qz, qw) in zip(keypoints_m.tolist(), quaternions.tolist())])


class JointStateEncoder:
    """Joint angles of the main infant and how fast they change.

    Velocities are differences of the smoothed angles over the time between two stamps; NaN in
    the first frame of an infant, after a jump in time and where an angle is missing.
    """

    def __init__(self):
        self._track = 0
        self._stamp_s = math.nan
        self._angles: dict[str, float] = {}

    def encode(self, result: FrameResult, header: Header) -> JointState:
        """All angles (rad) and velocities (rad/s), NaN where missing; no joint, no infant."""
        infant = result.main_infant
        if infant is None:
            self.reset()
            return JointState(header=header)
        angles = joint_angles(infant.smooth_3d.keypoints_m)
        elapsed_s = result.stamp_s - self._stamp_s
        steady = infant.track == self._track and not result.was_reset and elapsed_s > 0.0
        velocities = [
            (angles[name] - self._angles[name]) / elapsed_s if steady else math.nan
            for name in JOINT_ANGLES]
        self._track, self._stamp_s, self._angles = infant.track, result.stamp_s, angles
        return JointState(
            header=header, name=list(JOINT_ANGLES),
            position=[float(angles[name]) for name in JOINT_ANGLES],
            velocity=[float(velocity) for velocity in velocities])

    def reset(self) -> None:
        """Forget the frame before."""
        self.__init__()
