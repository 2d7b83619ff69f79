"""The whole chain from a picture to smoothed poses in space; knows no ROS.

Each frame: predict the tracks to the frame's stamp, look for infants if it is time to, match what
was found with the tracks, estimate keypoints in crops that follow and turn with each infant, lift
them, and correct the tracks with the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
import threading

import numpy as np

from infant_pose_ros.camera_state import CameraState
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.filtering.scale import known_scale
from infant_pose_ros.following import Following
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.inference import gpu_memory_mib, PoseModels, use_threads
from infant_pose_ros.looking import (
    detect_in,
    DetectorThread,
    has_contrast,
    roi_box,
    roi_view,
    UNSURE_DETECT_EVERY,
)
from infant_pose_ros.networks import Networks
from infant_pose_ros.reading import PoseReader, TURNS_RAD
from infant_pose_ros.skeleton import KEYPOINT_NAMES
from infant_pose_ros.stepping import (
    check_frame,
    checked_size,
    FrameBatch,
    FrameStep,
    Stopwatch,
)
from infant_pose_ros.structures import Camera, CameraFrame, Detection, FrameResult


class PosePipeline:
    """Follows infants through the pictures of any number of cameras, with one set of networks.

    All methods may be called from any thread; one lock makes them take turns.

    Args:
        settings: how.
        models: from `load_models`, or watched by `Networks`; they are shared by all cameras.
    """

    def __init__(self, settings: PipelineSettings, models: PoseModels | Networks):
        self._lock = threading.RLock()
        self._settings = settings
        self._own_settings: dict[str, PipelineSettings] = {}
        self._networks = models if isinstance(models, Networks) else Networks(models, settings)
        self._cameras: dict[str, CameraState] = {}
        self._thread = DetectorThread()

    @classmethod
    def from_settings(cls, settings: PipelineSettings) -> PosePipeline:
        """Load the models that the settings name, and make the pipeline.

        Raises:
            SettingsError, CheckpointError: as `load_models`.
            DeviceError: the GPU fails, or has too little memory and the settings forbid the CPU.
        """
        return cls(settings, Networks.loaded(settings))

    def __enter__(self) -> PosePipeline:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.close()

    def close(self) -> None:
        """Let go of models, memory, threads and tracks; calling it twice does no harm."""
        with self._lock:
            self._thread.close()
            self._cameras.clear()
            self._networks.close()

    def warm_up(self, size_wh: tuple[int, int] = (640, 480)) -> None:
        """Run every network a few times, so that the first real frame is not a slow one.

        Args:
            size_wh: of the pictures to come, px.

        Raises:
            DeviceError: as `from_settings`.
        """
        with self._lock:
            self._networks.guarded(lambda models: self._run_all(models, size_wh))

    def _run_all(self, models: PoseModels, size_wh: tuple[int, int]) -> None:
        use_threads(models.num_threads)
        image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        crop = Crop.from_box((0, 0, *size_wh), 1.0, models.pose.input_size)
        for _ in range(3):
            models.detector.detect(image)
            self._thread.submit(self._networks.detect, image).result()
            for num_crops in (1, len(TURNS_RAD)):
                poses = models.pose.estimate(image, [crop] * num_crops)
            models.lifter.lift(poses, None, size_wh, 1.0)

    def process(self, image_rgb: np.ndarray, stamp_s: float, camera: Camera | None = None,
                camera_name: str = 'camera', depth_m: np.ndarray | None = None) -> FrameResult:
        """Follow the infants into the next picture of a camera.

        Args:
            image_rgb: (H, W, 3) uint8; never changed, and not kept.
            stamp_s: when it was taken, s.
            camera: its calibration; without it 3D is relative to the pelvis.
            camera_name: whose picture it is; each camera has its own tracks.
            depth_m: (H, W) floating point, m along the optical axis, registered to the picture
                and of the same moment; NaN or 0 where unknown. It needs a camera.

        Returns:
            The answer, with no infants where nothing was seen.

        Raises:
            InvalidInputError: a malformed picture, stamp, camera or depth, or a closed pipeline.
            DeviceError: the GPU fails, or its memory runs out and the settings forbid the CPU.
        """
        answer, = self.process_batch(
            [CameraFrame(image_rgb, stamp_s, camera, camera_name, depth_m)])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def process_batch(self, frames: Sequence[CameraFrame]) -> list[FrameResult | Exception]:
        """Follow the infants into the next pictures of several cameras.

        All crops go through the pose network together, and all poses through the lifter's.

        Args:
            frames: of different cameras; fields as the arguments of `process`.

        Returns:
            One answer for each, in order. What goes wrong with one is returned in its place, and
            has no effect on the others.

        Raises:
            InvalidInputError: the pipeline is closed.
        """
        with self._lock:
            models = self._networks.models
            batch = FrameBatch([
                partial(self._begun, frame, frames[:index], models)
                for index, frame in enumerate(frames)])
            batch.each(lambda step: step.look(self._detections))
            if batch.shows_something:
                use_threads(max(models.num_threads - self._thread.is_busy, 1))
            batch.together('pose', FrameStep.pose_request, self._networks.estimate,
                           FrameStep.take_poses)
            batch.each(FrameStep.unswap)
            batch.together('lift', FrameStep.lift_request, self._networks.lift,
                           FrameStep.take_lifted)
            return batch.finish()

    def process_still(self, image_rgb: np.ndarray, camera: Camera | None = None) -> FrameResult:
        """Find the infants of a picture that belongs to no sequence.

        Each detection is read upright and in three more turns; around the best reading a crop is
        cut anew. Tracks are numbered from 1, the best first; nothing is smoothed.

        Raises:
            InvalidInputError: a malformed picture or camera, or a closed pipeline.
        """
        checked_size(image_rgb)
        with self._lock:
            use_threads(self._networks.models.num_threads)
            return self._networks.guarded(lambda models: self._still(models, image_rgb, camera))

    def _still(self, models: PoseModels, image_rgb: np.ndarray, camera: Camera | None
               ) -> FrameResult:
        watch, size_wh = Stopwatch(), image_rgb.shape[1::-1]
        reader, detections = PoseReader(models, self._settings, size_wh), []
        if has_contrast(image_rgb):
            with watch.stage('detect'):
                detections = detect_in(models.detector, image_rgb, roi_view(
                    roi_box(self._settings, size_wh), size_wh))
        state = CameraState.begin(self._settings.replace(smoothing=False))
        following = Following(state, self._settings, size_wh, 0.0)
        with watch.stage('pose'):
            candidates = following.candidates(reader, detections)
            reader.read(image_rgb, candidates)
            for candidate in candidates:
                reader.read_again(image_rgb, candidate)
        with watch.stage('lift'):
            reader.lift(candidates, camera, state.scales)
        with watch.stage('filter'):
            state.tracker.advance(0.0, size_wh)
            infants = following.correct(candidates, None)
        return state.answer(0.0, infants, detections, watch.finished(), False)

    def reset(self, camera_name: str | None = None) -> None:
        """End all tracks of one camera, or of all."""
        with self._lock:
            for name, state in self._cameras.items():
                if camera_name in (None, name):
                    state.tracker.reset()
                    state.forget(people=True)

    def forget(self, camera_name: str) -> None:
        """Drop all that is kept of a camera that has gone; its settings of its own stay."""
        with self._lock:
            state = self._cameras.pop(camera_name, None)
            if state is not None:
                state.forget(people=True)

    def update_settings(self, settings: PipelineSettings, camera_name: str | None = None) -> None:
        """Take new settings for the frames to come; tracks live on.

        Args:
            settings: all of them.
            camera_name: whose own they are from now on; None: of all cameras that have none of
                their own, and of what cameras share.

        Raises:
            SettingsError: a setting differs that only a new pipeline can take.
        """
        with self._lock:
            fixed = [spec.name for spec, _ in PipelineSettings.specs()
                     if spec.metadata['read_only']
                     and getattr(settings, spec.name) != getattr(self._settings, spec.name)]
            if fixed:
                raise SettingsError(
                    f'{", ".join(fixed)}: can not change while the pipeline runs; make a new one')
            if camera_name is None:
                self._settings = settings
                self._networks.update_settings(settings)
            else:
                self._own_settings[camera_name] = settings
            for name, state in self._cameras.items():
                state.update_settings(self._settings_of(name))

    def describe(self) -> dict:
        """Models, device and scale, in plain values that JSON can hold.

        `gpu_memory_mib` is there on a GPU only. `fallback` says why the networks run on another
        device than the settings ask for, and what mends it; '' where they don't.
        """
        with self._lock:
            models = self._networks.models
            scale = known_scale(self._settings)
            memory = gpu_memory_mib(models.device)
            return {'models': models.describe(), 'device': models.device,
                    'precision': models.precision, 'num_threads': models.num_threads,
                    'keypoints': list(KEYPOINT_NAMES), 'body_length_m': scale.length_m,
                    'scale_origin': scale.origin, 'fallback': self._networks.fallback,
                    **({'gpu_memory_mib': memory} if memory else {})}

    def _settings_of(self, camera_name: str) -> PipelineSettings:
        return self._own_settings.get(camera_name, self._settings)

    def _begun(self, frame: CameraFrame, before: Sequence[CameraFrame], models: PoseModels
               ) -> FrameStep:
        """The first step of a frame.

        Args:
            before: the frames before it in the batch.

        Raises:
            InvalidInputError: it is malformed, or not the first one of its camera.
        """
        check_frame(frame)
        if any(frame.camera_name == one.camera_name for one in before):
            raise InvalidInputError(
                f'camera_name: {frame.camera_name!r} has a frame in this batch already; give one '
                'of each camera')
        state = self._cameras.get(frame.camera_name)
        if state is None:
            state = CameraState.begin(self._settings_of(frame.camera_name))
            self._cameras[frame.camera_name] = state
        return FrameStep(frame, state, models)

    def _detections(self, state: CameraState, image_rgb: np.ndarray) -> list[Detection] | None:
        """What the detector says in this frame; None if it did not run or is not done.

        A camera's first look is waited for only where no other camera would have to wait, too.
        """
        settings, size_wh = state.settings, image_rgb.shape[1::-1]
        every = settings.detect_every
        return state.lookout.look(
            self._networks.detect, image_rgb,
            every if state.is_sure() else min(every, UNSURE_DETECT_EVERY),
            self._networks.models.num_threads, self._thread if settings.detect_async else None,
            roi_view(roi_box(settings, size_wh), size_wh),
            waits_for_first=len(self._cameras) == 1)
