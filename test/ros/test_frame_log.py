"""The record of frames."""

from __future__ import annotations

import math
import threading

import pytest

from ffs_ros.ros.frame_log import FrameCounts, FrameLog, FrameTimes

TIMES = FrameTimes(
    stamp_ns=1, arrival_ns=5_000_000_000, started_ns=5_000_100_000, decode_ns=0, inference_ns=3_000_000, depth_ns=0,
    publish_ns=0, published_ns=5_004_000_000, age_ns=0,
)  # fmt: skip


def test_overhead_is_latency_without_inference() -> None:
    """Times are nanoseconds in and milliseconds out; percentiles over what was recorded."""
    log = FrameLog()
    assert math.isnan(log.percentiles_ms("latency_ms")[50])
    for extra in range(101):
        log.times.append(TIMES._replace(published_ns=TIMES.published_ns + extra * 10_000))
    assert log.times[0].latency_ms == 4.0
    assert log.times[0].overhead_ms == 1.0
    assert log.percentiles_ms("overhead_ms") == pytest.approx({50: 1.5, 99: 1.99})


def test_memory_is_bounded() -> None:
    """A day of frames keeps the last thousand."""
    log = FrameLog()
    for stamp_ns in range(3000):
        log.times.append(TIMES._replace(stamp_ns=stamp_ns))
    assert [log.times[0].stamp_ns, len(log.times)] == [2000, 1000]


def test_what_has_no_fate_yet_is_in_flight() -> None:
    """A pair is in flight from pairing until exactly one of the fates."""
    log = FrameLog()
    log.count("paired", 7)
    for fate in ("published", "replaced", "rejected", "failed", "unwanted"):
        log.count(fate)
    assert log.counts == FrameCounts(7, 1, 1, 1, 1, 1)
    assert log.counts.in_flight == 2
    with pytest.raises(AttributeError):
        log.count("lost")


def test_threads_count_together() -> None:
    """Two threads lose nothing, and no snapshot in between has an end without its beginning."""
    log = FrameLog()
    ended = threading.Event()
    in_flight = []

    def pairs(fate: str) -> None:
        for _ in range(5000):
            log.count("paired")
            log.count(fate)

    def look() -> None:
        while not ended.is_set():
            in_flight.append(log.counts.in_flight)

    watcher = threading.Thread(target=look)
    workers = [threading.Thread(target=pairs, args=[fate]) for fate in ("published", "replaced")]
    for thread in (watcher, *workers):
        thread.start()
    for worker in workers:
        worker.join()
    ended.set()
    watcher.join()
    assert log.counts == FrameCounts(paired=10_000, published=5000, replaced=5000)
    assert {0, 1, 2} >= set(in_flight)
