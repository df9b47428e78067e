"""MCAP read from its beginning, without its index, as far as it goes (https://mcap.dev/spec)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

from rosbags.rosbag2.metadata import parse_qos
from rosbags.rosbag2.storage_mcap import DECOMPRESSORS

from ffs_ros.bag.recorded import Recorded, Topic
from ffs_ros.errors import FileError

MAGIC = b"\x89MCAP0\r\n"
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
_LARGEST_OPCODE = _DATA_END
_HEAD_BYTES = 9
"""Of a record: its opcode and its length."""
_FOOTER_BYTES = _HEAD_BYTES + 20
_BEGIN_OF_CHUNK = re.compile(rb"\x06.{8}.{8}.{8}.{8}.{4}[\0-\x04]\0\0\0", re.DOTALL)
"""Opcode, length, times, size, checksum, length of its packing's name; that and the length of its content follow."""
_MOST_RECORD_BYTES = 1 << 30
"""A length beyond this is none."""


def read_mcap(path: Path, damage: list[str]) -> Iterator[Recorded]:
    """Each message that is whole, by log time within its chunk; what is not goes into ``damage``, in words.

    Raises FileError for a file that is no MCAP.
    """
    size, names, broken = path.stat().st_size, _Names(), 0
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise FileError(f"{path} is no MCAP file: it does not begin as one")
        _take_summary(file, size, names)
        before, begin = 0, len(MAGIC)
        while True:
            opcode, end = _head_at(file, begin)
            known = 0 < opcode <= _LARGEST_OPCODE and end - begin <= _MOST_RECORD_BYTES
            if known and end <= size:
                if opcode in (_FOOTER, _DATA_END):
                    break
                messages, whole = _messages_of(opcode, file.read(end - begin - _HEAD_BYTES), names)
                yield from messages
                broken += not whole
                before, begin = begin, end
                continue
            # Its length or that of the record before is wrong, or the file ends here.
            after = _next_chunk(file, before + 1)
            if opcode == _CHUNK:
                file.seek(begin + _HEAD_BYTES)
                yield from _messages_of(opcode, file.read(max((after or size) - begin - _HEAD_BYTES, 0)), names)[0]
            if after is None:
                cut = known or begin + _HEAD_BYTES > size
                damage.append(
                    f"it ends in the middle, after {size} bytes"
                    if cut
                    else f"what comes after byte {begin} is no MCAP record"
                )
                break
            broken += 1
            before, begin = begin, after
    if broken:
        damage.append(f"{broken} of its records are damaged")


def _head_at(file: BinaryIO, begin: int) -> tuple[int, int]:
    """Opcode and end of the record that begins there, whose content is read next."""
    file.seek(begin)
    head = file.read(_HEAD_BYTES)
    return int.from_bytes(head[:1], "little"), begin + _HEAD_BYTES + int.from_bytes(head[1:], "little")


def _take_summary(file: BinaryIO, size: int, names: _Names) -> None:
    """What the file says at its end of its topics, as the chunk that declares them may be damaged."""
    footer = size - len(MAGIC) - _FOOTER_BYTES
    if footer < len(MAGIC) or _head_at(file, footer) != (_FOOTER, footer + _FOOTER_BYTES):
        return
    begin = int.from_bytes(file.read(8), "little")
    while 0 < begin < footer:
        opcode, end = _head_at(file, begin)
        if opcode in (_SCHEMA, _CHANNEL) and end <= footer:
            _messages_of(opcode, file.read(end - begin - _HEAD_BYTES), names)
        begin = end


def _next_chunk(file: BinaryIO, begin: int) -> int | None:
    """Where the next record begins that is a chunk: its length is that of what it says to hold."""
    with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        while (found := _BEGIN_OF_CHUNK.search(content, begin)) is not None:
            begin, name_at = found.span()
            del found  # it holds the file
            end = begin + _HEAD_BYTES + int.from_bytes(content[begin + 1 : begin + _HEAD_BYTES], "little")
            packed_at = name_at + content[name_at - 4] + 8
            packed = int.from_bytes(content[packed_at - 8 : packed_at], "little")
            if packed_at + packed == end <= len(content):
                return begin
            begin += 1
    return None


