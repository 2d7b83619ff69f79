"""docs/parameters.md is what the declarations make."""

import dataclasses
from pathlib import Path
import sys

from infant_pose_ros.cli import docs
from infant_pose_ros.config import CameraNodeSettings, OverlayNodeSettings, PoseNodeSettings

ROOT = Path(__file__).resolve().parents[2]


def test_the_file_is_up_to_date():
    written = (ROOT / 'docs' / 'parameters.md').read_text(encoding='utf-8')
    assert written == docs.parameters_markdown(), 'run `make docs` and commit the file'


def test_every_parameter_has_one_row():
    text = docs.parameters_markdown()
    for settings, title in ((PoseNodeSettings, None), (CameraNodeSettings, 'camera_node'),
                            (OverlayNodeSettings, 'overlay_node')):
        part = text if title is None else text.split(f'## {title}\n')[1].split('\n## ')[0]
        if title is None:
            part = part.split('## camera_node')[0]
        for field in dataclasses.fields(settings):
            assert part.count(f'| `{field.name}` |') == 1, field.name


def test_rows_show_default_range_choices_and_fixed():
    lines = docs.parameters_markdown().splitlines()
    row = next(line for line in lines if line.startswith('| `max_infants`'))
    assert row == ('| `max_infants` | int | `1` | 1 to 8 |  | Most infants followed at once; the '
                   'best are kept. |')
    row = next(line for line in lines if line.startswith('| `precision`'))
    assert "| `'auto'`, `'fp32'`, `'fp16'`, `'bf16'` | fixed |" in row


def test_main_writes_the_files(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['docs', str(tmp_path)])
    assert docs.main() == 0
    for path, text in (('docs/parameters.md', docs.parameters_markdown()),
                       ('config/infant_pose.yaml', docs.parameters_yaml())):
        assert (tmp_path / path).read_text(encoding='utf-8') == text


def test_the_parameter_file_is_up_to_date():
    written = (ROOT / 'config' / 'infant_pose.yaml').read_text(encoding='utf-8')
    assert written == docs.parameters_yaml(), 'run `make docs` and commit the file'
