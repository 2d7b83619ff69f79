"""Pictures from a rosbag2 bag, with their own stamps and the camera recorded beside them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from infant_pose_ros.codecs.camera_infos import decode_camera_info
from infant_pose_ros.codecs.image_messages import decode_compressed, decode_image
from infant_pose_ros.errors import EncodingError, InfantPoseError, InvalidInputError, SourceError
from infant_pose_ros.media.bags import Bag, NS_PER_S, stamp_ns
from infant_pose_ros.media.sources import DEFAULT_RATE_HZ, FrameSource, SourceFrame
from infant_pose_ros.structures import Camera

IMAGE, COMPRESSED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
#: Pictures whose stamps tell the rate.
_RATE_PICTURES = 31


class BagSource(FrameSource):
    """One image topic of a bag. A frame's `stamp_s` is its header's, s since the epoch.

    Args:
        path: the bag.
        topic: the Image or CompressedImage topic; None takes the only one there is. Where a
            topic is there raw and as `/compressed`, the raw one is taken.
        fps: stamps of this rate, from 0, in place of the headers'.

    Raises:
        SourceError: it can't be read, holds no pictures, or several topics with them.
    """

    def __init__(self, path: Path, topic: str | None = None, fps: float | None = None):
        self._bag, self._fps = Bag(path), fps
        try:
            self._look_into(path.name, topic)
        except InfantPoseError:
            self._bag.close()
            raise

    def _look_into(self, name: str, topic: str | None) -> None:
        """Choose the topic, and learn size, rate and camera."""
        self.topic = _chosen_topic(self._bag, topic)
        pictures = list(islice(self._bag.messages([self.topic]), _RATE_PICTURES))
        if not pictures:
            self._bag.first(self.topic)     # says what is wrong
        first = pictures[0][2]
        height, width = self._decode(first, 0).shape[:2]
        super().__init__(name, self._fps or _rate_hz([stamp_ns(m) for _, _, m in pictures]),
                         self._bag.count(self.topic), (width, height))
        self.camera = _camera_of(self._bag, self.topic, first.header.frame_id)

    def __iter__(self) -> Iterator[SourceFrame]:
        for index, (_, _, message) in enumerate(self._bag.messages([self.topic])):
            stamp_s = index / self._fps if self._fps else stamp_ns(message) / NS_PER_S
            yield SourceFrame(index, f'{self.name}#{index}', stamp_s,
                              self._decode(message, index))

    def close(self) -> None:
        """Close the bag."""
        self._bag.close()

    def _decode(self, message: Any, index: int) -> np.ndarray:
        decode = decode_image if hasattr(message, 'encoding') else decode_compressed
        try:
            return np.require(decode(message), requirements=['C', 'W'])
        except EncodingError as error:
            raise SourceError(
                f'source {self._bag.path}: picture {index} of {self.topic}: {error}') from error


def _chosen_topic(bag: Bag, wanted: str | None) -> str:
    """The image topic to read."""
    there = sorted(topic for topic, kind in bag.topics.items() if kind in (IMAGE, COMPRESSED))
    if not there:
        raise SourceError(
            f'source {bag.path}: the bag holds no Image or CompressedImage; topics: '
            f'{", ".join(sorted(bag.topics)) or "none"}. Recorded keypoints are smoothed with '
            '`infant-pose smooth`')
    if wanted is not None:
        for name in (wanted, f'{wanted}/compressed'):
            if name in there:
                return name
        raise SourceError(f'source {bag.path}: no pictures on topic {wanted}; they are on '
                          f'{", ".join(there)}')
    cameras = [name for name in there
               if not (name.endswith('/compressed') and _base(name) in there)]
    if len(cameras) > 1:
        raise SourceError(f'source {bag.path}: several topics have pictures: name one with '
                          f'--topic: {", ".join(cameras)}')
    return cameras[0]


def _base(topic: str) -> str:
    """The topic without its transport's name."""
    return topic.removesuffix('/compressed')


def _camera_of(bag: Bag, topic: str, frame_id: str) -> Camera | None:
    """The calibration recorded beside the pictures, or else of the same frame; None: there is
    none, or the camera says that it isn't calibrated.
    """
    infos = [name for name, kind in bag.topics.items() if kind == CAMERA_INFO]
    beside = f'{_base(topic).rpartition("/")[0]}/camera_info'
    for name in sorted(infos, key=lambda name: name != beside):
        info = bag.first(name)
        if name == beside or info.header.frame_id == frame_id:
            if not any(info.k):
                return None
            try:
                return decode_camera_info(info)
            except InvalidInputError as error:
                raise SourceError(f'source {bag.path}: {name}: {error}; record it again, or give '
                                  'the calibration as a file') from error
    return None


def _rate_hz(stamps_ns: list[int]) -> float:
    """The usual rate of these stamps."""
    steps_ns = np.diff(stamps_ns)
    steps_ns = steps_ns[steps_ns > 0]
    return NS_PER_S / float(np.median(steps_ns)) if len(steps_ns) else DEFAULT_RATE_HZ
