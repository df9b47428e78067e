"""Metrics on maps whose errors are known by hand, and on real pairs with published figures."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ffs_ros.engine import open_engine
from ffs_ros.ground_truth import read_mask
from ffs_ros.matcher import StereoMatcher
from ffs_ros.metrics import (
    PairScores,
    bad_pixels,
    counted,
    d1,
    density,
    end_point_error,
    filled,
    pooled_per_image,
    pooled_per_pixel,
    root_mean_square,
    scores,
)

NAN, INF = math.nan, math.inf


def row(*values: float) -> np.ndarray:
    return np.array([values], np.float32)


# Errors 0, 1, 2, 3, 4, 4 px; the last is less than 5 % of its truth.
TRUTH = row(10, 20, 30, 40, 50, 100)
DISPARITY = row(10, 21, 28, 43, 46, 104)
ALL = np.ones((1, 6), bool)


def test_which_pixels_count() -> None:
    """Strictly between 0 and the limit; nothing that is not finite, and no 0 of a padded border."""
    truth = row(0, 1e-3, 191.5, 192, 500, -1, NAN, INF, -INF)
    np.testing.assert_array_equal(counted(truth, 192.0), [[False, True, True] + [False] * 6])
    assert not counted(truth, INF)[0, -2]  # not even inf < inf


def test_known_errors() -> None:
    """Means and shares by hand; a threshold is exceeded, not reached."""
    assert end_point_error(DISPARITY, TRUTH, ALL) == 14 / 6
    assert root_mean_square(DISPARITY, TRUTH, ALL) == math.sqrt((0 + 1 + 4 + 9 + 16 + 16) / 6)
    assert [bad_pixels(DISPARITY, TRUTH, ALL, px) for px in (1.0, 2.0, 3.0)] == [4 / 6, 3 / 6, 2 / 6]
    assert d1(DISPARITY, TRUTH, ALL) == 1 / 6
    assert scores(DISPARITY, TRUTH, ALL) == PairScores(
        14 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, math.sqrt(46 / 6), density=1.0, pixels=6
    )


def test_d1_takes_both_limits_strictly() -> None:
    """5 of 100 px is exactly 5 %, 3 of 20 px exactly 3 px: both are good."""
    assert d1(row(105, 23), row(100, 20), np.ones((1, 2), bool)) == 0.0
    assert d1(row(105.01, 23.01), row(100, 20), np.ones((1, 2), bool)) == 1.0


def test_pixels_that_do_not_count_are_ignored() -> None:
    """Whatever is there: NaN, infinity, a wrong disparity."""
    disparity, truth = row(10, NAN, INF, 500, 1), row(11, 0, NAN, INF, -1)
    assert scores(disparity, truth, counted(truth, 192.0)) == PairScores(1, 0, 0, 0, 0, 1, density=1.0, pixels=1)


def test_scores_where_nothing_counts() -> None:
    """NaN without a warning, which pytest would show."""
    with np.errstate(all="raise"):
        empty = scores(DISPARITY, TRUTH, ~ALL)
    assert all(math.isnan(value) for value in empty[:-1])
    assert empty.pixels == 0


@pytest.mark.parametrize("hole", [NAN, INF, -INF])
def test_no_hole_makes_a_method_look_better(hole: float) -> None:
    """Each pixel left out in turn: shares of bad pixels never fall, and the means do not exist."""
    whole = scores(DISPARITY, TRUTH, ALL)
    for column in range(TRUTH.shape[1]):
        with_hole = DISPARITY.copy()
        with_hole[0, column] = hole
        holed = scores(with_hole, TRUTH, ALL)
        assert all(getattr(holed, share) >= getattr(whole, share) for share in ("bp1", "bp2", "bp3", "d1"))
        assert holed.bp3 == pytest.approx((2 + (column < 4)) / 6)
        assert math.isnan(holed.epe)
        assert math.isnan(holed.rmse)
        assert holed.density == 5 / 6


def test_a_hole_where_nothing_counts_is_none() -> None:
    """Density is over the pixels that count."""
    with_hole = DISPARITY.copy()
    with_hole[0, 2] = NAN
    known = ALL.copy()
    known[0, 2] = False
    assert density(with_hole, known) == 1.0
    assert end_point_error(with_hole, TRUTH, known) == 12 / 5


def test_pooling() -> None:
    """A small good pair and a large bad one; a pair without truth is left out of both."""
    small = PairScores(1.0, 0.1, 0.0, 0.0, 0.0, 3.0, density=1.0, pixels=100)
    large = PairScores(4.0, 0.5, 0.4, 0.2, 0.1, 4.0, density=0.5, pixels=300)
    none = scores(DISPARITY, TRUTH, ~ALL)
    assert pooled_per_image([small, none, large]) == pytest.approx(
        PairScores(2.5, 0.3, 0.2, 0.1, 0.05, 3.5, density=0.75, pixels=400)
    )
    assert pooled_per_pixel([small, none, large]) == pytest.approx(
        PairScores(3.25, 0.4, 0.3, 0.15, 0.075, math.sqrt((9 + 3 * 16) / 4), density=0.625, pixels=400)
    )


def test_pooling_pixels_is_scoring_one_large_image() -> None:
    """The pooled scores of two halves are those of the whole."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(1, 100, (40, 30)).astype(np.float32)
    disparity = truth + rng.normal(0, 3, truth.shape).astype(np.float32)
    halves = [slice(0, 10), slice(10, 40)]
    parts = [scores(disparity[rows], truth[rows], counted(truth[rows], 80.0)) for rows in halves]
    assert pooled_per_pixel(parts) == pytest.approx(scores(disparity, truth, counted(truth, 80.0)))


