"""How far a disparity is from the truth: one pure function per metric, the same for validation and for evaluation.

Every metric takes the disparity and the truth, float (H,W) in pixels, and the pixels that count, bool (H,W) from
``counted``; it is NaN when no pixel counts. A disparity that is not finite is a hole. A hole is a bad pixel, and the
mean and root mean square errors of a map with holes where truth counts are NaN: whatever number stood for a hole, some
method would look better by leaving out what it does not know. To compare such a method, score ``filled`` and say its
``density`` beside it.

The definitions are those of the KITTI, Middlebury and ETH3D benchmarks; shares are 0..1, not percent.
Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_D1_LEAST_px, _D1_LEAST_SHARE = 3.0, 0.05


class PairScores(NamedTuple):
    """One pair's scores, or those of several pooled."""

    epe: float
    """End-point error, px."""
    bp1: float
    """Share of pixels that are off by more than 1 px."""
    bp2: float
    bp3: float
    d1: float
    """Share of pixels that are off by more than 3 px and by more than 5 % of the truth."""
    rmse: float
    """Root mean square error, px."""
    density: float
    """Share of pixels with an answer."""
    pixels: int
    """How many counted."""


def counted(truth_HW: np.ndarray, max_disparity_px: float) -> np.ndarray:
    """The pixels that count: bool (H,W), where 0 < truth < ``max_disparity_px``; NaN and inf never do."""
    with np.errstate(invalid="ignore"):
        return (truth_HW > 0.0) & (truth_HW < max_disparity_px)


def end_point_error(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Mean of |disparity - truth|, px; NaN when a hole counts."""
    return _mean(_errors(disparity_HW, truth_HW, counted_HW))


def bad_pixels(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray, threshold_px: float) -> float:
    """Share of pixels that are off by more than ``threshold_px``, or holes."""
    return _mean(~(_errors(disparity_HW, truth_HW, counted_HW) <= threshold_px))


def d1(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Share of pixels that are off by more than 3 px and by more than 5 % of the truth, or holes (KITTI 2015)."""
    errors = _errors(disparity_HW, truth_HW, counted_HW)
    return _mean(~((errors <= _D1_LEAST_px) | (errors <= _D1_LEAST_SHARE * truth_HW[counted_HW])))


def root_mean_square(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Square root of the mean of (disparity - truth)^2, px; NaN when a hole counts."""
    return math.sqrt(_mean(_errors(disparity_HW, truth_HW, counted_HW) ** 2))


def density(disparity_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Share of the pixels that count which have an answer."""
    return _mean(np.isfinite(disparity_HW[counted_HW]))


def scores(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> PairScores:
    """Every metric of one pair."""
    pair = disparity_HW, truth_HW, counted_HW
    return PairScores(
        epe=end_point_error(*pair),
        bp1=bad_pixels(*pair, threshold_px=1.0),
        bp2=bad_pixels(*pair, threshold_px=2.0),
        bp3=bad_pixels(*pair, threshold_px=3.0),
        d1=d1(*pair),
        rmse=root_mean_square(*pair),
        density=density(disparity_HW, counted_HW),
        pixels=int(np.count_nonzero(counted_HW)),
    )


def pooled_per_image(pairs: Sequence[PairScores]) -> PairScores:
    """Each pair weighs the same: means over the pairs in which a pixel counts."""
    return _pooled([(pair, 1) for pair in pairs if pair.pixels], rmse_power=1)


def pooled_per_pixel(pairs: Sequence[PairScores]) -> PairScores:
    """Each pixel weighs the same, as if all pairs were one large image."""
    return _pooled([(pair, pair.pixels) for pair in pairs if pair.pixels], rmse_power=2)


def filled(disparity_HW: np.ndarray) -> np.ndarray:
    """``disparity_HW`` with each hole of a row filled by the smaller of its two neighbours in the row, as the KITTI
    benchmark does before it scores: what is hidden belongs to what is behind. At the borders the one neighbour serves;
    rows without any answer are filled likewise from the rows above and below. Without any answer all stays NaN.
    """
    return _rows_filled(_rows_filled(disparity_HW).T).T


def _rows_filled(map_HW: np.ndarray) -> np.ndarray:
    width = map_HW.shape[1]
    answered_HW = np.isfinite(map_HW)
    column_HW = np.broadcast_to(np.arange(width), map_HW.shape)
    before_HW = np.maximum.accumulate(np.where(answered_HW, column_HW, -1), axis=1)
    after_HW = np.minimum.accumulate(np.where(answered_HW, column_HW, width)[:, ::-1], axis=1)[:, ::-1]
    bordered_HW = np.pad(np.where(answered_HW, map_HW, np.nan), ((0, 0), (1, 1)), constant_values=np.nan)
    before, after = (np.take_along_axis(bordered_HW, index_HW + 1, axis=1) for index_HW in (before_HW, after_HW))
    return np.fmin(before, after)


def _errors(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> np.ndarray:
    """|disparity - truth| where truth counts, float64 since millions are summed; NaN for a hole."""
    disparity = disparity_HW[counted_HW].astype(np.float64)
    return np.abs(np.where(np.isfinite(disparity), disparity, np.nan) - truth_HW[counted_HW])


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan


def _pooled(weighted: Sequence[tuple[PairScores, int]], rmse_power: int) -> PairScores:
    weights = np.array([weight for _, weight in weighted], np.float64)

    def mean(name: str, power: int = 1) -> float:
        values = np.array([getattr(pair, name) for pair, _ in weighted], np.float64) ** power
        return float(np.average(values, weights=weights)) ** (1 / power) if weighted else math.nan

    return PairScores(
        **{name: mean(name) for name in ("epe", "bp1", "bp2", "bp3", "d1", "density")},
        rmse=mean("rmse", rmse_power),
        pixels=sum(pair.pixels for pair, _ in weighted),
    )
