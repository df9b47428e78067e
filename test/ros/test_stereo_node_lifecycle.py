"""Every transition again and again: nothing is left behind, and the node works as on the first day."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faulty_engine
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from faulty_engine import FAULTY, Fault, FaultyEngine
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image
from stereo_graph import Graph, camera_infos, image_message, wait_until

from ffs_ros import live_engine
from ffs_ros.geometry import StereoCamera
from ffs_ros.ros.node import StereoNode

HEIGHT, WIDTH = 40, 50
CAMERA = StereoCamera(WIDTH, HEIGHT, 50.0, 50.0, 24.0, 24.0, 16.0, 0.1)
TIMES = 20
SETTLED = 5
"""The middleware and the allocator hold on to what they need by then."""
SUCCESS = TransitionCallbackReturn.SUCCESS
MOST_GROWTH_kB = 4096
"""A node that kept one image or message buffer per round would show; pages come and go by a few hundred kB."""


class Engines:
    """How many are open."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    def open(self, engine: str | Path, **arguments: Any) -> FaultyEngine:
        made = faulty_engine.open_engine(engine, **arguments)
        self.opened += 1
        made.close = self.close
        return made

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> Engines:
    """In place of real ones."""
    engines = Engines()
    monkeypatch.setattr(live_engine, "open_engine", engines.open)
    return engines


def made_node(graph: Graph, **parameters: Any) -> StereoNode:
    values = {"engine": FAULTY, **parameters}
    return StereoNode(
        context=graph.context, parameter_overrides=[Parameter(name, value=value) for name, value in values.items()]
    )


@pytest.fixture
def node(graph: Graph, engines: Engines) -> Iterator[StereoNode]:
    """Unconfigured, in this process; the graph spins it."""
    node = made_node(graph)
    executor = SingleThreadedExecutor(context=graph.context)
    executor.add_node(node)

    def spin() -> None:
        for _ in range(8):  # more than a pair and its CameraInfo
            executor.spin_once(timeout_sec=0.002)

    graph.also_spin = spin
    yield node
    node.close()
    executor.shutdown()
    node.destroy_node()


def held(node: StereoNode | None = None) -> dict[str, int]:
    """What a process can leak, and how much of the graph the node has."""
    gc.collect()
    status = Path("/proc/self/status").read_text(encoding="ascii")
    resident_kB = int(status.split("VmRSS:")[1].split()[0])
    files, threads = (sum(1 for _ in Path("/proc/self").joinpath(kind).iterdir()) for kind in ("fd", "task"))
    entities = [*node.publishers, *node.subscriptions, *node.timers, *node.guards, *node.clients] if node else []
    return {"files": files, "threads": threads, "entities": len(entities), "kB": resident_kB}


def check_flat(seen: list[dict[str, int]]) -> None:
    """Files, threads and entities are the same in each round after the first ones, memory nearly so."""
    settled = seen[SETTLED:]
    for what in ("files", "threads", "entities"):
        assert len({held[what] for held in settled}) == 1, [held[what] for held in seen]
    assert settled[-1]["kB"] - settled[0]["kB"] < MOST_GROWTH_kB, [held["kB"] for held in seen]


def picture(fault: Fault = Fault.NONE, width: int = WIDTH) -> Image:
    """A black image that asks for a fault."""
    pixels = np.zeros((HEIGHT, width, 3), np.uint8)
    pixels[0, 0, 0] = fault
    return image_message(pixels)


def answer(graph: Graph) -> None:
    """A pair there and back."""
    graph.exchange(picture(), picture(), camera_infos(CAMERA))


def test_the_whole_life_twenty_times(graph: Graph, node: StereoNode, engines: Engines) -> None:
    """Configure, activate, deactivate, cleanup; in the first and the last round depth comes, and the books balance."""
    seen = []
    for turn in range(TIMES):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        if turn in (0, TIMES - 1):
            answer(graph)
        assert node.trigger_deactivate() == SUCCESS
        assert node.frames.counts.in_flight == 0
        assert node.trigger_cleanup() == SUCCESS
        assert engines.opened == engines.closed == turn + 1
        seen.append(held(node))
    check_flat(seen)
    assert node.pairing is not None
    for side in (node.pairing.left, node.pairing.right):
        assert side.received == node.frames.counts.paired + side.unmatched


