"""At most so many times a second."""

from __future__ import annotations

from ffs_ros.pace import Pace


def test_it_is_due_once_the_time_is_over() -> None:
    """The first time at once, then a full period after the last start; a rate may change at any time, 0 is never."""
    now_s = [100.0]
    pace = Pace(lambda: now_s[0])
    assert pace.due(2.0)
    assert pace.due(2.0)  # asking is not starting
    pace.start()
    now_s[0] += 0.499
    assert not pace.due(2.0)
    assert pace.due(2.5)
    now_s[0] += 0.001
    assert pace.due(2.0)
    assert not pace.due(0.0)
    assert not Pace().due(0.0)
