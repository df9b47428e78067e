"""Why images do not come or do not pair, in one sentence with the remedy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence, Set
from typing import NamedTuple

from ffs_ros.finding import Finding, Level
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor.other_form import other_form

_PERIODS_APART = 5
"""Images that arrive together are not this many apart, even when some are lost."""


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

    def look(self, elapsed_s: float, cut_off: Set[str] = frozenset()) -> list[Finding]:
        """What is wrong since the last look, ``elapsed_s`` ago; nothing when every image found its partner.

        Nothing is said about topics in ``cut_off``, from which nothing can come for a reason that is known.
        """
        seen, self._seen = self._seen, _Seen.of(self._pairing)
        left, right = self._seen.left - seen.left, self._seen.right - seen.right
        if not left or not right:
            return list(self._silence((left, right), elapsed_s, cut_off))
        paired = self._seen.paired - seen.paired
        level = Level.WARN if paired else Level.ERROR
        jumps = self._seen.jumps_back - seen.jumps_back
        if jumps:
            return [Finding("time jumped back", level, _jumped(jumps, elapsed_s))]
        if self._seen.unmatched == seen.unmatched and paired:
            return []
        grown = (now > before for now, before in zip(self._seen.unstamped, seen.unstamped, strict=True))
        name, reason = self._reason(paired, list(itertools.compress(self._topics, grown)))
        arrived = f"{left} left and {right} right images in {elapsed_s:.1f} s"
        return [Finding(name, level, f"of {arrived} {f'only {paired}' if paired else 'none'} paired: {reason}")]

    def _silence(self, arrived: tuple[int, int], elapsed_s: float, cut_off: Set[str]) -> Iterator[Finding]:
        """At least one side delivers nothing."""
        silent = [topic for topic, count in zip(self._topics, arrived, strict=True) if not count]
        silent = [topic for topic in silent if topic not in cut_off]
        unoffered = [topic for topic in silent if not self._publishers(topic)]
        what = f"no image has come on {' or '.join(silent)} for {elapsed_s:.1f} s"
        if any(arrived):
            what += f", while the other side delivers {max(arrived) / elapsed_s:.1f} Hz"
        if unoffered:
            remedy = other_form(unoffered[0], self._publishers) or (
                "start the camera driver, or remap to its topics "
                "(--ros-args -r left/image_rect:=/camera/left/image_rect)"
            )
            sentence = f"{what}: nobody publishes {' and '.join(unoffered)}; {remedy}"
            yield Finding("no publisher", Level.ERROR, sentence)
        elif silent:
            sentence = f"{what}, although somebody publishes there; check that the driver sends{self._remedy()}"
            yield Finding("no images", Level.ERROR, sentence)

    def _remedy(self) -> str:
        remedy = self._lost_images_remedy()
        return f"; {remedy}" if remedy else ""

    def _reason(self, paired: int, unstamped: Sequence[str]) -> tuple[str, str]:
        """The finding's name and why: clocks that disagree, stamps a little apart, or images that are missing."""
        if unstamped:
            which = " and ".join(unstamped)
            return "stamps zero", f"{which} carry a stamp of 0 or less, no time; let the driver set header.stamp"
        left, right = self._pairing.left.recent_stamps_ns, self._pairing.right.recent_stamps_ns
        newest = f"newest stamps {left[-1] / 1e9:.6f} and {right[-1] / 1e9:.6f} s"
        period_ns = _period_ns(left, right)
        apart_ns = abs(left[-1] - right[-1])
        if not paired and apart_ns > _PERIODS_APART * period_ns:
            return "clocks disagree", (
                f"their stamps are {apart_ns / 1e9:.3f} s apart ({newest}), so the two cameras' clocks disagree; "
                "synchronise them (PTP, chrony) or let one driver stamp both"
            )
        approximate, tolerance_s = self._pairing.approximate, self._pairing.tolerance_s
        beyond_ns = [n for n in nearest_ns(left, right) if n >= (tolerance_s * 1e9 if approximate else 1)]
        shifted_ns = [n for n in beyond_ns if n <= period_ns / 2]
        if 2 * len(shifted_ns) <= len(beyond_ns) or (paired and not approximate):
            return "partners missing", f"the partners of the others never came{self._remedy()}"
        rule = (
            f"approximate_sync_tolerance_seconds is {tolerance_s:g}"
            if approximate
            else "only equal stamps pair (approximate_sync is off)"
        )
        low_ms, high_ms = min(shifted_ns) / 1e6, max(shifted_ns) / 1e6
        return "stamps apart", (
            f"their stamps are {low_ms:.3f} to {high_ms:.3f} ms apart ({newest}) and {rule}; trigger both cameras "
            "together, or set approximate_sync: true and approximate_sync_tolerance_seconds: "
            f"{_rounded_up(1.1e-3 * high_ms + 1e-6):g}, which is right only while nothing moves in between"
        )


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


def nearest_ns(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """For each stamp of the side with the larger gaps, how far the other side's nearest is."""
    sparse, dense = sorted((left, right), key=lambda stamps: (max(stamps) - min(stamps)) / len(stamps), reverse=True)
    # The newest of one side may only be waiting for its partner.
    settled = [stamp for stamp in sparse if min(dense) <= stamp <= max(dense)] or sparse
    return [min(abs(stamp - partner) for partner in dense) for stamp in settled]


def _period_ns(left: Sequence[int], right: Sequence[int]) -> float:
    """The time between two images of a camera, which lost images do not stretch; a second where there is only one."""
    gaps_ns = sorted(b - a for stamps in (left, right) for a, b in itertools.pairwise(sorted(stamps)) if b > a)
    return gaps_ns[len(gaps_ns) // 10] if gaps_ns else 1e9


def _rounded_up(value: float) -> float:
    """To two digits, never below ``value``."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit
