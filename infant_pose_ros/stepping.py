"""One frame of one camera, step by step, so that cameras can take some of the steps together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
import math
import time
from typing import Any

import cv2
import numpy as np

from infant_pose_ros.camera_state import CameraState
from infant_pose_ros.errors import DeviceError, InfantPoseError, InvalidInputError
from infant_pose_ros.following import Following
from infant_pose_ros.geometry.depth import checked_depth
from infant_pose_ros.inference import PoseModels, PoseRequest
from infant_pose_ros.lifting import LiftRequest
from infant_pose_ros.looking import has_contrast
from infant_pose_ros.reading import Candidate, crops_of, PoseReader, take_readings
from infant_pose_ros.structures import CameraFrame, Detection, FrameResult, Pose2D, Pose3D

STAGES = ('detect', 'pose', 'lift', 'filter')
#: What may go wrong with one frame without harm to the next one, or to other cameras'.
FRAME_ERRORS = (
    InfantPoseError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
    ArithmeticError, AssertionError, MemoryError, OSError, cv2.error, np.linalg.LinAlgError)


class Stopwatch:
    """Milliseconds by stage."""

    def __init__(self):
        self._begin_s = time.perf_counter()
        self.stage_ms = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count what is done within as `name`."""
        begin_s = time.perf_counter()
        yield
        self.stage_ms[name] += (time.perf_counter() - begin_s) * 1e3

    def finished(self) -> dict[str, float]:
        """By stage, with 'total' since the watch was made."""
        return {**self.stage_ms, 'total': (time.perf_counter() - self._begin_s) * 1e3}


class FrameStep:
    """The way of one frame from a picture to an answer.

    `look`, `pose_request`, `take_poses`, `unswap`, `lift_request`, `take_lifted` and `finish`
    follow each other; a picture that shows nothing goes straight to `finish`. What a network
    answers to a request comes from outside. Once a step has raised, the frame is done for.

    Args:
        frame: checked with `check_frame`.
        state: of its camera.
        models: say how large crops are.
    """

    def __init__(self, frame: CameraFrame, state: CameraState, models: PoseModels):
        self.frame, self.state = frame, state
        self.watch = Stopwatch()
        size_wh = frame.image_rgb.shape[1::-1]
        with self._tracking(), self.watch.stage('filter'):
            self._was_reset = state.tracker.advance(frame.stamp_s, size_wh)
            if self._was_reset:
                state.forget()
            self._following = Following(state, state.settings, size_wh, frame.stamp_s)
        self._reader = PoseReader(models, state.settings, size_wh)
        self._detections: Sequence[Detection] | None = None
        self._candidates: list[Candidate] = []
        self.shows_something = has_contrast(frame.image_rgb)

    def look(self, detections_of: Callable[[CameraState, np.ndarray], list[Detection] | None]
             ) -> None:
        """Find out what the detector says in this frame."""
        with self.watch.stage('detect'):
            self._detections = detections_of(self.state, self.frame.image_rgb)

    def pose_request(self) -> PoseRequest:
        """Where to read the picture."""
        with self._tracking():
            self._candidates = self._following.candidates(self._reader, self._detections)
        return PoseRequest(self.frame.image_rgb, crops_of(self._candidates))

    def take_poses(self, _request: PoseRequest, poses: Sequence[Pose2D]) -> None:
        """Take what was read."""
        take_readings(self._candidates, poses)

    def unswap(self) -> None:
        """Put left and right of what was read as the tracks have them."""
        with self._tracking(), self.watch.stage('filter'):
            self._following.unswap(self._candidates)

    def lift_request(self) -> LiftRequest:
        """What to lift."""
        return self._reader.lift_request(self._candidates, self.frame.camera, self.state.scales)

    def take_lifted(self, request: LiftRequest, lifted: Sequence[Pose3D | None]) -> None:
        """Take what was lifted, and put it in its place."""
        self._reader.place(
            self._candidates, request, lifted, self.state.scales, self.frame.depth_m)

    def finish(self) -> FrameResult:
        """Correct the tracks, and tell of them."""
        with self._tracking(), self.watch.stage('filter'):
            infants = self._following.correct(self._candidates, self._detections)
        return self.state.answer(float(self.frame.stamp_s), infants, self._detections,
                                 self.watch.finished(), self._was_reset)

    @contextmanager
    def _tracking(self) -> Iterator[None]:
        """Tracks that were left half changed would do harm to later frames: they begin anew."""
        try:
            yield
        except FRAME_ERRORS:
            self.state.tracker.reset()
            self.state.forget()
            raise


