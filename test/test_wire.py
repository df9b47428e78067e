"""Message layouts: every encoding against a picture whose pixels are known, every defect with its sentence."""

from __future__ import annotations

import array
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffs_ros.errors import MessageError
from ffs_ros.wire import rgb_from_image

RGB = np.random.default_rng(1).integers(0, 256, (7, 5, 3), dtype=np.uint8)
GREY = RGB[..., :1]
ALPHA = np.full((7, 5, 1), 77, np.uint8)

PICTURES = {
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[..., ::-1], RGB),
    "8UC3": (RGB[..., ::-1], RGB),
    "rgba8": (np.concatenate([RGB, ALPHA], axis=2), RGB),
    "bgra8": (np.concatenate([RGB[..., ::-1], ALPHA], axis=2), RGB),
    "mono8": (GREY, GREY.repeat(3, axis=2)),
    "8UC1": (GREY, GREY.repeat(3, axis=2)),
    "mono16": (GREY.astype("<u2") * 257, GREY.repeat(3, axis=2)),
    "16UC1": (GREY.astype("<u2") * 257, GREY.repeat(3, axis=2)),
}


def image_message(pixels: np.ndarray, encoding: str, padding: int = 0, is_bigendian: int = 0) -> SimpleNamespace:
    """A sensor_msgs/Image by attribute, with ``padding`` junk bytes after every row."""
    height, width = pixels.shape[:2]
    rows = np.frombuffer(np.ascontiguousarray(pixels).tobytes(), np.uint8).reshape(height, -1)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=0xEE)
    return SimpleNamespace(
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=is_bigendian,
        step=rows.shape[1],
        data=array.array("B", rows.tobytes()),
    )


@pytest.mark.parametrize("padding", [0, 3])
@pytest.mark.parametrize("encoding", PICTURES)
def test_every_encoding_gives_the_picture(encoding: str, padding: int) -> None:
    """Channel order, alpha, depth and row padding: the RGB that comes out is the one that went in."""
    pixels, expected = PICTURES[encoding]
    rgb = rgb_from_image(image_message(pixels, encoding, padding))
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("padding", [0, 3, 4])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_big_endian_words(encoding: str, padding: int) -> None:
    """is_bigendian swaps the bytes of 16-bit words, and means nothing for bytes."""
    ten_bits = np.array([[[0], [341], [1023]], [[341], [0], [682]]])
    for is_bigendian, dtype in enumerate(("<u2", ">u2")):
        message = image_message(ten_bits.astype(dtype), encoding, padding, is_bigendian)
        np.testing.assert_array_equal(rgb_from_image(message, bit_depth=10)[..., 0], [[0, 85, 255], [85, 0, 170]])
    bytes_only = rgb_from_image(image_message(RGB, "rgb8", padding, is_bigendian=1))
    np.testing.assert_array_equal(bytes_only, RGB)


def test_bit_depth_scales_what_the_sensor_fills() -> None:
    """A 10-bit sensor's 1023 is white, half of it is grey, and what exceeds its range is white too."""
    pixels = np.array([[[0], [341], [1023], [4000]]], "<u2")
    rgb = rgb_from_image(image_message(pixels, "mono16"), bit_depth=10)
    np.testing.assert_array_equal(rgb[0, :, 0], [0, 85, 255, 255])


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview, lambda b: np.frombuffer(b, np.uint8)])
@pytest.mark.parametrize("encoding", ["rgb8", "bgr8", "mono8", "mono16"])
def test_any_buffer_will_do(container: Any, encoding: str) -> None:
    """rclpy gives array.array, bag readers ndarray or bytes, writable or not."""
    pixels, expected = PICTURES[encoding]
    message = image_message(pixels, encoding)
    message.data = container(bytes(message.data))
    np.testing.assert_array_equal(rgb_from_image(message), expected)


def test_rgb8_without_padding_is_not_copied() -> None:
    """The common colour case costs nothing: the picture is a view of the message's buffer."""
    message = image_message(RGB, "rgb8")
    rgb = rgb_from_image(message)
    message.data[0] = (int(RGB[0, 0, 0]) + 1) % 256
    assert rgb[0, 0, 0] == message.data[0]


