"""Left and right, and rows that match: right on every real pair, undecided where nothing can be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from ffs_ros.features import FeatureMatches, match_features
from ffs_ros.image_file import read_rgb
from ffs_ros.pair_check import Order, order_of_sides, vertical_offset

RECTIFIED = (
    "mb2003_cones", "mb2001_tsukuba", "mb2006_reindeer", "mb2006_aloe", "mb2014_adirondack_q", "eth3d_playground_1l",
    "kitti2015_000000", "kitti2012_000000", "ft3d_TEST_A0000_0006", "ffs_demo", "realsense_ir_tinynav",
)  # fmt: skip
SIZE = 480, 640
Pair = tuple[np.ndarray, np.ndarray]


def matches_at(disparity_px: Any, drop_px: Any, count: int = 100, resolution_px: float = 1.0) -> FeatureMatches:
    """Features all over an image, with these differences (numbers, or functions of x and y in -1..1)."""
    height, width = SIZE
    across, down = np.random.default_rng(0).uniform(-1.0, 1.0, (2, count))
    left = np.column_stack([(across + 1.0) * width / 2, (down + 1.0) * height / 2])
    disparity, drop = (f(across, down) if callable(f) else np.full(count, f) for f in (disparity_px, drop_px))
    return FeatureMatches(left, left + np.column_stack([-disparity, drop]), resolution_px)


@pytest.fixture(scope="module")
def rectified(shared: Any) -> Callable[[str], Pair]:
    """Reads a rectified real pair as grey images."""

    def read(name: str) -> Pair:
        folder = shared / "data" / "stereo" / name
        left, right = (
            cv2.cvtColor(read_rgb(next(folder.glob(f"{side}.*"))), cv2.COLOR_RGB2GRAY) for side in ("left", "right")
        )
        return left, right

    return read


# Left and right


@pytest.mark.parametrize(
    ("disparity_px", "difference_px", "order"),
    [
        (5.0, 0.0, Order.RIGHT),
        (-5.0, 0.0, Order.UNDECIDED),  # a far scene and a calibration that is a little off
        (lambda x, y: -5.0 - 2.0 * x, 0.0, Order.EXCHANGED),
        (-20.0, 0.0, Order.EXCHANGED),
        (0.3, 0.0, Order.UNDECIDED),
        (-0.8, 0.0, Order.UNDECIDED),
        (lambda x, y: np.where(x > 0.0, 5.0, -5.0), 0.0, Order.UNDECIDED),
        (lambda x, y: np.where(x > 0.9, -5.0, 5.0), 0.0, Order.RIGHT),
        (-5.0, -12.0, Order.UNDECIDED),  # with cameras turned towards each other, either order has such points
        (lambda x, y: 5.0 + 16.0 * x, -12.0, Order.RIGHT),
        (lambda x, y: -5.0 + 16.0 * x, -12.0, Order.EXCHANGED),
        (15.0, 12.0, Order.RIGHT),
        (-15.0, 12.0, Order.EXCHANGED),
        (5.0, 12.0, Order.UNDECIDED),  # neither order has them
    ],
)
def test_the_sign_of_the_disparities_tells(disparity_px: Any, difference_px: float, order: Order) -> None:
    """Beyond the disparity of infinity nine in ten must agree."""
    assert order_of_sides(matches_at(disparity_px, 0.0), difference_px) is order


def test_few_features_decide_nothing() -> None:
    """Nor do differences of less than a pixel of the images that were searched."""
    assert order_of_sides(matches_at(-5.0, 0.0, count=19)) is Order.UNDECIDED
    assert order_of_sides(matches_at(-2.0, 0.0, resolution_px=3.0)) is Order.UNDECIDED
    assert vertical_offset(matches_at(5.0, 5.0, count=19), *SIZE) is None


@pytest.mark.parametrize("name", RECTIFIED)
def test_real_pairs_both_ways_round(rectified: Callable[[str], Pair], name: str) -> None:
    """As they are they are right and rectified, exchanged they are found exchanged."""
    left, right = rectified(name)
    matches = match_features(left, right)
    assert order_of_sides(matches) is Order.RIGHT
    offset = vertical_offset(matches, *left.shape)
    assert offset is not None
    assert offset.rectified
    assert offset.over_image_px < 0.5
    assert order_of_sides(match_features(right, left)) is Order.EXCHANGED


def test_raw_pairs_are_not_rectified(raw_pairs: dict[str, Pair]) -> None:
    """Both ways round, by several pixels; the order is still seen."""
    for left, right in raw_pairs.values():
        for first, second, order in ((left, right, Order.RIGHT), (right, left, Order.EXCHANGED)):
            matches = match_features(first, second)
            assert order_of_sides(matches) is order
            offset = vertical_offset(matches, *left.shape)
            assert offset is not None
            assert not offset.rectified
            assert offset.median_px > 5.0
            assert offset.share_beyond_1px > 0.9


# Rows


@pytest.mark.parametrize(
    ("drop_px", "over_image_px", "turn_deg"),
    [
        (0.0, 0.0, 0.0),
        (2.0, 2.0, 0.0),
        (-3.0, 3.0, 0.0),
        (lambda x, y: 2.0 * x, 2.0 / np.sqrt(3.0), np.degrees(np.arctan2(2.0, 320.0))),
        (lambda x, y: 1.0 - 2.0 * y, np.sqrt(1.0 + 4.0 / 3.0), 0.0),
        (lambda x, y: np.where(np.arange(len(x)) % 10 == 0, 20.0, 0.0), 0.0, 0.0),
    ],
    ids=["none", "up", "down", "turn", "shear", "a tenth wrong"],
)
def test_the_offset_of_known_geometries(drop_px: Any, over_image_px: float, turn_deg: float) -> None:
    """A shift, a turn and a vertical scale in closed form; single wrong features do not count."""
    offset = vertical_offset(matches_at(5.0, drop_px), *SIZE)
    assert offset is not None
    assert offset.over_image_px == pytest.approx(over_image_px, abs=0.05)
    assert offset.turn_deg == pytest.approx(turn_deg, abs=0.01)
    assert offset.rectified == (over_image_px < 0.7)


def test_the_features_figures() -> None:
    """Median of the absolute offsets, and the share beyond a pixel."""
    offset = vertical_offset(matches_at(5.0, lambda x, y: np.linspace(-2.0, 2.0, len(x))), *SIZE)
    assert offset is not None
    assert offset.median_px == pytest.approx(1.0, abs=0.03)
    assert offset.share_beyond_1px == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("offset_px", [2.0, -2.0])
@pytest.mark.parametrize("name", ["mb2003_cones", "realsense_ir_tinynav", "kitti2012_000000"])
def test_two_pixels_are_found_on_real_pairs(
    rectified: Callable[[str], Pair], name: str, offset_px: float, turned: bool
) -> None:
    """The right image shifted by two pixels, or turned so that its sides move by as much."""
    left, right = rectified(name)
    height, width = right.shape
    turn_deg = np.degrees(2.0 * offset_px / width) if turned else 0.0
    change = cv2.getRotationMatrix2D((width / 2, height / 2), -turn_deg, 1.0)
    change[1, 2] += 0.0 if turned else offset_px
    right = cv2.warpAffine(right, change, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    matches = match_features(left, right)
    offset = vertical_offset(matches, height, width)
    assert offset is not None
    assert not offset.rectified
    assert order_of_sides(matches) is Order.RIGHT
    if turned:
        assert offset.turn_deg == pytest.approx(turn_deg, abs=0.1)
    else:
        assert offset.over_image_px == pytest.approx(2.0, abs=0.55)
