"""Bags that are as their writer left them, through rosbags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag1 import Reader as Reader1
from rosbags.rosbag2 import Reader as Reader2

from ffs_ros.bag.recorded import BagDamaged, Recorded, Topic, absolute, unpacked


class IntactBag:
    """A ROS 1 bag, a ROS 2 bag's folder or one of its files."""

    def __init__(self, path: Path, ros1: bool) -> None:
        """Raises BagDamaged unless all of it that is needed to read the messages is there; OSError."""
        self.ros1 = ros1
        self.damage: list[str] = []
        try:
            self._reader: Any = Reader1(path) if ros1 else Reader2(path)
            self._reader.open()
        except OSError:
            raise
        except Exception as error:  # a damaged file meets rosbags in any of its places, and those of its libraries
            raise BagDamaged(_reason(error)) from error
        self._topics = {connection.id: _topic_of(connection) for connection in self._reader.connections}
        self.counts: Counter[Topic] = Counter()
        for connection in self._reader.connections:
            self.counts[self._topics[connection.id]] += connection.msgcount

    def messages(self, names: Collection[str]) -> Iterator[Recorded]:
        """See ``Bag.messages``."""
        connections = [one for one in self._reader.connections if self._topics[one.id].name in names]
        if not connections:
            return  # to rosbags none means all
        promised = sum(connection.msgcount for connection in connections)
        found = 0
        try:
            for connection, log_ns, data in self._reader.messages(connections):
                found += 1
                yield Recorded(self._topics[connection.id], log_ns, data if self.ros1 else unpacked(data))
        except OSError:
            raise
        except Exception as error:
            raise BagDamaged(_reason(error)) from error
        if found < promised:
            raise BagDamaged(f"{promised - found} of {promised} messages are not where they should be")

    def close(self) -> None:
        """See ``Bag.close``."""
        self._reader.close()


def _topic_of(connection: Any) -> Topic:
    known = connection.msgdef.format != MessageDefinitionFormat.NONE
    return Topic(
        name=absolute(connection.topic),
        msgtype=connection.msgtype,
        definition=connection.msgdef.data if known else "",
        qos=tuple(getattr(connection.ext, "offered_qos_profiles", ())),
        latched=bool(getattr(connection.ext, "latching", 0)),
    )


def _reason(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or repr(error)
