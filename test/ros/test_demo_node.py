from contextlib import contextmanager
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from waiting import wait_until

from infant_pose_ros.evaluation.truth import ClipTruth
from infant_pose_ros.media.sources import open_source
from infant_pose_ros.media.writer import VideoWriter
from infant_pose_ros.nodes.demo_node import main, make_parser
from infant_pose_ros.ros.bag import read_back
from infant_pose_ros.structures import Camera

ROOT = Path(__file__).resolve().parents[2]
#: So slow that pose_node may stall for a second and still tell of each picture that it missed.
FRAMES, RATE_HZ = 20, 5.0
ACCOUNTS = ('frames_in', 'frames_answered', 'frames_dropped', 'frames_lost_in_transport')


def make_clip(folder):
    """A clip with camera and truth beside it."""
    path = folder / 'clip.mp4'
    noise = np.random.default_rng(3).integers(0, 255, (120, 160, 3), np.uint8)
    with VideoWriter(path, RATE_HZ, (160, 120)) as writer:
        for _ in range(FRAMES):
            writer.write(noise)
    (folder / 'clip_camera_info.yaml').write_text(
        Camera(150.0, 150.0, 79.5, 59.5, 160, 120).to_camera_info_yaml())
    points_px = np.tile(np.arange(32.0).reshape(16, 2) * 3.0, (FRAMES, 1, 1))
    points_m = np.concatenate([points_px / 150.0, np.ones((FRAMES, 16, 1))], axis=-1)
    ClipTruth(np.arange(FRAMES) / RATE_HZ, points_px, points_m, np.ones((FRAMES, 16), bool),
              np.tile([0.0, 0.0, 93.0, 93.0], (FRAMES, 1)), 0.62).save(
                  folder / 'clip_truth.npz')
    return path


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path)


