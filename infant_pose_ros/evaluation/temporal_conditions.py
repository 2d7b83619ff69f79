"""What is done to readings before they are smoothed: dropouts, swaps, wandering rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from infant_pose_ros.evaluation.temporal_readings import Recording
from infant_pose_ros.skeleton import Joint, MIRRORED_ORDER, NUM_KEYPOINTS

#: What drops out together.
LIMBS = {
    'right arm': (Joint.R_WRIST, Joint.R_ELBOW), 'left arm': (Joint.L_WRIST, Joint.L_ELBOW),
    'right leg': (Joint.R_ANKLE, Joint.R_KNEE), 'left leg': (Joint.L_ANKLE, Joint.L_KNEE)}
#: What is exchanged together; where there are several groups, they take turns.
SIDES = {
    'whole body': (tuple(
        joint for joint in range(NUM_KEYPOINTS) if MIRRORED_ORDER[joint] != joint),),
    'arms': ((Joint.R_WRIST, Joint.R_ELBOW, Joint.R_SHOULDER, Joint.L_SHOULDER, Joint.L_ELBOW,
              Joint.L_WRIST),),
    'legs': ((Joint.R_ANKLE, Joint.R_KNEE, Joint.R_HIP, Joint.L_HIP, Joint.L_KNEE,
              Joint.L_ANKLE),),
    'a pair': ((Joint.R_WRIST, Joint.L_WRIST), (Joint.R_ANKLE, Joint.L_ANKLE),
               (Joint.R_ELBOW, Joint.L_ELBOW), (Joint.R_KNEE, Joint.L_KNEE))}
#: Before the first and between two disturbances a filter gets this many frames to settle.
SETTLE_FRAMES = 30
#: A wandering rate: its range, and how far stamps are off, s (uniform).
RATE_RANGE_HZ, STAMP_JITTER_S = (15.0, 60.0), 0.003
#: The rate wanders with these periods, s.
_PERIODS_S = (7.3, 3.1, 1.7)


@dataclass(frozen=True)
class Event:
    """One disturbance: `joints` in the frames `start` to `stop` - 1."""

    start: int
    stop: int
    joints: tuple[int, ...]

    @property
    def frames(self) -> np.ndarray:
        """Indices of its frames."""
        return np.arange(self.start, self.stop)


def place_events(num_frames: int, length: int, groups: Sequence[tuple[int, ...]], number: int
                 ) -> list[Event]:
    """Disturbances of `length` frames, evenly spread; the groups take turns.

    Args:
        number: 0, 1, ...: another one gives each place to another group.
    """
    starts = range(SETTLE_FRAMES, num_frames - length - SETTLE_FRAMES, length + SETTLE_FRAMES)
    return [Event(start, start + length, tuple(groups[(row + number) % len(groups)]))
            for row, start in enumerate(starts)]


def with_dropouts(recording: Recording, events: Sequence[Event]) -> Recording:
    """Readings in which the events' keypoints were not seen: score 0, as the network says it."""
    score = recording.score.copy()
    for event in events:
        score[np.ix_(event.frames, event.joints)] = 0.0
    return replace(recording, score=score)


def with_swaps(recording: Recording, events: Sequence[Event]) -> Recording:
    """Readings in which left and right of the events' keypoints are exchanged, all about them."""
    changed = {}
    mirrored = np.array(MIRRORED_ORDER)
    for name in ('keypoints_px', 'score', 'covariance_px2', 'noise_px2'):
        original = getattr(recording, name)
        values = changed[name] = original.copy()
        for event in events:
            joints = np.array(event.joints)
            values[np.ix_(event.frames, joints)] = original[np.ix_(
                event.frames, mirrored[joints])]
    return replace(recording, **changed)


def wandering(recording: Recording, rng: np.random.Generator) -> Recording:
    """A part of the frames, at a rate that wanders over `RATE_RANGE_HZ`, with restless stamps.

    The logarithm of the rate is a sum of slow sines. Frames come from the recording's own, so
    that steps are whole multiples of its: the rate stays below the recording's own.
    """
    low, high = np.log(RATE_RANGE_HZ[0]), np.log(min(RATE_RANGE_HZ[1], recording.rate_hz))
    phases = rng.uniform(0.0, 2.0 * np.pi, len(_PERIODS_S))
    step_s, chosen, carry = 1.0 / recording.rate_hz, [0], 0.0
    while chosen[-1] < len(recording) - 1:
        now_s = recording.times_s[chosen[-1]]
        wave = np.sin(2.0 * np.pi * now_s / np.array(_PERIODS_S) + phases).mean()
        wanted = np.exp((low + high) / 2 + wave * 1.4 * (high - low) / 2)
        wanted = float(np.clip(wanted, np.exp(low), np.exp(high)))
        carry += 1.0 / (wanted * step_s)
        step = max(int(carry), 1)
        carry = max(carry - step, 0.0)
        chosen.append(chosen[-1] + step)
    part = recording.part(np.array([index for index in chosen if index < len(recording)]))
    off_s = rng.uniform(-STAMP_JITTER_S, STAMP_JITTER_S, len(part))
    return replace(part, stamps_s=part.times_s + off_s)
