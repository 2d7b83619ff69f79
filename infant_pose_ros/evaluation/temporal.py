"""The temporal benchmark: how smooth, how true and how late, and what disturbances do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.evaluation.metrics import (
    acceleration_error,
    ajpe,
    delay_frames,
    jitter,
    joint_errors,
)
from infant_pose_ros.evaluation.temporal_baselines import held
from infant_pose_ros.evaluation.temporal_conditions import (
    Event,
    LIMBS,
    place_events,
    SETTLE_FRAMES,
    SIDES,
    wandering,
    with_dropouts,
    with_swaps,
)
from infant_pose_ros.evaluation.temporal_methods import (
    all_variants,
    Smoothers,
    SPACES,
    Variant,
)
from infant_pose_ros.evaluation.temporal_readings import Recording
from infant_pose_ros.geometry.alignment import root_aligned
from infant_pose_ros.lifting import PoseLifter
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER

#: px stays px; metres become millimetres.
SCALE = {'2d': 1.0, '3d': 1000.0}
#: Frames a second that delays are counted in, whatever the video's rate.
DELAY_RATE_HZ = 30.0
DROPOUT_FRAMES = (5, 15)
SWAP_FRAMES = (1, 3, 10)
#: After a swap the keypoints must still be right for so many frames.
AFTER_SWAP_FRAMES = 5
#: Joints that behave alike.
GROUPS = {
    'trunk and head': (Joint.PELVIS, Joint.THORAX, Joint.UPPER_NECK, Joint.HEAD_TOP),
    'hips and shoulders': (Joint.R_HIP, Joint.L_HIP, Joint.R_SHOULDER, Joint.L_SHOULDER),
    'elbows and knees': (Joint.R_ELBOW, Joint.L_ELBOW, Joint.R_KNEE, Joint.L_KNEE),
    'wrists and ankles': (Joint.R_WRIST, Joint.L_WRIST, Joint.R_ANKLE, Joint.L_ANKLE)}
#: Figures of a motion, in px or mm, and frames.
FIGURES = ('ajpe', 'ajpe_aligned', 'acceleration_error', 'jitter', 'delay', 'found')
#: What is taken as the best setting of a method delays by at most so many frames.
ALLOWED_DELAY = 1.0

Progress = Callable[[str], object]
Figures = dict[str, float]
Video = tuple[Recording, PipelineSettings]


@dataclass(frozen=True)
class Result:
    """What one variant of a method did in one condition, in one space, on one video (0: all)."""

    condition: str
    variant: Variant
    space: str
    video: int
    figures: Figures


@dataclass
class Results:
    """All results of a benchmark, and which variant of each method stands for it."""

    rows: list[Result] = field(default_factory=list)
    chosen: dict[tuple[str, str], Variant] = field(default_factory=dict)

    def of(self, condition: str, space: str, video: int = 0) -> list[Result]:
        """Results of a condition."""
        return [row for row in self.rows
                if (row.condition, row.space, row.video) == (condition, space, video)]

    def add(self, condition: str, variant: Variant, space: str,
            by_video: dict[int, Figures]) -> None:
        """Store figures of each video, and their mean."""
        names = list(dict.fromkeys(name for figures in by_video.values() for name in figures))
        mean = {name: _mean([figures[name] for figures in by_video.values() if name in figures])
                for name in names}
        for video, figures in {**by_video, 0: mean}.items():
            self.rows.append(Result(condition, variant, space, video, figures))


def _mean(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float('nan')


def figures_of(motion: np.ndarray, truth: np.ndarray, times_s: np.ndarray, space: str,
               joints: Sequence[int] | None = None) -> Figures:
    """Figures of a motion (F, 16, D), px or m; the first `SETTLE_FRAMES` don't count.

    A keypoint that a method has lost counts with its last place, and against `found`.
    """
    scale, skip = SCALE[space], SETTLE_FRAMES if len(motion) > 2 * SETTLE_FRAMES else 0
    found = np.isfinite(motion).all(-1)[skip:]
    motion, truth, times_s = held(motion)[skip:], truth[skip:], times_s[skip:]
    aligned = root_aligned(motion, truth)
    if joints is not None:
        chosen = list(joints)
        motion, truth, aligned, found = (
            value[:, chosen] for value in (motion, truth, aligned, found))
    return {
        'ajpe': scale * ajpe(joint_errors(motion, truth)),
        'ajpe_aligned': scale * ajpe(joint_errors(aligned, truth)),
        'acceleration_error': scale * acceleration_error(motion, truth, times_s),
        'jitter': scale * jitter(motion, times_s),
        'delay': delay_frames(motion, truth, times_s, DELAY_RATE_HZ),
        'found': float(found.mean())}


def truth_of(recording: Recording, space: str) -> np.ndarray:
    """(F, 16, 2) px or (F, 16, 3) m."""
    return recording.truth_px if space == '2d' else recording.truth_m


class TemporalBenchmark:
    """Runs the conditions over the recordings of a set.

    Args:
        videos: a recording of each video, and the settings it is smoothed with.
        lifter: the network. progress: told what comes next.
        quick_videos: the same, of more frames a second, for the wandering rate; left out: the
            videos themselves.
    """

    def __init__(self, videos: Sequence[Video], lifter: PoseLifter,
                 progress: Progress = lambda text: None,
                 quick_videos: Sequence[Video] | None = None):
        self._videos = list(videos)
        self._quick_videos = self._videos if quick_videos is None else list(quick_videos)
        self._lifter, self._progress = lifter, progress
        self.results = Results()
        self._clean: dict[int, dict[Variant, dict[str, np.ndarray]]] = {}

    def run(self) -> Results:
        """All conditions."""
        self.clean()
        for length in DROPOUT_FRAMES:
            self.dropouts(length)
        self.swaps()
        self.rates()
        return self.results

    def clean(self) -> None:
        """Every variant on the readings as they are; then one is chosen for each method."""
        self._sweep('clean', self._videos, all_variants(), keep=True)
        for space in SPACES:
            rows = self.results.of('clean', space)
            for method in dict.fromkeys(row.variant.method for row in rows):
                self.results.chosen[method, space] = choose(
                    [row for row in rows if row.variant.method == method])
        for variant in self._chosen():
            for space in self._spaces(variant):
                for group, joints in GROUPS.items():
                    self.results.add(f'clean: {group}', variant, space, {
                        recording.number: figures_of(
                            self._clean[recording.number][variant][space],
                            truth_of(recording, space), recording.times_s, space, joints)
                        for recording, _ in self._videos})

    def rates(self) -> None:
        """The chosen variants at a wandering rate with restless stamps."""
        self._sweep('wandering rate', [
            (wandering(recording, np.random.default_rng(recording.number)), settings)
            for recording, settings in self._quick_videos], self._chosen())

    def _sweep(self, condition: str, videos: Sequence[Video], variants: Sequence[Variant],
               keep: bool = False) -> None:
        figures: dict[tuple[Variant, str], dict[int, Figures]] = {}
        for recording, settings in videos:
            number = recording.number
            self._progress(f'{condition}, video {number:02d}')
            smoothers = Smoothers(recording, settings, self._lifter)
            for variant in variants:
                motions = smoothers.run(variant)
                if keep:
                    self._clean.setdefault(number, {})[variant] = motions
                for space in self._spaces(variant) if not keep else variant.spaces:
                    figures.setdefault((variant, space), {})[number] = figures_of(
                        motions[space], truth_of(recording, space), recording.times_s, space)
            for space in SPACES:        # the truth's own jitter is the floor
                truth = truth_of(recording, space)
                figures.setdefault((Variant('truth'), space), {})[number] = figures_of(
                    truth, truth, recording.times_s, space)
        for (variant, space), by_video in figures.items():
            self.results.add(condition, variant, space, by_video)

    def _chosen(self) -> list[Variant]:
        return [variant for variant in dict.fromkeys(self.results.chosen.values())
                if variant.method != 'truth']

    def _spaces(self, variant: Variant) -> list[str]:
        return [space for space in variant.spaces
                if self.results.chosen.get((variant.method, space)) == variant]

    # Disturbances

    def dropouts(self, length: int) -> None:
        """Each limb missing for `length` frames, at many places: what it costs there."""
        costs: dict[tuple[Variant, str], dict[int, list[Figures]]] = {}
        for recording, settings in self._videos:
            self._progress(f'dropouts of {length} frames, video {recording.number:02d}')
            for number in range(len(LIMBS)):
                events = place_events(len(recording), length, tuple(LIMBS.values()), number)
                smoothers = Smoothers(with_dropouts(recording, events), settings, self._lifter)
                for variant in self._chosen():
                    motions = smoothers.run(variant)
                    for space in self._spaces(variant):
                        clean = self._clean[recording.number][variant][space]
                        rows = costs.setdefault((variant, space), {}).setdefault(
                            recording.number, [])
                        rows += [dropout_cost(motions[space], clean,
                                              truth_of(recording, space), event, space)
                                 for event in events]
        for (variant, space), by_video in costs.items():
            self.results.add(f'dropouts of {length} frames', variant, space, {
                video: _summed(rows) for video, rows in by_video.items()})

    def swaps(self) -> None:
        """Left and right exchanged for some frames, at many places: how often it is caught."""
        for kind, groups in SIDES.items():
            for length in SWAP_FRAMES:
                caught: dict[tuple[Variant, str], dict[int, Figures]] = {}
                for recording, settings in self._videos:
                    self._progress(f'{kind} swapped, {length} frames, '
                                   f'video {recording.number:02d}')
                    events = place_events(len(recording), length, groups, 0)
                    smoothers = Smoothers(with_swaps(recording, events), settings, self._lifter)
                    for variant in self._chosen():
                        motions = smoothers.run(variant)
                        for space in self._spaces(variant):
                            clean = self._clean[recording.number][variant][space]
                            caught.setdefault((variant, space), {})[recording.number] = (
                                share_caught(motions[space], clean, truth_of(recording, space),
                                             events))
                for (variant, space), by_video in caught.items():
                    self.results.add(f'{kind} swapped for {length} frames', variant, space,
                                     by_video)


def choose(rows: Sequence[Result]) -> Variant:
    """The variant that stands for a method: the default where there is one.

    Else the one with the least jitter among those that delay by at most `ALLOWED_DELAY`, or, if
    all delay more, the one that delays least.
    """
    for row in rows:
        if row.variant.is_default:
            return row.variant
    quick = [row for row in rows if row.figures['delay'] <= ALLOWED_DELAY]
    if not quick:
        return min(rows, key=lambda row: row.figures['delay']).variant
    return min(quick, key=lambda row: row.figures['jitter']).variant


def dropout_cost(motion: np.ndarray, clean: np.ndarray, truth: np.ndarray, event: Event,
                 space: str) -> Figures:
    """Mean error of what dropped out, in its frames, with the dropout and without; px or mm.

    Args:
        motion, clean: (F, 16, D) of the same method. truth: (F, 16, D).
    """
    where = np.ix_(event.frames, event.joints)
    figures = {}
    for name, values in (('error', held(motion)), ('error_clean', held(clean))):
        for suffix, moved in (('', values), ('_aligned', root_aligned(values, truth))):
            figures[name + suffix] = SCALE[space] * ajpe(joint_errors(moved, truth)[where])
    figures['extra'] = figures['error'] - figures['error_clean']
    figures['extra_aligned'] = figures['error_aligned'] - figures['error_clean_aligned']
    figures['found'] = float(np.isfinite(motion[where]).all(-1).mean())
    return figures


def _summed(rows: Sequence[Figures]) -> Figures:
    """Means of figures, and how many there were."""
    names = rows[0] if rows else ()
    return {**{name: _mean([row[name] for row in rows]) for name in names},
            'events': float(len(rows))}


def share_caught(motion: np.ndarray, clean: np.ndarray, truth: np.ndarray,
                 events: Sequence[Event]) -> Figures:
    """Share of exchanges in spite of which the motion stays on its own sides.

    In each frame of the event, and in `AFTER_SWAP_FRAMES` after it, the exchanged keypoints must
    lie nearer to their own truth than to the other side's, on average. An event for which that
    doesn't hold without the exchange either tells nothing and is left out.
    """
    told = [event for event in events if _is_right(clean, truth, event)]
    right = [_is_right(motion, truth, event) for event in told]
    return {'caught': float(np.mean(right)) if right else float('nan'),
            'events': float(len(told))}


def _is_right(motion: np.ndarray, truth: np.ndarray, event: Event) -> bool:
    frames = slice(event.start, min(event.stop + AFTER_SWAP_FRAMES, len(motion)))
    joints = list(event.joints)
    other = [MIRRORED_ORDER[joint] for joint in joints]
    own_error = np.linalg.norm(motion[frames][:, joints] - truth[frames][:, joints], axis=-1)
    other_error = np.linalg.norm(motion[frames][:, joints] - truth[frames][:, other], axis=-1)
    known = np.isfinite(own_error)
    if not known.any(axis=1).all():
        return False
    own, others = (np.where(known, error, 0.0).sum(1) for error in (own_error, other_error))
    return bool((own < others).all())
