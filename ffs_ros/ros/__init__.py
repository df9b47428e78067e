"""The ROS 2 node. Only this folder and the demo import ROS."""

from __future__ import annotations

import sys
from collections.abc import Callable

WRONG_SET_UP, ENGINE_LOST = 2, 3
"""Exit codes of ``stereo_node``: the user has to correct something; a new process may help."""


def main() -> None:
    """``stereo_node``; one sentence and exit code 2 where ROS 2 is not there, 0 when interrupted, already at import."""
    try:
        _main_of_node()()
    except KeyboardInterrupt:
        sys.exit(0)


def _main_of_node() -> Callable[[], None]:
    try:
        from ffs_ros.ros.node import main as main_of_node
    except ImportError as error:
        raise_interrupt(error)
        if (error.name or "").startswith("ffs_ros"):
            raise
        print(
            f"stereo_node: ROS 2 is not complete here ({error}); source it (. /opt/ros/$ROS_DISTRO/setup.sh), or "
            "install its wheels, on x86-64 (docs/install.md)",
            file=sys.stderr,
        )
        sys.exit(WRONG_SET_UP)
    return main_of_node


def raise_interrupt(error: ImportError) -> None:
    """Ctrl-C, where it came while a C++ module of ROS was imported: pybind11 makes an ImportError of it."""
    if isinstance(error.__cause__, KeyboardInterrupt):
        raise error.__cause__
