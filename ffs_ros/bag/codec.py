"""Recorded messages become objects with ROS 2's attributes, and such objects CDR; bags of ROS 1 are no other."""

from __future__ import annotations

from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore

from ffs_ros.bag.recorded import Recorded
from ffs_ros.errors import MessageError

TYPES = get_typestore(Stores.ROS2_HUMBLE)
"""The messages of stereo cameras, which are the same in every distribution so far."""


UNREADABLE = (SerdeError, ValueError, IndexError, AssertionError)
"""What rosbags raises for a message that is damaged."""


def decoded(recorded: Recorded, ros1: bool) -> Any:
    """A message of ``TYPES``. Raises MessageError for one that is damaged."""
    msgtype = recorded.topic.msgtype
    try:
        data = TYPES.ros1_to_cdr(recorded.data, msgtype) if ros1 else recorded.data
        return TYPES.deserialize_cdr(data, msgtype)
    except UNREADABLE as error:
        raise MessageError(f"a message of {recorded.topic.name} is damaged: {error}") from error


def encoded(message: Any) -> memoryview:
    """CDR, little endian."""
    return TYPES.serialize_cdr(message, message.__msgtype__, little_endian=True)
