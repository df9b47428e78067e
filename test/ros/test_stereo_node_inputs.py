"""What drivers publish beside rectified Images, over the real ROS graph: compressed images and raw ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

from raw_camera import RawCamera, rotation
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from stereo_graph import Graph, camera_infos, image_message, pixels_of
from tiny_engine import expected_disparity, write_tiny_engine

from ffs_ros.config import NodeConfig
from ffs_ros.geometry import StereoCamera
from ffs_ros.rectification import StereoRectification
from ffs_ros.ros.inputs import image_topics

HEIGHT, WIDTH = 48, 64
CAMERA = StereoCamera(WIDTH, HEIGHT, 80.0, 80.0, 32.0, 34.5, 24.0, 0.1)


@pytest.fixture
def camera() -> Iterator[Callable[..., Graph]]:
    """Makes cameras with a consumer; see ``Graph``."""
    made: list[Graph] = []

    def make(**arguments: Any) -> Graph:
        made.append(Graph(**arguments))
        return made[-1]

    yield make
    for graph in made:
        graph.close()


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two RGB images of noise."""
    left_HW3, right_HW3 = np.random.default_rng(1).integers(0, 250, (2, HEIGHT, WIDTH, 3), np.uint8)
    return left_HW3, right_HW3


def compressed(pixels: np.ndarray, format_: str, keep: int | None = None) -> CompressedImage:
    """As image_transport packs an RGB image or 16-bit words, cut after ``keep`` bytes."""
    picture = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    data = cv2.imencode(".jpg" if "jpeg" in format_ else ".png", picture)[1]
    message = CompressedImage(format=format_)
    message.data.frombytes(data.tobytes()[:keep])
    return message


def test_compressed_images(tiny: Path, pair: Any, camera: Callable[..., Graph], start_node: Callable[..., Any]) -> None:
    """PNG gives the disparity of the pixels themselves, JPEG that of what is left of them; 12-bit words are scaled.
    What is damaged costs one pair and one sentence."""
    node = start_node(engine=tiny, image_transport="compressed", bit_depth=12)
    graph = camera(image_kind=CompressedImage, image="image_rect/compressed")

    def disparity(*images: CompressedImage) -> np.ndarray:
        outputs = graph.exchange(*images, camera_infos(CAMERA))
        return CAMERA.fx_px * CAMERA.baseline_m / pixels_of(outputs.depth) - 2.5

    found = disparity(*(compressed(image, "rgb8; png compressed bgr8") for image in pair))
    np.testing.assert_allclose(found, expected_disparity(*pair), atol=1e-3)
    smooth = [cv2.GaussianBlur(image, (0, 0), 4.0) for image in pair]
    found = disparity(*(compressed(image, "bgr8; jpeg compressed bgr8") for image in smooth))
    np.testing.assert_allclose(found, expected_disparity(*smooth), atol=3.0)
    words = [image[..., 0].astype(np.uint16) * 16 for image in pair]
    found = disparity(*(compressed(image, "16UC1; png compressed ") for image in words))
    grey = [np.rint(image * (255.0 / 4095.0))[..., None].repeat(3, axis=2).astype(np.uint8) for image in words]
    np.testing.assert_allclose(found, expected_disparity(*grey), atol=1e-3)

    bad = {
        r"right camera: the JPEG of \d+ bytes ends early": (
            compressed(smooth[0], "jpeg"), compressed(smooth[1], "rgb8; jpeg compressed bgr8", keep=600)
        ),
        "left camera: format '16UC1; compressedDepth png' is a depth image": (
            compressed(words[0], "16UC1; compressedDepth png"), compressed(smooth[1], "jpeg")
        ),
        "the image is 32x24 but its calibration is for 64x48": (
            compressed(smooth[0][::2, ::2], "jpeg"), compressed(smooth[1][::2, ::2], "jpeg")
        ),
    }  # fmt: skip
    for sentence, images in bad.items():
        send_until_said(graph, node, sentence, images, None)
    assert np.isfinite(disparity(*(compressed(image, "png") for image in pair))).all()


def send_until_said(graph: Graph, node: Any, sentence: str, images: Any, infos: Any) -> None:
    """Publish a pair until the node's log has the sentence, a regular expression."""

    def said() -> bool:
        graph.publish_pair(*images, infos)
        return any(re.search(sentence, warning) for warning in node.warnings())

    graph.wait(said, sentence)


