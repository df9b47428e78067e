"""Plain fields of ``message_fields.py`` become messages of a bag, as ``ros/messages.py`` makes the node's of them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ffs_ros.bag.codec import TYPES
from ffs_ros.bag.recorded import CAMERA_INFO, IMAGE
from ffs_ros.message_fields import DisparityFields, ImageFields
from ffs_ros.point_cloud import FIELDS, POINT_STEP

DISPARITY_IMAGE, POINT_CLOUD = "stereo_msgs/msg/DisparityImage", "sensor_msgs/msg/PointCloud2"
OUTPUT_TYPES = {
    "disparity": DISPARITY_IMAGE,
    "depth": IMAGE,
    "camera_info": CAMERA_INFO,
    "points": POINT_CLOUD,
    "colours": IMAGE,
    "confidence": IMAGE,
    "occlusion": IMAGE,
}
"""Of each of ``ffs_ros.topics.OUTPUTS``."""

_POINT_FIELD, _REGION = "sensor_msgs/msg/PointField", "sensor_msgs/msg/RegionOfInterest"


def image_message(header: Any, fields: ImageFields) -> Any:
    """A sensor_msgs/Image."""
    return TYPES.types[IMAGE](header=header, **fields._replace(data=_bytes(fields.data))._asdict())


def disparity_message(header: Any, fields: DisparityFields) -> Any:
    """A stereo_msgs/DisparityImage, with ``header`` on it and on the image inside."""
    window = TYPES.types[_REGION](**fields.valid_window._asdict(), do_rectify=False)
    described = {**fields._asdict(), "image": image_message(header, fields.image), "valid_window": window}
    return TYPES.types[DISPARITY_IMAGE](header=header, **described)


def point_cloud_message(header: Any, points_HW4: np.ndarray) -> Any:
    """A sensor_msgs/PointCloud2 of what ``ffs_ros.point_cloud.pack_points`` gives."""
    height, width = points_HW4.shape[:2]
    field: Any = TYPES.types[_POINT_FIELD]
    return TYPES.types[POINT_CLOUD](
        header=header,
        height=height,
        width=width,
        fields=[field(name=name, offset=offset, datatype=field.FLOAT32, count=1) for name, offset in FIELDS.items()],
        is_bigendian=False,
        point_step=POINT_STEP,
        row_step=POINT_STEP * width,
        data=_bytes(points_HW4),
        is_dense=False,
    )


def camera_info_message(header: Any, info: Any) -> Any:
    """A sensor_msgs/CameraInfo as ``info`` under another header."""
    message = copy.copy(info)
    message.header = header
    for name in "dkrp":
        setattr(message, name, np.asarray(getattr(info, name), np.float64))
    return message


def camera_info_of(info: Any) -> Any:
    """A sensor_msgs/CameraInfo of what ``ffs_ros.camera_file.read_camera_infos`` gives, without a header's facts."""
    types = TYPES.types
    time = types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    return types[CAMERA_INFO](
        header=types["std_msgs/msg/Header"](stamp=time, frame_id=""),
        height=info.height,
        width=info.width,
        distortion_model=info.distortion_model,
        d=np.array(info.d, np.float64),
        k=np.array(info.k or [0.0] * 9, np.float64),
        r=np.array(info.r or [0.0] * 9, np.float64),
        p=np.array(info.p, np.float64),
        binning_x=0,
        binning_y=0,
        roi=types[_REGION](x_offset=0, y_offset=0, height=0, width=0, do_rectify=False),
    )


def _bytes(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels).view(np.uint8).ravel()
