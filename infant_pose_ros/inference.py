"""The three networks as functions of pictures and poses: detect, estimate, lift."""

from __future__ import annotations

from collections.abc import Sequence
import contextlib
from dataclasses import dataclass
import warnings

import cv2
import numpy as np
import torch
from torch import nn

from infant_pose_ros.codecs.heatmaps import HeatmapCodec
from infant_pose_ros.codecs.lifting import CANONICAL_BODY_LENGTH_MM, LiftingCodec
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InvalidInputError, SettingsError
from infant_pose_ros.geometry.cameras import assumed_camera, scaled_camera, undistort_to_rays
from infant_pose_ros.geometry.crops import Crop, transform_covariances, transform_points
from infant_pose_ros.geometry.placement import place_root
from infant_pose_ros.media.crops import cut_crop
from infant_pose_ros.models.checkpoints import bundled_checkpoint, load_checkpoint, Manifest
from infant_pose_ros.skeleton import NUM_KEYPOINTS
from infant_pose_ros.structures import Camera, Detection, Pose2D, Pose3D

DTYPES = {'fp32': torch.float32, 'fp16': torch.float16, 'bf16': torch.bfloat16}

#: Lifting error of a keypoint, standard deviation for a canonical body, where a checkpoint
#: doesn't say it, and the least that is believed, mm.
DEFAULT_JOINT_STD_MM = 25.0
MIN_JOINT_STD_MM = 1.0


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
        self._size = (min(module.transform.min_size), module.transform.max_size)
        if self._device.type == 'cpu' and precision == 'fp32':
            module.backbone.to(memory_format=torch.channels_last)
            out_channels = module.backbone.out_channels
            module.backbone = _Traced(module.backbone)
            module.backbone.out_channels = out_channels

    @torch.no_grad()
    def detect(self, image_rgb: np.ndarray) -> list[Detection]:
        """Infants in a picture (H, W, 3) uint8, best first; empty when there is none."""
        height, width = image_rgb.shape[:2]
        scale = min(self._size[0] / min(height, width), self._size[1] / max(height, width))
        if scale < 0.5:     # torchvision resizes without averaging
            image_rgb = cv2.resize(
                image_rgb, (max(round(width * scale * 2), 1), max(round(height * scale * 2), 1)),
                interpolation=cv2.INTER_AREA)
        image = torch.from_numpy(np.ascontiguousarray(image_rgb)).to(self._device)
        image = image.permute(2, 0, 1).float() / 255
        with self._autocast():
            found = self._module([image])[0]
        to_frame = np.array([width, height] * 2) / ([*image_rgb.shape[1::-1]] * 2)
        boxes = found['boxes'].double().cpu().numpy() * to_frame
        scores = found['scores'].double().cpu().numpy()
        order = np.argsort(-scores, kind='stable')
        return [Detection(boxes[index], float(scores[index])) for index in order
                if (boxes[index, 2:] > boxes[index, :2]).all()]

    def _autocast(self):
        if self._precision == 'fp32':
            return contextlib.nullcontext()
        return torch.autocast(self._device.type, dtype=DTYPES[self._precision])


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
        std_mm = np.asarray(manifest.metrics.get('joint_std_mm', DEFAULT_JOINT_STD_MM), float)
        self._joint_std_mm = np.broadcast_to(
            np.maximum(std_mm, MIN_JOINT_STD_MM), (NUM_KEYPOINTS,))

    @torch.no_grad()
    def lift(self, poses_2d: Sequence[Pose2D], camera: Camera | None, size_wh: tuple[int, int],
             body_length_m: float) -> list[Pose3D | None]:
        """Poses in space, one for each pose in the picture.

        Args:
            poses_2d: frame px.
            camera: with it the root is placed in the camera's frame; None gives poses relative
                to the pelvis, seen by an assumed camera.
            size_wh: of the picture, px; the camera is scaled to it.
            body_length_m: crown to heel.

        Returns:
            None where a pose can't be lifted: a keypoint is missing, or no place in front of
            the camera explains the picture.

        Raises:
            InvalidInputError: the camera's picture has other proportions.
        """
        lens = _fitting_camera(camera, size_wh) if camera else assumed_camera(size_wh)
        rays = [undistort_to_rays(lens, pose.keypoints_px) for pose in poses_2d]
        usable = [index for index, ray in enumerate(rays) if np.isfinite(ray).all()]
        lifted: list[Pose3D | None] = [None] * len(poses_2d)
        if not usable:
            return lifted
        inputs, view = self._codec.encode_input(np.stack([rays[index] for index in usable]))
        output = self._module(torch.from_numpy(inputs).to(self._device)).cpu().numpy()
        relative_m = self._codec.decode_output(
            output, view, np.full(len(usable), float(body_length_m)))
        std_m = self._joint_std_mm / CANONICAL_BODY_LENGTH_MM * body_length_m
        covariance = std_m[:, None, None] ** 2 * np.eye(3)
        for index, keypoints_m in zip(usable, relative_m):
            if camera is None:
                lifted[index] = Pose3D(keypoints_m, covariance, is_absolute=False)
                continue
            with contextlib.suppress(InvalidInputError):    # no such place: stays None
                shift, shift_covariance = place_root(
                    keypoints_m, rays[index], _ray_weights(poses_2d[index], lens))
                lifted[index] = Pose3D(
                    keypoints_m + shift, covariance + shift_covariance, is_absolute=True)
        return lifted


def _ray_weights(pose: Pose2D, camera: Camera) -> np.ndarray:
    """(16,) 1 / variance of each ray on the normalised plane."""
    variance_px2 = np.trace(pose.covariance_px2, axis1=1, axis2=2) / 2
    return camera.fx * camera.fy / variance_px2


def _fitting_camera(camera: Camera, size_wh: tuple[int, int]) -> Camera:
    if (camera.width, camera.height) == tuple(size_wh):
        return camera
    if abs(camera.width * size_wh[1] - camera.height * size_wh[0]) > 0.02 * (
            camera.width * size_wh[1]):
        raise InvalidInputError(
            f'camera: was calibrated for {camera.width}x{camera.height}, the picture is '
            f'{size_wh[0]}x{size_wh[1]} with other proportions; give the calibration of this '
            'picture')
    return scaled_camera(camera, size_wh)


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
