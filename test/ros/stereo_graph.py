"""The real node in a process of its own, and the camera and consumer that test it over the ROS graph."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from stereo_msgs.msg import DisparityImage

from ffs_ros.geometry import StereoCamera

PATIENCE_S = 60.0
"""Nothing here takes long; on a machine with other work it may."""
NODE = ("-m", "ffs_ros.ros")
"""What Python runs."""
CHANNELS = {"mono8": 1, "rgb8": 3, "bgr8": 3, "bgra8": 4, "mono16": 1}


def wait_until(happened: Callable[[], Any], what: str, step: Callable[[], None] = lambda: time.sleep(0.02)) -> None:
    """Step until ``happened``; fails with ``what`` after a long time."""
    end = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < end, f"{what} did not happen within {PATIENCE_S:g} s"
        step()


class NodeProcess:
    """``stereo_node`` as ``ros2 run`` starts it."""

    def __init__(
        self, log: Path, parameters: Mapping[str, Any], *arguments: str, program: Sequence[str] = NODE
    ) -> None:
        self._log = log
        settings = [item for name, value in parameters.items() for item in ("-p", f"{name}:={_yaml(value)}")]
        with log.open("wb") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *program, "--ros-args", *settings, *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1", "OMP_NUM_THREADS": "1"},
            )

    def said(self) -> str:
        """Its log so far, without colours."""
        return re.sub(r"\x1b\[\d*m", "", self._log.read_text(encoding="utf-8", errors="replace"))

    def warnings(self) -> list[str]:
        """The sentences of its warnings and errors."""
        return [match[1] for match in re.finditer(r"\[(?:WARN|ERROR)\] \[[\d.]+\] \[stereo_node\]: (.*)", self.said())]

    def wait_said(self, text: str) -> None:
        """Wait for ``text`` in the log."""
        wait_until(lambda: text in self.said() or not self.alive, f"'{text}'")
        assert text in self.said(), f"the node ended with {self.popen.returncode}: {self.said()}"

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self.popen.poll() is None

    def stop(self, signal_number: int = signal.SIGINT) -> int:
        """End it as Ctrl-C or a launch file does; gives the exit code."""
        if self.alive:
            self.popen.send_signal(signal_number)
        try:
            return self.popen.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.popen.send_signal(signal.SIGABRT)  # faulthandler writes where its threads are
            self.popen.wait(PATIENCE_S)
            raise AssertionError(f"the node did not end: {self.said()}") from None
        finally:
            self.popen.kill()


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Outputs(NamedTuple):
    """What the node published for one pair."""

    disparity: DisparityImage
    depth: Image
    camera_info: CameraInfo


class Graph:
    """A camera and a consumer in this process. ``exchange`` is one pair there and back."""

    def __init__(
        self, subscribe: bool = True, image_kind: type = Image, image: str = "image_rect", publish: bool = True
    ) -> None:
        """``image_kind`` is the camera's messages', ``image`` their topics' name below ``left/`` and ``right/``."""
        self.context = rclpy.context.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("stereo_test", context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        create = self.node.create_publisher
        self.publishers = {
            topic: create(kind, topic, qos_profile_sensor_data)
            for side in ("left", "right")
            for topic, kind in ((f"{side}/{image}", image_kind), (f"{side}/camera_info", CameraInfo))
            if publish
        }
        self._image = image
        self.received: dict[str, dict[int, Any]] = {"disparity": {}, "depth/image_rect": {}, "depth/camera_info": {}}
        self.subscriptions: list[Any] = []
        if subscribe:
            self.subscribe()
        self._stamp_ns = 0
        self.also_spin: Callable[[], None] = lambda: None
        """Spins a node that lives in this process."""

    def subscribe(self) -> None:
        """Consume all outputs."""
        for topic, kind in zip(self.received, (DisparityImage, Image, CameraInfo), strict=True):
            self.subscriptions.append(
                self.node.create_subscription(
                    kind, topic, lambda m, topic=topic: self.received[topic].__setitem__(stamp_ns_of(m), m), 10
                )
            )

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)

    def spin(self, seconds: float = 0.05) -> None:
        """Receive what comes within this time, at most one message."""
        self.also_spin()
        self._executor.spin_once(timeout_sec=seconds)

    def wait(self, happened: Callable[[], Any], what: str) -> None:
        """Receive until ``happened``."""
        wait_until(happened, what, self.spin)

    def call(self, client: Any, request: Any) -> Any:
        """A service's answer."""
        future = client.call_async(request)
        self.wait(future.done, "a service's answer")
        return future.result()

    def wait_for_node(self) -> None:
        """Until the node's subscriptions are found."""
        self.wait(lambda: all(p.get_subscription_count() for p in self.publishers.values()), "the node's subscriptions")

    def next_header(self, frame_id: str = "camera_left_optical_frame") -> Header:
        """A header with the time now, later than the one before, with nanoseconds that no float could carry."""
        self._stamp_ns = max(time.time_ns() | 1, self._stamp_ns + 1_000_003)
        header = Header(frame_id=frame_id)
        header.stamp.sec, header.stamp.nanosec = divmod(self._stamp_ns, 1_000_000_000)
        return header

    def publish(self, topic: str, message: Any) -> None:
        """Send as a driver does, best effort."""
        self.publishers[topic].publish(message)

    def publish_pair(self, left: Any, right: Any, infos: tuple[CameraInfo, CameraInfo] | None) -> int:
        """Send one pair under a new stamp, CameraInfo first; gives the stamp in ns."""
        header = self.next_header()
        if infos is not None:
            for side, info in zip(("left", "right"), infos, strict=True):
                info.header = header
                self.publish(f"{side}/camera_info", info)
        for side, image in (("left", left), ("right", right)):
            image.header = Header(stamp=header.stamp, frame_id=f"camera_{side}_optical_frame")
            self.publish(f"{side}/{self._image}", image)
        return stamp_ns_of(left)

    def exchange(self, left: Any, right: Any, infos: tuple[CameraInfo, CameraInfo] | None) -> Outputs:
        """Send the pair, again where it is lost on a loaded machine, until all outputs carry its stamp."""
        self.wait_for_node()
        end, patience_s = time.monotonic() + PATIENCE_S, 0.2
        while time.monotonic() < end:
            stamp_ns = self.publish_pair(left, right, infos)
            retry, patience_s = time.monotonic() + patience_s, 1.5 * patience_s
            while time.monotonic() < retry:
                self.spin()
                if all(stamp_ns in messages for messages in self.received.values()):
                    return Outputs(*(messages[stamp_ns] for messages in self.received.values()))
        raise AssertionError(f"no complete output within {PATIENCE_S:g} s")


