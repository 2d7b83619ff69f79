"""`infant-pose predict` as a process that is interrupted while it writes."""

import csv
from pathlib import Path
import signal
import subprocess
import sys
import time

import cv2
import pytest

import infant_pose_ros

CLIP = Path(infant_pose_ros.__file__).parent / 'samples' / 'cot.mp4'
RUN = 'import sys; from infant_pose_ros.entry import infant_pose; sys.exit(infant_pose())'
START_TIMEOUT_S = 120.0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_what_was_written_till_then_is_whole(tmp_path, number):
    table, video = tmp_path / 'poses.csv', tmp_path / 'overlay.mp4'
    process = subprocess.Popen(
        [sys.executable, '-c', RUN, 'predict', str(CLIP), '--csv', str(table), '--video',
         str(video)], stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not (table.exists() and table.stat().st_size > 0):
        assert process.poll() is None and time.monotonic() < deadline_s
        time.sleep(0.05)
    process.send_signal(number)
    _, told = process.communicate(timeout=30.0)
    assert process.returncode == 130
    assert told.splitlines()[-1] == 'infant-pose: interrupted' and 'Traceback' not in told
    rows = list(csv.DictReader(table.open(encoding='utf-8')))
    frames = {int(row['frame']) for row in rows}
    assert frames == set(range(len(frames))) and None not in rows[-1].values()
    capture = cv2.VideoCapture(str(video))
    assert 0 <= len(frames) - capture.get(cv2.CAP_PROP_FRAME_COUNT) <= 1
    assert capture.read()[0]
    capture.release()
