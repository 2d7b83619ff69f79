"""Writing a copy of a bag with topics of keypoints added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
import shutil
from typing import Any

import numpy as np

from infant_pose_ros.codecs.keypoint_clouds import KEYPOINT_DTYPE, POINT_FIELDS
from infant_pose_ros.errors import InvalidInputError
from infant_pose_ros.media.bags import Bag, is_bag, rosbags_modules
from infant_pose_ros.skeleton import NUM_KEYPOINTS

#: The bag format's version: what ROS 2 Humble and everything newer reads.
BAG_VERSION = 8
POINT_CLOUD = 'sensor_msgs/msg/PointCloud2'


@dataclass(frozen=True)
class AddedKeypoints:
    """Keypoints to add: one answer for each message of another topic, with its header.

    Attributes:
        topic: the new one; where the bag has it already, it is replaced.
        infants: (N, 16) of `KEYPOINT_DTYPE` for each of the other topic's messages.
    """

    topic: str
    infants: Sequence[np.ndarray]


def check_place_of_bag(folder: Path, source: Path | None = None) -> None:
    """Refuse a place where a bag would take the place of something else.

    Args:
        source: the bag that is read meanwhile.

    Raises:
        InvalidInputError: the folder holds something that is no bag, or the source.
    """
    if source is not None and source.resolve().is_relative_to(folder.resolve()):
        raise InvalidInputError(f'bag {folder}: is or holds the input itself; give another folder')
    if folder.exists() and (not folder.is_dir() or (
            not is_bag(folder) and any(folder.glob('*')))):
        raise InvalidInputError(f'bag {folder}: exists and is no bag; move it or name another')


def make_way_for_bag(folder: Path, source: Path | None = None) -> None:
    """Remove an older bag of that name.

    Args:
        source: the bag that is read meanwhile.

    Raises:
        InvalidInputError: the folder holds something that is no bag, or the source.
    """
    check_place_of_bag(folder, source)
    if folder.exists():
        shutil.rmtree(folder)


def copy_bag(bag: Bag, folder: Path, added: Mapping[str, AddedKeypoints]) -> list[str]:
    """Copy every message as it is stored, and add the new ones beside.

    The copy is stored as the bag is, MCAP or SQLite.

    Args:
        folder: the new bag; an older bag there is replaced.
        added: by the topic whose messages each of the new ones goes with.

    Returns:
        Topics that could not be copied: their messages are of a type that neither the bag nor
        `rosbags` defines.

    Raises:
        InvalidInputError: the folder holds something that is no bag, is the bag itself, or
            can't be written.
        SourceError: the bag is damaged.
    """
    rosbag2, typestore = rosbags_modules()
    make_way_for_bag(folder, bag.path)
    plugin = rosbag2.StoragePlugin.MCAP if bag.is_mcap else rosbag2.StoragePlugin.SQLITE3
    writer = rosbag2.Writer(folder, version=BAG_VERSION, storage_plugin=plugin)
    try:
        writer.open()
        try:
            return _copy_messages(bag, writer, typestore, added)
        finally:
            writer.close()
    except (OSError, rosbag2.WriterError) as error:
        raise InvalidInputError(f'bag {folder}: can not be written: {error}') from error


def _copy_messages(bag: Bag, writer, typestore, added: Mapping[str, AddedKeypoints]) -> list[str]:
    new_topics = {one.topic for one in added.values()}
    copies, left_out = {}, []
    for connection in bag.connections:
        if connection.topic in new_topics:
            continue
        definition = _definition(connection, typestore)
        if definition is None:
            left_out.append(connection.topic)
            continue
        copies[connection.id] = writer.add_connection(
            connection.topic, connection.msgtype, **definition,
            offered_qos_profiles=connection.ext.offered_qos_profiles)
    news = {}
    for connection in bag.connections:
        if connection.topic in added and connection.topic not in news:
            one = added[connection.topic]
            news[connection.topic] = iter(one.infants), writer.add_connection(
                one.topic, POINT_CLOUD, typestore=typestore,
                offered_qos_profiles=connection.ext.offered_qos_profiles)
    for connection, received_ns, data in bag.stored():
        if connection.id in copies:
            writer.write(copies[connection.id], received_ns, data)
        if connection.topic in news:
            infants, copy = news[connection.topic]
            original = typestore.deserialize_cdr(data, POINT_CLOUD)
            cloud = keypoint_cloud(typestore, original.header, next(infants))
            writer.write(copy, received_ns, typestore.serialize_cdr(cloud, POINT_CLOUD))
    return left_out


def _definition(connection, typestore) -> dict[str, Any] | None:
    """What the writer must know of a message type; None where nobody does."""
    if connection.msgdef.data and connection.digest:
        return {'msgdef': connection.msgdef.data, 'rihs01': connection.digest}
    if connection.msgtype in typestore.fielddefs:
        return {'typestore': typestore}
    return None


def keypoint_cloud(typestore, header: Any, infants: np.ndarray) -> Any:
    """The PointCloud2 that `decode_keypoints` reads back, of `rosbags`' own class."""
    types = typestore.types
    field = types['sensor_msgs/msg/PointField']
    step = KEYPOINT_DTYPE.itemsize
    return types[POINT_CLOUD](
        header=header, height=len(infants), width=NUM_KEYPOINTS,
        fields=[field(name=name, offset=offset, datatype=datatype, count=1)
                for name, offset, datatype in POINT_FIELDS],
        is_bigendian=False, point_step=step, row_step=step * NUM_KEYPOINTS,
        data=np.frombuffer(infants.tobytes(), dtype=np.uint8), is_dense=False)
