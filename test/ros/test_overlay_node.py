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


class Table:
    """Publishes pictures and answers of one namespace, and gathers the overlays that come back."""

    def __init__(self, probe, name, image_type=Image, topic='image'):
        self.probe, self.name = probe, name
        self.overlays = probe.subscribe(Image, f'/{name}/overlay_node/image', 50)
        self.images = self.publisher(image_type, topic)
        self.answers = self.publisher(PointCloud2, 'keypoints')
        self.number = 0     # of the last picture

    def publisher(self, message_type, topic):
        return self.probe.publisher(message_type, f'/{self.name}/{topic}', 50, subscribers=1)

    def send(self, answer, value=90):
        """The next picture and this answer to it; its header."""
        self.number += 1
        self.images.publish(encode_image(picture(value), header(self.number)))
        self.answers.publish(encode_keypoints(answer, header(self.number)))
        return header(self.number)

    def begin(self, send):
        """Send until what is drawn comes back; nothing is on its way then."""
        self.probe.until_answered(lambda: send().stamp, self.overlays)
        del self.overlays[:]

    def set_text(self, name, text):
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=text)
        request = SetParameters.Request(parameters=[Parameter(name=name, value=value)])
        return self.probe.call(
            SetParameters, f'/{self.name}/overlay_node/set_parameters', request).results[0]


@pytest.fixture(scope='module')
def quiet_node(ros_domain, node_process):
    with node_process(MODULE, params=QUIET, remaps=remaps('quiet')) as node:
        yield node


@pytest.fixture(scope='module')
def met_table(quiet_node, probe, make_result):
    table = Table(probe, 'quiet')
    table.begin(lambda: table.send(make_result([])))
    return table


@pytest.fixture
def table(met_table):
    """A node that several tests share; it is afterwards as it was."""
    yield met_table
    for name, text in (('privacy', 'off'), ('layout', 'single')):
        assert met_table.set_text(name, text).successful
    del met_table.overlays[:]


def sides_drawn(message):
    image = decode_image(message)
    return {side for side, colour in SIDE_COLOURS_RGB.items() if (image == colour).all(-1).any()}


def test_answers_are_drawn_over_their_own_picture(table, make_infant, make_result):
    first = table.number + 1
    for number, value in enumerate((50, 100, 150), first):
        table.images.publish(encode_image(picture(value), header(number)))
    # The first is never answered; the second has an infant; the third has none.
    table.answers.publish(encode_keypoints(make_result([make_infant()]), header(first + 1)))
    table.answers.publish(encode_keypoints(make_result([]), header(first + 2)))
    overlays = table.overlays
    overlays.wait_for(2)
    # An answer may overtake its picture.
    table.number = first + 3
    table.answers.publish(encode_keypoints(make_result([]), header(table.number)))
    table.images.publish(encode_image(picture(200), header(table.number)))
    overlays.wait_for(3)
    assert numbers(overlays) == [first + 1, first + 2, first + 3]
    assert overlays[0].header == header(first + 1) and overlays[0].encoding == 'rgb8'
    assert sides_drawn(overlays[0]) == {'left', 'right', 'centre'}
    assert [decode_image(message)[-1, -1, 0] for message in overlays] == [100, 150, 200]
    assert (decode_image(overlays[1]) == 150).all()


def test_privacy_can_be_switched_on_and_a_bad_mode_is_refused(table, make_infant, make_result):
    refused = table.set_text('privacy', 'mask')
    assert not refused.successful and "'mask' is not one of" in refused.reason
    assert table.set_text('privacy', 'black').successful
    table.send(make_result([make_infant()]), 123)
    (overlay,) = table.overlays.wait_for(1)
    assert not (decode_image(overlay) == 123).all(-1).any()
    assert 'left' in sides_drawn(overlay)


