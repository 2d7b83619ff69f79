"""The networks on a device: detect infants, estimate their keypoints; loading all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import dataclass
import gc
import itertools
import threading
from typing import NamedTuple
import warnings

import cv2
import numpy as np
import torch
from torch import nn

from infant_pose_ros.allocator import trim_heap
from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.codecs.uncertainty import DEFAULT_NOISE_SHARE, PictureUncertainty
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.geometry.crops import Crop, transform_covariances, transform_points
from infant_pose_ros.lifting import PoseLifter
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.checkpoints import bundled_checkpoint, load_checkpoint, Manifest
from infant_pose_ros.structures import Detection, Pose2D

DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}

#: Held while PyTorch's state is not its usual one.
_TRACING = threading.Lock()


class _Traced(nn.Module):
    """A module that runs on the CPU as TorchScript, traced once for each picture size.

    Freezing folds the batch norms into the convolutions: about half the time of eager mode.
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module
        self._traces: dict[tuple[int, ...], torch.jit.ScriptModule] = {}

    def forward(self, x: torch.Tensor):
        """What the module answers for (N, C, H, W)."""
        key = tuple(x.shape[1:])
        if key not in self._traces:
            with warnings.catch_warnings(), _own_compilation_unit():
                warnings.simplefilter('ignore')     # constants in the trace are intended
                trace = torch.jit.trace(self.module, x, strict=False, check_trace=False)
                self._traces[key] = torch.jit.freeze(trace)
        return self._traces[key](x)


@contextlib.contextmanager
def _own_compilation_unit() -> Iterator[None]:
    """Let a trace go with the last of its users.

    PyTorch keeps what all traces are made of, frozen weights too, in one unit, and the types of
    the modules in one store, that live as long as the process: they would grow by all the weights
    whenever the models are loaded anew, and by 0.5 MB of types with each trace.
    """
    state, types = (getattr(torch.jit, name, None) for name in ('_state', '_recursive'))
    if not (hasattr(state, '_python_cu') and hasattr(types, 'concrete_type_store')
            and hasattr(types, 'ConcreteTypeStore') and hasattr(torch._C, 'CompilationUnit')):
        yield       # nothing public does the same: this version of PyTorch keeps its traces
        return
    with _TRACING:
        shared, state._python_cu = state._python_cu, torch._C.CompilationUnit()
        store, types.concrete_type_store = types.concrete_type_store, types.ConcreteTypeStore()
        try:
            yield
        finally:
            state._python_cu, types.concrete_type_store = shared, store


class Detector:
    """Finds infants in a picture.

    Args:
        module: a torchvision Faster R-CNN; it is taken over, and changed.
        manifest: of its checkpoint.
        device: a PyTorch device.
        precision: 'fp32', 'fp16' or 'bf16' (autocast).
    """

    def __init__(self, module: nn.Module, manifest: Manifest, device: str = 'cpu',
                 precision: str = 'fp32'):
        self.manifest = manifest
        self._device = torch.device(device)
        self._precision = precision
        self._module = module.to(self._device).eval()
        self._size_wh = (module.transform.max_size, min(module.transform.min_size))
        if self._device.type == 'cpu' and precision == 'fp32':
            module.backbone.to(memory_format=torch.channels_last)
            out_channels = module.backbone.out_channels
            module.backbone = _Traced(module.backbone)
            module.backbone.out_channels = out_channels

    @torch.no_grad()
    def detect(self, image_rgb: np.ndarray) -> list[Detection]:
        """Infants in a picture (H, W, 3) uint8, best first; empty when there is none.

        The network always sees a picture of the size that it was trained with, the lower or
        right part of it black where the proportions differ: one trace serves every camera.
        """
        boxed, to_frame = _letterboxed(image_rgb, self._size_wh)
        image = torch.from_numpy(boxed).to(self._device).permute(2, 0, 1).float() / 255
        with self._autocast():
            found = self._module([image])[0]
        height, width = image_rgb.shape[:2]
        boxes = (found['boxes'].double().cpu().numpy() * np.tile(to_frame, 2)).clip(
            0, (width, height, width, height))
        scores = found['scores'].double().cpu().numpy()
        order = np.argsort(-scores, kind='stable')
        return [Detection(boxes[index], float(scores[index])) for index in order
                if (boxes[index, 2:] > boxes[index, :2]).all()]

    def _autocast(self):
        if self._precision == 'fp32':
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=DTYPES[self._precision])


