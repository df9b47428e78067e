"""Baseline, principal points, depth and points against numbers worked out by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import StereoCamera, depth_from_disparity, points_from_depth


def camera_info(
    fx: float = 500.0, fy: float = 510.0, cx: float = 320.0, cy: float = 240.0, tx: float = 0.0, **fields: Any
) -> SimpleNamespace:
    info = {"width": 640, "height": 480, "p": [fx, 0.0, cx, tx, 0.0, fy, cy, 0.0, 0.0, 0.0, 1.0, 0.0]}
    return SimpleNamespace(**(info | fields))


CAMERA = StereoCamera(640, 480, 500.0, 510.0, 320.0, 310.0, 240.0, 0.1)


def with_p(info: Any, index: int, value: float) -> Any:
    """The CameraInfo with one number of its P changed."""
    info.p[index] = value
    return info


def test_camera_of_two_infos() -> None:
    """The baseline is -P[3] / P[0] of the right info, cx is each side's own."""
    camera = StereoCamera.from_camera_info(camera_info(), camera_info(cx=310.0, tx=-50.0))
    assert camera == CAMERA
    assert camera.principal_point_difference_px == 10.0


def test_camera_of_ros1_infos_and_numpy_arrays() -> None:
    """Bag readers give ROS 1's capital P and arrays in place of lists."""
    infos = [camera_info(cx=cx, tx=tx) for cx, tx in ((320.0, 0.0), (310.0, -50.0))]
    as_ros1 = [SimpleNamespace(width=np.uint32(640), height=np.uint32(480), P=np.array(info.p)) for info in infos]
    assert StereoCamera.from_camera_info(*as_ros1) == CAMERA


def test_left_offset_of_a_third_camera_is_counted() -> None:
    """KITTI's colour pair is offset from camera 0 on both sides: B = (P_left[3] - P_right[3]) / fx."""
    camera = StereoCamera.from_camera_info(camera_info(tx=40.0), camera_info(tx=-200.0))
    assert camera.baseline_m == pytest.approx(240.0 / 500.0)


def test_binning_and_region_of_interest_change_the_delivered_image() -> None:
    """After a crop by (40, 20) and 2x2 binning: cx' = (cx - 40) / 2, f' = f / 2, and the baseline stays."""
    roi = SimpleNamespace(x_offset=40, y_offset=20, width=400, height=300, do_rectify=True)
    left, right = (camera_info(cx=cx, tx=tx, roi=roi, binning_x=2, binning_y=2) for cx, tx in ((320, 0), (310, -50)))
    camera = StereoCamera.from_camera_info(left, right)
    assert camera == StereoCamera(200, 150, 250.0, 255.0, 140.0, 135.0, 110.0, 0.1)


def test_absent_binning_and_region_mean_the_full_image() -> None:
    """Drivers leave binning and roi at 0, which says 'none'."""
    roi = SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    left, right = (camera_info(cx=cx, tx=tx, roi=roi, binning_x=0, binning_y=0) for cx, tx in ((320, 0), (310, -50)))
    assert StereoCamera.from_camera_info(left, right) == CAMERA


NAN = float("nan")


@pytest.mark.parametrize(
    ("left", "right", "sentence"),
    [
        (None, camera_info(tx=-50.0), "no left CameraInfo"),
        (camera_info(), None, "no right CameraInfo"),
        (camera_info(fx=0.0), camera_info(tx=-50.0), r"left CameraInfo has P\[0\] = 0.*run camera_calibration"),
        (camera_info(), camera_info(fx=0.0), r"right CameraInfo has P\[0\] = 0"),
        (camera_info(), camera_info(), r"RIGHT CameraInfo's P\[3\] = -fx \* baseline; run"),
        (camera_info(tx=-50.0), camera_info(), "left and right are swapped; swap the topics"),
        (camera_info(fx=1e39), camera_info(fx=1e39, tx=-1e38), "expected at most 1e\\+06"),
        (camera_info(cx=1e300), camera_info(cx=1e300, tx=-50.0), "expected at most 1e\\+06"),
        (camera_info(), camera_info(tx=-0.1), "looks like -baseline; multiply it by fx"),
        (camera_info(), camera_info(tx=50.0), r"P\[3\] = 50, expected a negative value.*swap"),
        (camera_info(tx=-50.0), camera_info(tx=-50.0), "expected 0 on the left"),
        (camera_info(), camera_info(tx=NAN), "right CameraInfo's P holds a number that is not finite"),
        (camera_info(cx=float("inf")), camera_info(tx=-50.0), "left CameraInfo's P holds"),
        (camera_info(), camera_info(tx=-50.0, width=320, height=240), "640x480 images and the right one for 320x240"),
        (camera_info(), camera_info(fx=501.0, tx=-50.0), "fx is 500 px in the left CameraInfo and 501 px"),
        (camera_info(), camera_info(fy=511.0, tx=-50.0), "fy is 510 px"),
        (camera_info(), camera_info(cy=241.0, tx=-50.0), "cy is 240 px"),
        (camera_info(width=0), camera_info(tx=-50.0, width=0), "width = 0"),
        (camera_info(fx=0.8), camera_info(fx=0.8, tx=-0.08), "fx_px = 0.8: .*share of the image's width"),
        (camera_info(), with_p(camera_info(tx=-50.0), 1, 2.0), r"right CameraInfo has P\[1\] = 2: expected 0"),
        (with_p(camera_info(), 10, 2.0), camera_info(tx=-50.0), r"left CameraInfo has P\[10\] = 2: expected 1"),
    ],
)
def test_infos_that_would_give_a_wrong_depth_are_refused(left: Any, right: Any, sentence: str) -> None:
    """Each defect of a calibration has its own sentence."""
    with pytest.raises(CalibrationError, match=sentence):
        StereoCamera.from_camera_info(left, right)


