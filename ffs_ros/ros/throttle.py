"""Warnings that come with every frame are said once in a while, each for itself."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from typing import Any

PERIOD_S = 10.0

LONGEST_SENTENCE = 1000
"""Sentences quote what came in, and a damaged message may hold an encoding of a megabyte."""
_MOST_KINDS = 40
"""More than the doctor and bad pairs have together."""
_ANY_OTHER = ""
_NUMBER = re.compile(r"[-+]?\d[\w.+-]*")


class ThrottledLog:
    """Logs a sentence at most once per period, where those that differ in their numbers alone count as one.

    ROS throttles per line of source, which would let one kind hide the others here, and on the node's clock, which
    stands still with a paused simulation; this one keeps a steady clock and says how many it held back. Thread-safe.
    """

    def __init__(self, logger: Any, period_s: float = PERIOD_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._period_s = period_s
        self._clock = clock
        self._lock = threading.Lock()
        self._said_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def warn(self, sentence: str, prefix: str = "") -> bool:
        """Log ``prefix`` and ``sentence`` unless the like of ``sentence`` was logged less than a period ago; gives
        whether it was."""
        text = self._due(sentence, prefix, _NUMBER.sub("#", sentence))
        if text is not None:
            self._logger.warning(text)
        return text is not None

    def error(self, sentence: str, prefix: str = "") -> bool:
        """As ``warn``, more severe."""
        text = self._due(sentence, prefix, _NUMBER.sub("#", sentence))
        if text is not None:
            self._logger.error(text)  # not where warn does: rclpy raises when a line logs with two severities
        return text is not None

    def info(self, sentence: str) -> bool:
        """As ``warn``, less severe, for sentences that say something else with other numbers."""
        text = self._due(sentence, "", sentence)
        if text is not None:
            self._logger.info(text)
        return text is not None

    def _due(self, sentence: str, prefix: str, kind: str) -> str | None:
        """What to log of ``sentence``, one of its ``kind``, now."""
        with self._lock:
            now = self._clock()
            if kind not in self._said_at and len(self._said_at) >= _MOST_KINDS:
                kind = self._kind_in_full_table(kind, now)
            if now - self._said_at.get(kind, -self._period_s) < self._period_s:
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return None
            self._said_at[kind] = now
            held_back = self._held_back.pop(kind, 0)
        return prefix + sentence + (f" ({held_back} more like this since the last one)" if held_back else "")

    def _kind_in_full_table(self, kind: str, now: float) -> str:
        """``kind`` where old ones made room for it; otherwise all further ones count as one: damaged messages can name
        anything."""
        for old in [other for other, said_at in self._said_at.items() if now - said_at >= self._period_s]:
            del self._said_at[old]
            self._held_back.pop(old, None)
        return kind if len(self._said_at) < _MOST_KINDS else _ANY_OTHER
