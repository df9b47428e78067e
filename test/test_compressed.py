"""JPEG and PNG messages: the picture that went in, every defect with its sentence, nothing hostile unpacked."""

from __future__ import annotations

import array
import struct
import tracemalloc
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.compressed import rgb_from_compressed
from ffs_ros.errors import MessageError
from ffs_ros.wire import rgb_from_message, size_of_picture

HEIGHT, WIDTH = 48, 40
ROW, COLUMN = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([4 * ROW, 5 * COLUMN, 200 - 2 * ROW - 2 * COLUMN], axis=2).astype(np.uint8)
"""Smooth, so that JPEG changes little, and different in every channel."""
BGR = np.ascontiguousarray(RGB[..., ::-1])
GREY = np.ascontiguousarray(RGB[..., 1])


def packed(pixels: np.ndarray, ending: str, *options: int) -> bytes:
    """As OpenCV writes it; three channels are taken for BGR."""
    done, data = cv2.imencode(ending, pixels, options)
    assert done
    return bytes(data)


def message(data: Any, format_: str = "jpeg") -> SimpleNamespace:
    return SimpleNamespace(format=format_, data=data)


JPEG, PNG = packed(BGR, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95), packed(BGR, ".png")


@pytest.mark.parametrize(
    "format_",
    ["rgb8; jpeg compressed bgr8", "bgr8; jpeg compressed bgr8", "jpeg", "jpg", "", "yuv422; jpeg compressed bgr8"],
)
def test_jpeg(format_: str) -> None:
    """Colours are in their channels, whatever the source's order was, within what JPEG loses."""
    rgb = rgb_from_compressed(message(JPEG, format_))
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    np.testing.assert_allclose(rgb.astype(int), RGB.astype(int), atol=12)


@pytest.mark.parametrize("format_", ["rgb8; png compressed bgr8", "rgba8; png compressed bgr8", "png"])
@pytest.mark.parametrize(
    "container", [bytes, bytearray, lambda b: array.array("B", b), lambda b: np.frombuffer(b, "u1")]
)
def test_png(format_: str, container: Any) -> None:
    """Without loss, from any buffer."""
    np.testing.assert_array_equal(rgb_from_compressed(message(container(PNG), format_)), RGB)


def test_channels_that_are_exchanged_in_the_file() -> None:
    """'compressed rgb8' says that the file's red is blue."""
    np.testing.assert_array_equal(rgb_from_compressed(message(packed(RGB, ".png"), "rgb8; png compressed rgb8")), RGB)


def test_alpha_is_dropped() -> None:
    """Four channels of PNG are BGRA to OpenCV."""
    alpha = np.full((HEIGHT, WIDTH, 1), 9, np.uint8)
    data = packed(np.concatenate([BGR, alpha], axis=2), ".png")
    np.testing.assert_array_equal(rgb_from_compressed(message(data, "bgra8; png compressed ")), RGB)


@pytest.mark.parametrize(
    "format_", ["mono8; jpeg compressed mono8", "mono8; jpeg compressed ", "mono8; png compressed "]
)
def test_grey(format_: str) -> None:
    """One channel becomes three alike."""
    rgb = rgb_from_compressed(message(packed(GREY, ".png" if "png" in format_ else ".jpg"), format_))
    np.testing.assert_allclose(rgb.astype(int), GREY[..., None].repeat(3, axis=2).astype(int), atol=3)
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])


@pytest.mark.parametrize(
    "format_", ["16UC1; png compressed ", "mono16; png compressed ", "mono16; png compressed mono16"]
)
def test_infrared_of_ten_bits(format_: str) -> None:
    """A 16-bit PNG keeps its bits and is scaled by those that the sensor fills."""
    words = np.array([[0, 341], [1023, 682]], np.uint16)
    rgb = rgb_from_compressed(message(packed(words, ".png"), format_), bit_depth=10)
    np.testing.assert_array_equal(rgb, np.array([[0, 85], [255, 170]])[..., None].repeat(3, axis=2))


def test_colour_of_sixteen_bits() -> None:
    """bgr16 in a PNG."""
    data = packed(BGR.astype(np.uint16) * 257, ".png")
    np.testing.assert_array_equal(rgb_from_compressed(message(data, "rgb16; png compressed bgr16")), RGB)


