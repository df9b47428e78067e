"""Bags that end early, or in the middle of which something is wrong: what can be read is done, the rest is named."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, FORMATS, START_NS, messages_of, stereo_stream, storage_file, write_bag

from ffs_ros.bag.opening import open_bag, salvaged
from ffs_ros.errors import FileError

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]


def all_messages(bag: Any) -> list[tuple[str, int, bytes]]:
    """Topic, log time and bytes of every message."""
    names = {topic.name for topic in bag.counts}
    return [(message.topic.name, message.log_ns, bytes(message.data)) for message in bag.messages(names)]


def truncated(bag: Path, copy: Path, share: float) -> Path:
    """A copy of which the storage file has only its beginning."""
    if bag.is_dir():
        shutil.copytree(bag, copy)
    else:
        copy = Path(shutil.copy(bag, copy.with_suffix(".bag")))
    file = storage_file(copy)
    with file.open("r+b") as content:
        content.truncate(int(share * file.stat().st_size))
    return copy


@pytest.mark.parametrize("kind", FORMATS)
def test_reading_without_the_index_gives_the_same(tmp_path: Path, pairs: Pairs, kind: str) -> None:
    """Of a whole bag, what is read from its beginning on is what rosbags reads with its index."""
    bag = write_bag(tmp_path / "rec", kind, stereo_stream(pairs, CAMERA))
    whole, salvaged_bag = open_bag(bag), salvaged(bag, "for a test")
    assert whole.damage == []
    assert all_messages(salvaged_bag) == all_messages(whole)
    assert {(topic.name, topic.msgtype): count for topic, count in salvaged_bag.counts.items()} == {
        (topic.name, topic.msgtype): count for topic, count in whole.counts.items()
    }
    whole.close()


@pytest.mark.parametrize("share", [0.35, 0.5, 0.8, 0.97])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_truncated_bag(tmp_path: Path, pairs: Pairs, replay: Replay, kind: str, share: float) -> None:
    """What it still holds is used, in its order: most of what is as far from its end; the damage names the file."""
    bag = write_bag(tmp_path / "rec", kind, stereo_stream(pairs, CAMERA))
    whole = all_messages(open_bag(bag))
    cut = truncated(bag, tmp_path / "cut", share)
    left = open_bag(cut)
    found = all_messages(left)
    place = iter(whole)
    assert all(message in place for message in found)  # some are missing, none is another or elsewhere
    assert len(whole) * share - 5 <= len(found) < len(whole)
    record, out = replay(cut)
    assert record["pairs"]["matched"] == len(messages_of(out, "/disparity")) >= 1
    assert str(storage_file(cut)) in record["damage"][0]
    assert f": {len(found)} messages in it can be read" in record["damage"][0]
    if kind != "ros1":
        assert (
            f"of the {len(whole)} messages that {cut / 'metadata.yaml'} counts {len(found)} can be read"
            in record["damage"][-1]
        )


@pytest.mark.parametrize("kind", ["mcap", "sqlite3"])
def test_a_recorder_that_was_killed(tmp_path: Path, pairs: Pairs, replay: Replay, kind: str) -> None:
    """There is no metadata.yaml, and MCAP has no end: everything that was written is used."""
    bag = write_bag(tmp_path / "rec", kind, stereo_stream(pairs, CAMERA))
    (bag / "metadata.yaml").unlink()
    if kind == "mcap":
        file = storage_file(bag)
        content = file.read_bytes()
        file.write_bytes(
            content[: content.rindex(b"\x0f\x04\x00\x00\x00\x00\x00\x00\x00") - 700]
        )  # before the data's end
    record, _ = replay(bag)
    assert record["pairs"]["matched"] == 6
    assert len(record["damage"]) == 1
    assert ("ends in the middle" if kind == "mcap" else "no metadata.yaml") in record["damage"][0]


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize("in_file", [0, 13])
def test_a_recorder_that_was_killed_before_sqlite_wrote_its_log_back(
    tmp_path: Path, pairs: Pairs, in_file: int, metadata: bool
) -> None:
    """rosbag2's preset ``resilient``: what is in the log alone is read, what no transaction has finished is not, and
    both files stay as they are. ``in_file`` messages are in the bag's own file as well."""
    bag = write_bag(tmp_path / "rec", "sqlite3", stereo_stream(pairs, CAMERA))
    whole = all_messages(open_bag(bag))
    file = storage_file(bag)
    rows = {}
    with closing(sqlite3.connect(file)) as written:
        for table in ("topics", "message_definitions", "messages"):
            rows[table] = written.execute(f"select * from {table} order by id").fetchall()
        tables = [sql for (sql,) in written.execute("select sql from sqlite_master")]
    file.unlink()
    with closing(sqlite3.connect(tmp_path / "live", isolation_level=None)) as live:
        live.execute("pragma journal_mode = wal")
        live.execute("pragma wal_autocheckpoint = 0")
        for table in tables:
            live.execute(table)
        for table, content in rows.items():
            for index, row in enumerate(content):
                if table == "messages" and index == in_file:
                    live.execute("pragma wal_checkpoint(full)")
                live.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
        live.execute("pragma cache_size = 1")
        live.execute("begin")
        live.executemany(
            "insert into messages values (?, ?, ?, ?)", [(1000 + i, *row[1:]) for i, row in enumerate(rows["messages"])]
        )
        for ending in ("", "-wal"):
            shutil.copy(f"{tmp_path / 'live'}{ending}", f"{file}{ending}")
    if not metadata:
        (bag / "metadata.yaml").unlink()
    before = {path: path.read_bytes() for path in bag.iterdir()}
    found = open_bag(bag)
    assert all_messages(found) == whole
    sentence = f"{bag} is damaged ({file}-wal holds messages that are not in the bag's own file yet): 24 messages in it"
    assert [damage.removesuffix(" can be read") for damage in found.damage] == ([] if metadata else [sentence])
    assert {path: path.read_bytes() for path in bag.iterdir()} == before
    if in_file:
        with file.open("r+b") as content:
            content.truncate(file.stat().st_size - 6 * 4096)
        cut = open_bag(bag)
        assert len(whole) > len(all_messages(cut)) > 11
        assert all_messages(cut)[-11:] == whole[13:]  # those in the log
        assert " is damaged, it ends after " in cut.damage[0]


