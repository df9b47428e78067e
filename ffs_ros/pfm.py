"""Portable float maps: disparity files as stereo benchmarks exchange them. +inf stands for no answer."""

from __future__ import annotations

import re

import numpy as np

from ffs_ros.errors import FileError
from ffs_ros.storage import Location, read_bytes
from ffs_ros.whole_file import whole_file

# The rows start after exactly one white space, which may itself follow blanks (FlyingThings3D).
HEADER = re.compile(rb"(Pf|PF)\s+(\d{1,9})\s+(\d{1,9})\s+([-+0-9.eE]{1,32})[ \t\r]*\n")
_SCALE = re.compile(rb"[-+]?(?=[0.]*[1-9])(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
"""Any number but 0: nothing but its sign, which tells the order of bytes, is used."""


def read_pfm(path: Location) -> np.ndarray:
    """The one-channel map in ``path``: float32 (H,W), top row first, NaN where the file has anything not finite.

    Raises FileError when the file is missing, has three channels, or does not hold what its header announces.
    """
    content = read_bytes(path)
    header = HEADER.match(content)
    if header is None:
        raise FileError(f"{path} is not a PFM file: expected 'Pf', width and height, and a scale")
    kind, width, height = header[1], int(header[2]), int(header[3])
    if kind == b"PF":
        raise FileError(f"{path} holds a colour picture (PF): expected one channel (Pf)")
    if not has_order(header):
        raise FileError(
            f"{path} has the scale {header[4].decode()}, which does not tell the order of its bytes: expected -1 for "
            "little-endian, 1 for big-endian; write it again"
        )
    held = len(content) - header.end()
    if not width or not height or held < 4 * width * height:
        raise FileError(
            f"{path} announces {width}x{height} numbers but holds {held // 4}: the file is cut short; copy it again"
        )
    order = "<f4" if header[4].startswith(b"-") else ">f4"
    values = np.frombuffer(content, order, count=width * height, offset=header.end()).reshape(height, width)
    map_HW = values[::-1].astype(np.float32)  # rows are stored from the bottom up
    map_HW[~np.isfinite(map_HW)] = np.nan
    return map_HW


def has_order(header: re.Match[bytes]) -> bool:
    """Whether the scale in a match of ``HEADER`` tells the order of bytes."""
    return _SCALE.fullmatch(header[4]) is not None


def write_pfm(path: Location, map_HW: np.ndarray) -> None:
    """Write float32 (H,W); NaN becomes +inf. Raises FileError when ``path`` cannot be written."""
    height, width = map_HW.shape
    values = np.where(np.isfinite(map_HW), map_HW, np.inf).astype("<f4")
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(b"Pf\n%d %d\n-1.0\n" % (width, height))
        file.write(values[::-1].tobytes())
