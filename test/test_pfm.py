"""PFM files, ours and other people's."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from ffs_ros.errors import FileError
from ffs_ros.pfm import read_pfm, write_pfm
from ffs_ros.picture_header import read_header

MAP = np.array([[1.5, np.nan, 3.25], [0.0, 200.125, 7.0]], np.float32)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """NaN survives as +inf in the file; 0 is a disparity."""
    write_pfm(tmp_path / "d.pfm", MAP)
    np.testing.assert_array_equal(read_pfm(tmp_path / "d.pfm"), MAP)


def test_other_readers_see_plus_infinity(tmp_path: Path) -> None:
    """OpenCV reads our file: row order, byte order and +inf for no answer."""
    write_pfm(tmp_path / "d.pfm", MAP)
    seen = cv2.imread(str(tmp_path / "d.pfm"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(seen, np.where(np.isnan(MAP), np.float32(np.inf), MAP))


@pytest.mark.parametrize("header", [b"Pf\n3 2\n1.0\n", b"Pf \n3 2 \n1.000000 \n", b"Pf 3 2 1\r\n"])
def test_big_endian_and_odd_headers(tmp_path: Path, header: bytes) -> None:
    """A positive scale is big endian; blanks before a line's end, as FlyingThings3D writes, are harmless."""
    path = tmp_path / "d.pfm"
    path.write_bytes(header + np.where(np.isnan(MAP), -np.inf, MAP)[::-1].astype(">f4").tobytes())
    np.testing.assert_array_equal(read_pfm(path), MAP)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is not a PFM file"),
        (b"\x89PNG\r\n", "is not a PFM file"),
        (b"Pf\n3 x\n-1\n", "is not a PFM file"),
        (b"PF\n3 2\n-1\n" + bytes(72), "holds a colour picture"),
        (b"Pf\n3 2\n-1\n" + bytes(23), "announces 3x2 numbers but holds 5"),
        (b"Pf\n999999999 999999999\n-1\n", "announces 999999999x999999999 numbers but holds 0"),
        (b"Pf\n0 2\n-1\n", "announces 0x2"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, sentence: str) -> None:
    """A file of another kind, or one that ends early, is one sentence."""
    path = tmp_path / "d.pfm"
    path.write_bytes(content)
    with pytest.raises(FileError, match=sentence):
        read_pfm(path)


def test_missing_file(tmp_path: Path) -> None:
    """The path and the reason."""
    with pytest.raises(FileError, match=r"cannot read .*none\.pfm: No such file"):
        read_pfm(tmp_path / "none.pfm")


def test_real_files(shared: Path) -> None:
    """ETH3D (+inf for unknown) and FlyingThings3D (blanks in the header) have the ranges that are published."""
    stereo = shared / "data" / "stereo"
    eth3d = read_pfm(stereo / "eth3d_playground_1l" / "disp_gt.pfm")
    assert eth3d.shape == (490, 941)
    assert np.isfinite(eth3d).mean() == pytest.approx(0.496, abs=0.0005)
    assert np.nanmax(eth3d) == pytest.approx(20.0, abs=0.005)
    things = read_pfm(stereo / "ft3d_TEST_A0000_0006" / "disp_gt.pfm")
    assert things.shape == (540, 960)
    assert (things.min(), things.max()) == pytest.approx((1.17, 99.39), abs=0.005)


@pytest.mark.parametrize("scale", ["0", "-0.0", ".", "eee", "+-1", "0e5", "1e"])
def test_a_scale_that_tells_no_order_of_bytes(tmp_path: Path, scale: str) -> None:
    """Read in the wrong order 5 px would be 5.7e-41 px: a truth of nothing, in silence."""
    file = tmp_path / "d.pfm"
    file.write_bytes(f"Pf\n2 1\n{scale}\n".encode() + np.float32([5, 5]).tobytes())
    for reads in (read_pfm, read_header):
        with pytest.raises(FileError, match=r"d\.pfm has the scale .* does not tell the order of its bytes"):
            reads(file)


@pytest.mark.parametrize("scale", ["-1", "-1.0", "-.5", "-0.003922", "-1e-3", "-10", "-5."])
def test_scales_of_little_endian_files(tmp_path: Path, scale: str) -> None:
    """As programs write them."""
    file = tmp_path / "d.pfm"
    file.write_bytes(f"Pf\n2 1\n{scale}\n".encode() + np.array([5, 5], "<f4").tobytes())
    assert read_pfm(file).tolist() == [[5.0, 5.0]]
    assert read_header(file).width == 2