def test_a_mosaic_in_a_png() -> None:
    """image_transport packs a Bayer mosaic as PNG as it is, and as JPEG after making it grey."""
    mosaic = np.tile(np.array([[200, 90], [90, 30]], np.uint8), (8, 8))
    rgb = rgb_from_compressed(message(packed(mosaic, ".png"), "bayer_rggb8; png compressed "))
    np.testing.assert_array_equal(rgb, np.broadcast_to(np.uint8([200, 90, 30]), (16, 16, 3)))
    grey = np.where((ROW // 8 + COLUMN // 8) % 2, 200, 50).astype(np.uint8)
    rgb = rgb_from_compressed(message(packed(grey, ".jpg"), "bayer_rggb8; jpeg compressed mono8"))
    np.testing.assert_array_equal(rgb[..., 0], rgb[..., 2])


def test_the_size_is_known_without_decoding() -> None:
    """Rows and columns of both kinds, also behind a long comment and fill bytes, and of a plain Image."""
    comment = b"\xff\xfe\xff\xff" + bytes(0xFFFD) + b"\xff\xff\xff"
    for data in (JPEG, PNG, JPEG[:2] + comment + JPEG[2:], packed(BGR, ".jpg", cv2.IMWRITE_JPEG_PROGRESSIVE, 1)):
        assert size_of_picture(message(data)) == (HEIGHT, WIDTH)
        assert rgb_from_message(message(data)).shape == RGB.shape
    assert size_of_picture(SimpleNamespace(height=3, width=4)) == (3, 4)


def test_a_camera_may_pad_its_jpeg() -> None:
    """Zeros behind the end are no damage."""
    assert rgb_from_compressed(message(JPEG + bytes(700))).shape == RGB.shape


def test_a_message_of_a_real_camera(shared: Path) -> None:
    """A recording of raspicam_node, whose format is 'jpg'."""
    highlevel = pytest.importorskip("rosbags.highlevel")
    bag = next((shared / "data" / "stereo" / "ros1bag_raspicam_mono").glob("*.bag"))
    with highlevel.AnyReader([bag]) as reader:
        connections = [c for c in reader.connections if c.topic == "/raspicam_node/image/compressed"]
        connection, _, raw = next(reader.messages(connections))
        compressed = reader.deserialize(raw, connection.msgtype)
    assert size_of_picture(compressed) == (960, 1280)
    rgb = rgb_from_message(compressed)
    assert rgb.shape == (960, 1280, 3)
    assert rgb.std() > 10


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of(width: int, height: int, content: bytes) -> bytes:
    """A grey PNG that claims a size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def jpeg_of(width: int, height: int) -> bytes:
    """The JPEG above with another size in its header."""
    at = JPEG.index(b"\xff\xc0") + 5
    return JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]


MANY_SCANS = JPEG[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 200 + JPEG[-2:]


@pytest.mark.parametrize(
    ("data", "format_", "sentence"),
    [
        (b"", "jpeg", "format 'jpeg', 0 bytes. is neither JPEG nor PNG"),
        (b"BM" + bytes(100), "bmp", "format 'bmp', 102 bytes. is neither"),
        (bytes(100), "x" * 500, f"format '{'x' * 40}', 100 bytes"),
        (PNG, "16UC1; compressedDepth png", "is a depth image and no camera's picture"),
        (JPEG[:-1], "jpeg", f"the JPEG of {len(JPEG) - 1} bytes ends early"),
        (JPEG[: len(JPEG) // 2], "jpeg", "ends early"),
        (JPEG[:20], "jpeg", "says nowhere how large it is"),
        (JPEG[:2] + b"\xff\xe0\0\0" * 10**6, "jpeg", "says nowhere how large it is"),
        (b"\xff" * 10**7, "jpeg", "is neither JPEG nor PNG"),
        (b"\xff\xd8" + b"\xff" * 10**7, "jpeg", "says nowhere how large it is"),
        (PNG[:-1], "png", f"the PNG of {len(PNG) - 1} bytes ends early"),
        (PNG[:20], "png", "the image is empty .40x0."),
        (PNG[:100] + bytes(20) + PNG[120:], "png", "is damaged: it cannot be decoded"),
        (JPEG[:2] + JPEG[-2:], "jpeg", "is neither|says nowhere"),
        (jpeg_of(0, 48), "jpeg", "the image is empty .0x48."),
        (jpeg_of(65500, 65500), "jpeg", "claims to be 65500x65500: expected at most 16384 pixels per side"),
        (jpeg_of(16000, 16000), "jpeg", "claims to be 16000x16000: expected at most 33554432 pixels"),
        (png_of(2**31 - 1, 2**31 - 1, b""), "png", "claims to be 2147483647x2147483647"),
        (png_of(40, 48, zlib.compress(bytes(10))), "png", "is damaged"),
        (MANY_SCANS, "jpeg", "has more than 100 scans"),
        (PNG[:33] + struct.pack(">I", 2**31 - 1) + PNG[37:], "png", "PNG of .* bytes ends early or is damaged"),
        (PNG[:33] + (b"\0\0\0\0juNk" + bytes(4)) * 10**5 + PNG[33:], "png", "ends early or is damaged"),
    ],
)  # fmt: skip
def test_damaged_and_hostile_files(data: bytes, format_: str, sentence: str) -> None:
    """Each is one sentence, and none of them takes memory or time."""
    with pytest.raises(MessageError, match=sentence):
        rgb_from_compressed(message(data, format_))


def test_a_bomb_is_not_unpacked() -> None:
    """A megabyte of zeros' zeros that claims a gigapixel costs no more than reading its header."""
    bomb = png_of(16384, 16384, zlib.compress(bytes(2**24)))
    tracemalloc.start()
    try:
        with pytest.raises(MessageError, match="claims to be 16384x16384"):
            rgb_from_compressed(message(bomb, "png"))
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("data", [JPEG, PNG], ids=["jpeg", "png"])
def test_no_damage_raises_anything_else(data: bytes) -> None:
    """Cut anywhere, or with any byte changed: a picture of the size that the file says, or a sentence."""
    damaged = [data[:n] for n in range(0, len(data), 7)]
    damaged += [data[:at] + bytes([data[at] ^ 0xA5]) + data[at + 1 :] for at in range(0, len(data), 11)]
    refused = 0
    for one in damaged:
        try:
            rgb = rgb_from_compressed(message(one))
        except MessageError:  # noqa: PERF203
            refused += 1
        else:
            assert rgb.shape == (*size_of_picture(message(one)), 3)
    assert refused >= len(data) // 7  # all that were cut
