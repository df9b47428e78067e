"""Regions of interest and binning: the depth of one scene is the same from the whole sensor and from any part of it."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from ffs_ros.engine.sgbm import SgbmEngine
from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import Readout, StereoCamera, depth_from_disparity, points_from_depth
from ffs_ros.matcher import StereoMatcher
from ffs_ros.scene import RenderedPair, render_pair

FULL = StereoCamera(320, 240, 300.0, 301.0, 158.0, 161.5, 121.0, 0.1)
WHOLE = (0, 0, 0, 0)
READOUTS = {
    "whole": (WHOLE, (0, 0)),
    "binned": (WHOLE, (2, 2)),
    "binned along rows": (WHOLE, (2, 1)),
    "binned along columns": (WHOLE, (0, 3)),
    "cropped": ((40, 24, 240, 192), (1, 1)),
    "cropped and binned, odd": ((33, 21, 251, 199), (2, 3)),
}


@pytest.fixture(scope="module")
def pair() -> RenderedPair:
    """The rendered scene, whose disparity is exact."""
    pytest.importorskip("array_api_compat")
    return render_pair(FULL)


def info(cx: float, tx: float, roi: tuple[int, int, int, int], binning: tuple[int, int]) -> SimpleNamespace:
    """A CameraInfo of the whole sensor of which ``roi`` (x, y, width, height) is read out, binned."""
    x, y, width, height = roi
    return SimpleNamespace(
        width=FULL.width, height=FULL.height, binning_x=binning[0], binning_y=binning[1],
        p=[FULL.fx_px, 0.0, cx, tx, 0.0, FULL.fy_px, FULL.cy_px, 0.0, 0.0, 0.0, 1.0, 0.0],
        roi=SimpleNamespace(x_offset=x, y_offset=y, width=width, height=height, do_rectify=True),
    )  # fmt: skip


def camera_of(roi: tuple[int, int, int, int], binning: tuple[int, int]) -> StereoCamera:
    return StereoCamera.from_camera_info(
        info(FULL.cx_left_px, 0.0, roi, binning),
        info(FULL.cx_right_px, -FULL.fx_px * FULL.baseline_m, roi, binning),
    )


def read_out(image: np.ndarray, roi: tuple[int, int, int, int], binning: tuple[int, int]) -> np.ndarray:
    """What the driver delivers: the region, and the mean of each whole block of it."""
    x, y, width, height = roi
    columns, rows = (max(1, number) for number in binning)
    region = image[y : y + (height or image.shape[0]), x : x + (width or image.shape[1])]
    height, width = region.shape[0] // rows, region.shape[1] // columns
    return cv2.resize(region[: height * rows, : width * columns], (width, height), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("name", READOUTS)
def test_exact_disparity_gives_exact_depth_and_points(name: str, pair: RenderedPair) -> None:
    """A delivered pixel (u, v) has the depth and the point of the sensor's (x + binning u, y + binning v)."""
    (x, y, *_), binning = READOUTS[name]
    columns, rows = (max(1, number) for number in binning)
    camera = camera_of(*READOUTS[name])
    delivered = np.s_[y : y + camera.height * rows : rows, x : x + camera.width * columns : columns]
    truth_HW = depth_from_disparity(pair.disparity_HW, FULL)
    depth_HW = depth_from_disparity(pair.disparity_HW[delivered] / np.float32(columns), camera)
    np.testing.assert_allclose(depth_HW, truth_HW[delivered], rtol=1e-5)
    np.testing.assert_allclose(
        points_from_depth(depth_HW, camera), points_from_depth(truth_HW, FULL)[delivered], rtol=1e-4, atol=1e-5
    )
    assert camera.baseline_m == pytest.approx(FULL.baseline_m)


@pytest.mark.parametrize("name", READOUTS)
def test_the_scene_has_one_depth(name: str, pair: RenderedPair) -> None:
    """SGBM on the images as they are delivered finds the depth of the rendered scene."""
    roi, binning = READOUTS[name]
    camera = camera_of(roi, binning)
    images = [read_out(image, roi, binning) for image in (pair.left_HW3, pair.right_HW3)]
    camera.check_image_size(*images[0].shape[:2])
    disparity_HW = StereoMatcher(SgbmEngine(max_disparity=64)).match(*images)
    truth_HW = read_out(depth_from_disparity(pair.disparity_HW, FULL), roi, binning)
    ratio_HW = depth_from_disparity(disparity_HW, camera) / truth_HW
    answered_HW = np.isfinite(ratio_HW)
    assert answered_HW.mean() > 0.6
    low, middle, high = np.percentile(ratio_HW[answered_HW], [25, 50, 75])
    assert middle == pytest.approx(1.0, abs=0.01)
    assert 0.95 < low < high < 1.05


@pytest.mark.parametrize(
    ("roi", "binning", "size"),
    [
        (WHOLE, (0, 0), (320, 240)),
        (WHOLE, (3, 7), (106, 34)),
        ((5, 3, 101, 77), (2, 2), (50, 38)),
        ((5, 3, 101, 77), (1, 4), (101, 19)),
        ((5, 3, 0, 0), (1, 1), (320, 240)),
    ],
)
def test_sizes_are_rounded_down(
    roi: tuple[int, int, int, int], binning: tuple[int, int], size: tuple[int, int]
) -> None:
    """Each axis by its own binning; a block that is not whole is left out; a region of size 0 is the whole sensor."""
    readout = Readout.of(info(0.0, 0.0, roi, binning))
    assert (readout.width, readout.height) == size


def test_the_sides_may_be_cropped_apart() -> None:
    """Regions that begin at different columns move both principal points; at different rows they are no stereo pair."""
    left = info(FULL.cx_left_px, 0.0, (40, 24, 240, 192), (1, 1))
    right = info(FULL.cx_right_px, -30.0, (10, 24, 240, 192), (1, 1))
    camera = StereoCamera.from_camera_info(left, right)
    assert (camera.cx_left_px, camera.cx_right_px) == (118.0, 151.5)
    right.roi.y_offset = 25
    with pytest.raises(CalibrationError, match="cy is 97 px in the left CameraInfo and 96 px in the right one"):
        StereoCamera.from_camera_info(left, right)
