"""The part of ``message_filters`` that pairing needs, for systems where that package is not installed.

Names, arguments and matching are those of the ROS package, so ``pairing.py`` takes either. Two differences, both to the
better: a callback that raises does not leave the synchronizer locked, and what leaves a queue without a partner is
counted in ``evicted``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any


def stamp_ns(message: Any) -> int:
    """The header's stamp in nanoseconds."""
    stamp = message.header.stamp
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


class SimpleFilter:
    """Passes what it is given to every registered callback."""

    def __init__(self) -> None:
        self.callbacks: dict[int, tuple[Callable[..., None], tuple[Any, ...]]] = {}

    def registerCallback(self, callback: Callable[..., None], *arguments: Any) -> int:
        """Call ``callback(*messages, *arguments)`` for every output from now on; gives the connection's number."""
        connection = len(self.callbacks)
        self.callbacks[connection] = (callback, arguments)
        return connection

    def signalMessage(self, *messages: Any) -> None:
        """Hand ``messages`` to the callbacks, in the order of their registration."""
        for callback, arguments in list(self.callbacks.values()):
            callback(*messages, *arguments)


class TimeSynchronizer(SimpleFilter):
    """Gives one message of each input where all stamps are equal.

    Each input keeps ``queue_size`` messages; beyond that the smallest stamp goes. A message with the stamp of one that
    still waits takes its place.
    """

    def __init__(self, fs: Sequence[SimpleFilter], queue_size: int) -> None:
        super().__init__()
        self.queue_size = queue_size
        self.queues: list[dict[int, Any]] = [{} for _ in fs]
        self.evicted: list[int] = [0] * len(self.queues)
        self.lock = threading.Lock()
        self.input_connections = [f.registerCallback(self.add, self.queues[index], index) for index, f in enumerate(fs)]

    def add(self, message: Any, queue: dict[int, Any], index: int) -> None:
        """Take one message of input ``index``; signals the sets that it completes."""
        stamp = stamp_ns(message)
        with self.lock:
            self.evicted[index] += stamp in queue
            queue[stamp] = message
            while len(queue) > self.queue_size:
                del queue[min(queue)]
                self.evicted[index] += 1
            stamps = self._completed(stamp, index)
            messages = [q.pop(s) for q, s in zip(self.queues, stamps, strict=False)]
        if messages:
            self.signalMessage(*messages)

    def _completed(self, stamp: int, index: int) -> list[int]:
        """The stamp of each queue's member of the set that ``stamp`` completes, or nothing."""
        return [stamp] * len(self.queues) if all(stamp in queue for queue in self.queues) else []


class ApproximateTimeSynchronizer(TimeSynchronizer):
    """Gives one message of each input where the stamps differ by less than ``slop`` seconds (0 never matches).

    A message is matched with the nearest one of each other input when it arrives.
    """

    def __init__(
        self, fs: Sequence[SimpleFilter], queue_size: int, slop: float, allow_headerless: bool = False
    ) -> None:
        if allow_headerless:
            raise NotImplementedError("messages without a header have no stamp to pair by")
        super().__init__(fs, queue_size)
        self.slop_ns = round(slop * 1e9)

    def _completed(self, stamp: int, index: int) -> list[int]:
        if not all(self.queues) or stamp not in self.queues[index]:
            return []
        stamps = [min(queue, key=lambda other: abs(other - stamp)) for queue in self.queues]
        return stamps if max(stamps) - min(stamps) < self.slop_ns else []
