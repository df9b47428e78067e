"""Disparity and depth -> the plain fields of the messages that carry them, without ROS.

Legend of shapes: H and W rows and columns of the image.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import MessageError
from ffs_ros.geometry import StereoCamera

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
    """(H,W), C-contiguous, native (little) endian; its bytes are the message's data."""


class ValidWindow(NamedTuple):
    """The fields of a ``sensor_msgs/RegionOfInterest``."""

    x_offset: int
    y_offset: int
    height: int
    width: int


class DisparityFields(NamedTuple):
    """The fields of a ``stereo_msgs/DisparityImage`` after its header."""

    image: ImageFields
    f: float
    t: float
    valid_window: ValidWindow
    min_disparity: float
    max_disparity: float
    delta_d: float


def disparity_fields(
    disparity_HW: np.ndarray, camera: StereoCamera, max_disparity_px: float, out: np.ndarray | None = None
) -> DisparityFields:
    """What a ``stereo_msgs/DisparityImage`` says about this disparity, as its definition asks: the principal points'
    difference is taken off (so that Z = f t / d), and 0 stands for no answer, below ``min_disparity``.

    ``disparity_HW`` is in camera pixels, NaN for no answer; ``max_disparity_px`` is the range that was searched, in
    camera pixels. The image is a new array, or ``out``, float32 (H,W).
    """
    difference_px = camera.principal_point_difference_px
    message_HW = np.subtract(disparity_HW, np.float32(difference_px), out=out, dtype=np.float32)
    if not message_HW.min() > MIN_DISPARITY_PX:  # looking is fast, and where all is answered there is nothing to do
        # NaN and what is not larger become 0; with a NumPy mask it takes three to six times as long.
        cv2.patchNaNs(message_HW, 0.0)
        cv2.threshold(message_HW, MIN_DISPARITY_PX, 0.0, cv2.THRESH_TOZERO, dst=message_HW)
    height, width = message_HW.shape
    return DisparityFields(
        image=_image_fields(message_HW, "32FC1"),
        f=camera.fx_px,
        t=camera.baseline_m,
        valid_window=ValidWindow(x_offset=0, y_offset=0, height=height, width=width),
        min_disparity=MIN_DISPARITY_PX,
        max_disparity=max(float(max_disparity_px) - difference_px, 2.0 * MIN_DISPARITY_PX),
        delta_d=DELTA_DISPARITY_PX,
    )


def depth_fields(depth_HW: np.ndarray, encoding: str) -> ImageFields:
    """A depth image after REP 118: ``32FC1`` metres with NaN for none, or ``16UC1`` millimetres with 0 for none.

    ``depth_HW`` is float32 metres, NaN for none; as 32FC1 it is used as it is, without a copy. Millimetres are
    rounded; what does not fit 1..65535 is none rather than a wrong distance. Raises MessageError for other encodings.
    """
    if encoding == "32FC1":
        return _image_fields(np.ascontiguousarray(depth_HW, np.float32), encoding)
    if encoding == "16UC1":
        millimetres_HW = np.multiply(depth_HW, np.float32(1000.0), dtype=np.float32)
        np.rint(millimetres_HW, out=millimetres_HW)
        millimetres_HW[~((millimetres_HW >= 1.0) & (millimetres_HW <= 65535.0))] = 0.0
        return _image_fields(millimetres_HW.astype(np.uint16), encoding)
    raise MessageError(f"depth cannot be published as '{encoding}': expected {' or '.join(DEPTH_ENCODINGS)}")


def _image_fields(image_HW: np.ndarray, encoding: str) -> ImageFields:
    height, width = image_HW.shape
    return ImageFields(height, width, encoding, 0, width * image_HW.itemsize, image_HW)
