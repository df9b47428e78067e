"""Depth of an OAK-D: ``ros2 launch ffs_ros oakd.launch.py driver:=true engine:=model.onnx``.

Names and settings are those of depthai_ros_driver 3.2.1, or of 2.10.3 where that is the one installed; docs/cameras.md
has both. Without ``driver:=true`` the driver runs elsewhere, and the log says what starts it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration

from ffs_ros.launching.driver import Driver, preset
from ffs_ros.launching.packages import share_folder

HERE = Path(__file__).parent
CAMERA = ["/", LaunchConfiguration("camera_name")]


class Version(NamedTuple):
    """One version of the driver: its package, its launch file, and what it calls a rectified image."""

    package: str
    launch_file: str
    image: str


VERSIONS = (
    Version("depthai_ros_driver_v3", "driver.launch.py", "image_rect"),  # 3 beside 2, on Humble and Jazzy
    Version("depthai_ros_driver", "driver.launch.py", "image_rect"),  # 3 alone, from Kilted on
    Version("depthai_ros_driver", "camera.launch.py", "image_raw"),  # 2, whose image_raw is rectified with our settings
)


def installed_version() -> Version:
    """The newest one installed; where there is none, the newest."""
    for version in VERSIONS:
        folder = share_folder(version.package)
        if folder is not None and (folder / "launch" / version.launch_file).is_file():
            return version
    return VERSIONS[0]


def generate_launch_description() -> LaunchDescription:
    """The two monochrome cameras, rectified on the device, without the dots of a Pro's projector."""
    package, launch_file, image = installed_version()
    return preset(
        HERE / "stereo.launch.py",
        Driver(
            package,
            launch_file,
            settings_argument="params_file",
            settings=HERE.parent / "config" / "oakd_driver.yaml",
            arguments={"name": LaunchConfiguration("camera_name")},
            remedy="type: sudo apt install ros-$ROS_DISTRO-depthai-ros-v3 (from Kilted on: depthai-ros)",
        ),
        [DeclareLaunchArgument("camera_name", default_value="oak", description="Name of the driver's node.")],
        left=[*CAMERA, "/left"],
        right=[*CAMERA, "/right"],
        image=image,
        left_frame=[LaunchConfiguration("camera_name"), "_left_camera_optical_frame"],
    )
