"""``--with-inputs``: every topic of the old bag is in the new one, readable, at its time; also from ROS 1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, FORMATS, ROS1, ROS2, START_NS, messages_of, stereo_stream, write_bag
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import Reader, StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from ffs_ros.bag.copies import NotCopied, copied
from ffs_ros.bag.recorded import Topic
from ffs_ros.errors import FfsError

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("kind", FORMATS)
def test_images_and_calibrations_beside_the_outputs(
    tmp_path: Path, pairs: Pairs, replay: Replay, kind: str, storage: str
) -> None:
    """The messages are equal in every field, the log times the same, and the types ROS 2's."""
    sent = stereo_stream(pairs[:3], CAMERA)
    _, out = replay(write_bag(tmp_path / "rec", kind, sent), with_inputs=True, storage=storage)
    for topic in ("/left/image_rect", "/right/image_rect", "/left/camera_info", "/right/camera_info"):
        expected = [(message.log_ns, message.message) for message in sent if message.topic == topic]
        found = messages_of(out, topic)
        assert [log_ns for log_ns, _ in found] == [log_ns for log_ns, _ in expected]
        for (_, ours), (_, theirs) in zip(found, expected, strict=True):
            kind = ours.__msgtype__
            assert bytes(ROS2.serialize_cdr(ours, kind)) == bytes(ROS2.serialize_cdr(theirs, kind))
    with Reader(out) as reader:
        digests = {connection.topic: connection.digest for connection in reader.connections}
        order = [log_ns for _, log_ns, _ in reader.messages()]
    assert order == sorted(order)
    assert set(digests) == {message.topic for message in sent} | {
        "/disparity",
        "/depth/image_rect",
        "/depth/camera_info",
    }
    if storage == "sqlite3":
        assert digests["/left/image_rect"] == ROS2.hash_rihs01("sensor_msgs/msg/Image")


