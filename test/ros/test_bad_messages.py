"""Real nodes that are sent whatever a message can hold, and good frames in between."""

from pathlib import Path
import re

from bad_input import (
    bad_input,
    byte_array,
    camera_infos,
    images,
    keypoint_clouds,
    picture_file,
    picture_files,
    SMALL,
    TEXT,
)
from diagnostic_msgs.msg import DiagnosticArray
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from infant_pose_ros.errors import EncodingError
from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.images import decode_compressed, decode_image, encode_image
from infant_pose_ros.ros.keypoints import encode_keypoints
from infant_pose_ros.structures import Camera

#: What a node may grow by while it is sent nonsense, MB; a single picture that a header of the
#: test claims would be many times that.
MOST_GROWTH_MB = 150
_GREY = np.full((48, 64, 3), 90, np.uint8)


def headers():
    """Any stamp, negative or with more nanoseconds than a second has; any name."""
    def make(sec, nanosec, frame_id):
        header = Header(frame_id=frame_id)
        header.stamp.sec, header.stamp.nanosec = sec, nanosec
        return header
    return st.builds(make, st.integers(-2 ** 31, 2 ** 31 - 1), st.integers(0, 2 ** 32 - 1), TEXT)


def filled(message, fields, header):
    """The message with these fields, as far as it has them."""
    for name, value in vars(fields).items():
        if name == 'roi':
            for part, number in vars(value).items():
                setattr(message.roi, part, number)
        elif hasattr(message, name):
            setattr(message, name, value.tolist() if isinstance(value, np.ndarray) else value)
    message.header = header
    return message


class Watched:
    """A node's process: its memory, its output, its diagnostics."""

    def __init__(self, process, probe):
        self.process = process
        self._diagnostics = probe.subscribe(DiagnosticArray, '/diagnostics', 50)
        self._first_mb = None

    def memory_mb(self):
        status = Path(f'/proc/{self.process.process.pid}/status').read_text()
        return int(re.search(r'VmRSS:\s+(\d+)', status)[1]) / 1024

    def note_memory(self):
        """Take the memory that it has by now for the usual."""
        self._first_mb = self.memory_mb()

    def check(self):
        """It lives, has not grown, and nothing escaped."""
        assert self.process.returncode is None, self.process.output[-4000:]
        assert self.memory_mb() - self._first_mb < MOST_GROWTH_MB
        assert 'Traceback' not in self.process.output, self.process.output[-8000:]

    def counts(self, name, wanted):
        """The counts of `/diagnostics` as soon as `wanted(counts)`."""
        def found(message):
            return [status for status in message.status if status.name == name
                    and wanted({entry.key: entry.value for entry in status.values})]
        del self._diagnostics[:]
        (status, *_) = found(self._diagnostics.wait_for(lambda m: bool(found(m)), 60.0))
        return {entry.key: entry.value for entry in status.values}


@pytest.fixture(scope='module', params=['raw', 'compressed'])
def pose_node(request, ros_domain, node_process, probe, weights):
    """A node that answers every frame in order, its publishers, and its answers."""
    name = f'pose_{request.param}'
    params = {**weights, 'deterministic': True, 'image_transport': request.param,
              'track_score_min': 0.0, 'detection_score_min': 0.05, 'keypoint_score_min': 0.05,
              'adult_policy': 'off', 'use_depth': True}
    kind, topic = ((Image, f'/{name}/image') if request.param == 'raw'
                   else (CompressedImage, f'/{name}/image/compressed'))
    with node_process('infant_pose_ros.nodes.pose_node', params=params,
                      remaps={'__ns': f'/{name}'}, env=ros_domain) as process:
        watched = Watched(process, probe)
        process.wait_for_log('active: /')
        answers = probe.subscribe(PointCloud2, f'/{name}/pose_node/keypoints', 500)
        yield (request.param, watched, probe.publisher(kind, topic, 500, subscribers=1),
               probe.publisher(CameraInfo, f'/{name}/camera_info', 500, subscribers=1),
               probe.publisher(Image, f'/{name}/depth', 500, subscribers=1), answers)


def refused(message):
    """Whether decoding the message itself fails."""
    try:
        (decode_compressed if isinstance(message, CompressedImage) else decode_image)(message)
    except EncodingError:
        return True
    return False


