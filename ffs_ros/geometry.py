"""The rectified stereo camera: what a disparity says about depth.

Legend of shapes: H and W rows and columns of the left image. Camera axes: x right, y down, z forward (REP 103).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import CalibrationError

# Rectification makes both projections equal but for cx. Calibration files are rounded to some digits, so allow for
# that, but not for what would shift a match: a relative 1e-4 of fx is 0.06 px at the border of a 1280 px wide image.
_FOCAL_TOLERANCE = 1e-4
_ROW_TOLERANCE_PX = 0.1
_FORM = {1: (0.0, 1e-3), 4: (0.0, 1e-3), 8: (0.0, 1e-3), 9: (0.0, 1e-3), 10: (1.0, 1e-3), 11: (0.0, 0.01)}
"""What no rectified camera's P has otherwise, and by how much it may be off: neither a skew nor a scale of its own, and
no offset along the axis, of which KITTI's have some millimetres (P[11], in metres)."""
_LARGEST = 1e6
"""No number of a camera is that large, in pixels or metres; products of larger ones overflow to an infinite depth."""
_LEAST_OFFSET_px = 1e-6
_SHORTEST_FOCAL_PX = 1.0
_SHORTEST_BASELINE_M = 1e-3
"""No two cameras are that close; a P[3] without its factor fx is."""


@dataclass(frozen=True)
class StereoCamera:
    """Two rectified pinhole cameras side by side; everything is in pixels of the image as it is delivered."""

    width: int
    height: int
    fx_px: float
    fy_px: float
    cx_left_px: float
    cx_right_px: float
    cy_px: float
    baseline_m: float

    def __post_init__(self) -> None:
        """Raises CalibrationError unless every number is finite and the sizes, focal lengths and baseline positive."""
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if not math.isfinite(value) or (value <= 0 and not name.startswith("c")):
                expected = "finite" if name.startswith("c") else "finite and positive"
                raise CalibrationError(f"the calibration has {name} = {value}: expected a {expected} number")
            if abs(value) > _LARGEST:
                raise CalibrationError(
                    f"the calibration has {name} = {value:g}: expected at most {_LARGEST:g}; calibrate the camera"
                )
            if name.startswith("f") and value < _SHORTEST_FOCAL_PX:
                raise CalibrationError(
                    f"the calibration has {name} = {value:g}: expected a focal length in pixels, not in metres or as a "
                    "share of the image's width; multiply it by the pixels per metre or by the width"
                )

    @classmethod
    def from_camera_info(cls, left_info: Any, right_info: Any) -> StereoCamera:
        """The camera that two ``sensor_msgs/CameraInfo`` describe, after their binning and region of interest.

        Reads attributes only (``p`` of ROS 2 or ``P`` of ROS 1, ``width``, ``height``, ``binning_x``, ``binning_y``,
        ``roi``), so messages from rclpy and from bags both serve. The projection matrices share the left camera's
        frame: P[3] = -fx * (offset of the camera along x), so the baseline is in the right one, and a left P[3], which
        should be 0, is counted. Raises CalibrationError for anything that would give a wrong depth.
        """
        left = _Projection.of("left", left_info)
        right = _Projection.of("right", right_info)
        if (left.width, left.height) != (right.width, right.height):
            raise CalibrationError(
                f"the left CameraInfo is for {left.width}x{left.height} images and the right one for "
                f"{right.width}x{right.height}: expected equal sizes; calibrate both cameras at one resolution"
            )
        _require_equal_projections(left, right)
        if right.tx == 0.0:
            remedy = (
                "the left one has it instead: left and right are swapped; swap the topics"
                if left.tx < 0.0
                else "run a stereo calibration and publish its result"
            )
            raise CalibrationError(
                "the right CameraInfo has P[3] = 0, so there is no baseline: it lives in the RIGHT CameraInfo's "
                f"P[3] = -fx * baseline; {remedy}"
            )
        if right.tx > 0.0:
            raise CalibrationError(
                f"the right CameraInfo has P[3] = {right.tx:g}, expected a negative value (-fx * baseline): left and "
                "right are swapped, or the driver has the sign wrong; swap the topics or correct the calibration"
            )
        if left.tx <= right.tx:
            raise CalibrationError(
                f"the left CameraInfo has P[3] = {left.tx:g} and the right one {right.tx:g}: expected 0 on the left; "
                "publish the left camera's own calibration there"
            )
        baseline_m = (left.tx - right.tx) / left.fx
        if baseline_m < _SHORTEST_BASELINE_M:
            raise CalibrationError(
                f"the right CameraInfo has P[3] = {right.tx:g}, which makes the baseline {1e3 * baseline_m:.2g} mm: "
                "P[3] is -fx * baseline, in pixels times metres, and looks like -baseline; multiply it by fx"
            )
        return cls(
            width=left.width,
            height=left.height,
            fx_px=left.fx,
            fy_px=left.fy,
            cx_left_px=left.cx,
            cx_right_px=right.cx,
            cy_px=left.cy,
            baseline_m=baseline_m,
        )

    @property
    def principal_point_difference_px(self) -> float:
        """cx_left - cx_right: the disparity of a point at infinity (negative on verged rigs such as Middlebury's)."""
        return self.cx_left_px - self.cx_right_px

    def matrix(self, side: str) -> np.ndarray:
        """fx 0 cx, 0 fy cy, 0 0 1 of the 'left' or the 'right' camera: float64 (3,3)."""
        cx_px = self.cx_left_px if side == "left" else self.cx_right_px
        return np.array([[self.fx_px, 0.0, cx_px], [0.0, self.fy_px, self.cy_px], [0.0, 0.0, 1.0]])

    def check_image_size(self, height: int, width: int) -> None:
        """Raises CalibrationError when images of this size are not what the calibration is for."""
        if (height, width) != (self.height, self.width):
            raise CalibrationError(
                f"the image is {width}x{height} but its calibration is for {self.width}x{self.height}: depth would be "
                "wrong; publish the calibration of this resolution (resizing must scale CameraInfo too)"
            )


