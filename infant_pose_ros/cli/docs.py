"""Writes docs/parameters.md from the settings dataclasses: `python -m infant_pose_ros.cli.docs`.

The table in the docs can't disagree with the declarations, because it is made from them.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
import sys

from infant_pose_ros.config import (
    CameraNodeSettings,
    OverlayNodeSettings,
    PipelineSettings,
    PoseNodeSettings,
    Settings,
)

_HEAD = """\
# Parameters

<!-- Made by `make docs` from infant_pose_ros/config.py: change it there. -->

Each parameter is declared once. A value of another type or out of range is rejected with the
reason. *Fixed* means that the value is read when the node starts and can't be changed while it
runs; the others can, with `ros2 param set`.

A ROS parameter file names them under the node, as `config/infant_pose.yaml` does. The command
line has each pipeline setting as an option (`detect_every` is `--detect-every`, a switch also has
its `--no-` form), and `--settings FILE` reads a flat YAML file of them. `predict` alone has no
`--detect-async`: its detector always runs in step, so that the same source gives the same poses.
"""


def parameters_markdown() -> str:
    """The whole text of docs/parameters.md."""
    pipeline = {field.name for field in dataclasses.fields(PipelineSettings)}
    sections = [
        _HEAD,
        _section('The pipeline', 'Of `pose_node`, and of `infant-pose predict` and `bench`.',
                 PipelineSettings),
        _section('pose_node', 'Besides those of the pipeline.', PoseNodeSettings, pipeline),
        _section('camera_node', '', CameraNodeSettings),
        _section('overlay_node', '', OverlayNodeSettings)]
    return '\n'.join(sections)


def _section(title: str, text: str, settings: type[Settings],
             leave_out: set[str] | frozenset[str] = frozenset()) -> str:
    lines = [f'## {title}', '']
    if text:
        lines += [text, '']
    lines += ['| name | type | default | allowed | | description |', '|---|---|---|---|---|---|']
    for spec, wanted in settings.specs():
        if spec.name not in leave_out:
            cells = (f'`{spec.name}`', wanted.__name__, f'`{_shown(spec.default)}`',
                     _allowed(spec), 'fixed' if spec.metadata['read_only'] else '',
                     spec.metadata['description'])
            lines.append(f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |')
    return '\n'.join([*lines, ''])


def _shown(value) -> str:
    """A value as YAML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"'{value}'" if isinstance(value, str) else f'{value}'


def _allowed(spec: dataclasses.Field) -> str:
    low, high, choices = (spec.metadata[key] for key in ('low', 'high', 'choices'))
    if choices:
        return ', '.join(f'`{_shown(choice)}`' for choice in choices)
    if low is None and high is None:
        return ''
    if high is None:
        return f'from {low:g}'
    return f'{low:g} to {high:g}' if low is not None else f'up to {high:g}'


def main() -> int:
    """Write the file named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('path', nargs='?', default='docs/parameters.md', type=Path)
    path = parser.parse_args().path
    path.write_text(parameters_markdown(), encoding='utf-8')
    print(f'wrote {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
