"""What is remembered of one camera from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.filtering.people import PeopleMemory
from infant_pose_ros.filtering.scale import BodyScales
from infant_pose_ros.filtering.tracks import PoseTracker
from infant_pose_ros.looking import Lookout
from infant_pose_ros.reading import Candidate
from infant_pose_ros.structures import Detection, FrameResult, TrackedInfant


@dataclass(eq=False)
class CameraState:
    """Tracks, scales and looks of one camera.

    Attributes:
        settings: of this camera.
        tracker: follows the infants. scales: how long they are. lookout: when to look for more.
        misses: looks in a row that found an infant elsewhere, but not this one, by track.
        main_track: id of the main infant, 0 for none.
        placements: what placed each track's pose in the last frame.
        hidden: tracks that had no reading of their own in the last frame.
        people: who was seen, and who of them is missing.
    """

    settings: PipelineSettings
    tracker: PoseTracker
    scales: BodyScales
    lookout: Lookout = field(default_factory=Lookout)
    misses: dict[int, int] = field(default_factory=dict)
    main_track: int = 0
    placements: dict[int, str] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    people: PeopleMemory = field(default_factory=PeopleMemory)

    @classmethod
    def begin(cls, settings: PipelineSettings) -> CameraState:
        """Of a camera that no picture came from yet."""
        return cls(settings, PoseTracker(settings), BodyScales(settings))

    def note_placed(self, candidates: dict[int, Candidate], stamp_s: float) -> None:
        """Learn the infants' lengths, and what placed them, from this frame; by track."""
        placed = {track: candidate.placed for track, candidate in candidates.items()
                  if candidate.placed}
        self.placements = {track: one.placement for track, one in placed.items()}
        self.scales.note_distance_factors(
            {track: one.distance_factor for track, one in placed.items()})
        for track, one in placed.items():
            if one.measured_length_m is not None:
                self.scales.observe(track, stamp_s, one.measured_length_m)

    def answer(self, stamp_s: float, infants: tuple[TrackedInfant, ...],
               detections: Sequence[Detection] | None, stage_ms: dict[str, float],
               was_reset: bool) -> FrameResult:
        """What is told of a frame."""
        scale = self.scales.of(self.main_track)
        return FrameResult(
            stamp_s, infants, None if detections is None else tuple(detections), stage_ms,
            scale.length_m, was_reset, self.main_track,
            self.placements.get(self.main_track, 'none'), scale.origin, scale.relative_std,
            sum(person.is_refused for person in self.people.people))

    def choose_main(self, infants: list[TrackedInfant]) -> None:
        """The main infant stays so while its track lives, seen or not; then comes the best."""
        if self.main_track not in self.tracker.ids:
            best = max(infants, key=lambda infant: infant.score.mean(), default=None)
            self.main_track = best.track if best else 0

    def update_settings(self, settings: PipelineSettings) -> None:
        """Take new settings; tracks live on."""
        self.settings = settings
        self.tracker.update_settings(settings)
        self.scales.update_settings(settings)

    def is_sure(self) -> bool:
        """Whether all whom the camera should see are followed, and well.

        A body that is rather no infant's may be an adult's, or put together from two infants.
        """
        tracks, settings = self.tracker.tracks, self.settings
        people = [self.people.of(track.id) for track in tracks]
        if settings.adult_policy != 'off' and any(
                person is not None and person.log_odds < 0.0 for person in people):
            return False
        has_room = len(tracks) < settings.max_infants
        return bool(tracks) and not any(self.misses.values()) and not self.hidden and all(
            track.score >= settings.track_score_min for track in tracks) and not (
                has_room and any(person.track for person in self.people.missing(self.tracker.ids)))

    def forget(self, people: bool = False) -> None:
        """Begin anew, as if no frame had come; with `people` their ids are forgotten, too."""
        self.lookout.forget()
        self.misses.clear()
        self.hidden.clear()
        if people:
            self.people = PeopleMemory()
        self.scales.forget()
