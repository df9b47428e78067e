"""Does the node hold out: 100,000 frames, and fifty times kill -9 under a parent that starts it again?

    python test/benchmarks/soak.py [--frames 100000] [--rate 300] [--size 48x64] [--kills 50] [--respawn launch|own]

First the node publishes so many frames of a small size, as fast as camera, node and consumer get them across; memory,
threads and open files are printed every tenth of the way. Then it is killed with SIGKILL again and again, and started
by ros2 launch's respawn where launch_ros is installed, otherwise by a loop of this program; each time the depth of a
pair that was sent afterwards must come.

Exit code 1 when threads or files grew, when memory grew by more than 4 MB from the first tenth to the last, when the
books do not balance, or when the node did not answer after each kill.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from camera_and_consumer import play, write_noise
from counting_node import WAITING, Sample, rows, unbalanced
from own_domain import own_domain

from ffs_ros.demo.processes import end_with_parent
from ffs_ros.errors import FfsError
from ffs_ros.ros.transport import environment

STEPS = 10
MOST_GROWTH_MB = 4.0
"""Between the first tenth and the end; pages come and go by about 1 MB."""
SPARE = 1.2
"""Pairs that are sent for each frame that is to be published: some overtake others."""
ANSWER_TIMEOUT_S = 60.0
END_TIMEOUT_S = 10.0
LAUNCH_FILE = Path(__file__).resolve().parents[2] / "launch" / "stereo.launch.py"
LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [("respawn", "true"), ("engine", "sgbm"), ("max_disparity", "16")]
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)]))
sys.exit(service.run())
"""
OWN = """
import subprocess, sys, time
node = [sys.executable, "-m", "ffs_ros.ros", "--ros-args", "-p", "engine:=sgbm", "-p", "max_disparity:=16"]
while True:
    subprocess.run(node)
    time.sleep(0.2)
"""