def test_the_books_balance_to_the_pair(graph: Graph, node: StereoNode) -> None:
    """Good pairs, bad ones, failures, pairs that nobody wants and images without partner, over three activations: each
    is found again in exactly one count."""
    frames, infos = node.frames, camera_infos(CAMERA)

    def send(name: str, left: Image, right: Image) -> None:
        """One pair, which must raise this count and no other."""
        before = frames.counts
        graph.publish_pair(left, right, infos)
        graph.wait(lambda: getattr(frames.counts, name) > getattr(before, name), f"a pair that is {name}")
        assert frames.counts == before._replace(paired=before.paired + 1, **{name: getattr(before, name) + 1})

    assert node.trigger_configure() == SUCCESS
    for turn in range(3):
        assert node.trigger_activate() == SUCCESS
        answer(graph)
        assert node.pairing is not None
        for _ in range(2):
            send("published", picture(), picture())
            send("rejected", picture(), picture(width=WIDTH + 1))
            send("failed", picture(Fault.MANY_NAN), picture())
        left, right = node.pairing.left, node.pairing.right
        for received in range(left.received + 1, left.received + 13):
            lonely = picture()
            lonely.header = graph.next_header()
            graph.publish("left/image_rect", lonely)
            graph.wait(lambda side=left, received=received: side.received == received, "an image")
        assert len(left.waiting_ns) == 10, "queue_size"
        for side in (left, right):
            assert side.received == frames.counts.paired + side.unmatched + len(side.waiting_ns)
        assert node.trigger_deactivate() == SUCCESS
        assert left.received == frames.counts.paired + left.unmatched
        assert (left.unmatched, right.unmatched) == (12 * (turn + 1), 0)
        assert frames.counts.in_flight == 0
    assert node.trigger_activate() == SUCCESS
    answer(graph)
    for subscription in graph.subscriptions:
        graph.node.destroy_subscription(subscription)
    graph.wait(lambda: not any(node.count_subscribers(topic) for topic in graph.received), "unsubscribing")
    send("unwanted", picture(), picture())
    assert node.trigger_deactivate() == SUCCESS
    assert frames.counts.in_flight == 0
    assert frames.counts.paired == node.pairing.paired == sum(frames.counts[1:])


def test_activating_twenty_times_keeps_the_engine(graph: Graph, node: StereoNode, engines: Engines) -> None:
    """Between deactivating and activating the engine stays, and what was asked for is subscribed to anew."""
    assert node.trigger_configure() == SUCCESS
    seen = []
    for turn in range(TIMES):
        assert node.trigger_activate() == SUCCESS
        if turn in (0, TIMES - 1):
            answer(graph)
        assert node.trigger_deactivate() == SUCCESS
        seen.append(held(node))
    check_flat(seen)
    assert (engines.opened, engines.closed) == (1, 0)


def test_starting_and_shutting_down_twenty_times(graph: Graph, engines: Engines) -> None:
    """A node that starts by itself, shut down from active, and gone."""
    seen = []
    for turn in range(TIMES):
        node = made_node(graph)
        node.start()
        assert node.trigger_shutdown() == SUCCESS
        assert engines.opened == engines.closed == turn + 1
        node.destroy_node()
        del node
        seen.append(held())
    check_flat(seen)


def test_configuring_in_vain_twenty_times(graph: Graph, node: StereoNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that does not open leaves nothing, and the node can be asked again."""
    broken = "broken"
    monkeypatch.setattr(FaultyEngine, broken, True)
    seen = []
    for _ in range(TIMES):
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
        seen.append(held(node))
    check_flat(seen)
    monkeypatch.setattr(FaultyEngine, broken, False)
    assert node.trigger_configure() == SUCCESS


def test_losing_the_engine_under_a_manager_twenty_times(
    graph: Graph, node: StereoNode, engines: Engines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Error processing gives everything back, each time."""
    seen = []
    for _ in range(TIMES):
        assert node.trigger_configure() == SUCCESS
        assert node.trigger_activate() == SUCCESS
        assert node.engine is not None
        node.engine.lost = True
        assert node.trigger_deactivate() == TransitionCallbackReturn.ERROR
        assert engines.opened == engines.closed
        seen.append(held(node))
    check_flat(seen)
    assert node.trigger_configure() == SUCCESS


STARVED = """
import time
from ffs_ros.ros import node
from ffs_ros.ros.doctor import images

def look(sample, topics):
    print("looking", flush=True)
    time.sleep(3600.0)

images.findings_on = look
node.REPORT_PERIOD_S = 0.2
node.main()
"""
"""The node on a machine that leaves no time for looks at pictures, which have the lowest priority."""


def test_a_look_at_pictures_that_takes_for_ever_holds_up_nothing(start_node: Callable[..., Any], graph: Graph) -> None:
    """The process ends all the same, and well."""
    node = start_node(engine="sgbm", program=("-c", STARVED))
    left, right = (image_message(np.zeros((HEIGHT, WIDTH, 3), np.uint8)) for _ in range(2))
    infos = camera_infos(CAMERA)
    graph.wait_for_node()

    def show_another() -> None:
        graph.publish_pair(left, right, infos)
        graph.spin()

    wait_until(lambda: "looking" in node.said(), "a look at the pictures", show_another)
    assert node.stop() == 0
