"""Points against numbers worked out by hand, the bytes of their colours, and the closed form of a rendered scene."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest

from ffs_ros.geometry import StereoCamera, depth_from_disparity, points_from_depth
from ffs_ros.message_fields import disparity_fields
from ffs_ros.point_cloud import FIELDS, POINT_STEP, pack_points
from ffs_ros.scene import RenderedPair, render_pair

VERGED = StereoCamera(320, 240, 260.0, 262.0, 159.5, 163.5, 119.5, 0.12)
CAMERA = StereoCamera(3, 2, 2.0, 4.0, 1.0, 1.5, 0.0, 0.1)


@pytest.fixture(scope="module")
def pair() -> RenderedPair:
    """A scene whose disparity is exact, seen by a verged rig: cx_left - cx_right = -4 px."""
    pytest.importorskip("array_api_compat")
    return render_pair(VERGED)


def test_every_byte_of_a_point() -> None:
    """x = (u - cx) Z / fx, y = (v - cy) Z / fy, z = Z as little-endian float32, then blue, green, red and 0."""
    depth_HW = np.array([[2.0, 4.0, np.nan], [1.0, 0.5, 8.0]], np.float32)
    rgb_HW3 = np.array([[[1, 2, 3], [255, 0, 128], [9, 9, 9]], [[0, 0, 0], [255, 255, 255], [0, 200, 0]]], np.uint8)
    packed = pack_points(depth_HW, rgb_HW3, CAMERA).tobytes()
    expected = {
        (0, 0): (-1.0, 0.0, 2.0, bytes([3, 2, 1, 0])),
        (0, 1): (0.0, 0.0, 4.0, bytes([128, 0, 255, 0])),
        (1, 0): (-0.5, 0.25, 1.0, bytes([0, 0, 0, 0])),
        (1, 1): (0.0, 0.125, 0.5, bytes([255, 255, 255, 0])),
        (1, 2): (4.0, 2.0, 8.0, bytes([0, 200, 0, 0])),
    }
    assert len(packed) == 6 * POINT_STEP
    for (v, u), point in expected.items():
        assert struct.unpack_from("<fff4s", packed, (3 * v + u) * POINT_STEP) == point
    x, y, z, colour = struct.unpack_from("<fff4s", packed, 2 * POINT_STEP)
    assert np.isnan([x, y, z]).all()
    assert colour == bytes([9, 9, 9, 0])
    assert FIELDS == {"x": 0, "y": 4, "z": 8, "rgb": 12}


def test_colours_are_read_as_pcl_does() -> None:
    """rgb as a float, its bits as an integer: red is above green is above blue; every colour survives as a number."""
    rgb_HW3 = np.random.default_rng(1).integers(0, 256, (50, 3, 3), np.uint8)
    rgb_HW3[0, 0] = 255
    colour_HW = pack_points(np.ones((50, 3), np.float32), rgb_HW3, CAMERA)[..., 3]
    assert np.isfinite(colour_HW).all()  # a NaN's bits need not survive a copy
    bits_HW = colour_HW.copy().view(np.uint32)
    expected_HW3 = np.stack([bits_HW >> 16 & 255, bits_HW >> 8 & 255, bits_HW & 255], axis=2)
    np.testing.assert_array_equal(expected_HW3, rgb_HW3)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (480, 640), (3, 40000)])
def test_points_are_those_of_points_from_depth(size: tuple[int, int]) -> None:
    """Whatever the blocks are that rows are taken in, and written where they are wanted."""
    rng = np.random.default_rng(2)
    depth_HW = rng.uniform(0.3, 30, size).astype(np.float32)
    depth_HW[rng.random(size) < 0.1] = np.nan
    rgb_HW3 = rng.integers(0, 256, (*size, 3), np.uint8)
    camera = StereoCamera(size[1], size[0], 431.1, 433.3, size[1] / 2.1, size[1] / 2.0, size[0] / 1.9, 0.1)
    out_HW4 = np.zeros((*size, 4), np.float32)
    assert pack_points(depth_HW, rgb_HW3, camera, out_HW4) is out_HW4
    np.testing.assert_array_equal(out_HW4[..., :3], points_from_depth(depth_HW, camera))
    np.testing.assert_array_equal(out_HW4.view(np.uint8)[..., 12:15], rgb_HW3[..., ::-1])


def test_points_of_a_rendered_scene_have_the_closed_form(pair: RenderedPair) -> None:
    """Exact disparity in, the point that the pixel's ray meets out: to float32's rounding, on a verged rig."""
    camera, disparity_HW = pair.camera, pair.disparity_HW
    assert camera.principal_point_difference_px == -4.0
    points_HW4 = pack_points(depth_from_disparity(disparity_HW, camera), pair.left_HW3, camera)
    v_HW, u_HW = np.mgrid[: camera.height, : camera.width].astype(np.float64)
    z_HW = camera.fx_px * camera.baseline_m / (disparity_HW.astype(np.float64) - camera.cx_left_px + camera.cx_right_px)
    expected_HW3 = np.stack(
        [(u_HW - camera.cx_left_px) * z_HW / camera.fx_px, (v_HW - camera.cy_px) * z_HW / camera.fy_px, z_HW], axis=2
    )
    assert np.isfinite(expected_HW3).all()
    np.testing.assert_allclose(points_HW4[..., :3], expected_HW3, rtol=5e-7)
    # Both cameras see the point where they should: x_right = x_left - d.
    x_m, y_m, z_m = (points_HW4[..., axis].astype(np.float64) for axis in range(3))
    right_u_HW = camera.fx_px * (x_m - camera.baseline_m) / z_m + camera.cx_right_px
    np.testing.assert_allclose(right_u_HW, u_HW - disparity_HW, atol=1e-3)
    np.testing.assert_allclose(camera.fy_px * y_m / z_m + camera.cy_px, v_HW, atol=1e-3)


def test_the_disparity_message_gives_the_same_depth(pair: RenderedPair) -> None:
    """Z = f t / d by whoever reads DisparityImage is our depth to float32's rounding, and none is none."""
    disparity_HW = pair.disparity_HW.copy()
    disparity_HW[:20, :30] = np.nan
    fields = disparity_fields(disparity_HW, pair.camera, 192)
    depth_HW = depth_from_disparity(disparity_HW, pair.camera)
    read_HW = fields.image.data
    answered_HW = read_HW >= np.float32(fields.min_disparity)
    np.testing.assert_array_equal(answered_HW, np.isfinite(depth_HW))
    assert (~answered_HW).sum() == 600
    by_definition = np.float32(fields.f) * np.float32(fields.t) / read_HW[answered_HW]
    np.testing.assert_allclose(depth_HW[answered_HW], by_definition, rtol=3e-7)


