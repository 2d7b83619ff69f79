"""Checkpoints: weights as safetensors beside a manifest that says what they are.

`x.safetensors` holds the tensors, `x.json` the manifest with the file's sha256. Nothing is ever
unpickled, and nothing is fetched.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import nn

from infant_pose_ros.codecs.uncertainty import PictureUncertainty, SpaceUncertainty
from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.detector import ARCHITECTURES, build_detector
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.models.pose import PoseNetwork
from infant_pose_ros.skeleton import KEYPOINT_NAMES

TASKS = ('detector', 'pose', 'lifter')
WEIGHTS_DIR = Path(__file__).resolve().parent.parent / 'weights'
FP16_MAX = torch.finfo(torch.float16).max

#: What builds each architecture from the manifest's arguments.
BUILDERS = {
    'detector': {name: build_detector for name in ARCHITECTURES},
    'pose': {'simple_baseline': PoseNetwork},
    'lifter': {'martinez': Lifter},
}
#: What reads a manifest's `uncertainty`.
UNCERTAINTIES = {'pose': PictureUncertainty, 'lifter': SpaceUncertainty}


@dataclass(frozen=True)
class Manifest:
    """What a weights file is.

    Attributes:
        name: short name for people.
        task: 'detector', 'pose' or 'lifter'.
        architecture: a key of `BUILDERS[task]`.
        arguments: keyword arguments of its builder.
        keypoints: names in the order of the output; empty for a detector.
        input_size: side of the pose network's input, px; 0 where it has no fixed one.
        activation: 'softmax' or 'none': how heatmaps are read (pose only).
        training_data, licence: for people.
        metrics: numbers measured on held-out data.
        uncertainty: how large its errors are, by `infant-pose calibrate`: of a pose network as
            `PictureUncertainty`, of a lifter as `SpaceUncertainty` writes it; empty: unknown.
        sha256: of the safetensors file; filled in by `save_checkpoint`.
        num_parameters: trainable values; filled in by `save_checkpoint`.
    """

    name: str
    task: str
    architecture: str
    arguments: dict[str, Any] = field(default_factory=dict)
    keypoints: list[str] = field(default_factory=lambda: list(KEYPOINT_NAMES))
    input_size: int = 0
    activation: str = 'softmax'
    training_data: str = ''
    licence: str = ''
    metrics: dict[str, Any] = field(default_factory=dict)
    uncertainty: dict[str, Any] = field(default_factory=dict)
    sha256: str = ''
    num_parameters: int = 0

    def __post_init__(self):
        if self.task not in TASKS:
            raise InvalidInputError(f'task: {self.task!r} is not one of {", ".join(TASKS)}')
        known = BUILDERS[self.task]
        if self.architecture not in known:
            raise InvalidInputError(
                f'architecture: {self.architecture!r} is not one of {", ".join(known)}')
        if self.task != 'detector' and list(self.keypoints) != list(KEYPOINT_NAMES):
            raise InvalidInputError(
                f'keypoints: expected {", ".join(KEYPOINT_NAMES)} in this order, got '
                f'{", ".join(map(str, self.keypoints))}')
        if self.task == 'pose':
            if self.input_size <= 0 or self.input_size % 32:
                raise InvalidInputError(
                    f'input_size: expected a positive multiple of 32, got {self.input_size}')
            if self.activation not in ('softmax', 'none'):
                raise InvalidInputError(
                    f"activation: {self.activation!r} is not one of 'softmax', 'none'")
        if self.uncertainty:
            if self.task not in UNCERTAINTIES:
                raise InvalidInputError(f'uncertainty: a {self.task} has none; leave it out')
            UNCERTAINTIES[self.task].from_dict(self.uncertainty)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: no JSON object, an unknown or a missing key, or a bad value.
        """
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidInputError(f'manifest: no JSON: {error}') from error
        if not isinstance(content, dict):
            raise InvalidInputError('manifest: expected a JSON object')
        known = {spec.name for spec in dataclasses.fields(cls)}
        wrong = sorted(set(content) - known) or sorted(
            {'name', 'task', 'architecture', 'sha256'} - set(content))
        if wrong:
            raise InvalidInputError(f'manifest: unknown or missing: {", ".join(wrong)}')
        for spec in dataclasses.fields(cls):
            default = getattr(cls('', 'lifter', 'martinez'), spec.name)
            if spec.name in content and not isinstance(content[spec.name], type(default)):
                raise InvalidInputError(
                    f'manifest: {spec.name}: expected {type(default).__name__}, got '
                    f'{content[spec.name]!r}')
        return cls(**content)

    def to_json(self) -> str:
        """Text for the file beside the weights."""
        return json.dumps(dataclasses.asdict(self), indent=2) + '\n'


def bundled_checkpoint(task: str) -> Path:
    """Path of the checkpoint that comes with the package.

    Raises:
        InvalidInputError: the task is unknown.
    """
    if task not in TASKS:
        raise InvalidInputError(f'task: {task!r} is not one of {", ".join(TASKS)}')
    return WEIGHTS_DIR / f'{task}.safetensors'


