"""Pictures of every kind that data sets and cameras come in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros.errors import FileError
from ffs_ros.image_file import read_rgb, write_picture, write_png

RGB = np.random.default_rng(5).integers(0, 256, (9, 13, 3), dtype=np.uint8)
BGR = RGB[..., ::-1]
GREY = RGB[..., 0]


def smooth_picture() -> np.ndarray:
    return cv2.resize(np.random.default_rng(6).integers(0, 256, (8, 12, 3), dtype=np.uint8), (120, 80))


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (BGR, RGB),
        (np.dstack([BGR, GREY]), RGB),
        (GREY, np.dstack([GREY] * 3)),
        (BGR.astype(np.uint16) * 257, RGB),
        (GREY.astype(np.uint16) * 257, np.dstack([GREY] * 3)),
        (np.dstack([BGR, GREY]).astype(np.uint16) * 257, RGB),
    ],
    ids=["colour", "alpha", "grey", "colour16", "grey16", "alpha16"],
)
def test_png_of_every_kind(tmp_path: Path, pixels: np.ndarray, expected: np.ndarray) -> None:
    """8 or 16 bits, grey, colour, alpha: RGB bytes come out."""
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    rgb = read_rgb(tmp_path / "a.png")
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    np.testing.assert_array_equal(rgb, expected)


@pytest.mark.parametrize("suffix", ["jpg", "webp", "bmp", "tiff", "ppm"])
def test_other_formats(tmp_path: Path, suffix: str) -> None:
    """Lossy formats within their loss, the others exactly, all in RGB order."""
    picture = smooth_picture()
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), picture[..., ::-1])
    difference = np.abs(read_rgb(tmp_path / f"a.{suffix}").astype(int) - picture)
    assert difference.mean() < (3 if suffix in ("jpg", "webp") else 1e-9)


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("kept", [0.2, 0.6, 0.99])
def test_half_downloads_are_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    """Some versions of OpenCV fill the missing rest with grey, on which a matcher would find something."""
    content = cv2.imencode(f".{suffix}", smooth_picture())[1].tobytes()
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FileError, match="is cut short after"):
        read_rgb(path)


def test_jpeg_with_a_thumbnail_cut_short(tmp_path: Path) -> None:
    """The end of an embedded thumbnail is not the end of the picture."""
    content = cv2.imencode(".jpg", smooth_picture())[1].tobytes()
    thumbnail = cv2.imencode(".jpg", smooth_picture()[::8, ::8])[1].tobytes()
    with_thumbnail = content[:2] + b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail + content[2:]
    path = tmp_path / "a.jpg"
    path.write_bytes(with_thumbnail)
    assert read_rgb(path).shape == (80, 120, 3)
    path.write_bytes(with_thumbnail[: -len(content) // 2])
    with pytest.raises(FileError, match="is cut short"):
        read_rgb(path)


@pytest.mark.parametrize("content", [b"", b"not a picture at all", b"\x93NUMPY" + bytes(100)])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """Empty, text, something else."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileError, match=rf"a\.png is damaged or not a picture \({len(content)} bytes\)"):
        read_rgb(tmp_path / "a.png")


def test_floats_are_no_picture(tmp_path: Path) -> None:
    """A disparity map in place of an image is noticed."""
    cv2.imwrite(str(tmp_path / "a.pfm"), np.ones((4, 4), np.float32))
    with pytest.raises(FileError, match="holds float32 pixels: expected a picture of 8 or 16 bits"):
        read_rgb(tmp_path / "a.pfm")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(FileError, match=r"cannot read .*none\.png: No such file or directory; check the name"):
        read_rgb(tmp_path / "none.png")
    with pytest.raises(FileError, match="Is a directory"):
        read_rgb(tmp_path)


def test_written_pictures_read_back(tmp_path: Path) -> None:
    """RGB in RGB order, and 16-bit millimetres as they are."""
    write_png(tmp_path / "a.png", RGB)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), RGB)
    depth = np.array([[0, 1, 65535]], np.uint16)
    write_png(tmp_path / "d.png", depth)
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "d.png"), cv2.IMREAD_UNCHANGED), depth)


@pytest.mark.parametrize(
    ("suffix", "begins"),
    [
        (".png", b"\x89PNG"),
        (".JPG", b"\xff\xd8\xff"),
        (".ppm", b"P6"),
        (".pgm", b"\x89PNG"),
        (".exr", b"\x89PNG"),
        ("", b"\x89PNG"),
    ],
)
def test_a_picture_is_what_its_ending_says(suffix: str, begins: bytes, tmp_path: Path) -> None:
    """Where that holds colours, otherwise PNG; never nothing."""
    write_picture(tmp_path / f"a{suffix}", RGB)
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(begins)
    assert read_rgb(tmp_path / f"a{suffix}").shape == RGB.shape
