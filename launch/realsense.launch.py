"""Depth of a RealSense D400: ``ros2 launch ffs_ros realsense.launch.py driver:=true engine:=model.onnx``.

Names and settings are those of realsense2_camera 4.58.2; docs/cameras.md has them. Without ``driver:=true`` the driver
runs elsewhere, and the log says what starts it.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration

from ffs_ros.launching.driver import Driver, preset

HERE = Path(__file__).parent
CAMERA = ["/", LaunchConfiguration("camera_namespace"), "/", LaunchConfiguration("camera_name")]


def generate_launch_description() -> LaunchDescription:
    """The two infrared cameras, which the driver calls infra1 and infra2, without the pattern of its projector."""
    return preset(
        HERE / "stereo.launch.py",
        Driver(
            "realsense2_camera",
            "rs_launch.py",
            settings_argument="config_file",
            settings=HERE.parent / "config" / "realsense_driver.yaml",
            arguments={name: LaunchConfiguration(name) for name in ("camera_namespace", "camera_name")},
            remedy="type: sudo apt install ros-$ROS_DISTRO-realsense2-camera",
        ),
        [
            DeclareLaunchArgument(
                "camera_namespace", default_value="camera", description="Namespace of the driver, without slashes."
            ),
            DeclareLaunchArgument("camera_name", default_value="camera", description="Name of the driver's node."),
        ],
        left=[*CAMERA, "/infra1"],
        right=[*CAMERA, "/infra2"],
        image="image_rect_raw",
        left_frame=[LaunchConfiguration("camera_name"), "_infra1_optical_frame"],
    )
