"""Checkpoints: weights as safetensors beside a manifest that says what they are.

`x.safetensors` holds the tensors, `x.json` the manifest with the file's sha256. Nothing is ever
unpickled, and nothing is fetched. A network is given memory only once the file's own header has
shown that its tensors fit.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import safe_open, SafetensorError
from safetensors.torch import load_file, save_file
import torch
from torch import nn

from infant_pose_ros.codecs.uncertainty import PictureUncertainty, SpaceUncertainty
from infant_pose_ros.errors import CheckpointError, InvalidInputError
from infant_pose_ros.models.detector import ARCHITECTURES, build_detector
from infant_pose_ros.models.lifter import Lifter
from infant_pose_ros.models.pose import PoseNetwork
from infant_pose_ros.skeleton import KEYPOINT_NAMES, NUM_KEYPOINTS
from infant_pose_ros.text_files import parse_json, read_text, shown, shown_names

TASKS = ('detector', 'pose', 'lifter')
WEIGHTS_DIR = Path(__file__).resolve().parent.parent / 'weights'
FP16_MAX = torch.finfo(torch.float16).max

#: What builds each architecture from the manifest's arguments.
BUILDERS = {
    'detector': {name: build_detector for name in ARCHITECTURES},
    'pose': {'simple_baseline': PoseNetwork},
    'lifter': {'martinez': Lifter},
}
#: Most that a builder's argument may be, and that those may be which are dearer than others.
MAX_ARGUMENT, MAX_ARGUMENTS = 16384, {'blocks': 64, 'min_size': 4096, 'max_size': 4096}
#: Side of the largest input of a pose network, px.
MAX_INPUT_SIZE = 1024
#: Numbers that a lifter's manifest may tell of each keypoint, or of all.
_KEYPOINT_METRICS = ('joint_std_mm', 'joint_jitter_mm')
#: How safetensors calls the types that floating point and whole tensors are stored in.
_FLOATS, _WHOLES = {'F64', 'F32', 'F16', 'BF16'}, {'I64', 'I32', 'I16', 'I8', 'U8', 'BOOL'}
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
            raise InvalidInputError(f'task: {shown(self.task)} is not one of {", ".join(TASKS)}')
        known = BUILDERS[self.task]
        if self.architecture not in known:
            raise InvalidInputError(
                f'architecture: {shown(self.architecture)} is not one of {", ".join(known)}')
        if self.task != 'detector' and list(self.keypoints) != list(KEYPOINT_NAMES):
            raise InvalidInputError(
                f'keypoints: expected {", ".join(KEYPOINT_NAMES)} in this order, got '
                f'{shown(self.keypoints)}')
        if self.task == 'pose':
            if not 0 < self.input_size <= MAX_INPUT_SIZE or self.input_size % 32:
                raise InvalidInputError(
                    'input_size: expected a positive multiple of 32, at most '
                    f'{MAX_INPUT_SIZE}, got {shown(self.input_size)}')
            if self.activation not in ('softmax', 'none'):
                raise InvalidInputError(
                    f"activation: {shown(self.activation)} is not one of 'softmax', 'none'")
        if self.task == 'lifter':
            self._check_metrics()
        if self.uncertainty:
            if self.task not in UNCERTAINTIES:
                raise InvalidInputError(f'uncertainty: a {self.task} has none; leave it out')
            UNCERTAINTIES[self.task].from_dict(self.uncertainty)

    def _check_metrics(self) -> None:
        for name in set(_KEYPOINT_METRICS) & set(self.metrics):
            value = self.metrics[name]
            numbers = value if isinstance(value, list) else [value]
            if len(numbers) not in (1, NUM_KEYPOINTS) or not all(
                    isinstance(each, (int, float)) and 0 <= each < 1e6 for each in numbers):
                raise InvalidInputError(
                    f'metrics: {name}: expected one number or {NUM_KEYPOINTS}, mm, got '
                    f'{shown(value)}')

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            InvalidInputError: no JSON object, an unknown or a missing key, or a bad value.
        """
        try:
            content = parse_json(text)
        except InvalidInputError as error:
            raise InvalidInputError(f'manifest: {error}') from error
        if not isinstance(content, dict):
            raise InvalidInputError('manifest: expected a JSON object')
        known = {spec.name for spec in dataclasses.fields(cls)}
        wrong = set(content) - known or {'name', 'task', 'architecture', 'sha256'} - set(content)
        if wrong:
            raise InvalidInputError(f'manifest: unknown or missing: {shown_names(wrong)}')
        for spec in dataclasses.fields(cls):
            default = getattr(cls('', 'lifter', 'martinez'), spec.name)
            if spec.name in content and not isinstance(content[spec.name], type(default)):
                raise InvalidInputError(
                    f'manifest: {spec.name}: expected {type(default).__name__}, got '
                    f'{shown(content[spec.name])}')
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
        InvalidInputError: its builder refuses the arguments, or one is beyond `MAX_ARGUMENT`.
    """
    builder = BUILDERS[manifest.task][manifest.architecture]
    arguments = dict(manifest.arguments)
    for name, value in arguments.items():
        most = MAX_ARGUMENTS.get(name, MAX_ARGUMENT)
        if name == 'pretrained' or not (
                isinstance(value, str) or isinstance(value, (bool, int, float))
                and 0 <= value <= most):        # NaN is not, either
            raise InvalidInputError(
                f'argument {shown(name)}: {shown(value)} is no text, nor a number of at most '
                f'{most}, that an architecture can be built from')
    if manifest.task == 'detector':
        arguments['architecture'] = manifest.architecture
    try:
        return builder(**arguments)
    except (TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise InvalidInputError(f'arguments {shown(manifest.arguments)}: {error}') from error


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
    wanted = build_module(manifest).state_dict()
    problem = _difference(*({name: tuple(value.shape) for name, value in each.items()}
                            for each in (wanted, tensors)))
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
    if not _is_file(path):
        raise CheckpointError(
            f'{path}: no such {task} checkpoint; give the path of a .safetensors file with its '
            '.json beside it')
    try:
        text = read_text(path.with_suffix('.json'))
    except InvalidInputError as error:
        raise CheckpointError(
            f'{path}: its manifest {path.with_suffix(".json").name} {error}') from error
    try:
        manifest = Manifest.from_json(text)
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
            tensors don't fit the architecture or hold no numbers; the message names path and
            reason.
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
        with torch.device('meta'):      # shapes alone, without memory
            wanted = build_module(manifest).state_dict()
        problem = _header_difference(wanted, path)
        tensors = {} if problem else load_file(path)
        problem = problem or _no_number(tensors)
        if problem:
            raise CheckpointError(f'{path}: does not fit {manifest.architecture}: {problem}')
        module = build_module(manifest)
    except (OSError, SafetensorError, InvalidInputError) as error:
        raise CheckpointError(f'{path}: can not be loaded: {error}') from error
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


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):       # a loop of links; a NUL in the name
        return False


def _header_difference(wanted: dict[str, torch.Tensor], path: Path) -> str:
    """As `_difference`, from the file's header alone; types, too."""
    with safe_open(path, framework='pt') as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
    got = {name: tuple(each.get_shape()) for name, each in slices.items()}
    problem = _difference({name: value.shape for name, value in wanted.items()}, got)
    for name, value in wanted.items() if not problem else ():
        known = _FLOATS if value.is_floating_point() else _WHOLES
        if slices[name].get_dtype() not in known:
            return (f'{name} is stored as {slices[name].get_dtype()}, expected one of '
                    f'{", ".join(sorted(known))}')
    return problem


def _no_number(tensors: dict[str, torch.Tensor]) -> str:
    """The first tensor with a value that no trained network has; '' if none."""
    for name, value in tensors.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            return f'{name} holds NaN or infinity: the training that made it went wrong'
        if name.endswith(('running_var', '_std')) and (value < 0).any():
            return f'{name} holds a negative variance or deviation'
    return ''


def _difference(wanted: dict[str, tuple[int, ...]], got: dict[str, tuple[int, ...]]) -> str:
    """The first way in which two sets of tensors' shapes differ; '' if they don't."""
    for name in sorted(set(wanted) ^ set(got)):
        return f'{shown_names([name])} is {"missing" if name in wanted else "unexpected"}'
    for name, shape in wanted.items():
        if tuple(shape) != got[name]:
            return f'{name} has shape {got[name]}, expected {tuple(shape)}'
    return ''