def test_a_bag_of_ros1_that_was_never_indexed(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """A recorder that was killed leaves NAME.bag.active, whose head points at no index."""
    bag = write_bag(tmp_path / "rec", "ros1", stereo_stream(pairs, CAMERA))
    content = bytearray(bag.read_bytes())
    at = content.index(b"index_pos=") + len(b"index_pos=")
    content[at : at + 8] = bytes(8)
    active = tmp_path / "rec.bag.active"
    active.write_bytes(content)
    record, _ = replay(active)
    assert record["pairs"]["matched"] == 6
    assert "Bag is not indexed" in record["damage"][0]


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_in_the_middle(tmp_path: Path, kind: str, replay: Replay) -> None:
    """Bytes in the middle of the file are overwritten: the pairs before and behind are matched."""
    rng = np.random.default_rng(3)
    pairs = [tuple(rng.integers(0, 255, (2, CAMERA.height, CAMERA.width, 3), np.uint8)) for _ in range(150)]
    bag = write_bag(tmp_path / "rec", kind, stereo_stream(pairs, CAMERA))
    file = storage_file(bag)
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 40_000] = bytes(40_000)
    file.write_bytes(content)
    record, out = replay(bag)
    stamps_ns = [
        m.header.stamp.sec * 1_000_000_000 + m.header.stamp.nanosec - START_NS
        for _, m in messages_of(out, "/disparity")
    ]
    assert 40 <= len(stamps_ns) < len(pairs)
    assert record["damage"]
    if kind != "mcap":
        assert max(stamps_ns) > 145 * 33_000_000  # goes on behind it


@pytest.mark.parametrize("content", [b"", b"#ROSBAG V2.0\n", b"\x89MCAP0\r\n", b"SQLite format 3\0", bytes(5000)])
@pytest.mark.parametrize("name", ["rec.bag", "rec.mcap", "rec.db3"])
def test_files_of_which_nothing_is_left(tmp_path: Path, name: str, content: bytes) -> None:
    """One sentence, whatever stands for the bag."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileError) as found:
        open_bag(path)
    assert str(path) in str(found.value)
    assert "\n" not in str(found.value)


def test_a_part_that_is_missing(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Of a bag in several files: the one that is there is used, the other named."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs, CAMERA))
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text().replace("  - rec.mcap", "  - rec.mcap\n  - rec_1.mcap"))
    record, _ = replay(bag)
    assert record["pairs"]["matched"] == 6
    assert record["damage"][0] == f"{bag / 'rec_1.mcap'}, which {metadata} names, is not there"


def test_random_damage_is_never_a_bug(tmp_path: Path, pairs: Pairs) -> None:
    """Bytes changed and cut at random: either some messages, or one sentence."""
    rng = np.random.default_rng(11)
    for kind in FORMATS:
        genuine = storage_file(write_bag(tmp_path / kind, kind, stereo_stream(pairs[:2], CAMERA)))
        content = genuine.read_bytes()
        known = {data for _, _, data in all_messages(open_bag(genuine))}
        for _ in range(60):
            damaged = bytearray(content)
            for place in rng.integers(0, len(damaged), rng.integers(1, 30)):
                damaged[place] = rng.integers(0, 256)
            path = tmp_path / f"damaged{genuine.suffix}"
            path.write_bytes(damaged[: rng.integers(1, len(damaged) + 1)])
            try:
                found = all_messages(salvaged(path, "for a test"))
            except FileError:
                continue
            assert len(found) <= len(known) + 8
