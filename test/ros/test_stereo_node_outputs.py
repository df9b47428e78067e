"""The outputs beside disparity and depth, over the real graph: what they hold, when they come, and the live limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image, PointCloud2
from stereo_graph import Graph, camera_infos, image_message, pixels_of, stamp_ns_of
from tiny_engine import expected_disparity

from ffs_ros import live_engine
from ffs_ros.engine import EngineInfo, TensorSpec
from ffs_ros.geometry import StereoCamera
from ffs_ros.picture import colour_disparity
from ffs_ros.ros import node as module

HEIGHT, WIDTH = 40, 60
VERGED = StereoCamera(WIDTH, HEIGHT, 200.0, 201.0, 28.0, 32.5, 19.0, 0.12)
"""f B = 24 px m, cx_left - cx_right = -4.5 px."""
OTHERS = {"points2": PointCloud2, "disparity/color": Image, "confidence": Image, "occlusion": Image}


def subscribe_to(graph: Graph, *topics: str) -> dict[str, dict[int, Any]]:
    """What comes on these topics, by its stamp."""
    received: dict[str, dict[int, Any]] = {}
    for topic in topics:
        received[topic] = {}
        graph.node.create_subscription(
            OTHERS[topic], topic, lambda m, into=received[topic]: into.__setitem__(stamp_ns_of(m), m), 10
        )
    return received


def send_until(graph: Graph, happened: Callable[[], Any], messages: list[Any], camera: StereoCamera = VERGED) -> None:
    """Send pairs until ``happened``."""
    graph.wait_for_node()

    def step() -> None:
        graph.publish_pair(*messages, camera_infos(camera))
        end = time.monotonic() + 0.2
        while time.monotonic() < end and not happened():
            graph.spin(0.02)

    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        step()


@pytest.fixture
def pair() -> list[np.ndarray]:
    """Noise, with a corner that has no answer."""
    images = list(np.random.default_rng(1).integers(0, 250, (2, HEIGHT, WIDTH, 3), np.uint8))
    images[0][:10, :20, 1] = 255
    return images


def points_of(cloud: PointCloud2) -> np.ndarray:
    """x, y, z, red, green and blue of a cloud, read by its own description as any consumer does: (H,W,6)."""
    assert len(cloud.data) == cloud.height * cloud.row_step
    dtype = np.dtype(
        {
            "names": [field.name for field in cloud.fields],
            "formats": ["<f4" if field.name != "rgb" else "<u4" for field in cloud.fields],
            "offsets": [field.offset for field in cloud.fields],
            "itemsize": cloud.point_step,
        }
    )
    assert [(field.datatype, field.count) for field in cloud.fields] == [(7, 1)] * 4
    assert not cloud.is_bigendian
    points_HW = np.frombuffer(cloud.data, dtype).reshape(cloud.height, cloud.width)
    rgb_HW = points_HW["rgb"]
    parts = [points_HW[axis] for axis in "xyz"] + [rgb_HW >> shift & 255 for shift in (16, 8, 0)]
    return np.stack([part.astype(np.float64) for part in parts], axis=2)


def test_points_and_colours_are_those_of_the_pair(
    tiny: Path, pair: Any, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """bgr8 with padded rows in: every point by the closed form, its colour the left pixel's, NaN where no answer is;
    disparity/color from min_disparity to max_disparity, black where no answer is; all under the left header."""
    start_node(engine=tiny)
    received = subscribe_to(graph, "points2", "disparity/color")
    messages = [image_message(image[..., ::-1], "bgr8", padding=5) for image in pair]
    outputs = graph.exchange(*messages, camera_infos(VERGED))
    send_until(graph, lambda: all(received.values()), messages)
    cloud = list(received["points2"].values())[-1]
    assert cloud.header.frame_id == "camera_left_optical_frame"
    assert (cloud.height, cloud.width, cloud.point_step, cloud.row_step) == (HEIGHT, WIDTH, 16, 16 * WIDTH)
    assert not cloud.is_dense

    disparity_HW = expected_disparity(*pair).astype(np.float64)
    z_HW = 24.0 / (disparity_HW + 4.5)
    v_HW, u_HW = np.mgrid[:HEIGHT, :WIDTH]
    found_HW6 = points_of(cloud)
    expected_HW3 = np.stack([(u_HW - 28.0) * z_HW / 200.0, (v_HW - 19.0) * z_HW / 201.0, z_HW], axis=2)
    np.testing.assert_allclose(found_HW6[..., :3], expected_HW3, rtol=1e-6)
    assert np.isnan(found_HW6[:10, :20, :3]).all()
    np.testing.assert_array_equal(found_HW6[..., 3:], pair[0])

    coloured = list(received["disparity/color"].values())[-1]
    assert (coloured.encoding, coloured.step, coloured.height) == ("rgb8", 3 * WIDTH, HEIGHT)
    assert coloured.header.frame_id == "camera_left_optical_frame"
    rgb_HW3 = np.frombuffer(coloured.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    message = outputs.disparity
    shown_HW = np.where(pixels_of(message.image) > 0, pixels_of(message.image), np.float32(np.nan))
    np.testing.assert_array_equal(rgb_HW3, colour_disparity(shown_HW, message.min_disparity, message.max_disparity))
    np.testing.assert_array_equal((rgb_HW3 == 0).all(axis=2), np.isnan(shown_HW))


def test_limits_change_live_in_every_output(
    tiny: Path, pair: Any, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """A region and a range set while the node runs: NaN, 0 and black outside, all else unchanged, and the disparity
    message's window and range say so. What contradicts itself is refused, and what does not fit the image is said."""
    node = start_node(engine=tiny)
    received = subscribe_to(graph, "points2", "disparity/color")
    messages = [image_message(image) for image in pair]
    whole = graph.exchange(*messages, camera_infos(VERGED))
    one, all_at_once = (
        graph.node.create_client(kind, f"stereo_node/{name}")
        for kind, name in (
            (SetParameters, "set_parameters"), (SetParametersAtomically, "set_parameters_atomically"),
        )
    )  # fmt: skip
    graph.wait(lambda: one.service_is_ready() and all_at_once.service_is_ready(), "the parameter services")

    def set_to(client: Any, **values: Any) -> Any:
        request = client.srv_type.Request()
        request.parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        answer = graph.call(client, request)
        return answer.result if client is all_at_once else answer.results[0]

    disparity_HW = pixels_of(whole.disparity.image)
    near_m, far_m = 0.6, 1.2
    refused = set_to(all_at_once, min_depth=near_m, max_depth=0.3)
    assert not refused.successful
    assert "min_depth is 0.6 m and max_depth 0.3 m: expected min_depth below max_depth" in refused.reason
    assert not set_to(one, min_depth=-1.0).successful
    assert set_to(one, min_depth=near_m).successful
    assert not set_to(one, max_depth=0.6).successful
    assert set_to(all_at_once, max_depth=far_m, roi_x_offset=5, roi_y_offset=3, roi_width=50, roi_height=30).successful

    limited = graph.exchange(*messages, camera_infos(VERGED))
    inside_HW = np.zeros((HEIGHT, WIDTH), bool)
    inside_HW[3:33, 5:55] = True
    depth_HW = pixels_of(whole.depth)
    kept_HW = inside_HW & (depth_HW >= near_m) & (depth_HW <= far_m)
    assert 0.1 < kept_HW.mean() < 0.6
    np.testing.assert_array_equal(pixels_of(limited.depth), np.where(kept_HW, depth_HW, np.float32(np.nan)))
    np.testing.assert_array_equal(pixels_of(limited.disparity.image), np.where(kept_HW, disparity_HW, 0))
    window = limited.disparity.valid_window
    assert (window.x_offset, window.y_offset, window.width, window.height) == (5, 3, 50, 30)
    assert limited.disparity.min_disparity == pytest.approx(24.0 / far_m)
    assert limited.disparity.max_disparity == pytest.approx(24.0 / near_m)
    assert (limited.depth.height, limited.depth.width) == (HEIGHT, WIDTH)
    stamp_ns = stamp_ns_of(limited.disparity)
    graph.wait(lambda: all(stamp_ns in messages for messages in received.values()), "points2 and disparity/color")
    np.testing.assert_array_equal(np.isfinite(points_of(received["points2"][stamp_ns])[..., 2]), kept_HW)
    rgb_HW3 = np.frombuffer(received["disparity/color"][stamp_ns].data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(rgb_HW3.any(axis=2), kept_HW)

    assert set_to(one, roi_width=56).successful
    graph.publish_pair(*messages, camera_infos(VERGED))
    node.wait_said("the region of interest is columns 5 to 60 and rows 3 to 32, and the image is 60x40")
    assert set_to(all_at_once, roi_x_offset=0, roi_y_offset=0, roi_width=0, roi_height=0, max_depth=0.0).successful
    assert set_to(one, min_depth=0.0).successful
    again = graph.exchange(*messages, camera_infos(VERGED))
    np.testing.assert_array_equal(pixels_of(again.depth), depth_HW)


def test_a_contradiction_ends_the_start(start_node: Callable[..., Any]) -> None:
    """One sentence and exit code 2."""
    node = start_node(engine="sgbm", min_depth=4.0, max_depth=2.0)
    assert node.popen.wait(60) == 2
    assert "stereo_node: min_depth is 4 m and max_depth 2 m: expected min_depth below max_depth" in node.said()


class TwoWalls:
    """Answers 4 px, and 10 px where the left image it is given is bright; notes what it was given."""

    info = EngineInfo("two walls", "a test", 64.0, 1)
    inputs = {side: TensorSpec((1, HEIGHT, WIDTH, 3), np.dtype(np.uint8)) for side in ("left", "right")}  # noqa: RUF012
    outputs = {"disparity": TensorSpec((1, 1, HEIGHT, WIDTH), np.dtype(np.float32))}  # noqa: RUF012

    def __init__(self) -> None:
        self.begun_s: list[float] = []
        self.fails_at: int | None = None
        self.waits_at: int | None = None
        self.go = threading.Event()

    def infer(self, feeds: Any) -> dict[str, np.ndarray]:
        self.begun_s.append(time.monotonic())
        if self.fails_at == len(self.begun_s):
            raise ZeroDivisionError("a bug in the engine")
        if self.waits_at == len(self.begun_s):
            assert self.go.wait(60)
        bright_HW = feeds["left"][0, ..., 0] > 100
        return {"disparity": np.where(bright_HW, np.float32(10.0), np.float32(4.0))[None, None]}

    def close(self) -> None:
        pass


WALLS = StereoCamera(WIDTH, HEIGHT, 50.0, 50.0, 30.0, 30.0, 20.0, 0.1)
IN_FRONT = slice(30, 45)


@pytest.fixture
def walls() -> list[Any]:
    """A near wall, bright, at columns 30 to 44 of the left image and 20 to 34 of the right one."""
    images = np.zeros((2, HEIGHT, WIDTH, 3), np.uint8)
    images[0, :, IN_FRONT] = images[1, :, IN_FRONT.start - 10 : IN_FRONT.stop - 10] = 200
    return [image_message(image) for image in images]


@pytest.fixture
def managed(monkeypatch: pytest.MonkeyPatch, graph: Graph) -> Iterator[tuple[Any, TwoWalls]]:
    """An active node of this process on ``TwoWalls``; the graph spins it."""
    engine = TwoWalls()
    monkeypatch.setattr(live_engine, "open_engine", lambda *_, **__: engine)
    node = module.StereoNode(context=graph.context)
    executor = SingleThreadedExecutor(context=graph.context)
    executor.add_node(node)
    assert node.trigger_configure() == node.trigger_activate() == TransitionCallbackReturn.SUCCESS

    def spin() -> None:
        for _ in range(8):
            executor.spin_once(timeout_sec=0.002)

    graph.also_spin = spin
    yield node, engine
    engine.go.set()
    node.close()
    executor.shutdown()
    node.destroy_node()


def test_confidence_and_occlusion_of_two_walls(graph: Graph, managed: Any, walls: list[Any]) -> None:
    """The real node matches the mirrored pair too: what the near wall hides and what lies outside of the right image is
    occluded, with no confidence; the rest agrees. A limit takes the confidence away as well."""
    node, _ = managed
    node.set_parameters([Parameter("confidence_rate", value=1000.0)])
    received = subscribe_to(graph, "confidence", "occlusion")
    send_until(graph, lambda: all(received.values()), walls, WALLS)
    confidence, occlusion = (list(messages.values())[-1] for messages in received.values())
    hidden_HW = np.zeros((HEIGHT, WIDTH), bool)
    hidden_HW[:, :4] = hidden_HW[:, 24:30] = True
    np.testing.assert_array_equal(pixels_of(confidence), np.where(hidden_HW, np.float32(0), np.float32(1)))
    assert (occlusion.encoding, occlusion.step) == ("mono8", WIDTH)
    np.testing.assert_array_equal(np.frombuffer(occlusion.data, np.uint8).reshape(HEIGHT, WIDTH) > 0, hidden_HW)
    assert set(occlusion.data) == {0, 255}
    for message in (confidence, occlusion):
        assert message.header.frame_id == "camera_left_optical_frame"

    node.set_parameters([Parameter("roi_height", value=7)])
    changed_ns = graph.publish_pair(*walls, camera_infos(WALLS))
    send_until(graph, lambda: max(received["confidence"]) >= changed_ns, walls, WALLS)
    assert not pixels_of(received["confidence"][max(received["confidence"])])[7:].any()


def test_the_second_pass_comes_only_as_often_as_it_may(graph: Graph, managed: Any, walls: list[Any]) -> None:
    """Nobody subscribes, or the rate is 0: one match a pair. At a rate of once in a long time: one second pass, after
    the pair's other outputs; nothing else waits for it. Where it alone is wanted, other pairs are not matched."""
    node, engine = managed
    infos = camera_infos(WALLS)
    graph.exchange(*walls, infos)

    def matches_of(pairs: int) -> int:
        runs, settled = len(engine.begun_s), node.frames.counts
        for index in range(pairs):
            graph.publish_pair(*walls, infos)
            graph.wait(lambda count=index + 1: node.frames.counts.paired == settled.paired + count, "the pair")
            graph.wait(lambda: node.frames.counts.in_flight == 0, "its end")
        return len(engine.begun_s) - runs

    assert matches_of(5) == 5
    received = subscribe_to(graph, "confidence")
    graph.wait(lambda: node._outputs.wanted(1.0).confidence, "the subscription")
    node.set_parameters([Parameter("confidence_rate", value=0.0)])
    assert matches_of(5) == 5
    assert not received["confidence"]
    node.set_parameters([Parameter("confidence_rate", value=0.001)])
    assert matches_of(5) == 6
    graph.wait(lambda: len(received["confidence"]) == 1, "the confidence")
    (stamp_ns,) = received["confidence"]
    assert {times.stamp_ns for times in node.frames.times} >= {stamp_ns}
    for subscription in graph.subscriptions:
        graph.node.destroy_subscription(subscription)
    graph.wait(lambda: not node._outputs.wanted(0.0).matching, "unsubscribing")
    unwanted, timed = node.frames.counts.unwanted, len(node.frames.times)
    assert matches_of(5) == 0
    assert len(node.frames.times) == timed, "the pairs were not even looked at"
    assert node.frames.counts.unwanted == unwanted + 5
    node.set_parameters([Parameter("confidence_rate", value=1000.0)])
    assert matches_of(3) == 6


@pytest.mark.parametrize("topic", OTHERS)
def test_each_output_is_made_for_its_own_subscriber(topic: str, graph: Graph, managed: Any, walls: list[Any]) -> None:
    """Whoever subscribes to one topic gets it, with one match (two for those of the check), and nothing else is made:
    16-bit depth does not stand in the way of points either."""
    node, engine = managed
    graph.exchange(*walls, camera_infos(WALLS))
    for subscription in graph.subscriptions:
        graph.node.destroy_subscription(subscription)
    graph.wait(lambda: not any(node._outputs.wanted(1.0)), "unsubscribing")
    node.set_parameters([Parameter("depth_encoding", value="16UC1")])
    received = subscribe_to(graph, topic)[topic]
    graph.wait(lambda: any(node._outputs.wanted(1.0)), "the subscription")
    assert sum(node._outputs.wanted(1.0)) == 1
    graph.wait(lambda: node.frames.counts.in_flight == 0, "rest")
    published, runs = node.frames.counts.published, len(engine.begun_s)
    stamp_ns = graph.publish_pair(*walls, camera_infos(WALLS))
    graph.wait(lambda: stamp_ns in received, topic)
    graph.wait(lambda: node.frames.counts.published == published + 1, "the pair's end")
    assert len(engine.begun_s) - runs == (2 if topic in ("confidence", "occlusion") else 1)
    if topic == "points2":
        np.testing.assert_allclose(points_of(received[stamp_ns])[0, [0, 30], 2], [5.0 / 4.0, 5.0 / 10.0], rtol=1e-6)


def test_the_pair_is_out_before_its_second_pass(graph: Graph, managed: Any, walls: list[Any]) -> None:
    """While the second pass runs the pair's disparity is out already, and what comes meanwhile waits in the one place
    where the newest wins."""
    node, engine = managed
    infos = camera_infos(WALLS)
    graph.exchange(*walls, infos)
    received = subscribe_to(graph, "confidence")["confidence"]
    graph.wait(lambda: node._outputs.wanted(1.0).confidence, "the subscription")
    graph.wait(lambda: node.frames.counts.in_flight == 0, "rest")
    engine.waits_at = len(engine.begun_s) + 2
    node.set_parameters([Parameter("confidence_rate", value=0.001)])
    before = node.frames.counts
    stamps = [graph.publish_pair(*walls, infos)]
    graph.wait(lambda: stamps[0] in graph.received["disparity"], "the first pair's disparity")
    graph.wait(lambda: len(engine.begun_s) == engine.waits_at, "its second pass")
    for count in range(2, 6):
        stamps.append(graph.publish_pair(*walls, infos))
        graph.wait(lambda count=count: node.frames.counts.paired == before.paired + count, "a pair")
    assert not received
    assert node.frames.counts.in_flight == 2, "the one in its second pass and the newest"
    engine.go.set()
    graph.wait(lambda: stamps[0] in received, "the first pair's confidence")
    graph.wait(lambda: stamps[-1] in graph.received["disparity"], "the newest pair's disparity")
    graph.wait(lambda: node.frames.counts.in_flight == 0, "rest")
    assert node.frames.counts.published == before.published + 2
    assert node.frames.counts.replaced == before.replaced + 3
    assert list(received) == [stamps[0]]
    published = next(times for times in node.frames.times if times.stamp_ns == stamps[0])
    assert engine.begun_s[engine.waits_at - 1] >= published.published_ns / 1e9


def test_a_second_pass_that_fails_costs_nothing_else(
    graph: Graph, managed: Any, walls: list[Any], capfd: pytest.CaptureFixture[str]
) -> None:
    """The pair was published and counts as that; the failure is said, and the next one comes out."""
    node, engine = managed
    infos = camera_infos(WALLS)
    graph.exchange(*walls, infos)
    subscribe_to(graph, "confidence")
    graph.wait(lambda: node._outputs.wanted(1.0).confidence, "the subscription")
    graph.wait(lambda: node.frames.counts.in_flight == 0, "rest")
    engine.fails_at = len(engine.begun_s) + 2
    before = node.frames.counts
    node.set_parameters([Parameter("confidence_rate", value=0.001)])
    graph.exchange(*walls, infos)
    graph.wait(lambda: node.frames.counts.in_flight == 0, "rest")
    assert len(engine.begun_s) >= engine.fails_at
    assert node.frames.counts.failed == before.failed
    assert node.frames.reason == "", "no pair was dropped"
    assert node.frames.counts.published > before.published
    assert "a bug in the engine" in capfd.readouterr().err


def test_every_output_can_be_remapped(graph: Graph, start_node: Callable[..., Any]) -> None:
    """Each of the four goes where a remap says."""
    start_node(*(item for index, topic in enumerate(OTHERS) for item in ("-r", f"{topic}:=/elsewhere/topic{index}")))
    graph.wait(lambda: all(graph.node.count_publishers(f"/elsewhere/topic{i}") == 1 for i in range(4)), "the remaps")
    assert not any(graph.node.count_publishers(f"/{topic}") for topic in OTHERS)
