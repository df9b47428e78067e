"""When images get lost between processes, the node says so and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rclpy.utilities import get_rmw_implementation_identifier

from ffs_ros.ros.transport import FAST_DDS_2_VARIABLE, PROFILE_VARIABLE


@pytest.mark.skipif(
    not get_rmw_implementation_identifier().startswith("rmw_fastrtps"), reason="the profile is Fast DDS's"
)
def test_a_camera_without_the_profile_is_noticed(
    checkout: Path, tmp_path: Path, start_node: Callable[..., Any]
) -> None:  # fmt: skip
    """A camera process on Fast DDS's default transports loses images of a megabyte: one sentence, with the line to
    type, names their number."""
    without_profile = {k: v for k, v in os.environ.items() if k not in (PROFILE_VARIABLE, FAST_DDS_2_VARIABLE)}
    node = start_node()
    left_HW3, right_HW3 = np.random.default_rng(0).integers(0, 200, (2, 480, 640, 3), np.uint8)
    np.savez(tmp_path / "images.npz", left=left_HW3, right=right_HW3)
    command = [sys.executable, str(checkout / "test" / "benchmarks" / "camera_and_consumer.py"), "--role", "camera"]
    command += ["--images", str(tmp_path / "images.npz"), "--pairs", "1000", "--rate", "30"]
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