@pytest.mark.parametrize("verged", [False, True])
def test_image_geometry_agrees(verged: bool) -> None:
    """The Python code of image_geometry, which robots read our disparity with: equal points where the principal points
    are equal; on a verged rig its x misses their difference, (cx_left - cx_right) Z / fx, and nothing else. (It takes
    fx for fy, too, which rectification makes equal.)"""
    image_geometry = pytest.importorskip("image_geometry", reason="ROS's image_geometry is not installed")
    cx_right_px = VERGED.cx_right_px if verged else VERGED.cx_left_px
    camera = StereoCamera(**(vars(VERGED) | {"fy_px": VERGED.fx_px, "cx_right_px": cx_right_px}))
    model = image_geometry.StereoCameraModel()
    model.fromCameraInfo(*(_camera_info(camera, side) for side in ("left", "right")))
    rng = np.random.default_rng(5)
    disparity_HW = rng.uniform(2.0, 90.0, (camera.height, camera.width)).astype(np.float32)
    message_HW = disparity_fields(disparity_HW, camera, 192).image.data
    points_HW3 = points_from_depth(depth_from_disparity(disparity_HW, camera), camera)
    for _ in range(500):
        u, v = int(rng.integers(camera.width)), int(rng.integers(camera.height))
        theirs = np.array(model.projectPixelTo3d((u, v), float(message_HW[v, u])))
        theirs[0] -= camera.principal_point_difference_px * theirs[2] / camera.fx_px
        np.testing.assert_allclose(points_HW3[v, u], theirs, rtol=1e-5, atol=1e-7)


def _camera_info(camera: StereoCamera, side: str) -> SimpleNamespace:
    cx_px, offset = (
        (camera.cx_left_px, 0.0) if side == "left" else (camera.cx_right_px, -camera.fx_px * camera.baseline_m)
    )
    return SimpleNamespace(
        header=SimpleNamespace(frame_id="left_optical", stamp=0), height=camera.height, width=camera.width,
        binning_x=0, binning_y=0, roi=SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0), d=[],
        k=[camera.fx_px, 0, cx_px, 0, camera.fy_px, camera.cy_px, 0, 0, 1], r=[1, 0, 0, 0, 1, 0, 0, 0, 1],
        p=[camera.fx_px, 0, cx_px, offset, 0, camera.fy_px, camera.cy_px, 0, 0, 0, 1, 0],
    )  # fmt: skip
