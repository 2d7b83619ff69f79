"""Skeletons for RViz: spheres, lines and a label for every infant."""

from __future__ import annotations

from geometry_msgs.msg import Point, Vector3
import numpy as np
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from infant_pose_ros.skeleton import BONES, Joint, SIDE_COLOURS_RGB, SIDES, TrackState
from infant_pose_ros.structures import FrameResult, TrackedInfant

JOINT_DIAMETER_M = 0.022
BONE_WIDTH_M = 0.009
TEXT_HEIGHT_M = 0.04
#: How far the label stands above the head (against y of the optical frame).
TEXT_OFFSET_M = 0.08
PREDICTED_ALPHA = 0.4
#: Markers vanish after this long where no answer follows, so that no skeleton stays frozen.
LIFETIME_S = 1.0


def _colour(joint: int, state: int) -> ColorRGBA:
    red, green, blue = (value / 255.0 for value in SIDE_COLOURS_RGB[SIDES[joint]])
    alpha = 1.0 if state == TrackState.MEASURED else PREDICTED_ALPHA
    return ColorRGBA(r=red, g=green, b=blue, a=alpha)


def _point(xyz: np.ndarray) -> Point:
    return Point(x=float(xyz[0]), y=float(xyz[1]), z=float(xyz[2]))


class MarkerEncoder:
    """Markers of one camera; remembers what is shown, to delete it by id when it is gone.

    Namespaces are `<camera>/<track>/joints`, `/bones` and `/text`, the id is always 0. Only
    finite points are sent, and no marker without a point.
    """

    def __init__(self, camera_name: str):
        self._camera_name = camera_name
        self._shown: set[str] = set()

    def encode(self, result: FrameResult, header: Header) -> MarkerArray:
        """What changed since the last call: skeletons in view, and deletions of those gone."""
        markers = [marker for infant in result.infants
                   for marker in self._skeleton(infant, header)]
        gone = self._shown.difference(marker.ns for marker in markers)
        self._shown = {marker.ns for marker in markers}
        return MarkerArray(markers=markers + self._deletions(gone, header))

    def clear(self, header: Header) -> MarkerArray:
        """Deletions by id of all that is shown."""
        gone, self._shown = self._shown, set()
        return MarkerArray(markers=self._deletions(gone, header))

    def clear_everything(self, header: Header) -> MarkerArray:
        """One DELETEALL, for the moments when the node begins or ends its work."""
        self._shown = set()
        return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])

    @staticmethod
    def _deletions(namespaces: set[str], header: Header) -> list[Marker]:
        return [Marker(header=header, ns=ns, id=0, action=Marker.DELETE)
                for ns in sorted(namespaces)]

    def _skeleton(self, infant: TrackedInfant, header: Header) -> list[Marker]:
        points_m, state = infant.smooth_3d.keypoints_m, infant.state
        seen = np.isfinite(points_m).all(axis=1) & (state != TrackState.LOST)
        joints = np.flatnonzero(seen).tolist()
        bones = [bone for bone in BONES if seen[list(bone)].all()]
        if not joints:
            return []
        spheres = self._marker(infant, header, 'joints', Marker.SPHERE_LIST)
        spheres.scale = Vector3(x=JOINT_DIAMETER_M, y=JOINT_DIAMETER_M, z=JOINT_DIAMETER_M)
        spheres.points = [_point(points_m[joint]) for joint in joints]
        spheres.colors = [_colour(joint, state[joint]) for joint in joints]
        markers = [spheres, self._label(infant, header, joints)]
        if bones:
            lines = self._marker(infant, header, 'bones', Marker.LINE_LIST)
            lines.scale.x = BONE_WIDTH_M
            lines.points = [_point(points_m[end]) for bone in bones for end in bone]
            lines.colors = [_colour(child, min(state[parent], state[child]))
                            for parent, child in bones for _ in range(2)]
            markers.append(lines)
        return markers

    def _label(self, infant: TrackedInfant, header: Header, joints: list[int]) -> Marker:
        points_m = infant.smooth_3d.keypoints_m
        anchor_m = (points_m[Joint.HEAD_TOP] if Joint.HEAD_TOP in joints
                    else points_m[joints].mean(axis=0))
        label = self._marker(infant, header, 'text', Marker.TEXT_VIEW_FACING)
        label.pose.position = _point(anchor_m - (0.0, TEXT_OFFSET_M, 0.0))
        label.scale.z = TEXT_HEIGHT_M
        label.text = f'infant {infant.track}: {infant.score[joints].mean():.2f}'
        return label

    def _marker(self, infant: TrackedInfant, header: Header, part: str, kind: int) -> Marker:
        marker = Marker(
            header=header, ns=f'{self._camera_name}/{infant.track}/{part}', id=0, type=kind,
            action=Marker.ADD, color=ColorRGBA(r=1.0, g=1.0, b=1.0, a=1.0),
            lifetime=Duration(seconds=LIFETIME_S).to_msg())
        marker.pose.orientation.w = 1.0
        return marker
