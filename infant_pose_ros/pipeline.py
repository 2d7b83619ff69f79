"""The whole chain from a picture to smoothed poses in space; knows no ROS.

Each frame: predict the tracks to the frame's stamp, look for infants if it is time to, match what
was found with the tracks, estimate keypoints in crops that follow and turn with each infant, lift
them, and correct the tracks with the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
import math
import threading
import time

import numpy as np

from infant_pose_ros.camera_state import CameraState
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.filtering.association import associate, suppress_overlapping
from infant_pose_ros.filtering.scale import known_scale
from infant_pose_ros.filtering.tracks import seen_keypoints, Track, TrackEstimate
from infant_pose_ros.geometry.boxes import box_around
from infant_pose_ros.geometry.crops import Crop
from infant_pose_ros.geometry.depth import checked_depth
from infant_pose_ros.inference import (
    gpu_memory_mib,
    load_models,
    PoseModels,
    release_memory,
    use_threads,
)
from infant_pose_ros.looking import DetectorThread, has_contrast, UNSURE_DETECT_EVERY
from infant_pose_ros.reading import Candidate, PoseReader, TURNS_RAD
from infant_pose_ros.skeleton import KEYPOINT_NAMES, TrackState
from infant_pose_ros.structures import Camera, Detection, FrameResult, TrackedInfant

STAGES = ('detect', 'pose', 'lift', 'filter')

#: Looks in a row that find an infant elsewhere, but not the tracked one, before a track ends.
MAX_MISSES = 2
#: A detection belongs to a track where the boxes overlap this much.
MATCH_IOU = 0.2
#: A track begins with at least so many keypoints seen.
MIN_SEEN_KEYPOINTS = 4


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
            detections, candidates = None, []
            if has_contrast(image_rgb):
                with watch.stage('detect'):
                    detections = self._detections(state, models, image_rgb)
                use_threads(max(models.num_threads - self._thread.is_busy, 1))
                with watch.stage('pose'):
                    reader = PoseReader(models, self._settings, size_wh)
                    candidates = self._candidates(state, reader, detections)
                    reader.read(image_rgb, candidates)
                with watch.stage('lift'):
                    reader.lift(candidates, camera, state.scales, depth_m)
            with watch.stage('filter'):
                infants = self._correct(state, candidates, detections, stamp_s)
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
                    detections = models.detector.detect(image_rgb)
            with watch.stage('pose'):
                candidates = [
                    Candidate(reader.turned_crops(detection))
                    for detection in self._credible(detections)[:self._settings.max_infants]]
                reader.read(image_rgb, candidates)
                for candidate in candidates:
                    reader.read_again(image_rgb, candidate)
            with watch.stage('lift'):
                state = CameraState.begin(self._settings.replace(smoothing=False))
                reader.lift(candidates, camera, state.scales)
            with watch.stage('filter'):
                state.tracker.advance(0.0, size_wh)
                candidates.sort(key=lambda candidate: -candidate.score)
                infants = self._correct(state, candidates, None, 0.0)
            return state.answer(0.0, infants, detections, watch.finished(), False)

    def reset(self, camera_name: str | None = None) -> None:
        """End all tracks of one camera, or of all."""
        with self._lock:
            for name, state in self._cameras.items():
                if camera_name in (None, name):
                    state.tracker.reset()
                    state.forget()

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

    # From tracks and detections to poses

    def _detections(self, state: CameraState, models: PoseModels,
                    image_rgb: np.ndarray) -> list[Detection] | None:
        """What the detector says in this frame; None if it did not run or is not done."""
        tracks = state.tracker.tracks
        is_sure = tracks and not any(state.misses.values()) and all(
            track.score >= self._settings.track_score_min for track in tracks)
        every = self._settings.detect_every
        return state.lookout.look(
            models.detector, image_rgb, every if is_sure else min(every, UNSURE_DETECT_EVERY),
            models.num_threads, self._thread if self._settings.detect_async else None)

    def _credible(self, detections: Sequence[Detection] | None) -> list[Detection]:
        return [detection for detection in detections or ()
                if detection.score >= self._settings.detection_score_min]

    def _candidates(self, state: CameraState, reader: PoseReader,
                    detections: list[Detection] | None) -> list[Candidate]:
        """Whom to estimate, and in which crops; tracks with nothing to follow end here."""
        found = self._credible(detections)
        candidates = [Candidate([], track) for track in state.tracker.tracks]
        pairs = associate(np.array([c.track.box_xyxy for c in candidates]).reshape(-1, 4),
                          np.array([d.box_xyxy for d in found]).reshape(-1, 4), MATCH_IOU)
        for row, column in pairs:
            candidates[row].is_confirmed = True
            if candidates[row].track.score < self._settings.track_score_min:
                candidates[row].crops += reader.turned_crops(found[column])
        for candidate in candidates:
            crop = reader.following_crop(candidate.track.keypoints_px)
            candidate.crops = [crop] * (crop is not None) + candidate.crops
            if not candidate.crops:
                state.tracker.end(candidate.track.id)
        candidates = [candidate for candidate in candidates if candidate.crops]
        matched = {column for _, column in pairs}
        fresh = [d for column, d in enumerate(found) if column not in matched]
        room = max(self._settings.max_infants - len(candidates), 0)
        return candidates + [Candidate(reader.turned_crops(d)) for d in fresh[:room]]

    # From poses to tracks

    def _correct(self, state: CameraState, candidates: list[Candidate],
                 detections: list[Detection] | None, stamp_s: float
                 ) -> tuple[TrackedInfant, ...]:
        """Feed the tracks, begin and end some, and tell of those that live."""
        by_track: dict[int, Candidate] = {}
        for candidate in self._chosen(state, candidates, detections):
            track = candidate.track or state.tracker.begin(candidate.pose_2d, candidate.pose_3d)
            by_track[track.id] = candidate
        state.note_placed(by_track, stamp_s)
        infants = []
        for track in state.tracker.tracks:
            candidate = by_track.get(track.id)
            estimate = state.tracker.correct(
                track.id, candidate and candidate.pose_2d, candidate and candidate.pose_3d)
            if (estimate.state != TrackState.LOST).any():    # else it can't be told where
                infants.append(self._infant(track, estimate, candidate))
        ended = set(state.tracker.end_stale())
        infants = [infant for infant in infants if infant.track not in ended]
        alive = {track.id for track in state.tracker.tracks}
        state.misses = {key: count for key, count in state.misses.items() if key in alive}
        state.choose_main(infants)
        return tuple(sorted(infants, key=lambda infant: (infant.track != state.main_track,
                                                         -infant.score.mean())))

    def _chosen(self, state: CameraState, candidates: list[Candidate],
                detections: list[Detection] | None) -> list[Candidate]:
        """The candidates that live on or begin; ends the tracks of the others."""
        alive = []
        for candidate in candidates:
            if candidate.track is None:
                seen = seen_keypoints(candidate.pose_2d, self._settings.keypoint_score_min)
                is_sure = candidate.score >= self._settings.track_score_min
                if is_sure and seen.sum() >= MIN_SEEN_KEYPOINTS:
                    alive.append(candidate)
            elif detections is not None and self._is_refuted(state, candidate, detections):
                state.tracker.end(candidate.track.id)
            else:
                alive.append(candidate)
        if not alive:
            return []
        # Tracks go before newcomers, so that ids stay.
        kept = suppress_overlapping(
            np.stack([candidate.pose_2d.keypoints_px for candidate in alive]),
            np.array([candidate.score + (candidate.track is not None) for candidate in alive]))
        kept = kept[:self._settings.max_infants]
        for index, candidate in enumerate(alive):
            if candidate.track is not None and index not in kept:
                state.tracker.end(candidate.track.id)
        return [alive[index] for index in kept]

    def _is_refuted(self, state: CameraState, candidate: Candidate,
                    detections: list[Detection]) -> bool:
        """Whether a look at the picture says that this track follows no infant."""
        track = candidate.track
        if candidate.is_confirmed:
            state.misses[track.id] = 0
            return False
        if max(track.score, candidate.score) < self._settings.track_score_min:
            return True
        if self._credible(detections):
            state.misses[track.id] = state.misses.get(track.id, 0) + 1
        return state.misses.get(track.id, 0) >= MAX_MISSES

    def _infant(self, track: Track, estimate: TrackEstimate,
                candidate: Candidate | None) -> TrackedInfant:
        """The answer about one track; without a reading its box stands in for the crop."""
        box = box_around(estimate.smooth_2d.keypoints_px)
        box = track.box_xyxy if box is None else box
        corners_px = candidate.crop.corners_px if candidate else box[[[0, 1], [2, 1], [2, 3],
                                                                      [0, 3]]]
        return TrackedInfant(
            track.id, box, corners_px,
            candidate and candidate.pose_2d, candidate and candidate.pose_3d,
            estimate.smooth_2d, estimate.smooth_3d, estimate.state, estimate.score)


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
