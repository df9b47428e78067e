"""Point clouds as other programs read them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ffs_ros.ply import write_ply


def test_finite_points_with_their_colours(tmp_path: Path) -> None:
    """A header that says what follows, then 15 bytes per finite point, in row order."""
    points = np.array([[[1.0, 2.0, 3.0], [np.nan] * 3], [[-1.0, 0.5, 9.0], [0.0, 0.0, np.inf]]], np.float32)
    colours = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    path = tmp_path / "cloud.ply"
    assert write_ply(path, points, colours) == 2
    header, body = path.read_bytes().split(b"end_header\n", 1)
    lines = header.decode("ascii").splitlines()
    assert lines[:2] == ["ply", "format binary_little_endian 1.0"]
    assert "element vertex 2" in lines
    properties = [line.split()[1:] for line in lines if line.startswith("property")]
    assert properties == [["float", n] for n in "xyz"] + [["uchar", n] for n in ("red", "green", "blue")]
    assert len(body) == 30
    assert np.frombuffer(body[:12], "<f4").tolist() == [1.0, 2.0, 3.0]
    assert list(body[12:15]) == [0, 1, 2]
    assert np.frombuffer(body[15:27], "<f4").tolist() == [-1.0, 0.5, 9.0]
    assert list(body[27:]) == [6, 7, 8]


def test_no_points_at_all(tmp_path: Path) -> None:
    """An empty cloud is still a valid file."""
    path = tmp_path / "cloud.ply"
    assert write_ply(path, np.full((2, 2, 3), np.nan, np.float32), np.zeros((2, 2, 3), np.uint8)) == 0
    assert path.read_bytes().endswith(b"end_header\n")
