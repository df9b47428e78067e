"""Depth of a ZED: ``ros2 launch ffs_ros zed.launch.py driver:=true camera_model:=zed2i engine:=model.onnx``.

Names and settings are those of zed_wrapper 5.4.1, the same since 5.1; docs/cameras.md has them, and those before.
Without ``driver:=true`` the driver runs elsewhere, and the log says what starts it.
"""

from __future__ import annotations

from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration

from ffs_ros.launching.driver import Driver, preset

HERE = Path(__file__).parent
CAMERA = ["/", LaunchConfiguration("camera_name"), "/zed_node"]


def generate_launch_description() -> LaunchDescription:
    """The two rectified colour images, without the depth that the ZED SDK would compute on the same GPU."""
    return preset(
        HERE / "stereo.launch.py",
        Driver(
            "zed_wrapper",
            "zed_camera.launch.py",
            settings_argument="ros_params_override_path",
            settings=HERE.parent / "config" / "zed_driver.yaml",
            arguments={name: LaunchConfiguration(name) for name in ("camera_name", "camera_model")},
            remedy="build it: https://github.com/stereolabs/zed-ros2-wrapper",
        ),
        [
            DeclareLaunchArgument(
                "camera_name", default_value="zed", description="Name of the camera, which is the driver's namespace."
            ),
            DeclareLaunchArgument(
                "camera_model",
                default_value="zed2i",
                description="Model, for the driver: zed, zedm, zed2, zed2i, zedx, ...",
            ),
        ],
        left=[*CAMERA, "/left/color/rect"],
        right=[*CAMERA, "/right/color/rect"],
        image="image",
        left_frame=[LaunchConfiguration("camera_name"), "_left_camera_frame_optical"],
    )
