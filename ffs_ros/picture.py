"""Maps as pictures for people: the turbo colours, near is warm, black where there is no answer.

Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

_LABEL_ROWS = 28
_GAP_COLUMNS = 4
_FINITE = float(np.finfo(np.float32).max)
_TURBO_RGB = cv2.cvtColor(
    cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB
)
_TURBO_RGB[0] = 0


def colour_disparity(
    disparity_HW: np.ndarray, lowest: float | None = None, highest: float | None = None, out: np.ndarray | None = None
) -> np.ndarray:
    """uint8 (H,W,3) RGB of a disparity (NaN for no answer): blue at ``lowest``, red at ``highest``.

    Without limits the 1st and 99th percentile are used, so that a few outliers do not flatten the rest. The result is
    in ``out`` where that is given.
    """
    if lowest is None or highest is None:
        limits_px = _percentiles(disparity_HW)
        lowest = limits_px[0] if lowest is None else lowest
        highest = limits_px[1] if highest is None else highest
    return _turbo(disparity_HW, lowest, highest, out)


def colour_depth(depth_HW: np.ndarray, nearest_m: float | None = None, farthest_m: float | None = None) -> np.ndarray:
    """uint8 (H,W,3) RGB of a depth in metres (NaN for none): red at ``nearest_m``, blue at ``farthest_m``; without
    limits the 1st and 99th percentile."""
    limits_m = _percentiles(depth_HW)
    nearest_m = limits_m[0] if nearest_m is None else nearest_m
    farthest_m = limits_m[1] if farthest_m is None else farthest_m
    return _turbo(-depth_HW, -farthest_m, -nearest_m)


def side_by_side(labelled: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
    """Pictures of one height, uint8 (H,W,3) RGB each, next to each other with their labels above."""
    columns: list[np.ndarray] = []
    for label, rgb_HW3 in labelled:
        strip = np.zeros((_LABEL_ROWS, rgb_HW3.shape[1], 3), np.uint8)
        cv2.putText(strip, label, (6, _LABEL_ROWS - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
        if columns:
            columns.append(np.zeros((_LABEL_ROWS + rgb_HW3.shape[0], _GAP_COLUMNS, 3), np.uint8))
        columns.append(np.concatenate([strip, rgb_HW3]))
    return np.concatenate(columns, axis=1)


def _percentiles(map_HW: np.ndarray) -> tuple[float, float]:
    answered = map_HW[np.isfinite(map_HW)]
    if not answered.size:
        return 0.0, 1.0
    low, high = np.percentile(answered, [1.0, 99.0])
    return float(low), float(high)


def _turbo(map_HW: np.ndarray, lowest: float, highest: float, out: np.ndarray | None = None) -> np.ndarray:
    """Index 0 is black, for no answer; the answers share 1 to 255."""
    per_unit = 254.0 / max(highest - lowest, 1e-6)
    above_HW = np.clip(map_HW, np.float32(lowest), np.float32(highest))
    above_HW -= np.float32(lowest)
    index_HW = cv2.convertScaleAbs(above_HW, alpha=per_unit, beta=1.0)
    answered_HW = cv2.inRange(map_HW, -_FINITE, _FINITE)  # 255 or 0
    return cv2.applyColorMap(cv2.bitwise_and(index_HW, answered_HW), _TURBO_RGB, dst=out)
