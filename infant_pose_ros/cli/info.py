"""`infant-pose info`: versions, devices, checkpoints and settings, for people and bug reports."""

from __future__ import annotations

import argparse
import dataclasses
from importlib import metadata
import json
import os
import platform

import torch

from infant_pose_ros import __version__
from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import CheckpointError, SettingsError
from infant_pose_ros.inference import resolve_device, resolve_precision
from infant_pose_ros.models.checkpoints import bundled_checkpoint, load_checkpoint, TASKS

#: Distributions whose versions matter in a bug report.
DISTRIBUTIONS = ('torch', 'torchvision', 'numpy', 'opencv-python-headless', 'opencv-python',
                 'filterpy', 'safetensors')
EXIT_UNUSABLE = 1


def add_parser(subparsers) -> None:
    """Add `info` to the command line."""
    parser = subparsers.add_parser(
        'info', help='show versions, devices, checkpoints and settings',
        description='Show what would run: versions, devices, checkpoints (their hashes are '
        'checked) and settings. Exits with 1 where something can not be used.')
    parser.add_argument('--json', action='store_true', help='print JSON')
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what was gathered; 1 if a checkpoint or the device can't be used.

    Raises:
        SettingsError: an unknown setting, a wrong type or a value out of range.
    """
    info = gather(settings_from_arguments(arguments))
    print(json.dumps(info, indent=2) if arguments.json else info_text(info))
    broken = any('problem' in part for part in (info['device'], *info['checkpoints'].values()))
    return EXIT_UNUSABLE if broken else 0


def gather(settings: PipelineSettings) -> dict:
    """Everything that `info` shows, in plain values.

    A part that can't be used holds a 'problem' in place of its values.
    """
    paths = {task: getattr(settings, f'{task}_weights') or str(bundled_checkpoint(task))
             for task in TASKS}
    return {
        'version': __version__,
        'python': platform.python_version(),
        'platform': platform.platform(),
        'packages': _versions(),
        'device': _device(settings),
        'checkpoints': {task: _checkpoint(path, task) for task, path in paths.items()},
        'settings': dataclasses.asdict(settings),
    }


def info_text(info: dict) -> str:
    """What `gather` found as text for people."""
    lines = [f'infant_pose_ros {info["version"]}, Python {info["python"]}, {info["platform"]}',
             '  ' + ', '.join(f'{name} {version}' for name, version in info['packages'].items())]
    device = info['device']
    lines += ['', 'device', f'  cpu: {device["cpu_count"]} cores, {device["threads"]} threads']
    lines += [f'  cuda:{index}: {name}' for index, name in enumerate(device['gpus'])]
    lines.append(f'  not usable: {device["problem"]}' if 'problem' in device else
                 f'  taken: {device["device"]}, {device["precision"]}')
    for task, checkpoint in info['checkpoints'].items():
        lines += ['', f'{task}: {checkpoint["path"]}']
        if 'problem' in checkpoint:
            lines.append(f'  not usable: {checkpoint["problem"]}')
            continue
        lines.append(f'  {checkpoint["name"]}, {checkpoint["architecture"]}, '
                     f'{checkpoint["num_parameters"] / 1e6:.1f} M parameters')
        lines += [f'  {label}: {checkpoint[key]}' for key, label in (
            ('training_data', 'trained on'), ('licence', 'licence'), ('sha256', 'sha256'))
            if checkpoint[key]]
        lines += [f'  {name}: {value}' for name, value in checkpoint['metrics'].items()]
    lines += ['', 'settings']
    lines += [f'  {name}: {value!r}' for name, value in info['settings'].items()]
    return '\n'.join(lines)


def _versions() -> dict[str, str]:
    found = {}
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _device(settings: PipelineSettings) -> dict:
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if (
        torch.cuda.is_available()) else []
    found = {'cpu_count': os.cpu_count(), 'gpus': gpus,
             'threads': settings.num_threads or torch.get_num_threads()}
    try:
        device = resolve_device(settings.device)
        return {**found, 'device': device,
                'precision': resolve_precision(settings.precision, device)}
    except SettingsError as error:
        return {**found, 'problem': str(error)}


def _checkpoint(path: str, task: str) -> dict:
    try:
        _, manifest = load_checkpoint(path, task)
    except CheckpointError as error:
        return {'path': path, 'problem': str(error)}
    return {'path': path, **dataclasses.asdict(manifest)}
