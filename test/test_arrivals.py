"""A source is missed by its own measure: after some of its periods, and never at once."""

from __future__ import annotations

import pytest

from ffs_ros.arrivals import KEPT, KNOWN_AFTER_S, LEAST_S, PAUSES, PERIODS, Arrivals

S = 1_000_000_000


def after(*arrivals_s: float) -> Arrivals:
    """A source whose messages came then."""
    arrivals = Arrivals()
    for at_s in arrivals_s:
        arrivals.add(round(at_s * S))
    return arrivals


def steady(rate_Hz: float, seconds: float) -> list[float]:
    return [n / rate_Hz for n in range(round(seconds * rate_Hz) + 1)]


@pytest.mark.parametrize(
    ("rate_Hz", "missed_after_s"), [(300.0, LEAST_S), (30.0, LEAST_S), (5.0, PERIODS / 5.0), (0.5, PERIODS / 0.5)]
)
def test_a_steady_source_is_missed_after_some_periods(rate_Hz: float, missed_after_s: float) -> None:
    """At 30 Hz after half a second, at 0.5 Hz after ten."""
    arrivals = after(*steady(rate_Hz, 20.0))
    assert arrivals.rate_Hz == pytest.approx(rate_Hz)
    newest_ns = arrivals.newest_ns
    assert newest_ns == 20 * S
    assert arrivals.silent_s(newest_ns + round(0.99 * missed_after_s * S)) is None
    silent_s = arrivals.silent_s(newest_ns + round(1.01 * missed_after_s * S))
    assert silent_s == pytest.approx(1.01 * missed_after_s)


def test_a_burst_is_no_rate() -> None:
    """What had waited comes at once; the next message of a slow source may take its time."""
    waited = [0.001 * n for n in range(10)]
    assert after().rate_Hz is after(0.0).rate_Hz is after(*waited).rate_Hz is None
    assert after(*waited).silent_s(100 * S) is None
    slow = after(*waited, 2.0)
    assert slow.silent_s(round((2.0 + 0.99 * PAUSES * 2.0) * S)) is None
    assert slow.silent_s(round((2.0 + 1.02 * PAUSES * 2.0) * S)) is not None


def test_a_source_that_sends_in_bursts_is_left_alone() -> None:
    """Ten images at once, each second."""
    arrivals = after(*(second + 0.001 * n for second in range(5) for n in range(10)))
    assert arrivals.silent_s(round(5.2 * S)) is None
    assert arrivals.silent_s(round(5.8 * S)) is not None


def test_a_pause_is_forgotten() -> None:
    """A camera that came back after a minute is missed as before once it has sent for a while."""
    arrivals = after(*steady(30.0, 2.0), *(60.0 + s for s in steady(30.0, 2.0)))
    assert arrivals.silent_s(round((62.0 + 1.1 * LEAST_S) * S)) is not None


def test_many_at_once_are_a_rate() -> None:
    """A fast source need not have sent for ``KNOWN_AFTER_S``; without any time between its messages it has none."""
    assert KEPT / 100.0 < KNOWN_AFTER_S
    assert after(*steady(100.0, KEPT / 100.0)).rate_Hz == pytest.approx(100.0)
    assert after(*[1.0] * KEPT).rate_Hz is None


def test_what_begins_anew_has_no_rate() -> None:
    """After ``clear`` nothing is known."""
    arrivals = after(*steady(30.0, 2.0))
    arrivals.clear()
    assert (arrivals.rate_Hz, arrivals.newest_ns, arrivals.silent_s(100 * S)) == (None, None, None)