def test_small_offsets_of_the_cameras_places_are_accepted() -> None:
    """KITTI's P has some in P[7] and P[11]."""
    infos = [with_p(with_p(camera_info(cx=cx, tx=tx), 7, 2.2), 11, 2.7e-3) for cx, tx in ((320.0, 0.0), (310.0, -50.0))]
    assert StereoCamera.from_camera_info(*infos) == CAMERA


def test_rounded_calibration_files_are_accepted() -> None:
    """The two sides may differ by the rounding of a calibration file."""
    camera = StereoCamera.from_camera_info(camera_info(), camera_info(fx=500.001, fy=510.001, cy=240.01, tx=-50.0))
    assert (camera.fx_px, camera.fy_px, camera.cy_px, camera.baseline_m) == (500.0, 510.0, 240.0, 0.1)


def test_image_of_another_size_is_refused() -> None:
    """A calibration is for one resolution."""
    CAMERA.check_image_size(480, 640)
    with pytest.raises(CalibrationError, match="the image is 320x240 but its calibration is for 640x480"):
        CAMERA.check_image_size(240, 320)


def test_depth_is_focal_length_times_baseline_over_disparity() -> None:
    """With cx_left - cx_right = 10, d = 15 leaves 5 px: Z = 500 * 0.1 / 5 = 10 m; at 10 px and below there is none."""
    disparity = np.array([[15.0, 60.0, 10.0, 9.0, 0.0, np.nan]], np.float32)
    depth = depth_from_disparity(disparity, CAMERA)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[10.0, 1.0, np.nan, np.nan, np.nan, np.nan]], rtol=1e-6)
    np.testing.assert_array_equal(disparity[0, :2], [15.0, 60.0])  # the argument is left alone


def test_zero_disparity_of_a_verged_rig_has_a_depth() -> None:
    """Middlebury's doffs = cx_right - cx_left is added: Z = f B / (d + doffs)."""
    camera = StereoCamera(720, 497, 1040.30525, 1040.30525, 361.39425, 413.659, 246.1715, 0.176252)
    depth = depth_from_disparity(np.array([[0.0, 40.0]], np.float32), camera)
    np.testing.assert_allclose(depth, [[1040.30525 * 0.176252 / 52.26475, 1040.30525 * 0.176252 / 92.26475]], rtol=1e-6)


def test_points_project_back_onto_their_pixels() -> None:
    """x = Z (u - cx) / fx, y = Z (v - cy) / fy with the LEFT principal point; NaN depth gives NaN points."""
    depth = np.full((480, 640), 2.0, np.float32)
    depth[100, 200] = np.nan
    points = points_from_depth(depth, CAMERA)
    assert points.shape == (480, 640, 3)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points[240, 320], [0.0, 0.0, 2.0])
    np.testing.assert_allclose(points[291, 370], [0.2, 0.2, 2.0], rtol=1e-6)
    assert np.isnan(points[100, 200]).all()
    assert np.isnan(points).sum() == 3


@pytest.mark.parametrize("field", ["fx_px", "fy_px", "baseline_m", "width"])
def test_camera_needs_positive_numbers(field: str) -> None:
    """A camera that cannot give a depth cannot be made."""
    values = dict.fromkeys(["width", "height", "fx_px", "fy_px", "cx_left_px", "cx_right_px", "cy_px", "baseline_m"], 1)
    with pytest.raises(CalibrationError, match=f"{field} = 0: expected a finite and positive number"):
        StereoCamera(**(values | {field: 0}))


def test_depth_is_never_infinite() -> None:
    """A disparity so small that the quotient would overflow has no depth, as 0 has none."""
    camera = StereoCamera(4, 1, 1e6, 1e6, 0.0, 0.0, 0.0, 1e6)
    depth_HW = depth_from_disparity(np.array([[1e-40, 1e-30, 0.0, 1.0]], np.float32), camera)
    np.testing.assert_array_equal(depth_HW, np.array([[np.nan, np.nan, np.nan, 1e12]], np.float32))
