"""The commands of rosbag2 with which a bag is played and the node's answers are recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from ffs_ros.errors import FfsError

PLAYER, RECORDER = "rosbag2_player", "rosbag2_recorder"
"""What rosbag2 calls its nodes."""
RESUME = ["ros2", "service", "call", f"/{PLAYER}/resume", "rosbag2_interfaces/srv/Resume"]
_WITHOUT_TOPICS_FLAG = ("humble", "iron")
_INPUT_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo")


def play_command(bag: Path, topics: Sequence[str], rate: str, loop: bool, more: Sequence[str]) -> list[str]:
    """Play these topics with /clock, which runs from the start, beginning when ``RESUME`` is called."""
    return [
        *("ros2", "bag", "play", str(bag), "--clock", "--start-paused", "--disable-keyboard-controls"),
        *("--rate", rate),
        *(["--loop"] if loop else []),
        *more,
        *("--topics", *topics),
    ]


def record_command(out: Path, topics: Sequence[str], distro: str | None) -> list[str]:
    """Record these topics with the bag's time."""
    flag = [] if distro in _WITHOUT_TOPICS_FLAG else ["--topics"]
    return ["ros2", "bag", "record", "--use-sim-time", "-o", str(out), *flag, *topics]


def image_topics(topic: str) -> list[str]:
    """What the node may read when an image argument names ``topic``: compressed and, where it rectifies, raw ones."""
    names = [topic, topic.removesuffix("rect") + "raw"] if topic.endswith("/image_rect") else [topic]
    return [name + ending for name in names for ending in ("", "/compressed")]


def check_topics(bag: Path, wanted: dict[str, list[str]]) -> None:
    """Raises FfsError unless the bag has one of each of ``wanted``, a launch argument -> the topics it may mean.

    A bag that is a single file, without metadata.yaml beside it, is not looked into.
    """
    metadata = bag / "metadata.yaml"
    if not bag.exists():
        raise FfsError(f"there is no bag {bag}: expected the folder that ros2 bag record has made, or its file")
    if not metadata.is_file():
        return
    try:
        facts = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
        recorded = {
            entry["topic_metadata"]["name"]: entry["topic_metadata"]["type"]
            for entry in facts["topics_with_message_count"]
        }
    except (yaml.YAMLError, TypeError, KeyError) as error:
        raise FfsError(f"{metadata} is not a bag's metadata ({error!r}); type: ros2 bag reindex {bag}") from None
    for argument, topics in wanted.items():
        if not recorded.keys() & set(topics):
            inputs = sorted(name for name, kind in recorded.items() if kind in _INPUT_TYPES)
            raise FfsError(
                f"the bag {bag} has no topic {topics[0]}; name the one that it has with {argument}:=. Its images and "
                f"CameraInfo are: {', '.join(inputs) or 'none'}"
            )
