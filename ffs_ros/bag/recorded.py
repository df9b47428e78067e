"""What a bag holds, whatever its format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple, Protocol

from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"


class Topic(NamedTuple):
    """One topic of one type."""

    name: str
    msgtype: str
    """As ROS 2 writes it, ``sensor_msgs/msg/Image``, also in bags of ROS 1."""
    definition: str = ""
    """Text of the message's definition, where the bag has it."""
    qos: tuple[Any, ...] = ()
    """What its publisher offered: rosbags' ``Qos``."""
    latched: bool = False
    """ROS 1: its last message was kept for subscribers that came later."""


def absolute(name: str) -> str:
    """A topic's full name; ROS 1 may have recorded it, and a user write it, without the slash before."""
    return "/" + "/".join(part for part in name.split("/") if part)


class Recorded(NamedTuple):
    """One message."""

    topic: Topic
    log_ns: int
    """When it was recorded."""
    data: bytes | memoryview
    """Serialised as the bag has it: CDR, or ROS 1's own form."""


def unpacked(data: Any) -> Any:
    """A message of ROS 2 that may be packed by itself: CDR begins with 0, zstd does not."""
    return DECOMPRESSORS["zstd"](bytes(data), 0) if data[:4] == _ZSTD_MAGIC else data


class Bag(Protocol):
    """A bag that is open for reading."""

    ros1: bool
    counts: Counter[Topic]
    """Every topic, and how many messages it has."""
    damage: list[str]
    """A sentence for each part that cannot be read."""

    def messages(self, names: Collection[str]) -> Iterator[Recorded]:
        """The messages of these topics in the order of their recording. Raises BagDamaged where it cannot go on."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class BagDamaged(Exception):
    """The bag cannot be read as a whole; what is left of it may be."""
