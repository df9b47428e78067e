"""Matched features are where the scene's points are, and there are none where nothing can be told."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from ffs_ros.features import FeatureMatches, match_features

RNG = np.random.default_rng(0)


def texture(height: int, width: int, seed: int = 0, grain_px: float = 2.0) -> np.ndarray:
    """Grey blobs."""
    noise = np.random.default_rng(seed).normal(0.0, 1.0, (height, width))
    blurred = cv2.GaussianBlur(noise, (0, 0), grain_px)
    return np.clip(128.0 + 50.0 * blurred / max(blurred.std(), 1e-9), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("factor", [1, 3])
def test_positions_are_those_of_the_given_images(factor: int) -> None:
    """A shift by a fraction of a pixel is found again, also where the images are scaled down for the search."""
    height, width = 240 * factor, 400 * factor
    left = texture(height, width, grain_px=2.0 * factor)
    shift = np.array([[1, 0, -7.25 * factor], [0, 1, 1.5 * factor]], np.float32)
    right = cv2.warpAffine(left, shift, (width, height), flags=cv2.INTER_LINEAR)
    matches = match_features(left, right)
    assert len(matches.left_N2) > 100
    np.testing.assert_allclose(np.median(matches.disparity_N), 7.25 * factor, atol=0.05 * factor)
    np.testing.assert_allclose(np.median(matches.drop_N), 1.5 * factor, atol=0.05 * factor)
    assert matches.left_N2.max() > 0.9 * width
    assert matches.resolution_px == max(1.0, width / 640)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (np.full((200, 300), 90, np.uint8), np.full((200, 300), 90, np.uint8)),
        (np.full((200, 300), 90, np.uint8), texture(200, 300)),
        (texture(200, 300, seed=1), texture(200, 300, seed=2)),
        (RNG.integers(0, 256, (200, 300), np.uint8), RNG.integers(0, 256, (200, 300), np.uint8)),
        (texture(1, 1), texture(1, 1)),
        (texture(20, 15), texture(20, 15)),
    ],
    ids=["both blank", "left blank", "two scenes", "noise", "one pixel", "tiny"],
)
def test_no_matches_where_nothing_can_be_told(left: np.ndarray, right: np.ndarray) -> None:
    """Empty arrays, not guesses and not an error."""
    matches = match_features(left, right)
    assert matches.left_N2.shape == matches.right_N2.shape == (0, 2)


def test_a_third_of_wrong_matches_drops_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Points that lie anywhere are not on the geometry of the others."""
    left = RNG.uniform(0, 400, (300, 2))
    right = left - np.column_stack([RNG.uniform(5, 60, 300), np.full(300, 3.0)])
    right[:100] = RNG.uniform(0, 400, (100, 2))
    points = iter([(left, np.eye(300, 128, dtype=np.float32)), (right, np.eye(300, 128, dtype=np.float32))])
    monkeypatch.setattr("ffs_ros.features._features", lambda image, scale: next(points))
    monkeypatch.setattr("ffs_ros.features._mutual_nearest", lambda a, b: (np.arange(300), np.arange(300)))
    matches = match_features(texture(400, 400), texture(400, 400))
    assert 200 <= len(matches.left_N2) < 215
    assert np.mean(np.abs(matches.drop_N + 3.0) < 1.5) > 0.97


def test_names_of_the_differences() -> None:
    """Disparity is x_left - x_right, drop y_right - y_left."""
    matches = FeatureMatches(np.array([[10.0, 5.0]]), np.array([[7.0, 6.0]]), 1.0)
    assert (matches.disparity_N[0], matches.drop_N[0]) == (3.0, 1.0)
