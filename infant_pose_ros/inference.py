"""The three networks as functions of pictures and poses: detect, estimate, lift."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import gc
import warnings

import cv2
import numpy as np
import torch
from torch import nn

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.codecs.lifting import CANONICAL_BODY_LENGTH_MM, LiftingCodec
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.geometry.cameras import (
    assumed_camera,
    camera_for_picture,
    undistort_to_rays,
)
from infant_pose_ros.geometry.crops import Crop, transform_covariances, transform_points
from infant_pose_ros.geometry.neighbours import fill_missing
from infant_pose_ros.geometry.placement import MIN_POINTS, place_root
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.checkpoints import bundled_checkpoint, load_checkpoint, Manifest
from infant_pose_ros.skeleton import NUM_KEYPOINTS, ROOT
from infant_pose_ros.structures import Camera, Detection, Pose2D, Pose3D

DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}

#: Lifting error of a keypoint, standard deviation for a canonical body, where a checkpoint
#: doesn't say it, and the least that is believed, mm.
DEFAULT_JOINT_STD_MM = 25.0
MIN_JOINT_STD_MM = 1.0
#: The part of it along the ray that changes from frame to frame, where a checkpoint doesn't say
#: it, mm.
DEFAULT_JOINT_JITTER_MM = 6.0


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
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')     # constants in the trace are intended
                trace = torch.jit.trace(self.module, x, strict=False, check_trace=False)
                self._traces[key] = torch.jit.freeze(trace)
        return self._traces[key](x)


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


class PoseEstimator:
    """Finds the 16 keypoints inside of crops; arguments as `Detector`."""

    def __init__(self, module: nn.Module, manifest: Manifest, device: str = 'cpu',
                 precision: str = 'fp32'):
        self.manifest = manifest
        self.input_size = manifest.input_size
        self._codec = HeatmapCodec(manifest.input_size, activation=manifest.activation)
        self._device, self._dtype = torch.device(device), DTYPES[precision]
        module = module.to(self._device, self._dtype, memory_format=torch.channels_last).eval()
        self._module = _Traced(module) if self._device.type == 'cpu' else module

    @torch.no_grad()
    def estimate(self, image_rgb: np.ndarray, crops: Sequence[Crop]) -> list[Pose2D]:
        """Keypoints of a picture (H, W, 3) uint8 in frame px, one pose for each crop.

        Raises:
            InvalidInputError: a crop is not of the network's input size.
        """
        if not crops:
            return []
        for crop in crops:
            if crop.input_size != self.input_size:
                raise InvalidInputError(
                    f'crop: the network takes {self.input_size} px, got {crop.input_size}')
        batch = np.stack([cut_crop(image_rgb, crop) for crop in crops])
        x = torch.from_numpy(batch).to(self._device).permute(0, 3, 1, 2)    # channels last
        output = self._module(x.to(self._dtype) / 255).float().cpu().numpy()
        keypoints, scores, covariances = self._codec.decode(output)
        return [Pose2D(transform_points(crop.model_to_frame, keypoints[index]), scores[index],
                       transform_covariances(crop.model_to_frame, covariances[index]))
                for index, crop in enumerate(crops)]


class PoseLifter:
    """Lifts poses in a picture into space; arguments as `Detector`, always fp32."""

    def __init__(self, module: nn.Module, manifest: Manifest, device: str = 'cpu'):
        self.manifest = manifest
        self._codec = LiftingCodec()
        self._device = torch.device(device)
        self._module = module.to(self._device).eval()
        self._joint_std_mm = np.maximum(
            _by_joint(manifest, 'joint_std_mm', DEFAULT_JOINT_STD_MM), MIN_JOINT_STD_MM)
        self._joint_jitter_mm = _by_joint(manifest, 'joint_jitter_mm', DEFAULT_JOINT_JITTER_MM)

    @torch.no_grad()
    def lift(self, poses_2d: Sequence[Pose2D], camera: Camera | None, size_wh: tuple[int, int],
             body_length_m: float) -> list[Pose3D | None]:
        """Poses in space, one for each pose in the picture.

        A keypoint that is missing, or has no ray through the lens, is missing in space too; for
        the network its neighbours in the skeleton stand in for it.

        Args:
            poses_2d: frame px.
            camera: with it the root is placed in the camera's frame; None gives poses relative
                to the pelvis, seen by an assumed camera.
            size_wh: of the picture, px; the camera is scaled to it.
            body_length_m: crown to heel.

        Returns:
            None where a pose can't be lifted: fewer than four keypoints have a ray, or no place
            in front of the camera explains the picture.

        Raises:
            InvalidInputError: the camera's picture has other proportions.
        """
        lens = camera_for_picture(camera, size_wh) if camera else assumed_camera(size_wh)
        rays = [undistort_to_rays(lens, pose.keypoints_px) for pose in poses_2d]
        usable = [index for index, ray in enumerate(rays)
                  if np.isfinite(ray).all(axis=1).sum() >= MIN_POINTS]
        lifted: list[Pose3D | None] = [None] * len(poses_2d)
        if not usable:
            return lifted
        inputs, view = self._codec.encode_input(
            np.stack([fill_missing(rays[index]) for index in usable]))
        output = self._module(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        relative_m = self._codec.decode_output(
            output, view, np.full(len(usable), float(body_length_m)))
        for index, keypoints_m in zip(usable, relative_m):
            rays_variance = poses_2d[index].covariance_px2 / np.outer(
                (lens.fx, lens.fy), (lens.fx, lens.fy))
            seen = _SeenBody(keypoints_m, rays[index], rays_variance,
                             *(std_mm / CANONICAL_BODY_LENGTH_MM * body_length_m
                               for std_mm in (self._joint_std_mm, self._joint_jitter_mm)))
            if camera is None:
                lifted[index] = seen.relative()
            else:
                with contextlib.suppress(InvalidInputError):    # no such place: stays None
                    lifted[index] = seen.placed()
        return lifted


def _by_joint(manifest: Manifest, name: str, default: float) -> np.ndarray:
    """(16,) of a metric that a manifest has for each keypoint, or for all."""
    return np.broadcast_to(np.asarray(manifest.metrics.get(name, default), float), NUM_KEYPOINTS)


@dataclass(frozen=True, eq=False)
class _SeenBody:
    """A lifted body and how it was seen.

    What changes from frame to frame in a keypoint is how far beside its ray it was seen, times
    the depth, and the lifter's jitter along the ray. The lifter's whole error is larger, but
    hardly changes while the pose doesn't.

    Attributes:
        relative_m: (16, 3) relative to the pelvis, camera axes.
        rays: (16, 2), NaN where missing. rays_variance: (16, 2, 2) theirs.
        std_m, jitter_m: (16,) the lifter's error, and its part along the ray that changes.
    """

    relative_m: np.ndarray
    rays: np.ndarray
    rays_variance: np.ndarray
    std_m: np.ndarray
    jitter_m: np.ndarray

    def relative(self) -> Pose3D:
        """The pose relative to the pelvis; its scale in the picture gives the depth."""
        known = np.isfinite(self.rays).all(axis=1)
        spread_m, spread = (np.sqrt(points[known].var(axis=0).sum())
                            for points in (self.relative_m[:, :2], self.rays))
        lateral_m2 = self._lateral_m2(np.full(NUM_KEYPOINTS, spread_m / max(spread, 1e-9)))
        noise_m2 = self._noise_m2(lateral_m2 + lateral_m2[ROOT])
        noise_m2[ROOT] = 0.0
        return self._pose(self.relative_m, noise_m2, np.zeros((3, 3)), False)

    def placed(self) -> Pose3D:
        """The pose in the camera's frame.

        Raises:
            InvalidInputError: as `place_root`.
        """
        weights = 2.0 / np.trace(self.rays_variance, axis1=1, axis2=2)
        place = place_root(self.relative_m, self.rays, weights, self.std_m ** 2)
        keypoints_m = self.relative_m + place.translation_m
        lateral_m2 = self._lateral_m2(keypoints_m[:, 2])
        shift_noise_m2 = np.einsum('akj,kji,bki->ab', place.gain, lateral_m2, place.gain)
        return self._pose(keypoints_m, self._noise_m2(lateral_m2) + shift_noise_m2,
                          place.covariance_m2, True)

    def _lateral_m2(self, depth_m: np.ndarray) -> np.ndarray:
        """(16, 2, 2) m^2 beside the ray at (16,) depths; 0 where missing."""
        return np.nan_to_num(self.rays_variance) * depth_m[:, None, None] ** 2

    def _noise_m2(self, lateral_m2: np.ndarray) -> np.ndarray:
        """(16, 3, 3) m^2 from what is beside the rays and along them."""
        along = np.column_stack([np.nan_to_num(self.rays), np.ones(NUM_KEYPOINTS)])
        along *= (self.jitter_m / np.linalg.norm(along, axis=1))[:, None]
        noise_m2 = along[:, :, None] * along[:, None]
        noise_m2[:, :2, :2] += lateral_m2
        return noise_m2

    def _pose(self, keypoints_m: np.ndarray, noise_m2: np.ndarray, shift_m2: np.ndarray,
              is_absolute: bool) -> Pose3D:
        known = np.isfinite(self.rays).all(axis=1)
        covariance_m2 = noise_m2 + shift_m2 + (self.std_m ** 2)[:, None, None] * np.eye(3)
        deep = known[:, None, None]
        return Pose3D(np.where(known[:, None], keypoints_m, np.nan),
                      np.where(deep, covariance_m2, np.nan), is_absolute,
                      np.where(deep, noise_m2, np.nan))


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
        """Name, architecture, hash, size and metrics of each model by task."""
        return {manifest.task: {
            'name': manifest.name, 'architecture': manifest.architecture,
            'sha256': manifest.sha256, 'num_parameters': manifest.num_parameters,
            'input_size': manifest.input_size, 'training_data': manifest.training_data,
            'licence': manifest.licence, 'metrics': manifest.metrics,
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
    """Give back what dropped networks held, on a GPU to other processes too."""
    gc.collect()
    if device.startswith('cuda'):
        torch.cuda.empty_cache()


def gpu_memory_mib(device: str) -> dict[str, float] | None:
    """MiB that tensors hold and that PyTorch has reserved on a GPU; None on a CPU."""
    if not device.startswith('cuda'):
        return None
    return {'allocated': round(torch.cuda.memory_allocated(device) / 2**20, 1),
            'reserved': round(torch.cuda.memory_reserved(device) / 2**20, 1)}
