"""Topics of any type are carried over from one bag into another, which is of ROS 2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from ffs_ros.bag.codec import TYPES
from ffs_ros.bag.recorded import Topic

_HEADER = "std_msgs/msg/Header"
_IDL_PART = "=" * 80 + "\n"


class Copied(NamedTuple):
    """How a topic gets into a bag of ROS 2."""

    definition: str
    digest: str
    """RIHS01 of the type, as REP 2016 has it."""
    cdr: Callable[[Any], Any]
    """A recorded message's data -> its data in the new bag."""


class NotCopied(Exception):
    """Says why."""


def copied(topic: Topic, ros1: bool) -> Copied:
    """How ``topic`` gets into a bag of ROS 2. Raises NotCopied where its messages could not be read there."""
    known = topic.msgtype in TYPES.fielddefs
    if not topic.definition and not known:
        raise NotCopied(f"the bag does not define {topic.msgtype}")
    try:
        types = _types_of(topic, ros1) if topic.definition else TYPES
        if not ros1:
            text = topic.definition or TYPES.generate_msgdef(topic.msgtype, ros_version=2)[0]
            return Copied(text, types.hash_rihs01(topic.msgtype), lambda data: data)
        if known:
            if _layout(types, topic.msgtype) != _layout(TYPES, topic.msgtype):
                raise NotCopied(f"ROS 2 has other fields in {topic.msgtype}")
            types = TYPES
        text, _ = types.generate_msgdef(topic.msgtype, ros_version=2)
        return Copied(text, types.hash_rihs01(topic.msgtype), lambda data: types.ros1_to_cdr(data, topic.msgtype))
    except NotCopied:
        raise
    except Exception as error:  # a damaged definition meets the parser anywhere
        raise NotCopied(f"its definition of {topic.msgtype} cannot be read ({error})") from error


def _types_of(topic: Topic, ros1: bool) -> Any:
    """What the bag defines, with ROS 2's header, which has no ``seq``."""
    types = get_typestore(Stores.EMPTY)
    if not ros1 and "IDL: " in topic.definition[: len(_IDL_PART) + 5]:
        for part in topic.definition.split(_IDL_PART)[1:]:
            types.register(get_types_from_idl(part.split("\n", 1)[1]))
        return types
    found = get_types_from_msg(topic.definition, topic.msgtype)
    if ros1:
        found[_HEADER] = TYPES.fielddefs[_HEADER]
        found.setdefault(topic.msgtype, TYPES.fielddefs.get(topic.msgtype, ([], [])))
    types.register(found)
    return types


def _layout(types: Any, msgtype: str) -> Any:
    """The types of its fields, whatever their names."""
    if msgtype.startswith("builtin_interfaces/") or msgtype == _HEADER:
        return msgtype
    return tuple(_layout_of_field(types, field) for _, field in types.fielddefs[msgtype][1])


def _layout_of_field(types: Any, field: Any) -> Any:
    kind, what = field
    if kind == Nodetype.NAME:
        return _layout(types, what)
    if kind == Nodetype.BASE:
        return what
    return kind, _layout_of_field(types, what[0]), what[1]
