import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from infant_pose_ros.synthetic.workers import end_with_parent


def test_a_process_that_nobody_started_goes_on():
    end_with_parent()


def is_running(pid: int) -> bool:
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f'/proc/{pid}/task/{pid}/children').read_text().split()]


@pytest.mark.slow
def test_renderers_end_when_their_parent_is_killed(tmp_path):
    folder = tmp_path / 'set'
    parent = subprocess.Popen([
        sys.executable, '-m', 'infant_pose_ros.cli.main', 'synth', str(folder), '--frames', '400',
        '--size', '160', '120'], env={**os.environ, 'OMP_NUM_THREADS': '1'},
        stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120
        while not list(folder.glob('0000.part/*.jpg')):
            assert time.monotonic() < until and parent.poll() is None
            time.sleep(0.1)
        workers = children(parent.pid)
        assert any(is_running(pid) for pid in workers)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until = time.monotonic() + 30
    while any(is_running(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(is_running(pid) for pid in workers)
    assert not (folder / '0000').exists()