@pytest.mark.parametrize("pooled", [pooled_per_image, pooled_per_pixel])
def test_pooling_nothing_and_holes(pooled: Callable[..., PairScores]) -> None:
    """No pair gives NaN, and one pair with a hole where truth counts leaves no mean for all."""
    assert math.isnan(pooled([]).epe)
    assert pooled([]).pixels == 0
    with_hole = DISPARITY.copy()
    with_hole[0, 0] = NAN
    together = pooled([scores(DISPARITY, TRUTH, ALL), scores(with_hole, TRUTH, ALL)])
    assert math.isnan(together.epe)
    assert together.bp3 == pytest.approx(5 / 12)


def test_holes_are_filled_with_the_smaller_neighbour_of_the_row() -> None:
    """Inside the row the smaller of both, at its ends the only one; what is known stays."""
    holes = row(NAN, NAN, 5, NAN, INF, 3, NAN, 9, NAN)
    before = holes.copy()
    np.testing.assert_array_equal(filled(holes), row(5, 5, 5, 3, 3, 3, 3, 9, 9))
    np.testing.assert_array_equal(holes, before)
    assert filled(holes).dtype == np.float32


def test_empty_rows_are_filled_from_above_and_below() -> None:
    """The smaller of the nearest rows with an answer, column by column; a map without any stays empty."""
    holes = np.full((5, 3), NAN, np.float32)
    holes[1], holes[3] = (1, NAN, 6), (4, 0, NAN)
    np.testing.assert_array_equal(filled(holes), [[1, 1, 6], [1, 1, 6], [1, 0, 0], [4, 0, 0], [4, 0, 0]])
    assert np.isnan(filled(np.full((2, 3), NAN, np.float32))).all()


@pytest.mark.parametrize("name", ["mb2003_cones", "kitti2012_000000"])
def test_published_figures_of_filled_maps(real_pair: Callable[[str], Any], name: str) -> None:
    """SGBM on all pixels with ground truth, holes filled: within 0.1 points and, for epe, as rounded."""
    pair = real_pair(name)
    with open_engine("sgbm", max_disparity=pair.sgbm["nd"]) as engine:
        disparity_HW = StereoMatcher(engine).match(pair.left_HW3, pair.right_HW3)
    scored = scores(filled(disparity_HW), pair.truth_HW, counted(pair.truth_HW, 192.0))
    assert scored.density == 1.0
    _assert_published(scored, pair.sgbm["all"])


def test_published_figures_of_pixels_that_both_cameras_see(real_pair: Callable[[str], Any], shared: Path) -> None:
    """The same with the mask of non-occluded pixels that comes with the pair."""
    pair = real_pair("mb2003_cones")
    keep_HW = read_mask(shared / "data" / "stereo" / "mb2003_cones" / "mask_nonocc.png")
    with open_engine("sgbm", max_disparity=pair.sgbm["nd"]) as engine:
        disparity_HW = filled(StereoMatcher(engine).match(pair.left_HW3, pair.right_HW3))
    seen_by_both = scores(disparity_HW, pair.truth_HW, counted(pair.truth_HW, 192.0) & keep_HW)
    _assert_published(seen_by_both, pair.sgbm["nonocc"])


def _assert_published(scored: PairScores, published: dict[str, float]) -> None:
    assert scored.epe == pytest.approx(published["epe"], abs=0.005)
    for share in ("bp1", "bp2", "bp3", "D1"):
        assert 100 * getattr(scored, share.lower()) == pytest.approx(published[share], abs=0.1)
