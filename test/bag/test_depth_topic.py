"""Depth images become the disparities that belong to them, and a bag's are compared with what was matched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from recordings import CAMERA, DISPARITY_px, Sent, image, stereo_stream, write_bag

from ffs_ros.bag.depth_topic import depth_of_image, disparity_of_depth
from ffs_ros.errors import FfsError, ListError, MessageError

Pairs = list[tuple[np.ndarray, np.ndarray]]
Replay = Callable[..., tuple[dict[str, Any], Path]]
DEPTH_M = CAMERA.fx_px * CAMERA.baseline_m / (DISPARITY_px - CAMERA.principal_point_difference_px)


def depth_image(pixels: np.ndarray, encoding: str, is_bigendian: int = 0, padding: int = 0) -> Any:
    """With rubbish behind each row."""
    height, width = pixels.shape
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(height, -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    return SimpleNamespace(
        height=height, width=width, encoding=encoding, is_bigendian=is_bigendian, step=data.shape[1], data=data.ravel()
    )


@pytest.mark.parametrize("padding", [0, 6])
def test_encodings_of_rep_118(padding: int) -> None:
    """Metres with NaN, inf and 0 for none; millimetres of either byte order with 0 for none."""
    metres = np.array([[1.5, np.nan, 2.25], [0.0, np.inf, -1.0]], np.float32)
    expected = np.array([[1.5, np.nan, 2.25], [np.nan, np.nan, np.nan]], np.float32)
    np.testing.assert_array_equal(depth_of_image(depth_image(metres, "32FC1", 0, padding)), expected)
    for order in "<>":
        millimetres = np.array([[1500, 0, 2250], [0, 0, 0]]).astype(f"{order}u2")
        found = depth_of_image(depth_image(millimetres, "16UC1", order == ">", padding))
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_disparity_of_a_depth() -> None:
    """fx * baseline / Z with the principal points' difference: what the left image's own disparity would be."""
    depth_HW = np.full((CAMERA.height, CAMERA.width), DEPTH_M, np.float32)
    depth_HW[0] = np.nan
    disparity_HW = disparity_of_depth(depth_HW, CAMERA)
    np.testing.assert_allclose(disparity_HW[1:], DISPARITY_px, rtol=1e-6)
    assert np.isnan(disparity_HW[0]).all()


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (depth_image(np.zeros((2, 3), np.uint8), "mono8"), "encoding is 'mono8': expected 32FC1 .metres. or 16UC1"),
        (SimpleNamespace(**{**vars(depth_image(np.zeros((2, 3), np.uint16), "16UC1")), "height": 3}), "does not hold"),
        (SimpleNamespace(**{**vars(depth_image(np.zeros((2, 3), np.uint16), "16UC1")), "step": 4}), "does not hold"),
    ],
)
def test_what_is_no_depth(message: Any, sentence: str) -> None:
    """One sentence."""
    with pytest.raises(MessageError, match=sentence):
        depth_of_image(message)


def test_a_bags_depth_camera(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Depth images before, between and behind the pairs find theirs by the stamp; one is of another size."""
    sent = stereo_stream(pairs, CAMERA)
    for index, offset_ns in enumerate((-3_000_000, 0, 20_000_000, 40_000_000)):
        stamp_ns = sent[4 * index].log_ns - 5_000_000
        depth_HW = np.full((CAMERA.height, CAMERA.width), 1000 * DEPTH_M, np.uint16)
        depth_HW[:, :20] = 0  # where SGBM has none either
        if index == 3:
            depth_HW = depth_HW[::2]
        sent.append(Sent("/depth/image", sent[4 * index].log_ns + offset_ns, image(stamp_ns, depth_HW, "16UC1")))
    bag = write_bag(tmp_path / "rec", "mcap", sorted(sent, key=lambda message: message.log_ns))
    record, out = replay(bag, depth_topic="/depth/image")
    found = record["depth_topic"]
    assert found["pairs"] == 3
    assert found["epe"] == pytest.approx(0.03, abs=0.05)
    assert found["bp1"] == 0.0
    assert found["share_of_pixels_with_depth"] == pytest.approx(76 / 96)
    assert found["answered_there"] > 0.9
    assert list(found["unusable"].values()) == [1]
    assert "the depth image is 96x24 and the left image 96x48" in next(iter(found["unusable"]))
    assert "Against /depth/image" in (out / "report.html").read_text()


def test_a_depth_topic_that_is_not_there(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """The error lists the images."""
    bag = write_bag(tmp_path / "rec", "mcap", stereo_stream(pairs[:1], CAMERA))
    with pytest.raises(FfsError, match="no such sensor_msgs/Image: its images are /left/image_rect, /right/image_rect"):
        replay(bag, depth_topic="/depth/image")


def test_all_topics_that_are_wrong_are_named_at_once(tmp_path: Path, pairs: Pairs, replay: Replay) -> None:
    """Both CameraInfo and the depth, before an engine is opened."""
    sent = [message for message in stereo_stream(pairs[:1], CAMERA) if message.topic.endswith("image_rect")]
    bag = write_bag(tmp_path / "rec", "mcap", sent)
    with pytest.raises(ListError) as found:
        replay(bag, parameters={"engine": "none.onnx"}, depth_topic="/depth/image")
    assert [sentence.split(":")[0] for sentence in found.value.args] == [
        "the bag has no CameraInfo on /left/camera_info",
        "the bag has no CameraInfo on /right/camera_info",
        "--depth-topic is /depth/image, and the bag has no such sensor_msgs/Image",
    ]
