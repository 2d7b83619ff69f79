import pytest

from infant_pose_ros.findings import Level
from infant_pose_ros.ros.doctor_facts import (
    CAMERA_INFO,
    Endpoint,
    GraphFacts,
    IMAGE,
    NodeFacts,
    Stream,
    TopicFacts,
)
from infant_pose_ros.ros.doctor_streams import stamp_findings, stream_findings

S = 1_000_000_000
CAMERA = (Endpoint('/camera', 'reliable'),)


def stream(count=10, age_s=0.01, size_wh=(64, 48), frame_id='optical', stamps_ns=None):
    arrivals = [1000 * S + number * S // 10 for number in range(count)]
    stamps = stamps_ns or [arrival - int(age_s * S) for arrival in arrivals]
    ages = [arrival - stamp for arrival, stamp in zip(arrivals, stamps) if stamp]
    return Stream([1000] * count, arrivals, stamps, ages, {frame_id}, {size_wh}, {'rgb8'})


def look(pictures, infos=None, listener=False, nodes=()):
    """{(about, level): text} of a graph with pictures and, perhaps, CameraInfo."""
    ends = (Endpoint('/pose_node', 'reliable'),) if listener else ()
    topics = {'/a/image': TopicFacts('/a/image', (IMAGE,), CAMERA, ends)}
    streams = {'/a/image': pictures}
    if infos is not None:
        topics['/a/camera_info'] = TopicFacts('/a/camera_info', (CAMERA_INFO,), CAMERA)
        streams['/a/camera_info'] = infos
    graph = GraphFacts(0, 5.0, nodes, topics, streams)
    return {(finding.about, finding.level): finding.text
            for finding in stream_findings(graph, '/a/image')}


def test_pictures_as_they_should_be():
    told = look(stream(), stream())
    assert set(told) == {('/a/image', Level.OK), ('/a/camera_info', Level.OK)}
    text = told['/a/image', Level.OK]
    assert '64x48 rgb8' in text and '10.0 a second' in text and '10 ms old' in text


@pytest.mark.parametrize(('listener', 'level'), [(True, Level.ERROR), (False, Level.WARN)])
def test_nothing_comes(listener, level):
    assert 'is the camera running' in look(Stream(), listener=listener)['/a/image', level]


@pytest.mark.parametrize(('reliability', 'advised'), [('best_effort', True), ('reliable', False)])
def test_the_mend_of_silence_fits_the_publisher(reliability, advised):
    topic = TopicFacts('/a/image', (IMAGE,), (Endpoint('/camera', reliability),))
    graph = GraphFacts(0, 5.0, (), {'/a/image': topic}, {'/a/camera_info': stream(count=7)})
    (finding,) = stream_findings(graph, '/a/image')
    assert ('let it publish reliable' in finding.text) is advised
    assert 'the camera runs, as 7 CameraInfo came' in finding.text
    assert 'Fast DDS profile' in finding.text


def test_an_overlay_that_draws_nothing_points_at_the_poses():
    told = look(Stream(), nodes=(NodeFacts('/a', 'overlay_node'),))
    assert 'see what pose_node says' in told['/a/image', Level.WARN]


@pytest.mark.parametrize(('infos', 'about', 'words'), [
    (None, '/a/image', 'no CameraInfo beside it on /a/camera_info'),
    (Stream(), '/a/camera_info', 'nothing came'),
    (stream(size_wh=(640, 480)), '/a/camera_info', 'describes pictures of 640x480'),
    (stream(frame_id='b'), '/a/camera_info', "frame_id 'b'"),
    (stream(age_s=0.02), '/a/camera_info', 'stamp both alike')])
def test_camera_info_that_does_not_belong(infos, about, words):
    assert words in look(stream(), infos)[about, Level.WARN]


def test_pictures_that_get_lost_are_counted_by_their_camera_info():
    half = stream()
    half.arrivals_ns, half.stamps_ns = half.arrivals_ns[::2], half.stamps_ns[::2]
    assert '5 pictures came, but 10 CameraInfo' in look(half, stream())['/a/image', Level.WARN]
    assert '5 CameraInfo came, but 10 pictures' in look(stream(), half)[
        '/a/camera_info', Level.WARN]
    # CameraInfo that came before the first picture does not count.
    late = stream()
    late.arrivals_ns, late.stamps_ns = late.arrivals_ns[5:], late.stamps_ns[5:]
    assert ('/a/image', Level.WARN) not in look(late, stream())


@pytest.mark.parametrize(('given', 'level', 'words'), [
    (stream(stamps_ns=[0] * 10), Level.WARN, 'zero'),
    (stream(stamps_ns=[5 * S] * 10), Level.ERROR, 'are the same'),
    (stream(stamps_ns=[n * S for n in (1, 2, 3, 1, 2, 3, 4, 5, 6, 7)]), Level.WARN,
     'backwards 1 times'),
    (stream(stamps_ns=[S, S, *(n * S for n in range(2, 10))]), Level.WARN, '1 of 10'),
    (stream(age_s=-2.0), Level.WARN, '2.00 s in the future'),
    (stream(age_s=100.0), Level.WARN, 'another clock'),
    (stream(age_s=1.0), Level.WARN, '1.0 s old')])
def test_stamps(given, level, words):
    assert any(finding.level is level and words in finding.text
               for finding in stamp_findings('/a', given))


def test_good_stamps_are_not_mentioned():
    assert list(stamp_findings('/a', stream())) == []
