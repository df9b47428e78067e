"""How often messages come, by their own arrivals, and when they have stopped coming."""

from __future__ import annotations

from collections import deque
from itertools import pairwise

PERIODS = 5.0
"""So many of its own periods may a source stay away before it has stopped: some messages get lost."""
PAUSES = 1.5
"""And so many times its longest pause of late: some sources send in bursts."""
LEAST_S = 0.5
"""But it may always be late by this much, whatever its rate: a busy computer holds up everything."""
KNOWN_AFTER_S = 1.0
"""A rate is known when messages have come for so long, or ``KEPT`` of them: the first ones may have waited."""
KEPT = 32


class Arrivals:
    """The last ``KEPT`` arrivals from one source, on a monotonic clock."""

    def __init__(self) -> None:
        self._ns: deque[int] = deque(maxlen=KEPT)

    def add(self, now_ns: int) -> None:
        """One has come."""
        self._ns.append(now_ns)

    def clear(self) -> None:
        """The source begins anew."""
        self._ns.clear()

    @property
    def newest_ns(self) -> int | None:
        """When the last one came."""
        return self._ns[-1] if self._ns else None

    @property
    def rate_Hz(self) -> float | None:
        """Mean over those kept; None while it is not known."""
        span_s = (self._ns[-1] - self._ns[0]) / 1e9 if self._ns else 0.0
        known = span_s >= KNOWN_AFTER_S or (len(self._ns) == KEPT and span_s > 0.0)
        return (len(self._ns) - 1) / span_s if known else None

    def silent_s(self, now_ns: int) -> float | None:
        """For how long none has come, where that is so long that the source has stopped; None otherwise, and where its
        rate is not known."""
        rate_Hz = self.rate_Hz
        if rate_Hz is None:
            return None
        longest_pause_s = max(later - earlier for earlier, later in pairwise(self._ns)) / 1e9
        away_s = (now_ns - self._ns[-1]) / 1e9
        return away_s if away_s > max(LEAST_S, PERIODS / rate_Hz, PAUSES * longest_pause_s) else None
