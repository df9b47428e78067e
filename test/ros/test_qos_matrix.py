"""Reliable or best effort, volatile or transient local, on both ends of inputs and outputs.

What fits flows; the rest is named, with its policy and what to set.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from known_engine import open_engine
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from stereo_graph import Graph, camera_infos, image_message, stamp_ns_of, wait_until

from ffs_ros import live_engine
from ffs_ros.geometry import StereoCamera
from ffs_ros.ros.node import StereoNode

CAMERA = StereoCamera(
    width=16, height=12, fx_px=20.0, fy_px=20.0, cx_left_px=8.0, cx_right_px=8.0, cy_px=6.0, baseline_m=0.1
)
INFOS, IMAGES = ("left/camera_info", "right/camera_info"), ("left/image_rect", "right/image_rect")
INPUTS = {**dict.fromkeys(INFOS, CameraInfo), **dict.fromkeys(IMAGES, Image)}
DEPTH = "depth/image_rect"


class Qos(NamedTuple):
    """The two policies that keep ends apart."""

    reliability: str
    durability: str

    @property
    def profile(self) -> QoSProfile:
        """For one end."""
        return QoSProfile(
            depth=5,
            reliability=ReliabilityPolicy[self.reliability.upper()],
            durability=DurabilityPolicy[self.durability.upper()],
        )

    def lacks(self, asked: Qos) -> list[str]:
        """The policies for which a publisher with this does not reach a subscription with ``asked``."""
        weak = {"reliability": ("best_effort", "reliable"), "durability": ("volatile", "transient_local")}
        return [policy for policy, pair in weak.items() if (getattr(self, policy), getattr(asked, policy)) == pair]


QOS = [Qos(*pair) for pair in itertools.product(("reliable", "best_effort"), ("volatile", "transient_local"))]


class Nodes:
    """Nodes in this process, one for each of ``QOS``, which all listen to one pair of cameras."""

    def __init__(self, context: Any) -> None:
        self._executor = SingleThreadedExecutor(context=context)
        self.made: dict[Qos, StereoNode] = {}
        for index, qos in enumerate(QOS):
            ends = [f"/{topic}.subscription" for topic in INPUTS] + [f"/n{index}/{DEPTH}.publisher"]
            node = StereoNode(
                context=context,
                namespace=f"/n{index}",
                cli_args=["--ros-args", *(item for topic in INPUTS for item in ("-r", f"{topic}:=/{topic}"))],
                parameter_overrides=[
                    Parameter(f"qos_overrides.{end}.{policy}", value=getattr(qos, policy))
                    for end in ends
                    for policy in Qos._fields
                ],
            )
            node.start()
            self._executor.add_node(node)
            self.made[qos] = node

    def spin(self) -> None:
        """Serve what waits."""
        for _ in range(16):
            self._executor.spin_once(timeout_sec=0.001)

    def findings(self, qos: Qos, name: str) -> list[str]:
        """The sentences of a kind that the doctor of one node has now."""
        node = self.made[qos]
        node._look()
        return [finding.sentence for finding in node.findings if finding.name == name]

    def close(self) -> None:
        """Leave the graph."""
        for node in self.made.values():
            node.close()
            node.destroy_node()
        self._executor.shutdown()


@pytest.fixture
def graph() -> Iterator[Graph]:
    """A camera and a consumer of this file's own making."""
    graph = Graph(subscribe=False)
    yield graph
    graph.close()


