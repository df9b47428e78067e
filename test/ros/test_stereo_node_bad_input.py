"""Bad input costs one sentence each, never the node: the pair after it comes out as if nothing had been."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from stereo_graph import Graph, camera_infos, image_message, pixels_of
from tiny_engine import expected_disparity, write_tiny_engine

from ffs_ros.geometry import StereoCamera
from ffs_ros.scene import render_pair

HEIGHT, WIDTH = 48, 64
CAMERA = StereoCamera(
    width=WIDTH, height=HEIGHT, fx_px=80.0, fy_px=80.0, cx_left_px=32.0, cx_right_px=32.0, cy_px=24.0, baseline_m=0.1
)
Infos = tuple[CameraInfo, CameraInfo]


def camera(**changes: Any) -> Infos:
    """CameraInfo of the camera with some numbers changed."""
    return camera_infos(StereoCamera(**{**vars(CAMERA), **changes}))


EMPTY: dict[str, int] = {"height": 0, "width": 0}


def image(height: int = HEIGHT, width: int = WIDTH, encoding: str = "rgb8", seed: int = 0, **fields: Any) -> Image:
    """A picture of noise, with some fields overwritten afterwards."""
    rng = np.random.default_rng(seed)
    message = image_message(rng.integers(0, 250, (height or 1, width or 1, 3), np.uint8), encoding)
    message.height, message.width = height, width
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def cut(message: Image, keep: int) -> Image:
    """The message with only the first ``keep`` bytes of its data."""
    message.data = message.data[:keep]
    return message


def with_p(infos: Infos, index: int, value: float) -> Infos:
    """The right CameraInfo's P with one number changed."""
    infos[1].p[index] = value
    return infos


