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


def test_kinds_do_not_hide_each_other() -> None:
    """Sentences with other words are heard; with other numbers, even inside words, they are not."""
    heard = Heard()
    for sentence in ("step is 12 bytes", "data ends early", "step is 13 bytes", "P[3] = -1.5e-05", "P[3] = 2"):
        heard.log.warn(sentence)
    assert heard.sentences == ["step is 12 bytes", "data ends early", "P[3] = -1.5e-05"]


def test_memory_is_bounded() -> None:
    """Damaged messages that say something new each time do not fill the memory."""
    heard = Heard()
    for word in range(1000):
        heard.log.warn("encoding " + "x" * word)
    assert len(heard.sentences) == 1000
    assert len(heard.log._said_at) <= 100
