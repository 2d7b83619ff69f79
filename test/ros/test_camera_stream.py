"""One camera of a pose_node in the test's own process, with a worker that does as it is told."""

import itertools
import threading

import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, Image

from infant_pose_ros.config import PoseNodeSettings
from infant_pose_ros.errors import SettingsError
from infant_pose_ros.ros import camera_stream
from infant_pose_ros.ros.camera_settings import CameraSettings
from infant_pose_ros.ros.camera_stream import CameraStream
from infant_pose_ros.ros.cameras import encode_camera_info
from infant_pose_ros.ros.image_input import FollowingSubscription
from infant_pose_ros.ros.images import encode_image
from infant_pose_ros.ros.outputs import PoseOutputs
from infant_pose_ros.structures import Camera

DESCRIPTION = {'models': {}, 'device': 'cpu', 'precision': 'fp32'}
_noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
_numbers = itertools.count()


class StubWorker:
    """Keeps what it is offered."""

    def __init__(self):
        self.frames, self.dropped_sources = [], []
        self._news = threading.Condition()

    def offer(self, source, frame):
        with self._news:
            self.frames.append(frame)
            self._news.notify_all()

    def drop(self, source):
        self.dropped_sources.append(source)

    def wait_for(self, count):
        with self._news:
            assert self._news.wait_for(lambda: len(self.frames) >= count, 20.0)
        return self.frames


@pytest.fixture
def make_stream(probe):
    from rclpy.lifecycle import LifecycleNode
    made = []

    def make(prefix='', budget_bytes=10 ** 9, **settings):
        node = LifecycleNode(f'stream_{next(_numbers)}', context=probe.context,
                             namespace=f'/n{next(_numbers)}', enable_communication_interface=False)
        probe._executor.add_node(node)
        settings = CameraSettings(PoseNodeSettings(**settings))
        stream = CameraStream(node, settings.of(*settings.cameras), prefix, budget_bytes)
        stream.configure(DESCRIPTION)
        worker = StubWorker()
        stream.activate(worker)
        made.append((stream, node))
        return stream, worker, node

    yield make
    for stream, node in made:
        stream.pause()
        stream.release()
        probe._executor.remove_node(node)
        node.destroy_node()


def counts(stream):
    return stream.health.counters.snapshot(1e9)


def wait_counted(stream, wanted):
    for _ in range(400):
        if wanted(counts(stream)):
            return counts(stream)
        threading.Event().wait(0.05)
    raise AssertionError(f'not counted: {counts(stream)}')


def names(stream):
    return [fault.name for fault in stream.faults(1e9)]


def test_a_taken_up_frame_is_the_picture_under_the_cameras_name(make_stream, probe):
    stream, worker, node = make_stream('left/', camera_name='left', max_age_ms=0.0)
    images = probe.publisher(Image, f'{node.get_namespace()}/left/image', subscribers=1)
    images.publish(encode_image(_noise, probe.header(5 * 10 ** 9)))
    frame = worker.wait_for(1)[0]
    picture = stream.take_up(frame)
    assert (picture.camera_name, picture.stamp_s, picture.camera) == ('left', 5.0, None)
    assert np.array_equal(picture.image_rgb, _noise)
    assert (counts(stream).frames_in, counts(stream).in_flight) == (1, 1)
    stream.failed(frame, 'KeyError: made to fail')
    assert (counts(stream).failed, counts(stream).in_flight) == (1, 0)


def test_a_frame_that_is_too_old_is_stale(make_stream, probe):
    stream, worker, node = make_stream(max_age_ms=100.0)
    images = probe.publisher(Image, f'{node.get_namespace()}/image', subscribers=1)
    images.publish(encode_image(_noise, probe.header(10 ** 18)))
    assert stream.take_up(worker.wait_for(1)[0]) is None
    assert (counts(stream).stale, counts(stream).in_flight) == (1, 0)


