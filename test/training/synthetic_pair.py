"""A textured pair whose disparity is known in closed form: a slanted plane behind an upright patch."""

from __future__ import annotations

import numpy as np

from ffs_ros.training.sample import TrainingSample

HEIGHT, WIDTH = 96, 160
BACKGROUND = (6.3, 0.031, 0.017)
"""Disparity at the origin, its rise along a row and down a column."""
PATCH_ROWS, PATCH_COLUMNS = (30, 66), (60, 100)
PATCH_px = 18.4


def background_disparity(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    at_origin, along, down = BACKGROUND
    return at_origin + along * x + down * y


def painted(x: np.ndarray, y: np.ndarray, tone: float) -> np.ndarray:
    """float (H,W,3) 0..255 of a surface whose points are named by the left image's columns and rows. Nothing in it is
    finer than 9 px, so that reading between pixels is exact to a few grey levels."""
    waves = [np.sin(x / 2.3 + tone * channel) + np.sin((x + 2 * y) / 5.1 + channel) for channel in (1, 2, 3)]
    return 127.5 + 50 * np.stack(waves, axis=-1)


def synthetic_pair() -> TrainingSample:
    """Both images and the whole of the left one's disparity, also where the patch hides its match."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    at_origin, along, down = BACKGROUND
    on_patch_rows = (y >= PATCH_ROWS[0]) & (y < PATCH_ROWS[1])
    left_patch = on_patch_rows & (x >= PATCH_COLUMNS[0]) & (x < PATCH_COLUMNS[1])
    left = np.where(left_patch[..., None], painted(x, y, 0.5), painted(x, y, 2.5))
    disparity = np.where(left_patch, PATCH_px, background_disparity(x, y))

    x_of_patch = x + PATCH_px
    right_patch = on_patch_rows & (x_of_patch >= PATCH_COLUMNS[0] - 0.5) & (x_of_patch < PATCH_COLUMNS[1] - 0.5)
    x_of_background = (x + at_origin + down * y) / (1 - along)  # solves x = u - background_disparity(u, y) for u
    right = np.where(right_patch[..., None], painted(x_of_patch, y, 0.5), painted(x_of_background, y, 2.5))
    left, right = (np.clip(np.rint(image), 0, 255).astype(np.uint8) for image in (left, right))
    return TrainingSample(left, right, disparity.astype(np.float32))


def right_disparity() -> np.ndarray:
    """The right image's disparity, NaN where the left image cannot see what it shows."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    at_origin, along, down = BACKGROUND
    on_patch_rows = (y >= PATCH_ROWS[0]) & (y < PATCH_ROWS[1])
    x_of_patch = x + PATCH_px
    patch = on_patch_rows & (x_of_patch >= PATCH_COLUMNS[0] - 0.5) & (x_of_patch < PATCH_COLUMNS[1] - 0.5)
    u = (x + at_origin + down * y) / (1 - along)
    behind_patch = on_patch_rows & (u > PATCH_COLUMNS[0] - 1) & (u < PATCH_COLUMNS[1])
    seen = (u <= WIDTH - 1) & ~behind_patch
    return np.where(patch, PATCH_px, np.where(seen, u - x, np.nan)).astype(np.float32)
