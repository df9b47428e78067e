"""What the doctor's looks cost the frames: their overhead while it looks at pictures, beside that of the others.

    python test/benchmarks/doctor_beside_frames.py [--pairs 1500] [--rate 30] [--every 2]

The real node on a small ONNX graph, as in node_overhead.py. The doctor looks every ``--every`` seconds, much more often
than the node lets it, at every pair that it is offered: 640x480 noise, which has as many features as it takes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "ros"), str(Path(__file__).resolve().parent)]

HEIGHT, WIDTH = 480, 640


def node(report: Path, every_s: float, ros_arguments: list[str]) -> None:
    """The node; at its end it writes down each frame's arrival, end and overhead, and when the doctor looked."""
    from ffs_ros.ros import node as module
    from ffs_ros.ros.doctor import images

    looks: list[tuple[int, int, float]] = []
    plain_look = images.Images.look_at

    def look_at(self: Any, sample: Any) -> None:
        begin_ns, cpu_s = time.monotonic_ns(), time.thread_time()
        plain_look(self, sample)
        looks.append((begin_ns, time.monotonic_ns(), time.thread_time() - cpu_s))

    class WatchedNode(module.StereoNode):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.frames.times = deque()

        def destroy_node(self) -> None:
            frames = [(t.arrival_ns, t.published_ns, t.overhead_ms) for t in self.frames.times]
            report.write_text(json.dumps({"frames": frames, "looks": looks}))
            super().destroy_node()

    images.Images.look_at = look_at
    images.Images.__init__.__defaults__ = (2, 1)  # every sample, not one of CALM
    module.REPORT_PERIOD_S, module.StereoNode = every_s, WatchedNode
    module.main(ros_arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=30.0, help="pairs per second")
    parser.add_argument("--every", type=float, default=2.0, help="seconds from look to look")
    parser.add_argument("--json", type=Path, help=argparse.SUPPRESS)
    arguments, ros_arguments = parser.parse_known_args()
    if arguments.json:
        return node(arguments.json, arguments.every, ros_arguments)
    from camera_and_consumer import play, write_noise
    from tiny_engine import write_tiny_engine

    from ffs_ros.ros.transport import environment

    with tempfile.TemporaryDirectory() as name:
        report, engine = Path(name) / "report", write_tiny_engine(Path(name) / "tiny.onnx", HEIGHT, WIDTH)
        images = write_noise(Path(name) / "images.npz", HEIGHT, WIDTH)
        own = [__file__, "--every", str(arguments.every), "--json", str(report)]
        own += ["--ros-args", "-p", f"engine:={engine}"]
        play(own, images, arguments.pairs, arguments.rate, {**os.environ, **environment(os.environ)})
        told = json.loads(report.read_text())
    frames = np.array(told["frames"], float)
    looks = np.array(told["looks"], float)
    beside = np.zeros(len(frames), bool)
    for begin_ns, end_ns, _ in looks:
        beside |= (frames[:, 1] > begin_ns) & (frames[:, 0] < end_ns)
    seconds = (looks[:, 1] - looks[:, 0]) / 1e9
    print(
        f"{WIDTH}x{HEIGHT} rgb8 at {arguments.rate:g} Hz, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}: "
        f"{len(looks)} looks of {1e3 * np.median(seconds):.0f} ms ({1e3 * np.median(looks[:, 2]):.0f} ms of a core)"
    )
    for words, chosen in (("while it looks", beside), ("otherwise", ~beside)):
        p50, p99 = np.percentile(frames[chosen, 2], (50, 99))
        print(f"  {words:<15} {np.count_nonzero(chosen):5} frames   overhead p50 {p50:.2f} ms, p99 {p99:.2f} ms")
    return None


if __name__ == "__main__":
    main()
