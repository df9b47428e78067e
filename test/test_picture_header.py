"""Size and layout from a file's first bytes are those of the unpacked picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros.errors import FileError
from ffs_ros.image_file import read_pixels
from ffs_ros.pfm import read_pfm, write_pfm
from ffs_ros.picture_header import PictureHeader, read_header

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "pixels", "options"),
    [
        ("a.png", RGB, []),
        ("a.png", RGB[..., 0], []),
        ("a.png", np.dstack([RGB, RGB[..., 0]]), []),
        ("a.png", RGB.astype(np.uint16) * 257, []),
        ("a.png", RGB[..., 0].astype(np.uint16) * 257, []),
        ("a.png", RGB[..., 0] & 128, [cv2.IMWRITE_PNG_BILEVEL, 1]),
        ("a.jpg", RGB, []),
        ("a.jpg", RGB[..., 0], []),
        ("a.jpg", RGB, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        ("a.bmp", RGB, []),
        ("a.tiff", RGB.astype(np.uint16), []),
        ("a.pgm", RGB[..., 0], []),
        ("a.ppm", RGB, []),
    ],
)
def test_headers_of_pictures(tmp_path: Path, name: str, pixels: np.ndarray, options: list[int]) -> None:
    """As OpenCV unpacks them."""
    cv2.imwrite(str(tmp_path / name), pixels, options)
    unpacked = read_pixels(tmp_path / name)
    channels = 1 if unpacked.ndim == 2 else unpacked.shape[2]
    assert read_header(tmp_path / name) == PictureHeader(5, 7, channels, unpacked.dtype)


def test_a_jpeg_with_long_segments_before_its_frame(tmp_path: Path) -> None:
    """A colour profile and an embedded preview, which has a frame of its own, are passed over."""
    content = cv2.imencode(".jpg", RGB)[1].tobytes()
    preview = cv2.imencode(".jpg", np.zeros((99, 88, 3), np.uint8))[1].tobytes()[:65_000]
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    whole = content[:2] + 3 * segment + b"\xff" + content[2:]
    (tmp_path / "a.jpg").write_bytes(whole[:-9])  # nothing that could be unpacked
    assert read_header(tmp_path / "a.jpg")[:2] == (5, 7)


def test_what_follows_a_header_is_not_read(tmp_path: Path) -> None:
    """A picture that is cut short has a size all the same; reading it says what is wrong."""
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", RGB)[1].tobytes()[:40])
    assert read_header(tmp_path / "a.png") == PictureHeader(5, 7, 3, np.dtype(np.uint8))
    with pytest.raises(FileError, match="is cut short"):
        read_pixels(tmp_path / "a.png")


def test_headers_of_maps(tmp_path: Path) -> None:
    """PFM, with blanks in its header, .npy of any version and .npz."""
    write_pfm(tmp_path / "a.pfm", np.ones((5, 7), np.float32))
    (tmp_path / "b.pfm").write_bytes(b"Pf\n7 5 \n-1.0  \n" + bytes(140))
    np.save(tmp_path / "a.npy", np.ones((5, 7), np.float64))
    for name, dtype in (("a.pfm", np.float32), ("b.pfm", np.float32), ("a.npy", np.float64)):
        assert read_header(tmp_path / name) == PictureHeader(5, 7, 1, np.dtype(dtype))
    assert read_pfm(tmp_path / "b.pfm").shape == (5, 7)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\x00"])
def test_what_is_no_picture(tmp_path: Path, content: bytes) -> None:
    """One sentence with the file's name."""
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(FileError, match=r"a\.png is "):
        read_header(tmp_path / "a.png")
    with pytest.raises(FileError, match=r"cannot read .*none\.png: No such file"):
        read_header(tmp_path / "none.png")
    (tmp_path / "a.pfm").write_bytes(content)
    with pytest.raises(FileError, match=r"a\.pfm is not a PFM file"):
        read_header(tmp_path / "a.pfm")


def test_real_files(shared: Path) -> None:
    """Every picture of the real pairs."""
    paths = [path for path in (shared / "data" / "stereo").glob("*/*.*") if path.suffix in (".png", ".jpg")]
    assert len(paths) > 20
    for path in paths:
        unpacked = read_pixels(path)
        channels = 1 if unpacked.ndim == 2 else unpacked.shape[2]
        assert read_header(path) == PictureHeader(*unpacked.shape[:2], channels, unpacked.dtype), path


@pytest.mark.parametrize("text", ["((((", "{[]: 1}", "  x\n y\n", "(" * 3000 + ")" * 3000])
def test_damaged_headers_of_arrays(tmp_path: Path, text: str) -> None:
    """NumPy takes them for Python, and raises whatever that raises."""
    file = tmp_path / "d.npy"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(64))
    with pytest.raises(FileError, match=r"d\.npy is damaged or not"):
        read_header(file)