def _letterboxed(image_rgb: np.ndarray, size_wh: tuple[int, int]
                 ) -> tuple[np.ndarray, np.ndarray]:
    """A picture fitted into the top left of one of `size_wh`, and frame px per px there (2,)."""
    width, height = image_rgb.shape[1::-1]
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner_wh = (max(round(width * scale), 1), max(round(height * scale), 1))
    boxed = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    boxed[:inner_wh[1], :inner_wh[0]] = cv2.resize(
        image_rgb, inner_wh, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return boxed, np.array([width, height]) / inner_wh


class PoseRequest(NamedTuple):
    """Crops of a picture (H, W, 3) uint8 to read."""

    image_rgb: np.ndarray
    crops: Sequence[Crop]


class PoseEstimator:
    """Finds the 16 keypoints inside of crops; arguments as `Detector`."""

    def __init__(self, module: nn.Module, manifest: Manifest, device: str = 'cpu',
                 precision: str = 'fp32'):
        self.manifest = manifest
        self.input_size = manifest.input_size
        self._codec = HeatmapCodec(manifest.input_size, activation=manifest.activation)
        self._uncertainty = PictureUncertainty.from_dict(
            manifest.uncertainty) if manifest.uncertainty else None
        self._device, self._dtype = torch.device(device), DTYPES[precision]
        module = module.to(self._device, self._dtype, memory_format=torch.channels_last).eval()
        self._module = _Traced(module) if self._device.type == 'cpu' else module

    def estimate(self, image_rgb: np.ndarray, crops: Sequence[Crop]) -> list[Pose2D]:
        """Keypoints of a picture (H, W, 3) uint8 in frame px, one pose for each crop.

        Raises:
            InvalidInputError: a crop is not of the network's input size.
        """
        return self.estimate_batch([PoseRequest(image_rgb, crops)])[0]

    def estimate_batch(self, requests: Sequence[PoseRequest]) -> list[list[Pose2D]]:
        """`estimate` of several pictures, whose crops go through the network together."""
        crops = [crop for request in requests for crop in request.crops]
        for crop in crops:
            if crop.input_size != self.input_size:
                raise InvalidInputError(
                    f'crop: the network takes {self.input_size} px, got {crop.input_size}')
        cut = [cut_crop(request.image_rgb, crop) for request in requests
               for crop in request.crops]
        poses = iter(self._read(np.stack(cut), crops) if cut else ())
        return [list(itertools.islice(poses, len(request.crops))) for request in requests]

    @torch.no_grad()
    def _read(self, batch: np.ndarray, crops: Sequence[Crop]) -> list[Pose2D]:
        """One pose for each of the cut pictures (N, S, S, 3) uint8."""
        x = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)    # channels last
        output = self._module(x.to(self._dtype) / 255).float().cpu().numpy()
        keypoints, scores, error = self._codec.decode(output)
        noise = DEFAULT_NOISE_SHARE * error
        if self._uncertainty:
            error, noise = self._uncertainty.covariances(error)
        return [Pose2D(transform_points(crop.model_to_frame, keypoints[index]), scores[index],
                       *(transform_covariances(crop.model_to_frame, each[index])
                         for each in (error, noise)))
                for index, crop in enumerate(crops)]


