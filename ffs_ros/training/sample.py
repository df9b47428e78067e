"""A stereo pair with its ground truth, as training sees it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SAME_SURFACE_px = 1.0
"""Neighbouring pixels whose disparities differ by less belong to one surface. A surface that is steeper along a row is
seen by one of the two cameras alone, so nothing that both see is lost."""


class TrainingSample(NamedTuple):
    """Two rectified images and what is known about them. H and W are rows and columns of all three."""

    left_HW3: np.ndarray
    """uint8 RGB, as is ``right_HW3``."""
    right_HW3: np.ndarray
    disparity_HW: np.ndarray
    """float32 px of the left image, x_right = x_left - d; NaN where it is unknown, never infinite."""

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        height, width = self.disparity_HW.shape
        return height, width
