"""The disparity beside what somebody else finds: a second engine, or a depth camera. Any number of pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ffs_ros.evaluation.drift import Drift, DriftResult, Thresholds, drift_of
from ffs_ros.evaluation.drift_totals import DriftTotals
from ffs_ros.evaluation.result import finite
from ffs_ros.evaluation.spread import Spread
from ffs_ros.metrics import Pool, errors_px, scores_of


class AgainstEngine:
    """The drift from a second engine's answers, as ``ffs compare`` has it."""

    def __init__(self) -> None:
        self.totals = DriftTotals(Thresholds(), worst=0)

    def add(self, name: str, disparity_HW: np.ndarray, other_HW: np.ndarray) -> Drift | None:
        """Two answers to the pair of that name, float32 in px, NaN for no answer; None when neither answers."""
        found = drift_of(disparity_HW, other_HW)
        result = DriftResult(self.totals.pairs, "", name, disparity_HW.shape)
        if found is not None:
            drift, difference = found
            reference_HW = np.where(np.isfinite(other_HW), other_HW, disparity_HW)
            spread = Spread.of(difference, reference_HW[np.isfinite(reference_HW)])
            result = DriftResult(result.place, "", name, result.size, drift=drift, spread=spread)
        self.totals.add(result)
        return result.drift

    def record(self) -> dict[str, Any]:
        """For report.json."""
        return {
            "pairs": self.totals.compared,
            "mean": finite(self.totals.mean()._asdict()),
            "worst": finite(self.totals.worst_values()._asdict()),
        }


class AgainstDepth:
    """Errors of the disparity where a depth camera's, made a disparity, is taken for the truth."""

    def __init__(self) -> None:
        self.pool = Pool()
        self.spread = Spread()
        self._known = self._answered = self._pixels = 0

    def add(self, disparity_HW: np.ndarray, theirs_HW: np.ndarray) -> None:
        """Of one pair, float32 in px, NaN for no answer."""
        known_HW = np.isfinite(theirs_HW)
        errors, truth = errors_px(disparity_HW, theirs_HW, known_HW), theirs_HW[known_HW]
        answered = np.isfinite(errors)
        self.pool.add(scores_of(errors[answered], truth[answered]))
        self.spread.add(Spread.of(errors, truth))
        self._known += errors.size
        self._answered += int(np.count_nonzero(answered))
        self._pixels += theirs_HW.size

    def record(self) -> dict[str, Any]:
        """For report.json: over all pixels that both answer, and how many those are."""
        scores = self.pool.per_pixel()._asdict()
        scores.pop("density")
        return {
            "pairs": self.pool.pairs,
            "share_of_pixels_with_depth": self._known / self._pixels if self._pixels else None,
            "answered_there": self._answered / self._known if self._known else None,
            **finite(scores),
        }
