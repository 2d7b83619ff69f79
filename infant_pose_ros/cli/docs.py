"""Writes docs/parameters.md and config/infant_pose.yaml: `python -m infant_pose_ros.cli.docs`.

Neither can disagree with the declarations of the settings, because they are made from them.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
import sys
import textwrap

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

_YAML_HEAD = """\
# Parameters of all nodes, with their defaults: copy this file, change what you need, and give it
# to the launch file as params_file:=. Those marked (fixed) can't change while a node runs.
# Made by `make docs` from infant_pose_ros/config.py.
"""
_NODES = {'pose_node': PoseNodeSettings, 'camera_node': CameraNodeSettings,
          'overlay_node': OverlayNodeSettings}
_YAML_WIDTH = 99


def parameters_yaml() -> str:
    """The whole text of config/infant_pose.yaml."""
    lines = [_YAML_HEAD.rstrip()]
    for node, settings in _NODES.items():
        lines += ['', f'/**/{node}:', '  ros__parameters:']
        for spec, _ in settings.specs():
            about = [spec.metadata['description'], _range(spec),
                     '(fixed)' if spec.metadata['read_only'] else '']
            lines += textwrap.wrap(
                ' '.join(part for part in about if part), _YAML_WIDTH, initial_indent='    # ',
                subsequent_indent='    # ', break_long_words=False, break_on_hyphens=False)
            lines.append(f'    {spec.name}: {_shown(spec.default)}')
    return '\n'.join(lines) + '\n'


def _range(spec: dataclasses.Field) -> str:
    low, high, choices = (spec.metadata[key] for key in ('low', 'high', 'choices'))
    if choices:
        return f'One of: {", ".join(choices)}.'
    return '' if low is None or high is None else f'{low:g} .. {high:g}.'


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
    """Write the files in the folder of the package's sources that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('root', nargs='?', default='.', type=Path,
                        help='of the sources; default: here')
    root = parser.parse_args().root
    for path, text in ((root / 'docs' / 'parameters.md', parameters_markdown()),
                       (root / 'config' / 'infant_pose.yaml', parameters_yaml())):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        print(f'wrote {path}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