def test_pose_node_lives_on_whatever_it_is_sent(pose_node, probe):
    transport, watched, pictures, infos, depths, answers = pose_node
    sent, num_refused = 0, 0

    def send(message, info, depth):
        nonlocal sent, num_refused
        sent, num_refused = sent + 1, num_refused + refused(message)
        info.header = depth.header = message.header
        infos.publish(info)
        depths.publish(depth)
        pictures.publish(message)

    def publish_good():
        header = probe.header()
        message = encode_image(_GREY, header)
        if transport == 'compressed':
            message = CompressedImage(header=header, format='png', data=byte_array(
                picture_file('PNG', 'RGB', 64, 48)))
        send(message, encode_camera_info(Camera(60.0, 60.0, 31.5, 23.5, 64, 48), header),
             Image(encoding='16UC1', width=64, height=48, step=128,
                   data=byte_array(np.full((48, 64), 1000, '<u2').tobytes())))
        return header

    def send_good():
        header = publish_good()
        answers.wait_for(lambda answer: answer.header == header, 60.0)

    bad = (st.builds(lambda fields, header: filled(Image(), fields, header), images(), headers())
           if transport == 'raw' else
           st.builds(lambda data, form, header: CompressedImage(
               data=byte_array(data), format=form, header=header),
               picture_files(), TEXT, headers()))

    bad_depths = images(st.sampled_from(['16UC1', '32FC1', 'mono16']) | TEXT)

    @given(bad, st.builds(lambda fields: filled(CameraInfo(), fields, Header()), camera_infos()),
           st.builds(lambda fields: filled(Image(), fields, Header()), bad_depths))
    @bad_input(90)
    def check(message, info, depth):
        send(message, info, depth)
        if sent % 10 == 0:
            send_good()
            watched.check()

    probe.until_answered(lambda: publish_good().stamp, answers)
    send_good()
    watched.note_memory()
    check()
    send_good()
    counts = watched.counts(
        f'pose_{transport}/pose_node: poses', lambda values: int(values['frames_in']) >= sent
        and int(values['frames_answered']) + int(values['frames_failed']) >= sent)
    watched.check()
    assert int(counts['frames_in']) == sent and int(counts['frames_dropped']) == 0
    assert int(counts['frames_with_depth']) >= sent // 10
    assert num_refused > 20 and int(counts['frames_failed']) == num_refused
    watched.process.wait_for_log('failed: EncodingError: ')


def test_overlay_node_lives_on_whatever_it_is_sent(ros_domain, node_process, probe, make_infant,
                                                   make_result):
    with node_process('infant_pose_ros.nodes.overlay_node', remaps={'__ns': '/drawn'},
                      params={'trail_s': 1.0}, env=ros_domain) as process:
        watched = Watched(process, probe)
        overlays = probe.subscribe(Image, '/drawn/overlay_node/image', 50)
        pictures = probe.publisher(Image, '/drawn/image', 50, subscribers=1)
        answers = probe.publisher(PointCloud2, '/drawn/keypoints', 50, subscribers=1)
        sent = 0

        def publish_good():
            header = probe.header()
            pictures.publish(encode_image(_GREY, header))
            answers.publish(encode_keypoints(make_result([make_infant()]), header))
            return header

        def send_good():
            header = publish_good()
            overlays.wait_for(lambda message: message.header == header, 60.0)

        good_images = st.builds(
            lambda width, height, header: encode_image(
                np.zeros((height, width, 3), np.uint8), header), SMALL, SMALL, headers())
        bad_images = st.builds(
            lambda fields, header: filled(Image(), fields, header), images(), headers())

        @given(bad_images | good_images,
               keypoint_clouds(PointCloud2, PointField) | st.just(None))
        @bad_input(150)
        def check(message, cloud):
            nonlocal sent
            sent += 1
            if cloud is None:
                cloud = encode_keypoints(make_result([make_infant()]), message.header)
            cloud.header = message.header
            pictures.publish(message)
            answers.publish(cloud)
            if sent % 10 == 0:
                send_good()
                watched.check()

        probe.until_answered(lambda: publish_good().stamp, overlays)
        watched.note_memory()
        check()
        send_good()
        watched.check()
        process.wait_for_log('a picture was left out: image: ')
        process.interrupt()
        assert process.wait() == 0