def build_module(manifest: Manifest) -> nn.Module:
    """The untrained network that a manifest describes.

    Raises:
        InvalidInputError: its builder refuses the arguments.
    """
    builder = BUILDERS[manifest.task][manifest.architecture]
    arguments = dict(manifest.arguments)
    if manifest.task == 'detector':
        arguments['architecture'] = manifest.architecture
    try:
        return builder(**arguments)
    except TypeError as error:
        raise InvalidInputError(f'arguments {manifest.arguments}: {error}') from error


def save_checkpoint(path: str | Path, module: nn.Module, manifest: Manifest,
                    half: bool = False) -> Manifest:
    """Write `path` (.safetensors) and the manifest beside it (.json).

    Args:
        path: of the weights; its folder is made.
        module: the trained network.
        manifest: what it is; sha256 and num_parameters are filled in.
        half: store as fp16, half the size; tensors that fp16 can't hold stay fp32.

    Returns:
        The manifest as written.

    Raises:
        InvalidInputError: the path doesn't end in .safetensors, or the manifest doesn't
            describe the module.
    """
    path = Path(path)
    if path.suffix != '.safetensors':
        raise InvalidInputError(f'path: expected a name ending in .safetensors, got {path}')
    tensors = {name: _stored(value.detach().cpu(), half)
               for name, value in module.state_dict().items()}
    problem = _difference(build_module(manifest).state_dict(), tensors)
    if problem:
        raise InvalidInputError(f'manifest: does not describe the module: {problem}')
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path)
    manifest = dataclasses.replace(
        manifest, sha256=file_sha256(path),
        num_parameters=sum(value.numel() for value in module.parameters()))
    path.with_suffix('.json').write_text(manifest.to_json(), encoding='utf-8')
    return manifest


def read_manifest(path: str | Path, task: str) -> Manifest:
    """The manifest of the weights at `path`, without reading the weights.

    Raises:
        CheckpointError: a file is missing, or the manifest is malformed or for another task.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f'{path}: no such {task} checkpoint; give the path of a .safetensors file with its '
            '.json beside it')
    try:
        manifest = Manifest.from_json(path.with_suffix('.json').read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f'{path}: its manifest {path.with_suffix(".json").name} can not be read: {error}'
        ) from error
    except InvalidInputError as error:
        raise CheckpointError(f'{path.with_suffix(".json")}: {error}') from error
    if manifest.task != task:
        raise CheckpointError(f'{path}: is a {manifest.task} checkpoint, expected a {task}')
    return manifest


def write_uncertainty(path: str | Path, task: str,
                      uncertainty: PictureUncertainty | SpaceUncertainty) -> Manifest:
    """Tell in the manifest of the weights at `path` how large their errors are.

    Raises:
        CheckpointError: as `read_manifest`, or the manifest can not be written.
    """
    manifest = dataclasses.replace(
        read_manifest(path, task), uncertainty=uncertainty.to_dict())
    place = Path(path).with_suffix('.json')
    try:
        place.write_text(manifest.to_json(), encoding='utf-8')
    except OSError as error:
        raise CheckpointError(f'{place}: can not be written ({error.strerror}); copy the '
                              'checkpoint to a folder of yours') from error
    return manifest


def load_checkpoint(path: str | Path, task: str) -> tuple[nn.Module, Manifest]:
    """Read and verify a checkpoint; the network comes in eval mode, fp32, on the CPU.

    Raises:
        CheckpointError: a file is missing, the sha256 differs, the manifest is malformed, or
            tensors don't fit the architecture; the message names path and reason.
    """
    path = Path(path)
    manifest = read_manifest(path, task)
    try:
        actual = file_sha256(path)
        if actual != manifest.sha256:
            raise CheckpointError(
                f'{path}: sha256 is {actual[:12]}..., its manifest says '
                f'{manifest.sha256[:12]}...: the file is damaged or was exchanged; fetch it '
                'again')
        tensors = load_file(path)
        module = build_module(manifest)
    except (OSError, SafetensorError, InvalidInputError) as error:
        raise CheckpointError(f'{path}: can not be loaded: {error}') from error
    problem = _difference(module.state_dict(), tensors)
    if problem:
        raise CheckpointError(f'{path}: does not fit {manifest.architecture}: {problem}')
    module.load_state_dict(tensors)
    return module.eval().requires_grad_(False), manifest


def file_sha256(path: str | Path) -> str:
    """Hexadecimal sha256 of a file."""
    digest = hashlib.sha256()
    with Path(path).open('rb') as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _stored(value: torch.Tensor, half: bool) -> torch.Tensor:
    if half and value.is_floating_point() and (
            not value.numel() or float(value.abs().max()) < FP16_MAX):
        value = value.half()
    return value.contiguous().clone()


def _difference(wanted: dict[str, torch.Tensor], got: dict[str, torch.Tensor]) -> str:
    """The first way in which two sets of tensors differ in names or shapes; '' if none."""
    for name in sorted(set(wanted) ^ set(got)):
        return f'{name} is {"missing" if name in wanted else "unexpected"}'
    for name, value in wanted.items():
        if value.shape != got[name].shape:
            return f'{name} has shape {tuple(got[name].shape)}, expected {tuple(value.shape)}'
    return ''
