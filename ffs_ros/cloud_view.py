"""A point cloud seen from beside the camera, as a picture: what it looks like without a viewer.

Legend of shapes: H and W rows and columns of the left image, N points, h and w rows and columns of the picture.
"""

from __future__ import annotations

import itertools
import math

import numpy as np

YAW_DEG, PITCH_DEG = -18.0, 12.0
"""From the camera's left and from above: far enough round to show depth, near enough to show few of the gaps."""

_SHOWN = (0.5, 99.5)
"""Percentiles of the points that the picture is made to hold, per axis."""
_LEFT_FREE = 0.04
"""Share of the picture's height and width that stays free on each side."""
_BACKGROUND = 24


def view_points(
    points_HW3: np.ndarray, rgb_HW3: np.ndarray, size: tuple[int, int] | None = None,
    yaw_deg: float = YAW_DEG, pitch_deg: float = PITCH_DEG,
) -> np.ndarray:  # fmt: skip
    """uint8 (h,w,3) RGB of the finite points in their own colours, nearer ones before farther ones.

    ``points_HW3`` is float32 metres in the camera's optical frame (x right, y down, z forward), ``rgb_HW3`` uint8.
    The viewer goes round the middle of the points, from the camera's place ``yaw_deg`` to the right and ``pitch_deg``
    upwards, and turns to look at it; scaled so that nearly all points fit. ``size`` is (h, w), by default the image's.
    """
    height, width = size or rgb_HW3.shape[:2]
    picture_hw3 = np.full((height, width, 3), _BACKGROUND, np.uint8)
    seen_HW = np.isfinite(points_HW3).all(axis=2)
    if not seen_HW.any():
        return picture_hw3
    points_N3 = points_HW3[seen_HW].astype(np.float64)
    middle_3 = np.array([0.0, 0.0, np.median(points_N3[:, 2])])
    rotated_N3 = (points_N3 - middle_3) @ _turned(yaw_deg, pitch_deg).T + middle_3
    before_N = rotated_N3[:, 2] > 0.1 * middle_3[2]  # what comes near the viewer's eye would cover everything
    rotated_N3, rgb_N3 = rotated_N3[before_N], rgb_HW3[seen_HW][before_N]
    slopes_N2 = rotated_N3[:, :2] / rotated_N3[:, 2:]
    low_2, high_2 = np.percentile(slopes_N2, _SHOWN, axis=0)
    room_2 = np.array([width, height]) * (1.0 - 2.0 * _LEFT_FREE)
    focal_px = float((room_2 / np.maximum(high_2 - low_2, 1e-6)).min())
    pixels_N2 = np.rint((slopes_N2 - (low_2 + high_2) / 2.0) * focal_px + np.array([width, height]) / 2.0).astype(int)
    _splat(picture_hw3, pixels_N2, rotated_N3[:, 2], rgb_N3)
    return picture_hw3


def _turned(yaw_deg: float, pitch_deg: float) -> np.ndarray:
    """Rotates points as a viewer sees them who went to the right and upwards round the origin."""
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    return about_x @ about_y


def _splat(picture_hw3: np.ndarray, pixels_N2: np.ndarray, depth_N: np.ndarray, rgb_N3: np.ndarray) -> None:
    """Draw each point as 3x3 pixels where nothing nearer is drawn."""
    height, width = picture_hw3.shape[:2]
    order_N = np.argsort(-depth_N)  # of several points in one pixel the last one assigned, the nearest, stays
    (u_N, v_N), depth_N, rgb_N3 = pixels_N2[order_N].T, depth_N[order_N], rgb_N3[order_N]
    nearest_hw = np.full((height, width), np.inf)
    for right, down in itertools.product((-1, 0, 1), repeat=2):
        u, v = u_N + right, v_N + down
        inside_N = (u >= 0) & (u < width) & (v >= 0) & (v < height)
        layer_hw = np.full((height, width), np.inf)
        colour_hw3 = np.empty_like(picture_hw3)
        layer_hw[v[inside_N], u[inside_N]] = depth_N[inside_N]
        colour_hw3[v[inside_N], u[inside_N]] = rgb_N3[inside_N]
        nearer_hw = layer_hw < nearest_hw
        nearest_hw[nearer_hw] = layer_hw[nearer_hw]
        picture_hw3[nearer_hw] = colour_hw3[nearer_hw]
