"""Flicker of disparities whose change is known, on pixels that are known to stand still."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.flicker import flicker, static_pixels

RNG = np.random.default_rng(2)
STILL_HW3 = RNG.integers(60, 190, (60, 80, 3), np.uint8)


def noisy(image_HW3: np.ndarray, deviation: float) -> np.ndarray:
    """With noise of its own in each channel."""
    return np.clip(image_HW3 + RNG.normal(0.0, deviation, image_HW3.shape), 0, 255).astype(np.uint8)


def test_a_cameras_noise_leaves_pixels_static() -> None:
    """The grey of a colour camera with 4 levels of noise, and one without."""
    assert static_pixels(STILL_HW3, STILL_HW3).all()
    assert static_pixels(noisy(STILL_HW3, 4.0), noisy(STILL_HW3, 4.0)).mean() > 0.98


def test_what_moves_or_changes_its_light_is_not_static() -> None:
    """A patch of other texture, and all of it 5 levels brighter."""
    moved_HW3 = STILL_HW3.copy()
    moved_HW3[20:40, 30:60] = STILL_HW3[20:40, 20:50]
    static_HW = static_pixels(STILL_HW3, moved_HW3)
    assert static_HW[:17].all()
    assert static_HW[23:37, 33:57].mean() < 0.3  # texture that differs may have the same mean
    assert not static_pixels(STILL_HW3, STILL_HW3 + np.uint8(5)).any()


def test_changes_of_static_pixels_count_alone() -> None:
    """0.25 px where nothing moves, 30 px in the patch that does; a tenth of the answers blinks."""
    moved_HW3 = STILL_HW3.copy()
    moved_HW3[20:40, 30:60] = 255 - STILL_HW3[20:40, 30:60]
    before_HW = np.full((60, 80), 8.0, np.float32)
    now_HW = before_HW + np.float32(0.25)
    now_HW[static_pixels(STILL_HW3, moved_HW3) == 0] += 30.0
    before_HW[:6], now_HW[6:12] = np.nan, np.nan
    found = flicker(STILL_HW3, before_HW, moved_HW3, now_HW)
    assert found is not None
    np.testing.assert_array_equal(found.changes_px, np.float32(0.25))
    static = static_pixels(STILL_HW3, moved_HW3)
    assert found.static_share == pytest.approx(static.mean())
    assert found.blinking == pytest.approx(static[:12].sum() / static.sum())


def test_nothing_is_said_where_everything_moves() -> None:
    """A camera that turns has no static pixels."""
    disparity_HW = np.ones((60, 80), np.float32)
    assert flicker(STILL_HW3, disparity_HW, STILL_HW3 + np.uint8(40), disparity_HW) is None
