"""``sensor_msgs/CompressedImage`` -> arrays, by attribute: the JPEG and PNG of image_transport's ``compressed``.

``format`` says what the picture was before, ``data`` is a file that names its size at the beginning, so that nothing is
unpacked that is damaged or too large. Legend of shapes: H and W rows and columns of the image.
"""

from __future__ import annotations

import io
from typing import Any

import cv2
import numpy as np

from ffs_ros.encodings import MOSAIC_TO_RGB, check_picture_size, eight_bits
from ffs_ros.errors import MessageError
from ffs_ros.picture_header import jpeg_header

MOST_PIXELS = 1 << 25
"""More than 8K video has; a few kilobytes may claim to be more."""
_MOST_SCANS = 100
"""Passes over the picture in a progressive JPEG, ten as a rule; a few bytes for each would keep the decoder busy."""
_MOST_CHUNKS = 1 << 16
"""Of a PNG; 8 kilobytes each as a rule."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_BEGIN = _PNG_SIGNATURE + b"\0\0\0\rIHDR"
_JPEG_BEGIN, _JPEG_END, _JPEG_SCAN = b"\xff\xd8\xff", b"\xff\xd9", b"\xff\xda"


def size_of_compressed(msg: Any) -> tuple[int, int]:
    """Rows and columns of the picture, from the head of the file. Raises MessageError as ``rgb_from_compressed``."""
    data = memoryview(msg.data).cast("B")
    if "compressedDepth" in msg.format:
        raise MessageError(
            f"format {msg.format[:40]!r} is a depth image and no camera's picture: remap to the images of a camera, "
            "whose transport is 'compressed'"
        )
    head = bytes(data[:64])
    if head.startswith(_PNG_BEGIN):
        size = int.from_bytes(head[20:24], "big"), int.from_bytes(head[16:20], "big")
    elif head.startswith(_JPEG_BEGIN):
        header = jpeg_header(io.BytesIO(data))
        if header is None:
            raise MessageError(f"the JPEG of {len(data)} bytes is damaged: it says nowhere how large it is")
        size = header.height, header.width
    else:
        raise MessageError(
            f"the compressed image (format {msg.format[:40]!r}, {len(data)} bytes) is neither JPEG nor PNG; set the "
            "publisher's compressed.format to 'jpeg' or 'png', or image_transport:=raw"
        )
    check_picture_size(*size)
    if size[0] * size[1] > MOST_PIXELS:
        raise MessageError(
            f"the compressed image claims to be {size[1]}x{size[0]}: expected at most {MOST_PIXELS} pixels; "
            "the message is damaged"
        )
    return size


def rgb_from_compressed(msg: Any, bit_depth: int = 16) -> np.ndarray:
    """The picture in a ``sensor_msgs/CompressedImage``: uint8 (H,W,3) RGB, C-contiguous.

    Reads ``format``, such as ``rgb8; jpeg compressed bgr8`` or ``jpeg``, and ``data``. ``bit_depth`` says how many bits
    of a 16-bit PNG the sensor fills; they are scaled to 8. Raises MessageError when it is no whole JPEG or PNG, when it
    is larger than a camera's, and for ``compressedDepth``.
    """
    size = size_of_compressed(msg)
    _check_whole(bytes(msg.data))
    data = np.frombuffer(msg.data, np.uint8)
    try:
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)  # neither turned nor, at 16 bits, made smaller
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != size:
        raise MessageError(
            f"the compressed image (format {msg.format[:40]!r}, {len(data)} bytes) is damaged: it cannot be decoded"
        )
    if pixels.dtype == np.uint16:
        pixels = eight_bits(pixels, bit_depth)
    encoding, _, packed = msg.format.partition(";")
    if pixels.ndim == 2:
        # A mosaic survives as PNG alone; as JPEG it was made grey before.
        mosaic = MOSAIC_TO_RGB.get(encoding.strip()) if "mono" not in packed else None
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB if mosaic is None else mosaic)
    if pixels.shape[2] == 4:
        return cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)
    # Who packs RGB as if it were BGR says so, and image_transport exchanges them back.
    return pixels if "compressed rgb" in packed else cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def _check_whole(data: bytes) -> None:
    """Raises MessageError for a file that ends early, or that would keep a decoder busy or fill its memory."""
    kind, whole = ("JPEG", _jpeg_is_whole(data)) if data.startswith(_JPEG_BEGIN) else ("PNG", _png_is_whole(data))
    if not whole:
        raise MessageError(f"the {kind} of {len(data)} bytes ends early or is damaged; part of it was lost")
    if kind == "JPEG" and data.count(_JPEG_SCAN) > _MOST_SCANS:
        raise MessageError(f"the JPEG has more than {_MOST_SCANS} scans: expected a camera's, which has one to ten")


def _jpeg_is_whole(data: bytes) -> bool:
    """Older OpenCV fills up with grey what is missing. Some cameras pad with zeros."""
    return data.rstrip(b"\0").endswith(_JPEG_END)


def _png_is_whole(data: bytes) -> bool:
    """Whether its chunks end with the one that ends it. OpenCV makes room for as many bytes as a chunk claims."""
    at = len(_PNG_SIGNATURE)
    for _ in range(_MOST_CHUNKS):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        at += 12 + length
        if at > len(data) or kind == b"IEND":
            return at <= len(data)
    return False
