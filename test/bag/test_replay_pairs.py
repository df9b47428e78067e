"""Bags in which messages are missing, doubled or late: what pairs is matched once, the rest has a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, PERIOD_NS, START_NS, Sent, camera_infos, image, messages_of, stereo_stream, write_bag

from ffs_ros.errors import FfsError

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]
MS = 1_000_000


def images_of(sent: list[Sent], side: str) -> list[Sent]:
    """The images of one side, in order."""
    return [message for message in sent if message.topic == f"/{side}/image_rect"]


def stamps_of(out: Path) -> list[int]:
    """Of the disparities, in the order of the bag."""
    return [
        message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        for _, message in messages_of(out, "/disparity")
    ]


def test_missing_partners_are_counted_by_side(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """The left image of one pair and the right one of another are not in the bag."""
    sent = stereo_stream(pairs, CAMERA)
    sent.remove(images_of(sent, "left")[1])
    sent.remove(images_of(sent, "right")[3])
    record, out = replay(write_bag(tmp_path / "rec", "mcap", sent))
    assert stamps_of(out) == [START_NS + index * PERIOD_NS for index in (0, 2, 4, 5)]
    assert record["pairs"]["matched"] == 4
    for side in ("left", "right"):
        assert record["images"][side] == {"received": 5, "unmatched": {"no partner when the images ended": 1}}
    assert record["why_unpaired"] == "the partners of the others never came"


def test_more_images_than_may_wait(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """``queue_size`` images of a side wait, as in the node; those that a newer one displaces have another reason."""
    sent = stereo_stream(pairs, CAMERA)
    for late in images_of(sent, "right")[:4]:
        sent.remove(late)
        sent.append(late._replace(log_ns=sent[-1].log_ns + MS))
    record, _ = replay(write_bag(tmp_path / "rec", "mcap", sent), parameters={"queue_size": 2})
    assert record["pairs"]["matched"] == 3
    assert record["images"]["left"]["unmatched"] == {"no partner": 3}
    assert record["images"]["right"]["unmatched"] == {"no partner": 2, "no partner when the images ended": 1}


def test_what_was_recorded_twice_is_matched_once(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Two recorders, or a topic twice in a filter: each message comes again, at once or after its pair."""
    once = stereo_stream(pairs, CAMERA)
    at_once = [message for message in once for _ in range(2)]
    record, out = replay(write_bag(tmp_path / "at_once", "mcap", at_once))
    assert len(stamps_of(out)) == record["pairs"]["matched"] == len(pairs)
    assert record["images"]["left"]["received"] == 12
    assert record["images"]["left"]["unmatched"]["doubled"] == 6

    behind = sorted([*once, *(m._replace(log_ns=m.log_ns + 10 * MS) for m in once)], key=lambda m: m.log_ns)
    record, out = replay(write_bag(tmp_path / "behind", "mcap", behind))
    assert len(stamps_of(out)) == record["pairs"]["matched"] == len(pairs)
    assert record["pairs"] == {
        "paired": 12, "matched": 6, "repeated": 6, "rejected": [], "failed": [], "incomplete": [],
        "time_jumped_back": 0,
    }  # fmt: skip


