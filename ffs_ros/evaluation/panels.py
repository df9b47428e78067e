"""The pictures of a pair on a report page: left, truth, answer and error, small, as JPEG.

Legend of shapes: H and W rows and columns of the left image, h and w of a panel.
"""

from __future__ import annotations

import heapq
import math
from threading import Lock

import cv2
import numpy as np

from ffs_ros.picture import colour_disparity

_WIDEST = 400
_QUALITY = 80
FULL_ERROR_px = 8.0
"""Errors from here on are the brightest."""
_UNKNOWN = 24
"""Grey of what is not known."""


class WorstSoFar:
    """Which of the pairs that one process sees may be among the worst of all. A pair that is, is among the worst of
    any part of the pairs, so that nobody has to wait for the others before drawing it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._ranks: list[tuple[float, int]] = []
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[WorstSoFar], tuple[int]]:
        return type(self), (self.most,)  # each process has its own

    def admits(self, badness: float, place: int) -> bool:
        """Whether fewer than ``most`` of the pairs until now are worse."""
        rank = rank_of(badness, place)
        with self._lock:
            if len(self._ranks) < self.most:
                heapq.heappush(self._ranks, rank)
                return True
            return self.most > 0 and heapq.heappushpop(self._ranks, rank) != rank


def rank_of(badness: float, place: int) -> tuple[float, int]:
    """Greater is worse; NaN is the worst, and of equals the one that is listed first."""
    return math.inf if math.isnan(badness) else badness, -place


def panels(
    left_HW3: np.ndarray, disparity_HW: np.ndarray, truth_HW: np.ndarray | None, other_HW: np.ndarray | None = None
) -> list[bytes]:
    """JPEG files: the left image, then truth, answer, other answer and error, as far as they are there.

    Disparities share the colours of ``picture.colour_disparity`` between the 1st and 99th percentile of the first of
    them; the error is of the answer against the other one, else the truth: dark is right, white is 8 px or more or an
    answer that is missing, and grey is where nothing is known.
    """
    maps_hw = [_shrunk(map_HW) for map_HW in (truth_HW, disparity_HW, other_HW) if map_HW is not None]
    known = maps_hw[0][np.isfinite(maps_hw[0])]
    low, high = np.percentile(known, [1.0, 99.0]) if known.size else (0.0, 1.0)
    pictures = [_shrunk(left_HW3), *(colour_disparity(map_hw, float(low), float(high)) for map_hw in maps_hw)]
    if other_HW is not None:
        missing_HW = np.isfinite(disparity_HW) != np.isfinite(other_HW)
        pictures.append(_error_picture(np.abs(disparity_HW - other_HW), missing_HW))
    elif truth_HW is not None:
        missing_HW = np.isfinite(truth_HW) & ~np.isfinite(disparity_HW)
        pictures.append(_error_picture(np.abs(disparity_HW - truth_HW), missing_HW))
    return [_jpeg(picture) for picture in pictures]


def _error_picture(error_HW: np.ndarray, missing_HW: np.ndarray) -> np.ndarray:
    """Of errors before they are shrunk, so that edges do not gain any."""
    error_HW[missing_HW] = FULL_ERROR_px
    level_hw = np.clip(_shrunk(error_HW) / FULL_ERROR_px, 0.0, 1.0)
    picture = cv2.cvtColor(
        cv2.applyColorMap((255 * np.nan_to_num(level_hw)).astype(np.uint8), cv2.COLORMAP_HOT), cv2.COLOR_BGR2RGB
    )
    picture[np.isnan(level_hw)] = _UNKNOWN
    return picture


def _shrunk(picture_HW: np.ndarray) -> np.ndarray:
    """At most 400 columns: colours averaged, of maps the mean of what is known in each area."""
    height, width = picture_HW.shape[:2]
    if width <= _WIDEST:
        return picture_HW
    size = (_WIDEST, max(1, round(height * _WIDEST / width)))
    if picture_HW.ndim == 3:
        return cv2.resize(picture_HW, size, interpolation=cv2.INTER_AREA)
    known_HW = np.isfinite(picture_HW)
    share_hw = cv2.resize(known_HW.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    sum_hw = cv2.resize(np.where(known_HW, picture_HW, 0).astype(np.float32), size, interpolation=cv2.INTER_AREA)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(share_hw > 0, sum_hw / share_hw, np.nan).astype(np.float32)


def _jpeg(rgb_hw3: np.ndarray) -> bytes:
    bgr = cv2.cvtColor(rgb_hw3, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
