"""RViz on what the node takes and gives."""

from __future__ import annotations

from pathlib import Path

from launch import LaunchContext
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from ffs_ros.launching.packages import required_share_folder
from ffs_ros.launching.refusal import refusing

SHOWN = {
    "/left/image_rect": "left_image",
    "/disparity/color": None,
    "/depth/image_rect": None,
    "/points2": None,
    "/confidence": None,
}
"""Topics of the layout -> the launch argument that names it, where there is one."""


def arguments(layout: Path) -> list[DeclareLaunchArgument]:
    """What says whether and how RViz runs."""
    return [
        DeclareLaunchArgument(
            "rviz", default_value="false", choices=["true", "false"], description="Also start RViz with rviz_config."
        ),
        DeclareLaunchArgument("rviz_config", default_value=str(layout), description="Layout of RViz."),
        DeclareLaunchArgument(
            "fixed_frame",
            default_value="",
            description="Frame that RViz shows all in, at best the left image's frame_id. Empty: the layout's.",
        ),
    ]


@refusing
def start(context: LaunchContext) -> list[Node]:
    """RViz in the node's namespace, where ``rviz:=true``; refuses where it is not installed."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    if given("rviz") == "false":
        return []
    required_share_folder("rviz2", "rviz:=true", "type: sudo apt install ros-$ROS_DISTRO-rviz2")
    frame = given("fixed_frame")
    return [
        Node(
            package="rviz2",
            executable="rviz2",
            name="rviz",
            namespace=given("namespace"),
            arguments=["-d", given("rviz_config"), *(["-f", frame] if frame else [])],
            # The layout's names are absolute, so that it can also be opened by hand; these are the camera's.
            remappings=[(topic, given(name) if name else topic[1:]) for topic, name in SHOWN.items()],
            parameters=[{"use_sim_time": given("use_sim_time") == "true"}],
        )
    ]
