"""A coloured point cloud as ``sensor_msgs/PointCloud2`` carries it, without ROS.

Organised: the point of row v and column u is that of the left image's pixel (u, v). Legend of shapes: H and W rows and
columns of the left image.
"""

from __future__ import annotations

import cv2
import numpy as np

from ffs_ros.geometry import StereoCamera, ray_slopes

FIELDS = {"x": 0, "y": 4, "z": 8, "rgb": 12}
"""Names of PCL's ``PointXYZRGB`` and of ``stereo_image_proc``, each a FLOAT32 at this byte of a point."""
POINT_STEP = 16
"""Bytes of a point."""

_BLOCK_PIXELS = 32768
"""Rows are taken in blocks whose planes stay in the processor's cache."""


def pack_points(
    depth_HW: np.ndarray, rgb_HW3: np.ndarray, camera: StereoCamera, out_HW4: np.ndarray | None = None
) -> np.ndarray:
    """The points and colours of a depth image: float32 (H,W,4), x right, y down, z forward in metres, then the colour.

    ``depth_HW`` is float32 metres along the optical axis; where it is NaN, x, y and z are. ``rgb_HW3`` is the left
    image, uint8. The colour's four bytes are those of the integer 0x00RRGGBB, as PCL and RViz read them; the byte above
    them is 0, because another one could make the float a NaN, which programs take the liberty to change. The result is
    in ``out_HW4`` where that is given, C-contiguous.
    """
    height, width = depth_HW.shape
    if out_HW4 is None:
        out_HW4 = np.empty((height, width, 4), np.float32)
    slope_x_W, slope_y_H = ray_slopes(camera, height, width)
    rows = max(1, min(height, _BLOCK_PIXELS // width))
    x_hW, y_hW = np.empty((2, rows, width), np.float32)
    bgr0_hW4 = np.empty((rows, width, 4), np.uint8)
    for top in range(0, height, rows):
        block = slice(top, min(top + rows, height))
        size = block.stop - top
        x, y, bgr0 = x_hW[:size], y_hW[:size], bgr0_hW4[:size]
        np.multiply(depth_HW[block], slope_x_W, out=x)
        np.multiply(depth_HW[block], slope_y_H[block, None], out=y)
        cv2.cvtColor(rgb_HW3[block], cv2.COLOR_RGB2BGRA, dst=bgr0)
        colour = bgr0.view("<u4")[..., 0]
        np.bitwise_and(colour, 0xFFFFFF, out=colour)
        # cv2.merge moves bits, whatever they mean, in a third of the time that NumPy takes for writing with strides.
        cv2.merge([x, y, depth_HW[block], colour.view(np.float32)], dst=out_HW4[block])
    return out_HW4
