"""Memory of the people in view of one camera: who they are taken for, and where they were."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from infant_pose_ros.filtering.association import match, pose_distances, return_costs

#: Readings that the mean evidence goes over, of one who is followed and of one who isn't: who was
#: refused once must not drag down an infant that is later seen in the same place.
MOST_READINGS, MOST_READINGS_UNFOLLOWED = 300, 4
#: One reading says no more than this, a logarithm of odds.
_MOST_LOG_ODDS = 4.0
#: A reading that scores less than this share of the usual is disturbed: something gets in the way.
_DISTURBED_SHARE = 0.75
#: The usual score follows readings by this share of the difference, disturbed ones by the second.
_SCORE_STEP, _DISTURBED_SCORE_STEP = 0.05, 0.005
#: Disturbed readings lie within this share of the body of where the person was.
_DISTURBED_REACH_SHARE = 0.25
#: Readings after a disturbance that decide: so many show somebody else, so many the same infant.
_READINGS_OF_ANOTHER, _READINGS_OF_THE_SAME = 5, 15
#: Somebody else's evidence is lower by this, a logarithm of odds.
ANOTHER_LOG_ODDS = 2.0


@dataclass(eq=False)
class Person:
    """One whom the camera saw.

    Attributes:
        track: id; 0 for one who was never followed.
        pose_px: (16, 2) as last read well. anchor_px: as last read when the detector agreed.
        begun_s, seen_s: stamps of the first sight and of `pose_px`, s.
        log_odds: mean evidence for an infant over `readings`.
        score: the usual one of a reading.
        doubts: evidence of the readings since something got in the way of a track, or since it
            was found again; None where it is clear whom it follows.
        last_px: (16, 2) as last read, also in doubt.
        found_px: (16, 2) when found again; None where it was read well since.
        is_refused: seen at the last look or since, and not told of, as the proportions are an
            adult's.
    """

    track: int
    pose_px: np.ndarray
    anchor_px: np.ndarray
    seen_s: float
    begun_s: float = 0.0
    log_odds: float = 0.0
    readings: int = 0
    score: float = 0.0
    doubts: list[float] | None = None
    last_px: np.ndarray | None = None
    found_px: np.ndarray | None = None
    is_refused: bool = False

    def follow(self, log_odds: float, score: float, pose_px: np.ndarray, stamp_s: float,
               is_confirmed: bool) -> None:
        """Take in a reading of the track.

        After a disturbed one it is in doubt whom the next ones show: an adult who leans over an
        infant may be read in its place. Until that is clear, what is remembered stays, but for
        the usual score: what lasts, a blanket or dim light, becomes usual in the end.
        """
        self.last_px = pose_px
        if score < _DISTURBED_SHARE * self.score:
            self.doubts = []
            self.score += (score - self.score) * _DISTURBED_SCORE_STEP
        elif self.doubts is not None:
            self.doubts.append(_bounded(log_odds))
            if len(self.doubts) >= _READINGS_OF_THE_SAME:
                self.doubts = None
        if self.doubts is None:
            self.score += (score - self.score) * (_SCORE_STEP if self.score else 1.0)
            self.weigh(log_odds)
            self.see(pose_px, stamp_s, is_confirmed)

    @property
    def is_clearing(self) -> bool:
        """Whether enough readings after a disturbance are there to look who it is; true once."""
        return self.doubts is not None and len(self.doubts) == _READINGS_OF_ANOTHER

    def is_elsewhere(self, pose_px: np.ndarray, score: float) -> bool:
        """Whether a reading in which something gets in the way, or just did, shows another place
        than those where the person was read well and found again.
        """
        if score >= _DISTURBED_SHARE * self.score and self.doubts is None:
            return False
        places = [self.pose_px] + [self.found_px] * (self.found_px is not None)
        return bool((pose_distances(pose_px, np.stack(places)) > _DISTURBED_REACH_SHARE).all())

    def return_as(self, log_odds: float, pose_px: np.ndarray) -> None:
        """Found again in a place of its own, with the evidence of that reading."""
        self.doubts, self.found_px = [_bounded(log_odds)], pose_px

    def seems_another(self, log_odds_min: float) -> bool:
        """Whether what was read since a disturbance speaks for an adult rather than for it."""
        return bool(self.doubts) and self.differs(float(np.mean(self.doubts)), log_odds_min)

    def is_another(self, log_odds_min: float) -> bool:
        """Whether readings since a disturbance show an adult in place of the infant."""
        return self.seems_another(log_odds_min) and len(self.doubts) >= _READINGS_OF_ANOTHER

    def differs(self, log_odds: float, log_odds_min: float) -> bool:
        """Whether evidence is an adult's, and that of this person is much better."""
        return log_odds < min(log_odds_min, self.log_odds - ANOTHER_LOG_ODDS)

    def weigh(self, log_odds: float, most: int = MOST_READINGS) -> None:
        """Take in the evidence of one more reading; the mean goes over `most`."""
        self.readings = min(self.readings + 1, most)
        self.log_odds += (_bounded(log_odds) - self.log_odds) / self.readings

    def see(self, pose_px: np.ndarray, stamp_s: float, is_confirmed: bool) -> None:
        """Take in where the person is."""
        self.pose_px, self.seen_s, self.found_px = pose_px, stamp_s, None
        if is_confirmed:
            self.anchor_px = pose_px