@pytest.mark.parametrize(
    ("remaps", "topics"),
    [
        ({}, ["/left/image_rect/compressed", "/right/image_rect/compressed"]),
        ({"left/image_rect": "/cam/a/image"}, ["/cam/a/image/compressed", "/right/image_rect/compressed"]),
        ({"left/image_rect": "/cam/a/compressed"}, ["/cam/a/compressed", "/right/image_rect/compressed"]),
        ({"left/image_rect/compressed": "/jpeg"}, ["/jpeg", "/right/image_rect/compressed"]),
        ({"left/image_rect": "/a", "/a/compressed": "/b"}, ["/b", "/right/image_rect/compressed"]),
    ],
)
def test_compressed_topics_are_named_as_image_transport_does(
    remaps: dict[str, str], topics: list[str], graph: Graph
) -> None:
    """The base topic's remap counts, then one of the full name; with rectify the base topic is image_raw."""
    words = [word for name, to in remaps.items() for word in ("-r", f"{name}:={to}")]
    node = Node("named", context=graph.context, cli_args=["--ros-args", *words], use_global_arguments=False)
    try:
        assert list(image_topics(node, NodeConfig(image_transport="compressed"))) == topics
        assert image_topics(node, NodeConfig())[0] == remaps.get("left/image_rect", "/left/image_rect")
        raw = "/left/image_raw", "/right/image_raw"
        assert image_topics(node, NodeConfig(rectify=True)) == raw
        assert image_topics(node, NodeConfig(rectify=True, image_transport="compressed"))[1] == f"{raw[1]}/compressed"
    finally:
        node.destroy_node()


LEFT = RawCamera(
    320, 240, (235.0, 234.0, 163.0, 117.0), (250.0, 250.0, 158.0, 122.0), model="plumb_bob",
    d=(-0.28, 0.074, 0.0012, -0.0009, 0.003), r=rotation(0.03, -0.02, 0.025),
)  # fmt: skip
RIGHT = replace(LEFT, k=(230.0, 232.0, 155.0, 124.0), tx=-25.0, r=rotation(-0.02, 0.03, -0.015))


def ros_info(camera: RawCamera) -> CameraInfo:
    """The real message."""
    fields = camera.info()
    return CameraInfo(
        height=fields.height, width=fields.width, distortion_model=fields.distortion_model, d=fields.d, k=fields.k,
        r=fields.r, p=fields.p,
    )  # fmt: skip


