"""A one-place mailbox with a worker: the newest item is handled, those that it overtakes are counted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

Item = TypeVar("Item")


class SlotCounts(NamedTuple):
    """What became of the items so far: ``put = taken + replaced``, plus one while an item waits or was closed upon."""

    put: int
    replaced: int
    taken: int


class LatestSlot(Generic[Item]):
    """Hands items to ``handle`` on a thread of its own, one at a time, always the newest.

    A ROS callback that only puts returns at once, and a slow ``handle`` works on fresh images instead of a backlog.
    An exception of ``handle`` goes to ``on_error``, on the same thread, and the worker takes the next item.
    """

    def __init__(self, handle: Callable[[Item], None], on_error: Callable[[BaseException], None], name: str = "latest"):
        self._handle = handle
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: list[Item] = []  # at most one; a list, so that None is an item like any other
        self._put = self._replaced = self._taken = 0
        self._closed = False
        # A daemon: an interpreter that ends without close() must not wait for the next item.
        self._worker = threading.Thread(target=self._work, name=name, daemon=True)
        self._worker.start()

    def put(self, item: Item) -> bool:
        """Deposit ``item`` and return at once; True if it replaced one that was still waiting.

        After ``close`` nothing is deposited or counted, so callbacks that come late do no harm.
        """
        with self._changed:
            if self._closed:
                return False
            replaced = bool(self._waiting)
            self._waiting = [item]
            self._put += 1
            self._replaced += replaced
            self._changed.notify()
            return replaced

    @property
    def counts(self) -> SlotCounts:
        """A consistent snapshot of the counters."""
        with self._changed:
            return SlotCounts(self._put, self._replaced, self._taken)

    def close(self, longest_s: float | None = None) -> None:
        """Let the item in work finish, drop the one that waits, and end the worker; calling it again does nothing.

        After ``longest_s`` the item in work is waited for no longer.
        """
        with self._changed:
            self._closed = True
            self._changed.notify()
        if threading.current_thread() is not self._worker:
            self._worker.join(longest_s)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                item = self._waiting.pop()
                self._taken += 1
            try:
                self._handle(item)
            except BaseException as error:  # a library's sys.exit() must not end the only worker: all would wait for it
                self._report(error)
            del item  # do not keep two images alive while waiting for the next pair

    def _report(self, error: BaseException) -> None:
        try:
            self._on_error(error)
        except Exception:
            # The reporter is gone (a logger after shutdown); the worker must still outlive it.
            logging.getLogger(__name__).exception("on_error itself failed while reporting: %s", error)