def test_out_of_order_and_far_apart(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Right images arrive in another order, all of them long after the left ones."""
    sent = stereo_stream(pairs, CAMERA)
    rights = images_of(sent, "right")
    others = [message for message in sent if message not in rights]
    last_ns = others[-1].log_ns
    late = [rights[i]._replace(log_ns=last_ns + (n + 1) * MS) for n, i in enumerate((2, 0, 1, 5, 3, 4))]
    record, out = replay(write_bag(tmp_path / "rec", "mcap", [*others, *late]))
    assert stamps_of(out) == [START_NS + index * PERIOD_NS for index in (2, 0, 1, 5, 3, 4)]
    assert record["images"]["left"]["unmatched"] == record["images"]["right"]["unmatched"] == {}
    log_times_ns = [log_ns for log_ns, _ in messages_of(out, "/depth/image_rect")]
    assert log_times_ns == [message.log_ns for message in late]  # when each pair was complete


def test_a_bag_that_loops_has_its_pairs_again(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Recorded from a bag that was played in a loop: the same stamps again, at later times, and one image cut off."""
    pairs = [*pairs, *pairs, *pairs]  # a jump is what is longer than half a second
    first = stereo_stream(pairs, CAMERA)
    again = [message._replace(log_ns=message.log_ns + 2_000 * MS) for message in first]
    first.remove(images_of(first, "right")[-1])
    record, out = replay(write_bag(tmp_path / "rec", "mcap", [*first, *again]))
    assert stamps_of(out) == [START_NS + i * PERIOD_NS for i in (*range(len(pairs) - 1), *range(len(pairs)))]
    assert record["pairs"]["time_jumped_back"] == 1
    assert record["pairs"]["repeated"] == 0
    assert record["images"]["left"]["unmatched"] == {"time jumped back": 1}


def test_no_flicker_over_a_jump_in_time(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """The picture does not change, so each pair but the first of each round has one before it."""
    first = stereo_stream(pairs[:1] * 17, CAMERA)
    again = [message._replace(log_ns=message.log_ns + 2_000 * MS) for message in first]
    record, _ = replay(write_bag(tmp_path / "rec", "mcap", [*first, *again]))
    assert record["pairs"]["time_jumped_back"] == 1
    assert record["flicker"]["pairs"] == 2 * 16
    assert (record["flicker"]["median_px"], record["flicker"]["static_share"]) == (0.0, 1.0)


def test_approximate_sync(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Stamps 2 ms apart pair with the node's parameter alone; otherwise one sentence says which."""
    sent = []
    for message in stereo_stream(pairs, CAMERA):
        if message.topic == "/right/image_rect":
            message.message.header.stamp.nanosec += 2 * MS
        sent.append(message)
    bag = write_bag(tmp_path / "rec", "mcap", sent)
    with pytest.raises(
        FfsError, match=r"none of the bag's 6 left and 6 right images paired: their stamps are"
    ) as found:
        replay(bag)
    assert "2.000 to 2.000 ms apart" in str(found.value)
    assert "approximate_sync_tolerance_seconds: 0.0023" in str(found.value)
    with pytest.raises(FfsError, match=r"approximate_sync_tolerance_seconds is 0\.0019; "):
        replay(bag, parameters={"approximate_sync": True, "approximate_sync_tolerance_seconds": 0.0019})
    record, out = replay(bag, parameters={"approximate_sync": True, "approximate_sync_tolerance_seconds": 0.0023})
    assert record["pairs"]["matched"] == 6
    assert stamps_of(out) == [START_NS + index * PERIOD_NS for index in range(6)]  # the left image's
    lines = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    assert [(line["stamp_ns"], line["right_stamp_ns"], line["log_ns"]) for line in lines] == [
        (stamp_ns, stamp_ns + 2 * MS, stamp_ns + 8 * MS) for stamp_ns in stamps_of(out)
    ]


def test_images_without_a_stamp(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """All stamps 0: the first pair could be one, the others not; nothing pairs with another's partner."""
    sent = [
        Sent(f"/{side}/camera_info", START_NS, info)
        for side, info in zip(("left", "right"), camera_infos(CAMERA), strict=True)
    ]
    for index, (left, right) in enumerate(pairs):
        for side, rgb_HW3 in (("left", left), ("right", right)):
            sent.append(Sent(f"/{side}/image_rect", START_NS + index * PERIOD_NS, image(0, rgb_HW3)))
    record, _ = replay(write_bag(tmp_path / "rec", "mcap", sent))
    assert record["pairs"]["matched"] == 1
    assert record["images"]["left"]["unmatched"] == {"no stamp": 5}
    assert "carry a stamp of 0 or less" in record["why_unpaired"]


def test_camera_info_behind_the_images(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Sent once, and recorded last: no pair is lost for it."""
    sent = stereo_stream(pairs, CAMERA)
    infos = [message for message in sent if message.topic.endswith("camera_info")][-2:]
    images = [message for message in sent if message.topic.endswith("image_rect")]
    record, _ = replay(write_bag(tmp_path / "rec", "mcap", [*images, *infos]))
    assert record["pairs"]["matched"] == len(pairs)


def test_pairs_that_cannot_be_used_are_rejected_by_reason(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """An image of another size, and one with an encoding that no camera has: the others are matched."""
    sent = stereo_stream(pairs, CAMERA)
    lefts, rights = images_of(sent, "left"), images_of(sent, "right")
    lefts[1].message.encoding = "rgba9"
    for message in (lefts[2].message, lefts[4].message, rights[2].message, rights[4].message):
        message.height //= 2
    record, out = replay(write_bag(tmp_path / "rec", "mcap", sent))
    assert len(stamps_of(out)) == record["pairs"]["matched"] == 3
    found = {entry["reason"][:40]: (entry["pairs"], entry["first_stamp_ns"]) for entry in record["pairs"]["rejected"]}
    assert found == {
        "left camera: encoding 'rgba9' is none th": (1, START_NS + PERIOD_NS),
        "the image is 96x24 but its calibration i": (2, START_NS + 2 * PERIOD_NS),
    }


def test_a_bag_of_which_no_pair_can_be_used(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Nothing is written, and the first reason is the error."""
    sent = stereo_stream(pairs, CAMERA)
    for message in sent:
        if message.topic == "/right/camera_info":
            message.message.p[3] = 0.0
    with pytest.raises(
        FfsError, match=r"none of the bag's 6 pairs gave a disparity: the right CameraInfo has P\[3\] = 0"
    ):
        replay(write_bag(tmp_path / "rec", "mcap", sent))
    assert [path.name for path in tmp_path.iterdir()] == ["rec"]


def test_messages_that_are_damaged_are_counted(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """An image whose bytes end early inside a bag that is whole."""
    from rosbags.rosbag2 import Reader, StoragePlugin, Writer

    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs, CAMERA))
    with Reader(bag) as reader, Writer(tmp_path / "cut", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for connection in reader.connections:
            new = writer.add_connection(
                connection.topic, connection.msgtype, msgdef=connection.msgdef.data, rihs01="RIHS01_0"
            )
            for index, (_, log_ns, data) in enumerate(reader.messages([connection])):
                cut = connection.topic == "/left/image_rect" and index == 2
                writer.write(new, log_ns, data[:100] if cut else data)
    record, _ = replay(tmp_path / "cut")
    assert record["images"]["undecodable"] == 1
    assert record["pairs"]["matched"] == 5
