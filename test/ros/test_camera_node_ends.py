"""How a camera_node ends whose source has no picture any more, or fails just then."""

import pytest
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image

#: What is run in place of the node's module: the node on a source of a test's own.
SCRIPT = """
import itertools
import threading

import numpy as np

from infant_pose_ros.entry import finish
from infant_pose_ros.errors import SourceError
from infant_pose_ros.media.sources import FrameSource
from infant_pose_ros.nodes import camera_node

passes, ends = itertools.count(), threading.Event()
close = camera_node.CameraNode.close


class Source(FrameSource):
    is_live = {is_live}

    def __init__(self):
        super().__init__('a device', 20.0, None, (64, 48))

    def _pictures(self):
        picture = 'picture', np.full((48, 64, 3), 90, np.uint8)
        {pictures}


def close_in_the_end(self):
    ends.set()
    close(self)


camera_node.CameraNode.close = close_in_the_end
camera_node.open_source = lambda *_: Source()
finish(camera_node.main())
"""
#: None after the first pass, as of a video that was replaced.
EMPTIED = 'yield from [picture] * 3 if next(passes) == 0 else ()'
#: The device is unplugged in the moment in which the node is told to end.
UNPLUGGED = """while not ends.wait(0.05):
            yield picture
        raise SourceError('source a device: the webcam stopped giving pictures')"""


@pytest.fixture
def node_on(node_process, ros_domain, tmp_path):
    """Starts a camera_node with this way of giving pictures: `node_on(pictures, is_live)`."""
    def start(pictures, is_live):
        script = tmp_path / 'node.py'
        script.write_text(SCRIPT.format(pictures=pictures, is_live=is_live), encoding='utf-8')
        return node_process(script, env=ros_domain)
    return start


def test_a_source_without_pictures_ends_it_with_code_1(node_on):
    with node_on(EMPTIED, False) as node:
        assert node.wait(60.0) == 1
        assert 'source a device: it has no picture any more' in node.output
        assert 'Traceback' not in node.output


def test_a_webcam_that_fails_while_the_node_ends_is_no_failure(node_on, probe):
    images = probe.subscribe(Image, '/image', QoSProfile(depth=5))
    with node_on(UNPLUGGED, True) as node:
        images.wait_for(1, 60.0)
        node.interrupt()
        assert node.wait(30.0) == 0
        assert 'Traceback' not in node.output
