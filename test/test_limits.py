"""What is outside of the limits is no answer, and everything inside stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import StereoCamera, depth_from_disparity
from ffs_ros.limits import NO_LIMITS, Limits

NAN = np.nan
CAMERA = StereoCamera(8, 4, 100.0, 100.0, 4.0, 6.0, 2.0, 0.5)
"""f B = 50 px m and cx_left - cx_right = -2 px: Z = 50 / (d + 2)."""


def test_without_limits_nothing_is_copied() -> None:
    """The usual case costs nothing."""
    disparity_HW = np.full((4, 8), 3.0, np.float32)
    assert NO_LIMITS.applied(disparity_HW, CAMERA) is disparity_HW
    assert Limits(roi_width=8, roi_height=4).applied(disparity_HW, CAMERA) is disparity_HW
    assert NO_LIMITS.window(4, 8) == (0, 0, 4, 8)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        (Limits(min_depth_m=5.0), [NAN, 0, 3, 8, NAN, NAN]),
        (Limits(max_depth_m=5.0), [NAN, NAN, NAN, 8, 8.5, 48]),
        (Limits(min_depth_m=2.0, max_depth_m=10.0), [NAN, NAN, 3, 8, 8.5, NAN]),
    ],
)
def test_a_depth_range_keeps_what_is_within(limits: Limits, kept: list[float]) -> None:
    """50 / (d + 2) of d = 0, 3, 8, 8.5, 48 is 25, 10, 5, 4.76, 1 m; a depth at the limit is within."""
    disparity_HW = np.array([[NAN, 0, 3, 8, 8.5, 48]], np.float32)
    before_HW = disparity_HW.copy()
    limited_HW = limits.applied(disparity_HW, CAMERA)
    np.testing.assert_array_equal(limited_HW, np.array([kept], np.float32))
    np.testing.assert_array_equal(disparity_HW, before_HW)
    depth_HW = depth_from_disparity(limited_HW, CAMERA)
    assert np.nanmin(depth_HW) >= limits.min_depth_m
    assert np.nanmax(depth_HW) <= (limits.max_depth_m or np.inf)


def test_depth_stays_within_the_range_to_rounding() -> None:
    """A hundred thousand disparities: what is kept is what has its depth in the range, but for the last bit."""
    camera = StereoCamera(320, 320, 421.7, 421.7, 160.3, 163.9, 160.0, 0.1203)
    limits = Limits(min_depth_m=0.7, max_depth_m=3.3)
    disparity_HW = np.random.default_rng(3).uniform(0, 90, (320, 320)).astype(np.float32)
    limited_HW = limits.applied(disparity_HW, camera)
    exact_HW = camera.fx_px * camera.baseline_m / (disparity_HW.astype(np.float64) + 3.6)
    np.testing.assert_array_equal(np.isfinite(limited_HW), (exact_HW >= 0.7) & (exact_HW <= 3.3))
    depth_HW = depth_from_disparity(limited_HW, camera)
    assert np.nanmin(depth_HW) > 0.7 * (1 - 3e-7)
    assert np.nanmax(depth_HW) < 3.3 * (1 + 3e-7)


@pytest.mark.parametrize(
    ("limits", "rows", "columns"),
    [
        (Limits(roi_x_offset=2, roi_y_offset=1, roi_width=3, roi_height=2), slice(1, 3), slice(2, 5)),
        (Limits(roi_x_offset=7), slice(0, 4), slice(7, 8)),
        (Limits(roi_y_offset=3, roi_height=1), slice(3, 4), slice(0, 8)),
    ],
)
def test_a_region_keeps_its_pixels_where_they_are(limits: Limits, rows: slice, columns: slice) -> None:
    """The map keeps its size; 0 for width or height means up to the border."""
    disparity_HW = np.arange(32, dtype=np.float32).reshape(4, 8)
    expected_HW = np.full((4, 8), NAN, np.float32)
    expected_HW[rows, columns] = disparity_HW[rows, columns]
    np.testing.assert_array_equal(limits.applied(disparity_HW, CAMERA), expected_HW)
    window = limits.window(4, 8)
    assert (window.y_offset, window.y_offset + window.height) == (rows.start, rows.stop)
    assert (window.x_offset, window.x_offset + window.width) == (columns.start, columns.stop)


def test_region_and_range_together() -> None:
    """Both have to hold."""
    disparity_HW = np.array([[3, 8, 3, 48], [3, 8, 3, 48]], np.float32)
    limits = Limits(min_depth_m=2.0, max_depth_m=6.0, roi_x_offset=1, roi_y_offset=1)
    expected_HW = np.array([[NAN] * 4, [NAN, 8, NAN, NAN]], np.float32)
    np.testing.assert_array_equal(limits.applied(disparity_HW, CAMERA), expected_HW)


@pytest.mark.parametrize(
    ("limits", "sentence"),
    [
        (Limits(roi_x_offset=8), "columns 8 to 7 and rows 0 to 3, and the image is 8x4"),
        (Limits(roi_y_offset=9), "rows 9 to 3, and the image is 8x4"),
        (Limits(roi_x_offset=2, roi_width=7), "columns 2 to 8 and rows 0 to 3"),
        (Limits(roi_height=5), "rows 0 to 4.*expected a region inside it; set roi_x_offset"),
    ],
)
def test_a_region_outside_of_the_image_is_refused(limits: Limits, sentence: str) -> None:
    """Cut to what there is, it would guard another part of the scene than the user meant."""
    with pytest.raises(CalibrationError, match=sentence):
        limits.applied(np.zeros((4, 8), np.float32), CAMERA)
