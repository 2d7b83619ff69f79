"""Recording serialised messages to a rosbag2 bag (MCAP), and reading it back to be sure.

Written with the `rosbags` library, which needs no rosbag2; `ros2 bag play` reads the result.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from infant_pose_ros.errors import DatasetError, InvalidInputError
from infant_pose_ros.media.bag_copy import BAG_VERSION, make_way_for_bag
from infant_pose_ros.media.bags import rosbags_modules


def message_type_name(message_type: type) -> str:
    """'sensor_msgs/msg/Image' for that message class."""
    package = message_type.__module__.split('.')[0]
    return f'{package}/msg/{message_type.__name__}'


class BagWriter:
    """Write messages as they came over DDS (CDR).

    Args:
        folder: the bag; an older bag there is replaced, anything else is not touched.

    Raises:
        InvalidInputError: the folder holds something that is no bag, or can't be written.
        MissingDependencyError: `rosbags` is not installed.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        rosbag2, self._typestore = rosbags_modules()
        make_way_for_bag(self.folder)
        self._writer = rosbag2.Writer(self.folder, version=BAG_VERSION,
                                      storage_plugin=rosbag2.StoragePlugin.MCAP)
        try:
            self._writer.open()
        except OSError as error:
            raise InvalidInputError(f'bag {folder}: can not be written: {error}') from error
        self._connections: dict[str, object] = {}
        self.counts: Counter[str] = Counter()

    def write(self, topic: str, message_type: type, received_ns: int, data: bytes,
              latched: bool = False) -> None:
        """Add one serialised message; `latched`: play it back as transient local."""
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._connections[topic] = self._writer.add_connection(
                topic, message_type_name(message_type), typestore=self._typestore,
                offered_qos_profiles=[_offered_qos(latched)])
        self._writer.write(connection, received_ns, data)
        self.counts[topic] += 1

    def close(self) -> None:
        """Finish the file and its metadata."""
        if not self._connections:
            # An empty bag has no times; rosbag2 wants numbers all the same.
            self._writer.min_timestamp = 0
        self._writer.close()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.close()


def read_back(folder: str | Path) -> Counter[str]:
    """Decode every message of a bag; the number of messages by topic.

    Raises:
        DatasetError: the bag or one of its messages can't be read.
        MissingDependencyError: `rosbags` is not installed.
    """
    rosbag2, _ = rosbags_modules()
    from rosbags.highlevel import AnyReader, AnyReaderError
    from rosbags.serde import SerdeError
    counts: Counter[str] = Counter()
    try:
        with AnyReader([Path(folder)]) as reader:
            for connection, _, data in reader.messages():
                reader.deserialize(data, connection.msgtype)
                counts[connection.topic] += 1
    except (OSError, ValueError, IndexError, AssertionError, AnyReaderError, SerdeError,
            rosbag2.ReaderError) as error:
        raise DatasetError(f'bag {folder}: can not be read back: {error}') from error
    return counts


def _offered_qos(latched: bool):
    """What rosbag2 would note of a publisher: reliable, and transient local where latched."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )
    endless = QosTime(9223372036, 854775807)
    return Qos(QosHistory.KEEP_LAST, 10, QosReliability.RELIABLE,
               QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
               endless, endless, QosLiveliness.AUTOMATIC, endless, False)