def texture(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Waves of several lengths, so that each place is found again."""
    waves = ((7.0, 0.3), (11.0, 1.9), (17.0, 4.1), (29.0, 2.7), (43.0, 5.5))
    return 127.5 + sum(24 * np.sin(2 * np.pi * (u * math.cos(a) + v * math.sin(a)) / length) for length, a in waves)


def test_raw_images_are_rectified(camera: Callable[..., Graph], start_node: Callable[..., Any]) -> None:
    """Two distorted, turned cameras before a wall at 2 m: SGBM finds the wall, which it does not without rectify, and
    depth/camera_info is that of a pinhole. A CameraInfo that changes makes new maps."""
    start_node(engine="sgbm", max_disparity=64, rectify=True)
    graph = camera(image="image_raw")
    disparity_px = 250.0 * 0.1 / 2.0

    def wall(left: RawCamera, right: RawCamera) -> list[Image]:
        shifted = right.raw_image(lambda u, v: texture(u + disparity_px, v))
        return [image_message(image) for image in (left.raw_image(texture), shifted)]

    def depth(images: list[Image], infos: list[CameraInfo]) -> tuple[np.ndarray, CameraInfo]:
        outputs = graph.exchange(*images, tuple(infos))
        return pixels_of(outputs.depth), outputs.camera_info

    depth_HW, info = depth(wall(LEFT, RIGHT), [ros_info(LEFT), ros_info(RIGHT)])
    found = depth_HW[np.isfinite(depth_HW)]
    assert found.size > 0.6 * depth_HW.size
    np.testing.assert_allclose(np.percentile(found, [5, 50, 95]), 2.0, rtol=0.02)
    np.testing.assert_allclose(info.k, np.reshape(info.p, (3, 4))[:, :3].ravel())
    np.testing.assert_allclose(info.p, LEFT.info().p)
    assert (info.distortion_model, list(info.d)) == ("plumb_bob", [0.0] * 5)
    assert (info.width, info.height) == (320, 240)

    other = replace(LEFT, d=(-0.1, 0.0, 0.0, 0.0, 0.0)), replace(RIGHT, d=(0.08, 0.0, 0.0, 0.0, 0.0))
    depth_HW, _ = depth(wall(*other), [ros_info(one) for one in other])
    np.testing.assert_allclose(np.nanmedian(depth_HW), 2.0, rtol=0.02)


def test_what_a_lens_does_not_show_has_no_depth(
    tmp_path: Path, camera: Callable[..., Graph], start_node: Callable[..., Any]
) -> None:
    """The engine gets the rectified images, each from its own camera, and the rim that the left one does not see is
    NaN, whatever the engine says there."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    start_node(engine=write_tiny_engine(tmp_path / "tiny.onnx", 240, 320), rectify=True)
    graph = camera(image="image_raw")
    wide = [replace(one, p=(150.0, 150.0, 158.0, 122.0), tx=0.6 * one.tx) for one in (LEFT, RIGHT)]
    raw = np.random.default_rng(3).integers(0, 250, (2, 240, 320, 3), np.uint8)
    outputs = graph.exchange(*map(image_message, raw), tuple(map(ros_info, wide)))
    infos = [one.info() for one in wide]
    rectification = StereoRectification.of(*infos, StereoCamera.from_camera_info(*infos))
    expected_HW = expected_disparity(*rectification.images(*raw))
    assert 0.2 < rectification.left.unseen_HW.mean() < 0.8
    expected_HW[rectification.left.unseen_HW | (expected_HW <= 0.0)] = np.nan
    np.testing.assert_allclose(pixels_of(outputs.depth), 150.0 * 0.1 / expected_HW, rtol=1e-5)


def test_a_lens_that_cannot_be_costs_pairs_and_not_the_node(
    camera: Callable[..., Graph], start_node: Callable[..., Any]
) -> None:
    """A CameraInfo without R or of another model: a sentence; then a good one: depth."""
    node = start_node(engine="sgbm", max_disparity=64, rectify=True)
    graph = camera(image="image_raw")
    images = [image_message(one.raw_image(texture)) for one in (LEFT, RIGHT)]
    good = (ros_info(LEFT), ros_info(RIGHT))
    no_rotation, unknown = ros_info(LEFT), ros_info(LEFT)
    no_rotation.r = [0.0] * 9
    unknown.distortion_model = "scaramuzza"
    for info, sentence in ((no_rotation, "expected the rotation"), (unknown, "distortion_model is 'scaramuzza'")):
        send_until_said(graph, node, sentence, images, (info, good[1]))
    graph.exchange(*images, good)


def test_an_engine_of_open_size_runs_at_engine_size(
    tmp_path: Path, pair: Any, graph: Graph, start_node: Callable[..., Any]
) -> None:
    """The start says at which size it is warmed up, and a pair of that size has the known answer."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    node = start_node(engine=write_tiny_engine(tmp_path / "open.onnx"), engine_size="64x64", fit="pad")
    outputs = graph.exchange(*(image_message(image) for image in pair), camera_infos(CAMERA))
    assert "images of 64x64, warmed up" in node.said()
    depth_HW = CAMERA.fx_px * CAMERA.baseline_m / (expected_disparity(*pair) + 2.5)
    np.testing.assert_allclose(pixels_of(outputs.depth), depth_HW, rtol=1e-5)


@pytest.mark.parametrize(
    ("engine_size", "sentence"),
    [
        ("480x", "engine_size is '480x': expected rows x columns, such as 480x736, or auto"),
        ("64x64", "engine_size is 64x64 and 'tiny.onnx' takes 48x64: name an engine of that size"),
    ],
)
def test_an_engine_size_that_cannot_be_stops_the_start(
    engine_size: str, sentence: str, tiny: Path, start_node: Callable[..., Any]
) -> None:
    """One sentence and exit code 2."""
    node = start_node(engine=tiny, engine_size=engine_size)
    node.wait_said(sentence)
    assert node.popen.wait(60) == 2