def test_without_a_publisher_of_depth_no_frame_waits_and_no_timer_runs(make_stream, probe):
    stream, worker, node = make_stream(use_depth=True, depth_wait_ms=1000.0)
    start = node.get_namespace()
    images = probe.publisher(Image, f'{start}/image', subscribers=1)
    num_timers = len(list(node.timers))
    image = encode_image(_noise, probe.header())
    images.publish(image)
    assert worker.wait_for(1)[0].depth is None
    depths = probe.publisher(Image, f'{start}/depth', subscribers=1)
    wait_counted(stream, lambda _: node.count_publishers(f'{start}/depth') == 1)
    for count in (2, 3, 4):     # now they wait: each has its depth
        image = encode_image(_noise, probe.header())
        depth = Image(header=image.header, height=60, width=80, encoding='16UC1', step=160,
                      data=bytes(60 * 160))
        images.publish(image)
        depths.publish(depth)
        assert worker.wait_for(count)[-1].depth is not None
        if count == 2:
            num_known = len(node.default_callback_group.entities)
    # One timer for all, which rests: rclpy remembers every timer that there ever was.
    assert len(node.default_callback_group.entities) == num_known
    wait_counted(stream, lambda _: not any(
        timer for timer in list(node.timers)[num_timers:] if not timer.is_canceled()))


def test_what_waits_for_depth_is_counted_when_it_is_paused(make_stream, probe):
    stream, worker, node = make_stream(use_depth=True, depth_wait_ms=1000.0)
    start = node.get_namespace()
    images = probe.publisher(Image, f'{start}/image', subscribers=1)
    probe.publisher(Image, f'{start}/depth', subscribers=1)
    wait_counted(stream, lambda _: node.count_publishers(f'{start}/depth') == 1)
    images.publish(encode_image(_noise, probe.header()))
    wait_counted(stream, lambda told: told.input_hz >= 0.0 and stream._gathering is not None
                 and (stream._gathering._pairing.num_waiting or worker.frames))
    stream.pause()
    assert counts(stream).dropped + len(worker.frames) == 1
    assert worker.dropped_sources == ['camera']


def test_deterministic_leaves_out_what_exceeds_the_budget_and_says_so(make_stream, probe):
    stream, worker, node = make_stream(
        deterministic=True, budget_bytes=2 * _noise.size + 1, camera_name='cot')
    start = node.get_namespace()
    images = probe.publisher(Image, f'{start}/image', 10, subscribers=1)
    infos = probe.publisher(CameraInfo, f'{start}/camera_info', 10, subscribers=1)
    for index in range(4):
        header = probe.header(10 ** 9 * (1 + index))
        infos.publish(encode_camera_info(
            Camera(50.0 + index, 50.0, 39.5, 29.5, 80, 60), header))
        images.publish(encode_image(_noise, header))
    told = wait_counted(stream, lambda told: told.dropped == 2)
    assert told.frames_in == 2          # two wait, and are not taken up yet
    frames = worker.wait_for(2)
    assert [frame.stamp_ns for frame in frames] == [10 ** 9, 2 * 10 ** 9]
    assert [frame.camera.fx for frame in frames] == [50.0, 51.0]     # of exactly its stamp
    assert 'frame_skipped' in names(stream)
    assert stream.take_up(frames[0]) is not None        # however old it is
    header = probe.header(9 * 10 ** 9)
    infos.publish(encode_camera_info(Camera(59.0, 50.0, 39.5, 29.5, 80, 60), header))
    images.publish(encode_image(_noise, header))        # there is room again
    assert worker.wait_for(3)[-1].camera.fx == 59.0


def test_another_device_is_told_in_skeleton_info_and_diagnostics(make_stream, monkeypatch):
    stream, told = make_stream()[0], []
    monkeypatch.setattr(stream._outputs, 'publish_skeleton_info', told.append)
    for device in ('cpu', 'cuda:0', 'cuda:0'):      # told once, where it has changed
        stream.take_description({**DESCRIPTION, 'device': device})
    assert [info['device'] for info in told] == ['cuda:0']
    assert stream.report(1e9, 'active')[1]['device'] == 'cuda:0'


def test_what_was_in_work_when_the_worker_ended_has_failed(make_stream, probe):
    stream, worker, node = make_stream(max_age_ms=0.0)
    images = probe.publisher(Image, f'{node.get_namespace()}/image', 10, subscribers=1)
    images.publish(encode_image(_noise, probe.header()))
    stream.take_up(worker.wait_for(1)[0])
    stream.abandon()
    stream.abandon()
    assert (counts(stream).frames_in, counts(stream).failed, counts(stream).in_flight) == (1, 1, 0)


