"""The ROS 2 node. Only this folder and the demo import ROS."""

from __future__ import annotations

import sys


def main() -> None:
    """``stereo_node``; one sentence and exit code 2 where ROS 2 is not there."""
    try:
        from ffs_ros.ros.node import main as run_node
    except ImportError as error:
        if (error.name or "").startswith("ffs_ros"):
            raise
        print(
            f"stereo_node: ROS 2 is not complete here ({error}); source it (. /opt/ros/$ROS_DISTRO/setup.sh), or "
            "install its wheels, on x86-64 (docs/install.md)",
            file=sys.stderr,
        )
        sys.exit(2)
    run_node()
