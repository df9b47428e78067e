"""Changes of a pair's geometry, each with the ground truth that goes with it.

Every function returns a new sample and leaves its argument alone. Truth that the new pair cannot have is NaN.
"""

from __future__ import annotations

import cv2
import numpy as np

from ffs_ros.fit import InputFit

from .right_view import disparity_of_right_view
from .sample import SAME_SURFACE_px, TrainingSample


def resized(sample: TrainingSample, height: int, width: int) -> TrainingSample:
    """The pair at another size. Disparities are multiplied by the ratio of the widths; the rows' do not matter.

    The truth is interpolated within a surface, and otherwise taken from the nearest pixel: it never mixes what is known
    with what is not, nor a surface with the one behind it.
    """
    if sample.size == (height, width):
        return sample
    fit = InputFit.of(sample.size, (height, width), mode="resize")
    return TrainingSample(
        fit.to_engine(sample.left_HW3),
        fit.to_engine(sample.right_HW3),
        _within_surfaces(sample.disparity_HW, height, width) * np.float32(width / sample.size[1]),
    )


def mirrored(sample: TrainingSample) -> TrainingSample:
    """The pair in a mirror. What was the right camera is the left one there, so the truth is the old right view's."""
    return TrainingSample(
        sample.right_HW3[:, ::-1], sample.left_HW3[:, ::-1], disparity_of_right_view(sample.disparity_HW)[:, ::-1]
    )


def upside_down(sample: TrainingSample) -> TrainingSample:
    """The pair with its rows in reverse order."""
    return TrainingSample(*(plane[::-1] for plane in sample))


def displaced(sample: TrainingSample, down_px: int, along_px: int) -> TrainingSample:
    """The right image moved up by ``down_px`` and to the left by ``along_px`` under a fixed frame, edges replicated.

    Rows model an error of rectification, which the truth does not follow. Columns model verged cameras: disparities
    grow by ``along_px``. The truth is unknown where the match lies outside of the image or in replicated columns, and
    where the disparity is not positive.
    """
    if (down_px, along_px) == (0, 0):
        return sample
    height, width = sample.size
    rows_H = np.clip(np.arange(height) + down_px, 0, height - 1)
    columns_W = np.clip(np.arange(width) + along_px, 0, width - 1)
    disparity_HW = sample.disparity_HW
    if along_px:
        disparity_HW = disparity_HW + np.float32(along_px)
        match_HW = np.arange(width, dtype=np.float32) - disparity_HW
        disparity_HW = np.where((match_HW >= max(0, -along_px)) & (disparity_HW > 0.0), disparity_HW, np.float32("nan"))
    return TrainingSample(sample.left_HW3, sample.right_HW3[rows_H][:, columns_W], disparity_HW)


def cropped(sample: TrainingSample, top: int, left: int, height: int, width: int) -> TrainingSample:
    """The same window of both images."""
    return TrainingSample(*(plane[top : top + height, left : left + width] for plane in sample))


def padded(sample: TrainingSample, height: int, width: int) -> TrainingSample:
    """At least ``height`` x ``width``: half of what is missing on each side, the odd pixel at the bottom and the right.

    The images are continued as in a mirror, each by itself. So nothing there matches, and the truth is unknown.
    """
    rows, columns = max(0, height - sample.size[0]), max(0, width - sample.size[1])
    if (rows, columns) == (0, 0):
        return sample
    edges = rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    left_HW3, right_HW3 = (
        cv2.copyMakeBorder(np.ascontiguousarray(image_HW3), *edges, cv2.BORDER_REFLECT_101)
        for image_HW3 in (sample.left_HW3, sample.right_HW3)
    )
    disparity_HW = np.pad(sample.disparity_HW, (edges[:2], edges[2:]), constant_values=np.nan)
    return TrainingSample(left_HW3, right_HW3, disparity_HW)


def _within_surfaces(disparity_HW: np.ndarray, height: int, width: int) -> np.ndarray:
    """Disparity at the pixel centres of an image of another size, (height, width), values unchanged."""
    top, bottom, down_h = _between(disparity_HW.shape[0], height)
    left, right, along_w = _between(disparity_HW.shape[1], width)
    corners = [disparity_HW[rows[:, None], columns] for rows in (top, bottom) for columns in (left, right)]
    upper_hw = corners[0] + along_w * (corners[1] - corners[0])
    lower_hw = corners[2] + along_w * (corners[3] - corners[2])
    # NaN among the corners makes this NaN too, and its comparison False.
    spread_hw = np.maximum.reduce(corners) - np.minimum.reduce(corners)
    nearest_hw = disparity_HW[np.where(down_h < 0.5, top, bottom)[:, None], np.where(along_w < 0.5, left, right)]
    return np.where(spread_hw < SAME_SURFACE_px, upper_hw + down_h[:, None] * (lower_hw - upper_hw), nearest_hw)


def _between(length: int, new_length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of ``new_length`` pixel centres spread over ``length`` pixels: the pixels before and behind it, and the
    share of the way from one to the other, float32 0 to 1."""
    position = np.clip((np.arange(new_length) + 0.5) * (length / new_length) - 0.5, 0, length - 1)
    before = np.floor(position).astype(np.intp)
    return before, np.minimum(before + 1, length - 1), (position - before).astype(np.float32)
