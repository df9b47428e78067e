"""Bags for tests, written with rosbags in every format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_typestore

from ffs_ros.geometry import StereoCamera

ROS1, ROS2 = get_typestore(Stores.ROS1_NOETIC), get_typestore(Stores.ROS2_HUMBLE)
FORMATS = ("mcap", "sqlite3", "ros1")
IMAGE, COMPRESSED, INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/CameraInfo"
PERIOD_NS = 33_333_333
START_NS = 1_700_000_000_000_000_007
DISPARITY_px = 5
CAMERA = StereoCamera(96, 48, fx_px=100.0, fy_px=100.0, cx_left_px=47.5, cx_right_px=46.0, cy_px=23.5, baseline_m=0.1)
"""Verged: the principal points differ."""


class Sent(NamedTuple):
    """A message on its way into a bag."""

    topic: str
    log_ns: int
    message: Any
    """Of ``ROS2``; in ROS 1 its attributes are the same but for CameraInfo's."""


def header(stamp_ns: int, frame_id: str = "left_optical") -> Any:
    sec, nanosec = divmod(stamp_ns, 1_000_000_000)
    time = ROS2.types["builtin_interfaces/msg/Time"](sec=sec, nanosec=nanosec)
    return ROS2.types["std_msgs/msg/Header"](stamp=time, frame_id=frame_id)


def image(stamp_ns: int, pixels: np.ndarray, encoding: str = "rgb8", frame_id: str = "left_optical") -> Any:
    """Pixels as they are."""
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).view(np.uint8).ravel()
    return ROS2.types[IMAGE](
        header=header(stamp_ns, frame_id), height=height, width=width, encoding=encoding, is_bigendian=0,
        step=data.size // height, data=data,
    )  # fmt: skip


def packed_image(stamp_ns: int, rgb_HW3: np.ndarray, ending: str = ".png", frame_id: str = "left_optical") -> Any:
    """As image_transport packs it."""
    good, data = cv2.imencode(ending, cv2.cvtColor(rgb_HW3, cv2.COLOR_RGB2BGR))
    assert good
    kind = {".png": "png", ".jpg": "jpeg"}[ending]
    return ROS2.types[COMPRESSED](
        header=header(stamp_ns, frame_id), format=f"rgb8; {kind} compressed bgr8", data=data.ravel()
    )


def camera_infos(camera: StereoCamera, stamp_ns: int = START_NS) -> tuple[Any, Any]:
    """Both, of rectified images."""
    infos = []
    for side, offset in (("left", 0.0), ("right", -camera.fx_px * camera.baseline_m)):
        k = camera.matrix(side)
        infos.append(
            ROS2.types[INFO](
                header=header(stamp_ns, f"{side}_optical"), height=camera.height, width=camera.width,
                distortion_model="plumb_bob", d=np.zeros(5), k=k.ravel(), r=np.eye(3).ravel(),
                p=np.hstack([k, [[offset], [0.0], [0.0]]]).ravel(), binning_x=0, binning_y=0,
                roi=ROS2.types["sensor_msgs/msg/RegionOfInterest"](
                    x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
                ),
            )
        )  # fmt: skip
    return infos[0], infos[1]


def stereo_stream(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], camera: StereoCamera, namespace: str = "", packed: str = ""
) -> list[Sent]:
    """What a camera sends: for each pair both CameraInfo and both images, under one stamp, recorded 1 ms after the
    other. ``packed`` is an ending, ".png" or ".jpg", for CompressedImage."""
    sent = []
    for index, pair in enumerate(pairs):
        stamp_ns = START_NS + index * PERIOD_NS
        infos = camera_infos(camera, stamp_ns)
        for order, (side, rgb_HW3, info) in enumerate(zip(("left", "right"), pair, infos, strict=True)):
            log_ns = stamp_ns + 5_000_000 + order * 2_000_000
            sent.append(Sent(f"{namespace}/{side}/camera_info", log_ns, info))
            name = f"{namespace}/{side}/image_rect{'/compressed' if packed else ''}"
            frame = f"{side}_optical"
            message = (
                packed_image(stamp_ns, rgb_HW3, packed, frame) if packed else image(stamp_ns, rgb_HW3, frame_id=frame)
            )
            sent.append(Sent(name, log_ns + 1_000_000, message))
    return sent


def write_bag(path: Path, kind: str, sent: Iterable[Sent]) -> Path:
    """``kind`` is one of ``FORMATS``; gives the bag's path."""
    if kind == "ros1":
        return _write_ros1(path.with_suffix(".bag"), sent)
    plugin = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}[kind]
    with Writer2(path, version=9, storage_plugin=plugin) as writer:
        connections: dict[str, Any] = {}
        for topic, log_ns, message in sent:
            msgtype = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=ROS2)
            writer.write(connections[topic], log_ns, ROS2.serialize_cdr(message, msgtype))
    return path


def storage_file(bag: Path) -> Path:
    """The one file in which a bag's messages are."""
    return bag if bag.is_file() else next(file for file in bag.iterdir() if file.suffix in (".mcap", ".db3"))


def _write_ros1(path: Path, sent: Iterable[Sent]) -> Path:
    with Writer1(path) as writer:
        connections: dict[str, Any] = {}
        for topic, log_ns, message in sent:
            msgtype = message.__msgtype__
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=ROS1)
            raw = ROS2.cdr_to_ros1(ROS2.serialize_cdr(message, msgtype), msgtype)
            writer.write(connections[topic], log_ns, raw)
    return path


def messages_of(bag: Path, topic: str) -> list[tuple[int, Any]]:
    """Log time and message of each in a bag of ROS 2, as rosbags reads them."""
    from rosbags.rosbag2 import Reader

    with Reader(bag) as reader:
        connections = [connection for connection in reader.connections if connection.topic == topic]
        return [
            (log_ns, ROS2.deserialize_cdr(data, connection.msgtype))
            for connection, log_ns, data in (reader.messages(connections) if connections else ())
        ]


def all_messages(bag: Any) -> list[tuple[str, int, bytes]]:
    """Topic, log time and bytes of every message of a bag that is open."""
    names = {topic.name for topic in bag.counts}
    return [(message.topic.name, message.log_ns, bytes(message.data)) for message in bag.messages(names)]
