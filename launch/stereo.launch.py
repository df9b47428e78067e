"""Start ``stereo_node`` on one stereo camera: ``ros2 launch ffs_ros stereo.launch.py engine:=model.onnx``.

``ros2 launch ffs_ros stereo.launch.py --show-args`` lists every argument. ``realsense.launch.py``, ``zed.launch.py``
and ``oakd.launch.py`` know the topics of those cameras, ``cameras.launch.py`` starts several.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode
from launch_ros.parameter_descriptions import ParameterValue

from ffs_ros.config import parameter_facts
from ffs_ros.launching import rviz
from ffs_ros.launching.mistyped import say_mistyped
from ffs_ros.launching.refusal import refusing
from ffs_ros.launching.respawn import unless_wrong_set_up
from ffs_ros.ros.transport import environment

CONFIG = Path(__file__).parent.parent / "config"
TOPICS = {
    "left/image_rect": "left_image",
    "left/camera_info": "left_camera_info",
    "right/image_rect": "right_image",
    "right/camera_info": "right_camera_info",
}
_MEANINGS = {
    "image_rect": "image, rectified; with rectify the raw one, image_raw as a rule",
    "camera_info": "CameraInfo",
}
RESPAWN_DELAY_S = 2.0


def generate_launch_description() -> LaunchDescription:
    """The node and the arguments that say where and how it runs."""
    arguments = [*_place(), *_topics(), *_process(), *rviz.arguments(CONFIG / "stereo.rviz"), *_parameters()]
    return LaunchDescription(
        [
            *arguments,
            OpaqueFunction(function=say_mistyped, args=[[argument.name for argument in arguments]]),
            OpaqueFunction(function=_node),
            OpaqueFunction(function=rviz.start),
        ]
    )


def _place() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            "namespace",
            default_value="",
            description="Namespace of the node and of its topics without a leading slash, one for each camera.",
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=str(CONFIG / "stereo.yaml"),
            description="Parameters of the node. An argument with a parameter's name goes before this file.",
        ),
    ]


def _topics() -> list[DeclareLaunchArgument]:
    sides = [
        DeclareLaunchArgument(
            f"{side}_namespace", default_value=side, description=f"Namespace of the {side} camera's two topics."
        )
        for side in ("left", "right")
    ]
    return sides + [
        DeclareLaunchArgument(
            argument,
            default_value=[LaunchConfiguration(f"{side}_namespace"), f"/{name}"],
            description=f"Topic of the {side} camera's {_MEANINGS[name]}.",
        )
        for (side, name), argument in ((topic.split("/"), argument) for topic, argument in TOPICS.items())
    ]


def _process() -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="",
            choices=["", "true", "false"],
            description="Take the time from /clock, for simulation and for bags played with --clock. Empty: as "
            "params_file or the including launch file says.",
        ),
        DeclareLaunchArgument(
            "log_level",
            default_value="",
            choices=["", "debug", "info", "warn", "error", "fatal"],
            description="Least severity that is logged. Empty: ROS's default.",
        ),
        DeclareLaunchArgument(
            "respawn",
            default_value="false",
            choices=["true", "false"],
            description=f"Start the node again, {RESPAWN_DELAY_S:g} s after it has ended, unless its set-up is wrong.",
        ),
    ]


def _parameters() -> list[DeclareLaunchArgument]:
    """Every parameter of the node under its own name. Empty means not given, so that defaults stay in one place."""
    return [
        DeclareLaunchArgument(
            name,
            default_value="",
            description=f"{facts.description} Empty: what params_file says, {str(default).lower()} as shipped.",
        )
        for name, (_, default, facts) in parameter_facts().items()
    ]


@refusing
def _node(context: LaunchContext) -> list[LifecycleNode]:
    """The node, with what was given of its parameters."""

    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    kinds: dict[str, type] = {"use_sim_time": bool, **{name: kind for name, (kind, _, _) in parameter_facts().items()}}
    overrides: dict[str, Any] = {
        # Only texts are typed here ('007.onnx' is no number): of other values the node says what it expects.
        name: ParameterValue(LaunchConfiguration(name), value_type=str if kind is str else None)
        for name, kind in kinds.items()
        if given(name)
    }
    return [
        LifecycleNode(
            # The interpreter that read this file can import the package, however it was installed.
            executable=sys.executable,
            arguments=["-m", "ffs_ros.ros"],
            exec_name="stereo_node",
            name="stereo_node",
            namespace=given("namespace"),
            parameters=[given("params_file"), *([overrides] if overrides else [])],
            remappings=_remaps(given),
            ros_arguments=["--log-level", given("log_level")] if given("log_level") else [],
            additional_env=environment(context.environment),
            output="both",
            respawn=given("respawn") == "true",
            respawn_delay=RESPAWN_DELAY_S,
            on_exit=unless_wrong_set_up if given("respawn") == "true" else None,
        )
    ]


def _remaps(given: Callable[[str], str]) -> list[tuple[str, str]]:
    """Of all topics that the node may subscribe to: with ``rectify``, which a file may hold, it reads image_raw."""
    remaps = [(topic, given(argument)) for topic, argument in TOPICS.items()]
    for side in ("left", "right"):
        image, namespace = given(f"{side}_image"), given(f"{side}_namespace")
        remaps.append((f"{side}/image_raw", f"{namespace}/image_raw" if image == f"{namespace}/image_rect" else image))
    return remaps
