"""Some pairs of a bag as pictures, evenly spread over it, however long it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ffs_ros.evaluation.panels import panels

_MOST = 12


class Frame(NamedTuple):
    """One of them."""

    stamp_ns: int
    pictures: list[bytes]
    """JPEG: the left image and the disparity; with another engine's, that one's and the difference."""


class Frames:
    """Every pair, every second, every fourth, and so on, so that there are at most twelve."""

    def __init__(self) -> None:
        self.kept: list[Frame] = []
        self._stride = 1
        self._pairs = 0

    def add(
        self, stamp_ns: int, left_HW3: np.ndarray, disparity_HW: np.ndarray, other_HW: np.ndarray | None = None
    ) -> None:
        """One more pair."""
        if self._pairs % self._stride == 0:
            if len(self.kept) == _MOST:
                self.kept = self.kept[::2]
                self._stride *= 2
            if self._pairs % self._stride == 0:
                self.kept.append(Frame(stamp_ns, panels(left_HW3, disparity_HW, None, other_HW)))
        self._pairs += 1