def depth_from_disparity(disparity_HW: np.ndarray, camera: StereoCamera, out: np.ndarray | None = None) -> np.ndarray:
    """Depth along the optical axis: fx * baseline / (d - (cx_left - cx_right)), float32 (H,W) in metres, in ``out``
    where that is given.

    ``disparity_HW`` is float32 in camera pixels, NaN for no answer. NaN comes back there and where the point would lie
    at infinity or behind the camera (a denominator of 0 or less, or so near to it that the quotient would overflow).
    """
    offset_HW = np.subtract(disparity_HW, np.float32(camera.principal_point_difference_px), out=out, dtype=np.float32)
    if not offset_HW.min() > _LEAST_OFFSET_px:  # some are, or NaN; looking is faster than writing to every pixel
        behind_HW = cv2.inRange(offset_HW, -math.inf, _LEAST_OFFSET_px)  # NaN is not, and stays
        if cv2.countNonZero(behind_HW):
            offset_HW[behind_HW > 0] = np.nan
    return np.divide(np.float32(camera.fx_px * camera.baseline_m), offset_HW, out=offset_HW)


def ray_slopes(camera: StereoCamera, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x / z of the points that each column of the left image sees, and y / z of each row's: float32 (W) and (H)."""
    slope_x_W = (np.arange(width, dtype=np.float64) - camera.cx_left_px) / camera.fx_px
    slope_y_H = (np.arange(height, dtype=np.float64) - camera.cy_px) / camera.fy_px
    return slope_x_W.astype(np.float32), slope_y_H.astype(np.float32)


def points_from_depth(depth_HW: np.ndarray, camera: StereoCamera) -> np.ndarray:
    """The point that each pixel of the left image sees: float32 (H,W,3), x right, y down, z forward, in metres.

    ``depth_HW`` is metres along the optical axis; where it is NaN all three coordinates are.
    """
    height, width = depth_HW.shape
    slope_x_W, slope_y_H = ray_slopes(camera, height, width)
    points_HW3 = np.empty((height, width, 3), np.float32)
    np.multiply(depth_HW, slope_x_W, out=points_HW3[..., 0])
    np.multiply(depth_HW, slope_y_H[:, None], out=points_HW3[..., 1])
    points_HW3[..., 2] = depth_HW
    return points_HW3


class Readout(NamedTuple):
    """Which pixels of the sensor one image has: of a region of interest each block of ``binning`` makes one.

    The same formulas as image_geometry's, so that our points agree with those of other nodes.
    """

    x_offset: int
    y_offset: int
    binning_x: int
    binning_y: int
    width: int
    height: int
    """Size of the image as it is delivered: blocks that are not whole are left out."""

    @classmethod
    def of(cls, info: Any) -> Readout:
        """What a CameraInfo says (REP 104): 0 for the binning is 1, 0 for the region's size is the whole sensor."""
        binning_x, binning_y = (max(1, int(getattr(info, name, 1))) for name in ("binning_x", "binning_y"))
        roi = getattr(info, "roi", None)
        x_offset, y_offset, width, height = (
            (roi.x_offset, roi.y_offset, roi.width, roi.height) if roi is not None else (0, 0, 0, 0)
        )
        return cls(
            x_offset=int(x_offset),
            y_offset=int(y_offset),
            binning_x=binning_x,
            binning_y=binning_y,
            width=int(width or info.width) // binning_x,
            height=int(height or info.height) // binning_y,
        )

    def intrinsics(
        self, fx: float, fy: float, cx: float, cy: float, corner: float = 0.0
    ) -> tuple[float, float, float, float]:
        """Those of the image from those of the sensor, in pixels of each.

        image_geometry, and whoever reads P of a binned image, divides the coordinates of pixels' centres: ``corner`` 0.
        With 0.5 they are counted from the image's corner, which is where the light falls on blocks of pixels.
        """
        return (
            fx / self.binning_x,
            fy / self.binning_y,
            (cx - self.x_offset + corner) / self.binning_x - corner,
            (cy - self.y_offset + corner) / self.binning_y - corner,
        )


@dataclass(frozen=True)
class _Projection:
    """One CameraInfo's rectified projection, at the delivered resolution."""

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    tx: float

    @classmethod
    def of(cls, side: str, info: Any) -> _Projection:
        if info is None:
            raise CalibrationError(
                f"there is no {side} CameraInfo: depth needs both; publish {side}/camera_info with the images"
            )
        p = [float(value) for value in (info.p if hasattr(info, "p") else info.P)]
        if not all(map(math.isfinite, p)):
            raise CalibrationError(f"the {side} CameraInfo's P holds a number that is not finite; calibrate the camera")
        if p[0] <= 0.0 or p[5] <= 0.0:
            raise CalibrationError(
                f"the {side} CameraInfo has P[0] = {p[0]:g} and P[5] = {p[5]:g}, so the camera is not calibrated: "
                "expected focal lengths in pixels; run camera_calibration and publish its result"
            )
        for index, (value, tolerance) in _FORM.items():
            if abs(p[index] - value) > tolerance:
                raise CalibrationError(
                    f"the {side} CameraInfo has P[{index}] = {p[index]:g}: expected {value:g}, as P of a rectified "
                    "camera is fx 0 cx Tx, 0 fy cy Ty, 0 0 1 0; publish the result of a stereo calibration"
                )
        readout = Readout.of(info)
        fx, fy, cx, cy = readout.intrinsics(p[0], p[5], p[2], p[6])
        return cls(readout.width, readout.height, fx, fy, cx, cy, tx=p[3] / readout.binning_x)


def _require_equal_projections(left: _Projection, right: _Projection) -> None:
    for name, tolerance in (
        ("fx", _FOCAL_TOLERANCE * left.fx),
        ("fy", _FOCAL_TOLERANCE * left.fy),
        ("cy", _ROW_TOLERANCE_PX),
    ):
        values = getattr(left, name), getattr(right, name)
        if abs(values[0] - values[1]) > tolerance:
            raise CalibrationError(
                f"{name} is {values[0]:g} px in the left CameraInfo and {values[1]:g} px in the right one: after "
                "rectification they are equal; publish the P matrices of one stereo calibration"
            )
