"""The four topics coming in, and what the middleware says about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

try:
    from rclpy.event_handler import SubscriptionEventCallbacks, UnsupportedEventTypeError
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks, UnsupportedEventTypeError

from ffs_ros.calibration import Calibration
from ffs_ros.config import NodeConfig
from ffs_ros.errors import FfsError
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor.graph import input_findings
from ffs_ros.ros.qos import checked_overrides, input_qos, overridable
from ffs_ros.ros.throttle import ThrottledLog
from ffs_ros.topics import LEFT_IMAGE, LEFT_INFO, PACKED, RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE, RIGHT_IMAGE, RIGHT_INFO


def image_topics(node: Node, config: NodeConfig) -> tuple[str, str]:
    """The left and the right image's full names: raw ones where the node rectifies, and with the transport's ending.

    As image_transport does it, the name without the ending is remapped, and what comes of it may be once more.
    """

    def full_name(topic: str) -> str:
        name = node.resolve_topic_name(topic)
        if config.image_transport == "raw":
            return name
        return node.resolve_topic_name(name.removesuffix(PACKED) + PACKED)

    left, right = (RAW_LEFT_IMAGE, RAW_RIGHT_IMAGE) if config.rectify else (LEFT_IMAGE, RIGHT_IMAGE)
    return full_name(left), full_name(right)


class Inputs:
    """Subscribes, as long as it lives, and passes images to ``pairing`` and CameraInfo to ``calibration``."""

    def __init__(
        self,
        node: Node,
        config: NodeConfig,
        pairing: Pairing,
        calibration: Calibration,
        log: ThrottledLog,
        lost_images_remedy: Callable[[], str | None],
    ) -> None:
        """Raises FfsError where the user's QoS overrides cannot be."""
        self._node = node
        self._log = log
        self._lost_images_remedy = lost_images_remedy
        self.lost = 0
        """Messages that the middleware knows it has lost on the way here."""
        # The executor serves what is ready in this order, so a first pair finds the CameraInfo that came with it.
        self.subscriptions: list[Any] = []
        self.info_topics = node.resolve_topic_name(LEFT_INFO), node.resolve_topic_name(RIGHT_INFO)
        self.image_topics = image_topics(node, config)
        try:
            self._subscribe(CameraInfo, LEFT_INFO, calibration.set_left)
            self._subscribe(CameraInfo, RIGHT_INFO, calibration.set_right)
            kind = Image if config.image_transport == "raw" else CompressedImage
            for topic, callback in zip(self.image_topics, (pairing.add_left, pairing.add_right), strict=True):
                self._subscribe(kind, topic, callback)
        except FfsError:
            self.destroy()
            raise

    def loss(self) -> str:
        """A sentence about the messages that were lost, with the remedy."""
        remedy = self._lost_images_remedy()
        return f"{self.lost} of the cameras' messages were lost on the way here" + (f"; {remedy}" if remedy else "")

    def destroy(self) -> None:
        """Unsubscribe."""
        for subscription in self.subscriptions:
            self._node.destroy_subscription(subscription)

    def _subscribe(self, kind: type, topic: str, callback: Callable[[Any], None]) -> None:
        name = self._node.resolve_topic_name(topic)

        def incompatible(event: Any) -> None:
            for subscription in self.subscriptions:
                for finding in input_findings(self._node, subscription).findings:
                    self._log.warn(finding.sentence)

        def lost(event: Any) -> None:
            self.lost += event.total_count_change
            self._log.warn(self.loss())

        def create(**events: Any) -> Any:
            return self._node.create_subscription(
                kind, topic, callback, input_qos(), qos_overriding_options=overridable(),
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=incompatible, **events),
            )  # fmt: skip

        with checked_overrides(name):
            try:
                self.subscriptions.append(create(message_lost=lost))
            except UnsupportedEventTypeError:  # not every middleware can tell
                self.subscriptions.append(create())
