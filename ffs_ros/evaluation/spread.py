"""How errors are spread: how many pixels have which error, and how it depends on the disparity.

Both axes are in powers of two, so that the bins serve a small room and a street alike. Legend of shapes: E bins of the
error, D bins of the disparity.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ERROR_BINS_PER_OCTAVE, DISPARITY_BINS_PER_OCTAVE = 2, 4
_LEAST_ERROR_LOG2, _MOST_ERROR_LOG2 = -6, 8
_LEAST_DISPARITY_LOG2, _MOST_DISPARITY_LOG2 = 0, 11


def _edges(least_log2: int, most_log2: int, per_octave: int) -> np.ndarray:
    return 2.0 ** np.linspace(least_log2, most_log2, (most_log2 - least_log2) * per_octave + 1)


ERROR_EDGES_px = _edges(_LEAST_ERROR_LOG2, _MOST_ERROR_LOG2, ERROR_BINS_PER_OCTAVE)
"""1/64 to 256 px. The first of the E bins is below, the last above."""
DISPARITY_EDGES_px = _edges(_LEAST_DISPARITY_LOG2, _MOST_DISPARITY_LOG2, DISPARITY_BINS_PER_OCTAVE)
"""1 to 2048 px, in the same way."""

BAD_px = 2.0


class Spread:
    """Counts of pixels and sums of their errors by bin; spreads are added up in float64."""

    def __init__(self) -> None:
        self.pixels_E: np.ndarray = np.zeros(len(ERROR_EDGES_px) + 1, np.int64)
        self.missing: np.ndarray = np.zeros((), np.int64)
        """Pixels without an answer."""
        bins = len(DISPARITY_EDGES_px) + 1
        self.pixels_D: np.ndarray = np.zeros(bins, np.int64)
        self.bad_D: np.ndarray = np.zeros(bins, np.int64)
        """Pixels off by more than 2 px."""
        self.answered_D: np.ndarray = np.zeros(bins, np.int64)
        self.error_D: np.ndarray = np.zeros(bins)
        """Sums of the errors of answered pixels, px."""

    @classmethod
    def of(cls, errors: np.ndarray, truth: np.ndarray) -> Spread:
        """Of ``metrics.errors_px`` and the truth of the same pixels, px; NaN is no answer."""
        spread = cls()
        answered = ~np.isnan(errors)
        bins = len(spread.pixels_E)
        error_bin = _bins(errors[answered], _LEAST_ERROR_LOG2, ERROR_BINS_PER_OCTAVE, bins)
        spread.pixels_E = np.bincount(error_bin, minlength=bins)
        spread.missing = np.array(errors.size - error_bin.size)
        bins = len(spread.pixels_D)
        disparity_bin = _bins(truth, _LEAST_DISPARITY_LOG2, DISPARITY_BINS_PER_OCTAVE, bins)
        spread.pixels_D = np.bincount(disparity_bin, minlength=bins)
        spread.bad_D = np.bincount(disparity_bin[~(errors <= BAD_px)], minlength=bins)
        spread.answered_D = np.bincount(disparity_bin[answered], minlength=bins)
        spread.error_D = np.bincount(disparity_bin[answered], errors[answered], bins)
        return spread

    def add(self, other: Spread) -> None:
        """Takes up the pixels of another."""
        for name, values in vars(other).items():
            vars(self)[name] = vars(self)[name] + values

    def to_json(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @classmethod
    def from_json(cls, entries: dict[str, Any]) -> Spread:
        """What ``to_json`` gave."""
        spread = cls()
        for name, values in vars(spread).items():
            vars(spread)[name] = np.array(entries[name], values.dtype)
        return spread


def _bins(values: np.ndarray, least_log2: int, per_octave: int, bins: int) -> np.ndarray:
    """0 is below the first edge; a value at an edge belongs above it."""
    with np.errstate(divide="ignore"):
        place = np.floor((np.log2(values) - least_log2) * per_octave) + 1
    return np.clip(place, 0, bins - 1).astype(np.intp)
