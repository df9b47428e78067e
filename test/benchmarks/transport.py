"""Camera process -> node process -> consumer process: what arrives, and how long the transport takes.

    python test/benchmarks/transport.py [--pairs 1000] [--rate 30] [--size 480x640] [--only with|without] [--json FILE]

One run with Fast DDS's default transports and one with config/fastdds_large_images.xml. Camera and consumer are
camera_and_consumer.py's; the node is the real one on an engine that takes no time worth mentioning.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from camera_and_consumer import OUTPUTS, play, write_noise

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ros"))


def tapped_node(report: Path, ros_arguments: list[str]) -> None:
    """The real node, which also writes down when each pair came and when each output was handed over."""
    from ffs_ros.ros import node as module

    handed_over_ns: dict[str, dict[int, int]] = {name: {} for name in OUTPUTS}

    def stamp_of(header: Any) -> int:
        return int(header.stamp.sec) * 10**9 + int(header.stamp.nanosec)

    topics = dict(zip(("disparity", "depth"), OUTPUTS, strict=True))

    class TappedOutputs(module.Outputs):
        def _hand_over(self, name: str, message: Any) -> None:
            if name in topics:
                handed_over_ns[topics[name]][stamp_of(message.header)] = time.monotonic_ns()
            super()._hand_over(name, message)

    class TappedNode(module.StereoNode):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.frames.times = deque()
            self.arrivals_ns: dict[int, int] = {}

        def _deposit(self, left: Any, right: Any, arrival_ns: int) -> None:
            self.arrivals_ns[stamp_of(left.header)] = arrival_ns
            super()._deposit(left, right, arrival_ns)

        def destroy_node(self) -> None:
            counts = self.frames.counts._asdict()
            overhead = self.frames.percentiles_ms("overhead_ms")
            published = [times.stamp_ns for times in self.frames.times]
            report.write_text(
                json.dumps([counts, list(self.arrivals_ns.items()), published, overhead,
                            {name: list(times.items()) for name, times in handed_over_ns.items()}])
            )  # fmt: skip
            super().destroy_node()

    module.Outputs, module.StereoNode = TappedOutputs, TappedNode
    module.main(ros_arguments)


def measure(with_profile: bool, pairs: int, rate_hz: float, height: int, width: int) -> dict[str, Any]:
    """What arrived where, and percentiles of how long it took, for ``pairs`` pairs at ``rate_hz``."""
    from tiny_engine import write_tiny_engine

    from ffs_ros.ros.transport import FAST_DDS_2_VARIABLE, PROFILE_VARIABLE, environment

    env = {k: v for k, v in os.environ.items() if k not in (PROFILE_VARIABLE, FAST_DDS_2_VARIABLE)}
    env.update(environment(env) if with_profile else {})
    with tempfile.TemporaryDirectory() as name:
        engine = write_tiny_engine(Path(name) / "tiny.onnx", height, width)
        report = Path(name) / "node"
        node_command = [__file__, "--role", "node", "--json", str(report), "--ros-args", "-p", f"engine:={engine}"]
        played = play(node_command, write_noise(Path(name) / "images.npz", height, width), pairs, rate_hz, env)
        return _summary(played.sent_ns, json.loads(report.read_text()), played.arrivals)


def _summary(sent_ns: list[int], node: list[Any], arrivals: dict[str, list[list[int]]]) -> dict[str, Any]:
    counts, deposited, published, overhead_ms, handed_over = node
    counted = set(sent_ns)
    reached_ns = {stamp: ns for stamp, ns in deposited if stamp in counted}
    published_stamps = [stamp for stamp in published if stamp in counted]
    summary: dict[str, Any] = {
        "sent": len(sent_ns),
        "reached": len(reached_ns),
        "published": len(published_stamps),
        "node": counts,
        "overhead_ms": {int(p): ms for p, ms in overhead_ms.items()},
        "camera_to_node_ms": _percentiles([ns - stamp for stamp, ns in reached_ns.items()]),
        "arrived": {},
        "node_to_consumer_ms": {},
    }
    for output in OUTPUTS:
        began = dict(handed_over[output])
        came = {stamp: ns for stamp, ns in arrivals[output] if stamp in counted}
        summary["arrived"][output] = sum(stamp in came for stamp in published_stamps)
        summary["node_to_consumer_ms"][output] = _percentiles([ns - began[stamp] for stamp, ns in came.items()])
    return summary


def _percentiles(spans_ns: list[int]) -> dict[int, float]:
    return {p: float(np.percentile(spans_ns, p)) / 1e6 if spans_ns else float("nan") for p in (50, 99, 100)}


def _print(name: str, result: dict[str, Any]) -> None:
    node = result["node"]
    print(f"\n{name}")
    print(f"  pairs sent {result['sent']}, reached the node {result['reached']}, published {result['published']}")
    print(f"  node, with warm-up: {', '.join(f'{key} {count}' for key, count in node.items())}")
    for output, count in result["arrived"].items():
        print(f"  {output}: {count} of {result['published']} reached the consumer")
    rows = {"camera to node, both images": result["camera_to_node_ms"]}
    rows.update({f"node to consumer, {output}": ms for output, ms in result["node_to_consumer_ms"].items()})
    for row, ms in rows.items():
        print(f"  {row:<36} p50 {ms[50]:6.1f} ms   p99 {ms[99]:6.1f} ms   max {ms[100]:6.1f} ms")
    print(f"  node without inference               p50 {result['overhead_ms'][50]:6.1f} ms   "
          f"p99 {result['overhead_ms'][99]:6.1f} ms")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="counted pairs")
    parser.add_argument("--rate", type=float, default=30.0, help="pairs per second")
    parser.add_argument("--size", default="480x640", help="rows x columns")
    parser.add_argument("--only", choices=("with", "without"), help="one of the two runs")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--role", choices=("node",), help=argparse.SUPPRESS)
    arguments, ros_arguments = parser.parse_known_args()
    height, width = (int(number) for number in arguments.size.split("x"))
    stream = (arguments.pairs, arguments.rate, height, width)
    if arguments.role == "node":
        return tapped_node(arguments.json, ros_arguments)
    print(f"{arguments.pairs} pairs of {width}x{height} rgb8 at {arguments.rate:g} Hz; {platform.machine()}, "
          f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")  # fmt: skip
    results = {}
    for key, name in (("without", "default transports"), ("with", "config/fastdds_large_images.xml")):
        if arguments.only in (None, key):
            results[key] = measure(key == "with", *stream)
            _print(name, results[key])
    if arguments.json:
        arguments.json.write_text(json.dumps(results))
    return None


if __name__ == "__main__":
    main()