@pytest.fixture
def nodes(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Every node of the matrix."""
    monkeypatch.setattr(live_engine, "open_engine", open_engine)
    nodes = Nodes(graph.context)
    graph.also_spin = nodes.spin
    yield nodes
    nodes.close()


@pytest.fixture
def pair() -> tuple[Image, Image]:
    """Two images of noise."""
    left, right = np.random.default_rng(0).integers(0, 250, (2, CAMERA.height, CAMERA.width, 3), np.uint8)
    return image_message(left), image_message(right)


def offer(graph: Graph, qos: Qos) -> None:
    """Publish the inputs with ``qos`` from now on."""
    for publisher in graph.publishers.values():
        graph.node.destroy_publisher(publisher)
    graph.publishers = {t: graph.node.create_publisher(kind, t, qos.profile) for t, kind in INPUTS.items()}


def send_until(happened: Callable[[], Any], graph: Graph, pair: tuple[Image, Image]) -> None:
    """Send pairs with their calibration until it ``happened``."""

    def send() -> None:
        graph.publish_pair(*pair, camera_infos(CAMERA))
        for _ in range(9):  # consumers; with one timeout for all, or rclpy serves the first ones only
            graph.spin(0.005)

    wait_until(happened, "depth at every consumer that can have it", send)


@pytest.mark.parametrize("offered", QOS, ids="-".join)
def test_publishers_of_the_inputs(offered: Qos, graph: Graph, nodes: Nodes, pair: tuple[Image, Image]) -> None:
    """What a camera offers reaches the nodes that ask for no more; each of the others names all four topics."""
    offer(graph, offered)
    reached = {qos for qos in QOS if not offered.lacks(qos)}
    arrived: dict[Qos, list[Image]] = {qos: [] for qos in QOS}
    undemanding = Qos("best_effort", "volatile").profile
    for index, qos in enumerate(QOS):
        graph.node.create_subscription(Image, f"/n{index}/{DEPTH}", arrived[qos].append, undemanding)
    send_until(lambda: all(len(arrived[qos]) > 1 for qos in reached), graph, pair)
    assert {qos for qos in QOS if arrived[qos]} == reached
    for qos in QOS:
        said = nodes.findings(qos, "input QoS")
        assert len(said) == (0 if qos in reached else 4)
        for topic, sentence in zip(INPUTS, said, strict=False):
            policy = offered.lacks(qos)[0]
            why = f"({policy}: {getattr(qos, policy)} is asked for, {getattr(offered, policy)} is offered)"
            assert f"publishes on /{topic} arrives at this node {why}" in sentence
            assert f"set its qos_overrides./{topic}.subscription.{policy} to what is offered" in sentence


def test_subscribers_of_an_output(graph: Graph, nodes: Nodes, pair: tuple[Image, Image]) -> None:
    """What a node offers reaches the consumers that ask for no more; of the others the node says what they ask for."""
    offer(graph, Qos("reliable", "transient_local"))  # reaches every node
    arrived: dict[tuple[Qos, Qos], set[int]] = {ends: set() for ends in itertools.product(QOS, QOS)}
    for index, offered in enumerate(QOS):
        for asked in QOS:
            take = arrived[offered, asked].add
            graph.node.create_subscription(
                Image, f"/n{index}/{DEPTH}", lambda message, take=take: take(stamp_ns_of(message)), asked.profile
            )
    fit = {(offered, asked) for offered, asked in arrived if not offered.lacks(asked)}
    send_until(lambda: all(len(arrived[ends]) > 1 for ends in fit), graph, pair)
    assert {ends for ends, stamps in arrived.items() if stamps} == fit
    for index, offered in enumerate(QOS):
        said = nodes.findings(offered, "output QoS")
        lacking = [offered.lacks(asked)[0] for asked in QOS if offered.lacks(asked)]
        assert len(said) == len(lacking)
        for policy in ("reliability", "durability"):
            remedy = f"qos_overrides./n{index}/{DEPTH}.publisher.{policy} for this node"
            assert sum(remedy in sentence for sentence in said) == lacking.count(policy)


@pytest.mark.parametrize("told", [True, False])
def test_a_calibration_that_was_sent_once(
    told: bool, graph: Graph, pair: tuple[Image, Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A latched CameraInfo from before the node's start comes to a node with the parameters that its advice names."""
    monkeypatch.setattr(live_engine, "open_engine", open_engine)
    offer(graph, Qos("reliable", "transient_local"))
    for topic, info in zip(INFOS, camera_infos(CAMERA), strict=True):
        graph.publish(topic, info)
    latched = {"durability": "transient_local", "reliability": "reliable"}
    overrides = [
        Parameter(f"qos_overrides./{topic}.subscription.{policy}", value=value)
        for topic in INFOS
        for policy, value in latched.items()
    ]
    node = StereoNode(context=graph.context, parameter_overrides=overrides if told else [])
    executor = SingleThreadedExecutor(context=graph.context)
    try:
        node.start()
        executor.add_node(node)
        graph.also_spin = lambda: executor.spin_once(timeout_sec=0.001)
        graph.subscribe()

        def send() -> None:
            graph.publish_pair(*pair, None)
            for _ in range(8):
                graph.spin(0.005)

        wait_until(lambda: (node.frames.counts.published if told else node.frames.counts.rejected) > 2, "an end", send)
        if not told:
            assert node.frames.counts.published == 0
            advice = " and ".join(f"{policy}: {value}" for policy, value in latched.items())
            assert f"set {advice} in qos_overrides./left/camera_info.subscription" in node.frames.reason
    finally:
        executor.shutdown()
        node.close()
        node.destroy_node()
