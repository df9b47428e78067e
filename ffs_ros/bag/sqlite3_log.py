"""A SQLite file with what stands in its write-ahead log alone (https://www.sqlite.org/fileformat2.html#walformat).

A recorder with rosbag2's preset ``resilient`` writes there first; killed, it leaves NAME.db3-wal. SQLite would put it
into the bag's own file, which is not ours to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from mmap import ACCESS_READ, mmap
from pathlib import Path

_LOG_HEADER_BYTES, _FRAME_HEADER_BYTES = 32, 24


def log_of(path: Path) -> Path | None:
    """The log beside a database; None where there is nothing in it."""
    log = path.with_name(f"{path.name}-wal")
    return log if log.is_file() and log.stat().st_size > _LOG_HEADER_BYTES else None


class Content:
    """The bytes of a database, at their places in its file. No slice reaches into the next page."""

    def __init__(self, file: mmap, log: mmap | None) -> None:
        self._file = file
        self._log = log
        size = int.from_bytes(file[16:18], "big")
        self.page_bytes = 65536 if size < 512 else size
        self.file_bytes = self._size = len(file)
        self._pages: dict[int, int] = {}
        """Where the newest content of a page begins in the log, by the page's place in the file."""
        if log is not None:
            self._read_log(log)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice) -> bytes:
        """Less where there is no more."""
        page, offset = divmod(place.start, self.page_bytes)
        at = self._pages.get(page)
        if self._log is None or at is None:
            return self._file[place.start : place.stop]
        return self._log[at + offset : at + min(place.stop - page * self.page_bytes, self.page_bytes)]

    def lacks_some_of(self, pages: int) -> bool:
        """Whether one of so many pages is neither in the file nor in the log."""
        return any(page not in self._pages for page in range(self.file_bytes // self.page_bytes, pages))

    def _read_log(self, log: mmap) -> None:
        """Up to the last transaction that was finished."""
        salt = log[16:24]
        frame_bytes = _FRAME_HEADER_BYTES + self.page_bytes
        unfinished: dict[int, int] = {}
        for at in range(_LOG_HEADER_BYTES, len(log) - frame_bytes + 1, frame_bytes):
            if log[at + 8 : at + 16] != salt:
                break  # left over from before the log began anew
            unfinished[int.from_bytes(log[at : at + 4], "big") - 1] = at + _FRAME_HEADER_BYTES
            pages = int.from_bytes(log[at + 4 : at + 8], "big")
            if pages:
                self._pages.update(unfinished)
                self._size = max(self._size, pages * self.page_bytes)
                unfinished.clear()


@contextmanager
def content_of(path: Path) -> Iterator[Content]:
    """Of a file that is not empty."""
    log = log_of(path)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        if log is None:
            yield Content(content, None)
            return
        with log.open("rb") as log_file, mmap(log_file.fileno(), 0, access=ACCESS_READ) as log_content:
            yield Content(content, log_content)
