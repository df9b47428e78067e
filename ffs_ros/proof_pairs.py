"""The stereo pairs that every engine is proven on: textures from a seed, one in relief, two with known shifts.

Legend of shapes: H and W rows and columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LARGEST_SHIFT_px = 160
LARGEST_SHARE_OF_WIDTH = 3
"""At most a third of the width: then the left half of the image, too, has columns whose match is in view."""
_SEED = 20261


class ProofPair(NamedTuple):
    """Two rectified images of one size, uint8 [H,W,3] RGB."""

    name: str
    left_HW3: np.ndarray
    right_HW3: np.ndarray
    shift_px: int | None
    """The disparity of the whole pair; None where it differs from pixel to pixel."""


def proof_pairs(size: tuple[int, int]) -> list[ProofPair]:
    """A pair in relief, one with a small and one with the largest shift, at ``size`` (H, W), at least 32x32."""
    far_px = min(LARGEST_SHIFT_px, size[1] // LARGEST_SHARE_OF_WIDTH)
    return [_relief(size), *(_shifted(size, shift_px) for shift_px in (far_px // 4, far_px))]


def _shifted(size: tuple[int, int], shift_px: int) -> ProofPair:
    rows, columns = size
    texture = np.rint(_texture(rows, columns + shift_px, _SEED + shift_px)).astype(np.uint8)
    name = f"{rows}x{columns} moved by {shift_px} px"
    return ProofPair(name, texture[:, :columns].copy(), texture[:, shift_px:].copy(), shift_px)


def _relief(size: tuple[int, int]) -> ProofPair:
    """A slope with waves on it, from 0 px at the top to a quarter of the width or 120 px at the bottom."""
    rows, columns = size
    row, column = np.mgrid[:rows, :columns]
    most_px = min(120.0, columns / 4)
    slope, waves = row / rows, np.sin(9.0 * row / rows) * np.sin(12.0 * column / columns)
    disparity_HW = most_px * np.clip(0.1 + 0.8 * slope + 0.1 * waves, 0, 1)
    margin = int(np.ceil(most_px)) + 1
    # The texture begins ``margin`` columns left of the right image, for what only the left one sees.
    texture = _texture(rows, columns + margin, _SEED)
    place = column + margin - disparity_HW
    first = place.astype(int)
    part = (place - first)[..., None]
    left = (1 - part) * texture[row, first] + part * texture[row, np.minimum(first + 1, columns + margin - 1)]
    left_HW3, right_HW3 = (np.rint(image).astype(np.uint8) for image in (left, texture[:, margin:]))
    return ProofPair(f"{rows}x{columns} in relief", left_HW3, right_HW3, None)


def _texture(rows: int, columns: int, seed: int) -> np.ndarray:
    """Clouds with detail at all scales, as natural images have: amplitudes fall as 1 / frequency. [rows,columns,3]"""
    random = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    frequency[0, 0] = np.inf
    light, *colour = (
        np.fft.irfft2(np.fft.rfft2(random.standard_normal((rows, columns))) / frequency, (rows, columns))
        for _ in range(4)
    )
    mixed = np.stack([light + 0.3 * one for one in colour], axis=-1)
    return np.clip(128 + 50 * mixed / mixed.std(), 0, 255)
