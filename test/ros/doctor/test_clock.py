"""Stamps against the node's clock: ahead, long ago, or a clock that stands still."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from ffs_ros.finding import Level
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor.clock import clock_findings

TOPICS = ("/left/image_rect", "/right/image_rect")
NOW_NS = 1_700_000_000_000_000_000


def clock(now_ns: int = NOW_NS, simulated: bool = False) -> Any:
    """A clock that stands at ``now_ns``."""
    return SimpleNamespace(now=lambda: SimpleNamespace(nanoseconds=now_ns), ros_time_is_active=simulated)


def pairing(left_age_s: float | None, right_age_s: float | None, arrived_s_ago: float = 0.0) -> Pairing:
    """One image of each side, so old when it came."""
    pairing = Pairing(lambda *pair: None, approximate=False, tolerance_s=0.01, queue_size=5)
    for side, age_s in ((pairing.left, left_age_s), (pairing.right, right_age_s)):
        if age_s is not None:
            sec, nanosec = divmod(NOW_NS - round((age_s + arrived_s_ago) * 1e9), 10**9)
            side.newest = SimpleNamespace(header=SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec)))
            side.arrivals.add(time.monotonic_ns() - round(arrived_s_ago * 1e9))
    return pairing


@pytest.mark.parametrize("age_s", [-0.05, 0.0, 0.03, 1.5])
@pytest.mark.parametrize("arrived_s_ago", [0.0, 4.0])
def test_stamps_near_the_arrival_are_fine(age_s: float, arrived_s_ago: float) -> None:
    """Nothing is said, also when the newest image came a while ago."""
    assert clock_findings(clock(), pairing(age_s, age_s, arrived_s_ago), TOPICS) == []


@pytest.mark.parametrize(
    ("left_age_s", "right_age_s", "name", "sentence"),
    [
        (-7.0, -7.0, "stamps ahead", "/left/image_rect is stamped 7.00 s ahead"),
        (0.0, -0.5, "stamps ahead", "/right/image_rect is stamped 0.50 s ahead"),
        (3.25, 3.25, "stamps old", "/left/image_rect arrives 3.25 s after its stamp"),
        (0.0, 300.0, "stamps old", "/right/image_rect arrives 5.0 min after its stamp"),
        (None, 40 * 86400.0, "stamps old", "/right/image_rect arrives 40.0 days after its stamp"),
    ],
)
def test_clocks_apart_are_named(left_age_s: float | None, right_age_s: float, name: str, sentence: str) -> None:
    """The side, by how much, and a warning: depth comes all the same."""
    (finding,) = clock_findings(clock(), pairing(left_age_s, right_age_s), TOPICS)
    assert (finding.name, finding.level) == (name, Level.WARN)
    assert finding.sentence.startswith(sentence)


def test_being_held_up_puts_no_stamp_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second between the readings of the two clocks."""
    ticks = iter((time.monotonic_ns(), time.monotonic_ns() + 10**9))
    images = pairing(0.0, 0.0)
    monkeypatch.setattr("ffs_ros.ros.doctor.clock.time", SimpleNamespace(monotonic_ns=lambda: next(ticks)))
    assert clock_findings(clock(), images, TOPICS) == []


def test_nothing_is_said_about_images_of_long_ago_or_without_stamps() -> None:
    """Whose age on arrival is not known any more, or never was."""
    assert clock_findings(clock(), pairing(9.0, 9.0, arrived_s_ago=60.0), TOPICS) == []
    unstamped = pairing(NOW_NS / 1e9, None)
    assert unstamped.left.newest.header.stamp.sec == 0
    assert clock_findings(clock(), unstamped, TOPICS) == []


def test_simulated_time_that_does_not_come_is_named() -> None:
    """use_sim_time without anybody on /clock; once it runs, its time is what counts."""
    (finding,) = clock_findings(clock(now_ns=0, simulated=True), pairing(0.0, 0.0), TOPICS)
    assert (finding.name, finding.level) == ("no clock", Level.WARN)
    assert clock_findings(clock(simulated=True), pairing(0.0, 0.0), TOPICS) == []
