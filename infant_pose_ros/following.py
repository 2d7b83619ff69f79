"""Whom to follow in a picture: which detection, reading and track belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import math

import numpy as np

from infant_pose_ros.camera_state import CameraState
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.confirming import match_detections
from infant_pose_ros.filtering.association import (
    borrowed_keypoints,
    match,
    pose_distances,
    SAME_INFANT_SHARE,
    suppress_overlapping,
)
from infant_pose_ros.filtering.people import MOST_READINGS_UNFOLLOWED, Person
from infant_pose_ros.filtering.tracks import seen_keypoints, Track, TrackEstimate
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.looking import is_inside, roi_box
from infant_pose_ros.reading import Candidate, PoseReader
from infant_pose_ros.skeleton import TrackState
from infant_pose_ros.structures import Detection, Pose2D, TrackedInfant

#: Looks in a row that find an infant elsewhere, but not the tracked one, before a track ends.
MAX_MISSES = 2
#: A track begins with at least so many keypoints seen.
MIN_SEEN_KEYPOINTS = 4
#: Detections without a track that are read beyond the free places: some turn out to be adults.
EXTRA_READINGS = 2
#: A reading nearer to a track's prediction than this share of the body may be that infant's.
REACH_SHARE = 0.5
#: Nearer than this to one who is followed, nobody else is seen.
NEW_INFANT_SHARE = 0.25
#: Readings after which a track may turn out to be an adult's.
MIN_READINGS = 15


class Following:
    """Matches what is seen in one frame of one camera with those whom it follows.

    Args:
        state: of the camera; its tracks are at the frame's stamp. settings: how to choose.
        size_wh: of the picture, px. stamp_s: of the frame.
    """

    def __init__(self, state: CameraState, settings: PipelineSettings,
                 size_wh: tuple[int, int], stamp_s: float):
        self._state, self._settings = state, settings
        self._size_wh, self._stamp_s = size_wh, stamp_s
        self._roi = roi_box(settings, size_wh)
        odds = settings.infant_score_min / (1.0 - settings.infant_score_min)
        self._log_odds_min = math.log(odds)
        self._looks_for_adults = settings.adult_policy != 'off'

    # From tracks and detections to what is read

    def candidates(self, reader: PoseReader, detections: Sequence[Detection] | None
                   ) -> list[Candidate]:
        """Whom to read, and in which crops; tracks with nothing to follow end here."""
        found = self._credible(detections)
        tracks = [Candidate([], track) for track in self._state.tracker.tracks]
        matched, astray = match_detections(
            tracks, found, self._state, reader, self._settings.track_score_min)
        for candidate in tracks:
            if candidate.track.id not in astray:
                candidate.follow = reader.following_crop(candidate.track.keypoints_px)
                candidate.crops = [candidate.follow] * (
                    candidate.follow is not None) + candidate.crops
            is_outside = self._roi is not None and not is_inside(
                candidate.track.box_xyxy, self._roi, slack=True)
            if is_outside or not candidate.crops:
                self._state.tracker.end(candidate.track.id)
                candidate.crops = []
        tracks = [candidate for candidate in tracks if candidate.crops]
        fresh = [d for column, d in enumerate(found) if column not in matched]
        room = max(self._settings.max_infants - sum(
            not self._is_adult(candidate.track.id) for candidate in tracks), 0)
        fresh = fresh[:room + EXTRA_READINGS if room else 0]
        return tracks + [Candidate(reader.turned_crops(detection), is_confirmed=True)
                         for detection in fresh]

    def _credible(self, detections: Sequence[Detection] | None) -> list[Detection]:
        """Detections that score enough, inside of the region of interest."""
        return [detection for detection in detections or ()
                if detection.score >= self._settings.detection_score_min
                and (self._roi is None or is_inside(detection.box_xyxy, self._roi))]

    # From what was read to tracks

    def unswap(self, candidates: list[Candidate]) -> None:
        """Put left and right of what was read as the tracks have them, before it is lifted.

        What was read off another infant counts as not seen.
        """
        tracked = {candidate.track.id: candidate for candidate in candidates if candidate.track}
        if len(tracked) > 1:
            _drop_borrowed(list(tracked.values()))
        poses = self._state.tracker.unswapped(
            {key: candidate.pose_2d for key, candidate in tracked.items()})
        for key, pose in poses.items():
            tracked[key].pose_2d = pose

    def correct(self, candidates: list[Candidate], detections: Sequence[Detection] | None
                ) -> tuple[TrackedInfant, ...]:
        """Feed the tracks, begin and end some, and tell of those that live, the main one first."""
        state, tracker = self._state, self._state.tracker
        state.people.forget(self._stamp_s, self._settings.id_max_s, self._size_wh, tracker.ids)
        if detections is not None:
            state.people.look_again()
        self._end_refuted(candidates, detections)
        by_track, newcomers = self._assigned(candidates)
        for track_id, (candidate, is_far) in by_track.items():
            if is_far:      # its filters would take the new place for an outlier
                tracker.begin(candidate.pose_2d, candidate.pose_3d, track_id)
            self._remember(track_id, candidate)
        self._end_adults()
        chosen = {self._own_id(track_id, candidate): candidate
                  for track_id, (candidate, _) in by_track.items()}
        chosen |= self._begun(newcomers)
        chosen = {track_id: one for track_id, one in chosen.items() if track_id in tracker.ids}
        state.note_placed(chosen, self._stamp_s)
        infants = self._infants(chosen)
        ended = set(tracker.end_stale())
        alive = set(tracker.ids)
        state.misses = {key: count for key, count in state.misses.items() if key in alive}
        state.hidden = alive - set(chosen)
        infants = [infant for infant in infants if infant.track not in ended]
        self._choose_main(infants)
        return tuple(sorted(infants, key=lambda infant: (infant.track != state.main_track,
                                                         -infant.score.mean())))

    def _end_refuted(self, candidates: list[Candidate],
                     detections: Sequence[Detection] | None) -> None:
        """End tracks that a look at the picture says to follow no infant."""
        if detections is None:
            return
        state, elsewhere = self._state, bool(self._credible(detections))
        for candidate in candidates:
            track = candidate.track
            if track is None:
                continue
            if candidate.is_confirmed:
                state.misses[track.id] = 0
                continue
            state.misses[track.id] = state.misses.get(track.id, 0) + elsewhere
            is_weak = max(track.score, candidate.score) < self._settings.track_score_min
            if is_weak or state.misses[track.id] >= MAX_MISSES:
                state.tracker.end(track.id)

    def _assigned(self, candidates: list[Candidate]
                  ) -> tuple[dict[int, tuple[Candidate, bool]], list[Candidate]]:
        """Which reading belongs to which track, and the readings of people who have none.

        Of readings of the same infant the best stays. A track whose reading lies on another's
        infant gets none: it is predicted, and read again where it should be.

        Returns:
            By track its reading and whether that is somewhere else than the track; newcomers.
        """
        alive = self._state.tracker.ids
        living = [candidate for candidate in candidates if candidate.track is None
                  or candidate.track.id in alive and not self._is_away(candidate)]
        if not living:
            return {}, []
        readings = np.stack([candidate.pose_2d.keypoints_px for candidate in living])
        kept = suppress_overlapping(readings, [candidate.score for candidate in living])
        rows = [row for row, candidate in enumerate(living) if candidate.track is not None]
        by_track = {}
        if rows:
            predicted = np.stack([living[row].track.keypoints_px for row in rows])
            distances = pose_distances(readings[kept], predicted).T
            own = np.array(rows)[:, None] == np.array(kept)[None]
            costs = np.where(own, np.fmin(distances, REACH_SHARE), distances)
            by_track = {
                living[rows[i]].track.id: (
                    living[kept[j]], self._is_far(living[kept[j]], distances[i, j]))
                for i, j in match(costs, REACH_SHARE)}
        taken = {id(candidate) for candidate, _ in by_track.values()}
        newcomers = [living[row] for row in kept
                     if living[row].track is None and id(living[row]) not in taken]
        return by_track, self._apart(newcomers, [one for one, _ in by_track.values()])

    def _is_away(self, candidate: Candidate) -> bool:
        """Whether a track's reading shows whoever is in the way rather than its infant."""
        person = self._state.people.of(candidate.track.id)
        return person is not None and person.is_elsewhere(
            candidate.pose_2d.keypoints_px, candidate.score)

    def _is_far(self, candidate: Candidate, distance: float) -> bool:
        """Whether a detection showed where to read, and that is not where the track is."""
        return candidate.is_elsewhere and not distance < REACH_SHARE

    def _apart(self, newcomers: list[Candidate], followed: list[Candidate]) -> list[Candidate]:
        """Those who can be believed, and who lie on none of the followed ones."""
        poses = [candidate.pose_2d.keypoints_px for candidate in followed]
        return [
            candidate for candidate in newcomers
            if candidate.score >= self._settings.track_score_min
            and self._seen(candidate.pose_2d).sum() >= MIN_SEEN_KEYPOINTS
            and not (pose_distances(candidate.pose_2d.keypoints_px, np.array(poses))
                     < NEW_INFANT_SHARE).any()]

    def _begun(self, newcomers: list[Candidate]) -> dict[int, Candidate]:
        """Begin tracks while there is room: infants go first, and those who are back."""
        state, begun = self._state, {}
        if not newcomers:
            return begun
        living = state.tracker.ids
        known = state.people.recognise(
            np.stack([candidate.pose_2d.keypoints_px for candidate in newcomers]),
            self._stamp_s, living)
        people = [known.get(row) or state.people.add(
            0, candidate.pose_2d.keypoints_px, self._stamp_s)
            for row, candidate in enumerate(newcomers)]
        for person, candidate in zip(people, newcomers):
            if person.track and not self._looks_adult(person):
                person.return_as(candidate.log_odds, candidate.pose_2d.keypoints_px)
            else:
                person.weigh(candidate.log_odds, MOST_READINGS_UNFOLLOWED)
                person.see(candidate.pose_2d.keypoints_px, self._stamp_s, True)
        order = sorted(range(len(newcomers)), key=lambda row: (
            self._looks_adult(people[row]), not people[row].track, -newcomers[row].score))
        for row in order:
            person, candidate = people[row], newcomers[row]
            is_adult = self._looks_adult(person)
            person.is_refused = self._seems_another(person) or (
                is_adult and not self._has_room_for_adult())
            if person.is_refused:
                continue
            if not is_adult:
                self._make_room()
            if len(state.tracker.ids) >= self._settings.max_infants:
                continue
            person.track = state.tracker.begin(
                candidate.pose_2d, candidate.pose_3d, person.track or None).id
            begun[person.track] = candidate
        return begun

    def _has_room_for_adult(self) -> bool:
        """Whether an adult may be followed: an infant that is missing keeps its place."""
        living = self._state.tracker.ids
        awaited = sum(person.track != 0 and not self._looks_adult(person)
                      for person in self._state.people.missing(living))
        return self._settings.adult_policy != 'refuse' and (
            len(living) + awaited < self._settings.max_infants)

    def _make_room(self) -> None:
        """Where all places are taken, end the track of an adult, if there is one."""
        tracks = self._state.tracker.tracks
        if len(tracks) >= self._settings.max_infants:
            for track in [track for track in tracks if self._is_adult(track.id)][:1]:
                self._state.tracker.end(track.id)

    def _end_adults(self) -> None:
        """End tracks of adults, also in an infant's place, and beyond `max_infants`."""
        tracks = sorted(self._state.tracker.tracks,
                        key=lambda track: (self._is_adult(track.id), -track.score))
        for place, track in enumerate(tracks):
            person = self._state.people.of(track.id)
            is_refused = self._settings.adult_policy == 'refuse' and self._is_adult(track.id)
            is_another = self._looks_for_adults and person is not None and person.is_another(
                self._log_odds_min)
            if is_refused or is_another or place >= self._settings.max_infants:
                self._state.tracker.end(track.id)
            if person is not None:
                person.is_refused = is_refused or is_another

    def _own_id(self, track_id: int, candidate: Candidate) -> int:
        """The id of whom a track reads: an infant that was hidden may be read by the track of
        one who was in the way.
        """
        state, living = self._state, self._state.tracker.ids
        person = state.people.of(track_id)
        if track_id not in living or person is None or not person.is_clearing:
            return track_id
        infant = state.people.recognise_in_place(person, self._stamp_s, living)
        if infant is None:
            return track_id
        state.tracker.end(track_id)
        state.people.people.remove(person)
        infant.doubts = person.doubts
        return state.tracker.begin(candidate.pose_2d, candidate.pose_3d, infant.track).id

    # Infants and adults

    def _remember(self, track_id: int, candidate: Candidate) -> None:
        """Where a track's person is, and what its proportions say."""
        person = self._state.people.of(track_id)
        if person is not None:
            person.follow(candidate.log_odds, candidate.score, candidate.pose_2d.keypoints_px,
                          self._stamp_s, candidate.is_confirmed)

    def _looks_adult(self, person: Person) -> bool:
        return self._looks_for_adults and person.log_odds < self._log_odds_min

    def _seems_another(self, person: Person | None) -> bool:
        return self._looks_for_adults and person is not None and person.seems_another(
            self._log_odds_min)

    def _is_adult(self, track_id: int) -> bool:
        """Whether enough readings of a track say that it is an adult's."""
        person = self._state.people.of(track_id)
        return person is not None and person.readings >= MIN_READINGS and (
            self._looks_adult(person))

    # What is told

    def _choose_main(self, infants: list[TrackedInfant]) -> None:
        """The main one is an infant, where there is one, and stays so."""
        no_adults = [infant for infant in infants if not self._is_adult(infant.track)]
        if no_adults and self._is_adult(self._state.main_track):
            self._state.main_track = 0
        self._state.choose_main(no_adults or infants)

    def _infants(self, chosen: dict[int, Candidate]) -> list[TrackedInfant]:
        """The answers about all tracks that can tell where their infants are."""
        infants = []
        tracks = self._state.tracker.tracks
        estimates = self._state.tracker.correct_all(
            {key: (candidate.pose_2d, candidate.pose_3d) for key, candidate in chosen.items()})
        for track in tracks:
            candidate, estimate = chosen.get(track.id), estimates[track.id]
            person = self._state.people.of(track.id)
            is_in_doubt = self._seems_another(person)
            if person is not None:
                person.is_refused = is_in_doubt
            if (estimate.state != TrackState.LOST).any() and not is_in_doubt:
                infants.append(_infant(track, estimate, candidate))
        seen = [infant.smooth_2d.keypoints_px for infant in infants if infant.track in chosen]
        # A track that was not read and is predicted onto another's infant is none of its own.
        return [infant for infant in infants if infant.track in chosen or not (
            pose_distances(infant.smooth_2d.keypoints_px, np.array(seen))
            < SAME_INFANT_SHARE).any()]

    def _seen(self, pose: Pose2D) -> np.ndarray:
        return seen_keypoints(pose, self._settings.keypoint_score_min)


def _drop_borrowed(tracked: list[Candidate]) -> None:
    """Score 0 for keypoints that were read off the infant of another track."""
    borrowed = borrowed_keypoints(np.stack([one.pose_2d.keypoints_px for one in tracked]),
                                  np.stack([one.track.keypoints_px for one in tracked]))
    for candidate, row in zip(tracked, borrowed):
        pose = candidate.pose_2d
        candidate.pose_2d = replace(pose, score=np.where(row, 0.0, pose.score))


def _infant(track: Track, estimate: TrackEstimate, candidate: Candidate | None) -> TrackedInfant:
    """The answer about one track; without a reading its box stands in for the crop."""
    box = box_around(estimate.smooth_2d.keypoints_px)
    box = track.box_xyxy if box is None else box
    corners_px = candidate.crop.corners_px if candidate else box[[[0, 1], [2, 1], [2, 3], [0, 3]]]
    return TrackedInfant(
        track.id, box, corners_px, candidate and candidate.pose_2d,
        candidate and candidate.pose_3d, estimate.smooth_2d, estimate.smooth_3d, estimate.state,
        estimate.score)
