"""Raw images become rectified ones: pixels are fetched along maps that are made once for a calibration.

Legend of shapes: H and W rows and columns of the image, raw and rectified.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np

from ffs_ros.errors import CalibrationError, MessageError
from ffs_ros.geometry import StereoCamera
from ffs_ros.lens import Lens


class Rectification(NamedTuple):
    """Of one camera."""

    places_HW2: np.ndarray
    """The raw image's pixel that each one is fetched from, x and y: int16."""
    fractions_HW: np.ndarray
    """How far beyond it, in steps of 1/32 pixel: uint16, as cv2.remap takes it."""
    unseen_HW: np.ndarray | None
    """Where the raw image shows nothing: bool; None where it shows all."""

    @classmethod
    def of(cls, side: str, info: Any, camera: StereoCamera) -> Rectification:
        """From K, D and R of a CameraInfo to the ``side``'s half of ``camera``, which is of its P.

        Raises CalibrationError when the CameraInfo cannot be, and when nothing of its image would be left.
        """
        lens = Lens.of(side, info)
        size = camera.height, camera.width
        x_HW, y_HW = lens.maps(camera.matrix(side), size)
        seen_HW = (x_HW > -0.5) & (x_HW < size[1] - 0.5) & (y_HW > -0.5) & (y_HW < size[0] - 0.5)
        seen_HW &= lens.in_view(camera.matrix(side), size)
        if not seen_HW.any():
            raise CalibrationError(
                f"rectified by the {side} CameraInfo nothing of its image would be left: K, D, R and P do not belong "
                "together; publish the result of one stereo calibration"
            )
        for places_HW, length in ((x_HW, size[1]), (y_HW, size[0])):  # the edge goes on where nothing is seen
            np.clip(np.nan_to_num(places_HW, copy=False), 0, length - 1, out=places_HW)
        places_HW2, fractions_HW = cv2.convertMaps(x_HW, y_HW, cv2.CV_16SC2)
        return cls(places_HW2, fractions_HW, None if seen_HW.all() else ~seen_HW)

    def image(self, raw_HW3: np.ndarray) -> np.ndarray:
        """The rectified image, of the same shape and type. Raises MessageError for an image of another size."""
        if raw_HW3.shape[:2] != self.fractions_HW.shape:
            rows, columns = self.fractions_HW.shape
            raise MessageError(
                f"the image is {raw_HW3.shape[1]}x{raw_HW3.shape[0]} and is to be rectified for {columns}x{rows}: "
                "expected the size that CameraInfo says; set both cameras to one resolution"
            )
        return cv2.remap(raw_HW3, self.places_HW2, self.fractions_HW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


class StereoRectification(NamedTuple):
    """Of both cameras."""

    left: Rectification
    right: Rectification

    @classmethod
    def of(cls, left_info: Any, right_info: Any, camera: StereoCamera) -> StereoRectification:
        """See ``Rectification.of``."""
        return cls(Rectification.of("left", left_info, camera), Rectification.of("right", right_info, camera))

    def images(self, left_HW3: np.ndarray, right_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Both rectified; see ``Rectification.image``."""
        return self.left.image(left_HW3), self.right.image(right_HW3)

    def mask_unseen(self, disparity_HW: np.ndarray) -> None:
        """Make NaN, in place, what the left camera does not see."""
        if self.left.unseen_HW is not None:
            disparity_HW[self.left.unseen_HW] = np.nan
