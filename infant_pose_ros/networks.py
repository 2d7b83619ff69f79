"""The networks that all cameras share, on a GPU whose memory may run out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
import threading
from typing import TypeVar

import numpy as np
import torch

from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import DeviceError, GpuMemoryError, InvalidInputError
from infant_pose_ros.inference import (
    empty_cache,
    load_models,
    PoseModels,
    PoseRequest,
    release_memory,
)
from infant_pose_ros.lifting import LiftRequest
from infant_pose_ros.looking import detect_in, View
from infant_pose_ros.structures import Detection, Pose2D, Pose3D

MENDS = ('free memory on the GPU (nvidia-smi lists who holds it), follow fewer infants or cameras '
         "with one GPU, or set device to 'cpu'")
#: What libraries below PyTorch call their want of memory, in small letters.
_MEMORY_WORDS = ('out of memory', 'alloc_failed')
_GPU_WORDS = ('cuda', 'cudnn', 'cublas')
#: PyTorch's own types of them, as far as this version has them: some came with 2.5 and 2.8.
_MEMORY_ERRORS = tuple(
    place.OutOfMemoryError for place in (torch, torch.cuda)
    if hasattr(place, 'OutOfMemoryError'))
_GPU_ERRORS = (torch.AcceleratorError,) if hasattr(torch, 'AcceleratorError') else ()

Models = Callable[[PipelineSettings], PoseModels]
Answer = TypeVar('Answer')


def is_memory_failure(error: RuntimeError, device: str) -> bool:
    """Whether a GPU's memory ran out; never so on a CPU."""
    if device == 'cpu':
        return False
    text = str(error).lower()
    return isinstance(error, _MEMORY_ERRORS) or any(
        word in text for word in _MEMORY_WORDS)


def is_gpu_failure(error: RuntimeError, device: str) -> bool:
    """Whether a GPU or its libraries failed, whatever the reason."""
    text = str(error).lower()
    return device != 'cpu' and (isinstance(error, _GPU_ERRORS) or any(
        word in text for word in _GPU_WORDS))


class Networks:
    """Runs the networks; where the GPU's memory runs out, does what the settings say.

    First the memory that PyTorch keeps is given back and the call is tried once more, in pieces
    as small as they can be. Where that fails too, 'cpu' moves all networks to the CPU for good,
    and 'fail' raises. Methods may be called from any thread.

    Args:
        models: to begin with.
        settings: what they were loaded for.
        load: makes them anew, on another device.
        fallback: why they are on another device than asked for; '' if they aren't.
    """

    def __init__(self, models: PoseModels, settings: PipelineSettings, load: Models = load_models,
                 fallback: str = ''):
        self._models: PoseModels | None = models
        self._settings, self._load = settings, load
        self._moving = threading.Lock()
        self.fallback = fallback

    @classmethod
    def loaded(cls, settings: PipelineSettings, load: Models = load_models) -> Networks:
        """Load them where the settings say, or where their `gpu_oom_policy` allows.

        Raises:
            SettingsError, CheckpointError: as `load_models`.
            DeviceError: the GPU failed; GpuMemoryError: it has too little memory.
        """
        device = {'auto': 'cuda:0', 'cuda': 'cuda:0'}.get(settings.device, settings.device)
        for _attempt in range(2):
            try:
                return cls(load(settings), settings, load)
            except RuntimeError as error:
                reason = _failure(error, device)
            release_memory(device)
        fallback = _fallback(device, reason, settings, 'loading the networks')
        return cls(load(_on_cpu(settings)), settings, load, fallback)

    @property
    def models(self) -> PoseModels:
        """Those in use.

        Raises:
            InvalidInputError: they were let go of.
        """
        models = self._models
        if models is None:
            raise InvalidInputError('pipeline: is closed; make a new one')
        return models

    def update_settings(self, settings: PipelineSettings) -> None:
        """Take a new `gpu_oom_policy`."""
        self._settings = settings

    def close(self) -> None:
        """Let go of them, and of the memory; calling it twice does no harm."""
        with self._moving:
            device = self._models.device if self._models else 'cpu'
            self._models = None
        release_memory(device)

    def detect(self, image_rgb: np.ndarray, view: View | None = None) -> list[Detection]:
        """As `detect_in`.

        Raises:
            DeviceError: as `guarded`.
        """
        return self.guarded(lambda models: detect_in(models.detector, image_rgb, view))

    def estimate(self, requests: Sequence[PoseRequest]) -> list[list[Pose2D]]:
        """As `PoseEstimator.estimate_batch`; raises DeviceError, too."""
        return self.guarded(
            lambda models: models.pose.estimate_batch(requests),
            lambda models: [[pose for crop in request.crops
                             for pose in models.pose.estimate(request.image_rgb, [crop])]
                            for request in requests])

    def lift(self, requests: Sequence[LiftRequest]) -> list[list[Pose3D | None]]:
        """As `PoseLifter.lift_batch`; raises DeviceError, too."""
        return self.guarded(lambda models: models.lifter.lift_batch(requests))

    def guarded(self, run: Callable[[PoseModels], Answer],
                run_in_pieces: Callable[[PoseModels], Answer] | None = None) -> Answer:
        """What `run` makes of the models.

        Args:
            run: may be called up to three times. run_in_pieces: the same with less memory.

        Raises:
            GpuMemoryError: the memory ran out, and the policy is 'fail'.
            DeviceError: the GPU failed otherwise.
            SettingsError, CheckpointError: as `load_models`, on the way to the CPU.
        """
        models = self.models
        # What an exception's traceback holds of the GPU is free only after its `except`.
        for attempt in (run, run_in_pieces or run):
            try:
                return attempt(models)
            except DeviceError:     # a call within this one has tried it all
                raise
            except RuntimeError as error:
                reason = _failure(error, models.device)
            empty_cache(models.device)
        self._move_to_cpu(models, reason)
        return run(self.models)

    def _move_to_cpu(self, failed: PoseModels, reason: str) -> None:
        with self._moving:
            if self.models is not failed:       # another thread was faster
                return
            fallback = _fallback(failed.device, reason, self._settings, 'running the networks')
            # How many threads there are depends on the thread that asks: they stay.
            self._models = replace(self._load(_on_cpu(self._settings)),
                                   num_threads=failed.num_threads)
            self.fallback = fallback
        release_memory(failed.device)


def _failure(error: RuntimeError, device: str) -> str:
    """The first line of an error that says that memory ran out; raises any other."""
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    if is_memory_failure(error, device):
        return reason
    if is_gpu_failure(error, device):
        raise DeviceError(
            f'{device} failed: {reason}: the process has to be started anew; if it happens '
            "again, check the GPU and its driver (nvidia-smi, dmesg) or set device to 'cpu'"
        ) from None
    raise error


def _on_cpu(settings: PipelineSettings) -> PipelineSettings:
    return settings.replace(device='cpu', precision='fp32')


def _fallback(device: str, reason: str, settings: PipelineSettings, doing: str) -> str:
    """One sentence that tells of a move to the CPU.

    Raises:
        GpuMemoryError: the settings forbid it.
    """
    if settings.gpu_oom_policy == 'fail':
        raise GpuMemoryError(
            f'{device} ran out of memory {doing} ({reason}): {MENDS}, or gpu_oom_policy to '
            "'cpu', which goes on there")
    return (f'{device} ran out of memory {doing} ({reason}): they run on the CPU now, slower: '
            f'{MENDS}; then start anew')
