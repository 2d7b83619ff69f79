"""The infant-pose command: help without networks, one line for an error, exit codes."""

import os
import re
import signal
import subprocess
import sys
import time
import types

import pytest

from infant_pose_ros import __version__
from infant_pose_ros.cli import main as cli
from infant_pose_ros.errors import SourceError


def command(monkeypatch, run):
    """Put a command `info` in place that runs `run`."""
    def add_parser(subparsers):
        subparsers.add_parser('info').add_argument('--number', type=int, default=0)

    module = types.ModuleType('infant_pose_ros.cli.info')
    module.add_parser, module.run = add_parser, run
    monkeypatch.setitem(sys.modules, 'infant_pose_ros.cli.info', module)


def test_help_names_all_commands_and_imports_no_network():
    code = ('import sys\n'
            'from infant_pose_ros.cli import main\n'
            'try:\n'
            '    main.main(["--help"])\n'
            'except SystemExit as end:\n'
            '    print("code", end.code, "torch" in sys.modules, "cv2" in sys.modules)\n')
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True)
    for name in cli.COMMANDS:
        assert re.search(rf'\n    {name}\s', done.stdout)
    assert 'code 0 False False' in done.stdout


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(['--version'])
    assert end.value.code == 0
    assert capsys.readouterr().out == f'infant-pose {__version__}\n'


@pytest.mark.parametrize('words', [[], ['fly'], ['--nonsense']])
def test_a_wrong_command_line_exits_with_2(words, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(words)
    assert end.value.code == 2
    assert 'infant-pose: error:' in capsys.readouterr().err


@pytest.mark.parametrize(('returned', 'code'), [(None, 0), (0, 0), (1, 1)])
def test_the_command_runs_with_its_arguments(monkeypatch, returned, code):
    seen = []

    def run(arguments):
        seen.append(arguments.number)
        return returned

    command(monkeypatch, run)
    assert cli.main(['info', '--number', '4']) == code
    assert seen == [4]


def test_an_error_of_the_package_is_one_line_on_stderr(monkeypatch, capsys):
    def run(_arguments):
        raise SourceError('source nowhere.mp4:\n  no such file')

    command(monkeypatch, run)
    assert cli.main(['info']) == 2
    captured = capsys.readouterr()
    assert captured.err == 'infant-pose: source nowhere.mp4: no such file\n'
    assert captured.out == ''


def test_other_errors_are_not_hidden(monkeypatch):
    def run(_arguments):
        raise ZeroDivisionError

    command(monkeypatch, run)
    with pytest.raises(ZeroDivisionError):
        cli.main(['info'])


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_closes_what_is_open_and_gives_130(monkeypatch, capsys, number):
    closed = []

    def run(_arguments):
        try:
            os.kill(os.getpid(), number)
            time.sleep(30.0)
        finally:
            closed.append(number)

    command(monkeypatch, run)
    before = signal.getsignal(number)
    assert cli.main(['info']) == 130
    assert closed == [number] and signal.getsignal(number) == before
    assert capsys.readouterr().err == 'infant-pose: interrupted\n'


@pytest.mark.parametrize('name', cli.COMMANDS)
def test_every_command_has_a_parser_with_help(name, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([name, '--help'])
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: infant-pose {name}')
