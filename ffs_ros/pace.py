"""Work that is to be done at most so many times a second."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Keeps a steady clock, because a node's own stands still or jumps with a simulation."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started_s: float | None = None

    def due(self, rate_hz: float) -> bool:
        """Whether it is time, at ``rate_hz`` times a second, 0 being never."""
        if rate_hz <= 0.0:
            return False
        return self._started_s is None or self._clock() - self._started_s >= 1.0 / rate_hz

    def start(self) -> None:
        """It is being done now."""
        self._started_s = self._clock()
