"""Figures of disparities that are known, over many pairs, in memory that does not grow."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ffs_ros.bag.comparisons import AgainstDepth, AgainstEngine
from ffs_ros.bag.figures import Figures
from ffs_ros.bag.frames import Frames
from ffs_ros.bag.series import Series
from ffs_ros.geometry import StereoCamera
from ffs_ros.matched_pair import Matched

CAMERA = StereoCamera(40, 30, 100.0, 100.0, 20.0, 19.0, 15.0, 0.1)
IMAGE_HW3 = np.random.default_rng(4).integers(0, 255, (30, 40, 3), np.uint8)


def matched(disparity_px: float, holes: int = 0) -> Matched:
    """The same picture each time, with one disparity and some rows without."""
    disparity_HW = np.full((30, 40), disparity_px, np.float32)
    disparity_HW[:holes] = np.nan
    return Matched(IMAGE_HW3, IMAGE_HW3, disparity_HW, CAMERA, 64.0)


def test_density_and_flicker() -> None:
    """Two thirds and all of the pixels; half a pixel, then one and a half, and nothing over a jump in time."""
    figures = Figures()
    first = figures.add(matched(5.0, holes=10), 0)
    assert first == (pytest.approx(2 / 3), None, None, None, None, None)
    second = figures.add(matched(5.5), 10**9)
    assert (second.density, second.flicker_px, second.static_share) == (1.0, 0.5, 1.0)
    assert second.blinking == pytest.approx(1 / 3)
    assert figures.add(matched(7.0), 2 * 10**9).flicker_px == 1.5
    figures.start_over()
    assert figures.add(matched(60.0), 0).flicker_px is None
    darker = matched(90.0)._replace(left_HW3=IMAGE_HW3 // 4)
    assert figures.add(darker, 3 * 10**9) == (1.0, None, None, None, None, None)
    record = figures.record()
    assert record["density"] == {
        "mean": pytest.approx((2 / 3 + 4) / 5), "least": pytest.approx(2 / 3), "median": pytest.approx(1.0, rel=0.006),
    }  # fmt: skip
    assert record["flicker"]["pairs"] == 2
    assert record["flicker"]["median_px"] == pytest.approx(1.5, rel=0.01)  # 1200 of 2000 pixels
    assert record["flicker"]["blinking"] == pytest.approx(1 / 6)
    assert figures.over_time["density"].points()[1] == (1.0, 1.0)


def test_consistency_is_of_the_answers() -> None:
    """Confidence 0.5 is agreement to 1 px; pixels without an answer do not count."""
    figures = Figures()
    disparity_HW = matched(5.0, holes=10).disparity_HW
    confidence_HW = np.zeros((30, 40), np.float32)
    confidence_HW[10:15] = 0.5
    confidence_HW[15:20] = 0.49
    assert figures.add_second_pass(disparity_HW, confidence_HW) == pytest.approx(0.25)
    assert figures.add_second_pass(np.full((30, 40), np.nan, np.float32), confidence_HW) is None
    assert figures.record()["left_right"] == {"pairs": 2, "consistent": pytest.approx(0.25)}


def test_times() -> None:
    """Percentiles of each stage."""
    figures = Figures()
    for time_ms in range(1, 101):
        figures.add_times(dict.fromkeys(("read", "decode", "inference", "outputs", "write", "total"), float(time_ms)))
    assert figures.record()["latency_ms"]["inference"] == {
        "pairs": 100, "mean": 50.5, "p50": pytest.approx(50, rel=0.006), "p95": pytest.approx(95, rel=0.006),
        "p99": pytest.approx(99, rel=0.006), "max": 100.0,
    }  # fmt: skip


def test_against_a_second_engine() -> None:
    """As ``ffs compare``: the mean where both answer, and answers that one alone has are among the bad."""
    against = AgainstEngine()
    against.add("1", matched(5.0, holes=15).disparity_HW, matched(5.5).disparity_HW)
    against.add("2", matched(5.0).disparity_HW, matched(9.0).disparity_HW)
    assert against.add("3", matched(5.0, holes=30).disparity_HW, matched(5.0, holes=30).disparity_HW) is None
    record = against.record()
    assert record["pairs"] == 2
    assert record["mean"]["mean_px"] == pytest.approx((0.5 + 4.0) / 2)
    assert record["mean"]["bad2"] == pytest.approx((0.5 + 1.0) / 2)
    assert (record["worst"]["mean_px"], record["worst"]["one_only"]) == (4.0, 0.5)


def test_against_a_depth_camera() -> None:
    """Errors of the pixels that both answer, and how many of the depth camera's pixels that is."""
    against = AgainstDepth()
    theirs_HW = np.full((30, 40), 5.0, np.float32)
    theirs_HW[20:] = np.nan
    ours_HW = np.full((30, 40), 6.5, np.float32)
    ours_HW[:5] = np.nan
    ours_HW[5:10] = 9.0
    against.add(ours_HW, theirs_HW)
    record = against.record()
    assert record["share_of_pixels_with_depth"] == pytest.approx(2 / 3)
    assert record["answered_there"] == pytest.approx(0.75)
    assert record["epe"] == pytest.approx((5 * 4.0 + 10 * 1.5) / 15)
    assert (record["bp1"], record["bp2"], record["bp3"]) == (1.0, pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_a_series_keeps_its_length_and_its_mean() -> None:
    """A ramp of 100,000 values is a ramp of at most 400."""
    series = Series()
    for index in range(100_000):
        series.add(index / 10, 2.0 * index)
    points = series.points()
    assert 200 <= len(points) <= 400
    assert all(value == pytest.approx(20.0 * time_s) for time_s, value in points)
    assert math.isclose(points[0][0], (points[1][0] - points[0][0]) / 2, rel_tol=0.01)


def test_pictures_are_spread_over_the_bag() -> None:
    """At most twelve, the first among them, at equal distances."""
    frames = Frames()
    for index in range(100):
        frames.add(index, IMAGE_HW3, matched(5.0).disparity_HW)
        assert 1 <= len(frames.kept) <= 12
    stamps = [frame.stamp_ns for frame in frames.kept]
    assert stamps == list(range(0, 100, 16))
    assert all(len(frame.pictures) == 2 and frame.pictures[0][:2] == b"\xff\xd8" for frame in frames.kept)
