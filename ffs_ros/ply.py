"""Point clouds in files: PLY, as every viewer opens it.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import numpy as np

from ffs_ros.storage import Location
from ffs_ros.whole_file import whole_file

_VERTEX = np.dtype([("xyz", "<f4", 3), ("rgb", "u1", 3)])  # packed: 15 bytes

_HEADER = """\
ply
format binary_little_endian 1.0
comment metres in the left camera's optical frame: x right, y down, z forward
element vertex {count}
property float x
property float y
property float z
property uchar red
property uchar green
property uchar blue
end_header
"""


def write_ply(path: Location, points_HW3: np.ndarray, rgb_HW3: np.ndarray) -> int:
    """Write the finite points of ``points_HW3`` (metres) with their colours (uint8 RGB); their number comes back.

    Raises FileError when ``path`` cannot be written.
    """
    seen_HW = np.isfinite(points_HW3).all(axis=2)
    vertices = np.empty(np.count_nonzero(seen_HW), _VERTEX)
    vertices["xyz"] = points_HW3[seen_HW]
    vertices["rgb"] = rgb_HW3[seen_HW]
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(_HEADER.format(count=len(vertices)).encode())
        file.write(vertices.tobytes())
    return len(vertices)
