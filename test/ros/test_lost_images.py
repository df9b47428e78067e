"""When images get lost between processes, the node says so and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rclpy.utilities import get_rmw_implementation_identifier

from ffs_ros.ros.transport import FAST_DDS_2_VARIABLE, PROFILE_VARIABLE


@pytest.mark.skipif(
    not get_rmw_implementation_identifier().startswith("rmw_fastrtps"), reason="the profile is Fast DDS's"
)
def test_a_camera_without_the_profile_is_noticed(checkout: Path, start_node: Callable[..., Any]) -> None:
    """A camera process on Fast DDS's default transports loses images of a megabyte: one sentence, with the line to
    type, names their number."""
    without_profile = {k: v for k, v in os.environ.items() if k not in (PROFILE_VARIABLE, FAST_DDS_2_VARIABLE)}
    node = start_node()
    command = [sys.executable, str(checkout / "test" / "benchmarks" / "transport.py"), "--role", "camera"]
    camera = subprocess.Popen(command, env=without_profile, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        node.wait_said("of the cameras' messages were lost on the way here")
    finally:
        camera.kill()
        camera.communicate()
    lost = [warning for warning in node.warnings() if "were lost on the way" in warning]
    assert len(lost) == 1
    assert "before starting the camera driver" in lost[0]
    assert "export FASTRTPS_" in lost[0] or "export FASTDDS_" in lost[0]
