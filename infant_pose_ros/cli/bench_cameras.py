"""What several cameras get out of one pipeline, measured in turns in one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
import time

import numpy as np

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.sources import SourceFrame
from infant_pose_ros.pipeline import PosePipeline
from infant_pose_ros.structures import Camera, CameraFrame, FrameResult

MOST_CAMERAS = 64
#: Pictures of the clip that are kept in memory.
MOST_PICTURES = 150
#: Turns that each number of cameras gets: what else the machine does hits all of them alike.
TURNS = 5


def parse_counts(text: str) -> tuple[int, ...]:
    """Numbers of cameras in '1,2,4'; none where it is empty.

    Raises:
        InvalidInputError: it is no such list.
    """
    try:
        counts = tuple(int(part) for part in text.split(',')) if text.strip() else ()
    except ValueError as error:
        raise InvalidInputError(
            f"--cameras: expected numbers such as '1,2,4', got {text!r}") from error
    if any(not 1 <= count <= MOST_CAMERAS for count in counts) or len(set(counts)) < len(counts):
        raise InvalidInputError(
            f'--cameras: expected different numbers of 1 .. {MOST_CAMERAS}, got {text!r}')
    return counts


@dataclass
class _Group:
    """Cameras that show the same clip, each from another place in it."""

    count: int
    step: int = 0
    batch_s: list[float] = field(default_factory=list)
    answered: np.ndarray = field(init=False)
    with_infant: int = 0

    def __post_init__(self):
        self.answered = np.zeros(self.count, int)

    @property
    def names(self) -> list[str]:
        return [f'{self.count}_{number}' for number in range(self.count)]

    def run(self, steps: int, clip: Sequence[SourceFrame], period_s: float,
            pipeline: PosePipeline, camera: Camera | None) -> None:
        """Have so many frames of each camera answered."""
        for _ in range(steps):
            frames = [
                CameraFrame(clip[(self.step + number * len(clip) // self.count) % len(clip)
                                 ].image_rgb, self.step * period_s, camera, name)
                for number, name in enumerate(self.names)]
            begin_s = time.perf_counter()
            answers = pipeline.process_batch(frames)
            self.batch_s.append(time.perf_counter() - begin_s)
            done = [isinstance(answer, FrameResult) for answer in answers]
            self.answered += done
            self.with_infant += sum(bool(answer.infants) for answer, is_done in zip(answers, done)
                                    if is_done)
            self.step += 1

    def summary(self) -> dict:
        spent_s, answered = sum(self.batch_s), int(self.answered.sum())
        asked = len(self.batch_s) * self.count
        rates_hz = self.answered / spent_s
        return {
            'frames': answered, 'failed': asked - answered,
            'frames_with_infant': self.with_infant, 'rate_hz': answered / spent_s,
            'camera_rates_hz': dict(zip(self.names, rates_hz.tolist())),
            'fairness': float(rates_hz.min() / rates_hz.max()) if rates_hz.any() else 0.0,
            'frame_ms': float(np.median(self.batch_s)) * 1e3 / self.count,
            'batch_ms': float(np.median(self.batch_s)) * 1e3}


def bench_cameras(clip: Sequence[SourceFrame], pipeline: PosePipeline, settings: PipelineSettings,
                  counts: Sequence[int], camera: Camera | None = None) -> dict[str, dict]:
    """Answer the clip for one camera and for several, as fast as it goes.

    All cameras of a number have their next picture ready at once; they begin at different places
    in the clip, which goes round. The numbers take turns.

    Args:
        clip: at least two frames. pipeline: warm. settings: the pipeline's.
        counts: numbers of cameras. camera: of all frames, if known.

    Returns:
        By number (text, as JSON has it): `frames` answered and `failed`, `frames_with_infant`,
        `rate_hz` of all cameras together, `camera_rates_hz`, `fairness` (the lowest of those over
        the highest), and medians: `frame_ms` (a batch over its cameras) and `batch_ms`.

    Raises:
        InvalidInputError: the clip is too short.
    """
    if len(clip) < 2:
        raise InvalidInputError(
            f'--cameras: needs a clip of 2 frames or more, got {len(clip)}')
    groups = [_Group(count) for count in counts]
    period_s = (clip[-1].stamp_s - clip[0].stamp_s) / (len(clip) - 1)
    steps = max(len(clip) // TURNS, 1)
    pipeline.update_settings(settings.replace(detect_async=False))
    for group in groups:        # the first look of each camera is no part of its rate
        group.run(1, clip, period_s, pipeline, camera)
        group.batch_s.clear()
        group.answered[:] = group.with_infant = 0
    pipeline.update_settings(settings)
    for _ in range(TURNS):
        for group in groups:
            group.run(steps, clip, period_s, pipeline, camera)
    for group in groups:
        for name in group.names:
            pipeline.forget(name)
    return {str(group.count): group.summary() for group in groups}


def cameras_table(result: dict[str, dict]) -> str:
    """What `bench_cameras` measured as aligned text."""
    first = next(iter(result.values()))['rate_hz'] if result else 0.0
    lines = [f'{"cameras":<10}{"frames/s":>9}{"of first":>9}{"each":>9}{"fairness":>9}'
             f'{"ms/frame":>9}{"ms/batch":>9}']
    for count, one in result.items():
        lines.append(
            f'{count:<10}{one["rate_hz"]:>9.1f}{one["rate_hz"] / max(first, 1e-9):>9.2f}'
            f'{one["rate_hz"] / int(count):>9.1f}{one["fairness"]:>9.2f}'
            f'{one["frame_ms"]:>9.1f}{one["batch_ms"]:>9.1f}')
    return '\n'.join(lines)
