"""`infant-pose smooth`: recorded keypoints, smoothed over the whole recording."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
import sys

import numpy as np
from tqdm import tqdm

from infant_pose_ros.cli.keypoint_csv import CSV_HELP, KeypointCsv, open_csv
from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.codecs.image_messages import decode_compressed
from infant_pose_ros.codecs.keypoint_clouds import decode_keypoints
from infant_pose_ros.config import PipelineSettings
from infant_pose_ros.errors import InfantPoseError, InvalidInputError, SourceError
from infant_pose_ros.filtering.recordings import smooth_rows
from infant_pose_ros.media.bag_copy import (
    AddedKeypoints,
    check_place_of_bag,
    copy_bag,
    POINT_CLOUD,
)
from infant_pose_ros.media.bag_source import CAMERA_INFO, COMPRESSED, IMAGE
from infant_pose_ros.media.bags import Bag, NS_PER_S, stamp_ns

RAW, SMOOTHED = 'keypoints_raw', 'keypoints_smoothed'
#: The settings that matter to recorded keypoints.
_SETTINGS = ('keypoint_score_min', 'keypoint_score_hysteresis', 'acceleration_std_3d',
             'acceleration_std_2d', 'gate_sigma', 'bone_stiffness', 'swap_patience_s',
             'predict_max_s', 'gap_reset_s')
_EPILOG = f"""\
Every topic named {RAW} is smoothed, of as many cameras as the bag holds. The new bag is a copy
of the old one, message by message, with {SMOOTHED} beside each {RAW}: one
message for each raw one, with its header. What was recorded stays as it was: keypoints, poses and
markers are still those of the filter that ran live. To look at the new ones, play the bag and let
overlay_node or RViz subscribe to {SMOOTHED}.

The messages don't say which part of the error is drawn anew in every frame; it is told from the
recording itself (docs/smoothing.md says how). A bag with pictures can also be processed anew:
infant-pose predict BAG --smooth.

{CSV_HELP}
name is the topic's namespace and the number of its message, stamp_s the header's stamp.
"""


@dataclass
class _Recorded:
    """What one topic holds."""

    frame_id: str = ''
    stamps_s: list[float] = field(default_factory=list)
    infants: list[np.ndarray] = field(default_factory=list)


def add_parser(subparsers) -> None:
    """Add `smooth` to the command line."""
    parser = subparsers.add_parser(
        'smooth', help='smooth the keypoints recorded in a bag',
        description='Smooth the keypoints that pose_node published, from a rosbag2 bag (MCAP or '
        'SQLite), over the whole recording. Needs no ROS.',
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('bag', metavar='BAG', type=Path, help='folder of the bag')
    parser.add_argument('--out', metavar='BAG2', type=Path,
                        help='write a copy with the smoothed keypoints there')
    parser.add_argument('--csv', metavar='FILE', help='write the poses there; - is stdout')
    parser.add_argument('--quiet', action='store_true', help='no progress bar')
    names = [spec.name for spec, _ in PipelineSettings.specs()]
    add_settings_arguments(parser, leave_out=tuple(n for n in names if n not in _SETTINGS))


def run(arguments: argparse.Namespace) -> int:
    """Smooth every camera of the bag.

    Raises:
        InfantPoseError: the bag can't be read, holds no raw keypoints, or a file can't be
            written.
    """
    if arguments.out is None and arguments.csv is None:
        raise InvalidInputError('nothing to write: give --out BAG2, --csv FILE or both')
    settings = settings_from_arguments(arguments)
    with contextlib.ExitStack() as stack:
        bag = stack.enter_context(Bag(arguments.bag))
        if arguments.out is not None:
            check_place_of_bag(arguments.out, arguments.bag)
        recorded = _read(bag)
        table = None
        if arguments.csv is not None:
            table = KeypointCsv(stack.enter_context(open_csv(arguments.csv)))
        added, lines = {}, []
        for topic, one in recorded.items():
            added[topic] = AddedKeypoints(topic.removesuffix(RAW) + SMOOTHED,
                                          _smoothed(bag, one, settings, topic, arguments.quiet))
            if table is not None:
                _write_csv(table, topic, one, added[topic].infants)
            tracks = {int(row['track'][0]) for rows in one.infants for row in rows}
            lines.append(f'{topic}: {len(one.stamps_s)} frames, {len(tracks)} tracks'
                         + (f' -> {arguments.out}: {added[topic].topic}' if arguments.out
                            else ''))
        if arguments.out is not None:
            for topic in copy_bag(bag, arguments.out, added):
                lines.append(f'{topic}: left out of the copy: its message type is not known')
    print('\n'.join(lines), file=sys.stderr if arguments.csv == '-' else sys.stdout)
    return 0


def _read(bag: Bag) -> dict[str, _Recorded]:
    """All raw keypoints, by topic."""
    topics = [topic for topic, kind in sorted(bag.topics.items())
              if kind == POINT_CLOUD and topic.rpartition('/')[2] == RAW]
    if not topics:
        raise SourceError(
            f'bag {bag.path}: holds no {RAW}; topics: {", ".join(sorted(bag.topics)) or "none"}. '
            "Record pose_node's, or process pictures with `infant-pose predict BAG --smooth`")
    recorded = {topic: _Recorded() for topic in topics}
    for topic, _, message in bag.messages(topics):
        one = recorded[topic]
        one.frame_id = one.frame_id or message.header.frame_id
        one.stamps_s.append(stamp_ns(message) / NS_PER_S)
        try:
            one.infants.append(decode_keypoints(message))
        except InvalidInputError as error:
            raise SourceError(f'bag {bag.path}: {topic}: {error}') from error
    return recorded


def _smoothed(bag: Bag, one: _Recorded, settings: PipelineSettings, topic: str,
              quiet: bool) -> list[np.ndarray]:
    total = sum(len(rows) for rows in one.infants)
    with tqdm(total=total, unit='frame', disable=quiet, desc=topic) as progress:
        return smooth_rows(one.stamps_s, one.infants, _picture_size(bag, one), settings,
                           progress.update)


def _picture_size(bag: Bag, one: _Recorded) -> tuple[int, int]:
    """Width and height of the pictures that the keypoints were found in.

    Told by a CameraInfo or picture of the same frame_id; where the bag holds none, by how far
    the keypoints reach.
    """
    for kind in (CAMERA_INFO, IMAGE, COMPRESSED):
        for topic in sorted(topic for topic, own in bag.topics.items() if own == kind):
            message = bag.first(topic)
            if message.header.frame_id != one.frame_id:
                continue
            if kind != COMPRESSED:
                if message.width and message.height:    # a camera may leave them out
                    return message.width, message.height
                continue
            with contextlib.suppress(InfantPoseError):
                height, width = decode_compressed(message).shape[:2]
                return width, height
    reach = [np.nanmax(rows[name], initial=1.0) for rows in one.infants for name in 'uv']
    return max(int(max(reach[0::2], default=1)), 1), max(int(max(reach[1::2], default=1)), 1)


def _write_csv(table: KeypointCsv, topic: str, one: _Recorded,
               smoothed: list[np.ndarray]) -> None:
    namespace = topic.removesuffix(f'/{RAW}')
    for index, (stamp_s, infants) in enumerate(zip(one.stamps_s, smoothed)):
        table.write(index, f'{namespace}#{index}', stamp_s, infants)
