"""Repeated warnings are held back, each kind for itself."""

from __future__ import annotations

from ffs_ros.ros.throttle import ThrottledLog


class Heard:
    """A logger and a clock."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.sentences: list[str] = []
        self.log = ThrottledLog(self, period_s=10.0, clock=lambda: self.now_s)

    def warning(self, sentence: str) -> None:
        self.sentences.append(sentence)

    error = warning


def test_one_per_period_with_what_was_held_back() -> None:
    """Thirty a second for eleven seconds make two lines, the second with the count."""
    heard = Heard()
    for frame in range(330):
        heard.now_s = 100.0 + frame / 30
        heard.log.warn(f"the left image is {frame}x480")
    assert heard.sentences == [
        "the left image is 0x480",
        "the left image is 300x480 (299 more like this since the last one)",
    ]


def test_who_logs_hears_whether_it_was_said() -> None:
    """Errors are throttled as warnings are, and together with them."""
    heard = Heard()
    assert [heard.log.error("no depth"), heard.log.warn("no depth"), heard.log.error("no image")] == [True, False, True]
    assert heard.sentences == ["no depth", "no image"]


def test_kinds_do_not_hide_each_other() -> None:
    """Sentences with other words are heard; with other numbers, even inside words, they are not."""
    heard = Heard()
    for sentence in ("step is 12 bytes", "data ends early", "step is 13 bytes", "P[3] = -1.5e-05", "P[3] = 2"):
        heard.log.warn(sentence)
    assert heard.sentences == ["step is 12 bytes", "data ends early", "P[3] = -1.5e-05"]


def test_what_was_noticed_in_two_places_is_said_once() -> None:
    """A dropped pair and the doctor have the same sentence; what stands before it makes no other kind."""
    heard = Heard()
    assert heard.log.warn("P[3] = 2", "a pair was dropped: ")
    assert not heard.log.warn("P[3] = 2")
    assert heard.sentences == ["a pair was dropped: P[3] = 2"]


def test_damaged_messages_fill_neither_log_nor_memory() -> None:
    """What says something new each time counts as one kind, once there are forty."""
    heard = Heard()
    for word in range(1000):
        heard.log.warn("encoding " + "x" * word)
    assert len(heard.sentences) == 41
    assert len(heard.log._said_at) == 41


def test_a_new_kind_is_heard_again_when_the_old_ones_are_past() -> None:
    """A flood long ago does not keep a long-lived node silent."""
    heard = Heard()
    for word in range(1000):
        heard.log.warn("encoding " + "x" * word)
    heard.now_s += 11.0
    heard.log.warn("the left image is empty")
    heard.log.warn("the right image is empty")
    assert heard.sentences[41:] == ["the left image is empty", "the right image is empty"]