@contextmanager
def demos(folder, checkpoints):
    """Starts the demo with tiny networks: `start(*arguments)`; kills it at the end."""
    started = []

    def start(*arguments, weights=True):
        command = [sys.executable, '-m', 'infant_pose_ros.nodes.demo_node',
                   '--out', str(folder / 'out'), *map(str, arguments)]
        for task, path in checkpoints.items():
            place = path if weights else folder / 'nowhere' / path.name
            command += ['--pose', f'{task}_weights:={place}']
        command += ['--pose', 'detection_score_min:=0.0']
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
        started.append(subprocess.Popen(command, cwd=folder, env=environment, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def demo(tmp_path, ros_domain, tiny_checkpoints):
    with demos(tmp_path, tiny_checkpoints) as start:
        yield start


@pytest.fixture(scope='module')
def whole_run(tmp_path_factory, ros_domain, tiny_checkpoints):
    """Results, output and errors of a run to the end of a clip, side by side."""
    folder = tmp_path_factory.mktemp('whole_run')
    with demos(folder, tiny_checkpoints) as start:
        process = start('--source', make_clip(folder), '--side-by-side')
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return folder / 'out', output, errors


def children_of(process):
    path = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    return [int(word) for word in path.read_text().split()]


def named_children_of(process):
    """Process id by node, of those that have got as far as their command line."""
    found = {}
    for process_id in children_of(process):
        words = Path(f'/proc/{process_id}/cmdline').read_bytes().decode().split('\0')
        if words[1:3] == ['-m', 'infant_pose_ros.entry']:
            found[words[4]] = process_id
    return found


def is_gone(process_id):
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    return False


def test_from_a_clip_to_video_bag_and_summary(whole_run):
    out, output, errors = whole_run
    summary = json.loads((out / 'summary.json').read_text())
    frames_in, answered, dropped, lost = (summary[name] for name in ACCOUNTS)
    assert frames_in == FRAMES == answered + dropped + lost, errors
    assert answered > 0 and 'do not balance' not in errors
    assert {'rate_hz', 'age_ms_p50', 'age_ms_p95', 'joints_found', 'pckh1', 'pckh2', 'ajpe_px',
            'ajpe_mm'} <= set(summary)
    counts = read_back(out / 'bag')
    assert counts['/camera/camera_info'] == counts['/camera/image/compressed'] == FRAMES
    for name in ('keypoints', 'keypoints_raw', 'poses', 'joint_states'):
        assert counts[f'/pose_node/{name}'] == answered, name
    assert counts['/diagnostics'] > 0 and counts['/pose_node/skeleton_info'] > 0
    assert 'frames in' in output and 'read back' in output
    assert 'frames answered' in errors  # the progress bar
    assert 'no image on' not in output + errors     # which is so once the camera has ended
    skeleton = [line for line in (out / 'logs/pose_node.log').read_text().splitlines()
                if 'Traceback' in line]
    assert skeleton == []


def test_side_by_side_is_twice_as_wide_and_the_bag_is_a_source(whole_run):
    out, _, _ = whole_run
    # What was recorded is a source itself, with stamps and camera.
    with open_source(out / 'bag') as bag:
        assert bag.topic == '/camera/image/compressed' and bag.size_wh == (160, 120)
        assert bag.camera.fx == 150.0
        stamps_s = [frame.stamp_s for frame in bag]
    assert len(stamps_s) == FRAMES and np.diff(stamps_s).min() > 0
    with open_source(out / 'overlay.mp4') as video:
        assert video.rate_hz == pytest.approx(RATE_HZ) and video.size_wh == (322, 120)
        num_frames = len(list(video))
    # Each picture is held until the next; some more of them where the machine stalled, as several
    # come at once then.
    answered = json.loads((out / 'summary.json').read_text())['frames_answered']
    assert answered <= num_frames <= round(RATE_HZ * (stamps_s[-1] - stamps_s[0])) + 3


@pytest.mark.parametrize('name', ['overlay.mp4', 'bag/frames.mp4'])
def test_a_source_is_not_written_over(clip, tmp_path, capfd, name):
    place = tmp_path / 'out' / name
    place.parent.mkdir(parents=True)
    shutil.copy(clip, place)
    assert main(['--out', str(tmp_path / 'out'), '--source', str(place)]) == 1
    assert 'would be written over by' in capfd.readouterr().err
    assert place.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize('name, reason', [('none.mp4', 'no such file'),
                                          ('broken.mp4', 'can not be opened as a video')])
def test_a_bad_source_ends_with_one_clear_line(tmp_path, capfd, name, reason):
    (tmp_path / 'broken.mp4').write_text('no video')
    assert main(['--out', str(tmp_path / 'out'), '--source', str(tmp_path / name)]) == 1
    output, errors = capfd.readouterr()
    (line,) = errors.strip().splitlines()
    assert name in line and reason in line
    assert output == '' and not (tmp_path / 'out').exists()


def test_missing_weights_end_with_the_path(demo, clip):
    process = demo('--source', clip, weights=False)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'nowhere/detector.safetensors' in errors.strip().splitlines()[-1]


def test_a_node_that_dies_is_named_and_the_others_end(demo, clip):
    process = demo('--source', clip, '--rate', '1')
    wait_until(lambda: len(named_children_of(process)) == 3)
    children = named_children_of(process)
    assert set(children) == {'camera_node', 'pose_node', 'overlay_node'}
    os.kill(children['overlay_node'], signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert 'overlay_node ended with signal 9' in errors
    assert all(is_gone(child) for child in children.values())


def test_the_nodes_end_when_the_demo_is_killed(demo, clip):
    process = demo('--source', clip, '--rate', '1')
    wait_until(lambda: len(named_children_of(process)) == 3)
    children = named_children_of(process).values()
    process.kill()
    wait_until(lambda: all(is_gone(child) for child in children))


def test_ctrl_c_ends_early_with_a_summary(demo, clip, tmp_path):
    process = demo('--source', clip, '--rate', '2')
    log = tmp_path / 'out/logs/camera_node.log'
    wait_until(lambda: log.exists() and 'Hz' in log.read_text())
    time.sleep(2.2)     # between two pictures
    children = children_of(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    summary = json.loads((tmp_path / 'out/summary.json').read_text())
    frames_in, answered, dropped, lost = (summary[name] for name in ACCOUNTS)
    assert 0 < frames_in < FRAMES and frames_in == answered + dropped + lost, errors
    with open_source(tmp_path / 'out/overlay.mp4') as video:
        assert video.size_wh == (160, 120)
    assert all(is_gone(child) for child in children)


def test_ctrl_c_before_the_first_picture_is_one_line(demo, clip):
    process = demo('--source', clip)
    wait_until(lambda: len(named_children_of(process)) == 3)
    children = named_children_of(process).values()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == 'infant_pose_demo: interrupted before the first picture'
    assert output.strip() == 'starting the nodes and loading the models ...'
    assert all(is_gone(child) for child in children)


def test_options_have_defaults_that_need_nothing():
    options = make_parser().parse_args([])
    assert (options.source, str(options.out), options.rate, options.seconds) == ('', 'out', 0, 0)
    assert options.side_by_side is False