class _Schema(NamedTuple):
    name: str
    definition: str


class _Names:
    """Schemas and channels so far."""

    def __init__(self) -> None:
        self._schemas: dict[int, _Schema] = {}
        self._channels: dict[int, Topic] = {}

    def take(self, opcode: int, content: bytes) -> list[Recorded]:
        """Remember what a record declares; the message in it, where it is one. Raises ValueError for nonsense."""
        fields = BytesIO(content)
        if opcode == _SCHEMA:
            number = _number(fields, 2)
            name, _encoding, definition = (_text(fields) for _ in range(3))
            self._schemas[number] = _Schema(name, definition)
        elif opcode == _CHANNEL:
            number = _number(fields, 2)
            schema = self._schemas.get(_number(fields, 2), _Schema("", ""))
            topic, encoding = (_text(fields) for _ in range(2))
            if encoding == "cdr":
                qos = parse_qos(_map(fields).get("offered_qos_profiles", ""))
                self._channels[number] = Topic(topic, schema.name, schema.definition, tuple(qos))
        elif opcode == _MESSAGE:
            channel, _sequence, log_ns, _published_ns = (_number(fields, length) for length in (2, 4, 8, 8))
            if channel in self._channels:
                return [Recorded(self._channels[channel], log_ns, fields.read())]
        return []


def _messages_of(opcode: int, content: bytes, names: _Names) -> tuple[list[Recorded], bool]:
    """The messages in a record, and whether those are all."""
    return _messages_of_chunk(content, names) if opcode == _CHUNK else _messages_of_record(opcode, content, names)


def _messages_of_record(opcode: int, content: bytes, names: _Names) -> tuple[list[Recorded], bool]:
    """And whether it is whole."""
    try:
        return names.take(opcode, content), True
    except Exception:  # a definition or QoS that is damaged meets the parsers of rosbags anywhere
        return [], False


def _messages_of_chunk(content: bytes, names: _Names) -> tuple[list[Recorded], bool]:
    """The messages of a chunk, which may end early, by log time; and whether that was all of it."""
    messages: list[Recorded] = []
    try:
        fields = BytesIO(content)
        _first_ns, _last_ns, size, crc = (_number(fields, length) for length in (8, 8, 8, 4))
        compression, packed_size = _text(fields), _number(fields, 8)
        packed = fields.read(packed_size)
        data = DECOMPRESSORS[compression](packed, size)
    except Exception:  # each library for unpacking has errors of its own
        return [], False
    whole = len(packed) == packed_size
    if whole and crc and crc32(data) != crc:
        return [], False
    records = BytesIO(data)
    while head := records.read(_HEAD_BYTES):
        length = int.from_bytes(head[1:], "little")
        content = records.read(min(length, len(data)))
        if not head[0] or len(head) < _HEAD_BYTES or len(content) < length:
            whole = False
            break
        found, good = _messages_of_record(head[0], content, names)
        messages += found
        whole = whole and good
    return sorted(messages, key=lambda message: message.log_ns), whole


def _number(fields: BinaryIO, length: int) -> int:
    data = fields.read(length)
    if len(data) < length:
        raise ValueError("a record ends early")
    return int.from_bytes(data, "little")


def _text(fields: BinaryIO) -> str:
    length = _number(fields, 4)
    data = fields.read(length)
    if len(data) < length:
        raise ValueError("a text ends early")
    return data.decode()


def _map(fields: BinaryIO) -> dict[str, str]:
    size = _number(fields, 4)
    entries = BytesIO(fields.read(size))
    found: dict[str, str] = {}
    while entries.tell() < size:
        name = _text(entries)
        found[name] = _text(entries)
    return found
