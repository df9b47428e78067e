"""Message layouts: every encoding against a picture whose pixels are known, every defect with its sentence."""

from __future__ import annotations

import array
from pathlib import Path
from types import SimpleNamespace
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
    "8UC4": (np.concatenate([RGB[..., ::-1], ALPHA], axis=2), RGB),
    "rgb16": (RGB.astype("<u2") * 257, RGB),
    "bgr16": (RGB[..., ::-1].astype("<u2") * 257, RGB),
    "rgba16": (np.concatenate([RGB, ALPHA], axis=2).astype("<u2") * 257, RGB),
    "bgra16": (np.concatenate([RGB[..., ::-1], ALPHA], axis=2).astype("<u2") * 257, RGB),
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


@pytest.mark.parametrize("bit_depth", [10, 12, 16])
@pytest.mark.parametrize("is_bigendian", [0, 1])
@pytest.mark.parametrize("encoding", ["mono16", "16UC1", "rgb16", "bayer_grbg16"])
def test_infrared_of_ten_twelve_and_sixteen_bits(encoding: str, is_bigendian: int, bit_depth: int) -> None:
    """Black, a fifth of the range and white become 0, 51 and 255, whatever the byte order and the padding."""
    most = 2**bit_depth - 1
    for value, expected in ((0, 0), (most / 5, 51), (most, 255)):
        words = np.full((6, 5, 3 if encoding == "rgb16" else 1), round(value), (">" if is_bigendian else "<") + "u2")
        rgb = rgb_from_image(image_message(words, encoding, 6, is_bigendian), bit_depth)
        np.testing.assert_array_equal(rgb, np.full((6, 5, 3), expected))


COLOURS_YUV = {(255, 255, 255): (235, 128, 128), (0, 0, 0): (16, 128, 128), (128, 128, 128): (126, 128, 128),
               (255, 0, 0): (81, 90, 240), (0, 255, 0): (145, 54, 34), (0, 0, 255): (41, 240, 110)}  # fmt: skip
"""Of ITU-R BT.601, studio swing: Y, U (Cb), V (Cr)."""


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2", "nv12", "nv21"])
def test_luminance_and_chrominance(encoding: str, padding: int) -> None:
    """Blocks of known colours: bytes in the order of each encoding, colour planes behind the picture."""
    colours = np.array(list(COLOURS_YUV), np.int32).reshape(2, 3, 3)
    yuv = np.array(list(COLOURS_YUV.values()), np.uint8).reshape(2, 3, 3)
    y_HW, u_hw, v_hw = yuv[..., 0].repeat(2, axis=0).repeat(2, axis=1), yuv[..., 1], yuv[..., 2]
    if encoding.startswith("nv"):
        first, second = (u_hw, v_hw) if encoding == "nv12" else (v_hw, u_hw)
        chroma_hW = np.stack([first, second], axis=2).reshape(2, 6)
        message = image_message(np.concatenate([y_HW, chroma_hW]), encoding, padding)
        message.height = 4
    else:
        u_Hw, v_Hw = u_hw.repeat(2, axis=0), v_hw.repeat(2, axis=0)
        left, right = y_HW[:, ::2], y_HW[:, 1::2]
        order = (u_Hw, left, v_Hw, right) if encoding in ("uyvy", "yuv422") else (left, u_Hw, right, v_Hw)
        message = image_message(np.stack(order, axis=2).reshape(4, 6, 2), encoding, padding)
    rgb = rgb_from_image(message)
    assert rgb.dtype == np.uint8
    np.testing.assert_allclose(rgb.astype(int), colours.repeat(2, axis=0).repeat(2, axis=1), atol=2)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer_mosaics(order: str, bits: int) -> None:
    """One colour everywhere is that colour; one red pixel is red there, half red beside it and a quarter at corners."""
    sites = np.array(["rgb".index(letter) for letter in order]).reshape(2, 2)
    channel_HW = np.tile(sites, (4, 5))[:7, :9]
    colour = np.array([200, 90, 30], np.uint8)
    scale = 257 if bits == 16 else 1
    mosaic = (colour[channel_HW].astype(f"<u{bits // 8}") * scale)[..., None]
    rgb = rgb_from_image(image_message(mosaic, f"bayer_{order}{bits}", padding=2))
    np.testing.assert_array_equal(rgb, np.broadcast_to(colour, (7, 9, 3)))

    row, column = np.argwhere(channel_HW[2:6, 2:6] == 0)[0] + 2
    one = np.zeros_like(mosaic)
    one[row, column] = 240 * scale
    rgb = rgb_from_image(image_message(one, f"bayer_{order}{bits}"))
    np.testing.assert_array_equal(
        rgb[row - 1 : row + 2, column - 1 : column + 2, 0], [[60, 120, 60], [120, 240, 120], [60, 120, 60]]
    )
    assert not rgb[..., 1:].any()


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
        ({"encoding": "yuyv"}, "the image is 5x7, but yuyv has whole blocks of 2x1 pixels"),
        ({"encoding": "nv12", "width": 4}, "the image is 4x7, but nv12 has whole blocks of 2x2 pixels"),
        ({"encoding": "nv21", "width": 4, "height": 6}, r"105 bytes instead of 135 \(9 rows x step 15\)"),
    ],
)
def test_numbers_that_contradict_each_other(fields: dict[str, Any], sentence: str) -> None:
    """A damaged message is refused before its memory is touched."""
    with pytest.raises(MessageError, match=sentence):
        rgb_from_image(SimpleNamespace(**(vars(image_message(RGB, "rgb8")) | fields)))


@pytest.mark.parametrize("encoding", ["32FC1", "", "RGB8", "yuv444", "bayer_rggb12"])
def test_other_encodings_are_refused(encoding: str) -> None:
    """The sentence names the encoding and those that are known."""
    with pytest.raises(MessageError, match=rf"encoding '{encoding}' is none .* expected one of mono8.*bayer_grbg16;"):
        rgb_from_image(image_message(RGB, encoding))
