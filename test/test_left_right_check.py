"""The check on scenes whose two disparities and whose hidden parts can be written down."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.geometry import StereoCamera
from ffs_ros.left_right_check import agreement, right_disparity

FAR_PX, NEAR_PX = 4, 10
WIDTH = 60
IN_FRONT = slice(30, 45)
"""Columns of the left image that show the near surface; the right one shows it at 20 to 34."""


def two_walls() -> tuple[np.ndarray, np.ndarray]:
    """Disparities of the left and the right image of a near wall before a far one, 3 rows."""
    left_W, right_W = np.full((2, WIDTH), FAR_PX, np.float32)
    left_W[IN_FRONT] = NEAR_PX
    right_W[IN_FRONT.start - NEAR_PX : IN_FRONT.stop - NEAR_PX] = NEAR_PX
    return np.tile(left_W, (3, 1)), np.tile(right_W, (3, 1))


def test_what_the_near_wall_hides_is_occluded() -> None:
    """Far pixels 24 to 29 land behind the near wall, 0 to 3 left of the right image; everything else agrees."""
    confidence_HW, occluded_HW = agreement(*two_walls())
    hidden_W = np.zeros(WIDTH, bool)
    hidden_W[:FAR_PX] = hidden_W[24:30] = True
    np.testing.assert_array_equal(occluded_HW, np.where(hidden_W, 255, 0)[None].repeat(3, axis=0))
    np.testing.assert_array_equal(confidence_HW, np.where(hidden_W, 0.0, 1.0)[None].repeat(3, axis=0))
    assert (confidence_HW.dtype, occluded_HW.dtype) == (np.float32, np.uint8)


@pytest.mark.parametrize(
    ("difference_px", "confidence", "occluded"),
    [(0.0, 1.0, 0), (0.5, 0.75, 0), (1.0, 0.5, 0), (1.5, 0.25, 255), (2.0, 0.0, 255), (30.0, 0.0, 255),
     (-0.5, 0.75, 0), (-1.5, 0.25, 0), (-2.0, 0.0, 0)],
)  # fmt: skip
def test_confidence_is_the_difference_in_pixels(difference_px: float, confidence: float, occluded: int) -> None:
    """1 - |difference| / 2; only a nearer surface in the right image hides the point."""
    disparity_HW = np.full((2, 50), 8.0, np.float32)
    agreed = agreement(disparity_HW, disparity_HW + np.float32(difference_px))
    assert (agreed.confidence_HW[:, 8:] == confidence).all()
    assert (agreed.occluded_HW[:, 8:] == occluded).all()
    assert (agreed.confidence_HW[:, :8] == 0.0).all()
    assert (agreed.occluded_HW[:, :8] == 255).all()


def test_slanted_walls_agree_between_pixels() -> None:
    """d = 5 + 0.1 x from the left is d = (5 + 0.1 x) / 0.9 from the right: read between its pixels it is the same."""
    column_W = np.arange(200, dtype=np.float64)
    left_HW = (5.0 + 0.1 * column_W).astype(np.float32)[None]
    right_HW = ((5.0 + 0.1 * column_W) / 0.9).astype(np.float32)[None]
    confidence_HW, occluded_HW = agreement(left_HW, right_HW)
    inside_W = column_W - left_HW[0] >= 0.0
    np.testing.assert_allclose(confidence_HW[0, inside_W], 1.0, atol=2e-5)
    assert not occluded_HW[0, inside_W].any()


def test_edges_are_not_blurred() -> None:
    """At a quarter pixel from an edge of the right map the nearer pixel counts, not a mixture of near and far."""
    left_HW, right_HW = two_walls()
    left_HW[:, IN_FRONT] = 9.75  # lands between the right image's pixels
    right_HW[right_HW == NEAR_PX] = 9.75
    confidence_HW, _ = agreement(left_HW, right_HW)
    np.testing.assert_array_equal(confidence_HW[:, IN_FRONT.start : IN_FRONT.stop - 1], 1.0)


def test_no_answer_on_either_side_is_no_confidence() -> None:
    """And no claim that something is hidden; nothing but its own pixel suffers."""
    left_HW, right_HW = np.full((2, 1, 30), 5.0, np.float32)
    left_HW[0, 20] = right_HW[0, 10] = np.nan
    confidence_HW, occluded_HW = agreement(left_HW, right_HW)
    without_W = np.ones(30)
    without_W[:5] = without_W[20] = without_W[15] = 0.0
    np.testing.assert_array_equal(confidence_HW[0], without_W)
    np.testing.assert_array_equal(occluded_HW[0] > 0, np.arange(30) < 5)


def match_by_colour(left_HW3: np.ndarray, right_HW3: np.ndarray) -> np.ndarray:
    """x_left - x_right of equal colours, of which each occurs once in a row; NaN where there is none, or d < 0."""
    keys_left_HW, keys_right_HW = (
        image.astype(np.int64) @ np.array([65536, 256, 1]) for image in (left_HW3, right_HW3)
    )
    disparity_HW = np.full(keys_left_HW.shape, np.nan, np.float32)
    for row in range(len(keys_left_HW)):
        places = {int(key): column for column, key in enumerate(keys_right_HW[row])}
        for column, key in enumerate(keys_left_HW[row]):
            if places.get(int(key), column + 1) <= column:
                disparity_HW[row, column] = column - places[int(key)]
    return disparity_HW


def test_the_mirrored_pair_gives_the_right_images_disparity() -> None:
    """A matcher that finds colours again finds the right image's disparity in the mirrored pair: x_left = x_right + d,
    and the whole check says what was hidden when the images were drawn."""
    left_disparity_HW, right_disparity_HW = two_walls()
    rng = np.random.default_rng(4)
    right_HW3 = rng.permuted(np.arange(3 * WIDTH * 3, dtype=np.uint16).astype(np.uint8)).reshape(3, WIDTH, 3)
    right_HW3[..., 0] = np.arange(WIDTH)
    left_HW3 = np.stack([np.full((3, WIDTH), 200 + k, np.uint8) for k in range(3)], axis=2)
    left_HW3[..., 1] = np.arange(WIDTH)
    for column in range(WIDTH):
        d = int(left_disparity_HW[0, column])
        if column - d >= 0 and right_disparity_HW[0, column - d] == d:
            left_HW3[:, column] = right_HW3[:, column - d]
    found_HW = right_disparity(match_by_colour, left_HW3, right_HW3)
    seen_W = np.zeros(WIDTH, bool)
    for column in range(WIDTH):
        there = column + int(right_disparity_HW[0, column])
        seen_W[column] = there < WIDTH and left_disparity_HW[0, there] == right_disparity_HW[0, column]
    np.testing.assert_array_equal(found_HW, np.where(seen_W, right_disparity_HW, np.nan))
    assert seen_W.sum() > 40
    confidence_HW, _ = agreement(match_by_colour(left_HW3, right_HW3), found_HW)
    expected_HW, _ = agreement(left_disparity_HW, right_disparity_HW)
    np.testing.assert_array_equal(confidence_HW, expected_HW)


def test_a_rendered_scene_is_occluded_where_rays_say_so() -> None:
    """Exact disparities of both views: the check finds what the renderer's rays to the right camera found hidden."""
    pytest.importorskip("array_api_compat")
    from ffs_ros.scene import render_pair
    from ffs_ros.training.right_view import disparity_of_right_view

    pair = render_pair(StereoCamera(320, 240, 260.0, 260.0, 159.5, 161.5, 119.5, 0.12))
    confidence_HW, occluded_HW = agreement(pair.disparity_HW, disparity_of_right_view(pair.disparity_HW))
    hidden_HW = ~pair.seen_by_both_HW
    assert 0.03 < hidden_HW.mean() < 0.5
    assert (occluded_HW[hidden_HW] > 0).mean() > 0.97
    assert (occluded_HW[~hidden_HW] > 0).mean() < 0.01
    assert (confidence_HW[~hidden_HW] > 0.9).mean() > 0.98
