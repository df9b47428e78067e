"""The topics going out, computed and published only as far as somebody subscribes to them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from stereo_msgs.msg import DisparityImage

from ffs_ros.errors import FfsError
from ffs_ros.left_right_check import agreement
from ffs_ros.limits import Limits, limits_of
from ffs_ros.matched_pair import Matched
from ffs_ros.message_fields import depth_fields, depth_of_message, disparity_fields, image_fields, shown_range_px
from ffs_ros.pace import Pace
from ffs_ros.picture import colour_disparity
from ffs_ros.point_cloud import pack_points
from ffs_ros.ros.messages import (
    camera_info_of_depth,
    data_of,
    describe_points,
    fill_disparity,
    fill_image,
    point_cloud_message,
)
from ffs_ros.ros.qos import checked_overrides, output_qos, overridable
from ffs_ros.topics import OUTPUTS

_TYPES = {
    "disparity": DisparityImage,
    "depth": Image,
    "camera_info": CameraInfo,
    "points": PointCloud2,
    "colours": Image,
    "confidence": Image,
    "occlusion": Image,
}
"""Of each output, by its name in ``Wanted`` and ``OUTPUTS``."""


class Wanted(NamedTuple):
    """Which outputs are to be published of the next pair."""

    disparity: bool
    depth: bool
    camera_info: bool
    points: bool
    colours: bool
    confidence: bool
    occlusion: bool

    @property
    def second_pass(self) -> bool:
        """Whether any of them needs the pair matched from the right camera as well."""
        return self.confidence or self.occlusion

    @property
    def matching(self) -> bool:
        """Whether any of them needs the disparity."""
        return self.disparity or self.depth or self.points or self.colours or self.second_pass


class Outputs:
    """Every topic of ``OUTPUTS``, under the left image's header.

    Messages are kept from pair to pair, and what is computed is written into them.
    """

    def __init__(self, node: LifecycleNode) -> None:
        """Raises FfsError where the user's QoS overrides cannot be."""
        self._publishers: dict[str, Any] = {}
        try:
            for name, topic in OUTPUTS.items():
                with checked_overrides(node.resolve_topic_name(topic)):
                    publisher = node.create_lifecycle_publisher(
                        _TYPES[name], topic, output_qos(), qos_overriding_options=overridable()
                    )
                self._publishers[name] = publisher
        except FfsError:
            self.destroy(node)
            raise
        self._messages = {name: kind() for name, kind in _TYPES.items()}
        self._messages["points"] = point_cloud_message()
        self._second_passes = Pace()
        self._publish_ns = 0

    @property
    def publishers(self) -> list[Any]:
        """rclpy's, one for each topic."""
        return list(self._publishers.values())

    def wanted(self, confidence_rate_hz: float) -> Wanted:
        """Who subscribes now; to what needs a second pass only as often as that may be."""
        wanted = Wanted(**{name: p.get_subscription_count() > 0 for name, p in self._publishers.items()})
        if wanted.second_pass and not self._second_passes.due(confidence_rate_hz):
            wanted = wanted._replace(confidence=False, occlusion=False)
        return wanted

    def publish(
        self,
        wanted: Wanted,
        header: Any,
        left_info: CameraInfo,
        matched: Matched | None,
        live: Mapping[str, Any],
    ) -> int:
        """Publish what is wanted of one pair and needs no second pass, under the left image's ``header``; gives the ns
        that the middleware took.

        ``matched`` is None where nothing wanted needs it; ``live`` are the live parameters' values by name.
        Raises CalibrationError when the region of interest is not inside the image.
        """
        self._publish_ns = 0
        if wanted.second_pass:
            self._second_passes.start()
        if matched is not None:
            limits = limits_of(live)
            matched = matched._replace(disparity_HW=limits.applied(matched.disparity_HW, matched.camera))
            if wanted.disparity or wanted.depth or wanted.points:
                pixels_HW = self._publish_disparity(header, matched, limits, wanted.disparity)
            if wanted.depth or wanted.points:
                depth_HW = depth_of_message(pixels_HW, matched.camera)
                if wanted.depth:
                    self._publish_depth(header, depth_HW, live["depth_encoding"])
                if wanted.points:
                    self._publish_points(header, matched, depth_HW)
            if wanted.colours:
                self._publish_colours(header, matched, limits)
        if wanted.camera_info:
            self._hand_over("camera_info", camera_info_of_depth(left_info, header))
        return self._publish_ns

    def publish_second_pass(
        self,
        wanted: Wanted,
        header: Any,
        matched: Matched,
        right_disparity_HW: np.ndarray,
        live: Mapping[str, Any],
    ) -> None:
        """Publish what else is wanted of a pair; ``right_disparity_HW`` is what was found from the right camera."""
        limited_HW = limits_of(live).applied(matched.disparity_HW, matched.camera)
        agreed = agreement(limited_HW, right_disparity_HW)
        if wanted.confidence:
            self._publish_image("confidence", header, agreed.confidence_HW, "32FC1")
        if wanted.occlusion:
            self._publish_image("occlusion", header, agreed.occluded_HW, "mono8")

    def _publish_disparity(self, header: Any, matched: Matched, limits: Limits, wanted: bool) -> np.ndarray:
        """Publish the disparity if ``wanted``, and give the message's pixels, good until the next pair."""
        message = self._messages["disparity"]
        pixels_HW = data_of(message.image, matched.disparity_HW.shape)
        fields = disparity_fields(matched.disparity_HW, matched.camera, matched.max_disparity_px, limits, out=pixels_HW)
        if wanted:
            self._hand_over("disparity", fill_disparity(message, header, fields))
        return pixels_HW

    def _publish_depth(self, header: Any, depth_HW: np.ndarray, encoding: str) -> None:
        # Metres lie where the disparity was, in memory that the processor has near, and so in its message.
        message = self._messages["disparity"].image if encoding == "32FC1" else self._messages["depth"]
        self._hand_over("depth", fill_image(message, header, depth_fields(depth_HW, encoding)))

    def _publish_points(self, header: Any, matched: Matched, depth_HW: np.ndarray) -> None:
        message = self._messages["points"]
        height, width = depth_HW.shape
        pack_points(depth_HW, matched.left_HW3, matched.camera, data_of(message, (height, width, 4)))
        self._hand_over("points", describe_points(message, header, height, width))

    def _publish_colours(self, header: Any, matched: Matched, limits: Limits) -> None:
        """From the disparity message's own min_disparity to its max_disparity, so that a colour keeps its meaning."""
        message = self._messages["colours"]
        difference_px = matched.camera.principal_point_difference_px
        lowest_px, highest_px = shown_range_px(matched.camera, matched.max_disparity_px, limits)
        pixels_HW3 = data_of(message, (*matched.disparity_HW.shape, 3), np.uint8)
        colour_disparity(matched.disparity_HW, lowest_px + difference_px, highest_px + difference_px, out=pixels_HW3)
        self._hand_over("colours", fill_image(message, header, image_fields(pixels_HW3, "rgb8")))

    def _publish_image(self, name: str, header: Any, pixels_HW: np.ndarray, encoding: str) -> None:
        fields = image_fields(pixels_HW, encoding)
        self._hand_over(name, fill_image(self._messages[name], header, fields))

    def _hand_over(self, name: str, message: Any) -> None:
        started_ns = time.monotonic_ns()
        self._publishers[name].publish(message)
        self._publish_ns += time.monotonic_ns() - started_ns

    def destroy(self, node: LifecycleNode) -> None:
        """Take the topics off the graph."""
        for publisher in self._publishers.values():
            node.destroy_lifecycle_publisher(publisher)
