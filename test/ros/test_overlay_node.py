import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import numpy as np
import pytest
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from sensor_msgs.msg import CompressedImage, Image, PointCloud2, PointField
from std_msgs.msg import Header

from infant_pose_ros.ros.images import decode_image, encode_compressed, encode_image
from infant_pose_ros.ros.keypoints import encode_keypoints
from infant_pose_ros.skeleton import SIDE_COLOURS_RGB

MODULE = 'infant_pose_ros.nodes.overlay_node'
TOPICS = ('image', 'image/compressed', 'keypoints', 'keypoints_raw')
QUIET = {'show_text': False}


def remaps(name):
    return {topic: f'/{name}/{topic}' for topic in TOPICS} | {'__ns': f'/{name}'}


def header(number):
    result = Header(frame_id='optics')
    result.stamp.sec, result.stamp.nanosec = number, 5
    return result


def picture(value):
    return np.full((480, 640, 3), value, np.uint8)


def numbers(messages):
    return [message.header.stamp.sec for message in messages]


@pytest.fixture
def camera_and_answers(probe):
    """Publishers of a test's pictures and answers, and the overlays that come back."""
    def connect(name, image_type=Image, topic='image'):
        overlays = probe.subscribe(Image, f'/{name}/overlay_node/image', 50)
        return (probe.publisher(image_type, f'/{name}/{topic}', 50, subscribers=1),
                probe.publisher(PointCloud2, f'/{name}/keypoints', 50, subscribers=1), overlays)
    return connect


def sides_drawn(message):
    image = decode_image(message)
    return {side for side, colour in SIDE_COLOURS_RGB.items() if (image == colour).all(-1).any()}


def set_text(probe, namespace, name, text):
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
    request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
    return probe.call(SetParameters, f'/{namespace}/overlay_node/set_parameters',
                      request).results[0]


def test_answers_are_drawn_over_their_own_picture(
        node_process, camera_and_answers, make_infant, make_result):
    with node_process(MODULE, params=QUIET, remaps=remaps('own')) as node:
        images, answers, overlays = camera_and_answers('own')
        for number in (1, 2, 3):
            images.publish(encode_image(picture(50 * number), header(number)))
        # Picture 1 is never answered; 2 has an infant; 3 has none.
        answers.publish(encode_keypoints(make_result([make_infant()]), header(2)))
        answers.publish(encode_keypoints(make_result([]), header(3)))
        overlays.wait_for(2)
        # An answer may overtake its picture.
        answers.publish(encode_keypoints(make_result([]), header(4)))
        images.publish(encode_image(picture(200), header(4)))
        overlays.wait_for(3)
        assert numbers(overlays) == [2, 3, 4]
        assert overlays[0].header == header(2) and overlays[0].encoding == 'rgb8'
        assert sides_drawn(overlays[0]) == {'left', 'right', 'centre'}
        assert [decode_image(message)[-1, -1, 0] for message in overlays] == [100, 150, 200]
        assert (decode_image(overlays[1]) == 150).all()
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.output


def test_privacy_can_be_switched_on_and_a_bad_mode_is_refused(
        node_process, probe, camera_and_answers, make_infant, make_result):
    def set_privacy(mode):
        return set_text(probe, 'private', 'privacy', mode)

    with node_process(MODULE, params=QUIET, remaps=remaps('private')):
        images, answers, overlays = camera_and_answers('private')
        refused = set_privacy('mask')
        assert not refused.successful and "'mask' is not one of" in refused.reason
        assert set_privacy('black').successful
        images.publish(encode_image(picture(123), header(1)))
        answers.publish(encode_keypoints(make_result([make_infant()]), header(1)))
        (overlay,) = overlays.wait_for(1)
        assert not (decode_image(overlay) == 123).all(-1).any()
        assert 'left' in sides_drawn(overlay)


def test_the_layout_can_change_while_it_runs(
        node_process, probe, camera_and_answers, make_infant, make_result):
    with node_process(MODULE, params=QUIET, remaps=remaps('sides')):
        images, answers, overlays = camera_and_answers('sides')
        assert set_text(probe, 'sides', 'layout', 'side_by_side').successful
        raw = probe.publisher(PointCloud2, '/sides/keypoints_raw', 50, subscribers=1)
        result = make_result([make_infant(lost=range(16))])
        for number in (1, 2):
            images.publish(encode_image(picture(90), header(number)))
            answers.publish(encode_keypoints(result, header(number)))
            if number == 1:
                raw.publish(encode_keypoints(result, header(1), raw=True))
                overlays.wait_for(1)
                assert set_text(probe, 'sides', 'layout', 'single').successful
        # The second is answered after the change, and needs no raw keypoints.
        overlays.wait_for(2)
        assert [message.width for message in overlays] == [1282, 640]
        left = decode_image(overlays[0])[:, :640]
        assert any((left == colour).all(-1).any() for colour in SIDE_COLOURS_RGB.values())


