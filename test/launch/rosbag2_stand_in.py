"""Takes the place of ``ros2 bag`` where rosbag2 is not: the same command lines, nodes and order of events.

Installed as ``ros2``. Plays bags through the package rosbags, and records as JSON lines what it receives. Calling the
service resume is a file in this script's folder. Given ``fail`` there, playing ends with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path

import rclpy
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from rosidl_runtime_py.utilities import get_message

HERE = Path(__file__).resolve().parent
RESUMED = HERE / "resumed"
HEARD_S = 0.2
"""How often the clock is published and the graph looked at."""
RECORDER_LATE_S = 3.0
"""How long the recorder takes to subscribe, so that playing too early is noticed."""


def main() -> None:
    verb, arguments = sys.argv[2], sys.argv[3:]
    {"play": play, "record": record, "call": resume}[verb](arguments)


def resume(arguments: list[str]) -> None:
    assert arguments == ["/rosbag2_player/resume", "rosbag2_interfaces/srv/Resume"]
    RESUMED.touch()


def play(arguments: list[str]) -> None:
    from rosbags.highlevel import AnyReader

    parser = argparse.ArgumentParser()
    parser.add_argument("bag", type=Path)
    for flag in ("--clock", "--start-paused", "--disable-keyboard-controls"):
        parser.add_argument(flag, action="store_true", required=True)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--topics", nargs="+")
    given = parser.parse_args(arguments)
    if (HERE / "fail").exists():
        sys.exit(1)
    rclpy.init()
    node = rclpy.create_node("rosbag2_player")
    clock = node.create_publisher(Clock, "/clock", 10)
    with AnyReader([given.bag]) as reader:
        connections = [connection for connection in reader.connections if connection.topic in given.topics]
        publishers = {
            connection.topic: (node.create_publisher(get_message(connection.msgtype), connection.topic, 10),
                               get_message(connection.msgtype))
            for connection in connections
        }  # fmt: skip
        now_ns = reader.start_time

        def tell_time() -> None:
            clock.publish(Clock(clock=rclpy.time.Time(nanoseconds=now_ns).to_msg()))

        while not RESUMED.exists():
            tell_time()
            time.sleep(HEARD_S)
        for connection, stamp_ns, raw in reader.messages(connections=connections):
            while now_ns < stamp_ns:
                step_ns = min(stamp_ns - now_ns, int(1e9 * HEARD_S))
                time.sleep(1e-9 * step_ns / given.rate)
                now_ns += step_ns
                tell_time()
            publisher, kind = publishers[connection.topic]
            publisher.publish(deserialize_message(raw, kind))
    time.sleep(HEARD_S)  # what was published last is in this process's memory
    node.destroy_node()


def record(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--use-sim-time", action="store_true", required=True)
    parser.add_argument("-o", type=Path)
    parser.add_argument("--topics", nargs="+")
    given = parser.parse_args(arguments)
    rclpy.init(signal_handler_options=rclpy.signals.SignalHandlerOptions.NO)
    stopped: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: stopped.append(number))
    node = rclpy.create_node("rosbag2_recorder", parameter_overrides=[Parameter("use_sim_time", value=True)])
    given.o.mkdir()
    with (given.o / "messages.jsonl").open("w", encoding="utf-8") as file:

        def keep(topic: str, message: object) -> None:
            header = message.header.stamp.sec, message.header.stamp.nanosec, message.header.frame_id
            clock_s = node.get_clock().now().nanoseconds * 1e-9
            file.write(json.dumps([topic, *header, clock_s]) + "\n")

        missing = set(given.topics)
        subscribes_from = time.monotonic() + RECORDER_LATE_S
        while not stopped:
            rclpy.spin_once(node, timeout_sec=HEARD_S)
            if (
                not missing or node.get_clock().now().nanoseconds == 0 or time.monotonic() < subscribes_from
            ):  # rosbag2 awaits /clock
                continue
            for topic, kinds in node.get_topic_names_and_types():
                if topic in missing:
                    missing.remove(topic)
                    node.create_subscription(
                        get_message(kinds[0]), topic, lambda message, topic=topic: keep(topic, message), 10
                    )
    (given.o / "complete").touch()


if __name__ == "__main__":
    main()
