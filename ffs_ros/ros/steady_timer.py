"""A timer for what looks at messages that have come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import Clock, ClockType


class SteadyTimer:
    """Calls back by a steady clock, because a node on simulated time must also say that /clock stands still.

    It does so a round of the executor later, which serves timers first: after the executor was held up, what came
    meanwhile has been taken by then, and is not missed.
    """

    def __init__(self, node: Any, period_s: float, callback: Callable[[], None]) -> None:
        self._node = node
        self._due = node.create_guard_condition(callback)
        self._timer = node.create_timer(period_s, self._due.trigger, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def destroy(self) -> None:
        """Call back no more."""
        self._node.destroy_timer(self._timer)
        self._node.destroy_guard_condition(self._due)