# What is wrong, how to make it, and what its sentence says (a regular expression).
BAD: dict[str, tuple[Callable[[], tuple[Image, Image, Infos]], str]] = {
    "unequal sizes": (lambda: (image(), image(HEIGHT, WIDTH - 2), camera()), "is 64x48 and the right one 62x48"),
    "wrong encoding": (lambda: (image(encoding="rgb565"), image(), camera()), "left camera: encoding 'rgb565'"),
    "no encoding": (lambda: (image(encoding=""), image(), camera()), "left camera: encoding ''"),
    "truncated data": (lambda: (image(), cut(image(), 5000), camera()), "right camera: .* 5000 bytes instead of 9216"),
    "no data": (lambda: (cut(image(), 0), image(), camera()), "left camera: .* 0 bytes instead of 9216"),
    "zero size": (lambda: (image(step=0, **EMPTY), image(**EMPTY), camera()), r"left camera: .* empty \(0x0\)"),
    "step too small": (lambda: (image(step=WIDTH), image(), camera()), "left camera: the image's step is 64 bytes"),
    "absurd size": (
        lambda: (setattr(huge := image(), "height", 2**32 - 1) or huge, image(), camera()),
        "left camera: .* 64x4294967295",
    ),
    "swapped cameras": (lambda: (image(), image(), camera()[::-1]), r"P\[3\] = 0.*swapped"),
    "wrong sign": (lambda: (image(), image(), with_p(camera(), 3, 8.0)), r"P\[3\] = 8"),
    "no baseline": (lambda: (image(), image(), with_p(camera(), 3, 0.0)), r"P\[3\] = 0(?!.*swapped)"),
    "uncalibrated": (lambda: (image(), image(), (CameraInfo(), CameraInfo())), "not calibrated"),
    "not a number": (lambda: (image(), image(), with_p(camera(), 2, np.nan)), "not finite"),
    "calibration of another size": (
        lambda: (image(), image(), camera(width=2 * WIDTH, height=2 * HEIGHT)),
        "is 64x48 but its calibration is for 128x96",
    ),
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """An engine of any size whose answer is known."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    return write_tiny_engine(tmp_path / "tiny.onnx")


def check_good_pair(graph: Graph, height: int = HEIGHT, width: int = WIDTH) -> None:
    """A good pair comes out right."""
    left, right = image(height, width, seed=1), image(height, width, seed=2)
    outputs = graph.exchange(left, right, camera(height=height, width=width))
    pixels = [np.frombuffer(m.data, np.uint8).reshape(height, width, 3) for m in (left, right)]
    np.testing.assert_allclose(pixels_of(outputs.disparity.image), expected_disparity(*pixels), rtol=1e-6)


def test_each_kind_is_said_once_and_the_next_pair_is_fine(
    tiny: Path, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """Fourteen kinds of bad pairs, several of each: one sentence per kind, and good pairs come out in between."""
    node = start_node(engine=tiny)
    for name, (make, sentence) in BAD.items():
        check_good_pair(graph)
        for _ in range(3):
            left, right, infos = make()
            graph.publish_pair(left, right, infos)

        def said(sentence: str = sentence) -> bool:
            return any(re.search(sentence, warning) for warning in node.warnings())

        graph.wait(said, f"a sentence about {name}")
    check_good_pair(graph)
    warnings = node.warnings()
    for name, (_, sentence) in BAD.items():
        assert sum(bool(re.search(sentence, warning)) for warning in warnings) == 1, (name, warnings)
    assert "Traceback" not in node.said()


def test_odd_sizes_are_no_bad_input(tiny: Path, graph: Graph, start_node: Callable[..., Any]) -> None:
    """Odd sizes, one pixel, and a size that changes while running are matched as they come."""
    node = start_node(engine=tiny)
    for height, width in ((47, 61), (1, 1), (3, 200), (101, 7)):
        check_good_pair(graph, height, width)
    assert not node.warnings()


def test_missing_camera_info_is_named(tiny: Path, graph: Graph, start_node: Callable[..., Any]) -> None:
    """Images without CameraInfo give one sentence with the topic; when it comes, depth comes."""
    node = start_node(engine=tiny)
    graph.wait_for_node()

    def keep_sending(what: str) -> Callable[[], bool]:
        def said() -> bool:
            graph.publish_pair(image(), image(), None)
            return any(what in warning for warning in node.warnings())

        return said

    graph.wait(keep_sending("no CameraInfo has come on /left/camera_info"), "a sentence about the left CameraInfo")
    left_info, _ = camera()

    def send_left_only() -> bool:
        left_info.header = graph.next_header()
        graph.publish("left/camera_info", left_info)
        return keep_sending("no CameraInfo has come on /right/camera_info")()

    graph.wait(send_left_only, "a sentence about the right CameraInfo")
    check_good_pair(graph)
    assert sum("no CameraInfo" in warning for warning in node.warnings()) == 2


def test_swapped_image_topics_are_named(tiny: Path, graph: Graph, start_node: Callable[..., Any]) -> None:
    """Where each side has a frame of its own, left images with the right camera's frame are refused."""
    node = start_node(engine=tiny)
    check_good_pair(graph)
    infos = camera()

    def send_swapped() -> bool:
        stamp = graph.next_header().stamp
        for side, other, info in (("left", "right", infos[0]), ("right", "left", infos[1])):
            info.header = Header(stamp=stamp, frame_id=f"{side}_optical_frame")
            graph.publish(f"{side}/camera_info", info)
            message = image()
            message.header = Header(stamp=stamp, frame_id=f"{other}_optical_frame")
            graph.publish(f"{side}/image_rect", message)
        return any("the image topics are swapped" in warning for warning in node.warnings())

    graph.wait(send_swapped, "a sentence about swapped topics")


def test_exchanged_images_are_suspected(graph: Graph, start_node: Callable[..., Any]) -> None:
    """Where frames do not tell, the classical engine finds few matches, and the log says what that may mean."""
    pytest.importorskip("array_api_compat")
    pair = render_pair()
    node = start_node(engine="sgbm")
    left, right = (image_message(rgb_HW3, "rgb8") for rgb_HW3 in (pair.right_HW3, pair.left_HW3))
    infos = camera_infos(pair.camera)
    graph.exchange(left, right, infos)

    def said() -> bool:
        graph.publish_pair(left, right, infos)
        return any("left and right may be swapped" in warning for warning in node.warnings())

    graph.wait(said, "a sentence about few answers")
    assert node.alive


def test_stamps_that_never_meet_are_explained(tiny: Path, graph: Graph, start_node: Callable[..., Any]) -> None:
    """Left and right 2 ms apart under exact pairing: the log names the offset and the tolerance."""
    node = start_node(engine=tiny)
    graph.wait_for_node()

    def send_apart() -> bool:
        header = graph.next_header()
        for offset_ns, side in enumerate(("left", "right")):
            message = image()
            message.header = Header(stamp=header.stamp, frame_id=header.frame_id)
            message.header.stamp.nanosec = (
                message.header.stamp.nanosec // 10_000_000 * 10_000_000 + offset_ns * 2_000_000
            )
            graph.publish(f"{side}/image_rect", message)
        return any("their stamps are 2.000 to 2.000 ms apart" in warning for warning in node.warnings())

    graph.wait(send_apart, "a sentence about the stamps")
    assert any("approximate_sync_tolerance_seconds: 0.0023" in warning for warning in node.warnings())