def test_messages_of_rclpy() -> None:
    """The real message type, whose data is an array.array and whose step is what the driver says."""
    messages = pytest.importorskip("sensor_msgs.msg")
    like = image_message(PICTURES["bgra8"][0], "bgra8", padding=4)
    np.testing.assert_array_equal(rgb_from_image(messages.Image(**vars(like))), RGB)


def test_messages_of_a_bag(shared: Path) -> None:
    """A real recording through a reader without ROS gives the same picture as its bytes."""
    highlevel = pytest.importorskip("rosbags.highlevel")
    bag = next((shared / "data" / "stereo" / "ros1bag_t265_fisheye").glob("*.bag"))
    with highlevel.AnyReader([bag]) as reader:
        connections = [c for c in reader.connections if c.topic == "/camera/fisheye1/image_raw"]
        connection, _, raw = next(reader.messages(connections))
        message = reader.deserialize(raw, connection.msgtype)
    rgb = rgb_from_image(message)
    assert rgb.shape == (800, 848, 3)
    np.testing.assert_array_equal(rgb[..., 1], np.reshape(message.data, (800, 848)))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"height": 0}, "the image is empty .5x0."),
        ({"width": 0}, "the image is empty .0x7."),
        ({"width": 2**32 - 1}, "claims to be 4294967295x7: expected at most 16384"),
        ({"height": 20000}, "claims to be 5x20000"),
        ({"step": 14}, "step is 14 bytes, but 5 pixels of rgb8 need 15"),
        ({"step": 0}, "step is 0 bytes"),
        ({"step": 2**31}, "data ends early: 105 bytes instead of"),
        ({"data": array.array("B", b"\0" * 104)}, "data ends early: 104 bytes instead of 105"),
        ({"data": b""}, "data ends early: 0 bytes"),
        ({"encoding": "mono16", "width": 8}, "step is 15 bytes, but 8 pixels of mono16 need 16"),
    ],
)
def test_numbers_that_contradict_each_other(fields: dict[str, Any], sentence: str) -> None:
    """A damaged message is refused before its memory is touched."""
    with pytest.raises(MessageError, match=sentence):
        rgb_from_image(SimpleNamespace(**(vars(image_message(RGB, "rgb8")) | fields)))


@pytest.mark.parametrize("encoding", ["yuv422", "bayer_rggb8", "32FC1", "", "RGB8"])
def test_other_encodings_without_cv_bridge(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the encoding, those that are known, and cv_bridge."""
    monkeypatch.setitem(sys.modules, "cv_bridge", None)
    with pytest.raises(MessageError, match=rf"encoding '{encoding}' is not one of mono8.*cv_bridge"):
        rgb_from_image(image_message(RGB, encoding))


def install_cv_bridge(monkeypatch: pytest.MonkeyPatch, convert: Any) -> None:
    stand_in = ModuleType("cv_bridge")
    stand_in.CvBridgeError = type("CvBridgeError", (TypeError,), {})  # type: ignore[attr-defined]
    stand_in.CvBridge = type("CvBridge", (), {"imgmsg_to_cv2": staticmethod(convert)})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cv_bridge", stand_in)


def test_other_encodings_go_through_cv_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cv_bridge is installed it is asked for rgb8."""

    def convert(message: Any, desired_encoding: str) -> np.ndarray:
        assert (message.encoding, desired_encoding) == ("bayer_rggb8", "rgb8")
        return RGB[:, ::-1][:, ::-1]

    install_cv_bridge(monkeypatch, convert)
    np.testing.assert_array_equal(rgb_from_image(image_message(RGB, "bayer_rggb8")), RGB)


def test_cv_bridge_that_cannot_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Depth images have no colours, and cv_bridge says so in its own words."""

    def convert(message: Any, desired_encoding: str) -> np.ndarray:
        raise sys.modules["cv_bridge"].CvBridgeError("[32FC1] is not a color format")

    install_cv_bridge(monkeypatch, convert)
    with pytest.raises(MessageError, match=r"cannot make rgb8 of encoding '32FC1' \(\[32FC1\] is not a color format\)"):
        rgb_from_image(image_message(RGB, "32FC1"))
