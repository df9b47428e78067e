"""What the node adds to its engine: second image's arrival -> everything published, minus inference.

    python test/benchmarks/node_overhead.py [--pairs 300] [--rate 30] [--rounds 2]

The real node on a small ONNX graph, and beside it, in turns on the same machine, a sketch that divides a stored
disparity and publishes it and the depth from its callback, with no pairing, no checks, no worker and no answer missing.
Both get rgb8 pairs of 640x480 from another process and publish disparity and 32FC1 depth to a third, over the shipped
transport profile. The camera and the consumer are camera_and_consumer.py's; "at the consumer" is when the later of both
outputs is there, also minus inference. Then conversions alone, here and in two kinds of public nodes:
peer_conversions.py.

On a machine with other work, `chrt -f 20` before the command keeps that off the processors, not out of their caches.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from array import array
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "ros"), str(Path(__file__).resolve().parent)]

HEIGHT, WIDTH = 480, 640


def real_node(report: Path, ros_arguments: list[str]) -> None:
    """The node; at its end it writes down the times of each pair, in ns."""
    from ffs_ros.ros import node as module

    class WatchedNode(module.StereoNode):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.frames.times = deque()

        def destroy_node(self) -> None:
            rows = [
                (t.stamp_ns, t.arrival_ns, t.published_ns, t.started_ns - t.arrival_ns, t.inference_ns)
                for t in self.frames.times
            ]
            report.write_text(json.dumps(rows))
            super().destroy_node()

    module.StereoNode = WatchedNode
    module.main(ros_arguments)


def sketch(report: Path) -> None:
    """The least: no pairing, no checks, no worker."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import CameraInfo, Image
    from stereo_msgs.msg import DisparityImage

    rclpy.init()
    node = rclpy.create_node("sketch")
    publish_disparity = node.create_publisher(DisparityImage, "disparity", 5).publish
    publish_depth = node.create_publisher(Image, "depth/image_rect", 5).publish
    disparity_HW = np.random.default_rng(0).uniform(1, 60, (HEIGHT, WIDTH)).astype(np.float32)
    rows: list[tuple[int, ...]] = []

    def filled(message: Image, header: Any, pixels_HW: np.ndarray) -> Image:
        message.header, message.height, message.width = header, HEIGHT, WIDTH
        message.encoding, message.step = "32FC1", 4 * WIDTH
        message.data = array("B")
        message.data.frombytes(pixels_HW.data.cast("B"))
        return message

    def right(message: Image) -> None:
        arrival_ns = time.monotonic_ns()
        np.frombuffer(message.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
        disparity = DisparityImage(header=message.header, f=500.0, t=0.1, max_disparity=64.0)
        filled(disparity.image, message.header, disparity_HW)
        publish_disparity(disparity)
        publish_depth(filled(Image(), message.header, np.float32(50.0) / disparity_HW))
        stamp = message.header.stamp
        rows.append((stamp.sec * 10**9 + stamp.nanosec, arrival_ns, time.monotonic_ns(), 0, 0))

    node.create_subscription(Image, "right/image_rect", right, qos_profile_sensor_data)
    for kind, topic in (
        (Image, "left/image_rect"),
        (CameraInfo, "left/camera_info"),
        (CameraInfo, "right/camera_info"),
    ):
        node.create_subscription(kind, topic, lambda message: None, qos_profile_sensor_data)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        report.write_text(json.dumps(rows))


def measure(role: str, pairs: int, rate_hz: float) -> np.ndarray:
    """Milliseconds of each counted pair: overhead, until the consumer has it, waiting for the worker, inference; shape
    (pairs, 4)."""
    from camera_and_consumer import play, write_noise
    from tiny_engine import write_tiny_engine

    from ffs_ros.ros.transport import environment

    with tempfile.TemporaryDirectory() as name:
        report, engine = Path(name) / "times", write_tiny_engine(Path(name) / "tiny.onnx", HEIGHT, WIDTH)
        images = write_noise(Path(name) / "images.npz", HEIGHT, WIDTH)
        own = [__file__, "--role", role, "--json", str(report), "--ros-args", "-p", f"engine:={engine}"]
        played = play(own, images, pairs, rate_hz, {**os.environ, **environment(os.environ)})
        rows = {row[0]: row[1:] for row in json.loads(report.read_text())}
    consumed = [dict(arrivals) for arrivals in played.arrivals.values()]
    whole = [stamp for stamp in played.sent_ns if stamp in rows and all(stamp in seen for seen in consumed)]
    arrival, published, wait, inference = np.array([rows[stamp] for stamp in whole]).T
    at_consumer = np.array([max(seen[stamp] for seen in consumed) for stamp in whole])
    return np.stack([published - arrival - inference, at_consumer - arrival - inference, wait, inference], axis=1) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300, help="counted pairs of each run")
    parser.add_argument("--rate", type=float, default=30.0, help="pairs per second")
    parser.add_argument("--rounds", type=int, default=2, help="runs of each")
    parser.add_argument("--role", choices=("node", "sketch"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)
    arguments, ros_arguments = parser.parse_known_args()
    if arguments.role:
        return real_node(arguments.json, ros_arguments) if arguments.role == "node" else sketch(arguments.json)
    from peer_conversions import table

    print(
        f"{WIDTH}x{HEIGHT} rgb8 at {arguments.rate:g} Hz, disparity and depth out; {os.cpu_count()} CPUs; ms: p50 p99"
    )
    for _ in range(arguments.rounds):
        for role in ("node", "sketch"):
            rows = measure(role, arguments.pairs, arguments.rate)
            overhead, consumer, wait, inference = (
                "{:5.2f} {:5.2f}".format(*np.percentile(column, (50, 99))) for column in rows.T
            )
            parts = f"   waiting for the worker {wait}   besides inference {inference}" if role == "node" else ""
            whole = f"{len(rows)} pairs   overhead {overhead}   at the consumer {consumer}"
            print(f"  {role:<6} load {os.getloadavg()[0]:.1f}   {whole}{parts}", flush=True)
    print(table(arguments.pairs // 10))
    return None


if __name__ == "__main__":
    main()
