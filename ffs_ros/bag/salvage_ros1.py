"""ROS 1 bags read from their beginning, without their index, as far as they go (http://wiki.ros.org/Bags/Format/2.0)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rosbags.rosbag1.reader import decompressors
from rosbags.typesys.msg import normalize_msgtype

from ffs_ros.bag.recorded import Recorded, Topic, absolute
from ffs_ros.errors import FileError

MAGIC = b"#ROSBAG V2.0\n"
_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION = 2, 3, 4, 5, 6, 7
_MOST_HEADER_BYTES = 1 << 20
_MOST_RECORD_BYTES = 1 << 30
"""Lengths beyond these are none."""


class _Record(NamedTuple):
    header: Mapping[str, bytes]
    data: bytes
    whole: bool
    """False where the source ends before."""

    @property
    def kind(self) -> int:
        return self.header.get("op", b"\0")[0]


class _Garbled(Exception):
    """This is no record."""


def read_ros1(path: Path, damage: list[str]) -> Iterator[Recorded]:
    """Each message that is whole, by time within its chunk; what is not goes into ``damage``, in words.

    Raises FileError for a file that is no bag of ROS 1.
    """
    size = path.stat().st_size
    connections: dict[bytes, Topic] = {}
    broken = 0
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise FileError(f"{path} is no ROS 1 bag of version 2.0: it does not begin as one")
        _take_index(file, connections)
        while (begin := file.tell()) < size:
            try:
                record = _read(file)
                messages, whole = _messages_of(record, connections)
            except _Garbled:
                damage.append(f"what comes after byte {begin} is no record of a bag")
                break
            yield from messages
            if not record.whole:
                damage.append(f"it ends in the middle, after {size} bytes")
                break
            broken += not whole
    if broken:
        damage.append(f"{broken} of its records are damaged")


def _take_index(file: BinaryIO, connections: dict[bytes, Topic]) -> None:
    """What the bag says behind its chunks of its topics, as the chunk that declares them may be damaged."""
    begin = file.tell()
    try:
        file.seek(int.from_bytes(_read(file).header["index_pos"], "little"))
        while (record := _read(file)).kind == _CONNECTION:
            _taken(record, connections)
    except Exception:  # where the index is damaged the chunks may be whole
        pass
    file.seek(begin)


def _messages_of(record: _Record, connections: dict[bytes, Topic]) -> tuple[list[Recorded], bool]:
    """The messages of a record, by time; and whether those are all. Raises _Garbled."""
    if record.kind not in (_MESSAGE, _BAG, _INDEX, _CHUNK, _CHUNK_INFO, _CONNECTION) and record.whole:
        raise _Garbled
    messages: list[Recorded] = []
    try:
        if record.kind == _CHUNK:
            records = BytesIO(decompressors[record.header["compression"].decode()](record.data))
            size = len(records.getbuffer())
            while records.tell() < size:
                inner = _read(records)
                if not inner.whole:
                    break
                messages += _taken(inner, connections)
            else:
                return sorted(messages, key=lambda message: message.log_ns), record.whole
        elif record.whole:
            return _taken(record, connections), True
    except Exception:  # each library for unpacking has errors of its own
        pass
    return sorted(messages, key=lambda message: message.log_ns), False


def _taken(record: _Record, connections: dict[bytes, Topic]) -> list[Recorded]:
    """Remember a connection; the message in the record, where it is one. Raises KeyError, ValueError for nonsense."""
    if record.kind == _CONNECTION:
        facts = _fields_of(record.data)
        connections[record.header["conn"]] = Topic(
            name=absolute(record.header["topic"].decode()),
            msgtype=normalize_msgtype(facts["type"].decode()),
            definition=facts["message_definition"].decode(errors="replace"),
            latched=facts.get("latching") == b"1",
        )
    elif record.kind == _MESSAGE and record.header["conn"] in connections:
        time = record.header["time"]
        log_ns = int.from_bytes(time[:4], "little") * 1_000_000_000 + int.from_bytes(time[4:8], "little")
        return [Recorded(connections[record.header["conn"]], log_ns, record.data)]
    return []


def _read(source: BinaryIO) -> _Record:
    """The next record. Raises _Garbled."""
    header = _read_sized(source, _MOST_HEADER_BYTES)
    if header is None:
        return _Record({}, b"", whole=False)
    at = source.tell()
    data = _read_sized(source, _MOST_RECORD_BYTES)
    if data is None:
        source.seek(at + 4)
        return _Record(_fields_of(header), source.read(), whole=False)
    return _Record(_fields_of(header), data, whole=True)


def _read_sized(source: BinaryIO, most_bytes: int) -> bytes | None:
    """What is behind its length; None where the source ends before. Raises _Garbled."""
    length = source.read(4)
    size = int.from_bytes(length, "little")
    if size > most_bytes:
        raise _Garbled
    data = source.read(size)
    return data if len(length) == 4 and len(data) == size else None


def _fields_of(data: bytes) -> dict[str, bytes]:
    """``name=value`` after ``name=value``, each behind its length. Raises _Garbled."""
    fields: dict[str, bytes] = {}
    at = 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "little")
        name, equals, value = data[at + 4 : end].partition(b"=")
        if not equals or end > len(data):
            raise _Garbled
        fields[name.decode("ascii", "replace")] = value
        at = end
    return fields
