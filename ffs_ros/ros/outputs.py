"""The three topics going out, computed and published only as far as somebody subscribes to them."""

from __future__ import annotations

import time
from collections.abc import Callable
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


class Matched(NamedTuple):
    """A pair and what the engine answered."""

    left_HW3: np.ndarray
    """uint8, RGB."""
    right_HW3: np.ndarray
    disparity_HW: np.ndarray
    """float32, camera pixels, NaN where there is no answer."""
    camera: StereoCamera
    max_disparity_px: float
    """The largest that could have been found."""


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
        self._publish_ns = 0

    def wanted(self) -> Wanted:
        """Who subscribes now."""
        return Wanted(*(publisher.get_subscription_count() > 0 for publisher in self._publishers))

    def publish(
        self,
        wanted: Wanted,
        header: Any,
        left_info: CameraInfo,
        matched: Matched | None,
        parameter: Callable[[str], Any],
    ) -> int:
        """Publish what is wanted of one pair, under the left image's ``header``; gives the ns that the middleware took.

        ``matched`` is None where nothing wanted needs it; ``parameter`` gives a live parameter's value by its name.
        """
        self._publish_ns = 0
        if matched is not None and wanted.disparity:
            self.publish_disparity(header, matched)
        if matched is not None and wanted.depth:
            self.publish_depth(header, matched, parameter("depth_encoding"))
        if wanted.camera_info:
            self._hand_over(self._camera_info, camera_info_of_depth(left_info, header))
        return self._publish_ns

    def publish_disparity(self, header: Any, matched: Matched) -> None:
        """Publish the disparity; see ``message_fields.disparity_fields``."""
        pixels_HW = pixels_in(self._disparity_message.image, *matched.disparity_HW.shape)
        fields = disparity_fields(matched.disparity_HW, matched.camera, matched.max_disparity_px, out=pixels_HW)
        self._hand_over(self._disparity, fill_disparity(self._disparity_message, header, fields))

    def publish_depth(self, header: Any, matched: Matched, encoding: str) -> None:
        """Publish the depth; see ``message_fields.depth_fields`` for the encodings."""
        pixels_HW = pixels_in(self._depth_message, *matched.disparity_HW.shape) if encoding == "32FC1" else None
        depth_HW = depth_from_disparity(matched.disparity_HW, matched.camera, out=pixels_HW)
        self._hand_over(self._depth, fill_image(self._depth_message, header, depth_fields(depth_HW, encoding)))

    def _hand_over(self, publisher: Any, message: Any) -> None:
        started_ns = time.monotonic_ns()
        publisher.publish(message)
        self._publish_ns += time.monotonic_ns() - started_ns

    def destroy(self, node: LifecycleNode) -> None:
        """Take the topics off the graph."""
        for publisher in self._publishers:
            node.destroy_lifecycle_publisher(publisher)
