"""The three topics going out, computed and published only as far as somebody subscribes to them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image
from stereo_msgs.msg import DisparityImage

from ffs_ros.errors import FfsError
from ffs_ros.geometry import StereoCamera, depth_from_disparity
from ffs_ros.message_fields import depth_fields, disparity_fields
from ffs_ros.ros.messages import camera_info_of_depth, fill_disparity, fill_image, pixels_in
from ffs_ros.ros.qos import checked_overrides, output_qos, overridable


class Wanted(NamedTuple):
    """Which outputs have a subscriber."""

    disparity: bool
    depth: bool
    camera_info: bool

    @property
    def matching(self) -> bool:
        """Whether any of them needs the disparity."""
        return self.disparity or self.depth


_TOPICS = ((DisparityImage, "disparity"), (Image, "depth/image_rect"), (CameraInfo, "depth/camera_info"))


class Outputs:
    """``disparity``, ``depth/image_rect`` and ``depth/camera_info``, all under the left image's header."""

    def __init__(self, node: LifecycleNode) -> None:
        """Raises FfsError where the user's QoS overrides cannot be."""
        self._publishers: list[Any] = []
        try:
            for kind, topic in _TOPICS:
                with checked_overrides(node.resolve_topic_name(topic)):
                    publisher = node.create_lifecycle_publisher(
                        kind, topic, output_qos(), qos_overriding_options=overridable()
                    )
                self._publishers.append(publisher)
        except FfsError:
            self.destroy(node)
            raise
        self._disparity, self._depth, self._camera_info = self._publishers
        self._disparity_message = DisparityImage()
        self._depth_message = Image()

    def wanted(self) -> Wanted:
        """Who subscribes now."""
        return Wanted(*(publisher.get_subscription_count() > 0 for publisher in self._publishers))

    def publish_camera_info(self, header: Any, left_info: CameraInfo) -> None:
        """Publish the depth image's camera."""
        self._camera_info.publish(camera_info_of_depth(left_info, header))

    def publish_disparity(
        self, header: Any, disparity_HW: np.ndarray, camera: StereoCamera, max_disparity_px: float
    ) -> None:
        """Publish a disparity in camera pixels, NaN where there is none; see ``message_fields.disparity_fields``."""
        pixels_HW = pixels_in(self._disparity_message.image, *disparity_HW.shape)
        fields = disparity_fields(disparity_HW, camera, max_disparity_px, out=pixels_HW)
        self._disparity.publish(fill_disparity(self._disparity_message, header, fields))

    def publish_depth(self, header: Any, disparity_HW: np.ndarray, camera: StereoCamera, encoding: str) -> None:
        """Publish the depth of a disparity; see ``message_fields.depth_fields`` for the encodings."""
        pixels_HW = pixels_in(self._depth_message, *disparity_HW.shape) if encoding == "32FC1" else None
        fields = depth_fields(depth_from_disparity(disparity_HW, camera, out=pixels_HW), encoding)
        self._depth.publish(fill_image(self._depth_message, header, fields))

    def destroy(self, node: LifecycleNode) -> None:
        """Take the topics off the graph."""
        for publisher in self._publishers:
            node.destroy_lifecycle_publisher(publisher)