@dataclass(frozen=True)
class PoseModels:
    """The three networks on one device.

    Attributes:
        detector, pose, lifter: the networks.
        device: 'cpu' or 'cuda:N'.
        precision: 'fp32', 'fp16' or 'bf16'.
        num_threads: CPU threads for them.
    """

    detector: Detector
    pose: PoseEstimator
    lifter: PoseLifter
    device: str
    precision: str
    num_threads: int

    def describe(self) -> dict[str, dict]:
        """Name, architecture, hash, size and metrics of each model by task; `is_calibrated` tells
        whether `infant-pose calibrate` measured its errors.
        """
        return {manifest.task: {
            'name': manifest.name, 'architecture': manifest.architecture,
            'sha256': manifest.sha256, 'num_parameters': manifest.num_parameters,
            'input_size': manifest.input_size, 'training_data': manifest.training_data,
            'licence': manifest.licence, 'metrics': manifest.metrics,
            'is_calibrated': bool(manifest.uncertainty),
        } for manifest in (self.detector.manifest, self.pose.manifest, self.lifter.manifest)}


def resolve_device(device: str) -> str:
    """'cpu' or 'cuda:N' for a setting 'auto', 'cpu', 'cuda' or 'cuda:N'.

    Raises:
        SettingsError: the name is unknown, or there is no such GPU.
    """
    if device == 'auto':
        return 'cuda:0' if torch.cuda.is_available() else 'cpu'
    if device == 'cpu':
        return device
    kind, _, number = device.partition(':')
    if kind != 'cuda' or (':' in device and not number.isdigit()):
        raise SettingsError(f"device: {device!r} is not 'auto', 'cpu', 'cuda' or 'cuda:N'")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(number or 0) >= count:
        raise SettingsError(
            f'device: {device!r} asked for, but PyTorch sees {count} GPU{"s" * (count != 1)}; '
            "take 'auto' or 'cpu', or check the driver and that PyTorch was built for CUDA")
    return f'cuda:{int(number or 0)}'


def resolve_precision(precision: str, device: str) -> str:
    """'fp32', 'fp16' or 'bf16' for a setting, on a device that `resolve_device` gave.

    Raises:
        SettingsError: fp16 on a CPU.
    """
    if precision == 'auto':
        return 'fp16' if device.startswith('cuda') else 'fp32'
    if precision == 'fp16' and device == 'cpu':
        raise SettingsError("precision: 'fp16' needs a GPU; take 'auto', 'fp32' or 'bf16'")
    return precision


def load_models(settings: PipelineSettings) -> PoseModels:
    """Load and verify the three checkpoints and put them on the device; no network is used.

    Raises:
        SettingsError: the device or precision can't be had.
        CheckpointError: a weights file is missing, damaged or of the wrong kind.
    """
    device = resolve_device(settings.device)
    precision = resolve_precision(settings.precision, device)
    num_threads = settings.num_threads or torch.get_num_threads()
    loaded = {task: load_checkpoint(path or bundled_checkpoint(task), task) for task, path in (
        ('detector', settings.detector_weights), ('pose', settings.pose_weights),
        ('lifter', settings.lifter_weights))}
    return PoseModels(
        Detector(*loaded['detector'], device, precision),
        PoseEstimator(*loaded['pose'], device, precision),
        PoseLifter(*loaded['lifter'], device), device, precision, num_threads)


def use_threads(num_threads: int) -> None:
    """Give the networks `num_threads` CPU threads when called from this thread.

    PyTorch keeps the number per calling thread; changing it throws away what was prepared for
    the old one, so it is left alone where it fits.
    """
    if torch.get_num_threads() != num_threads:
        torch.set_num_threads(num_threads)


def release_memory(device: str) -> None:
    """Give back what dropped networks held, to other processes too."""
    gc.collect()
    empty_cache(device)
    trim_heap()


def empty_cache(device: str) -> None:
    """Give back what PyTorch keeps of a GPU's memory without using it."""
    if device.startswith('cuda'):
        torch.cuda.empty_cache()


def gpu_memory_mib(device: str) -> dict[str, float] | None:
    """MiB that tensors hold and that PyTorch has reserved on a GPU; None on a CPU."""
    if not device.startswith('cuda'):
        return None
    return {'allocated': round(torch.cuda.memory_allocated(device) / 2**20, 1),
            'reserved': round(torch.cuda.memory_reserved(device) / 2**20, 1)}
