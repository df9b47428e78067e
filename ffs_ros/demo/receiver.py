"""Listens to the node's topics, as a consumer on the robot would, and puts together what belongs to one pair."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import rclpy
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image
from stereo_msgs.msg import DisparityImage

from ffs_ros.demo.verdict import stamp_ns_of


class Frame(NamedTuple):
    """Everything the node published for one pair."""

    disparity: Any
    depth: Any
    depth_info: Any
    latency_ms: float
    """From the images' stamp to the arrival of the last of the three."""
    arrival_s: float
    """On a steady clock."""


class Receiver(Node):
    """``frames`` grows while this is spun."""

    def __init__(self, namespace: str) -> None:
        super().__init__("demo_receiver", namespace=namespace)
        self.frames: list[Frame] = []
        self._parts: dict[int, dict[type, Any]] = {}
        self.create_subscription(DisparityImage, "disparity", self._take, 5)
        self.create_subscription(Image, "depth/image_rect", self._take, 5)
        self.create_subscription(CameraInfo, "depth/camera_info", self._take, 5)

    def wait(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Receive until ``enough`` says so, True, or the time is over, False."""
        end = time.monotonic() + timeout_s
        while not enough():
            if time.monotonic() > end:
                return False
            rclpy.spin_once(self, timeout_sec=0.1)
        return True

    def _take(self, message: Any) -> None:
        arrival_ns = self.get_clock().now().nanoseconds
        stamp_ns = stamp_ns_of(message.header)
        parts = self._parts.setdefault(stamp_ns, {})
        parts[type(message)] = message
        if len(parts) == 3:
            del self._parts[stamp_ns]
            latency_ms = (arrival_ns - stamp_ns) / 1e6
            self.frames.append(
                Frame(parts[DisparityImage], parts[Image], parts[CameraInfo], latency_ms, time.monotonic())
            )
