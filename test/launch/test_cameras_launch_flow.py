"""cameras.launch.py with the real node: two cameras give depth at once and stay apart, a third that cannot start says
why and ends."""

from __future__ import annotations

import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for _package in ("launch_testing", "launch_ros", "rclpy"):
    pytest.importorskip(_package, reason=f"{_package} is not installed; test/launch/README.md says how")

import launch_testing.actions  # noqa: E402
import rclpy  # noqa: E402
from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402
from launch import LaunchDescription  # noqa: E402
from launch.actions import IncludeLaunchDescription, SetEnvironmentVariable  # noqa: E402
from launch.launch_description_sources import PythonLaunchDescriptionSource  # noqa: E402
from own_domain import own_domain  # noqa: E402
from rcl_interfaces.srv import GetParameters  # noqa: E402
from rclpy.qos import qos_profile_sensor_data  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402

LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "cameras.launch.py"
CAMERAS = {"front": 8, "rear": 20}
"""Namespace -> disparity of the scene that the camera sees, in pixels."""
MAX_DISPARITY = {"front": 32, "rear": 48}
"""What the file says of each camera alone, in pixels."""
ROBOT = """
cameras:
  - {namespace: front, max_disparity: 32}
  - {namespace: rear, max_disparity: 48}
  - {namespace: broken, engine: /no/such/model.onnx}
"""
FOCAL_LENGTH_PX, BASELINE_M = 100.0, 0.1
HEIGHT, WIDTH = 64, 160
FLOW_TIMEOUT_S = 60.0


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    isolation = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(own_domain())}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", delete=False) as robot:
        robot.write(ROBOT)
    arguments = {"cameras": robot.name, "engine": "sgbm", "fit": "pad"}
    source = PythonLaunchDescriptionSource(str(LAUNCH_FILE))
    return LaunchDescription(
        [
            *(SetEnvironmentVariable(name, value) for name, value in isolation.items()),
            IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            launch_testing.actions.ReadyToTest(),
        ]
    )


class TestWhileRunning(unittest.TestCase):
    def setUp(self) -> None:
        rclpy.init()
        self.node = rclpy.create_node("fixture_cameras")
        self.depths: dict[str, list[Image]] = {name: [] for name in CAMERAS}
        for name, depths in self.depths.items():
            self.node.create_subscription(Image, f"/{name}/depth/image_rect", depths.append, 10)
        self.diagnostics: dict[str, dict[str, str]] = {}
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self.keep_diagnostics, 10)
        self.publishers: dict[tuple[str, str], tuple[Any, Any]] = {
            (name, side): (
                self.node.create_publisher(Image, f"/{name}/{side}/image_rect", qos_profile_sensor_data),
                self.node.create_publisher(CameraInfo, f"/{name}/{side}/camera_info", qos_profile_sensor_data),
            )
            for name in CAMERAS
            for side in ("left", "right")
        }

    def tearDown(self) -> None:
        self.node.destroy_node()
        rclpy.shutdown()

    def keep_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = {entry.key: entry.value for entry in status.values}

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            rclpy.spin_once(self.node, timeout_sec=0.05)

    def publish(self, *cameras: str) -> None:
        """One pair of each of these cameras: texture seen at the camera's disparity, x_right = x_left - d."""
        texture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH + 32), np.uint8)
        stamp = self.node.get_clock().now().to_msg()
        for (name, side), (images, infos) in self.publishers.items():
            if name not in cameras:
                continue
            offset = CAMERAS[name] if side == "right" else 0
            pixels = np.ascontiguousarray(texture[:, offset : offset + WIDTH])
            image = Image(height=HEIGHT, width=WIDTH, encoding="mono8", step=WIDTH)
            image.data.frombytes(pixels.tobytes())
            info = CameraInfo(height=HEIGHT, width=WIDTH)
            info.k = [FOCAL_LENGTH_PX, 0.0, 80.0, 0.0, FOCAL_LENGTH_PX, 32.0, 0.0, 0.0, 1.0]
            tx = -FOCAL_LENGTH_PX * BASELINE_M if side == "right" else 0.0
            info.p = [FOCAL_LENGTH_PX, 0.0, 80.0, tx, 0.0, FOCAL_LENGTH_PX, 32.0, 0.0, 0.0, 0.0, 1.0, 0.0]
            for message in (image, info):
                message.header.stamp, message.header.frame_id = stamp, f"{name}_left_optical_frame"
            infos.publish(info)
            images.publish(image)

    def test_each_camera_gives_its_own_depth(self) -> None:
        """Depth of the fixture's scene appears in each camera's namespace, under its left header."""
        end = time.monotonic() + FLOW_TIMEOUT_S
        while not all(self.depths.values()) and time.monotonic() < end:
            self.publish(*CAMERAS)
            self.spin(0.2)
        for name, disparity_px in CAMERAS.items():
            assert self.depths[name], f"no depth on /{name}/depth/image_rect for {FLOW_TIMEOUT_S:g} s"
            depth = self.depths[name][0]
            assert depth.header.frame_id == f"{name}_left_optical_frame"
            depth_m = np.frombuffer(depth.data, np.float32).reshape(HEIGHT, WIDTH)
            expected_m = FOCAL_LENGTH_PX * BASELINE_M / disparity_px
            assert np.nanmedian(depth_m) == pytest.approx(expected_m, rel=0.01)

    def test_each_camera_has_parameters_of_its_own(self) -> None:
        """What the file says of one camera is that one's, what was typed is both's."""
        for name, max_disparity in MAX_DISPARITY.items():
            client = self.node.create_client(GetParameters, f"/{name}/stereo_node/get_parameters")
            assert client.wait_for_service(FLOW_TIMEOUT_S)
            answer = client.call_async(GetParameters.Request(names=["max_disparity", "engine", "fit"]))
            rclpy.spin_until_future_complete(self.node, answer, timeout_sec=FLOW_TIMEOUT_S)
            values = answer.result().values
            assert values[0].integer_value == max_disparity
            assert [value.string_value for value in values[1:]] == ["sgbm", "pad"]

    def test_each_camera_reports_for_itself(self) -> None:
        """While one camera alone sends, the diagnostics count its images under its name and none under the other's."""
        sending, silent = (f"{name}/stereo_node: input" for name in CAMERAS)
        end = time.monotonic() + FLOW_TIMEOUT_S
        while not {sending, silent} <= set(self.diagnostics) and time.monotonic() < end:
            self.spin(0.2)
        before = {name: int(self.diagnostics[name]["left received"]) for name in (sending, silent)}
        while int(self.diagnostics[sending]["left received"]) < before[sending] + 3 and time.monotonic() < end:
            self.publish(next(iter(CAMERAS)))
            self.spin(0.2)
        assert int(self.diagnostics[sending]["left received"]) >= before[sending] + 3
        self.spin(1.5)  # the silent one's next report
        assert int(self.diagnostics[silent]["left received"]) == before[silent]

    def test_a_node_without_its_engine_says_why(self, proc_output: Any) -> None:
        """The sentence is in the launch's output; the other cameras go on."""
        proc_output.assertWaitFor(
            "there is no engine file /no/such/model.onnx", timeout=FLOW_TIMEOUT_S, stream="stderr"
        )


@launch_testing.post_shutdown_test()
class TestAfterwards(unittest.TestCase):
    def test_only_the_node_without_its_engine_failed(self, proc_info: Any) -> None:
        """Interrupted nodes end with 0, the one whose set-up was wrong with 2."""
        assert sorted(process.returncode for process in proc_info) == [0, 0, 2]
