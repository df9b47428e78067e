"""The rows of a SQLite file that ends early or is damaged, from its pages (https://www.sqlite.org/fileformat2.html).

SQLite itself reads no file that is shorter than its first page says. rosbag2 only ever adds rows, so that each page
with rows of a table is as it was written, and is recognised by what is in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.rosbag2.metadata import parse_qos

from ffs_ros.bag.recorded import Recorded, Topic
from ffs_ros.bag.sqlite3_log import Content, content_of
from ffs_ros.errors import FileError

MAGIC = b"SQLite format 3\0"
_FIRST_PAGE_HEADER_BYTES, _PAGE_HEADER_BYTES = 100, 8
_LEAF_OF_TABLE = 0x0D
_INTEGER_BYTES = (0, 1, 2, 3, 4, 6, 8, 8, 0, 0)
"""By serial type."""
_MOST_ROW_BYTES = 1 << 30
"""SQLite takes none that is larger."""
_MOST_HEADER_BYTES = 64
"""Of a row: bag tables have no more than six columns."""
_LEAST_CELL_BYTES = 6
"""With its pointer."""
_BLOB, _TEXT = 12, 13
"""Serial types from here on, even and odd ones."""


class _Damaged(Exception):
    """A row goes on where the file does not, or is none."""


class _Row(NamedTuple):
    rowid: int
    types: tuple[int, ...]
    """Serial types of its columns."""
    at: int
    """Where its payload begins."""
    size: int
    values_at: int
    """Where the values begin, in the payload."""


def read_sqlite3(path: Path, damage: list[str]) -> Iterator[Recorded]:
    """Each message that is whole, in the order of the file; what is not goes into ``damage``, in words.

    Raises FileError for a file that is no SQLite database.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise FileError(f"{path} is no SQLite database: it does not begin as one")
        if path.stat().st_size < _FIRST_PAGE_HEADER_BYTES:
            raise FileError(f"{path} ends before its first page")
    with content_of(path) as content:
        yield from _Database(content).messages(damage)


