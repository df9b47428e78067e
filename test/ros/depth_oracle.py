"""What the node must, may and must not publish for a pair, worked out anew from the messages' definitions.

Rules that are a matter of taste (how far two focal lengths may differ) leave a band in which the node may answer or
not; what it answers there has to be right all the same. Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from reference_pictures import Picture, picture_in

FRAME_IDS = {"left": "left_optical_frame", "right": "right_optical_frame"}
"""Those that a sound pair has."""
NO_ANSWER_px = 1e-3
"""Disparities up to here may count as none."""

FLOAT32_ERROR = 1.3e-7
"""Twice what rounding to the nearest makes of a number, as a share of it."""


def rectifies_to_itself(info: Any) -> bool:
    """Whether a CameraInfo is of an image that is rectified already, or was not looked at for that."""
    p = list(info.p)
    same = list(info.k) == [*p[0:3], *p[4:7], *p[8:11]] and list(info.d) == [0.0] * 5
    straight = list(info.r) == [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    return same and straight and max(info.binning_x, info.binning_y) <= 1 and info.distortion_model == "plumb_bob"


class Camera(NamedTuple):
    """Of the images as they are delivered."""

    sure: bool
    """Whether a node has to take it."""
    height: int
    width: int
    fx: float
    fy: float
    cx: float
    cy: float
    baseline_m: float
    difference_px: float
    """cx of the left less that of the right camera."""


class Answer(NamedTuple):
    """Bounds of what comes out."""

    must: bool
    """Whether it has to come out."""
    camera: Camera
    least_HW: np.ndarray
    """Of the disparity message, in pixels; NaN where there must be no answer."""
    most_HW: np.ndarray

    def loosened(self) -> Answer:
        """For pixels of which only the camera is known."""
        return Answer(False, self.camera, np.full_like(self.least_HW, -np.inf), np.full_like(self.least_HW, np.inf))


class Seen(NamedTuple):
    """An Image and what it shows."""

    message: Any
    picture: Picture | None

    @classmethod
    def of(cls, message: Any) -> Seen:
        """Decoded once."""
        return cls(message, picture_in(message))


def answer_to(left: Seen, right: Seen, left_info: Any, right_info: Any) -> Answer | None:
    """None where nothing may be published. The engine is ``known_engine``'s."""
    camera, pictures = _camera_of(left_info, right_info), (left.picture, right.picture)
    if camera is None or pictures[0] is None or pictures[1] is None:
        return None
    left_HW3, right_HW3 = pictures[0].rgb_HW3, pictures[1].rgb_HW3
    if left_HW3.shape != right_HW3.shape or left_HW3.shape[:2] != (camera.height, camera.width):
        return None
    found_HW = left_HW3[..., 0] / 4.0 + right_HW3[..., 2] / 8.0
    disparity_HW = found_HW - camera.difference_px
    error_HW = pictures[0].error_HW / 4.0 + pictures[1].error_HW / 8.0
    error_HW += FLOAT32_ERROR * (found_HW + np.abs(disparity_HW) + abs(camera.difference_px))
    hole_HW = (left_HW3[..., 1] == 255.0) & (pictures[0].error_HW == 0.0)
    maybe_hole_HW = (left_HW3[..., 1] + pictures[0].error_HW >= 255.0) & ~hole_HW
    least_HW, most_HW = disparity_HW - error_HW, disparity_HW + error_HW
    least_HW[maybe_hole_HW] = -np.inf
    least_HW[hole_HW] = most_HW[hole_HW] = np.nan
    frames = all(
        message.header.frame_id == FRAME_IDS[side]
        for side, messages in (("left", (left.message, left_info)), ("right", (right.message, right_info)))
        for message in messages
    )
    sure = camera.sure and pictures[0].sure and pictures[1].sure and frames
    return Answer(sure, camera, least_HW, most_HW)


def _camera_of(left_info: Any, right_info: Any) -> Camera | None:
    sides = []
    for info in (left_info, right_info):
        p, roi = [float(value) for value in info.p], info.roi
        if not all(map(math.isfinite, p)) or p[0] <= 0.0 or p[5] <= 0.0:
            return None
        if max(abs(p[1]), abs(p[4])) > 1e-2 or max(abs(p[8]), abs(p[9]), abs(p[10] - 1.0)) > 1e-2:
            return None  # a skewed or scaled projection is not that of a rectified camera
        x, y = info.binning_x or 1, info.binning_y or 1
        size = (roi.height or info.height) // y, (roi.width or info.width) // x
        sides.append((size, p[0] / x, p[5] / y, (p[2] - roi.x_offset) / x, (p[6] - roi.y_offset) / y, p[3] / x))
    (size, fx, fy, cx, cy, tx), (right_size, right_fx, right_fy, right_cx, right_cy, right_tx) = sides
    errors = abs(fx - right_fx) / fx, abs(fy - right_fy) / fy, abs(cy - right_cy)
    if min(fx, fy) < 0.5:
        return None
    if size != right_size or errors[0] > 1e-3 or errors[1] > 1e-3 or errors[2] > 1.0:
        return None
    baseline_m = (tx - right_tx) / fx
    if right_tx >= 0.0 or baseline_m < 0.5e-3:
        return None
    plain = all(
        [*info.p][index] == value
        for info in (left_info, right_info)
        for index, value in ((1, 0), (4, 0), (7, 0), (8, 0), (9, 0), (10, 1), (11, 0))
    )
    usual = max(fx, fy, abs(cx), abs(right_cx), abs(cy), baseline_m) < 1e5 and min(fx, fy) > 2.0
    close = errors[0] < 5e-5 and errors[1] < 5e-5 and errors[2] < 0.05
    sure = plain and usual and close and tx == 0.0 and baseline_m > 2e-3
    return Camera(sure, *size, fx, fy, cx, cy, baseline_m, difference_px=cx - right_cx)


