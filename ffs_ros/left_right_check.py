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
    last = disparity_HW.shape[1] - 1
    column_HW = np.arange(last + 1, dtype=np.float32) - disparity_HW
    with np.errstate(invalid="ignore"):  # NaN in comparisons
        outside_HW = (column_HW < 0.0) | (column_HW > last)
        np.clip(column_HW, 0.0, last, out=column_HW)
        cv2.patchNaNs(column_HW, 0.0)
        difference_HW = _read(right_disparity_HW, column_HW) - disparity_HW
        hidden_HW = difference_HW > OCCLUDED_PX
    confidence_HW = np.abs(difference_HW, out=difference_HW)
    confidence_HW *= np.float32(-1.0 / NO_CONFIDENCE_PX)
    confidence_HW += np.float32(1.0)
    np.maximum(confidence_HW, 0.0, out=confidence_HW)
    cv2.patchNaNs(confidence_HW, 0.0)
    confidence_HW[outside_HW] = 0.0
    return Agreement(confidence_HW, (outside_HW | hidden_HW).view(np.uint8) * np.uint8(255))


def _read(map_HW: np.ndarray, column_HW: np.ndarray) -> np.ndarray:
    """Each row of a map at the columns given: between the neighbours on one surface, of the nearer pixel otherwise.

    OpenCV's own interpolation rounds to 1/32 px and spreads NaN; its nearest pixel is four times as fast as indexing.
    """
    height, width = column_HW.shape
    row_HW = np.repeat(np.arange(height, dtype=np.float32), width).reshape(height, width)
    whole_HW = np.floor(column_HW)
    before_HW, after_HW, nearer_HW = (
        cv2.remap(map_HW, read_HW, row_HW, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
        for read_HW in (whole_HW, whole_HW + np.float32(1.0), column_HW)
    )
    rise_HW = after_HW - before_HW
    two_surfaces_HW = ~(np.abs(rise_HW) <= _ONE_SURFACE_PX)
    rise_HW *= column_HW - whole_HW
    rise_HW += before_HW
    np.copyto(rise_HW, nearer_HW, where=two_surfaces_HW)
    return rise_HW
