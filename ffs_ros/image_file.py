"""Pictures in files: any that OpenCV reads, as the matcher wants them; PNG on the way out, or what a name asks for.

Legend of shapes: H and W rows and columns of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from ffs_ros.errors import FileError
from ffs_ros.storage import Location, read_bytes, suffix_of
from ffs_ros.whole_file import whole_file

_OF_COLOURS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".ppm", ".webp")
"""Endings of pictures with 8-bit RGB. OpenCV has writers for more, of which some write nothing for such pixels."""


def read_rgb(path: Location) -> np.ndarray:
    """The picture in ``path``: uint8 (H,W,3) RGB, C-contiguous.

    Grey is repeated, alpha dropped, 16 bits scaled to 8 over the full range; an orientation tag is ignored, because a
    calibration is for the pixels as the sensor delivered them. Raises FileError when the file is missing, cut short,
    or no picture of 8 or 16 bits.
    """
    pixels = read_pixels(path)
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=255.0 / 65535.0)
    if pixels.dtype != np.uint8:
        raise FileError(f"{path} holds {pixels.dtype} pixels: expected a picture of 8 or 16 bits")
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    to_rgb = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}.get(channels)
    if to_rgb is None:
        raise FileError(f"{path} has {channels} channels: expected grey, RGB or RGB with alpha")
    return cv2.cvtColor(pixels, to_rgb)


def read_pixels(path: Location) -> np.ndarray:
    """The picture in ``path`` as it is stored: (H,W), or (H,W,channels) in OpenCV's order, blue first; of its own type.

    Raises FileError when the file is missing, cut short, or no picture.
    """
    content = read_bytes(path)
    if not _is_complete(content):
        raise FileError(f"{path} is cut short after {len(content)} bytes: expected a whole picture; copy it again")
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    except cv2.error:  # absurd dimensions
        pixels = None
    if pixels is None:
        raise FileError(f"{path} is damaged or not a picture ({len(content)} bytes): expected PNG, JPEG or the like")
    return pixels


def write_png(path: Location, image: np.ndarray) -> None:
    """Write uint8 (H,W,3) RGB or uint16 (H,W). Raises FileError when ``path`` cannot be written."""
    _write(path, image, ".png")


def write_picture(path: Location, rgb_HW3: np.ndarray) -> None:
    """Write uint8 (H,W,3) RGB as the picture that the ending of ``path`` names, PNG where that holds no colours.

    Raises FileError when ``path`` cannot be written.
    """
    suffix = suffix_of(path)
    _write(path, rgb_HW3, suffix if suffix in _OF_COLOURS else ".png")


def _write(path: Location, image: np.ndarray, suffix: str) -> None:
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    encoded = cv2.imencode(suffix, pixels)[1]
    with whole_file(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def _is_complete(content: bytes) -> bool:
    """False for a PNG or JPEG without its end: older versions of OpenCV decode it, with grey in place of the rest."""
    if content.startswith(b"\x89PNG"):
        return b"IEND\xaeB`\x82" in content
    if content.startswith(b"\xff\xd8"):
        return content.rfind(b"\xff\xd9") > content.rfind(b"\xff\xda")  # end of image after the last scan's start
    return True
