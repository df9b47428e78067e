"""``sensor_msgs/Image`` -> arrays, by attribute: messages of rclpy and of a bag reader are decoded alike, without ROS.

Legend of shapes: H and W rows and columns of the image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import MessageError

MOST_PIXELS_PER_SIDE = 16384
"""Sides beyond this are taken for a damaged message."""


class _Layout(NamedTuple):
    channels: int
    bytes_per_channel: int
    to_rgb: int | None
    """OpenCV's conversion code; None where the pixels are RGB already."""


# 8UC3 is an OpenCV matrix, and those are BGR.
_LAYOUTS = {
    "mono8": _Layout(1, 1, cv2.COLOR_GRAY2RGB),
    "8UC1": _Layout(1, 1, cv2.COLOR_GRAY2RGB),
    "mono16": _Layout(1, 2, cv2.COLOR_GRAY2RGB),
    "16UC1": _Layout(1, 2, cv2.COLOR_GRAY2RGB),
    "rgb8": _Layout(3, 1, None),
    "bgr8": _Layout(3, 1, cv2.COLOR_BGR2RGB),
    "8UC3": _Layout(3, 1, cv2.COLOR_BGR2RGB),
    "rgba8": _Layout(4, 1, cv2.COLOR_RGBA2RGB),
    "bgra8": _Layout(4, 1, cv2.COLOR_BGRA2RGB),
}


def rgb_from_image(msg: Any, bit_depth: int = 16) -> np.ndarray:
    """The picture in a ``sensor_msgs/Image``: uint8 (H,W,3) RGB, C-contiguous.

    Reads ``height``, ``width``, ``encoding``, ``is_bigendian``, ``step`` and ``data`` (any byte buffer). ``bit_depth``
    says how many bits of a 16-bit encoding the sensor fills; they are scaled to 8. An ``rgb8`` image without row
    padding comes back as a view of the message's buffer: copy it before writing to it or reusing the message.
    Encodings that are not in the table go through ``cv_bridge`` where it is installed.
    Raises MessageError when the numbers do not fit each other or the encoding cannot be decoded.
    """
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    layout = _LAYOUTS.get(msg.encoding)
    _check_numbers(msg, layout)
    if layout is None:
        return _rgb_through_cv_bridge(msg)
    row_bytes = width * layout.channels * layout.bytes_per_channel
    rows: np.ndarray = np.frombuffer(msg.data, np.uint8, count=height * step).reshape(height, step)[:, :row_bytes]
    rows = np.ascontiguousarray(rows)
    if layout.bytes_per_channel == 2:
        rows = rows.view(">u2" if msg.is_bigendian else "<u2")
        rows = cv2.convertScaleAbs(rows.astype(np.uint16, copy=False), alpha=255.0 / (2**bit_depth - 1))
    pixels = rows.reshape(height, width, layout.channels)
    if layout.to_rgb is None:
        return pixels
    return cv2.cvtColor(pixels, layout.to_rgb)


def _check_numbers(msg: Any, layout: _Layout | None) -> None:
    """Raises MessageError unless height, width and step describe what ``data`` holds."""
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    if height < 1 or width < 1:
        raise MessageError(f"the image is empty ({width}x{height}): expected at least 1x1 pixels; check the driver")
    if max(height, width) > MOST_PIXELS_PER_SIDE:
        raise MessageError(
            f"the image claims to be {width}x{height}: expected at most {MOST_PIXELS_PER_SIDE} pixels per side; "
            "the message is damaged"
        )
    row_bytes = width * layout.channels * layout.bytes_per_channel if layout else 1
    if step < row_bytes:
        raise MessageError(
            f"the image's step is {step} bytes, but {width} pixels of {msg.encoding} need {row_bytes}; "
            "check the driver's step and encoding"
        )
    held = memoryview(msg.data).nbytes
    if held < height * step:
        raise MessageError(
            f"the image's data ends early: {held} bytes instead of {height * step} (height {height} x step {step})"
        )


def _rgb_through_cv_bridge(msg: Any) -> np.ndarray:
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        raise MessageError(
            f"encoding {msg.encoding[:40]!r} is not one of {', '.join(_LAYOUTS)}, and cv_bridge, which knows more, is "
            "not installed; install it (apt install ros-$ROS_DISTRO-cv-bridge) or convert with image_proc"
        ) from None
    try:
        rgb_HW3 = CvBridge().imgmsg_to_cv2(msg, desired_encoding="rgb8")
    except (CvBridgeError, RuntimeError, TypeError) as error:
        raise MessageError(
            f"cv_bridge cannot make rgb8 of encoding {msg.encoding[:40]!r} ({error}); "
            f"expected one of {', '.join(_LAYOUTS)} or a colour encoding that it knows"
        ) from error
    return np.ascontiguousarray(rgb_HW3, np.uint8)
