"""The cameras of a pose_node, the pipeline that they share, and the thread that runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
import time
from typing import Any

from rclpy.lifecycle import LifecycleNode

from infant_pose_ros.ros.attempt import Attempt
from infant_pose_ros.ros.camera_settings import CameraSettings
from infant_pose_ros.ros.camera_stream import CameraStream
from infant_pose_ros.ros.frame import Frame
from infant_pose_ros.ros.worker import FairWorker

#: Deterministic mode: pictures of all cameras that may wait to be answered, bytes.
BUDGET_BYTES = 256_000_000
#: How long the frames in work may take to end, s; the node does nothing else meanwhile.
STOP_S = 5.0


class PoseEngine:
    """Answers the frames of all cameras by one pipeline, fair to each camera.

    What goes wrong with a frame costs that frame only. Whatever touches tracks or publishers is
    done between two frames, on the worker's thread, and nobody waits for it.

    Args:
        node: whose topics these are. settings: of all cameras.

    Attributes:
        streams: by the camera's name. description: what the pipeline says of itself.
        num_restarts: how often the worker's thread ended and was started again.
    """

    def __init__(self, node: LifecycleNode, settings: CameraSettings):
        self._node, self._settings = node, settings
        self.description: dict[str, Any] = {}
        self.num_restarts = 0
        self._pipeline = None
        shared = settings.shared
        # One thread for the node's life: each new one would keep memory of its own.
        self._worker: FairWorker[Frame] = FairWorker(
            self._answer, lambda frame: self.streams[frame.camera_name].dropped(frame),
            1 if shared.deterministic else shared.max_batch, shared.deterministic)
        self._is_working = self._is_telling = False
        self.streams = {name: CameraStream(
            node, settings.of(name), f'{name}/' if settings.has_several else '',
            BUDGET_BYTES // len(settings.cameras)) for name in settings.cameras}

    @property
    def is_loaded(self) -> bool:
        """Whether there is a pipeline."""
        return self._pipeline is not None

    @property
    def is_stuck(self) -> bool:
        """Whether frames are in work though it was stopped: the pipeline is theirs until they end,
        if they ever do.
        """
        return not self._is_working and self._worker.is_busy

    def load(self) -> None:
        """Load the models and try them out.

        Raises:
            SettingsError, CheckpointError, DeviceError: as `PosePipeline.from_settings`.
        """
        # Imported here: the node answers at once, and needs no memory before it is configured.
        self._node.get_logger().info('loading models')
        from infant_pose_ros.pipeline import PosePipeline
        started_s = time.monotonic()
        self._pipeline = PosePipeline.from_settings(self._settings.pipeline)
        self._update_settings(self._settings)
        self._pipeline.warm_up()
        self.description = self._pipeline.describe()
        names = ', '.join(model['name'] for model in self.description['models'].values())
        self._node.get_logger().info(
            f'models ready on {self.description["device"]} after '
            f'{time.monotonic() - started_s:.1f} s: {names}')
        for stream in self.streams.values():
            stream.configure(self.description)

    def start(self) -> list[str]:
        """Subscribe and begin to work; says to what it subscribed."""
        for name in self.streams:
            self._forget(name)
        inputs = [stream.activate(self._worker) for stream in self.streams.values()]
        self._worker.start()
        self._is_working = True
        return inputs

    def stop(self, timeout_s: float = STOP_S) -> bool:
        """Unsubscribe, drop what waits; whether the frames in work ended in time."""
        for stream in self.streams.values():
            stream.pause()
        self._is_working = False
        if self._worker.settle(timeout_s):
            return True
        self._node.get_logger().warning(
            f'a frame is still being worked on after {timeout_s:g} s: until it ends, the node can '
            'neither be activated nor cleaned up; start it again if it never does')
        return False

    def close(self, timeout_s: float) -> None:
        """Stop, end the thread and free everything, unless a frame is in work for too long."""
        if self.stop(timeout_s) and self._worker.stop(timeout_s):
            self.release()

    def release(self) -> None:
        """Free the models and the publishers; models that a frame is stuck in are left to it."""
        for stream in self.streams.values():
            stream.release()
        if self._pipeline is not None and not self.is_stuck:
            self._pipeline.close()
        self._pipeline = None

    def look_after(self) -> None:
        """Now and then, while it works: start the worker again where it ended, and let it tell
        what no frame has told.
        """
        if not self._worker.is_alive:
            self.num_restarts += 1
            self._is_telling = False
            for stream in self.streams.values():
                stream.abandon()
            self._worker.start()
        if not self._is_telling:
            self._is_telling = True
            self._between_frames(self._tell)

    def _tell(self) -> None:
        self._is_telling = False
        self.description = self._pipeline.describe()
        for stream in self.streams.values():
            stream.take_description(self.description)
            stream.tell_space()

    # what takes effect between two frames

    def enable(self, streams: Iterable[CameraStream]) -> None:
        """Work on these cameras again, from the beginning."""
        for stream in streams:
            if not stream.is_enabled:
                self.begin_anew([stream])
                stream.enable()

    def disable(self, streams: Iterable[CameraStream]) -> None:
        """Leave these cameras alone, and take their skeletons away."""
        for stream in streams:
            if stream.is_enabled:
                stream.disable()
                self._between_frames(stream.clear_markers)

    def begin_anew(self, streams: Iterable[CameraStream]) -> None:
        """End all tracks of these cameras."""
        def begin_anew():
            for stream in chosen:
                self._forget(stream.name)
                stream.begin_anew()

        chosen = list(streams)
        for stream in chosen:
            stream.wait_anew()
        self._between_frames(begin_anew)

    def _forget(self, camera_name: str) -> None:
        """End all tracks; in deterministic mode new ones are numbered from 1 as well."""
        if self._settings.shared.deterministic:
            self._pipeline.forget(camera_name)
        else:
            self._pipeline.reset(camera_name)

    def take_settings(self, settings: CameraSettings) -> None:
        """Work with these from now on."""
        self._settings = settings
        if not settings.shared.deterministic:
            self._worker.max_batch = settings.shared.max_batch
        self._between_frames(lambda: self._update_settings(settings))

    def _update_settings(self, settings: CameraSettings) -> None:
        if self._pipeline is not None:
            self._pipeline.update_settings(settings.pipeline)
        for name, stream in self.streams.items():
            own = settings.of(name)
            if self._pipeline is not None and settings.has_several:
                self._pipeline.update_settings(own, name)
            stream.take_settings(own)

    def _between_frames(self, task: Callable[[], None]) -> None:
        """Run a task while no frame is in work, without waiting for it."""
        def guarded():
            with Attempt() as attempt:
                task()
            if attempt.error is not None and self._node.context.ok():
                self._node.get_logger().error(f'between two frames: {attempt.reason}')

        if self._is_working or self._worker.is_busy:
            self._worker.call(guarded)
        else:
            task()

    # on the worker's thread

    def _answer(self, frames: list[Frame]) -> None:
        """Answer one frame of each of several cameras; each is counted by its own camera."""
        taken = []
        for frame in frames:
            with Attempt() as attempt:
                picture = self.streams[frame.camera_name].take_up(frame)
                if picture is not None:
                    taken.append((frame, picture))
            self._count_failure(frame, attempt)
        if not taken:
            return
        with Attempt() as whole:
            answers = self._pipeline.process_batch([picture for _, picture in taken])
        if whole.error is not None:
            answers = [whole.error] * len(taken)
        for (frame, _), answer in zip(taken, answers):
            with Attempt() as attempt:
                if isinstance(answer, BaseException):
                    raise answer
                self.streams[frame.camera_name].publish(frame, answer)
            self._count_failure(frame, attempt)

    def _count_failure(self, frame: Frame, attempt: Attempt) -> None:
        if attempt.error is not None:
            self.streams[frame.camera_name].failed(frame, attempt.reason)
