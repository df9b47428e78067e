"""Depth of several cameras, on one GPU: ``ros2 launch ffs_ros cameras.launch.py cameras:=robot.yaml``.

``config/cameras.yaml`` shows such a file. Each camera has a process, a namespace and arguments of its own; what is
typed after the command goes to all of them that do not say otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    ResetLaunchConfigurations,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from ffs_ros.config import parameter_facts
from ffs_ros.launching.cameras import check_arguments, read_cameras
from ffs_ros.launching.refusal import refusing

HERE = Path(__file__).parent
SHARED = {"params_file", "use_sim_time", "log_level", "respawn", *parameter_facts()}
"""What all cameras may be told at once; topics and namespaces are each one's own."""
LAUNCH_FILES = ("stereo", "realsense", "zed", "oakd")


def generate_launch_description() -> LaunchDescription:
    """A node for each camera of the file."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("cameras", description="YAML file that lists the cameras."),
            DeclareLaunchArgument(
                "driver",
                default_value="false",
                choices=["true", "false"],
                description="Also start the drivers of cameras that have a launch file of their own.",
            ),
            *(argument for argument in _declared("stereo") if argument.name in SHARED),
            OpaqueFunction(function=_cameras),
        ]
    )


def _source(name: str) -> PythonLaunchDescriptionSource:
    return PythonLaunchDescriptionSource(str(HERE / f"{name}.launch.py"))


def _declared(name: str) -> list[DeclareLaunchArgument]:
    return _source(name).try_get_launch_description_without_context().get_launch_arguments()


@refusing
def _cameras(context: LaunchContext) -> list[Any]:
    path = Path(LaunchConfiguration("cameras").perform(context))
    actions = []
    for camera in read_cameras(path, LAUNCH_FILES):
        known = {argument.name for argument in _declared(camera.launch)}
        check_arguments(camera, known)
        shared = {name: LaunchConfiguration(name).perform(context) for name in (SHARED | {"driver"}) & known}
        include = IncludeLaunchDescription(
            _source(camera.launch), launch_arguments={**shared, **camera.arguments}.items()
        )
        others = {name: value for name, value in context.launch_configurations.items() if name not in known}
        # GroupAction's forwarding=False would also undo what has been set in the environment.
        actions.append(GroupAction([ResetLaunchConfigurations(others), include]))
    return actions
