"""What is wrong is said while it lasts and once when it is over; so are dropped pairs."""

from __future__ import annotations

from ffs_ros.errors import MessageError
from ffs_ros.finding import Finding, Level
from ffs_ros.ros.finding_log import FindingLog
from ffs_ros.ros.pair_log import PairLog
from ffs_ros.ros.throttle import ThrottledLog


class Heard:
    """A logger, and a clock that stands still unless moved."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.lines: list[str] = []
        self.throttled = ThrottledLog(self, period_s=10.0, clock=lambda: self.now_s)

    def info(self, text: str) -> None:
        self.lines.append(f"info: {text}")

    def warning(self, text: str) -> None:
        self.lines.append(f"warning: {text}")

    def error(self, text: str) -> None:
        self.lines.append(f"error: {text}")


def test_a_finding_is_said_by_its_level_and_once_when_it_is_over() -> None:
    """Fine ones are not for the log; a lasting one is repeated only after the throttle's period."""
    heard = Heard()
    log = FindingLog(heard.throttled, heard)
    silent, apart = Finding("left is silent", Level.ERROR, "no image"), Finding("stamps apart", Level.WARN, "2 ms")
    log.say([silent, apart, Finding("rates", Level.OK, "30 Hz")])
    assert heard.lines == ["error: no image", "warning: 2 ms"]
    log.say([apart])
    assert heard.lines[2:] == ["info: over: left is silent"]
    heard.now_s += 11
    log.say([apart])
    log.say([])
    log.say([])
    again = "warning: 2 ms (1 more like this since the last one)"
    assert heard.lines[3:] == [again, "info: over: stamps apart"]


def test_dropped_pairs_are_said_with_their_reason_and_once_when_they_come_out_again() -> None:
    """A bug keeps its traceback; where a drop was not said, its end is not either."""
    heard = Heard()
    log = PairLog(heard.throttled, heard)
    log.published(None)
    for _ in range(3):
        log.dropped(MessageError("the image is empty"))
    log.published(None)
    log.published(None)
    assert heard.lines == [
        "warning: a pair was dropped: the image is empty",
        "info: pairs come out again, after 3 that were dropped",
    ]
    log.dropped(MessageError("the image is empty"))
    log.published(None)
    assert len(heard.lines) == 2
    log.dropped(ZeroDivisionError("in the engine"))
    assert heard.lines[2].startswith("warning: a pair was dropped by a bug; please report it:\n")
    assert heard.lines[2].rstrip().endswith("ZeroDivisionError: in the engine")


def test_a_damaged_message_does_not_fill_the_log() -> None:
    """Sentences quote what came in, which may be a megabyte."""
    heard = Heard()
    PairLog(heard.throttled, heard).dropped(MessageError("encoding '" + "x" * 1_000_000 + "'"))
    assert len(heard.lines[0]) < 1100


def test_another_size_is_said_once() -> None:
    """A camera that comes back with other images; pairs of which nobody wanted pixels tell no size."""
    heard = Heard()
    log = PairLog(heard.throttled, heard)
    for size in ((480, 640), None, (480, 640), (720, 1280), (720, 1280), None):
        log.published(size)
    assert heard.lines == ["info: the images are 1280x720 now, 640x480 before"]
    for _ in range(50):  # two cameras on one topic
        log.published((480, 640))
        log.published((720, 1280))
    assert heard.lines[1:] == ["info: the images are 640x480 now, 1280x720 before"]
