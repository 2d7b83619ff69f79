"""Recorded keypoints of an infant, for tests of what reads them."""

from infant_pose_ros.codecs.keypoint_clouds import empty_rows
from infant_pose_ros.skeleton import TrackState


def infant_rows(u, track=1):
    """(1, 16) of `KEYPOINT_DTYPE`: everything measured at (u, 5) px and (1, 1, 1) m."""
    rows = empty_rows(1)
    rows['track'], rows['u'], rows['v'], rows['score'] = track, u, 5.0, 0.8
    rows['state'] = TrackState.MEASURED
    for name in 'xyz':
        rows[name], rows[f's{name}'] = 1.0, 0.03
    return rows
