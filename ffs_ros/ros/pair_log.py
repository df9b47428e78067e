"""What the log hears of pairs: why they are dropped, that they come out again, that they have another size now."""

from __future__ import annotations

import traceback
from typing import Any

from ffs_ros.errors import FfsError
from ffs_ros.ros.throttle import LONGEST_SENTENCE, ThrottledLog


class PairLog:
    """Used by one thread."""

    def __init__(self, log: ThrottledLog, logger: Any) -> None:
        self._log = log
        self._logger = logger
        self._dropped = 0
        self._said = False
        self._size: tuple[int, ...] | None = None

    def dropped(self, error: BaseException) -> None:
        """One sentence for what the user can put right, the traceback for a bug; the next pair may be fine."""
        self._dropped += 1
        if isinstance(error, FfsError):
            said = self._log.warn(str(error)[:LONGEST_SENTENCE], "a pair was dropped: ")
        else:
            lines = traceback.format_exception(error)
            said = self._log.warn("a pair was dropped by a bug; please report it:\n" + "".join(lines))
        self._said = self._said or said

    def published(self, size: tuple[int, ...] | None) -> None:
        """A pair came out; ``size`` (rows, columns) of its images, where they were looked at."""
        if size is not None and size != self._size:
            if self._size is not None:
                (rows, columns), (rows_before, columns_before) = size, self._size
                self._log.info(f"the images are {columns}x{rows} now, {columns_before}x{rows_before} before")
            self._size = size
        if self._said:  # only then does anybody wait to hear it
            self._logger.info(f"pairs come out again, after {self._dropped} that were dropped")
            self._said = False
        self._dropped = 0
