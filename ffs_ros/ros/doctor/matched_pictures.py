"""The pictures that the node has matched, looked at now and then."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import partial

import numpy as np

from ffs_ros.advice import few_answers
from ffs_ros.finding import Finding, Level
from ffs_ros.matched_pair import Matched
from ffs_ros.ros.doctor.images import Images, Sample
from ffs_ros.ros.throttle import ThrottledLog

LOOKS_TO_REMEMBER = 6
"""What pictures said is over when so many looks have passed without new ones: an engine may be slow, or nobody wants
any more."""
LONGEST_CLOSE_S = 1.0
"""On a machine whose processors are all busy a look, which waits for everybody, takes for ever."""


class MatchedPictures:
    """Looks at what the engine was given, so after decoding and rectification, and at what it answered."""

    def __init__(self, newest: Callable[[], Matched | None], topics: tuple[str, str], log: ThrottledLog) -> None:
        """``newest`` gives the pair that was matched last, ``topics`` are the images' names; ``log`` hears of bugs."""
        self._newest = newest
        self._seen: Matched | None = None
        self._looks_without = 0
        self._images = Images(topics, partial(report_bug, log=log))

    def look(self) -> list[Finding]:
        """What is wrong with them, which takes until the next look to be found out."""
        newest = self._newest()
        self._looks_without = self._looks_without + 1 if newest is self._seen else 0
        self._seen = newest
        if newest is None or self._looks_without > LOOKS_TO_REMEMBER:
            return []
        if not self._looks_without:
            difference_px = newest.camera.principal_point_difference_px
            self._images.offer(Sample(newest.left_HW3, newest.right_HW3, difference_px))
        few = few_answers(float(np.isfinite(newest.disparity_HW).mean()))
        return self._images.findings() + ([Finding("few answers", Level.WARN, few)] if few else [])

    def close(self) -> None:
        """Look at no more."""
        self._images.close(LONGEST_CLOSE_S)


def report_bug(bug: BaseException, log: ThrottledLog) -> None:
    """Where an exception would go unseen, or end the node."""
    log.warn("the doctor met a bug; please report it:\n" + "".join(traceback.format_exception(bug)))
