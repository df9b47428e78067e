"""A camera and a consumer, processes of their own beside a node in a third: what the benchmarks of the node play.

The camera publishes rgb8 pairs best effort; the consumer subscribes reliably, as RViz does. Pairs count after
discovery, that is after the first depth. Stamps are monotonic times, which the processes of one machine share, so a
difference of times needs no synchronised clocks.
"""

from __future__ import annotations

import argparse
import json
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1]))
from own_domain import own_domain

from ffs_ros.demo.processes import end_with_parent
from ffs_ros.errors import FfsError

DISCOVERY_TIMEOUT_S = 120.0
"""For opening the engine and its first answer."""
END_TIMEOUT_S = 120.0
"""For what a node does after its last pair."""
SETTLE_S = 2.0
"""Between discovery and the first counted pair, and between the last one and the end."""
OUTPUTS = ("disparity", "depth/image_rect")


class Played(NamedTuple):
    """What the camera and the consumer saw; times in ns of the monotonic clock."""

    sent_ns: list[int]
    """The counted pairs' stamps, which are when the camera began to publish them."""
    arrivals: dict[str, list[list[int]]]
    """Output -> stamp and arrival of each message, warm-up included."""


def play(node_command: Sequence[str], images: Path, pairs: int, rate_hz: float, env: Mapping[str, str]) -> Played:
    """Run camera, node and consumer from discovery to the last counted pair, on this machine and a domain of their own.

    ``node_command`` is what Python runs; ``images`` an .npz with ``left`` and ``right``, uint8 (H,W,3) RGB. Raises
    FfsError when no depth comes and when the node ends early or badly.
    """
    domain = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_DOMAIN_ID": str(own_domain())}
    with tempfile.TemporaryDirectory() as folder, children({**env, **domain}) as start:
        report = Path(folder) / "consumer"
        node = start(*node_command)
        receiver = start(__file__, "--role", "consumer", "--json", str(report))
        stream = ("--images", str(images), "--pairs", str(pairs), "--rate", str(rate_hz))
        sender = start(__file__, "--role", "camera", *stream)
        deadline_s = time.monotonic() + DISCOVERY_TIMEOUT_S
        while not select.select([receiver.stdout], [], [], 0.2)[0]:
            if node.poll() is not None:
                raise FfsError(f"the node ended with exit code {node.returncode} before it answered")
            if time.monotonic() > deadline_s:
                raise FfsError(f"no depth came within {DISCOVERY_TIMEOUT_S:g} s")
        sent_ns = json.loads(sender.communicate("\n")[0])
        for process in (node, receiver):
            process.send_signal(signal.SIGINT)
            process.wait(END_TIMEOUT_S)
        if node.returncode:
            raise FfsError(f"the node ended with exit code {node.returncode}")
        return Played(sent_ns, json.loads(report.read_text()))


def write_noise(path: Path, height: int, width: int) -> Path:
    """Write images for ``play`` that mean nothing; the tiny engine answers every pixel of them, as a network does."""
    left_HW3, right_HW3 = np.random.default_rng(0).integers(1, 200, (2, height, width, 3), np.uint8)
    np.savez(path, left=left_HW3, right=right_HW3)
    return path


@contextmanager
def children(env: Mapping[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python processes with ``env`` and pipes; none of them outlives the block or, if killed, this process."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        started.append(
            subprocess.Popen(
                [sys.executable, *arguments], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                start_new_session=True, preexec_fn=end_with_parent,
            )
        )  # fmt: skip
        return started[-1]

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.wait()


def camera(pairs: int, rate_hz: float, played: Mapping[str, np.ndarray]) -> None:
    """Publish warm-up pairs until a line comes in, then the counted ones; print the stamps of these.

    ``played`` are the left and the right image, uint8 (H,W,3) RGB; their calibration is invented.
    """
    import rclpy
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CameraInfo, Image

    rclpy.init()
    node = rclpy.create_node("benchmark_camera")
    images, infos = [], []
    for side in ("left", "right"):
        height, width = played[side].shape[:2]
        image = Image(height=height, width=width, encoding="rgb8", step=3 * width)
        image.data.frombytes(played[side].tobytes())
        info = CameraInfo(height=height, width=width, k=[500.0, 0.0, 320.0, 0.0, 500.0, 240.0, 0.0, 0.0, 1.0])
        offset = -50.0 if side == "right" else 0.0
        info.p = [500.0, 0.0, 320.0, offset, 0.0, 500.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
        images.append((node.create_publisher(Image, f"{side}/image_rect", qos_profile_sensor_data), image))
        infos.append((node.create_publisher(CameraInfo, f"{side}/camera_info", qos_profile_sensor_data), info))

    def publish() -> int:
        stamp_ns = time.monotonic_ns()
        for publisher, message in (*infos, *images):
            message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
            message.header.frame_id = "benchmark_left_optical_frame"
            publisher.publish(message)
        return stamp_ns

    discovered = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.readline(), discovered.set()), daemon=True).start()
    while not discovered.wait(1 / rate_hz):
        publish()
    time.sleep(SETTLE_S)
    start, stamps_ns = time.monotonic(), []
    for index in range(pairs):
        time.sleep(max(0.0, start + index / rate_hz - time.monotonic()))
        stamps_ns.append(publish())
    time.sleep(SETTLE_S)
    print(json.dumps(stamps_ns), flush=True)
    node.destroy_node()
    rclpy.try_shutdown()


def consumer(report: Path) -> None:
    """Subscribe to both outputs, say when the first depth has come, and write down when each message came."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from sensor_msgs.msg import Image
    from stereo_msgs.msg import DisparityImage

    rclpy.init()
    node = rclpy.create_node("benchmark_consumer")
    arrivals: dict[str, list[tuple[int, int]]] = {name: [] for name in OUTPUTS}

    def take(name: str, message: Any) -> None:
        stamp = message.header.stamp
        arrivals[name].append((stamp.sec * 10**9 + stamp.nanosec, time.monotonic_ns()))
        if name == OUTPUTS[1] and len(arrivals[name]) == 1:
            print("discovered", flush=True)

    node.create_subscription(DisparityImage, OUTPUTS[0], lambda message: take(OUTPUTS[0], message), 10)
    node.create_subscription(Image, OUTPUTS[1], lambda message: take(OUTPUTS[1], message), 10)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        report.write_text(json.dumps(arrivals))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--role", choices=("camera", "consumer"), required=True)
    parser.add_argument("--images", type=Path, help="what the camera plays")
    parser.add_argument("--pairs", type=int, help="that the camera counts")
    parser.add_argument("--rate", type=float, help="pairs per second")
    parser.add_argument("--json", type=Path, help="the consumer's report")
    arguments = parser.parse_args()
    if arguments.role == "consumer":
        return consumer(arguments.json)
    with np.load(arguments.images) as stored:
        return camera(arguments.pairs, arguments.rate, dict(stored))


if __name__ == "__main__":
    main()
