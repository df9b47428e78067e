"""Listens to a stereo camera as the node would, with the same parts."""

from __future__ import annotations

import logging
import time
from types import TracebackType
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy

from ffs_ros.calibration import Calibration
from ffs_ros.config import NodeConfig
from ffs_ros.finding import Finding
from ffs_ros.pairing import Pairing
from ffs_ros.ros.doctor.doctor import Doctor
from ffs_ros.ros.doctor.heard_pictures import HeardPictures
from ffs_ros.ros.filters import installed_filters
from ffs_ros.ros.inputs import Inputs
from ffs_ros.ros.throttle import ThrottledLog
from ffs_ros.ros.transport import lost_images_remedy
from ffs_ros.stereo_topics import StereoTopics

LOOKS = 5
"""Into so many parts the time is divided, each with a look at the newest pair."""
_DISCOVERY_S = 1.0
"""How long a CameraInfo is waited for once the images are there."""
_EQUAL_STAMPS_S = 0.01
"""Stands for a tolerance that is not used."""


class CountedCalibration(Calibration):
    """Also counts what comes."""

    received = 0, 0
    """Left and right CameraInfo."""

    def set_left(self, info: Any) -> None:
        """Take a left CameraInfo."""
        self.received = self.received[0] + 1, self.received[1]
        super().set_left(info)

    def set_right(self, info: Any) -> None:
        """Take a right CameraInfo."""
        self.received = self.received[0], self.received[1] + 1
        super().set_right(info)


class Examination:
    """What comes on a stereo camera's topics, and what the node says of itself if one runs."""

    def __init__(self, search: Any, topics: StereoTopics, tolerance_s: float, rectify: bool) -> None:
        """``search`` is a node that has looked around; ``tolerance_s`` is how far stamps may be apart to pair, with 0
        they must be equal; with ``rectify`` the images are raw."""
        self.topics = topics
        self.remaps = topics.remaps(rectify)
        self.elapsed_s = 0.0
        self.diagnostics: dict[str, Any] = {}
        """The newest DiagnosticStatus of each name on /diagnostics."""
        self.node = rclpy.create_node(
            "ffs_doctor",
            context=search.context,
            use_global_arguments=False,
            cli_args=["--ros-args", *(a for name, topic in self.remaps.items() for a in ("-r", f"{name}:={topic}"))],
            parameter_overrides=self._overrides(search),
        )
        self._executor = SingleThreadedExecutor(context=search.context)
        self._executor.add_node(self.node)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._hear, 10)
        self.pairing = Pairing(
            self._on_pair,
            approximate=tolerance_s > 0.0,
            tolerance_s=tolerance_s or _EQUAL_STAMPS_S,
            queue_size=10,
            filters=installed_filters(),
        )
        self.calibration = CountedCalibration(topics.left_info, topics.right_info, rectify)
        quiet = logging.getLogger("ffs_doctor.quiet")  # what it hears is among the findings
        quiet.disabled = True
        config = NodeConfig(image_transport="compressed" if topics.packed else "raw", rectify=rectify)
        self.inputs = Inputs(
            self.node, config, self.pairing, self.calibration, ThrottledLog(quiet), lost_images_remedy
        )  # fmt: skip
        self.pictures = HeardPictures(self.calibration, self.inputs.image_topics)
        self._doctor = Doctor(self.node, self.pairing, self.calibration, self.inputs, self.pictures, others=True)

    def listen(self, seconds: float) -> None:
        """Receive for so long, which is the whole of the examination."""
        begin = time.monotonic()
        next_look_s = 0.0
        while self.elapsed_s < seconds:
            self._executor.spin_once(timeout_sec=min(0.05, seconds - self.elapsed_s))
            self.elapsed_s = time.monotonic() - begin
            if self.elapsed_s > next_look_s and self.pictures.newest is not None:
                self.pictures.sample()
                next_look_s = self.elapsed_s + seconds / LOOKS
        self._findings = self._doctor.look(self.elapsed_s)

    def findings(self) -> list[Finding]:
        """What is wrong, the worst first."""
        return sorted(self._findings, key=lambda finding: -finding.level)

    def __enter__(self) -> Examination:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._doctor.close()
        self._executor.shutdown()
        self.node.destroy_node()

    def _overrides(self, search: Any) -> list[Parameter[Any]]:
        """Listen to a CameraInfo that is sent only once, and keep the simulation's time where there is one."""
        infos = {self.topics.left_info, self.topics.right_info}
        end = time.monotonic() + _DISCOVERY_S
        while time.monotonic() < end and not all(search.count_publishers(topic) for topic in infos):
            time.sleep(0.05)
        overrides: list[Parameter[Any]] = [Parameter("use_sim_time", value=search.count_publishers("/clock") > 0)]
        for topic in infos:
            offered = {end.qos_profile.durability for end in search.get_publishers_info_by_topic(topic)}
            if offered == {DurabilityPolicy.TRANSIENT_LOCAL}:  # what was sent before only reaches reliable subscribers
                for policy, value in (("durability", "transient_local"), ("reliability", "reliable")):
                    overrides.append(Parameter(f"qos_overrides.{topic}.subscription.{policy}", value=value))
        return overrides

    def _on_pair(self, left: Any, right: Any, arrival_ns: int) -> None:
        self.pictures.newest = left, right

    def _hear(self, message: DiagnosticArray) -> None:
        self.diagnostics.update({status.name: status for status in message.status})
