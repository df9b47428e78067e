"""Hostile messages: no crash, no hang, nothing published that the messages do not say, and sound pairs come out.

``test/benchmarks/fuzz_node.py`` sends as many as one likes; these are its first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
pytest.importorskip("hypothesis")

from fuzzed_node import SETTINGS, FuzzedGraph, FuzzedNode, draw
from stereo_graph import Graph, NodeProcess


@pytest.mark.parametrize("parameters", SETTINGS, ids=str)
def test_the_node_itself(parameters: dict[str, Any], graph: Graph) -> None:
    """Messages that a publisher can send, through the node's callbacks, pairing, worker and outputs."""
    fuzzed = FuzzedNode(graph.context, **parameters)
    try:
        draw(100, number=1, send=fuzzed.send)
    finally:
        fuzzed.close()
    counts = fuzzed.node.frames.counts
    assert counts.in_flight == 0
    assert min(counts.published, counts.rejected) > 20
    assert fuzzed.had_to > (2 if parameters.get("rectify") else 20)
    assert fuzzed.judge.hostile > 150


def test_over_the_graph(graph: Graph, tmp_path: Path) -> None:
    """Some of them through the middleware, to a node in a process of its own that ends well."""
    script = Path(__file__).with_name("known_engine.py")
    node = NodeProcess(tmp_path / "node.log", {}, program=(str(script),))
    try:
        fuzzed = FuzzedGraph(graph, node)
        draw(50, number=2, send=fuzzed.send)
        assert fuzzed.recovered == 5
        assert fuzzed.judge.judged > 15
        assert "Traceback" not in node.said()
    finally:
        assert node.stop() == 0, node.said()
