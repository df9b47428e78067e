"""What a robot's monitor hears on /diagnostics, over the ROS graph."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import faulty_engine
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from faulty_engine import FAULTY, Fault
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from stereo_graph import Graph, camera_infos, image_message

from ffs_ros.arrivals import KEPT
from ffs_ros.geometry import StereoCamera
from ffs_ros.ros.node import REPORT_PERIOD_S

HEIGHT, WIDTH = 40, 50
IMPATIENT = (faulty_engine.__file__, "--impatient")
CAMERA = StereoCamera(WIDTH, HEIGHT, 50.0, 50.0, 24.0, 24.0, 16.0, 0.1)


def picture(fault: Fault = Fault.NONE) -> Any:
    """A black image that asks for a fault."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[0, 0, 0] = fault
    return image_message(pixels)


class Monitor:
    """Keeps the newest status of each name."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.arrays: list[DiagnosticArray] = []
        graph.node.create_subscription(DiagnosticArray, "/diagnostics", self.arrays.append, 10)

    def status(self, name: str) -> Any:
        """The newest of this name, None before there is one."""
        found = [status for array in self.arrays[-1:] for status in array.status if status.name == name]
        return found[0] if found else None

    def wait(self, name: str, text: str, level: bytes, step: Callable[[], Any] = lambda: None) -> dict[str, str]:
        """Until the status says so, with a step every 20 ms; gives its values."""
        stepped_s = 0.0

        def said() -> bool:
            nonlocal stepped_s
            if time.monotonic() - stepped_s > 0.02:
                step()
                stepped_s = time.monotonic()
            status = self.status(name)
            return status is not None and text in status.message and status.level == level

        self.graph.wait(said, f"{name}: {text}")
        return {entry.key: entry.value for entry in self.status(name).values}


@pytest.fixture
def monitor(graph: Graph) -> Monitor:
    """Subscribed to /diagnostics."""
    return Monitor(graph)


def send(graph: Graph, fault: Fault = Fault.NONE) -> None:
    """One pair."""
    graph.publish_pair(picture(fault), picture(), camera_infos(CAMERA))


def test_a_working_node_says_so(graph: Graph, monitor: Monitor, start_node: Callable[..., Any]) -> None:
    """Three statuses once a second under the node's full name, all OK, with books that balance."""
    start_node("-r", "__ns:=/robot", *remapped(), program=(faulty_engine.__file__,), engine=FAULTY)
    graph.exchange(picture(), picture(), camera_infos(CAMERA))
    values = monitor.wait(
        "robot/stereo_node: output", "ms after the second image", DiagnosticStatus.OK, lambda: send(graph)
    )
    assert {f"{stage} {p} (ms)" for stage in ("decode", "inference", "depth", "publish") for p in ("p50", "p95")} <= {
        *values
    }
    assert values["valid share"] == "1.000"
    assert 0.0 < float(values["age p50 (ms)"]) < 10_000.0, "the test stamps by the same clock"
    ended = ("published", "replaced by a newer one", "rejected", "failed", "not wanted", "in flight")
    matched = sum(int(values[name]) for name in ended)
    (came,) = ({e.key: e.value for e in s.values} for s in monitor.arrays[-1].status if s.name.endswith("input"))
    assert int(came["matched"]) == matched > 0
    for side in ("left", "right"):
        counts = [int(came[f"{side} {what}"]) for what in ("received", "unmatched", "waiting")]
        assert counts[0] == matched + counts[1] + counts[2]
    assert float(came["matched (Hz)"]) > 0
    assert {status.hardware_id for status in monitor.arrays[-1].status} == {"GPU of a test"}
    engine = monitor.wait("robot/stereo_node: engine", "faulty on a test", DiagnosticStatus.OK)
    assert engine["pixels that were no numbers"] == "0"
    names = [status.name.partition(": ")[2] for status in monitor.arrays[-1].status]
    assert names == ["input", "output", "engine"]
    apart_s = [
        (b.header.stamp.sec - a.header.stamp.sec) + (b.header.stamp.nanosec - a.header.stamp.nanosec) / 1e9
        for a, b in zip(monitor.arrays, monitor.arrays[1:], strict=False)
    ]
    graph.wait(lambda: len(monitor.arrays) > 2, "another second")
    assert all(s > 0.5 for s in apart_s), apart_s


def remapped() -> list[str]:
    """From the namespace to the test's topics."""
    topics = ("left/image_rect", "left/camera_info", "right/image_rect", "right/camera_info", "disparity",
              "depth/image_rect", "depth/camera_info")  # fmt: skip
    return [word for topic in topics for word in ("-r", f"{topic}:=/{topic}")]


