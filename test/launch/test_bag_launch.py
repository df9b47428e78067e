"""bag.launch.py, the real node and a stand-in for rosbag2: what is played is answered and recorded, then it ends."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

for _package in ("launch_ros", "rclpy", "rosidl_runtime_py", "rosbags"):
    pytest.importorskip(_package, reason=f"{_package} is not installed; test/launch/README.md says how")

from rosbags.rosbag2 import Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402

DISPARITY_PX = 8
FIRST_S = 1000


def write_bag(path: Path, seconds: Sequence[int], namespace: str = "", size: tuple[int, int] = (64, 160)) -> None:
    """A pair of one scene at each of these seconds: texture at one disparity, fx 100 px, baseline 0.1 m."""
    height, width = size
    store = get_typestore(Stores.ROS2_HUMBLE)
    texture = np.random.default_rng(0).integers(0, 256, (height, width + DISPARITY_PX), np.uint8)

    def make(kind: str, **fields: Any) -> Any:
        return store.types[kind](**fields)

    with Writer(path, version=9) as bag:
        topics = {
            (side, name): bag.add_connection(f"{namespace}/{side}/{name}", f"sensor_msgs/msg/{kind}", typestore=store)
            for side in ("left", "right")
            for name, kind in (("camera_info", "CameraInfo"), ("image_rect", "Image"))
        }
        for second in seconds:
            time = make("builtin_interfaces/msg/Time", sec=FIRST_S + second, nanosec=0)
            header = make("std_msgs/msg/Header", stamp=time, frame_id="left_optical")
            for (side, name), connection in topics.items():
                right = side == "right"
                if name == "image_rect":
                    pixels = texture[:, DISPARITY_PX * right :][:, :width]
                    message = make("sensor_msgs/msg/Image", header=header, height=height, width=width, encoding="mono8",
                                   is_bigendian=0, step=width, data=np.ascontiguousarray(pixels).ravel())  # fmt: skip
                else:
                    p = np.array([100, 0, 80, -10 * right, 0, 100, 32, 0, 0, 0, 1, 0], float)
                    roi = make(
                        "sensor_msgs/msg/RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
                    )
                    message = make("sensor_msgs/msg/CameraInfo", header=header, height=height, width=width,
                                   distortion_model="plumb_bob", d=np.zeros(5), k=p.reshape(3, 4)[:, :3].ravel(),
                                   r=np.eye(3).ravel(), p=p, binning_x=0, binning_y=0, roi=roi)  # fmt: skip
                raw = store.serialize_cdr(message, connection.msgtype)
                bag.write(connection, (FIRST_S + second) * 10**9, raw)


@pytest.fixture
def ros2_bag(own_ros: None, install: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the stand-in where ``ros2`` is looked for; its folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    stand_in = folder / "ros2"
    source = Path(__file__).with_name("rosbag2_stand_in.py").read_text(encoding="utf-8")
    stand_in.write_text(f"#!{sys.executable}\n{source}", encoding="utf-8")
    stand_in.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    install("ros2bag")
    return folder


@pytest.fixture
def launch_bag(ros2_bag: Path, checkout: Path) -> Callable[..., int]:
    """Runs bag.launch.py to its end; its exit code."""
    from launch import LaunchDescription, LaunchService
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    def launch(**arguments: str) -> int:
        source = PythonLaunchDescriptionSource(str(checkout / "launch" / "bag.launch.py"))
        given = {"engine": "sgbm", "max_disparity": "32", **arguments}
        service = LaunchService(noninteractive=True)
        service.include_launch_description(
            LaunchDescription([IncludeLaunchDescription(source, launch_arguments=given.items())])
        )
        return service.run()

    return launch


def test_every_pair_of_a_bag_is_answered_and_recorded(launch_bag, said, tmp_path):
    """First and last pair included, under their stamps and on the bag's clock; then the launch ends by itself."""
    write_bag(tmp_path / "drive", seconds=(0, 1), namespace="/rig")
    topics = {"left_namespace": "/rig/left", "right_namespace": "/rig/right", "namespace": "front"}
    assert launch_bag(bag=str(tmp_path / "drive"), out=str(tmp_path / "depth"), rate="0.5", **topics) == 0
    recorded = recording(tmp_path / "depth")
    expected = [
        (f"/front/{topic}", FIRST_S + second, 0, "left_optical")
        for topic in ("depth/camera_info", "depth/image_rect", "disparity")
        for second in (0, 1)
    ]
    assert sorted(message[:4] for message in recorded) == expected
    assert all(FIRST_S <= clock_s <= FIRST_S + 1.1 for *_, clock_s in recorded)


def recording(out: Path) -> list[tuple[Any, ...]]:
    """Topic, stamp in s and ns, frame, and the recorder's clock in s, of each message."""
    assert (out / "complete").exists(), "the recorder was not let finish"
    return [tuple(json.loads(line)) for line in (out / "messages.jsonl").read_text(encoding="utf-8").splitlines()]


def test_the_pair_in_work_is_waited_for(launch_bag, tmp_path):
    """A match that takes longer than the bag still goes on is recorded."""
    write_bag(tmp_path / "drive", seconds=(0,), size=(480, 640))
    arguments = {"bag": str(tmp_path / "drive"), "out": str(tmp_path / "depth"), "record": "disparity"}
    assert launch_bag(**arguments, max_disparity="512") == 0
    assert [message[0] for message in recording(tmp_path / "depth")] == ["/disparity"]


def test_a_player_that_fails_ends_the_launch(launch_bag, ros2_bag, said, tmp_path):
    """With the player's exit code in a sentence, and what was recorded so far is whole."""
    write_bag(tmp_path / "drive", seconds=(0,))
    (ros2_bag / "fail").touch()
    assert launch_bag(bag=str(tmp_path / "drive"), out=str(tmp_path / "depth")) == 1
    (sentence,) = (sentence for sentence in said if "too early" in sentence)
    assert re.search(r"bag_play-\d+ has ended with exit code 1", sentence)


def test_topics_that_the_bag_has_not_are_refused(launch_bag, said, tmp_path):
    """The sentence lists those that it has; nothing is recorded and no process stays."""
    write_bag(tmp_path / "drive", seconds=(0,), namespace="/rig")
    assert launch_bag(bag=str(tmp_path / "drive"), out=str(tmp_path / "depth")) == 1
    (sentence,) = (sentence for sentence in said if "has no topic /left/image_rect; " in sentence)
    assert "/rig/left/camera_info, /rig/left/image_rect, /rig/right/camera_info, /rig/right/image_rect" in sentence
    assert not (tmp_path / "depth").exists()
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text(encoding="utf-8").split()
    assert [child for child in children if "ffs_ros.ros" in Path(f"/proc/{child}/cmdline").read_text()] == []
