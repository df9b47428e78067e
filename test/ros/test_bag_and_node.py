"""A bag played into the real node over a real graph, and what it publishes recorded, is what ``ffs bag`` writes.

The messages go out as they are in the bag, serialised, as ros2 bag play sends them, and come back serialised, as ros2
bag record takes them. The bytes that CDR leaves between fields are not defined, so both sides are written once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("rosbags", reason="the extra 'bag' is not installed")

from raw_camera import RawCamera, rotation
from recordings import CAMERA, ROS2, DISPARITY_px, Sent, stereo_stream, write_bag
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from stereo_graph import Graph
from stereo_msgs.msg import DisparityImage

from ffs_ros.bag.camera_topics import Asked
from ffs_ros.bag.job import Job, run
from ffs_ros.bag.opening import open_bag
from ffs_ros.config import NodeConfig
from ffs_ros.topics import OUTPUTS

KINDS = {
    "/disparity": DisparityImage, "/depth/image_rect": Image, "/depth/camera_info": CameraInfo, "/points2": PointCloud2,
    "/disparity/color": Image, "/confidence": Image, "/occlusion": Image,
}  # fmt: skip
SGBM = {"engine": "sgbm", "max_disparity": 16, "confidence_rate": 1000.0}
AGAIN_S, TRIES = 0.5, 120
"""After which what got no answer is sent again."""


class Log:
    """Nobody reads it."""

    def info(self, sentence: str) -> None: ...

    warning = error = info


@contextmanager
def uncounted(total: int) -> Iterator[Callable[[], None]]:
    yield lambda: None


@pytest.fixture(scope="module")
def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Four, of textures of their own."""
    random = np.random.default_rng(8)
    textures = random.integers(0, 255, (4, CAMERA.height, CAMERA.width + DISPARITY_px, 3), np.uint8)
    return [(texture[:, : CAMERA.width], texture[:, DISPARITY_px:]) for texture in textures]


