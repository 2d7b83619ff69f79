"""`infant-pose doctor`: what is wrong with an installation and with a running graph."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import textwrap

from infant_pose_ros.cli.doctor_installation import look_at_installation
from infant_pose_ros.cli.doctor_parameters import look_at_parameters
from infant_pose_ros.cli.settings import add_settings_arguments, settings_from_arguments
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.findings import error, Finding, has_errors, Level, warn

EXIT_ERRORS = 1
GRAPH_NODE = 'doctor_node'
#: Beside the seconds of looking: to start, to find the graph and to ask the nodes, s.
GRAPH_MARGIN_S = 60.0
#: Longest look at a graph, s.
MOST_SECONDS = 3600.0
#: Heading of each part of the report.
INSTALLATION, PARAMETERS, GRAPH = 'installation', 'parameters', 'ROS'
_COLOURS = {Level.OK: '32', Level.WARN: '33', Level.ERROR: '31'}
_WIDTH = 96

Report = dict[str, list[Finding]]


def add_parser(subparsers) -> None:
    """Add `doctor` to the command line."""
    parser = subparsers.add_parser(
        'doctor', help='say what is wrong with the installation and with the running nodes',
        description='Look at the installation and, where ROS is there, at the running graph for '
        'some seconds. Each line is OK, WARN or ERROR, with the cause and the mend. Exits with 1 '
        'where there is an ERROR.')
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument('--params-file', metavar='YAML', action='append', default=[],
                        help='check these ROS parameters as well; may be given several times')
    parser.add_argument('--seconds', metavar='S', type=float, default=5.0,
                        help='how long to listen to the graph, and some more where nothing '
                        'comes; default: 5')
    parser.add_argument('--ros', action=argparse.BooleanOptionalAction, default=True,
                        help='look at the graph; default: yes')
    add_settings_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, print the report; 1 where there is an error.

    Raises:
        InvalidInputError: an option or a setting is unknown, of the wrong type or out of range.
    """
    if not 0.0 < arguments.seconds <= MOST_SECONDS:
        raise InvalidInputError(f'--seconds: {arguments.seconds:g} is outside 0 .. '
                                f'{MOST_SECONDS:g}')
    settings = settings_from_arguments(arguments)
    report: Report = {INSTALLATION: list(look_at_installation(settings, os.environ))}
    if arguments.params_file:
        report[PARAMETERS] = [finding for path in arguments.params_file
                              for finding in look_at_parameters(path)]
    if arguments.ros:
        report[GRAPH] = look_at_ros(arguments.seconds)
    if arguments.json:
        print(json.dumps({part: [finding.to_dict() for finding in findings]
                          for part, findings in report.items()}, indent=2))
    else:
        print(report_text(report, sys.stdout.isatty()))
    return EXIT_ERRORS if any(map(has_errors, report.values())) else 0


def graph_command() -> list[str]:
    """Starts the node that looks at the graph, as a child that ends with this process."""
    return [sys.executable, '-m', 'infant_pose_ros.entry', str(os.getpid()), GRAPH_NODE]


def look_at_ros(seconds: float, command: Sequence[str] | None = None,
                find: Callable[[str], object] = importlib.util.find_spec) -> list[Finding]:
    """What a node in a process of its own finds in the environment and in the graph.

    Args:
        seconds: how long it listens to the topics.
        command: starts it, by default `graph_command`; it prints a JSON list of findings.
        find: tells whether a module is installed.
    """
    if find('rclpy') is None:
        return [warn('ROS', 'rclpy is not installed for this Python, so no node runs here: '
                     'source /opt/ros/<distro>/setup.bash in this terminal, or take the wheels, '
                     "pip install '.[ros]'; recordings need no ROS")]
    limit_s = seconds + GRAPH_MARGIN_S
    try:
        done = subprocess.run([*(command or graph_command()), '--seconds', str(seconds)],
                              capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        return [error('ROS', f'looking at the graph took more than {limit_s:.0f} s: is the DDS '
                      'discovery blocked, by a firewall or by a profile? Try with '
                      'ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST')]
    lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
    if done.returncode:
        reason = lines[-1] if lines else f'exit code {done.returncode}'
        return [error('ROS', f'no node can be started: {reason}{_mend(reason)}')]
    try:
        # DDS may have said something on stdout before.
        report = json.loads(done.stdout.strip().rpartition('\n')[2])
        return [Finding.from_dict(values) for values in report]
    except (ValueError, TypeError) as problem:
        return [error('ROS', f'the look at the graph ended without a report ({problem})')]


def _mend(reason: str) -> str:
    """What helps against the reasons for which nodes usually don't start."""
    for sign, mend in (
            ('librmw_', 'RMW_IMPLEMENTATION names a middleware that is not installed: unset it, '
                        'or install that one'),
            ('_rclpy_pybind11', 'this Python is not the one that the sourced ROS is built for'),
            ('numpy', 'install by requirements/ros-sourced.txt')):
        if sign in reason:
            return f': {mend}'
    return ': start one node by hand, ros2 run infant_pose_ros pose_node, and read its output'


def report_text(report: Report, colours: bool = False, width: int | None = None) -> str:
    """The report for people, with a last line that counts."""
    width = width or min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)
    lines: list[str] = []
    for part, findings in report.items():
        lines += [part, *(line for finding in findings
                          for line in _finding_lines(finding, colours, width)), '']
    return '\n'.join([*lines, _count(finding for findings in report.values()
                                     for finding in findings)])


def _finding_lines(finding: Finding, colours: bool, width: int) -> list[str]:
    label = f'{finding.level.value:5}'
    if colours:
        label = f'\033[{_COLOURS[finding.level]}m{label}\033[0m'
    wrapped = textwrap.wrap(f'{finding.about}: {finding.text}', max(width - 8, 30),
                            break_long_words=False, break_on_hyphens=False)
    return [f'  {label} {wrapped[0]}', *(f'          {line}' for line in wrapped[1:])]


def _count(findings: Iterable[Finding]) -> str:
    levels = [finding.level for finding in findings]
    errors, warnings = levels.count(Level.ERROR), levels.count(Level.WARN)
    if not errors and not warnings:
        return 'nothing is wrong'
    return (f'{errors} error{"s" * (errors != 1)}, '
            f'{warnings} warning{"s" * (warnings != 1)}')
