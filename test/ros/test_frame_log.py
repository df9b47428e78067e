"""The record of frames."""

from __future__ import annotations

import math

import pytest

from ffs_ros.ros.frame_log import FrameLog, FrameTimes


def test_overhead_is_latency_without_inference() -> None:
    """Times are nanoseconds in and milliseconds out; percentiles over what was recorded."""
    log = FrameLog()
    assert math.isnan(log.percentiles_ms("latency_ms")[50])
    arrival_ns = 5_000_000_000
    for extra in range(101):
        published_ns = arrival_ns + 4_000_000 + extra * 10_000
        log.times.append(FrameTimes(1, arrival_ns, arrival_ns + 100_000, 3_000_000, published_ns))
    assert log.times[0].latency_ms == 4.0
    assert log.times[0].overhead_ms == 1.0
    assert log.percentiles_ms("overhead_ms") == pytest.approx({50: 1.5, 99: 1.99})


def test_memory_is_bounded() -> None:
    """A day of frames keeps the last thousand."""
    log = FrameLog()
    for stamp_ns in range(3000):
        log.times.append(FrameTimes(stamp_ns, 0, 0, 0, 0))
    assert [log.times[0].stamp_ns, len(log.times)] == [2000, 1000]
