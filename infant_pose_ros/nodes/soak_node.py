"""A soak: the nodes over DDS for a long time, with faults at random, all accounted for."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import json
import os
from pathlib import Path
import random
import signal
import sys
import time

from rclpy.utilities import remove_ros_args

from infant_pose_ros.entry import EXIT_INTERRUPTED, finish
from infant_pose_ros.errors import InfantPoseError
from infant_pose_ros.ros.listening import RawSubscriptions
from infant_pose_ros.ros.processes import local_dds_environment, NodeProcesses
from infant_pose_ros.ros.soak_compare import (
    Comparison,
    comparison_json,
    comparison_table,
    measure,
)
from infant_pose_ros.ros.soak_faults import KINDS
from infant_pose_ros.ros.soak_props import make_props
from infant_pose_ros.ros.soak_report import report_json, report_table
from infant_pose_ros.ros.soak_rig import Rig, SoakStoppedError
from infant_pose_ros.ros.soak_run import Record, Soak
from infant_pose_ros.ros.soak_samples import ProcessSampler
from infant_pose_ros.ros.soak_watch import namespaces, Watch

MAX_CAMERAS = 8


def make_parser() -> argparse.ArgumentParser:
    """Options of `infant_pose_soak`."""
    parser = argparse.ArgumentParser(
        prog='infant_pose_soak', description='Run camera_node, pose_node and overlay_node over '
        'DDS, inject faults at random, and tell what became of memory, time and every picture.')
    parser.add_argument('--minutes', type=float, default=10.0, help='how long; 10 by default')
    parser.add_argument('--seed', type=int, default=None,
                        help='the same faults in the same order; by default another one each time')
    parser.add_argument('--kinds', type=_kinds, default=list(KINDS), metavar='NAME,...',
                        help=f'only these kinds of fault: {", ".join(KINDS)}')
    parser.add_argument('--cameras', type=_camera_count, default=1, metavar='N',
                        help='so many cameras into one pose_node')
    parser.add_argument('--compare-cameras', type=_camera_counts, default=(), metavar='N,...',
                        help='no faults: so many cameras one after the other, 1,2,4 say, and a '
                        'table of rates and fairness')
    parser.add_argument('--seconds', type=float, default=20.0,
                        help='how long each of --compare-cameras is measured')
    parser.add_argument('--rate', type=float, default=30.0, metavar='HZ',
                        help='pictures a second of each camera')
    parser.add_argument('--out', type=Path, default=Path('out/soak'),
                        help='folder for soak.json and the logs')
    parser.add_argument('--pose', action='append', default=[], metavar='NAME:=VALUE',
                        help="one of pose_node's parameters; may be given several times")
    return parser


def _kinds(text: str) -> list[str]:
    names = [name.strip() for name in text.split(',') if name.strip()]
    unknown = [name for name in names if name not in KINDS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(
            f'{", ".join(unknown) or "nothing"}: expected some of {", ".join(KINDS)}')
    return names


def _camera_count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= MAX_CAMERAS:
        raise argparse.ArgumentTypeError(f'{text}: expected 1 .. {MAX_CAMERAS}')
    return int(text)


def _camera_counts(text: str) -> tuple[int, ...]:
    return tuple(_camera_count(part.strip()) for part in text.split(','))


@contextmanager
def _rig(options: argparse.Namespace, num_cameras: int, seed: int) -> Iterator[Rig]:
    """A rig that listens already; its nodes end with the block, and signals end its waiting."""
    environment = local_dds_environment(os.environ)
    os.environ.update(environment)
    watch = Watch(list(namespaces(num_cameras)))
    pose_arguments = [argument for assignment in options.pose
                      for argument in ('-p', assignment)]
    props = make_props(options.out / 'other_cameras')
    with NodeProcesses(options.out / 'logs', environment) as processes, \
            RawSubscriptions('infant_pose_soak', watch.topics(), watch.put) as listening:
        rig = Rig(processes, listening.node, watch, options.rate, props, pose_arguments,
                  random.Random(seed))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, rig.ask_to_stop)
        try:
            yield rig
        finally:
            rig.let_go()


def run_comparison(options: argparse.Namespace) -> list[Comparison]:
    """Measure each number of cameras.

    Raises:
        InfantPoseError: the nodes could not be started, or were stopped.
    """
    found = []
    for count in options.compare_cameras:
        print(f'{count} at {options.rate:g} Hz ...', flush=True)
        with _rig(options, count, 0) as rig:
            found.append(measure(rig, options.seconds))
    return found


def run_soak(options: argparse.Namespace) -> Record:
    """Run a soak and give its record.

    Raises:
        InfantPoseError: the nodes could not be started, or were stopped before they answered.
    """
    seed = random.SystemRandom().randrange(10 ** 6) if options.seed is None else options.seed
    print(f'seed {seed}; starting the nodes and loading the models ...', flush=True)
    record = Record(seed)
    with _rig(options, options.cameras, seed) as rig:
        soak = Soak(rig, [KINDS[name] for name in options.kinds], 60.0 * options.minutes, record,
                    lambda line: print(line, flush=True))
        with ProcessSampler(rig.process_ids, rig.in_use_mb) as sampler:
            begun_s = time.monotonic()
            try:
                soak.run()
            finally:
                record.lives = sampler.lives()
                record.seconds = record.seconds or time.monotonic() - begun_s
    return record


def main(args: Sequence[str] | None = None) -> int:
    """Console script `infant_pose_soak`.

    Returns:
        0 when nothing is wrong; 1 when something is, which is told; 130 for an interrupt before
        the first answer.
    """
    given = remove_ros_args(sys.argv)[1:] if args is None else args
    options = make_parser().parse_args(given)
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        problems = _compare(options) if options.compare_cameras else _soak(options)
    except (InfantPoseError, OSError) as error:
        print(f'infant_pose_soak: {error}', file=sys.stderr)
        return EXIT_INTERRUPTED if isinstance(error, SoakStoppedError) else 1
    for problem in problems:
        print(f'wrong: {problem}')
    print('FAILED' if problems else 'passed')
    return 1 if problems else 0


def _soak(options: argparse.Namespace) -> list[str]:
    """Run, tell and write down a soak: what is wrong."""
    record = run_soak(options)
    path = options.out / 'soak.json'
    path.write_text(json.dumps(report_json(record), indent=1) + '\n', encoding='utf-8')
    print(f'\n{report_table(record)}\n\n{path}')
    return record.verdict()


def _compare(options: argparse.Namespace) -> list[str]:
    """The same with a comparison."""
    found = run_comparison(options)
    path = options.out / 'cameras.json'
    path.write_text(json.dumps(comparison_json(found), indent=1) + '\n', encoding='utf-8')
    print(f'\n{comparison_table(found)}\n\n{path}')
    return [problem for one in found for problem in one.problems()]


if __name__ == '__main__':
    finish(main())
