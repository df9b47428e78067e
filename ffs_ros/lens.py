"""A camera before rectification: which point of its raw image a ray meets, with the models that CameraInfo names.

The models are OpenCV's (its documentation of ``calib3d`` and ``fisheye`` has the formulas), their names ROS's
(``sensor_msgs/distortion_models``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ffs_ros.errors import CalibrationError
from ffs_ros.geometry import Readout

_POLYNOMIAL = ("plumb_bob", "rational_polynomial")
_FISHEYE = ("equidistant", "fisheye")
_NONE = ("none", "")
_COUNTS = {
    **dict.fromkeys(_POLYNOMIAL, (0, 4, 5, 8, 12, 14)),
    **dict.fromkeys(_FISHEYE, (0, 4)),
    **dict.fromkeys(_NONE, (0,)),
}
_LARGEST = 1e6
_ORTHONORMAL = 1e-3
"""Calibration files are rounded; a rotation that is off by more moves rows by half a pixel and more."""
_RADII = 4096
"""Steps in which the distortion is followed outwards."""


@dataclass(frozen=True)
class Lens:
    """Where the rays of a rectified camera meet its raw image, in pixels of that image as it is delivered."""

    matrix: np.ndarray
    """K: float64 (3,3)."""
    coefficients: np.ndarray
    """D: float64, empty without distortion."""
    fisheye: bool
    """Kannala and Brandt's model: D is of the angle; otherwise Brown's, D is of the tangent."""
    rotation: np.ndarray
    """R: float64 (3,3), turns the raw camera's rays into the rectified camera's."""

    @classmethod
    def of(cls, side: str, info: Any) -> Lens:
        """What a CameraInfo says about the raw image. Raises CalibrationError where that cannot be."""
        k, d, r = (
            np.array(getattr(info, name if hasattr(info, name) else name.upper()), np.float64).ravel() for name in "kdr"
        )
        for name, values in (("K", k), ("D", d), ("R", r)):
            if not (np.abs(values) <= _LARGEST).all():
                raise CalibrationError(
                    f"the {side} CameraInfo's {name} holds a number that is not finite or above {_LARGEST:g}; "
                    "calibrate the camera"
                )
        if k[0] <= 0.0 or k[4] <= 0.0:
            raise CalibrationError(
                f"the {side} CameraInfo has K[0] = {k[0]:g} and K[4] = {k[4]:g}, so the camera is not calibrated: "
                "rectify needs focal lengths in pixels; run camera_calibration and publish its result"
            )
        rotation = r.reshape(3, 3)
        if np.abs(rotation @ rotation.T - np.eye(3)).max() > _ORTHONORMAL or np.linalg.det(rotation) < 0.0:
            raise CalibrationError(
                f"the {side} CameraInfo's R is {[round(value, 4) for value in r.tolist()]}: expected the rotation that "
                "rectifies this camera; run a stereo calibration and publish its result"
            )
        model = str(info.distortion_model).lower()
        if model not in _COUNTS:
            raise CalibrationError(
                f"the {side} CameraInfo's distortion_model is {model[:40]!r}: expected one of "
                f"{', '.join(name for name in _COUNTS if name)}; rectify the images with the driver"
            )
        counts = _COUNTS[model]
        if len(d) not in counts and not (model in _NONE and not d.any()):
            raise CalibrationError(
                f"the {side} CameraInfo's D has {len(d)} numbers: '{model}' has {' or '.join(map(str, counts))}; "
                "publish the result of a calibration"
            )
        fx, fy, cx, cy = Readout.of(info).intrinsics(k[0], k[4], k[2], k[5], corner=0.5)
        coefficients = np.zeros(0) if model in _NONE else d
        fisheye = model in _FISHEYE and coefficients.size > 0
        return cls(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]), coefficients, fisheye, rotation)

    def maps(self, camera_matrix: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """Where the pixels of a rectified image of ``size`` (rows, columns) are in the raw one: x, y, float32 (H,W)."""
        make = cv2.fisheye.initUndistortRectifyMap if self.fisheye else cv2.initUndistortRectifyMap
        d = self.coefficients if self.coefficients.size else np.zeros(4)
        return make(self.matrix, d, self.rotation, camera_matrix, size[::-1], cv2.CV_32FC1)

    @np.errstate(all="ignore")  # numbers that overflow see nothing
    def in_view(self, camera_matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Which pixels of the rectified image see what the model holds for: bool (H,W).

        There is nothing behind the camera, and beyond the radius where a polynomial turns around it shows the image
        once more.
        """
        rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None, :]
        x_W = (columns - camera_matrix[0, 2]) / camera_matrix[0, 0]
        y_H = (rows - camera_matrix[1, 2]) / camera_matrix[1, 1]
        ray_x, ray_y, ray_z = (a * x_W + b * y_H + c for a, b, c in self.rotation.T)
        ahead = ray_z > 1e-6
        tangent = np.hypot(ray_x, ray_y) / np.where(ahead, ray_z, 1.0)
        return ahead & (tangent <= self._largest_tangent(float(tangent[ahead].max(initial=0.0))))

    def _largest_tangent(self, most: float) -> float:
        """The tangent of the largest angle, up to ``most``, to which the distorted radius grows."""
        tangent = np.tan(np.linspace(0.0, math.atan(most), _RADII))
        d = np.zeros(14)
        d[: len(self.coefficients)] = self.coefficients
        if self.fisheye:
            square = np.arctan(tangent) ** 2
            radius = np.sqrt(square) * (1.0 + square * (d[0] + square * (d[1] + square * (d[2] + square * d[3]))))
        else:
            square = tangent**2
            numerator = 1.0 + square * (d[0] + square * (d[1] + square * d[4]))
            denominator = 1.0 + square * (d[5] + square * (d[6] + square * d[7]))
            radius = tangent * numerator / np.where(denominator > 0.0, denominator, np.nan)
        turned = np.flatnonzero(~(np.diff(radius) > 0.0))
        return float(tangent[turned[0]]) if turned.size else math.inf
