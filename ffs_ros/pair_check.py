"""Whether two images are a rectified pair the right way round, told from what both show.

Legend of shapes: N matched features.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from ffs_ros.features import FeatureMatches

MOST_OFFSET_PX = 0.7
"""Largest vertical offset that counts as rectified. Of eleven rectified public pairs the worst has 0.5 px."""
_LEAST_FEATURES = 20
_CLEAR_MAJORITY = 0.9
_MOST_YAW_PX = 8.0
"""A calibration that is further off would show in the rows as well."""
_ROUNDS = 5


class Order(Enum):
    """What the disparities' sign says."""

    RIGHT = "left is left"
    EXCHANGED = "left and right are exchanged"
    UNDECIDED = "too little to tell: no texture, or everything is far away"


def order_of_sides(matches: FeatureMatches, principal_point_difference_px: float = 0.0) -> Order:
    """Nothing lies beyond infinity, whose disparity is ``principal_point_difference_px`` (cx_left - cx_right), or its
    negative when the images are exchanged: disparities below the one or above the other speak against an order.

    Holds for rectified images.
    """
    infinity_px, noise_px = principal_point_difference_px, matches.resolution_px
    against_right = np.count_nonzero(matches.disparity_N < infinity_px - noise_px)
    against_exchanged = np.count_nonzero(matches.disparity_N > -infinity_px + noise_px)
    least = max(_LEAST_FEATURES, _CLEAR_MAJORITY * (against_right + against_exchanged))
    if max(against_right, against_exchanged) < least:
        return Order.UNDECIDED
    if against_exchanged > against_right:
        return Order.RIGHT
    nearest_px, middle_px, farthest_px = np.quantile(matches.disparity_N, (0.1, 0.5, 0.9))
    if farthest_px - nearest_px < 2.0 * noise_px and infinity_px - middle_px < _MOST_YAW_PX:
        return Order.UNDECIDED  # all of one small shift: a far scene and a calibration that is a little off
    return Order.EXCHANGED


class VerticalOffset(NamedTuple):
    """How far the right image's points lie from their rows, in pixels."""

    over_image_px: float
    """Root mean square over the image's area of the plane through the features' offsets: a shift counts fully, a turn
    by what it does on average, and single features that are off not at all."""
    median_px: float
    """Of the features' absolute offsets."""
    share_beyond_1px: float
    """Of the features, 0 to 1."""
    turn_deg: float
    """By how much the right image is turned clockwise against the left one."""
    most_px: float
    """Offset above which images of this size do not count as rectified."""

    @property
    def rectified(self) -> bool:
        """Whether rows match."""
        return self.over_image_px <= self.most_px


def vertical_offset(matches: FeatureMatches, height: int, width: int) -> VerticalOffset | None:
    """Measured on the features of two images of this size; None when they are too few."""
    drop_N = matches.drop_N
    if len(drop_N) < _LEAST_FEATURES:
        return None
    shift_px, across_px, down_px = _plane(matches.left_N2, drop_N, height, width)
    return VerticalOffset(
        # The mean squares of x and y over -1..1 are a third each.
        over_image_px=float(np.sqrt(shift_px**2 + (across_px**2 + down_px**2) / 3.0)),
        median_px=float(np.median(np.abs(drop_N))),
        share_beyond_1px=float(np.mean(np.abs(drop_N) > 1.0)),
        turn_deg=float(np.degrees(np.arctan2(across_px, 0.5 * width))),
        most_px=MOST_OFFSET_PX * max(1.0, 0.5 * matches.resolution_px),
    )


def _plane(points_N2: np.ndarray, drop_N: np.ndarray, height: int, width: int) -> np.ndarray:
    """Offset at the image's middle, and what is added to it at the right and at the lower border.

    Least squares, in which features beyond 1.5 times the median residual weigh less (Huber's weights).
    """
    half = np.array([0.5 * width, 0.5 * height])
    terms_N3 = np.column_stack([np.ones(len(drop_N)), (points_N2 - half) / half])
    weights_N = np.ones(len(drop_N))
    for _ in range(_ROUNDS):
        root_N = np.sqrt(weights_N)
        plane = np.linalg.lstsq(terms_N3 * root_N[:, None], drop_N * root_N, rcond=None)[0]
        residual_N = np.abs(drop_N - terms_N3 @ plane)
        limit_px = max(1.5 * float(np.median(residual_N)), 1e-3)
        weights_N = limit_px / np.maximum(residual_N, limit_px)
    return plane
