"""Reading rosbag2 bags (MCAP or SQLite) with the `rosbags` library: no ROS is needed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
import sqlite3
import struct
from typing import Any

from infant_pose_ros.errors import MissingDependencyError, SourceError
from infant_pose_ros.text_files import one_line

BAG_SUFFIXES = ('.mcap', '.db3')
NS_PER_S = 1_000_000_000
#: What a bag's metadata.yaml begins with, after comments at most.
_METADATA_KEY = b'rosbag2_bagfile_information'
_METADATA_HEAD_BYTES = 4096


def is_bag(path: Path) -> bool:
    """Whether that is a bag: a folder with rosbag2's metadata.yaml, or a storage file."""
    if path.is_dir():
        place = path / 'metadata.yaml'
        try:
            if not place.is_file():     # a pipe would be waited on for ever
                return False
            with place.open('rb') as file:
                return _METADATA_KEY in file.read(_METADATA_HEAD_BYTES)
        except OSError:     # it may not be read
            return False
    return path.suffix.lower() in BAG_SUFFIXES and path.is_file()


def rosbags_modules():
    """The library's rosbag2 module, and the definitions of ROS 2's own messages.

    Raises:
        MissingDependencyError: `rosbags` is not installed.
    """
    try:
        from rosbags import rosbag2
        from rosbags.typesys import get_typestore, Stores
    except ImportError as error:
        raise MissingDependencyError(
            'bags need the rosbags library: pip install rosbags') from error
    return rosbag2, get_typestore(Stores.ROS2_HUMBLE)


class Bag:
    """A bag opened for reading; the messages of common_interfaces can be decoded.

    Args:
        path: the bag's folder, or a storage file.

    Raises:
        SourceError: it can't be read.
        MissingDependencyError: `rosbags` is not installed.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        rosbag2, self._typestore = rosbags_modules()
        # What the library lets through where a file is damaged: sizes in it may be anything, and
        # its decompressors have errors of their own (LZ4: RuntimeError). It is caught around the
        # library's calls alone: nothing of ours, and nothing of who iterates, runs in there.
        self._errors = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError,
                        AssertionError, MemoryError, ArithmeticError, RuntimeError, struct.error,
                        *_others_errors(), rosbag2.ReaderError)
        try:
            self._reader = rosbag2.Reader(self.path)
            self._reader.open()
        except self._errors as error:
            raise SourceError(
                f'bag {path}: can not be read: {one_line(error)}; a recording that broke off can '
                'be mended with `ros2 bag reindex`') from error

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_exc_info) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; calling it twice does no harm."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    @property
    def is_mcap(self) -> bool:
        """Whether it is stored as MCAP; else it is SQLite."""
        if not self.path.is_dir():
            return self.path.suffix.lower() == '.mcap'
        return any('.mcap' in path.suffixes for path in self.path.iterdir())

    @property
    def connections(self) -> tuple:
        """The library's own `Connection`s, in the bag's order."""
        return tuple(self._reader.connections)

    @property
    def topics(self) -> dict[str, str]:
        """Type of each topic that holds messages: 'sensor_msgs/msg/Image', say."""
        return {connection.topic: connection.msgtype for connection in self.connections
                if connection.msgcount}

    def count(self, topic: str) -> int:
        """Messages of a topic."""
        return sum(connection.msgcount for connection in self.connections
                   if connection.topic == topic)

    def stored(self, topics: Collection[str] | None = None) -> Iterator[tuple[Any, int, bytes]]:
        """Connection, time of recording (ns) and serialised message, by time of recording.

        Raises:
            SourceError: the file is damaged.
        """
        chosen = [connection for connection in self.connections
                  if topics is None or connection.topic in topics]
        if not chosen:
            return
        try:
            yield from self._reader.messages(connections=chosen)
        except self._errors as error:
            raise SourceError(
                f'bag {self.path}: is damaged: {one_line(error)}; copy what can be read with '
                '`ros2 bag convert`') from error

    def messages(self, topics: Collection[str]) -> Iterator[tuple[str, int, Any]]:
        """Topic, time of recording (ns) and decoded message, by time of recording.

        Raises:
            SourceError: the file or one of the messages is damaged.
        """
        from rosbags.serde import SerdeError
        for connection, received_ns, data in self.stored(topics):
            try:
                message = self._typestore.deserialize_cdr(data, connection.msgtype)
            except (SerdeError, *self._errors) as error:
                raise SourceError(f'bag {self.path}: a message of {connection.topic} can not be '
                                  f'decoded: {one_line(error)}') from error
            yield connection.topic, received_ns, message

    def first(self, topic: str) -> Any:
        """The first message of a topic, decoded.

        Raises:
            SourceError: as `messages`, or there is none although the metadata counts some.
        """
        for _, _, message in self.messages([topic]):
            return message
        raise SourceError(f'bag {self.path}: holds no message of {topic}, though its metadata '
                          'says so; mend it with `ros2 bag reindex`')


def _others_errors() -> tuple[type[Exception], ...]:
    """What SQLite and Zstandard raise where a bag is damaged; `rosbags` chooses which ones."""
    from rosbags.rosbag2 import reader, storage_sqlite3
    zstd = getattr(reader, 'zstd', None)
    return (sqlite3.Error, getattr(storage_sqlite3, 'apsw', sqlite3).Error,
            *([zstd.ZstdError] if hasattr(zstd, 'ZstdError') else []))


def stamp_ns(message: Any) -> int:
    """Stamp of a decoded message's header, ns."""
    stamp = message.header.stamp
    return stamp.sec * NS_PER_S + stamp.nanosec
