"""A new bag of ROS 2: outputs, and the topics of the old one where they are wanted."""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer

from ffs_ros.bag.codec import TYPES, UNREADABLE, encoded
from ffs_ros.bag.copies import NotCopied, copied
from ffs_ros.bag.output_messages import OUTPUT_TYPES
from ffs_ros.bag.recorded import Bag, Recorded, Topic
from ffs_ros.errors import FfsError, FileError
from ffs_ros.topics import OUTPUT_DEPTH, OUTPUTS

STORAGES = ("mcap", "sqlite3")

_VERSION: Literal[8] = 8
"""Of metadata.yaml: numbers for QoS, which every distribution reads; 9 has words."""
_FOREVER = QosTime(9223372036, 854775807)
"""RMW_DURATION_INFINITE."""
_LATEST_NS = 2**63 - 1
"""As ROS has times; before 0 MCAP has none, and after this SQLite."""
_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")
"""Between the slashes of a topic."""


class OutputBag:
    """Open for writing."""

    def __init__(self, writer: Writer, topics: Mapping[str, str]) -> None:
        self._writer = writer
        self._connections = {
            name: writer.add_connection(
                topic,
                OUTPUT_TYPES[name],
                typestore=TYPES,
                offered_qos_profiles=[_qos(OUTPUT_DEPTH, QosDurability.VOLATILE)],
            )
            for name, topic in topics.items()
        }
        self._copies: dict[Topic, tuple[Any, Callable[[Any], Any]]] = {}
        self._left_out: list[str] = []
        self._damaged: Counter[str] = Counter()
        self._moved = 0
        self.bytes = 0
        """Of the messages so far."""

    def take_over(self, bag: Bag) -> None:
        """Have all of its topics copied. Raises FfsError where one has the name of an output."""
        outputs = {connection.topic for connection in self._connections.values()}
        for topic in bag.counts:
            if topic.name in outputs:
                raise FfsError(
                    f"the bag has a topic {topic.name} already, and --with-inputs would mix it with the new one: put "
                    "the outputs elsewhere with --namespace, or leave --with-inputs away"
                )
            try:
                way = copied(topic, bag.ros1)
            except NotCopied as error:
                self._left_out.append(f"{topic.name} is not copied: {error}")
                continue
            known = [one for one in self._writer.connections if (one.topic, one.msgtype) == (topic.name, topic.msgtype)]
            qos = list(topic.qos) or ([_qos(1, QosDurability.TRANSIENT_LOCAL)] if topic.latched else [])
            connection = (
                known[0]
                if known
                else self._writer.add_connection(
                    topic.name, topic.msgtype, msgdef=way.definition, rihs01=way.digest, offered_qos_profiles=qos
                )
            )
            self._copies[topic] = connection, way.cdr

    def copy(self, recorded: Recorded) -> None:
        """A message of the old bag, at its time."""
        if recorded.topic not in self._copies:
            return
        connection, cdr = self._copies[recorded.topic]
        try:
            data = cdr(recorded.data)
        except UNREADABLE:
            self._damaged[recorded.topic.name] += 1
        else:
            self._write(connection, recorded.log_ns, data)

    def write(self, name: str, message: Any, log_ns: int) -> None:
        """An output, by its name in ``OUTPUTS``."""
        self._write(self._connections[name], log_ns, encoded(message))

    @property
    def not_copied(self) -> list[str]:
        """A sentence for each topic of which something could not be taken over."""
        damaged = [f"{count} messages of {name} are damaged, and not copied" for name, count in self._damaged.items()]
        moved = (
            [f"{self._moved} messages have a time that no bag can hold, and are at the nearest one"]
            if self._moved
            else []
        )
        return self._left_out + damaged + moved

    def messages(self) -> dict[str, int]:
        """How many messages each topic has so far."""
        counts: Counter[str] = Counter()
        for connection in self._writer.connections:  # several of one topic, where the old bag has it with several types
            counts[connection.topic] += self._writer.counts[connection.id]
        return dict(counts)

    def _write(self, connection: Any, log_ns: int, data: Any) -> None:
        held_ns = min(max(log_ns, 0), _LATEST_NS)
        self._moved += held_ns != log_ns
        self._writer.write(connection, held_ns, data)
        self.bytes += len(data)


@contextmanager
def output_bag(folder: Path, storage: str, topics: Mapping[str, str]) -> Iterator[OutputBag]:
    """A bag in a new ``folder``, for outputs by their names in ``OUTPUTS``; after the block it is complete.

    Raises FileError when the file system refuses.
    """
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[storage]
    try:
        with Writer(folder, version=_VERSION, storage_plugin=plugin) as writer:
            yield OutputBag(writer, topics)
    except sqlite3.Error as error:
        raise FileError(f"cannot write the bag: {error}; is the disk full?") from error


def output_topic(namespace: str, name: str) -> str:
    """The full name of an output. Raises FfsError for what ROS takes for no name."""
    parts = [part for part in namespace.split("/") if part]
    if not all(_NAME.fullmatch(part) for part in parts):
        raise FfsError(
            f"--namespace is {namespace!r}: expected names with / between them, of letters, digits and _, that do not "
            "begin with a digit, for example --namespace front/stereo"
        )
    return "/".join(["", *parts, OUTPUTS[name]])


def _qos(depth: int, durability: QosDurability) -> Qos:
    return Qos(
        history=QosHistory.KEEP_LAST,
        depth=depth,
        reliability=QosReliability.RELIABLE,
        durability=durability,
        deadline=_FOREVER,
        lifespan=_FOREVER,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=_FOREVER,
        avoid_ros_namespace_conventions=False,
    )