def _bounded(log_odds: float) -> float:
    return min(max(log_odds, -_MOST_LOG_ODDS), _MOST_LOG_ODDS)


@dataclass(eq=False)
class PeopleMemory:
    """All whom one camera saw within the time for which ids are kept."""

    people: list[Person] = field(default_factory=list)
    _size_wh: tuple[int, int] | None = None

    def of(self, track_id: int) -> Person | None:
        """The person of a track."""
        return next((person for person in self.people if person.track == track_id), None)

    def add(self, track_id: int, pose_px: np.ndarray, stamp_s: float) -> Person:
        """Begin to remember somebody; `track_id` 0 is one who isn't followed."""
        person = Person(track_id, pose_px, pose_px, stamp_s, stamp_s)
        self.people.append(person)
        return person

    def forget(self, now_s: float, keep_s: float, size_wh: tuple[int, int],
               living: Collection[int]) -> None:
        """Drop those who don't live and were seen more than `keep_s` ago, or after `now_s`.

        Where pictures have another size than before, everybody is dropped.
        """
        if self._size_wh not in (None, size_wh):
            self.people.clear()
        self._size_wh = size_wh
        self.people = [person for person in self.people if person.track in living
                       or 0.0 <= now_s - person.seen_s <= keep_s]

    def look_again(self) -> None:
        """The detector looks: whether anybody is refused shows anew."""
        for person in self.people:
            person.is_refused = False

    def missing(self, living: Collection[int]) -> list[Person]:
        """Those whose tracks ended, and who were never followed."""
        return [person for person in self.people if person.track not in living]

    def recognise(self, poses_px: np.ndarray, now_s: float, living: Collection[int]
                  ) -> dict[int, Person]:
        """Who of the missing has come back.

        Args:
            poses_px: (N, 16, 2) of people who belong to no track.
            now_s: stamp of the frame. living: ids of the tracks.

        Returns:
            By row of `poses_px`.
        """
        return _matched(poses_px, now_s, self.missing(living))

    def recognise_in_place(self, person: Person, now_s: float, living: Collection[int]
                           ) -> Person | None:
        """Which infant, lost before `person` was first seen, is now read in its place, if any."""
        missing = [other for other in self.missing(living)
                   if other.track and other.seen_s <= person.begun_s]
        return _matched(person.last_px[None], now_s, missing).get(0)


def _matched(poses_px: np.ndarray, now_s: float, missing: list[Person]) -> dict[int, Person]:
    """Who of the missing lies where a pose of (N, 16, 2) is, by row."""
    if not missing or not len(poses_px):
        return {}
    gone_s = np.array([now_s - person.seen_s for person in missing])
    places = ([person.pose_px for person in missing], [person.anchor_px for person in missing])
    costs = np.fmin(*(return_costs(poses_px, np.stack(place), gone_s) for place in places))
    return {row: missing[column] for row, column in match(costs, 1.0)}
