"""The node says why there is no depth while it runs: each fault over the real graph, and that it is over."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from stereo_graph import Graph, camera_infos, image_message

from ffs_ros.finding import Finding, Level
from ffs_ros.ros import node as module
from ffs_ros.ros.doctor.images import Images

PERIOD_S = 0.25
RNG = np.random.default_rng(0)


@pytest.fixture
def start(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., module.StereoNode]]:
    """Starts the node in this process, with a look every ``PERIOD_S``."""
    monkeypatch.setattr(module, "REPORT_PERIOD_S", PERIOD_S)
    monkeypatch.setattr(Images, "_look_politely", Images.look_at)  # nobody waits here but this test
    started: list[tuple[module.StereoNode, SingleThreadedExecutor]] = []

    def start(**parameters: Any) -> module.StereoNode:
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        node = module.StereoNode(
            context=graph.context, parameter_overrides=[Parameter("engine", value="sgbm"), *overrides]
        )  # fmt: skip
        executor = SingleThreadedExecutor(context=graph.context)
        executor.add_node(node)
        started.append((node, executor))
        assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS

        def spin() -> None:
            for _ in range(12):
                executor.spin_once(timeout_sec=0.002)

        graph.also_spin = spin
        return node

    yield start
    for node, executor in started:
        node.close()
        executor.shutdown()
        node.destroy_node()


class Stream:
    """A camera that plays what it is given, with the noise of a sensor."""

    def __init__(self, graph: Graph, node: module.StereoNode, scene: Any) -> None:
        self.graph, self.node = graph, node
        self.images: tuple[np.ndarray, np.ndarray] = (scene.left_HW3, scene.right_HW3)
        self.infos: Any = camera_infos(scene.camera)
        self.noisy = True
        graph.wait_for_node()

    def play(self) -> None:
        """One pair."""
        noise = RNG.integers(0, 3 if self.noisy else 1, (2, *self.images[0].shape), np.uint8)
        messages = [image_message(np.minimum(image, 253) + n) for image, n in zip(self.images, noise, strict=True)]
        self.graph.publish_pair(messages[0], messages[1], self.infos)

    def find(self, name: str) -> Finding:
        """Play until the node finds ``name``, and nothing else."""

        def found() -> bool:
            self.play()
            return [finding.name for finding in self.node.findings] == [name]

        self.graph.wait(found, f"the finding '{name}' alone")
        return self.node.findings[0]

    def recover(self) -> None:
        """Play until nothing is wrong any more."""

        def healthy() -> bool:
            self.play()
            return not self.node.findings

        self.graph.wait(healthy, "the end of all findings")


def test_pictures_give_faults_away(graph: Graph, start: Callable[..., module.StereoNode], scene: Any) -> None:
    """Exchanged, identical, shifted, black and frozen images under calibrations that are right: named one by one."""
    left, right = scene.left_HW3, scene.right_HW3
    stream = Stream(graph, start(), scene)
    stream.recover()
    faults = {
        "identical images": (left, left),
        "not rectified": (left, np.roll(right, 5, axis=0)),
        "black image": (left // 32, right),
    }
    for name, images in faults.items():
        stream.images = images
        stream.noisy = name != "identical images"
        names = {"identical images": {name, "frozen image"}}.get(name, {name})

        def found(names: set[str] = names) -> bool:
            stream.play()
            return names <= {finding.name for finding in stream.node.findings}

        graph.wait(found, f"the finding '{name}'")
    stream.images = (right, left)
    graph.wait(lambda: stream.play() or "left and right swapped" in _names(stream.node), "swapped sides")
    (finding,) = (f for f in stream.node.findings if f.name == "left and right swapped")
    assert finding.level == Level.ERROR
    assert "exchange the remaps" in finding.sentence
    stream.images, stream.noisy = (left, right), False
    stream.find("frozen image")
    stream.noisy = True
    stream.recover()


def test_calibrations_and_stamps(graph: Graph, start: Callable[..., module.StereoNode], scene: Any) -> None:
    """No calibration, a wrong one, stamps of another time, time that jumps back; then all is well."""
    stream = Stream(graph, start(), scene)
    infos, stream.infos = stream.infos, None
    assert "/left/camera_info" in stream.find("no CameraInfo").sentence
    stream.infos = camera_infos(scene.camera)[::-1]
    assert "swapped" in stream.find("CameraInfo unusable").sentence
    stream.infos = infos
    stream.recover()
    graph._stamp_ns += 3_600_000_000_000
    assert "1.0 h" in stream.find("stamps ahead").sentence or "60.0 min" in stream.node.findings[0].sentence
    graph._stamp_ns = 0
    assert "jumped back once" in stream.find("time jumped back").sentence
    stream.recover()


def test_connections(graph: Graph, start: Callable[..., module.StereoNode]) -> None:
    """A camera that offers less than is asked for, and a consumer that asks for more than is offered."""
    node = start(**{"qos_overrides./left/image_rect.subscription.reliability": "reliable"})
    graph.node.create_subscription(
        Image, "depth/image_rect", print, QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    )
    graph.wait(lambda: {"input QoS", "output QoS"} <= _names(node), "both findings")
    by_name = {finding.name: finding for finding in node.findings}
    assert by_name["input QoS"].level == Level.ERROR
    assert "/stereo_test publishes on /left/image_rect" in by_name["input QoS"].sentence
    assert "/stereo_test gets nothing of /depth/image_rect" in by_name["output QoS"].sentence
    assert "no image has come on /right/image_rect" in by_name["no images"].sentence
    assert "/left/image_rect" not in by_name["no images"].sentence.split("for")[0]


def _names(node: module.StereoNode) -> set[str]:
    return {finding.name for finding in node.findings}
