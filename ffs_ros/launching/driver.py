"""A camera whose driver has topics of its own: its names before ``stereo.launch.py``, and the driver, if wanted."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeAlias

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity, Substitution
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    ResetLaunchConfigurations,
    SetEnvironmentVariable,
)
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from ffs_ros.errors import FfsError
from ffs_ros.launching.packages import required_share_folder
from ffs_ros.launching.refusal import refusing
from ffs_ros.ros.transport import environment

Text: TypeAlias = str | Substitution | list[str | Substitution]
"""A text with launch arguments in it."""


class Driver(NamedTuple):
    """A driver's launch file and what it is told."""

    package: str
    launch_file: str
    settings_argument: str
    """Its argument that takes a file of settings."""
    settings: Path
    """The settings that the network needs, in the driver's own format."""
    arguments: dict[str, Text]
    """Its other arguments."""
    remedy: str
    """What to type where it is not installed."""


def preset(
    stereo: Path,
    driver: Driver,
    arguments: Iterable[DeclareLaunchArgument],
    *,
    left: Text,
    right: Text,
    image: str,
    left_frame: Text,
) -> LaunchDescription:
    """``stereo``, which is ``stereo.launch.py``, with other defaults, and the driver.

    An argument that is declared twice keeps the first default, so each argument of ``stereo.launch.py`` is one here
    too. ``left`` and ``right`` are the namespaces with ``image`` and ``camera_info``, ``left_frame`` the frame of the
    left image; they may use ``arguments``.
    """
    sides = {"left": left, "right": right}
    return LaunchDescription(
        [
            *arguments,
            *_driver_arguments(driver),
            *(
                DeclareLaunchArgument(
                    f"{side}_namespace",
                    default_value=namespace,
                    description=f"Namespace of the {side} camera's topics.",
                )
                for side, namespace in sides.items()
            ),
            *(
                DeclareLaunchArgument(
                    f"{side}_image",
                    default_value=[LaunchConfiguration(f"{side}_namespace"), f"/{image}"],
                    description=f"Topic of the {side} camera's image, rectified.",
                )
                for side in sides
            ),
            DeclareLaunchArgument(
                "fixed_frame", default_value=left_frame, description="Frame of the left image, which RViz shows all in."
            ),
            OpaqueFunction(function=_start_or_say, args=[driver]),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(stereo))),
        ]
    )


def _driver_arguments(driver: Driver) -> list[DeclareLaunchArgument]:
    return [
        DeclareLaunchArgument(
            "driver",
            default_value="false",
            choices=["true", "false"],
            description=f"Also start the camera's driver, {driver.launch_file} of {driver.package}.",
        ),
        DeclareLaunchArgument(
            "driver_settings",
            default_value=str(driver.settings),
            description="Settings of the driver, in its own format.",
        ),
        DeclareLaunchArgument(
            "driver_arguments",
            default_value="",
            description="More arguments for the driver's launch file, name:=value with spaces between.",
        ),
    ]


@refusing
def _start_or_say(context: LaunchContext, driver: Driver) -> list[LaunchDescriptionEntity]:
    arguments = {name: _text(context, value) for name, value in driver.arguments.items()}
    arguments[driver.settings_argument] = LaunchConfiguration("driver_settings").perform(context)
    arguments.update(_given(LaunchConfiguration("driver_arguments").perform(context)))
    transport = environment(context.environment)
    if LaunchConfiguration("driver").perform(context) == "false":
        words = [
            *(f"{name}={value}" for name, value in transport.items()),
            *("ros2", "launch", driver.package, driver.launch_file),
            *(shlex.quote(f"{name}:={value}") for name, value in arguments.items()),
        ]
        return [LogInfo(msg=f"the camera's driver is not started here (driver:=true does); type: {' '.join(words)}")]
    folder = required_share_folder(driver.package, "driver:=true", driver.remedy)
    source = PythonLaunchDescriptionSource(str(folder / "launch" / driver.launch_file))
    return [
        GroupAction(
            [
                ResetLaunchConfigurations(),  # its namespace, params_file and log_level are not ours
                # The memory that images travel through is the sender's, so the driver needs the profile most.
                *(SetEnvironmentVariable(name, value) for name, value in transport.items()),
                IncludeLaunchDescription(source, launch_arguments=arguments.items()),
            ]
        )
    ]


def _text(context: LaunchContext, value: Text) -> str:
    return perform_substitutions(context, normalize_to_list_of_substitutions(value))


def _given(arguments: str) -> dict[str, str]:
    """The name and value of each ``name:=value``; raises FfsError for anything else."""
    given = {}
    for word in shlex.split(arguments):
        name, assigns, value = word.partition(":=")
        if not name or not assigns:
            raise FfsError(f"driver_arguments has '{word}': expected name:=value with spaces between")
        given[name] = value
    return given
