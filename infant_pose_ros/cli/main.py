"""The `infant-pose` command: picks a subcommand, reports errors in one line.

Each subcommand is a module of this folder with `add_parser(subparsers)`, which adds its parser,
and `run(arguments) -> int | None`. Only the module of the subcommand asked for is imported, so
that `infant-pose --help` doesn't wait for the networks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import importlib
import os
import sys
from types import ModuleType

from infant_pose_ros import __version__
from infant_pose_ros.entry import EXIT_INTERRUPTED, INTERRUPTED_LINE, raising_interrupt
from infant_pose_ros.errors import InfantPoseError

#: Subcommand (and module of this folder) -> its line in the help.
COMMANDS = {
    'predict': 'poses of a video, a folder of pictures or a bag, to CSV and an overlay video',
    'smooth': 'smooth the keypoints recorded in a bag over the whole recording',
    'bench': 'measure the milliseconds of each stage and the end-to-end rate',
    'info': 'show versions, devices, checkpoints and settings',
    'doctor': 'say what is wrong with the installation and with the running nodes',
    'synth': 'render infants with true keypoints',
    'coverage': 'compare generated poses with labelled frames of real infants',
    'data': 'check a copy of a dataset, file by file',
    'train': 'train the detector, the 2D pose network or the lifter',
    'evaluate': 'measure networks on a labelled set, beside published figures',
    'calibrate': 'make the published standard deviations match the errors',
}
EXIT_ERROR = 2
EXIT_BROKEN_PIPE = 141


def build_parser(command: str | None) -> argparse.ArgumentParser:
    """The whole parser, with the options of `command` alone filled in (None: of none)."""
    parser = argparse.ArgumentParser(
        prog='infant-pose', description='3D infant pose estimation without ROS.',
        epilog='infant-pose COMMAND --help shows the options of a command.')
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    subparsers = parser.add_subparsers(dest='command', metavar='COMMAND', required=True)
    for name, summary in COMMANDS.items():
        if name == command:
            _module(name).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def _module(command: str) -> ModuleType:
    return importlib.import_module(f'infant_pose_ros.cli.{command}')


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments; None takes the process's own.

    Returns:
        The exit code: 0 done, 2 an error that one line on stderr explains, 130 interrupted.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    command = next((word for word in words if not word.startswith('-')), None)
    try:
        arguments = build_parser(command).parse_args(words)
        run = _module(arguments.command).run
        with raising_interrupt(INTERRUPTED_LINE):
            return run(arguments) or 0
    except InfantPoseError as error:
        print(f'infant-pose: {" ".join(str(error).split())}', file=sys.stderr)
        return EXIT_ERROR
    except KeyboardInterrupt:
        print(INTERRUPTED_LINE, file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `infant-pose predict ... --csv - | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE


if __name__ == '__main__':
    sys.exit(main())