class FrameBatch:
    """Frames of several cameras on their way, which ask each network together.

    What goes wrong with one of them becomes its answer; it has no effect on the others.

    Args:
        starts: make the steps, one for each frame.
    """

    def __init__(self, starts: Sequence[Callable[[], FrameStep]]):
        self._answers: list[FrameResult | Exception | None] = [None] * len(starts)
        self._steps: dict[int, FrameStep] = {}
        for index, start in enumerate(starts):
            with self._failing(index):
                self._steps[index] = start()

    @property
    def shows_something(self) -> bool:
        """Whether any of the pictures does."""
        return any(step.shows_something for step in self._steps.values())

    def each(self, run: Callable[[FrameStep], None]) -> None:
        """Take a step with every frame whose picture shows something."""
        for index, step in self._seeing():
            with self._failing(index):
                run(step)

    def together(self, stage: str, request_of: Callable, ask: Callable, take: Callable) -> None:
        """Have all requests answered at once; each alone, where that raises.

        Args:
            stage: that all frames wait in meanwhile.
            request_of: the request of a step. ask: gives an answer for each of many requests.
            take: gives a step its request and its answer.
        """
        begin_s, requests = time.perf_counter(), {}
        for index, step in self._seeing():
            with self._failing(index):
                requests[index] = request_of(step)
        for index, answer in self._asked(requests, ask).items():
            with self._failing(index):
                take(self._steps[index], requests[index], answer)
        spent_ms = (time.perf_counter() - begin_s) * 1e3
        for _, step in self._seeing():
            step.watch.stage_ms[stage] += spent_ms

    def finish(self) -> list[FrameResult | Exception]:
        """The answers, in order."""
        for index, step in list(self._steps.items()):
            with self._failing(index):
                self._answers[index] = step.finish()
        return self._answers

    def _seeing(self) -> list[tuple[int, FrameStep]]:
        return [(index, step) for index, step in self._steps.items() if step.shows_something]

    def _asked(self, requests: dict[int, Any], ask: Callable) -> dict[int, Any]:
        if not requests:
            return {}
        try:
            return dict(zip(requests, ask(list(requests.values()))))
        except DeviceError as error:        # it would fail for each of them
            for index in requests:
                self._fail(index, error)
            return {}
        except FRAME_ERRORS as error:
            if len(requests) == 1:
                self._fail(*requests, error)
                return {}
        answers = {}
        for index, request in requests.items():
            with self._failing(index):
                answers[index], = ask([request])
        return answers

    @contextmanager
    def _failing(self, index: int) -> Iterator[None]:
        try:
            yield
        except FRAME_ERRORS as error:
            self._fail(index, error)

    def _fail(self, index: int, error: Exception) -> None:
        self._answers[index] = error
        self._steps.pop(index, None)


def check_frame(frame: CameraFrame) -> None:
    """Raise InvalidInputError where picture, stamp or depth is malformed."""
    size_wh = checked_size(frame.image_rgb)
    if frame.depth_m is not None:
        checked_depth(frame.depth_m, size_wh)
    stamp_s = frame.stamp_s
    if not (isinstance(stamp_s, (int, float, np.number)) and math.isfinite(stamp_s)):
        raise InvalidInputError(f'stamp_s: expected finite seconds, got {stamp_s!r}')


def checked_size(image_rgb: np.ndarray) -> tuple[int, int]:
    """(width, height) of a picture that is one.

    Raises:
        InvalidInputError: it is none.
    """
    if not isinstance(image_rgb, np.ndarray):
        raise InvalidInputError(
            f'image_rgb: expected a NumPy array, got {type(image_rgb).__name__}')
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or (
            image_rgb.size == 0):
        raise InvalidInputError(
            f'image_rgb: expected (H, W, 3) uint8 with H and W positive, got {image_rgb.shape} '
            f'{image_rgb.dtype}')
    return image_rgb.shape[1], image_rgb.shape[0]
