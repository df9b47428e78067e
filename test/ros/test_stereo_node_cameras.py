"""Cameras that die, come back, change and jump in time: the node says so once each way, and depth comes again."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import faulty_engine
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from faulty_engine import FAULTY, DISPARITY_px
from stereo_graph import Graph, camera_infos, image_message, pixels_of

from ffs_ros.geometry import StereoCamera

HOUR_ns = 3_600_000_000_000


def camera(height: int = 40, width: int = 50) -> StereoCamera:
    """Of some size; its depth is 5 m / 8 px."""
    return StereoCamera(width, height, 50.0, 50.0, width / 2, width / 2, height / 2, 0.1)


def picture(height: int = 40, width: int = 50) -> Any:
    """Black."""
    return image_message(np.zeros((height, width, 3), np.uint8))


def check_answer(graph: Graph, height: int = 40, width: int = 50) -> None:
    """A pair of this size comes out with the right depth."""
    outputs = graph.exchange(picture(height, width), picture(height, width), camera_infos(camera(height, width)))
    depth_HW = pixels_of(outputs.depth)
    assert depth_HW.shape == (height, width)
    assert depth_HW == pytest.approx(50.0 * 0.1 / DISPARITY_px)


@pytest.fixture
def start(start_node: Callable[..., Any], graph: Graph) -> Callable[..., Any]:
    """The node on an engine that answers at once, with a look at its input twice a second; it has answered."""

    def start(**parameters: Any) -> Any:
        node = start_node(program=(faulty_engine.__file__, "--impatient"), engine=FAULTY, **parameters)
        check_answer(graph)
        return node

    return start


@pytest.mark.parametrize("dead", ["left", "right"])
def test_a_camera_that_dies_and_comes_back(graph: Graph, start: Callable[..., Any], dead: str) -> None:
    """The silent topic is named while the other delivers; when it delivers again, that is said and depth comes."""
    node = start()
    living = {"left": "right", "right": "left"}[dead]

    def missed() -> bool:
        message = picture()
        message.header = graph.next_header()
        graph.publish(f"{living}/image_rect", message)
        return f"no image has come on /{dead}/image_rect for" in node.said()

    graph.wait(missed, "a sentence about the camera that is silent")
    check_answer(graph)

    def welcomed() -> bool:
        graph.publish_pair(picture(), picture(), camera_infos(camera()))
        return "over: no images" in node.said()

    graph.wait(welcomed, "a sentence about its return")
    check_answer(graph)
    assert node.said().count("over: no images") == 1


def test_a_camera_that_restarts_with_another_size(graph: Graph, start: Callable[..., Any]) -> None:
    """Until its calibration has come too, pairs are dropped with both sizes named; then depth comes in the new size."""
    node = start()

    def said() -> bool:
        graph.publish_pair(picture(60, 80), picture(60, 80), None)
        return "the image is 80x60 but its calibration is for 50x40" in node.said()

    graph.wait(said, "a sentence about the sizes")
    check_answer(graph, 60, 80)
    node.wait_said("the images are 80x60 now, 50x40 before")
    node.wait_said("pairs come out again")
    check_answer(graph)
    node.wait_said("the images are 50x40 now, 80x60 before")


def test_stamps_that_jump_back(graph: Graph, start: Callable[..., Any]) -> None:
    """A bag that loops twice: pairing starts over, depth comes at once, and it is said."""
    node = start()
    for _ in range(2):
        graph._stamp_ns += HOUR_ns
        check_answer(graph)
        graph._stamp_ns = 0  # now again
        check_answer(graph)
        node.wait_said("the images' stamps jumped back once")

    def over() -> bool:
        graph.publish_pair(picture(), picture(), camera_infos(camera()))
        return "over: time jumped back" in node.said()

    graph.wait(over, "a sentence about its end")


def test_images_without_a_stamp(graph: Graph, start: Callable[..., Any]) -> None:
    """A driver that leaves the stamp at 0: named, paired with nothing; once it stamps, depth comes."""
    node = start()

    def said() -> bool:
        for side in ("left", "right"):
            graph.publish(f"{side}/image_rect", picture())
        return "carry a stamp of 0 or less" in node.said()

    graph.wait(said, "a sentence about the stamps")
    check_answer(graph)


def test_half_a_change_of_calibration(graph: Graph, start: Callable[..., Any]) -> None:
    """One side's CameraInfo changes and the other's does not come: no depth of two calibrations, and a sentence."""
    node = start()
    moved, _ = camera_infos(StereoCamera(**{**vars(camera()), "cx_left_px": 30.0}))
    moved.header = graph.next_header()
    graph.publish("left/camera_info", moved)

    def said() -> bool:
        graph.publish_pair(picture(), picture(), None)
        return "/left/camera_info has changed, and none has come on /right/camera_info since" in node.said()

    graph.wait(said, "a sentence about the calibrations")
    check_answer(graph)


def test_a_node_that_is_killed_is_replaced(graph: Graph, start: Callable[..., Any]) -> None:
    """kill -9 in full work leaves nothing that keeps the next one from its topics."""
    assert start().stop(signal.SIGKILL) == -signal.SIGKILL
    start()
