"""Hostile Image and CameraInfo messages against the real node: no crash, no hang, no wrong depth published.

    python test/benchmarks/fuzz_node.py [--messages 20000] [--over-ros 600] [--seed 0]

Most go through the node's callbacks, pairing, worker and outputs in this process, the rest over the ROS graph to a node
in a process of its own. Each output is compared with what its messages say by definition, worked out anew
(test/ros/depth_oracle.py), and it stops at the first that is wrong. A hang ends it with the stacks of all threads.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROS_TESTS = Path(__file__).resolve().parents[1] / "ros"
sys.path[:0] = [str(ROS_TESTS)]

BATCH = 250
"""Exchanges of one seed."""
LONGEST_BATCH_S = 300.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=20_000, help="hostile messages in all")
    parser.add_argument("--over-ros", type=int, default=600, help="of them over the ROS graph")
    parser.add_argument("--seed", type=int, default=0, help="of the first batch")
    arguments = parser.parse_args()
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    import rclpy
    from fuzzed_node import SETTINGS

    rclpy.init()
    for index, parameters in enumerate(SETTINGS):
        in_process(
            parameters, (arguments.messages - arguments.over_ros) // len(SETTINGS), arguments.seed + 1000 * index
        )
    rclpy.shutdown()
    over_ros(arguments.over_ros, arguments.seed)


def in_process(parameters: dict[str, Any], messages: int, seed: int) -> None:
    from fuzzed_node import FuzzedNode, draw

    fuzzed = FuzzedNode(None, **parameters)
    started_s, batch, memory_kib = time.monotonic(), 0, 0
    while fuzzed.judge.hostile < messages:
        faulthandler.dump_traceback_later(LONGEST_BATCH_S, exit=True)
        draw(BATCH, seed + batch, fuzzed.send)
        batch += 1
        memory_kib = memory_kib or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    faulthandler.cancel_dump_traceback_later()
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory_kib) / 1024
    fuzzed.close()
    print(
        f"in this process, {parameters or 'as it is'}: {fuzzed.judge.hostile} hostile messages in {fuzzed.exchanges} "
        f"exchanges, {time.monotonic() - started_s:.0f} s, peak memory {grown_mib:+.0f} MiB since the first batch\n"
        f"  {fuzzed.node.frames.counts}\n  {fuzzed.judge.judged} outputs right; of {fuzzed.had_to} pairs something had "
        "to come out, and did",
        flush=True,
    )


def over_ros(messages: int, seed: int) -> None:
    from fuzzed_node import FuzzedGraph, draw
    from stereo_graph import Graph, NodeProcess

    with tempfile.TemporaryDirectory() as folder:
        node = NodeProcess(Path(folder) / "log", {}, program=(str(ROS_TESTS / "known_engine.py"),))
        graph = Graph()
        started_s = time.monotonic()
        try:
            fuzzed = FuzzedGraph(graph, node)
            batch = 0
            while fuzzed.judge.hostile < messages:
                faulthandler.dump_traceback_later(LONGEST_BATCH_S, exit=True)
                draw(50, seed + batch, fuzzed.send)
                batch += 1
            faulthandler.cancel_dump_traceback_later()
        finally:
            exit_code, said = node.stop(), node.said()
            graph.close()
    if exit_code or "Traceback" in said:
        sys.exit(f"the node ended with {exit_code}: {said[-3000:]}")
    print(
        f"over the ROS graph: {fuzzed.judge.hostile} hostile messages in {fuzzed.exchanges} exchanges, "
        f"{time.monotonic() - started_s:.0f} s\n  {fuzzed.judge.judged} outputs right; {fuzzed.recovered} times a "
        "sound pair had to come out, and did; exit code 0"
    )


if __name__ == "__main__":
    main()
