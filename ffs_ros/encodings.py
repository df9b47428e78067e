"""How cameras lay out pixels: the encodings of ``sensor_msgs/image_encodings``, and how OpenCV makes RGB of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import MessageError

MOST_PIXELS_PER_SIDE = 16384
"""Sides beyond this are taken for a damaged message."""


class Layout(NamedTuple):
    """How an encoding lays its pixels out."""

    channels: int
    bytes_per_channel: int
    to_rgb: int | None
    """OpenCV's conversion code; None where the pixels are RGB already."""
    block: tuple[int, int] = (1, 1)
    """Rows and columns that share a colour sample; the image is whole blocks."""
    chroma_rows: int = 0
    """Rows of colour behind the image, for each of its blocks of rows."""


# Conversion codes of OpenCV name a Bayer pattern by its second row, the encodings by its first.
_MOSAICS = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
MOSAIC_TO_RGB = {f"bayer_{order}{bits}": code for order, code in _MOSAICS.items() for bits in (8, 16)}
"""OpenCV's conversion code of each encoding that is a Bayer mosaic."""

# 8UC3 is an OpenCV matrix, and those are BGR. The names are those of sensor_msgs/image_encodings; nv12 is Isaac ROS's.
LAYOUTS = {
    "mono8": Layout(1, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": Layout(1, 1, cv2.COLOR_GRAY2RGB),
    "mono16": Layout(1, 2, cv2.COLOR_GRAY2RGB),
    "16UC1": Layout(1, 2, cv2.COLOR_GRAY2RGB),
    "rgb8": Layout(3, 1, None),
    "rgb16": Layout(3, 2, None),
    "bgr8": Layout(3, 1, cv2.COLOR_BGR2RGB),
    "bgr16": Layout(3, 2, cv2.COLOR_BGR2RGB),
    "8UC3": Layout(3, 1, cv2.COLOR_BGR2RGB),
    "rgba8": Layout(4, 1, cv2.COLOR_RGBA2RGB),
    "rgba16": Layout(4, 2, cv2.COLOR_RGBA2RGB),
    "bgra8": Layout(4, 1, cv2.COLOR_BGRA2RGB),
    "bgra16": Layout(4, 2, cv2.COLOR_BGRA2RGB),
    "8UC4": Layout(4, 1, cv2.COLOR_BGRA2RGB),
    "yuv422": Layout(2, 1, cv2.COLOR_YUV2RGB_UYVY, (1, 2)),
    "uyvy": Layout(2, 1, cv2.COLOR_YUV2RGB_UYVY, (1, 2)),
    "yuv422_yuy2": Layout(2, 1, cv2.COLOR_YUV2RGB_YUYV, (1, 2)),
    "yuyv": Layout(2, 1, cv2.COLOR_YUV2RGB_YUYV, (1, 2)),
    "nv12": Layout(1, 1, cv2.COLOR_YUV2RGB_NV12, (2, 2), 1),
    "nv21": Layout(1, 1, cv2.COLOR_YUV2RGB_NV21, (2, 2), 1),
    **{name: Layout(1, 2 if name.endswith("16") else 1, code) for name, code in MOSAIC_TO_RGB.items()},
}


def eight_bits(words: np.ndarray, bit_depth: int) -> np.ndarray:
    """uint16 of either byte order -> uint8 of the same shape: 2**bit_depth - 1, and what is larger, becomes 255."""
    return cv2.convertScaleAbs(words.astype(np.uint16, copy=False), alpha=255.0 / (2**bit_depth - 1))


def check_picture_size(height: int, width: int) -> None:
    """Raises MessageError for a size that only a damaged message claims."""
    if height < 1 or width < 1:
        raise MessageError(f"the image is empty ({width}x{height}): expected at least 1x1 pixels; check the driver")
    if max(height, width) > MOST_PIXELS_PER_SIDE:
        raise MessageError(
            f"the image claims to be {width}x{height}: expected at most {MOST_PIXELS_PER_SIDE} pixels per side; "
            "the message is damaged"
        )


def check_equal_sizes(left: Sequence[int], right: Sequence[int]) -> None:
    """Raises MessageError unless both images of a pair have the same rows and columns."""
    if tuple(left[:2]) != tuple(right[:2]):
        raise MessageError(
            f"the left image is {left[1]}x{left[0]} and the right one {right[1]}x{right[0]}: expected equal sizes; set "
            "both cameras to one resolution"
        )
