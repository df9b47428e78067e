"""The forms in which recorders store the same messages: packed, split, without chunks, with names as ROS 1 has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, PERIOD_NS, ROS2, START_NS, stereo_stream, storage_file, write_bag
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from ffs_ros.bag.salvage_mcap import MAGIC

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]


@pytest.mark.parametrize("mode", ["MESSAGE", "FILE", "STORAGE"])
@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
def test_bags_packed_with_zstd(tmp_path: Path, pairs: Pairs, replay: Replay, storage: str, mode: str) -> None:
    """Message by message, as whole files, and chunk by chunk; the parts of a split bag one after the other."""
    if (storage, mode) == ("SQLITE3", "STORAGE"):
        pytest.skip("SQLite has no compression of its own")
    bag = tmp_path / "rec"
    writer = Writer(bag, version=9, storage_plugin=StoragePlugin[storage])
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, log_ns, message in stereo_stream(pairs, CAMERA):
            kind = message.__msgtype__
            connection = connections.get(topic) or writer.add_connection(topic, kind, typestore=ROS2)
            connections[topic] = connection
            writer.write(connection, log_ns, ROS2.serialize_cdr(message, kind))
    record, _ = replay(bag)
    assert (record["pairs"]["matched"], record["damage"]) == (6, [])
    if mode == "FILE":
        return
    (bag / "metadata.yaml").unlink()  # nothing but the messages tells that they are packed
    for path in (bag, storage_file(bag)):
        record, _ = replay(path)
        assert record["pairs"]["matched"] == 6


def test_a_split_bag(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Three files, the pairs' halves in different ones; without metadata.yaml they are taken by their numbers."""
    sent = stereo_stream(pairs, CAMERA)
    folder = tmp_path / "rec"
    folder.mkdir()
    for number, part in ((9, sent[:7]), (10, sent[7:15]), (11, sent[15:])):
        storage_file(write_bag(tmp_path / f"part_{number}", "mcap", part)).rename(folder / f"rec_{number}.mcap")
    record, out = replay(folder)
    assert record["pairs"]["matched"] == 6
    assert record["damage"] == []
    lines = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    assert [line["stamp_ns"] for line in lines] == [START_NS + index * PERIOD_NS for index in range(6)]


def test_messages_that_an_unindexed_file_has_out_of_order(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """MCAP without chunks, as the preset fastwrite makes it, and two messages recorded the other way round: rosbags
    stops there; the bag is read in the order of the file, and nothing is missing."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs, CAMERA))
    chunked = storage_file(bag).read_bytes()
    records = []
    at = len(MAGIC)
    while chunked[at] != 0x0F:
        length = int.from_bytes(chunked[at + 1 : at + 9], "little")
        content = chunked[at + 9 : at + 9 + length]
        if chunked[at] == 0x06:  # a chunk: what is in it, behind its times, size, checksum and lack of compression
            inner = content[8 + 8 + 8 + 4 + 4 + 8 :]
            while inner:
                size = 9 + int.from_bytes(inner[1:9], "little")
                records.append(inner[:size])
                inner = inner[size:]
        elif chunked[at] == 0x01:
            records.append(chunked[at : at + 9 + length])
        at += 9 + length
    messages = [index for index, record in enumerate(records) if record[0] == 0x05]
    records[messages[8]], records[messages[10]] = records[messages[10]], records[messages[8]]
    footer = bytes([0x02]) + (20).to_bytes(8, "little") + bytes(20)
    path = tmp_path / "fast.mcap"
    path.write_bytes(MAGIC + b"".join(records) + bytes([0x0F]) + (4).to_bytes(8, "little") + bytes(4) + footer + MAGIC)
    record, _ = replay(path)
    assert record["pairs"]["matched"] == 6
    assert record["damage"] == []


def test_topics_without_a_slash(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """As ROS 1 may record them; the new bag's have one."""
    sent = [message._replace(topic=message.topic.lstrip("/")) for message in stereo_stream(pairs, CAMERA, "/rig")]
    record, _ = replay(write_bag(tmp_path / "rec", "ros1", sent), with_inputs=True)
    assert record["topics"]["left"] == "/rig/left/image_rect"
    assert record["output"]["messages"]["/rig/right/camera_info"] == 6
