"""A camera's messages -> arrays, by attribute: messages of rclpy and of a bag reader are decoded alike, without ROS.

Legend of shapes: H and W rows and columns of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2
import numpy as np

from ffs_ros.compressed import rgb_from_compressed, size_of_compressed
from ffs_ros.encodings import LAYOUTS, Layout, check_equal_sizes, check_picture_size, eight_bits
from ffs_ros.errors import MessageError


@contextmanager
def errors_of(side: str) -> Iterator[None]:
    """Put the name of a camera before whatever MessageError is raised within."""
    try:
        yield
    except MessageError as error:
        raise MessageError(f"{side} camera: {error}") from None


def size_of_picture(msg: Any) -> tuple[int, int]:
    """Rows and columns of the picture in an Image or a CompressedImage. Raises MessageError for those that none has."""
    if hasattr(msg, "format"):
        return size_of_compressed(msg)
    check_picture_size(int(msg.height), int(msg.width))
    return int(msg.height), int(msg.width)


def size_of_pair(left: Any, right: Any) -> tuple[int, int]:
    """Rows and columns of both pictures. Raises MessageError, naming the camera, as above and where they differ."""
    with errors_of("left"):
        left_size = size_of_picture(left)
    with errors_of("right"):
        right_size = size_of_picture(right)
    check_equal_sizes(left_size, right_size)
    return left_size


def rgb_from_message(msg: Any, bit_depth: int = 16) -> np.ndarray:
    """The picture in an Image or a CompressedImage: see ``rgb_from_image`` and ``rgb_from_compressed``."""
    return rgb_from_compressed(msg, bit_depth) if hasattr(msg, "format") else rgb_from_image(msg, bit_depth)


def rgb_from_image(msg: Any, bit_depth: int = 16) -> np.ndarray:
    """The picture in a ``sensor_msgs/Image``: uint8 (H,W,3) RGB, C-contiguous.

    Reads ``height``, ``width``, ``encoding``, ``is_bigendian``, ``step`` and ``data`` (any byte buffer). ``bit_depth``
    says how many bits of a 16-bit encoding the sensor fills; they are scaled to 8. An ``rgb8`` image without row
    padding comes back as a view of the message's buffer: copy it before writing to it or reusing the message.
    Raises MessageError when the numbers do not fit each other or the encoding is none of a camera's.
    """
    layout = LAYOUTS.get(msg.encoding)
    if layout is None:
        raise MessageError(
            f"encoding {msg.encoding[:40]!r} is none that a camera's picture has here: expected one of "
            f"{', '.join(LAYOUTS)}; set the driver's format to one of them"
        )
    rows, width, step = _checked_rows(msg, layout), int(msg.width), int(msg.step)
    row_bytes = width * layout.channels * layout.bytes_per_channel
    bytes_HW: np.ndarray = np.frombuffer(msg.data, np.uint8, count=rows * step).reshape(rows, step)[:, :row_bytes]
    pixels = np.ascontiguousarray(bytes_HW)
    if layout.bytes_per_channel == 2:
        pixels = eight_bits(pixels.view(">u2" if msg.is_bigendian else "<u2"), bit_depth)
    pixels = pixels.reshape(rows, width, layout.channels)
    return pixels if layout.to_rgb is None else cv2.cvtColor(pixels, layout.to_rgb)


def _checked_rows(msg: Any, layout: Layout) -> int:
    """How many rows ``data`` has. Raises MessageError unless height, width and step describe what it holds."""
    height, width, step = int(msg.height), int(msg.width), int(msg.step)
    check_picture_size(height, width)
    if height % layout.block[0] or width % layout.block[1]:
        raise MessageError(
            f"the image is {width}x{height}, but {msg.encoding} has whole blocks of {layout.block[1]}x"
            f"{layout.block[0]} pixels; check the driver's size and encoding"
        )
    row_bytes = width * layout.channels * layout.bytes_per_channel
    if step < row_bytes:
        raise MessageError(
            f"the image's step is {step} bytes, but {width} pixels of {msg.encoding} need {row_bytes}; "
            "check the driver's step and encoding"
        )
    rows = height + layout.chroma_rows * (height // layout.block[0])
    held = memoryview(msg.data).nbytes
    if held < rows * step:
        raise MessageError(
            f"the image's data ends early: {held} bytes instead of {rows * step} ({rows} rows x step {step})"
        )
    return rows
