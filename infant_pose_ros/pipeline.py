"""The whole chain from a picture to smoothed poses in space; knows no ROS.

Each frame: predict the tracks to the frame's stamp, look for infants if it is time to, match what
was found with the tracks, estimate keypoints in crops that follow and turn with each infant, lift
them, and correct the tracks with the result.
"""

from __future__ import annotations

from contextlib import contextmanager
import math
import threading
import time

import numpy as np

from infant_pose_ros.camera_state import CameraState
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.filtering.scale import known_scale
from infant_pose_ros.following import Following
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.geometry.depth import checked_depth
from infant_pose_ros.inference import (
    gpu_memory_mib,
    load_models,
    PoseModels,
    release_memory,
    use_threads,
)
from infant_pose_ros.looking import (
    detect_in,
    DetectorThread,
    has_contrast,
    roi_box,
    roi_view,
    UNSURE_DETECT_EVERY,
)
from infant_pose_ros.reading import PoseReader, TURNS_RAD
from infant_pose_ros.skeleton import KEYPOINT_NAMES
from infant_pose_ros.structures import Camera, Detection, FrameResult

STAGES = ('detect', 'pose', 'lift', 'filter')


class _Stopwatch:
    """Milliseconds by stage."""

    def __init__(self):
        self._begin_s = time.perf_counter()
        self.stage_ms = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def stage(self, name: str):
        begin_s = time.perf_counter()
        yield
        self.stage_ms[name] += (time.perf_counter() - begin_s) * 1e3

    def finished(self) -> dict[str, float]:
        return {**self.stage_ms, 'total': (time.perf_counter() - self._begin_s) * 1e3}


class PosePipeline:
    """Follows infants through the pictures of any number of cameras, with one set of networks.

    All methods may be called from any thread; one lock makes them take turns.

    Args:
        settings: how.
        models: from `load_models`; they are shared by all cameras.
    """

    def __init__(self, settings: PipelineSettings, models: PoseModels):
        self._lock = threading.RLock()
        self._settings = settings
        self._models: PoseModels | None = models
        self._cameras: dict[str, CameraState] = {}
        self._thread = DetectorThread()

    @classmethod
    def from_settings(cls, settings: PipelineSettings) -> PosePipeline:
        """Load the models that the settings name, and make the pipeline.

        Raises:
            SettingsError, CheckpointError: as `load_models`.
        """
        return cls(settings, load_models(settings))

    def __enter__(self) -> PosePipeline:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.close()

    def close(self) -> None:
        """Let go of models, memory, threads and tracks; calling it twice does no harm."""
        self._thread.close()
        with self._lock:
            device = self._models.device if self._models else 'cpu'
            self._models = None
            self._cameras.clear()
            release_memory(device)

    def warm_up(self, size_wh: tuple[int, int] = (640, 480)) -> None:
        """Run every network a few times, so that the first real frame is not a slow one.

        Args:
            size_wh: of the pictures to come, px.
        """
        with self._lock:
            models = self._open_models()
            use_threads(models.num_threads)
            image = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
            crop = Crop.from_box((0, 0, *size_wh), 1.0, models.pose.input_size)
            for _ in range(3):
                models.detector.detect(image)
                self._thread.submit(models.detector, image).result()
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
        """
        size_wh = _checked_size(image_rgb)
        if depth_m is not None:
            checked_depth(depth_m, size_wh)
        if not (isinstance(stamp_s, (int, float, np.number)) and math.isfinite(stamp_s)):
            raise InvalidInputError(f'stamp_s: expected finite seconds, got {stamp_s!r}')
        with self._lock:
            models, watch = self._open_models(), _Stopwatch()
            state = self._cameras.setdefault(camera_name, CameraState.begin(self._settings))
            with watch.stage('filter'):
                was_reset = state.tracker.advance(stamp_s, size_wh)
            if was_reset:
                state.forget()
            following = Following(state, self._settings, size_wh, stamp_s)
            detections, candidates = None, []
            if has_contrast(image_rgb):
                with watch.stage('detect'):
                    detections = self._detections(state, models, image_rgb)
                use_threads(max(models.num_threads - self._thread.is_busy, 1))
                with watch.stage('pose'):
                    reader = PoseReader(models, self._settings, size_wh)
                    candidates = following.candidates(reader, detections)
                    reader.read(image_rgb, candidates)
                with watch.stage('filter'):
                    following.unswap(candidates)
                with watch.stage('lift'):
                    reader.lift(candidates, camera, state.scales, depth_m)
            with watch.stage('filter'):
                infants = following.correct(candidates, detections)
            return state.answer(float(stamp_s), infants, detections, watch.finished(), was_reset)

    def process_still(self, image_rgb: np.ndarray, camera: Camera | None = None) -> FrameResult:
        """Find the infants of a picture that belongs to no sequence.

        Each detection is read upright and in three more turns; around the best reading a crop is
        cut anew. Tracks are numbered from 1, the best first; nothing is smoothed.

        Raises:
            InvalidInputError: a malformed picture or camera, or a closed pipeline.
        """
        size_wh = _checked_size(image_rgb)
        with self._lock:
            models, watch = self._open_models(), _Stopwatch()
            use_threads(models.num_threads)
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

    def update_settings(self, settings: PipelineSettings) -> None:
        """Take new settings for the frames to come; tracks live on.

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
            self._settings = settings
            for state in self._cameras.values():
                state.tracker.update_settings(settings)
                state.scales.update_settings(settings)

    def describe(self) -> dict:
        """Models, device and scale, in plain values that JSON can hold.

        `gpu_memory_mib` is there on a GPU only.
        """
        with self._lock:
            models = self._open_models()
            scale = known_scale(self._settings)
            memory = gpu_memory_mib(models.device)
            return {'models': models.describe(), 'device': models.device,
                    'precision': models.precision, 'num_threads': models.num_threads,
                    'keypoints': list(KEYPOINT_NAMES), 'body_length_m': scale.length_m,
                    'scale_origin': scale.origin, **({'gpu_memory_mib': memory} if memory else {})}

    def _open_models(self) -> PoseModels:
        if self._models is None:
            raise InvalidInputError('pipeline: is closed; make a new one')
        return self._models

    def _detections(self, state: CameraState, models: PoseModels,
                    image_rgb: np.ndarray) -> list[Detection] | None:
        """What the detector says in this frame; None if it did not run or is not done."""
        size_wh = (image_rgb.shape[1], image_rgb.shape[0])
        every = self._settings.detect_every
        return state.lookout.look(
            models.detector, image_rgb,
            every if state.is_sure(self._settings) else min(every, UNSURE_DETECT_EVERY),
            models.num_threads, self._thread if self._settings.detect_async else None,
            roi_view(roi_box(self._settings, size_wh), size_wh))


def _checked_size(image_rgb: np.ndarray) -> tuple[int, int]:
    """(width, height) of a picture that is one."""
    if not isinstance(image_rgb, np.ndarray):
        raise InvalidInputError(
            f'image_rgb: expected a NumPy array, got {type(image_rgb).__name__}')
    if image_rgb.dtype != np.uint8 or image_rgb.ndim != 3 or image_rgb.shape[2] != 3 or (
            image_rgb.size == 0):
        raise InvalidInputError(
            f'image_rgb: expected (H, W, 3) uint8 with H and W positive, got {image_rgb.shape} '
            f'{image_rgb.dtype}')
    return image_rgb.shape[1], image_rgb.shape[0]
