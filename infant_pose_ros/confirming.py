"""Which detection shows which track, and where those that went astray should be."""

from __future__ import annotations

import numpy as np

from infant_pose_ros.camera_state import CameraState
from infant_pose_ros.filtering.association import (
    AFFINITY_MIN,
    detection_costs,
    extents,
    INSIDE_MIN,
    inside_shares,
    match,
)
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.reading import Candidate, PoseReader
from infant_pose_ros.structures import Detection


def match_detections(tracks: list[Candidate], found: list[Detection], state: CameraState,
                     reader: PoseReader, track_score_min: float) -> tuple[set[int], set[int]]:
    """Confirm tracks, and look where those that went astray should be.

    Args:
        tracks: they learn whether they are confirmed, and in which more crops to be read.
        found: detections. state: of the camera. reader: makes the crops.
        track_score_min: tracks that score less are read in their detections too.

    Returns:
        Detections that are taken, and tracks that are read nowhere but in a detection.
    """
    if not tracks or not found:
        return set(), set()
    poses = np.stack([candidate.track.keypoints_px for candidate in tracks])
    boxes = np.stack([detection.box_xyxy for detection in found])
    costs = detection_costs(
        poses, np.stack([candidate.track.box_xyxy for candidate in tracks]), boxes)
    pairs = match(costs, 1.0 - AFFINITY_MIN)
    hidden = [candidate.track.id in state.hidden for candidate in tracks]
    for row, column in pairs:
        if hidden[row] or tracks[row].track.score < track_score_min:
            tracks[row].crops += reader.turned_crops(found[column])
    astray = {row for row, _ in pairs if hidden[row]}
    shown = inside_shares(poses, boxes).max(axis=1) >= INSIDE_MIN
    matched_rows, taken = {row for row, _ in pairs}, {column for _, column in pairs}
    for row, candidate in enumerate(tracks):
        candidate.is_confirmed = row in matched_rows or bool(shown[row] and not hidden[row])
    for row, column in _strayed(tracks, matched_rows, boxes, taken, state):
        tracks[row].crops += reader.turned_crops(found[column])
        tracks[row].is_confirmed = True
        astray.add(row)
        taken.add(column)
    return taken, {tracks[row].track.id for row in astray}


def _strayed(tracks: list[Candidate], matched: set[int], boxes: np.ndarray, taken: set[int],
             state: CameraState) -> list[tuple[int, int]]:
    """Tracks that no detection confirms, and detections where they last were confirmed."""
    people = [None if row in matched else state.people.of(candidate.track.id)
              for row, candidate in enumerate(tracks)]
    rows = [row for row, person in enumerate(people) if person is not None]
    columns = [column for column in range(len(boxes)) if column not in taken]
    if not rows or not columns:
        return []
    anchors = np.stack([people[row].anchor_px for row in rows])
    around = np.stack([box_around(pose) for pose in anchors])
    costs = detection_costs(anchors, around, boxes[columns])
    # One without a reading of its own takes any near detection that nobody claims.
    hidden = np.array([tracks[row].track.id in state.hidden for row in rows])
    middles, found = (
        (each[:, :2] + each[:, 2:]) / 2 for each in (around, boxes[columns]))
    apart = np.linalg.norm(middles[:, None] - found[None], axis=-1)
    apart /= extents(anchors)[:, None]
    is_near = hidden[:, None] & (apart < 1.0)
    costs = np.where(is_near, np.fmin(costs, (1.0 - AFFINITY_MIN) * apart), costs)
    return [(rows[i], columns[j]) for i, j in match(costs, 1.0 - AFFINITY_MIN)]
