"""Why images do not come or do not pair, in one sentence with the remedy."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Set
from typing import NamedTuple, TypeAlias

from ffs_ros.finding import Finding, Level
from ffs_ros.pairing import Pairing, Side
from ffs_ros.ros.doctor.other_form import other_form
from ffs_ros.unpaired_reason import unpaired_reason

SILENCE = frozenset({"no publisher", "no images"})
"""Names of the findings that nothing comes."""
_Silent: TypeAlias = tuple[float | None, float | None]
"""Left and right, seconds; None for a side that is not silent."""


class Unpaired:
    """Looks at a ``Pairing`` now and then and says what became of the images since the last look."""

    def __init__(
        self,
        pairing: Pairing,
        topics: tuple[str, str],
        publishers: Callable[[str], int],
        lost_images_remedy: Callable[[], str | None],
    ) -> None:
        """``topics`` are the images' full names, ``publishers`` counts who offers one; ``lost_images_remedy`` says what
        to set in the middleware, if anything, when images are published but do not arrive."""
        self._pairing = pairing
        self._topics = topics
        self._publishers = publishers
        self._lost_images_remedy = lost_images_remedy
        self._seen = _Seen.of(pairing)
        self._unheard_s: _Silent = (None, None)

    def look(self, elapsed_s: float, cut_off: Set[str] = frozenset()) -> list[Finding]:
        """What is wrong since the last look, ``elapsed_s`` ago; nothing when every image found its partner.

        Nothing is said about topics in ``cut_off``, from which nothing can come for a reason that is known.
        """
        seen, self._seen = self._seen, _Seen.of(self._pairing)
        left, right = self._seen.left - seen.left, self._seen.right - seen.right
        self._unheard_s = (None if left else elapsed_s, None if right else elapsed_s)
        silent_s = self._silent_s()
        if silent_s != (None, None):
            return list(self._silence(silent_s, cut_off))
        if not left or not right:
            return []  # a slow one, that was not due
        paired = self._seen.paired - seen.paired
        level = Level.WARN if paired else Level.ERROR
        jumps = self._seen.jumps_back - seen.jumps_back
        if jumps:
            return [Finding("time jumped back", level, _jumped(jumps, elapsed_s))]
        if paired and (self._seen.unmatched == seen.unmatched or paired >= max(left, right)):
            return []  # in the second case one from before was given up only now
        grown = (now > before for now, before in zip(self._seen.unstamped, seen.unstamped, strict=True))
        unstamped = list(itertools.compress(self._topics, grown))
        name, reason = unpaired_reason(self._pairing, paired, unstamped, self._lost_images_remedy() or "")
        arrived = f"{left} left and {right} right images in {elapsed_s:.1f} s"
        return [Finding(name, level, f"of {arrived} {f'only {paired}' if paired else 'none'} paired: {reason}")]

    def silence(self, cut_off: Set[str] = frozenset()) -> list[Finding]:
        """Which sides have stopped, as of now: what ``look`` says of it, at any time between two looks."""
        return list(self._silence(self._silent_s(), cut_off))

    def _silent_s(self) -> _Silent:
        """For how long a side has been silent, None for one that is not: against its own rate where that is known."""
        now_ns = time.monotonic_ns()

        def of(side: Side, received: int, unheard_s: float | None) -> float | None:
            if side.arrivals.rate_Hz is not None:
                return side.arrivals.silent_s(now_ns)
            return unheard_s if side.received == received else None

        return (
            of(self._pairing.left, self._seen.left, self._unheard_s[0]),
            of(self._pairing.right, self._seen.right, self._unheard_s[1]),
        )

    def _silence(self, silent_s: _Silent, cut_off: Set[str]) -> Iterator[Finding]:
        """At least one side delivers nothing."""
        silent = {topic: s for topic, s in zip(self._topics, silent_s, strict=True) if s is not None}
        silent = {topic: s for topic, s in silent.items() if topic not in cut_off}
        if not silent:
            return
        what = f"no image has come on {' or '.join(silent)} for {min(silent.values()):.1f} s"
        rates_Hz = [side.arrivals.rate_Hz for side in (self._pairing.left, self._pairing.right)]
        for s, rate_Hz in zip(silent_s, rates_Hz, strict=True):
            if s is None and rate_Hz is not None:
                what += f", while the other side delivers {rate_Hz:.1f} Hz"
        unoffered = [topic for topic in silent if not self._publishers(topic)]
        if unoffered:
            remedy = other_form(unoffered[0], self._publishers) or (
                "start the camera driver, or remap to its topics "
                "(--ros-args -r left/image_rect:=/camera/left/image_rect)"
            )
            sentence = f"{what}: nobody publishes {' and '.join(unoffered)}; {remedy}"
            yield Finding("no publisher", Level.ERROR, sentence)
        else:
            sentence = f"{what}, although somebody publishes there; check that the driver sends{self._remedy()}"
            yield Finding("no images", Level.ERROR, sentence)

    def _remedy(self) -> str:
        remedy = self._lost_images_remedy()
        return f"; {remedy}" if remedy else ""


def _jumped(jumps: int, elapsed_s: float) -> str:
    times = "once" if jumps == 1 else f"{jumps} times"
    return (
        f"the images' stamps jumped back {times} in {elapsed_s:.1f} s, and pairing started over: a bag loops, a "
        "simulation began again, a clock was set, or two publishers share a topic; if it goes on, look for the second "
        "one (ros2 topic info -v)"
    )


class _Seen(NamedTuple):
    left: int
    right: int
    unmatched: int
    paired: int
    jumps_back: int
    unstamped: tuple[int, int]

    @classmethod
    def of(cls, pairing: Pairing) -> _Seen:
        left, right = pairing.left, pairing.right
        return cls(
            left.received,
            right.received,
            left.unmatched + right.unmatched,
            pairing.paired,
            pairing.jumps_back,
            (left.unstamped, right.unstamped),
        )
