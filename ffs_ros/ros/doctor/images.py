"""What the pictures themselves say about the set-up, looked at now and then, beside the work on the pairs."""

from __future__ import annotations

import os
import sys
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import compress
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.exposure import Exposure, exposure_of
from ffs_ros.features import match_features
from ffs_ros.finding import Finding, Level
from ffs_ros.latest import LatestSlot
from ffs_ros.pair_check import Order, VerticalOffset, order_of_sides, vertical_offset

FAR_OFF_PX = 3.0
"""A vertical offset from which a matcher finds little or nothing."""
CALM = 6
"""Of so many samples one is looked at while nothing changes."""
_LOWEST_PRIORITY = 19
_REMEDIES = {
    Exposure.BLACK: (
        "black image",
        Level.ERROR,
        "next to black: take off the lens cap, turn on the light, raise the exposure; a sensor of 10 or 12 bits needs "
        "bit_depth: 10 or 12",
    ),
    Exposure.OVEREXPOSED: (
        "overexposed image",
        Level.WARN,
        "saturated over more than half of its area: lower the exposure or turn on the camera's auto exposure",
    ),
    Exposure.BLANK: (
        "blank image",
        Level.ERROR,
        "one even grey: uncover or focus the lens, and check that the driver sends what the sensor sees",
    ),
}


class Sample(NamedTuple):
    """One pair as the matcher takes it."""

    left_HW3: np.ndarray
    """uint8, RGB, as is ``right_HW3``."""
    right_HW3: np.ndarray
    principal_point_difference_px: float
    """cx_left - cx_right; 0 where it is not known."""


class Images:
    """Looks at samples on a thread of its own, the newest first; each takes about 0.2 s of one core.

    A finding counts once it was made on ``agreeing`` samples in a row. While it is the same from sample to sample, only
    one of ``calm`` samples is looked at.
    """

    def __init__(
        self,
        topics: tuple[str, str],
        on_bug: Callable[[BaseException], None],
        agreeing: int = 2,
        calm: int = CALM,
        polite: bool = True,
    ) -> None:
        """``topics`` are the images' names, for the sentences; ``on_bug`` hears of exceptions, on the other thread,
        which is ``polite`` beside the work on frames."""
        self._topics = topics
        self._calm = calm
        self._recent: deque[list[Finding]] = deque(maxlen=agreeing)
        self._contents: tuple[int, int] | None = None
        self._offered = 0
        self._slot: LatestSlot[Sample] = LatestSlot(
            self._look_politely if polite else self.look_at, on_bug, name="doctor"
        )

    def offer(self, sample: Sample) -> bool:
        """Leave a sample of the running stream and return at once, with whether it will be looked at."""
        self._offered += 1
        recent = [{finding.name for finding in findings} for findings in list(self._recent)]
        settled = len(recent) == self._recent.maxlen and all(names == recent[0] for names in recent)
        due = not settled or self._offered % self._calm == 0
        if due:
            self._slot.put(sample)
        return due

    def findings(self) -> list[Finding]:
        """The newest sample's, as far as the samples before it agree."""
        recent = list(self._recent)
        if len(recent) < (self._recent.maxlen or 0):
            return []
        return [f for f in recent[-1] if all(f.name in {g.name for g in others} for others in recent)]

    def close(self, longest_s: float | None = None) -> None:
        """Let the look at hand finish, which is waited for no longer than ``longest_s``, and end the thread."""
        self._slot.close(longest_s)

    def _look_politely(self, sample: Sample) -> None:
        """On the thread, which waits for the work on frames: their overhead was 5 ms so, on two CPUs with other work,
        and 19 ms while this had the same rank."""
        if sys.platform == "linux":  # where a priority is a thread's own
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        self.look_at(sample)

    def look_at(self, sample: Sample) -> None:
        """Look at a sample at once."""
        left, right = (zlib.crc32(image.tobytes()) for image in (sample.left_HW3, sample.right_HW3))
        findings = list(findings_on(sample, self._topics))
        if self._contents is not None:
            same = (left == self._contents[0], right == self._contents[1])
            findings += _frozen(list(compress(self._topics, same)))
        self._contents = left, right
        self._recent.append(findings)


def findings_on(sample: Sample, topics: tuple[str, str]) -> Iterator[Finding]:
    """What one pair alone gives away; ``topics`` are the images' names."""
    left_HW, right_HW = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (sample.left_HW3, sample.right_HW3))
    seen = True
    for topic, grey_HW in zip(topics, (left_HW, right_HW), strict=True):
        exposure = exposure_of(grey_HW)
        if exposure is not Exposure.GOOD:
            seen = False
            name, level, remedy = _REMEDIES[exposure]
            yield Finding(name, level, f"{topic} is {remedy}")
    if not seen or left_HW.shape != right_HW.shape:
        return
    if np.array_equal(left_HW, right_HW):
        yield Finding(
            "identical images",
            Level.ERROR,
            f"{topics[0]} and {topics[1]} carry the same picture: one camera is remapped to both; give "
            "right/image_rect the right camera's topic",
        )
        return
    matches = match_features(left_HW, right_HW)
    offset = vertical_offset(matches, *left_HW.shape)
    if offset is not None and not offset.rectified:
        yield _not_rectified(offset, len(matches.left_N2))
    elif order_of_sides(matches, sample.principal_point_difference_px) is Order.EXCHANGED:
        yield Finding(
            "left and right swapped",
            Level.ERROR,
            f"the pictures say that {topics[0]} is the right camera's: near things lie further right in {topics[1]}; "
            "exchange the remaps of left/image_rect and right/image_rect",
        )


def _not_rectified(offset: VerticalOffset, count: int) -> Finding:
    turn = f", turned by {offset.turn_deg:.1f} degrees" if abs(offset.turn_deg) >= 0.05 else ""
    return Finding(
        "not rectified",
        Level.ERROR if offset.over_image_px > FAR_OFF_PX else Level.WARN,
        f"the images are not rectified: the rows of what both show differ by {offset.over_image_px:.1f} px over the "
        f"image{turn} ({offset.median_px:.1f} px is the median of {count} features, {offset.share_beyond_1px:.0%} "
        "are beyond 1 px); publish rectified ones, or give the node the raw ones and rectify: true; if that is what "
        "this is, calibrate the pair again",
    )


def _frozen(topics: Sequence[str]) -> list[Finding]:
    """Topics whose content did not change from one sample to the next, although their stamps did."""
    if not topics:
        return []
    alone = len(topics) == 1
    return [
        Finding(
            "frozen image",
            Level.ERROR if alone else Level.WARN,
            f"{' and '.join(topics)} {'carries' if alone else 'carry'} the same content again and again under new "
            "stamps: restart the camera or its driver (a simulation at rest and without noise looks like this too)",
        )
    ]