def check_disparity(message: Any, answer: Answer) -> None:
    """Raises AssertionError unless a DisparityImage is what ``answer`` allows."""
    np.testing.assert_allclose((message.f, message.t), (answer.camera.fx, answer.camera.baseline_m), rtol=1e-6)
    value_HW = _floats_in(message.image)
    assert value_HW.shape == answer.least_HW.shape
    assert 0.0 < message.min_disparity < message.max_disparity
    assert np.isfinite(value_HW).all()
    answered_HW = value_HW > 0.0
    assert (value_HW >= 0.0).all()
    assert ((value_HW >= answer.least_HW) & (value_HW <= answer.most_HW))[answered_HW].all()
    assert not (~answered_HW & (answer.least_HW > NO_ANSWER_px * 1.01)).any()


def check_depth(message: Any, answer: Answer) -> None:
    """Raises AssertionError unless a depth image in metres is what ``answer`` allows."""
    assert message.encoding == "32FC1"
    _check_metres(_floats_in(message), answer)


def check_millimetres(message: Any, answer: Answer) -> None:
    """Raises AssertionError unless a 16UC1 depth image is what ``answer`` allows."""
    assert (message.encoding, message.step, message.is_bigendian) == ("16UC1", 2 * message.width, 0)
    depth_HW = np.frombuffer(bytes(message.data), "<u2").reshape(message.height, message.width).astype(np.float64)
    assert depth_HW.shape == answer.least_HW.shape
    focal_times_baseline = 1000.0 * answer.camera.fx * answer.camera.baseline_m
    with np.errstate(divide="ignore"):
        nearest_HW = focal_times_baseline / np.maximum(answer.most_HW, 0.0) * (1.0 - 1e-6) - 0.5
        farthest_HW = focal_times_baseline / np.maximum(answer.least_HW, 0.0) * (1.0 + 1e-6) + 0.5
    answered_HW = depth_HW > 0.0
    assert ((depth_HW >= nearest_HW) & (depth_HW <= farthest_HW))[answered_HW].all()
    assert not (~answered_HW & (nearest_HW > 1.0) & (farthest_HW < 65535.0)).any()


def check_points(message: Any, answer: Answer) -> None:
    """Raises AssertionError unless a point cloud is what ``answer`` allows."""
    names = [(field.name, field.offset) for field in message.fields]
    assert names == [("x", 0), ("y", 4), ("z", 8), ("rgb", 12)]
    assert (message.point_step, message.row_step) == (16, 16 * message.width)
    floats_HW4 = np.frombuffer(bytes(message.data), "<f4").reshape(message.height, message.width, 4)
    x_HW, y_HW, z_HW = np.moveaxis(floats_HW4[..., :3].astype(np.float64), 2, 0)
    _check_metres(z_HW, answer)
    v_HW, u_HW = np.indices(z_HW.shape)
    camera = answer.camera
    for metres_HW, steps_HW, f, c in ((x_HW, u_HW, camera.fx, camera.cx), (y_HW, v_HW, camera.fy, camera.cy)):
        bound_HW = np.abs(z_HW) / f * (1.0 + abs(c)) * 1e-6
        wrong_HW = np.abs(metres_HW - (steps_HW - c) / f * z_HW) > bound_HW
        assert not wrong_HW.any()
        assert (np.isnan(metres_HW) == np.isnan(z_HW)).all()


def _check_metres(depth_HW: np.ndarray, answer: Answer) -> None:
    assert depth_HW.shape == answer.least_HW.shape
    answered_HW = ~np.isnan(depth_HW)
    assert (depth_HW[answered_HW] > 0.0).all()
    assert np.isfinite(depth_HW[answered_HW]).all()
    disparity_HW = answer.camera.fx * answer.camera.baseline_m / depth_HW.astype(np.float64)
    slack_HW = 1e-6 * np.abs(disparity_HW)
    within_HW = (disparity_HW >= answer.least_HW - slack_HW) & (disparity_HW <= answer.most_HW + slack_HW)
    assert within_HW[answered_HW].all()
    assert not (~answered_HW & (answer.least_HW > NO_ANSWER_px * 1.01)).any()


def _floats_in(message: Any) -> np.ndarray:
    assert message.step == 4 * message.width
    assert not message.is_bigendian
    return np.frombuffer(bytes(message.data), "<f4").reshape(message.height, message.width)
