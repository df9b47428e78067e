"""The disparity of hand-made scenes is what geometry says, and both pictures agree with it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes_by_hand import CAMERA, Solid, rendered

from ffs_ros.geometry import depth_from_disparity
from ffs_ros.scene.shapes import BOX, ELLIPSOID, PATCH

WALL = Solid(PATCH, (0.0, 0.0, 2.0), (50.0, 50.0, 1.0))


def test_a_wall_has_constant_disparity():
    """A plane across the view at Z has d = f B / Z + (cx_left - cx_right) in every pixel."""
    disparity = rendered([WALL]).disparity_BHW
    assert disparity.dtype == np.float64
    np.testing.assert_allclose(disparity, np.full((1, 64, 96), 80.0 * 0.1 / 2.0 + 3.0), rtol=1e-12)


def test_a_slanted_plane_has_affine_disparity():
    """On the plane n . p = k, d - (cx_left - cx_right) = f B (n . ray) / k."""
    normal = np.array([0.48, -0.6, 0.64])
    one = np.cross(normal, (0.0, 0.0, 1.0))
    one /= np.linalg.norm(one)
    plane = Solid(PATCH, tuple(1.5 * normal), (90.0, 90.0, 1.0), np.stack((one, np.cross(normal, one), normal)))
    rows, columns = np.mgrid[:64, :96]
    rays = np.dstack(((columns - 48.0) / 80.0, (rows - 32.0) / 80.0, np.ones((64, 96))))
    np.testing.assert_allclose(rendered([plane]).disparity_BHW[0], 8.0 * (rays @ normal) / 1.5 + 3.0, rtol=1e-9)


def test_a_ball_is_as_near_as_it_is_and_beside_it_is_nothing():
    """The ray through its centre meets it a radius earlier; no surface is NaN, black and seen by nobody."""
    pair = rendered([Solid(ELLIPSOID, (0.0, 0.0, 2.0), (0.5, 0.5, 0.5))])
    assert depth_from_disparity(pair.disparity_BHW[0].astype(np.float32), CAMERA)[32, 48] == pytest.approx(1.5)
    assert np.isnan(pair.disparity_BHW[0, 0]).all()
    assert not pair.left_BHW3[0, 0].any()
    assert not pair.seen_by_both_BHW[0, 0].any()
    assert pair.left_BHW3[0, 32, 48].all()


def test_what_an_edge_hides_is_as_wide_as_the_step_in_disparity():
    """Left of a box before a wall, the right camera misses a strip of d_box - d_wall pixels, and the view's edge."""
    box = Solid(BOX, (4.48, 0.0, 1.25), (4.5, 9.0, 0.25))  # its left edge is at 48 - 0.02 * 80 / 1 = 46.4
    pair = rendered([WALL, box])
    d_wall, d_box = 4.0 + 3.0, 8.0 + 3.0
    columns = np.arange(96)
    is_wall = columns < 46.4
    hidden = is_wall & (columns > 46.4 - (d_box - d_wall))
    outside = columns < np.where(is_wall, d_wall, d_box)
    np.testing.assert_allclose(pair.disparity_BHW[0, 20], np.where(is_wall, d_wall, d_box))
    np.testing.assert_array_equal(pair.seen_by_both_BHW[0], np.tile(~hidden & ~outside, (64, 1)))


def test_the_right_picture_is_the_left_one_moved_by_the_disparity():
    """A wall of 7 px of disparity: the same levels 7 px further left, but for rounding."""
    pair = rendered([WALL])
    left, right = pair.left_BHW3[0], pair.right_BHW3[0]
    assert np.abs(left[:, 7:] - right[:, :-7]).max() <= 1.0
    assert np.abs(left - right).mean() > 3.0
    assert left.std() > 8.0


def test_the_principal_points_move_the_right_image_only():
    """Another cx of the right camera changes d by the difference, and the left picture not at all."""
    verged, straight = rendered([WALL]), rendered([WALL], replace(CAMERA, cx_right_px=48.0))
    np.testing.assert_array_equal(verged.left_BHW3, straight.left_BHW3)
    np.testing.assert_allclose(verged.disparity_BHW - straight.disparity_BHW, 3.0)
    assert np.abs(verged.right_BHW3[:, :, :-3] - straight.right_BHW3[:, :, 3:]).max() <= 1.0


def test_a_pane_is_what_the_truth_says_and_lets_light_through():
    """Where glass stands before a wall the disparity is the glass's, and the picture lies between both surfaces'."""
    pane = Solid(PATCH, (0.0, 0.0, 1.0), (0.2, 0.2, 1.0))
    both, wall, solid = rendered([WALL], panes=(pane,)), rendered([WALL]), rendered([pane])
    is_pane = np.zeros((64, 96), bool)
    is_pane[16:49, 32:65] = True  # 32 -+ 0.2 * 80, 48 -+ 0.2 * 80
    np.testing.assert_allclose(both.disparity_BHW[0], np.where(is_pane, 11.0, 7.0))
    np.testing.assert_array_equal(both.left_BHW3[0][~is_pane], wall.left_BHW3[0][~is_pane])
    assert (both.left_BHW3[0][is_pane] != wall.left_BHW3[0][is_pane]).mean() > 0.9
    assert not np.array_equal(both.left_BHW3[0][is_pane], solid.left_BHW3[0][is_pane])
