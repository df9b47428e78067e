"""What a picture's or map's file says about itself in its first bytes, so that thousands are looked at in a second.

Legend of shapes: H and W rows and columns.
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

import numpy as np

from ffs_ros.image_file import read_pixels
from ffs_ros.pfm import HEADER as PFM_HEADER
from ffs_ros.pfm import has_order, read_pfm
from ffs_ros.storage import Location, opened_beginning, suffix_of

_HEAD_BYTES = 256
_BEFORE_A_JPEG_FRAME_BYTES = 64 << 10
"""As a rule; a thumbnail of a megabyte may come first."""
_PNG_BEGIN = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 4, 6: 4}
"""Of its colour types as OpenCV unpacks them: a palette is colours, grey with alpha is colours with alpha."""
_JPEG_BEGIN = b"\xff\xd8\xff"
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers that open a frame (ITU-T T.81, table B.1)."""
_MOST_JPEG_SEGMENTS = 4096
"""Before the picture; a colour profile may take 255."""


class PictureHeader(NamedTuple):
    """Size and layout of a picture."""

    height: int
    width: int
    channels: int
    dtype: np.dtype
    """Of the unpacked numbers."""


def read_header(path: Location) -> PictureHeader:
    """The header of a PNG, JPEG, PFM or .npy file; any other picture is unpacked to see.

    Says nothing about what follows the header. Raises FileError when the file is missing or no picture.
    """
    with opened_beginning(path, _BEFORE_A_JPEG_FRAME_BYTES) as file:
        head = file.read(_HEAD_BYTES)
        header = _png(head) or jpeg_header(file) or _pfm(head) or _npy(file, head)
    if header is not None:
        return header
    pixels = read_pfm(path) if suffix_of(path) == ".pfm" else read_pixels(path)
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    return PictureHeader(pixels.shape[0], pixels.shape[1], channels, pixels.dtype)


def _png(head: bytes) -> PictureHeader | None:
    if not head.startswith(_PNG_BEGIN) or len(head) < 26 or head[25] not in _PNG_CHANNELS:
        return None
    width, height = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    return PictureHeader(height, width, _PNG_CHANNELS[head[25]], np.dtype(np.uint16 if head[24] == 16 else np.uint8))


def jpeg_header(file: BinaryIO) -> PictureHeader | None:
    """From the first frame's header (ITU-T T.81, B.2.2); None for what is no JPEG, or says nowhere how large it is."""
    file.seek(0)
    if file.read(len(_JPEG_BEGIN)) != _JPEG_BEGIN:
        return None
    at = 2
    for _ in range(_MOST_JPEG_SEGMENTS):
        file.seek(at)
        segment = file.read(10)
        if len(segment) < 10 or segment[0] != 0xFF:
            break
        if segment[1] == 0xFF:  # fill
            at += 1
            continue
        if segment[1] in _JPEG_FRAMES:
            height, width = int.from_bytes(segment[5:7], "big"), int.from_bytes(segment[7:9], "big")
            return PictureHeader(height, width, segment[9], np.dtype(np.uint8))
        at += 2 + int.from_bytes(segment[2:4], "big")
    return None


def _pfm(head: bytes) -> PictureHeader | None:
    header = PFM_HEADER.match(head)
    if header is None or not has_order(header):
        return None
    return PictureHeader(int(header[3]), int(header[2]), 3 if header[1] == b"PF" else 1, np.dtype(np.float32))


def _npy(file: BinaryIO, head: bytes) -> PictureHeader | None:
    if not head.startswith(b"\x93NUMPY"):
        return None
    file.seek(0)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    except Exception:  # a damaged one is taken for Python, with all that this raises
        return None
    if len(shape) != 2:
        return None
    return PictureHeader(shape[0], shape[1], 1, dtype)
