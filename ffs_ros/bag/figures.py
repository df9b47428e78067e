"""What a replay says about depth: density, flicker, left-right consistency, differences, and how long it took.

Figures of any number of pairs, in bounded memory. Legend of shapes: H and W rows and columns of the left image.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ffs_ros.bag.comparisons import AgainstDepth, AgainstEngine
from ffs_ros.bag.series import Series
from ffs_ros.evaluation.drift import Drift
from ffs_ros.flicker import flicker
from ffs_ros.matched_pair import Matched
from ffs_ros.quantiles import Quantiles

CONSISTENT = 0.5
"""Confidence of an answer on which both views agree to 1 px."""
STAGES = ("read", "decode", "inference", "outputs", "write", "total")
"""Of a pair: reading its messages; pictures of them, rectified; the engine alone; the outputs' messages; writing them;
all of it, with what lies between and without the second pass and other engines."""


class PairFigures(NamedTuple):
    """Of one pair; None where there is nothing to say."""

    density: float
    flicker_px: float | None = None
    """Median change of a static pixel's disparity since the pair before."""
    static_share: float | None = None
    blinking: float | None = None
    consistent: float | None = None
    """Share of the answers on which both views agree to 1 px."""
    against: Drift | None = None


class Figures:
    """Of all pairs so far."""

    def __init__(self) -> None:
        self.against = AgainstEngine()
        self.depth_topic = AgainstDepth()
        self.over_time = {name: Series() for name in ("density", "flicker_px", "consistent", "total_ms")}
        """By the seconds since the first pair was recorded."""
        self._density = Quantiles()
        self._changes_px = Quantiles()
        self._static_share, self._blinking = Quantiles(), Quantiles()
        self._answers = self._consistent = self._second_passes = 0
        self._stages_ms = {stage: Quantiles() for stage in STAGES}
        self._before: Matched | None = None
        self._begin_ns: int | None = None
        self._now_s = 0.0

    def start_over(self) -> None:
        """The next pair does not follow the one before: time jumped."""
        self._before = None

    def add(self, matched: Matched, log_ns: int) -> PairFigures:
        """One more pair, recorded at ``log_ns``."""
        self._begin_ns = log_ns if self._begin_ns is None else self._begin_ns
        self._now_s = (log_ns - self._begin_ns) / 1e9
        density = float(np.isfinite(matched.disparity_HW).mean())
        self._density.add(density)
        self.over_time["density"].add(self._now_s, density)
        before, self._before = self._before, matched
        if before is None or before.disparity_HW.shape != matched.disparity_HW.shape:
            return PairFigures(density)
        found = flicker(before.left_HW3, before.disparity_HW, matched.left_HW3, matched.disparity_HW)
        if found is None:
            return PairFigures(density)
        self._changes_px.add(found.changes_px)
        self._static_share.add(found.static_share)
        self._blinking.add(found.blinking)
        if not found.changes_px.size:
            return PairFigures(density, None, found.static_share, found.blinking)
        median_px = float(np.median(found.changes_px))
        self.over_time["flicker_px"].add(self._now_s, median_px)
        return PairFigures(density, median_px, found.static_share, found.blinking)

    def add_second_pass(self, disparity_HW: np.ndarray, confidence_HW: np.ndarray) -> float | None:
        """The share of the latest pair's answers on which both views agree; None without answers."""
        answered_HW = np.isfinite(disparity_HW)
        answers = int(np.count_nonzero(answered_HW))
        consistent = int(np.count_nonzero(confidence_HW[answered_HW] >= CONSISTENT))
        self._second_passes += 1
        self._answers += answers
        self._consistent += consistent
        if not answers:
            return None
        self.over_time["consistent"].add(self._now_s, consistent / answers)
        return consistent / answers

    def add_times(self, stages_ms: Mapping[str, float]) -> None:
        """How long the latest pair took, by stage."""
        self.over_time["total_ms"].add(self._now_s, stages_ms["total"])
        for stage, time_ms in stages_ms.items():
            self._stages_ms[stage].add(time_ms)

    def record(self) -> dict[str, Any]:
        """For report.json: NaN where there is nothing to say."""
        return {
            "density": {
                "mean": self._density.mean, "least": self._density.least, "median": self._density.quantile(0.5),
            },
            "flicker": {
                "pairs": self._static_share.count,
                "median_px": self._changes_px.quantile(0.5),
                "p95_px": self._changes_px.quantile(0.95),
                "static_share": self._static_share.mean,
                "blinking": self._blinking.mean,
            },
            "left_right": {
                "pairs": self._second_passes,
                "consistent": self._consistent / self._answers if self._answers else math.nan,
            },
            "latency_ms": {stage: _latency(times_ms) for stage, times_ms in self._stages_ms.items()},
        }  # fmt: skip


def _latency(times_ms: Quantiles) -> dict[str, float]:
    return {
        "pairs": times_ms.count,
        "mean": times_ms.mean,
        "p50": times_ms.quantile(0.5),
        "p95": times_ms.quantile(0.95),
        "p99": times_ms.quantile(0.99),
        "max": times_ms.largest,
    }