def raw_stream(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[Sent]:
    """Of cameras whose lenses bend, turned a little: image_raw, with K, D and R to rectify them by."""
    middle = (CAMERA.fx_px, CAMERA.fy_px, CAMERA.cx_left_px, CAMERA.cy_px)
    left = RawCamera(CAMERA.width, CAMERA.height, middle, middle, d=(-0.2, 0.05, 0.001, 0.0, 0.0), r=rotation(y=0.01))
    p_right = (CAMERA.fx_px, CAMERA.fy_px, CAMERA.cx_right_px, CAMERA.cy_px)
    right = replace(left, p=p_right, tx=-CAMERA.fx_px * CAMERA.baseline_m, r=rotation(z=0.01))
    sent = []
    for message in stereo_stream(pairs, CAMERA):
        if message.topic.endswith("camera_info"):
            info = (left if "left" in message.topic else right).info()
            for name in "dkrp":
                setattr(message.message, name, np.array(getattr(info, name)))
        sent.append(message._replace(topic=message.topic.replace("image_rect", "image_raw")))
    return sent


@pytest.mark.parametrize("case", ["raw", "packed", "rectified", "limited", "approximate"])
def test_the_node_publishes_what_the_tool_writes(
    case: str, tmp_path: Path, pairs: list[Any], start_node: Callable[..., Any]
) -> None:
    """Every output of every pair, byte for byte."""
    parameters: dict[str, Any] = dict(SGBM)
    sent, asked = stereo_stream(pairs, CAMERA), Asked()
    if case == "packed":
        sent = stereo_stream(pairs, CAMERA, packed=".jpg")
        parameters |= {"image_transport": "compressed", "depth_encoding": "16UC1"}
    elif case == "rectified":
        sent, asked = raw_stream(pairs), Asked(rectify=True)
        parameters |= {"rectify": True, "mask_out_of_view": True}
    elif case == "limited":
        parameters |= {"min_depth": 1.0, "max_depth": 4.0, "roi_x_offset": 10, "roi_y_offset": 5, "roi_width": 70}
    elif case == "approximate":
        for message in sent:
            if message.topic == "/right/image_rect":
                message.message.header.stamp.nanosec += 3_000_000
        parameters |= {"approximate_sync": True, "approximate_sync_tolerance_seconds": 0.005}
    bag = write_bag(tmp_path / "rec", "mcap", sent)
    job = Job(bag, tmp_path / "out", NodeConfig(**parameters), asked=asked, outputs=tuple(OUTPUTS))
    assert run(job, Log(), uncounted)["pairs"]["matched"] == len(pairs)

    start_node(**parameters)
    played = play(bag)
    written = open_bag(tmp_path / "out")
    found: dict[str, dict[int, bytes]] = {topic: {} for topic in KINDS}
    for message in written.messages(set(KINDS)):
        keep(found[message.topic.name], message.topic.msgtype, message.data)
    for topic, messages in found.items():
        assert messages.keys() == played[topic].keys()
        assert len(messages) == len(pairs)
        for stamp_ns, data in messages.items():
            assert data == played[topic][stamp_ns], f"{topic} at {stamp_ns}"


def play(bag: Path) -> dict[str, dict[int, bytes]]:
    """Send a bag's messages as they are and in their order, each pair when the one before has been answered, since the
    node leaves out what it has no time for; gives what comes back, by topic and stamp."""
    graph = Graph(subscribe=False, publish=False)
    received: dict[str, dict[int, bytes]] = {topic: {} for topic in KINDS}
    try:
        for topic, kind in KINDS.items():
            msgtype = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
            graph.node.create_subscription(
                kind,
                topic,
                lambda data, topic=topic, msgtype=msgtype: keep(received[topic], msgtype, data),
                10,
                raw=True,
            )
        recorded = open_bag(bag)
        kinds = {topic.name: topic.msgtype.rpartition("/")[2] for topic in recorded.counts}
        types = {"Image": Image, "CompressedImage": CompressedImage, "CameraInfo": CameraInfo}
        publishers = {name: graph.node.create_publisher(types[kind], name, 10) for name, kind in kinds.items()}
        graph.wait(lambda: all(p.get_subscription_count() for p in publishers.values()), "the node's subscriptions")
        graph.wait(lambda: all(graph.node.count_publishers(topic) for topic in KINDS), "the node's publishers")
        played, pair = 0, []
        for message in recorded.messages(set(kinds)):
            pair.append(message)
            publishers[message.topic.name].publish(bytes(message.data))
            if message.topic.name.startswith("/right/image"):
                played += 1
                answered = partial(answers, received, played)
                for _ in range(TRIES):
                    if spun_until(graph, answered, AGAIN_S):
                        break
                    # Who is found has not always found us, and the first images are lost then.
                    for lost in pair:
                        publishers[lost.topic.name].publish(bytes(lost.data))
                assert answered(), f"answer {played} did not come"
                pair = []
        recorded.close()
    finally:
        graph.close()
    return received


def spun_until(graph: Graph, happened: Callable[[], bool], seconds: float) -> bool:
    """Whether it happened in that time."""
    end_s = time.monotonic() + seconds
    while not happened() and time.monotonic() < end_s:
        graph.spin()
    return happened()


def answers(received: dict[str, dict[int, bytes]], pairs: int) -> bool:
    """Whether every topic has brought as many messages."""
    return all(len(messages) == pairs for messages in received.values())


def keep(messages: dict[int, bytes], msgtype: str, data: Any) -> None:
    """A serialised message by its stamp, with what lies between its fields zero."""
    message: Any = ROS2.deserialize_cdr(data, msgtype)
    stamp = message.header.stamp
    messages[stamp.sec * 1_000_000_000 + stamp.nanosec] = bytes(ROS2.serialize_cdr(message, msgtype))
