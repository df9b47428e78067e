"""What counts as an answer: a region of the image and a range of depth, outside of which there is none.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import StereoCamera


class Window(NamedTuple):
    """A part of an image, in its pixels; the fields of a ``sensor_msgs/RegionOfInterest``."""

    x_offset: int
    y_offset: int
    height: int
    width: int


@dataclass(frozen=True)
class Limits:
    """The user's limits. 0 for ``max_depth_m``, ``roi_width`` or ``roi_height`` is no limit on that side."""

    min_depth_m: float = 0.0
    max_depth_m: float = 0.0
    roi_x_offset: int = 0
    roi_y_offset: int = 0
    roi_width: int = 0
    roi_height: int = 0

    def window(self, height: int, width: int) -> Window:
        """The region of an image of this size. Raises CalibrationError when it is not inside."""
        window = Window(
            self.roi_x_offset,
            self.roi_y_offset,
            self.roi_height or height - self.roi_y_offset,
            self.roi_width or width - self.roi_x_offset,
        )
        right, bottom = window.x_offset + window.width, window.y_offset + window.height
        if right > width or bottom > height or min(window.height, window.width) < 1:
            raise CalibrationError(
                f"the region of interest is columns {window.x_offset} to {right - 1} and rows {window.y_offset} to "
                f"{bottom - 1}, and the image is {width}x{height}: expected a region inside it; set roi_x_offset, "
                "roi_y_offset, roi_width and roi_height (all 0 for the whole image)"
            )
        return window

    def disparity_range_px(self, camera: StereoCamera) -> tuple[float, float]:
        """The least and the largest x_left - x_right, in camera pixels, of points within the depth range."""
        difference_px = camera.principal_point_difference_px
        focal_times_baseline = camera.fx_px * camera.baseline_m
        farthest_px = focal_times_baseline / self.max_depth_m if self.max_depth_m else 0.0
        nearest_px = focal_times_baseline / self.min_depth_m if self.min_depth_m else math.inf
        return farthest_px + difference_px, nearest_px + difference_px

    def applied(self, disparity_HW: np.ndarray, camera: StereoCamera) -> np.ndarray:
        """The disparity with NaN outside of the limits: a new array, or ``disparity_HW`` itself where nothing limits.

        ``disparity_HW`` is float32 in camera pixels, NaN for no answer. Beyond the range it is NaN too, not the -inf
        and +inf of REP 117: +inf says that the way is free up to there, and a limit is set where answers are not to be
        trusted. Raises CalibrationError when the region is not inside the image.
        """
        height, width = disparity_HW.shape
        window = self.window(height, width)
        ranged = self.min_depth_m > 0.0 or self.max_depth_m > 0.0
        if not ranged and window == (0, 0, height, width):
            return disparity_HW
        limited_HW = np.full((height, width), np.nan, np.float32)
        rows = slice(window.y_offset, window.y_offset + window.height)
        columns = slice(window.x_offset, window.x_offset + window.width)
        inside_hw = disparity_HW[rows, columns]
        if ranged:
            within_hw = cv2.inRange(inside_hw, *self.disparity_range_px(camera))  # 255 or 0; NaN is not within
            cv2.copyTo(inside_hw, within_hw, limited_HW[rows, columns])
        else:
            limited_HW[rows, columns] = inside_hw
        return limited_HW


NO_LIMITS = Limits()


def limits_of(parameters: Mapping[str, Any]) -> Limits:
    """The limits that the node's parameters set."""
    return Limits(
        parameters["min_depth"],
        parameters["max_depth"],
        parameters["roi_x_offset"],
        parameters["roi_y_offset"],
        parameters["roi_width"],
        parameters["roi_height"],
    )
