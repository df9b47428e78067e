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
from collections.abc import Iterable
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


_POOLED = PairScores._fields[:-1]
_RMSE = _POOLED.index("rmse")


def counted(truth_HW: np.ndarray, max_disparity_px: float) -> np.ndarray:
    """The pixels that count: bool (H,W), where 0 < truth < ``max_disparity_px``; NaN and inf never do."""
    with np.errstate(invalid="ignore"):
        return (truth_HW > 0.0) & (truth_HW < max_disparity_px)


def end_point_error(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Mean of |disparity - truth|, px; NaN when a hole counts."""
    return _mean(errors_px(disparity_HW, truth_HW, counted_HW))


def bad_pixels(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray, threshold_px: float) -> float:
    """Share of pixels that are off by more than ``threshold_px``, or holes."""
    return share_above(errors_px(disparity_HW, truth_HW, counted_HW), threshold_px)


def d1(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Share of pixels that are off by more than 3 px and by more than 5 % of the truth, or holes (KITTI 2015)."""
    return d1_of(errors_px(disparity_HW, truth_HW, counted_HW), truth_HW[counted_HW])


def root_mean_square(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Square root of the mean of (disparity - truth)^2, px; NaN when a hole counts."""
    return math.sqrt(_mean(errors_px(disparity_HW, truth_HW, counted_HW) ** 2))


def density(disparity_HW: np.ndarray, counted_HW: np.ndarray) -> float:
    """Share of the pixels that count which have an answer."""
    return _mean(np.isfinite(disparity_HW[counted_HW]))


def errors_px(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> np.ndarray:
    """|disparity - truth| where truth counts: float64 since millions are summed, (pixels,); NaN for a hole."""
    disparity = disparity_HW[counted_HW].astype(np.float64)
    if not np.isfinite(disparity).all():
        disparity[~np.isfinite(disparity)] = np.nan
    disparity -= truth_HW[counted_HW]
    return np.abs(disparity, out=disparity)


def share_above(errors: np.ndarray, threshold_px: float) -> float:
    """Share of ``errors_px`` above a threshold, or of holes."""
    return _mean(~(errors <= threshold_px))


def d1_of(errors: np.ndarray, truth: np.ndarray) -> float:
    """``d1`` of ``errors_px`` and the truth of the same pixels."""
    return _mean(~((errors <= _D1_LEAST_px) | (errors <= _D1_LEAST_SHARE * truth)))


def scores(disparity_HW: np.ndarray, truth_HW: np.ndarray, counted_HW: np.ndarray) -> PairScores:
    """Every metric of one pair."""
    return scores_of(errors_px(disparity_HW, truth_HW, counted_HW), truth_HW[counted_HW])


def scores_of(errors: np.ndarray, truth: np.ndarray) -> PairScores:
    """Every metric of ``errors_px`` and the truth of the same pixels."""
    return PairScores(
        epe=_mean(errors),
        bp1=share_above(errors, 1.0),
        bp2=share_above(errors, 2.0),
        bp3=share_above(errors, 3.0),
        d1=d1_of(errors, truth),
        rmse=math.sqrt(_mean(errors**2)),
        density=_mean(np.isfinite(errors)),
        pixels=errors.size,
    )


class Pool:
    """Scores of many pairs, which are added one after the other: float64 sums in that order, so that it does not matter
    who computed them. Pairs in which no pixel counts are left out."""

    def __init__(self) -> None:
        self.pairs = self.pixels = 0
        self._sums = np.zeros(len(_POOLED))
        self._pixel_sums = np.zeros(len(_POOLED))

    def add(self, pair: PairScores) -> None:
        """One more pair."""
        if not pair.pixels:
            return
        self.pairs += 1
        self.pixels += pair.pixels
        values = np.array([getattr(pair, name) for name in _POOLED])
        self._sums += values
        values[_RMSE] **= 2
        self._pixel_sums += values * pair.pixels

    def per_image(self) -> PairScores:
        """Each pair weighs the same."""
        return self._means(self._sums, self.pairs)

    def per_pixel(self) -> PairScores:
        """Each pixel weighs the same, as if all pairs were one large image."""
        pooled = self._means(self._pixel_sums, self.pixels)
        return pooled._replace(rmse=math.sqrt(pooled.rmse))

    def _means(self, sums: np.ndarray, weight: int) -> PairScores:
        means = sums / weight if weight else np.full(len(sums), math.nan)
        return PairScores._make([*map(float, means), self.pixels])


def pooled_per_image(pairs: Iterable[PairScores]) -> PairScores:
    """``Pool.per_image`` of all."""
    return _pool(pairs).per_image()


def pooled_per_pixel(pairs: Iterable[PairScores]) -> PairScores:
    """``Pool.per_pixel`` of all."""
    return _pool(pairs).per_pixel()


def _pool(pairs: Iterable[PairScores]) -> Pool:
    pool = Pool()
    for pair in pairs:
        pool.add(pair)
    return pool


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


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else math.nan
