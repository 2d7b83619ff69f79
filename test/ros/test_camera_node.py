import cv2
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

from infant_pose_ros.media.writer import VideoWriter
from infant_pose_ros.ros.cameras import decode_camera_info
from infant_pose_ros.ros.images import decode_compressed, decode_image
from infant_pose_ros.structures import Camera

MODULE = 'infant_pose_ros.nodes.camera_node'
# The watcher must not lose a picture while it is busy.
DEEP = QoSProfile(depth=50, reliability=ReliabilityPolicy.RELIABLE)
# Nor the first: only the picture's subscriber is waited for, and CameraInfo's may be found later.
LATE = {'wait_for_subscribers': 1, 'start_delay_s': 2.0}
CAMERA = Camera(100.0, 110.0, 31.5, 23.5, 64, 48)


@pytest.fixture
def video(tmp_path):
    path = tmp_path / 'clip.mp4'
    with VideoWriter(path, 50.0, (64, 48)) as writer:
        for value in (20, 60, 100, 140, 180):
            writer.write(np.full((48, 64, 3), value, np.uint8))
    return path


def remaps(name):
    """Topics of one test, which no other listens to."""
    return {topic: f'/{name}/{topic}' for topic in ('image', 'image/compressed', 'camera_info')}


def stamps(messages):
    return [(message.header.stamp.sec, message.header.stamp.nanosec) for message in messages]


def test_a_video_once_with_calibration(node_process, probe, video):
    (video.parent / 'clip_camera_info.yaml').write_text(CAMERA.to_camera_info_yaml())
    images = probe.subscribe(Image, '/once/image', DEEP)
    infos = probe.subscribe(CameraInfo, '/once/camera_info', DEEP)
    params = {'source': video, 'loop': False, 'frame_id': 'optics', **LATE}
    with node_process(MODULE, params=params, remaps=remaps('once')) as node:
        assert node.wait(60.0) == 0
        assert '5 pictures published' in node.output
        assert 'Traceback' not in node.output
    images.wait_for(5)
    infos.wait_for(5)
    assert [round(float(decode_image(message).mean())) for message in images] == pytest.approx(
        [20, 60, 100, 140, 180], abs=6)
    assert stamps(images) == stamps(infos) == sorted(stamps(images))
    assert len(set(stamps(images))) == 5
    assert {message.header.frame_id for message in (*images, *infos)} == {'optics'}
    camera = decode_camera_info(infos[0])
    assert np.allclose(camera.matrix, CAMERA.matrix)
    assert (camera.width, camera.height) == (64, 48)


def test_a_folder_compressed_and_looped_without_calibration(node_process, probe, tmp_path):
    for index, value in enumerate((40, 200)):
        assert cv2.imwrite(str(tmp_path / f'{index}.png'), np.full((48, 64, 3), value, np.uint8))
    images = probe.subscribe(CompressedImage, '/loop/image/compressed', DEEP)
    infos = probe.subscribe(CameraInfo, '/loop/camera_info', DEEP)
    params = {'source': tmp_path, 'rate_hz': 20.0, 'compressed': True,
              'wait_for_subscribers': 1}
    with node_process(MODULE, params=params, remaps=remaps('loop')) as node:
        images.wait_for(7)
        infos.wait_for(6)
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.output
    means = [round(float(decode_compressed(message).mean())) for message in images[:7]]
    begin = int(means[0] > 100)     # the very first ones may be missed
    assert means[begin:begin + 6] == pytest.approx([40, 200] * 3, abs=4)
    # ROS's way of saying 'not calibrated', with the size that is known.
    assert not any(infos[0].k)
    assert (infos[0].width, infos[0].height) == (64, 48)


def test_it_waits_for_subscribers(node_process, probe, video):
    params = {'source': video, 'loop': False, 'wait_for_subscribers': 1}
    with node_process(MODULE, params=params, remaps=remaps('wait')) as node:
        node.wait_for_log('waiting for 1 subscribers of /wait/image')
        assert 'Hz' not in node.output
        images = probe.subscribe(Image, '/wait/image', DEEP)
        images.wait_for(5)
        assert node.wait() == 0


def test_it_can_be_interrupted_while_it_waits(node_process, ros_domain, video):
    params = {'source': video, 'wait_for_subscribers': 1}
    with node_process(MODULE, params=params, remaps=remaps('never')) as node:
        node.wait_for_log('waiting for 1')
        node.interrupt()
        assert node.wait() == 0


