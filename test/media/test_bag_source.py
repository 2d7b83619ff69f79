import numpy as np
import pytest

from infant_pose_ros.errors import SourceError
from infant_pose_ros.media.sources import open_source

STAMPS_S = (100.0, 100.1, 100.2, 100.5)


@pytest.fixture
def pictures(recorded):
    """Four grey pictures, 8 x 6, at 10 Hz with a gap, and their messages on a topic."""
    def make(topic, frame_id='optics', compressed=False):
        make_one = recorded.compressed if compressed else recorded.image
        return [(topic, round(1e9 * (stamp_s + 0.03)),
                 make_one(np.full((6, 8, 3), 50 * index, np.uint8), stamp_s, frame_id))
                for index, stamp_s in enumerate(STAMPS_S)]
    return make


@pytest.mark.parametrize('compressed', [False, True])
def test_pictures_with_their_own_stamps_and_camera(recorded, pictures, compressed):
    topic = '/cot/image/compressed' if compressed else '/cot/image'
    path = recorded.bag([*pictures(topic, compressed=compressed),
                         ('/cot/camera_info', 1, recorded.camera_info(100.0, fx=77.0)),
                         ('/other/camera_info', 0, recorded.camera_info(100.0, fx=11.0))])
    with open_source(path) as source:
        assert (source.name, source.topic, source.size_wh) == (path.name, topic, (8, 6))
        assert (source.num_frames, source.is_live) == (4, False)
        assert source.rate_hz == pytest.approx(10.0)
        assert (source.camera.fx, source.camera.width) == (77.0, 8)
        for _ in range(2):          # each iteration begins anew
            frames = list(source)
            assert [frame.stamp_s for frame in frames] == pytest.approx(STAMPS_S, abs=1e-6)
            assert [frame.image_rgb[3, 3, 0] for frame in frames] == pytest.approx(
                [0, 50, 100, 150], abs=2)
        assert frames[2].name == f'{path.name}#2' and frames[2].index == 2
        assert frames[2].image_rgb.flags.writeable


def test_a_rate_in_place_of_the_stamps(recorded, pictures):
    with open_source(recorded.bag(pictures('/image')), fps=4.0) as source:
        assert [frame.stamp_s for frame in source] == [0.0, 0.25, 0.5, 0.75]
        assert source.rate_hz == 4.0


def test_the_camera_of_the_same_frame_serves_too(recorded, pictures):
    path = recorded.bag([*pictures('/usb/image_rect'),
                         ('/a/info', 0, recorded.camera_info(100.0, fx=11.0, frame_id='x')),
                         ('/b/info', 0, recorded.camera_info(100.0, fx=22.0))])
    with open_source(path) as source:
        assert source.camera.fx == 22.0


def test_no_camera_and_one_that_is_not_calibrated(recorded, pictures):
    with open_source(recorded.bag(pictures('/image'))) as source:
        assert source.camera is None
    path = recorded.bag([*pictures('/image'),
                         ('/camera_info', 0, recorded.camera_info(100.0, fx=0.0))], name='two')
    with open_source(path) as source:
        assert source.camera is None


def test_of_a_raw_and_a_compressed_topic_the_raw_one(recorded, pictures):
    path = recorded.bag([*pictures('/image/compressed', compressed=True), *pictures('/image')])
    with open_source(path) as source:
        assert source.topic == '/image'
    with open_source(path, topic='/image/compressed') as source:
        assert source.topic == '/image/compressed'


def test_of_several_cameras_one_must_be_named(recorded, pictures):
    path = recorded.bag([*pictures('/a/image'), *pictures('/b/image/compressed', compressed=True)])
    with pytest.raises(SourceError, match='--topic: /a/image, /b/image/compressed$'):
        open_source(path)
    with open_source(path, topic='/b/image') as source:
        assert source.topic == '/b/image/compressed'
    with pytest.raises(SourceError, match='no pictures on topic /c; they are on /a/image'):
        open_source(path, topic='/c')


def test_a_bag_without_pictures_names_what_it_has(recorded):
    path = recorded.bag([('/a/text', 1, recorded.text('x'))])
    with pytest.raises(SourceError, match=r'no Image or CompressedImage; topics: /a/text\.'):
        open_source(path)


def test_a_picture_that_can_not_be_decoded_is_named(recorded, pictures):
    messages = pictures('/image')
    messages[2][2].encoding = '64FC4'
    with open_source(recorded.bag(messages)) as source, \
            pytest.raises(SourceError, match="picture 2 of /image: .*'64FC4'"):
        list(source)


def test_only_bags_have_topics(tmp_path):
    with pytest.raises(SourceError, match='is no bag, so it has no topic /image'):
        open_source(tmp_path, topic='/image')
