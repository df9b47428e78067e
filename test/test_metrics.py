"""Metrics on maps whose errors are known by hand, and against a second implementation; ``ffs eval`` has real pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


# A second implementation: Python's numbers, one pixel after the other, written from the definitions.


def second_scores(disparity: np.ndarray, truth: np.ndarray, limit_px: float) -> tuple[dict[str, float], list[float]]:
    """Scores by name, and the errors of all pixels that count (NaN for a hole)."""
    errors, bad = [], []
    for found, true in zip(disparity.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if 0 < true < limit_px:
            error = abs(found - true) if math.isfinite(found) else NAN
            errors.append(error)
            bad.append(not (error <= 3 or error <= 0.05 * true))
    count = len(errors) or NAN
    return {
        "epe": math.fsum(errors) / count,
        **{f"bp{px}": sum(not error <= px for error in errors) / count for px in (1, 2, 3)},
        "d1": sum(bad) / count,
        "rmse": math.sqrt(math.fsum(error**2 for error in errors) / count),
        "density": sum(error == error for error in errors) / count,
        "pixels": len(errors),
    }, errors


@st.composite
def maps(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """A disparity and its truth, with holes, unknown and negative truth, 0 and beyond any range."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.integers(1, 12)), draw(st.integers(1, 30))
    truth = rng.uniform(-2.0, draw(st.sampled_from([8.0, 250.0])), shape).astype(np.float32)
    disparity = (truth + rng.normal(0.0, draw(st.sampled_from([0.5, 4.0])), shape)).astype(np.float32)
    for plane, other in ((truth, [0.0, NAN, INF]), (disparity, [NAN, INF, -INF])):
        replaced = rng.random(shape) < draw(st.sampled_from([0.0, 0.3, 1.0]))
        plane[replaced] = rng.choice(np.array(other, np.float32), shape)[replaced]
    return disparity, truth


@settings(max_examples=100, deadline=None)
@given(pair=maps(), limit_px=st.sampled_from([INF, 192.0, 3.0]))
def test_a_second_implementation_says_the_same(pair: tuple[np.ndarray, np.ndarray], limit_px: float) -> None:
    """On random maps, to 1e-9."""
    found = scores(*pair, counted(pair[1], limit_px))
    assert found._asdict() == pytest.approx(second_scores(*pair, limit_px)[0], rel=1e-9, abs=1e-9, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(pairs=st.lists(maps(), max_size=6))
def test_pools_are_those_of_a_second_implementation(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Means of images, and of all pixels as if they were one image, to 1e-9."""
    found = [scores(*pair, counted(pair[1], 192.0)) for pair in pairs]
    seconds = [second_scores(*pair, 192.0) for pair in pairs]
    some = [named for named, errors in seconds if errors]
    errors = [error for _, errors in seconds for error in errors]
    per_image, per_pixel = pooled_per_image(found), pooled_per_pixel(found)
    assert per_image.pixels == per_pixel.pixels == len(errors)
    for name in PairScores._fields[:-1]:
        mean = math.fsum(named[name] for named in some) / len(some) if some else NAN
        assert getattr(per_image, name) == pytest.approx(mean, rel=1e-9, abs=1e-9, nan_ok=True)
    count = len(errors) or NAN
    assert per_pixel.epe == pytest.approx(math.fsum(errors) / count, rel=1e-9, abs=1e-9, nan_ok=True)
    assert per_pixel.rmse == pytest.approx(
        math.sqrt(math.fsum(error**2 for error in errors) / count), rel=1e-9, abs=1e-9, nan_ok=True
    )
    assert per_pixel.bp2 == pytest.approx(sum(not error <= 2 for error in errors) / count, nan_ok=True)
