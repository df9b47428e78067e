"""Left and right images become pairs; nothing that stays alone goes unseen.

The matching itself is ``message_filters``' (ROS's own), or that of ``sync.py`` where that is not installed. It tells
nobody what it drops, so the arrivals are counted here, where they pass.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ffs_ros import sync
from ffs_ros.arrivals import Arrivals

JUMP_BACK_NS = 500_000_000
"""A stamp this much older than the one before it means that time jumped (a bag loops, a simulation restarts); less is
messages out of order."""

OnPair = Callable[[Any, Any, int], None]
"""Called with the left image, the right image and the monotonic time in ns at which the second of them arrived."""


class Unmatched(Enum):
    """Why an image finds no partner."""

    UNSTAMPED = "no stamp"
    """It is negative, or 0 and not the first such."""
    DOUBLED = "doubled"
    """One with the same stamp came while it waited."""
    ALONE = "no partner"
    """More than ``queue_size`` images came while it waited."""
    TIME_JUMPED = "time jumped back"
    """While it waited."""
    ENDED = "no partner when the images ended"


@dataclass
class Side:
    """What has been seen of one camera's images."""

    received: int = 0
    unmatched_by: Counter[Unmatched] = field(default_factory=Counter)
    """Why images found no partner."""
    recent_stamps_ns: deque[int] = field(default_factory=lambda: deque(maxlen=32))
    waiting_ns: list[int] = field(default_factory=list)
    """Stamps that may still find their partner, in order of arrival."""
    newest: Any = None
    """The image that came last, stamped or not."""
    arrivals: Arrivals = field(default_factory=Arrivals)
    """When the last of them came, stamped or not."""

    @property
    def unmatched(self) -> int:
        """Images whose partner has not come and no longer can."""
        return self.unmatched_by.total()

    @property
    def unstamped(self) -> int:
        """Those without a stamp, among the unmatched."""
        return self.unmatched_by[Unmatched.UNSTAMPED]

    @property
    def newest_stamp_ns(self) -> int | None:
        """Stamp of the image that came last."""
        return self.recent_stamps_ns[-1] if self.recent_stamps_ns else None


class Pairing:
    """Takes images of both sides and calls ``on_pair`` for those that belong together. One thread feeds it.

    Exact: equal stamps. Approximate: stamps that differ by less than ``tolerance_s``. Each side keeps ``queue_size``
    images that wait for their partner.
    """

    def __init__(
        self, on_pair: OnPair, *, approximate: bool, tolerance_s: float, queue_size: int, filters: Any = sync
    ) -> None:
        """``filters`` is ``message_filters`` or ``sync``."""
        self.approximate = approximate
        self.tolerance_s = tolerance_s
        self.queue_size = queue_size
        self.left, self.right = Side(), Side()
        self.paired = 0
        self.jumps_back = 0
        self.filters = filters
        self._on_pair = on_pair
        self._completed: list[tuple[Any, Any]] = []
        self._start()

    def describe(self) -> str:
        """How images are paired, for the log."""
        how = f"stamps less than {self.tolerance_s * 1e3:g} ms apart" if self.approximate else "equal stamps only"
        own = "ffs_ros's own pairing (message_filters is not installed)"
        where = own if self.filters is sync else "message_filters"
        return f"pairs images with {how}, by {where}"

    def add_left(self, image: Any) -> None:
        """Take a left image."""
        self._add(self.left, self._left_filter, image)

    def add_right(self, image: Any) -> None:
        """Take a right image."""
        self._add(self.right, self._right_filter, image)

    def clear(self) -> None:
        """Give up what waits for a partner, because no more images will come, or not for a while."""
        self._give_up(Unmatched.ENDED)
        for side in (self.left, self.right):
            side.arrivals.clear()

    def _add(self, side: Side, side_filter: Any, image: Any) -> None:
        arrival_ns = time.monotonic_ns()
        side.newest = image
        side.arrivals.add(arrival_ns)
        stamp_ns = sync.stamp_ns(image)
        if image.header.stamp.sec < 0 or (stamp_ns == 0 and 0 in side.recent_stamps_ns):
            # No time at all: message_filters raises, with its lock taken for good. Or all alike: once one is lost, each
            # would pair with another's partner for ever, a wrong depth.
            side.received += 1
            side.unmatched_by[Unmatched.UNSTAMPED] += 1
            return
        newest_ns = side.newest_stamp_ns
        if newest_ns is not None and stamp_ns < newest_ns - JUMP_BACK_NS:
            # Full of later stamps, the queues would drop every new image on arrival.
            self.jumps_back += 1
            self._give_up(Unmatched.TIME_JUMPED)
            side_filter = self._left_filter if side is self.left else self._right_filter
        side.received += 1
        side.recent_stamps_ns.append(stamp_ns)
        if stamp_ns in side.waiting_ns:
            side.unmatched_by[Unmatched.DOUBLED] += 1  # it takes the place of one that waits
        else:
            side.waiting_ns.append(stamp_ns)
        if len(side.waiting_ns) > self.queue_size:
            side.waiting_ns.remove(min(side.waiting_ns))
            side.unmatched_by[Unmatched.ALONE] += 1
        side_filter.signalMessage(image)
        # Only now, because message_filters calls back under a lock that an exception would leave taken for good.
        completed, self._completed = self._completed, []
        for left, right in completed:
            self._count(left, right)
            self._on_pair(left, right, arrival_ns)

    def _count(self, left: Any, right: Any) -> None:
        self.paired += 1
        for side, image in ((self.left, left), (self.right, right)):
            stamp_ns = sync.stamp_ns(image)
            if stamp_ns in side.waiting_ns:
                side.waiting_ns.remove(stamp_ns)

    def _give_up(self, why: Unmatched) -> None:
        """Start over: what waits will find no partner, and old stamps no longer tell the order."""
        for side in (self.left, self.right):
            side.unmatched_by[why] += len(side.waiting_ns)
            side.waiting_ns.clear()
            side.recent_stamps_ns.clear()
        self._start()

    def _start(self) -> None:
        """With empty queues."""
        self._left_filter, self._right_filter = self.filters.SimpleFilter(), self.filters.SimpleFilter()
        inputs = [self._left_filter, self._right_filter]
        if self.approximate:
            synchronizer = self.filters.ApproximateTimeSynchronizer(inputs, self.queue_size, self.tolerance_s)
        else:
            synchronizer = self.filters.TimeSynchronizer(inputs, self.queue_size)
        synchronizer.registerCallback(lambda left, right: self._completed.append((left, right)))