def test_compressed_pictures_and_raw_keypoints(
        node_process, probe, camera_and_answers, make_infant, make_result):
    params = QUIET | {'image_transport': 'compressed', 'draw_raw': True}
    with node_process(MODULE, params=params, remaps=remaps('packed')):
        images, answers, overlays = camera_and_answers('packed', CompressedImage,
                                                       'image/compressed')
        raw = probe.publisher(PointCloud2, '/packed/keypoints_raw', 50, subscribers=1)
        result = make_result([make_infant(raw_shift_px=200.0, lost=range(16))])
        images.publish(encode_compressed(picture(90), header(1)))
        answers.publish(encode_keypoints(result, header(1)))
        raw.publish(encode_keypoints(result, header(1), raw=True))
        (overlay,) = overlays.wait_for(1)
        # All smoothed keypoints are lost: what is drawn is raw.
        assert sides_drawn(overlay)


def test_a_truncated_picture_is_left_out_and_the_node_goes_on(
        node_process, camera_and_answers, make_result):
    with node_process(MODULE, params=QUIET, remaps=remaps('cut')) as node:
        images, answers, overlays = camera_and_answers('cut')
        broken = encode_image(picture(90), header(1))
        broken.data = broken.data[:1000]
        images.publish(broken)
        answers.publish(encode_keypoints(make_result([]), header(1)))
        node.wait_for_log('left out: .*truncated.* got 1000')
        images.publish(encode_image(picture(91), header(2)))
        answers.publish(encode_keypoints(make_result([]), header(2)))
        overlays.wait_for(1)
        assert numbers(overlays) == [2]


def test_a_bad_parameter_ends_with_one_clear_line(node_process, ros_domain):
    with node_process(MODULE, params={'privacy': 'mask'}) as node:
        assert node.wait(60.0) == 1
        (line,) = node.output.strip().splitlines()
        assert "'mask' is not one of" in line


def odd_clouds(cloud):
    """Keypoints as a foreign or a broken publisher would send them."""
    yield PointCloud2(header=cloud.header)
    other = PointCloud2(header=cloud.header, height=1, width=4, point_step=4, row_step=16,
                        fields=[PointField(name='x', offset=0, datatype=7, count=1)],
                        data=bytes(16))
    yield other
    cut = PointCloud2(header=cloud.header, height=cloud.height, width=cloud.width,
                      fields=cloud.fields, point_step=cloud.point_step, row_step=cloud.row_step,
                      data=cloud.data[:50])
    yield cut
    huge = PointCloud2(header=cloud.header, height=2 ** 32 - 1, width=2 ** 32 - 1,
                       fields=cloud.fields, point_step=2 ** 32 - 1, row_step=0)
    yield huge
    wild = PointCloud2(header=cloud.header, height=cloud.height, width=cloud.width,
                       fields=cloud.fields, point_step=cloud.point_step, row_step=cloud.row_step,
                       data=np.full(len(cloud.data), 255, np.uint8).tobytes())
    yield wild


def test_it_survives_any_message_and_tells_what_is_wrong(
        node_process, probe, camera_and_answers, make_infant, make_result):
    told = probe.subscribe(DiagnosticArray, '/diagnostics')

    def diagnosed(*names):
        del told[:]
        return told.wait_for(lambda m: set(names) <= set(values(m)['faults'].split(','))).status[0]

    params = {'privacy': 'blur', 'trail_s': 1.0}
    with node_process(MODULE, params=params, remaps=remaps('odd')) as node:
        status = diagnosed('no_publisher')
        assert (status.name, status.level) == ('odd/overlay_node: overlay', DiagnosticStatus.ERROR)
        images, answers, overlays = camera_and_answers('odd')
        diagnosed('no_image')
        good = encode_keypoints(make_result([make_infant()]), header(1))
        for number, cloud in enumerate(odd_clouds(good), 10):
            cloud.header = header(number)
            images.publish(encode_image(picture(90), cloud.header))
            answers.publish(cloud)
        node.wait_for_log('a picture was left out')
        assert diagnosed('picture_failed').level == DiagnosticStatus.ERROR
        negative = header(-5)
        images.publish(encode_image(picture(90), negative))
        answers.publish(encode_keypoints(make_result([make_infant()]), negative))
        overlays.wait_for(lambda message: message.header == negative)
        images.publish(encode_image(picture(90), header(100)))
        answers.publish(encode_keypoints(make_result([make_infant()]), header(100)))
        overlays.wait_for(lambda message: message.header == header(100))
        del told[:]
        message = told.wait_for(1)[0]
        assert values(message)['privacy'] == 'blur'
        # pictures alone, of which none is ever answered
        deadline = time.monotonic() + 20.0
        number = 200
        while not (told and 'no_keypoints' in values(told[-1])['faults']):
            assert time.monotonic() < deadline
            images.publish(encode_image(picture(90), header(number)))
            number += 1
            time.sleep(0.1)
        node.interrupt()
        assert node.wait() == 0
        assert 'Traceback' not in node.output


def values(message):
    return {entry.key: entry.value for entry in message.status[0].values}
