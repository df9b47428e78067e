"""What a recorder that was killed left in SQLite's write-ahead log, as with rosbag2's preset ``resilient``."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from recordings import CAMERA, all_messages, stereo_stream, storage_file, write_bag

from ffs_ros.bag.opening import open_bag

Pairs = list[tuple[np.ndarray, np.ndarray]]
PAGE_BYTES, FRAME_BYTES = 4096, 24 + 4096


def killed_while_recording(bag: Path, in_file: int, unfinished: bool) -> Path:
    """Make of a bag what SQLite leaves of it on the disk when nobody closes it: the bag's file with the first
    ``in_file`` messages, and a log; with ``unfinished`` also of a transaction that was not. Gives the file."""
    file = storage_file(bag)
    live = bag.with_name("live")
    with closing(sqlite3.connect(file)) as written:
        tables = [sql for (sql,) in written.execute("select sql from sqlite_master")]
        rows = {
            table: written.execute(f"select * from {table} order by id").fetchall()
            for table in ("topics", "message_definitions", "messages")
        }
    file.unlink()
    with closing(sqlite3.connect(live, isolation_level=None)) as recorder:
        recorder.execute("pragma journal_mode = wal")
        recorder.execute("pragma wal_autocheckpoint = 0")
        for table in tables:
            recorder.execute(table)
        for table, content in rows.items():
            for index, row in enumerate(content):
                if table == "messages" and index == in_file:
                    recorder.execute("pragma wal_checkpoint(full)")  # the next transaction begins the log anew
                recorder.execute(f"insert into {table} values ({', '.join('?' * len(row))})", row)
        if unfinished:
            recorder.execute("pragma cache_size = 1")  # so that it gets onto the disk
            recorder.execute("begin")
            more = [(1000 + index, *row[1:]) for index, row in enumerate(rows["messages"])]
            recorder.executemany("insert into messages values (?, ?, ?, ?)", more)
        for ending in ("", "-wal"):
            shutil.copy(f"{live}{ending}", f"{file}{ending}")
    return file


@pytest.mark.parametrize("metadata", [True, False])
@pytest.mark.parametrize(("in_file", "unfinished"), [(0, False), (0, True), (13, False), (13, True)])
def test_what_is_in_the_log_alone_is_read(
    tmp_path: Path, pairs: Pairs, in_file: int, unfinished: bool, metadata: bool
) -> None:
    """And what the log held before it began anew is not; both files stay as they are."""
    bag = write_bag(tmp_path / "rec", "sqlite3", stereo_stream(pairs, CAMERA))
    whole = all_messages(open_bag(bag))
    file = killed_while_recording(bag, in_file, unfinished)
    if not metadata:
        (bag / "metadata.yaml").unlink()
    before = {path: path.read_bytes() for path in bag.iterdir()}
    found = open_bag(bag)
    assert all_messages(found) == whole
    sentence = f"{bag} is damaged ({file}-wal holds messages that are not in the bag's own file yet): 24 messages in it"
    assert [damage.removesuffix(" can be read") for damage in found.damage] == ([] if metadata else [sentence])
    assert {path: path.read_bytes() for path in bag.iterdir()} == before


def test_a_transaction_that_was_not_finished(tmp_path: Path, pairs: Pairs) -> None:
    """Without the mark at its end the last message is none."""
    bag = write_bag(tmp_path / "rec", "sqlite3", stereo_stream(pairs, CAMERA))
    whole = all_messages(open_bag(bag))
    log = Path(f"{killed_while_recording(bag, 0, False)}-wal")
    content = bytearray(log.read_bytes())
    salt = content[16:24]
    frames = range(32, len(content), FRAME_BYTES)
    last = [at for at in frames if content[at + 8 : at + 16] == salt][-1]
    assert any(content[last + 4 : last + 8])
    content[last + 4 : last + 8] = bytes(4)
    log.write_bytes(content)
    assert all_messages(open_bag(bag)) == whole[:-1]


def test_a_file_that_ends_early_beside_its_log(tmp_path: Path, pairs: Pairs) -> None:
    """What the log has is there, and the file is named."""
    bag = write_bag(tmp_path / "rec", "sqlite3", stereo_stream(pairs, CAMERA))
    whole = all_messages(open_bag(bag))
    file = killed_while_recording(bag, 13, False)
    with file.open("r+b") as content:
        content.truncate(file.stat().st_size - 6 * PAGE_BYTES)
    found = open_bag(bag)
    assert len(whole) > len(all_messages(found)) > 11
    assert all_messages(found)[-11:] == whole[13:]
    assert f"{file} is damaged, it ends after " in found.damage[0]
