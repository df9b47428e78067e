"""Plain fields of ``message_fields.py`` become ROS messages.

A message is filled anew for every frame instead of being made anew: publishing copies it before it returns, and a fresh
megabyte costs more in page faults than in copying (measured at 640x480 float32: 0.35 ms against 0.08 ms).
"""

from __future__ import annotations

import copy
import math
from array import array
from typing import Any

import numpy as np
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from stereo_msgs.msg import DisparityImage

from ffs_ros.message_fields import DisparityFields, ImageFields
from ffs_ros.point_cloud import FIELDS, POINT_STEP


def data_of(message: Image | PointCloud2, shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """The message's own data as an array of this shape to write to: what is written here needs no copy."""
    _resize(message, math.prod(shape) * np.dtype(dtype).itemsize)
    return np.frombuffer(message.data, dtype).reshape(shape)


def fill_image(message: Image, header: Any, fields: ImageFields) -> Image:
    """Put ``fields`` under ``header`` into ``message``, reusing its buffer where the size allows; returns it.

    Nothing is copied when the fields' pixels lie in the message already.
    """
    message.header = header
    message.height = fields.height
    message.width = fields.width
    message.encoding = fields.encoding
    message.is_bigendian = fields.is_bigendian
    message.step = fields.step
    if not np.may_share_memory(message.data, fields.data):
        _resize(message, fields.data.nbytes)
        memoryview(message.data)[:] = fields.data.data.cast("B")
    return message


def _resize(message: Image | PointCloud2, size: int) -> None:
    if len(message.data) != size:
        # Of exactly this type the field keeps the object itself; any other is copied byte by byte in Python.
        message.data = array("B", bytes(size))


def fill_disparity(message: DisparityImage, header: Any, fields: DisparityFields) -> DisparityImage:
    """Put ``fields`` into ``message``, with ``header`` on it and on the image inside; returns it."""
    message.header = header
    fill_image(message.image, header, fields.image)
    message.f = fields.f
    message.t = fields.t
    message.valid_window.x_offset = fields.valid_window.x_offset
    message.valid_window.y_offset = fields.valid_window.y_offset
    message.valid_window.height = fields.valid_window.height
    message.valid_window.width = fields.valid_window.width
    message.min_disparity = fields.min_disparity
    message.max_disparity = fields.max_disparity
    message.delta_d = fields.delta_d
    return message


def point_cloud_message() -> PointCloud2:
    """An empty cloud of points as ``ffs_ros.point_cloud`` packs them."""
    fields = [
        PointField(name=name, offset=offset, datatype=PointField.FLOAT32, count=1) for name, offset in FIELDS.items()
    ]
    return PointCloud2(fields=fields, is_bigendian=False, point_step=POINT_STEP, is_dense=False)


def describe_points(message: PointCloud2, header: Any, height: int, width: int) -> PointCloud2:
    """Put ``header`` on a cloud of ``point_cloud_message`` whose points are in its data already; returns it."""
    message.header = header
    message.height, message.width = height, width
    message.row_step = POINT_STEP * width
    return message


def camera_info_of_depth(left_info: CameraInfo, header: Any) -> CameraInfo:
    """The left camera's calibration under the depth image's header: depth is given in the left image's pixels."""
    message = copy.copy(left_info)
    message.header = header
    return message
