"""Quantiles of any number of values in bounded memory: counts of bins that are each 1 % wide.

That is DDSketch (Masson, Rim and Lee, VLDB 2019) with a fixed range: a quantile is off by at most 0.5 % of itself.
"""

from __future__ import annotations

import math

import numpy as np

_LEAST, _LARGEST = 1e-4, 1e9
"""Less counts as 0, more as this."""
_WIDTH = math.log(1.01)
_BINS = 2 + math.ceil(math.log(_LARGEST / _LEAST) / _WIDTH)


class Quantiles:
    """Takes values that are 0 or more."""

    def __init__(self) -> None:
        self.count = 0
        self.sum = 0.0
        self.least = self.largest = math.nan
        self._counts = np.zeros(_BINS, np.int64)

    def add(self, values: np.ndarray | float) -> None:
        """Take one or many values of any shape, none of them NaN."""
        array = np.asarray(values, np.float64).ravel()
        if not array.size:
            return
        self.count += array.size
        self.sum += float(array.sum())
        self.least = float(np.fmin(self.least, array.min()))
        self.largest = float(np.fmax(self.largest, array.max()))
        bins = np.zeros(array.size, np.int64)
        above = array >= _LEAST
        bins[above] = 1 + np.log(np.minimum(array[above], _LARGEST) / _LEAST) / _WIDTH
        self._counts += np.bincount(bins, minlength=_BINS)

    def quantile(self, share: float) -> float:
        """The value that ``share`` (0 to 1) of all are at most; NaN without any."""
        if not self.count:
            return math.nan
        rank = min(max(math.ceil(share * self.count), 1), self.count)
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        if index == 0:
            return 0.0
        return min(_LEAST * math.exp((index - 0.5) * _WIDTH), self.largest)

    @property
    def mean(self) -> float:
        """Of all values, exactly; NaN without any."""
        return self.sum / self.count if self.count else math.nan