def test_faults_change_the_level_and_their_end_changes_it_back(
    graph: Graph, monitor: Monitor, start_node: Callable[..., Any]
) -> None:
    """Bad answers: an error; some bad pixels: a warning with their number; then fine again."""
    start_node(program=IMPATIENT, engine=FAULTY)
    graph.exchange(picture(), picture(), camera_infos(CAMERA))
    for name in ("engine", "output"):
        monitor.wait(
            f"stereo_node: {name}", "are no numbers", DiagnosticStatus.ERROR, lambda: send(graph, Fault.MANY_NAN)
        )
    monitor.wait("stereo_node: engine", "no numbers, and are masked", DiagnosticStatus.WARN, lambda: send(graph))
    values = monitor.wait("stereo_node: output", "Hz", DiagnosticStatus.OK, lambda: send(graph))
    assert int(values["failed"]) > 0
    assert "are no numbers" in values["last dropped because"]
    unequal = image_message(np.zeros((HEIGHT, WIDTH + 2, 3), np.uint8))
    monitor.wait(
        "stereo_node: output",
        "expected equal sizes",
        DiagnosticStatus.WARN,
        lambda: graph.publish_pair(picture(), unequal, camera_infos(CAMERA)),
    )


def test_a_camera_that_dies_is_seen_before_the_next_look(
    graph: Graph, monitor: Monitor, start_node: Callable[..., Any]
) -> None:
    """By its own rate, long before the 5 s between two looks; and it is over as soon when images come again."""
    start_node(program=(faulty_engine.__file__,), engine=FAULTY)
    graph.exchange(picture(), picture(), camera_infos(CAMERA))
    for _ in range(2 * KEPT):  # until the rate is known
        send(graph)
        time.sleep(0.02)
    monitor.wait("stereo_node: input", "Hz", DiagnosticStatus.OK, lambda: send(graph))

    def send_left() -> None:
        message = picture()
        message.header = graph.next_header()
        graph.publish("left/image_rect", message)

    dead = "no image has come on /right/image_rect for "
    monitor.wait("stereo_node: input", dead, DiagnosticStatus.ERROR, send_left)
    message = monitor.status("stereo_node: input").message
    assert float(message.removeprefix(dead).split()[0]) < REPORT_PERIOD_S
    assert ", while the other side delivers " in message
    monitor.wait("stereo_node: input", "Hz", DiagnosticStatus.OK, lambda: send(graph))


def test_an_engine_that_hangs_is_an_error_while_it_hangs(
    graph: Graph, monitor: Monitor, start_node: Callable[..., Any]
) -> None:
    """The executor lives on while the worker waits for the engine, and says for how long."""
    start_node(program=IMPATIENT, engine=FAULTY)
    graph.exchange(picture(), picture(), camera_infos(CAMERA))
    monitor.wait("stereo_node: output", "Hz", DiagnosticStatus.OK)
    send(graph, Fault.SLOW)
    monitor.wait("stereo_node: engine", "the engine has been at one pair for ", DiagnosticStatus.ERROR)
    monitor.wait("stereo_node: engine", "faulty on a test", DiagnosticStatus.OK)


def test_a_node_that_is_configured_but_inactive_says_that(
    graph: Graph, monitor: Monitor, start_node: Callable[..., Any]
) -> None:
    """From configuring to cleaning up, whether active or not."""
    start_node(program=IMPATIENT, engine=FAULTY, autostart=False)
    change = graph.node.create_client(ChangeState, "stereo_node/change_state")
    graph.wait(change.service_is_ready, "the lifecycle service")

    def trigger(transition: int) -> None:
        request = ChangeState.Request()
        request.transition.id = transition
        future = change.call_async(request)
        graph.wait(future.done, "a transition")
        assert future.result().success

    assert graph.node.count_publishers("/diagnostics") == 0
    trigger(Transition.TRANSITION_CONFIGURE)
    values = monitor.wait("stereo_node: input", "inactive: nothing is subscribed to", DiagnosticStatus.OK)
    assert values["state"] == "inactive"
    trigger(Transition.TRANSITION_ACTIVATE)
    values = monitor.wait("stereo_node: input", "matched 0.0 Hz", DiagnosticStatus.OK)
    assert values["state"] == "active"
    trigger(Transition.TRANSITION_DEACTIVATE)
    trigger(Transition.TRANSITION_CLEANUP)
    graph.wait(lambda: graph.node.count_publishers("/diagnostics") == 0, "the topic's end")


def test_what_looks_wrong_with_the_input_is_in_it(
    graph: Graph, monitor: Monitor, start_node: Callable[..., Any]
) -> None:
    """The sentence of the log is the input's message, at a level that is not fine."""
    node = start_node(program=IMPATIENT, engine=FAULTY)

    def said() -> bool:
        status = monitor.status("stereo_node: input")
        found = status is not None and status.level in (DiagnosticStatus.WARN, DiagnosticStatus.ERROR)
        return found and "/left/image_rect" in status.message and status.message in node.said()

    graph.wait(said, "a finding")
