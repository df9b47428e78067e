"""The thread that owns the engine: GPU contexts belong to threads, so opening, running and closing happen on one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from ffs_ros.latest import LatestSlot

Result = TypeVar("Result")


class Worker:
    """Does the newest work that it was given; ``on_error`` hears, on the same thread, of work that raised."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._slot: LatestSlot[Callable[[], None]] = LatestSlot(lambda work: work(), on_error, name="stereo_worker")

    def put(self, work: Callable[[], None]) -> bool:
        """Leave ``work`` and return at once; True if it took the place of work that had not begun."""
        return self._slot.put(work)

    def call(self, work: Callable[[], Result]) -> tuple[Result, bool]:
        """Have ``work`` done and wait for it: its result, and whether it took the place of work that had not begun.

        Raises what ``work`` raises.
        """
        future: Future[Result] = Future()

        def run() -> None:
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        replaced = self._slot.put(run)
        return future.result(), replaced

    def close(self) -> None:
        """Let the work at hand finish and end the thread."""
        self._slot.close()