def test_a_bad_source_ends_with_one_clear_line(node_process, ros_domain, tmp_path):
    (tmp_path / 'broken.mp4').write_text('no video')
    with node_process(MODULE, params={'source': tmp_path / 'broken.mp4'}) as node:
        assert node.wait(60.0) == 1
        (line,) = node.output.strip().splitlines()
        assert 'broken.mp4' in line and 'can not be opened as a video' in line


def test_a_calibration_for_another_aspect_is_refused(node_process, ros_domain, video):
    wide = Camera(100.0, 100.0, 50.0, 20.0, 100, 40)
    path = video.parent / 'wide.yaml'
    path.write_text(wide.to_camera_info_yaml())
    with node_process(MODULE, params={'source': video, 'camera_info': path}) as node:
        assert node.wait(60.0) == 1
        (line,) = node.output.strip().splitlines()
        assert '100x40' in line and '64x48' in line


def test_a_picture_that_breaks_on_the_way_ends_with_code_1(node_process, probe, tmp_path):
    assert cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / 'b.png').write_bytes(b'broken')
    with node_process(MODULE, params={'source': tmp_path}, remaps=remaps('broken')) as node:
        assert node.wait(60.0) == 1
        assert 'b.png: 6 bytes are no complete JPEG or PNG picture' in node.output
        assert 'Traceback' not in node.output


def test_an_unknown_parameter_is_named(node_process, ros_domain, video):
    params = {'source': video, 'loop': False, 'sauce': 1}
    with node_process(MODULE, params=params, remaps=remaps('unknown')) as node:
        node.wait_for_log(r'sauce is not known .* mean source\? \[unknown_parameter\]')
        assert node.wait(60.0) == 0


#: What is run in place of the node's module: the node on a webcam that gives five pictures, fails,
#: is away until a file lies beside the script, and comes back with another resolution.
WEBCAM = """
from pathlib import Path
import sys

import numpy as np

from infant_pose_ros.errors import SourceError
from infant_pose_ros.media.sources import FrameSource
from infant_pose_ros.nodes import camera_node

times = []


class Webcam(FrameSource):
    is_live = True

    def __init__(self, size_wh):
        super().__init__('/dev/video7', 50.0, None, size_wh)

    def _pictures(self):
        for _ in range(5 if len(times) == 1 else 1000000):
            yield 'picture', np.full((*self.size_wh[::-1], 3), 90, np.uint8)
        raise SourceError('source /dev/video7: the webcam stopped giving pictures')


def open_source(*_):
    times.append(1)
    if len(times) > 1 and not Path(__file__).with_name('back').exists():
        raise SourceError('source /dev/video7: no such file, folder or device')
    return Webcam((64, 48) if len(times) == 1 else (64, 32))


camera_node.open_source = open_source
camera_node.REOPEN_S = 0.3
sys.exit(camera_node.main())
"""


def test_a_webcam_that_fails_is_opened_again(node_process, probe, tmp_path):
    script, calibration = tmp_path / 'webcam_node.py', tmp_path / 'camera.yaml'
    script.write_text(WEBCAM, encoding='utf-8')
    calibration.write_text(CAMERA.to_camera_info_yaml(), encoding='utf-8')
    told = probe.subscribe(DiagnosticArray, '/diagnostics')
    images = probe.subscribe(Image, '/webcam/image', DEEP)
    infos = probe.subscribe(CameraInfo, '/webcam/camera_info', DEEP)
    params = {'camera_info': calibration, **LATE}
    with node_process(script, params=params, remaps=remaps('webcam')) as node:
        status = told.wait_for(lambda m: 'source_failed' in values_of(m)['faults'], 60.0).status[0]
        assert (status.level, status.name) == (DiagnosticStatus.ERROR, 'camera_node: camera')
        assert 'it is tried again every few seconds' in status.message
        node.wait_for_log(r'no such file, folder or device|the webcam stopped')
        script.with_name('back').touch()
        images.wait_for(lambda message: message.height == 32, 60.0)
        del told[:]
        back = told.wait_for(lambda m: 'source_failed' not in values_of(m)['faults'])
        # The calibration is for another aspect: it is left out, and that is told.
        assert values_of(back)['faults'] == 'camera_info_misfit'
        assert '64x48' in back.status[0].message and '64x32' in back.status[0].message
        assert any(infos[0].k) and not any(infos.wait_for(lambda m: m.height == 32).k)
        node.wait_for_log(r'over after \d+ s \[source_failed\]')
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.output


def values_of(message):
    return {entry.key: entry.value for entry in message.status[0].values}
