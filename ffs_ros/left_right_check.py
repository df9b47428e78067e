"""The left-right check: the same pair matched from the right camera tells which answers both views agree on.

A point at column x of the left image with disparity d is at column x - d of the right one, where the right image's own
disparity should be d as well. (Egnal and Wildes, PAMI 2002, compare this check with others.) Legend of shapes: H and W
rows and columns of the left image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

NO_CONFIDENCE_PX = 2.0
"""Where the two views differ by so much, confidence is 0. Half of it is the usual limit of such a check, 1 px."""
OCCLUDED_PX = 1.0
"""A surface in the right image that is nearer by more than this, in disparity, hides the point."""
_ONE_SURFACE_PX = 1.0
"""Disparities of neighbours that differ by more belong to two surfaces, between which nothing is interpolated."""


class Agreement(NamedTuple):
    """How the two views agree, for each pixel of the left image."""

    confidence_HW: np.ndarray
    """float32, 1 - difference / 2 px: 1 where both views answer the same, 0.5 where they differ by 1 px, 0 from 2 px
    on, where the point lies outside of the right image, and where either view has no answer."""
    occluded_HW: np.ndarray
    """uint8, 255 where the right camera does not see the point: it shows a nearer surface there, or its image ends
    before. 0 elsewhere, and where there is no answer."""


def right_disparity(
    match: Callable[[np.ndarray, np.ndarray], np.ndarray], left_HW3: np.ndarray, right_HW3: np.ndarray
) -> np.ndarray:
    """Disparity of the right image: float32 (H,W), x_left = x_right + d, NaN where there is no answer.

    Mirrored, the right camera is a left one. ``match`` is ``StereoMatcher.match`` or like it.
    """
    return cv2.flip(match(cv2.flip(right_HW3, 1), cv2.flip(left_HW3, 1)), 1)


def agreement(disparity_HW: np.ndarray, right_disparity_HW: np.ndarray) -> Agreement:
    """Compare the disparities of the left and of the right image, each in its own pixels, NaN for no answer."""
    width = disparity_HW.shape[1]
    column_HW = np.arange(width, dtype=np.float32) - disparity_HW
    answered_HW = np.isfinite(column_HW)
    outside_HW = answered_HW & ~((column_HW >= 0.0) & (column_HW <= width - 1))
    column_HW[~answered_HW | outside_HW] = 0.0
    difference_HW = _read(right_disparity_HW, column_HW) - disparity_HW
    with np.errstate(invalid="ignore"):  # NaN in comparisons
        confidence_HW = np.maximum(1.0 - np.abs(difference_HW) / np.float32(NO_CONFIDENCE_PX), 0.0)
        hidden_HW = difference_HW > OCCLUDED_PX
    confidence_HW[outside_HW | np.isnan(confidence_HW)] = 0.0
    return Agreement(confidence_HW, np.where(outside_HW | hidden_HW, np.uint8(255), np.uint8(0)))


def _read(map_HW: np.ndarray, column_HW: np.ndarray) -> np.ndarray:
    """Each row of a map at the columns given: between the neighbours on one surface, of the nearer pixel otherwise."""
    last = map_HW.shape[1] - 1
    left_HW = column_HW.astype(np.intp)  # columns are not negative, so this rounds down
    before_HW = np.take_along_axis(map_HW, left_HW, axis=1)
    after_HW = np.take_along_axis(map_HW, np.minimum(left_HW + 1, last), axis=1)
    share_HW = column_HW - left_HW.astype(np.float32)
    rise_HW = after_HW - before_HW
    with np.errstate(invalid="ignore"):
        one_surface_HW = np.abs(rise_HW) <= _ONE_SURFACE_PX
    nearer_HW = np.where(share_HW <= 0.5, before_HW, after_HW)
    return np.where(one_surface_HW, before_HW + share_HW * rise_HW, nearer_HW)
