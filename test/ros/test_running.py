"""How a node ends; each in a process of its own, as it changes what signals do."""

import pytest

SCRIPT = """
import sys

import rclpy
from rclpy.node import Node

from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros.running import run_node


class Short(Node):
    def __init__(self):
        super().__init__('short')
        self.create_timer({shutdown_s}, lambda: self.context.try_shutdown())
        {in_init}

    def close(self):
        print('closed', flush=True)


sys.exit(run_node(Short))
"""


@pytest.fixture
def ended(ros_domain, node_process, tmp_path):
    """Exit code and output of a node with one more line in its `__init__`."""
    def run(in_init, shutdown_s=0.01):
        script = tmp_path / 'short.py'
        script.write_text(SCRIPT.format(in_init=in_init, shutdown_s=shutdown_s), encoding='utf-8')
        with node_process(script, env=ros_domain) as process:
            return process.wait(60.0), process.output.strip()
    return run


def test_a_shutdown_while_it_spins_closes_the_node(ended):
    assert ended('pass') == (0, 'closed')


def test_a_signal_before_it_spins_ends_it_as_quietly(ended):
    """A signal's handler shuts the context down, whatever is going on."""
    assert ended('rclpy.shutdown()') == (0, 'closed')


def test_what_rcl_says_once_it_is_shut_down_is_no_error(ended):
    fail = "(self.context.try_shutdown(), (_ for _ in ()).throw(RuntimeError('invalid context')))"
    assert ended(f'self.create_timer(0.001, lambda: {fail})') == (0, 'closed')


def test_an_error_while_it_spins_is_not_hidden(ended):
    fail = "(_ for _ in ()).throw(RuntimeError('a bug'))"
    code, output = ended(f'self.create_timer(0.001, lambda: {fail})', 60.0)
    assert code == 1 and 'RuntimeError: a bug' in output


def test_a_node_told_to_stop_while_it_is_made_is_no_error(ended):
    assert ended("rclpy.shutdown(); raise RuntimeError('made to fail')") == (0, '')


def test_a_node_that_can_not_be_made_says_why_in_one_line(ended):
    assert ended("raise SettingsError('rate: too high')") == (1, 'can not start: rate: too high')


def test_other_errors_are_not_hidden(ended):
    code, output = ended("raise RuntimeError('a bug')")
    assert code == 1 and output.endswith('RuntimeError: a bug')


def test_what_does_not_end_after_a_signal_is_cut_off(ended):
    stuck = '(os.kill(os.getpid(), signal.SIGTERM), time.sleep(600.0))'
    in_init = f'import os, signal, time; self.create_timer(0.001, lambda: {stuck})'
    assert ended(in_init, 60.0) == (0, 'still busy 1.5 s after the signal to end: cut off')
