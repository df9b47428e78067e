"""Temporal flicker: how much the disparity of what stands still changes from one frame to the next.

A pixel is static where the grey values of its 5x5 neighbourhood have on average changed by at most 2 of 255 levels
since the frame before. That is above the noise of a camera (a standard deviation of 4 levels becomes 1.1 in the mean of
25 differences) and below what a moving edge changes. It cannot see a surface without texture move.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

STATIC_LEVELS = 2.0
"""Largest mean change, in grey levels."""
NEIGHBOURHOOD_px = 5
LEAST_STATIC_SHARE = 0.01
"""With fewer static pixels a pair of frames says nothing about flicker: the camera moves, or the light."""


class Flicker(NamedTuple):
    """Between two frames."""

    static_share: float
    """Share of all pixels that are static, 0 to 1."""
    changes_px: np.ndarray
    """|d_t - d_(t-1)| of the static pixels with an answer in both frames: float32, one dimension."""
    blinking: float
    """Share of the static pixels with an answer in one frame alone, of those with an answer in either."""


def static_pixels(before_HW3: np.ndarray, now_HW3: np.ndarray) -> np.ndarray:
    """Where nothing has changed between two images, uint8 RGB of one size: bool (H,W)."""
    before_HW, now_HW = (cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY) for rgb in (before_HW3, now_HW3))
    change_HW = np.subtract(now_HW, before_HW, dtype=np.float32)
    return np.abs(cv2.blur(change_HW, (NEIGHBOURHOOD_px, NEIGHBOURHOOD_px))) <= STATIC_LEVELS


def flicker(
    before_HW3: np.ndarray, before_disparity_HW: np.ndarray, now_HW3: np.ndarray, now_disparity_HW: np.ndarray
) -> Flicker | None:
    """Between two frames of one size: left images, uint8 RGB, and disparities, float32 in px, NaN for no answer.

    None where less than ``LEAST_STATIC_SHARE`` of the pixels are static.
    """
    static_HW = static_pixels(before_HW3, now_HW3)
    static_share = float(static_HW.mean())
    if static_share < LEAST_STATIC_SHARE:
        return None
    before, now = before_disparity_HW[static_HW], now_disparity_HW[static_HW]
    both = np.isfinite(before) & np.isfinite(now)
    either = np.isfinite(before) | np.isfinite(now)
    answered = int(np.count_nonzero(either))
    blinking = (answered - int(np.count_nonzero(both))) / answered if answered else 0.0
    return Flicker(static_share, np.abs(now[both] - before[both]), blinking)
