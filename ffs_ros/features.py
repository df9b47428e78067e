"""The same points of the scene in two images, found without knowing anything about the cameras.

Legend of shapes: H and W rows and columns of an image, N matched features, M and K features of one image.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

WORKING_SIDE_px = 640
"""Larger images are scaled down to this: what is asked of the features needs no more, and the time stays bounded."""
_MOST_FEATURES = 500
_RATIO = 0.8
"""How much nearer the nearest descriptor must be than the second, so that repeated patterns drop out (Lowe 2004)."""
_LEAST_SIDE_px = 16
_LEAST_FOR_GEOMETRY = 15


class FeatureMatches(NamedTuple):
    """Matched points, x and y in pixels of the images as they were given, float64."""

    left_N2: np.ndarray
    right_N2: np.ndarray
    resolution_px: float
    """Side of a pixel of the images that were searched, at least 1: single points are known to a fraction of it."""

    @property
    def disparity_N(self) -> np.ndarray:
        """x_left - x_right."""
        return self.left_N2[:, 0] - self.right_N2[:, 0]

    @property
    def drop_N(self) -> np.ndarray:
        """y_right - y_left, positive where the right image shows the point lower."""
        return self.right_N2[:, 1] - self.left_N2[:, 1]


def match_features(left_HW: np.ndarray, right_HW: np.ndarray) -> FeatureMatches:
    """Points that both grey uint8 images show: mutual nearest SIFT descriptors on one epipolar geometry.

    The geometry, which any two pinhole cameras have, is estimated and only drops matches that are wrong. Empty where
    there is too little to tell, or most matches disagree. Takes about 0.15 s of one core.
    """
    scale = min(1.0, WORKING_SIDE_px / max(left_HW.shape))
    left_M2, left_descriptors = _features(left_HW, scale)
    right_K2, right_descriptors = _features(right_HW, scale)
    rows, columns = _mutual_nearest(left_descriptors, right_descriptors)
    keep = _on_one_geometry(left_M2[rows], right_K2[columns])
    # Pixel centres are at whole numbers, before and after scaling.
    left_N2, right_N2 = ((points[keep] + 0.5) / scale - 0.5 for points in (left_M2[rows], right_K2[columns]))
    return FeatureMatches(left_N2, right_N2, 1.0 / scale)


def _features(grey_HW: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions (M,2) in the scaled image and descriptors (M,128) of its strongest features."""
    if scale < 1.0:
        grey_HW = cv2.resize(grey_HW, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if min(grey_HW.shape) >= _LEAST_SIDE_px:
        points, descriptors = cv2.SIFT.create(_MOST_FEATURES).detectAndCompute(grey_HW, None)
        if points:
            return np.array([point.pt for point in points]), descriptors
    return np.zeros((0, 2)), np.zeros((0, 128), np.float32)


def _mutual_nearest(left_MD: np.ndarray, right_KD: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the descriptors that are each other's nearest, the left one's clearly."""
    if len(left_MD) < 2 or len(right_KD) < 2:
        return np.zeros(0, int), np.zeros(0, int)
    distance_M2, nearest_M2 = cv2.batchDistance(left_MD, right_KD, cv2.CV_32F, normType=cv2.NORM_L2, K=2)
    _, nearest_K1 = cv2.batchDistance(right_KD, left_MD, cv2.CV_32F, normType=cv2.NORM_L2, K=1)
    nearest_M = nearest_M2[:, 0]
    mutual_M = nearest_K1[nearest_M, 0] == np.arange(len(left_MD))
    rows = np.flatnonzero(mutual_M & (distance_M2[:, 0] < _RATIO * distance_M2[:, 1]))
    return rows, nearest_M[rows]


def _on_one_geometry(left_N2: np.ndarray, right_N2: np.ndarray) -> np.ndarray:
    """Which matches (N, bool) agree on a fundamental matrix to within a pixel; none if that is not most of them."""
    none = np.zeros(len(left_N2), bool)
    if len(left_N2) < _LEAST_FOR_GEOMETRY:
        return none
    _, inliers = cv2.findFundamentalMat(
        left_N2, right_N2, cv2.FM_RANSAC, ransacReprojThreshold=1.0, confidence=0.999
    )  # fmt: skip
    if inliers is None or 2 * np.count_nonzero(inliers) < len(left_N2):
        return none
    return inliers.ravel() > 0
