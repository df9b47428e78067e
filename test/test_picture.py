"""Colours that mean something."""

from __future__ import annotations

import numpy as np
import pytest

from ffs_ros.picture import colour_depth, colour_disparity, side_by_side

RAMP = np.linspace(0.0, 100.0, 101, dtype=np.float32)[None].repeat(3, axis=0)


def warmth(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 0].astype(int) - rgb[..., 2]


def test_near_is_warm_in_both_maps() -> None:
    """Large disparity and small depth are red, the other end is blue, in RGB order."""
    disparity = warmth(colour_disparity(RAMP))[0]
    assert disparity[-1] > 50 > -10 > disparity[10]
    depth = warmth(colour_depth(RAMP))[0]
    assert depth[0] > 50 > -10 > depth[-10]
    for colour in (colour_disparity, colour_depth):
        assert len(np.unique(colour(RAMP)[0], axis=0)) > 90  # the colours in between are used too


def test_no_answer_is_black_and_nothing_else_is() -> None:
    """Holes are not confused with far points."""
    disparity = RAMP.copy()
    disparity[1, 5:20] = np.nan
    disparity[2, 3] = np.inf
    coloured = colour_disparity(disparity)
    assert coloured.dtype == np.uint8
    assert coloured.shape == (3, 101, 3)
    np.testing.assert_array_equal((coloured == 0).all(axis=2), ~np.isfinite(disparity))


def test_limits_make_pictures_comparable() -> None:
    """With limits the same disparity has the same colour in two pictures; beyond them the colour stays at the end."""
    part = colour_disparity(RAMP[:, :50], 0.0, 100.0)
    np.testing.assert_array_equal(part, colour_disparity(RAMP, 0.0, 100.0)[:, :50])
    clipped = colour_disparity(RAMP, 20.0, 60.0)
    assert (clipped[:, 60:] == clipped[:, 60:61]).all()
    assert (clipped[:, :21] == clipped[:, :1]).all()


@pytest.mark.parametrize("value", [np.nan, 0.0, 7.0])
@pytest.mark.filterwarnings("error")
def test_maps_without_a_range(value: float) -> None:
    """Nothing answered, or one value everywhere: a picture, no warning."""
    for colour in (colour_disparity, colour_depth):
        picture = colour(np.full((4, 4), value, np.float32))
        assert (picture == picture[0, 0]).all()
        assert picture.any() == np.isfinite(value)


def test_side_by_side_keeps_the_pictures() -> None:
    """Each picture is there unchanged, under a strip with its label."""
    left = np.full((20, 60, 3), 90, np.uint8)
    right = colour_disparity(RAMP[:, :80].repeat(7, axis=0)[:20])
    together = side_by_side([("left", left), ("disparity", right)])
    rows = together.shape[0] - 20
    np.testing.assert_array_equal(together[rows:, :60], left)
    np.testing.assert_array_equal(together[rows:, -80:], right)
    assert together[:rows, :60].max() > 200
    assert together[:rows, -80:].max() > 200
