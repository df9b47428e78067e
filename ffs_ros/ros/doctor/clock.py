"""The images' stamps against the node's clock: what tf and every fusing consumer will stumble over."""

from __future__ import annotations

import time
from typing import Any

from ffs_ros.finding import Finding, Level
from ffs_ros.pairing import Pairing, Side
from ffs_ros.sync import stamp_ns

MOST_AHEAD_S = 0.25
"""A camera's clock that is synchronised at all is no further ahead, nor is a simulation's between two ticks."""
MOST_BEHIND_S = 2.0
"""Exposure, transfer and a slow driver take less."""
_LONG_AGO_S = 5.0
"""A simulation's clock may run at another pace than the one that arrivals are measured with."""


def clock_findings(clock: Any, pairing: Pairing, topics: tuple[str, str]) -> list[Finding]:
    """Stamps in the future or long ago, by ``clock`` (the node's, rclpy's); at most one finding."""
    looked_ns = time.monotonic_ns()  # first: a thread that is held up in between makes stamps older, not newer
    now_ns = clock.now().nanoseconds
    if clock.ros_time_is_active and now_ns == 0:
        return [
            Finding(
                "no clock",
                Level.WARN,
                "use_sim_time is set, but nothing has come on /clock, so this node's time stands still at 0; play the "
                "bag with --clock, start the simulation, or set use_sim_time: false",
            )
        ]
    for side, topic in zip((pairing.left, pairing.right), topics, strict=True):
        age_s = _age_on_arrival_s(side, now_ns, looked_ns)
        if age_s is not None and age_s < -MOST_AHEAD_S:
            return [
                Finding(
                    "stamps ahead",
                    Level.WARN,
                    f"{topic} is stamped {_duration(-age_s)} ahead of this node's clock, so tf has no transform for it "
                    "yet; synchronise the camera's clock or host (PTP, chrony), or set use_sim_time alike everywhere",
                )
            ]
        if age_s is not None and age_s > MOST_BEHIND_S:
            return [
                Finding(
                    "stamps old",
                    Level.WARN,
                    f"{topic} arrives {_duration(age_s)} after its stamp by this node's clock, which tf has forgotten; "
                    "for a bag or simulation set use_sim_time: true here and play with --clock, otherwise synchronise "
                    "the clocks (PTP, chrony)",
                )
            ]
    return []


def _age_on_arrival_s(side: Side, now_ns: int, looked_ns: int) -> float | None:
    """How old the newest image was when it came; None without a stamp, and where it came long ago."""
    if side.newest is None or stamp_ns(side.newest) <= 0 or side.arrivals.newest_ns is None:
        return None
    since_arrival_ns = looked_ns - side.arrivals.newest_ns
    if since_arrival_ns > _LONG_AGO_S * 1e9:
        return None
    return (now_ns - since_arrival_ns - stamp_ns(side.newest)) / 1e9


def _duration(seconds: float) -> str:
    """In a unit that one reads easily."""
    for unit_s, unit in ((86400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2.0 * unit_s:
            return f"{seconds / unit_s:.1f} {unit}"
    return f"{seconds:.2f} s"