def test_types_of_a_bag_of_ros1(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """One that ROS 2 does not know, with a header and a time; one that ROS 2 has with other fields is left out."""
    definition = "Header header\ntime due\nfloat32[] values\nstring name\n"
    header = "\n" + "=" * 80 + "\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
    types = get_typestore(Stores.ROS1_NOETIC)
    types.register(get_types_from_msg(definition + header, "mine_msgs/msg/Goal"))
    now = types.types["builtin_interfaces/msg/Time"](sec=3, nanosec=4)
    goal = types.types["mine_msgs/msg/Goal"](
        header=types.types["std_msgs/msg/Header"](seq=7, stamp=now, frame_id="map"),
        due=now, values=np.array([1.5, -2.0], np.float32), name="here",
    )  # fmt: skip
    battery = "uint8 STATE_FULL=0\nuint32 level\n"
    path = tmp_path / "rec.bag"
    with Writer1(path) as writer:
        for sent in stereo_stream(pairs[:1], CAMERA):
            kind = sent.message.__msgtype__
            known = {connection.topic: connection for connection in writer.connections}
            connection = known.get(sent.topic) or writer.add_connection(sent.topic, kind, typestore=ROS1)
            writer.write(connection, sent.log_ns, ROS2.cdr_to_ros1(ROS2.serialize_cdr(sent.message, kind), kind))
        connection = writer.add_connection("/goal", "mine_msgs/msg/Goal", typestore=types)
        writer.write(connection, START_NS, types.serialize_ros1(goal, "mine_msgs/msg/Goal"))
        connection = writer.add_connection("/battery", "sensor_msgs/msg/BatteryState", msgdef=battery, md5sum="0" * 32)
        writer.write(connection, START_NS, b"\x05\0\0\0")
        connection = writer.add_connection("/text", "std_msgs/msg/String", typestore=ROS1)
        for length in (2, 200, 1):  # of which two are damaged, one before its end and one behind
            writer.write(connection, START_NS, bytes([length, 0, 0, 0]) + b"ok")
    record, out = replay(path, with_inputs=True)
    assert record["output"]["not_copied"] == [
        "/battery is not copied: ROS 2 has other fields in sensor_msgs/msg/BatteryState",
        "2 messages of /text are damaged, and not copied",
    ]
    assert [message.data for _, message in messages_of(out, "/text")] == ["ok"]
    with Reader(out) as reader:
        [connection] = [connection for connection in reader.connections if connection.topic == "/goal"]
        [(_, log_ns, data)] = reader.messages([connection])
        own = get_typestore(Stores.EMPTY)
        own.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        found: Any = own.deserialize_cdr(data, connection.msgtype)
    assert log_ns == START_NS
    assert (found.header.frame_id, found.header.stamp.nanosec, found.due.sec, found.name) == ("map", 4, 3, "here")
    np.testing.assert_array_equal(found.values, [1.5, -2.0])


def test_definitions_that_are_missing_or_damaged() -> None:
    """Older sqlite3 bags have none: ROS 2's own are known, others not."""
    assert copied(Topic("/imu", "sensor_msgs/msg/Imu"), ros1=False).digest == ROS2.hash_rihs01("sensor_msgs/msg/Imu")
    with pytest.raises(NotCopied, match="does not define mine_msgs/msg/Goal"):
        copied(Topic("/goal", "mine_msgs/msg/Goal"), ros1=False)
    with pytest.raises(NotCopied, match="cannot be read"):
        copied(Topic("/goal", "mine_msgs/msg/Goal", "float32[[ x"), ros1=False)


def test_a_topic_with_the_name_of_an_output(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Two sources under one name cannot be told apart; another namespace can."""
    sent = stereo_stream(pairs[:1], CAMERA)
    sent.append(sent[1]._replace(topic="/disparity"))
    bag = write_bag(tmp_path / "rec", "mcap", sent)
    with pytest.raises(FfsError, match=r"a topic /disparity already, .* put the outputs elsewhere with --namespace"):
        replay(bag, with_inputs=True)
    _, out = replay(bag, with_inputs=True, namespace="new")
    assert len(messages_of(out, "/new/disparity")) == 1
    replay(bag)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(("kind", "log_ns", "held_ns"), [("sqlite3", -7, 0), ("mcap", 2**64 - 1, 2**63 - 1)])
def test_times_that_a_bag_cannot_hold(
    tmp_path: Path, pairs: Pairs, replay: Replay, kind: str, storage: str, log_ns: int, held_ns: int
) -> None:
    """Of a recorder whose clock was wrong; the pair is there all the same, and it is said."""
    sent = [message._replace(log_ns=log_ns) for message in stereo_stream(pairs[:1], CAMERA)]
    record, out = replay(write_bag(tmp_path / "rec", kind, sent), with_inputs=True, storage=storage)
    for topic in ("/disparity", "/left/image_rect"):
        assert [held for held, _ in messages_of(out, topic)] == [held_ns]
    (said,) = record["output"]["not_copied"]
    assert said == "7 messages have a time that no bag can hold, and are at the nearest one"


def test_a_topic_of_two_types(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """As after a driver's change of the type while the recorder ran: what is no image there is copied, and counted."""
    sent = stereo_stream(pairs[:2], CAMERA)
    with Writer2(tmp_path / "rec", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[tuple[str, str], Any] = {}
        others = [sent[-1]._replace(topic="/left/image_rect", message=sent[0].message),
                  sent[0]._replace(topic="/left/camera_info", message=sent[1].message)]  # fmt: skip
        for topic, log_ns, message in [*others[1:], *sent, *others[:1]]:
            key = topic, message.__msgtype__
            if key not in connections:
                connections[key] = writer.add_connection(*key, typestore=ROS2)
            writer.write(connections[key], log_ns, ROS2.serialize_cdr(message, key[1]))
    record, out = replay(tmp_path / "rec", with_inputs=True)
    assert record["output"]["messages"]["/left/image_rect"] == 3
    assert record["output"]["messages"]["/disparity"] == 2
    with Reader(out) as reader:
        assert sum(record["output"]["messages"].values()) == reader.message_count
