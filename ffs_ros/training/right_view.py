"""The disparity of the right image's pixels, from that of the left image's: what a mirrored pair needs as its truth.

Legend of shapes: H and W rows and columns of both images.
"""

from __future__ import annotations

import cv2
import numpy as np

from .sample import SAME_SURFACE_px

_DENSE = 0.5
"""A truth with a smaller share of known pixels is sparse, as a laser scanner's."""
_SPARSE_REACH_px = 3
_SPARSE_STEP_px = 2.0


def disparity_of_right_view(disparity_HW: np.ndarray) -> np.ndarray:
    """x_left - x_right at each pixel of the right image, float32 (H,W) px; NaN where nothing known is seen.

    ``disparity_HW`` is the left image's, NaN where unknown. Each surface is laid from the left image into the right one
    as a polyline through its pixel centres and read at the right image's pixel centres, which is exact on planes; where
    several land on a pixel the nearest wins, because it hides the others. A pixel that no left pixel lands on is seen
    by the right camera alone and stays unknown.
    """
    surfaces_HW = _surfaces(disparity_HW)
    pixels_HW = _pixels(disparity_HW)
    # A polyline ends at the centre of a surface's last pixel. The outer half of that pixel hides what lies behind too.
    outer_half_HW = np.isnan(surfaces_HW) | (pixels_HW > surfaces_HW + SAME_SURFACE_px)
    view_HW = np.where(outer_half_HW, pixels_HW, surfaces_HW)
    if np.isfinite(disparity_HW).mean() < _DENSE:
        view_HW[_behind_a_sparse_surface(view_HW)] = np.nan
    return view_HW


def _surfaces(disparity_HW: np.ndarray) -> np.ndarray:
    """The nearest of the polylines between neighbouring pixels of one surface."""
    here_HW, next_HW = disparity_HW[:, :-1], disparity_HW[:, 1:]
    rise_HW = next_HW - here_HW
    rows, columns = np.nonzero(np.abs(rise_HW) < SAME_SURFACE_px)  # comparing NaN is False
    here, rise = here_HW[rows, columns], rise_HW[rows, columns]
    begin = columns - here
    length = 1.0 - rise  # between 0 and 2 px, so at most two pixel centres of the right image lie on it
    view_HW = np.full_like(disparity_HW, np.nan)
    for step in (0, 1):
        landing = np.ceil(begin) + step
        share = (landing - begin) / length
        _lay(view_HW, rows, landing, here + share * rise, where=share <= 1.0)
    return view_HW


def _pixels(disparity_HW: np.ndarray) -> np.ndarray:
    """The nearest of the pixels whose centres lie within half a pixel."""
    rows, columns = np.nonzero(np.isfinite(disparity_HW))
    disparity = disparity_HW[rows, columns]
    view_HW = np.full_like(disparity_HW, np.nan)
    _lay(view_HW, rows, np.rint(columns - disparity), disparity, where=np.ones(disparity.shape, bool))
    return view_HW


def _lay(
    view_HW: np.ndarray, rows: np.ndarray, columns: np.ndarray, disparity: np.ndarray, *, where: np.ndarray
) -> None:
    """Put disparities into ``view_HW``; the nearest, which is the largest, stays."""
    inside = where & (columns >= 0) & (columns < view_HW.shape[1])
    np.fmax.at(view_HW, (rows[inside], columns[inside].astype(np.intp)), disparity[inside])


def _behind_a_sparse_surface(view_HW: np.ndarray) -> np.ndarray:
    """bool (H,W): true where something much nearer is a few pixels away, in whose gaps this may only seem visible."""
    side = 2 * _SPARSE_REACH_px + 1
    nearest_HW = cv2.dilate(
        np.where(np.isnan(view_HW), -np.inf, view_HW).astype(np.float32), np.ones((side, side), np.uint8)
    )
    return nearest_HW > view_HW + _SPARSE_STEP_px