def test_deterministic_waits_for_a_camera_info_again_after_a_reset(
        make_stream, probe, monkeypatch):
    stream, worker, node = make_stream(deterministic=True)
    start = node.get_namespace()
    images = probe.publisher(Image, f'{start}/image', 10, subscribers=1)
    infos = probe.publisher(CameraInfo, f'{start}/camera_info', 10, subscribers=1)
    header = probe.header(10 ** 9)
    infos.publish(encode_camera_info(Camera(50.0, 50.0, 39.5, 29.5, 80, 60), header))
    images.publish(encode_image(_noise, header))
    assert worker.wait_for(1)[0].camera.fx == 50.0
    stream.wait_anew()
    monkeypatch.setattr(camera_stream, 'EVERY_WAIT_S', 1.0)
    images.publish(encode_image(_noise, probe.header(5 * 10 ** 9)))
    assert worker.wait_for(2)[1].camera is None      # that of the play before is not known now


def test_an_image_that_breaks_on_arrival_is_counted_and_the_next_one_comes(
        make_stream, probe, monkeypatch):
    stream, worker, node = make_stream(max_age_ms=0.0)
    images = probe.publisher(Image, f'{node.get_namespace()}/image', 10, subscribers=1)

    def message_came(*_):
        monkeypatch.undo()
        raise OverflowError('made to fail')

    monkeypatch.setattr(stream.health, 'message_came', message_came)
    images.publish(encode_image(_noise, probe.header()))
    told = wait_counted(stream, lambda told: told.failed == 1)
    assert told.error == 'OverflowError: made to fail' and told.in_flight == 0
    images.publish(encode_image(_noise, probe.header()))
    worker.wait_for(1)


def test_deterministic_counts_depth_pictures_among_what_waits(make_stream, probe):
    stream, worker, node = make_stream(
        deterministic=True, use_depth=True, budget_bytes=2 * _noise.size)
    start = node.get_namespace()
    images = probe.publisher(Image, f'{start}/image', 10, subscribers=1)
    infos = probe.publisher(CameraInfo, f'{start}/camera_info', 10, subscribers=1)
    depths = probe.publisher(Image, f'{start}/depth', 10, subscribers=1)
    for index in range(2):      # both pictures find room, but not with their depth
        header = probe.header(10 ** 9 * (1 + index))
        depths.publish(Image(header=header, height=60, width=80, encoding='16UC1', step=160,
                             data=bytes(60 * 160)))
        infos.publish(encode_camera_info(Camera(50.0, 50.0, 39.5, 29.5, 80, 60), header))
        images.publish(encode_image(_noise, header))
    wait_counted(stream, lambda told: told.dropped == 1)
    assert [frame.depth is not None for frame in worker.wait_for(1)] == [True]
    assert 'frame_skipped' in names(stream)


def test_an_error_while_the_publishers_are_looked_at_is_survived(make_stream, probe, monkeypatch):
    stream, worker, node = make_stream()
    failed = []

    def offered(_subscription):
        failed.append(True)
        raise RuntimeError('the topic has gone')

    with monkeypatch.context() as patch:
        patch.setattr(FollowingSubscription, 'offered', offered)
        wait_counted(stream, lambda _: failed)
    images = probe.publisher(Image, f'{node.get_namespace()}/image', subscribers=1)
    images.publish(encode_image(_noise, probe.header()))
    assert worker.wait_for(1)


def test_a_bad_override_leaves_no_publisher_behind(probe):
    from rclpy.lifecycle import LifecycleNode
    from rclpy.parameter import Parameter
    name = f'outputs_{next(_numbers)}'
    node = LifecycleNode(
        name, context=probe.context, enable_communication_interface=False,
        parameter_overrides=[Parameter(
            f'qos_overrides./{name}/markers.publisher.reliability', value='no such thing')])
    before = len(list(node.publishers))
    with pytest.raises(SettingsError, match='markers'):
        PoseOutputs(node, 'cot')
    assert len(list(node.publishers)) == before
    node.destroy_node()
