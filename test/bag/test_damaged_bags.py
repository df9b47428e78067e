"""Bags that end early, or in the middle of which something is wrong: what can be read is done, the rest is named."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from recordings import CAMERA, FORMATS, START_NS, all_messages, messages_of, stereo_stream, storage_file, write_bag

from ffs_ros.bag.opening import open_bag, salvaged
from ffs_ros.bag.salvage_mcap import MAGIC
from ffs_ros.errors import FileError

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]


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
    """Of a whole bag, what is read from its beginning on is what rosbags reads with its index; messages that were
    written later than others that are younger are sorted within a chunk, which SQLite does not have."""
    sent = stereo_stream(pairs, CAMERA)
    if kind != "sqlite3":
        sent[5], sent[7] = sent[7], sent[5]
    bag = write_bag(tmp_path / "rec", kind, sent)
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


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("index", [True, False])
def test_damage_that_a_checksum_shows(tmp_path: Path, pairs: Pairs, replay: Replay, damaged: bool, index: bool) -> None:
    """A bit of a pixel in the second of three chunks: their pairs are left out, with an index and without."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs[:1] * 80, CAMERA))
    file = storage_file(bag)
    content = bytearray(file.read_bytes())
    chunks = []
    at = len(MAGIC)
    while content[at] != 0x0F:
        length = int.from_bytes(content[at + 1 : at + 9], "little")
        if content[at] == 0x06:  # times, size, checksum, name of the packing (none), size, and what is in it
            crc_at, records_at = at + 9 + 24, at + 9 + 40
            content[crc_at : crc_at + 4] = crc32(content[records_at : at + 9 + length]).to_bytes(4, "little")
            chunks.append(records_at)
        at += 9 + length
    assert len(chunks) == 3
    content[(chunks[1] + chunks[2]) // 2] ^= damaged
    file.write_bytes(content if index else content[:-8])
    record, _ = replay(bag)
    assert 80 - 80 * 1.1 / 2.2 - 2 < record["pairs"]["matched"] < 60 if damaged else record["pairs"]["matched"] == 80
    assert any("1 of its records are damaged" in sentence for sentence in record["damage"]) == damaged


def test_mcap_goes_on_behind_a_damaged_length(tmp_path: Path, pairs: Pairs) -> None:
    """Of three chunks the length of one is wrong, too small, too large or beyond the file, or its head is overwritten:
    what the others hold is read, whether the one that declares the topics is among them or not."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs[:1] * 80, CAMERA))
    whole = all_messages(open_bag(bag))
    genuine = storage_file(bag).read_bytes()
    chunks = []
    at = len(MAGIC)
    while genuine[at] != 0x0F:
        if genuine[at] == 0x06:
            chunks.append(at)
        at += 9 + int.from_bytes(genuine[at + 1 : at + 9], "little")
    assert len(chunks) == 3
    path = tmp_path / "damaged.mcap"
    for chunk in (0, 1):
        length = int.from_bytes(genuine[chunks[chunk] + 1 : chunks[chunk] + 9], "little")
        counts = []
        for wrong in (length - 1000, length + 100_000, 1 << 29, 1 << 62, None):
            damaged = bytearray(genuine)
            if wrong is None:
                damaged[chunks[chunk] : chunks[chunk] + 50] = bytes(50)
            else:
                damaged[chunks[chunk] + 1 : chunks[chunk] + 9] = wrong.to_bytes(8, "little")
            path.write_bytes(damaged)
            found = salvaged(path, "for a test")
            messages = all_messages(found)
            counts.append(len(messages))
            place = iter(whole)
            assert all(message in place for message in messages)
            assert messages[-1] == whole[-1]
            assert "damaged" in found.damage[0]
        assert min(counts) == counts[-1] > 320 * 0.5
        assert counts[1:4] == [320, 320, 320]


def test_ros1_without_the_chunk_that_declares_the_topics(tmp_path: Path, pairs: Pairs) -> None:
    """The index has them too."""
    bag = write_bag(tmp_path / "rec", "ros1", stereo_stream(pairs[:1] * 80, CAMERA))
    content = bytearray(bag.read_bytes())
    declared = content.index(b"topic=")
    content[declared : declared + 1000] = bytes(1000)
    bag.write_bytes(content)
    found = salvaged(bag, "for a test")
    assert 0.5 * 320 < len(all_messages(found)) < 320
    assert "1 of its records are damaged" in found.damage[0]


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


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_by_the_block_is_neither_a_bug_nor_endless(tmp_path: Path, pairs: Pairs, kind: str) -> None:
    """Whole stretches zero or random, most of them near the ends, where lengths, indices and definitions are."""
    rng = np.random.default_rng(1)
    genuine = storage_file(write_bag(tmp_path / kind, kind, stereo_stream(pairs[:1] * 80, CAMERA)))
    content = genuine.read_bytes()
    path = tmp_path / f"damaged{genuine.suffix}"
    for _ in range(40):
        damaged = bytearray(content)
        for _ in range(rng.integers(1, 6)):
            near = int(rng.choice([0, len(content)])) + int(rng.integers(-4000, 4000))
            at = min(max(near if rng.random() < 0.6 else int(rng.integers(len(content))), 0), len(content) - 1)
            size = min(int(rng.choice([1, 8, 100, 5000, 60000])), len(content) - at)
            damaged[at : at + size] = rng.bytes(size) if rng.random() < 0.5 else bytes(size)
        path.write_bytes(damaged)
        with suppress(FileError):
            assert len(all_messages(salvaged(path, "for a test"))) <= 340


def test_rows_of_sqlite_that_lead_in_circles(tmp_path: Path, pairs: Pairs) -> None:
    """Rows that claim 2 ** 57 bytes, on pages that lead to themselves: nothing is read of them, and soon."""
    genuine = storage_file(write_bag(tmp_path / "rec", "sqlite3", stereo_stream(pairs, CAMERA)))
    content = bytearray(genuine.read_bytes())
    circles = 0
    for page in range(1, len(content) // 4096):
        begin = page * 4096
        if content[begin] != 0x0D:
            content[begin : begin + 4] = (page + 1).to_bytes(4, "big")
            continue
        for cell in range(int.from_bytes(content[begin + 3 : begin + 5], "big")):
            at = begin + int.from_bytes(content[begin + 8 + 2 * cell : begin + 10 + 2 * cell], "big")
            if content[at] < 0x80 or content[at + 1] >= 0x80:
                continue
            size = (content[at] & 0x7F) << 7 | content[at + 1]
            if size <= 4096 - 35:
                continue
            local = 489 + (size - 489) % 4092
            local = local if local <= 4061 else 489
            endless = size + 4092 * 2**45
            claim = bytes([0x80 | endless >> 8 + 7 * place & 0x7F for place in reversed(range(8))] + [endless & 0xFF])
            row = content[at + 2 : at + 2 + local]
            content[at : at + 9] = claim
            content[at + 9 : at + 9 + len(row)] = row
            pointer = at + 9 + 1 + local  # behind the row's number
            content[pointer : pointer + 4] = (len(content) // 4096).to_bytes(4, "big")
            circles += 1
    assert circles >= 10
    path = tmp_path / "circles.db3"
    path.write_bytes(content)
    with suppress(FileError):
        assert len(all_messages(salvaged(path, "for a test"))) <= 24 - circles


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