def test_the_layout_can_change_while_it_runs(table, make_infant, make_result):
    assert table.set_text('layout', 'side_by_side').successful
    raw = table.publisher(PointCloud2, 'keypoints_raw')
    result = make_result([make_infant(lost=range(16))])
    raw.publish(encode_keypoints(result, table.send(result), raw=True))
    table.overlays.wait_for(1)
    assert table.set_text('layout', 'single').successful
    table.send(result)      # is answered after the change, and needs no raw keypoints
    overlays = table.overlays.wait_for(2)
    assert [message.width for message in overlays] == [1282, 640]
    left = decode_image(overlays[0])[:, :640]
    assert any((left == colour).all(-1).any() for colour in SIDE_COLOURS_RGB.values())


def test_a_truncated_picture_is_left_out_and_the_node_goes_on(table, quiet_node, make_result):
    table.number += 1
    broken = encode_image(picture(90), header(table.number))
    broken.data = broken.data[:1000]
    table.images.publish(broken)
    table.answers.publish(encode_keypoints(make_result([]), header(table.number)))
    quiet_node.wait_for_log('left out: .*truncated.* got 1000')
    table.send(make_result([]), 91)
    assert numbers(table.overlays.wait_for(1)) == [table.number]


def test_it_ends_with_code_0_and_nothing_escaped(met_table, quiet_node):
    quiet_node.interrupt()
    assert quiet_node.wait() == 0
    assert 'Traceback' not in quiet_node.output


def test_compressed_pictures_and_raw_keypoints(node_process, probe, make_infant, make_result):
    params = QUIET | {'image_transport': 'compressed', 'draw_raw': True}
    with node_process(MODULE, params=params, remaps=remaps('packed')):
        table = Table(probe, 'packed', CompressedImage, 'image/compressed')
        raw = table.publisher(PointCloud2, 'keypoints_raw')
        result = make_result([make_infant(raw_shift_px=200.0, lost=range(16))])

        def send():
            table.number += 1
            head = header(table.number)
            table.images.publish(encode_compressed(picture(90), head))
            table.answers.publish(encode_keypoints(result, head))
            raw.publish(encode_keypoints(result, head, raw=True))
            return head.stamp

        overlay = probe.until_answered(send, table.overlays)
        # All smoothed keypoints are lost: what is drawn is raw.
        assert sides_drawn(overlay)


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
        node_process, probe, make_infant, make_result):
    told = probe.subscribe(DiagnosticArray, '/diagnostics')

    def diagnosed(*names):
        del told[:]
        return told.wait_for(lambda m: m.status[0].name == 'odd/overlay_node: overlay' and (
            set(names) <= set(values(m)['faults'].split(',')))).status[0]

    params = {'privacy': 'blur', 'trail_s': 1.0}
    with node_process(MODULE, params=params, remaps=remaps('odd')) as node:
        assert diagnosed('no_publisher').level == DiagnosticStatus.ERROR
        table = Table(probe, 'odd')
        images, answers, overlays = table.images, table.answers, table.overlays
        diagnosed('no_image')
        table.begin(lambda: table.send(make_result([])))
        good = encode_keypoints(make_result([make_infant()]), header(1))
        for number, cloud in enumerate(odd_clouds(good), 1000):
            cloud.header = header(number)
            images.publish(encode_image(picture(90), cloud.header))
            answers.publish(cloud)
        node.wait_for_log('a picture was left out')
        assert diagnosed('picture_failed').level == DiagnosticStatus.ERROR
        negative = header(-5)
        images.publish(encode_image(picture(90), negative))
        answers.publish(encode_keypoints(make_result([make_infant()]), negative))
        overlays.wait_for(lambda message: message.header == negative)
        images.publish(encode_image(picture(90), header(1100)))
        answers.publish(encode_keypoints(make_result([make_infant()]), header(1100)))
        overlays.wait_for(lambda message: message.header == header(1100))
        del told[:]
        message = told.wait_for(1)[0]
        assert values(message)['privacy'] == 'blur'
        # pictures alone, of which none is ever answered
        deadline = time.monotonic() + 20.0
        number = 1200
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