class _Database:
    def __init__(self, content: Content) -> None:
        self._content = content
        self._page_bytes = content.page_bytes
        self._usable = self._page_bytes - content[20:21][0]
        self._claimed_pages = int.from_bytes(content[28:32], "big")

    def messages(self, damage: list[str]) -> Iterator[Recorded]:
        topics = self._topics()
        broken = 0
        for row in self._rows():
            try:
                if row is None:
                    raise _Damaged
                if len(row.types) != 4 or not _is_message(row.types):
                    continue
                _, number, log_ns, data = self._values(row)
            except _Damaged:
                broken += 1
                continue
            if number in topics:
                yield Recorded(topics[number], log_ns, data)
        if self._content.lacks_some_of(self._claimed_pages):
            claimed_bytes = self._claimed_pages * self._page_bytes
            damage.append(f"it ends after {self._content.file_bytes} of {claimed_bytes} bytes")
        if broken:
            damage.append(f"{broken} of its rows are damaged")

    def _topics(self) -> dict[int, Topic]:
        """By the number that messages name them with."""
        topics: dict[int, Topic] = {}
        definitions: dict[str, str] = {}
        for row in self._rows():
            if row is None or len(row.types) < 4 or any(kind < _TEXT or kind % 2 == 0 for kind in row.types[1:]):
                continue
            try:
                _, name, kind, text, *more = self._values(row)
            except _Damaged:
                continue
            if name.startswith("/"):
                topics[row.rowid] = Topic(name, kind, qos=_qos(more[0]) if more else ())
            else:  # a type, the language of its definition, and that
                definitions[name] = text
        return {
            number: topic._replace(definition=definitions.get(topic.msgtype, "")) for number, topic in topics.items()
        }

    def _rows(self) -> Iterator[_Row | None]:
        """Of all tables, page by page; None for one that is none."""
        for begin in range(0, len(self._content), self._page_bytes):
            header = begin + (_FIRST_PAGE_HEADER_BYTES if begin == 0 else 0)
            described = self._content[header : header + _PAGE_HEADER_BYTES]
            if len(described) < _PAGE_HEADER_BYTES or described[0] != _LEAF_OF_TABLE:
                continue
            cells = int.from_bytes(described[3:5], "big")
            if cells * _LEAST_CELL_BYTES > self._page_bytes:
                yield None
                continue
            pointers = self._content[header + _PAGE_HEADER_BYTES : header + _PAGE_HEADER_BYTES + 2 * cells]
            for at in range(0, 2 * cells, 2):
                yield self._row(begin + int.from_bytes(pointers[at : at + 2], "big"))

    def _row(self, at: int) -> _Row | None:
        try:
            return self._row_of_cell(at)
        except (_Damaged, IndexError):
            return None

    def _row_of_cell(self, at: int) -> _Row:
        size, at = self._varint(at)
        rowid, at = self._varint(at)
        header_size, cursor = self._varint(at)
        if header_size > min(size, _MOST_HEADER_BYTES) or size > min(len(self._content), _MOST_ROW_BYTES):
            raise _Damaged  # overflow pages that lead back to each other would never end
        end = at + header_size
        types = []
        while cursor < end:
            kind, cursor = self._varint(cursor)
            types.append(kind)
        if cursor != end:
            raise _Damaged
        return _Row(rowid, tuple(types), at, size, header_size)

    def _varint(self, at: int) -> tuple[int, int]:
        """The number there, and what comes after it."""
        value = 0
        digits = self._content[at : at + 9]
        for place, byte in enumerate(digits[:8], at + 1):
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value, place
        return value << 8 | digits[8], at + 9

    def _values(self, row: _Row) -> list[Any]:
        """Its columns: int, bytes or str, None for NULL. Raises _Damaged."""
        payload = self._payload(row)
        values: list[Any] = []
        at = row.values_at
        for kind in row.types:
            if kind < _BLOB:
                size = _INTEGER_BYTES[kind] if kind < len(_INTEGER_BYTES) else 0
                number = int.from_bytes(payload[at : at + size], "big", signed=True)
                values.append(None if kind == 0 else number + (kind == 9))
            else:
                size = (kind - _BLOB) // 2
                piece = payload[at : at + size]
                values.append(piece.decode("utf-8", "replace") if kind % 2 else piece)
            at += size
        if at > len(payload):
            raise _Damaged
        return values

    def _payload(self, row: _Row) -> bytes:
        """What the row's page holds of it, and the pages where it goes on."""
        local = self._local_bytes(row.size)
        pieces = [self._content[row.at : row.at + local]]
        missing, at = row.size - local, row.at + local
        while missing > 0:
            page = int.from_bytes(self._content[at : at + 4], "big")
            at = (page - 1) * self._page_bytes
            taken = min(missing, self._usable - 4)
            piece = self._content[at + 4 : at + 4 + taken] if page >= 2 else b""
            if len(piece) < taken:
                raise _Damaged
            pieces.append(piece)
            missing -= taken
        if len(pieces[0]) < local:
            raise _Damaged
        return b"".join(pieces)

    def _local_bytes(self, size: int) -> int:
        most, least = self._usable - 35, (self._usable - 12) * 32 // 255 - 23
        if size <= most:
            return size
        best = least + (size - least) % (self._usable - 4)
        return best if best <= most else least


def _qos(text: str) -> tuple[Any, ...]:
    """Nothing where the text is damaged."""
    try:
        return tuple(parse_qos(text))
    except Exception:  # the parser stops anywhere
        return ()


def _is_message(types: tuple[int, ...]) -> bool:
    """id (the row's number), topic_id, timestamp and data."""
    number, topic, time, data = types
    return number == 0 and 0 < topic < _BLOB and 0 < time < _BLOB and data >= _BLOB and data % 2 == 0
