"""Tests over a ROS graph of this machine's and this run's own."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from own_domain import own_domain

from ffs_ros.ros.transport import environment

os.environ["ROS_DOMAIN_ID"] = str(own_domain())  # before anything initializes ROS
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.update(environment(os.environ))


@pytest.fixture
def graph() -> Iterator[Any]:
    """A camera and a consumer of all outputs."""
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    from stereo_graph import Graph

    gc.collect()  # rclpy keeps the services of a destroyed lifecycle node on the graph until the node is collected
    graph = Graph()
    yield graph
    graph.close()


@pytest.fixture
def start_node(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Starts ``stereo_node`` with parameters; it ends with the test, which fails when it did not end well."""
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    from stereo_graph import NODE, NodeProcess

    nodes: list[NodeProcess] = []

    def start(*arguments: str, program: Sequence[str] = NODE, **parameters: Any) -> NodeProcess:
        log = tmp_path / f"stereo_node{len(nodes)}.log"
        nodes.append(NodeProcess(log, parameters, *arguments, program=program))
        return nodes[-1]

    yield start
    for node in nodes:
        alive = node.alive
        exit_code = node.stop()
        print(node.said())
        assert not alive or exit_code == 0, f"stereo_node ended with {exit_code}"


@pytest.fixture
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An engine whose answer is known, of the test's HEIGHT and WIDTH."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from tiny_engine import write_tiny_engine

    return write_tiny_engine(tmp_path / "tiny.onnx", request.module.HEIGHT, request.module.WIDTH)
