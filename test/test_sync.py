"""The stand-in pairs as message_filters does; where that is installed, both go through the same tests."""

from __future__ import annotations

import importlib
import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest

from ffs_ros import sync

MS = 1_000_000


@pytest.fixture(params=["ffs_ros.sync", *(["message_filters"] if importlib.util.find_spec("message_filters") else [])])
def filters(request: pytest.FixtureRequest) -> Any:
    """The module under test."""
    return importlib.import_module(request.param)


def image(stamp_ns: int, side: str = "") -> SimpleNamespace:
    """What has a stamp."""
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    return SimpleNamespace(header=SimpleNamespace(stamp=_stamp(sec, nanosec)), side=side)


def _stamp(sec: int, nanosec: int) -> Any:
    """A builtin_interfaces/Time where it exists, as message_filters asks for one."""
    if importlib.util.find_spec("builtin_interfaces") is None:
        return SimpleNamespace(sec=sec, nanosec=nanosec)
    return importlib.import_module("builtin_interfaces.msg").Time(sec=sec, nanosec=nanosec)


class Bench:
    """Two inputs, a synchronizer and the stamps of what came out."""

    def __init__(self, filters: Any, queue_size: int = 10, slop_s: float | None = None) -> None:
        self.left, self.right = filters.SimpleFilter(), filters.SimpleFilter()
        inputs = [self.left, self.right]
        if slop_s is None:
            self.synchronizer = filters.TimeSynchronizer(inputs, queue_size)
        else:
            self.synchronizer = filters.ApproximateTimeSynchronizer(inputs, queue_size, slop_s)
        self.pairs: list[tuple[int, int]] = []
        self.synchronizer.registerCallback(
            lambda left, right: self.pairs.append((sync.stamp_ns(left), sync.stamp_ns(right)))
        )

    def feed(self, *arrivals: tuple[str, int]) -> list[tuple[int, int]]:
        """Images in the order of their arrival: side and stamp in ms; gives all pairs so far, in ms."""
        for side, stamp_ms in arrivals:
            getattr(self, side).signalMessage(image(round(stamp_ms * MS), side))
        return [(left // MS, right // MS) for left, right in self.pairs]


def test_equal_stamps_pair_in_any_order_of_arrival(filters: Any) -> None:
    """Exact: left first, right first, or a whole burst of one side before the other."""
    arrivals = [("left", 1000), ("right", 1000), ("right", 1033), ("left", 1033)]
    arrivals += [("left", t) for t in (1066, 1100, 1133)] + [("right", t) for t in (1066, 1100, 1133)]
    assert Bench(filters).feed(*arrivals) == [(t, t) for t in (1000, 1033, 1066, 1100, 1133)]


def test_exact_pairs_nothing_that_differs(filters: Any) -> None:
    """Exact: a nanosecond is a difference."""
    bench = Bench(filters)
    bench.left.signalMessage(image(1_000_000_000))
    bench.right.signalMessage(image(1_000_000_001))
    assert bench.pairs == []


def test_lost_images_leave_the_others_paired(filters: Any) -> None:
    """Exact: what lost its partner is skipped, and the queue limits how long it waits."""
    bench = Bench(filters, queue_size=3)
    left = [("left", t) for t in (0, 33, 66, 100, 133)]
    assert bench.feed(*left, ("right", 0), ("right", 66), ("right", 133)) == [(66, 66), (133, 133)]


def test_a_repeated_stamp_replaces_the_waiting_image(filters: Any) -> None:
    """Exact: two images with one stamp on one side give one pair, with the later image."""
    bench = Bench(filters)
    sides = []
    bench.synchronizer.registerCallback(lambda left, right: sides.append(left.side))
    bench.left.signalMessage(image(5 * MS, "first"))
    bench.left.signalMessage(image(5 * MS, "second"))
    assert bench.feed(("right", 5)) == [(5, 5)]
    assert sides == ["second"]


def test_jittering_stamps_pair_with_the_nearest(filters: Any) -> None:
    """Approximate: each left image gets the right one that is nearest among those that wait."""
    jitter_ms = [3, -4, 0, 7, -7, 2, 5]
    arrivals = []
    for frame, offset in enumerate(jitter_ms):
        arrivals += [("left", 1000 + 33 * frame), ("right", 1000 + 33 * frame + offset)]
    expected = [(1000 + 33 * i, 1000 + 33 * i + offset) for i, offset in enumerate(jitter_ms)]
    assert Bench(filters, slop_s=0.010).feed(*arrivals) == expected


def test_the_nearest_of_a_burst_is_taken(filters: Any) -> None:
    """Approximate: the arrival of the second side chooses, not the order of the first."""
    bench = Bench(filters, slop_s=0.050)
    assert bench.feed(("right", 990), ("right", 1004), ("right", 1020), ("left", 1005)) == [(1005, 1004)]


def test_the_tolerance_itself_does_not_pair(filters: Any) -> None:
    """Approximate: stamps must differ by less than the tolerance, so a tolerance of 0 pairs nothing."""
    assert Bench(filters, slop_s=0.010).feed(("left", 1000), ("right", 1010)) == []
    assert Bench(filters, slop_s=0.010).feed(("left", 1000), ("right", 1009)) == [(1000, 1009)]
    assert Bench(filters, slop_s=0.0).feed(("left", 1000), ("right", 1000)) == []


def test_an_image_is_used_once(filters: Any) -> None:
    """Approximate: two left images near one right image give one pair."""
    assert Bench(filters, slop_s=0.020).feed(("left", 1000), ("right", 1002), ("left", 1004)) == [(1000, 1002)]


@pytest.mark.parametrize("slop_s", [None, 0.010])
def test_the_smallest_stamp_leaves_a_full_queue(filters: Any, slop_s: float | None) -> None:
    """After time jumped back, a queue full of later stamps drops what arrives: the reason why pairing.py resets."""
    bench = Bench(filters, queue_size=2, slop_s=slop_s)
    assert bench.feed(("left", 9000), ("left", 9033), ("left", 1000), ("right", 1000)) == []


def test_the_stand_in_counts_what_it_drops() -> None:
    """What message_filters would swallow is in ``evicted``, per side."""
    bench = Bench(sync, queue_size=2)
    bench.feed(*(("left", t) for t in (0, 33, 66, 66)), ("right", 66), ("right", 100))
    assert bench.synchronizer.evicted == [2, 0]


def test_the_stand_in_survives_a_callback_that_raises() -> None:
    """An exception in a callback comes through and leaves no lock taken."""
    bench = Bench(sync)
    bench.synchronizer.registerCallback(lambda left, right: 1 // 0)
    for stamp in (1, 2):
        with pytest.raises(ZeroDivisionError):
            bench.feed(("left", stamp), ("right", stamp))
    assert len(bench.pairs) == 2


def test_callbacks_get_their_arguments() -> None:
    """``registerCallback`` passes extra arguments on, after the messages, and numbers its connections."""
    source, got = sync.SimpleFilter(), []
    assert [source.registerCallback(lambda *everything: got.append(everything), name) for name in "ab"] == [0, 1]
    source.signalMessage(1, 2)
    assert got == [(1, 2, "a"), (1, 2, "b")]
