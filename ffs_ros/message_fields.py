"""Disparity, depth and what else is an image -> the plain fields of the messages that carry them, without ROS.

Legend of shapes: H and W rows and columns of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import MessageError
from ffs_ros.geometry import StereoCamera
from ffs_ros.limits import NO_LIMITS, Limits, Window

MIN_DISPARITY_PX = 1e-3
"""Published disparities are larger than this; 0 is no answer. REP 118's far end: 1e-3 px is beyond any stereo's use."""

DELTA_DISPARITY_PX = 1.0 / 16.0
"""A learned matcher has no step; this is SGBM's, and what peers publish (0 would break resolution formulas)."""

DEPTH_ENCODINGS = ("32FC1", "16UC1")


class ImageFields(NamedTuple):
    """The fields of a ``sensor_msgs/Image`` after its header."""

    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: np.ndarray
    """(H,W) or (H,W,3), C-contiguous, native (little) endian; its bytes are the message's data."""


class DisparityFields(NamedTuple):
    """The fields of a ``stereo_msgs/DisparityImage`` after its header."""

    image: ImageFields
    f: float
    t: float
    valid_window: Window
    min_disparity: float
    max_disparity: float
    delta_d: float


def disparity_fields(
    disparity_HW: np.ndarray,
    camera: StereoCamera,
    max_disparity_px: float,
    limits: Limits = NO_LIMITS,
    out: np.ndarray | None = None,
) -> DisparityFields:
    """What a ``stereo_msgs/DisparityImage`` says about this disparity, as its definition asks: the principal points'
    difference is taken off (so that Z = f t / d), and 0 stands for no answer, below ``min_disparity``.

    ``disparity_HW`` is in camera pixels, NaN for no answer; ``max_disparity_px`` is the range that was searched, in
    camera pixels. ``limits`` are those that the disparity keeps already: the window and the range come from them. The
    image is a new array, or ``out``, float32 (H,W).
    """
    difference_px = camera.principal_point_difference_px
    message_HW = np.subtract(disparity_HW, np.float32(difference_px), out=out, dtype=np.float32)
    if not message_HW.min() > MIN_DISPARITY_PX:  # looking is fast, and where all is answered there is nothing to do
        # NaN and what is not larger become 0; with a NumPy mask it takes three to six times as long.
        cv2.patchNaNs(message_HW, 0.0)
        cv2.threshold(message_HW, MIN_DISPARITY_PX, 0.0, cv2.THRESH_TOZERO, dst=message_HW)
    min_disparity_px, max_disparity_px = shown_range_px(camera, max_disparity_px, limits)
    return DisparityFields(
        image=image_fields(message_HW, "32FC1"),
        f=camera.fx_px,
        t=camera.baseline_m,
        valid_window=limits.window(*message_HW.shape),
        min_disparity=min_disparity_px,
        max_disparity=max_disparity_px,
        delta_d=DELTA_DISPARITY_PX,
    )


def depth_of_message(disparity_HW: np.ndarray, camera: StereoCamera) -> np.ndarray:
    """The depth of the pixels that ``disparity_fields`` made: Z = f t / d in metres, NaN where d is 0.

    They are written over, being in memory that the processor has near.
    """
    none_HW = None if disparity_HW.min() > 0.0 else cv2.inRange(disparity_HW, (0.0,), (0.0,))
    with np.errstate(divide="ignore"):
        depth_HW = np.divide(np.float32(camera.fx_px * camera.baseline_m), disparity_HW, out=disparity_HW)
    if none_HW is not None:
        cv2.copyTo(np.full_like(depth_HW, np.nan), none_HW, depth_HW)  # a NumPy mask takes up to seven times as long
    return depth_HW


def shown_range_px(camera: StereoCamera, max_disparity_px: float, limits: Limits) -> tuple[float, float]:
    """``min_disparity`` and ``max_disparity``: what was searched, up to ``max_disparity_px`` in camera pixels, within
    the limits; without the principal points' difference."""
    difference_px = camera.principal_point_difference_px
    farthest_px, nearest_px = limits.disparity_range_px(camera)
    lowest_px = max(farthest_px - difference_px, MIN_DISPARITY_PX)
    highest_px = min(float(max_disparity_px), nearest_px) - difference_px
    return lowest_px, max(highest_px, 2.0 * lowest_px)  # nothing can be found where the two contradict each other


def depth_fields(depth_HW: np.ndarray, encoding: str) -> ImageFields:
    """A depth image after REP 118: ``32FC1`` metres with NaN for none, or ``16UC1`` millimetres with 0 for none.

    ``depth_HW`` is float32 metres, NaN for none; as 32FC1 it is used as it is, without a copy. Millimetres are
    rounded; what does not fit 1..65535 is none rather than a wrong distance. Raises MessageError for other encodings.
    """
    if encoding == "32FC1":
        return image_fields(np.ascontiguousarray(depth_HW, np.float32), encoding)
    if encoding == "16UC1":
        millimetres_HW = np.multiply(depth_HW, np.float32(1000.0), dtype=np.float32)
        np.rint(millimetres_HW, out=millimetres_HW)
        cv2.patchNaNs(millimetres_HW, 0.0)  # these three are several times as fast as a NumPy mask
        cv2.threshold(millimetres_HW, 0.0, 0.0, cv2.THRESH_TOZERO, dst=millimetres_HW)
        cv2.threshold(millimetres_HW, 65535.0, 0.0, cv2.THRESH_TOZERO_INV, dst=millimetres_HW)
        return image_fields(millimetres_HW.astype(np.uint16), encoding)
    raise MessageError(f"depth cannot be published as '{encoding}': expected {' or '.join(DEPTH_ENCODINGS)}")


def image_fields(pixels: np.ndarray, encoding: str) -> ImageFields:
    """``pixels``, C-contiguous (H,W) or (H,W,3), as they are; ``encoding`` says what they mean."""
    height, width = pixels.shape[:2]
    return ImageFields(height, width, encoding, 0, pixels.nbytes // height, pixels)
