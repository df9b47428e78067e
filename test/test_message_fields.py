"""What messages say about a disparity and a depth: known answers, and 0 or NaN where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.errors import MessageError
from ffs_ros.geometry import StereoCamera
from ffs_ros.limits import Limits
from ffs_ros.message_fields import depth_fields, depth_of_message, disparity_fields, image_fields, shown_range_px

VERGED = StereoCamera(4, 1, 500.0, 500.0, 320.0, 310.0, 240.0, 0.1)


def test_disparity_message_follows_its_definition() -> None:
    """d = x_l - x_r - (cx_l - cx_r), f t / d is the depth, 0 is no answer and lies below min_disparity > 0."""
    disparity = np.array([[30.0, 10.0, 5.0, np.nan], [10.5, 0.0, 73.5, 10.0005]], np.float32)
    fields = disparity_fields(disparity, VERGED, max_disparity_px=128)
    np.testing.assert_array_equal(fields.image.data, np.float32([[20.0, 0.0, 0.0, 0.0], [0.5, 0.0, 63.5, 0.0]]))
    assert fields.image.data.flags.c_contiguous
    assert fields.image[:5] == (2, 4, "32FC1", 0, 16)
    assert (fields.f, fields.t) == (500.0, 0.1)
    assert 0.0 < fields.min_disparity < 0.5
    assert fields.max_disparity == 118.0
    assert fields.delta_d == 1 / 16
    assert fields.valid_window == (0, 0, 2, 4)
    assert np.isnan(disparity[0, 3])  # the argument is left alone


def test_zero_disparity_of_a_verged_rig_is_an_answer() -> None:
    """With cx_right > cx_left, d = 0 is a finite depth, and the message's d = doffs says so."""
    camera = StereoCamera(2, 1, 1000.0, 1000.0, 300.0, 352.25, 200.0, 0.1)
    fields = disparity_fields(np.array([[0.0, np.nan]], np.float32), camera, max_disparity_px=64)
    np.testing.assert_array_equal(fields.image.data, np.float32([[52.25, 0.0]]))
    assert fields.max_disparity == 116.25


@pytest.mark.parametrize("answered", [True, False])
def test_depth_of_the_message_is_focal_length_times_baseline_over_its_pixels(answered: bool) -> None:
    """Z = f t / d of what is published, in the message's place; NaN, not infinity, where there is no answer."""
    camera = StereoCamera(640, 480, 500.0, 500.0, 320.0, 316.0, 240.0, 0.1)
    disparity_HW = np.array([[14.0, 54.0]] if answered else [[14.0, 54.0, 4.0, 3.0, np.nan]], np.float32)
    pixels_HW = disparity_fields(disparity_HW, camera, 64.0).image.data
    depth_HW = depth_of_message(pixels_HW, camera)
    np.testing.assert_array_equal(depth_HW, np.array([[5.0, 1.0, *[np.nan] * (0 if answered else 3)]], np.float32))
    assert np.shares_memory(depth_HW, pixels_HW)


def test_limits_are_in_the_window_and_the_range() -> None:
    """f t = 50 px m: 2 to 20 m is 25 down to 2.5 px of the message, whatever the principal points are."""
    limits = Limits(min_depth_m=2.0, max_depth_m=20.0, roi_x_offset=1, roi_width=2, roi_height=1)
    disparity_HW = limits.applied(np.full((2, 4), 20.0, np.float32), VERGED)
    fields = disparity_fields(disparity_HW, VERGED, 128, limits)
    np.testing.assert_array_equal(fields.image.data, np.float32([[0, 10, 10, 0], [0, 0, 0, 0]]))
    assert fields.valid_window._asdict() == {"x_offset": 1, "y_offset": 0, "height": 1, "width": 2}
    assert (fields.min_disparity, fields.max_disparity) == (2.5, 25.0)
    assert fields.f * fields.t / fields.min_disparity == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("limits", "searched_px", "shown_px"),
    [
        (Limits(), 128.0, (1e-3, 118.0)),
        (Limits(min_depth_m=0.1), 128.0, (1e-3, 118.0)),  # 500 px: nearer than what is searched
        (Limits(max_depth_m=5.0), 128.0, (10.0, 118.0)),
        (Limits(max_depth_m=0.1), 128.0, (500.0, 1000.0)),  # nothing can be found, and min stays below max
        (Limits(min_depth_m=5.0), 5.0, (1e-3, 2e-3)),  # likewise: the search ends beyond infinity
    ],
)
def test_the_range_is_what_was_searched_and_is_allowed(
    limits: Limits, searched_px: float, shown_px: tuple[float, float]
) -> None:
    """Readers divide by max - min, and take what is below min for no answer."""
    assert shown_range_px(VERGED, searched_px, limits) == pytest.approx(shown_px)


def test_an_image_is_its_pixels() -> None:
    """Steps are in bytes, for one channel and for three."""
    assert image_fields(np.zeros((3, 5), np.uint8), "mono8")[:5] == (3, 5, "mono8", 0, 5)
    assert image_fields(np.zeros((3, 5, 3), np.uint8), "rgb8")[:5] == (3, 5, "rgb8", 0, 15)
    assert image_fields(np.zeros((3, 5), np.float32), "32FC1")[:5] == (3, 5, "32FC1", 0, 20)


def test_float_depth_is_metres_with_nan() -> None:
    """32FC1 carries the core's own array."""
    depth = np.array([[1.5, np.nan, 0.25]], np.float32)
    fields = depth_fields(depth, "32FC1")
    assert fields.data is depth
    assert fields[:5] == (1, 3, "32FC1", 0, 12)


def test_integer_depth_is_rounded_millimetres_with_zero() -> None:
    """16UC1: rounded, 1 to 65535; NaN and what does not fit are 0, never a wrapped or clamped distance."""
    depth = np.array([[1.2344, 1.2346, 0.001, 0.0004, 65.535, 65.536, np.nan, 70.0, np.inf, -1.0]], np.float32)
    fields = depth_fields(depth, "16UC1")
    assert fields.data.dtype == np.uint16
    np.testing.assert_array_equal(fields.data, [[1234, 1235, 1, 0, 65535, 0, 0, 0, 0, 0]])
    assert fields[:5] == (1, 10, "16UC1", 0, 20)


def test_other_depth_encodings_are_refused() -> None:
    """REP 118 has two."""
    with pytest.raises(MessageError, match="depth cannot be published as 'mono16': expected 32FC1 or 16UC1"):
        depth_fields(np.ones((2, 2), np.float32), "mono16")