def many_frames(args: argparse.Namespace) -> list[str]:
    """Run them, print what the node held on the way, and return what grew."""
    height, width = args.size
    with tempfile.TemporaryDirectory() as name:
        images, report_path = write_noise(Path(name) / "images.npz", height, width), Path(name) / "node"
        node = [str(Path(__file__).with_name("counting_node.py")), "--report", str(report_path)]
        node += ["--engine-ms", "0", "--ros-args", "-p", f"engine:={WAITING}"]
        play(node, images, int(SPARE * args.frames), args.rate, {**os.environ, **environment(os.environ)})
        report = json.loads(report_path.read_text())
    samples: list[Sample] = rows(report["samples"], Sample)
    marks = [args.frames * step // STEPS for step in range(1, STEPS + 1)]
    if not samples or samples[-1].published < args.frames:
        return [f"only {report['frames']['published']} frames were published; lower --rate"]
    print(f"\n{width}x{height}, {args.rate:g} pairs a second sent\n")
    print(f"{'frames':>8} {'seconds':>8} {'memory, MB':>11} {'threads':>8} {'files':>6}")
    held = [next(sample for sample in samples if sample.published >= mark) for mark in marks]
    for sample in held:
        seconds = (sample.at_ns - samples[0].at_ns) / 1e9
        memory_MB = sample.resident_bytes / 1e6
        print(f"{sample.published:8} {seconds:8.0f} {memory_MB:11.1f} {sample.threads:8} {sample.files:6}")
    grown = []
    for what, most in (("threads", 0), ("files", 0), ("resident_bytes", 1e6 * MOST_GROWTH_MB)):
        growth = getattr(held[-1], what) - getattr(held[0], what)
        if growth > most:
            grown.append(f"{what} grew by {growth} from frame {marks[0]} to {marks[-1]}")
    return grown + unbalanced(report)


class Camera:
    """Publishes pairs of a small size and takes the depth, in this process."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import CameraInfo, Image

        rclpy.init()
        self.node = rclpy.create_node("soak_camera")
        self.newest_ns = 0
        """Stamp of the depth that came last."""
        self.node.create_subscription(Image, "depth/image_rect", self._take, 10)
        self._published: list[tuple[Any, Any]] = []
        for side in ("left", "right"):
            info = CameraInfo(height=48, width=64, k=[50.0, 0.0, 32.0, 0.0, 50.0, 24.0, 0.0, 0.0, 1.0])
            info.p = [50.0, 0.0, 32.0, -5.0 if side == "right" else 0.0, 0.0, 50.0, 24.0, 0.0, 0.0, 0.0, 1.0, 0.0]
            image = Image(height=48, width=64, encoding="mono8", step=64)
            image.data.frombytes(np.random.default_rng(0).integers(0, 255, 48 * 64, np.uint8).tobytes())
            for kind, name, message in ((CameraInfo, "camera_info", info), (Image, "image_rect", image)):
                publisher = self.node.create_publisher(kind, f"{side}/{name}", qos_profile_sensor_data)
                self._published.append((publisher, message))

    def _take(self, message: Any) -> None:
        self.newest_ns = max(self.newest_ns, message.header.stamp.sec * 10**9 + message.header.stamp.nanosec)

    def answered_after_s(self) -> float | None:
        """Publish from now on, until the depth of such a pair comes; how long that took, None if too long."""
        import rclpy

        begin_ns = time.time_ns()
        begin_s = time.monotonic()
        while time.monotonic() - begin_s < ANSWER_TIMEOUT_S:
            stamp_ns = time.time_ns()
            for publisher, message in self._published:
                message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)
                publisher.publish(message)
            end_s = time.monotonic() + 0.05
            while time.monotonic() < end_s:
                rclpy.spin_once(self.node, timeout_sec=0.01)
            if self.newest_ns >= begin_ns:
                return time.monotonic() - begin_s
        return None


@contextmanager
def respawned(how: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process whose child is the node, started again whenever it ends."""
    command = ["-c", LAUNCH, str(LAUNCH_FILE)] if how == "launch" else ["-c", OWN]
    parent = subprocess.Popen(
        [sys.executable, *command], env={**os.environ, **environment(os.environ)}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True, preexec_fn=end_with_parent,
    )  # fmt: skip
    try:
        yield parent
    finally:
        os.killpg(parent.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            parent.wait(END_TIMEOUT_S)
        with suppress(ProcessLookupError):  # a node that was not its child any more
            os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()


def child_of(parent: int) -> int:
    """The node's process."""
    for _ in range(600):
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        children = [c for c in children if "ffs_ros.ros" in Path(f"/proc/{c}/cmdline").read_text()]
        if children:
            return int(children[0])
        time.sleep(0.1)
    raise FfsError("the node was not started again within a minute")


def many_kills(kills: int, how: str) -> list[str]:
    """Kill the node again and again; print how long it took to answer, and return what is wrong."""
    camera, waits_s = Camera(), []
    with respawned(how) as parent:
        if camera.answered_after_s() is None:
            return [f"the node did not answer within {ANSWER_TIMEOUT_S:g} s of its first start"]
        for count in range(1, kills + 1):
            os.kill(child_of(parent.pid), signal.SIGKILL)
            time.sleep(0.1)
            wait_s = camera.answered_after_s()
            if wait_s is None:
                return [f"no depth came within {ANSWER_TIMEOUT_S:g} s of kill {count}"]
            waits_s.append(wait_s)
    p50_s, p100_s = np.percentile(waits_s, (50, 100))
    print(f"\n{kills} times kill -9 under {how}'s respawn: depth came again after each, after {p50_s:.1f} s (p50), ")
    print(f"{p100_s:.1f} s at most; the next start is part of it")
    return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000, help="to publish (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=300.0, help="pairs per second (default: %(default)g)")
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(48, 64))
    parser.add_argument("--kills", type=int, default=50, help="(default: %(default)s)")
    has_launch = importlib.util.find_spec("launch_ros") is not None
    parser.add_argument("--respawn", choices=("launch", "own"), default="launch" if has_launch else "own")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends the other processes too
    os.environ.update(ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST", ROS_DOMAIN_ID=str(own_domain()))
    os.environ.update(environment(os.environ))
    try:
        wrong = many_frames(args) if args.frames else []
        wrong += many_kills(args.kills, args.respawn) if args.kills else []
    except FfsError as error:
        print(f"soak: {error}", file=sys.stderr)
        sys.exit(2)
    print(*(f"wrong: {sentence}" for sentence in wrong), sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
