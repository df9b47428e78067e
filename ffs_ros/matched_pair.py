"""Two images as messages -> a disparity: what the node does with each pair, and the replay of a bag too.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ffs_ros.calibration import Calibrated
from ffs_ros.geometry import StereoCamera
from ffs_ros.live_engine import LiveEngine
from ffs_ros.wire import errors_of, rgb_from_message


class Matched(NamedTuple):
    """A pair and what the engine answered."""

    left_HW3: np.ndarray
    """uint8, RGB, rectified."""
    right_HW3: np.ndarray
    disparity_HW: np.ndarray
    """float32, camera pixels, NaN where there is no answer."""
    camera: StereoCamera
    max_disparity_px: float
    """The largest that could have been found."""


def rectified_images(left: Any, right: Any, calibrated: Calibrated, bit_depth: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures of Image or CompressedImage messages: uint8 (H,W,3) RGB. Raises MessageError, naming the camera."""
    with errors_of("left"):
        left_HW3 = rgb_from_message(left, bit_depth)
    with errors_of("right"):
        right_HW3 = rgb_from_message(right, bit_depth)
    if calibrated.rectification is None:
        return left_HW3, right_HW3
    return calibrated.rectification.images(left_HW3, right_HW3)


def matched_pair(
    engine: LiveEngine, images: tuple[np.ndarray, np.ndarray], calibrated: Calibrated, mask_out_of_view: bool
) -> Matched:
    """Match rectified images. Raises what ``LiveEngine.match`` raises."""
    left_HW3, right_HW3 = images
    engine.matcher.mask_out_of_view = mask_out_of_view
    disparity_HW = engine.match(left_HW3, right_HW3)
    if calibrated.rectification is not None:
        calibrated.rectification.mask_unseen(disparity_HW)
    max_disparity_px = engine.matcher.max_disparity_px(*disparity_HW.shape)
    return Matched(left_HW3, right_HW3, disparity_HW, calibrated.camera, max_disparity_px)
