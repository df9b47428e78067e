"""The rendered pair: its ground truth is exact, and its two images agree with it."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from ffs_ros.geometry import StereoCamera, depth_from_disparity
from ffs_ros.scene import DEMO_CAMERA, DEMO_SCENE, Box, Plane, RenderedPair, Sphere, render_pair

CAMERA = StereoCamera(
    width=96, height=64, fx_px=80.0, fy_px=75.0, cx_left_px=47.5, cx_right_px=44.25, cy_px=31.5, baseline_m=0.1
)


def wall(depth_m: float) -> Plane:
    """A wall across the view."""
    return Plane((0.0, 0.0, 1.0), depth_m)


@pytest.fixture(scope="module")
def demo_pair() -> RenderedPair:
    """The demo's scene at half its size."""
    camera = StereoCamera(
        width=320, height=240, fx_px=260.0, fy_px=260.0, cx_left_px=159.5, cx_right_px=161.5, cy_px=119.5,
        baseline_m=0.12,
    )  # fmt: skip
    return render_pair(camera, DEMO_SCENE)


def test_a_wall_has_constant_disparity():
    """A plane across the view at Z has d = fx B / Z + (cx_left - cx_right) in every pixel."""
    pair = render_pair(CAMERA, [wall(2.0)])
    assert pair.disparity_HW.dtype == np.float32
    np.testing.assert_array_equal(pair.disparity_HW, np.full((64, 96), np.float32(80.0 * 0.1 / 2.0 + 3.25)))


def test_a_slanted_plane_has_affine_disparity():
    """On the plane n . p = k, d - (cx_left - cx_right) = fx B (n . ray) / k."""
    normal = np.array([0.48, -0.6, 0.64])
    pair = render_pair(CAMERA, [Plane((0.48, -0.6, 0.64), 1.5)])
    rows, columns = np.mgrid[:64, :96]
    rays = np.dstack(((columns - 47.5) / 80.0, (rows - 31.5) / 75.0, np.ones((64, 96))))
    np.testing.assert_allclose(pair.disparity_HW, 8.0 * (rays @ normal) / 1.5 + 3.25, rtol=1e-6)


def test_a_ball_and_a_box_are_as_near_as_they_are():
    """The ray through a ball's centre meets it a radius earlier, a box's front is its low z; beside them is nothing."""
    camera = replace(CAMERA, cx_left_px=48.0, cy_px=32.0)
    ball = render_pair(camera, [Sphere((0.0, 0.0, 2.0), 0.5)])
    assert depth_from_disparity(ball.disparity_HW, camera)[32, 48] == pytest.approx(1.5, rel=1e-6)
    box = render_pair(camera, [Box((-0.25, -0.25, 2.0), (0.25, 0.25, 3.0))])
    depth_HW = depth_from_disparity(box.disparity_HW, camera)
    np.testing.assert_allclose(depth_HW[23:42, 38:59], 2.0, rtol=1e-6)
    for pair in (ball, box):
        assert np.isnan(pair.disparity_HW[0]).all()
        assert not pair.left_HW3[0].any()
        assert not pair.seen_by_both_HW[0].any()


def test_what_an_edge_hides_is_as_wide_as_the_step_in_disparity():
    """Left of a box before a wall, the right camera misses a strip of d_box - d_wall pixels, and the view's edge."""
    box = Box((-0.05, -9.0, 1.0), (9.0, 9.0, 1.5))  # its left edge is at x = 47.5 - 0.05 * 80 / 1 = 43.5
    pair = render_pair(CAMERA, [wall(2.0), box])
    d_wall, d_box = 4.0 + 3.25, 8.0 + 3.25
    columns = np.arange(96)
    hidden = (columns < 43.5) & (columns > 43.5 - (d_box - d_wall))
    outside = columns < np.where(columns < 43.5, d_wall, d_box)
    np.testing.assert_array_equal(pair.disparity_HW[20], np.where(columns < 43.5, d_wall, d_box).astype(np.float32))
    np.testing.assert_array_equal(pair.seen_by_both_HW, np.tile(~hidden & ~outside, (64, 1)))


def moved_difference(pair: RenderedPair) -> np.ndarray:
    """How far the left image is from the right one fetched at x - d: int (H,W), largest of the three channels."""
    rows_HW, columns_HW = np.indices(pair.disparity_HW.shape, np.float32)
    moved_HW3 = cv2.remap(pair.right_HW3, columns_HW - pair.disparity_HW, rows_HW, cv2.INTER_CUBIC)
    return np.abs(moved_HW3.astype(int) - pair.left_HW3).max(axis=-1)


@pytest.mark.parametrize("surface", [wall(2.0), Plane((0.28, -0.576, 0.768), 1.5)], ids=["wall", "slanted"])
def test_the_right_image_moved_by_the_disparity_is_the_left_one(surface):
    """On one surface the images agree in every pixel, to rounding (1 level) and interpolation (another 2)."""
    pair = render_pair(CAMERA, [surface])
    columns_HW = np.indices(pair.disparity_HW.shape)[1]
    inner_HW = (columns_HW - pair.disparity_HW >= 1.0) & (columns_HW - pair.disparity_HW <= 94.0)
    assert pair.seen_by_both_HW[inner_HW].all()
    assert moved_difference(pair)[inner_HW].max() <= 3
    assert np.abs(pair.left_HW3.astype(int) - pair.right_HW3).mean() > 8


def test_the_demo_images_agree_where_both_cameras_see(demo_pair):
    """Beyond the few pixels where interpolation mixes two surfaces, seen points look alike and hidden ones do not."""
    difference_HW = moved_difference(demo_pair)
    assert np.percentile(difference_HW[demo_pair.seen_by_both_HW], 95) <= 3
    in_view_HW = np.indices(demo_pair.disparity_HW.shape)[1] >= demo_pair.disparity_HW
    hidden_HW = in_view_HW & ~demo_pair.seen_by_both_HW
    assert hidden_HW.sum() > 500
    assert np.median(difference_HW[hidden_HW]) > 25


def test_the_principal_points_move_the_right_image_only():
    """Another cx of the right camera changes d by the difference, and depth not at all."""
    verged = render_pair(CAMERA, [wall(2.0)])
    straight = render_pair(replace(CAMERA, cx_right_px=47.25), [wall(2.0)])
    np.testing.assert_array_equal(verged.left_HW3, straight.left_HW3)
    np.testing.assert_array_equal(verged.disparity_HW - straight.disparity_HW, 3.0)
    np.testing.assert_array_equal(verged.right_HW3[:, :-3], straight.right_HW3[:, 3:])


def test_a_seed_is_a_pair():
    """The same seed gives the same images, another one another texture with the same truth."""
    one, again, other = (render_pair(CAMERA, [wall(2.0)], seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.left_HW3, again.left_HW3)
    np.testing.assert_array_equal(one.right_HW3, again.right_HW3)
    assert (one.left_HW3 != other.left_HW3).mean() > 0.9
    np.testing.assert_array_equal(one.disparity_HW, other.disparity_HW)


def test_the_demo_scene_is_a_useful_one(demo_pair):
    """Every pixel has a surface, disparities span a factor of three, and the rig is verged."""
    assert np.isfinite(demo_pair.disparity_HW).all()
    assert np.ptp(demo_pair.disparity_HW) > 10
    assert demo_pair.disparity_HW.min() > 0
    assert DEMO_CAMERA.principal_point_difference_px == -4.0
