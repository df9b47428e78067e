"""Why images do not pair, in one sentence with the remedy."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Callable
from typing import NamedTuple

from ffs_ros.ros.pairing import Pairing, Side


class PairingReport:
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

    def look(self, elapsed_s: float) -> str | None:
        """What is wrong since the last look, ``elapsed_s`` ago; None when every image found its partner."""
        seen, self._seen = self._seen, _Seen.of(self._pairing)
        left, right = self._seen.left - seen.left, self._seen.right - seen.right
        if not left or not right:
            return self._silence((left, right), elapsed_s)
        unmatched = self._seen.unmatched - seen.unmatched
        paired = self._seen.paired - seen.paired
        if not unmatched and paired:
            return None
        arrived = f"{left} left and {right} right images in {elapsed_s:.1f} s"
        if not paired:
            return f"of {arrived} none paired: {self._offsets()}"
        why = self._offsets() if self._stamps_disagree() else f"the others' partners never came{self._remedy()}"
        return f"of {arrived} only {paired} pairs came about: {why}"

    def _silence(self, arrived: tuple[int, int], elapsed_s: float) -> str:
        """At least one side delivers nothing."""
        silent = [topic for topic, count in zip(self._topics, arrived, strict=True) if not count]
        unoffered = [topic for topic in silent if not self._publishers(topic)]
        what = f"no image has come on {' or '.join(silent)} for {elapsed_s:.1f} s"
        if any(arrived):
            what += f", while the other side delivers {max(arrived) / elapsed_s:.1f} Hz"
        if not unoffered:
            return f"{what}, although somebody publishes there; check the camera driver{self._remedy()}"
        return (
            f"{what}: nobody publishes {' and '.join(unoffered)}; start the camera driver, or remap to its topics "
            "(--ros-args -r left/image_rect:=/camera/left/image_rect)"
        )

    def _remedy(self) -> str:
        remedy = self._lost_images_remedy()
        return f". {remedy}" if remedy else ""

    def _stamps_disagree(self) -> bool:
        """Whether recent stamps, rather than missing images, keep the sides apart."""
        nearest_ns = _nearest_ns(self._pairing.left, self._pairing.right)
        return bool(nearest_ns) and statistics.median(nearest_ns) > (
            self._pairing.tolerance_s * 1e9 if self._pairing.approximate else 0
        )

    def _offsets(self) -> str:
        """How far apart the stamps are, and what would pair them."""
        left, right = self._pairing.left, self._pairing.right
        nearest_ns = _nearest_ns(left, right)
        if not nearest_ns:
            return "time jumped back"
        low_ms, high_ms = min(nearest_ns) / 1e6, max(nearest_ns) / 1e6
        newest = f"newest stamps {_seconds(left)} and {_seconds(right)}"
        period_ns = _period_ns(left)
        if period_ns and min(nearest_ns) > period_ns:
            return (
                f"their stamps are {low_ms / 1e3:.3f} s apart or more ({newest}), so the two cameras' clocks disagree; "
                "synchronise the clocks (PTP, chrony) or let one driver stamp both"
            )
        rule = (
            f"approximate_sync_tolerance_seconds is {self._pairing.tolerance_s:g}"
            if self._pairing.approximate
            else "only equal stamps pair (approximate_sync is off)"
        )
        return (
            f"their stamps are {low_ms:.3f} to {high_ms:.3f} ms apart ({newest}) and {rule}; trigger both cameras "
            "together, or set approximate_sync: true and approximate_sync_tolerance_seconds: "
            f"{_rounded_up(1.1 * high_ms / 1e3 + 1e-6):g}, which is right only while nothing moves in between"
        )


class _Seen(NamedTuple):
    left: int
    right: int
    unmatched: int
    paired: int

    @classmethod
    def of(cls, pairing: Pairing) -> _Seen:
        left, right = pairing.left, pairing.right
        return cls(left.received, right.received, left.unmatched + right.unmatched, pairing.paired)


def _nearest_ns(left: Side, right: Side) -> list[int]:
    """For each recent left stamp, how far the nearest right one is."""
    if not right.recent_stamps_ns:
        return []
    return [min(abs(stamp - other) for other in right.recent_stamps_ns) for stamp in left.recent_stamps_ns]


def _period_ns(side: Side) -> float:
    stamps = sorted(side.recent_stamps_ns)
    return statistics.median(b - a for a, b in itertools.pairwise(stamps)) if len(stamps) > 1 else 0.0


def _seconds(side: Side) -> str:
    return "none" if side.newest_stamp_ns is None else f"{side.newest_stamp_ns / 1e9:.6f}"


def _rounded_up(value: float) -> float:
    """To two digits, never below ``value``."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit
