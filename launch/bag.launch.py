"""Depth of a recorded bag: ``ros2 launch ffs_ros bag.launch.py bag:=drive_1 left_namespace:=/camera/left ...``.

Plays the bag with its clock, runs the node on that clock, and records what it gives. Playing begins when the node is
active and recorded, and after its end the pair in work is still recorded. As live, pairs are skipped that come faster
than the engine answers; ``rate:=0.2`` gives it time.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
from pathlib import Path
from typing import Any

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueCoroutine,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnExecutionComplete, OnProcessExit
from launch.events import Shutdown, matches_action
from launch.events.process import ProcessExited, SignalProcess
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

from ffs_ros.errors import FfsError
from ffs_ros.launching.bag import PLAYER, RECORDER, RESUME, check_topics, image_topics, play_command, record_command
from ffs_ros.launching.graph import Graph
from ffs_ros.launching.packages import required_share_folder
from ffs_ros.launching.refusal import refusing
from ffs_ros.ros.transport import environment

STEREO = Path(__file__).parent / "stereo.launch.py"
INPUTS = ("left_image", "left_camera_info", "right_image", "right_camera_info")
TRANSFORMS = ("/tf", "/tf_static")
ON_ITS_WAY_S = 1.0
"""What a message, or the news of a subscription, may take from one process to another."""
WRITING_S = 60
"""What the recorder may take to write its last messages, before it is told in harsher ways."""


def generate_launch_description() -> LaunchDescription:
    """The node, the player, the recorder and what happens when."""
    return LaunchDescription(
        [
            DeclareLaunchArgument("bag", description="Bag to play: its folder or file."),
            DeclareLaunchArgument(
                "out", default_value="", description="Bag to record. Empty: the played one's name with _depth, here."
            ),
            DeclareLaunchArgument("rate", default_value="1.0", description="Speed of playing."),
            DeclareLaunchArgument(
                "loop",
                default_value="false",
                choices=["true", "false"],
                description="Play on and on, until Ctrl-C.",
            ),
            DeclareLaunchArgument(
                "record",
                default_value="disparity depth/image_rect depth/camera_info",
                description="Topics of the node to record, with spaces between.",
            ),
            DeclareLaunchArgument(
                "play_arguments", default_value="", description="More arguments for ros2 bag play: '--start-offset 10'."
            ),
            DeclareLaunchArgument(
                "use_sim_time",
                default_value="true",
                choices=["true", "false"],
                description="Take the time from the bag.",
            ),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(STEREO))),
            OpaqueFunction(function=_play_and_record),
        ]
    )


@refusing
def _play_and_record(context: LaunchContext) -> list[Any]:
    def given(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    def absolute(name: str) -> str:
        return name if name.startswith("/") else "/".join(["", *filter(None, [given("namespace").strip("/")]), name])

    required_share_folder("ros2bag", "bag.launch.py", "type: sudo apt install ros-$ROS_DISTRO-rosbag2")
    bag = Path(given("bag"))
    out = Path(given("out") or f"{bag.resolve().stem}_depth")
    if out.exists():
        raise FfsError(f"{out} is there already: name another with out:=, or remove it")
    inputs = {argument: [absolute(given(argument))] for argument in INPUTS}
    inputs |= {argument: image_topics(*topics) for argument, topics in inputs.items() if argument.endswith("image")}
    outputs = [absolute(topic) for topic in given("record").split()]
    check_topics(bag, inputs)
    topics = [*(topic for topics in inputs.values() for topic in topics), *TRANSFORMS]
    play = ExecuteProcess(
        name="bag_play",
        cmd=play_command(bag, topics, given("rate"), given("loop") == "true", shlex.split(given("play_arguments"))),
        additional_env=environment(context.environment),
        output="both",
    )
    record = ExecuteProcess(
        name="bag_record",
        cmd=record_command(out, outputs, os.environ.get("ROS_DISTRO")),
        output="both",
        sigterm_timeout=str(WRITING_S),
    )
    return _in_turn(play, record, absolute("stereo_node"), list(inputs.values()), outputs)


def _in_turn(play: Any, record: Any, node: str, inputs: list[list[str]], outputs: list[str]) -> list[Any]:
    """Both processes, and what follows what: ready, play, the last pair, the end of the recording, the end."""

    async def until_ready(context: LaunchContext) -> None:
        graph = Graph(context)
        await graph.until_active(node)
        await graph.until_published(PLAYER, inputs)
        await graph.until_subscribed(RECORDER, outputs)
        await asyncio.sleep(ON_ITS_WAY_S)

    async def until_answered(context: LaunchContext) -> None:
        await asyncio.sleep(ON_ITS_WAY_S)
        await Graph(context).deactivate(node)
        await asyncio.sleep(ON_ITS_WAY_S)

    ready, answered = OpaqueCoroutine(coroutine=until_ready), OpaqueCoroutine(coroutine=until_answered)
    resume = ExecuteProcess(name="bag_resume", cmd=RESUME, output="log")
    stop_recording = EmitEvent(event=SignalProcess(signal_number=signal.SIGINT, process_matcher=matches_action(record)))

    def exited(event: ProcessExited, context: LaunchContext) -> Any:
        if context.is_shutdown:
            return None
        if event.action in (play, resume) and event.returncode == 0:
            return answered if event.action is play else None
        if event.action is record and answered.get_asyncio_future() and answered.get_asyncio_future().done():
            return EmitEvent(event=Shutdown(reason="the bag has ended and what came of it is recorded"))
        if event.action in (play, resume, record) or event.process_name.startswith("stereo_node"):
            raise FfsError(f"{event.process_name} has ended with exit code {event.returncode} too early; see above")
        return None

    return [
        RegisterEventHandler(OnProcessExit(on_exit=exited)),
        RegisterEventHandler(OnExecutionComplete(target_action=ready, on_completion=[resume])),
        RegisterEventHandler(OnExecutionComplete(target_action=answered, on_completion=[stop_recording])),
        *(play, record, ready),
    ]
