"""Publishers and subscribers that do not reach each other are named, over a real graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

import rclpy
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from stereo_graph import wait_until

from ffs_ros.finding import Finding, Level
from ffs_ros.ros.doctor.graph import Graph, obstacle

TOPIC = "/camera/image"


def qos(reliable: bool = False, latched: bool = False, **policies: Any) -> QoSProfile:
    return QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
        **policies,
    )


@pytest.mark.parametrize(
    ("offered", "asked", "expected"),
    [
        (qos(), qos(), None),
        (qos(reliable=True, latched=True), qos(), None),
        (qos(reliable=True, latched=True), qos(reliable=True, latched=True), None),
        (qos(), qos(reliable=True), "reliability: reliable is asked for, best_effort is offered"),
        (qos(reliable=True), qos(reliable=True, latched=True), "durability: transient_local is asked for"),
        (qos(deadline=Duration(seconds=0.01)), qos(), None),
        (qos(deadline=Duration(seconds=0.01)), qos(deadline=Duration(seconds=0.02)), None),
        (qos(), qos(deadline=Duration(seconds=0.02)), "deadline: 20 ms are asked for"),
    ],
)
def test_which_profiles_meet(offered: QoSProfile, asked: QoSProfile, expected: str | None) -> None:
    """As DDS decides it."""
    found = obstacle(offered, asked)
    assert (found is None) == (expected is None)
    assert expected is None or str(found).startswith(expected)


class Camera:
    """Other nodes, each in a participant of its own, because one of them cannot have a topic under two types."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []

    def node(self, name: str) -> Any:
        context = rclpy.context.Context()
        rclpy.init(context=context)
        self._nodes.append(rclpy.create_node(name, context=context))
        return self._nodes[-1]

    def close(self) -> None:
        for node in self._nodes:
            node.destroy_node()
            rclpy.shutdown(context=node.context)


@pytest.fixture
def make() -> Iterator[Camera]:
    """Makes nodes that end with the test."""
    camera = Camera()
    yield camera
    camera.close()


def findings(graph: Graph, node: Any, topic: str, publishers: int, subscribers: int) -> list[Finding]:
    """What is found once everybody is discovered by ``node``, and by name."""

    def discovered() -> bool:
        ends = node.get_publishers_info_by_topic(topic), node.get_subscriptions_info_by_topic(topic)
        named = [sum("UNKNOWN" not in end.node_name for end in kind) for kind in ends]
        return named == [publishers, subscribers]

    wait_until(discovered, "discovery")
    return graph.look().findings


def test_a_connection_that_works_is_no_finding(make: Camera) -> None:
    """Neither with nobody there, nor with a publisher that fits."""
    node = make.node("stereo_node")
    graph = Graph(node, [node.create_subscription(Image, TOPIC, print, qos())])
    assert graph.look() == ([], set())
    make.node("driver").create_publisher(Image, TOPIC, qos(reliable=True))
    assert findings(graph, node, TOPIC, 1, 1) == []
    assert graph.look().cut_off == set()


def test_another_type_is_named(make: Camera) -> None:
    """With who publishes what, and nothing else can come."""
    node = make.node("stereo_node")
    graph = Graph(node, [node.create_subscription(Image, TOPIC, print, qos())])
    make.node("driver").create_publisher(CompressedImage, TOPIC, qos())
    (finding,) = findings(graph, node, TOPIC, 1, 1)
    assert (finding.name, finding.level) == ("another type", Level.ERROR)
    assert f"{TOPIC} is published as sensor_msgs/msg/CompressedImage by /driver" in finding.sentence
    assert "image_transport" in finding.sentence
    assert graph.look().cut_off == {TOPIC}


def test_quality_of_service_that_does_not_meet_is_named(make: Camera) -> None:
    """An error when nobody reaches the input, a warning when somebody else does; and two publishers mix."""
    node, driver = make.node("stereo_node"), make.node("driver")
    graph = Graph(node, [node.create_subscription(Image, TOPIC, print, qos(reliable=True))])
    driver.create_publisher(Image, TOPIC, qos())
    (finding,) = findings(graph, node, TOPIC, 1, 1)
    assert (finding.name, finding.level) == ("input QoS", Level.ERROR)
    assert (
        "nothing of what /driver publishes on /camera/image arrives at this node (reliability: reliable"
        in finding.sentence
    )
    assert f"set its qos_overrides.{TOPIC}.subscription.reliability" in finding.sentence
    assert graph.look().cut_off == {TOPIC}
    for name in ("bag", "second_driver"):
        make.node(name).create_publisher(Image, TOPIC, qos(reliable=True))
    found = findings(graph, node, TOPIC, 3, 1)
    assert [(f.name, f.level) for f in found] == [("input QoS", Level.WARN), ("several publishers", Level.WARN)]
    assert "/bag and /driver and /second_driver" in found[1].sentence
    assert graph.look().cut_off == set()


def test_consumers_that_get_nothing_are_named(make: Camera) -> None:
    """The publisher's side: a subscriber that asks for more than is offered, or for another type."""
    node = make.node("stereo_node")
    graph = Graph(node, [], [node.create_publisher(Image, "/depth", qos(reliable=True))])
    viewer = make.node("viewer")
    viewer.create_subscription(Image, "/depth", print, qos(reliable=True))
    viewer.create_subscription(Image, "/depth", print, qos(reliable=True, latched=True))
    make.node("recorder").create_subscription(CompressedImage, "/depth", print, qos())
    found = findings(graph, node, "/depth", 1, 3)
    assert {(f.name, f.level) for f in found} == {("output QoS", Level.WARN), ("output type", Level.WARN)}
    sentences = " ".join(finding.sentence for finding in found)
    assert "/viewer gets nothing of /depth (durability: transient_local is asked for, volatile is offered)" in sentences
    assert "/recorder subscribes to /depth as sensor_msgs/msg/CompressedImage" in sentences


def test_other_subscribers_are_looked_at_on_demand(make: Camera) -> None:
    """For who looks from outside: the node that asks for more than the driver offers."""
    doctor = make.node("doctor")
    subscription = doctor.create_subscription(Image, TOPIC, print, qos())
    make.node("driver").create_publisher(Image, TOPIC, qos())
    make.node("stereo_node").create_subscription(Image, TOPIC, print, qos(reliable=True))
    graph = Graph(doctor, [subscription], others=True)
    (finding,) = findings(graph, doctor, TOPIC, 1, 2)
    assert (finding.name, finding.level) == ("input QoS", Level.ERROR)
    assert "arrives at /stereo_node (reliability" in finding.sentence
    assert Graph(doctor, [subscription]).look().findings == []
