"""Checksums of sequences in MINI-RGBD's folder format: one line for each sequence and part.

A part is a folder of files, such as `rgb`, or a single file, such as `visible.npy`. Its checksum
is the sha256 over the files' own sha256 digests (32 bytes each), in order of their names.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path
import re

from infant_pose_ros.errors import DatasetError

PARTS = ('rgb', 'depth', 'fg_mask', 'joints_2Ddep', 'joints_3D', 'visible.npy', 'sequence.json')
SYNTHCOT_NAME = 'SynthCot-12'
SYNTHCOT_LIST = 'synthetic/synthcot12.sha256'

Checksums = dict[tuple[int, str], str]


def part_checksum(folder: Path, part: str) -> str:
    """Checksum, in hex, of one part of a sequence's folder.

    Raises:
        DatasetError: the part is missing or can not be read.
    """
    path = folder / part
    try:
        names = sorted(path.iterdir()) if path.is_dir() else [path]
        total = hashlib.sha256()
        for name in names:
            total.update(hashlib.sha256(name.read_bytes()).digest())
    except OSError as error:
        raise DatasetError(f'{path}: expected files to sum up, but they can not be read '
                           f'({error.strerror}); copy or make them again') from error
    return total.hexdigest()


def list_text(checksums: Checksums, title: str) -> str:
    """The list as text: a title, then `<sha256>  <sequence>/<part>` a line."""
    lines = [f'{value}  {number:02d}/{part}' for (number, part), value in sorted(
        checksums.items(), key=lambda row: (row[0][0], PARTS.index(row[0][1])))]
    return '\n'.join([f'# {title}', *lines]) + '\n'


def read_list(path: Path) -> Checksums:
    """Read such a list.

    Raises:
        DatasetError: the file is missing, or a line is of another form.
    """
    try:
        lines = path.read_text(encoding='ascii').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f'{path}: expected a list of checksums, can not be read ({error}); '
                           'install the package again') from error
    checksums = {}
    for line in lines:
        if not line.strip() or line.startswith('#'):
            continue
        match = re.fullmatch(r'([0-9a-f]{64})  (\d\d)/(\S+)', line)
        if match is None or match[3] not in PARTS:
            raise DatasetError(f'{path}: expected `<sha256>  <sequence>/<part>`, found '
                               f'{line!r:.90}; install the package again')
        checksums[int(match[2]), match[3]] = match[1]
    return checksums


def synthcot_list() -> Path:
    """The list of SynthCot-12 that comes with the package."""
    return Path(str(files('infant_pose_ros') / SYNTHCOT_LIST))
