"""A depth camera's image -> the disparity that a stereo camera would have found there."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffs_ros.errors import MessageError
from ffs_ros.geometry import StereoCamera

_METRES = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3)}
"""Encodings of REP 118: type of a pixel and its unit."""


def depth_of_image(message: Any) -> np.ndarray:
    """float32 (H,W) in metres, NaN for none, of a ``sensor_msgs/Image``. Raises MessageError where it is no depth."""
    if message.encoding not in _METRES:
        raise MessageError(
            f"the depth image's encoding is {message.encoding[:40]!r}: expected 32FC1 (metres) or 16UC1 (millimetres)"
        )
    kind, unit_m = _METRES[message.encoding]
    height, width, step = int(message.height), int(message.width), int(message.step)
    row_bytes = width * np.dtype(kind).itemsize
    if height < 1 or width < 1 or step < row_bytes or len(message.data) < height * step:
        raise MessageError(f"the depth image of {width}x{height} pixels does not hold what it says; check the driver")
    bytes_HW = np.frombuffer(message.data, np.uint8, count=height * step).reshape(height, step)[:, :row_bytes]
    order = ">" if message.is_bigendian else "<"
    depth_HW = np.ascontiguousarray(bytes_HW).view(order + kind).astype(np.float32) * np.float32(unit_m)
    depth_HW[~(np.isfinite(depth_HW) & (depth_HW > 0.0))] = np.nan
    return depth_HW


def disparity_of_depth(depth_HW: np.ndarray, camera: StereoCamera) -> np.ndarray:
    """x_left - x_right in pixels of points at that depth, NaN for none: fx * baseline / Z + cx_left - cx_right.

    The depth is in the left image's pixels, as of ``aligned_depth_to_infra1`` or a simulator. Raises MessageError for
    another size.
    """
    if depth_HW.shape != (camera.height, camera.width):
        rows, columns = depth_HW.shape
        raise MessageError(
            f"the depth image is {columns}x{rows} and the left image {camera.width}x{camera.height}: expected the "
            "depth in the left image's pixels; name a depth topic that is aligned to the left camera"
        )
    return np.float32(camera.fx_px * camera.baseline_m) / depth_HW + np.float32(camera.principal_point_difference_px)