def stamp_ns_of(message: Any) -> int:
    """The header's stamp."""
    return int(message.header.stamp.sec) * 1_000_000_000 + int(message.header.stamp.nanosec)


def image_message(pixels: np.ndarray, encoding: str = "rgb8", padding: int = 0) -> Image:
    """Pixels as they are, with ``padding`` bytes of rubbish after each row."""
    height, width = pixels.shape[:2]
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    message = Image(height=height, width=width, encoding=encoding, step=rows.shape[1])
    message.data.frombytes(rows.tobytes())
    return message


def camera_infos(camera: StereoCamera) -> tuple[CameraInfo, CameraInfo]:
    """Both CameraInfo of a rectified camera."""
    infos = []
    for cx_px, offset in ((camera.cx_left_px, 0.0), (camera.cx_right_px, -camera.fx_px * camera.baseline_m)):
        info = CameraInfo(height=camera.height, width=camera.width, distortion_model="plumb_bob", d=[0.0] * 5)
        info.p = [camera.fx_px, 0.0, cx_px, offset, 0.0, camera.fy_px, camera.cy_px, 0.0, 0.0, 0.0, 1.0, 0.0]
        infos.append(info)
    return infos[0], infos[1]


def pixels_of(message: Image) -> np.ndarray:
    """What a 32FC1 or 16UC1 image holds."""
    dtype = {"32FC1": np.float32, "16UC1": np.uint16}[message.encoding]
    assert message.step == message.width * np.dtype(dtype).itemsize
    assert len(message.data) == message.height * message.step
    assert not message.is_bigendian
    return np.frombuffer(message.data, dtype).reshape(message.height, message.width)
